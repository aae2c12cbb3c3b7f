//! The watch over a network: one node holds it, looks when the time has come or somebody has a hint, and catches up.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;
use trousseau_domain::ledger::LedgerId;
use trousseau_domain::networks::ChainId;

use super::{Network, NetworkHealth, NetworkMismatch, Unanswered};
use crate::app::Core;
use crate::error::ServiceError;
use crate::payments::engine;

/// The shortest time for which a node holds the watch; longer for networks that are looked at seldom.
const LEASE: Duration = Duration::from_secs(30);
/// Looks under one lease, while there is something to catch up with.
const LOOKS_PER_LEASE: u32 = 20;

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
        self.core.networks.check().await
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
        engine::look_again(self.core, &LedgerId::Network(chain.clone()), blocks).await
    }
}

/// Watches over a network without end.
pub(crate) async fn watch(core: &Core, network: &Network) {
    loop {
        let again = match step(core, network).await {
            Ok(is_behind) => is_behind,
            Err(error) => {
                tell(network, &error);
                false
            }
        };
        if !again {
            let _ = timeout(network.settings.poll, network.hint.notified()).await;
        }
    }
}

/// One turn: nothing while another node holds the watch, otherwise looks until everything was seen. Tells whether
/// there was more than one turn takes.
pub(crate) async fn step(core: &Core, network: &Network) -> Result<bool, ServiceError> {
    let ledger = LedgerId::Network(network.settings.chain.clone());
    if !hold(core, network, &ledger).await? {
        return Ok(false);
    }
    for _ in 0..LOOKS_PER_LEASE {
        let looked = engine::look(core, &ledger).await?;
        note(core, network, looked);
        if !looked.is_behind {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes the watch over a network, or keeps it; writes that down only once half of its time is over.
async fn hold(core: &Core, network: &Network, ledger: &LedgerId) -> Result<bool, ServiceError> {
    let lease = LEASE.max(network.settings.poll.saturating_mul(3));
    let now = core.clock.now();
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
        let ledger = LedgerId::Network(network.settings.chain.clone());
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
    let (mut height, mut reorganisations) = (0, 0);
    network.note(|health| {
        was_stale = health.is_stale;
        health.seen = looked.height;
        health.block_time = Some(looked.ledger_time);
        health.looked_at = Some(now);
        health.reorganisations += u64::from(looked.took_back);
        health.is_stale = is_stale;
        (height, reorganisations) = (health.height, health.reorganisations);
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
    let small = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    metrics::gauge!("trousseau_network_seen_height", "network" => chain.clone()).set(small(looked.height));
    metrics::gauge!("trousseau_network_height", "network" => chain.clone()).set(small(height));
    metrics::gauge!("trousseau_network_block_age_seconds", "network" => chain).set(small(age.as_secs()));
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
