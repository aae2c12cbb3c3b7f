//! PostgreSQL's connections, shared by all who ask.
//!
//! A pool of our own. The driver's waits without a limit for each connection that it takes back: one whose network
//! swallows everything keeps its place for ever, and soon all of them do. Here a connection that was left in the middle
//! of something has a moment to answer, or is dropped with its place free again.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tokio::runtime::Handle;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::dialect::POSTGRES_IS_READ_ONLY;
use crate::error::ends_connection;

/// How long a connection that is looked at may take to answer.
const LOOK_WITHIN: Duration = Duration::from_secs(1);
/// A connection that answered so short a time ago is lent without a look.
const FRESH: Duration = Duration::from_millis(500);
/// How long a connection is kept that nobody wants.
const IDLE_AT_MOST: Duration = Duration::from_mins(10);
/// How old a connection may become: what PostgreSQL remembers for it grows.
const AGE_AT_MOST: Duration = Duration::from_mins(30);
/// The pause before a server that is starting, or full, is asked again.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// PostgreSQL's codes for *too many connections* and *starting or stopping*: passing, and worth another try.
const PASSING: [&str; 2] = ["53300", "57P03"];

/// What stands between a node and its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Pooling {
    /// Nothing, or a pooler that gives a connection to one client until it goes.
    #[default]
    Session,
    /// A pooler that gives out connections by the transaction: what a session holds (prepared statements, settings,
    /// `LISTEN`) is lost or, worse, somebody else's.
    Transaction,
}

/// Connections to one database. A clone is another handle to the same ones.
#[derive(Clone)]
pub(crate) struct PgPool {
    shared: Arc<Shared>,
    first: bool,
}

struct Shared {
    options: PgConnectOptions,
    pooling: Pooling,
    wait: Duration,
    most: u32,
    permits: Arc<Semaphore>,
    /// A place that is kept free for what comes first.
    reserved: Arc<Semaphore>,
    idle: Mutex<Vec<Kept>>,
    read_only: AtomicBool,
    line: AtomicI64,
    /// Whether the server that these connections lead to told of no line when it was asked.
    no_line: AtomicBool,
    /// Raised when connections made so far may lead to another server than new ones do.
    generation: AtomicU64,
}

struct Kept {
    connection: PgConnection,
    made: Instant,
    seen: Instant,
    generation: u64,
}

impl fmt::Debug for PgPool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PgPool").field("pooling", &self.shared.pooling).finish_non_exhaustive()
    }
}

impl PgPool {
    /// At most `most` connections and one for what comes first; one is waited for no longer than `wait`. None is made yet.
    pub(crate) fn new(options: PgConnectOptions, pooling: Pooling, most: u32, wait: Duration) -> Self {
        let shared = Arc::new(Shared {
            options,
            pooling,
            wait,
            most,
            permits: Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(1))),
            reserved: Arc::new(Semaphore::new(1)),
            idle: Mutex::default(),
            read_only: AtomicBool::new(false),
            line: AtomicI64::new(0),
            no_line: AtomicBool::new(false),
            generation: AtomicU64::new(0),
        });
        Self { shared, first: false }
    }

    /// The same connections, and one more where all of them are busy or lost.
    pub(crate) fn first(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), first: true }
    }

    /// Whether this is for what comes first.
    pub(crate) fn is_first(&self) -> bool {
        self.first
    }

    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.shared.options
    }

    pub(crate) fn pooling(&self) -> Pooling {
        self.shared.pooling
    }

    /// What was last seen of the server: whether it takes no writes, and which line of history it writes on.
    pub(crate) fn note_server(&self, read_only: bool, line: i64) {
        self.shared.read_only.store(read_only, Ordering::Release);
        let moved = !read_only && self.shared.line.swap(line, Ordering::AcqRel) != line;
        if read_only || moved {
            // What was connected before may lead to a server that was put aside, and goes on answering.
            self.shared.generation.fetch_add(1, Ordering::AcqRel);
            self.shared.forget_idle();
        }
    }

    /// Whether the server took no writes when it was last asked.
    pub(crate) fn is_read_only(&self) -> bool {
        self.shared.read_only.load(Ordering::Acquire)
    }

    /// The line of history that the server wrote on when it was last asked; 0 where it does not say.
    pub(crate) fn line(&self) -> i64 {
        self.shared.line.load(Ordering::Acquire)
    }

    /// Whether the server may be asked for its line of history.
    pub(crate) fn tells_line(&self) -> bool {
        !self.shared.no_line.load(Ordering::Acquire)
    }

    /// The server does not tell its line of history.
    pub(crate) fn note_no_line(&self) {
        self.shared.no_line.store(true, Ordering::Release);
    }

    /// A connection that is nobody else's until it is dropped.
    pub(crate) async fn acquire(&self) -> Result<Lent, sqlx::Error> {
        timeout(self.shared.wait, self.lend()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        let one = Arc::clone(&self.shared.permits).acquire_owned();
        if !self.first {
            return one.await;
        }
        tokio::select! {
            biased;
            permit = one => permit,
            permit = Arc::clone(&self.shared.reserved).acquire_owned() => permit,
        }
    }

    async fn lend(&self) -> Result<Lent, sqlx::Error> {
        let permit = self.permit().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let taken = self.shared.take();
        let kept = match taken {
            Some(mut kept) => {
                if kept.seen.elapsed() < FRESH || kept.answers().await {
                    Some(kept)
                } else {
                    // The others were made on the same way.
                    self.shared.forget_idle();
                    None
                }
            }
            None => None,
        };
        let new = kept.is_none();
        let kept = match kept {
            Some(kept) => kept,
            // Boxed: it is rare, and would make every future that asks the database larger.
            None => Box::pin(self.connect()).await?,
        };
        Ok(Lent { kept: Some(kept), permit: Some(permit), pool: self.clone(), new, clean: true, open: false })
    }

    async fn connect(&self) -> Result<Kept, sqlx::Error> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        let mut connection = loop {
            match self.shared.options.connect().await {
                Ok(connection) => break connection,
                Err(error) => {
                    let code =
                        error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
                    if !code.is_some_and(|code| PASSING.contains(&code.as_str())) {
                        return Err(error);
                    }
                }
            }
            tokio::time::sleep(TRY_AGAIN).await;
        };
        if self.shared.pooling == Pooling::Session {
            // A standby that is behind must not be believed before the next proof finds out what it is.
            let read_only = connection.fetch_optional(POSTGRES_IS_READ_ONLY).await?.is_some();
            self.shared.read_only.store(read_only, Ordering::Release);
        }
        let now = Instant::now();
        Ok(Kept { connection, made: now, seen: now, generation })
    }

    /// Begins a transaction with this statement.
    pub(crate) async fn begin(&self, begin: &'static str) -> Result<PgTx, sqlx::Error> {
        let text = match self.shared.pooling {
            Pooling::Session => begin.to_owned(),
            Pooling::Transaction => {
                let limits = LIMITS.map(|(name, value)| format!("SET LOCAL {name} = '{value}'"));
                format!("{begin}; {}", limits.join("; "))
            }
        };
        loop {
            let mut lent = self.acquire().await?;
            lent.open = true;
            match lent.connection().execute(AssertSqlSafe(text.clone())).await {
                Ok(_) => return Ok(PgTx(lent)),
                // Nothing is begun.
                Err(error) if lent.was_lost_before(&error) => lent.give_up(),
                Err(error) => return Err(error),
            }
        }
    }

    /// Closes what is idle, lends no more, and waits a moment for what is lent.
    pub(crate) async fn close(&self) {
        let all = timeout(LOOK_WITHIN, self.shared.permits.acquire_many(self.shared.most)).await;
        self.shared.permits.close();
        self.shared.reserved.close();
        drop(all);
        let idle = std::mem::take(&mut *self.shared.idle());
        let closing = idle.into_iter().map(|kept| timeout(LOOK_WITHIN, kept.connection.close()));
        futures_util::future::join_all(closing).await;
    }
}

/// How long things may take in the database itself, so that nothing is held for a node that is gone or frozen.
pub(crate) const LIMITS: [(&str, &str); 3] =
    [("statement_timeout", "8s"), ("lock_timeout", "5s"), ("idle_in_transaction_session_timeout", "3s")];

impl Kept {
    /// Whether it still leads to a server.
    async fn answers(&mut self) -> bool {
        matches!(timeout(LOOK_WITHIN, self.connection.ping()).await, Ok(Ok(())))
    }
}

impl Shared {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Kept> {
        self.idle().pop()
    }

    fn keep(&self, mut kept: Kept) {
        kept.seen = Instant::now();
        let mut idle = self.idle();
        let gone: Vec<Kept> = idle.extract_if(.., |kept| kept.seen.elapsed() > IDLE_AT_MOST).collect();
        let is_of_now = kept.generation == self.generation.load(Ordering::Acquire);
        if !self.permits.is_closed() && is_of_now && kept.made.elapsed() < AGE_AT_MOST {
            idle.push(kept);
        }
        drop((idle, gone));
    }

    fn forget_idle(&self) {
        // New ones may lead to another server.
        self.no_line.store(false, Ordering::Release);
        let gone = std::mem::take(&mut *self.idle());
        drop(gone);
    }
}

/// A connection that is lent. Dropped in the middle of something it is brought in order first, or given up.
pub(crate) struct Lent {
    kept: Option<Kept>,
    permit: Option<OwnedSemaphorePermit>,
    pool: PgPool,
    /// Whether it was made for this, and not kept from before.
    new: bool,
    /// Whether nothing is under way.
    clean: bool,
    /// Whether a transaction may be open.
    open: bool,
}

impl fmt::Debug for Lent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lent").field("clean", &self.clean).field("open", &self.open).finish_non_exhaustive()
    }
}

impl Lent {
    /// The connection, for a statement whose end is told by [`Lent::done`].
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        self.clean = false;
        &mut self.kept.as_mut().expect("taken by the drop only").connection
    }

    /// All that was asked is answered.
    pub(crate) fn done(mut self) {
        self.clean = true;
    }

    /// Whether the first thing that it was asked failed because it was lost while nobody used it, as after a restart of
    /// the server: what may be asked twice is asked again on another.
    pub(crate) fn was_lost_before(&self, error: &sqlx::Error) -> bool {
        let lost = match error {
            sqlx::Error::Io(_) => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| ends_connection(&code)),
            _ => false,
        };
        lost && !self.new
    }

    /// Drops it, and all that were kept with it.
    pub(crate) fn give_up(mut self) {
        self.kept = None;
        self.pool.shared.forget_idle();
    }
}

/// Ends what may be open on a connection, and hears that it answers.
async fn tidied(connection: &mut PgConnection, open: bool) -> Result<(), sqlx::Error> {
    if open { connection.execute("ROLLBACK").await.map(drop) } else { connection.ping().await }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let (Some(mut kept), Some(permit)) = (self.kept.take(), self.permit.take()) else { return };
        if self.clean && !self.open {
            self.pool.shared.keep(kept);
            return;
        }
        // Outside of the runtime nobody is there to wait: the connection goes.
        let Ok(runtime) = Handle::try_current() else { return };
        let (pool, open) = (self.pool.clone(), self.open);
        runtime.spawn(async move {
            let tidy = async {
                match tidied(&mut kept.connection, open).await {
                    // The answer to what was cut off; ours comes after it.
                    Err(sqlx::Error::Database(_)) => tidied(&mut kept.connection, open).await,
                    other => other,
                }
            };
            match timeout(LOOK_WITHIN, tidy).await {
                Ok(Ok(())) => pool.shared.keep(kept),
                Ok(Err(_)) | Err(_) => pool.shared.forget_idle(),
            }
            drop(permit);
        });
    }
}

/// A transaction. Dropping it without a commit rolls it back.
#[derive(Debug)]
pub struct PgTx(Lent);

impl PgTx {
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        self.0.connection()
    }

    /// Whether statements may be kept prepared: only where the connection stays the same.
    pub(crate) fn keeps_statements(&self) -> bool {
        self.0.pool.pooling() == Pooling::Session
    }

    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.0.connection().execute("COMMIT").await?;
        self.0.open = false;
        self.0.done();
        Ok(())
    }
}
