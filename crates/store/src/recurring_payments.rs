//! Recurring payments. Their periods are invoices.

use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::RecurringPaymentId;
use trousseau_domain::members::EmailAddress;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::Money;
use trousseau_domain::payables::{CustomerName, CustomerReference, RecurringState, Title, WebUrl};
use trousseau_domain::recurrence::{Interval, Recurrence};
use trousseau_domain::text::SearchText;
use trousseau_domain::time::{TimeZone, Timestamp};

use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::{Stmt, beginning, pattern};

/// A recurring payment as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecurringPaymentRow {
    /// Its id.
    pub id: RecurringPaymentId,
    /// Whose it is.
    pub tenant: Tenant,
    /// The price of the periods to come.
    pub amount: Money,
    /// What is subscribed to.
    pub name: Option<Title>,
    /// What the customer is called.
    pub customer_name: Option<CustomerName>,
    /// Where its invoices are sent.
    pub customer_email: Option<EmailAddress>,
    /// A wallet that the customer named. Nothing is decided by it.
    pub customer_wallet: Option<Title>,
    /// The merchant's own name for the customer.
    pub customer_reference: Option<CustomerReference>,
    /// Where the payer goes afterwards.
    pub redirect_url: Option<WebUrl>,
    /// The merchant's own data.
    pub metadata: Metadata,
    /// When the first period is due.
    pub anchor: Timestamp,
    /// How far the periods lie apart.
    pub interval: Interval,
    /// Where the local time of the anchor is read.
    pub time_zone: TimeZone,
    /// Whether the mails carry the invoices as PDF.
    pub with_pdf: bool,
    /// What the merchant has it do.
    pub state: RecurringState,
    /// Which period is made next.
    pub next_period: u32,
    /// When that one is due; none where no calendar goes that far.
    pub next_due_at: Option<Timestamp>,
    /// Since when it waits for somebody, after too many periods were missed.
    pub held_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: Actor,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was deleted. Its invoices stay.
    pub deleted_at: Option<Timestamp>,
}

/// Which recurring payments are looked for because a period of theirs is due.
#[derive(Debug, Clone, Copy)]
pub struct DuePeriods<'a> {
    /// What time it is.
    pub now: Timestamp,
    /// TEST has a clock for each business: whether how far it was set forward counts.
    pub by_test_clocks: bool,
    /// Whose; everybody's if none is named.
    pub of: Option<&'a Tenant>,
    /// Behind this one, by when it is due and its id.
    pub after: Option<(Timestamp, RecurringPaymentId)>,
}

/// Which recurring payments a list shows. Deleted ones are left out unless asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecurringPaymentFilter {
    /// Only those that the merchant has do this.
    pub state: Option<RecurringState>,
    /// Only those of this customer.
    pub customer_reference: Option<CustomerReference>,
    /// Only those with this text in their name, customer's name, address or reference, and those whose id begins with it.
    pub search: Option<SearchText>,
    /// Deleted ones too.
    pub include_deleted: bool,
}

macro_rules! columns {
    () => {
        "r.id, r.business_id, r.environment, r.amount, r.asset, r.name, r.customer_name, r.customer_email, \
         r.customer_wallet, r.customer_reference, r.redirect_url, r.metadata, r.anchor, r.recurs, r.time_zone, \
         r.with_pdf, r.state, r.next_period, r.next_due_at, r.held_at, r.created_at, r.created_by, r.updated_at, \
         r.deleted_at"
    };
}

impl RecurringPaymentRow {
    /// Its due dates.
    pub fn recurrence(&self) -> Recurrence {
        Recurrence::new(self.anchor, self.interval, self.time_zone.clone())
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("recurring_payments", "id", Self::from_columns)
    }

    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        Ok(Self {
            id: row.parsed("id")?,
            tenant: row.tenant()?,
            amount: row.money("amount", "asset")?,
            name: row.opt_parsed("name")?,
            customer_name: row.opt_parsed("customer_name")?,
            customer_email: row.opt_parsed("customer_email")?,
            customer_wallet: row.opt_parsed("customer_wallet")?,
            customer_reference: row.opt_parsed("customer_reference")?,
            redirect_url: row.opt_parsed("redirect_url")?,
            metadata: row.json("metadata")?,
            anchor: row.time("anchor")?,
            interval: row.json("recurs")?,
            time_zone: row.parsed("time_zone")?,
            with_pdf: row.flag("with_pdf")?,
            state: row.parsed("state")?,
            next_period: row.number("next_period")?,
            next_due_at: row.opt_time("next_due_at")?,
            held_at: row.opt_time("held_at")?,
            created_at: row.time("created_at")?,
            created_by: row.json("created_by")?,
            updated_at: row.time("updated_at")?,
            deleted_at: row.opt_time("deleted_at")?,
        })
    }
}

impl Reader<'_> {
    /// The tenant's recurring payment of this id, deleted or not.
    pub async fn find_recurring_payment(
        &mut self,
        tenant: &Tenant,
        id: RecurringPaymentId,
    ) -> Result<Option<RecurringPaymentRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM recurring_payments r WHERE r.business_id = $1 AND r.environment = $2 AND r.id = $3"
        );
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(id);
        self.fetch_optional(stmt).await?.as_ref().map(RecurringPaymentRow::from_row).transpose()
    }

    /// The recurring payment that a payer was shown: its id is all that they have.
    pub async fn find_shown_recurring_payment(
        &mut self,
        id: RecurringPaymentId,
    ) -> Result<Option<RecurringPaymentRow>, StoreError> {
        const SQL: &str =
            concat!("SELECT ", columns!(), " FROM recurring_payments r WHERE r.id = $1 AND r.deleted_at IS NULL");
        self.fetch_optional(Stmt::new(SQL).text(id)).await?.as_ref().map(RecurringPaymentRow::from_row).transpose()
    }

    /// The tenant's recurring payments that match, newest first, those after `after` in this order; at most `limit`.
    pub async fn list_recurring_payments(
        &mut self,
        tenant: &Tenant,
        filter: &RecurringPaymentFilter,
        after: Option<RecurringPaymentId>,
        limit: u32,
    ) -> Result<Vec<RecurringPaymentRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM recurring_payments r WHERE r.business_id = $1 AND r.environment = $2 \
             AND (CAST($3 AS TEXT) IS NULL OR r.state = $3) \
             AND (CAST($4 AS TEXT) IS NULL OR r.customer_reference = $4) \
             AND (CAST($5 AS TEXT) IS NULL OR LOWER(r.name) LIKE $5 ESCAPE '!' OR r.id LIKE $9 ESCAPE '!' \
             OR LOWER(r.customer_name) LIKE $5 ESCAPE '!' OR LOWER(r.customer_email) LIKE $5 ESCAPE '!' \
             OR LOWER(r.customer_reference) LIKE $5 ESCAPE '!') \
             AND (CAST($6 AS BIGINT) = 1 OR r.deleted_at IS NULL) \
             AND (CAST($7 AS TEXT) IS NULL OR (r.created_at, r.id) < (SELECT a.created_at, a.id \
             FROM recurring_payments a WHERE a.id = $7 AND a.business_id = $1 AND a.environment = $2)) \
             ORDER BY r.created_at DESC, r.id DESC LIMIT $8"
        );
        let stmt = Stmt::new(SQL)
            .text(&tenant.business)
            .text(tenant.environment)
            .opt_text(filter.state)
            .opt_text(filter.customer_reference.as_ref())
            .opt_text(filter.search.as_ref().map(|text| pattern(text.as_str())))
            .int(i64::from(filter.include_deleted))
            .opt_text(after)
            .int(i64::from(limit))
            .opt_text(filter.search.as_ref().map(|text| beginning(text.as_str())));
        self.fetch_all(stmt).await?.iter().map(RecurringPaymentRow::from_row).collect()
    }

    /// Recurring payments of businesses that are open, of which a period is due, those due for longest first; at most
    /// `limit`.
    pub async fn list_due_recurring_payments(
        &mut self,
        due: &DuePeriods<'_>,
        limit: u32,
    ) -> Result<Vec<RecurringPaymentRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM recurring_payments r JOIN businesses b ON b.id = r.business_id \
             LEFT JOIN test_ledgers t ON t.business_id = r.business_id AND r.environment = 'test' \
             WHERE r.state = 'active' AND r.held_at IS NULL AND r.deleted_at IS NULL AND b.suspended_at IS NULL \
             AND r.next_due_at <= CAST($1 AS BIGINT) + COALESCE(t.clock_offset, 0) * CAST($2 AS BIGINT) \
             AND (CAST($4 AS TEXT) IS NULL OR (r.business_id = $4 AND r.environment = $5)) \
             AND (CAST($6 AS BIGINT) IS NULL OR (r.next_due_at, r.id) > ($6, $7)) \
             ORDER BY r.next_due_at, r.id LIMIT $3"
        );
        let stmt = Stmt::new(SQL)
            .time(due.now)
            .int(i64::from(due.by_test_clocks))
            .int(i64::from(limit))
            .opt_text(due.of.map(|tenant| &tenant.business))
            .opt_text(due.of.map(|tenant| tenant.environment))
            .opt_time(due.after.map(|(at, _)| at))
            .opt_text(due.after.map(|(_, id)| id));
        self.fetch_all(stmt).await?.iter().map(RecurringPaymentRow::from_row).collect()
    }
}

impl Tx {
    /// Adds a recurring payment.
    pub async fn insert_recurring_payment(&mut self, recurring: &RecurringPaymentRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO recurring_payments (id, business_id, environment, amount, asset, name, \
                           customer_name, customer_email, customer_wallet, customer_reference, redirect_url, \
                           metadata, anchor, recurs, time_zone, with_pdf, state, next_period, next_due_at, \
                           created_at, created_by, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
                           $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)";
        let stmt = Stmt::new(SQL)
            .text(recurring.id)
            .text(&recurring.tenant.business)
            .text(recurring.tenant.environment)
            .money(recurring.amount)
            .opt_text(recurring.name.as_ref())
            .opt_text(recurring.customer_name.as_ref())
            .opt_text(recurring.customer_email.as_ref().map(EmailAddress::as_str))
            .opt_text(recurring.customer_wallet.as_ref())
            .opt_text(recurring.customer_reference.as_ref())
            .opt_text(recurring.redirect_url.as_ref())
            .json(&recurring.metadata)
            .time(recurring.anchor)
            .json(&recurring.interval)
            .text(recurring.time_zone.name())
            .flag(recurring.with_pdf)
            .text(recurring.state)
            .int(i64::from(recurring.next_period))
            .opt_time(recurring.next_due_at)
            .time(recurring.created_at)
            .json(&recurring.created_by)
            .time(recurring.updated_at);
        self.execute(stmt).await?;
        Ok(())
    }

    /// Saves what may change, if it is still at `expected_period` and not deleted.
    pub async fn update_recurring_payment(
        &mut self,
        recurring: &RecurringPaymentRow,
        expected_period: u32,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE recurring_payments SET amount = $5, asset = $6, name = $7, customer_name = $8, \
                           customer_email = $9, customer_wallet = $10, customer_reference = $11, redirect_url = $12, \
                           metadata = $13, anchor = $14, recurs = $15, time_zone = $16, with_pdf = $17, state = $18, \
                           next_period = $19, next_due_at = $20, held_at = $21, updated_at = $22, deleted_at = $23 \
                           WHERE id = $1 AND business_id = $2 AND environment = $3 AND next_period = $4 \
                           AND deleted_at IS NULL";
        let stmt = Stmt::new(SQL)
            .text(recurring.id)
            .text(&recurring.tenant.business)
            .text(recurring.tenant.environment)
            .int(i64::from(expected_period))
            .money(recurring.amount)
            .opt_text(recurring.name.as_ref())
            .opt_text(recurring.customer_name.as_ref())
            .opt_text(recurring.customer_email.as_ref().map(EmailAddress::as_str))
            .opt_text(recurring.customer_wallet.as_ref())
            .opt_text(recurring.customer_reference.as_ref())
            .opt_text(recurring.redirect_url.as_ref())
            .json(&recurring.metadata)
            .time(recurring.anchor)
            .json(&recurring.interval)
            .text(recurring.time_zone.name())
            .flag(recurring.with_pdf)
            .text(recurring.state)
            .int(i64::from(recurring.next_period))
            .opt_time(recurring.next_due_at)
            .opt_time(recurring.held_at)
            .time(recurring.updated_at)
            .opt_time(recurring.deleted_at);
        self.change_one(stmt).await
    }
}
