//! Hearing that something may have changed, from this process or another one.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};

use crate::dialect::CHANNEL;
use crate::error::StoreError;
use crate::exec::{DOOR_DEADLINE, Pools, Store};
use crate::pool::{PgPool, Pooling};
use crate::sqlite::Counter;

/// How often SQLite's change counter is read.
const SQLITE_POLL: Duration = Duration::from_millis(250);
/// How long PostgreSQL may be silent before its change sequence is read: a lost notification heals itself.
const POSTGRES_POLL: Duration = Duration::from_millis(500);

/// What notifications come in by.
#[derive(Debug, Default)]
struct Ear {
    listener: Option<Box<PgListener>>,
    /// A change was seen that no notification has told of yet: one has to come, or this connection is dead.
    owed: bool,
}

/// A watch over the database. It keeps no promise but this: after a committed change, [`Watcher::changed`] returns.
#[derive(Debug)]
pub struct Watcher(Kind);

#[derive(Debug)]
enum Kind {
    Sqlite { counter: Arc<Counter>, seen: Option<i64> },
    Postgres { store: Store, pool: PgPool, ear: Ear, seen: Option<i64> },
}

impl Store {
    /// Begins to watch. The connection is made by the first call of [`Watcher::changed`].
    pub fn watch(&self) -> Watcher {
        Watcher(match &self.pools {
            Pools::Sqlite { counter, .. } => Kind::Sqlite { counter: Arc::clone(counter), seen: None },
            Pools::Postgres(pool) => {
                Kind::Postgres { store: self.clone(), pool: pool.clone(), ear: Ear::default(), seen: None }
            }
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
            Kind::Sqlite { counter, seen } => {
                let result = counter_changed(counter, seen).await;
                if result.is_err() {
                    *seen = None;
                }
                result
            }
            Kind::Postgres { store, pool, ear, seen } => {
                let result = sequence_changed(store, pool, ear, seen).await;
                if result.is_err() {
                    *ear = Ear::default();
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

async fn counter_changed(counter: &Counter, seen: &mut Option<i64>) -> Result<(), StoreError> {
    loop {
        let now = counter.now()?;
        if seen.replace(now) != Some(now) {
            return Ok(());
        }
        tokio::time::sleep(SQLITE_POLL).await;
    }
}

async fn sequence_changed(
    store: &Store,
    pool: &PgPool,
    ear: &mut Ear,
    seen: &mut Option<i64>,
) -> Result<(), StoreError> {
    let listens = pool.pooling() == Pooling::Session;
    let mut told = false;
    loop {
        if listens && ear.listener.is_none() {
            *ear = Ear { listener: Some(listen(pool).await?), owed: false };
            *seen = None;
        }
        // Read after listening began: what was committed before is in the sequence, what comes later is heard.
        let now = store.read_at_door()?.current_seq().await?;
        let before = seen.replace(now);
        if before != Some(now) {
            ear.owed |= before.is_some() && !told;
            return Ok(());
        }
        let Some(listener) = &mut ear.listener else {
            tokio::time::sleep(POSTGRES_POLL).await;
            continue;
        };
        match tokio::time::timeout(POSTGRES_POLL, listener.try_recv()).await {
            Ok(heard) => {
                // It told of this change or of one before: either way it lives.
                (ear.owed, told) = (false, true);
                if heard?.is_none() {
                    ear.listener = None;
                }
            }
            // Silent where it had something to tell: the connection is lost, and nobody says so.
            Err(_) if ear.owed => ear.listener = None,
            Err(_) => {}
        }
    }
}

/// A connection of its own, so that listening takes none away from requests; in a pool of its own, because the driver
/// waits for a lost one to be given back before it makes another in the same.
async fn listen(pool: &PgPool) -> Result<Box<PgListener>, StoreError> {
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(DOOR_DEADLINE)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(pool.options().clone());
    let connect = async {
        let mut listener = PgListener::connect_with(&own).await?;
        // A lost connection is replaced by us, so that the sequence is read before the next silence.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok::<_, sqlx::Error>(Box::new(listener))
    };
    Ok(tokio::time::timeout(DOOR_DEADLINE, connect).await.map_err(|_| StoreError::timeout())??)
}
