//! Instants, calendar days and time zones.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::tz::AmbiguousOffset;
use serde::{Deserialize, Serialize};

/// An instant: microseconds since 1970-01-01T00:00:00Z, in the years 1 to 9998.
///
/// The text form is RFC 3339 in UTC with a `Z`, without a fraction where it is a whole second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const MICROS_PER_SECOND: i64 = 1_000_000;
/// 0001-01-01T00:00:00Z.
const FIRST_MICROS: i64 = -62_135_596_800 * MICROS_PER_SECOND;
/// 9999-01-01T00:00:00Z, so that a whole day, in any zone, can still be added.
const END_MICROS: i64 = 253_370_764_800 * MICROS_PER_SECOND;

/// An instant, day or zone that cannot be used; says which text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTime {
    /// Not an RFC 3339 instant.
    #[error("not an RFC 3339 instant such as 2026-01-31T09:30:00Z")]
    Instant,
    /// Not a calendar day.
    #[error("not a day such as 2026-01-31")]
    Day,
    /// Outside the years 1 to 9998.
    #[error("outside the years 1 to 9998")]
    Range,
    /// Not a name of the IANA time zone database.
    #[error("not a time zone such as Europe/Paris")]
    Zone,
}

impl Timestamp {
    /// An instant from microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Result<Self, InvalidTime> {
        if micros < FIRST_MICROS || micros >= END_MICROS {
            return Err(InvalidTime::Range);
        }
        Ok(Self(micros))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// The same instant without its fraction of a second.
    #[must_use]
    pub const fn truncated_to_second(self) -> Self {
        Self(self.as_seconds() * MICROS_PER_SECOND)
    }

    /// This instant and `duration` after it; the last possible instant where that is out of range.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros).min(END_MICROS - 1))
    }

    /// This instant and `duration` before it; the first possible instant where that is out of range.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros).max(FIRST_MICROS))
    }

    /// Time from `earlier` to this instant; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    fn jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).expect("range checked by every constructor")
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTime;

    /// RFC 3339 section 5.6, with any offset; finer than a microsecond is refused.
    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        if !is_rfc3339(text) {
            return Err(InvalidTime::Instant);
        }
        let parsed: jiff::Timestamp = text.parse().map_err(|_| InvalidTime::Instant)?;
        if parsed.subsec_nanosecond() % 1_000 != 0 {
            return Err(InvalidTime::Instant);
        }
        Self::from_micros(parsed.as_microsecond())
    }
}

/// The shape of RFC 3339, which is narrower than what the library's parser takes.
fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| bytes[range].iter().all(u8::is_ascii_digit);
    if bytes.len() < 20
        || !(digits(0..4) && digits(5..7) && digits(8..10))
        || !(digits(11..13) && digits(14..16) && digits(17..19))
        || bytes[4] != b'-'
        || bytes[7] != b'-'
        || !matches!(bytes[10], b'T' | b't')
        || bytes[13] != b':'
        || bytes[16] != b':'
    {
        return false;
    }
    let mut rest = &bytes[19..];
    if let [b'.', tail @ ..] = rest {
        let count = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 || count > 9 {
            return false;
        }
        rest = &tail[count..];
    }
    match rest {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', hours @ .., b':', m1, m2] => {
            matches!(hours, [b'0' | b'1', b'0'..=b'9'] | [b'2', b'0'..=b'3'])
                && matches!(m1, b'0'..=b'5')
                && m2.is_ascii_digit()
        }
        _ => false,
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.jiff(), formatter)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A calendar day, `yyyy-mm-dd`, in the years 1 to 9998.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(jiff::civil::Date);

impl FromStr for Day {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let bytes = text.as_bytes();
        let shaped = bytes.len() == 10
            && bytes.iter().enumerate().all(|(index, byte)| match index {
                4 | 7 => *byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        if !shaped {
            return Err(InvalidTime::Day);
        }
        let date: jiff::civil::Date = text.parse().map_err(|_| InvalidTime::Day)?;
        if date.year() < 1 || date.year() > 9998 {
            return Err(InvalidTime::Range);
        }
        Ok(Self(date))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a clock on the wall shows: a day and a time of day, in no particular zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime(jiff::civil::DateTime);

/// `yyyy-mm-ddThh:mm`, with seconds or without, as a browser's field for a time sends it.
impl FromStr for LocalTime {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let (day, time) = text.split_once('T').ok_or(InvalidTime::Day)?;
        let day: Day = day.parse()?;
        let shaped = matches!(time.len(), 5 | 8)
            && time.bytes().enumerate().all(|(index, byte)| match index {
                2 | 5 => byte == b':',
                _ => byte.is_ascii_digit(),
            });
        if !shaped {
            return Err(InvalidTime::Day);
        }
        let time: jiff::civil::Time = time.parse().map_err(|_| InvalidTime::Day)?;
        Ok(Self(day.0.to_datetime(time)))
    }
}

impl LocalTime {
    /// The day, and the whole seconds since its midnight.
    pub fn parts(self) -> (Day, u32) {
        let time = self.0.time();
        let seconds = [(time.hour(), 3_600), (time.minute(), 60), (time.second(), 1)]
            .map(|(count, length)| u32::from(count.unsigned_abs()) * length);
        (Day(self.0.date()), seconds.iter().sum())
    }

    /// The same time of day so many calendar days later.
    ///
    /// # Errors
    /// [`InvalidTime::Range`] after the year 9998.
    pub fn plus_days(self, days: u64) -> Result<Self, InvalidTime> {
        self.plus(i64::try_from(days).ok().and_then(|days| jiff::Span::new().try_days(days).ok()))
    }

    /// The same time of day so many calendar months later, on the last day of the month where it has no such day.
    ///
    /// # Errors
    /// [`InvalidTime::Range`] after the year 9998.
    pub fn plus_months(self, months: u64) -> Result<Self, InvalidTime> {
        self.plus(i64::try_from(months).ok().and_then(|months| jiff::Span::new().try_months(months).ok()))
    }

    /// So many seconds later on the wall, whatever the clock does meanwhile.
    ///
    /// # Errors
    /// [`InvalidTime::Range`] after the year 9998.
    pub fn plus_seconds(self, seconds: u64) -> Result<Self, InvalidTime> {
        self.plus(i64::try_from(seconds).ok().and_then(|seconds| jiff::Span::new().try_seconds(seconds).ok()))
    }

    fn plus(self, span: Option<jiff::Span>) -> Result<Self, InvalidTime> {
        let later = span.and_then(|span| self.0.checked_add(span).ok()).ok_or(InvalidTime::Range)?;
        if later.year() > 9998 { Err(InvalidTime::Range) } else { Ok(Self(later)) }
    }
}

impl Day {
    /// How many days there are from this one to another; below zero where that is earlier.
    pub fn days_until(self, other: Self) -> i64 {
        other.0.duration_since(self.0).as_hours() / 24
    }

    /// The year, 1 to 9998.
    pub fn year(self) -> i16 {
        self.0.year()
    }

    /// The month, 1 to 12.
    pub fn month(self) -> u8 {
        self.0.month().unsigned_abs()
    }

    /// The day of the month, 1 to 31.
    pub fn day(self) -> u8 {
        self.0.day().unsigned_abs()
    }

    /// The day that `instant` falls on in UTC.
    pub fn of_utc(instant: Timestamp) -> Self {
        Self(instant.jiff().to_zoned_datetime(jiff::tz::TimeZone::UTC).date())
    }

    /// The first instant of the day in UTC.
    ///
    /// # Errors
    /// [`InvalidTime::Range`] after the year 9998.
    pub fn start_in_utc(self) -> Result<Timestamp, InvalidTime> {
        let midnight = self.0.to_datetime(jiff::civil::Time::midnight());
        let start = jiff::tz::TimeZone::UTC.to_timestamp(midnight).map_err(|_| InvalidTime::Range)?;
        Timestamp::from_micros(start.as_microsecond())
    }

    /// The first day of the month after this one.
    ///
    /// # Errors
    /// [`InvalidTime::Range`] after the year 9998.
    pub fn next_month(self) -> Result<Self, InvalidTime> {
        Self(self.0.last_of_month()).plus_days(1)
    }

    /// So many days later.
    ///
    /// # Errors
    /// [`InvalidTime::Range`] after the year 9998.
    pub fn plus_days(self, days: u16) -> Result<Self, InvalidTime> {
        let span = jiff::Span::new().try_days(i64::from(days)).map_err(|_| InvalidTime::Range)?;
        let later = self.0.checked_add(span).map_err(|_| InvalidTime::Range)?;
        if later.year() > 9998 { Err(InvalidTime::Range) } else { Ok(Self(later)) }
    }

    /// So many days earlier.
    ///
    /// # Errors
    /// [`InvalidTime::Range`] before the year 1.
    pub fn minus_days(self, days: u16) -> Result<Self, InvalidTime> {
        let span = jiff::Span::new().try_days(i64::from(days)).map_err(|_| InvalidTime::Range)?;
        let earlier = self.0.checked_sub(span).map_err(|_| InvalidTime::Range)?;
        if earlier.year() < 1 { Err(InvalidTime::Range) } else { Ok(Self(earlier)) }
    }
}

/// What a clock on the wall shows at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Civil {
    /// The day.
    pub day: Day,
    /// The hour, 0 to 23.
    pub hour: i8,
    /// The minute, 0 to 59.
    pub minute: i8,
    /// The second, 0 to 59.
    pub second: i8,
    /// The abbreviation of the zone at that instant, such as `CET` or `CEST`.
    pub zone: String,
}

/// A time zone of the IANA database, by its name.
#[derive(Clone, PartialEq, Eq)]
pub struct TimeZone(jiff::tz::TimeZone);

impl TimeZone {
    /// The name in the IANA database, such as `Europe/Paris`.
    pub fn name(&self) -> &str {
        self.0.iana_name().expect("made from a name only")
    }

    /// The day that `instant` falls on in this zone.
    pub fn day_of(&self, instant: Timestamp) -> Day {
        Day(instant.jiff().to_zoned_datetime(self.0.clone()).date())
    }

    /// What a clock on the wall shows in this zone at `instant`.
    pub fn civil(&self, instant: Timestamp) -> Civil {
        let zoned = instant.jiff().to_zoned_datetime(self.0.clone());
        let time = zoned.time();
        Civil {
            day: Day(zoned.date()),
            hour: time.hour(),
            minute: time.minute(),
            second: time.second(),
            zone: zoned.strftime("%Z").to_string(),
        }
    }

    /// The first instant of `day` in this zone. Where a clock change skips midnight, the first one after it.
    ///
    /// # Errors
    /// [`InvalidTime::Range`] at the very edges of the calendar.
    pub fn start_of(&self, day: Day) -> Result<Timestamp, InvalidTime> {
        let zoned = day.0.to_zoned_datetime(self.0.clone()).map_err(|_| InvalidTime::Range)?;
        let start = zoned.start_of_day().map_err(|_| InvalidTime::Range)?;
        Timestamp::from_micros(start.timestamp().as_microsecond())
    }

    /// The first instant after `day` in this zone: the exclusive end of a whole day.
    ///
    /// # Errors
    /// [`InvalidTime::Range`] at the very edges of the calendar.
    pub fn end_of(&self, day: Day) -> Result<Timestamp, InvalidTime> {
        let next = day.0.tomorrow().map_err(|_| InvalidTime::Range)?;
        self.start_of(Day(next))
    }

    /// What a clock on the wall shows at `instant` in this zone.
    pub fn local_of(&self, instant: Timestamp) -> LocalTime {
        LocalTime(instant.jiff().to_zoned_datetime(self.0.clone()).datetime())
    }

    /// The first instant at which a clock on the wall in this zone shows `local` or, where a change of the clock
    /// skips it, any later time.
    ///
    /// # Errors
    /// [`InvalidTime::Range`] at the very edges of the calendar.
    pub fn first_at_or_after(&self, local: LocalTime) -> Result<Timestamp, InvalidTime> {
        let ambiguous = self.0.to_ambiguous_timestamp(local.0);
        let instant = match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } => {
                // By the offset before the gap, the skipped time lies just behind the change of the clock.
                let behind = ambiguous.later().map_err(|_| InvalidTime::Range)?;
                let just_after = behind.checked_add(jiff::SignedDuration::from_nanos(1));
                let change = self.0.preceding(just_after.map_err(|_| InvalidTime::Range)?).next();
                change.map_or(behind, |change| change.timestamp())
            }
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
                ambiguous.earlier().map_err(|_| InvalidTime::Range)?
            }
        };
        Timestamp::from_micros(instant.as_microsecond())
    }

    /// The last day that an exclusive end instant leaves usable: the day of the microsecond before it.
    pub fn last_day_before(&self, end: Timestamp) -> Day {
        self.day_of(end.saturating_sub(Duration::from_micros(1)))
    }
}

impl FromStr for TimeZone {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let zone = jiff::tz::TimeZone::get(text).map_err(|_| InvalidTime::Zone)?;
        // The look-up ignores case; one zone has one spelling here.
        if zone.iana_name() == Some(text) { Ok(Self(zone)) } else { Err(InvalidTime::Zone) }
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Debug for TimeZone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a good instant")
    }

    #[test]
    fn instants_are_read_strictly_and_written_in_utc() {
        assert_eq!(at("2026-01-31T09:30:00Z").to_string(), "2026-01-31T09:30:00Z");
        assert_eq!(at("2026-01-31T09:30:00.5+01:00").to_string(), "2026-01-31T08:30:00.5Z");
        for bad in [
            "",
            "2026-01-31",
            "2026-01-31T09:30Z",
            "2026-01-31T09:30:00",
            "2026-02-30T00:00:00Z",
            "2026-01-31 09:30:00Z",
            "2026-01-31T09:30:00+24:00",
            "2026-01-31T09:30:00+25:00",
            "2026-01-31T09:30:00-01:60",
            "2026-01-31T09:30:00+1:00",
            "2026-01-31T09:30:00Z[Europe/Paris]",
            "1769851800",
            "+002026-01-31T09:30:00Z",
            "2026-01-31T09:30:00.Z",
            "2026-01-31T09:30:00.0000001Z",
            "2026-01-31T09:30:00+0100",
            "9999-01-01T00:00:00Z",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad} must be refused");
        }
    }

    #[test]
    fn days_follow_the_zone_over_clock_changes() {
        let paris: TimeZone = "Europe/Paris".parse().expect("known");
        let day: Day = "2026-03-29".parse().expect("good");
        assert_eq!(paris.start_of(day), Ok(at("2026-03-28T23:00:00Z")));
        assert_eq!(paris.end_of(day), Ok(at("2026-03-29T22:00:00Z")));
        assert_eq!(paris.last_day_before(at("2026-03-29T22:00:00Z")), day);
        // Midnight itself is skipped here: the day starts at one o'clock.
        let beirut: TimeZone = "Asia/Beirut".parse().expect("known");
        let skipped: Day = "2026-03-29".parse().expect("good");
        assert_eq!(beirut.start_of(skipped), Ok(at("2026-03-28T22:00:00Z")));
    }

    #[test]
    fn zones_have_one_spelling() {
        assert!("Europe/Paris".parse::<TimeZone>().is_ok());
        for bad in ["", "europe/paris", "Paris", "+01:00", "../../etc/passwd"] {
            assert_eq!(bad.parse::<TimeZone>(), Err(InvalidTime::Zone), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn instants_round_trip(micros in FIRST_MICROS..END_MICROS) {
            let instant = Timestamp::from_micros(micros).expect("in range");
            prop_assert_eq!(instant.to_string().parse::<Timestamp>(), Ok(instant));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = text.parse::<Timestamp>();
            let _ = text.parse::<Day>();
            let _ = text.parse::<TimeZone>();
        }

        #[test]
        fn days_round_trip(year in 1i16..9998, month in 1i8..=12, day in 1i8..=28) {
            let text = format!("{year:04}-{month:02}-{day:02}");
            let parsed: Day = text.parse().expect("a good day");
            prop_assert_eq!(parsed.to_string(), text);
        }

        #[test]
        fn a_day_ends_where_the_next_begins(micros in 0..END_MICROS / 2) {
            let instant = Timestamp::from_micros(micros).expect("in range");
            for zone in ["UTC", "Europe/Paris", "America/St_Johns", "Pacific/Apia"] {
                let zone: TimeZone = zone.parse().expect("known");
                let day = zone.day_of(instant);
                prop_assert!(zone.start_of(day).expect("in range") <= instant);
                prop_assert!(instant < zone.end_of(day).expect("in range"));
            }
        }
    }
}
