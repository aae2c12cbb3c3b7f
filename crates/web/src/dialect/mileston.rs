//! Mileston's errors: a message, a reason phrase and the status, in this order and nothing else.

use std::fmt::Write as _;

use http::StatusCode;
use serde::Serialize;
use trousseau_domain::ids::RequestId;

use crate::language::Language;
use crate::problem::{Failure, Place};

/// The clients compare whole texts of errors: the order of the members is part of the contract.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody {
    message: String,
    error: &'static str,
    status_code: u16,
}

pub(super) fn body(failure: &Failure, status: StatusCode, language: Language, request: RequestId) -> Vec<u8> {
    let mut message = failure.sentence(language);
    for error in failure.errors() {
        let (Place::Body(place) | Place::Parameter(place)) = &error.place;
        let (place, detail) = (place.trim_start_matches('/'), error.detail.trim_end_matches('.'));
        let _ = write!(message, " {place} {detail}.");
    }
    // Their callers see nothing but the message, so it is what a refusal can be found by.
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        let _ = write!(message, " (reference {request})");
    }
    let error = status.canonical_reason().unwrap_or_default();
    super::json(&ErrorBody { message, error, status_code: status.as_u16() })
}
