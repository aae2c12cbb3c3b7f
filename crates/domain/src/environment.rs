//! The two worlds of a business, and the tenant scope made of both.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::BusinessId;
use crate::text::text_enum;

text_enum! {
    /// One of the two worlds that never meet.
    Environment {
        /// Nothing here is real money.
        Test = "test",
        /// Real money.
        Live = "live",
    }
}

impl Environment {
    /// Both, test first.
    pub const ALL: [Self; 2] = [Self::Test, Self::Live];

    /// The spelling inside a key's text.
    pub const fn in_key_text(self) -> &'static str {
        match self {
            Self::Test => "TEST",
            Self::Live => "LIVE",
        }
    }
}

/// Whose rows, and in which environment: the first argument of everything that touches tenant data.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant {
    /// The business.
    pub business: BusinessId,
    /// Its environment.
    pub environment: Environment,
}

impl Tenant {
    /// The scope of one business in one environment.
    pub const fn new(business: BusinessId, environment: Environment) -> Self {
        Self { business, environment }
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.business, self.environment)
    }
}
