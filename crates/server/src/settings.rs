//! The configuration: a TOML file, `TROUSSEAU_*` variables and flags, in rising precedence.
//!
//! Unknown names are errors in the file and in the environment alike, so that a misspelt limit is not an absent one.

mod layers;
mod networks;
mod traces;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use trousseau_domain::brand::Brand;
use trousseau_domain::ip_range::IpRange;
use trousseau_domain::profile::{Profile, ProfileName};
use trousseau_domain::scope::{OperatorScope, ScopeCatalogue};
use trousseau_domain::time::TimeZone;
use trousseau_service::mail::{InvalidMailSettings, MailTransport};
use trousseau_service::settings::{InvalidSettings, KEYS_IN_MEMORY, Keep};
use trousseau_service::webhooks::authorities::Authorities;
use trousseau_store::Address;

use self::networks::WrittenNetwork;
use self::traces::WrittenTraces;
pub(crate) use layers::{Flags, Layers, Source};
pub(crate) use traces::TraceSettings;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{path} cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("{place}: {message}")]
    Malformed { place: String, message: String },
    #[error("{0} names no setting")]
    UnknownVariable(String),
    #[error("{1} names no setting: variables are written in capitals, {0}")]
    NotInCapitals(String, String),
    #[error("{source_of} sets both {one} and {other}")]
    Both { source_of: String, one: String, other: String },
    #[error("{name} (from {source_of}): {message}")]
    Invalid { name: String, source_of: String, message: String },
}

/// The shape of the configuration as it is written. Every member is optional; the defaults are in [`Settings::new`].
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    listen: Option<String>,
    database: Option<String>,
    database_file: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    key_file: Option<PathBuf>,
    public_url: Option<String>,
    brand: Option<String>,
    default_profile: Option<String>,
    time_zone: Option<String>,
    profiles: BTreeMap<ProfileName, Profile>,
    scopes: Vec<WrittenScope>,
    trusted_proxies: Vec<String>,
    tls: WrittenTls,
    metrics: WrittenMetrics,
    ext_authz: WrittenExtAuthz,
    traces: WrittenTraces,
    smtp: WrittenSmtp,
    log: WrittenLog,
    limits: WrittenLimits,
    keep: WrittenKeep,
    webhooks: WrittenWebhooks,
    doors: WrittenDoors,
    networks: BTreeMap<String, WrittenNetwork>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenScope {
    name: String,
    description: Bilingual,
    #[serde(default)]
    checkout: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bilingual {
    en: String,
    fr: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenTls {
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenMetrics {
    listen: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenExtAuthz {
    listen: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenSmtp {
    url: Option<String>,
    url_file: Option<PathBuf>,
    from: Option<String>,
}

impl fmt::Debug for WrittenSmtp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WrittenSmtp")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenLog {
    format: Option<String>,
    level: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenLimits {
    connections: Option<u32>,
}

/// Days.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenKeep {
    requests: Option<u32>,
    refusals: Option<u32>,
    usage: Option<u32>,
    deliveries: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenWebhooks {
    allow: Vec<String>,
    authorities: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenDoors {
    fresh_ms: Option<u32>,
    keys_in_memory: Option<u32>,
}

/// The configuration in force, in types that cannot hold nonsense.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    /// May hold a password.
    pub(crate) database: SecretString,
    pub(crate) data_dir: PathBuf,
    pub(crate) key_file: PathBuf,
    pub(crate) public_url: Option<PublicUrl>,
    /// Brand, profiles, scopes: what the use cases ask for.
    pub(crate) rules: trousseau_service::Settings,
    pub(crate) trusted_proxies: Vec<IpRange>,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) ext_authz_listen: Option<SocketAddr>,
    /// Where traces are sent; none where they are off.
    pub(crate) traces: Option<TraceSettings>,
    /// Where mails go.
    pub(crate) mail: MailTransport,
    /// The mail server, which may hold a password; mails become files without one.
    smtp: Option<SecretString>,
    mail_from: String,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: LogLevel,
    /// The most connections served at a time.
    pub(crate) connections: usize,
}

/// A setting as it is in force.
#[derive(Debug)]
pub(crate) struct Explained {
    pub(crate) name: String,
    /// As text, without the password that may be in it.
    pub(crate) value: String,
    /// Whether it may hold a password.
    pub(crate) secret: bool,
    pub(crate) source: Source,
}

/// PEM files of the server's own TLS.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// `http://` or `https://`, a host and perhaps a port: where the world reaches this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicUrl(String);

impl PublicUrl {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Whether what is sent there stays on this machine or is encrypted.
    pub(crate) fn is_private(&self) -> bool {
        let host = self.0.split_once("://").map_or("", |(_, rest)| rest);
        // A colon inside brackets belongs to the address, one behind them to the port.
        let host = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => name,
            _ => host,
        };
        self.is_https() || host == "localhost" || host == "[::1]" || host.starts_with("127.")
    }
}

impl FromStr for PublicUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "a public URL is https://host or https://host:port, without a path";
        let uri: http::Uri = text.parse().map_err(|_| SHAPE)?;
        let authority = uri.authority().ok_or(SHAPE)?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https")).ok_or(SHAPE)?;
        if uri.path() != "/" || uri.query().is_some() || authority.as_str().contains('@') || authority.host().is_empty()
        {
            return Err(SHAPE);
        }
        Ok(Self(format!("{scheme}://{}", authority.as_str().to_ascii_lowercase())))
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("a log format is text or json"),
        }
    }
}

/// The least urgent line that is still written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogLevel(pub(crate) tracing::Level);

impl FromStr for LogLevel {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(match text {
            "trace" => tracing::Level::TRACE,
            "debug" => tracing::Level::DEBUG,
            "info" => tracing::Level::INFO,
            "warn" => tracing::Level::WARN,
            "error" => tracing::Level::ERROR,
            _ => return Err("a log level is trace, debug, info, warn or error"),
        }))
    }
}

impl Settings {
    /// Reads every layer and checks the result.
    pub(crate) fn load(flags: &Flags) -> Result<(Self, Layers), SettingsError> {
        let layers = Layers::read(flags, std::env::vars_os())?;
        let settings = Self::new(&layers)?;
        Ok((settings, layers))
    }

    fn new(layers: &Layers) -> Result<Self, SettingsError> {
        let written: Written =
            layers.table().clone().try_into().map_err(|error: toml::de::Error| SettingsError::Malformed {
                place: "the configuration".to_owned(),
                message: error.to_string().trim_end().to_owned(),
            })?;
        let data_dir = written.data_dir.unwrap_or_else(|| PathBuf::from("trousseau-data"));
        let database = database(layers, written.database, written.database_file, &data_dir)?;
        let scopes = catalogue(layers, written.scopes)?;
        let brand: Option<Brand> = written.brand.map(|text| parse(layers, "brand", &text)).transpose()?;
        let default_profile: ProfileName =
            parse(layers, "default_profile", written.default_profile.as_deref().unwrap_or("mileston"))?;
        let time_zone: TimeZone = parse(layers, "time_zone", written.time_zone.as_deref().unwrap_or("Europe/Paris"))?;
        let keep = keep(layers, &written.keep)?;
        let networks = networks::networks(layers, written.networks)?;
        let (webhook_networks, webhook_authorities) = webhooks(layers, &written.webhooks)?;
        let answers_kept = answers_kept(layers, &written.doors)?;
        let keys_in_memory = keys_in_memory(layers, &written.doors)?;
        let rules = trousseau_service::Settings::new(
            brand.unwrap_or_default(),
            written.profiles,
            default_profile,
            scopes,
            time_zone,
        )
        .map(|rules| {
            rules
                .with_keep(keep)
                .with_webhook_networks(webhook_networks)
                .with_webhook_authorities(webhook_authorities)
                .with_networks(networks)
                .with_answers_kept(answers_kept)
                .with_keys_in_memory(keys_in_memory)
        })
        .map_err(|error| {
            let name = match &error {
                InvalidSettings::UnknownProfile(_) => "default_profile",
                InvalidSettings::PresetRedefined(_) | InvalidSettings::Profile { .. } => "profiles",
            };
            layers.invalid(name, error)
        })?;
        let tls = tls_files(layers, written.tls)?;
        let metrics_listen = listener(layers, "metrics.listen", written.metrics.listen)?;
        let ext_authz_listen = listener(layers, "ext_authz.listen", written.ext_authz.listen)?;
        let connections = written.limits.connections.unwrap_or(10_000);
        check(
            layers,
            "limits.connections",
            (1..=1_000_000).contains(&connections).then_some(()).ok_or("1 to 1000000"),
        )?;
        let listen = address(layers, "listen", written.listen.as_deref().unwrap_or("127.0.0.1:8080"))?;
        apart(
            layers,
            &[("listen", Some(listen)), ("metrics.listen", metrics_listen), ("ext_authz.listen", ext_authz_listen)],
        )?;
        let public_url: Option<PublicUrl> =
            written.public_url.map(|text| parse(layers, "public_url", &text)).transpose()?;
        let reached_at = match &public_url {
            Some(url) => url.as_str().to_owned(),
            None => local_url(tls.is_some(), listen),
        };
        let rules = rules.with_address(parse(layers, "public_url", &reached_at)?);
        let smtp = secret(layers, written.smtp.url, "smtp.url_file", written.smtp.url_file)?;
        let mail_from = written.smtp.from.unwrap_or_else(|| "trousseau@localhost".to_owned());
        let mail = match &smtp {
            Some(url) => MailTransport::smtp(url.expose_secret(), &mail_from),
            None => MailTransport::folder(data_dir.join("mails"), &mail_from),
        };
        let mail = mail.map_err(|error| {
            let name = match error {
                InvalidMailSettings::Url => "smtp.url",
                InvalidMailSettings::From => "smtp.from",
            };
            layers.invalid(name, error)
        })?;
        Ok(Self {
            listen,
            mail,
            smtp,
            mail_from,
            database,
            key_file: written.key_file.unwrap_or_else(|| data_dir.join("keys.toml")),
            data_dir,
            public_url,
            rules,
            trusted_proxies: written
                .trusted_proxies
                .iter()
                .map(|text| parse(layers, "trusted_proxies", text))
                .collect::<Result<_, _>>()?,
            tls,
            metrics_listen,
            ext_authz_listen,
            traces: traces::traces(layers, written.traces)?,
            log_format: parse(layers, "log.format", written.log.format.as_deref().unwrap_or("text"))?,
            log_level: parse(layers, "log.level", written.log.level.as_deref().unwrap_or("info"))?,
            connections: usize::try_from(connections).expect("at most a million"),
        })
    }

    /// Every setting with its value as text, secrets left out, and where it came from.
    pub(crate) fn explain(&self, layers: &Layers) -> Vec<Explained> {
        let path = |path: &Path| path.display().to_string();
        let optional = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let list = |values: Vec<String>| {
            if values.is_empty() { "-".to_owned() } else { values.join(", ") }
        };
        let rows = [
            ("listen", self.listen.to_string()),
            ("database", redacted_url(self.database.expose_secret())),
            ("data_dir", path(&self.data_dir)),
            ("key_file", path(&self.key_file)),
            ("public_url", optional(self.public_url.as_ref().map(|url| url.as_str().to_owned()))),
            ("brand", self.rules.brand().to_string()),
            ("default_profile", self.rules.default_profile().to_string()),
            ("time_zone", self.rules.default_time_zone().to_string()),
            ("profiles", list(self.rules.profiles().map(|(name, _)| name.to_string()).collect())),
            ("scopes", list(self.rules.catalogue().operator_scopes().map(|scope| scope.name.to_string()).collect())),
            ("trusted_proxies", list(self.trusted_proxies.iter().map(ToString::to_string).collect())),
            ("tls.cert", optional(self.tls.as_ref().map(|tls| path(&tls.cert)))),
            ("tls.key", optional(self.tls.as_ref().map(|tls| path(&tls.key)))),
            ("metrics.listen", optional(self.metrics_listen.map(|address| address.to_string()))),
            ("ext_authz.listen", optional(self.ext_authz_listen.map(|address| address.to_string()))),
            ("smtp.url", optional(self.smtp.as_ref().map(|url| redacted_url(url.expose_secret())))),
            ("smtp.from", self.mail_from.clone()),
            ("log.format", if self.log_format == LogFormat::Json { "json" } else { "text" }.to_owned()),
            ("log.level", self.log_level.0.to_string().to_ascii_lowercase()),
            ("limits.connections", self.connections.to_string()),
            ("keep.requests", in_days(self.rules.keep().requests)),
            ("keep.refusals", in_days(self.rules.keep().refusals)),
            ("keep.usage", in_days(self.rules.keep().usage)),
            ("keep.deliveries", in_days(self.rules.keep().deliveries)),
            ("doors.fresh_ms", self.rules.answers_kept().map_or(0, |kept| kept.as_millis()).to_string()),
            ("doors.keys_in_memory", self.rules.keys_in_memory().to_string()),
            ("webhooks.allow", list(self.rules.webhook_networks().iter().map(ToString::to_string).collect())),
            (
                "webhooks.authorities",
                match self.rules.webhook_authorities().count() {
                    0 => "-".to_owned(),
                    count => format!("{count} of the operator's own"),
                },
            ),
        ];
        let mut networks: Vec<_> = self.rules.networks().iter().flat_map(networks::explain).collect();
        if networks.is_empty() {
            networks.push(("networks".to_owned(), "-".to_owned()));
        }
        let in_file = |name: &str| name.ends_with(".endpoints") || name == "traces.headers";
        rows.into_iter()
            .chain(traces::explain(self.traces.as_ref()))
            .map(|(name, value)| (name.to_owned(), value))
            .chain(networks)
            .map(|(name, value)| {
                let origin = match name.as_str() {
                    "database" if layers.source("database") == Source::Default => layers.source("database_file"),
                    "smtp.url" if layers.source("smtp.url") == Source::Default => layers.source("smtp.url_file"),
                    _ if in_file(&name) && layers.source(&name) == Source::Default => {
                        layers.source(&format!("{name}_file"))
                    }
                    _ => layers.source(&name),
                };
                let secret = match name.as_str() {
                    "database" => {
                        matches!(trousseau_store::address(self.database.expose_secret()), Ok(Address::Postgres))
                    }
                    "smtp.url" => self.smtp.is_some(),
                    _ => false,
                };
                Explained { name, value, secret, source: origin }
            })
            .collect()
    }
}

/// The address of a listener that is there only if it is set.
fn listener(layers: &Layers, name: &str, text: Option<String>) -> Result<Option<SocketAddr>, SettingsError> {
    text.map(|text| address(layers, name, &text)).transpose()
}

/// No two listeners may want the same address. Where one wants all of a machine's, others can have none of that port.
fn apart(layers: &Layers, listeners: &[(&str, Option<SocketAddr>)]) -> Result<(), SettingsError> {
    let listeners: Vec<_> = listeners.iter().filter_map(|(name, address)| Some((*name, (*address)?))).collect();
    for (index, (name, one)) in listeners.iter().enumerate() {
        let taken = listeners[..index].iter().find(|(_, other)| {
            let all = one.ip().is_unspecified() || other.ip().is_unspecified();
            let same = one.ip() == other.ip() || (all && one.is_ipv4() == other.is_ipv4());
            // The system chooses a port for 0.
            same && one.port() == other.port() && one.port() != 0
        });
        if let Some((other, address)) = taken {
            return Err(layers.invalid(name, format!("{other} is {address}, and both cannot listen there")));
        }
    }
    Ok(())
}

fn address(layers: &Layers, name: &str, text: &str) -> Result<SocketAddr, SettingsError> {
    let shape = "an address to listen on is numbers and a port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080";
    text.parse().map_err(|_| layers.invalid(name, shape))
}

/// How a browser on this machine reaches `address`: by a name where there is one, because passkeys want one.
pub(crate) fn local_url(tls: bool, address: SocketAddr) -> String {
    let scheme = if tls { "https" } else { "http" };
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        format!("{scheme}://localhost:{}", address.port())
    } else {
        format!("{scheme}://{address}")
    }
}

/// A database address without its password. That may hold what it should not, unescaped: it ends at the last `@`.
fn redacted_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
    let (host, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let authority = match user.map(|user| user.split_once(':').ok_or(user)) {
        Some(Ok((name, _))) => format!("{name}:***@{host}"),
        // Without a colon before them, it is not sure that there is a name and no secret.
        Some(Err(name)) if name.contains(['/', '?', '@']) => format!("***@{host}"),
        Some(Err(name)) => format!("{name}@{host}"),
        None => host.to_owned(),
    };
    // A password may stand in the query as well.
    let tail = tail.split_once('?').map_or_else(|| tail.to_owned(), |(path, _)| format!("{path}?***"));
    format!("{scheme}://{authority}{tail}")
}

/// The content of a file that holds secrets.
fn read_secrets(layers: &Layers, name: &str, path: &Path) -> Result<String, SettingsError> {
    std::fs::read_to_string(path)
        .map_err(|error| layers.invalid(name, format!("{} cannot be read: {error}", path.display())))
}

/// The content of a file that holds one secret, without the line break at its end.
fn read_secret(layers: &Layers, name: &str, path: &Path) -> Result<String, SettingsError> {
    let text = read_secrets(layers, name, path)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    // Whoever reads an address would pass line breaks over, and take a second line for more of it.
    if secret.contains(['\r', '\n']) {
        return Err(layers.invalid(name, format!("{} holds more than one line", path.display())));
    }
    Ok(secret.to_owned())
}

/// A secret as it is written, or as a file holds it.
fn secret(
    layers: &Layers,
    written: Option<String>,
    file_name: &str,
    file: Option<PathBuf>,
) -> Result<Option<SecretString>, SettingsError> {
    match (written, file) {
        (Some(secret), _) => Ok(Some(SecretString::from(secret))),
        (None, Some(path)) => Ok(Some(SecretString::from(read_secret(layers, file_name, &path)?))),
        (None, None) => Ok(None),
    }
}

/// The address of the database.
fn database(
    layers: &Layers,
    url: Option<String>,
    file: Option<PathBuf>,
    data_dir: &Path,
) -> Result<SecretString, SettingsError> {
    let name = if file.is_some() { "database_file" } else { "database" };
    let database = secret(layers, url, "database_file", file)?
        .unwrap_or_else(|| SecretString::from(format!("sqlite:{}", data_dir.join("trousseau.db").display())));
    check(layers, name, trousseau_store::address(database.expose_secret()).map(drop))?;
    Ok(database)
}

/// The files of the certificate: both or none.
fn tls_files(layers: &Layers, written: WrittenTls) -> Result<Option<TlsFiles>, SettingsError> {
    match (written.cert, written.key) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        (None, None) => Ok(None),
        (cert, _) => {
            let (there, lacking) = if cert.is_some() { ("tls.cert", "tls.key") } else { ("tls.key", "tls.cert") };
            Err(layers.invalid(there, format!("{lacking} is needed too")))
        }
    }
}

/// How long an answer of a door may be kept; none where it may not be.
fn answers_kept(layers: &Layers, written: &WrittenDoors) -> Result<Option<Duration>, SettingsError> {
    let fresh_ms = written.fresh_ms.unwrap_or(0);
    check(layers, "doors.fresh_ms", (0..=1_000).contains(&fresh_ms).then_some(()).ok_or("0 to 1000"))?;
    Ok((fresh_ms > 0).then(|| Duration::from_millis(u64::from(fresh_ms))))
}

/// How many values of keys are answered from memory.
fn keys_in_memory(layers: &Layers, written: &WrittenDoors) -> Result<usize, SettingsError> {
    let Some(wanted) = written.keys_in_memory else { return Ok(KEYS_IN_MEMORY) };
    let most = 200_000_000;
    check(layers, "doors.keys_in_memory", (wanted <= most).then_some(()).ok_or("0 to 200000000"))?;
    usize::try_from(wanted).map_err(|_| layers.invalid("doors.keys_in_memory", "is beyond this machine"))
}

/// Where webhooks may be sent beside the public internet, and by whom receivers are trusted.
fn webhooks(layers: &Layers, written: &WrittenWebhooks) -> Result<(Vec<IpRange>, Authorities), SettingsError> {
    let ranges = written.allow.iter().map(|text| parse(layers, "webhooks.allow", text));
    let authorities = written.authorities.as_deref().map(|path| authorities(layers, path)).transpose()?;
    Ok((ranges.collect::<Result<_, _>>()?, authorities.unwrap_or_default()))
}

/// The certificate authorities in a file.
fn authorities(layers: &Layers, path: &Path) -> Result<Authorities, SettingsError> {
    const NAME: &str = "webhooks.authorities";
    let text = std::fs::read(path)
        .map_err(|error| layers.invalid(NAME, format!("{} cannot be read: {error}", path.display())))?;
    Authorities::from_pem(&text).map_err(|error| layers.invalid(NAME, format!("{} {error}", path.display())))
}

fn parse<T: FromStr<Err: fmt::Display>>(layers: &Layers, name: &str, text: &str) -> Result<T, SettingsError> {
    text.parse().map_err(|error| layers.invalid(name, error))
}

/// The platform's own scopes beside the built-in ones.
fn catalogue(layers: &Layers, written: Vec<WrittenScope>) -> Result<ScopeCatalogue, SettingsError> {
    let scopes = written.into_iter().map(|scope| {
        Ok(OperatorScope {
            name: parse(layers, "scopes", &scope.name)?,
            description_en: scope.description.en,
            description_fr: scope.description.fr,
            checkout: scope.checkout,
        })
    });
    let scopes = scopes.collect::<Result<Vec<_>, SettingsError>>()?;
    ScopeCatalogue::new(scopes).map_err(|error| layers.invalid("scopes", error))
}

/// How long what was recorded is kept.
fn keep(layers: &Layers, written: &WrittenKeep) -> Result<Keep, SettingsError> {
    let usual = Keep::default();
    Ok(Keep {
        requests: days(layers, "keep.requests", written.requests, usual.requests)?,
        refusals: days(layers, "keep.refusals", written.refusals, usual.refusals)?,
        usage: days(layers, "keep.usage", written.usage, usual.usage)?,
        deliveries: days(layers, "keep.deliveries", written.deliveries, usual.deliveries)?,
    })
}

/// How long something is kept, from 1 day to 10 years.
fn days(layers: &Layers, name: &str, written: Option<u32>, usual: Duration) -> Result<Duration, SettingsError> {
    let Some(days) = written else { return Ok(usual) };
    check(layers, name, (1..=3_650).contains(&days).then_some(()).ok_or("1 to 3650 days"))?;
    Ok(Duration::from_hours(24 * u64::from(days)))
}

fn in_days(time: Duration) -> String {
    (time.as_secs() / 86_400).to_string()
}

fn check<E: fmt::Display>(layers: &Layers, name: &str, result: Result<(), E>) -> Result<(), SettingsError> {
    result.map_err(|error| layers.invalid(name, error))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use trousseau_domain::environment::Environment;

    use super::*;

    fn load(flags: &Flags, env: &[(&str, &str)]) -> Result<Settings, String> {
        let env = env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Layers::read(flags, env).and_then(|layers| Settings::new(&layers)).map_err(|error| error.to_string())
    }

    fn env(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        load(&Flags::default(), pairs)
    }

    #[test]
    fn nothing_at_all_gives_the_defaults() {
        let settings =
            env(&[("PATH", "/bin"), ("TROUSSEAU_TEST_ANYTHING", "x"), ("TROUSSEAU_KEY", "x")]).expect("defaults");
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.database.expose_secret(), "sqlite:trousseau-data/trousseau.db");
        assert_eq!(settings.key_file, Path::new("trousseau-data/keys.toml"));
        assert_eq!(settings.rules.brand().as_str(), "Mileston");
    }

    #[test]
    fn variables_reach_nested_settings_and_lists() {
        let settings = env(&[
            ("TROUSSEAU_LIMITS__CONNECTIONS", "12"),
            ("TROUSSEAU_LOG__FORMAT", "json"),
            ("TROUSSEAU_KEEP__USAGE", "40"),
            ("TROUSSEAU_WEBHOOKS__ALLOW", "127.0.0.0/8,::1"),
            ("TROUSSEAU_TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1"),
            ("TROUSSEAU_SCOPES", r#"[{name="ledger:post",description={en="Post",fr="Poster"}}]"#),
        ])
        .expect("good");
        assert_eq!(settings.connections, 12);
        assert_eq!(settings.rules.keep().usage, Duration::from_hours(40 * 24));
        assert_eq!(settings.rules.keep().refusals, Keep::default().refusals);
        assert_eq!(settings.log_format, LogFormat::Json);
        assert_eq!(settings.trusted_proxies.len(), 2);
        assert_eq!(settings.rules.webhook_networks().len(), 2);
        assert_eq!(settings.rules.catalogue().operator_scopes().count(), 1);
    }

    #[test]
    fn unknown_names_and_bad_values_are_errors_that_name_them() {
        for (name, value) in [
            ("TROUSSEAU_LISTN", "127.0.0.1:1"),
            ("TROUSSEAU_TLS__CRT", "a"),
            ("TROUSSEAU_TLS", "a"),
            ("TROUSSEAU_LISTEN", "nowhere"),
            ("TROUSSEAU_BRAND", "Ü"),
            ("TROUSSEAU_LIMITS__CONNECTIONS", "many"),
            ("TROUSSEAU_LIMITS__CONNECTIONS", "0"),
            ("TROUSSEAU_KEEP__REQUESTS", "0"),
            ("TROUSSEAU_KEEP__USAGE", "9999"),
            ("TROUSSEAU_DATABASE", "mysql://x"),
            ("TROUSSEAU_DATABASE", "sqlite:"),
            ("TROUSSEAU_DATABASE", "sqlite::memory:"),
            ("TROUSSEAU_DATABASE", "sqlite:here.db?mode=ro"),
            ("TROUSSEAU_DATABASE", "postgres://db:port/keys"),
            ("TROUSSEAU_DATABASE", "postgres://db/keys?pooling=statement"),
            ("TROUSSEAU_TRACES__RATIO", "1.5"),
            ("TROUSSEAU_METRICS__LISTEN", "127.0.0.1:8080"),
            ("TROUSSEAU_METRICS__LISTEN", "0.0.0.0:8080"),
            ("TROUSSEAU_EXT_AUTHZ__LISTEN", "127.0.0.1:8080"),
            ("TROUSSEAU_listen", "127.0.0.1:1"),
            ("TROUSSEAU_Log__FORMAT", "json"),
            ("trousseau_listen", "127.0.0.1:1"),
            ("TROUSSEAU_TLS__CERT", "cert.pem"),
            ("TROUSSEAU_PUBLIC_URL", "https://example.com/path"),
            ("TROUSSEAU_TIME_ZONE", "Mars/Base"),
        ] {
            let message = env(&[(name, value)]).expect_err(name);
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn flags_win_over_variables_and_an_address_over_the_file_of_a_lower_layer() {
        let mut flags = Flags::default();
        flags.set("listen", "--listen", "127.0.0.1:2");
        flags.set("database", "--database", "sqlite:here.db");
        let settings = load(&flags, &[("TROUSSEAU_LISTEN", "127.0.0.1:1"), ("TROUSSEAU_DATABASE_FILE", "/nowhere")])
            .expect("good");
        assert_eq!(settings.listen.port(), 2);
        assert_eq!(settings.database.expose_secret(), "sqlite:here.db");
        let both = env(&[("TROUSSEAU_DATABASE", "sqlite:x"), ("TROUSSEAU_DATABASE_FILE", "/nowhere")]);
        assert!(both.expect_err("both").contains("database_file"));
    }

    #[test]
    fn passwords_are_not_explained() {
        assert_eq!(
            redacted_url("postgres://ann:s3cret@db:5432/keys?password=x"),
            "postgres://ann:***@db:5432/keys?***"
        );
        for (secret, shown) in [
            ("postgres://u:se/cret@h/db", "postgres://u:***@h/db"),
            ("postgres://u:se?cret@h/db?password=x", "postgres://u:***@h/db?***"),
            ("postgres://u:s@cret@h/db", "postgres://u:***@h/db"),
            ("postgres://se/cret@h/db", "postgres://***@h/db"),
            ("postgres://u@h/db", "postgres://u@h/db"),
            ("smtps://u:p@mail.example.com", "smtps://u:***@mail.example.com"),
        ] {
            assert_eq!(redacted_url(secret), shown);
        }
        assert_eq!(redacted_url("postgres://db/keys"), "postgres://db/keys");
        assert_eq!(redacted_url("sqlite:trousseau-data/trousseau.db"), "sqlite:trousseau-data/trousseau.db");
    }

    #[test]
    fn the_printed_address_can_be_opened() {
        for (address, url) in [
            ("127.0.0.1:8080", "http://localhost:8080"),
            ("0.0.0.0:80", "http://localhost:80"),
            ("[::1]:8080", "http://localhost:8080"),
            ("192.0.2.1:8080", "http://192.0.2.1:8080"),
        ] {
            assert_eq!(local_url(false, address.parse().expect("an address")), url);
        }
    }

    #[test]
    fn mail_goes_to_a_server_or_into_the_data_folder() {
        let settings = env(&[]).expect("defaults");
        assert!(
            matches!(&settings.mail, MailTransport::Folder { path, .. } if path == Path::new("trousseau-data/mails"))
        );
        let settings = env(&[
            ("TROUSSEAU_SMTP__URL", "smtps://ann:hunter2@mail.example.com"),
            ("TROUSSEAU_SMTP__FROM", "Keys <keys@example.com>"),
        ])
        .expect("good");
        assert!(matches!(settings.mail, MailTransport::Smtp { .. }));
        assert!(!format!("{settings:?}").contains("hunter2"));
        for (name, value) in [("TROUSSEAU_SMTP__URL", "ftp://u:hunter2@h"), ("TROUSSEAU_SMTP__FROM", "nobody")] {
            let message = env(&[(name, value)]).expect_err(name);
            assert!(message.contains(name) && !message.contains("hunter2"), "{message}");
        }
        let both = env(&[("TROUSSEAU_SMTP__URL", "smtps://h"), ("TROUSSEAU_SMTP__URL_FILE", "/nowhere")]);
        assert!(both.expect_err("both").contains("smtp.url_file"));
    }

    #[test]
    fn well_known_networks_need_no_more_than_an_endpoint() {
        let settings = env(&[
            ("TROUSSEAU_NETWORKS__BASE__ENDPOINTS", "https://user:hunter2@a.example/k3y, https://b.example"),
            ("TROUSSEAU_NETWORKS__ETH__ENDPOINTS", "https://c.example | x-api-key: hunter2"),
            ("TROUSSEAU_NETWORKS__ETH__CONFIRMATIONS", "finalized"),
        ])
        .expect("good");
        let [base, eth] = settings.rules.networks() else { panic!("two networks") };
        assert_eq!((base.chain.as_str(), base.endpoints.len(), base.poll), ("eip155:8453", 2, Duration::from_secs(2)));
        let usdc = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
        assert_eq!(base.tokens[0].contract.to_string(), usdc);
        assert_eq!(eth.confirmations.bands().len(), 1);
        let told = format!("{settings:?} {:?}", settings.explain(&Layers::default()));
        assert!(!told.contains("hunter2") && !told.contains("k3y") && !told.contains("a.example"), "{told}");
        assert!(told.contains("networks.base.endpoints") && told.contains(usdc), "{told}");
        assert!(env(&[]).expect("defaults").rules.networks().is_empty());
    }

    #[test]
    fn other_networks_and_tokens_are_data() {
        let settings = env(&[(
            "TROUSSEAU_NETWORKS",
            r#"{ local = { chain = "eip155:31337", endpoints = "http://127.0.0.1:8545", max_span = 50,
                tokens = { USDC = { contract = "0x5fbdb2315678afecb367f032d93f642f64180aa3", decimals = 6 },
                           EURC = { contract = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512", decimals = 6 } },
                notice = ["0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0"], poll = 1, timeout = 3, stale_after = 60,
                confirmations = [{ from = 0, needs = 2 }, { from = 500, needs = "safe" }] } }"#,
        )])
        .expect("good");
        let [local] = settings.rules.networks() else { panic!("one network") };
        assert_eq!((local.name.as_str(), local.tokens.len(), local.noticed.len()), ("local", 2, 1));
        assert_eq!((local.max_span, local.timeout), (50, Duration::from_secs(3)));
        assert_eq!(local.confirmations.bands().len(), 2);
        let explained = settings.explain(&Layers::default());
        let bands = explained.iter().find(|row| row.name == "networks.local.confirmations").expect("explained");
        assert_eq!(bands.value, "2 from 0, safe from 500");
    }

    #[test]
    fn a_token_can_be_put_together_of_variables() {
        let contract = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
        let settings = env(&[
            ("TROUSSEAU_NETWORKS__LOCAL__CHAIN", "eip155:31337"),
            ("TROUSSEAU_NETWORKS__LOCAL__ENDPOINTS", "http://127.0.0.1:8545"),
            ("TROUSSEAU_NETWORKS__LOCAL__TOKENS__USDC__CONTRACT", contract),
            ("TROUSSEAU_NETWORKS__LOCAL__TOKENS__USDC__DECIMALS", "6"),
        ])
        .expect("good");
        assert_eq!(settings.rules.networks()[0].tokens[0].contract.to_string(), contract);
    }

    #[test]
    fn test_money_stays_in_test_and_real_money_out_of_it() {
        let networks = |value: &str| env(&[("TROUSSEAU_NETWORKS", value)]);
        let settings = networks(
            r#"{ base_sepolia = { environment = "test", endpoints = "http://a" }, eth = { endpoints = "http://b" } }"#,
        )
        .expect("good");
        let [test, live] = settings.rules.networks() else { panic!("two networks") };
        assert_eq!((test.environment, test.chain.as_str()), (Environment::Test, "eip155:84532"));
        assert_eq!(test.tokens[0].contract.to_string(), "0x036CbD53842c5426634e7929541eC2318f3dCF7e");
        assert_eq!((live.environment, live.chain.as_str()), (Environment::Live, "eip155:1"));
        // A chain of one's own is good for either.
        let local = r#"{ local = { chain = "eip155:31337", endpoints = "http://a", ENV,
            tokens = { USDC = { contract = "0x5fbdb2315678afecb367f032d93f642f64180aa3", decimals = 6 } } } }"#;
        for (written, environment) in [
            (r#"environment = "test""#, Environment::Test),
            (r#"environment = "live""#, Environment::Live),
            ("poll = 1", Environment::Live),
        ] {
            let settings = networks(&local.replace("ENV", written)).expect("good");
            assert_eq!(settings.rules.networks()[0].environment, environment, "{written}");
        }
        // By a variable, too, and by somebody who knows what they do.
        let tried = env(&[
            ("TROUSSEAU_NETWORKS__SEPOLIA__ENDPOINTS", "http://a"),
            ("TROUSSEAU_NETWORKS__SEPOLIA__ALLOW_TEST_NETWORK", "true"),
        ]);
        assert_eq!(tried.expect("good").rules.networks()[0].environment, Environment::Live);
        for (value, told) in [
            (r#"{ base = { environment = "test", endpoints = "http://a" } }"#, "such as networks.base_sepolia"),
            (
                r#"{ mine = { chain = "eip155:10", environment = "test", endpoints = "http://a" } }"#,
                "eip155:10 holds real money",
            ),
            (r#"{ sepolia = { endpoints = "http://a" } }"#, "networks.sepolia.environment = \"test\""),
            (r#"{ x = { chain = "eip155:84532", endpoints = "http://a" } }"#, "worth nothing"),
            (
                r#"{ fuji = { environment = "test", allow_test_network = true, endpoints = "http://a" } }"#,
                "networks.fuji.allow_test_network",
            ),
            (r#"{ base = { environment = "prod", endpoints = "http://a" } }"#, "networks.base.environment"),
            (r#"{ amoy = { chain = "eip155:137", endpoints = "http://a" } }"#, "the name is that of eip155:80002"),
        ] {
            let message = networks(value).expect_err(value);
            assert!(message.contains(told), "{value}: {message}");
        }
    }

    #[test]
    fn a_network_that_makes_no_sense_is_named_without_its_secrets() {
        let local = |rest: &str| format!(r#"{{ local = {{ chain = "eip155:31337", {rest} }} }}"#);
        let usdc = r#"tokens = { USDC = { contract = "0x5fbdb2315678afecb367f032d93f642f64180aa3", decimals = 6 } }"#;
        let good = format!(r#"endpoints = ["http://localhost"], {usdc}"#);
        for (value, told) in [
            (local(""), "networks.local.endpoints"),
            (local(r#"endpoints = ["http://localhost"]"#), "networks.local.tokens"),
            (local(&format!(r#"endpoints = ["http://localhost", "hunter2"], {usdc}"#)), "endpoint 2"),
            (local(&format!(r#"endpoints = {{ a = "hunter2" }}, {usdc}"#)), "a text or a list of texts"),
            (local(&format!("{good}, confirmations = 0")), "networks.local.confirmations"),
            (local(&format!("{good}, confirmations = [{{ from = 5, needs = 1 }}]")), "begin with the amount 0"),
            (local(&format!("{good}, poll = 0")), "networks.local.poll"),
            (local(&format!("{good}, late_after = 0")), "networks.local.late_after"),
            (local(&format!("{good}, title = ''")), "networks.local.title"),
            (local(&format!("{good}, final_after = {{ safe = 0 }}")), "networks.local.final_after.safe"),
            (local(&format!("{good}, explorer.block = 'https://scan.example/'")), "networks.local.explorer.block"),
            (
                local(&format!("{good}, explorer.transaction = 'http://scan.example/{{hash}}'")),
                "networks.local.explorer.transaction",
            ),
            (local(&format!("{good}, polls = 1")), "unknown field"),
            (local(&good.replace("decimals = 6", "decimals = 18")), "networks.local.tokens.USDC.decimals"),
            (local(&good.replace("0x5f", "0x5F")), "networks.local.tokens.USDC.contract"),
            (local(&good.replace("USDC =", "EURC =").replace("decimals = 6", "decimals = 2")), "EURC has 6 decimals"),
            (
                local(&good.replace("USDC =", "GOLD =")).replace(
                    "{ local",
                    r#"{ a = { chain = "eip155:2", endpoints = "http://a",
                         tokens = { GOLD = { contract = "0x5fbdb2315678afecb367f032d93f642f64180aa3", decimals = 8 } } }, local"#,
                ),
                "networks.local.tokens.GOLD.decimals",
            ),
            (local(&good).replace("eip155:31337", "solana:mainnet"), "networks.local.chain"),
            (local(&good).replace("local", "base"), "the name is that of eip155:8453"),
            (r#"{ local = { endpoints = ["http://localhost"] } }"#.to_owned(), "networks.local.chain"),
            (r#"{ "Lo cal" = { chain = "eip155:1", endpoints = ["http://localhost"] } }"#.to_owned(), "small letters"),
            (
                r#"{ base = { endpoints = ["http://a"] }, other = { chain = "eip155:8453", endpoints = ["http://b"] } }"#
                    .to_owned(),
                "same chain as networks.base",
            ),
        ] {
            let message = env(&[("TROUSSEAU_NETWORKS", &value)]).expect_err(&value);
            assert!(message.contains(told) && !message.contains("hunter2"), "{value}: {message}");
        }
        let both = env(&[
            ("TROUSSEAU_NETWORKS__BASE__ENDPOINTS", "https://a.example"),
            ("TROUSSEAU_NETWORKS__BASE__ENDPOINTS_FILE", "/nowhere"),
        ]);
        assert!(both.expect_err("both").contains("networks.base.endpoints_file"));
        let lacking = env(&[("TROUSSEAU_NETWORKS__BASE__ENDPOINTS_FILE", "/nowhere")]).expect_err("no file");
        assert!(lacking.contains("networks.base.endpoints_file"), "{lacking}");
    }

    #[test]
    fn public_urls_know_whether_they_are_private() {
        for (text, private) in [
            ("https://keys.example.com", true),
            ("http://localhost:8080", true),
            ("http://127.0.0.1", true),
            ("http://[::1]:8080", true),
            ("http://keys.example.com", false),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(text.parse::<PublicUrl>().expect(text).is_private(), private, "{text}");
        }
        for bad in ["", "keys.example.com", "ftp://a", "https://a/b", "https://u:p@a", "https://a?x=1"] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad}");
        }
    }
}
