//! The operator's own keys. They belong to no tenant.

use trousseau_domain::actor::Actor;
use trousseau_domain::digest::KeyDigest;
use trousseau_domain::ids::PlatformKeyId;
use trousseau_domain::text::PlatformKeyName;
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;
use crate::versions::{digest, with_digests};

/// A platform key as it is stored.
#[derive(Debug, Clone)]
pub struct PlatformKeyRow {
    /// Its id.
    pub id: PlatformKeyId,
    /// What the operator calls it.
    pub name: PlatformKeyName,
    /// What the value is looked up by.
    pub digest: KeyDigest,
    /// The pepper of the digest.
    pub pepper_version: u32,
    /// The last characters of the value.
    pub last_three: String,
    /// `verify` and `manage`, or one of them.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: Actor,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Who revoked it; present with `revoked_at`.
    pub revoked_by: Option<Actor>,
    /// The last use that is known.
    pub last_used_at: Option<Timestamp>,
}

macro_rules! select_platform_key {
    ($rest:literal) => {
        concat!(
            "SELECT p.id AS p_id, p.name AS p_name, p.digest AS p_digest, p.pepper_version AS p_pepper_version, \
             p.last_three AS p_last_three, p.scopes AS p_scopes, p.created_at AS p_created_at, \
             p.created_by AS p_created_by, p.revoked_at AS p_revoked_at, p.revoked_by AS p_revoked_by, \
             p.last_used_at AS p_last_used_at FROM platform_keys p ",
            $rest
        )
    };
}

impl PlatformKeyRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("platform_keys", "p_id", |row| {
            Ok(Self {
                id: row.parsed("p_id")?,
                name: row.parsed("p_name")?,
                digest: digest(row, "p_digest")?,
                pepper_version: row.number("p_pepper_version")?,
                last_three: row.text("p_last_three")?,
                scopes: row.json("p_scopes")?,
                created_at: row.time("p_created_at")?,
                created_by: row.json("p_created_by")?,
                revoked_at: row.opt_time("p_revoked_at")?,
                revoked_by: row.opt_json("p_revoked_by")?,
                last_used_at: row.opt_time("p_last_used_at")?,
            })
        })
    }
}

impl Reader<'_> {
    /// The platform key of this id.
    pub async fn find_platform_key(&mut self, id: PlatformKeyId) -> Result<Option<PlatformKeyRow>, StoreError> {
        const SQL: &str = select_platform_key!("WHERE p.id = $1");
        self.fetch_optional(Stmt::new(SQL).text(id)).await?.as_ref().map(PlatformKeyRow::from_row).transpose()
    }

    /// The platform keys that have one of these digests; four at most are looked at.
    pub async fn find_platform_keys_by_digests(
        &mut self,
        digests: &[KeyDigest],
    ) -> Result<Vec<PlatformKeyRow>, StoreError> {
        const SQL: &str = select_platform_key!("WHERE p.digest IN ($1, $2, $3, $4)");
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        self.fetch_all(with_digests(SQL, digests)).await?.iter().map(PlatformKeyRow::from_row).collect()
    }

    /// All platform keys, the newest first, revoked ones too.
    pub async fn list_platform_keys(&mut self) -> Result<Vec<PlatformKeyRow>, StoreError> {
        const SQL: &str = select_platform_key!("ORDER BY p.created_at DESC, p.id DESC");
        self.fetch_all(Stmt::new(SQL)).await?.iter().map(PlatformKeyRow::from_row).collect()
    }
}

impl Tx {
    /// Adds a platform key.
    pub async fn insert_platform_key(&mut self, key: &PlatformKeyRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO platform_keys (id, name, digest, pepper_version, last_three, scopes, \
                           created_at, created_by, revoked_at, revoked_by, last_used_at) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        self.execute(
            Stmt::new(SQL)
                .text(key.id)
                .text(&key.name)
                .bytes(key.digest.as_bytes().as_slice())
                .int(i64::from(key.pepper_version))
                .text(&key.last_three)
                .json(&key.scopes)
                .time(key.created_at)
                .json(&key.created_by)
                .opt_time(key.revoked_at)
                .opt_json(key.revoked_by.as_ref())
                .opt_time(key.last_used_at),
        )
        .await?;
        Ok(())
    }

    /// Revokes a platform key that is not revoked.
    pub async fn mark_platform_key_revoked(
        &mut self,
        id: PlatformKeyId,
        by: &Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str =
            "UPDATE platform_keys SET revoked_at = $2, revoked_by = $3 WHERE id = $1 AND revoked_at IS NULL";
        self.change_one(Stmt::new(SQL).text(id).time(now).json(by)).await
    }

    /// Replaces the digest `old` by `new` under another pepper.
    pub async fn redigest_platform_key(
        &mut self,
        id: PlatformKeyId,
        old: &KeyDigest,
        new: &KeyDigest,
        pepper_version: u32,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE platform_keys SET digest = $3, pepper_version = $4 WHERE id = $1 AND digest = $2";
        self.change_one(
            Stmt::new(SQL)
                .text(id)
                .bytes(old.as_bytes().as_slice())
                .bytes(new.as_bytes().as_slice())
                .int(i64::from(pepper_version)),
        )
        .await
    }

    /// Notes uses of platform keys; an older one than is known changes nothing.
    pub async fn touch_platform_keys(&mut self, uses: &[(PlatformKeyId, Timestamp)]) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE platform_keys SET last_used_at = $2 \
                           WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
        let mut uses = uses.to_vec();
        uses.sort_unstable();
        self.execute_each(uses.into_iter().map(|(id, at)| Stmt::new(SQL).text(id).time(at))).await?;
        Ok(())
    }
}
