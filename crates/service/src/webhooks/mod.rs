//! Webhooks: where a business wants to hear of what happens, and what became of each message.

pub mod authorities;
mod deliver;
mod outgoing;

use std::time::Duration;

use serde_json::json;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::events::{AuditAction, EventType};
use trousseau_domain::ids::{AuditId, DeliveryId, EventId, WebhookEndpointId};
use trousseau_domain::keys::{Overlap, Validity};
use trousseau_domain::members::Operation;
use trousseau_domain::scope::{BuiltIn, Scope};
use trousseau_domain::time::Timestamp;
use trousseau_domain::webhooks::signature::{EndpointSecrets, VerificationToken};
use trousseau_domain::webhooks::target::WebhookUrl;
use trousseau_domain::webhooks::{
    DeliveryState, Dialect, DisabledReason, EndpointDescription, EndpointState, Subscription, UnknownEventType,
};
use trousseau_store::{
    AttemptRow, AuditRow, DeliveryFilter, DeliveryRow, SealedPlace, WebhookEndpointRow, WebhookSecretRow,
};
use zeroize::Zeroizing;

use crate::app::{Core, Happened, Unit};
use crate::context::{Authority, Context};
use crate::entropy::EntropyExt as _;
use crate::error::{BeyondOwnRights, ServiceError};
use crate::idempotency::{self, Answered, Idempotent};
use crate::key_ring::Cell;
use crate::keys::Page;
use crate::secrets::Secrets;

pub(crate) use deliver::{FanOut, cannot_queue};
pub use outgoing::NO_ANSWERS;
pub(crate) use outgoing::Outgoing;

/// The most endpoints of a business in one environment.
pub const MOST_ENDPOINTS: u32 = 20;

/// What is asked for when an endpoint is registered.
#[derive(Debug, Clone)]
pub struct EndpointDraft {
    /// Where messages go.
    pub url: WebhookUrl,
    /// What people say of it.
    pub description: Option<EndpointDescription>,
    /// How messages look.
    pub dialect: Dialect,
    /// What it wants to hear of; nothing is everything.
    pub event_types: Vec<String>,
    /// The token of Mileston's dialect; one is made where none is given.
    pub token: Option<VerificationToken>,
}

/// What is to be different; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct EndpointChange {
    /// Where messages go.
    pub url: Option<WebhookUrl>,
    /// What people say of it; `Some(None)` takes it away.
    pub description: Option<Option<EndpointDescription>>,
    /// What it wants to hear of.
    pub event_types: Option<Vec<String>>,
    /// On or off.
    pub state: Option<EndpointState>,
}

/// An endpoint as it is shown: without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointView {
    /// The row.
    pub endpoint: WebhookEndpointRow,
    /// The key by which anybody can check its signatures.
    pub public_key: String,
    /// Until when the secrets before the last rotation sign too.
    pub previous_until: Option<Timestamp>,
}

/// An endpoint together with what its receiver checks signatures with.
#[derive(Debug)]
pub struct IssuedEndpoint {
    /// The endpoint.
    pub view: EndpointView,
    /// The secrets.
    pub secrets: EndpointSecrets,
}

/// A delivery with its attempts, the latest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryView {
    /// The delivery.
    pub delivery: DeliveryRow,
    /// Its attempts.
    pub attempts: Vec<AttemptRow>,
}

fn is_live(tenant: &Tenant) -> bool {
    tenant.environment == Environment::Live
}

fn open(secrets: &Secrets, row: &WebhookSecretRow) -> Result<EndpointSecrets, ServiceError> {
    let ring = secrets.ring().get();
    let id = WebhookSecretRow::id_of(row.endpoint, row.version);
    let plain = ring.open(&row.sealed, &Cell::of(SealedPlace::WebhookSecret, &id))?;
    EndpointSecrets::from_bytes(&plain).ok_or(ServiceError::ValueNotReadable)
}

fn subscription(dialect: Dialect, names: &[String]) -> Result<Subscription, ServiceError> {
    Subscription::parse(dialect, names).map_err(|UnknownEventType { index }| {
        let message = format!("entry {} is no type of event that this dialect has", index + 1);
        ServiceError::invalid("event_types", message)
    })
}

fn view(endpoint: WebhookEndpointRow, secrets: &[WebhookSecretRow]) -> EndpointView {
    EndpointView {
        public_key: secrets.first().map(|newest| newest.public_key.clone()).unwrap_or_default(),
        previous_until: secrets.get(1).and_then(|previous| previous.ends_at),
        endpoint,
    }
}

/// Whoever is told of everything must be one who may read it.
fn check_may_hear(context: &Context) -> Result<(), ServiceError> {
    match &context.authority {
        Authority::Key { scopes, .. } => {
            let needed = Scope::built_in(BuiltIn::EventsRead);
            if scopes.contains(&needed) {
                Ok(())
            } else {
                Err(ServiceError::BeyondOwnRights(BeyondOwnRights::Scope(needed)))
            }
        }
        Authority::Operator | Authority::Member { .. } => Ok(()),
    }
}

/// Use cases of webhooks.
#[derive(Debug, Clone, Copy)]
pub struct Webhooks<'a> {
    core: &'a Core,
}

impl<'a> Webhooks<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// One page of a tenant's endpoints, newest first. A page may begin after one that was removed meanwhile.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if `after` never was an endpoint of the tenant.
    pub async fn list(
        self,
        tenant: &Tenant,
        after: Option<WebhookEndpointId>,
        limit: u32,
    ) -> Result<Page<EndpointView>, ServiceError> {
        let mut reader = self.core.store.read();
        if let Some(after) = after
            && !reader.had_webhook_endpoint(tenant, after).await?
        {
            return Err(ServiceError::invalid("starting_after", "there is no endpoint with this id"));
        }
        let mut rows = reader.list_webhook_endpoints(tenant, after, limit + 1).await?;
        let has_more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let now = self.core.clock.now();
        let mut data = Vec::with_capacity(rows.len());
        for row in rows {
            let secrets = reader.list_webhook_secrets(row.id, now).await?;
            data.push(view(row, &secrets));
        }
        Ok(Page { data, has_more })
    }

    /// One endpoint.
    pub async fn get(self, tenant: &Tenant, id: WebhookEndpointId) -> Result<EndpointView, ServiceError> {
        let mut reader = self.core.store.read();
        let row = reader.find_webhook_endpoint(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        let secrets = reader.list_webhook_secrets(id, self.core.clock.now()).await?;
        Ok(view(row, &secrets))
    }

    /// Registers an endpoint.
    pub async fn create(
        self,
        context: &Context,
        tenant: &Tenant,
        draft: &EndpointDraft,
        idempotent: Option<&Idempotent<'_, IssuedEndpoint>>,
    ) -> Result<Answered<IssuedEndpoint>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        self.open_for_change(&mut unit, tenant, is_live(tenant)).await?;
        check_may_hear(context)?;
        self.check_url(tenant, &draft.url)?;
        let token = match (draft.dialect, &draft.token) {
            (Dialect::Standard, None) => None,
            (Dialect::Standard, Some(_)) => {
                return Err(ServiceError::invalid("verification_token", "is for the dialect mileston"));
            }
            (Dialect::Mileston, Some(token)) => Some(token.clone()),
            (Dialect::Mileston, None) => Some(VerificationToken::generate(&self.core.entropy.bytes())),
        };
        if unit.tx.read().count_webhook_endpoints(tenant).await? >= MOST_ENDPOINTS {
            return Err(ServiceError::EndpointLimitReached(MOST_ENDPOINTS));
        }
        let endpoint = WebhookEndpointRow {
            id: WebhookEndpointId::new(unit.now, self.core.entropy.bytes()),
            tenant: tenant.clone(),
            url: draft.url.clone(),
            description: draft.description.clone(),
            subscription: subscription(draft.dialect, &draft.event_types)?,
            disabled: None,
            secret_version: 1,
            created_at: unit.now,
            created_by: context.actor().clone(),
            updated_at: unit.now,
            last_success_at: None,
            paused_until: None,
        };
        unit.tx.insert_webhook_endpoint(&endpoint).await?;
        let (secrets, sealed) = self.new_secrets(endpoint.id, 1, token, unit.now);
        unit.tx.insert_webhook_secret(&sealed).await?;
        let data = json!({
            "id": endpoint.id, "url": endpoint.url, "dialect": draft.dialect,
            "event_types": endpoint.subscription.names(),
        });
        happened(&mut unit, tenant, EventType::WebhookEndpointCreated, data).await?;
        let issued = IssuedEndpoint { view: view(endpoint, &[sealed]), secrets };
        idempotency::keep(&mut unit.tx, idempotent, &issued, unit.now).await?;
        unit.tx.commit().await?;
        Ok(Answered::Done(issued))
    }

    /// Changes an endpoint, switches it on or off. What waited while it was off is sent once it is on.
    pub async fn update(
        self,
        context: &Context,
        tenant: &Tenant,
        id: WebhookEndpointId,
        change: &EndpointChange,
    ) -> Result<EndpointView, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        self.open_for_change(&mut unit, tenant, is_live(tenant) && change.url.is_some()).await?;
        let old = endpoint_in(&mut unit, tenant, id).await?;
        let mut new = old.clone();
        if let Some(url) = &change.url {
            self.check_url(tenant, url)?;
            new.url.clone_from(url);
        }
        if let Some(description) = &change.description {
            new.description.clone_from(description);
        }
        if let Some(names) = &change.event_types {
            new.subscription = subscription(old.subscription.dialect(), names)?;
        }
        match change.state {
            Some(EndpointState::Enabled) => new.disabled = None,
            Some(EndpointState::Disabled) if old.disabled.is_none() => {
                new.disabled = Some((unit.now, DisabledReason::Manual));
            }
            Some(EndpointState::Disabled) | None => {}
        }
        if new.url != old.url || new.subscription != old.subscription || new.state() != old.state() {
            check_may_hear(context)?;
        }
        if new != old {
            new.updated_at = unit.now;
            if !unit.tx.update_webhook_endpoint(&new, old.updated_at).await? {
                return Err(ServiceError::Conflict);
            }
            happened(&mut unit, tenant, EventType::WebhookEndpointUpdated, difference(&old, &new)).await?;
        }
        let now = unit.now;
        let secrets = unit.tx.read().list_webhook_secrets(id, now).await?;
        unit.tx.commit().await?;
        self.core.jobs.wake_deliveries();
        Ok(view(new, &secrets))
    }

    /// Removes an endpoint; nothing is sent to it any more.
    pub async fn delete(self, context: &Context, tenant: &Tenant, id: WebhookEndpointId) -> Result<(), ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        self.open_for_change(&mut unit, tenant, false).await?;
        let old = endpoint_in(&mut unit, tenant, id).await?;
        let now = unit.now;
        if !unit.tx.delete_webhook_endpoint(tenant, id, now).await? {
            return Err(ServiceError::NotFound);
        }
        let data = json!({ "id": id, "url": old.url });
        happened(&mut unit, tenant, EventType::WebhookEndpointDeleted, data).await?;
        unit.tx.commit().await?;
        Ok(())
    }

    /// Gives an endpoint new secrets. Messages are signed with the old ones too for as long as the overlap says. The
    /// token of Mileston's dialect stays unless another one is given: its header has room for one only.
    ///
    /// # Errors
    /// [`ServiceError::OverlapInProgress`] for an overlap while an earlier secret signs still.
    pub async fn rotate_secret(
        self,
        context: &Context,
        tenant: &Tenant,
        id: WebhookEndpointId,
        overlap: Overlap,
        token: Option<VerificationToken>,
        idempotent: Option<&Idempotent<'_, IssuedEndpoint>>,
    ) -> Result<Answered<IssuedEndpoint>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        self.open_for_change(&mut unit, tenant, is_live(tenant)).await?;
        let now = unit.now;
        let old = endpoint_in(&mut unit, tenant, id).await?;
        let always = Validity::new(now, None).expect("without an end it has its order");
        let ends_at = overlap
            .ends_at(now, &always)
            .map_err(|error| ServiceError::invalid(overlap.member(), error.to_string()))?;
        // Two secrets sign at most, so a third would end the one that the receiver still checks with.
        if ends_at.is_some() && unit.tx.read().list_webhook_secrets(id, now).await?.len() > 1 {
            return Err(ServiceError::OverlapInProgress);
        }
        let previous_until = ends_at.unwrap_or(now);
        let token = match (old.subscription.dialect(), token) {
            (Dialect::Standard, None) => None,
            (Dialect::Standard, Some(_)) => {
                return Err(ServiceError::invalid("verification_token", "is for the dialect mileston"));
            }
            (Dialect::Mileston, Some(token)) => Some(token),
            (Dialect::Mileston, None) => self.newest_secrets(&mut unit, id).await?.token().cloned(),
        };
        let new = WebhookEndpointRow { secret_version: old.secret_version + 1, updated_at: now, ..old.clone() };
        let (secrets, sealed) = self.new_secrets(id, new.secret_version, token, now);
        unit.tx.insert_webhook_secret(&sealed).await?;
        unit.tx.end_webhook_secrets(id, new.secret_version, previous_until, now).await?;
        if !unit.tx.update_webhook_endpoint(&new, old.updated_at).await? {
            return Err(ServiceError::Conflict);
        }
        let data = json!({ "id": id, "version": new.secret_version, "previous_ends_at": previous_until });
        happened(&mut unit, tenant, EventType::WebhookSecretRotated, data).await?;
        let signing = unit.tx.read().list_webhook_secrets(id, now).await?;
        let issued = IssuedEndpoint { view: view(new, &signing), secrets };
        idempotency::keep(&mut unit.tx, idempotent, &issued, now).await?;
        unit.tx.commit().await?;
        Ok(Answered::Done(issued))
    }

    /// Shows an endpoint's secret again, in TEST, and records that it did.
    ///
    /// # Errors
    /// [`ServiceError::EndpointSecretNotReadable`] in LIVE.
    pub async fn reveal_secret(
        self,
        context: &Context,
        tenant: &Tenant,
        id: WebhookEndpointId,
    ) -> Result<IssuedEndpoint, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        self.open_for_change(&mut unit, tenant, false).await?;
        let endpoint = endpoint_in(&mut unit, tenant, id).await?;
        if is_live(tenant) {
            return Err(ServiceError::EndpointSecretNotReadable);
        }
        let secrets = self.newest_secrets(&mut unit, id).await?;
        let now = unit.now;
        let signing = unit.tx.read().list_webhook_secrets(id, now).await?;
        let data = json!({ "id": id, "version": endpoint.secret_version });
        happened(&mut unit, tenant, EventType::WebhookSecretRevealed, data).await?;
        unit.tx.commit().await?;
        Ok(IssuedEndpoint { view: view(endpoint, &signing), secrets })
    }

    /// Sends a test message to an endpoint: an event of its own, tried once, and to no other endpoint.
    ///
    /// # Errors
    /// [`ServiceError::EndpointDisabled`] if nothing is sent to it.
    pub async fn send_test(
        self,
        context: &Context,
        tenant: &Tenant,
        id: WebhookEndpointId,
        idempotent: Option<&Idempotent<'_, DeliveryRow>>,
    ) -> Result<Answered<DeliveryRow>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        self.open_for_change(&mut unit, tenant, false).await?;
        let endpoint = endpoint_in(&mut unit, tenant, id).await?;
        if endpoint.disabled.is_some() {
            return Err(ServiceError::EndpointDisabled);
        }
        let data = json!({ "endpoint_id": id, "message": "This is a test. Nothing has happened." });
        let event = happened(&mut unit, tenant, EventType::WebhookTest, data).await?;
        let delivery = queued(self.core, &endpoint, event, EventType::WebhookTest.as_str(), unit.now);
        unit.tx.insert_delivery(&delivery).await?;
        idempotency::keep(&mut unit.tx, idempotent, &delivery, unit.now).await?;
        unit.tx.commit().await?;
        self.core.jobs.wake_deliveries();
        Ok(Answered::Done(delivery))
    }

    /// One page of an endpoint's deliveries, newest first.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if `after` is no delivery of the endpoint.
    pub async fn deliveries(
        self,
        tenant: &Tenant,
        endpoint: WebhookEndpointId,
        filter: DeliveryFilter,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Page<DeliveryRow>, ServiceError> {
        let mut reader = self.core.store.read();
        reader.find_webhook_endpoint(tenant, endpoint).await?.ok_or(ServiceError::NotFound)?;
        if let Some(after) = after
            && reader.find_delivery(tenant, endpoint, after).await?.is_none()
        {
            return Err(ServiceError::invalid("starting_after", "there is no delivery with this id"));
        }
        let mut data = reader.list_deliveries(tenant, endpoint, filter, after, limit + 1).await?;
        let has_more = data.len() > limit as usize;
        data.truncate(limit as usize);
        Ok(Page { data, has_more })
    }

    /// One delivery with what was sent and answered.
    pub async fn delivery(
        self,
        tenant: &Tenant,
        endpoint: WebhookEndpointId,
        id: DeliveryId,
    ) -> Result<DeliveryView, ServiceError> {
        let mut reader = self.core.store.read();
        reader.find_webhook_endpoint(tenant, endpoint).await?.ok_or(ServiceError::NotFound)?;
        let delivery = reader.find_delivery(tenant, endpoint, id).await?.ok_or(ServiceError::NotFound)?;
        let attempts = reader.list_attempts(tenant, id).await?;
        Ok(DeliveryView { delivery, attempts })
    }

    /// Sends an event to an endpoint again, with the same id: its schedule begins anew. Where it is being sent right
    /// now, that will do.
    ///
    /// # Errors
    /// [`ServiceError::EndpointDisabled`] if nothing is sent to it.
    pub async fn resend(
        self,
        context: &Context,
        tenant: &Tenant,
        endpoint: WebhookEndpointId,
        id: DeliveryId,
        idempotent: Option<&Idempotent<'_, DeliveryRow>>,
    ) -> Result<Answered<DeliveryRow>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        self.open_for_change(&mut unit, tenant, false).await?;
        let row = endpoint_in(&mut unit, tenant, endpoint).await?;
        unit.tx.read().find_delivery(tenant, endpoint, id).await?.ok_or(ServiceError::NotFound)?;
        if row.disabled.is_some() {
            return Err(ServiceError::EndpointDisabled);
        }
        let now = unit.now;
        unit.tx.restart_delivery(tenant, endpoint, id, now).await?;
        let audit = AuditRow {
            id: AuditId::new(now, self.core.entropy.bytes()),
            at: now,
            actor: context.actor().clone(),
            action: AuditAction::WebhookResent.as_str().to_owned(),
            business: Some(tenant.business.clone()),
            environment: Some(tenant.environment),
            target: Some(id.to_string()),
            details: json!({ "endpoint_id": endpoint }),
            request_id: context.request_id,
        };
        unit.tx.append_audit(&audit).await?;
        let delivery = unit.tx.read().find_delivery(tenant, endpoint, id).await?.ok_or(ServiceError::NotFound)?;
        idempotency::keep(&mut unit.tx, idempotent, &delivery, now).await?;
        unit.tx.commit().await?;
        self.core.jobs.wake_deliveries();
        Ok(Answered::Done(delivery))
    }

    /// Locks the business and looks at who asks, as every change of its things begins.
    async fn open_for_change(self, unit: &mut Unit<'_>, tenant: &Tenant, proven: bool) -> Result<(), ServiceError> {
        let business = unit.lock_business(&tenant.business).await?;
        unit.check_caller().await?;
        unit.check_member(&tenant.business, Operation::WebhooksWrite, proven).await?;
        if business.suspended_at.is_some() { Err(ServiceError::BusinessSuspended) } else { Ok(()) }
    }

    fn check_url(self, tenant: &Tenant, url: &WebhookUrl) -> Result<(), ServiceError> {
        url.check(tenant.environment, self.core.outgoing.allowed())
            .map_err(|error| ServiceError::invalid("url", error.to_string()))
    }

    fn new_secrets(
        self,
        endpoint: WebhookEndpointId,
        version: u32,
        token: Option<VerificationToken>,
        now: Timestamp,
    ) -> (EndpointSecrets, WebhookSecretRow) {
        let entropy = self.core.entropy.as_ref();
        let (shared, seed) = (Zeroizing::new(entropy.bytes()), Zeroizing::new(entropy.bytes()));
        let secrets = EndpointSecrets::new(shared, seed, token);
        let ring = self.core.secrets.ring().get();
        let id = WebhookSecretRow::id_of(endpoint, version);
        let sealed = ring.seal(&secrets.to_bytes(), &Cell::of(SealedPlace::WebhookSecret, &id), entropy);
        let public_key = secrets.public_key();
        let row = WebhookSecretRow { endpoint, version, sealed, public_key, created_at: now, ends_at: None };
        (secrets, row)
    }

    async fn newest_secrets(
        self,
        unit: &mut Unit<'_>,
        endpoint: WebhookEndpointId,
    ) -> Result<EndpointSecrets, ServiceError> {
        let now = unit.now;
        let rows = unit.tx.read().list_webhook_secrets(endpoint, now).await?;
        open(&self.core.secrets, rows.first().ok_or(ServiceError::NotFound)?)
    }
}

async fn endpoint_in(
    unit: &mut Unit<'_>,
    tenant: &Tenant,
    id: WebhookEndpointId,
) -> Result<WebhookEndpointRow, ServiceError> {
    unit.tx.read().find_webhook_endpoint(tenant, id).await?.ok_or(ServiceError::NotFound)
}

async fn happened(
    unit: &mut Unit<'_>,
    tenant: &Tenant,
    event: EventType,
    data: serde_json::Value,
) -> Result<EventId, ServiceError> {
    let environment = Some(tenant.environment);
    unit.record_event(Happened { event, business: &tenant.business, environment, key: None, data }).await
}

/// A delivery that was just queued.
fn queued(core: &Core, endpoint: &WebhookEndpointRow, event: EventId, event_type: &str, now: Timestamp) -> DeliveryRow {
    DeliveryRow {
        id: DeliveryId::new(now, core.entropy.bytes()),
        tenant: endpoint.tenant.clone(),
        endpoint: endpoint.id,
        event,
        event_type: event_type.to_owned(),
        state: DeliveryState::Pending,
        attempt: 0,
        attempts: 0,
        next_at: now,
        locked_until: None,
        last_status: None,
        last_error: None,
        created_at: now,
        finished_at: None,
    }
}

/// What changed, old and new, for the event.
fn difference(old: &WebhookEndpointRow, new: &WebhookEndpointRow) -> serde_json::Value {
    let mut changed = serde_json::Map::new();
    let mut note = |name: &str, old: serde_json::Value, new: serde_json::Value| {
        if old != new {
            changed.insert(name.to_owned(), json!({ "old": old, "new": new }));
        }
    };
    note("url", json!(old.url), json!(new.url));
    note("description", json!(old.description), json!(new.description));
    note("event_types", json!(old.subscription.names()), json!(new.subscription.names()));
    note("state", json!(old.state()), json!(new.state()));
    json!({ "id": new.id, "changes": changed })
}

/// How long messages are signed with the old secrets too, unless asked otherwise.
pub const DEFAULT_OVERLAP: Duration = Duration::from_hours(24);
