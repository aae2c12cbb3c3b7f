//! Recurring payments: found, made, changed, paused, ended.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trousseau_domain::ids::RecurringPaymentId;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::payables::{
    InvoiceStatus, PayableId, PayableKind, RecurringState, RecurringStatus, Title, recurring_status,
};
use trousseau_domain::recurrence::{Every, Interval, InvalidInterval};
use trousseau_domain::time::{LocalTime, Timestamp};
use trousseau_service::idempotency::Answered;
use trousseau_service::payments::recurring_payments::{
    RecurringPayment, RecurringPaymentChange, RecurringPaymentDraft,
};
use trousseau_service::{InvoiceFilter, InvoiceRow, RecurringPaymentFilter, RecurringPaymentRow, ServiceError};

use super::{
    Asked, Badge, Currencies, CustomerFields, Entry, Hosted, Id, LATEST, Maker, Names, Nothing, PaymentLine, Question,
    ROWS, amounts, ask, currency_of, history, invoices, is_live, kept, may_write, once, once_more, payments_for, said,
    sent_once,
};
use crate::dashboard::csv::{Csv, is_file};
use crate::dashboard::filters::ROWS_PER_READ;
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::{Shown, Sum};
use crate::dashboard::frame::{Frame, Tab};
use crate::dashboard::session::{Entered, ReadPayments, Stop, WritePayments};
use crate::dashboard::text::{Texts, message};
use crate::language::Language;
use crate::path::Path;
use crate::router::Web;
use crate::wire::payables::page_of;

/// What a merchant may have a recurring payment do.
const STATES: [RecurringState; 3] = [RecurringState::Active, RecurringState::Paused, RecurringState::Cancelled];
/// Days of a week, for whoever counts in weeks.
const WEEK: u16 = 7;
/// Months of a year.
const YEAR: u16 = 12;

/// A recurring payment as the list shows it.
#[derive(Debug)]
struct Row {
    href: String,
    /// What somebody called it.
    name: Option<String>,
    id: String,
    badge: Badge,
    customer: Option<String>,
    interval: String,
    amount: Sum,
    next: Option<Shown>,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/recurring-payments.html")]
struct ListPage<'a> {
    frame: &'a Frame,
    base: String,
    asked: Asked,
    filtered: bool,
    states: Vec<(&'static str, String)>,
    rows: Vec<Row>,
    next: Option<String>,
    csv: String,
    may_write: bool,
}

fn base<P>(entered: &Entered<P>) -> String {
    super::base(entered, Tab::RecurringPayments)
}

fn state_name(state: RecurringState, t: Texts) -> String {
    t.get(match state {
        RecurringState::Active => message!("recurring-active"),
        RecurringState::Paused => message!("recurring-paused"),
        RecurringState::Cancelled => message!("recurring-cancelled"),
    })
}

fn status_of(recurring: &RecurringPayment) -> RecurringStatus {
    recurring_status(recurring.row.state, recurring.overdue)
}

fn badge(recurring: &RecurringPayment, t: Texts) -> Badge {
    if recurring.row.deleted_at.is_some() {
        return Badge { tint: "bad", icon: "stop", text: t.get("payable-deleted") };
    }
    if recurring.row.held_at.is_some() {
        return Badge { tint: "warn", icon: "warn", text: t.get("recurring-held") };
    }
    let (tint, icon, text) = match status_of(recurring) {
        RecurringStatus::Active => ("ok", "check", message!("recurring-active")),
        RecurringStatus::PastDue => ("warn", "warn", message!("recurring-past-due")),
        RecurringStatus::Paused => ("", "clock", message!("recurring-paused")),
        RecurringStatus::Cancelled => ("", "stop", message!("recurring-cancelled")),
    };
    Badge { tint, icon, text: t.get(text) }
}

/// How far the periods lie apart, in words.
fn interval(interval: Interval, t: Texts) -> String {
    let (words, count) = match interval.every() {
        Every::Days(count) if count % WEEK == 0 => (message!("recurring-weeks"), count / WEEK),
        Every::Days(count) => (message!("recurring-days"), count),
        Every::Months(count) if count % YEAR == 0 => (message!("recurring-years"), count / YEAR),
        Every::Months(count) => (message!("recurring-months"), count),
    };
    t.with(words, [("count", u32::from(count))])
}

/// What it is called.
fn name(row: &RecurringPaymentRow, t: Texts) -> String {
    row.name.as_ref().map_or_else(|| t.get("recurring-payment"), ToString::to_string)
}

/// When the next period is made; none where no further one is.
fn next_due(row: &RecurringPaymentRow) -> Option<Timestamp> {
    row.next_due_at.filter(|_| row.state == RecurringState::Active && row.held_at.is_none())
}

/// What a customer is called, as far as that is known.
fn customer(row: &RecurringPaymentRow) -> Option<String> {
    let name = row.customer_name.as_ref().map(ToString::to_string);
    name.or_else(|| row.customer_reference.as_ref().map(ToString::to_string))
        .or_else(|| row.customer_email.as_ref().map(|email| email.as_str().to_owned()))
}

fn filter(asked: &Asked) -> RecurringPaymentFilter {
    RecurringPaymentFilter {
        state: asked.status.parse().ok(),
        search: asked.search(),
        ..RecurringPaymentFilter::default()
    }
}

/// The recurring payments, newest first, as a page or as a file.
pub(super) async fn list(
    entered: Entered<ReadPayments>,
    State(web): State<Web>,
    Query(asked): Query<Asked>,
) -> Result<Response, Stop> {
    let base = base(&entered);
    asked.check::<RecurringState, _>(&entered, &base)?;
    let filter = filter(&asked);
    if is_file(&asked.format) {
        return file(&web, &entered, &filter).await;
    }
    let page = web.app.recurring_payments().list(&entered.tenant, &filter, asked.after.parse().ok(), ROWS).await;
    let page = entered.gone_on(page, &base)?;
    let frame = entered.frame.clone().at(Tab::RecurringPayments, None);
    let t = frame.t;
    let row = |recurring: &RecurringPayment| Row {
        href: format!("{base}/{}", recurring.row.id),
        name: recurring.row.name.as_ref().map(ToString::to_string),
        id: recurring.row.id.to_string(),
        badge: badge(recurring, t),
        customer: customer(&recurring.row),
        interval: interval(recurring.row.interval, t),
        amount: frame.f.sum(recurring.row.amount),
        next: next_due(&recurring.row).map(|at| frame.f.date(at)),
    };
    Ok(frame.page(&ListPage {
        rows: page.data.iter().map(row).collect(),
        next: asked.next(&base, page.data.last().map(|last| last.row.id.to_string()), page.has_more),
        csv: asked.csv(&base),
        filtered: filter != RecurringPaymentFilter::default(),
        states: STATES.into_iter().map(|state| (state.as_str(), state_name(state, t))).collect(),
        may_write: may_write(&entered),
        frame: &frame,
        base,
        asked,
    }))
}

/// The same recurring payments as a file. Times are in UTC, amounts have a point.
async fn file(web: &Web, entered: &Entered<ReadPayments>, filter: &RecurringPaymentFilter) -> Result<Response, Stop> {
    let mut csv = Csv::of(
        &entered.frame,
        &[
            "id",
            "created_at",
            "status",
            "amount",
            "currency",
            "name",
            "interval_unit",
            "interval_count",
            "anchor",
            "next_due_at",
            "customer_name",
            "customer_email",
            "customer_reference",
            "url",
        ],
    );
    let read = |after| web.app.recurring_payments().list(&entered.tenant, filter, after, ROWS_PER_READ);
    let row = |recurring: &RecurringPayment| {
        let row = &recurring.row;
        let (unit, count) = match row.interval.every() {
            Every::Days(count) => ("days", count),
            Every::Months(count) => ("months", count),
        };
        [
            row.id.to_string(),
            row.created_at.to_string(),
            status_of(recurring).to_string(),
            row.amount.to_string(),
            row.amount.asset().code().to_string(),
            row.name.as_ref().map(ToString::to_string).unwrap_or_default(),
            unit.to_owned(),
            count.to_string(),
            row.anchor.to_string(),
            next_due(row).map(|at| at.to_string()).unwrap_or_default(),
            row.customer_name.as_ref().map(ToString::to_string).unwrap_or_default(),
            row.customer_email.as_ref().map(|email| email.as_str().to_owned()).unwrap_or_default(),
            row.customer_reference.as_ref().map(ToString::to_string).unwrap_or_default(),
            page_of(web.app.address(), PayableKind::RecurringPayment, &row.id),
        ]
    };
    let written = csv.rows(read, |recurring: &RecurringPayment| recurring.row.id, row).await;
    written.map_err(|error| entered.refused(error, &base(entered)))?;
    Ok(csv.finish(&format!("recurring-payments-{}-{}.csv", entered.tenant.business, entered.tenant.environment)))
}

/// A period: an invoice of its own.
#[derive(Debug)]
struct Period {
    href: String,
    number: String,
    badge: Badge,
    amount: Sum,
    due: Shown,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/recurring-payment.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is something the template asks by itself")]
struct ShowPage<'a> {
    frame: &'a Frame,
    base: String,
    path: String,
    id: String,
    name: String,
    /// Whether somebody chose the name.
    named: bool,
    badge: Badge,
    amount: Sum,
    interval: String,
    first: Shown,
    next: Option<Shown>,
    /// Whether the latest period waits to be paid.
    payable: bool,
    may_change: bool,
    may_pause: bool,
    may_resume: bool,
    may_delete: bool,
    held: bool,
    deleted: bool,
    customer_name: Option<String>,
    customer_email: Option<String>,
    reference: Option<String>,
    wallet: Option<String>,
    redirect: Option<String>,
    metadata: Vec<(String, String)>,
    created: Shown,
    maker: Maker,
    hosted: Hosted,
    periods: Vec<Period>,
    payments: Vec<PaymentLine>,
    history: Vec<Entry>,
}

/// The latest periods, the newest first.
async fn periods<P>(
    web: &Web,
    entered: &Entered<P>,
    id: RecurringPaymentId,
    now: Timestamp,
) -> Result<Vec<Period>, ServiceError> {
    let filter = InvoiceFilter { recurring: Some(id), include_deleted: true, ..InvoiceFilter::default() };
    let mut page = web.app.invoices().list(&entered.tenant, &filter, None, LATEST).await?;
    // Those that were made up were made at once, and are in no order.
    page.data.sort_by_key(|invoice| std::cmp::Reverse(invoice.due_at));
    let (f, t) = (&entered.frame.f, entered.frame.t);
    let invoices = super::base(entered, Tab::Invoices);
    let period = |invoice: &InvoiceRow| Period {
        href: format!("{invoices}/{}", invoice.id),
        number: invoices::name(invoice, t),
        badge: invoices::badge(invoice, now, t),
        amount: f.sum(invoice.amount),
        due: f.last_date(invoice.due_at),
    };
    Ok(page.data.iter().map(period).collect())
}

/// One recurring payment.
pub(super) async fn show(
    entered: Entered<ReadPayments>,
    State(web): State<Web>,
    Path(path): Id,
) -> Result<Response, Stop> {
    let base = base(&entered);
    let refused = |error| entered.refused(error, &base);
    let id: RecurringPaymentId = path.read()?;
    let recurring = web.app.recurring_payments().get(&entered.tenant, id).await.map_err(refused)?;
    let names = Names::of(&web, &entered).await.map_err(refused)?;
    let periods = periods(&web, &entered, id, recurring.now).await.map_err(refused)?;
    let payments = payments_for(&web, &entered, PayableId::RecurringPayment(id)).await.map_err(refused)?;
    let history = history(&web, &entered, &names, id.to_string()).await.map_err(refused)?;
    let frame = entered.frame.clone().at(Tab::RecurringPayments, None);
    let (f, t) = (&frame.f, frame.t);
    let row = &recurring.row;
    let deleted = row.deleted_at.is_some();
    let open =
        matches!(recurring.latest.life().status_at(recurring.now), InvoiceStatus::Pending | InvoiceStatus::PastDue);
    let goes_on = may_write(&entered) && !deleted && row.state != RecurringState::Cancelled;
    let stands = row.state == RecurringState::Paused || row.held_at.is_some();
    Ok(frame.page(&ShowPage {
        path: format!("{base}/{id}"),
        id: id.to_string(),
        name: name(row, t),
        named: row.name.is_some(),
        badge: badge(&recurring, t),
        amount: f.sum(row.amount),
        interval: interval(row.interval, t),
        first: f.moment(row.anchor),
        next: next_due(row).map(|at| f.moment(at)),
        payable: open && !deleted,
        may_change: goes_on,
        may_pause: goes_on && row.state == RecurringState::Active,
        may_resume: goes_on && stands,
        may_delete: may_write(&entered) && !deleted,
        held: row.held_at.is_some(),
        deleted,
        customer_name: row.customer_name.as_ref().map(ToString::to_string),
        customer_email: row.customer_email.as_ref().map(|email| email.as_str().to_owned()),
        reference: row.customer_reference.as_ref().map(ToString::to_string),
        wallet: row.customer_wallet.as_ref().map(ToString::to_string),
        redirect: row.redirect_url.as_ref().map(ToString::to_string),
        metadata: BTreeMap::from(row.metadata.clone()).into_iter().collect(),
        created: f.moment(row.created_at),
        maker: names.maker(&row.created_by),
        hosted: Hosted::of(&web, PayableKind::RecurringPayment, &id),
        periods,
        payments,
        history,
        frame: &frame,
        base,
    }))
}

/// What was typed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    once: String,
    name: String,
    amount: String,
    currency: String,
    first: String,
    count: String,
    unit: String,
    #[serde(flatten)]
    customer: CustomerFields,
}

/// What was meant by the fields that may change later too.
struct Wanted {
    amount: Money,
    name: Option<Title>,
    customer: super::Customer,
}

impl Fields {
    fn of(row: &RecurringPaymentRow, language: Language) -> Self {
        let text = |value: Option<String>| value.unwrap_or_default();
        Self {
            name: text(row.name.as_ref().map(ToString::to_string)),
            amount: amounts::written(row.amount, language),
            currency: row.amount.asset().code().to_string(),
            customer: CustomerFields {
                customer_name: text(row.customer_name.as_ref().map(ToString::to_string)),
                customer_email: text(row.customer_email.as_ref().map(|email| email.as_str().to_owned())),
                customer_reference: text(row.customer_reference.as_ref().map(ToString::to_string)),
                redirect_url: text(row.redirect_url.as_ref().map(ToString::to_string)),
            },
            ..Self::default()
        }
    }

    fn read<P>(&self, asset: Option<Asset>, entered: &Entered<P>, errors: &mut FormErrors) -> Option<Wanted> {
        let t = entered.frame.t;
        let name = said(&self.name, |text| text.parse().ok(), || errors.add("name", t.get("wrong-title")));
        let amount = Money::parse_price(&amounts::plain(&self.amount, t.language()), asset.unwrap_or(Asset::USDC));
        let amount = errors.read("amount", amount, t.get("wrong-amount"));
        let customer = self.customer.read(entered, errors);
        Some(Wanted { amount: amount?, name, customer })
    }

    fn draft(
        &self,
        asset: Option<Asset>,
        entered: &Entered<WritePayments>,
        errors: &mut FormErrors,
    ) -> Option<RecurringPaymentDraft> {
        let t = entered.frame.t;
        let wanted = self.read(asset, entered, errors);
        let first = self.first.trim().parse::<LocalTime>();
        let first = first.and_then(|local| entered.business.time_zone.first_at_or_after(local));
        let first = errors.read("first", first, t.get("wrong-first-due"));
        let interval = errors.read("count", self.interval(), t.get("wrong-interval"));
        let (wanted, anchor, interval) = (wanted?, first?, interval?);
        errors.is_empty().then(|| RecurringPaymentDraft {
            amount: wanted.amount,
            name: wanted.name,
            anchor,
            interval,
            customer_name: wanted.customer.name,
            customer_email: wanted.customer.email,
            customer_wallet: None,
            customer_reference: wanted.customer.reference,
            redirect_url: wanted.customer.redirect_url,
            metadata: Metadata::default(),
            with_pdf: true,
        })
    }

    fn interval(&self) -> Result<Interval, InvalidInterval> {
        let count: u16 = self.count.trim().parse().map_err(|_| InvalidInterval)?;
        let times = |length| count.checked_mul(length).ok_or(InvalidInterval);
        match self.unit.as_str() {
            "days" => Interval::days(count),
            "weeks" => Interval::days(times(WEEK)?),
            "months" => Interval::months(count),
            "years" => Interval::months(times(YEAR)?),
            _ => Err(InvalidInterval),
        }
    }
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/recurring-form.html")]
struct FormPage<'a> {
    frame: &'a Frame,
    base: String,
    action: String,
    back: String,
    /// What the one that is changed is called; none where one is made.
    editing: Option<String>,
    currencies: Currencies,
    units: [(&'static str, String); 4],
    fields: Fields,
    errors: FormErrors,
    live: bool,
}

fn draw(
    web: &Web,
    entered: &Entered<WritePayments>,
    status: StatusCode,
    row: Option<&RecurringPaymentRow>,
    fields: Fields,
    errors: FormErrors,
) -> Response {
    let frame = entered.frame.clone().at(Tab::RecurringPayments, None);
    let base = base(entered);
    let t = frame.t;
    let back = row.map_or_else(|| base.clone(), |row| format!("{base}/{}", row.id));
    let template = FormPage {
        action: row.map_or_else(|| format!("{base}/create"), |_| format!("{back}/edit")),
        editing: row.map(|row| name(row, t)),
        currencies: match row {
            Some(row) => Currencies::fixed(row.amount.asset(), t),
            None => Currencies::offered(web, entered, &fields.currency),
        },
        units: [
            ("days", t.get("unit-days")),
            ("weeks", t.get("unit-weeks")),
            ("months", t.get("unit-months")),
            ("years", t.get("unit-years")),
        ],
        live: is_live(entered),
        frame: &frame,
        base,
        back,
        fields,
        errors,
    };
    frame.page_with(status, &template)
}

/// The form of a new recurring payment.
pub(super) async fn form(State(web): State<Web>, entered: Entered<WritePayments>) -> Result<Response, Stop> {
    entered.prove_first(&entered.frame.here)?;
    let fields = Fields { once: once(&web), count: "1".to_owned(), unit: "months".to_owned(), ..Fields::default() };
    Ok(draw(&web, &entered, StatusCode::OK, None, fields, FormErrors::new()))
}

/// Makes the recurring payment, with its first period.
pub(super) async fn make(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    Form(fields): Form<Fields>,
) -> Result<Response, Stop> {
    let mut errors = FormErrors::new();
    let asset = currency_of(&web, &entered, &fields.currency, &mut errors);
    let Some(draft) = fields.draft(asset, &entered, &mut errors) else {
        return Ok(draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, None, fields, errors));
    };
    let base = base(&entered);
    let create = format!("{base}/create");
    let render = |recurring: &RecurringPayment| kept(&recurring.row.id);
    let once = sent_once(&entered.person, &entered.frame, &create, &fields.once, &fields, &render);
    match web.app.recurring_payments().create(&entered.context, &entered.tenant, &draft, once.as_ref()).await {
        Ok(Answered::Done(made)) => {
            let page = format!("{base}/{}", made.row.id);
            Ok(entered.frame.done(&page, message!("flash-recurring-made"), &name(&made.row, entered.frame.t)))
        }
        Ok(Answered::Replayed(_)) => Ok(entered.frame.done(&base, message!("flash-form-sent-already"), "")),
        Err(ServiceError::IdempotencyKeyReused) => {
            let fields = Fields { once: once_more(&web, entered.frame.t, &mut errors), ..fields };
            Ok(draw(&web, &entered, StatusCode::CONFLICT, None, fields, errors))
        }
        Err(error) => Err(entered.refused(error, &create)),
    }
}

/// The recurring payment that a path names, as long as something can be done with it, and its page.
async fn target(web: &Web, entered: &Entered<WritePayments>, path: &Id) -> Result<(RecurringPaymentRow, String), Stop> {
    let base = base(entered);
    let id: RecurringPaymentId = path.0.read()?;
    let found = web.app.recurring_payments().get(&entered.tenant, id).await;
    let row = found.map_err(|error| entered.refused(error, &base))?.row;
    let page = format!("{base}/{id}");
    if row.deleted_at.is_some() { Err(Stop::go(&page)) } else { Ok((row, page)) }
}

/// What a request did that nobody named: it is nobody's repetition.
fn unnamed(done: Answered<RecurringPayment>) -> Result<RecurringPayment, ServiceError> {
    match done {
        Answered::Done(recurring) => Ok(recurring),
        Answered::Replayed(_) => Err(ServiceError::Conflict),
    }
}

/// The end of an act: where it came too late, the page shows how things stand.
fn acted(
    entered: &Entered<WritePayments>,
    page: &str,
    done: Result<RecurringPayment, ServiceError>,
    flash: &'static str,
) -> Result<Response, Stop> {
    match done {
        Ok(recurring) => Ok(entered.frame.done(page, flash, &name(&recurring.row, entered.frame.t))),
        Err(ServiceError::RecurringPaymentEnded) => Ok(entered.frame.done(page, message!("flash-recurring-ended"), "")),
        Err(error) => Err(entered.refused(error, page)),
    }
}

/// The form of a recurring payment that is there.
pub(super) async fn edit_form(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
) -> Result<Response, Stop> {
    let (row, page) = target(&web, &entered, &path).await?;
    if row.state == RecurringState::Cancelled {
        return Err(Stop::go(&page));
    }
    entered.prove_first(&entered.frame.here)?;
    Ok(draw(
        &web,
        &entered,
        StatusCode::OK,
        Some(&row),
        Fields::of(&row, entered.frame.t.language()),
        FormErrors::new(),
    ))
}

/// Changes the recurring payment from its next period on.
pub(super) async fn edit(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(fields): Form<Fields>,
) -> Result<Response, Stop> {
    let (row, page) = target(&web, &entered, &path).await?;
    let mut errors = FormErrors::new();
    let Some(wanted) = fields.read(Some(row.amount.asset()), &entered, &mut errors).filter(|_| errors.is_empty())
    else {
        return Ok(draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, Some(&row), fields, errors));
    };
    let change = RecurringPaymentChange {
        amount: Some(wanted.amount),
        name: Some(wanted.name),
        customer_name: Some(wanted.customer.name),
        customer_email: Some(wanted.customer.email),
        customer_reference: Some(wanted.customer.reference),
        redirect_url: Some(wanted.customer.redirect_url),
        ..RecurringPaymentChange::default()
    };
    match web.app.recurring_payments().update(&entered.context, &entered.tenant, row.id, &change).await {
        Err(error @ ServiceError::StepUpRequired) => Err(entered.refused(error, &format!("{page}/edit"))),
        done => acted(&entered, &page, done, message!("flash-recurring-saved")),
    }
}

/// Has no further period made until it goes on.
pub(super) async fn pause(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let (row, page) = target(&web, &entered, &path).await?;
    let done = web.app.recurring_payments().pause(&entered.context, &entered.tenant, row.id, None).await;
    acted(&entered, &page, done.and_then(unnamed), message!("flash-recurring-paused"))
}

/// Goes on.
pub(super) async fn resume(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let (row, page) = target(&web, &entered, &path).await?;
    let done = web.app.recurring_payments().resume(&entered.context, &entered.tenant, row.id, None).await;
    acted(&entered, &page, done.and_then(unnamed), message!("flash-recurring-resumed"))
}

/// Asks whether to end the recurring payment.
pub(super) async fn cancel_form(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
) -> Result<Response, Stop> {
    let (row, page) = target(&web, &entered, &path).await?;
    if row.state == RecurringState::Cancelled {
        return Err(Stop::go(&page));
    }
    let t = entered.frame.t;
    let name = name(&row, t);
    let question = Question {
        text: t.with("recurring-cancel-question", [("name", name.as_str())]),
        consequence: t.get("recurring-cancel-consequence"),
        button: t.get("recurring-cancel"),
    };
    ask(&entered, Tab::RecurringPayments, page, "cancel", name, question)
}

/// Ends the recurring payment.
pub(super) async fn cancel(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let (row, page) = target(&web, &entered, &path).await?;
    let done = web.app.recurring_payments().cancel(&entered.context, &entered.tenant, row.id, None).await;
    acted(&entered, &page, done.and_then(unnamed), message!("flash-recurring-cancelled"))
}

/// Asks whether to delete the recurring payment.
pub(super) async fn delete_form(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
) -> Result<Response, Stop> {
    let (row, page) = target(&web, &entered, &path).await?;
    let t = entered.frame.t;
    let name = name(&row, t);
    let question = Question::of_delete(&name, t);
    ask(&entered, Tab::RecurringPayments, page, "delete", name, question)
}

/// Deletes the recurring payment.
pub(super) async fn delete(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let (row, page) = target(&web, &entered, &path).await?;
    let deleted = web.app.recurring_payments().delete(&entered.context, &entered.tenant, row.id).await;
    let deleted = deleted.map_err(|error| entered.refused(error, &format!("{page}/delete")))?;
    Ok(entered.frame.done(&base(&entered), message!("flash-recurring-deleted"), &name(&deleted.row, entered.frame.t)))
}
