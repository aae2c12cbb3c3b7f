//! The application: what every use case works with.

use std::io;
use std::sync::Arc;

use tokio::sync::Semaphore;
use trousseau_domain::actor::Actor;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::events::{AuditAction, EventType};
use trousseau_domain::ids::{AuditId, BusinessId, EventId, KeyId};
use trousseau_domain::keys::{KeyStatus, VersionLife};
use trousseau_domain::members::Operation;
use trousseau_domain::time::Timestamp;
use trousseau_store::{AuditRow, BusinessRow, ChangeKind, EventRow, KeyRow, Moment, Store, StoreError, Tx};

use crate::access::Access;
use crate::address::PublicAddress;
use crate::assertions::Assertions;
use crate::businesses::Businesses;
use crate::checkout::Checkout;
use crate::clock::{Clock, SystemClock};
use crate::context::{Authority, Context};
use crate::entropy::{Entropy, EntropyExt as _};
use crate::error::ServiceError;
use crate::events::Events;
use crate::idempotency::{Answered, InFlight, StoredAnswer};
use crate::index::{Index, IndexState, Seen};
use crate::jobs::{Jobs, Recorder};
use crate::keys::{Keys, life_of};
use crate::limits::Limiter;
use crate::logos::Logos;
use crate::mail::{MailTransport, Mailer};
use crate::networks::{NetworkViews, Networks};
use crate::nodes::{Nodes, ThisNode};
use crate::payments::Payments;
use crate::payments::invoices::Invoices;
use crate::payments::movements::Movements;
use crate::payments::payment_links::PaymentLinks;
use crate::payments::payout_addresses::PayoutAddresses;
use crate::payments::payout_plans::PayoutPlans;
use crate::payments::recurring_payments::RecurringPayments;
use crate::payments::refunds::Refunds;
use crate::payments::test_ledger::TestLedgers;
use crate::people::{People, PeopleState, STEP_UP_WITHIN};
use crate::platform::Platform;
use crate::platform_keys::PlatformKeys;
use crate::reconciliations::Reconciliations;
use crate::requests::Requests;
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::webhooks::{Outgoing, Webhooks};

/// Digests that are brought under a newer pepper at a time; each takes a turn of the writer.
const MOST_RENEWALS: usize = 4;

/// What is said of keys that were kept for this start, when they are of no use.
const NOT_TAKEN_OVER: &str = "what was kept of the keys cannot be read: they are read from the database";
/// What is said when they cannot be kept for the next one.
const NOT_KEPT: &str = "the keys could not be kept: the next start reads them from the database";

/// The application. Clones share everything.
#[derive(Debug, Clone)]
pub struct App {
    core: Arc<Core>,
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) secrets: Secrets,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) in_flight: InFlight,
    pub(crate) jobs: Jobs,
    pub(crate) recorder: Recorder,
    /// How many digests are brought under a newer pepper at a time.
    pub(crate) renewals: Arc<Semaphore>,
    pub(crate) people: PeopleState,
    pub(crate) mailer: Mailer,
    pub(crate) started_at: Timestamp,
    pub(crate) outgoing: Outgoing,
    pub(crate) networks: Networks,
    pub(crate) index: Arc<Index>,
    pub(crate) limiter: Limiter,
    pub(crate) node: ThisNode,
}

impl App {
    /// Puts the parts together. Nothing runs in the background until somebody runs [`App::jobs`].
    pub fn new(
        store: Store,
        secrets: Secrets,
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let index = Arc::new(Index::new(settings.clone()));
        let jobs = Jobs::new(store.clone(), secrets.clone(), Arc::clone(&clock), settings.keep(), Arc::clone(&index));
        let recorder = jobs.recorder();
        let limiter = Limiter::new(Arc::clone(recorder.keys()));
        let people = PeopleState::new(&settings);
        let mailer = Mailer::new(store.clone(), secrets.clone(), Arc::clone(&clock));
        let in_flight = InFlight::default();
        let started_at = clock.now();
        let outgoing = Outgoing::new(settings.webhook_networks(), settings.webhook_authorities());
        let networks = Networks::new(settings.networks());
        let core = Core {
            store,
            secrets,
            settings,
            clock,
            entropy,
            in_flight,
            jobs,
            recorder,
            renewals: Arc::new(Semaphore::new(MOST_RENEWALS)),
            people,
            mailer,
            started_at,
            outgoing,
            networks,
            index,
            limiter,
            node: ThisNode::default(),
        };
        let core = Arc::new(core);
        core.jobs.serve(&core);
        Self { core }
    }

    /// Where the world reaches this installation, once that is known; the first call counts. Until then it is what
    /// the settings say.
    pub fn set_address(&self, address: PublicAddress) {
        self.core.people.set_address(address);
    }

    /// Where the world reaches this installation.
    pub fn address(&self) -> &PublicAddress {
        self.core.people.address()
    }

    /// Accounts, members, sessions.
    pub fn people(&self) -> People<'_> {
        People::new(&self.core)
    }

    /// The job that sends mails.
    pub fn mailer(&self) -> &Mailer {
        &self.core.mailer
    }

    /// Where mails go; the first call counts, and without one they wait.
    pub fn set_mail_transport(&self, transport: MailTransport) {
        self.core.mailer.set_transport(transport);
    }

    /// Who is calling, and whether a key is good.
    pub fn access(&self) -> Access<'_> {
        Access::new(&self.core)
    }

    /// Signed assertions for upstreams.
    pub fn assertions(&self) -> Assertions<'_> {
        Assertions::new(&self.core)
    }

    /// Businesses.
    pub fn businesses(&self) -> Businesses<'_> {
        Businesses::new(&self.core)
    }

    /// Keys of businesses.
    pub fn keys(&self) -> Keys<'_> {
        Keys::new(&self.core)
    }

    /// How businesses take payments.
    pub fn checkout(&self) -> Checkout<'_> {
        Checkout::new(&self.core)
    }

    /// Logos of businesses.
    pub fn logos(&self) -> Logos<'_> {
        Logos::new(&self.core)
    }

    /// Payments.
    pub fn payments(&self) -> Payments<'_> {
        Payments::new(&self.core)
    }

    /// Payment links.
    pub fn payment_links(&self) -> PaymentLinks<'_> {
        PaymentLinks::new(&self.core)
    }

    /// Invoices.
    pub fn invoices(&self) -> Invoices<'_> {
        Invoices::new(&self.core)
    }

    /// Recurring payments.
    pub fn recurring_payments(&self) -> RecurringPayments<'_> {
        RecurringPayments::new(&self.core)
    }

    /// Money that is given back.
    pub fn refunds(&self) -> Refunds<'_> {
        Refunds::new(&self.core)
    }

    /// The ledger of TEST.
    pub fn test_ledgers(&self) -> TestLedgers<'_> {
        TestLedgers::new(&self.core)
    }

    /// Networks that are watched.
    pub fn networks(&self) -> NetworkViews<'_> {
        NetworkViews::new(&self.core)
    }

    /// Where the money of businesses goes.
    pub fn payout_addresses(&self) -> PayoutAddresses<'_> {
        PayoutAddresses::new(&self.core)
    }

    /// What it takes to move the money of businesses there.
    pub fn payout_plans(&self) -> PayoutPlans<'_> {
        PayoutPlans::new(&self.core)
    }

    /// Whether the sums agree.
    pub fn reconciliations(&self) -> Reconciliations<'_> {
        Reconciliations::new(&self.core)
    }

    /// Movements of money.
    pub fn movements(&self) -> Movements<'_> {
        Movements::new(&self.core)
    }

    /// The operator's keys.
    pub fn platform_keys(&self) -> PlatformKeys<'_> {
        PlatformKeys::new(&self.core)
    }

    /// The servers that run on this database.
    pub fn nodes(&self) -> Nodes<'_> {
        Nodes::new(&self.core)
    }

    /// What the administrators of the platform look at.
    pub fn platform(&self) -> Platform<'_> {
        Platform::new(&self.core)
    }

    /// What happened.
    pub fn events(&self) -> Events<'_> {
        Events::new(&self.core)
    }

    /// Webhook endpoints and their deliveries.
    pub fn webhooks(&self) -> Webhooks<'_> {
        Webhooks::new(&self.core)
    }

    /// Calls, usage, and why a request was refused.
    pub fn requests(&self) -> Requests<'_> {
        Requests::new(&self.core)
    }

    /// Pepper and key-encryption key.
    pub fn secrets(&self) -> &Secrets {
        &self.core.secrets
    }

    /// The background jobs.
    pub fn jobs(&self) -> &Jobs {
        &self.core.jobs
    }

    /// Tells the other servers that this one is there, before it answers from memory: whoever waits for a change to be in
    /// force waits for it too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enter(&self) -> Result<(), StoreError> {
        self.core.node.enter(&self.core).await
    }

    /// Compares this machine's clock with the database's: until then it is believed. A server does so all the time.
    ///
    /// # Errors
    /// When the database fails, or takes no writes.
    pub async fn compare_clocks(&self) -> Result<(), StoreError> {
        self.core.index.latest(&self.core.store).await.map(drop)
    }

    /// Whether dates may be written by this machine's clock, for commands whose use case does not ask by itself.
    ///
    /// # Errors
    /// [`ServiceError::ClockUnsure`] where it is another one than the database's, or was not compared.
    pub fn clock_is_sure(&self) -> Result<(), ServiceError> {
        self.core.clock_is_sure()
    }

    /// Takes this server off their list again.
    ///
    /// # Errors
    /// When the database fails; it is then forgotten after a while.
    pub async fn leave(&self) -> Result<(), StoreError> {
        self.core.node.leave(&self.core.store).await
    }

    /// Reads all keys into the memory of this node: what [`App::close`] kept of them, where the database is still as
    /// it was left then. Without it, the follower does so when it begins.
    ///
    /// # Errors
    /// When the database fails; every key is then asked for there.
    pub async fn fill_index(&self) -> Result<(), StoreError> {
        let (index, store) = (&self.core.index, &self.core.store);
        let mut kept = false;
        if let Some(found) = store.found() {
            match index.take_over(store, found).await {
                Ok(taken) => kept = taken,
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "{NOT_TAKEN_OVER}"),
            }
        }
        kept &= matches!(index.prove(store).await?, Seen::Changes(_));
        tracing::info!(values = index.state().values, kept, "the keys are read");
        Ok(())
    }

    /// Closes the database after the work under way. What this node remembers of the keys is kept beside it, so that the
    /// next start need not read every key: not on PostgreSQL, not if another process has written to the database or has it
    /// open, not of few keys, and not unless it is proven once more to be all there is.
    pub async fn close(&self) {
        let (index, store) = (Arc::clone(&self.core.index), &self.core.store);
        let proven = index.is_worth_keeping() && matches!(index.prove(store).await, Ok(Seen::Changes(_)));
        store.close().await;
        if !(proven && index.is_worth_keeping()) {
            return;
        }
        // The system's clock, whatever time the application is told: files are stamped by it.
        let Some(left) = store.left(|| SystemClock.now()).await else { return };
        let kept = tokio::task::spawn_blocking(move || index.keep(&left)).await;
        if let Err(error) = kept.unwrap_or_else(|ended| Err(io::Error::other(ended))) {
            tracing::warn!(error = &error as &dyn std::error::Error, "{NOT_KEPT}");
        }
    }

    /// How the memory of this node is doing.
    pub fn index_state(&self) -> IndexState {
        self.core.index.state()
    }

    /// The rules of the installation.
    pub fn settings(&self) -> &Settings {
        &self.core.settings
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.core.clock.now()
    }

    /// Randomness, for ids that the border makes.
    pub fn entropy(&self) -> &dyn Entropy {
        self.core.entropy.as_ref()
    }

    /// Whether the database answers.
    pub async fn check_ready(&self) -> Result<(), ServiceError> {
        self.core.check_ready().await
    }

    /// Waits until what was read since `moment` is there for good: for a refusal that rests on it.
    ///
    /// # Errors
    /// When some of it is lost, or it takes too long.
    pub async fn settled(&self, moment: Moment) -> Result<(), ServiceError> {
        Ok(self.core.store.settled(moment).await?)
    }

    /// The same of a refusal that may tell of a change: what is answered from memory afterwards is no older.
    ///
    /// # Errors
    /// As [`App::settled`], and when the database cannot be asked.
    pub async fn settled_and_seen(&self, moment: Moment) -> Result<(), ServiceError> {
        self.settled(moment).await?;
        Ok(self.core.index.require_latest(&self.core.store).await?)
    }

    /// The store, for the executable to close.
    pub fn store(&self) -> &Store {
        &self.core.store
    }
}

impl Core {
    /// Whether dates may be judged, and written, by this node's clock.
    pub(crate) fn clock_is_sure(&self) -> Result<(), ServiceError> {
        if self.index.clock_is_sure() { Ok(()) } else { Err(ServiceError::ClockUnsure) }
    }

    /// Whether this node may say that there is no such key.
    pub(crate) fn secrets_are_whole(&self) -> Result<(), ServiceError> {
        if self.secrets.is_behind() { Err(ServiceError::SecretsBehind) } else { Ok(()) }
    }

    /// Whether this node can serve: its clock may be believed, it has the secrets in use, and its database answers in
    /// time and takes writes.
    pub(crate) async fn check_ready(&self) -> Result<(), ServiceError> {
        self.clock_is_sure()?;
        self.secrets_are_whole()?;
        self.store.read_at_door()?.current_seq().await?;
        Ok(())
    }
}

/// One change of the world: a transaction whose audit entry and event cannot be forgotten.
pub(crate) struct Unit<'a> {
    core: &'a Core,
    context: &'a Context,
    pub(crate) tx: Tx,
    pub(crate) now: Timestamp,
}

/// What happened, as a unit of work tells it.
pub(crate) struct Happened<'a> {
    pub(crate) event: EventType,
    pub(crate) business: &'a BusinessId,
    pub(crate) environment: Option<Environment>,
    pub(crate) key: Option<KeyId>,
    pub(crate) data: serde_json::Value,
}

impl<'a> Unit<'a> {
    pub(crate) async fn begin(core: &'a Core, context: &'a Context) -> Result<Self, ServiceError> {
        Self::begin_in(core.store.begin().await?, core, context).await
    }

    /// The same for what takes long: nobody else's answer waits for its end.
    pub(crate) async fn begin_alone(core: &'a Core, context: &'a Context) -> Result<Self, ServiceError> {
        Self::begin_in(core.store.begin_alone().await?, core, context).await
    }

    async fn begin_in(tx: Tx, core: &'a Core, context: &'a Context) -> Result<Self, ServiceError> {
        // Read after the transaction has begun: whoever waited for the writer decides at its own turn.
        let mut unit = Self { core, context, tx, now: core.clock.now() };
        core.clock_is_sure()?;
        if let Actor::PlatformKey { id } = unit.context.actor {
            let caller = unit.tx.read().find_platform_key(id).await?;
            if caller.is_none_or(|caller| caller.revoked_at.is_some()) {
                return Err(ServiceError::CallerRefused);
            }
        }
        Ok(unit)
    }

    /// Takes the lock of a business, under which every rule of its keys is checked. Whoever waited for it decides by
    /// the time that it is then.
    pub(crate) async fn lock_business(&mut self, id: &BusinessId) -> Result<BusinessRow, ServiceError> {
        let business = self.tx.lock_business(id).await?.ok_or(ServiceError::NotFound)?;
        self.now = self.now.max(self.core.clock.now());
        Ok(business)
    }

    /// What everything is done with.
    pub(crate) const fn core(&self) -> &'a Core {
        self.core
    }

    /// On whose behalf this is.
    pub(crate) const fn actor(&self) -> &Actor {
        &self.context.actor
    }

    /// Enters a tenant to change what is to be paid there: the business is held and open, and the caller still may.
    ///
    /// # Errors
    /// As [`Unit::check_caller`] and [`Unit::check_member`], and [`ServiceError::BusinessSuspended`].
    pub(crate) async fn enter(&mut self, tenant: &Tenant, operation: Operation) -> Result<BusinessRow, ServiceError> {
        let business = self.lock_business(&tenant.business).await?;
        self.check_caller().await?;
        self.check_member(&tenant.business, operation, false).await?;
        if business.suspended_at.is_some() {
            return Err(ServiceError::BusinessSuspended);
        }
        Ok(business)
    }

    /// Refuses a change of a business that is suspended: its people may read and change nothing, the operator goes on.
    ///
    /// # Errors
    /// [`ServiceError::BusinessSuspended`].
    pub(crate) const fn check_open(&self, business: &BusinessRow) -> Result<(), ServiceError> {
        if business.suspended_at.is_some() && !self.context.is_operator() {
            return Err(ServiceError::BusinessSuspended);
        }
        Ok(())
    }

    /// Looks at the caller's key once more, under the lock of its business: it may have been ended while the request
    /// waited, or while its body was still on the way.
    ///
    /// # Errors
    /// [`ServiceError::CallerRefused`] if it is not accepted any more, [`ServiceError::Conflict`] if its rights have
    /// changed since they were checked.
    pub(crate) async fn check_caller(&mut self) -> Result<(), ServiceError> {
        let (Actor::Key { id, version }, Authority::Key { tenant, scopes, valid_until, limits, allowed_ips }) =
            (&self.context.actor, &self.context.authority)
        else {
            return Ok(());
        };
        let found = self.tx.read().find_key_and_version(tenant, *id, *version).await?;
        let (key, version) = found.ok_or(ServiceError::CallerRefused)?;
        let life = VersionLife { starts_at: version.starts_at, ends_at: version.ends_at };
        if life_of(&key).status_at(self.now) != KeyStatus::Active || !life.accepts(self.now) {
            return Err(ServiceError::CallerRefused);
        }
        let is_as_judged = key.scopes == *scopes
            && key.valid_until == *valid_until
            && key.limits == *limits
            && key.allowed_ips == *allowed_ips;
        if !is_as_judged {
            return Err(ServiceError::Conflict);
        }
        Ok(())
    }

    /// Looks at a person once more: the session is theirs still, and the role, read now, allows this. Where `proven`
    /// is asked for, the last proof of who they are is recent. Callers of another kind pass.
    ///
    /// # Errors
    /// [`ServiceError::CallerRefused`] if the session has ended, [`ServiceError::NotFound`] if they are not, or no
    /// longer, a member, [`ServiceError::Forbidden`] if the role does not allow it, [`ServiceError::StepUpRequired`]
    /// if the last proof is too old.
    pub(crate) async fn check_member(
        &mut self,
        business: &BusinessId,
        operation: Operation,
        proven: bool,
    ) -> Result<(), ServiceError> {
        let Authority::Member { account, place, .. } = &self.context.authority else {
            return Ok(());
        };
        if place.as_ref().is_none_or(|(entered, _)| entered != business) {
            return Err(ServiceError::NotFound);
        }
        let role = self.tx.read().find_role(business, *account).await?.ok_or(ServiceError::NotFound)?;
        if !role.may(operation) {
            return Err(ServiceError::Forbidden);
        }
        self.check_session(proven).await
    }

    /// The same for a person who acts for the platform.
    pub(crate) async fn check_platform(&mut self, proven: bool) -> Result<(), ServiceError> {
        let Authority::Member { account, .. } = &self.context.authority else {
            return Ok(());
        };
        let found = self.tx.read().find_account(*account).await?;
        if !found.is_some_and(|account| account.platform_admin) {
            return Err(ServiceError::Forbidden);
        }
        self.check_session(proven).await
    }

    /// Whether the caller's session is alive and, where that is asked for, proven recently.
    pub(crate) async fn check_session(&mut self, proven: bool) -> Result<(), ServiceError> {
        let Authority::Member { account, session, .. } = &self.context.authority else {
            return Ok(());
        };
        let now = self.now;
        let found = self.tx.read().find_session_of(*account, *session, now).await?;
        let session = found.ok_or(ServiceError::CallerRefused)?;
        if proven && now.since(session.verified_at) >= STEP_UP_WITHIN {
            return Err(ServiceError::StepUpRequired);
        }
        Ok(())
    }

    /// Writes the audit entry of what concerns no business.
    pub(crate) async fn audit(
        &mut self,
        action: AuditAction,
        target: &str,
        details: serde_json::Value,
    ) -> Result<(), ServiceError> {
        self.tx
            .append_audit(&AuditRow {
                id: AuditId::new(self.now, self.core.entropy.bytes()),
                at: self.now,
                actor: self.context.actor.clone(),
                action: action.as_str().to_owned(),
                business: None,
                environment: None,
                target: Some(target.to_owned()),
                details,
                request_id: self.context.request_id,
            })
            .await?;
        Ok(())
    }

    /// Writes the audit entry and the event of what happened.
    pub(crate) async fn record(&mut self, happened: Happened<'_>) -> Result<(), ServiceError> {
        self.record_event(happened).await.map(drop)
    }

    /// The same; gives the event's id.
    pub(crate) async fn record_event(&mut self, happened: Happened<'_>) -> Result<EventId, ServiceError> {
        self.record_as(happened, None).await
    }

    /// The same of something that is neither a key nor the business itself, by its id.
    pub(crate) async fn record_about(
        &mut self,
        happened: Happened<'_>,
        subject: Option<String>,
    ) -> Result<(), ServiceError> {
        self.record_as(happened, subject).await.map(drop)
    }

    async fn record_as(&mut self, happened: Happened<'_>, subject: Option<String>) -> Result<EventId, ServiceError> {
        let (audit, event) = self.rows_of(happened, subject);
        self.tx.append_audit(&audit).await?;
        let id = event.id;
        self.tx.append_event(&event).await?;
        Ok(id)
    }

    /// The audit entry and the event of what happened, for whoever writes many of them at once.
    pub(crate) fn rows_of(&self, happened: Happened<'_>, subject: Option<String>) -> (AuditRow, EventRow) {
        let target = match (&subject, happened.key) {
            (Some(subject), _) => subject.clone(),
            (None, Some(key)) => key.to_string(),
            (None, None) => happened.business.to_string(),
        };
        let audit = AuditRow {
            id: AuditId::new(self.now, self.core.entropy.bytes()),
            at: self.now,
            actor: self.context.actor.clone(),
            action: happened.event.as_str().to_owned(),
            business: Some(happened.business.clone()),
            environment: happened.environment,
            target: Some(target),
            details: happened.data.clone(),
            request_id: self.context.request_id,
        };
        let event = EventRow {
            id: EventId::new(self.now, self.core.entropy.bytes()),
            at: self.now,
            business: happened.business.clone(),
            environment: happened.environment,
            kind: happened.event.as_str().to_owned(),
            key_id: happened.key,
            subject,
            actor: self.context.actor.clone(),
            data: happened.data,
            request_id: self.context.request_id,
        };
        (audit, event)
    }

    /// Ends without a change, for an answer that rests on what was read here: others may have written it in the same
    /// transaction, and it may be told once it is there for good.
    pub(crate) async fn settle(self) -> Result<(), ServiceError> {
        let core = self.core;
        self.tx.settle().await?;
        Ok(core.index.require_latest(&core.store).await?)
    }

    /// Ends with the answer of an earlier request.
    pub(crate) async fn replay<T>(self, answer: StoredAnswer) -> Result<Answered<T>, ServiceError> {
        self.settle().await?;
        Ok(Answered::Replayed(answer))
    }

    /// Announces the change to every node and commits.
    pub(crate) async fn commit(
        mut self,
        kind: ChangeKind,
        business: Option<&BusinessId>,
        target: Option<&str>,
    ) -> Result<(), ServiceError> {
        let seq = self.tx.append_change(kind, business, target, self.now).await?;
        let (tx, index) = (self.tx, Arc::clone(&self.core.index));
        // A task of its own: a commit comes to its end though its caller went away, and so has to what follows from it.
        let committed = tokio::spawn(async move {
            tx.commit().await?;
            match kind {
                ChangeKind::Key | ChangeKind::Business | ChangeKind::PlatformKey | ChangeKind::Secrets => {
                    index.taken_away(seq).await;
                }
                ChangeKind::Payment | ChangeKind::Payable => index.heard(),
            }
            Ok(())
        });
        match committed.await {
            Ok(committed) => committed,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Its runtime has ended, and the process is about to: nobody hears this any more.
                Err(_) => Err(ServiceError::Conflict),
            },
        }
    }

    /// The same of a key that did not exist before: nothing that is remembered is wrong for it.
    pub(crate) async fn commit_new_key(mut self, key: &KeyRow) -> Result<(), ServiceError> {
        let (business, target) = (&key.tenant.business, key.id.to_string());
        self.tx.append_change(ChangeKind::Key, Some(business), Some(&target), self.now).await?;
        self.tx.commit().await?;
        self.core.index.heard();
        Ok(())
    }

    /// The same for many keys of one business.
    pub(crate) async fn commit_new_keys(mut self, business: &BusinessId, keys: &[KeyId]) -> Result<(), ServiceError> {
        self.tx.append_changes(ChangeKind::Key, business, keys, self.now).await?;
        self.tx.commit().await?;
        self.core.index.heard();
        Ok(())
    }
}
