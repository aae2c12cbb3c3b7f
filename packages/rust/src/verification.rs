//! Who calls.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use secrecy::SecretString;

use crate::text::{is_word, texts, words};

texts! {
    /// The id of a business.
    BusinessId: "business id", is_word, 255, " without a comma";
    /// The id of a key, which is not its value: it may be logged and shown.
    KeyId: "key id", is_word, 255, " without a comma";
    /// A permission, `resource:action`.
    Scope: "scope", is_word, 255, " without a comma";
    /// The reference of a decision, under which the business that owns the key finds the reason of a refusal.
    RequestId: "request id", is_word, 255, " without a comma";
}

words! {
    /// What a key acts on.
    Environment: "environment" {
        /// Nothing here is real.
        Test = "test",
        /// Real money.
        Live = "live",
    }
    /// Where a key is made to be.
    KeyKind: "kind of key" {
        /// In backends.
        Secret = "secret",
        /// In pages, where everybody sees it.
        Checkout = "checkout",
    }
}

/// What is known of a key that is good.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Verification {
    /// The business that it belongs to.
    pub business_id: BusinessId,
    /// What it acts on.
    pub environment: Environment,
    /// Where it is made to be.
    pub kind: KeyKind,
    /// Its id.
    pub key_id: KeyId,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The notes kept beside the key.
    pub metadata: BTreeMap<String, String>,
    /// The notes kept beside the business.
    pub business_metadata: BTreeMap<String, String>,
    /// The reference of the decision; that of the first one, where it was kept.
    pub request_id: Option<RequestId>,
    /// The same, signed, where an audience was named: a JSON Web Token of one minute to hand on to that upstream.
    pub assertion: Option<SecretString>,
}

impl Verification {
    /// A key without scopes and notes: what tests of handlers begin from.
    pub const fn new(business_id: BusinessId, environment: Environment, kind: KeyKind, key_id: KeyId) -> Self {
        Self {
            business_id,
            environment,
            kind,
            key_id,
            scopes: Vec::new(),
            metadata: BTreeMap::new(),
            business_metadata: BTreeMap::new(),
            request_id: None,
            assertion: None,
        }
    }

    /// Whether the key may do this. A layer demands it before the handler runs; this is for what depends on the request.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|had| had == scope)
    }
}

/// Proof that the key of a request is good: in the extensions of every request behind a [`VerifyLayer`]. A clone is the
/// same one.
///
/// [`VerifyLayer`]: crate::VerifyLayer
#[derive(Debug, Clone)]
pub struct Verified(Arc<Verification>);

impl From<Verification> for Verified {
    fn from(verification: Verification) -> Self {
        Self(Arc::new(verification))
    }
}

impl Deref for Verified {
    type Target = Verification;

    fn deref(&self) -> &Verification {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_would_demand_nothing_or_more_are_none() {
        for text in ["", " ", "a b", "a,b", "\u{e9}", "a\n", &"x".repeat(256)] {
            text.parse::<Scope>().expect_err(text);
            text.parse::<BusinessId>().expect_err(text);
        }
        assert_eq!("payments:read".parse(), Ok(Scope::from_static("payments:read")));
        let said = "".parse::<Scope>().expect_err("empty").to_string();
        assert_eq!(said, "a scope is 1 to 255 visible ASCII characters without a comma");
    }

    #[test]
    fn an_assertion_is_not_printed() {
        let mut who = Verification::new(
            BusinessId::from_static("17"),
            Environment::Test,
            KeyKind::Secret,
            KeyId::from_static("key_1"),
        );
        who.assertion = Some("a.b.canary".into());
        let printed = format!("{:?}", Verified::from(who));
        assert!(!printed.contains("canary"), "{printed}");
        assert!(printed.contains("key_1"), "{printed}");
    }
}
