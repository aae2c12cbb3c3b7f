//! Developers > Request logs: each call of the business, and why one was refused.

use std::collections::HashMap;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::RequestId;
use trousseau_domain::requests::Outcome;
use trousseau_service::keys::KeyHandle;
use trousseau_service::{RequestFilter, RequestRow, ServiceError};

use super::format::Shown;
use super::frame::{Frame, Sub, Tab, redirect};
use super::session::{Entered, ReadLogs, Stop};
use super::text::message;
use crate::explain;
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// How many calls a page shows.
const ROWS: u32 = 50;

/// The routes of these pages.
pub(crate) fn routes() -> Router<Web> {
    let base = "/b/{business}/{environment}/developers/requests";
    Router::new().route(base, get(list)).route(&format!("{base}/{{reference}}"), get(show))
}

/// A call as a list shows it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) href: String,
    pub(crate) reference: String,
    pub(crate) at: Shown,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) outcome: String,
    /// The class of the badge.
    pub(crate) tint: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) code: String,
    /// The number of the key; the end of the value where no key has it.
    pub(crate) key: String,
    pub(crate) address: String,
    pub(crate) client: String,
    pub(crate) took: String,
}

/// Calls as lists show them.
pub(crate) async fn rows<P>(web: &Web, entered: &Entered<P>, calls: &[RequestRow]) -> Vec<Row> {
    let mut numbers = HashMap::new();
    let frame = &entered.frame;
    let base = format!("/b/{}/{}{}", entered.tenant.business, entered.tenant.environment, Sub::Requests.path());
    let mut rows = Vec::with_capacity(calls.len());
    for call in calls {
        let key = match (call.key_id, &call.last_three) {
            (Some(id), _) => {
                if let std::collections::hash_map::Entry::Vacant(unknown) = numbers.entry(id) {
                    let found = web.app.keys().get(&entered.tenant, KeyHandle::Id(id)).await.ok();
                    unknown.insert(found.map(|view| view.key.number));
                }
                let number = numbers.get(&id).copied().flatten();
                number.map(|number| frame.t.with("number-sign", [("number", number.to_string())])).unwrap_or_default()
            }
            (None, Some(end)) => format!("*****{end}"),
            (None, None) => String::new(),
        };
        let (outcome, tint, icon) = match call.outcome {
            Outcome::Succeeded => (message!("requests-succeeded"), "ok", "check"),
            Outcome::Refused => (message!("requests-refused"), "bad", "stop"),
            Outcome::Failed => (message!("requests-failed"), "warn", "warn"),
        };
        rows.push(Row {
            href: format!("{base}/{}", call.reference),
            reference: call.reference.to_string(),
            at: frame.f.relative(call.at),
            method: call.method.clone(),
            path: call.path.clone(),
            status: call.status,
            outcome: frame.t.get(outcome),
            tint,
            icon,
            code: call.code.clone().unwrap_or_default(),
            key,
            address: call.address.clone().unwrap_or_default(),
            client: call.client.clone().unwrap_or_default(),
            took: frame.f.number(call.duration_us.div_ceil(1_000)),
        });
    }
    rows
}

/// What a list was asked for; what makes no sense is as if it had not been said.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Asked {
    #[serde(skip_serializing_if = "String::is_empty")]
    reference: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    outcome: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    address: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    after: String,
}

impl Asked {
    fn filter(&self) -> RequestFilter {
        let given = |text: &String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        RequestFilter {
            outcome: self.outcome.parse().ok(),
            status: self.status.trim().parse().ok(),
            path: given(&self.path),
            address: given(&self.address),
            ..RequestFilter::default()
        }
    }
}

#[derive(Debug, Template)]
#[template(path = "dashboard/requests.html")]
struct ListPage<'a> {
    frame: &'a Frame,
    base: String,
    asked: Asked,
    filtered: bool,
    not_found: bool,
    outcomes: Vec<(&'static str, String)>,
    rows: Vec<Row>,
    next: Option<String>,
    dropped: Option<String>,
}

fn base<P>(entered: &Entered<P>) -> String {
    format!("/b/{}/{}{}", entered.tenant.business, entered.tenant.environment, Sub::Requests.path())
}

/// The calls, newest first.
pub(crate) async fn list(
    entered: Entered<ReadLogs>,
    State(web): State<Web>,
    Query(asked): Query<Asked>,
) -> Result<Response, Stop> {
    let base = base(&entered);
    let reference: Option<RequestId> = asked.reference.trim().parse().ok();
    if let Some(reference) = reference
        && web.app.requests().get(&entered.tenant, reference).await.is_ok()
    {
        return Ok(redirect(&format!("{base}/{reference}")));
    }
    let filter = asked.filter();
    let page = web.app.requests().list(&entered.tenant, &filter, asked.after.parse().ok(), ROWS).await;
    let page = page.map_err(|error| match error {
        // A call that is pruned by now is no place to go on from.
        ServiceError::Invalid(_) => Stop::go(&base),
        error => entered.refused(error, &base),
    })?;
    let next = page.data.last().filter(|_| page.has_more).map(|last| {
        let asked = Asked { after: last.reference.to_string(), ..asked.clone() };
        format!("{base}?{}", serde_html_form::to_string(&asked).unwrap_or_default())
    });
    let frame = entered.frame.clone().at(Tab::Developers, Some(Sub::Requests));
    let dropped = web.app.requests().dropped().notes;
    let rows = rows(&web, &entered, &page.data).await;
    Ok(frame.page(&ListPage {
        frame: &frame,
        base,
        filtered: filter != RequestFilter::default(),
        not_found: !asked.reference.is_empty(),
        outcomes: vec![
            (Outcome::Succeeded.as_str(), frame.t.get("requests-succeeded")),
            (Outcome::Refused.as_str(), frame.t.get("requests-refused")),
            (Outcome::Failed.as_str(), frame.t.get("requests-failed")),
        ],
        asked,
        rows,
        next,
        dropped: (dropped > 0).then(|| frame.f.number(dropped)),
    }))
}

/// Why a call was refused.
#[derive(Debug)]
struct Why {
    code: &'static str,
    rule: &'static str,
    fix: &'static str,
    hint: Option<String>,
    origin: Option<String>,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/request.html")]
struct RequestPage<'a> {
    frame: &'a Frame,
    base: String,
    row: Row,
    at: Shown,
    environment: Option<&'static str>,
    why: Option<Why>,
}

/// One call, with the reason of its refusal.
pub(crate) async fn show(
    entered: Entered<ReadLogs>,
    State(web): State<Web>,
    Path(path): Path<HashMap<String, String>>,
) -> Result<Response, Stop> {
    let base = base(&entered);
    let reference: RequestId =
        path.get("reference").and_then(|text| text.parse().ok()).ok_or(Failure::new(Kind::NotFound))?;
    let refused = |error| entered.refused(error, &base);
    let call = web.app.requests().get(&entered.tenant, reference).await.map_err(refused)?;
    let frame = entered.frame.clone().at(Tab::Developers, Some(Sub::Requests));
    let why = match web.app.requests().refusal(&entered.tenant, reference).await {
        Ok(found) => {
            let language = frame.t.language();
            Some(Why {
                code: found.reason.as_str(),
                rule: explain::rule(found.reason, language),
                fix: explain::fix(found.reason, language),
                hint: found.hint.map(|hint| explain::hint(&hint, language, |at| frame.f.exact(at))),
                origin: found.refusal.origin,
            })
        }
        Err(ServiceError::NotFound) => None,
        Err(error) => return Err(refused(error)),
    };
    let at = frame.f.moment(call.at);
    let environment = call.environment.map(Environment::in_key_text);
    let Some(row) = rows(&web, &entered, std::slice::from_ref(&call)).await.pop() else {
        return Err(Failure::new(Kind::NotFound).into());
    };
    Ok(frame.page(&RequestPage { frame: &frame, base, row, at, environment, why }))
}
