//! Who uses which value of a key, from where; and what was announced about keys.

use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::KeyId;
use trousseau_domain::requests::Network;
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::keys::{KeyRow, select_key};
use crate::row::Row;
use crate::stmt::Stmt;

/// The most sightings that are kept of one key; those not seen for longest go first.
pub const MOST_SIGHTINGS: u32 = 100;
/// The most networks that are remembered of one key. Beyond them none is new any more.
pub const MOST_NETWORKS: u32 = 256;

/// One value of a key, used by one caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SightingRow {
    /// Whose.
    pub tenant: Tenant,
    /// The key.
    pub key_id: KeyId,
    /// Which of its values.
    pub version: u32,
    /// The caller's address; none for a checkout key, which everybody uses.
    pub address: Option<String>,
    /// The caller's program.
    pub client: Option<String>,
    /// The page that a checkout key was used on.
    pub origin: Option<String>,
    /// How often.
    pub requests: u64,
    /// The first time.
    pub first_seen_at: Timestamp,
    /// The last time.
    pub last_seen_at: Timestamp,
}

/// A text in a column that is part of a primary key.
fn or_empty(text: Option<&String>) -> &str {
    text.map_or("", String::as_str)
}

impl SightingRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("key_sightings", "key_id", |row| {
            let known = |text: String| (!text.is_empty()).then_some(text);
            Ok(Self {
                tenant: Tenant::new(row.parsed("business_id")?, row.parsed("environment")?),
                key_id: row.parsed("key_id")?,
                version: row.number("version")?,
                address: known(row.text("address")?),
                client: known(row.text("client")?),
                origin: known(row.text("origin")?),
                requests: row.number("requests")?,
                first_seen_at: row.time("first_seen_at")?,
                last_seen_at: row.time("last_seen_at")?,
            })
        })
    }

    /// What makes it the same sighting.
    fn identity(&self) -> (KeyId, u32, &str, &str, &str) {
        (
            self.key_id,
            self.version,
            or_empty(self.address.as_ref()),
            or_empty(self.client.as_ref()),
            or_empty(self.origin.as_ref()),
        )
    }
}

impl Reader<'_> {
    /// Who used a key of the tenant, the latest first.
    pub async fn list_sightings(&mut self, tenant: &Tenant, key: KeyId) -> Result<Vec<SightingRow>, StoreError> {
        const SQL: &str = "SELECT key_id, version, address, client, origin, business_id, environment, requests, \
                           first_seen_at, last_seen_at FROM key_sightings WHERE business_id = $1 \
                           AND environment = $2 AND key_id = $3 \
                           ORDER BY last_seen_at DESC, version DESC, address, client, origin";
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(key);
        self.fetch_all(stmt).await?.iter().map(SightingRow::from_row).collect()
    }

    /// Keys of every tenant that end after `now` and not after `until` and are otherwise in force, those that end
    /// first, those after `after` in this order; at most `limit`.
    pub async fn list_ending_keys(
        &mut self,
        now: Timestamp,
        until: Timestamp,
        after: Option<(Timestamp, KeyId)>,
        limit: u32,
    ) -> Result<Vec<KeyRow>, StoreError> {
        const SQL: &str = select_key!(
            "k.valid_until > $1 AND k.valid_until <= $2 AND k.valid_from <= $1 AND k.revoked_at IS NULL \
             AND k.state = 'active' AND (CAST($3 AS BIGINT) IS NULL OR k.valid_until > $3 \
             OR (k.valid_until = $3 AND k.id > $4)) ORDER BY k.valid_until, k.id LIMIT $5"
        );
        let stmt = Stmt::new(SQL)
            .time(now)
            .time(until)
            .opt_time(after.map(|(end, _)| end))
            .opt_text(after.map(|(_, key)| key))
            .int(i64::from(limit));
        self.fetch_all(stmt).await?.iter().map(KeyRow::from_row).collect()
    }
}

impl Tx {
    /// Adds sightings to those that are known, and forgets the ones beyond [`MOST_SIGHTINGS`] of each key.
    pub async fn add_sightings(&mut self, sightings: &[SightingRow]) -> Result<(), StoreError> {
        const ADD: &str = "INSERT INTO key_sightings (key_id, version, address, client, origin, business_id, \
                           environment, requests, first_seen_at, last_seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7, \
                           $8, $9, $10) ON CONFLICT (key_id, version, address, client, origin) DO UPDATE SET \
                           requests = key_sightings.requests + excluded.requests, \
                           first_seen_at = CASE WHEN excluded.first_seen_at < key_sightings.first_seen_at \
                           THEN excluded.first_seen_at ELSE key_sightings.first_seen_at END, \
                           last_seen_at = CASE WHEN excluded.last_seen_at > key_sightings.last_seen_at \
                           THEN excluded.last_seen_at ELSE key_sightings.last_seen_at END";
        // The first row beyond the bound, and every one behind it.
        const TRIM: &str = "DELETE FROM key_sightings WHERE key_id = $1 AND (version, address, client, origin) IN \
                            (SELECT s.version, s.address, s.client, s.origin FROM key_sightings s \
                            WHERE s.key_id = $1 ORDER BY s.last_seen_at DESC, s.version DESC, s.address, s.client, \
                            s.origin LIMIT 1000000 OFFSET $2)";
        // In one order, so that two nodes cannot wait for each other.
        let mut sightings: Vec<_> = sightings.iter().collect();
        sightings.sort_by(|one, other| one.identity().cmp(&other.identity()));
        let rows = sightings.iter().map(|row| {
            Stmt::new(ADD)
                .text(row.key_id)
                .int(i64::from(row.version))
                .text(or_empty(row.address.as_ref()))
                .text(or_empty(row.client.as_ref()))
                .text(or_empty(row.origin.as_ref()))
                .text(&row.tenant.business)
                .text(row.tenant.environment)
                .int(i64::try_from(row.requests).unwrap_or(i64::MAX))
                .time(row.first_seen_at)
                .time(row.last_seen_at)
        });
        self.execute_each(rows).await?;
        sightings.dedup_by_key(|row| row.key_id);
        let trims = sightings.iter().map(|row| Stmt::new(TRIM).text(row.key_id).int(i64::from(MOST_SIGHTINGS)));
        self.execute_each(trims).await?;
        Ok(())
    }

    /// Remembers a network of a key; tells whether it is a new one beside others. The first network of a key is
    /// new to nobody, and beyond [`MOST_NETWORKS`] none is remembered.
    pub async fn note_network(&mut self, key: KeyId, network: Network, now: Timestamp) -> Result<bool, StoreError> {
        const COUNT: &str = "SELECT COUNT(*) AS total FROM key_networks WHERE key_id = $1";
        const NOTE: &str = "INSERT INTO key_networks (key_id, network, first_seen_at) VALUES ($1, $2, $3) \
                            ON CONFLICT (key_id, network) DO NOTHING";
        let row = self.fetch_one(Stmt::new(COUNT).text(key)).await?;
        let known: u32 = row.read("key_networks", "total", |row| row.number("total"))?;
        if known >= MOST_NETWORKS {
            return Ok(false);
        }
        let noted = self.change_one(Stmt::new(NOTE).text(key).text(network).time(now)).await?;
        Ok(noted && known > 0)
    }

    /// Takes it on to announce that a key ends at `valid_until`, `days` ahead; `false` where that was done already.
    pub async fn claim_end_notice(
        &mut self,
        key: KeyId,
        valid_until: Timestamp,
        days: u32,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO key_end_notices (key_id, valid_until, days, at) VALUES ($1, $2, $3, $4) \
                           ON CONFLICT (key_id, valid_until, days) DO NOTHING";
        self.change_one(Stmt::new(SQL).text(key).time(valid_until).int(i64::from(days)).time(now)).await
    }
}
