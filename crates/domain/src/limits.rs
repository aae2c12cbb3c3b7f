//! How often keys may be used: rates over seconds, and quotas by the day and the month.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::requests::UtcDay;
use crate::time::{Day, Timestamp};

/// At most so many calls in so many seconds, all of which may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredRate", into = "StoredRate")]
pub struct RateLimit {
    requests: NonZeroU32,
    seconds: NonZeroU32,
}

/// A rate that cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rate is 1 to 1000000 requests in 1 to 86400 seconds, such as 100/1s or 5000/1h")]
pub struct InvalidRateLimit;

#[derive(Serialize, Deserialize)]
struct StoredRate {
    requests: u32,
    seconds: u32,
}

impl RateLimit {
    /// The most requests of one rate.
    pub const MOST_REQUESTS: u32 = 1_000_000;
    /// The longest time of one rate, in seconds: a day.
    pub const MOST_SECONDS: u32 = 86_400;

    /// A rate of 1 to 1 000 000 requests in 1 to 86 400 seconds.
    pub fn new(requests: u32, seconds: u32) -> Result<Self, InvalidRateLimit> {
        match (NonZeroU32::new(requests), NonZeroU32::new(seconds)) {
            (Some(requests), Some(seconds))
                if requests.get() <= Self::MOST_REQUESTS && seconds.get() <= Self::MOST_SECONDS =>
            {
                Ok(Self { requests, seconds })
            }
            _ => Err(InvalidRateLimit),
        }
    }

    /// How many calls.
    pub const fn requests(self) -> u32 {
        self.requests.get()
    }

    /// In how many seconds.
    pub const fn seconds(self) -> u32 {
        self.seconds.get()
    }

    /// Nanoseconds from one call to the next at an even pace; rounded up, so that the rate is never exceeded.
    fn interval(self) -> u64 {
        (u64::from(self.seconds()) * 1_000_000_000).div_ceil(u64::from(self.requests()))
    }

    /// Whether whoever keeps this one keeps `other` too.
    fn implies(self, other: Self) -> bool {
        self.requests <= other.requests && self.seconds >= other.seconds
    }
}

impl TryFrom<StoredRate> for RateLimit {
    type Error = InvalidRateLimit;

    fn try_from(stored: StoredRate) -> Result<Self, InvalidRateLimit> {
        Self::new(stored.requests, stored.seconds)
    }
}

impl From<RateLimit> for StoredRate {
    fn from(rate: RateLimit) -> Self {
        Self { requests: rate.requests(), seconds: rate.seconds() }
    }
}

impl FromStr for RateLimit {
    type Err = InvalidRateLimit;

    /// `requests/time`, the time in seconds, minutes, hours or one day: `100/1s`, `600/5m`, `5000/1h`, `9/1d`.
    fn from_str(text: &str) -> Result<Self, InvalidRateLimit> {
        let (requests, time) = text.split_once('/').ok_or(InvalidRateLimit)?;
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse::<u32>().ok()).flatten().ok_or(InvalidRateLimit)
        };
        let unit = match time.bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3_600,
            Some(b'd') => 86_400,
            _ => return Err(InvalidRateLimit),
        };
        let seconds = number(&time[..time.len() - 1])?.checked_mul(unit).ok_or(InvalidRateLimit)?;
        Self::new(number(requests)?, seconds)
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds();
        let (time, unit) = match seconds {
            86_400 => (1, 'd'),
            _ if seconds.is_multiple_of(3_600) => (seconds / 3_600, 'h'),
            _ if seconds.is_multiple_of(60) => (seconds / 60, 'm'),
            _ => (seconds, 's'),
        };
        write!(formatter, "{}/{time}{unit}", self.requests)
    }
}

/// Rates that all hold at once, by rising time; at most [`RateLimits::MOST`], no two of the same time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<RateLimit>", into = "Vec<RateLimit>")]
pub struct RateLimits(Vec<RateLimit>);

/// Rates that do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRateLimits {
    /// More than there may be.
    #[error("there may be at most {} rates", RateLimits::MOST)]
    TooMany,
    /// Two for the same time.
    #[error("two rates have the same time")]
    SameTime,
}

impl RateLimits {
    /// The most rates of one key or business.
    pub const MOST: usize = 4;

    /// The rates as texts, for people: `100/1m`.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// The rates, by rising time.
    pub fn as_slice(&self) -> &[RateLimit] {
        &self.0
    }
}

impl TryFrom<Vec<RateLimit>> for RateLimits {
    type Error = InvalidRateLimits;

    fn try_from(mut rates: Vec<RateLimit>) -> Result<Self, InvalidRateLimits> {
        if rates.len() > Self::MOST {
            return Err(InvalidRateLimits::TooMany);
        }
        rates.sort_unstable_by_key(|rate| rate.seconds());
        if rates.windows(2).any(|pair| pair[0].seconds == pair[1].seconds) {
            return Err(InvalidRateLimits::SameTime);
        }
        Ok(Self(rates))
    }
}

impl From<RateLimits> for Vec<RateLimit> {
    fn from(rates: RateLimits) -> Self {
        rates.0
    }
}

/// At most so many calls in a day and in a month of UTC. Absent is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quota {
    /// From midnight to midnight.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub day: Option<NonZeroU64>,
    /// From the first to the last day.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub month: Option<NonZeroU64>,
}

impl Quota {
    /// The most calls that a quota counts, so that every sum of them fits everywhere.
    pub const MOST: u64 = 1_000_000_000_000;

    /// The quota of a kind of period.
    pub fn of(&self, period: Period) -> Option<u64> {
        match period {
            Period::Day => self.day,
            Period::Month => self.month,
        }
        .map(NonZeroU64::get)
    }

    /// Whether there is none.
    pub const fn is_none(&self) -> bool {
        self.day.is_none() && self.month.is_none()
    }
}

/// How often a key, or all keys of a business in one environment, may be used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// How fast.
    #[serde(default)]
    pub rates: RateLimits,
    /// How much.
    #[serde(default)]
    pub quota: Quota,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        self.rates.0.is_empty() && self.quota.is_none()
    }

    /// Whether whoever keeps these keeps `other` too.
    pub fn are_within(&self, other: &Self) -> bool {
        let rates = |wanted: &RateLimit| self.rates.0.iter().any(|rate| rate.implies(*wanted));
        let quota = |period| match (self.quota.of(period), other.quota.of(period)) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(most)) => own <= most,
        };
        other.rates.0.iter().all(rates) && [Period::Day, Period::Month].into_iter().all(quota)
    }
}

/// What a quota is counted over, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// A day.
    Day,
    /// A month.
    Month,
}

impl Period {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The number of the period of this kind around an instant: days since 1970, months since the year 0.
    pub fn number_at(self, now: Timestamp) -> i64 {
        match self {
            Self::Day => UtcDay::of(now).number(),
            Self::Month => {
                let day = Day::of_utc(now);
                i64::from(day.year()) * 12 + i64::from(day.month()) - 1
            }
        }
    }

    /// From an instant to the end of its period.
    pub fn left_at(self, now: Timestamp) -> Duration {
        let day = Day::of_utc(now);
        let next = match self {
            Self::Day => day.plus_days(1),
            Self::Month => day.next_month(),
        };
        // After the last year that there is, nothing ends.
        next.and_then(Day::start_in_utc).map_or(Duration::MAX, |end| end.since(now))
    }
}

/// Where a rate stands: when it would have had its last call at an even pace. The *theoretical arrival time* of the
/// generic cell rate algorithm (ITU-T I.371), in nanoseconds of a clock that never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace(u64);

impl Pace {
    /// Where it stands after one more call at `now`; where there is no room, how long until there is.
    pub fn after(self, rate: RateLimit, now: u64) -> Result<Self, Duration> {
        let interval = rate.interval();
        let ahead = self.0.saturating_sub(now);
        let room = interval * u64::from(rate.requests() - 1);
        match ahead.checked_sub(room) {
            None | Some(0) => Ok(Self(now + ahead + interval)),
            Some(wait) => Err(Duration::from_nanos(wait)),
        }
    }

    /// How many calls there is room for at `now`.
    pub fn remaining(self, rate: RateLimit, now: u64) -> u64 {
        let interval = rate.interval();
        let whole = interval * u64::from(rate.requests());
        whole.saturating_sub(self.0.saturating_sub(now)) / interval
    }

    /// The same after a change of the rate: what was used of the old one is used of the new one, call by call, and all of
    /// it at most.
    #[must_use]
    pub fn rescaled(self, from: RateLimit, to: RateLimit, now: u64) -> Self {
        let used = self.0.saturating_sub(now).div_ceil(from.interval());
        Self(now + to.interval() * used.min(u64::from(to.requests())))
    }

    /// How long until there is room for all of them.
    pub fn full_in(self, now: u64) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(now))
    }
}

/// Whose limit one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitOf {
    /// One key's.
    Key,
    /// That of all keys of a business in one environment.
    Business,
}

impl LimitOf {
    /// The first part of its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Business => "business",
        }
    }
}

/// What a limit is counted over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitOver {
    /// The time of a rate, in seconds.
    Seconds(u32),
    /// The period of a quota.
    Period(Period),
}

/// Where a limit stands after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Whose it is.
    pub of: LimitOf,
    /// Over which time.
    pub over: LimitOver,
    /// How many calls it allows in that time.
    pub limit: u64,
    /// How many are left.
    pub remaining: u64,
    /// How long until all of them are there again.
    pub resets_in: Duration,
}

impl fmt::Display for Allowance {
    /// Its name: `key-60s`, `business-month`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = self.of.as_str();
        match self.over {
            LimitOver::Seconds(seconds) => write!(formatter, "{of}-{seconds}s"),
            LimitOver::Period(period) => write!(formatter, "{of}-{}", period.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(text: &str) -> RateLimit {
        text.parse().expect(text)
    }

    fn limits(rates: &[&str], day: u64, month: u64) -> Limits {
        let rates: Vec<_> = rates.iter().map(|text| rate(text)).collect();
        let quota = Quota { day: NonZeroU64::new(day), month: NonZeroU64::new(month) };
        Limits { rates: rates.try_into().expect("they go together"), quota }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn a_rate_is_read_and_written() {
        for (text, requests, seconds) in
            [("100/1s", 100, 1), ("600/5m", 600, 300), ("5000/1h", 5_000, 3_600), ("9/1d", 9, 86_400), ("1/90s", 1, 90)]
        {
            let parsed = rate(text);
            assert_eq!((parsed.requests(), parsed.seconds()), (requests, seconds));
            assert_eq!(parsed.to_string(), text);
        }
        assert_eq!(rate("5/120s").to_string(), "5/2m");
        for bad in
            ["", "1", "1/", "/1s", "0/1s", "1/0s", "1/1", "1/s", "+1/1s", "1000001/1s", "1/2d", "1/99999999h", "1/é"]
        {
            assert_eq!(bad.parse::<RateLimit>(), Err(InvalidRateLimit), "{bad}");
        }
    }

    #[test]
    fn rates_of_a_key_differ_in_their_time() {
        let rates = |texts: &[&str]| RateLimits::try_from(texts.iter().map(|text| rate(text)).collect::<Vec<_>>());
        let sorted = rates(&["100/1m", "5/1s"]).expect("two");
        assert_eq!(sorted.as_slice(), [rate("5/1s"), rate("100/1m")]);
        assert_eq!(rates(&["1/60s", "2/1m"]), Err(InvalidRateLimits::SameTime));
        assert_eq!(rates(&["1/1s", "2/2s", "3/3s", "4/4s", "5/5s"]), Err(InvalidRateLimits::TooMany));
        let stored = serde_json::to_string(&limits(&["5/1s"], 0, 9)).expect("JSON");
        assert_eq!(stored, r#"{"rates":[{"requests":5,"seconds":1}],"quota":{"month":9}}"#);
        assert_eq!(serde_json::from_str::<Limits>(&stored).expect("read"), limits(&["5/1s"], 0, 9));
        assert_eq!(serde_json::from_str::<Limits>("{}").expect("read"), Limits::default());
        assert!(serde_json::from_str::<Limits>(r#"{"rates":[{"requests":0,"seconds":1}]}"#).is_err());
    }

    #[test]
    fn whoever_is_limited_hands_on_no_more_than_that() {
        let own = limits(&["10/1s", "100/1m"], 500, 0);
        for (wanted, within) in [
            (limits(&["10/1s", "100/1m"], 500, 0), true),
            (limits(&["10/1m"], 1, 1), true),
            (limits(&["10/1s", "101/1m"], 500, 0), false),
            (limits(&["10/1s"], 500, 0), false),
            (limits(&["10/1s", "100/1m"], 501, 0), false),
            (limits(&["10/1s", "100/1m"], 0, 400), false),
            (Limits::default(), false),
        ] {
            assert_eq!(wanted.are_within(&own), within, "{wanted:?}");
            assert!(wanted.are_within(&Limits::default()));
        }
    }

    #[test]
    fn all_of_a_rate_may_come_at_once_and_then_one_by_one() {
        let rate = rate("4/2s");
        let mut pace = Pace::default();
        for left in [3, 2, 1, 0] {
            pace = pace.after(rate, SECOND).expect("room");
            assert_eq!(pace.remaining(rate, SECOND), left);
        }
        assert_eq!(pace.after(rate, SECOND), Err(Duration::from_millis(500)));
        assert_eq!(pace.full_in(SECOND), Duration::from_secs(2));
        pace = pace.after(rate, SECOND + SECOND / 2).expect("one more");
        assert!(pace.after(rate, SECOND + SECOND / 2).is_err());
        assert_eq!(pace.remaining(rate, 9 * SECOND), 4);
    }

    #[test]
    fn a_period_is_that_of_utc() {
        let now = at("2026-02-28T23:59:30Z");
        assert_eq!((Period::Day.number_at(now), Period::Month.number_at(now)), (20_512, 2_026 * 12 + 1));
        assert_eq!(Period::Day.number_at(at("1970-01-01T00:00:00Z")), 0);
        assert_eq!(Period::Day.left_at(now), Duration::from_secs(30));
        assert_eq!(Period::Month.left_at(now), Duration::from_secs(30));
        assert_eq!(Period::Month.left_at(at("2026-12-30T00:00:00Z")), Duration::from_hours(48));
        let name = Allowance {
            of: LimitOf::Business,
            over: LimitOver::Period(Period::Month),
            limit: 1,
            remaining: 1,
            resets_in: Duration::ZERO,
        };
        assert_eq!(name.to_string(), "business-month");
        assert_eq!(Allowance { of: LimitOf::Key, over: LimitOver::Seconds(60), ..name }.to_string(), "key-60s");
    }

    proptest! {
        // Whatever the pattern of calls: within any time of the rate's length no more than twice the rate pass (a
        // burst and what comes back meanwhile), over long times no more than the rate, and whoever waits as told passes.
        #[test]
        fn no_pattern_of_calls_passes_more_than_the_rate(
            requests in 1_u32..50,
            seconds in 1_u32..20,
            gaps in prop::collection::vec(0_u64..3_000_000_000, 1..300),
        ) {
            let rate = RateLimit::new(requests, seconds).expect("in range");
            let (mut pace, mut now, mut passed) = (Pace::default(), SECOND, 0_u64);
            for gap in gaps {
                now += gap;
                let before = pace.remaining(rate, now);
                match pace.after(rate, now) {
                    Ok(next) => {
                        prop_assert!(before > 0);
                        pace = next;
                        passed += 1;
                    }
                    Err(wait) => {
                        prop_assert_eq!(before, 0);
                        let later = now + u64::try_from(wait.as_nanos()).expect("short");
                        prop_assert!(pace.after(rate, later).is_ok());
                        prop_assert!(pace.after(rate, later - 1).is_err());
                    }
                }
                let most = u64::from(requests) + (now - SECOND) * u64::from(requests) / (u64::from(seconds) * SECOND);
                prop_assert!(passed <= most);
            }
        }
    }
}
