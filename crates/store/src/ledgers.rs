//! What was seen on ledgers: how far each was looked at, its blocks, what came in, and where money may be sent.

use trousseau_domain::environment::Tenant;
use trousseau_domain::evm::{ChildIndex, EvmAddress, ExtendedPublicKey, Salt};
use trousseau_domain::ids::{DepositId, PaymentId};
use trousseau_domain::ledger::{Block, LedgerId, Marks, Moved, Transfer};
use trousseau_domain::money::Asset;
use trousseau_domain::networks::ChainId;
use trousseau_domain::time::Timestamp;

use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::payments::Destination;
use crate::row::Row;
use crate::stmt::Stmt;

/// How far a ledger was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorRow {
    /// Which ledger.
    pub ledger: LedgerId,
    /// Its height.
    pub height: u64,
    /// Its own time.
    pub ledger_time: Timestamp,
    /// What it says itself of how certain its blocks are.
    pub marks: Marks,
    /// How often it took blocks back.
    pub reorganisations: u64,
    /// How many blocks it took back at most.
    pub deepest: u64,
    /// The height up to which it was asked for every address, those that nothing is expected on as well.
    pub late_height: u64,
    /// Raised by every look.
    pub revision: i64,
    /// When it was last looked at.
    pub updated_at: Timestamp,
}

/// Something that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositRow {
    /// Its id.
    pub id: DepositId,
    /// Which ledger.
    pub ledger: LedgerId,
    /// What moved, and where it stands.
    pub transfer: Transfer,
    /// The base units, where they fit 64 bits.
    pub units: Option<i64>,
    /// The ledger's own time of its block.
    pub block_time: Timestamp,
    /// Whether the ledger still holds it to be true.
    pub canonical: bool,
    /// Whose address it came to.
    pub tenant: Tenant,
    /// The payment that it counts for.
    pub payment: Option<PaymentId>,
    /// When it was first seen.
    pub seen_at: Timestamp,
    /// When somebody decided what becomes of it.
    pub resolved_at: Option<Timestamp>,
    /// What was decided, and why.
    pub resolution: Option<serde_json::Value>,
}

/// An address that was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationRow {
    /// Where.
    pub destination: Destination,
    /// Whose.
    pub tenant: Tenant,
    /// The payment that it is for; one that Mileston's clients ask for has none before they verify it.
    pub payment: Option<PaymentId>,
    /// What lies behind it, where it is a forwarder on an EVM network.
    pub forwarder: Option<ForwarderRow>,
    /// Which address it is of a wallet of the business, where its money goes by an extended public key.
    pub child: Option<ChildRow>,
    /// When it was given out.
    pub created_at: Timestamp,
}

/// An address of a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildRow {
    /// The account of the wallet.
    pub key: ExtendedPublicKey,
    /// Which of its addresses.
    pub index: ChildIndex,
}

/// What the address of a forwarder follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwarderRow {
    /// The only address that it can pay.
    pub payout: EvmAddress,
    /// What makes it differ from others that pay the same.
    pub salt: Salt,
}

/// An address that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedRow {
    /// The address, as it is shown.
    pub address: String,
    /// What its payment is in; none while it has no payment.
    pub asset: Option<Asset>,
    /// Since when nothing is expected there: its payment is over, or there is none. None where something is.
    pub over_since: Option<Timestamp>,
    /// When it was given out.
    pub created_at: Timestamp,
}

/// What came in blocks that a ledger took back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakenBack {
    /// The payments that it counted for.
    pub payments: Vec<PaymentId>,
    /// What counted for none, each with whose it is.
    pub deposits: Vec<(Tenant, DepositId)>,
}

/// What whoever watches a ledger last said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerReportRow {
    /// Which ledger.
    pub ledger: LedgerId,
    /// What was said.
    pub report: serde_json::Value,
    /// Since when nobody answers who could tell of it.
    pub failing_since: Option<Timestamp>,
    /// When it was said.
    pub reported_at: Timestamp,
}

macro_rules! deposit_columns {
    () => {
        "d.id, d.ledger, d.network, d.block, d.block_hash, d.log_index, d.transaction_hash, d.asset, d.contract, \
         d.sender, d.address, d.raw_amount, d.units, d.block_time, d.canonical, d.business_id, d.environment, d.payment_id, \
         d.seen_at, d.resolved_at, d.resolution"
    };
}

/// What nobody looked at yet and no payment takes: another asset, an amount beyond 64 bits, an address without a
/// payment.
macro_rules! unmatched {
    () => {
        "d.canonical = 1 AND d.resolved_at IS NULL AND (d.payment_id IS NULL OR d.asset <> 'accepted' OR d.units IS NULL)"
    };
}

impl CursorRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("ledger_cursors", "ledger", |row| {
            Ok(Self {
                ledger: row.parsed("ledger")?,
                height: row.number("height")?,
                ledger_time: row.time("ledger_time")?,
                marks: Marks { safe: row.opt_number("safe")?, finalized: row.opt_number("finalized")? },
                reorganisations: row.number("reorganisations")?,
                deepest: row.number("deepest")?,
                late_height: row.opt_number("late_height")?.map_or_else(|| row.number("height"), Ok)?,
                revision: row.int("revision")?,
                updated_at: row.time("updated_at")?,
            })
        })
    }
}

impl DepositRow {
    /// Whether it counts for its payment.
    pub fn counts(&self) -> bool {
        self.canonical && self.transfer.asset == Moved::Accepted && self.units.is_some()
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("deposits", "id", Self::from_columns)
    }

    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        Ok(Self {
            id: row.parsed("id")?,
            ledger: row.parsed("ledger")?,
            transfer: Transfer {
                network: row.parsed("network")?,
                block: row.number("block")?,
                block_hash: row.text("block_hash")?,
                log_index: row.number("log_index")?,
                transaction_hash: row.text("transaction_hash")?,
                asset: row.parsed("asset")?,
                contract: row.opt_parsed("contract")?,
                from: row.text("sender")?,
                to: row.text("address")?,
                amount: row.parsed("raw_amount")?,
            },
            units: row.opt_int("units")?,
            block_time: row.time("block_time")?,
            canonical: row.flag("canonical")?,
            tenant: row.tenant()?,
            payment: row.opt_parsed("payment_id")?,
            seen_at: row.time("seen_at")?,
            resolved_at: row.opt_time("resolved_at")?,
            resolution: row.opt_json("resolution")?,
        })
    }
}

impl Reader<'_> {
    /// How far a ledger was seen; none before the first look.
    pub async fn find_cursor(&mut self, ledger: &LedgerId) -> Result<Option<CursorRow>, StoreError> {
        const SQL: &str = "SELECT ledger, height, ledger_time, safe, finalized, reorganisations, deepest, \
                           late_height, revision, updated_at FROM ledger_cursors WHERE ledger = $1";
        self.fetch_optional(Stmt::new(SQL).text(ledger)).await?.as_ref().map(CursorRow::from_row).transpose()
    }

    /// The blocks that are known of a ledger, newest first; at most `limit`.
    pub async fn list_blocks(&mut self, ledger: &LedgerId, limit: u32) -> Result<Vec<Block>, StoreError> {
        const SQL: &str =
            "SELECT number, hash, parent, at FROM ledger_blocks WHERE ledger = $1 ORDER BY number DESC LIMIT $2";
        let rows = self.fetch_all(Stmt::new(SQL).text(ledger).int(i64::from(limit))).await?;
        rows.iter().map(|row| block_from("ledger_blocks", row)).collect()
    }

    /// The block of a height, as it was seen; only some are kept.
    pub async fn find_block(&mut self, ledger: &LedgerId, number: u64) -> Result<Option<Block>, StoreError> {
        const SQL: &str = "SELECT number, hash, parent, at FROM ledger_blocks WHERE ledger = $1 AND number = $2";
        let found = self.fetch_optional(Stmt::new(SQL).text(ledger).int(height(number))).await?;
        found.map(|row| block_from("ledger_blocks", &row)).transpose()
    }

    /// Where an address belongs to.
    pub async fn find_destination(&mut self, destination: &Destination) -> Result<Option<DestinationRow>, StoreError> {
        const SQL: &str = "SELECT ledger, network, address, business_id, environment, payment_id, payout, salt, \
                           extended_key, child_index, created_at FROM destinations \
                           WHERE ledger = $1 AND network = $2 AND address = $3";
        let stmt = Stmt::new(SQL).text(&destination.ledger).text(&destination.network).text(&destination.address);
        let found = self.fetch_optional(stmt).await?;
        found.as_ref().map(destination_from).transpose()
    }

    /// The addresses of a ledger that were given out from an instant on, the oldest first, after the one of `after`;
    /// at most `limit`.
    pub async fn list_watched(
        &mut self,
        ledger: &LedgerId,
        since: Timestamp,
        after: Option<&WatchedRow>,
        limit: u32,
    ) -> Result<Vec<WatchedRow>, StoreError> {
        const SQL: &str = "SELECT d.address AS address, p.asset AS asset, d.created_at AS created_at, \
                           CASE WHEN p.id IS NULL THEN d.created_at \
                           WHEN p.status IN ('open', 'processing', 'reversed') THEN NULL \
                           ELSE p.updated_at END AS over_since \
                           FROM destinations d LEFT JOIN payments p ON p.id = d.payment_id \
                           WHERE d.ledger = $1 AND d.created_at >= $2 AND (CAST($3 AS BIGINT) IS NULL \
                           OR (d.created_at, d.address) > ($3, $4)) ORDER BY d.created_at, d.address LIMIT $5";
        let stmt = Stmt::new(SQL)
            .text(ledger)
            .time(since)
            .opt_time(after.map(|row| row.created_at))
            .opt_text(after.map(|row| &row.address))
            .int(i64::from(limit));
        let rows = self.fetch_all(stmt).await?;
        let watched = |row: &Row| {
            row.read("destinations", "address", |row| {
                Ok(WatchedRow {
                    address: row.text("address")?,
                    asset: row.opt_parsed("asset")?,
                    over_since: row.opt_time("over_since")?,
                    created_at: row.time("created_at")?,
                })
            })
        };
        rows.iter().map(watched).collect()
    }

    /// Blocks in which something came in that the ledger is held to contain, by number and hash, from the newest below a
    /// height down; at most `limit`. They are known for longer than all others.
    pub async fn list_anchors(
        &mut self,
        ledger: &LedgerId,
        below: u64,
        limit: u32,
    ) -> Result<Vec<(u64, String)>, StoreError> {
        const SQL: &str = "SELECT DISTINCT block, block_hash FROM deposits WHERE ledger = $1 AND canonical = 1 \
                           AND block < $2 ORDER BY block DESC LIMIT $3";
        let rows = self.fetch_all(Stmt::new(SQL).text(ledger).int(height(below)).int(i64::from(limit))).await?;
        let anchor =
            |row: &Row| row.read("deposits", "block", |row| Ok((row.number("block")?, row.text("block_hash")?)));
        rows.iter().map(anchor).collect()
    }

    /// What whoever watches a ledger last said of it.
    pub async fn find_ledger_report(&mut self, ledger: &LedgerId) -> Result<Option<LedgerReportRow>, StoreError> {
        const SQL: &str = "SELECT ledger, report, failing_since, reported_at FROM ledger_reports WHERE ledger = $1";
        let found = self.fetch_optional(Stmt::new(SQL).text(ledger)).await?;
        found
            .map(|row| {
                row.read("ledger_reports", "ledger", |row| {
                    Ok(LedgerReportRow {
                        ledger: row.parsed("ledger")?,
                        report: row.json("report")?,
                        failing_since: row.opt_time("failing_since")?,
                        reported_at: row.time("reported_at")?,
                    })
                })
            })
            .transpose()
    }

    /// Everything that came in for a payment and that the ledger still holds to be true, in the ledger's order.
    pub async fn list_deposits_of(&mut self, payment: PaymentId) -> Result<Vec<DepositRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            deposit_columns!(),
            " FROM deposits d WHERE d.payment_id = $1 AND d.canonical = 1 ORDER BY d.block, d.log_index"
        );
        self.fetch_all(Stmt::new(SQL).text(payment)).await?.iter().map(DepositRow::from_row).collect()
    }

    /// What nobody has looked at yet and no payment takes, newest first, after `after` in this order.
    pub async fn list_unmatched(
        &mut self,
        tenant: &Tenant,
        after: Option<DepositId>,
        limit: u32,
    ) -> Result<Vec<DepositRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            deposit_columns!(),
            " FROM deposits d WHERE d.business_id = $1 AND d.environment = $2 AND ",
            unmatched!(),
            " AND (CAST($3 AS TEXT) IS NULL OR (d.seen_at, d.id) < (SELECT a.seen_at, a.id FROM deposits a \
             WHERE a.id = $3 AND a.business_id = $1 AND a.environment = $2)) \
             ORDER BY d.seen_at DESC, d.id DESC LIMIT $4"
        );
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).opt_text(after).int(i64::from(limit));
        self.fetch_all(stmt).await?.iter().map(DepositRow::from_row).collect()
    }

    /// The tenant's deposit of this id.
    pub async fn find_deposit(&mut self, tenant: &Tenant, id: DepositId) -> Result<Option<DepositRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            deposit_columns!(),
            " FROM deposits d WHERE d.business_id = $1 AND d.environment = $2 AND d.id = $3"
        );
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(id);
        self.fetch_optional(stmt).await?.as_ref().map(DepositRow::from_row).transpose()
    }

    /// The deposits of one transaction that the ledger holds to be true.
    pub async fn list_deposits_in(
        &mut self,
        destination: &Destination,
        transaction_hash: &str,
    ) -> Result<Vec<DepositRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            deposit_columns!(),
            " FROM deposits d WHERE d.ledger = $1 AND d.network = $2 AND d.transaction_hash = $3 \
             AND d.canonical = 1 ORDER BY d.log_index"
        );
        let stmt = Stmt::new(SQL).text(&destination.ledger).text(&destination.network).text(transaction_hash);
        self.fetch_all(stmt).await?.iter().map(DepositRow::from_row).collect()
    }

    /// The payment that a transaction was handed in for.
    pub async fn find_claim(
        &mut self,
        ledger: &LedgerId,
        network: &ChainId,
        transaction_hash: &str,
    ) -> Result<Option<PaymentId>, StoreError> {
        const SQL: &str = "SELECT payment_id FROM transaction_claims WHERE ledger = $1 AND network = $2 \
                           AND transaction_hash = $3";
        let stmt = Stmt::new(SQL).text(ledger).text(network).text(transaction_hash);
        let found = self.fetch_optional(stmt).await?;
        found.map(|row| row.read("transaction_claims", "payment_id", |row| row.parsed("payment_id"))).transpose()
    }
}

impl Tx {
    /// Begins to look at a ledger; does nothing where somebody has begun.
    pub async fn insert_cursor(&mut self, cursor: &CursorRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO ledger_cursors (ledger, height, ledger_time, reorganisations, revision, \
                           updated_at) VALUES ($1, $2, $3, 0, $4, $5) ON CONFLICT (ledger) DO NOTHING";
        let stmt = Stmt::new(SQL)
            .text(&cursor.ledger)
            .int(height(cursor.height))
            .time(cursor.ledger_time)
            .int(cursor.revision)
            .time(cursor.updated_at);
        self.execute(stmt).await?;
        Ok(())
    }

    /// Moves a cursor, if nobody moved it since it was read: of two looks at the same time one is for nothing.
    pub async fn move_cursor(&mut self, cursor: &CursorRow) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE ledger_cursors SET height = $3, ledger_time = $4, reorganisations = $5, \
                           updated_at = $6, safe = $7, finalized = $8, deepest = $9, late_height = $10, \
                           revision = revision + 1 WHERE ledger = $1 AND revision = $2";
        let stmt = Stmt::new(SQL)
            .text(&cursor.ledger)
            .int(cursor.revision)
            .int(height(cursor.height))
            .time(cursor.ledger_time)
            .int(height(cursor.reorganisations))
            .time(cursor.updated_at)
            .opt_int(cursor.marks.safe.map(height))
            .opt_int(cursor.marks.finalized.map(height))
            .int(height(cursor.deepest))
            .int(height(cursor.late_height));
        self.change_one(stmt).await
    }

    /// Keeps a cursor where it was read until this transaction ends; `false` if it was moved since.
    pub async fn hold_cursor(&mut self, cursor: &CursorRow) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE ledger_cursors SET revision = revision WHERE ledger = $1 AND revision = $2";
        self.change_one(Stmt::new(SQL).text(&cursor.ledger).int(cursor.revision)).await
    }

    /// Notes what whoever watches a ledger says of it.
    pub async fn put_ledger_report(&mut self, row: &LedgerReportRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO ledger_reports (ledger, report, failing_since, reported_at) \
                           VALUES ($1, $2, $3, $4) ON CONFLICT (ledger) DO UPDATE SET report = excluded.report, \
                           failing_since = excluded.failing_since, reported_at = excluded.reported_at";
        let stmt = Stmt::new(SQL).text(&row.ledger).json(&row.report).opt_time(row.failing_since).time(row.reported_at);
        self.execute(stmt).await?;
        Ok(())
    }

    /// Takes or keeps the watch over a ledger until an instant; `false` while another holder has it.
    pub async fn hold_ledger(
        &mut self,
        ledger: &LedgerId,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO ledger_leases (ledger, holder, held_until) VALUES ($1, $2, $4) \
                           ON CONFLICT (ledger) DO UPDATE SET holder = excluded.holder, \
                           held_until = excluded.held_until \
                           WHERE ledger_leases.holder = excluded.holder OR ledger_leases.held_until <= $3";
        self.change_one(Stmt::new(SQL).text(ledger).text(holder).time(now).time(until)).await
    }

    /// Gives up the watch over a ledger, so that another node need not wait for it to run out.
    pub async fn release_ledger(&mut self, ledger: &LedgerId, holder: &str) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM ledger_leases WHERE ledger = $1 AND holder = $2";
        self.change_one(Stmt::new(SQL).text(ledger).text(holder)).await
    }

    /// Forgets the blocks above a height, and holds what they brought to be untrue from `at` on. Returns what is
    /// concerned.
    pub async fn take_back_blocks(
        &mut self,
        ledger: &LedgerId,
        above: u64,
        at: Timestamp,
    ) -> Result<TakenBack, StoreError> {
        const BLOCKS: &str = "DELETE FROM ledger_blocks WHERE ledger = $1 AND number > $2";
        const DEPOSITS: &str = "UPDATE deposits SET canonical = 0, taken_back_at = $3 WHERE ledger = $1 \
                                AND block > $2 AND canonical = 1 RETURNING id, business_id, environment, payment_id";
        self.execute(Stmt::new(BLOCKS).text(ledger).int(height(above))).await?;
        let rows = self.fetch_all(Stmt::new(DEPOSITS).text(ledger).int(height(above)).time(at)).await?;
        let mut taken = TakenBack::default();
        for row in &rows {
            row.read("deposits", "id", |row| {
                match row.opt_parsed("payment_id")? {
                    Some(payment) => taken.payments.push(payment),
                    None => taken.deposits.push((row.tenant()?, row.parsed("id")?)),
                }
                Ok(())
            })?;
        }
        Ok(taken)
    }

    /// Adds a block.
    pub async fn insert_block(&mut self, ledger: &LedgerId, block: &Block) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO ledger_blocks (ledger, number, hash, parent, at) VALUES ($1, $2, $3, $4, $5)";
        let stmt =
            Stmt::new(SQL).text(ledger).int(height(block.number)).text(&block.hash).text(&block.parent).time(block.at);
        self.execute(stmt).await?;
        Ok(())
    }

    /// Forgets blocks below a height: no reorganisation goes that deep.
    pub async fn prune_blocks(&mut self, ledger: &LedgerId, below: u64) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM ledger_blocks WHERE ledger = $1 AND number < $2";
        self.execute(Stmt::new(SQL).text(ledger).int(height(below))).await
    }

    /// Keeps what came in. What is known already is held to be true again and stays as it is otherwise. Returns the
    /// payment that it counts for, and whether it was not known.
    pub async fn keep_deposit(&mut self, deposit: &DepositRow) -> Result<(Option<PaymentId>, bool), StoreError> {
        const SQL: &str = "INSERT INTO deposits (id, ledger, network, block, block_hash, log_index, \
                           transaction_hash, asset, sender, address, raw_amount, units, block_time, canonical, \
                           business_id, environment, payment_id, seen_at, contract) VALUES ($1, $2, $3, $4, $5, $6, \
                           $7, $8, $9, $10, $11, $12, $13, 1, $14, $15, $16, $17, $18) \
                           ON CONFLICT (ledger, block_hash, log_index) DO UPDATE SET canonical = 1, \
                           taken_back_at = NULL \
                           RETURNING id, payment_id";
        let transfer = &deposit.transfer;
        let stmt = Stmt::new(SQL)
            .text(deposit.id)
            .text(&deposit.ledger)
            .text(&transfer.network)
            .int(height(transfer.block))
            .text(&transfer.block_hash)
            .int(i64::from(transfer.log_index))
            .text(&transfer.transaction_hash)
            .text(transfer.asset)
            .text(&transfer.from)
            .text(&transfer.to)
            .text(&transfer.amount)
            .opt_int(deposit.units)
            .time(deposit.block_time)
            .text(&deposit.tenant.business)
            .text(deposit.tenant.environment)
            .opt_text(deposit.payment)
            .time(deposit.seen_at)
            .opt_text(transfer.contract);
        self.fetch_one(stmt).await?.read("deposits", "id", |row| {
            Ok((row.opt_parsed("payment_id")?, row.parsed::<DepositId>("id")? == deposit.id))
        })
    }

    /// Gives out an address.
    ///
    /// # Errors
    /// [`StoreError::Unique`] where it was given out before.
    pub async fn insert_destination(&mut self, row: &DestinationRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO destinations (ledger, network, address, business_id, environment, payment_id, \
                           created_at, payout, salt, extended_key, extended_key_id, child_index) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let stmt = Stmt::new(SQL)
            .text(&row.destination.ledger)
            .text(&row.destination.network)
            .text(&row.destination.address)
            .text(&row.tenant.business)
            .text(row.tenant.environment)
            .opt_text(row.payment)
            .time(row.created_at)
            .opt_text(row.forwarder.map(|forwarder| forwarder.payout))
            .opt_bytes(row.forwarder.map(|forwarder| *forwarder.salt.as_bytes()))
            .opt_text(row.child.as_ref().map(|child| &child.key))
            .opt_bytes(row.child.as_ref().map(|child| *child.key.id().as_bytes()))
            .opt_int(row.child.as_ref().map(|child| child.index.number().into()));
        self.execute(stmt).await?;
        Ok(())
    }

    /// Binds an address to a payment, with what has come in there and is not given back; `false` if it belongs to one
    /// already.
    pub async fn bind_destination(
        &mut self,
        tenant: &Tenant,
        destination: &Destination,
        payment: PaymentId,
    ) -> Result<bool, StoreError> {
        const ADDRESS: &str = "UPDATE destinations SET payment_id = $6 WHERE ledger = $1 AND network = $2 \
                               AND address = $3 AND business_id = $4 AND environment = $5 AND payment_id IS NULL";
        const DEPOSITS: &str = "UPDATE deposits SET payment_id = $4 WHERE ledger = $1 AND network = $2 \
                                AND address = $3 AND payment_id IS NULL AND resolved_at IS NULL AND NOT EXISTS \
                                (SELECT 1 FROM refunds r WHERE r.deposit_id = deposits.id \
                                AND r.status IN ('pending', 'processing', 'succeeded'))";
        let place =
            |sql| Stmt::new(sql).text(&destination.ledger).text(&destination.network).text(&destination.address);
        let bound =
            self.change_one(place(ADDRESS).text(&tenant.business).text(tenant.environment).text(payment)).await?;
        if bound {
            self.execute(place(DEPOSITS).text(payment)).await?;
        }
        Ok(bound)
    }

    /// Notes what somebody decided about a deposit, once; where it now counts for a payment, for which.
    pub async fn resolve_deposit(
        &mut self,
        id: DepositId,
        payment: Option<PaymentId>,
        resolution: &serde_json::Value,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE deposits SET payment_id = COALESCE(CAST($2 AS TEXT), payment_id), \
                           resolution = $3, resolved_at = $4 WHERE id = $1 AND resolved_at IS NULL";
        self.change_one(Stmt::new(SQL).text(id).opt_text(payment).json(resolution).time(at)).await
    }

    /// Notes for which payment a transaction was handed in, if it was not before. Returns the payment that has it.
    pub async fn claim_transaction(
        &mut self,
        destination: &Destination,
        transaction_hash: &str,
        payment: PaymentId,
        at: Timestamp,
    ) -> Result<PaymentId, StoreError> {
        const SQL: &str = "INSERT INTO transaction_claims (ledger, network, transaction_hash, payment_id, claimed_at) \
                           VALUES ($1, $2, $3, $4, $5) ON CONFLICT (ledger, network, transaction_hash) \
                           DO UPDATE SET transaction_hash = transaction_claims.transaction_hash RETURNING payment_id";
        let stmt = Stmt::new(SQL)
            .text(&destination.ledger)
            .text(&destination.network)
            .text(transaction_hash)
            .text(payment)
            .time(at);
        self.fetch_one(stmt).await?.read("transaction_claims", "payment_id", |row| row.parsed("payment_id"))
    }
}

pub(crate) fn destination_from(row: &Row) -> Result<DestinationRow, StoreError> {
    row.read("destinations", "address", |row| {
        Ok(DestinationRow {
            destination: Destination {
                ledger: row.parsed("ledger")?,
                network: row.parsed("network")?,
                address: row.text("address")?,
            },
            tenant: row.tenant()?,
            payment: row.opt_parsed("payment_id")?,
            forwarder: forwarder_of(row)?,
            child: child_of(row)?,
            created_at: row.time("created_at")?,
        })
    })
}

fn forwarder_of(row: &Row) -> Result<Option<ForwarderRow>, BadColumn> {
    let (Some(payout), Some(salt)) = (row.opt_parsed("payout")?, row.opt_bytes("salt")?) else { return Ok(None) };
    let salt = salt.try_into().map_err(|_| BadColumn { column: "salt", source: "is not 32 bytes".into() })?;
    Ok(Some(ForwarderRow { payout, salt: Salt::from_bytes(salt) }))
}

fn child_of(row: &Row) -> Result<Option<ChildRow>, BadColumn> {
    let (Some(key), Some(index)) = (row.opt_parsed("extended_key")?, row.opt_int("child_index")?) else {
        return Ok(None);
    };
    let index = index.try_into();
    Ok(Some(ChildRow {
        key,
        index: index.map_err(|source| BadColumn { column: "child_index", source: Box::new(source) })?,
    }))
}

pub(crate) fn block_from(table: &'static str, row: &Row) -> Result<Block, StoreError> {
    row.read(table, "number", |row| {
        Ok(Block {
            number: row.number("number")?,
            hash: row.text("hash")?,
            parent: row.text("parent")?,
            at: row.time("at")?,
        })
    })
}

/// Heights fit: no ledger has 2^63 blocks.
pub(crate) fn height(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
