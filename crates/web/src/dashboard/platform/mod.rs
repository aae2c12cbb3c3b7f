//! The pages of the platform's administrators: businesses, the operator's keys, this node, its configuration.

mod businesses;
mod keys;
mod networks;
mod node;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::routing::get;
use http::request::Parts;
use trousseau_service::people::SignedIn;
use trousseau_service::{Context, ServiceError};

use super::errors;
use super::form::FormErrors;
use super::frame::{Frame, MenuLink};
use super::session::{Stop, Visitor, refused, step_up};
use super::text::{Texts, message};
use crate::dashboard::once::once;
use crate::router::Web;

pub use node::{Configuration, Origin, Setting};

/// The routes of these pages.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/platform", get(businesses::list))
        .route("/platform/businesses/create", get(businesses::form).post(businesses::create))
        .route("/platform/businesses/{business}", get(businesses::show))
        .route("/platform/businesses/{business}/suspend", get(businesses::ask_suspend).post(businesses::suspend))
        .route("/platform/businesses/{business}/resume", get(businesses::ask_resume).post(businesses::resume))
        .route("/platform/keys", get(keys::list))
        .route("/platform/keys/create", get(keys::form).post(keys::create))
        .route("/platform/keys/{key}/revoke", get(keys::ask_revoke).post(keys::revoke))
        .route("/platform/networks", get(networks::list))
        .route("/platform/node", get(node::health))
        .route("/platform/configuration", get(node::configuration))
}

/// The proof that somebody administers the platform. The use cases look again.
#[derive(Debug)]
pub(crate) struct Administering {
    person: SignedIn,
    frame: Frame,
    context: Context,
}

impl FromRequestParts<Web> for Administering {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Stop> {
        let Visitor { person, frame, request_id } = Visitor::from_request_parts(parts, web).await?;
        if !person.account.platform_admin {
            return Err(errors::platform_only(&frame).into());
        }
        let context = Context::account(&person, request_id);
        Ok(Self { person, frame, context })
    }
}

impl Administering {
    /// Sends the reader to prove who they are, and back to this page, unless they did so a moment ago.
    fn prove_first(&self) -> Result<(), Stop> {
        let proven = self.person.session.is_proven_at(self.frame.f.now());
        if proven { Ok(()) } else { Err(Stop::go(&step_up(&self.frame.here))) }
    }

    /// The answer to what the service did not do.
    fn refused(&self, error: ServiceError, to: &str) -> Stop {
        match error {
            ServiceError::Forbidden => errors::platform_only(&self.frame).into(),
            error => refused(&self.frame, error, to),
        }
    }
}

/// The pages of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Area {
    Businesses,
    Keys,
    Networks,
    Node,
    Configuration,
}

impl Area {
    const ALL: [Self; 5] = [Self::Businesses, Self::Keys, Self::Networks, Self::Node, Self::Configuration];

    const fn path(self) -> &'static str {
        match self {
            Self::Businesses => "/platform",
            Self::Keys => "/platform/keys",
            Self::Networks => "/platform/networks",
            Self::Node => "/platform/node",
            Self::Configuration => "/platform/configuration",
        }
    }

    fn label(self, t: Texts) -> String {
        t.get(match self {
            Self::Businesses => message!("businesses"),
            Self::Keys => message!("platform-keys"),
            Self::Networks => message!("platform-networks"),
            Self::Node => message!("platform-node"),
            Self::Configuration => message!("platform-configuration"),
        })
    }

    /// The menu with this page marked.
    fn menu(self, t: Texts) -> Vec<MenuLink> {
        let link = |area: Self| MenuLink { href: area.path().to_owned(), label: area.label(t), current: area == self };
        Self::ALL.into_iter().map(link).collect()
    }
}

/// A question before an act.
#[derive(Debug, askama::Template)]
#[template(path = "platform/confirm.html")]
struct ConfirmPage<'a> {
    frame: &'a Frame,
    menu: Vec<MenuLink>,
    errors: FormErrors,
    back: String,
    back_label: String,
    question: String,
    consequence: String,
    action: String,
    button: String,
    danger: bool,
    /// The name to type, where that is asked for.
    type_name: Option<String>,
}
