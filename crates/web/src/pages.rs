//! The pages behind the `type` of problems, so that a reference in an error leads somewhere.

use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_LANGUAGE, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderName};

use crate::dashboard;
use crate::dashboard::frame::Frame;
use crate::dialect::ProblemBody;
use crate::language::Language;
use crate::path::Path;
use crate::problem::{Failure, Kind};

/// What a kind of problem means
///
/// The page behind the `type` of a problem.
#[utoipa::path(
    get,
    path = "/problems/{slug}",
    tag = "Problems",
    params(("slug" = String, Path, description = "The last part of a problem's `type`", example = "scope-missing")),
    responses(
        (status = 200, description = "The explanation", content((String = "text/plain"), (String = "text/html"))),
        (status = 404, description = "There is no such problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn problem(Path(slug): Path<String>, frame: Frame, headers: HeaderMap) -> Result<Response, Failure> {
    let kind = Kind::find(&slug).ok_or_else(|| Failure::new(Kind::NotFound))?;
    let html = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|text| text.contains("text/html"));
    if html {
        return Ok(dashboard::docs::problem(&frame, kind));
    }
    Ok(plain(kind, Language::of(&headers)).into_response())
}

/// A short text in one of the two languages.
type Plain = ([(HeaderName, &'static str); 3], String);

fn plain(kind: Kind, language: Language) -> Plain {
    let text = format!(
        "{}\n\n{}\n\ncode: {}\nstatus: {}\n",
        kind.title(language),
        kind.advice(language),
        kind.code(),
        kind.status().as_u16()
    );
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CONTENT_LANGUAGE, language.tag()),
        // The same address is a page for people.
        (VARY, "Accept"),
    ];
    (headers, text)
}
