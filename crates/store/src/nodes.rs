//! The servers that run on this database, as they tell of themselves.

use trousseau_domain::ids::NodeId;
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;

/// A server, as it last told of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Drawn at its start.
    pub id: NodeId,
    /// The version of its program.
    pub version: String,
    /// When it started, by its own clock.
    pub started_at: Timestamp,
    /// When it last told, likewise.
    pub seen_at: Timestamp,
    /// The number of the latest change that is in its memory.
    pub applied_seq: i64,
}

impl NodeRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("nodes", "id", |row| {
            Ok(Self {
                id: row.parsed("id")?,
                version: row.text("version")?,
                started_at: row.time("started_at")?,
                seen_at: row.time("seen_at")?,
                applied_seq: row.int("applied_seq")?,
            })
        })
    }
}

impl Reader<'_> {
    /// The servers that told of themselves after an instant, the oldest first.
    pub async fn list_nodes(&mut self, seen_after: Timestamp) -> Result<Vec<NodeRow>, StoreError> {
        const SQL: &str = "SELECT id, version, started_at, seen_at, applied_seq FROM nodes WHERE seen_at > $1 \
                           ORDER BY started_at, id";
        self.fetch_all(Stmt::new(SQL).time(seen_after)).await?.iter().map(NodeRow::from_row).collect()
    }
}

impl Tx {
    /// Notes what a server tells of itself.
    pub async fn note_node(&mut self, node: &NodeRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO nodes (id, version, started_at, seen_at, applied_seq) \
                           VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE \
                           SET seen_at = excluded.seen_at, applied_seq = excluded.applied_seq";
        self.execute(
            Stmt::new(SQL)
                .text(node.id)
                .text(&node.version)
                .time(node.started_at)
                .time(node.seen_at)
                .int(node.applied_seq),
        )
        .await?;
        Ok(())
    }

    /// Forgets a server that ends.
    pub async fn remove_node(&mut self, id: NodeId) -> Result<(), StoreError> {
        self.execute(Stmt::new("DELETE FROM nodes WHERE id = $1").text(id)).await?;
        Ok(())
    }

    /// Forgets servers that have not told of themselves since an instant; returns how many.
    pub async fn prune_nodes(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        self.execute(Stmt::new("DELETE FROM nodes WHERE seen_at < $1").time(before)).await
    }
}
