//! The operator's own keys.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::text::text_enum;

text_enum! {
    /// What a platform key may do.
    PlatformScope {
        /// Ask whether a key is good.
        Verify = "verify",
        /// Manage businesses and their keys.
        Manage = "manage",
    }
}

/// The scopes of a platform key; both unless narrowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlatformScopes(BTreeSet<PlatformScope>);

impl PlatformScopes {
    /// Whether it may do this.
    pub fn allows(&self, scope: PlatformScope) -> bool {
        self.0.contains(&scope)
    }

    /// The scopes in their order.
    pub fn iter(&self) -> impl Iterator<Item = PlatformScope> {
        self.0.iter().copied()
    }
}

impl Default for PlatformScopes {
    fn default() -> Self {
        [PlatformScope::Verify, PlatformScope::Manage].into_iter().collect()
    }
}

impl FromIterator<PlatformScope> for PlatformScopes {
    fn from_iter<I: IntoIterator<Item = PlatformScope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}
