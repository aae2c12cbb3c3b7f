//! The connection a request came by: its address, and whether it was private on the way.

use std::net::{IpAddr, SocketAddr};

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use trousseau_domain::ip_range::IpRange;

/// The schemes of the way here, as proxies tell them.
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The other end of the connection. The server puts it into the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether TLS ends in this server.
    pub tls: bool,
}

/// In the extensions of a response: close the connection, send nothing.
///
/// A slow body gets this rather than a 408, which clients would repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseWithoutAnswer;

/// The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. None unless configured.
#[derive(Debug, Clone, Default)]
pub struct ProxyTrust {
    proxies: Vec<IpRange>,
}

impl ProxyTrust {
    /// Trust in the proxies at these addresses.
    pub fn new(proxies: Vec<IpRange>) -> Self {
        Self { proxies }
    }

    /// Whether the other end of a connection is one of them.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|range| range.contains(address))
    }

    /// Who called, and whether by HTTPS, as far as the trusted proxies tell.
    pub fn caller(&self, peer: Peer, headers: &HeaderMap) -> CallerAddress {
        let direct = peer.address.ip().to_canonical();
        if !self.trusts(direct) {
            // What a stranger says of the way here can only narrow.
            let protected = (peer.tls || direct.is_loopback()) && forwarded_https(headers) != Some(false);
            return CallerAddress { ip: Some(direct), protected };
        }
        let ip = self.forwarded_for(direct, headers);
        let protected = match forwarded_https(headers) {
            Some(https) => https,
            // A proxy that says nothing passes on what it was sent: by TLS, or from this machine itself.
            None => peer.tls || (direct.is_loopback() && ip.is_some_and(|ip| ip.is_loopback())),
        };
        CallerAddress { ip, protected }
    }

    /// Whether the caller spoke HTTPS to whoever answers it, as far as the trusted proxies tell.
    pub(crate) fn is_https(&self, peer: Peer, headers: &HeaderMap) -> bool {
        let told = self.trusts(peer.address.ip().to_canonical()).then(|| forwarded_https(headers)).flatten();
        told.unwrap_or(peer.tls)
    }

    /// The rightmost address that is no trusted proxy; what stands left of it is the caller's own claim. Where the
    /// chain cannot be read up to there, nobody knows who called.
    fn forwarded_for(&self, direct: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let mut nearest = direct;
        for value in headers.get_all("x-forwarded-for").iter().rev() {
            let text = value.to_str().ok()?;
            for entry in text.rsplit(',') {
                nearest = parse_forwarded(entry.trim())?;
                if !self.trusts(nearest) {
                    return Some(nearest);
                }
            }
        }
        Some(nearest)
    }
}

/// An address with or without a port, IPv6 with or without brackets.
fn parse_forwarded(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address: IpAddr = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip())).ok()?;
    Some(address.to_canonical())
}

/// Whether every hop that says anything says `https`; nothing where none does.
fn forwarded_https(headers: &HeaderMap) -> Option<bool> {
    let mut all = None;
    for value in headers.get_all(X_FORWARDED_PROTO) {
        let https =
            value.to_str().is_ok_and(|text| text.split(',').all(|hop| hop.trim().eq_ignore_ascii_case("https")));
        all = Some(all.unwrap_or(true) && https);
    }
    all
}

/// Who called. In the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallerAddress {
    /// The address, IPv4 in its own form even where it came as IPv6; none where a proxy's headers cannot be read.
    pub ip: Option<IpAddr>,
    /// Whether nobody could listen on the way: the caller used HTTPS, or is on this machine.
    pub protected: bool,
}

impl CallerAddress {
    /// What is assumed where the server did not say: nobody near, and nothing private.
    pub const UNKNOWN: Self = Self { ip: None, protected: false };
}

impl<S: Sync> FromRequestParts<S> for CallerAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().copied().unwrap_or(Self::UNKNOWN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(proxies: &[&str], peer: &str, headers: &[(&'static str, &str)]) -> CallerAddress {
        let trust = ProxyTrust::new(proxies.iter().map(|range| range.parse().expect("a range")).collect());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a value"));
        }
        trust.caller(Peer { address: peer.parse().expect("an address"), tls: false }, &map)
    }

    #[test]
    fn headers_of_strangers_are_not_believed() {
        let forged = [("x-forwarded-for", "10.1.1.1"), ("x-forwarded-proto", "https")];
        let seen = caller(&["10.0.0.0/8"], "203.0.113.9:4000", &forged);
        assert_eq!(seen, CallerAddress { ip: "203.0.113.9".parse().ok(), protected: false });
    }

    #[test]
    fn the_rightmost_stranger_is_the_caller() {
        for (header, expected) in [
            ("1.1.1.1, 198.51.100.7, 10.0.0.3", "198.51.100.7"),
            ("198.51.100.7", "198.51.100.7"),
            ("198.51.100.7:5123", "198.51.100.7"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("10.0.0.4", "10.0.0.4"),
        ] {
            let seen = caller(&["10.0.0.0/8"], "10.0.0.2:80", &[("x-forwarded-for", header)]);
            assert_eq!(seen.ip, Some(expected.parse::<IpAddr>().expect("an address")), "{header}");
        }
        for unreadable in ["198.51.100.7, nonsense", "198.51.100.7, nonsense, 10.0.0.9", "", "unknown"] {
            let seen = caller(&["10.0.0.0/8"], "10.0.0.2:80", &[("x-forwarded-for", unreadable)]);
            assert_eq!(seen.ip, None, "{unreadable}");
        }
        let two = [("x-forwarded-for", "9.9.9.9"), ("x-forwarded-for", "198.51.100.7, 10.0.0.3")];
        assert_eq!(caller(&["10.0.0.0/8"], "10.0.0.2:80", &two).ip, "198.51.100.7".parse().ok());
    }

    #[test]
    fn https_is_believed_only_if_every_hop_says_so() {
        for (values, protected) in [
            (&["https"][..], true),
            (&["HTTPS"], true),
            (&["http"], false),
            (&["http, https"], false),
            (&["https", "http"], false),
            (&[], false),
        ] {
            let mut headers: Vec<_> = values.iter().map(|value| ("x-forwarded-proto", *value)).collect();
            headers.push(("x-forwarded-for", "203.0.113.9"));
            assert_eq!(caller(&["127.0.0.1"], "127.0.0.1:80", &headers).protected, protected, "{values:?}");
            // What a proxy on this machine says counts more than where it stands.
            headers.pop();
            let nobody = values.is_empty();
            assert_eq!(caller(&["127.0.0.1"], "127.0.0.1:80", &headers).protected, protected || nobody, "{values:?}");
            headers.push(("x-forwarded-for", "unknown"));
            assert_eq!(caller(&["127.0.0.1"], "127.0.0.1:80", &headers).protected, protected, "{values:?}");
        }
    }
}
