//! Codat's `/apiKeys`, as its published clients call it.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use trousseau_domain::key_text::ApiKeySecret;
use trousseau_domain::keys::KeyKind;
use trousseau_service::ServiceError;
use trousseau_service::idempotency::Answered;
use trousseau_service::keys::{IssuedKey, KeyDraft, ListedKey};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{json, replay_plainly, respond, stored};
use crate::authority::{CodatKeysRead, CodatKeysWrite, Granted};
use crate::body::JsonOrEmpty;
use crate::idempotency::Repeatable;
use crate::path::Path;
use crate::problem::{Failure, Kind};
use crate::router::Web;
use crate::wire::codat::{ApiKeyBody, ApiKeysBody, CreateBody, key_id};

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(delete))
}

fn body_of(issued: &IssuedKey) -> ApiKeyBody {
    let key = &issued.view.key;
    ApiKeyBody::new(key.id, key.name.as_ref(), Some(issued.value.expose()), key.created_at)
}

fn listed_body(listed: &ListedKey) -> ApiKeyBody {
    let ListedKey { key, value } = listed;
    ApiKeyBody::new(key.id, key.name.as_ref(), value.as_ref().map(ApiKeySecret::expose), key.created_at)
}

/// List API keys
///
/// Every key of the client, oldest first, each with its value. The audit trail keeps who read it.
#[utoipa::path(
    get,
    path = "/apiKeys",
    operation_id = "list-api-keys",
    tag = "Codat",
    responses((status = 200, description = "Every key", body = ApiKeysBody)),
    security(("basic" = ["keys:read", "keys:write"]))
)]
pub(crate) async fn list(may: Granted<CodatKeysRead>, State(web): State<Web>) -> Result<Answer<ApiKeysBody>, Failure> {
    let keys = web.app.keys().list_with_values(may.context(), may.tenant()).await?;
    Ok(Answer(ApiKeysBody { results: keys.iter().map(listed_body).collect() }))
}

/// Create API key
///
/// At most ten keys; the eleventh is a 409. The body may be left out.
#[utoipa::path(
    post,
    path = "/apiKeys",
    operation_id = "create-api-key",
    tag = "Codat",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255)),
    request_body(content = Option<CreateBody>),
    responses((status = 201, description = "The key, with its value", body = ApiKeyBody)),
    security(("basic" = ["keys:write"]))
)]
pub(crate) async fn create(
    may: Granted<CodatKeysWrite>,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: JsonOrEmpty<CreateBody>,
) -> Result<Response, Failure> {
    let draft = KeyDraft { name: body.value.into_name()?, ..KeyDraft::new(KeyKind::Secret) };
    let render = |issued: &IssuedKey| stored(201, json(&body_of(issued)), vec![issued.refill()]);
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.keys().create(may.context(), may.tenant(), &draft, repeated.as_ref()).await? {
        Answered::Done(issued) => Ok(respond(201, &json(&body_of(&issued)))),
        Answered::Replayed(earlier) => replay_plainly(&web, may.context(), earlier).await,
    }
}

/// Delete API key
///
/// At once and for good. The last key cannot be deleted: make another first.
#[utoipa::path(
    delete,
    path = "/apiKeys/{apiKeyId}",
    operation_id = "delete-api-key",
    tag = "Codat",
    params(("apiKeyId" = String, Path, description = "The GUID of the key", example = "0190f7a2-8c4e-7b1d-9e3f-5a6b7c8d9e0f")),
    responses((status = 204, description = "It is deleted")),
    security(("basic" = ["keys:write"]))
)]
pub(crate) async fn delete(
    may: Granted<CodatKeysWrite>,
    State(web): State<Web>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let id = key_id(&id).ok_or(Kind::NotFound)?;
    match web.app.keys().revoke(may.context(), may.tenant(), id, None).await {
        Ok(_) => {}
        // A deleted key is not there.
        Err(ServiceError::KeyRevoked) => return Err(Kind::NotFound.into()),
        Err(error) => return Err(error.into()),
    }
    Ok(StatusCode::NO_CONTENT)
}
