//! Mileston's routes, as its published clients call them: `/payment-link`, `/invoice`, `/recurring-payment`, `/checkout`,
//! `/user` and `/status`.
//!
//! Unknown members are ignored here, bodies come with GET and DELETE too, and every answer carries its own `statusCode`.

use std::collections::HashMap;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{any, delete, get, patch, post};
use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::{InvoiceId, PaymentLinkId, RecurringPaymentId};
use trousseau_domain::members::EmailAddress;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::networks::ShortName;
use trousseau_domain::payables::{InvoiceStatus, PayableId, PayableKind, WebUrl};
use trousseau_domain::recurrence::Interval;
use trousseau_domain::time::Timestamp;
use trousseau_service::idempotency::{Answered, StoredAnswer};
use trousseau_service::payments::invoices::{Billed, InvoiceChange, InvoiceDraft};
use trousseau_service::payments::payment_links::{PaymentLinkChange, PaymentLinkDraft};
use trousseau_service::payments::recurring_payments::{
    RecurringPayment, RecurringPaymentChange, RecurringPaymentDraft,
};
use trousseau_service::payments::{Payable, Shown};
use trousseau_service::{
    InvoiceFilter, InvoiceRow, PaymentLinkFilter, PaymentLinkRow, RecurringPaymentFilter, RecurringPaymentRow,
    ServiceError,
};

use crate::answer::{replay, respond, stored};
use crate::authority::{
    AnySecret, CheckoutAsk, CheckoutStart, CheckoutStatus, Granted, InvoicesRead, InvoicesWrite, PaymentLinksRead,
    PaymentLinksWrite, RecurringPaymentsRead, RecurringPaymentsWrite,
};
use crate::body::Json;
use crate::idempotency::Repeatable;
use crate::path::Path;
use crate::problem::{Failure, Faults, Kind};
use crate::router::Web;
use crate::wire::payables::page_of;

/// What these clients are told of what they made.
const LINK_CREATED: &str = "Payment link created";
const INVOICE_CREATED: &str = "Invoice created";
const RECURRING_CREATED: &str = "Recurring payment created";

/// How many entries a list has that names no number, and at most.
const USUAL_LIMIT: u32 = 25;
const MAX_LIMIT: u32 = 100;
/// What the clients compare the whole error text with: these bytes and no others.
const AWAITING: &str = r#"{"message":"Still awaiting payment","error":"Bad Request","statusCode":400}"#;

/// The routes. Their shapes are Mileston's, so the document of ours does not hold them; `docs/compatibility/mileston.md` does.
pub(crate) fn routes() -> Router<Web> {
    let kinds = Router::new()
        .route("/payment-link/create", post(create_link))
        .route("/payment-link/update", patch(update_link))
        .route("/payment-link/delete/{id}", delete(delete_link))
        .route("/payment-link", get(list_links))
        .route("/payment-link/", get(list_links))
        .route("/payment-link/{id}", get(get_link).layer(from_fn(page_for_people)))
        .route("/invoice/create", post(create_invoice))
        .route("/invoice/update", patch(update_invoice))
        .route("/invoice/delete/{id}", delete(delete_invoice))
        .route("/invoice", get(list_invoices))
        .route("/invoice/", get(list_invoices))
        .route("/invoice/{id}", get(get_invoice).layer(from_fn(page_for_people)))
        .route("/recurring-payment/create", post(create_recurring))
        .route("/recurring-payment/update", patch(update_recurring))
        .route("/recurring-payment/delete/{id}", delete(delete_recurring))
        .route("/recurring-payment", get(list_recurring))
        .route("/recurring-payment/", get(list_recurring))
        .route("/recurring-payment/{id}", get(get_recurring).layer(from_fn(page_for_people)));
    let checkout = Router::new()
        .route("/checkout/data/{pattern}/{id}", get(data))
        .route("/checkout/save-payment/{pattern}", post(save))
        .route("/checkout/verify-payment/{pattern}", post(verify))
        .route("/checkout/payment-wallet/{family}", get(wallet))
        .route("/checkout/user/{id}", get(user))
        .route("/checkout/sub-wallets/{id}", get(not_offered_to_pages))
        .route("/checkout/onramp-data", get(not_offered_to_pages))
        .route("/checkout/onramp-payment-status/{id}", post(not_offered_to_pages));
    kinds.merge(checkout).route("/user/{*rest}", any(not_offered)).route("/status", get(status))
}

/// The same address is the page on which a person pays. A person comes with a browser and without a key.
async fn page_for_people(headers: HeaderMap, request: Request, next: Next) -> Response {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let has_key = [AUTHORIZATION.as_str(), "apikey", "x-api-key"].iter().any(|name| headers.contains_key(*name));
    match request.uri().path_and_query() {
        Some(asked) if accepts.contains("text/html") && !has_key => {
            Redirect::to(&format!("/pay{asked}")).into_response()
        }
        _ => next.run(request).await,
    }
}

/// What a list was asked for. Whatever else stands in the query is none of our business.
type Asked = Result<Query<HashMap<String, String>>, QueryRejection>;

fn limit(asked: &Asked) -> u32 {
    let text = asked.as_ref().ok().and_then(|Query(asked)| asked.get("limit"));
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(USUAL_LIMIT).clamp(1, MAX_LIMIT)
}

fn done(status: u16, message: &str, body: Map<String, Value>) -> Response {
    respond(status, &whole(status, message, body))
}

fn whole(status: u16, message: &str, mut body: Map<String, Value>) -> Value {
    let mut whole = Map::new();
    whole.insert("statusCode".to_owned(), json!(status));
    whole.insert("message".to_owned(), json!(message));
    whole.append(&mut body);
    Value::Object(whole)
}

/// The answer to whoever makes something, as it is kept for a request that is repeated under its name.
fn made(message: &str, body: Map<String, Value>) -> StoredAnswer {
    stored(201, whole(201, message, body), Vec::new())
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

const fn env_of(environment: Environment) -> &'static str {
    match environment {
        Environment::Test => "test",
        Environment::Live => "prod",
    }
}

/// An amount: a decimal text, or a JSON number by its own text.
#[derive(Debug, Deserialize)]
struct AmountOf<'a> {
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
}

fn amount(bytes: &[u8], asset: Asset, faults: &mut Faults) -> Option<Money> {
    let raw = serde_json::from_slice::<AmountOf<'_>>(bytes).ok()?.amount?.get();
    if raw == "null" {
        return None;
    }
    let text = if raw.starts_with('"') { serde_json::from_str::<String>(raw).ok()? } else { raw.to_owned() };
    faults.accept("/amount", Money::parse_price(text.trim(), asset))
}

/// Says what an amount is in where that is not what these clients take for granted.
fn with_currency(mut data: Value, asset: Asset) -> Value {
    if asset != Asset::USDC {
        data["currency"] = json!(asset.code());
    }
    data
}

fn text<T: std::str::FromStr<Err: std::fmt::Display>>(
    pointer: &str,
    given: Option<String>,
    faults: &mut Faults,
) -> Option<T> {
    let given = given.filter(|text| !text.trim().is_empty())?;
    faults.accept(pointer, given.parse().map_err(|error: T::Err| error.to_string()))
}

fn url(pointer: &str, given: Option<String>, environment: Environment, faults: &mut Faults) -> Option<WebUrl> {
    let given = given.filter(|text| !text.is_empty())?;
    faults.accept(pointer, WebUrl::parse(&given, environment))
}

/// What has to be there. Where it was there and was refused, that is said already.
fn required<T>(pointer: &str, value: Option<T>, faults: &mut Faults) -> Option<T> {
    if value.is_none() && !faults.are_about(pointer) {
        faults.senseless(pointer, "must be given");
    }
    value
}

/// An id in a body or a path. One that cannot be read names nothing.
fn id_of<T: std::str::FromStr>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| Failure::new(Kind::NotFound))
}

// --- payment links

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LinkBody {
    payment_link_id: Option<String>,
    title: Option<String>,
    description: Option<String>,
    redirect_url: Option<String>,
    logo_url: Option<String>,
    banner_url: Option<String>,
}

fn link_data(link: &PaymentLinkRow) -> Value {
    let mut data =
        json!({ "paymentLinkId": link.id, "amount": link.amount.to_string(), "env": env_of(link.tenant.environment) });
    for (name, value) in [
        ("title", link.title.as_ref().map(ToString::to_string)),
        ("description", link.description.as_ref().map(ToString::to_string)),
        ("redirectUrl", link.redirect_url.as_ref().map(ToString::to_string)),
        ("logoUrl", link.logo_url.as_ref().map(ToString::to_string)),
        ("bannerUrl", link.banner_url.as_ref().map(ToString::to_string)),
    ] {
        if let Some(value) = value {
            data[name] = Value::from(value);
        }
    }
    with_currency(data, link.amount.asset())
}

fn link_body(web: &Web, link: &PaymentLinkRow) -> Map<String, Value> {
    let page = page_of(web.app.address(), PayableKind::PaymentLink, &link.id);
    object(json!({ "paymentLink": page, "paymentData": link_data(link) }))
}

async fn create_link(
    may: Granted<PaymentLinksWrite>,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<LinkBody>,
) -> Result<Response, Failure> {
    let (given, environment) = (body.value, may.tenant().environment);
    let mut faults = Faults::new();
    let price = amount(&body.bytes, Asset::USDC, &mut faults);
    let price = required("/amount", price, &mut faults);
    let title = text("/title", given.title, &mut faults);
    let description = text("/description", given.description, &mut faults);
    let redirect_url = url("/redirectUrl", given.redirect_url, environment, &mut faults);
    let logo_url = url("/logoUrl", given.logo_url, environment, &mut faults);
    let banner_url = url("/bannerUrl", given.banner_url, environment, &mut faults);
    faults.finish()?;
    let draft = PaymentLinkDraft {
        amount: price.expect("a missing amount is a fault above"),
        title,
        description,
        redirect_url,
        logo_url,
        banner_url,
        customer_reference: None,
        metadata: Metadata::default(),
        single_use: false,
        active: true,
    };
    let render = |link: &PaymentLinkRow| made(LINK_CREATED, link_body(&web, link));
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.payment_links().create(may.context(), may.tenant(), &draft, repeated.as_ref()).await? {
        Answered::Done(link) => Ok(done(201, LINK_CREATED, link_body(&web, &link))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

async fn live_link(web: &Web, tenant: &Tenant, id: &str) -> Result<PaymentLinkRow, Failure> {
    let link = web.app.payment_links().get(tenant, id_of::<PaymentLinkId>(id)?).await?;
    if link.deleted_at.is_some() { Err(Failure::new(Kind::NotFound)) } else { Ok(link) }
}

async fn get_link(
    may: Granted<PaymentLinksRead>,
    State(web): State<Web>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let link = live_link(&web, may.tenant(), &id).await?;
    Ok(done(200, "Payment link found", link_body(&web, &link)))
}

async fn list_links(may: Granted<PaymentLinksRead>, State(web): State<Web>, asked: Asked) -> Result<Response, Failure> {
    let filter = PaymentLinkFilter::default();
    let page = web.app.payment_links().list(may.tenant(), &filter, None, limit(&asked)).await?;
    let data: Vec<_> = page.data.iter().map(link_data).collect();
    Ok(done(200, "Payment links found", object(json!({ "paymentData": data }))))
}

async fn update_link(
    may: Granted<PaymentLinksWrite>,
    State(web): State<Web>,
    body: Json<LinkBody>,
) -> Result<Response, Failure> {
    let (given, environment) = (body.value, may.tenant().environment);
    let mut faults = Faults::new();
    let id = required("/paymentLinkId", given.payment_link_id, &mut faults);
    let link = match &id {
        Some(id) => Some(live_link(&web, may.tenant(), id).await?),
        None => None,
    };
    let asset = link.as_ref().map_or(Asset::USDC, |link| link.amount.asset());
    let change = PaymentLinkChange {
        amount: amount(&body.bytes, asset, &mut faults),
        title: text("/title", given.title, &mut faults).map(Some),
        description: text("/description", given.description, &mut faults).map(Some),
        redirect_url: url("/redirectUrl", given.redirect_url, environment, &mut faults).map(Some),
        logo_url: url("/logoUrl", given.logo_url, environment, &mut faults).map(Some),
        banner_url: url("/bannerUrl", given.banner_url, environment, &mut faults).map(Some),
        ..PaymentLinkChange::default()
    };
    faults.finish()?;
    let link = link.ok_or_else(|| Failure::new(Kind::NotFound))?;
    let link = web.app.payment_links().update(may.context(), may.tenant(), link.id, &change).await?;
    Ok(done(200, "Payment link updated", link_body(&web, &link)))
}

async fn delete_link(
    may: Granted<PaymentLinksWrite>,
    State(web): State<Web>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let link = live_link(&web, may.tenant(), &id).await?;
    web.app.payment_links().delete(may.context(), may.tenant(), link.id).await?;
    Ok(done(200, "Payment link deleted", Map::new()))
}

// --- invoices

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct InvoiceBody {
    invoice_id: Option<String>,
    item_name: Option<String>,
    customer_email: Option<String>,
    due_date: Option<String>,
    add_pdf: Option<bool>,
}

/// The two states that these clients know.
const fn invoice_word(status: InvoiceStatus) -> &'static str {
    match status {
        InvoiceStatus::Paid => "paid",
        InvoiceStatus::Pending | InvoiceStatus::PastDue | InvoiceStatus::Void => "pending",
    }
}

fn invoice_data(invoice: &InvoiceRow, now: Timestamp) -> Value {
    let email = invoice.customer_email.as_ref().map(EmailAddress::as_str);
    let data = json!({
        "invoiceId": invoice.id,
        "amount": invoice.amount.to_string(),
        "itemName": invoice.title.as_str(),
        "customerEmail": email.unwrap_or_default(),
        "dueDate": invoice.due_at,
        "addPdf": invoice.with_pdf,
        "status": invoice_word(invoice.life().status_at(now)),
        "env": env_of(invoice.tenant.environment),
    });
    with_currency(data, invoice.amount.asset())
}

fn invoice_body(web: &Web, invoice: &InvoiceRow, now: Timestamp) -> Map<String, Value> {
    let page = page_of(web.app.address(), PayableKind::Invoice, &invoice.id);
    let status = invoice_word(invoice.life().status_at(now));
    object(json!({ "invoiceLink": page, "status": status, "invoiceData": invoice_data(invoice, now) }))
}

async fn create_invoice(
    may: Granted<InvoicesWrite>,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<InvoiceBody>,
) -> Result<Response, Failure> {
    let given = body.value;
    let mut faults = Faults::new();
    let price = amount(&body.bytes, Asset::USDC, &mut faults);
    let price = required("/amount", price, &mut faults);
    let title = text("/itemName", given.item_name, &mut faults);
    let title = required("/itemName", title, &mut faults);
    let email = text("/customerEmail", given.customer_email, &mut faults);
    let email = required("/customerEmail", email, &mut faults);
    let due_at = text::<Timestamp>("/dueDate", given.due_date, &mut faults);
    let due_at = required("/dueDate", due_at, &mut faults);
    faults.finish()?;
    let draft = InvoiceDraft {
        title: title.expect("a missing name is a fault above"),
        billed: Billed::Whole(price.expect("a missing amount is a fault above")),
        due_at: due_at.expect("a missing date is a fault above"),
        customer_name: None,
        customer_email: email,
        customer_reference: None,
        redirect_url: None,
        metadata: Metadata::default(),
        with_pdf: given.add_pdf.unwrap_or(false),
        send: true,
    };
    let now = web.app.invoices().now(may.tenant()).await?;
    let render = |invoice: &InvoiceRow| made(INVOICE_CREATED, invoice_body(&web, invoice, now));
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.invoices().create(may.context(), may.tenant(), &draft, repeated.as_ref()).await? {
        Answered::Done(invoice) => Ok(done(201, INVOICE_CREATED, invoice_body(&web, &invoice, now))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

async fn live_invoice(web: &Web, tenant: &Tenant, id: &str) -> Result<InvoiceRow, Failure> {
    let invoice = web.app.invoices().get(tenant, id_of::<InvoiceId>(id)?).await?;
    if invoice.deleted_at.is_some() { Err(Failure::new(Kind::NotFound)) } else { Ok(invoice) }
}

async fn get_invoice(
    may: Granted<InvoicesRead>,
    State(web): State<Web>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let invoice = live_invoice(&web, may.tenant(), &id).await?;
    let now = web.app.invoices().now(may.tenant()).await?;
    Ok(done(200, "Invoice found", invoice_body(&web, &invoice, now)))
}

async fn list_invoices(may: Granted<InvoicesRead>, State(web): State<Web>, asked: Asked) -> Result<Response, Failure> {
    let page = web.app.invoices().list(may.tenant(), &InvoiceFilter::default(), None, limit(&asked)).await?;
    let now = web.app.invoices().now(may.tenant()).await?;
    let data: Vec<_> = page.data.iter().map(|invoice| invoice_data(invoice, now)).collect();
    Ok(done(200, "Invoices found", object(json!({ "invoiceData": data }))))
}

async fn update_invoice(
    may: Granted<InvoicesWrite>,
    State(web): State<Web>,
    body: Json<InvoiceBody>,
) -> Result<Response, Failure> {
    let given = body.value;
    let mut faults = Faults::new();
    let id = required("/invoiceId", given.invoice_id, &mut faults);
    let invoice = match &id {
        Some(id) => Some(live_invoice(&web, may.tenant(), id).await?),
        None => None,
    };
    let asset = invoice.as_ref().map_or(Asset::USDC, |invoice| invoice.amount.asset());
    let change = InvoiceChange {
        title: text("/itemName", given.item_name, &mut faults),
        billed: amount(&body.bytes, asset, &mut faults).map(Billed::Whole),
        due_at: text("/dueDate", given.due_date, &mut faults),
        customer_email: text("/customerEmail", given.customer_email, &mut faults).map(Some),
        with_pdf: given.add_pdf,
        ..InvoiceChange::default()
    };
    faults.finish()?;
    let invoice = invoice.ok_or_else(|| Failure::new(Kind::NotFound))?;
    let invoice = web.app.invoices().update(may.context(), may.tenant(), invoice.id, &change).await?;
    let now = web.app.invoices().now(may.tenant()).await?;
    Ok(done(200, "Invoice updated", invoice_body(&web, &invoice, now)))
}

async fn delete_invoice(
    may: Granted<InvoicesWrite>,
    State(web): State<Web>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let invoice = live_invoice(&web, may.tenant(), &id).await?;
    web.app.invoices().delete(may.context(), may.tenant(), invoice.id).await?;
    Ok(done(200, "Invoice deleted", Map::new()))
}

// --- recurring payments

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RecurringBody {
    recurring_payment_id: Option<String>,
    subscription_name: Option<String>,
    subscriber_full_name: Option<String>,
    subscriber_email: Option<String>,
    subscriber_wallet_address: Option<String>,
    recurring_date: Option<String>,
    recurring_interval: Option<u16>,
    add_pdf: Option<bool>,
}

fn recurring_data(row: &RecurringPaymentRow, latest: &InvoiceRow, now: Timestamp) -> Value {
    let email = row.customer_email.as_ref().map(EmailAddress::as_str);
    let paid = latest.life().status_at(now) == InvoiceStatus::Paid;
    let mut data = json!({
        "recurringPaymentId": row.id,
        "amount": row.amount.to_string(),
        "subscriptionName": row.name.as_ref().map(ToString::to_string).unwrap_or_default(),
        "subscriberFullName": row.customer_name.as_ref().map(ToString::to_string).unwrap_or_default(),
        "subscriberEmail": email.unwrap_or_default(),
        "currentPaymentStatus": if paid { "paid" } else { "unpaid" },
        "recurringDate": row.anchor,
        "recurringInterval": row.interval.in_days(),
        "addPdf": row.with_pdf,
        "env": env_of(row.tenant.environment),
    });
    if let Some(wallet) = &row.customer_wallet {
        data["subscriberWalletAddress"] = Value::from(wallet.as_str());
    }
    with_currency(data, row.amount.asset())
}

fn recurring_body(web: &Web, row: &RecurringPaymentRow, latest: &InvoiceRow, now: Timestamp) -> Map<String, Value> {
    let page = page_of(web.app.address(), PayableKind::RecurringPayment, &row.id);
    object(json!({ "recurringPaymentLink": page, "recurringPaymentData": recurring_data(row, latest, now) }))
}

fn recurring_answer(web: &Web, status: u16, message: &str, recurring: &RecurringPayment) -> Response {
    done(status, message, recurring_body(web, &recurring.row, &recurring.latest, recurring.now))
}

async fn create_recurring(
    may: Granted<RecurringPaymentsWrite>,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<RecurringBody>,
) -> Result<Response, Failure> {
    let given = body.value;
    let mut faults = Faults::new();
    let price = amount(&body.bytes, Asset::USDC, &mut faults);
    let price = required("/amount", price, &mut faults);
    let anchor = text::<Timestamp>("/recurringDate", given.recurring_date, &mut faults);
    let anchor = required("/recurringDate", anchor, &mut faults);
    let days = required("/recurringInterval", given.recurring_interval, &mut faults);
    let interval = days.and_then(|days| faults.accept("/recurringInterval", Interval::days(days)));
    let customer_name = text("/subscriberFullName", given.subscriber_full_name, &mut faults);
    let customer_email = text("/subscriberEmail", given.subscriber_email, &mut faults);
    let customer_email = required("/subscriberEmail", customer_email, &mut faults);
    let name = text("/subscriptionName", given.subscription_name, &mut faults);
    let customer_wallet = text("/subscriberWalletAddress", given.subscriber_wallet_address, &mut faults);
    faults.finish()?;
    let draft = RecurringPaymentDraft {
        amount: price.expect("a missing amount is a fault above"),
        name,
        anchor: anchor.expect("a missing date is a fault above"),
        interval: interval.expect("a missing interval is a fault above"),
        customer_name,
        customer_email,
        customer_wallet,
        customer_reference: None,
        redirect_url: None,
        metadata: Metadata::default(),
        with_pdf: given.add_pdf.unwrap_or(true),
    };
    let render = |one: &RecurringPayment| made(RECURRING_CREATED, recurring_body(&web, &one.row, &one.latest, one.now));
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.recurring_payments().create(may.context(), may.tenant(), &draft, repeated.as_ref()).await? {
        Answered::Done(one) => Ok(recurring_answer(&web, 201, RECURRING_CREATED, &one)),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

async fn live_recurring(web: &Web, tenant: &Tenant, id: &str) -> Result<RecurringPayment, Failure> {
    let recurring = web.app.recurring_payments().get(tenant, id_of::<RecurringPaymentId>(id)?).await?;
    if recurring.row.deleted_at.is_some() { Err(Failure::new(Kind::NotFound)) } else { Ok(recurring) }
}

async fn get_recurring(
    may: Granted<RecurringPaymentsRead>,
    State(web): State<Web>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let recurring = live_recurring(&web, may.tenant(), &id).await?;
    Ok(recurring_answer(&web, 200, "Recurring payment found", &recurring))
}

async fn list_recurring(
    may: Granted<RecurringPaymentsRead>,
    State(web): State<Web>,
    asked: Asked,
) -> Result<Response, Failure> {
    let filter = RecurringPaymentFilter::default();
    let page = web.app.recurring_payments().list(may.tenant(), &filter, None, limit(&asked)).await?;
    let data: Vec<_> = page.data.iter().map(|made| recurring_data(&made.row, &made.latest, made.now)).collect();
    Ok(done(200, "Recurring payments found", object(json!({ "recurringPaymentData": data }))))
}

async fn update_recurring(
    may: Granted<RecurringPaymentsWrite>,
    State(web): State<Web>,
    body: Json<RecurringBody>,
) -> Result<Response, Failure> {
    let given = body.value;
    let mut faults = Faults::new();
    let id = required("/recurringPaymentId", given.recurring_payment_id, &mut faults);
    let recurring = match &id {
        Some(id) => Some(live_recurring(&web, may.tenant(), id).await?),
        None => None,
    };
    // Whoever sends all of it back changes nothing by that.
    let anchor = text::<Timestamp>("/recurringDate", given.recurring_date, &mut faults);
    if let Some(RecurringPayment { row, .. }) = &recurring {
        let days = given.recurring_interval;
        if anchor.is_some_and(|anchor| anchor != row.anchor) || days.is_some_and(|days| days != row.interval.in_days())
        {
            faults.senseless(
                "/recurringDate",
                "cannot change, nor can recurringInterval: make another recurring payment",
            );
        }
    }
    let asset = recurring.as_ref().map_or(Asset::USDC, |recurring| recurring.row.amount.asset());
    let change = RecurringPaymentChange {
        amount: amount(&body.bytes, asset, &mut faults),
        name: text("/subscriptionName", given.subscription_name, &mut faults).map(Some),
        customer_name: text("/subscriberFullName", given.subscriber_full_name, &mut faults).map(Some),
        customer_email: text("/subscriberEmail", given.subscriber_email, &mut faults).map(Some),
        customer_wallet: text("/subscriberWalletAddress", given.subscriber_wallet_address, &mut faults).map(Some),
        with_pdf: given.add_pdf,
        ..RecurringPaymentChange::default()
    };
    faults.finish()?;
    let recurring = recurring.ok_or_else(|| Failure::new(Kind::NotFound))?;
    let changed = web.app.recurring_payments().update(may.context(), may.tenant(), recurring.row.id, &change).await?;
    Ok(recurring_answer(&web, 200, "Recurring payment updated", &changed))
}

async fn delete_recurring(
    may: Granted<RecurringPaymentsWrite>,
    State(web): State<Web>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let recurring = live_recurring(&web, may.tenant(), &id).await?;
    web.app.recurring_payments().delete(may.context(), may.tenant(), recurring.row.id).await?;
    Ok(done(200, "Recurring payment deleted", Map::new()))
}

// --- checkout

/// What a pattern such as `invoice.save` speaks of.
fn kind_of(pattern: &str, verb: &str) -> Result<PayableKind, Failure> {
    match pattern.strip_suffix(verb).and_then(|kind| kind.strip_suffix('.')) {
        Some("paymentlink") => Ok(PayableKind::PaymentLink),
        Some("invoice") => Ok(PayableKind::Invoice),
        Some("recurring") => Ok(PayableKind::RecurringPayment),
        _ => Err(Failure::new(Kind::NotFound)),
    }
}

async fn shown<P>(web: &Web, may: &Granted<P>, kind: PayableKind, id: &str) -> Result<Shown, Failure> {
    let id: PayableId = id_of(id)?;
    if id.kind() != kind {
        return Err(Failure::new(Kind::NotFound));
    }
    Ok(web.app.payments().shown_to(may.tenant(), id).await?)
}

async fn data(
    may: Granted<CheckoutStatus>,
    State(web): State<Web>,
    Path((pattern, id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let shown = shown(&web, &may, kind_of(&pattern, "get")?, &id).await?;
    let env = env_of(may.tenant().environment);
    let mut body = match &shown.payable {
        Payable::PaymentLink(link) => link_body(&web, link),
        // A page learns nothing of who is billed.
        Payable::Invoice(invoice) => without(invoice_body(&web, invoice, shown.now), "invoiceData", "customerEmail"),
        Payable::RecurringPayment(recurring, latest) => {
            let body = recurring_body(&web, recurring, latest, shown.now);
            let body = without(body, "recurringPaymentData", "subscriberFullName");
            let body = without(body, "recurringPaymentData", "subscriberEmail");
            without(body, "recurringPaymentData", "subscriberWalletAddress")
        }
    };
    body.insert("env".to_owned(), json!(env));
    Ok(done(200, "Payment found", body))
}

fn without(mut body: Map<String, Value>, part: &str, member: &str) -> Map<String, Value> {
    if let Some(Value::Object(part)) = body.get_mut(part) {
        part.insert(member.to_owned(), json!(""));
    }
    body
}

/// What a page says about a payment. Most of it is what a browser believes, and not looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Claim {
    payment_link_id: Option<String>,
    public_key: Option<String>,
    transaction_signature: Option<String>,
    fee_signature: Option<String>,
    chain: Option<String>,
    evm_chain: Option<String>,
    env: Option<String>,
    #[serde(rename = "userUUID")]
    user_uuid: Option<String>,
}

impl Claim {
    /// The thing that it is about, once what must agree with the key does.
    async fn payable<P>(&self, web: &Web, may: &Granted<P>, pattern: &str) -> Result<Shown, Failure> {
        let kind = kind_of(pattern, "save")?;
        let mut faults = Faults::new();
        if self.env.as_deref().is_some_and(|env| env != env_of(may.tenant().environment)) {
            faults.senseless("/env", "is not the environment of the key");
        }
        if self.user_uuid.as_deref().is_some_and(|id| id != may.tenant().business.as_str()) {
            faults.senseless("/userUUID", "is not the business of the key");
        }
        let id = required("/paymentLinkId", self.payment_link_id.as_deref(), &mut faults);
        faults.finish()?;
        let shown = shown(web, may, kind, id.unwrap_or_default()).await?;
        if shown.payable.amount().asset() != Asset::USDC {
            // These clients pay dollars, whatever they are told: the page itself says what is to be paid.
            let mut faults = Faults::new();
            faults.senseless("/paymentLinkId", "is not priced in USDC: it is paid on its own page");
            faults.finish()?;
        }
        Ok(shown)
    }

    fn network(&self) -> Option<&str> {
        let evm = self.evm_chain.as_deref().filter(|name| !name.is_empty());
        evm.or(self.chain.as_deref()).filter(|name| name.parse::<ShortName>().is_ok())
    }
}

fn awaiting() -> Response {
    let mut response = respond(400, &Value::Null);
    *response.body_mut() = axum::body::Body::from(AWAITING);
    response
}

async fn save(
    may: Granted<CheckoutStart>,
    State(web): State<Web>,
    Path(pattern): Path<String>,
    body: Json<Claim>,
) -> Result<Response, Failure> {
    let claim = body.value;
    let shown = claim.payable(&web, &may, &pattern).await?;
    let mut faults = Faults::new();
    let hash = claim.transaction_signature.as_deref().or(claim.fee_signature.as_deref()).map(str::trim);
    let hash = required("/transactionSignature", hash.filter(|hash| !hash.is_empty()), &mut faults);
    let network = required("/chain", claim.network(), &mut faults);
    faults.finish()?;
    let (hash, network) = (hash.unwrap_or_default(), network.unwrap_or_default());
    let payments = web.app.payments();
    let id = match payments.handed_in(may.tenant(), network, Asset::USDC, hash).await? {
        Some(payment) if payment.paid_for == shown.payable.paid_for() => payment.id,
        Some(_) => return Err(ServiceError::TransactionTaken.into()),
        None => match payments.for_transaction(may.context(), &shown, network, hash).await? {
            Some(id) => id,
            None => return Ok(awaiting()),
        },
    };
    let watched = payments.hand_in(may.context(), id, hash).await?;
    if watched.payment.state.is_paid() { Ok(done(200, "Payment saved", Map::new())) } else { Ok(awaiting()) }
}

async fn verify(
    may: Granted<CheckoutAsk>,
    State(web): State<Web>,
    Path(pattern): Path<String>,
    body: Json<Claim>,
) -> Result<Response, Failure> {
    let claim = body.value;
    let shown = claim.payable(&web, &may, &pattern).await?;
    let mut faults = Faults::new();
    let address = required("/publicKey", claim.public_key.as_deref(), &mut faults);
    let network = required("/chain", claim.network(), &mut faults);
    faults.finish()?;
    let (address, network) = (address.unwrap_or_default(), network.unwrap_or_default());
    match web.app.payments().payment_at(may.context(), &shown, network, address).await {
        Ok(payment) if payment.state.is_paid() => Ok(done(200, "Payment verified", Map::new())),
        // An address that we never gave out is unpaid like any other.
        Ok(_) | Err(ServiceError::NotFound) => Ok(awaiting()),
        Err(error) => Err(error.into()),
    }
}

async fn wallet(
    may: Granted<CheckoutStart>,
    State(web): State<Web>,
    Path(family): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    if asked.get("env").is_some_and(|env| env != env_of(may.tenant().environment)) {
        let mut faults = Faults::new();
        faults.senseless("/env", "is not the environment of the key");
        faults.finish()?;
    }
    let network = match family.as_str() {
        "sui" | "solana" => family.as_str(),
        "evm" => asked.get("evmChain").map(String::as_str).filter(|name| !name.is_empty()).unwrap_or("base"),
        _ => return Err(Failure::new(Kind::NotFound)),
    };
    let place = web.app.payments().spare_address(may.context(), may.tenant(), network).await?;
    Ok(done(200, "Wallet found", object(json!({ "publicKey": place.address }))))
}

async fn user(
    may: Granted<CheckoutStatus>,
    State(web): State<Web>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    if id != may.tenant().business.as_str() {
        return Err(Failure::new(Kind::NotFound));
    }
    let business = web.app.businesses().get(&may.tenant().business).await?;
    // Public facts only; the types of the clients want the other members to be there.
    Ok(done(
        200,
        "User found",
        object(json!({
            "userData": { "businessName": business.name.as_str(), "onboarded": true },
            "walletAddress": {},
            "isSecretCopied": true,
            "walletBalance": "0",
            "qrPaymentWallets": [],
        })),
    ))
}

/// Wallets, payouts, sub wallets and cards: we hold nobody's money.
async fn not_offered(_may: Granted<AnySecret>) -> Failure {
    Failure::new(Kind::NotOffered)
}

async fn not_offered_to_pages(_may: Granted<CheckoutStatus>) -> Failure {
    Failure::new(Kind::NotOffered)
}

/// Whether the service is well, for anybody.
async fn status(State(web): State<Web>) -> Response {
    let healthy = web.app.check_ready().await.is_ok();
    let (used, total) = crate::system::memory_mb();
    let body = json!({
        "status": if healthy { "healthy" } else { "unhealthy" },
        "service": "trousseau",
        "timestamp": web.app.now(),
        "environment": "production",
        "version": env!("CARGO_PKG_VERSION"),
        "uptime": web.started.elapsed().as_secs(),
        "memory": { "used": used, "total": total },
    });
    respond(if healthy { 200 } else { 503 }, &body)
}
