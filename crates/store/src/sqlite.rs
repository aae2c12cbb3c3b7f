//! What is asked of SQLite on the caller's own thread, because the way to the driver's and back costs more than the answer.

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::error::{StoreError, Unavailability};

/// Opens the file at `path`, which has to be there, for reading.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(path, flags)?)
}

/// A connection that never writes, and so sees by SQLite's own counter whether anybody else did.
pub(crate) struct Counter(Mutex<Option<Connection>>);

impl fmt::Debug for Counter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Counter")
    }
}

impl Counter {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open(path)?;
        // Nothing blocks a reader but a repair, and for that nobody waits here.
        connection.busy_timeout(Duration::ZERO)?;
        Ok(Self(Mutex::new(Some(connection))))
    }

    /// A number that is another one after every commit, by whatever connection or process
    /// (`sqlite.org/pragma.html#pragma_data_version`). Some microseconds, from memory that the connections share.
    ///
    /// # Errors
    /// When the file cannot be read now, and after [`Counter::close`].
    pub(crate) fn now(&self) -> Result<i64, StoreError> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = StoreError::Unavailable { reason: Unavailability::Connection, source: None };
        let connection = connection.as_ref().ok_or(closed)?;
        Ok(connection.prepare_cached("PRAGMA data_version")?.query_one([], |row| row.get(0))?)
    }

    /// Closes the connection: the last one that closes is to be one that can tidy up.
    pub(crate) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::TestDatabase;

    #[tokio::test]
    async fn every_commit_is_seen_and_nothing_else() {
        let database = TestDatabase::sqlite().await;
        let store = database.store();
        let before = store.commit_counter().expect("SQLite counts");
        store.read().current_seq().await.expect("read");
        let tx = store.begin().await.expect("begins");
        drop(tx);
        assert_eq!(store.commit_counter(), Some(before));
        let mut seen = vec![before];
        for _ in 0..3 {
            database.run("UPDATE change_counter SET seq = seq + 1").await.expect("runs");
            seen.push(store.commit_counter().expect("SQLite counts"));
        }
        seen.dedup();
        assert_eq!(seen.len(), 4);
        store.close().await;
        assert_eq!(store.commit_counter(), None);
    }
}
