//! One key: what it is, what it may do, what happened to it.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use trousseau_domain::keys::KeyKind;
use trousseau_domain::members::Operation;
use trousseau_service::keys::{KeyView, Remaining};
use trousseau_service::{EventFilter, EventRow};

use super::make::{number_in, origins_seen};
use super::usage::{Call, Seen, Week, calls, seen, weeks};
use super::view::{Console, Row, Rules, Stakes, abilities, in_words, reach, texts};
use super::{at_home, base, is_live, key_of};
use crate::dashboard::events::{changes, happened};
use crate::dashboard::format::Shown;
use crate::dashboard::frame::Frame;
use crate::dashboard::names::{Actors, KeyNames, Who};
use crate::dashboard::session::{Entered, ReadKeys, Stop};
use crate::router::Web;

/// How many events the page shows.
const HISTORY: u32 = 20;

/// Something that happened to the key.
#[derive(Debug, Clone)]
struct Entry {
    at: Shown,
    what: String,
    who: Who,
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
    limits: Vec<String>,
    created: Shown,
    created_by: Who,
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
    let actors = Actors::of(&web, &entered).await.map_err(fail)?;
    let keys = KeyNames::of(&web, &entered).await.map_err(fail)?;
    let history = events.data.iter().map(|event| Entry::of(event, &actors, &keys, &frame)).collect();
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
        limits: in_words(&key.limits, f, t),
        created: f.moment(key.created_at),
        created_by: actors.who(&key.created_by, &keys),
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

impl Entry {
    fn of(event: &EventRow, actors: &Actors, keys: &KeyNames, frame: &Frame) -> Self {
        Self {
            at: frame.f.moment(event.at),
            what: happened(&event.kind, frame.t),
            who: actors.who(&event.actor, keys),
            changes: changes(event, frame.t),
        }
    }
}
