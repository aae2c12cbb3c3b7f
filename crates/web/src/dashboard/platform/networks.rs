//! The networks that are watched, and how each of them is doing.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use trousseau_domain::environment::Environment;
use trousseau_service::networks::{Condition, EndpointHealth, NetworkHealth, NetworkState};

use super::{Administering, Area};
use crate::dashboard::format::Shown;
use crate::dashboard::frame::{Frame, MenuLink};
use crate::dashboard::networks::called;
use crate::dashboard::session::Stop;
use crate::dashboard::text::message;
use crate::router::Web;

/// A network as the page shows it.
#[derive(Debug)]
struct Network {
    /// Its name in the settings, which commands know it by.
    name: String,
    title: String,
    chain: String,
    /// Whether payments of TEST are made on it.
    test: bool,
    tokens: String,
    word: String,
    tint: &'static str,
    icon: &'static str,
    /// What to do; nothing where it is well.
    next: Option<String>,
    head: Option<String>,
    head_at: Option<Shown>,
    behind: Option<String>,
    seen: String,
    finalized: Option<String>,
    all_seen: String,
    reorganisations: String,
    watched: String,
    turn: String,
    reported: Option<Shown>,
    failure: Option<String>,
    endpoints: Vec<Endpoint>,
}

/// One of its endpoints.
#[derive(Debug)]
struct Endpoint {
    number: String,
    in_use: bool,
    word: String,
    tint: &'static str,
    icon: &'static str,
    height: Option<String>,
    lag: Option<String>,
    span: String,
    checked: Option<Shown>,
    error: Option<String>,
    failed: Option<Shown>,
}

impl Network {
    fn of(web: &Web, frame: &Frame, state: &NetworkState) -> Self {
        let (t, f) = (frame.t, &frame.f);
        let (word, tint, icon, next) = match state.condition {
            Condition::Well => (message!("network-well"), "ok", "check", None),
            Condition::Stale => (message!("network-stale"), "warn", "clock", Some(t.get("network-stale-next"))),
            Condition::Failing => {
                let next = format!("{} {}", t.get("network-failing-next"), state.settings.name);
                (message!("network-failing"), "bad", "warn", Some(next))
            }
            Condition::Unwatched => {
                (message!("network-unwatched"), "bad", "warn", Some(t.get("network-unwatched-next")))
            }
            Condition::Unseen => (message!("network-unseen"), "", "clock", Some(t.get("network-unseen-next"))),
        };
        let number = |number: u64| f.number(number);
        let counted = |count: usize| f.number(u64::try_from(count).unwrap_or(u64::MAX));
        let unseen = NetworkHealth::default();
        let health = state.report.as_ref().map_or(&unseen, |(health, _)| health);
        let cursor = state.cursor.as_ref().filter(|cursor| cursor.height > 0);
        let behind = health.height.saturating_sub(health.seen);
        let watched = [("close", counted(health.watched.close)), ("late", counted(health.watched.late))];
        let tokens = state.settings.tokens.iter();
        let tokens: Vec<_> = tokens
            .map(|token| format!("{} ({}) {}", token.asset.code(), token.asset.decimals(), token.contract))
            .collect();
        Self {
            name: state.settings.name.clone(),
            title: called(web, &state.settings.chain),
            chain: state.settings.chain.to_string(),
            test: state.settings.environment == Environment::Test,
            tokens: tokens.join(", "),
            word: t.get(word),
            tint,
            icon,
            next,
            head: cursor.map(|cursor| number(health.height.max(cursor.height))),
            head_at: cursor.map(|cursor| f.relative(cursor.ledger_time)),
            behind: (behind > 0).then(|| t.with("network-behind", [("blocks", number(behind))])),
            seen: number(cursor.map_or(0, |cursor| cursor.height)),
            finalized: cursor.and_then(|cursor| cursor.marks.finalized).map(number),
            all_seen: number(cursor.map_or(0, |cursor| cursor.late_height)),
            reorganisations: match cursor.map_or((0, 0), |cursor| (cursor.reorganisations, cursor.deepest)) {
                (0, _) => number(0),
                (count, blocks) => t.with("network-deepest", [("count", number(count)), ("blocks", number(blocks))]),
            },
            watched: if health.watched.whole_token {
                t.with("network-watched-token", watched)
            } else {
                t.with("network-watched-list", watched)
            },
            turn: t.with("network-turn-took", [("time", number(health.turn_ms)), ("calls", number(health.turn_calls))]),
            reported: state.report.as_ref().map(|(_, at)| f.relative(*at)),
            failure: health.failure.clone(),
            endpoints: health
                .endpoints
                .iter()
                .enumerate()
                .map(|(index, endpoint)| Endpoint::of(frame, health, index, endpoint))
                .collect(),
        }
    }
}

impl Endpoint {
    fn of(frame: &Frame, health: &NetworkHealth, index: usize, endpoint: &EndpointHealth) -> Self {
        let (t, f) = (frame.t, &frame.f);
        let (word, tint, icon) = if endpoint.failures > 0 {
            let count = f.number(endpoint.failures.into());
            (t.with("network-endpoint-failing", [("count", count)]), "bad", "warn")
        } else if endpoint.answered_at.is_some() {
            (t.get("network-endpoint-well"), "ok", "check")
        } else {
            (t.get("network-unseen"), "", "clock")
        };
        let lag = health.lag(endpoint).filter(|lag| *lag > 0);
        Self {
            number: f.number(u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1)),
            in_use: health.endpoint == Some(index),
            word,
            tint,
            icon,
            height: endpoint.height.map(|height| f.number(height)),
            lag: lag.map(|lag| t.with("network-endpoint-lag", [("blocks", f.number(lag))])),
            span: f.number(endpoint.span),
            checked: endpoint.checked_at.map(|at| f.relative(at)),
            error: endpoint.last_error.clone(),
            failed: endpoint.failed_at.map(|at| f.relative(at)),
        }
    }
}

#[derive(Debug, Template)]
#[template(path = "platform/networks.html")]
struct NetworksPage<'a> {
    frame: &'a Frame,
    menu: Vec<MenuLink>,
    networks: Vec<Network>,
}

/// How the networks are doing.
pub(super) async fn list(admin: Administering, State(web): State<Web>) -> Result<Response, Stop> {
    let found = web.app.networks().states(&admin.context).await;
    let found = found.map_err(|error| admin.refused(error, Area::Networks.path()))?;
    let frame = &admin.frame;
    let networks = found.iter().map(|state| Network::of(&web, frame, state)).collect();
    Ok(frame.page(&NetworksPage { menu: Area::Networks.menu(frame.t), networks, frame }))
}
