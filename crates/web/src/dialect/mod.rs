//! The shapes that failures take: each group of routes answers as its clients expect.

mod codat;
mod mileston;
mod payline;
mod v1;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode, Uri};
use trousseau_domain::ids::RequestId;

pub(crate) use codat::ErrorMessage as CodatErrorBody;
pub(crate) use payline::ErrorBody as PaylineErrorBody;
pub(crate) use v1::ProblemBody;

use crate::language::Language;
use crate::problem::{Failure, Kind};

/// Whose words a route speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Ours: RFC 9457 problems.
    V1,
    /// Codat's error message.
    Codat,
    /// Payline's result object.
    Payline,
    /// Mileston's message with its status.
    Mileston,
    /// Ours, for gateways.
    Gateway {
        /// Whether the gateway passes every status on. Without it there are only 401 and 403 for what is refused:
        /// nginx makes a 500 of all else.
        every_status: bool,
    },
}

/// Where gateways ask.
pub(crate) const AUTHORIZE: &str = "/v1/authorize";
/// What gateways are told of a refusal, beside the problem.
const X_TROUSSEAU_CODE: HeaderName = HeaderName::from_static("x-trousseau-code");

/// The challenges of a 401 (RFC 7617, section 2, and RFC 6750, section 3).
const BASIC: &str = "Basic realm=\"trousseau\", charset=\"UTF-8\"";
const BEARER: &str = "Bearer realm=\"trousseau\"";
/// Where only the operator's keys are taken, which come as Bearer.
const OPERATORS: [&str; 4] = ["/v1/businesses", "/v1/introspect", "/v1/keys/verify", "/v1/merchants"];

/// Where Mileston's routes are.
const MILESTON: [&str; 6] = ["/payment-link", "/invoice", "/recurring-payment", "/checkout", "/user", "/status"];

/// Whether `path` is `prefix` or lies below it.
fn lies_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Dialect {
    /// The dialect of a path, whether or not there is a route.
    pub fn of_path(path: &str) -> Self {
        if lies_under(path, "/apiKeys") {
            Self::Codat
        } else if lies_under(path, "/v1/merchants") || lies_under(path, "/v1/checkout/alive") {
            Self::Payline
        } else if MILESTON.iter().any(|prefix| lies_under(path, prefix)) {
            Self::Mileston
        } else if path == AUTHORIZE {
            Self::Gateway { every_status: false }
        } else {
            Self::V1
        }
    }

    /// The dialect of a request.
    pub fn of_uri(uri: &Uri) -> Self {
        match Self::of_path(uri.path()) {
            Self::Gateway { .. } => {
                let every_status = uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "statuses=all"));
                Self::Gateway { every_status }
            }
            other => other,
        }
    }

    /// The status of a kind of failure here. The clients of other systems do not know a 422 for a bad value.
    pub fn status(self, kind: Kind) -> StatusCode {
        match (self, kind) {
            (Self::Codat | Self::Payline | Self::Mileston, Kind::InvalidValue)
            | (Self::Mileston, Kind::NotPayable | Kind::TransactionTaken | Kind::TransactionRefused) => {
                StatusCode::BAD_REQUEST
            }
            (Self::Gateway { every_status: false }, kind) => match kind.status() {
                StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => StatusCode::UNAUTHORIZED,
                refused if refused.is_client_error() => StatusCode::FORBIDDEN,
                // It could not be told whether the key is good, which is no refusal.
                failed => failed,
            },
            _ => kind.status(),
        }
    }

    /// How a credential may come to a path (RFC 9110, section 11.6.1).
    fn challenges(self, path: &str) -> &'static [&'static str] {
        let under = |prefix: &&str| lies_under(path, prefix);
        // Browsers ask for a password where Basic is offered, so a page's routes offer Bearer alone.
        let for_pages = self == Self::Mileston || (under(&"/v1/checkout") && self != Self::Payline);
        if self == Self::Codat {
            &[BASIC]
        } else if for_pages || OPERATORS.iter().any(under) {
            &[BEARER]
        } else {
            &[BASIC, BEARER]
        }
    }

    /// Writes the failure in this dialect.
    pub fn render(self, failure: &Failure, path: &str, language: Language, request: RequestId) -> Response {
        let status = self.status(failure.kind());
        let (media_type, body) = match self {
            Self::V1 | Self::Gateway { .. } => {
                ("application/problem+json", v1::body(failure, status, language, request))
            }
            Self::Codat => ("application/json", codat::body(failure, status, language, request)),
            Self::Payline => ("application/json", payline::body(failure, language, request)),
            Self::Mileston => ("application/json", mileston::body(failure, status, language, request)),
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        if status == StatusCode::UNAUTHORIZED {
            for challenge in self.challenges(path) {
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
        }
        if matches!(self, Self::Gateway { .. }) {
            headers.insert(X_TROUSSEAU_CODE, HeaderValue::from_static(failure.kind().code()));
        }
        if let Some(seconds) = failure.retry_after_seconds() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The JSON text of a body made of our own types.
fn json(body: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("error bodies hold texts and numbers only")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_the_dialect_of_their_prefix() {
        for (path, dialect) in [
            ("/v1/whoami", Dialect::V1),
            ("/apiKeys", Dialect::Codat),
            ("/apiKeys/x/y", Dialect::Codat),
            ("/apiKeysAndMore", Dialect::V1),
            ("/v1/merchants/1/keys", Dialect::Payline),
            ("/v1/checkout/alive", Dialect::Payline),
            ("/v1/checkout/other", Dialect::V1),
            ("/checkout/user/x", Dialect::Mileston),
            ("/payment-link/", Dialect::Mileston),
            ("/invoices", Dialect::V1),
            ("/v1/authorize", Dialect::Gateway { every_status: false }),
            ("/v1/authorize/x", Dialect::V1),
            ("/", Dialect::V1),
        ] {
            assert_eq!(Dialect::of_path(path), dialect, "{path}");
        }
    }

    #[test]
    fn schemes_are_offered_where_they_are_taken_and_pages_are_spared_the_password_prompt() {
        let request = RequestId::from_random([7; 16]);
        for (path, challenges) in [
            ("/v1/whoami", &[BASIC, BEARER][..]),
            ("/v1/keys", &[BASIC, BEARER]),
            ("/v1/keys/verify", &[BEARER]),
            ("/v1/introspect", &[BEARER]),
            ("/v1/businesses/x/keys", &[BEARER]),
            ("/v1/merchants/1/keys", &[BEARER]),
            ("/v1/checkout/alive", &[BASIC, BEARER]),
            ("/v1/checkout/start", &[BEARER]),
            ("/apiKeys", &[BASIC]),
            ("/invoice/", &[BEARER]),
        ] {
            let failure = Failure::new(Kind::Unauthorized);
            let answer = Dialect::of_path(path).render(&failure, path, Language::English, request);
            assert!(answer.headers().get_all(WWW_AUTHENTICATE).iter().eq(challenges), "{path}");
        }
    }
}
