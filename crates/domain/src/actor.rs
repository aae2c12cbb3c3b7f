//! Who did something.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, KeyId, PlatformKeyId};

/// Who caused a change, as the audit trail and the rows keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Actor {
    /// A business's key, over the API.
    Key {
        /// Which key.
        id: KeyId,
        /// Which of its secret versions was presented.
        version: u32,
    },
    /// One of the operator's keys, over the API.
    PlatformKey {
        /// Which key.
        id: PlatformKeyId,
    },
    /// A person, signed in to the dashboard.
    Member {
        /// Whose account.
        id: AccountId,
    },
    /// A person at the command line.
    Operator {
        /// The system's user name.
        user: String,
        /// What `--actor` said, if anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        actor: Option<String>,
    },
    /// Somebody who pays, on the hosted page.
    Payer,
    /// The program itself: a job, the first start.
    System,
}
