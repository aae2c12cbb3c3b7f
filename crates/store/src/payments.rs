//! Payments: one row per attempt to pay.

use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::{InvoiceId, KeyId, PaymentId, PaymentLinkId, RecurringPaymentId};
use trousseau_domain::ledger::LedgerId;
use trousseau_domain::members::EmailAddress;
use trousseau_domain::money::Money;
use trousseau_domain::networks::ChainId;
use trousseau_domain::payables::{CustomerName, CustomerReference, PayableId, Title};
use trousseau_domain::payments::{PaymentState, PaymentStatus, Terms};
use trousseau_domain::requests::UtcDay;
use trousseau_domain::text::SearchText;
use trousseau_domain::time::Timestamp;

use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::invoices::number_in;
use crate::row::Row;
use crate::stmt::{Stmt, beginning, pattern};

/// What a payment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaidFor {
    /// A payment link.
    PaymentLink(PaymentLinkId),
    /// An invoice, which may be a period of a recurring payment.
    Invoice(InvoiceId, Option<RecurringPaymentId>),
}

impl PaidFor {
    /// The same as whoever made it calls it: a period goes by the name of its recurring payment.
    pub const fn payable(self) -> PayableId {
        match self {
            Self::PaymentLink(id) => PayableId::PaymentLink(id),
            Self::Invoice(_, Some(id)) => PayableId::RecurringPayment(id),
            Self::Invoice(id, None) => PayableId::Invoice(id),
        }
    }

    /// The invoice, where it is for one.
    pub const fn invoice(self) -> Option<InvoiceId> {
        match self {
            Self::PaymentLink(_) => None,
            Self::Invoice(id, _) => Some(id),
        }
    }
}

/// Where money is to be sent: an address on a network of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The ledger that is watched.
    pub ledger: LedgerId,
    /// The network.
    pub network: ChainId,
    /// The address, as it is shown.
    pub address: String,
}

/// A payment as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRow {
    /// Its id.
    pub id: PaymentId,
    /// Whose it is.
    pub tenant: Tenant,
    /// What it is for.
    pub paid_for: PaidFor,
    /// Where the money is to be sent.
    pub destination: Destination,
    /// What is asked for.
    pub terms: Terms,
    /// Where it stands.
    pub state: PaymentState,
    /// Everything that the ledger holds for it.
    pub seen: Money,
    /// The part of it that is final.
    pub settled: Money,
    /// Who sent the latest transfer, as the ledger says.
    pub payer: Option<String>,
    /// The latest transaction.
    pub transaction_hash: Option<String>,
    /// The digest of the token that reads its status.
    pub token_digest: [u8; 32],
    /// When it was first settled.
    pub settled_at: Option<Timestamp>,
    /// Raised by every change.
    pub revision: i64,
    /// When it was started.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: Actor,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl PaymentRow {
    /// What was given back of it for certain.
    pub fn refunded(&self) -> Money {
        Money::from_units(self.state.refunded, self.terms.due.asset()).unwrap_or(Money::zero(self.terms.due.asset()))
    }

    /// What somebody gave back of it outside of this system, as a decision said.
    pub fn returned(&self) -> Money {
        Money::from_units(self.state.returned, self.terms.due.asset()).unwrap_or(Money::zero(self.terms.due.asset()))
    }

    /// What refunds can give back, all together: what is final but for what was returned.
    pub fn refundable(&self) -> Money {
        self.settled.checked_sub(self.returned()).unwrap_or(Money::zero(self.terms.due.asset()))
    }
}

/// Which payments a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Only those that stand there.
    pub status: Option<PaymentStatus>,
    /// Only those for this.
    pub payable: Option<PayableId>,
    /// Only those that this key started.
    pub key_id: Option<KeyId>,
    /// Only those from this instant on.
    pub created_from: Option<Timestamp>,
    /// Only those before this instant.
    pub created_before: Option<Timestamp>,
    /// Only those for the invoice of this number, those with this text in the title, name or customer of what they are
    /// for, in their address, transaction hash or payer, and those whose id begins with it. A number is looked for in no
    /// address or hash, where any few digits stand.
    pub search: Option<SearchText>,
}

/// What a payment is for, as people call it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// The title of the payment link, or the name of the recurring payment.
    pub name: Option<Title>,
    /// The number of the invoice.
    pub number: Option<u32>,
    /// What is invoiced.
    pub invoiced: Option<Title>,
    /// What the customer is called.
    pub customer_name: Option<CustomerName>,
    /// Where its invoices are sent.
    pub customer_email: Option<EmailAddress>,
    /// The merchant's own name for the customer.
    pub customer_reference: Option<CustomerReference>,
}

/// A payment with what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPayment {
    /// The payment.
    pub payment: PaymentRow,
    /// What it is for.
    pub subject: Subject,
}

/// The columns of [`Subject`], and where they are found.
macro_rules! subject {
    (columns) => {
        "COALESCE(l.title, r.name) AS subject_name, i.number, i.title AS invoiced, i.customer_name, i.customer_email, \
         COALESCE(i.customer_reference, l.customer_reference) AS customer_reference"
    };
    (tables) => {
        "payments p LEFT JOIN payment_links l ON l.id = p.payment_link_id \
         LEFT JOIN invoices i ON i.id = p.invoice_id LEFT JOIN recurring_payments r ON r.id = p.recurring_id"
    };
}

impl Subject {
    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        Ok(Self {
            name: row.opt_parsed("subject_name")?,
            number: row.opt_number("number")?,
            invoiced: row.opt_parsed("invoiced")?,
            customer_name: row.opt_parsed("customer_name")?,
            customer_email: row.opt_parsed("customer_email")?,
            customer_reference: row.opt_parsed("customer_reference")?,
        })
    }
}

macro_rules! columns {
    () => {
        "p.id, p.business_id, p.environment, p.payment_link_id, p.invoice_id, p.recurring_id, p.ledger, p.network, \
         p.address, p.amount, p.tolerance, p.asset, p.expires_at, p.accepts_late, p.status, p.exception, p.floor, \
         p.amount_refunded, p.refunded_from, p.amount_returned, p.amount_seen, p.amount_settled, p.payer, \
         p.transaction_hash, p.token_digest, p.settled_at, p.revision, p.created_at, p.created_by, p.updated_at"
    };
}

impl PaymentRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("payments", "id", Self::from_columns)
    }

    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        let paid_for = match row.opt_parsed("payment_link_id")? {
            Some(link) => PaidFor::PaymentLink(link),
            None => PaidFor::Invoice(row.parsed("invoice_id")?, row.opt_parsed("recurring_id")?),
        };
        let token_digest = row
            .bytes("token_digest")?
            .try_into()
            .map_err(|_| BadColumn { column: "token_digest", source: "is not 32 bytes".into() })?;
        Ok(Self {
            id: row.parsed("id")?,
            tenant: row.tenant()?,
            paid_for,
            destination: Destination {
                ledger: row.parsed("ledger")?,
                network: row.parsed("network")?,
                address: row.text("address")?,
            },
            terms: Terms {
                due: row.money("amount", "asset")?,
                tolerance: row.money("tolerance", "asset")?,
                expires_at: row.opt_time("expires_at")?,
                accepts_late: row.flag("accepts_late")?,
            },
            state: PaymentState {
                status: row.parsed("status")?,
                exception: row.parsed("exception")?,
                floor: row.int("floor")?,
                refunded: row.int("amount_refunded")?,
                refunded_from: row.opt_parsed("refunded_from")?,
                returned: row.int("amount_returned")?,
            },
            seen: row.money("amount_seen", "asset")?,
            settled: row.money("amount_settled", "asset")?,
            payer: row.opt_text("payer")?,
            transaction_hash: row.opt_text("transaction_hash")?,
            token_digest,
            settled_at: row.opt_time("settled_at")?,
            revision: row.int("revision")?,
            created_at: row.time("created_at")?,
            created_by: row.json("created_by")?,
            updated_at: row.time("updated_at")?,
        })
    }
}

/// The payments of a tenant that a filter chooses.
macro_rules! chosen {
    () => {
        "p.business_id = $1 AND p.environment = $2 \
         AND (CAST($3 AS TEXT) IS NULL OR p.status = $3) \
         AND (CAST($4 AS TEXT) IS NULL OR p.payment_link_id = $4 OR p.invoice_id = $4 OR p.recurring_id = $4) \
         AND (CAST($5 AS TEXT) IS NULL OR p.key_id = $5) \
         AND (CAST($6 AS BIGINT) IS NULL OR p.created_at >= $6) \
         AND (CAST($7 AS BIGINT) IS NULL OR p.created_at < $7) \
         AND (CAST($8 AS TEXT) IS NULL OR p.id LIKE $9 ESCAPE '!' \
         OR (CAST($10 AS BIGINT) IS NULL AND (LOWER(p.address) LIKE $8 ESCAPE '!' \
         OR LOWER(p.transaction_hash) LIKE $8 ESCAPE '!' OR LOWER(p.payer) LIKE $8 ESCAPE '!')) \
         OR p.payment_link_id IN (SELECT s.id FROM payment_links s WHERE s.business_id = $1 AND s.environment = $2 \
         AND (LOWER(s.title) LIKE $8 ESCAPE '!' OR LOWER(s.customer_reference) LIKE $8 ESCAPE '!')) \
         OR p.invoice_id IN (SELECT s.id FROM invoices s WHERE s.business_id = $1 AND s.environment = $2 \
         AND (s.number = $10 OR LOWER(s.title) LIKE $8 ESCAPE '!' OR LOWER(s.customer_name) LIKE $8 ESCAPE '!' \
         OR LOWER(s.customer_email) LIKE $8 ESCAPE '!' OR LOWER(s.customer_reference) LIKE $8 ESCAPE '!')) \
         OR p.recurring_id IN (SELECT s.id FROM recurring_payments s WHERE s.business_id = $1 \
         AND s.environment = $2 AND LOWER(s.name) LIKE $8 ESCAPE '!'))"
    };
}

/// The order of a page of them, and where it begins.
macro_rules! newest {
    () => {
        " AND (CAST($11 AS TEXT) IS NULL OR (p.created_at, p.id) < (SELECT a.created_at, a.id FROM payments a \
         WHERE a.id = $11 AND a.business_id = $1 AND a.environment = $2)) \
         ORDER BY p.created_at DESC, p.id DESC LIMIT $12"
    };
}

impl PaymentFilter {
    /// What the conditions of `chosen!` are told, and nothing after it.
    fn choosing(&self, sql: &'static str, tenant: &Tenant) -> Stmt {
        Stmt::new(sql)
            .text(&tenant.business)
            .text(tenant.environment)
            .opt_text(self.status)
            .opt_text(self.payable)
            .opt_text(self.key_id)
            .opt_time(self.created_from)
            .opt_time(self.created_before)
            .opt_text(self.search.as_ref().map(|text| pattern(text.as_str())))
            .opt_text(self.search.as_ref().map(|text| beginning(text.as_str())))
            .opt_int(self.search.as_ref().and_then(number_in).map(i64::from))
    }
}

/// What came in for good and was not given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takings {
    /// How much.
    pub amount: Money,
    /// By how many payments.
    pub payments: u64,
}

/// What came in for good on one day, by payments that were started with one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakingsRow {
    /// The day on which they were settled.
    pub day: UtcDay,
    /// The key; none where the payer started them on the hosted page.
    pub key_id: Option<KeyId>,
    /// What came in.
    pub takings: Takings,
}

/// The columns of [`Takings`]. Neither half of an amount overflows, however many payments there are.
macro_rules! takings {
    () => {
        "p.asset, COUNT(*) AS payments, \
         CAST(SUM((p.amount_settled - p.amount_refunded - p.amount_returned) / 1000000) AS BIGINT) AS millions, \
         CAST(SUM((p.amount_settled - p.amount_refunded - p.amount_returned) % 1000000) AS BIGINT) AS units"
    };
}

impl Takings {
    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        let sum = i128::from(row.int("millions")?) * 1_000_000 + i128::from(row.int("units")?);
        // More than there ever was of it: what is shown is the most that can be.
        let units = i64::try_from(sum).unwrap_or(i64::MAX);
        let asset = row.parsed("asset")?;
        let amount =
            Money::from_units(units, asset).map_err(|source| BadColumn { column: "units", source: source.into() })?;
        Ok(Self { amount, payments: row.number("payments")? })
    }
}

impl Reader<'_> {
    /// The tenant's payment of this id.
    pub async fn find_payment(&mut self, tenant: &Tenant, id: PaymentId) -> Result<Option<PaymentRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM payments p WHERE p.business_id = $1 AND p.environment = $2 AND p.id = $3"
        );
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(id);
        self.fetch_optional(stmt).await?.as_ref().map(PaymentRow::from_row).transpose()
    }

    /// The payment that a payer was shown, or that a deposit is for: its id is all that there is.
    pub async fn find_shown_payment(&mut self, id: PaymentId) -> Result<Option<PaymentRow>, StoreError> {
        const SQL: &str = concat!("SELECT ", columns!(), " FROM payments p WHERE p.id = $1");
        self.fetch_optional(Stmt::new(SQL).text(id)).await?.as_ref().map(PaymentRow::from_row).transpose()
    }

    /// The tenant's payments that match, newest first, those after `after` in this order; at most `limit`.
    pub async fn list_payments(
        &mut self,
        tenant: &Tenant,
        filter: &PaymentFilter,
        after: Option<PaymentId>,
        limit: u32,
    ) -> Result<Vec<PaymentRow>, StoreError> {
        const SQL: &str = concat!("SELECT ", columns!(), " FROM payments p WHERE ", chosen!(), newest!());
        let stmt = filter.choosing(SQL, tenant).opt_text(after).int(i64::from(limit));
        self.fetch_all(stmt).await?.iter().map(PaymentRow::from_row).collect()
    }

    /// The same, each with what it is for.
    pub async fn list_payments_with_subjects(
        &mut self,
        tenant: &Tenant,
        filter: &PaymentFilter,
        after: Option<PaymentId>,
        limit: u32,
    ) -> Result<Vec<ListedPayment>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            ", ",
            subject!(columns),
            " FROM ",
            subject!(tables),
            " WHERE ",
            chosen!(),
            newest!()
        );
        let stmt = filter.choosing(SQL, tenant).opt_text(after).int(i64::from(limit));
        let rows = self.fetch_all(stmt).await?;
        let listed = |row: &Row| {
            let payment = PaymentRow::from_columns(row)?;
            Ok(ListedPayment { payment, subject: Subject::from_columns(row)? })
        };
        rows.iter().map(|row| row.read("payments", "id", listed)).collect()
    }

    /// What a payment of a tenant is for.
    pub async fn find_subject(&mut self, tenant: &Tenant, payment: PaymentId) -> Result<Option<Subject>, StoreError> {
        const SQL: &str = concat!(
            "SELECT p.id, ",
            subject!(columns),
            " FROM ",
            subject!(tables),
            " WHERE p.business_id = $1 AND p.environment = $2 AND p.id = $3"
        );
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(payment);
        let row = self.fetch_optional(stmt).await?;
        row.map(|row| row.read("payments", "id", Subject::from_columns)).transpose()
    }

    /// What came in for good by the payments that a filter chooses, asset by asset.
    pub async fn sum_payments(&mut self, tenant: &Tenant, filter: &PaymentFilter) -> Result<Vec<Takings>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            takings!(),
            " FROM payments p WHERE ",
            chosen!(),
            " AND p.status IN ('settled', 'partially_refunded') GROUP BY p.asset ORDER BY p.asset"
        );
        let rows = self.fetch_all(filter.choosing(SQL, tenant)).await?;
        rows.iter().map(|row| row.read("payments", "asset", Takings::from_columns)).collect()
    }

    /// What came in for good from a day on, by day of UTC, key and asset, the oldest day first.
    pub async fn list_takings(&mut self, tenant: &Tenant, from: UtcDay) -> Result<Vec<TakingsRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT p.settled_at / 86400000000 AS day, p.key_id, ",
            takings!(),
            " FROM payments p WHERE p.business_id = $1 AND p.environment = $2 AND p.settled_at >= $3 \
             AND p.status IN ('settled', 'partially_refunded') \
             GROUP BY p.settled_at / 86400000000, p.key_id, p.asset ORDER BY day, p.key_id, p.asset"
        );
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).time(from.start());
        let rows = self.fetch_all(stmt).await?;
        let read = |row: &Row| {
            let takings = Takings::from_columns(row)?;
            Ok(TakingsRow { day: row.day("day")?, key_id: row.opt_parsed("key_id")?, takings })
        };
        rows.iter().map(|row| row.read("payments", "asset", read)).collect()
    }

    /// Payments whose state may follow anew from a ledger: those with a deposit that counts from block `from_block`
    /// on or, where not all of them was final, below it, and those that wait and whose time has run out. What lies below
    /// is final for every amount; it was not at the last look where less was asked for since.
    pub async fn list_payments_to_look_at(
        &mut self,
        ledger: &LedgerId,
        from_block: u64,
        ledger_time: Timestamp,
    ) -> Result<Vec<PaymentId>, StoreError> {
        const SQL: &str = "SELECT d.payment_id AS id FROM deposits d WHERE d.ledger = $1 AND d.canonical = 1 \
                           AND d.block >= $2 AND d.payment_id IS NOT NULL \
                           UNION SELECT p.id AS id FROM payments p WHERE p.ledger = $1 \
                           AND p.amount_settled < p.amount_seen AND EXISTS (SELECT 1 FROM deposits d \
                           WHERE d.payment_id = p.id AND d.canonical = 1 AND d.block < $2) \
                           UNION SELECT p.id AS id FROM payments p WHERE p.ledger = $1 \
                           AND p.status IN ('open', 'processing') AND p.expires_at < $3 ORDER BY id";
        let from = i64::try_from(from_block).unwrap_or(i64::MAX);
        let rows = self.fetch_all(Stmt::new(SQL).text(ledger).int(from).time(ledger_time)).await?;
        rows.iter().map(|row| row.read("payments", "id", |row| row.parsed("id"))).collect()
    }

    /// The payments that are paid, or were and were given back, for the same thing as another one, the oldest first; at
    /// most `limit`.
    pub async fn list_paid_beside(&mut self, payment: &PaymentRow, limit: u32) -> Result<Vec<PaymentRow>, StoreError> {
        macro_rules! beside {
            ($column:literal) => {
                concat!(
                    "SELECT ",
                    columns!(),
                    " FROM payments p WHERE p.",
                    $column,
                    " = $1 AND p.id <> $2 AND (p.status IN ('settled', 'partially_refunded') \
                     OR p.refunded_from = 'settled') ORDER BY p.settled_at, p.id LIMIT $3"
                )
            };
        }
        let stmt = match payment.paid_for {
            PaidFor::PaymentLink(id) => Stmt::new(beside!("payment_link_id")).text(id),
            PaidFor::Invoice(id, _) => Stmt::new(beside!("invoice_id")).text(id),
        };
        let rows = self.fetch_all(stmt.text(payment.id).int(i64::from(limit))).await?;
        rows.iter().map(PaymentRow::from_row).collect()
    }

    /// Ledgers on which a payment waits whose time ran out at `now`, which TEST may have set forward; at most `limit`.
    pub async fn list_ledgers_with_expired(&mut self, now: Timestamp, limit: u32) -> Result<Vec<LedgerId>, StoreError> {
        const SQL: &str = "SELECT DISTINCT p.ledger AS ledger FROM payments p \
                           LEFT JOIN test_ledgers t ON t.business_id = p.business_id AND p.environment = 'test' \
                           WHERE p.status = 'open' AND t.halted_at IS NULL \
                           AND p.expires_at < CAST($1 AS BIGINT) + COALESCE(t.clock_offset, 0) LIMIT $2";
        let rows = self.fetch_all(Stmt::new(SQL).time(now).int(i64::from(limit))).await?;
        rows.iter().map(|row| row.read("payments", "ledger", |row| row.parsed("ledger"))).collect()
    }
}

impl Tx {
    /// Adds a payment, and its address to those that are watched.
    ///
    /// # Errors
    /// [`StoreError::Unique`] where the address was given out before.
    pub async fn insert_payment(&mut self, payment: &PaymentRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO payments (id, business_id, environment, payment_link_id, invoice_id, \
                           recurring_id, ledger, network, address, amount, asset, tolerance, expires_at, \
                           accepts_late, status, exception, floor, amount_seen, amount_settled, token_digest, \
                           revision, created_at, created_by, key_id, key_version, updated_at) VALUES ($1, $2, $3, \
                           $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, \
                           $23, $24, $25, $26)";
        let (link, invoice, recurring) = match payment.paid_for {
            PaidFor::PaymentLink(link) => (Some(link), None, None),
            PaidFor::Invoice(invoice, recurring) => (None, Some(invoice), recurring),
        };
        let (key, version) = match payment.created_by {
            Actor::Key { id, version } => (Some(id), Some(i64::from(version))),
            _ => (None, None),
        };
        let stmt = Stmt::new(SQL)
            .text(payment.id)
            .text(&payment.tenant.business)
            .text(payment.tenant.environment)
            .opt_text(link)
            .opt_text(invoice)
            .opt_text(recurring)
            .text(&payment.destination.ledger)
            .text(&payment.destination.network)
            .text(&payment.destination.address)
            .money(payment.terms.due)
            .int(payment.terms.tolerance.units())
            .opt_time(payment.terms.expires_at)
            .flag(payment.terms.accepts_late)
            .text(payment.state.status)
            .text(payment.state.exception)
            .int(payment.state.floor)
            .int(payment.seen.units())
            .int(payment.settled.units())
            .bytes(payment.token_digest)
            .int(payment.revision)
            .time(payment.created_at)
            .json(&payment.created_by)
            .opt_text(key)
            .opt_int(version)
            .time(payment.updated_at);
        self.execute(stmt).await?;
        Ok(())
    }

    /// Saves where a payment stands, if nobody changed it since it was read.
    pub async fn update_payment(&mut self, payment: &PaymentRow) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE payments SET status = $3, exception = $4, floor = $5, amount_seen = $6, \
                           amount_settled = $7, payer = $8, transaction_hash = $9, settled_at = $10, \
                           updated_at = $11, expires_at = $12, amount_refunded = $13, refunded_from = $14, \
                           amount_returned = $15, revision = revision + 1 \
                           WHERE id = $1 AND revision = $2";
        let stmt = Stmt::new(SQL)
            .text(payment.id)
            .int(payment.revision)
            .text(payment.state.status)
            .text(payment.state.exception)
            .int(payment.state.floor)
            .int(payment.seen.units())
            .int(payment.settled.units())
            .opt_text(payment.payer.as_ref())
            .opt_text(payment.transaction_hash.as_ref())
            .opt_time(payment.settled_at)
            .time(payment.updated_at)
            .opt_time(payment.terms.expires_at)
            .int(payment.state.refunded)
            .opt_text(payment.state.refunded_from)
            .int(payment.state.returned);
        self.change_one(stmt).await
    }
}
