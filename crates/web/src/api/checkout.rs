//! `/v1/checkout`: what a checkout key may do, from a page. It starts a payment and reads how it stands.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use trousseau_domain::ids::PaymentId;
use trousseau_domain::payables::PayableId;
use trousseau_service::idempotency::Answered;
use trousseau_service::payments::{Started, Watched};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{json, replay, respond, stored};
use crate::authority::{CheckoutStart, CheckoutStatus, Granted};
use crate::body::Json;
use crate::idempotency::Repeatable;
use crate::path::Path;
use crate::problem::{Failure, Faults, Kind};
use crate::query::{NoQuery, Query};
use crate::router::Web;
use crate::wire::payables::page_of;
use crate::wire::payments::{NewPaymentBody, PublicPayableBody, StartedBody, StatusBody, TransactionBody};

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(payable))
        .routes(routes!(start))
        .routes(routes!(get))
        .routes(routes!(hand_in))
        .routes(routes!(status))
        .routes(routes!(events))
}

/// Read what is to be paid
///
/// What its payer may see of a payment link, an invoice or a recurring payment.
#[utoipa::path(
    get,
    path = "/v1/checkout/payables/{id}",
    operation_id = "get_payable",
    tag = "Checkout",
    params(
        ("id" = String, Path, description = "The id of a payment link, an invoice or a recurring payment", example = "plink_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 200, description = "What is to be paid", body = PublicPayableBody)),
    security(
        ("apikey" = ["checkout:status"], "businessid" = []),
        ("basic" = ["checkout:status"]),
        ("bearer" = ["checkout:status"]),
        ("x-api-key" = ["checkout:status"]),
    )
)]
pub(crate) async fn payable(
    may: Granted<CheckoutStatus>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<String>,
) -> Result<Answer<PublicPayableBody>, Failure> {
    let id: PayableId = id.parse().map_err(|_| Failure::new(Kind::NotFound))?;
    let shown = web.app.payments().shown_to(may.tenant(), id).await?;
    let asset = shown.payable.amount().asset();
    let networks = web.app.payments().networks(may.tenant(), asset).await?.iter().map(ToString::to_string).collect();
    Ok(Answer(PublicPayableBody::new(&shown, networks, web.app.address())))
}

/// Start a payment
///
/// The price is the one of the payment link, invoice or recurring payment; nothing that a page says changes it. The
/// address is for this payment alone.
#[utoipa::path(
    post,
    path = "/v1/checkout/payments",
    operation_id = "start_payment",
    tag = "Checkout",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = NewPaymentBody,
    responses((status = 201, description = "The payment, with an address that reads its status", body = StartedBody)),
    security(
        ("apikey" = ["checkout:start"], "businessid" = []),
        ("basic" = ["checkout:start"]),
        ("bearer" = ["checkout:start"]),
        ("x-api-key" = ["checkout:start"]),
    )
)]
pub(crate) async fn start(
    may: Granted<CheckoutStart>,
    _query: NoQuery,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<NewPaymentBody>,
) -> Result<Response, Failure> {
    let mut faults = Faults::new();
    let id = faults.accept("/payable", body.value.payable.parse::<PayableId>());
    faults.finish()?;
    let id = id.expect("a refused id is a fault above");
    let written = |started: &Started| {
        let address = web.app.address();
        let payable = started.payment.paid_for.payable();
        let read = |what| {
            let Started { payment, token, .. } = started;
            address.link(&format!("/v1/checkout/payments/{}/{what}?token={}", payment.id, token.expose()))
        };
        json(&StartedBody {
            status: StatusBody::of_new(&started.payment, started.now),
            status_url: read("status"),
            events_url: read("events"),
            checkout_url: page_of(address, payable.kind(), &payable),
        })
    };
    let render = |started: &Started| stored(201, written(started), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    let network = body.value.network.as_deref();
    match web.app.payments().start_to(may.context(), may.tenant(), id, network, repeated.as_ref()).await? {
        Answered::Done(started) => Ok(respond(201, &written(&started))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

/// Read how a payment stands
#[utoipa::path(
    get,
    path = "/v1/checkout/payments/{id}",
    operation_id = "get_payment_status",
    tag = "Checkout",
    params(
        ("id" = String, Path, description = "The id of the payment", example = "pay_01k3v5m8c2q7x9r4t6w8y0a1b3"),
    ),
    responses((status = 200, description = "How it stands", body = StatusBody)),
    security(
        ("apikey" = ["checkout:status"], "businessid" = []),
        ("basic" = ["checkout:status"]),
        ("bearer" = ["checkout:status"]),
        ("x-api-key" = ["checkout:status"]),
    )
)]
pub(crate) async fn get(
    may: Granted<CheckoutStatus>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<PaymentId>,
) -> Result<Answer<StatusBody>, Failure> {
    Ok(Answer(StatusBody::from(&web.app.payments().get(may.tenant(), id).await?)))
}

/// Hand in a transaction
///
/// A hint to look sooner, and no proof: the network alone says what was paid. The same transaction again gives the
/// same answer; for another payment it is refused.
#[utoipa::path(
    post,
    path = "/v1/checkout/payments/{id}/transaction",
    operation_id = "hand_in_transaction",
    tag = "Checkout",
    params(
        ("id" = String, Path, description = "The id of the payment", example = "pay_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255),
    ),
    request_body = TransactionBody,
    responses((status = 200, description = "How the payment stands", body = StatusBody)),
    security(
        ("apikey" = ["checkout:start"], "businessid" = []),
        ("basic" = ["checkout:start"]),
        ("bearer" = ["checkout:start"]),
        ("x-api-key" = ["checkout:start"]),
    )
)]
pub(crate) async fn hand_in(
    may: Granted<CheckoutStart>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<PaymentId>,
    repeatable: Repeatable,
    body: Json<TransactionBody>,
) -> Result<Response, Failure> {
    let render = |watched: &Watched| stored(200, json(&StatusBody::from(watched)), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    let hash = &body.value.transaction_hash;
    match web.app.payments().hand_in_to(may.context(), may.tenant(), id, hash, repeated.as_ref()).await? {
        Answered::Done(watched) => Ok(respond(200, &json(&StatusBody::from(&watched)))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

/// What reads one payment.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TokenParameter {
    /// The token of the `status_url` that starting the payment answered.
    #[param(value_type = String, required = true)]
    token: Option<String>,
}

/// Read a payment by its token
///
/// Without a key: the token reads this one payment and nothing else.
#[utoipa::path(
    get,
    path = "/v1/checkout/payments/{id}/status",
    operation_id = "get_payment_status_by_token",
    tag = "Checkout",
    params(
        ("id" = String, Path, description = "The id of the payment", example = "pay_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        TokenParameter,
    ),
    responses((status = 200, description = "How it stands", body = StatusBody)),
    security(())
)]
pub(crate) async fn status(
    State(web): State<Web>,
    Path(id): Path<PaymentId>,
    Query(given): Query<TokenParameter>,
) -> Result<Answer<StatusBody>, Failure> {
    let token = given.token.unwrap_or_default();
    Ok(Answer(StatusBody::from(&web.app.payments().get_by_token(id, &token).await?)))
}

/// Watch a payment by its token
///
/// Server-sent events (`state`), each with the whole status and an id; whoever comes back with `Last-Event-ID` hears of
/// what is new only. The stream ends once nothing more is to be expected.
#[utoipa::path(
    get,
    path = "/v1/checkout/payments/{id}/events",
    operation_id = "watch_payment",
    tag = "Checkout",
    params(
        ("id" = String, Path, description = "The id of the payment", example = "pay_01k3v5m8c2q7x9r4t6w8y0a1b3"),
        TokenParameter,
    ),
    responses(
        (status = 200, description = "A stream of its states", content_type = "text/event-stream", body = String),
        (status = 204, description = "Nothing more is to be expected"),
    ),
    security(())
)]
pub(crate) async fn events(
    State(web): State<Web>,
    Path(id): Path<PaymentId>,
    Query(given): Query<TokenParameter>,
    headers: http::HeaderMap,
) -> Result<Response, Failure> {
    let token = given.token.unwrap_or_default();
    let watched = web.app.payments().get_by_token(id, &token).await?;
    crate::stream::of_payment(&web, watched, &headers)
}
