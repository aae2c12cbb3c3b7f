//! Pages of people: the first start, signing in, invitations, new passwords, accounts, members, settings.

mod account;
mod agents;
mod confirm;
mod first_keys;
mod invitation;
pub(super) mod logo;
mod reset;
mod settings;
pub(super) mod sign_in;
mod welcome;

use std::net::IpAddr;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::response::Response;
use axum::routing::{get, post};
use http::header::USER_AGENT;
use http::request::Parts;
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::{BusinessId, RequestId};
use trousseau_domain::members::{EmailAddress, PersonName};
use trousseau_domain::profile::Profile;
use trousseau_service::people::sessions::NewSession;
use trousseau_service::people::{
    DeviceToken, OneTimeToken, Password, PeopleError, SessionToken, SignedIn, Visit, passwords,
};
use trousseau_service::{App, ServiceError};

use super::form::FormErrors;
use super::frame::Frame;
use super::look::{choose_language, cookie, set_cookie};
use super::session::{session_cookie, set_session_cookie};
use super::text::{Texts, message};
use crate::connection::CallerAddress;
use crate::language::Language;
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// The cookie by which a browser is known again; it signs nobody in.
const DEVICE_COOKIE: &str = "trousseau_device";
/// The same over HTTPS.
const SECURE_DEVICE_COOKIE: &str = "__Host-trousseau_device";
/// How long a browser stays known, in seconds: 400 days, the most that browsers keep.
const DEVICE_FOR: u32 = 34_560_000;

pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/", get(account::start))
        .route("/welcome/{token}", get(welcome::show).post(welcome::complete))
        .route("/sign-in", get(sign_in::show).post(sign_in::password))
        .route("/sign-in/code", post(sign_in::code))
        .route("/sign-in/passkey/start", post(sign_in::start_passkey))
        .route("/sign-in/passkey", post(sign_in::passkey))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/reset", get(reset::show).post(reset::request))
        .route("/reset/{token}", get(reset::choose).post(reset::complete))
        .route("/invitations/{token}", get(invitation::show).post(invitation::accept))
        .route("/account", get(account::show))
        .route("/account/profile", post(account::profile))
        .route("/account/password", post(account::password))
        .route("/account/totp", get(account::pending_totp).post(account::start_totp))
        .route("/account/totp/confirm", post(account::confirm_totp))
        .route("/account/totp/remove", get(account::ask_totp_removal).post(account::remove_totp))
        .route("/account/recovery-codes", get(account::ask_recovery_codes).post(account::recovery_codes))
        .route("/account/passkeys/start", post(account::start_passkey))
        .route("/account/passkeys", post(account::add_passkey))
        .route("/account/passkeys/{id}/remove", get(account::ask_passkey_removal).post(account::remove_passkey))
        .route("/account/sessions/{id}/end", get(account::ask_session).post(account::end_session))
        .route("/account/sessions/end-others", get(account::ask_other_sessions).post(account::end_other_sessions))
        .route("/businesses", get(account::businesses))
        .route("/logos/{digest}", get(logo::serve))
        .nest("/b/{business}/{environment}/settings", settings_routes())
}

fn settings_routes() -> Router<Web> {
    Router::new()
        .route("/", get(settings::show).post(settings::save))
        .route("/logo", post(logo::put))
        .route("/logo/remove", post(logo::remove))
        .route("/members", get(settings::members))
        .route("/members/invite", post(settings::invite))
        .route("/members/{account}/role", get(settings::of_role).post(settings::change_role))
        .route("/members/{account}/remove", get(settings::ask_removal).post(settings::remove))
        .route("/invitations/{invitation}/revoke", get(settings::ask_revocation).post(settings::revoke_invitation))
        .route("/notices", get(settings::notices).post(settings::save_notices))
}

const fn device_cookie(secure: bool) -> &'static str {
    if secure { SECURE_DEVICE_COOKIE } else { DEVICE_COOKIE }
}

/// From where a request comes, and what its browser was given before.
#[derive(Debug)]
pub(crate) struct Arrival {
    address: Option<IpAddr>,
    agent: Option<String>,
    device: Option<DeviceToken>,
    request_id: RequestId,
    secure: bool,
}

impl FromRequestParts<Web> for Arrival {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Failure> {
        let caller = parts.extensions.get::<CallerAddress>().copied().unwrap_or(CallerAddress::UNKNOWN);
        let secure = web.secure_cookies;
        Ok(Self {
            address: caller.ip,
            agent: parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).map(ToOwned::to_owned),
            device: cookie(&parts.headers, device_cookie(secure)).and_then(DeviceToken::parse),
            request_id: *parts.extensions.get::<RequestId>().ok_or(Kind::Internal)?,
            secure,
        })
    }
}

impl Arrival {
    /// The same as the use cases take it.
    pub(crate) fn visit(&self) -> Visit<'_> {
        Visit {
            address: self.address,
            agent: self.agent.as_deref(),
            device: self.device.as_ref(),
            request_id: Some(self.request_id),
        }
    }

    /// Gives the browser what it is to keep of a session that has just begun.
    pub(crate) fn keep(&self, response: &mut Response, session: &NewSession) {
        set_session_cookie(response.headers_mut(), session.token.expose(), self.secure);
        if let Some(device) = &session.device {
            let name = device_cookie(self.secure);
            set_cookie(response.headers_mut(), name, device.expose(), Some(DEVICE_FOR), self.secure);
        }
    }
}

/// The person behind the browser's cookie, if anybody is signed in.
pub(crate) async fn signed_in(app: &App, headers: &http::HeaderMap, secure: bool) -> Result<Option<SignedIn>, Failure> {
    match session_cookie(headers, secure).and_then(SessionToken::parse) {
        Some(token) => Ok(app.people().session(&token).await?),
        None => Ok(None),
    }
}

/// The secret of a link, or a page that says that it cannot be used.
fn link(text: &str) -> Result<OneTimeToken, Failure> {
    OneTimeToken::parse(text).ok_or_else(|| Failure::new(Kind::Gone))
}

/// Where a business opens: LIVE where that is all it has.
fn first_environment(profile: Option<&Profile>) -> Environment {
    match profile {
        Some(profile) if profile.environments.offers(Environment::Test) => Environment::Test,
        _ => Environment::Live,
    }
}

/// The first page of a business.
fn home_of(business: &BusinessId, profile: Option<&Profile>) -> String {
    format!("/b/{business}/{}", first_environment(profile))
}

/// The language of the service's vocabulary.
pub(crate) const fn domain_language(language: Language) -> trousseau_domain::business::Language {
    match language {
        Language::English => trousseau_domain::business::Language::English,
        Language::French => trousseau_domain::business::Language::French,
    }
}

/// What a person typed as an address.
fn read_email(errors: &mut FormErrors, t: Texts, text: &str) -> Option<EmailAddress> {
    errors.read("email", text.parse(), t.get("people-email-invalid"))
}

fn read_name(errors: &mut FormErrors, t: Texts, text: &str) -> Option<PersonName> {
    errors.read("name", text.parse(), t.get("people-name-invalid"))
}

/// A new password, judged with what is known of its owner.
pub(crate) fn read_new_password(
    errors: &mut FormErrors,
    t: Texts,
    field: &'static str,
    text: &str,
    owner: Option<(&EmailAddress, &PersonName)>,
) -> Option<Password> {
    use trousseau_service::people::WeakPassword;

    let password = Password::new(text);
    // Without a good name and address they cannot be looked for; the form comes back for those anyway.
    let Some((email, name)) = owner else { return Some(password) };
    match passwords::check(&password, email, name) {
        Ok(()) => Some(password),
        Err(weak) => {
            let why = match weak {
                WeakPassword::Short => message!("people-password-short"),
                WeakPassword::Long => message!("people-password-long"),
                WeakPassword::Common => message!("people-password-common"),
                WeakPassword::Personal => message!("people-password-personal"),
            };
            errors.add(field, t.get(why));
            None
        }
    }
}

/// What is wrong with a proof, under the field that it was typed into. Other failures stay what they are.
pub(crate) fn proof_refused(
    frame: &Frame,
    errors: &mut FormErrors,
    field: &'static str,
    wrong: &'static str,
    error: ServiceError,
) -> Result<(), Failure> {
    match error {
        ServiceError::People(PeopleError::SignInRefused) => errors.add(field, frame.t.get(wrong)),
        ServiceError::People(PeopleError::TooManyAttempts { until }) => {
            let when = frame.f.relative(until).text;
            errors.add(field, frame.t.with("people-too-many", [("when", when)]));
        }
        other => return Err(other.into()),
    }
    Ok(())
}

/// The pages go on in the language of the account.
fn speak(response: &mut Response, language: Language, secure: bool) {
    choose_language(response.headers_mut(), language, secure);
}
