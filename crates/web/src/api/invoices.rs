//! `/v1/invoices`.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use trousseau_domain::ids::InvoiceId;
use trousseau_service::idempotency::Answered;
use trousseau_service::{InvoiceFilter, InvoiceRow};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::keys::limit;
use crate::answer::{file, json, replay, respond, stored};
use crate::authority::{Granted, InvoicesRead, InvoicesWrite};
use crate::body::{Json, JsonOrEmpty};
use crate::idempotency::Repeatable;
use crate::path::Path;
use crate::problem::Failure;
use crate::query::{NoQuery, Query, about_query, flag, parameter};
use crate::router::Web;
use crate::wire::payables::{InvoiceBody, InvoiceChangeBody, NewInvoiceBody};
use crate::wire::{List, Nothing};

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(void))
        .routes(routes!(send))
        .routes(routes!(pdf))
}

/// The parameters of a list of invoices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Only those with this status: `pending`, `paid`, `past_due` or `void`.
    #[param(example = "past_due")]
    status: Option<String>,
    /// Only periods of this recurring payment.
    recurring_payment_id: Option<String>,
    /// Only those of this customer of yours.
    customer_reference: Option<String>,
    /// Only the one of this number, those with this text in their title, customer's name, address or reference, and
    /// those whose id begins with it; 1 to 100 characters.
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

/// List invoices
///
/// Those of the business and environment of the key, newest first, the periods of recurring payments among them.
#[utoipa::path(
    get,
    path = "/v1/invoices",
    operation_id = "list_invoices",
    tag = "Invoices",
    params(
        ListParameters,
    ),
    responses((status = 200, description = "One page of the invoices", body = List<InvoiceBody>)),
    security(
        ("apikey" = ["invoices:read"], "businessid" = []),
        ("basic" = ["invoices:read"]),
        ("bearer" = ["invoices:read"]),
        ("x-api-key" = ["invoices:read"]),
    )
)]
pub(crate) async fn list(
    may: Granted<InvoicesRead>,
    State(web): State<Web>,
    Query(given): Query<ListParameters>,
) -> Result<Answer<List<InvoiceBody>>, Failure> {
    let filter = InvoiceFilter {
        status: parameter("status", given.status.as_deref())?,
        customer_reference: parameter("customer_reference", given.customer_reference.as_deref())?,
        recurring: parameter("recurring_payment_id", given.recurring_payment_id.as_deref())?,
        search: parameter("q", given.q.as_deref().filter(|text| !text.is_empty()))?,
        include_deleted: flag("include_deleted", given.include_deleted.as_deref())?,
    };
    let after = parameter("starting_after", given.starting_after.as_deref())?;
    let limit = limit(given.limit.as_deref())?;
    let page = web.app.invoices().list(may.tenant(), &filter, after, limit).await.map_err(about_query)?;
    let now = web.app.invoices().now(may.tenant()).await?;
    let data = page.data.iter().map(|invoice| InvoiceBody::new(invoice, now, web.app.address())).collect();
    Ok(Answer(List { data, has_more: page.has_more }))
}

/// Make an invoice
///
/// One amount, or lines that add up to it. It gets the next number of the business and environment. With a
/// `customer_email` it is mailed at once, and reminders follow three days before it is due, on the day, three and seven
/// days after, until it is paid; `"send": false` keeps it back. An address that had 20 invoices in 24 hours gets no more:
/// then `sent_at` is `null`.
#[utoipa::path(
    post,
    path = "/v1/invoices",
    operation_id = "create_invoice",
    tag = "Invoices",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = NewInvoiceBody,
    responses((status = 201, description = "The invoice", body = InvoiceBody)),
    security(
        ("apikey" = ["invoices:write"], "businessid" = []),
        ("basic" = ["invoices:write"]),
        ("bearer" = ["invoices:write"]),
        ("x-api-key" = ["invoices:write"]),
    )
)]
pub(crate) async fn create(
    may: Granted<InvoicesWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<NewInvoiceBody>,
) -> Result<Response, Failure> {
    let draft = body.value.read(may.tenant().environment, web.app.networks())?;
    let now = web.app.invoices().now(may.tenant()).await?;
    let written = |invoice: &InvoiceRow| json(&InvoiceBody::new(invoice, now, web.app.address()));
    let render = |invoice: &InvoiceRow| stored(201, written(invoice), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.invoices().create(may.context(), may.tenant(), &draft, repeated.as_ref()).await? {
        Answered::Done(invoice) => Ok(respond(201, &written(&invoice))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

/// Read an invoice
///
/// A deleted one too.
#[utoipa::path(
    get,
    path = "/v1/invoices/{id}",
    operation_id = "get_invoice",
    tag = "Invoices",
    params(
        ("id" = String, Path, description = "The id of the invoice", example = "inv_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 200, description = "The invoice", body = InvoiceBody)),
    security(
        ("apikey" = ["invoices:read"], "businessid" = []),
        ("basic" = ["invoices:read"]),
        ("bearer" = ["invoices:read"]),
        ("x-api-key" = ["invoices:read"]),
    )
)]
pub(crate) async fn get(
    may: Granted<InvoicesRead>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<InvoiceId>,
) -> Result<Answer<InvoiceBody>, Failure> {
    let invoice = web.app.invoices().get(may.tenant(), id).await?;
    let now = web.app.invoices().now(may.tenant()).await?;
    Ok(Answer(InvoiceBody::new(&invoice, now, web.app.address())))
}

/// Change an invoice
///
/// As long as it is neither paid nor void. Payments that were started keep their price. Nothing is mailed; send it once
/// more if the customer is to know. Reminders go by the new due date.
#[utoipa::path(
    patch,
    path = "/v1/invoices/{id}",
    operation_id = "update_invoice",
    tag = "Invoices",
    params(
        ("id" = String, Path, description = "The id of the invoice", example = "inv_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    request_body = InvoiceChangeBody,
    responses((status = 200, description = "The invoice as it is now", body = InvoiceBody)),
    security(
        ("apikey" = ["invoices:write"], "businessid" = []),
        ("basic" = ["invoices:write"]),
        ("bearer" = ["invoices:write"]),
        ("x-api-key" = ["invoices:write"]),
    )
)]
pub(crate) async fn update(
    may: Granted<InvoicesWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<InvoiceId>,
    body: Json<InvoiceChangeBody>,
) -> Result<Answer<InvoiceBody>, Failure> {
    let asset = web.app.invoices().get(may.tenant(), id).await?.amount.asset();
    let change = body.value.read(may.tenant().environment, asset)?;
    let invoice = web.app.invoices().update(may.context(), may.tenant(), id, &change).await?;
    let now = web.app.invoices().now(may.tenant()).await?;
    Ok(Answer(InvoiceBody::new(&invoice, now, web.app.address())))
}

/// Delete an invoice
///
/// It can no longer be paid. Its payments and its history stay.
#[utoipa::path(
    delete,
    path = "/v1/invoices/{id}",
    operation_id = "delete_invoice",
    tag = "Invoices",
    params(
        ("id" = String, Path, description = "The id of the invoice", example = "inv_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 200, description = "The invoice, deleted", body = InvoiceBody)),
    security(
        ("apikey" = ["invoices:write"], "businessid" = []),
        ("basic" = ["invoices:write"]),
        ("bearer" = ["invoices:write"]),
        ("x-api-key" = ["invoices:write"]),
    )
)]
pub(crate) async fn delete(
    may: Granted<InvoicesWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<InvoiceId>,
) -> Result<Answer<InvoiceBody>, Failure> {
    let invoice = web.app.invoices().delete(may.context(), may.tenant(), id).await?;
    let now = web.app.invoices().now(may.tenant()).await?;
    Ok(Answer(InvoiceBody::new(&invoice, now, web.app.address())))
}

/// Void an invoice
///
/// Calls it off: it can no longer be paid. A paid one cannot be called off.
#[utoipa::path(
    post,
    path = "/v1/invoices/{id}/void",
    operation_id = "void_invoice",
    tag = "Invoices",
    params(
        ("id" = String, Path, description = "The id of the invoice", example = "inv_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 200, description = "The invoice, void", body = InvoiceBody)),
    security(
        ("apikey" = ["invoices:write"], "businessid" = []),
        ("basic" = ["invoices:write"]),
        ("bearer" = ["invoices:write"]),
        ("x-api-key" = ["invoices:write"]),
    )
)]
pub(crate) async fn void(
    may: Granted<InvoicesWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<InvoiceId>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let now = web.app.invoices().now(may.tenant()).await?;
    let written = |invoice: &InvoiceRow| json(&InvoiceBody::new(invoice, now, web.app.address()));
    let render = |invoice: &InvoiceRow| stored(200, written(invoice), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.invoices().void(may.context(), may.tenant(), id, repeated.as_ref()).await? {
        Answered::Done(invoice) => Ok(respond(200, &written(&invoice))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

/// Send an invoice
///
/// Mails it to its `customer_email`, once more where it was before, and begins its reminders. In 24 hours an address gets
/// at most 20 mails with invoices, 5 of them about the same one. In TEST the mail says that it is a test.
#[utoipa::path(
    post,
    path = "/v1/invoices/{id}/send",
    operation_id = "send_invoice",
    tag = "Invoices",
    params(
        ("id" = String, Path, description = "The id of the invoice", example = "inv_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    responses((status = 200, description = "The invoice, sent", body = InvoiceBody)),
    security(
        ("apikey" = ["invoices:write"], "businessid" = []),
        ("basic" = ["invoices:write"]),
        ("bearer" = ["invoices:write"]),
        ("x-api-key" = ["invoices:write"]),
    )
)]
pub(crate) async fn send(
    may: Granted<InvoicesWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<InvoiceId>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let now = web.app.invoices().now(may.tenant()).await?;
    let written = |invoice: &InvoiceRow| json(&InvoiceBody::new(invoice, now, web.app.address()));
    let render = |invoice: &InvoiceRow| stored(200, written(invoice), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.invoices().send(may.context(), may.tenant(), id, repeated.as_ref()).await? {
        Answered::Done(invoice) => Ok(respond(200, &written(&invoice))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

/// Read an invoice as PDF
///
/// The file that goes with the mail, in the language of the business, as the invoice stands now.
#[utoipa::path(
    get,
    path = "/v1/invoices/{id}/pdf",
    operation_id = "get_invoice_pdf",
    tag = "Invoices",
    params(
        ("id" = String, Path, description = "The id of the invoice", example = "inv_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 200, description = "The file", content_type = "application/pdf", body = String)),
    security(
        ("apikey" = ["invoices:read"], "businessid" = []),
        ("basic" = ["invoices:read"]),
        ("bearer" = ["invoices:read"]),
        ("x-api-key" = ["invoices:read"]),
    )
)]
pub(crate) async fn pdf(
    may: Granted<InvoicesRead>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<InvoiceId>,
) -> Result<Response, Failure> {
    Ok(file(web.app.invoices().pdf(may.tenant(), id).await?))
}
