//! Where the money of a business goes, network by network: to one address, or to new ones of a wallet. Only people say
//! so: a key that leaks must not move it.

use serde_json::json;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::events::EventType;
use trousseau_domain::evm::{EvmAddress, ExtendedPublicKey, PayoutKeyState};
use trousseau_domain::members::Operation;
use trousseau_domain::networks::ChainId;
use trousseau_store::{BusinessRow, ChangeKind, PayoutAddressRow, PayoutKeyRow};

use super::places::{is_on_test_ledger, wallet_of, watched_network};
use crate::app::{Core, Happened, Unit};
use crate::context::{Authority, Context};
use crate::error::ServiceError;
use crate::mail::{self, Letter};

/// Use cases of payout addresses.
#[derive(Debug, Clone, Copy)]
pub struct PayoutAddresses<'a> {
    core: &'a Core,
}

impl<'a> PayoutAddresses<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// Where the tenant's money goes, by network, where it goes to one address.
    pub async fn list(self, tenant: &Tenant) -> Result<Vec<PayoutAddressRow>, ServiceError> {
        Ok(self.core.store.read().list_payout_addresses(tenant).await?)
    }

    /// The extended public keys of the tenant, by network: those whose addresses payments get, and those that wait for
    /// somebody to confirm them.
    pub async fn keys(self, tenant: &Tenant) -> Result<Vec<PayoutKeyRow>, ServiceError> {
        Ok(self.core.store.read().list_payout_keys(tenant).await?)
    }

    /// Says to which address the tenant's money of a network goes from now on. Deposit addresses that were given out
    /// before go on as they were.
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
        let network = self.place(context, tenant, network)?;
        let address = wallet_of(self.core, &network, "address", address)?;
        let (mut unit, business) = self.begin(context, tenant).await?;
        let before = unit.tx.read().find_payout_address(tenant, &network).await?;
        // What was proposed meanwhile gives way, too.
        let keys = unit.tx.read().list_payout_keys(tenant).await?;
        if let Some(before) = before.as_ref().filter(|before| before.address == address)
            && keys.iter().all(|key| key.network != network)
        {
            unit.settle().await?;
            return Ok(before.clone());
        }
        let previous = previous(&mut unit, tenant, &network).await?;
        let (set_at, set_by) = (unit.now, unit.actor().clone());
        let row = PayoutAddressRow { tenant: tenant.clone(), network, address, set_at, set_by };
        unit.tx.delete_payout_keys(tenant, &row.network).await?;
        unit.tx.set_payout_address(&row).await?;
        let (network, address) = (&row.network, row.address.to_string());
        let data = json!({ "network": network, "address": address, "previous": previous });
        self.tell(&mut unit, EventType::PayoutAddressSet, tenant, data).await?;
        if previous.as_ref() != Some(&address) {
            self.mail(&mut unit, &business, tenant, network, &address, previous.as_deref()).await?;
        }
        unit.commit(ChangeKind::Business, Some(&tenant.business), None).await?;
        Ok(row)
    }

    /// Proposes an extended public key, whose addresses payments on a network are to get. It has no effect before
    /// [`Self::confirm_key`].
    ///
    /// # Errors
    /// As [`Self::set`].
    pub async fn propose_key(
        self,
        context: &Context,
        tenant: &Tenant,
        network: &str,
        key: &ExtendedPublicKey,
    ) -> Result<PayoutKeyRow, ServiceError> {
        let network = self.place(context, tenant, network)?;
        let (mut unit, _) = self.begin(context, tenant).await?;
        for state in [PayoutKeyState::InForce, PayoutKeyState::Proposed] {
            let known = unit.tx.read().find_payout_key(tenant, &network, state).await?;
            if let Some(known) = known.filter(|known| known.key == *key) {
                unit.settle().await?;
                return Ok(known);
            }
        }
        let row = PayoutKeyRow {
            tenant: tenant.clone(),
            network,
            state: PayoutKeyState::Proposed,
            key: key.clone(),
            set_at: unit.now,
            set_by: unit.actor().clone(),
        };
        unit.tx.set_payout_key(&row).await?;
        let data = json!({
            "network": row.network,
            "extended_key": row.key.masked(),
            "first_addresses": addresses_of(&row.key),
        });
        self.tell(&mut unit, EventType::PayoutKeyProposed, tenant, data).await?;
        unit.commit(ChangeKind::Business, Some(&tenant.business), None).await?;
        Ok(row)
    }

    /// Puts the proposed key of a network in force: whoever does it repeats its first addresses, as their own wallet
    /// shows them. Payments that are started from now on get its further ones.
    ///
    /// # Errors
    /// As [`Self::set`]; [`ServiceError::Invalid`] for other addresses than the key's, [`ServiceError::NotFound`] where
    /// no key is proposed.
    pub async fn confirm_key(
        self,
        context: &Context,
        tenant: &Tenant,
        network: &str,
        addresses: &[String],
    ) -> Result<PayoutKeyRow, ServiceError> {
        let network = self.place(context, tenant, network)?;
        let (mut unit, business) = self.begin(context, tenant).await?;
        let proposed = unit.tx.read().find_payout_key(tenant, &network, PayoutKeyState::Proposed).await?;
        let proposed = proposed.ok_or(ServiceError::NotFound)?;
        let read = |text: &String| text.trim().parse::<EvmAddress>().ok();
        let given: Option<Vec<_>> = addresses.iter().map(read).collect();
        if given != Some(proposed.key.first_addresses()) {
            return Err(ServiceError::invalid("addresses", "are not the first ones of the key that is proposed"));
        }
        let previous = previous(&mut unit, tenant, &network).await?;
        let (set_at, set_by) = (unit.now, unit.actor().clone());
        let row = PayoutKeyRow { state: PayoutKeyState::InForce, set_at, set_by, ..proposed };
        unit.tx.delete_payout_keys(tenant, &network).await?;
        unit.tx.delete_payout_address(tenant, &network).await?;
        unit.tx.set_payout_key(&row).await?;
        let masked = row.key.masked();
        let data = json!({
            "network": network,
            "extended_key": masked,
            "first_addresses": addresses_of(&row.key),
            "previous": previous,
        });
        self.tell(&mut unit, EventType::PayoutAddressSet, tenant, data).await?;
        self.mail(&mut unit, &business, tenant, &network, &masked, previous.as_deref()).await?;
        unit.commit(ChangeKind::Business, Some(&tenant.business), None).await?;
        Ok(row)
    }

    /// The network that is meant, if the caller may say where its money goes at all.
    fn place(self, context: &Context, tenant: &Tenant, network: &str) -> Result<ChainId, ServiceError> {
        if is_on_test_ledger(self.core, tenant.environment) {
            return Err(ServiceError::invalid(
                "environment",
                "must be live: TEST is on the test ledger here, whose money goes nowhere",
            ));
        }
        if matches!(context.authority, Authority::Key { .. }) {
            return Err(ServiceError::Forbidden);
        }
        watched_network(self.core, Some(tenant.environment), network)
    }

    async fn begin<'u>(self, context: &'u Context, tenant: &Tenant) -> Result<(Unit<'u>, BusinessRow), ServiceError>
    where
        'a: 'u,
    {
        let mut unit = Unit::begin(self.core, context).await?;
        let business = unit.lock_business(&tenant.business).await?;
        unit.check_caller().await?;
        unit.check_member(&tenant.business, Operation::BusinessWrite, tenant.environment == Environment::Live).await?;
        unit.check_open(&business)?;
        Ok((unit, business))
    }

    async fn tell(
        self,
        unit: &mut Unit<'_>,
        event: EventType,
        tenant: &Tenant,
        data: serde_json::Value,
    ) -> Result<(), ServiceError> {
        let environment = Some(tenant.environment);
        unit.record(Happened { event, business: &tenant.business, environment, key: None, data }).await
    }

    /// Tells all administrators: nobody can choose not to hear that the money goes elsewhere. That of TEST is none.
    async fn mail(
        self,
        unit: &mut Unit<'_>,
        business: &BusinessRow,
        tenant: &Tenant,
        network: &ChainId,
        now: &str,
        before: Option<&str>,
    ) -> Result<(), ServiceError> {
        if tenant.environment == Environment::Test {
            return Ok(());
        }
        let name = self.core.networks.get(network).map_or("", |network| network.settings.name.as_str());
        let path = format!("/b/{}/{}/settings/checkout/payout", tenant.business, tenant.environment);
        let link = self.core.people.address().link(&path);
        let network = format!("{name} ({network})");
        let letter = Letter::PayoutChanged { business: &business.name, network: &network, now, before, link: &link };
        let at = unit.now;
        mail::to_administrators(self.core, &mut unit.tx, at, business, &letter).await
    }
}

/// Where the money of a network went so far, as people read it.
async fn previous(unit: &mut Unit<'_>, tenant: &Tenant, network: &ChainId) -> Result<Option<String>, ServiceError> {
    let mut reader = unit.tx.read();
    let key = reader.find_payout_key(tenant, network, PayoutKeyState::InForce).await?;
    let address = reader.find_payout_address(tenant, network).await?;
    Ok(key.map(|row| row.key.masked()).or(address.map(|row| row.address.to_string())))
}

fn addresses_of(key: &ExtendedPublicKey) -> Vec<String> {
    key.first_addresses().iter().map(ToString::to_string).collect()
}
