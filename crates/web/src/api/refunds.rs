//! `/v1/refunds`: money that is given back.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use trousseau_domain::ids::RefundId;
use trousseau_service::idempotency::Answered;
use trousseau_service::{RefundFilter, RefundRow};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::keys::limit;
use crate::answer::{json, replay, respond, stored};
use crate::authority::{Granted, RefundsRead, RefundsWrite};
use crate::body::{Json, JsonOrEmpty};
use crate::idempotency::Repeatable;
use crate::path::Path;
use crate::problem::Failure;
use crate::query::{NoQuery, Query, about_query, parameter, range};
use crate::router::Web;
use crate::wire::refunds::{NewRefundBody, RefundBody, RefundTransactionBody};
use crate::wire::{List, Nothing};

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get))
        .routes(routes!(cancel))
        .routes(routes!(hand_in))
        .routes(routes!(send_in_test))
}

/// The parameters of a list of refunds.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Only refunds with this status.
    #[param(example = "pending")]
    status: Option<String>,
    /// Only refunds of this payment.
    payment: Option<String>,
    /// Only refunds of this deposit.
    deposit: Option<String>,
    /// Only refunds that this key asked for.
    key_id: Option<String>,
    /// Only refunds asked for from this instant on.
    #[param(format = DateTime)]
    created_from: Option<String>,
    /// Only refunds asked for before this instant.
    #[param(format = DateTime)]
    created_before: Option<String>,
    /// Only refunds with this text in their id, destination, transaction hash or reason; 1 to 100 characters.
    q: Option<String>,
    /// How many at most; 25 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// Those after the one of this id.
    starting_after: Option<String>,
}

/// List refunds
///
/// Those of the business and environment of the key, newest first.
#[utoipa::path(
    get,
    path = "/v1/refunds",
    operation_id = "list_refunds",
    tag = "Refunds",
    params(
        ListParameters,
    ),
    responses((status = 200, description = "One page of the refunds", body = List<RefundBody>)),
    security(
        ("apikey" = ["refunds:read"], "businessid" = []),
        ("basic" = ["refunds:read"]),
        ("bearer" = ["refunds:read"]),
        ("x-api-key" = ["refunds:read"]),
    )
)]
pub(crate) async fn list(
    may: Granted<RefundsRead>,
    State(web): State<Web>,
    Query(given): Query<ListParameters>,
) -> Result<Answer<List<RefundBody>>, Failure> {
    let (created_from, created_before) = range(
        ("created_from", "created_before"),
        parameter("created_from", given.created_from.as_deref())?,
        parameter("created_before", given.created_before.as_deref())?,
    )?;
    let filter = RefundFilter {
        status: parameter("status", given.status.as_deref())?,
        payment: parameter("payment", given.payment.as_deref())?,
        deposit: parameter("deposit", given.deposit.as_deref())?,
        key_id: parameter("key_id", given.key_id.as_deref())?,
        created_from,
        created_before,
        search: parameter("q", given.q.as_deref().filter(|text| !text.is_empty()))?,
    };
    let after = parameter("starting_after", given.starting_after.as_deref())?;
    let limit = limit(given.limit.as_deref())?;
    let page = web.app.refunds().list(may.tenant(), &filter, after, limit).await.map_err(about_query)?;
    Ok(Answer(List { data: page.data.iter().map(RefundBody::from).collect(), has_more: page.has_more }))
}

/// Ask for a refund
///
/// Nothing is sent by this call: your own wallet sends what the answer says under `send`, and you hand in its
/// transaction. Never more than came in, all refunds that are not failed or cancelled together. The scope
/// `refunds:write` is given to no key unless chosen.
#[utoipa::path(
    post,
    path = "/v1/refunds",
    operation_id = "create_refund",
    tag = "Refunds",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = NewRefundBody,
    responses((status = 201, description = "The refund, with what is to be sent", body = RefundBody)),
    security(
        ("apikey" = ["refunds:write"], "businessid" = []),
        ("basic" = ["refunds:write"]),
        ("bearer" = ["refunds:write"]),
        ("x-api-key" = ["refunds:write"]),
    )
)]
pub(crate) async fn create(
    may: Granted<RefundsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<NewRefundBody>,
) -> Result<Response, Failure> {
    let draft = body.value.draft()?;
    let render = |refund: &RefundRow| stored(201, json(&RefundBody::from(refund)), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.refunds().create(may.context(), may.tenant(), &draft, repeated.as_ref()).await? {
        Answered::Done(refund) => Ok(respond(201, &json(&RefundBody::from(&refund)))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

/// Read a refund
#[utoipa::path(
    get,
    path = "/v1/refunds/{id}",
    operation_id = "get_refund",
    tag = "Refunds",
    params(
        ("id" = String, Path, description = "The id of the refund", example = "rfd_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 200, description = "The refund", body = RefundBody)),
    security(
        ("apikey" = ["refunds:read"], "businessid" = []),
        ("basic" = ["refunds:read"]),
        ("bearer" = ["refunds:read"]),
        ("x-api-key" = ["refunds:read"]),
    )
)]
pub(crate) async fn get(
    may: Granted<RefundsRead>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<RefundId>,
) -> Result<Answer<RefundBody>, Failure> {
    Ok(Answer(RefundBody::from(&web.app.refunds().get(may.tenant(), id).await?)))
}

/// Cancel a refund
///
/// As long as no transaction was handed in. Its amount can be given back by another one.
#[utoipa::path(
    post,
    path = "/v1/refunds/{id}/cancel",
    operation_id = "cancel_refund",
    tag = "Refunds",
    params(
        ("id" = String, Path, description = "The id of the refund", example = "rfd_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 200, description = "The refund, cancelled", body = RefundBody)),
    security(
        ("apikey" = ["refunds:write"], "businessid" = []),
        ("basic" = ["refunds:write"]),
        ("bearer" = ["refunds:write"]),
        ("x-api-key" = ["refunds:write"]),
    )
)]
pub(crate) async fn cancel(
    may: Granted<RefundsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<RefundId>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let render = |refund: &RefundRow| stored(200, json(&RefundBody::from(refund)), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.refunds().cancel(may.context(), may.tenant(), id, repeated.as_ref()).await? {
        Answered::Done(refund) => Ok(respond(200, &json(&RefundBody::from(&refund)))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

/// Hand in the transaction of a refund
///
/// The one by which your wallet sent it. The network is asked: the transaction must move exactly the amount of exactly
/// the token to the destination, and what it moves must be no other refund. The refund has succeeded once the network
/// holds that for certain. A transaction that is in no block is waited for, a day at most, and another one may take its
/// place. The same one again changes nothing.
#[utoipa::path(
    post,
    path = "/v1/refunds/{id}/transaction",
    operation_id = "hand_in_refund",
    tag = "Refunds",
    params(
        ("id" = String, Path, description = "The id of the refund", example = "rfd_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = RefundTransactionBody,
    responses((status = 200, description = "The refund as it stands now", body = RefundBody)),
    security(
        ("apikey" = ["refunds:write"], "businessid" = []),
        ("basic" = ["refunds:write"]),
        ("bearer" = ["refunds:write"]),
        ("x-api-key" = ["refunds:write"]),
    )
)]
pub(crate) async fn hand_in(
    may: Granted<RefundsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<RefundId>,
    repeatable: Repeatable,
    body: Json<RefundTransactionBody>,
) -> Result<Response, Failure> {
    let render = |refund: &RefundRow| stored(200, json(&RefundBody::from(refund)), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    let hash = &body.value.transaction_hash;
    match web.app.refunds().hand_in(may.context(), may.tenant(), id, hash, repeated.as_ref()).await? {
        Answered::Done(refund) => Ok(respond(200, &json(&RefundBody::from(&refund)))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

/// Carry a refund out on the test ledger
///
/// Sends what is to be sent as your wallet would, makes it final, and hands it in. Each step can be made by hand too:
/// `POST /v1/test/transfers` to the destination, `POST /v1/test/blocks`, then the transaction is handed in.
#[utoipa::path(
    post,
    path = "/v1/test/refunds/{id}/send",
    operation_id = "send_test_refund",
    tag = "Test ledger",
    params(
        ("id" = String, Path, description = "The id of the refund", example = "rfd_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 200, description = "The refund, carried out", body = RefundBody)),
    security(
        ("apikey" = ["refunds:write"], "businessid" = []),
        ("basic" = ["refunds:write"]),
        ("bearer" = ["refunds:write"]),
        ("x-api-key" = ["refunds:write"]),
    )
)]
pub(crate) async fn send_in_test(
    may: Granted<RefundsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<RefundId>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let render = |refund: &RefundRow| stored(200, json(&RefundBody::from(refund)), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.refunds().send_in_test_once(may.context(), may.tenant(), id, repeated.as_ref()).await? {
        Answered::Done(refund) => Ok(respond(200, &json(&RefundBody::from(&refund)))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}
