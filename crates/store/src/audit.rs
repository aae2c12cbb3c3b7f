//! The audit trail: one entry for each change of state, in its transaction. Entries are never changed.

use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::{AuditId, BusinessId, RequestId};
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;

/// An entry of the audit trail. It holds ids and settings, never a secret or a personal datum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its id.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What, such as `key.revoked`.
    pub action: String,
    /// Of which business.
    pub business: Option<BusinessId>,
    /// In which environment.
    pub environment: Option<Environment>,
    /// The id of what was changed.
    pub target: Option<String>,
    /// What the action needs to be understood.
    pub details: serde_json::Value,
    /// The request that asked for it.
    pub request_id: Option<RequestId>,
}

impl AuditRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("audit_entries", "id", |row| {
            Ok(Self {
                id: row.parsed("id")?,
                at: row.time("at")?,
                actor: row.json("actor")?,
                action: row.text("action")?,
                business: row.opt_parsed("business_id")?,
                environment: row.opt_parsed("environment")?,
                target: row.opt_text("target")?,
                details: row.json("details")?,
                request_id: row.opt_parsed("request_id")?,
            })
        })
    }
}

impl Tx {
    /// Adds an entry.
    pub async fn append_audit(&mut self, entry: &AuditRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO audit_entries (id, at, actor, action, business_id, environment, target, \
                           details, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        self.execute_later(
            Stmt::new(SQL)
                .text(entry.id)
                .time(entry.at)
                .json(&entry.actor)
                .text(&entry.action)
                .opt_text(entry.business.as_ref())
                .opt_text(entry.environment)
                .opt_text(entry.target.as_ref())
                .json(&entry.details)
                .opt_text(entry.request_id),
        )
        .await
    }
}

impl Reader<'_> {
    /// The entries of a business in the order they were made, from the first one; at most `limit`.
    pub async fn list_audit(&mut self, business: &BusinessId, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        const SQL: &str = "SELECT id, at, actor, action, business_id, environment, target, details, request_id \
                           FROM audit_entries WHERE business_id = $1 ORDER BY seq LIMIT $2";
        let rows = self.fetch_all(Stmt::new(SQL).text(business).int(i64::from(limit))).await?;
        rows.iter().map(AuditRow::from_row).collect()
    }
}
