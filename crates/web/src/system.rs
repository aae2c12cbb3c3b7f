//! What the machinery around the server asks: is it alive, what does it offer, how is it doing.

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;

use crate::telemetry;

/// Whether the process is alive
///
/// Answers as long as the process can answer at all; it looks at nothing else.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "System",
    responses((status = 200, description = "It is alive", content_type = "text/plain", body = String, example = "ok"))
)]
pub(crate) fn livez() -> Ready<&'static str> {
    ready("ok")
}

/// The document that the router wrote, as JSON.
#[derive(Debug, Clone)]
pub(crate) struct Document(pub(crate) Arc<str>);

/// The description of this API
///
/// This document: OpenAPI 3.1, written from the code.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "System",
    responses((status = 200, description = "The document", content_type = "application/json", body = serde_json::Value))
)]
pub(crate) fn openapi_json(State(document): State<Document>) -> Ready<Response> {
    ready(([(CONTENT_TYPE, "application/json")], document.0.to_string()).into_response())
}

/// The metrics as Prometheus reads them, open to whoever reaches the listener.
pub(crate) fn metrics() -> Ready<Response> {
    ready(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry::render()).into_response())
}

/// `/metrics` alone, for a listener of its own that only the operator's network reaches.
pub fn metrics_router() -> Router {
    Router::new().route("/metrics", get(metrics))
}
