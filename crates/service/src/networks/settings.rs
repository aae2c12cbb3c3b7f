//! What the operator says about a network: where it is asked, which tokens count, when a transfer is final.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use trousseau_domain::environment::Environment;
use trousseau_domain::evm::EvmAddress;
use trousseau_domain::ledger::{ConfirmationPolicy, LedgerId};
use trousseau_domain::money::Asset;
use trousseau_domain::networks::ChainId;
use url::Url;

/// A network that is watched for payments of one environment.
#[derive(Debug, Clone)]
pub struct NetworkSettings {
    /// What the settings call it: `base` of `networks.base`.
    pub name: String,
    /// Which network it is.
    pub chain: ChainId,
    /// Whose payments are made on it. Those of the other environment never are.
    pub environment: Environment,
    /// Where it is asked, the preferred endpoint first; at least one.
    pub endpoints: Vec<EndpointUrl>,
    /// The tokens that payments are made in.
    pub tokens: Vec<Token>,
    /// Contracts of tokens that are not accepted, and whose arrival is told all the same.
    pub noticed: Vec<EvmAddress>,
    /// When a transfer is final.
    pub confirmations: ConfirmationPolicy,
    /// The most blocks that one question for logs spans; an endpoint that answers fewer is asked for fewer.
    pub max_span: u32,
    /// How often it is looked at.
    pub poll: Duration,
    /// How long one question may take.
    pub timeout: Duration,
    /// How old the latest block may be before the network counts as standing still.
    pub stale_after: Duration,
    /// What people are told of it.
    pub told: Told,
    /// How addresses are treated that nothing is expected on any more.
    pub late: Late,
}

impl NetworkSettings {
    /// The ledger that payments on it are on.
    pub fn ledger(&self) -> LedgerId {
        LedgerId::Network(self.environment, self.chain.clone())
    }

    /// The contracts of all tokens whose transfers are looked at: first those that are accepted.
    pub fn contracts(&self) -> impl Iterator<Item = EvmAddress> + '_ {
        self.tokens.iter().map(|token| token.contract).chain(self.noticed.iter().copied())
    }

    /// What a contract's token is, where it is an accepted one.
    pub fn asset_of(&self, contract: EvmAddress) -> Option<Asset> {
        self.tokens.iter().find(|token| token.contract == contract).map(|token| token.asset)
    }

    /// The contract of an asset that is accepted.
    pub fn token_of(&self, asset: Asset) -> Option<EvmAddress> {
        self.tokens.iter().find(|token| token.asset == asset).map(|token| token.contract)
    }
}

/// What people are told of a network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// What it is called, where that is not known by its id.
    pub title: Option<String>,
    /// Where its contents can be looked at.
    pub explorer: Explorer,
    /// How long it usually takes until a block is called safe.
    pub safe_after: Option<Duration>,
    /// How long it usually takes until a block is called final.
    pub finalized_after: Option<Duration>,
}

/// How addresses are treated that nothing is expected on any more: they are asked for as well, only less often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// How long after its payment is over an address is one of them.
    pub after: Duration,
    /// How often they are asked for.
    pub every: Duration,
}

impl Default for Late {
    fn default() -> Self {
        Self { after: Duration::from_hours(24), every: Duration::from_mins(10) }
    }
}

/// Where the contents of a network can be looked at: pages of somebody else, by the operator's choice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Explorer {
    /// The page of a transaction.
    pub transaction: Option<Template>,
    /// The page of an address.
    pub address: Option<Template>,
    /// The page of a block.
    pub block: Option<Template>,
}

/// The address of a page with one place to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    before: String,
    after: String,
}

/// A text that is no address with a place to fill in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// The place is missing, or there are several.
    #[error("must have {0} in it once, behind the host")]
    Place(&'static str),
    /// Not HTTPS, or something of a URL that has no business here.
    #[error("must be https://host/... without a password")]
    Url,
}

impl Template {
    /// Reads an address in which `place` stands for what is filled in.
    ///
    /// # Errors
    /// [`InvalidTemplate`] if it stands there not exactly once behind the host, or what is around it is no HTTPS URL.
    pub fn new(text: &str, place: &'static str) -> Result<Self, InvalidTemplate> {
        let (before, after) = text.split_once(place).ok_or(InvalidTemplate::Place(place))?;
        if after.contains(place) {
            return Err(InvalidTemplate::Place(place));
        }
        let filled = Url::parse(&format!("{before}0x0{after}")).map_err(|_| InvalidTemplate::Url)?;
        let plain = filled.scheme() == "https" && filled.username().is_empty() && filled.password().is_none();
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>'));
        if !plain || !printable {
            return Err(InvalidTemplate::Url);
        }
        // Behind the host and a slash, so that what is filled in never says where to go.
        let behind_host = before.get("https://".len()..).is_some_and(|rest| rest.contains('/'));
        if behind_host {
            Ok(Self { before: before.to_owned(), after: after.to_owned() })
        } else {
            Err(InvalidTemplate::Place(place))
        }
    }

    /// The address of the page about this; none for what cannot stand in an address as it is.
    pub fn fill(&self, what: &str) -> Option<String> {
        let good = !what.is_empty() && what.bytes().all(|byte| byte.is_ascii_alphanumeric());
        good.then(|| format!("{}{what}{}", self.before, self.after))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}...{}", self.before, self.after)
    }
}

/// A token that payments are made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is, with the decimals that its contract must have.
    pub asset: Asset,
    /// Its contract on the network.
    pub contract: EvmAddress,
}

/// Where a node is asked. The address may hold a password or a key anywhere, so no part of it is ever shown.
#[derive(Clone)]
pub struct EndpointUrl {
    pub(super) is_https: bool,
    pub(super) host: url::Host,
    pub(super) port: u16,
    pub(super) target: SecretString,
    /// The headers that prove who asks, marked as sensitive.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// A text that is no address of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// Not `http://` or `https://` and a host.
    #[error(
        "an endpoint is https://host/path (or http:// on a network of one's own), a password as user:password@host"
    )]
    Url,
    /// Not `name: value`.
    #[error("a header is name: value")]
    Header,
}

impl EndpointUrl {
    /// The same endpoint with another header, `name: value`, that proves who asks.
    ///
    /// # Errors
    /// [`InvalidEndpoint::Header`] for what is no header.
    pub fn with_header(mut self, line: &str) -> Result<Self, InvalidEndpoint> {
        let (name, value) = line.split_once(':').ok_or(InvalidEndpoint::Header)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| InvalidEndpoint::Header)?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| InvalidEndpoint::Header)?;
        value.set_sensitive(true);
        self.headers.push((name, value));
        Ok(self)
    }
}

impl FromStr for EndpointUrl {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let url = Url::parse(text).map_err(|_| InvalidEndpoint::Url)?;
        let is_https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(InvalidEndpoint::Url),
        };
        let host = url.host().ok_or(InvalidEndpoint::Url)?.to_owned();
        let port = url.port_or_known_default().ok_or(InvalidEndpoint::Url)?;
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let mut headers = Vec::new();
        if !url.username().is_empty() || url.password().is_some() {
            let decode = |part: &str| percent_decode(part).ok_or(InvalidEndpoint::Url);
            let pair = format!("{}:{}", decode(url.username())?, decode(url.password().unwrap_or_default())?);
            let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
            let mut value = HeaderValue::from_str(&basic).map_err(|_| InvalidEndpoint::Url)?;
            value.set_sensitive(true);
            headers.push((http::header::AUTHORIZATION, value));
        }
        target.parse::<http::uri::PathAndQuery>().map_err(|_| InvalidEndpoint::Url)?;
        Ok(Self { is_https, host, port, target: SecretString::from(target), headers })
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EndpointUrl")
    }
}

impl EndpointUrl {
    pub(super) fn target(&self) -> &str {
        self.target.expose_secret()
    }
}

/// The text behind `%40` and the like; none where it is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explorer_is_elsewhere_and_what_is_filled_in_leads_nowhere_else() {
        let template = Template::new("https://scan.example/tx/{hash}?tab=logs", "{hash}").expect("good");
        assert_eq!(template.fill("0xAb12").as_deref(), Some("https://scan.example/tx/0xAb12?tab=logs"));
        for bad in ["", "../x", "a b", "0x1\"", "test_paid_1", "0x1#"] {
            assert_eq!(template.fill(bad), None, "{bad}");
        }
        for (bad, error) in [
            ("https://scan.example/tx/", InvalidTemplate::Place("{hash}")),
            ("https://scan.example/{hash}/{hash}", InvalidTemplate::Place("{hash}")),
            ("https://{hash}.example/", InvalidTemplate::Place("{hash}")),
            ("https://scan.example{hash}", InvalidTemplate::Place("{hash}")),
            ("http://scan.example/{hash}", InvalidTemplate::Url),
            ("javascript:alert({hash})", InvalidTemplate::Url),
            ("//scan.example/{hash}", InvalidTemplate::Url),
            ("https://user:word@scan.example/{hash}", InvalidTemplate::Url),
            ("https://scan.example/\"{hash}", InvalidTemplate::Url),
        ] {
            assert_eq!(Template::new(bad, "{hash}"), Err(error), "{bad}");
        }
    }

    #[test]
    fn endpoints_keep_their_secrets_to_themselves() {
        let url: EndpointUrl = "https://user:s%40cret@node.example/v2/s3cr3t?key=hush".parse().expect("a URL");
        let url = url.with_header("x-api-key: hush-hush").expect("a header");
        assert_eq!((url.is_https, url.port, url.target()), (true, 443, "/v2/s3cr3t?key=hush"));
        // user:s@cret
        assert_eq!(url.headers[0].1.as_bytes(), b"Basic dXNlcjpzQGNyZXQ=");
        assert!(!format!("{url:?} {:?}", url.headers).contains("hush"));
        assert!(!format!("{url:?} {:?}", url.headers).contains("cret"));
        let local: EndpointUrl = "http://127.0.0.1:8545".parse().expect("a URL");
        assert_eq!((local.is_https, local.port, local.target()), (false, 8545, "/"));
        for bad in ["", "node.example", "ftp://node.example", "https://", "ws://node.example", "file:///etc"] {
            assert!(bad.parse::<EndpointUrl>().is_err(), "{bad}");
        }
        for bad in ["", "x", "x y: z", "x: a\nb"] {
            let url: EndpointUrl = "http://localhost".parse().expect("a URL");
            assert!(url.with_header(bad).is_err(), "{bad:?}");
        }
    }
}
