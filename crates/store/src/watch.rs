//! Hearing that something may have changed, from this process or another one.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions as _, SqlitePool};

use crate::dialect::CHANNEL;
use crate::error::StoreError;
use crate::exec::{Pools, STATEMENT_DEADLINE, Store};

/// How often SQLite's change counter is read.
const SQLITE_POLL: Duration = Duration::from_millis(250);
/// How long PostgreSQL may be silent before its change sequence is read: a lost notification heals itself.
const POSTGRES_POLL: Duration = Duration::from_millis(500);

/// A watch over the database. It keeps no promise but this: after a committed change, [`Watcher::changed`] returns.
#[derive(Debug)]
pub struct Watcher(Kind);

#[derive(Debug)]
enum Kind {
    Sqlite { pool: SqlitePool, connection: Option<SqliteConnection>, seen: Option<i64> },
    Postgres { store: Store, pool: PgPool, listener: Option<Box<PgListener>>, seen: Option<i64> },
}

impl Store {
    /// Begins to watch. The connection is made by the first call of [`Watcher::changed`].
    pub fn watch(&self) -> Watcher {
        Watcher(match &self.pools {
            Pools::Sqlite { readers, .. } => Kind::Sqlite { pool: readers.clone(), connection: None, seen: None },
            Pools::Postgres(pool) => Kind::Postgres {
                store: self.clone(),
                // A pool of its own, so that listening takes no connection away from requests.
                pool: PgPoolOptions::new()
                    .max_connections(1)
                    .acquire_timeout(Duration::from_secs(5))
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .connect_lazy_with((*pool.connect_options()).clone()),
                listener: None,
                seen: None,
            },
        })
    }
}

impl Watcher {
    /// Waits until something may have changed; the first call returns at once, and so does the first one after
    /// a failure. It may return without any change.
    ///
    /// # Errors
    /// When the database cannot be asked. The call has waited a little then, and may be repeated.
    pub async fn changed(&mut self) -> Result<(), StoreError> {
        let result = match &mut self.0 {
            Kind::Sqlite { pool, connection, seen } => {
                let result = data_version_changed(pool, connection, seen).await;
                if result.is_err() {
                    *connection = None;
                    *seen = None;
                }
                result
            }
            Kind::Postgres { store, pool, listener, seen } => {
                let result = sequence_changed(store, pool, listener, seen).await;
                if result.is_err() {
                    *listener = None;
                    *seen = None;
                }
                result
            }
        };
        if result.is_err() {
            tokio::time::sleep(SQLITE_POLL).await;
        }
        result
    }
}

/// `PRAGMA data_version` moves when any other connection commits (`sqlite.org/pragma.html#pragma_data_version`).
async fn data_version_changed(
    pool: &SqlitePool,
    slot: &mut Option<SqliteConnection>,
    seen: &mut Option<i64>,
) -> Result<(), StoreError> {
    let connection = match slot {
        Some(connection) => connection,
        None => slot.insert((*pool.connect_options()).clone().connect().await?),
    };
    loop {
        let now: i64 = sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut *connection).await?;
        if seen.replace(now) != Some(now) {
            return Ok(());
        }
        tokio::time::sleep(SQLITE_POLL).await;
    }
}

async fn sequence_changed(
    store: &Store,
    pool: &PgPool,
    slot: &mut Option<Box<PgListener>>,
    seen: &mut Option<i64>,
) -> Result<(), StoreError> {
    loop {
        if slot.is_none() {
            let connect = async {
                let mut listener = PgListener::connect_with(pool).await?;
                // A lost connection is replaced here, so that the sequence is read before the next silence.
                listener.eager_reconnect(false);
                listener.listen(CHANNEL).await?;
                Ok::<_, sqlx::Error>(listener)
            };
            let listener =
                tokio::time::timeout(STATEMENT_DEADLINE, connect).await.map_err(|_| StoreError::timeout())??;
            *slot = Some(Box::new(listener));
            *seen = None;
        }
        // Read after listening began: what was committed before is in the sequence, what comes later is heard.
        let now = store.read().current_seq().await?;
        if seen.replace(now) != Some(now) {
            return Ok(());
        }
        if let Some(listener) = slot
            && let Ok(heard) = tokio::time::timeout(POSTGRES_POLL, listener.try_recv()).await
            && heard?.is_none()
        {
            *slot = None;
        }
    }
}
