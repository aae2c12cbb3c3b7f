//! Proving again who sits there, before what a stolen session must not do.

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use trousseau_service::people::sign_in::StepUpProof;
use trousseau_service::people::{Password, PeopleError};
use trousseau_service::{Context, ServiceError};
use zeroize::Zeroizing;

use super::form::{Form, FormErrors};
use super::frame::{Frame, local_path, redirect};
use super::people::sign_in::{Nothing, PasskeyAnswer, refused};
use super::session::{Stop, Visitor, renew_session_cookie};
use super::text::message;
use crate::problem::Failure;
use crate::router::Web;

#[derive(Debug, Template)]
#[template(path = "dashboard/step-up.html")]
struct StepUpPage<'a> {
    frame: &'a Frame,
    back: &'a str,
    errors: FormErrors,
    has_password: bool,
    has_totp: bool,
    has_passkey: bool,
}

/// Where to go on.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Back {
    #[serde(rename = "return")]
    back: String,
}

/// A proof, and where to go on.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(crate) struct Proof {
    password: Zeroizing<String>,
    code: Zeroizing<String>,
    #[serde(rename = "return")]
    back: String,
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Proof")
    }
}

/// Asks for a proof.
pub(crate) async fn form(State(web): State<Web>, visitor: Visitor, Query(back): Query<Back>) -> Result<Response, Stop> {
    draw(&web, &visitor, StatusCode::OK, local_path(&back.back), FormErrors::new()).await
}

async fn draw(
    web: &Web,
    visitor: &Visitor,
    status: StatusCode,
    back: &str,
    errors: FormErrors,
) -> Result<Response, Stop> {
    let account = &visitor.person.account;
    let people = web.app.people();
    let has_passkey =
        people.offers_passkeys() && !people.passkeys(&visitor.person).await.map_err(Failure::from)?.is_empty();
    let template = StepUpPage {
        frame: &visitor.frame,
        back,
        errors,
        has_password: account.has_password,
        has_totp: account.has_totp,
        has_passkey,
    };
    Ok(visitor.frame.page_with(status, &template))
}

/// Looks at the proof, gives the session a new secret, and goes on.
pub(crate) async fn prove(
    State(web): State<Web>,
    visitor: Visitor,
    Form(proof): Form<Proof>,
) -> Result<Response, Stop> {
    let back = local_path(&proof.back).to_owned();
    let context = Context::account(&visitor.person, visitor.request_id);
    let password = Password::new(proof.password.as_str());
    let code = proof.code.trim();
    let given = if code.is_empty() { StepUpProof::Password(&password) } else { StepUpProof::Code(code) };
    let t = visitor.frame.t;
    let mut errors = FormErrors::new();
    let field = if code.is_empty() { "password" } else { "code" };
    let status = match web.app.people().step_up(&context, &visitor.person, &given).await {
        Ok(token) => {
            let mut response = redirect(&back);
            renew_session_cookie(response.headers_mut(), token.expose(), &visitor.frame.csrf, web.secure_cookies);
            return Ok(response);
        }
        Err(ServiceError::People(PeopleError::SignInRefused)) => {
            errors.add(field, t.get("proof-wrong"));
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Err(ServiceError::People(PeopleError::TooManyAttempts { until })) => {
            errors.add(field, t.with(message!("proof-later"), [("when", visitor.frame.f.relative(until).text)]));
            StatusCode::TOO_MANY_REQUESTS
        }
        Err(error) => return Err(Failure::from(error).into()),
    };
    draw(&web, &visitor, status, &back, errors).await
}

/// What a browser's passkeys are asked, for the script.
pub(crate) async fn start_passkey(
    State(web): State<Web>,
    visitor: Visitor,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Failure> {
    let asked = web.app.people().start_passkey_step_up(&visitor.person).await?;
    Ok(Json(json!({ "handle": asked.handle.expose(), "options": asked.options })).into_response())
}

/// Looks at a passkey's answer, gives the session a new secret, and tells the script where to go on.
pub(crate) async fn passkey(
    State(web): State<Web>,
    visitor: Visitor,
    Form(given): Form<PasskeyAnswer>,
) -> Result<Response, Failure> {
    let t = visitor.frame.t;
    let Some((handle, answer)) = given.read() else { return Ok(refused(&t.get("people-passkey-refused"))) };
    let context = Context::account(&visitor.person, visitor.request_id);
    match web.app.people().finish_passkey_step_up(&context, &visitor.person, &handle, &answer).await {
        Ok(token) => {
            let mut response = Json(json!({ "to": local_path(&given.back) })).into_response();
            renew_session_cookie(response.headers_mut(), token.expose(), &visitor.frame.csrf, web.secure_cookies);
            Ok(response)
        }
        Err(ServiceError::People(PeopleError::SignInRefused | PeopleError::LinkEnded)) => {
            Ok(refused(&t.get("people-passkey-refused")))
        }
        Err(error) => Err(error.into()),
    }
}
