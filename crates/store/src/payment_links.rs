//! Payment links.

use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::{PaymentId, PaymentLinkId};
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::Money;
use trousseau_domain::payables::{CustomerReference, Description, PaymentLinkStatus, Title, WebUrl};
use trousseau_domain::text::SearchText;
use trousseau_domain::time::Timestamp;

use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::{Stmt, beginning, pattern};

/// A payment link as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentLinkRow {
    /// Its id.
    pub id: PaymentLinkId,
    /// Whose it is.
    pub tenant: Tenant,
    /// The price.
    pub amount: Money,
    /// What it is called.
    pub title: Option<Title>,
    /// What it says beside.
    pub description: Option<Description>,
    /// Where the payer goes afterwards.
    pub redirect_url: Option<WebUrl>,
    /// A picture that is kept and given back.
    pub logo_url: Option<WebUrl>,
    /// Another one.
    pub banner_url: Option<WebUrl>,
    /// The merchant's own name for the customer.
    pub customer_reference: Option<CustomerReference>,
    /// The merchant's own data.
    pub metadata: Metadata,
    /// Whether it can be paid once only.
    pub single_use: bool,
    /// Whether it is switched on.
    pub active: bool,
    /// When it was first paid, as far as that still counts.
    pub paid_at: Option<Timestamp>,
    /// By which payment.
    pub paid_by: Option<PaymentId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: Actor,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was deleted. Its payments stay.
    pub deleted_at: Option<Timestamp>,
}

/// Which payment links a list shows. Deleted ones are left out unless asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentLinkFilter {
    /// Only those that stand there.
    pub status: Option<PaymentLinkStatus>,
    /// Only those of this customer.
    pub customer_reference: Option<CustomerReference>,
    /// Only those with this text in their title or customer reference, and those whose id begins with it.
    pub search: Option<SearchText>,
    /// Deleted ones too.
    pub include_deleted: bool,
}

macro_rules! columns {
    () => {
        "l.id, l.business_id, l.environment, l.amount, l.asset, l.title, l.description, l.redirect_url, l.logo_url, \
         l.banner_url, l.customer_reference, l.metadata, l.single_use, l.active, l.paid_at, l.paid_by, l.created_at, \
         l.created_by, l.updated_at, l.deleted_at"
    };
}

impl PaymentLinkRow {
    /// Where it stands.
    pub const fn status(&self) -> PaymentLinkStatus {
        if self.single_use && self.paid_at.is_some() {
            PaymentLinkStatus::Paid
        } else if self.active {
            PaymentLinkStatus::Active
        } else {
            PaymentLinkStatus::Inactive
        }
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("payment_links", "id", Self::from_columns)
    }

    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        Ok(Self {
            id: row.parsed("id")?,
            tenant: row.tenant()?,
            amount: row.money("amount", "asset")?,
            title: row.opt_parsed("title")?,
            description: row.opt_parsed("description")?,
            redirect_url: row.opt_parsed("redirect_url")?,
            logo_url: row.opt_parsed("logo_url")?,
            banner_url: row.opt_parsed("banner_url")?,
            customer_reference: row.opt_parsed("customer_reference")?,
            metadata: row.json("metadata")?,
            single_use: row.flag("single_use")?,
            active: row.flag("active")?,
            paid_at: row.opt_time("paid_at")?,
            paid_by: row.opt_parsed("paid_by")?,
            created_at: row.time("created_at")?,
            created_by: row.json("created_by")?,
            updated_at: row.time("updated_at")?,
            deleted_at: row.opt_time("deleted_at")?,
        })
    }
}

impl Reader<'_> {
    /// The tenant's payment link of this id, deleted or not.
    pub async fn find_payment_link(
        &mut self,
        tenant: &Tenant,
        id: PaymentLinkId,
    ) -> Result<Option<PaymentLinkRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM payment_links l WHERE l.business_id = $1 AND l.environment = $2 AND l.id = $3"
        );
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(id);
        self.fetch_optional(stmt).await?.as_ref().map(PaymentLinkRow::from_row).transpose()
    }

    /// The payment link that a payer was shown: its id is all that they have.
    pub async fn find_shown_payment_link(&mut self, id: PaymentLinkId) -> Result<Option<PaymentLinkRow>, StoreError> {
        const SQL: &str =
            concat!("SELECT ", columns!(), " FROM payment_links l WHERE l.id = $1 AND l.deleted_at IS NULL");
        self.fetch_optional(Stmt::new(SQL).text(id)).await?.as_ref().map(PaymentLinkRow::from_row).transpose()
    }

    /// Whether a payment for it is on its way: seen in full, and not final.
    pub async fn is_payment_link_being_paid(&mut self, id: PaymentLinkId) -> Result<bool, StoreError> {
        const SQL: &str =
            "SELECT p.id FROM payments p WHERE p.payment_link_id = $1 AND p.status = 'processing' LIMIT 1";
        Ok(self.fetch_optional(Stmt::new(SQL).text(id)).await?.is_some())
    }

    /// The tenant's payment links that match, newest first, those after `after` in this order; at most `limit`.
    pub async fn list_payment_links(
        &mut self,
        tenant: &Tenant,
        filter: &PaymentLinkFilter,
        after: Option<PaymentLinkId>,
        limit: u32,
    ) -> Result<Vec<PaymentLinkRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM payment_links l WHERE l.business_id = $1 AND l.environment = $2 \
             AND (CAST($3 AS TEXT) IS NULL OR $3 = CASE WHEN l.single_use = 1 AND l.paid_at IS NOT NULL THEN 'paid' \
             WHEN l.active = 1 THEN 'active' ELSE 'inactive' END) \
             AND (CAST($4 AS TEXT) IS NULL OR l.customer_reference = $4) \
             AND (CAST($5 AS TEXT) IS NULL OR LOWER(l.title) LIKE $5 ESCAPE '!' OR l.id LIKE $9 ESCAPE '!' \
             OR LOWER(l.customer_reference) LIKE $5 ESCAPE '!') \
             AND (CAST($6 AS BIGINT) = 1 OR l.deleted_at IS NULL) \
             AND (CAST($7 AS TEXT) IS NULL OR (l.created_at, l.id) < (SELECT a.created_at, a.id FROM payment_links a \
             WHERE a.id = $7 AND a.business_id = $1 AND a.environment = $2)) \
             ORDER BY l.created_at DESC, l.id DESC LIMIT $8"
        );
        let stmt = Stmt::new(SQL)
            .text(&tenant.business)
            .text(tenant.environment)
            .opt_text(filter.status)
            .opt_text(filter.customer_reference.as_ref())
            .opt_text(filter.search.as_ref().map(|text| pattern(text.as_str())))
            .int(i64::from(filter.include_deleted))
            .opt_text(after)
            .int(i64::from(limit))
            .opt_text(filter.search.as_ref().map(|text| beginning(text.as_str())));
        self.fetch_all(stmt).await?.iter().map(PaymentLinkRow::from_row).collect()
    }
}

impl Tx {
    /// Adds a payment link.
    pub async fn insert_payment_link(&mut self, link: &PaymentLinkRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO payment_links (id, business_id, environment, amount, asset, title, \
                           description, redirect_url, logo_url, banner_url, customer_reference, metadata, single_use, \
                           active, created_at, created_by, updated_at) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
        let stmt = Stmt::new(SQL)
            .text(link.id)
            .text(&link.tenant.business)
            .text(link.tenant.environment)
            .money(link.amount)
            .opt_text(link.title.as_ref())
            .opt_text(link.description.as_ref())
            .opt_text(link.redirect_url.as_ref())
            .opt_text(link.logo_url.as_ref())
            .opt_text(link.banner_url.as_ref())
            .opt_text(link.customer_reference.as_ref())
            .json(&link.metadata)
            .flag(link.single_use)
            .flag(link.active)
            .time(link.created_at)
            .json(&link.created_by)
            .time(link.updated_at);
        self.execute_later(stmt).await
    }

    /// Saves what a merchant may change, if the link is not deleted.
    pub async fn update_payment_link(&mut self, link: &PaymentLinkRow) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE payment_links SET amount = $4, asset = $5, title = $6, description = $7, \
                           redirect_url = $8, logo_url = $9, banner_url = $10, customer_reference = $11, \
                           metadata = $12, single_use = $13, active = $14, updated_at = $15, deleted_at = $16 \
                           WHERE id = $1 AND business_id = $2 AND environment = $3 AND deleted_at IS NULL";
        let stmt = Stmt::new(SQL)
            .text(link.id)
            .text(&link.tenant.business)
            .text(link.tenant.environment)
            .money(link.amount)
            .opt_text(link.title.as_ref())
            .opt_text(link.description.as_ref())
            .opt_text(link.redirect_url.as_ref())
            .opt_text(link.logo_url.as_ref())
            .opt_text(link.banner_url.as_ref())
            .opt_text(link.customer_reference.as_ref())
            .json(&link.metadata)
            .flag(link.single_use)
            .flag(link.active)
            .time(link.updated_at)
            .opt_time(link.deleted_at);
        self.change_one(stmt).await
    }

    /// Notes that a payment paid the link; `false` if another one had.
    pub async fn mark_payment_link_paid(
        &mut self,
        id: PaymentLinkId,
        by: PaymentId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE payment_links SET paid_at = $3, paid_by = $2 WHERE id = $1 AND paid_by IS NULL";
        self.change_one(Stmt::new(SQL).text(id).text(by).time(at)).await
    }

    /// Takes that back, where it was this payment.
    pub async fn unmark_payment_link_paid(&mut self, id: PaymentLinkId, by: PaymentId) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE payment_links SET paid_at = NULL, paid_by = NULL WHERE id = $1 AND paid_by = $2";
        self.change_one(Stmt::new(SQL).text(id).text(by)).await
    }
}
