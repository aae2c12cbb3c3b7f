//! Running statements: the only place that tells the engines apart, besides `dialect` and `schema`.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use sqlx::{Postgres, Sqlite, Transaction};

use crate::error::StoreError;
use crate::row::Row;
use crate::schema::Engine;
use crate::stmt::Stmt;

/// How long one statement may take, waiting for its connection included.
pub(crate) const STATEMENT_DEADLINE: Duration = Duration::from_secs(10);

/// The database. A clone is another handle to the same pools.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) pools: Pools,
}

/// The connections of one engine.
#[derive(Debug, Clone)]
pub(crate) enum Pools {
    /// Many readers and one writer: SQLite has one writer anyway, and ours wait in a fair queue.
    Sqlite {
        readers: SqlitePool,
        writer: SqlitePool,
    },
    Postgres(PgPool),
}

/// One transaction. Dropping it without [`Tx::commit`] rolls it back.
#[derive(Debug)]
pub enum Tx {
    /// On SQLite's one writer.
    Sqlite(Transaction<'static, Sqlite>),
    /// On a connection of PostgreSQL's pool.
    Postgres(Transaction<'static, Postgres>),
}

/// Where to read: outside of any transaction, or inside one and seeing its changes.
#[derive(Debug)]
pub struct Reader<'a>(Source<'a>);

#[derive(Debug)]
enum Source<'a> {
    Store(&'a Store),
    Tx(&'a mut Tx),
}

async fn in_time<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(STATEMENT_DEADLINE, work).await {
        Ok(result) => result.map_err(StoreError::from),
        Err(_) => Err(StoreError::timeout()),
    }
}

impl Store {
    /// Begins a transaction; on SQLite it takes the write lock now, because a later upgrade would fail at once.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => in_time(writer.begin_with("BEGIN IMMEDIATE")).await.map(Tx::Sqlite),
            Pools::Postgres(pool) => in_time(pool.begin()).await.map(Tx::Postgres),
        }
    }

    /// Reads what is committed, on the readers.
    pub const fn read(&self) -> Reader<'_> {
        Reader(Source::Store(self))
    }
}

impl Reader<'_> {
    /// Which engine is read from.
    pub(crate) const fn engine(&self) -> Engine {
        match &self.0 {
            Source::Tx(tx) => tx.engine(),
            Source::Store(store) => store.engine(),
        }
    }

    pub(crate) async fn fetch_all(&mut self, stmt: Stmt) -> Result<Vec<Row>, StoreError> {
        match &mut self.0 {
            Source::Tx(tx) => tx.fetch_all(stmt).await,
            Source::Store(Store { pools: Pools::Sqlite { readers, .. } }) => {
                in_time(stmt.bind::<Sqlite>().fetch_all(readers)).await.map(Row::sqlite)
            }
            Source::Store(Store { pools: Pools::Postgres(pool) }) => {
                in_time(stmt.bind::<Postgres>().fetch_all(pool)).await.map(Row::postgres)
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
            ($engine:ident, $row:expr, $executor:expr) => {{
                let mut rows = stmt.bind::<$engine>().fetch($executor);
                while let Some(row) = in_time(rows.try_next()).await? {
                    take(&$row(row))?;
                }
                Ok(())
            }};
        }
        match &mut self.0 {
            Source::Tx(Tx::Sqlite(tx)) => each!(Sqlite, Row::Sqlite, &mut **tx),
            Source::Tx(Tx::Postgres(tx)) => each!(Postgres, Row::Postgres, &mut **tx),
            Source::Store(Store { pools: Pools::Sqlite { readers, .. } }) => each!(Sqlite, Row::Sqlite, readers),
            Source::Store(Store { pools: Pools::Postgres(pool) }) => each!(Postgres, Row::Postgres, pool),
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
            Self::Sqlite(tx) => in_time(tx.commit()).await,
            Self::Postgres(tx) => in_time(tx.commit()).await,
        }
    }

    /// Reads inside the transaction.
    pub const fn read(&mut self) -> Reader<'_> {
        Reader(Source::Tx(self))
    }

    pub(crate) async fn fetch_all(&mut self, stmt: Stmt) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(tx) => in_time(stmt.bind::<Sqlite>().fetch_all(&mut **tx)).await.map(Row::sqlite),
            Self::Postgres(tx) => in_time(stmt.bind::<Postgres>().fetch_all(&mut **tx)).await.map(Row::postgres),
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
            Self::Sqlite(tx) => {
                in_time(stmt.bind::<Sqlite>().execute(&mut **tx)).await.map(|done| done.rows_affected())
            }
            Self::Postgres(tx) => {
                in_time(stmt.bind::<Postgres>().execute(&mut **tx)).await.map(|done| done.rows_affected())
            }
        }
    }

    /// Runs a guarded change of one row; returns whether the row was as expected.
    pub(crate) async fn change_one(&mut self, stmt: Stmt) -> Result<bool, StoreError> {
        Ok(self.execute(stmt).await? == 1)
    }
}
