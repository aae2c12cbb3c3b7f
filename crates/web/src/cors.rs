//! Calls from pages elsewhere: only on the routes that a checkout key is for.
//!
//! A preflight carries no key and is answered for any origin; the call itself is checked against the origins of its key.
//! There are no cookies on these routes, so no credentials are allowed.

use std::convert::Infallible;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{Method, StatusCode};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::cors::{Any, CorsLayer};

use crate::limits::{RATE_LIMIT, RATE_LIMIT_POLICY};

/// Whether pages elsewhere may call this path.
fn is_open(path: &str) -> bool {
    path.starts_with("/v1/checkout/") || path.starts_with("/checkout/")
}

fn layer() -> CorsLayer {
    let ours = |name| HeaderName::from_static(name);
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            ours("apikey"),
            ours("businessid"),
            ours("env"),
            ours("idempotency-key"),
            // Browsers send it without asking; a stream that is read by `fetch` asks.
            ours("last-event-id"),
            ours("x-api-key"),
            ours("x-request-signature"),
        ])
        .expose_headers([ours("x-request-id"), RETRY_AFTER, ours(RATE_LIMIT), ours(RATE_LIMIT_POLICY)])
        .max_age(std::time::Duration::from_mins(10))
}

/// Around everything else, failures included: a page must be able to read why it was refused.
pub(crate) async fn around(request: Request, next: Next) -> Response {
    if !is_open(request.uri().path()) {
        return next.run(request).await;
    }
    let inner = service_fn(move |request: Request| {
        let next = next.clone();
        async move { Ok::<_, Infallible>(next.run(request).await) }
    });
    match layer().layer(inner).oneshot(request).await {
        Ok(mut response) => {
            if response.status() == StatusCode::OK && response.headers().contains_key("access-control-allow-methods") {
                // A preflight has no content.
                *response.status_mut() = StatusCode::NO_CONTENT;
            }
            response
        }
        Err(never) => match never {},
    }
}
