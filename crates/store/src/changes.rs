//! The sequence of changes, by which every node learns what it must no longer remember.

use trousseau_domain::ids::BusinessId;
use trousseau_domain::time::Timestamp;

use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// A key or one of its versions; the target is its id. Where a value got another digest, a space and the
    /// earlier digest in hexadecimal follow, so that nobody remembers the value by it.
    Key,
    /// A business.
    Business,
    /// A platform key; the target is its id.
    PlatformKey,
    /// The pepper or the key-encryption key.
    Secrets,
    /// A payment; the target is its id.
    Payment,
    /// What is to be paid; the target is its id.
    Payable,
}

impl ChangeKind {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Business => "business",
            Self::PlatformKey => "platform_key",
            Self::Secrets => "secrets",
            Self::Payment => "payment",
            Self::Payable => "payable",
        }
    }

    fn from_stored(word: &str) -> Option<Self> {
        let all = [Self::Key, Self::Business, Self::PlatformKey, Self::Secrets, Self::Payment, Self::Payable];
        all.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One change. The numbers have no gaps and are in the order of commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// Its place in the sequence, from 1.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: ChangeKind,
    /// Of which business.
    pub business: Option<BusinessId>,
    /// The id of what changed.
    pub target: Option<String>,
}

impl ChangeRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("changes", "seq", |row| {
            Ok(Self {
                seq: row.int("seq")?,
                at: row.time("at")?,
                kind: ChangeKind::from_stored(&row.text("kind")?)
                    .ok_or_else(|| BadColumn { column: "kind", source: "an unknown word".into() })?,
                business: row.opt_parsed("business_id")?,
                target: row.opt_text("target")?,
            })
        })
    }
}

impl Reader<'_> {
    /// The changes after `seq`, in order; at most `limit`.
    ///
    /// Where the first one is not `seq + 1`, older ones were pruned: the reader must forget all it remembers.
    pub async fn list_changes(&mut self, seq: i64, limit: u32) -> Result<Vec<ChangeRow>, StoreError> {
        const SQL: &str = "SELECT seq, at, kind, business_id, target FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2";
        let rows = self.fetch_all(Stmt::new(SQL).int(seq).int(i64::from(limit))).await?;
        rows.iter().map(ChangeRow::from_row).collect()
    }

    /// The number of the latest change; 0 before the first one.
    pub async fn current_seq(&mut self) -> Result<i64, StoreError> {
        let row = self.fetch_one(Stmt::new("SELECT seq FROM change_counter WHERE id = 1")).await?;
        row.read("change_counter", "seq", |row| row.int("seq"))
    }
}

impl Tx {
    /// Adds a change and wakes the watchers at commit. The last act of a transaction: it takes the one counter,
    /// and whoever holds it makes the others wait.
    pub async fn append_change(
        &mut self,
        kind: ChangeKind,
        business: Option<&BusinessId>,
        target: Option<&str>,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        const NEXT: &str = "UPDATE change_counter SET seq = seq + 1 WHERE id = 1";
        const CHANGE: &str = "INSERT INTO changes (seq, at, kind, business_id, target) \
                              SELECT c.seq, $1, $2, $3, $4 FROM change_counter c WHERE c.id = 1 RETURNING seq";
        self.execute_later(Stmt::new(NEXT)).await?;
        let change = Stmt::new(CHANGE).time(now).text(kind.as_str()).opt_text(business).opt_text(target);
        let seq = self.fetch_one(change).await?.read("changes", "seq", |row| row.int("seq"))?;
        self.notify().await?;
        Ok(seq)
    }

    /// Forgets changes before an instant, the oldest first, at most `limit`; returns how many.
    pub async fn prune_changes(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        // Only the oldest are looked at: the others are younger, and there may be millions.
        const SQL: &str = "DELETE FROM changes WHERE seq IN (SELECT o.seq FROM \
                           (SELECT c.seq, c.at FROM changes c ORDER BY c.seq LIMIT $2) AS o WHERE o.at < $1)";
        self.execute(Stmt::new(SQL).time(before).int(i64::from(limit))).await
    }
}
