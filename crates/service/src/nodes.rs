//! The servers that run on this database: what each tells of itself, and from when on a change is in force on all.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use trousseau_domain::ids::NodeId;
use trousseau_store::{NodeRow, Store, StoreError};

use crate::app::Core;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::index::LEASE;

/// How often a server tells of itself where nothing changes.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// How much apart it tells of changes at least: each time is a write.
const TELL_AT_MOST_EVERY: Duration = Duration::from_millis(20);
/// A server that was silent for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);
/// How often it is looked whether all have a change.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// When no server answers with what was before any more, whether it told of itself or not: its lease has run out.
pub const BOUND: Duration = Duration::from_secs(1);
const _: () = assert!(LEASE.as_millis() < BOUND.as_millis(), "the bound is above the lease");

/// This server, as it tells of itself.
#[derive(Debug, Default)]
pub(crate) struct ThisNode {
    id: OnceLock<NodeId>,
    /// Whether it has told of itself.
    told: watch::Sender<bool>,
}

impl ThisNode {
    /// Tells that this server is there, with none of the changes. From then on whoever waits for a change to be in force
    /// waits for this server too, so that it comes before the first answer from memory.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn enter(&self, core: &Core) -> Result<(), StoreError> {
        self.note(core, 0).await
    }

    /// Waits until this server has told of itself.
    pub(crate) async fn entered(&self) {
        let _ = self.told.subscribe().wait_for(|told| *told).await;
    }

    async fn note(&self, core: &Core, applied_seq: i64) -> Result<(), StoreError> {
        let Core { store, clock, started_at, .. } = core;
        let row = NodeRow {
            id: *self.id.get_or_init(|| NodeId::new(*started_at, core.entropy.bytes())),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: *started_at,
            seen_at: clock.now(),
            applied_seq,
        };
        let mut tx = store.begin().await?;
        tx.note_node(&row).await?;
        tx.prune_nodes(row.seen_at.saturating_sub(FORGOTTEN_AFTER)).await?;
        tx.commit().await?;
        self.told.send_replace(true);
        Ok(())
    }

    /// Tells which changes this server has, as they come, until nobody waits for it any more.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn tell(&self, core: &Core) -> Result<(), StoreError> {
        let index = &core.index;
        let mut proven = index.proofs();
        let mut told = None;
        loop {
            let applied = index.state().applied;
            if told != Some(applied) {
                self.note(core, applied).await?;
                told = Some(applied);
                tokio::time::sleep(TELL_AT_MOST_EVERY).await;
            }
            let changed = proven.wait_for(|_| Some(index.state().applied) != told);
            if tokio::time::timeout(TELL_EVERY, changed).await.is_err() {
                told = None;
            }
        }
    }

    /// Takes this server off the list.
    pub(crate) async fn leave(&self, store: &Store) -> Result<(), StoreError> {
        let Some(id) = self.id.get() else { return Ok(()) };
        let mut tx = store.begin().await?;
        tx.remove_node(*id).await?;
        tx.commit().await
    }
}

/// Why a server does not act on what was before any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppliedBy {
    /// It told that it has the change.
    Change,
    /// It did not tell, and may answer from memory no longer.
    LeaseEnd,
}

impl AppliedBy {
    /// As a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::LeaseEnd => "lease_end",
        }
    }
}

/// From when on a change was in force on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeApplied {
    /// Which.
    pub node: NodeId,
    /// How long it took at most.
    pub after: Duration,
    /// How that is known.
    pub by: AppliedBy,
}

/// From when on a change was in force everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// The servers that run; none where the command line works alone.
    pub nodes: Vec<NodeApplied>,
    /// How long it took on the last of them, at most.
    pub after: Duration,
}

/// Use cases of servers.
#[derive(Debug, Clone, Copy)]
pub struct Nodes<'a> {
    core: &'a Core,
}

impl<'a> Nodes<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    async fn told_within(self, time: Duration) -> Result<Vec<NodeRow>, ServiceError> {
        let since = self.core.clock.now().saturating_sub(time);
        Ok(self.core.store.read().list_nodes(since).await?)
    }

    /// Waits until all that is committed by now is in force on every server, at most as long as the bound, and tells how
    /// long after `since` it was on each.
    pub async fn wait_applied(self, since: Instant) -> Result<InForce, ServiceError> {
        let committed = Instant::now();
        let seq = self.core.store.read().current_seq().await?;
        let mut applied = BTreeMap::new();
        loop {
            // Also those that have been silent for a while: they may answer from memory as long as their lease lasts.
            let nodes = self.told_within(FORGOTTEN_AFTER).await?;
            // By now nobody answers from a memory without it, be the list complete or not.
            let over = committed.elapsed() >= BOUND;
            for node in &nodes {
                let has_it = (node.applied_seq >= seq).then_some(AppliedBy::Change);
                let by = has_it.or_else(|| over.then_some(AppliedBy::LeaseEnd));
                if let Some(by) = by {
                    applied.entry(node.id).or_insert((since.elapsed(), by));
                }
            }
            if nodes.iter().all(|node| applied.contains_key(&node.id)) {
                let nodes: Vec<_> =
                    applied.into_iter().map(|(node, (after, by))| NodeApplied { node, after, by }).collect();
                let after = nodes.iter().map(|node| node.after).max().unwrap_or_else(|| since.elapsed());
                return Ok(InForce { nodes, after });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
