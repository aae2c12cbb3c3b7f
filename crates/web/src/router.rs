//! Every route, and what stands around all of them.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use trousseau_service::App;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::dashboard::platform::Configuration;
use crate::edge::{Edge, method_not_allowed, not_found, outermost, panicked, recorded, settled};
use crate::fast::Application;
use crate::velocity::Velocity;
use crate::{api, cors, dashboard, openapi, pages, shop_script, system};

/// The most payments that are watched at once on one node; more are told to come back.
const MOST_STREAMS: usize = 2_000;

/// What every handler works with.
#[derive(Debug, Clone)]
pub struct Web {
    /// The use cases.
    pub(crate) app: App,
    /// The description of the routes, as it is served.
    pub(crate) document: Arc<str>,
    /// Whether people come by HTTPS, so that their cookies are for nothing else.
    pub(crate) secure_cookies: bool,
    /// The configuration in force, for the page that shows it.
    pub(crate) configuration: Configuration,
    /// How many payments may be watched at once.
    pub(crate) streams: Arc<Semaphore>,
    /// How fast payments are started.
    pub(crate) velocity: Arc<Velocity>,
    /// When this node began to serve.
    pub(crate) started: Instant,
    /// The routes of the API, for calls that a page makes in the name of its reader. The API itself has none.
    pub(crate) calls: Option<Router>,
}

/// Every route.
fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::with_openapi(openapi::base())
        .merge(api::whoami::routes())
        .merge(api::verify::routes())
        .merge(api::introspect::routes())
        .merge(api::authorize::routes())
        .merge(api::keys::routes())
        .merge(api::businesses::routes())
        .merge(api::events::routes())
        .merge(api::refusals::routes())
        .merge(api::webhooks::routes())
        .merge(api::payment_links::routes())
        .merge(api::invoices::routes())
        .merge(api::recurring_payments::routes())
        .merge(api::payments::routes())
        .merge(api::movements::routes())
        .merge(api::payout_plans::routes())
        .merge(api::refunds::routes())
        .merge(api::checkout::routes())
        .merge(api::test_ledger::routes())
        .merge(api::codat::routes())
        .merge(api::payline::routes())
        .routes(routes!(system::livez))
        .routes(routes!(system::readyz))
        .routes(routes!(system::guarded_metrics))
        .routes(routes!(system::openapi_json))
        .routes(routes!(pages::problem))
}

/// The document as text: pretty, in a stable order, with a line break at its end.
#[expect(clippy::missing_panics_doc, reason = "a document of our own types has a JSON form")]
pub fn document_text(document: &OpenApi) -> String {
    let mut text = document.to_pretty_json().expect("a document of our own types has a JSON form");
    text.push('\n');
    text
}

/// The description of every route. It depends on nothing but the code.
pub fn openapi() -> OpenApi {
    openapi::with_errors(routes().into_openapi())
}

/// The whole application. `configuration` is what the platform's administrators are shown of it.
pub fn application(edge: Edge, app: App, configuration: Configuration) -> Application {
    let document = Arc::from(document_text(&openapi()));
    let (router, _) = routes().split_for_parts();
    let router = router.merge(api::mileston::routes()).merge(shop_script::routes());
    let web = Web {
        app: app.clone(),
        document,
        secure_cookies: edge.https(),
        configuration,
        streams: Arc::new(Semaphore::new(MOST_STREAMS)),
        velocity: Arc::new(Velocity::new(app.clone())),
        started: Instant::now(),
        calls: None,
    };
    let record = from_fn_with_state(app.clone(), recorded);
    // A call that a page makes is part of the request for the page.
    let calls = enclose(router.clone().with_state(web.clone()), edge.clone().with_traces(None), app.clone())
        .layer(record.clone());
    let pages = dashboard::routes().with_state(Web { calls: Some(calls), ..web.clone() });
    let around = enclose(router.with_state(web.clone()).merge(pages), edge.clone(), app);
    Application::new(edge, web, around.layer(record).layer(from_fn(cors::around)))
}

/// Puts what stands around all routes around these.
fn enclose(routes: Router, edge: Edge, app: App) -> Router {
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app, settled))
        .layer(from_fn_with_state(edge, outermost))
}
