//! One key: what it is, what it may do, what happened to it.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use trousseau_domain::actor::Actor;
use trousseau_domain::events::EventType;
use trousseau_domain::keys::KeyKind;
use trousseau_domain::members::Operation;
use trousseau_service::keys::{KeyView, Remaining};
use trousseau_service::{EventFilter, EventRow};

use super::make::{number_in, origins_seen};
use super::usage::{Call, Seen, Week, calls, seen, weeks};
use super::view::{Console, Row, Rules, Stakes, abilities, reach, texts};
use super::{at_home, base, is_live, key_by_id, key_of};
use crate::dashboard::format::Shown;
use crate::dashboard::frame::Frame;
use crate::dashboard::session::{Entered, ReadKeys, Stop};
use crate::dashboard::text::{Arg, Texts, message};
use crate::router::Web;

/// How many events the page shows.
const HISTORY: u32 = 20;

/// Something that happened to the key.
#[derive(Debug, Clone)]
struct Entry {
    at: Shown,
    what: String,
    who: String,
    changes: Vec<String>,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/keys/show.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is something the template asks by itself")]
struct ShowPage<'a> {
    frame: &'a Frame,
    console: Console,
    base: String,
    row: Row,
    stakes: Stakes,
    week: Option<Week>,
    seen: Vec<Seen>,
    calls: Vec<Call>,
    left_behind: Vec<Row>,
    origins_seen: Vec<String>,
    abilities: Vec<String>,
    reach: String,
    created: Shown,
    created_by: String,
    revoked: Option<Shown>,
    previous: Option<Shown>,
    history: Vec<Entry>,
    may_write: bool,
    must_stay: bool,
    /// A LIVE checkout key that any page may use.
    unbound: bool,
    /// A LIVE secret whose value nobody can read again.
    unreadable: bool,
    id: String,
}

/// The page of a key.
pub(super) async fn show(
    State(web): State<Web>,
    entered: Entered<ReadKeys>,
    Path(path): Path<HashMap<String, String>>,
) -> Result<Response, Stop> {
    let view = key_of(&web, &entered, number_in(&path)).await?;
    let frame = at_home(entered.frame.clone());
    let (f, t, key) = (&frame.f, frame.t, &view.key);
    let fail = |error| entered.refused(error, &base(&frame));
    let rules = Rules::of(&entered.profile);
    let catalogue = web.app.settings().catalogue();
    let row = Row::of(&frame, &rules.profile, catalogue, &view);
    let filter = EventFilter { key_id: Some(key.id), ..EventFilter::default() };
    let events = web.app.events().list(&entered.tenant, &filter, None, HISTORY).await.map_err(fail)?;
    let mut history = Vec::with_capacity(events.data.len());
    for event in &events.data {
        history.push(entry(&web, &entered, &frame, event).await);
    }
    let exposure = web.app.keys().exposure(&entered.tenant, key.id).await.map_err(fail)?;
    let sightings = web.app.requests().sightings(&entered.tenant, key.id).await.map_err(fail)?;
    let week = weeks(&web, &entered, std::slice::from_ref(&view)).await.map_err(fail)?.remove(&key.id);
    let unbound = is_unbound(&entered, &view);
    let template = ShowPage {
        stakes: Stakes::of(&exposure, catalogue, f, t),
        week,
        seen: seen(&sightings, &view, f, t),
        calls: calls(&web, &entered, key.id).await.map_err(fail)?,
        left_behind: exposure.left_behind.iter().map(|left| Row::of(&frame, &rules.profile, catalogue, left)).collect(),
        abilities: abilities(&key.scopes, catalogue, t),
        reach: reach(key.kind, &texts(&key.allowed_origins), &texts(&key.allowed_ips), t),
        created: f.moment(key.created_at),
        created_by: actor(&web, &entered, &key.created_by, t).await,
        revoked: key.revoked_at.map(|at| f.moment(at)),
        previous: key.previous_ends_at.filter(|end| *end > f.now()).map(|end| f.moment(end)),
        history,
        may_write: entered.role.may(Operation::KeysWrite),
        must_stay: exposure.remaining == Remaining::NoneProtected,
        origins_seen: if unbound { origins_seen(&web, &entered, &view).await? } else { Vec::new() },
        unbound,
        unreadable: !row.readable && key.revoked_at.is_none(),
        id: key.id.to_string(),
        base: base(&frame),
        console: rules.console,
        frame: &frame,
        row,
    };
    Ok(frame.page(&template))
}

/// A LIVE checkout key without origins works from any page on earth.
fn is_unbound(entered: &Entered<ReadKeys>, view: &KeyView) -> bool {
    is_live(entered)
        && view.key.kind == KeyKind::Checkout
        && view.key.allowed_origins.is_empty()
        && view.key.revoked_at.is_none()
}

async fn entry(web: &Web, entered: &Entered<ReadKeys>, frame: &Frame, event: &EventRow) -> Entry {
    let t = frame.t;
    Entry {
        at: frame.f.moment(event.at),
        what: happened(&event.kind, t),
        who: actor(web, entered, &event.actor, t).await,
        changes: changes(event, t),
    }
}

fn happened(kind: &str, t: Texts) -> String {
    let Ok(kind) = kind.parse::<EventType>() else { return kind.to_owned() };
    match kind {
        EventType::KeyCreated => t.get("happened-created"),
        EventType::KeyImported => t.get("happened-imported"),
        EventType::KeyUpdated => t.get("happened-updated"),
        EventType::KeyRotated => t.get("happened-rotated"),
        EventType::KeyRevealed => t.get("happened-revealed"),
        EventType::KeyRevoked => t.get("happened-revoked"),
        other => other.to_string(),
    }
}

/// Who did it, as far as this reader may know.
async fn actor(web: &Web, entered: &Entered<ReadKeys>, actor: &Actor, t: Texts) -> String {
    match actor {
        Actor::Key { id, .. } => match key_by_id(web, entered, *id).await {
            Some(view) => t.with("by-key", [("name", super::view::label(&view, t))]),
            None => t.get("by-another-key"),
        },
        Actor::Member { id } if *id == entered.person.account.id => t.get("by-you"),
        Actor::Member { .. } => t.get("by-member"),
        Actor::PlatformKey { .. } => t.get("by-platform"),
        Actor::Operator { .. } => t.get("by-operator"),
        Actor::System => t.get("by-system"),
    }
}

/// What changed, member by member.
fn changes(event: &EventRow, t: Texts) -> Vec<String> {
    let Some(members) = event.data.get("changes").and_then(serde_json::Value::as_object) else { return Vec::new() };
    members
        .iter()
        .map(|(member, change)| {
            let name = match member.as_str() {
                "name" => t.get(message!("column-name")),
                "state" => t.get("column-state"),
                "valid_from" => t.get("column-start"),
                "valid_until" => t.get("column-end"),
                "scopes" => t.get("permissions"),
                "allowed_origins" => t.get("origins"),
                "allowed_ips" => t.get("ips"),
                _ => t.get("metadata"),
            };
            match (change.get("old"), change.get("new")) {
                (Some(old), Some(new)) => {
                    let (old, new) = (told(old, t), told(new, t));
                    t.with("changed-from-to", [("what", Arg::from(name)), ("old", old.into()), ("new", new.into())])
                }
                _ => name,
            }
        })
        .collect()
}

/// A value of an event in words.
fn told(value: &serde_json::Value, t: Texts) -> String {
    match value {
        serde_json::Value::Null => t.get("none"),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(entries) if entries.is_empty() => t.get("none"),
        serde_json::Value::Array(entries) => entries.iter().map(|entry| told(entry, t)).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
