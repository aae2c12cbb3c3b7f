//! The pages behind the `type` of problems, so that a reference in an error leads somewhere.

use std::future::{Ready, ready};

use axum::extract::Path;
use http::header::{CONTENT_LANGUAGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};

use crate::language::Language;
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
        (status = 200, description = "The explanation", content_type = "text/plain", body = String),
        (status = 404, description = "There is no such problem"),
    )
)]
#[expect(clippy::needless_pass_by_value, reason = "extractors give values")]
pub(crate) fn problem(Path(slug): Path<String>, headers: HeaderMap) -> Ready<Result<Page, Failure>> {
    let language = Language::of(&headers);
    ready(Kind::find(&slug).map(|kind| page(kind, language)).ok_or_else(|| Failure::new(Kind::NotFound)))
}

/// A short text in one of the two languages.
type Page = ([(HeaderName, &'static str); 2], String);

fn page(kind: Kind, language: Language) -> Page {
    let text = format!(
        "{}\n\n{}\n\ncode: {}\nstatus: {}\n",
        kind.title(language),
        kind.advice(language),
        kind.code(),
        kind.status().as_u16()
    );
    ([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CONTENT_LANGUAGE, language.tag())], text)
}
