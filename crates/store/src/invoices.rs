//! Invoices, the periods of recurring payments among them.

use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::{InvoiceId, MailId, PaymentId, RecurringPaymentId};
use trousseau_domain::members::EmailAddress;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::Money;
use trousseau_domain::payables::{
    CustomerName, CustomerReference, InvoiceLife, InvoiceLine, InvoiceStatus, Title, WebUrl,
};
use trousseau_domain::text::SearchText;
use trousseau_domain::time::Timestamp;

use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::{Stmt, beginning, pattern};

/// An invoice as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceRow {
    /// Its id.
    pub id: InvoiceId,
    /// Whose it is.
    pub tenant: Tenant,
    /// 1, 2, 3 within the business and environment.
    pub number: u32,
    /// The price: the sum of the lines.
    pub amount: Money,
    /// What is billed, in a few words.
    pub title: Title,
    /// What is billed, line by line.
    pub lines: Vec<InvoiceLine>,
    /// Until when it is to be paid.
    pub due_at: Timestamp,
    /// What the customer is called.
    pub customer_name: Option<CustomerName>,
    /// Where it is sent.
    pub customer_email: Option<EmailAddress>,
    /// The merchant's own name for the customer.
    pub customer_reference: Option<CustomerReference>,
    /// Where the payer goes afterwards.
    pub redirect_url: Option<WebUrl>,
    /// The merchant's own data.
    pub metadata: Metadata,
    /// Whether the mail carries it as PDF.
    pub with_pdf: bool,
    /// Which period of which recurring payment it is.
    pub period: Option<(RecurringPaymentId, u32)>,
    /// When it was paid, as far as that still counts.
    pub paid_at: Option<Timestamp>,
    /// By which payment.
    pub paid_by: Option<PaymentId>,
    /// When it was called off.
    pub voided_at: Option<Timestamp>,
    /// When it was last mailed to the customer.
    pub sent_at: Option<Timestamp>,
    /// The latest reminder that went out or was passed over: days relative to the due date.
    pub reminded: Option<i8>,
    /// When it is to be looked at for the next reminder, by the tenant's time.
    pub remind_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: Actor,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was deleted. Its payments stay.
    pub deleted_at: Option<Timestamp>,
}

/// That an invoice was mailed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceMailRow {
    /// The mail.
    pub id: MailId,
    /// Whose invoice it is.
    pub tenant: Tenant,
    /// The invoice.
    pub invoice: InvoiceId,
    /// To whom.
    pub recipient: EmailAddress,
    /// When.
    pub at: Timestamp,
}

/// Which invoices a list shows. Deleted ones are left out unless asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvoiceFilter {
    /// Only those that stand there now.
    pub status: Option<InvoiceStatus>,
    /// Only those of this customer.
    pub customer_reference: Option<CustomerReference>,
    /// Only periods of this recurring payment.
    pub recurring: Option<RecurringPaymentId>,
    /// Only the one of this number, those with this text in their title, customer's name, address or reference, and those
    /// whose id begins with it.
    pub search: Option<SearchText>,
    /// Deleted ones too.
    pub include_deleted: bool,
}

/// The words that may stand before the number of an invoice.
const BEFORE_NUMBERS: [&str; 6] = ["facture", "invoice", "n°", "nº", "no", "#"];

/// The number of an invoice, where that is what is looked for: `12`, `Invoice 12`, `facture n° 12`.
pub(crate) fn number_in(search: &SearchText) -> Option<u32> {
    let text = search.as_str().to_lowercase();
    let mut rest = text.trim();
    while let Some(after) = BEFORE_NUMBERS.iter().find_map(|word| rest.strip_prefix(word)) {
        rest = after.trim_start();
    }
    // A sign would be read as well.
    rest.parse().ok().filter(|_| rest.bytes().all(|byte| byte.is_ascii_digit()))
}

macro_rules! columns {
    () => {
        "i.id, i.business_id, i.environment, i.number, i.amount, i.asset, i.title, i.lines, i.due_at, \
         i.customer_name, i.customer_email, i.customer_reference, i.redirect_url, i.metadata, i.with_pdf, \
         i.recurring_id, i.period, i.paid_at, i.paid_by, i.voided_at, i.sent_at, i.reminded, i.remind_at, \
         i.created_at, i.created_by, i.updated_at, i.deleted_at"
    };
}

impl InvoiceRow {
    /// What decides where it stands.
    pub const fn life(&self) -> InvoiceLife {
        InvoiceLife { due_at: self.due_at, paid_at: self.paid_at, voided_at: self.voided_at }
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("invoices", "id", Self::from_columns)
    }

    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        let (recurring, period) = (row.opt_parsed("recurring_id")?, row.opt_number("period")?);
        Ok(Self {
            id: row.parsed("id")?,
            tenant: row.tenant()?,
            number: row.number("number")?,
            amount: row.money("amount", "asset")?,
            title: row.parsed("title")?,
            lines: row.json("lines")?,
            due_at: row.time("due_at")?,
            customer_name: row.opt_parsed("customer_name")?,
            customer_email: row.opt_parsed("customer_email")?,
            customer_reference: row.opt_parsed("customer_reference")?,
            redirect_url: row.opt_parsed("redirect_url")?,
            metadata: row.json("metadata")?,
            with_pdf: row.flag("with_pdf")?,
            period: recurring.zip(period),
            paid_at: row.opt_time("paid_at")?,
            paid_by: row.opt_parsed("paid_by")?,
            voided_at: row.opt_time("voided_at")?,
            sent_at: row.opt_time("sent_at")?,
            reminded: row.opt_number("reminded")?,
            remind_at: row.opt_time("remind_at")?,
            created_at: row.time("created_at")?,
            created_by: row.json("created_by")?,
            updated_at: row.time("updated_at")?,
            deleted_at: row.opt_time("deleted_at")?,
        })
    }
}

impl Reader<'_> {
    /// The tenant's invoice of this id, deleted or not.
    pub async fn find_invoice(&mut self, tenant: &Tenant, id: InvoiceId) -> Result<Option<InvoiceRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM invoices i WHERE i.business_id = $1 AND i.environment = $2 AND i.id = $3"
        );
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(id);
        self.fetch_optional(stmt).await?.as_ref().map(InvoiceRow::from_row).transpose()
    }

    /// The invoice that a payer was shown: its id is all that they have.
    pub async fn find_shown_invoice(&mut self, id: InvoiceId) -> Result<Option<InvoiceRow>, StoreError> {
        const SQL: &str = concat!("SELECT ", columns!(), " FROM invoices i WHERE i.id = $1 AND i.deleted_at IS NULL");
        self.fetch_optional(Stmt::new(SQL).text(id)).await?.as_ref().map(InvoiceRow::from_row).transpose()
    }

    /// Whether a payment for it is on its way: seen in full, and not final.
    pub async fn is_invoice_being_paid(&mut self, id: InvoiceId) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT p.id FROM payments p WHERE p.invoice_id = $1 AND p.status = 'processing' LIMIT 1";
        Ok(self.fetch_optional(Stmt::new(SQL).text(id)).await?.is_some())
    }

    /// The latest period that was made of a recurring payment.
    pub async fn find_latest_period(
        &mut self,
        tenant: &Tenant,
        recurring: RecurringPaymentId,
    ) -> Result<Option<InvoiceRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM invoices i WHERE i.business_id = $1 AND i.environment = $2 AND i.recurring_id = $3 \
             ORDER BY i.period DESC LIMIT 1"
        );
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(recurring);
        self.fetch_optional(stmt).await?.as_ref().map(InvoiceRow::from_row).transpose()
    }

    /// Whether a period of a recurring payment is past due: neither paid, called off nor deleted.
    pub async fn has_overdue_period(
        &mut self,
        tenant: &Tenant,
        recurring: RecurringPaymentId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT i.id FROM invoices i \
                           WHERE i.business_id = $1 AND i.environment = $2 AND i.recurring_id = $3 AND i.due_at <= $4 \
                           AND i.paid_at IS NULL AND i.voided_at IS NULL AND i.deleted_at IS NULL LIMIT 1";
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(recurring).time(now);
        Ok(self.fetch_optional(stmt).await?.is_some())
    }

    /// The tenant's invoices that match, newest first and of one instant the highest number first, those after `after` in
    /// this order; at most `limit`.
    pub async fn list_invoices(
        &mut self,
        tenant: &Tenant,
        filter: &InvoiceFilter,
        now: Timestamp,
        after: Option<InvoiceId>,
        limit: u32,
    ) -> Result<Vec<InvoiceRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM invoices i WHERE i.business_id = $1 AND i.environment = $2 \
             AND (CAST($3 AS TEXT) IS NULL OR $3 = CASE WHEN i.paid_at IS NOT NULL THEN 'paid' \
             WHEN i.voided_at IS NOT NULL THEN 'void' WHEN i.due_at <= $4 THEN 'past_due' ELSE 'pending' END) \
             AND (CAST($5 AS TEXT) IS NULL OR i.customer_reference = $5) \
             AND (CAST($6 AS TEXT) IS NULL OR i.recurring_id = $6) \
             AND (CAST($7 AS TEXT) IS NULL OR i.number = $12 OR LOWER(i.title) LIKE $7 ESCAPE '!' \
             OR i.id LIKE $11 ESCAPE '!' \
             OR LOWER(i.customer_name) LIKE $7 ESCAPE '!' OR LOWER(i.customer_email) LIKE $7 ESCAPE '!' \
             OR LOWER(i.customer_reference) LIKE $7 ESCAPE '!') \
             AND (CAST($8 AS BIGINT) = 1 OR i.deleted_at IS NULL) \
             AND (CAST($9 AS TEXT) IS NULL OR (i.created_at, i.number) < (SELECT a.created_at, a.number \
             FROM invoices a WHERE a.id = $9 AND a.business_id = $1 AND a.environment = $2)) \
             ORDER BY i.created_at DESC, i.number DESC LIMIT $10"
        );
        let stmt = Stmt::new(SQL)
            .text(&tenant.business)
            .text(tenant.environment)
            .opt_text(filter.status)
            .time(now)
            .opt_text(filter.customer_reference.as_ref())
            .opt_text(filter.recurring)
            .opt_text(filter.search.as_ref().map(|text| pattern(text.as_str())))
            .int(i64::from(filter.include_deleted))
            .opt_text(after)
            .int(i64::from(limit))
            .opt_text(filter.search.as_ref().map(|text| beginning(text.as_str())))
            .opt_int(filter.search.as_ref().and_then(number_in).map(i64::from));
        self.fetch_all(stmt).await?.iter().map(InvoiceRow::from_row).collect()
    }

    /// The number that the tenant's next invoice gets. Only the lock of the business keeps it free until then.
    pub async fn next_invoice_number(&mut self, tenant: &Tenant) -> Result<u32, StoreError> {
        const SQL: &str = "SELECT COALESCE(MAX(i.number), 0) + 1 AS next FROM invoices i \
                           WHERE i.business_id = $1 AND i.environment = $2";
        let row = self.fetch_one(Stmt::new(SQL).text(&tenant.business).text(tenant.environment)).await?;
        row.read("invoices", "next", |row| row.number("next"))
    }
}

impl Tx {
    /// Adds an invoice; `false` where the period was made already.
    pub async fn insert_invoice(&mut self, invoice: &InvoiceRow) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO invoices (id, business_id, environment, number, amount, asset, title, lines, \
                           due_at, customer_name, customer_email, customer_reference, redirect_url, metadata, \
                           with_pdf, recurring_id, period, sent_at, reminded, remind_at, created_at, created_by, \
                           updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, \
                           $16, $17, $18, $19, $20, $21, $22, $23) \
                           ON CONFLICT (recurring_id, period) DO NOTHING";
        let stmt = Stmt::new(SQL)
            .text(invoice.id)
            .text(&invoice.tenant.business)
            .text(invoice.tenant.environment)
            .int(i64::from(invoice.number))
            .money(invoice.amount)
            .text(&invoice.title)
            .json(&invoice.lines)
            .time(invoice.due_at)
            .opt_text(invoice.customer_name.as_ref())
            .opt_text(invoice.customer_email.as_ref().map(EmailAddress::as_str))
            .opt_text(invoice.customer_reference.as_ref())
            .opt_text(invoice.redirect_url.as_ref())
            .json(&invoice.metadata)
            .flag(invoice.with_pdf)
            .opt_text(invoice.period.map(|(recurring, _)| recurring))
            .opt_int(invoice.period.map(|(_, period)| i64::from(period)))
            .opt_time(invoice.sent_at)
            .opt_int(invoice.reminded.map(i64::from))
            .opt_time(invoice.remind_at)
            .time(invoice.created_at)
            .json(&invoice.created_by)
            .time(invoice.updated_at);
        self.change_one(stmt).await
    }

    /// Saves what a merchant may change, and what was sent of it, if the invoice is not deleted and is paid or not as it was
    /// when it was read.
    pub async fn update_invoice(&mut self, invoice: &InvoiceRow) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE invoices SET amount = $4, asset = $5, title = $6, lines = $7, due_at = $8, \
                           customer_name = $9, customer_email = $10, customer_reference = $11, redirect_url = $12, \
                           metadata = $13, with_pdf = $14, voided_at = $15, sent_at = $16, reminded = $17, \
                           remind_at = $18, updated_at = $19, deleted_at = $20 \
                           WHERE id = $1 AND business_id = $2 AND environment = $3 AND deleted_at IS NULL \
                           AND CASE WHEN paid_by IS NULL THEN 0 ELSE 1 END = $21";
        let stmt = Stmt::new(SQL)
            .text(invoice.id)
            .text(&invoice.tenant.business)
            .text(invoice.tenant.environment)
            .money(invoice.amount)
            .text(&invoice.title)
            .json(&invoice.lines)
            .time(invoice.due_at)
            .opt_text(invoice.customer_name.as_ref())
            .opt_text(invoice.customer_email.as_ref().map(EmailAddress::as_str))
            .opt_text(invoice.customer_reference.as_ref())
            .opt_text(invoice.redirect_url.as_ref())
            .json(&invoice.metadata)
            .flag(invoice.with_pdf)
            .opt_time(invoice.voided_at)
            .opt_time(invoice.sent_at)
            .opt_int(invoice.reminded.map(i64::from))
            .opt_time(invoice.remind_at)
            .time(invoice.updated_at)
            .opt_time(invoice.deleted_at)
            .flag(invoice.paid_by.is_some());
        self.change_one(stmt).await
    }

    /// Notes that a payment paid the invoice; `false` if another one had.
    pub async fn mark_invoice_paid(&mut self, id: InvoiceId, by: PaymentId, at: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE invoices SET paid_at = $3, paid_by = $2 WHERE id = $1 AND paid_by IS NULL";
        self.change_one(Stmt::new(SQL).text(id).text(by).time(at)).await
    }

    /// Takes that back, where it was this payment.
    pub async fn unmark_invoice_paid(&mut self, id: InvoiceId, by: PaymentId) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE invoices SET paid_at = NULL, paid_by = NULL WHERE id = $1 AND paid_by = $2";
        self.change_one(Stmt::new(SQL).text(id).text(by)).await
    }

    /// Notes which reminder went out or was passed over, and when to look again, if the invoice is still open and
    /// nobody else has looked since: whoever gets `true` sends it.
    pub async fn mark_reminded(
        &mut self,
        invoice: &InvoiceRow,
        reminded: Option<i8>,
        again_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE invoices SET reminded = $3, remind_at = $4 WHERE id = $1 AND remind_at = $2 \
                           AND paid_at IS NULL AND voided_at IS NULL AND deleted_at IS NULL";
        let stmt = Stmt::new(SQL)
            .text(invoice.id)
            .opt_time(invoice.remind_at)
            .opt_int(reminded.map(i64::from))
            .opt_time(again_at);
        self.change_one(stmt).await
    }

    /// Notes that an invoice is mailed.
    pub async fn insert_invoice_mail(&mut self, mail: &InvoiceMailRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO invoice_mails (id, business_id, environment, invoice_id, recipient, at) \
                           VALUES ($1, $2, $3, $4, $5, $6)";
        let stmt = Stmt::new(SQL)
            .text(mail.id)
            .text(&mail.tenant.business)
            .text(mail.tenant.environment)
            .text(mail.invoice)
            .text(mail.recipient.as_str())
            .time(mail.at);
        self.execute(stmt).await?;
        Ok(())
    }

    /// Forgets at most `limit` invoices that were mailed before an instant; says how many.
    pub async fn prune_invoice_mails(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM invoice_mails WHERE id IN (SELECT m.id FROM invoice_mails m WHERE m.at < $1 \
                           ORDER BY m.at LIMIT $2)";
        self.execute(Stmt::new(SQL).time(before).int(i64::from(limit))).await
    }
}

impl Reader<'_> {
    /// Open invoices that were mailed to their customers and are to be looked at for a reminder, the longest waiting
    /// first; at most `limit`. Nothing of a business that is suspended, and no period of a recurring payment that is
    /// paused or deleted.
    ///
    /// TEST has a clock per business, so `now` is tried with how far each was set forward.
    pub async fn list_to_remind(
        &mut self,
        now: Timestamp,
        by_test_clocks: bool,
        only: Option<&Tenant>,
        limit: u32,
    ) -> Result<Vec<InvoiceRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM invoices i JOIN businesses b ON b.id = i.business_id \
             LEFT JOIN recurring_payments r ON r.id = i.recurring_id \
             LEFT JOIN test_ledgers t ON t.business_id = i.business_id AND i.environment = 'test' \
             WHERE i.remind_at IS NOT NULL AND i.paid_at IS NULL AND i.voided_at IS NULL AND i.deleted_at IS NULL \
             AND i.remind_at <= CAST($1 AS BIGINT) + COALESCE(t.clock_offset, 0) * CAST($5 AS BIGINT) \
             AND i.customer_email IS NOT NULL AND b.suspended_at IS NULL \
             AND (r.id IS NULL OR (r.state <> 'paused' AND r.deleted_at IS NULL)) \
             AND (CAST($2 AS TEXT) IS NULL OR i.business_id = $2) \
             AND (CAST($3 AS TEXT) IS NULL OR i.environment = $3) \
             ORDER BY i.remind_at, i.id LIMIT $4"
        );
        let stmt = Stmt::new(SQL)
            .time(now)
            .opt_text(only.map(|tenant| &tenant.business))
            .opt_text(only.map(|tenant| tenant.environment))
            .int(i64::from(limit))
            .int(i64::from(by_test_clocks));
        self.fetch_all(stmt).await?.iter().map(InvoiceRow::from_row).collect()
    }

    /// When, and which, invoices of the tenant were mailed to this address from an instant on, the earliest first; at
    /// most `limit`.
    pub async fn list_invoice_mails(
        &mut self,
        tenant: &Tenant,
        recipient: &EmailAddress,
        from: Timestamp,
        limit: u32,
    ) -> Result<Vec<(InvoiceId, Timestamp)>, StoreError> {
        const SQL: &str = "SELECT m.id, m.invoice_id, m.at FROM invoice_mails m WHERE m.business_id = $1 \
                           AND m.environment = $2 AND m.recipient = $3 AND m.at >= $4 ORDER BY m.at, m.id LIMIT $5";
        let stmt = Stmt::new(SQL)
            .text(&tenant.business)
            .text(tenant.environment)
            .text(recipient.as_str())
            .time(from)
            .int(i64::from(limit));
        let rows = self.fetch_all(stmt).await?;
        rows.iter()
            .map(|row| row.read("invoice_mails", "id", |row| Ok((row.parsed("invoice_id")?, row.time("at")?))))
            .collect()
    }
}
