//! Sessions of signed-in people, the devices they are known from, and failed attempts to sign in.

use trousseau_domain::ids::{AccountId, SessionId};
use trousseau_domain::time::Timestamp;

use crate::accounts::{AccountRow, account_columns};
use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;

/// A session as it is stored: its secret is in a cookie only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its public handle.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// SHA-256 of its secret.
    pub digest: [u8; 32],
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last seen, to the minute.
    pub seen_at: Timestamp,
    /// When it ends unless it is seen before.
    pub idle_ends_at: Timestamp,
    /// When it ends in any case.
    pub ends_at: Timestamp,
    /// When whoever sits there last proved to be the owner.
    pub verified_at: Timestamp,
    /// From which address it began.
    pub address: Option<String>,
    /// What the browser called itself.
    pub agent: Option<String>,
}

/// Failed proofs about one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptsRow {
    /// How many in a row.
    pub failures: u32,
    /// The last one.
    pub last_at: Timestamp,
    /// Until when no further one is looked at.
    pub blocked_until: Option<Timestamp>,
}

impl AttemptsRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("sign_in_attempts", "t_last_at", |row| {
            Ok(Self {
                failures: row.number("t_failures")?,
                last_at: row.time("t_last_at")?,
                blocked_until: row.opt_time("t_blocked_until")?,
            })
        })
    }
}

macro_rules! session_columns {
    () => {
        "s.id AS s_id, s.account_id AS s_account_id, s.digest AS s_digest, s.created_at AS s_created_at, \
         s.seen_at AS s_seen_at, s.idle_ends_at AS s_idle_ends_at, s.ends_at AS s_ends_at, \
         s.verified_at AS s_verified_at, s.address AS s_address, s.agent AS s_agent"
    };
}

/// 32 bytes of a digest column.
pub(crate) fn digest32(row: &Row, column: &'static str) -> Result<[u8; 32], crate::error::BadColumn> {
    row.bytes(column)?.try_into().map_err(|_| crate::error::BadColumn { column, source: "not 32 bytes".into() })
}

impl SessionRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("sessions", "s_id", |row| {
            Ok(Self {
                id: row.parsed("s_id")?,
                account: row.parsed("s_account_id")?,
                digest: digest32(row, "s_digest")?,
                created_at: row.time("s_created_at")?,
                seen_at: row.time("s_seen_at")?,
                idle_ends_at: row.time("s_idle_ends_at")?,
                ends_at: row.time("s_ends_at")?,
                verified_at: row.time("s_verified_at")?,
                address: row.opt_text("s_address")?,
                agent: row.opt_text("s_agent")?,
            })
        })
    }
}

impl Reader<'_> {
    /// The session of this secret's digest that has not ended at `now`, with its account.
    pub async fn find_session(
        &mut self,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<(SessionRow, AccountRow)>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            session_columns!(),
            ", ",
            account_columns!(),
            " FROM sessions s JOIN accounts a ON a.id = s.account_id \
             WHERE s.digest = $1 AND s.idle_ends_at > $2 AND s.ends_at > $2"
        );
        let row = self.fetch_optional(Stmt::new(SQL).bytes(digest.as_slice()).time(now)).await?;
        row.map(|row| Ok((SessionRow::from_row(&row)?, AccountRow::from_row(&row)?))).transpose()
    }

    /// One session of an account that has not ended at `now`.
    pub async fn find_session_of(
        &mut self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<SessionRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            session_columns!(),
            " FROM sessions s WHERE s.account_id = $1 AND s.id = $2 AND s.idle_ends_at > $3 AND s.ends_at > $3"
        );
        let row = self.fetch_optional(Stmt::new(SQL).text(account).text(id).time(now)).await?;
        row.as_ref().map(SessionRow::from_row).transpose()
    }

    /// The sessions of an account that have not ended at `now`, the last seen first.
    pub async fn list_sessions(&mut self, account: AccountId, now: Timestamp) -> Result<Vec<SessionRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            session_columns!(),
            " FROM sessions s WHERE s.account_id = $1 AND s.idle_ends_at > $2 AND s.ends_at > $2 \
             ORDER BY s.seen_at DESC, s.id DESC"
        );
        self.fetch_all(Stmt::new(SQL).text(account).time(now)).await?.iter().map(SessionRow::from_row).collect()
    }

    /// What is known of failed proofs about a subject.
    pub async fn find_attempts(&mut self, subject: &[u8; 32]) -> Result<Option<AttemptsRow>, StoreError> {
        const SQL: &str = "SELECT t.failures AS t_failures, t.last_at AS t_last_at, \
                           t.blocked_until AS t_blocked_until FROM sign_in_attempts t WHERE t.subject = $1";
        let row = self.fetch_optional(Stmt::new(SQL).bytes(subject.as_slice())).await?;
        row.as_ref().map(AttemptsRow::from_row).transpose()
    }

    /// Whether the device of this digest is one of the account's.
    pub async fn knows_device(&mut self, account: AccountId, digest: &[u8; 32]) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT COUNT(*) AS total FROM known_devices d WHERE d.account_id = $1 AND d.digest = $2";
        let row = self.fetch_one(Stmt::new(SQL).text(account).bytes(digest.as_slice())).await?;
        row.read("known_devices", "total", |row| Ok(row.int("total")? > 0))
    }
}

impl Tx {
    /// Adds a session.
    pub async fn insert_session(&mut self, session: &SessionRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO sessions (id, account_id, digest, created_at, seen_at, idle_ends_at, ends_at, \
                           verified_at, address, agent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        self.execute(
            Stmt::new(SQL)
                .text(session.id)
                .text(session.account)
                .bytes(session.digest.as_slice())
                .time(session.created_at)
                .time(session.seen_at)
                .time(session.idle_ends_at)
                .time(session.ends_at)
                .time(session.verified_at)
                .opt_text(session.address.as_ref())
                .opt_text(session.agent.as_ref()),
        )
        .await?;
        Ok(())
    }

    /// Notes that a session was seen and moves its idle end.
    pub async fn touch_session(
        &mut self,
        account: AccountId,
        id: SessionId,
        seen_at: Timestamp,
        idle_ends_at: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE sessions SET seen_at = $3, idle_ends_at = $4 \
                           WHERE account_id = $1 AND id = $2 AND seen_at < $3 AND idle_ends_at > $3";
        self.change_one(Stmt::new(SQL).text(account).text(id).time(seen_at).time(idle_ends_at)).await
    }

    /// Notes a fresh proof, and gives the session another secret.
    pub async fn verify_session(
        &mut self,
        account: AccountId,
        id: SessionId,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE sessions SET verified_at = $3, digest = $4 WHERE account_id = $1 AND id = $2 \
                           AND idle_ends_at > $3 AND ends_at > $3";
        self.change_one(Stmt::new(SQL).text(account).text(id).time(now).bytes(digest.as_slice())).await
    }

    /// Gives a session another secret, without a proof.
    pub async fn renew_session(
        &mut self,
        account: AccountId,
        id: SessionId,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE sessions SET digest = $4 WHERE account_id = $1 AND id = $2 \
                           AND idle_ends_at > $3 AND ends_at > $3";
        self.change_one(Stmt::new(SQL).text(account).text(id).time(now).bytes(digest.as_slice())).await
    }

    /// Ends a session.
    pub async fn delete_session(&mut self, account: AccountId, id: SessionId) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM sessions WHERE account_id = $1 AND id = $2";
        self.change_one(Stmt::new(SQL).text(account).text(id)).await
    }

    /// Ends all sessions of an account but one; all of them if none is spared. Returns how many.
    pub async fn delete_sessions(&mut self, account: AccountId, spared: Option<SessionId>) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM sessions WHERE account_id = $1 AND (CAST($2 AS TEXT) IS NULL OR id <> $2)";
        self.execute(Stmt::new(SQL).text(account).opt_text(spared)).await
    }

    /// Counts a failed proof: a subject whose last one lies before `forget_before` begins anew. Returns what is known
    /// with it; whoever counts at the same time waits, and sees what this one has left.
    pub async fn count_failure(
        &mut self,
        subject: &[u8; 32],
        now: Timestamp,
        forget_before: Timestamp,
    ) -> Result<AttemptsRow, StoreError> {
        const SQL: &str = "INSERT INTO sign_in_attempts (subject, failures, last_at, blocked_until) \
                           VALUES ($1, 1, $2, NULL) ON CONFLICT (subject) DO UPDATE SET \
                           failures = CASE WHEN sign_in_attempts.last_at < $3 THEN 1 \
                           ELSE sign_in_attempts.failures + 1 END, last_at = excluded.last_at \
                           RETURNING failures AS t_failures, last_at AS t_last_at, blocked_until AS t_blocked_until";
        let statement = Stmt::new(SQL).bytes(subject.as_slice()).time(now).time(forget_before);
        AttemptsRow::from_row(&self.fetch_one(statement).await?)
    }

    /// Looks at no further proof about a subject until then.
    pub async fn block_attempts(&mut self, subject: &[u8; 32], until: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE sign_in_attempts SET blocked_until = $2 WHERE subject = $1";
        self.execute(Stmt::new(SQL).bytes(subject.as_slice()).time(until)).await?;
        Ok(())
    }

    /// Takes back one proof that was counted as failed and turned out right, with the block that it brought about, if
    /// any.
    pub async fn take_back_failure(
        &mut self,
        subject: &[u8; 32],
        blocked_until: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE sign_in_attempts SET failures = failures - 1, blocked_until = \
                           CASE WHEN blocked_until = CAST($2 AS BIGINT) THEN NULL ELSE blocked_until END \
                           WHERE subject = $1 AND failures > 0";
        self.execute(Stmt::new(SQL).bytes(subject.as_slice()).opt_time(blocked_until)).await?;
        Ok(())
    }

    /// Forgets the failed proofs about a subject.
    pub async fn clear_attempts(&mut self, subject: &[u8; 32]) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM sign_in_attempts WHERE subject = $1";
        self.execute(Stmt::new(SQL).bytes(subject.as_slice())).await?;
        Ok(())
    }

    /// Notes that an account was signed in to from a device.
    pub async fn remember_device(
        &mut self,
        account: AccountId,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO known_devices (digest, account_id, created_at, seen_at) \
                           VALUES ($1, $2, $3, $3) ON CONFLICT (digest) DO UPDATE SET seen_at = excluded.seen_at";
        self.execute(Stmt::new(SQL).bytes(digest.as_slice()).text(account).time(now)).await?;
        Ok(())
    }

    /// Forgets the devices of an account.
    pub async fn forget_devices(&mut self, account: AccountId) -> Result<u64, StoreError> {
        self.execute(Stmt::new("DELETE FROM known_devices WHERE account_id = $1").text(account)).await
    }

    /// Removes sessions, tokens, ceremonies, kept forms, failed attempts and devices that are past their time, at most `limit` of
    /// each; returns the most of any kind.
    pub async fn prune_people(
        &mut self,
        now: Timestamp,
        attempts_before: Timestamp,
        devices_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        const SESSIONS: &str = "DELETE FROM sessions WHERE id IN (SELECT s.id FROM sessions s \
                                WHERE s.ends_at <= $1 OR s.idle_ends_at <= $1 LIMIT $2)";
        const TOKENS: &str = "DELETE FROM one_time_tokens WHERE digest IN \
                              (SELECT o.digest FROM one_time_tokens o WHERE o.expires_at <= $1 LIMIT $2)";
        const CEREMONIES: &str = "DELETE FROM webauthn_ceremonies WHERE digest IN \
                                  (SELECT w.digest FROM webauthn_ceremonies w WHERE w.expires_at <= $1 LIMIT $2)";
        const ATTEMPTS: &str = "DELETE FROM sign_in_attempts WHERE subject IN \
                                (SELECT t.subject FROM sign_in_attempts t WHERE t.last_at < $1 LIMIT $2)";
        const DEVICES: &str = "DELETE FROM known_devices WHERE digest IN \
                               (SELECT d.digest FROM known_devices d WHERE d.seen_at < $1 LIMIT $2)";
        const FORMS: &str = "DELETE FROM kept_forms WHERE id IN \
                             (SELECT f.id FROM kept_forms f WHERE f.expires_at <= $1 LIMIT $2)";
        let mut most = 0;
        for (sql, at) in [
            (SESSIONS, now),
            (TOKENS, now),
            (CEREMONIES, now),
            (FORMS, now),
            (ATTEMPTS, attempts_before),
            (DEVICES, devices_before),
        ] {
            most = most.max(self.execute(Stmt::new(sql).time(at).int(i64::from(limit))).await?);
        }
        Ok(most)
    }
}
