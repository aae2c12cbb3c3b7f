//! What was compared between a network's balances and what was counted, and what it takes to compare.

use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::evm::EvmAddress;
use trousseau_domain::ids::{BusinessId, PaymentId, ReconciliationId};
use trousseau_domain::ledger::{LedgerId, Moved, RawAmount};
use trousseau_domain::reconciliation::{Outcome, Sums};
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::ledgers::{DestinationRow, destination_from, height};
use crate::row::Row;
use crate::stmt::Stmt;

/// One comparison of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconciliationRow {
    /// Its id.
    pub id: ReconciliationId,
    /// What was compared.
    pub ledger: LedgerId,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What it came to.
    pub outcome: Outcome,
    /// The final block at which balances were asked for; none where there was none.
    pub block: Option<u64>,
    /// How many addresses were compared.
    pub addresses: u64,
    /// How many sums differ.
    pub differences: u64,
    /// Why it could not be ended.
    pub failure: Option<String>,
}

/// A sum that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferenceRow {
    /// Whose address it is.
    pub tenant: Tenant,
    /// The payment that the address was given out for.
    pub payment: Option<PaymentId>,
    /// The address.
    pub address: String,
    /// The token.
    pub contract: EvmAddress,
    /// What was counted, and what was found.
    pub sums: Sums,
}

/// Something that came to an address and counts as true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedRow {
    /// The address.
    pub address: String,
    /// The token's contract, where it was written down.
    pub contract: Option<EvmAddress>,
    /// Whether it is what was asked for.
    pub asset: Moved,
    /// Base units.
    pub amount: RawAmount,
}

/// Something that left an address of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingRow {
    /// The height of its block.
    pub block: u64,
    /// Its block.
    pub block_hash: String,
    /// Its place in the block.
    pub log_index: u32,
    /// The transaction.
    pub transaction_hash: String,
    /// The token's contract.
    pub contract: EvmAddress,
    /// The address of ours.
    pub address: String,
    /// To whom.
    pub recipient: EvmAddress,
    /// Base units.
    pub amount: RawAmount,
}

/// Whose forwarders are to be emptied; everybody's unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectFilter {
    /// Only those of this business.
    pub business: Option<BusinessId>,
    /// Only those of this environment.
    pub environment: Option<Environment>,
}

impl ReconciliationRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("reconciliations", "id", |row| {
            Ok(Self {
                id: row.parsed("id")?,
                ledger: row.parsed("ledger")?,
                started_at: row.time("started_at")?,
                finished_at: row.time("finished_at")?,
                outcome: row.parsed("outcome")?,
                block: row.opt_number("block")?,
                addresses: row.number("addresses")?,
                differences: row.number("differences")?,
                failure: row.opt_text("failure")?,
            })
        })
    }
}

impl DifferenceRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("reconciliation_differences", "address", |row| {
            Ok(Self {
                tenant: row.tenant()?,
                payment: row.opt_parsed("payment_id")?,
                address: row.text("address")?,
                contract: row.parsed("contract")?,
                sums: Sums {
                    received: row.parsed("received")?,
                    sent: row.parsed("sent")?,
                    balance: row.parsed("balance")?,
                },
            })
        })
    }
}

macro_rules! columns {
    () => {
        "r.id, r.ledger, r.started_at, r.finished_at, r.outcome, r.block, r.addresses, r.differences, r.failure"
    };
}

/// The columns of an address that was given out.
macro_rules! destination_columns {
    () => {
        "d.ledger, d.network, d.address, d.business_id, d.environment, d.payment_id, d.payout, d.salt, \
         d.extended_key, d.child_index, d.created_at"
    };
}

impl Reader<'_> {
    /// The forwarders of a network that were given out, in the order of their addresses, after the one of `after`; at
    /// most `limit`.
    pub async fn list_forwarders(
        &mut self,
        ledger: &LedgerId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<DestinationRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            destination_columns!(),
            " FROM destinations d WHERE d.ledger = $1 AND d.payout IS NOT NULL \
             AND (CAST($2 AS TEXT) IS NULL OR d.address > $2) \
             ORDER BY d.address LIMIT $3"
        );
        let stmt = Stmt::new(SQL).text(ledger).opt_text(after).int(i64::from(limit));
        self.fetch_all(stmt).await?.iter().map(destination_from).collect()
    }

    /// The forwarders of a network to which something came, as was seen or as the latest comparison found, in the
    /// order of their addresses, after the one of `after`; at most `limit`.
    pub async fn list_collectable(
        &mut self,
        ledger: &LedgerId,
        filter: &CollectFilter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<DestinationRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            destination_columns!(),
            " FROM destinations d WHERE d.ledger = $1 AND (CAST($2 AS TEXT) IS NULL OR d.business_id = $2) \
             AND (CAST($3 AS TEXT) IS NULL OR d.environment = $3) AND d.payout IS NOT NULL \
             AND (CAST($4 AS TEXT) IS NULL OR d.address > $4) \
             AND (EXISTS (SELECT 1 FROM deposits i WHERE i.ledger = d.ledger AND i.address = d.address \
             AND i.canonical = 1) OR EXISTS (SELECT 1 FROM reconciliation_differences f \
             WHERE f.reconciliation_id = (SELECT r.id FROM reconciliations r WHERE r.ledger = d.ledger \
             AND r.outcome <> 'incomplete' ORDER BY r.started_at DESC, r.id DESC LIMIT 1) \
             AND f.business_id = d.business_id AND f.environment = d.environment AND f.address = d.address)) \
             ORDER BY d.address LIMIT $5"
        );
        let stmt = Stmt::new(SQL)
            .text(ledger)
            .opt_text(filter.business.as_ref())
            .opt_text(filter.environment)
            .opt_text(after)
            .int(i64::from(limit));
        self.fetch_all(stmt).await?.iter().map(destination_from).collect()
    }

    /// What came to the addresses between two, both included, up to a block.
    pub async fn list_received(
        &mut self,
        ledger: &LedgerId,
        up_to: u64,
        between: (&str, &str),
    ) -> Result<Vec<ReceivedRow>, StoreError> {
        const SQL: &str = "SELECT address, contract, asset, raw_amount FROM deposits WHERE ledger = $1 \
                           AND canonical = 1 AND block <= $2 AND address >= $3 AND address <= $4";
        let stmt = Stmt::new(SQL).text(ledger).int(height(up_to)).text(between.0).text(between.1);
        let rows = self.fetch_all(stmt).await?;
        let received = |row: &Row| {
            row.read("deposits", "address", |row| {
                Ok(ReceivedRow {
                    address: row.text("address")?,
                    contract: row.opt_parsed("contract")?,
                    asset: row.parsed("asset")?,
                    amount: row.parsed("raw_amount")?,
                })
            })
        };
        rows.iter().map(received).collect()
    }

    /// What left the addresses between two, both included, up to a block.
    pub async fn list_outgoing(
        &mut self,
        ledger: &LedgerId,
        up_to: u64,
        between: (&str, &str),
    ) -> Result<Vec<OutgoingRow>, StoreError> {
        const SQL: &str = "SELECT block, block_hash, log_index, transaction_hash, contract, address, recipient, \
                           raw_amount FROM outgoing_transfers WHERE ledger = $1 AND block <= $2 AND address >= $3 \
                           AND address <= $4 ORDER BY block, log_index";
        let stmt = Stmt::new(SQL).text(ledger).int(height(up_to)).text(between.0).text(between.1);
        let rows = self.fetch_all(stmt).await?;
        let outgoing = |row: &Row| {
            row.read("outgoing_transfers", "address", |row| {
                Ok(OutgoingRow {
                    block: row.number("block")?,
                    block_hash: row.text("block_hash")?,
                    log_index: row.number("log_index")?,
                    transaction_hash: row.text("transaction_hash")?,
                    contract: row.parsed("contract")?,
                    address: row.text("address")?,
                    recipient: row.parsed("recipient")?,
                    amount: row.parsed("raw_amount")?,
                })
            })
        };
        rows.iter().map(outgoing).collect()
    }

    /// The block up to which it is known what left the addresses of a ledger; before the first comparison the one
    /// before anything that was seen of it.
    pub async fn find_scanned_to(&mut self, ledger: &LedgerId) -> Result<Option<u64>, StoreError> {
        const SQL: &str = "SELECT COALESCE((SELECT scanned_to FROM reconciled_ledgers WHERE ledger = $1), \
                           (SELECT MIN(seen.block) - 1 FROM (SELECT MIN(number) AS block FROM ledger_blocks \
                           WHERE ledger = $1 UNION ALL SELECT MIN(block) AS block FROM deposits WHERE ledger = $1) \
                           seen)) AS block";
        let found = self.fetch_one(Stmt::new(SQL).text(ledger)).await?;
        found.read("reconciled_ledgers", "block", |row| {
            Ok(row.opt_int("block")?.map(|block| block.max(0).unsigned_abs()))
        })
    }

    /// The latest comparisons of a network, newest first, or of them those that were ended; at most `limit`.
    pub async fn list_reconciliations(
        &mut self,
        ledger: &LedgerId,
        ended: bool,
        limit: u32,
    ) -> Result<Vec<ReconciliationRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM reconciliations r WHERE r.ledger = $1 AND (CAST($2 AS BIGINT) = 0 OR r.outcome <> 'incomplete') \
             ORDER BY r.started_at DESC, r.id DESC LIMIT $3"
        );
        let rows = self.fetch_all(Stmt::new(SQL).text(ledger).flag(ended).int(i64::from(limit))).await?;
        rows.iter().map(ReconciliationRow::from_row).collect()
    }

    /// What a comparison found to differ, of everybody or of one tenant, by address; at most `limit`.
    pub async fn list_differences(
        &mut self,
        id: ReconciliationId,
        tenant: Option<&Tenant>,
        limit: u32,
    ) -> Result<Vec<DifferenceRow>, StoreError> {
        const SQL: &str = "SELECT business_id, environment, payment_id, address, contract, received, sent, balance \
                           FROM reconciliation_differences WHERE reconciliation_id = $1 \
                           AND (CAST($2 AS TEXT) IS NULL OR business_id = $2) \
                           AND (CAST($3 AS TEXT) IS NULL OR environment = $3) ORDER BY address, contract LIMIT $4";
        let stmt = Stmt::new(SQL)
            .text(id)
            .opt_text(tenant.map(|tenant| &tenant.business))
            .opt_text(tenant.map(|tenant| tenant.environment))
            .int(i64::from(limit));
        self.fetch_all(stmt).await?.iter().map(DifferenceRow::from_row).collect()
    }
}

impl Tx {
    /// Takes or keeps the right to compare a network until an instant; `false` while another holder has it.
    pub async fn hold_reconciliation(
        &mut self,
        ledger: &LedgerId,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO reconciled_ledgers (ledger, holder, held_until) VALUES ($1, $2, $4) \
                           ON CONFLICT (ledger) DO UPDATE SET holder = excluded.holder, \
                           held_until = excluded.held_until WHERE reconciled_ledgers.holder IS NULL \
                           OR reconciled_ledgers.holder = excluded.holder OR reconciled_ledgers.held_until <= $3";
        self.change_one(Stmt::new(SQL).text(ledger).text(holder).time(now).time(until)).await
    }

    /// Gives the right to compare a network back.
    pub async fn release_reconciliation(&mut self, ledger: &LedgerId, holder: &str) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE reconciled_ledgers SET holder = NULL, held_until = NULL WHERE ledger = $1 \
                           AND holder = $2";
        self.change_one(Stmt::new(SQL).text(ledger).text(holder)).await
    }

    /// Keeps what left addresses above one block up to another, by whoever has the right to compare; what is known stays.
    /// `false`, and nothing is kept, where it was read up to another block meanwhile.
    pub async fn keep_outgoing(
        &mut self,
        ledger: &LedgerId,
        (above, up_to): (u64, u64),
        rows: &[OutgoingRow],
    ) -> Result<bool, StoreError> {
        const ROW: &str = "INSERT INTO outgoing_transfers (ledger, block, block_hash, log_index, transaction_hash, \
                           contract, address, recipient, raw_amount) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                           ON CONFLICT (ledger, block_hash, log_index) DO NOTHING";
        const SCANNED: &str = "UPDATE reconciled_ledgers SET scanned_to = $2 WHERE ledger = $1 \
                               AND COALESCE(scanned_to, $3) = $3";
        let stmt = Stmt::new(SCANNED).text(ledger).int(height(up_to)).int(height(above));
        if !self.change_one(stmt).await? {
            return Ok(false);
        }
        for row in rows {
            let stmt = Stmt::new(ROW)
                .text(ledger)
                .int(height(row.block))
                .text(&row.block_hash)
                .int(i64::from(row.log_index))
                .text(&row.transaction_hash)
                .text(row.contract)
                .text(&row.address)
                .text(row.recipient)
                .text(&row.amount);
            self.execute(stmt).await?;
        }
        Ok(true)
    }

    /// Forgets what left addresses above a height, which is to be read again.
    pub async fn take_back_outgoing(&mut self, ledger: &LedgerId, above: u64) -> Result<(), StoreError> {
        const ROWS: &str = "DELETE FROM outgoing_transfers WHERE ledger = $1 AND block > $2";
        const SCANNED: &str = "UPDATE reconciled_ledgers SET scanned_to = $2 WHERE ledger = $1 AND scanned_to > $2";
        for sql in [ROWS, SCANNED] {
            self.execute(Stmt::new(sql).text(ledger).int(height(above))).await?;
        }
        Ok(())
    }

    /// Adds a comparison with what it found to differ.
    pub async fn insert_reconciliation(
        &mut self,
        run: &ReconciliationRow,
        differences: &[DifferenceRow],
    ) -> Result<(), StoreError> {
        const RUN: &str = "INSERT INTO reconciliations (id, ledger, started_at, finished_at, outcome, block, \
                           addresses, differences, failure) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        const DIFFERENCE: &str = "INSERT INTO reconciliation_differences (reconciliation_id, address, contract, \
                                  business_id, environment, payment_id, received, sent, balance) \
                                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let stmt = Stmt::new(RUN)
            .text(run.id)
            .text(&run.ledger)
            .time(run.started_at)
            .time(run.finished_at)
            .text(run.outcome)
            .opt_int(run.block.map(height))
            .int(height(run.addresses))
            .int(height(run.differences))
            .opt_text(run.failure.as_ref());
        self.execute(stmt).await?;
        for row in differences {
            let stmt = Stmt::new(DIFFERENCE)
                .text(run.id)
                .text(&row.address)
                .text(row.contract)
                .text(&row.tenant.business)
                .text(row.tenant.environment)
                .opt_text(row.payment)
                .text(row.sums.received)
                .text(row.sums.sent)
                .text(row.sums.balance);
            self.execute(stmt).await?;
        }
        Ok(())
    }
}
