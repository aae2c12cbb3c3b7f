//! Our own errors: problem details (RFC 9457).

use http::StatusCode;
use serde::Serialize;
use trousseau_domain::ids::RequestId;
use utoipa::ToSchema;

use crate::language::Language;
use crate::problem::{Failure, Place};

/// What went wrong (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// A stable reference to the page that explains this kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "/problems/scope-missing")]
    type_reference: String,
    /// What went wrong, in a few words, in the language that `Accept-Language` asks for.
    #[schema(example = "The key lacks a scope")]
    title: &'a str,
    /// The HTTP status.
    #[schema(example = 403, minimum = 400, maximum = 599)]
    status: u16,
    /// The stable code of this kind of problem.
    #[schema(example = "scope_missing")]
    code: &'a str,
    /// What to do about it.
    detail: &'a str,
    /// The id of this request, to quote to support.
    #[schema(example = "4bf92f3577b34da6a3ce929d0e0e4736", min_length = 32, max_length = 32)]
    request_id: String,
    /// The scope that the key lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "keys:write")]
    scope: Option<&'a str>,
    /// What is wrong with the request, place by place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ProblemError<'a>>,
}

/// One thing that is wrong with the request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemError<'a> {
    /// The member of the body, as a JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/valid_until")]
    pointer: Option<&'a str>,
    /// The parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    /// What is wrong there.
    detail: &'a str,
}

pub(super) fn body(failure: &Failure, status: StatusCode, language: Language, request: RequestId) -> Vec<u8> {
    let kind = failure.kind();
    super::json(&ProblemBody {
        type_reference: kind.type_reference(),
        title: kind.title(language),
        status: status.as_u16(),
        code: kind.code(),
        detail: failure.detail(language),
        request_id: request.to_string(),
        scope: failure.scope(),
        errors: failure
            .errors()
            .iter()
            .map(|error| {
                let (pointer, parameter) = match &error.place {
                    Place::Body(pointer) => (Some(pointer.as_str()), None),
                    Place::Parameter(name) => (None, Some(name.as_str())),
                };
                ProblemError { pointer, parameter, detail: &error.detail }
            })
            .collect(),
    })
}
