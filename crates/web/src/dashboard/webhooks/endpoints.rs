//! The list of endpoints, one endpoint, and what is done with it at once.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use trousseau_domain::ids::DeliveryId;
use trousseau_domain::members::Operation;
use trousseau_domain::webhooks::{DeliveryState, Dialect, DisabledReason, EndpointState};
use trousseau_service::DeliveryFilter;
use trousseau_service::webhooks::{EndpointChange, EndpointView, MOST_ENDPOINTS};

use super::deliveries::{self, Badge};
use super::{Parts, at_home, base, endpoint_id, endpoint_of, is_live, path_of};
use crate::dashboard::filters::Check;
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::Shown;
use crate::dashboard::frame::{Frame, redirect};
use crate::dashboard::once::Switched;
use crate::dashboard::session::{Entered, ReadWebhooks, Stop, WriteWebhooks};
use crate::dashboard::text::{Texts, message};
use crate::router::Web;

/// How many deliveries a page shows.
const ROWS: u32 = 25;

/// An endpoint as pages show it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) path: String,
    pub(super) url: String,
    pub(super) description: Option<String>,
    pub(super) dialect: String,
    pub(super) is_mileston: bool,
    pub(super) events: String,
    pub(super) badge: Badge,
    pub(super) is_on: bool,
    pub(super) last: Option<Shown>,
    pub(super) created: Shown,
    pub(super) public_key: String,
    pub(super) previous_until: Option<Shown>,
    pub(super) disabled: Option<(String, Shown)>,
    pub(super) paused_until: Option<Shown>,
}

pub(super) fn dialect_label(dialect: Dialect, t: Texts) -> String {
    match dialect {
        Dialect::Standard => t.get("webhooks-standard"),
        Dialect::Mileston => t.get("webhooks-mileston"),
    }
}

impl Row {
    pub(super) fn of(frame: &Frame, view: &EndpointView) -> Self {
        let (t, f, endpoint) = (frame.t, &frame.f, &view.endpoint);
        let names = endpoint.subscription.names();
        let reason = |reason| match reason {
            DisabledReason::Manual => t.get("webhooks-disabled-manual"),
            DisabledReason::Gone => t.get("webhooks-disabled-gone"),
            DisabledReason::Failing => t.get("webhooks-disabled-failing"),
        };
        let badge = match endpoint.state() {
            EndpointState::Enabled => Badge { tint: "ok", icon: "check", text: t.get("webhooks-enabled") },
            EndpointState::Disabled => Badge { tint: "warn", icon: "pause", text: t.get("webhooks-disabled") },
        };
        Self {
            path: path_of(frame, endpoint.id),
            url: endpoint.url.to_string(),
            description: endpoint.description.as_ref().map(ToString::to_string),
            dialect: dialect_label(endpoint.subscription.dialect(), t),
            is_mileston: endpoint.subscription.dialect() == Dialect::Mileston,
            events: if names.is_empty() { t.get("webhooks-all-events") } else { names.join(", ") },
            badge,
            is_on: endpoint.disabled.is_none(),
            last: endpoint.last_success_at.map(|at| f.relative(at)),
            created: f.date(endpoint.created_at),
            public_key: view.public_key.clone(),
            previous_until: view.previous_until.map(|until| f.moment(until)),
            disabled: endpoint.disabled.map(|(at, why)| (reason(why), f.moment(at))),
            paused_until: endpoint.paused_until.filter(|until| *until > f.now()).map(|until| f.moment(until)),
        }
    }
}

#[derive(Debug, Template)]
#[template(path = "dashboard/webhooks/list.html")]
struct ListPage<'a> {
    frame: &'a Frame,
    base: String,
    rows: Vec<Row>,
    may_write: bool,
    /// Whether there is no room for another one.
    full: bool,
}

/// The endpoints, newest first. There are few, so there is one page.
pub(super) async fn list(entered: Entered<ReadWebhooks>, State(web): State<Web>) -> Result<Response, Stop> {
    let frame = at_home(entered.frame.clone());
    let base = base(&frame);
    let page = web.app.webhooks().list(&entered.tenant, None, MOST_ENDPOINTS).await;
    let page = page.map_err(|error| entered.refused(error, &base))?;
    let rows: Vec<Row> = page.data.iter().map(|view| Row::of(&frame, view)).collect();
    let may_write = entered.role.may(Operation::WebhooksWrite);
    let full = rows.len() >= MOST_ENDPOINTS as usize;
    Ok(frame.page(&ListPage { frame: &frame, base, rows, may_write, full }))
}

/// Which deliveries a page was asked for; what makes no sense is as if it had not been said.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Asked {
    #[serde(skip_serializing_if = "String::is_empty")]
    state: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    after: String,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/webhooks/show.html")]
struct ShowPage<'a> {
    frame: &'a Frame,
    base: String,
    row: Row,
    may_write: bool,
    live: bool,
    asked: Asked,
    states: Vec<(&'static str, String)>,
    deliveries: Vec<deliveries::Row>,
    next: Option<String>,
}

/// One endpoint with its deliveries.
pub(super) async fn show(
    entered: Entered<ReadWebhooks>,
    State(web): State<Web>,
    parts: Parts,
    Query(asked): Query<Asked>,
) -> Result<Response, Stop> {
    let view = endpoint_of(&web, &entered, &parts).await?;
    let frame = at_home(entered.frame.clone());
    let row = Row::of(&frame, &view);
    Check::of(&frame).choice::<DeliveryState>("state", &asked.state).done(&row.path)?;
    let filter = DeliveryFilter { state: asked.state.parse().ok(), event: None };
    let after: Option<DeliveryId> = asked.after.parse().ok();
    let page = web.app.webhooks().deliveries(&entered.tenant, view.endpoint.id, filter, after, ROWS).await;
    let page = entered.gone_on(page, &row.path)?;
    let next = page.data.last().filter(|_| page.has_more).map(|last| {
        let asked = Asked { after: last.id.to_string(), ..asked.clone() };
        format!("{}?{}", row.path, serde_html_form::to_string(&asked).unwrap_or_default())
    });
    let t = frame.t;
    Ok(frame.page(&ShowPage {
        frame: &frame,
        base: base(&frame),
        deliveries: page.data.iter().map(|delivery| deliveries::Row::of(&frame, &row.path, delivery)).collect(),
        row,
        may_write: entered.role.may(Operation::WebhooksWrite),
        live: is_live(&entered),
        asked,
        states: [DeliveryState::Pending, DeliveryState::Delivered, DeliveryState::Failed]
            .map(|state| (state.as_str(), deliveries::badge(state, t).text))
            .to_vec(),
        next,
    }))
}

/// The address of an act, opened as a page: the page of the endpoint.
pub(super) async fn back(entered: Entered<ReadWebhooks>, parts: Parts) -> Result<Response, Stop> {
    Ok(redirect(&path_of(&entered.frame, endpoint_id(&parts)?)))
}

/// The form has no fields of its own.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

/// Switches an endpoint to where the form says, so that a form sent twice does not undo itself.
pub(super) async fn switch(
    State(web): State<Web>,
    entered: Entered<WriteWebhooks>,
    parts: Parts,
    Form(wanted): Form<Switched>,
) -> Result<Response, Stop> {
    let view = endpoint_of(&web, &entered, &parts).await?;
    let page = path_of(&entered.frame, view.endpoint.id);
    let (state, told) = match wanted.to.as_str() {
        "off" => (EndpointState::Disabled, message!("flash-webhook-off")),
        "on" => (EndpointState::Enabled, message!("flash-webhook-on")),
        _ => return Err(Stop::go(&page)),
    };
    let change = EndpointChange { state: Some(state), ..EndpointChange::default() };
    let changed = web.app.webhooks().update(&entered.context, &entered.tenant, view.endpoint.id, &change).await;
    changed.map_err(|error| entered.refused(error, &page))?;
    Ok(entered.frame.done(&page, told, view.endpoint.url.as_str()))
}

#[derive(Debug, Template)]
#[template(path = "dashboard/webhooks/delete.html")]
struct DeletePage<'a> {
    frame: &'a Frame,
    row: Row,
    live: bool,
    errors: FormErrors,
}

/// Asks whether to remove an endpoint.
pub(super) async fn delete_form(
    State(web): State<Web>,
    entered: Entered<WriteWebhooks>,
    parts: Parts,
) -> Result<Response, Stop> {
    let view = endpoint_of(&web, &entered, &parts).await?;
    Ok(ask_delete(&entered, &view, http::StatusCode::OK, FormErrors::new()))
}

fn ask_delete(
    entered: &Entered<WriteWebhooks>,
    view: &EndpointView,
    status: http::StatusCode,
    errors: FormErrors,
) -> Response {
    let frame = at_home(entered.frame.clone());
    let row = Row::of(&frame, view);
    frame.page_with(status, &DeletePage { frame: &frame, row, live: is_live(entered), errors })
}

/// What was typed to confirm.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Confirmed {
    url: String,
}

/// Removes an endpoint; in LIVE its URL has to be typed.
pub(super) async fn delete(
    State(web): State<Web>,
    entered: Entered<WriteWebhooks>,
    parts: Parts,
    Form(confirmed): Form<Confirmed>,
) -> Result<Response, Stop> {
    let view = endpoint_of(&web, &entered, &parts).await?;
    if is_live(&entered) && confirmed.url.trim() != view.endpoint.url.as_str() {
        let mut errors = FormErrors::new();
        errors.add("url", entered.frame.t.get("webhooks-wrong-confirmation"));
        return Ok(ask_delete(&entered, &view, http::StatusCode::UNPROCESSABLE_ENTITY, errors));
    }
    let deleted = web.app.webhooks().delete(&entered.context, &entered.tenant, view.endpoint.id).await;
    let page = path_of(&entered.frame, view.endpoint.id);
    deleted.map_err(|error| entered.refused(error, &page))?;
    Ok(entered.frame.done(&base(&entered.frame), message!("flash-webhook-deleted"), view.endpoint.url.as_str()))
}
