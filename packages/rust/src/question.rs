//! A question about the text of a key.

use std::net::IpAddr;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::cache::{Digest, Digester};
use crate::verification::{Environment, KeyKind, Scope};

/// A question about a key that came otherwise than in the headers of a request: in a message, or in a field of another
/// protocol.
#[derive(Debug, Clone)]
pub struct Question {
    key: SecretString,
    business_id: Option<String>,
    environment: Option<Environment>,
    kind: Option<KeyKind>,
    scope: Option<Scope>,
    origin: Option<String>,
    ip: Option<IpAddr>,
}

/// The question on the wire.
#[derive(Serialize)]
struct Body<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    business_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Environment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<KeyKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
}

impl Question {
    /// Whether this key is good. The text is asked about as it is: nothing is trimmed.
    pub const fn new(key: SecretString) -> Self {
        Self { key, business_id: None, environment: None, kind: None, scope: None, origin: None, ip: None }
    }

    /// The business id that stood beside the key, as it was sent.
    #[must_use]
    pub fn business_id(mut self, id: impl Into<String>) -> Self {
        self.business_id = Some(id.into());
        self
    }

    /// The environment that is demanded.
    #[must_use]
    pub const fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// The kind of key that is demanded.
    #[must_use]
    pub const fn kind(mut self, kind: KeyKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// The scope that is demanded.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// The `Origin` that the caller's browser sent.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// The address of the caller. Without it a key that is bound to addresses is refused.
    #[must_use]
    pub const fn ip(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip);
        self
    }

    /// The body of the question, and the name under which an answer is kept.
    pub(crate) fn into_body(self) -> (Vec<u8>, Digest) {
        let body = Body {
            key: self.key.expose_secret(),
            business_id: self.business_id.as_deref(),
            environment: self.environment,
            kind: self.kind,
            scope: self.scope.as_ref(),
            origin: self.origin.as_deref(),
            ip: self.ip,
        };
        let body = serde_json::to_vec(&body).expect("texts and addresses");
        let mut digester = Digester::new(b"verify");
        digester.add(&body);
        (body, digester.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_written_as_the_api_says_and_not_printed() {
        let bare = Question::new("canary".into());
        assert!(!format!("{bare:?}").contains("canary"));
        assert_eq!(bare.clone().into_body().0, br#"{"key":"canary"}"#);
        let whole = bare
            .business_id("17")
            .environment(Environment::Test)
            .kind(KeyKind::Secret)
            .scope(Scope::from_static("a:b"))
            .origin("null")
            .ip(IpAddr::from([127, 0, 0, 1]));
        let expected = r#"{"key":"canary","business_id":"17","environment":"test","kind":"secret","scope":"a:b","origin":"null","ip":"127.0.0.1"}"#;
        let (body, name) = whole.clone().into_body();
        assert_eq!(String::from_utf8_lossy(&body), expected);
        assert!(name == whole.clone().into_body().1);
        assert!(name != whole.origin("https://a.example").into_body().1);
    }
}
