//! `/v1/webhook_endpoints`: where a business wants to hear of what happens, and what became of each message.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Deserialize;
use trousseau_domain::decision::Demand;
use trousseau_domain::ids::{DeliveryId, WebhookEndpointId};
use trousseau_domain::scope::{BuiltIn, Scope};
use trousseau_domain::webhooks::signature::VerificationToken;
use trousseau_service::idempotency::{Answered, StoredAnswer};
use trousseau_service::webhooks::{EndpointChange, EndpointDraft, IssuedEndpoint};
use trousseau_service::{DeliveryFilter, DeliveryRow};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::keys::limit;
use crate::answer::{json, replay, respond};
use crate::authority::{Granted, Permission, WebhooksRead, WebhooksWrite};
use crate::body::{Json, JsonOrEmpty};
use crate::idempotency::Repeatable;
use crate::path::Path;
use crate::problem::{Failure, Faults};
use crate::query::{NoQuery, Query, about_query, parameter};
use crate::router::Web;
use crate::wire::webhooks::{
    DeliveryBody, DeliveryWithAttemptsBody, EndpointBody, EndpointChangeBody, EndpointWithSecretBody, NewEndpointBody,
    SecretRotationBody,
};
use crate::wire::{List, Nothing};

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(rotate_secret))
        .routes(routes!(reveal_secret))
        .routes(routes!(test))
        .routes(routes!(list_deliveries))
        .routes(routes!(get_delivery))
        .routes(routes!(resend))
}

/// Read what was sent to an endpoint: a message holds what its event holds.
#[derive(Debug)]
pub(crate) struct DeliveryRead;

impl Permission for DeliveryRead {
    fn demand() -> Demand {
        let scopes = [BuiltIn::WebhooksRead, BuiltIn::EventsRead].map(Scope::built_in).to_vec();
        Demand { scopes, ..WebhooksRead::demand() }
    }
}

/// The parameters of a list of endpoints.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// How many at most; 25 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// Those after the endpoint of this id.
    starting_after: Option<String>,
}

/// The parameters of a list of deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryParameters {
    /// Only deliveries in this state: `pending`, `delivered` or `failed`.
    #[param(example = "failed")]
    state: Option<String>,
    /// Only deliveries of this event.
    event_id: Option<String>,
    /// How many at most; 25 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// Those after the delivery of this id.
    starting_after: Option<String>,
}

/// List webhook endpoints
///
/// The endpoints of the caller's business and environment, newest first.
#[utoipa::path(
    get,
    path = "/v1/webhook_endpoints",
    operation_id = "list_webhook_endpoints",
    tag = "Webhooks",
    params(
        ListParameters,
    ),
    responses((status = 200, description = "One page of the endpoints", body = List<EndpointBody>)),
    security(
        ("apikey" = ["webhooks:read"], "businessid" = []),
        ("basic" = ["webhooks:read"]),
        ("bearer" = ["webhooks:read"]),
        ("x-api-key" = ["webhooks:read"]),
    )
)]
pub(crate) async fn list(
    may: Granted<WebhooksRead>,
    State(web): State<Web>,
    Query(given): Query<ListParameters>,
) -> Result<Answer<List<EndpointBody>>, Failure> {
    let after = parameter("starting_after", given.starting_after.as_deref())?;
    let limit = limit(given.limit.as_deref())?;
    let page = web.app.webhooks().list(may.tenant(), after, limit).await.map_err(about_query)?;
    Ok(Answer(List { data: page.data.iter().map(EndpointBody::from).collect(), has_more: page.has_more }))
}

/// Register a webhook endpoint
///
/// The secret is in this answer; in LIVE it is told only here. Whoever registers must be allowed to read events.
#[utoipa::path(
    post,
    path = "/v1/webhook_endpoints",
    operation_id = "create_webhook_endpoint",
    tag = "Webhooks",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = NewEndpointBody,
    responses((status = 201, description = "The endpoint, with its secret", body = EndpointWithSecretBody)),
    security(
        ("apikey" = ["webhooks:write"], "businessid" = []),
        ("basic" = ["webhooks:write"]),
        ("bearer" = ["webhooks:write"]),
        ("x-api-key" = ["webhooks:write"]),
    )
)]
pub(crate) async fn create(
    may: Granted<WebhooksWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<NewEndpointBody>,
) -> Result<Response, Failure> {
    let draft = EndpointDraft::try_from(body.value)?;
    let render = |issued: &IssuedEndpoint| secretless(201, issued);
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    let answered = web.app.webhooks().create(may.context(), may.tenant(), &draft, repeated.as_ref()).await?;
    answer_issued(&web, &may, 201, answered).await
}

/// Read a webhook endpoint
///
/// Without its secret.
#[utoipa::path(
    get,
    path = "/v1/webhook_endpoints/{id}",
    operation_id = "get_webhook_endpoint",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The id of the endpoint", example = "whe_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 200, description = "The endpoint", body = EndpointBody)),
    security(
        ("apikey" = ["webhooks:read"], "businessid" = []),
        ("basic" = ["webhooks:read"]),
        ("bearer" = ["webhooks:read"]),
        ("x-api-key" = ["webhooks:read"]),
    )
)]
pub(crate) async fn get(
    may: Granted<WebhooksRead>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<WebhookEndpointId>,
) -> Result<Answer<EndpointBody>, Failure> {
    Ok(Answer(EndpointBody::from(&web.app.webhooks().get(may.tenant(), id).await?)))
}

/// Change a webhook endpoint
///
/// Absent members stay as they are. `state` switches it off and on; a disabled endpoint hears of nothing.
#[utoipa::path(
    patch,
    path = "/v1/webhook_endpoints/{id}",
    operation_id = "update_webhook_endpoint",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The id of the endpoint", example = "whe_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    request_body = EndpointChangeBody,
    responses((status = 200, description = "The endpoint as it is now", body = EndpointBody)),
    security(
        ("apikey" = ["webhooks:write"], "businessid" = []),
        ("basic" = ["webhooks:write"]),
        ("bearer" = ["webhooks:write"]),
        ("x-api-key" = ["webhooks:write"]),
    )
)]
pub(crate) async fn update(
    may: Granted<WebhooksWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<WebhookEndpointId>,
    body: Json<EndpointChangeBody>,
) -> Result<Answer<EndpointBody>, Failure> {
    let change = EndpointChange::try_from(body.value)?;
    let view = web.app.webhooks().update(may.context(), may.tenant(), id, &change).await?;
    Ok(Answer(EndpointBody::from(&view)))
}

/// Remove a webhook endpoint
///
/// Nothing is sent to it any more, and its secret is forgotten.
#[utoipa::path(
    delete,
    path = "/v1/webhook_endpoints/{id}",
    operation_id = "delete_webhook_endpoint",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The id of the endpoint", example = "whe_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 204, description = "It is removed")),
    security(
        ("apikey" = ["webhooks:write"], "businessid" = []),
        ("basic" = ["webhooks:write"]),
        ("bearer" = ["webhooks:write"]),
        ("x-api-key" = ["webhooks:write"]),
    )
)]
pub(crate) async fn delete(
    may: Granted<WebhooksWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<WebhookEndpointId>,
) -> Result<Response, Failure> {
    web.app.webhooks().delete(may.context(), may.tenant(), id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Rotate the secret of a webhook endpoint
///
/// Gives it a new secret and a new public key. Messages are signed with the old ones too until the overlap ends; until
/// then it rotates again without an overlap only.
#[utoipa::path(
    post,
    path = "/v1/webhook_endpoints/{id}/rotate_secret",
    operation_id = "rotate_webhook_secret",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The id of the endpoint", example = "whe_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body(content = Option<SecretRotationBody>),
    responses((status = 200, description = "The endpoint, with its new secret", body = EndpointWithSecretBody)),
    security(
        ("apikey" = ["webhooks:write"], "businessid" = []),
        ("basic" = ["webhooks:write"]),
        ("bearer" = ["webhooks:write"]),
        ("x-api-key" = ["webhooks:write"]),
    )
)]
pub(crate) async fn rotate_secret(
    may: Granted<WebhooksWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<WebhookEndpointId>,
    repeatable: Repeatable,
    body: JsonOrEmpty<SecretRotationBody>,
) -> Result<Response, Failure> {
    let overlap = body.value.overlap();
    let mut faults = Faults::new();
    let token = body.value.verification_token.map(|token| token.parse::<VerificationToken>());
    let token = token.and_then(|token| faults.accept("/verification_token", token));
    faults.finish()?;
    let render = |issued: &IssuedEndpoint| secretless(200, issued);
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    let webhooks = web.app.webhooks();
    let answered = webhooks.rotate_secret(may.context(), may.tenant(), id, overlap, token, repeated.as_ref()).await?;
    answer_issued(&web, &may, 200, answered).await
}

/// Read the secret of a webhook endpoint again
///
/// In TEST only. The audit trail keeps who did.
#[utoipa::path(
    post,
    path = "/v1/webhook_endpoints/{id}/reveal_secret",
    operation_id = "reveal_webhook_secret",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The id of the endpoint", example = "whe_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 200, description = "The endpoint, with its secret", body = EndpointWithSecretBody)),
    security(
        ("apikey" = ["webhooks:write"], "businessid" = []),
        ("basic" = ["webhooks:write"]),
        ("bearer" = ["webhooks:write"]),
        ("x-api-key" = ["webhooks:write"]),
    )
)]
pub(crate) async fn reveal_secret(
    may: Granted<WebhooksWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<WebhookEndpointId>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Answer<EndpointWithSecretBody>, Failure> {
    // Read anew each time: no secret is kept in an answer. The name is noted, so that it stands for no other request.
    let anew = |(): &()| StoredAnswer { status: 200, body: String::new(), refills: Vec::new() };
    web.app.access().note_request(repeatable.of(&may.whose(), &body.bytes, &anew).as_ref()).await?;
    let issued = web.app.webhooks().reveal_secret(may.context(), may.tenant(), id).await?;
    Ok(Answer(EndpointWithSecretBody::from(&issued)))
}

/// Send a test message
///
/// An event `webhook.test` to this endpoint alone, tried once. What came of it is in its deliveries.
#[utoipa::path(
    post,
    path = "/v1/webhook_endpoints/{id}/test",
    operation_id = "test_webhook_endpoint",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The id of the endpoint", example = "whe_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 202, description = "The delivery, which is on its way", body = DeliveryBody)),
    security(
        ("apikey" = ["webhooks:write"], "businessid" = []),
        ("basic" = ["webhooks:write"]),
        ("bearer" = ["webhooks:write"]),
        ("x-api-key" = ["webhooks:write"]),
    )
)]
pub(crate) async fn test(
    may: Granted<WebhooksWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<WebhookEndpointId>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let repeated = repeatable.of(&may.whose(), &body.bytes, &on_its_way);
    let answered = web.app.webhooks().send_test(may.context(), may.tenant(), id, repeated.as_ref()).await?;
    answer_delivery(&web, &may, answered).await
}

/// List deliveries of a webhook endpoint
///
/// Newest first. They are kept for 30 days unless the operator has set another time.
#[utoipa::path(
    get,
    path = "/v1/webhook_endpoints/{id}/deliveries",
    operation_id = "list_webhook_deliveries",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The id of the endpoint", example = "whe_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        DeliveryParameters,
    ),
    responses((status = 200, description = "One page of the deliveries", body = List<DeliveryBody>)),
    security(
        ("apikey" = ["webhooks:read"], "businessid" = []),
        ("basic" = ["webhooks:read"]),
        ("bearer" = ["webhooks:read"]),
        ("x-api-key" = ["webhooks:read"]),
    )
)]
pub(crate) async fn list_deliveries(
    may: Granted<WebhooksRead>,
    State(web): State<Web>,
    Path(id): Path<WebhookEndpointId>,
    Query(given): Query<DeliveryParameters>,
) -> Result<Answer<List<DeliveryBody>>, Failure> {
    let filter = DeliveryFilter {
        state: parameter("state", given.state.as_deref())?,
        event: parameter("event_id", given.event_id.as_deref())?,
    };
    let after = parameter("starting_after", given.starting_after.as_deref())?;
    let limit = limit(given.limit.as_deref())?;
    let page = web.app.webhooks().deliveries(may.tenant(), id, filter, after, limit).await.map_err(about_query)?;
    Ok(Answer(List { data: page.data.iter().map(DeliveryBody::from).collect(), has_more: page.has_more }))
}

/// Read a delivery
///
/// With what was sent and answered, attempt by attempt. A key needs `events:read` too: a message holds what its event
/// holds.
#[utoipa::path(
    get,
    path = "/v1/webhook_endpoints/{id}/deliveries/{delivery_id}",
    operation_id = "get_webhook_delivery",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The id of the endpoint", example = "whe_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("delivery_id" = String, Path, description = "The id of the delivery", example = "whd_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 200, description = "The delivery", body = DeliveryWithAttemptsBody)),
    security(
        ("apikey" = ["webhooks:read", "events:read"], "businessid" = []),
        ("basic" = ["webhooks:read", "events:read"]),
        ("bearer" = ["webhooks:read", "events:read"]),
        ("x-api-key" = ["webhooks:read", "events:read"]),
    )
)]
pub(crate) async fn get_delivery(
    may: Granted<DeliveryRead>,
    _query: NoQuery,
    State(web): State<Web>,
    Path((id, delivery)): Path<(WebhookEndpointId, DeliveryId)>,
) -> Result<Answer<DeliveryWithAttemptsBody>, Failure> {
    let view = web.app.webhooks().delivery(may.tenant(), id, delivery).await?;
    Ok(Answer(DeliveryWithAttemptsBody::from(&view)))
}

/// Send an event again
///
/// To the same endpoint, with the same id: receivers that know it already may ignore it.
#[utoipa::path(
    post,
    path = "/v1/webhook_endpoints/{id}/deliveries/{delivery_id}/resend",
    operation_id = "resend_webhook_delivery",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The id of the endpoint", example = "whe_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("delivery_id" = String, Path, description = "The id of the delivery", example = "whd_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 202, description = "The delivery, which is on its way", body = DeliveryBody)),
    security(
        ("apikey" = ["webhooks:write"], "businessid" = []),
        ("basic" = ["webhooks:write"]),
        ("bearer" = ["webhooks:write"]),
        ("x-api-key" = ["webhooks:write"]),
    )
)]
pub(crate) async fn resend(
    may: Granted<WebhooksWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path((id, delivery)): Path<(WebhookEndpointId, DeliveryId)>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let repeated = repeatable.of(&may.whose(), &body.bytes, &on_its_way);
    let webhooks = web.app.webhooks();
    let answered = webhooks.resend(may.context(), may.tenant(), id, delivery, repeated.as_ref()).await?;
    answer_delivery(&web, &may, answered).await
}

/// The answer to keep of what had a secret in it.
fn secretless(status: u16, issued: &IssuedEndpoint) -> StoredAnswer {
    let body = json(&EndpointWithSecretBody::without_secret(issued)).to_string();
    StoredAnswer { status, body, refills: Vec::new() }
}

fn on_its_way(delivery: &DeliveryRow) -> StoredAnswer {
    StoredAnswer { status: 202, body: json(&DeliveryBody::from(delivery)).to_string(), refills: Vec::new() }
}

async fn answer_issued(
    web: &Web,
    may: &Granted<WebhooksWrite>,
    status: u16,
    answered: Answered<IssuedEndpoint>,
) -> Result<Response, Failure> {
    match answered {
        Answered::Done(issued) => Ok(respond(status, &json(&EndpointWithSecretBody::from(&issued)))),
        Answered::Replayed(earlier) => replay(web, may.context(), earlier).await,
    }
}

async fn answer_delivery(
    web: &Web,
    may: &Granted<WebhooksWrite>,
    answered: Answered<DeliveryRow>,
) -> Result<Response, Failure> {
    match answered {
        Answered::Done(delivery) => Ok(respond(202, &json(&DeliveryBody::from(&delivery)))),
        Answered::Replayed(earlier) => replay(web, may.context(), earlier).await,
    }
}
