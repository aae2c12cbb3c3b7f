//! Where the money of a business goes, network by network: to one address, or to new ones of a wallet.

use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Tenant;
use trousseau_domain::evm::{ChildIndex, EvmAddress, ExtendedKeyId, ExtendedPublicKey, PayoutKeyState};
use trousseau_domain::networks::ChainId;
use trousseau_domain::time::Timestamp;

use crate::error::{BadColumn, StoreError};
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

/// The account of a wallet that gives every payment on a network an address of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutKeyRow {
    /// Whose.
    pub tenant: Tenant,
    /// On which network.
    pub network: ChainId,
    /// Whether it has an effect.
    pub state: PayoutKeyState,
    /// The account.
    pub key: ExtendedPublicKey,
    /// When it was proposed, or confirmed.
    pub set_at: Timestamp,
    /// By whom.
    pub set_by: Actor,
}

impl PayoutKeyRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("payout_keys", "network", |row| {
            Ok(Self {
                tenant: row.tenant()?,
                network: row.parsed("network")?,
                state: row.parsed("state")?,
                key: row.parsed("extended_key")?,
                set_at: row.time("set_at")?,
                set_by: row.json("set_by")?,
            })
        })
    }
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

    /// The extended key of the tenant and network that is in this state.
    pub async fn find_payout_key(
        &mut self,
        tenant: &Tenant,
        network: &ChainId,
        state: PayoutKeyState,
    ) -> Result<Option<PayoutKeyRow>, StoreError> {
        const SQL: &str = "SELECT business_id, environment, network, state, extended_key, set_at, set_by \
                           FROM payout_keys WHERE business_id = $1 AND environment = $2 AND network = $3 AND state = $4";
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(network).text(state);
        self.fetch_optional(stmt).await?.as_ref().map(PayoutKeyRow::from_row).transpose()
    }

    /// The tenant's extended keys, by network.
    pub async fn list_payout_keys(&mut self, tenant: &Tenant) -> Result<Vec<PayoutKeyRow>, StoreError> {
        const SQL: &str = "SELECT business_id, environment, network, state, extended_key, set_at, set_by \
                           FROM payout_keys WHERE business_id = $1 AND environment = $2 ORDER BY network, state";
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment);
        self.fetch_all(stmt).await?.iter().map(PayoutKeyRow::from_row).collect()
    }
}

impl Tx {
    /// Keeps an extended key in its state, in place of another one in the same state.
    pub async fn set_payout_key(&mut self, row: &PayoutKeyRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO payout_keys (business_id, environment, network, state, extended_key, set_at, \
                           set_by) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                           ON CONFLICT (business_id, environment, network, state) DO UPDATE SET \
                           extended_key = excluded.extended_key, set_at = excluded.set_at, set_by = excluded.set_by";
        let stmt = Stmt::new(SQL)
            .text(&row.tenant.business)
            .text(row.tenant.environment)
            .text(&row.network)
            .text(row.state)
            .text(&row.key)
            .time(row.set_at)
            .json(&row.set_by);
        self.execute(stmt).await?;
        Ok(())
    }

    /// Forgets the extended keys of a network, the proposed one too. What was given out of them stays.
    pub async fn delete_payout_keys(&mut self, tenant: &Tenant, network: &ChainId) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM payout_keys WHERE business_id = $1 AND environment = $2 AND network = $3";
        self.execute(Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(network)).await?;
        Ok(())
    }

    /// Forgets the payout address of a network. Forwarders that were given out go on paying it.
    pub async fn delete_payout_address(&mut self, tenant: &Tenant, network: &ChainId) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM payout_addresses WHERE business_id = $1 AND environment = $2 AND network = $3";
        self.execute(Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(network)).await?;
        Ok(())
    }

    /// Takes the next child of an extended key, for good once this transaction commits; none where all were taken.
    pub async fn take_child(&mut self, key: ExtendedKeyId) -> Result<Option<ChildIndex>, StoreError> {
        const SQL: &str = "INSERT INTO extended_keys (id, next_index) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE \
                           SET next_index = extended_keys.next_index + 1 \
                           WHERE extended_keys.next_index < 2147483648 RETURNING next_index - 1 AS taken";
        let stmt = Stmt::new(SQL).bytes(*key.as_bytes()).int(i64::from(ChildIndex::FIRST.number()) + 1);
        let Some(row) = self.fetch_optional(stmt).await? else { return Ok(None) };
        row.read("extended_keys", "taken", |row| {
            let index = row.int("taken")?.try_into();
            Ok(Some(index.map_err(|source| BadColumn { column: "taken", source: Box::new(source) })?))
        })
    }

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
