//! What ends or changes a key at once: switch, rotate, replace, revoke. Each asks on a page of its own.

use std::collections::HashMap;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trousseau_domain::ids::KeyId;
use trousseau_domain::keys::{KeyState, KeyStatus, Overlap};
use trousseau_service::ServiceError;
use trousseau_service::idempotency::Answered;
use trousseau_service::keys::{Exposure, IssuedKey, KeyChange, KeyHandle, KeyView, Remaining};

use super::issued::{self, Moment};
use super::make::number_in;
use super::usage::{Seen, seen};
use super::view::{Row, Rules, Stakes, label};
use super::{at_home, base, is_live, key_of, once, path_of};
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::Shown;
use crate::dashboard::frame::Frame;
use crate::dashboard::kept::{Keepable, Kept};
use crate::dashboard::once::{Switched, kept, sent_once};
use crate::dashboard::session::{Entered, Stop, WriteKeys};
use crate::dashboard::text::message;
use crate::router::Web;

/// A question before an act.
#[derive(Debug, Template)]
#[template(path = "dashboard/keys/confirm.html")]
struct ConfirmPage<'a> {
    frame: &'a Frame,
    row: Row,
    question: String,
    consequence: String,
    action: String,
    button: String,
    danger: bool,
    errors: FormErrors,
    /// The keys that this one left behind, each with whether it is to end as well.
    offspring: Vec<(Row, bool)>,
    /// What a switch is set to, so that the form sent twice does not undo itself.
    to: Option<&'static str>,
    /// The name to type, where that is asked for.
    type_name: Option<String>,
    typed: String,
    /// Why it cannot be done at all.
    impossible: Option<String>,
    live: bool,
    base: String,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/keys/rotate.html")]
struct RotatePage<'a> {
    frame: &'a Frame,
    row: Row,
    once: String,
    overlaps: Vec<(&'static str, String, bool)>,
    previous: Option<Shown>,
    /// Who was seen with a value that is not the present one.
    seen: Vec<Seen>,
    consequence: String,
    errors: FormErrors,
    live: bool,
}

/// What was typed to confirm.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Confirmed {
    name: String,
    /// The ids of keys to end as well.
    with: Vec<String>,
}

impl Keepable for Confirmed {}

/// What was chosen for a rotation.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Rotation {
    overlap: String,
    once: String,
}

impl Keepable for Rotation {}

type Number = Path<HashMap<String, String>>;

/// What a key's value is worth, and what breaks without it.
async fn exposure(web: &Web, entered: &Entered<WriteKeys>, view: &KeyView) -> Result<Exposure, Stop> {
    let found = web.app.keys().exposure(&entered.tenant, view.key.id).await;
    found.map_err(|error| entered.refused(error, &path_of(&entered.frame, view.key.number)))
}

/// A key that can still be acted on, and its page.
async fn target(web: &Web, entered: &Entered<WriteKeys>, path: &Number) -> Result<(KeyView, String), Stop> {
    let view = key_of(web, entered, number_in(path)).await?;
    let page = path_of(&entered.frame, view.key.number);
    if view.key.revoked_at.is_some() {
        return Err(Stop::go(&page));
    }
    Ok((view, page))
}

/// Asks whether to switch the key off, or on.
pub(super) async fn switch_form(
    State(web): State<Web>,
    entered: Entered<WriteKeys>,
    path: Number,
) -> Result<Response, Stop> {
    let (view, page) = target(&web, &entered, &path).await?;
    if !Rules::of(&entered.profile).console.dates {
        return Err(Stop::go(&page));
    }
    if view.key.state == KeyState::Inactive {
        entered.prove_first(&entered.frame.here)?;
    }
    ask_switch(&web, &entered, &view, StatusCode::OK, FormErrors::new()).await
}

async fn ask_switch(
    web: &Web,
    entered: &Entered<WriteKeys>,
    view: &KeyView,
    status: StatusCode,
    errors: FormErrors,
) -> Result<Response, Stop> {
    let frame = at_home(entered.frame.clone());
    let t = frame.t;
    let catalogue = web.app.settings().catalogue();
    let row = Row::of(&frame, &entered.profile, catalogue, view);
    let off = view.key.state == KeyState::Active;
    let exposure = exposure(web, entered, view).await?;
    let must_stay = exposure.remaining == Remaining::NoneProtected;
    let stakes = Stakes::of(&exposure, catalogue, &frame.f, t);
    let name = [("name", row.label.as_str())];
    let template = ConfirmPage {
        offspring: Vec::new(),
        to: Some(if off { "off" } else { "on" }),
        question: if off { t.with("switch-off-question", name) } else { t.with("switch-on-question", name) },
        consequence: if off { stakes.if_ended } else { stakes.if_stolen },
        action: format!("{}/switch", row.path),
        button: if off { t.get("action-switch-off") } else { t.get("action-switch-on") },
        danger: off,
        errors,
        type_name: None,
        typed: String::new(),
        impossible: (off && must_stay).then(|| t.get("last-key")),
        live: is_live(entered),
        base: base(&frame),
        frame: &frame,
        row,
    };
    Ok(frame.page_with(status, &template))
}

/// Switches the key to where the form says.
pub(super) async fn switch(
    State(web): State<Web>,
    entered: Entered<WriteKeys>,
    path: Number,
    Form(wanted): Form<Switched>,
) -> Result<Response, Stop> {
    let (view, page) = target(&web, &entered, &path).await?;
    let (state, flash) = match wanted.to.as_str() {
        "off" => (KeyState::Inactive, message!("flash-key-off")),
        "on" => (KeyState::Active, message!("flash-key-on")),
        _ => return Err(Stop::go(&format!("{page}/switch"))),
    };
    let change = KeyChange { state: Some(state), ..KeyChange::default() };
    let handle = KeyHandle::Id(view.key.id);
    match web.app.keys().update(&entered.context, &entered.tenant, handle, &change).await {
        Ok(view) => Ok(entered.frame.done(&page, flash, &label(&view, entered.frame.t))),
        Err(ServiceError::LastKey) => ask_switch(&web, &entered, &view, StatusCode::CONFLICT, FormErrors::new()).await,
        Err(ServiceError::KeyLimitReached(_)) => {
            let mut errors = FormErrors::new();
            errors.add("confirm", entered.frame.t.get("limit-reached"));
            ask_switch(&web, &entered, &view, StatusCode::CONFLICT, errors).await
        }
        Err(error) => Err(entered.refused(error, &format!("{page}/switch"))),
    }
}

/// Asks how long the old value is to live on.
pub(super) async fn rotate_form(
    State(web): State<Web>,
    entered: Entered<WriteKeys>,
    path: Number,
    Kept(kept): Kept<Rotation>,
) -> Result<Response, Stop> {
    let (view, page) = target(&web, &entered, &path).await?;
    if !Rules::of(&entered.profile).console.rotates {
        return Err(Stop::go(&page));
    }
    entered.prove_first(&entered.frame.here)?;
    let rotation = kept.unwrap_or_else(|| fresh_rotation(&web));
    ask_rotate(&web, &entered, &view, StatusCode::OK, rotation, FormErrors::new()).await
}

async fn ask_rotate(
    web: &Web,
    entered: &Entered<WriteKeys>,
    view: &KeyView,
    status: StatusCode,
    rotation: Rotation,
    errors: FormErrors,
) -> Result<Response, Stop> {
    let frame = at_home(entered.frame.clone());
    let t = frame.t;
    let catalogue = web.app.settings().catalogue();
    let exposure = exposure(web, entered, view).await?;
    let chosen = if rotation.overlap == "now" { DEFAULT_OVERLAP } else { rotation.overlap.as_str() };
    let overlaps = OVERLAPS.map(|(value, hours)| {
        let label = if hours < 48 {
            t.with("overlap-hours", [("count", hours)])
        } else {
            t.with("overlap-days", [("count", hours / 24)])
        };
        (value, label, value == chosen)
    });
    let template = RotatePage {
        row: Row::of(&frame, &entered.profile, catalogue, view),
        overlaps: overlaps.to_vec(),
        previous: view.key.previous_ends_at.filter(|end| *end > frame.f.now()).map(|end| frame.f.moment(end)),
        consequence: Stakes::of(&exposure, catalogue, &frame.f, t).if_ended,
        seen: seen(&exposure.old_value_callers, view, &frame.f, t),
        errors,
        live: is_live(entered),
        once: rotation.once,
        frame: &frame,
    };
    Ok(frame.page_with(status, &template))
}

/// The overlaps that can be chosen, in hours.
const OVERLAPS: [(&str, u32); 5] = [("1", 1), ("24", 24), ("72", 72), ("168", 168), ("720", 720)];
/// The one that is chosen unless the reader says otherwise.
const DEFAULT_OVERLAP: &str = "24";

/// The form of a rotation before anything is chosen.
fn fresh_rotation(web: &Web) -> Rotation {
    Rotation { overlap: DEFAULT_OVERLAP.to_owned(), once: once(web) }
}

/// Gives the key a new value and shows it.
pub(super) async fn rotate(
    State(web): State<Web>,
    entered: Entered<WriteKeys>,
    path: Number,
    Form(rotation): Form<Rotation>,
) -> Result<Response, Stop> {
    let (view, page) = target(&web, &entered, &path).await?;
    let hours = OVERLAPS.iter().find(|(value, _)| *value == rotation.overlap).map(|(_, hours)| *hours);
    let (overlap, moment) = match hours {
        Some(hours) => (Overlap::For(Duration::from_hours(u64::from(hours))), Moment::Rotated),
        None if rotation.overlap == "now" => (Overlap::None, Moment::Replaced),
        None => {
            let mut errors = FormErrors::new();
            errors.add("overlap", entered.frame.t.get("choose-overlap"));
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return ask_rotate(&web, &entered, &view, status, rotation, errors).await;
        }
    };
    let render = |issued: &IssuedKey| kept(&issued.view.key.number);
    let idempotent = sent_once(&entered.person, &format!("/{}/rotate", view.key.id), &rotation.once, &render);
    let keys = web.app.keys();
    match keys.rotate(&entered.context, &entered.tenant, view.key.id, overlap, idempotent.as_ref()).await {
        Ok(Answered::Done(issued)) => Ok(issued::page(&web, &entered, &issued, moment)),
        Ok(Answered::Replayed(_)) => Ok(entered.frame.done(&page, message!("flash-form-sent-already"), "")),
        Err(ServiceError::OverlapInProgress) => {
            let mut errors = FormErrors::new();
            errors.add("overlap", entered.frame.t.get("overlap-in-progress"));
            let rotation = Rotation { once: once(&web), ..rotation };
            ask_rotate(&web, &entered, &view, StatusCode::CONFLICT, rotation, errors).await
        }
        Err(error) => Err(entered.refused_form(&web, error, &format!("{page}/rotate"), &rotation).await),
    }
}

/// Asks whether to revoke the key.
pub(super) async fn revoke_form(
    State(web): State<Web>,
    entered: Entered<WriteKeys>,
    path: Number,
    Kept(kept): Kept<Confirmed>,
) -> Result<Response, Stop> {
    let (view, page) = target(&web, &entered, &path).await?;
    if !Rules::of(&entered.profile).console.revokes {
        return Err(Stop::go(&page));
    }
    entered.prove_first(&entered.frame.here)?;
    ask_revoke(&web, &entered, &view, StatusCode::OK, kept.as_ref(), FormErrors::new()).await
}

async fn ask_revoke(
    web: &Web,
    entered: &Entered<WriteKeys>,
    view: &KeyView,
    status: StatusCode,
    given: Option<&Confirmed>,
    errors: FormErrors,
) -> Result<Response, Stop> {
    let frame = at_home(entered.frame.clone());
    let t = frame.t;
    let catalogue = web.app.settings().catalogue();
    let row = Row::of(&frame, &entered.profile, catalogue, view);
    let exposure = exposure(web, entered, view).await?;
    let must_stay = exposure.remaining == Remaining::NoneProtected;
    let offspring = exposure.left_behind.iter().map(|left| {
        let row = Row::of(&frame, &entered.profile, catalogue, left);
        // All of them, until the reader has chosen.
        let ended = given.is_none_or(|given| given.with.contains(&row.id));
        (row, ended)
    });
    let template = ConfirmPage {
        offspring: offspring.collect(),
        to: None,
        question: t.with("revoke-question", [("name", row.label.as_str())]),
        consequence: Stakes::of(&exposure, catalogue, &frame.f, t).if_ended,
        action: format!("{}/revoke", row.path),
        button: t.get("revoke-button"),
        danger: true,
        errors,
        typed: given.map(|given| given.name.clone()).unwrap_or_default(),
        type_name: (is_live(entered) && view.status == KeyStatus::Active).then(|| row.label.clone()),
        impossible: must_stay.then(|| t.get("last-key")),
        live: is_live(entered),
        base: base(&frame),
        frame: &frame,
        row,
    };
    Ok(frame.page_with(status, &template))
}

/// Revokes the key.
pub(super) async fn revoke(
    State(web): State<Web>,
    entered: Entered<WriteKeys>,
    path: Number,
    Form(confirmed): Form<Confirmed>,
) -> Result<Response, Stop> {
    let (view, page) = target(&web, &entered, &path).await?;
    let t = entered.frame.t;
    let name = label(&view, t);
    if is_live(&entered) && view.status == KeyStatus::Active && confirmed.name.trim() != name {
        let mut errors = FormErrors::new();
        errors.add("name", t.with("type-name-wrong", [("name", name)]));
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return ask_revoke(&web, &entered, &view, status, Some(&confirmed), errors).await;
    }
    let with: Vec<KeyId> = confirmed.with.iter().filter_map(|id| id.parse().ok()).collect();
    match web.app.keys().revoke_with(&entered.context, &entered.tenant, view.key.id, &with).await {
        Ok(_) => Ok(entered.frame.done(&page, message!("flash-key-revoked"), &name)),
        Err(ServiceError::LastKey) => {
            ask_revoke(&web, &entered, &view, StatusCode::CONFLICT, Some(&confirmed), FormErrors::new()).await
        }
        Err(error) => Err(entered.refused_form(&web, error, &format!("{page}/revoke"), &confirmed).await),
    }
}
