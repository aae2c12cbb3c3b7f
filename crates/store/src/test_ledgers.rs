//! The ledger of TEST, one per business: what an outside network is in LIVE.

use trousseau_domain::ids::BusinessId;
use trousseau_domain::ledger::{Block, Moved, RawAmount};
use trousseau_domain::networks::ChainId;
use trousseau_domain::time::Timestamp;

use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::ledgers::{block_from, height};
use crate::row::Row;
use crate::stmt::Stmt;

/// A test ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestLedgerRow {
    /// Whose.
    pub business: BusinessId,
    /// Its height.
    pub height: u64,
    /// Microseconds by which its clock was set forward.
    pub clock_offset: u64,
    /// The instant of its own clock at which it halted.
    pub halted_at: Option<Timestamp>,
    /// Transactions ever made.
    pub transactions: u64,
    /// Forks ever made.
    pub forks: u64,
}

/// A transaction on a test ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestTransferRow {
    /// 1, 2, 3 on its ledger.
    pub number: u64,
    /// The network that it is on.
    pub network: ChainId,
    /// What it is called.
    pub transaction_hash: String,
    /// Which asset it moves.
    pub asset: Moved,
    /// From whom.
    pub from: String,
    /// To whom.
    pub to: String,
    /// How much.
    pub amount: RawAmount,
    /// Whether it fails and moves nothing.
    pub reverted: bool,
    /// The block that it is in; none while it waits for one.
    pub block: Option<u64>,
}

impl TestLedgerRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("test_ledgers", "business_id", |row| {
            Ok(Self {
                business: row.parsed("business_id")?,
                height: row.number("height")?,
                clock_offset: row.number("clock_offset")?,
                halted_at: row.opt_time("halted_at")?,
                transactions: row.number("transactions")?,
                forks: row.number("forks")?,
            })
        })
    }
}

impl TestTransferRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("test_transfers", "number", Self::from_columns)
    }

    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        Ok(Self {
            number: row.number("number")?,
            network: row.parsed("network")?,
            transaction_hash: row.text("transaction_hash")?,
            asset: row.parsed("asset")?,
            from: row.text("sender")?,
            to: row.text("address")?,
            amount: row.parsed("raw_amount")?,
            reverted: row.flag("reverted")?,
            block: row.opt_number("block")?,
        })
    }
}

macro_rules! select_transfer {
    ($rest:literal) => {
        concat!(
            "SELECT number, network, transaction_hash, asset, sender, address, raw_amount, reverted, block \
             FROM test_transfers ",
            $rest
        )
    };
}

impl Reader<'_> {
    /// The test ledger of a business; none before it is first used.
    pub async fn find_test_ledger(&mut self, business: &BusinessId) -> Result<Option<TestLedgerRow>, StoreError> {
        const SQL: &str = "SELECT business_id, height, clock_offset, halted_at, transactions, forks \
                           FROM test_ledgers WHERE business_id = $1";
        self.fetch_optional(Stmt::new(SQL).text(business)).await?.as_ref().map(TestLedgerRow::from_row).transpose()
    }

    /// The blocks of a test ledger from a height on, in order.
    pub async fn list_test_blocks(&mut self, business: &BusinessId, from: u64) -> Result<Vec<Block>, StoreError> {
        const SQL: &str = "SELECT number, hash, parent, at FROM test_blocks WHERE business_id = $1 \
                           AND number >= $2 ORDER BY number";
        let rows = self.fetch_all(Stmt::new(SQL).text(business).int(height(from))).await?;
        rows.iter().map(|row| block_from("test_blocks", row)).collect()
    }

    /// What the blocks of a test ledger hold from a height on, in the ledger's order.
    pub async fn list_test_transfers(
        &mut self,
        business: &BusinessId,
        from: u64,
    ) -> Result<Vec<TestTransferRow>, StoreError> {
        const SQL: &str = select_transfer!("WHERE business_id = $1 AND block >= $2 ORDER BY block, number");
        let rows = self.fetch_all(Stmt::new(SQL).text(business).int(height(from))).await?;
        rows.iter().map(TestTransferRow::from_row).collect()
    }

    /// The transaction of this name on a network of a test ledger.
    pub async fn find_test_transfer(
        &mut self,
        business: &BusinessId,
        network: &ChainId,
        transaction_hash: &str,
    ) -> Result<Option<TestTransferRow>, StoreError> {
        const SQL: &str =
            select_transfer!("WHERE business_id = $1 AND network = $2 AND transaction_hash = $3 ORDER BY number");
        let stmt = Stmt::new(SQL).text(business).text(network).text(transaction_hash);
        self.fetch_optional(stmt).await?.as_ref().map(TestTransferRow::from_row).transpose()
    }

    /// Test ledgers that were not looked at since they last changed; at most `limit`.
    pub async fn list_unseen_test_ledgers(&mut self, limit: u32) -> Result<Vec<BusinessId>, StoreError> {
        const SQL: &str = "SELECT t.business_id AS business_id FROM test_ledgers t \
                           LEFT JOIN ledger_cursors c ON c.ledger = 'test/' || t.business_id \
                           LEFT JOIN test_blocks b ON b.business_id = t.business_id AND b.number = t.height \
                           LEFT JOIN ledger_blocks k ON k.ledger = c.ledger AND k.number = c.height \
                           WHERE t.height > 0 AND (c.ledger IS NULL OR c.height <> t.height OR k.hash <> b.hash) \
                           LIMIT $1";
        let rows = self.fetch_all(Stmt::new(SQL).int(i64::from(limit))).await?;
        rows.iter().map(|row| row.read("test_ledgers", "business_id", |row| row.parsed("business_id"))).collect()
    }
}

impl Tx {
    /// Takes the test ledger of a business for this transaction; makes it where there is none.
    pub async fn lock_test_ledger(&mut self, business: &BusinessId) -> Result<TestLedgerRow, StoreError> {
        const SQL: &str = "INSERT INTO test_ledgers (business_id, height, clock_offset, halted_at, transactions, \
                           forks) VALUES ($1, 0, 0, NULL, 0, 0) ON CONFLICT (business_id) \
                           DO UPDATE SET height = test_ledgers.height \
                           RETURNING business_id, height, clock_offset, halted_at, transactions, forks";
        TestLedgerRow::from_row(&self.fetch_one(Stmt::new(SQL).text(business)).await?)
    }

    /// Saves a test ledger that this transaction holds.
    pub async fn update_test_ledger(&mut self, ledger: &TestLedgerRow) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE test_ledgers SET height = $2, clock_offset = $3, halted_at = $4, \
                           transactions = $5, forks = $6 WHERE business_id = $1";
        let stmt = Stmt::new(SQL)
            .text(&ledger.business)
            .int(height(ledger.height))
            .int(height(ledger.clock_offset))
            .opt_time(ledger.halted_at)
            .int(height(ledger.transactions))
            .int(height(ledger.forks));
        self.execute(stmt).await?;
        Ok(())
    }

    /// Adds a block, and puts every transaction into it that waits for one.
    pub async fn insert_test_block(&mut self, business: &BusinessId, block: &Block) -> Result<(), StoreError> {
        const BLOCK: &str = "INSERT INTO test_blocks (business_id, number, hash, parent, at) \
                             VALUES ($1, $2, $3, $4, $5)";
        const TRANSFERS: &str = "UPDATE test_transfers SET block = $2 WHERE business_id = $1 AND block IS NULL";
        let number = height(block.number);
        let stmt = Stmt::new(BLOCK).text(business).int(number).text(&block.hash).text(&block.parent).time(block.at);
        self.execute(stmt).await?;
        self.execute(Stmt::new(TRANSFERS).text(business).int(number)).await?;
        Ok(())
    }

    /// Takes back the blocks above a height. Their transactions are gone, or wait for a block again.
    pub async fn take_back_test_blocks(
        &mut self,
        business: &BusinessId,
        above: u64,
        keep_transactions: bool,
    ) -> Result<(), StoreError> {
        const BLOCKS: &str = "DELETE FROM test_blocks WHERE business_id = $1 AND number > $2";
        const GONE: &str = "DELETE FROM test_transfers WHERE business_id = $1 AND block > $2";
        const WAITING: &str = "UPDATE test_transfers SET block = NULL WHERE business_id = $1 AND block > $2";
        self.execute(Stmt::new(BLOCKS).text(business).int(height(above))).await?;
        let transfers = if keep_transactions { WAITING } else { GONE };
        self.execute(Stmt::new(transfers).text(business).int(height(above))).await?;
        Ok(())
    }

    /// Adds a transaction that waits for a block.
    pub async fn insert_test_transfer(
        &mut self,
        business: &BusinessId,
        transfer: &TestTransferRow,
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO test_transfers (business_id, number, network, transaction_hash, asset, sender, \
                           address, raw_amount, reverted, block) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let stmt = Stmt::new(SQL)
            .text(business)
            .int(height(transfer.number))
            .text(&transfer.network)
            .text(&transfer.transaction_hash)
            .text(transfer.asset)
            .text(&transfer.from)
            .text(&transfer.to)
            .text(&transfer.amount)
            .flag(transfer.reverted)
            .opt_int(transfer.block.map(height));
        self.execute(stmt).await?;
        Ok(())
    }
}
