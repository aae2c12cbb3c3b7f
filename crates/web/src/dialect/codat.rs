//! Codat's error message: one shape for every 4xx and 5xx.

use http::StatusCode;
use serde::Serialize;
use trousseau_domain::ids::RequestId;
use utoipa::ToSchema;

use crate::language::Language;
use crate::problem::{Failure, Place};

/// Codat's error message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CodatErrorMessage)]
pub(crate) struct ErrorMessage<'a> {
    /// The HTTP status.
    #[schema(example = 409)]
    status_code: u16,
    /// Which service answered.
    #[schema(example = "PublicApi")]
    service: &'static str,
    /// What went wrong.
    error: String,
    /// The id of this request, to quote to support.
    #[schema(example = "4bf92f3577b34da6a3ce929d0e0e4736")]
    correlation_id: String,
    /// What is wrong with the request, member by member.
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<Validation<'a>>,
    /// `True` where the same request may succeed later.
    #[schema(example = "Unknown")]
    can_be_retried: &'static str,
    /// Nothing finer exists.
    #[schema(example = 0)]
    detailed_error_code: u32,
}

/// What is wrong with the request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CodatValidation)]
pub(crate) struct Validation<'a> {
    errors: Vec<ValidationItem<'a>>,
    warnings: Vec<ValidationItem<'a>>,
}

/// One thing that is wrong.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CodatValidationItem)]
pub(crate) struct ValidationItem<'a> {
    /// Where.
    item_id: &'a str,
    /// What.
    message: &'a str,
    /// Which check found it.
    validator_name: &'static str,
}

pub(super) fn body(failure: &Failure, status: StatusCode, language: Language, request: RequestId) -> Vec<u8> {
    let kind = failure.kind();
    let errors: Vec<_> = failure
        .errors()
        .iter()
        .map(|error| {
            let (Place::Body(place) | Place::Parameter(place)) = &error.place;
            ValidationItem {
                item_id: place.trim_start_matches('/'),
                message: &error.detail,
                validator_name: kind.code(),
            }
        })
        .collect();
    let transient = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    super::json(&ErrorMessage {
        status_code: status.as_u16(),
        service: "PublicApi",
        error: failure.sentence(language),
        correlation_id: request.to_string(),
        validation: (!errors.is_empty()).then(|| Validation { errors, warnings: Vec::new() }),
        can_be_retried: if transient { "True" } else { "Unknown" },
        detailed_error_code: 0,
    })
}
