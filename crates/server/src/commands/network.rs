//! `trousseau network ...`

use serde_json::{Value, json};
use trousseau_service::networks::{Condition, EndpointHealth, NetworkHealth, NetworkState};

use crate::app::Opened;
use crate::cli::Network;
use crate::exit::Failure;
use crate::output::{confirm, print, print_json, print_table};

pub(crate) async fn run(opened: &Opened, command: &Network, json: bool) -> Result<(), Failure> {
    let networks = opened.app.networks();
    match command {
        Network::List => {
            let states = networks.states(&opened.context).await?;
            if json {
                return print_json(&json!({ "data": states.iter().map(state_json).collect::<Vec<_>>() }));
            }
            let rows: Vec<_> = states.iter().map(state_cells).collect();
            let head = ["NETWORK", "CHAIN", "FOR", "CONDITION", "SEEN TO", "BLOCK AGE", "REORGS", "DEEPEST"];
            print_table(&head, &rows, "No network is watched.")
        }
        Network::Health { network } => {
            let (chain, health) = networks.probe(network).await?;
            let states = networks.states(&opened.context).await?;
            let state = states.iter().find(|state| state.settings.chain == chain);
            let condition = state.map_or(Condition::Unseen, |state| state.condition);
            if json {
                let endpoints: Vec<_> = health.endpoints.iter().map(|one| endpoint_json(&health, one)).collect();
                print_json(&json!({ "network": state.map(state_json), "endpoints": endpoints }))?;
            } else {
                print(&format!("{chain} is {}", condition.as_str()))?;
                let cells = |(index, endpoint)| endpoint_cells(&health, index, endpoint);
                let rows: Vec<_> = health.endpoints.iter().enumerate().map(cells).collect();
                print_table(&["ENDPOINT", "ANSWERS", "HEIGHT", "LAG", "ERROR"], &rows, "")?;
            }
            let answers = health.endpoints.iter().all(|endpoint| endpoint.failures == 0);
            if condition == Condition::Well && answers {
                return Ok(());
            }
            Err(Failure::Failed(anyhow::anyhow!("not all is well with {chain}")))
        }
        Network::Reconcile { network } => super::reconcile::run(opened, network.as_deref(), json).await,
        Network::Rescan { network, from_block, sure } => {
            let from = from_block.map_or_else(String::new, |from| format!(" from block {from} on"));
            confirm(&format!("Read {network} once more{from}, and have its payments follow from it?"), sure.yes)?;
            let done = networks.rescan(&opened.context, network, *from_block).await?;
            if json {
                return print_json(&json!({
                    "network": done.network,
                    "from_block": done.from_block,
                    "to_block": done.to_block,
                    "transfers": done.transfers,
                    "changed_payments": done.changed,
                }));
            }
            print(&format!(
                "Read {} from block {} to {}: transfers {}, payments changed {}",
                done.network, done.from_block, done.to_block, done.transfers, done.changed
            ))
        }
    }
}

fn state_json(state: &NetworkState) -> Value {
    let cursor = state.cursor.as_ref();
    json!({
        "name": state.settings.name,
        "network": state.settings.chain,
        "environment": state.settings.environment,
        "condition": state.condition.as_str(),
        "seen_to": cursor.map(|cursor| cursor.height),
        "all_addresses_seen_to": cursor.map(|cursor| cursor.late_height),
        "latest_block_at": cursor.map(|cursor| cursor.ledger_time),
        "safe": cursor.and_then(|cursor| cursor.marks.safe),
        "finalized": cursor.and_then(|cursor| cursor.marks.finalized),
        "reorganisations": cursor.map(|cursor| cursor.reorganisations),
        "deepest_reorganisation": cursor.map(|cursor| cursor.deepest),
        "reported_at": state.report.as_ref().map(|(_, at)| at),
        "report": state.report.as_ref().map(|(health, _)| health),
    })
}

fn state_cells(state: &NetworkState) -> Vec<String> {
    let of_cursor = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let cursor = state.cursor.as_ref();
    let age = cursor.map(|cursor| state.now.since(cursor.ledger_time).as_secs());
    vec![
        state.settings.name.clone(),
        state.settings.chain.to_string(),
        state.settings.environment.in_key_text().to_owned(),
        state.condition.as_str().to_owned(),
        of_cursor(cursor.map(|cursor| cursor.height)),
        age.map_or_else(|| "-".to_owned(), |age| format!("{age} s")),
        of_cursor(cursor.map(|cursor| cursor.reorganisations)),
        of_cursor(cursor.map(|cursor| cursor.deepest)),
    ]
}

fn endpoint_json(health: &NetworkHealth, endpoint: &EndpointHealth) -> Value {
    json!({
        "answers": endpoint.failures == 0,
        "height": endpoint.height,
        "lag": health.lag(endpoint),
        "error": endpoint.last_error,
    })
}

fn endpoint_cells(health: &NetworkHealth, index: usize, endpoint: &EndpointHealth) -> Vec<String> {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    vec![
        (index + 1).to_string(),
        if endpoint.failures == 0 { "yes" } else { "no" }.to_owned(),
        number(endpoint.height),
        number(health.lag(endpoint)),
        endpoint.last_error.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}
