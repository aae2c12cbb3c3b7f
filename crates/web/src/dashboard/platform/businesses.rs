//! Businesses as the operator sees them: found, made with their first administrator, suspended and resumed.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trousseau_domain::business::Language;
use trousseau_domain::ids::BusinessId;
use trousseau_domain::members::EmailAddress;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::profile::ProfileName;
use trousseau_domain::text::{BusinessName, SearchText};
use trousseau_service::businesses::{BusinessDraft, CreatedBusiness};
use trousseau_service::idempotency::Answered;
use trousseau_service::platform::BusinessOverview;
use trousseau_service::{BusinessRow, ServiceError};

use super::{Administering, Area, ConfirmPage, once};
use crate::dashboard::filters::Check;
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::Shown;
use crate::dashboard::frame::{Frame, MenuLink};
use crate::dashboard::look::parse_language;
use crate::dashboard::once::{kept, once_more, sent_once};
use crate::dashboard::people::domain_language;
use crate::dashboard::session::Stop;
use crate::dashboard::text::{Arg, message};
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// How many businesses a page shows.
const ROWS: u32 = 25;

type Named = Path<HashMap<String, String>>;

/// What a list was asked for; a page that makes no sense is the first.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Asked {
    #[serde(skip_serializing_if = "String::is_empty")]
    q: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    page: String,
}

/// A business as a page shows it.
#[derive(Debug)]
struct Row {
    id: String,
    name: String,
    profile: String,
    path: String,
    suspended: Option<Shown>,
    created: Shown,
}

impl Row {
    fn of(frame: &Frame, business: &BusinessRow) -> Self {
        Self {
            id: business.id.to_string(),
            name: business.name.to_string(),
            profile: business.profile.clone(),
            path: path_of(&business.id),
            suspended: business.suspended_at.map(|at| frame.f.moment(at)),
            created: frame.f.date(business.created_at),
        }
    }
}

fn path_of(id: &BusinessId) -> String {
    format!("/platform/businesses/{id}")
}

fn id_in(path: &Named) -> Result<BusinessId, Failure> {
    path.get("business").and_then(|text| text.parse().ok()).ok_or(Failure::new(Kind::NotFound))
}

#[derive(Debug, Template)]
#[template(path = "platform/businesses.html")]
struct ListPage<'a> {
    frame: &'a Frame,
    menu: Vec<MenuLink>,
    asked: Asked,
    rows: Vec<Row>,
    range: String,
    previous: Option<String>,
    next: Option<String>,
}

/// The businesses, newest first.
pub(super) async fn list(
    admin: Administering,
    State(web): State<Web>,
    Query(asked): Query<Asked>,
) -> Result<Response, Stop> {
    let here = Area::Businesses.path();
    Check::of(&admin.frame).search("q", &asked.q).done(here)?;
    let search = asked.q.trim().parse::<SearchText>().ok();
    let wanted = asked.page.parse().ok().filter(|page| (1..=1_000_000).contains(page)).unwrap_or(1_u64);
    let rows = u64::from(ROWS);
    let platform = web.app.platform();
    let found = async |page: u64| {
        let found = platform.businesses(&admin.context, search.as_ref(), (page - 1) * rows, ROWS).await;
        found.map_err(|error| admin.refused(error, here))
    };
    let mut page = found(wanted).await?;
    let last = page.total.div_ceil(rows).max(1);
    let current = wanted.min(last);
    if current != wanted {
        page = found(current).await?;
    }
    let frame = &admin.frame;
    let at_page = |page: u64| {
        let asked = Asked { page: page.to_string(), ..asked.clone() };
        format!("{here}?{}", serde_html_form::to_string(&asked).unwrap_or_default())
    };
    let first = (current - 1) * rows + 1;
    let range = [
        ("first", Arg::from(frame.f.number(first))),
        ("last", frame.f.number((current * rows).min(page.total)).into()),
        ("total", Arg::from(&page.total)),
    ];
    Ok(frame.page(&ListPage {
        menu: Area::Businesses.menu(frame.t),
        rows: page.data.iter().map(|business| Row::of(frame, business)).collect(),
        range: frame.t.with("platform-range", range),
        previous: (current > 1).then(|| at_page(current - 1)),
        next: (current < last).then(|| at_page(current + 1)),
        frame,
        asked,
    }))
}

/// What was typed for a new business.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Given {
    once: String,
    name: String,
    id: String,
    profile: String,
    time_zone: String,
    language: String,
    email: String,
}

#[derive(Debug, Template)]
#[template(path = "platform/create.html")]
struct FormPage<'a> {
    frame: &'a Frame,
    menu: Vec<MenuLink>,
    errors: FormErrors,
    given: Given,
    profiles: Vec<String>,
    /// Whether the invitation becomes a file.
    to_files: bool,
}

/// The form of a new business.
pub(super) async fn form(admin: Administering, State(web): State<Web>) -> Result<Response, Stop> {
    admin.prove_first()?;
    let settings = web.app.settings();
    let given = Given {
        once: once(&web),
        profile: settings.default_profile().to_string(),
        time_zone: settings.default_time_zone().to_string(),
        language: admin.frame.lang().to_owned(),
        ..Given::default()
    };
    Ok(draw(&admin, &web, StatusCode::OK, FormErrors::new(), given))
}

fn draw(admin: &Administering, web: &Web, status: StatusCode, errors: FormErrors, given: Given) -> Response {
    let frame = &admin.frame;
    let template = FormPage {
        frame,
        menu: Area::Businesses.menu(frame.t),
        errors,
        given,
        profiles: web.app.settings().profiles().map(|(name, _)| name.to_string()).collect(),
        to_files: web.app.mailer().folder().is_some(),
    };
    frame.page_with(status, &template)
}

/// Makes the business and invites its first administrator. Its TEST keys are for that person to see.
pub(super) async fn create(
    admin: Administering,
    State(web): State<Web>,
    Form(given): Form<Given>,
) -> Result<Response, Stop> {
    let t = admin.frame.t;
    let mut errors = FormErrors::new();
    let name = errors.read("name", given.name.parse::<BusinessName>(), t.get("people-business-invalid"));
    let known = given.profile.parse::<ProfileName>().ok();
    let known = known.filter(|name| web.app.settings().profile(name.as_str()).is_some());
    let profile = errors.read("profile", known.ok_or(()), t.get("platform-profile-invalid"));
    let time_zone = errors.read("time_zone", given.time_zone.parse(), t.get("people-zone-invalid"));
    let invite = errors.read("email", given.email.parse::<EmailAddress>(), t.get("people-email-invalid"));
    let language = parse_language(&given.language).map_or(Language::English, domain_language);
    let id = Some(given.id.trim().to_owned()).filter(|id| !id.is_empty());
    let (Some(name), true) = (name, errors.is_empty()) else {
        return Ok(draw(&admin, &web, StatusCode::UNPROCESSABLE_ENTITY, errors, given));
    };
    let draft = BusinessDraft { name, id, profile, time_zone, language, metadata: Metadata::default(), invite };
    let render = |created: &CreatedBusiness| kept(&created.business.id);
    let idempotent = sent_once(&admin.person, &admin.frame, "/platform/businesses", &given.once, &given, &render);
    match web.app.businesses().create(&admin.context, &draft, idempotent.as_ref()).await {
        Ok(Answered::Done(created)) => {
            let path = path_of(&created.business.id);
            Ok(admin.frame.done(&path, message!("flash-business-created"), created.business.name.as_str()))
        }
        Ok(Answered::Replayed(earlier)) => {
            let to = earlier.body.parse::<BusinessId>().map_or(Area::Businesses.path().to_owned(), |id| path_of(&id));
            Ok(admin.frame.done(&to, message!("flash-form-sent-already"), ""))
        }
        Err(ServiceError::IdempotencyKeyReused) => {
            let given = Given { once: once_more(&web, t, &mut errors), ..given };
            Ok(draw(&admin, &web, StatusCode::CONFLICT, errors, given))
        }
        Err(error) => {
            match &error {
                ServiceError::BusinessExists => errors.add("id", t.get("platform-id-taken")),
                ServiceError::Invalid(problems) if problems.iter().any(|problem| problem.field == "id") => {
                    errors.add("id", t.get("platform-id-invalid"));
                }
                ServiceError::Invalid(_) => errors.add("profile", t.get("platform-profile-invalid")),
                _ => return Err(admin.refused(error, "/platform/businesses/create")),
            }
            Ok(draw(&admin, &web, StatusCode::UNPROCESSABLE_ENTITY, errors, given))
        }
    }
}

#[derive(Debug, Template)]
#[template(path = "platform/business.html")]
struct ShowPage<'a> {
    frame: &'a Frame,
    menu: Vec<MenuLink>,
    row: Row,
    time_zone: String,
    french: bool,
    members: String,
    invited: String,
    accepted: String,
    refused: String,
    /// Where the reader's own pages of this business are.
    own: Option<String>,
}

async fn overview(admin: &Administering, web: &Web, path: &Named) -> Result<BusinessOverview, Stop> {
    let id = id_in(path)?;
    let found = web.app.platform().business(&admin.context, &id).await;
    found.map_err(|error| admin.refused(error, Area::Businesses.path()))
}

/// One business: what it is and how much it does, and nothing of its keys.
pub(super) async fn show(admin: Administering, State(web): State<Web>, path: Named) -> Result<Response, Stop> {
    let found = overview(&admin, &web, &path).await?;
    let frame = &admin.frame;
    let own = frame.businesses.iter().find(|choice| choice.id == found.business.id).map(|choice| choice.href(None));
    Ok(frame.page(&ShowPage {
        menu: Area::Businesses.menu(frame.t),
        row: Row::of(frame, &found.business),
        time_zone: found.business.time_zone.to_string(),
        french: found.business.language == "fr",
        members: frame.f.number(u64::try_from(found.members).unwrap_or(u64::MAX)),
        invited: frame.f.number(u64::try_from(found.invited).unwrap_or(u64::MAX)),
        accepted: frame.f.number(found.week.accepted),
        refused: frame.f.number(found.week.refused),
        frame,
        own,
    }))
}

/// What was typed to confirm.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Confirmed {
    name: String,
}

fn ask(
    admin: &Administering,
    found: &BusinessOverview,
    suspend: bool,
    status: StatusCode,
    errors: FormErrors,
) -> Response {
    let (frame, t) = (&admin.frame, admin.frame.t);
    let business = &found.business;
    let name = [("name", business.name.as_str())];
    let path = path_of(&business.id);
    let template = ConfirmPage {
        frame,
        menu: Area::Businesses.menu(t),
        errors,
        back_label: business.name.to_string(),
        question: if suspend { t.with("suspend-question", name) } else { t.with("resume-question", name) },
        consequence: if suspend {
            t.with("suspend-consequence", [("count", found.week.accepted)])
        } else {
            t.get("resume-consequence")
        },
        action: format!("{path}/{}", if suspend { "suspend" } else { "resume" }),
        button: if suspend { t.get("suspend") } else { t.get("resume") },
        danger: suspend,
        type_name: suspend.then(|| business.name.to_string()),
        back: path,
    };
    frame.page_with(status, &template)
}

/// Asks whether to suspend a business.
pub(super) async fn ask_suspend(admin: Administering, State(web): State<Web>, path: Named) -> Result<Response, Stop> {
    let found = overview(&admin, &web, &path).await?;
    admin.prove_first()?;
    Ok(ask(&admin, &found, true, StatusCode::OK, FormErrors::new()))
}

/// Suspends it, once its name was typed.
pub(super) async fn suspend(
    admin: Administering,
    State(web): State<Web>,
    path: Named,
    Form(confirmed): Form<Confirmed>,
) -> Result<Response, Stop> {
    let found = overview(&admin, &web, &path).await?;
    let name = found.business.name.as_str();
    if confirmed.name.parse::<BusinessName>().ok().as_ref() != Some(&found.business.name) {
        let mut errors = FormErrors::new();
        errors.add("name", admin.frame.t.with("type-name-wrong", [("name", name)]));
        return Ok(ask(&admin, &found, true, StatusCode::UNPROCESSABLE_ENTITY, errors));
    }
    let id = &found.business.id;
    let here = path_of(id);
    let done = web.app.businesses().suspend(&admin.context, id, None).await;
    done.map_err(|error| admin.refused(error, &format!("{here}/suspend")))?;
    Ok(admin.frame.done(&here, message!("flash-business-suspended"), name))
}

/// Asks whether to resume a business.
pub(super) async fn ask_resume(admin: Administering, State(web): State<Web>, path: Named) -> Result<Response, Stop> {
    let found = overview(&admin, &web, &path).await?;
    admin.prove_first()?;
    Ok(ask(&admin, &found, false, StatusCode::OK, FormErrors::new()))
}

/// Resumes it.
pub(super) async fn resume(
    admin: Administering,
    State(web): State<Web>,
    path: Named,
    Form(_): Form<Confirmed>,
) -> Result<Response, Stop> {
    let id = id_in(&path)?;
    let here = path_of(&id);
    let done = web.app.businesses().resume(&admin.context, &id, None).await;
    done.map_err(|error| admin.refused(error, &format!("{here}/resume")))?;
    let found = overview(&admin, &web, &path).await?;
    Ok(admin.frame.done(&here, message!("flash-business-resumed"), found.business.name.as_str()))
}
