//! Making a key, and changing one: one form.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use std::collections::HashMap;
use trousseau_domain::keys::{KeyKind, KeyStatus};
use trousseau_domain::origin::Origin;
use trousseau_domain::time::{Day, TimeZone, Timestamp};
use trousseau_service::idempotency::Answered;
use trousseau_service::keys::{Allowance, IssuedKey, KeyChange, KeyDraft, KeyHandle, KeyView};
use trousseau_service::{FieldProblem, KeyFilter, KeyOrder, ServiceError};

use super::fields::{Extra, Fields, Permission, Wanted, extras, permissions};
use super::view::{Console, Row};
use super::{at_home, base, is_live, issued, key_of, path_of};
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::frame::Frame;
use crate::dashboard::kept::Kept;
use crate::dashboard::once::{kept, sent_once};
use crate::dashboard::session::{Entered, Stop, WriteKeys};
use crate::dashboard::text::{Arg, Texts, message};
use crate::router::Web;

#[derive(Debug, Template)]
#[template(path = "dashboard/keys/form.html")]
struct FormPage<'a> {
    frame: &'a Frame,
    console: Console,
    base: String,
    action: String,
    /// The key that is changed; none where one is made.
    editing: Option<Row>,
    fields: Fields,
    is_secret: bool,
    errors: FormErrors,
    permissions: Vec<Permission>,
    extras: Vec<Extra>,
    summary: String,
    live: bool,
    /// What is full, and which keys could be ended to make room.
    full: Option<Full>,
    ends: Vec<(&'static str, String, bool)>,
}

/// There is no room for another key.
#[derive(Debug, Clone)]
struct Full {
    text: String,
    unused: Vec<Row>,
}

/// The form of a new key.
pub(super) async fn form(
    State(web): State<Web>,
    entered: Entered<WriteKeys>,
    Kept(kept): Kept<Fields>,
) -> Result<Response, Stop> {
    entered.prove_first(&entered.frame.here)?;
    let fields =
        kept.unwrap_or_else(|| Fields::fresh(super::once(&web), &entered.frame.f, web.app.settings().catalogue()));
    draw(&web, &entered, StatusCode::OK, None, fields, FormErrors::new()).await
}

/// The same form with the sentence of what was chosen so far.
pub(super) async fn summary(
    State(web): State<Web>,
    entered: Entered<WriteKeys>,
    Form(fields): Form<Fields>,
) -> Result<Response, Stop> {
    draw(&web, &entered, StatusCode::OK, None, fields, FormErrors::new()).await
}

/// Makes the key.
pub(super) async fn make(
    State(web): State<Web>,
    entered: Entered<WriteKeys>,
    Form(fields): Form<Fields>,
) -> Result<Response, Stop> {
    let (f, t) = (entered.frame.f.clone(), entered.frame.t);
    let console = Console::of(&entered.profile);
    let mut errors = FormErrors::new();
    let wanted = fields.read(&console, web.app.settings().catalogue(), &f, t, &mut errors);
    let Some(wanted) = wanted else {
        return draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, None, fields, errors).await;
    };
    let home = base(&entered.frame);
    let draft = match drafted(&console, &wanted, f.zone(), f.now()) {
        Ok(draft) => draft,
        Err(error) => return Err(entered.refused(error, &home)),
    };
    let render = |issued: &IssuedKey| kept(&issued.view.key.number);
    let path = format!("/{}/{}/create", entered.tenant.business, entered.tenant.environment);
    let idempotent = sent_once(&entered.person, &path, &fields.once, &render);
    match web.app.keys().create(&entered.context, &entered.tenant, &draft, idempotent.as_ref()).await {
        Ok(Answered::Done(issued)) => Ok(issued::page(&web, &entered, &issued, issued::Moment::Made)),
        Ok(Answered::Replayed(_)) => Ok(entered.frame.done(&home, message!("flash-form-sent-already"), "")),
        Err(ServiceError::KeyLimitReached(_)) => {
            draw(&web, &entered, StatusCode::CONFLICT, None, fields, FormErrors::new()).await
        }
        Err(ServiceError::Invalid(problems)) => {
            told(&problems, t, &mut errors);
            draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, None, fields, errors).await
        }
        Err(error) => Err(entered.refused_form(&web, error, &format!("{home}/create"), &fields).await),
    }
}

fn drafted(console: &Console, wanted: &Wanted, zone: &TimeZone, now: Timestamp) -> Result<KeyDraft, ServiceError> {
    let mut draft = KeyDraft::new(wanted.kind);
    draft.name.clone_from(&wanted.name);
    if console.dates {
        draft.state = wanted.state;
        let today = zone.day_of(now) == wanted.start;
        draft.valid_from = (!today).then(|| zone.start_of(wanted.start)).transpose().map_err(out_of_range)?;
        draft.valid_until = wanted.end.map(|day| zone.end_of(day)).transpose().map_err(out_of_range)?;
    }
    if console.rights {
        draft.scopes = (wanted.kind == KeyKind::Secret).then(|| wanted.scopes.clone());
        draft.allowed_origins.clone_from(&wanted.origins);
        draft.allowed_ips.clone_from(&wanted.ips);
        draft.rates = Some(wanted.limits.rates.clone());
        draft.quota = Some(wanted.limits.quota);
    }
    Ok(draft)
}

#[expect(clippy::needless_pass_by_value, reason = "errors come by value")]
fn out_of_range(error: trousseau_domain::time::InvalidTime) -> ServiceError {
    ServiceError::Invalid(vec![FieldProblem::new("valid_until", error.to_string())])
}

/// What the service found wrong, at the controls that it concerns.
fn told(problems: &[FieldProblem], t: Texts, errors: &mut FormErrors) {
    for problem in problems {
        match problem.field {
            "valid_from" | "valid_until" => errors.add("end_date", t.get("wrong-order")),
            "name" => errors.add("name", t.get("wrong-name-control")),
            "scopes" => errors.add("permissions", t.get("wrong-scope")),
            "allowed_origins" => errors.add("origins", t.get("wrong-origins")),
            "allowed_ips" => errors.add("ips", t.get("wrong-ips")),
            _ => errors.add("kind", t.get("wrong-kind")),
        }
    }
}

/// The form of a key that is there.
pub(super) async fn edit_form(
    State(web): State<Web>,
    entered: Entered<WriteKeys>,
    Path(path): Path<HashMap<String, String>>,
    Query(offer): Query<Offer>,
    Kept(kept): Kept<Fields>,
) -> Result<Response, Stop> {
    let view = key_of(&web, &entered, number_in(&path)).await?;
    may_be_changed(&entered, &view)?;
    entered.prove_first(&entered.frame.here)?;
    let mut fields = kept.unwrap_or_else(|| Fields::of(&view, &entered.frame.f));
    if offer.origins == "seen" && fields.origins.is_empty() {
        fields.origins = origins_seen(&web, &entered, &view).await?.join("\n");
    }
    draw(&web, &entered, StatusCode::OK, Some(&view), fields, FormErrors::new()).await
}

/// What the form is to begin with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Offer {
    /// `seen` for the origins that the key was used from.
    origins: String,
}

/// The origins of the pages that a checkout key was used from.
pub(super) async fn origins_seen<P>(web: &Web, entered: &Entered<P>, view: &KeyView) -> Result<Vec<String>, Stop> {
    let seen = web.app.requests().sightings(&entered.tenant, view.key.id).await;
    let seen = seen.map_err(|error| entered.refused(error, &base(&entered.frame)))?;
    let mut origins: Vec<String> = seen.into_iter().filter_map(|row| row.origin).collect();
    origins.sort_unstable();
    origins.dedup();
    origins.retain(|origin| origin.parse::<Origin>().is_ok());
    Ok(origins)
}

/// The number in a path.
pub(super) fn number_in(path: &HashMap<String, String>) -> &str {
    path.get("number").map(String::as_str).unwrap_or_default()
}

/// A key that cannot be changed has no form: its page says why.
fn may_be_changed(entered: &Entered<WriteKeys>, view: &KeyView) -> Result<(), Stop> {
    let console = Console::of(&entered.profile);
    if console.edits() && view.key.revoked_at.is_none() {
        Ok(())
    } else {
        Err(Stop::go(&path_of(&entered.frame, view.key.number)))
    }
}

/// Changes the key by what is different in the form.
pub(super) async fn edit(
    State(web): State<Web>,
    entered: Entered<WriteKeys>,
    Path(path): Path<HashMap<String, String>>,
    Form(mut fields): Form<Fields>,
) -> Result<Response, Stop> {
    let view = key_of(&web, &entered, number_in(&path)).await?;
    may_be_changed(&entered, &view)?;
    let (f, t) = (entered.frame.f.clone(), entered.frame.t);
    let console = Console::of(&entered.profile);
    // The kind is not in the form: it never changes.
    fields.kind = view.key.kind.to_string();
    let mut errors = FormErrors::new();
    let wanted = fields.read(&console, web.app.settings().catalogue(), &f, t, &mut errors);
    let Some(wanted) = wanted else {
        return draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, Some(&view), fields, errors).await;
    };
    let here = format!("{}/edit", path_of(&entered.frame, view.key.number));
    let change = difference(&console, &view, &wanted, f.zone()).map_err(|error| entered.refused(error, &here))?;
    let handle = KeyHandle::Id(view.key.id);
    match web.app.keys().update(&entered.context, &entered.tenant, handle, &change).await {
        Ok(new) => {
            let to = path_of(&entered.frame, new.key.number);
            Ok(entered.frame.done(&to, message!("flash-key-saved"), &super::view::label(&new, t)))
        }
        Err(ServiceError::Invalid(problems)) => {
            told(&problems, t, &mut errors);
            draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, Some(&view), fields, errors).await
        }
        Err(ServiceError::LastKey) => {
            errors.add(if view.key.state == wanted.state { "end_date" } else { "state" }, t.get("last-key"));
            draw(&web, &entered, StatusCode::CONFLICT, Some(&view), fields, errors).await
        }
        Err(ServiceError::KeyLimitReached(_)) => {
            errors.add("state", t.get("limit-reached"));
            draw(&web, &entered, StatusCode::CONFLICT, Some(&view), fields, errors).await
        }
        Err(error) => Err(entered.refused_form(&web, error, &here, &fields).await),
    }
}

/// What is different. A day that stays the same moves no instant, whatever the time of day it stands for.
fn difference(console: &Console, view: &KeyView, wanted: &Wanted, zone: &TimeZone) -> Result<KeyChange, ServiceError> {
    let key = &view.key;
    let mut change = KeyChange::default();
    if console.named && console.rights && key.name != wanted.name {
        change.name = Some(wanted.name.clone());
    }
    if console.dates {
        change.state = (key.state != wanted.state).then_some(wanted.state);
        if zone.day_of(key.valid_from) != wanted.start {
            change.valid_from = Some(zone.start_of(wanted.start).map_err(out_of_range)?);
        }
        let old_end: Option<Day> = key.valid_until.map(|end| zone.last_day_before(end));
        if old_end != wanted.end {
            let end = wanted.end.map(|day| zone.end_of(day)).transpose().map_err(out_of_range)?;
            change.valid_until = Some(end);
        }
    }
    if console.rights {
        if key.kind == KeyKind::Secret {
            change.scopes = (key.scopes != wanted.scopes).then(|| wanted.scopes.clone());
        }
        change.allowed_origins = (key.allowed_origins != wanted.origins).then(|| wanted.origins.clone());
        change.allowed_ips = (key.allowed_ips != wanted.ips).then(|| wanted.ips.clone());
        change.rates = (key.limits.rates != wanted.limits.rates).then(|| wanted.limits.rates.clone());
        change.quota = (key.limits.quota != wanted.limits.quota).then_some(wanted.limits.quota);
    }
    Ok(change)
}

async fn draw(
    web: &Web,
    entered: &Entered<WriteKeys>,
    status: StatusCode,
    view: Option<&KeyView>,
    fields: Fields,
    errors: FormErrors,
) -> Result<Response, Stop> {
    let frame = at_home(entered.frame.clone());
    let (f, t) = (&frame.f, frame.t);
    let console = Console::of(&entered.profile);
    let catalogue = web.app.settings().catalogue();
    let home = base(&frame);
    let chosen = fields.scopes();
    let summary = fields
        .read(&console, catalogue, f, t, &mut FormErrors::new())
        .or_else(|| {
            // A form that lacks a name only has its sentence all the same.
            let named = Fields { name: "-".to_owned(), ..fields.clone() };
            named.read(&console, catalogue, f, t, &mut FormErrors::new())
        })
        .map(|wanted| {
            if console.rights {
                wanted.summary(entered.tenant.environment, catalogue, f, t)
            } else if console.dates {
                wanted.dates(f, t)
            } else {
                t.get("sum-everything")
            }
        })
        .unwrap_or_default();
    let editing = view.map(|view| Row::of(&frame, &entered.profile, catalogue, view));
    let full = if view.is_none() { full(web, entered, &frame, fields.kind()).await? } else { None };
    let ends = ["none", "30", "90", "365", "date"]
        .map(|value| (value, end_label(value, t), fields.end == value || (value == "none" && fields.end.is_empty())))
        .to_vec();
    let template = FormPage {
        action: editing.as_ref().map_or_else(|| format!("{home}/create"), |row| format!("{}/edit", row.path)),
        is_secret: fields.kind() == KeyKind::Secret,
        permissions: permissions(&chosen, t),
        extras: extras(&chosen, catalogue, t),
        live: is_live(entered),
        frame: &frame,
        base: home,
        console,
        editing,
        fields,
        errors,
        summary,
        full,
        ends,
    };
    Ok(frame.page_with(status, &template))
}

fn end_label(value: &str, t: Texts) -> String {
    match value {
        "none" => t.get("end-none"),
        "date" => t.get("end-date"),
        days => t.with("end-days", [("count", days.parse::<u32>().unwrap_or(0))]),
    }
}

/// What is full, for the kind of key that is to be made.
async fn full(web: &Web, entered: &Entered<WriteKeys>, frame: &Frame, kind: KeyKind) -> Result<Option<Full>, Stop> {
    let fail = |error| entered.refused(error, &base(frame));
    let keys = web.app.keys();
    let room = keys.allowances(&entered.tenant).await.map_err(fail)?;
    let counted = |room: &Allowance| room.kind.is_none_or(|counted| counted == kind);
    let Some(full) = room.into_iter().find(|room| room.used >= room.most && counted(room)) else {
        return Ok(None);
    };
    // Those never used come first, then those not used for the longest time.
    let filter = KeyFilter { kind: full.kind, status: Some(KeyStatus::Active), ..KeyFilter::default() };
    let unused = keys.list_counted(&entered.tenant, &filter, KeyOrder::LastUsedAsc, 0, 5).await.map_err(fail)?.data;
    let t = frame.t;
    let what = full.kind.map_or("all", KeyKind::as_str);
    Ok(Some(Full {
        text: t.with("limit-reached-here", [("most", Arg::from(full.most)), ("kind", Arg::from(what))]),
        unused: unused
            .iter()
            .map(|view| Row::of(frame, &entered.profile, web.app.settings().catalogue(), view))
            .collect(),
    }))
}
