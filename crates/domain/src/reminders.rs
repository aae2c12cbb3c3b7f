//! When a customer is reminded of an invoice: three days before it is due, on the day, three and seven days after.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::time::{Day, InvalidTime, TimeZone, Timestamp};

/// From when on a reminder goes out, in seconds on the wall of the business: nobody is written to at night.
const FROM_SECOND: u32 = 8 * 3_600;
/// How long the last reminder is worth sending once its day has come.
const LAST_FOR_DAYS: u16 = 3;

/// A reminder, by its distance to the last day on which the invoice is in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reminder {
    /// Three days before.
    Ahead,
    /// On the day.
    OnTheDay,
    /// Three days after.
    Late,
    /// Seven days after; there is no further one.
    Last,
}

impl Reminder {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Ahead, Self::OnTheDay, Self::Late, Self::Last];

    /// Days after the last day in time; below zero before it.
    pub const fn days(self) -> i8 {
        match self {
            Self::Ahead => -3,
            Self::OnTheDay => 0,
            Self::Late => 3,
            Self::Last => 7,
        }
    }

    const fn next(self) -> Option<Self> {
        match self {
            Self::Ahead => Some(Self::OnTheDay),
            Self::OnTheDay => Some(Self::Late),
            Self::Late => Some(Self::Last),
            Self::Last => None,
        }
    }
}

/// On the wire: the days.
impl Serialize for Reminder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i8(self.days())
    }
}

/// Written as people plan them: `D-3`, `D+0`.
impl fmt::Display for Reminder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "D{:+}", self.days())
    }
}

/// The reminders of one invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule<'a> {
    due_at: Timestamp,
    zone: &'a TimeZone,
}

/// What is to be done about an invoice at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The reminder to send now.
    pub send: Option<Reminder>,
    /// The latest one whose time has come, sent or passed over: none up to it goes out any more.
    pub passed: Option<Reminder>,
    /// When to look again; never, once all have passed.
    pub again_at: Option<Timestamp>,
}

impl<'a> Schedule<'a> {
    /// The reminders of an invoice that is past due from `due_at` on, by the calendar of the business.
    pub const fn new(due_at: Timestamp, zone: &'a TimeZone) -> Self {
        Self { due_at, zone }
    }

    /// From when a reminder may go out: the morning of its day.
    ///
    /// # Errors
    /// [`InvalidTime::Range`] at the very edges of the calendar.
    pub fn starts(&self, reminder: Reminder) -> Result<Timestamp, InvalidTime> {
        let day = self.day_of(reminder)?;
        // Counted on the wall, so that a change of the clock moves nothing.
        let midnight = self.zone.local_of(self.zone.start_of(day)?);
        let missing = FROM_SECOND.saturating_sub(midnight.parts().1);
        self.zone.first_at_or_after(midnight.plus_seconds(u64::from(missing))?)
    }

    fn day_of(&self, reminder: Reminder) -> Result<Day, InvalidTime> {
        let last_in_time = self.zone.last_day_before(self.due_at);
        match u16::try_from(reminder.days()) {
            Ok(after) => last_in_time.plus_days(after),
            Err(_) => last_in_time.minus_days(u16::from(reminder.days().unsigned_abs())),
        }
    }

    /// Until when it is worth sending: the next one takes its place, and what is due today is not so tomorrow.
    fn ends(&self, reminder: Reminder) -> Result<Timestamp, InvalidTime> {
        match reminder {
            Reminder::Ahead => self.starts(Reminder::OnTheDay),
            Reminder::OnTheDay => self.zone.end_of(self.day_of(reminder)?),
            Reminder::Late => self.starts(Reminder::Last),
            Reminder::Last => self.zone.start_of(self.day_of(reminder)?.plus_days(LAST_FOR_DAYS)?),
        }
    }

    /// What an invoice that was just sent to its customer begins with: whatever would fall on this day or before it
    /// is passed over.
    pub fn begin(&self, now: Timestamp) -> Step {
        let today = self.zone.day_of(now);
        let passed = Reminder::ALL.into_iter().rfind(|one| self.day_of(*one).is_ok_and(|day| day <= today));
        Step { send: None, passed, again_at: self.next_after(passed) }
    }

    /// What is to be done at `now`, when `passed` was the latest that went out or was passed over. Of several whose
    /// time has come, only the latest goes out, and only as long as it is not stale.
    pub fn step(&self, passed: Option<i8>, now: Timestamp) -> Step {
        let known = Reminder::ALL.into_iter().rfind(|one| passed.is_some_and(|days| one.days() <= days));
        let come = Reminder::ALL.into_iter().rfind(|one| self.starts(*one).is_ok_and(|start| start <= now));
        let latest = come.max(known);
        let fresh = |one: &Reminder| self.ends(*one).is_ok_and(|end| now < end);
        let send = latest.filter(|one| Some(*one) != known).filter(fresh);
        Step { send, passed: latest, again_at: self.next_after(latest) }
    }

    fn next_after(&self, passed: Option<Reminder>) -> Option<Timestamp> {
        let next = match passed {
            None => Some(Reminder::Ahead),
            Some(passed) => passed.next(),
        };
        next.and_then(|next| self.starts(next).ok())
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

    #[test]
    fn reminders_go_out_in_the_morning_of_their_day() {
        let paris = zone("Europe/Paris");
        // Due until the end of 30 March; summer time began on the 29th.
        let schedule = Schedule::new(at("2026-03-30T22:00:00Z"), &paris);
        let starts = Reminder::ALL.map(|one| schedule.starts(one).expect("in range").to_string());
        assert_eq!(
            starts,
            ["2026-03-27T07:00:00Z", "2026-03-30T06:00:00Z", "2026-04-02T06:00:00Z", "2026-04-06T06:00:00Z"]
        );
        assert_eq!(Reminder::ALL.map(|one| one.to_string()), ["D-3", "D+0", "D+3", "D+7"]);
        // An invoice that is due in the middle of a day is in time on that day.
        let noon = Schedule::new(at("2026-03-30T10:00:00Z"), &paris);
        assert_eq!(noon.starts(Reminder::OnTheDay), schedule.starts(Reminder::OnTheDay));
    }

    #[test]
    fn what_has_passed_when_an_invoice_is_sent_is_passed_over() {
        let utc = zone("UTC");
        let schedule = Schedule::new(at("2026-05-11T00:00:00Z"), &utc);
        for (now, passed, again) in [
            ("2026-05-01T12:00:00Z", None, Some("2026-05-07T08:00:00Z")),
            // Early on the day of a reminder: the invoice itself is reminder enough.
            ("2026-05-07T02:00:00Z", Some(Reminder::Ahead), Some("2026-05-10T08:00:00Z")),
            ("2026-05-10T23:00:00Z", Some(Reminder::OnTheDay), Some("2026-05-13T08:00:00Z")),
            ("2026-05-16T09:00:00Z", Some(Reminder::Late), Some("2026-05-17T08:00:00Z")),
            ("2026-06-01T09:00:00Z", Some(Reminder::Last), None),
        ] {
            let step = schedule.begin(at(now));
            assert_eq!(step, Step { send: None, passed, again_at: again.map(at) }, "{now}");
        }
    }

    #[test]
    fn of_several_only_the_latest_goes_out_and_none_that_is_stale() {
        let utc = zone("UTC");
        let schedule = Schedule::new(at("2026-05-11T00:00:00Z"), &utc);
        for (passed, now, send) in [
            (None, "2026-05-07T07:59:59Z", None),
            (None, "2026-05-07T08:00:00Z", Some(Reminder::Ahead)),
            (Some(-3), "2026-05-07T08:00:00Z", None),
            (None, "2026-05-10T08:00:00Z", Some(Reminder::OnTheDay)),
            (None, "2026-05-10T23:59:59Z", Some(Reminder::OnTheDay)),
            (None, "2026-05-11T00:00:00Z", None),
            (Some(-3), "2026-05-14T08:00:00Z", Some(Reminder::Late)),
            (Some(-3), "2026-05-19T23:59:59Z", Some(Reminder::Last)),
            (Some(-3), "2026-05-20T00:00:00Z", None),
            (Some(7), "2026-05-17T08:00:00Z", None),
        ] {
            assert_eq!(schedule.step(passed, at(now)).send, send, "{passed:?} {now}");
        }
    }

    proptest! {
        /// However often, and when, somebody looks: each goes out at most once, in order, never before its morning,
        /// and never while a later one's time has come.
        #[test]
        fn looked_at_whenever_each_goes_out_at_most_once(
            due in 1_700_000_000i64..1_900_000_000,
            which in 0usize..4,
            sent_before in -20i64..20,
            looks in prop::collection::vec(0i64..40 * 86_400, 0..60),
        ) {
            let zone = zone(["UTC", "Europe/Paris", "Pacific/Apia", "America/St_Johns"][which]);
            let second = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000).expect("in range");
            let schedule = Schedule::new(second(due), &zone);
            let start = due - sent_before * 86_400;
            let mut state = schedule.begin(second(start));
            prop_assert_eq!(state.send, None);
            let mut sent = Vec::new();
            let mut looks = looks;
            looks.sort_unstable();
            for look in looks {
                let now = second(start + look);
                let step = schedule.step(state.passed.map(Reminder::days), now);
                prop_assert!(step.passed >= state.passed);
                if let Some(one) = step.send {
                    prop_assert_eq!(Some(one), step.passed);
                    prop_assert!(schedule.starts(one).expect("in range") <= now);
                    let later = Reminder::ALL.into_iter().find(|later| *later > one);
                    prop_assert!(later.is_none_or(|later| now < schedule.starts(later).expect("in range")));
                    // Nothing is missed by whoever sleeps until then.
                    prop_assert!(state.again_at.is_some_and(|again| again <= now));
                    sent.push(one);
                }
                prop_assert!(step.again_at.is_none_or(|again| again > now));
                state = step;
            }
            prop_assert!(sent.windows(2).all(|pair| pair[0] < pair[1]));
        }

        /// Looked at in time, every one goes out that had not passed when the invoice was sent.
        #[test]
        fn looked_at_in_time_none_is_missed(due in 1_700_000_000i64..1_900_000_000, sent_before in -9i64..20) {
            let zone = zone("Europe/Paris");
            let second = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000).expect("in range");
            let schedule = Schedule::new(second(due), &zone);
            let mut state = schedule.begin(second(due - sent_before * 86_400));
            let first = state.passed;
            let mut sent = Vec::new();
            while let Some(again) = state.again_at {
                state = schedule.step(state.passed.map(Reminder::days), again);
                sent.extend(state.send);
            }
            let expected: Vec<_> = Reminder::ALL.into_iter().filter(|one| Some(*one) > first).collect();
            prop_assert_eq!(sent, expected);
        }
    }
}
