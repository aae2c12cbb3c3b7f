//! Where a payment may be received: which networks there are for a tenant, and an address on one of them.

use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::evm::{EvmAddress, FACTORY, PayoutKeyState, Salt, SecretForm, forwarder_address};
use trousseau_domain::ids::PaymentId;
use trousseau_domain::ledger::LedgerId;
use trousseau_domain::money::Asset;
use trousseau_domain::networks::{ChainId, ShortName};
use trousseau_domain::time::Timestamp;
use trousseau_store::{ChildRow, Destination, DestinationRow, ForwarderRow, PayoutKeyRow};

use super::test_ledger::{address_of, test_network};
use crate::app::{Core, Unit};
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;

/// Whether a tenant's payments are made on its test ledger, and on no network.
pub(crate) fn is_on_test_ledger(core: &Core, environment: Environment) -> bool {
    environment == Environment::Test && core.networks.has_test_ledgers()
}

/// Refuses what moves a test ledger where there is none.
///
/// # Errors
/// [`ServiceError::TestOnly`] in LIVE, [`ServiceError::TestLedgerOff`] where TEST is bound to networks.
pub(super) fn check_test_ledger(core: &Core, environment: Environment) -> Result<(), ServiceError> {
    match environment {
        Environment::Live => Err(ServiceError::TestOnly),
        Environment::Test if core.networks.has_test_ledgers() => Ok(()),
        Environment::Test => Err(ServiceError::TestLedgerOff),
    }
}

/// The ledger that a tenant's payments on a network are on: of its own environment, always.
pub(crate) fn ledger_of(core: &Core, tenant: &Tenant, network: &ChainId) -> LedgerId {
    if is_on_test_ledger(core, tenant.environment) {
        LedgerId::Test(tenant.business.clone())
    } else {
        LedgerId::Network(tenant.environment, network.clone())
    }
}

/// The networks on which the tenant can be paid in an asset: those that are watched for its environment, accept it, and
/// where the tenant's money has a place to go, or all that the test ledger stands for.
pub(super) async fn networks_of(core: &Core, tenant: &Tenant, asset: Asset) -> Result<Vec<ChainId>, ServiceError> {
    if is_on_test_ledger(core, tenant.environment) {
        return Ok(ShortName::ALL.into_iter().map(ShortName::test_chain).collect());
    }
    let addresses = core.store.read().list_payout_addresses(tenant).await?;
    let keys = core.store.read().list_payout_keys(tenant).await?;
    let has_place = |chain: &ChainId| {
        addresses.iter().any(|place| place.network == *chain)
            || keys.iter().any(|row| row.network == *chain && row.state == PayoutKeyState::InForce)
    };
    Ok(accepting(core, tenant, asset).filter(has_place).collect())
}

/// The networks that are watched for the tenant's environment and accept an asset.
fn accepting(core: &Core, tenant: &Tenant, asset: Asset) -> impl Iterator<Item = ChainId> {
    let all = core.networks.of(tenant.environment).map(|network| &network.settings);
    all.filter(move |settings| settings.token_of(asset).is_some()).map(|settings| settings.chain.clone())
}

/// The network that is meant, if the tenant can be paid there in an asset.
///
/// # Errors
/// [`ServiceError::Invalid`] for a name of no network, or of one that does not accept the asset;
/// [`ServiceError::NetworkNotConfigured`] where none that does is watched, [`ServiceError::PayoutAddressMissing`] where
/// the money would have no place to go.
pub(super) async fn network_of(
    core: &Core,
    tenant: &Tenant,
    wanted: Option<&str>,
    asset: Asset,
) -> Result<ChainId, ServiceError> {
    if is_on_test_ledger(core, tenant.environment) {
        return match wanted {
            None => Ok(ShortName::Base.test_chain()),
            Some(name) => test_network(name).ok_or_else(|| {
                ServiceError::invalid("network", "is none of: eth, avax, pol, base, arb, sui, solana (or test:eth ...)")
            }),
        };
    }
    let first = accepting(core, tenant, asset).next().ok_or(ServiceError::NetworkNotConfigured)?;
    let usable = networks_of(core, tenant, asset).await?;
    let Some(name) = wanted else {
        return usable.into_iter().next().ok_or(ServiceError::PayoutAddressMissing(first));
    };
    let chain = watched_network(core, Some(tenant.environment), name)?;
    if accepting(core, tenant, asset).all(|accepting| accepting != chain) {
        let others: Vec<_> = accepting(core, tenant, asset).map(|chain| chain.to_string()).collect();
        let message = format!("accepts no {}: that is accepted on {}", asset.code(), others.join(", "));
        return Err(ServiceError::invalid("network", message));
    }
    if usable.contains(&chain) { Ok(chain) } else { Err(ServiceError::PayoutAddressMissing(chain)) }
}

/// A network that is watched for an environment, or for any, by its CAIP-2 id, its short name or its name in the settings.
/// In TEST the short name of a network means the public test network that stands for it.
///
/// # Errors
/// [`ServiceError::Invalid`] that lists the networks there are.
pub(crate) fn watched_network(
    core: &Core,
    environment: Option<Environment>,
    name: &str,
) -> Result<ChainId, ServiceError> {
    let short = name.parse::<ShortName>().ok().and_then(|short| match environment {
        Some(Environment::Test) => short.public_test_chain(),
        Some(Environment::Live) | None => Some(short.live_chain()),
    });
    let all = || {
        let all = core.networks.all().map(|network| &network.settings);
        all.filter(|settings| environment.is_none_or(|environment| settings.environment == environment))
    };
    let found = all().find(|settings| {
        settings.name == name || settings.chain.as_str() == name || short.as_ref() == Some(&settings.chain)
    });
    found.map(|settings| settings.chain.clone()).ok_or_else(|| {
        let known: Vec<_> = all().map(|settings| settings.chain.to_string()).collect();
        let wrong = if known.is_empty() {
            "is not configured, nor is any other".to_owned()
        } else {
            format!("is none of: {}", known.join(", "))
        };
        ServiceError::invalid("network", wrong)
    })
}

/// The address of a wallet on a network: none of nobody, nor of a contract that gives nothing back.
///
/// # Errors
/// [`ServiceError::Invalid`] about this member.
pub(super) fn wallet_of(
    core: &Core,
    network: &ChainId,
    member: &'static str,
    text: &str,
) -> Result<EvmAddress, ServiceError> {
    if let Some(form) = SecretForm::of(text) {
        return Err(ServiceError::invalid(member, format!("is {form}, which was not kept: nobody else may have it")));
    }
    let address: EvmAddress = text.trim().parse().map_err(|error| ServiceError::invalid(member, format!("{error}")))?;
    if address.is_zero() {
        return Err(ServiceError::invalid(member, "is the address of nobody: what goes there is lost"));
    }
    let is_token = core.networks.get(network).map(|network| &network.settings).is_some_and(|settings| {
        settings.tokens.iter().any(|token| token.contract == address) || settings.noticed.contains(&address)
    });
    if is_token || address == *FACTORY {
        return Err(ServiceError::invalid(member, "is a contract that gives nothing back, not a wallet"));
    }
    Ok(address)
}

/// A new address, and how the money that comes there is reached.
pub(super) struct Place {
    pub(super) destination: Destination,
    forwarder: Option<ForwarderRow>,
    child: Option<ChildRow>,
}

impl Place {
    /// One that nobody has to reach, or that was given out before.
    pub(super) const fn of(destination: Destination) -> Self {
        Self { destination, forwarder: None, child: None }
    }

    /// As it is kept.
    pub(super) fn given_out(self, tenant: &Tenant, payment: Option<PaymentId>, at: Timestamp) -> DestinationRow {
        let Self { destination, forwarder, child } = self;
        DestinationRow { destination, tenant: tenant.clone(), payment, forwarder, child, created_at: at }
    }
}

/// A new address on a network, which was never given out before.
///
/// # Errors
/// [`ServiceError::PayoutAddressMissing`] where the money would have no place to go, and
/// [`ServiceError::NetworkUnavailable`] before the network was first seen: what came in earlier would be missed.
pub(super) async fn new_place(
    core: &Core,
    unit: &mut Unit<'_>,
    tenant: &Tenant,
    network: ChainId,
    payment: PaymentId,
) -> Result<Place, ServiceError> {
    let ledger = ledger_of(core, tenant, &network);
    if matches!(ledger, LedgerId::Test(_)) {
        return Ok(Place::of(Destination { ledger, network, address: address_of(payment) }));
    }
    let key = unit.tx.read().find_payout_key(tenant, &network, PayoutKeyState::InForce).await?;
    let payout = unit.tx.read().find_payout_address(tenant, &network).await?;
    if key.is_none() && payout.is_none() {
        return Err(ServiceError::PayoutAddressMissing(network));
    }
    let seen = unit.tx.read().find_cursor(&ledger).await?.is_some_and(|cursor| cursor.height > 0);
    if !seen {
        return Err(ServiceError::NetworkUnavailable(network));
    }
    if let Some(key) = key {
        return next_child(unit, key, ledger).await;
    }
    let payout = payout.ok_or_else(|| ServiceError::PayoutAddressMissing(network.clone()))?.address;
    let salt = Salt::from_bytes(core.entropy.bytes());
    let address = forwarder_address(payout, &salt).to_string();
    let forwarder = Some(ForwarderRow { payout, salt });
    Ok(Place { destination: Destination { ledger, network, address }, forwarder, child: None })
}

/// The next address of a wallet. It is taken in the transaction of the payment, and a payment that comes to nothing
/// gives it back with everything else.
async fn next_child(unit: &mut Unit<'_>, row: PayoutKeyRow, ledger: LedgerId) -> Result<Place, ServiceError> {
    let PayoutKeyRow { key, network, .. } = row;
    loop {
        let taken = unit.tx.take_child(key.id()).await?;
        let index = taken.ok_or_else(|| ServiceError::PayoutAddressMissing(network.clone()))?;
        // One of 2^127 has no address: the standard says to go on with the next.
        if let Some(address) = key.address(index) {
            let destination = Destination { ledger, network, address: address.to_string() };
            return Ok(Place { destination, forwarder: None, child: Some(ChildRow { key, index }) });
        }
    }
}
