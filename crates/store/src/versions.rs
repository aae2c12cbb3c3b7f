//! Secret versions of keys: digests, sealed values, ends.

use trousseau_domain::actor::Actor;
use trousseau_domain::digest::KeyDigest;
use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::KeyId;
use trousseau_domain::keys::KeyKind;
use trousseau_domain::time::Timestamp;

use crate::businesses::{BusinessRow, business_columns};
use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::keys::{KeyRow, insert_key, key_columns};
use crate::row::Row;
use crate::stmt::Stmt;

/// How many digests one look-up compares; the answer's cost does not depend on how many are given.
const DIGESTS_PER_LOOKUP: usize = 4;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionOrigin {
    /// Made here.
    Generated,
    /// Brought from another system.
    Imported,
}

impl VersionOrigin {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Imported => "imported",
        }
    }
}

/// A value that may be read again: ciphertext, and which key-encryption key opens it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Nonce, ciphertext and tag.
    pub bytes: Vec<u8>,
    /// The version of the key-encryption key.
    pub kek_version: u32,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Sealed(kek {})", self.kek_version)
    }
}

/// One value of a key.
#[derive(Debug, Clone)]
pub struct VersionRow {
    /// The key.
    pub key_id: KeyId,
    /// 1, 2, 3 ... within the key.
    pub version: u32,
    /// The key's tenant.
    pub tenant: Tenant,
    /// The key's kind.
    pub kind: KeyKind,
    /// What the value is looked up by.
    pub digest: KeyDigest,
    /// The pepper of the digest.
    pub pepper_version: u32,
    /// The last characters of the value.
    pub last_three: String,
    /// From when it is accepted.
    pub starts_at: Timestamp,
    /// From when on it is no longer accepted.
    pub ends_at: Option<Timestamp>,
    /// Who set the end.
    pub ended_by: Option<Actor>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: Actor,
    /// Where it comes from.
    pub origin: VersionOrigin,
    /// The value itself, where it may be read again.
    pub sealed: Option<Sealed>,
    /// Whether the profile lets a secret value of the live environment be read again.
    pub live_readable: bool,
}

/// What the authenticator needs, found in one query.
#[derive(Debug, Clone)]
pub struct FoundVersion {
    /// The version that has the digest.
    pub version: VersionRow,
    /// Its key.
    pub key: KeyRow,
    /// The key's business.
    pub business: BusinessRow,
}

/// A sealed value that another key-encryption key should hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// Whose.
    pub tenant: Tenant,
    /// The key.
    pub key_id: KeyId,
    /// Its version.
    pub version: u32,
    /// The key's kind.
    pub kind: KeyKind,
    /// The value.
    pub sealed: Sealed,
}

/// How many rows still use one version of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionCount {
    /// The version of the pepper or key-encryption key.
    pub version: u32,
    /// The rows.
    pub rows: u64,
}

macro_rules! version_columns {
    () => {
        "v.key_id AS v_key_id, v.version AS v_version, v.business_id AS v_business_id, \
         v.environment AS v_environment, v.kind AS v_kind, v.digest AS v_digest, \
         v.pepper_version AS v_pepper_version, v.last_three AS v_last_three, v.starts_at AS v_starts_at, \
         v.ends_at AS v_ends_at, v.ended_by AS v_ended_by, v.created_at AS v_created_at, \
         v.created_by AS v_created_by, v.origin AS v_origin, v.sealed AS v_sealed, \
         v.kek_version AS v_kek_version, v.live_readable AS v_live_readable"
    };
}

/// A digest from a row.
pub(crate) fn digest(row: &Row, column: &'static str) -> Result<KeyDigest, BadColumn> {
    KeyDigest::from_stored(&row.bytes(column)?).ok_or_else(|| BadColumn { column, source: "not 32 bytes".into() })
}

fn sealed(row: &Row) -> Result<Option<Sealed>, BadColumn> {
    row.opt_bytes("v_sealed")?.map(|bytes| Ok(Sealed { bytes, kek_version: row.number("v_kek_version")? })).transpose()
}

impl VersionRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("key_versions", "v_key_id", Self::from_columns)
    }

    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        Ok(Self {
            key_id: row.parsed("v_key_id")?,
            version: row.number("v_version")?,
            tenant: Tenant::new(row.parsed("v_business_id")?, row.parsed("v_environment")?),
            kind: row.parsed("v_kind")?,
            digest: digest(row, "v_digest")?,
            pepper_version: row.number("v_pepper_version")?,
            last_three: row.text("v_last_three")?,
            starts_at: row.time("v_starts_at")?,
            ends_at: row.opt_time("v_ends_at")?,
            ended_by: row.opt_json("v_ended_by")?,
            created_at: row.time("v_created_at")?,
            created_by: row.json("v_created_by")?,
            origin: match row.text("v_origin")?.as_str() {
                "generated" => VersionOrigin::Generated,
                "imported" => VersionOrigin::Imported,
                _ => {
                    return Err(BadColumn { column: "v_origin", source: "an unknown word".into() });
                }
            },
            sealed: sealed(row)?,
            live_readable: row.int("v_live_readable")? == 1,
        })
    }
}

impl SealedRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("key_versions", "v_key_id", |row| {
            Ok(Self {
                tenant: Tenant::new(row.parsed("v_business_id")?, row.parsed("v_environment")?),
                key_id: row.parsed("v_key_id")?,
                version: row.number("v_version")?,
                kind: row.parsed("v_kind")?,
                sealed: sealed(row)?.ok_or_else(|| BadColumn { column: "v_sealed", source: "missing".into() })?,
            })
        })
    }
}

pub(crate) fn counts(rows: &[Row]) -> Result<Vec<VersionCount>, StoreError> {
    rows.iter()
        .map(|row| {
            row.read("key_versions", "version", |row| {
                Ok(VersionCount { version: row.number("version")?, rows: row.number("total")? })
            })
        })
        .collect()
}

/// Four digests for one statement; a missing one repeats the first.
pub(crate) fn with_digests(sql: &'static str, digests: &[KeyDigest]) -> Stmt {
    (0..DIGESTS_PER_LOOKUP).fold(Stmt::new(sql), |stmt, index| {
        let digest = digests.get(index).or_else(|| digests.first()).expect("a chunk is not empty");
        stmt.bytes(digest.as_bytes().as_slice())
    })
}

impl Reader<'_> {
    /// The versions that have one of these digests, with their keys and businesses: one query for up to four.
    ///
    /// The caller compares the digests once more, in constant time.
    pub async fn find_by_digests(&mut self, digests: &[KeyDigest]) -> Result<Vec<FoundVersion>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            version_columns!(),
            ", ",
            key_columns!(),
            ", ",
            business_columns!(),
            " FROM key_versions v JOIN keys k ON k.id = v.key_id JOIN businesses b ON b.id = k.business_id \
             LEFT JOIN key_uses u ON u.key_id = k.id WHERE v.digest IN ($1, $2, $3, $4)"
        );
        let mut found = Vec::new();
        for chunk in digests.chunks(DIGESTS_PER_LOOKUP) {
            for row in self.fetch_all(with_digests(SQL, chunk)).await? {
                found.push(FoundVersion {
                    version: VersionRow::from_row(&row)?,
                    key: KeyRow::from_row(&row)?,
                    business: BusinessRow::from_row(&row)?,
                });
            }
        }
        Ok(found)
    }

    /// The versions of a key, the oldest first.
    pub async fn list_versions(&mut self, tenant: &Tenant, key: KeyId) -> Result<Vec<VersionRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            version_columns!(),
            " FROM key_versions v WHERE v.business_id = $1 AND v.environment = $2 AND v.key_id = $3 \
             ORDER BY v.version"
        );
        let rows = self.fetch_all(Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(key)).await?;
        rows.iter().map(VersionRow::from_row).collect()
    }

    /// One version of a key.
    pub async fn find_version(
        &mut self,
        tenant: &Tenant,
        key: KeyId,
        version: u32,
    ) -> Result<Option<VersionRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            version_columns!(),
            " FROM key_versions v WHERE v.business_id = $1 AND v.environment = $2 AND v.key_id = $3 \
             AND v.version = $4"
        );
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(key).int(i64::from(version));
        self.fetch_optional(stmt).await?.as_ref().map(VersionRow::from_row).transpose()
    }

    /// The tenant's key of this id with this version of it.
    pub async fn find_key_and_version(
        &mut self,
        tenant: &Tenant,
        key: KeyId,
        version: u32,
    ) -> Result<Option<(KeyRow, VersionRow)>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            version_columns!(),
            ", ",
            key_columns!(),
            " FROM key_versions v JOIN keys k ON k.id = v.key_id LEFT JOIN key_uses u ON u.key_id = k.id \
             WHERE v.business_id = $1 AND v.environment = $2 AND v.key_id = $3 AND v.version = $4"
        );
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(key).int(i64::from(version));
        let row = self.fetch_optional(stmt).await?;
        row.map(|row| Ok((KeyRow::from_row(&row)?, VersionRow::from_row(&row)?))).transpose()
    }

    /// Sealed values under another key-encryption key than `current`, in every tenant; at most `limit`.
    pub async fn list_sealed_on_other_kek(&mut self, current: u32, limit: u32) -> Result<Vec<SealedRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            version_columns!(),
            " FROM key_versions v WHERE v.sealed IS NOT NULL AND v.kek_version <> $1 \
             ORDER BY v.kek_version, v.key_id, v.version LIMIT $2"
        );
        let rows = self.fetch_all(Stmt::new(SQL).int(i64::from(current)).int(i64::from(limit))).await?;
        rows.iter().map(SealedRow::from_row).collect()
    }

    /// Sealed values whose digest is under an older pepper than `current`, in every tenant, those after `after` (a
    /// key and its version) in their order; at most `limit`.
    pub async fn list_sealed_on_older_pepper(
        &mut self,
        current: u32,
        after: Option<(KeyId, u32)>,
        limit: u32,
    ) -> Result<Vec<SealedRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            version_columns!(),
            " FROM key_versions v WHERE v.sealed IS NOT NULL AND v.pepper_version < $1 \
             AND (CAST($2 AS TEXT) IS NULL OR v.key_id > $2 OR (v.key_id = $2 AND v.version > $3)) \
             ORDER BY v.key_id, v.version LIMIT $4"
        );
        let stmt = Stmt::new(SQL)
            .int(i64::from(current))
            .opt_text(after.map(|(key, _)| key))
            .int(after.map_or(0, |(_, version)| i64::from(version)))
            .int(i64::from(limit));
        self.fetch_all(stmt).await?.iter().map(SealedRow::from_row).collect()
    }

    /// How many digests there are under each pepper, keys of businesses only.
    pub async fn count_versions_by_pepper(&mut self) -> Result<Vec<VersionCount>, StoreError> {
        const SQL: &str = "SELECT pepper_version AS version, COUNT(*) AS total FROM key_versions \
                           GROUP BY pepper_version ORDER BY pepper_version";
        counts(&self.fetch_all(Stmt::new(SQL)).await?)
    }

    /// How many platform keys' digests there are under each pepper.
    pub async fn count_platform_keys_by_pepper(&mut self) -> Result<Vec<VersionCount>, StoreError> {
        const SQL: &str = "SELECT pepper_version AS version, COUNT(*) AS total FROM platform_keys \
                           GROUP BY pepper_version ORDER BY pepper_version";
        counts(&self.fetch_all(Stmt::new(SQL)).await?)
    }

    /// How many sealed values there are under each key-encryption key.
    pub async fn count_versions_by_kek(&mut self) -> Result<Vec<VersionCount>, StoreError> {
        const SQL: &str = "SELECT kek_version AS version, COUNT(*) AS total FROM key_versions \
                           WHERE sealed IS NOT NULL GROUP BY kek_version ORDER BY kek_version";
        counts(&self.fetch_all(Stmt::new(SQL)).await?)
    }
}

impl Tx {
    /// Adds a key with its first version.
    ///
    /// # Errors
    /// As [`Tx::insert_key`] and [`Tx::insert_version`].
    pub async fn insert_key_and_version(&mut self, key: &KeyRow, version: &VersionRow) -> Result<(), StoreError> {
        self.execute_later(insert_key(key)).await?;
        self.insert_version(version).await
    }

    /// Adds a version to a key of the version's tenant.
    ///
    /// # Errors
    /// [`StoreError::Unique`] where the number is taken or the value is known already.
    pub async fn insert_version(&mut self, version: &VersionRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO key_versions (key_id, version, business_id, environment, kind, digest, \
                           pepper_version, last_three, starts_at, ends_at, ended_by, created_at, created_by, origin, \
                           sealed, kek_version, live_readable) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
                           $12, $13, $14, $15, $16, $17)";
        let (bytes, kek_version) = match &version.sealed {
            Some(sealed) => (Some(sealed.bytes.clone()), Some(i64::from(sealed.kek_version))),
            None => (None, None),
        };
        self.execute(
            Stmt::new(SQL)
                .text(version.key_id)
                .int(i64::from(version.version))
                .text(&version.tenant.business)
                .text(version.tenant.environment)
                .text(version.kind)
                .bytes(version.digest.as_bytes().as_slice())
                .int(i64::from(version.pepper_version))
                .text(&version.last_three)
                .time(version.starts_at)
                .opt_time(version.ends_at)
                .opt_json(version.ended_by.as_ref())
                .time(version.created_at)
                .json(&version.created_by)
                .text(version.origin.as_str())
                .opt_bytes(bytes)
                .opt_int(kek_version)
                .int(i64::from(version.live_readable)),
        )
        .await?;
        Ok(())
    }

    /// Ends one version at `ends_at`, if it would be accepted longer.
    pub async fn end_version(
        &mut self,
        tenant: &Tenant,
        key: KeyId,
        version: u32,
        ends_at: Timestamp,
        by: &Actor,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE key_versions SET ends_at = $5, ended_by = $6 WHERE business_id = $1 \
                           AND environment = $2 AND key_id = $3 AND version = $4 \
                           AND (ends_at IS NULL OR ends_at > $5)";
        self.change_one(
            Stmt::new(SQL)
                .text(&tenant.business)
                .text(tenant.environment)
                .text(key)
                .int(i64::from(version))
                .time(ends_at)
                .json(by),
        )
        .await
    }

    /// Ends at `ends_at` all versions of a key that would be accepted longer, but for `except`; returns how many.
    pub async fn end_versions(
        &mut self,
        tenant: &Tenant,
        key: KeyId,
        except: Option<u32>,
        ends_at: Timestamp,
        by: &Actor,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "UPDATE key_versions SET ends_at = $5, ended_by = $6 WHERE business_id = $1 \
                           AND environment = $2 AND key_id = $3 \
                           AND (CAST($4 AS BIGINT) IS NULL OR version <> $4) AND (ends_at IS NULL OR ends_at > $5)";
        self.execute(
            Stmt::new(SQL)
                .text(&tenant.business)
                .text(tenant.environment)
                .text(key)
                .opt_int(except.map(i64::from))
                .time(ends_at)
                .json(by),
        )
        .await
    }

    /// Replaces the digest `old` by `new` under another pepper.
    pub async fn redigest_version(
        &mut self,
        tenant: &Tenant,
        key: KeyId,
        version: u32,
        old: &KeyDigest,
        new: &KeyDigest,
        pepper_version: u32,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE key_versions SET digest = $6, pepper_version = $7 WHERE business_id = $1 \
                           AND environment = $2 AND key_id = $3 AND version = $4 AND digest = $5";
        self.change_one(
            Stmt::new(SQL)
                .text(&tenant.business)
                .text(tenant.environment)
                .text(key)
                .int(i64::from(version))
                .bytes(old.as_bytes().as_slice())
                .bytes(new.as_bytes().as_slice())
                .int(i64::from(pepper_version)),
        )
        .await
    }

    /// Replaces a sealed value by the same one under another key-encryption key, if it is still the one in `old`.
    pub async fn rewrap_version(&mut self, old: &SealedRow, new: &Sealed) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE key_versions SET sealed = $7, kek_version = $8 WHERE business_id = $1 \
                           AND environment = $2 AND key_id = $3 AND version = $4 AND sealed = $5 AND kek_version = $6";
        self.change_one(
            Stmt::new(SQL)
                .text(&old.tenant.business)
                .text(old.tenant.environment)
                .text(old.key_id)
                .int(i64::from(old.version))
                .bytes(old.sealed.bytes.clone())
                .int(i64::from(old.sealed.kek_version))
                .bytes(new.bytes.clone())
                .int(i64::from(new.kek_version)),
        )
        .await
    }
}
