//! What ends or changes a key at once: switch, rotate, replace, revoke. Each asks on a page of its own.

use std::collections::HashMap;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trousseau_domain::ids::KeyId;
use trousseau_domain::keys::{KeyKind, KeyState, KeyStatus, Overlap};
use trousseau_service::idempotency::Answered;
use trousseau_service::keys::{Exposure, IssuedKey, KeyChange, KeyHandle, KeyView, Remaining};
use trousseau_service::{KeyFilter, KeyOrder, ServiceError};

use super::fields::Fields;
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
use crate::problem::{Failure, Kind};
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
    /// What the form holds beside the answer, such as what a switch is set to: sent twice, it does not undo itself.
    hidden: Vec<(String, String)>,
    /// The name to type, where that is asked for.
    type_name: Option<String>,
    typed: String,
    /// Why it cannot be done at all.
    impossible: Option<String>,
    /// Why it cannot be done with all the keys that are chosen.
    spares_none: Option<String>,
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
        hidden: vec![("to".to_owned(), if off { "off" } else { "on" }.to_owned())],
        question: if off { t.with("switch-off-question", name) } else { t.with("switch-on-question", name) },
        consequence: if off { stakes.if_ended } else { stakes.if_stolen },
        action: format!("{}/switch", row.path),
        button: if off { t.get("action-switch-off") } else { t.get("action-switch-on") },
        danger: off,
        errors,
        type_name: None,
        typed: String::new(),
        impossible: (off && must_stay).then(|| t.get("last-key")),
        spares_none: None,
        live: is_live(entered),
        base: base(&frame),
        frame: &frame,
        row,
    };
    Ok(frame.page_with(status, &template))
}

/// Whether a change ends the only key in force of its kind, where the profile allows that.
pub(super) async fn leaves_none(
    web: &Web,
    entered: &Entered<WriteKeys>,
    view: &KeyView,
    change: &KeyChange,
) -> Result<bool, Stop> {
    let now = entered.frame.f.now();
    let off = change.state == Some(KeyState::Inactive);
    let not_yet = change.valid_from.is_some_and(|start| start > now);
    let over = change.valid_until.flatten().is_some_and(|end| end <= now);
    if view.status != KeyStatus::Active || !(off || not_yet || over) {
        return Ok(false);
    }
    Ok(exposure(web, entered, view).await?.remaining == Remaining::NoneAllowed)
}

/// Asks before a change of the form that leaves no key in force, and sends the form again with the answer.
pub(super) async fn ask_lockout(
    web: &Web,
    entered: &Entered<WriteKeys>,
    view: &KeyView,
    fields: &Fields,
) -> Result<Response, Stop> {
    let frame = at_home(entered.frame.clone());
    let t = frame.t;
    let catalogue = web.app.settings().catalogue();
    let row = Row::of(&frame, &entered.profile, catalogue, view);
    let exposure = exposure(web, entered, view).await?;
    let sure = Fields { sure: "yes".to_owned(), ..fields.clone() };
    let sent = serde_html_form::to_string(&sure).map_err(|_| Failure::new(Kind::Internal))?;
    let hidden = serde_html_form::from_str(&sent).map_err(|_| Failure::new(Kind::Internal))?;
    let template = ConfirmPage {
        offspring: Vec::new(),
        hidden,
        question: t.with("lockout-question", [("name", row.label.as_str())]),
        consequence: format!("{} {}", t.get("lockout"), Stakes::of(&exposure, catalogue, &frame.f, t).if_ended),
        action: format!("{}/edit", row.path),
        button: t.get("save"),
        danger: true,
        errors: FormErrors::new(),
        type_name: None,
        typed: String::new(),
        impossible: None,
        spares_none: None,
        live: is_live(entered),
        base: base(&frame),
        frame: &frame,
        row,
    };
    Ok(frame.page(&template))
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
    let sent_to = format!("/{}/rotate", view.key.id);
    let idempotent = sent_once(&entered.person, &entered.frame, &sent_to, &rotation.once, &rotation, &render);
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
        // The other form of the same page was sent before: this one is meant all the same.
        Err(ServiceError::IdempotencyKeyReused) => {
            let mut errors = FormErrors::new();
            let field = if overlap == Overlap::None { "replace" } else { "overlap" };
            errors.add(field, entered.frame.t.get("rotate-sent-otherwise"));
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
    mut errors: FormErrors,
) -> Result<Response, Stop> {
    let frame = at_home(entered.frame.clone());
    let t = frame.t;
    let catalogue = web.app.settings().catalogue();
    let row = Row::of(&frame, &entered.profile, catalogue, view);
    let exposure = exposure(web, entered, view).await?;
    let must_stay = exposure.remaining == Remaining::NoneProtected;
    // All of them, until the reader has chosen.
    let is_chosen = |left: &KeyView| given.is_none_or(|given| given.with.contains(&left.key.id.to_string()));
    let chosen: Vec<&KeyView> = exposure.left_behind.iter().filter(|left| is_chosen(left)).chain([view]).collect();
    let spares_none = !must_stay && spares_none(web, entered, &chosen).await?;
    if spares_none && given.is_some() {
        errors.add("with", t.get("last-keys"));
    } else if !must_stay && status == StatusCode::CONFLICT {
        // Somebody ended others meanwhile.
        errors.add("confirm", t.get("last-key"));
    }
    let offspring =
        exposure.left_behind.iter().map(|left| (Row::of(&frame, &entered.profile, catalogue, left), is_chosen(left)));
    let template = ConfirmPage {
        offspring: offspring.collect(),
        hidden: Vec::new(),
        question: t.with("revoke-question", [("name", row.label.as_str())]),
        consequence: Stakes::of(&exposure, catalogue, &frame.f, t).if_ended,
        action: format!("{}/revoke", row.path),
        button: t.get("revoke-button"),
        danger: true,
        errors,
        typed: given.map(|given| given.name.clone()).unwrap_or_default(),
        type_name: (is_live(entered) && view.status == KeyStatus::Active).then(|| row.label.clone()),
        impossible: must_stay.then(|| t.get("last-key")),
        spares_none: spares_none.then(|| t.get("last-keys")),
        live: is_live(entered),
        base: base(&frame),
        frame: &frame,
        row,
    };
    Ok(frame.page_with(status, &template))
}

/// Whether no key of a kind would be in force without these, where the profile protects the last one.
async fn spares_none(web: &Web, entered: &Entered<WriteKeys>, chosen: &[&KeyView]) -> Result<bool, Stop> {
    if !entered.profile.last_key_protected {
        return Ok(false);
    }
    for kind in [KeyKind::Secret, KeyKind::Checkout] {
        let is_ended = |view: &&&KeyView| view.key.kind == kind && view.status == KeyStatus::Active;
        let ended = chosen.iter().filter(is_ended).count();
        if ended == 0 {
            continue;
        }
        let filter = KeyFilter { kind: Some(kind), status: Some(KeyStatus::Active), ..KeyFilter::default() };
        let in_force = web.app.keys().list_counted(&entered.tenant, &filter, KeyOrder::NumberAsc, 0, 1).await;
        if in_force.map_err(|error| entered.refused(error, &base(&entered.frame)))?.total <= ended as u64 {
            return Ok(true);
        }
    }
    Ok(false)
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
