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
use trousseau_domain::requests::{Door, Outcome};
use trousseau_service::{RequestFilter, RequestRow, ServiceError};

use super::csv::{Csv, is_file};
use super::curl;
use super::filters::{ByKey, Check, ROWS_PER_READ, beginning, end};
use super::format::Shown;
use super::frame::{Frame, Sub, Tab, redirect};
use super::names::{KeyLink, KeyNames};
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
    pub(crate) key: Option<KeyLink>,
    /// The end of a value that no key has.
    pub(crate) ending: Option<String>,
    pub(crate) address: String,
    pub(crate) client: String,
    pub(crate) took: String,
}

/// Calls as lists show them.
pub(crate) async fn rows<P>(web: &Web, entered: &Entered<P>, calls: &[RequestRow]) -> Result<Vec<Row>, ServiceError> {
    let keys = KeyNames::of(web, entered).await?;
    Ok(calls.iter().map(|call| row(&entered.frame, &base(entered), &keys, call)).collect())
}

fn row(frame: &Frame, base: &str, keys: &KeyNames, call: &RequestRow) -> Row {
    let (outcome, tint, icon) = match call.outcome {
        Outcome::Succeeded => (message!("requests-succeeded"), "ok", "check"),
        Outcome::Refused => (message!("requests-refused"), "bad", "stop"),
        Outcome::Failed => (message!("requests-failed"), "warn", "warn"),
    };
    Row {
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
        key: call.key_id.and_then(|id| keys.link(id)),
        ending: call.last_three.as_ref().filter(|_| call.key_id.is_none()).map(|end| format!("*****{end}")),
        address: call.address.clone().unwrap_or_default(),
        client: call.client.clone().unwrap_or_default(),
        took: frame.f.number(call.duration_us.div_ceil(1_000)),
    }
}

/// What a list was asked for.
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
    method: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    path: String,
    /// The number of a key: a parameter called *key* would be taken for a key's value, and refused.
    #[serde(skip_serializing_if = "String::is_empty")]
    number: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    address: String,
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
    /// The calls that are asked for: none where the number of the key is nobody's, or a reference that no call has is
    /// asked for.
    fn filter(&self, entered: &Entered<ReadLogs>, keys: &KeyNames) -> Option<RequestFilter> {
        let given = |text: &String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let (key, zone) = (ByKey::read(&self.number, keys), &entered.business.time_zone);
        (key != ByKey::Nobody && self.reference.trim().is_empty()).then(|| RequestFilter {
            reference: None,
            key: key.key(),
            address: given(&self.address),
            status: self.status.trim().parse().ok(),
            method: curl::METHODS.into_iter().find(|method| *method == self.method).map(ToOwned::to_owned),
            path: given(&self.path),
            outcome: self.outcome.parse().ok(),
            from: beginning(&self.from, zone),
            until: end(&self.to, zone),
        })
    }

    fn href(&self, base: &str) -> String {
        match serde_html_form::to_string(self) {
            Ok(query) if !query.is_empty() => format!("{base}?{query}"),
            _ => base.to_owned(),
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
    methods: [&'static str; 5],
    rows: Vec<Row>,
    next: Option<String>,
    csv: String,
    dropped: Option<String>,
}

fn base<P>(entered: &Entered<P>) -> String {
    format!("/b/{}/{}{}", entered.tenant.business, entered.tenant.environment, Sub::Requests.path())
}

/// The calls, newest first, as a page or as a file.
pub(crate) async fn list(
    entered: Entered<ReadLogs>,
    State(web): State<Web>,
    Query(asked): Query<Asked>,
) -> Result<Response, Stop> {
    let base = base(&entered);
    if let Ok(reference) = asked.reference.trim().parse::<RequestId>() {
        match web.app.requests().get(&entered.tenant, reference).await {
            Ok(_) => return Ok(redirect(&format!("{base}/{reference}"))),
            Err(ServiceError::NotFound) => {}
            Err(error) => return Err(entered.refused(error, &base)),
        }
    }
    Check::of(&entered.frame)
        .choice::<Outcome>("outcome", &asked.outcome)
        .http_status(&asked.status)
        .known("method", &asked.method, |method| curl::METHODS.contains(&method))
        .span(&asked.from, &asked.to)
        .done(&base)?;
    let keys = KeyNames::of(&web, &entered).await.map_err(|error| entered.refused(error, &base))?;
    let filter = asked.filter(&entered, &keys);
    if is_file(&asked.format) {
        return file(&web, &entered, filter, &keys).await;
    }
    let (calls, has_more) = match &filter {
        Some(filter) => {
            let page = web.app.requests().list(&entered.tenant, filter, asked.after.parse().ok(), ROWS).await;
            let page = entered.gone_on(page, &base)?;
            (page.data, page.has_more)
        }
        None => (Vec::new(), false),
    };
    let next = calls.last().filter(|_| has_more).map(|last| {
        let asked = Asked { after: last.reference.to_string(), ..asked.clone() };
        asked.href(&base)
    });
    let frame = entered.frame.clone().at(Tab::Developers, Some(Sub::Requests));
    let dropped = web.app.requests().dropped().notes;
    Ok(frame.page(&ListPage {
        rows: calls.iter().map(|call| row(&frame, &base, &keys, call)).collect(),
        filtered: filter != Some(RequestFilter::default()),
        not_found: !asked.reference.trim().is_empty(),
        outcomes: vec![
            (Outcome::Succeeded.as_str(), frame.t.get("requests-succeeded")),
            (Outcome::Refused.as_str(), frame.t.get("requests-refused")),
            (Outcome::Failed.as_str(), frame.t.get("requests-failed")),
        ],
        methods: curl::METHODS,
        csv: Asked { format: "csv".to_owned(), after: String::new(), ..asked.clone() }.href(&base),
        dropped: (dropped > 0).then(|| frame.f.number(dropped)),
        frame: &frame,
        base,
        asked,
        next,
    }))
}

/// The same calls as a file. Times are in UTC, durations in microseconds; no value of a key is kept that could be in it.
async fn file(
    web: &Web,
    entered: &Entered<ReadLogs>,
    filter: Option<RequestFilter>,
    keys: &KeyNames,
) -> Result<Response, Stop> {
    let mut csv = Csv::of(
        &entered.frame,
        &[
            "reference",
            "at",
            "environment",
            "method",
            "route",
            "status",
            "outcome",
            "code",
            "key",
            "address",
            "client",
            "duration_us",
        ],
    );
    if let Some(filter) = &filter {
        let read = |after| web.app.requests().list(&entered.tenant, filter, after, ROWS_PER_READ);
        let row = |call: &RequestRow| {
            [
                call.reference.to_string(),
                call.at.to_string(),
                call.environment.map(|environment| environment.to_string()).unwrap_or_default(),
                call.method.clone(),
                call.path.clone(),
                call.status.to_string(),
                call.outcome.to_string(),
                call.code.clone().unwrap_or_default(),
                call.key_id.and_then(|id| keys.number(id)).map(|number| number.to_string()).unwrap_or_default(),
                call.address.clone().unwrap_or_default(),
                call.client.clone().unwrap_or_default(),
                call.duration_us.to_string(),
            ]
        };
        let written = csv.rows(read, |call: &RequestRow| call.reference, row).await;
        written.map_err(|error| entered.refused(error, &base(entered)))?;
    }
    Ok(csv.finish(&format!("requests-{}-{}.csv", entered.tenant.business, entered.tenant.environment)))
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
    /// The call to paste, where it was made to us.
    curl: Option<String>,
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
    let keys = KeyNames::of(&web, &entered).await.map_err(refused)?;
    let row = row(&frame, &base, &keys, &call);
    let curl = match call.door {
        Door::Api => curl::call(&web, &entered.profile, &entered.tenant.business, &call.method, &call.path),
        // Somebody else received it, and only asked us about its key.
        Door::Verify => None,
    };
    Ok(frame.page(&RequestPage { frame: &frame, base, row, at, environment, why, curl }))
}
