//! The pages of the documentation.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::header::{ACCEPT, VARY};
use serde::Deserialize;
use serde_json::json;

use super::guide::Page;
use super::prose::Prose;
use super::reader::{ReadBy, Reader, base_url};
use super::reference::{Callers, Group, Operation, Reference};
use super::samples::{Call, Credential, Samples};
use super::try_it::{self, Sent, Trial, TryCaller};
use crate::dashboard::errors;
use crate::dashboard::form::Form;
use crate::dashboard::frame::{Frame, redirect};
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
    /// The business to fill in.
    business: Option<String>,
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
    /// How something to pay is made.
    link_samples: Samples,
}

/// The page of webhooks for whoever reads the repository; the Guide shows the same code.
const WEBHOOKS: &str = include_str!("../../../../../docs/webhooks.md");

impl GuidePage<'_> {
    /// The first code of a language on the page of webhooks.
    fn webhook_code(language: &str) -> &'static str {
        let begun = WEBHOOKS.split_once(&format!("```{language}\n")).map_or("", |(_, rest)| rest);
        begun.split_once("\n```").map_or("", |(code, _)| code)
    }
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
    /// The form that tries it, for those who may.
    trial: Option<Trial>,
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

fn reader(web: &Web, reading: &ReadBy, asked: &Asked) -> Reader {
    let (business, profile) = reading.business(asked.business.as_deref()).unzip();
    let profile = profile.as_deref().or(asked.profile.as_deref());
    Reader::new(web.app.settings(), profile, business, base_url(web))
}

/// The first page of the Guide.
pub(super) async fn start(State(web): State<Web>, reading: ReadBy, Query(asked): Query<Asked>) -> Response {
    guide_page(&web, &reading, &asked, Page::FirstCall)
}

/// Another page of the Guide.
pub(super) async fn guide(
    State(web): State<Web>,
    reading: ReadBy,
    Path(slug): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    match Page::find(&slug) {
        Some(page) => guide_page(&web, &reading, &asked, page),
        None => errors::page(&reading.frame, &Failure::new(Kind::NotFound)),
    }
}

fn guide_page(web: &Web, reading: &ReadBy, asked: &Asked, page: Page) -> Response {
    let frame = &reading.frame;
    let r = reader(web, reading, asked);
    let call = |credential| Call {
        method: "GET".to_owned(),
        path: "/v1/whoami".to_owned(),
        credential,
        body: None,
        answers_json: Some(true),
    };
    let link = Call {
        method: "POST".to_owned(),
        path: "/v1/payment_links".to_owned(),
        credential: Credential::Key,
        body: Some(json!({ "amount": "12.50", "title": "Coffee for a month" })),
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
        link_samples: link.samples(&target),
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
    reading: ReadBy,
    Path(slug): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let Some((group, operation)) = Reference::of(reading.frame.t.language()).find(&slug) else {
        return Ok(errors::page(&reading.frame, &Failure::new(Kind::NotFound)));
    };
    let trial = match &reading.person {
        Some(person) if try_it::offered(operation, person) => {
            Some(Trial::prepare(&web, person, operation, None).await?)
        }
        _ => None,
    };
    Ok(operation_page(&web, &reading, &asked, (group, operation), trial))
}

/// One operation, tried with a TEST key of the reader.
pub(super) async fn try_operation(
    State(web): State<Web>,
    reading: ReadBy,
    caller: TryCaller,
    Path(slug): Path<String>,
    Form(sent): Form<Sent>,
) -> Result<Response, Failure> {
    let frame = &reading.frame;
    let not_found = || errors::page(frame, &Failure::new(Kind::NotFound));
    let Some((group, operation)) = Reference::of(frame.t.language()).find(&slug) else { return Ok(not_found()) };
    let Some(person) = &reading.person else {
        return Ok(redirect(&format!("/sign-in?return=/docs/api/{}", operation.slug)));
    };
    let Some(calls) = web.calls.as_ref().filter(|_| try_it::offered(operation, person)) else { return Ok(not_found()) };
    let outcome = try_it::run(&web, calls, person, operation, &sent, &caller).await?;
    let mut trial = Trial::prepare(&web, person, operation, Some(&sent)).await?;
    trial.outcome = Some(outcome);
    Ok(operation_page(&web, &reading, &Asked::default(), (group, operation), Some(trial)))
}

fn operation_page(
    web: &Web,
    reading: &ReadBy,
    asked: &Asked,
    (group, operation): (&Group, &Operation),
    trial: Option<Trial>,
) -> Response {
    let frame = &reading.frame;
    let samples = operation.samples(&reader(web, reading, asked).target());
    let (all, here) = (&Reference::of(frame.t.language()).groups, operation.slug.as_str());
    frame.page(&OperationPage { frame, all, here, group, operation, samples, trial })
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
