//! What an answer on the wire says. Whatever is not exactly as Trousseau writes it lets nothing through.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::response::Parts;
use http::{HeaderMap, HeaderName, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;

use crate::decision::{Decision, Reason, Refused, Told, X_REQUEST_ID, X_TROUSSEAU_CODE};
use crate::error::Error;
use crate::verification::{BusinessId, Environment, KeyId, KeyKind, RequestId, Verification, Verified};

/// The headers of a refusal that its caller may see.
const TOLD: [HeaderName; 8] = [
    CONTENT_TYPE,
    CONTENT_LANGUAGE,
    WWW_AUTHENTICATE,
    RETRY_AFTER,
    RATE_LIMIT,
    RATE_LIMIT_POLICY,
    X_REQUEST_ID,
    X_TROUSSEAU_CODE,
];
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// A decision, and for how long after the question was sent it holds.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) decision: Decision,
    pub(crate) fresh: Duration,
    /// Whether the question counted against limits of the key, or found no room in them: it is for one request then.
    pub(crate) is_counted: bool,
}

/// The members of a problem that are looked at.
#[derive(Default, Deserialize)]
struct Problem {
    code: Option<String>,
    scope: Option<String>,
}

/// An answer of `/v1/authorize`.
pub(crate) fn authorized(parts: &Parts, body: &Bytes) -> Result<Heard, Error> {
    let status = parts.status;
    let is_counted = parts.headers.contains_key(&RATE_LIMIT);
    if status == StatusCode::OK {
        let verification = identity(&parts.headers)
            .ok_or(Error::Unintelligible { status, what: "it does not say whose key it is" })?;
        let decision = Decision::Allowed(Verified::from(verification));
        return Ok(Heard { decision, fresh: fresh(&parts.headers), is_counted });
    }
    let code = one(&parts.headers, &X_TROUSSEAU_CODE);
    match code {
        Some(code) if status.is_client_error() => {
            if !media_type(&parts.headers, "application/problem+json") {
                return Err(Error::Unintelligible { status, what: "it is no problem as JSON" });
            }
            let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
            let mut headers = HeaderMap::new();
            for name in &TOLD {
                for value in parts.headers.get_all(name) {
                    headers.append(name.clone(), value.clone());
                }
            }
            let refusal = Refused {
                reason: Reason::of(code),
                request_id: request_id(&parts.headers),
                missing_scope: problem.scope.and_then(|scope| scope.parse().ok()),
                retry_after: retry_after(&parts.headers),
                told: Some(Told { status, headers, body: body.clone() }),
            };
            Ok(Heard { decision: Decision::Refused(refusal.into()), fresh: Duration::ZERO, is_counted })
        }
        _ => Err(failed(parts)),
    }
}

/// What is no decision, whichever door was asked.
fn failed(parts: &Parts) -> Error {
    match parts.status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            Error::Overloaded { retry_after: retry_after(&parts.headers) }
        }
        status => Error::Unintelligible { status, what: "Trousseau does not answer so" },
    }
}

fn identity(headers: &HeaderMap) -> Option<Verification> {
    let text = |name: &'static str| one(headers, &HeaderName::from_static(name));
    let notes = |name| serde_json::from_str(text(name).unwrap_or("{}")).ok();
    let mut verification = Verification::new(
        text("x-trousseau-business")?.parse().ok()?,
        Environment::of(text("x-trousseau-environment")?)?,
        KeyKind::of(text("x-trousseau-kind")?)?,
        text("x-trousseau-key")?.parse().ok()?,
    );
    let scopes = text("x-trousseau-scopes").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty());
    verification.scopes = scopes.map(str::parse).collect::<Result<_, _>>().ok()?;
    verification.metadata = notes("x-trousseau-metadata")?;
    verification.business_metadata = notes("x-trousseau-business-metadata")?;
    verification.request_id = request_id(headers);
    verification.assertion = text("x-trousseau-assertion").filter(|text| !text.is_empty()).map(SecretString::from);
    Some(verification)
}

/// The answer to one question of `POST /v1/keys/verify`.
#[derive(Deserialize)]
struct Verdict {
    valid: bool,
    code: String,
    missing_scope: Option<String>,
    reference: Option<String>,
    retry_after_seconds: Option<u64>,
    fresh_ms: Option<u64>,
    key: Option<VerifiedKey>,
    #[serde(default)]
    rate_limits: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct VerifiedKey {
    business_id: String,
    environment: String,
    kind: String,
    key_id: String,
    scopes: Vec<String>,
    metadata: BTreeMap<String, String>,
    business_metadata: BTreeMap<String, String>,
}

impl VerifiedKey {
    fn verification(self) -> Option<Verification> {
        let business: BusinessId = self.business_id.parse().ok()?;
        let key: KeyId = self.key_id.parse().ok()?;
        let environment = Environment::of(&self.environment)?;
        let mut verification = Verification::new(business, environment, KeyKind::of(&self.kind)?, key);
        verification.scopes = self.scopes.iter().map(|scope| scope.parse()).collect::<Result<_, _>>().ok()?;
        verification.metadata = self.metadata;
        verification.business_metadata = self.business_metadata;
        Some(verification)
    }
}

/// An answer of `POST /v1/keys/verify`.
pub(crate) fn verified(parts: &Parts, body: &Bytes) -> Result<Heard, Error> {
    let status = parts.status;
    if status == StatusCode::OK {
        let what = "it is no verdict";
        if !media_type(&parts.headers, "application/json") {
            return Err(Error::Unintelligible { status, what });
        }
        let verdict: Verdict = serde_json::from_slice(body).map_err(|_| Error::Unintelligible { status, what })?;
        let is_counted = !verdict.rate_limits.is_empty();
        return match (verdict.valid, verdict.code.as_str(), verdict.key) {
            (true, "ok", Some(key)) => {
                let mut verification = key.verification().ok_or(Error::Unintelligible { status, what })?;
                verification.request_id = request_id(&parts.headers);
                let decision = Decision::Allowed(Verified::from(verification));
                Ok(Heard { decision, fresh: Duration::from_millis(verdict.fresh_ms.unwrap_or(0)), is_counted })
            }
            (false, code, None) if code != "ok" => {
                let refusal = Refused {
                    reason: Reason::of(code),
                    request_id: verdict.reference.and_then(|reference| reference.parse().ok()),
                    missing_scope: verdict.missing_scope.and_then(|scope| scope.parse().ok()),
                    retry_after: verdict.retry_after_seconds.map(Duration::from_secs),
                    told: None,
                };
                Ok(Heard { decision: Decision::Refused(refusal.into()), fresh: Duration::ZERO, is_counted })
            }
            _ => Err(Error::Unintelligible { status, what }),
        };
    }
    let problem: Option<Problem> =
        media_type(&parts.headers, "application/problem+json").then(|| serde_json::from_slice(body).ok()).flatten();
    match problem.and_then(|problem| problem.code) {
        Some(code) if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            Err(Error::PlatformKeyRefused { reason: Reason::of(&code) })
        }
        Some(code) if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
            Err(Error::QuestionRefused { status, reason: Reason::of(&code) })
        }
        _ => Err(failed(parts)),
    }
}

/// The value of a header that stands there once; of one that stands there more often nobody knows which counts.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn fresh(headers: &HeaderMap) -> Duration {
    let ms = one(headers, &HeaderName::from_static("x-trousseau-fresh-ms")).and_then(|text| text.parse().ok());
    Duration::from_millis(ms.unwrap_or(0))
}

/// In seconds; a date would ask whose clock is right.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    one(headers, &RETRY_AFTER)?.parse().ok().map(Duration::from_secs)
}

fn request_id(headers: &HeaderMap) -> Option<RequestId> {
    one(headers, &X_REQUEST_ID)?.parse().ok()
}

fn media_type(headers: &HeaderMap, wanted: &str) -> bool {
    one(headers, &CONTENT_TYPE)
        .and_then(|text| text.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Response};
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::verification::Scope;

    const GOOD: [(&str, &str); 9] = [
        ("x-trousseau-business", "17"),
        ("x-trousseau-environment", "live"),
        ("x-trousseau-kind", "checkout"),
        ("x-trousseau-key", "key_1"),
        ("x-trousseau-scopes", "payments:read  payments:write"),
        ("x-trousseau-metadata", r#"{"customer":"\u00c9t\u00e9"}"#),
        ("x-trousseau-business-metadata", "{}"),
        ("x-trousseau-fresh-ms", "500"),
        ("x-request-id", "5f2b"),
    ];

    fn parts(status: u16, headers: &[(&'static str, &str)]) -> Parts {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        response.body(()).expect("a response").into_parts().0
    }

    fn authorize(status: u16, headers: &[(&'static str, &str)], body: &str) -> Result<Heard, Error> {
        authorized(&parts(status, headers), &Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn a_good_answer_says_who_calls() {
        let mut headers = GOOD.to_vec();
        headers.push(("x-trousseau-assertion", "a.b.c"));
        let heard = authorize(200, &headers, "").expect("good");
        assert_eq!(heard.fresh, Duration::from_millis(500));
        let who = heard.decision.allowed().expect("allowed");
        assert_eq!((who.business_id.as_str(), who.key_id.as_str()), ("17", "key_1"));
        assert_eq!((who.environment, who.kind), (Environment::Live, KeyKind::Checkout));
        assert_eq!(who.scopes, [Scope::from_static("payments:read"), Scope::from_static("payments:write")]);
        assert!(who.has_scope("payments:write") && !who.has_scope("payments"));
        assert_eq!(who.metadata["customer"], "\u{c9}t\u{e9}");
        assert_eq!(who.request_id, Some(RequestId::from_static("5f2b")));
        assert_eq!(who.assertion.as_ref().map(ExposeSecret::expose_secret), Some("a.b.c"));
    }

    #[test]
    fn a_200_that_does_not_say_all_of_it_lets_nothing_through() {
        for missing in 0..4 {
            let mut headers = GOOD.to_vec();
            let (name, value) = headers.remove(missing);
            authorize(200, &headers, "").expect_err(name);
            headers.extend([(name, value), (name, value)]);
            authorize(200, &headers, "").expect_err(name);
        }
        for (name, odd) in [
            ("x-trousseau-business", ""),
            ("x-trousseau-business", "\u{e9}"),
            ("x-trousseau-environment", "LIVE"),
            ("x-trousseau-kind", "admin"),
            ("x-trousseau-scopes", "a,b"),
            ("x-trousseau-metadata", "[]"),
            ("x-trousseau-business-metadata", "{\"a\":1}"),
        ] {
            let mut headers = GOOD.to_vec();
            headers.retain(|(other, _)| *other != name);
            headers.push((name, odd));
            authorize(200, &headers, "").expect_err(name);
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_kept() {
        for odd in ["", "-1", "1e3", "0x10", "500ms", "99999999999999999999"] {
            let mut headers = GOOD.to_vec();
            headers[7].1 = odd;
            assert_eq!(authorize(200, &headers, "").expect("good").fresh, Duration::ZERO, "{odd}");
        }
        let twice = [GOOD.as_slice(), &[("x-trousseau-fresh-ms", "900")]].concat();
        assert_eq!(authorize(200, &twice, "").expect("good").fresh, Duration::ZERO);
    }

    #[test]
    fn a_refusal_is_passed_on_with_what_the_caller_may_see() {
        let headers = [
            ("content-type", "application/problem+json"),
            ("content-language", "en"),
            ("www-authenticate", "Basic realm=\"trousseau\""),
            ("www-authenticate", "Bearer"),
            ("x-trousseau-code", "scope_missing"),
            ("x-request-id", "5f2b"),
            ("set-cookie", "a=b"),
            ("x-trousseau-business", "17"),
        ];
        let heard = authorize(403, &headers, r#"{"code":"scope_missing","scope":"a:b"}"#).expect("a refusal");
        assert_eq!(heard.fresh, Duration::ZERO);
        let refusal = heard.decision.allowed().expect_err("refused");
        assert_eq!((refusal.reason(), refusal.status()), (&Reason::ScopeMissing, StatusCode::FORBIDDEN));
        assert_eq!(refusal.missing_scope(), Some(&Scope::from_static("a:b")));
        assert_eq!(refusal.request_id(), Some(&RequestId::from_static("5f2b")));
        let response = refusal.to_response();
        assert_eq!(response.headers().get_all(WWW_AUTHENTICATE).iter().count(), 2);
        assert_eq!(response.headers().len(), 6);
        assert!(response.headers().get("set-cookie").is_none());
        let limited =
            [("content-type", "application/problem+json"), ("x-trousseau-code", "rate_limited"), ("retry-after", "3")];
        let refusal = authorize(429, &limited, "{}").expect("a refusal").decision.allowed().expect_err("refused");
        assert_eq!(refusal.retry_after(), Some(Duration::from_secs(3)));
        let later = [("content-type", "application/problem+json"), ("x-trousseau-code", "of_tomorrow")];
        let refusal = authorize(401, &later, "{}").expect("a refusal").decision.allowed().expect_err("refused");
        assert_eq!(refusal.reason(), &Reason::Other("of_tomorrow".into()));
    }

    #[test]
    fn other_answers_are_failures() {
        let problem = ("content-type", "application/problem+json");
        for status in [204, 301, 302, 404, 500, 502, 504] {
            let error = authorize(status, &[problem], "{}").expect_err("no decision");
            assert!(matches!(error, Error::Unintelligible { .. }), "{status}: {error}");
        }
        for (status, code) in [(503, "unavailable"), (200, "ok"), (302, "unauthorized"), (500, "internal")] {
            authorize(status, &[problem, ("x-trousseau-code", code)], "{}").expect_err("no decision");
        }
        authorize(401, &[("content-type", "text/html"), ("x-trousseau-code", "unauthorized")], "").expect_err("a page");
        authorize(401, &[problem], r#"{"code":"unauthorized"}"#).expect_err("of somebody in between");
        let waits = |after| match authorize(503, &[("retry-after", after)], "") {
            Err(Error::Overloaded { retry_after }) => retry_after,
            other => unreachable!("{other:?}"),
        };
        assert_eq!(waits("7"), Some(Duration::from_secs(7)));
        assert_eq!(waits("Fri, 31 Dec 1999 23:59:59 GMT"), None);
    }

    fn verify(status: u16, kind: &'static str, body: &str) -> Result<Heard, Error> {
        verified(&parts(status, &[("content-type", kind)]), &Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn a_verdict_is_read_whole_or_not_at_all() {
        let key = r#"{"business_id":"17","environment":"test","kind":"secret","key_id":"key_1","scopes":["a:b"],"metadata":{},"business_metadata":{"a":"b"}}"#;
        let good = format!(r#"{{"valid":true,"code":"ok","fresh_ms":500,"key":{key},"of_tomorrow":1}}"#);
        let heard = verify(200, "application/json; charset=utf-8", &good).expect("good");
        assert_eq!(heard.fresh, Duration::from_millis(500));
        assert_eq!(heard.decision.allowed().expect("allowed").key_id, "key_1");
        let bad = r#"{"valid":false,"code":"key_revoked","reference":"5f2b"}"#;
        let refusal = verify(200, "application/json", bad).expect("bad").decision.allowed().expect_err("refused");
        assert_eq!(refusal.reason(), &Reason::KeyRevoked);
        assert_eq!(refusal.request_id(), Some(&RequestId::from_static("5f2b")));
        let often = r#"{"valid":false,"code":"rate_limited","retry_after_seconds":30}"#;
        let refusal = verify(200, "application/json", often).expect("often").decision.allowed().expect_err("refused");
        assert_eq!(refusal.retry_after(), Some(Duration::from_secs(30)));
        assert_eq!(refusal.to_response().headers()["retry-after"], "30");
        for contradiction in [
            format!(r#"{{"valid":true,"code":"key_revoked","key":{key}}}"#),
            format!(r#"{{"valid":false,"code":"ok","key":{key}}}"#),
            format!(r#"{{"valid":false,"code":"key_revoked","key":{key}}}"#),
            r#"{"valid":true,"code":"ok"}"#.to_owned(),
            r#"{"valid":false,"code":"ok"}"#.to_owned(),
            good.replace("test", "TEST"),
            good.replace("\"valid\":true", "\"valid\":1"),
            good[..good.len() - 1].to_owned(),
            "[]".to_owned(),
            String::new(),
        ] {
            verify(200, "application/json", &contradiction).expect_err(&contradiction);
        }
        verify(200, "text/html", &good).expect_err("a page");
    }

    #[test]
    fn a_platform_key_that_is_refused_is_no_refusal_of_the_key_in_question() {
        let problem = "application/problem+json";
        let code = r#"{"code":"unauthorized"}"#;
        assert!(matches!(verify(401, problem, code), Err(Error::PlatformKeyRefused { reason: Reason::Unauthorized })));
        assert!(matches!(verify(403, problem, code), Err(Error::PlatformKeyRefused { .. })));
        assert!(matches!(verify(422, problem, code), Err(Error::QuestionRefused { .. })));
        assert!(matches!(verify(429, problem, code), Err(Error::Overloaded { .. })));
        assert!(matches!(verify(503, problem, code), Err(Error::Overloaded { .. })));
        assert!(matches!(verify(401, "text/html", code), Err(Error::Unintelligible { .. })));
        assert!(matches!(verify(500, problem, code), Err(Error::Unintelligible { .. })));
    }

    proptest! {
        /// No answer without the four words of an identity lets anybody in, whatever else it says.
        #[test]
        fn garbage_lets_nobody_in(status in 200_u16..600, body in proptest::collection::vec(any::<u8>(), 0..200), kind in 0_usize..3) {
            let kind = ["application/json", "application/problem+json", "text/html"][kind];
            let parts = parts(status, &[("content-type", kind), ("x-trousseau-code", "unauthorized")]);
            let body = Bytes::from(body);
            for heard in [authorized(&parts, &body), verified(&parts, &body)].into_iter().flatten() {
                prop_assert!(matches!(heard.decision, Decision::Refused(_)));
                prop_assert_eq!(heard.fresh, Duration::ZERO);
            }
        }
    }
}
