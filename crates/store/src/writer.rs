//! SQLite's one writer: whose turn it is, and what is committed together.
//!
//! A commit waits for the disk, and the writer stands still meanwhile. Whoever waits for the writer anyway goes on in the
//! transaction that is open, under a savepoint of its own, and all of them are answered after the one commit (decision 28).
//! Whoever is alone commits at once.
//!
//! The transaction that is open is closed by whoever has the last turn: nobody waits for another one then. Where
//! somebody stops waiting, the last of them sees to it.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions as _, Connection as _, Either, Executor as _, Sqlite};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};
use tokio::time::{Instant, timeout};

use crate::error::{StoreError, Unavailability};
use crate::exec::STATEMENT_DEADLINE;
use crate::left::{Left, Stamp, TICK};
use crate::stmt::Stmt;

/// The most turns that are committed together: more would only make the first of them wait.
const MOST_TURNS: usize = 64;

const BEGIN: &str = "BEGIN IMMEDIATE";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";
const SAVE: &str = "SAVEPOINT turn";
const SAVE_NEXT: &str = "RELEASE turn; SAVEPOINT turn";
const UNDO: &str = "ROLLBACK TO turn";
/// Waits for nobody.
const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// How the common transaction ended.
type Outcome = Result<(), StoreError>;

/// The writer of one database. A clone is another handle to the same one.
#[derive(Clone)]
pub(crate) struct Writer(Arc<Shared>);

struct Shared {
    seat: Arc<Mutex<Seat>>,
    /// How long a turn is waited for.
    wait: Duration,
    /// How old a transaction becomes before it is committed although others wait.
    open_for: Duration,
    /// How many wait for a turn.
    waiting: AtomicUsize,
    told: std::sync::Mutex<Told>,
    commits: AtomicU64,
    turns: AtomicU64,
    /// What [`Seat::last_stamp`] was at the end.
    last_stamp: OnceLock<Stamp>,
}

/// Who wants to hear how the open transaction ends; nobody as long as nothing in it is to be kept.
#[derive(Default)]
struct Told {
    members: Vec<oneshot::Sender<Outcome>>,
    /// How many transactions were lost with something in them.
    lost: u64,
}

/// What belongs to whoever has the turn.
struct Seat {
    options: SqliteConnectOptions,
    /// Absent while a statement runs, and where the last one had to be given up.
    connection: Option<SqliteConnection>,
    open: Option<Open>,
    closed: bool,
    /// What [`data_version`] was at the beginning; none once the connection is another one.
    version: Option<i64>,
}

/// A number that stays as it is as long as nobody writes but this connection
/// (`sqlite.org/pragma.html#pragma_data_version`).
async fn data_version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await
}

/// The transaction that is open.
struct Open {
    since: Instant,
    /// Turns in it that are to be kept.
    turns: usize,
    savepoint: Savepoint,
    /// It may be gone already, as SQLite undoes all of it after some errors: nothing more may run in it.
    broken: bool,
}

/// Where the one savepoint stands, if there is one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Savepoint {
    None,
    /// Before the latest turn.
    Behind,
    /// Here: nothing was done since.
    Here,
}

/// What a statement gave.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) rows: Vec<SqliteRow>,
    /// Rows that it changed.
    pub(crate) changed: u64,
}

struct Failed {
    error: sqlx::Error,
    /// Whether what was done before it may be gone too.
    fatal: bool,
}

type Running = Pin<Box<dyn Future<Output = (SqliteConnection, Result<Done, Failed>)> + Send>>;

/// How many transactions were committed, and how many pieces of work in them, since the store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Commits {
    /// Waits for the disk.
    pub transactions: u64,
    /// What was kept by them: as much or more.
    pub turns: u64,
}

/// A moment, for [`Store::settled`](crate::Store::settled).
#[derive(Debug, Clone, Copy)]
pub struct Moment(pub(crate) u64);

/// What is lost with the transaction that it was done in.
fn given_up(source: Option<Box<sqlx::Error>>) -> StoreError {
    StoreError::Unavailable { reason: Unavailability::Undone, source }
}

/// Whether SQLite has undone the one statement and nothing else (`sqlite.org/lang_transaction.html`, "Response To Errors
/// Within A Transaction"): the codes for a wrong statement, a value that is too big or of another type, and a constraint.
fn spares_the_rest(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
    matches!(code.map(|code| code & 0xff), Some(1 | 18 | 19 | 20 | 25))
}

/// Statements that run one after the other, as one text.
struct Batch {
    stmt: Stmt,
    /// How many at the front are our own and cannot fail as long as the transaction is there.
    ours: usize,
    /// How many at the front are not asked for what they changed.
    before: usize,
}

impl Batch {
    /// One statement of our own.
    const fn own(sql: &'static str) -> Self {
        Self { stmt: Stmt::new(sql), ours: 1, before: 0 }
    }
}

/// Runs statements to their end.
async fn work(mut connection: SqliteConnection, batch: Batch) -> (SqliteConnection, Result<Done, Failed>) {
    let Batch { stmt, ours, before } = batch;
    let mut done = Done::default();
    let mut ended = 0;
    let result = {
        let mut results = (&mut connection).fetch_many(stmt.bind::<Sqlite>());
        loop {
            match results.try_next().await {
                Ok(Some(Either::Left(one))) => {
                    ended += 1;
                    done.changed += if ended > before { one.rows_affected() } else { 0 };
                }
                Ok(Some(Either::Right(row))) => done.rows.push(row),
                Ok(None) => break Ok(()),
                Err(error) => {
                    let fatal = ended < ours || !spares_the_rest(&error);
                    break Err(Failed { error, fatal });
                }
            }
        }
    };
    (connection, result.map(|()| done))
}

impl Seat {
    /// Runs a statement of our own to its end. Should nobody wait for that any more, the connection goes, and with it
    /// what was open on it.
    async fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        let connection = self.connection.take().ok_or(sqlx::Error::WorkerCrashed)?;
        let (connection, result) = work(connection, Batch::own(sql)).await;
        self.connection = Some(connection);
        result.map(drop).map_err(|failed| failed.error)
    }

    /// Undoes all that is open, whatever is left of it.
    async fn roll_back(&mut self) {
        self.open = None;
        // Where it was gone already, or cannot be undone, another connection begins without it.
        if self.run(ROLLBACK).await.is_err() {
            self.connection = None;
        }
    }

    /// The stamp that the file has now and keeps when this connection is closed, if nobody else has written since the
    /// beginning. Whoever writes after the question for that, before the close or after it, gives the file another one.
    async fn last_stamp(&mut self) -> Option<Stamp> {
        let version = self.version?;
        // Else the close would write the log into the file, and nothing would tell that from a stranger's write. Where
        // somebody still reads, some of it is left to the close, which changes the file: then nothing is kept.
        self.run(CHECKPOINT).await.ok()?;
        let stamp = Left::stamp_in_use(self.options.get_filename())?;
        // No change that is made after this can have the same time.
        tokio::time::sleep(TICK).await;
        let now = data_version(self.connection.as_mut()?).await.ok()?;
        (now == version).then_some(stamp)
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").field("commits", &self.commits()).finish_non_exhaustive()
    }
}

impl Writer {
    /// A turn on this connection is waited for no longer than `wait`, and a transaction is shared no longer than
    /// `open_for`; `options` are for the next connection, should this one be lost.
    pub(crate) async fn new(
        mut connection: SqliteConnection,
        options: SqliteConnectOptions,
        (wait, open_for): (Duration, Duration),
    ) -> Result<Self, StoreError> {
        let version = Some(data_version(&mut connection).await?);
        let seat = Seat { options, connection: Some(connection), open: None, closed: false, version };
        Ok(Self(Arc::new(Shared {
            seat: Arc::new(Mutex::new(seat)),
            wait,
            open_for,
            waiting: AtomicUsize::new(0),
            told: std::sync::Mutex::default(),
            commits: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            last_stamp: OnceLock::new(),
        })))
    }

    /// The stamp of the file as it was at [`Writer::end`], if nobody else has written from the beginning until then. As
    /// long as the file has it, nobody has written since.
    pub(crate) fn last_stamp(&self) -> Option<Stamp> {
        self.0.last_stamp.get().copied()
    }

    pub(crate) fn commits(&self) -> Commits {
        Commits { transactions: self.0.commits.load(Ordering::Relaxed), turns: self.0.turns.load(Ordering::Relaxed) }
    }

    /// How many wait for a turn.
    pub(crate) fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::SeqCst)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn. Where it is to be `alone`, nobody waits for its end in the same transaction: what is open is
    /// committed before, and it is committed by itself.
    pub(crate) async fn turn(&self, alone: bool) -> Result<Turn, StoreError> {
        let mut turn = self.arrive(alone).await?;
        turn.open().await?;
        Ok(turn)
    }

    async fn arrive(&self, alone: bool) -> Result<Turn, StoreError> {
        let mut waiting = Waiting::of(self);
        let seat =
            timeout(self.0.wait, Arc::clone(&self.0.seat).lock_owned()).await.map_err(|_| StoreError::timeout())?;
        waiting.arrived = true;
        drop(waiting);
        Ok(Turn {
            seat: Some(seat),
            running: None,
            writer: self.clone(),
            later: Vec::new(),
            touched: false,
            failed: false,
            alone,
        })
    }

    /// Whether the next turn can go on in what is open.
    fn goes_on(&self, open: &Open) -> bool {
        open.turns < MOST_TURNS && open.since.elapsed() < self.0.open_for && self.waiting() > 0
    }

    /// Somebody who will be told how what is open ends.
    fn join(&self) -> oneshot::Receiver<Outcome> {
        let (tell, told) = oneshot::channel();
        self.told().members.push(tell);
        told
    }

    /// Tells everybody that all is kept, or that all is lost; one of them, why.
    fn tell(&self, outcome: Outcome) {
        let members = {
            let mut told = self.told();
            told.lost += u64::from(outcome.is_err() && !told.members.is_empty());
            std::mem::take(&mut told.members)
        };
        match outcome {
            Ok(()) => {
                for member in members {
                    // Who went away does not want to know.
                    let _ = member.send(Ok(()));
                }
            }
            Err(mut error) => {
                for member in members {
                    let rest = match &error {
                        StoreError::Unavailable { reason, .. } => {
                            StoreError::Unavailable { reason: *reason, source: None }
                        }
                        _ => given_up(None),
                    };
                    if let Err(Err(unheard)) = member.send(Err(std::mem::replace(&mut error, rest))) {
                        error = unheard;
                    }
                }
            }
        }
    }

    /// Commits what is open and tells everybody.
    async fn close(&self, seat: &mut Seat) {
        let Some(open) = seat.open.take() else { return };
        if open.broken {
            self.tell(Err(given_up(None)));
            seat.roll_back().await;
        } else if open.turns == 0 {
            seat.roll_back().await;
        } else {
            match seat.run(COMMIT).await {
                Ok(()) => {
                    self.0.commits.fetch_add(1, Ordering::Relaxed);
                    self.0.turns.fetch_add(u64::try_from(open.turns).unwrap_or(u64::MAX), Ordering::Relaxed);
                    self.tell(Ok(()));
                }
                Err(error) => {
                    self.tell(Err(match StoreError::from(error) {
                        // No statement of theirs was wrong; whichever constraint it was, none of it is there.
                        StoreError::Unique { source, .. } | StoreError::Other(source) => given_up(Some(source)),
                        error => error,
                    }));
                    seat.roll_back().await;
                }
            }
        }
    }

    /// Sees to it that what is open is closed although nobody waits for a turn any more.
    fn close_soon(&self) {
        // Outside of the runtime nobody is left who waits: the connection ends with the store.
        let Ok(runtime) = Handle::try_current() else { return };
        let writer = self.clone();
        runtime.spawn(async move {
            let mut seat = Arc::clone(&writer.0.seat).lock_owned().await;
            writer.close(&mut seat).await;
        });
    }

    /// Puts in order what a turn left that is not to be kept.
    async fn tidy(self, mut seat: OwnedMutexGuard<Seat>, running: Option<Running>, touched: bool) {
        let is_broken = |seat: &Seat| seat.open.as_ref().is_some_and(|open| open.broken);
        if let Some(running) = running {
            if is_broken(&seat) {
                // Nobody has to wait for what hangs.
                self.tell(Err(given_up(None)));
            }
            let (connection, result) = running.await;
            seat.connection = Some(connection);
            if let (Err(Failed { fatal: true, .. }), Some(open)) = (result, seat.open.as_mut()) {
                open.broken = true;
            }
        }
        if touched && !is_broken(&seat) {
            match seat.open.as_ref().map(|open| open.turns) {
                None => {}
                Some(0) => seat.roll_back().await,
                Some(_) => {
                    let undone = seat.run(UNDO).await.is_ok();
                    if let Some(open) = seat.open.as_mut() {
                        open.savepoint = Savepoint::Here;
                        open.broken = !undone;
                    }
                }
            }
        }
        if !seat.open.as_ref().is_some_and(|open| !open.broken && self.goes_on(open)) {
            self.close(&mut seat).await;
        }
    }

    /// The number of transactions that were lost until now.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.told().lost)
    }

    /// Waits until all that could be seen since `moment` is there for good.
    pub(crate) async fn settled(&self, moment: Moment) -> Result<(), StoreError> {
        let told = {
            let mut list = self.told();
            if list.lost != moment.0 {
                return Err(given_up(None));
            }
            if list.members.is_empty() {
                return Ok(());
            }
            let (tell, told) = oneshot::channel();
            list.members.push(tell);
            told
        };
        in_time(told).await
    }

    /// The connection outside of any transaction, with nobody else on it.
    #[cfg(feature = "testing")]
    pub(crate) async fn outside(&self) -> Result<Outside, StoreError> {
        let mut turn = self.arrive(true).await?;
        turn.close_what_is_open().await?;
        turn.connect().await?;
        Ok(Outside(turn))
    }

    /// Closes the connection, after the work under way.
    pub(crate) async fn end(&self) {
        let mut seat = Arc::clone(&self.0.seat).lock_owned().await;
        self.close(&mut seat).await;
        seat.closed = true;
        if let Some(stamp) = seat.last_stamp().await {
            // Set once: after that there is no connection that could give another one.
            let _ = self.0.last_stamp.set(stamp);
        }
        if let Some(connection) = seat.connection.take() {
            // What cannot be closed in order is closed with the process.
            let _ = connection.close().await;
        }
    }
}

async fn heard(told: oneshot::Receiver<Outcome>) -> Outcome {
    // Nobody is left who would tell: the runtime ends.
    told.await.unwrap_or(Err(StoreError::Unavailable { reason: Unavailability::Connection, source: None }))
}

async fn in_time(told: oneshot::Receiver<Outcome>) -> Outcome {
    timeout(STATEMENT_DEADLINE, heard(told)).await.unwrap_or(Err(StoreError::timeout()))
}

/// A place among those who wait for a turn.
struct Waiting<'a> {
    writer: &'a Writer,
    arrived: bool,
}

impl<'a> Waiting<'a> {
    fn of(writer: &'a Writer) -> Self {
        writer.0.waiting.fetch_add(1, Ordering::SeqCst);
        Self { writer, arrived: false }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let before = self.writer.0.waiting.fetch_sub(1, Ordering::SeqCst);
        // A transaction may have been left open for whoever gave up here.
        if !self.arrived && before == 1 {
            self.writer.close_soon();
        }
    }
}

/// The writer's turn: what is done in it is kept by `commit`, and undone without.
pub struct Turn {
    /// Taken at the end.
    seat: Option<OwnedMutexGuard<Seat>>,
    /// The statement under way, with the connection: it comes to its end whoever stops waiting for it, so that it is
    /// known how it ended before anything else runs.
    running: Option<Running>,
    writer: Writer,
    /// Changes that travel with the next statement.
    later: Vec<Stmt>,
    /// Whether something may have to be undone.
    touched: bool,
    /// Whether a statement failed: what was to be done is not.
    failed: bool,
    alone: bool,
}

impl fmt::Debug for Turn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Turn")
            .field("touched", &self.touched)
            .field("alone", &self.alone)
            .finish_non_exhaustive()
    }
}

impl Turn {
    fn seat(&mut self) -> &mut Seat {
        self.seat.as_mut().expect("taken at the end only")
    }

    /// What is open, if it can be gone on in.
    fn opened(&mut self) -> Result<&mut Open, StoreError> {
        self.seat().open.as_mut().filter(|open| !open.broken).ok_or_else(|| given_up(None))
    }

    async fn close_what_is_open(&mut self) -> Result<(), StoreError> {
        if self.seat().open.is_none() {
            return Ok(());
        }
        let mut seat = self.seat.take().expect("taken at the end only");
        let writer = self.writer.clone();
        // To its end, even if whoever wants the turn goes away meanwhile.
        let closed = tokio::spawn(async move {
            writer.close(&mut seat).await;
            seat
        });
        let seat =
            closed.await.map_err(|_| StoreError::Unavailable { reason: Unavailability::Connection, source: None })?;
        self.seat = Some(seat);
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), StoreError> {
        let seat = self.seat();
        if seat.closed {
            return Err(sqlx::Error::PoolClosed.into());
        }
        if seat.connection.is_none() {
            seat.version = None;
            seat.connection = Some(seat.options.connect().await?);
        }
        Ok(())
    }

    async fn open(&mut self) -> Result<(), StoreError> {
        if self.alone {
            self.close_what_is_open().await?;
        }
        if self.seat().open.is_some() {
            return Ok(());
        }
        self.connect().await?;
        self.touched = true;
        self.seat().open = Some(Open { since: Instant::now(), turns: 0, savepoint: Savepoint::None, broken: false });
        let begun = self.drive(Batch::own(BEGIN)).await;
        if let Err(StoreError::Unavailable { reason: Unavailability::Locked, .. }) = begun {
            // Another process writes: nothing was opened, and nothing is wrong here.
            self.seat().open = None;
        }
        self.touched = begun.is_err();
        begun.map(drop)
    }

    /// Runs statements to their end or to the deadline.
    async fn drive(&mut self, batch: Batch) -> Result<Done, StoreError> {
        let connection = self.seat().connection.take().ok_or_else(|| given_up(None))?;
        let running = self.running.insert(Box::pin(work(connection, batch)));
        let ended = timeout(STATEMENT_DEADLINE, running).await;
        let (fatal, result) = match ended {
            Ok((connection, result)) => {
                self.running = None;
                self.seat().connection = Some(connection);
                (matches!(result, Err(Failed { fatal: true, .. })), result.map_err(|failed| failed.error.into()))
            }
            Err(_) => (true, Err(StoreError::timeout())),
        };
        if let (true, Some(open)) = (fatal, self.seat().open.as_mut()) {
            open.broken = true;
        }
        result
    }

    /// Runs a statement.
    pub(crate) async fn run(&mut self, stmt: Stmt) -> Result<Done, StoreError> {
        self.run_all(vec![stmt]).await
    }

    /// Runs statements together: what the way to the writer costs is paid once. Gives how many rows all of them changed.
    pub(crate) async fn run_all(&mut self, statements: Vec<Stmt>) -> Result<Done, StoreError> {
        let is_first = !self.touched;
        let open = self.opened()?;
        let ours: &[&'static str] = match open.savepoint {
            // The first turn needs none: there is nothing else in the transaction.
            _ if !is_first || open.turns == 0 => &[],
            Savepoint::None => &[SAVE],
            Savepoint::Behind => &[SAVE_NEXT],
            Savepoint::Here => &[],
        };
        if open.turns > 0 {
            open.savepoint = Savepoint::Behind;
        }
        self.touched = true;
        let count = ours.iter().map(|sql| sql.split(';').count()).sum();
        let later = std::mem::take(&mut self.later);
        let before = count + later.len();
        let all = ours.iter().copied().map(Stmt::new).chain(later).chain(statements);
        let done = self.drive(Batch { stmt: Stmt::joined(all.collect()), ours: count, before }).await;
        self.failed |= done.is_err();
        done
    }

    /// Runs a change together with the next statement, or at the commit, which fails if it does.
    pub(crate) fn run_later(&mut self, stmt: Stmt) {
        self.later.push(stmt);
    }

    /// Adds the turn to what is committed next.
    async fn keep(mut self) -> Result<oneshot::Receiver<Outcome>, StoreError> {
        if let Some(last) = self.later.pop() {
            self.run(last).await?;
        }
        if self.failed {
            return Err(given_up(None));
        }
        self.opened()?.turns += 1;
        let told = self.writer.join();
        let mut seat = self.seat.take().expect("taken at the end only");
        let goes_on = !self.alone && seat.open.as_ref().is_some_and(|open| self.writer.goes_on(open));
        if !goes_on {
            let writer = self.writer.clone();
            // To its end, even if nobody of those who wait for it is left.
            tokio::spawn(async move { writer.close(&mut seat).await });
        }
        Ok(told)
    }

    /// Makes the changes last, together with those of others. On an error the outcome is not known.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        in_time(self.keep().await?).await
    }

    /// The same, however long the disk takes.
    pub(crate) async fn commit_patiently(self) -> Result<(), StoreError> {
        heard(self.keep().await?).await
    }

    /// Undoes the turn, and waits until all that it could see is there for good.
    pub(crate) async fn settle(mut self) -> Result<(), StoreError> {
        let seen = self.opened()?.turns > 0;
        // Before the turn ends: what is lost after that has to be told here.
        let told = seen.then(|| self.writer.join());
        drop(self);
        match told {
            Some(told) => in_time(told).await,
            None => Ok(()),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(mut seat) = self.seat.take() else { return };
        let running = self.running.take();
        let untouched = running.is_none() && !self.touched;
        let goes_on = seat.open.as_ref().is_none_or(|open| !open.broken && self.writer.goes_on(open));
        if untouched && goes_on {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(self.writer.clone().tidy(seat, running, self.touched));
        } else {
            // Nobody is there to wait for an answer. The connection goes, and SQLite undoes what is open on it.
            drop(running);
            seat.connection = None;
            seat.open = None;
            self.writer.tell(Err(given_up(None)));
        }
    }
}

/// The connection outside of any transaction.
#[cfg(feature = "testing")]
pub(crate) struct Outside(Turn);

#[cfg(feature = "testing")]
impl Outside {
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        self.0.seat().connection.as_mut().expect("connected before")
    }
}
