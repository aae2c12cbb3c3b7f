//! Payments: found, looked at, called off, decided on.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use trousseau_domain::ids::PaymentId;
use trousseau_domain::ledger::Moved;
use trousseau_domain::members::Operation;
use trousseau_domain::payables::Reason;
use trousseau_domain::payments::{PaymentStatus, Verdict};
use trousseau_service::keys::Page;
use trousseau_service::payments::Watched;
use trousseau_service::{DepositRow, GivenBack, ListedPayment, PaidFor, PaymentFilter, PaymentRow, ServiceError};

use super::accounting::sums_differ;
use super::refunds::{RefundLine, refunds_of};
use super::{
    Asked, Badge, Called, Entry, Id, Maker, Names, PaymentLine, Question, ROWS, ask, exception, history, is_live,
    may_write, payment_badge, payment_status,
};
use crate::dashboard::csv::{Csv, is_file};
use crate::dashboard::filters::{ByKey, ROWS_PER_READ, beginning, end};
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::{Shown, Sum};
use crate::dashboard::frame::{Frame, Tab};
use crate::dashboard::names::KeyNames;
use crate::dashboard::networks::{address_page, block_page, called, transaction_page};
use crate::dashboard::pay::finality;
use crate::dashboard::session::{Entered, ReadPayments, Stop, WritePayments};
use crate::dashboard::takings::told;
use crate::dashboard::text::{Texts, message};
use crate::path::Path;
use crate::router::Web;

/// Where a payment may stand.
const STATUSES: [PaymentStatus; 9] = [
    PaymentStatus::Open,
    PaymentStatus::Processing,
    PaymentStatus::Settled,
    PaymentStatus::Expired,
    PaymentStatus::Cancelled,
    PaymentStatus::NeedsReview,
    PaymentStatus::Reversed,
    PaymentStatus::PartiallyRefunded,
    PaymentStatus::Refunded,
];

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/list.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is a condition of the page")]
struct ListPage<'a> {
    frame: &'a Frame,
    base: String,
    asked: Asked,
    filtered: bool,
    statuses: Vec<(&'static str, String)>,
    rows: Vec<PaymentLine>,
    next: Option<String>,
    csv: String,
    /// What came in for good by the payments of this list, asset by asset, and by how many of them.
    takings: Vec<(String, String)>,
    /// Whether payments can be found by the key that started them.
    by_key: bool,
    /// Whether something came in that no payment takes.
    unmatched: bool,
    /// Whether what lies at deposit addresses is not what was counted.
    sums_differ: bool,
}

fn base<P>(entered: &Entered<P>) -> String {
    super::base(entered, Tab::Payments)
}

/// What was asked for; nothing where a key is named that there is not.
fn filter<P>(asked: &Asked, keys: &KeyNames, entered: &Entered<P>) -> Option<PaymentFilter> {
    let (zone, key) = (&entered.business.time_zone, ByKey::read(&asked.number, keys));
    (key != ByKey::Nobody).then(|| PaymentFilter {
        status: asked.status.parse().ok(),
        key_id: key.key(),
        created_from: beginning(&asked.from, zone),
        created_before: end(&asked.to, zone),
        search: asked.search(),
        ..PaymentFilter::default()
    })
}

/// The payments, newest first, as a page or as a file.
pub(super) async fn list(
    entered: Entered<ReadPayments>,
    State(web): State<Web>,
    Query(asked): Query<Asked>,
) -> Result<Response, Stop> {
    let base = base(&entered);
    let refused = |error| entered.refused(error, &base);
    let keys = KeyNames::of(&web, &entered).await.map_err(refused)?;
    asked.check::<PaymentStatus, _>(&entered, &base)?;
    let filter = filter(&asked, &keys, &entered);
    if is_file(&asked.format) {
        return file(&web, &entered, filter.as_ref()).await;
    }
    let (page, takings) = match &filter {
        Some(filter) => {
            let page = web.app.payments();
            let page = page.list_with_subjects(&entered.tenant, filter, asked.after.parse().ok(), ROWS).await;
            let page = entered.gone_on(page, &base)?;
            (page, web.app.payments().sum(&entered.tenant, filter).await.map_err(refused)?)
        }
        None => (Page { data: Vec::new(), has_more: false }, Vec::new()),
    };
    let unmatched = web.app.payments().unmatched(&entered.tenant, None, 1).await.map_err(refused)?;
    let sums_differ = sums_differ(&web, &entered).await.map_err(refused)?;
    let frame = entered.frame.clone().at(Tab::Payments, None);
    let t = frame.t;
    Ok(frame.page(&ListPage {
        rows: page.data.iter().map(|payment| PaymentLine::of(&web, payment, &entered)).collect(),
        next: asked.next(&base, page.data.last().map(|last| last.payment.id.to_string()), page.has_more),
        csv: asked.csv(&base),
        filtered: filter != Some(PaymentFilter::default()),
        statuses: STATUSES.into_iter().map(|status| (status.as_str(), payment_status(status, t))).collect(),
        takings: takings.into_iter().map(|takings| told(takings, &frame)).collect(),
        by_key: entered.role.may(Operation::KeysRead),
        unmatched: !unmatched.data.is_empty(),
        sums_differ,
        frame: &frame,
        base,
        asked,
    }))
}

/// The same payments as a file. Times are in UTC, amounts have a point.
async fn file(web: &Web, entered: &Entered<ReadPayments>, filter: Option<&PaymentFilter>) -> Result<Response, Stop> {
    let mut csv = Csv::of(
        &entered.frame,
        &[
            "id",
            "created_at",
            "status",
            "exception",
            "payable",
            "amount",
            "amount_settled",
            "currency",
            "network",
            "address",
            "transaction_hash",
            "settled_at",
            // New ones go to the end, so that what reads the file by place goes on reading it.
            "payable_type",
            "invoice_number",
            "title",
            "customer_name",
            "customer_reference",
            "from_as_seen",
        ],
    );
    if let Some(filter) = filter {
        let read = |after| web.app.payments().list_with_subjects(&entered.tenant, filter, after, ROWS_PER_READ);
        let row = |ListedPayment { payment, subject }: &ListedPayment| {
            let title = subject.invoiced.as_ref().or(subject.name.as_ref());
            [
                payment.id.to_string(),
                payment.created_at.to_string(),
                payment.state.status.to_string(),
                payment.state.exception.to_string(),
                payment.paid_for.payable().to_string(),
                payment.terms.due.to_string(),
                payment.settled.to_string(),
                payment.terms.due.asset().code().to_string(),
                payment.destination.network.to_string(),
                payment.destination.address.clone(),
                payment.transaction_hash.clone().unwrap_or_default(),
                payment.settled_at.map(|at| at.to_string()).unwrap_or_default(),
                payment.paid_for.payable().kind().to_string(),
                subject.number.map(|number| number.to_string()).unwrap_or_default(),
                title.map(ToString::to_string).unwrap_or_default(),
                subject.customer_name.as_ref().map(ToString::to_string).unwrap_or_default(),
                subject.customer_reference.as_ref().map(ToString::to_string).unwrap_or_default(),
                payment.payer.clone().unwrap_or_default(),
            ]
        };
        let written = csv.rows(read, |listed: &ListedPayment| listed.payment.id, row).await;
        written.map_err(|error| entered.refused(error, &base(entered)))?;
    }
    Ok(csv.finish(&format!("payments-{}-{}.csv", entered.tenant.business, entered.tenant.environment)))
}

/// Something that came in for the payment.
#[derive(Debug)]
struct Arrival {
    /// The amount, where it is one of ours.
    amount: Option<Sum>,
    hash: String,
    /// The explorer's pages about the transaction and its block.
    hash_page: Option<String>,
    block: u64,
    block_page: Option<String>,
    from: String,
    note: Option<String>,
    at: Shown,
}

impl Arrival {
    fn of(web: &Web, deposit: &DepositRow, payment: &PaymentRow, frame: &Frame) -> Self {
        let t = frame.t;
        let accepted = deposit.transfer.asset == Moved::Accepted;
        let known = || web.app.networks().asset_of(deposit);
        let asset = if accepted { Some(payment.terms.due.asset()) } else { known() };
        let money = asset.zip(deposit.units);
        let money = money.and_then(|(asset, units)| trousseau_domain::money::Money::from_units(units, asset).ok());
        Self {
            amount: money.map(|money| frame.f.sum(money)),
            hash: deposit.transfer.transaction_hash.clone(),
            hash_page: transaction_page(web, &deposit.transfer.network, &deposit.transfer.transaction_hash),
            block: deposit.transfer.block,
            block_page: block_page(web, &deposit.transfer.network, deposit.transfer.block),
            from: deposit.transfer.from.clone(),
            note: if !accepted {
                Some(t.get("arrival-other-token"))
            } else if deposit.canonical {
                None
            } else {
                Some(t.get("arrival-gone"))
            },
            at: frame.f.moment(deposit.block_time),
        }
    }
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/payment.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is a condition of the page")]
struct ShowPage<'a> {
    frame: &'a Frame,
    base: String,
    path: String,
    id: String,
    badge: Badge,
    exception: Option<String>,
    may_cancel: bool,
    may_decide: bool,
    may_refund: bool,
    due: Sum,
    seen: Sum,
    settled: Sum,
    /// What was given back for certain, where anything was.
    given_back: Option<Sum>,
    network: String,
    /// Whether the network is seen late at the moment, and something is waited for.
    delayed: bool,
    address: String,
    address_page: Option<String>,
    /// Where in the wallet of the business the address is.
    wallet_path: Option<String>,
    payer: Option<String>,
    hash: Option<String>,
    hash_page: Option<String>,
    called: Called,
    /// The page of what it is for.
    payable_page: String,
    /// The page of the period that it is for.
    period_page: Option<String>,
    expires: Option<Shown>,
    confirmations: Option<(u32, u32)>,
    /// What the payment waits for, where that is no number of blocks.
    finality: Option<String>,
    created: Shown,
    settled_at: Option<Shown>,
    maker: Maker,
    arrivals: Vec<Arrival>,
    refunds: Vec<RefundLine>,
    history: Vec<Entry>,
}

const fn can_be_cancelled(payment: &PaymentRow) -> bool {
    matches!(payment.state.status, PaymentStatus::Open) && payment.seen.is_zero()
}

/// Whether somebody has something to decide: money is there, and nothing else will happen to it.
const fn can_be_decided(payment: &PaymentRow) -> bool {
    match payment.state.status {
        PaymentStatus::NeedsReview => true,
        PaymentStatus::Expired => !payment.seen.is_zero(),
        _ => false,
    }
}

/// One payment.
pub(super) async fn show(
    entered: Entered<ReadPayments>,
    State(web): State<Web>,
    Path(path): Id,
) -> Result<Response, Stop> {
    let base = base(&entered);
    let refused = |error| entered.refused(error, &base);
    let id: PaymentId = path.read()?;
    let watched = web.app.payments().get(&entered.tenant, id).await.map_err(refused)?;
    let finality = finality(&web, &watched, entered.frame.t);
    let Watched { payment, confirmations, delayed, .. } = watched;
    let deposits = web.app.payments().deposits(&entered.tenant, id).await.map_err(refused)?;
    let refunds = refunds_of(&web, &entered, id).await.map_err(refused)?;
    let left = web.app.refunds().left(&entered.tenant, GivenBack::Payment(id)).await.map_err(refused)?;
    let subject = web.app.payments().subject(&payment).await.map_err(refused)?;
    let wallet_path = web.app.payments().wallet_path(&payment).await.map_err(refused)?;
    let names = Names::of(&web, &entered).await.map_err(refused)?;
    let history = history(&web, &entered, &names, id.to_string()).await.map_err(refused)?;
    let frame = entered.frame.clone().at(Tab::Payments, None);
    let (f, t) = (&frame.f, frame.t);
    let network = &payment.destination.network;
    let (payable_page, period_page) = pages_of(&entered, payment.paid_for);
    Ok(frame.page(&ShowPage {
        path: format!("{base}/{id}"),
        id: id.to_string(),
        badge: payment_badge(payment.state.status, t),
        exception: exception(payment.state.exception, t),
        may_cancel: may_write(&entered) && can_be_cancelled(&payment),
        may_decide: may_write(&entered) && can_be_decided(&payment),
        may_refund: may_write(&entered) && left.is_some(),
        due: f.sum(payment.terms.due),
        seen: f.sum(payment.seen),
        settled: f.sum(payment.settled),
        given_back: Some(payment.refunded()).filter(|refunded| !refunded.is_zero()).map(|refunded| f.sum(refunded)),
        network: called(&web, network),
        delayed: delayed && payment.state.is_awaiting(),
        address_page: address_page(&web, network, &payment.destination.address),
        hash_page: payment.transaction_hash.as_deref().and_then(|hash| transaction_page(&web, network, hash)),
        address: payment.destination.address.clone(),
        wallet_path,
        payer: payment.payer.clone(),
        hash: payment.transaction_hash.clone(),
        called: Called::of(payment.paid_for, &subject, t),
        payable_page,
        period_page,
        expires: payment.terms.expires_at.map(|at| f.moment(at)),
        confirmations,
        finality,
        created: f.moment(payment.created_at),
        settled_at: payment.settled_at.map(|at| f.moment(at)),
        maker: names.maker(&payment.created_by),
        arrivals: deposits.iter().map(|deposit| Arrival::of(&web, deposit, &payment, &frame)).collect(),
        refunds,
        history,
        frame: &frame,
        base,
    }))
}

/// The page of what a payment is for and, where that is a recurring payment, the one of the period.
fn pages_of<P>(entered: &Entered<P>, paid_for: PaidFor) -> (String, Option<String>) {
    let below = |tab, id: &dyn std::fmt::Display| format!("{}/{id}", super::base(entered, tab));
    match paid_for {
        PaidFor::PaymentLink(id) => (below(Tab::PaymentLinks, &id), None),
        PaidFor::Invoice(id, None) => (below(Tab::Invoices, &id), None),
        PaidFor::Invoice(id, Some(recurring)) => {
            (below(Tab::RecurringPayments, &recurring), Some(below(Tab::Invoices, &id)))
        }
    }
}

/// The payment that a path names, and its page.
async fn target(web: &Web, entered: &Entered<WritePayments>, path: &Id) -> Result<(PaymentRow, String), Stop> {
    let base = base(entered);
    let id: PaymentId = path.0.read()?;
    let found = web.app.payments().get(&entered.tenant, id).await;
    let found = found.map_err(|error| entered.refused(error, &base))?;
    Ok((found.payment, format!("{base}/{id}")))
}

/// Asks whether to call the payment off.
pub(super) async fn cancel_form(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
) -> Result<Response, Stop> {
    let (payment, page) = target(&web, &entered, &path).await?;
    if !can_be_cancelled(&payment) {
        return Err(Stop::go(&page));
    }
    let t = entered.frame.t;
    let name = payment.id.to_string();
    let question = Question {
        text: t.get("payment-cancel-question"),
        consequence: t.get("payment-cancel-consequence"),
        button: t.get("payment-cancel"),
    };
    ask(&entered, Tab::Payments, page, "cancel", name, question)
}

/// Calls the payment off.
pub(super) async fn cancel(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(super::Nothing {}): Form<super::Nothing>,
) -> Result<Response, Stop> {
    let (payment, page) = target(&web, &entered, &path).await?;
    match web.app.payments().cancel(&entered.context, &entered.tenant, payment.id, None).await {
        Ok(_) => Ok(entered.frame.done(&page, message!("flash-payment-cancelled"), "")),
        // Money came in the meantime: the page shows where it stands.
        Err(ServiceError::PaymentClosed) => Ok(entered.frame.done(&page, message!("flash-payment-moved"), "")),
        Err(error) => Err(entered.refused(error, &format!("{page}/cancel"))),
    }
}

/// What was decided.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Decision {
    verdict: String,
    reason: String,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/decide.html")]
struct DecidePage<'a> {
    frame: &'a Frame,
    page: String,
    id: String,
    due: Sum,
    settled: Sum,
    badge: Badge,
    exception: Option<String>,
    /// Whether what came in can be given back by a refund.
    may_refund: bool,
    decision: Decision,
    errors: FormErrors,
    live: bool,
}

async fn draw(
    web: &Web,
    entered: &Entered<WritePayments>,
    status: StatusCode,
    payment: &PaymentRow,
    page: String,
    decision: Decision,
    errors: FormErrors,
) -> Result<Response, Stop> {
    let frame = entered.frame.clone().at(Tab::Payments, None);
    let left = web.app.refunds().left(&entered.tenant, GivenBack::Payment(payment.id)).await;
    let left = left.map_err(|error| entered.refused(error, &page))?;
    let template = DecidePage {
        id: payment.id.to_string(),
        due: frame.f.sum(payment.terms.due),
        settled: frame.f.sum(payment.settled),
        badge: payment_badge(payment.state.status, frame.t),
        exception: exception(payment.state.exception, frame.t),
        may_refund: left.is_some(),
        live: is_live(entered),
        frame: &frame,
        page,
        decision,
        errors,
    };
    Ok(frame.page_with(status, &template))
}

/// Asks what is to become of the payment.
pub(super) async fn decide_form(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
) -> Result<Response, Stop> {
    let (payment, page) = target(&web, &entered, &path).await?;
    if !can_be_decided(&payment) {
        return Err(Stop::go(&page));
    }
    entered.prove_first(&entered.frame.here)?;
    draw(&web, &entered, StatusCode::OK, &payment, page, Decision::default(), FormErrors::new()).await
}

/// Decides on the payment.
pub(super) async fn decide(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(decision): Form<Decision>,
) -> Result<Response, Stop> {
    let (payment, page) = target(&web, &entered, &path).await?;
    let t = entered.frame.t;
    let mut errors = FormErrors::new();
    let verdict = match decision.verdict.as_str() {
        "accept" => Some(Verdict::Accept),
        "return" => Some(Verdict::Return),
        _ => {
            errors.add("verdict", t.get("wrong-verdict"));
            None
        }
    };
    let reason = read_reason(&decision.reason, t, &mut errors);
    let (Some(verdict), Some(reason)) = (verdict, reason) else {
        return draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, &payment, page, decision, errors).await;
    };
    let payments = web.app.payments();
    match payments.resolve(&entered.context, &entered.tenant, payment.id, verdict, &reason, None).await {
        Ok(_) => Ok(entered.frame.done(&page, message!("flash-payment-decided"), "")),
        // Somebody else decided in the meantime.
        Err(ServiceError::PaymentClosed) => Ok(entered.frame.done(&page, message!("flash-payment-moved"), "")),
        Err(ServiceError::NotRefundable) => {
            let mut errors = FormErrors::new();
            errors.add("verdict", t.get("wrong-verdict-nothing"));
            draw(&web, &entered, StatusCode::CONFLICT, &payment, page, decision, errors).await
        }
        Err(error) => Err(entered.refused(error, &format!("{page}/decide"))),
    }
}

/// Why somebody decides something, which is asked for.
pub(super) fn read_reason(text: &str, t: Texts, errors: &mut FormErrors) -> Option<Reason> {
    errors.read("reason", text.trim().parse(), t.get("wrong-reason"))
}
