//! How much a key is used, by whom, and the last calls made with it.

use std::collections::HashMap;

use trousseau_domain::ids::KeyId;
use trousseau_domain::keys::KeyKind;
use trousseau_domain::requests::Outcome;
use trousseau_service::keys::KeyView;
use trousseau_service::{RequestFilter, ServiceError, SightingRow, UsageRow};

use crate::dashboard::chart::{self, Chart};
use crate::dashboard::format::{Formats, Shown};
use crate::dashboard::session::Entered;
use crate::dashboard::text::Texts;
use crate::dashboard::usage::{Line, by_day, chart_of_days, day_text};
use crate::router::Web;

/// The days of a week.
const WEEK: u32 = 7;
/// How many calls the page of a key shows.
const CALLS: u32 = 20;

/// The use of one key in seven days.
#[derive(Debug, Clone)]
pub(super) struct Week {
    /// All calls, written for the reader.
    pub(super) total: String,
    /// The line of the small picture; none where there was nothing.
    pub(super) line: Option<String>,
    pub(super) chart: Option<Chart>,
    pub(super) days: Vec<Line>,
}

impl Week {
    fn of(rows: &[UsageRow], f: &Formats, t: Texts) -> Self {
        let days = by_day(rows, WEEK, f);
        let totals: Vec<u64> = days.iter().map(|(_, count)| count.total()).collect();
        let total = totals.iter().fold(0_u64, |sum, day| sum.saturating_add(*day));
        Self {
            total: f.number(total),
            line: chart::line(&totals),
            chart: chart_of_days(&days, f, t),
            days: days.iter().map(|(day, count)| Line::of(day_text(*day, f), *count, f)).collect(),
        }
    }
}

/// The week of each of these keys.
pub(super) async fn weeks<P>(
    web: &Web,
    entered: &Entered<P>,
    keys: &[KeyView],
) -> Result<HashMap<KeyId, Week>, ServiceError> {
    let mut rows: HashMap<KeyId, Vec<UsageRow>> = HashMap::new();
    // One query for all of them: a business has few keys at a time, and each of them few rows a week.
    for row in web.app.requests().usage(&entered.tenant, WEEK - 1).await? {
        if let Some(key) = row.key_id {
            rows.entry(key).or_default().push(row);
        }
    }
    let frame = &entered.frame;
    let week = |id: KeyId| Week::of(rows.get(&id).map_or(&[], Vec::as_slice), &frame.f, frame.t);
    Ok(keys.iter().map(|view| (view.key.id, week(view.key.id))).collect())
}

/// Somebody who was seen with a key.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// From where: an address, or the origin of a page.
    pub(super) place: String,
    pub(super) client: String,
    pub(super) requests: String,
    pub(super) first: Shown,
    pub(super) last: Shown,
    /// Whether it was an earlier value of the key.
    pub(super) old: bool,
}

/// Those who were seen with a key, the latest first.
pub(super) fn seen(rows: &[SightingRow], view: &KeyView, f: &Formats, t: Texts) -> Vec<Seen> {
    let unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| t.get("not-known"));
    rows.iter()
        .map(|row| Seen {
            place: match view.key.kind {
                KeyKind::Secret => unknown(&row.address),
                KeyKind::Checkout => unknown(&row.origin),
            },
            client: unknown(&row.client),
            requests: f.number(row.requests),
            first: f.relative(row.first_seen_at),
            last: f.relative(row.last_seen_at),
            old: row.version < view.key.current_version,
        })
        .collect()
}

/// A call made with a key.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) at: Shown,
    pub(super) what: String,
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) good: bool,
    pub(super) address: String,
    pub(super) reference: String,
}

/// The last calls made with a key.
pub(super) async fn calls<P>(web: &Web, entered: &Entered<P>, key: KeyId) -> Result<Vec<Call>, ServiceError> {
    let (f, t) = (&entered.frame.f, entered.frame.t);
    let filter = RequestFilter { key: Some(key), ..RequestFilter::default() };
    let page = web.app.requests().list(&entered.tenant, &filter, None, CALLS).await?;
    Ok(page
        .data
        .into_iter()
        .map(|row| Call {
            at: f.relative(row.at),
            what: format!("{} {}", row.method, row.path),
            status: row.status,
            code: row.code.unwrap_or_default(),
            good: row.outcome == Outcome::Succeeded,
            address: row.address.unwrap_or_else(|| t.get("not-known")),
            reference: row.reference.to_string(),
        })
        .collect())
}
