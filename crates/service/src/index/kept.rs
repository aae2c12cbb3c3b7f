//! What a node remembers, kept in a file while nobody has the embedded database open, so that the next start need not
//! read every key from there (decision 31).
//!
//! It is good for the very file that it was kept beside, as it was left, and for one start: whoever reads it removes it.
//! Of a key it holds what the memory holds, half of a digest and no text.
//!
//! A head of fixed size names the parts behind it: the values by the first byte of their digests, what many of them have in
//! common, and what keys may be used for. Numbers are little-endian.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use foldhash::fast::RandomState;
use sha2::{Digest as _, Sha256};
use trousseau_domain::ids::KeyId;
use trousseau_domain::keys::Validity;
use trousseau_domain::time::Timestamp;
use trousseau_store::{KeyAccess, Left, Stamp};

use super::businesses::Businesses;
use super::table::{Full, KEPT, Record, SHARDS, Table};
use super::{Dates, Group, Traits, valid_from};

/// At the end of the name of the database.
const SUFFIX: &str = "-index";
/// The same while it is written.
const UNFINISHED: &str = "-index-new";
/// Another one with every change of what follows it, or of what that means.
const FORMAT: [u8; 8] = *b"trsidx01";
const GROUPS: usize = SHARDS;
const ACCESS: usize = SHARDS + 1;
const PARTS: usize = SHARDS + 2;
const DIGEST: usize = 32;
/// The length of a part, of how many pieces it is, and its digest.
const PART: usize = 8 + 8 + DIGEST;
const HEAD: usize = FORMAT.len() + Stamp::LEN + 8 + PARTS * PART;
/// Bytes of texts that are written or read at once.
const BUFFER: usize = 64 * 1024;
const VALUE: usize = KEPT + 16 + 8 + 4 + 2 + 1 + 4;

/// What is said of a part that does not have the digest that its head names.
const TORN: &str = "part of it was not written to the end";

type Sum = [u8; DIGEST];

/// Part of a file, and how to know it again.
#[derive(Debug, Clone, Copy)]
struct Part {
    at: u64,
    len: usize,
    pieces: usize,
    sum: Sum,
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl From<Full> for io::Error {
    fn from(Full: Full) -> Self {
        Self::new(io::ErrorKind::QuotaExceeded, "there is room for fewer keys than were kept")
    }
}

/// Writes what is remembered in `table`, all changes up to `applied` being in it, beside the database that was left.
pub(super) fn keep(left: &Left, applied: i64, table: &Table) -> io::Result<()> {
    let Some(stamp) = left.stamp else { return Ok(()) };
    let unfinished = left.beside(UNFINISHED);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|file| write(&file, stamp, applied, table))
        .and_then(|()| fs::rename(&unfinished, left.beside(SUFFIX)));
    if written.is_err() {
        // What is in the way of the one may be in the way of the other.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// Not synced: what a loss of power leaves of it is known by its sums.
fn write(file: &File, stamp: Stamp, applied: i64, table: &Table) -> io::Result<()> {
    let mut parts = Writing { file, at: as_u64(HEAD + DIGEST), head: Vec::with_capacity(HEAD + DIGEST) };
    parts.head.extend(FORMAT);
    parts.head.extend(stamp.to_bytes());
    parts.head.extend(applied.to_le_bytes());
    let mut groups = Numbered::default();
    let mut bytes = Vec::new();
    for part in 0..SHARDS {
        bytes.clear();
        table.each_of(part, |record, group| put_value(&mut bytes, record, groups.number(group)));
        parts.add([&bytes])?;
    }
    let mut access = Numbered::default();
    parts.add(groups.all.iter().map(|group| group.to_line(access.number(&group.traits.access))))?;
    parts.add(access.all.iter().map(|access| access.to_text() + "\n"))?;
    let mut head = parts.head;
    head.extend(Sha256::digest(&head));
    file.write_all_at(&head, 0)
}

/// A file that is written part by part, its head last.
struct Writing<'a> {
    file: &'a File,
    at: u64,
    head: Vec<u8>,
}

impl Writing<'_> {
    /// Writes one part, which is put together of these.
    fn add(&mut self, pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> io::Result<()> {
        let (mut sum, began) = (Sha256::new(), self.at);
        let mut bytes = Vec::with_capacity(BUFFER);
        let mut pieces = pieces.into_iter().peekable();
        let mut count = 0;
        while let Some(piece) = pieces.next() {
            count += 1;
            bytes.extend(piece.as_ref());
            if bytes.len() >= BUFFER || pieces.peek().is_none() {
                self.file.write_all_at(&bytes, self.at)?;
                self.at += as_u64(bytes.len());
                sum.update(&bytes);
                bytes.clear();
            }
        }
        self.head.extend((self.at - began).to_le_bytes());
        self.head.extend(as_u64(count).to_le_bytes());
        self.head.extend(sum.finalize());
        Ok(())
    }
}

fn as_u64(len: usize) -> u64 {
    len as u64
}

/// Things that are shared, in the order in which they were met.
struct Numbered<T> {
    all: Vec<Arc<T>>,
    /// By where they are, which is nobody else's place as long as they are in the list.
    numbers: HashMap<*const T, u32, RandomState>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { all: Vec::new(), numbers: HashMap::default() }
    }
}

impl<T> Numbered<T> {
    fn number(&mut self, one: &Arc<T>) -> u32 {
        *self.numbers.entry(Arc::as_ptr(one)).or_insert_with(|| {
            self.all.push(Arc::clone(one));
            u32::try_from(self.all.len() - 1).expect("fewer than values, which are numbered so too")
        })
    }
}

fn put_value(bytes: &mut Vec<u8>, record: &Record, number: u32) {
    let Record { starts_at, group: _, key, digest, valid_from, version, pepper } = record;
    bytes.extend(digest);
    bytes.extend(key);
    bytes.extend(starts_at.to_le_bytes());
    bytes.extend(valid_from.to_le_bytes());
    bytes.extend(version.to_le_bytes());
    bytes.push(*pepper);
    bytes.extend(number.to_le_bytes());
}

impl Group {
    /// What its values have in common, in words.
    fn to_line(&self, number: u32) -> String {
        let Self { business, traits: Traits { environment, kind, state, revoked, dates, access: _ } } = self;
        let Dates { valid_from, valid_until, ends_at } = dates.as_deref().copied().unwrap_or_default();
        let [valid_from, valid_until, ends_at] = [valid_from, valid_until, ends_at]
            .map(|date| date.map_or_else(|| "-".to_owned(), |date| date.as_micros().to_string()));
        let revoked = if *revoked { "revoked" } else { "-" };
        let business = business.get().id;
        format!("{business} {environment} {kind} {state} {revoked} {number} {valid_from} {valid_until} {ends_at}\n")
    }

    /// The same, read again, with the business that it is of.
    fn from_line(line: &str, businesses: &Businesses, access: &[Arc<KeyAccess>]) -> Option<Arc<Self>> {
        let mut words = line.split(' ');
        let business = businesses.find(&words.next()?.parse().ok()?)?;
        let (environment, kind, state) = (read(words.next())?, read(words.next())?, read(words.next())?);
        let revoked = words.next()? == "revoked";
        let access = Arc::clone(access.get(read::<usize>(words.next())?)?);
        let mut date = || match words.next()? {
            "-" => Some(None),
            text => Some(Some(Timestamp::from_micros(text.parse().ok()?).ok()?)),
        };
        let dates = Dates { valid_from: date()?, valid_until: date()?, ends_at: date()? };
        Some(business.group(Traits { environment, kind, state, revoked, dates: dates.kept(), access }))
    }
}

fn read<T: FromStr>(word: Option<&str>) -> Option<T> {
    word?.parse().ok()
}

/// Bytes that are read from the front.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn value(&mut self, part: usize, groups: &[Arc<Group>]) -> Option<Record> {
        let (digest, key): ([u8; KEPT], [u8; 16]) = (self.next()?, self.next()?);
        let starts_at = i64::from_le_bytes(self.next()?);
        let near = i32::from_le_bytes(self.next()?);
        let version = u16::from_le_bytes(self.next()?);
        let [pepper] = self.next()?;
        let group = groups.get(usize::try_from(u32::from_le_bytes(self.next()?)).ok()?)?;
        // What the memory takes for granted.
        let dates = group.traits.dates.as_deref().copied().unwrap_or_default();
        let from = valid_from(KeyId::from_bits(u128::from_be_bytes(key)), near, dates).ok()?;
        let is_right = usize::from(digest[0]) == part
            && Timestamp::from_micros(starts_at).is_ok()
            && Validity::new(from, dates.valid_until).is_ok();
        let group = Some(Arc::clone(group));
        is_right.then_some(Record { starts_at, group, key, digest, valid_from: near, version, pepper })
    }
}

/// A part that is read from its beginning to its end.
struct Reading<'a> {
    file: &'a File,
    at: u64,
    left: usize,
    sum: Sha256,
}

impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.left);
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += as_u64(read);
        self.left -= read;
        self.sum.update(&buffer[..read]);
        Ok(read)
    }
}

/// What was kept, opened.
#[derive(Debug)]
pub(super) struct Kept {
    file: File,
    stamp: [u8; Stamp::LEN],
    /// The latest change that is in it.
    pub(super) applied: i64,
    parts: Vec<Part>,
}

impl Kept {
    /// Opens what was kept beside the database that was found, and removes it: none if there is nothing that is good for
    /// that one as it is now.
    pub(super) fn take(found: &Left) -> io::Result<Option<Self>> {
        // Left by whoever was killed while it wrote.
        let _ = fs::remove_file(found.beside(UNFINISHED));
        let place = found.beside(SUFFIX);
        let file = match File::open(&place) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        fs::remove_file(&place)?;
        let kept = Self::open(file)?;
        Ok(kept.filter(|kept| found.stamp.is_some_and(|stamp| stamp.to_bytes() == kept.stamp)))
    }

    /// Reads the head; none if it was written by another version of this program.
    fn open(file: File) -> io::Result<Option<Self>> {
        let mut bytes = vec![0; HEAD + DIGEST];
        file.read_exact_at(&mut bytes, 0)?;
        let (head, sum) = bytes.split_at(HEAD);
        if !head.starts_with(&FORMAT) {
            return Ok(None);
        }
        if Sha256::digest(head)[..] != *sum {
            return Err(damaged("its head was not written to the end"));
        }
        let mut head = Bytes(&head[FORMAT.len()..]);
        let mut fields = || {
            let (stamp, applied) = (head.next()?, i64::from_le_bytes(head.next()?));
            let mut at = as_u64(HEAD + DIGEST);
            let parts = (0..PARTS).map(|_| {
                let (len, pieces) = (u64::from_le_bytes(head.next()?), u64::from_le_bytes(head.next()?));
                let (len, pieces) = (usize::try_from(len).ok()?, usize::try_from(pieces).ok()?);
                let part = Part { at, len, pieces, sum: head.next()? };
                at += as_u64(len);
                Some(part)
            });
            Some((stamp, applied, parts.collect::<Option<_>>()?))
        };
        let (stamp, applied, parts) = fields().ok_or_else(|| damaged("its head is too short"))?;
        Ok(Some(Self { file, stamp, applied, parts }))
    }

    /// Reads a part into this memory, which may be that of another one.
    fn part<'a>(&self, number: usize, bytes: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        let Part { at, len, sum, .. } = self.parts[number];
        bytes.resize(len, 0);
        self.file.read_exact_at(bytes, at)?;
        if Sha256::digest(&bytes)[..] == sum { Ok(bytes) } else { Err(damaged(TORN)) }
    }

    /// Reads a part as texts of so many lines each. What became of them is good for nothing should this fail at the end.
    fn texts<T>(&self, number: usize, lines: usize, read: impl Fn(&str) -> Option<T>) -> io::Result<Vec<T>> {
        let Part { at, len, pieces, sum } = self.parts[number];
        let part = Reading { file: &self.file, at, left: len, sum: Sha256::new() };
        let mut part = BufReader::with_capacity(BUFFER, part);
        let (mut all, mut text) = (Vec::with_capacity(pieces), String::new());
        loop {
            text.clear();
            for _ in 0..lines {
                part.read_line(&mut text)?;
            }
            let Some(text) = text.strip_suffix('\n') else { break };
            all.push(read(text).ok_or_else(|| damaged("a text of it makes no sense"))?);
        }
        let part = part.into_inner();
        if part.left == 0 && part.sum.finalize()[..] == sum { Ok(all) } else { Err(damaged(TORN)) }
    }

    /// Fills a table that is empty, on as many threads as there are processors.
    pub(super) fn fill(&self, table: &Table, businesses: &Businesses) -> io::Result<()> {
        let access = self.texts(ACCESS, KeyAccess::LINES, |text| KeyAccess::from_text(text).ok().map(Arc::new))?;
        let groups = self.texts(GROUPS, 1, |line| Group::from_line(line, businesses, &access))?;
        let next = AtomicUsize::new(0);
        let fill_some = || {
            let mut bytes = Vec::new();
            loop {
                let part = next.fetch_add(1, Ordering::Relaxed);
                if part >= SHARDS {
                    return Ok(());
                }
                let value = |value| Bytes(value).value(part, &groups).ok_or_else(|| damaged("a value makes no sense"));
                table.fill_part(part, self.part(part, &mut bytes)?.chunks(VALUE).map(value))?;
            }
        };
        thread::scope(|scope| {
            let others = thread::available_parallelism().map_or(1, std::num::NonZero::get) - 1;
            let others: Vec<_> = (0..others.min(SHARDS)).map(|_| scope.spawn(fill_some)).collect();
            let mut filled = fill_some();
            for other in others {
                filled = filled.and(other.join().unwrap_or_else(|_| Err(io::Error::other("a thread of it ended"))));
            }
            filled
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use trousseau_domain::digest::KeyDigest;
    use trousseau_domain::environment::{Environment, Tenant};
    use trousseau_store::testing::TestDatabase;
    use trousseau_store::{ChangeKind, Store, StoreOptions};

    use crate::access::renamed;
    use crate::clock::{Clock as _, SystemClock};
    use crate::index::{Index, Remembered, Seen};
    use crate::settings::Settings;

    use super::*;

    const KEYS: u8 = 60;

    /// Keys of three businesses, with all that may be different of keys. The values of each have its number as digests.
    const CONTENT: [&str; 4] = [
        "INSERT INTO businesses (id, name, profile, time_zone, language, metadata, created_at, revision, suspended_at, \
         limits) VALUES ('b-1', 'One', 'codat', 'UTC', 'en', '{}', 0, 0, NULL, '{}'), ('b-2', 'Two', 'payline', 'UTC', \
         'fr', '{\"of\":\"b\"}', 0, 0, 7, '{}'), ('b-3', 'Three', 'gone', 'UTC', 'en', '{}', 0, 0, NULL, '{}')",
        "INSERT INTO keys (id, business_id, environment, kind, number, state, valid_from, valid_until, revoked_at, \
         revoked_by, scopes, \
         allowed_origins, allowed_ips, metadata, current_version, mask_prefix, last_three, created_at, created_by, \
         updated_at) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) \
         SELECT printf('key_01k3v5m8c2q7x9r4t6w8y0%04d', i), 'b-' || (1 + i % 3), \
         CASE WHEN i % 2 = 0 THEN 'live' ELSE 'test' END, CASE WHEN i % 5 = 0 THEN 'checkout' ELSE 'secret' END, i, \
         CASE WHEN i % 7 = 0 THEN 'inactive' ELSE 'active' END, \
         CASE WHEN i % 4 = 0 THEN 5 ELSE 1755000000000000 + i END, \
         CASE WHEN i % 6 = 0 THEN 1900000000000000 END, CASE WHEN i % 11 = 0 THEN 3 END, \
         CASE WHEN i % 11 = 0 THEN '{}' END, \
         CASE WHEN i % 3 = 0 THEN '[\"keys:read\"]' ELSE '[]' END, \
         CASE WHEN i % 5 = 0 THEN '[\"https://shop.example\"]' ELSE '[]' END, \
         CASE WHEN i % 8 = 0 THEN '[\"192.0.2.0/24\"]' ELSE '[]' END, \
         CASE WHEN i % 9 = 0 THEN '{\"line\":\"one\\ntwo\"}' ELSE '{}' END, 1, '', 'abc', 0, '{}', 0 FROM n",
        "INSERT INTO key_versions (key_id, version, business_id, environment, kind, digest, pepper_version, last_three, \
         starts_at, created_at, created_by, origin, live_readable) \
         SELECT id, 1, business_id, environment, kind, \
         CAST(char(number * 2) || '1' || printf('%030d', 0) AS BLOB), 1, 'abc', number, 0, '{}', 'generated', 0 FROM keys",
        "INSERT INTO key_versions (key_id, version, business_id, environment, kind, digest, pepper_version, last_three, \
         starts_at, ends_at, created_at, created_by, origin, live_readable) \
         SELECT id, 2, business_id, environment, kind, \
         CAST(char(number * 2) || '2' || printf('%030d', 0) AS BLOB), 2, 'abc', 0, 1000 + number % 2, 0, '{}', 'generated', 0 \
         FROM keys WHERE number % 2 = 0",
    ];

    /// The first or second value of the key with this number.
    fn digest(number: u8, version: u8) -> KeyDigest {
        let mut bytes = [b'0'; 32];
        (bytes[0], bytes[1]) = (number * 2, b'0' + version);
        KeyDigest::from_stored(&bytes).expect("32 bytes")
    }

    /// All that is known by any of the digests, as text.
    fn all_of(index: &Index) -> Vec<String> {
        let digests = (1..=KEYS).flat_map(|number| [digest(number, 1), digest(number, 2)]);
        digests
            .map(|digest| match index.find(&[digest]) {
                Remembered::Is(known, _) => format!("{known:?}"),
                Remembered::Unknown(_) => "unknown".to_owned(),
                Remembered::Ask => "ask".to_owned(),
            })
            .collect()
    }

    async fn reopened(database: &TestDatabase) -> Store {
        Store::open(database.url(), &StoreOptions::default()).await.expect("opens")
    }

    async fn closed(store: &Store) -> Left {
        store.close().await;
        store.left(|| SystemClock.now()).await.expect("nobody has it open")
    }

    /// A database that was left, with what a node knew of it that saw all changes.
    async fn known() -> (TestDatabase, Index, Left) {
        let database = TestDatabase::sqlite().await;
        for statement in CONTENT {
            database.run(statement).await.expect("runs");
        }
        let index = Index::new(Settings::default());
        index.prove(database.store()).await.expect("proven");
        let left = closed(database.store()).await;
        (database, index, left)
    }

    #[tokio::test]
    async fn what_was_kept_is_known_as_it_was_and_once() {
        let (database, index, left) = known().await;
        let before = all_of(&index);
        assert_eq!(before.iter().filter(|one| *one == "unknown").count(), 30, "half of the keys have one value");
        for what in ["b-1", "gone", "shop.example", "192.0.2.0/24", "keys:read", "one\\ntwo", "Inactive"] {
            assert!(before.iter().any(|one| one.contains(what)), "{what}");
        }
        keep(&left, 0, &index.table()).expect("kept");
        let file = fs::metadata(left.beside(SUFFIX)).expect("there");
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        let store = reopened(&database).await;
        let again = Index::new(Settings::default());
        assert!(again.take_over(&store, store.found().expect("as it was")).await.expect("read"));
        assert_eq!(all_of(&again), vec!["ask"; 120], "nothing is said before a proof");
        assert!(matches!(again.prove(&store).await, Ok(Seen::Changes(none)) if none.is_empty()));
        assert_eq!(all_of(&again), before);
        assert!(!left.beside(SUFFIX).exists());
        assert!(!again.take_over(&store, &left).await.expect("nothing is there"));
    }

    #[tokio::test]
    async fn what_lacks_a_change_or_a_value_is_not_used() {
        let (database, index, _) = known().await;
        let store = reopened(&database).await;
        let key = KeyId::from_str("key_01k3v5m8c2q7x9r4t6w8y00003").expect("an id");
        let tenant = Tenant::new("b-1".parse().expect("an id"), Environment::Test);
        let mut tx = store.begin().await.expect("begins");
        assert!(tx.redigest_version(&tenant, key, 1, &digest(3, 1), &digest(3, 2), 2).await.expect("changed"));
        let target = renamed(key, &digest(3, 1));
        let now = Timestamp::from_micros(1).expect("an instant");
        tx.append_change(ChangeKind::Key, Some(&tenant.business), Some(&target), now).await.expect("told");
        tx.commit().await.expect("commits");
        let left = closed(&store).await;
        keep(&left, 0, &index.table()).expect("kept");
        let store = reopened(&database).await;
        let again = Index::new(Settings::default());
        assert!(!again.take_over(&store, &left).await.expect("read"), "a change is missing");
        again.prove(&store).await.expect("proven");
        let is_known = |number, version| matches!(again.find(&[digest(number, version)]), Remembered::Is(..));
        assert_eq!((is_known(3, 1), is_known(3, 2), is_known(4, 1)), (false, true, true));
        for whole in [true, false] {
            if !whole {
                assert!(again.table().remove(&digest(5, 1)));
            }
            keep(&left, 1, &again.table()).expect("kept");
            let taken = Index::new(Settings::default()).take_over(&store, &left).await;
            assert_eq!(taken.expect("read"), whole, "a value is missing");
        }
    }

    #[tokio::test]
    async fn a_database_that_was_touched_is_read_itself() {
        let (database, index, left) = known().await;
        keep(&left, 0, &index.table()).expect("kept");
        // By hand, and told by no change.
        let store = reopened(&database).await;
        let mut tx = store.begin().await.expect("begins");
        let tenant = Tenant::new("b-1".parse().expect("an id"), Environment::Test);
        let key = KeyId::from_str("key_01k3v5m8c2q7x9r4t6w8y00003").expect("an id");
        assert!(tx.redigest_version(&tenant, key, 1, &digest(3, 1), &digest(3, 2), 2).await.expect("changed"));
        tx.commit().await.expect("commits");
        store.close().await;
        let store = reopened(&database).await;
        let again = Index::new(Settings::default());
        assert!(!again.take_over(&store, store.found().expect("left in order")).await.expect("not read"));
        assert!(!left.beside(SUFFIX).exists());
        again.prove(&store).await.expect("proven");
        let is_known = |version| matches!(again.find(&[digest(3, version)]), Remembered::Is(..));
        assert_eq!((is_known(1), is_known(2)), (false, true));
    }

    #[tokio::test]
    async fn damage_is_found_and_nothing_is_remembered() {
        let (database, index, left) = known().await;
        let place = left.beside(SUFFIX);
        keep(&left, 0, &index.table()).expect("kept");
        let good = fs::read(&place).expect("there");
        let store = reopened(&database).await;
        let again = Index::new(Settings::default());
        let parts = HEAD + DIGEST;
        let damages = (0..parts).step_by(211).chain((parts..good.len()).step_by(29));
        let flipped = damages.map(|at| {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            bytes
        });
        let cut = [0, 1, HEAD, parts, parts + 1, good.len() - 1].map(|len| good[..len].to_vec());
        for (number, bytes) in flipped.chain(cut).enumerate() {
            fs::write(&place, bytes).expect("written");
            let taken = again.take_over(&store, &left).await;
            assert!(!matches!(taken, Ok(true)), "damage {number}");
            assert!(!place.exists(), "damage {number}");
            assert_eq!((again.state().values, again.filled.load(Ordering::Relaxed)), (0, false), "damage {number}");
        }
        fs::write(&place, good).expect("written");
        assert!(again.take_over(&store, &left).await.expect("the same without damage is good"));
    }

    #[tokio::test]
    async fn with_room_for_fewer_keys_they_are_read_from_the_database() {
        let (database, index, left) = known().await;
        let store = reopened(&database).await;
        for (room, fits) in [(89, false), (90, true)] {
            keep(&left, 0, &index.table()).expect("kept");
            let again = Index::new(Settings::default().with_keys_in_memory(room));
            assert_eq!(again.take_over(&store, &left).await.is_ok(), fits, "room for {room}");
            again.prove(&store).await.expect("proven");
            assert_eq!((again.state().values, again.state().complete), (room, fits));
        }
    }

    #[tokio::test]
    async fn only_what_is_whole_and_worth_it_is_kept() {
        let (_database, index, left) = known().await;
        assert!(!index.is_worth_keeping(), "there are few keys");
        let table = index.table();
        let mut sample = None;
        table.each_of(2, |record, group| sample = Some((record.clone(), Arc::clone(group))));
        let (record, group) = sample.expect("key 1 is there");
        for number in 0..1_000_u32 {
            let mut digest = [9; KEPT];
            digest[..4].copy_from_slice(&number.to_le_bytes());
            table.put(Record { digest, group: Some(Arc::clone(&group)), ..record.clone() }).expect("room");
        }
        for (complete, filled, kept) in [(false, true, false), (true, false, false), (true, true, true)] {
            index.complete.store(complete, Ordering::Relaxed);
            index.filled.store(filled, Ordering::Relaxed);
            assert_eq!(index.is_worth_keeping(), kept, "complete {complete}, filled {filled}");
        }
        // Whatever is in the way: nothing is left behind, and the next start finds nothing.
        fs::create_dir(left.beside(SUFFIX)).expect("made");
        index.keep(&left).expect_err("a folder is in the way");
        assert!(!left.beside(UNFINISHED).exists());
    }
}
