//! Which versions of the pepper and of the key-encryption key this database was written with.

use trousseau_domain::time::Timestamp;

use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;

/// Which secret outside the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// It keys the digests.
    Pepper,
    /// It seals the values that may be read again.
    Kek,
}

impl SecretKind {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pepper => "pepper",
            Self::Kek => "kek",
        }
    }
}

/// One version of a secret, with the canary that a wrong one cannot reproduce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretVersionRow {
    /// Which secret.
    pub kind: SecretKind,
    /// Its version, from 1.
    pub version: u32,
    /// What the right secret makes of a known text.
    pub canary: Vec<u8>,
    /// When it was first used.
    pub created_at: Timestamp,
}

impl SecretVersionRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("secret_versions", "kind", |row| {
            Ok(Self {
                kind: match row.text("kind")?.as_str() {
                    "pepper" => SecretKind::Pepper,
                    "kek" => SecretKind::Kek,
                    _ => {
                        return Err(BadColumn { column: "kind", source: "an unknown word".into() });
                    }
                },
                version: row.number("version")?,
                canary: row.bytes("canary")?,
                created_at: row.time("created_at")?,
            })
        })
    }
}

impl Reader<'_> {
    /// All versions of both secrets, by kind and version.
    pub async fn list_secret_versions(&mut self) -> Result<Vec<SecretVersionRow>, StoreError> {
        const SQL: &str = "SELECT kind, version, canary, created_at FROM secret_versions ORDER BY kind, version";
        self.fetch_all(Stmt::new(SQL)).await?.iter().map(SecretVersionRow::from_row).collect()
    }
}

impl Tx {
    /// Notes a version; `false` where it is noted already, by another node perhaps.
    pub async fn insert_secret_version(&mut self, version: &SecretVersionRow) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO secret_versions (kind, version, canary, created_at) \
                           VALUES ($1, $2, $3, $4) ON CONFLICT (kind, version) DO NOTHING";
        self.change_one(
            Stmt::new(SQL)
                .text(version.kind.as_str())
                .int(i64::from(version.version))
                .bytes(version.canary.clone())
                .time(version.created_at),
        )
        .await
    }
}
