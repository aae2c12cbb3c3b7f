//! Whether the sums agree: at a final block, what came to a deposit address is what left it and what lies there.
//!
//! What came is what we counted. What left is what the tokens' contracts told, block by block, and what lies there is
//! what they answer when they are asked. A transfer that was missed or counted twice shows up as a difference.

use std::collections::HashMap;
use std::time::Duration;

use trousseau_domain::environment::Tenant;
use trousseau_domain::evm::{EvmAddress, decode_transfer};
use trousseau_domain::ids::ReconciliationId;
use trousseau_domain::ledger::{LedgerId, Moved};
use trousseau_domain::money::Asset;
use trousseau_domain::networks::ChainId;
use trousseau_domain::reconciliation::{Gap, Outcome, Sums, is_due};
use trousseau_store::{DestinationRow, DifferenceRow, OutgoingRow, ReconciliationRow, StoreError};

use crate::app::Core;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::networks::endpoint::RpcError;
use crate::networks::rpc::{self, At, Header, Log};
use crate::networks::watch::small;
use crate::networks::{Network, NetworkSettings, Unusable, Way};
use crate::payments::SPARE;
use crate::payments::engine::Certainty;
use crate::payments::places::watched_network;

/// Addresses compared at once.
const ADDRESSES_PER_READ: u32 = 500;
/// Addresses in one question for what left them.
const ADDRESSES_PER_CALL: usize = 500;
/// How long nobody else compares the same network; kept as long as it goes on.
const LEASE: Duration = Duration::from_mins(5);
/// Differences that the log names one by one.
const NAMED_IN_LOG: usize = 20;
/// Known blocks in which the compared one is looked for.
const KNOWN_BLOCKS: u32 = 512;

/// A comparison as its readers see it, with the differences that are theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The network.
    pub network: ChainId,
    /// The comparison: the latest that was ended, or the latest of all where none was.
    pub run: ReconciliationRow,
    /// What differs.
    pub differences: Vec<DifferenceRow>,
    /// A later one that could not be ended.
    pub incomplete: Option<ReconciliationRow>,
}

/// Why a comparison could not be ended with one endpoint.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error("it is on another fork than what was seen, or changed to one meanwhile")]
    OtherFork,
    #[error("it does not have the block that is compared")]
    Lost,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("somebody else compares the network now")]
    LeaseLost,
}

impl From<RpcError> for Fault {
    fn from(error: RpcError) -> Self {
        Self::Unusable(Unusable::Rpc(error))
    }
}

/// What one endpoint made of a network.
struct Found {
    addresses: u64,
    differences: Vec<DifferenceRow>,
}

/// Use cases of comparisons.
#[derive(Debug, Clone, Copy)]
pub struct Reconciliations<'a> {
    core: &'a Core,
}

impl<'a> Reconciliations<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// Compares a network now, by its id, its short name or its name in the settings.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a network that is not watched, [`ServiceError::Conflict`] while somebody else
    /// compares it. A node that does not answer is no error: the comparison is kept as incomplete.
    pub async fn run(self, network: &str) -> Result<Compared, ServiceError> {
        let chain = watched_network(self.core, None, network)?;
        let network = self.core.networks.get(&chain).ok_or(ServiceError::NotFound)?;
        compare(self.core, network).await
    }

    /// The latest comparison of each network that is watched for the tenant's environment, with what of it concerns the
    /// tenant, or of all of them with what concerns anybody; at most `limit` differences of each.
    pub async fn latest(self, tenant: Option<&Tenant>, limit: u32) -> Result<Vec<Compared>, ServiceError> {
        let mut latest = Vec::new();
        let is_asked = |network: &&std::sync::Arc<Network>| {
            tenant.is_none_or(|tenant| network.settings.environment == tenant.environment)
        };
        for network in self.core.networks.all().filter(is_asked) {
            let (chain, ledger) = (network.settings.chain.clone(), network.settings.ledger());
            let mut reader = self.core.store.read();
            let Some(newest) = reader.list_reconciliations(&ledger, false, 1).await?.pop() else { continue };
            // One that could not be ended says nothing; the one before it does.
            let ended = reader.list_reconciliations(&ledger, true, 1).await?.pop();
            let (run, incomplete) = match ended {
                Some(ended) if ended.id != newest.id => (ended, Some(newest)),
                _ => (newest, None),
            };
            let differences = reader.list_differences(run.id, tenant, limit).await?;
            latest.push(Compared { network: chain, run, differences, incomplete });
        }
        Ok(latest)
    }

    /// What a contract's token is, where it is an accepted one.
    pub fn asset(self, network: &ChainId, contract: EvmAddress) -> Option<Asset> {
        self.core.networks.get(network)?.settings.asset_of(contract)
    }

    /// Compares every network whose time has come, each by itself: one that fails holds up no other one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_due(self) -> Result<(), ServiceError> {
        for network in self.core.networks.all() {
            let ledger = network.settings.ledger();
            let now = self.core.clock.now();
            let mut reader = self.core.store.read();
            let last = reader.list_reconciliations(&ledger, false, 1).await?;
            let last = last.first().map(|run| (run.started_at, run.outcome));
            let cursor = reader.find_cursor(&ledger).await?;
            // Before a network was seen there is nothing to compare.
            let is_seen = Certainty::of(self.core, &ledger, cursor.as_ref(), now).last_final().is_some();
            if is_seen && is_due(last, now) {
                match compare(self.core, network).await {
                    // Another node is at it.
                    Ok(_) | Err(ServiceError::Conflict) => {}
                    Err(error) => return Err(error),
                }
            }
            // Every node tells of the latest, whichever compared: else what it told of an earlier one would stay.
            if let Some(ended) = reader.list_reconciliations(&ledger, true, 1).await?.first() {
                metered(&network.settings.chain, ended);
            }
        }
        Ok(())
    }
}

/// Compares a network, keeps what comes of it, and tells.
async fn compare(core: &Core, network: &Network) -> Result<Compared, ServiceError> {
    let (chain, ledger) = (network.settings.chain.clone(), network.settings.ledger());
    if !hold(core, &ledger).await? {
        return Err(ServiceError::Conflict);
    }
    let started_at = core.clock.now();
    let cursor = core.store.read().find_cursor(&ledger).await?;
    let block = Certainty::of(core, &ledger, cursor.as_ref(), started_at).last_final();
    let mut failure = None;
    let mut found = Found { addresses: 0, differences: Vec::new() };
    if let Some(block) = block {
        match compare_at(core, network, &ledger, block).await {
            Ok(complete) => found = complete,
            Err(Fault::Store(error)) => return Err(error.into()),
            Err(Fault::LeaseLost) => return Err(ServiceError::Conflict),
            Err(error) => failure = Some(error.to_string()),
        }
    } else {
        failure = Some("no block of the network is final yet".to_owned());
    }
    let run = ReconciliationRow {
        id: ReconciliationId::new(started_at, core.entropy.bytes()),
        ledger: ledger.clone(),
        started_at,
        finished_at: core.clock.now(),
        outcome: match (&failure, found.differences.is_empty()) {
            (Some(_), _) => Outcome::Incomplete,
            (None, true) => Outcome::Agrees,
            (None, false) => Outcome::Differs,
        },
        block,
        addresses: found.addresses,
        differences: u64::try_from(found.differences.len()).unwrap_or(u64::MAX),
        failure,
    };
    let mut tx = core.store.begin_alone().await?;
    tx.insert_reconciliation(&run, &found.differences).await?;
    tx.release_reconciliation(&ledger, core.networks.holder(core.entropy.as_ref())).await?;
    tx.commit().await?;
    tell(&chain, &run, &found.differences);
    Ok(Compared { network: chain, run, differences: found.differences, incomplete: None })
}

/// Takes the right to compare, or keeps it.
async fn hold(core: &Core, ledger: &LedgerId) -> Result<bool, StoreError> {
    let now = core.clock.now();
    let mut tx = core.store.begin().await?;
    let holder = core.networks.holder(core.entropy.as_ref());
    let held = tx.hold_reconciliation(ledger, holder, now, now.saturating_add(LEASE)).await?;
    tx.commit().await?;
    Ok(held)
}

/// Compares by the first endpoint that answers to the end.
async fn compare_at(core: &Core, network: &Network, ledger: &LedgerId, block: u64) -> Result<Found, Fault> {
    let mut failed = Fault::Lost;
    for way in network.ways() {
        match compare_by(core, network, way, ledger, block).await {
            Ok(found) => {
                way.answered(core.clock.now());
                return Ok(found);
            }
            Err(error @ (Fault::Store(_) | Fault::LeaseLost)) => return Err(error),
            Err(error) => {
                // It goes on watching: an old block that it lacks says nothing of the newest.
                way.tell_wrong(&error, core.clock.now());
                failed = error;
            }
        }
    }
    Err(failed)
}

async fn compare_by(core: &Core, network: &Network, way: &Way, ledger: &LedgerId, block: u64) -> Result<Found, Fault> {
    network.check(way, core.clock.now()).await?;
    let hash = hash_at(way, block).await?;
    let known = core.store.read().list_blocks(ledger, KNOWN_BLOCKS).await?;
    if known.iter().any(|known| known.number == block && known.hash != hash) {
        return Err(Fault::OtherFork);
    }
    scan_outgoing(core, network, way, ledger, block).await?;
    let mut found = Found { addresses: 0, differences: Vec::new() };
    let mut after: Option<String> = None;
    loop {
        let rows = core.store.read().list_forwarders(ledger, after.as_deref(), ADDRESSES_PER_READ).await?;
        let Some(last) = rows.last().map(|last| last.destination.address.clone()) else { break };
        compare_some(core, &network.settings, way, ledger, block, &rows, &mut found).await?;
        if rows.len() < ADDRESSES_PER_READ as usize {
            break;
        }
        after = Some(last);
        if !hold(core, ledger).await? {
            return Err(Fault::LeaseLost);
        }
    }
    // All was asked of one chain, or it proves nothing.
    if hash_at(way, block).await? == hash { Ok(found) } else { Err(Fault::OtherFork) }
}

async fn hash_at(way: &Way, block: u64) -> Result<String, Fault> {
    let header: Option<Header> = rpc::read(way.ask(&rpc::header(At::Number(block))).await?)?;
    Ok(header.ok_or(Fault::Lost)?.hash.to_string())
}

/// Compares some addresses, which are in order.
async fn compare_some(
    core: &Core,
    settings: &NetworkSettings,
    way: &Way,
    ledger: &LedgerId,
    block: u64,
    rows: &[DestinationRow],
    found: &mut Found,
) -> Result<(), Fault> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
    let between = (first.destination.address.as_str(), last.destination.address.as_str());
    let contracts: Vec<_> = settings.contracts().collect();
    let asked: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row, row.destination.address.parse::<EvmAddress>().ok()?)))
        .flat_map(|(row, address)| contracts.iter().map(move |contract| (row, address, *contract)))
        .collect();
    let at = At::Number(block);
    let calls: Vec<_> = asked.iter().map(|(_, address, contract)| rpc::balance(*contract, *address, at)).collect();
    let balances = way.ask_all(&calls).await?;
    let mut reader = core.store.read();
    let mut sums: HashMap<(&str, EvmAddress), Sums> = HashMap::new();
    for ((row, _, contract), balance) in asked.iter().zip(balances) {
        let checked = settings.asset_of(*contract).is_some();
        let Some(balance) = rpc::read_balance(balance, checked)? else { continue };
        let address = row.destination.address.as_str();
        sums.insert((address, *contract), Sums { received: 0, sent: 0, balance });
    }
    let received = reader.list_received(ledger, block, between).await?;
    for deposit in &received {
        // What was kept before contracts were was asked for in the one currency that there was.
        let usual = || settings.token_of(SPARE).filter(|_| deposit.asset == Moved::Accepted);
        let Some(contract) = deposit.contract.or_else(usual) else { continue };
        if let Some(sums) = sums.get_mut(&(deposit.address.as_str(), contract)) {
            sums.received = sums.received.saturating_add(amount(deposit.amount.as_str()));
        }
    }
    let sent = reader.list_outgoing(ledger, block, between).await?;
    for transfer in &sent {
        if let Some(sums) = sums.get_mut(&(transfer.address.as_str(), transfer.contract)) {
            sums.sent = sums.sent.saturating_add(amount(transfer.amount.as_str()));
        }
    }
    for (row, _, contract) in asked {
        let address = &row.destination.address;
        let Some(sums) = sums.get(&(address.as_str(), contract)).copied() else { continue };
        if sums.gap().is_some() {
            found.differences.push(DifferenceRow {
                tenant: row.tenant.clone(),
                payment: row.payment,
                address: address.clone(),
                contract,
                sums,
            });
        }
    }
    found.addresses += u64::try_from(rows.len()).unwrap_or_default();
    Ok(())
}

/// Base units; those beyond 128 bits, which no honest token has, are the most that there is.
fn amount(digits: &str) -> u128 {
    digits.parse().unwrap_or(u128::MAX)
}

/// Reads what left the addresses since the last time, up to a block that is final.
async fn scan_outgoing(core: &Core, network: &Network, way: &Way, ledger: &LedgerId, to: u64) -> Result<(), Fault> {
    let Some(scanned) = core.store.read().find_scanned_to(ledger).await? else { return Ok(()) };
    let addresses = addresses(core, ledger).await?;
    let contracts: Vec<_> = network.settings.contracts().collect();
    let mut next = scanned + 1;
    while next <= to {
        let end = to.min(next + way.span().size() - 1);
        match outgoing_between(way, (next, end), &contracts, &addresses).await {
            Ok(rows) => {
                way.span().was_answered();
                let mut tx = core.store.begin_alone().await?;
                // Blocks were taken back meanwhile: this was read of a fork, or the part below is missing.
                if !tx.keep_outgoing(ledger, (next - 1, end), &rows).await? {
                    return Err(Fault::OtherFork);
                }
                tx.commit().await?;
                if !hold(core, ledger).await? {
                    return Err(Fault::LeaseLost);
                }
                next = end + 1;
            }
            Err(error) if end > next && error.may_be_too_much() => way.span().was_too_much(end - next + 1),
            Err(error) => {
                // Whoever is silent about a large range may answer a smaller one the next time.
                if error == RpcError::Deadline {
                    way.span().was_too_much(end - next + 1);
                }
                return Err(error.into());
            }
        }
    }
    Ok(())
}

/// Every forwarder that was given out on a network. What moves at addresses of a wallet is the wallet's own affair.
async fn addresses(core: &Core, ledger: &LedgerId) -> Result<Vec<EvmAddress>, StoreError> {
    let mut addresses = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let rows = core.store.read().list_forwarders(ledger, after.as_deref(), ADDRESSES_PER_READ).await?;
        addresses.extend(rows.iter().filter_map(|row| row.destination.address.parse::<EvmAddress>().ok()));
        let Some(last) = rows.last().filter(|_| rows.len() == ADDRESSES_PER_READ as usize) else { break };
        after = Some(last.destination.address.clone());
    }
    Ok(addresses)
}

async fn outgoing_between(
    way: &Way,
    range: (u64, u64),
    contracts: &[EvmAddress],
    addresses: &[EvmAddress],
) -> Result<Vec<OutgoingRow>, RpcError> {
    let questions = addresses.chunks(ADDRESSES_PER_CALL).map(|some| rpc::transfers_from(range, contracts, some));
    let questions: Vec<_> = questions.collect();
    let mut rows = Vec::new();
    for answer in way.ask_all(&questions).await? {
        let logs: Vec<Log> = rpc::read(answer?)?;
        rows.extend(logs.iter().filter(|log| contracts.contains(&log.address)).filter_map(outgoing));
    }
    Ok(rows)
}

/// What a log tells to have left; nothing where it is no transfer, or of nothing.
fn outgoing(log: &Log) -> Option<OutgoingRow> {
    let told = decode_transfer(&log.topics, &log.data()?).ok()?;
    let counts = !log.removed && told.amount.units() != Some(0);
    counts.then_some(())?;
    Some(OutgoingRow {
        block: log.block_number.0,
        block_hash: log.block_hash.to_string(),
        log_index: u32::try_from(log.log_index.0).ok()?,
        transaction_hash: log.transaction_hash.to_string(),
        contract: log.address,
        address: told.from.to_string(),
        recipient: told.to,
        amount: told.amount,
    })
}

/// Says in log and metrics what came of a comparison.
fn tell(chain: &ChainId, run: &ReconciliationRow, differences: &[DifferenceRow]) {
    let network = chain.to_string();
    for difference in differences.iter().take(NAMED_IN_LOG) {
        let Sums { received, sent, balance } = difference.sums;
        let what = match difference.sums.gap() {
            Some(Gap::Missed(_)) => "more lies at a deposit address than was counted: a transfer was missed",
            _ => "less lies at a deposit address than was counted: something was counted that is not there",
        };
        tracing::error!(
            network, business.id = %difference.tenant.business, environment = %difference.tenant.environment,
            address = difference.address, contract = %difference.contract, received = %received, sent = %sent,
            balance = %balance, "{what}"
        );
    }
    match run.outcome {
        Outcome::Agrees => tracing::info!(network, addresses = run.addresses, "the sums of a network agree"),
        Outcome::Differs => {
            tracing::error!(network, differences = run.differences, "the sums of a network do not agree");
        }
        Outcome::Incomplete => {
            let reason = run.failure.as_deref().unwrap_or_default();
            tracing::warn!(network, reason, "the sums of a network could not be compared to the end");
        }
    }
    let labels = [("network", network), ("outcome", run.outcome.to_string())];
    metrics::counter!("trousseau_reconciliations_total", &labels).increment(1);
    if run.outcome != Outcome::Incomplete {
        metered(chain, run);
    }
}

/// Tells the metrics of the latest comparison that was ended.
fn metered(chain: &ChainId, run: &ReconciliationRow) {
    let network = chain.to_string();
    let seconds = u64::try_from(run.finished_at.as_seconds()).unwrap_or_default();
    metrics::gauge!("trousseau_reconciliation_differences", "network" => network.clone()).set(small(run.differences));
    metrics::gauge!("trousseau_reconciliation_finished_timestamp_seconds", "network" => network).set(small(seconds));
}
