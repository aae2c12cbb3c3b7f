//! What came in and no payment takes: looked at, and put aside with a reason.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use trousseau_domain::ids::DepositId;
use trousseau_domain::ledger::Moved;
use trousseau_domain::money::{Asset, Money};
use trousseau_service::{DepositRow, ServiceError};

use super::paid::read_reason;
use super::{Asked, Id, ROWS, is_live, may_write};
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::{Shown, Sum};
use crate::dashboard::frame::{Frame, Tab};
use crate::dashboard::networks::{address_page, called, transaction_page};
use crate::dashboard::session::{Entered, ReadPayments, Stop, WritePayments};
use crate::dashboard::text::message;
use crate::router::Web;

/// Something that came in.
#[derive(Debug)]
struct Row {
    /// Its page of being put aside.
    href: String,
    /// The form that asks for its refund, where it is of the accepted asset.
    refund: Option<String>,
    id: String,
    /// The amount, where it is of an asset that is known, and one that can be counted.
    amount: Option<Sum>,
    network: String,
    address: String,
    address_page: Option<String>,
    from: String,
    hash: String,
    hash_page: Option<String>,
    at: Shown,
}

impl Row {
    fn of(web: &Web, deposit: &DepositRow, base: &str, frame: &Frame) -> Self {
        let network = &deposit.transfer.network;
        // An address without a payment is asked for USDC; of other tokens the network may know what they are.
        let is_usual = deposit.transfer.asset == Moved::Accepted && deposit.payment.is_none();
        let asset = web.app.networks().asset_of(deposit).or(is_usual.then_some(Asset::USDC));
        let money = asset.zip(deposit.units).and_then(|(asset, units)| Money::from_units(units, asset).ok());
        Self {
            href: format!("{base}/{}/dismiss", deposit.id),
            refund: (deposit.counts() && deposit.payment.is_none()).then(|| format!("{base}/{}/refund", deposit.id)),
            id: deposit.id.to_string(),
            amount: money.map(|money| frame.f.sum(money)),
            network: called(web, network),
            address_page: address_page(web, network, &deposit.transfer.to),
            hash_page: transaction_page(web, network, &deposit.transfer.transaction_hash),
            address: deposit.transfer.to.clone(),
            from: deposit.transfer.from.clone(),
            hash: deposit.transfer.transaction_hash.clone(),
            at: frame.f.relative(deposit.seen_at),
        }
    }
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/unmatched.html")]
struct ListPage<'a> {
    frame: &'a Frame,
    payments: String,
    base: String,
    rows: Vec<Row>,
    after: String,
    next: Option<String>,
    may_write: bool,
}

fn base<P>(entered: &Entered<P>) -> String {
    format!("{}/unmatched", super::base(entered, Tab::Payments))
}

/// What waits for somebody, newest first.
pub(super) async fn list(
    entered: Entered<ReadPayments>,
    State(web): State<Web>,
    Query(asked): Query<Asked>,
) -> Result<Response, Stop> {
    let base = base(&entered);
    let page = web.app.payments().unmatched(&entered.tenant, asked.after.parse().ok(), ROWS).await;
    let page = entered.gone_on(page, &base)?;
    let frame = entered.frame.clone().at(Tab::Payments, None);
    Ok(frame.page(&ListPage {
        rows: page.data.iter().map(|deposit| Row::of(&web, deposit, &base, &frame)).collect(),
        next: asked.next(&base, page.data.last().map(|last| last.id.to_string()), page.has_more),
        after: asked.after,
        may_write: may_write(&entered),
        payments: super::base(&entered, Tab::Payments),
        frame: &frame,
        base,
    }))
}

/// What was typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Dismissal {
    reason: String,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/dismiss.html")]
struct DismissPage<'a> {
    frame: &'a Frame,
    base: String,
    row: Row,
    reason: String,
    errors: FormErrors,
    live: bool,
}

/// The deposit that a path names, as long as it waits for somebody.
async fn target(web: &Web, entered: &Entered<WritePayments>, path: &Id) -> Result<DepositRow, Stop> {
    let base = base(entered);
    let id: DepositId = path.0.read()?;
    let found = web.app.payments().deposit(&entered.tenant, id).await;
    let found = found.map_err(|error| entered.refused(error, &base))?;
    if found.resolved_at.is_some() { Err(Stop::go(&base)) } else { Ok(found) }
}

fn draw(
    web: &Web,
    entered: &Entered<WritePayments>,
    status: StatusCode,
    deposit: &DepositRow,
    reason: String,
    errors: FormErrors,
) -> Response {
    let frame = entered.frame.clone().at(Tab::Payments, None);
    let base = base(entered);
    let row = Row::of(web, deposit, &base, &frame);
    frame.page_with(status, &DismissPage { live: is_live(entered), frame: &frame, base, row, reason, errors })
}

/// Asks why it is put aside.
pub(super) async fn dismiss_form(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
) -> Result<Response, Stop> {
    let deposit = target(&web, &entered, &path).await?;
    entered.prove_first(&entered.frame.here)?;
    Ok(draw(&web, &entered, StatusCode::OK, &deposit, String::new(), FormErrors::new()))
}

/// Puts it aside.
pub(super) async fn dismiss(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(dismissal): Form<Dismissal>,
) -> Result<Response, Stop> {
    let deposit = target(&web, &entered, &path).await?;
    let base = base(&entered);
    let mut errors = FormErrors::new();
    let Some(reason) = read_reason(&dismissal.reason, entered.frame.t, &mut errors) else {
        return Ok(draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, &deposit, dismissal.reason, errors));
    };
    match web.app.payments().dismiss(&entered.context, &entered.tenant, deposit.id, &reason, None).await {
        // Somebody else dealt with it in the meantime, or it was done now: it waits no more.
        Ok(_) | Err(ServiceError::PaymentClosed) => {
            Ok(entered.frame.done(&base, message!("flash-deposit-dismissed"), ""))
        }
        Err(error) => Err(entered.refused(error, &format!("{base}/{}/dismiss", deposit.id))),
    }
}
