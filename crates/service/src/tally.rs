//! What is counted of the calls of known keys, in memory: nothing of a request waits for the database, and no use is lost
//! to a burst of them.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use smallvec::SmallVec;
use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::KeyId;
use trousseau_domain::requests::{Outcome, UtcDay};
use trousseau_domain::time::Timestamp;

use crate::holders::locked;
use crate::limits::{KeyInUse, KeysInUse};

/// Keys that may wait to be written, some 200 bytes each; calls of more of them are dropped and counted.
const MOST: usize = 1_000_000;
/// Calls a second that each get a row of the request log.
const ROWS_PER_SECOND: u32 = 500;
/// The same after a second with more than [`BUSY`] calls: rows would take a good part of what is left for calls then.
const ROWS_PER_BUSY_SECOND: u32 = 100;
/// Calls of a second that is busy.
const BUSY: u32 = 5_000;

/// The same of those that one key may have, where what it is for is to tell its owner what went wrong: whoever tries again
/// and again takes no rows from others.
const ROWS_PER_KEY: u64 = 50;
/// Places in which the rows of keys are counted; keys that share one share its rows.
const PLACES: usize = 256;

/// What calls are counted by.
type By = (KeyId, UtcDay, Outcome);

/// Calls of one key with one outcome on one day.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) tenant: Tenant,
    pub(crate) requests: u64,
    pub(crate) last_at: Timestamp,
}

/// Calls of one key that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct CallCounts {
    /// Whose they are, from the first one on.
    tenant: Option<Box<Tenant>>,
    counts: SmallVec<[Count; 1]>,
}

#[derive(Debug)]
struct Count {
    day: UtcDay,
    outcome: Outcome,
    requests: u64,
    last_at: Timestamp,
}

impl CallCounts {
    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    fn find(&mut self, day: UtcDay, outcome: Outcome) -> Option<usize> {
        self.counts.iter().position(|count| count.outcome == outcome && count.day == day)
    }

    fn remove(&mut self, day: UtcDay, outcome: Outcome) -> Option<Counted> {
        let at = self.find(day, outcome)?;
        let Count { requests, last_at, .. } = self.counts.swap_remove(at);
        // One count lies here again, not elsewhere.
        self.counts.shrink_to_fit();
        let tenant = self.tenant.as_deref().expect("known from the first call on").clone();
        Some(Counted { tenant, requests, last_at })
    }
}

/// Calls by key and day, until they are written.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    keys: Arc<KeysInUse>,
    waiting: AtomicUsize,
    /// Whose turn it is to be taken out, the next one last: rows of neighbours lie next to each other, so that many of
    /// them are one page to write, and none waits behind those that came later.
    turns: Mutex<Vec<By>>,
}

/// How many calls of a kind are written down in a second: what more there are may not take the room of those that are
/// answered.
#[derive(Debug, Default)]
pub(crate) struct Measure {
    second: AtomicI64,
    /// Calls of that second.
    calls: AtomicU32,
    /// How many of them have rows.
    most_rows: AtomicU32,
}

impl Measure {
    /// Whether one more row is within the second's measure.
    pub(crate) fn has_row(&self, at: Timestamp) -> bool {
        let second = at.as_seconds();
        if self.second.swap(second, Ordering::Relaxed) != second {
            let before = self.calls.swap(0, Ordering::Relaxed);
            let most = if before > BUSY { ROWS_PER_BUSY_SECOND } else { ROWS_PER_SECOND };
            self.most_rows.store(most, Ordering::Relaxed);
        }
        self.calls.fetch_add(1, Ordering::Relaxed) < self.most_rows.load(Ordering::Relaxed)
    }
}

/// A measure of which no key takes all.
#[derive(Debug)]
pub(crate) struct SharedMeasure {
    all: Measure,
    /// The second and, in the lowest eight bits, how many rows it has.
    places: [AtomicU64; PLACES],
}

impl Default for SharedMeasure {
    fn default() -> Self {
        Self { all: Measure::default(), places: std::array::from_fn(|_| AtomicU64::default()) }
    }
}

impl SharedMeasure {
    /// Whether one more row of this key is within its part and the second's measure.
    pub(crate) fn has_row(&self, key: KeyId, at: Timestamp) -> bool {
        let place = usize::try_from(key.bits() % PLACES as u128).expect("below their number");
        let second = at.as_seconds().cast_unsigned() << 8;
        let one_more = |seen: u64| {
            let of_now = if seen & !0xff == second { seen } else { second };
            (of_now & 0xff < ROWS_PER_KEY).then_some(of_now + 1)
        };
        let counted = self.places[place].fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.is_ok() && self.all.has_row(at)
    }
}

impl Tally {
    /// Where the calls of each key are counted, and what else is known of keys that are used.
    pub(crate) const fn keys(&self) -> &Arc<KeysInUse> {
        &self.keys
    }

    /// Counts a call; `false` if there was no room for its key.
    pub(crate) fn count(&self, tenant: &Tenant, key: KeyId, outcome: Outcome, at: Timestamp) -> bool {
        let count = |in_use: &mut KeyInUse| self.count_in(&mut in_use.calls, || tenant.clone(), outcome, at);
        if self.is_full() {
            // A place is made for none that would find no room.
            return self.keys.with_known(&key, count).unwrap_or(false);
        }
        self.keys.with(&key, count)
    }

    /// The same where the calls of the key are at hand.
    pub(crate) fn count_in(
        &self,
        calls: &mut CallCounts,
        tenant: impl FnOnce() -> Tenant,
        outcome: Outcome,
        at: Timestamp,
    ) -> bool {
        let day = UtcDay::of(at);
        if let Some(known) = calls.find(day, outcome) {
            let count = &mut calls.counts[known];
            count.requests += 1;
            count.last_at = count.last_at.max(at);
            return true;
        }
        if self.is_full() {
            return false;
        }
        calls.tenant.get_or_insert_with(|| Box::new(tenant()));
        calls.counts.push(Count { day, outcome, requests: 1, last_at: at });
        self.waiting.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn is_full(&self) -> bool {
        self.waiting() >= MOST
    }

    /// How many keys wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Takes out what is counted of at most `most` keys, neighbours if there are more.
    pub(crate) fn take(&self, most: usize) -> Vec<(By, Counted)> {
        let mut turns = locked(&self.turns);
        let (mut taken, mut is_last_round) = (Vec::new(), false);
        while taken.len() < most {
            match turns.pop() {
                Some(by @ (key, day, outcome)) => {
                    let counted = self.keys.with_known(&key, |in_use| in_use.calls.remove(day, outcome)).flatten();
                    taken.extend(counted.map(|counted| (by, counted)));
                }
                None if is_last_round => break,
                None => {
                    is_last_round = true;
                    *turns = self.all();
                    turns.sort_unstable_by(|one, other| other.cmp(one));
                }
            }
        }
        self.waiting.fetch_sub(taken.len(), Ordering::Relaxed);
        taken
    }

    /// All that wait, in no order.
    fn all(&self) -> Vec<By> {
        let mut all = Vec::with_capacity(self.waiting());
        self.keys.each(|key, in_use| {
            all.extend(in_use.calls.counts.iter().map(|count| (*key, count.day, count.outcome)));
        });
        all
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
            assert!(tally.count(&tenant, KeyId::from_bits(key), Outcome::Succeeded, at(second)));
        }
        assert!(tally.count(&tenant, KeyId::from_bits(2), Outcome::Refused, at(2)));
        assert_eq!(tally.waiting(), 4);
        let mut taken = tally.take(2);
        taken.extend(tally.take(3));
        let mut seen: Vec<_> =
            taken.into_iter().map(|((key, ..), counted)| (key.bits(), counted.requests, counted.last_at)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [(1, 1, at(86_400)), (1, 3, at(9)), (2, 1, at(1)), (2, 1, at(2))]);
        assert!(tally.take(9).is_empty() && tally.waiting() == 0);
    }

    #[test]
    fn neighbours_are_taken_together_and_each_gets_its_turn() {
        let tally = Tally::default();
        let tenant = Tenant::new("1".parse().expect("an id"), Environment::Test);
        let count = |key| assert!(tally.count(&tenant, KeyId::from_bits(key), Outcome::Succeeded, at(1)));
        (0..100).rev().for_each(count);
        let take = |most| tally.take(most).into_iter().map(|((key, ..), _)| key.bits()).collect::<Vec<_>>();
        assert_eq!(take(40), (0..40).collect::<Vec<_>>());
        // One that is counted again meanwhile waits until the others had their turn.
        count(7);
        assert_eq!(take(40), (40..80).collect::<Vec<_>>());
        assert_eq!(take(40), (80..100).chain([7]).collect::<Vec<_>>());
        assert_eq!((take(usize::MAX).len(), tally.waiting()), (0, 0));
    }

    #[test]
    fn a_full_tally_counts_for_those_that_have_a_place() {
        let (tally, tenant) = (Tally::default(), Tenant::new("1".parse().expect("an id"), Environment::Test));
        let count = |key, outcome| tally.count(&tenant, KeyId::from_bits(key), outcome, at(1));
        assert!(count(1, Outcome::Succeeded));
        tally.waiting.store(MOST, Ordering::Relaxed);
        assert_eq!(
            [count(1, Outcome::Succeeded), count(1, Outcome::Failed), count(2, Outcome::Failed)],
            [true, false, false]
        );
        assert_eq!(tally.keys.len(), 1, "no place is taken by what is not counted");
    }

    #[test]
    fn a_second_has_so_many_rows() {
        let measure = Measure::default();
        let rows = |second| (0..ROWS_PER_SECOND * 2).filter(|_| measure.has_row(at(second))).count();
        assert_eq!((rows(1), rows(2)), (ROWS_PER_SECOND as usize, ROWS_PER_SECOND as usize));
    }

    #[test]
    fn a_second_after_a_busy_one_has_fewer() {
        let measure = Measure::default();
        let rows = |second, calls: u32| (0..calls).filter(|_| measure.has_row(at(second))).count();
        assert_eq!(rows(1, BUSY + 1), ROWS_PER_SECOND as usize);
        assert_eq!(rows(2, BUSY), ROWS_PER_BUSY_SECOND as usize);
        assert_eq!(rows(3, BUSY), ROWS_PER_SECOND as usize);
    }

    #[test]
    fn no_key_takes_the_rows_of_the_others() {
        let measure = SharedMeasure::default();
        let rows = |key, second, calls: u64| {
            let key = KeyId::from_bits(key);
            (0..calls).filter(|_| measure.has_row(key, at(second))).count() as u64
        };
        assert_eq!(rows(1, 1, 2 * ROWS_PER_KEY), ROWS_PER_KEY);
        assert_eq!((rows(2, 1, 3), rows(1, 1, 1), rows(1, 2, 1)), (3, 0, 1));
        let all: u64 = (0..20).map(|key| rows(key, 3, 2 * ROWS_PER_KEY)).sum();
        assert_eq!(all, u64::from(ROWS_PER_SECOND));
    }
}
