//! What lists are narrowed by: a key by its number, a time by the clock of the business.

use std::str::FromStr;
use std::time::Duration;

use askama::Template;
use http::StatusCode;
use trousseau_domain::ids::KeyId;
use trousseau_domain::text::SearchText;
use trousseau_domain::time::{Day, LocalTime, TimeZone, Timestamp};

use super::form::FormErrors;
use super::frame::Frame;
use super::names::KeyNames;
use super::session::Stop;
use super::text::message;

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

/// Looks at what a list is asked for before it is read: what makes no sense would widen it.
#[derive(Debug)]
pub(crate) struct Check<'a> {
    frame: &'a Frame,
    wrong: FormErrors,
    /// What `status` is called on this list.
    status: &'static str,
}

/// A part of what was asked for.
#[derive(Debug)]
struct Field {
    name: String,
    value: String,
    label: String,
    kind: &'static str,
    /// Whether it is to be put right; else it goes along.
    shown: bool,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/filters.html")]
struct WrongPage<'a> {
    frame: &'a Frame,
    wrong: &'a FormErrors,
    base: &'a str,
    /// Where there are no filters.
    without: &'a str,
    fields: Vec<Field>,
}

impl<'a> Check<'a> {
    /// For the list that this frame is of.
    pub(crate) const fn of(frame: &'a Frame) -> Self {
        Self { frame, wrong: FormErrors::new(), status: message!("column-state") }
    }

    /// One of the words, or a number, that a filter takes.
    pub(crate) fn choice<T: FromStr>(self, field: &'static str, text: &str) -> Self {
        self.known(field, text, |text| text.parse::<T>().is_ok())
    }

    /// What `is_known` accepts.
    pub(crate) fn known(mut self, field: &'static str, text: &str, is_known: impl Fn(&str) -> bool) -> Self {
        if !text.is_empty() && !is_known(text) {
            self.wrong.add(field, self.frame.t.with("filters-unknown", [("value", text)]));
        }
        self
    }

    /// The status of an answer by HTTP (RFC 9110, section 15).
    pub(crate) fn http_status(mut self, text: &str) -> Self {
        self.status = message!("requests-status");
        let is_status = |text: &str| text.parse().is_ok_and(|status: u16| (100..600).contains(&status));
        let text = text.trim();
        if !text.is_empty() && !is_status(text) {
            self.wrong.add("status", self.frame.t.with("filters-http-status", [("value", text)]));
        }
        self
    }

    /// A text to look for.
    pub(crate) fn search(mut self, field: &'static str, text: &str) -> Self {
        let text = text.trim();
        if !text.is_empty() && text.parse::<SearchText>().is_err() {
            self.wrong.add(field, self.frame.t.get("filters-search"));
        }
        self
    }

    /// A span of time: a first and a last day, or minute, in this order.
    pub(crate) fn span(mut self, from: &str, to: &str) -> Self {
        let (t, zone) = (self.frame.t, self.frame.f.zone());
        for (field, text) in [("from", from), ("to", to)] {
            if !text.trim().is_empty() && beginning(text, zone).is_none() {
                self.wrong.add(field, t.with("filters-time", [("value", text.trim())]));
            }
        }
        if let (Some(first), Some(end)) = (beginning(from, zone), end(to, zone))
            && end <= first
        {
            self.wrong.add("to", t.get("filters-inverted"));
        }
        self
    }

    /// Goes on where all of it makes sense; else the answer is a page that says what does not, and no row of the list at
    /// `base`.
    pub(crate) fn done(self, base: &str) -> Result<(), Stop> {
        self.done_with((base, base), &["after", "format", "page"])
    }

    /// The same of a list that is a file at `base`, and told of on the page `about`.
    pub(crate) fn done_for_file(self, base: &str, about: &str) -> Result<(), Stop> {
        self.done_with((base, about), &[])
    }

    fn done_with(self, (base, without): (&str, &str), left_out: &[&str]) -> Result<(), Stop> {
        if self.wrong.is_empty() {
            return Ok(());
        }
        let (frame, wrong) = (self.frame, &self.wrong);
        let query = frame.here.split_once('?').map_or("", |(_, query)| query);
        let pairs: Vec<(String, String)> = serde_html_form::from_str(query).unwrap_or_default();
        let is_time = |name: &str| matches!(name, "from" | "to");
        let time_is_wrong = wrong.all().iter().any(|error| is_time(error.field));
        let field = |(name, value): (String, String)| Field {
            shown: wrong.of(&name).is_some() || (is_time(&name) && time_is_wrong),
            // With what makes no sense in it, a control for days would look empty.
            kind: match name.as_str() {
                "from" | "to" if value.parse::<Day>().is_ok() => "date",
                "from" | "to" if value.parse::<LocalTime>().is_ok() => "datetime-local",
                _ => "text",
            },
            label: frame.t.get(match name.as_str() {
                "from" => message!("filter-from"),
                "to" => message!("filter-to"),
                "q" => message!("filters-text"),
                "type" => message!("filters-type"),
                "method" => message!("requests-method"),
                "outcome" => message!("requests-outcome"),
                "status" => self.status,
                "state" => message!("column-state"),
                _ => message!("filters-other"),
            }),
            name,
            value,
        };
        let fields = pairs.into_iter().filter(|(name, _)| !left_out.contains(&name.as_str()));
        let fields = fields.map(field).collect();
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Err(frame.page_with(status, &WrongPage { frame, wrong, base, without, fields }).into())
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
