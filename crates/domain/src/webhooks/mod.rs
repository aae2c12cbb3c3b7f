//! Webhooks: who is told of what, where, how it is signed and when it is tried again.

pub mod address;
pub mod message;
pub mod schedule;
pub mod signature;
pub mod target;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::events::EventType;
use crate::text::{UnknownWord, clean, text_enum, text_type};

text_type!(
    /// What people say of an endpoint.
    EndpointDescription,
    200
);

impl EndpointDescription {
    /// A description that may be left out: blank means none.
    pub fn parse_optional(text: &str) -> Result<Option<Self>, crate::text::InvalidText> {
        if text.trim().is_empty() { Ok(None) } else { clean(text, Self::MAX_CHARACTERS).map(|text| Some(Self(text))) }
    }
}

text_enum! {
    /// How messages to an endpoint look.
    Dialect {
        /// Ours: every event, as Standard Webhooks proposes.
        Standard = "standard",
        /// Mileston's: three events of paid things, with a token in a header.
        Mileston = "mileston",
    }
}

text_enum! {
    /// Whether messages are sent.
    EndpointState {
        /// They are.
        Enabled = "enabled",
        /// They are not, and what waits is kept until they are again.
        Disabled = "disabled",
    }
}

text_enum! {
    /// Why an endpoint is disabled.
    DisabledReason {
        /// Somebody switched it off.
        Manual = "manual",
        /// The receiver answered 410: it is gone for good.
        Gone = "gone",
        /// Nothing was taken for three days.
        Failing = "failing",
    }
}

text_enum! {
    /// Where a delivery stands.
    DeliveryState {
        /// It will be tried, for the first time or again.
        Pending = "pending",
        /// The receiver took it.
        Delivered = "delivered",
        /// It was tried as often as the schedule says, or the receiver is gone.
        Failed = "failed",
    }
}

text_enum! {
    /// The events of Mileston's dialect.
    MilestonEvent {
        /// An invoice was paid.
        InvoicePaid = "invoice-paid",
        /// A payment link was paid.
        PaymentLinkPaid = "paymentlink-paid",
        /// A period of a recurring payment was paid.
        RecurringPaid = "recurring-paid",
    }
}

/// A type of event that a webhook can tell of. A test message goes where it is sent, asked for or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebhookEvent(EventType);

impl WebhookEvent {
    /// The type's name.
    pub const fn as_str(self) -> &'static str {
        self.0.as_str()
    }

    /// All types that can be asked for: those of payments first.
    pub fn all() -> impl Iterator<Item = Self> {
        let is_payment = |event: &EventType| event.as_str().starts_with("payment.");
        let asked_for = EventType::VOCABULARY.iter().copied().filter(|event| *event != EventType::WebhookTest);
        let (payments, others): (Vec<_>, Vec<_>) = asked_for.partition(is_payment);
        payments.into_iter().chain(others).map(Self)
    }
}

impl fmt::Display for WebhookEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for WebhookEvent {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::all()
            .find(|event| event.as_str() == text)
            .ok_or(UnknownWord { known: "the types of events, such as payment.succeeded" })
    }
}

impl Serialize for WebhookEvent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for WebhookEvent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What an endpoint wants to hear of, in its dialect; an empty set is everything that the dialect has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscription {
    /// These types of events.
    Standard(BTreeSet<WebhookEvent>),
    /// These of Mileston's.
    Mileston(BTreeSet<MilestonEvent>),
}

/// A type that the dialect does not have: which one of the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no type of event that this dialect has")]
pub struct UnknownEventType {
    /// Its place in the list, from 0.
    pub index: usize,
}

impl Subscription {
    /// Reads names.
    ///
    /// # Errors
    /// For the first name that the dialect does not have.
    pub fn parse<T: AsRef<str>>(dialect: Dialect, names: &[T]) -> Result<Self, UnknownEventType> {
        fn read<E: FromStr + Ord, T: AsRef<str>>(names: &[T]) -> Result<BTreeSet<E>, UnknownEventType> {
            let read = |(index, name): (usize, &T)| name.as_ref().parse::<E>().map_err(|_| UnknownEventType { index });
            names.iter().enumerate().map(read).collect()
        }
        Ok(match dialect {
            Dialect::Standard => Self::Standard(read(names)?),
            Dialect::Mileston => Self::Mileston(read(names)?),
        })
    }

    /// The dialect.
    pub const fn dialect(&self) -> Dialect {
        match self {
            Self::Standard(_) => Dialect::Standard,
            Self::Mileston(_) => Dialect::Mileston,
        }
    }

    /// The names; none of them means all.
    pub fn names(&self) -> Vec<&'static str> {
        match self {
            Self::Standard(events) => events.iter().map(|event| event.as_str()).collect(),
            Self::Mileston(events) => events.iter().map(|event| event.as_str()).collect(),
        }
    }

    /// Whether an endpoint with this subscription is told of an event.
    pub fn wants(&self, event: &message::Announcement<'_>) -> bool {
        match self {
            Self::Standard(events) => {
                event.kind.parse::<WebhookEvent>().is_ok_and(|kind| events.is_empty() || events.contains(&kind))
            }
            Self::Mileston(events) => {
                event.mileston_event().is_some_and(|kind| events.is_empty() || events.contains(&kind))
            }
        }
    }
}
