//! Reading a request's query as strictly as its body.

use std::collections::HashSet;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query as Pairs};
use http::request::Parts;
use serde::de::DeserializeOwned;
use trousseau_service::ServiceError;

use crate::problem::{Failure, FieldError, Kind};

/// The parameters of the query. `T` is a struct of optional texts that refuses unknown members.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let Pairs(pairs) =
            Pairs::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(|_| Failure::new(Kind::InvalidQuery))?;
        let mut names = HashSet::new();
        if pairs.iter().any(|(name, _)| !names.insert(name.as_str())) {
            return Err(Failure::new(Kind::InvalidQuery).with_detail("A parameter is given twice."));
        }
        Pairs::<T>::try_from_uri(&parts.uri).map(|Pairs(value)| Self(value)).map_err(|rejection| {
            // The message names the unknown parameter, then the known ones; only the latter are ours to repeat.
            let text = rejection.body_text();
            let known = text.rsplit_once(", expected ").map_or("none", |(_, known)| known);
            Failure::new(Kind::InvalidQuery).with_detail(format!("A parameter is not known here; known: {known}."))
        })
    }
}

/// No parameters: a route that knows none takes none, so that nothing is passed over that was meant for its body.
#[derive(Debug)]
pub struct NoQuery;

impl NoQuery {
    /// Whether a query holds no parameter.
    pub(crate) fn is_in(uri: &http::Uri) -> bool {
        uri.query().is_none_or(|query| query.split('&').all(str::is_empty))
    }
}

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        if Self::is_in(&parts.uri) {
            Ok(Self)
        } else {
            Err(Failure::new(Kind::InvalidQuery).with_detail("A parameter is not known here; known: none."))
        }
    }
}

/// The value of one parameter, if it is given.
pub fn parameter<T: FromStr<Err: ToString>>(name: &str, text: Option<&str>) -> Result<Option<T>, Failure> {
    text.map(|text| text.parse().map_err(|error: T::Err| refused(name, error.to_string()))).transpose()
}

/// The two ends of a range, whose beginning is not behind its end: an empty answer would pass for nothing found.
pub fn range<T: PartialOrd + Copy>(
    names: (&str, &str),
    from: Option<T>,
    to: Option<T>,
) -> Result<(Option<T>, Option<T>), Failure> {
    match (from, to) {
        (Some(first), Some(last)) if last < first => Err(refused(names.1, format!("must not be before {}", names.0))),
        ends => Ok(ends),
    }
}

/// A parameter that is `true` or `false`, and false unless given.
pub fn flag(name: &str, text: Option<&str>) -> Result<bool, Failure> {
    match text {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(refused(name, "must be true or false")),
    }
}

/// A parameter that cannot be used.
pub fn refused(name: &str, detail: impl Into<String>) -> Failure {
    Failure::new(Kind::InvalidQuery).with_errors(vec![FieldError::parameter(name, detail)])
}

/// What a use case refused of the query.
pub fn about_query(error: ServiceError) -> Failure {
    Failure::from(error).about_query()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        limit: Option<String>,
        q: Option<String>,
    }

    async fn read(uri: &str) -> Result<Sample, Failure> {
        let (mut parts, ()) = http::Request::builder().uri(uri).body(()).expect("a request").into_parts();
        Query::from_request_parts(&mut parts, &()).await.map(|Query(sample)| sample)
    }

    #[tokio::test]
    async fn parameters_are_known_and_given_once() {
        let good = read("/x?limit=5&q=a%20b").await.expect("good");
        assert_eq!((good.limit.as_deref(), good.q.as_deref()), (Some("5"), Some("a b")));
        assert!(read("/x").await.expect("good").limit.is_none());
        for bad in ["/x?limit=1&limit=1", "/x?other=1"] {
            assert_eq!(read(bad).await.expect_err("refused").kind(), Kind::InvalidQuery, "{bad}");
        }
        assert_eq!(parameter::<u8>("limit", Some("5")).expect("good"), Some(5));
        assert!(parameter::<u8>("limit", Some("x")).is_err());
    }
}
