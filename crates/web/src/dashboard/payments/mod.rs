//! The pages of payments: what is to be paid, and what was.

mod accounting;
mod amounts;
mod invoices;
mod links;
mod paid;
mod payout;
mod recurring;
mod refunds;
mod settings;
mod unmatched;

use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Environment;
use trousseau_domain::members::{EmailAddress, Operation};
use trousseau_domain::money::Asset;
use trousseau_domain::payables::{CustomerName, CustomerReference, PayableId, PayableKind, PaymentLinkStatus, WebUrl};
use trousseau_domain::payments::{PaymentException, PaymentStatus};
use trousseau_domain::text::SearchText;
use trousseau_service::{EventFilter, EventRow, ListedPayment, PaidFor, PaymentFilter, ServiceError, Subject};

pub(in crate::dashboard) use self::accounting::outcome_badge;
pub(crate) use self::settings::style_of;
use super::events::{changes, happened};
use super::filters::Check;
use super::form::FormErrors;
use super::format::{Shown, Sum};
use super::frame::{Frame, Tab};
use super::names::{Actors, KeyLink, KeyNames, Who};
use super::networks::called;
use super::qr::Qr;
use super::session::{Entered, Stop};
use super::text::{Texts, message};
use crate::dashboard::once::{kept, once, once_more, sent_once};
use crate::path::Path;
use crate::problem::{Failure, Kind};
use crate::router::Web;
use crate::wire::payables::page_of;

/// How many rows a list shows.
const ROWS: u32 = 50;
/// How many events and payments the page of one thing shows.
const LATEST: u32 = 20;

/// The routes of these pages.
pub(crate) fn routes() -> Router<Web> {
    let links = "/b/{business}/{environment}/payment-links";
    let link = |below: &str| format!("{links}{below}");
    let payments = "/b/{business}/{environment}/payments";
    let payment = |below: &str| format!("{payments}{below}");
    let invoices = "/b/{business}/{environment}/invoices";
    let invoice = |below: &str| format!("{invoices}{below}");
    let recurring = "/b/{business}/{environment}/recurring-payments";
    let subscription = |below: &str| format!("{recurring}{below}");
    Router::new()
        .route("/b/{business}/{environment}/settings/checkout", get(settings::show).post(settings::save))
        .route("/b/{business}/{environment}/settings/checkout/payout", get(payout::show).post(payout::save))
        .route("/b/{business}/{environment}/settings/checkout/payout/plan", get(payout::plan))
        .route("/b/{business}/{environment}/settings/checkout/payout/confirm", post(payout::confirm))
        .route("/pay/accent/{file}", get(settings::accent))
        .route(invoices, get(invoices::list))
        .route(&invoice("/create"), get(invoices::form).post(invoices::make))
        .route(&invoice("/{id}"), get(invoices::show))
        .route(&invoice("/{id}/pdf"), get(invoices::pdf))
        .route(&invoice("/{id}/send"), post(invoices::send))
        .route(&invoice("/{id}/void"), get(invoices::void_form).post(invoices::void))
        .route(&invoice("/{id}/delete"), get(invoices::delete_form).post(invoices::delete))
        .route(recurring, get(recurring::list))
        .route(&subscription("/create"), get(recurring::form).post(recurring::make))
        .route(&subscription("/{id}"), get(recurring::show))
        .route(&subscription("/{id}/edit"), get(recurring::edit_form).post(recurring::edit))
        .route(&subscription("/{id}/pause"), post(recurring::pause))
        .route(&subscription("/{id}/resume"), post(recurring::resume))
        .route(&subscription("/{id}/cancel"), get(recurring::cancel_form).post(recurring::cancel))
        .route(&subscription("/{id}/delete"), get(recurring::delete_form).post(recurring::delete))
        .route(payments, get(paid::list))
        .route(&payment("/accounting"), get(accounting::show))
        .route(&payment("/accounting/movements"), get(accounting::export))
        .route(&payment("/unmatched"), get(unmatched::list))
        .route(&payment("/unmatched/{id}/dismiss"), get(unmatched::dismiss_form).post(unmatched::dismiss))
        .route(&payment("/unmatched/{id}/refund"), get(refunds::deposit_form).post(refunds::make_of_deposit))
        .route(&payment("/refunds"), get(refunds::list))
        .route(&payment("/refunds/{id}"), get(refunds::show).post(refunds::hand_in))
        .route(&payment("/refunds/{id}/cancel"), get(refunds::cancel_form).post(refunds::cancel))
        .route(&payment("/refunds/{id}/send"), post(refunds::send))
        .route(&payment("/{id}"), get(paid::show))
        .route(&payment("/{id}/cancel"), get(paid::cancel_form).post(paid::cancel))
        .route(&payment("/{id}/decide"), get(paid::decide_form).post(paid::decide))
        .route(&payment("/{id}/refund"), get(refunds::payment_form).post(refunds::make_of_payment))
        .route(links, get(links::list))
        .route(&link("/create"), get(links::form).post(links::make))
        .route(&link("/{id}"), get(links::show))
        .route(&link("/{id}/edit"), get(links::edit_form).post(links::edit))
        .route(&link("/{id}/switch"), post(links::switch))
        .route(&link("/{id}/delete"), get(links::delete_form).post(links::delete))
}

/// Where the pages of a tab begin.
fn base<P>(entered: &Entered<P>, tab: Tab) -> String {
    format!("/b/{}/{}{}", entered.tenant.business, entered.tenant.environment, tab.path())
}

/// Whether the reader may change something here.
const fn may_write<P>(entered: &Entered<P>) -> bool {
    entered.role.may(Operation::PaymentsWrite)
}

/// Whether this is LIVE.
fn is_live<P>(entered: &Entered<P>) -> bool {
    entered.tenant.environment == Environment::Live
}

/// The id in a path; what is none names nothing.
type Id = Path<PathId>;

/// The variable parts of the paths below a list.
#[derive(Debug, Deserialize)]
pub(crate) struct PathId {
    id: String,
}

impl PathId {
    /// The id, if it is one of this kind.
    fn read<T: std::str::FromStr>(&self) -> Result<T, Failure> {
        self.id.parse().map_err(|_| Failure::new(Kind::NotFound))
    }
}

/// What a list was asked for.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Asked {
    #[serde(skip_serializing_if = "String::is_empty")]
    q: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    status: String,
    /// The number of a key, where the list has such a filter.
    #[serde(skip_serializing_if = "String::is_empty")]
    number: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    from: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    to: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    after: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    format: String,
}

impl Asked {
    fn href(&self, base: &str) -> String {
        match serde_html_form::to_string(self) {
            Ok(query) if !query.is_empty() => format!("{base}?{query}"),
            _ => base.to_owned(),
        }
    }

    /// Goes on where all of it makes sense; `S` is where something of this list may stand.
    fn check<S: std::str::FromStr, P>(&self, entered: &Entered<P>, base: &str) -> Result<(), Stop> {
        let check = Check::of(&entered.frame).choice::<S>("status", &self.status).search("q", &self.q);
        check.span(&self.from, &self.to).done(base)
    }

    fn search(&self) -> Option<SearchText> {
        self.q.trim().parse().ok()
    }

    /// The same list as a file.
    fn csv(&self, base: &str) -> String {
        Self { format: "csv".to_owned(), after: String::new(), ..self.clone() }.href(base)
    }

    /// The same list after the last row of a page.
    fn next(&self, base: &str, last: Option<String>, has_more: bool) -> Option<String> {
        let last = last.filter(|_| has_more)?;
        Some(Self { after: last, ..self.clone() }.href(base))
    }
}

/// Where something stands: an icon, words and a tint.
#[derive(Debug, Clone)]
pub(in crate::dashboard) struct Badge {
    pub(in crate::dashboard) tint: &'static str,
    pub(in crate::dashboard) icon: &'static str,
    pub(in crate::dashboard) text: String,
}

/// Where a payment link stands.
fn link_status(status: PaymentLinkStatus, t: Texts) -> String {
    t.get(match status {
        PaymentLinkStatus::Active => message!("link-active"),
        PaymentLinkStatus::Inactive => message!("link-inactive"),
        PaymentLinkStatus::Paid => message!("payable-paid"),
    })
}

/// Where a payment stands.
fn payment_status(status: PaymentStatus, t: Texts) -> String {
    t.get(match status {
        PaymentStatus::Open => message!("payment-open"),
        PaymentStatus::Processing => message!("payment-processing"),
        PaymentStatus::Settled => message!("payment-settled"),
        PaymentStatus::Expired => message!("payment-expired"),
        PaymentStatus::Cancelled => message!("payment-cancelled"),
        PaymentStatus::NeedsReview => message!("payment-needs-review"),
        PaymentStatus::Reversed => message!("payment-reversed"),
        PaymentStatus::PartiallyRefunded => message!("payment-partially-refunded"),
        PaymentStatus::Refunded => message!("payment-refunded"),
    })
}

/// What is unusual about a payment.
fn exception(exception: PaymentException, t: Texts) -> Option<String> {
    Some(t.get(match exception {
        PaymentException::None => return None,
        PaymentException::Partial => message!("exception-partial"),
        PaymentException::Underpaid => message!("exception-underpaid"),
        PaymentException::Overpaid => message!("exception-overpaid"),
        PaymentException::Late => message!("exception-late"),
        PaymentException::Multiple => message!("exception-multiple"),
        PaymentException::Manual => message!("exception-manual"),
    }))
}

fn payment_badge(status: PaymentStatus, t: Texts) -> Badge {
    let (tint, icon) = match status {
        PaymentStatus::Open => ("", "clock"),
        PaymentStatus::Processing => ("", "turn"),
        PaymentStatus::Settled => ("ok", "check"),
        PaymentStatus::Expired | PaymentStatus::Cancelled => ("", "stop"),
        PaymentStatus::NeedsReview => ("warn", "warn"),
        PaymentStatus::Reversed => ("bad", "warn"),
        PaymentStatus::PartiallyRefunded | PaymentStatus::Refunded => ("", "back"),
    };
    Badge { tint, icon, text: payment_status(status, t) }
}

/// A payment as lists show it.
#[derive(Debug)]
struct PaymentLine {
    id: String,
    /// Its page.
    href: String,
    called: Called,
    badge: Badge,
    exception: Option<String>,
    amount: Sum,
    network: String,
    at: Shown,
}

/// What a payment is for, in words.
#[derive(Debug)]
struct Called {
    /// What it is called; where nobody gave it a name, what it is.
    name: String,
    /// Whether somebody chose the name.
    named: bool,
    /// Of a period its invoice.
    period: Option<String>,
    /// What is invoiced, where the name is a number.
    invoiced: Option<String>,
    /// What the customer is called, as far as that is known.
    customer: Option<String>,
}

impl Called {
    fn of(paid_for: PaidFor, subject: &Subject, t: Texts) -> Self {
        let name = subject.name.as_ref().map(ToString::to_string);
        let number = subject.number.map(|number| t.with("invoice-number", [("number", number.to_string())]));
        let (named, usual, period, invoiced) = match paid_for {
            PaidFor::PaymentLink(_) => (name, t.get("link-untitled"), None, None),
            PaidFor::Invoice(_, Some(_)) => (name, t.get("recurring-payment"), number, None),
            PaidFor::Invoice(_, None) => {
                let invoiced = subject.invoiced.as_ref().map(ToString::to_string);
                (None, number.unwrap_or_else(|| t.get("invoice")), None, invoiced)
            }
        };
        let customer = customer(
            subject.customer_name.as_ref(),
            subject.customer_reference.as_ref(),
            subject.customer_email.as_ref(),
        );
        Self { named: named.is_some(), name: named.unwrap_or(usual), period, invoiced, customer }
    }
}

/// What a customer is called, as far as that is known.
fn customer(
    name: Option<&CustomerName>,
    reference: Option<&CustomerReference>,
    email: Option<&EmailAddress>,
) -> Option<String> {
    name.map(ToString::to_string)
        .or_else(|| reference.map(ToString::to_string))
        .or_else(|| email.map(|email| email.as_str().to_owned()))
}

impl PaymentLine {
    fn of<P>(web: &Web, listed: &ListedPayment, entered: &Entered<P>) -> Self {
        let (frame, payment) = (&entered.frame, &listed.payment);
        Self {
            called: Called::of(payment.paid_for, &listed.subject, frame.t),
            id: payment.id.to_string(),
            href: format!("{}/{}", base(entered, Tab::Payments), payment.id),
            badge: payment_badge(payment.state.status, frame.t),
            exception: exception(payment.state.exception, frame.t),
            amount: frame.f.sum(payment.terms.due),
            network: called(web, &payment.destination.network),
            at: frame.f.relative(payment.created_at),
        }
    }
}

/// What the price of a form can be in.
#[derive(Debug)]
struct Currencies {
    /// The codes, and whether each is chosen.
    choices: Vec<(String, bool)>,
    label: String,
    hint: String,
}

impl Currencies {
    /// What the networks of the environment accept.
    fn offered<P>(web: &Web, entered: &Entered<P>, chosen: &str) -> Self {
        Self::of(&web.app.networks().assets(entered.tenant.environment), chosen, entered.frame.t)
    }

    /// What it is in already.
    fn fixed(asset: Asset, t: Texts) -> Self {
        Self::of(&[asset], asset.code().as_str(), t)
    }

    fn of(assets: &[Asset], chosen: &str, t: Texts) -> Self {
        let decimals = assets.iter().map(|asset| asset.decimals()).min().unwrap_or_default();
        let label = match assets {
            [only] => t.with("amount-in", [("currency", only.code().to_string())]),
            _ => t.get("amount"),
        };
        Self {
            choices: assets.iter().map(|asset| (asset.code().to_string(), asset.code().as_str() == chosen)).collect(),
            label,
            hint: t.with("amount-hint", [("decimals", decimals.to_string())]),
        }
    }
}

/// The currency that was chosen in a form; where none was, the first one there is.
fn currency_of<P>(web: &Web, entered: &Entered<P>, chosen: &str, errors: &mut FormErrors) -> Option<Asset> {
    let networks = web.app.networks();
    if chosen.is_empty() {
        return networks.assets(entered.tenant.environment).into_iter().next();
    }
    let asset = networks.asset(entered.tenant.environment, chosen);
    errors.read("currency", asset, entered.frame.t.get("wrong-currency"))
}

/// The latest payments for one thing.
async fn payments_for<P>(
    web: &Web,
    entered: &Entered<P>,
    payable: PayableId,
) -> Result<Vec<PaymentLine>, ServiceError> {
    let filter = PaymentFilter { payable: Some(payable), ..PaymentFilter::default() };
    let page = web.app.payments().list_with_subjects(&entered.tenant, &filter, None, LATEST).await?;
    Ok(page.data.iter().map(|payment| PaymentLine::of(web, payment, entered)).collect())
}

/// Something that happened.
#[derive(Debug)]
struct Entry {
    what: String,
    who: Who,
    changes: Vec<String>,
    /// Why somebody decided something.
    reason: Option<String>,
    at: Shown,
}

/// The names that these pages speak by.
struct Names {
    keys: KeyNames,
    actors: Actors,
    /// Whether the reader may open the pages of keys.
    sees_keys: bool,
}

/// Who or what made something, with the way to the key where the reader may go there.
#[derive(Debug)]
struct Maker {
    who: Who,
    key: Option<KeyLink>,
    /// Which of the key's values it was, counted from 1.
    version: Option<u32>,
}

impl Names {
    async fn of<P>(web: &Web, entered: &Entered<P>) -> Result<Self, ServiceError> {
        let sees_keys = entered.role.may(Operation::KeysRead);
        Ok(Self { keys: KeyNames::of(web, entered).await?, actors: Actors::of(web, entered).await?, sees_keys })
    }

    fn maker(&self, actor: &Actor) -> Maker {
        let (key, version) = match actor {
            Actor::Key { id, version } => (self.keys.link(*id).filter(|_| self.sees_keys), Some(*version)),
            _ => (None, None),
        };
        Maker { who: self.actors.who(actor, &self.keys), key, version }
    }
}

/// What happened to the thing with this id, newest first.
async fn history<P>(web: &Web, entered: &Entered<P>, names: &Names, id: String) -> Result<Vec<Entry>, ServiceError> {
    let filter = EventFilter { subject: Some(id), ..EventFilter::default() };
    let page = web.app.events().list(&entered.tenant, &filter, None, LATEST).await?;
    let (f, t) = (&entered.frame.f, entered.frame.t);
    let entry = |event: &EventRow| Entry {
        what: happened(&event.kind, t),
        who: names.actors.who(&event.actor, &names.keys),
        changes: changes(event, t),
        reason: event.data.pointer("/decision/reason").and_then(serde_json::Value::as_str).map(ToOwned::to_owned),
        at: f.moment(event.at),
    };
    Ok(page.data.iter().map(entry).collect())
}

/// The page on which something is paid: its address, and the same as a code to scan.
#[derive(Debug)]
struct Hosted {
    url: String,
    qr: Option<Qr>,
}

impl Hosted {
    fn of(web: &Web, kind: PayableKind, id: &impl std::fmt::Display) -> Self {
        let url = page_of(web.app.address(), kind, id);
        Self { qr: Qr::of(&url), url }
    }
}

/// A form that is only a button.
#[derive(Debug, Deserialize)]
pub(crate) struct Nothing {}

/// What a field says; nothing where it is empty.
fn said<T>(text: &str, read: impl FnOnce(&str) -> Option<T>, wrong: impl FnOnce()) -> Option<T> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let value = read(text);
    if value.is_none() {
        wrong();
    }
    value
}

/// What was typed about a customer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct CustomerFields {
    customer_name: String,
    customer_email: String,
    customer_reference: String,
    redirect_url: String,
}

/// What was meant by it.
struct Customer {
    name: Option<CustomerName>,
    email: Option<EmailAddress>,
    reference: Option<CustomerReference>,
    redirect_url: Option<WebUrl>,
}

impl CustomerFields {
    /// Mistakes are noted under the names of the fields.
    fn read<P>(&self, entered: &Entered<P>, errors: &mut FormErrors) -> Customer {
        let t = entered.frame.t;
        Customer {
            name: said(
                &self.customer_name,
                |text| text.parse().ok(),
                || errors.add("customer_name", t.get("wrong-customer-name")),
            ),
            email: said(
                &self.customer_email,
                |text| text.parse().ok(),
                || errors.add("customer_email", t.get("people-email-invalid")),
            ),
            reference: said(
                &self.customer_reference,
                |text| text.parse().ok(),
                || errors.add("customer_reference", t.get("wrong-reference")),
            ),
            redirect_url: said(
                &self.redirect_url,
                |text| WebUrl::parse(text, entered.tenant.environment).ok(),
                || errors.add("redirect_url", t.get("wrong-redirect")),
            ),
        }
    }
}

/// What is asked before an act.
struct Question {
    text: String,
    consequence: String,
    button: String,
}

impl Question {
    /// Whether to delete something that can be paid.
    fn of_delete(name: &str, t: Texts) -> Self {
        Self {
            text: t.with("payable-delete-question", [("name", name)]),
            consequence: t.get("payable-delete-consequence"),
            button: t.get("delete"),
        }
    }
}

/// Asks whether to do something to the thing of this name and page; `act` is the path below its page. Whoever has to
/// prove who they are does so first.
fn ask<P>(
    entered: &Entered<P>,
    tab: Tab,
    page: String,
    act: &str,
    name: String,
    asked: Question,
) -> Result<Response, Stop> {
    entered.prove_first(&entered.frame.here)?;
    let frame = entered.frame.clone().at(tab, None);
    let Question { text: question, consequence, button } = asked;
    let action = format!("{page}/{act}");
    let live = is_live(entered);
    Ok(frame.page(&ConfirmPage { frame: &frame, back: page, name, question, consequence, action, button, live }))
}

/// A question before an act.
#[derive(Debug, Template)]
#[template(path = "dashboard/payments/confirm.html")]
struct ConfirmPage<'a> {
    frame: &'a Frame,
    back: String,
    name: String,
    question: String,
    consequence: String,
    action: String,
    button: String,
    live: bool,
}
