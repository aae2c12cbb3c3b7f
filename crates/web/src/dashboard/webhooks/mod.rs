//! Developers > Webhooks: endpoints, their secrets, and what became of each message.

mod deliveries;
mod endpoints;
mod form;
mod secrets;

use std::collections::HashMap;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::WebhookEndpointId;
use trousseau_service::webhooks::EndpointView;

use super::frame::{Frame, Sub, Tab};
use super::session::{Demand, Entered, Stop};
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// The routes of these pages.
pub(crate) fn routes() -> Router<Web> {
    let base = "/b/{business}/{environment}/developers/webhooks";
    let at = |below: &str| format!("{base}{below}");
    Router::new()
        .route(base, get(endpoints::list))
        .route(&at("/create"), get(form::create_form).post(form::create))
        .route(&at("/{endpoint}"), get(endpoints::show))
        .route(&at("/{endpoint}/edit"), get(form::edit_form).post(form::edit))
        .route(&at("/{endpoint}/switch"), get(endpoints::back).post(endpoints::switch))
        .route(&at("/{endpoint}/delete"), get(endpoints::delete_form).post(endpoints::delete))
        .route(&at("/{endpoint}/rotate"), get(secrets::rotate_form).post(secrets::rotate))
        .route(&at("/{endpoint}/secret"), get(endpoints::back).post(secrets::reveal))
        .route(&at("/{endpoint}/test"), get(endpoints::back).post(deliveries::test))
        .route(&at("/{endpoint}/deliveries/{delivery}"), get(deliveries::show))
        .route(&at("/{endpoint}/deliveries/{delivery}/resend"), post(deliveries::resend))
}

/// The variable parts of a path.
type Parts = Path<HashMap<String, String>>;

/// The page's frame with its tab marked.
fn at_home(frame: Frame) -> Frame {
    frame.at(Tab::Developers, Some(Sub::Webhooks))
}

/// Where these pages begin.
fn base(frame: &Frame) -> String {
    frame.place.as_ref().map(|place| format!("{}{}", place.base(), Sub::Webhooks.path())).unwrap_or_default()
}

/// The path of one endpoint.
fn path_of(frame: &Frame, id: WebhookEndpointId) -> String {
    format!("{}/{id}", base(frame))
}

/// The endpoint that a path names.
async fn endpoint_of<P: Demand>(web: &Web, entered: &Entered<P>, parts: &Parts) -> Result<EndpointView, Stop> {
    let id = endpoint_id(parts)?;
    let found = web.app.webhooks().get(&entered.tenant, id).await;
    found.map_err(|error| entered.refused(error, &base(&entered.frame)))
}

fn endpoint_id(parts: &Parts) -> Result<WebhookEndpointId, Stop> {
    let text = parts.get("endpoint").map(String::as_str).unwrap_or_default();
    Ok(text.parse().map_err(|_| Failure::new(Kind::NotFound))?)
}

/// Whether this is LIVE.
fn is_live<P>(entered: &Entered<P>) -> bool {
    entered.tenant.environment == Environment::Live
}
