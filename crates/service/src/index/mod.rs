//! What this node remembers of every key, and how it knows that it may.
//!
//! A door is answered from memory only under a lease: what is remembered was seen to be all that the database had, less
//! than [`LEASE`] ago. The follower renews it by asking for the number of the latest change and applying those that it
//! has not seen. A lease that has run out, for whatever reason, means that the database is asked.

mod businesses;
mod kept;
mod table;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{Notify, watch};
use trousseau_domain::decision::KeySnapshot;
use trousseau_domain::digest::KeyDigest;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::{BusinessId, KeyId, PlatformKeyId};
use trousseau_domain::keys::{KeyKind, KeyState, Life, Validity, VersionLife};
use trousseau_domain::time::{InvalidTime, Timestamp};
use trousseau_store::{
    BusinessRow, ChangeKind, ChangeRow, FoundVersion, KeyAccess, KnownShared, KnownVersion, Left, PlatformKeyRow,
    Store, StoreError,
};

use crate::clock::{Clock as _, SystemClock};
use crate::error::ServiceError;
use crate::networks::watch::small;
use crate::settings::Settings;

use self::businesses::{BusinessCell, Businesses, KnownBusiness};
use self::kept::Kept;
use self::table::{Full, Record, Table};

/// How long after it was seen to be complete what is remembered may be answered with.
pub const LEASE: Duration = Duration::from_millis(900);
/// How often it is proven when nothing asks for it: several attempts fit into one lease.
const PROVE_EVERY: Duration = Duration::from_millis(200);
/// How long the follower waits for more changes after the first, so that many are read at once.
const GATHER: Duration = Duration::from_millis(1);
/// How long a request waits for the follower before the database is asked.
const WAIT: Duration = Duration::from_millis(500);
/// How far this node's clock may be from the database's before keys are not judged by it any more.
const MOST_OFFSET: Duration = Duration::from_secs(1);
/// No counter of commits, or none that was read.
const NO_COUNTER: i64 = i64::MIN;
/// Changes read at once.
const CHANGES_PER_READ: u32 = 500;
/// Changes that are told one by one; of more it is told that anything may have changed.
const MOST_TOLD: usize = 10_000;
/// Fewer values than these are read from the database within milliseconds.
const FEWEST_KEPT: usize = 1_000;

/// Nanoseconds since the machine was started, suspensions included: what a lease is measured by.
pub(crate) fn since_boot() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or(0))
}

/// How far the system's clock is ahead of [`since_boot`], in microseconds: it changes when the clock is moved only.
fn clock_base() -> i64 {
    base_at(SystemClock.now(), since_boot())
}

/// The same of what both showed at one instant.
fn base_at(system: Timestamp, boot: u64) -> i64 {
    system.as_micros().saturating_sub(i64::try_from(boot / 1_000).unwrap_or(i64::MAX))
}

/// Whether a clock that is so many microseconds ahead of the database's may be judged by.
fn is_near(offset_micros: i64) -> bool {
    offset_micros.unsigned_abs() <= u64::try_from(MOST_OFFSET.as_micros()).unwrap_or(0)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What many values of one business have in common.
#[derive(Debug)]
struct Group {
    business: Arc<BusinessCell>,
    traits: Traits,
}

/// The content of a group beside its business.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Traits {
    environment: Environment,
    kind: KeyKind,
    state: KeyState,
    revoked: bool,
    /// None where there is no date at all, as of most.
    dates: Option<Box<Dates>>,
    access: Arc<KeyAccess>,
}

/// What few values have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Dates {
    /// Where it is too far from the key's id to stand in the record.
    valid_from: Option<Timestamp>,
    valid_until: Option<Timestamp>,
    ends_at: Option<Timestamp>,
}

impl Dates {
    /// As they are kept.
    fn kept(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// A value that was found, and all that a door wants to know of it.
#[derive(Debug, Clone)]
pub(crate) struct KnownKey {
    pub(crate) id: KeyId,
    pub(crate) version: u32,
    pub(crate) pepper_version: u32,
    pub(crate) digest: KeyDigest,
    pub(crate) environment: Environment,
    pub(crate) kind: KeyKind,
    pub(crate) life: Life,
    pub(crate) version_life: VersionLife,
    pub(crate) access: Arc<KeyAccess>,
    pub(crate) business: KnownBusiness,
}

impl KnownKey {
    fn from_parts(known: KnownVersion, business: KnownBusiness) -> Self {
        Self {
            id: known.key_id,
            version: known.version,
            pepper_version: known.pepper_version,
            digest: known.digest,
            environment: known.environment,
            kind: known.kind,
            life: life(known.state, known.revoked, known.valid_from, known.valid_until),
            version_life: known.life,
            access: known.access,
            business,
        }
    }

    /// The same of what the database said.
    pub(crate) fn found(settings: &Settings, found: FoundVersion) -> Self {
        let known = KnownVersion::from(&found);
        Self::from_parts(known, KnownBusiness::new(settings, found.business.into()))
    }

    pub(crate) fn tenant(&self) -> Tenant {
        Tenant::new(self.business.id.clone(), self.environment)
    }

    /// Whether it, or its business, may be used so often only.
    pub(crate) fn is_limited(&self) -> bool {
        !(self.access.limits.is_none() && self.business.limits().is_none())
    }

    /// Whether one of its limits is of a day or a month.
    pub(crate) fn has_quota(&self) -> bool {
        [&self.access.limits, self.business.limits()].iter().any(|limits| !limits.quota.is_none())
    }

    pub(crate) fn snapshot(&self) -> Result<KeySnapshot<'_>, ServiceError> {
        Ok(KeySnapshot {
            business: &self.business.id,
            suspended: self.business.suspended(),
            business_id_required: self.business.profile()?.business_id_required,
            environment: self.environment,
            kind: self.kind,
            life: self.life,
            version: self.version_life,
            scopes: &self.access.scopes,
            allowed_origins: &self.access.allowed_origins,
            allowed_ips: &self.access.allowed_ips,
        })
    }
}

fn life(state: KeyState, revoked: bool, valid_from: Timestamp, valid_until: Option<Timestamp>) -> Life {
    let validity = Validity::new(valid_from, valid_until).expect("the store refuses a row without this order");
    Life { state, validity, revoked }
}

/// The instant in a key's id.
fn made_at(key: KeyId) -> i64 {
    i64::try_from(key.bits() >> 80).expect("48 bits") * 1_000
}

/// The first instant of a key, which nearly always is told by how far it is from that.
fn valid_from(key: KeyId, near: i32, dates: Dates) -> Result<Timestamp, InvalidTime> {
    dates.valid_from.map_or_else(|| Timestamp::from_micros(made_at(key) + i64::from(near)), Ok)
}

/// The number of a change as a gauge has it. After a restore these are microseconds, which are exact as well.
#[expect(clippy::cast_precision_loss, reason = "no sequence of changes comes to 2^53")]
fn gauged(seq: i64) -> f64 {
    seq as f64
}

fn instant(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).expect("made of an instant")
}

/// What was found in memory.
#[derive(Debug)]
pub(crate) enum Remembered<T> {
    /// It is so. Good until the lease ends: see [`Lease::holds`].
    Is(T, Lease),
    /// There is none, likewise.
    Unknown(Lease),
    /// Memory does not say: the database has to be asked.
    Ask,
}

/// What the follower saw of the database.
#[derive(Debug)]
pub(crate) enum Seen {
    /// These changes, all of them.
    Changes(Vec<ChangeRow>),
    /// Some are not there any more, or never were, or they are too many: anything may have changed.
    Anew,
}

/// What the follower saw and nobody was told of yet: a proof that fails half-way tells with the next one.
#[derive(Debug, Default)]
struct Untold {
    changes: Vec<ChangeRow>,
    anew: bool,
}

impl Untold {
    /// Keeps changes that are applied, of which there may be any number after a long sleep.
    fn keep(&mut self, changes: Vec<ChangeRow>) {
        if self.changes.len() + changes.len() > MOST_TOLD {
            self.keep_anew();
        }
        if !self.anew {
            self.changes.extend(changes);
        }
    }

    /// Anything may have changed.
    fn keep_anew(&mut self) {
        *self = Self { changes: Vec::new(), anew: true };
    }

    /// All of it, which is told now.
    fn take(&mut self) -> Seen {
        let Self { changes, anew } = std::mem::take(self);
        if anew { Seen::Anew } else { Seen::Changes(changes) }
    }
}

/// What only the follower has.
#[derive(Debug, Default)]
struct Following {
    shared: KnownShared,
    untold: Untold,
    /// The change with the number that is in memory, where it was read: on another history it is another one.
    last: Option<ChangeRow>,
}

/// Until when an answer from memory may be given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease(u64);

impl Lease {
    /// For what was read after this instant, in nanoseconds since the machine was started.
    pub(crate) fn since(began: u64) -> Self {
        Self(began.saturating_add(nanos(LEASE)))
    }

    /// Whether it has not run out, this process having slept or not.
    pub(crate) fn holds(self) -> bool {
        self.holds_at(since_boot())
    }

    /// The same at an instant.
    pub(crate) const fn holds_at(self, boot: u64) -> bool {
        boot < self.0
    }
}

/// How a node's memory is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexState {
    /// Values that are remembered.
    pub values: usize,
    /// Whether those are all.
    pub complete: bool,
    /// The number of the latest change that is in it.
    pub applied: i64,
    /// How long ago it was last seen to be up to date; none before the first time.
    pub proven: Option<Duration>,
    /// How far this node's clock is ahead of the database's, in microseconds.
    pub offset_micros: i64,
}

/// The memory of a node.
pub(crate) struct Index {
    settings: Settings,
    table: RwLock<Arc<Table>>,
    businesses: RwLock<Businesses>,
    platform: RwLock<Arc<Vec<PlatformKeyRow>>>,
    following: tokio::sync::Mutex<Following>,
    /// Whether every value has found room.
    complete: AtomicBool,
    filled: AtomicBool,
    /// The latest change that is in it.
    applied: AtomicI64,
    /// The latest change of this node after which nothing older may be answered.
    required: AtomicI64,
    lease_until: AtomicU64,
    /// When the last proof began, by [`since_boot`].
    proven: watch::Sender<u64>,
    offset_micros: AtomicI64,
    /// How far the system's clock was ahead of the time since the start when the offset was measured, in microseconds;
    /// 0 where there is nothing to measure it by.
    clock_base: AtomicI64,
    /// The database's line of history that `applied` is a number of.
    line: AtomicI64,
    /// What the store's counter of commits showed before the last proof, or [`NO_COUNTER`].
    counter: AtomicI64,
    kick: Notify,
}

impl fmt::Debug for Index {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Index").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Index {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            table: RwLock::new(Arc::new(Table::new(settings.keys_in_memory()))),
            settings,
            businesses: RwLock::default(),
            platform: RwLock::default(),
            following: tokio::sync::Mutex::default(),
            complete: AtomicBool::new(false),
            filled: AtomicBool::new(false),
            applied: AtomicI64::new(0),
            required: AtomicI64::new(0),
            lease_until: AtomicU64::new(0),
            proven: watch::Sender::new(0),
            offset_micros: AtomicI64::new(0),
            clock_base: AtomicI64::new(0),
            line: AtomicI64::new(0),
            counter: AtomicI64::new(NO_COUNTER),
            kick: Notify::new(),
        }
    }

    /// How it is doing.
    pub(crate) fn state(&self) -> IndexState {
        let proven = *self.proven.borrow();
        IndexState {
            values: self.table().len(),
            complete: self.complete.load(Ordering::Relaxed),
            applied: self.applied.load(Ordering::Relaxed),
            proven: (proven > 0).then(|| Duration::from_nanos(since_boot().saturating_sub(proven))),
            offset_micros: self.offset_now(),
        }
    }

    /// The offset that was measured, and what the system's clock has moved since beside the time that went by.
    fn offset_now(&self) -> i64 {
        self.offset_by(clock_base)
    }

    fn offset_by(&self, base_now: impl FnOnce() -> i64) -> i64 {
        let moved = match self.clock_base.load(Ordering::Relaxed) {
            0 => 0,
            base => base_now().saturating_sub(base),
        };
        self.offset_micros.load(Ordering::Relaxed).saturating_add(moved)
    }

    /// Tells the metrics how it is doing.
    pub(crate) fn tell(&self) {
        let state = self.state();
        metrics::gauge!("trousseau_keys_in_memory").set(small(state.values as u64));
        metrics::gauge!("trousseau_keys_in_memory_complete").set(if state.complete { 1.0 } else { 0.0 });
        metrics::gauge!("trousseau_changes_applied").set(gauged(state.applied));
        if let Some(proven) = state.proven {
            metrics::gauge!("trousseau_keys_proven_age_seconds").set(proven.as_secs_f64());
        }
        let offset = Duration::from_micros(state.offset_micros.unsigned_abs()).as_secs_f64();
        metrics::gauge!("trousseau_clock_offset_seconds").set(offset.copysign(if state.offset_micros < 0 {
            -1.0
        } else {
            1.0
        }));
    }

    /// Whether this node's clock is near enough to the database's for dates to be judged by it. A clock that is moved
    /// is found out at once, before the database is asked again.
    pub(crate) fn clock_is_sure(&self) -> bool {
        is_near(self.offset_now())
    }

    /// The same at an instant, by what the system's clock and the time since the start showed then.
    pub(crate) fn clock_is_sure_at(&self, system: Timestamp, boot: u64) -> bool {
        is_near(self.offset_by(|| base_at(system, boot)))
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The lease, if what is remembered may be answered with now.
    fn lease(&self) -> Option<Lease> {
        self.lease_at(since_boot())
    }

    fn lease_at(&self, boot: u64) -> Option<Lease> {
        let lease = Lease(self.lease_until.load(Ordering::Acquire));
        let current = self.applied.load(Ordering::Acquire) >= self.required.load(Ordering::Acquire);
        (current && lease.holds_at(boot)).then_some(lease)
    }

    /// The value that has one of these digests.
    pub(crate) fn find(&self, digests: &[KeyDigest]) -> Remembered<KnownKey> {
        self.find_at(digests, since_boot())
    }

    /// The same, so many nanoseconds after the machine was started: now.
    pub(crate) fn find_at(&self, digests: &[KeyDigest], boot: u64) -> Remembered<KnownKey> {
        let Some(lease) = self.lease_at(boot) else { return Remembered::Ask };
        match digests.iter().find_map(|digest| self.known(digest)) {
            Some(known) => Remembered::Is(known, lease),
            None if self.complete.load(Ordering::Acquire) => Remembered::Unknown(lease),
            None => Remembered::Ask,
        }
    }

    /// The operator's key with this id.
    pub(crate) fn find_platform_by_id(&self, id: PlatformKeyId) -> Remembered<PlatformKeyRow> {
        let Some(lease) = self.lease() else { return Remembered::Ask };
        let keys = Arc::clone(&self.platform.read().unwrap_or_else(PoisonError::into_inner));
        keys.iter().find(|row| row.id == id).map_or(Remembered::Ask, |row| Remembered::Is(row.clone(), lease))
    }

    /// The operator's key that has one of these digests.
    pub(crate) fn find_platform(&self, digests: &[KeyDigest]) -> Remembered<PlatformKeyRow> {
        let Some(lease) = self.lease() else { return Remembered::Ask };
        let keys = Arc::clone(&self.platform.read().unwrap_or_else(PoisonError::into_inner));
        match keys.iter().find(|row| digests.iter().any(|digest| row.digest.matches(digest))) {
            Some(row) => Remembered::Is(row.clone(), lease),
            None => Remembered::Unknown(lease),
        }
    }

    /// Waits until memory is proven anew, so that a no is as fresh as the request: what it lacks may have been made, and
    /// what is off in it may have been switched on, a moment ago on another node. One question of the follower's serves
    /// all that wait. `false` if it does not come in time.
    pub(crate) async fn proven_now(&self, store: &Store) -> bool {
        // Nothing was committed since the last proof: it is as good as one of now.
        let counter = store.commit_counter().unwrap_or(NO_COUNTER);
        if counter != NO_COUNTER && counter == self.counter.load(Ordering::Acquire) && self.lease().is_some() {
            return true;
        }
        self.proven_after(since_boot()).await
    }

    /// Waits for a proof that began after `instant`; `false` if none came in time.
    async fn proven_after(&self, instant: u64) -> bool {
        let mut proven = self.proven.subscribe();
        self.kick.notify_one();
        tokio::time::timeout(WAIT, proven.wait_for(|began| *began >= instant)).await.is_ok_and(|seen| seen.is_ok())
    }

    fn known(&self, digest: &KeyDigest) -> Option<KnownKey> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.find(digest, |record, group| {
            let id = KeyId::from_bits(u128::from_be_bytes(record.key));
            let traits = &group.traits;
            let dates = traits.dates.as_deref().copied().unwrap_or_default();
            let valid_from = valid_from(id, record.valid_from, dates).expect("checked when it was put in");
            KnownKey {
                id,
                version: u32::from(record.version),
                pepper_version: u32::from(record.pepper),
                digest: *digest,
                environment: traits.environment,
                kind: traits.kind,
                life: life(traits.state, traits.revoked, valid_from, dates.valid_until),
                version_life: VersionLife { starts_at: instant(record.starts_at), ends_at: dates.ends_at },
                access: Arc::clone(&traits.access),
                business: group.business.get(),
            }
        })
    }

    /// From here on nothing older is answered than what the database has now: somebody is told of it.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub(crate) async fn require_latest(&self, store: &Store) -> Result<(), StoreError> {
        // Where nothing is answered from memory yet, the first proof is still to come.
        if self.lease_until.load(Ordering::Acquire) > 0 && !self.proven_now(store).await {
            self.require(store.read_at_door()?.current_seq().await?);
        }
        Ok(())
    }

    /// From here on nothing older is answered than this change.
    pub(crate) fn require(&self, seq: i64) {
        self.required.fetch_max(seq, Ordering::AcqRel);
        if self.applied.load(Ordering::Acquire) < seq {
            self.kick.notify_one();
        }
    }

    /// A change of this node is committed that takes something away: from here on nothing older is answered. Waits a
    /// little until memory has it, so that the next request need not ask the database.
    pub(crate) async fn taken_away(&self, seq: i64) {
        self.require(seq);
        if self.lease_until.load(Ordering::Relaxed) > 0 {
            let mut proven = self.proven.subscribe();
            self.kick.notify_one();
            let applied = proven.wait_for(|_| self.applied.load(Ordering::Acquire) >= seq);
            // Should it not come, the database is asked until it does.
            let _ = tokio::time::timeout(WAIT, applied).await;
        }
    }

    /// Changes with every proof.
    pub(crate) fn proofs(&self) -> watch::Receiver<u64> {
        self.proven.subscribe()
    }

    /// Something may have changed.
    pub(crate) fn heard(&self) {
        self.kick.notify_one();
    }

    /// Waits until it is time to look at the changes.
    pub(crate) async fn wait(&self) {
        if tokio::time::timeout(PROVE_EVERY, self.kick.notified()).await.is_ok() {
            tokio::time::sleep(GATHER).await;
        }
    }

    /// Reads everything, and answers nothing until that is done. What changes meanwhile is applied afterwards.
    pub(crate) async fn fill(&self, store: &Store) -> Result<(), StoreError> {
        self.lease_until.store(0, Ordering::Release);
        self.filled.store(false, Ordering::Release);
        let seq = self.latest(store).await?;
        self.line.store(store.line(), Ordering::Release);
        let table = Table::new(self.settings.keys_in_memory());
        // It only makes room: a large table may not be counted in time.
        let total = store.read().count_versions().await.unwrap_or(0);
        table.reserve(usize::try_from(total).unwrap_or(usize::MAX));
        let businesses = self.read_businesses(store).await?;
        let mut complete = true;
        // A business that came meanwhile is met with the change that tells of it.
        store
            .each_known_version(|known| {
                if let Some(cell) = businesses.find(&known.business) {
                    complete &= put(&table, cell, known);
                }
            })
            .await?;
        self.complete.store(complete, Ordering::Release);
        self.know(store, (table, businesses), seq).await
    }

    async fn read_businesses(&self, store: &Store) -> Result<Businesses, StoreError> {
        let mut businesses = Businesses::default();
        store.each_business(|business| businesses.keep(&self.settings, business)).await?;
        Ok(businesses)
    }

    /// Remembers all of this, as it was after the change with this number or later.
    async fn know(&self, store: &Store, (table, businesses): (Table, Businesses), seq: i64) -> Result<(), StoreError> {
        let platform = store.read().list_platform_keys().await?;
        *self.businesses.write().unwrap_or_else(PoisonError::into_inner) = businesses;
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        self.keep_platform_keys(platform);
        self.applied.store(seq, Ordering::Release);
        self.filled.store(true, Ordering::Release);
        Ok(())
    }

    /// Reads what was kept beside the embedded database instead of all its keys, before anything else is remembered, and
    /// answers nothing until it is proven. `false` if there is nothing that is good for the database as it was found.
    ///
    /// # Errors
    /// When it cannot be read, or the database fails: nothing is remembered then.
    pub(crate) async fn take_over(&self, store: &Store, found: &Left) -> io::Result<bool> {
        let Some(kept) = Kept::take(found)? else { return Ok(false) };
        let (seq, _) = store.current_seq_and_time().await.map_err(io::Error::other)?;
        let applied = kept.applied;
        // Businesses are read as they are now, so the values have to be of now too.
        if applied != seq {
            return Ok(false);
        }
        let values = store.read().count_versions().await.map_err(io::Error::other)?;
        let businesses = self.read_businesses(store).await.map_err(io::Error::other)?;
        let table = Table::new(self.settings.keys_in_memory());
        let fill = move || kept.fill(&table, &businesses).map(|()| (table, businesses));
        let known = tokio::task::spawn_blocking(fill).await.map_err(io::Error::other)??;
        // One that is missing would never be found out.
        if u64::try_from(known.0.len()).ok() != Some(values) {
            return Ok(false);
        }
        self.complete.store(true, Ordering::Release);
        self.know(store, known, applied).await.map_err(io::Error::other)?;
        Ok(true)
    }

    /// Whether all keys are remembered, and so many that it takes time to read them.
    pub(crate) fn is_worth_keeping(&self) -> bool {
        let is_whole = self.filled.load(Ordering::Acquire) && self.complete.load(Ordering::Acquire);
        is_whole && self.table().len() >= FEWEST_KEPT
    }

    /// Keeps what is remembered beside the embedded database that was left.
    ///
    /// # Errors
    /// When it cannot be written: nothing is kept then.
    pub(crate) fn keep(&self, left: &Left) -> io::Result<()> {
        kept::keep(left, self.applied.load(Ordering::Acquire), &self.table())
    }

    fn keep_platform_keys(&self, keys: Vec<PlatformKeyRow>) {
        *self.platform.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Asks the database for the number of the latest change, applies what is missing, and renews the lease.
    pub(crate) async fn prove(&self, store: &Store) -> Result<Seen, StoreError> {
        // One after the other: what is read first is to be put in first.
        let mut following = self.following.lock().await;
        let Following { shared, untold, last } = &mut *following;
        if !self.filled.load(Ordering::Acquire) {
            *last = None;
            self.fill(store).await?;
        }
        // Before the question: whatever is committed, and required, by then is in the answer.
        let required = self.required.load(Ordering::Acquire);
        let (began, counter) = (since_boot(), store.commit_counter());
        let latest = self.latest(store).await?;
        let mut applied = self.applied.load(Ordering::Acquire);
        // A restored database may have a lower number: nothing that is remembered is of it, and what is required never
        // comes.
        // After a failover the same numbers may be those of other changes.
        let mut torn = latest < applied.max(required) || store.line() != self.line.load(Ordering::Acquire);
        while applied < latest && !torn {
            // With the one before it, by which a history is known again where the server tells of no line.
            let before = last.as_ref().filter(|last| last.seq == applied);
            let after = applied - i64::from(before.is_some());
            let mut changes = store.read().list_changes(after, CHANGES_PER_READ).await?;
            if changes.first().is_some_and(|first| first.seq == applied) {
                let first = changes.remove(0);
                torn = before.is_some_and(|before| *before != first);
            }
            // Each that follows is the next one: where some are gone, nobody can say what they were.
            torn |= changes.is_empty() || changes.iter().zip(applied + 1..).any(|(change, next)| change.seq != next);
            if let (false, Some(newest)) = (torn, changes.last().cloned()) {
                self.apply(store, shared, &changes).await?;
                applied = newest.seq;
                self.applied.store(applied, Ordering::Release);
                *last = Some(newest);
                untold.keep(changes);
            }
        }
        if torn {
            // First of all, nothing is answered from memory any more.
            self.lease_until.store(0, Ordering::Release);
            self.required.store(0, Ordering::Release);
            untold.keep_anew();
            *last = None;
            self.fill(store).await?;
            return Ok(untold.take());
        }
        self.lease_until.store(began + nanos(LEASE), Ordering::Release);
        self.counter.store(counter.unwrap_or(NO_COUNTER), Ordering::Release);
        self.proven.send_replace(began);
        Ok(untold.take())
    }

    /// The number of the latest change. Compares the clocks too: whatever becomes of the keys, dates are judged by a clock
    /// that was compared.
    ///
    /// # Errors
    /// As [`Store::current_seq_and_time`].
    pub(crate) async fn latest(&self, store: &Store) -> Result<i64, StoreError> {
        // This machine's clock, whatever time the application is told: it is what is measured.
        let (began, before, base) = (since_boot(), SystemClock.now(), clock_base());
        let (latest, theirs) = store.current_seq_and_time().await?;
        if let Some(theirs) = theirs {
            // By the time that went by, and not by a clock that may have been moved meanwhile.
            let after = before.saturating_add(Duration::from_nanos(since_boot().saturating_sub(began)));
            self.note_offset(before, theirs, after);
            self.clock_base.store(base, Ordering::Relaxed);
        }
        Ok(latest)
    }

    /// The difference of the two clocks, as far as the time of the question leaves no doubt.
    fn note_offset(&self, before: Timestamp, theirs: Timestamp, after: Timestamp) {
        let (before, theirs, after) = (before.as_micros(), theirs.as_micros(), after.as_micros());
        let offset = match theirs {
            theirs if theirs < before => before - theirs,
            theirs if theirs > after => after - theirs,
            _ => 0,
        };
        self.offset_micros.store(offset, Ordering::Relaxed);
    }

    /// Reads what changed, and then puts it in without a pause: whoever is stopped in between has done nothing.
    async fn apply(&self, store: &Store, shared: &mut KnownShared, changes: &[ChangeRow]) -> Result<(), StoreError> {
        let mut keys = BTreeSet::new();
        let mut all_of = BTreeSet::new();
        let mut businesses = BTreeSet::new();
        let mut platform = false;
        let mut forgotten = Vec::new();
        for change in changes {
            match change.kind {
                ChangeKind::Key => {
                    let target = change.target.as_deref().unwrap_or_default();
                    let (key, digest) = target.split_once(' ').unwrap_or((target, ""));
                    match (key.parse::<KeyId>(), &change.business) {
                        (Ok(key), _) => drop(keys.insert(key)),
                        (Err(_), Some(business)) => drop(all_of.insert(business.clone())),
                        (Err(_), None) => {}
                    }
                    forgotten.extend(KeyDigest::from_hex(digest));
                }
                ChangeKind::Business => businesses.extend(change.business.clone()),
                ChangeKind::PlatformKey | ChangeKind::Secrets => platform = true,
                ChangeKind::Payment | ChangeKind::Payable => {}
            }
        }
        let mut rows = Vec::new();
        for id in businesses {
            // A new business comes with its first keys.
            if self.cell(&id).is_none() {
                all_of.insert(id.clone());
            }
            rows.extend(store.read().find_business(&id).await?);
        }
        let keys: Vec<KeyId> = keys.into_iter().collect();
        let mut known = store.read().list_known_versions(&keys, shared).await?;
        let strangers: BTreeSet<BusinessId> = known
            .iter()
            .map(|version| &version.business)
            .filter(|id| self.cell(id).is_none() && !all_of.contains(*id))
            .cloned()
            .collect();
        for id in strangers {
            rows.extend(store.read().find_business(&id).await?);
            all_of.insert(id);
        }
        for business in all_of {
            store.read().each_known_version_of(&business, shared, |version| known.push(version)).await?;
        }
        let platform = if platform { Some(store.read().list_platform_keys().await?) } else { None };

        for row in rows {
            self.keep_business(row);
        }
        let table = self.table();
        // What is new comes in before what is old goes, so that a value that got another digest is never unknown.
        forgotten.retain(|digest: &KeyDigest| !known.iter().any(|version| version.digest.matches(digest)));
        for version in known {
            let kept = if let Some(cell) = self.cell(&version.business) {
                put(&table, &cell, version)
            } else {
                table.remove(&version.digest);
                false
            };
            if !kept {
                self.complete.store(false, Ordering::Release);
            }
        }
        for digest in forgotten {
            table.remove(&digest);
        }
        if let Some(keys) = platform {
            self.keep_platform_keys(keys);
        }
        Ok(())
    }

    fn cell(&self, id: &BusinessId) -> Option<Arc<BusinessCell>> {
        self.businesses.read().unwrap_or_else(PoisonError::into_inner).find(id).map(Arc::clone)
    }

    fn keep_business(&self, row: BusinessRow) {
        self.businesses.write().unwrap_or_else(PoisonError::into_inner).keep(&self.settings, row.into());
    }
}

/// Remembers a value; `false` if there is no room, or if it is none that fits. What is not remembered must not be told to
/// be as it was before.
fn put(table: &Table, cell: &Arc<BusinessCell>, known: KnownVersion) -> bool {
    let digest = known.digest;
    let kept = record(cell, known).is_some_and(|record| table.put(record) != Err(Full));
    if !kept {
        table.remove(&digest);
    }
    kept
}

fn record(cell: &Arc<BusinessCell>, known: KnownVersion) -> Option<Record> {
    let near = i32::try_from(known.valid_from.as_micros() - made_at(known.key_id)).ok();
    let dates = Dates {
        valid_from: if near.is_some() { None } else { Some(known.valid_from) },
        valid_until: known.valid_until,
        ends_at: known.life.ends_at,
    };
    let traits = Traits {
        environment: known.environment,
        kind: known.kind,
        state: known.state,
        revoked: known.revoked,
        dates: dates.kept(),
        access: known.access,
    };
    Some(Record {
        starts_at: known.life.starts_at.as_micros(),
        valid_from: near.unwrap_or(0),
        version: u16::try_from(known.version).ok()?,
        pepper: u8::try_from(known.pepper_version).ok()?,
        ..Record::new(&known.digest, known.key_id, cell.group(traits))
    })
}

#[cfg(test)]
impl Group {
    fn for_tests() -> Self {
        let access = KeyAccess::new(
            trousseau_domain::scope::ScopeSet::default(),
            (Vec::new(), Vec::new()),
            trousseau_domain::limits::Limits::default(),
            trousseau_domain::metadata::Metadata::default(),
        );
        Self {
            business: Arc::new(BusinessCell::new(KnownBusiness::for_tests("1", false))),
            traits: Traits {
                environment: Environment::Test,
                kind: KeyKind::Secret,
                state: KeyState::Active,
                revoked: false,
                dates: None,
                access: Arc::new(access),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use trousseau_store::testing::TestDatabase;

    use super::*;
    use crate::access::renamed;

    const KEY: KeyId = KeyId::from_bits(7 << 80);

    fn digest(byte: u8) -> KeyDigest {
        KeyDigest::from_stored(&[byte; 32]).expect("32 bytes")
    }

    fn at(second: i64) -> Timestamp {
        instant(second * 1_000_000)
    }

    /// Runs statements that only a test makes: a few, which may live as long as it does.
    async fn run(database: &TestDatabase, statements: Vec<String>) {
        for statement in statements {
            database.run(statement.leak()).await.expect("runs");
        }
    }

    fn version(number: u8, digest: &KeyDigest) -> String {
        format!(
            "INSERT INTO key_versions (key_id, version, business_id, environment, kind, digest, pepper_version, \
             last_three, starts_at, created_at, created_by, origin, live_readable) VALUES ('{KEY}', {number}, 'b-1', \
             'test', 'secret', X'{}', 1, 'abc', 0, 0, '{{}}', 'generated', 0)",
            digest.to_hex()
        )
    }

    /// A business with one key that has a value for each of these digests.
    async fn with_values(digests: &[KeyDigest]) -> TestDatabase {
        let database = TestDatabase::sqlite().await;
        let mut statements = vec![
            "INSERT INTO businesses (id, name, profile, time_zone, language, metadata, created_at, revision) \
             VALUES ('b-1', 'One', 'codat', 'UTC', 'en', '{}', 0, 0)"
                .to_owned(),
            format!(
                "INSERT INTO keys (id, business_id, environment, kind, number, state, valid_from, scopes, \
                 allowed_origins, allowed_ips, metadata, current_version, mask_prefix, last_three, created_at, \
                 created_by, updated_at) VALUES ('{KEY}', 'b-1', 'test', 'secret', 1, 'active', 0, '[]', '[]', '[]', \
                 '{{}}', 1, '', 'abc', 0, '{{}}', 0)"
            ),
        ];
        statements.extend((1..).zip(digests).map(|(number, digest)| version(number, digest)));
        run(&database, statements).await;
        database
    }

    fn is_known(index: &Index, digest: &KeyDigest) -> Option<bool> {
        match index.find(&[*digest]) {
            Remembered::Is(known, _) => Some(known.id == KEY),
            Remembered::Unknown(_) => Some(false),
            Remembered::Ask => None,
        }
    }

    #[tokio::test]
    async fn nothing_is_said_before_a_proof_nor_behind_a_change_of_ones_own() {
        let database = with_values(&[digest(1)]).await;
        let index = Index::new(Settings::default());
        index.fill(database.store()).await.expect("read");
        assert_eq!(is_known(&index, &digest(1)), None);
        index.prove(database.store()).await.expect("proven");
        assert_eq!((is_known(&index, &digest(1)), is_known(&index, &digest(2))), (Some(true), Some(false)));
        index.required.store(1, Ordering::Release);
        assert_eq!(is_known(&index, &digest(1)), None);
        index.required.store(0, Ordering::Release);
        index.lease_until.store(since_boot(), Ordering::Release);
        assert_eq!(is_known(&index, &digest(1)), None);
    }

    #[tokio::test]
    async fn a_no_needs_no_question_until_something_is_committed() {
        let database = with_values(&[digest(1)]).await;
        let (store, index) = (database.store(), Index::new(Settings::default()));
        index.prove(store).await.expect("proven");
        // There is no follower here that would answer a question.
        assert!(index.proven_now(store).await);
        run(&database, vec![version(2, &digest(2))]).await;
        assert!(!index.proven_now(store).await, "whoever is unknown may be in what was committed");
        index.prove(store).await.expect("proven");
        assert!(index.proven_now(store).await);
        index.lease_until.store(since_boot(), Ordering::Release);
        assert!(!index.proven_now(store).await, "not without a lease");
    }

    #[tokio::test]
    async fn a_value_with_another_digest_is_known_by_that_one_alone() {
        let database = with_values(&[digest(1)]).await;
        let index = Index::new(Settings::default());
        index.prove(database.store()).await.expect("proven");
        let mut tx = database.store().begin().await.expect("begins");
        let tenant = Tenant::new("b-1".parse().expect("an id"), Environment::Test);
        assert!(tx.redigest_version(&tenant, KEY, 1, &digest(1), &digest(2), 2).await.expect("changed"));
        let target = renamed(KEY, &digest(1));
        tx.append_change(ChangeKind::Key, Some(&tenant.business), Some(&target), at(1)).await.expect("told");
        tx.commit().await.expect("commits");
        index.prove(database.store()).await.expect("proven");
        assert_eq!((is_known(&index, &digest(1)), is_known(&index, &digest(2))), (Some(false), Some(true)));
        assert_eq!(index.state().values, 1);
    }

    #[tokio::test]
    async fn a_gap_in_the_changes_has_everything_read_anew() {
        let database = with_values(&[digest(1)]).await;
        let index = Index::new(Settings::default());
        index.prove(database.store()).await.expect("proven");
        // Told by a change that is not there any more.
        let gone = "UPDATE change_counter SET seq = 5".to_owned();
        run(&database, vec![version(2, &digest(2)), gone]).await;
        assert!(matches!(index.prove(database.store()).await, Ok(Seen::Anew)));
        assert_eq!(is_known(&index, &digest(2)), None, "not before the next proof");
        assert!(matches!(index.prove(database.store()).await, Ok(Seen::Changes(none)) if none.is_empty()));
        assert_eq!((is_known(&index, &digest(2)), index.state().applied), (Some(true), 5));
        // A database that was put back.
        run(&database, vec!["UPDATE change_counter SET seq = 3".to_owned()]).await;
        assert!(matches!(index.prove(database.store()).await, Ok(Seen::Anew)));
    }

    #[tokio::test]
    async fn what_was_applied_is_told_although_what_followed_could_not_be_read() {
        let database = with_values(&[digest(1)]).await;
        let (store, index) = (database.store(), Index::new(Settings::default()));
        index.prove(store).await.expect("proven");
        // More than are read at once, and the last one needs a table that is away for a moment.
        let changes = "INSERT INTO changes (seq, at, kind, business_id) WITH RECURSIVE n (i) AS \
                       (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700) SELECT i, 0, \
                       CASE WHEN i = 1 THEN 'secrets' WHEN i = 700 THEN 'business' ELSE 'key' END, \
                       CASE WHEN i = 700 THEN 'b-1' END FROM n";
        let statements = [changes, "UPDATE change_counter SET seq = 700", "ALTER TABLE businesses RENAME TO elsewhere"];
        run(&database, statements.map(ToOwned::to_owned).to_vec()).await;
        assert!(index.prove(store).await.is_err());
        assert!((1..700).contains(&index.state().applied), "some of them are applied");
        run(&database, vec!["ALTER TABLE elsewhere RENAME TO businesses".to_owned()]).await;
        let Ok(Seen::Changes(seen)) = index.prove(store).await else { panic!("all of them are there") };
        assert_eq!((seen.len(), seen[0].kind), (700, ChangeKind::Secrets));
        assert!(matches!(index.prove(store).await, Ok(Seen::Changes(none)) if none.is_empty()), "once");
    }

    #[tokio::test]
    async fn it_is_told_that_all_was_read_anew_although_that_took_two_attempts() {
        let database = with_values(&[digest(1)]).await;
        let (store, index) = (database.store(), Index::new(Settings::default()));
        index.prove(store).await.expect("proven");
        let statements = ["UPDATE change_counter SET seq = 5", "ALTER TABLE platform_keys RENAME TO elsewhere"];
        run(&database, statements.map(ToOwned::to_owned).to_vec()).await;
        assert!(index.prove(store).await.is_err());
        assert_eq!(is_known(&index, &digest(1)), None);
        run(&database, vec!["ALTER TABLE elsewhere RENAME TO platform_keys".to_owned()]).await;
        assert!(matches!(index.prove(store).await, Ok(Seen::Anew)));
        assert!(matches!(index.prove(store).await, Ok(Seen::Changes(none)) if none.is_empty()), "once");
    }

    #[tokio::test]
    async fn a_history_that_went_on_from_an_earlier_change_has_everything_read_anew() {
        let database = with_values(&[digest(1)]).await;
        let (store, index) = (database.store(), Index::new(Settings::default()));
        index.prove(store).await.expect("proven");
        let told = |seq: i64, target: &str| {
            vec![
                format!("INSERT INTO changes (seq, at, kind, target) VALUES ({seq}, 0, 'key', '{target}')"),
                format!("UPDATE change_counter SET seq = {seq}"),
            ]
        };
        run(&database, told(1, "one")).await;
        run(&database, told(2, "other")).await;
        assert!(matches!(index.prove(store).await, Ok(Seen::Changes(seen)) if seen.len() == 2));
        // The second change was lost with a server, and its number given to a change that was not seen here.
        run(&database, vec!["DELETE FROM changes WHERE seq = 2".to_owned(), version(2, &digest(2))]).await;
        run(&database, told(2, "lost")).await;
        run(&database, told(3, "more")).await;
        assert!(matches!(index.prove(store).await, Ok(Seen::Anew)));
        index.prove(store).await.expect("proven");
        assert_eq!(is_known(&index, &digest(2)), Some(true));
        // What is pruned tells of no other history.
        run(&database, told(4, "again")).await;
        assert!(matches!(index.prove(store).await, Ok(Seen::Changes(seen)) if seen.len() == 1));
        run(&database, vec!["DELETE FROM changes WHERE seq <= 4".to_owned()]).await;
        run(&database, told(5, "later")).await;
        assert!(matches!(index.prove(store).await, Ok(Seen::Changes(seen)) if seen.len() == 1));
    }

    #[tokio::test]
    async fn whoever_is_stopped_in_the_middle_of_a_change_has_done_nothing() {
        let database = with_values(&[]).await;
        let (store, index) = (database.store(), Index::new(Settings::default()));
        index.prove(store).await.expect("proven");
        for round in 2..40_u8 {
            let (business, key) = (format!("b-{round}"), KeyId::from_bits((100 + u128::from(round)) << 80));
            let copied = |table: &str, columns: &str, values: &str| {
                format!("INSERT INTO {table} ({columns}) SELECT {values} FROM {table} WHERE rowid = 1")
            };
            let statements = vec![
                copied(
                    "businesses",
                    "id, name, profile, time_zone, language, metadata, created_at, revision",
                    &format!("'{business}', name, profile, time_zone, language, metadata, 0, 0"),
                ),
                copied(
                    "keys",
                    "id, business_id, environment, kind, number, state, valid_from, scopes, allowed_origins, allowed_ips, \
                     metadata, current_version, mask_prefix, last_three, created_at, created_by, updated_at",
                    &format!(
                        "'{key}', '{business}', environment, kind, {round}, state, 0, scopes, allowed_origins, \
                         allowed_ips, metadata, 1, '', 'abc', 0, created_by, 0"
                    ),
                ),
                version(1, &digest(round))
                    .replace(&KEY.to_string(), &key.to_string())
                    .replace("'b-1'", &format!("'{business}'")),
            ];
            run(&database, statements).await;
            // A new business is told of by one change, whatever keys it has.
            let mut tx = store.begin().await.expect("begins");
            let id = business.parse().expect("an id");
            tx.append_change(ChangeKind::Business, Some(&id), None, at(1)).await.expect("told");
            tx.commit().await.expect("commits");
            // Stopped after so many steps, wherever that is.
            let (mut stopped, mut left) = (Box::pin(index.prove(store)), round - 2);
            poll_fn(|context| match left.checked_sub(1) {
                None => Poll::Ready(()),
                Some(fewer) => {
                    left = fewer;
                    stopped.as_mut().poll(context).map(drop)
                }
            })
            .await;
            drop(stopped);
            index.prove(store).await.expect("proven");
            assert!(matches!(index.find(&[digest(round)]), Remembered::Is(known, _) if known.id == key), "{round}");
        }
    }

    #[tokio::test]
    async fn everything_is_read_once_at_the_start() {
        let Some(server) = TestDatabase::postgres_server() else { return };
        let database = TestDatabase::postgres(&server).await;
        let index = Index::new(Settings::default());
        run(&database, vec!["ALTER TABLE platform_keys RENAME TO elsewhere".to_owned()]).await;
        assert!(index.prove(database.store()).await.is_err());
        assert_ne!(index.clock_base.load(Ordering::Relaxed), 0, "the clocks are compared all the same");
        run(&database, vec!["ALTER TABLE elsewhere RENAME TO platform_keys".to_owned()]).await;
        assert!(matches!(index.prove(database.store()).await, Ok(Seen::Changes(none)) if none.is_empty()));
        assert_ne!(database.store().line(), 0, "PostgreSQL says which line of history it writes on");
        index.line.store(0, Ordering::Release);
        assert!(matches!(index.prove(database.store()).await, Ok(Seen::Anew)), "after a failover");
        assert!(matches!(index.prove(database.store()).await, Ok(Seen::Changes(_))));
    }

    #[tokio::test]
    async fn what_finds_no_room_is_asked_for_and_never_called_unknown() {
        let database = with_values(&[digest(1), digest(2)]).await;
        for (room, known) in [(0, 0), (1, 1), (2, 2)] {
            let index = Index::new(Settings::default().with_keys_in_memory(room));
            index.prove(database.store()).await.expect("proven");
            let said: Vec<_> = [1, 2].into_iter().filter_map(|byte| is_known(&index, &digest(byte))).collect();
            assert_eq!(said, vec![true; known], "room for {room}");
            assert_eq!(is_known(&index, &digest(3)), (room == 2).then_some(false));
        }
    }

    #[test]
    fn the_number_of_a_change_is_told_as_it_is() {
        // The last one is what a restore goes on with.
        for seq in [0, 7, 4_294_967_296, 1_900_000_000_000_001] {
            assert_eq!(gauged(seq).to_string(), seq.to_string());
        }
    }

    #[test]
    fn a_clock_that_is_more_than_a_second_away_is_not_sure() {
        let index = Index::new(Settings::default());
        // Within the time of the question nothing can be told.
        index.note_offset(at(10), at(12), at(14));
        assert_eq!((index.state().offset_micros, index.clock_is_sure()), (0, true));
        for (theirs, offset) in [(9, 1_000_000), (15, -1_000_000)] {
            index.note_offset(at(10), at(theirs), at(14));
            assert_eq!((index.state().offset_micros, index.clock_is_sure()), (offset, true));
        }
        for theirs in [8, 16] {
            index.note_offset(at(10), at(theirs), at(14));
            assert!(!index.clock_is_sure());
        }
        index.note_offset(at(10), at(12), at(14));
        // Moved since it was measured, in either direction.
        for (moved, sure) in [(500_000, true), (-500_000, true), (2_000_000, false), (-2_000_000, false)] {
            index.clock_base.store(clock_base() - moved, Ordering::Relaxed);
            assert_eq!(index.clock_is_sure(), sure, "{moved}");
        }
    }
}
