//! Sealed values beside those of keys, wherever they stand: what a rotation of the key-encryption key moves.

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::stmt::Stmt;
use crate::versions::{Sealed, VersionCount, counts};

/// A column that holds sealed values. Each row has one, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedPlace {
    /// What an account shares with its authenticator app.
    TotpSecret,
    /// A mail that waits.
    Mail,
    /// A form that waits for a proof.
    KeptForm,
    /// What the messages to a webhook endpoint are signed with.
    WebhookSecret,
}

/// The statements about one column.
struct Sql {
    list: &'static str,
    count: &'static str,
    rewrap: &'static str,
}

/// The statements about the column `$sealed` of `$table`, whose key-encryption key `$kek` names.
macro_rules! sql {
    ($table:literal, $sealed:literal, $kek:literal) => {
        Sql {
            list: concat!(
                "SELECT id, ",
                $sealed,
                " AS sealed, ",
                $kek,
                " AS kek_version FROM ",
                $table,
                " WHERE ",
                $sealed,
                " IS NOT NULL AND ",
                $kek,
                " <> $1 ORDER BY ",
                $kek,
                ", id LIMIT $2"
            ),
            count: concat!(
                "SELECT ",
                $kek,
                " AS version, COUNT(*) AS total FROM ",
                $table,
                " WHERE ",
                $sealed,
                " IS NOT NULL GROUP BY ",
                $kek,
                " ORDER BY ",
                $kek
            ),
            rewrap: concat!(
                "UPDATE ",
                $table,
                " SET ",
                $sealed,
                " = $4, ",
                $kek,
                " = $5 WHERE id = $1 AND ",
                $sealed,
                " = $2 AND ",
                $kek,
                " = $3"
            ),
        }
    };
}

impl SealedPlace {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::TotpSecret, Self::Mail, Self::KeptForm, Self::WebhookSecret];

    /// The table.
    pub const fn table(self) -> &'static str {
        match self {
            Self::TotpSecret => "accounts",
            Self::Mail => "mails",
            Self::KeptForm => "kept_forms",
            Self::WebhookSecret => "webhook_secrets",
        }
    }

    /// The column with the sealed value.
    pub const fn column(self) -> &'static str {
        match self {
            Self::TotpSecret => "totp_secret",
            Self::Mail | Self::KeptForm | Self::WebhookSecret => "sealed",
        }
    }

    const fn sql(self) -> Sql {
        match self {
            Self::TotpSecret => sql!("accounts", "totp_secret", "totp_kek_version"),
            Self::Mail => sql!("mails", "sealed", "kek_version"),
            Self::KeptForm => sql!("kept_forms", "sealed", "kek_version"),
            Self::WebhookSecret => sql!("webhook_secrets", "sealed", "kek_version"),
        }
    }
}

/// A sealed value in its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCell {
    /// Where it stands.
    pub place: SealedPlace,
    /// The id of its row.
    pub row: String,
    /// The value.
    pub sealed: Sealed,
}

impl Reader<'_> {
    /// Sealed values of one place under another key-encryption key than `current`; at most `limit`.
    pub async fn list_cells_on_other_kek(
        &mut self,
        place: SealedPlace,
        current: u32,
        limit: u32,
    ) -> Result<Vec<SealedCell>, StoreError> {
        let stmt = Stmt::new(place.sql().list).int(i64::from(current)).int(i64::from(limit));
        self.fetch_all(stmt)
            .await?
            .iter()
            .map(|row| {
                row.read(place.table(), "id", |row| {
                    let sealed = Sealed { bytes: row.bytes("sealed")?, kek_version: row.number("kek_version")? };
                    Ok(SealedCell { place, row: row.text("id")?, sealed })
                })
            })
            .collect()
    }

    /// How many sealed values of one place there are under each key-encryption key.
    pub async fn count_cells_by_kek(&mut self, place: SealedPlace) -> Result<Vec<VersionCount>, StoreError> {
        counts(&self.fetch_all(Stmt::new(place.sql().count)).await?)
    }
}

impl Tx {
    /// Replaces a sealed value by the same one under another key-encryption key, if it is still the one in `old`.
    pub async fn rewrap_cell(&mut self, old: &SealedCell, new: &Sealed) -> Result<bool, StoreError> {
        self.change_one(
            Stmt::new(old.place.sql().rewrap)
                .text(&old.row)
                .bytes(old.sealed.bytes.clone())
                .int(i64::from(old.sealed.kek_version))
                .bytes(new.bytes.clone())
                .int(i64::from(new.kek_version)),
        )
        .await
    }
}
