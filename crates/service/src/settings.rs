//! What the operator decides: the brand, the profiles, the scopes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use trousseau_domain::brand::Brand;
use trousseau_domain::ip_range::IpRange;
use trousseau_domain::key_text::TextClaim;
use trousseau_domain::profile::{Profile, ProfileName};
use trousseau_domain::scope::ScopeCatalogue;
use trousseau_domain::time::TimeZone;

use crate::address::PublicAddress;
use crate::networks::NetworkSettings;
use crate::people::passwords::HashCost;
use crate::webhooks::authorities::Authorities;

/// Values of keys that are remembered unless the operator says otherwise: about 1.5 GB.
pub const KEYS_IN_MEMORY: usize = 20_000_000;

/// The rules of one installation, checked as a whole.
#[derive(Debug, Clone)]
pub struct Settings {
    brand: Brand,
    profiles: BTreeMap<ProfileName, Arc<Profile>>,
    default_profile: ProfileName,
    catalogue: ScopeCatalogue,
    default_time_zone: TimeZone,
    address: PublicAddress,
    hash_cost: HashCost,
    keep: Keep,
    webhook_networks: Vec<IpRange>,
    webhook_authorities: Authorities,
    networks: Vec<NetworkSettings>,
    answers_kept: Option<Duration>,
    keys_in_memory: usize,
}

/// How long what was recorded is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// The request log.
    pub requests: Duration,
    /// Why requests were refused.
    pub refusals: Duration,
    /// Usage by day.
    pub usage: Duration,
    /// Deliveries of webhooks, with what was sent and answered.
    pub deliveries: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        let days = |days: u64| Duration::from_hours(days * 24);
        // Thirteen months: a month can be laid beside the same one a year ago.
        Self { requests: days(30), refusals: days(30), usage: days(396), deliveries: days(30) }
    }
}

/// Settings that contradict themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// A profile of the operator has the name of a preset.
    #[error("the profile {0} is built in and cannot be defined again")]
    PresetRedefined(ProfileName),
    /// A profile of the operator contradicts itself.
    #[error("the profile {name}: {problem}")]
    Profile {
        /// Which profile.
        name: ProfileName,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The default profile does not exist.
    #[error("there is no profile {0}")]
    UnknownProfile(ProfileName),
}

impl Settings {
    /// The presets and the operator's own profiles, with everything else that keys depend on.
    pub fn new(
        brand: Brand,
        operator_profiles: BTreeMap<ProfileName, Profile>,
        default_profile: ProfileName,
        catalogue: ScopeCatalogue,
        default_time_zone: TimeZone,
    ) -> Result<Self, InvalidSettings> {
        let mut profiles: BTreeMap<_, _> =
            Profile::presets().into_iter().map(|(name, profile)| (name, Arc::new(profile))).collect();
        for (name, profile) in operator_profiles {
            if let Some(problem) = profile.problem() {
                return Err(InvalidSettings::Profile { name, problem });
            }
            if profiles.contains_key(&name) {
                return Err(InvalidSettings::PresetRedefined(name));
            }
            profiles.insert(name, Arc::new(profile));
        }
        if !profiles.contains_key(&default_profile) {
            return Err(InvalidSettings::UnknownProfile(default_profile));
        }
        let (address, hash_cost) = (PublicAddress::default(), HashCost::default());
        let keep = Keep::default();
        let webhook_networks = Vec::new();
        Ok(Self {
            brand,
            profiles,
            default_profile,
            catalogue,
            default_time_zone,
            address,
            hash_cost,
            keep,
            webhook_networks,
            webhook_authorities: Authorities::default(),
            networks: Vec::new(),
            answers_kept: None,
            keys_in_memory: KEYS_IN_MEMORY,
        })
    }

    /// The same settings of an installation that is reached there.
    #[must_use]
    pub fn with_address(self, address: PublicAddress) -> Self {
        Self { address, ..self }
    }

    /// The same settings with another cost of hashing passwords.
    #[must_use]
    pub fn with_hash_cost(self, hash_cost: HashCost) -> Self {
        Self { hash_cost, ..self }
    }

    /// Where the world reaches this installation.
    pub const fn address(&self) -> &PublicAddress {
        &self.address
    }

    /// How much work one hash of a password is.
    pub const fn hash_cost(&self) -> HashCost {
        self.hash_cost
    }

    /// The same settings with other times of keeping.
    #[must_use]
    pub fn with_keep(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }

    /// How long what was recorded is kept.
    pub const fn keep(&self) -> Keep {
        self.keep
    }

    /// The same settings where so many values of keys are answered from memory; 0 for none.
    #[must_use]
    pub fn with_keys_in_memory(self, keys_in_memory: usize) -> Self {
        Self { keys_in_memory, ..self }
    }

    /// How many values of keys are answered from memory; the database is asked for those beyond.
    pub const fn keys_in_memory(&self) -> usize {
        self.keys_in_memory
    }

    /// The same settings where those who ask about keys may keep a good answer that long.
    #[must_use]
    pub fn with_answers_kept(self, answers_kept: Option<Duration>) -> Self {
        Self { answers_kept, ..self }
    }

    /// How long those who ask about keys may keep a good answer, if at all. What changes about a key reaches them
    /// that much later.
    pub const fn answers_kept(&self) -> Option<Duration> {
        self.answers_kept
    }

    /// The same settings where webhooks may be sent into these networks that are not public.
    #[must_use]
    pub fn with_webhook_networks(self, webhook_networks: Vec<IpRange>) -> Self {
        Self { webhook_networks, ..self }
    }

    /// The networks that are not public and that webhooks may be sent into all the same.
    pub fn webhook_networks(&self) -> &[IpRange] {
        &self.webhook_networks
    }

    /// The same settings where receivers of webhooks are trusted by these authorities too.
    #[must_use]
    pub fn with_webhook_authorities(self, webhook_authorities: Authorities) -> Self {
        Self { webhook_authorities, ..self }
    }

    /// The authorities that receivers of webhooks are trusted by, beside those that everybody trusts.
    pub const fn webhook_authorities(&self) -> &Authorities {
        &self.webhook_authorities
    }

    /// The same settings where these networks are watched for LIVE payments.
    #[must_use]
    pub fn with_networks(self, networks: Vec<NetworkSettings>) -> Self {
        Self { networks, ..self }
    }

    /// The networks that are watched for LIVE payments, the preferred one first.
    pub fn networks(&self) -> &[NetworkSettings] {
        &self.networks
    }

    /// The first part of every branded key.
    pub const fn brand(&self) -> &Brand {
        &self.brand
    }

    /// The profile of this name.
    pub fn profile(&self, name: &str) -> Option<&Arc<Profile>> {
        self.profiles.iter().find(|(known, _)| known.as_str() == name).map(|(_, profile)| profile)
    }

    /// The profile of a new business unless chosen otherwise.
    pub const fn default_profile(&self) -> &ProfileName {
        &self.default_profile
    }

    /// Every profile, sorted by name.
    pub fn profiles(&self) -> impl Iterator<Item = (&ProfileName, &Profile)> {
        self.profiles.iter().map(|(name, profile)| (name, profile.as_ref()))
    }

    /// Every scope that a key can have.
    pub const fn catalogue(&self) -> &ScopeCatalogue {
        &self.catalogue
    }

    /// The time zone of a new business unless chosen otherwise.
    pub const fn default_time_zone(&self) -> &TimeZone {
        &self.default_time_zone
    }

    /// Whether every key that could have this text needs the business id beside it: what can be said before any look-up.
    pub(crate) fn text_needs_business_id(&self, claim: TextClaim, length: usize) -> bool {
        let mut candidates = self.profiles.values().filter(|profile| profile.could_have(claim, length)).peekable();
        candidates.peek().is_some() && candidates.all(|profile| profile.business_id_required)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(
            Brand::default(),
            BTreeMap::new(),
            "mileston".parse().expect("a preset's name"),
            ScopeCatalogue::default(),
            "Europe/Paris".parse().expect("a zone of the database"),
        )
        .expect("the presets are consistent")
    }
}
