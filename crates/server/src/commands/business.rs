//! `trousseau business ...`

use secrecy::zeroize::Zeroizing;
use serde_json::{Value, json};
use trousseau_domain::business::Language;
use trousseau_domain::ids::BusinessId;
use trousseau_service::businesses::{BusinessChange, BusinessDraft, CreatedBusiness, status_of};
use trousseau_store::BusinessRow;

use super::{done, limits, metadata, read};
use crate::app::Opened;
use crate::cli::{self, Business};
use crate::exit::Failure;
use crate::output::{self, confirm, print, print_json, print_once, print_pairs, print_table};

/// Rows fetched at a time.
const PAGE: u32 = 100;

pub(crate) async fn run(opened: &Opened, command: &Business, json: bool) -> Result<(), Failure> {
    let businesses = opened.app.businesses();
    match command {
        Business::Create { name, profile, id, time_zone, language, metadata: pairs, dotenv, invite } => {
            let draft = BusinessDraft {
                name: read("the name", name)?,
                id: id.clone(),
                profile: profile.as_deref().map(|profile| read("--profile", profile)).transpose()?,
                time_zone: time_zone.as_deref().map(|zone| read("--time-zone", zone)).transpose()?,
                language: language.map_or(Language::English, |language| match language {
                    cli::Language::En => Language::English,
                    cli::Language::Fr => Language::French,
                }),
                metadata: metadata(pairs)?,
                invite: invite.as_deref().map(|email| read("--invite", email)).transpose()?,
            };
            let created = done(businesses.create(&opened.context, &draft, None).await?);
            let unseen = || unseen(&created);
            if json {
                return print_once(&output::json(&created_json(opened, &created))?, unseen);
            }
            if *dotenv {
                return print_once(&dotenv_lines(&created), unseen);
            }
            print_created(&created)?;
            if let Some(invited) = &created.invitation {
                super::member::print_invited(opened, invited)?;
                print("The LIVE keys come into being when the invitation is accepted, and are shown there once.")?;
            }
            Ok(())
        }
        Business::List => {
            let mut rows: Vec<BusinessRow> = Vec::new();
            loop {
                let page = businesses.list(rows.last().map(|row| &row.id), PAGE).await?;
                rows.extend(page.data);
                if !page.has_more {
                    break;
                }
            }
            if json {
                return print_json(&json!({ "data": rows.iter().map(business_json).collect::<Vec<_>>() }));
            }
            let cells = |row: &BusinessRow| {
                vec![
                    row.id.to_string(),
                    row.name.to_string(),
                    row.profile.clone(),
                    status_of(row).to_string(),
                    row.created_at.truncated_to_second().to_string(),
                ]
            };
            let rows: Vec<_> = rows.iter().map(cells).collect();
            print_table(&["ID", "NAME", "PROFILE", "STATUS", "CREATED"], &rows, "No business yet.")
        }
        Business::Show { id } => show(&businesses.get(&read("the id", id)?).await?, json),
        Business::Suspend { id, sure } => {
            let id: BusinessId = read("the id", id)?;
            let name = businesses.get(&id).await?.name;
            confirm(&format!("All keys of {name} ({id}) will be refused."), sure.yes)?;
            show(&done(businesses.suspend(&opened.context, &id, None).await?), json)
        }
        Business::Limit { id, limits: named } => {
            let id: BusinessId = read("the id", id)?;
            let (rates, quota) = limits::changed(named, &businesses.get(&id).await?.limits)?;
            let change = BusinessChange { rates, quota, ..BusinessChange::default() };
            show(&businesses.update(&opened.context, &id, &change).await?, json)
        }
        Business::Resume { id } => {
            let id = read("the id", id)?;
            show(&done(businesses.resume(&opened.context, &id, None).await?), json)
        }
    }
}

fn business_json(row: &BusinessRow) -> Value {
    json!({
        "id": row.id,
        "name": row.name,
        "profile": row.profile,
        "time_zone": row.time_zone.name(),
        "language": row.language,
        "rate_limits": limits::rates_json(&row.limits.rates),
        "quota": limits::quota_json(row.limits.quota),
        "metadata": row.metadata,
        "status": status_of(row),
        "suspended_at": row.suspended_at,
        "created_at": row.created_at,
    })
}

fn created_json(opened: &Opened, created: &CreatedBusiness) -> Value {
    let mut body = json!({
        "business": business_json(&created.business),
        "keys": created.keys.iter().map(super::key::issued_json).collect::<Vec<_>>(),
    });
    if let Some(invited) = &created.invitation {
        body["invitation"] = super::member::invited_json(opened, invited);
    }
    body
}

fn show(row: &BusinessRow, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&business_json(row));
    }
    print_pairs(&[
        ("Business", row.name.to_string()),
        ("Id", row.id.to_string()),
        ("Profile", row.profile.clone()),
        ("Time zone", row.time_zone.to_string()),
        ("Language", row.language.clone()),
        ("Limits", limits::words(&row.limits)),
        ("Status", status_of(row).to_string()),
        ("Created", row.created_at.truncated_to_second().to_string()),
    ])
}

fn print_created(created: &CreatedBusiness) -> Result<(), Failure> {
    print_pairs(&[
        ("Business", created.business.name.to_string()),
        ("Id", created.business.id.to_string()),
        ("Profile", created.business.profile.clone()),
    ])?;
    print_once(&format!("\nKeys\n{}", *key_lines(created)), || unseen(created))
}

/// What to do where the first keys were made and nobody saw them.
pub(crate) fn unseen(created: &CreatedBusiness) -> String {
    format!("business {} is there, but the values of its keys were not shown: rotate them", created.business.id)
}

/// The first keys, one per line, with their values.
pub(crate) fn key_lines(created: &CreatedBusiness) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for issued in &created.keys {
        let key = &issued.view.key;
        let environment = key.tenant.environment.in_key_text();
        for part in ["  ", environment, "  ", &format!("{:<10}", key.kind.as_str()), issued.value.expose(), "\n"] {
            text.push_str(part);
        }
    }
    text.pop();
    text
}

/// The id and the first keys under the names that the dashboard's `.env` file gives them.
fn dotenv_lines(created: &CreatedBusiness) -> Zeroizing<String> {
    let mut text = Zeroizing::new(format!("BUSINESS_ID={}", created.business.id));
    for issued in &created.keys {
        let key = &issued.view.key;
        let (environment, kind) = (key.tenant.environment.in_key_text(), key.kind.as_str().to_ascii_uppercase());
        for part in ["\n", environment, "_", &kind, "_API_KEY=", issued.value.expose()] {
            text.push_str(part);
        }
    }
    text
}
