//! `/v1/refusals`: why a request was refused, by the reference of its answer.

use axum::Json as Answer;
use axum::extract::State;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::{BusinessId, RequestId};
use trousseau_service::requests::Refused;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authority::{EventsRead, Granted, Manage, PlatformGranted};
use crate::explain;
use crate::language::Language;
use crate::path::Path;
use crate::problem::Failure;
use crate::query::NoQuery;
use crate::router::Web;

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(get_of_business))
}

/// Why a request was refused. Of the presented value it holds the last three characters only.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refusal)]
pub(crate) struct RefusalBody {
    /// The reference: `X-Request-Id` of the refused request.
    #[schema(example = "5f2b8c1d4e6f7a8b9c0d1e2f3a4b5c6d")]
    reference: String,
    /// When.
    #[schema(format = DateTime)]
    created_at: String,
    /// The exact reason.
    #[schema(example = "key_rotated")]
    code: &'static str,
    /// The rule that was broken, in the caller's language.
    rule: &'static str,
    /// What to do about it, in the caller's language.
    fix: &'static str,
    /// What probably happened, in the caller's language, where it can be told.
    hint: Option<String>,
    /// `test` or `live`; `null` where the key is unknown and its text does not say.
    environment: Option<&'static str>,
    /// The key, where it is known.
    key_id: Option<String>,
    /// Which of its values was presented.
    key_version: Option<u32>,
    /// The last three characters of the presented value.
    #[schema(example = "x7K")]
    last_three: Option<String>,
    /// `api` for a call of this API, `verify` for a key that was presented elsewhere.
    #[schema(example = "api")]
    door: &'static str,
    /// The method.
    #[schema(example = "GET")]
    method: String,
    /// The route, its variable parts as names in braces.
    #[schema(example = "/v1/keys/{id}")]
    path: String,
    /// The caller's address.
    #[schema(example = "203.0.113.7")]
    address: Option<String>,
    /// The caller's program.
    #[schema(example = "curl/8.14.1")]
    client: Option<String>,
    /// The `Origin` of the request.
    origin: Option<String>,
    /// The scope that was missing.
    missing_scope: Option<String>,
}

impl RefusalBody {
    fn new(refused: Refused, language: Language) -> Self {
        let Refused { refusal, reason, hint, .. } = refused;
        Self {
            reference: refusal.reference.to_string(),
            created_at: refusal.at.to_string(),
            code: reason.as_str(),
            rule: explain::rule(reason, language),
            fix: explain::fix(reason, language),
            hint: hint.map(|hint| explain::hint(&hint, language, |at| at.to_string())),
            environment: refusal.environment.map(Environment::as_str),
            key_id: refusal.key_id.map(|id| id.to_string()),
            key_version: refusal.key_version,
            last_three: refusal.last_three,
            door: refusal.door.as_str(),
            method: refusal.method,
            path: refusal.path,
            address: refusal.address,
            client: refusal.client,
            origin: refusal.origin,
            missing_scope: refusal.missing_scope,
        }
    }
}

/// The parts of the path for the operator.
#[derive(Debug, Deserialize)]
pub(crate) struct OfBusiness {
    business_id: BusinessId,
    reference: RequestId,
}

/// Read why a request was refused
///
/// By the reference of its answer, kept for the time that the installation has chosen (30 days unless changed). A
/// reference of another business or environment is not found. A refusal can be read about a second after it.
#[utoipa::path(
    get,
    path = "/v1/refusals/{reference}",
    operation_id = "get_refusal",
    tag = "Events",
    params(("reference" = String, Path, description = "`X-Request-Id` of the refused request", example = "5f2b8c1d4e6f7a8b9c0d1e2f3a4b5c6d")),
    responses((status = 200, description = "Why it was refused", body = RefusalBody)),
    security(
        ("apikey" = ["events:read"], "businessid" = []),
        ("basic" = ["events:read"]),
        ("bearer" = ["events:read"]),
        ("x-api-key" = ["events:read"]),
    )
)]
pub(crate) async fn get(
    may: Granted<EventsRead>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(reference): Path<RequestId>,
    headers: HeaderMap,
) -> Result<Answer<RefusalBody>, Failure> {
    let refused = web.app.requests().refusal(may.tenant(), reference).await?;
    Ok(Answer(RefusalBody::new(refused, Language::of(&headers))))
}

/// Read why a request of a business was refused
///
/// In whichever environment.
#[utoipa::path(
    get,
    path = "/v1/businesses/{business_id}/refusals/{reference}",
    operation_id = "get_refusal_of_business",
    tag = "Businesses",
    params(
        ("business_id" = String, Path, description = "The id of the business"),
        ("reference" = String, Path, description = "`X-Request-Id` of the refused request", example = "5f2b8c1d4e6f7a8b9c0d1e2f3a4b5c6d"),
    ),
    responses((status = 200, description = "Why it was refused", body = RefusalBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn get_of_business(
    _may: PlatformGranted<Manage>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(OfBusiness { business_id, reference }): Path<OfBusiness>,
    headers: HeaderMap,
) -> Result<Answer<RefusalBody>, Failure> {
    let refused = web.app.requests().refusal_of_business(&business_id, reference).await?;
    Ok(Answer(RefusalBody::new(refused, Language::of(&headers))))
}
