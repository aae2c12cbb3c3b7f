//! Every business, and every value of every key, read from SQLite: the keys by as many threads as there are processors.
//!
//! The driver of everything else hands each row from its thread to another one, column by column, each in memory of its
//! own: well spent on an answer, and most of the time that a start takes with a million keys. What is read here is read
//! where it lies.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use tokio::sync::mpsc;
use tokio::time::timeout;
use trousseau_domain::digest::KeyDigest;
use trousseau_domain::keys::VersionLife;
use trousseau_domain::time::Timestamp;

use crate::error::{BadColumn, StoreError};
use crate::exec::STATEMENT_DEADLINE;
use crate::known::{BusinessAccess, KnownShared, KnownVersion};
use crate::row::{instant, json, parsed};
use crate::schema::BUSY_TIMEOUT;
use crate::sqlite;

/// Values that are handed over at once.
const BATCH: usize = 1_000;
/// Batches that a thread may be ahead.
const AHEAD: usize = 4;
/// Below this number of keys one thread is as fast as many.
const FEW: i64 = 10_000;
/// Bytes of the file that are mapped into memory: as many as SQLite maps at most, just below 2 GiB.
const MAPPED: i64 = 0x7fff_0000;
/// Memory of each thread for pages of the file, in KiB.
const CACHE: i64 = 32 * 1024;

const VERSIONS: &str = "SELECT v.digest, v.key_id, v.version, v.pepper_version, v.starts_at, v.ends_at, k.business_id, \
                   k.environment, k.kind, k.state, k.revoked_at IS NOT NULL, k.valid_from, k.valid_until, k.scopes, \
                   k.allowed_origins, k.allowed_ips, k.limits, k.metadata \
                   FROM keys k CROSS JOIN key_versions v ON v.key_id = k.id WHERE k.id >= ?1 AND (?2 IS NULL OR k.id < ?2)";

const BUSINESSES: &str = "SELECT id, profile, limits, metadata, suspended_at IS NOT NULL FROM businesses";

/// In how many parts so many keys are read.
pub(crate) fn usual_parts(keys: i64) -> i64 {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if keys < FEW { 1 } else { i64::try_from(processors).unwrap_or(1) }
}

/// Hands on every value of every key in the file at `path`, in no order.
pub(crate) async fn each_known_version(
    path: &Path,
    parts: impl FnOnce(i64) -> i64 + Send + 'static,
    take: impl FnMut(KnownVersion),
) -> Result<(), StoreError> {
    let path = path.to_owned();
    let read = move |sender: mpsc::Sender<Vec<KnownVersion>>| {
        let bounds = bounds(&open(&path)?, parts)?;
        std::thread::scope(|scope| {
            let parts = bounds.iter().zip(bounds.iter().skip(1).map(Some).chain([None]));
            let threads: Vec<_> = parts
                .map(|(from, until)| {
                    let (path, sender) = (&path, sender.clone());
                    scope.spawn(move || read_part(path, from, until.map(String::as_str), &sender))
                })
                .collect();
            threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(StoreError::timeout())))
        })
    };
    hand_on(read, take).await
}

/// Hands on every business in the file at `path`, in no order.
pub(crate) async fn each_business(path: &Path, take: impl FnMut(BusinessAccess)) -> Result<(), StoreError> {
    let path = path.to_owned();
    let read = move |sender| {
        let connection = open(&path)?;
        let mut statement = connection.prepare(BUSINESSES)?;
        send_rows(statement.query([])?, &sender, ("businesses", 0), business)
    };
    hand_on(read, take).await
}

/// Hands on what is read on a thread of its own.
async fn hand_on<T: Send + 'static>(
    read: impl FnOnce(mpsc::Sender<Vec<T>>) -> Result<(), StoreError> + Send + 'static,
    mut take: impl FnMut(T),
) -> Result<(), StoreError> {
    let (sender, mut batches) = mpsc::channel(AHEAD);
    let read = tokio::task::spawn_blocking(move || read(sender));
    while let Some(batch) = timeout(STATEMENT_DEADLINE, batches.recv()).await.map_err(|_| StoreError::timeout())? {
        batch.into_iter().for_each(&mut take);
    }
    // A panic in it, or the end of the runtime.
    read.await.unwrap_or_else(|_| Err(StoreError::timeout()))
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let connection = sqlite::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", -CACHE)?;
    // Pages of the mapped part are read where they are; those of the rest go through one cache with one lock.
    connection.pragma_update_and_check(None, "mmap_size", MAPPED, |_| Ok(()))?;
    Ok(connection)
}

/// Ids of keys that part them evenly, the lowest possible one first. Keys are made in the order of their ids, nearly.
fn bounds(connection: &Connection, parts: impl FnOnce(i64) -> i64) -> Result<Vec<String>, StoreError> {
    let rows: i64 = connection.query_one("SELECT COALESCE(MAX(rowid), 0) FROM keys", [], |row| row.get(0))?;
    let mut bounds = vec![String::new()];
    let parts = parts(rows);
    let mut at = connection.prepare("SELECT id FROM keys WHERE rowid >= ?1 ORDER BY rowid LIMIT 1")?;
    for part in 1..parts {
        bounds.push(at.query_one([rows / parts * part], |row| row.get(0))?);
    }
    bounds.sort();
    bounds.dedup();
    Ok(bounds)
}

/// Hands on the values of the keys from one id, until another or the last.
fn read_part(
    path: &Path,
    from: &str,
    until: Option<&str>,
    sender: &mpsc::Sender<Vec<KnownVersion>>,
) -> Result<(), StoreError> {
    let connection = open(path)?;
    let mut statement = connection.prepare(VERSIONS)?;
    let mut shared = KnownShared::default();
    send_rows(statement.query(params![from, until])?, sender, ("key_versions", 1), |row| known(row, &mut shared))
}

/// Sends what rows of a table are read as, many at a time. One that cannot be read is named by the column of its id.
fn send_rows<T>(
    mut rows: rusqlite::Rows<'_>,
    sender: &mpsc::Sender<Vec<T>>,
    (table, id): (&'static str, usize),
    mut read: impl FnMut(&Columns<'_>) -> Result<T, BadColumn>,
) -> Result<(), StoreError> {
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(row) = rows.next()? {
        let row = Columns(row);
        batch.push(read(&row).map_err(|source| {
            let id = row.text(id, "id").unwrap_or("?").to_owned();
            StoreError::CorruptRow { table, id, source }
        })?);
        if batch.len() == BATCH {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            if sender.blocking_send(full).is_err() {
                // Nobody listens any more.
                return Ok(());
            }
        }
    }
    let _ = sender.blocking_send(batch);
    Ok(())
}

/// A row whose columns are read where they lie.
struct Columns<'a>(&'a rusqlite::Row<'a>);

impl<'a> Columns<'a> {
    fn value(&self, index: usize, column: &'static str) -> Result<ValueRef<'a>, BadColumn> {
        self.0.get_ref(index).map_err(|source| BadColumn { column, source: source.into() })
    }

    fn text(&self, index: usize, column: &'static str) -> Result<&'a str, BadColumn> {
        self.value(index, column)?.as_str().map_err(|source| BadColumn { column, source: source.into() })
    }

    fn bytes(&self, index: usize, column: &'static str) -> Result<&'a [u8], BadColumn> {
        self.value(index, column)?.as_blob().map_err(|source| BadColumn { column, source: source.into() })
    }

    fn opt_int(&self, index: usize, column: &'static str) -> Result<Option<i64>, BadColumn> {
        self.value(index, column)?.as_i64_or_null().map_err(|source| BadColumn { column, source: source.into() })
    }

    fn int(&self, index: usize, column: &'static str) -> Result<i64, BadColumn> {
        self.opt_int(index, column)?.ok_or_else(|| BadColumn { column, source: "is empty".into() })
    }

    fn number(&self, index: usize, column: &'static str) -> Result<u32, BadColumn> {
        u32::try_from(self.int(index, column)?).map_err(|source| BadColumn { column, source: source.into() })
    }

    fn time(&self, index: usize, column: &'static str) -> Result<Timestamp, BadColumn> {
        instant(self.int(index, column)?, column)
    }

    fn opt_time(&self, index: usize, column: &'static str) -> Result<Option<Timestamp>, BadColumn> {
        self.opt_int(index, column)?.map(|micros| instant(micros, column)).transpose()
    }
}

fn business(row: &Columns<'_>) -> Result<BusinessAccess, BadColumn> {
    Ok(BusinessAccess {
        id: parsed(row.text(0, "id")?, "id")?,
        profile: row.text(1, "profile")?.to_owned(),
        limits: json(row.text(2, "limits")?, "limits")?,
        metadata: json(row.text(3, "metadata")?, "metadata")?,
        suspended: row.int(4, "suspended_at")? != 0,
    })
}

fn known(row: &Columns<'_>, shared: &mut KnownShared) -> Result<KnownVersion, BadColumn> {
    let digest = KeyDigest::from_stored(row.bytes(0, "digest")?);
    let documents = [
        row.text(13, "scopes")?,
        row.text(14, "allowed_origins")?,
        row.text(15, "allowed_ips")?,
        row.text(16, "limits")?,
        row.text(17, "metadata")?,
    ];
    KnownVersion {
        digest: digest.ok_or_else(|| BadColumn { column: "digest", source: "not 32 bytes".into() })?,
        key_id: parsed(row.text(1, "key_id")?, "key_id")?,
        version: row.number(2, "version")?,
        pepper_version: row.number(3, "pepper_version")?,
        life: VersionLife { starts_at: row.time(4, "starts_at")?, ends_at: row.opt_time(5, "ends_at")? },
        business: shared.business(row.text(6, "business_id")?)?,
        environment: parsed(row.text(7, "environment")?, "environment")?,
        kind: parsed(row.text(8, "kind")?, "kind")?,
        state: parsed(row.text(9, "state")?, "state")?,
        revoked: row.int(10, "revoked_at")? != 0,
        valid_from: row.time(11, "valid_from")?,
        valid_until: row.opt_time(12, "valid_until")?,
        access: shared.access(documents)?,
    }
    .in_order()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestDatabase;

    /// A business with 25 keys, of which every third has two values.
    const KEYS: [&str; 4] = [
        "INSERT INTO businesses (id, name, profile, time_zone, language, metadata, created_at, revision) \
         VALUES ('b-1', 'One', 'codat', 'UTC', 'en', '{}', 0, 0)",
        "INSERT INTO keys (id, business_id, environment, kind, number, state, valid_from, scopes, allowed_origins, \
         allowed_ips, metadata, current_version, mask_prefix, last_three, created_at, created_by, updated_at) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25) \
         SELECT printf('key_01k3v5m8c2q7x9r4t6w8y0%04d', i), 'b-1', 'live', 'secret', i, 'active', i, '[]', '[]', '[]', \
         '{}', 1, '', 'abc', 0, '{}', 0 FROM n",
        "INSERT INTO key_versions (key_id, version, business_id, environment, kind, digest, pepper_version, last_three, \
         starts_at, created_at, created_by, origin, live_readable) \
         SELECT id, 1, business_id, environment, kind, randomblob(32), 1, 'abc', 0, 0, '{}', 'generated', 0 FROM keys",
        "INSERT INTO key_versions (key_id, version, business_id, environment, kind, digest, pepper_version, last_three, \
         starts_at, created_at, created_by, origin, live_readable) \
         SELECT id, 2, business_id, environment, kind, randomblob(32), 1, 'abc', 0, 0, '{}', 'generated', 0 FROM keys \
         WHERE number % 3 = 0",
    ];

    #[tokio::test]
    async fn each_value_is_read_once_in_whatever_number_of_parts() {
        let database = TestDatabase::sqlite().await;
        for statement in KEYS {
            database.run(statement).await.expect("runs");
        }
        let path = database.folder().expect("a file").join("trousseau.db");
        for parts in [1, 2, 3, 25, 100] {
            let mut seen = Vec::new();
            let taken = |known: KnownVersion| seen.push((known.key_id, known.version, known.valid_from.as_micros()));
            each_known_version(&path, move |_| parts, taken).await.expect("read");
            seen.sort_unstable();
            let twice = seen.iter().filter(|(_, version, _)| *version == 2).map(|(_, _, number)| *number);
            assert_eq!(twice.collect::<Vec<_>>(), [3, 6, 9, 12, 15, 18, 21, 24], "{parts} parts");
            let once = seen.iter().filter(|(_, version, _)| *version == 1).map(|(_, _, number)| *number);
            assert_eq!(once.collect::<Vec<_>>(), (1..=25).collect::<Vec<_>>(), "{parts} parts");
        }
    }

    #[tokio::test]
    async fn each_business_is_read_once() {
        let database = TestDatabase::sqlite().await;
        let more = "INSERT INTO businesses (id, name, profile, time_zone, language, metadata, created_at, revision, \
                    suspended_at) WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) \
                    SELECT 'b-' || i, 'One', 'payline', 'UTC', 'fr', '{\"number\":\"' || i || '\"}', 0, 0, \
                    CASE WHEN i % 2 = 0 THEN 7 END FROM n";
        for statement in [KEYS[0], more] {
            database.run(statement).await.expect("runs");
        }
        let path = database.folder().expect("a file").join("trousseau.db");
        let mut seen = Vec::new();
        each_business(&path, |business| seen.push(business)).await.expect("read");
        let number = |business: &BusinessAccess| business.id.as_str()[2..].parse::<u32>().expect("a number");
        seen.sort_by_key(number);
        assert_eq!(seen.iter().map(number).collect::<Vec<_>>(), (1..=2500).collect::<Vec<_>>());
        assert_eq!(
            (seen[0].profile.as_str(), seen[0].suspended, seen[0].metadata.entries().len()),
            ("codat", false, 0)
        );
        assert_eq!((seen[1].profile.as_str(), seen[1].suspended, seen[2].suspended), ("payline", true, false));
        assert_eq!(seen[6].metadata.entries().values().collect::<Vec<_>>(), ["7"]);
        database.run("UPDATE businesses SET metadata = '[' WHERE id = 'b-7'").await.expect("runs");
        let read = each_business(&path, |_| {}).await;
        let Err(StoreError::CorruptRow { table: "businesses", id, source }) = read else { panic!("{read:?}") };
        assert_eq!((id.as_str(), source.column), ("b-7", "metadata"));
    }

    #[tokio::test]
    async fn a_damaged_row_is_named() {
        let database = TestDatabase::sqlite().await;
        for statement in KEYS {
            database.run(statement).await.expect("runs");
        }
        database.run("UPDATE keys SET valid_until = valid_from WHERE number = 7").await.expect("runs");
        let path = database.folder().expect("a file").join("trousseau.db");
        let read = each_known_version(&path, |_| 2, |_| {}).await;
        let Err(StoreError::CorruptRow { table, id, source }) = read else { panic!("{read:?}") };
        assert_eq!((table, source.column), ("key_versions", "valid_until"));
        assert_eq!(id, "key_01k3v5m8c2q7x9r4t6w8y00007");
    }
}
