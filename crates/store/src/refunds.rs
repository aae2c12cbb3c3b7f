//! Refunds: one row per sum that is to be given back.

use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Tenant;
use trousseau_domain::evm::EvmAddress;
use trousseau_domain::ids::{DepositId, KeyId, PaymentId, RefundId};
use trousseau_domain::ledger::LedgerId;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::Money;
use trousseau_domain::payables::Reason;
use trousseau_domain::refunds::{RefundFailure, RefundStatus};
use trousseau_domain::text::SearchText;
use trousseau_domain::time::Timestamp;

use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::ledgers::height;
use crate::payments::Destination;
use crate::row::Row;
use crate::stmt::{Stmt, pattern};

/// What is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenBack {
    /// Of a payment.
    Payment(PaymentId),
    /// Of something that came in and no payment takes.
    Deposit(DepositId),
}

impl GivenBack {
    /// The payment, where it is of one.
    pub const fn payment(self) -> Option<PaymentId> {
        match self {
            Self::Payment(id) => Some(id),
            Self::Deposit(_) => None,
        }
    }

    /// The deposit, where it is of one.
    pub const fn deposit(self) -> Option<DepositId> {
        match self {
            Self::Payment(_) => None,
            Self::Deposit(id) => Some(id),
        }
    }
}

/// Where the transfer stands that carries a refund out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundPlace {
    /// The height of its block.
    pub block: u64,
    /// The block.
    pub block_hash: String,
    /// Its place in the block.
    pub log_index: u32,
}

/// A refund as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRow {
    /// Its id.
    pub id: RefundId,
    /// Whose it is.
    pub tenant: Tenant,
    /// What is given back.
    pub of: GivenBack,
    /// To whom the money is to be sent, as the merchant says.
    pub destination: Destination,
    /// The contract of the token; none on the ledger of TEST.
    pub token: Option<EvmAddress>,
    /// How much.
    pub amount: Money,
    /// Why.
    pub reason: Option<Reason>,
    /// The merchant's own data.
    pub metadata: Metadata,
    /// Where it stands.
    pub status: RefundStatus,
    /// Why it failed.
    pub failure: Option<RefundFailure>,
    /// The transaction that was handed in.
    pub transaction_hash: Option<String>,
    /// Since when this transaction is waited for, while it is in no block.
    pub waiting_since: Option<Timestamp>,
    /// Where it is in a block.
    pub place: Option<RefundPlace>,
    /// When the ledger was last asked.
    pub checked_at: Timestamp,
    /// When it was certain that it was sent.
    pub succeeded_at: Option<Timestamp>,
    /// Raised by every change.
    pub revision: i64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: Actor,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Which refunds a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefundFilter {
    /// Only those that stand there.
    pub status: Option<RefundStatus>,
    /// Only those of this payment.
    pub payment: Option<PaymentId>,
    /// Only those of this deposit.
    pub deposit: Option<DepositId>,
    /// Only those that this key asked for.
    pub key_id: Option<KeyId>,
    /// Only those from this instant on.
    pub created_from: Option<Timestamp>,
    /// Only those before this instant.
    pub created_before: Option<Timestamp>,
    /// Only those with this text in their id, address, transaction hash or reason.
    pub search: Option<SearchText>,
}

/// How much of something is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RefundSums {
    /// Base units of the refunds that hold: pending, processing and succeeded.
    pub held: i64,
    /// The part of it that is certain.
    pub succeeded: i64,
}

macro_rules! columns {
    () => {
        "r.id, r.business_id, r.environment, r.payment_id, r.deposit_id, r.ledger, r.network, r.address, r.token, \
         r.amount, r.asset, r.reason, r.metadata, r.status, r.failure, r.transaction_hash, r.waiting_since, r.block, \
         r.block_hash, r.log_index, r.checked_at, r.succeeded_at, r.revision, r.created_at, r.created_by, r.updated_at"
    };
}

impl RefundRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("refunds", "id", Self::from_columns)
    }

    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        let place = match row.opt_number("block")? {
            Some(block) => {
                Some(RefundPlace { block, block_hash: row.text("block_hash")?, log_index: row.number("log_index")? })
            }
            None => None,
        };
        Ok(Self {
            id: row.parsed("id")?,
            tenant: row.tenant()?,
            of: match row.opt_parsed("payment_id")? {
                Some(payment) => GivenBack::Payment(payment),
                None => GivenBack::Deposit(row.parsed("deposit_id")?),
            },
            destination: Destination {
                ledger: row.parsed("ledger")?,
                network: row.parsed("network")?,
                address: row.text("address")?,
            },
            token: row.opt_parsed("token")?,
            amount: row.money("amount", "asset")?,
            reason: row.opt_parsed("reason")?,
            metadata: row.json("metadata")?,
            status: row.parsed("status")?,
            failure: row.opt_parsed("failure")?,
            transaction_hash: row.opt_text("transaction_hash")?,
            waiting_since: row.opt_time("waiting_since")?,
            place,
            checked_at: row.time("checked_at")?,
            succeeded_at: row.opt_time("succeeded_at")?,
            revision: row.int("revision")?,
            created_at: row.time("created_at")?,
            created_by: row.json("created_by")?,
            updated_at: row.time("updated_at")?,
        })
    }
}

impl Reader<'_> {
    /// The tenant's refund of this id.
    pub async fn find_refund(&mut self, tenant: &Tenant, id: RefundId) -> Result<Option<RefundRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM refunds r WHERE r.business_id = $1 AND r.environment = $2 AND r.id = $3"
        );
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(id);
        self.fetch_optional(stmt).await?.as_ref().map(RefundRow::from_row).transpose()
    }

    /// The tenant's refunds that match, newest first, those after `after` in this order; at most `limit`.
    pub async fn list_refunds(
        &mut self,
        tenant: &Tenant,
        filter: &RefundFilter,
        after: Option<RefundId>,
        limit: u32,
    ) -> Result<Vec<RefundRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM refunds r WHERE r.business_id = $1 AND r.environment = $2 \
             AND (CAST($3 AS TEXT) IS NULL OR r.status = $3) \
             AND (CAST($4 AS TEXT) IS NULL OR r.payment_id = $4) \
             AND (CAST($5 AS TEXT) IS NULL OR r.deposit_id = $5) \
             AND (CAST($6 AS TEXT) IS NULL OR r.key_id = $6) \
             AND (CAST($7 AS BIGINT) IS NULL OR r.created_at >= $7) \
             AND (CAST($8 AS BIGINT) IS NULL OR r.created_at < $8) \
             AND (CAST($9 AS TEXT) IS NULL OR r.id LIKE $9 ESCAPE '!' OR LOWER(r.address) LIKE $9 ESCAPE '!' \
             OR LOWER(r.transaction_hash) LIKE $9 ESCAPE '!' OR LOWER(r.reason) LIKE $9 ESCAPE '!') \
             AND (CAST($10 AS TEXT) IS NULL OR (r.created_at, r.id) < (SELECT a.created_at, a.id FROM refunds a \
             WHERE a.id = $10 AND a.business_id = $1 AND a.environment = $2)) \
             ORDER BY r.created_at DESC, r.id DESC LIMIT $11"
        );
        let stmt = Stmt::new(SQL)
            .text(&tenant.business)
            .text(tenant.environment)
            .opt_text(filter.status)
            .opt_text(filter.payment)
            .opt_text(filter.deposit)
            .opt_text(filter.key_id)
            .opt_time(filter.created_from)
            .opt_time(filter.created_before)
            .opt_text(filter.search.as_ref().map(|text| pattern(text.as_str())))
            .opt_text(after)
            .int(i64::from(limit));
        self.fetch_all(stmt).await?.iter().map(RefundRow::from_row).collect()
    }

    /// How much of something is given back. Each sum is of refunds that never exceed what came in, so it fits.
    pub async fn sum_refunds(&mut self, of: GivenBack) -> Result<RefundSums, StoreError> {
        macro_rules! sums {
            ($column:literal) => {
                concat!(
                    "SELECT CAST(COALESCE(SUM(r.amount), 0) AS BIGINT) AS held, \
                     CAST(COALESCE(SUM(CASE WHEN r.status = 'succeeded' THEN r.amount ELSE 0 END), 0) AS BIGINT) \
                     AS succeeded \
                     FROM refunds r WHERE r.",
                    $column,
                    " = $1 AND r.status IN ('pending', 'processing', 'succeeded')"
                )
            };
        }
        let stmt = match of {
            GivenBack::Payment(id) => Stmt::new(sums!("payment_id")).text(id),
            GivenBack::Deposit(id) => Stmt::new(sums!("deposit_id")).text(id),
        };
        self.fetch_one(stmt)
            .await?
            .read("refunds", "held", |row| Ok(RefundSums { held: row.int("held")?, succeeded: row.int("succeeded")? }))
    }

    /// The places in a transaction that other refunds, which hold, have claimed.
    pub async fn list_claimed_logs(
        &mut self,
        destination: &Destination,
        transaction_hash: &str,
        beside: RefundId,
    ) -> Result<Vec<u32>, StoreError> {
        const SQL: &str = "SELECT r.log_index AS log_index FROM refunds r WHERE r.ledger = $1 AND r.network = $2 \
                           AND r.transaction_hash = $3 AND r.id <> $4 AND r.log_index IS NOT NULL \
                           AND r.status IN ('processing', 'succeeded')";
        let stmt =
            Stmt::new(SQL).text(&destination.ledger).text(&destination.network).text(transaction_hash).text(beside);
        let rows = self.fetch_all(stmt).await?;
        rows.iter().map(|row| row.read("refunds", "log_index", |row| row.number("log_index"))).collect()
    }

    /// The refunds of a ledger whose transaction was handed in and is not final, those first that were not asked about
    /// for the longest time; at most `limit`.
    pub async fn list_refunds_to_follow(
        &mut self,
        ledger: &LedgerId,
        limit: u32,
    ) -> Result<Vec<RefundRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM refunds r WHERE r.ledger = $1 AND r.status = 'processing' ORDER BY r.checked_at, r.id LIMIT $2"
        );
        let rows = self.fetch_all(Stmt::new(SQL).text(ledger).int(i64::from(limit))).await?;
        rows.iter().map(RefundRow::from_row).collect()
    }

    /// The refunds whose transfer stands above a height.
    pub async fn list_placed_refunds(&mut self, ledger: &LedgerId, above: u64) -> Result<Vec<RefundRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM refunds r WHERE r.ledger = $1 AND r.block > $2 AND r.status IN ('processing', 'succeeded') \
             ORDER BY r.id"
        );
        let rows = self.fetch_all(Stmt::new(SQL).text(ledger).int(height(above))).await?;
        rows.iter().map(RefundRow::from_row).collect()
    }
}

impl Tx {
    /// Adds a refund.
    pub async fn insert_refund(&mut self, refund: &RefundRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO refunds (id, business_id, environment, payment_id, deposit_id, ledger, network, \
                           address, token, amount, asset, reason, metadata, status, checked_at, revision, created_at, \
                           created_by, key_id, key_version, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, \
                           $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)";
        let (key, version) = match refund.created_by {
            Actor::Key { id, version } => (Some(id), Some(i64::from(version))),
            _ => (None, None),
        };
        let stmt = Stmt::new(SQL)
            .text(refund.id)
            .text(&refund.tenant.business)
            .text(refund.tenant.environment)
            .opt_text(refund.of.payment())
            .opt_text(refund.of.deposit())
            .text(&refund.destination.ledger)
            .text(&refund.destination.network)
            .text(&refund.destination.address)
            .opt_text(refund.token)
            .money(refund.amount)
            .opt_text(refund.reason.as_ref())
            .json(&refund.metadata)
            .text(refund.status)
            .time(refund.checked_at)
            .int(refund.revision)
            .time(refund.created_at)
            .json(&refund.created_by)
            .opt_text(key)
            .opt_int(version)
            .time(refund.updated_at);
        self.execute(stmt).await?;
        Ok(())
    }

    /// Saves where a refund stands, if nobody changed it since it was read.
    ///
    /// # Errors
    /// [`StoreError::Unique`] where another refund has claimed the same transfer.
    pub async fn update_refund(&mut self, refund: &RefundRow) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE refunds SET status = $3, failure = $4, transaction_hash = $5, waiting_since = $6, \
                           block = $7, block_hash = $8, log_index = $9, checked_at = $10, succeeded_at = $11, \
                           updated_at = $12, revision = revision + 1 WHERE id = $1 AND revision = $2";
        let place = refund.place.as_ref();
        let stmt = Stmt::new(SQL)
            .text(refund.id)
            .int(refund.revision)
            .text(refund.status)
            .opt_text(refund.failure)
            .opt_text(refund.transaction_hash.as_ref())
            .opt_time(refund.waiting_since)
            .opt_int(place.map(|place| height(place.block)))
            .opt_text(place.map(|place| &place.block_hash))
            .opt_int(place.map(|place| i64::from(place.log_index)))
            .time(refund.checked_at)
            .opt_time(refund.succeeded_at)
            .time(refund.updated_at);
        self.change_one(stmt).await
    }

    /// Notes that the ledger was asked about a refund and nothing is new.
    pub async fn note_refund_checked(&mut self, id: RefundId, at: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE refunds SET checked_at = $2 WHERE id = $1";
        self.execute(Stmt::new(SQL).text(id).time(at)).await?;
        Ok(())
    }

    /// Takes back what was decided about a deposit: what had been given back of it is there again.
    pub async fn reopen_deposit(&mut self, id: DepositId) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE deposits SET resolved_at = NULL, resolution = NULL WHERE id = $1 \
                           AND resolved_at IS NOT NULL";
        self.change_one(Stmt::new(SQL).text(id)).await
    }
}
