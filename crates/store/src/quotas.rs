//! What was used of quotas, summed over all nodes.

use std::fmt;

use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::KeyId;
use trousseau_domain::limits::Period;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::stmt::Stmt;

/// Whose calls are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QuotaHolder {
    /// Those of one key.
    Key(KeyId),
    /// Those of all keys of a business in one environment.
    Tenant(Tenant),
}

impl fmt::Display for QuotaHolder {
    /// `key_...`, or `business/environment`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => id.fmt(formatter),
            Self::Tenant(tenant) => write!(formatter, "{}/{}", tenant.business, tenant.environment),
        }
    }
}

/// Calls of one holder in one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaCount {
    /// Whose.
    pub holder: QuotaHolder,
    /// Over a day or a month.
    pub period: Period,
    /// Which one: see [`Period::number_at`].
    pub number: i64,
    /// How many.
    pub used: u64,
}

impl Reader<'_> {
    /// How many calls of a holder were counted in a period.
    pub async fn quota_used(&mut self, holder: &QuotaHolder, period: Period, number: i64) -> Result<u64, StoreError> {
        const SQL: &str = "SELECT used FROM quota_counts WHERE holder = $1 AND period = $2 AND number = $3";
        match self.fetch_optional(Stmt::new(SQL).text(holder).text(period.as_str()).int(number)).await? {
            Some(row) => row.read("quota_counts", "used", |row| row.number("used")),
            None => Ok(0),
        }
    }
}

impl Tx {
    /// Adds calls to what was counted; gives the sum.
    pub async fn add_quota_used(&mut self, more: &QuotaCount) -> Result<u64, StoreError> {
        const SQL: &str = "INSERT INTO quota_counts (holder, period, number, used) VALUES ($1, $2, $3, $4) \
                           ON CONFLICT (holder, period, number) DO UPDATE \
                           SET used = quota_counts.used + excluded.used RETURNING used";
        let stmt = Stmt::new(SQL)
            .text(&more.holder)
            .text(more.period.as_str())
            .int(more.number)
            .int(i64::try_from(more.used).unwrap_or(i64::MAX));
        self.fetch_one(stmt).await?.read("quota_counts", "used", |row| row.number("used"))
    }

    /// Forgets counts of periods before one, at most `limit`; returns how many.
    pub async fn prune_quota_counts(&mut self, period: Period, before: i64, limit: u32) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM quota_counts WHERE period = $1 AND number < $2 AND (holder, number) IN \
                           (SELECT q.holder, q.number FROM quota_counts q WHERE q.period = $1 AND q.number < $2 \
                           ORDER BY q.number LIMIT $3)";
        self.execute(Stmt::new(SQL).text(period.as_str()).int(before).int(i64::from(limit))).await
    }
}
