//! Payline's result object.

use serde::Serialize;
use trousseau_domain::ids::RequestId;
use utoipa::ToSchema;

use crate::language::Language;
use crate::problem::{Failure, Place};

/// Payline's error body.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaylineError)]
pub(crate) struct ErrorBody {
    result: ResultObject,
}

/// Payline's result.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaylineResult)]
pub(crate) struct ResultObject {
    /// Always `ERROR` in errors.
    #[schema(example = "ERROR")]
    title: &'static str,
    /// The stable code of this kind of problem.
    #[schema(example = "key_limit_reached")]
    code: &'static str,
    /// What went wrong, and the id of this request.
    detail: String,
}

pub(super) fn body(failure: &Failure, language: Language, request: RequestId) -> Vec<u8> {
    let kind = failure.kind();
    let mut detail = failure.sentence(language);
    for error in failure.errors() {
        let (Place::Body(place) | Place::Parameter(place)) = &error.place;
        detail.extend([" ", place.trim_start_matches('/'), ": ", &error.detail, "."]);
    }
    detail.extend([" (", &request.to_string(), ")"]);
    super::json(&ErrorBody { result: ResultObject { title: "ERROR", code: kind.code(), detail } })
}
