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
use crate::index::{LEASE, since_boot};
use crate::jobs::Health;

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
        // By a wrong clock, servers would be forgotten that are there. Before the first proof it was not compared, and
        // it is judged after it was read: it may be moved at any time.
        if core.index.state().proven.is_some() && core.index.clock_is_sure() {
            tx.prune_nodes(row.seen_at.saturating_sub(FORGOTTEN_AFTER)).await?;
        }
        tx.commit().await?;
        self.told.send_replace(true);
        Ok(())
    }

    /// Tells which changes this server has, as they come, until nobody waits for it any more.
    pub(crate) async fn tell(&self, core: &Core, health: &mut Health) {
        let index = &core.index;
        let mut proven = index.proofs();
        loop {
            let (applied, told_at) = (index.state().applied, since_boot());
            let noted = self.note(core, applied).await;
            let failed = noted.is_err();
            health.note(noted).await;
            if failed {
                continue;
            }
            tokio::time::sleep(TELL_AT_MOST_EVERY).await;
            // A machine that slept may have been forgotten meanwhile, and the timer slept with it.
            let slept = || Duration::from_nanos(since_boot().saturating_sub(told_at)) > TELL_EVERY * 2;
            let due = async {
                // Not by `wait_for`, which holds what the state is read from.
                while index.state().applied == applied && !slept() && proven.changed().await.is_ok() {}
            };
            // A timeout is the usual case: nothing has changed.
            let _ = tokio::time::timeout(TELL_EVERY, due).await;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trousseau_domain::time::Timestamp;
    use trousseau_store::testing::TestDatabase;

    use super::*;
    use crate::app::App;
    use crate::clock::ManualClock;
    use crate::entropy::SeededEntropy;
    use crate::secrets::Secrets;
    use crate::settings::Settings;

    /// A server whose clock is so much ahead.
    async fn server(database: &TestDatabase, seed: u64, ahead: Duration) -> Arc<Core> {
        let now: Timestamp = "2026-01-31T09:30:00Z".parse().expect("good");
        let clock = Arc::new(ManualClock::new(now.saturating_add(ahead)));
        let entropy = Arc::new(SeededEntropy::new(seed));
        let (store, keys) = (database.store().clone(), database.folder().expect("SQLite has one").join("keys.toml"));
        let secrets = Secrets::open(store.clone(), keys, clock.clone(), entropy.clone()).await.expect("opens");
        let app = App::new(store, secrets, Settings::default(), clock, entropy);
        app.jobs().core().expect("the application is there")
    }

    async fn listed(database: &TestDatabase) -> usize {
        database.texts("SELECT id FROM nodes").await.len()
    }

    #[tokio::test]
    async fn a_server_that_could_not_tell_of_itself_is_well_again() {
        let database = TestDatabase::sqlite().await;
        let core = server(&database, 1, Duration::ZERO).await;
        let board = core.jobs.board().clone();
        let telling = tokio::spawn({
            let core = Arc::clone(&core);
            async move { core.node.tell(&core, &mut Health::new("nodes").on(core.jobs.board())).await }
        });
        let becomes = async |failing: bool| {
            let is_so = || board.states().iter().any(|state| state.failing == failing && state.last_ok.is_some());
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        becomes(false).await;
        database.run("ALTER TABLE nodes RENAME TO elsewhere").await.expect("away");
        becomes(true).await;
        database.run("ALTER TABLE elsewhere RENAME TO nodes").await.expect("back");
        becomes(false).await;
        telling.abort();
    }

    #[tokio::test]
    async fn nobody_is_forgotten_by_a_clock_that_was_not_compared() {
        let database = TestDatabase::sqlite().await;
        let one = server(&database, 1, Duration::ZERO).await;
        let ahead = server(&database, 2, FORGOTTEN_AFTER * 2).await;
        one.node.enter(&one).await.expect("told");
        ahead.node.enter(&ahead).await.expect("told");
        assert_eq!(listed(&database).await, 2);
        // Once the clock is believed, who was silent for so long is forgotten, and back as soon as it tells of itself.
        ahead.index.prove(&ahead.store).await.expect("proven");
        ahead.node.note(&ahead, 0).await.expect("told");
        assert_eq!(listed(&database).await, 1);
        one.node.note(&one, 0).await.expect("told");
        assert_eq!(listed(&database).await, 2);
    }
}
