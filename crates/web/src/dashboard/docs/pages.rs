//! The pages of the documentation.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::HeaderMap;
use http::header::{ACCEPT, VARY};
use serde::Deserialize;

use super::guide::Page;
use super::prose::Prose;
use super::reader::{Reader, base_url};
use super::reference::{Callers, Group, Operation, Reference};
use super::samples::{Call, Credential, Samples};
use crate::dashboard::errors;
use crate::dashboard::frame::Frame;
use crate::dashboard::text::{message, typeset};
use crate::language::Language;
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// What a reader may ask for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// The profile to read about.
    profile: Option<String>,
    /// What is searched for in the reference.
    q: Option<String>,
}

/// A page of the Guide.
#[derive(Debug, Template)]
#[template(path = "docs/guide.html")]
struct GuidePage<'a> {
    frame: &'a Frame,
    r: &'a Reader,
    page: Page,
    query: String,
    samples: Samples,
    /// The same call with the ready-made header.
    header_samples: Samples,
}

/// The contents of the reference, or what a search found.
#[derive(Debug, Template)]
#[template(path = "docs/contents.html")]
struct ContentsPage<'a> {
    frame: &'a Frame,
    /// All groups, for the menu.
    all: &'a [Group],
    /// The operation of the page: none.
    here: &'a str,
    query: String,
    count: u32,
    groups: Vec<(&'a Group, Vec<&'a Operation>)>,
}

/// An operation of the reference.
#[derive(Debug, Template)]
#[template(path = "docs/operation.html")]
struct OperationPage<'a> {
    frame: &'a Frame,
    all: &'a [Group],
    here: &'a str,
    group: &'a Group,
    operation: &'a Operation,
    samples: Samples,
}

/// What a kind of problem means.
#[derive(Debug, Template)]
#[template(path = "docs/problem.html")]
struct ProblemPage<'a> {
    frame: &'a Frame,
    kind: Kind,
    title: String,
    advice: Prose,
    /// What sending the same request once more would do.
    again: Prose,
}

fn reader(web: &Web, headers: &HeaderMap, asked: &Asked) -> Reader {
    Reader::new(web.app.settings(), asked.profile.as_deref(), None, base_url(headers, web.secure_cookies))
}

/// The first page of the Guide.
pub(super) async fn start(
    State(web): State<Web>,
    frame: Frame,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    guide_page(&web, &frame, &headers, &asked, Page::FirstCall)
}

/// Another page of the Guide.
pub(super) async fn guide(
    State(web): State<Web>,
    frame: Frame,
    headers: HeaderMap,
    Path(slug): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    match Page::find(&slug) {
        Some(page) => guide_page(&web, &frame, &headers, &asked, page),
        None => errors::page(&frame, &Failure::new(Kind::NotFound)),
    }
}

fn guide_page(web: &Web, frame: &Frame, headers: &HeaderMap, asked: &Asked, page: Page) -> Response {
    let r = reader(web, headers, asked);
    let call = |credential| Call {
        method: "GET".to_owned(),
        path: "/v1/whoami".to_owned(),
        credential,
        body: None,
        answers_json: Some(true),
    };
    let target = r.target();
    let template = GuidePage {
        frame,
        r: &r,
        page,
        query: asked.profile.as_ref().map(|_| format!("?profile={}", r.profile_name)).unwrap_or_default(),
        samples: call(Credential::Key).samples(&target),
        header_samples: call(Credential::Header).samples(&target),
    };
    frame.page(&template)
}

/// The contents of the reference.
pub(super) async fn contents(frame: Frame, Query(asked): Query<Asked>) -> Response {
    let query: String = asked.q.unwrap_or_default().chars().take(100).collect();
    let reference = Reference::of(frame.t.language());
    let groups = reference.search(&query);
    let count = groups.iter().map(|(_, operations)| operations.len()).sum::<usize>();
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    frame.page(&ContentsPage { frame: &frame, all: &reference.groups, here: "", query, count, groups })
}

/// One operation.
pub(super) async fn operation(
    State(web): State<Web>,
    frame: Frame,
    headers: HeaderMap,
    Path(slug): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let reference = Reference::of(frame.t.language());
    let Some((group, operation)) = reference.find(&slug) else {
        return errors::page(&frame, &Failure::new(Kind::NotFound));
    };
    let r = reader(&web, &headers, &asked);
    let samples = operation.samples(&r.target());
    let (all, here) = (&reference.groups, operation.slug.as_str());
    frame.page(&OperationPage { frame: &frame, all, here, group, operation, samples })
}

/// The page behind the `type` of a problem, for a person.
pub(crate) fn problem(frame: &Frame, kind: Kind) -> Response {
    let t = frame.t;
    let in_language = |text: &'static str| match t.language() {
        Language::English => text.to_owned(),
        Language::French => typeset(text),
    };
    let again = t.get(match (kind, kind.status().as_u16()) {
        (Kind::Unauthorized, _) => message!("docs-again-unauthorized"),
        (Kind::Internal, _) => message!("docs-again-internal"),
        (Kind::Unavailable, _) => message!("docs-again-unavailable"),
        (_, 429) => message!("docs-again-later"),
        (_, 409) => message!("docs-again-state"),
        _ => message!("docs-again-change"),
    });
    let template = ProblemPage {
        frame,
        kind,
        title: in_language(kind.title(t.language())),
        advice: Prose::new(in_language(kind.advice(t.language()))),
        again: Prose::new(again),
    };
    let mut response = frame.page(&template);
    // The same address answers programs with plain text.
    response.headers_mut().insert(VARY, ACCEPT.into());
    response
}
