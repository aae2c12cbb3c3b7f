//! Developers > Usage: how many calls there were, by day, by key and by outcome.

use std::collections::BTreeMap;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use trousseau_domain::ids::KeyId;
use trousseau_domain::requests::{Outcome, UtcDay};
use trousseau_service::{Takings, TakingsRow, UsageRow};

use super::chart::{self, Chart, Parts};
use super::csv::{Csv, is_file};
use super::format::Formats;
use super::frame::{Frame, MenuLink, Sub, Tab};
use super::names::{KeyLink, KeyNames};
use super::session::{Entered, ReadLogs, Stop};
use super::takings;
use super::text::{Arg, Texts};
use crate::router::Web;

/// The days that can be looked at; today is the last of them.
const RANGES: [u32; 3] = [7, 30, 90];
/// The days that are looked at unless others are chosen.
const USUAL: u32 = 30;
/// How many keys the picture has; the table has all of them.
const KEYS_IN_PICTURE: usize = 10;

/// The routes of these pages.
pub(crate) fn routes() -> Router<Web> {
    Router::new().route("/b/{business}/{environment}/developers/usage", get(show))
}

/// How many calls ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    succeeded: u64,
    refused: u64,
    failed: u64,
}

impl Count {
    fn add(&mut self, row: &UsageRow) {
        let counter = match row.outcome {
            Outcome::Succeeded => &mut self.succeeded,
            Outcome::Refused => &mut self.refused,
            Outcome::Failed => &mut self.failed,
        };
        *counter = counter.saturating_add(row.requests);
    }

    /// All of them.
    pub(crate) const fn total(self) -> u64 {
        self.succeeded.saturating_add(self.refused).saturating_add(self.failed)
    }

    const fn parts(self) -> Parts {
        [("ok", self.succeeded), ("warn", self.failed), ("bad", self.refused)]
    }
}

/// A line of a table, written for the reader.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) key: Option<KeyLink>,
    pub(crate) succeeded: String,
    pub(crate) failed: String,
    pub(crate) refused: String,
    pub(crate) total: String,
}

impl Line {
    /// A line about what the label says.
    pub(crate) fn of(label: String, count: Count, f: &Formats) -> Self {
        Self {
            label,
            key: None,
            succeeded: f.number(count.succeeded),
            failed: f.number(count.failed),
            refused: f.number(count.refused),
            total: f.number(count.total()),
        }
    }
}

/// The calls of each of so many days, the oldest first, those without any too.
pub(crate) fn by_day(rows: &[UsageRow], days: u32, f: &Formats) -> Vec<(UtcDay, Count)> {
    let today = UtcDay::of(f.now());
    let mut counted: BTreeMap<UtcDay, Count> = (0..days).map(|back| (today.minus(back), Count::default())).collect();
    for row in rows {
        if let Some(count) = counted.get_mut(&row.day) {
            count.add(row);
        }
    }
    counted.into_iter().collect()
}

/// A day as a table names it.
pub(crate) fn day_text(day: UtcDay, f: &Formats) -> String {
    f.day(f.utc_day(day.start()))
}

/// The picture of these days; nothing where there was no call.
pub(crate) fn chart_of_days(days: &[(UtcDay, Count)], f: &Formats, t: Texts) -> Option<Chart> {
    let ends = [days.first()?, days.last()?].map(|(day, _)| day_text(*day, f));
    let most = days.iter().map(|(_, count)| count.total()).max()?;
    let [first, last] = ends;
    let about = t.with(
        "usage-days-about",
        [("first", Arg::from(first)), ("last", last.into()), ("most", f.number(most).into())],
    );
    let parts: Vec<Parts> = days.iter().map(|(_, count)| count.parts()).collect();
    chart::columns("days", t.get("usage-by-day"), about, &parts)
}

/// The range that was asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    days: String,
    format: String,
}

impl Asked {
    fn days(&self) -> u32 {
        self.days.parse().ok().filter(|days| RANGES.contains(days)).unwrap_or(USUAL)
    }
}

/// A picture with its table.
#[derive(Debug)]
struct Part {
    id: &'static str,
    title: String,
    head: String,
    chart: Option<Chart>,
    lines: Vec<Line>,
}

/// How many calls ended in one way.
#[derive(Debug)]
struct Ended {
    label: String,
    tint: &'static str,
    requests: String,
    share: String,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/usage.html")]
struct UsagePage<'a> {
    frame: &'a Frame,
    ranges: Vec<MenuLink>,
    csv: String,
    total: String,
    empty: bool,
    parts: Vec<Part>,
    outcomes: Vec<Ended>,
    outcomes_chart: Option<Chart>,
    takings: Option<takings::Part>,
    takings_csv: String,
}

/// The usage, as a page or as a file.
pub(crate) async fn show(
    entered: Entered<ReadLogs>,
    State(web): State<Web>,
    Query(asked): Query<Asked>,
) -> Result<Response, Stop> {
    let base = format!("/b/{}/{}{}", entered.tenant.business, entered.tenant.environment, Sub::Usage.path());
    let days = asked.days();
    let refused = |error| entered.refused(error, &base);
    let rows = web.app.requests().usage(&entered.tenant, days - 1).await.map_err(refused)?;
    let keys = KeyNames::of(&web, &entered).await.map_err(refused)?;
    if is_file(&asked.format) {
        return Ok(file(&entered, &rows, &keys));
    }
    // Whoever reads logs reads payments: the roles say so.
    let takings = web.app.payments().takings(&entered.tenant, days - 1).await.map_err(refused)?;
    if asked.format.strip_prefix("payments-").is_some_and(is_file) {
        return Ok(takings_file(&entered, &takings, &keys));
    }
    let frame = entered.frame.clone().at(Tab::Developers, Some(Sub::Usage));
    let (f, t) = (&frame.f, frame.t);
    let mut all = Count::default();
    for row in &rows {
        all.add(row);
    }
    let ranges = RANGES.map(|range| MenuLink {
        href: format!("{base}?days={range}"),
        label: t.with("usage-range", [("count", range)]),
        current: range == days,
    });
    let outcomes = [
        (t.get("requests-succeeded"), "ok", all.succeeded),
        (t.get("requests-failed"), "warn", all.failed),
        (t.get("requests-refused"), "bad", all.refused),
    ];
    let pictured = outcomes.clone().map(|(label, tint, requests)| (label, [(tint, requests), ("", 0), ("", 0)]));
    Ok(frame.page(&UsagePage {
        ranges: ranges.to_vec(),
        csv: format!("{base}?days={days}&format=csv"),
        total: f.number(all.total()),
        empty: all.total() == 0 && takings.is_empty(),
        takings: takings::Part::of(&takings, days, &keys, f, t),
        takings_csv: format!("{base}?days={days}&format=payments-csv"),
        parts: vec![part_of_days(&rows, days, f, t), part_of_keys(&rows, &keys, f, t)],
        outcomes_chart: chart::rows("outcomes", t.get("usage-by-outcome"), t.get("usage-outcomes-about"), &pictured),
        outcomes: outcomes
            .into_iter()
            .map(|(label, tint, requests)| Ended {
                label,
                tint,
                requests: f.number(requests),
                share: f.decimal(&chart::percent(requests, all.total())),
            })
            .collect(),
        frame: &frame,
    }))
}

fn part_of_days(rows: &[UsageRow], days: u32, f: &Formats, t: Texts) -> Part {
    let days = by_day(rows, days, f);
    Part {
        id: "by-day",
        title: t.get("usage-by-day"),
        head: t.get("day-utc"),
        chart: chart_of_days(&days, f, t),
        // The newest first: that is what somebody looks for.
        lines: days.iter().rev().map(|(day, count)| Line::of(day_text(*day, f), *count, f)).collect(),
    }
}

fn part_of_keys(rows: &[UsageRow], keys: &KeyNames, f: &Formats, t: Texts) -> Part {
    let mut counted: BTreeMap<Option<KeyId>, Count> = BTreeMap::new();
    for row in rows {
        counted.entry(row.key_id).or_default().add(row);
    }
    let mut counted: Vec<(Option<KeyLink>, Count)> =
        counted.into_iter().map(|(key, count)| (key.and_then(|id| keys.link(id)), count)).collect();
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(count.total()));
    let label = |key: &Option<KeyLink>| match key {
        Some(KeyLink { number, name: Some(name), .. }) => format!("{number} · {name}"),
        Some(KeyLink { number, .. }) => number.clone(),
        None => t.get("usage-unknown-key"),
    };
    let pictured: Vec<(String, Parts)> =
        counted.iter().take(KEYS_IN_PICTURE).map(|(key, count)| (label(key), count.parts())).collect();
    let about = t.with("usage-keys-about", [("count", pictured.len())]);
    Part {
        id: "by-key",
        title: t.get("usage-by-key"),
        head: t.get("column-key"),
        chart: chart::rows("keys", t.get("usage-by-key"), about, &pictured),
        lines: counted
            .into_iter()
            .map(|(key, count)| Line { key: key.clone(), ..Line::of(label(&key), count, f) })
            .collect(),
    }
}

/// Every number by itself, as it is counted: by day of UTC, key and outcome.
fn file(entered: &Entered<ReadLogs>, rows: &[UsageRow], keys: &KeyNames) -> Response {
    let mut csv = Csv::of(&entered.frame, &["day", "key", "outcome", "requests"]);
    for row in rows {
        let key = row.key_id.and_then(|id| keys.number(id)).map(|number| number.to_string());
        csv.row(&[row.day.to_string(), key.unwrap_or_default(), row.outcome.to_string(), row.requests.to_string()]);
    }
    csv.finish(&format!("usage-{}-{}.csv", entered.tenant.business, entered.tenant.environment))
}

/// What came in, as it is counted: by day of UTC, key and asset.
fn takings_file(entered: &Entered<ReadLogs>, rows: &[TakingsRow], keys: &KeyNames) -> Response {
    let mut csv = Csv::of(&entered.frame, &["day", "key", "payments", "amount", "currency"]);
    for row in rows {
        let key = row.key_id.and_then(|id| keys.number(id)).map(|number| number.to_string());
        let Takings { amount, payments } = row.takings;
        let currency = amount.asset().code().to_string();
        csv.row(&[row.day.to_string(), key.unwrap_or_default(), payments.to_string(), amount.to_string(), currency]);
    }
    csv.finish(&format!("payments-by-day-{}-{}.csv", entered.tenant.business, entered.tenant.environment))
}
