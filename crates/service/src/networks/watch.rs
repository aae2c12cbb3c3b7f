//! The watch over a network: one node holds it, looks when the time has come or somebody has a hint, and catches up.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::evm::EvmAddress;
use trousseau_domain::ledger::LedgerId;
use trousseau_domain::money::Asset;
use trousseau_domain::networks::ChainId;
use trousseau_domain::time::Timestamp;
use trousseau_store::{DepositRow, LedgerReportRow};

use super::health::{self, NetworkState};
use super::{Network, NetworkHealth, NetworkMismatch, NetworkSettings, Unanswered, UnknownCurrency};
use crate::app::Core;
use crate::context::{Authority, Context};
use crate::error::ServiceError;
use crate::payments::engine::{self, Rescanned};
use crate::payments::places::{ledger_of, watched_network};
use crate::payments::refunds;

/// The shortest time for which a node holds the watch; longer for networks that are looked at seldom. For as long a
/// network is not watched after its node died.
const LEASE: Duration = Duration::from_secs(6);
/// Looks under one lease, while there is something to catch up with.
const LOOKS_PER_LEASE: u32 = 20;
/// How often the endpoints that are not in use are asked for their height.
const PROBE_EVERY: Duration = Duration::from_mins(1);
/// How often how a network is doing is written down, while nothing changes about it.
const REPORT_EVERY: Duration = Duration::from_secs(15);
/// The pause between two looks, and for how long it is that short, once somebody has told of a transaction.
const HURRY: Duration = Duration::from_secs(1);
const HURRY_FOR: Duration = Duration::from_mins(1);

/// The gauges of a network that only whoever watches it can fill.
const OF_NETWORK: [&str; 8] = [
    "trousseau_network_seen_height",
    "trousseau_network_height",
    "trousseau_network_block_age_seconds",
    "trousseau_network_finalized_height",
    "trousseau_network_deepest_reorganisation_blocks",
    "trousseau_network_failing",
    "trousseau_network_turn_milliseconds",
    "trousseau_network_turn_calls",
];
/// The same of each of its endpoints.
const OF_ENDPOINT: [&str; 3] = [
    "trousseau_network_endpoint_failures",
    "trousseau_network_endpoint_span_blocks",
    "trousseau_network_endpoint_lag_blocks",
];

/// Use cases of networks.
#[derive(Debug, Clone, Copy)]
pub struct NetworkViews<'a> {
    core: &'a Core,
}

impl<'a> NetworkViews<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// Asks every endpoint whether it is what the settings say. Those that do not answer are named, and are asked again
    /// before they are used.
    ///
    /// # Errors
    /// [`NetworkMismatch`] with the setting that is wrong.
    pub async fn check(self) -> Result<Vec<Unanswered>, NetworkMismatch> {
        self.core.networks.check(self.core.clock.now()).await
    }

    /// What the settings say of a network, where it is watched.
    pub fn settings(self, chain: &ChainId) -> Option<&'a NetworkSettings> {
        self.core.networks.get(chain).map(|network| &network.settings)
    }

    /// For which environment a network is watched, by its id, its short name or its name in the settings.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a network that is not watched.
    pub fn environment_of(self, network: &str) -> Result<Environment, ServiceError> {
        let chain = watched_network(self.core, None, network)?;
        let network = self.core.networks.get(&chain).ok_or(ServiceError::NotFound)?;
        Ok(network.settings.environment)
    }

    /// What payments of an environment can be in: USDC first, where it is accepted.
    pub fn assets(self, environment: Environment) -> Vec<Asset> {
        self.core.networks.assets(environment)
    }

    /// The asset of this code, if payments of an environment can be in it.
    ///
    /// # Errors
    /// [`UnknownCurrency`] that lists what there is.
    pub fn asset(self, environment: Environment, code: &str) -> Result<Asset, UnknownCurrency> {
        let found = self.assets(environment).into_iter().find(|asset| asset.code().as_str() == code);
        found.ok_or_else(|| UnknownCurrency::of(&self.core.networks, environment))
    }

    /// What a deposit is of, where its contract is that of an accepted token.
    pub fn asset_of(self, deposit: &DepositRow) -> Option<Asset> {
        self.core.networks.on(&deposit.ledger)?.settings.asset_of(deposit.transfer.contract?)
    }

    /// The contract of an asset on a ledger that is on a network, where that is watched.
    pub fn token(self, ledger: &LedgerId, asset: Asset) -> Option<EvmAddress> {
        self.core.networks.on(ledger)?.settings.token_of(asset)
    }

    /// How every network is doing, whichever node watches it, in the order of the settings.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`] for anybody but an administrator of the platform.
    pub async fn states(self, context: &Context) -> Result<Vec<NetworkState>, ServiceError> {
        crate::platform::Platform::new(self.core).admit(context).await?;
        let mut states = Vec::new();
        for network in self.core.networks.all() {
            states.push(health::state_of(self.core, network).await?);
        }
        Ok(states)
    }

    /// Whether the payments of a tenant on a network are seen late at the moment.
    pub async fn is_delayed(self, tenant: &Tenant, chain: &ChainId) -> Result<bool, ServiceError> {
        let ledger = ledger_of(self.core, tenant, chain);
        let mut reader = self.core.store.read();
        let cursor = reader.find_cursor(&ledger).await?;
        health::is_delayed(self.core, &mut reader, &ledger, cursor.as_ref()).await
    }

    /// The networks that are watched for an environment, in the order of the settings; none for TEST while it has its
    /// test ledgers.
    pub fn of(self, environment: Environment) -> Vec<ChainId> {
        self.core.networks.of(environment).map(|network| network.settings.chain.clone()).collect()
    }

    /// Asks every endpoint of a network for its height, now. Gives the network and how it is doing for this process.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a network that is not watched.
    pub async fn probe(self, network: &str) -> Result<(ChainId, NetworkHealth), ServiceError> {
        let chain = watched_network(self.core, None, network)?;
        let network = self.core.networks.get(&chain).ok_or(ServiceError::NotFound)?;
        network.probe(self.core.clock.as_ref(), true).await;
        Ok((chain, network.health()))
    }

    /// Reads a network once more from a block on, and has every payment follow from what it holds now: what is known
    /// already is credited once, what is not there any more is taken back. Without a block it begins where what was
    /// seen and what is there part.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`] for keys, [`ServiceError::Invalid`] for a network that is not watched and for a
    /// block above the place where both part, [`ServiceError::NetworkUnavailable`] where no endpoint answers.
    pub async fn rescan(
        self,
        context: &Context,
        network: &str,
        from_block: Option<u64>,
    ) -> Result<Rescanned, ServiceError> {
        if matches!(context.authority, Authority::Key { .. }) {
            return Err(ServiceError::Forbidden);
        }
        crate::platform::Platform::new(self.core).admit(context).await?;
        let chain = watched_network(self.core, None, network)?;
        let network = self.core.networks.get(&chain).ok_or(ServiceError::NotFound)?;
        engine::rescan(self.core, context, &network.settings.ledger(), from_block).await
    }

    /// How each network is doing on this node, in the order of the settings.
    pub fn health(self) -> Vec<(ChainId, NetworkHealth)> {
        let networks = self.core.networks.all();
        networks.map(|network| (network.settings.chain.clone(), network.health())).collect()
    }

    /// Reads the last blocks of a network once more. What is known already stays as it is; what was missed is found.
    ///
    /// # Errors
    /// [`ServiceError::NetworkUnavailable`] where no endpoint answers, [`ServiceError::NotFound`] for a network that is
    /// not watched.
    pub async fn look_again(self, chain: &ChainId, blocks: u64) -> Result<(), ServiceError> {
        let network = self.core.networks.get(chain).ok_or(ServiceError::NotFound)?;
        engine::look_again(self.core, &network.settings.ledger(), blocks).await
    }
}

/// Watches over a network without end.
pub(crate) async fn watch(core: &Core, network: &Network) {
    let _told_here = ToldHere(network);
    tokio::join!(look_on(core, network), probe_on(core, network));
}

/// What this node tells of a network. It is withdrawn however the watch ends, also where that is cut short.
struct ToldHere<'a>(&'a Network);

impl Drop for ToldHere<'_> {
    fn drop(&mut self) {
        withdraw(self.0);
    }
}

async fn look_on(core: &Core, network: &Network) {
    let mut hurry_until: Option<Instant> = None;
    loop {
        let is_hurried = hurry_until.is_some_and(|until| Instant::now() < until);
        let again = match step(core, network, is_hurried).await {
            Ok(is_behind) => is_behind,
            Err(error) => {
                tell(network, &error);
                false
            }
        };
        if !again {
            let poll = network.settings.poll;
            let pause = if is_hurried { poll.min(HURRY) } else { poll };
            // A transaction that was told of is in no block yet: it is waited for with less patience.
            if timeout(pause, network.hint.notified()).await.is_ok() {
                hurry_until = Some(Instant::now() + HURRY_FOR);
            }
        }
    }
}

/// Asks the endpoints that are not in use how far they are, so that a fault of theirs is known before they are needed.
async fn probe_on(core: &Core, network: &Network) {
    if network.settings.endpoints.len() < 2 {
        return;
    }
    loop {
        tokio::time::sleep(PROBE_EVERY).await;
        if core.clock.now().as_micros() < network.held_until.load(Ordering::Relaxed) {
            network.probe(core.clock.as_ref(), false).await;
        }
    }
}

/// One turn: nothing while another node holds the watch, otherwise looks until everything was seen. Tells whether
/// there was more than one turn takes. Whoever is in a hurry looks all the same: two that look do no harm.
pub(crate) async fn step(core: &Core, network: &Network, in_a_hurry: bool) -> Result<bool, ServiceError> {
    let ledger = network.settings.ledger();
    let held = hold(core, network, &ledger).await;
    if !matches!(held, Ok(true)) {
        // Another node tells of it now, or nobody: what was told here before would be believed for ever.
        withdraw(network);
    }
    if !held? {
        if in_a_hurry {
            engine::look(core, &ledger).await?;
        }
        return Ok(false);
    }
    metrics::gauge!("trousseau_network_watched", "network" => network.settings.chain.to_string()).set(1.0);
    let (began, asked) = (Instant::now(), network.calls());
    let turn = turn(core, network, &ledger).await;
    let now = core.clock.now();
    network.note(|health| {
        health.turn_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        health.turn_calls = network.calls() - asked;
        health.failing_since = match turn {
            Err(ServiceError::NetworkUnavailable(_)) => health.failing_since.or(Some(now)),
            _ => None,
        };
    });
    report(core, network, &ledger).await?;
    turn
}

async fn turn(core: &Core, network: &Network, ledger: &LedgerId) -> Result<bool, ServiceError> {
    for _ in 0..LOOKS_PER_LEASE {
        let looked = engine::look(core, ledger).await?;
        note(core, network, looked);
        if looked.took_back {
            // What came to addresses that are asked for seldom may have been taken back with it.
            network.late_looked_at.store(i64::MIN, Ordering::Relaxed);
        }
        if !looked.is_behind {
            look_late(core, network, ledger).await?;
            // Whether or not this turn saw it go on: another one may have, or may have ended before it came here.
            refunds::follow(core, ledger).await?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Asks for the addresses that nothing is expected on, where it is time to.
async fn look_late(core: &Core, network: &Network, ledger: &LedgerId) -> Result<(), ServiceError> {
    let now = core.clock.now();
    let due = now.saturating_sub(network.settings.late.every).as_micros();
    if network.late_looked_at.load(Ordering::Relaxed) > due {
        return Ok(());
    }
    engine::look_late(core, ledger).await?;
    network.late_looked_at.store(now.as_micros(), Ordering::Relaxed);
    Ok(())
}

/// Writes down how a network is doing, for every other node: now and then, and at once where its condition changes.
async fn report(core: &Core, network: &Network, ledger: &LedgerId) -> Result<(), ServiceError> {
    let now = core.clock.now();
    let watched = network.addresses.lock().await.counted();
    network.note(|health| health.watched = watched);
    let health = network.health();
    metered(network, &health);
    let condition = (health.failing_since.is_some(), health.is_stale);
    let is_known =
        |(at, failing, stale): (Timestamp, bool, bool)| now.since(at) < REPORT_EVERY && (failing, stale) == condition;
    let last = *network.reported.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_some_and(is_known) {
        return Ok(());
    }
    let row = LedgerReportRow {
        ledger: ledger.clone(),
        failing_since: health.failing_since,
        report: serde_json::to_value(&health).unwrap_or_default(),
        reported_at: now,
    };
    let mut tx = core.store.begin().await?;
    tx.put_ledger_report(&row).await?;
    tx.commit().await?;
    *network.reported.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, condition.0, condition.1));
    Ok(())
}

/// Takes the watch over a network, or keeps it; writes that down only once half of its time is over.
async fn hold(core: &Core, network: &Network, ledger: &LedgerId) -> Result<bool, ServiceError> {
    let lease = LEASE.max(network.settings.poll.saturating_mul(3));
    let now = core.clock.now();
    // What is held by a clock that is wrong would be held until another day.
    core.clock_is_sure()?;
    if now.saturating_add(lease / 2).as_micros() < network.held_until.load(Ordering::Relaxed) {
        return Ok(true);
    }
    let until = now.saturating_add(lease);
    let mut tx = core.store.begin().await?;
    let held = tx.hold_ledger(ledger, core.networks.holder(core.entropy.as_ref()), now, until).await?;
    tx.commit().await?;
    network.held_until.store(if held { until.as_micros() } else { i64::MIN }, Ordering::Relaxed);
    Ok(held)
}

/// Gives the watch over all networks to whoever wants it.
pub(crate) async fn release(core: &Core) -> Result<(), ServiceError> {
    for network in core.networks.all() {
        let ledger = network.settings.ledger();
        network.held_until.store(i64::MIN, Ordering::Relaxed);
        let mut tx = core.store.begin().await?;
        tx.release_ledger(&ledger, core.networks.holder(core.entropy.as_ref())).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Writes down how a network is doing.
fn note(core: &Core, network: &Network, looked: engine::Looked) {
    let now = core.clock.now();
    let age = now.since(looked.ledger_time);
    let is_stale = age > network.settings.stale_after && !looked.is_behind;
    let mut was_stale = false;
    let mut height = 0;
    network.note(|health| {
        was_stale = health.is_stale;
        health.seen = looked.height;
        health.block_time = Some(looked.ledger_time);
        health.looked_at = Some(now);
        health.reorganisations += u64::from(looked.took_back);
        health.is_stale = is_stale;
        height = health.height;
    });
    let chain = network.settings.chain.to_string();
    if is_stale && !was_stale {
        tracing::error!(network = %chain, age_s = age.as_secs(), "the network stands still: its latest block is old");
    } else if was_stale && !is_stale {
        tracing::info!(network = %chain, "the network moves again");
    }
    if looked.took_back {
        tracing::warn!(network = %chain, height = looked.height, "the network took blocks back");
        metrics::counter!("trousseau_network_reorganisations_total", "network" => chain.clone()).increment(1);
    }
    metrics::gauge!("trousseau_network_seen_height", "network" => chain.clone()).set(small(looked.height));
    metrics::gauge!("trousseau_network_height", "network" => chain.clone()).set(small(height));
    metrics::gauge!("trousseau_network_block_age_seconds", "network" => chain.clone()).set(small(age.as_secs()));
    if let Some(finalized) = looked.marks.finalized {
        metrics::gauge!("trousseau_network_finalized_height", "network" => chain.clone()).set(small(finalized));
    }
    metrics::gauge!("trousseau_network_deepest_reorganisation_blocks", "network" => chain).set(small(looked.deepest));
}

/// Numbers beyond 32 bits are none that a gauge has a use for.
pub(crate) fn small(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The rest of how a network is doing, as metrics.
fn metered(network: &Network, health: &NetworkHealth) {
    let chain = network.settings.chain.to_string();
    let of_network =
        |name: &'static str, value: u64| metrics::gauge!(name, "network" => chain.clone()).set(small(value));
    of_network("trousseau_network_failing", u64::from(health.failing_since.is_some()));
    of_network("trousseau_network_turn_milliseconds", health.turn_ms);
    of_network("trousseau_network_turn_calls", health.turn_calls);
    for (set, number) in [("close", health.watched.close), ("late", health.watched.late)] {
        metrics::gauge!("trousseau_network_watched_addresses", "network" => chain.clone(), "set" => set)
            .set(small(u64::try_from(number).unwrap_or(u64::MAX)));
    }
    for (index, endpoint) in health.endpoints.iter().enumerate() {
        let of_endpoint = |name: &'static str, value: u64| {
            metrics::gauge!(name, "network" => chain.clone(), "endpoint" => index.to_string()).set(small(value));
        };
        of_endpoint("trousseau_network_endpoint_failures", endpoint.failures.into());
        of_endpoint("trousseau_network_endpoint_span_blocks", endpoint.span);
        if let Some(lag) = health.lag(endpoint) {
            of_endpoint("trousseau_network_endpoint_lag_blocks", lag);
        }
    }
}

/// Tells the metrics that this node does not watch a network. A gauge cannot be taken back: it becomes no number, which
/// no alert exceeds and every maximum leaves out.
fn withdraw(network: &Network) {
    let chain = network.settings.chain.to_string();
    metrics::gauge!("trousseau_network_watched", "network" => chain.clone()).set(0.0);
    for name in OF_NETWORK {
        metrics::gauge!(name, "network" => chain.clone()).set(f64::NAN);
    }
    for set in ["close", "late"] {
        metrics::gauge!("trousseau_network_watched_addresses", "network" => chain.clone(), "set" => set).set(f64::NAN);
    }
    for index in 0..network.settings.endpoints.len() {
        for name in OF_ENDPOINT {
            metrics::gauge!(name, "network" => chain.clone(), "endpoint" => index.to_string()).set(f64::NAN);
        }
    }
}

/// Says once what holds a watch up; what single endpoints do wrong is told where it happens.
fn tell(network: &Network, error: &ServiceError) {
    let failure = error.to_string();
    network.note(|health| {
        let is_new = health.failure.as_ref() != Some(&failure);
        match error {
            ServiceError::NetworkUnavailable(_) => {}
            error if is_new => {
                crate::jobs::report("networks", error);
                health.failure = Some(failure);
            }
            _ => {}
        }
    });
}
