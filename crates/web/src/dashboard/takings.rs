//! What came in for good: summed by asset, by day and by key.

use std::collections::BTreeMap;

use trousseau_domain::ids::KeyId;
use trousseau_domain::money::Money;
use trousseau_domain::requests::UtcDay;
use trousseau_service::{Takings, TakingsRow};

use super::chart::{self, Chart, Parts};
use super::format::Formats;
use super::frame::Frame;
use super::names::{KeyLink, KeyNames};
use super::text::{Arg, Texts};
use super::usage::day_text;

/// The sums, asset by asset.
pub(crate) fn summed(takings: impl Iterator<Item = Takings>) -> Vec<Takings> {
    let mut sums: Vec<Takings> = Vec::new();
    for one in takings {
        match sums.iter_mut().find(|sum| sum.amount.asset() == one.amount.asset()) {
            Some(sum) => {
                // More than there can be of an asset stays at the most that can be shown.
                let most = Money::from_units(i64::MAX, one.amount.asset());
                sum.amount = sum.amount.checked_add(one.amount).or(most).unwrap_or(sum.amount);
                sum.payments = sum.payments.saturating_add(one.payments);
            }
            None => sums.push(one),
        }
    }
    sums
}

/// An amount with its currency, and by how many payments it came.
pub(crate) fn told(takings: Takings, frame: &Frame) -> (String, String) {
    (with_currency(takings.amount, &frame.f), frame.t.with("takings-payments", [("count", takings.payments)]))
}

fn with_currency(money: Money, f: &Formats) -> String {
    format!("{} {}", f.money(money), money.asset().code())
}

/// A line of a table.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) key: Option<KeyLink>,
    pub(crate) payments: String,
    pub(crate) amount: String,
}

impl Line {
    fn of(label: String, key: Option<KeyLink>, sums: &[Takings], f: &Formats) -> Self {
        let payments = sums.iter().fold(0u64, |all, sum| all.saturating_add(sum.payments));
        let amounts: Vec<_> = sums.iter().map(|sum| with_currency(sum.amount, f)).collect();
        Self { label, key, payments: f.number(payments), amount: amounts.join(", ") }
    }
}

/// What came in, as a picture and two tables.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) chart: Option<Chart>,
    pub(crate) days: Vec<Line>,
    pub(crate) keys: Vec<Line>,
}

impl Part {
    /// Nothing where nothing came in.
    pub(crate) fn of(rows: &[TakingsRow], days: u32, keys: &KeyNames, f: &Formats, t: Texts) -> Option<Self> {
        if rows.is_empty() {
            return None;
        }
        let today = UtcDay::of(f.now());
        let mut by_day: BTreeMap<UtcDay, Vec<Takings>> =
            (0..days).map(|back| (today.minus(back), Vec::new())).collect();
        let mut by_key: BTreeMap<Option<KeyId>, Vec<Takings>> = BTreeMap::new();
        for row in rows {
            by_day.entry(row.day).or_default().push(row.takings);
            by_key.entry(row.key_id).or_default().push(row.takings);
        }
        let count = |takings: &[Takings]| takings.iter().fold(0u64, |all, one| all.saturating_add(one.payments));
        let pictured: Vec<Parts> = by_day.values().map(|takings| [("ok", count(takings)), ("", 0), ("", 0)]).collect();
        let ends = [by_day.keys().next()?, by_day.keys().next_back()?].map(|day| day_text(*day, f));
        let most = by_day.values().map(|takings| count(takings)).max()?;
        let [first, last] = ends;
        let about = t.with(
            "takings-about",
            [("first", Arg::from(first)), ("last", last.into()), ("most", f.number(most).into())],
        );
        let sums = |takings: Vec<Takings>| summed(takings.into_iter());
        let days = by_day.into_iter().rev().filter(|(_, takings)| !takings.is_empty());
        let days = days.map(|(day, takings)| Line::of(day_text(day, f), None, &sums(takings), f)).collect();
        let mut keys: Vec<_> = by_key
            .into_iter()
            .map(|(key, takings)| (key.map(|id| keys.link(id)), count(&takings), sums(takings)))
            .collect();
        keys.sort_by_key(|(_, count, _)| std::cmp::Reverse(*count));
        let keys = keys
            .into_iter()
            .map(|(key, _, sums)| {
                let label = match &key {
                    None => t.get("takings-hosted"),
                    Some(None) => t.get("usage-unknown-key"),
                    Some(Some(link)) => link.number.clone(),
                };
                Line::of(label, key.flatten(), &sums, f)
            })
            .collect();
        Some(Self { chart: chart::columns("takings", t.get("takings-by-day"), about, &pictured), days, keys })
    }
}
