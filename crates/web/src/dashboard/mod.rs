//! The pages: what people see of their keys. How one is made stands in `docs/dashboard.md`.

mod assets;
mod chart;
pub mod csv;
mod curl;
pub(crate) mod docs;
pub mod errors;
mod events;
mod filters;
pub mod form;
pub mod format;
pub mod frame;
mod home;
mod issued;
mod kept;
mod keys;
pub mod look;
mod names;
mod networks;
mod once;
mod pay;
mod payments;
mod people;
pub mod platform;
mod preferences;
mod qr;
mod requests;
pub mod session;
mod step_up;
mod takings;
pub mod text;
mod usage;
mod webhooks;

use axum::Router;
use axum::extract::OriginalUri;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::header::{ACCEPT, ACCEPT_LANGUAGE, COOKIE};
use http::{HeaderMap, Method};

use crate::problem::{Failure, Kind};
use crate::router::Web;
use frame::{local_path, redirect};

/// The routes of the pages.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/assets/{digest}/{name}", get(assets::serve))
        .route("/preferences", post(preferences::keep))
        .merge(people::routes())
        .merge(docs::routes())
        .route("/step-up", get(step_up::form).post(step_up::prove))
        .route("/step-up/passkey/start", post(step_up::start_passkey))
        .route("/step-up/passkey", post(step_up::passkey))
        .merge(pay::routes())
        .merge(home::routes())
        .merge(payments::routes())
        .merge(keys::routes())
        .merge(requests::routes())
        .merge(events::routes())
        .merge(usage::routes())
        .merge(platform::routes())
        .merge(webhooks::routes())
        .method_not_allowed_fallback(to_its_page)
}

/// The address of a form that has no page, opened as one by coming back to it: the page above, where the form stands.
async fn to_its_page(method: Method, OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    let above = uri.path().rsplit_once('/').map_or("", |(above, _)| above);
    if matches!(method, Method::GET | Method::HEAD) && is_page(uri.path(), &headers) {
        redirect(local_path(above))
    } else {
        Failure::new(Kind::MethodNotAllowed).into_response()
    }
}

/// The first segments of the paths that are pages.
const PAGES: [&str; 16] = [
    "",
    "sign-in",
    "sign-out",
    "welcome",
    "invitations",
    "reset",
    "step-up",
    "account",
    "businesses",
    "logos",
    "b",
    "platform",
    "docs",
    "preferences",
    "assets",
    "pay",
];

/// Whether a failure on this path is told to a person rather than to a program.
pub(crate) fn is_page(path: &str, headers: &HeaderMap) -> bool {
    let asks_for = |wanted: &str| {
        headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains(wanted))
    };
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    match first {
        "v1" | "apiKeys" | "openapi.json" | "metrics" | "livez" | "readyz"
        // Mileston's.
        | "payment-link" | "invoice" | "recurring-payment" | "checkout" | "user" | "status" => false,
        // A script of ours asks for JSON.
        page if PAGES.contains(&page) => !asks_for("application/json"),
        // Nothing that we know: a browser says what it wants.
        _ => asks_for("text/html"),
    }
}

/// The headers that decide how a page about a failure looks.
pub(crate) fn what_pages_need(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in [ACCEPT_LANGUAGE, COOKIE] {
        for value in headers.get_all(&name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_get_pages_and_programs_do_not() {
        let html = HeaderMap::from_iter([(ACCEPT, "text/html,*/*;q=0.8".parse().expect("a header"))]);
        let json = HeaderMap::from_iter([(ACCEPT, "application/json".parse().expect("a header"))]);
        let none = HeaderMap::new();
        for (path, headers, page) in [
            ("/", &none, true),
            ("/b/x/test/developers/api-keys", &none, true),
            ("/b/x/test/developers/api-keys", &json, false),
            ("/v1/keys", &html, false),
            ("/apiKeys", &html, false),
            ("/nothing", &html, true),
            ("/nothing", &none, false),
            ("/payment-link", &json, false),
        ] {
            assert_eq!(is_page(path, headers), page, "{path}");
        }
    }
}
