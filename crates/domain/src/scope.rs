//! Scopes: what a key may do (RFC 6749 section 3.3).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::keys::KeyKind;

/// One permission, `resource:action`, in lower-case letters, digits and underscores.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Scope(String);

/// A text that is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scope is `resource:action` in lower-case letters, digits and underscores, 64 characters at most")]
pub struct InvalidScope;

impl Scope {
    /// The scope as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One of our own scopes.
    pub fn built_in(scope: BuiltIn) -> Self {
        Self(scope.as_str().to_owned())
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let word = |part: &str| {
            part.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
                && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        };
        match text.split_once(':') {
            Some((resource, action)) if text.len() <= 64 && word(resource) && word(action) => Ok(Self(text.to_owned())),
            _ => Err(InvalidScope),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

crate::text::text_enum! {
    /// The scopes of our own API.
    BuiltIn {
        /// Read payment links.
        PaymentLinksRead = "payment_links:read",
        /// Create, change and delete payment links.
        PaymentLinksWrite = "payment_links:write",
        /// Read invoices.
        InvoicesRead = "invoices:read",
        /// Create, change and void invoices.
        InvoicesWrite = "invoices:write",
        /// Read recurring payments.
        RecurringPaymentsRead = "recurring_payments:read",
        /// Create, change and cancel recurring payments.
        RecurringPaymentsWrite = "recurring_payments:write",
        /// Read payments.
        PaymentsRead = "payments:read",
        /// Change payments.
        PaymentsWrite = "payments:write",
        /// Read refunds.
        RefundsRead = "refunds:read",
        /// Ask for refunds, cancel them, and say by which transaction they were carried out.
        RefundsWrite = "refunds:write",
        /// Start a payment.
        CheckoutStart = "checkout:start",
        /// Read the status of a payment.
        CheckoutStatus = "checkout:status",
        /// List and read keys.
        KeysRead = "keys:read",
        /// Create, change, rotate, reveal and revoke keys.
        KeysWrite = "keys:write",
        /// Read webhook endpoints.
        WebhooksRead = "webhooks:read",
        /// Register, change and remove webhook endpoints.
        WebhooksWrite = "webhooks:write",
        /// Read events and the reasons of refusals.
        EventsRead = "events:read",
    }
}

impl BuiltIn {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 17] = [
        Self::PaymentLinksRead,
        Self::PaymentLinksWrite,
        Self::InvoicesRead,
        Self::InvoicesWrite,
        Self::RecurringPaymentsRead,
        Self::RecurringPaymentsWrite,
        Self::PaymentsRead,
        Self::PaymentsWrite,
        Self::RefundsRead,
        Self::RefundsWrite,
        Self::CheckoutStart,
        Self::CheckoutStatus,
        Self::KeysRead,
        Self::KeysWrite,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::EventsRead,
    ];

    /// Whether a checkout key has it: the two that a browser may use, and nothing else.
    pub const fn fits_checkout(self) -> bool {
        matches!(self, Self::CheckoutStart | Self::CheckoutStatus)
    }

    /// Whether a secret key has it unless chosen otherwise. A found key must not breed, nor say to whom the merchant is
    /// to send money.
    pub const fn is_default(self) -> bool {
        !matches!(self, Self::KeysWrite | Self::WebhooksWrite | Self::RefundsWrite)
    }
}

/// A set of scopes; empty means that the key may do nothing that asks for one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeSet(BTreeSet<Scope>);

impl ScopeSet {
    /// Whether `scope` is in the set.
    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }

    /// Whether one of our own scopes is in the set.
    pub fn allows(&self, scope: BuiltIn) -> bool {
        self.0.iter().any(|held| held.as_str() == scope.as_str())
    }

    /// The first of these scopes that `other` lacks.
    pub fn first_beyond<'a>(&'a self, other: &Self) -> Option<&'a Scope> {
        self.0.iter().find(|scope| !other.contains(scope))
    }

    /// The scopes that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// The scopes, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

/// A scope that the operator named for an API of the platform's own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorScope {
    /// Its name.
    pub name: Scope,
    /// What it allows, in English.
    pub description_en: String,
    /// What it allows, in French.
    pub description_fr: String,
    /// Whether a checkout key may have it.
    #[serde(default)]
    pub checkout: bool,
}

/// Every scope that a key of this installation can have.
#[derive(Debug, Clone, Default)]
pub struct ScopeCatalogue {
    operator: BTreeMap<Scope, OperatorScope>,
}

/// A scope that cannot be granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeRefused {
    /// Neither ours nor named by the operator.
    #[error("there is no scope {0}")]
    Unknown(Scope),
    /// Not for this kind of key.
    #[error("a checkout key cannot have the scope {0}")]
    NotForCheckout(Scope),
    /// The operator named a scope that is ours, or one twice.
    #[error("the scope {0} is already defined")]
    Duplicate(Scope),
}

impl ScopeCatalogue {
    /// Our own scopes and those of the operator.
    ///
    /// # Errors
    /// [`ScopeRefused::Duplicate`] if one is ours already or is named twice.
    pub fn new(operator: Vec<OperatorScope>) -> Result<Self, ScopeRefused> {
        let mut named = BTreeMap::new();
        for scope in operator {
            let taken = scope.name.as_str().parse::<BuiltIn>().is_ok() || named.contains_key(&scope.name);
            if taken {
                return Err(ScopeRefused::Duplicate(scope.name));
            }
            named.insert(scope.name.clone(), scope);
        }
        Ok(Self { operator: named })
    }

    /// The scopes of the operator, sorted by name.
    pub fn operator_scopes(&self) -> impl Iterator<Item = &OperatorScope> {
        self.operator.values()
    }

    /// What a key of this kind has unless chosen otherwise. Operator scopes are always chosen.
    pub fn default_for(&self, kind: KeyKind) -> ScopeSet {
        BuiltIn::ALL
            .into_iter()
            .filter(|scope| match kind {
                KeyKind::Secret => scope.is_default(),
                KeyKind::Checkout => scope.fits_checkout(),
            })
            .map(Scope::built_in)
            .collect()
    }

    /// Whether every one of `scopes` exists and a key of this kind can have it.
    pub fn check(&self, scopes: &ScopeSet, kind: KeyKind) -> Result<(), ScopeRefused> {
        for scope in scopes.iter() {
            let fits_checkout = match scope.as_str().parse::<BuiltIn>() {
                Ok(built_in) => built_in.fits_checkout(),
                Err(_) => match self.operator.get(scope) {
                    Some(operator) => operator.checkout,
                    None => return Err(ScopeRefused::Unknown(scope.clone())),
                },
            };
            if kind == KeyKind::Checkout && !fits_checkout {
                return Err(ScopeRefused::NotForCheckout(scope.clone()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().expect("a good scope")
    }

    #[test]
    fn scopes_are_strict() {
        for bad in ["", "a", "a:", ":b", "A:b", "a:b:c", "a b:c", "a-b:c", "1a:b"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
        assert!("ledger_2:post".parse::<Scope>().is_ok());
    }

    #[test]
    fn a_found_key_does_not_breed_and_a_checkout_key_only_pays() {
        let catalogue = ScopeCatalogue::default();
        let secret = catalogue.default_for(KeyKind::Secret);
        assert!(!secret.allows(BuiltIn::KeysWrite) && !secret.allows(BuiltIn::WebhooksWrite));
        assert!(secret.allows(BuiltIn::KeysRead) && secret.allows(BuiltIn::CheckoutStart));
        assert!(secret.allows(BuiltIn::RefundsRead) && !secret.allows(BuiltIn::RefundsWrite));
        let checkout = catalogue.default_for(KeyKind::Checkout);
        assert_eq!(checkout.iter().map(Scope::as_str).collect::<Vec<_>>(), ["checkout:start", "checkout:status"]);
    }

    #[test]
    fn the_catalogue_knows_the_operators_scopes_and_no_others() {
        let ledger = |checkout| OperatorScope {
            name: scope("ledger:post"),
            description_en: "Post to the ledger".to_owned(),
            description_fr: "Écrire au grand livre".to_owned(),
            checkout,
        };
        let catalogue = ScopeCatalogue::new(vec![ledger(false)]).expect("new");
        let wanted: ScopeSet = [scope("ledger:post")].into_iter().collect();
        assert_eq!(catalogue.check(&wanted, KeyKind::Secret), Ok(()));
        assert_eq!(
            catalogue.check(&wanted, KeyKind::Checkout),
            Err(ScopeRefused::NotForCheckout(scope("ledger:post")))
        );
        let unknown: ScopeSet = [scope("ledger:read")].into_iter().collect();
        assert!(catalogue.check(&unknown, KeyKind::Secret).is_err());
        assert!(ScopeCatalogue::new(vec![ledger(true), ledger(true)]).is_err());
        let ours = OperatorScope { name: scope("keys:write"), ..ledger(true) };
        assert!(ScopeCatalogue::new(vec![ours]).is_err());
    }
}
