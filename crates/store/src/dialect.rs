//! What the two engines do differently. Each entry says why it cannot be one text.

use trousseau_domain::time::Timestamp;

use crate::error::{StoreError, Unavailability};
use crate::exec::{DOOR_DEADLINE, Pools, Reader, Source, Store, Tx};
use crate::schema::Engine;
use crate::stmt::Stmt;

/// The channel on which PostgreSQL's nodes hear of changes.
pub(crate) const CHANNEL: &str = "trousseau_changes";

impl Store {
    /// The number of the latest change, and what time it is for the database.
    ///
    /// Only PostgreSQL has a clock of its own, maybe on another machine; SQLite runs in this process. And only a server
    /// can be a standby, or a primary that was put aside: one that takes no writes may be behind, and proves nothing.
    /// What speaks PostgreSQL's protocol without having its write-ahead log, or does not let our role ask about it,
    /// counts as always on the same line, and is asked again once its connections were given up.
    ///
    /// # Errors
    /// When there is no answer within two seconds, or none that can be believed.
    pub async fn current_seq_and_time(&self) -> Result<(i64, Option<Timestamp>), StoreError> {
        // The name of a file of the write-ahead log begins with its line of history, in hexadecimal digits. A server
        // that takes no writes has none.
        const SQL: &str = "SELECT seq, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS now, \
                           CASE WHEN current_setting('transaction_read_only') = 'on' THEN NULL \
                           ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS line \
                           FROM change_counter WHERE id = 1";
        const WITHOUT_LINE: &str = "SELECT seq, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS now, \
                                    CASE WHEN current_setting('transaction_read_only') = 'on' THEN NULL \
                                    ELSE '0' END AS line FROM change_counter WHERE id = 1";
        match &self.pools {
            Pools::Sqlite { .. } => Ok((self.read().current_seq().await?, None)),
            Pools::Postgres(pool) => {
                let mut reader = Reader { source: Source::Store(self), deadline: DOOR_DEADLINE };
                let asked = if pool.tells_line() { Some(reader.fetch_one(Stmt::new(SQL)).await) } else { None };
                let row = match asked {
                    Some(Err(error)) if error.is_of_function() => {
                        pool.note_no_line();
                        reader.fetch_one(Stmt::new(WITHOUT_LINE)).await?
                    }
                    Some(answer) => answer?,
                    None => reader.fetch_one(Stmt::new(WITHOUT_LINE)).await?,
                };
                let (seq, now, line) = row.read("change_counter", "seq", |row| {
                    Ok((row.int("seq")?, row.time("now")?, row.opt_text("line")?))
                })?;
                let line = line.map(|line| i64::from_str_radix(&line, 16).unwrap_or(0));
                pool.note_server(line.is_none(), line.unwrap_or(0));
                if line.is_none() {
                    return Err(StoreError::Unavailable { reason: Unavailability::ReadOnly, source: None });
                }
                Ok((seq, Some(now)))
            }
        }
    }
}

impl Tx {
    /// Wakes the watchers of other nodes at commit.
    ///
    /// Only PostgreSQL can push; SQLite's watchers poll `PRAGMA data_version`.
    pub(crate) async fn notify(&mut self) -> Result<(), StoreError> {
        if matches!(self, Self::Postgres(_)) {
            self.fetch_all(Stmt::new("SELECT CAST(pg_notify($1, '') AS TEXT)").text(CHANNEL)).await?;
        }
        Ok(())
    }

    /// Reserves an idempotency key until this transaction ends; `false` while another transaction holds it.
    ///
    /// PostgreSQL runs two transactions of the same request side by side, so the second one must hear that the
    /// first one is still running. SQLite has one writer: whoever is here is alone. Two different keys
    /// share a lock with a chance of 2^-64, and then one of them is told to try again.
    pub async fn try_lock_idempotency(&mut self, scope: &str, key: &str) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT CAST(CASE WHEN pg_try_advisory_xact_lock(hashtextextended($1, 0)) \
                           THEN 1 ELSE 0 END AS BIGINT) AS locked";
        match self {
            Self::Sqlite(_) | Self::SqliteReader(_) => Ok(true),
            Self::Postgres(_) => {
                let statement = Stmt::new(SQL).text(format!("{scope}\n{key}"));
                let row = self.fetch_one(statement).await?;
                row.read("pg_locks", "locked", |row| Ok(row.int("locked")? == 1))
            }
        }
    }

    /// Whether nobody else writes until this transaction ends, so that what it read stays so.
    pub const fn writes_alone(&self) -> bool {
        match self.engine() {
            Engine::Sqlite => true,
            Engine::Postgres => false,
        }
    }

    /// Leases the oldest waiting rows of the outbox.
    ///
    /// PostgreSQL's workers must step over each other's rows, not queue for them; SQLite has no row locks.
    pub(crate) const fn claim_outbox_sql(&self) -> &'static str {
        match self.engine() {
            Engine::Sqlite => {
                "UPDATE outbox SET locked_until = $1, attempt = attempt + 1 WHERE event_id IN (\
                 SELECT event_id FROM outbox WHERE locked_until IS NULL OR locked_until <= $2 \
                 ORDER BY created_at, event_id LIMIT $3) RETURNING event_id, attempt"
            }
            Engine::Postgres => {
                "UPDATE outbox SET locked_until = $1, attempt = attempt + 1 WHERE event_id IN (\
                 SELECT event_id FROM outbox WHERE locked_until IS NULL OR locked_until <= $2 \
                 ORDER BY created_at, event_id LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING event_id, attempt"
            }
        }
    }

    /// Leases the mails that are due, for the same reason.
    pub(crate) const fn claim_mails_sql(&self) -> &'static str {
        match self.engine() {
            Engine::Sqlite => {
                "UPDATE mails SET next_at = $1, attempt = attempt + 1 WHERE id IN (\
                 SELECT id FROM mails WHERE next_at <= $2 ORDER BY next_at, id LIMIT $3) \
                 RETURNING id, account_id, template, sealed, kek_version, created_at, attempt, next_at"
            }
            Engine::Postgres => {
                "UPDATE mails SET next_at = $1, attempt = attempt + 1 WHERE id IN (\
                 SELECT id FROM mails WHERE next_at <= $2 ORDER BY next_at, id LIMIT $3 FOR UPDATE SKIP LOCKED) \
                 RETURNING id, account_id, template, sealed, kek_version, created_at, attempt, next_at"
            }
        }
    }

    /// The webhook endpoints that have something due, the one that was not served for longest first; locked, so that
    /// another node serves others meanwhile. New deliveries may still be queued for them.
    ///
    /// The queues that are not empty are found by steps from one to the next, so that none costs more for being long.
    pub(crate) const fn claim_queues_sql(&self) -> &'static str {
        macro_rules! queues {
            ($locked:literal) => {
                concat!(
                    "WITH RECURSIVE queues (endpoint) AS (\
                     SELECT MIN(d.endpoint_id) FROM webhook_deliveries d WHERE d.state = 'pending' UNION ALL \
                     SELECT (SELECT MIN(d.endpoint_id) FROM webhook_deliveries d WHERE d.state = 'pending' \
                     AND d.endpoint_id > q.endpoint) FROM queues q WHERE q.endpoint IS NOT NULL) \
                     SELECT w.id FROM webhook_endpoints w WHERE w.id IN (SELECT q.endpoint FROM queues q) \
                     AND w.state = 'enabled' AND (w.paused_until IS NULL OR w.paused_until <= $1) \
                     AND EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.endpoint_id = w.id \
                     AND d.state = 'pending' AND d.next_at <= $1 \
                     AND (d.locked_until IS NULL OR d.locked_until <= $1)) ORDER BY w.served_at, w.id LIMIT $2",
                    $locked
                )
            };
        }
        match self.engine() {
            Engine::Sqlite => queues!(""),
            Engine::Postgres => queues!(" FOR NO KEY UPDATE OF w SKIP LOCKED"),
        }
    }
}

impl Reader<'_> {
    /// Finds digests of a list that comes as JSON, which each engine takes apart in its own words. PostgreSQL is given
    /// an array, by which it uses the index; a subquery's rows it would guess at and read the table.
    pub(crate) const fn known_digests_sql(&self) -> &'static str {
        match self.engine() {
            Engine::Sqlite => {
                "SELECT v.digest, v.key_id, v.business_id, v.environment FROM key_versions v \
                 WHERE v.digest IN (SELECT unhex(j.value) FROM json_each($1) AS j)"
            }
            Engine::Postgres => {
                "SELECT v.digest, v.key_id, v.business_id, v.environment FROM key_versions v \
                 WHERE v.digest = ANY (ARRAY(SELECT decode(j, 'hex') \
                 FROM jsonb_array_elements_text(CAST($1 AS JSONB)) AS j))"
            }
        }
    }

    /// Finds external references of such a list, for the same reason.
    pub(crate) const fn taken_references_sql(&self) -> &'static str {
        match self.engine() {
            Engine::Sqlite => {
                "SELECT k.external_reference AS reference FROM keys k WHERE k.business_id = $1 \
                 AND k.external_reference IN (SELECT j.value FROM json_each($2) AS j)"
            }
            Engine::Postgres => {
                "SELECT k.external_reference AS reference FROM keys k WHERE k.business_id = $1 \
                 AND k.external_reference = ANY (ARRAY(SELECT j \
                 FROM jsonb_array_elements_text(CAST($2 AS JSONB)) AS j))"
            }
        }
    }
}

/// Whether the table of migrations is there: the catalogues have different names.
pub(crate) const SQLITE_HAS_MIGRATIONS: &str =
    "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'";
/// The same question to PostgreSQL, answered along the search path.
pub(crate) const POSTGRES_HAS_MIGRATIONS: &str = "SELECT CAST(COUNT(to_regclass('_sqlx_migrations')) AS BIGINT)";

/// How long a migration waits for a lock on PostgreSQL, while everybody else waits behind it; as an option of the
/// connection, and for one transaction.
pub(crate) const LOCK_WAIT: &str = "1s";
pub(crate) const LOCK_WAIT_HERE: &str = "SET LOCAL lock_timeout = '1s'";
/// Held while the schema is brought up to date through a pooler: any number that is ours alone.
pub(crate) const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(7236279832)";
/// A row where PostgreSQL takes no writes: it is a standby, or was put aside. Not prepared, so that the answer of another
/// server cannot be taken for it.
pub(crate) const POSTGRES_IS_READ_ONLY: &str = "SELECT 1 WHERE current_setting('transaction_read_only') = 'on'";

/// The columns of all tables, in their order, and whether they may be read; each engine has a catalogue of its own.
pub(crate) const SQLITE_COLUMNS: &str = "SELECT m.name AS table_name, c.name AS column_name, c.type AS type_name, \
     1 AS readable FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' \
     AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' AND m.name <> '_sqlx_migrations' ORDER BY m.name, c.cid";
/// The same of PostgreSQL. Its `information_schema` would hide what the role may not read.
pub(crate) const POSTGRES_COLUMNS: &str = "SELECT CAST(c.relname AS TEXT) AS table_name, \
     CAST(a.attname AS TEXT) AS column_name, format_type(a.atttypid, NULL) AS type_name, \
     CAST(CASE WHEN has_column_privilege(c.oid, a.attnum, 'SELECT') THEN 1 ELSE 0 END AS BIGINT) AS readable \
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped \
     AND c.relname <> '_sqlx_migrations' ORDER BY c.relname, a.attnum";
/// Which table refers to which.
pub(crate) const SQLITE_REFERENCES: &str = "SELECT DISTINCT m.name AS from_table, f.\"table\" AS to_table \
     FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'";
/// The same of PostgreSQL.
pub(crate) const POSTGRES_REFERENCES: &str = "SELECT DISTINCT CAST(a.relname AS TEXT) AS from_table, \
     CAST(b.relname AS TEXT) AS to_table FROM pg_constraint c JOIN pg_class a ON a.oid = c.conrelid \
     JOIN pg_class b ON b.oid = c.confrelid JOIN pg_namespace n ON n.oid = c.connamespace \
     WHERE c.contype = 'f' AND n.nspname = current_schema()";
/// The columns that PostgreSQL numbers by itself.
pub(crate) const POSTGRES_NUMBERED: &str = "SELECT CAST(c.relname AS TEXT) AS table_name, \
     CAST(a.attname AS TEXT) AS column_name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() \
     AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity <> ''";
