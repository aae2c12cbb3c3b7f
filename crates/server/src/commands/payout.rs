//! `trousseau payout ...`

use serde_json::{Value, json};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::evm::{ExtendedPublicKey, InvalidPayoutTarget, PayoutKeyState, PayoutTarget, print_bytes};
use trousseau_domain::ids::BusinessId;
use trousseau_service::payments::payout_plans::{PayoutPlan, WhyStuck};
use trousseau_service::{CollectFilter, PayoutAddressRow, PayoutKeyRow, ServiceError};
use trousseau_web::wire::payout_plans::{PayoutPlanBody, sum, summary};

use super::read;
use crate::app::Opened;
use crate::cli::Payout;
use crate::exit::Failure;
use crate::output::{confirm, print, print_json, print_pairs, print_table};

pub(crate) async fn run(opened: &Opened, command: &Payout, json: bool) -> Result<(), Failure> {
    let places = opened.app.payout_addresses();
    match command {
        Payout::Set { network, target, business, confirm: addresses, sure } => {
            // Read before anything is said of it: a text that can spend is not repeated.
            let target = target.trim().parse().map_err(not_a_target)?;
            let tenant = Tenant::new(read("the business", business)?, opened.app.networks().environment_of(network)?);
            match target {
                PayoutTarget::Address(_) if !addresses.is_empty() => {
                    Err(Failure::usage("--confirm is for an extended public key"))
                }
                PayoutTarget::Address(address) => {
                    let kind = tenant.environment.in_key_text();
                    let question = format!("From now on {kind} money on {network} goes to {address}. Go on?");
                    confirm(&question, sure.yes)?;
                    let row = places.set(&opened.context, &tenant, network, &address.to_string()).await?;
                    if json {
                        return print_json(&row_json(&row));
                    }
                    print(&format!("{kind} money on {} goes to {}", row.network, row.address))
                }
                PayoutTarget::ExtendedKey(key) => set_key(opened, &tenant, network, &key, addresses, json).await,
            }
        }
        Payout::List { business } => {
            let business: BusinessId = read("the business", business)?;
            let (mut addresses, mut keys) = (Vec::new(), Vec::new());
            for environment in [Environment::Live, Environment::Test] {
                let tenant = Tenant::new(business.clone(), environment);
                addresses.extend(places.list(&tenant).await?);
                keys.extend(places.keys(&tenant).await?);
            }
            if json {
                let rows: Vec<_> = addresses.iter().map(row_json).chain(keys.iter().map(key_json)).collect();
                return print_json(&json!({ "data": rows }));
            }
            let line = |tenant: &Tenant, network: String, to: String, state: &str, at: String| {
                vec![network, tenant.environment.in_key_text().to_owned(), to, state.to_owned(), at]
            };
            let mut rows: Vec<_> = addresses
                .iter()
                .map(|row| {
                    let at = row.set_at.truncated_to_second().to_string();
                    line(&row.tenant, row.network.to_string(), row.address.to_string(), "in_force", at)
                })
                .collect();
            rows.extend(keys.iter().map(|row| {
                let at = row.set_at.truncated_to_second().to_string();
                line(&row.tenant, row.network.to_string(), row.key.masked(), row.state.as_str(), at)
            }));
            rows.sort();
            print_table(&["NETWORK", "FOR", "GOES TO", "STATE", "SET"], &rows, "No payout address is set.")
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
    let networks = plans.networks(filter.environment, network)?;
    if networks.is_empty() && plans.networks(None, None)?.is_empty() {
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
    made.iter().try_for_each(tell)
}

fn tell(plan: &PayoutPlan) -> Result<(), Failure> {
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
    ))?;
    for (index, transaction) in plan.transactions.iter().enumerate() {
        print(&format!("\n{}. {}", index + 1, summary(&transaction.purpose)))?;
        print_pairs(&[
            ("   to", transaction.to.to_string()),
            ("   value", "0".to_owned()),
            ("   gas", transaction.gas.to_string()),
            ("   data", print_bytes(&transaction.data)),
        ])?;
    }
    for stuck in &plan.stuck {
        let why = match stuck.why {
            WhyStuck::Refused => "the token refuses to move it",
            WhyStuck::NoDeployer => "there is no keyless CREATE2 deployer on this network",
        };
        let Some(first) = stuck.collection.forwarders.first() else { continue };
        print(&format!("\nleft out: {} at {}: {why}", sum(&stuck.collection), first.address))?;
    }
    Ok(())
}

/// Proposes an extended public key, and puts it in force where its first addresses were given.
async fn set_key(
    opened: &Opened,
    tenant: &Tenant,
    network: &str,
    key: &ExtendedPublicKey,
    addresses: &[String],
    json: bool,
) -> Result<(), Failure> {
    let places = opened.app.payout_addresses();
    let mut row = places.propose_key(&opened.context, tenant, network, key).await?;
    if row.state == PayoutKeyState::Proposed && !addresses.is_empty() {
        row = places.confirm_key(&opened.context, tenant, network, addresses).await?;
    }
    if json {
        return print_json(&key_json(&row));
    }
    if row.state == PayoutKeyState::InForce {
        let kind = row.tenant.environment.in_key_text();
        print(&format!("{kind} money on {} goes to new addresses of {}", row.network, row.key.masked()))?;
        return Ok(());
    }
    let first: Vec<_> = row.key.first_addresses().iter().map(ToString::to_string).collect();
    print(&format!(
        "{} is proposed for {} and has no effect yet. These are its first addresses:\n  {}\n\
         If your wallet shows the same ones, in this order, give the command again with\n  --confirm {}",
        row.key.masked(),
        row.network,
        first.join("\n  "),
        first.join(" --confirm ")
    ))
}

fn not_a_target(error: InvalidPayoutTarget) -> Failure {
    let advice = match error {
        InvalidPayoutTarget::Secret(_) => "; it may also be in the history of your shell",
        InvalidPayoutTarget::Address(_) | InvalidPayoutTarget::ExtendedKey(_) => "",
    };
    Failure::usage(format!("{error}{advice}"))
}

fn row_json(row: &PayoutAddressRow) -> Value {
    json!({
        "environment": row.tenant.environment,
        "network": row.network,
        "address": row.address,
        "state": PayoutKeyState::InForce,
        "set_at": row.set_at,
        "set_by": row.set_by,
    })
}

fn key_json(row: &PayoutKeyRow) -> Value {
    json!({
        "environment": row.tenant.environment,
        "network": row.network,
        "extended_key": row.key.as_str(),
        "first_addresses": row.key.first_addresses(),
        "state": row.state,
        "set_at": row.set_at,
        "set_by": row.set_by,
    })
}
