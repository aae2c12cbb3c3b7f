//! Opening, rotating and reporting the secrets outside the database.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use trousseau_domain::actor::Actor;
use trousseau_domain::digest::KeyFingerprint;
use trousseau_domain::ids::{AuditId, RequestId};
use trousseau_domain::key_text::ApiKeySecret;
use trousseau_domain::time::Timestamp;
use trousseau_store::{
    AuditRow, ChangeKind, Sealed, SealedCell, SealedPlace, SealedRow, SecretKind, SecretVersionRow, Store, StoreError,
    Tx, VersionCount,
};

use crate::access::renamed;
use crate::clock::Clock;
use crate::entropy::{Entropy, EntropyExt as _};
use crate::key_ring::{Binding, Cell, KeyFile, KeyFileError, KeyRing, KeyRingHandle, RingError};

/// Rows written in one transaction while values move to a newer secret.
const BATCH: u32 = 100;
/// How long other nodes have to take up a new pepper before rows are found under it only: over the bound of a change.
pub(crate) const PEPPER_GRACE: Duration = Duration::from_millis(1500);

/// Why the secrets cannot be used or rotated.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The database was written with secrets, and their file is gone.
    #[error("the database was written with a key file, and there is none at {}: bring it back from its copy", .0.display())]
    KeyFileMissing(PathBuf),
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The file is not the one of this database.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// Another node noted the same version for a key file of its own.
    #[error("version {version} of the {} is in use already: the nodes do not share one key file", .kind.as_str())]
    VersionTaken {
        /// Which secret.
        kind: SecretKind,
        /// Which version of it.
        version: u32,
    },
    /// The file holds no version that the database does not know.
    #[error("the key file holds no newer version of the {}: run `trousseau secrets prepare` first", .0.as_str())]
    NothingPrepared(SecretKind),
    /// The work on the file was broken off.
    #[error("the work on the key file was broken off")]
    Interrupted,
}

/// One version of a secret, and what still depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionStatus {
    /// The version.
    pub version: u32,
    /// When it was first used.
    pub created_at: Timestamp,
    /// Rows that were made under it: digests for a pepper; for a key-encryption key all that is sealed, be it values of
    /// keys, secrets of authenticator apps, mails or forms that wait.
    pub rows: u64,
    /// Whether new rows are made under it.
    pub is_current: bool,
}

/// One of the two secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretStatus {
    /// Which.
    pub kind: SecretKind,
    /// Its versions, the oldest first.
    pub versions: Vec<VersionStatus>,
}

/// How many rows moved to the current secrets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Sealed values, of keys and of people, wrapped under the current key-encryption key.
    pub rewrapped: u64,
    /// Digests made anew under the current pepper.
    pub redigested: u64,
    /// Sealed values that do not open and stay as they are.
    pub refused: u64,
}

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The new version of each secret that was asked for.
    pub versions: Vec<(SecretKind, u32)>,
    /// The rows that moved at once.
    pub moved: Moved,
}

/// The pepper and the key-encryption key of this installation. Clones share them.
#[derive(Clone)]
pub struct Secrets {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    path: PathBuf,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    ring: KeyRingHandle,
    /// Whether the file lacks what the database was written with since.
    is_behind: AtomicBool,
    /// Told of each newer version that is taken up.
    taken_up: watch::Sender<()>,
    /// One reload or rotation at a time, so that an older ring never replaces a newer one.
    changing: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secrets").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

/// Work on the file waits for the disk and for other writers, so it has a thread of its own.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeyFileError> + Send + 'static,
) -> Result<T, SecretsError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(SecretsError::Interrupted),
    }
}

impl Secrets {
    /// Opens the key file at `path` for this database; the first start makes it.
    ///
    /// # Errors
    /// When the file is gone, readable by others, malformed, or not the one that the database was written with.
    pub async fn open(
        store: Store,
        path: PathBuf,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, SecretsError> {
        let mut rows = store.read().list_secret_versions().await?;
        let fresh = rows.is_empty();
        let (place, source) = (path.clone(), Arc::clone(&entropy));
        let loaded = on_disk(move || match KeyFile::load(&place) {
            Err(KeyFileError::Missing(_)) if fresh => match KeyFile::create(&place, source.as_ref()) {
                // Another node on the same file was quicker.
                Err(KeyFileError::Exists(_)) => KeyFile::load(&place),
                other => other,
            },
            other => other,
        })
        .await;
        let file = match loaded {
            Err(SecretsError::File(KeyFileError::Missing(path))) if !fresh => {
                return Err(SecretsError::KeyFileMissing(path));
            }
            other => other?,
        };
        if fresh {
            note_first_versions(&store, &file, clock.now(), entropy.as_ref()).await?;
            // Read again: where another node came first, its canaries stand there and must match.
            rows = store.read().list_secret_versions().await?;
        }
        let ring = KeyRingHandle::new(file.activate(&rows)?);
        let changing = tokio::sync::Mutex::new(());
        let is_behind = AtomicBool::new(false);
        let taken_up = watch::Sender::new(());
        Ok(Self { inner: Arc::new(Inner { store, path, clock, entropy, ring, is_behind, taken_up, changing }) })
    }

    /// The secrets in use.
    pub fn ring(&self) -> KeyRingHandle {
        self.inner.ring.clone()
    }

    /// The ring in use, as it is now.
    pub(crate) fn current(&self) -> Arc<KeyRing> {
        self.inner.ring.get()
    }

    /// Takes up the versions that another process has added. The ring in use stays where that fails.
    ///
    /// # Errors
    /// As [`Secrets::open`].
    pub async fn reload(&self) -> Result<(), SecretsError> {
        let _turn = self.inner.changing.lock().await;
        self.take_up().await
    }

    async fn take_up(&self) -> Result<(), SecretsError> {
        // The rows first: the file is always written before them, so it holds at least these versions.
        let rows = self.inner.store.read().list_secret_versions().await?;
        let path = self.inner.path.clone();
        let file = on_disk(move || KeyFile::load(&path)).await;
        let ring = file.and_then(|file| Ok(file.activate(&rows)?));
        self.inner.is_behind.store(ring.is_err(), Ordering::Relaxed);
        let (before, ring) = (self.inner.ring.get(), ring?);
        let is_newer = ring.current_kek() > before.current_kek() || ring.current_pepper() > before.current_pepper();
        self.inner.ring.set(ring);
        if is_newer {
            self.inner.taken_up.send_replace(());
        }
        Ok(())
    }

    /// Changes whenever a newer version is taken up.
    pub(crate) fn taken_up(&self) -> watch::Receiver<()> {
        self.inner.taken_up.subscribe()
    }

    /// Whether a version is in use that this node could not take up: keys may be found by it alone.
    pub(crate) fn is_behind(&self) -> bool {
        self.inner.is_behind.load(Ordering::Relaxed)
    }

    /// Adds a new version of each of `kinds` to the file and does nothing else: nobody uses it until the database knows
    /// it. So every node can be given the file before [`Secrets::rotate_prepared`].
    ///
    /// # Errors
    /// When the file refuses.
    pub async fn prepare(&self, kinds: &[SecretKind]) -> Result<Vec<(SecretKind, u32)>, SecretsError> {
        let _turn = self.inner.changing.lock().await;
        self.add_versions(kinds).await
    }

    async fn add_versions(&self, kinds: &[SecretKind]) -> Result<Vec<(SecretKind, u32)>, SecretsError> {
        let mut versions: Vec<(SecretKind, u32)> = Vec::new();
        for kind in [SecretKind::Pepper, SecretKind::Kek] {
            if kinds.contains(&kind) {
                let (path, entropy) = (self.inner.path.clone(), Arc::clone(&self.inner.entropy));
                let version = on_disk(move || KeyFile::add_version(&path, kind, entropy.as_ref())).await?;
                versions.push((kind, version));
            }
        }
        Ok(versions)
    }

    /// Makes a new version of each of `kinds`, and moves to it all rows whose value can be read again. The digests
    /// of other keys move when their key is next used.
    ///
    /// # Errors
    /// When the file or the database refuses. A version that is in the file only is never used.
    pub async fn rotate(
        &self,
        kinds: &[SecretKind],
        actor: &Actor,
        request_id: Option<RequestId>,
    ) -> Result<Rotation, SecretsError> {
        let turn = self.inner.changing.lock().await;
        let versions = self.add_versions(kinds).await?;
        self.rotate_to(turn, versions, actor, request_id).await
    }

    /// The same with the newest versions that the file holds already, which is only read.
    ///
    /// # Errors
    /// [`SecretsError::NothingPrepared`] where the database knows the newest one; as for [`Secrets::rotate`].
    pub async fn rotate_prepared(
        &self,
        kinds: &[SecretKind],
        actor: &Actor,
        request_id: Option<RequestId>,
    ) -> Result<Rotation, SecretsError> {
        let turn = self.inner.changing.lock().await;
        let path = self.inner.path.clone();
        let file = on_disk(move || KeyFile::load(&path)).await?;
        let known = self.inner.store.read().list_secret_versions().await?;
        let mut versions = Vec::new();
        for kind in [SecretKind::Pepper, SecretKind::Kek] {
            if kinds.contains(&kind) {
                let last = known.iter().filter(|row| row.kind == kind).map(|row| row.version).max();
                let newest = file.newest(kind).filter(|newest| Some(*newest) > last);
                versions.push((kind, newest.ok_or(SecretsError::NothingPrepared(kind))?));
            }
        }
        self.rotate_to(turn, versions, actor, request_id).await
    }

    /// Takes versions of the file into use, and moves to them what can be moved.
    async fn rotate_to(
        &self,
        turn: tokio::sync::MutexGuard<'_, ()>,
        versions: Vec<(SecretKind, u32)>,
        actor: &Actor,
        request_id: Option<RequestId>,
    ) -> Result<Rotation, SecretsError> {
        self.take_into_use(&versions, actor, request_id).await?;
        drop(turn);
        let moved = self.move_rows().await?;
        Ok(Rotation { versions, moved })
    }

    /// Has the database know versions that the file holds, from when on they are used.
    async fn take_into_use(
        &self,
        versions: &[(SecretKind, u32)],
        actor: &Actor,
        request_id: Option<RequestId>,
    ) -> Result<(), SecretsError> {
        let details = versions.iter().map(|(kind, version)| (kind.as_str().to_owned(), json!(version)));
        let details: serde_json::Map<_, _> = details.collect();
        if !versions.is_empty() {
            let path = self.inner.path.clone();
            let file = on_disk(move || KeyFile::load(&path)).await?;
            let mut tx = self.inner.store.begin().await?;
            let now = self.inner.clock.now();
            for &(kind, version) in versions {
                let canary = file
                    .canary(kind, version, self.inner.entropy.as_ref())
                    .ok_or(RingError::MissingVersion { kind, version })?;
                if !tx.insert_secret_version(&SecretVersionRow { kind, version, canary, created_at: now }).await? {
                    return Err(SecretsError::VersionTaken { kind, version });
                }
            }
            let audit = AuditRow {
                id: AuditId::new(now, self.inner.entropy.bytes()),
                at: now,
                actor: actor.clone(),
                action: "secrets.rotated".to_owned(),
                business: None,
                environment: None,
                target: None,
                details: details.into(),
                request_id,
            };
            tx.append_audit(&audit).await?;
            tx.append_change(ChangeKind::Secrets, None, None, now).await?;
            tx.commit().await?;
            self.take_up().await?;
        }
        Ok(())
    }

    /// Moves the rows whose value can be read again to the current secrets: what a rotation does at its end, and
    /// what a start does after a rotation that was broken off. Several processes may do it at once.
    ///
    /// # Errors
    /// When the database fails; what was moved stays moved.
    pub async fn move_rows(&self) -> Result<Moved, SecretsError> {
        let ring = self.inner.ring.get();
        let mut moved = Moved::default();
        self.rewrap_all(&ring, &mut moved).await?;
        let by_pepper = self.inner.store.read().count_versions_by_pepper().await?;
        if by_pepper.iter().any(|count| count.version < ring.current_pepper() && count.rows > 0) {
            self.redigest_all(&ring, &mut moved).await?;
        }
        Ok(moved)
    }

    async fn rewrap_all(&self, ring: &KeyRing, moved: &mut Moved) -> Result<(), SecretsError> {
        self.rewrap_place(ring, Place::Key, moved).await?;
        for place in SealedPlace::ALL {
            self.rewrap_place(ring, Place::Cell(place), moved).await?;
        }
        Ok(())
    }

    async fn rewrap_place(&self, ring: &KeyRing, place: Place, moved: &mut Moved) -> Result<(), SecretsError> {
        let current = ring.current_kek();
        let (mut limit, mut stuck) = (BATCH, 0);
        loop {
            // The values that do not open stay in front, so the page grows past them.
            let values = place.list(&self.inner.store, current, limit).await?;
            if values.len() <= usize::try_from(stuck).unwrap_or(usize::MAX) {
                moved.refused += stuck;
                return Ok(());
            }
            stuck = 0;
            let mut tx = self.inner.store.begin_alone().await?;
            for value in &values {
                // A value of a newer version than ours was moved by a newer ring.
                let fresh = if value.sealed().kek_version > current {
                    None
                } else {
                    value.rewrapped(ring, self.inner.entropy.as_ref())
                };
                match fresh {
                    Some(sealed) => moved.rewrapped += u64::from(value.replace(&mut tx, &sealed).await?),
                    None => stuck += 1,
                }
            }
            tx.commit().await?;
            limit = BATCH.saturating_add(u32::try_from(stuck).unwrap_or(u32::MAX));
        }
    }

    async fn redigest_all(&self, ring: &KeyRing, moved: &mut Moved) -> Result<(), SecretsError> {
        let current = ring.current_pepper();
        let mut rows = self.inner.store.read().list_sealed_on_older_pepper(current, None, BATCH).await?;
        if rows.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(PEPPER_GRACE).await;
        while let Some(last) = rows.last() {
            // What does not open stays behind; the next page begins after it.
            let after = Some((last.key_id, last.version));
            let (mut tx, now) = (self.inner.store.begin_alone().await?, self.inner.clock.now());
            let mut renamed = Vec::new();
            for row in &rows {
                renamed.extend(redigest(&mut tx, ring, row).await?.map(|target| (&row.tenant.business, target)));
            }
            // At the end: the counter of changes is never held while a row is waited for.
            for (business, target) in &renamed {
                tx.append_change(ChangeKind::Key, Some(business), Some(target), now).await?;
            }
            tx.commit().await?;
            moved.redigested += u64::try_from(renamed.len()).unwrap_or(u64::MAX);
            rows = self.inner.store.read().list_sealed_on_older_pepper(current, after, BATCH).await?;
        }
        Ok(())
    }

    /// Both secrets with their versions, and how many rows are left on each.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn status(&self) -> Result<Vec<SecretStatus>, SecretsError> {
        let store = &self.inner.store;
        let versions = store.read().list_secret_versions().await?;
        let mut peppers = by_version(&store.read().count_versions_by_pepper().await?);
        for count in store.read().count_platform_keys_by_pepper().await? {
            *peppers.entry(count.version).or_default() += count.rows;
        }
        let mut keks = by_version(&store.read().count_versions_by_kek().await?);
        for place in SealedPlace::ALL {
            for count in store.read().count_cells_by_kek(place).await? {
                *keks.entry(count.version).or_default() += count.rows;
            }
        }
        let status = |kind: SecretKind, rows: &BTreeMap<u32, u64>| {
            let mine = || versions.iter().filter(move |version| version.kind == kind);
            let current = mine().map(|version| version.version).max();
            SecretStatus {
                kind,
                versions: mine()
                    .map(|version| VersionStatus {
                        version: version.version,
                        created_at: version.created_at,
                        rows: rows.get(&version.version).copied().unwrap_or(0),
                        is_current: Some(version.version) == current,
                    })
                    .collect(),
            }
        };
        Ok(vec![status(SecretKind::Pepper, &peppers), status(SecretKind::Kek, &keks)])
    }
}

async fn note_first_versions(
    store: &Store,
    file: &KeyFile,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<(), SecretsError> {
    let mut tx = store.begin().await?;
    let mut noted = false;
    for row in file.canaries(now, entropy) {
        noted |= tx.insert_secret_version(&row).await?;
    }
    if noted {
        let audit = AuditRow {
            id: AuditId::new(now, entropy.bytes()),
            at: now,
            actor: Actor::System,
            action: "secrets.created".to_owned(),
            business: None,
            environment: None,
            target: None,
            details: json!({}),
            request_id: None,
        };
        tx.append_audit(&audit).await?;
        tx.append_change(ChangeKind::Secrets, None, None, now).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn by_version(counts: &[VersionCount]) -> BTreeMap<u32, u64> {
    counts.iter().map(|count| (count.version, count.rows)).collect()
}

/// Where sealed values stand.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Values of keys.
    Key,
    /// Everything else.
    Cell(SealedPlace),
}

/// A sealed value that another key-encryption key should hold.
enum SealedValue {
    Key(SealedRow),
    Cell(SealedCell),
}

impl Place {
    async fn list(self, store: &Store, current: u32, limit: u32) -> Result<Vec<SealedValue>, StoreError> {
        let mut read = store.read();
        Ok(match self {
            Self::Key => {
                let rows = read.list_sealed_on_other_kek(current, limit).await?;
                rows.into_iter().map(SealedValue::Key).collect()
            }
            Self::Cell(place) => {
                let cells = read.list_cells_on_other_kek(place, current, limit).await?;
                cells.into_iter().map(SealedValue::Cell).collect()
            }
        })
    }
}

impl SealedValue {
    const fn sealed(&self) -> &Sealed {
        match self {
            Self::Key(row) => &row.sealed,
            Self::Cell(cell) => &cell.sealed,
        }
    }

    /// The same under the ring's key; nothing where it does not open.
    fn rewrapped(&self, ring: &KeyRing, entropy: &dyn Entropy) -> Option<Sealed> {
        match self {
            Self::Key(row) => ring.rewrap(&row.sealed, &binding(row), entropy).ok(),
            Self::Cell(cell) => ring.rewrap(&cell.sealed, &Cell::of(cell.place, &cell.row), entropy).ok(),
        }
    }

    /// `false` where the value has changed since it was read.
    async fn replace(&self, tx: &mut Tx, fresh: &Sealed) -> Result<bool, StoreError> {
        match self {
            Self::Key(row) => tx.rewrap_version(row, fresh).await,
            Self::Cell(cell) => tx.rewrap_cell(cell, fresh).await,
        }
    }
}

fn binding(row: &SealedRow) -> Binding<'_> {
    Binding {
        key: row.key_id,
        version: row.version,
        business: &row.tenant.business,
        environment: row.tenant.environment,
        kind: row.kind,
    }
}

/// Moves one digest to the current pepper, and gives the change that tells of it; none where there is nothing to move or
/// the value does not open.
async fn redigest(tx: &mut Tx, ring: &KeyRing, row: &SealedRow) -> Result<Option<String>, StoreError> {
    let Some(version) = tx.read().find_version(&row.tenant, row.key_id, row.version).await? else {
        return Ok(None);
    };
    if version.pepper_version >= ring.current_pepper() {
        return Ok(None);
    }
    let Some(sealed) = &version.sealed else { return Ok(None) };
    let Ok(plain) = ring.open(sealed, &binding(row)) else { return Ok(None) };
    let Some(secret) = std::str::from_utf8(&plain).ok().and_then(ApiKeySecret::from_presented) else {
        return Ok(None);
    };
    let fingerprint = KeyFingerprint::of(&secret);
    // Only a digest that is the value's own is replaced.
    let own = ring.digest_under(version.pepper_version, &fingerprint);
    if !own.is_some_and(|own| own.matches(&version.digest)) {
        return Ok(None);
    }
    let (fresh, pepper) = ring.digest(&fingerprint);
    let moved = tx.redigest_version(&row.tenant, row.key_id, row.version, &version.digest, &fresh, pepper).await?;
    Ok(moved.then(|| renamed(row.key_id, &version.digest)))
}

#[cfg(test)]
mod tests {
    use trousseau_store::testing::TestDatabase;

    use super::*;
    use crate::clock::ManualClock;
    use crate::entropy::SeededEntropy;

    async fn open(database: &TestDatabase, seed: u64) -> Result<Secrets, SecretsError> {
        let path = database.folder().expect("SQLite has one").join("keys.toml");
        let clock = ManualClock::new("2026-01-31T09:30:00Z".parse().expect("good"));
        let entropy = Arc::new(SeededEntropy::new(seed));
        Secrets::open(database.store().clone(), path, Arc::new(clock), entropy).await
    }

    #[tokio::test]
    async fn the_first_start_makes_the_file_and_later_ones_need_it() {
        let database = TestDatabase::sqlite().await;
        let path = database.folder().expect("SQLite has one").join("keys.toml");
        let first = open(&database, 1).await.expect("made");
        let fingerprint = KeyFingerprint::from_sha256([1; 32]);
        let digest = first.ring().get().digest(&fingerprint).0;
        let second = open(&database, 2).await.expect("found");
        assert!(digest.matches(&second.ring().get().digest(&fingerprint).0));

        std::fs::rename(&path, path.with_extension("kept")).expect("ours");
        assert!(matches!(open(&database, 3).await, Err(SecretsError::KeyFileMissing(_))));
        KeyFile::create(&path, &SeededEntropy::new(4)).expect("created");
        assert!(matches!(open(&database, 3).await, Err(SecretsError::Ring(RingError::WrongSecret { version: 1, .. }))));
    }

    #[tokio::test]
    async fn a_rotation_reaches_other_nodes_and_is_reported() {
        let database = TestDatabase::sqlite().await;
        let (here, there) = (open(&database, 1).await.expect("made"), open(&database, 2).await.expect("found"));
        let both = [SecretKind::Pepper, SecretKind::Kek];
        let rotation = here.rotate(&both, &Actor::System, None).await.expect("rotated");
        assert_eq!(rotation.versions, [(SecretKind::Pepper, 2), (SecretKind::Kek, 2)]);
        assert_eq!(here.ring().get().current_pepper(), 2);
        assert_eq!(there.ring().get().current_pepper(), 1);
        there.reload().await.expect("taken up");
        assert_eq!((there.ring().get().current_pepper(), there.ring().get().current_kek()), (2, 2));
        let rotation = there.rotate(&[SecretKind::Kek], &Actor::System, None).await.expect("rotated");
        assert_eq!(rotation.versions, [(SecretKind::Kek, 3)]);
        let current: Vec<_> = there.status().await.expect("known");
        assert_eq!(current[0].versions.iter().map(|version| version.is_current).collect::<Vec<_>>(), [false, true]);
        assert_eq!(current[1].versions.len(), 3);
        let actions = database.texts("SELECT action FROM audit_entries ORDER BY seq").await;
        assert_eq!(actions, ["secrets.created", "secrets.rotated", "secrets.rotated"]);
    }
}
