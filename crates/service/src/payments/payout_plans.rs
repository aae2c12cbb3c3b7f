//! What it takes to move money from deposit addresses to payout addresses: transactions that anybody may sign and send.
//! Nothing here signs, and nothing here sends.

use std::collections::BTreeMap;
use std::sync::Arc;

use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::evm::{DEPLOYER, EvmAddress, FACTORY, Salt, collect_call, factory_deployment};
use trousseau_domain::ids::PaymentId;
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::networks::ChainId;
use trousseau_store::{CollectFilter, StoreError};

use super::places::watched_network;
use crate::app::Core;
use crate::error::ServiceError;
use crate::networks::endpoint::RpcError;
use crate::networks::rpc::{self, At, Header};
use crate::networks::{Network, Unusable, Way};

/// Addresses read from the database, and asked about, at once.
const ADDRESSES_PER_READ: u32 = 500;
/// Gas that one transaction may take: below what every network takes, where one transaction may not be a whole block
/// (EIP-7825 ends at 16 777 216).
const GAS_PER_TRANSACTION: u64 = 8_000_000;
/// What a transaction costs before it does anything, with its first data.
const GAS_TO_BEGIN: u64 = 60_000;
/// What it costs to empty a forwarder that is there, with what a token behind a proxy with lists of the blocked takes.
const GAS_TO_FLUSH: u64 = 110_000;
/// What it costs to make one before.
const GAS_TO_MAKE: u64 = 260_000;
/// What it costs to deploy the factory.
const GAS_FOR_FACTORY: u64 = 1_500_000;

/// What it takes to empty the forwarders of one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutPlan {
    /// The network.
    pub network: ChainId,
    /// What the settings call it.
    pub name: String,
    /// Its number, which a transaction is signed for (EIP-155).
    pub chain_id: u64,
    /// The block at which the balances were asked for.
    pub block: u64,
    /// The transactions, to be sent in this order.
    pub transactions: Vec<PlannedTransaction>,
    /// What lies there and cannot be moved.
    pub stuck: Vec<Stuck>,
}

/// A transaction that nobody has signed. It sends no coins along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTransaction {
    /// To whom.
    pub to: EvmAddress,
    /// Its data.
    pub data: Vec<u8>,
    /// More gas than it takes.
    pub gas: u64,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a transaction is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// Puts the factory of forwarders where it is on every network: once per network.
    DeployFactory,
    /// Moves what lies at some forwarders to the payout address that they were made for.
    Collect(Collection),
}

/// What one transaction collects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// Whose it is.
    pub tenant: Tenant,
    /// Of which token.
    pub token: PlannedToken,
    /// Where it goes.
    pub payout: EvmAddress,
    /// The sum, in base units.
    pub units: u128,
    /// From where.
    pub forwarders: Vec<Held>,
}

/// A token that is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedToken {
    /// Its contract.
    pub contract: EvmAddress,
    /// What it is; none for one that is only noticed.
    pub asset: Option<Asset>,
}

/// What lies at one forwarder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Where.
    pub address: EvmAddress,
    /// What its address follows from, beside the payout address.
    pub salt: Salt,
    /// How much, in base units.
    pub units: u128,
    /// Whether the contract is there already.
    pub is_deployed: bool,
    /// The payment that it was given out for.
    pub payment: Option<PaymentId>,
}

/// Money that cannot be moved now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// What and whose.
    pub collection: Collection,
    /// Why.
    pub why: WhyStuck,
}

/// Why money cannot be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyStuck {
    /// The token refuses the transfer: it is paused, or one of the addresses is blocked.
    Refused,
    /// There is no keyless deployer on the network, so that there can be no factory.
    NoDeployer,
}

impl Collection {
    /// The sum as money, where the token is an accepted one and the sum one that we count.
    pub fn money(&self) -> Option<Money> {
        let units = i64::try_from(self.units).ok()?;
        Money::from_units(units, self.token.asset?).ok()
    }

    fn of(group: &Group, forwarders: Vec<Held>) -> Self {
        let units = forwarders.iter().fold(0u128, |sum, held| sum.saturating_add(held.units));
        Self { tenant: group.tenant.clone(), token: group.token, payout: group.payout, units, forwarders }
    }

    fn data(&self) -> Vec<u8> {
        let salts: Vec<_> = self.forwarders.iter().map(|held| held.salt).collect();
        collect_call(self.token.contract, self.payout, &salts)
    }

    fn gas(&self) -> u64 {
        GAS_TO_BEGIN + self.forwarders.iter().map(Held::gas).sum::<u64>()
    }
}

impl Held {
    const fn gas(&self) -> u64 {
        if self.is_deployed { GAS_TO_FLUSH } else { GAS_TO_FLUSH + GAS_TO_MAKE }
    }
}

/// What can go in one transaction: one call of the factory names one token and one payout address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    tenant: Tenant,
    token: PlannedToken,
    payout: EvmAddress,
}

/// Why a plan could not be made with one endpoint.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RpcError> for Fault {
    fn from(error: RpcError) -> Self {
        Self::Unusable(Unusable::Rpc(error))
    }
}

/// Use cases of plans.
#[derive(Debug, Clone, Copy)]
pub struct PayoutPlans<'a> {
    core: &'a Core,
}

impl<'a> PayoutPlans<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// The networks that a name means, or all that are watched: for an environment, or for any.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a name of none.
    pub fn networks(self, environment: Option<Environment>, named: Option<&str>) -> Result<Vec<ChainId>, ServiceError> {
        let chain = |network: &Arc<Network>| network.settings.chain.clone();
        match (named, environment) {
            (Some(name), _) => Ok(vec![watched_network(self.core, environment, name)?]),
            (None, Some(environment)) => Ok(self.core.networks.of(environment).map(chain).collect()),
            (None, None) => Ok(self.core.networks.all().map(chain).collect()),
        }
    }

    /// What it takes to empty the forwarders of a network, as its node says at this moment that they hold.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for a network that is not watched, [`ServiceError::NetworkUnavailable`] where no
    /// endpoint answers.
    pub async fn plan(self, network: &ChainId, filter: &CollectFilter) -> Result<PayoutPlan, ServiceError> {
        let network = self.core.networks.get(network).ok_or(ServiceError::NotFound)?;
        // One at a time: a plan asks for a balance of every address that ever received something.
        let _turn = network.planning.lock().await;
        for way in network.ways() {
            match self.plan_by(network, way, filter).await {
                Ok(plan) => {
                    way.answered(self.core.clock.now());
                    return Ok(plan);
                }
                Err(Fault::Store(error)) => return Err(error.into()),
                Err(error) => {
                    // It goes on watching: whoever asks for plans must not be able to make it rest.
                    way.tell_wrong(&error, self.core.clock.now());
                    tracing::warn!(network = %network.settings.chain, endpoint = way.index, %error, "no plan was made");
                }
            }
        }
        Err(ServiceError::NetworkUnavailable(network.settings.chain.clone()))
    }

    async fn plan_by(self, network: &Network, way: &Way, filter: &CollectFilter) -> Result<PayoutPlan, Fault> {
        network.check(way, self.core.clock.now()).await?;
        let latest: Header = rpc::read(way.ask(&rpc::header(At::Latest)).await?)?;
        let at = At::Number(latest.number.0);
        let codes = way.ask_all(&[rpc::code_at(*FACTORY, at), rpc::code_at(DEPLOYER, at)]).await?;
        let [factory, deployer] = are_contracts(codes)?[..] else {
            return Err(RpcError::Malformed("answers lack").into());
        };
        let mut plan = PayoutPlan {
            network: network.settings.chain.clone(),
            name: network.settings.name.clone(),
            chain_id: network.settings.chain.eip155().unwrap_or_default(),
            block: latest.number.0,
            transactions: Vec::new(),
            stuck: Vec::new(),
        };
        for (group, held) in self.held(network, way, at, filter).await? {
            for forwarders in batches(held) {
                let collection = Collection::of(&group, forwarders);
                if !factory && !deployer {
                    plan.stuck.push(Stuck { collection, why: WhyStuck::NoDeployer });
                } else if factory {
                    try_out(way, at, &group, collection, &mut plan).await?;
                } else {
                    plan.transactions.push(PlannedTransaction::of(collection));
                }
            }
        }
        if !factory && !plan.transactions.is_empty() {
            let (to, data) = factory_deployment();
            let deployment = PlannedTransaction { to, data, gas: GAS_FOR_FACTORY, purpose: Purpose::DeployFactory };
            plan.transactions.insert(0, deployment);
        }
        Ok(plan)
    }

    /// What lies at forwarders, by whose it is, of which token, and where it goes.
    async fn held(
        self,
        network: &Network,
        way: &Way,
        at: At,
        filter: &CollectFilter,
    ) -> Result<Vec<(Group, Vec<Held>)>, Fault> {
        let settings = &network.settings;
        let planned = |contract| PlannedToken { contract, asset: settings.asset_of(contract) };
        let tokens: Vec<_> = settings.contracts().map(planned).collect();
        let ledger = settings.ledger();
        let mut groups: BTreeMap<_, (Group, Vec<Held>)> = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let rows =
                self.core.store.read().list_collectable(&ledger, filter, after.as_deref(), ADDRESSES_PER_READ).await?;
            let forwarder = |row: &trousseau_store::DestinationRow| {
                Some((row.destination.address.parse::<EvmAddress>().ok()?, row.forwarder?, row.clone()))
            };
            let forwarders: Vec<_> = rows.iter().filter_map(forwarder).collect();
            let asked: Vec<_> =
                forwarders.iter().flat_map(|found| tokens.iter().map(move |token| (found, *token))).collect();
            let calls: Vec<_> =
                asked.iter().map(|((address, ..), token)| rpc::balance(token.contract, *address, at)).collect();
            let balances = way.ask_all(&calls).await?;
            let mut full = Vec::new();
            for ((found, token), balance) in asked.into_iter().zip(balances) {
                let units = rpc::read_balance(balance, token.asset.is_some())?.unwrap_or(0);
                if units > 0 {
                    full.push((found, token, units));
                }
            }
            let calls: Vec<_> = full.iter().map(|((address, ..), ..)| rpc::code_at(*address, at)).collect();
            let deployed = are_contracts(way.ask_all(&calls).await?)?;
            for (((address, forwarder, row), token, units), is_deployed) in full.into_iter().zip(deployed) {
                let key =
                    (row.tenant.business.clone(), row.tenant.environment.as_str(), token.contract, forwarder.payout);
                let group = || Group { tenant: row.tenant.clone(), token, payout: forwarder.payout };
                let (_, held) = groups.entry(key).or_insert_with(|| (group(), Vec::new()));
                let salt = forwarder.salt;
                held.push(Held { address: *address, salt, units, is_deployed, payment: row.payment });
            }
            let Some(last) = rows.last().filter(|_| rows.len() == ADDRESSES_PER_READ as usize) else { break };
            after = Some(last.destination.address.clone());
        }
        Ok(groups.into_values().collect())
    }
}

impl PlannedTransaction {
    fn of(collection: Collection) -> Self {
        Self { to: *FACTORY, data: collection.data(), gas: collection.gas(), purpose: Purpose::Collect(collection) }
    }
}

/// As many forwarders together as one transaction empties for sure.
fn batches(held: Vec<Held>) -> Vec<Vec<Held>> {
    let mut batches: Vec<Vec<Held>> = Vec::new();
    let mut gas = u64::MAX;
    for one in held {
        if gas.saturating_add(one.gas()) > GAS_PER_TRANSACTION {
            batches.push(Vec::new());
            gas = GAS_TO_BEGIN;
        }
        gas += one.gas();
        batches.last_mut().expect("the first one begins a batch").push(one);
    }
    batches
}

/// Has the node say whether a collection would work, and leaves out what the token refuses: one blocked address must
/// not keep the others from being emptied.
async fn try_out(way: &Way, at: At, group: &Group, whole: Collection, plan: &mut PayoutPlan) -> Result<(), RpcError> {
    let mut parts = vec![whole];
    while let Some(mut part) = parts.pop() {
        match way.ask(&rpc::call(*FACTORY, &part.data(), at)).await {
            Ok(_) => plan.transactions.push(PlannedTransaction::of(part)),
            Err(error) if error.is_revert() && part.forwarders.len() > 1 => {
                let second = part.forwarders.split_off(part.forwarders.len() / 2);
                parts.push(Collection::of(group, second));
                parts.push(Collection::of(group, part.forwarders));
            }
            Err(error) if error.is_revert() => plan.stuck.push(Stuck { collection: part, why: WhyStuck::Refused }),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn are_contracts(answers: Vec<Result<serde_json::Value, RpcError>>) -> Result<Vec<bool>, RpcError> {
    answers.into_iter().map(|answer| rpc::is_contract(answer?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_batch_takes_more_gas_than_a_transaction_may() {
        let held = |number: u8, is_deployed| Held {
            address: EvmAddress::from_bytes([number; 20]),
            salt: Salt::from_bytes([number; 32]),
            units: 1,
            is_deployed,
            payment: None,
        };
        assert_eq!(batches(Vec::new()), Vec::<Vec<Held>>::new());
        let mixed: Vec<_> = (0..200).map(|number| held(number, number % 3 == 0)).collect();
        let planned = batches(mixed.clone());
        assert_eq!(planned.concat(), mixed, "each of them once, in order");
        for batch in &planned {
            let gas = GAS_TO_BEGIN + batch.iter().map(Held::gas).sum::<u64>();
            assert!(gas <= GAS_PER_TRANSACTION, "{gas}");
        }
        let fresh: Vec<_> = (0..22).map(|number| held(number, false)).collect();
        assert_eq!(batches(fresh).iter().map(Vec::len).collect::<Vec<_>>(), [21, 1]);
    }
}
