//! Businesses: the tenants.

use serde::{Deserialize, Serialize};

use crate::text::text_enum;

text_enum! {
    /// The language that a business's people are addressed in.
    Language {
        /// English.
        English = "en",
        /// French.
        French = "fr",
    }
}

text_enum! {
    /// Whether the business is open.
    BusinessStatus {
        /// Its keys are accepted.
        Active = "active",
        /// Its keys are refused; nothing of it changes.
        Suspended = "suspended",
    }
}
