//! The request log, usage, who uses a key, and why a request was refused.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use trousseau_domain::decision::Reason;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::{BusinessId, KeyId, RequestId};
use trousseau_domain::keys::{KeyKind, KeyStatus};
use trousseau_domain::requests::{ClientName, Door, Network, Outcome, UtcDay};
use trousseau_domain::time::Timestamp;
use trousseau_store::{RefusalRow, RequestFilter, RequestRow, SightingRow, UsageRow};

use crate::access::Accepted;
use crate::app::Core;
use crate::error::ServiceError;
use crate::index::KnownKey;
use crate::keys::{KeyView, Page};
use crate::limits::Allowances;

/// Days in the numbers that pages call *7 days*: today and the six before it.
const WEEK: u32 = 6;
/// The most keys that a hint looks at for the same last characters.
const MOST_ALIKE: u32 = 1;

/// Whose call a request is, and what the log will say of it: filled in where the key is judged, read when the
/// request is answered.
#[derive(Debug, Clone, Default)]
pub struct CallTrace(Arc<Mutex<Traced>>);

#[derive(Debug, Default)]
struct Traced {
    subject: Option<Subject>,
    counted: Option<Counted>,
    allowances: Allowances,
}

impl CallTrace {
    fn traced(&self) -> MutexGuard<'_, Traced> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, subject: Subject) {
        self.traced().subject = Some(subject);
    }

    pub(crate) fn count(&self, counted: Counted) {
        self.traced().counted = Some(counted);
    }

    pub(crate) fn refuse(&self, reason: Reason) {
        if let Some(subject) = self.traced().subject.as_mut() {
            subject.reason = Some(reason);
        }
    }

    pub(crate) fn set_allowances(&self, allowances: Allowances) {
        self.traced().allowances = allowances;
    }

    /// Where the limits of the key stand; empty where it has none. They are given once.
    pub fn take_allowances(&self) -> Allowances {
        std::mem::take(&mut self.traced().allowances)
    }

    fn take(&self) -> (Option<Subject>, Option<Counted>) {
        let mut traced = self.traced();
        (traced.subject.take(), traced.counted.take())
    }
}

/// What is known of a call before its answer.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) reference: RequestId,
    pub(crate) at: Timestamp,
    pub(crate) business: BusinessId,
    pub(crate) environment: Option<Environment>,
    pub(crate) key: Option<SubjectKey>,
    pub(crate) door: Door,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) address: Option<IpAddr>,
    pub(crate) client: Option<ClientName>,
    pub(crate) origin: Option<String>,
    pub(crate) last_three: Option<String>,
    pub(crate) missing_scope: Option<String>,
    pub(crate) reason: Option<Reason>,
    /// Whether a row was set aside for it.
    pub(crate) has_row: bool,
}

/// A call of which nothing is kept but that there was one.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    pub(crate) tenant: Tenant,
    pub(crate) key: KeyId,
    pub(crate) outcome: Outcome,
    pub(crate) at: Timestamp,
}

/// The key of a call.
#[derive(Debug)]
pub(crate) struct SubjectKey {
    pub(crate) id: KeyId,
    pub(crate) version: u32,
    pub(crate) kind: KeyKind,
}

impl SubjectKey {
    pub(crate) const fn of(found: &KnownKey) -> Self {
        Self { id: found.id, version: found.version, kind: found.kind }
    }
}

/// The answer to a call.
#[derive(Debug, Clone, Copy)]
pub struct CallAnswer {
    /// The status.
    pub status: u16,
    /// How long it took.
    pub took: Duration,
    /// The code of the problem, where it is one.
    pub code: Option<&'static str>,
}

/// A call as the recorder takes it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) row: RequestRow,
    pub(crate) seen: Option<SightingRow>,
    pub(crate) network: Option<Network>,
    /// Whether the call is counted already.
    pub(crate) counted: bool,
}

impl Subject {
    /// Whom the call is counted for, where its key is known.
    pub(crate) fn counts_for(&self) -> Option<(Tenant, KeyId)> {
        let (key, environment) = (self.key.as_ref()?, self.environment?);
        Some((Tenant::new(self.business.clone(), environment), key.id))
    }

    /// What the call came to with this answer.
    pub(crate) const fn outcome(&self, answer: CallAnswer) -> Outcome {
        match self.reason {
            Some(_) => Outcome::Refused,
            None if answer.status < 400 => Outcome::Succeeded,
            None => Outcome::Failed,
        }
    }

    /// What is kept of a refusal.
    pub(crate) fn refusal(&self) -> Option<RefusalRow> {
        Some(RefusalRow {
            reference: self.reference,
            at: self.at,
            business: self.business.clone(),
            environment: self.environment,
            key_id: self.key.as_ref().map(|key| key.id),
            key_version: self.key.as_ref().map(|key| key.version),
            code: self.reason?.as_str().to_owned(),
            method: self.method.clone(),
            path: self.path.clone(),
            address: self.address.map(|address| address.to_string()),
            last_three: self.last_three.clone(),
            origin: self.origin.clone(),
            missing_scope: self.missing_scope.clone(),
            client: self.client.as_ref().map(ToString::to_string),
            door: self.door,
        })
    }

    pub(crate) fn answered(self, answer: CallAnswer) -> Call {
        let outcome = self.outcome(answer);
        let address = self.address.map(|address| address.to_string());
        let client = self.client.as_ref().map(ToString::to_string);
        // Who still presents an old value is what the owner of a rotated key has to find.
        let used = matches!(self.reason, None | Some(Reason::KeyRotated));
        let seen = match (&self.key, self.environment) {
            (Some(key), Some(environment)) if used => {
                // Everybody uses a checkout key: its callers are payers, and only the page matters.
                let of_owner = key.kind == KeyKind::Secret;
                Some(SightingRow {
                    tenant: Tenant::new(self.business.clone(), environment),
                    key_id: key.id,
                    version: key.version,
                    address: address.clone().filter(|_| of_owner),
                    client: client.clone().filter(|_| of_owner),
                    origin: self.origin.clone().filter(|_| !of_owner),
                    requests: 1,
                    first_seen_at: self.at,
                    last_seen_at: self.at,
                })
            }
            _ => None,
        };
        let watched = self.reason.is_none()
            && self.environment == Some(Environment::Live)
            && self.key.as_ref().is_some_and(|key| key.kind == KeyKind::Secret);
        let code = self.reason.map(Reason::as_str).or(answer.code).map(ToOwned::to_owned);
        Call {
            counted: false,
            seen,
            network: self.address.filter(|_| watched).map(Network::of),
            row: RequestRow {
                reference: self.reference,
                at: self.at,
                business: self.business,
                environment: self.environment,
                key_id: self.key.as_ref().map(|key| key.id),
                key_version: self.key.as_ref().map(|key| key.version),
                door: self.door,
                method: self.method,
                path: self.path,
                status: answer.status,
                duration_us: u64::try_from(answer.took.as_micros()).unwrap_or(u64::MAX),
                outcome,
                code,
                address,
                client,
                last_three: self.last_three.filter(|_| self.key.is_none()),
            },
        }
    }
}

/// A refusal with all that its business may know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What was kept.
    pub refusal: RefusalRow,
    /// The rule.
    pub reason: Reason,
    /// The key as it is now, where it is known.
    pub key: Option<KeyView>,
    /// What probably happened, where the rows tell.
    pub hint: Option<Hint>,
}

/// What the rows say beyond the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A key of TEST where LIVE is needed.
    TestKeyOnLive,
    /// A key of LIVE where TEST is needed.
    LiveKeyOnTest,
    /// The id that was sent is not this business's.
    IdOfAnotherBusiness,
    /// The caller still uses a value that the key had before.
    OldValue {
        /// When the key got its next value.
        rotated_at: Timestamp,
    },
    /// When the key was revoked.
    RevokedAt(Timestamp),
    /// When it ended.
    EndedAt(Timestamp),
    /// When it begins.
    BeginsAt(Timestamp),
    /// A value that no key has ends like one of the business's keys.
    EndsLikeKey {
        /// The number of that key.
        number: u32,
    },
    /// The address that the call came from.
    CameFrom(String),
    /// The origin of the page that it came from.
    CameFromPage(String),
    /// The scope that was missing.
    LacksScope(String),
    /// What stood in the way does not any more: the key is in force now.
    GoodNow,
}

/// How many calls in a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// With a key that was good.
    pub accepted: u64,
    /// With one that was refused.
    pub refused: u64,
}

impl Calls {
    fn add(&mut self, outcome: Outcome, requests: u64) {
        let counter = match outcome {
            Outcome::Succeeded | Outcome::Failed => &mut self.accepted,
            Outcome::Refused => &mut self.refused,
        };
        *counter = counter.saturating_add(requests);
    }
}

/// Calls that were not written down by this node since it started, because it had more to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many notes.
    pub notes: u64,
    /// When the last one was dropped.
    pub last_at: Option<Timestamp>,
}

/// Use cases of the request log.
#[derive(Debug, Clone, Copy)]
pub struct Requests<'a> {
    core: &'a Core,
}

impl<'a> Requests<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// Notes an answered call. Nothing waits for it.
    pub fn record(self, trace: &CallTrace, answer: CallAnswer) {
        let (subject, counted) = trace.take();
        if let Some(subject) = subject {
            self.core.recorder.record_answer(subject, answer);
        }
        if let Some(mut counted) = counted {
            if counted.outcome == Outcome::Succeeded && answer.status >= 400 {
                counted.outcome = Outcome::Failed;
            }
            self.core.recorder.count(&counted);
        }
    }

    /// Keeps the row of a call that was accepted at once, and counted then, if it has one. Nothing waits for it.
    pub fn record_accepted(self, accepted: Accepted, took: Duration) {
        let Accepted { row, counted, .. } = accepted;
        let answer = CallAnswer { status: 200, took, code: None };
        self.core.recorder.record_counted(row.map(|subject| *subject), counted, answer);
    }

    /// One page of a tenant's calls, newest first, with the calls of its business whose environment nobody knows.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if `after` is no call of the tenant.
    pub async fn list(
        self,
        tenant: &Tenant,
        filter: &RequestFilter,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Page<RequestRow>, ServiceError> {
        let mut reader = self.core.store.read();
        if let Some(after) = after
            && reader.find_request(tenant, after).await?.is_none()
        {
            return Err(ServiceError::invalid("starting_after", "there is no request with this id"));
        }
        let mut data = reader.list_requests(tenant, filter, after, limit + 1).await?;
        let has_more = data.len() > limit as usize;
        data.truncate(limit as usize);
        Ok(Page { data, has_more })
    }

    /// One call of a tenant.
    pub async fn get(self, tenant: &Tenant, reference: RequestId) -> Result<RequestRow, ServiceError> {
        self.core.store.read().find_request(tenant, reference).await?.ok_or(ServiceError::NotFound)
    }

    /// The latest calls of a tenant that did not do what they were for, newest first; at most `limit`.
    pub async fn recent_failures(self, tenant: &Tenant, limit: u32) -> Result<Vec<RequestRow>, ServiceError> {
        let mut found = Vec::new();
        for outcome in [Outcome::Refused, Outcome::Failed] {
            let filter = RequestFilter { outcome: Some(outcome), ..RequestFilter::default() };
            found.extend(self.core.store.read().list_requests(tenant, &filter, None, limit).await?);
        }
        found.sort_by_key(|row| std::cmp::Reverse((row.at, row.reference.to_string())));
        found.truncate(limit as usize);
        Ok(found)
    }

    /// Why a call of a tenant was refused, by the reference of its answer.
    pub async fn refusal(self, tenant: &Tenant, reference: RequestId) -> Result<Refused, ServiceError> {
        let refused = self.refusal_of_business(&tenant.business, reference).await?;
        match refused.refusal.environment {
            Some(environment) if environment != tenant.environment => Err(ServiceError::NotFound),
            Some(_) | None => Ok(refused),
        }
    }

    /// The same for the operator, in whichever environment.
    pub async fn refusal_of_business(
        self,
        business: &BusinessId,
        reference: RequestId,
    ) -> Result<Refused, ServiceError> {
        let mut reader = self.core.store.read();
        let refusal = reader.find_refusal(business, reference).await?.ok_or(ServiceError::NotFound)?;
        // A row of a later release may name a rule that this one does not know, and cannot explain.
        let reason: Reason = refusal.code.parse().map_err(|_| ServiceError::NotFound)?;
        let now = self.core.clock.now();
        let key = match refusal.key_id {
            Some(id) => reader.find_key_of_business(business, id).await?.map(|row| KeyView::new(row, now)),
            None => None,
        };
        let hint = self.hint(&refusal, reason, key.as_ref()).await?;
        Ok(Refused { refusal, reason, key, hint })
    }

    async fn hint(
        self,
        refusal: &RefusalRow,
        reason: Reason,
        key: Option<&KeyView>,
    ) -> Result<Option<Hint>, ServiceError> {
        let good_now = |hint: Option<Hint>| match key {
            Some(key) if key.status == KeyStatus::Active => Some(Hint::GoodNow),
            _ => hint,
        };
        Ok(match reason {
            Reason::EnvironmentMismatch => key.map(|key| match key.key.tenant.environment {
                Environment::Test => Hint::TestKeyOnLive,
                Environment::Live => Hint::LiveKeyOnTest,
            }),
            Reason::BusinessMismatch => Some(Hint::IdOfAnotherBusiness),
            Reason::KeyRotated => match (key, refusal.key_version) {
                (Some(key), Some(version)) => {
                    let next = self.core.store.read().find_version(&key.key.tenant, key.key.id, version + 1).await?;
                    next.map(|next| Hint::OldValue { rotated_at: next.created_at })
                }
                _ => None,
            },
            Reason::KeyRevoked => key.and_then(|key| key.key.revoked_at).map(Hint::RevokedAt),
            Reason::KeyExpired => good_now(key.and_then(|key| key.key.valid_until).map(Hint::EndedAt)),
            Reason::KeyNotYetValid => good_now(key.map(|key| Hint::BeginsAt(key.key.valid_from))),
            Reason::KeyInactive => good_now(None),
            Reason::KeyUnknown => self.alike(refusal).await?,
            Reason::IpNotAllowed => refusal.address.clone().map(Hint::CameFrom),
            Reason::OriginNotAllowed | Reason::BrowserNotAllowed => refusal.origin.clone().map(Hint::CameFromPage),
            Reason::ScopeMissing => refusal.missing_scope.clone().map(Hint::LacksScope),
            Reason::AmbiguousCredentials
            | Reason::KeyInUrl
            | Reason::CredentialMissing
            | Reason::SchemeUnsupported
            | Reason::CredentialMalformed
            | Reason::KeyMalformed
            | Reason::BusinessIdMissing
            | Reason::BusinessSuspended
            | Reason::HttpsRequired
            | Reason::KindNotAllowed
            | Reason::RateLimited
            | Reason::QuotaExhausted => None,
        })
    }

    /// A key of the business that ends in the same characters as the unknown value: probably what was meant.
    async fn alike(self, refusal: &RefusalRow) -> Result<Option<Hint>, ServiceError> {
        let Some(last_three) = &refusal.last_three else { return Ok(None) };
        for environment in Environment::ALL {
            if refusal.environment.is_some_and(|known| known != environment) {
                continue;
            }
            let tenant = Tenant::new(refusal.business.clone(), environment);
            let found = self.core.store.read().list_keys_ending_in(&tenant, last_three, MOST_ALIKE).await?;
            if let Some(key) = found.first() {
                return Ok(Some(Hint::EndsLikeKey { number: key.number }));
            }
        }
        Ok(None)
    }

    /// The usage of a tenant by day (of UTC), key and outcome: today and `days` before it, the oldest day first.
    pub async fn usage(self, tenant: &Tenant, days: u32) -> Result<Vec<UsageRow>, ServiceError> {
        let from = UtcDay::of(self.core.clock.now()).minus(days);
        Ok(self.core.store.read().list_usage(tenant, from).await?)
    }

    /// The usage of one key by day and outcome: today and `days` before it, the oldest day first.
    pub async fn usage_of_key(self, tenant: &Tenant, key: KeyId, days: u32) -> Result<Vec<UsageRow>, ServiceError> {
        let from = UtcDay::of(self.core.clock.now()).minus(days);
        Ok(self.core.store.read().list_usage_of_key(tenant, key, from).await?)
    }

    /// How many calls were made with one key in 7 days.
    pub async fn week_of_key(self, tenant: &Tenant, key: KeyId) -> Result<Calls, ServiceError> {
        let mut calls = Calls::default();
        for row in self.usage_of_key(tenant, key, WEEK).await? {
            calls.add(row.outcome, row.requests);
        }
        Ok(calls)
    }

    /// How many calls a tenant's keys were used for in 7 days.
    pub async fn calls_of_week(self, tenant: &Tenant) -> Result<Calls, ServiceError> {
        let mut calls = Calls::default();
        for row in self.usage(tenant, WEEK).await? {
            calls.add(row.outcome, row.requests);
        }
        Ok(calls)
    }

    /// Who used a key, by value, address and client (by origin for a checkout key), the latest first. It is bounded:
    /// those not seen for longest are forgotten.
    pub async fn sightings(self, tenant: &Tenant, key: KeyId) -> Result<Vec<SightingRow>, ServiceError> {
        Ok(self.core.store.read().list_sightings(tenant, key).await?)
    }

    /// When any key of a tenant was last found good.
    pub async fn last_verified(self, tenant: &Tenant) -> Result<Option<Timestamp>, ServiceError> {
        Ok(self.core.store.read().last_use(tenant).await?)
    }

    /// What this node could not write down since it started.
    pub fn dropped(self) -> Dropped {
        self.core.recorder.dropped()
    }
}
