//! Usage: how many calls by day, key and outcome.

use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::KeyId;
use trousseau_domain::requests::{Outcome, UtcDay};
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;

/// The calls of one day, key and outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// Whose.
    pub tenant: Tenant,
    /// On which day.
    pub day: UtcDay,
    /// With which key; none where it is unknown.
    pub key_id: Option<KeyId>,
    /// How they ended.
    pub outcome: Outcome,
    /// How many.
    pub requests: u64,
}

/// Where calls stand among others, by their primary key.
fn place<'a>((row, key): &'a (&UsageRow, String)) -> (&'a Tenant, UtcDay, &'a str, Outcome) {
    (&row.tenant, row.day, key, row.outcome)
}

/// A key in a column that is part of a primary key.
fn key_text(key: Option<KeyId>) -> String {
    key.map(|key| key.to_string()).unwrap_or_default()
}

impl UsageRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("usage_days", "day", |row| {
            Ok(Self {
                tenant: Tenant::new(row.parsed("business_id")?, row.parsed("environment")?),
                day: row.day("day")?,
                key_id: if row.text("key_id")?.is_empty() { None } else { Some(row.parsed("key_id")?) },
                outcome: row.parsed("outcome")?,
                requests: row.number("requests")?,
            })
        })
    }
}

impl Reader<'_> {
    /// The tenant's usage from the day `from` on, by day, key and outcome, the oldest day first.
    pub async fn list_usage(&mut self, tenant: &Tenant, from: UtcDay) -> Result<Vec<UsageRow>, StoreError> {
        const SQL: &str = "SELECT business_id, environment, day, key_id, outcome, requests FROM usage_days \
                           WHERE business_id = $1 AND environment = $2 AND day >= $3 ORDER BY day, key_id, outcome";
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).int(from.number());
        self.fetch_all(stmt).await?.iter().map(UsageRow::from_row).collect()
    }

    /// The usage of one key of the tenant from the day `from` on, the oldest day first.
    pub async fn list_usage_of_key(
        &mut self,
        tenant: &Tenant,
        key: KeyId,
        from: UtcDay,
    ) -> Result<Vec<UsageRow>, StoreError> {
        const SQL: &str = "SELECT business_id, environment, day, key_id, outcome, requests FROM usage_days \
                           WHERE business_id = $1 AND environment = $2 AND key_id = $3 AND day >= $4 \
                           ORDER BY day, outcome";
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(key).int(from.number());
        self.fetch_all(stmt).await?.iter().map(UsageRow::from_row).collect()
    }

    /// The latest instant at which any key of the tenant was accepted.
    pub async fn last_use(&mut self, tenant: &Tenant) -> Result<Option<Timestamp>, StoreError> {
        const SQL: &str = "SELECT u.last_used_at AS at FROM keys k JOIN key_uses u ON u.key_id = k.id \
                           WHERE k.business_id = $1 AND k.environment = $2 ORDER BY u.last_used_at DESC LIMIT 1";
        let row = self.fetch_optional(Stmt::new(SQL).text(&tenant.business).text(tenant.environment)).await?;
        row.map(|row| row.read("key_uses", "at", |row| row.time("at"))).transpose()
    }
}

impl Tx {
    /// Adds calls to what is counted already. Those of a business that does not exist are dropped.
    pub async fn add_usage(&mut self, usage: &[UsageRow]) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO usage_days (business_id, environment, day, key_id, outcome, requests) \
                           SELECT b.id, $2, CAST($3 AS BIGINT), $4, $5, CAST($6 AS BIGINT) FROM businesses b \
                           WHERE b.id = $1 ON CONFLICT (business_id, environment, day, key_id, outcome) \
                           DO UPDATE SET requests = usage_days.requests + excluded.requests";
        // In one order, so that two nodes cannot wait for each other.
        let mut usage: Vec<_> = usage.iter().map(|row| (row, key_text(row.key_id))).collect();
        usage.sort_unstable_by(|one, other| place(one).cmp(&place(other)));
        let rows = usage.into_iter().map(|(row, key)| {
            Stmt::new(SQL)
                .text(&row.tenant.business)
                .text(row.tenant.environment)
                .int(row.day.number())
                .text(key)
                .text(row.outcome)
                .int(i64::try_from(row.requests).unwrap_or(i64::MAX))
        });
        self.execute_each(rows).await?;
        Ok(())
    }

    /// Forgets the usage of days before `day`, the oldest first, at most `limit` rows; returns how many.
    pub async fn prune_usage(&mut self, before: UtcDay, limit: u32) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM usage_days WHERE (business_id, environment, day, key_id, outcome) IN \
                           (SELECT u.business_id, u.environment, u.day, u.key_id, u.outcome FROM usage_days u \
                           WHERE u.day < $1 ORDER BY u.day LIMIT $2)";
        self.execute(Stmt::new(SQL).int(before.number()).int(i64::from(limit))).await
    }
}
