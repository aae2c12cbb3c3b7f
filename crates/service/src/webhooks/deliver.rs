//! The job that sends messages: leased row by row, safe on several nodes, fair between endpoints, at least once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use trousseau_domain::environment::Environment;
use trousseau_domain::events::EventType;
use trousseau_domain::ids::BusinessId;
use trousseau_domain::members::Notice;
use trousseau_domain::time::Timestamp;
use trousseau_domain::webhooks::message::Announcement;
use trousseau_domain::webhooks::schedule::{LONGEST_WAIT, Outcome, pause_after};
use trousseau_domain::webhooks::signature::{EndpointSecrets, signature_header};
use trousseau_domain::webhooks::{DeliveryState, Dialect, DisabledReason};
use trousseau_store::{AttemptRow, ClaimedDelivery, EventRow, Finished, StoreError, Tx, WebhookEndpointRow};

use super::outgoing::{Answer, Message, NOTHING_TO_SEND, NoAnswer};
use super::{happened, open, queued};
use crate::app::{Core, Unit};
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::jobs::{Health, Jobs, report, stored};
use crate::mail;

/// Messages under way at once on one node.
const MOST_AT_ONCE: u32 = 32;
/// Messages under way at once to one endpoint, on all nodes together.
const MOST_PER_ENDPOINT: u32 = 4;
/// After this a message whose sender died is sent by another; well over the deadline of one request.
const LEASE: Duration = Duration::from_mins(1);
/// How often the queues are looked at when nothing wakes us.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the end waits for messages that are under way.
const FINISH_WITHIN: Duration = Duration::from_secs(3);
/// Bytes kept of the beginning of an answer's body.
const BODY_KEPT: usize = 16 * 1024;
/// Characters kept of the value of one header of an answer.
const HEADER_KEPT: usize = 1024;

/// Queues events for every endpoint that wants to hear of them, in the transaction that takes them out of the outbox.
#[derive(Debug)]
pub(crate) struct FanOut {
    now: Timestamp,
    /// Who listens, of the businesses that were met: many events of a moment are of few of them.
    listening: HashMap<(BusinessId, Option<Environment>), Vec<WebhookEndpointRow>>,
    has_queued: bool,
}

impl FanOut {
    /// In a transaction that began at this instant.
    pub(crate) fn at(now: Timestamp) -> Self {
        Self { now, listening: HashMap::new(), has_queued: false }
    }

    /// Whether there is anything to send now.
    pub(crate) const fn has_queued(&self) -> bool {
        self.has_queued
    }

    /// Queues one event.
    pub(crate) async fn add(&mut self, core: &Core, tx: &mut Tx, event: &EventRow) -> Result<(), StoreError> {
        // A test is queued where it is asked for.
        if event.kind == EventType::WebhookTest.as_str() {
            return Ok(());
        }
        let listening = match self.listening.entry((event.business.clone(), event.environment)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                place.insert(tx.read().list_listening_endpoints(&event.business, event.environment).await?)
            }
        };
        for endpoint in listening.iter().filter(|endpoint| endpoint.subscription.wants(&announcement(event))) {
            self.has_queued |= tx.insert_delivery(&queued(core, endpoint, event.id, &event.kind, self.now)).await?;
        }
        Ok(())
    }
}

fn announcement(event: &EventRow) -> Announcement<'_> {
    Announcement {
        id: event.id,
        kind: &event.kind,
        at: event.at,
        business: &event.business,
        environment: event.environment,
        data: &event.data,
    }
}

impl Jobs {
    /// Lets the job look at the queues now.
    pub(crate) fn wake_deliveries(&self) {
        self.deliveries().notify_one();
    }

    /// Sends what is due until `shutdown`, then waits a little for what is under way. What does not end in time is
    /// sent again by whoever finds its lease run out.
    pub(crate) async fn deliver(&self, mut shutdown: watch::Receiver<bool>) {
        let mut health = Health::new("webhooks").on(self.board());
        let mut under_way = JoinSet::new();
        loop {
            let busy = u32::try_from(under_way.len()).unwrap_or(MOST_AT_ONCE);
            match self.claim_due(MOST_AT_ONCE.saturating_sub(busy)).await {
                Ok(Some((core, claimed))) => {
                    health.note(Ok(())).await;
                    for claimed in claimed {
                        let core = Arc::clone(&core);
                        under_way.spawn(async move { tried(&core, &claimed).await });
                    }
                }
                Ok(None) => {}
                Err(error) => health.note(Err(error)).await,
            }
            // An error means that the sender is gone, and the program with it.
            let ended = async { drop(shutdown.wait_for(|ended| *ended).await) };
            tokio::select! {
                () = ended => break,
                Some(done) = under_way.join_next(), if !under_way.is_empty() => {
                    if let Ok(Err(error)) = done {
                        health.note(Err(error)).await;
                    }
                }
                _ = timeout(LOOK_EVERY, self.deliveries().notified()) => {}
            }
        }
        let _ = timeout(FINISH_WITHIN, async { while under_way.join_next().await.is_some() {} }).await;
    }

    /// Sends all that is due, one after another. For tests.
    pub(crate) async fn deliver_due(&self) -> Result<(), StoreError> {
        while let Some((core, claimed)) = self.claim_due(MOST_AT_ONCE).await? {
            if claimed.is_empty() {
                return Ok(());
            }
            for claimed in claimed {
                tried(&core, &claimed).await?;
            }
        }
        Ok(())
    }

    async fn claim_due(&self, limit: u32) -> Result<Option<(Arc<Core>, Vec<ClaimedDelivery>)>, StoreError> {
        let Some(core) = self.core() else { return Ok(None) };
        if limit == 0 {
            return Ok(Some((core, Vec::new())));
        }
        let mut tx = core.store.begin().await?;
        let now = core.clock.now();
        if core.clock_is_sure().is_err() {
            return Ok(Some((core, Vec::new())));
        }
        let claimed = tx.claim_deliveries(now, now.saturating_add(LEASE), MOST_PER_ENDPOINT, limit).await?;
        tx.commit().await?;
        Ok(Some((core, claimed)))
    }
}

/// One attempt; what the database had to do with its failure.
async fn tried(core: &Core, claimed: &ClaimedDelivery) -> Result<(), StoreError> {
    stored("webhooks", attempt(core, claimed).await)
}

/// What was sent and what came of it.
struct Sent {
    headers: Vec<(&'static str, String)>,
    body: String,
    at: Timestamp,
    duration: Duration,
    result: Result<Answer, NoAnswer>,
}

async fn attempt(core: &Core, claimed: &ClaimedDelivery) -> Result<(), ServiceError> {
    let sent = send(core, claimed).await?;
    let system = Context::system();
    let mut unit = Unit::begin(core, &system).await?;
    let Some(sent) = sent else {
        // Removed meanwhile, or nothing can be said of it in this dialect.
        let finished = Finished {
            state: DeliveryState::Failed,
            next_at: unit.now,
            status: None,
            error: Some(NOTHING_TO_SEND.to_owned()),
            at: unit.now,
        };
        unit.tx.finish_delivery(claimed, &finished).await?;
        unit.tx.commit().await?;
        return Ok(());
    };
    let outcome = match &sent.result {
        Ok(answer) => Outcome::of(answer.status, retry_after(answer), unit.now),
        Err(_) => Outcome::Failed { wait: None },
    };
    let label = match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Gone => "gone",
        Outcome::Failed { .. } => "failed",
    };
    metrics::counter!("trousseau_webhook_attempts_total", "outcome" => label).increment(1);
    if !finish(core, &mut unit, claimed, &sent, outcome).await? {
        // Somebody else has taken it since, and will write down what came of that.
        return Ok(());
    }
    unit.tx.insert_attempt(&attempt_row(claimed, sent)).await?;
    unit.tx.commit().await?;
    Ok(())
}

/// Signs the message and sends it; nothing where the endpoint is gone or its dialect has no word for the event.
async fn send(core: &Core, claimed: &ClaimedDelivery) -> Result<Option<Sent>, ServiceError> {
    let (endpoint, event) = (&claimed.endpoint, &claimed.event);
    let at = core.clock.now();
    let rows = core.store.read().list_webhook_secrets(endpoint.id, at).await?;
    let secrets = rows.iter().map(|row| open(&core.secrets, row)).collect::<Result<Vec<EndpointSecrets>, _>>()?;
    let dialect = endpoint.subscription.dialect();
    let (Some(newest), Some(body)) = (secrets.first(), announcement(event).body(dialect)) else {
        return Ok(None);
    };
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", concat!("Trousseau/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("webhook-id", event.id.to_string()),
        ("webhook-timestamp", at.as_seconds().to_string()),
        ("webhook-signature", signature_header(&secrets, event.id, at, &body)),
    ];
    if let (Dialect::Mileston, Some(token)) = (dialect, newest.token()) {
        headers.push((TOKEN_HEADER, token.expose().to_owned()));
    }
    let message =
        Message { url: &endpoint.url, environment: endpoint.tenant.environment, headers: &headers, body: &body };
    let started = Instant::now();
    let result = core.outgoing.post(&message).await;
    Ok(Some(Sent { duration: started.elapsed(), headers, body, at, result }))
}

/// Mileston's receivers compare it with the token that they were registered with.
const TOKEN_HEADER: &str = "x-webhook-signature";

fn retry_after(answer: &Answer) -> Option<&str> {
    answer.headers.iter().find(|(name, _)| name == "retry-after").map(|(_, value)| value.as_str())
}

/// Writes down what becomes of the delivery and of its endpoint; `false` where the lease is somebody else's by now.
async fn finish(
    core: &Core,
    unit: &mut Unit<'_>,
    claimed: &ClaimedDelivery,
    sent: &Sent,
    outcome: Outcome,
) -> Result<bool, ServiceError> {
    let now = unit.now;
    // A test is tried once: whoever sent it is looking.
    let is_test = claimed.event.kind == EventType::WebhookTest.as_str();
    let next = match outcome {
        Outcome::Failed { wait } if !is_test => {
            let chance = u16::from_be_bytes(core.entropy.bytes());
            pause_after(claimed.delivery.attempt + 1, wait, chance).map(|pause| now.saturating_add(pause))
        }
        Outcome::Failed { .. } | Outcome::Delivered | Outcome::Gone => None,
    };
    let state = match (outcome, next) {
        (Outcome::Delivered, _) => DeliveryState::Delivered,
        (_, Some(_)) => DeliveryState::Pending,
        (_, None) => DeliveryState::Failed,
    };
    let finished = Finished {
        state,
        next_at: next.unwrap_or(now),
        status: sent.result.as_ref().ok().map(|answer| answer.status),
        error: sent.result.as_ref().err().map(ToString::to_string),
        at: now,
    };
    if !unit.tx.finish_delivery(claimed, &finished).await? {
        return Ok(false);
    }
    let id = claimed.endpoint.id;
    match outcome {
        Outcome::Delivered => unit.tx.note_webhook_success(id, now).await?,
        Outcome::Gone => disable(core, unit, claimed, DisabledReason::Gone).await?,
        Outcome::Failed { wait } => {
            if let Some(wait) = wait {
                unit.tx.pause_webhook_endpoint(id, now.saturating_add(wait.min(LONGEST_WAIT))).await?;
            }
            // Read again: other messages may have been taken while this one was tried for days.
            if state == DeliveryState::Failed && !is_test && !took_any_since(unit, claimed).await? {
                disable(core, unit, claimed, DisabledReason::Failing).await?;
            }
        }
    }
    Ok(true)
}

/// Whether the receiver took anything since this delivery was queued.
async fn took_any_since(unit: &mut Unit<'_>, claimed: &ClaimedDelivery) -> Result<bool, ServiceError> {
    let found = unit.tx.read().find_webhook_endpoint(&claimed.endpoint.tenant, claimed.endpoint.id).await?;
    let last = found.and_then(|endpoint| endpoint.last_success_at);
    Ok(last.is_some_and(|last| last >= claimed.delivery.created_at))
}

/// Disables an endpoint, with the event and the notice of it.
async fn disable(
    core: &Core,
    unit: &mut Unit<'_>,
    claimed: &ClaimedDelivery,
    reason: DisabledReason,
) -> Result<(), ServiceError> {
    let (endpoint, now) = (&claimed.endpoint, unit.now);
    let tenant = &endpoint.tenant;
    if !unit.tx.disable_webhook_endpoint(tenant, endpoint.id, reason, now).await? {
        return Ok(());
    }
    let data = json!({ "id": endpoint.id, "url": endpoint.url, "reason": reason });
    happened(unit, tenant, EventType::WebhookEndpointDisabled, data).await?;
    let business = unit.tx.read().find_business(&tenant.business).await?.ok_or(ServiceError::NotFound)?;
    let subject = format!("{}, {}", endpoint.url, tenant.environment.in_key_text());
    let path = format!("/b/{}/{}/developers/webhooks/{}", business.id, tenant.environment, endpoint.id);
    mail::notify(core, &mut unit.tx, now, &business, Notice::WebhookDisabled, &subject, &path).await
}

fn attempt_row(claimed: &ClaimedDelivery, sent: Sent) -> AttemptRow {
    let (answer, error) = match sent.result {
        Ok(answer) => (Some(answer), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let headers = sent.headers.into_iter().map(|(name, value)| {
        let shown = if name == TOKEN_HEADER { "(the verification token)".to_owned() } else { value };
        (name.to_owned(), shown)
    });
    let answer_headers = answer.as_ref().map(|answer| {
        let kept =
            |(name, value): &(String, String)| (name.clone(), storable(value).chars().take(HEADER_KEPT).collect());
        answer.headers.iter().map(kept).collect()
    });
    AttemptRow {
        delivery: claimed.delivery.id,
        number: claimed.delivery.attempts + 1,
        at: sent.at,
        url: claimed.endpoint.url.to_string(),
        request_headers: headers.collect(),
        request_body: sent.body,
        status: answer.as_ref().map(|answer| answer.status),
        answer_cut: answer.as_ref().is_some_and(|answer| answer.cut || answer.body.len() > BODY_KEPT),
        answer_body: answer.map(|answer| {
            let kept = &answer.body[..answer.body.len().min(BODY_KEPT)];
            storable(&String::from_utf8_lossy(kept))
        }),
        answer_headers,
        duration: sent.duration,
        error,
    }
}

/// A text without what PostgreSQL cannot keep.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Says of one event that it cannot be queued; it stays in the outbox for another time.
pub(crate) fn cannot_queue(event: &EventRow, error: &StoreError) {
    tracing::error!(event.id = %event.id, "an event cannot be queued for webhooks");
    report("dispatcher", error);
}
