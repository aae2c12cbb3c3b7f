//! `trousseau key ...`

use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroizing;
use serde_json::{Value, json};
use trousseau_domain::decision::{Decision, Demand};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::{BusinessId, KeyId};
use trousseau_domain::keys::{KeyKind, KeyState, KeyStatus, Overlap};
use trousseau_domain::limits::Quota;
use trousseau_domain::origin::Origin;
use trousseau_domain::text::KeyName;
use trousseau_domain::time::{TimeZone, Timestamp};
use trousseau_service::access::VerifyRequest;
use trousseau_service::keys::{IssuedKey, KeyChange, KeyDraft, KeyQuery, KeyView};
use trousseau_service::nodes::{InForce, NodeApplied};
use trousseau_store::{KeyFilter, KeyOrder};

use super::import::Input;
use super::{done, metadata, read, read_all};
use crate::app::Opened;
use crate::cli::{self, Key, OneKey};
use crate::exit::Failure;
use crate::output::{self, confirm, paired, print, print_json, print_once, print_pairs, print_table, read_key};
use crate::when;

/// Rows fetched at a time.
const PAGE: u32 = 100;

pub(crate) async fn run(opened: &Opened, command: &Key, json: bool) -> Result<(), Failure> {
    match command {
        Key::Create { .. } => create(opened, command, json).await,
        Key::List { tenant, kind, revoked } => list(opened, &read_tenant(tenant)?, *kind, *revoked, json).await,
        Key::Import { tenant, kind: of, format, batch, file } => {
            let input = Input { file: file.as_deref(), format: *format, batch: usize::from(*batch) };
            super::import::run(opened, &read_tenant(tenant)?, kind(*of), input, json).await
        }
        Key::ImportReport { tenant } => super::import::report(opened, &read_tenant(tenant)?, json).await,
        Key::Show(one) => show(&find(opened, one).await?, json),
        Key::Update { .. } => update(opened, command, json).await,
        Key::Rotate { key, overlap, sure } => {
            let view = find(opened, key).await?;
            let overlap = when::overlap(overlap, &zone(opened, &view.key.tenant.business).await?)?;
            let ends_now = match overlap {
                Overlap::None => true,
                Overlap::For(length) => length.is_zero(),
                Overlap::Until(end) => end <= opened.app.now(),
            };
            if ends_now {
                confirm(&format!("The present value of {} will be refused from now on.", view.key.id), sure.yes)?;
            }
            let issued =
                opened.app.keys().rotate(&opened.context, &view.key.tenant, view.key.id, overlap, None).await?;
            show_issued(opened, &done(issued), json).await
        }
        Key::Revoke { key, sure } => {
            let view = find(opened, key).await?;
            confirm(
                &format!("{} ({}) will be refused from now on, for good.", view.key.id, view.masked_value()),
                sure.yes,
            )?;
            let since = Instant::now();
            let revoked = done(opened.app.keys().revoke(&opened.context, &view.key.tenant, view.key.id, None).await?);
            let applied = opened.app.nodes().wait_applied(since).await?;
            if json {
                let mut body = view_json(&revoked);
                body["applied"] = applied_json(&applied);
                return print_json(&body);
            }
            print(&format!("Revoked {}", revoked.key.id))?;
            print(&match applied.nodes.len() {
                0 => "No server runs on this database.".to_owned(),
                1 => format!("In force on 1 server after {} ms.", applied.after.as_millis()),
                count => format!("In force on {count} servers after {} ms.", applied.after.as_millis()),
            })
        }
        Key::Reveal(one) => {
            let view = find(opened, one).await?;
            let issued = opened.app.keys().reveal(&opened.context, &view.key.tenant, view.key.id, None).await?;
            show_issued(opened, &done(issued), json).await
        }
        Key::Verify { business, scope, origin, ip } => {
            let request = VerifyRequest {
                key: Zeroizing::new(read_key()?.expose_secret().to_owned()),
                business_id: business.clone(),
                demand: Demand {
                    scopes: scope.iter().map(|scope| read("--scope", scope)).collect::<Result<_, _>>()?,
                    ..Demand::default()
                },
                origin: origin.clone(),
                address: *ip,
                reference: None,
            };
            verify(opened, &request, json).await
        }
        Key::Find => find_by_value(opened, json).await,
    }
}

fn read_tenant(tenant: &cli::Tenant) -> Result<Tenant, Failure> {
    Ok(Tenant::new(read("--business", &tenant.business)?, environment(tenant.environment)))
}

const fn environment(environment: cli::Environment) -> Environment {
    match environment {
        cli::Environment::Test => Environment::Test,
        cli::Environment::Live => Environment::Live,
    }
}

const fn kind(kind: cli::Kind) -> KeyKind {
    match kind {
        cli::Kind::Secret => KeyKind::Secret,
        cli::Kind::Checkout => KeyKind::Checkout,
    }
}

/// The time zone in which days of this business begin.
async fn zone(opened: &Opened, business: &BusinessId) -> Result<TimeZone, Failure> {
    Ok(opened.app.businesses().get(business).await?.time_zone)
}

/// The key that was named, if it belongs where it is said to belong.
async fn find(opened: &Opened, one: &OneKey) -> Result<KeyView, Failure> {
    let id: KeyId = read("the id", &one.id)?;
    let view = opened.app.keys().find_anywhere(id).await?;
    let business: Option<BusinessId> = one.business.as_deref().map(|text| read("--business", text)).transpose()?;
    let elsewhere = business.is_some_and(|business| business != view.key.tenant.business)
        || one.environment.is_some_and(|wanted| environment(wanted) != view.key.tenant.environment);
    if elsewhere { Err(Failure::refused(format!("{id} does not belong there"))) } else { Ok(view) }
}

async fn create(opened: &Opened, command: &Key, json: bool) -> Result<(), Failure> {
    let Key::Create {
        tenant,
        kind: of,
        name,
        valid_from,
        valid_until,
        scopes,
        allowed_origins,
        allowed_ips,
        rate_limits,
        quota_day,
        quota_month,
        metadata: pairs,
    } = command
    else {
        return Ok(());
    };
    let tenant = read_tenant(tenant)?;
    let zone = zone(opened, &tenant.business).await?;
    let draft = KeyDraft {
        name: name.as_deref().map(|name| read("--name", name)).transpose()?,
        valid_from: valid_from.as_deref().map(|text| when::start(text, &zone)).transpose()?,
        valid_until: valid_until.as_deref().map(|text| when::end(text, &zone)).transpose()?,
        scopes: if scopes.is_empty() { None } else { Some(read_all("--scope", scopes)?) },
        allowed_origins: read_all("--allowed-origin", allowed_origins)?,
        allowed_ips: read_all("--allowed-ip", allowed_ips)?,
        rates: Some(super::limits::rates(rate_limits)?),
        quota: Some(super::limits::quota(Quota::default(), *quota_day, *quota_month)?),
        metadata: metadata(pairs)?,
        ..KeyDraft::new(kind(*of))
    };
    let issued = done(opened.app.keys().create(&opened.context, &tenant, &draft, None).await?);
    show_issued(opened, &issued, json).await
}

async fn list(
    opened: &Opened,
    tenant: &Tenant,
    of: Option<cli::Kind>,
    revoked: bool,
    json: bool,
) -> Result<(), Failure> {
    // So that a business that does not exist is not one without keys.
    opened.app.businesses().get(&tenant.business).await?;
    let mut query = KeyQuery {
        filter: KeyFilter { kind: of.map(kind), include_revoked: revoked, ..KeyFilter::default() },
        order: KeyOrder::NumberAsc,
        after: None,
        limit: PAGE,
    };
    let mut views: Vec<KeyView> = Vec::new();
    loop {
        let page = opened.app.keys().list(tenant, &query).await?;
        views.extend(page.data);
        query.after = views.last().map(|view| view.key.id);
        if !page.has_more {
            break;
        }
    }
    if json {
        return print_json(&json!({ "data": views.iter().map(view_json).collect::<Vec<_>>() }));
    }
    let cells = |view: &KeyView| {
        vec![
            view.key.id.to_string(),
            view.key.number.to_string(),
            view.key.kind.to_string(),
            view.key.name.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            view.masked_value(),
            view.status.to_string(),
            time(view.key.valid_until),
            time(view.key.last_used_at),
        ]
    };
    let rows: Vec<_> = views.iter().map(cells).collect();
    print_table(&["ID", "NO", "KIND", "NAME", "VALUE", "STATUS", "ENDS", "LAST USED"], &rows, "No keys here.")
}

async fn update(opened: &Opened, command: &Key, json: bool) -> Result<(), Failure> {
    let Key::Update {
        key,
        name,
        state,
        valid_from,
        valid_until,
        scopes,
        allowed_origins,
        allowed_ips,
        limits: named,
        metadata: pairs,
        sure,
    } = command
    else {
        return Ok(());
    };
    let view = find(opened, key).await?;
    let zone = zone(opened, &view.key.tenant.business).await?;
    let without_blank = |texts: &[String]| texts.iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>();
    let (rates, quota) = super::limits::changed(named, &view.key.limits)?;
    let change = KeyChange {
        name: name
            .as_deref()
            .map(|text| KeyName::parse_optional(text).map_err(|error| Failure::usage(format!("--name {error}"))))
            .transpose()?,
        state: state.map(|state| match state {
            cli::State::Active => KeyState::Active,
            cli::State::Inactive => KeyState::Inactive,
        }),
        valid_from: valid_from.as_deref().map(|text| when::start(text, &zone)).transpose()?,
        valid_until: match valid_until.as_deref() {
            None => None,
            Some("never") => Some(None),
            Some(text) => Some(Some(when::end(text, &zone)?)),
        },
        scopes: scopes.as_deref().map(|scopes| read_all("--scope", scopes)).transpose()?,
        allowed_origins: match allowed_origins {
            Some(texts) => Some(read_all::<Origin, _>("--allowed-origin", &without_blank(texts))?),
            None => None,
        },
        allowed_ips: match allowed_ips {
            Some(texts) => Some(read_all("--allowed-ip", &without_blank(texts))?),
            None => None,
        },
        rates,
        quota,
        metadata: pairs.as_deref().map(metadata).transpose()?,
    };
    if change.state == Some(KeyState::Inactive) {
        confirm(&format!("{} will be refused until it is switched on again.", view.key.id), sure.yes)?;
    }
    let ends_now = |until: &Timestamp| *until <= opened.app.now();
    if change.valid_until.as_ref().and_then(Option::as_ref).is_some_and(ends_now) {
        confirm(&format!("{} will be refused from now on: that end is over.", view.key.id), sure.yes)?;
    }
    let in_force = view.status == KeyStatus::Active;
    if let Some(from) = change.valid_from.filter(|from| in_force && *from > opened.app.now()) {
        confirm(&format!("{} is in force, and will be refused until {from}.", view.key.id), sure.yes)?;
    }
    let handle = trousseau_service::keys::KeyHandle::Id(view.key.id);
    show(&opened.app.keys().update(&opened.context, &view.key.tenant, handle, &change).await?, json)
}

async fn verify(opened: &Opened, request: &VerifyRequest, json: bool) -> Result<(), Failure> {
    let verdict = opened.app.access().verify(request).await?;
    let code = verdict.decision.reason();
    if json {
        let missing = match &verdict.decision {
            Decision::Deny { missing_scope, .. } => missing_scope.clone(),
            Decision::Allow => None,
        };
        print_json(&json!({
            "valid": code.is_none(),
            "code": code,
            "missing_scope": missing,
            "key_id": verdict.key.as_ref().map(|caller| caller.key_id()),
            "business_id": verdict.key.as_ref().map(|caller| caller.tenant.business.clone()),
            "environment": verdict.key.as_ref().map(|caller| caller.tenant.environment),
            "kind": verdict.key.as_ref().map(|caller| caller.kind()),
            "scopes": verdict.key.as_ref().map(|caller| caller.scopes().clone()),
        }))?;
    } else if let Some(caller) = &verdict.key {
        let business = opened.app.businesses().get(&caller.tenant.business).await?;
        print_pairs(&[
            ("Decision", "valid".to_owned()),
            ("Key", caller.key_id().to_string()),
            ("Business", format!("{} ({})", business.name, business.id)),
            ("Environment", caller.tenant.environment.to_string()),
            ("Kind", caller.kind().to_string()),
        ])?;
    }
    match code {
        None => Ok(()),
        Some(code) => Err(Failure::refused(format!("the key is refused: {code}"))),
    }
}

async fn find_by_value(opened: &Opened, json: bool) -> Result<(), Failure> {
    let value = read_key()?;
    let Some(found) = opened.app.access().find(value.expose_secret()).await? else {
        return Err(Failure::refused("no key of a business has this value"));
    };
    let found = found.found;
    let view = opened.app.keys().find_anywhere(found.key.id).await?;
    let current = found.version.version == found.key.current_version;
    if json {
        let mut body = view_json(&view);
        body["business"] = json!({ "id": found.business.id, "name": found.business.name });
        body["current_value"] = json!(current);
        return print_json(&body);
    }
    print_pairs(&[
        ("Key", view.key.id.to_string()),
        ("Business", format!("{} ({})", found.business.name, found.business.id)),
        ("Environment", view.key.tenant.environment.to_string()),
        ("Status", view.status.to_string()),
        ("Value", if current { "the current one" } else { "an earlier one" }.to_owned()),
    ])
}

fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.truncated_to_second().to_string())
}

fn list_text<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    if texts.is_empty() { "-".to_owned() } else { texts.join(" ") }
}

/// A key as JSON, with the members of the API.
pub(crate) fn view_json(view: &KeyView) -> Value {
    let key = &view.key;
    json!({
        "id": key.id,
        "number": key.number,
        "business_id": key.tenant.business,
        "environment": key.tenant.environment,
        "kind": key.kind,
        "name": key.name,
        "external_reference": key.external_reference,
        "masked_value": view.masked_value(),
        "state": key.state,
        "status": view.status,
        "valid_from": key.valid_from,
        "valid_until": key.valid_until,
        "scopes": key.scopes,
        "allowed_origins": key.allowed_origins,
        "allowed_ips": key.allowed_ips,
        "rate_limits": super::limits::rates_json(&key.limits.rates),
        "quota": super::limits::quota_json(key.limits.quota),
        "metadata": key.metadata,
        "previous_valid_until": key.previous_ends_at,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    })
}

/// From when on a change was in force, as JSON.
fn applied_json(applied: &InForce) -> Value {
    let node = |node: &NodeApplied| json!({ "id": node.node, "after_ms": millis(node.after), "by": node.by.as_str() });
    json!({ "after_ms": millis(applied.after), "nodes": applied.nodes.iter().map(node).collect::<Vec<_>>() })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A key with its value as JSON.
pub(crate) fn issued_json(issued: &IssuedKey) -> Value {
    let mut body = view_json(&issued.view);
    body["value"] = json!(issued.value.expose());
    body["authorization"] = json!(issued.authorization.as_str());
    body
}

fn pairs(view: &KeyView) -> Vec<(&'static str, String)> {
    let key = &view.key;
    vec![
        ("Key", key.id.to_string()),
        ("Number", key.number.to_string()),
        ("Business", key.tenant.business.to_string()),
        ("Environment", key.tenant.environment.to_string()),
        ("Kind", key.kind.to_string()),
        ("Name", key.name.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)),
        ("Value", view.masked_value()),
        ("Status", view.status.to_string()),
        ("Begins", time(Some(key.valid_from))),
        ("Ends", time(key.valid_until)),
        ("Scopes", list_text(key.scopes.iter())),
        ("Origins", list_text(&key.allowed_origins)),
        ("Addresses", list_text(&key.allowed_ips)),
        ("Limits", super::limits::words(&key.limits)),
        ("Earlier value ends", time(key.previous_ends_at)),
        ("Created", time(Some(key.created_at))),
        ("Last used", time(key.last_used_at)),
    ]
}

fn show(view: &KeyView, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&view_json(view));
    }
    print_pairs(&pairs(view))
}

async fn show_issued(opened: &Opened, issued: &IssuedKey, json: bool) -> Result<(), Failure> {
    let unseen = || format!("the value of key {} was not shown: rotate the key to get another", issued.view.key.id);
    if json {
        return print_once(&output::json(&issued_json(issued))?, unseen);
    }
    let mut pairs = pairs(&issued.view);
    for (name, value) in &mut pairs {
        if *name == "Value" {
            issued.value.expose().clone_into(value);
        }
    }
    print_once(&paired(&pairs), unseen)?;
    let key = &issued.view.key;
    let business = opened.app.businesses().get(&key.tenant.business).await?;
    let profile = opened.app.settings().profile(&business.profile);
    if !profile.is_some_and(|profile| profile.value_readable(key.tenant.environment, key.kind)) {
        print("\nThe value is shown now and never again.")?;
    }
    Ok(())
}
