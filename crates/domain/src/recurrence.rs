//! When the periods of a recurring payment fall due.

use serde::{Deserialize, Serialize};

use crate::time::{InvalidTime, TimeZone, Timestamp};

/// The most days between two periods.
const MAX_DAYS: u16 = 3_660;
/// The most months between two periods.
const MAX_MONTHS: u16 = 120;

/// How far two periods lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Every", into = "Every")]
pub struct Interval(Every);

/// An interval as it is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "unit", content = "count", rename_all = "snake_case")]
pub enum Every {
    /// So many calendar days.
    Days(u16),
    /// So many calendar months.
    Months(u16),
}

/// No periods, or periods too far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an interval is 1 to 3660 days or 1 to 120 months")]
pub struct InvalidInterval;

impl Interval {
    /// So many calendar days.
    ///
    /// # Errors
    /// [`InvalidInterval`] outside 1 to 3660.
    pub const fn days(count: u16) -> Result<Self, InvalidInterval> {
        if count == 0 || count > MAX_DAYS { Err(InvalidInterval) } else { Ok(Self(Every::Days(count))) }
    }

    /// So many calendar months.
    ///
    /// # Errors
    /// [`InvalidInterval`] outside 1 to 120.
    pub const fn months(count: u16) -> Result<Self, InvalidInterval> {
        if count == 0 || count > MAX_MONTHS { Err(InvalidInterval) } else { Ok(Self(Every::Months(count))) }
    }
}

impl Interval {
    /// The unit, and how many of it.
    pub const fn every(self) -> Every {
        self.0
    }

    /// The days, for whoever knows no months: a month is 30 of them.
    pub const fn in_days(self) -> u16 {
        match self.0 {
            Every::Days(count) => count,
            Every::Months(count) => count.saturating_mul(30),
        }
    }
}

impl TryFrom<Every> for Interval {
    type Error = InvalidInterval;

    fn try_from(written: Every) -> Result<Self, InvalidInterval> {
        match written {
            Every::Days(count) => Self::days(count),
            Every::Months(count) => Self::months(count),
        }
    }
}

impl From<Interval> for Every {
    fn from(interval: Interval) -> Self {
        interval.0
    }
}

/// The due dates of a recurring payment: the anchor, and so many intervals after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurrence {
    anchor: Timestamp,
    interval: Interval,
    zone: TimeZone,
}

impl Recurrence {
    /// Due dates from `anchor` on, at its local time in `zone`.
    pub const fn new(anchor: Timestamp, interval: Interval, zone: TimeZone) -> Self {
        Self { anchor, interval, zone }
    }

    /// The instant at which the period `index` falls due; 0 is the anchor itself.
    ///
    /// Each one is counted from the anchor and none from the one before, so that a short month leaves no trace: after
    /// 31 January come 28 February and 31 March. A local time that a clock change skips becomes the first one after;
    /// of one that occurs twice it is the earlier.
    ///
    /// # Errors
    /// [`InvalidTime::Range`] after the year 9998.
    pub fn due(&self, index: u32) -> Result<Timestamp, InvalidTime> {
        if index == 0 {
            return Ok(self.anchor);
        }
        let local = self.zone.local_of(self.anchor);
        let later = match self.interval.0 {
            Every::Days(days) => local.plus_days(u64::from(days) * u64::from(index)),
            Every::Months(months) => local.plus_months(u64::from(months) * u64::from(index)),
        }?;
        self.zone.first_at_or_after(later)
    }

    /// The latest period that is due at `now`; none before the anchor.
    pub fn latest_due_at(&self, now: Timestamp) -> Option<u32> {
        // Due dates only grow, so the answer is where they stop being past.
        let due = |index| self.due(index).is_ok_and(|due| due <= now);
        if !due(0) {
            return None;
        }
        let mut known_due = 0u32;
        let mut known_later = 1u32;
        while due(known_later) {
            known_due = known_later;
            known_later = known_later.saturating_mul(2);
        }
        while known_later - known_due > 1 {
            let middle = known_due + (known_later - known_due) / 2;
            if due(middle) { known_due = middle } else { known_later = middle }
        }
        Some(known_due)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn zone(name: &str) -> TimeZone {
        name.parse().expect("a zone")
    }

    fn months(anchor: &str, count: u16, in_zone: &str) -> Recurrence {
        Recurrence::new(at(anchor), Interval::months(count).expect("good"), zone(in_zone))
    }

    #[test]
    fn month_ends_are_clamped_and_do_not_drift() {
        let monthly = months("2027-01-31T09:00:00Z", 1, "UTC");
        let days: Vec<String> =
            (0..5).map(|index| zone("UTC").day_of(monthly.due(index).expect("in range")).to_string()).collect();
        assert_eq!(days, ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]);
        let leap = months("2028-02-29T09:00:00Z", 12, "UTC");
        assert_eq!(leap.due(1), Ok(at("2029-02-28T09:00:00Z")));
        assert_eq!(leap.due(4), Ok(at("2032-02-29T09:00:00Z")));
    }

    #[test]
    fn the_local_time_stays_over_clock_changes() {
        let daily = Recurrence::new(at("2026-03-27T08:00:00Z"), Interval::days(1).expect("good"), zone("Europe/Paris"));
        assert_eq!(daily.due(1), Ok(at("2026-03-28T08:00:00Z")));
        assert_eq!(daily.due(2), Ok(at("2026-03-29T07:00:00Z")));
    }

    #[test]
    fn skipped_times_move_to_the_first_one_after_and_doubled_ones_are_the_earlier() {
        // 02:30 does not exist on 29 March: the clock jumps from 02:00 to 03:00.
        let skipped =
            Recurrence::new(at("2026-03-28T01:30:00Z"), Interval::days(1).expect("good"), zone("Europe/Paris"));
        assert_eq!(skipped.due(1), Ok(at("2026-03-29T01:00:00Z")));
        assert_eq!(skipped.due(2), Ok(at("2026-03-30T00:30:00Z")));
        // 02:30 is there twice on 25 October.
        let doubled =
            Recurrence::new(at("2026-10-24T00:30:00Z"), Interval::days(1).expect("good"), zone("Europe/Paris"));
        assert_eq!(doubled.due(1), Ok(at("2026-10-25T00:30:00Z")));
        // 30 December 2011 was left out altogether.
        let apia = Recurrence::new(at("2011-12-29T22:00:00Z"), Interval::days(1).expect("good"), zone("Pacific/Apia"));
        assert_eq!(apia.due(1), Ok(at("2011-12-30T10:00:00Z")));
    }

    #[test]
    fn the_latest_period_is_found_however_far() {
        let daily = Recurrence::new(at("2020-01-01T00:00:00Z"), Interval::days(1).expect("good"), zone("UTC"));
        assert_eq!(daily.latest_due_at(at("2019-12-31T23:59:59Z")), None);
        assert_eq!(daily.latest_due_at(at("2020-01-01T00:00:00Z")), Some(0));
        assert_eq!(daily.latest_due_at(at("2020-01-02T23:59:59Z")), Some(1));
        assert_eq!(daily.latest_due_at(at("2020-12-31T00:00:00Z")), Some(365));
        assert_eq!(daily.latest_due_at(at("9998-12-31T23:59:59Z")).map(|index| index > 2_000_000), Some(true));
    }

    #[test]
    fn intervals_have_bounds_on_the_wire_too() {
        assert!(Interval::days(0).is_err() && Interval::days(3_661).is_err());
        assert!(Interval::months(0).is_err() && Interval::months(121).is_err());
        let monthly = Interval::months(1).expect("good");
        let text = serde_json::to_string(&monthly).expect("JSON");
        assert_eq!(text, r#"{"unit":"months","count":1}"#);
        assert_eq!(serde_json::from_str::<Interval>(&text).expect("good"), monthly);
        assert!(serde_json::from_str::<Interval>(r#"{"unit":"days","count":0}"#).is_err());
    }

    /// A second telling of the rules: step through local minutes until the wall clock shows the wanted time or a later
    /// one. The calendar is counted by hand.
    fn oracle(anchor: Timestamp, days: Option<u16>, months: Option<u16>, in_zone: &TimeZone, index: u32) -> Timestamp {
        let local = local_minutes(in_zone, anchor);
        let wanted = match (days, months) {
            (Some(days), _) => local + i64::from(days) * i64::from(index) * 1_440,
            (None, Some(months)) => plus_months(local, i64::from(months) * i64::from(index)),
            (None, None) => unreachable!("one of them is given"),
        };
        // No zone is further than 26 hours away from UTC, changes included.
        let mut minute = wanted - 26 * 60;
        loop {
            let instant = Timestamp::from_micros(minute * 60_000_000).expect("in range");
            if local_minutes(in_zone, instant) >= wanted {
                return instant;
            }
            minute += 1;
        }
    }

    /// Minutes between 1970-01-01T00:00 and what the wall clock shows.
    fn local_minutes(in_zone: &TimeZone, instant: Timestamp) -> i64 {
        let (day, seconds) = in_zone.local_of(instant).parts();
        let text = day.to_string();
        let part = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("digits");
        days_from_civil(part(0..4), part(5..7), part(8..10)) * 1_440 + i64::from(seconds) / 60
    }

    fn is_leap(year: i64) -> bool {
        (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
    }

    fn length_of(year: i64, month: i64) -> i64 {
        match month {
            2 if is_leap(year) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
        let years: i64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
        let months: i64 = (1..month).map(|month| length_of(year, month)).sum();
        years + months + day - 1
    }

    fn plus_months(local: i64, months: i64) -> i64 {
        let (mut days, minute) = (local.div_euclid(1_440), local.rem_euclid(1_440));
        let (mut year, mut month) = (1970, 1);
        while days >= length_of(year, month) {
            days -= length_of(year, month);
            (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        }
        let count = year * 12 + (month - 1) + months;
        let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
        days_from_civil(year, month, (days + 1).min(length_of(year, month))) * 1_440 + minute
    }

    const ZONES: [&str; 12] = [
        "UTC",
        "Europe/Paris",
        "America/New_York",
        "America/St_Johns",
        "America/Sao_Paulo",
        "Africa/Casablanca",
        "Asia/Beirut",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Pacific/Chatham",
        "Antarctica/Troll",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        // Since 1973 all offsets are whole minutes, which the oracle relies on.
        #[test]
        fn due_dates_agree_with_a_naive_calendar(
            minute in 1_600_000i64..60_000_000,
            which in 0..ZONES.len(),
            count in 1u16..=120,
            index in 0u32..60,
            by_month: bool,
        ) {
            let anchor = Timestamp::from_micros(minute * 60_000_000).expect("in range");
            let zone = zone(ZONES[which]);
            let interval = if by_month { Interval::months(count) } else { Interval::days(count) }.expect("good");
            let recurrence = Recurrence::new(anchor, interval, zone.clone());
            let (days, months) = if by_month { (None, Some(count)) } else { (Some(count), None) };
            // The anchor itself is due as it stands, even in the second of two equal hours.
            let expected = if index == 0 { anchor } else { oracle(anchor, days, months, &zone, index) };
            prop_assert_eq!(recurrence.due(index), Ok(expected));
        }

        #[test]
        fn due_dates_only_grow(minute in 1_600_000i64..60_000_000, which in 0..ZONES.len(), index in 0u32..5_000) {
            let anchor = Timestamp::from_micros(minute * 60_000_000).expect("in range");
            let daily = Recurrence::new(anchor, Interval::days(1).expect("good"), zone(ZONES[which]));
            let (this, next) = (daily.due(index).expect("in range"), daily.due(index + 1).expect("in range"));
            prop_assert!(this <= next);
            prop_assert!(daily.latest_due_at(this).is_some_and(|latest| latest >= index));
        }
    }
}
