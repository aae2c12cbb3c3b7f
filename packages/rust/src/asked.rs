//! The request that is asked about.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, ORIGIN, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::cache::{Digest, Digester};
use crate::demand::Demand;

/// The headers that the decision looks at. No other leaves this service.
const ASKED: [HeaderName; 7] = [
    AUTHORIZATION,
    HeaderName::from_static("apikey"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("businessid"),
    ORIGIN,
    HeaderName::from_static("sec-fetch-site"),
    USER_AGENT,
];
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// How a caller came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Anybody on the way could listen: LIVE keys are refused.
    Http,
    /// Nobody could.
    Https,
}

impl Protocol {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A request, as far as the decision about its key looks at it.
///
/// Without [`Self::ip`] the caller's address is unknown, and a key that is bound to addresses is refused.
#[derive(Clone)]
pub struct Asked {
    lines: HeaderMap,
    ip: Option<IpAddr>,
    protocol: Option<Protocol>,
    url: Option<HeaderValue>,
}

impl Asked {
    /// A request with these headers: all of them, for one that was sent twice is refused.
    pub fn new(headers: &HeaderMap) -> Self {
        let mut lines = HeaderMap::with_capacity(ASKED.len());
        for name in &ASKED {
            for value in headers.get_all(name) {
                let mut value = value.clone();
                value.set_sensitive(*name != ORIGIN && *name != USER_AGENT);
                lines.append(name.clone(), value);
            }
        }
        Self { lines, ip: None, protocol: None, url: None }
    }

    /// A request with these headers to this address.
    pub fn of(parts: &Parts) -> Self {
        Self::new(&parts.headers).url(&parts.uri)
    }

    /// The address of the caller, as this service knows it: never what a header of the caller says.
    #[must_use]
    pub fn ip(mut self, ip: Option<IpAddr>) -> Self {
        self.ip = ip;
        self
    }

    /// How the caller came to this service, or to the proxy before it.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// The address that was called: a key in it is refused, since addresses end up in logs.
    #[must_use]
    pub fn url(mut self, uri: &Uri) -> Self {
        self.url = uri.path_and_query().map(|path| line(path.as_str()));
        self
    }

    /// The header lines of the question.
    pub(crate) fn into_lines(self) -> HeaderMap {
        let mut lines = self.lines;
        // Without it this service's own address would be judged, from which every key that is bound to it is good.
        let ip = self.ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string());
        lines.insert(X_FORWARDED_FOR, line(&ip));
        if let Some(protocol) = self.protocol {
            lines.insert(X_FORWARDED_PROTO, HeaderValue::from_static(protocol.as_str()));
        }
        if let Some(mut url) = self.url {
            // It may hold a key.
            url.set_sensitive(true);
            lines.insert(X_FORWARDED_URI, url);
        }
        lines
    }
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Asked").field("ip", &self.ip).field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

/// A text as a header value. What cannot stand in one is written as in URLs.
fn line(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).or_else(|_| HeaderValue::from_bytes(text.as_bytes())).unwrap_or_else(|_| {
        let escaped: String = text
            .chars()
            .map(|letter| if letter.is_ascii_control() { format!("%{:02X}", u32::from(letter)) } else { letter.into() })
            .collect();
        HeaderValue::from_bytes(escaped.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static("/"))
    })
}

/// The name under which an answer to this question is kept: the same for the same question only.
pub(crate) fn digest(query: &str, lines: &HeaderMap) -> Digest {
    let mut digester = Digester::new(b"authorize");
    digester.add(query.as_bytes());
    for (name, value) in lines {
        digester.add(name.as_str().as_bytes());
        digester.add(value.as_bytes());
    }
    digester.finish()
}

/// The question about a request: its query and its lines.
pub(crate) fn question(asked: Asked, demand: &Demand) -> (String, HeaderMap) {
    (demand.query(), asked.into_lines())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        headers
    }

    #[test]
    fn what_the_decision_looks_at_goes_along_and_nothing_else() {
        let sent = headers(&[
            ("authorization", "Bearer a"),
            ("authorization", "Bearer b"),
            ("apikey", "cl\u{e9}"),
            ("businessid", ""),
            ("cookie", "session=1"),
            ("x-trousseau-business", "17"),
            ("x-trousseau-require-scope", "x:y"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-uri", "/nothing"),
            ("x-original-uri", "/nothing"),
            ("content-length", "12"),
            ("transfer-encoding", "chunked"),
            ("content-encoding", "gzip"),
            ("host", "elsewhere"),
            ("accept-language", "fr"),
        ]);
        let lines = Asked::new(&sent).into_lines();
        let mut seen: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
        for (name, value) in &lines {
            seen.entry(name.as_str()).or_default().push(value.as_bytes());
        }
        let expected: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::from([
            ("authorization", vec![b"Bearer a".as_slice(), b"Bearer b"]),
            ("apikey", vec!["cl\u{e9}".as_bytes()]),
            ("businessid", vec![b"".as_slice()]),
            ("x-forwarded-for", vec![b"unknown".as_slice()]),
        ]);
        assert_eq!(seen, expected);

        let told = Asked::new(&sent)
            .ip("2001:db8::1".parse().ok())
            .protocol(Protocol::Http)
            .url(&Uri::from_static("https://api.example/orders?x=1"))
            .into_lines();
        assert_eq!(told["x-forwarded-for"], "2001:db8::1");
        assert_eq!(told["x-forwarded-proto"], "http");
        assert_eq!(told["x-forwarded-uri"], "/orders?x=1");
    }

    #[test]
    fn a_key_is_not_printed() {
        let sent = headers(&[("authorization", "Bearer canary"), ("apikey", "canary"), ("businessid", "canary")]);
        let asked = Asked::new(&sent).url(&Uri::from_static("/?key=canary"));
        assert!(!format!("{asked:?}").contains("canary"));
        let lines = asked.into_lines();
        assert!(!format!("{lines:?}").contains("canary"), "{lines:?}");
    }

    #[test]
    fn an_address_with_odd_letters_is_asked_about_all_the_same() {
        assert_eq!(line("/a\u{7f}b").as_bytes(), b"/a%7Fb");
        assert_eq!(line("/\u{e9}").as_bytes(), "/\u{e9}".as_bytes());
    }

    proptest! {
        /// Texts that are put together otherwise are other questions: no answer is found under a second one.
        #[test]
        fn another_question_has_another_name(
            one in proptest::collection::vec("[ab]{0,3}", 0..5),
            two in proptest::collection::vec("[ab]{0,3}", 0..5),
            queries in ("[ab]{0,2}", "[ab]{0,2}"),
        ) {
            let lines = |values: &[String]| {
                let mut lines = HeaderMap::new();
                for value in values {
                    lines.append("apikey", value.parse().expect("a value"));
                }
                lines
            };
            let same = queries.0 == queries.1 && one == two;
            prop_assert_eq!(digest(&queries.0, &lines(&one)) == digest(&queries.1, &lines(&two)), same);
        }

        /// Whatever a client writes into its address, there is a line for it.
        #[test]
        fn every_address_is_a_line(path in "/\\PC*") {
            if let Ok(uri) = path.parse::<Uri>() {
                let headers = HeaderMap::new();
                prop_assert!(Asked::new(&headers).url(&uri).into_lines().contains_key("x-forwarded-uri"));
            }
        }
    }
}
