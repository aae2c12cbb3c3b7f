//! When a delivery is tried again.

use std::time::Duration;

use crate::time::Timestamp;

/// The pauses before each attempt, as the specification of Standard Webhooks proposes them: about three days.
const PAUSES: [Duration; 10] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];

/// The most attempts of one delivery.
pub const MOST_ATTEMPTS: u32 = 10;

/// The longest that a receiver may ask us to wait.
pub const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Delivered,
    /// The receiver is gone for good.
    Gone,
    /// To be tried again, not before the wait that the receiver asked for.
    Failed {
        /// How long the receiver asked to be left alone.
        wait: Option<Duration>,
    },
}

impl Outcome {
    /// What a status means: 2xx is delivered, 410 is gone, a redirect is an answer like any other failure. The wait of
    /// a `Retry-After` counts with 429 and 503.
    pub fn of(status: u16, retry_after: Option<&str>, now: Timestamp) -> Self {
        match status {
            200..=299 => Self::Delivered,
            410 => Self::Gone,
            429 | 503 => Self::Failed { wait: retry_after.and_then(|text| wait_of(text, now)) },
            _ => Self::Failed { wait: None },
        }
    }
}

/// How long until the next attempt after `made` of them; none after the last one. `chance` spreads receivers that
/// failed together over a fifth of the pause, so that they do not come back together.
pub fn pause_after(made: u32, wait: Option<Duration>, chance: u16) -> Option<Duration> {
    let pause = *PAUSES.get(usize::try_from(made).ok()?)?;
    // From nine tenths of the pause up to eleven tenths.
    let spread = pause / 5 * u32::from(chance) / (u32::from(u16::MAX) + 1);
    let pause = pause / 10 * 9 + spread;
    Some(wait.map_or(pause, |wait| pause.max(wait.min(LONGEST_WAIT))))
}

/// The wait that a `Retry-After` asks for (RFC 9110 section 10.2.3): seconds, or a date.
pub fn wait_of(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that no integer holds is a long wait all the same.
        return Some(text.parse().map_or(LONGEST_WAIT, Duration::from_secs));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let at = Timestamp::from_micros(at.as_microsecond()).ok()?;
    Some(at.since(now))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-01-31T12:00:00Z".parse().expect("an instant")
    }

    #[test]
    fn the_schedule_covers_about_three_days() {
        assert_eq!(u32::try_from(PAUSES.len()).expect("few"), MOST_ATTEMPTS);
        let total = |chance| (1..MOST_ATTEMPTS).filter_map(|made| pause_after(made, None, chance)).sum::<Duration>();
        assert!(total(0) > Duration::from_hours(66), "{:?}", total(0));
        assert!(total(u16::MAX) < Duration::from_hours(84), "{:?}", total(u16::MAX));
        assert_eq!(pause_after(0, None, 0), Some(Duration::ZERO));
        assert_eq!(pause_after(1, None, 1 << 15), Some(Duration::from_secs(5)));
        assert_eq!(pause_after(2, None, 1 << 15), Some(Duration::from_mins(5)));
        assert_eq!(pause_after(MOST_ATTEMPTS, None, 0), None);
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_within_a_day() {
        let minute = Some(Duration::from_mins(1));
        assert_eq!(pause_after(1, minute, 0), minute);
        assert!(pause_after(4, minute, 0) > minute);
        assert_eq!(pause_after(1, Some(Duration::from_hours(1000)), 0), Some(LONGEST_WAIT));
        assert_eq!(wait_of("120", now()), Some(Duration::from_mins(2)));
        assert_eq!(wait_of(" 0 ", now()), Some(Duration::ZERO));
        assert_eq!(wait_of("99999999999999999999999", now()), Some(LONGEST_WAIT));
        assert_eq!(wait_of("Sat, 31 Jan 2026 12:05:00 GMT", now()), Some(Duration::from_mins(5)));
        assert_eq!(wait_of("Sat, 31 Jan 2026 11:05:00 GMT", now()), Some(Duration::ZERO));
        for nothing in ["", "soon", "-5", "1.5", "12h"] {
            assert_eq!(wait_of(nothing, now()), None, "{nothing}");
        }
    }

    #[test]
    fn what_a_status_means() {
        for (status, retry_after, outcome) in [
            (200, None, Outcome::Delivered),
            (204, Some("60"), Outcome::Delivered),
            (410, None, Outcome::Gone),
            (301, None, Outcome::Failed { wait: None }),
            (404, Some("60"), Outcome::Failed { wait: None }),
            (429, Some("60"), Outcome::Failed { wait: Some(Duration::from_mins(1)) }),
            (503, Some("60"), Outcome::Failed { wait: Some(Duration::from_mins(1)) }),
            (429, Some("later"), Outcome::Failed { wait: None }),
            (500, Some("60"), Outcome::Failed { wait: None }),
        ] {
            assert_eq!(Outcome::of(status, retry_after, now()), outcome, "{status}");
        }
    }

    proptest! {
        #[test]
        fn pauses_stay_within_a_tenth(made in 0u32..12, chance: u16) {
            let Some(pause) = pause_after(made, None, chance) else {
                prop_assert!(made >= MOST_ATTEMPTS);
                return Ok(());
            };
            let plain = PAUSES[usize::try_from(made).expect("small")];
            prop_assert!(pause >= plain / 10 * 9 && pause <= plain / 10 * 11);
        }

        #[test]
        fn any_header_is_answered(text in ".{0,40}") {
            if let Some(wait) = wait_of(&text, now()) {
                prop_assert!(pause_after(1, Some(wait), 0) <= Some(LONGEST_WAIT));
            }
        }
    }
}
