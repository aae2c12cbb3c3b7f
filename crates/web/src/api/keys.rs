//! `/v1/keys`, and the same under `/v1/businesses/{business_id}/keys` for platform keys.

use std::time::Instant;

use axum::Json as Answer;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::{BusinessId, KeyId};
use trousseau_domain::keys::Overlap;
use trousseau_service::idempotency::Answered;
use trousseau_service::keys::{IssuedKey, KeyChange, KeyDraft, KeyHandle, KeyQuery, KeyView};
use trousseau_service::{Context, KeyFilter, KeyOrder};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{json, replay, replay_with, respond, stored};
use crate::authority::{Granted, KeysRead, KeysWrite, Manage, PlatformGranted};
use crate::body::{Json, JsonOrEmpty};
use crate::idempotency::Repeatable;
use crate::path::Path;
use crate::problem::Failure;
use crate::query::{NoQuery, Query, about_query, flag, parameter, refused};
use crate::router::Web;
use crate::wire::keys::{
    AppliedBody, KeyBody, KeyChangeBody, KeyChangeParts, KeyWithValueBody, NewKeyBody, NewKeyParts, RevokedKeyBody,
    RotationBody,
};
use crate::wire::{List, Nothing};

/// Every route of keys.
pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update))
        .routes(routes!(rotate))
        .routes(routes!(reveal))
        .routes(routes!(revoke))
        .routes(routes!(platform_list, platform_create))
        .routes(routes!(platform_get, platform_update))
        .routes(routes!(platform_rotate))
        .routes(routes!(platform_reveal))
        .routes(routes!(platform_revoke))
}

/// On whose behalf, and over whose names of repeated requests.
struct Caller<'a> {
    context: &'a Context,
    whose: String,
}

/// The parameters of a list of keys.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Only keys of this kind.
    #[param(value_type = Option<crate::wire::keys::Kind>)]
    kind: Option<String>,
    /// Only keys with this status: `active`, `scheduled`, `expired`, `inactive` or `revoked`.
    #[param(example = "active")]
    status: Option<String>,
    /// Only keys with the switch in this position.
    #[param(value_type = Option<crate::wire::keys::State>)]
    state: Option<String>,
    /// Only keys with this text in their name, external reference or last three characters; 1 to 100 characters.
    q: Option<String>,
    /// Revoked keys too.
    #[param(value_type = Option<bool>)]
    include_revoked: Option<String>,
    /// `-created_at` (newest first, unless given), `created_at`, `valid_from` or `-valid_from`.
    order: Option<String>,
    /// How many at most; 25 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// Those after the key of this id.
    starting_after: Option<String>,
    /// For platform keys only, whose routes document it themselves.
    #[param(ignore)]
    environment: Option<String>,
}

/// The environment that a platform key names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnvironmentParameter {
    environment: Option<String>,
}

/// What is asked for of a revocation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeParameters {
    environment: Option<String>,
    wait: Option<String>,
}

impl RevokeParameters {
    /// Whether to wait until it is in force everywhere.
    fn wait(&self) -> Result<bool, Failure> {
        match self.wait.as_deref() {
            None => Ok(false),
            Some("applied") => Ok(true),
            Some(_) => Err(refused("wait", "can only be applied")),
        }
    }
}

/// The environment in the query; there is no default.
fn environment(text: Option<&str>) -> Result<Environment, Failure> {
    parameter("environment", text)?.ok_or_else(|| refused("environment", "must be given: test or live"))
}

/// List keys
///
/// The keys of one business and environment, newest first. Revoked keys are left out unless asked for.
#[utoipa::path(
    get,
    path = "/v1/keys",
    operation_id = "list_keys",
    tag = "Keys",
    params(
        ListParameters,
    ),
    responses((status = 200, description = "One page of the keys", body = List<KeyBody>)),
    security(
        ("apikey" = ["keys:read"], "businessid" = []),
        ("basic" = ["keys:read"]),
        ("bearer" = ["keys:read"]),
        ("x-api-key" = ["keys:read"]),
    )
)]
pub(crate) async fn list(
    may: Granted<KeysRead>,
    State(web): State<Web>,
    Query(parameters): Query<ListParameters>,
) -> Result<Answer<List<KeyBody>>, Failure> {
    if parameters.environment.is_some() {
        return Err(refused("environment", "is the key's own and cannot be chosen"));
    }
    list_in(&web, may.tenant(), &parameters).await
}

/// Make a key
///
/// The value is in this answer; whether it can be read again is a matter of the profile. A key never gives more than it has.
#[utoipa::path(
    post,
    path = "/v1/keys",
    operation_id = "create_key",
    tag = "Keys",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = NewKeyBody,
    responses((status = 201, description = "The key, with its value", body = KeyWithValueBody)),
    security(
        ("apikey" = ["keys:write"], "businessid" = []),
        ("basic" = ["keys:write"]),
        ("bearer" = ["keys:write"]),
        ("x-api-key" = ["keys:write"]),
    )
)]
pub(crate) async fn create(
    may: Granted<KeysWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<NewKeyBody>,
) -> Result<Response, Failure> {
    create_in(&web, &Caller { context: may.context(), whose: may.whose() }, may.tenant(), repeatable, body).await
}

/// Read a key
///
/// Without its value.
#[utoipa::path(
    get,
    path = "/v1/keys/{id}",
    operation_id = "get_key",
    tag = "Keys",
    params(
        ("id" = String, Path, description = "The id of the key", example = "key_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 200, description = "The key", body = KeyBody)),
    security(
        ("apikey" = ["keys:read"], "businessid" = []),
        ("basic" = ["keys:read"]),
        ("bearer" = ["keys:read"]),
        ("x-api-key" = ["keys:read"]),
    )
)]
pub(crate) async fn get(
    may: Granted<KeysRead>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<KeyId>,
) -> Result<Answer<KeyBody>, Failure> {
    get_in(&web, may.tenant(), id).await
}

/// Change a key
///
/// Absent members stay as they are; `null` clears `name` and `valid_until`.
#[utoipa::path(
    patch,
    path = "/v1/keys/{id}",
    operation_id = "update_key",
    tag = "Keys",
    params(
        ("id" = String, Path, description = "The id of the key", example = "key_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    request_body = KeyChangeBody,
    responses((status = 200, description = "The key as it is now", body = KeyBody)),
    security(
        ("apikey" = ["keys:write"], "businessid" = []),
        ("basic" = ["keys:write"]),
        ("bearer" = ["keys:write"]),
        ("x-api-key" = ["keys:write"]),
    )
)]
pub(crate) async fn update(
    may: Granted<KeysWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<KeyId>,
    body: Json<KeyChangeBody>,
) -> Result<Answer<KeyBody>, Failure> {
    update_in(&web, may.context(), may.tenant(), id, body).await
}

/// Rotate a key
///
/// Gives the key a new value; the old one is accepted until the overlap ends. Id, rights and dates stay as they are.
#[utoipa::path(
    post,
    path = "/v1/keys/{id}/rotate",
    operation_id = "rotate_key",
    tag = "Keys",
    params(
        ("id" = String, Path, description = "The id of the key", example = "key_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body(content = Option<RotationBody>),
    responses((status = 200, description = "The key, with its new value", body = KeyWithValueBody)),
    security(
        ("apikey" = ["keys:write"], "businessid" = []),
        ("basic" = ["keys:write"]),
        ("bearer" = ["keys:write"]),
        ("x-api-key" = ["keys:write"]),
    )
)]
pub(crate) async fn rotate(
    may: Granted<KeysWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<KeyId>,
    repeatable: Repeatable,
    body: JsonOrEmpty<RotationBody>,
) -> Result<Response, Failure> {
    rotate_in(&web, &Caller { context: may.context(), whose: may.whose() }, may.tenant(), id, repeatable, body).await
}

/// Read a key's value again
///
/// Where the profile allows it. The audit trail keeps who did.
#[utoipa::path(
    post,
    path = "/v1/keys/{id}/reveal",
    operation_id = "reveal_key",
    tag = "Keys",
    params(
        ("id" = String, Path, description = "The id of the key", example = "key_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 200, description = "The key, with its value", body = KeyWithValueBody)),
    security(
        ("apikey" = ["keys:write"], "businessid" = []),
        ("basic" = ["keys:write"]),
        ("bearer" = ["keys:write"]),
        ("x-api-key" = ["keys:write"]),
    )
)]
pub(crate) async fn reveal(
    may: Granted<KeysWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<KeyId>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    reveal_in(&web, &Caller { context: may.context(), whose: may.whose() }, may.tenant(), id, repeatable, body).await
}

/// Revoke a key
///
/// Final and at once. The last key in force is protected where the profile says so.
#[utoipa::path(
    post,
    path = "/v1/keys/{id}/revoke",
    operation_id = "revoke_key",
    tag = "Keys",
    params(
        ("id" = String, Path, description = "The id of the key", example = "key_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("wait" = Option<String>, Query, description = "`applied` to be answered once the revocation is in force on every server, at most a second later, with `applied` beside the key", example = "applied"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 200, description = "The key, revoked", body = RevokedKeyBody)),
    security(
        ("apikey" = ["keys:write"], "businessid" = []),
        ("basic" = ["keys:write"]),
        ("bearer" = ["keys:write"]),
        ("x-api-key" = ["keys:write"]),
    )
)]
pub(crate) async fn revoke(
    may: Granted<KeysWrite>,
    State(web): State<Web>,
    Path(id): Path<KeyId>,
    Query(parameters): Query<RevokeParameters>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    if parameters.environment.is_some() {
        return Err(refused("environment", "is the key's own and cannot be chosen"));
    }
    let caller = Caller { context: may.context(), whose: may.whose() };
    revoke_in(&web, &caller, may.tenant(), id, parameters.wait()?, repeatable, body).await
}

/// List keys of a business
///
/// The keys of one business and environment, newest first. Revoked keys are left out unless asked for.
#[utoipa::path(
    get,
    path = "/v1/businesses/{business_id}/keys",
    operation_id = "list_business_keys",
    tag = "Keys of a business",
    params(
        ("business_id" = String, Path, description = "The id of the business", example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77"),
        ("environment" = String, Query, description = "`test` or `live`", example = "test"),
        ListParameters,
    ),
    responses((status = 200, description = "One page of the keys", body = List<KeyBody>)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn platform_list(
    _may: PlatformGranted<Manage>,
    State(web): State<Web>,
    Path(business): Path<BusinessId>,
    Query(parameters): Query<ListParameters>,
) -> Result<Answer<List<KeyBody>>, Failure> {
    let tenant = Tenant::new(business, environment(parameters.environment.as_deref())?);
    web.app.businesses().get(&tenant.business).await?;
    list_in(&web, &tenant, &parameters).await
}

/// Make a key of a business
///
/// The value is in this answer; whether it can be read again is a matter of the profile. A key never gives more than it has.
#[utoipa::path(
    post,
    path = "/v1/businesses/{business_id}/keys",
    operation_id = "create_business_key",
    tag = "Keys of a business",
    params(
        ("business_id" = String, Path, description = "The id of the business", example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77"),
        ("environment" = String, Query, description = "`test` or `live`", example = "test"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = NewKeyBody,
    responses((status = 201, description = "The key, with its value", body = KeyWithValueBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn platform_create(
    may: PlatformGranted<Manage>,
    State(web): State<Web>,
    Path(business): Path<BusinessId>,
    Query(parameters): Query<EnvironmentParameter>,
    repeatable: Repeatable,
    body: Json<NewKeyBody>,
) -> Result<Response, Failure> {
    let tenant = Tenant::new(business, environment(parameters.environment.as_deref())?);
    create_in(&web, &Caller { context: may.context(), whose: may.whose() }, &tenant, repeatable, body).await
}

/// Read a key of a business
///
/// Without its value.
#[utoipa::path(
    get,
    path = "/v1/businesses/{business_id}/keys/{id}",
    operation_id = "get_business_key",
    tag = "Keys of a business",
    params(
        ("business_id" = String, Path, description = "The id of the business", example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77"),
        ("environment" = String, Query, description = "`test` or `live`", example = "test"),
        ("id" = String, Path, description = "The id of the key", example = "key_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 200, description = "The key", body = KeyBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn platform_get(
    _may: PlatformGranted<Manage>,
    State(web): State<Web>,
    Path((business, id)): Path<(BusinessId, KeyId)>,
    Query(parameters): Query<EnvironmentParameter>,
) -> Result<Answer<KeyBody>, Failure> {
    let tenant = Tenant::new(business, environment(parameters.environment.as_deref())?);
    web.app.businesses().get(&tenant.business).await?;
    get_in(&web, &tenant, id).await
}

/// Change a key of a business
///
/// Absent members stay as they are; `null` clears `name` and `valid_until`.
#[utoipa::path(
    patch,
    path = "/v1/businesses/{business_id}/keys/{id}",
    operation_id = "update_business_key",
    tag = "Keys of a business",
    params(
        ("business_id" = String, Path, description = "The id of the business", example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77"),
        ("environment" = String, Query, description = "`test` or `live`", example = "test"),
        ("id" = String, Path, description = "The id of the key", example = "key_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    request_body = KeyChangeBody,
    responses((status = 200, description = "The key as it is now", body = KeyBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn platform_update(
    may: PlatformGranted<Manage>,
    State(web): State<Web>,
    Path((business, id)): Path<(BusinessId, KeyId)>,
    Query(parameters): Query<EnvironmentParameter>,
    body: Json<KeyChangeBody>,
) -> Result<Answer<KeyBody>, Failure> {
    let tenant = Tenant::new(business, environment(parameters.environment.as_deref())?);
    update_in(&web, may.context(), &tenant, id, body).await
}

/// Rotate a key of a business
///
/// Gives the key a new value; the old one is accepted until the overlap ends. Id, rights and dates stay as they are.
#[utoipa::path(
    post,
    path = "/v1/businesses/{business_id}/keys/{id}/rotate",
    operation_id = "rotate_business_key",
    tag = "Keys of a business",
    params(
        ("business_id" = String, Path, description = "The id of the business", example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77"),
        ("environment" = String, Query, description = "`test` or `live`", example = "test"),
        ("id" = String, Path, description = "The id of the key", example = "key_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body(content = Option<RotationBody>),
    responses((status = 200, description = "The key, with its new value", body = KeyWithValueBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn platform_rotate(
    may: PlatformGranted<Manage>,
    State(web): State<Web>,
    Path((business, id)): Path<(BusinessId, KeyId)>,
    Query(parameters): Query<EnvironmentParameter>,
    repeatable: Repeatable,
    body: JsonOrEmpty<RotationBody>,
) -> Result<Response, Failure> {
    let tenant = Tenant::new(business, environment(parameters.environment.as_deref())?);
    rotate_in(&web, &Caller { context: may.context(), whose: may.whose() }, &tenant, id, repeatable, body).await
}

/// Read a key's value again of a business
///
/// Where the profile allows it. The audit trail keeps who did.
#[utoipa::path(
    post,
    path = "/v1/businesses/{business_id}/keys/{id}/reveal",
    operation_id = "reveal_business_key",
    tag = "Keys of a business",
    params(
        ("business_id" = String, Path, description = "The id of the business", example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77"),
        ("environment" = String, Query, description = "`test` or `live`", example = "test"),
        ("id" = String, Path, description = "The id of the key", example = "key_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 200, description = "The key, with its value", body = KeyWithValueBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn platform_reveal(
    may: PlatformGranted<Manage>,
    State(web): State<Web>,
    Path((business, id)): Path<(BusinessId, KeyId)>,
    Query(parameters): Query<EnvironmentParameter>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let tenant = Tenant::new(business, environment(parameters.environment.as_deref())?);
    reveal_in(&web, &Caller { context: may.context(), whose: may.whose() }, &tenant, id, repeatable, body).await
}

/// Revoke a key of a business
///
/// Final and at once. The last key in force is protected where the profile says so.
#[utoipa::path(
    post,
    path = "/v1/businesses/{business_id}/keys/{id}/revoke",
    operation_id = "revoke_business_key",
    tag = "Keys of a business",
    params(
        ("business_id" = String, Path, description = "The id of the business", example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77"),
        ("environment" = String, Query, description = "`test` or `live`", example = "test"),
        ("id" = String, Path, description = "The id of the key", example = "key_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("wait" = Option<String>, Query, description = "`applied` to be answered once the revocation is in force on every server, at most a second later, with `applied` beside the key", example = "applied"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 200, description = "The key, revoked", body = RevokedKeyBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn platform_revoke(
    may: PlatformGranted<Manage>,
    State(web): State<Web>,
    Path((business, id)): Path<(BusinessId, KeyId)>,
    Query(parameters): Query<RevokeParameters>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let tenant = Tenant::new(business, environment(parameters.environment.as_deref())?);
    let caller = Caller { context: may.context(), whose: may.whose() };
    revoke_in(&web, &caller, &tenant, id, parameters.wait()?, repeatable, body).await
}

/// How many entries a page has unless asked otherwise, and at most.
pub(crate) fn limit(text: Option<&str>) -> Result<u32, Failure> {
    match text.map(str::parse) {
        None => Ok(25),
        Some(Ok(limit)) if (1..=100).contains(&limit) => Ok(limit),
        Some(_) => Err(refused("limit", "must be a number from 1 to 100")),
    }
}

async fn list_in(web: &Web, tenant: &Tenant, given: &ListParameters) -> Result<Answer<List<KeyBody>>, Failure> {
    let filter = KeyFilter {
        kind: parameter("kind", given.kind.as_deref())?,
        state: parameter("state", given.state.as_deref())?,
        status: parameter("status", given.status.as_deref())?,
        search: parameter("q", given.q.as_deref().filter(|text| !text.is_empty()))?,
        lacking: None,
        include_revoked: flag("include_revoked", given.include_revoked.as_deref())?,
    };
    let order = match given.order.as_deref() {
        None | Some("-created_at") => KeyOrder::NumberDesc,
        Some("created_at") => KeyOrder::NumberAsc,
        Some("valid_from") => KeyOrder::ValidFromAsc,
        Some("-valid_from") => KeyOrder::ValidFromDesc,
        Some(_) => return Err(refused("order", "must be created_at, -created_at, valid_from or -valid_from")),
    };
    let query = KeyQuery {
        filter,
        order,
        after: parameter("starting_after", given.starting_after.as_deref())?,
        limit: limit(given.limit.as_deref())?,
    };
    let page = web.app.keys().list(tenant, &query).await.map_err(about_query)?;
    Ok(Answer(List { data: page.data.iter().map(KeyBody::from).collect(), has_more: page.has_more }))
}

async fn answer_issued(
    web: &Web,
    context: &Context,
    status: u16,
    answered: Answered<IssuedKey>,
) -> Result<Response, Failure> {
    match answered {
        Answered::Done(issued) => Ok(respond(status, &json(&KeyWithValueBody::from(&issued)))),
        Answered::Replayed(earlier) => replay(web, context, earlier).await,
    }
}

async fn create_in(
    web: &Web,
    caller: &Caller<'_>,
    tenant: &Tenant,
    repeatable: Repeatable,
    body: Json<NewKeyBody>,
) -> Result<Response, Failure> {
    let draft = KeyDraft::from(NewKeyParts::try_from(body.value)?);
    let render = |issued: &IssuedKey| stored(201, json(&KeyWithValueBody::from(issued)), vec![issued.refill()]);
    let repeated = repeatable.of(&caller.whose, &body.bytes, &render);
    let answered = web.app.keys().create(caller.context, tenant, &draft, repeated.as_ref()).await?;
    answer_issued(web, caller.context, 201, answered).await
}

async fn get_in(web: &Web, tenant: &Tenant, id: KeyId) -> Result<Answer<KeyBody>, Failure> {
    let view = web.app.keys().get(tenant, KeyHandle::Id(id)).await?;
    Ok(Answer(KeyBody::from(&view)))
}

async fn update_in(
    web: &Web,
    context: &Context,
    tenant: &Tenant,
    id: KeyId,
    body: Json<KeyChangeBody>,
) -> Result<Answer<KeyBody>, Failure> {
    let change = KeyChange::from(KeyChangeParts::try_from(body.value)?);
    let view = web.app.keys().update(context, tenant, KeyHandle::Id(id), &change).await?;
    Ok(Answer(KeyBody::from(&view)))
}

async fn rotate_in(
    web: &Web,
    caller: &Caller<'_>,
    tenant: &Tenant,
    id: KeyId,
    repeatable: Repeatable,
    body: JsonOrEmpty<RotationBody>,
) -> Result<Response, Failure> {
    let overlap = Overlap::try_from(body.value)?;
    let render = |issued: &IssuedKey| stored(200, json(&KeyWithValueBody::from(issued)), vec![issued.refill()]);
    let repeated = repeatable.of(&caller.whose, &body.bytes, &render);
    let answered = web.app.keys().rotate(caller.context, tenant, id, overlap, repeated.as_ref()).await?;
    answer_issued(web, caller.context, 200, answered).await
}

async fn reveal_in(
    web: &Web,
    caller: &Caller<'_>,
    tenant: &Tenant,
    id: KeyId,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let render = |issued: &IssuedKey| stored(200, json(&KeyWithValueBody::from(issued)), vec![issued.refill()]);
    let repeated = repeatable.of(&caller.whose, &body.bytes, &render);
    let answered = web.app.keys().reveal(caller.context, tenant, id, repeated.as_ref()).await?;
    answer_issued(web, caller.context, 200, answered).await
}

async fn revoke_in(
    web: &Web,
    caller: &Caller<'_>,
    tenant: &Tenant,
    id: KeyId,
    wait: bool,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let since = Instant::now();
    let render = |view: &KeyView| stored(200, json(&KeyBody::from(view)), Vec::new());
    let repeated = repeatable.of(&caller.whose, &body.bytes, &render);
    let answered = web.app.keys().revoke(caller.context, tenant, id, repeated.as_ref()).await?;
    let applied = if wait { Some(web.app.nodes().wait_applied(since).await?) } else { None };
    match answered {
        Answered::Done(view) => {
            let body = RevokedKeyBody { key: KeyBody::from(&view), applied: applied.as_ref().map(AppliedBody::from) };
            Ok(respond(200, &json(&body)))
        }
        Answered::Replayed(earlier) => {
            let applied = applied.as_ref().map(|applied| ("applied", json(&AppliedBody::from(applied))));
            replay_with(web, caller.context, earlier, applied).await
        }
    }
}
