//! Developers > API keys.

mod actions;
mod fields;
mod find;
mod issued;
mod list;
mod make;
mod show;
mod usage;
mod view;

use axum::Router;
use axum::routing::{get, post};
use trousseau_domain::environment::Environment;
use trousseau_service::keys::{KeyHandle, KeyView};

use super::frame::{Frame, Sub, Tab};
use super::session::{Demand, Entered, Stop};
use crate::dashboard::once::once;
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// The routes of these pages.
pub(crate) fn routes() -> Router<Web> {
    let base = "/b/{business}/{environment}/developers/api-keys";
    let at = |below: &str| format!("{base}{below}");
    Router::new()
        .route(base, get(list::show))
        .route(&at("/find"), get(find::nothing).post(find::find))
        .route(&at("/create"), get(make::form).post(make::make))
        .route(&at("/create/summary"), post(make::summary))
        .route(&at("/{number}"), get(show::show))
        .route(&at("/{number}/edit"), get(make::edit_form).post(make::edit))
        .route(&at("/{number}/switch"), get(actions::switch_form).post(actions::switch))
        .route(&at("/{number}/rotate"), get(actions::rotate_form).post(actions::rotate))
        .route(&at("/{number}/revoke"), get(actions::revoke_form).post(actions::revoke))
        .route(&at("/{number}/reveal"), get(issued::nothing).post(issued::reveal))
}

/// The page's frame with its tab marked.
fn at_home(frame: Frame) -> Frame {
    frame.at(Tab::Developers, Some(Sub::ApiKeys))
}

/// Where these pages begin.
fn base(frame: &Frame) -> String {
    frame.place.as_ref().map(|place| format!("{}{}", place.base(), Sub::ApiKeys.path())).unwrap_or_default()
}

/// The path of one key.
fn path_of(frame: &Frame, number: u32) -> String {
    format!("{}/{number}", base(frame))
}

/// The key that a path names.
async fn key_of<P: Demand>(web: &Web, entered: &Entered<P>, number: &str) -> Result<KeyView, Stop> {
    let number: u32 = number.parse().map_err(|_| Failure::new(Kind::NotFound))?;
    let found = web.app.keys().get(&entered.tenant, KeyHandle::Number(number)).await;
    found.map_err(|error| entered.refused(error, &base(&entered.frame)))
}

/// Whether this is LIVE.
fn is_live<P>(entered: &Entered<P>) -> bool {
    entered.tenant.environment == Environment::Live
}
