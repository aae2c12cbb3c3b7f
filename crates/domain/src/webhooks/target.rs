//! Where an endpoint is: the rules of its URL.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::environment::Environment;
use crate::ip_range::IpRange;

use super::address::{Reach, may_reach, reach};

/// The longest URL.
const MAX_LEN: usize = 2_000;

/// The URL of a receiver, in the one spelling that the URL standard gives it: a host that is written as a number in any
/// form is an address here, a name in other scripts is its ASCII form.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    url: Url,
    host: WebhookHost,
}

/// Why a URL cannot be that of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWebhookUrl {
    /// Not a URL with a host.
    #[error("is not a URL such as https://shop.example/webhooks")]
    Url,
    /// Too long.
    #[error("is longer than {MAX_LEN} characters")]
    TooLong,
    /// Another scheme.
    #[error("must begin with https://")]
    Scheme,
    /// A user name or a password in it.
    #[error("must not hold a user name or a password")]
    Credentials,
    /// A fragment, which would never be sent.
    #[error("must not have a fragment")]
    Fragment,
    /// A port of the system's own services.
    #[error("must use port 443 or one from 1024 on")]
    Port,
    /// An address that is not public and not listed by the operator.
    #[error("leads into a private network, which the operator of this installation does not allow")]
    Private,
}

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookHost {
    /// A name to look up.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl WebhookUrl {
    /// The URL as text.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Where to connect to.
    pub const fn host(&self) -> &WebhookHost {
        &self.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().expect("both schemes have a port")
    }

    /// Whether the connection is by TLS.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The value of the header `Host`.
    pub fn authority(&self) -> &str {
        // There are no credentials, so this is host and port.
        self.url.authority()
    }

    /// What stands in the first line of the request.
    pub fn path_and_query(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }

    /// Whether this environment may have this URL, as far as can be told before a name is looked up: HTTPS, or HTTP to
    /// this machine in TEST, and no address that is neither public nor `allowed`.
    ///
    /// # Errors
    /// If it may not.
    pub fn check(&self, environment: Environment, allowed: &[IpRange]) -> Result<(), InvalidWebhookUrl> {
        let local_name = |name: &str| {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        };
        let (loopback, reachable) = match self.host() {
            WebhookHost::Address(address) => {
                (reach(*address) == Reach::Loopback, may_reach(*address, environment, allowed))
            }
            // The lookup may end anywhere; by these names it never leaves the machine.
            WebhookHost::Name(name) if local_name(name) => {
                let addresses = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
                (true, addresses.iter().any(|address| may_reach(*address, environment, allowed)))
            }
            WebhookHost::Name(_) => (false, true),
        };
        if !reachable {
            return Err(InvalidWebhookUrl::Private);
        }
        let local_test = loopback && environment == Environment::Test;
        if !self.is_https() && !local_test {
            return Err(InvalidWebhookUrl::Scheme);
        }
        if !local_test && self.port() != 443 && self.port() < 1024 {
            return Err(InvalidWebhookUrl::Port);
        }
        Ok(())
    }
}

impl FromStr for WebhookUrl {
    type Err = InvalidWebhookUrl;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookUrl> {
        if text.len() > MAX_LEN {
            return Err(InvalidWebhookUrl::TooLong);
        }
        // The parser of browsers drops line breaks and tabs; a person who writes them means something else.
        if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
            return Err(InvalidWebhookUrl::Url);
        }
        let url = Url::parse(text).map_err(|_| InvalidWebhookUrl::Url)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(InvalidWebhookUrl::Scheme);
        }
        let host = match url.host() {
            Some(Host::Ipv4(address)) => WebhookHost::Address(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => WebhookHost::Address(IpAddr::V6(address)),
            Some(Host::Domain(name)) => WebhookHost::Name(name.to_owned()),
            None => return Err(InvalidWebhookUrl::Url),
        };
        if url.port() == Some(0) {
            return Err(InvalidWebhookUrl::Url);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidWebhookUrl::Credentials);
        }
        if url.fragment().is_some() {
            return Err(InvalidWebhookUrl::Fragment);
        }
        if url.as_str().len() > MAX_LEN {
            return Err(InvalidWebhookUrl::TooLong);
        }
        Ok(Self { url, host })
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for WebhookUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WebhookUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn loopback() -> Vec<IpRange> {
        vec!["127.0.0.0/8".parse().expect("a range"), "::1".parse().expect("a range")]
    }

    fn judged(text: &str, environment: Environment, allowed: &[IpRange]) -> Result<(), InvalidWebhookUrl> {
        text.parse::<WebhookUrl>()?.check(environment, allowed)
    }

    #[test]
    fn public_https_is_taken() {
        for good in [
            "https://shop.example/webhooks",
            "https://shop.example",
            "https://shop.example:8443/a?b=c",
            "https://caf\u{e9}.example/",
            "https://1.1.1.1/x",
            "https://[2606:4700::1111]/x",
        ] {
            for environment in Environment::ALL {
                assert_eq!(judged(good, environment, &[]), Ok(()), "{good}");
            }
        }
        let url: WebhookUrl = "https://Shop.Example:443/a%20b?c".parse().expect("good");
        assert_eq!((url.as_str(), url.port(), url.authority()), ("https://shop.example/a%20b?c", 443, "shop.example"));
        assert_eq!(url.path_and_query(), "/a%20b?c");
    }

    #[test]
    fn no_spelling_of_a_private_address_is_taken() {
        for private in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://017700000001/",
            "https://127.0.0.1./",
            "https://\u{ff11}\u{ff12}\u{ff17}.0.0.1/",
            "https://127\u{3002}0\u{3002}0\u{3002}1/",
            "https://%31%32%37.0.0.1/",
            "https://localhost/",
            "https://LOCALHOST/",
            "https://localhost./",
            "https://a.localhost/",
            "https://0/",
            "https://0.0.0.0/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://2852039166/",
            "https://192.168.0.1/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[0:0:0:0:0:ffff:a9fe:a9fe]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[64:ff9b::169.254.169.254]/",
            "https://[2002:7f00:1::]/",
            "https://[2002:c0a8:1::1]/",
            "https://[2001:0:0:0:0:0:80ff:fffe]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
        ] {
            for environment in Environment::ALL {
                assert_eq!(judged(private, environment, &[]), Err(InvalidWebhookUrl::Private), "{private}");
            }
        }
    }

    #[test]
    fn everything_else_is_named() {
        for (bad, reason) in [
            ("", InvalidWebhookUrl::Url),
            ("shop.example", InvalidWebhookUrl::Url),
            ("https://", InvalidWebhookUrl::Url),
            ("https://shop.example:0/", InvalidWebhookUrl::Url),
            ("https://shop.example/\n", InvalidWebhookUrl::Url),
            ("https://shop .example/", InvalidWebhookUrl::Url),
            ("http://shop.example/", InvalidWebhookUrl::Scheme),
            ("ftp://shop.example/", InvalidWebhookUrl::Scheme),
            ("file:///etc/passwd", InvalidWebhookUrl::Scheme),
            ("https://user@shop.example/", InvalidWebhookUrl::Credentials),
            ("https://shop.example@127.0.0.1/", InvalidWebhookUrl::Credentials),
            ("https://shop.example/#a", InvalidWebhookUrl::Fragment),
            ("https://shop.example:22/", InvalidWebhookUrl::Port),
            ("https://shop.example:80/", InvalidWebhookUrl::Port),
        ] {
            assert_eq!(judged(bad, Environment::Test, &loopback()), Err(reason), "{bad}");
        }
        let long = format!("https://shop.example/{}", "a".repeat(MAX_LEN));
        assert_eq!(judged(&long, Environment::Test, &[]), Err(InvalidWebhookUrl::TooLong));
    }

    #[test]
    fn this_machine_is_reached_from_test_where_the_operator_says_so() {
        for local in ["http://127.0.0.1:3000/", "http://localhost:3000/", "http://[::1]/", "https://localhost/"] {
            assert_eq!(judged(local, Environment::Test, &loopback()), Ok(()), "{local}");
            assert_eq!(judged(local, Environment::Live, &loopback()), Err(InvalidWebhookUrl::Private), "{local}");
            assert_eq!(judged(local, Environment::Test, &[]), Err(InvalidWebhookUrl::Private), "{local}");
        }
        // Inside a listed network TLS stays a must.
        let inside: Vec<IpRange> = vec!["10.0.0.0/8".parse().expect("a range")];
        assert_eq!(judged("https://10.0.0.1/", Environment::Live, &inside), Ok(()));
        assert_eq!(judged("http://10.0.0.1/", Environment::Test, &inside), Err(InvalidWebhookUrl::Scheme));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC{0,60}") {
            if let Ok(url) = text.parse::<WebhookUrl>() {
                prop_assert_eq!(url.as_str().parse::<WebhookUrl>(), Ok(url.clone()));
                let _ = (url.host(), url.port(), url.path_and_query(), url.authority());
            }
        }

        #[test]
        fn every_number_form_of_a_private_address_is_refused(last in 0u32..0x0100_0000, form in 0usize..4) {
            let bits = 0x0a00_0000 | last;
            let host = match form {
                0 => format!("{bits}"),
                1 => format!("0x{bits:x}"),
                2 => format!("0{bits:o}"),
                _ => format!("[::ffff:{:x}:{:x}]", bits >> 16, bits & 0xffff),
            };
            let judged = judged(&format!("https://{host}/"), Environment::Live, &[]);
            prop_assert_eq!(judged, Err(InvalidWebhookUrl::Private));
        }
    }
}
