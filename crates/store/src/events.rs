//! Events, and the outbox of those that are not yet dispatched.

use std::collections::HashMap;

use trousseau_domain::actor::Actor;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::events::EventType;
use trousseau_domain::ids::{BusinessId, EventId, KeyId, RequestId};
use trousseau_domain::time::Timestamp;

use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::{AT_ONCE, Stmt};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its id, by which consumers know a repeated one.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// Of which business.
    pub business: BusinessId,
    /// In which environment; none where the whole business is meant.
    pub environment: Option<Environment>,
    /// What, such as `key.created`.
    pub kind: String,
    /// The key it is about.
    pub key_id: Option<KeyId>,
    /// What else it is about, by its id: a payment, an invoice.
    pub subject: Option<String>,
    /// Who caused it.
    pub actor: Actor,
    /// The particulars.
    pub data: serde_json::Value,
    /// The request that caused it.
    pub request_id: Option<RequestId>,
}

/// Which events of a tenant a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this type only.
    pub kind: Option<EventType>,
    /// About this key only.
    pub key_id: Option<KeyId>,
    /// Not before this instant.
    pub from: Option<Timestamp>,
    /// Before this instant only.
    pub until: Option<Timestamp>,
    /// About what has this id only.
    pub subject: Option<String>,
}

/// A leased event to dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// The event.
    pub event: EventRow,
    /// Which attempt this is, from 1; it also proves the lease.
    pub attempt: u32,
}

macro_rules! select_event {
    ($rest:literal) => {
        concat!(
            "SELECT e.id, e.at, e.business_id, e.environment, e.type, e.key_id, e.subject, e.actor, e.data, e.request_id \
             FROM events e ",
            $rest
        )
    };
}

impl EventRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("events", "id", Self::from_columns)
    }

    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        Ok(Self {
            id: row.parsed("id")?,
            at: row.time("at")?,
            business: row.parsed("business_id")?,
            environment: row.opt_parsed("environment")?,
            kind: row.text("type")?,
            key_id: row.opt_parsed("key_id")?,
            subject: row.opt_text("subject")?,
            actor: row.json("actor")?,
            data: row.json("data")?,
            request_id: row.opt_parsed("request_id")?,
        })
    }
}

impl Reader<'_> {
    /// The tenant's events that match, with those of the whole business, newest first, those after `after` in
    /// this order; at most `limit`. An `after` that the tenant cannot see gives an empty list.
    pub async fn list_events(
        &mut self,
        tenant: &Tenant,
        filter: &EventFilter,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<EventRow>, StoreError> {
        const SQL: &str = select_event!(
            "WHERE e.business_id = $1 AND (e.environment = $2 OR e.environment IS NULL) \
             AND (CAST($3 AS TEXT) IS NULL OR e.type = $3) AND (CAST($4 AS TEXT) IS NULL OR e.key_id = $4) \
             AND (CAST($9 AS TEXT) IS NULL OR e.subject = $9) \
             AND (CAST($5 AS TEXT) IS NULL OR e.seq < (SELECT a.seq FROM events a WHERE a.id = $5 \
             AND a.business_id = $1 AND (a.environment = $2 OR a.environment IS NULL))) \
             AND e.at >= $6 AND e.at < $7 ORDER BY e.seq DESC LIMIT $8"
        );
        let stmt = Stmt::new(SQL)
            .text(&tenant.business)
            .text(tenant.environment)
            .opt_text(filter.kind.map(EventType::as_str))
            .opt_text(filter.key_id)
            .opt_text(after)
            .int(filter.from.map_or(i64::MIN, Timestamp::as_micros))
            .int(filter.until.map_or(i64::MAX, Timestamp::as_micros))
            .int(i64::from(limit))
            .opt_text(filter.subject.as_ref());
        self.fetch_all(stmt).await?.iter().map(EventRow::from_row).collect()
    }

    /// The tenant's event of this id, or the whole business's.
    pub async fn find_event(&mut self, tenant: &Tenant, id: EventId) -> Result<Option<EventRow>, StoreError> {
        const SQL: &str =
            select_event!("WHERE e.business_id = $1 AND (e.environment = $2 OR e.environment IS NULL) AND e.id = $3");
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(id);
        self.fetch_optional(stmt).await?.as_ref().map(EventRow::from_row).transpose()
    }

    /// The events of these ids, in the same order, whoever's they are: for what the program itself does with them.
    pub(crate) async fn get_events(&mut self, ids: &[EventId]) -> Result<Vec<EventRow>, StoreError> {
        const SQL: &str =
            select_event!("WHERE e.id IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)");
        let mut found = HashMap::new();
        for chunk in ids.chunks(AT_ONCE) {
            for row in self.fetch_all(Stmt::new(SQL).several(chunk)).await? {
                let event = EventRow::from_row(&row)?;
                found.insert(event.id, event);
            }
        }
        let event = |id| found.get(id).cloned().ok_or_else(|| StoreError::from(sqlx::Error::RowNotFound));
        ids.iter().map(event).collect()
    }

    /// How many events wait to be dispatched.
    pub async fn count_outbox(&mut self) -> Result<u64, StoreError> {
        let row = self.fetch_one(Stmt::new("SELECT COUNT(*) AS total FROM outbox")).await?;
        row.read("outbox", "total", |row| row.number("total"))
    }
}

impl Tx {
    /// Adds an event, and puts it into the outbox.
    pub async fn append_event(&mut self, event: &EventRow) -> Result<(), StoreError> {
        const EVENT: &str = "INSERT INTO events (id, at, business_id, environment, type, key_id, actor, data, \
                             request_id, subject) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        const OUTBOX: &str =
            "INSERT INTO outbox (event_id, locked_until, attempt, created_at) VALUES ($1, NULL, 0, $2)";
        self.execute_later(
            Stmt::new(EVENT)
                .text(event.id)
                .time(event.at)
                .text(&event.business)
                .opt_text(event.environment)
                .text(&event.kind)
                .opt_text(event.key_id)
                .json(&event.actor)
                .json(&event.data)
                .opt_text(event.request_id)
                .opt_text(event.subject.as_ref()),
        )
        .await?;
        self.execute_later(Stmt::new(OUTBOX).text(event.id).time(event.at)).await
    }

    /// Leases up to `limit` waiting events until `lease_until`, the oldest first. A lease that ran out is taken over.
    pub async fn claim_outbox(
        &mut self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let claim = Stmt::new(self.claim_outbox_sql()).time(lease_until).time(now).int(i64::from(limit));
        let (mut ids, mut attempts) = (Vec::new(), Vec::new());
        for lease in self.fetch_all(claim).await? {
            lease.read("outbox", "event_id", |row| {
                ids.push(row.parsed("event_id")?);
                attempts.push(row.number("attempt")?);
                Ok(())
            })?;
        }
        let events = self.read().get_events(&ids).await?.into_iter();
        let mut claimed: Vec<_> = events.zip(attempts).map(|(event, attempt)| OutboxRow { event, attempt }).collect();
        // The engines give the rows back in any order.
        claimed.sort_by_key(|row| (row.event.at, row.event.id));
        Ok(claimed)
    }

    /// Takes dispatched events out of the outbox, those of which the lease of this attempt is still the latest; returns how
    /// many.
    pub async fn finish_outbox(
        &mut self,
        dispatched: impl IntoIterator<Item = (EventId, u32)>,
    ) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM outbox WHERE event_id = $1 AND attempt = $2";
        let changes = dispatched.into_iter().map(|(id, attempt)| Stmt::new(SQL).text(id).int(i64::from(attempt)));
        self.execute_each(changes).await
    }

    /// Puts an event back until `retry_at`, if the lease of this attempt is still the latest.
    pub async fn fail_outbox(&mut self, event: EventId, attempt: u32, retry_at: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE outbox SET locked_until = $3 WHERE event_id = $1 AND attempt = $2";
        self.change_one(Stmt::new(SQL).text(event).int(i64::from(attempt)).time(retry_at)).await
    }
}
