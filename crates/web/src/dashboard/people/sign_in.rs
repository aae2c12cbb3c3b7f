//! `/sign-in` and `/sign-out`.

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use trousseau_service::ServiceError;
use trousseau_service::people::sign_in::SignInStep;
use trousseau_service::people::{OneTimeToken, Password, PeopleError};

use super::{Arrival, proof_refused, read_email, signed_in};
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::frame::{Frame, local_path, redirect};
use crate::dashboard::session::clear_session_cookie;
use crate::dashboard::text::message;
use crate::problem::Failure;
use crate::router::Web;

#[derive(Debug, Template)]
#[template(path = "people/sign_in.html")]
struct SignInPage<'a> {
    frame: &'a Frame,
    errors: &'a FormErrors,
    email: &'a str,
    back: &'a str,
    /// Whether a form led here, of which nothing was done.
    unsent: bool,
    passkeys: bool,
}

#[derive(Debug, Template)]
#[template(path = "people/code.html")]
struct CodePage<'a> {
    frame: &'a Frame,
    errors: &'a FormErrors,
    step: &'a str,
    back: &'a str,
}

/// Where to go afterwards.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default, rename = "return")]
    back: String,
    #[serde(default)]
    unsent: String,
}

/// The first step as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Credentials {
    email: String,
    password: String,
    #[serde(rename = "return")]
    back: String,
    unsent: String,
}

/// The second step as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SecondStep {
    step: String,
    code: String,
    #[serde(rename = "return")]
    back: String,
}

/// A form that is only a button.
#[derive(Debug, Deserialize)]
pub(crate) struct Nothing {}

/// A passkey's answer as the script sent it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PasskeyAnswer {
    handle: String,
    answer: String,
    #[serde(rename = "return")]
    pub(crate) back: String,
}

impl PasskeyAnswer {
    /// What was asked and what came of it; nothing where it is neither.
    pub(crate) fn read(&self) -> Option<(OneTimeToken, Value)> {
        Some((OneTimeToken::parse(&self.handle)?, serde_json::from_str(&self.answer).ok()?))
    }
}

/// The form.
pub(crate) async fn show(
    frame: Frame,
    State(web): State<Web>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if signed_in(&web.app, &headers, web.secure_cookies).await?.is_some() {
        return Ok(redirect(local_path(&wanted.back)));
    }
    let asked = Credentials { back: wanted.back, unsent: wanted.unsent, ..Credentials::default() };
    Ok(page(&frame, &web, &FormErrors::new(), &asked))
}

fn page(frame: &Frame, web: &Web, errors: &FormErrors, given: &Credentials) -> Response {
    let passkeys = web.app.people().offers_passkeys();
    let (email, back, unsent) = (given.email.as_str(), local_path(&given.back), !given.unsent.is_empty());
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    frame.page_with(status, &SignInPage { frame, errors, email, back, unsent, passkeys })
}

/// The first step: address and password.
pub(crate) async fn password(
    frame: Frame,
    State(web): State<Web>,
    arrival: Arrival,
    Form(given): Form<Credentials>,
) -> Result<Response, Failure> {
    let mut errors = FormErrors::new();
    let again = |errors: &FormErrors| page(&frame, &web, errors, &given);
    let email = read_email(&mut errors, frame.t, &given.email);
    if given.password.is_empty() {
        errors.add("password", frame.t.get("people-password-empty"));
    }
    let (Some(email), true) = (email, errors.is_empty()) else { return Ok(again(&errors)) };
    let visit = arrival.visit();
    match web.app.people().sign_in(&email, &Password::new(given.password.as_str()), &visit).await {
        Ok(SignInStep::Done(session)) => {
            let mut response = redirect(local_path(&given.back));
            arrival.keep(&mut response, &session);
            Ok(response)
        }
        Ok(SignInStep::SecondFactor(step)) => {
            Ok(code_page(&frame, StatusCode::OK, &FormErrors::new(), step.expose(), &given.back))
        }
        Err(error) => {
            proof_refused(&frame, &mut errors, "password", message!("people-sign-in-refused"), error)?;
            Ok(again(&errors))
        }
    }
}

fn code_page(frame: &Frame, status: StatusCode, errors: &FormErrors, step: &str, back: &str) -> Response {
    frame.page_with(status, &CodePage { frame, errors, step, back: local_path(back) })
}

/// The second step: a code.
pub(crate) async fn code(
    frame: Frame,
    State(web): State<Web>,
    arrival: Arrival,
    Form(given): Form<SecondStep>,
) -> Result<Response, Failure> {
    let Some(step) = OneTimeToken::parse(&given.step) else { return Ok(redirect("/sign-in")) };
    match web.app.people().second_factor(&step, &given.code, &arrival.visit()).await {
        Ok(session) => {
            let mut response = redirect(local_path(&given.back));
            arrival.keep(&mut response, &session);
            Ok(response)
        }
        // Too long ago, or too many wrong codes: from the beginning.
        Err(ServiceError::People(PeopleError::LinkEnded)) => {
            Ok(frame.done("/sign-in", message!("flash-sign-in-again"), ""))
        }
        Err(error) => {
            let mut errors = FormErrors::new();
            proof_refused(&frame, &mut errors, "code", message!("people-code-refused"), error)?;
            Ok(code_page(&frame, StatusCode::UNPROCESSABLE_ENTITY, &errors, &given.step, &given.back))
        }
    }
}

/// What a browser's passkeys are asked, for the script.
pub(crate) async fn start_passkey(
    frame: Frame,
    State(web): State<Web>,
    arrival: Arrival,
    Form(given): Form<Credentials>,
) -> Result<Response, Failure> {
    let Ok(email) = given.email.parse() else {
        return Ok(refused(&frame.t.get("people-email-invalid")));
    };
    let asked = web.app.people().start_passkey_sign_in(&email, &arrival.visit()).await?;
    Ok(Json(json!({ "handle": asked.handle.expose(), "options": asked.options })).into_response())
}

/// What a script is told that a person is to read.
pub(crate) fn refused(message: &str) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": message }))).into_response()
}

/// Signs in by a passkey's answer.
pub(crate) async fn passkey(
    frame: Frame,
    State(web): State<Web>,
    arrival: Arrival,
    Form(given): Form<PasskeyAnswer>,
) -> Result<Response, Failure> {
    let Some((handle, answer)) = given.read() else { return Ok(refused(&frame.t.get("people-passkey-refused"))) };
    match web.app.people().finish_passkey_sign_in(&handle, &answer, &arrival.visit()).await {
        Ok(session) => {
            let mut response = Json(json!({ "to": local_path(&given.back) })).into_response();
            arrival.keep(&mut response, &session);
            Ok(response)
        }
        Err(ServiceError::People(PeopleError::SignInRefused | PeopleError::LinkEnded)) => {
            Ok(refused(&frame.t.get("people-passkey-refused")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Ends the session. Without one there is nothing to end.
pub(crate) async fn sign_out(
    frame: Frame,
    State(web): State<Web>,
    headers: HeaderMap,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Failure> {
    if let Some(person) = signed_in(&web.app, &headers, web.secure_cookies).await? {
        web.app.people().sign_out(&person).await?;
    }
    let mut response = frame.done("/sign-in", message!("flash-signed-out"), "");
    clear_session_cookie(response.headers_mut(), web.secure_cookies);
    Ok(response)
}
