//! Failures as pages: what happened, why, what to do, and the id of the request.

use askama::Template;
use axum::response::Response;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use trousseau_domain::ids::RequestId;
use trousseau_domain::members::{Operation, Role};

use super::frame::{Frame, role_name};
use super::text::{Texts, message};
use crate::problem::{Failure, Kind};

/// A page about a failure.
#[derive(Debug, Template)]
#[template(path = "dashboard/error.html")]
struct ErrorPage<'a> {
    frame: &'a Frame,
    status: u16,
    title: String,
    cause: String,
    next: String,
    retry: bool,
    /// Whether there is a way to the first page of the members.
    home: bool,
}

/// A failure as a page inside `frame`.
pub fn page(frame: &Frame, failure: &Failure) -> Response {
    let status = failure.kind().status();
    let home = !frame.is_for_payers();
    let (title, cause, next) = if home { words(failure, frame.t) } else { words_for_payers(failure, frame.t) };
    let retry = failure.retry_after_seconds().is_some() || status.is_server_error();
    let template = ErrorPage { frame, status: status.as_u16(), title, cause, next, retry, home };
    let mut response = frame.page_with(status, &template);
    if let Some(seconds) = failure.retry_after_seconds() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A failure of which nobody knows whose page it was to be.
pub(crate) fn bare(failure: &Failure, headers: &HeaderMap, here: String, id: RequestId, secure: bool) -> Response {
    page(&Frame::bare(headers, here, id, secure), failure)
}

/// The page for a reader whose role does not allow it: who may is said, so that they know whom to ask.
pub fn refused(frame: &Frame, operation: Operation) -> Response {
    let t = frame.t;
    let may: Vec<String> =
        Role::ALL.into_iter().filter(|role| role.may(operation)).map(|role| role_name(role, t)).collect();
    let roles = may.join(&t.get("list-or"));
    forbidden(frame, t.with("error-role-cause", [("roles", roles)]), t.get("error-role-next"))
}

/// The page for a reader who does not administer the platform.
pub(crate) fn platform_only(frame: &Frame) -> Response {
    forbidden(frame, frame.t.get("error-platform-cause"), frame.t.get("error-platform-next"))
}

fn forbidden(frame: &Frame, cause: String, next: String) -> Response {
    let status = StatusCode::FORBIDDEN;
    let title = frame.t.get("error-role-title");
    let template = ErrorPage { frame, status: status.as_u16(), title, cause, next, retry: false, home: true };
    frame.page_with(status, &template)
}

/// Title, cause and next step.
fn words(failure: &Failure, t: Texts) -> (String, String, String) {
    let three = |title, cause, next| (t.get(title), t.get(cause), t.get(next));
    match failure.kind() {
        Kind::NotFound => three(
            message!("error-not-found-title"),
            message!("error-not-found-cause"),
            message!("error-not-found-next"),
        ),
        Kind::MethodNotAllowed => {
            three(message!("error-method-title"), message!("error-method-cause"), message!("error-not-found-next"))
        }
        Kind::IdempotencyKeyReused => three(
            message!("error-sent-otherwise-title"),
            message!("error-sent-otherwise-cause"),
            message!("error-sent-otherwise-next"),
        ),
        Kind::Gone => three(message!("error-gone-title"), message!("error-gone-cause"), message!("error-gone-next")),
        Kind::CrossSite => three(
            message!("error-cross-site-title"),
            message!("error-cross-site-cause"),
            message!("error-cross-site-next"),
        ),
        Kind::KeyInUrl => three(
            message!("error-key-in-url-title"),
            message!("error-key-in-url-cause"),
            message!("error-key-in-url-next"),
        ),
        Kind::RateLimited | Kind::QuotaExhausted => {
            three(message!("error-limited-title"), message!("error-limited-cause"), message!("error-limited-next"))
        }
        Kind::Internal => {
            three(message!("error-internal-title"), message!("error-internal-cause"), message!("error-internal-next"))
        }
        Kind::Unavailable => three(
            message!("error-unavailable-title"),
            message!("error-unavailable-cause"),
            message!("error-unavailable-next"),
        ),
        kind => {
            (kind.title(t.language()).to_owned(), failure.detail(t.language()).to_owned(), t.get("error-other-next"))
        }
    }
}

/// The same for whoever pays, who is no member of anything and did not choose the address.
fn words_for_payers(failure: &Failure, t: Texts) -> (String, String, String) {
    let three = |title, cause, next| (t.get(title), t.get(cause), t.get(next));
    match failure.kind() {
        Kind::NotFound | Kind::Gone => {
            three(message!("pay-lost-title"), message!("pay-lost-cause"), message!("pay-lost-next"))
        }
        Kind::RateLimited | Kind::QuotaExhausted => {
            three(message!("error-limited-title"), message!("pay-limited-cause"), message!("pay-limited-next"))
        }
        Kind::Internal => {
            three(message!("error-internal-title"), message!("error-internal-cause"), message!("pay-internal-next"))
        }
        // A script, or somebody who went around the page, sent what the page does not offer.
        Kind::InvalidValue | Kind::InvalidBody | Kind::InvalidQuery | Kind::UnsupportedMediaType => {
            three(message!("pay-refused-title"), message!("pay-refused-cause"), message!("pay-refused-next"))
        }
        Kind::NotPayable => {
            three(message!("pay-closed-busy"), message!("pay-busy-cause"), message!("pay-limited-next"))
        }
        _ => words(failure, t),
    }
}
