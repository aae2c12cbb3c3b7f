//! Keys on the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trousseau_domain::ip_range::IpRange;
use trousseau_domain::keys::{KeyKind, KeyState, Overlap};
use trousseau_domain::limits::{Quota, RateLimits};
use trousseau_domain::metadata::Metadata;
use trousseau_domain::origin::Origin;
use trousseau_domain::scope::ScopeSet;
use trousseau_domain::text::KeyName;
use trousseau_domain::time::Timestamp;
use trousseau_service::keys::{IssuedKey, KeyChange, KeyDraft, KeyView};
use trousseau_service::nodes::InForce;
use utoipa::ToSchema;

use super::limits::{QuotaBody, RateLimitBody, read_quota, read_rates};
use super::{Change, read_all};
use crate::problem::{Failure, Faults};

/// The most origins, and the most address ranges, of one key.
const MOST_ENTRIES: usize = 100;
/// The most scopes of one key.
const MOST_SCOPES: usize = 200;

/// Secret keys call from a backend, checkout keys from a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// For a backend; never in a page.
    Secret,
    /// For a page: starts payments and reads their status.
    Checkout,
}

impl From<Kind> for KeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Secret => Self::Secret,
            Kind::Checkout => Self::Checkout,
        }
    }
}

/// The switch of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Switched on.
    Active,
    /// Switched off.
    Inactive,
}

impl From<State> for KeyState {
    fn from(state: State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Inactive => Self::Inactive,
        }
    }
}

/// A key. Its value is not part of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub struct KeyBody {
    /// Its id; it stays the same when the key is rotated.
    #[schema(example = "key_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub id: String,
    /// 1, 2, 3 ... within the business and environment, never used again.
    #[schema(example = 1, minimum = 1)]
    pub number: u32,
    /// Secret or checkout.
    #[schema(value_type = Kind)]
    pub kind: &'static str,
    /// `test` or `live`.
    #[schema(example = "test")]
    pub environment: &'static str,
    /// What people call it.
    #[schema(example = "Web shop", max_length = 50)]
    pub name: Option<String>,
    /// Twenty letters and digits that name the key to the outside.
    #[schema(example = "q7YbT2mXc9LrV4kPz8Wd")]
    pub external_reference: Option<String>,
    /// What may be shown of its value.
    #[schema(example = "Mileston_TEST_*****x7Q")]
    pub masked_value: String,
    /// The switch.
    #[schema(value_type = State)]
    pub state: &'static str,
    /// What follows from switch, dates and clock: `active`, `scheduled`, `expired`, `inactive` or `revoked`.
    #[schema(example = "active")]
    pub status: &'static str,
    /// From when on it is in force.
    #[schema(example = "2026-01-31T09:30:00Z", format = DateTime)]
    pub valid_from: String,
    /// When it stops being in force; `null` is never.
    #[schema(example = "2027-01-31T09:30:00Z", format = DateTime)]
    pub valid_until: Option<String>,
    /// What it may do.
    #[schema(example = json!(["payments:read", "checkout:start"]))]
    pub scopes: Vec<String>,
    /// The pages that a checkout key may be used from; empty is any.
    #[schema(example = json!(["https://shop.example"]))]
    pub allowed_origins: Vec<String>,
    /// The addresses that a secret key may be used from; empty is any.
    #[schema(example = json!(["203.0.113.0/24"]))]
    pub allowed_ips: Vec<String>,
    /// How fast it may be used, all of these at once; empty is any.
    pub rate_limits: Vec<RateLimitBody>,
    /// How much it may be used.
    pub quota: QuotaBody,
    /// The caller's own notes.
    pub metadata: BTreeMap<String, String>,
    /// Until when the value before the last rotation is accepted too.
    #[schema(format = DateTime)]
    pub previous_valid_until: Option<String>,
    /// When it was made.
    #[schema(example = "2026-01-31T09:30:00Z", format = DateTime)]
    pub created_at: String,
    /// When it was last used, about a minute exact.
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
    /// When it was revoked.
    #[schema(format = DateTime)]
    pub revoked_at: Option<String>,
}

/// A key that was revoked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RevokedKey)]
pub struct RevokedKeyBody {
    /// The key.
    #[serde(flatten)]
    pub key: KeyBody,
    /// On which servers the revocation is in force, where that was waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<AppliedBody>,
}

/// From when on a change is in force on every server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Applied)]
pub struct AppliedBody {
    /// How many milliseconds after the request it was in force everywhere, at most.
    #[schema(example = 12)]
    pub after_ms: u64,
    /// The servers that run.
    pub nodes: Vec<AppliedNodeBody>,
}

/// From when on a change is in force on a server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AppliedNode)]
pub struct AppliedNodeBody {
    /// The server, from its start to its end.
    #[schema(example = "node_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub id: String,
    /// How many milliseconds after the request, at most.
    #[schema(example = 12)]
    pub after_ms: u64,
    /// `change` where the server has said so, `lease_end` where it was silent and may answer from memory no longer.
    #[schema(example = "change")]
    pub by: &'static str,
}

impl From<&InForce> for AppliedBody {
    fn from(applied: &InForce) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let nodes = applied.nodes.iter().map(|node| AppliedNodeBody {
            id: node.node.to_string(),
            after_ms: millis(node.after),
            by: node.by.as_str(),
        });
        Self { after_ms: millis(applied.after), nodes: nodes.collect() }
    }
}

/// A key with its value. Only creation, rotation and reveal answer this.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyWithValue)]
pub struct KeyWithValueBody {
    /// The key.
    #[serde(flatten)]
    pub key: KeyBody,
    /// The value. `null` only in the repetition of an answer whose value may not be read again.
    #[schema(example = "Mileston_TEST_0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0u1Ab2Cd")]
    pub value: Option<String>,
    /// The ready-made `Authorization` header; `null` with `value`.
    #[schema(example = "Basic M2YwYzhhNTI6TWlsZXN0b25fVEVTVF8uLi4=")]
    pub authorization: Option<String>,
    /// What to do where `value` is `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<&'static str>,
}

impl std::fmt::Debug for KeyWithValueBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KeyWithValueBody").field("key", &self.key).finish_non_exhaustive()
    }
}

impl From<&KeyView> for KeyBody {
    fn from(view: &KeyView) -> Self {
        let key = &view.key;
        Self {
            id: key.id.to_string(),
            number: key.number,
            kind: key.kind.as_str(),
            environment: key.tenant.environment.as_str(),
            name: key.name.as_ref().map(|name| name.as_str().to_owned()),
            external_reference: key.external_reference.clone(),
            masked_value: view.masked_value(),
            state: key.state.as_str(),
            status: view.status.as_str(),
            valid_from: key.valid_from.to_string(),
            valid_until: key.valid_until.map(|end| end.to_string()),
            scopes: key.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            allowed_origins: key.allowed_origins.iter().map(|origin| origin.as_str().to_owned()).collect(),
            allowed_ips: key.allowed_ips.iter().map(ToString::to_string).collect(),
            rate_limits: key.limits.rates.as_slice().iter().copied().map(RateLimitBody::from).collect(),
            quota: key.limits.quota.into(),
            metadata: key.metadata.entries().clone(),
            previous_valid_until: key.previous_ends_at.map(|end| end.to_string()),
            created_at: key.created_at.to_string(),
            last_used_at: key.last_used_at.map(|at| at.to_string()),
            revoked_at: key.revoked_at.map(|at| at.to_string()),
        }
    }
}

impl From<&IssuedKey> for KeyWithValueBody {
    fn from(issued: &IssuedKey) -> Self {
        Self {
            key: KeyBody::from(&issued.view),
            value: Some(issued.value.expose().to_owned()),
            authorization: Some(issued.authorization.as_str().to_owned()),
            advice: None,
        }
    }
}

impl From<NewKeyParts> for KeyDraft {
    fn from(parts: NewKeyParts) -> Self {
        Self {
            name: parts.name,
            state: parts.state.unwrap_or(KeyState::Active),
            valid_from: parts.valid_from,
            valid_until: parts.valid_until,
            scopes: parts.scopes,
            allowed_origins: parts.allowed_origins,
            allowed_ips: parts.allowed_ips,
            rates: parts.rates,
            quota: parts.quota,
            metadata: parts.metadata,
            ..Self::new(parts.kind.unwrap_or(KeyKind::Secret))
        }
    }
}

impl From<KeyChangeParts> for KeyChange {
    fn from(parts: KeyChangeParts) -> Self {
        Self {
            name: parts.name,
            state: parts.state,
            valid_from: parts.valid_from,
            valid_until: parts.valid_until,
            scopes: parts.scopes,
            allowed_origins: parts.allowed_origins,
            allowed_ips: parts.allowed_ips,
            rates: parts.rates,
            quota: parts.quota,
            metadata: parts.metadata,
        }
    }
}

/// A key to make.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey)]
pub struct NewKeyBody {
    /// `secret` unless given.
    pub kind: Option<Kind>,
    /// At most 50 characters; blank means none.
    #[schema(example = "Web shop", max_length = 50)]
    pub name: Option<String>,
    /// `active` unless given.
    pub state: Option<State>,
    /// Now, unless given.
    #[schema(format = DateTime)]
    pub valid_from: Option<String>,
    /// Never, unless given.
    #[schema(format = DateTime)]
    pub valid_until: Option<String>,
    /// What the kind has by default, unless given.
    pub scopes: Option<Vec<String>>,
    /// For checkout keys. Empty unless given, which allows any.
    pub allowed_origins: Option<Vec<String>>,
    /// For secret keys. Empty unless given, which allows any.
    pub allowed_ips: Option<Vec<String>>,
    /// At most 4, of different times; those of the key that makes it, unless given.
    pub rate_limits: Option<Vec<RateLimitBody>>,
    /// That of the key that makes it, unless given.
    pub quota: Option<QuotaBody>,
    /// At most 50 entries and 8 KiB.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// What [`NewKeyBody`] says, in the domain's words.
#[derive(Debug, Default)]
pub struct NewKeyParts {
    /// Absent: secret.
    pub kind: Option<KeyKind>,
    /// No name where absent or blank.
    pub name: Option<KeyName>,
    /// Absent: active.
    pub state: Option<KeyState>,
    /// Absent: now.
    pub valid_from: Option<Timestamp>,
    /// Absent: no end.
    pub valid_until: Option<Timestamp>,
    /// Absent: those of the kind.
    pub scopes: Option<ScopeSet>,
    /// Origins of a checkout key.
    pub allowed_origins: Vec<Origin>,
    /// Addresses of a secret key.
    pub allowed_ips: Vec<IpRange>,
    /// Absent: those of the maker.
    pub rates: Option<RateLimits>,
    /// Absent: that of the maker.
    pub quota: Option<Quota>,
    /// The caller's notes.
    pub metadata: Metadata,
}

impl TryFrom<NewKeyBody> for NewKeyParts {
    type Error = Failure;

    fn try_from(body: NewKeyBody) -> Result<Self, Failure> {
        let mut faults = Faults::new();
        let parts = Self {
            kind: body.kind.map(KeyKind::from),
            name: body.name.and_then(|name| read_name(&name, &mut faults)),
            state: body.state.map(KeyState::from),
            valid_from: body.valid_from.and_then(|text| faults.read("/valid_from", text.parse::<Timestamp>())),
            valid_until: body.valid_until.and_then(|text| faults.read("/valid_until", text.parse::<Timestamp>())),
            scopes: body.scopes.map(|scopes| read_all("/scopes", &scopes, MOST_SCOPES, &mut faults)),
            allowed_origins: read_origins(&body.allowed_origins.unwrap_or_default(), &mut faults),
            allowed_ips: read_ips(&body.allowed_ips.unwrap_or_default(), &mut faults),
            rates: body.rate_limits.map(|rates| read_rates(&rates, &mut faults)),
            quota: body.quota.map(|quota| read_quota(quota, &mut faults)),
            metadata: body.metadata.and_then(|entries| read_metadata(entries, &mut faults)).unwrap_or_default(),
        };
        faults.finish()?;
        Ok(parts)
    }
}

/// What changes of a key. Absent members stay as they are.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyChange)]
pub struct KeyChangeBody {
    /// `null` removes the name.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 50, example = "Web shop")]
    pub name: Change<String>,
    /// The switch.
    #[serde(default)]
    #[schema(value_type = State, required = false)]
    pub state: Change<State>,
    /// From when on it is in force.
    #[serde(default)]
    #[schema(value_type = String, format = DateTime, required = false)]
    pub valid_from: Change<String>,
    /// When it stops being in force; `null` is never.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Change<String>,
    /// All its scopes from now on.
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = false)]
    pub scopes: Change<Vec<String>>,
    /// All its origins from now on.
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = false)]
    pub allowed_origins: Change<Vec<String>>,
    /// All its address ranges from now on.
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = false)]
    pub allowed_ips: Change<Vec<String>>,
    /// All its rates from now on.
    #[serde(default)]
    #[schema(value_type = Vec<RateLimitBody>, required = false)]
    pub rate_limits: Change<Vec<RateLimitBody>>,
    /// Its quota from now on; what is left out of it, or `null`, is no bound.
    #[serde(default)]
    #[schema(value_type = Option<QuotaBody>, required = false)]
    pub quota: Change<QuotaBody>,
    /// All its notes from now on.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, required = false)]
    pub metadata: Change<BTreeMap<String, String>>,
}

/// What [`KeyChangeBody`] says, in the domain's words. `None` leaves a member as it is.
#[derive(Debug, Default)]
pub struct KeyChangeParts {
    /// The name, or none.
    pub name: Option<Option<KeyName>>,
    /// The switch.
    pub state: Option<KeyState>,
    /// The begin.
    pub valid_from: Option<Timestamp>,
    /// The end, or none.
    pub valid_until: Option<Option<Timestamp>>,
    /// All scopes.
    pub scopes: Option<ScopeSet>,
    /// All origins.
    pub allowed_origins: Option<Vec<Origin>>,
    /// All ranges.
    pub allowed_ips: Option<Vec<IpRange>>,
    /// All rates.
    pub rates: Option<RateLimits>,
    /// The quota.
    pub quota: Option<Quota>,
    /// All notes.
    pub metadata: Option<Metadata>,
}

impl TryFrom<KeyChangeBody> for KeyChangeParts {
    type Error = Failure;

    fn try_from(body: KeyChangeBody) -> Result<Self, Failure> {
        let mut faults = Faults::new();
        let name = match body.name {
            Change::Absent => None,
            Change::Null => Some(None),
            Change::To(text) => Some(read_name(&text, &mut faults)),
        };
        let valid_from = body.valid_from.required("/valid_from", &mut faults);
        let scopes = body.scopes.required("/scopes", &mut faults);
        let origins = body.allowed_origins.required("/allowed_origins", &mut faults);
        let ips = body.allowed_ips.required("/allowed_ips", &mut faults);
        let rates = body.rate_limits.required("/rate_limits", &mut faults);
        let quota = body.quota.read(|quota| Some(read_quota(quota, &mut faults)));
        let metadata = body.metadata.required("/metadata", &mut faults);
        let parts = Self {
            name,
            state: body.state.required("/state", &mut faults).map(KeyState::from),
            valid_from: valid_from.and_then(|text| faults.read("/valid_from", text.parse::<Timestamp>())),
            valid_until: body.valid_until.read(|text| faults.read("/valid_until", text.parse::<Timestamp>())),
            scopes: scopes.map(|scopes| read_all("/scopes", &scopes, MOST_SCOPES, &mut faults)),
            allowed_origins: origins.map(|origins| read_origins(&origins, &mut faults)),
            allowed_ips: ips.map(|ips| read_ips(&ips, &mut faults)),
            rates: rates.map(|rates| read_rates(&rates, &mut faults)),
            quota: quota.map(Option::unwrap_or_default),
            metadata: metadata.and_then(|entries| read_metadata(entries, &mut faults)),
        };
        faults.finish()?;
        Ok(parts)
    }
}

/// How a rotation treats the value before it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyRotation)]
pub struct RotationBody {
    /// How long the old value is still accepted: 0 to 2592000 seconds (30 days), 0 unless given.
    #[schema(example = 3600, minimum = 0, maximum = 2_592_000)]
    pub overlap_seconds: Option<u64>,
    /// The same as an instant, instead of `overlap_seconds`.
    #[schema(format = DateTime)]
    pub overlap_until: Option<String>,
}

impl TryFrom<RotationBody> for Overlap {
    type Error = Failure;

    fn try_from(body: RotationBody) -> Result<Self, Failure> {
        let mut faults = Faults::new();
        let overlap = match (body.overlap_seconds, body.overlap_until) {
            (Some(_), Some(_)) => {
                faults.senseless("/overlap_until", "cannot stand beside overlap_seconds");
                None
            }
            (seconds, None) => Some(seconds.map_or(Self::None, |seconds| Self::For(Duration::from_secs(seconds)))),
            (None, Some(text)) => faults.read("/overlap_until", text.parse()).map(Self::Until),
        };
        faults.finish()?;
        Ok(overlap.expect("every None above noted a fault"))
    }
}

fn read_name(text: &str, faults: &mut Faults) -> Option<KeyName> {
    faults.accept("/name", KeyName::parse_optional(text)).flatten()
}

fn read_origins(texts: &[String], faults: &mut Faults) -> Vec<Origin> {
    read_all("/allowed_origins", texts, MOST_ENTRIES, faults)
}

fn read_ips(texts: &[String], faults: &mut Faults) -> Vec<IpRange> {
    read_all("/allowed_ips", texts, MOST_ENTRIES, faults)
}

pub(super) fn read_metadata(entries: BTreeMap<String, String>, faults: &mut Faults) -> Option<Metadata> {
    faults.accept("/metadata", Metadata::try_from(entries))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;
    use crate::problem::{Kind as ProblemKind, Place};

    #[test]
    fn every_bad_member_is_named_at_once() {
        let body: NewKeyBody =
            parse(br#"{"name":"a\u0000","valid_until":"tomorrow","allowed_ips":["10.0.0.0/8","x"]}"#)
                .expect("readable");
        let failure = NewKeyParts::try_from(body).expect_err("refused");
        assert_eq!(failure.kind(), ProblemKind::InvalidBody);
        let places: Vec<_> = failure.errors().iter().map(|error| error.place.clone()).collect();
        for pointer in ["/name", "/valid_until", "/allowed_ips/1"] {
            assert!(places.contains(&Place::Body(pointer.to_owned())), "{pointer}");
        }
        let long: NewKeyBody = parse(format!("{{\"name\":\"{}\"}}", "x".repeat(51)).as_bytes()).expect("readable");
        assert_eq!(NewKeyParts::try_from(long).expect_err("refused").kind(), ProblemKind::InvalidValue);
    }

    #[test]
    fn a_change_leaves_clears_or_sets() {
        let change = |text: &str| parse::<KeyChangeBody>(text.as_bytes()).and_then(KeyChangeParts::try_from);
        let nothing = change("{}").expect("good");
        assert!(nothing.name.is_none() && nothing.valid_until.is_none() && nothing.state.is_none());
        let cleared = change(r#"{"name":null,"valid_until":null}"#).expect("good");
        assert_eq!((cleared.name, cleared.valid_until), (Some(None), Some(None)));
        let set = change(r#"{"name":"A","state":"inactive","scopes":[]}"#).expect("good");
        assert_eq!(set.name.flatten().expect("a name").as_str(), "A");
        assert_eq!((set.state, set.scopes), (Some(KeyState::Inactive), Some(ScopeSet::default())));
        for bad in [r#"{"state":null}"#, r#"{"valid_from":null}"#, r#"{"scopes":null}"#, r#"{"value":"x"}"#] {
            assert_eq!(change(bad).expect_err("refused").kind(), ProblemKind::InvalidBody, "{bad}");
        }
    }

    #[test]
    fn an_overlap_is_given_once() {
        let overlap = |text: &str| parse::<RotationBody>(text.as_bytes()).and_then(Overlap::try_from);
        assert_eq!(overlap("{}").expect("good"), Overlap::None);
        assert_eq!(overlap(r#"{"overlap_seconds":60}"#).expect("good"), Overlap::For(Duration::from_mins(1)));
        assert!(matches!(overlap(r#"{"overlap_until":"2026-01-31T09:30:00Z"}"#), Ok(Overlap::Until(_))));
        assert!(overlap(r#"{"overlap_seconds":-1}"#).is_err());
        assert!(overlap(r#"{"overlap_seconds":1,"overlap_until":"2026-01-31T09:30:00Z"}"#).is_err());
    }
}
