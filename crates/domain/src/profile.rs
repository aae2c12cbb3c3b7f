//! Profiles: how the keys of a business look and which rules they follow. Data, with three presets.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::brand::Brand;
use crate::environment::Environment;
use crate::ids::{BusinessId, InvalidBusinessId};
use crate::key_text::{KeyForm, PlainLength, TextClaim, branded_prefix};
use crate::keys::KeyKind;
use crate::scope::{BuiltIn, Scope, ScopeCatalogue, ScopeSet};

/// The name of a profile: 1 to 30 lower-case letters, digits and dashes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ProfileName(String);

/// A text that is no profile name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a profile's name is 1 to 30 lower-case letters, digits and dashes")]
pub struct InvalidProfileName;

impl ProfileName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProfileName {
    type Err = InvalidProfileName;

    fn from_str(text: &str) -> Result<Self, InvalidProfileName> {
        let good =
            (1..=30).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if good { Ok(Self(text.to_owned())) } else { Err(InvalidProfileName) }
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for ProfileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ProfileName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The form of a business id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BusinessIdForm {
    /// A UUID in lower case.
    Uuid,
    /// So many decimal digits, 6 to 20.
    Digits(u8),
}

impl BusinessIdForm {
    /// A fresh id of this form. For digits the first is never zero, so that no system drops it.
    pub fn generate(self, random: [u8; 16]) -> BusinessId {
        match self {
            Self::Uuid => BusinessId::random_uuid(random),
            Self::Digits(count) => {
                let mut rest = u128::from_be_bytes(random);
                let mut digits = String::new();
                for place in 0..count {
                    let base = if place == 0 { 9 } else { 10 };
                    let digit = u8::try_from(rest % base).expect("below ten") + u8::from(place == 0);
                    rest /= base;
                    digits.push(char::from(b'0' + digit));
                }
                digits.parse().expect("6 to 20 digits are a business id")
            }
        }
    }

    /// Reads an id that the operator chose.
    ///
    /// # Errors
    /// If it has another form.
    pub fn parse(self, text: &str) -> Result<BusinessId, InvalidBusinessId> {
        let good = match self {
            Self::Uuid => uuid::Uuid::parse_str(text).is_ok_and(|uuid| uuid.hyphenated().to_string() == text),
            Self::Digits(count) => text.len() == usize::from(count) && text.bytes().all(|byte| byte.is_ascii_digit()),
        };
        if good { text.parse() } else { Err(InvalidBusinessId) }
    }
}

/// Which environments a business has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environments {
    /// Test and live.
    Both,
    /// Live only.
    LiveOnly,
}

impl Environments {
    /// Whether `environment` is one of them.
    pub const fn offers(self, environment: Environment) -> bool {
        matches!((self, environment), (Self::Both, _) | (Self::LiveOnly, Environment::Live))
    }

    /// The environments, test first.
    pub fn iter(self) -> impl Iterator<Item = Environment> {
        Environment::ALL.into_iter().filter(move |environment| self.offers(*environment))
    }
}

/// When the value of a secret key can be read again. Checkout keys are public: always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// Shown once, in both environments.
    Never,
    /// In test only.
    TestOnly,
    /// In both environments.
    Always,
}

/// What a limit of number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitPer {
    /// Keys of one kind in one environment.
    KindAndEnvironment,
    /// Keys in one environment.
    Environment,
}

/// The most keys that a business may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyLimit {
    /// The most, 1 to 10 000.
    pub most: u32,
    /// Counted over what.
    pub per: LimitPer,
}

/// Who may revoke a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoking {
    /// Everybody who may manage keys.
    Everyone,
    /// The operator only; others end a key by its state or its dates.
    OperatorOnly,
}

/// What can be changed about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changing {
    /// Everything that is not fixed for good, and the value by rotation.
    Everything,
    /// The state and the dates.
    StateAndDates,
    /// Nothing: make another key.
    Nothing,
}

/// What keys may do to keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ManagedByKeys {
    /// A key with the scope; not by default.
    WithScope,
    /// Every key, by default.
    ByDefault,
    /// None: people and the operator only.
    Never,
}

/// One profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own, and the operator writes them by name")]
pub struct Profile {
    /// The form of secret keys.
    pub secret: KeyForm,
    /// Whether there are checkout keys; their form is always branded.
    pub checkout: bool,
    /// The form of the business id.
    pub business_id: BusinessIdForm,
    /// Which environments there are.
    pub environments: Environments,
    /// Whether the business id must be presented beside the key.
    pub business_id_required: bool,
    /// When the value of a secret key can be read again.
    pub reading: Reading,
    /// The most keys.
    pub limit: KeyLimit,
    /// Whether the last key in force of a kind and environment is protected.
    pub last_key_protected: bool,
    /// Who may revoke.
    pub revoking: Revoking,
    /// What can be changed.
    pub changing: Changing,
    /// Whether keys have names.
    pub named: bool,
    /// What keys may do to keys.
    pub managed_by_keys: ManagedByKeys,
    /// Whether the ready-made header holds the business id before the key.
    pub business_id_in_header: bool,
}

impl Profile {
    /// The default: Mileston's kinds and formats.
    pub const MILESTON: Self = Self {
        secret: KeyForm::Branded,
        checkout: true,
        business_id: BusinessIdForm::Uuid,
        environments: Environments::Both,
        business_id_required: true,
        reading: Reading::TestOnly,
        limit: KeyLimit { most: 10, per: LimitPer::KindAndEnvironment },
        last_key_protected: true,
        revoking: Revoking::Everyone,
        changing: Changing::Everything,
        named: true,
        managed_by_keys: ManagedByKeys::WithScope,
        business_id_in_header: true,
    };

    /// Payline's access keys.
    pub const PAYLINE: Self = Self {
        secret: KeyForm::Plain(PlainLength::TWENTY),
        checkout: false,
        business_id: BusinessIdForm::Digits(14),
        environments: Environments::Both,
        business_id_required: true,
        reading: Reading::TestOnly,
        limit: KeyLimit { most: 50, per: LimitPer::Environment },
        last_key_protected: false,
        revoking: Revoking::OperatorOnly,
        changing: Changing::StateAndDates,
        named: false,
        managed_by_keys: ManagedByKeys::Never,
        business_id_in_header: true,
    };

    /// Codat's keys.
    pub const CODAT: Self = Self {
        secret: KeyForm::Plain(PlainLength::FORTY),
        checkout: false,
        business_id: BusinessIdForm::Uuid,
        environments: Environments::LiveOnly,
        business_id_required: false,
        reading: Reading::Always,
        // Live is the only environment, so this is ten for the business.
        limit: KeyLimit { most: 10, per: LimitPer::Environment },
        last_key_protected: true,
        revoking: Revoking::Everyone,
        changing: Changing::Nothing,
        named: true,
        managed_by_keys: ManagedByKeys::ByDefault,
        business_id_in_header: false,
    };

    /// The three presets by name.
    pub fn presets() -> [(ProfileName, Self); 3] {
        [("mileston", Self::MILESTON), ("payline", Self::PAYLINE), ("codat", Self::CODAT)]
            .map(|(name, profile)| (name.parse().expect("a good name"), profile))
    }

    /// The form of keys of this kind, if the profile has them.
    pub const fn form(&self, kind: KeyKind) -> Option<KeyForm> {
        match kind {
            KeyKind::Secret => Some(self.secret),
            KeyKind::Checkout if self.checkout => Some(KeyForm::Branded),
            KeyKind::Checkout => None,
        }
    }

    /// Whether the value of such a key can be read again.
    pub const fn value_readable(&self, environment: Environment, kind: KeyKind) -> bool {
        match (kind, self.reading, environment) {
            (KeyKind::Checkout, _, _)
            | (KeyKind::Secret, Reading::Always, _)
            | (KeyKind::Secret, Reading::TestOnly, Environment::Test) => true,
            (KeyKind::Secret, Reading::Never | Reading::TestOnly, _) => false,
        }
    }

    /// What stands before the five asterisks of a masked value.
    pub fn mask_prefix(&self, brand: &Brand, environment: Environment, kind: KeyKind) -> String {
        match self.form(kind) {
            Some(KeyForm::Branded) => branded_prefix(brand, environment, kind),
            Some(KeyForm::Plain(_)) | None => String::new(),
        }
    }

    /// The kinds that are made with a business, in each environment.
    pub fn first_kinds(&self) -> impl Iterator<Item = KeyKind> {
        [Some(KeyKind::Secret), self.checkout.then_some(KeyKind::Checkout)].into_iter().flatten()
    }

    /// What a key of this kind has unless chosen otherwise.
    pub fn default_scopes(&self, catalogue: &ScopeCatalogue, kind: KeyKind) -> ScopeSet {
        let defaults = catalogue.default_for(kind);
        match (self.managed_by_keys, kind) {
            (ManagedByKeys::ByDefault, KeyKind::Secret) => {
                defaults.iter().cloned().chain([Scope::built_in(BuiltIn::KeysWrite)]).collect()
            }
            _ => defaults,
        }
    }

    /// Whether a key of this profile could have a text that claims this, `length` characters long.
    pub const fn could_have(&self, claim: TextClaim, length: usize) -> bool {
        match claim {
            TextClaim::Branded { environment, kind } => {
                self.environments.offers(environment) && matches!(self.form(kind), Some(KeyForm::Branded))
            }
            TextClaim::Plain => {
                matches!(self.secret, KeyForm::Plain(plain) if plain.get() == length)
            }
            TextClaim::Platform => false,
        }
    }

    /// The masked value: the prefix, five asterisks, the last three characters.
    pub fn mask(prefix: &str, last_three: &str) -> String {
        format!("{prefix}*****{last_three}")
    }

    /// What is wrong with a profile that an operator wrote, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        if !(1..=10_000).contains(&self.limit.most) {
            return Some("limit.most must be 1 to 10000");
        }
        let first = match self.limit.per {
            LimitPer::KindAndEnvironment => 1,
            LimitPer::Environment => self.first_kinds().count(),
        };
        if usize::try_from(self.limit.most).is_ok_and(|most| most < first) {
            return Some("limit.most must leave room for the keys that a business begins with");
        }
        if matches!(self.business_id, BusinessIdForm::Digits(count) if !(6..=20).contains(&count)) {
            return Some("business_id.digits must be 6 to 20");
        }
        if self.checkout && !matches!(self.secret, KeyForm::Branded) {
            return Some("checkout keys need branded secret keys, or the two could not be told apart");
        }
        if self.managed_by_keys == ManagedByKeys::ByDefault && self.checkout {
            return Some("managed_by_keys = \"by_default\" does not go with checkout keys");
        }
        None
    }
}
