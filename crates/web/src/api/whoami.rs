//! `/v1/whoami`.

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde_json::value::RawValue;
use trousseau_domain::ids::KeyId;
use trousseau_service::KeyCaller;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authority::{AnyKey, Granted};
use crate::problem::{Failure, Kind};
use crate::router::Web;

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(whoami))
}

/// The bytes that most answers have room in.
const USUAL_BYTES: usize = 768;
/// The header fields that most answers have room for, those of every answer included.
const USUAL_HEADERS: usize = 12;

/// Who calls.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Whoami)]
pub(crate) struct WhoamiBody<'a> {
    /// The id of the business.
    #[schema(example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77")]
    business_id: &'a str,
    /// `test` or `live`.
    #[schema(example = "test")]
    environment: &'static str,
    /// `secret` or `checkout`.
    #[schema(example = "secret")]
    kind: &'static str,
    /// The id of the key.
    #[schema(value_type = String, example = "key_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    key_id: KeyId,
    /// What the key may do.
    #[schema(value_type = Vec<String>, example = json!(["payments:read"]))]
    scopes: &'a RawValue,
    /// The notes kept beside the key.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    metadata: &'a RawValue,
    /// The notes kept beside the business.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    business_metadata: &'a RawValue,
}

/// Who am I
///
/// What a key is: good for a first call. Any good key may ask.
#[utoipa::path(
    get,
    path = "/v1/whoami",
    tag = "Access",
    responses((status = 200, description = "The key that calls", body = WhoamiBody<'_>)),
    security(("apikey" = [], "businessid" = []), ("basic" = []), ("bearer" = []), ("x-api-key" = []))
)]
pub(crate) async fn whoami(may: Granted<AnyKey>) -> Result<Response, Failure> {
    answer(may.caller())
}

/// What there is to say of a caller.
pub(crate) fn answer(caller: &KeyCaller) -> Result<Response, Failure> {
    let body = WhoamiBody {
        business_id: caller.tenant.business.as_str(),
        environment: caller.tenant.environment.as_str(),
        kind: caller.kind().as_str(),
        key_id: caller.key_id(),
        scopes: caller.scopes_json(),
        metadata: caller.metadata_json(),
        business_metadata: caller.business_metadata_json(),
    };
    let mut json = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut json, &body).map_err(|_| Kind::Internal)?;
    let mut response = Response::new(Body::from(json));
    *response.headers_mut() = HeaderMap::with_capacity(USUAL_HEADERS);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
