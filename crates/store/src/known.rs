//! What a node keeps of keys in its memory: what a door has to know of a value, and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use trousseau_domain::digest::KeyDigest;
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::{BusinessId, KeyId};
use trousseau_domain::ip_range::IpRange;
use trousseau_domain::keys::{KeyKind, KeyState, VersionLife};
use trousseau_domain::limits::Limits;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::origin::Origin;
use trousseau_domain::scope::ScopeSet;
use trousseau_domain::time::Timestamp;

use crate::businesses::BusinessRow;
use crate::error::{BadColumn, StoreError};
use crate::exec::Reader;
use crate::row::Row;
use crate::stmt::Stmt;
use crate::versions::{FoundVersion, digest};

/// What a key may be used for: the same for nearly all keys, so that those share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAccess {
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
}

/// A value of a key, as a door has to know it.
#[derive(Debug, Clone)]
pub struct KnownVersion {
    /// What the value is looked up by.
    pub digest: KeyDigest,
    /// The pepper of the digest.
    pub pepper_version: u32,
    /// The key.
    pub key_id: KeyId,
    /// Which of its values.
    pub version: u32,
    /// From when until when the value is accepted.
    pub life: VersionLife,
    /// Whose key it is.
    pub business: BusinessId,
    /// In which environment.
    pub environment: Environment,
    /// Secret or checkout.
    pub kind: KeyKind,
    /// The manual switch.
    pub state: KeyState,
    /// Whether the key is revoked.
    pub revoked: bool,
    /// From when the key is accepted.
    pub valid_from: Timestamp,
    /// From when on it is no longer accepted; after `valid_from`.
    pub valid_until: Option<Timestamp>,
    /// What it may be used for.
    pub access: Arc<KeyAccess>,
}

impl From<&FoundVersion> for KnownVersion {
    fn from(found: &FoundVersion) -> Self {
        let FoundVersion { version, key, .. } = found;
        Self {
            digest: version.digest,
            pepper_version: version.pepper_version,
            key_id: key.id,
            version: version.version,
            life: VersionLife { starts_at: version.starts_at, ends_at: version.ends_at },
            business: key.tenant.business.clone(),
            environment: key.tenant.environment,
            kind: key.kind,
            state: key.state,
            revoked: key.revoked_at.is_some(),
            valid_from: key.valid_from,
            valid_until: key.valid_until,
            access: Arc::new(KeyAccess {
                scopes: key.scopes.clone(),
                allowed_origins: key.allowed_origins.clone(),
                allowed_ips: key.allowed_ips.clone(),
                limits: key.limits.clone(),
                metadata: key.metadata.clone(),
            }),
        }
    }
}

/// What is read again and again while keys are read: the same text is one value.
#[derive(Debug, Default)]
pub struct KnownShared {
    access: HashMap<String, Arc<KeyAccess>>,
    business: Option<BusinessId>,
}

/// What is shared is forgotten beyond this number: keys that all differ would fill the memory with their texts.
const MOST_SHARED: usize = 10_000;

impl KnownShared {
    fn access(&mut self, row: &Row) -> Result<Arc<KeyAccess>, BadColumn> {
        let columns = ["k_scopes", "k_allowed_origins", "k_allowed_ips", "k_limits", "k_metadata"];
        let mut text = String::with_capacity(256);
        for column in columns {
            text.push_str(&row.text(column)?);
            // JSON has no line break outside of a text, and inside of one it is escaped.
            text.push('\n');
        }
        if let Some(known) = self.access.get(&text) {
            return Ok(Arc::clone(known));
        }
        let access = Arc::new(KeyAccess {
            scopes: row.json("k_scopes")?,
            allowed_origins: row.json("k_allowed_origins")?,
            allowed_ips: row.json("k_allowed_ips")?,
            limits: row.json("k_limits")?,
            metadata: row.json("k_metadata")?,
        });
        if self.access.len() >= MOST_SHARED {
            self.access.clear();
        }
        self.access.insert(text, Arc::clone(&access));
        Ok(access)
    }

    fn business(&mut self, row: &Row) -> Result<BusinessId, BadColumn> {
        let text = row.text("v_business_id")?;
        match &self.business {
            Some(last) if last.as_str() == text => Ok(last.clone()),
            _ => {
                let id: BusinessId =
                    text.parse().map_err(|source| BadColumn { column: "v_business_id", source: Box::new(source) })?;
                self.business = Some(id.clone());
                Ok(id)
            }
        }
    }
}

macro_rules! select_known {
    ($rest:literal) => {
        concat!(
            "SELECT v.digest AS v_digest, v.pepper_version AS v_pepper_version, v.key_id AS v_key_id, \
             v.version AS v_version, v.starts_at AS v_starts_at, v.ends_at AS v_ends_at, \
             v.business_id AS v_business_id, k.environment AS k_environment, k.kind AS k_kind, k.state AS k_state, \
             k.revoked_at AS k_revoked_at, k.valid_from AS k_valid_from, k.valid_until AS k_valid_until, \
             k.scopes AS k_scopes, k.allowed_origins AS k_allowed_origins, k.allowed_ips AS k_allowed_ips, \
             k.limits AS k_limits, k.metadata AS k_metadata FROM keys k JOIN key_versions v ON v.key_id = k.id",
            $rest
        )
    };
}

impl KnownVersion {
    fn from_row(row: &Row, shared: &mut KnownShared) -> Result<Self, StoreError> {
        row.read("key_versions", "v_key_id", |row| {
            let known = Self {
                digest: digest(row, "v_digest")?,
                pepper_version: row.number("v_pepper_version")?,
                key_id: row.parsed("v_key_id")?,
                version: row.number("v_version")?,
                life: VersionLife { starts_at: row.time("v_starts_at")?, ends_at: row.opt_time("v_ends_at")? },
                business: shared.business(row)?,
                environment: row.parsed("k_environment")?,
                kind: row.parsed("k_kind")?,
                state: row.parsed("k_state")?,
                revoked: row.opt_int("k_revoked_at")?.is_some(),
                valid_from: row.time("k_valid_from")?,
                valid_until: row.opt_time("k_valid_until")?,
                access: shared.access(row)?,
            };
            // A window without an inside is damage; it must not be read as one without an end.
            match known.valid_until {
                Some(until) if until <= known.valid_from => {
                    Err(BadColumn { column: "k_valid_until", source: "is not after valid_from".into() })
                }
                _ => Ok(known),
            }
        })
    }
}

/// Keys asked for in one statement.
const KEYS_PER_LOOKUP: usize = 16;

impl Reader<'_> {
    /// Hands on every value of every key, in no order.
    pub async fn each_known_version(&mut self, mut take: impl FnMut(KnownVersion)) -> Result<(), StoreError> {
        const SQL: &str = select_known!("");
        let mut shared = KnownShared::default();
        self.fetch_each(Stmt::new(SQL), |row| {
            take(KnownVersion::from_row(row, &mut shared)?);
            Ok(())
        })
        .await
    }

    /// Every value of these keys.
    pub async fn list_known_versions(
        &mut self,
        keys: &[KeyId],
        shared: &mut KnownShared,
    ) -> Result<Vec<KnownVersion>, StoreError> {
        const SQL: &str =
            select_known!(" WHERE k.id IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)");
        let mut known = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(KEYS_PER_LOOKUP) {
            let stmt = (0..KEYS_PER_LOOKUP).fold(Stmt::new(SQL), |stmt, index| {
                stmt.text(chunk.get(index).or_else(|| chunk.first()).expect("a chunk is not empty"))
            });
            for row in self.fetch_all(stmt).await? {
                known.push(KnownVersion::from_row(&row, shared)?);
            }
        }
        Ok(known)
    }

    /// Hands on every value of every key of a business.
    pub async fn each_known_version_of(
        &mut self,
        business: &BusinessId,
        shared: &mut KnownShared,
        mut take: impl FnMut(KnownVersion),
    ) -> Result<(), StoreError> {
        const SQL: &str = select_known!(" WHERE k.business_id = $1");
        self.fetch_each(Stmt::new(SQL).text(business), |row| {
            take(KnownVersion::from_row(row, shared)?);
            Ok(())
        })
        .await
    }

    /// Hands on every business, in no order.
    pub async fn each_business(&mut self, mut take: impl FnMut(BusinessRow)) -> Result<(), StoreError> {
        const SQL: &str = concat!("SELECT ", crate::businesses::business_columns!(), " FROM businesses b");
        self.fetch_each(Stmt::new(SQL), |row| {
            take(BusinessRow::from_row(row)?);
            Ok(())
        })
        .await
    }

    /// How many values of keys there are.
    pub async fn count_versions(&mut self) -> Result<u64, StoreError> {
        let row = self.fetch_one(Stmt::new("SELECT COUNT(*) AS answer FROM key_versions")).await?;
        row.read("key_versions", "answer", |row| row.number("answer"))
    }
}
