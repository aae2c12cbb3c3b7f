//! How much a key is used, by whom, and the last calls made with it.

use std::collections::HashMap;

use trousseau_domain::ids::KeyId;
use trousseau_domain::keys::KeyKind;
use trousseau_domain::requests::{Outcome, UtcDay};
use trousseau_service::keys::KeyView;
use trousseau_service::{RequestFilter, ServiceError, SightingRow, UsageRow};

use crate::dashboard::format::{Formats, Shown};
use crate::dashboard::session::Entered;
use crate::dashboard::text::Texts;
use crate::router::Web;

/// The days of a week before today.
const WEEK: u32 = 6;
/// Where a line begins and ends, in units of its picture.
const WIDTH: u64 = 88;
const HEIGHT: u64 = 26;
/// How many calls the page of a key shows.
const CALLS: u32 = 20;

/// The use of one key in seven days.
#[derive(Debug, Clone)]
pub(super) struct Week {
    /// All calls, written for the reader.
    pub(super) total: String,
    /// The line of the picture; none where there was nothing.
    pub(super) line: Option<String>,
    pub(super) days: Vec<DayOfUse>,
}

/// One day of it.
#[derive(Debug, Clone)]
pub(super) struct DayOfUse {
    pub(super) day: String,
    pub(super) accepted: String,
    pub(super) refused: String,
}

impl Week {
    fn of(rows: &[UsageRow], f: &Formats) -> Self {
        let today = UtcDay::of(f.now());
        let mut days = Vec::new();
        let mut totals = Vec::new();
        for back in (0..=WEEK).rev() {
            let day = today.minus(back);
            let (mut accepted, mut refused) = (0_u64, 0_u64);
            for row in rows.iter().filter(|row| row.day == day) {
                let counter = match row.outcome {
                    Outcome::Refused => &mut refused,
                    Outcome::Succeeded | Outcome::Failed => &mut accepted,
                };
                *counter = counter.saturating_add(row.requests);
            }
            totals.push(accepted.saturating_add(refused));
            days.push(DayOfUse {
                day: f.day(f.utc_day(day.start())),
                accepted: f.number(accepted),
                refused: f.number(refused),
            });
        }
        let total = totals.iter().fold(0_u64, |sum, day| sum.saturating_add(*day));
        Self { total: f.number(total), line: line(&totals), days }
    }
}

/// The points of a line through these numbers, the largest one near the top.
fn line(totals: &[u64]) -> Option<String> {
    let most = totals.iter().copied().max().filter(|most| *most > 0)?;
    let last = u64::try_from(totals.len()).ok()?.checked_sub(1)?.max(1);
    let points = totals.iter().zip(0_u64..).map(|(total, index)| {
        // Wide enough for any count: the product of two 64-bit numbers.
        let rise = u128::from(*total) * u128::from(HEIGHT - 6) / u128::from(most);
        let rise = u64::try_from(rise).unwrap_or(HEIGHT - 6);
        format!("{},{}", index * WIDTH / last, HEIGHT - 2 - rise)
    });
    Some(points.collect::<Vec<_>>().join(" "))
}

/// The week of each of these keys.
pub(super) async fn weeks<P>(
    web: &Web,
    entered: &Entered<P>,
    keys: &[KeyView],
) -> Result<HashMap<KeyId, Week>, ServiceError> {
    let mut weeks = HashMap::with_capacity(keys.len());
    for view in keys {
        let rows = web.app.requests().usage_of_key(&entered.tenant, view.key.id, WEEK).await?;
        weeks.insert(view.key.id, Week::of(&rows, &entered.frame.f));
    }
    Ok(weeks)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_rises_to_its_largest_number() {
        assert_eq!(line(&[0, 0, 0]), None);
        assert_eq!(line(&[0, 5, 10]).as_deref(), Some("0,24 44,14 88,4"));
        assert_eq!(line(&[u64::MAX]).as_deref(), Some("0,4"));
    }
}
