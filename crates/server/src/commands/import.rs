//! `trousseau key import`: keys of another system, line by line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal as _, Read, stdin};
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use trousseau_domain::digest::KeyFingerprint;
use trousseau_domain::environment::Tenant;
use trousseau_domain::key_text;
use trousseau_domain::keys::KeyKind;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::time::TimeZone;
use trousseau_service::ServiceError;
use trousseau_service::import::{ImportDraft, Imported, ImportedValue};
use trousseau_service::keys::KeyDraft;
use zeroize::Zeroizing;

use crate::app::Opened;
use crate::cli::ImportFormat;
use crate::exit::Failure;
use crate::output::{print, print_json};
use crate::when;

/// The most bytes of one line: far above what a key with full lists takes.
const MOST_LINE: u64 = 64 * 1024;

/// One key as another system wrote it down.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Line {
    value: Option<Zeroizing<String>>,
    sha256: Option<String>,
    last_three: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    external_reference: Option<String>,
    state: Option<String>,
    valid_from: Option<String>,
    valid_until: Option<String>,
    scopes: Option<Vec<String>>,
    allowed_origins: Option<Vec<String>>,
    allowed_ips: Option<Vec<String>>,
    metadata: Option<BTreeMap<String, String>>,
}

/// A line that is not taken over: which member, and what is wrong with it. No part of a value is in it.
struct Refused {
    field: &'static str,
    message: String,
}

impl Refused {
    fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// What became of the lines.
#[derive(Default)]
struct Tally {
    imported: u64,
    known: u64,
    refused: u64,
}

pub(crate) async fn run(
    opened: &Opened,
    tenant: &Tenant,
    kind: KeyKind,
    format: Option<ImportFormat>,
    file: Option<&Path>,
    json: bool,
) -> Result<(), Failure> {
    let file = file.filter(|path| *path != Path::new("-"));
    let csv = file.and_then(Path::extension).is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    let format = format.unwrap_or(if csv { ImportFormat::Csv } else { ImportFormat::Jsonl });
    let source: Box<dyn Read> = match file {
        Some(path) => Box::new(File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?),
        None if stdin().is_terminal() => {
            return Err(Failure::usage("name a file, or send the keys to standard input"));
        }
        None => Box::new(stdin().lock()),
    };
    // So that a business that does not exist is told once and not line by line.
    let zone = opened.app.businesses().get(&tenant.business).await?.time_zone;
    let mut tally = Tally::default();
    let mut reader = Lines::new(source, format)?;
    while let Some((number, line)) = reader.next()? {
        let outcome = match line.and_then(|line| draft(line, kind, opened, &zone)) {
            Ok(draft) => match opened.app.keys().import(&opened.context, tenant, &draft).await {
                Ok(imported) => Ok(imported),
                Err(ServiceError::Invalid(problems)) => {
                    let first = problems.into_iter().next();
                    Err(first.map_or_else(|| Refused::new("", ""), |first| Refused::new(first.field, first.message)))
                }
                Err(error) => match Failure::from(error) {
                    Failure::Refused(error) => Err(Refused::new("", error.to_string())),
                    // Nothing further would fare better.
                    failed => return Err(failed),
                },
            },
            Err(refused) => Err(refused),
        };
        tell(number, &outcome, &mut tally, json)?;
    }
    let Tally { imported, known, refused } = tally;
    if json {
        print_json(&json!({ "imported": imported, "known": known, "refused": refused }))?;
    } else {
        print(&format!("{imported} imported, {known} known already, {refused} refused"));
    }
    if refused == 0 { Ok(()) } else { Err(Failure::refused("not every line is a key here now")) }
}

fn tell(number: u64, outcome: &Result<Imported, Refused>, tally: &mut Tally, json: bool) -> Result<(), Failure> {
    let (word, text, body) = match outcome {
        Ok(Imported::New(view)) => {
            tally.imported += 1;
            ("imported", format!("{} {}", view.key.id, view.masked_value()), json!({ "id": view.key.id }))
        }
        Ok(Imported::Known(view)) => {
            tally.known += 1;
            ("known", format!("{} {}", view.key.id, view.masked_value()), json!({ "id": view.key.id }))
        }
        Err(Refused { field, message }) => {
            tally.refused += 1;
            let text = if field.is_empty() { message.clone() } else { format!("{field} {message}") };
            ("refused", text, json!({ "field": field, "message": message }))
        }
    };
    if !json {
        print(&format!("line {number}: {word} {text}"));
        return Ok(());
    }
    let mut line = json!({ "line": number, "result": word });
    if let (Some(line), serde_json::Value::Object(body)) = (line.as_object_mut(), body) {
        line.extend(body);
    }
    print_json(&line)
}

/// The lines of the input with their numbers, one at a time.
enum Lines {
    Jsonl { source: BufReader<Box<dyn Read>>, number: u64 },
    Csv { source: Box<csv::Reader<Box<dyn Read>>>, names: csv::StringRecord },
}

/// The number of a line, and what it says.
type Numbered = (u64, Result<Line, Refused>);

impl Lines {
    fn new(source: Box<dyn Read>, format: ImportFormat) -> Result<Self, Failure> {
        match format {
            ImportFormat::Jsonl => Ok(Self::Jsonl { source: BufReader::new(source), number: 0 }),
            ImportFormat::Csv => {
                let mut source = csv::ReaderBuilder::new().from_reader(source);
                let names =
                    source.headers().map_err(|_| Failure::usage("the first line holds no names in UTF-8"))?.clone();
                let known = |name: &str| {
                    matches!(
                        name,
                        "value"
                            | "sha256"
                            | "last_three"
                            | "kind"
                            | "name"
                            | "external_reference"
                            | "state"
                            | "valid_from"
                            | "valid_until"
                            | "scopes"
                            | "allowed_origins"
                            | "allowed_ips"
                            | "metadata"
                    )
                };
                if let Some(unknown) = names.iter().find(|name| !known(name)) {
                    return Err(Failure::usage(format!("the column {unknown:?} is not known; see docs/cli.md")));
                }
                Ok(Self::Csv { source: Box::new(source), names })
            }
        }
    }

    fn next(&mut self) -> Result<Option<Numbered>, Failure> {
        match self {
            Self::Jsonl { source, number } => loop {
                let mut bytes = Zeroizing::new(Vec::new());
                let read = source.by_ref().take(MOST_LINE + 1).read_until(b'\n', &mut bytes);
                let read = read.context("the keys cannot be read")?;
                if read == 0 {
                    return Ok(None);
                }
                *number += 1;
                if bytes.len() as u64 > MOST_LINE {
                    skip_line(source)?;
                    return Ok(Some((*number, Err(Refused::new("", "is longer than 64 KiB")))));
                }
                if bytes.trim_ascii().is_empty() {
                    continue;
                }
                // The members of a list would be taken in order.
                if !bytes.trim_ascii().starts_with(b"{") {
                    return Ok(Some((*number, Err(Refused::new("", "is not a JSON object")))));
                }
                // What the parser says may repeat the value: the place alone is told.
                let line = serde_json::from_slice::<Line>(&bytes).map_err(|error| match error.classify() {
                    serde_json::error::Category::Data => Refused::new(
                        "",
                        format!("has an unknown member or one of another type at column {}", error.column()),
                    ),
                    _ => Refused::new("", format!("is not JSON from column {} on", error.column())),
                });
                return Ok(Some((*number, line)));
            },
            Self::Csv { source, names } => {
                let mut record = csv::StringRecord::new();
                let number = |source: &csv::Reader<_>| source.position().line();
                match source.read_record(&mut record) {
                    Ok(false) => Ok(None),
                    Ok(true) => {
                        let line = record.position().map_or_else(|| number(source), csv::Position::line);
                        Ok(Some((line, from_record(names, &record))))
                    }
                    Err(error) if error.is_io_error() => {
                        Err(anyhow::Error::new(error).context("the keys cannot be read").into())
                    }
                    Err(error) => {
                        let line = error.position().map_or_else(|| number(source), csv::Position::line);
                        Ok(Some((line, Err(Refused::new("", "is not UTF-8, or has another number of columns")))))
                    }
                }
            }
        }
    }
}

fn skip_line(source: &mut impl BufRead) -> Result<(), Failure> {
    loop {
        let rest = source.fill_buf().context("the keys cannot be read")?;
        if rest.is_empty() {
            return Ok(());
        }
        let end = rest.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(rest.len(), |end| end + 1);
        source.consume(length);
        if end.is_some() {
            return Ok(());
        }
    }
}

/// A line of CSV: an empty cell is an absent member, lists are parted by spaces, metadata is a JSON object.
fn from_record(names: &csv::StringRecord, record: &csv::StringRecord) -> Result<Line, Refused> {
    let mut line = Line::default();
    for (name, cell) in names.iter().zip(record).filter(|(_, cell)| !cell.is_empty()) {
        let text = Some(cell.to_owned());
        let list = || Some(cell.split_whitespace().map(ToOwned::to_owned).collect());
        match name {
            "value" => line.value = Some(Zeroizing::new(cell.to_owned())),
            "sha256" => line.sha256 = text,
            "last_three" => line.last_three = text,
            "kind" => line.kind = text,
            "name" => line.name = text,
            "external_reference" => line.external_reference = text,
            "state" => line.state = text,
            "valid_from" => line.valid_from = text,
            "valid_until" => line.valid_until = text,
            "scopes" => line.scopes = list(),
            "allowed_origins" => line.allowed_origins = list(),
            "allowed_ips" => line.allowed_ips = list(),
            _ => {
                let pairs = serde_json::from_str(cell);
                line.metadata = Some(pairs.map_err(|_| Refused::new("metadata", "is not a JSON object of texts"))?);
            }
        }
    }
    Ok(line)
}

fn draft(line: Line, kind: KeyKind, opened: &Opened, zone: &TimeZone) -> Result<ImportDraft, Refused> {
    let kind = line.kind.as_deref().map(|text| read("kind", text)).transpose()?.unwrap_or(kind);
    let value = match (&line.value, &line.sha256) {
        (Some(text), None) => {
            if line.last_three.is_some() {
                return Err(Refused::new("last_three", "goes with sha256; a value says it itself"));
            }
            let parsed = key_text::parse(text, opened.app.settings().brand());
            let (secret, claim) = parsed.map_err(|error| Refused::new("value", format!("cannot be a key: {error}")))?;
            ImportedValue::Text { secret, claim }
        }
        (None, Some(digest)) => {
            ImportedValue::Sha256 { fingerprint: fingerprint(digest)?, last_three: line.last_three.clone() }
        }
        _ => return Err(Refused::new("value", "or sha256 must be there, one of the two")),
    };
    let when = |field, text: &Option<String>, read: fn(&str, &TimeZone) -> Result<_, Failure>| {
        text.as_deref()
            .map(|text| read(text, zone).map_err(|error| Refused::new(field, error.error().to_string())))
            .transpose()
    };
    let key = KeyDraft {
        name: line.name.as_deref().map(|text| read("name", text)).transpose()?,
        state: line.state.as_deref().map(|text| read("state", text)).transpose()?.unwrap_or(KeyDraft::new(kind).state),
        valid_from: when("valid_from", &line.valid_from, when::start)?,
        valid_until: when("valid_until", &line.valid_until, when::end)?,
        scopes: line.scopes.as_deref().map(|texts| read_all("scopes", texts)).transpose()?,
        allowed_origins: read_all("allowed_origins", line.allowed_origins.as_deref().unwrap_or_default())?,
        allowed_ips: read_all("allowed_ips", line.allowed_ips.as_deref().unwrap_or_default())?,
        metadata: Metadata::try_from(line.metadata.unwrap_or_default())
            .map_err(|error| Refused::new("metadata", error.to_string()))?,
        ..KeyDraft::new(kind)
    };
    let external_reference =
        line.external_reference.as_deref().map(|text| read("external_reference", text)).transpose()?;
    Ok(ImportDraft { key, value, external_reference })
}

/// 64 hexadecimal digits, or base64 of 32 bytes.
fn fingerprint(text: &str) -> Result<KeyFingerprint, Refused> {
    let bad = || Refused::new("sha256", "is neither 64 hexadecimal digits nor 32 bytes in base64");
    let bytes: Vec<u8> = if text.len() == 64 {
        (0..64)
            .step_by(2)
            .map(|at| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect::<Option<_>>()
            .ok_or_else(bad)?
    } else {
        STANDARD.decode(text).map_err(|_| bad())?
    };
    bytes.try_into().map(KeyFingerprint::from_sha256).map_err(|_| bad())
}

fn read<T: std::str::FromStr<Err: std::fmt::Display>>(field: &'static str, text: &str) -> Result<T, Refused> {
    text.parse().map_err(|error: T::Err| Refused::new(field, error.to_string()))
}

fn read_all<T: std::str::FromStr<Err: std::fmt::Display>, C: FromIterator<T>>(
    field: &'static str,
    texts: &[String],
) -> Result<C, Refused> {
    texts.iter().map(|text| read(field, text)).collect()
}
