//! Where settings come from, and which of them wins.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::SettingsError;

/// How the text of a variable becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    /// Texts parted by commas, or a TOML array.
    Texts,
    /// A value in TOML.
    Toml,
}

/// Every setting that a variable can set, by its path in the file.
const KNOWN: &[(&str, Kind)] = &[
    ("listen", Kind::Text),
    ("database", Kind::Text),
    ("database_file", Kind::Text),
    ("data_dir", Kind::Text),
    ("key_file", Kind::Text),
    ("public_url", Kind::Text),
    ("brand", Kind::Text),
    ("default_profile", Kind::Text),
    ("time_zone", Kind::Text),
    ("profiles", Kind::Toml),
    ("scopes", Kind::Toml),
    ("trusted_proxies", Kind::Texts),
    ("tls.cert", Kind::Text),
    ("tls.key", Kind::Text),
    ("metrics.listen", Kind::Text),
    ("ext_authz.listen", Kind::Text),
    ("traces.endpoint", Kind::Text),
    ("traces.headers", Kind::Texts),
    ("traces.headers_file", Kind::Text),
    ("traces.ratio", Kind::Text),
    ("traces.service", Kind::Text),
    ("smtp.url", Kind::Text),
    ("smtp.url_file", Kind::Text),
    ("smtp.from", Kind::Text),
    ("keep.requests", Kind::Integer),
    ("keep.refusals", Kind::Integer),
    ("keep.usage", Kind::Integer),
    ("keep.deliveries", Kind::Integer),
    ("doors.fresh_ms", Kind::Integer),
    ("doors.keys_in_memory", Kind::Integer),
    ("webhooks.allow", Kind::Texts),
    ("webhooks.authorities", Kind::Text),
    ("networks", Kind::Toml),
    ("log.format", Kind::Text),
    ("log.level", Kind::Text),
    ("limits.connections", Kind::Integer),
];

/// The setting that a variable is of. Symbols of tokens are in capitals there too.
fn path_of(variable: &str) -> String {
    let mut path: Vec<String> = Vec::new();
    for name in variable.split("__") {
        let is_symbol = path.len() == 3 && path[0] == "networks" && path[2] == "tokens";
        path.push(if is_symbol { name.to_ascii_uppercase() } else { name.to_ascii_lowercase() });
    }
    path.join(".")
}

/// Variables with our prefix that are no settings: the file's place, and a key handed to a command.
const NOT_SETTINGS: &[&str] = &["TROUSSEAU_CONFIG", "TROUSSEAU_KEY"];
const PREFIX: &str = "TROUSSEAU_";
const RESERVED_FOR_TESTS: &str = "TROUSSEAU_TEST_";
const DEFAULT_FILE: &str = "trousseau.toml";

/// A secret and the file that may hold it instead.
const EITHER: &[(&str, &str)] =
    &[("database", "database_file"), ("smtp.url", "smtp.url_file"), ("traces.headers", "traces.headers_file")];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    File(PathBuf),
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Variable(name) => formatter.write_str(name),
            Self::Flag(name) => formatter.write_str(name),
        }
    }
}

/// What the command line sets.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// `--config`: this file, which then must be there.
    pub(crate) config: Option<PathBuf>,
    values: Vec<(&'static str, &'static str, String)>,
}

impl Flags {
    /// Notes that `flag` sets the setting at `path`.
    pub(crate) fn set(&mut self, path: &'static str, flag: &'static str, value: impl Into<String>) {
        self.values.push((path, flag, value.into()));
    }
}

/// All layers laid over each other, and who set what.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    table: Table,
    sources: BTreeMap<String, Source>,
    file: Option<PathBuf>,
}

impl Layers {
    pub(super) fn read(flags: &Flags, env: impl Iterator<Item = (OsString, OsString)>) -> Result<Self, SettingsError> {
        let mut variables = BTreeMap::new();
        for (name, value) in env {
            let is_ours = |name: &&str| name.get(..PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(PREFIX));
            let Some(name) = name.to_str().filter(is_ours).map(str::to_owned) else {
                continue;
            };
            if name.starts_with(RESERVED_FOR_TESTS) {
                continue;
            }
            // Two spellings of one name would be two variables, and nobody could say which of them counts.
            if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
                return Err(SettingsError::NotInCapitals(name.to_ascii_uppercase(), name));
            }
            let value = value
                .into_string()
                .map_err(|_| SettingsError::Malformed { place: name.clone(), message: "is not UTF-8".to_owned() })?;
            variables.insert(name, value);
        }
        let mut layers = Self::default();
        let named = flags.config.clone().or_else(|| variables.get("TROUSSEAU_CONFIG").map(PathBuf::from));
        match named {
            Some(path) => layers.read_file(&path)?,
            None if Path::new(DEFAULT_FILE).is_file() => layers.read_file(Path::new(DEFAULT_FILE))?,
            None => {}
        }
        layers.lay_variables(&variables)?;
        let mut flag_layer = Layer::default();
        for (path, flag, value) in &flags.values {
            flag_layer.put(path, Value::String(value.clone()), Source::Flag(flag));
        }
        layers.lay(flag_layer, "the command line")?;
        Ok(layers)
    }

    fn read_file(&mut self, path: &Path) -> Result<(), SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| SettingsError::Unreadable { path: path.to_owned(), cause })?;
        let malformed = |error: &toml::de::Error| {
            // The library would print the line itself, which may hold a password.
            let line =
                error.span().map_or(1, |span| 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count());
            SettingsError::Malformed {
                place: format!("{}, line {line}", path.display()),
                message: error.message().to_owned(),
            }
        };
        let table: Table = toml::from_str(&text).map_err(|error| malformed(&error))?;
        // Once on its own, so that a mistake is told with its line.
        toml::from_str::<super::Written>(&text).map_err(|error| malformed(&error))?;
        let mut layer = Layer::default();
        let mut prefix = Vec::new();
        layer.put_all(&mut prefix, table, path);
        self.file = Some(path.to_owned());
        self.lay(layer, &path.display().to_string())
    }

    fn lay_variables(&mut self, variables: &BTreeMap<String, String>) -> Result<(), SettingsError> {
        let mut layer = Layer::default();
        for (name, text) in variables {
            if NOT_SETTINGS.contains(&name.as_str()) {
                continue;
            }
            let path = path_of(&name[PREFIX.len()..]);
            let kind = match KNOWN.iter().find(|(known, _)| *known == path) {
                Some((_, kind)) => *kind,
                None if path.strip_prefix("profiles.").is_some_and(|rest| rest.contains('.')) => Kind::Toml,
                None if path.starts_with("networks.") => match path.rsplit('.').next() {
                    Some("endpoints" | "notice") => Kind::Texts,
                    Some("endpoints_file" | "chain" | "contract" | "title" | "transaction" | "address" | "block") => {
                        Kind::Text
                    }
                    _ => Kind::Toml,
                },
                None => return Err(SettingsError::UnknownVariable(name.clone())),
            };
            let value =
                value_of(kind, text).map_err(|message| SettingsError::Malformed { place: name.clone(), message })?;
            layer.put(&path, value, Source::Variable(name.clone()));
        }
        self.lay(layer, "the environment")
    }

    /// Lays one layer over what is there.
    fn lay(&mut self, layer: Layer, name: &str) -> Result<(), SettingsError> {
        let mut either: BTreeSet<_> =
            EITHER.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect();
        // Each network has endpoints, or a file that holds them.
        either.extend(layer.values.iter().filter_map(|(path, ..)| {
            let endpoints = path.strip_suffix("_file").unwrap_or(path);
            let is_one = path.starts_with("networks.") && endpoints.ends_with(".endpoints");
            is_one.then(|| (endpoints.to_owned(), format!("{endpoints}_file")))
        }));
        for (one, other) in either {
            let (has_one, has_other) = (layer.has(&one), layer.has(&other));
            if has_one && has_other {
                return Err(SettingsError::Both { source_of: name.to_owned(), one, other });
            }
            if has_one || has_other {
                for lower in [&one, &other] {
                    remove(&mut self.table, lower);
                    self.sources.remove(lower);
                }
            }
        }
        for (path, value, source) in layer.values {
            insert(&mut self.table, &path, value);
            self.sources.insert(path, source);
        }
        Ok(())
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// The file that was read, if any.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Who set `path`, or something below it.
    pub(crate) fn source(&self, path: &str) -> Source {
        let below = format!("{path}.");
        self.sources
            .iter()
            .find(|(set, _)| *set == path || set.starts_with(&below))
            .map_or(Source::Default, |(_, source)| source.clone())
    }

    /// A value that cannot be used, with the place it came from.
    pub(super) fn invalid(&self, path: &str, message: impl fmt::Display) -> SettingsError {
        SettingsError::Invalid {
            name: path.to_owned(),
            source_of: self.source(path).to_string(),
            message: message.to_string(),
        }
    }
}

/// The values of one layer, by path.
#[derive(Debug, Default)]
struct Layer {
    values: Vec<(String, Value, Source)>,
}

impl Layer {
    fn put(&mut self, path: &str, value: Value, source: Source) {
        self.values.push((path.to_owned(), value, source));
    }

    fn put_all(&mut self, prefix: &mut Vec<String>, table: Table, file: &Path) {
        for (name, value) in table {
            prefix.push(name);
            match value {
                Value::Table(inner) => self.put_all(prefix, inner, file),
                value => self.put(&prefix.join("."), value, Source::File(file.to_owned())),
            }
            prefix.pop();
        }
    }

    fn has(&self, path: &str) -> bool {
        self.values.iter().any(|(set, ..)| set == path)
    }
}

/// Takes the value at a path away, if there is one.
fn remove(table: &mut Table, path: &str) {
    match path.split_once('.') {
        None => {
            table.remove(path);
        }
        Some((first, rest)) => {
            if let Some(toml::Value::Table(inner)) = table.get_mut(first) {
                remove(inner, rest);
            }
        }
    }
}

/// Puts a value at a dotted path.
fn insert(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = table.entry(first.to_owned()).or_insert_with(|| Value::Table(Table::new()));
            if !inner.is_table() {
                *inner = Value::Table(Table::new());
            }
            insert(inner.as_table_mut().expect("made a table above"), rest, value);
        }
    }
}

fn value_of(kind: Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Text => Ok(Value::String(text.to_owned())),
        Kind::Integer => text.parse().map(Value::Integer).map_err(|_| "is not a whole number".to_owned()),
        Kind::Texts if text.trim_start().starts_with('[') => toml_value(text),
        Kind::Texts => Ok(Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| Value::String(part.to_owned()))
                .collect(),
        )),
        Kind::Toml => toml_value(text),
    }
}

/// A value in TOML; a bare word counts as text.
fn toml_value(text: &str) -> Result<Value, String> {
    match toml::from_str::<Table>(&format!("value = {text}")) {
        Ok(mut table) if table.len() == 1 => table.remove("value").ok_or_else(|| "is not a TOML value".to_owned()),
        Ok(_) => Err("is not a TOML value".to_owned()),
        Err(_) if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) => {
            Ok(Value::String(text.to_owned()))
        }
        Err(error) => Err(format!("is not a TOML value: {}", error.message())),
    }
}
