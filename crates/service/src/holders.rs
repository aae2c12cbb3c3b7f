//! What is known in memory of each of many holders, keys or tenants, in parts with a lock of their own.

use std::hash::{BuildHasher as _, Hash};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Parts with a lock of their own; as many as make looking through one of them short, where a million holders are known.
pub(crate) const PARTS: usize = 256;
/// A part with room for more than this is made smaller once most of it is empty.
const SMALL: usize = 64;

/// What is known of each holder.
#[derive(Debug)]
pub(crate) struct Holders<K, V> {
    hash: RandomState,
    parts: [Mutex<HashTable<(K, V)>>; PARTS],
    /// Which is looked through next.
    next: AtomicUsize,
}

impl<K, V> Default for Holders<K, V> {
    fn default() -> Self {
        let parts = std::array::from_fn(|_| Mutex::default());
        Self { hash: RandomState::default(), parts, next: AtomicUsize::new(0) }
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Clone + Eq + Hash, V: Default> Holders<K, V> {
    fn place(&self, holder: &K) -> (u64, MutexGuard<'_, HashTable<(K, V)>>) {
        let hash = self.hash.hash_one(holder);
        // Not the bits that choose the place within a part.
        let part = usize::try_from(hash >> 32).expect("32 bits") % PARTS;
        (hash, locked(&self.parts[part]))
    }

    /// Does this with what is known of the holder, while nobody else can.
    pub(crate) fn with<T>(&self, holder: &K, act: impl FnOnce(&mut V) -> T) -> T {
        let (hash, mut part) = self.place(holder);
        if let Some((_, known)) = part.find_mut(hash, |(other, _)| other == holder) {
            return act(known);
        }
        let entry = (holder.clone(), V::default());
        act(&mut part.insert_unique(hash, entry, |(other, _)| self.hash.hash_one(other)).into_mut().1)
    }

    /// The same where anything is known of it.
    pub(crate) fn with_known<T>(&self, holder: &K, act: impl FnOnce(&mut V) -> T) -> Option<T> {
        let (hash, mut part) = self.place(holder);
        part.find_mut(hash, |(other, _)| other == holder).map(|(_, known)| act(known))
    }

    /// Shows what is known of each, part by part.
    pub(crate) fn each(&self, mut see: impl FnMut(&K, &V)) {
        for part in &self.parts {
            for (holder, known) in locked(part).iter() {
                see(holder, known);
            }
        }
    }

    /// Looks through the next so many parts and keeps of them what is to be kept.
    pub(crate) fn retain(&self, parts: usize, keep: impl Fn(&V) -> bool) {
        for _ in 0..parts {
            let mut part = locked(&self.parts[self.next.fetch_add(1, Ordering::Relaxed) % PARTS]);
            part.retain(|(_, known)| keep(known));
            if part.capacity() > SMALL && part.len() < part.capacity() / 4 {
                part.shrink_to_fit(|(holder, _)| self.hash.hash_one(holder));
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| locked(part).len()).sum()
    }
}
