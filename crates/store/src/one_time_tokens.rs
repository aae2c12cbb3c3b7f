//! Links and steps that are good once.

use trousseau_domain::ids::AccountId;
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::sessions::digest32;
use crate::stmt::Stmt;

/// What a one-time token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPurpose {
    /// Making the first account.
    FirstRun,
    /// Choosing another password.
    Reset,
    /// The second step of signing in.
    SecondFactor,
}

impl TokenPurpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::FirstRun => "first_run",
            Self::Reset => "reset",
            Self::SecondFactor => "second_factor",
        }
    }
}

/// A one-time token as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// SHA-256 of its text.
    pub digest: [u8; 32],
    /// Whose it is; none for the first run, and for a reset that was asked for an address nobody has.
    pub account: Option<AccountId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How often something wrong was shown with it.
    pub failures: u32,
}

impl Reader<'_> {
    /// The unused token of this digest and purpose that has not ended at `now`.
    pub async fn find_token(
        &mut self,
        purpose: TokenPurpose,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<TokenRow>, StoreError> {
        const SQL: &str = "SELECT o.digest AS o_digest, o.account_id AS o_account_id, o.created_at AS o_created_at, \
                           o.expires_at AS o_expires_at, o.failures AS o_failures FROM one_time_tokens o \
                           WHERE o.digest = $1 AND o.purpose = $2 AND o.used_at IS NULL AND o.expires_at > $3";
        let row = self.fetch_optional(Stmt::new(SQL).bytes(digest.as_slice()).text(purpose.as_str()).time(now)).await?;
        row.map(|row| {
            row.read("one_time_tokens", "o_created_at", |row| {
                Ok(TokenRow {
                    digest: digest32(row, "o_digest")?,
                    account: row.opt_parsed("o_account_id")?,
                    created_at: row.time("o_created_at")?,
                    expires_at: row.time("o_expires_at")?,
                    failures: row.number("o_failures")?,
                })
            })
        })
        .transpose()
    }

    /// How many tokens of this purpose were made for an account since `since`.
    pub async fn count_tokens_since(
        &mut self,
        account: AccountId,
        purpose: TokenPurpose,
        since: Timestamp,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "SELECT COUNT(*) AS total FROM one_time_tokens o \
                           WHERE o.account_id = $1 AND o.purpose = $2 AND o.created_at > $3";
        let row = self.fetch_one(Stmt::new(SQL).text(account).text(purpose.as_str()).time(since)).await?;
        row.read("one_time_tokens", "total", |row| row.number("total"))
    }
}

impl Tx {
    /// Adds a token.
    pub async fn insert_token(&mut self, purpose: TokenPurpose, token: &TokenRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO one_time_tokens (digest, purpose, account_id, created_at, expires_at, failures, \
                           used_at) VALUES ($1, $2, $3, $4, $5, $6, NULL)";
        self.execute(
            Stmt::new(SQL)
                .bytes(token.digest.as_slice())
                .text(purpose.as_str())
                .opt_text(token.account)
                .time(token.created_at)
                .time(token.expires_at)
                .int(i64::from(token.failures)),
        )
        .await?;
        Ok(())
    }

    /// Uses a token; `false` if it is used, ended or unknown.
    pub async fn use_token(
        &mut self,
        purpose: TokenPurpose,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE one_time_tokens SET used_at = $3 \
                           WHERE digest = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > $3";
        self.change_one(Stmt::new(SQL).bytes(digest.as_slice()).text(purpose.as_str()).time(now)).await
    }

    /// Counts something wrong that was shown with a token, and ends it at `most`; returns whether it is still good.
    pub async fn fail_token(
        &mut self,
        purpose: TokenPurpose,
        digest: &[u8; 32],
        most: u32,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE one_time_tokens SET failures = failures + 1, \
                           used_at = CASE WHEN failures + 1 >= $3 THEN CAST($4 AS BIGINT) ELSE used_at END \
                           WHERE digest = $1 AND purpose = $2 AND used_at IS NULL RETURNING failures";
        let statement = Stmt::new(SQL).bytes(digest.as_slice()).text(purpose.as_str()).int(i64::from(most)).time(now);
        let row = self.fetch_optional(statement).await?;
        row.map_or(Ok(false), |row| {
            row.read("one_time_tokens", "failures", |row| Ok(row.number::<u32>("failures")? < most))
        })
    }

    /// Takes back all tokens of a purpose, of one account or, for the first run, all there are.
    pub async fn delete_tokens(
        &mut self,
        purpose: TokenPurpose,
        account: Option<AccountId>,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM one_time_tokens WHERE purpose = $1 \
                           AND (CAST($2 AS TEXT) IS NULL OR account_id = $2)";
        self.execute(Stmt::new(SQL).text(purpose.as_str()).opt_text(account)).await
    }
}
