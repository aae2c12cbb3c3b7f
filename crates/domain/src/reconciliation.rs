//! Whether the sums agree: what lies at deposit addresses, against what was counted in and out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::requests::UtcDay;
use crate::text::text_enum;
use crate::time::Timestamp;

/// The time of day, in UTC, from which the sums of a day are compared.
const FROM: Duration = Duration::from_hours(2);
/// How long to wait after a comparison that could not be ended.
const TRY_AGAIN: Duration = Duration::from_hours(1);
/// A day.
const DAY: Duration = Duration::from_hours(24);

text_enum! {
    /// What a comparison came to.
    Outcome {
        /// Every address holds what it should.
        Agrees = "agrees",
        /// Some do not.
        Differs = "differs",
        /// Not everything could be asked. It says nothing about what was not.
        Incomplete = "incomplete",
    }
}

/// What was counted of one token at one address up to a final block, and what its contract says lies there, in base
/// units. Sums beyond 128 bits, which no honest token has, stay at the most that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    /// What came in, as it was counted.
    pub received: u128,
    /// What left, as the token's contract told.
    pub sent: u128,
    /// What the contract says lies there.
    pub balance: u128,
}

/// How far sums are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// More lies there, or left from there, than was counted in: a transfer was missed.
    Missed(u128),
    /// Less lies there than was counted in and not out: something was counted that is not there.
    Excess(u128),
}

impl Sums {
    /// The difference; none where what came in is what left and what lies there.
    pub const fn gap(&self) -> Option<Gap> {
        let there = self.balance.saturating_add(self.sent);
        if there > self.received {
            Some(Gap::Missed(there - self.received))
        } else if there < self.received {
            Some(Gap::Excess(self.received - there))
        } else {
            None
        }
    }
}

/// Whether a network is to be compared at `now`: once after two o'clock (UTC) of each day, and an hour after a
/// comparison that could not be ended. `last` is the latest one, by when it began.
pub fn is_due(last: Option<(Timestamp, Outcome)>, now: Timestamp) -> bool {
    let Some((began, outcome)) = last else { return true };
    let into_day = |at: Timestamp| at.as_micros() - UtcDay::of(at).start().as_micros();
    let passed = i64::try_from(FROM.as_micros()).is_ok_and(|from| into_day(now) >= from);
    let today = UtcDay::of(now).start();
    let latest = if passed { today } else { today.saturating_sub(DAY) }.saturating_add(FROM);
    began < latest || (outcome == Outcome::Incomplete && began.saturating_add(TRY_AGAIN) <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn what_came_in_left_or_lies_there() {
        let sums = |received, sent, balance| Sums { received, sent, balance };
        for (sums, gap) in [
            (sums(0, 0, 0), None),
            (sums(10, 0, 10), None),
            (sums(10, 10, 0), None),
            (sums(10, 4, 6), None),
            (sums(0, 0, 1), Some(Gap::Missed(1))),
            (sums(0, 5, 0), Some(Gap::Missed(5))),
            (sums(20, 0, 10), Some(Gap::Excess(10))),
            (sums(20, 10, 0), Some(Gap::Excess(10))),
            (sums(u128::MAX, 1, u128::MAX), None),
        ] {
            assert_eq!(sums.gap(), gap, "{sums:?}");
        }
    }

    #[test]
    fn once_a_night_and_again_where_it_could_not_be_ended() {
        let last = |began, outcome| Some((at(began), outcome));
        for (last, now, due) in [
            (None, "2026-02-01T13:00:00Z", true),
            (last("2026-02-01T02:00:01Z", Outcome::Agrees), "2026-02-01T23:59:59Z", false),
            (last("2026-02-01T02:00:01Z", Outcome::Differs), "2026-02-02T01:59:59Z", false),
            (last("2026-02-01T02:00:01Z", Outcome::Agrees), "2026-02-02T02:00:00Z", true),
            // One by hand before two o'clock does not stand for the night's.
            (last("2026-02-01T01:30:00Z", Outcome::Agrees), "2026-02-01T02:00:00Z", true),
            (last("2026-02-01T02:00:00Z", Outcome::Incomplete), "2026-02-01T02:59:59Z", false),
            (last("2026-02-01T02:00:00Z", Outcome::Incomplete), "2026-02-01T03:00:00Z", true),
        ] {
            assert_eq!(is_due(last, at(now)), due, "{last:?} at {now}");
        }
    }
}
