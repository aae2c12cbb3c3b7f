//! Where the money of a business goes, network by network.

use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Tenant;
use trousseau_domain::evm::EvmAddress;
use trousseau_domain::networks::ChainId;
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;

/// The address that everything received on a network goes to in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutAddressRow {
    /// Whose.
    pub tenant: Tenant,
    /// On which network.
    pub network: ChainId,
    /// Where.
    pub address: EvmAddress,
    /// When it was last set.
    pub set_at: Timestamp,
    /// By whom.
    pub set_by: Actor,
}

impl PayoutAddressRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("payout_addresses", "network", |row| {
            Ok(Self {
                tenant: row.tenant()?,
                network: row.parsed("network")?,
                address: row.parsed("address")?,
                set_at: row.time("set_at")?,
                set_by: row.json("set_by")?,
            })
        })
    }
}

impl Reader<'_> {
    /// Where the tenant's money of a network goes.
    pub async fn find_payout_address(
        &mut self,
        tenant: &Tenant,
        network: &ChainId,
    ) -> Result<Option<PayoutAddressRow>, StoreError> {
        const SQL: &str = "SELECT business_id, environment, network, address, set_at, set_by FROM payout_addresses \
                           WHERE business_id = $1 AND environment = $2 AND network = $3";
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(network);
        self.fetch_optional(stmt).await?.as_ref().map(PayoutAddressRow::from_row).transpose()
    }

    /// Where all of the tenant's money goes, by network.
    pub async fn list_payout_addresses(&mut self, tenant: &Tenant) -> Result<Vec<PayoutAddressRow>, StoreError> {
        const SQL: &str = "SELECT business_id, environment, network, address, set_at, set_by FROM payout_addresses \
                           WHERE business_id = $1 AND environment = $2 ORDER BY network";
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment);
        self.fetch_all(stmt).await?.iter().map(PayoutAddressRow::from_row).collect()
    }
}

impl Tx {
    /// Says where the tenant's money of a network goes from now on. Addresses that were given out keep what they pay.
    pub async fn set_payout_address(&mut self, row: &PayoutAddressRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO payout_addresses (business_id, environment, network, address, set_at, set_by) \
                           VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (business_id, environment, network) \
                           DO UPDATE SET address = excluded.address, set_at = excluded.set_at, \
                           set_by = excluded.set_by";
        let stmt = Stmt::new(SQL)
            .text(&row.tenant.business)
            .text(row.tenant.environment)
            .text(&row.network)
            .text(row.address)
            .time(row.set_at)
            .json(&row.set_by);
        self.execute(stmt).await?;
        Ok(())
    }
}
