//! Who reads, as extractors: a page cannot be made without the proof that its reader may see it.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OriginalUri, RawPathParams};
use axum::response::{IntoResponse, Response};
use http::header::ACCEPT;
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use trousseau_domain::business::Language as Chosen;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::{BusinessId, RequestId};
use trousseau_domain::members::{Operation, Role};
use trousseau_domain::profile::Profile;
use trousseau_service::people::{SessionToken, SignedIn};
use trousseau_service::{BusinessRow, Context, ServiceError};

use super::errors;
use super::form::{csrf_token, is_csrf_token};
use super::format::Formats;
use super::frame::{Choice, Frame, Person, Place, redirect};
use super::look::{Look, cookie, set_cookie};
use super::people::logo;
use super::text::Texts;
use crate::language::Language;
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// The cookie over HTTPS: `__Host-` keeps it from other hosts of the same domain, and from plain HTTP.
const SECURE_COOKIE: &str = "__Host-trousseau_session";
/// The cookie over plain HTTP, on this machine.
const PLAIN_COOKIE: &str = "trousseau_session";

/// The cookies with the token of a renewed session's forms, over HTTPS and over plain HTTP. The session's own cookie holds
/// its secret alone, which servers of other releases read too.
const SECURE_FORMS_COOKIE: &str = "__Host-trousseau_forms";
const PLAIN_FORMS_COOKIE: &str = "trousseau_forms";

const fn cookie_name(secure: bool) -> &'static str {
    if secure { SECURE_COOKIE } else { PLAIN_COOKIE }
}

const fn forms_cookie_name(secure: bool) -> &'static str {
    if secure { SECURE_FORMS_COOKIE } else { PLAIN_FORMS_COOKIE }
}

/// The session's secret as the browser sent it.
pub(crate) fn session_cookie(headers: &HeaderMap, secure: bool) -> Option<&str> {
    cookie(headers, cookie_name(secure)).filter(|value| !value.is_empty())
}

/// The tokens that forms of this browser's session may carry: the one that pages give them now, and the one that a server
/// gives them that does not know of renewed ones.
pub(crate) fn form_tokens(headers: &HeaderMap, secure: bool) -> Option<Vec<String>> {
    let secret = session_cookie(headers, secure)?;
    let renewed = cookie(headers, forms_cookie_name(secure)).filter(|token| is_csrf_token(token));
    Some(renewed.map(ToOwned::to_owned).into_iter().chain([csrf_token(secret)]).collect())
}

/// The token that the forms of this browser's session are given.
pub(crate) fn form_token(headers: &HeaderMap, secure: bool) -> Option<String> {
    form_tokens(headers, secure)?.into_iter().next()
}

/// Gives the browser the secret of a new session. It ends with the browser, or with the session on our side.
pub fn set_session_cookie(headers: &mut HeaderMap, secret: &str, secure: bool) {
    set_cookie(headers, cookie_name(secure), secret, None, secure);
    set_cookie(headers, forms_cookie_name(secure), "", Some(0), secure);
}

/// Gives the browser the new secret of a session whose person was proven once more. Forms in other tabs stay good.
pub(super) fn renew_session_cookie(headers: &mut HeaderMap, secret: &str, form_token: &str, secure: bool) {
    set_cookie(headers, cookie_name(secure), secret, None, secure);
    set_cookie(headers, forms_cookie_name(secure), form_token, None, secure);
}

/// Takes the session's secret away.
pub fn clear_session_cookie(headers: &mut HeaderMap, secure: bool) {
    set_cookie(headers, cookie_name(secure), "", Some(0), secure);
    set_cookie(headers, forms_cookie_name(secure), "", Some(0), secure);
}

/// The answer instead of a page.
#[derive(Debug)]
pub struct Stop(Box<Response>);

impl Stop {
    /// Another page.
    pub(crate) fn go(to: &str) -> Self {
        Self(Box::new(redirect(to)))
    }
}

impl From<Response> for Stop {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self(Box::new(failure.into_response()))
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// Text for the query of an address.
pub(crate) fn in_query(text: &str) -> String {
    serde_html_form::to_string([("return", text)]).unwrap_or_default()
}

fn request_id(parts: &Parts) -> Result<RequestId, Failure> {
    parts.extensions.get::<RequestId>().copied().ok_or(Failure::new(Kind::Internal))
}

/// The address as it was asked for: below a nested router the request itself has the rest of it only.
pub(crate) fn asked(parts: &Parts) -> &Uri {
    parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0)
}

fn here(parts: &Parts) -> String {
    asked(parts).path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned()
}

pub(crate) async fn signed_in(parts: &Parts, web: &Web) -> Result<Option<SignedIn>, Failure> {
    let Some(token) = session_cookie(&parts.headers, web.secure_cookies).and_then(SessionToken::parse) else {
        return Ok(None);
    };
    Ok(web.app.people().session(&token).await?)
}

fn frame(parts: &Parts, web: &Web, person: Option<&SignedIn>) -> Result<Frame, Failure> {
    let look = Look::of(&parts.headers);
    let language = match person {
        Some(person) if !look.language_chosen => match person.account.language {
            Chosen::English => Language::English,
            Chosen::French => Language::French,
        },
        _ => look.language,
    };
    let zone = web.app.settings().default_time_zone().clone();
    let formats = Formats::new(language, zone, web.app.now());
    let mut frame = Frame::new(&parts.headers, formats, here(parts), request_id(parts)?, web.secure_cookies);
    frame.speak(Texts::new(language), &parts.headers);
    if let Some(person) = person {
        frame.person = Some(Person {
            name: person.account.name.as_str().to_owned(),
            email: person.account.email.as_str().to_owned(),
            platform_admin: person.account.platform_admin,
        });
        frame.businesses = person
            .memberships
            .iter()
            .map(|membership| Choice {
                id: membership.business.id.clone(),
                name: membership.business.name.as_str().to_owned(),
                logo: membership.logo.as_ref().map(logo::url),
                environments: environments(web, &membership.business),
            })
            .collect();
    }
    Ok(frame)
}

fn environments(web: &Web, business: &BusinessRow) -> trousseau_domain::profile::Environments {
    let profile = web.app.settings().profile(&business.profile);
    profile.map_or(trousseau_domain::profile::Environments::Both, |profile| profile.environments)
}

/// The frame of a page that anybody may read; it knows who reads if somebody is signed in.
impl FromRequestParts<Web> for Frame {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Failure> {
        let person = signed_in(parts, web).await?;
        frame(parts, web, person.as_ref())
    }
}

/// The proof that somebody is signed in.
#[derive(Debug)]
pub struct Visitor {
    /// Who.
    pub person: SignedIn,
    /// The frame of the page.
    pub frame: Frame,
    /// The request.
    pub request_id: RequestId,
}

impl FromRequestParts<Web> for Visitor {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Stop> {
        let Some(person) = signed_in(parts, web).await? else {
            return Err(sign_in_first(parts));
        };
        let frame = frame(parts, web, Some(&person))?;
        Ok(Self { person, frame, request_id: request_id(parts)? })
    }
}

/// To the page of signing in, and from there back to this one. A script is told so instead.
fn sign_in_first(parts: &Parts) -> Stop {
    let program = parts.headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes() == b"application/json");
    // Nothing that was sent is kept: the page says so.
    let unsent = if parts.method == Method::POST { "&unsent=1" } else { "" };
    let to = format!("/sign-in?{}{unsent}", in_query(&here(parts)));
    if program { Failure::new(Kind::Unauthorized).into() } else { Stop::go(&to) }
}

/// What a page demands of the role of its reader.
pub trait Demand: Send + Sync + 'static {
    /// The operation of the one table.
    const OPERATION: Operation;
}

/// Defines what pages demand, one type per operation of the table.
macro_rules! demands {
    ($($(#[$meta:meta])* $name:ident = $operation:ident;)+) => {
        $(
            $(#[$meta])*
            #[derive(Debug)]
            pub struct $name;

            impl Demand for $name {
                const OPERATION: Operation = Operation::$operation;
            }
        )+
    };
}

demands! {
    /// See the business.
    ReadBusiness = BusinessRead;
    /// See payments.
    ReadPayments = PaymentsRead;
    /// Make, change and decide on what is to be paid and what was.
    WritePayments = PaymentsWrite;
    /// See keys.
    ReadKeys = KeysRead;
    /// Create, change, rotate, reveal and revoke keys.
    WriteKeys = KeysWrite;
    /// See the request log, events and usage.
    ReadLogs = LogsRead;
    /// See webhook endpoints and their deliveries.
    ReadWebhooks = WebhooksRead;
    /// Register, change, test and remove webhook endpoints, and send again.
    WriteWebhooks = WebhooksWrite;
    /// Change the business's settings.
    WriteBusiness = BusinessWrite;
    /// See members.
    ReadMembers = MembersRead;
    /// Invite, change and remove members.
    WriteMembers = MembersWrite;
}

/// The proof that this person may do `P` in the business and environment of the path.
#[derive(Debug)]
pub struct Entered<P> {
    /// Who.
    pub person: SignedIn,
    /// The frame of the page.
    pub frame: Frame,
    /// Whose rows may be seen.
    pub tenant: Tenant,
    /// The business.
    pub business: BusinessRow,
    /// Its rules.
    pub profile: Arc<Profile>,
    /// What the person is there.
    pub role: Role,
    /// On whose behalf the service acts.
    pub context: Context,
    demand: PhantomData<P>,
}

impl<P: Demand> FromRequestParts<Web> for Entered<P> {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Stop> {
        let Visitor { person, mut frame, request_id } = Visitor::from_request_parts(parts, web).await?;
        let params = RawPathParams::from_request_parts(parts, web).await.map_err(|_| Failure::new(Kind::NotFound))?;
        let param = |wanted: &str| params.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
        // Not there, and not the reader's, are the same: nobody learns which businesses there are.
        let not_found = || Failure::new(Kind::NotFound);
        let environment: Environment = param("environment").and_then(|text| text.parse().ok()).ok_or_else(not_found)?;
        let id: BusinessId = param("business").and_then(|text| text.parse().ok()).ok_or_else(not_found)?;
        let Some(membership) = person.membership(&id) else { return Err(not_found().into()) };
        let (business, role) = (membership.business.clone(), membership.role);
        let logo = membership.logo.as_ref().map(logo::url);
        let profile = web.app.settings().profile(&business.profile).cloned().ok_or_else(not_found)?;
        if !profile.environments.offers(environment) {
            return Err(not_found().into());
        }
        frame.enter(
            Place {
                business: id.clone(),
                name: business.name.as_str().to_owned(),
                logo,
                environments: profile.environments,
                environment,
                role,
                suspended: business.suspended_at.is_some(),
            },
            business.time_zone.clone(),
        );
        let span = tracing::Span::current();
        span.record("business.id", tracing::field::display(&id));
        if !role.may(P::OPERATION) {
            return Err(errors::refused(&frame, P::OPERATION).into());
        }
        let context = Context::member(&person, &id, role, request_id);
        let tenant = Tenant::new(id, environment);
        Ok(Self { person, frame, tenant, business, profile, role, context, demand: PhantomData })
    }
}

impl<P> Entered<P> {
    /// Whether the last proof of who sits there is recent enough to read, make, widen or end a LIVE key.
    pub fn is_proven(&self) -> bool {
        self.tenant.environment == Environment::Test || self.person.session.is_proven_at(self.frame.f.now())
    }

    /// Sends the reader to prove who they are, and back to `to`, unless they did so a moment ago. Asked before a
    /// form is shown, so that nothing typed is lost; the service asks again.
    pub fn prove_first(&self, to: &str) -> Result<(), Stop> {
        if self.is_proven() { Ok(()) } else { Err(Stop::go(&step_up(to))) }
    }

    /// A page of a list; at its beginning again where what it goes on from is not of this business, or not there any
    /// more.
    pub(crate) fn gone_on<T>(&self, page: Result<T, ServiceError>, list: &str) -> Result<T, Stop> {
        page.map_err(|error| match error {
            ServiceError::Invalid(_) => Stop::go(list),
            error => self.refused(error, list),
        })
    }

    /// The answer to what the service did not do. `to` is the page to come back to after proving who one is.
    pub fn refused(&self, error: ServiceError, to: &str) -> Stop {
        refused(&self.frame, error, to)
    }
}

/// The answer, inside `frame`, to what the service did not do. `to` is the page to come back to after proving who one
/// is.
pub(crate) fn refused(frame: &Frame, error: ServiceError, to: &str) -> Stop {
    match error {
        ServiceError::StepUpRequired => Stop::go(&step_up(to)),
        ServiceError::CallerRefused => Stop::go(&format!("/sign-in?{}", in_query(to))),
        error => {
            let failure = Failure::from(error);
            // What is our fault goes by the outermost layer, which writes down its cause.
            if failure.kind().status().is_server_error() {
                failure.into()
            } else {
                errors::page(frame, &failure).into()
            }
        }
    }
}

/// The page of proving who one is, which leads to `to`.
pub(crate) fn step_up(to: &str) -> String {
    format!("/step-up?{}", in_query(to))
}
