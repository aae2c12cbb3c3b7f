//! Accounting: every movement of money as a file, and whether the sums agree.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use trousseau_domain::evm::EvmAddress;
use trousseau_domain::money::Money;
use trousseau_domain::networks::ChainId;
use trousseau_domain::reconciliation::{Gap, Outcome};
use trousseau_service::reconciliations::Compared;
use trousseau_service::{DifferenceRow, ServiceError, Span};

use super::{Badge, base};
use crate::dashboard::csv::Sheet;
use crate::dashboard::filters::{Check, beginning, end};
use crate::dashboard::format::Shown;
use crate::dashboard::frame::{Frame, Tab};
use crate::dashboard::networks::called;
use crate::dashboard::session::{Entered, ReadPayments, Stop};
use crate::dashboard::text::{Texts, message};
use crate::movements::file;
use crate::router::Web;

/// Differences shown of one network.
const MOST_SHOWN: u32 = 100;

/// A sum that differs.
#[derive(Debug)]
struct Line {
    address: String,
    /// The page of the payment, and its id.
    payment: Option<(String, String)>,
    what: String,
    received: String,
    sent: String,
    balance: String,
}

/// The latest comparison of a network, as far as it concerns the business.
#[derive(Debug)]
struct Network {
    name: String,
    id: String,
    /// Where it stands; none before the first comparison.
    badge: Option<Badge>,
    at: Option<Shown>,
    block: Option<String>,
    /// A later one could not be ended.
    incomplete: bool,
    lines: Vec<Line>,
}

/// What a comparison came to, for those whose differences these are.
pub(in crate::dashboard) fn outcome_badge(outcome: Outcome, differs: bool, t: Texts) -> Badge {
    let (text, tint, icon) = match outcome {
        Outcome::Incomplete => (message!("sums-incomplete"), "warn", "clock"),
        Outcome::Agrees | Outcome::Differs if !differs => (message!("sums-agree"), "ok", "check"),
        Outcome::Agrees | Outcome::Differs => (message!("sums-differ"), "bad", "warn"),
    };
    Badge { text: t.get(text), tint, icon }
}

/// Base units as money where the token is an accepted one, else as they are.
fn written(web: &Web, network: &ChainId, contract: EvmAddress, units: u128, frame: &Frame) -> String {
    let asset = web.app.reconciliations().asset(network, contract);
    let money = i64::try_from(units).ok().zip(asset).and_then(|(units, asset)| Money::from_units(units, asset).ok());
    match money {
        Some(money) => format!("{} {}", frame.f.money(money), money.asset().code()),
        None => format!("{units} × {contract}"),
    }
}

fn line(web: &Web, network: &ChainId, row: &DifferenceRow, payments: &str, frame: &Frame) -> Line {
    let sum = |units| written(web, network, row.contract, units, frame);
    let what = match row.sums.gap() {
        Some(Gap::Missed(units)) => frame.t.with("sums-missed", [("amount", sum(units))]),
        Some(Gap::Excess(units)) => frame.t.with("sums-excess", [("amount", sum(units))]),
        None => String::new(),
    };
    Line {
        address: row.address.clone(),
        payment: row.payment.map(|id| (format!("{payments}/{id}"), id.to_string())),
        what,
        received: sum(row.sums.received),
        sent: sum(row.sums.sent),
        balance: sum(row.sums.balance),
    }
}

/// Whether what lies at the addresses of the business is not what was counted, as the latest comparisons found.
pub(super) async fn sums_differ(web: &Web, entered: &Entered<ReadPayments>) -> Result<bool, ServiceError> {
    let latest = web.app.reconciliations().latest(Some(&entered.tenant), 1).await?;
    Ok(latest.iter().any(|compared| !compared.differences.is_empty()))
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/accounting.html")]
struct AccountingPage<'a> {
    frame: &'a Frame,
    payments: String,
    action: String,
    networks: Vec<Network>,
    /// Whether any network is watched, so that there is something to compare.
    watched: bool,
    live: bool,
}

/// The file of movements, and the latest comparisons.
pub(super) async fn show(entered: Entered<ReadPayments>, State(web): State<Web>) -> Result<Response, Stop> {
    let payments = base(&entered, Tab::Payments);
    let here = format!("{payments}/accounting");
    let latest = web.app.reconciliations().latest(Some(&entered.tenant), MOST_SHOWN).await;
    let latest = latest.map_err(|error| entered.refused(error, &here))?;
    let watched = web
        .app
        .payout_plans()
        .networks(Some(entered.tenant.environment), None)
        .map_err(|error| entered.refused(error, &here))?;
    let frame = entered.frame.clone().at(Tab::Payments, None);
    let network = |chain: &ChainId| {
        let found = latest.iter().find(|compared| compared.network == *chain);
        let badge =
            |compared: &Compared| outcome_badge(compared.run.outcome, !compared.differences.is_empty(), frame.t);
        Network {
            name: called(&web, chain),
            id: chain.to_string().replace(':', "-"),
            badge: found.map(badge),
            at: found.map(|compared| frame.f.moment(compared.run.finished_at)),
            block: found.and_then(|compared| compared.run.block).map(|block| frame.f.number(block)),
            incomplete: found.is_some_and(|compared| compared.incomplete.is_some()),
            lines: found
                .map(|compared| compared.differences.as_slice())
                .unwrap_or_default()
                .iter()
                .map(|row| line(&web, chain, row, &payments, &frame))
                .collect(),
        }
    };
    Ok(frame.page(&AccountingPage {
        action: format!("{here}/movements"),
        networks: watched.iter().map(network).collect(),
        watched: !watched.is_empty(),
        live: super::is_live(&entered),
        payments,
        frame: &frame,
    }))
}

/// Which movements are wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    from: String,
    to: String,
}

/// The file.
pub(super) async fn export(
    entered: Entered<ReadPayments>,
    State(web): State<Web>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Stop> {
    let zone = &entered.business.time_zone;
    let span = Span { from: beginning(&wanted.from, zone), before: end(&wanted.to, zone) };
    let here = format!("{}/accounting", base(&entered, Tab::Payments));
    Check::of(&entered.frame).span(&wanted.from, &wanted.to).done_for_file(&format!("{here}/movements"), &here)?;
    file(&web, &entered.tenant, span, Sheet::of(&entered.frame)).await.map_err(|error| entered.refused(error, &here))
}
