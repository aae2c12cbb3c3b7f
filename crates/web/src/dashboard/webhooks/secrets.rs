//! The secret of an endpoint: shown once in LIVE, rotated, read again in TEST.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use trousseau_domain::keys::Overlap;
use trousseau_service::ServiceError;
use trousseau_service::idempotency::Answered;
use trousseau_service::webhooks::{EndpointView, IssuedEndpoint};

use super::endpoints::{Nothing, Row};
use super::{Parts, at_home, endpoint_of, is_live, path_of};
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::Shown;
use crate::dashboard::frame::Frame;
use crate::dashboard::once::{kept, once, once_more, sent_once};
use crate::dashboard::session::{Entered, Stop, WriteWebhooks};
use crate::dashboard::text::message;
use crate::router::Web;

/// Why a secret is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// The endpoint was registered.
    Made,
    /// The secret was rotated.
    Rotated,
    /// The secret is read again.
    Revealed,
}

#[derive(Template)]
#[template(path = "dashboard/webhooks/issued.html")]
struct IssuedPage<'a> {
    frame: &'a Frame,
    title: String,
    url: String,
    warning_title: String,
    warning: String,
    secret: &'a str,
    public_key: String,
    token: Option<&'a str>,
    old_until: Option<Shown>,
    back: String,
    file: String,
    once: bool,
    live: bool,
}

/// The page with a secret. Nothing keeps it, and its address leads to no secret when it is opened again.
pub(super) fn page(entered: &Entered<WriteWebhooks>, issued: &IssuedEndpoint, moment: Moment) -> Response {
    let frame = at_home(entered.frame.clone());
    let (t, endpoint, live) = (frame.t, &issued.view.endpoint, is_live(entered));
    let secret = issued.secrets.secret();
    let template = IssuedPage {
        title: match moment {
            Moment::Made => t.get("webhooks-made"),
            Moment::Rotated => t.get("webhooks-rotated"),
            Moment::Revealed => t.get("webhooks-revealed"),
        },
        url: endpoint.url.to_string(),
        warning_title: if live { t.get("issued-copy-title") } else { t.get("issued-keep-title") },
        warning: if live { t.get("webhooks-once") } else { t.get("webhooks-readable") },
        secret: &secret,
        public_key: issued.view.public_key.clone(),
        token: issued.secrets.token().map(trousseau_domain::webhooks::signature::VerificationToken::expose),
        old_until: (moment == Moment::Rotated)
            .then_some(issued.view.previous_until)
            .flatten()
            .map(|until| frame.f.moment(until)),
        back: path_of(&frame, endpoint.id),
        file: format!("trousseau-webhook-{}.env", endpoint.tenant.environment),
        once: live,
        live,
        frame: &frame,
    };
    frame.page(&template)
}

#[derive(Debug, Template)]
#[template(path = "dashboard/webhooks/rotate.html")]
struct RotatePage<'a> {
    frame: &'a Frame,
    row: Row,
    once: String,
    overlaps: Vec<(&'static str, String, bool)>,
    /// Until when the secret before the last rotation signs too.
    previous: Option<Shown>,
    errors: FormErrors,
    live: bool,
}

/// Asks how long the old secret signs too.
pub(super) async fn rotate_form(
    State(web): State<Web>,
    entered: Entered<WriteWebhooks>,
    parts: Parts,
) -> Result<Response, Stop> {
    let view = endpoint_of(&web, &entered, &parts).await?;
    entered.prove_first(&entered.frame.here)?;
    let rotation = Rotation { overlap: OVERLAPS[0].0.to_owned(), once: once(&web) };
    Ok(ask_rotate(&entered, &view, StatusCode::OK, rotation, FormErrors::new()))
}

/// The overlaps that can be chosen, in seconds.
const OVERLAPS: [(&str, &str); 3] = [
    ("86400", message!("webhooks-overlap-day")),
    ("604800", message!("webhooks-overlap-week")),
    ("0", message!("webhooks-overlap-none")),
];

fn ask_rotate(
    entered: &Entered<WriteWebhooks>,
    view: &EndpointView,
    status: StatusCode,
    rotation: Rotation,
    errors: FormErrors,
) -> Response {
    let frame = at_home(entered.frame.clone());
    let overlaps = OVERLAPS.map(|(value, label)| (value, frame.t.get(label), value == rotation.overlap));
    let template = RotatePage {
        row: Row::of(&frame, view),
        once: rotation.once,
        overlaps: overlaps.to_vec(),
        previous: view.previous_until.filter(|end| *end > frame.f.now()).map(|end| frame.f.moment(end)),
        errors,
        live: is_live(entered),
        frame: &frame,
    };
    frame.page_with(status, &template)
}

/// What was chosen for a rotation.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Rotation {
    overlap: String,
    once: String,
}

/// Rotates the secret and shows the new one.
pub(super) async fn rotate(
    State(web): State<Web>,
    entered: Entered<WriteWebhooks>,
    parts: Parts,
    Form(rotation): Form<Rotation>,
) -> Result<Response, Stop> {
    let view = endpoint_of(&web, &entered, &parts).await?;
    let (id, page_path) = (view.endpoint.id, path_of(&entered.frame, view.endpoint.id));
    let overlap = match rotation.overlap.parse() {
        Ok(seconds) => Overlap::For(Duration::from_secs(seconds)),
        Err(_) => return Err(Stop::go(&format!("{page_path}/rotate"))),
    };
    let render = |issued: &IssuedEndpoint| kept(&issued.view.endpoint.id);
    let idempotent =
        sent_once(&entered.person, &entered.frame, &format!("/{id}/rotate"), &rotation.once, &rotation, &render);
    let webhooks = web.app.webhooks();
    match webhooks.rotate_secret(&entered.context, &entered.tenant, id, overlap, None, idempotent.as_ref()).await {
        Ok(Answered::Done(issued)) => Ok(page(&entered, &issued, Moment::Rotated)),
        Ok(Answered::Replayed(_)) => Ok(entered.frame.done(&page_path, message!("flash-form-sent-already"), "")),
        Err(ServiceError::OverlapInProgress) => {
            let mut errors = FormErrors::new();
            errors.add("overlap", entered.frame.t.get("webhooks-overlap-in-progress"));
            let rotation = Rotation { once: once(&web), ..rotation };
            Ok(ask_rotate(&entered, &view, StatusCode::CONFLICT, rotation, errors))
        }
        Err(ServiceError::IdempotencyKeyReused) => {
            let mut errors = FormErrors::new();
            let rotation = Rotation { once: once_more(&web, entered.frame.t, &mut errors), ..rotation };
            Ok(ask_rotate(&entered, &view, StatusCode::CONFLICT, rotation, errors))
        }
        Err(error) => Err(entered.refused(error, &format!("{page_path}/rotate"))),
    }
}

/// Shows the secret again, in TEST.
pub(super) async fn reveal(
    State(web): State<Web>,
    entered: Entered<WriteWebhooks>,
    parts: Parts,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let view = endpoint_of(&web, &entered, &parts).await?;
    let page_path = path_of(&entered.frame, view.endpoint.id);
    let issued = web.app.webhooks().reveal_secret(&entered.context, &entered.tenant, view.endpoint.id).await;
    let issued = issued.map_err(|error| entered.refused(error, &page_path))?;
    Ok(page(&entered, &issued, Moment::Revealed))
}
