//! Rails: what looks at a ledger outside, and does nothing else.

use trousseau_domain::ids::BusinessId;
use trousseau_domain::ledger::{Block, LedgerId, Marks, Observation, Transfer, holds_to};
use trousseau_domain::networks::ChainId;
use trousseau_store::{Store, StoreError};

use crate::clock::Clock;
use crate::error::ServiceError;
use crate::payments::test_ledger::clock_of;

/// How many confirmations make a transfer on the test ledger final.
pub(crate) const TEST_CONFIRMATIONS: u32 = 3;

/// Looks at one ledger. A look has no effects and may be repeated.
pub(crate) trait Rail: Send + Sync {
    /// What the ledger holds beyond `known`, the blocks that were seen last, newest first.
    ///
    /// # Errors
    /// [`RailError`] where it cannot be reached; what was known stays.
    fn observe(&self, known: &[Block]) -> impl Future<Output = Result<Observation, RailError>> + Send;
}

/// Why a ledger could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum RailError {
    /// No rail looks at it.
    #[error("no rail looks at the ledger {0}")]
    Unknown(LedgerId),
    /// The database failed, in which the test ledger and the addresses of all ledgers are.
    #[error("the database cannot be read")]
    Store(#[from] StoreError),
    /// None of the endpoints of a network answered in a way that can be believed.
    #[error("the network {0} cannot be looked at: {1}")]
    NoEndpoint(ChainId, String),
}

impl From<RailError> for ServiceError {
    fn from(error: RailError) -> Self {
        match error {
            RailError::Unknown(_) => Self::NotFound,
            RailError::Store(error) => Self::Store(error),
            RailError::NoEndpoint(chain, _) => Self::NetworkUnavailable(chain),
        }
    }
}

/// The rail of TEST: a ledger in our own database, which is read as if it were anywhere.
#[derive(Debug)]
pub(crate) struct TestRail<'a> {
    pub(crate) store: &'a Store,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) business: BusinessId,
}

impl Rail for TestRail<'_> {
    async fn observe(&self, known: &[Block]) -> Result<Observation, RailError> {
        // One transaction that holds the ledger: no fork begins between the blocks and what is in them.
        let mut tx = self.store.begin().await?;
        let ledger = tx.lock_test_ledger(&self.business).await?;
        let lowest = known.last().map_or(1, |block| block.number);
        let mut reader = tx.read();
        let on_ledger = reader.list_test_blocks(&self.business, lowest).await?;
        let hash_at =
            |number: u64| on_ledger.iter().find(|block| block.number == number).map(|block| block.hash.clone());
        let holds_to = holds_to(known, hash_at);
        let from = holds_to + 1;
        let rows = reader.list_test_transfers(&self.business, from).await?;
        let ledger_time = ledger.halted_at.unwrap_or_else(|| clock_of(&ledger, self.clock.now()));
        let blocks: Vec<_> = if holds_to < lowest && lowest > 1 {
            // Deeper than what is known: from the start.
            reader.list_test_blocks(&self.business, from).await?
        } else {
            on_ledger.into_iter().filter(|block| block.number >= from).collect()
        };
        let mut transfers = Vec::with_capacity(rows.len());
        let mut place = (0, 0);
        for row in rows {
            let Some(block) = row.block.and_then(|number| blocks.iter().find(|block| block.number == number)) else {
                continue;
            };
            place = if place.0 == block.number { (place.0, place.1 + 1) } else { (block.number, 0) };
            if row.reverted {
                continue;
            }
            transfers.push(Transfer {
                network: row.network,
                block: block.number,
                block_hash: block.hash.clone(),
                log_index: place.1,
                transaction_hash: row.transaction_hash,
                asset: row.asset,
                contract: None,
                from: row.from,
                to: row.to,
                amount: row.amount,
            });
        }
        // What is seen here is acted on elsewhere.
        tx.settle().await?;
        let ledger_height = ledger.height;
        let marks = Marks::default();
        Ok(Observation { holds_to, blocks, transfers, ledger_time, marks, ledger_height, saw_all: true })
    }
}
