//! Businesses.

use trousseau_domain::ids::BusinessId;
use trousseau_domain::limits::Limits;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::text::{BusinessName, SearchText};
use trousseau_domain::time::{TimeZone, Timestamp};

use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;
use crate::stmt::pattern;

/// A business as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusinessRow {
    /// Its only id.
    pub id: BusinessId,
    /// Its name.
    pub name: BusinessName,
    /// The name of its profile.
    pub profile: String,
    /// Where its days begin.
    pub time_zone: TimeZone,
    /// `en` or `fr`.
    pub language: String,
    /// How often all its keys of one environment may be used.
    pub limits: Limits,
    /// The operator's own data.
    pub metadata: Metadata,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it is suspended.
    pub suspended_at: Option<Timestamp>,
    /// Raised by every change that must not cross another one.
    pub revision: i64,
}

macro_rules! business_columns {
    () => {
        "b.id AS b_id, b.name AS b_name, b.profile AS b_profile, b.time_zone AS b_time_zone, \
         b.language AS b_language, b.limits AS b_limits, b.metadata AS b_metadata, b.created_at AS b_created_at, \
         b.suspended_at AS b_suspended_at, b.revision AS b_revision"
    };
}
pub(crate) use business_columns;

impl BusinessRow {
    pub(crate) fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("businesses", "b_id", Self::from_columns)
    }

    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        Ok(Self {
            id: row.parsed("b_id")?,
            name: row.parsed("b_name")?,
            profile: row.text("b_profile")?,
            time_zone: row.parsed("b_time_zone")?,
            language: row.text("b_language")?,
            limits: row.json("b_limits")?,
            metadata: row.json("b_metadata")?,
            created_at: row.time("b_created_at")?,
            suspended_at: row.opt_time("b_suspended_at")?,
            revision: row.int("b_revision")?,
        })
    }
}

// The businesses that a search finds; all of them without one.
macro_rules! found {
    () => {
        "(CAST($1 AS TEXT) IS NULL OR LOWER(b.name) LIKE $1 ESCAPE '!' OR LOWER(b.id) LIKE $1 ESCAPE '!')"
    };
}

impl Reader<'_> {
    /// The business of this id.
    pub async fn find_business(&mut self, id: &BusinessId) -> Result<Option<BusinessRow>, StoreError> {
        const SQL: &str = concat!("SELECT ", business_columns!(), " FROM businesses b WHERE b.id = $1");
        self.fetch_optional(Stmt::new(SQL).text(id)).await?.as_ref().map(BusinessRow::from_row).transpose()
    }

    /// Businesses, newest first, those after `after` in this order; at most `limit`.
    pub async fn list_businesses(
        &mut self,
        after: Option<&BusinessId>,
        limit: u32,
    ) -> Result<Vec<BusinessRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            business_columns!(),
            " FROM businesses b WHERE CAST($1 AS TEXT) IS NULL OR (b.created_at, b.id) < \
             (SELECT a.created_at, a.id FROM businesses a WHERE a.id = $1) \
             ORDER BY b.created_at DESC, b.id DESC LIMIT $2"
        );
        let rows = self.fetch_all(Stmt::new(SQL).opt_text(after).int(i64::from(limit))).await?;
        rows.iter().map(BusinessRow::from_row).collect()
    }

    /// One numbered page of the businesses with this text in their name or id, newest first, and how many there are.
    /// Case does not matter for ASCII letters.
    pub async fn list_businesses_page(
        &mut self,
        search: Option<&SearchText>,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<BusinessRow>, u64), StoreError> {
        const TOTAL: &str = concat!("SELECT COUNT(*) AS total FROM businesses b WHERE ", found!());
        const LIST: &str = concat!(
            "SELECT ",
            business_columns!(),
            " FROM businesses b WHERE ",
            found!(),
            " ORDER BY b.created_at DESC, b.id DESC LIMIT $2 OFFSET $3"
        );
        let pattern = search.map(|text| pattern(text.as_str()));
        let row = self.fetch_one(Stmt::new(TOTAL).opt_text(pattern.as_ref())).await?;
        let total = row.read("businesses", "total", |row| row.number::<u64>("total"))?;
        let Ok(offset) = i64::try_from(offset) else {
            return Ok((Vec::new(), total));
        };
        let stmt = Stmt::new(LIST).opt_text(pattern.as_ref()).int(i64::from(limit)).int(offset);
        let businesses = self.fetch_all(stmt).await?.iter().map(BusinessRow::from_row).collect::<Result<_, _>>()?;
        Ok((businesses, total))
    }

    /// How many businesses there are.
    pub async fn count_businesses(&mut self) -> Result<u64, StoreError> {
        let row = self.fetch_one(Stmt::new("SELECT COUNT(*) AS total FROM businesses")).await?;
        row.read("businesses", "total", |row| row.number("total"))
    }
}

impl Tx {
    /// Adds a business.
    ///
    /// # Errors
    /// [`StoreError::Unique`] where the id is taken.
    pub async fn insert_business(&mut self, business: &BusinessRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO businesses (id, name, profile, time_zone, language, metadata, created_at, \
                           suspended_at, revision, limits) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        self.execute(
            Stmt::new(SQL)
                .text(&business.id)
                .text(&business.name)
                .text(&business.profile)
                .text(&business.time_zone)
                .text(&business.language)
                .json(&business.metadata)
                .time(business.created_at)
                .opt_time(business.suspended_at)
                .int(business.revision)
                .json(&business.limits),
        )
        .await?;
        Ok(())
    }

    /// Takes the business for this transaction: others that want to change it or its keys wait. Returns it.
    ///
    /// Every rule that counts rows of a business (limits of number, the last key) is checked under this lock.
    pub async fn lock_business(&mut self, id: &BusinessId) -> Result<Option<BusinessRow>, StoreError> {
        const SQL: &str = "UPDATE businesses SET revision = revision + 1 WHERE id = $1 \
                           RETURNING id AS b_id, name AS b_name, profile AS b_profile, time_zone AS b_time_zone, \
                           language AS b_language, limits AS b_limits, metadata AS b_metadata, created_at AS b_created_at, \
                           suspended_at AS b_suspended_at, revision AS b_revision";
        self.fetch_optional(Stmt::new(SQL).text(id)).await?.as_ref().map(BusinessRow::from_row).transpose()
    }

    /// Saves name, profile, zone, language, limits and metadata, if the business is still at `business.revision`.
    pub async fn update_business(&mut self, business: &BusinessRow) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE businesses SET name = $3, profile = $4, time_zone = $5, language = $6, \
                           metadata = $7, limits = $8 WHERE id = $1 AND revision = $2";
        self.change_one(
            Stmt::new(SQL)
                .text(&business.id)
                .int(business.revision)
                .text(&business.name)
                .text(&business.profile)
                .text(&business.time_zone)
                .text(&business.language)
                .json(&business.metadata)
                .json(&business.limits),
        )
        .await
    }

    /// Suspends a business that is not suspended.
    pub async fn suspend_business(&mut self, id: &BusinessId, now: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE businesses SET suspended_at = $2, revision = revision + 1 \
                           WHERE id = $1 AND suspended_at IS NULL";
        self.change_one(Stmt::new(SQL).text(id).time(now)).await
    }

    /// Resumes a suspended business.
    pub async fn resume_business(&mut self, id: &BusinessId) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE businesses SET suspended_at = NULL, revision = revision + 1 \
                           WHERE id = $1 AND suspended_at IS NOT NULL";
        self.change_one(Stmt::new(SQL).text(id)).await
    }
}
