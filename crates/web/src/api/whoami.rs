//! `/v1/whoami`.

use std::collections::BTreeMap;

use axum::Json as Answer;
use serde::Serialize;
use trousseau_service::KeyCaller;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authority::{AnyKey, Granted};
use crate::router::Web;

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(whoami))
}

/// Who calls.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Whoami)]
pub(crate) struct WhoamiBody {
    /// The id of the business.
    #[schema(example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77")]
    business_id: String,
    /// `test` or `live`.
    #[schema(example = "test")]
    environment: &'static str,
    /// `secret` or `checkout`.
    #[schema(example = "secret")]
    kind: &'static str,
    /// The id of the key.
    #[schema(example = "key_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    key_id: String,
    /// What the key may do.
    #[schema(example = json!(["payments:read"]))]
    scopes: Vec<String>,
    /// The notes kept beside the key.
    metadata: BTreeMap<String, String>,
    /// The notes kept beside the business.
    business_metadata: BTreeMap<String, String>,
}

/// Who am I
///
/// What a key is: good for a first call. Any good key may ask.
#[utoipa::path(
    get,
    path = "/v1/whoami",
    tag = "Access",
    responses((status = 200, description = "The key that calls", body = WhoamiBody)),
    security(("apikey" = [], "businessid" = []), ("basic" = []), ("bearer" = []), ("x-api-key" = []))
)]
pub(crate) async fn whoami(may: Granted<AnyKey>) -> Answer<WhoamiBody> {
    Answer(answer(may.caller()))
}

/// What there is to say of a caller.
pub(crate) fn answer(caller: &KeyCaller) -> WhoamiBody {
    WhoamiBody {
        business_id: caller.tenant.business.to_string(),
        environment: caller.tenant.environment.as_str(),
        kind: caller.kind().as_str(),
        key_id: caller.key_id().to_string(),
        scopes: caller.scopes().iter().map(ToString::to_string).collect(),
        metadata: caller.metadata().entries().clone(),
        business_metadata: caller.business_metadata().entries().clone(),
    }
}
