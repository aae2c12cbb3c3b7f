//! `POST /v1/introspect`: whether a key is good, as OAuth 2.0 asks it (RFC 7662).

use std::collections::BTreeMap;

use axum::Extension;
use axum::Json as Answer;
use axum::extract::{FromRequest, Request, State};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trousseau_domain::decision::Demand;
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::RequestId;
use trousseau_domain::keys::KeyKind;
use trousseau_domain::scope::Scope;
use trousseau_service::KeyCaller;
use trousseau_service::access::VerifyRequest;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

use super::verify::address;
use crate::answer::stored;
use crate::authority::{PlatformGranted, Verify};
use crate::body::{BodyRejection, MAX_BODY_BYTES, has_type, read};
use crate::idempotency::Repeatable;
use crate::problem::{Failure, Faults, Kind};
use crate::query::NoQuery;
use crate::router::Web;

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(introspect))
}

/// The question (RFC 7662 section 2.1). Further parameters are passed over, as OAuth 2.0 asks.
#[derive(Deserialize, ToSchema)]
#[schema(as = Introspection)]
pub(crate) struct IntrospectionBody {
    /// The key's text.
    #[schema(example = "Mileston_TEST_0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0u1Ab2Cd")]
    token: String,
    /// Not needed: keys are of one type.
    #[expect(dead_code, reason = "read and passed over")]
    token_type_hint: Option<String>,
    /// The business id that stood beside the key.
    #[schema(example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77")]
    business_id: Option<String>,
    /// The environment that is needed.
    #[schema(example = "test")]
    environment: Option<String>,
    /// The kind of key that is needed.
    #[schema(value_type = Option<crate::wire::keys::Kind>)]
    kind: Option<String>,
    /// The scopes that are needed, with spaces between.
    #[schema(example = "payments:read")]
    scope: Option<String>,
    /// The `Origin` of the request in question.
    origin: Option<String>,
    /// The address of its caller.
    #[schema(example = "203.0.113.7")]
    ip: Option<String>,
}

/// The body as a form.
pub(crate) struct Form {
    value: IntrospectionBody,
    bytes: Bytes,
}

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = BodyRejection;

    async fn from_request(request: Request, _: &S) -> Result<Self, BodyRejection> {
        let is_form = has_type(request.headers(), |essence| essence == "application/x-www-form-urlencoded");
        let bytes = read(request, MAX_BODY_BYTES).await?;
        if !is_form {
            return Err(Failure::new(Kind::UnsupportedMediaType)
                .with_detail("Send a form: application/x-www-form-urlencoded.")
                .into());
        }
        // The reader's own message may quote what was sent. A parameter without a value is as if it were not there.
        let value: Option<IntrospectionBody> = serde_html_form::from_bytes(&bytes).ok();
        let value = value.filter(|body| !body.token.is_empty()).ok_or_else(|| {
            Failure::new(Kind::InvalidBody).with_detail("The form needs one `token`, and no parameter twice.")
        })?;
        Ok(Self { value, bytes })
    }
}

/// The answer (RFC 7662 section 2.2). Of a key that is not good, nothing is said but that.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IntrospectionAnswer)]
pub(crate) struct IntrospectionAnswer {
    /// Whether the key is good for what is needed.
    active: bool,
    /// The key, where it is good.
    #[serde(flatten)]
    #[schema(value_type = ActiveKey, inline)]
    key: Option<ActiveKey>,
}

/// A key that is good.
// The answer about any other has none of these members, so none is required.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActiveKey {
    /// What it may do, with spaces between.
    #[schema(required = false, example = "payments:read payments:write")]
    scope: String,
    /// The id of the business.
    #[schema(required = false)]
    client_id: String,
    /// Always `Bearer`.
    #[schema(required = false)]
    token_type: &'static str,
    /// When its value stops being accepted, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    exp: Option<i64>,
    /// When its value was made, in seconds since 1970.
    #[schema(required = false)]
    iat: i64,
    /// From when it is good, in seconds since 1970.
    #[schema(required = false)]
    nbf: i64,
    /// The id of the key.
    #[schema(required = false)]
    sub: String,
    /// The address of this installation.
    #[schema(required = false)]
    iss: String,
    /// The id of the business.
    #[schema(required = false)]
    business_id: String,
    /// `test` or `live`.
    #[schema(required = false)]
    environment: &'static str,
    /// `secret` or `checkout`.
    #[schema(required = false)]
    kind: &'static str,
    /// The id of the key.
    #[schema(required = false)]
    key_id: String,
    /// The notes kept beside the key.
    #[schema(required = false)]
    metadata: BTreeMap<String, String>,
    /// The notes kept beside the business.
    #[schema(required = false)]
    business_metadata: BTreeMap<String, String>,
}

impl ActiveKey {
    fn new(caller: &KeyCaller, issuer: &str) -> Self {
        let (business, key) = (caller.tenant.business.to_string(), caller.key_id().to_string());
        Self {
            scope: caller.scope_words(),
            client_id: business.clone(),
            token_type: "Bearer",
            exp: caller.ends_at().map(trousseau_domain::time::Timestamp::as_seconds),
            iat: caller.value_made_at().as_seconds(),
            nbf: caller.valid_from().as_seconds(),
            sub: key.clone(),
            iss: issuer.to_owned(),
            business_id: business,
            environment: caller.tenant.environment.as_str(),
            kind: caller.kind().as_str(),
            key_id: key,
            metadata: caller.metadata().entries().clone(),
            business_metadata: caller.business_metadata().entries().clone(),
        }
    }
}

fn question(body: IntrospectionBody, reference: RequestId) -> Result<VerifyRequest, Failure> {
    // A parameter without a value is as if it were not there (RFC 6749 section 3.2).
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let mut faults = Faults::new();
    let words = body.scope.as_deref().unwrap_or_default().split(' ').filter(|word| !word.is_empty());
    let scopes: Vec<Scope> = words.filter_map(|word| faults.read("/scope", word.parse())).collect();
    let environment = given(body.environment).and_then(|text| faults.read("/environment", text.parse::<Environment>()));
    let kind = given(body.kind).and_then(|text| faults.read("/kind", text.parse::<KeyKind>()));
    let address = given(body.ip).and_then(|text| faults.read("/ip", address(&text)));
    faults.finish()?;
    Ok(VerifyRequest {
        key: Zeroizing::new(body.token),
        business_id: body.business_id,
        demand: Demand { environment: environment.into(), kind: kind.into(), scopes, ..Demand::default() },
        origin: given(body.origin),
        address,
        reference: Some(reference),
    })
}

/// Introspect a key
///
/// RFC 7662: always 200, and `active` says whether the key is good. Why it is not is found by the `X-Request-Id` of the answer, where
/// a business is known for it; `/v1/keys/verify` says it at once. A parameter without a value is as if it were not there.
#[utoipa::path(
    post,
    path = "/v1/introspect",
    operation_id = "introspect_key",
    tag = "Access",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; for 24 hours it stands for this request only, whose answer is made anew each time", max_length = 255)),
    request_body(content = IntrospectionBody, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Whether the key is good, and what it is", body = IntrospectionAnswer)),
    security(("platform" = ["verify"]))
)]
pub(crate) async fn introspect(
    may: PlatformGranted<Verify>,
    _query: NoQuery,
    State(web): State<Web>,
    Extension(request_id): Extension<RequestId>,
    repeatable: Repeatable,
    form: Form,
) -> Result<Answer<IntrospectionAnswer>, Failure> {
    may.check_again(&web).await?;
    let asked = question(form.value, request_id)?;
    let render = |(): &()| stored(200, serde_json::Value::Null, Vec::new());
    web.app.access().note_request(repeatable.of(&may.whose(), &form.bytes, &render).as_ref()).await?;
    let verdict = web.app.access().verify(&asked).await?;
    let key = verdict.key.map(|caller| ActiveKey::new(&caller, web.app.address().as_str()));
    Ok(Answer(IntrospectionAnswer { active: key.is_some(), key }))
}
