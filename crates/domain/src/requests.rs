//! Calls of a business's keys, as the request log keeps them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::text_enum;
use crate::time::Timestamp;

text_enum! {
    /// Which door a call came through.
    Door {
        /// Our own API.
        Api = "api",
        /// The verify call: somebody else received the request and asked us about its key.
        Verify = "verify",
    }
}

text_enum! {
    /// How a call ended.
    Outcome {
        /// The key was good, and the call did what it was for.
        Succeeded = "succeeded",
        /// The key was refused.
        Refused = "refused",
        /// The key was good, and the call was not: a wrong value, a rule, a fault of ours.
        Failed = "failed",
    }
}

impl Outcome {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::Succeeded, Self::Refused, Self::Failed];
}

/// The most characters of the name and of the version of a client.
const MAX_PRODUCT_PART: usize = 24;

/// The first product of a `User-Agent`, such as `curl/8.14.1`: short, plain, and nothing else of the header.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientName(String);

impl ClientName {
    /// The client that a `User-Agent` header names, if it names one in a form worth keeping.
    pub fn of_user_agent(header: &str) -> Option<Self> {
        let product = header.split([' ', '(', ';', ',']).next()?;
        let plain = |part: &str| {
            (1..=MAX_PRODUCT_PART).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+'))
        };
        let (name, version) = product.split_once('/').map_or((product, None), |(name, rest)| (name, Some(rest)));
        if !plain(name) {
            return None;
        }
        match version.filter(|version| plain(version)) {
            Some(version) => Some(Self(format!("{name}/{version}"))),
            None => Some(Self(name.to_owned())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The network that an address is in, as far as one owner usually reaches: a /24 of IPv4, a /48 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(IpAddr);

impl Network {
    /// The network of an address. An IPv4 address inside IPv6 is one of IPv4.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4((address.to_bits() & 0xffff_ff00).into()),
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() & (u128::MAX << 80)).into()),
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(formatter, "{address}/24"),
            IpAddr::V6(address) => write!(formatter, "{address}/48"),
        }
    }
}

/// One day in UTC, counted from 1970: what usage is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UtcDay(i64);

/// Seconds of a day in UTC.
const SECONDS_PER_DAY: i64 = 86_400;

/// A number of days that no instant of ours falls on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no day of the years 1 to 9998")]
pub struct InvalidUtcDay;

impl UtcDay {
    /// The day of an instant.
    pub const fn of(instant: Timestamp) -> Self {
        Self(instant.as_seconds().div_euclid(SECONDS_PER_DAY))
    }

    /// The day of this number.
    pub fn from_number(number: i64) -> Result<Self, InvalidUtcDay> {
        let micros = number.checked_mul(SECONDS_PER_DAY * 1_000_000).ok_or(InvalidUtcDay)?;
        Timestamp::from_micros(micros).map(|_| Self(number)).map_err(|_| InvalidUtcDay)
    }

    /// Days since 1970.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// This day and `days` before it.
    #[must_use]
    pub const fn minus(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days as i64))
    }

    /// The first instant of the day.
    #[expect(clippy::missing_panics_doc, reason = "every constructor has checked the range")]
    pub fn start(self) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_mul(SECONDS_PER_DAY * 1_000_000).max(-62_135_596_800_000_000))
            .expect("a day of an instant, or one before it")
    }
}

impl fmt::Display for UtcDay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.start().to_string();
        formatter.write_str(text.split('T').next().unwrap_or_default())
    }
}

impl FromStr for UtcDay {
    type Err = InvalidUtcDay;

    fn from_str(text: &str) -> Result<Self, InvalidUtcDay> {
        format!("{text}T00:00:00Z").parse::<Timestamp>().map(Self::of).map_err(|_| InvalidUtcDay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_short_and_plain() {
        for (header, client) in [
            ("curl/8.14.1", Some("curl/8.14.1")),
            ("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101", Some("Mozilla/5.0")),
            ("axios", Some("axios")),
            ("node-fetch/<script>", Some("node-fetch")),
            ("python-requests/2.32.4 extra", Some("python-requests/2.32.4")),
            ("", None),
            ("/1.0", None),
            ("=cmd|' /C calc'!A0", None),
            ("a\u{1b}[31m/1", None),
            ("Mileston_TEST_7xU4rTq9WcE2bN5mK8pL1sD6fG3hJ0zY4vQ7aR", None),
            ("app/Mileston_TEST_7xU4rTq9WcE2bN5mK8pL1sD6fG3hJ0zY4vQ7aR", Some("app")),
        ] {
            assert_eq!(ClientName::of_user_agent(header).as_ref().map(ClientName::as_str), client, "{header}");
        }
    }

    #[test]
    fn networks_hold_their_neighbours() {
        for (address, network) in [
            ("203.0.113.7", "203.0.113.0/24"),
            ("203.0.113.255", "203.0.113.0/24"),
            ("::ffff:203.0.113.9", "203.0.113.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
            ("::1", "::/48"),
        ] {
            assert_eq!(Network::of(address.parse().expect("an address")).to_string(), network);
        }
    }

    #[test]
    fn days_begin_at_midnight_in_utc() {
        let late: Timestamp = "2026-01-31T23:59:59.999999Z".parse().expect("good");
        let day = UtcDay::of(late);
        assert_eq!(day.to_string(), "2026-01-31");
        assert_eq!(day.start().to_string(), "2026-01-31T00:00:00Z");
        assert_eq!("2026-01-31".parse::<UtcDay>(), Ok(day));
        assert_eq!(UtcDay::from_number(day.number()), Ok(day));
        assert_eq!(day.minus(31).to_string(), "2025-12-31");
        assert!(UtcDay::from_number(i64::MAX).is_err());
        assert!("2026-02-30".parse::<UtcDay>().is_err());
        assert_eq!(UtcDay::of("1969-12-31T23:00:00Z".parse().expect("good")).number(), -1);
    }
}
