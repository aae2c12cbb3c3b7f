//! `/v1/payment_links`.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use trousseau_domain::ids::PaymentLinkId;
use trousseau_service::idempotency::Answered;
use trousseau_service::{PaymentLinkFilter, PaymentLinkRow};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::keys::limit;
use crate::answer::{json, replay, respond, stored};
use crate::authority::{Granted, PaymentLinksRead, PaymentLinksWrite};
use crate::body::Json;
use crate::idempotency::Repeatable;
use crate::path::Path;
use crate::problem::Failure;
use crate::query::{NoQuery, Query, about_query, flag, parameter};
use crate::router::Web;
use crate::wire::List;
use crate::wire::payables::{NewPaymentLinkBody, PaymentLinkBody, PaymentLinkChangeBody};

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, update, delete))
}

/// The parameters of a list of payment links.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Only those with this status: `active`, `inactive` or `paid`.
    #[param(example = "active")]
    status: Option<String>,
    /// Only those of this customer of yours.
    customer_reference: Option<String>,
    /// Only those with this text in their title or customer reference, and those whose id begins with it; 1 to 100
    /// characters.
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

/// List payment links
///
/// Those of the business and environment of the key, newest first. Deleted ones are left out unless asked for.
#[utoipa::path(
    get,
    path = "/v1/payment_links",
    operation_id = "list_payment_links",
    tag = "Payment links",
    params(
        ListParameters,
    ),
    responses((status = 200, description = "One page of the payment links", body = List<PaymentLinkBody>)),
    security(
        ("apikey" = ["payment_links:read"], "businessid" = []),
        ("basic" = ["payment_links:read"]),
        ("bearer" = ["payment_links:read"]),
        ("x-api-key" = ["payment_links:read"]),
    )
)]
pub(crate) async fn list(
    may: Granted<PaymentLinksRead>,
    State(web): State<Web>,
    Query(given): Query<ListParameters>,
) -> Result<Answer<List<PaymentLinkBody>>, Failure> {
    let filter = PaymentLinkFilter {
        status: parameter("status", given.status.as_deref())?,
        customer_reference: parameter("customer_reference", given.customer_reference.as_deref())?,
        search: parameter("q", given.q.as_deref().filter(|text| !text.is_empty()))?,
        include_deleted: flag("include_deleted", given.include_deleted.as_deref())?,
    };
    let after = parameter("starting_after", given.starting_after.as_deref())?;
    let limit = limit(given.limit.as_deref())?;
    let page = web.app.payment_links().list(may.tenant(), &filter, after, limit).await.map_err(about_query)?;
    let data = page.data.iter().map(|link| PaymentLinkBody::new(link, web.app.address())).collect();
    Ok(Answer(List { data, has_more: page.has_more }))
}

/// Make a payment link
///
/// Reusable unless it is made for a single use. Whoever has its address can pay it.
#[utoipa::path(
    post,
    path = "/v1/payment_links",
    operation_id = "create_payment_link",
    tag = "Payment links",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = NewPaymentLinkBody,
    responses((status = 201, description = "The payment link", body = PaymentLinkBody)),
    security(
        ("apikey" = ["payment_links:write"], "businessid" = []),
        ("basic" = ["payment_links:write"]),
        ("bearer" = ["payment_links:write"]),
        ("x-api-key" = ["payment_links:write"]),
    )
)]
pub(crate) async fn create(
    may: Granted<PaymentLinksWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<NewPaymentLinkBody>,
) -> Result<Response, Failure> {
    let draft = body.value.read(may.tenant().environment, web.app.networks())?;
    let render = |link: &PaymentLinkRow| stored(201, json(&PaymentLinkBody::new(link, web.app.address())), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.payment_links().create(may.context(), may.tenant(), &draft, repeated.as_ref()).await? {
        Answered::Done(link) => Ok(respond(201, &json(&PaymentLinkBody::new(&link, web.app.address())))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

/// Read a payment link
///
/// A deleted one too.
#[utoipa::path(
    get,
    path = "/v1/payment_links/{id}",
    operation_id = "get_payment_link",
    tag = "Payment links",
    params(
        ("id" = String, Path, description = "The id of the payment link", example = "plink_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 200, description = "The payment link", body = PaymentLinkBody)),
    security(
        ("apikey" = ["payment_links:read"], "businessid" = []),
        ("basic" = ["payment_links:read"]),
        ("bearer" = ["payment_links:read"]),
        ("x-api-key" = ["payment_links:read"]),
    )
)]
pub(crate) async fn get(
    may: Granted<PaymentLinksRead>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<PaymentLinkId>,
) -> Result<Answer<PaymentLinkBody>, Failure> {
    let link = web.app.payment_links().get(may.tenant(), id).await?;
    Ok(Answer(PaymentLinkBody::new(&link, web.app.address())))
}

/// Change a payment link
///
/// Absent members stay as they are. Payments that were started keep their price.
#[utoipa::path(
    patch,
    path = "/v1/payment_links/{id}",
    operation_id = "update_payment_link",
    tag = "Payment links",
    params(
        ("id" = String, Path, description = "The id of the payment link", example = "plink_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    request_body = PaymentLinkChangeBody,
    responses((status = 200, description = "The payment link as it is now", body = PaymentLinkBody)),
    security(
        ("apikey" = ["payment_links:write"], "businessid" = []),
        ("basic" = ["payment_links:write"]),
        ("bearer" = ["payment_links:write"]),
        ("x-api-key" = ["payment_links:write"]),
    )
)]
pub(crate) async fn update(
    may: Granted<PaymentLinksWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<PaymentLinkId>,
    body: Json<PaymentLinkChangeBody>,
) -> Result<Answer<PaymentLinkBody>, Failure> {
    let asset = web.app.payment_links().get(may.tenant(), id).await?.amount.asset();
    let change = body.value.read(may.tenant().environment, asset)?;
    let link = web.app.payment_links().update(may.context(), may.tenant(), id, &change).await?;
    Ok(Answer(PaymentLinkBody::new(&link, web.app.address())))
}

/// Delete a payment link
///
/// It can no longer be paid. Its payments and its history stay.
#[utoipa::path(
    delete,
    path = "/v1/payment_links/{id}",
    operation_id = "delete_payment_link",
    tag = "Payment links",
    params(
        ("id" = String, Path, description = "The id of the payment link", example = "plink_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 200, description = "The payment link, deleted", body = PaymentLinkBody)),
    security(
        ("apikey" = ["payment_links:write"], "businessid" = []),
        ("basic" = ["payment_links:write"]),
        ("bearer" = ["payment_links:write"]),
        ("x-api-key" = ["payment_links:write"]),
    )
)]
pub(crate) async fn delete(
    may: Granted<PaymentLinksWrite>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<PaymentLinkId>,
) -> Result<Answer<PaymentLinkBody>, Failure> {
    let link = web.app.payment_links().delete(may.context(), may.tenant(), id).await?;
    Ok(Answer(PaymentLinkBody::new(&link, web.app.address())))
}
