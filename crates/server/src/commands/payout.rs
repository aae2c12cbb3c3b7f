//! `trousseau payout ...`

use serde_json::{Value, json};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_service::PayoutAddressRow;

use super::read;
use crate::app::Opened;
use crate::cli::Payout;
use crate::exit::Failure;
use crate::output::{confirm, print, print_json, print_table};

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
    }
}

fn row_json(row: &PayoutAddressRow) -> Value {
    json!({ "network": row.network, "address": row.address, "set_at": row.set_at, "set_by": row.set_by })
}
