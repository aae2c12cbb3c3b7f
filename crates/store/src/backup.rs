//! The whole database as rows: read in one snapshot, and written into an empty database of either engine.
//!
//! Columns and the order of tables come from the database's own catalogue. Which tables are ours stands here, by the
//! migration that makes them; a test compares that with what the migrations make.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Postgres, Row as _, Sqlite};
use trousseau_domain::evm::{ChildIndex, ExtendedPublicKey};
use trousseau_domain::time::Timestamp;

use crate::bulk::{Bulk, ColumnType, hex};
use crate::error::{BadColumn, SchemaError, StoreError};
use crate::exec::{Pools, Store, Tx};
use crate::row::Row;
use crate::schema::Engine;
use crate::stmt::Stmt;

/// One more than the last child of an extended key: a counter that stands here gives out nothing any more.
const NO_CHILD_LEFT: i64 = 2_147_483_648;
/// By how much the sequence of changes leaps at least, so that no node takes what it knew for newer.
const LEAP: i64 = 1_000_000_000;

/// Our tables, by the migration that makes them. What else is in a database is somebody else's.
const TABLES: &[(i64, &[&str])] = &[
    (
        1,
        &[
            "businesses",
            "keys",
            "key_versions",
            "key_uses",
            "platform_keys",
            "audit_entries",
            "events",
            "outbox",
            "refusals",
            "idempotency_records",
            "change_counter",
            "changes",
            "secret_versions",
        ],
    ),
    (
        2,
        &[
            "accounts",
            "memberships",
            "notice_settings",
            "sessions",
            "one_time_tokens",
            "invitations",
            "passkeys",
            "recovery_codes",
            "sign_in_attempts",
            "known_devices",
            "webauthn_ceremonies",
            "mails",
        ],
    ),
    (3, &["requests", "usage_days", "key_sightings", "key_networks", "key_end_notices"]),
    (
        4,
        &[
            "payment_links",
            "recurring_payments",
            "invoices",
            "payments",
            "destinations",
            "ledger_cursors",
            "ledger_blocks",
            "deposits",
            "transaction_claims",
            "test_ledgers",
            "test_blocks",
            "test_transfers",
        ],
    ),
    (5, &["webhook_endpoints", "webhook_secrets", "webhook_deliveries", "webhook_attempts"]),
    (6, &["logos", "kept_forms"]),
    (7, &["checkout_settings"]),
    (8, &["invoice_mails"]),
    (9, &["ledger_leases", "payout_addresses"]),
    (10, &["outgoing_transfers", "reconciled_ledgers", "reconciliations", "reconciliation_differences"]),
    (11, &["refunds"]),
    (12, &["payout_keys", "extended_keys"]),
    (13, &["ledger_reports"]),
    (15, &["quota_counts", "nodes"]),
];

/// A table by its catalogue: its name, and its columns in the order in which cells are given and taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableShape {
    name: String,
    columns: Vec<(String, ColumnType)>,
}

impl TableShape {
    /// The names of our tables in a database whose latest migration is this one.
    pub fn names_at(schema: i64) -> impl Iterator<Item = &'static str> {
        TABLES.iter().filter(move |(since, _)| *since <= schema).flat_map(|(_, names)| names.iter().copied())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of its columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    fn list(&self) -> String {
        self.columns().collect::<Vec<_>>().join(", ")
    }
}

/// The database as it is at one moment, whatever is written meanwhile.
#[derive(Debug)]
pub struct Snapshot {
    tx: Tx,
    tables: Vec<TableShape>,
    left_out: Vec<String>,
    schema: i64,
}

/// Rows that do not fit into the tables that are there, or a database that is not empty.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Somebody works on this database already.
    #[error("the database is not empty: there are rows in {0}")]
    NotEmpty(String),
    /// The rows are of another schema than they say.
    #[error("the backup has rows for {0}, which this schema does not have")]
    Table(String),
    /// A cell is of another type than its column.
    #[error("a row of {table} does not fit its columns")]
    Cells {
        /// The table.
        table: String,
    },
    /// A row could not be read back.
    #[error("the extended key of a payout cannot be read back")]
    ExtendedKey,
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a restored database still wants to send; all of it may have been sent already after the backup was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Events that were not yet dispatched.
    pub events: u64,
    /// Deliveries of webhooks.
    pub deliveries: u64,
    /// Mails.
    pub mails: u64,
}

/// What to do with the counters of extended public keys, whose later children may have been given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Children {
    /// Give out none any more: another account has to be named.
    Close,
    /// Go on so many further.
    Skip(u32),
}

/// What was changed after the rows were in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Adjusted {
    /// Sessions that were ended.
    pub sessions: u64,
    /// Extended public keys whose counter was moved.
    pub extended_keys: u64,
    /// Where the sequence of changes goes on.
    pub seq: i64,
    /// What is about to be sent.
    pub waiting: Waiting,
}

/// An empty database that is being filled, in one transaction.
#[derive(Debug)]
pub struct Restoring {
    tx: Tx,
    tables: BTreeMap<String, TableShape>,
    numbered: Vec<(String, String)>,
}

impl Store {
    /// Takes a snapshot. Writers go on; what they commit from now on is not in it.
    ///
    /// # Errors
    /// [`SchemaError::Missing`] and [`SchemaError::Unreadable`] name the tables of ours that would not be in it.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let mut tx = match &self.pools {
            Pools::Sqlite { readers, .. } => Tx::SqliteReader(readers.begin_with("BEGIN").await?),
            Pools::Postgres(pool) => Tx::Postgres(pool.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?),
        };
        tx.take_time().await?;
        // The first read is where the snapshot begins.
        let schema = tx.schema_version().await?;
        let (tables, left_out) = tx.tables(schema).await?;
        Ok(Snapshot { tx, tables, left_out, schema })
    }

    /// Begins to fill the database, which must be empty but for its tables and what is not ours.
    ///
    /// # Errors
    /// [`RestoreError::NotEmpty`] names the first table that holds something.
    pub async fn restoring(&self) -> Result<Restoring, RestoreError> {
        let mut tx = self.begin_alone().await?;
        tx.take_time().await?;
        let schema = tx.schema_version().await?;
        let (shapes, _) = tx.tables(schema).await?;
        if matches!(tx, Tx::Postgres(_)) {
            // A server that is started meanwhile waits here with its first rows.
            tx.execute(Stmt::new("LOCK TABLE secret_versions, businesses IN EXCLUSIVE MODE")).await?;
        }
        for shape in &shapes {
            // The one row that a migration makes stands at 0 until something happens.
            let condition = if shape.name == "change_counter" { " WHERE seq <> 0" } else { "" };
            let stmt = Stmt::assembled(format!("SELECT 1 AS one FROM {}{condition} LIMIT 1", shape.name));
            if tx.fetch_optional(stmt).await?.is_some() {
                return Err(RestoreError::NotEmpty(shape.name.clone()));
            }
        }
        tx.execute(Stmt::new("DELETE FROM change_counter")).await?;
        let tables: BTreeMap<_, _> = shapes.into_iter().map(|shape| (shape.name.clone(), shape)).collect();
        let mut numbered = tx.numbered_columns().await?;
        numbered.retain(|(table, _)| tables.contains_key(table));
        Ok(Restoring { tx, tables, numbered })
    }
}

impl Snapshot {
    /// The number of the latest migration.
    pub const fn schema(&self) -> i64 {
        self.schema
    }

    /// The tables, those first that others refer to.
    pub fn tables(&self) -> Vec<TableShape> {
        self.tables.clone()
    }

    /// The tables that are in the database and not in the snapshot, since they are not ours.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Gives every row of a table to `take`, its cells in the order of the columns: numbers, texts, bytes as
    /// hexadecimal digits.
    ///
    /// # Errors
    /// What `take` returns, or that the database failed.
    pub async fn copy<E: From<StoreError>>(
        &mut self,
        table: &TableShape,
        mut take: impl FnMut(Vec<Value>) -> Result<(), E>,
    ) -> Result<u64, E> {
        let stmt = || Stmt::assembled(format!("SELECT {} FROM {}", table.list(), table.name));
        let mut count = 0;
        match &mut self.tx {
            // A snapshot is never on the writer.
            Tx::Sqlite(turn) => {
                for row in turn.run(stmt()).await?.rows {
                    take(cells_of(table, &Row::Sqlite(row))?)?;
                    count += 1;
                }
            }
            Tx::SqliteReader(tx) => {
                let mut rows = stmt().bind::<Sqlite>().fetch(&mut **tx);
                while let Some(row) = rows.try_next().await.map_err(StoreError::from)? {
                    take(cells_of(table, &Row::Sqlite(row))?)?;
                    count += 1;
                }
            }
            Tx::Postgres(tx) => {
                let query = stmt().bind::<Postgres>().persistent(tx.keeps_statements());
                let mut rows = query.fetch(tx.connection());
                while let Some(row) = rows.try_next().await.map_err(StoreError::from)? {
                    take(cells_of(table, &Row::Postgres(row))?)?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}

fn cells_of(table: &TableShape, row: &Row) -> Result<Vec<Value>, StoreError> {
    let cell = |(place, (_, kind)): (usize, &(String, ColumnType))| {
        let read = match row {
            Row::Sqlite(row) => sqlite_cell(row, place, *kind),
            Row::Postgres(row) => postgres_cell(row, place, *kind),
        };
        read.map_err(StoreError::from)
    };
    table.columns.iter().enumerate().map(cell).collect()
}

fn sqlite_cell(row: &SqliteRow, place: usize, kind: ColumnType) -> Result<Value, sqlx::Error> {
    Ok(match kind {
        ColumnType::Text => row.try_get::<Option<String>, _>(place)?.into(),
        ColumnType::Int => row.try_get::<Option<i64>, _>(place)?.into(),
        ColumnType::Bytes => row.try_get::<Option<Vec<u8>>, _>(place)?.map(|bytes| hex(&bytes)).into(),
    })
}

fn postgres_cell(row: &PgRow, place: usize, kind: ColumnType) -> Result<Value, sqlx::Error> {
    Ok(match kind {
        ColumnType::Text => row.try_get::<Option<String>, _>(place)?.into(),
        ColumnType::Int => row.try_get::<Option<i64>, _>(place)?.into(),
        ColumnType::Bytes => row.try_get::<Option<Vec<u8>>, _>(place)?.map(|bytes| hex(&bytes)).into(),
    })
}

/// Whether a cell can stand in a column.
fn fits(cell: &Value, kind: ColumnType) -> bool {
    match (cell, kind) {
        (Value::Null, _) | (Value::String(_), ColumnType::Text) => true,
        (Value::Number(number), ColumnType::Int) => number.is_i64(),
        (Value::String(digits), ColumnType::Bytes) => {
            digits.len().is_multiple_of(2) && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        }
        _ => false,
    }
}

impl Restoring {
    /// Adds rows of a table, their cells in the order of `columns`.
    ///
    /// # Errors
    /// When the schema has no such table or columns, or a cell is of another type.
    pub async fn load(&mut self, table: &str, columns: &[String], rows: Vec<Vec<Value>>) -> Result<(), RestoreError> {
        // Names that come from a file become part of a statement only as the catalogue writes them.
        let shape = self.tables.get(table).ok_or_else(|| RestoreError::Table(table.to_owned()))?;
        let found = |name: &String| shape.columns.iter().find(|(known, _)| known == name);
        let columns: Vec<(&str, ColumnType)> = columns
            .iter()
            .map(|name| found(name).map(|(name, kind)| (name.as_str(), *kind)))
            .collect::<Option<_>>()
            .ok_or_else(|| RestoreError::Table(table.to_owned()))?;
        let distinct: BTreeSet<_> = columns.iter().map(|(name, _)| name).collect();
        if distinct.len() != shape.columns.len() || columns.len() != distinct.len() {
            return Err(RestoreError::Table(table.to_owned()));
        }
        let mut bulk = Bulk::new(&shape.name, &columns).with_numbers();
        for row in rows {
            let good =
                row.len() == columns.len() && row.iter().zip(&columns).all(|(cell, (_, kind))| fits(cell, *kind));
            if !good {
                return Err(RestoreError::Cells { table: table.to_owned() });
            }
            bulk.push(row);
        }
        Ok(self.tx.insert_bulk(bulk).await?)
    }

    /// Sets right what must not be as it was when the backup was taken: who was signed in then has to sign in again,
    /// no child of an extended public key is given out twice, and the sequence of changes goes forward.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn adjust(&mut self, children: Children, now: Timestamp) -> Result<Adjusted, RestoreError> {
        for (table, column) in self.numbered.clone() {
            let sql = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), \
                 (SELECT COALESCE(MAX({column}), 0) + 1 FROM {table}), false)"
            );
            self.tx.fetch_all(Stmt::assembled(sql)).await?;
        }
        // What was used since, or ended, would be good once more.
        let sessions = self.empty("sessions").await?;
        self.empty("nodes").await?;
        self.empty("one_time_tokens").await?;
        self.empty("webauthn_ceremonies").await?;
        let extended_keys =
            if self.tables.contains_key("extended_keys") { self.move_children(children).await? } else { 0 };
        let seq = self.leap(now).await?;
        let waiting = Waiting {
            events: self.count("SELECT COUNT(*) AS total FROM outbox", "outbox").await?,
            deliveries: self
                .count("SELECT COUNT(*) AS total FROM webhook_deliveries WHERE state = 'pending'", "webhook_deliveries")
                .await?,
            mails: self.count("SELECT COUNT(*) AS total FROM mails", "mails").await?,
        };
        Ok(Adjusted { sessions, extended_keys, seq, waiting })
    }

    /// The transaction, for what else belongs into it.
    pub const fn tx(&mut self) -> &mut Tx {
        &mut self.tx
    }

    /// Makes all of it last, however long that takes.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit_patiently().await
    }

    async fn empty(&mut self, table: &str) -> Result<u64, StoreError> {
        if !self.tables.contains_key(table) {
            return Ok(0);
        }
        self.tx.execute(Stmt::assembled(format!("DELETE FROM {table}"))).await
    }

    async fn count(&mut self, sql: &'static str, table: &'static str) -> Result<u64, StoreError> {
        if !self.tables.contains_key(table) {
            return Ok(0);
        }
        self.tx.fetch_one(Stmt::new(sql)).await?.read("backup", "total", |row| row.number("total"))
    }

    async fn move_children(&mut self, children: Children) -> Result<u64, RestoreError> {
        const KEYS: &str = "SELECT DISTINCT extended_key FROM payout_keys";
        const FIRST: &str = "INSERT INTO extended_keys (id, next_index) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
        // A key that had given out nothing yet has no counter, and may have given out something since.
        for row in self.tx.fetch_all(Stmt::new(KEYS)).await? {
            let key: ExtendedPublicKey = row.parsed("extended_key").map_err(|_| RestoreError::ExtendedKey)?;
            let first = i64::from(ChildIndex::FIRST.number());
            self.tx.execute(Stmt::new(FIRST).bytes(*key.id().as_bytes()).int(first)).await?;
        }
        let moved = match children {
            Children::Close => {
                const SQL: &str = "UPDATE extended_keys SET next_index = $1";
                self.tx.execute(Stmt::new(SQL).int(NO_CHILD_LEFT)).await?
            }
            Children::Skip(count) => {
                const SQL: &str = "UPDATE extended_keys SET next_index = CASE WHEN next_index > $2 THEN $1 \
                                   ELSE next_index + $3 END";
                let count = i64::from(count).min(NO_CHILD_LEFT);
                let stmt = Stmt::new(SQL).int(NO_CHILD_LEFT).int(NO_CHILD_LEFT - count).int(count);
                self.tx.execute(stmt).await?
            }
        };
        Ok(moved)
    }

    /// Moves the sequence of changes past everything that could have been given out since, also by another restored
    /// copy of the same backup: by the microseconds of the clock, which go on faster than changes are made. The gap has every node
    /// forget what it knew.
    async fn leap(&mut self, now: Timestamp) -> Result<i64, StoreError> {
        const COUNTER: &str = "SELECT COALESCE(MAX(seq), 0) AS seq FROM change_counter";
        const MOVE: &str = "UPDATE change_counter SET seq = $1 WHERE id = 1";
        const CHANGE: &str =
            "INSERT INTO changes (seq, at, kind, business_id, target) VALUES ($1, $2, 'secrets', NULL, NULL)";
        let seq = self.tx.fetch_one(Stmt::new(COUNTER)).await?;
        let seq = seq.read("change_counter", "seq", |row| row.int("seq"))?;
        let next = seq.saturating_add(LEAP).max(now.as_micros());
        self.tx.execute(Stmt::new(MOVE).int(next)).await?;
        self.tx.execute(Stmt::new(CHANGE).int(next).time(now)).await?;
        Ok(next)
    }
}

impl Tx {
    /// A copy takes as long as it takes, where requests must not.
    async fn take_time(&mut self) -> Result<(), StoreError> {
        if matches!(self, Self::Postgres(_)) {
            self.execute(Stmt::new("SET LOCAL statement_timeout = 0")).await?;
            self.execute(Stmt::new("SET LOCAL idle_in_transaction_session_timeout = 0")).await?;
        }
        Ok(())
    }

    async fn schema_version(&mut self) -> Result<i64, StoreError> {
        let row = self.fetch_one(Stmt::new("SELECT MAX(version) AS version FROM _sqlx_migrations")).await?;
        row.read("_sqlx_migrations", "version", |row| row.int("version"))
    }

    /// Our tables with their columns, in an order in which each row finds those that it refers to; and the names of all
    /// others. Ours are those that the migrations up to `schema` make: one that is not found, or that may not be read,
    /// would be lost without a word.
    async fn tables(&mut self, schema: i64) -> Result<(Vec<TableShape>, Vec<String>), StoreError> {
        let (columns, references) = match self.engine() {
            Engine::Sqlite => (crate::dialect::SQLITE_COLUMNS, crate::dialect::SQLITE_REFERENCES),
            Engine::Postgres => (crate::dialect::POSTGRES_COLUMNS, crate::dialect::POSTGRES_REFERENCES),
        };
        let ours: BTreeSet<&str> = TableShape::names_at(schema).collect();
        let mut shapes: BTreeMap<String, TableShape> = BTreeMap::new();
        let (mut others, mut closed) = (BTreeSet::new(), BTreeSet::new());
        for row in self.fetch_all(Stmt::new(columns)).await? {
            let table = row.read("the catalogue", "table_name", |row| row.text("table_name"))?;
            if !ours.contains(table.as_str()) {
                others.insert(table);
                continue;
            }
            let (column, kind, readable) = row.read("the catalogue", "table_name", |row| {
                let kind = match row.text("type_name")?.to_ascii_lowercase().as_str() {
                    "text" => ColumnType::Text,
                    "integer" | "bigint" => ColumnType::Int,
                    "blob" | "bytea" => ColumnType::Bytes,
                    _ => return Err(BadColumn { column: "type_name", source: "a type that no backup knows".into() }),
                };
                Ok((row.text("column_name")?, kind, row.flag("readable")?))
            })?;
            if !readable {
                closed.insert(table.clone());
            }
            let shape = shapes.entry(table.clone()).or_insert_with(|| TableShape { name: table, columns: Vec::new() });
            shape.columns.push((column, kind));
        }
        let missing: Vec<&str> = ours.into_iter().filter(|name| !shapes.contains_key(*name)).collect();
        if !missing.is_empty() {
            return Err(SchemaError::Missing(missing.join(", ")).into());
        }
        if !closed.is_empty() {
            return Err(SchemaError::Unreadable(closed.into_iter().collect::<Vec<_>>().join(", ")).into());
        }
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for row in self.fetch_all(Stmt::new(references)).await? {
            let (from, to) =
                row.read("the catalogue", "from_table", |row| Ok((row.text("from_table")?, row.text("to_table")?)))?;
            if from != to && shapes.contains_key(&to) {
                needs.entry(from).or_default().insert(to);
            }
        }
        let mut ordered: Vec<TableShape> = Vec::with_capacity(shapes.len());
        let mut placed = BTreeSet::new();
        while placed.len() < shapes.len() {
            let before = placed.len();
            for (name, shape) in &shapes {
                let ready = needs.get(name).is_none_or(|needed| needed.is_subset(&placed));
                if !placed.contains(name) && ready {
                    placed.insert(name.clone());
                    ordered.push(shape.clone());
                }
            }
            assert!(placed.len() > before, "no two tables of our schema refer to each other");
        }
        Ok((ordered, others.into_iter().collect()))
    }

    /// The columns that PostgreSQL numbers by itself, whose counters do not follow what is brought along.
    async fn numbered_columns(&mut self) -> Result<Vec<(String, String)>, StoreError> {
        if self.engine() == Engine::Sqlite {
            return Ok(Vec::new());
        }
        let rows = self.fetch_all(Stmt::new(crate::dialect::POSTGRES_NUMBERED)).await?;
        let pair = |row: &Row| {
            row.read("the catalogue", "table_name", |row| Ok((row.text("table_name")?, row.text("column_name")?)))
        };
        rows.iter().map(pair).collect()
    }
}
