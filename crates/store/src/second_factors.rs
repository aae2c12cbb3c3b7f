//! Passkeys, the steps of making and using them, and recovery codes.

use trousseau_domain::ids::{AccountId, PasskeyId};
use trousseau_domain::members::PasskeyName;
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::sessions::digest32;
use crate::stmt::Stmt;

/// A passkey as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRow {
    /// Its id.
    pub id: PasskeyId,
    /// Whose it is.
    pub account: AccountId,
    /// What the authenticator calls it.
    pub credential_id: Vec<u8>,
    /// What its owner calls it.
    pub name: PasskeyName,
    /// Public key and counters, as the library keeps them.
    pub credential: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// What a ceremony is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CeremonyKind {
    /// Making a passkey.
    Registration,
    /// Showing one.
    Authentication,
}

impl CeremonyKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Authentication => "authentication",
        }
    }
}

/// What was asked of a browser and is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CeremonyRow {
    /// SHA-256 of the handle that the browser brings back.
    pub digest: [u8; 32],
    /// What for.
    pub kind: CeremonyKind,
    /// Whose, where that is known.
    pub account: Option<AccountId>,
    /// The challenge and what belongs to it, as the library keeps them.
    pub state: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A recovery code as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryCodeRow {
    /// Which of the set.
    pub number: u32,
    /// The salt of the whole set.
    pub salt: Vec<u8>,
    /// Argon2id of the code.
    pub digest: [u8; 32],
}

macro_rules! select_passkey {
    ($rest:literal) => {
        concat!(
            "SELECT p.id AS p_id, p.account_id AS p_account_id, p.credential_id AS p_credential_id, \
             p.name AS p_name, p.credential AS p_credential, p.created_at AS p_created_at, \
             p.last_used_at AS p_last_used_at FROM passkeys p ",
            $rest
        )
    };
}

impl PasskeyRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("passkeys", "p_id", |row| {
            Ok(Self {
                id: row.parsed("p_id")?,
                account: row.parsed("p_account_id")?,
                credential_id: row.bytes("p_credential_id")?,
                name: row.parsed("p_name")?,
                credential: row.text("p_credential")?,
                created_at: row.time("p_created_at")?,
                last_used_at: row.opt_time("p_last_used_at")?,
            })
        })
    }
}

impl Reader<'_> {
    /// The passkeys of an account, the oldest first.
    pub async fn list_passkeys(&mut self, account: AccountId) -> Result<Vec<PasskeyRow>, StoreError> {
        const SQL: &str = select_passkey!("WHERE p.account_id = $1 ORDER BY p.created_at, p.id");
        self.fetch_all(Stmt::new(SQL).text(account)).await?.iter().map(PasskeyRow::from_row).collect()
    }

    /// The passkey that an authenticator calls so.
    pub async fn find_passkey_by_credential(&mut self, credential_id: &[u8]) -> Result<Option<PasskeyRow>, StoreError> {
        const SQL: &str = select_passkey!("WHERE p.credential_id = $1");
        let row = self.fetch_optional(Stmt::new(SQL).bytes(credential_id)).await?;
        row.as_ref().map(PasskeyRow::from_row).transpose()
    }

    /// The recovery codes of an account that are not used.
    pub async fn list_recovery_codes(&mut self, account: AccountId) -> Result<Vec<RecoveryCodeRow>, StoreError> {
        const SQL: &str = "SELECT r.number AS r_number, r.salt AS r_salt, r.digest AS r_digest \
                           FROM recovery_codes r WHERE r.account_id = $1 AND r.used_at IS NULL ORDER BY r.number";
        let rows = self.fetch_all(Stmt::new(SQL).text(account)).await?;
        rows.iter()
            .map(|row| {
                row.read("recovery_codes", "r_number", |row| {
                    Ok(RecoveryCodeRow {
                        number: row.number("r_number")?,
                        salt: row.bytes("r_salt")?,
                        digest: digest32(row, "r_digest")?,
                    })
                })
            })
            .collect()
    }
}

impl Tx {
    /// Adds a passkey.
    ///
    /// # Errors
    /// [`StoreError::Unique`] where the authenticator's name for it is known already.
    pub async fn insert_passkey(&mut self, passkey: &PasskeyRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO passkeys (id, account_id, credential_id, name, credential, created_at, \
                           last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        self.execute(
            Stmt::new(SQL)
                .text(passkey.id)
                .text(passkey.account)
                .bytes(passkey.credential_id.as_slice())
                .text(&passkey.name)
                .text(&passkey.credential)
                .time(passkey.created_at)
                .opt_time(passkey.last_used_at),
        )
        .await?;
        Ok(())
    }

    /// Notes a use of a passkey, and its counters after it.
    pub async fn use_passkey(
        &mut self,
        account: AccountId,
        id: PasskeyId,
        credential: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE passkeys SET credential = $3, last_used_at = $4 WHERE account_id = $1 AND id = $2";
        self.change_one(Stmt::new(SQL).text(account).text(id).text(credential).time(now)).await
    }

    /// Removes a passkey.
    pub async fn delete_passkey(&mut self, account: AccountId, id: PasskeyId) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM passkeys WHERE account_id = $1 AND id = $2";
        self.change_one(Stmt::new(SQL).text(account).text(id)).await
    }

    /// Keeps what is waited for.
    pub async fn insert_ceremony(&mut self, ceremony: &CeremonyRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO webauthn_ceremonies (digest, kind, account_id, state, created_at, expires_at) \
                           VALUES ($1, $2, $3, $4, $5, $6)";
        self.execute(
            Stmt::new(SQL)
                .bytes(ceremony.digest.as_slice())
                .text(ceremony.kind.as_str())
                .opt_text(ceremony.account)
                .text(&ceremony.state)
                .time(ceremony.created_at)
                .time(ceremony.expires_at),
        )
        .await?;
        Ok(())
    }

    /// Takes what was waited for: it is there once. `None` if it has ended or is of another kind.
    pub async fn take_ceremony(
        &mut self,
        kind: CeremonyKind,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<CeremonyRow>, StoreError> {
        const SQL: &str = "DELETE FROM webauthn_ceremonies WHERE digest = $1 AND kind = $2 AND expires_at > $3 \
                           RETURNING digest, account_id, state, created_at, expires_at";
        let row = self.fetch_optional(Stmt::new(SQL).bytes(digest.as_slice()).text(kind.as_str()).time(now)).await?;
        row.map(|row| {
            row.read("webauthn_ceremonies", "created_at", |row| {
                Ok(CeremonyRow {
                    digest: digest32(row, "digest")?,
                    kind,
                    account: row.opt_parsed("account_id")?,
                    state: row.text("state")?,
                    created_at: row.time("created_at")?,
                    expires_at: row.time("expires_at")?,
                })
            })
        })
        .transpose()
    }

    /// Replaces the recovery codes of an account.
    pub async fn replace_recovery_codes(
        &mut self,
        account: AccountId,
        codes: &[RecoveryCodeRow],
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO recovery_codes (account_id, number, salt, digest, used_at) \
                           VALUES ($1, $2, $3, $4, NULL)";
        self.execute(Stmt::new("DELETE FROM recovery_codes WHERE account_id = $1").text(account)).await?;
        for code in codes {
            self.execute(
                Stmt::new(SQL)
                    .text(account)
                    .int(i64::from(code.number))
                    .bytes(code.salt.as_slice())
                    .bytes(code.digest.as_slice()),
            )
            .await?;
        }
        Ok(())
    }

    /// Uses a recovery code; `false` if it is used.
    pub async fn use_recovery_code(
        &mut self,
        account: AccountId,
        number: u32,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str =
            "UPDATE recovery_codes SET used_at = $3 WHERE account_id = $1 AND number = $2 AND used_at IS NULL";
        self.change_one(Stmt::new(SQL).text(account).int(i64::from(number)).time(now)).await
    }
}
