//! Movements of money, one row each, in the order of time: what an accountant books.

use trousseau_domain::environment::Tenant;
use trousseau_domain::evm::EvmAddress;
use trousseau_domain::ids::{InvoiceId, PaymentId, PaymentLinkId, RecurringPaymentId};
use trousseau_domain::ledger::{LedgerId, Moved, RawAmount};
use trousseau_domain::money::Money;
use trousseau_domain::movements::MovementKind;
use trousseau_domain::networks::ChainId;
use trousseau_domain::time::Timestamp;

use crate::error::{BadColumn, StoreError};
use crate::exec::Reader;
use crate::payments::PaidFor;
use crate::row::Row;
use crate::stmt::Stmt;

/// One movement with what it was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovementRow {
    /// What moved money.
    pub kind: MovementKind,
    /// When: the time of the block, when the ledger was seen to have taken it back, or since when it was certain that it
    /// was given back.
    pub at: Timestamp,
    /// The id of what it is told by: the deposit's or the refund's.
    pub id: String,
    /// Whose it is.
    pub tenant: Tenant,
    /// Which ledger.
    pub ledger: LedgerId,
    /// The network.
    pub network: ChainId,
    /// The token's contract, where it was written down.
    pub contract: Option<EvmAddress>,
    /// Whether it is what was asked for.
    pub asset: Moved,
    /// Base units, as the ledger wrote them.
    pub amount: RawAmount,
    /// The same, where they fit 64 bits.
    pub units: Option<i64>,
    /// Whether the ledger still holds it to be true.
    pub canonical: bool,
    /// Whether somebody decided what becomes of it.
    pub resolved: bool,
    /// The transaction.
    pub transaction_hash: String,
    /// Its place in the block.
    pub log_index: u32,
    /// The height of its block.
    pub block: u64,
    /// Who sent it, as the ledger says; empty of a refund, which the business's own wallet sent.
    pub from: String,
    /// To which address.
    pub to: String,
    /// The payment that it counts for, with its price.
    pub payment: Option<(PaymentId, Money)>,
    /// What was paid.
    pub paid_for: Option<PaidFor>,
    /// The number of the invoice.
    pub number: Option<u64>,
    /// What it is called.
    pub title: Option<String>,
    /// The business's own reference of its customer.
    pub customer_reference: Option<String>,
}

/// The place of a movement in the order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovementPlace {
    at: Timestamp,
    id: String,
    kind: MovementKind,
}

/// From when to when; the end is not part of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Only from this instant on.
    pub from: Option<Timestamp>,
    /// Only before this instant.
    pub before: Option<Timestamp>,
}

impl MovementRow {
    /// Its place in the order of time.
    pub fn place(&self) -> MovementPlace {
        MovementPlace { at: self.at, id: self.id.clone(), kind: self.kind }
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("deposits", "id", Self::from_columns)
    }

    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        let payment = match row.opt_parsed::<PaymentId>("payment_id")? {
            Some(id) => Some((id, row.money("amount", "payment_asset")?)),
            None => None,
        };
        let invoice = row.opt_parsed::<InvoiceId>("invoice_id")?;
        let recurring = row.opt_parsed::<RecurringPaymentId>("recurring_id")?;
        let link = row.opt_parsed::<PaymentLinkId>("payment_link_id")?;
        Ok(Self {
            kind: row.parsed("kind")?,
            at: row.time("at")?,
            id: row.text("id")?,
            tenant: row.tenant()?,
            ledger: row.parsed("ledger")?,
            network: row.parsed("network")?,
            contract: row.opt_parsed("contract")?,
            asset: row.parsed("asset")?,
            amount: row.parsed("raw_amount")?,
            units: row.opt_int("units")?,
            canonical: row.flag("canonical")?,
            resolved: row.opt_int("resolved_at")?.is_some(),
            transaction_hash: row.text("transaction_hash")?,
            log_index: row.number("log_index")?,
            block: row.number("block")?,
            from: row.text("sender")?,
            to: row.text("address")?,
            payment,
            paid_for: link
                .map(PaidFor::PaymentLink)
                .or_else(|| invoice.map(|invoice| PaidFor::Invoice(invoice, recurring))),
            number: row.opt_number("number")?,
            title: row.opt_text("title")?,
            customer_reference: row.opt_text("customer_reference")?,
        })
    }
}

/// One kind of movement that deposits tell of, by the column that says when. Each arm of the union reads no more rows
/// than are asked for, so that a file of any length costs the same per row.
macro_rules! arm {
    ($kind:literal, $at:literal) => {
        concat!(
            "SELECT a.kind, a.at, a.id, a.business_id, a.environment, a.ledger, a.network, a.contract, a.asset, \
             a.raw_amount, a.units, a.canonical, a.resolved_at, a.transaction_hash, a.log_index, a.block, a.sender, \
             a.address, a.payment_id FROM (SELECT '",
            $kind,
            "' AS kind, d.",
            $at,
            " AS at, d.id, d.business_id, d.environment, d.ledger, d.network, d.contract, d.asset, d.raw_amount, \
             d.units, d.canonical, d.resolved_at, d.transaction_hash, d.log_index, d.block, d.sender, d.address, \
             d.payment_id \
             FROM deposits d WHERE d.business_id = $1 AND d.environment = $2 AND d.",
            $at,
            " >= $3 AND d.",
            $at,
            " < $4 AND (d.",
            $at,
            " > $3 OR d.id > $5 OR (d.id = $5 AND '",
            $kind,
            "' > CAST($6 AS TEXT))) ORDER BY d.",
            $at,
            ", d.id LIMIT $7) a"
        )
    };
}

/// The same of what was given back for certain.
macro_rules! refunds {
    () => {
        "SELECT a.kind, a.at, a.id, a.business_id, a.environment, a.ledger, a.network, a.contract, a.asset, \
         a.raw_amount, a.units, a.canonical, a.resolved_at, a.transaction_hash, a.log_index, a.block, a.sender, \
         a.address, a.payment_id FROM (SELECT 'refund' AS kind, r.succeeded_at AS at, r.id, r.business_id, \
         r.environment, r.ledger, r.network, r.token AS contract, 'accepted' AS asset, \
         CAST(r.amount AS TEXT) AS raw_amount, r.amount AS units, CAST(1 AS BIGINT) AS canonical, \
         CAST(NULL AS BIGINT) AS resolved_at, r.transaction_hash, r.log_index, r.block, '' AS sender, r.address, \
         r.payment_id FROM refunds r WHERE r.business_id = $1 AND r.environment = $2 AND r.status = 'succeeded' \
         AND r.succeeded_at >= $3 AND r.succeeded_at < $4 AND (r.succeeded_at > $3 OR r.id > $5 \
         OR (r.id = $5 AND 'refund' > CAST($6 AS TEXT))) ORDER BY r.succeeded_at, r.id LIMIT $7) a"
    };
}

impl Reader<'_> {
    /// The tenant's movements of a span of time, the oldest first, those after `after` in this order; at most `limit`.
    pub async fn list_movements(
        &mut self,
        tenant: &Tenant,
        span: Span,
        after: Option<&MovementPlace>,
        limit: u32,
    ) -> Result<Vec<MovementRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT m.kind, m.at, m.id, m.business_id, m.environment, m.ledger, m.network, m.contract, m.asset, \
             m.raw_amount, m.units, m.canonical, m.resolved_at, m.transaction_hash, m.log_index, m.block, m.sender, \
             m.address, m.payment_id, p.amount AS amount, p.asset AS payment_asset, p.payment_link_id, p.invoice_id, \
             p.recurring_id, i.number, COALESCE(i.title, l.title) AS title, \
             COALESCE(i.customer_reference, l.customer_reference) AS customer_reference FROM (",
            arm!("deposit", "block_time"),
            " UNION ALL ",
            arm!("reversal", "taken_back_at"),
            " UNION ALL ",
            refunds!(),
            ") m LEFT JOIN payments p ON p.id = m.payment_id \
             LEFT JOIN payment_links l ON l.id = p.payment_link_id \
             LEFT JOIN invoices i ON i.id = p.invoice_id ORDER BY m.at, m.id, m.kind LIMIT $7"
        );
        let from = after.map(|place| place.at).max(span.from).map_or(i64::MIN, Timestamp::as_micros);
        let stmt = Stmt::new(SQL)
            .text(&tenant.business)
            .text(tenant.environment)
            .int(from)
            .int(span.before.map_or(i64::MAX, Timestamp::as_micros))
            .text(after.map_or("", |place| &place.id))
            .text(after.map_or("", |place| place.kind.as_str()))
            .int(i64::from(limit));
        self.fetch_all(stmt).await?.iter().map(MovementRow::from_row).collect()
    }
}
