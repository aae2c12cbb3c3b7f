//! Keys: one row each, whatever the number of their secret versions.

use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::{BusinessId, KeyId};
use trousseau_domain::ip_range::IpRange;
use trousseau_domain::keys::{KeyKind, KeyState};
use trousseau_domain::limits::Limits;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::origin::Origin;
use trousseau_domain::scope::ScopeSet;
use trousseau_domain::text::KeyName;
use trousseau_domain::time::Timestamp;

use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id; it stays over rotations.
    pub id: KeyId,
    /// Whose it is, and in which environment.
    pub tenant: Tenant,
    /// Secret or checkout.
    pub kind: KeyKind,
    /// 1, 2, 3 ... within the tenant, never used again.
    pub number: u32,
    /// What people call it.
    pub name: Option<KeyName>,
    /// What others call it; only an imported key may have none.
    pub external_reference: Option<String>,
    /// The manual switch.
    pub state: KeyState,
    /// From when it is accepted.
    pub valid_from: Timestamp,
    /// From when on it is no longer accepted.
    pub valid_until: Option<Timestamp>,
    /// What it may do.
    pub scopes: ScopeSet,
    /// Pages it may be used from; empty means any.
    pub allowed_origins: Vec<Origin>,
    /// Addresses it may be used from; empty means any.
    pub allowed_ips: Vec<IpRange>,
    /// How often it may be used.
    pub limits: Limits,
    /// The owner's own data.
    pub metadata: Metadata,
    /// Which of its secret versions is the newest.
    pub current_version: u32,
    /// What the newest value begins with, to be shown before the mask; may be empty.
    pub mask_prefix: String,
    /// The last characters of the newest value.
    pub last_three: String,
    /// When the value before the newest one stops or stopped to be accepted.
    pub previous_ends_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: Actor,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Who revoked it; present with `revoked_at`.
    pub revoked_by: Option<Actor>,
    /// The last change of this row.
    pub updated_at: Timestamp,
    /// The last use that is known. Never written with the row: see [`Tx::touch_keys`].
    pub last_used_at: Option<Timestamp>,
}

/// What a key is called: enough to speak of many of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyNameRow {
    /// Its id.
    pub id: KeyId,
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: Option<KeyName>,
}

macro_rules! key_columns {
    () => {
        "k.id AS k_id, k.business_id AS k_business_id, k.environment AS k_environment, k.kind AS k_kind, \
         k.number AS k_number, k.name AS k_name, k.external_reference AS k_external_reference, \
         k.state AS k_state, k.valid_from AS k_valid_from, k.valid_until AS k_valid_until, \
         k.scopes AS k_scopes, k.allowed_origins AS k_allowed_origins, k.allowed_ips AS k_allowed_ips, \
         k.limits AS k_limits, k.metadata AS k_metadata, k.current_version AS k_current_version, k.mask_prefix AS k_mask_prefix, \
         k.last_three AS k_last_three, k.previous_ends_at AS k_previous_ends_at, k.created_at AS k_created_at, \
         k.created_by AS k_created_by, k.revoked_at AS k_revoked_at, k.revoked_by AS k_revoked_by, \
         k.updated_at AS k_updated_at, u.last_used_at AS k_last_used_at"
    };
}
pub(crate) use key_columns;

macro_rules! select_key {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            crate::keys::key_columns!(),
            " FROM keys k LEFT JOIN key_uses u ON u.key_id = k.id WHERE ",
            $condition
        )
    };
}
pub(crate) use select_key;

impl KeyRow {
    pub(crate) fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("keys", "k_id", Self::from_columns)
    }

    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        let key = Self {
            id: row.parsed("k_id")?,
            tenant: Tenant::new(row.parsed("k_business_id")?, row.parsed("k_environment")?),
            kind: row.parsed("k_kind")?,
            number: row.number("k_number")?,
            name: row.opt_parsed("k_name")?,
            external_reference: row.opt_text("k_external_reference")?,
            state: row.parsed("k_state")?,
            valid_from: row.time("k_valid_from")?,
            valid_until: row.opt_time("k_valid_until")?,
            scopes: row.json("k_scopes")?,
            allowed_origins: row.json("k_allowed_origins")?,
            allowed_ips: row.json("k_allowed_ips")?,
            limits: row.json("k_limits")?,
            metadata: row.json("k_metadata")?,
            current_version: row.number("k_current_version")?,
            mask_prefix: row.text("k_mask_prefix")?,
            last_three: row.text("k_last_three")?,
            previous_ends_at: row.opt_time("k_previous_ends_at")?,
            created_at: row.time("k_created_at")?,
            created_by: row.json("k_created_by")?,
            revoked_at: row.opt_time("k_revoked_at")?,
            revoked_by: row.opt_json("k_revoked_by")?,
            updated_at: row.time("k_updated_at")?,
            last_used_at: row.opt_time("k_last_used_at")?,
        };
        // A window without an inside is damage; it must not be read as one without an end.
        match key.valid_until {
            Some(until) if until <= key.valid_from => {
                Err(BadColumn { column: "k_valid_until", source: "is not after valid_from".into() })
            }
            _ => Ok(key),
        }
    }
}

impl Reader<'_> {
    /// What every key of the tenant is called, revoked ones too, by number.
    pub async fn list_key_names(&mut self, tenant: &Tenant) -> Result<Vec<KeyNameRow>, StoreError> {
        const SQL: &str =
            "SELECT id, number, name FROM keys WHERE business_id = $1 AND environment = $2 ORDER BY number";
        let rows = self.fetch_all(Stmt::new(SQL).text(&tenant.business).text(tenant.environment)).await?;
        let name_of = |row: &Row| {
            row.read("keys", "id", |row| {
                Ok(KeyNameRow { id: row.parsed("id")?, number: row.number("number")?, name: row.opt_parsed("name")? })
            })
        };
        rows.iter().map(name_of).collect()
    }

    async fn one_key(&mut self, stmt: Stmt) -> Result<Option<KeyRow>, StoreError> {
        self.fetch_optional(stmt).await?.as_ref().map(KeyRow::from_row).transpose()
    }

    async fn one_number<T: TryFrom<i64>>(&mut self, stmt: Stmt) -> Result<T, StoreError> {
        self.fetch_one(stmt).await?.read("keys", "answer", |row| row.number("answer"))
    }

    /// The tenant's key of this id.
    pub async fn find_key(&mut self, tenant: &Tenant, id: KeyId) -> Result<Option<KeyRow>, StoreError> {
        const SQL: &str = select_key!("k.business_id = $1 AND k.environment = $2 AND k.id = $3");
        self.one_key(Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(id)).await
    }

    /// The tenant's key of this number.
    pub async fn find_key_by_number(&mut self, tenant: &Tenant, number: u32) -> Result<Option<KeyRow>, StoreError> {
        const SQL: &str = select_key!("k.business_id = $1 AND k.environment = $2 AND k.number = $3");
        self.one_key(Stmt::new(SQL).text(&tenant.business).text(tenant.environment).int(i64::from(number))).await
    }

    /// The business's key of this id, in whichever environment.
    pub async fn find_key_of_business(
        &mut self,
        business: &BusinessId,
        id: KeyId,
    ) -> Result<Option<KeyRow>, StoreError> {
        const SQL: &str = select_key!("k.business_id = $1 AND k.id = $2");
        self.one_key(Stmt::new(SQL).text(business).text(id)).await
    }

    /// The key of this id, whosever it is: for the operator at the command line only.
    pub async fn find_key_any_tenant(&mut self, id: KeyId) -> Result<Option<KeyRow>, StoreError> {
        const SQL: &str = select_key!("k.id = $1");
        self.one_key(Stmt::new(SQL).text(id)).await
    }

    /// The tenant's keys that a key of it made, the oldest first; those that are revoked too.
    pub async fn list_keys_made_by(&mut self, tenant: &Tenant, maker: KeyId) -> Result<Vec<KeyRow>, StoreError> {
        const SQL: &str =
            select_key!("k.business_id = $1 AND k.environment = $2 AND k.created_by_key = $3 ORDER BY k.number");
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(maker);
        self.fetch_all(stmt).await?.iter().map(KeyRow::from_row).collect()
    }

    /// The tenant's keys with these last three characters, the newest first; at most `limit`.
    pub async fn list_keys_ending_in(
        &mut self,
        tenant: &Tenant,
        last_three: &str,
        limit: u32,
    ) -> Result<Vec<KeyRow>, StoreError> {
        const SQL: &str = select_key!(
            "k.business_id = $1 AND k.environment = $2 AND k.last_three = $3 ORDER BY k.number DESC LIMIT $4"
        );
        let stmt =
            Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(last_three).int(i64::from(limit));
        self.fetch_all(stmt).await?.iter().map(KeyRow::from_row).collect()
    }

    /// How many keys count against the limits at `now`: those in force, and those that will be by the clock alone.
    pub async fn count_keys_counted_at(
        &mut self,
        tenant: &Tenant,
        kind: Option<KeyKind>,
        now: Timestamp,
        excluding: Option<KeyId>,
    ) -> Result<u32, StoreError> {
        const SQL: &str = "SELECT COUNT(*) AS answer FROM keys WHERE business_id = $1 AND environment = $2 \
                           AND (CAST($3 AS TEXT) IS NULL OR kind = $3) AND revoked_at IS NULL AND state = 'active' \
                           AND (valid_until IS NULL OR valid_until > $4) \
                           AND (CAST($5 AS TEXT) IS NULL OR id <> $5)";
        self.one_number(
            Stmt::new(SQL)
                .text(&tenant.business)
                .text(tenant.environment)
                .opt_text(kind.map(KeyKind::as_str))
                .time(now)
                .opt_text(excluding),
        )
        .await
    }

    /// How many keys are in force at `now`.
    pub async fn count_in_force(
        &mut self,
        tenant: &Tenant,
        kind: Option<KeyKind>,
        now: Timestamp,
        excluding: Option<KeyId>,
    ) -> Result<u32, StoreError> {
        const SQL: &str = "SELECT COUNT(*) AS answer FROM keys WHERE business_id = $1 AND environment = $2 \
                           AND (CAST($3 AS TEXT) IS NULL OR kind = $3) AND revoked_at IS NULL AND state = 'active' \
                           AND valid_from <= $4 AND (valid_until IS NULL OR valid_until > $4) \
                           AND (CAST($5 AS TEXT) IS NULL OR id <> $5)";
        self.one_number(
            Stmt::new(SQL)
                .text(&tenant.business)
                .text(tenant.environment)
                .opt_text(kind.map(KeyKind::as_str))
                .time(now)
                .opt_text(excluding),
        )
        .await
    }

    /// How many keys a business has ever had, in both environments.
    pub async fn count_keys_ever(&mut self, business: &BusinessId) -> Result<u64, StoreError> {
        self.one_number(Stmt::new("SELECT COUNT(*) AS answer FROM keys WHERE business_id = $1").text(business)).await
    }

    /// The highest number given to a key of the tenant; 0 where there is none.
    pub async fn max_number(&mut self, tenant: &Tenant) -> Result<u32, StoreError> {
        const SQL: &str =
            "SELECT COALESCE(MAX(number), 0) AS answer FROM keys WHERE business_id = $1 AND environment = $2";
        self.one_number(Stmt::new(SQL).text(&tenant.business).text(tenant.environment)).await
    }
}

/// The statement that adds a key.
pub(crate) fn insert_key(key: &KeyRow) -> Stmt {
    const SQL: &str = "INSERT INTO keys (id, business_id, environment, kind, number, name, external_reference, \
                       state, valid_from, valid_until, scopes, allowed_origins, allowed_ips, metadata, \
                       current_version, mask_prefix, last_three, previous_ends_at, created_at, created_by, \
                       revoked_at, revoked_by, updated_at, created_by_key, limits) VALUES ($1, $2, $3, $4, \
                       $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, \
                       $23, $24, $25)";
    let maker = match &key.created_by {
        Actor::Key { id, .. } => Some(*id),
        Actor::Member { .. } | Actor::PlatformKey { .. } | Actor::Operator { .. } | Actor::Payer | Actor::System => {
            None
        }
    };
    Stmt::new(SQL)
        .text(key.id)
        .text(&key.tenant.business)
        .text(key.tenant.environment)
        .text(key.kind)
        .int(i64::from(key.number))
        .opt_text(key.name.as_ref())
        .opt_text(key.external_reference.as_ref())
        .text(key.state)
        .time(key.valid_from)
        .opt_time(key.valid_until)
        .json(&key.scopes)
        .json(&key.allowed_origins)
        .json(&key.allowed_ips)
        .json(&key.metadata)
        .int(i64::from(key.current_version))
        .text(&key.mask_prefix)
        .text(&key.last_three)
        .opt_time(key.previous_ends_at)
        .time(key.created_at)
        .json(&key.created_by)
        .opt_time(key.revoked_at)
        .opt_json(key.revoked_by.as_ref())
        .time(key.updated_at)
        .opt_text(maker)
        .json(&key.limits)
}

impl Tx {
    /// Adds a key; its versions are added by [`Tx::insert_version`].
    ///
    /// # Errors
    /// [`StoreError::Unique`] where the id, the number or the external reference is taken.
    pub async fn insert_key(&mut self, key: &KeyRow) -> Result<(), StoreError> {
        self.execute(insert_key(key)).await?;
        Ok(())
    }

    /// Saves what people may change of a key (name, state, dates, scopes, origins, ranges, limits, metadata) and
    /// `updated_at`, unless it is revoked.
    pub async fn update_key(&mut self, tenant: &Tenant, key: &KeyRow) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE keys SET name = $4, state = $5, valid_from = $6, valid_until = $7, scopes = $8, \
                           allowed_origins = $9, allowed_ips = $10, metadata = $11, updated_at = $12, \
                           limits = $13 \
                           WHERE business_id = $1 AND environment = $2 AND id = $3 AND revoked_at IS NULL";
        self.change_one(
            Stmt::new(SQL)
                .text(&tenant.business)
                .text(tenant.environment)
                .text(key.id)
                .opt_text(key.name.as_ref())
                .text(key.state)
                .time(key.valid_from)
                .opt_time(key.valid_until)
                .json(&key.scopes)
                .json(&key.allowed_origins)
                .json(&key.allowed_ips)
                .json(&key.metadata)
                .time(key.updated_at)
                .json(&key.limits),
        )
        .await
    }

    /// Makes `key.current_version` the newest version, with its mask and the end of the one before, if the newest
    /// one was `expected` and the key is not revoked.
    pub async fn set_current_version(
        &mut self,
        tenant: &Tenant,
        key: &KeyRow,
        expected: u32,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE keys SET current_version = $5, mask_prefix = $6, last_three = $7, \
                           previous_ends_at = $8, updated_at = $9 WHERE business_id = $1 AND environment = $2 \
                           AND id = $3 AND current_version = $4 AND revoked_at IS NULL";
        self.change_one(
            Stmt::new(SQL)
                .text(&tenant.business)
                .text(tenant.environment)
                .text(key.id)
                .int(i64::from(expected))
                .int(i64::from(key.current_version))
                .text(&key.mask_prefix)
                .text(&key.last_three)
                .opt_time(key.previous_ends_at)
                .time(key.updated_at),
        )
        .await
    }

    /// Revokes a key that is not revoked.
    pub async fn mark_key_revoked(
        &mut self,
        tenant: &Tenant,
        id: KeyId,
        by: &Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE keys SET revoked_at = $4, revoked_by = $5, updated_at = $4 \
                           WHERE business_id = $1 AND environment = $2 AND id = $3 AND revoked_at IS NULL";
        self.change_one(Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(id).time(now).json(by))
            .await
    }

    /// Notes uses of keys; an older one than is known changes nothing.
    pub async fn touch_keys(&mut self, uses: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO key_uses (key_id, last_used_at) VALUES ($1, $2) \
                           ON CONFLICT (key_id) DO UPDATE SET last_used_at = excluded.last_used_at \
                           WHERE key_uses.last_used_at < excluded.last_used_at";
        // In one order, so that two nodes cannot wait for each other.
        let mut uses = uses.to_vec();
        uses.sort_unstable();
        self.execute_each(uses.into_iter().map(|(id, at)| Stmt::new(SQL).text(id).time(at))).await?;
        Ok(())
    }
}
