//! `trousseau network reconcile`

use serde_json::{Value, json};
use trousseau_domain::reconciliation::{Gap, Outcome};
use trousseau_service::reconciliations::Compared;
use trousseau_service::{DifferenceRow, ServiceError};

use crate::app::Opened;
use crate::exit::Failure;
use crate::output::{print, print_json, print_table};

pub(crate) async fn run(opened: &Opened, network: Option<&str>, json: bool) -> Result<(), Failure> {
    let chains = opened.app.payout_plans().networks(None, network)?;
    if chains.is_empty() {
        return Err(Failure::usage("no network is configured: there is nothing to compare"));
    }
    let mut all = Vec::new();
    for chain in chains {
        let compared = opened.app.reconciliations().run(chain.as_str()).await;
        all.push(compared.map_err(|error| match error {
            ServiceError::Conflict => Failure::refused(format!("{chain} is being compared by another process")),
            error => error.into(),
        })?);
    }
    if json {
        print_json(&json!({ "data": all.iter().map(compared_json).collect::<Vec<_>>() }))?;
    } else {
        all.iter().try_for_each(tell)?;
    }
    let came_to = |outcome| all.iter().filter(|compared| compared.run.outcome == outcome).count();
    match (came_to(Outcome::Incomplete), came_to(Outcome::Differs)) {
        (0, 0) => Ok(()),
        (0, _) => Err(Failure::refused("the sums do not agree")),
        _ => Err(Failure::Failed(anyhow::Error::msg("not all could be compared"))),
    }
}

fn compared_json(compared: &Compared) -> Value {
    let run = &compared.run;
    json!({
        "id": run.id,
        "network": compared.network,
        "outcome": run.outcome,
        "block": run.block,
        "addresses": run.addresses,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "failure": run.failure,
        "differences": compared.differences.iter().map(difference_json).collect::<Vec<_>>(),
    })
}

/// Amounts are texts: they may exceed what readers of JSON take for a number.
fn difference_json(row: &DifferenceRow) -> Value {
    json!({
        "business_id": row.tenant.business,
        "environment": row.tenant.environment,
        "payment_id": row.payment,
        "address": row.address,
        "contract": row.contract,
        "received": row.sums.received.to_string(),
        "sent": row.sums.sent.to_string(),
        "balance": row.sums.balance.to_string(),
        "kind": kind(row),
    })
}

fn kind(row: &DifferenceRow) -> &'static str {
    match row.sums.gap() {
        Some(Gap::Missed(_)) => "missed",
        Some(Gap::Excess(_)) => "excess",
        None => "none",
    }
}

fn tell(compared: &Compared) -> Result<(), Failure> {
    let run = &compared.run;
    let at = run.block.map_or_else(|| "at no block".to_owned(), |block| format!("at block {block}"));
    let what = match run.outcome {
        Outcome::Agrees => "the sums agree".to_owned(),
        Outcome::Differs => format!("{} sums do not agree", run.differences),
        Outcome::Incomplete => format!("not compared to the end: {}", run.failure.as_deref().unwrap_or_default()),
    };
    print(&format!("{} {at}, {} addresses: {what}", compared.network, run.addresses))?;
    if !compared.differences.is_empty() {
        let cells = |row: &DifferenceRow| {
            vec![
                row.tenant.business.to_string(),
                row.address.clone(),
                row.contract.to_string(),
                row.sums.received.to_string(),
                row.sums.sent.to_string(),
                row.sums.balance.to_string(),
                kind(row).to_owned(),
            ]
        };
        let rows: Vec<_> = compared.differences.iter().map(cells).collect();
        print_table(&["BUSINESS", "ADDRESS", "TOKEN", "RECEIVED", "SENT", "BALANCE", "WHICH IS"], &rows, "")?;
    }
    Ok(())
}
