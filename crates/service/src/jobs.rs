//! What runs beside the requests: writing down uses and refusals, handing out events, hearing of changes, pruning.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::{KeyId, PlatformKeyId};
use trousseau_domain::limits::Period;
use trousseau_domain::requests::{Network, Outcome, UtcDay};
use trousseau_domain::time::Timestamp;
use trousseau_store::{ChangeKind, EventRow, RefusalRow, RequestRow, SightingRow, Store, StoreError, UsageRow};

use crate::app::Core;
use crate::clock::Clock;
use crate::error::ServiceError;
use crate::index::{Index, KnownKey, Seen};
use crate::limits::{KeysInUse, SUM_EVERY};
use crate::networks;
use crate::notices;
use crate::payments;
use crate::payments::invoices::MAILS_COUNT_FOR;
use crate::reconciliations::Reconciliations;
use crate::requests::{Call, CallAnswer, Counted, Dropped, Subject};
use crate::secrets::{PEPPER_GRACE, Secrets};
use crate::settings::Keep;
use crate::tally::{CallCounts, Measure, SharedMeasure, Tally};
use crate::webhooks::{self, FanOut};

/// Notes that may wait to be written; more are dropped and counted.
const CAPACITY: usize = 10_000;
/// Notes that are written without waiting for the next turn.
const FULL: usize = 500;
/// How long a note waits at most while the database is well.
const FLUSH_EVERY: Duration = Duration::from_millis(500);
/// Events leased at once.
const EVENTS_PER_CLAIM: u32 = 100;
/// After this an event whose dispatcher died is handed out again.
const LEASE: Duration = Duration::from_secs(30);
/// How often the outbox is looked at when nothing wakes the dispatcher.
const DISPATCH_EVERY: Duration = Duration::from_secs(5);
/// How often old rows are pruned.
const PRUNE_EVERY: Duration = Duration::from_mins(10);
/// Rows pruned in one transaction.
const PRUNE_STEP: u32 = 1000;
/// How long the change sequence is kept: a node that was away for longer starts anew.
const KEEP_CHANGES: Duration = Duration::from_hours(7 * 24);
/// How long failed attempts to sign in are remembered.
const KEEP_ATTEMPTS: Duration = Duration::from_hours(24);
/// How long a device stays known that nobody signs in from.
const KEEP_DEVICES: Duration = Duration::from_hours(400 * 24);
/// Calls written in one transaction, so that others get their turn.
const CALLS_PER_WRITE: usize = 1000;
/// How long a delivery that waits is kept, however short others are: longer than it is tried.
const KEEP_WAITING: Duration = Duration::from_hours(4 * 24);
/// Networks of keys that a node remembers to have written down; beyond them it begins anew.
const NETWORKS_IN_MEMORY: usize = 100_000;
/// How often keys that end soon are looked for.
const ANNOUNCE_EVERY: Duration = Duration::from_mins(30);
/// How often ledgers are looked at that nobody's call made us look at.
const WATCH_EVERY: Duration = Duration::from_secs(5);
/// How often invoices are looked for that customers are to be reminded of.
const REMIND_EVERY: Duration = Duration::from_mins(1);
/// How often networks are looked for whose sums are to be compared: once a night each, if all goes well.
const RECONCILE_EVERY: Duration = Duration::from_mins(10);
/// How often jobs look whether this node's clock may still be believed.
const LOOK_AT_CLOCK_EVERY: Duration = Duration::from_millis(250);
/// How often the metrics are told of the memory of keys.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How often the last notes are tried to be written.
const LAST_TRIES: u32 = 5;
/// The pause after a failure.
const BACK_OFF: Duration = Duration::from_secs(1);

/// Keys whose counts are written in one transaction.
const TALLIED_PER_WRITE: usize = 1000;
/// The same in one turn, as long as few wait.
const TALLIED_PER_TURN: usize = 500;
/// How long counts are gathered.
const TALLY_EVERY: Duration = Duration::from_secs(4);
/// With counts of so many keys nothing is gathered any longer.
const MANY_TALLIED: usize = 5_000;
/// The part of what is counted that is written in one turn, where that is more: so the longer more keys are counted
/// than are written, the more are written, and memory does not fill.
const TALLIED_PART: usize = 200;

enum Note {
    Use(KeyId, Timestamp),
    PlatformUse(PlatformKeyId, Timestamp),
    Refusal(Box<RefusalRow>),
    Call(Box<Call>),
}

/// How a job of this node is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobState {
    /// Its name.
    pub job: &'static str,
    /// When it last did what it is for.
    pub last_ok: Option<Timestamp>,
    /// When it last failed.
    pub last_failed: Option<Timestamp>,
    /// Whether it has failed since it last went well.
    pub failing: bool,
}

/// Where jobs note how they are doing, for the page that shows it.
#[derive(Clone)]
pub(crate) struct Board {
    clock: Arc<dyn Clock>,
    states: Arc<std::sync::Mutex<BTreeMap<&'static str, JobState>>>,
}

impl Board {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, states: Arc::default() }
    }

    /// The jobs that are known, by name.
    pub(crate) fn states(&self) -> Vec<JobState> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn note(&self, job: &'static str, ran: Option<bool>) {
        let now = self.clock.now();
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let state = states.entry(job).or_insert(JobState { job, last_ok: None, last_failed: None, failing: false });
        match ran {
            Some(true) => (state.last_ok, state.failing) = (Some(now), false),
            Some(false) => (state.last_failed, state.failing) = (Some(now), true),
            None => {}
        }
    }
}

/// Takes notes without waiting: a request is never slower for them, and may lose one rather than fail.
#[derive(Clone)]
pub struct Recorder {
    sender: mpsc::Sender<Note>,
    full: Arc<Notify>,
    dropped: Arc<DropCounter>,
    tally: Arc<Tally>,
    measures: Arc<Measures>,
    clock: Arc<dyn Clock>,
}

/// How many calls are written down one by one.
#[derive(Default)]
struct Measures {
    /// Those of known keys that were accepted and did what they were for; those beyond are counted, as are all others of
    /// known keys.
    succeeded: Measure,
    refused: SharedMeasure,
    failed: SharedMeasure,
    /// Those with no key that is known, whoever they say they are: anybody can send them, as many as they like.
    strangers: Measure,
}

/// What was not taken, for the pages that show it.
#[derive(Default)]
struct DropCounter {
    notes: AtomicU64,
    /// Microseconds; 0 before the first one.
    last_at: AtomicI64,
}

impl DropCounter {
    /// Notes that the database did not take in time.
    fn count(&self, notes: u64, now: Timestamp) {
        metrics::counter!("trousseau_recorder_dropped_total").increment(notes);
        self.add(notes, now);
    }

    /// A call that came without a known key, as too many did.
    fn count_stranger(&self, now: Timestamp) {
        metrics::counter!("trousseau_strangers_not_noted_total").increment(1);
        self.add(1, now);
    }

    fn add(&self, notes: u64, now: Timestamp) {
        self.notes.fetch_add(notes, Ordering::Relaxed);
        self.last_at.store(now.as_micros(), Ordering::Relaxed);
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Recorder")
    }
}

impl Recorder {
    /// A key of a business was used.
    pub fn record_use(&self, key: KeyId, at: Timestamp) {
        self.note(Note::Use(key, at));
    }

    /// One of the operator's keys was used.
    pub fn record_platform_use(&self, key: PlatformKeyId, at: Timestamp) {
        self.note(Note::PlatformUse(key, at));
    }

    /// A key was refused.
    pub fn record_refusal(&self, refusal: RefusalRow) {
        self.note(Note::Refusal(Box::new(refusal)));
    }

    /// A call of a business was answered.
    pub(crate) fn record_call(&self, call: Call) {
        self.note(Note::Call(Box::new(call)));
    }

    /// A call was answered. One of a known key is counted, and has a row as long as the second has room for one.
    pub(crate) fn record_answer(&self, subject: Subject, answer: CallAnswer) {
        let outcome = subject.outcome(answer);
        let Some((tenant, key)) = subject.counts_for() else { return self.record_call(subject.answered(answer)) };
        let counted = self.tally.count(&tenant, key, outcome, subject.at);
        let has_row = subject.has_row || self.takes_row(key, outcome, subject.at);
        self.record_counted(has_row.then_some(subject), counted, answer);
    }

    /// A call was answered that is counted, if there was room, and may have a row.
    pub(crate) fn record_counted(&self, row: Option<Subject>, counted: bool, answer: CallAnswer) {
        match row {
            // Where there was no room, the row is what is counted by.
            Some(subject) => self.record_call(Call { counted, ..subject.answered(answer) }),
            None if counted => {}
            None => self.dropped.count(1, self.clock.now()),
        }
    }

    /// Counts a call of this key that is good; `false` if there was no room.
    pub(crate) fn count_good(&self, calls: &mut CallCounts, key: &KnownKey, at: Timestamp) -> bool {
        self.tally.count_in(calls, || key.tenant(), Outcome::Succeeded, at)
    }

    /// Where it counts the calls of each key.
    pub(crate) fn keys(&self) -> &Arc<KeysInUse> {
        self.tally.keys()
    }

    /// Whether a call of this key that ends so at this instant gets a row of its own.
    pub(crate) fn takes_row(&self, key: KeyId, outcome: Outcome, at: Timestamp) -> bool {
        match outcome {
            Outcome::Succeeded => self.measures.succeeded.has_row(at),
            Outcome::Refused => self.measures.refused.has_row(key, at),
            Outcome::Failed => self.measures.failed.has_row(key, at),
        }
    }

    /// Whether it is written down that a call without a known key was refused at this instant. Those that are not are
    /// counted.
    pub(crate) fn takes_stranger(&self, at: Timestamp) -> bool {
        let takes = self.measures.strangers.has_row(at);
        if !takes {
            self.dropped.count_stranger(at);
        }
        takes
    }

    /// Counts a call that gets no row.
    pub(crate) fn count(&self, counted: &Counted) {
        if !self.tally.count(&counted.tenant, counted.key, counted.outcome, counted.at) {
            self.dropped.count(1, self.clock.now());
        }
    }

    /// The refusal in a call, if it is one.
    pub(crate) fn record_refusal_of(&self, subject: &Subject) {
        if let Some(refusal) = subject.refusal() {
            self.record_refusal(refusal);
        }
    }

    /// What was not written down since this node started.
    pub fn dropped(&self) -> Dropped {
        let notes = self.dropped.notes.load(Ordering::Relaxed);
        let last_at = Timestamp::from_micros(self.dropped.last_at.load(Ordering::Relaxed)).ok();
        Dropped { notes, last_at: last_at.filter(|_| notes > 0) }
    }

    /// How many notes wait to be taken over.
    pub(crate) fn waiting(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }

    fn note(&self, note: Note) {
        if self.sender.try_send(note).is_err() {
            self.dropped.count(1, self.clock.now());
        }
        if self.waiting() >= FULL {
            self.full.notify_one();
        }
    }
}

/// What was noted and is not written yet.
struct Queue {
    receiver: mpsc::Receiver<Note>,
    uses: HashMap<KeyId, Timestamp>,
    platform_uses: HashMap<PlatformKeyId, Timestamp>,
    refusals: Vec<RefusalRow>,
    calls: Vec<RequestRow>,
    usage: HashMap<(Tenant, UtcDay, Option<KeyId>, Outcome), u64>,
    sightings: HashMap<SightedBy, SightingRow>,
    /// Networks of keys to write down, with their first use.
    networks: BTreeMap<(KeyId, Network), Timestamp>,
    /// Networks that are written down, so that the database is asked once.
    known_networks: HashSet<(KeyId, Network)>,
}

/// Which sighting of a key is the same one.
type SightedBy = (KeyId, u32, Option<String>, Option<String>, Option<String>);

impl Queue {
    fn new(receiver: mpsc::Receiver<Note>) -> Self {
        Self {
            receiver,
            uses: HashMap::new(),
            platform_uses: HashMap::new(),
            refusals: Vec::new(),
            calls: Vec::new(),
            usage: HashMap::new(),
            sightings: HashMap::new(),
            networks: BTreeMap::new(),
            known_networks: HashSet::new(),
        }
    }

    fn take_call(&mut self, call: Call) {
        let Call { row, seen, network, counted } = call;
        if let Some(environment) = row.environment.filter(|_| !counted) {
            let tenant = Tenant::new(row.business.clone(), environment);
            let counter = (tenant, UtcDay::of(row.at), row.key_id, row.outcome);
            *self.usage.entry(counter).or_default() += 1;
        }
        if let Some(seen) = seen {
            let by = (seen.key_id, seen.version, seen.address.clone(), seen.client.clone(), seen.origin.clone());
            self.sightings
                .entry(by)
                .and_modify(|known| {
                    known.requests += 1;
                    known.first_seen_at = known.first_seen_at.min(seen.first_seen_at);
                    known.last_seen_at = known.last_seen_at.max(seen.last_seen_at);
                })
                .or_insert(seen);
        }
        if let (Some(key), Some(network)) = (row.key_id, network)
            && !self.known_networks.contains(&(key, network))
        {
            self.networks.entry((key, network)).or_insert(row.at);
        }
        self.calls.push(row);
    }

    /// Takes over what is waiting, up to a bound, so that an outage cannot fill the memory.
    fn drain(&mut self) {
        while self.waiting() < CAPACITY && self.calls.len() < CALLS_PER_WRITE {
            match self.receiver.try_recv() {
                Ok(Note::Use(key, at)) => keep_latest(&mut self.uses, key, at),
                Ok(Note::PlatformUse(key, at)) => keep_latest(&mut self.platform_uses, key, at),
                Ok(Note::Refusal(refusal)) => self.refusals.push(*refusal),
                Ok(Note::Call(call)) => self.take_call(*call),
                Err(_) => return,
            }
        }
    }

    /// Takes over what was counted of at most `most` keys.
    fn take_tally(&mut self, tally: &Tally, most: usize) {
        for ((key, day, outcome), counted) in tally.take(most) {
            *self.usage.entry((counted.tenant, day, Some(key), outcome)).or_default() += counted.requests;
            if outcome != Outcome::Refused {
                keep_latest(&mut self.uses, key, counted.last_at);
            }
        }
    }

    fn waiting(&self) -> usize {
        self.uses.len() + self.platform_uses.len() + self.refusals.len() + self.calls.len()
    }

    /// Forgets what was waiting, once it is written or given up.
    fn clear(&mut self) {
        self.calls.clear();
        self.usage.clear();
        self.sightings.clear();
        self.uses.clear();
        self.platform_uses.clear();
        self.refusals.clear();
    }

    async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let uses = in_order(&self.uses);
        let platform_uses = in_order(&self.platform_uses);
        let mut tx = store.begin_alone().await?;
        for chunk in uses.chunks(FULL) {
            tx.touch_keys(chunk).await?;
        }
        for chunk in platform_uses.chunks(FULL) {
            tx.touch_platform_keys(chunk).await?;
        }
        for chunk in self.refusals.chunks(FULL) {
            tx.insert_refusals(chunk).await?;
        }
        tx.insert_requests(&self.calls).await?;
        let usage: Vec<_> = self.usage.iter().map(usage_row).collect();
        tx.add_usage(&usage).await?;
        let sightings: Vec<_> = self.sightings.values().cloned().collect();
        tx.add_sightings(&sightings).await?;
        tx.commit().await
    }
}

/// What the database had to do with it; anything else is told at once, since trying again would not mend it.
pub(crate) fn stored(job: &'static str, done: Result<(), ServiceError>) -> Result<(), StoreError> {
    match done {
        Err(ServiceError::Store(error)) => Err(error),
        Err(error) => {
            report(job, &error);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn usage_row((counter, requests): (&(Tenant, UtcDay, Option<KeyId>, Outcome), &u64)) -> UsageRow {
    let (tenant, day, key_id, outcome) = counter;
    UsageRow { tenant: tenant.clone(), day: *day, key_id: *key_id, outcome: *outcome, requests: *requests }
}

fn keep_latest<K: Eq + Hash>(uses: &mut HashMap<K, Timestamp>, key: K, at: Timestamp) {
    uses.entry(key).and_modify(|known| *known = at.max(*known)).or_insert(at);
}

/// By id: two nodes that touch the same rows take their locks in one order.
fn in_order<K: Copy + Ord>(uses: &HashMap<K, Timestamp>) -> Vec<(K, Timestamp)> {
    let mut list: Vec<_> = uses.iter().map(|(key, at)| (*key, *at)).collect();
    list.sort_unstable();
    list
}

/// The background jobs. Clones share everything; one of them runs them.
#[derive(Clone)]
pub struct Jobs {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    secrets: Secrets,
    clock: Arc<dyn Clock>,
    keep: Keep,
    recorder: Recorder,
    board: Board,
    queue: Mutex<Queue>,
    index: Arc<Index>,
    events: Notify,
    deliveries: Notify,
    /// The place in the sequence of changes of the last one that was a payment's.
    payments: watch::Sender<i64>,
    is_writing_last: AtomicBool,
    /// The application that the jobs belong to, for those that do what use cases do.
    core: OnceLock<Weak<Core>>,
}

impl fmt::Debug for Jobs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Jobs")
    }
}

impl Jobs {
    /// The jobs of one application. Nothing happens until they are run.
    pub(crate) fn new(store: Store, secrets: Secrets, clock: Arc<dyn Clock>, keep: Keep, index: Arc<Index>) -> Self {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        let recorder = Recorder {
            sender,
            full: Arc::new(Notify::new()),
            dropped: Arc::new(DropCounter::default()),
            tally: Arc::default(),
            measures: Arc::default(),
            clock: Arc::clone(&clock),
        };
        let queue = Mutex::new(Queue::new(receiver));
        let board = Board::new(Arc::clone(&clock));
        Self {
            inner: Arc::new(Inner {
                store,
                secrets,
                clock,
                keep,
                recorder,
                board,
                queue,
                index,
                events: Notify::new(),
                deliveries: Notify::new(),
                payments: watch::Sender::new(0),
                is_writing_last: AtomicBool::new(false),
                core: OnceLock::new(),
            }),
        }
    }

    /// How the jobs are doing.
    pub(crate) fn states(&self) -> Vec<JobState> {
        self.inner.board.states()
    }

    /// Makes these the jobs of an application.
    pub(crate) fn serve(&self, core: &Arc<Core>) {
        self.inner.core.get_or_init(|| Arc::downgrade(core));
    }

    pub(crate) fn core(&self) -> Option<Arc<Core>> {
        self.inner.core.get().and_then(Weak::upgrade)
    }

    /// Where each job says how it is doing.
    pub(crate) fn board(&self) -> &Board {
        &self.inner.board
    }

    pub(crate) fn deliveries(&self) -> &Notify {
        &self.inner.deliveries
    }

    /// Changes whenever a payment does, on whichever node.
    pub fn payment_changes(&self) -> watch::Receiver<i64> {
        self.inner.payments.subscribe()
    }

    /// Where requests leave their notes.
    pub fn recorder(&self) -> Recorder {
        self.inner.recorder.clone()
    }

    /// Runs all jobs until `shutdown` becomes true or its sender is gone, and writes down the last notes.
    /// No failure ends them.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) {
        // Boxed, so that whoever spawns this does not carry all the state machines on its stack.
        tokio::join!(
            Box::pin(self.write_what_was_counted(shutdown.clone())),
            Box::pin(until_shutdown(shutdown.clone(), self.while_clock_is_sure(&shutdown, || self.dispatch()))),
            Box::pin(until_shutdown(shutdown.clone(), self.follow_once_known())),
            Box::pin(until_shutdown(shutdown.clone(), self.move_rows())),
            Box::pin(until_shutdown(shutdown.clone(), self.while_clock_is_sure(&shutdown, || self.announce()))),
            Box::pin(until_shutdown(shutdown.clone(), self.while_clock_is_sure(&shutdown, || self.watch_ledgers()))),
            Box::pin(until_shutdown(shutdown.clone(), self.while_clock_is_sure(&shutdown, || self.remind()))),
            Box::pin(until_shutdown(shutdown.clone(), self.while_clock_is_sure(&shutdown, || self.reconcile()))),
            Box::pin(self.while_clock_is_sure(&shutdown, || self.watch_networks(shutdown.clone()))),
            Box::pin(until_shutdown(shutdown.clone(), self.while_clock_is_sure(&shutdown, || self.prune()))),
            Box::pin(until_shutdown(shutdown.clone(), self.tell_node())),
            Box::pin(self.while_clock_is_sure(&shutdown, || self.deliver(shutdown.clone()))),
        );
        if let Some(core) = self.core()
            && let Err(error) = core.node.leave(&core.store).await
        {
            report("nodes", &error);
        }
    }

    /// Writes down uses and refusals and sums what was counted, and after the shutdown what is left of it.
    async fn write_what_was_counted(&self, shutdown: watch::Receiver<bool>) {
        tokio::join!(self.record(shutdown.clone()), self.sum_quotas(shutdown.clone()), async {
            until_shutdown(shutdown.clone(), std::future::pending()).await;
            self.inner.is_writing_last.store(true, Ordering::Relaxed);
        });
        // Somebody may have the database for a moment; what is not written now is lost.
        for _ in 0..LAST_TRIES {
            match self.write_last().await {
                Ok(()) => break,
                Err(error) if error.is_unavailable() => tokio::time::sleep(BACK_OFF).await,
                // What the database will never take is given up: the rest of it is not.
                Err(_) => {}
            }
        }
        self.inner.is_writing_last.store(false, Ordering::Relaxed);
    }

    /// Writes down all that was noted and counted.
    async fn write_last(&self) -> Result<(), StoreError> {
        let written = self.flush_now().await.inspect_err(|error| report("recorder", error));
        let summed = match self.core() {
            Some(core) => core.limiter.sum(&core.store).await.inspect_err(|error| report("quotas", error)),
            None => Ok(()),
        };
        written.and(summed)
    }

    /// Sums what was counted of quotas.
    async fn sum_quotas(&self, shutdown: watch::Receiver<bool>) {
        let mut health = Health::new("quotas").on(&self.inner.board);
        // Only the pause is cut short: what is being summed is summed to its end, or counted twice.
        while !*shutdown.borrow() && shutdown.has_changed().is_ok() {
            until_shutdown(shutdown.clone(), tokio::time::sleep(SUM_EVERY)).await;
            let Some(core) = self.core() else { return };
            health.note(core.limiter.sum(&core.store).await).await;
        }
    }

    /// Tells the other servers which changes this one has.
    async fn tell_node(&self) {
        let mut health = Health::new("nodes").on(&self.inner.board);
        if let Some(core) = self.core() {
            core.node.tell(&core, &mut health).await;
        }
    }

    /// Runs a job while this node's clock may be believed. By one that is wrong, leases would be taken until another day
    /// or from others who hold them, and what is young would be pruned.
    pub async fn while_clock_is_sure<F: Future<Output = ()>>(
        &self,
        shutdown: &watch::Receiver<bool>,
        job: impl Fn() -> F,
    ) {
        loop {
            until_shutdown(shutdown.clone(), self.clock_becomes(true)).await;
            if *shutdown.borrow() || shutdown.has_changed().is_err() {
                // It ends by itself, and may have something to give back.
                return job().await;
            }
            tokio::select! {
                () = job() => return,
                () = self.clock_becomes(false) => {}
            }
        }
    }

    async fn clock_becomes(&self, sure: bool) {
        while self.inner.index.clock_is_sure() != sure {
            tokio::time::sleep(LOOK_AT_CLOCK_EVERY).await;
        }
    }

    /// One pass of what is waiting: notes are written, events handed out, webhooks sent. For tests.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_pending(&self) -> Result<(), StoreError> {
        self.flush_now().await?;
        if let Some(core) = self.core() {
            core.limiter.sum(&core.store).await?;
        }
        self.announce_once().await?;
        self.watch_once().await?;
        self.remind_once().await?;
        self.watch_networks_once().await?;
        self.dispatch_waiting().await?;
        self.deliver_due().await
    }

    /// Whether the last notes are being written, or tried to be: from the shutdown on.
    pub fn is_writing_last(&self) -> bool {
        self.inner.is_writing_last.load(Ordering::Relaxed)
    }

    /// How many notes, and counts of keys, nobody has begun to write down.
    pub fn unwritten(&self) -> usize {
        self.inner.recorder.waiting() + self.inner.recorder.tally.waiting()
    }

    /// Writes down all notes that were taken before this call.
    ///
    /// # Errors
    /// When the database fails; the notes are kept for the next time if that was an outage.
    pub async fn flush_now(&self) -> Result<(), StoreError> {
        self.flush(usize::MAX).await
    }

    /// The same, but for what is counted of keys beyond so many: that waits for the next turn.
    async fn flush(&self, tallied: usize) -> Result<(), StoreError> {
        let mut queue = self.inner.queue.lock().await;
        let mut left = tallied;
        loop {
            // What could not be written waits to be written first: an outage does not make it grow.
            if queue.usage.is_empty() {
                let step = left.min(TALLIED_PER_WRITE);
                queue.take_tally(&self.inner.recorder.tally, step);
                left -= step;
            }
            queue.drain();
            // Of keys that were only refused there is nothing but counts.
            if queue.waiting() == 0 && queue.usage.is_empty() {
                return Ok(());
            }
            match queue.write(&self.inner.store).await {
                Ok(()) => {
                    queue.clear();
                    self.note_networks(&mut queue).await?;
                }
                Err(error) => {
                    if !error.is_unavailable() {
                        // What the database will never take must not hold up what it would.
                        let notes = u64::try_from(queue.waiting() + queue.usage.len()).unwrap_or(u64::MAX);
                        self.inner.recorder.dropped.count(notes, self.inner.clock.now());
                        queue.networks.clear();
                        queue.clear();
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Writes down from where keys were used, each network with the notice that it is new. What cannot be written
    /// waits for the next time.
    async fn note_networks(&self, queue: &mut Queue) -> Result<(), StoreError> {
        let Some(core) = self.core() else { return Ok(()) };
        while let Some(((key, network), at)) = queue.networks.first_key_value().map(|(by, at)| (*by, *at)) {
            stored("notices", notices::of_network(&core, key, network, at).await)?;
            queue.networks.remove(&(key, network));
            if queue.known_networks.len() >= NETWORKS_IN_MEMORY {
                queue.known_networks.clear();
            }
            queue.known_networks.insert((key, network));
        }
        Ok(())
    }

    async fn announce(&self) {
        let mut health = Health::new("announcements").on(&self.inner.board);
        loop {
            health.note(self.announce_once().await).await;
            tokio::time::sleep(ANNOUNCE_EVERY).await;
        }
    }

    /// Tells of keys that end soon.
    async fn announce_once(&self) -> Result<(), StoreError> {
        match self.core() {
            Some(core) => stored("notices", notices::of_ending_keys(&core).await),
            None => Ok(()),
        }
    }

    async fn watch_ledgers(&self) {
        let mut health = Health::new("payments").on(&self.inner.board);
        loop {
            health.note(self.watch_once().await).await;
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }

    /// Looks at the ledgers that have something to tell, lets payments expire, and makes the periods that are due.
    async fn watch_once(&self) -> Result<(), StoreError> {
        match self.core() {
            Some(core) => stored("payments", payments::watch(&core).await),
            None => Ok(()),
        }
    }

    async fn remind(&self) {
        let mut health = Health::new("reminders").on(&self.inner.board);
        loop {
            health.note(self.remind_once().await).await;
            tokio::time::sleep(REMIND_EVERY).await;
        }
    }

    /// Reminds customers of invoices, each time once.
    async fn remind_once(&self) -> Result<(), StoreError> {
        match self.core() {
            Some(core) => stored("reminders", payments::reminders::send_due(&core, None).await),
            None => Ok(()),
        }
    }

    async fn reconcile(&self) {
        // Nothing of it is anybody's concern where no network is watched.
        if self.core().is_none_or(|core| core.networks.all().next().is_none()) {
            return;
        }
        let mut health = Health::new("reconciliation").on(&self.inner.board);
        loop {
            health.note(self.reconcile_once().await).await;
            tokio::time::sleep(RECONCILE_EVERY).await;
        }
    }

    /// Compares the sums of the networks whose time has come.
    async fn reconcile_once(&self) -> Result<(), StoreError> {
        match self.core() {
            Some(core) => stored("reconciliation", Reconciliations::new(&core).run_due().await),
            None => Ok(()),
        }
    }

    /// Watches over every network, each by itself: one that does not answer holds up no other one.
    async fn watch_networks(&self, shutdown: watch::Receiver<bool>) {
        let Some(core) = self.core() else { return };
        if core.networks.all().next().is_none() {
            return;
        }
        let mut watchers = JoinSet::new();
        for network in core.networks.all() {
            let (core, network) = (Arc::clone(&core), Arc::clone(network));
            watchers.spawn(async move { Box::pin(networks::watch::watch(&core, &network)).await });
        }
        until_shutdown(shutdown, self.note_networks_health()).await;
        watchers.shutdown().await;
        if let Err(error) = networks::watch::release(&core).await {
            report("networks", &error);
        }
    }

    /// Notes on the board whether all networks are well.
    async fn note_networks_health(&self) {
        self.inner.board.note("networks", None);
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            let Some(core) = self.core() else { return };
            let mut all = core.networks.all().map(|network| network.health());
            let is_well = all.all(|health| health.failure.is_none() && !health.is_stale);
            self.inner.board.note("networks", Some(is_well));
        }
    }

    /// One turn of the watch over each network. For tests.
    async fn watch_networks_once(&self) -> Result<(), StoreError> {
        let Some(core) = self.core() else { return Ok(()) };
        for network in core.networks.all() {
            loop {
                match networks::watch::step(&core, network, false).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        stored("networks", Err(error))?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes down what was noted, turn by turn. What is left at the end is written once all jobs have ended.
    async fn record(&self, shutdown: watch::Receiver<bool>) {
        let mut health = Health::new("recorder").on(&self.inner.board);
        let mut tallied = Instant::now();
        loop {
            let pause = async {
                // A timeout is the usual case: the turn has come.
                let _ = tokio::time::timeout(FLUSH_EVERY, self.inner.recorder.full.notified()).await;
            };
            // Only the pauses are cut short: what is being written is written to its end, or counted twice.
            until_shutdown(shutdown.clone(), pause).await;
            if *shutdown.borrow() || shutdown.has_changed().is_err() {
                return;
            }
            // The longer counts are gathered, the fewer rows they are; those of many keys are written as they come.
            let waiting = self.inner.recorder.tally.waiting();
            let due = tallied.elapsed() >= TALLY_EVERY || waiting > MANY_TALLIED;
            if due {
                tallied = Instant::now();
            }
            let most = TALLIED_PER_TURN.max(waiting / TALLIED_PART);
            let written = self.flush(if due { most } else { 0 }).await;
            until_shutdown(shutdown.clone(), health.note(written)).await;
        }
    }

    async fn dispatch(&self) {
        let mut health = Health::new("dispatcher").on(&self.inner.board);
        loop {
            health.note(self.dispatch_waiting().await).await;
            let _ = tokio::time::timeout(DISPATCH_EVERY, self.inner.events.notified()).await;
        }
    }

    /// Hands out all waiting events, each at least once.
    async fn dispatch_waiting(&self) -> Result<(), StoreError> {
        loop {
            let now = self.inner.clock.now();
            if !self.inner.index.clock_is_sure() {
                return Ok(());
            }
            let mut tx = self.inner.store.begin().await?;
            let claimed = tx.claim_outbox(now, now.saturating_add(LEASE), EVENTS_PER_CLAIM).await?;
            tx.commit().await?;
            if claimed.is_empty() {
                return Ok(());
            }
            for row in &claimed {
                hand_out(&row.event);
            }
            let core = self.core();
            let mut tx = self.inner.store.begin_alone().await?;
            let mut queue = FanOut::at(now);
            let mut dispatched = Vec::with_capacity(claimed.len());
            for row in &claimed {
                let queued = match &core {
                    Some(core) => queue.add(core, &mut tx, &row.event).await,
                    None => Ok(()),
                };
                match queued {
                    Ok(()) => dispatched.push((row.event.id, row.attempt)),
                    Err(error) if error.is_unavailable() => return Err(error),
                    // A row that cannot be read must not hold up the events of others.
                    Err(error) => webhooks::cannot_queue(&row.event, &error),
                }
            }
            tx.finish_outbox(dispatched).await?;
            tx.commit().await?;
            if queue.has_queued() {
                self.wake_deliveries();
            }
            if claimed.len() < EVENTS_PER_CLAIM as usize {
                // There were no more.
                return Ok(());
            }
        }
    }

    /// Follows the changes once the other servers know of this one: what it answers from memory is then waited for.
    async fn follow_once_known(&self) {
        if let Some(core) = self.core() {
            core.node.entered().await;
        }
        self.follow_changes().await;
    }

    /// Keeps the memory of this node true, and tells of changes, until nobody waits for it any more.
    pub async fn follow_changes(&self) {
        tokio::join!(self.listen(), self.apply_changes(), self.tell_memory());
    }

    /// Tells how memory and database are doing, whatever keeps the follower.
    async fn tell_memory(&self) {
        let mut sure = true;
        loop {
            self.inner.index.tell();
            if let Some(commits) = self.inner.store.commits() {
                metrics::counter!("trousseau_store_commits_total").absolute(commits.transactions);
                metrics::counter!("trousseau_store_committed_total").absolute(commits.turns);
            }
            if std::mem::replace(&mut sure, self.inner.index.clock_is_sure()) != sure {
                if sure {
                    tracing::info!("the clocks of this node and of the database agree again");
                } else {
                    tracing::error!("{}: keys and pages are refused, jobs wait", ServiceError::ClockUnsure);
                }
            }
            tokio::time::sleep(TELL_EVERY).await;
        }
    }

    /// Hears that something may have changed. A message that is lost is made up for by asking every now and then.
    async fn listen(&self) {
        let mut health = Health::new("change watcher").on(&self.inner.board);
        let mut watcher = self.inner.store.watch();
        loop {
            let heard = watcher.changed().await;
            self.inner.index.heard();
            health.note(heard).await;
        }
    }

    /// Wakes those who wait for what changed; gives whether the key file may be another one.
    fn tell_of(&self, seen: &Seen) -> bool {
        match seen {
            Seen::Changes(changes) => {
                if let Some(change) = changes.iter().rfind(|change| change.kind == ChangeKind::Payment) {
                    self.inner.payments.send_replace(change.seq);
                }
                if !changes.is_empty() {
                    self.inner.events.notify_one();
                }
                changes.iter().any(|change| change.kind == ChangeKind::Secrets)
            }
            Seen::Anew => {
                self.inner.payments.send_modify(|_| {});
                self.inner.events.notify_one();
                true
            }
        }
    }

    async fn apply_changes(&self) {
        let mut health = Health::new("memory of keys").on(&self.inner.board);
        // A change between the opening of the key file and now is in no feed that we read.
        let mut reload_due = true;
        let mut tried = None;
        let store = self.inner.store.first();
        loop {
            match self.inner.index.prove(&store).await {
                Ok(seen) => {
                    reload_due |= self.tell_of(&seen);
                    health.note(Ok(())).await;
                }
                Err(error) => health.note(Err(error)).await,
            }
            if reload_due && tried.is_none_or(|tried: Instant| tried.elapsed() >= BACK_OFF) {
                tried = Some(Instant::now());
                match self.inner.secrets.reload().await {
                    Ok(()) => (reload_due, tried) = (false, None),
                    Err(error) => report("key ring", &error),
                }
            }
            self.inner.index.wait().await;
        }
    }

    /// Ends a rotation of secrets that was broken off, and each one that comes: until this and other servers have taken it
    /// up, they go on with what was before.
    async fn move_rows(&self) {
        let mut taken_up = self.inner.secrets.taken_up();
        loop {
            while let Err(error) = self.inner.secrets.move_rows().await {
                report("secrets", &error);
                tokio::time::sleep(PRUNE_EVERY).await;
            }
            if taken_up.changed().await.is_err() {
                return;
            }
            tokio::time::sleep(PEPPER_GRACE).await;
        }
    }

    async fn prune(&self) {
        let mut health = Health::new("pruning").on(&self.inner.board);
        loop {
            health.note(self.prune_once().await).await;
            tokio::time::sleep(PRUNE_EVERY).await;
        }
    }

    /// Removes what is older than its time, in small steps that let requests in between.
    async fn prune_once(&self) -> Result<(), StoreError> {
        let now = self.inner.clock.now();
        loop {
            let mut tx = self.inner.store.begin_alone().await?;
            let refusals = tx.prune_refusals(now.saturating_sub(self.inner.keep.refusals), PRUNE_STEP).await?;
            let requests = tx.prune_requests(now.saturating_sub(self.inner.keep.requests), PRUNE_STEP).await?;
            let first_day = UtcDay::of(now.saturating_sub(self.inner.keep.usage));
            let usage = tx.prune_usage(first_day, PRUNE_STEP).await?;
            let days = tx.prune_quota_counts(Period::Day, first_day.number(), PRUNE_STEP).await?;
            let month = Period::Month.number_at(first_day.start());
            let months = tx.prune_quota_counts(Period::Month, month, PRUNE_STEP).await?;
            let records = tx.prune_idempotency(now, PRUNE_STEP).await?;
            let deliveries_before = now.saturating_sub(self.inner.keep.deliveries);
            let waiting_before = now.saturating_sub(self.inner.keep.deliveries.max(KEEP_WAITING));
            let deliveries = tx.prune_deliveries(deliveries_before, waiting_before, PRUNE_STEP).await?;
            let mails = tx.prune_invoice_mails(now.saturating_sub(MAILS_COUNT_FOR), PRUNE_STEP).await?;
            let changes = tx.prune_changes(now.saturating_sub(KEEP_CHANGES), PRUNE_STEP).await?;
            let attempts_before = now.saturating_sub(KEEP_ATTEMPTS);
            let people = tx.prune_people(now, attempts_before, now.saturating_sub(KEEP_DEVICES), PRUNE_STEP).await?;
            tx.commit().await?;
            let removed = [refusals, requests, usage, days, months, records, deliveries, mails, changes, people];
            if removed.into_iter().all(|rows| rows < u64::from(PRUNE_STEP)) {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }
}

/// One structured line: what a log shipper takes events from.
fn hand_out(event: &EventRow) {
    tracing::info!(
        event.id = %event.id,
        event.r#type = %event.kind,
        business.id = %event.business,
        environment = event.environment.map(tracing::field::display),
        key.id = event.key_id.map(tracing::field::display),
        "event"
    );
}

pub(crate) async fn until_shutdown(mut shutdown: watch::Receiver<bool>, job: impl Future<Output = ()>) {
    tokio::select! {
        // An error means that the sender is gone, and the program with it.
        _ = shutdown.wait_for(|ended| *ended) => {}
        () = job => {}
    }
}

/// Says once that a job fails, and once that it is well again.
pub(crate) struct Health {
    job: &'static str,
    failing: bool,
    board: Option<Board>,
}

impl Health {
    pub(crate) const fn new(job: &'static str) -> Self {
        Self { job, failing: false, board: None }
    }

    /// The same, noted on a board.
    pub(crate) fn on(self, board: &Board) -> Self {
        board.note(self.job, None);
        Self { board: Some(board.clone()), ..self }
    }

    pub(crate) async fn note(&mut self, result: Result<(), StoreError>) {
        if let Some(board) = &self.board {
            board.note(self.job, Some(result.is_ok()));
        }
        match result {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!(job = self.job, "background job is well again");
            }
            Ok(()) => {}
            Err(error) => {
                if !self.failing {
                    report(self.job, &error);
                }
                self.failing = true;
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

pub(crate) fn report(job: &'static str, error: &(dyn std::error::Error + 'static)) {
    tracing::error!(job, error = with_causes(error), "background job failed");
}

/// What an error says, and what all of its causes do.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use trousseau_domain::actor::Actor;
    use trousseau_domain::environment::Environment;
    use trousseau_domain::ids::{EventId, MailId, RequestId};
    use trousseau_domain::requests::Door;
    use trousseau_store::testing::TestDatabase;
    use trousseau_store::{MailRow, SealedPlace, SecretKind, StoreOptions};

    use super::*;
    use crate::clock::ManualClock;
    use crate::entropy::SeededEntropy;
    use crate::key_ring::Cell;
    use crate::settings::Settings;

    fn now() -> Timestamp {
        "2026-01-31T09:30:00Z".parse().expect("good")
    }

    async fn secrets(database: &TestDatabase, seed: u64) -> Secrets {
        let path = database.folder().expect("SQLite has one").join("keys.toml");
        let entropy = Arc::new(SeededEntropy::new(seed));
        let clock = Arc::new(ManualClock::new(now()));
        Secrets::open(database.store().clone(), path, clock, entropy).await.expect("opens")
    }

    async fn jobs(database: &TestDatabase) -> Jobs {
        let clock = Arc::new(ManualClock::new(now()));
        let index = Arc::new(Index::new(Settings::default()));
        Jobs::new(database.store().clone(), secrets(database, 1).await, clock, Keep::default(), index)
    }

    async fn add_business(database: &TestDatabase) {
        database
            .run(
                "INSERT INTO businesses (id, name, profile, time_zone, language, metadata, created_at, revision) \
                 VALUES ('b-1', 'One', 'codat', 'UTC', 'en', '{}', 0, 0)",
            )
            .await
            .expect("inserted");
    }

    fn refusal(reference: u8) -> RefusalRow {
        RefusalRow {
            reference: RequestId::from_random([reference; 16]),
            at: now(),
            business: "b-1".parse().expect("good"),
            environment: None,
            key_id: None,
            key_version: None,
            code: "expired".to_owned(),
            method: "GET".to_owned(),
            path: "/v1/keys".to_owned(),
            address: None,
            last_three: None,
            origin: None,
            missing_scope: None,
            client: None,
            door: Door::Api,
        }
    }

    #[tokio::test]
    async fn notes_are_written_at_the_next_flush_and_at_shutdown() {
        let database = TestDatabase::sqlite().await;
        add_business(&database).await;
        let jobs = jobs(&database).await;
        jobs.recorder().record_refusal(refusal(1));
        jobs.run_pending().await.expect("written");
        assert_eq!(database.texts("SELECT reference FROM refusals").await.len(), 1);
        jobs.recorder().record_refusal(refusal(2));
        let (stop, stopped) = watch::channel(true);
        jobs.run(stopped).await;
        drop(stop);
        assert_eq!(database.texts("SELECT reference FROM refusals").await.len(), 2);
    }

    #[tokio::test]
    async fn the_last_notes_wait_for_whoever_has_the_database() {
        let options = StoreOptions { acquire_timeout: Duration::from_millis(100), ..StoreOptions::default() };
        let database = TestDatabase::sqlite_with(&options).await;
        add_business(&database).await;
        let jobs = jobs(&database).await;
        jobs.recorder().record_refusal(refusal(1));
        let held = database.store().begin().await.expect("the one writer");
        let (_stop, stopped) = watch::channel(true);
        let released = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            drop(held);
        };
        tokio::join!(jobs.run(stopped), released);
        assert_eq!(database.texts("SELECT reference FROM refusals").await.len(), 1);
    }

    /// One refused call of each of so many keys.
    fn count_refused(jobs: &Jobs, keys: usize) {
        let tenant = Tenant::new("b-1".parse().expect("good"), Environment::Test);
        for key in 0..keys {
            let key = KeyId::from_bits(u128::try_from(key).expect("fits"));
            assert!(jobs.inner.recorder.tally.count(&tenant, key, Outcome::Refused, now()));
        }
    }

    async fn counted(database: &TestDatabase) -> Vec<String> {
        database.texts("SELECT CAST(COALESCE(SUM(requests), 0) AS TEXT) FROM usage_days").await
    }

    #[tokio::test]
    async fn what_is_counted_of_refused_calls_is_written_although_there_is_nothing_else() {
        let database = TestDatabase::sqlite().await;
        add_business(&database).await;
        let jobs = jobs(&database).await;
        count_refused(&jobs, TALLIED_PER_WRITE + 1);
        assert_eq!(jobs.unwritten(), TALLIED_PER_WRITE + 1);
        jobs.flush_now().await.expect("written");
        assert_eq!((counted(&database).await, jobs.unwritten()), (vec!["1001".to_owned()], 0));
    }

    #[tokio::test]
    async fn what_cannot_be_written_does_not_grow() {
        let database = TestDatabase::sqlite().await;
        let jobs = jobs(&database).await;
        count_refused(&jobs, TALLIED_PER_WRITE * 3);
        database.store().close().await;
        for _ in 0..3 {
            assert!(jobs.flush_now().await.expect_err("closed").is_unavailable());
            assert_eq!(jobs.inner.queue.lock().await.usage.len(), TALLIED_PER_WRITE);
        }
        assert_eq!(jobs.unwritten(), TALLIED_PER_WRITE * 2);
    }

    #[tokio::test]
    async fn what_was_sealed_before_a_rotation_was_taken_up_moves_afterwards() {
        let database = TestDatabase::sqlite().await;
        let (jobs, there) = (jobs(&database).await, secrets(&database, 2).await);
        let moving = tokio::spawn({
            let jobs = jobs.clone();
            async move { jobs.move_rows().await }
        });
        there.rotate(&[SecretKind::Kek], &Actor::System, None).await.expect("rotated");
        let id = MailId::new(now(), [1; 10]);
        let name = id.to_string();
        let ring = jobs.inner.secrets.ring().get();
        let sealed = ring.seal(b"{}", &Cell::of(SealedPlace::Mail, &name), &SeededEntropy::new(3));
        let mail = MailRow {
            id,
            account: None,
            template: "reset".to_owned(),
            sealed,
            created_at: now(),
            attempt: 0,
            next_at: now(),
        };
        let mut tx = database.store().begin().await.expect("begins");
        tx.insert_mail(&mail).await.expect("queued");
        tx.commit().await.expect("commits");
        let version = async || database.texts("SELECT CAST(kek_version AS TEXT) FROM mails").await;
        assert_eq!(version().await, ["1"]);
        jobs.inner.secrets.reload().await.expect("taken up");
        while version().await != ["2"] {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        moving.abort();
    }

    #[tokio::test]
    async fn what_is_being_committed_at_the_end_is_counted_once() {
        let database = TestDatabase::sqlite().await;
        add_business(&database).await;
        let jobs = jobs(&database).await;
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn({
            let jobs = jobs.clone();
            async move { jobs.run(stopped).await }
        });
        // By then the other jobs have written what they write at their start.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let store = database.store();
        let moment = store.moment();
        count_refused(&jobs, MANY_TALLIED + 1);
        // So many that they are written at once.
        jobs.recorder().record_platform_use(PlatformKeyId::from_bits(1), now());
        jobs.inner.recorder.full.notify_one();
        let commit_begins = async {
            loop {
                tokio::select! {
                    biased;
                    // There is nothing to wait for as long as nobody waits for a commit.
                    _ = store.settled(moment) => tokio::task::yield_now().await,
                    () = std::future::ready(()) => return,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), commit_begins).await.expect("in time");
        stop.send(true).expect("running");
        running.await.expect("ends");
        assert_eq!(counted(&database).await, ["5001"]);
    }

    #[tokio::test]
    async fn jobs_say_how_they_are_doing() {
        let board = Board::new(Arc::new(ManualClock::new(now())));
        let mut health = Health::new("recorder").on(&board);
        let state = |last_ok, last_failed, failing| vec![JobState { job: "recorder", last_ok, last_failed, failing }];
        assert_eq!(board.states(), state(None, None, false));
        health.note(Ok(())).await;
        assert_eq!(board.states(), state(Some(now()), None, false));
        health.note(Err(StoreError::Address("nowhere"))).await;
        assert_eq!(board.states(), state(Some(now()), Some(now()), true));
        health.note(Ok(())).await;
        assert_eq!(board.states(), state(Some(now()), Some(now()), false));
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_does_not_wait() {
        let database = TestDatabase::sqlite().await;
        let jobs = jobs(&database).await;
        for micros in 0..12_000 {
            jobs.recorder().record_use(KeyId::from_bits(1), Timestamp::from_micros(micros).expect("in range"));
        }
        let mut queue = jobs.inner.queue.lock().await;
        queue.drain();
        assert_eq!(queue.waiting(), 1);
        assert_eq!(queue.uses[&KeyId::from_bits(1)].as_micros(), 9_999);
    }

    #[tokio::test]
    async fn events_leave_the_outbox_once_handed_out() {
        let database = TestDatabase::sqlite().await;
        add_business(&database).await;
        let jobs = jobs(&database).await;
        let mut tx = database.store().begin().await.expect("begins");
        for bits in 1..=250 {
            let event = EventRow {
                id: EventId::from_bits(bits),
                at: now(),
                business: "b-1".parse().expect("good"),
                environment: None,
                kind: "business.created".to_owned(),
                key_id: None,
                subject: None,
                actor: Actor::System,
                data: serde_json::json!({}),
                request_id: None,
            };
            tx.append_event(&event).await.expect("appended");
        }
        tx.commit().await.expect("commits");
        jobs.run_pending().await.expect("handed out");
        assert_eq!(database.store().read().count_outbox().await.expect("counted"), 0);
    }

    #[tokio::test]
    async fn a_rotation_of_another_process_is_taken_up_while_running() {
        let database = TestDatabase::sqlite().await;
        let jobs = jobs(&database).await;
        let other = secrets(&database, 2).await;
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn({
            let jobs = jobs.clone();
            async move { jobs.run(stopped).await }
        });
        other.rotate(&[SecretKind::Kek], &Actor::System, None).await.expect("rotated");
        let ring = jobs.inner.secrets.ring();
        let taken_up = async {
            while ring.get().current_kek() != 2 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), taken_up).await.expect("in time");
        stop.send(true).expect("running");
        running.await.expect("ends");
    }

    #[tokio::test]
    async fn old_rows_go_and_young_ones_stay() {
        let database = TestDatabase::sqlite().await;
        add_business(&database).await;
        let jobs = jobs(&database).await;
        let old = RefusalRow { at: now().saturating_sub(Keep::default().refusals + BACK_OFF), ..refusal(1) };
        jobs.recorder().record_refusal(old);
        jobs.recorder().record_refusal(refusal(2));
        jobs.flush_now().await.expect("written");
        jobs.prune_once().await.expect("pruned");
        assert_eq!(database.texts("SELECT reference FROM refusals").await, ["02".repeat(16)]);
    }
}
