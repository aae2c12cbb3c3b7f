//! A request as a gateway tells of it where it does not ask by HTTP itself.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::api::authorize::Misconfigured;
use crate::problem::{Failure, Kind};

/// The names under which who calls is told to the upstream. What a caller sends under one of them must not pass.
pub const IDENTITY: [&str; 9] = [
    "x-trousseau-business",
    "x-trousseau-environment",
    "x-trousseau-kind",
    "x-trousseau-key",
    "x-trousseau-scopes",
    "x-trousseau-metadata",
    "x-trousseau-business-metadata",
    "x-trousseau-assertion",
    "x-trousseau-fresh-ms",
];

/// The headers that a key or its business id comes in. They stay behind, and two of them are never one.
pub const CREDENTIALS: [&str; 4] = ["authorization", "apikey", "x-api-key", "businessid"];

/// The most headers, as the HTTP server reads.
const MOST_HEADERS: usize = 100;

/// A request that a gateway asks about. It may hold a key, so that it has no text form.
#[derive(Default)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its path and its query, as its caller sent them.
    pub target: String,
    /// Its headers, each value by itself. Names in any case; bytes of a caller.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The address that reached the gateway; none where the gateway cannot tell. Believed of trusted proxies only.
    pub source: Option<String>,
    /// The scheme that reached the gateway, empty where it does not say. Believed likewise.
    pub scheme: String,
    /// What the operator demands by the gateway's configuration: `scope`, `environment`, `business`, `kind`, `audience`.
    pub configured: Vec<(String, String)>,
    /// The `traceparent` of the question itself; what the caller sent in its own headers counts where there is none.
    pub traceparent: Option<String>,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Asked")
    }
}

impl Asked {
    /// The pairs that the operator demands by.
    pub(crate) fn demands(&self) -> impl Iterator<Item = (&str, &str)> {
        self.configured.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Method and headers as HTTP has them.
    pub(crate) fn read(&self) -> Result<(Method, HeaderMap), Failure> {
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| {
            let shown: String = self.method.escape_default().take(32).collect();
            Misconfigured::Method(format!("\"{shown}\""))
        })?;
        if self.headers.len() > MOST_HEADERS {
            return Err(Failure::new(Kind::HeadersTooLarge));
        }
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name).map_err(|_| Failure::new(Kind::InvalidHeader))?;
            let value = HeaderValue::from_bytes(value).map_err(|_| Failure::new(Kind::InvalidHeader))?;
            headers.append(name, value);
        }
        Ok((method, headers))
    }

    /// Writes down what the gateway itself says of the way here, as the last proxy would have in the headers for it.
    pub(crate) fn note_way(&self, headers: &mut HeaderMap) {
        // Where it cannot tell, nobody left of it is believed either.
        let source = self.source.as_deref().unwrap_or("unknown");
        let source = HeaderValue::from_str(source).unwrap_or(HeaderValue::from_static("unknown"));
        headers.append("x-forwarded-for", source);
        if !self.scheme.is_empty() {
            let scheme = HeaderValue::from_str(&self.scheme).unwrap_or(HeaderValue::from_static("unknown"));
            headers.append("x-forwarded-proto", scheme);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(asked: &Asked) -> Option<Kind> {
        asked.read().err().map(|failure| failure.kind())
    }

    fn asked(headers: &[(&[u8], &[u8])]) -> Asked {
        let headers = headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        Asked { method: "GET".to_owned(), headers, ..Asked::default() }
    }

    #[test]
    fn headers_that_http_does_not_have_are_refused() {
        assert_eq!(kind(&asked(&[(b"ApiKey", b"a"), (b"apikey", b"\xff\xfe")])), None);
        for (name, value) in [
            (&b"a b"[..], &b"x"[..]),
            (b"", b"x"),
            (b"\xff", b"x"),
            (b":path", b"/"),
            (b"a", b"x\r\ny: z"),
            (b"a", b"\0"),
            (b"a", b"\x7f"),
        ] {
            assert_eq!(kind(&asked(&[(name, value)])), Some(Kind::InvalidHeader), "{name:?} {value:?}");
        }
        let many: Vec<_> = (0..=MOST_HEADERS).map(|_| (&b"a"[..], &b"x"[..])).collect();
        assert_eq!(kind(&asked(&many)), Some(Kind::HeadersTooLarge));
        assert_eq!(kind(&asked(&many[1..])), None);
    }

    #[test]
    fn a_method_that_http_does_not_have_is_the_operators_matter() {
        for method in ["", "GE T", "\n"] {
            let asked = Asked { method: method.to_owned(), ..Asked::default() };
            assert_eq!(kind(&asked), Some(Kind::GatewayMisconfigured), "{method:?}");
        }
    }

    #[test]
    fn what_the_gateway_says_stands_behind_what_others_said() {
        let mut asked = asked(&[(b"x-forwarded-for", b"203.0.113.7"), (b"x-forwarded-proto", b"https")]);
        asked.source = Some("198.51.100.7".to_owned());
        "http".clone_into(&mut asked.scheme);
        let (_, mut headers) = asked.read().expect("HTTP");
        asked.note_way(&mut headers);
        let all = |name: &str| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
        assert_eq!(all("x-forwarded-for"), ["203.0.113.7", "198.51.100.7"]);
        assert_eq!(all("x-forwarded-proto"), ["https", "http"]);
        let mut nobody = HeaderMap::new();
        Asked { source: Some("\n".to_owned()), scheme: "\n".to_owned(), ..Asked::default() }.note_way(&mut nobody);
        Asked::default().note_way(&mut nobody);
        assert!(nobody.get_all("x-forwarded-for").iter().eq(["unknown", "unknown"]));
        assert!(nobody.get_all("x-forwarded-proto").iter().eq(["unknown"]));
    }
}
