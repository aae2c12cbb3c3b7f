//! `/invitations/{token}`: becoming a member, and the keys that are shown once.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use trousseau_service::people::invitations::{Acceptance, InvitationView};
use trousseau_service::people::{InvitedTo, SignedIn};

use super::{Arrival, domain_language, first_keys, home_of, link, read_name, read_new_password, signed_in, speak};
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::frame::{Frame, redirect, role_name};
use crate::dashboard::look::parse_language;
use crate::dashboard::session::set_session_cookie;
use crate::dashboard::text::message;
use crate::path::Path;
use crate::problem::Failure;
use crate::router::Web;

#[derive(Debug, Template)]
#[template(path = "people/invitation.html")]
struct InvitationPage<'a> {
    frame: &'a Frame,
    errors: &'a FormErrors,
    action: String,
    heading: String,
    lead: String,
    email: String,
    given: &'a Given,
    /// Who has to act: somebody new, the owner of the account, or the owner once they have signed in.
    who: Who,
}

/// Who looks at an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Nobody has the address yet.
    New,
    /// The address has an account, and its owner is signed in.
    Owner,
    /// The address has an account, and nobody is signed in.
    SignIn,
    /// Somebody else is signed in.
    Other,
}

impl Who {
    fn of(view: &InvitationView, person: Option<&SignedIn>) -> Self {
        match person {
            Some(person) if person.account.email == view.invitation.email => Self::Owner,
            Some(_) => Self::Other,
            None if view.has_account => Self::SignIn,
            None => Self::New,
        }
    }

    const fn is_new(self) -> bool {
        matches!(self, Self::New)
    }

    const fn is_owner(self) -> bool {
        matches!(self, Self::Owner)
    }

    const fn signs_in(self) -> bool {
        matches!(self, Self::SignIn)
    }
}

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Given {
    name: String,
    password: String,
    language: String,
}

/// The invitation; its link opens it until it is answered.
pub(crate) async fn show(
    frame: Frame,
    State(web): State<Web>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let view = web.app.people().invitation(&link(&token)?).await?;
    let person = signed_in(&web.app, &headers, web.secure_cookies).await?;
    let given = Given { language: frame.lang().to_owned(), ..Given::default() };
    let who = Who::of(&view, person.as_ref());
    Ok(page(&frame, StatusCode::OK, &FormErrors::new(), &token, &view, &given, who))
}

fn page(
    frame: &Frame,
    status: StatusCode,
    errors: &FormErrors,
    token: &str,
    view: &InvitationView,
    given: &Given,
    who: Who,
) -> Response {
    let t = frame.t;
    let email = view.invitation.email.as_str();
    let (heading, lead) = match (&view.invitation.to, &view.business) {
        (InvitedTo::Business { role, .. }, Some(business)) => {
            let name = business.name.as_str();
            let role = role_name(*role, t);
            let told = [("email", email), ("business", name), ("role", role.as_str())];
            (t.with("people-invitation-title", [("business", name)]), t.with("people-invitation-lead", told))
        }
        _ => (t.get("people-invitation-platform-title"), t.with("people-invitation-platform-lead", [("email", email)])),
    };
    let action = format!("/invitations/{token}");
    let template = InvitationPage { frame, errors, action, heading, lead, email: email.to_owned(), given, who };
    frame.page_with(status, &template)
}

/// Accepts it. The first LIVE keys, where there are any, are shown by this answer and by no other.
pub(crate) async fn accept(
    mut frame: Frame,
    State(web): State<Web>,
    arrival: Arrival,
    Path(token): Path<String>,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Result<Response, Failure> {
    let secret = link(&token)?;
    let people = web.app.people();
    let view = people.invitation(&secret).await?;
    let person = signed_in(&web.app, &headers, web.secure_cookies).await?;
    let who = Who::of(&view, person.as_ref());
    let language = parse_language(&given.language).unwrap_or(frame.t.language());
    let acceptance = match (&person, who) {
        (Some(person), Who::Owner) => Acceptance::Known(person),
        (_, Who::New) => {
            let mut errors = FormErrors::new();
            let name = read_name(&mut errors, frame.t, &given.name);
            let owner = name.as_ref().map(|name| (&view.invitation.email, name));
            let password = read_new_password(&mut errors, frame.t, "password", &given.password, owner);
            match (name, password) {
                (Some(name), Some(password)) if errors.is_empty() => {
                    Acceptance::New { name, password, language: domain_language(language) }
                }
                _ => {
                    let status = StatusCode::UNPROCESSABLE_ENTITY;
                    return Ok(page(&frame, status, &errors, &token, &view, &given, who));
                }
            }
        }
        // The page says what to do first.
        _ => return Ok(page(&frame, StatusCode::CONFLICT, &FormErrors::new(), &token, &view, &given, who)),
    };
    let accepted = people.accept(&secret, acceptance, &arrival.visit()).await?;
    let mut response = match &accepted.business {
        None => redirect("/"),
        Some(business) => {
            let profile = web.app.settings().profile(&business.profile).map(AsRef::as_ref);
            if accepted.keys.is_empty() {
                frame.done(&home_of(&business.id, profile), message!("flash-joined"), business.name.as_str())
            } else {
                let begun = accepted.session.as_ref().map(|session| &session.token).or(accepted.renewed.as_ref());
                if let Some(token) = begun {
                    frame.begin_session(token.expose(), home_of(&business.id, profile));
                }
                first_keys::page(&frame, web.app.address(), business, profile, &accepted.keys)
            }
        }
    };
    if let Some(session) = &accepted.session {
        arrival.keep(&mut response, session);
        speak(&mut response, language, web.secure_cookies);
    }
    if let Some(token) = &accepted.renewed {
        set_session_cookie(response.headers_mut(), token.expose(), web.secure_cookies);
    }
    Ok(response)
}
