//! Deliveries: one queue per endpoint, leased row by row, with a record of every attempt.

use std::time::Duration;

use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::{DeliveryId, EventId, WebhookEndpointId};
use trousseau_domain::time::Timestamp;
use trousseau_domain::webhooks::DeliveryState;

use super::{WebhookEndpointRow, select_endpoint};
use crate::error::{BadColumn, StoreError};
use crate::events::EventRow;
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;

/// One event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its id.
    pub id: DeliveryId,
    /// Whose it is.
    pub tenant: Tenant,
    /// Where it goes.
    pub endpoint: WebhookEndpointId,
    /// Of what it tells.
    pub event: EventId,
    /// The type of that event.
    pub event_type: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts made in the present round of the schedule.
    pub attempt: u32,
    /// Attempts made in all.
    pub attempts: u32,
    /// When it is due.
    pub next_at: Timestamp,
    /// Until when somebody is trying it.
    pub locked_until: Option<Timestamp>,
    /// What the receiver last answered.
    pub last_status: Option<u16>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it was taken or given up.
    pub finished_at: Option<Timestamp>,
}

/// Which deliveries of an endpoint a list shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// In this state only.
    pub state: Option<DeliveryState>,
    /// Of this event only.
    pub event: Option<EventId>,
}

/// One request to a receiver and what it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// Its number within the delivery, from 1.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// Where it went.
    pub url: String,
    /// What was sent, without what is secret.
    pub request_headers: Vec<(String, String)>,
    /// What was sent.
    pub request_body: String,
    /// What the receiver answered; nothing where there was no answer.
    pub status: Option<u16>,
    /// Its headers.
    pub answer_headers: Option<Vec<(String, String)>>,
    /// The beginning of its body.
    pub answer_body: Option<String>,
    /// Whether there was more of it.
    pub answer_cut: bool,
    /// How long it took.
    pub duration: Duration,
    /// Why it failed.
    pub error: Option<String>,
}

/// A leased delivery with all that it takes to send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedDelivery {
    /// The delivery.
    pub delivery: DeliveryRow,
    /// Proves the lease.
    pub lease: i64,
    /// Where it goes.
    pub endpoint: WebhookEndpointRow,
    /// Of what it tells.
    pub event: EventRow,
}

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Where it stands.
    pub state: DeliveryState,
    /// When it is due again, if it waits.
    pub next_at: Timestamp,
    /// What the receiver answered.
    pub status: Option<u16>,
    /// Why the attempt failed.
    pub error: Option<String>,
    /// When that was.
    pub at: Timestamp,
}

macro_rules! select_delivery {
    ($rest:literal) => {
        concat!(
            "SELECT d.id, d.business_id, d.environment, d.endpoint_id, d.event_id, d.event_type, d.state, d.attempt, \
             d.attempts, d.next_at, d.locked_until, d.last_status, d.last_error, d.created_at, d.finished_at \
             FROM webhook_deliveries d ",
            $rest
        )
    };
}

impl DeliveryRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("webhook_deliveries", "id", Self::from_columns)
    }

    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        Ok(Self {
            id: row.parsed("id")?,
            tenant: Tenant::new(row.parsed("business_id")?, row.parsed("environment")?),
            endpoint: row.parsed("endpoint_id")?,
            event: row.parsed("event_id")?,
            event_type: row.text("event_type")?,
            state: row.parsed("state")?,
            attempt: row.number("attempt")?,
            attempts: row.number("attempts")?,
            next_at: row.time("next_at")?,
            locked_until: row.opt_time("locked_until")?,
            last_status: row.opt_number("last_status")?,
            last_error: row.opt_text("last_error")?,
            created_at: row.time("created_at")?,
            finished_at: row.opt_time("finished_at")?,
        })
    }
}

impl AttemptRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("webhook_attempts", "delivery_id", |row| {
            Ok(Self {
                delivery: row.parsed("delivery_id")?,
                number: row.number("number")?,
                at: row.time("at")?,
                url: row.text("url")?,
                request_headers: row.json("request_headers")?,
                request_body: row.text("request_body")?,
                status: row.opt_number("status")?,
                answer_headers: row.opt_json("answer_headers")?,
                answer_body: row.opt_text("answer_body")?,
                answer_cut: row.int("answer_cut")? == 1,
                duration: Duration::from_micros(row.number("duration_us")?),
                error: row.opt_text("error")?,
            })
        })
    }
}

impl Reader<'_> {
    /// The deliveries of a tenant's endpoint that match, newest first, those after `after`; at most `limit`.
    pub async fn list_deliveries(
        &mut self,
        tenant: &Tenant,
        endpoint: WebhookEndpointId,
        filter: DeliveryFilter,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        const SQL: &str = select_delivery!(
            "WHERE d.business_id = $1 AND d.environment = $2 AND d.endpoint_id = $3 \
             AND (CAST($4 AS TEXT) IS NULL OR d.state = $4) AND (CAST($5 AS TEXT) IS NULL OR d.event_id = $5) \
             AND (CAST($6 AS TEXT) IS NULL OR d.id < $6) ORDER BY d.id DESC LIMIT $7"
        );
        let stmt = Stmt::new(SQL)
            .text(&tenant.business)
            .text(tenant.environment)
            .text(endpoint)
            .opt_text(filter.state)
            .opt_text(filter.event)
            .opt_text(after)
            .int(i64::from(limit));
        self.fetch_all(stmt).await?.iter().map(DeliveryRow::from_row).collect()
    }

    /// One delivery of a tenant's endpoint.
    pub async fn find_delivery(
        &mut self,
        tenant: &Tenant,
        endpoint: WebhookEndpointId,
        id: DeliveryId,
    ) -> Result<Option<DeliveryRow>, StoreError> {
        const SQL: &str =
            select_delivery!("WHERE d.business_id = $1 AND d.environment = $2 AND d.endpoint_id = $3 AND d.id = $4");
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(endpoint).text(id);
        self.fetch_optional(stmt).await?.as_ref().map(DeliveryRow::from_row).transpose()
    }

    /// The attempts of a tenant's delivery, the latest first.
    pub async fn list_attempts(
        &mut self,
        tenant: &Tenant,
        delivery: DeliveryId,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        const SQL: &str = "SELECT a.delivery_id, a.number, a.at, a.url, a.request_headers, a.request_body, a.status, \
                           a.answer_headers, a.answer_body, a.answer_cut, a.duration_us, a.error \
                           FROM webhook_attempts a JOIN webhook_deliveries d ON d.id = a.delivery_id \
                           WHERE d.business_id = $1 AND d.environment = $2 AND a.delivery_id = $3 \
                           ORDER BY a.number DESC";
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(delivery);
        self.fetch_all(stmt).await?.iter().map(AttemptRow::from_row).collect()
    }

    /// How many deliveries wait, for the metrics.
    pub async fn count_pending_deliveries(&mut self) -> Result<u64, StoreError> {
        const SQL: &str = "SELECT COUNT(*) AS total FROM webhook_deliveries WHERE state = 'pending'";
        self.fetch_one(Stmt::new(SQL)).await?.read("webhook_deliveries", "total", |row| row.number("total"))
    }
}

impl Tx {
    /// Queues a delivery; `false` where this event is on its way to this endpoint already.
    pub async fn insert_delivery(&mut self, delivery: &DeliveryRow) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO webhook_deliveries (id, business_id, environment, endpoint_id, event_id, \
                           event_type, state, attempt, attempts, next_at, lease, created_at) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11) \
                           ON CONFLICT (event_id, endpoint_id) DO NOTHING";
        self.change_one(
            Stmt::new(SQL)
                .text(delivery.id)
                .text(&delivery.tenant.business)
                .text(delivery.tenant.environment)
                .text(delivery.endpoint)
                .text(delivery.event)
                .text(&delivery.event_type)
                .text(delivery.state)
                .int(i64::from(delivery.attempt))
                .int(i64::from(delivery.attempts))
                .time(delivery.next_at)
                .time(delivery.created_at),
        )
        .await
    }

    /// Leases deliveries that are due until `lease_until`, at most `limit` and `per_endpoint` of each endpoint counting
    /// those that are under way. The endpoint that was not served for longest comes first, so none waits for another.
    pub async fn claim_deliveries(
        &mut self,
        now: Timestamp,
        lease_until: Timestamp,
        per_endpoint: u32,
        limit: u32,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        const UNDER_WAY: &str = "SELECT COUNT(*) AS total FROM webhook_deliveries \
                                 WHERE endpoint_id = $1 AND state = 'pending' AND locked_until > $2";
        const LEASE: &str = "UPDATE webhook_deliveries SET locked_until = $1, lease = lease + 1 WHERE id IN (\
                             SELECT d.id FROM webhook_deliveries d WHERE d.endpoint_id = $2 AND d.state = 'pending' \
                             AND d.next_at <= $3 AND (d.locked_until IS NULL OR d.locked_until <= $3) \
                             ORDER BY d.next_at, d.id LIMIT $4) \
                             RETURNING id, business_id, environment, endpoint_id, event_id, event_type, state, \
                             attempt, attempts, next_at, locked_until, lease, last_status, last_error, created_at, \
                             finished_at";
        const SERVED: &str = "UPDATE webhook_endpoints SET served_at = $2 WHERE id = $1";
        const ENDPOINT: &str = select_endpoint!("WHERE w.id = $1");
        let queues = Stmt::new(self.claim_queues_sql()).time(now).int(i64::from(limit));
        let mut left = limit;
        let mut claimed = Vec::new();
        for queue in self.fetch_all(queues).await? {
            if left == 0 {
                // Their turn is the next one.
                break;
            }
            let id: WebhookEndpointId = queue.read("webhook_endpoints", "id", |row| row.parsed("id"))?;
            let under_way: u32 = self.fetch_one(Stmt::new(UNDER_WAY).text(id).time(now)).await?.read(
                "webhook_deliveries",
                "total",
                |row| row.number("total"),
            )?;
            let free = per_endpoint.saturating_sub(under_way).min(left);
            self.execute(Stmt::new(SERVED).text(id).time(now)).await?;
            if free == 0 {
                continue;
            }
            let lease = Stmt::new(LEASE).time(lease_until).text(id).time(now).int(i64::from(free));
            let leased = self.fetch_all(lease).await?;
            let endpoint = WebhookEndpointRow::from_row(&self.fetch_one(Stmt::new(ENDPOINT).text(id)).await?)?;
            let read = |row: &Row| {
                let lease = row.read("webhook_deliveries", "id", |row| row.int("lease"))?;
                Ok((DeliveryRow::from_row(row)?, lease))
            };
            let leased: Vec<_> = leased.iter().map(read).collect::<Result<_, StoreError>>()?;
            let events: Vec<_> = leased.iter().map(|(delivery, _)| delivery.event).collect();
            let events = self.read().get_events(&events).await?;
            for ((delivery, lease), event) in leased.into_iter().zip(events) {
                claimed.push(ClaimedDelivery { delivery, lease, endpoint: endpoint.clone(), event });
                left = left.saturating_sub(1);
            }
        }
        // The engines give the rows back in any order.
        claimed.sort_by_key(|claimed| (claimed.delivery.next_at, claimed.delivery.id));
        Ok(claimed)
    }

    /// Writes down what became of a leased delivery; `false` where somebody else has taken it since.
    pub async fn finish_delivery(
        &mut self,
        claimed: &ClaimedDelivery,
        finished: &Finished,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE webhook_deliveries SET state = $3, attempt = attempt + 1, attempts = attempts + 1, \
                           next_at = $4, locked_until = NULL, last_status = $5, last_error = $6, finished_at = $7 \
                           WHERE id = $1 AND lease = $2";
        let done = finished.state != DeliveryState::Pending;
        self.change_one(
            Stmt::new(SQL)
                .text(claimed.delivery.id)
                .int(claimed.lease)
                .text(finished.state)
                .time(finished.next_at)
                .opt_int(finished.status.map(i64::from))
                .opt_text(finished.error.as_ref())
                .opt_time(done.then_some(finished.at)),
        )
        .await
    }

    /// Gives a leased delivery back untried, until `next_at`.
    pub async fn release_delivery(
        &mut self,
        claimed: &ClaimedDelivery,
        next_at: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str =
            "UPDATE webhook_deliveries SET locked_until = NULL, next_at = $3 WHERE id = $1 AND lease = $2";
        self.change_one(Stmt::new(SQL).text(claimed.delivery.id).int(claimed.lease).time(next_at)).await
    }

    /// Writes down an attempt.
    pub async fn insert_attempt(&mut self, attempt: &AttemptRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO webhook_attempts (delivery_id, number, at, url, request_headers, request_body, \
                           status, answer_headers, answer_body, answer_cut, duration_us, error) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        self.execute(
            Stmt::new(SQL)
                .text(attempt.delivery)
                .int(i64::from(attempt.number))
                .time(attempt.at)
                .text(&attempt.url)
                .json(&attempt.request_headers)
                .text(&attempt.request_body)
                .opt_int(attempt.status.map(i64::from))
                .opt_json(attempt.answer_headers.as_ref())
                .opt_text(attempt.answer_body.as_ref())
                .int(i64::from(attempt.answer_cut))
                .int(i64::try_from(attempt.duration.as_micros()).unwrap_or(i64::MAX))
                .opt_text(attempt.error.as_ref()),
        )
        .await?;
        Ok(())
    }

    /// Notes that a receiver took a message. A wait that it asked for stays: nothing is sent during one, so it was asked
    /// for after this message had left.
    pub async fn note_webhook_success(&mut self, id: WebhookEndpointId, now: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE webhook_endpoints SET last_success_at = $2 WHERE id = $1";
        self.execute(Stmt::new(SQL).text(id).time(now)).await?;
        Ok(())
    }

    /// Leaves a receiver alone until an instant, as it asked; of several the latest counts.
    pub async fn pause_webhook_endpoint(&mut self, id: WebhookEndpointId, until: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE webhook_endpoints SET paused_until = $2 WHERE id = $1 \
                           AND (paused_until IS NULL OR paused_until < $2)";
        self.execute(Stmt::new(SQL).text(id).time(until)).await?;
        Ok(())
    }

    /// Begins the schedule of a tenant's delivery anew, now. One that is being tried is left to whoever tries it.
    pub async fn restart_delivery(
        &mut self,
        tenant: &Tenant,
        endpoint: WebhookEndpointId,
        id: DeliveryId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE webhook_deliveries SET state = 'pending', attempt = 0, next_at = $5, \
                           locked_until = NULL, finished_at = NULL WHERE business_id = $1 AND environment = $2 \
                           AND endpoint_id = $3 AND id = $4 AND (locked_until IS NULL OR locked_until <= $5)";
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(endpoint).text(id).time(now);
        self.change_one(stmt).await
    }

    /// Forgets deliveries that ended before an instant, and those that wait and were due before another one, with their
    /// attempts, the oldest first, at most `limit`; returns how many.
    pub async fn prune_deliveries(
        &mut self,
        ended_before: Timestamp,
        due_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        macro_rules! of_old {
            ($delete:literal) => {
                concat!(
                    $delete,
                    " IN (SELECT d.id FROM webhook_deliveries d WHERE d.created_at < $1 AND (d.finished_at < $1 \
                     OR (d.state = 'pending' AND d.next_at < $2)) ORDER BY d.created_at, d.id LIMIT $3)"
                )
            };
        }
        const ATTEMPTS: &str = of_old!("DELETE FROM webhook_attempts WHERE delivery_id");
        // One that came to be old only now has its attempts still, and goes the next time.
        const DELIVERIES: &str = of_old!(
            "DELETE FROM webhook_deliveries WHERE NOT EXISTS (SELECT 1 FROM webhook_attempts a \
             WHERE a.delivery_id = webhook_deliveries.id) AND id"
        );
        let of_old = |sql| Stmt::new(sql).time(ended_before).time(due_before).int(i64::from(limit));
        self.execute(of_old(ATTEMPTS)).await?;
        self.execute(of_old(DELIVERIES)).await
    }
}
