//! `trousseau payout ...`

use serde_json::{Value, json};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::evm::print_bytes;
use trousseau_service::payments::payout_plans::{PayoutPlan, WhyStuck};
use trousseau_service::{CollectFilter, PayoutAddressRow, ServiceError};
use trousseau_web::wire::payout_plans::{PayoutPlanBody, sum, summary};

use super::read;
use crate::app::Opened;
use crate::cli::Payout;
use crate::exit::Failure;
use crate::output::{confirm, print, print_json, print_pairs, print_table};

pub(crate) async fn run(opened: &Opened, command: &Payout, json: bool) -> Result<(), Failure> {
    let places = opened.app.payout_addresses();
    let tenant = |business: &str| Ok::<_, Failure>(Tenant::new(read("the business", business)?, Environment::Live));
    match command {
        Payout::Set { network, address, business, sure } => {
            let tenant = tenant(business)?;
            confirm(&format!("From now on LIVE money on {network} goes to {address}. Go on?"), sure.yes)?;
            let row = places.set(&opened.context, &tenant, network, address).await?;
            if json {
                return print_json(&row_json(&row));
            }
            print(&format!("LIVE money on {} goes to {}", row.network, row.address));
            Ok(())
        }
        Payout::List { business } => {
            let rows = places.list(&tenant(business)?).await?;
            if json {
                return print_json(&json!({ "data": rows.iter().map(row_json).collect::<Vec<_>>() }));
            }
            let cells = |row: &PayoutAddressRow| {
                vec![row.network.to_string(), row.address.to_string(), row.set_at.truncated_to_second().to_string()]
            };
            let rows: Vec<_> = rows.iter().map(cells).collect();
            print_table(&["NETWORK", "ADDRESS", "SET"], &rows, "No payout address is set.");
            Ok(())
        }
        Payout::Plan { business, environment, network } => {
            let filter = CollectFilter {
                business: business.as_deref().map(|business| read("the business", business)).transpose()?,
                environment: environment
                    .as_deref()
                    .map(|environment| read("the environment", environment))
                    .transpose()?,
            };
            plan(opened, &filter, network.as_deref(), json).await
        }
    }
}

async fn plan(opened: &Opened, filter: &CollectFilter, network: Option<&str>, json: bool) -> Result<(), Failure> {
    let plans = opened.app.payout_plans();
    let networks = plans.networks(network)?;
    if networks.is_empty() {
        return Err(ServiceError::NetworkNotConfigured.into());
    }
    let mut made = Vec::new();
    for chain in networks {
        // A plan that lacks a network would look as if nothing lay there.
        made.push(plans.plan(&chain, filter).await.map_err(|error| match error {
            ServiceError::NetworkUnavailable(_) => Failure::Failed(error.into()),
            error => error.into(),
        })?);
    }
    if json {
        return print_json(&json!({ "data": made.iter().map(PayoutPlanBody::from).collect::<Vec<_>>() }));
    }
    made.iter().for_each(tell);
    Ok(())
}

fn tell(plan: &PayoutPlan) {
    print(&format!(
        "{} (chain id {}), as of block {}: {}",
        plan.network,
        plan.chain_id,
        plan.block,
        match plan.transactions.len() {
            0 => "nothing to collect".to_owned(),
            1 => "1 transaction".to_owned(),
            count => format!("{count} transactions, to be sent in this order"),
        }
    ));
    for (index, transaction) in plan.transactions.iter().enumerate() {
        print(&format!("\n{}. {}", index + 1, summary(&transaction.purpose)));
        print_pairs(&[
            ("   to", transaction.to.to_string()),
            ("   value", "0".to_owned()),
            ("   gas", transaction.gas.to_string()),
            ("   data", print_bytes(&transaction.data)),
        ]);
    }
    for stuck in &plan.stuck {
        let why = match stuck.why {
            WhyStuck::Refused => "the token refuses to move it",
            WhyStuck::NoDeployer => "there is no keyless CREATE2 deployer on this network",
        };
        let Some(first) = stuck.collection.forwarders.first() else { continue };
        print(&format!("\nleft out: {} at {}: {why}", sum(&stuck.collection), first.address));
    }
}

fn row_json(row: &PayoutAddressRow) -> Value {
    json!({ "network": row.network, "address": row.address, "set_at": row.set_at, "set_by": row.set_by })
}
