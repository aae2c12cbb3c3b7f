//! Opening a database and bringing its schema up to date.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _};

use crate::dialect::{LOCK_WAIT, LOCK_WAIT_HERE, MIGRATION_LOCK, POSTGRES_HAS_MIGRATIONS, SQLITE_HAS_MIGRATIONS};
use crate::error::{SchemaError, StoreError, Unavailability};
use crate::exec::{Pools, Store};
use crate::left::Left;
use crate::pool::{LIMITS, PgPool, Pooling};
use crate::sqlite::Counter;
use crate::writer::Writer;

/// Where applied migrations are noted.
const TABLE: &str = "_sqlx_migrations";
/// How long a writer of another process is waited for.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a migration on PostgreSQL tries to get the locks that it needs, a second each time, and how long it lets
/// others go on between: a minute in all.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_secs(2);
/// How often it is looked whether a server that makes the tables has come further, and how often in vain.
const GROWS_LOOK: Duration = Duration::from_millis(500);
const GROWS_LOOKS: u32 = 6;
/// Long beside a wait for the disk, and short beside anything that a caller notices.
const SHARED_FOR: Duration = Duration::from_millis(5);
/// Rows that a reader's thread may be ahead: each time that it has to wait costs a change of threads.
const ROWS_AHEAD: usize = 500;
/// Statements that the writer keeps prepared.
const WRITER_STATEMENTS: usize = 400;
/// Memory of the writer for pages of the file, in KiB.
const WRITER_CACHE: u32 = 32 * 1024;

/// One migration in both dialects: number, name, SQLite, PostgreSQL.
const MIGRATIONS: &[(i64, &str, &str, &str)] = &[
    (
        1,
        "create foundation",
        include_str!("../migrations/sqlite/0001_create_foundation.sql"),
        include_str!("../migrations/postgres/0001_create_foundation.sql"),
    ),
    (
        2,
        "add people",
        include_str!("../migrations/sqlite/0002_add_people.sql"),
        include_str!("../migrations/postgres/0002_add_people.sql"),
    ),
    (
        3,
        "create request log",
        include_str!("../migrations/sqlite/0003_create_request_log.sql"),
        include_str!("../migrations/postgres/0003_create_request_log.sql"),
    ),
    (
        4,
        "add payments",
        include_str!("../migrations/sqlite/0004_add_payments.sql"),
        include_str!("../migrations/postgres/0004_add_payments.sql"),
    ),
    (
        5,
        "add webhooks",
        include_str!("../migrations/sqlite/0005_add_webhooks.sql"),
        include_str!("../migrations/postgres/0005_add_webhooks.sql"),
    ),
    (
        6,
        "add logos and kept forms",
        include_str!("../migrations/sqlite/0006_add_logos_and_kept_forms.sql"),
        include_str!("../migrations/postgres/0006_add_logos_and_kept_forms.sql"),
    ),
    (
        7,
        "add checkout settings",
        include_str!("../migrations/sqlite/0007_add_checkout_settings.sql"),
        include_str!("../migrations/postgres/0007_add_checkout_settings.sql"),
    ),
    (
        8,
        "add invoice mails",
        include_str!("../migrations/sqlite/0008_add_invoice_mails.sql"),
        include_str!("../migrations/postgres/0008_add_invoice_mails.sql"),
    ),
    (
        9,
        "add networks",
        include_str!("../migrations/sqlite/0009_add_networks.sql"),
        include_str!("../migrations/postgres/0009_add_networks.sql"),
    ),
    (
        10,
        "add reconciliations",
        include_str!("../migrations/sqlite/0010_add_reconciliations.sql"),
        include_str!("../migrations/postgres/0010_add_reconciliations.sql"),
    ),
    (
        11,
        "add refunds",
        include_str!("../migrations/sqlite/0011_add_refunds.sql"),
        include_str!("../migrations/postgres/0011_add_refunds.sql"),
    ),
    (
        12,
        "add extended keys",
        include_str!("../migrations/sqlite/0012_add_extended_keys.sql"),
        include_str!("../migrations/postgres/0012_add_extended_keys.sql"),
    ),
    (
        13,
        "tell of networks",
        include_str!("../migrations/sqlite/0013_tell_of_networks.sql"),
        include_str!("../migrations/postgres/0013_tell_of_networks.sql"),
    ),
    (
        14,
        "index succeeded refunds",
        include_str!("../migrations/sqlite/0014_index_succeeded_refunds.sql"),
        include_str!("../migrations/postgres/0014_index_succeeded_refunds.sql"),
    ),
    (
        15,
        "add limits and nodes",
        include_str!("../migrations/sqlite/0015_add_limits_and_nodes.sql"),
        include_str!("../migrations/postgres/0015_add_limits_and_nodes.sql"),
    ),
    (
        16,
        "index payments with open sums",
        include_str!("../migrations/sqlite/0016_index_payments_with_open_sums.sql"),
        include_str!("../migrations/postgres/0016_index_payments_with_open_sums.sql"),
    ),
    (
        17,
        "add returned sums",
        include_str!("../migrations/sqlite/0017_add_returned_sums.sql"),
        include_str!("../migrations/postgres/0017_add_returned_sums.sql"),
    ),
    (
        18,
        "index leased deliveries",
        include_str!("../migrations/sqlite/0018_index_leased_deliveries.sql"),
        include_str!("../migrations/postgres/0018_index_leased_deliveries.sql"),
    ),
];

/// How to open a database.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Which schemas are brought up to date.
    pub upgrade: Upgrade,
    /// Take this migration for the latest one: for what was written when it was. All of them unless given.
    pub up_to: Option<i64>,
    /// The most connections that read (SQLite) or that do anything (PostgreSQL).
    pub connections: u32,
    /// How long a request waits for a free connection.
    pub acquire_timeout: Duration,
    /// How old a transaction on SQLite becomes before it is committed although others wait to go on in it.
    pub shared_for: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            upgrade: Upgrade::Any,
            up_to: None,
            connections: 8,
            acquire_timeout: Duration::from_secs(5),
            shared_for: SHARED_FOR,
        }
    }
}

/// Which schemas are brought up to date; another one that is older is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// All: as the first server of a release does.
    Any,
    /// A database in which there is nothing yet.
    Empty,
    /// None: what is not there is not made either.
    Nothing,
}

/// Which database is behind a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// An embedded file.
    Sqlite,
    /// A server.
    Postgres,
}

impl Store {
    /// Opens `sqlite:PATH` or `postgres://...` and checks or migrates its schema.
    ///
    /// # Errors
    /// [`StoreError::Address`] for another kind of address, [`StoreError::Schema`] for a schema that is newer than
    /// this program, unknown, or older than [`StoreOptions::upgrade`] allows.
    pub async fn open(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        match address(url)? {
            Address::Sqlite(path) => Self::open_sqlite(path, options).await,
            Address::Postgres => Self::open_postgres(url, options).await,
        }
    }

    /// Opens an SQLite file, which is created where there is none.
    pub async fn open_sqlite(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let stamp = Left::stamp_of(path);
        if options.upgrade != Upgrade::Nothing {
            make_private(path);
        }
        // FULL, because in WAL mode NORMAL may lose the last commits when the power fails.
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(options.upgrade != Upgrade::Nothing)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let writer_options = connect
            .clone()
            // All that the writer runs again and again, alone and after a savepoint.
            .statement_cache_capacity(WRITER_STATEMENTS)
            // What many turns change together stays in memory until the commit, and so does what undoes one of them.
            .pragma("cache_size", format!("-{WRITER_CACHE}"))
            .pragma("temp_store", "memory");
        let mut attempts_left = 20;
        // A connection of its own, which may use as much of the disk for what is passing as it likes.
        let mut schema = loop {
            match connect.connect().await.map_err(StoreError::from) {
                Ok(schema) => break schema,
                // The first switch to WAL does not wait for another process that is doing the same.
                Err(StoreError::Unavailable { reason: Unavailability::Locked, .. }) if attempts_left > 0 => {
                    attempts_left -= 1;
                    tokio::time::sleep(BUSY_TIMEOUT / 20).await;
                }
                Err(error) => return Err(error),
            }
        };
        let migrated = migrate_sqlite(&mut schema, options).await?;
        let writer = writer_options.connect().await?;
        schema.close().await?;
        let writer = Writer::new(writer, writer_options, (options.acquire_timeout, options.shared_for)).await?;
        // The writer notices whoever writes from here on; whoever wrote between the first look and here is noticed now.
        let stamp = stamp.filter(|stamp| !migrated && Left::is_unwritten(path, *stamp));
        let found = Left::new(path, stamp).map(Arc::new);
        let readers = SqlitePoolOptions::new()
            .acquire_timeout(options.acquire_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .max_connections(options.connections)
            .connect_with(connect.read_only(true).row_buffer_size(ROWS_AHEAD))
            .await?;
        let counter = Arc::new(Counter::open(path)?);
        Ok(Self::new(Pools::Sqlite { readers, writer, counter, found }))
    }

    /// Opens a database of a PostgreSQL server.
    pub async fn open_postgres(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        let (connect, pooling) = postgres_options(url)?;
        let connect = connect.application_name("trousseau").disable_statement_logging();
        let connect = match pooling {
            Pooling::Session => {
                migrate_postgres(&connect, options, pooling).await?;
                connect.options(LIMITS)
            }
            Pooling::Transaction => {
                // What a pooler would have to remember for a client is not sent to it.
                let connect = connect.extra_float_digits(None).statement_cache_capacity(0);
                migrate_postgres(&connect, options, pooling).await?;
                connect
            }
        };
        let pool = PgPool::new(connect, pooling, options.connections, options.acquire_timeout);
        // An address that leads nowhere is told of now.
        pool.acquire().await?.done();
        Ok(Self::new(Pools::Postgres(pool)))
    }

    /// Which database is behind this store.
    pub const fn engine(&self) -> Engine {
        match self.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// Closes all connections, after the work under way.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { readers, writer, counter, .. } => {
                counter.close();
                readers.close().await;
                writer.end().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

/// Makes the file that is not there yet, empty, for its owner alone: SQLite would let others read it where the umask
/// does, and gives its log the mode of the file. Why it cannot be made SQLite tells when it tries.
fn make_private(path: &Path) {
    let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
}

/// The number of the latest migration of this program.
pub fn latest_schema() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, ..)| *version)
}

fn migrator(engine: Engine, up_to: Option<i64>) -> Migrator {
    Migrator::with_migrations(
        MIGRATIONS
            .iter()
            .filter(|(version, ..)| up_to.is_none_or(|last| *version <= last))
            .map(|(version, name, sqlite, postgres)| {
                let sql = match engine {
                    Engine::Sqlite => *sqlite,
                    Engine::Postgres => *postgres,
                };
                Migration::new(*version, (*name).into(), MigrationType::Simple, sql.into_sql_str(), false)
            })
            .collect(),
    )
}

/// Whether migrations are missing; refuses a schema that is not ours.
fn compare(migrator: &Migrator, applied: &[AppliedMigration]) -> Result<Standing, SchemaError> {
    let known = migrator.iter().map(|migration| migration.version).max().unwrap_or(0);
    let found = applied.iter().map(|migration| migration.version).max().unwrap_or(0);
    if found > known {
        return Err(SchemaError::Newer { found, known });
    }
    for migration in applied {
        let ours = migrator
            .iter()
            .find(|ours| ours.version == migration.version)
            .ok_or(SchemaError::Unknown(migration.version))?;
        if ours.checksum != migration.checksum {
            return Err(SchemaError::Modified(migration.version));
        }
    }
    Ok(Standing { found, known })
}

struct Standing {
    found: i64,
    known: i64,
}

impl Standing {
    /// Whether to migrate.
    fn must_migrate(&self, upgrade: Upgrade) -> Result<bool, SchemaError> {
        let may = match upgrade {
            Upgrade::Any => true,
            Upgrade::Empty => self.found == 0,
            Upgrade::Nothing => false,
        };
        match (self.found < self.known, may) {
            (true, false) => Err(SchemaError::Older { found: self.found, known: self.known }),
            (behind, _) => Ok(behind),
        }
    }
}

async fn standing<C: Migrate>(connection: &mut C, migrator: &Migrator, noted: bool) -> Result<Standing, StoreError> {
    if !noted {
        return Ok(compare(migrator, &[])?);
    }
    if let Some(version) = connection.dirty_version(TABLE).await.map_err(failed)? {
        return Err(SchemaError::Dirty(version).into());
    }
    let applied = connection.list_applied_migrations(TABLE).await.map_err(failed)?;
    Ok(compare(migrator, &applied)?)
}

/// Brings the schema up to date; `false` if it was.
async fn migrate_sqlite(connection: &mut SqliteConnection, options: &StoreOptions) -> Result<bool, StoreError> {
    let migrator = migrator(Engine::Sqlite, options.up_to);
    let noted: i64 = sqlx::query_scalar(SQLITE_HAS_MIGRATIONS).fetch_one(&mut *connection).await?;
    if !standing(&mut *connection, &migrator, noted > 0).await?.must_migrate(options.upgrade)? {
        return Ok(false);
    }
    // The driver takes no lock on SQLite: two processes at their first start would both create the tables.
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    migrator.run_direct(None, &mut *tx, false).await.map_err(failed)?;
    tx.commit().await?;
    Ok(true)
}

/// Brings the schema up to date, on a connection of its own: a migration may take longer than a request, and its
/// advisory lock must not outlive it. Another node that migrates is waited for.
///
/// What a migration changes may be locked for long, by a backup for instance, and whoever comes later waits behind it:
/// so it waits a little only, lets the others go on, and tries again.
async fn migrate_postgres(
    connect: &PgConnectOptions,
    options: &StoreOptions,
    pooling: Pooling,
) -> Result<(), StoreError> {
    let (mut tries_left, mut last_found, mut looks_left) = (LOCK_TRIES, 0, GROWS_LOOKS);
    loop {
        let tried = match pooling {
            Pooling::Session => migrate_in_session(connect, options).await,
            Pooling::Transaction => migrate_through_pooler(connect, options).await,
        };
        match tried {
            Err(StoreError::Unavailable { reason: Unavailability::Locked, .. }) if tries_left > 0 => {
                tries_left -= 1;
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            // A server makes the tables just now, one migration after the other.
            Err(StoreError::Schema(SchemaError::Older { found, .. }))
                if options.upgrade == Upgrade::Empty && (found > last_found || looks_left > 0) =>
            {
                looks_left = if found > last_found { GROWS_LOOKS } else { looks_left - 1 };
                last_found = found;
                tokio::time::sleep(GROWS_LOOK).await;
            }
            ended => return ended,
        }
    }
}

async fn migrate_in_session(connect: &PgConnectOptions, options: &StoreOptions) -> Result<(), StoreError> {
    let migrator = migrator(Engine::Postgres, options.up_to);
    let connect = connect.clone().options([("lock_timeout", LOCK_WAIT)]);
    let mut connection =
        tokio::time::timeout(options.acquire_timeout, connect.connect()).await.map_err(|_| StoreError::timeout())??;
    let noted: i64 = sqlx::query_scalar(POSTGRES_HAS_MIGRATIONS).fetch_one(&mut connection).await?;
    if standing(&mut connection, &migrator, noted > 0).await?.must_migrate(options.upgrade)? {
        migrator.run_direct(None, &mut connection, false).await.map_err(failed)?;
    }
    Ok(connection.close().await?)
}

/// The same where a pooler may give each transaction another connection: all of it is one transaction, with a lock that
/// ends with it.
async fn migrate_through_pooler(connect: &PgConnectOptions, options: &StoreOptions) -> Result<(), StoreError> {
    let mut migrator = migrator(Engine::Postgres, options.up_to);
    migrator.set_locking(false);
    let mut connection =
        tokio::time::timeout(options.acquire_timeout, connect.connect()).await.map_err(|_| StoreError::timeout())??;
    let mut tx = connection.begin().await?;
    sqlx::raw_sql(LOCK_WAIT_HERE).execute(&mut *tx).await?;
    sqlx::raw_sql(MIGRATION_LOCK).execute(&mut *tx).await?;
    // The driver's own questions are kept prepared under names that the next process would choose too.
    sqlx::raw_sql("DEALLOCATE ALL").execute(&mut *tx).await?;
    let noted: i64 = sqlx::query_scalar(POSTGRES_HAS_MIGRATIONS).persistent(false).fetch_one(&mut *tx).await?;
    if standing(&mut *tx, &migrator, noted > 0).await?.must_migrate(options.upgrade)? {
        migrator.run_direct(None, &mut *tx, false).await.map_err(failed)?;
    }
    sqlx::raw_sql("DEALLOCATE ALL").execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(connection.close().await?)
}

/// Which database an address names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address<'a> {
    /// An SQLite file.
    Sqlite(&'a Path),
    /// A database of a PostgreSQL server.
    Postgres,
}

/// Reads the address of a database as [`Store::open`] does, without looking whether there is one.
///
/// # Errors
/// [`StoreError::Address`] with the reason, and without the address: it may hold a password.
pub fn address(url: &str) -> Result<Address<'_>, StoreError> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return postgres_options(url).map(|_| Address::Postgres);
    }
    match url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
        Some(path) if !path.is_empty() && !path.starts_with(":memory:") && !path.contains(['?', '\0']) => {
            Ok(Address::Sqlite(Path::new(path)))
        }
        Some(_) => Err(StoreError::Address("an SQLite address is sqlite:PATH, with the path of a file")),
        None => Err(StoreError::Address("it begins with sqlite: or postgres://")),
    }
}

fn postgres_options(url: &str) -> Result<(PgConnectOptions, Pooling), StoreError> {
    let (url, pooling) = pooling_of(url)?;
    let options = PgConnectOptions::from_str(&url)
        .map_err(|_| StoreError::Address("it is no PostgreSQL address: postgres://user@host:port/database"))?;
    Ok((options, pooling))
}

/// Takes the parameter `pooling` out of an address, which is ours and not PostgreSQL's.
fn pooling_of(url: &str) -> Result<(String, Pooling), StoreError> {
    let Some((base, query)) = url.split_once('?') else { return Ok((url.to_owned(), Pooling::Session)) };
    let mut pooling = Pooling::Session;
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("pooling", "transaction")) => pooling = Pooling::Transaction,
            Some(("pooling", "session")) => pooling = Pooling::Session,
            Some(("pooling", _)) => return Err(StoreError::Address("pooling is session or transaction")),
            _ => rest.push(pair),
        }
    }
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    Ok((url, pooling))
}

fn failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(inner) => inner.into(),
        // What passes by itself is told as such, wherever it came up.
        MigrateError::ExecuteMigration(inner, version) => match StoreError::from(inner) {
            passes @ StoreError::Unavailable { .. } => passes,
            StoreError::Unique { source, .. } | StoreError::Other(source) => {
                SchemaError::Failed(Box::new(MigrateError::ExecuteMigration(*source, version))).into()
            }
            other => other,
        },
        other => SchemaError::Failed(Box::new(other)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_name_a_pooler() {
        let parted = |url: &str| pooling_of(url).expect("good");
        let plain = "postgres://user@host/name";
        assert_eq!(parted(plain), (plain.to_owned(), Pooling::Session));
        assert_eq!(parted(&format!("{plain}?pooling=session")), (plain.to_owned(), Pooling::Session));
        assert_eq!(parted(&format!("{plain}?pooling=transaction")), (plain.to_owned(), Pooling::Transaction));
        let (url, pooling) = parted(&format!("{plain}?sslmode=require&pooling=transaction&options=a"));
        assert_eq!((url, pooling), (format!("{plain}?sslmode=require&options=a"), Pooling::Transaction));
        assert!(matches!(pooling_of(&format!("{plain}?pooling=statement")), Err(StoreError::Address(_))));
    }

    #[test]
    fn the_names_of_files_and_migrations_agree() {
        for folder in ["sqlite", "postgres"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            let mut files: Vec<String> = std::fs::read_dir(path)
                .expect("the folder is there")
                .map(|entry| entry.expect("readable").file_name().into_string().expect("ASCII"))
                .collect();
            files.sort();
            let known: Vec<String> = MIGRATIONS
                .iter()
                .map(|(version, name, ..)| format!("{version:04}_{}.sql", name.replace(' ', "_")))
                .collect();
            assert_eq!(files, known, "{folder}");
        }
    }
}
