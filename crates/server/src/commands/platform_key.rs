//! `trousseau platform-key ...`

use serde_json::{Value, json};
use trousseau_domain::ids::PlatformKeyId;
use trousseau_domain::platform_keys::{PlatformScope, PlatformScopes};
use trousseau_store::PlatformKeyRow;

use super::{done, read};
use crate::app::Opened;
use crate::cli::{self, PlatformKey};
use crate::exit::Failure;
use crate::output::{self, confirm, paired, print, print_json, print_once, print_table};

pub(crate) async fn run(opened: &Opened, command: &PlatformKey, json: bool) -> Result<(), Failure> {
    let keys = opened.app.platform_keys();
    match command {
        PlatformKey::Create { name, scopes } => {
            let scopes = if scopes.is_empty() {
                PlatformScopes::default()
            } else {
                let scope = |scope: &cli::PlatformScope| match scope {
                    cli::PlatformScope::Verify => PlatformScope::Verify,
                    cli::PlatformScope::Manage => PlatformScope::Manage,
                };
                scopes.iter().map(scope).collect()
            };
            let issued = done(keys.create(&opened.context, read("the name", name)?, &scopes, None).await?);
            let unseen = || format!("the value of {} was not shown: revoke it and make another", issued.key.id);
            if json {
                let mut body = row_json(&issued.key);
                body["value"] = json!(issued.value.expose());
                return print_once(&output::json(&body)?, unseen);
            }
            let pairs = paired(&[
                ("Platform key", issued.key.name.to_string()),
                ("Id", issued.key.id.to_string()),
                ("Scopes", issued.key.scopes.join(" ")),
                ("Value", issued.value.expose().to_owned()),
            ]);
            print_once(&pairs, unseen)?;
            print("\nThe value is shown now and never again.")
        }
        PlatformKey::List => {
            let rows = keys.list().await?;
            if json {
                return print_json(&json!({ "data": rows.iter().map(row_json).collect::<Vec<_>>() }));
            }
            let time = |at: Option<trousseau_domain::time::Timestamp>| {
                at.map_or_else(|| "-".to_owned(), |at| at.truncated_to_second().to_string())
            };
            let cells = |row: &PlatformKeyRow| {
                vec![
                    row.id.to_string(),
                    row.name.to_string(),
                    row.scopes.join(" "),
                    format!("*****{}", row.last_three),
                    time(Some(row.created_at)),
                    time(row.last_used_at),
                    time(row.revoked_at),
                ]
            };
            let rows: Vec<_> = rows.iter().map(cells).collect();
            let head = ["ID", "NAME", "SCOPES", "VALUE", "CREATED", "LAST USED", "REVOKED"];
            print_table(&head, &rows, "No platform key yet.")
        }
        PlatformKey::Revoke { id, sure } => {
            let id: PlatformKeyId = read("the id", id)?;
            confirm(&format!("{id} will be refused from now on, for good."), sure.yes)?;
            let row = keys.revoke(&opened.context, id).await?;
            if json {
                return print_json(&row_json(&row));
            }
            print(&format!("Revoked {} ({})", row.id, row.name))
        }
    }
}

fn row_json(row: &PlatformKeyRow) -> Value {
    json!({
        "id": row.id,
        "name": row.name,
        "scopes": row.scopes,
        "last_three": row.last_three,
        "created_at": row.created_at,
        "last_used_at": row.last_used_at,
        "revoked_at": row.revoked_at,
    })
}
