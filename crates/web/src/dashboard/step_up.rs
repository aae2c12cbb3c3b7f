//! Proving again who sits there, before what a stolen session must not do.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use trousseau_service::people::sign_in::StepUpProof;
use trousseau_service::people::{Password, PeopleError};
use trousseau_service::{Context, ServiceError};
use zeroize::Zeroizing;

use super::form::{Form, FormErrors};
use super::frame::{Frame, local_path, redirect};
use super::session::{Stop, Visitor, set_session_cookie};
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
pub(crate) async fn form(visitor: Visitor, Query(back): Query<Back>) -> Response {
    draw(&visitor, StatusCode::OK, local_path(&back.back), FormErrors::new())
}

fn draw(visitor: &Visitor, status: StatusCode, back: &str, errors: FormErrors) -> Response {
    let account = &visitor.person.account;
    let template = StepUpPage {
        frame: &visitor.frame,
        back,
        errors,
        has_password: account.has_password,
        has_totp: account.has_totp,
    };
    visitor.frame.page_with(status, &template)
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
            set_session_cookie(response.headers_mut(), token.expose(), web.secure_cookies);
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
    Ok(draw(&visitor, status, &back, errors))
}
