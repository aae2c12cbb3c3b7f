//! What our own dialect reads and writes. Domain types never reach the wire by themselves.

pub mod businesses;
pub mod codat;
pub mod keys;
pub mod limits;
pub mod payables;
pub mod payline;
pub mod payments;
pub mod payout_plans;
pub mod refunds;
pub mod webhooks;

use serde::{Deserialize, Deserializer};

use crate::problem::Faults;

/// A member of a `PATCH`: left out, cleared, or set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// Not in the body: stays as it is.
    #[default]
    Absent,
    /// `null`: becomes empty.
    Null,
    /// Becomes this.
    To(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Null, Self::To))
    }
}

impl<T> Change<T> {
    /// The new value; a note where the member cannot be cleared.
    fn required(self, pointer: &str, faults: &mut Faults) -> Option<T> {
        match self {
            Self::Absent => None,
            Self::Null => {
                faults.unreadable(pointer, "cannot be null");
                None
            }
            Self::To(value) => Some(value),
        }
    }

    /// The same change with its value read: the outer `None` leaves it as it is, the inner one clears it.
    #[expect(clippy::option_option, reason = "unchanged, cleared and set are three things")]
    fn read<U>(self, read: impl FnOnce(T) -> Option<U>) -> Option<Option<U>> {
        match self {
            Self::Absent => None,
            Self::Null => Some(None),
            Self::To(value) => read(value).map(Some),
        }
    }
}

/// Each of `texts`, read; a note at its own pointer for each that cannot be.
fn read_all<T: std::str::FromStr<Err: std::fmt::Display>, C: FromIterator<T>>(
    pointer: &str,
    texts: &[String],
    most: usize,
    faults: &mut Faults,
) -> C {
    if texts.len() > most {
        faults.senseless(pointer, format!("has more than {most} entries"));
        return std::iter::empty().collect();
    }
    texts
        .iter()
        .enumerate()
        .filter_map(|(index, text)| match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                faults.senseless(&format!("{pointer}/{index}"), T::Err::to_string(&error));
                None
            }
        })
        .collect()
}

/// One page of a list.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct List<T> {
    /// The entries, newest first unless asked for otherwise.
    pub data: Vec<T>,
    /// Whether there are more after these.
    pub has_more: bool,
}

/// A body without members.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}
