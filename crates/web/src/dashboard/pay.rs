//! The hosted page on which something is paid. Its unguessable id is all that it takes; nobody signs in.

use std::convert::Infallible;

use askama::Template;
use axum::Router;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};
use serde::Deserialize;
use trousseau_domain::checkout::PageLanguages;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::PaymentId;
use trousseau_domain::ledger::{Confirmations, LedgerId, Scenario};
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::networks::ShortName;
use trousseau_domain::origin::Origin;
use trousseau_domain::payables::{InvoiceLine, PayableId};
use trousseau_domain::payments::{PaymentException, PaymentState, PaymentStatus};
use trousseau_service::idempotency::Answered;
use trousseau_service::payments::{NotPayable, Payable, Shown as ToPay, Watched};
use trousseau_service::{Context, InvoiceRow, ServiceError};

use super::form::Form;
use super::format::{Formats, Shown, Sum};
use super::frame::{Frame, redirect};
use super::networks::{called, transaction_page};
use super::payments::style_of;
use super::people::{domain_language, logo};
use super::qr::Qr;
use super::text::{Texts, message};
use crate::answer;
use crate::connection::CallerAddress;
use crate::language::Language;
use crate::problem::{Failure, Kind};
use crate::router::Web;
use crate::stream;
use crate::wire::payments::{kind_of_path, remaining};

/// A page that a shop opened keeps its way to it: it tells the shop that it was paid.
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// The routes of the page.
pub(crate) fn routes() -> Router<Web> {
    let base = "/pay/{kind}/{id}";
    Router::new()
        .route(base, get(choose).post(start))
        .route(&format!("{base}/pdf"), get(pdf))
        .route(&format!("{base}/{{payment}}"), get(show))
        .route(&format!("{base}/{{payment}}/events"), get(events))
        .route(&format!("{base}/{{payment}}/simulate"), post(simulate))
        .route(&format!("{base}/{{payment}}/transaction"), post(hand_in))
}

/// Who opened the page, if it was opened by a shop's page. What else stands in the query is somebody else's, and no
/// reason to refuse.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Opened {
    #[serde(default, rename = "parentOrigin")]
    parent_origin: Option<String>,
}

impl Opened {
    /// Mileston's buttons put a `?` before what they append, also where there is a query.
    fn read(query: &str) -> Option<Self> {
        let uri: Uri = format!("/?{}", query.replace('?', "&")).parse().ok()?;
        Query::try_from_uri(&uri).ok().map(|Query(opened)| opened)
    }
}

impl<S: Sync> FromRequestParts<S> for Opened {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.uri.query().and_then(Self::read).unwrap_or_default())
    }
}

/// A network that can be chosen.
struct Network {
    id: String,
    name: String,
    chosen: bool,
    /// Whether it is seen late at the moment.
    delayed: bool,
}

/// A line of the sum.
struct Line {
    what: String,
    amount: String,
}

/// How it stands: one state at a time.
struct Standing {
    tint: &'static str,
    icon: &'static str,
    title: String,
    detail: String,
    /// What is said in place of the detail where no script runs.
    plain: Option<String>,
    /// Confirmations so far, and how many it takes.
    progress: Option<(u32, u32)>,
    /// Nothing is to be sent any more.
    done: bool,
    /// Another payment may be started.
    again: bool,
}

/// Where the money is to go.
struct Target {
    network: String,
    /// The address in groups of four, and as it is copied.
    groups: Vec<String>,
    qr: Qr,
    /// What is still to be sent: as it is shown and as it is copied.
    amount: Sum,
    amount_plain: String,
    is_rest: bool,
    wallet: Option<Wallet>,
}

/// What a wallet in the browser is asked to send.
struct Wallet {
    /// The chain's number as wallets want it.
    chain: String,
    /// The contract of the token.
    token: String,
    /// The address, as one word.
    to: String,
    /// What is still to be sent, in base units.
    units: i64,
}

/// What proves that it was paid.
struct Receipt {
    number: String,
    amount: Sum,
    network: String,
    at: Shown,
    hash: String,
    hash_page: Option<String>,
}

/// What the page says of itself, which follows from where the payment stands.
struct Words {
    /// The title of the window, under which the page is printed too.
    window: String,
    /// What stands before the sum.
    total: String,
    /// What stands above the way to pay it.
    heading: String,
    /// That one may come back for the receipt, once a payment was started and as long as it is to come; else empty.
    next: String,
}

impl Words {
    fn of(title: &str, seller: &str, total: Money, watched: Option<&Watched>, over: bool, frame: &Frame) -> Self {
        let t = frame.t;
        let state = watched.map(|watched| watched.payment.state);
        let paid = state.is_some_and(PaymentState::is_paid);
        let to_come = !over
            || matches!(state.map(|state| state.status), Some(PaymentStatus::Processing | PaymentStatus::Reversed));
        let amount = frame.f.sum(total).to_string();
        let window = if paid {
            t.with("pay-title-paid", [("amount", amount.as_str()), ("seller", seller)])
        } else if over {
            t.with("pay-title-over", [("what", title), ("seller", seller)])
        } else {
            t.with("pay-title", [("amount", amount.as_str()), ("seller", seller)])
        };
        Self {
            window,
            total: t.get(if over { message!("pay-total-over") } else { message!("pay-total") }),
            heading: if over {
                t.get("pay-heading-over")
            } else {
                t.with("pay-heading", [("currency", total.asset().code().as_str())])
            },
            next: if state.is_some() && to_come { t.get("pay-next") } else { String::new() },
        }
    }
}

#[derive(Template)]
#[template(path = "pay/page.html")]
struct Page<'a> {
    frame: &'a Frame,
    words: Words,
    /// What is said above everything in TEST: whether it is on test ledgers, or on a network.
    test: Option<String>,
    base: String,
    here: String,
    seller: String,
    mark: String,
    logo: Option<String>,
    /// The style of the business's own colour.
    style: Option<String>,
    one_language: bool,
    title: String,
    description: String,
    total: Sum,
    /// What a unit of the currency stands for.
    par: String,
    due: Option<Shown>,
    /// The invoice as a file; empty where there is none.
    pdf: String,
    lines: Vec<Line>,
    networks: Vec<Network>,
    /// Why it cannot be paid; empty where it can.
    closed: String,
    standing: Option<Standing>,
    /// The network, where it is seen late at the moment and something is waited for.
    delayed: Option<String>,
    target: Option<Target>,
    /// The server's time, and the last instant: seconds since 1970 in RFC 3339.
    until: Option<(String, Shown)>,
    receipt: Option<Receipt>,
    scenarios: Vec<(Scenario, String)>,
    back: Option<String>,
    /// The query that keeps who opened the page.
    query: String,
    /// Where a shop's page is told that it was paid.
    parent_origin: Option<String>,
    payment_id: String,
    payer: String,
    paid: bool,
    /// The id of the event that tells of what is shown here.
    state: String,
    /// Nothing more is to be told.
    over: bool,
}

/// What a payment waits for, where that is no number of blocks: the network's own word that it is final.
pub(crate) fn finality(web: &Web, watched: &Watched, t: Texts) -> Option<String> {
    let told = web.app.networks().settings(&watched.payment.destination.network).map(|settings| &settings.told);
    let usually = match watched.waits_for? {
        Confirmations::Blocks(_) => return None,
        Confirmations::Safe => told.and_then(|told| told.safe_after),
        Confirmations::Finalized => told.and_then(|told| told.finalized_after),
    };
    Some(match usually {
        Some(time) => t.with("finality-about", [("minutes", time.as_secs().div_ceil(60).to_string())]),
        None => t.get("finality"),
    })
}

async fn to_pay(web: &Web, kind: &str, id: &str) -> Result<ToPay, Failure> {
    let kind = kind_of_path(kind).ok_or_else(|| Failure::new(Kind::NotFound))?;
    let id: PayableId = id.parse().map_err(|_| Failure::new(Kind::NotFound))?;
    if id.kind() != kind {
        return Err(Failure::new(Kind::NotFound));
    }
    Ok(web.app.payments().shown(id).await?)
}

async fn payment_of(web: &Web, shown: &ToPay, payment: &str) -> Result<Watched, Failure> {
    let id: PaymentId = payment.parse().map_err(|_| Failure::new(Kind::NotFound))?;
    let watched = web.app.payments().get_shown(id).await?;
    // A period that was paid before is still shown under its recurring payment.
    if watched.payment.paid_for.payable() == shown.payable.id() || watched.payment.paid_for == shown.payable.paid_for()
    {
        Ok(watched)
    } else {
        Err(Failure::new(Kind::NotFound))
    }
}

/// The payment that paid an invoice. Its address is the customer's alone, while a link may be anybody's.
const fn paid_by(shown: &ToPay) -> Option<PaymentId> {
    match &shown.payable {
        Payable::PaymentLink(_) => None,
        Payable::Invoice(invoice) | Payable::RecurringPayment(_, invoice) => invoice.paid_by,
    }
}

/// The page before anything was started, or the receipt of an invoice that is paid.
async fn choose(
    State(web): State<Web>,
    frame: Frame,
    Path((kind, id)): Path<(String, String)>,
    opened: Opened,
) -> Result<Response, Failure> {
    let shown = to_pay(&web, &kind, &id).await?;
    let path = format!("/pay/{kind}/{id}");
    if let Some(paying) = paid_by(&shown) {
        let watched = web.app.payments().get_shown(paying).await?;
        let here = format!("{path}/{paying}");
        // Whoever opens it again did not pay now: a shop's page is told of each payment by its own page.
        return drawn(&web, frame, &shown, Some(&watched), path, here, None).await;
    }
    let parent = parent_of(&web, &shown, opened.parent_origin.as_deref()).await?;
    drawn(&web, frame, &shown, None, path.clone(), path, parent).await
}

/// What was chosen.
#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    network: Option<String>,
    parent_origin: Option<String>,
}

async fn start(
    State(web): State<Web>,
    frame: Frame,
    caller: CallerAddress,
    Path((kind, id)): Path<(String, String)>,
    Form(choice): Form<Choice>,
) -> Result<Response, Failure> {
    web.velocity.check_address(caller.ip)?;
    let shown = to_pay(&web, &kind, &id).await?;
    let context = Context::payer(frame.request_id);
    let network = choice.network.as_deref().filter(|name| !name.is_empty());
    let started = match web.app.payments().start(&context, &shown, network, None).await {
        Ok(Answered::Done(started)) => started,
        // Nothing was named that could be answered again.
        Ok(Answered::Replayed(_)) => return Err(Failure::new(Kind::Internal)),
        // The page says so itself.
        Err(ServiceError::NotPayable(NotPayable::TooManyWaiting)) => return Err(Failure::new(Kind::NotPayable)),
        Err(
            ServiceError::NotPayable(_)
            | ServiceError::NetworkNotConfigured
            | ServiceError::NetworkUnavailable(_)
            | ServiceError::PayoutAddressMissing(_),
        ) => {
            return Ok(redirect(&format!("/pay/{kind}/{id}")));
        }
        Err(error) => return Err(error.into()),
    };
    let parent = parent_of(&web, &shown, choice.parent_origin.as_deref()).await?;
    Ok(redirect(&format!("/pay/{kind}/{id}/{}{}", started.payment.id, asked_by(parent.as_deref()))))
}

async fn show(
    State(web): State<Web>,
    frame: Frame,
    Path((kind, id, payment)): Path<(String, String, String)>,
    opened: Opened,
) -> Result<Response, Failure> {
    let shown = to_pay(&web, &kind, &id).await?;
    let watched = payment_of(&web, &shown, &payment).await?;
    let parent = parent_of(&web, &shown, opened.parent_origin.as_deref()).await?;
    let base = format!("/pay/{kind}/{id}");
    let here = format!("{base}/{payment}");
    drawn(&web, frame, &shown, Some(&watched), base, here, parent).await
}

/// The invoice as a file, in the language of the page.
async fn pdf(
    State(web): State<Web>,
    frame: Frame,
    Path((kind, id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let shown = to_pay(&web, &kind, &id).await?;
    let language = domain_language(language_for(&frame, &shown));
    match shown.payable {
        Payable::Invoice(invoice) | Payable::RecurringPayment(_, invoice) => {
            Ok(answer::file(web.app.invoices().pdf_shown(shown.business, invoice, language).await?))
        }
        Payable::PaymentLink(_) => Err(Failure::new(Kind::NotFound)),
    }
}

/// The same news as server-sent events, for the script of the page.
async fn events(
    State(web): State<Web>,
    Path((kind, id, payment)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let shown = to_pay(&web, &kind, &id).await?;
    let watched = payment_of(&web, &shown, &payment).await?;
    stream::of_payment(&web, watched, &headers)
}

/// How the payment is to go.
#[derive(Debug, Deserialize)]
pub(crate) struct Simulation {
    scenario: String,
}

async fn simulate(
    State(web): State<Web>,
    frame: Frame,
    Path((kind, id, payment)): Path<(String, String, String)>,
    opened: Opened,
    Form(simulation): Form<Simulation>,
) -> Result<Response, Failure> {
    let shown = to_pay(&web, &kind, &id).await?;
    let watched = payment_of(&web, &shown, &payment).await?;
    let parent = parent_of(&web, &shown, opened.parent_origin.as_deref()).await?;
    let scenario: Scenario = simulation.scenario.parse().map_err(|_| Failure::new(Kind::NotFound))?;
    let context = Context::payer(frame.request_id);
    match web.app.test_ledgers().play(&context, &watched.payment, scenario).await {
        // It went on in another window; the page shows where it stands.
        Ok(()) | Err(ServiceError::PaymentClosed) => {
            Ok(redirect(&format!("/pay/{kind}/{id}/{payment}{}", asked_by(parent.as_deref()))))
        }
        Err(error) => Err(error.into()),
    }
}

/// What a wallet says that it sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Sent {
    transaction_hash: String,
}

/// Takes the hash of what the payer's wallet sent: a hint to look sooner.
async fn hand_in(
    State(web): State<Web>,
    frame: Frame,
    caller: CallerAddress,
    Path((kind, id, payment)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Failure> {
    web.velocity.check_address(caller.ip)?;
    let shown = to_pay(&web, &kind, &id).await?;
    let watched = payment_of(&web, &shown, &payment).await?;
    let context = Context::payer(frame.request_id);
    web.app.payments().hand_in(&context, watched.payment.id, &sent.transaction_hash).await?;
    Ok(redirect(&format!("/pay/{kind}/{id}/{payment}")))
}

/// The opener, if the business lists it: nobody else is told that something was paid.
async fn parent_of(web: &Web, shown: &ToPay, given: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(origin) = given.and_then(|text| text.parse::<Origin>().ok()) else { return Ok(None) };
    let listed = shown.checkout.origins.contains(&origin)
        || web.app.keys().lists_origin(shown.payable.tenant(), &origin).await?;
    Ok(listed.then(|| origin.to_string()))
}

/// The query that keeps who opened the page, from page to page.
fn asked_by(parent: Option<&str>) -> String {
    parent.map(|origin| format!("?parentOrigin={origin}")).unwrap_or_default()
}

/// The language that the business chose for its pages, else the reader's.
const fn language_for(frame: &Frame, shown: &ToPay) -> Language {
    match shown.checkout.languages {
        PageLanguages::Any => frame.t.language(),
        PageLanguages::English => Language::English,
        PageLanguages::French => Language::French,
    }
}

async fn drawn(
    web: &Web,
    mut frame: Frame,
    shown: &ToPay,
    watched: Option<&Watched>,
    base: String,
    here: String,
    parent_origin: Option<String>,
) -> Result<Response, Failure> {
    let asset = watched.map_or(shown.payable.amount(), |watched| watched.payment.terms.due).asset();
    let mut networks = Vec::new();
    for network in web.app.payments().networks(shown.payable.tenant(), asset).await? {
        networks.push(Network {
            id: network.to_string(),
            name: called(web, &network),
            chosen: false,
            // Of a payment that was started its own standing tells.
            delayed: watched.is_none() && web.app.networks().is_delayed(shown.payable.tenant(), &network).await?,
        });
    }
    // Base is where the test ledger begins; else it is what the operator names first.
    let usual = networks.iter().position(|network| network.id == ShortName::Base.test_chain().as_str());
    if let Some(network) = networks.get_mut(usual.unwrap_or(0)) {
        network.chosen = true;
    }
    frame.t = Texts::new(language_for(&frame, shown));
    frame.f = Formats::new(frame.t.language(), shown.business.time_zone.clone(), shown.now);
    let template = page(web, networks, &frame, shown, watched, base, here, parent_origin);
    let mut response = frame.page(&template);
    response.headers_mut().insert(OPENER_POLICY, HeaderValue::from_static("unsafe-none"));
    Ok(response)
}

#[expect(clippy::too_many_arguments, reason = "each is one thing that the page shows")]
fn page<'a>(
    web: &Web,
    networks: Vec<Network>,
    frame: &'a Frame,
    shown: &ToPay,
    watched: Option<&Watched>,
    base: String,
    here: String,
    parent_origin: Option<String>,
) -> Page<'a> {
    let t = frame.t;
    let tenant = shown.payable.tenant();
    let (title, description) = match &shown.payable {
        Payable::PaymentLink(link) => (
            link.title.as_ref().map_or_else(|| t.get("pay-link"), ToString::to_string),
            link.description.as_ref().map(ToString::to_string).unwrap_or_default(),
        ),
        Payable::Invoice(invoice) => {
            (t.with("pay-invoice", [("number", invoice.number.to_string())]), invoice.title.to_string())
        }
        Payable::RecurringPayment(recurring, invoice) => (
            recurring.name.as_ref().map_or_else(|| t.get("pay-recurring"), ToString::to_string),
            t.with("pay-invoice", [("number", invoice.number.to_string())]),
        ),
    };
    let total = watched.map_or_else(|| shown.payable.amount(), |watched| watched.payment.terms.due);
    let (lines, due) = match &shown.payable {
        Payable::PaymentLink(_) => (Vec::new(), None),
        Payable::Invoice(invoice) | Payable::RecurringPayment(_, invoice) => {
            // A payment keeps the price that it was started with; lines of another one would not add up to it.
            let lines = if invoice.amount == total { lines(invoice, frame) } else { Vec::new() };
            (lines, Some(frame.f.last_date(invoice.due_at)))
        }
    };
    let closed = match (watched, shown.check()) {
        // Its standing says so: what was sent to its address in spite of it may still come.
        (Some(_), _) | (None, Ok(())) => String::new(),
        (None, Err(why)) => closed(why, t),
    };
    let closed = if closed.is_empty() && networks.is_empty() { t.get("pay-closed-network") } else { closed };
    let standing = watched.map(|watched| standing(frame, watched, finality(web, watched, t)));
    let waited_for = watched.filter(|watched| watched.delayed && is_waited_for(watched));
    let delayed = waited_for.map(|watched| called(web, &watched.payment.destination.network));
    let done = standing.as_ref().is_some_and(|standing| standing.done);
    let paid = watched.is_some_and(|watched| watched.payment.state.is_paid());
    let is_closed = watched.is_some_and(|watched| watched.closed.is_some());
    let seller = shown.business.name.to_string();
    let words = Words::of(&title, &seller, total, watched, done || !closed.is_empty(), frame);
    let pdf = match &shown.payable {
        Payable::PaymentLink(_) => String::new(),
        Payable::Invoice(_) | Payable::RecurringPayment(..) => format!("{base}/pdf"),
    };
    Page {
        frame,
        test: band(web, tenant, t),
        base,
        here,
        words,
        seller,
        mark: super::frame::initials(shown.business.name.as_str()),
        logo: shown.logo.as_ref().map(logo::url),
        style: shown.checkout.accent.map(style_of),
        one_language: shown.checkout.languages != PageLanguages::Any,
        title,
        description,
        par: par(total.asset(), t),
        total: frame.f.sum(total),
        due,
        pdf,
        lines,
        networks,
        closed,
        standing,
        delayed,
        target: watched.filter(|_| !done).map(|watched| target(web, frame, watched)),
        until: watched.filter(|_| !done).and_then(|watched| {
            let until = watched.payment.terms.expires_at?;
            Some((watched.now.to_string(), frame.f.moment(until)))
        }),
        receipt: watched.filter(|_| paid).map(|watched| receipt(web, frame, watched)),
        scenarios: if watched.is_some_and(|watched| can_be_played(web, watched)) && !paid && !is_closed {
            scenarios(frame)
        } else {
            Vec::new()
        },
        back: shown.redirect_url().map(|url| match watched.filter(|_| paid) {
            Some(watched) => with_payment(url.as_str(), watched.payment.id),
            None => url.to_string(),
        }),
        query: asked_by(parent_origin.as_deref()),
        parent_origin,
        payment_id: watched.map(|watched| shown_id(shown, watched)).unwrap_or_default(),
        // Mileston's button takes no message without an address: where nobody knows the payer, it is where the money went.
        payer: watched
            .map(|Watched { payment, .. }| payment.payer.as_ref().unwrap_or(&payment.destination.address).clone())
            .unwrap_or_default(),
        paid,
        state: watched.map(stream::id_of).unwrap_or_default(),
        over: watched.is_some_and(stream::is_over),
    }
}

fn lines(invoice: &InvoiceRow, frame: &Frame) -> Vec<Line> {
    let line = |line: &InvoiceLine| Line {
        what: format!("{} × {}", line.description, frame.f.number(u64::from(line.quantity))),
        amount: line
            .amount()
            .and_then(|units| Money::from_units(units, invoice.amount.asset()))
            .map(|money| frame.f.money(money))
            .unwrap_or_default(),
    };
    invoice.lines.iter().map(line).collect()
}

/// Why something cannot be paid.
fn closed(why: NotPayable, t: Texts) -> String {
    t.get(match why {
        NotPayable::Inactive => message!("pay-closed-inactive"),
        NotPayable::Paid => message!("pay-closed-paid"),
        NotPayable::Processing => message!("pay-closed-processing"),
        NotPayable::Void => message!("pay-closed-void"),
        NotPayable::Suspended => message!("pay-closed-suspended"),
        NotPayable::TooManyWaiting => message!("pay-closed-busy"),
    })
}

/// What a unit of a currency stands for, where that is well known.
fn par(asset: Asset, t: Texts) -> String {
    match asset {
        Asset::USDC => t.get("pay-par"),
        Asset::EURC => t.get("pay-par-eurc"),
        _ => t.with("pay-par-other", [("currency", asset.code().to_string())]),
    }
}

/// What is said above everything in TEST.
fn band(web: &Web, tenant: &Tenant, t: Texts) -> Option<String> {
    let message = match (tenant.environment, web.app.test_ledgers().are_on()) {
        (Environment::Live, _) => return None,
        (Environment::Test, true) => message!("pay-band-test"),
        (Environment::Test, false) => message!("pay-band-test-network"),
    };
    Some(t.get(message))
}

/// Whether a payment goes as buttons say: on a test ledger, where there are any.
fn can_be_played(web: &Web, watched: &Watched) -> bool {
    matches!(watched.payment.destination.ledger, LedgerId::Test(_)) && web.app.test_ledgers().are_on()
}

/// What a shop calls the thing that was paid.
fn shown_id(shown: &ToPay, watched: &Watched) -> String {
    match watched.payment.paid_for.payable() {
        id if id == shown.payable.id() => id.to_string(),
        _ => shown.payable.id().to_string(),
    }
}

/// The way back, with the id of the payment and nothing else.
fn with_payment(url: &str, payment: PaymentId) -> String {
    let (address, fragment) = url.split_once('#').map_or((url, ""), |(address, fragment)| (address, fragment));
    let joint = if address.contains('?') { '&' } else { '?' };
    let end = if fragment.is_empty() { String::new() } else { format!("#{fragment}") };
    format!("{address}{joint}payment_id={payment}{end}")
}

/// Whether something may still come, or become final.
const fn is_waited_for(watched: &Watched) -> bool {
    matches!(
        watched.payment.state.status,
        PaymentStatus::Open | PaymentStatus::Processing | PaymentStatus::Reversed | PaymentStatus::Expired
    )
}

fn standing(frame: &Frame, watched: &Watched, finality: Option<String>) -> Standing {
    let (t, payment) = (frame.t, &watched.payment);
    let money = |money| frame.f.sum(money).to_string();
    let number = |money| frame.f.money(money);
    let rest = remaining(payment);
    let over = payment.settled.checked_sub(payment.terms.due).ok().filter(|over| !over.is_zero());
    let over_time = payment.terms.expires_at.is_some_and(|end| end < watched.now);
    let state = |tint, icon, title: String, detail: String, done| Standing {
        tint,
        icon,
        title,
        detail,
        plain: None,
        progress: None,
        done,
        again: false,
    };
    if let Some(why) = watched.closed {
        return state("mute", "stop", closed(why, t), t.get("pay-closed-next"), true);
    }
    match (payment.state.status, payment.state.exception) {
        (PaymentStatus::Open, PaymentException::Partial) if !over_time => state(
            "warn",
            "warn",
            t.with("pay-underpaid", [("amount", money(rest))]),
            t.with("pay-underpaid-detail", [("seen", number(payment.seen)), ("due", money(payment.terms.due))]),
            false,
        ),
        (PaymentStatus::Open, _) if !over_time && watched.wrong_token => state(
            "warn",
            "warn",
            t.get("pay-wrong-token"),
            t.with("pay-wrong-token-detail", [("amount", money(rest)), ("currency", rest.asset().code().to_string())]),
            false,
        ),
        (PaymentStatus::Open, _) if !over_time => {
            let plain = Some(t.get("pay-waiting-plain"));
            Standing { plain, ..state("wait", "clock", t.get("pay-waiting"), t.get("pay-waiting-detail"), false) }
        }
        // The time is up by the clock, and that of the blocks is not known: what was sent in time may be in one of them.
        (PaymentStatus::Open, _) if watched.delayed => {
            state("warn", "clock", t.get("pay-late-network"), t.get("pay-late-network-detail"), true)
        }
        (PaymentStatus::Open | PaymentStatus::Expired, _) if payment.seen.is_zero() => {
            Standing { again: true, ..state("mute", "stop", t.get("pay-expired"), t.get("pay-expired-detail"), true) }
        }
        // Enough came, and is not final yet: whoever sent it late is not to send it twice.
        (PaymentStatus::Expired, PaymentException::Late) => Standing {
            progress: watched.confirmations,
            ..state("wait", "eye", t.get("pay-seen-late"), t.get("pay-seen-late-detail"), true)
        },
        (PaymentStatus::Open | PaymentStatus::Expired, _) => state(
            "warn",
            "clock",
            t.get("pay-expired-partly"),
            t.with("pay-expired-partly-detail", [("seen", number(payment.seen)), ("due", money(payment.terms.due))]),
            true,
        ),
        (PaymentStatus::Processing, _) => {
            let progress = watched.confirmations;
            if progress.is_none() {
                let detail = finality.unwrap_or_else(|| t.get("finality"));
                return state(
                    "wait",
                    "eye",
                    t.get("pay-seen-final"),
                    format!("{detail} {}", t.get("pay-seen-detail")),
                    true,
                );
            }
            let (count, needed) = progress.unwrap_or_default();
            let title = t.with("pay-seen", [("count", count), ("needed", needed)]);
            Standing { progress, ..state("wait", "eye", title, t.get("pay-seen-detail"), true) }
        }
        (PaymentStatus::Settled | PaymentStatus::PartiallyRefunded, exception) => {
            let paid = t.with("pay-paid", [("amount", money(payment.settled))]);
            match (exception, over) {
                (PaymentException::Multiple, _) => state("warn", "check", paid, t.get("pay-paid-twice"), true),
                (PaymentException::Late, _) => state("ok", "check", paid, t.get("pay-paid-late"), true),
                (_, Some(over)) => state(
                    "ok",
                    "check",
                    t.with("pay-overpaid", [("amount", money(over))]),
                    t.with("pay-overpaid-detail", [("seen", money(payment.settled)), ("over", money(over))]),
                    true,
                ),
                (_, None) => state("ok", "check", paid, t.get("pay-paid-detail"), true),
            }
        }
        (PaymentStatus::NeedsReview, _) => {
            state("warn", "clock", t.get("pay-review"), t.get("pay-review-detail"), true)
        }
        (PaymentStatus::Reversed, _) => state("warn", "again", t.get("pay-again"), t.get("pay-again-detail"), true),
        (PaymentStatus::Cancelled, _) => Standing {
            again: true,
            ..state("mute", "stop", t.get("pay-cancelled"), t.get("pay-cancelled-detail"), true)
        },
        (PaymentStatus::Refunded, _) => {
            state("mute", "check", t.get("pay-refunded"), t.get("pay-refunded-detail"), true)
        }
    }
}

fn target(web: &Web, frame: &Frame, watched: &Watched) -> Target {
    let payment = &watched.payment;
    let rest = remaining(payment);
    let address = &payment.destination.address;
    let (head, tail) = address.strip_prefix("test_").map_or(("", address.as_str()), |tail| ("test_", tail));
    let mut groups: Vec<String> = Vec::new();
    if !head.is_empty() {
        groups.push(head.to_owned());
    }
    let characters: Vec<char> = tail.chars().collect();
    groups.extend(characters.chunks(4).map(|group| group.iter().collect::<String>()));
    Target {
        network: called(web, &payment.destination.network),
        wallet: wallet(web, watched),
        groups,
        // The bare address: wallets that misread more have sent money elsewhere.
        qr: Qr::of(address).unwrap_or_default(),
        amount: frame.f.sum(rest),
        amount_plain: rest.to_string(),
        is_rest: !payment.seen.is_zero(),
    }
}

/// What a wallet is asked to send; nothing on the ledger of TEST, which no wallet knows.
fn wallet(web: &Web, watched: &Watched) -> Option<Wallet> {
    let payment = &watched.payment;
    let LedgerId::Network(_, chain) = &payment.destination.ledger else { return None };
    let rest = remaining(payment);
    let token = web.app.networks().token(&payment.destination.ledger, rest.asset())?;
    Some(Wallet {
        chain: format!("{:#x}", chain.eip155()?),
        token: token.to_string(),
        to: payment.destination.address.clone(),
        units: rest.units(),
    })
}

fn receipt(web: &Web, frame: &Frame, watched: &Watched) -> Receipt {
    let payment = &watched.payment;
    let network = &payment.destination.network;
    Receipt {
        number: payment.id.to_string(),
        amount: frame.f.sum(payment.settled),
        network: called(web, network),
        hash_page: payment.transaction_hash.as_deref().and_then(|hash| transaction_page(web, network, hash)),
        at: frame.f.moment(payment.settled_at.unwrap_or(payment.updated_at)),
        hash: payment.transaction_hash.clone().unwrap_or_default(),
    }
}

fn scenarios(frame: &Frame) -> Vec<(Scenario, String)> {
    Scenario::ALL
        .into_iter()
        .map(|scenario| {
            let name = frame.t.get(match scenario {
                Scenario::Paid => message!("pay-sim-paid"),
                Scenario::Slow => message!("pay-sim-slow"),
                Scenario::Underpaid => message!("pay-sim-underpaid"),
                Scenario::ToppedUp => message!("pay-sim-topped-up"),
                Scenario::Overpaid => message!("pay-sim-overpaid"),
                Scenario::Late => message!("pay-sim-late"),
                Scenario::WrongToken => message!("pay-sim-wrong-token"),
                Scenario::Reverted => message!("pay-sim-reverted"),
                Scenario::Dropped => message!("pay-sim-dropped"),
                Scenario::Reversed => message!("pay-sim-reversed"),
                Scenario::Halted => message!("pay-sim-halted"),
            });
            (scenario, name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opener_is_found_behind_a_second_question_mark_too() {
        let origin = "https://shop.example:8443";
        for (query, expected) in [
            ("parentOrigin=https%3A%2F%2Fshop.example%3A8443", Some(origin)),
            ("utm=1&parentOrigin=https://shop.example:8443", Some(origin)),
            ("utm=1?parentOrigin=https%3A%2F%2Fshop.example%3A8443", Some(origin)),
            ("parentOrigin=https%3A%2F%2Fshop.example%3A8443?theme=light", Some(origin)),
            ("", None),
            ("theme=light", None),
            ("parentOrigin=a&parentOrigin=b", None),
        ] {
            let opened = Opened::read(query).unwrap_or_default();
            assert_eq!(opened.parent_origin.as_deref(), expected, "{query}");
        }
    }

    #[test]
    fn the_way_back_carries_the_payment_and_nothing_else() {
        let id = PaymentId::from_bits(1);
        for (url, expected) in [
            ("https://shop.example/done", format!("https://shop.example/done?payment_id={id}")),
            ("https://shop.example/?a=1", format!("https://shop.example/?a=1&payment_id={id}")),
            ("https://shop.example/x#top", format!("https://shop.example/x?payment_id={id}#top")),
        ] {
            assert_eq!(with_payment(url, id), expected);
        }
    }
}
