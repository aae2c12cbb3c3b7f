//! What an answer says.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::error::Error;
use crate::verification::{RequestId, Scope, Verified};

pub(crate) const X_TROUSSEAU_CODE: HeaderName = HeaderName::from_static("x-trousseau-code");
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// When whoever met a failure may try again, where nobody says when.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a good answer says of a key.
#[derive(Debug, Clone)]
pub enum Decision {
    /// The key is good for what is demanded.
    Allowed(Verified),
    /// It is not.
    Refused(Refusal),
}

impl Decision {
    /// Who calls, if the key is good.
    pub fn allowed(self) -> Result<Verified, Refusal> {
        match self {
            Self::Allowed(verified) => Ok(verified),
            Self::Refused(refusal) => Err(refusal),
        }
    }
}

macro_rules! reasons {
    ($($(#[$meta:meta])* $reason:ident = $code:literal $status:ident,)+) => {
        /// Why a key is refused. New versions of Trousseau may know more reasons.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$meta])* $reason,)+
            /// A code that this version does not know.
            Other(Box<str>),
        }

        impl Reason {
            /// Its code on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$reason => $code,)+
                    Self::Other(code) => code,
                }
            }

            /// The reason of a code.
            pub(crate) fn of(code: &str) -> Self {
                match code {
                    $($code => Self::$reason,)+
                    other => Self::Other(other.into()),
                }
            }

            /// The status that tells a caller of it; 401 for what is not known.
            pub const fn status(&self) -> StatusCode {
                match self {
                    $(Self::$reason => StatusCode::$status,)+
                    Self::Other(_) => StatusCode::UNAUTHORIZED,
                }
            }

            #[cfg(test)]
            pub(crate) const KNOWN: &'static [Self] = &[$(Self::$reason),+];
        }
    };
}

reasons! {
    /// More than one credential, even the same twice.
    AmbiguousCredentials = "ambiguous_credentials" BAD_REQUEST,
    /// A key in the path or in the query, where logs keep it.
    KeyInUrl = "key_in_url" BAD_REQUEST,
    /// No credential at all.
    CredentialMissing = "credential_missing" UNAUTHORIZED,
    /// An authorization scheme that is not taken.
    SchemeUnsupported = "scheme_unsupported" UNAUTHORIZED,
    /// Broken base64, not UTF-8, or a text that no key has.
    CredentialMalformed = "credential_malformed" UNAUTHORIZED,
    /// Begins like a key of the platform, with a wrong form or checksum.
    KeyMalformed = "key_malformed" UNAUTHORIZED,
    /// The business id must stand beside the key and does not.
    BusinessIdMissing = "business_id_missing" UNAUTHORIZED,
    /// All that callers are told of the reasons below, up to [`Self::BusinessSuspended`]. The exact one is kept under the
    /// reference, and [`Client::verify`] is told it.
    ///
    /// [`Client::verify`]: crate::Client::verify
    Unauthorized = "unauthorized" UNAUTHORIZED,
    /// No key has this text.
    KeyUnknown = "key_unknown" UNAUTHORIZED,
    /// The business id beside the key is not the key's.
    BusinessMismatch = "business_mismatch" UNAUTHORIZED,
    /// The key belongs to the other environment.
    EnvironmentMismatch = "environment_mismatch" UNAUTHORIZED,
    /// The key is revoked.
    KeyRevoked = "key_revoked" UNAUTHORIZED,
    /// An earlier value of a living key.
    KeyRotated = "key_rotated" UNAUTHORIZED,
    /// The key is switched off.
    KeyInactive = "key_inactive" UNAUTHORIZED,
    /// The key's first instant is still to come.
    KeyNotYetValid = "key_not_yet_valid" UNAUTHORIZED,
    /// The key's end has passed.
    KeyExpired = "key_expired" UNAUTHORIZED,
    /// The business is suspended.
    BusinessSuspended = "business_suspended" UNAUTHORIZED,
    /// A LIVE key over plain HTTP.
    HttpsRequired = "https_required" FORBIDDEN,
    /// A secret key from a browser.
    BrowserNotAllowed = "browser_not_allowed" FORBIDDEN,
    /// A kind of key that is not let in here.
    KindNotAllowed = "kind_not_allowed" FORBIDDEN,
    /// The caller's address is in none of the key's ranges.
    IpNotAllowed = "ip_not_allowed" FORBIDDEN,
    /// The page's origin is not one of the key's.
    OriginNotAllowed = "origin_not_allowed" FORBIDDEN,
    /// The key lacks a scope.
    ScopeMissing = "scope_missing" FORBIDDEN,
    /// Too many requests for now.
    RateLimited = "rate_limited" TOO_MANY_REQUESTS,
    /// Too many requests for the day or the month.
    QuotaExhausted = "quota_exhausted" TOO_MANY_REQUESTS,
    /// One header over 16 KiB, or all over 64 KiB.
    HeadersTooLarge = "headers_too_large" REQUEST_HEADER_FIELDS_TOO_LARGE,
}

impl Reason {
    /// Whether it may be told to whoever sent the key. What is false of a key that exists would tell a stranger that it
    /// does.
    const fn is_for_the_owner(&self) -> bool {
        matches!(
            self,
            Self::KeyUnknown
                | Self::BusinessMismatch
                | Self::EnvironmentMismatch
                | Self::KeyRevoked
                | Self::KeyRotated
                | Self::KeyInactive
                | Self::KeyNotYetValid
                | Self::KeyExpired
                | Self::BusinessSuspended
                | Self::Other(_)
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The answer of Trousseau to a caller, as far as the caller may see it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The key is not good for what is demanded. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Refusal(Arc<Refused>);

#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) missing_scope: Option<Scope>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) told: Option<Told>,
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self(Arc::new(refused))
    }
}

impl Refusal {
    /// Why. What only the owner of the key may know is [`Reason::Unauthorized`] unless it was asked by
    /// [`Client::verify`].
    ///
    /// [`Client::verify`]: crate::Client::verify
    pub fn reason(&self) -> &Reason {
        &self.0.reason
    }

    /// The status for the caller: 400, 401, 403, 429 or 431.
    pub fn status(&self) -> StatusCode {
        self.0.told.as_ref().map_or(self.0.reason.status(), |told| told.status)
    }

    /// The reference under which the owner of the key finds the reason.
    pub fn request_id(&self) -> Option<&RequestId> {
        self.0.request_id.as_ref()
    }

    /// The scope that the key lacks, where that is the reason.
    pub fn missing_scope(&self) -> Option<&Scope> {
        self.0.missing_scope.as_ref()
    }

    /// How long the caller should wait, where that helps.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The answer for the caller, a problem as RFC 9457 describes it: Trousseau's own where it was asked by
    /// [`Client::authorize`], and one that says no more than that otherwise.
    ///
    /// [`Client::authorize`]: crate::Client::authorize
    pub fn to_response(&self) -> Response<Bytes> {
        let mut response = match &self.0.told {
            Some(told) => {
                let mut response = Response::new(told.body.clone());
                *response.status_mut() = told.status;
                *response.headers_mut() = told.headers.clone();
                response
            }
            None => self.made(),
        };
        response.extensions_mut().insert(self.clone());
        response
    }

    fn made(&self) -> Response<Bytes> {
        let status = self.0.reason.status();
        let code = if self.0.reason.is_for_the_owner() { Reason::Unauthorized } else { self.0.reason.clone() };
        let body = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "code": code.as_str(),
            "request_id": self.0.request_id,
            "scope": self.0.missing_scope,
        });
        let mut response = problem(status, body);
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            // As Trousseau orders them: programs that know only the first offer Basic.
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"trousseau\", charset=\"UTF-8\""));
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"trousseau\""));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(RETRY_AFTER, seconds(self.0.retry_after));
        }
        if let Ok(code) = HeaderValue::from_str(code.as_str()) {
            headers.insert(X_TROUSSEAU_CODE, code);
        }
        if let Some(id) = self.0.request_id.as_ref().and_then(|id| HeaderValue::from_str(id.as_str()).ok()) {
            headers.insert(X_REQUEST_ID, id);
        }
        response
    }
}

impl Error {
    /// The answer for a caller whose key could not be checked: 503, which says nothing of why. The error is in the
    /// extensions of the response, for a layer around it that logs.
    pub fn to_response(&self) -> Response<Bytes> {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let body = serde_json::json!({
            "type": "about:blank",
            "title": "The key cannot be checked at the moment",
            "status": status.as_u16(),
            "code": "unavailable",
        });
        let mut response = problem(status, body);
        response.headers_mut().insert(RETRY_AFTER, seconds(self.retry_after()));
        response.extensions_mut().insert(self.clone());
        response
    }
}

/// Whole seconds, at least one: what `Retry-After` can say (RFC 9110, section 10.2.3).
fn seconds(after: Option<Duration>) -> HeaderValue {
    let after = after.unwrap_or(AGAIN_AFTER);
    let whole = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
    HeaderValue::from(whole.max(1))
}

fn problem(status: StatusCode, mut body: serde_json::Value) -> Response<Bytes> {
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, PROBLEM);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(reason: Reason) -> Refusal {
        let request_id = Some(RequestId::from_static("5f2b8c1d"));
        Refused { reason, request_id, missing_scope: None, retry_after: None, told: None }.into()
    }

    #[test]
    fn a_reason_is_its_code() {
        for reason in Reason::KNOWN {
            assert_eq!(&Reason::of(reason.as_str()), reason);
        }
        let later = Reason::of("of_tomorrow");
        assert_eq!((later.as_str(), later.status()), ("of_tomorrow", StatusCode::UNAUTHORIZED));
    }

    #[test]
    fn what_only_the_owner_may_know_is_not_in_the_answer() {
        let mut spoken = 0;
        for reason in Reason::KNOWN.iter().cloned().chain([Reason::of("of_tomorrow")]) {
            let response = refusal(reason.clone()).to_response();
            assert_eq!(response.status(), reason.status());
            let text = String::from_utf8_lossy(response.body()).into_owned();
            assert!(text.contains("5f2b8c1d"), "{text}");
            let told = response.headers()[X_TROUSSEAU_CODE].to_str().expect("ASCII").to_owned();
            assert!(text.contains(&format!("\"code\":\"{told}\"")), "{text}");
            if told == reason.as_str() {
                spoken += 1;
            } else {
                assert_eq!(told, "unauthorized");
                assert!(!text.contains(reason.as_str()), "{text}");
            }
            let ways = response.headers().get_all(WWW_AUTHENTICATE).iter().count();
            assert_eq!(ways, if response.status() == StatusCode::UNAUTHORIZED { 2 } else { 0 }, "{reason}");
        }
        assert_eq!(spoken, Reason::KNOWN.len() - 9);
    }

    #[test]
    fn a_failure_says_when_to_come_again_and_nothing_else() {
        for (error, seconds) in [
            (Error::TimedOut, "1"),
            (Error::Overloaded { retry_after: None }, "1"),
            (Error::Overloaded { retry_after: Some(Duration::ZERO) }, "1"),
            (Error::Overloaded { retry_after: Some(Duration::from_millis(1_500)) }, "2"),
            (Error::Overloaded { retry_after: Some(Duration::from_secs(7)) }, "7"),
        ] {
            let response = error.to_response();
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()[RETRY_AFTER], seconds);
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
            assert!(response.extensions().get::<Error>().is_some());
        }
    }
}
