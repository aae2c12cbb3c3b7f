//! Answers kept for repeated requests (the `Idempotency-Key` header).

use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;

/// A kept answer. It never holds a key's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRow {
    /// Whose request: tenant or caller, and operation.
    pub scope: String,
    /// The caller's key.
    pub key: String,
    /// The digest of the request.
    pub fingerprint: String,
    /// The answer's HTTP status.
    pub status: u16,
    /// The answer's body, without values.
    pub body: String,
    /// What must be filled in again when the answer is repeated.
    pub refill: Option<serde_json::Value>,
    /// When it was kept.
    pub created_at: Timestamp,
    /// From when on it is forgotten.
    pub expires_at: Timestamp,
}

impl IdempotencyRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("idempotency_records", "key", |row| {
            Ok(Self {
                scope: row.text("scope")?,
                key: row.text("key")?,
                fingerprint: row.text("fingerprint")?,
                status: row.number("status")?,
                body: row.text("body")?,
                refill: row.opt_json("refill")?,
                created_at: row.time("created_at")?,
                expires_at: row.time("expires_at")?,
            })
        })
    }
}

impl Reader<'_> {
    /// The answer kept under this key, unless it has expired.
    pub async fn find_idempotency(
        &mut self,
        scope: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<IdempotencyRow>, StoreError> {
        const SQL: &str = "SELECT scope, key, fingerprint, status, body, refill, created_at, expires_at \
                           FROM idempotency_records WHERE scope = $1 AND key = $2 AND expires_at > $3";
        self.fetch_optional(Stmt::new(SQL).text(scope).text(key).time(now))
            .await?
            .as_ref()
            .map(IdempotencyRow::from_row)
            .transpose()
    }
}

impl Tx {
    /// Keeps an answer for which [`Reader::find_idempotency`] found none in this transaction; `false` where somebody has
    /// kept one since that has not expired by `record.created_at`, which on SQLite nobody can.
    pub async fn keep_idempotency(&mut self, record: &IdempotencyRow) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO idempotency_records (scope, key, fingerprint, status, body, refill, \
                           created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                           ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, \
                           status = excluded.status, body = excluded.body, refill = excluded.refill, \
                           created_at = excluded.created_at, expires_at = excluded.expires_at \
                           WHERE idempotency_records.expires_at <= excluded.created_at";
        let stmt = Stmt::new(SQL)
            .text(&record.scope)
            .text(&record.key)
            .text(&record.fingerprint)
            .int(i64::from(record.status))
            .text(&record.body)
            .opt_json(record.refill.as_ref())
            .time(record.created_at)
            .time(record.expires_at);
        if self.writes_alone() {
            self.execute_later(stmt).await?;
            return Ok(true);
        }
        self.change_one(stmt).await
    }

    /// Forgets expired answers, at most `limit`; returns how many.
    pub async fn prune_idempotency(&mut self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM idempotency_records WHERE (scope, key) IN (SELECT r.scope, r.key \
                           FROM idempotency_records r WHERE r.expires_at <= $1 ORDER BY r.expires_at LIMIT $2)";
        self.execute(Stmt::new(SQL).time(now).int(i64::from(limit))).await
    }
}
