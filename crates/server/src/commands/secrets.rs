//! `trousseau secrets ...`

use serde_json::{Value, json};
use trousseau_service::ServiceError;
use trousseau_service::secrets::{SecretStatus, SecretsError};
use trousseau_store::SecretKind;

use crate::app::Opened;
use crate::cli::{self, Secrets};
use crate::exit::Failure;
use crate::output::{print, print_json, print_table};

const fn kinds(only: Option<cli::SecretKind>) -> &'static [SecretKind] {
    match only {
        None => &[SecretKind::Pepper, SecretKind::Kek],
        Some(cli::SecretKind::Pepper) => &[SecretKind::Pepper],
        Some(cli::SecretKind::KeyEncryptionKey) => &[SecretKind::Kek],
    }
}

fn versions_json(versions: &[(SecretKind, u32)]) -> serde_json::Map<String, Value> {
    versions.iter().map(|(kind, version)| (word(*kind).to_owned(), json!(version))).collect()
}

pub(crate) async fn run(opened: &Opened, command: &Secrets, json: bool) -> Result<(), Failure> {
    let secrets = opened.app.secrets();
    match command {
        Secrets::Prepare { only } => {
            let versions = secrets.prepare(kinds(*only)).await.map_err(ServiceError::from)?;
            if json {
                return print_json(&json!({ "versions": versions_json(&versions) }));
            }
            for (kind, version) in &versions {
                print(&format!("Prepared {}: version {version}", word(*kind).replace('_', " ")))?;
            }
            print(
                "Give the key file to every node and copy it to a safe place; then: trousseau secrets rotate --prepared",
            )
        }
        Secrets::Rotate { only, prepared } => {
            let (kinds, actor) = (kinds(*only), opened.context.actor());
            // Before the file: versions carry the time since which they are used.
            opened.app.clock_is_sure()?;
            let rotation = if *prepared {
                secrets.rotate_prepared(kinds, actor, None).await
            } else {
                secrets.rotate(kinds, actor, None).await
            };
            let rotation = rotation.map_err(|error| match error {
                SecretsError::NothingPrepared(_) => Failure::refused(error.to_string()),
                other => ServiceError::from(other).into(),
            })?;
            let moved = rotation.moved;
            if json {
                return print_json(&json!({
                    "versions": versions_json(&rotation.versions),
                    "rewrapped": moved.rewrapped,
                    "redigested": moved.redigested,
                    "refused": moved.refused,
                }));
            }
            for (kind, version) in &rotation.versions {
                print(&format!("New {}: version {version}", word(*kind).replace('_', " ")))?;
            }
            print(&format!("{} sealed values and {} digests moved to it.", moved.rewrapped, moved.redigested))?;
            if moved.refused > 0 {
                print(&format!("{} sealed values do not open and stay as they are.", moved.refused))?;
            }
            print("Copy the key file to a safe place now: without it no key of this database can be checked.")
        }
        Secrets::Status => {
            let status = secrets.status().await.map_err(ServiceError::from)?;
            if json {
                return print_json(&json!({ "data": status.iter().map(status_json).collect::<Vec<_>>() }));
            }
            let mut rows = Vec::new();
            for secret in &status {
                for version in &secret.versions {
                    rows.push(vec![
                        word(secret.kind).replace('_', " "),
                        version.version.to_string(),
                        version.rows.to_string(),
                        if version.is_current { "current" } else { "old" }.to_owned(),
                        version.created_at.truncated_to_second().to_string(),
                    ]);
                }
            }
            print_table(&["SECRET", "VERSION", "ROWS", "STATE", "SINCE"], &rows, "No secrets yet.")
        }
    }
}

const fn word(kind: SecretKind) -> &'static str {
    match kind {
        SecretKind::Pepper => "pepper",
        SecretKind::Kek => "key_encryption_key",
    }
}

fn status_json(status: &SecretStatus) -> Value {
    let versions: Vec<_> = status
        .versions
        .iter()
        .map(|version| {
            json!({
                "version": version.version,
                "rows": version.rows,
                "current": version.is_current,
                "created_at": version.created_at,
            })
        })
        .collect();
    json!({ "secret": word(status.kind), "versions": versions })
}
