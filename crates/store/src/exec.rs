//! Running statements: the only place that tells the engines apart, besides `dialect` and `schema`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, TryStreamExt as _};
use sqlx::Executor as _;
use sqlx::postgres::PgRow;
use sqlx::query::Query;
use sqlx::sqlite::SqlitePool;
use sqlx::{Database, Postgres, Sqlite, Transaction};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::error::{StoreError, Unavailability};
use crate::left::Left;
use crate::pool::{PgPool, PgTx, Pooling};
use crate::row::Row;
use crate::schema::Engine;
use crate::sqlite::Counter;
use crate::stmt::Stmt;
use crate::writer::{Commits, Moment, Turn, Writer};

/// How long one statement may take, waiting for its connection included.
pub(crate) const STATEMENT_DEADLINE: Duration = Duration::from_secs(10);
/// The same where somebody waits at a door: a no in time is worth more than an answer that nobody waits for any more.
pub(crate) const DOOR_DEADLINE: Duration = Duration::from_secs(2);

/// Changes that run together.
const TOGETHER: usize = 16;
/// Transactions that may wait to begin.
const MOST_WAITING: usize = 1_000;
/// The same for the follower of changes: it tries again soon, and nobody is answered from memory meanwhile.
const FOLLOWER_DEADLINE: Duration = Duration::from_secs(4);

/// The database. A clone is another handle to the same pools.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) pools: Pools,
    /// Places of those who wait to begin a transaction.
    queue: Arc<Semaphore>,
}

/// The connections of one engine.
#[derive(Debug, Clone)]
pub(crate) enum Pools {
    /// Many readers and one writer: SQLite has one writer anyway, and ours wait in a fair queue.
    Sqlite {
        readers: SqlitePool,
        writer: Writer,
        counter: Arc<Counter>,
        /// The file as it was before it was opened.
        found: Option<Arc<Left>>,
    },
    Postgres(PgPool),
}

/// One transaction. Dropping it without [`Tx::commit`] rolls it back.
#[derive(Debug)]
pub enum Tx {
    /// On SQLite's one writer.
    Sqlite(Turn),
    /// On one of SQLite's readers, for a look at one moment.
    SqliteReader(Transaction<'static, Sqlite>),
    /// On a connection of PostgreSQL's pool.
    Postgres(PgTx),
}

/// Where to read: outside of any transaction, or inside one and seeing its changes.
#[derive(Debug)]
pub struct Reader<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) deadline: Duration,
}

#[derive(Debug)]
pub(crate) enum Source<'a> {
    Store(&'a Store),
    Tx(&'a mut Tx),
}

async fn in_time<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    within(STATEMENT_DEADLINE, work).await
}

async fn within<T>(deadline: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(deadline, work).await {
        Ok(result) => result.map_err(StoreError::from),
        Err(_) => Err(StoreError::timeout()),
    }
}

impl Store {
    pub(crate) fn new(pools: Pools) -> Self {
        Self { pools, queue: Arc::new(Semaphore::new(MOST_WAITING)) }
    }

    /// Begins a transaction; on SQLite it takes the write lock now, because a later upgrade would fail at once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] at once where a thousand others wait for the same: whoever came later would wait
    /// longer than anybody waits for an answer.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        self.begin_as(false).await
    }

    /// The same for work that takes long: on SQLite, where others share a transaction, nobody waits for it to be answered.
    ///
    /// # Errors
    /// As [`Store::begin`].
    pub async fn begin_alone(&self) -> Result<Tx, StoreError> {
        self.begin_as(true).await
    }

    async fn begin_as(&self, alone: bool) -> Result<Tx, StoreError> {
        let Ok(_place) = self.queue.try_acquire() else {
            return Err(StoreError::Unavailable { reason: Unavailability::Busy, source: None });
        };
        match &self.pools {
            Pools::Sqlite { writer, .. } => {
                let turn = timeout(STATEMENT_DEADLINE, writer.turn(alone)).await;
                turn.unwrap_or(Err(StoreError::timeout())).map(Tx::Sqlite)
            }
            // What it takes to connect is large and seldom.
            Pools::Postgres(pool) => in_time(Box::pin(pool.begin("BEGIN"))).await.map(Tx::Postgres),
        }
    }

    /// Now, for [`Store::settled`].
    pub fn moment(&self) -> Moment {
        match &self.pools {
            Pools::Sqlite { writer, .. } => writer.moment(),
            Pools::Postgres(_) => Moment(0),
        }
    }

    /// Waits until whatever transactions that began after `moment` could see is there for good: on SQLite they see what
    /// others did before them in the same one. [`Tx::settle`] is the same for one transaction.
    ///
    /// # Errors
    /// When some of it is lost, or it takes too long.
    pub async fn settled(&self, moment: Moment) -> Result<(), StoreError> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => writer.settled(moment).await,
            Pools::Postgres(_) => Ok(()),
        }
    }

    /// How much was committed how often on SQLite; none on PostgreSQL, where everybody commits by themselves.
    pub fn commits(&self) -> Option<Commits> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => Some(writer.commits()),
            Pools::Postgres(_) => None,
        }
    }

    /// A number that is another one after every commit, by whatever process: of two that are the same, what was read
    /// after the first is still all there is at the second. None where that cannot be told at once, as on PostgreSQL.
    pub fn commit_counter(&self) -> Option<i64> {
        match &self.pools {
            Pools::Sqlite { counter, .. } => counter.now().ok(),
            Pools::Postgres(_) => None,
        }
    }

    /// Reads what is committed, on the readers.
    pub fn read(&self) -> Reader<'_> {
        let deadline = match &self.pools {
            Pools::Postgres(pool) if pool.is_first() => FOLLOWER_DEADLINE,
            _ => STATEMENT_DEADLINE,
        };
        Reader { source: Source::Store(self), deadline }
    }

    /// The same database for the follower of changes: where all connections are busy, or lost in the middle of something,
    /// there is one for it, and it waits for less long.
    #[must_use]
    pub fn first(&self) -> Self {
        match &self.pools {
            Pools::Sqlite { .. } => self.clone(),
            Pools::Postgres(pool) => Self::new(Pools::Postgres(pool.first())),
        }
    }

    /// The same for a caller who waits at a door: two seconds at most, and only from a server that takes writes. One
    /// that does not may be a standby, or a primary that was put aside, and be behind.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the server was last seen to take no writes.
    pub fn read_at_door(&self) -> Result<Reader<'_>, StoreError> {
        match &self.pools {
            Pools::Postgres(pool) if pool.is_read_only() => {
                Err(StoreError::Unavailable { reason: Unavailability::ReadOnly, source: None })
            }
            _ => Ok(Reader { source: Source::Store(self), deadline: DOOR_DEADLINE }),
        }
    }

    /// The line of history that the server wrote on when it was last asked. It is another one after a failover, and
    /// numbers of changes on two lines cannot be compared: those that the first one had last may be missing on the
    /// second, and given to other changes there.
    pub fn line(&self) -> i64 {
        match &self.pools {
            Pools::Sqlite { .. } => 0,
            Pools::Postgres(pool) => pool.line(),
        }
    }
}

/// One statement on a connection of the pool: by itself, or in a transaction where the next statement might go to
/// another connection.
async fn read_postgres(pool: &PgPool, stmt: Stmt) -> Result<Vec<PgRow>, sqlx::Error> {
    match pool.pooling() {
        Pooling::Session => {
            loop {
                let mut lent = pool.acquire().await?;
                match stmt.clone().bind::<Postgres>().fetch_all(lent.connection()).await {
                    Ok(rows) => {
                        lent.done();
                        return Ok(rows);
                    }
                    // Reading twice does nothing twice.
                    Err(error) if lent.was_lost_before(&error) => lent.give_up(),
                    Err(error) => return Err(error),
                }
            }
        }
        Pooling::Transaction => {
            let mut tx = pool.begin("BEGIN").await?;
            let rows = stmt.bind::<Postgres>().persistent(false).fetch_all(tx.connection()).await?;
            tx.commit().await?;
            Ok(rows)
        }
    }
}

impl Reader<'_> {
    /// Which engine is read from.
    pub(crate) const fn engine(&self) -> Engine {
        match &self.source {
            Source::Tx(tx) => tx.engine(),
            Source::Store(store) => store.engine(),
        }
    }

    pub(crate) async fn fetch_all(&mut self, stmt: Stmt) -> Result<Vec<Row>, StoreError> {
        let deadline = self.deadline;
        match &mut self.source {
            Source::Tx(tx) => tx.fetch_all(stmt).await,
            Source::Store(Store { pools: Pools::Sqlite { readers, .. }, .. }) => {
                within(deadline, stmt.bind::<Sqlite>().fetch_all(readers)).await.map(Row::sqlite)
            }
            Source::Store(Store { pools: Pools::Postgres(pool), .. }) => {
                within(deadline, Box::pin(read_postgres(pool, stmt))).await.map(Row::postgres)
            }
        }
    }

    /// Hands rows on as they come, so that no number of them fills the memory. Each may take as long as a statement.
    pub(crate) async fn fetch_each(
        &mut self,
        stmt: Stmt,
        mut take: impl FnMut(&Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        macro_rules! each {
            ($engine:ident, $row:expr, $query:expr, $executor:expr) => {{
                let query: Query<'static, $engine, <$engine as Database>::Arguments> = $query;
                let mut rows = query.fetch($executor);
                loop {
                    // Most rows are there already, and a deadline for each would cost more than the row.
                    let next = match rows.try_next().now_or_never() {
                        Some(next) => next?,
                        None => in_time(rows.try_next()).await?,
                    };
                    let Some(row) = next else { break };
                    take(&$row(row))?;
                }
                Ok::<(), StoreError>(())
            }};
        }
        match &mut self.source {
            // The writer's statements come to their end by themselves, whoever reads their rows.
            Source::Tx(Tx::Sqlite(turn)) => {
                turn.run(stmt).await?.rows.into_iter().map(Row::Sqlite).try_for_each(|row| take(&row))
            }
            Source::Tx(Tx::SqliteReader(tx)) => each!(Sqlite, Row::Sqlite, stmt.bind(), &mut **tx),
            Source::Tx(Tx::Postgres(tx)) => {
                let query = stmt.bind().persistent(tx.keeps_statements());
                each!(Postgres, Row::Postgres, query, tx.connection())
            }
            Source::Store(Store { pools: Pools::Sqlite { readers, .. }, .. }) => {
                each!(Sqlite, Row::Sqlite, stmt.bind(), readers)
            }
            Source::Store(Store { pools: Pools::Postgres(pool), .. }) => {
                let mut tx = in_time(Box::pin(pool.begin("BEGIN"))).await?;
                // All rows together are one statement to the server, and there may be millions.
                in_time(tx.connection().execute("SET LOCAL statement_timeout = '10min'")).await?;
                let query = stmt.bind().persistent(tx.keeps_statements());
                each!(Postgres, Row::Postgres, query, tx.connection())?;
                in_time(tx.commit()).await
            }
        }
    }

    pub(crate) async fn fetch_optional(&mut self, stmt: Stmt) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch_all(stmt).await?.into_iter().next())
    }

    pub(crate) async fn fetch_one(&mut self, stmt: Stmt) -> Result<Row, StoreError> {
        self.fetch_optional(stmt).await?.ok_or_else(|| StoreError::from(sqlx::Error::RowNotFound))
    }
}

impl Tx {
    /// Makes the changes last. On an error the outcome is not known.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(turn) => turn.commit().await,
            Self::SqliteReader(tx) => in_time(tx.commit()).await,
            Self::Postgres(tx) => in_time(tx.commit()).await,
        }
    }

    /// The same, however long the disk takes.
    pub(crate) async fn commit_patiently(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(turn) => turn.commit_patiently().await,
            Self::SqliteReader(tx) => Ok(tx.commit().await?),
            Self::Postgres(tx) => Ok(tx.commit().await?),
        }
    }

    /// Undoes what was done, and waits until what was read is there for good: for an answer that rests on it alone. On
    /// SQLite it may have been read before it was committed.
    ///
    /// # Errors
    /// When some of it is lost, or it takes too long.
    pub async fn settle(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(turn) => turn.settle().await,
            Self::SqliteReader(_) | Self::Postgres(_) => Ok(()),
        }
    }

    /// Reads inside the transaction.
    pub const fn read(&mut self) -> Reader<'_> {
        Reader { source: Source::Tx(self), deadline: STATEMENT_DEADLINE }
    }

    pub(crate) async fn fetch_all(&mut self, stmt: Stmt) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(turn) => turn.run(stmt).await.map(|done| Row::sqlite(done.rows)),
            Self::SqliteReader(tx) => in_time(stmt.bind::<Sqlite>().fetch_all(&mut **tx)).await.map(Row::sqlite),
            Self::Postgres(tx) => {
                let query = stmt.bind::<Postgres>().persistent(tx.keeps_statements());
                in_time(query.fetch_all(tx.connection())).await.map(Row::postgres)
            }
        }
    }

    pub(crate) async fn fetch_optional(&mut self, stmt: Stmt) -> Result<Option<Row>, StoreError> {
        self.read().fetch_optional(stmt).await
    }

    pub(crate) async fn fetch_one(&mut self, stmt: Stmt) -> Result<Row, StoreError> {
        self.read().fetch_one(stmt).await
    }

    /// Runs a change; returns how many rows it touched.
    pub(crate) async fn execute(&mut self, stmt: Stmt) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(turn) => turn.run(stmt).await.map(|done| done.changed),
            Self::SqliteReader(tx) => {
                in_time(stmt.bind::<Sqlite>().execute(&mut **tx)).await.map(|done| done.rows_affected())
            }
            Self::Postgres(tx) => {
                let query = stmt.bind::<Postgres>().persistent(tx.keeps_statements());
                in_time(query.execute(tx.connection())).await.map(|done| done.rows_affected())
            }
        }
    }

    /// Runs many changes, mostly the same one of many rows; returns how many rows all of them touched. On SQLite so many
    /// run together, as a round trip to the writer costs more than most statements.
    pub(crate) async fn execute_each(&mut self, changes: impl Iterator<Item = Stmt>) -> Result<u64, StoreError> {
        let mut touched = 0;
        match self {
            Self::Sqlite(turn) => {
                let mut changes: VecDeque<_> = changes.collect();
                while !changes.is_empty() {
                    // Few sizes, so that few texts are prepared.
                    let size = if changes.len() < TOGETHER { 1 << changes.len().ilog2() } else { TOGETHER };
                    touched += turn.run_all(changes.drain(..size).collect()).await?.changed;
                }
            }
            Self::SqliteReader(_) | Self::Postgres(_) => {
                for change in changes {
                    touched += self.execute(change).await?;
                }
            }
        }
        Ok(touched)
    }

    /// Runs a change of which nothing is asked but that it succeeds: on SQLite together with the next statement, which
    /// fails in its place, as a round trip to the writer costs more than most statements.
    pub(crate) async fn execute_later(&mut self, stmt: Stmt) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(turn) => turn.run_later(stmt),
            Self::SqliteReader(_) | Self::Postgres(_) => _ = self.execute(stmt).await?,
        }
        Ok(())
    }

    /// Runs a guarded change of one row; returns whether the row was as expected.
    pub(crate) async fn change_one(&mut self, stmt: Stmt) -> Result<bool, StoreError> {
        Ok(self.execute(stmt).await? == 1)
    }
}
