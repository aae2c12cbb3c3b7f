//! Whether the embedded database is the very file that was left: what is kept beside it is good for that one alone.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use trousseau_domain::time::Timestamp;

use crate::exec::{Pools, Store};

/// By how much the time of a change may be behind the clock: kernels stamp files with the time of their latest tick.
pub(crate) const TICK: Duration = Duration::from_millis(20);
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
        Self::in_use(database)
    }

    /// The same of a database that may be open: of the file alone, whatever stands in its log.
    fn in_use(database: &Path) -> Option<Self> {
        let file = fs::metadata(database).ok()?;
        let number = |unsigned: u64| i64::from_ne_bytes(unsigned.to_ne_bytes());
        let (inode, size) = (number(file.ino()), number(file.size()));
        let is_fine = file.mtime_nsec() != 0 || file.ctime_nsec() != 0;
        is_fine.then_some(Self([inode, size, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()]))
    }

    /// Whether the file was last changed more than a tick before an instant.
    fn is_settled_at(self, instant: Timestamp) -> bool {
        let [.., seconds, nanos] = self.0;
        let changed = seconds.saturating_mul(1_000_000).saturating_add(nanos / 1_000);
        Timestamp::from_micros(changed).is_ok_and(|changed| changed.saturating_add(TICK) < instant)
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

    /// The same while it is open.
    pub(crate) fn stamp_in_use(path: &Path) -> Option<Stamp> {
        Stamp::in_use(&path.canonicalize().ok()?)
    }

    /// Whether nobody has written to the database at `path` since it was left with this stamp, although it is open now:
    /// to open it makes an empty log and leaves the file alone, and whatever is written goes into the log first.
    pub(crate) fn is_unwritten(path: &Path, stamp: Stamp) -> bool {
        let Ok(database) = path.canonicalize() else { return false };
        let log = fs::metadata(with_suffix(&database, "-wal"));
        let is_empty = log.map_or_else(|error| error.kind() == ErrorKind::NotFound, |log| log.len() == 0);
        is_empty && Stamp::in_use(&database) == Some(stamp)
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
    /// The embedded database as it was before it was opened here: without a stamp if it was not left in order, had to
    /// be brought up to date, or was written to by anybody else while it was opened. None on PostgreSQL.
    pub fn found(&self) -> Option<&Left> {
        match &self.pools {
            Pools::Sqlite { found, .. } => found.as_deref(),
            Pools::Postgres(_) => None,
        }
    }

    /// The embedded database as it is after [`Store::close`], for the next start. None while anybody else has it open, if
    /// anybody else has written to it since it was opened here, also after the close, and on PostgreSQL. Waits until no
    /// later change can have the time of an earlier one by `now`, the clock that the file system has too, and gives up
    /// where that does not come.
    pub async fn left(&self, now: impl Fn() -> Timestamp) -> Option<Left> {
        let Pools::Sqlite { readers, writer, .. } = &self.pools else { return None };
        // From before the close: a look at the file as it is now may be at what somebody else has made of it.
        let stamp = writer.last_stamp()?;
        let options = readers.connect_options();
        for _ in 0..ATTEMPTS {
            let before = now();
            if Left::stamp_of(options.get_filename()) != Some(stamp) {
                return None;
            }
            if stamp.is_settled_at(before) {
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
        store.left(long_after).await
    }

    /// Long after every change that a test makes.
    fn long_after() -> Timestamp {
        Timestamp::from_micros(32_503_680_000_000_000).expect("in the year 3000")
    }

    #[tokio::test]
    async fn a_database_is_found_as_it_was_left_until_anybody_changes_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let store = opened(&path).await;
        assert_eq!(stamp_of(&store), None, "it was not there");
        assert_eq!(store.left(long_after).await, None, "it is open");
        store.close().await;
        let changed = fs::metadata(&path).expect("there");
        let changed = Timestamp::from_micros(changed.ctime() * 1_000_000 + changed.ctime_nsec() / 1_000).expect("now");
        assert_eq!(store.left(|| changed.saturating_add(TICK)).await, None, "a change may still have the same time");
        let left = store.left(|| changed.saturating_add(TICK * 2)).await.expect("nobody has it open");
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
    async fn what_somebody_writes_while_it_is_opened_or_right_after_it_was_closed_is_noticed() {
        const BY_HAND: &str = "UPDATE change_counter SET seq = seq + 1";
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        opened(&path).await.close().await;

        // The second look of an opening, with a stranger's write before it.
        let stamp = Left::stamp_of(&path).expect("nobody has it open");
        let (one, other) = (opened(&path).await, opened(&path).await);
        assert!(Left::is_unwritten(&path, stamp), "to open it changes nothing");
        other.run(BY_HAND).await.expect("runs");
        assert!(!Left::is_unwritten(&path, stamp), "it stands in the log");
        other.close().await;
        one.close().await;
        assert!(!Left::is_unwritten(&path, stamp), "it stands in the file");

        // Whoever came and went before anybody looked left a file that looks as well as ours.
        let store = opened(&path).await;
        store.run(BY_HAND).await.expect("runs");
        store.close().await;
        let other = opened(&path).await;
        other.run(BY_HAND).await.expect("runs");
        other.close().await;
        assert_eq!(store.left(long_after).await, None, "the file is the other one's");
        assert!(other.left(long_after).await.is_some());
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
        assert_eq!((database.store().found(), database.store().left(long_after).await), (None, None));
    }
}
