//! What is known in memory of each of many holders, keys or tenants, in parts with a lock of their own.

use std::hash::{BuildHasher as _, Hash};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// The parts.
pub(crate) const SHARDS: usize = 64;

/// What is known of each holder.
#[derive(Debug)]
pub(crate) struct Holders<K, V> {
    hash: RandomState,
    shards: [Mutex<HashTable<(K, V)>>; SHARDS],
    /// Which is looked through next.
    next: AtomicUsize,
}

impl<K, V> Default for Holders<K, V> {
    fn default() -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { hash: RandomState::default(), shards, next: AtomicUsize::new(0) }
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Clone + Eq + Hash, V: Default> Holders<K, V> {
    fn place(&self, holder: &K) -> (u64, MutexGuard<'_, HashTable<(K, V)>>) {
        let hash = self.hash.hash_one(holder);
        // Not the bits that choose the place within a shard.
        let shard = usize::try_from(hash >> 32).expect("32 bits") % SHARDS;
        (hash, locked(&self.shards[shard]))
    }

    /// Does this with what is known of the holder, while nobody else can.
    pub(crate) fn with<T>(&self, holder: &K, act: impl FnOnce(&mut V) -> T) -> T {
        let (hash, mut shard) = self.place(holder);
        if let Some((_, known)) = shard.find_mut(hash, |(other, _)| other == holder) {
            return act(known);
        }
        let entry = (holder.clone(), V::default());
        act(&mut shard.insert_unique(hash, entry, |(other, _)| self.hash.hash_one(other)).into_mut().1)
    }

    /// The same where anything is known of it.
    pub(crate) fn with_known<T>(&self, holder: &K, act: impl FnOnce(&mut V) -> T) -> Option<T> {
        let (hash, mut shard) = self.place(holder);
        shard.find_mut(hash, |(other, _)| other == holder).map(|(_, known)| act(known))
    }

    /// Shows what is known of each, part by part.
    pub(crate) fn each(&self, mut see: impl FnMut(&K, &V)) {
        for shard in &self.shards {
            for (holder, known) in locked(shard).iter() {
                see(holder, known);
            }
        }
    }

    /// Looks through the next so many parts and keeps of them what is to be kept.
    pub(crate) fn retain(&self, parts: usize, keep: impl Fn(&V) -> bool) {
        for _ in 0..parts {
            let shard = &self.shards[self.next.fetch_add(1, Ordering::Relaxed) % SHARDS];
            locked(shard).retain(|(_, known)| keep(known));
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).len()).sum()
    }
}
