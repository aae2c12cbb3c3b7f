//! Identifiers: one type per entity, each with a visible prefix.

use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The alphabet of Crockford's base 32, in the one spelling that is accepted.
const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 128 bits in base 32.
const BODY_LEN: usize = 26;

/// A text that is no identifier of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Another prefix, or none.
    #[error("does not begin with {0}")]
    Prefix(&'static str),
    /// Not 26 characters of Crockford's base 32 in lower case, or more than 128 bits.
    #[error("the part after the prefix is not 26 characters of Crockford's base 32")]
    Body,
}

fn encode(mut bits: u128) -> [u8; BODY_LEN] {
    let mut body = [b'0'; BODY_LEN];
    for slot in body.iter_mut().rev() {
        *slot = CROCKFORD[usize::from((bits & 31) as u8)];
        bits >>= 5;
    }
    body
}

fn decode(body: &str) -> Result<u128, InvalidId> {
    // 26 digits hold 130 bits: the first one may only be 0 to 7.
    if body.len() != BODY_LEN || body.as_bytes()[0] > b'7' {
        return Err(InvalidId::Body);
    }
    body.bytes().try_fold(0u128, |bits, byte| {
        let digit = CROCKFORD.iter().position(|known| *known == byte).ok_or(InvalidId::Body)?;
        Ok((bits << 5) | digit as u128)
    })
}

/// The 128 bits of an id that sorts by time: 48 bits of milliseconds, 80 random bits.
fn time_ordered(now: Timestamp, random: [u8; 10]) -> u128 {
    let millis = u128::try_from(now.as_micros().max(0) / 1_000).expect("not negative") & ((1 << 48) - 1);
    random.iter().fold(millis, |bits, byte| (bits << 8) | u128::from(*byte))
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;

            /// An id that sorts by its time of creation (48 bits), then by chance (80 bits).
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                Self(time_ordered(now, random))
            }

            /// The id of these 128 bits.
            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            /// The 128 bits themselves, for dialects that write them another way.
            pub const fn bits(self) -> u128 {
                self.0
            }

            /// The text form, which is ASCII, without an allocation.
            pub fn to_text(self) -> [u8; $prefix.len() + BODY_LEN] {
                let mut text = [0; $prefix.len() + BODY_LEN];
                let (prefix, body) = text.split_at_mut($prefix.len());
                prefix.copy_from_slice($prefix.as_bytes());
                body.copy_from_slice(&encode(self.0));
                text
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let body = text.strip_prefix($prefix).ok_or(InvalidId::Prefix($prefix))?;
                decode(body).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(std::str::from_utf8(&self.to_text()).expect("the alphabet is ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// An API key of a business. It stays the same over rotations.
    KeyId,
    "key_"
);
id!(
    /// A key of the platform's operator.
    PlatformKeyId,
    "pk_"
);
id!(
    /// A server, from its start to its end.
    NodeId,
    "node_"
);
id!(
    /// Something that happened.
    EventId,
    "evt_"
);
id!(
    /// One entry of the audit trail.
    AuditId,
    "aud_"
);
id!(
    /// A person's account.
    AccountId,
    "acc_"
);
id!(
    /// The public handle of a session, for the list of sessions and their end; never the secret of the cookie.
    SessionId,
    "ses_"
);
id!(
    /// An invitation to a business or to the platform.
    InvitationId,
    "ivt_"
);
id!(
    /// A passkey of an account.
    PasskeyId,
    "psk_"
);
id!(
    /// A mail to a person.
    MailId,
    "mai_"
);
id!(
    /// A webhook endpoint of a business.
    WebhookEndpointId,
    "whe_"
);
id!(
    /// One event on its way to one webhook endpoint.
    DeliveryId,
    "whd_"
);
id!(
    /// Something that came in on a ledger.
    DepositId,
    "dep_"
);
id!(
    /// A comparison of a network's balances with what was counted.
    ReconciliationId,
    "rcn_"
);
id!(
    /// Money that is given back.
    RefundId,
    "rfd_"
);

macro_rules! unguessable_id {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        id!($(#[$meta])* $name, $prefix);

        impl $name {
            /// An id of nothing but chance: whoever is shown it cannot guess another one.
            pub const fn random(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }
        }
    };
}

unguessable_id!(
    /// A payment link.
    PaymentLinkId,
    "plink_"
);
unguessable_id!(
    /// An invoice.
    InvoiceId,
    "inv_"
);
unguessable_id!(
    /// A recurring payment.
    RecurringPaymentId,
    "rec_"
);
unguessable_id!(
    /// One attempt to pay.
    PaymentId,
    "pay_"
);

impl KeyId {
    /// The same 128 bits as a GUID, which is how Codat's clients name a key.
    pub fn to_guid(self) -> uuid::Uuid {
        uuid::Uuid::from_u128(self.0)
    }

    /// The key that a GUID of Codat's clients names.
    pub fn from_guid(guid: uuid::Uuid) -> Self {
        Self(guid.as_u128())
    }
}

/// The id of one request: 32 hexadecimal digits, the reference of a refusal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u128);

impl RequestId {
    /// The id of these random bits.
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// Its 32 hexadecimal digits, in lower case.
    pub fn to_hex(self) -> [u8; 32] {
        let mut digits = [0; 32];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(self.0.to_be_bytes()) {
            *pair = [byte >> 4, byte & 0xf].map(|digit| b"0123456789abcdef"[usize::from(digit)]);
        }
        digits
    }

    /// Its bits, of which all are random.
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl FromStr for RequestId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let shaped = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !shaped {
            return Err(InvalidId::Body);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| InvalidId::Body)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(std::str::from_utf8(&self.to_hex()).expect("hexadecimal digits are ASCII"))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for RequestId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The tenant's only id: a UUID, digits, or what the operator brought from elsewhere.
///
/// 1 to 64 letters, digits and dashes, never a colon, so that it fits a Basic user name (RFC 7617 section 2).
/// The text lies in the value itself: whoever reads it takes no way to another place in memory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BusinessId(ArrayString<LONGEST_BUSINESS_ID>);

/// The characters that the longest one has.
const LONGEST_BUSINESS_ID: usize = 64;

/// A text that is no business id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a business id is 1 to 64 letters, digits and dashes")]
pub struct InvalidBusinessId;

impl BusinessId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A random UUID (version 4, RFC 9562 section 5.4) in lower case.
    pub fn random_uuid(random: [u8; 16]) -> Self {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let text = uuid::Builder::from_random_bytes(random).as_uuid().hyphenated().encode_lower(&mut text);
        Self(ArrayString::from(text).expect("shorter than the longest"))
    }
}

impl FromStr for BusinessId {
    type Err = InvalidBusinessId;

    fn from_str(text: &str) -> Result<Self, InvalidBusinessId> {
        let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let id = ArrayString::from(text).ok().filter(|_| good);
        id.map(Self).ok_or(InvalidBusinessId)
    }
}

impl fmt::Display for BusinessId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for BusinessId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for BusinessId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for BusinessId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        let id = KeyId::from_bits(u128::MAX);
        assert_eq!(id.to_string(), "key_7zzzzzzzzzzzzzzzzzzzzzzzzz");
        for bad in [
            "key_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "key_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "key_7zzzzzzzzzzzzzzzzzzzzzzzz",
            "key_7zzzzzzzzzzzzzzzzzzzzzzzzzz",
            "key_7zzzzzzzzzzzzzzzzzzzzzzzzi",
            "evt_7zzzzzzzzzzzzzzzzzzzzzzzzz",
            "key_",
            "",
        ] {
            assert!(bad.parse::<KeyId>().is_err(), "{bad} must be refused");
        }
    }

    #[test]
    fn business_ids_carry_nothing_that_a_header_could_split() {
        for good in ["b0b5f5d2-7a37-4b0c-9a35-8f2f6bd6d2a1", "17616983000123", "a"] {
            assert!(good.parse::<BusinessId>().is_ok(), "{good}");
        }
        for bad in ["", "a:b", "a b", "é", "a\0", "a_b", &"x".repeat(65)] {
            assert!(bad.parse::<BusinessId>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn ids_round_trip(bits: u128) {
            let id = KeyId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse::<KeyId>(), Ok(id));
            prop_assert_eq!(KeyId::from_guid(id.to_guid()), id);
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = text.parse::<KeyId>();
            let _ = text.parse::<RequestId>();
            let _ = text.parse::<BusinessId>();
        }

        #[test]
        fn later_ids_sort_later(millis in 0i64..4_000_000_000_000, random: [u8; 10]) {
            let early = Timestamp::from_micros(millis * 1_000).expect("in range");
            let late = Timestamp::from_micros((millis + 1) * 1_000).expect("in range");
            prop_assert!(EventId::new(early, random).to_string() < EventId::new(late, random).to_string());
        }
    }
}
