//! Instants, days and spans as people type them.

use std::time::Duration;

use trousseau_domain::keys::Overlap;
use trousseau_domain::time::{Day, TimeZone, Timestamp};

use crate::exit::Failure;

/// The start that was typed: an instant, or the first moment of a day in the business's zone.
pub(crate) fn start(text: &str, zone: &TimeZone) -> Result<Timestamp, Failure> {
    match text.parse::<Day>() {
        Ok(day) => zone.start_of(day).map_err(|error| Failure::usage(format!("{text}: {error}"))),
        Err(_) => instant(text),
    }
}

/// The end that was typed: an instant, or the end of a day in the business's zone, that day included.
pub(crate) fn end(text: &str, zone: &TimeZone) -> Result<Timestamp, Failure> {
    match text.parse::<Day>() {
        Ok(day) => zone.end_of(day).map_err(|error| Failure::usage(format!("{text}: {error}"))),
        Err(_) => instant(text),
    }
}

fn instant(text: &str) -> Result<Timestamp, Failure> {
    text.parse().map_err(|error| Failure::usage(format!("{text}: {error}, and not a day such as 2026-01-31")))
}

/// `none`, a number of seconds, minutes, hours or days, an instant, or a day.
pub(crate) fn overlap(text: &str, zone: &TimeZone) -> Result<Overlap, Failure> {
    if text == "none" {
        return Ok(Overlap::None);
    }
    let unit = match text.as_bytes().last() {
        Some(b's') => Some(1),
        Some(b'm') => Some(60),
        Some(b'h') => Some(60 * 60),
        Some(b'd') => Some(24 * 60 * 60),
        _ => None,
    };
    if let Some(unit) = unit {
        let count = text[..text.len() - 1].parse::<u32>();
        let count = count.map_err(|_| Failure::usage(format!("{text}: not a span such as 1h or 7d")))?;
        return Ok(Overlap::For(Duration::from_secs(u64::from(count) * unit)));
    }
    end(text, zone).map(Overlap::Until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_spans_have_a_unit() {
        let zone: TimeZone = "Europe/Paris".parse().expect("known");
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        assert_eq!(start("2026-01-31", &zone).expect("a day"), at("2026-01-30T23:00:00Z"));
        assert_eq!(end("2026-01-31", &zone).expect("a day"), at("2026-01-31T23:00:00Z"));
        assert_eq!(end("2026-01-31T12:00:00Z", &zone).expect("an instant"), at("2026-01-31T12:00:00Z"));
        for (text, expected) in [
            ("none", Overlap::None),
            ("90m", Overlap::For(Duration::from_mins(90))),
            ("1h", Overlap::For(Duration::from_hours(1))),
            ("30d", Overlap::For(Overlap::MOST)),
            ("2026-01-31", Overlap::Until(at("2026-01-31T23:00:00Z"))),
        ] {
            assert_eq!(overlap(text, &zone).expect(text), expected);
        }
        for bad in ["", "d", "-1d", "1w", "soon", "1.5h", "ü"] {
            assert!(overlap(bad, &zone).is_err(), "{bad}");
        }
    }
}
