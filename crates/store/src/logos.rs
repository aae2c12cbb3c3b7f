//! Logos of businesses.

use trousseau_domain::actor::Actor;
use trousseau_domain::ids::BusinessId;
use trousseau_domain::logo::{LogoDigest, LogoFormat};
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::sessions::digest32;
use crate::stmt::Stmt;

/// A logo as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoRow {
    /// Whose it is.
    pub business: BusinessId,
    /// SHA-256 of the content.
    pub digest: LogoDigest,
    /// What kind of picture it is.
    pub format: LogoFormat,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// The picture.
    pub content: Vec<u8>,
    /// When it was put there.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: Actor,
}

impl Reader<'_> {
    /// The picture of this digest, whichever business has it.
    pub async fn find_logo(&mut self, digest: &LogoDigest) -> Result<Option<(LogoFormat, Vec<u8>)>, StoreError> {
        const SQL: &str = "SELECT l.business_id AS l_business_id, l.format AS l_format, l.content AS l_content \
                           FROM logos l WHERE l.digest = $1 LIMIT 1";
        let row = self.fetch_optional(Stmt::new(SQL).bytes(digest.as_bytes().as_slice())).await?;
        row.map(|row| row.read("logos", "l_business_id", |row| Ok((row.parsed("l_format")?, row.bytes("l_content")?))))
            .transpose()
    }
}

impl Reader<'_> {
    /// Where the logo of a business is found.
    pub async fn find_logo_of(&mut self, business: &BusinessId) -> Result<Option<LogoDigest>, StoreError> {
        const SQL: &str = "SELECT l.business_id, l.digest FROM logos l WHERE l.business_id = $1";
        let row = self.fetch_optional(Stmt::new(SQL).text(business)).await?;
        row.map(|row| row.read("logos", "business_id", |row| digest32(row, "digest").map(LogoDigest::from_sha256)))
            .transpose()
    }
}

impl Tx {
    /// Gives a business a logo, in place of the one it had.
    pub async fn put_logo(&mut self, logo: &LogoRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO logos (business_id, digest, format, width, height, content, created_at, \
                           created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                           ON CONFLICT (business_id) DO UPDATE SET digest = excluded.digest, \
                           format = excluded.format, width = excluded.width, height = excluded.height, \
                           content = excluded.content, created_at = excluded.created_at, \
                           created_by = excluded.created_by";
        self.execute(
            Stmt::new(SQL)
                .text(&logo.business)
                .bytes(logo.digest.as_bytes().as_slice())
                .text(logo.format)
                .int(i64::from(logo.width))
                .int(i64::from(logo.height))
                .bytes(logo.content.as_slice())
                .time(logo.created_at)
                .json(&logo.created_by),
        )
        .await?;
        Ok(())
    }

    /// Takes the logo of a business away; `false` if it has none.
    pub async fn delete_logo(&mut self, business: &BusinessId) -> Result<bool, StoreError> {
        self.change_one(Stmt::new("DELETE FROM logos WHERE business_id = $1").text(business)).await
    }
}
