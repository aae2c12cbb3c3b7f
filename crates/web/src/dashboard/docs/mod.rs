//! The Guide and the API reference, at `/docs`, for anybody; with the reader's business where somebody is signed in.

mod french;
mod guide;
mod llms;
mod pages;
mod prose;
mod reader;
mod reference;
mod samples;
mod schema;
mod try_it;

use axum::Router;
use axum::routing::get;

pub(crate) use pages::problem;

use crate::router::Web;

/// The routes of the documentation.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/docs", get(pages::start))
        .route("/docs/api", get(pages::contents))
        .route("/docs/api/{slug}", get(pages::operation).post(pages::try_operation))
        .route("/docs/{slug}", get(pages::guide))
        .route("/llms.txt", get(llms::text))
}
