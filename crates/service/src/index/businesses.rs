//! The businesses that a node knows, and what the values of each have in common.
//!
//! There may be a million of them: what stands here is as small as it can be.

use std::hash::BuildHasher as _;
use std::iter;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use trousseau_domain::ids::BusinessId;

use super::{Group, KnownBusiness, Traits};

/// Groups of a business that are looked through for a fitting one; beyond them values share nothing.
const MOST_GROUPS: usize = 16;

/// All of them, found by the id that stands in each.
#[derive(Debug, Default)]
pub(super) struct Businesses {
    cells: HashTable<Arc<BusinessCell>>,
    hasher: RandomState,
}

impl Businesses {
    pub(super) fn find(&self, id: &BusinessId) -> Option<&Arc<BusinessCell>> {
        self.cells.find(self.hasher.hash_one(id), |cell| cell.get().id == *id)
    }

    /// Knows a business from here on, as it is now.
    pub(super) fn keep(&mut self, business: KnownBusiness) {
        if let Some(cell) = self.find(&business.id) {
            cell.set(business);
        } else {
            let hash = self.hasher.hash_one(&business.id);
            let cell = Arc::new(BusinessCell::new(business));
            self.cells.insert_unique(hash, cell, |cell| self.hasher.hash_one(&cell.get().id));
        }
    }
}

/// A business whose content changes under those that know it; its id does not.
#[derive(Debug)]
pub(super) struct BusinessCell {
    now: RwLock<Arc<KnownBusiness>>,
    groups: Mutex<Groups>,
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
        Self { now: RwLock::new(Arc::new(business)), groups: Mutex::default() }
    }

    pub(super) fn get(&self) -> Arc<KnownBusiness> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, business: KnownBusiness) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(business);
    }

    /// The group of these traits, an existing one if there is one.
    pub(super) fn group(self: &Arc<Self>, traits: Traits) -> Arc<Group> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = groups.iter().filter_map(Weak::upgrade).find(|group| group.traits == traits) {
            return group;
        }
        let group = Arc::new(Group { business: Arc::clone(self), traits });
        groups.keep(&group);
        group
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
        assert_eq!((size_of::<BusinessCell>(), size_of::<KnownBusiness>(), size_of::<Group>()), (48, 48, 32));
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
        let named = |id: &str, suspended| {
            let Group { business, .. } = Group::for_tests();
            let known = business.get();
            let profile = Err("none".into());
            KnownBusiness { id: id.parse().expect("an id"), suspended, own: Arc::clone(&known.own), profile }
        };
        let mut businesses = Businesses::default();
        for number in 0..100 {
            businesses.keep(named(&number.to_string(), false));
        }
        businesses.keep(named("7", true));
        for number in 0..100 {
            let found = businesses.find(&number.to_string().parse().expect("an id")).expect("known");
            assert_eq!((found.get().id.as_str(), found.get().suspended), (&*number.to_string(), number == 7));
        }
        assert!(businesses.find(&"100".parse().expect("an id")).is_none());
        assert_eq!(businesses.cells.len(), 100);
    }
}
