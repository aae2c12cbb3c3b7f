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

    /// The stamp of a database that nobody has open and that needs no repair; none of any other, and none where the file
    /// system tells whole seconds only: much may change in one.
    fn of(database: &Path) -> Option<Self> {
        let has = |suffix| with_suffix(database, suffix).symlink_metadata().is_ok();
        if has("-wal") || has("-journal") {
            return None;
        }
        let file = fs::metadata(database).ok()?;
        let number = |unsigned: u64| i64::from_ne_bytes(unsigned.to_ne_bytes());
        let (inode, size) = (number(file.ino()), number(file.size()));
        let is_fine = file.mtime_nsec() != 0 || file.ctime_nsec() != 0;
        is_fine.then_some(Self([inode, size, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()]))
    }

    /// How long before an instant the file was changed; none if after it.
    fn age_at(self, instant: SystemTime) -> Option<Duration> {
        let [.., seconds, nanos] = self.0;
        let at = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
        instant.duration_since(UNIX_EPOCH.checked_add(at)?).ok()
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

/// An embedded database, as it was while nobody had it open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    file: PathBuf,
    /// What tells it from the same file after any change; none where that cannot be told.
    pub stamp: Option<Stamp>,
}

impl Left {
    /// The database at `path`, which is there and may be a link to it.
    pub(crate) fn new(path: &Path, stamp: Option<Stamp>) -> Option<Self> {
        Some(Self { file: path.canonicalize().ok()?, stamp })
    }

    /// The stamp of the database at `path`, which may be a link to it.
    pub(crate) fn stamp_of(path: &Path) -> Option<Stamp> {
        Stamp::of(&path.canonicalize().ok()?)
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
    /// The embedded database as it was before it was opened here: without a stamp if it was not left in order or had to be
    /// brought up to date. None on PostgreSQL.
    pub fn found(&self) -> Option<&Left> {
        match &self.pools {
            Pools::Sqlite { found, .. } => found.as_deref(),
            Pools::Postgres(_) => None,
        }
    }

    /// The embedded database as it is after [`Store::close`], for the next start. None while anybody else has it open, if
    /// anybody else has written to it since it was opened here, and on PostgreSQL. Waits until no later change can have the
    /// time of an earlier one.
    pub async fn left(&self) -> Option<Left> {
        let Pools::Sqlite { readers, writer, .. } = &self.pools else { return None };
        if !writer.wrote_alone() {
            return None;
        }
        let options = readers.connect_options();
        for _ in 0..ATTEMPTS {
            let before = SystemTime::now();
            let stamp = Left::stamp_of(options.get_filename())?;
            if stamp.age_at(before).is_some_and(|age| age > TICK) {
                return Left::new(options.get_filename(), Some(stamp));
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

    fn stamp_of(store: &Store) -> Option<Stamp> {
        store.found().expect("it is there").stamp
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
        assert_eq!(stamp_of(&store), None, "it was not there");
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

        // Somebody else writes meanwhile, and goes first.
        let (one, other) = (opened(&path).await, opened(&path).await);
        one.run("DROP TABLE more").await.expect("runs");
        other.run("CREATE TABLE more (id INTEGER)").await.expect("runs");
        other.close().await;
        assert_eq!(closed(one).await, None, "what the other one wrote may be told by nothing");
        let changed = closed(opened(&path).await).await.expect("nobody has it open");

        // The same content with the same times is another file all the same.
        let copy = folder.path().join("copy.db");
        fs::copy(&path, &copy).expect("copied");
        let times = fs::metadata(&path).expect("there").modified().expect("known");
        fs::File::options().write(true).open(&copy).expect("there").set_modified(times).expect("set");
        fs::rename(&copy, &path).expect("put in its place");
        let store = opened(&path).await;
        assert!(stamp_of(&store).is_some_and(|stamp| Some(stamp) != changed.stamp));
        store.close().await;
    }

    #[tokio::test]
    async fn a_database_that_was_not_left_in_order_or_is_brought_up_to_date_is_not_found() {
        let database = TestDatabase::sqlite_with(&StoreOptions { up_to: Some(1), ..StoreOptions::default() }).await;
        let path = database.folder().expect("a file").join("trousseau.db");
        database.store().close().await;
        let store = opened(&path).await;
        assert_eq!(stamp_of(&store), None, "it was migrated");
        // As after the power failed: what was committed last stands in the log.
        let copy = path.with_file_name("copy.db");
        for suffix in ["", "-wal"] {
            fs::copy(with_suffix(&path, suffix), with_suffix(&copy, suffix)).expect("copied");
        }
        let repaired = opened(&copy).await;
        assert_eq!(stamp_of(&repaired), None);
        repaired.close().await;
        store.close().await;
        assert!(stamp_of(&opened(&path).await).is_some());
    }

    #[tokio::test]
    async fn postgresql_leaves_nothing_beside_it() {
        let Some(server) = TestDatabase::postgres_server() else { return };
        let database = TestDatabase::postgres(&server).await;
        assert_eq!((database.store().found(), database.store().left().await), (None, None));
    }
}
