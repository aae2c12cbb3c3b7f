//! Dates, times and numbers as people read them, by language and by the time zone of the business.

use trousseau_domain::money::Money;
use trousseau_domain::time::{Civil, Day, TimeZone, Timestamp};

use super::people::domain_language;
use super::text::Texts;
use crate::language::Language;

/// How dates, times and numbers are written on one page.
#[derive(Debug, Clone)]
pub struct Formats {
    language: Language,
    zone: TimeZone,
    now: Timestamp,
}

/// An instant as a page shows it: `<time datetime="…" title="…">…</time>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// For machines, in UTC.
    pub datetime: String,
    /// The exact time with its zone, on hover.
    pub title: String,
    /// What is read.
    pub text: String,
}

/// An amount and what it is in, which is set smaller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    /// The number, as the language writes it.
    pub amount: String,
    /// The code of the currency.
    pub unit: String,
}

impl std::fmt::Display for Sum {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.amount, self.unit)
    }
}

/// For how many seconds something is just now.
const JUST_NOW: u64 = 5;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Formats {
    /// The ways of this language, in this zone, seen from this instant.
    pub const fn new(language: Language, zone: TimeZone, now: Timestamp) -> Self {
        Self { language, zone, now }
    }

    /// The time zone that days and times are shown in.
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The instant of the page.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The calendar day of an instant in UTC, for what is counted by such days.
    pub fn utc_day(&self, instant: Timestamp) -> Day {
        let utc: TimeZone = "UTC".parse().expect("a zone of the database");
        utc.day_of(instant)
    }

    /// A whole number.
    pub fn number(&self, number: u64) -> String {
        domain_language(self.language).grouped(&number.to_string())
    }

    /// An amount without its currency, as the language writes it. What is copied is the amount's own text.
    pub fn money(&self, money: Money) -> String {
        domain_language(self.language).amount(money)
    }

    /// An amount and its currency, apart.
    pub fn sum(&self, money: Money) -> Sum {
        Sum { amount: self.money(money), unit: money.asset().code().to_string() }
    }

    /// A share such as `12.5%`, as the language writes it.
    pub fn decimal(&self, percent: &str) -> String {
        match self.language {
            Language::English => percent.to_owned(),
            Language::French => percent.replace('.', ",").replace('%', "\u{a0}%"),
        }
    }

    /// A calendar day: `12 Mar 2026`, `12 mars 2026`.
    pub fn day(&self, day: Day) -> String {
        domain_language(self.language).day(day)
    }

    /// The exact time with its zone: `12 Mar 2026, 14:03:22 CET`.
    pub fn exact(&self, instant: Timestamp) -> String {
        let Civil { day, hour, minute, second, zone } = self.zone.civil(instant);
        let separator = match self.language {
            Language::English => ", ",
            Language::French => " à ",
        };
        format!("{}{separator}{hour:02}:{minute:02}:{second:02} {zone}", self.day(day))
    }

    /// The day of an instant, exact on hover.
    pub fn date(&self, instant: Timestamp) -> Shown {
        self.shown(instant, self.day(self.zone.day_of(instant)))
    }

    /// The last whole day before an exclusive end.
    pub fn last_date(&self, end: Timestamp) -> Shown {
        let day = self.zone.last_day_before(end);
        self.shown(end, self.day(day))
    }

    /// The exact time.
    pub fn moment(&self, instant: Timestamp) -> Shown {
        self.shown(instant, self.exact(instant))
    }

    /// Time since (or until) an instant where it is less than seven days, the day otherwise. What is a day away or more is
    /// told by the calendar, as people count days.
    pub fn relative(&self, instant: Timestamp) -> Shown {
        let t = Texts::new(self.language);
        let past = instant <= self.now;
        let distance = if past { self.now.since(instant) } else { instant.since(self.now) };
        let seconds = distance.as_secs();
        let [today, day] = [self.now, instant].map(|instant| self.zone.day_of(instant));
        let days = today.days_until(day).unsigned_abs();
        // The day on which clocks go back has an hour more.
        let in_hours = seconds < DAY || days == 0;
        let text = match (seconds, past) {
            (0..JUST_NOW, true) => t.get("time-just-now"),
            (JUST_NOW..MINUTE, true) => t.with("time-seconds-ago", [("count", seconds)]),
            (MINUTE..HOUR, true) => t.with("time-minutes-ago", [("count", seconds / MINUTE)]),
            (HOUR.., true) if in_hours => t.with("time-hours-ago", [("count", seconds / HOUR)]),
            (0..HOUR, false) => t.with("time-in-minutes", [("count", seconds.div_ceil(MINUTE))]),
            (HOUR.., false) if in_hours => t.with("time-in-hours", [("count", seconds / HOUR)]),
            (DAY.., true) if days < 7 => t.with("time-days-ago", [("count", days)]),
            // What is good for seven days says so while it is new.
            (DAY.., false) if days <= 7 => t.with("time-in-days", [("count", days)]),
            _ => self.day(self.zone.day_of(instant)),
        };
        self.shown(instant, text)
    }

    fn shown(&self, instant: Timestamp, text: String) -> Shown {
        Shown { datetime: instant.truncated_to_second().to_string(), title: self.exact(instant), text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formats(language: Language) -> Formats {
        let now = "2026-03-28T12:00:00Z".parse().expect("an instant");
        Formats::new(language, "Europe/Paris".parse().expect("a zone"), now)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn numbers_are_grouped_as_the_language_does() {
        for (number, english, french) in [
            (0, "0", "0"),
            (999, "999", "999"),
            (48_210, "48,210", "48\u{202f}210"),
            (1_234_567, "1,234,567", "1\u{202f}234\u{202f}567"),
        ] {
            assert_eq!(formats(Language::English).number(number), english);
            assert_eq!(formats(Language::French).number(number), french);
        }
        let price = Money::parse("1234.5", trousseau_domain::money::Asset::USDC).expect("an amount");
        assert_eq!(formats(Language::English).money(price), "1,234.50");
        assert_eq!(formats(Language::French).money(price), "1\u{202f}234,50");
        assert_eq!(formats(Language::English).decimal("12.5%"), "12.5%");
        assert_eq!(formats(Language::French).decimal("12.5%"), "12,5\u{a0}%");
    }

    #[test]
    fn days_and_times_are_those_of_the_zone() {
        let late = at("2026-03-28T23:30:00Z");
        assert_eq!(formats(Language::English).date(late).text, "29 Mar 2026");
        assert_eq!(formats(Language::French).exact(late), "29 mars 2026 à 00:30:00 CET");
        // Summer time begins at two o'clock that night.
        assert_eq!(formats(Language::English).exact(at("2026-03-29T01:00:00Z")), "29 Mar 2026, 03:00:00 CEST");
        // An exclusive end at midnight is the end of the day before.
        assert_eq!(formats(Language::French).last_date(at("2026-11-28T23:00:00Z")).text, "28 nov. 2026");
    }

    #[test]
    fn near_instants_are_told_by_their_distance() {
        for (instant, english, french) in [
            ("2026-03-28T12:00:00Z", "just now", "à l’instant"),
            ("2026-03-28T11:59:55.5Z", "just now", "à l’instant"),
            ("2026-03-28T11:59:48Z", "12 seconds ago", "il y a 12 secondes"),
            ("2026-03-28T11:57:00Z", "3 minutes ago", "il y a 3 minutes"),
            ("2026-03-28T10:59:00Z", "1 hour ago", "il y a 1 heure"),
            ("2026-03-27T11:00:00Z", "yesterday", "hier"),
            // More than a day ago, and by the calendar of Paris two.
            ("2026-03-26T22:30:00Z", "2 days ago", "il y a 2 jours"),
            ("2026-03-22T11:00:00Z", "6 days ago", "il y a 6 jours"),
            ("2026-03-21T11:00:00Z", "21 Mar 2026", "21 mars 2026"),
            ("2026-03-28T12:00:30Z", "in 1 minute", "dans 1 minute"),
            ("2026-03-28T18:00:00Z", "in 6 hours", "dans 6 heures"),
            ("2026-04-03T12:00:00Z", "in 6 days", "dans 6 jours"),
            ("2026-03-29T12:00:00Z", "tomorrow", "demain"),
            ("2026-03-29T22:30:00Z", "in 2 days", "dans 2 jours"),
            // An invitation is good for seven days.
            ("2026-04-04T12:00:00Z", "in 7 days", "dans 7 jours"),
            ("2026-04-04T11:59:58Z", "in 7 days", "dans 7 jours"),
            ("2026-05-03T12:00:00Z", "3 May 2026", "3 mai 2026"),
        ] {
            assert_eq!(formats(Language::English).relative(at(instant)).text, english);
            assert_eq!(formats(Language::French).relative(at(instant)).text, french);
        }
        // A day of 25 hours, from its first hour to its last.
        let paris: TimeZone = "Europe/Paris".parse().expect("a zone");
        let (early, late) = (at("2026-10-24T22:10:00Z"), at("2026-10-25T22:50:00Z"));
        let told = |now, instant| Formats::new(Language::English, paris.clone(), now).relative(instant).text;
        assert_eq!((told(late, early), told(early, late)), ("24 hours ago".to_owned(), "in 24 hours".to_owned()));
        let shown = formats(Language::English).relative(at("2026-03-28T11:59:48.5Z"));
        assert_eq!(shown.datetime, "2026-03-28T11:59:48Z");
        assert_eq!(shown.title, "28 Mar 2026, 12:59:48 CET");
    }
}
