//! Idempotent requests: the same request again gives the same answer, kept for 24 hours.
//!
//! The answer is stored in the transaction of the change, so there is no answer without the change and no change
//! without the answer. Answers of refused requests are not kept: nothing was done, and trying again is safe.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::KeyId;
use trousseau_domain::time::Timestamp;
use trousseau_store::{IdempotencyRow, Reader, Tx};

use crate::app::Core;
use crate::error::ServiceError;

/// How long an answer is kept.
const KEPT_FOR: Duration = Duration::from_hours(24);

/// How often a name is asked for that another transaction holds, and the pause between.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Where a key's value stood in an answer, so that it can be filled in again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refill {
    /// The business.
    pub business: trousseau_domain::ids::BusinessId,
    /// Its environment.
    pub environment: trousseau_domain::environment::Environment,
    /// The key.
    pub key: KeyId,
    /// The secret version whose value it was.
    pub version: u32,
}

impl Refill {
    /// The tenant of the key.
    pub fn tenant(&self) -> Tenant {
        Tenant::new(self.business.clone(), self.environment)
    }
}

/// An answer as it is kept: without any key's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body, with `null` for each value.
    pub body: String,
    /// Whose values they were, in the order in which they stand in the body.
    pub refills: Vec<Refill>,
}

/// What a request wants kept under which name.
pub struct Idempotent<'a, T> {
    /// Whose names these are, and for what: business, environment and operation, or the platform's.
    pub scope: String,
    /// The name that the caller chose.
    pub key: String,
    /// A digest of the whole request.
    pub fingerprint: String,
    /// Makes the answer to keep of what was done.
    pub render: &'a (dyn Fn(&T) -> StoredAnswer + Send + Sync),
}

impl<T> fmt::Debug for Idempotent<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Idempotent").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Done now, or done before.
#[derive(Debug)]
pub enum Answered<T> {
    /// Done by this request.
    Done(T),
    /// Done by an earlier request; its answer.
    Replayed(StoredAnswer),
}

/// The names whose first request is still running in this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<(String, String)>>>);

/// Holds a name until the request is done, however it ends.
#[derive(Debug)]
pub(crate) struct Claim {
    names: InFlight,
    name: (String, String),
}

impl InFlight {
    /// Takes the name of a request.
    ///
    /// # Errors
    /// [`ServiceError::IdempotencyInProgress`] if another request holds it.
    pub(crate) fn claim<T>(&self, wanted: Option<&Idempotent<'_, T>>) -> Result<Option<Claim>, ServiceError> {
        let Some(wanted) = wanted else { return Ok(None) };
        let name = (wanted.scope.clone(), wanted.key.clone());
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.insert(name.clone()) {
            return Err(ServiceError::IdempotencyInProgress);
        }
        drop(held);
        Ok(Some(Claim { names: self.clone(), name }))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.names.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// Notes a request that changes nothing, so that its name cannot stand for another one. Its answer is made anew each time.
pub(crate) async fn note(core: &Core, wanted: Option<&Idempotent<'_, ()>>) -> Result<(), ServiceError> {
    if wanted.is_none() {
        return Ok(());
    }
    let _claim = core.in_flight.claim(wanted)?;
    let mut tx = core.store.begin().await?;
    let now = core.clock.now();
    if earlier(&mut tx, wanted, now).await?.is_some() {
        return Ok(tx.settle().await?);
    }
    keep(&mut tx, wanted, &(), now).await?;
    Ok(tx.commit().await?)
}

/// Does something that takes several transactions, and keeps its answer after them. Where the server ends in between, the
/// same request does again what is not done yet.
pub(crate) async fn once<T>(
    core: &Core,
    wanted: Option<&Idempotent<'_, T>>,
    act: impl Future<Output = Result<T, ServiceError>> + Send,
) -> Result<Answered<T>, ServiceError> {
    let _claim = core.in_flight.claim(wanted)?;
    if wanted.is_some() {
        let mut tx = core.store.begin().await?;
        let answer = earlier(&mut tx, wanted, core.clock.now()).await?;
        tx.settle().await?;
        if let Some(answer) = answer {
            return Ok(Answered::Replayed(answer));
        }
    }
    let done = act.await?;
    if wanted.is_some() {
        let mut tx = core.store.begin().await?;
        keep(&mut tx, wanted, &done, core.clock.now()).await?;
        tx.commit().await?;
    }
    Ok(Answered::Done(done))
}

/// Looks for the answer of an earlier request before anything else is looked at: what it was about may be gone by now. Only
/// [`earlier`] says for certain that there is none.
pub(crate) async fn answered<T>(
    core: &Core,
    wanted: Option<&Idempotent<'_, T>>,
) -> Result<Option<StoredAnswer>, ServiceError> {
    let Some(wanted) = wanted else { return Ok(None) };
    stored(&mut core.store.read(), wanted, core.clock.now()).await
}

/// Looks for the answer of an earlier request inside the transaction that would otherwise do it, and reserves the name if
/// there is none.
pub(crate) async fn earlier<T>(
    tx: &mut Tx,
    wanted: Option<&Idempotent<'_, T>>,
    now: Timestamp,
) -> Result<Option<StoredAnswer>, ServiceError> {
    let Some(wanted) = wanted else { return Ok(None) };
    // What is answered needs no lock, so that a replay never stands in the way of the next one.
    if let Some(answer) = stored(&mut tx.read(), wanted, now).await? {
        return Ok(Some(answer));
    }
    if tx.writes_alone() {
        return Ok(None);
    }
    // Another node may be about to commit, and the transaction of a refused request ends a little after its answer.
    let mut tries = 0;
    while !tx.try_lock_idempotency(&wanted.scope, &wanted.key).await? {
        tries += 1;
        if tries == LOCK_TRIES {
            return Err(ServiceError::IdempotencyInProgress);
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    stored(&mut tx.read(), wanted, now).await
}

/// The answer that is kept under a name.
///
/// # Errors
/// [`ServiceError::IdempotencyKeyReused`] if it is the answer of another request.
async fn stored<T>(
    reader: &mut Reader<'_>,
    wanted: &Idempotent<'_, T>,
    now: Timestamp,
) -> Result<Option<StoredAnswer>, ServiceError> {
    let Some(row) = reader.find_idempotency(&wanted.scope, &wanted.key, now).await? else {
        return Ok(None);
    };
    if row.fingerprint != wanted.fingerprint {
        return Err(ServiceError::IdempotencyKeyReused);
    }
    let refills = row.refill.and_then(|refills| serde_json::from_value(refills).ok()).unwrap_or_default();
    Ok(Some(StoredAnswer { status: row.status, body: row.body, refills }))
}

/// Keeps the answer in the transaction of what was done.
pub(crate) async fn keep<T>(
    tx: &mut Tx,
    wanted: Option<&Idempotent<'_, T>>,
    done: &T,
    now: Timestamp,
) -> Result<(), ServiceError> {
    let Some(wanted) = wanted else { return Ok(()) };
    let answer = (wanted.render)(done);
    let refill = (!answer.refills.is_empty())
        .then(|| serde_json::to_value(&answer.refills).expect("ids and numbers are always JSON"));
    let saved = tx
        .keep_idempotency(&IdempotencyRow {
            scope: wanted.scope.clone(),
            key: wanted.key.clone(),
            fingerprint: wanted.fingerprint.clone(),
            status: answer.status,
            body: answer.body,
            refill,
            created_at: now,
            expires_at: now.saturating_add(KEPT_FOR),
        })
        .await?;
    if saved { Ok(()) } else { Err(ServiceError::IdempotencyInProgress) }
}
