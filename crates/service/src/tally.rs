//! What is counted of accepted calls, in memory: nothing of a request waits for the database, and no use is lost to a
//! burst of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::KeyId;
use trousseau_domain::requests::UtcDay;
use trousseau_domain::time::Timestamp;

/// Parts with a lock of their own.
const SHARDS: usize = 16;
/// Keys that may wait to be written; calls of more of them are dropped and counted.
const MOST: usize = 200_000;
/// Accepted calls a second that each get a row of the request log; beyond them they are only counted.
const ROWS_PER_SECOND: u32 = 500;

/// Calls of one key on one day.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) tenant: Tenant,
    pub(crate) requests: u64,
    pub(crate) last_at: Timestamp,
}

/// Calls by key and day, until they are written.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    shards: [Mutex<HashMap<(KeyId, UtcDay), Counted>>; SHARDS],
    waiting: AtomicUsize,
    /// Where to begin the next time, so that no part waits behind the others.
    next: AtomicUsize,
    second: AtomicI64,
    rows: AtomicU32,
}

impl Tally {
    /// Counts a call; `false` if there was no room for its key.
    pub(crate) fn count(&self, tenant: &Tenant, key: KeyId, at: Timestamp) -> bool {
        let shard = usize::try_from(key.bits() % SHARDS as u128).expect("below their number");
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        let by = (key, UtcDay::of(at));
        if let Some(counted) = shard.get_mut(&by) {
            counted.requests += 1;
            counted.last_at = counted.last_at.max(at);
            return true;
        }
        if self.waiting.load(Ordering::Relaxed) >= MOST {
            return false;
        }
        shard.insert(by, Counted { tenant: tenant.clone(), requests: 1, last_at: at });
        self.waiting.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Whether one more row of the request log is within the second's measure.
    pub(crate) fn has_row(&self, at: Timestamp) -> bool {
        let second = at.as_seconds();
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.rows.store(0, Ordering::Relaxed);
        }
        self.rows.fetch_add(1, Ordering::Relaxed) < ROWS_PER_SECOND
    }

    /// How many keys wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Takes out what is counted of at most `most` keys.
    pub(crate) fn take(&self, most: usize) -> Vec<((KeyId, UtcDay), Counted)> {
        let mut taken = Vec::new();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for at in 0..SHARDS {
            let mut shard = self.shards[(first + at) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
            let wanted: Vec<_> = shard.keys().take(most - taken.len()).copied().collect();
            taken.extend(wanted.into_iter().filter_map(|by| shard.remove(&by).map(|counted| (by, counted))));
            if taken.len() >= most {
                break;
            }
        }
        self.waiting.fetch_sub(taken.len(), Ordering::Relaxed);
        taken
    }
}

#[cfg(test)]
mod tests {
    use trousseau_domain::environment::Environment;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000).expect("in range")
    }

    #[test]
    fn calls_are_counted_by_key_and_day_and_taken_out_once() {
        let tally = Tally::default();
        let tenant = Tenant::new("1".parse().expect("an id"), Environment::Test);
        for (key, second) in [(1, 5), (1, 9), (1, 7), (2, 1), (1, 86_400)] {
            assert!(tally.count(&tenant, KeyId::from_bits(key), at(second)));
        }
        assert_eq!(tally.waiting(), 3);
        let mut taken = tally.take(2);
        taken.extend(tally.take(2));
        let mut seen: Vec<_> =
            taken.into_iter().map(|((key, _), counted)| (key.bits(), counted.requests, counted.last_at)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [(1, 1, at(86_400)), (1, 3, at(9)), (2, 1, at(1))]);
        assert!(tally.take(9).is_empty() && tally.waiting() == 0);
    }

    #[test]
    fn a_second_has_so_many_rows() {
        let tally = Tally::default();
        let rows = |second| (0..ROWS_PER_SECOND * 2).filter(|_| tally.has_row(at(second))).count();
        assert_eq!((rows(1), rows(2)), (ROWS_PER_SECOND as usize, ROWS_PER_SECOND as usize));
    }
}
