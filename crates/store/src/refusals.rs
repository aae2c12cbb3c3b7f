//! Refused requests: the exact reason, kept under the reference that the caller was given.

use trousseau_domain::environment::Environment;
use trousseau_domain::ids::{BusinessId, KeyId, RequestId};
use trousseau_domain::requests::Door;
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;

/// A refusal. Nothing of the presented value is kept but its last three characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalRow {
    /// The id of the refused request.
    pub reference: RequestId,
    /// When.
    pub at: Timestamp,
    /// The key's business, or the one named in the request.
    pub business: BusinessId,
    /// The environment, where it is known.
    pub environment: Option<Environment>,
    /// The key, where it is known.
    pub key_id: Option<KeyId>,
    /// Which of its values was presented.
    pub key_version: Option<u32>,
    /// The reason's code.
    pub code: String,
    /// The request's method.
    pub method: String,
    /// The request's path, without its query.
    pub path: String,
    /// The caller's address.
    pub address: Option<String>,
    /// The last characters of the presented value.
    pub last_three: Option<String>,
    /// The request's origin.
    pub origin: Option<String>,
    /// The scope that was missing, where that is the reason.
    pub missing_scope: Option<String>,
    /// The caller's program.
    pub client: Option<String>,
    /// Through which door it came.
    pub door: Door,
}

impl RefusalRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("refusals", "reference", |row| {
            Ok(Self {
                reference: row.parsed("reference")?,
                at: row.time("at")?,
                business: row.parsed("business_id")?,
                environment: row.opt_parsed("environment")?,
                key_id: row.opt_parsed("key_id")?,
                key_version: row.opt_number("key_version")?,
                code: row.text("code")?,
                method: row.text("method")?,
                path: row.text("path")?,
                address: row.opt_text("address")?,
                last_three: row.opt_text("last_three")?,
                origin: row.opt_text("origin")?,
                missing_scope: row.opt_text("missing_scope")?,
                client: row.opt_text("client")?,
                door: row.parsed("door")?,
            })
        })
    }
}

impl Reader<'_> {
    /// The refusal of this reference, within the business.
    pub async fn find_refusal(
        &mut self,
        business: &BusinessId,
        reference: RequestId,
    ) -> Result<Option<RefusalRow>, StoreError> {
        const SQL: &str = "SELECT reference, at, business_id, environment, key_id, code, method, path, address, \
                           last_three, origin, key_version, missing_scope, client, door FROM refusals WHERE business_id = $1 AND reference = $2";
        self.fetch_optional(Stmt::new(SQL).text(business).text(reference))
            .await?
            .as_ref()
            .map(RefusalRow::from_row)
            .transpose()
    }
}

impl Tx {
    /// Keeps refusals. One whose business does not exist is dropped, as is one that is kept already.
    pub async fn insert_refusals(&mut self, refusals: &[RefusalRow]) -> Result<u64, StoreError> {
        const SQL: &str = "INSERT INTO refusals (reference, at, business_id, environment, key_id, code, method, path, \
                           address, last_three, origin, key_version, missing_scope, client, door) SELECT $1, \
                           CAST($2 AS BIGINT), b.id, $4, $5, $6, $7, $8, $9, $10, $11, CAST($12 AS BIGINT), $13, $14, \
                           $15 FROM businesses b WHERE b.id = $3 ON CONFLICT (reference) DO NOTHING";
        let rows = refusals.iter().map(|refusal| {
            Stmt::new(SQL)
                .text(refusal.reference)
                .time(refusal.at)
                .text(&refusal.business)
                .opt_text(refusal.environment)
                .opt_text(refusal.key_id)
                .text(&refusal.code)
                .text(&refusal.method)
                .text(&refusal.path)
                .opt_text(refusal.address.as_ref())
                .opt_text(refusal.last_three.as_ref())
                .opt_text(refusal.origin.as_ref())
                .opt_int(refusal.key_version.map(i64::from))
                .opt_text(refusal.missing_scope.as_ref())
                .opt_text(refusal.client.as_ref())
                .text(refusal.door)
        });
        self.execute_each(rows).await
    }

    /// Forgets refusals before an instant, the oldest first, at most `limit`; returns how many.
    pub async fn prune_refusals(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM refusals WHERE reference IN \
                           (SELECT r.reference FROM refusals r WHERE r.at < $1 ORDER BY r.at LIMIT $2)";
        self.execute(Stmt::new(SQL).time(before).int(i64::from(limit))).await
    }
}
