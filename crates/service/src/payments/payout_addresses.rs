//! Where the money of a business goes, network by network. Only people say so: a key that leaks must not move it.

use serde_json::json;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::events::EventType;
use trousseau_domain::members::Operation;
use trousseau_store::{ChangeKind, PayoutAddressRow};

use super::places::{wallet_of, watched_network};
use crate::app::{Core, Happened, Unit};
use crate::context::{Authority, Context};
use crate::error::ServiceError;

/// Use cases of payout addresses.
#[derive(Debug, Clone, Copy)]
pub struct PayoutAddresses<'a> {
    core: &'a Core,
}

impl<'a> PayoutAddresses<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// Where the tenant's money goes, by network.
    pub async fn list(self, tenant: &Tenant) -> Result<Vec<PayoutAddressRow>, ServiceError> {
        Ok(self.core.store.read().list_payout_addresses(tenant).await?)
    }

    /// Says where the tenant's money of a network goes from now on. Deposit addresses that were given out before go on
    /// paying the address that they were made for.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a network that is not watched, for an address that is none, and for one that no
    /// wallet has; [`ServiceError::Forbidden`] for a key, whatever its scopes.
    pub async fn set(
        self,
        context: &Context,
        tenant: &Tenant,
        network: &str,
        address: &str,
    ) -> Result<PayoutAddressRow, ServiceError> {
        if tenant.environment == Environment::Test {
            return Err(ServiceError::invalid("environment", "must be live: money of TEST goes nowhere"));
        }
        if matches!(context.authority, Authority::Key { .. }) {
            return Err(ServiceError::Forbidden);
        }
        let network = watched_network(self.core, network)?;
        let address = wallet_of(self.core, &network, "address", address)?;
        let mut unit = Unit::begin(self.core, context).await?;
        unit.lock_business(&tenant.business).await?;
        unit.check_caller().await?;
        unit.check_member(&tenant.business, Operation::BusinessWrite, true).await?;
        let before = unit.tx.read().find_payout_address(tenant, &network).await?;
        if let Some(before) = before.as_ref().filter(|before| before.address == address) {
            return Ok(before.clone());
        }
        let row = PayoutAddressRow {
            tenant: tenant.clone(),
            network,
            address,
            set_at: unit.now,
            set_by: unit.actor().clone(),
        };
        unit.tx.set_payout_address(&row).await?;
        unit.record(Happened {
            event: EventType::PayoutAddressSet,
            business: &tenant.business,
            environment: Some(tenant.environment),
            key: None,
            data: json!({
                "network": row.network,
                "address": row.address,
                "previous": before.map(|before| before.address),
            }),
        })
        .await?;
        unit.commit(ChangeKind::Business, Some(&tenant.business), None).await?;
        Ok(row)
    }
}
