//! The `Idempotency-Key` header.

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::problem::{Failure, Kind};

/// What the caller names a request, so that its repetition gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let bytes = value.as_bytes();
        let printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
        match value.to_str() {
            Ok(text)
                if values.next().is_none() && printable && (1..=255).contains(&bytes.len()) =>
            {
                Ok(Self(Some(text.to_owned())))
            }
            _ => Err(Failure::new(Kind::InvalidIdempotencyKey)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(values: &[&[u8]]) -> Result<IdempotencyKey, Failure> {
        let mut request = http::Request::builder();
        for value in values {
            request = request.header("idempotency-key", *value);
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        IdempotencyKey::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn one_short_printable_value_is_taken() {
        assert_eq!(read(&[]).await.expect("none"), IdempotencyKey(None));
        assert_eq!(
            read(&[b"a b-1"]).await.expect("good"),
            IdempotencyKey(Some("a b-1".to_owned()))
        );
        assert!(read(&[&[b'x'; 255]]).await.is_ok());
        for bad in [
            &[&b""[..]][..],
            &[&[b'x'; 256]],
            &[b"a", b"a"],
            &[b"\xc3\xa9"],
            &[b"a\tb"],
        ] {
            assert!(read(bad).await.is_err(), "{bad:?}");
        }
    }
}
