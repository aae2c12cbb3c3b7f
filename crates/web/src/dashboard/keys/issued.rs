//! Values: shown once after creation and rotation, and again where the profile lets them be read.

use std::collections::HashMap;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use trousseau_domain::environment::Environment;
use trousseau_service::ServiceError;
use trousseau_service::idempotency::Answered;
use trousseau_service::keys::IssuedKey;

use super::make::number_in;
use super::view::{Console, kind_phrase, label};
use super::{at_home, is_live, key_of, path_of};
use crate::dashboard::form::Form;
use crate::dashboard::frame::redirect;
use crate::dashboard::issued::{Crumb, IssuedPage};
use crate::dashboard::session::{Entered, Stop, WriteKeys, step_up};
use crate::problem::Failure;
use crate::router::Web;

/// Why a value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// The key was made.
    Made,
    /// The key got a new value; the old one is good for a while.
    Rotated,
    /// The key got a new value, and the old one has ended.
    Replaced,
    /// The value was read again.
    Revealed,
}

/// The page with a value. Nothing keeps it, and its address leads to no value when it is opened again.
pub(super) fn page(web: &Web, entered: &Entered<WriteKeys>, issued: &IssuedKey, moment: Moment) -> Response {
    let frame = at_home(entered.frame.clone());
    let (t, key) = (frame.t, &issued.view.key);
    let console = Console::of(&entered.profile);
    let readable = entered.profile.value_readable(key.tenant.environment, key.kind);
    let title = match moment {
        Moment::Made => t.get("issued-made"),
        Moment::Rotated => t.get("issued-rotated"),
        Moment::Replaced => t.get("issued-replaced"),
        Moment::Revealed => t.get("issued-revealed"),
    };
    let until = match key.valid_until {
        Some(end) => t.with("until-day", [("day", frame.f.last_date(end).text)]),
        None => t.get("without-end"),
    };
    let mut lines = Vec::new();
    if let (Moment::Rotated, Some(end)) = (moment, key.previous_ends_at) {
        lines.push(t.with("issued-old-until", [("until", frame.f.exact(end))]));
    }
    if moment == Moment::Replaced {
        lines.push(t.get("issued-old-ended"));
    }
    lines.push(if console.needs_id { t.get("issued-install") } else { t.get("issued-install-alone") });
    let value = issued.value.expose();
    let (prefix, rest) = value.split_at_checked(key.mask_prefix.len()).unwrap_or(("", value));
    let warning = match (readable, is_live(entered)) {
        (true, true) => t.get("issued-readable-live"),
        (true, false) => t.get("issued-readable-test"),
        (false, true) => t.get("issued-once-live"),
        (false, false) => t.get("issued-once-test"),
    };
    let template = IssuedPage {
        about: [label(&issued.view, t), kind_phrase(key.kind, t), until].join(" · "),
        warning_title: if readable { t.get("issued-keep-title") } else { t.get("issued-copy-title") },
        reference: key.external_reference.clone(),
        authorization: issued.authorization.as_str(),
        business: Some(key.tenant.business.to_string()),
        needs_id: console.needs_id,
        example: "/v1/whoami",
        address: web.app.address().as_str().to_owned(),
        file: format!("trousseau-{}-{}.env", key.tenant.environment, key.number),
        crumb: Crumb {
            label: t.get("sub-api-keys"),
            href: if moment == Moment::Made { super::base(&frame) } else { path_of(&frame, key.number) },
        },
        once: !readable,
        live: Some(key.tenant.environment == Environment::Live),
        frame: &frame,
        title,
        warning,
        lines,
        prefix,
        rest,
    };
    frame.page(&template)
}

/// The address of a value, opened as a page: the page of its key.
pub(super) async fn nothing(entered: Entered<WriteKeys>, Path(path): Path<HashMap<String, String>>) -> Response {
    let number = number_in(&path).parse().unwrap_or(0);
    redirect(&path_of(&entered.frame, number))
}

/// The form has no fields of its own.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

/// A value for a script that copies it.
#[derive(Serialize)]
struct Copied<'a> {
    value: &'a str,
    authorization: &'a str,
}

/// Reads a value again, where the profile allows it; the service writes down that it was read.
pub(super) async fn reveal(
    State(web): State<Web>,
    entered: Entered<WriteKeys>,
    Path(path): Path<HashMap<String, String>>,
    headers: HeaderMap,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let for_script = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes() == b"application/json");
    let view = key_of(&web, &entered, number_in(&path)).await?;
    let back = path_of(&entered.frame, view.key.number);
    match web.app.keys().reveal(&entered.context, &entered.tenant, view.key.id, None).await {
        Ok(Answered::Done(issued)) if for_script => {
            let copied = Copied { value: issued.value.expose(), authorization: issued.authorization.as_str() };
            let body = serde_json::to_string(&copied).unwrap_or_default();
            Ok((StatusCode::OK, [(CONTENT_TYPE, "application/json")], body).into_response())
        }
        Ok(Answered::Done(issued)) => Ok(page(&web, &entered, &issued, Moment::Revealed)),
        Ok(Answered::Replayed(_)) => Ok(redirect(&back)),
        Err(ServiceError::StepUpRequired) if for_script => {
            let body = serde_json::json!({ "step_up": step_up(&back) }).to_string();
            Ok((StatusCode::FORBIDDEN, [(CONTENT_TYPE, "application/json")], body).into_response())
        }
        Err(error) if for_script => Err(Failure::from(error).into()),
        Err(error) => Err(entered.refused(error, &back)),
    }
}
