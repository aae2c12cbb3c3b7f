//! What the operator says about a network: where it is asked, which tokens count, when a transfer is final.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use trousseau_domain::evm::EvmAddress;
use trousseau_domain::ledger::ConfirmationPolicy;
use trousseau_domain::money::Asset;
use trousseau_domain::networks::ChainId;
use url::Url;

/// A network that is watched for LIVE payments.
#[derive(Debug, Clone)]
pub struct NetworkSettings {
    /// What the settings call it: `base` of `networks.base`.
    pub name: String,
    /// Which network it is.
    pub chain: ChainId,
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
