//! `/v1/payments` and `/v1/deposits`: what was paid, and what came in otherwise.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use trousseau_domain::ids::{DepositId, PaymentId};
use trousseau_domain::payables::{PayableId, Reason};
use trousseau_domain::payments::Verdict;
use trousseau_service::idempotency::Answered;
use trousseau_service::{DepositRow, PaymentFilter, PaymentRow};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::keys::limit;
use crate::answer::{json, replay, respond, stored};
use crate::authority::{Granted, PaymentsRead, PaymentsWrite};
use crate::body::{Json, JsonOrEmpty};
use crate::idempotency::Repeatable;
use crate::path::Path;
use crate::problem::{Failure, Faults};
use crate::query::{NoQuery, Query, about_query, parameter, range};
use crate::router::Web;
use crate::wire::payments::{DecisionBody, DepositBody, DismissalBody, PaymentBody};
use crate::wire::{List, Nothing};

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(cancel))
        .routes(routes!(resolve))
        .routes(routes!(deposits))
        .routes(routes!(dismiss))
}

/// The parameters of a list of payments.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Only payments with this status.
    #[param(example = "settled")]
    status: Option<String>,
    /// Only payments for this payment link, invoice or recurring payment.
    payable: Option<String>,
    /// Only payments that this key started.
    key_id: Option<String>,
    /// Only payments started from this instant on.
    #[param(format = DateTime)]
    created_from: Option<String>,
    /// Only payments started before this instant.
    #[param(format = DateTime)]
    created_before: Option<String>,
    /// Only payments for the invoice of this number, those with this text in the title, name or customer of what they
    /// are for, in their address, transaction hash or payer, and those whose id begins with it; 1 to 100 characters.
    q: Option<String>,
    /// How many at most; 25 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// Those after the one of this id.
    starting_after: Option<String>,
}

/// List payments
///
/// Those of the business and environment of the key, newest first.
#[utoipa::path(
    get,
    path = "/v1/payments",
    operation_id = "list_payments",
    tag = "Payments",
    params(
        ListParameters,
    ),
    responses((status = 200, description = "One page of the payments", body = List<PaymentBody>)),
    security(
        ("apikey" = ["payments:read"], "businessid" = []),
        ("basic" = ["payments:read"]),
        ("bearer" = ["payments:read"]),
        ("x-api-key" = ["payments:read"]),
    )
)]
pub(crate) async fn list(
    may: Granted<PaymentsRead>,
    State(web): State<Web>,
    Query(given): Query<ListParameters>,
) -> Result<Answer<List<PaymentBody>>, Failure> {
    let (created_from, created_before) = range(
        ("created_from", "created_before"),
        parameter("created_from", given.created_from.as_deref())?,
        parameter("created_before", given.created_before.as_deref())?,
    )?;
    let filter = PaymentFilter {
        status: parameter("status", given.status.as_deref())?,
        payable: parameter::<PayableId>("payable", given.payable.as_deref())?,
        key_id: parameter("key_id", given.key_id.as_deref())?,
        created_from,
        created_before,
        search: parameter("q", given.q.as_deref().filter(|text| !text.is_empty()))?,
    };
    let after = parameter("starting_after", given.starting_after.as_deref())?;
    let limit = limit(given.limit.as_deref())?;
    let page = web.app.payments().list(may.tenant(), &filter, after, limit).await.map_err(about_query)?;
    let data = page.data.iter().map(|payment| PaymentBody::new(payment, web.app.address())).collect();
    Ok(Answer(List { data, has_more: page.has_more }))
}

/// Read a payment
#[utoipa::path(
    get,
    path = "/v1/payments/{id}",
    operation_id = "get_payment",
    tag = "Payments",
    params(
        ("id" = String, Path, description = "The id of the payment", example = "pay_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 200, description = "The payment", body = PaymentBody)),
    security(
        ("apikey" = ["payments:read"], "businessid" = []),
        ("basic" = ["payments:read"]),
        ("bearer" = ["payments:read"]),
        ("x-api-key" = ["payments:read"]),
    )
)]
pub(crate) async fn get(
    may: Granted<PaymentsRead>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<PaymentId>,
) -> Result<Answer<PaymentBody>, Failure> {
    let watched = web.app.payments().get(may.tenant(), id).await?;
    Ok(Answer(PaymentBody::new(&watched.payment, web.app.address())))
}

/// Cancel a payment
///
/// As long as nothing was seen of it. What it is for can be paid by another one.
#[utoipa::path(
    post,
    path = "/v1/payments/{id}/cancel",
    operation_id = "cancel_payment",
    tag = "Payments",
    params(
        ("id" = String, Path, description = "The id of the payment", example = "pay_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 200, description = "The payment, cancelled", body = PaymentBody)),
    security(
        ("apikey" = ["payments:write"], "businessid" = []),
        ("basic" = ["payments:write"]),
        ("bearer" = ["payments:write"]),
        ("x-api-key" = ["payments:write"]),
    )
)]
pub(crate) async fn cancel(
    may: Granted<PaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<PaymentId>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let written = |payment: &PaymentRow| json(&PaymentBody::new(payment, web.app.address()));
    let render = |payment: &PaymentRow| stored(200, written(payment), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.payments().cancel(may.context(), may.tenant(), id, repeated.as_ref()).await? {
        Answered::Done(payment) => Ok(respond(200, &written(&payment))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

/// Decide on a payment
///
/// One that needs review, or whose time ran out. The reason is kept with who decided.
#[utoipa::path(
    post,
    path = "/v1/payments/{id}/resolve",
    operation_id = "resolve_payment",
    tag = "Payments",
    params(
        ("id" = String, Path, description = "The id of the payment", example = "pay_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = DecisionBody,
    responses((status = 200, description = "The payment as it is now", body = PaymentBody)),
    security(
        ("apikey" = ["payments:write"], "businessid" = []),
        ("basic" = ["payments:write"]),
        ("bearer" = ["payments:write"]),
        ("x-api-key" = ["payments:write"]),
    )
)]
pub(crate) async fn resolve(
    may: Granted<PaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<PaymentId>,
    repeatable: Repeatable,
    body: Json<DecisionBody>,
) -> Result<Response, Failure> {
    let mut faults = Faults::new();
    let verdict = match body.value.verdict.as_str() {
        "accept" => Some(Verdict::Accept),
        "return" => Some(Verdict::Return),
        _ => {
            faults.senseless("/verdict", "must be accept or return");
            None
        }
    };
    let reason = faults.accept("/reason", body.value.reason.parse::<Reason>());
    faults.finish()?;
    let verdict = verdict.expect("a refused verdict is a fault above");
    let reason = reason.expect("a refused reason is a fault above");
    let written = |payment: &PaymentRow| json(&PaymentBody::new(payment, web.app.address()));
    let render = |payment: &PaymentRow| stored(200, written(payment), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    let payments = web.app.payments();
    match payments.resolve(may.context(), may.tenant(), id, verdict, &reason, repeated.as_ref()).await? {
        Answered::Done(payment) => Ok(respond(200, &written(&payment))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

/// The parameters of a list of deposits.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DepositParameters {
    /// How many at most; 25 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// Those after the one of this id.
    starting_after: Option<String>,
}

/// List unmatched deposits
///
/// What came in and no payment takes: another token, an address without a payment, an amount beyond what can be
/// counted. Newest first.
#[utoipa::path(
    get,
    path = "/v1/deposits",
    operation_id = "list_deposits",
    tag = "Payments",
    params(
        DepositParameters,
    ),
    responses((status = 200, description = "One page of the deposits", body = List<DepositBody>)),
    security(
        ("apikey" = ["payments:read"], "businessid" = []),
        ("basic" = ["payments:read"]),
        ("bearer" = ["payments:read"]),
        ("x-api-key" = ["payments:read"]),
    )
)]
pub(crate) async fn deposits(
    may: Granted<PaymentsRead>,
    State(web): State<Web>,
    Query(given): Query<DepositParameters>,
) -> Result<Answer<List<DepositBody>>, Failure> {
    let after = parameter("starting_after", given.starting_after.as_deref())?;
    let limit = limit(given.limit.as_deref())?;
    let page = web.app.payments().unmatched(may.tenant(), after, limit).await.map_err(about_query)?;
    Ok(Answer(List { data: page.data.iter().map(DepositBody::from).collect(), has_more: page.has_more }))
}

/// Dismiss a deposit
///
/// Somebody dealt with it outside of this system. The reason is kept with who said so, and refunds of it that wait to be
/// sent are called off.
#[utoipa::path(
    post,
    path = "/v1/deposits/{id}/dismiss",
    operation_id = "dismiss_deposit",
    tag = "Payments",
    params(
        ("id" = String, Path, description = "The id of the deposit", example = "dep_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = DismissalBody,
    responses((status = 200, description = "The deposit", body = DepositBody)),
    security(
        ("apikey" = ["payments:write"], "businessid" = []),
        ("basic" = ["payments:write"]),
        ("bearer" = ["payments:write"]),
        ("x-api-key" = ["payments:write"]),
    )
)]
pub(crate) async fn dismiss(
    may: Granted<PaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<DepositId>,
    repeatable: Repeatable,
    body: Json<DismissalBody>,
) -> Result<Response, Failure> {
    let mut faults = Faults::new();
    let reason = faults.accept("/reason", body.value.reason.parse::<Reason>());
    faults.finish()?;
    let reason = reason.expect("a refused reason is a fault above");
    let render = |deposit: &DepositRow| stored(200, json(&DepositBody::from(deposit)), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.payments().dismiss(may.context(), may.tenant(), id, &reason, repeated.as_ref()).await? {
        Answered::Done(deposit) => Ok(respond(200, &json(&DepositBody::from(&deposit)))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}
