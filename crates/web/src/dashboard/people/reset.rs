//! `/reset`: another password, by a link that is mailed.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use trousseau_service::ServiceError;
use trousseau_service::people::PeopleError;
use trousseau_service::people::account::ResetDone;

use super::{Arrival, domain_language, link, read_email, read_new_password};
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::frame::Frame;
use crate::dashboard::session::clear_session_cookie;
use crate::dashboard::text::message;
use crate::path::Path;
use crate::problem::Failure;
use crate::router::Web;

#[derive(Debug, Template)]
#[template(path = "people/reset.html")]
struct ResetPage<'a> {
    frame: &'a Frame,
    errors: &'a FormErrors,
    email: &'a str,
    /// Whether the request was taken, whoever the address belongs to.
    sent: bool,
    /// Whether mails are only files here.
    to_files: bool,
}

#[derive(Debug, Template)]
#[template(path = "people/new_password.html")]
struct NewPasswordPage<'a> {
    frame: &'a Frame,
    errors: &'a FormErrors,
    action: String,
}

/// The request as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Request {
    email: String,
}

/// The new password as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Chosen {
    password: String,
}

/// The form that asks for an address.
pub(crate) async fn show(frame: Frame, State(web): State<Web>) -> Response {
    page(&frame, &web, StatusCode::OK, &FormErrors::new(), "", false)
}

fn page(frame: &Frame, web: &Web, status: StatusCode, errors: &FormErrors, email: &str, sent: bool) -> Response {
    let to_files = web.app.mailer().folder().is_some();
    frame.page_with(status, &ResetPage { frame, errors, email, sent, to_files })
}

/// Takes the request; the answer is the same whether or not the address has an account.
pub(crate) async fn request(
    frame: Frame,
    State(web): State<Web>,
    arrival: Arrival,
    Form(given): Form<Request>,
) -> Result<Response, Failure> {
    let mut errors = FormErrors::new();
    let Some(email) = read_email(&mut errors, frame.t, &given.email) else {
        return Ok(page(&frame, &web, StatusCode::UNPROCESSABLE_ENTITY, &errors, &given.email, false));
    };
    let language = domain_language(frame.t.language());
    match web.app.people().request_reset(&email, language, &arrival.visit()).await {
        Ok(()) => Ok(page(&frame, &web, StatusCode::OK, &errors, "", true)),
        Err(ServiceError::People(PeopleError::TooManyAttempts { until })) => {
            let when = frame.f.relative(until).text;
            errors.add("email", frame.t.with(message!("people-reset-too-many"), [("when", when)]));
            Ok(page(&frame, &web, StatusCode::TOO_MANY_REQUESTS, &errors, &given.email, false))
        }
        Err(error) => Err(error.into()),
    }
}

/// The form that the link opens.
pub(crate) async fn choose(
    frame: Frame,
    State(web): State<Web>,
    Path(token): Path<String>,
) -> Result<Response, Failure> {
    web.app.people().reset(&link(&token)?).await?;
    Ok(new_password(&frame, StatusCode::OK, &FormErrors::new(), &token))
}

fn new_password(frame: &Frame, status: StatusCode, errors: &FormErrors, token: &str) -> Response {
    frame.page_with(status, &NewPasswordPage { frame, errors, action: format!("/reset/{token}") })
}

/// Takes the new password.
pub(crate) async fn complete(
    frame: Frame,
    State(web): State<Web>,
    arrival: Arrival,
    Path(token): Path<String>,
    Form(given): Form<Chosen>,
) -> Result<Response, Failure> {
    let secret = link(&token)?;
    let people = web.app.people();
    let owner = people.reset(&secret).await?;
    let mut errors = FormErrors::new();
    let password = read_new_password(&mut errors, frame.t, "password", &given.password, Some((&owner.0, &owner.1)));
    let Some(password) = password else {
        return Ok(new_password(&frame, StatusCode::UNPROCESSABLE_ENTITY, &errors, &token));
    };
    match people.complete_reset(&secret, &password, &arrival.visit()).await {
        Ok(ResetDone::SignedIn(session)) => {
            let mut response = frame.done("/", message!("flash-password-changed"), "");
            arrival.keep(&mut response, &session);
            Ok(response)
        }
        Ok(ResetDone::SignIn) => {
            let mut response = frame.done("/sign-in", message!("flash-password-reset"), "");
            clear_session_cookie(response.headers_mut(), web.secure_cookies);
            Ok(response)
        }
        Err(ServiceError::Invalid(_)) => {
            errors.add("password", frame.t.get("people-password-common"));
            Ok(new_password(&frame, StatusCode::UNPROCESSABLE_ENTITY, &errors, &token))
        }
        Err(error) => Err(error.into()),
    }
}
