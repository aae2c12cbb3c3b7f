//! What lists are narrowed by: a key by its number, a time by the clock of the business.

use std::time::Duration;

use trousseau_domain::ids::KeyId;
use trousseau_domain::time::{Day, LocalTime, TimeZone, Timestamp};

use super::names::KeyNames;

/// The most lines of a file; the newest are in it.
pub(crate) const MOST_IN_FILE: usize = 10_000;
/// How many rows are read at a time for a file.
pub(crate) const ROWS_PER_READ: u32 = 500;

/// The key that a list is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByKey {
    /// Any, as long as none is named.
    Any,
    /// The one that has the number.
    Only(KeyId),
    /// A number that no key has: nothing is found.
    Nobody,
}

impl ByKey {
    /// What was typed.
    pub(crate) fn read(text: &str, keys: &KeyNames) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::Any;
        }
        let found = text.parse().ok().and_then(|number| keys.numbered(number));
        found.map_or(Self::Nobody, Self::Only)
    }

    /// The key, where there is one.
    pub(crate) const fn key(self) -> Option<KeyId> {
        match self {
            Self::Only(id) => Some(id),
            Self::Any | Self::Nobody => None,
        }
    }
}

/// The beginning of a time: the first instant of a day, or of a minute, in this zone. What makes no sense is none.
pub(crate) fn beginning(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    match text.trim().parse::<Day>() {
        Ok(day) => zone.start_of(day).ok(),
        Err(_) => zone.first_at_or_after(text.trim().parse::<LocalTime>().ok()?).ok(),
    }
}

/// The exclusive end of a time of which this day, or this minute, is the last one.
pub(crate) fn end(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    match text.trim().parse::<Day>() {
        Ok(day) => zone.end_of(day).ok(),
        Err(_) => beginning(text, zone).map(|minute| minute.saturating_add(Duration::from_mins(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_zone_and_include_their_last_day_or_minute() {
        let paris: TimeZone = "Europe/Paris".parse().expect("a zone");
        for (text, first, last) in [
            ("2026-01-31", Some("2026-01-30T23:00:00Z"), Some("2026-01-31T23:00:00Z")),
            (" 2026-01-31T13:05 ", Some("2026-01-31T12:05:00Z"), Some("2026-01-31T12:06:00Z")),
            // Summer time begins: the day has 23 hours, and no half past two.
            ("2026-03-29", Some("2026-03-28T23:00:00Z"), Some("2026-03-29T22:00:00Z")),
            ("2026-03-29T02:30", Some("2026-03-29T01:00:00Z"), Some("2026-03-29T01:01:00Z")),
            ("", None, None),
            ("yesterday", None, None),
            ("2026-02-30", None, None),
            ("2026-01-31T25:00", None, None),
        ] {
            let written = |instant: Option<Timestamp>| instant.map(|instant| instant.to_string());
            assert_eq!(written(beginning(text, &paris)).as_deref(), first, "{text}");
            assert_eq!(written(end(text, &paris)).as_deref(), last, "{text}");
        }
    }
}
