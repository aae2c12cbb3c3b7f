//! Keys of a business: kinds, states, validity, rotation.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text::text_enum;
use crate::time::Timestamp;

text_enum! {
    /// What a key is for.
    KeyKind {
        /// For backends.
        Secret = "secret",
        /// For browsers and apps: may only start a payment and read its status.
        Checkout = "checkout",
    }
}

text_enum! {
    /// The manual switch.
    KeyState {
        /// On.
        Active = "active",
        /// Off.
        Inactive = "inactive",
    }
}

text_enum! {
    /// What the switch, the dates and the revocation amount to at one instant.
    KeyStatus {
        /// In force.
        Active = "active",
        /// Will be in force by the clock alone.
        Scheduled = "scheduled",
        /// Past its end.
        Expired = "expired",
        /// Switched off.
        Inactive = "inactive",
        /// Ended for good.
        Revoked = "revoked",
    }
}

/// A window of validity, `valid_from <= now < valid_until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    from: Timestamp,
    until: Option<Timestamp>,
}

/// An end that is not after the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the end must be after the start")]
pub struct InvalidValidity;

impl Validity {
    /// A window with an end that is after its start, or without an end.
    pub fn new(from: Timestamp, until: Option<Timestamp>) -> Result<Self, InvalidValidity> {
        if until.is_some_and(|until| until <= from) { Err(InvalidValidity) } else { Ok(Self { from, until }) }
    }

    /// The first instant inside.
    pub const fn from(&self) -> Timestamp {
        self.from
    }

    /// The first instant after it, if it ends.
    pub const fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Whether it has begun at `now`.
    pub fn has_begun(&self, now: Timestamp) -> bool {
        self.from <= now
    }

    /// Whether it has ended at `now`.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// What a key's row says of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// The manual switch.
    pub state: KeyState,
    /// The window.
    pub validity: Validity,
    /// Whether it was revoked.
    pub revoked: bool,
}

impl Life {
    /// The derived status at `now`.
    pub fn status_at(&self, now: Timestamp) -> KeyStatus {
        if self.revoked {
            KeyStatus::Revoked
        } else if self.state == KeyState::Inactive {
            KeyStatus::Inactive
        } else if self.validity.has_ended(now) {
            KeyStatus::Expired
        } else if self.validity.has_begun(now) {
            KeyStatus::Active
        } else {
            KeyStatus::Scheduled
        }
    }

    /// Whether it counts against the limit of number at `now`: in force, or going to be by the clock alone.
    pub fn counts_at(&self, now: Timestamp) -> bool {
        matches!(self.status_at(now), KeyStatus::Active | KeyStatus::Scheduled)
    }
}

/// How long the old value stays good after a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// Not at all: both earlier values end now.
    None,
    /// For so long from now on, at most 30 days.
    For(Duration),
    /// Until an instant, at most 30 days from now.
    Until(Timestamp),
}

/// An overlap that is not between now and 30 days from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an overlap lasts at most 30 days and ends in the future")]
pub struct InvalidOverlap;

impl Overlap {
    /// The longest overlap.
    pub const MOST: Duration = Duration::from_hours(30 * 24);

    /// The member of a request that said so.
    pub const fn member(self) -> &'static str {
        match self {
            Self::None | Self::For(_) => "overlap_seconds",
            Self::Until(_) => "overlap_until",
        }
    }

    /// When the old value ends, if it lives on at all; never past the key's own end.
    pub fn ends_at(self, now: Timestamp, validity: &Validity) -> Result<Option<Timestamp>, InvalidOverlap> {
        let wanted = match self {
            Self::None | Self::For(Duration::ZERO) => return Ok(None),
            Self::For(length) if length <= Self::MOST => now.saturating_add(length),
            Self::Until(end) if now < end && end <= now.saturating_add(Self::MOST) => end,
            Self::For(_) | Self::Until(_) => return Err(InvalidOverlap),
        };
        Ok(Some(validity.until().map_or(wanted, |until| until.min(wanted))))
    }
}

/// Which of a key's values a secret version is, at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionLife {
    /// When it was made.
    pub starts_at: Timestamp,
    /// When it ends or ended, if a rotation ended it.
    pub ends_at: Option<Timestamp>,
}

impl VersionLife {
    /// Whether the value is accepted at `now`. An overlap stops exactly at its end.
    pub fn accepts(&self, now: Timestamp) -> bool {
        self.ends_at.is_none_or(|end| now < end)
    }
}

/// 1 to 64 letters, digits, dashes, dots and underscores that name a key to the outside; ours are 20 letters and digits.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ExternalReference(String);

/// A text that is no external reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an external reference is 1 to 64 letters, digits, dashes, dots and underscores")]
pub struct InvalidExternalReference;

impl ExternalReference {
    /// The reference as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A reference of ours.
    pub fn generate(random: &[u8; 256]) -> Self {
        Self(crate::key_text::generate_reference(random))
    }
}

impl FromStr for ExternalReference {
    type Err = InvalidExternalReference;

    fn from_str(text: &str) -> Result<Self, InvalidExternalReference> {
        let good = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        if good { Ok(Self(text.to_owned())) } else { Err(InvalidExternalReference) }
    }
}

impl fmt::Display for ExternalReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for ExternalReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).expect("in range")
    }

    fn life(state: KeyState, from: i64, until: Option<i64>, revoked: bool) -> Life {
        let validity = Validity::new(at(from), until.map(at)).expect("in order");
        Life { state, validity, revoked }
    }

    #[test]
    fn the_window_is_half_open() {
        let key = life(KeyState::Active, 10, Some(20), false);
        let status: Vec<_> = [9, 10, 19, 20].into_iter().map(|second| key.status_at(at(second))).collect();
        assert_eq!(status, [KeyStatus::Scheduled, KeyStatus::Active, KeyStatus::Active, KeyStatus::Expired]);
        assert!(Validity::new(at(10), Some(at(10))).is_err());
    }

    #[test]
    fn revocation_and_the_switch_come_before_the_dates() {
        assert_eq!(life(KeyState::Inactive, 0, Some(1), true).status_at(at(5)), KeyStatus::Revoked);
        assert_eq!(life(KeyState::Inactive, 0, Some(1), false).status_at(at(5)), KeyStatus::Inactive);
    }

    #[test]
    fn an_overlap_never_outlives_the_key_and_lasts_thirty_days_at_most() {
        let open = Validity::new(at(0), None).expect("open");
        let short = Validity::new(at(0), Some(at(150))).expect("in order");
        let hundred = Overlap::For(Duration::from_secs(100));
        assert_eq!(hundred.ends_at(at(100), &open), Ok(Some(at(200))));
        assert_eq!(hundred.ends_at(at(100), &short), Ok(Some(at(150))));
        assert_eq!(Overlap::None.ends_at(at(100), &open), Ok(None));
        assert!(Overlap::For(Overlap::MOST + Duration::from_secs(1)).ends_at(at(0), &open).is_err());
        assert!(Overlap::Until(at(100)).ends_at(at(100), &open).is_err());
        assert!(Overlap::Until(at(31 * 86_400)).ends_at(at(0), &open).is_err());
    }

    proptest! {
        #[test]
        fn an_accepted_value_is_accepted_until_its_end_and_never_after(start in 0i64..1_000, length in 1i64..1_000, now in 0i64..3_000) {
            let version = VersionLife { starts_at: at(start), ends_at: Some(at(start + length)) };
            prop_assert_eq!(version.accepts(at(now)), now < start + length);
        }
    }
}
