//! `/account`: name, language, password, passkeys, authenticator app, sessions; and `/businesses`.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use trousseau_domain::ids::{PasskeyId, SessionId};
use trousseau_service::idempotency::Answered;
use trousseau_service::people::account::{RecoveryCodes, TotpEnrolment};
use trousseau_service::people::{OneTimeToken, Password, PeopleError};
use trousseau_service::{Context, ServiceError};
use zeroize::Zeroizing;

use super::agents;
use super::confirm::{ConfirmPage, prove_first};
use super::sign_in::{Nothing, refused};
use super::{domain_language, proof_refused, read_name, read_new_password, speak};
use crate::dashboard::errors;
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::Shown;
use crate::dashboard::frame::{Choice, Frame, redirect, role_name};
use crate::dashboard::kept::{Keepable, Kept, step_up_with};
use crate::dashboard::look::parse_language;
use crate::dashboard::once::{kept, once, sent_once};
use crate::dashboard::qr::Qr;
use crate::dashboard::session::{Stop, Visitor, in_query, set_session_cookie, step_up};
use crate::dashboard::text::message;
use crate::path::Path;
use crate::problem::Failure;
use crate::router::Web;

const HERE: &str = "/account";

#[derive(Debug, Template)]
#[template(path = "people/account.html")]
struct AccountPage<'a> {
    frame: &'a Frame,
    errors: FormErrors,
    profile: Profile,
    has_password: bool,
    has_totp: bool,
    codes_left: u32,
    passkeys_offered: bool,
    passkeys: Vec<PasskeyLine>,
    passkey_name: String,
    sessions: Vec<SessionLine>,
    businesses: Vec<Membership>,
}

/// A passkey in the list.
#[derive(Debug)]
struct PasskeyLine {
    id: PasskeyId,
    name: String,
    created: Shown,
    used: Option<Shown>,
}

/// A session in the list.
#[derive(Debug)]
struct SessionLine {
    id: SessionId,
    /// What its browser is called.
    agent: Option<String>,
    address: String,
    began: Shown,
    seen: Shown,
    own: bool,
}

/// A business of the reader.
#[derive(Debug)]
struct Membership {
    choice: Choice,
    role: String,
}

/// Name and language as they are, or as they were sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Profile {
    name: String,
    language: String,
}

/// A change of the password as it was sent.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct PasswordChange {
    current: Zeroizing<String>,
    password: Zeroizing<String>,
}

/// A code as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Code {
    code: String,
}

/// The form of new recovery codes as it was sent.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NewCodes {
    once: String,
    /// A code is no part of what was asked for, and no digest of it is kept.
    #[serde(skip_serializing)]
    code: String,
}

/// A new passkey as the script sent it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct NewPasskey {
    handle: String,
    answer: String,
    passkey_name: String,
}

/// What the new passkey is to be called.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PasskeyNamed {
    passkey_name: String,
}

impl Keepable for PasskeyNamed {}

/// It holds passwords.
impl std::fmt::Debug for PasswordChange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PasswordChange")
    }
}

fn context(visitor: &Visitor) -> Context {
    Context::account(&visitor.person, visitor.request_id)
}

/// The answer to what the service did not do.
pub(crate) fn stopped(visitor: &Visitor, error: ServiceError, back: &str) -> Stop {
    match error {
        ServiceError::StepUpRequired => Stop::go(&step_up(back)),
        ServiceError::CallerRefused => Stop::go(&format!("/sign-in?{}", in_query(back))),
        error => {
            let failure = Failure::from(error);
            // What is our fault goes by the outermost layer, which writes down its cause.
            if failure.kind().status().is_server_error() {
                failure.into()
            } else {
                errors::page(&visitor.frame, &failure).into()
            }
        }
    }
}

/// The page.
pub(crate) async fn show(
    State(web): State<Web>,
    visitor: Visitor,
    Kept(kept): Kept<PasskeyNamed>,
) -> Result<Response, Stop> {
    let typed = Typed { passkey_name: kept.unwrap_or_default().passkey_name, ..Typed::default() };
    draw(&web, &visitor, StatusCode::OK, FormErrors::new(), typed).await
}

/// What was typed before the page is shown again.
#[derive(Debug, Default)]
struct Typed {
    profile: Option<Profile>,
    passkey_name: String,
}

async fn draw(
    web: &Web,
    visitor: &Visitor,
    status: StatusCode,
    errors: FormErrors,
    typed: Typed,
) -> Result<Response, Stop> {
    let (frame, person, people) = (&visitor.frame, &visitor.person, web.app.people());
    let f = &frame.f;
    let passkeys = people.passkeys(person).await.map_err(Failure::from)?;
    let sessions = people.sessions(person).await.map_err(Failure::from)?;
    let left = people.recovery_codes_left(person).await.map_err(Failure::from)?;
    let template = AccountPage {
        frame,
        errors,
        profile: typed.profile.unwrap_or_else(|| Profile {
            name: person.account.name.to_string(),
            language: person.account.language.as_str().to_owned(),
        }),
        has_password: person.account.has_password,
        has_totp: person.account.has_totp,
        codes_left: u32::try_from(left).unwrap_or(u32::MAX),
        passkeys_offered: people.offers_passkeys(),
        passkeys: passkeys
            .into_iter()
            .map(|passkey| PasskeyLine {
                id: passkey.id,
                name: passkey.name.to_string(),
                created: f.date(passkey.created_at),
                used: passkey.last_used_at.map(|at| f.relative(at)),
            })
            .collect(),
        passkey_name: typed.passkey_name,
        sessions: sessions
            .into_iter()
            .map(|session| SessionLine {
                own: session.id == person.session.id,
                id: session.id,
                agent: session.agent.as_deref().and_then(agents::called),
                address: session.address.unwrap_or_default(),
                began: f.relative(session.created_at),
                seen: f.relative(session.seen_at),
            })
            .collect(),
        businesses: memberships(visitor),
    };
    Ok(frame.page_with(status, &template))
}

fn memberships(visitor: &Visitor) -> Vec<Membership> {
    let choices = visitor.frame.businesses.iter().cloned();
    choices
        .filter_map(|choice| {
            let role = visitor.person.membership(&choice.id)?.role;
            Some(Membership { choice, role: role_name(role, visitor.frame.t) })
        })
        .collect()
}

/// Changes name and language.
pub(crate) async fn profile(
    State(web): State<Web>,
    visitor: Visitor,
    Form(given): Form<Profile>,
) -> Result<Response, Stop> {
    let mut errors = FormErrors::new();
    let name = read_name(&mut errors, visitor.frame.t, &given.name);
    let (Some(name), Some(language)) = (name, parse_language(&given.language)) else {
        return draw(
            &web,
            &visitor,
            StatusCode::UNPROCESSABLE_ENTITY,
            errors,
            Typed { profile: Some(given), ..Typed::default() },
        )
        .await;
    };
    let people = web.app.people();
    people
        .change_profile(&context(&visitor), &visitor.person, &name, domain_language(language))
        .await
        .map_err(|error| stopped(&visitor, error, HERE))?;
    let mut response = visitor.frame.done(HERE, message!("flash-account-saved"), "");
    speak(&mut response, language, web.secure_cookies);
    Ok(response)
}

/// Changes the password; all other sessions end.
pub(crate) async fn password(
    State(web): State<Web>,
    visitor: Visitor,
    Form(given): Form<PasswordChange>,
) -> Result<Response, Stop> {
    let (frame, account) = (&visitor.frame, &visitor.person.account);
    let mut errors = FormErrors::new();
    let owner = Some((&account.email, &account.name));
    let new = read_new_password(&mut errors, frame.t, "password", &given.password, owner);
    if account.has_password && given.current.is_empty() {
        errors.add("current", frame.t.get("people-password-empty"));
    }
    let (Some(new), true) = (new, errors.is_empty()) else {
        return draw(&web, &visitor, StatusCode::UNPROCESSABLE_ENTITY, errors, Typed::default()).await;
    };
    let old = account.has_password.then(|| Password::new(given.current.as_str()));
    match web.app.people().change_password(&context(&visitor), &visitor.person, old.as_ref(), &new).await {
        Ok(token) => {
            let mut response = frame.done(HERE, message!("flash-password-changed"), "");
            set_session_cookie(response.headers_mut(), token.expose(), web.secure_cookies);
            Ok(response)
        }
        Err(error @ (ServiceError::StepUpRequired | ServiceError::CallerRefused)) => {
            Err(stopped(&visitor, error, HERE))
        }
        Err(error) => {
            proof_refused(frame, &mut errors, "current", message!("account-password-wrong"), error)?;
            draw(&web, &visitor, StatusCode::UNPROCESSABLE_ENTITY, errors, Typed::default()).await
        }
    }
}

#[derive(Debug, Template)]
#[template(path = "people/totp.html")]
struct TotpPage<'a> {
    frame: &'a Frame,
    errors: FormErrors,
    secret: &'a str,
    qr: Qr,
}

fn totp_page(visitor: &Visitor, status: StatusCode, errors: FormErrors, enrolment: &TotpEnrolment) -> Response {
    // Longer than any QR code holds no address can make it.
    let qr = Qr::of(&enrolment.uri).unwrap_or_default();
    let template = TotpPage { frame: &visitor.frame, errors, secret: &enrolment.secret, qr };
    visitor.frame.page_with(status, &template)
}

const TOTP: &str = "/account/totp";

/// The authenticator app that is being added, for who comes back to it.
pub(crate) async fn pending_totp(State(web): State<Web>, visitor: Visitor) -> Result<Response, Stop> {
    match web.app.people().pending_totp(&context(&visitor), &visitor.person).await {
        Ok(enrolment) => Ok(totp_page(&visitor, StatusCode::OK, FormErrors::new(), &enrolment)),
        // Nothing is being added.
        Err(ServiceError::NotFound) => Err(Stop::go(HERE)),
        Err(error) => Err(stopped(&visitor, error, HERE)),
    }
}

/// Begins to add an authenticator app.
pub(crate) async fn start_totp(
    State(web): State<Web>,
    visitor: Visitor,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let enrolment = web.app.people().start_totp(&context(&visitor), &visitor.person).await;
    let enrolment = enrolment.map_err(|error| stopped(&visitor, error, HERE))?;
    Ok(totp_page(&visitor, StatusCode::OK, FormErrors::new(), &enrolment))
}

/// Ends the adding by a first code; the recovery codes are shown by this answer and by no other.
pub(crate) async fn confirm_totp(
    State(web): State<Web>,
    visitor: Visitor,
    Form(given): Form<Code>,
) -> Result<Response, Stop> {
    let people = web.app.people();
    match people.confirm_totp(&context(&visitor), &visitor.person, &given.code).await {
        Ok(codes) => Ok(codes_page(&visitor, &codes)),
        Err(ServiceError::People(PeopleError::SignInRefused)) => {
            let mut errors = FormErrors::new();
            errors.add("code", visitor.frame.t.get("people-code-refused"));
            let enrolment = people.pending_totp(&context(&visitor), &visitor.person).await;
            let enrolment = enrolment.map_err(|error| stopped(&visitor, error, HERE))?;
            Ok(totp_page(&visitor, StatusCode::UNPROCESSABLE_ENTITY, errors, &enrolment))
        }
        // Sent again: the app was added, and its codes were shown.
        Err(ServiceError::NotFound) if visitor.person.account.has_totp => Ok(codes_shown(&visitor)),
        Err(error) => Err(stopped(&visitor, error, TOTP)),
    }
}

/// Back to the account, which says that codes are shown once.
fn codes_shown(visitor: &Visitor) -> Response {
    visitor.frame.done(HERE, message!("flash-codes-shown"), "")
}

#[derive(Debug, Template)]
#[template(path = "people/recovery_codes.html")]
struct CodesPage<'a> {
    frame: &'a Frame,
    codes: Vec<&'a str>,
}

fn codes_page(visitor: &Visitor, codes: &RecoveryCodes) -> Response {
    let codes = codes.0.iter().map(|code| code.as_str()).collect();
    visitor.frame.page(&CodesPage { frame: &visitor.frame, codes })
}

const REMOVE_TOTP: &str = "/account/totp/remove";
const RECOVERY_CODES: &str = "/account/recovery-codes";
const END_OTHERS: &str = "/account/sessions/end-others";

/// Asks whether to remove the authenticator app, and for one of its codes.
pub(crate) async fn ask_totp_removal(visitor: Visitor) -> Result<Response, Stop> {
    if !visitor.person.account.has_totp {
        return Err(Stop::go(HERE));
    }
    prove_first(&visitor)?;
    Ok(totp_removal(&visitor, FormErrors::new()))
}

fn totp_removal(visitor: &Visitor, errors: FormErrors) -> Response {
    let t = visitor.frame.t;
    let question = t.get("account-totp-remove-question");
    ConfirmPage {
        title: question.clone(),
        question,
        consequence: t.get("account-totp-remove-consequence"),
        action: REMOVE_TOTP.to_owned(),
        button: t.get("account-totp-remove"),
        back: HERE.to_owned(),
        asks_code: true,
        once: None,
        frame: &visitor.frame,
        errors,
    }
    .answer()
}

/// Removes the authenticator app.
pub(crate) async fn remove_totp(
    State(web): State<Web>,
    visitor: Visitor,
    Form(given): Form<Code>,
) -> Result<Response, Stop> {
    let removed = web.app.people().disable_totp(&context(&visitor), &visitor.person, &given.code).await;
    match removed {
        Ok(()) => Ok(visitor.frame.done(HERE, message!("flash-totp-removed"), "")),
        Err(error @ ServiceError::People(PeopleError::SignInRefused | PeopleError::TooManyAttempts { .. })) => {
            let mut errors = FormErrors::new();
            proof_refused(&visitor.frame, &mut errors, "code", message!("people-code-refused"), error)?;
            Ok(totp_removal(&visitor, errors))
        }
        Err(error) => Err(stopped(&visitor, error, REMOVE_TOTP)),
    }
}

/// Asks whether to replace the recovery codes, and for one of them or a code of the app.
pub(crate) async fn ask_recovery_codes(State(web): State<Web>, visitor: Visitor) -> Result<Response, Stop> {
    if !visitor.person.account.has_totp {
        return Err(Stop::go(HERE));
    }
    prove_first(&visitor)?;
    Ok(codes_question(&visitor, once(&web), FormErrors::new()))
}

fn codes_question(visitor: &Visitor, once: String, errors: FormErrors) -> Response {
    let t = visitor.frame.t;
    let question = t.get("account-codes-question");
    ConfirmPage {
        frame: &visitor.frame,
        errors,
        title: question.clone(),
        question,
        consequence: t.get("account-codes-consequence"),
        action: RECOVERY_CODES.to_owned(),
        button: t.get("account-codes-replace"),
        back: HERE.to_owned(),
        asks_code: true,
        once: Some(once),
    }
    .answer()
}

/// Replaces the recovery codes; the new ones are shown by this answer and by no other.
pub(crate) async fn recovery_codes(
    State(web): State<Web>,
    visitor: Visitor,
    Form(given): Form<NewCodes>,
) -> Result<Response, Stop> {
    let render = |_: &RecoveryCodes| kept(&RECOVERY_CODES);
    let idempotent = sent_once(&visitor.person, &visitor.frame, RECOVERY_CODES, &given.once, &given, &render);
    let people = web.app.people();
    let replaced =
        people.replace_recovery_codes(&context(&visitor), &visitor.person, &given.code, idempotent.as_ref()).await;
    match replaced {
        Ok(Answered::Done(codes)) => Ok(codes_page(&visitor, &codes)),
        Ok(Answered::Replayed(_)) => Ok(codes_shown(&visitor)),
        Err(error @ ServiceError::People(PeopleError::SignInRefused | PeopleError::TooManyAttempts { .. })) => {
            let mut errors = FormErrors::new();
            proof_refused(&visitor.frame, &mut errors, "code", message!("people-code-refused"), error)?;
            Ok(codes_question(&visitor, given.once, errors))
        }
        Err(error) => Err(stopped(&visitor, error, RECOVERY_CODES)),
    }
}

/// What a browser is asked to make a passkey, for the script.
pub(crate) async fn start_passkey(
    State(web): State<Web>,
    visitor: Visitor,
    Form(given): Form<PasskeyNamed>,
) -> Result<Response, Failure> {
    match web.app.people().start_passkey(&context(&visitor), &visitor.person).await {
        Ok(asked) => Ok(Json(json!({ "handle": asked.handle.expose(), "options": asked.options })).into_response()),
        Err(ServiceError::StepUpRequired) => {
            let to = step_up_with(&web.app, &visitor.person, HERE, &given).await?;
            Ok(Json(json!({ "step_up": to })).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// Keeps a passkey that a browser has made.
pub(crate) async fn add_passkey(
    State(web): State<Web>,
    visitor: Visitor,
    Form(given): Form<NewPasskey>,
) -> Result<Response, Failure> {
    let t = visitor.frame.t;
    let Ok(name) = given.passkey_name.parse() else {
        return Ok(refused(&t.get("account-passkey-name-invalid")));
    };
    let (Some(handle), Ok(answer)) = (OneTimeToken::parse(&given.handle), serde_json::from_str(&given.answer)) else {
        return Ok(refused(&t.get("people-passkey-refused")));
    };
    let people = web.app.people();
    match people.finish_passkey(&context(&visitor), &visitor.person, &handle, &name, &answer).await {
        Ok(()) => Ok(Json(json!({ "to": HERE })).into_response()),
        Err(ServiceError::StepUpRequired) => Ok(Json(json!({ "step_up": step_up(HERE) })).into_response()),
        Err(ServiceError::People(PeopleError::SignInRefused | PeopleError::LinkEnded)) => {
            Ok(refused(&t.get("people-passkey-refused")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks whether to remove a passkey.
pub(crate) async fn ask_passkey_removal(
    State(web): State<Web>,
    visitor: Visitor,
    Path(id): Path<PasskeyId>,
) -> Result<Response, Stop> {
    let passkeys = web.app.people().passkeys(&visitor.person).await.map_err(Failure::from)?;
    let Some(passkey) = passkeys.into_iter().find(|passkey| passkey.id == id) else { return Err(Stop::go(HERE)) };
    prove_first(&visitor)?;
    let t = visitor.frame.t;
    let page = ConfirmPage {
        frame: &visitor.frame,
        errors: FormErrors::new(),
        title: t.get("account-passkey-remove-title"),
        question: t.with("account-passkey-remove-question", [("name", passkey.name.to_string())]),
        consequence: t.get("account-passkey-remove-consequence"),
        action: format!("/account/passkeys/{id}/remove"),
        button: t.get("people-remove"),
        back: HERE.to_owned(),
        asks_code: false,
        once: None,
    };
    Ok(page.answer())
}

/// Removes a passkey.
pub(crate) async fn remove_passkey(
    State(web): State<Web>,
    visitor: Visitor,
    Path(id): Path<PasskeyId>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let done = web.app.people().remove_passkey(&context(&visitor), &visitor.person, id).await;
    done.map_err(|error| stopped(&visitor, error, HERE))?;
    Ok(visitor.frame.done(HERE, message!("flash-passkey-removed"), ""))
}

/// Asks whether to end one session. One that is over, or the reader's own, is not asked about.
pub(crate) async fn ask_session(
    State(web): State<Web>,
    visitor: Visitor,
    Path(id): Path<SessionId>,
) -> Result<Response, Stop> {
    let sessions = web.app.people().sessions(&visitor.person).await.map_err(Failure::from)?;
    let other = sessions.into_iter().find(|session| session.id == id && id != visitor.person.session.id);
    let Some(session) = other else { return Err(Stop::go(HERE)) };
    let t = visitor.frame.t;
    let agent = session.agent.as_deref().and_then(agents::called);
    let agent = agent.unwrap_or_else(|| t.get("account-unknown-browser"));
    let named = session.address.map_or_else(|| agent.clone(), |address| format!("{agent} ({address})"));
    let page = ConfirmPage {
        frame: &visitor.frame,
        errors: FormErrors::new(),
        title: t.get("account-session-title"),
        question: t.with("account-session-question", [("session", named)]),
        consequence: t.get("account-session-consequence"),
        action: format!("/account/sessions/{id}/end"),
        button: t.get("account-session-end"),
        back: HERE.to_owned(),
        asks_code: false,
        once: None,
    };
    Ok(page.answer())
}

/// Ends one session.
pub(crate) async fn end_session(
    State(web): State<Web>,
    visitor: Visitor,
    Path(id): Path<SessionId>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let done = web.app.people().end_session(&context(&visitor), &visitor.person, id).await;
    done.map_err(|error| stopped(&visitor, error, HERE))?;
    Ok(visitor.frame.done(HERE, message!("flash-session-ended"), ""))
}

/// Asks whether to end all other sessions.
pub(crate) async fn ask_other_sessions(State(web): State<Web>, visitor: Visitor) -> Result<Response, Stop> {
    let sessions = web.app.people().sessions(&visitor.person).await.map_err(Failure::from)?;
    let others = sessions.iter().filter(|session| session.id != visitor.person.session.id).count();
    if others == 0 {
        return Err(Stop::go(HERE));
    }
    let t = visitor.frame.t;
    let question = t.get("account-sessions-question");
    let page = ConfirmPage {
        frame: &visitor.frame,
        errors: FormErrors::new(),
        title: question.clone(),
        question,
        consequence: t.with("account-sessions-consequence", [("count", others)]),
        action: END_OTHERS.to_owned(),
        button: t.get("account-sessions-end"),
        back: HERE.to_owned(),
        asks_code: false,
        once: None,
    };
    Ok(page.answer())
}

/// Ends all other sessions.
pub(crate) async fn end_other_sessions(
    State(web): State<Web>,
    visitor: Visitor,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let done = web.app.people().end_other_sessions(&context(&visitor), &visitor.person).await;
    done.map_err(|error| stopped(&visitor, error, HERE))?;
    Ok(visitor.frame.done(HERE, message!("flash-sessions-ended"), ""))
}

/// Where a reader begins: signing in, the one business there is, or the choice among several.
pub(crate) async fn start(visitor: Visitor) -> Response {
    match visitor.frame.businesses.as_slice() {
        [only] => redirect(&only.href(None)),
        _ => redirect("/businesses"),
    }
}

#[derive(Debug, Template)]
#[template(path = "people/businesses.html")]
struct BusinessesPage<'a> {
    frame: &'a Frame,
    businesses: Vec<Membership>,
}

/// The businesses of the reader.
pub(crate) async fn businesses(visitor: Visitor) -> Response {
    let businesses = memberships(&visitor);
    visitor.frame.page(&BusinessesPage { frame: &visitor.frame, businesses })
}
