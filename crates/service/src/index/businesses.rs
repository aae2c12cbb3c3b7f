//! The businesses that a node knows, and what the values of each have in common.
//!
//! There may be a million of them: what stands here is as small as it can be.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::iter;
use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use parking_lot::RwLock;
use serde_json::value::RawValue;
use trousseau_domain::ids::BusinessId;
use trousseau_domain::limits::Limits;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::profile::Profile;
use trousseau_store::{BusinessAccess, as_json};

use crate::error::ServiceError;
use crate::settings::Settings;

use super::{Group, Traits};

/// Groups of a business that are looked through for a fitting one; beyond them values share nothing.
const MOST_GROUPS: usize = 16;

/// A business, as a door has to know it. A clone shares everything.
#[derive(Debug, Clone)]
pub(crate) struct KnownBusiness {
    /// Its id.
    pub(crate) id: BusinessId,
    rules: Arc<Rules>,
}

/// What makes the rules of a business with no limits and no metadata of its own: its profile, and whether it is suspended.
type Plain = (String, bool);

/// What all businesses share of which [`Plain`] is the same.
#[derive(Debug)]
struct Rules {
    /// The name alone where no profile has it any more.
    profile: Result<Arc<Profile>, Box<str>>,
    suspended: bool,
    limits: Limits,
    metadata: Metadata,
    metadata_json: Box<RawValue>,
}

impl Rules {
    fn new(settings: &Settings, (profile, suspended): &Plain, limits: Limits, metadata: Metadata) -> Arc<Self> {
        Arc::new(Self {
            profile: settings.profile(profile).map(Arc::clone).ok_or_else(|| profile.as_str().into()),
            suspended: *suspended,
            limits,
            metadata_json: as_json(metadata.entries()),
            metadata,
        })
    }
}

impl KnownBusiness {
    /// One that shares nothing.
    pub(super) fn new(settings: &Settings, business: BusinessAccess) -> Self {
        let BusinessAccess { id, profile, limits, metadata, suspended } = business;
        Self { id, rules: Rules::new(settings, &(profile, suspended), limits, metadata) }
    }

    /// Whether it is suspended.
    pub(crate) fn suspended(&self) -> bool {
        self.rules.suspended
    }

    /// How often all its keys of one environment may be used.
    pub(crate) fn limits(&self) -> &Limits {
        &self.rules.limits
    }

    /// The operator's own data.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.rules.metadata
    }

    /// The same as JSON, ready for the answers that repeat it.
    pub(crate) fn metadata_json(&self) -> &RawValue {
        &self.rules.metadata_json
    }

    /// Its rules.
    pub(crate) fn profile(&self) -> Result<&Arc<Profile>, ServiceError> {
        let gone = |name| ServiceError::NotAllowedByProfile(format!("{name} (not configured any more)"));
        self.rules.profile.as_ref().map_err(gone)
    }
}

/// All of them, found by the id that stands in each.
#[derive(Debug, Default)]
pub(super) struct Businesses {
    cells: HashTable<Arc<BusinessCell>>,
    hasher: RandomState,
    plain: HashMap<Plain, Arc<Rules>>,
}

impl Businesses {
    pub(super) fn find(&self, id: &BusinessId) -> Option<&Arc<BusinessCell>> {
        self.cells.find(self.hasher.hash_one(id), |cell| cell.0.read().now.id == *id)
    }

    /// Knows a business from here on, as it is now.
    pub(super) fn keep(&mut self, settings: &Settings, business: BusinessAccess) {
        let known = if business.limits.is_none() && business.metadata.entries().is_empty() {
            let BusinessAccess { id, profile, suspended, .. } = business;
            KnownBusiness { id, rules: self.plain_rules(settings, (profile, suspended)) }
        } else {
            KnownBusiness::new(settings, business)
        };
        self.put(known);
    }

    fn plain_rules(&mut self, settings: &Settings, plain: Plain) -> Arc<Rules> {
        if let Some(rules) = self.plain.get(&plain) {
            return Arc::clone(rules);
        }
        let rules = Rules::new(settings, &plain, Limits::default(), Metadata::default());
        self.plain.insert(plain, Arc::clone(&rules));
        rules
    }

    fn put(&mut self, business: KnownBusiness) {
        if let Some(cell) = self.find(&business.id) {
            cell.set(business);
        } else {
            let hash = self.hasher.hash_one(&business.id);
            let cell = Arc::new(BusinessCell::new(business));
            self.cells.insert_unique(hash, cell, |cell| self.hasher.hash_one(&cell.0.read().now.id));
        }
    }
}

/// A business whose content changes under those that know it; its id does not.
///
/// One lock for both parts, and one that is a single word: all of it, the id and the counts before it are one piece of
/// 128 bytes, which is what the allocator gives from 113 bytes on.
#[derive(Debug)]
pub(super) struct BusinessCell(RwLock<Content>);

#[derive(Debug)]
struct Content {
    now: KnownBusiness,
    groups: Groups,
}

/// The groups that a new value may join: nearly always one.
#[derive(Debug, Default)]
struct Groups {
    first: Weak<Group>,
    #[expect(clippy::box_collection, reason = "few have any, and nothing is smaller")]
    others: Option<Box<Vec<Weak<Group>>>>,
}

impl Groups {
    fn iter(&self) -> impl Iterator<Item = &Weak<Group>> {
        iter::once(&self.first).chain(self.others.iter().flat_map(|others| others.iter()))
    }

    /// Keeps one more, if there is room.
    fn keep(&mut self, group: &Arc<Group>) {
        if self.first.strong_count() == 0 {
            self.first = Arc::downgrade(group);
            return;
        }
        let others = self.others.get_or_insert_default();
        others.retain(|group| group.strong_count() > 0);
        if others.len() + 1 < MOST_GROUPS {
            others.push(Arc::downgrade(group));
        }
    }
}

impl BusinessCell {
    pub(super) fn new(business: KnownBusiness) -> Self {
        Self(RwLock::new(Content { now: business, groups: Groups::default() }))
    }

    pub(super) fn get(&self) -> KnownBusiness {
        self.0.read().now.clone()
    }

    pub(super) fn set(&self, business: KnownBusiness) {
        self.0.write().now = business;
    }

    /// The group of these traits, an existing one if there is one.
    pub(super) fn group(self: &Arc<Self>, traits: Traits) -> Arc<Group> {
        let groups = &mut self.0.write().groups;
        if let Some(group) = groups.iter().filter_map(Weak::upgrade).find(|group| group.traits == traits) {
            return group;
        }
        let group = Arc::new(Group { business: Arc::clone(self), traits });
        groups.keep(&group);
        group
    }
}

#[cfg(test)]
impl KnownBusiness {
    pub(super) fn for_tests(id: &str, suspended: bool) -> Self {
        let rules = Rules {
            profile: Err("none".into()),
            suspended,
            limits: Limits::default(),
            metadata: Metadata::default(),
            metadata_json: Box::default(),
        };
        Self { id: id.parse().expect("an id"), rules: Arc::new(rules) }
    }
}

#[cfg(test)]
mod tests {
    use trousseau_domain::keys::KeyState;
    use trousseau_domain::time::Timestamp;

    use super::*;
    use crate::index::Dates;

    #[test]
    fn a_business_is_as_small_as_it_is_said_to_be() {
        // Each with 16 bytes before it for the counts of its `Arc`.
        assert_eq!((size_of::<BusinessCell>(), size_of::<Group>()), (104, 32));
    }

    #[test]
    fn values_that_are_alike_share_a_group_as_long_as_there_are_few() {
        let sample = Group::for_tests();
        let cell = &sample.business;
        let alike = |state| Traits { state, ..sample.traits.clone() };
        let first = cell.group(alike(KeyState::Active));
        assert!(Arc::ptr_eq(&first, &cell.group(alike(KeyState::Active))));
        let other = cell.group(alike(KeyState::Inactive));
        assert!(!Arc::ptr_eq(&first, &other));
        assert!(Arc::ptr_eq(&other, &cell.group(alike(KeyState::Inactive))));
        // Nobody has the first any more: its place is taken by the next.
        drop(first);
        let again = cell.group(alike(KeyState::Active));
        assert!(Arc::ptr_eq(&again, &cell.group(alike(KeyState::Active))));
        assert!(Arc::ptr_eq(&other, &cell.group(alike(KeyState::Inactive))));
        let ending = |at| Dates { valid_until: Timestamp::from_micros(at).ok(), ..Dates::default() }.kept();
        let many: Vec<_> =
            (0..20).map(|at| cell.group(Traits { dates: ending(at), ..sample.traits.clone() })).collect();
        let shared = many.iter().filter(|group| Arc::ptr_eq(group, &cell.group(group.traits.clone()))).count();
        assert_eq!(shared, MOST_GROUPS - 2, "beyond them nothing is shared");
    }

    #[test]
    fn a_business_is_known_once_by_its_id() {
        let mut businesses = Businesses::default();
        for number in 0..100 {
            businesses.put(KnownBusiness::for_tests(&number.to_string(), false));
        }
        businesses.put(KnownBusiness::for_tests("7", true));
        for number in 0..100 {
            let found = businesses.find(&number.to_string().parse().expect("an id")).expect("known");
            assert_eq!((found.get().id.as_str(), found.get().suspended()), (&*number.to_string(), number == 7));
        }
        assert!(businesses.find(&"100".parse().expect("an id")).is_none());
        assert_eq!(businesses.cells.len(), 100);
    }

    #[test]
    fn businesses_without_anything_of_their_own_share_what_their_profile_says() {
        let settings = Settings::default();
        let business = |id: &str, profile: &str, metadata: &str| BusinessAccess {
            id: id.parse().expect("an id"),
            profile: profile.to_owned(),
            limits: Limits::default(),
            metadata: serde_json::from_str(metadata).expect("metadata"),
            suspended: id == "6",
        };
        let mut businesses = Businesses::default();
        for (id, profile, metadata) in [
            ("1", "codat", "{}"),
            ("2", "codat", "{}"),
            ("3", "codat", r#"{"a":"b"}"#),
            ("4", "payline", "{}"),
            ("5", "gone", "{}"),
            ("6", "codat", "{}"),
        ] {
            businesses.keep(&settings, business(id, profile, metadata));
        }
        let known = |businesses: &Businesses, id: &str| {
            let cell = businesses.find(&id.parse().expect("an id")).expect("known");
            cell.get()
        };
        let [one, two, own, other, gone, suspended] = ["1", "2", "3", "4", "5", "6"].map(|id| known(&businesses, id));
        let share = |business: &KnownBusiness| Arc::ptr_eq(&one.rules, &business.rules);
        assert_eq!([&two, &own, &other, &suspended].map(share), [true, false, false, false]);
        assert_eq!([&two, &suspended].map(KnownBusiness::suspended), [false, true]);
        assert_eq!((two.metadata_json().get(), own.metadata_json().get()), ("{}", r#"{"a":"b"}"#));
        assert_eq!(gone.profile().map(|_| ()).map_err(|error| error.to_string().contains("gone")), Err(true));
        // One that gets something of its own leaves the others as they are.
        businesses.keep(&settings, business("2", "codat", r#"{"c":"d"}"#));
        let [one, two] = ["1", "2"].map(|id| known(&businesses, id));
        assert_eq!((one.metadata_json().get(), two.metadata_json().get()), ("{}", r#"{"c":"d"}"#));
    }
}
