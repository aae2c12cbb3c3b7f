//! What happened: the names of events and of audited actions.

use serde::{Deserialize, Serialize};

use crate::text::text_enum;

text_enum! {
    /// What happened to a business or to one of its keys.
    EventType {
        /// A business was created.
        BusinessCreated = "business.created",
        /// A business was changed.
        BusinessUpdated = "business.updated",
        /// A business was suspended.
        BusinessSuspended = "business.suspended",
        /// A business was resumed.
        BusinessResumed = "business.resumed",
        /// A key was made.
        KeyCreated = "key.created",
        /// A key was taken over from another system.
        KeyImported = "key.imported",
        /// A key was changed.
        KeyUpdated = "key.updated",
        /// A key got a new value.
        KeyRotated = "key.rotated",
        /// A key's value was read again.
        KeyRevealed = "key.revealed",
        /// A key was revoked.
        KeyRevoked = "key.revoked",
    }
}

text_enum! {
    /// What the audit trail knows beside the events.
    AuditAction {
        /// A platform key was made.
        PlatformKeyCreated = "platform_key.created",
        /// A platform key was revoked.
        PlatformKeyRevoked = "platform_key.revoked",
        /// The pepper or the key-encryption key got a new version.
        SecretsRotated = "secrets.rotated",
    }
}
