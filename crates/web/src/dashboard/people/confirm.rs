//! Questions before what cannot be undone, each on a page of its own.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use crate::dashboard::form::FormErrors;
use crate::dashboard::frame::Frame;
use crate::dashboard::session::{Stop, Visitor, step_up};

/// A question before an act.
#[derive(Debug, Template)]
#[template(path = "people/confirm.html")]
pub(super) struct ConfirmPage<'a> {
    pub(super) frame: &'a Frame,
    pub(super) errors: FormErrors,
    /// What the page is called; it names nobody.
    pub(super) title: String,
    pub(super) question: String,
    pub(super) consequence: String,
    pub(super) action: String,
    pub(super) button: String,
    pub(super) back: String,
    /// Whether a code is asked for as well.
    pub(super) asks_code: bool,
    /// The name of a form that does once what it does.
    pub(super) once: Option<String>,
}

impl ConfirmPage<'_> {
    /// The page; with 422 where something is wrong.
    pub(super) fn answer(&self) -> Response {
        let status = if self.errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        self.frame.page_with(status, self)
    }
}

/// Asks for a proof of who sits there before the question, so that its answer takes effect at once.
pub(super) fn prove_first(visitor: &Visitor) -> Result<(), Stop> {
    let proven = visitor.person.session.is_proven_at(visitor.frame.f.now());
    if proven { Ok(()) } else { Err(Stop::go(&step_up(&visitor.frame.here))) }
}
