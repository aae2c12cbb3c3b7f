//! Repeatable requests: the `Idempotency-Key` header and what is remembered of a request.

use axum::extract::FromRequestParts;
use base64::Engine as _;
use http::request::Parts;
use sha2::{Digest as _, Sha256};
use trousseau_service::idempotency::{Idempotent, StoredAnswer};

use crate::problem::{Failure, Kind};

/// What the caller names a request, so that its repetition gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeatable {
    /// The name, if the caller gave one.
    key: Option<String>,
    /// Method and path with query: what is asked for.
    operation: String,
}

impl Repeatable {
    /// What the service keeps, for the caller that `whose` names and the body in `bytes`.
    pub fn of<'a, T>(
        self,
        whose: &str,
        bytes: &[u8],
        render: &'a (dyn Fn(&T) -> StoredAnswer + Send + Sync),
    ) -> Option<Idempotent<'a, T>> {
        let key = self.key?;
        let mut digest = Sha256::new();
        digest.update(self.operation.as_bytes());
        digest.update([0]);
        digest.update(bytes);
        let fingerprint = base64::engine::general_purpose::STANDARD.encode(digest.finalize());
        Some(Idempotent { scope: whose.to_owned(), key, fingerprint, render })
    }
}

impl<S: Sync> FromRequestParts<S> for Repeatable {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let operation = format!("{} {}", parts.method, parts.uri);
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else {
            return Ok(Self { key: None, operation });
        };
        let bytes = value.as_bytes();
        let printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
        match value.to_str() {
            Ok(text) if values.next().is_none() && printable && (1..=255).contains(&bytes.len()) => {
                Ok(Self { key: Some(text.to_owned()), operation })
            }
            _ => Err(Failure::new(Kind::InvalidIdempotencyKey)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(values: &[&[u8]]) -> Result<Repeatable, Failure> {
        let mut request = http::Request::builder();
        for value in values {
            request = request.header("idempotency-key", *value);
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        Repeatable::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn one_short_printable_value_is_taken() {
        assert_eq!(read(&[]).await.expect("none").key, None);
        assert_eq!(read(&[b"a b-1"]).await.expect("good").key.as_deref(), Some("a b-1"));
        assert!(read(&[&[b'x'; 255]]).await.is_ok());
        for bad in [&[&b""[..]][..], &[&[b'x'; 256]], &[b"a", b"a"], &[b"\xc3\xa9"], &[b"a\tb"]] {
            assert!(read(bad).await.is_err(), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn another_body_is_another_request() {
        let render = |(): &()| StoredAnswer { status: 200, body: String::new(), refills: Vec::new() };
        let of = |repeatable: Repeatable, bytes: &[u8]| repeatable.of("t", bytes, &render).expect("a key").fingerprint;
        let first = read(&[b"k"]).await.expect("good");
        assert_eq!(of(first.clone(), b"{}"), of(first.clone(), b"{}"));
        assert_ne!(of(first.clone(), b"{}"), of(first, b"{ }"));
    }
}
