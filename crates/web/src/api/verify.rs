//! `POST /v1/keys/verify`: whether a key that was presented elsewhere is good.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::Extension;
use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use trousseau_domain::decision::{Decision, Demand};
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::RequestId;
use trousseau_domain::keys::KeyKind;
use trousseau_domain::scope::Scope;
use trousseau_service::KeyCaller;
use trousseau_service::access::{Verdict, VerifyRequest};
use trousseau_service::entropy::EntropyExt as _;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

use crate::answer::stored;
use crate::authority::{PlatformGranted, Verify};
use crate::body::Json;
use crate::idempotency::Repeatable;
use crate::problem::{Failure, Faults};
use crate::query::NoQuery;
use crate::router::Web;
use crate::wire::limits::{AllowanceBody, seconds};

/// The most questions in one request.
const MOST_QUESTIONS: usize = 1_000;

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(verify))
}

/// One question.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VerifyQuestion)]
pub(crate) struct QuestionBody {
    /// The key's text.
    #[schema(example = "Mileston_TEST_0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0u1Ab2Cd")]
    key: Option<String>,
    /// The business id that stood beside it.
    #[schema(example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77")]
    business_id: Option<String>,
    /// The environment that is needed.
    #[schema(example = "test")]
    environment: Option<String>,
    /// The kind of key that is needed.
    #[schema(value_type = Option<crate::wire::keys::Kind>)]
    kind: Option<String>,
    /// The scope that is needed.
    #[schema(example = "payments:read")]
    scope: Option<String>,
    /// The `Origin` of the request in question.
    origin: Option<String>,
    /// The address of its caller.
    #[schema(example = "203.0.113.7")]
    ip: Option<String>,
    /// Up to 1000 questions instead of one.
    #[schema(no_recursion)]
    requests: Option<Vec<QuestionBody>>,
}

/// One answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Verdict)]
pub(crate) struct VerdictBody {
    /// Whether the key is good.
    valid: bool,
    /// `ok`, or the exact reason.
    #[schema(example = "ok")]
    code: &'static str,
    /// The scope that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_scope: Option<String>,
    /// The reference under which the business that owns the key, or the one that was named, finds the reason of a refusal.
    /// Absent where none is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "5f2b8c1d4e6f7a8b9c0d1e2f3a4b5c6d")]
    reference: Option<String>,
    /// In how many seconds it may be used again, where it was used too often.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
    /// Where the limits of the key and of its business stand, where they have any. A question counts as a request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rate_limits: Vec<AllowanceBody>,
    /// How many milliseconds a good answer may be kept; not at all where this is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 500)]
    fresh_ms: Option<u64>,
    /// The key, where it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<VerifiedKeyBody>,
}

/// A key that is good.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VerifiedKey)]
pub(crate) struct VerifiedKeyBody {
    /// The id of the business.
    business_id: String,
    /// `test` or `live`.
    environment: &'static str,
    /// `secret` or `checkout`.
    kind: &'static str,
    /// The id of the key.
    key_id: String,
    /// What it may do.
    scopes: Vec<String>,
    /// The notes kept beside the key.
    metadata: BTreeMap<String, String>,
    /// The notes kept beside the business.
    business_metadata: BTreeMap<String, String>,
}

/// The answers to a batch, in its order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Verdicts)]
pub(crate) struct VerdictsBody {
    /// One for each question.
    results: Vec<VerdictBody>,
}

/// The answer to one question, or to a batch.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = VerifyAnswer)]
pub(crate) enum AnswerBody {
    /// To one question.
    One(Box<VerdictBody>),
    /// To a batch.
    Batch(VerdictsBody),
}

impl QuestionBody {
    /// What it says of one key.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        let Self { key, business_id, environment, kind, scope, origin, ip, requests: _ } = self;
        let given = [
            ("key", key),
            ("business_id", business_id),
            ("environment", environment),
            ("kind", kind),
            ("scope", scope),
            ("origin", origin),
            ("ip", ip),
        ];
        given.into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name)
    }
}

impl VerdictBody {
    fn new(verdict: Verdict, web: &Web) -> Self {
        let (code, missing_scope) = match verdict.decision {
            Decision::Allow => ("ok", None),
            Decision::Deny { reason, missing_scope } => (reason.as_str(), missing_scope.map(|scope| scope.to_string())),
        };
        let fresh_ms = verdict.key.as_ref().and_then(|caller| fresh_ms(web, caller));
        let key = verdict.key.map(|caller| VerifiedKeyBody {
            business_id: caller.tenant.business.to_string(),
            environment: caller.tenant.environment.as_str(),
            kind: caller.kind().as_str(),
            key_id: caller.key_id().to_string(),
            scopes: caller.scopes().iter().map(ToString::to_string).collect(),
            metadata: caller.metadata().entries().clone(),
            business_metadata: caller.business_metadata().entries().clone(),
        });
        Self {
            valid: key.is_some(),
            code,
            missing_scope,
            reference: verdict.reference.map(|reference| reference.to_string()),
            retry_after_seconds: verdict.retry_after.map(seconds),
            rate_limits: verdict.allowances.iter().map(AllowanceBody::from).collect(),
            fresh_ms,
            key,
        }
    }
}

/// How many milliseconds a good answer about a key may be kept: never past the end of the key or of its value, and not at
/// all where it has limits, for each use of it is a question of its own.
pub(crate) fn fresh_ms(web: &Web, caller: &KeyCaller) -> Option<u64> {
    let kept = web.app.settings().answers_kept().filter(|_| !caller.is_limited())?;
    let kept = caller.ends_at().map_or(kept, |end| kept.min(end.since(web.app.now())));
    u64::try_from(kept.as_millis()).ok().filter(|ms| *ms > 0)
}

/// The address of a caller, as whoever asks wrote it.
pub(crate) fn address(text: &str) -> Result<IpAddr, &'static str> {
    text.parse().map_err(|_| "must be an IP address")
}

fn question(body: QuestionBody, at: &str, reference: RequestId, faults: &mut Faults) -> Option<VerifyRequest> {
    if body.key.is_none() {
        faults.unreadable(&format!("{at}/key"), "is missing");
    }
    let scope = body.scope.and_then(|text| faults.read(&format!("{at}/scope"), text.parse::<Scope>()));
    let environment =
        body.environment.and_then(|text| faults.read(&format!("{at}/environment"), text.parse::<Environment>()));
    let kind = body.kind.and_then(|text| faults.read(&format!("{at}/kind"), text.parse::<KeyKind>()));
    let address = body.ip.and_then(|text| faults.read(&format!("{at}/ip"), address(&text)));
    Some(VerifyRequest {
        key: Zeroizing::new(body.key?),
        business_id: body.business_id,
        demand: Demand {
            environment: environment.into(),
            kind: kind.into(),
            scopes: scope.into_iter().collect(),
            ..Demand::default()
        },
        origin: body.origin,
        address,
        reference: Some(reference),
    })
}

/// Verify keys
///
/// Always 200: `valid` says whether the key is good and `code` why it is not. One question, or up to 1000 in
/// `requests`, which are answered in `results`.
#[utoipa::path(
    post,
    path = "/v1/keys/verify",
    operation_id = "verify_keys",
    tag = "Access",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; for 24 hours it stands for this request only, whose answer is made anew each time", max_length = 255)),
    request_body = QuestionBody,
    responses((status = 200, description = "The answer, or `results` for a batch", body = AnswerBody)),
    security(("platform" = ["verify"]))
)]
pub(crate) async fn verify(
    may: PlatformGranted<Verify>,
    _query: NoQuery,
    State(web): State<Web>,
    Extension(request_id): Extension<RequestId>,
    repeatable: Repeatable,
    body: Json<QuestionBody>,
) -> Result<Answer<AnswerBody>, Failure> {
    may.check_again(&web).await?;
    let render = |(): &()| stored(200, serde_json::Value::Null, Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    let mut faults = Faults::new();
    let mut body = body.value;
    let Some(batch) = body.requests.take() else {
        let asked = question(body, "", request_id, &mut faults);
        faults.finish()?;
        let asked = asked.ok_or(crate::problem::Kind::Internal)?;
        web.app.access().note_request(repeated.as_ref()).await?;
        let verdict = web.app.access().verify(&asked).await?;
        return Ok(Answer(AnswerBody::One(Box::new(VerdictBody::new(verdict, &web)))));
    };
    // Nothing of it counts for the questions in the batch, so that nothing may stand there as if it did.
    for name in body.names() {
        faults.unreadable(&format!("/{name}"), "cannot stand beside requests: each of them says it for itself");
    }
    if batch.len() > MOST_QUESTIONS {
        faults.senseless("/requests", "has more than 1000 entries");
    }
    let mut asked = Vec::new();
    for (index, entry) in batch.into_iter().enumerate().take(MOST_QUESTIONS) {
        let at = format!("/requests/{index}");
        if entry.requests.is_some() {
            faults.unreadable(&format!("{at}/requests"), "cannot be nested");
        }
        // Each question has a reference of its own: a gateway hands it on to whoever sent the key.
        let reference = RequestId::from_random(web.app.entropy().bytes());
        asked.extend(question(entry, &at, reference, &mut faults));
    }
    faults.finish()?;
    web.app.access().note_request(repeated.as_ref()).await?;
    let verdicts = web.app.access().verify_all(&asked).await?;
    let results = verdicts.into_iter().map(|verdict| VerdictBody::new(verdict, &web)).collect();
    Ok(Answer(AnswerBody::Batch(VerdictsBody { results })))
}
