//! What the machinery around the server asks: is it alive, what does it offer, how is it doing.

use std::future::{Ready, ready};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use trousseau_service::ServiceError;

use crate::authority::{AnyPlatform, PlatformGranted};
use crate::dialect::ProblemBody;
use crate::problem::{CLOCK_UNSURE, Failure, Kind, SECRETS_BEHIND};
use crate::router::Web;
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

/// Whether the process can serve
///
/// Looks whether the database answers in time and, on PostgreSQL, takes writes, whether this node's clock agrees with it, and
/// whether this node's key file has the secrets in use.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "System",
    responses(
        (status = 200, description = "It can", content_type = "text/plain", body = String, example = "ok"),
        (
            status = 503,
            description = "The database does not answer, the clock is wrong, or the key file is out of date; the detail says which",
            body = ProblemBody,
            content_type = "application/problem+json",
        ),
    )
)]
pub(crate) async fn readyz(State(web): State<Web>) -> Result<&'static str, Failure> {
    web.app.check_ready().await.map_err(|error| {
        let why = match error {
            ServiceError::ClockUnsure => CLOCK_UNSURE,
            ServiceError::SecretsBehind => SECRETS_BEHIND,
            _ => "The database does not answer, or takes no writes.",
        };
        Failure::new(Kind::Unavailable).with_detail(why).with_cause(error)
    })?;
    Ok("ok")
}

/// The metrics
///
/// In the text form of Prometheus, for any platform key.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "System",
    responses((status = 200, description = "The metrics", content_type = "text/plain", body = String)),
    security(("platform" = []))
)]
pub(crate) async fn guarded_metrics(_may: PlatformGranted<AnyPlatform>) -> Response {
    metrics_answer()
}

/// The description of this API
///
/// This document: OpenAPI 3.1, written from the code.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "System",
    responses((status = 200, description = "The document", content_type = "application/json", body = serde_json::Value))
)]
pub(crate) fn openapi_json(State(web): State<Web>) -> Ready<Response> {
    ready(([(CONTENT_TYPE, "application/json")], web.document.to_string()).into_response())
}

/// The metrics as Prometheus reads them, open to whoever reaches the listener.
pub(crate) fn metrics() -> Ready<Response> {
    ready(metrics_answer())
}

fn metrics_answer() -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry::render()).into_response()
}

/// `/metrics` alone, for a listener of its own that only the operator's network reaches.
pub fn metrics_router() -> Router {
    Router::new().route("/metrics", get(metrics))
}

/// Memory in use and memory there is, in whole megabytes; 0 where the system does not say.
pub(crate) fn memory_mb() -> (u64, u64) {
    let field = |path: &str, name: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
    };
    (field("/proc/self/status", "VmRSS:"), field("/proc/meminfo", "MemTotal:"))
}
