//! This node and its jobs, and the configuration in force.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use trousseau_domain::reconciliation::Outcome;
use trousseau_service::jobs::JobState;
use trousseau_service::reconciliations::Compared;

use super::{Administering, Area};
use crate::dashboard::format::Shown;
use crate::dashboard::frame::{Frame, MenuLink};
use crate::dashboard::networks::called;
use crate::dashboard::payments::{Badge, outcome_badge};
use crate::dashboard::session::Stop;
use crate::dashboard::text::{Texts, message};
use crate::router::Web;

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// This file.
    File(String),
    /// This variable.
    Variable(String),
    /// This flag.
    Flag(String),
}

/// A setting as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value; none where it is a secret that is set.
    pub value: Option<String>,
    /// Who set it.
    pub origin: Origin,
}

/// Every setting, as the executable read them.
#[derive(Debug, Clone, Default)]
pub struct Configuration(Arc<[Setting]>);

impl FromIterator<Setting> for Configuration {
    fn from_iter<I: IntoIterator<Item = Setting>>(settings: I) -> Self {
        Self(settings.into_iter().collect())
    }
}

/// A job as the page shows it.
#[derive(Debug)]
struct Job {
    name: String,
    word: String,
    tint: &'static str,
    icon: &'static str,
    ran: Option<Shown>,
    failed: Option<Shown>,
}

impl Job {
    fn of(frame: &Frame, state: &JobState) -> Self {
        let (word, tint, icon) = match (state.failing, state.last_ok) {
            (true, _) => (message!("job-failing"), "bad", "warn"),
            (false, Some(_)) => (message!("job-well"), "ok", "check"),
            (false, None) => (message!("job-waiting"), "", "clock"),
        };
        Self {
            name: job_name(state.job, frame.t),
            word: frame.t.get(word),
            tint,
            icon,
            ran: state.last_ok.map(|at| frame.f.relative(at)),
            failed: state.last_failed.map(|at| frame.f.relative(at)),
        }
    }
}

/// What a job does, in words; one that a later version added goes by its own name.
fn job_name(job: &str, t: Texts) -> String {
    match job {
        "announcements" => t.get("job-announcements"),
        "recorder" => t.get("job-recorder"),
        "dispatcher" => t.get("job-dispatcher"),
        "change watcher" => t.get("job-changes"),
        "memory of keys" => t.get("job-memory"),
        "pruning" => t.get("job-pruning"),
        "mail" => t.get("job-mail"),
        "payments" => t.get("job-payments"),
        "reconciliation" => t.get("job-reconciliation"),
        "reminders" => t.get("job-reminders"),
        "networks" => t.get("job-networks"),
        "webhooks" => t.get("job-webhooks"),
        other => other.to_owned(),
    }
}

/// The latest comparison of a network's balances with what was counted.
#[derive(Debug)]
struct Sums {
    network: String,
    badge: Badge,
    at: Shown,
    block: Option<String>,
    addresses: String,
    differences: String,
    failure: Option<String>,
}

impl Sums {
    fn of(web: &Web, frame: &Frame, compared: &Compared) -> Self {
        let run = &compared.run;
        let differs = run.outcome == Outcome::Differs;
        Self {
            network: called(web, &compared.network),
            badge: outcome_badge(run.outcome, differs, frame.t),
            at: frame.f.relative(run.finished_at),
            block: run.block.map(|block| frame.f.number(block)),
            addresses: frame.f.number(run.addresses),
            differences: frame.f.number(run.differences),
            failure: compared.incomplete.as_ref().unwrap_or(run).failure.clone(),
        }
    }
}

#[derive(Debug, Template)]
#[template(path = "platform/node.html")]
struct NodePage<'a> {
    frame: &'a Frame,
    menu: Vec<MenuLink>,
    ready: bool,
    engine: &'static str,
    started: Shown,
    version: &'static str,
    events: String,
    mails: String,
    notes: String,
    dropped: String,
    dropped_last: Option<Shown>,
    given_up: String,
    given_up_last: Option<Shown>,
    folder: Option<String>,
    jobs: Vec<Job>,
    sums: Vec<Sums>,
}

/// How this node is doing.
pub(super) async fn health(admin: Administering, State(web): State<Web>) -> Result<Response, Stop> {
    let found = web.app.platform().health(&admin.context).await;
    let found = found.map_err(|error| admin.refused(error, Area::Node.path()))?;
    let compared = web.app.reconciliations().latest(None, 0).await;
    let compared = compared.map_err(|error| admin.refused(error, Area::Node.path()))?;
    let frame = &admin.frame;
    let f = &frame.f;
    Ok(frame.page(&NodePage {
        menu: Area::Node.menu(frame.t),
        ready: found.ready,
        engine: match found.engine {
            trousseau_service::Engine::Sqlite => "SQLite",
            trousseau_service::Engine::Postgres => "PostgreSQL",
        },
        started: f.moment(found.started_at),
        version: env!("CARGO_PKG_VERSION"),
        events: f.number(found.events_waiting),
        mails: f.number(found.mails_waiting),
        notes: f.number(u64::try_from(found.notes_waiting).unwrap_or(u64::MAX)),
        dropped: f.number(found.dropped.notes),
        dropped_last: found.dropped.last_at.map(|at| f.relative(at)),
        given_up: f.number(found.mails_given_up.mails),
        given_up_last: found.mails_given_up.last_at.map(|at| f.relative(at)),
        folder: found.mail_folder.map(|path| path.display().to_string()),
        jobs: found.jobs.iter().map(|job| Job::of(frame, job)).collect(),
        sums: compared.iter().map(|compared| Sums::of(&web, frame, compared)).collect(),
        frame,
    }))
}

/// A setting as the page shows it.
#[derive(Debug)]
struct Line {
    name: String,
    value: Option<String>,
    origin: String,
    place: Option<String>,
}

#[derive(Debug, Template)]
#[template(path = "platform/configuration.html")]
struct ConfigurationPage<'a> {
    frame: &'a Frame,
    menu: Vec<MenuLink>,
    lines: Vec<Line>,
}

/// The configuration in force: what this process started with.
pub(super) async fn configuration(admin: Administering, State(web): State<Web>) -> Result<Response, Stop> {
    // The settings are no rows, so that nobody else looks whether the reader is still an administrator.
    let allowed = web.app.platform().admit(&admin.context).await;
    allowed.map_err(|error| admin.refused(error, Area::Configuration.path()))?;
    let (frame, t) = (&admin.frame, admin.frame.t);
    let line = |setting: &Setting| {
        let (origin, place) = match &setting.origin {
            Origin::Default => (message!("origin-default"), None),
            Origin::File(place) => (message!("origin-file"), Some(place)),
            Origin::Variable(place) => (message!("origin-variable"), Some(place)),
            Origin::Flag(place) => (message!("origin-flag"), Some(place)),
        };
        Line { name: setting.name.clone(), value: setting.value.clone(), origin: t.get(origin), place: place.cloned() }
    };
    let lines = web.configuration.0.iter().map(line).collect();
    Ok(frame.page(&ConfigurationPage { frame, menu: Area::Configuration.menu(t), lines }))
}
