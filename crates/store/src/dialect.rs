//! What the two engines do differently. Each entry says why it cannot be one text.

use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Pools, Store, Tx};
use crate::stmt::Stmt;

/// The channel on which PostgreSQL's nodes hear of changes.
pub(crate) const CHANNEL: &str = "trousseau_changes";

impl Store {
    /// The number of the latest change, and what time it is for the database.
    ///
    /// Only PostgreSQL has a clock of its own, maybe on another machine; SQLite runs in this process.
    pub async fn current_seq_and_time(&self) -> Result<(i64, Option<Timestamp>), StoreError> {
        const SQL: &str = "SELECT seq, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS now \
                           FROM change_counter WHERE id = 1";
        match self.pools {
            Pools::Sqlite { .. } => Ok((self.read().current_seq().await?, None)),
            Pools::Postgres(_) => {
                let row = self.read().fetch_one(Stmt::new(SQL)).await?;
                row.read("change_counter", "seq", |row| Ok((row.int("seq")?, Some(row.time("now")?))))
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
            Self::Sqlite(_) => Ok(true),
            Self::Postgres(_) => {
                let statement = Stmt::new(SQL).text(format!("{scope}\n{key}"));
                let row = self.fetch_one(statement).await?;
                row.read("pg_locks", "locked", |row| Ok(row.int("locked")? == 1))
            }
        }
    }

    /// Leases the oldest waiting rows of the outbox.
    ///
    /// PostgreSQL's workers must step over each other's rows, not queue for them; SQLite has no row locks.
    pub(crate) const fn claim_outbox_sql(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => {
                "UPDATE outbox SET locked_until = $1, attempt = attempt + 1 WHERE event_id IN (\
                 SELECT event_id FROM outbox WHERE locked_until IS NULL OR locked_until <= $2 \
                 ORDER BY created_at, event_id LIMIT $3) RETURNING event_id, attempt"
            }
            Self::Postgres(_) => {
                "UPDATE outbox SET locked_until = $1, attempt = attempt + 1 WHERE event_id IN (\
                 SELECT event_id FROM outbox WHERE locked_until IS NULL OR locked_until <= $2 \
                 ORDER BY created_at, event_id LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING event_id, attempt"
            }
        }
    }

    /// Leases the mails that are due, for the same reason.
    pub(crate) const fn claim_mails_sql(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => {
                "UPDATE mails SET next_at = $1, attempt = attempt + 1 WHERE id IN (\
                 SELECT id FROM mails WHERE next_at <= $2 ORDER BY next_at, id LIMIT $3) \
                 RETURNING id, account_id, template, sealed, kek_version, created_at, attempt, next_at"
            }
            Self::Postgres(_) => {
                "UPDATE mails SET next_at = $1, attempt = attempt + 1 WHERE id IN (\
                 SELECT id FROM mails WHERE next_at <= $2 ORDER BY next_at, id LIMIT $3 FOR UPDATE SKIP LOCKED) \
                 RETURNING id, account_id, template, sealed, kek_version, created_at, attempt, next_at"
            }
        }
    }

    /// The webhook endpoints that have something due, the one that was not served for longest first; locked, so that
    /// another node serves others meanwhile. New deliveries may still be queued for them.
    pub(crate) const fn claim_queues_sql(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => {
                "SELECT w.id FROM webhook_endpoints w WHERE w.state = 'enabled' \
                 AND (w.paused_until IS NULL OR w.paused_until <= $1) AND w.id IN (SELECT d.endpoint_id \
                 FROM webhook_deliveries d WHERE d.state = 'pending' AND d.next_at <= $1 \
                 AND (d.locked_until IS NULL OR d.locked_until <= $1)) ORDER BY w.served_at, w.id LIMIT $2"
            }
            Self::Postgres(_) => {
                "SELECT w.id FROM webhook_endpoints w WHERE w.state = 'enabled' \
                 AND (w.paused_until IS NULL OR w.paused_until <= $1) AND w.id IN (SELECT d.endpoint_id \
                 FROM webhook_deliveries d WHERE d.state = 'pending' AND d.next_at <= $1 \
                 AND (d.locked_until IS NULL OR d.locked_until <= $1)) ORDER BY w.served_at, w.id LIMIT $2 \
                 FOR NO KEY UPDATE OF w SKIP LOCKED"
            }
        }
    }
}

/// Whether the table of migrations is there: the catalogues have different names.
pub(crate) const SQLITE_HAS_MIGRATIONS: &str =
    "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'";
/// The same question to PostgreSQL, answered along the search path.
pub(crate) const POSTGRES_HAS_MIGRATIONS: &str = "SELECT CAST(COUNT(to_regclass('_sqlx_migrations')) AS BIGINT)";
