//! Test-only: a fresh database per test, on either engine.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

use crate::error::StoreError;
use crate::exec::{Pools, Store, Tx};
use crate::schema::StoreOptions;
use crate::stmt::Stmt;

/// The variable with the address of a PostgreSQL server, as a user who may create databases.
pub const POSTGRES_VARIABLE: &str = "TROUSSEAU_TEST_POSTGRES";

/// A migrated database that disappears with this value.
#[derive(Debug)]
pub struct TestDatabase {
    store: Store,
    url: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Folder(tempfile::TempDir),
    Server { admin: String, name: String },
}

impl TestDatabase {
    /// An SQLite file in a folder of its own.
    ///
    /// # Panics
    /// When it cannot be made: the test cannot go on.
    pub async fn sqlite() -> Self {
        Self::sqlite_with(&StoreOptions::default()).await
    }

    /// The same, opened in this way.
    ///
    /// # Panics
    /// When it cannot be made: the test cannot go on.
    pub async fn sqlite_with(options: &StoreOptions) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let url = format!("sqlite:{}", folder.path().join("trousseau.db").display());
        let store = Store::open(&url, options).await.expect("a fresh file opens");
        Self { store, url, place: Place::Folder(folder) }
    }

    /// A database of its own on the server at `server`.
    ///
    /// # Panics
    /// When it cannot be made: the test cannot go on.
    pub async fn postgres(server: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("trousseau_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        admin(server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        admin(server, format!("CREATE DATABASE {name}")).await;
        let url = with_database(server, &name);
        let store = Store::open(&url, &StoreOptions::default()).await.expect("a fresh database opens");
        Self { store, url, place: Place::Server { admin: server.to_owned(), name } }
    }

    /// The PostgreSQL server to test on, if there is one.
    pub fn postgres_server() -> Option<String> {
        std::env::var(POSTGRES_VARIABLE).ok().filter(|url| !url.is_empty())
    }

    /// The store.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The address, for another store or another process on the same database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder of an SQLite file, for a search through all that was written.
    pub fn folder(&self) -> Option<&std::path::Path> {
        match &self.place {
            Place::Folder(folder) => Some(folder.path()),
            Place::Server { .. } => None,
        }
    }

    /// Runs statements as they are, past every rule of the store.
    pub async fn run(&self, sql: &'static str) -> Result<(), sqlx::Error> {
        self.store.run(sql).await
    }

    /// The first column of every row, as text.
    ///
    /// # Panics
    /// When the statement is wrong.
    pub async fn texts(&self, sql: &'static str) -> Vec<String> {
        match &self.store.pools {
            Pools::Sqlite { writer, .. } => {
                let mut outside = writer.outside().await.expect("the writer is there");
                sqlx::query_scalar(sql).fetch_all(outside.connection()).await
            }
            Pools::Postgres(pool) => {
                let mut lent = pool.acquire().await.expect("the test server answers");
                let texts = sqlx::query_scalar(sql).fetch_all(lent.connection()).await;
                lent.done();
                texts
            }
        }
        .expect("the test's own statement is right")
    }
}

impl Tx {
    /// Runs a statement as it is, past every rule.
    ///
    /// # Errors
    /// What the database says.
    pub async fn run(&mut self, sql: &'static str) -> Result<u64, StoreError> {
        self.execute(Stmt::new(sql)).await
    }
}

impl Store {
    /// How many wait to begin a transaction on SQLite.
    pub fn waiting(&self) -> usize {
        match &self.pools {
            Pools::Sqlite { writer, .. } => writer.waiting(),
            Pools::Postgres(_) => 0,
        }
    }

    /// Runs statements as they are, past every rule.
    ///
    /// # Panics
    /// When SQLite's writer is not there.
    pub async fn run(&self, sql: &'static str) -> Result<(), sqlx::Error> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => {
                let mut outside = writer.outside().await.expect("the writer is there");
                outside.connection().execute(sql).await.map(drop)
            }
            Pools::Postgres(pool) => {
                let mut lent = pool.acquire().await?;
                lent.connection().execute(sql).await?;
                lent.done();
                Ok(())
            }
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Place::Server { admin: server, name } = &self.place else {
            return;
        };
        let (server, name) = (server.clone(), name.clone());
        // Another thread, because a drop cannot wait inside the test's runtime.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(admin(&server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")));
        })
        .join();
        assert!(dropped.is_ok() || std::thread::panicking(), "the test's database was not dropped");
    }
}

async fn admin(server: &str, statement: String) {
    let options: sqlx::postgres::PgConnectOptions = server.parse().expect("a PostgreSQL address");
    let mut connection = options.connect().await.expect("the test server answers");
    connection.execute(AssertSqlSafe(statement)).await.expect("the test user may create databases");
    connection.close().await.expect("closes");
}

/// The server's address with another database.
fn with_database(server: &str, name: &str) -> String {
    let (base, query) = server.split_once('?').map_or((server, None), |(base, query)| (base, Some(query)));
    let (scheme, rest) = base.split_once("://").expect("an address has a scheme");
    let authority = rest.split('/').next().unwrap_or(rest);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{authority}/{name}{query}")
}

/// Runs each test on SQLite as `name::sqlite` and, where `TROUSSEAU_TEST_POSTGRES` names a server, on PostgreSQL
/// as `name::postgres`.
#[macro_export]
macro_rules! both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($database:ident) $body:block)+) => {$(
        mod $name {
            use super::*;

            $(#[$meta])*
            async fn test($database: $crate::testing::TestDatabase) $body

            #[tokio::test]
            async fn sqlite() {
                test($crate::testing::TestDatabase::sqlite().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(server) = $crate::testing::TestDatabase::postgres_server() {
                    test($crate::testing::TestDatabase::postgres(&server).await).await;
                }
            }
        }
    )+};
}
