//! `/v1/recurring_payments`.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use trousseau_domain::ids::RecurringPaymentId;
use trousseau_service::RecurringPaymentFilter;
use trousseau_service::idempotency::Answered;
use trousseau_service::payments::recurring_payments::RecurringPayment;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::keys::limit;
use crate::answer::{json, replay, respond, stored};
use crate::authority::{Granted, RecurringPaymentsRead, RecurringPaymentsWrite};
use crate::body::{Json, JsonOrEmpty};
use crate::idempotency::Repeatable;
use crate::path::Path;
use crate::problem::Failure;
use crate::query::{NoQuery, Query, about_query, flag, parameter};
use crate::router::Web;
use crate::wire::payables::{NewRecurringPaymentBody, RecurringPaymentBody, RecurringPaymentChangeBody};
use crate::wire::{List, Nothing};

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(cancel))
}

fn written(web: &Web, recurring: &RecurringPayment) -> Value {
    json(&RecurringPaymentBody::new(recurring, web.app.address()))
}

/// What was done, or was done before.
async fn answer(
    web: &Web,
    may: &Granted<RecurringPaymentsWrite>,
    status: u16,
    answered: Answered<RecurringPayment>,
) -> Result<Response, Failure> {
    match answered {
        Answered::Done(recurring) => Ok(respond(status, &written(web, &recurring))),
        Answered::Replayed(earlier) => replay(web, may.context(), earlier).await,
    }
}

/// The parameters of a list of recurring payments.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Only those that the merchant has do this: `active`, `paused` or `cancelled`.
    #[param(example = "active")]
    state: Option<String>,
    /// Only those of this customer of yours.
    customer_reference: Option<String>,
    /// Only those with this text in their name, customer's name, address or reference, and those whose id begins with
    /// it; 1 to 100 characters.
    q: Option<String>,
    /// Deleted ones too.
    #[param(value_type = Option<bool>)]
    include_deleted: Option<String>,
    /// How many at most; 25 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// Those after the one of this id.
    starting_after: Option<String>,
}

/// List recurring payments
///
/// Those of the business and environment of the key, newest first, each with its latest invoice.
#[utoipa::path(
    get,
    path = "/v1/recurring_payments",
    operation_id = "list_recurring_payments",
    tag = "Recurring payments",
    params(
        ListParameters,
    ),
    responses((status = 200, description = "One page of the recurring payments", body = List<RecurringPaymentBody>)),
    security(
        ("apikey" = ["recurring_payments:read"], "businessid" = []),
        ("basic" = ["recurring_payments:read"]),
        ("bearer" = ["recurring_payments:read"]),
        ("x-api-key" = ["recurring_payments:read"]),
    )
)]
pub(crate) async fn list(
    may: Granted<RecurringPaymentsRead>,
    State(web): State<Web>,
    Query(given): Query<ListParameters>,
) -> Result<Answer<List<RecurringPaymentBody>>, Failure> {
    let filter = RecurringPaymentFilter {
        state: parameter("state", given.state.as_deref())?,
        customer_reference: parameter("customer_reference", given.customer_reference.as_deref())?,
        search: parameter("q", given.q.as_deref().filter(|text| !text.is_empty()))?,
        include_deleted: flag("include_deleted", given.include_deleted.as_deref())?,
    };
    let after = parameter("starting_after", given.starting_after.as_deref())?;
    let limit = limit(given.limit.as_deref())?;
    let page = web.app.recurring_payments().list(may.tenant(), &filter, after, limit).await.map_err(about_query)?;
    let data = page.data.iter().map(|recurring| RecurringPaymentBody::new(recurring, web.app.address())).collect();
    Ok(Answer(List { data, has_more: page.has_more }))
}

/// Make a recurring payment
///
/// Its first period is there, and can be paid, at once; each further one from the instant at which it falls due.
#[utoipa::path(
    post,
    path = "/v1/recurring_payments",
    operation_id = "create_recurring_payment",
    tag = "Recurring payments",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = NewRecurringPaymentBody,
    responses((status = 201, description = "The recurring payment", body = RecurringPaymentBody)),
    security(
        ("apikey" = ["recurring_payments:write"], "businessid" = []),
        ("basic" = ["recurring_payments:write"]),
        ("bearer" = ["recurring_payments:write"]),
        ("x-api-key" = ["recurring_payments:write"]),
    )
)]
pub(crate) async fn create(
    may: Granted<RecurringPaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<NewRecurringPaymentBody>,
) -> Result<Response, Failure> {
    let draft = body.value.read(may.tenant().environment, web.app.networks())?;
    let render = |recurring: &RecurringPayment| stored(201, written(&web, recurring), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    let service = web.app.recurring_payments();
    let answered = service.create(may.context(), may.tenant(), &draft, repeated.as_ref()).await?;
    answer(&web, &may, 201, answered).await
}

/// Read a recurring payment
///
/// A deleted one too.
#[utoipa::path(
    get,
    path = "/v1/recurring_payments/{id}",
    operation_id = "get_recurring_payment",
    tag = "Recurring payments",
    params(
        ("id" = String, Path, description = "The id of the recurring payment", example = "rec_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 200, description = "The recurring payment", body = RecurringPaymentBody)),
    security(
        ("apikey" = ["recurring_payments:read"], "businessid" = []),
        ("basic" = ["recurring_payments:read"]),
        ("bearer" = ["recurring_payments:read"]),
        ("x-api-key" = ["recurring_payments:read"]),
    )
)]
pub(crate) async fn get(
    may: Granted<RecurringPaymentsRead>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<RecurringPaymentId>,
) -> Result<Answer<RecurringPaymentBody>, Failure> {
    let recurring = web.app.recurring_payments().get(may.tenant(), id).await?;
    Ok(Answer(RecurringPaymentBody::new(&recurring, web.app.address())))
}

/// Change a recurring payment
///
/// From its next period on.
#[utoipa::path(
    patch,
    path = "/v1/recurring_payments/{id}",
    operation_id = "update_recurring_payment",
    tag = "Recurring payments",
    params(
        ("id" = String, Path, description = "The id of the recurring payment", example = "rec_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    request_body = RecurringPaymentChangeBody,
    responses((status = 200, description = "The recurring payment as it is now", body = RecurringPaymentBody)),
    security(
        ("apikey" = ["recurring_payments:write"], "businessid" = []),
        ("basic" = ["recurring_payments:write"]),
        ("bearer" = ["recurring_payments:write"]),
        ("x-api-key" = ["recurring_payments:write"]),
    )
)]
pub(crate) async fn update(
    may: Granted<RecurringPaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<RecurringPaymentId>,
    body: Json<RecurringPaymentChangeBody>,
) -> Result<Answer<RecurringPaymentBody>, Failure> {
    let asset = web.app.recurring_payments().get(may.tenant(), id).await?.row.amount.asset();
    let change = body.value.read(may.tenant().environment, asset)?;
    let recurring = web.app.recurring_payments().update(may.context(), may.tenant(), id, &change).await?;
    Ok(Answer(RecurringPaymentBody::new(&recurring, web.app.address())))
}

/// Delete a recurring payment
///
/// No period of it can be paid or is made any more. What was paid stays.
#[utoipa::path(
    delete,
    path = "/v1/recurring_payments/{id}",
    operation_id = "delete_recurring_payment",
    tag = "Recurring payments",
    params(
        ("id" = String, Path, description = "The id of the recurring payment", example = "rec_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 200, description = "The recurring payment, deleted", body = RecurringPaymentBody)),
    security(
        ("apikey" = ["recurring_payments:write"], "businessid" = []),
        ("basic" = ["recurring_payments:write"]),
        ("bearer" = ["recurring_payments:write"]),
        ("x-api-key" = ["recurring_payments:write"]),
    )
)]
pub(crate) async fn delete(
    may: Granted<RecurringPaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<RecurringPaymentId>,
) -> Result<Answer<RecurringPaymentBody>, Failure> {
    let recurring = web.app.recurring_payments().delete(may.context(), may.tenant(), id).await?;
    Ok(Answer(RecurringPaymentBody::new(&recurring, web.app.address())))
}

/// Pause a recurring payment
///
/// No period is made until it is resumed.
#[utoipa::path(
    post,
    path = "/v1/recurring_payments/{id}/pause",
    operation_id = "pause_recurring_payment",
    tag = "Recurring payments",
    params(
        ("id" = String, Path, description = "The id of the recurring payment", example = "rec_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 200, description = "The recurring payment, paused", body = RecurringPaymentBody)),
    security(
        ("apikey" = ["recurring_payments:write"], "businessid" = []),
        ("basic" = ["recurring_payments:write"]),
        ("bearer" = ["recurring_payments:write"]),
        ("x-api-key" = ["recurring_payments:write"]),
    )
)]
pub(crate) async fn pause(
    may: Granted<RecurringPaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<RecurringPaymentId>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let render = |recurring: &RecurringPayment| stored(200, written(&web, recurring), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    let service = web.app.recurring_payments();
    let answered = service.pause(may.context(), may.tenant(), id, repeated.as_ref()).await?;
    answer(&web, &may, 200, answered).await
}

/// Resume a recurring payment
///
/// Periods that fell due meanwhile are not made up.
#[utoipa::path(
    post,
    path = "/v1/recurring_payments/{id}/resume",
    operation_id = "resume_recurring_payment",
    tag = "Recurring payments",
    params(
        ("id" = String, Path, description = "The id of the recurring payment", example = "rec_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 200, description = "The recurring payment, active", body = RecurringPaymentBody)),
    security(
        ("apikey" = ["recurring_payments:write"], "businessid" = []),
        ("basic" = ["recurring_payments:write"]),
        ("bearer" = ["recurring_payments:write"]),
        ("x-api-key" = ["recurring_payments:write"]),
    )
)]
pub(crate) async fn resume(
    may: Granted<RecurringPaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<RecurringPaymentId>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let render = |recurring: &RecurringPayment| stored(200, written(&web, recurring), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    let service = web.app.recurring_payments();
    let answered = service.resume(may.context(), may.tenant(), id, repeated.as_ref()).await?;
    answer(&web, &may, 200, answered).await
}

/// Cancel a recurring payment
///
/// For good. The periods that are there can be paid.
#[utoipa::path(
    post,
    path = "/v1/recurring_payments/{id}/cancel",
    operation_id = "cancel_recurring_payment",
    tag = "Recurring payments",
    params(
        ("id" = String, Path, description = "The id of the recurring payment", example = "rec_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 200, description = "The recurring payment, cancelled", body = RecurringPaymentBody)),
    security(
        ("apikey" = ["recurring_payments:write"], "businessid" = []),
        ("basic" = ["recurring_payments:write"]),
        ("bearer" = ["recurring_payments:write"]),
        ("x-api-key" = ["recurring_payments:write"]),
    )
)]
pub(crate) async fn cancel(
    may: Granted<RecurringPaymentsWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<RecurringPaymentId>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let render = |recurring: &RecurringPayment| stored(200, written(&web, recurring), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    let service = web.app.recurring_payments();
    let answered = service.cancel(may.context(), may.tenant(), id, repeated.as_ref()).await?;
    answer(&web, &may, 200, answered).await
}
