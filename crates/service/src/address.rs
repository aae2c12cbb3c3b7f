//! Where the world reaches this installation: the base of every link that is sent, and the scope of passkeys.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// `https://host` or `http://host`, perhaps with a port, without a path. It comes from the configuration, never from
/// a request: a forged `Host` must not get into a link.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicAddress(Url);

/// A text that is no public address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public URL is https://host or https://host:port, without a path")]
pub struct InvalidPublicAddress;

impl PublicAddress {
    /// The address without a slash at its end.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// The address of a page.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.as_str())
    }

    /// Whether what is sent there is encrypted.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether nobody can listen on the way: HTTPS, or this machine.
    pub fn is_private(&self) -> bool {
        self.is_https()
            || match self.0.host() {
                Some(Host::Domain(name)) => name == "localhost",
                Some(Host::Ipv4(address)) => address.is_loopback(),
                Some(Host::Ipv6(address)) => address.is_loopback(),
                None => false,
            }
    }

    /// Whether browsers offer passkeys there: a name, and HTTPS or this machine.
    pub fn offers_passkeys(&self) -> bool {
        matches!(self.0.host(), Some(Host::Domain(name)) if self.is_https() || name == "localhost")
    }

    pub(crate) const fn url(&self) -> &Url {
        &self.0
    }

    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

impl Default for PublicAddress {
    fn default() -> Self {
        "http://localhost:8080".parse().expect("a good address")
    }
}

impl FromStr for PublicAddress {
    type Err = InvalidPublicAddress;

    fn from_str(text: &str) -> Result<Self, InvalidPublicAddress> {
        let url = Url::parse(text).map_err(|_| InvalidPublicAddress)?;
        let good = matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| !host.is_empty())
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if good { Ok(Self(url)) } else { Err(InvalidPublicAddress) }
    }
}

impl fmt::Display for PublicAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for PublicAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_begin_with_the_address_and_passkeys_want_a_name() {
        for (text, passkeys) in [
            ("https://keys.example.com", true),
            ("https://keys.example.com:8443/", true),
            ("http://localhost:8080", true),
            ("http://keys.example.com", false),
            ("https://192.0.2.1", false),
            ("http://127.0.0.1:8080", false),
        ] {
            let address: PublicAddress = text.parse().expect(text);
            assert_eq!(address.offers_passkeys(), passkeys, "{text}");
            assert_eq!(address.link("/sign-in"), format!("{}/sign-in", text.trim_end_matches('/')));
        }
        for bad in ["", "keys.example.com", "ftp://a", "https://a/b", "https://u:p@a", "https://a?x=1", "https://a#b"] {
            assert_eq!(bad.parse::<PublicAddress>(), Err(InvalidPublicAddress), "{bad}");
        }
    }
}
