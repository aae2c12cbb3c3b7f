//! People: what they are called, and the one table of what each role may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::{clean, text_enum, text_type};

text_enum! {
    /// What a member is in a business.
    Role {
        /// Everything, people included.
        Administrator = "administrator",
        /// Keys, and finding out why a call was refused.
        Developer = "developer",
        /// Figures; nothing of keys.
        Analyst = "analyst",
    }
}

text_enum! {
    /// What a page or a use case asks of a role.
    Operation {
        /// See the home page, the business's id and its settings.
        BusinessRead = "business:read",
        /// See payments and what is to be paid.
        PaymentsRead = "payments:read",
        /// Make and change what is to be paid, and decide on payments.
        PaymentsWrite = "payments:write",
        /// See keys at all.
        KeysRead = "keys:read",
        /// Create, change, rotate, reveal, copy and revoke keys.
        KeysWrite = "keys:write",
        /// See the request log, refusals, events and usage.
        LogsRead = "logs:read",
        /// Change the business's settings.
        BusinessWrite = "business:write",
        /// See members and invitations.
        MembersRead = "members:read",
        /// Invite, change and remove members.
        MembersWrite = "members:write",
        /// See webhook endpoints and their deliveries.
        WebhooksRead = "webhooks:read",
        /// Register, change, test and remove webhook endpoints, and send again.
        WebhooksWrite = "webhooks:write",
    }
}

text_enum! {
    /// What a member can be told of by mail.
    Notice {
        /// A LIVE key was made.
        LiveKeyCreated = "live_key.created",
        /// A LIVE key can do more than before.
        LiveKeyWidened = "live_key.widened",
        /// A LIVE key got a new value.
        LiveKeyRotated = "live_key.rotated",
        /// The value of a LIVE key was read again.
        LiveKeyRevealed = "live_key.revealed",
        /// A LIVE key was revoked.
        LiveKeyRevoked = "live_key.revoked",
        /// Somebody became a member.
        MemberAdded = "member.added",
        /// A key is about to end.
        KeyEnding = "key.ending",
        /// A key was used from a network for the first time.
        NewNetwork = "key.new_network",
        /// A webhook endpoint was disabled.
        WebhookDisabled = "webhook.disabled",
    }
}

impl Notice {
    /// All notices.
    pub const ALL: [Self; 9] = [
        Self::LiveKeyCreated,
        Self::LiveKeyWidened,
        Self::LiveKeyRotated,
        Self::LiveKeyRevealed,
        Self::LiveKeyRevoked,
        Self::MemberAdded,
        Self::KeyEnding,
        Self::NewNetwork,
        Self::WebhookDisabled,
    ];

    /// What the role must be allowed, to be told of this: nobody hears of what their pages do not show.
    pub const fn operation(self) -> Operation {
        match self {
            Self::LiveKeyCreated
            | Self::LiveKeyWidened
            | Self::LiveKeyRotated
            | Self::LiveKeyRevealed
            | Self::LiveKeyRevoked
            | Self::KeyEnding
            | Self::NewNetwork => Operation::KeysRead,
            Self::MemberAdded => Operation::MembersRead,
            Self::WebhookDisabled => Operation::WebhooksRead,
        }
    }
}

impl Role {
    /// All roles, the most powerful first.
    pub const ALL: [Self; 3] = [Self::Administrator, Self::Developer, Self::Analyst];

    /// Whether this role may do it. Nothing is allowed that does not stand here.
    pub const fn may(self, operation: Operation) -> bool {
        use Operation::{
            BusinessRead, BusinessWrite, KeysRead, KeysWrite, LogsRead, MembersRead, MembersWrite, PaymentsRead,
            PaymentsWrite, WebhooksRead, WebhooksWrite,
        };
        match (self, operation) {
            (Self::Administrator | Self::Developer | Self::Analyst, BusinessRead | PaymentsRead)
            | (
                Self::Administrator | Self::Developer,
                PaymentsWrite | KeysRead | KeysWrite | LogsRead | MembersRead | WebhooksRead | WebhooksWrite,
            )
            | (Self::Administrator, BusinessWrite | MembersWrite) => true,
            (Self::Developer, BusinessWrite | MembersWrite)
            | (
                Self::Analyst,
                PaymentsWrite | KeysRead | KeysWrite | LogsRead | BusinessWrite | MembersRead | MembersWrite
                | WebhooksRead | WebhooksWrite,
            ) => false,
        }
    }
}

impl Operation {
    /// All operations.
    pub const ALL: [Self; 11] = [
        Self::BusinessRead,
        Self::PaymentsRead,
        Self::PaymentsWrite,
        Self::KeysRead,
        Self::KeysWrite,
        Self::LogsRead,
        Self::BusinessWrite,
        Self::MembersRead,
        Self::MembersWrite,
        Self::WebhooksRead,
        Self::WebhooksWrite,
    ];
}

text_type!(
    /// What a person is called.
    PersonName,
    100
);
text_type!(
    /// What a person calls one of their passkeys.
    PasskeyName,
    50
);

/// An e-mail address: what an account is signed in to with.
///
/// In lower case, at most 254 bytes, one `@` between a local part and a host with a dot or `localhost`. What the
/// receiving side makes of it is known only once somebody has used a link that was sent there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

/// A text that is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address such as name@example.com")]
pub struct InvalidEmailAddress;

impl EmailAddress {
    /// The most bytes (RFC 5321 section 4.5.3.1.3, without its brackets).
    pub const MAX_BYTES: usize = 254;

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.split_once('@').map_or("", |(local, _)| local)
    }
}

/// What a local part may consist of: RFC 5322's `atext`, and letters beyond ASCII (RFC 6531 section 3.3).
fn is_local(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~.".contains(character)
        || (!character.is_ascii() && character.is_alphanumeric())
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c == '-' || c.is_ascii_alphanumeric() || (!c.is_ascii() && c.is_alphanumeric()))
    };
    host == "localhost" || (host.contains('.') && host.split('.').all(label))
}

impl FromStr for EmailAddress {
    type Err = InvalidEmailAddress;

    fn from_str(text: &str) -> Result<Self, InvalidEmailAddress> {
        let clean = clean(text, Self::MAX_BYTES).map_err(|_| InvalidEmailAddress)?.to_lowercase();
        let (local, host) = clean.split_once('@').ok_or(InvalidEmailAddress)?;
        let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
        let good = clean.len() <= Self::MAX_BYTES
            && (1..=64).contains(&local.len())
            && !dots
            && local.chars().all(is_local)
            && is_host(host);
        if good { Ok(Self(clean)) } else { Err(InvalidEmailAddress) }
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A personal datum: it stays out of logs.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EmailAddress")
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same table, written the other way round.
    #[test]
    fn each_role_may_do_what_it_is_for_and_nothing_else() {
        use Operation::{
            BusinessRead, BusinessWrite, KeysRead, KeysWrite, LogsRead, MembersRead, MembersWrite, PaymentsRead,
            PaymentsWrite, WebhooksRead, WebhooksWrite,
        };
        let allowed = |role: Role| -> Vec<Operation> {
            Operation::ALL.into_iter().filter(|operation| role.may(*operation)).collect()
        };
        assert_eq!(allowed(Role::Administrator), Operation::ALL);
        assert_eq!(
            allowed(Role::Developer),
            [
                BusinessRead,
                PaymentsRead,
                PaymentsWrite,
                KeysRead,
                KeysWrite,
                LogsRead,
                MembersRead,
                WebhooksRead,
                WebhooksWrite,
            ]
        );
        assert_eq!(allowed(Role::Analyst), [BusinessRead, PaymentsRead]);
        for operation in [BusinessWrite, MembersWrite] {
            assert!(!Role::Developer.may(operation));
        }
    }

    #[test]
    fn addresses_have_one_spelling() {
        let address: EmailAddress = " Admin@Example.COM ".parse().expect("good");
        assert_eq!(address.as_str(), "admin@example.com");
        assert_eq!(address.local_part(), "admin");
        for good in ["a@b.c", "first.last+tag@sub.example.com", "zoé@exemple.fr", "root@localhost"] {
            assert!(good.parse::<EmailAddress>().is_ok(), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        let longer = format!("a@{}.com", "b".repeat(250));
        for bad in [
            "",
            "@",
            "a",
            "a@",
            "@example.com",
            "a@b@example.com",
            "a b@example.com",
            "a@example",
            "a@.com",
            "a@example..com",
            "a@-example.com",
            ".a@example.com",
            "a..b@example.com",
            "a@example.com\r\nBcc: b@example.com",
            "a\0@example.com",
            "<a@example.com>",
            "a,b@example.com",
            "\u{202e}a@example.com",
            &long,
            &longer,
        ] {
            assert_eq!(bad.parse::<EmailAddress>(), Err(InvalidEmailAddress), "{bad:?}");
        }
    }

    #[test]
    fn an_address_does_not_get_into_a_log_by_accident() {
        let address: EmailAddress = "admin@example.com".parse().expect("good");
        assert_eq!(format!("{address:?}"), "EmailAddress");
    }

    proptest! {
        #[test]
        fn a_kept_address_is_kept_again_unchanged(text in ".{0,20}@[a-zA-Z0-9.é-]{0,20}") {
            if let Ok(address) = text.parse::<EmailAddress>() {
                prop_assert_eq!(address.as_str().parse::<EmailAddress>(), Ok(address.clone()));
            }
        }
    }
}
