//! Known values by digest: dense records, found through a flat array of their numbers.
//!
//! A record is 56 bytes. The array holds 32 bits a record, of which 12 are a part of the digest, at most four fifths
//! full: a look-up touches one line of the array and one record. Both grow by a part of their size, never to its double.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use subtle::ConstantTimeEq as _;
use trousseau_domain::digest::KeyDigest;
use trousseau_domain::ids::KeyId;

use super::Group;

/// Parts of the table with a lock of their own: one for each first byte of a digest.
pub(super) const SHARDS: usize = 256;
/// The part of a digest that is kept: 128 bits of an HMAC cannot be hit by chance or by choice.
pub(super) const KEPT: usize = 16;
/// Bits of an entry that number a record of the shard.
const NUMBER_BITS: u32 = 20;
/// Those bits.
const NUMBER: u32 = (1 << NUMBER_BITS) - 1;
/// The most records of a shard.
const MOST: usize = NUMBER as usize;
/// The fewest entries of a shard that is not empty.
const FEWEST: usize = 16;

/// A value, as small as it can be.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) starts_at: i64,
    /// What many values have in common; none where the record is free.
    pub(super) group: Option<Arc<Group>>,
    pub(super) key: [u8; 16],
    pub(super) digest: [u8; KEPT],
    /// From the millisecond of the key's id to the first instant of the key, in microseconds.
    pub(super) valid_from: i32,
    pub(super) version: u16,
    pub(super) pepper: u8,
}

impl Record {
    pub(super) fn new(digest: &KeyDigest, key: KeyId, group: Arc<Group>) -> Self {
        Self {
            starts_at: 0,
            group: Some(group),
            key: key.bits().to_be_bytes(),
            digest: kept(digest),
            valid_from: 0,
            version: 0,
            pepper: 0,
        }
    }
}

/// There is no room for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[RwLock<Shard>]>,
    len: AtomicUsize,
    most: usize,
}

#[derive(Debug, Default)]
struct Shard {
    /// 0 where nothing is; otherwise a tag and, below it, the number of a record plus one.
    entries: Vec<u32>,
    records: Vec<Record>,
    free: Vec<u32>,
}

fn kept(digest: &KeyDigest) -> [u8; KEPT] {
    let mut kept = [0; KEPT];
    kept.copy_from_slice(&digest.as_bytes()[..KEPT]);
    kept
}

/// Where a search begins in an array of `len` entries: the digest's second to fifth bytes, spread evenly.
fn home(digest: &[u8; KEPT], len: usize) -> usize {
    let spread = u32::from_be_bytes([digest[1], digest[2], digest[3], digest[4]]);
    let scaled = (u64::from(spread) * len as u64) >> 32;
    usize::try_from(scaled).expect("below the length of an array")
}

fn tag(digest: &[u8; KEPT]) -> u32 {
    (u32::from(digest[5]) << 4 | u32::from(digest[6]) >> 4) << NUMBER_BITS
}

fn number(entry: u32) -> usize {
    (entry & NUMBER) as usize - 1
}

impl Shard {
    /// The place of a digest in the array, and the number of its record.
    fn find(&self, digest: &[u8; KEPT]) -> Option<(usize, usize)> {
        if self.entries.is_empty() {
            return None;
        }
        let tag = tag(digest);
        let mut at = home(digest, self.entries.len());
        loop {
            let entry = self.entries[at];
            if entry == 0 {
                return None;
            }
            if entry & !NUMBER == tag {
                let number = number(entry);
                if self.records[number].digest.ct_eq(digest).into() {
                    return Some((at, number));
                }
            }
            at = self.after(at);
        }
    }

    const fn after(&self, at: usize) -> usize {
        if at + 1 == self.entries.len() { 0 } else { at + 1 }
    }

    fn live(&self) -> usize {
        self.records.len() - self.free.len()
    }

    /// Makes room for `more` records. The array is at most four fifths full afterwards.
    fn reserve(&mut self, more: usize) {
        let wanted = self.live() + more;
        if wanted * 5 > self.entries.len() * 4 {
            let len = (wanted * 10 / 7).max(self.entries.len() * 9 / 8).max(FEWEST);
            self.entries = Vec::new();
            self.entries.resize(len, 0);
            for number in 0..self.records.len() {
                if self.records[number].group.is_some() {
                    self.enter(number);
                }
            }
        }
        let short = more.saturating_sub(self.free.len());
        if self.records.len() + short > self.records.capacity() {
            let room = (self.records.len() + short).max(self.records.capacity() * 17 / 16 + 4);
            self.records.reserve_exact(room - self.records.len());
        }
    }

    fn enter(&mut self, number: usize) {
        let digest = self.records[number].digest;
        let mut at = home(&digest, self.entries.len());
        while self.entries[at] != 0 {
            at = self.after(at);
        }
        self.entries[at] = tag(&digest) | (u32::try_from(number).expect("below the most") + 1);
    }

    fn insert(&mut self, record: Record) -> Result<(), Full> {
        if self.free.is_empty() && self.records.len() >= MOST {
            return Err(Full);
        }
        self.reserve(1);
        let number = if let Some(free) = self.free.pop() {
            self.records[free as usize] = record;
            free as usize
        } else {
            self.records.push(record);
            self.records.len() - 1
        };
        self.enter(number);
        Ok(())
    }

    /// Takes an entry out and moves those back that stood behind it for its sake.
    fn remove(&mut self, mut hole: usize, removed: usize) {
        let len = self.entries.len();
        let mut at = self.after(hole);
        while self.entries[at] != 0 {
            let begins = home(&self.records[number(self.entries[at])].digest, len);
            // As far from the hole as from its home, or farther: a search for it comes past the hole.
            if (at + len - begins) % len >= (at + len - hole) % len {
                self.entries[hole] = self.entries[at];
                hole = at;
            }
            at = self.after(at);
        }
        self.entries[hole] = 0;
        self.records[removed].group = None;
        self.free.push(u32::try_from(removed).expect("below the most"));
    }
}

impl Table {
    /// A table for at most `most` values.
    pub(super) fn new(most: usize) -> Self {
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), len: AtomicUsize::new(0), most }
    }

    fn read(&self, digest: &[u8; KEPT]) -> RwLockReadGuard<'_, Shard> {
        self.shards[usize::from(digest[0])].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, digest: &[u8; KEPT]) -> RwLockWriteGuard<'_, Shard> {
        self.shards[usize::from(digest[0])].write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Makes room for about so many more, so that filling it moves nothing.
    pub(super) fn reserve(&self, more: usize) {
        // Spread by chance: a shard gets a little more or less than its part.
        let each = more.min(self.most) / SHARDS;
        let each = each + each / 50 + 4;
        for shard in &self.shards {
            shard.write().unwrap_or_else(PoisonError::into_inner).reserve(each.min(MOST));
        }
    }

    /// Hands on the values of one part, in no order.
    pub(super) fn each_of(&self, part: usize, mut take: impl FnMut(&Record, &Arc<Group>)) {
        let shard = self.shards[part].read().unwrap_or_else(PoisonError::into_inner);
        for record in &shard.records {
            if let Some(group) = &record.group {
                take(record, group);
            }
        }
    }

    /// Puts all values of one part in, of which there is none yet.
    pub(super) fn fill_part<E: From<Full>>(
        &self,
        part: usize,
        mut records: impl ExactSizeIterator<Item = Result<Record, E>>,
    ) -> Result<(), E> {
        let count = records.len();
        if self.len.fetch_add(count, Ordering::Relaxed) + count > self.most || count > MOST {
            return Err(Full.into());
        }
        let mut shard = self.shards[part].write().unwrap_or_else(PoisonError::into_inner);
        shard.reserve(count);
        records.try_for_each(|record| Ok(shard.insert(record?)?))
    }

    /// What `read` makes of the value that has this digest, which stays as it is meanwhile.
    pub(super) fn find<T>(&self, digest: &KeyDigest, read: impl FnOnce(&Record, &Group) -> T) -> Option<T> {
        let digest = kept(digest);
        let shard = self.read(&digest);
        let (_, number) = shard.find(&digest)?;
        let record = &shard.records[number];
        record.group.as_deref().map(|group| read(record, group))
    }

    /// Puts a value in, over the one with the same digest.
    pub(super) fn put(&self, record: Record) -> Result<(), Full> {
        let mut shard = self.write(&record.digest);
        if let Some((_, number)) = shard.find(&record.digest) {
            shard.records[number] = record;
            return Ok(());
        }
        if self.len() >= self.most {
            return Err(Full);
        }
        shard.insert(record)?;
        self.len.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Forgets the value that has this digest.
    pub(super) fn remove(&self, digest: &KeyDigest) -> bool {
        let digest = kept(digest);
        let mut shard = self.write(&digest);
        let Some((at, number)) = shard.find(&digest) else { return false };
        shard.remove(at, number);
        self.len.fetch_sub(1, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn digest(seed: u16) -> KeyDigest {
        // Few shards and homes, so that searches run into each other and around the end.
        let mut bytes = [0; 32];
        bytes[0] = u8::from(seed.is_multiple_of(3));
        bytes[1] = if seed % 5 < 3 { 0xff } else { 0 };
        bytes[5] = (seed % 2) as u8;
        bytes[14..16].copy_from_slice(&seed.to_be_bytes());
        KeyDigest::from_stored(&bytes).expect("32 bytes")
    }

    fn record(seed: u16, mark: i64) -> Record {
        let key = KeyId::from_bits(u128::from(seed));
        Record { starts_at: mark, ..Record::new(&digest(seed), key, Arc::new(Group::for_tests())) }
    }

    #[test]
    fn a_record_is_as_small_as_it_is_said_to_be() {
        assert_eq!(size_of::<Record>(), 56);
    }

    #[test]
    fn a_full_table_takes_no_more() {
        let table = Table::new(2);
        assert_eq!(
            (table.put(record(1, 0)), table.put(record(2, 0)), table.put(record(3, 0))),
            (Ok(()), Ok(()), Err(Full))
        );
        assert!(table.put(record(2, 9)).is_ok(), "one that is there may change");
        assert!(table.remove(&digest(1)) && table.put(record(3, 0)).is_ok());
    }

    proptest! {
        #[test]
        fn it_says_what_a_map_says(steps in prop::collection::vec((0u16..200, any::<i64>(), 0u8..4), 1..600), room in 0usize..300) {
            let (table, mut model) = (Table::new(usize::MAX), HashMap::new());
            table.reserve(room);
            for (seed, mark, what) in steps {
                if what == 0 {
                    prop_assert_eq!(table.remove(&digest(seed)), model.remove(&seed).is_some());
                } else {
                    prop_assert_eq!(table.put(record(seed, mark)), Ok(()));
                    model.insert(seed, mark);
                }
                prop_assert_eq!(table.len(), model.len());
            }
            for seed in 0..200 {
                prop_assert_eq!(table.find(&digest(seed), |found, _| found.starts_at), model.get(&seed).copied());
            }
        }
    }
}
