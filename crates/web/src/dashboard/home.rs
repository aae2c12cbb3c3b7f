//! Home of a business: the next step, a call to paste, what went wrong lately.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use trousseau_domain::environment::Environment;
use trousseau_domain::keys::{KeyKind, KeyStatus};
use trousseau_domain::members::Operation;
use trousseau_domain::payments::PaymentStatus;
use trousseau_service::{KeyFilter, KeyOrder, PaymentFilter};

use super::curl;
use super::format::Shown;
use super::frame::{Frame, Sub, Tab};
use super::requests::{Row, rows};
use super::session::{Entered, ReadBusiness, Stop};
use super::takings::{summed, told};
use crate::router::Web;

/// The days before today that a week has.
const A_WEEK: u32 = 6;
/// How many failures Home shows.
const FAILURES: u32 = 5;

/// The routes of these pages.
pub(crate) fn routes() -> Router<Web> {
    Router::new().route("/b/{business}/{environment}", get(show))
}

/// One line of the checklist.
#[derive(Debug)]
struct Step {
    done: bool,
    label: String,
    href: String,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/home.html")]
struct HomePage<'a> {
    frame: &'a Frame,
    /// What a role that sees keys is shown; others see what the business is.
    keys: Option<OfKeys>,
    /// What a role that sees payments is shown.
    payments: Option<OfPayments>,
}

/// The part of Home about payments.
#[derive(Debug)]
struct OfPayments {
    /// What came in for good in 7 days, asset by asset, by how many payments.
    takings: Vec<(String, String)>,
    /// Where payments wait for a decision, if any do.
    undecided: Option<String>,
    /// Where deposits wait that no payment takes, if any do.
    unmatched: Option<String>,
}

/// The part of Home about keys.
#[derive(Debug)]
struct OfKeys {
    steps: Vec<Step>,
    curl: String,
    accepted: String,
    refused: String,
    last: Option<Shown>,
    failures: Vec<Row>,
    requests: String,
}

/// The next step.
pub(crate) async fn show(entered: Entered<ReadBusiness>, State(web): State<Web>) -> Result<Response, Stop> {
    let frame = entered.frame.clone().at(Tab::Home, None);
    let keys = if entered.role.may(Operation::KeysRead) && entered.role.may(Operation::LogsRead) {
        Some(of_keys(&entered, &web, &frame).await?)
    } else {
        None
    };
    let payments =
        if entered.role.may(Operation::PaymentsRead) { Some(of_payments(&entered, &web, &frame).await?) } else { None };
    Ok(frame.page(&HomePage { frame: &frame, keys, payments }))
}

async fn of_payments(entered: &Entered<ReadBusiness>, web: &Web, frame: &Frame) -> Result<OfPayments, Stop> {
    let here = format!("/b/{}/{}", entered.tenant.business, entered.tenant.environment);
    let page = format!("{here}{}", Tab::Payments.path());
    let refused = |error| entered.refused(error, &here);
    let payments = web.app.payments();
    let takings = payments.takings(&entered.tenant, A_WEEK).await.map_err(refused)?;
    let takings = summed(takings.iter().map(|row| row.takings));
    let waiting = PaymentFilter { status: Some(PaymentStatus::NeedsReview), ..PaymentFilter::default() };
    let waiting = payments.list(&entered.tenant, &waiting, None, 1).await.map_err(refused)?;
    let unmatched = payments.unmatched(&entered.tenant, None, 1).await.map_err(refused)?;
    Ok(OfPayments {
        takings: takings.iter().map(|takings| told(*takings, frame)).collect(),
        undecided: (!waiting.data.is_empty()).then(|| format!("{page}?status={}", PaymentStatus::NeedsReview)),
        unmatched: (!unmatched.data.is_empty()).then(|| format!("{page}/unmatched")),
    })
}

async fn of_keys(entered: &Entered<ReadBusiness>, web: &Web, frame: &Frame) -> Result<OfKeys, Stop> {
    let here = format!("/b/{}/{}", entered.tenant.business, entered.tenant.environment);
    let keys_page = format!("{here}{}", Sub::ApiKeys.path());
    let requests_page = format!("{here}{}", Sub::Requests.path());
    let refused = |error| entered.refused(error, &here);
    let filter = KeyFilter { kind: Some(KeyKind::Secret), status: Some(KeyStatus::Active), ..KeyFilter::default() };
    let tenant = &entered.tenant;
    let in_force = web.app.keys().list_counted(tenant, &filter, KeyOrder::NumberAsc, 0, 1).await.map_err(refused)?;
    let requests = web.app.requests();
    let last = requests.last_verified(tenant).await.map_err(refused)?;
    let week = requests.calls_of_week(tenant).await.map_err(refused)?;
    let failures = requests.recent_failures(tenant, FAILURES).await.map_err(refused)?;
    let endpoints = web.app.webhooks().list(tenant, None, 1).await.map_err(refused)?;
    let webhooks_page = format!("{here}{}", Sub::Webhooks.path());
    let t = frame.t;
    let mut steps = vec![
        Step { done: in_force.total > 0, label: t.get("home-step-key"), href: keys_page },
        Step { done: last.is_some(), label: t.get("home-step-call"), href: "#try".to_owned() },
        Step { done: !endpoints.data.is_empty(), label: t.get("home-step-webhook"), href: webhooks_page },
    ];
    if tenant.environment == Environment::Test && entered.profile.environments.offers(Environment::Live) {
        let live = frame.in_environment("live");
        steps.push(Step { done: false, label: t.get("home-step-live"), href: live });
    }
    let curl = curl::call(web, &entered.profile, &tenant.business, "GET", "/v1/whoami").unwrap_or_default();
    Ok(OfKeys {
        steps,
        curl,
        accepted: frame.f.number(week.accepted),
        refused: frame.f.number(week.refused),
        last: last.map(|at| frame.f.relative(at)),
        failures: rows(web, entered, &failures).await.map_err(refused)?,
        requests: requests_page,
    })
}
