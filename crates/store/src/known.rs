//! What a node keeps of keys in its memory: what a door has to know of a value, and nothing else.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use trousseau_domain::digest::KeyDigest;
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::{BusinessId, KeyId};
use trousseau_domain::ip_range::IpRange;
use trousseau_domain::keys::{KeyKind, KeyState, VersionLife};
use trousseau_domain::limits::Limits;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::origin::Origin;
use trousseau_domain::scope::ScopeSet;
use trousseau_domain::time::Timestamp;

use crate::businesses::BusinessRow;
use crate::error::{BadColumn, StoreError};
use crate::exec::{Pools, Reader, Store};
use crate::row::{Row, instant, json, parsed};
use crate::scan;
use crate::stmt::{AT_ONCE, Stmt};
use crate::versions::{FoundVersion, digest};

/// What a key may be used for: the same for nearly all keys, so that those share one.
#[derive(Debug, Clone)]
pub struct KeyAccess {
    /// What it may do.
    pub scopes: ScopeSet,
    /// Pages it may be used from; empty means any.
    pub allowed_origins: Vec<Origin>,
    /// Addresses it may be used from; empty means any.
    pub allowed_ips: Vec<IpRange>,
    /// How often it may be used.
    pub limits: Limits,
    /// The owner's own data.
    pub metadata: Metadata,
    /// The scopes as JSON, ready for the answers that repeat them.
    pub scopes_json: Box<RawValue>,
    /// The metadata as JSON, likewise.
    pub metadata_json: Box<RawValue>,
}

impl KeyAccess {
    /// All that these say.
    pub fn new(
        scopes: ScopeSet,
        (allowed_origins, allowed_ips): (Vec<Origin>, Vec<IpRange>),
        limits: Limits,
        metadata: Metadata,
    ) -> Self {
        let (scopes_json, metadata_json) = (as_json(&scopes), as_json(metadata.entries()));
        Self { scopes, allowed_origins, allowed_ips, limits, metadata, scopes_json, metadata_json }
    }
}

impl KeyAccess {
    /// Lines of [`KeyAccess::to_text`].
    pub const LINES: usize = 5;

    /// All of it as JSON documents, one to a line.
    pub fn to_text(&self) -> String {
        let Self { scopes: _, allowed_origins, allowed_ips, limits, metadata: _, scopes_json, metadata_json } = self;
        [
            scopes_json.get(),
            as_json(allowed_origins).get(),
            as_json(allowed_ips).get(),
            as_json(limits).get(),
            metadata_json.get(),
        ]
        .join("\n")
    }

    /// The same, read again.
    ///
    /// # Errors
    /// When it is not what [`KeyAccess::to_text`] wrote.
    pub fn from_text(text: &str) -> Result<Self, BadColumn> {
        Self::of_documents(documents(text)?)
    }

    fn of_documents([scopes, origins, ips, limits, metadata]: [&str; 5]) -> Result<Self, BadColumn> {
        Ok(Self::new(
            json(scopes, "scopes")?,
            (json(origins, "allowed_origins")?, json(ips, "allowed_ips")?),
            json(limits, "limits")?,
            json(metadata, "metadata")?,
        ))
    }
}

impl PartialEq for KeyAccess {
    fn eq(&self, other: &Self) -> bool {
        // What is ready follows from the rest.
        (&self.scopes, &self.allowed_origins, &self.allowed_ips, &self.limits, &self.metadata)
            == (&other.scopes, &other.allowed_origins, &other.allowed_ips, &other.limits, &other.metadata)
    }
}

impl Eq for KeyAccess {}

/// A document of ours as JSON.
pub fn as_json(document: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(document).expect("our documents have text keys and cannot fail")
}

/// A business, as a door has to know it.
#[derive(Debug, Clone)]
pub struct BusinessAccess {
    /// Its id.
    pub id: BusinessId,
    /// The name of its profile.
    pub profile: String,
    /// How often all its keys of one environment may be used.
    pub limits: Limits,
    /// The operator's own data.
    pub metadata: Metadata,
    /// Whether it is suspended.
    pub suspended: bool,
}

impl From<BusinessRow> for BusinessAccess {
    fn from(row: BusinessRow) -> Self {
        let suspended = row.suspended_at.is_some();
        Self { id: row.id, profile: row.profile, limits: row.limits, metadata: row.metadata, suspended }
    }
}

/// A value of a key, as a door has to know it.
#[derive(Debug, Clone)]
pub struct KnownVersion {
    /// What the value is looked up by.
    pub digest: KeyDigest,
    /// The pepper of the digest.
    pub pepper_version: u32,
    /// The key.
    pub key_id: KeyId,
    /// Which of its values.
    pub version: u32,
    /// From when until when the value is accepted.
    pub life: VersionLife,
    /// Whose key it is.
    pub business: BusinessId,
    /// In which environment.
    pub environment: Environment,
    /// Secret or checkout.
    pub kind: KeyKind,
    /// The manual switch.
    pub state: KeyState,
    /// Whether the key is revoked.
    pub revoked: bool,
    /// From when the key is accepted.
    pub valid_from: Timestamp,
    /// From when on it is no longer accepted; after `valid_from`.
    pub valid_until: Option<Timestamp>,
    /// What it may be used for.
    pub access: Arc<KeyAccess>,
}

impl From<&FoundVersion> for KnownVersion {
    fn from(found: &FoundVersion) -> Self {
        let FoundVersion { version, key, .. } = found;
        Self {
            digest: version.digest,
            pepper_version: version.pepper_version,
            key_id: key.id,
            version: version.version,
            life: VersionLife { starts_at: version.starts_at, ends_at: version.ends_at },
            business: key.tenant.business.clone(),
            environment: key.tenant.environment,
            kind: key.kind,
            state: key.state,
            revoked: key.revoked_at.is_some(),
            valid_from: key.valid_from,
            valid_until: key.valid_until,
            access: Arc::new(KeyAccess::new(
                key.scopes.clone(),
                (key.allowed_origins.clone(), key.allowed_ips.clone()),
                key.limits.clone(),
                key.metadata.clone(),
            )),
        }
    }
}

/// What is read again and again while keys are read: the same text is one value.
#[derive(Debug, Default)]
pub struct KnownShared {
    access: HashMap<String, Arc<KeyAccess>>,
    /// Bytes of the texts in it.
    bytes: usize,
    /// The latest of them: most keys have the access of the key before.
    last: Option<(String, Arc<KeyAccess>)>,
    /// Where documents are put together, again and again.
    text: String,
    business: Option<BusinessId>,
}

/// What is shared is forgotten beyond this number: keys that all differ would fill the memory with their texts.
const MOST_SHARED: usize = 10_000;
/// The same for the bytes of these texts, of which each takes several times as much once it is read.
const MOST_SHARED_BYTES: usize = 4 * 1024 * 1024;

fn bad(column: &'static str) -> BadColumn {
    BadColumn { column, source: "cannot be read".into() }
}

impl KnownShared {
    /// What these documents say: the scopes, the origins, the addresses, the limits and the metadata.
    pub(crate) fn access(&mut self, documents: [&str; 5]) -> Result<Arc<KeyAccess>, BadColumn> {
        // JSON has no line break outside of a text, and inside of one it is escaped.
        self.text.clear();
        for document in documents {
            self.text.push_str(document);
            self.text.push('\n');
        }
        if let Some((last, access)) = &self.last
            && *last == self.text
        {
            return Ok(Arc::clone(access));
        }
        let access = match self.access.get(&self.text) {
            Some(known) => Arc::clone(known),
            None => self.new_access(documents)?,
        };
        self.last = Some((self.text.clone(), Arc::clone(&access)));
        Ok(access)
    }

    fn new_access(&mut self, documents: [&str; 5]) -> Result<Arc<KeyAccess>, BadColumn> {
        let access = Arc::new(KeyAccess::of_documents(documents)?);
        if self.access.len() >= MOST_SHARED || self.bytes >= MOST_SHARED_BYTES {
            self.access.clear();
            self.bytes = 0;
        }
        self.bytes += self.text.len();
        self.access.insert(self.text.clone(), Arc::clone(&access));
        Ok(access)
    }

    pub(crate) fn business(&mut self, text: &str) -> Result<BusinessId, BadColumn> {
        match &self.business {
            Some(last) if last.as_str() == text => Ok(last.clone()),
            _ => {
                let id: BusinessId = parsed(text, "v_business_id")?;
                self.business = Some(id.clone());
                Ok(id)
            }
        }
    }
}

// All but the digest and what a key may be used for is one text: each column of a row is a good part of what it costs
// to read it, and a million of them stand between a start and the first answer.
macro_rules! select_known {
    ($rest:literal) => {
        concat!(
            "SELECT v.digest AS v_digest, v.key_id || ' ' || v.version || ' ' || v.pepper_version || ' ' || \
             v.starts_at || ' ' || COALESCE(CAST(v.ends_at AS TEXT), '-') || ' ' || v.business_id || ' ' || \
             k.environment || ' ' || k.kind || ' ' || k.state || ' ' || \
             CASE WHEN k.revoked_at IS NULL THEN '-' ELSE 'revoked' END || ' ' || k.valid_from || ' ' || \
             COALESCE(CAST(k.valid_until AS TEXT), '-') AS v_known, \
             k.scopes || '\n' || k.allowed_origins || '\n' || k.allowed_ips || '\n' || k.limits || '\n' || k.metadata \
             AS k_access FROM keys k JOIN key_versions v ON v.key_id = k.id",
            $rest
        )
    };
}

/// The words of a text, each read as what it is.
struct Words<'a>(std::str::Split<'a, char>);

impl<'a> Words<'a> {
    fn next(&mut self, column: &'static str) -> Result<&'a str, BadColumn> {
        self.0.next().ok_or_else(|| bad(column))
    }

    fn parsed<T>(&mut self, column: &'static str) -> Result<T, BadColumn>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        parsed(self.next(column)?, column)
    }

    fn time(&mut self, column: &'static str) -> Result<Timestamp, BadColumn> {
        instant(self.parsed(column)?, column)
    }

    fn opt_time(&mut self, column: &'static str) -> Result<Option<Timestamp>, BadColumn> {
        match self.next(column)? {
            "-" => Ok(None),
            text => instant(parsed(text, column)?, column).map(Some),
        }
    }
}

/// The documents of a text that has one to a line.
fn documents(text: &str) -> Result<[&str; 5], BadColumn> {
    let mut lines = text.split('\n');
    let mut documents = [""; 5];
    for document in &mut documents {
        *document = lines.next().ok_or_else(|| bad("k_access"))?;
    }
    Ok(documents)
}

impl KnownVersion {
    /// The same, if its dates make sense: a window without an inside is damage, and must not be read as one without an
    /// end.
    pub(crate) fn in_order(self) -> Result<Self, BadColumn> {
        match self.valid_until {
            Some(until) if until <= self.valid_from => {
                Err(BadColumn { column: "valid_until", source: "is not after valid_from".into() })
            }
            _ => Ok(self),
        }
    }

    fn from_row(row: &Row, shared: &mut KnownShared) -> Result<Self, StoreError> {
        row.read("key_versions", "v_known", |row| {
            let mut words = Words(row.str("v_known")?.split(' '));
            Self {
                digest: digest(row, "v_digest")?,
                key_id: words.parsed("v_key_id")?,
                version: words.parsed("v_version")?,
                pepper_version: words.parsed("v_pepper_version")?,
                life: VersionLife { starts_at: words.time("v_starts_at")?, ends_at: words.opt_time("v_ends_at")? },
                business: shared.business(words.next("v_business_id")?)?,
                environment: words.parsed("k_environment")?,
                kind: words.parsed("k_kind")?,
                state: words.parsed("k_state")?,
                revoked: words.next("k_revoked_at")? != "-",
                valid_from: words.time("k_valid_from")?,
                valid_until: words.opt_time("k_valid_until")?,
                access: shared.access(documents(row.str("k_access")?)?)?,
            }
            .in_order()
        })
        .map_err(|error| match error {
            StoreError::CorruptRow { table, id, source } => {
                let id = id.split(' ').next().unwrap_or_default().to_owned();
                StoreError::CorruptRow { table, id, source }
            }
            other => other,
        })
    }
}

impl Store {
    /// Hands on every value of every key, in no order. What is written meanwhile may be among them or not.
    pub async fn each_known_version(&self, mut take: impl FnMut(KnownVersion)) -> Result<(), StoreError> {
        const SQL: &str = select_known!("");
        if let Pools::Sqlite { readers, .. } = &self.pools {
            let options = readers.connect_options();
            return scan::each_known_version(options.get_filename(), scan::usual_parts, take).await;
        }
        let mut shared = KnownShared::default();
        let hand_on = |row: &Row| {
            take(KnownVersion::from_row(row, &mut shared)?);
            Ok(())
        };
        self.read().fetch_each(Stmt::new(SQL), hand_on).await
    }

    /// Hands on every business, in no order. What is written meanwhile may be among them or not.
    pub async fn each_business(&self, mut take: impl FnMut(BusinessAccess)) -> Result<(), StoreError> {
        const SQL: &str = concat!("SELECT ", crate::businesses::business_columns!(), " FROM businesses b");
        if let Pools::Sqlite { readers, .. } = &self.pools {
            return scan::each_business(readers.connect_options().get_filename(), take).await;
        }
        let hand_on = |row: &Row| {
            take(BusinessRow::from_row(row)?.into());
            Ok(())
        };
        self.read().fetch_each(Stmt::new(SQL), hand_on).await
    }
}

impl Reader<'_> {
    /// Every value of these keys.
    pub async fn list_known_versions(
        &mut self,
        keys: &[KeyId],
        shared: &mut KnownShared,
    ) -> Result<Vec<KnownVersion>, StoreError> {
        const SQL: &str =
            select_known!(" WHERE k.id IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)");
        let mut known = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(AT_ONCE) {
            for row in self.fetch_all(Stmt::new(SQL).several(chunk)).await? {
                known.push(KnownVersion::from_row(&row, shared)?);
            }
        }
        Ok(known)
    }

    /// Hands on every value of every key of a business.
    pub async fn each_known_version_of(
        &mut self,
        business: &BusinessId,
        shared: &mut KnownShared,
        mut take: impl FnMut(KnownVersion),
    ) -> Result<(), StoreError> {
        const SQL: &str = select_known!(" WHERE k.business_id = $1");
        self.fetch_each(Stmt::new(SQL).text(business), |row| {
            take(KnownVersion::from_row(row, shared)?);
            Ok(())
        })
        .await
    }

    /// How many values of keys there are.
    pub async fn count_versions(&mut self) -> Result<u64, StoreError> {
        let row = self.fetch_one(Stmt::new("SELECT COUNT(*) AS answer FROM key_versions")).await?;
        row.read("key_versions", "answer", |row| row.number("answer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestDatabase;

    #[test]
    fn what_is_shared_is_bounded_by_its_size_too() {
        let mut shared = KnownShared::default();
        let mut most = 0;
        for number in 0..2_000 {
            let metadata = format!(r#"{{"note":"{number:0>8000}"}}"#);
            shared.access(["[]", "[]", "[]", "{}", &metadata]).expect("documents");
            most = most.max(shared.bytes);
            assert_eq!(shared.bytes, shared.access.keys().map(String::len).sum::<usize>());
        }
        assert!(most < MOST_SHARED_BYTES + 10_000, "{most}");
    }

    #[tokio::test]
    async fn reading_all_of_a_table_may_take_longer_than_a_request() {
        let Some(server) = TestDatabase::postgres_server() else { return };
        let database = TestDatabase::postgres(&server).await;
        let setting = Stmt::new("SELECT current_setting('statement_timeout') AS answer");
        let mut seen = Vec::new();
        let store = database.store();
        let take = |row: &Row| {
            seen.push(row.read("settings", "answer", |row| Ok(row.str("answer")?.to_owned()))?);
            Ok(())
        };
        store.read().fetch_each(setting.clone(), take).await.expect("read");
        assert_eq!(seen, ["10min"]);
        // For that transaction alone.
        let usual = store.read().fetch_one(setting).await.expect("read");
        assert_eq!(usual.read("settings", "answer", |row| Ok(row.str("answer")?.to_owned())).expect("a text"), "8s");
    }
}
