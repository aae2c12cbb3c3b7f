//! `/welcome/{token}`: the first start.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use trousseau_domain::text::BusinessName;
use trousseau_domain::time::TimeZone;
use trousseau_service::people::first_run::{FirstRun, FirstRunDraft};

use super::{Arrival, domain_language, first_keys, home_of, link, read_email, read_name, read_new_password, speak};
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::frame::Frame;
use crate::dashboard::look::parse_language;
use crate::dashboard::text::message;
use crate::path::Path;
use crate::problem::Failure;
use crate::router::Web;

#[derive(Debug, Template)]
#[template(path = "people/welcome.html")]
struct WelcomePage<'a> {
    frame: &'a Frame,
    errors: &'a FormErrors,
    action: String,
    waiting: Option<String>,
    given: &'a Given,
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Given {
    name: String,
    email: String,
    password: String,
    business: String,
    time_zone: String,
    language: String,
}

/// The form; it opens with the printed link only.
pub(crate) async fn show(frame: Frame, State(web): State<Web>, Path(token): Path<String>) -> Result<Response, Failure> {
    let first = web.app.people().first_run(&link(&token)?).await?;
    let given = Given {
        language: frame.lang().to_owned(),
        time_zone: web.app.settings().default_time_zone().to_string(),
        ..Given::default()
    };
    Ok(page(&frame, StatusCode::OK, &FormErrors::new(), &token, &first, &given))
}

fn page(
    frame: &Frame,
    status: StatusCode,
    errors: &FormErrors,
    token: &str,
    first: &FirstRun,
    given: &Given,
) -> Response {
    let waiting = first.business.as_ref().map(|business| business.name.to_string());
    frame.page_with(status, &WelcomePage { frame, errors, action: format!("/welcome/{token}"), waiting, given })
}

/// Makes the first account.
pub(crate) async fn complete(
    mut frame: Frame,
    State(web): State<Web>,
    arrival: Arrival,
    Path(token): Path<String>,
    Form(given): Form<Given>,
) -> Result<Response, Failure> {
    let secret = link(&token)?;
    let people = web.app.people();
    let first = people.first_run(&secret).await?;
    let t = frame.t;
    let mut errors = FormErrors::new();
    let name = read_name(&mut errors, t, &given.name);
    let email = read_email(&mut errors, t, &given.email);
    let owner = email.as_ref().zip(name.as_ref());
    let password = read_new_password(&mut errors, t, "password", &given.password, owner);
    let mut business: Option<BusinessName> = None;
    let mut time_zone: Option<TimeZone> = None;
    if first.business.is_none() {
        business = errors.read("business", given.business.parse(), t.get("people-business-invalid"));
        time_zone = errors.read("time_zone", given.time_zone.parse(), t.get("people-zone-invalid"));
    }
    let language = parse_language(&given.language).unwrap_or(t.language());
    let (Some(name), Some(email), Some(password), true) = (name, email, password, errors.is_empty()) else {
        return Ok(page(&frame, StatusCode::UNPROCESSABLE_ENTITY, &errors, &token, &first, &given));
    };
    let draft = FirstRunDraft { name, email, password, language: domain_language(language), business, time_zone };
    let done = people.complete_first_run(&secret, &draft, &arrival.visit()).await?;
    let profile = web.app.settings().profile(&done.business.profile).map(AsRef::as_ref);
    // A fresh business has keys to show once; one that waited has been shown them before.
    let mut response = if done.keys.is_empty() {
        frame.done(&home_of(&done.business.id, profile), message!("flash-welcome"), done.business.name.as_str())
    } else {
        frame.begin_session(done.session.token.expose(), home_of(&done.business.id, profile));
        first_keys::page(&frame, web.app.address(), &done.business, profile, &done.keys)
    };
    arrival.keep(&mut response, &done.session);
    speak(&mut response, language, web.secure_cookies);
    Ok(response)
}
