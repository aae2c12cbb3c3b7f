//! Invoices: found, made, called off, deleted.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trousseau_domain::ids::InvoiceId;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::payables::{InvoiceStatus, PayableId, PayableKind, Title};
use trousseau_domain::time::{Day, Timestamp};
use trousseau_service::idempotency::Answered;
use trousseau_service::payments::invoices::{Billed, InvoiceDraft};
use trousseau_service::{InvoiceFilter, InvoiceRow, ServiceError};

use super::{
    Asked, Badge, Currencies, CustomerFields, Entry, Hosted, Id, Maker, Names, Nothing, PaymentLine, Question, ROWS,
    amounts, ask, currency_of, history, is_live, kept, may_write, once, once_more, payments_for, sent_once,
};
use crate::answer;
use crate::dashboard::csv::{Csv, is_file};
use crate::dashboard::filters::ROWS_PER_READ;
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::{Shown, Sum};
use crate::dashboard::frame::{Frame, Tab};
use crate::dashboard::session::{Entered, ReadPayments, Stop, WritePayments};
use crate::dashboard::text::{Texts, message};
use crate::path::Path;
use crate::router::Web;
use crate::wire::payables::page_of;

/// Where an invoice may stand.
const STATUSES: [InvoiceStatus; 4] =
    [InvoiceStatus::Pending, InvoiceStatus::PastDue, InvoiceStatus::Paid, InvoiceStatus::Void];

/// An invoice as the list shows it.
#[derive(Debug)]
struct Row {
    href: String,
    number: String,
    title: String,
    badge: Badge,
    customer: Option<String>,
    amount: Sum,
    due: Shown,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/invoices.html")]
struct ListPage<'a> {
    frame: &'a Frame,
    base: String,
    asked: Asked,
    filtered: bool,
    statuses: Vec<(&'static str, String)>,
    rows: Vec<Row>,
    next: Option<String>,
    csv: String,
    may_write: bool,
}

fn base<P>(entered: &Entered<P>) -> String {
    super::base(entered, Tab::Invoices)
}

fn status_name(status: InvoiceStatus, t: Texts) -> String {
    t.get(match status {
        InvoiceStatus::Pending => message!("invoice-pending"),
        InvoiceStatus::PastDue => message!("invoice-past-due"),
        InvoiceStatus::Paid => message!("invoice-paid"),
        InvoiceStatus::Void => message!("invoice-void"),
    })
}

pub(super) fn badge(invoice: &InvoiceRow, now: Timestamp, t: Texts) -> Badge {
    if invoice.deleted_at.is_some() {
        return Badge { tint: "bad", icon: "stop", text: t.get("invoice-deleted-state") };
    }
    let status = invoice.life().status_at(now);
    let (tint, icon) = match status {
        InvoiceStatus::Pending => ("", "clock"),
        InvoiceStatus::PastDue => ("warn", "warn"),
        InvoiceStatus::Paid => ("ok", "check"),
        InvoiceStatus::Void => ("", "stop"),
    };
    Badge { tint, icon, text: status_name(status, t) }
}

/// What an invoice is called.
pub(super) fn name(invoice: &InvoiceRow, t: Texts) -> String {
    t.with("invoice-number", [("number", invoice.number.to_string())])
}

fn filter(asked: &Asked) -> InvoiceFilter {
    InvoiceFilter { status: asked.status.parse().ok(), search: asked.search(), ..InvoiceFilter::default() }
}

/// The invoices, newest first, as a page or as a file.
pub(super) async fn list(
    entered: Entered<ReadPayments>,
    State(web): State<Web>,
    Query(asked): Query<Asked>,
) -> Result<Response, Stop> {
    let base = base(&entered);
    asked.check::<InvoiceStatus, _>(&entered, &base)?;
    let filter = filter(&asked);
    let now = web.app.invoices().now(&entered.tenant).await.map_err(|error| entered.refused(error, &base))?;
    if is_file(&asked.format) {
        return file(&web, &entered, &filter, now).await;
    }
    let page = web.app.invoices().list(&entered.tenant, &filter, asked.after.parse().ok(), ROWS).await;
    let page = entered.gone_on(page, &base)?;
    let frame = entered.frame.clone().at(Tab::Invoices, None);
    let t = frame.t;
    let row = |invoice: &InvoiceRow| Row {
        href: format!("{base}/{}", invoice.id),
        number: name(invoice, t),
        title: invoice.title.to_string(),
        badge: badge(invoice, now, t),
        customer: customer(invoice),
        amount: frame.f.sum(invoice.amount),
        due: frame.f.last_date(invoice.due_at),
    };
    Ok(frame.page(&ListPage {
        rows: page.data.iter().map(row).collect(),
        next: asked.next(&base, page.data.last().map(|last| last.id.to_string()), page.has_more),
        csv: asked.csv(&base),
        filtered: filter != InvoiceFilter::default(),
        statuses: STATUSES.into_iter().map(|status| (status.as_str(), status_name(status, t))).collect(),
        may_write: may_write(&entered),
        frame: &frame,
        base,
        asked,
    }))
}

/// What a customer is called, as far as that is known.
fn customer(invoice: &InvoiceRow) -> Option<String> {
    super::customer(
        invoice.customer_name.as_ref(),
        invoice.customer_reference.as_ref(),
        invoice.customer_email.as_ref(),
    )
}

/// The same invoices as a file. Times are in UTC, amounts have a point.
async fn file(
    web: &Web,
    entered: &Entered<ReadPayments>,
    filter: &InvoiceFilter,
    now: Timestamp,
) -> Result<Response, Stop> {
    let mut csv = Csv::of(
        &entered.frame,
        &[
            "id",
            "number",
            "created_at",
            "status",
            "amount",
            "currency",
            "title",
            "due_at",
            "customer_name",
            "customer_email",
            "customer_reference",
            "url",
        ],
    );
    let read = |after| web.app.invoices().list(&entered.tenant, filter, after, ROWS_PER_READ);
    let row = |invoice: &InvoiceRow| {
        [
            invoice.id.to_string(),
            invoice.number.to_string(),
            invoice.created_at.to_string(),
            invoice.life().status_at(now).to_string(),
            invoice.amount.to_string(),
            invoice.amount.asset().code().to_string(),
            invoice.title.to_string(),
            invoice.due_at.to_string(),
            invoice.customer_name.as_ref().map(ToString::to_string).unwrap_or_default(),
            invoice.customer_email.as_ref().map(|email| email.as_str().to_owned()).unwrap_or_default(),
            invoice.customer_reference.as_ref().map(ToString::to_string).unwrap_or_default(),
            page_of(web.app.address(), PayableKind::Invoice, &invoice.id),
        ]
    };
    let written = csv.rows(read, |invoice: &InvoiceRow| invoice.id, row).await;
    written.map_err(|error| entered.refused(error, &base(entered)))?;
    Ok(csv.finish(&format!("invoices-{}-{}.csv", entered.tenant.business, entered.tenant.environment)))
}

/// A line of the sum.
#[derive(Debug)]
struct Line {
    what: String,
    quantity: String,
    amount: Sum,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/invoice.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is something the template asks by itself")]
struct ShowPage<'a> {
    frame: &'a Frame,
    base: String,
    path: String,
    id: String,
    name: String,
    title: String,
    badge: Badge,
    amount: Sum,
    lines: Vec<Line>,
    due: Shown,
    payable: bool,
    /// Whether it can be mailed now; to whom is known.
    may_send: bool,
    may_void: bool,
    may_delete: bool,
    deleted: bool,
    customer_name: Option<String>,
    customer_email: Option<String>,
    reference: Option<String>,
    redirect: Option<String>,
    /// The page of the recurring payment whose period it is.
    recurring: Option<String>,
    /// When it was last mailed.
    sent: Option<Shown>,
    created: Shown,
    maker: Maker,
    hosted: Hosted,
    payments: Vec<PaymentLine>,
    history: Vec<Entry>,
}

/// One invoice.
pub(super) async fn show(
    entered: Entered<ReadPayments>,
    State(web): State<Web>,
    Path(path): Id,
) -> Result<Response, Stop> {
    let base = base(&entered);
    let refused = |error| entered.refused(error, &base);
    let id: InvoiceId = path.read()?;
    let invoice = web.app.invoices().get(&entered.tenant, id).await.map_err(refused)?;
    let now = web.app.invoices().now(&entered.tenant).await.map_err(refused)?;
    let names = Names::of(&web, &entered).await.map_err(refused)?;
    // A period is paid under the name of its recurring payment.
    let payable =
        invoice.period.map_or(PayableId::Invoice(id), |(recurring, _)| PayableId::RecurringPayment(recurring));
    let payments = payments_for(&web, &entered, payable).await.map_err(refused)?;
    let history = history(&web, &entered, &names, id.to_string()).await.map_err(refused)?;
    let frame = entered.frame.clone().at(Tab::Invoices, None);
    let (f, t) = (&frame.f, frame.t);
    let line = |line: &trousseau_domain::payables::InvoiceLine| Line {
        what: line.description.to_string(),
        quantity: f.number(line.quantity.into()),
        amount: line
            .amount()
            .and_then(|units| Money::from_units(units, invoice.amount.asset()))
            .map(|money| f.sum(money))
            .unwrap_or_default(),
    };
    let deleted = invoice.deleted_at.is_some();
    let open = matches!(invoice.life().status_at(now), InvoiceStatus::Pending | InvoiceStatus::PastDue);
    Ok(frame.page(&ShowPage {
        path: format!("{base}/{id}"),
        id: id.to_string(),
        name: name(&invoice, t),
        title: invoice.title.to_string(),
        badge: badge(&invoice, now, t),
        amount: f.sum(invoice.amount),
        lines: invoice.lines.iter().map(line).collect(),
        due: f.last_date(invoice.due_at),
        payable: open && !deleted,
        may_send: may_write(&entered) && open && !deleted && invoice.customer_email.is_some(),
        may_void: may_write(&entered) && open && !deleted,
        may_delete: may_write(&entered) && !deleted,
        deleted,
        customer_name: invoice.customer_name.as_ref().map(ToString::to_string),
        customer_email: invoice.customer_email.as_ref().map(|email| email.as_str().to_owned()),
        reference: invoice.customer_reference.as_ref().map(ToString::to_string),
        redirect: invoice.redirect_url.as_ref().map(ToString::to_string),
        recurring: invoice
            .period
            .map(|(recurring, _)| format!("{}/{recurring}", super::base(&entered, Tab::RecurringPayments))),
        sent: invoice.sent_at.map(|at| f.moment(at)),
        created: f.moment(invoice.created_at),
        maker: names.maker(&invoice.created_by),
        hosted: Hosted::of(&web, PayableKind::Invoice, &id),
        payments,
        history,
        frame: &frame,
        base,
    }))
}

/// The invoice as a file.
pub(super) async fn pdf(
    entered: Entered<ReadPayments>,
    State(web): State<Web>,
    Path(path): Id,
) -> Result<Response, Stop> {
    let found = web.app.invoices().pdf(&entered.tenant, path.read()?).await;
    found.map(answer::file).map_err(|error| entered.refused(error, &base(&entered)))
}

/// Mails the invoice to its customer, once more where it was before.
pub(super) async fn send(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let (invoice, page) = target(&web, &entered, &path).await?;
    let name = name(&invoice, entered.frame.t);
    match web.app.invoices().send(&entered.context, &entered.tenant, invoice.id, None).await {
        Ok(_) => Ok(entered.frame.done(&page, message!("flash-invoice-sent"), &name)),
        Err(ServiceError::MailLimitReached { .. }) => {
            Ok(entered.frame.done(&page, message!("flash-invoice-mailed-enough"), &name))
        }
        // It was paid, called off or changed in the meantime: the page shows so.
        Err(ServiceError::InvoiceClosed | ServiceError::NoCustomerEmail) => {
            Ok(entered.frame.done(&page, message!("flash-invoice-not-sent"), &name))
        }
        Err(error) => Err(entered.refused(error, &page)),
    }
}

/// What was typed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    once: String,
    title: String,
    amount: String,
    currency: String,
    due: String,
    #[serde(flatten)]
    customer: CustomerFields,
}

impl Fields {
    fn read(
        &self,
        asset: Option<Asset>,
        entered: &Entered<WritePayments>,
        errors: &mut FormErrors,
    ) -> Option<InvoiceDraft> {
        let t = entered.frame.t;
        let title = errors.read("title", self.title.trim().parse::<Title>(), t.get("wrong-invoice-title"));
        let amount = Money::parse_price(&amounts::plain(&self.amount, t.language()), asset.unwrap_or(Asset::USDC));
        let amount = errors.read("amount", amount, t.get("wrong-amount"));
        // The day is the last one on which it is in time.
        let due = self.due.trim().parse::<Day>().and_then(|day| entered.business.time_zone.end_of(day));
        let due = errors.read("due", due, t.get("wrong-due"));
        let customer = self.customer.read(entered, errors);
        let (title, amount, due_at) = (title?, amount?, due?);
        errors.is_empty().then(|| InvoiceDraft {
            title,
            billed: Billed::Whole(amount),
            due_at,
            customer_name: customer.name,
            customer_email: customer.email,
            customer_reference: customer.reference,
            redirect_url: customer.redirect_url,
            metadata: Metadata::default(),
            with_pdf: true,
            send: true,
        })
    }
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/invoice-form.html")]
struct FormPage<'a> {
    frame: &'a Frame,
    base: String,
    currencies: Currencies,
    fields: Fields,
    errors: FormErrors,
    live: bool,
}

fn draw(
    web: &Web,
    entered: &Entered<WritePayments>,
    status: StatusCode,
    fields: Fields,
    errors: FormErrors,
) -> Response {
    let frame = entered.frame.clone().at(Tab::Invoices, None);
    let currencies = Currencies::offered(web, entered, &fields.currency);
    let template = FormPage { base: base(entered), live: is_live(entered), frame: &frame, currencies, fields, errors };
    frame.page_with(status, &template)
}

/// The form of a new invoice.
pub(super) async fn form(State(web): State<Web>, entered: Entered<WritePayments>) -> Result<Response, Stop> {
    entered.prove_first(&entered.frame.here)?;
    Ok(draw(&web, &entered, StatusCode::OK, Fields { once: once(&web), ..Fields::default() }, FormErrors::new()))
}

/// Makes the invoice.
pub(super) async fn make(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    Form(fields): Form<Fields>,
) -> Result<Response, Stop> {
    let mut errors = FormErrors::new();
    let asset = currency_of(&web, &entered, &fields.currency, &mut errors);
    let Some(draft) = fields.read(asset, &entered, &mut errors) else {
        return Ok(draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, fields, errors));
    };
    let base = base(&entered);
    let create = format!("{base}/create");
    let render = |invoice: &InvoiceRow| kept(&invoice.id);
    let once = sent_once(&entered.person, &entered.frame, &create, &fields.once, &fields, &render);
    match web.app.invoices().create(&entered.context, &entered.tenant, &draft, once.as_ref()).await {
        Ok(Answered::Done(invoice)) => {
            let page = format!("{base}/{}", invoice.id);
            Ok(entered.frame.done(&page, message!("flash-invoice-made"), &name(&invoice, entered.frame.t)))
        }
        Ok(Answered::Replayed(_)) => Ok(entered.frame.done(&base, message!("flash-form-sent-already"), "")),
        Err(ServiceError::IdempotencyKeyReused) => {
            let fields = Fields { once: once_more(&web, entered.frame.t, &mut errors), ..fields };
            Ok(draw(&web, &entered, StatusCode::CONFLICT, fields, errors))
        }
        Err(error) => Err(entered.refused(error, &create)),
    }
}

/// The invoice that a path names, as long as something can be done with it, and its page.
async fn target(web: &Web, entered: &Entered<WritePayments>, path: &Id) -> Result<(InvoiceRow, String), Stop> {
    let base = base(entered);
    let id: InvoiceId = path.0.read()?;
    let invoice = web.app.invoices().get(&entered.tenant, id).await;
    let invoice = invoice.map_err(|error| entered.refused(error, &base))?;
    let page = format!("{base}/{id}");
    if invoice.deleted_at.is_some() { Err(Stop::go(&page)) } else { Ok((invoice, page)) }
}

/// Asks whether to call the invoice off.
pub(super) async fn void_form(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
) -> Result<Response, Stop> {
    let (invoice, page) = target(&web, &entered, &path).await?;
    if invoice.paid_at.is_some() || invoice.voided_at.is_some() {
        return Err(Stop::go(&page));
    }
    let t = entered.frame.t;
    let name = name(&invoice, t);
    let question = Question {
        text: t.with("invoice-void-question", [("name", name.as_str())]),
        consequence: t.get("invoice-void-consequence"),
        button: t.get("invoice-void-button"),
    };
    ask(&entered, Tab::Invoices, page, "void", name, question)
}

/// Calls the invoice off.
pub(super) async fn void(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let (invoice, page) = target(&web, &entered, &path).await?;
    let name = name(&invoice, entered.frame.t);
    match web.app.invoices().void(&entered.context, &entered.tenant, invoice.id, None).await {
        Ok(_) => Ok(entered.frame.done(&page, message!("flash-invoice-voided"), &name)),
        // It was paid in the meantime: the page shows so.
        Err(ServiceError::InvoiceClosed) => Ok(entered.frame.done(&page, message!("flash-invoice-moved"), "")),
        Err(error) => Err(entered.refused(error, &format!("{page}/void"))),
    }
}

/// Asks whether to delete the invoice.
pub(super) async fn delete_form(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
) -> Result<Response, Stop> {
    let (invoice, page) = target(&web, &entered, &path).await?;
    let t = entered.frame.t;
    let name = name(&invoice, t);
    let question = Question::of_delete(&name, t);
    ask(&entered, Tab::Invoices, page, "delete", name, question)
}

/// Deletes the invoice.
pub(super) async fn delete(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let (invoice, page) = target(&web, &entered, &path).await?;
    let deleted = web.app.invoices().delete(&entered.context, &entered.tenant, invoice.id).await;
    let deleted = deleted.map_err(|error| entered.refused(error, &format!("{page}/delete")))?;
    Ok(entered.frame.done(&base(&entered), message!("flash-invoice-deleted"), &name(&deleted, entered.frame.t)))
}
