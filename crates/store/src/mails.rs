//! Mails that wait to be sent.

use trousseau_domain::ids::{AccountId, MailId};
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::stmt::Stmt;
use crate::versions::Sealed;

/// A mail as it waits: to whom it goes and what it says is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRow {
    /// Its id.
    pub id: MailId,
    /// Whom it concerns, where that is an account.
    pub account: Option<AccountId>,
    /// Which text it is.
    pub template: String,
    /// Recipient, subject and text.
    pub sealed: Sealed,
    /// When it was written.
    pub created_at: Timestamp,
    /// How often it was tried.
    pub attempt: u32,
    /// When it is due.
    pub next_at: Timestamp,
}

impl Reader<'_> {
    /// How many mails wait.
    pub async fn count_mails(&mut self) -> Result<u64, StoreError> {
        let row = self.fetch_one(Stmt::new("SELECT COUNT(*) AS total FROM mails")).await?;
        row.read("mails", "total", |row| row.number("total"))
    }
}

impl Tx {
    /// Queues a mail.
    pub async fn insert_mail(&mut self, mail: &MailRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO mails (id, account_id, template, sealed, kek_version, created_at, attempt, \
                           next_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        self.execute(
            Stmt::new(SQL)
                .text(mail.id)
                .opt_text(mail.account)
                .text(&mail.template)
                .bytes(mail.sealed.bytes.as_slice())
                .int(i64::from(mail.sealed.kek_version))
                .time(mail.created_at)
                .int(i64::from(mail.attempt))
                .time(mail.next_at),
        )
        .await?;
        Ok(())
    }

    /// Leases mails that are due, the longest waiting first: nobody else gets them before `until`.
    pub async fn claim_mails(
        &mut self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<MailRow>, StoreError> {
        let sql = self.claim_mails_sql();
        let rows = self.fetch_all(Stmt::new(sql).time(until).time(now).int(i64::from(limit))).await?;
        rows.iter()
            .map(|row| {
                row.read("mails", "id", |row| {
                    Ok(MailRow {
                        id: row.parsed("id")?,
                        account: row.opt_parsed("account_id")?,
                        template: row.text("template")?,
                        sealed: Sealed { bytes: row.bytes("sealed")?, kek_version: row.number("kek_version")? },
                        created_at: row.time("created_at")?,
                        attempt: row.number("attempt")?,
                        next_at: row.time("next_at")?,
                    })
                })
            })
            .collect()
    }

    /// Tries a mail again at another time, if nobody else has taken it since.
    pub async fn postpone_mail(&mut self, id: MailId, attempt: u32, next_at: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE mails SET next_at = $3 WHERE id = $1 AND attempt = $2";
        self.change_one(Stmt::new(SQL).text(id).int(i64::from(attempt)).time(next_at)).await
    }

    /// Forgets a mail that is sent or given up, if nobody else has taken it since.
    pub async fn finish_mail(&mut self, id: MailId, attempt: u32) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM mails WHERE id = $1 AND attempt = $2";
        self.change_one(Stmt::new(SQL).text(id).int(i64::from(attempt))).await
    }
}
