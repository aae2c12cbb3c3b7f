//! Refunds: asked for with the address that the payer named, sent by the merchant's own wallet, handed in, called off.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trousseau_domain::evm::SecretForm;
use trousseau_domain::ids::{DepositId, PaymentId, RefundId};
use trousseau_domain::ledger::WrongTransaction;
use trousseau_domain::members::Operation;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::Money;
use trousseau_domain::payables::Reason;
use trousseau_domain::refunds::{RefundFailure, RefundStatus, TooMuch, amount_of};
use trousseau_service::idempotency::Answered;
use trousseau_service::keys::Page;
use trousseau_service::payments::refunds::{Left, RefundDraft, given_up_at, takes_transaction, to_send};
use trousseau_service::{GivenBack, RefundFilter, RefundRow, ServiceError};

use super::{
    Asked, Badge, Entry, Id, LATEST, Maker, Names, Nothing, Question, ROWS, amounts, ask, history, is_live, kept,
    may_write, once, once_more, said, sent_once,
};
use crate::dashboard::csv::{Csv, is_file};
use crate::dashboard::filters::{ByKey, ROWS_PER_READ, beginning, end};
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::{Shown, Sum};
use crate::dashboard::frame::{Frame, Tab};
use crate::dashboard::kept::{Keepable, Kept};
use crate::dashboard::names::KeyNames;
use crate::dashboard::networks::{address_page, block_page, called, transaction_page};
use crate::dashboard::qr::Qr;
use crate::dashboard::session::{Entered, ReadPayments, Stop, WritePayments};
use crate::dashboard::text::{Texts, message};
use crate::router::Web;

/// Where a refund may stand.
const STATUSES: [RefundStatus; 5] = [
    RefundStatus::Pending,
    RefundStatus::Processing,
    RefundStatus::Succeeded,
    RefundStatus::Failed,
    RefundStatus::Cancelled,
];

fn base<P>(entered: &Entered<P>) -> String {
    format!("{}/refunds", super::base(entered, Tab::Payments))
}

fn status_name(status: RefundStatus, t: Texts) -> String {
    t.get(match status {
        RefundStatus::Pending => message!("refund-pending"),
        RefundStatus::Processing => message!("refund-processing"),
        RefundStatus::Succeeded => message!("refund-succeeded"),
        RefundStatus::Failed => message!("refund-failed"),
        RefundStatus::Cancelled => message!("refund-cancelled"),
    })
}

fn badge(status: RefundStatus, t: Texts) -> Badge {
    let (tint, icon) = match status {
        RefundStatus::Pending => ("warn", "clock"),
        RefundStatus::Processing => ("", "turn"),
        RefundStatus::Succeeded => ("ok", "check"),
        RefundStatus::Failed => ("bad", "warn"),
        RefundStatus::Cancelled => ("", "stop"),
    };
    Badge { tint, icon, text: status_name(status, t) }
}

fn failure(failure: RefundFailure, t: Texts) -> String {
    t.get(match failure {
        RefundFailure::Reverted => message!("refund-failure-reverted"),
        RefundFailure::Mismatch => message!("refund-failure-mismatch"),
        RefundFailure::Taken => message!("refund-failure-taken"),
        RefundFailure::NotFound => message!("refund-failure-not-found"),
    })
}

/// A refund as lists show it.
#[derive(Debug)]
pub(super) struct RefundLine {
    /// The id, which is what it is called.
    pub(super) id: String,
    /// Its page.
    pub(super) href: String,
    pub(super) badge: Badge,
    pub(super) failure: Option<String>,
    pub(super) amount: Sum,
    pub(super) network: String,
    /// To whom.
    pub(super) destination: String,
    pub(super) at: Shown,
}

impl RefundLine {
    fn of<P>(web: &Web, refund: &RefundRow, entered: &Entered<P>) -> Self {
        let frame = &entered.frame;
        Self {
            id: refund.id.to_string(),
            href: format!("{}/{}", base(entered), refund.id),
            badge: badge(refund.status, frame.t),
            failure: refund.failure.map(|why| failure(why, frame.t)),
            amount: frame.f.sum(refund.amount),
            network: called(web, &refund.destination.network),
            destination: refund.destination.address.clone(),
            at: frame.f.relative(refund.created_at),
        }
    }
}

/// The latest refunds of a payment.
pub(super) async fn refunds_of<P>(
    web: &Web,
    entered: &Entered<P>,
    payment: PaymentId,
) -> Result<Vec<RefundLine>, ServiceError> {
    let filter = RefundFilter { payment: Some(payment), ..RefundFilter::default() };
    let page = web.app.refunds().list(&entered.tenant, &filter, None, LATEST).await?;
    Ok(page.data.iter().map(|refund| RefundLine::of(web, refund, entered)).collect())
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/refunds.html")]
struct ListPage<'a> {
    frame: &'a Frame,
    payments: String,
    base: String,
    asked: Asked,
    filtered: bool,
    statuses: Vec<(&'static str, String)>,
    rows: Vec<RefundLine>,
    next: Option<String>,
    csv: String,
    /// Whether refunds can be found by the key that asked for them.
    by_key: bool,
}

/// What was asked for; nothing where a key is named that there is not.
fn filter<P>(asked: &Asked, keys: &KeyNames, entered: &Entered<P>) -> Option<RefundFilter> {
    let (zone, key) = (&entered.business.time_zone, ByKey::read(&asked.number, keys));
    (key != ByKey::Nobody).then(|| RefundFilter {
        status: asked.status.parse().ok(),
        key_id: key.key(),
        created_from: beginning(&asked.from, zone),
        created_before: end(&asked.to, zone),
        search: asked.search(),
        ..RefundFilter::default()
    })
}

/// The refunds, newest first, as a page or as a file.
pub(super) async fn list(
    entered: Entered<ReadPayments>,
    State(web): State<Web>,
    Query(asked): Query<Asked>,
) -> Result<Response, Stop> {
    let base = base(&entered);
    let refused = |error| entered.refused(error, &base);
    let keys = KeyNames::of(&web, &entered).await.map_err(refused)?;
    asked.check::<RefundStatus, _>(&entered, &base)?;
    let filter = filter(&asked, &keys, &entered);
    if is_file(&asked.format) {
        return file(&web, &entered, filter.as_ref()).await;
    }
    let page = match &filter {
        Some(filter) => {
            let page = web.app.refunds().list(&entered.tenant, filter, asked.after.parse().ok(), ROWS).await;
            entered.gone_on(page, &base)?
        }
        None => Page { data: Vec::new(), has_more: false },
    };
    let frame = entered.frame.clone().at(Tab::Payments, None);
    let t = frame.t;
    Ok(frame.page(&ListPage {
        payments: super::base(&entered, Tab::Payments),
        rows: page.data.iter().map(|refund| RefundLine::of(&web, refund, &entered)).collect(),
        next: asked.next(&base, page.data.last().map(|last| last.id.to_string()), page.has_more),
        csv: asked.csv(&base),
        filtered: filter != Some(RefundFilter::default()),
        statuses: STATUSES.into_iter().map(|status| (status.as_str(), status_name(status, t))).collect(),
        by_key: entered.role.may(Operation::KeysRead),
        frame: &frame,
        base,
        asked,
    }))
}

/// The same refunds as a file. Times are in UTC, amounts have a point.
async fn file(web: &Web, entered: &Entered<ReadPayments>, filter: Option<&RefundFilter>) -> Result<Response, Stop> {
    let mut csv = Csv::of(
        &entered.frame,
        &[
            "id",
            "created_at",
            "status",
            "failure",
            "payment",
            "deposit",
            "amount",
            "currency",
            "network",
            "destination",
            "transaction_hash",
            "succeeded_at",
            "reason",
        ],
    );
    if let Some(filter) = filter {
        let read = |after| web.app.refunds().list(&entered.tenant, filter, after, ROWS_PER_READ);
        let row = |refund: &RefundRow| {
            [
                refund.id.to_string(),
                refund.created_at.to_string(),
                refund.status.to_string(),
                refund.failure.map(|failure| failure.to_string()).unwrap_or_default(),
                refund.of.payment().map(|id| id.to_string()).unwrap_or_default(),
                refund.of.deposit().map(|id| id.to_string()).unwrap_or_default(),
                refund.amount.to_string(),
                refund.amount.asset().code().to_string(),
                refund.destination.network.to_string(),
                refund.destination.address.clone(),
                refund.transaction_hash.clone().unwrap_or_default(),
                refund.succeeded_at.map(|at| at.to_string()).unwrap_or_default(),
                refund.reason.as_ref().map(ToString::to_string).unwrap_or_default(),
            ]
        };
        let written = csv.rows(read, |refund: &RefundRow| refund.id, row).await;
        written.map_err(|error| entered.refused(error, &base(entered)))?;
    }
    Ok(csv.finish(&format!("refunds-{}-{}.csv", entered.tenant.business, entered.tenant.environment)))
}

/// What was typed to ask for a refund.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    once: String,
    amount: String,
    destination: String,
    reason: String,
}

impl Keepable for Fields {}

impl Fields {
    /// What was meant. `left` is what can be given back.
    fn read<P>(
        &mut self,
        web: &Web,
        entered: &Entered<P>,
        of: GivenBack,
        left: &Left,
        errors: &mut FormErrors,
    ) -> Option<RefundDraft> {
        let t = entered.frame.t;
        let nothing_held = Money::zero(left.amount.asset());
        match amount_of(left.amount, nothing_held, Some(&amounts::plain(&self.amount, t.language()))) {
            Ok(_) => {}
            Err(TooMuch::Amount(_)) => errors.add("amount", t.get("wrong-amount")),
            Err(TooMuch::NothingLeft | TooMuch::Left(_)) => errors.add("amount", too_much(left.amount, &entered.frame)),
        }
        // What can spend is neither kept while its sender proves who they are, nor shown again.
        if SecretForm::of(&self.destination).is_some() {
            zeroize::Zeroize::zeroize(&mut self.destination);
            errors.add("destination", t.get("wrong-refund-secret"));
        } else if self.destination.trim().is_empty() {
            errors.add("destination", wrong_destination(web, entered));
        }
        let reason: Option<Reason> =
            said(&self.reason, |text| text.parse().ok(), || errors.add("reason", t.get("wrong-refund-reason")));
        errors.is_empty().then(|| RefundDraft {
            of,
            amount: Some(amounts::plain(&self.amount, t.language())),
            destination: self.destination.trim().to_owned(),
            reason,
            metadata: Metadata::default(),
        })
    }
}

fn too_much(left: Money, frame: &Frame) -> String {
    frame.t.with("wrong-refund-too-much", [("amount", frame.f.sum(left).to_string())])
}

/// Whether the money of this environment moves on networks, and not on the ledger of TEST.
fn on_networks<P>(web: &Web, entered: &Entered<P>) -> bool {
    is_live(entered) || !web.app.test_ledgers().are_on()
}

fn wrong_destination<P>(web: &Web, entered: &Entered<P>) -> String {
    let t = entered.frame.t;
    if on_networks(web, entered) { t.get("wrong-refund-destination") } else { t.get("wrong-refund-destination-test") }
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/refund-form.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is something the template asks by itself")]
struct FormPage<'a> {
    frame: &'a Frame,
    action: String,
    back: String,
    /// What is given back: the id of a payment, or of a transfer.
    name: String,
    of_payment: bool,
    /// What the amount is asked for in.
    amount_label: String,
    received: Sum,
    left: Sum,
    /// Whether a part of it is given back already, or about to be.
    in_part: bool,
    network: String,
    fields: Fields,
    errors: FormErrors,
    live: bool,
    on_networks: bool,
}

/// What is given back, where one comes back to, and where the form of it is.
struct Target {
    of: GivenBack,
    name: String,
    back: String,
    action: String,
}

impl Target {
    fn payment<P>(entered: &Entered<P>, path: &Id) -> Result<Self, Stop> {
        let id: PaymentId = path.0.read()?;
        let back = format!("{}/{id}", super::base(entered, Tab::Payments));
        Ok(Self { of: GivenBack::Payment(id), name: id.to_string(), action: format!("{back}/refund"), back })
    }

    fn deposit<P>(entered: &Entered<P>, path: &Id) -> Result<Self, Stop> {
        let id: DepositId = path.0.read()?;
        let back = format!("{}/unmatched", super::base(entered, Tab::Payments));
        Ok(Self { of: GivenBack::Deposit(id), name: id.to_string(), action: format!("{back}/{id}/refund"), back })
    }

    /// What is left of it.
    async fn left<P>(&self, web: &Web, entered: &Entered<P>) -> Result<Option<Left>, Stop> {
        let left = web.app.refunds().left(&entered.tenant, self.of).await;
        left.map_err(|error| entered.refused(error, &self.back))
    }

    /// To where it shows why nothing can be given back.
    fn nothing_left<P>(&self, entered: &Entered<P>) -> Response {
        entered.frame.done(&self.back, message!("flash-refund-not-now"), "")
    }
}

fn draw(
    web: &Web,
    entered: &Entered<WritePayments>,
    status: StatusCode,
    target: Target,
    left: &Left,
    fields: Fields,
    errors: FormErrors,
) -> Response {
    let frame = entered.frame.clone().at(Tab::Payments, None);
    let template = FormPage {
        of_payment: target.of.payment().is_some(),
        action: target.action,
        back: target.back,
        name: target.name,
        amount_label: frame.t.with("amount-in", [("currency", left.amount.asset().code().to_string())]),
        received: frame.f.sum(left.received),
        left: frame.f.sum(left.amount),
        in_part: left.received != left.amount,
        network: called(web, &left.network),
        live: is_live(entered),
        on_networks: on_networks(web, entered),
        frame: &frame,
        fields,
        errors,
    };
    frame.page_with(status, &template)
}

async fn form(
    web: &Web,
    entered: &Entered<WritePayments>,
    target: Target,
    kept: Option<Fields>,
) -> Result<Response, Stop> {
    let Some(left) = target.left(web, entered).await? else { return Ok(target.nothing_left(entered)) };
    entered.prove_first(&target.action)?;
    let fields = kept.unwrap_or_else(|| Fields {
        once: once(web),
        amount: amounts::written(left.amount, entered.frame.t.language()),
        ..Fields::default()
    });
    Ok(draw(web, entered, StatusCode::OK, target, &left, fields, FormErrors::new()))
}

async fn make(
    web: &Web,
    entered: &Entered<WritePayments>,
    target: Target,
    mut fields: Fields,
) -> Result<Response, Stop> {
    let base = base(entered);
    let left = target.left(web, entered).await?;
    let (mut errors, mut status) = (FormErrors::new(), StatusCode::UNPROCESSABLE_ENTITY);
    // Where nothing is left, the same form may have been sent before, which the service knows.
    let draft = match &left {
        Some(left) => fields.read(web, entered, target.of, left, &mut errors),
        None if SecretForm::of(&fields.destination).is_some() => None,
        None => Some(RefundDraft {
            of: target.of,
            amount: Some(amounts::plain(&fields.amount, entered.frame.t.language())),
            destination: fields.destination.clone(),
            reason: None,
            metadata: Metadata::default(),
        }),
    };
    let render = |refund: &RefundRow| kept(&refund.id);
    let once = sent_once(&entered.person, &entered.frame, &target.action, &fields.once, &fields, &render);
    let made = match draft {
        Some(draft) => web.app.refunds().create(&entered.context, &entered.tenant, &draft, once.as_ref()).await,
        None => Err(ServiceError::Invalid(Vec::new())),
    };
    match made {
        Ok(Answered::Done(refund)) => {
            return Ok(entered.frame.done(&format!("{base}/{}", refund.id), message!("flash-refund-made"), ""));
        }
        Ok(Answered::Replayed(answer)) => {
            let page = format!("{base}/{}", answer.body);
            return Ok(entered.frame.done(&page, message!("flash-form-sent-already"), ""));
        }
        Err(ServiceError::Invalid(problems)) => {
            for problem in problems {
                match problem.field {
                    "amount" => errors.add("amount", entered.frame.t.get("wrong-amount")),
                    _ => errors.add("destination", wrong_destination(web, entered)),
                }
            }
        }
        // Another refund was asked for in the meantime.
        Err(ServiceError::RefundTooLarge(left)) => errors.add("amount", too_much(left, &entered.frame)),
        Err(ServiceError::NotRefundable) => return Ok(target.nothing_left(entered)),
        Err(ServiceError::IdempotencyKeyReused) => {
            fields.once = once_more(web, entered.frame.t, &mut errors);
            status = StatusCode::CONFLICT;
        }
        Err(error) => return Err(entered.refused_form(web, error, &target.action, &fields).await),
    }
    match left {
        Some(left) => Ok(draw(web, entered, status, target, &left, fields, errors)),
        None => Ok(target.nothing_left(entered)),
    }
}

/// The form that asks for a refund of a payment.
pub(super) async fn payment_form(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    Kept(kept): Kept<Fields>,
    path: Id,
) -> Result<Response, Stop> {
    let target = Target::payment(&entered, &path)?;
    form(&web, &entered, target, kept).await
}

/// Asks for a refund of a payment.
pub(super) async fn make_of_payment(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(fields): Form<Fields>,
) -> Result<Response, Stop> {
    let target = Target::payment(&entered, &path)?;
    make(&web, &entered, target, fields).await
}

/// The form that asks for a refund of something that no payment takes.
pub(super) async fn deposit_form(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    Kept(kept): Kept<Fields>,
    path: Id,
) -> Result<Response, Stop> {
    let target = Target::deposit(&entered, &path)?;
    form(&web, &entered, target, kept).await
}

/// Asks for a refund of something that no payment takes.
pub(super) async fn make_of_deposit(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(fields): Form<Fields>,
) -> Result<Response, Stop> {
    let target = Target::deposit(&entered, &path)?;
    make(&web, &entered, target, fields).await
}

/// What was typed to hand a transaction in.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct HandIn {
    transaction_hash: String,
}

impl Keepable for HandIn {}

/// What a wallet is to send.
#[derive(Debug)]
struct ToSend {
    /// The amount with a point, to be copied.
    plain: String,
    /// The same in the smallest units of the token.
    units: String,
    qr: Option<Qr>,
    evm: Option<EvmToSend>,
}

/// The same for wallets of EVM networks.
#[derive(Debug)]
struct EvmToSend {
    chain_id: u64,
    /// The same as wallets in the browser are told it.
    chain: String,
    token: String,
    data: String,
    uri: String,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/refund.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is a condition of the page")]
struct ShowPage<'a> {
    frame: &'a Frame,
    base: String,
    path: String,
    id: String,
    badge: Badge,
    /// What its state means, and what comes next.
    about: String,
    tint: &'static str,
    amount: Sum,
    network: String,
    destination: String,
    destination_page: Option<String>,
    /// The payment, or the transfer that no payment takes: its id and where to find it.
    of: (String, String),
    of_payment: bool,
    reason: Option<String>,
    metadata: Vec<(String, String)>,
    send: Option<ToSend>,
    takes_transaction: bool,
    /// Until when a transaction that is in no block is waited for.
    given_up: Option<Shown>,
    hash: Option<String>,
    hash_page: Option<String>,
    /// The height of its block, and the explorer's page about it.
    block: Option<(String, Option<String>)>,
    may_write: bool,
    may_cancel: bool,
    /// Whether the ledger of TEST can do what the wallet would.
    may_simulate: bool,
    /// Whether the network has said of what was sent that it is not the refund.
    send_again: bool,
    live: bool,
    created: Shown,
    maker: Maker,
    changed: Shown,
    succeeded: Option<Shown>,
    history: Vec<Entry>,
    typed: String,
    errors: FormErrors,
}

/// What the state of a refund means, with a tint.
fn about(refund: &RefundRow, t: Texts) -> (String, &'static str) {
    match (refund.status, refund.failure) {
        (RefundStatus::Pending, _) => (t.get("refund-pending-about"), ""),
        (RefundStatus::Processing, _) if refund.place.is_some() => (t.get("refund-seen-about"), ""),
        (RefundStatus::Processing, _) => (t.get("refund-unseen-about"), "warn"),
        (RefundStatus::Succeeded, _) => (t.get("refund-succeeded-about"), "ok"),
        (RefundStatus::Cancelled, _) => (t.get("refund-cancelled-about"), ""),
        (RefundStatus::Failed, why) => {
            let why = why.map(|why| failure(why, t)).unwrap_or_default();
            (format!("{why} {}", t.get("refund-failed-about")).trim().to_owned(), "bad")
        }
    }
}

/// What the form of the transaction shows.
#[derive(Debug, Default)]
struct HandedIn {
    typed: String,
    errors: FormErrors,
    send_again: bool,
}

impl HandedIn {
    /// What was typed is not taken.
    fn wrong(typed: String, message: String) -> Self {
        let mut errors = FormErrors::new();
        errors.add("transaction_hash", message);
        Self { typed, errors, send_again: false }
    }
}

async fn draw_refund<P>(
    web: &Web,
    entered: &Entered<P>,
    status: StatusCode,
    refund: &RefundRow,
    handed_in: HandedIn,
) -> Result<Response, Stop> {
    let HandedIn { typed, errors, send_again } = handed_in;
    let base = base(entered);
    let refused = |error| entered.refused(error, &base);
    let names = Names::of(web, entered).await.map_err(refused)?;
    let history = history(web, entered, &names, refund.id.to_string()).await.map_err(refused)?;
    let frame = entered.frame.clone().at(Tab::Payments, None);
    let (f, t) = (&frame.f, frame.t);
    let network = &refund.destination.network;
    let payments = super::base(entered, Tab::Payments);
    let of = match refund.of {
        GivenBack::Payment(id) => (id.to_string(), format!("{payments}/{id}")),
        GivenBack::Deposit(id) => (id.to_string(), format!("{payments}/unmatched")),
    };
    let may_write = may_write(entered);
    let pending = refund.status == RefundStatus::Pending;
    let send = to_send(refund).map(|send| ToSend {
        plain: send.amount.to_string(),
        units: send.amount.units().to_string(),
        // The bare address: of a link with an amount, some wallets read its first address only, which is the contract.
        qr: send.evm.as_ref().and_then(|_| Qr::of(&send.destination)),
        evm: send.evm.map(|evm| EvmToSend {
            chain_id: evm.chain_id,
            chain: format!("{:#x}", evm.chain_id),
            token: evm.token.to_string(),
            data: evm.data,
            uri: evm.uri,
        }),
    });
    let (about, tint) = about(refund, t);
    let template = ShowPage {
        path: format!("{base}/{}", refund.id),
        id: refund.id.to_string(),
        badge: badge(refund.status, t),
        about,
        tint,
        amount: f.sum(refund.amount),
        network: called(web, network),
        destination: refund.destination.address.clone(),
        destination_page: address_page(web, network, &refund.destination.address),
        of,
        of_payment: refund.of.payment().is_some(),
        reason: refund.reason.as_ref().map(ToString::to_string),
        metadata: BTreeMap::from(refund.metadata.clone()).into_iter().collect(),
        send,
        takes_transaction: takes_transaction(refund),
        given_up: given_up_at(refund).filter(|_| takes_transaction(refund)).map(|at| f.moment(at)),
        hash_page: refund.transaction_hash.as_deref().and_then(|hash| transaction_page(web, network, hash)),
        hash: refund.transaction_hash.clone(),
        block: refund.place.as_ref().map(|place| (f.number(place.block), block_page(web, network, place.block))),
        may_write,
        may_cancel: may_write && pending,
        may_simulate: may_write && pending && !on_networks(web, entered),
        send_again,
        live: is_live(entered),
        created: f.moment(refund.created_at),
        maker: names.maker(&refund.created_by),
        changed: f.moment(refund.updated_at),
        succeeded: refund.succeeded_at.map(|at| f.moment(at)),
        history,
        frame: &frame,
        base,
        typed,
        errors,
    };
    Ok(frame.page_with(status, &template))
}

/// The refund that a path names.
async fn found<P>(web: &Web, entered: &Entered<P>, path: &Id) -> Result<RefundRow, Stop> {
    let id: RefundId = path.0.read()?;
    let refund = web.app.refunds().get(&entered.tenant, id).await;
    refund.map_err(|error| entered.refused(error, &base(entered)))
}

/// One refund: what is to be sent, or where it stands.
pub(super) async fn show(
    entered: Entered<ReadPayments>,
    State(web): State<Web>,
    Kept(kept): Kept<HandIn>,
    path: Id,
) -> Result<Response, Stop> {
    let refund = found(&web, &entered, &path).await?;
    let handed_in = HandedIn { typed: kept.unwrap_or_default().transaction_hash, ..HandedIn::default() };
    draw_refund(&web, &entered, StatusCode::OK, &refund, handed_in).await
}

/// What is wrong with a transaction.
fn wrong_transaction(why: WrongTransaction, t: Texts) -> String {
    t.get(match why {
        WrongTransaction::Failed => message!("wrong-hash-failed"),
        WrongTransaction::TooOld => message!("wrong-hash-too-old"),
        WrongTransaction::OtherToken | WrongTransaction::NotThisPayment | WrongTransaction::NotThisPayable => {
            message!("wrong-hash-other-token")
        }
        WrongTransaction::OtherAddress => message!("wrong-hash-other-address"),
        WrongTransaction::OtherAmount => message!("wrong-hash-other-amount"),
    })
}

/// Says by which transaction it was sent.
pub(super) async fn hand_in(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(mut typed): Form<HandIn>,
) -> Result<Response, Stop> {
    let refund = found(&web, &entered, &path).await?;
    let page = format!("{}/{}", base(&entered), refund.id);
    let t = entered.frame.t;
    // A key of one address looks like a hash; what else can spend is not shown again.
    if matches!(SecretForm::of(&typed.transaction_hash), Some(SecretForm::Phrase | SecretForm::ExtendedPrivateKey)) {
        zeroize::Zeroize::zeroize(&mut typed.transaction_hash);
        let handed_in = HandedIn::wrong(String::new(), t.get("wrong-refund-secret"));
        return draw_refund(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, &refund, handed_in).await;
    }
    let hash = typed.transaction_hash.trim();
    let mut send_again = false;
    let wrong = match web.app.refunds().hand_in(&entered.context, &entered.tenant, refund.id, hash, None).await {
        Ok(_) => return Ok(entered.frame.done(&page, message!("flash-refund-handed-in"), "")),
        // It went on in the meantime: the page shows where it stands.
        Err(ServiceError::RefundClosed) => {
            return Ok(entered.frame.done(&page, message!("flash-refund-moved"), ""));
        }
        Err(ServiceError::Invalid(_)) if on_networks(&web, &entered) => t.get("wrong-hash"),
        Err(ServiceError::Invalid(_)) => t.get("wrong-hash-test"),
        Err(ServiceError::TransactionRefused(why)) => {
            send_again = true;
            wrong_transaction(why, t)
        }
        Err(ServiceError::TransactionTaken) => t.get("wrong-hash-taken"),
        Err(ServiceError::NetworkUnavailable(_)) => t.get("wrong-hash-unreachable"),
        Err(ServiceError::Conflict) => t.get("wrong-hash-again"),
        Err(error) => return Err(entered.refused_form(&web, error, &page, &typed).await),
    };
    let handed_in = HandedIn { send_again, ..HandedIn::wrong(typed.transaction_hash, wrong) };
    draw_refund(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, &refund, handed_in).await
}

/// Does on the ledger of TEST what the merchant's wallet would.
pub(super) async fn send(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let refund = found(&web, &entered, &path).await?;
    let page = format!("{}/{}", base(&entered), refund.id);
    match web.app.refunds().send_in_test(&entered.context, &entered.tenant, refund.id).await {
        Ok(_) => Ok(entered.frame.done(&page, message!("flash-refund-sent"), "")),
        Err(ServiceError::RefundClosed) => Ok(entered.frame.done(&page, message!("flash-refund-moved"), "")),
        Err(error) => Err(entered.refused(error, &page)),
    }
}

/// Asks whether to call the refund off.
pub(super) async fn cancel_form(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
) -> Result<Response, Stop> {
    let refund = found(&web, &entered, &path).await?;
    let page = format!("{}/{}", base(&entered), refund.id);
    if refund.status != RefundStatus::Pending {
        return Err(Stop::go(&page));
    }
    let t = entered.frame.t;
    let question = Question {
        text: t.get("refund-cancel-question"),
        consequence: t.get("refund-cancel-consequence"),
        button: t.get("refund-cancel"),
    };
    ask(&entered, Tab::Payments, page, "cancel", refund.id.to_string(), question)
}

/// Calls the refund off.
pub(super) async fn cancel(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let refund = found(&web, &entered, &path).await?;
    let page = format!("{}/{}", base(&entered), refund.id);
    match web.app.refunds().cancel(&entered.context, &entered.tenant, refund.id, None).await {
        Ok(_) => Ok(entered.frame.done(&page, message!("flash-refund-cancelled"), "")),
        // Its transaction was handed in meanwhile: the page shows where it stands.
        Err(ServiceError::RefundClosed) => Ok(entered.frame.done(&page, message!("flash-refund-moved"), "")),
        Err(error) => Err(entered.refused(error, &format!("{page}/cancel"))),
    }
}
