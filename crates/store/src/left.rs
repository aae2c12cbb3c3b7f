//! Whether the embedded database is the very file that was left: what is kept beside it is good for that one alone.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::exec::{Pools, Store};

/// By how much the time of a change may be behind the clock: kernels stamp files with the time of their latest tick.
const TICK: Duration = Duration::from_millis(20);
/// Attempts to outlast that.
const ATTEMPTS: u32 = 10;

/// What the file system says of a file. After a change it says something else, whoever made it and by whatever means:
/// the time of the last change of content or attributes is set by the kernel alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp([i64; Stamp::PARTS]);

impl Stamp {
    const PARTS: usize = 6;
    /// Bytes of one in a file.
    pub const LEN: usize = 8 * Self::PARTS;

    /// The stamp of a database that nobody has open and that needs no repair; none of any other.
    fn of(database: &Path) -> Option<Self> {
        let has = |suffix| with_suffix(database, suffix).symlink_metadata().is_ok();
        if has("-wal") || has("-journal") {
            return None;
        }
        let file = fs::metadata(database).ok()?;
        let number = |unsigned: u64| i64::from_ne_bytes(unsigned.to_ne_bytes());
        let (inode, size) = (number(file.ino()), number(file.size()));
        Some(Self([inode, size, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()]))
    }

    /// How long ago the file was changed; none if that is yet to come.
    fn age(self) -> Option<Duration> {
        let [.., seconds, nanos] = self.0;
        let at = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
        SystemTime::now().duration_since(UNIX_EPOCH.checked_add(at)?).ok()
    }

    /// As it is written to a file.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        for (place, part) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&part.to_le_bytes());
        }
        bytes
    }
}

/// An embedded database that is closed, or was until it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    file: PathBuf,
    /// What tells it from the same file after any change.
    pub stamp: Stamp,
}

impl Left {
    /// The database at `path`, which may be a link to it.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let file = path.canonicalize().ok()?;
        Stamp::of(&file).map(|stamp| Self { file, stamp })
    }

    /// The file beside it whose name has this at its end, as SQLite names its own.
    pub fn beside(&self, suffix: &str) -> PathBuf {
        with_suffix(&self.file, suffix)
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

impl Store {
    /// The embedded database as it was before it was opened here. None if it was not left in order or had to be brought
    /// up to date, and on PostgreSQL.
    pub fn found(&self) -> Option<&Left> {
        match &self.pools {
            Pools::Sqlite { found, .. } => found.as_deref(),
            Pools::Postgres(_) => None,
        }
    }

    /// The embedded database as it is after [`Store::close`], for the next start. None while anybody else has it open, and
    /// on PostgreSQL. Waits until no later change can have the time of an earlier one.
    pub async fn left(&self) -> Option<Left> {
        let Pools::Sqlite { readers, .. } = &self.pools else { return None };
        let options = readers.connect_options();
        for _ in 0..ATTEMPTS {
            let left = Left::of(options.get_filename())?;
            if left.stamp.age().is_some_and(|age| age > TICK) {
                return Some(left);
            }
            tokio::time::sleep(TICK).await;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::schema::StoreOptions;
    use crate::testing::TestDatabase;

    use super::*;

    async fn opened(path: &Path) -> Store {
        Store::open_sqlite(path, &StoreOptions::default()).await.expect("opens")
    }

    async fn closed(store: Store) -> Option<Left> {
        store.close().await;
        store.left().await
    }

    #[tokio::test]
    async fn a_database_is_found_as_it_was_left_until_anybody_changes_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let store = opened(&path).await;
        assert_eq!(store.found(), None, "it was not there");
        assert_eq!(store.left().await, None, "it is open");
        let left = closed(store).await.expect("nobody has it open");
        assert_eq!(left.beside("-index"), path.canonicalize().expect("there").with_file_name("a.db-index"));

        // Whoever only reads leaves it as it is.
        let store = opened(&path).await;
        assert_eq!(store.found(), Some(&left));
        assert_eq!(closed(store).await.as_ref(), Some(&left));

        // Two have it open, and the first one goes.
        let (one, other) = (opened(&path).await, opened(&path).await);
        assert_eq!(closed(one).await, None);
        other.run("CREATE TABLE more (id INTEGER)").await.expect("runs");
        let changed = closed(other).await.expect("nobody has it open");
        assert_ne!(changed.stamp, left.stamp);

        // The same content with the same times is another file all the same.
        let copy = folder.path().join("copy.db");
        fs::copy(&path, &copy).expect("copied");
        let times = fs::metadata(&path).expect("there").modified().expect("known");
        fs::File::options().write(true).open(&copy).expect("there").set_modified(times).expect("set");
        fs::rename(&copy, &path).expect("put in its place");
        let store = opened(&path).await;
        assert_ne!(store.found().map(|found| found.stamp), Some(changed.stamp));
        store.close().await;
    }

    #[tokio::test]
    async fn a_database_that_was_not_left_in_order_or_is_brought_up_to_date_is_not_found() {
        let database = TestDatabase::sqlite_with(&StoreOptions { up_to: Some(1), ..StoreOptions::default() }).await;
        let path = database.folder().expect("a file").join("trousseau.db");
        database.store().close().await;
        let store = opened(&path).await;
        assert_eq!(store.found(), None, "it was migrated");
        // As after the power failed: what was committed last stands in the log.
        let copy = path.with_file_name("copy.db");
        for suffix in ["", "-wal"] {
            fs::copy(with_suffix(&path, suffix), with_suffix(&copy, suffix)).expect("copied");
        }
        let repaired = opened(&copy).await;
        assert_eq!(repaired.found(), None);
        repaired.close().await;
        store.close().await;
        assert!(opened(&path).await.found().is_some());
    }

    #[tokio::test]
    async fn postgresql_leaves_nothing_beside_it() {
        let Some(server) = TestDatabase::postgres_server() else { return };
        let database = TestDatabase::postgres(&server).await;
        assert_eq!((database.store().found(), database.store().left().await), (None, None));
    }
}
