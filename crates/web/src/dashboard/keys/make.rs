//! Making a key, and changing one: one form.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use std::collections::HashMap;
use trousseau_domain::keys::{KeyKind, KeyStatus};
use trousseau_domain::limits::Quota;
use trousseau_domain::origin::Origin;
use trousseau_domain::time::{TimeZone, Timestamp};
use trousseau_service::idempotency::Answered;
use trousseau_service::keys::{Allowance, IssuedKey, KeyChange, KeyDraft, KeyHandle, KeyView};
use trousseau_service::{FieldProblem, KeyFilter, KeyOrder, ServiceError};

use super::fields::{Extra, Fields, Permission, Sent, Wanted, extras, permissions};
use super::view::{Console, Row};
use super::{actions, at_home, base, is_live, issued, key_of, path_of};
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::Formats;
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
    let idempotent = sent_once(&entered.person, &entered.frame, &path, &fields.once, &fields, &render);
    match web.app.keys().create(&entered.context, &entered.tenant, &draft, idempotent.as_ref()).await {
        Ok(Answered::Done(issued)) => Ok(issued::page(&web, &entered, &issued, issued::Moment::Made)),
        Ok(Answered::Replayed(_)) => Ok(entered.frame.done(&home, message!("flash-form-sent-already"), "")),
        Err(ServiceError::KeyLimitReached(_)) => {
            draw(&web, &entered, StatusCode::CONFLICT, None, fields, FormErrors::new()).await
        }
        Err(ServiceError::IdempotencyKeyReused) => {
            errors.add("create", t.get("create-sent-otherwise"));
            let fields = Fields { once: super::once(&web), ..fields };
            draw(&web, &entered, StatusCode::CONFLICT, None, fields, errors).await
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
    Form(sent): Form<Sent>,
) -> Result<Response, Stop> {
    let view = key_of(&web, &entered, number_in(&path)).await?;
    may_be_changed(&entered, &view)?;
    let (f, t) = (entered.frame.f.clone(), entered.frame.t);
    let console = Console::of(&entered.profile);
    let catalogue = web.app.settings().catalogue();
    let before = sent.fields.before(&view, &console, catalogue, &f, t);
    let fields = sent.completed(&before);
    let mut errors = FormErrors::new();
    let wanted = fields.read(&console, catalogue, &f, t, &mut errors);
    let Some(wanted) = wanted else {
        return draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, Some(&view), fields, errors).await;
    };
    let here = format!("{}/edit", path_of(&entered.frame, view.key.number));
    let difference = Difference { before, now: Wanted::of(&view, &f), wanted: wanted.clone() };
    for field in difference.changed_meanwhile(&console) {
        errors.add(field, t.get("changed-meanwhile"));
    }
    if !errors.is_empty() {
        // Sent once more, it is meant.
        let fields = difference.redrawn(fields, &view, &f);
        return draw(&web, &entered, StatusCode::CONFLICT, Some(&view), fields, errors).await;
    }
    let change = difference.change(&console, f.zone()).map_err(|error| entered.refused(error, &here))?;
    if fields.sure.is_empty() && actions::leaves_none(&web, &entered, &view, &change).await? {
        return actions::ask_lockout(&web, &entered, &view, &fields).await;
    }
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

/// A form, between what it began with and what the key is by now.
struct Difference {
    before: Wanted,
    now: Wanted,
    wanted: Wanted,
}

impl Difference {
    /// What the person changed and is not so already. A day that stays the same moves no instant, whatever the time of
    /// day it stands for.
    fn change(&self, console: &Console, zone: &TimeZone) -> Result<KeyChange, ServiceError> {
        let Self { before, now, wanted } = self;
        let mut change = KeyChange::default();
        if console.named && console.rights {
            change.name = changed(&before.name, &now.name, &wanted.name);
        }
        if console.dates {
            change.state = changed(&before.state, &now.state, &wanted.state);
            let start = changed(&before.start, &now.start, &wanted.start);
            change.valid_from = start.map(|day| zone.start_of(day)).transpose().map_err(out_of_range)?;
            if let Some(end) = changed(&before.end, &now.end, &wanted.end) {
                change.valid_until = Some(end.map(|day| zone.end_of(day)).transpose().map_err(out_of_range)?);
            }
        }
        if console.rights {
            if now.kind == KeyKind::Secret {
                change.scopes = changed(&before.scopes, &now.scopes, &wanted.scopes);
            }
            change.allowed_origins = changed(&before.origins, &now.origins, &wanted.origins);
            change.allowed_ips = changed(&before.ips, &now.ips, &wanted.ips);
            change.rates = changed(&before.limits.rates, &now.limits.rates, &wanted.limits.rates);
            let [old, new, chosen] = [before, now, wanted].map(|form| form.limits.quota);
            let quota = Quota {
                day: changed(&old.day, &new.day, &chosen.day).unwrap_or(new.day),
                month: changed(&old.month, &new.month, &chosen.month).unwrap_or(new.month),
            };
            change.quota = (quota != new).then_some(quota);
        }
        Ok(change)
    }

    /// The form with what the person changed, and what is there by now in all else.
    fn redrawn(&self, sent: Fields, view: &KeyView, f: &Formats) -> Fields {
        let Self { before, wanted, .. } = self;
        let now = Fields::of(view, f);
        let [old, chosen] = [before, wanted].map(|form| &form.limits);
        let of = |is_changed: bool, sent: String, now: String| if is_changed { sent } else { now };
        let end_moved = wanted.end != before.end;
        Fields {
            name: of(wanted.name != before.name, sent.name, now.name),
            state: of(wanted.state != before.state, sent.state, now.state),
            start: of(wanted.start != before.start, sent.start, now.start),
            end: of(end_moved, sent.end, now.end),
            end_date: of(end_moved, sent.end_date, now.end_date),
            ips: of(wanted.ips != before.ips, sent.ips, now.ips),
            origins: of(wanted.origins != before.origins, sent.origins, now.origins),
            rates: of(chosen.rates != old.rates, sent.rates, now.rates),
            quota_day: of(chosen.quota.day != old.quota.day, sent.quota_day, now.quota_day),
            quota_month: of(chosen.quota.month != old.quota.month, sent.quota_month, now.quota_month),
            scope: if wanted.scopes == before.scopes { now.scope } else { sent.scope },
            kind: now.kind,
            once: sent.once,
            drawn: Fields::drawn_of(view, f),
            sure: String::new(),
        }
    }

    /// The controls whose value the person changed, and somebody else too, to something else.
    fn changed_meanwhile(&self, console: &Console) -> Vec<&'static str> {
        let Self { before, now, wanted } = self;
        let [old, new, chosen] = [before, now, wanted].map(|form| form.limits.quota);
        [
            (console.named && console.rights, "name", apart(&before.name, &now.name, &wanted.name)),
            (console.dates, "state", apart(&before.state, &now.state, &wanted.state)),
            (console.dates, "start", apart(&before.start, &now.start, &wanted.start)),
            (console.dates, "end_date", apart(&before.end, &now.end, &wanted.end)),
            (console.rights, "permissions", apart(&before.scopes, &now.scopes, &wanted.scopes)),
            (console.rights, "origins", apart(&before.origins, &now.origins, &wanted.origins)),
            (console.rights, "ips", apart(&before.ips, &now.ips, &wanted.ips)),
            (console.rights, "rates", apart(&before.limits.rates, &now.limits.rates, &wanted.limits.rates)),
            (console.rights, "quota_day", apart(&old.day, &new.day, &chosen.day)),
            (console.rights, "quota_month", apart(&old.month, &new.month, &chosen.month)),
        ]
        .into_iter()
        .filter_map(|(offered, field, apart)| (offered && apart).then_some(field))
        .collect()
    }
}

/// What was chosen, where it is neither what the form began with nor what is there.
fn changed<T: PartialEq + Clone>(before: &T, now: &T, wanted: &T) -> Option<T> {
    (wanted != before && wanted != now).then(|| wanted.clone())
}

/// Whether two people went different ways from here.
fn apart<T: PartialEq>(before: &T, now: &T, wanted: &T) -> bool {
    wanted != before && now != before && wanted != now
}

async fn draw(
    web: &Web,
    entered: &Entered<WriteKeys>,
    status: StatusCode,
    view: Option<&KeyView>,
    mut fields: Fields,
    errors: FormErrors,
) -> Result<Response, Stop> {
    let frame = at_home(entered.frame.clone());
    let (f, t) = (&frame.f, frame.t);
    if let (Some(view), true) = (view, fields.drawn.is_empty()) {
        fields.drawn = Fields::drawn_of(view, f);
    }
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
