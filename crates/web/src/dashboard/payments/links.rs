//! Payment links: found, made, changed, switched, deleted.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trousseau_domain::ids::PaymentLinkId;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::payables::{
    CustomerReference, Description, PayableId, PayableKind, PaymentLinkStatus, Title, WebUrl,
};
use trousseau_service::idempotency::Answered;
use trousseau_service::payments::payment_links::{PaymentLinkChange, PaymentLinkDraft};
use trousseau_service::{PaymentLinkFilter, PaymentLinkRow, ServiceError};

use super::{
    Asked, Badge, Currencies, Entry, Hosted, Id, Maker, Names, Nothing, PaymentLine, Question, ROWS, amounts, ask,
    currency_of, history, is_live, kept, link_status, may_write, once, once_more, payments_for, said, sent_once,
};
use crate::dashboard::csv::{Csv, is_file};
use crate::dashboard::filters::ROWS_PER_READ;
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::{Shown, Sum};
use crate::dashboard::frame::{Frame, Tab};
use crate::dashboard::once::Switched;
use crate::dashboard::session::{Entered, ReadPayments, Stop, WritePayments};
use crate::dashboard::text::{Texts, message};
use crate::language::Language;
use crate::path::Path;
use crate::router::Web;
use crate::wire::payables::page_of;

/// Where a payment link may stand.
const STATUSES: [PaymentLinkStatus; 3] =
    [PaymentLinkStatus::Active, PaymentLinkStatus::Inactive, PaymentLinkStatus::Paid];

/// A payment link as the list shows it.
#[derive(Debug)]
struct Row {
    href: String,
    id: String,
    title: Option<String>,
    badge: Badge,
    amount: Sum,
    single_use: bool,
    reference: Option<String>,
    at: Shown,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/links.html")]
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
    super::base(entered, Tab::PaymentLinks)
}

fn badge(link: &PaymentLinkRow, t: Texts) -> Badge {
    if link.deleted_at.is_some() {
        return Badge { tint: "bad", icon: "stop", text: t.get("payable-deleted") };
    }
    let status = link.status();
    let (tint, icon) = match status {
        PaymentLinkStatus::Active => ("ok", "live"),
        PaymentLinkStatus::Inactive => ("", "pause"),
        PaymentLinkStatus::Paid => ("ok", "check"),
    };
    Badge { tint, icon, text: link_status(status, t) }
}

/// What a payment link is called.
fn name(link: &PaymentLinkRow, t: Texts) -> String {
    link.title.as_ref().map_or_else(|| t.get("link-untitled"), ToString::to_string)
}

fn filter(asked: &Asked) -> PaymentLinkFilter {
    PaymentLinkFilter { status: asked.status.parse().ok(), search: asked.search(), ..PaymentLinkFilter::default() }
}

/// The payment links, newest first, as a page or as a file.
pub(super) async fn list(
    entered: Entered<ReadPayments>,
    State(web): State<Web>,
    Query(asked): Query<Asked>,
) -> Result<Response, Stop> {
    let base = base(&entered);
    asked.check::<PaymentLinkStatus, _>(&entered, &base)?;
    let filter = filter(&asked);
    if is_file(&asked.format) {
        return file(&web, &entered, &filter).await;
    }
    let page = web.app.payment_links().list(&entered.tenant, &filter, asked.after.parse().ok(), ROWS).await;
    let page = entered.gone_on(page, &base)?;
    let frame = entered.frame.clone().at(Tab::PaymentLinks, None);
    let t = frame.t;
    let row = |link: &PaymentLinkRow| Row {
        href: format!("{base}/{}", link.id),
        id: link.id.to_string(),
        title: link.title.as_ref().map(ToString::to_string),
        badge: badge(link, t),
        amount: frame.f.sum(link.amount),
        single_use: link.single_use,
        reference: link.customer_reference.as_ref().map(ToString::to_string),
        at: frame.f.relative(link.created_at),
    };
    Ok(frame.page(&ListPage {
        rows: page.data.iter().map(row).collect(),
        next: asked.next(&base, page.data.last().map(|last| last.id.to_string()), page.has_more),
        csv: asked.csv(&base),
        filtered: filter != PaymentLinkFilter::default(),
        statuses: STATUSES.into_iter().map(|status| (status.as_str(), link_status(status, t))).collect(),
        may_write: may_write(&entered),
        frame: &frame,
        base,
        asked,
    }))
}

/// The same payment links as a file. Times are in UTC, amounts have a point.
async fn file(web: &Web, entered: &Entered<ReadPayments>, filter: &PaymentLinkFilter) -> Result<Response, Stop> {
    let mut csv = Csv::of(
        &entered.frame,
        &["id", "created_at", "status", "amount", "currency", "title", "single_use", "customer_reference", "url"],
    );
    let read = |after| web.app.payment_links().list(&entered.tenant, filter, after, ROWS_PER_READ);
    let row = |link: &PaymentLinkRow| {
        [
            link.id.to_string(),
            link.created_at.to_string(),
            link.status().to_string(),
            link.amount.to_string(),
            link.amount.asset().code().to_string(),
            link.title.as_ref().map(ToString::to_string).unwrap_or_default(),
            link.single_use.to_string(),
            link.customer_reference.as_ref().map(ToString::to_string).unwrap_or_default(),
            page_of(web.app.address(), PayableKind::PaymentLink, &link.id),
        ]
    };
    let written = csv.rows(read, |link: &PaymentLinkRow| link.id, row).await;
    written.map_err(|error| entered.refused(error, &base(entered)))?;
    Ok(csv.finish(&format!("payment-links-{}-{}.csv", entered.tenant.business, entered.tenant.environment)))
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/link.html")]
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
    description: Option<String>,
    amount: Sum,
    single_use: bool,
    active: bool,
    deleted: bool,
    may_write: bool,
    reference: Option<String>,
    redirect: Option<String>,
    metadata: Vec<(String, String)>,
    created: Shown,
    maker: Maker,
    hosted: Hosted,
    payments: Vec<PaymentLine>,
    history: Vec<Entry>,
}

/// One payment link.
pub(super) async fn show(
    entered: Entered<ReadPayments>,
    State(web): State<Web>,
    Path(path): Id,
) -> Result<Response, Stop> {
    let base = base(&entered);
    let refused = |error| entered.refused(error, &base);
    let id: PaymentLinkId = path.read()?;
    let link = web.app.payment_links().get(&entered.tenant, id).await.map_err(refused)?;
    let names = Names::of(&web, &entered).await.map_err(refused)?;
    let payments = payments_for(&web, &entered, PayableId::PaymentLink(id)).await.map_err(refused)?;
    let history = history(&web, &entered, &names, id.to_string()).await.map_err(refused)?;
    let frame = entered.frame.clone().at(Tab::PaymentLinks, None);
    let t = frame.t;
    Ok(frame.page(&ShowPage {
        path: format!("{base}/{id}"),
        id: id.to_string(),
        name: name(&link, t),
        named: link.title.is_some(),
        badge: badge(&link, t),
        description: link.description.as_ref().map(ToString::to_string),
        amount: frame.f.sum(link.amount),
        single_use: link.single_use,
        active: link.active,
        deleted: link.deleted_at.is_some(),
        may_write: may_write(&entered) && link.deleted_at.is_none(),
        reference: link.customer_reference.as_ref().map(ToString::to_string),
        redirect: link.redirect_url.as_ref().map(ToString::to_string),
        metadata: BTreeMap::from(link.metadata.clone()).into_iter().collect(),
        created: frame.f.moment(link.created_at),
        maker: names.maker(&link.created_by),
        hosted: Hosted::of(&web, PayableKind::PaymentLink, &id),
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
    amount: String,
    currency: String,
    title: String,
    description: String,
    redirect_url: String,
    customer_reference: String,
    single_use: String,
}

/// What was meant.
struct Wanted {
    amount: Money,
    title: Option<Title>,
    description: Option<Description>,
    redirect_url: Option<WebUrl>,
    customer_reference: Option<CustomerReference>,
    single_use: bool,
}

impl Fields {
    fn of(link: &PaymentLinkRow, language: Language) -> Self {
        let text = |value: Option<String>| value.unwrap_or_default();
        Self {
            once: String::new(),
            amount: amounts::written(link.amount, language),
            currency: link.amount.asset().code().to_string(),
            title: text(link.title.as_ref().map(ToString::to_string)),
            description: text(link.description.as_ref().map(ToString::to_string)),
            redirect_url: text(link.redirect_url.as_ref().map(ToString::to_string)),
            customer_reference: text(link.customer_reference.as_ref().map(ToString::to_string)),
            single_use: if link.single_use { "yes".to_owned() } else { String::new() },
        }
    }

    fn read<P>(&self, asset: Option<Asset>, entered: &Entered<P>, errors: &mut FormErrors) -> Option<Wanted> {
        let t = entered.frame.t;
        let amount = Money::parse_price(&amounts::plain(&self.amount, t.language()), asset.unwrap_or(Asset::USDC));
        let amount = errors.read("amount", amount, t.get("wrong-amount"));
        let title = said(&self.title, |text| text.parse().ok(), || errors.add("title", t.get("wrong-title")));
        let description =
            said(&self.description, |text| text.parse().ok(), || errors.add("description", t.get("wrong-description")));
        let redirect_url = said(
            &self.redirect_url,
            |text| WebUrl::parse(text, entered.tenant.environment).ok(),
            || errors.add("redirect_url", t.get("wrong-redirect")),
        );
        let customer_reference = said(
            &self.customer_reference,
            |text| text.parse().ok(),
            || errors.add("customer_reference", t.get("wrong-reference")),
        );
        let amount = amount.filter(|_| errors.is_empty())?;
        let single_use = !self.single_use.is_empty();
        Some(Wanted { amount, title, description, redirect_url, customer_reference, single_use })
    }
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/link-form.html")]
struct FormPage<'a> {
    frame: &'a Frame,
    base: String,
    action: String,
    back: String,
    /// What the link that is changed is called; none where one is made.
    editing: Option<String>,
    currencies: Currencies,
    fields: Fields,
    errors: FormErrors,
    live: bool,
}

fn draw(
    web: &Web,
    entered: &Entered<WritePayments>,
    status: StatusCode,
    link: Option<&PaymentLinkRow>,
    fields: Fields,
    errors: FormErrors,
) -> Response {
    let frame = entered.frame.clone().at(Tab::PaymentLinks, None);
    let base = base(entered);
    let back = link.map_or_else(|| base.clone(), |link| format!("{base}/{}", link.id));
    let template = FormPage {
        action: link.map_or_else(|| format!("{base}/create"), |_| format!("{back}/edit")),
        editing: link.map(|link| name(link, frame.t)),
        currencies: match link {
            Some(link) => Currencies::fixed(link.amount.asset(), frame.t),
            None => Currencies::offered(web, entered, &fields.currency),
        },
        live: is_live(entered),
        frame: &frame,
        base,
        back,
        fields,
        errors,
    };
    frame.page_with(status, &template)
}

/// The form of a new payment link.
pub(super) async fn form(State(web): State<Web>, entered: Entered<WritePayments>) -> Result<Response, Stop> {
    entered.prove_first(&entered.frame.here)?;
    let fields = Fields { once: once(&web), ..Fields::default() };
    Ok(draw(&web, &entered, StatusCode::OK, None, fields, FormErrors::new()))
}

/// Makes the payment link.
pub(super) async fn make(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    Form(fields): Form<Fields>,
) -> Result<Response, Stop> {
    let mut errors = FormErrors::new();
    let asset = currency_of(&web, &entered, &fields.currency, &mut errors);
    let Some(wanted) = fields.read(asset, &entered, &mut errors) else {
        return Ok(draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, None, fields, errors));
    };
    let base = base(&entered);
    let draft = PaymentLinkDraft {
        amount: wanted.amount,
        title: wanted.title,
        description: wanted.description,
        redirect_url: wanted.redirect_url,
        logo_url: None,
        banner_url: None,
        customer_reference: wanted.customer_reference,
        metadata: Metadata::default(),
        single_use: wanted.single_use,
        active: true,
    };
    let create = format!("{base}/create");
    let render = |link: &PaymentLinkRow| kept(&link.id);
    let once = sent_once(&entered.person, &entered.frame, &create, &fields.once, &fields, &render);
    match web.app.payment_links().create(&entered.context, &entered.tenant, &draft, once.as_ref()).await {
        Ok(Answered::Done(link)) => {
            let page = format!("{base}/{}", link.id);
            Ok(entered.frame.done(&page, message!("flash-link-made"), &name(&link, entered.frame.t)))
        }
        Ok(Answered::Replayed(_)) => Ok(entered.frame.done(&base, message!("flash-form-sent-already"), "")),
        Err(ServiceError::IdempotencyKeyReused) => {
            let fields = Fields { once: once_more(&web, entered.frame.t, &mut errors), ..fields };
            Ok(draw(&web, &entered, StatusCode::CONFLICT, None, fields, errors))
        }
        Err(error) => Err(entered.refused(error, &create)),
    }
}

/// The payment link that a path names, as long as it can be changed, and its page.
async fn target(web: &Web, entered: &Entered<WritePayments>, path: &Id) -> Result<(PaymentLinkRow, String), Stop> {
    let base = base(entered);
    let id: PaymentLinkId = path.0.read()?;
    let link = web.app.payment_links().get(&entered.tenant, id).await;
    let link = link.map_err(|error| entered.refused(error, &base))?;
    let page = format!("{base}/{id}");
    if link.deleted_at.is_some() { Err(Stop::go(&page)) } else { Ok((link, page)) }
}

/// The form of a payment link that is there.
pub(super) async fn edit_form(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
) -> Result<Response, Stop> {
    let (link, _) = target(&web, &entered, &path).await?;
    entered.prove_first(&entered.frame.here)?;
    Ok(draw(
        &web,
        &entered,
        StatusCode::OK,
        Some(&link),
        Fields::of(&link, entered.frame.t.language()),
        FormErrors::new(),
    ))
}

/// Changes the payment link.
pub(super) async fn edit(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(fields): Form<Fields>,
) -> Result<Response, Stop> {
    let (link, page) = target(&web, &entered, &path).await?;
    let mut errors = FormErrors::new();
    let Some(wanted) = fields.read(Some(link.amount.asset()), &entered, &mut errors) else {
        return Ok(draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, Some(&link), fields, errors));
    };
    let change = PaymentLinkChange {
        amount: Some(wanted.amount),
        title: Some(wanted.title),
        description: Some(wanted.description),
        redirect_url: Some(wanted.redirect_url),
        customer_reference: Some(wanted.customer_reference),
        single_use: Some(wanted.single_use),
        ..PaymentLinkChange::default()
    };
    let changed = web.app.payment_links().update(&entered.context, &entered.tenant, link.id, &change).await;
    let changed = changed.map_err(|error| entered.refused(error, &format!("{page}/edit")))?;
    Ok(entered.frame.done(&page, message!("flash-link-saved"), &name(&changed, entered.frame.t)))
}

/// Switches the payment link off, or on.
pub(super) async fn switch(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(switched): Form<Switched>,
) -> Result<Response, Stop> {
    let (link, page) = target(&web, &entered, &path).await?;
    let active = switched.to == "on";
    let flash = if active { message!("flash-link-on") } else { message!("flash-link-off") };
    let change = PaymentLinkChange { active: Some(active), ..PaymentLinkChange::default() };
    let changed = web.app.payment_links().update(&entered.context, &entered.tenant, link.id, &change).await;
    let changed = changed.map_err(|error| entered.refused(error, &page))?;
    Ok(entered.frame.done(&page, flash, &name(&changed, entered.frame.t)))
}

/// Asks whether to delete the payment link.
pub(super) async fn delete_form(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
) -> Result<Response, Stop> {
    let (link, page) = target(&web, &entered, &path).await?;
    let t = entered.frame.t;
    let name = name(&link, t);
    let question = Question::of_delete(&name, t);
    ask(&entered, Tab::PaymentLinks, page, "delete", name, question)
}

/// Deletes the payment link.
pub(super) async fn delete(
    State(web): State<Web>,
    entered: Entered<WritePayments>,
    path: Id,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let (link, page) = target(&web, &entered, &path).await?;
    let deleted = web.app.payment_links().delete(&entered.context, &entered.tenant, link.id).await;
    let deleted = deleted.map_err(|error| entered.refused(error, &format!("{page}/delete")))?;
    Ok(entered.frame.done(&base(&entered), message!("flash-link-deleted"), &name(&deleted, entered.frame.t)))
}
