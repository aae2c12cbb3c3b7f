//! Keys that arrive by the thousand, and what became of them.

use std::collections::HashSet;

use serde_json::Value;
use trousseau_domain::actor::Actor;
use trousseau_domain::digest::KeyDigest;
use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::{BusinessId, KeyId};
use trousseau_domain::time::Timestamp;

use crate::audit::AuditRow;
use crate::bulk::{Bulk, Column, ColumnType, bytes, hex, json, opt, text, time};
use crate::changes::ChangeKind;
use crate::error::StoreError;
use crate::events::EventRow;
use crate::exec::{Reader, Tx};
use crate::keys::{KeyRow, key_columns};
use crate::row::Row;
use crate::stmt::Stmt;
use crate::versions::{VersionRow, digest};

const KEY_COLUMNS: &[Column<'_>] = &[
    ("id", ColumnType::Text),
    ("business_id", ColumnType::Text),
    ("environment", ColumnType::Text),
    ("kind", ColumnType::Text),
    ("number", ColumnType::Int),
    ("name", ColumnType::Text),
    ("external_reference", ColumnType::Text),
    ("state", ColumnType::Text),
    ("valid_from", ColumnType::Int),
    ("valid_until", ColumnType::Int),
    ("scopes", ColumnType::Text),
    ("allowed_origins", ColumnType::Text),
    ("allowed_ips", ColumnType::Text),
    ("metadata", ColumnType::Text),
    ("current_version", ColumnType::Int),
    ("mask_prefix", ColumnType::Text),
    ("last_three", ColumnType::Text),
    ("previous_ends_at", ColumnType::Int),
    ("created_at", ColumnType::Int),
    ("created_by", ColumnType::Text),
    ("revoked_at", ColumnType::Int),
    ("revoked_by", ColumnType::Text),
    ("updated_at", ColumnType::Int),
    ("created_by_key", ColumnType::Text),
    ("limits", ColumnType::Text),
];
const VERSION_COLUMNS: &[Column<'_>] = &[
    ("key_id", ColumnType::Text),
    ("version", ColumnType::Int),
    ("business_id", ColumnType::Text),
    ("environment", ColumnType::Text),
    ("kind", ColumnType::Text),
    ("digest", ColumnType::Bytes),
    ("pepper_version", ColumnType::Int),
    ("last_three", ColumnType::Text),
    ("starts_at", ColumnType::Int),
    ("ends_at", ColumnType::Int),
    ("ended_by", ColumnType::Text),
    ("created_at", ColumnType::Int),
    ("created_by", ColumnType::Text),
    ("origin", ColumnType::Text),
    ("sealed", ColumnType::Bytes),
    ("kek_version", ColumnType::Int),
    ("live_readable", ColumnType::Int),
];
const AUDIT_COLUMNS: &[Column<'_>] = &[
    ("id", ColumnType::Text),
    ("at", ColumnType::Int),
    ("actor", ColumnType::Text),
    ("action", ColumnType::Text),
    ("business_id", ColumnType::Text),
    ("environment", ColumnType::Text),
    ("target", ColumnType::Text),
    ("details", ColumnType::Text),
    ("request_id", ColumnType::Text),
];
const EVENT_COLUMNS: &[Column<'_>] = &[
    ("id", ColumnType::Text),
    ("at", ColumnType::Int),
    ("business_id", ColumnType::Text),
    ("environment", ColumnType::Text),
    ("type", ColumnType::Text),
    ("key_id", ColumnType::Text),
    ("actor", ColumnType::Text),
    ("data", ColumnType::Text),
    ("request_id", ColumnType::Text),
    ("subject", ColumnType::Text),
];
const OUTBOX_COLUMNS: &[Column<'_>] =
    &[("event_id", ColumnType::Text), ("attempt", ColumnType::Int), ("created_at", ColumnType::Int)];
const CHANGE_COLUMNS: &[Column<'_>] = &[
    ("seq", ColumnType::Int),
    ("at", ColumnType::Int),
    ("kind", ColumnType::Text),
    ("business_id", ColumnType::Text),
    ("target", ColumnType::Text),
];

/// A key with all that its coming into being writes.
#[derive(Debug)]
pub struct NewKey {
    /// The key.
    pub key: KeyRow,
    /// Its first value.
    pub version: VersionRow,
    /// The audit entry.
    pub audit: AuditRow,
    /// The event.
    pub event: EventRow,
}

/// Whose value a digest is already.
#[derive(Debug, Clone)]
pub struct KnownDigest {
    /// The digest.
    pub digest: KeyDigest,
    /// The key.
    pub key: KeyId,
    /// Whose key.
    pub tenant: Tenant,
}

/// A set of words as one argument.
fn list(words: impl Iterator<Item = String>) -> Value {
    Value::Array(words.map(Value::String).collect())
}

impl Reader<'_> {
    /// Which of these digests are values of keys already, whosever.
    pub async fn find_known_digests(&mut self, digests: &[KeyDigest]) -> Result<Vec<KnownDigest>, StoreError> {
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        let stmt = Stmt::new(self.known_digests_sql()).json(&list(digests.iter().map(|digest| hex(digest.as_bytes()))));
        let rows = self.fetch_all(stmt).await?;
        let known = |row: &Row| {
            row.read("key_versions", "key_id", |row| {
                Ok(KnownDigest { digest: digest(row, "digest")?, key: row.parsed("key_id")?, tenant: row.tenant()? })
            })
        };
        rows.iter().map(known).collect()
    }

    /// Which of these external references name keys of the business already.
    pub async fn find_taken_references(
        &mut self,
        business: &BusinessId,
        references: &[String],
    ) -> Result<HashSet<String>, StoreError> {
        if references.is_empty() {
            return Ok(HashSet::new());
        }
        let stmt =
            Stmt::new(self.taken_references_sql()).text(business).json(&list(references.iter().map(Clone::clone)));
        let rows = self.fetch_all(stmt).await?;
        rows.iter().map(|row| row.read("keys", "reference", |row| row.text("reference"))).collect()
    }

    /// The tenant's imported keys with a number above `after`, by number; at most `limit`.
    pub async fn list_imported_keys(
        &mut self,
        tenant: &Tenant,
        after: u32,
        limit: u32,
    ) -> Result<Vec<KeyRow>, StoreError> {
        // The first value of an imported key is the one that was brought.
        const SQL: &str = concat!(
            "SELECT ",
            key_columns!(),
            " FROM keys k JOIN key_versions v ON v.key_id = k.id AND v.version = 1 \
             LEFT JOIN key_uses u ON u.key_id = k.id WHERE k.business_id = $1 AND k.environment = $2 \
             AND k.number > $3 AND v.origin = 'imported' ORDER BY k.number LIMIT $4"
        );
        let stmt =
            Stmt::new(SQL).text(&tenant.business).text(tenant.environment).int(i64::from(after)).int(i64::from(limit));
        self.fetch_all(stmt).await?.iter().map(KeyRow::from_row).collect()
    }
}

impl Tx {
    /// Adds keys with their values and nothing else: no trail tells of them, and nobody hears of them.
    ///
    /// # Errors
    /// [`StoreError::Unique`] where a value, a number or an external reference is taken; the transaction is lost then.
    pub async fn insert_keys_untold(&mut self, keys: &[(KeyRow, VersionRow)]) -> Result<(), StoreError> {
        let mut rows = Bulk::new("keys", KEY_COLUMNS);
        let mut versions = Bulk::new("key_versions", VERSION_COLUMNS);
        for (key, version) in keys {
            rows.push(key_cells(key));
            versions.push(version_cells(version));
        }
        self.insert_bulk(rows).await?;
        self.insert_bulk(versions).await
    }

    /// Adds keys with their values, audit entries and events, in a handful of statements.
    ///
    /// # Errors
    /// [`StoreError::Unique`] where a value, a number or an external reference is taken; the transaction is lost then.
    pub async fn insert_new_keys(&mut self, keys: &[NewKey]) -> Result<(), StoreError> {
        let mut rows = Bulk::new("keys", KEY_COLUMNS);
        let mut versions = Bulk::new("key_versions", VERSION_COLUMNS);
        let mut audit = Bulk::new("audit_entries", AUDIT_COLUMNS);
        let mut events = Bulk::new("events", EVENT_COLUMNS);
        let mut outbox = Bulk::new("outbox", OUTBOX_COLUMNS);
        for new in keys {
            rows.push(key_cells(&new.key));
            versions.push(version_cells(&new.version));
            audit.push(audit_cells(&new.audit));
            events.push(event_cells(&new.event));
            outbox.push(vec![text(new.event.id), 0.into(), time(new.event.at)]);
        }
        for bulk in [rows, versions, audit, events, outbox] {
            self.insert_bulk(bulk).await?;
        }
        Ok(())
    }

    /// Adds one change for each of `targets` and wakes the watchers at commit. The last act of a transaction, as
    /// [`Tx::append_change`] is.
    pub async fn append_changes(
        &mut self,
        kind: ChangeKind,
        business: &BusinessId,
        targets: &[KeyId],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const NEXT: &str = "UPDATE change_counter SET seq = seq + $1 WHERE id = 1 RETURNING seq";
        let count = i64::try_from(targets.len()).unwrap_or(i64::MAX);
        let last =
            self.fetch_one(Stmt::new(NEXT).int(count)).await?.read("change_counter", "seq", |row| row.int("seq"))?;
        let mut changes = Bulk::new("changes", CHANGE_COLUMNS);
        for (seq, target) in (last - count + 1..=last).zip(targets) {
            changes.push(vec![seq.into(), time(now), text(kind.as_str()), text(business), text(target)]);
        }
        self.insert_bulk(changes).await?;
        self.notify().await
    }
}

fn key_cells(key: &KeyRow) -> Vec<Value> {
    let maker = match &key.created_by {
        Actor::Key { id, .. } => Some(*id),
        Actor::Member { .. } | Actor::PlatformKey { .. } | Actor::Operator { .. } | Actor::Payer | Actor::System => {
            None
        }
    };
    vec![
        text(key.id),
        text(&key.tenant.business),
        text(key.tenant.environment),
        text(key.kind),
        key.number.into(),
        opt(key.name.as_ref(), text),
        opt(key.external_reference.as_ref(), text),
        text(key.state),
        time(key.valid_from),
        opt(key.valid_until, time),
        json(&key.scopes),
        json(&key.allowed_origins),
        json(&key.allowed_ips),
        json(&key.metadata),
        key.current_version.into(),
        text(&key.mask_prefix),
        text(&key.last_three),
        opt(key.previous_ends_at, time),
        time(key.created_at),
        json(&key.created_by),
        opt(key.revoked_at, time),
        opt(key.revoked_by.as_ref(), json),
        time(key.updated_at),
        opt(maker, text),
        json(&key.limits),
    ]
}

fn version_cells(version: &VersionRow) -> Vec<Value> {
    vec![
        text(version.key_id),
        version.version.into(),
        text(&version.tenant.business),
        text(version.tenant.environment),
        text(version.kind),
        bytes(version.digest.as_bytes()),
        version.pepper_version.into(),
        text(&version.last_three),
        time(version.starts_at),
        opt(version.ends_at, time),
        opt(version.ended_by.as_ref(), json),
        time(version.created_at),
        json(&version.created_by),
        text(version.origin.as_str()),
        opt(version.sealed.as_ref(), |sealed| bytes(&sealed.bytes)),
        opt(version.sealed.as_ref(), |sealed| sealed.kek_version.into()),
        i64::from(version.live_readable).into(),
    ]
}

fn audit_cells(entry: &AuditRow) -> Vec<Value> {
    vec![
        text(entry.id),
        time(entry.at),
        json(&entry.actor),
        text(&entry.action),
        opt(entry.business.as_ref(), text),
        opt(entry.environment, text),
        opt(entry.target.as_ref(), text),
        json(&entry.details),
        opt(entry.request_id, text),
    ]
}

fn event_cells(event: &EventRow) -> Vec<Value> {
    vec![
        text(event.id),
        time(event.at),
        text(&event.business),
        opt(event.environment, text),
        text(&event.kind),
        opt(event.key_id, text),
        json(&event.actor),
        json(&event.data),
        opt(event.request_id, text),
        opt(event.subject.as_ref(), text),
    ]
}
