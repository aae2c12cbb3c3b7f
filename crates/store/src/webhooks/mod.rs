//! Webhook endpoints and what their messages are signed with.

mod deliveries;

pub use deliveries::{AttemptRow, ClaimedDelivery, DeliveryFilter, DeliveryRow, Finished};

use trousseau_domain::actor::Actor;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::{BusinessId, WebhookEndpointId};
use trousseau_domain::time::Timestamp;
use trousseau_domain::webhooks::target::WebhookUrl;
use trousseau_domain::webhooks::{Dialect, DisabledReason, EndpointDescription, EndpointState, Subscription};

use crate::error::{BadColumn, StoreError};
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;
use crate::versions::Sealed;

/// Where a business wants to hear of what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEndpointRow {
    /// Its id.
    pub id: WebhookEndpointId,
    /// Whose it is.
    pub tenant: Tenant,
    /// Where messages go.
    pub url: WebhookUrl,
    /// What people say of it.
    pub description: Option<EndpointDescription>,
    /// What it wants to hear of, in its dialect.
    pub subscription: Subscription,
    /// Since when and why it is disabled; enabled where there is nothing.
    pub disabled: Option<(Timestamp, DisabledReason)>,
    /// The newest version of its secrets.
    pub secret_version: u32,
    /// When it was registered.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: Actor,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When the receiver last took a message.
    pub last_success_at: Option<Timestamp>,
    /// Until when the receiver asked to be left alone.
    pub paused_until: Option<Timestamp>,
}

impl WebhookEndpointRow {
    /// Whether messages are sent.
    pub const fn state(&self) -> EndpointState {
        match self.disabled {
            None => EndpointState::Enabled,
            Some(_) => EndpointState::Disabled,
        }
    }
}

/// One version of an endpoint's secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSecretRow {
    /// Of which endpoint.
    pub endpoint: WebhookEndpointId,
    /// Its version, from 1.
    pub version: u32,
    /// The secrets, sealed.
    pub sealed: Sealed,
    /// The half that everybody may know.
    pub public_key: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ceases to sign, once there is a newer one.
    pub ends_at: Option<Timestamp>,
}

macro_rules! select_endpoint {
    ($rest:literal) => {
        concat!(
            "SELECT w.id, w.business_id, w.environment, w.url, w.description, w.dialect, w.event_types, \
             w.disabled_reason, w.disabled_at, w.secret_version, w.created_at, w.created_by, w.updated_at, \
             w.last_success_at, w.paused_until FROM webhook_endpoints w ",
            $rest
        )
    };
}
use select_endpoint;

impl WebhookEndpointRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("webhook_endpoints", "id", Self::from_columns)
    }

    fn from_columns(row: &Row) -> Result<Self, BadColumn> {
        let dialect: Dialect = row.parsed("dialect")?;
        let names: Vec<String> = row.json("event_types")?;
        let subscription = Subscription::parse(dialect, &names)
            .map_err(|source| BadColumn { column: "event_types", source: source.into() })?;
        Ok(Self {
            id: row.parsed("id")?,
            tenant: Tenant::new(row.parsed("business_id")?, row.parsed("environment")?),
            url: row.parsed("url")?,
            description: row.opt_parsed("description")?,
            subscription,
            disabled: row.opt_time("disabled_at")?.zip(row.opt_parsed("disabled_reason")?),
            secret_version: row.number("secret_version")?,
            created_at: row.time("created_at")?,
            created_by: row.json("created_by")?,
            updated_at: row.time("updated_at")?,
            last_success_at: row.opt_time("last_success_at")?,
            paused_until: row.opt_time("paused_until")?,
        })
    }
}

impl WebhookSecretRow {
    /// The id of a version's row: what its sealed value is bound to.
    pub fn id_of(endpoint: WebhookEndpointId, version: u32) -> String {
        format!("{endpoint}/{version}")
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("webhook_secrets", "endpoint_id", |row| {
            Ok(Self {
                endpoint: row.parsed("endpoint_id")?,
                version: row.number("version")?,
                sealed: Sealed { bytes: row.bytes("sealed")?, kek_version: row.number("kek_version")? },
                public_key: row.text("public_key")?,
                created_at: row.time("created_at")?,
                ends_at: row.opt_time("ends_at")?,
            })
        })
    }
}

impl Reader<'_> {
    /// The tenant's endpoints, newest first, those after `after`; at most `limit`.
    pub async fn list_webhook_endpoints(
        &mut self,
        tenant: &Tenant,
        after: Option<WebhookEndpointId>,
        limit: u32,
    ) -> Result<Vec<WebhookEndpointRow>, StoreError> {
        const SQL: &str = select_endpoint!(
            "WHERE w.business_id = $1 AND w.environment = $2 AND w.deleted_at IS NULL \
             AND (CAST($3 AS TEXT) IS NULL OR w.id < $3) ORDER BY w.id DESC LIMIT $4"
        );
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).opt_text(after).int(i64::from(limit));
        self.fetch_all(stmt).await?.iter().map(WebhookEndpointRow::from_row).collect()
    }

    /// The tenant's endpoint of this id.
    pub async fn find_webhook_endpoint(
        &mut self,
        tenant: &Tenant,
        id: WebhookEndpointId,
    ) -> Result<Option<WebhookEndpointRow>, StoreError> {
        const SQL: &str =
            select_endpoint!("WHERE w.business_id = $1 AND w.environment = $2 AND w.id = $3 AND w.deleted_at IS NULL");
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(id);
        self.fetch_optional(stmt).await?.as_ref().map(WebhookEndpointRow::from_row).transpose()
    }

    /// Whether the tenant has an endpoint of this id, or had it before it was removed.
    pub async fn had_webhook_endpoint(&mut self, tenant: &Tenant, id: WebhookEndpointId) -> Result<bool, StoreError> {
        const SQL: &str =
            "SELECT w.id FROM webhook_endpoints w WHERE w.business_id = $1 AND w.environment = $2 AND w.id = $3";
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(id);
        Ok(self.fetch_optional(stmt).await?.is_some())
    }

    /// How many endpoints a tenant has.
    pub async fn count_webhook_endpoints(&mut self, tenant: &Tenant) -> Result<u32, StoreError> {
        const SQL: &str = "SELECT COUNT(*) AS total FROM webhook_endpoints \
                           WHERE business_id = $1 AND environment = $2 AND deleted_at IS NULL";
        let row = self.fetch_one(Stmt::new(SQL).text(&tenant.business).text(tenant.environment)).await?;
        row.read("webhook_endpoints", "total", |row| row.number("total"))
    }

    /// The enabled endpoints of a business, in one environment or, where the whole business is meant, in both.
    pub async fn list_listening_endpoints(
        &mut self,
        business: &BusinessId,
        environment: Option<Environment>,
    ) -> Result<Vec<WebhookEndpointRow>, StoreError> {
        const SQL: &str = select_endpoint!(
            "WHERE w.business_id = $1 AND (CAST($2 AS TEXT) IS NULL OR w.environment = $2) AND w.state = 'enabled' \
             ORDER BY w.id"
        );
        let stmt = Stmt::new(SQL).text(business).opt_text(environment);
        self.fetch_all(stmt).await?.iter().map(WebhookEndpointRow::from_row).collect()
    }

    /// The secrets of an endpoint that sign at an instant, the newest first.
    pub async fn list_webhook_secrets(
        &mut self,
        endpoint: WebhookEndpointId,
        now: Timestamp,
    ) -> Result<Vec<WebhookSecretRow>, StoreError> {
        const SQL: &str = "SELECT endpoint_id, version, sealed, kek_version, public_key, created_at, ends_at \
                           FROM webhook_secrets WHERE endpoint_id = $1 AND (ends_at IS NULL OR ends_at > $2) \
                           ORDER BY version DESC";
        self.fetch_all(Stmt::new(SQL).text(endpoint).time(now)).await?.iter().map(WebhookSecretRow::from_row).collect()
    }
}

impl Tx {
    /// Registers an endpoint.
    pub async fn insert_webhook_endpoint(&mut self, endpoint: &WebhookEndpointRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO webhook_endpoints (id, business_id, environment, url, description, dialect, \
                           event_types, state, disabled_reason, disabled_at, secret_version, created_at, created_by, \
                           created_by_key, updated_at, served_at) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
        let key = match endpoint.created_by {
            Actor::Key { id, .. } => Some(id),
            _ => None,
        };
        self.execute(
            Stmt::new(SQL)
                .text(endpoint.id)
                .text(&endpoint.tenant.business)
                .text(endpoint.tenant.environment)
                .text(&endpoint.url)
                .opt_text(endpoint.description.as_ref())
                .text(endpoint.subscription.dialect())
                .json(&endpoint.subscription.names())
                .text(endpoint.state())
                .opt_text(endpoint.disabled.map(|(_, reason)| reason))
                .opt_time(endpoint.disabled.map(|(at, _)| at))
                .int(i64::from(endpoint.secret_version))
                .time(endpoint.created_at)
                .json(&endpoint.created_by)
                .opt_text(key)
                .time(endpoint.updated_at)
                .time(endpoint.created_at),
        )
        .await?;
        Ok(())
    }

    /// Changes what people may change of an endpoint, if it is still as it was at `unchanged_since`. Whoever changes
    /// it means the receiver as it is now, so a wait that an earlier one asked for is forgotten.
    pub async fn update_webhook_endpoint(
        &mut self,
        endpoint: &WebhookEndpointRow,
        unchanged_since: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE webhook_endpoints SET url = $5, description = $6, event_types = $7, state = $8, \
                           disabled_reason = $9, disabled_at = $10, secret_version = $11, updated_at = $12, \
                           paused_until = NULL WHERE business_id = $1 AND environment = $2 AND id = $3 \
                           AND updated_at = $4 AND deleted_at IS NULL";
        self.change_one(
            Stmt::new(SQL)
                .text(&endpoint.tenant.business)
                .text(endpoint.tenant.environment)
                .text(endpoint.id)
                .time(unchanged_since)
                .text(&endpoint.url)
                .opt_text(endpoint.description.as_ref())
                .json(&endpoint.subscription.names())
                .text(endpoint.state())
                .opt_text(endpoint.disabled.map(|(_, reason)| reason))
                .opt_time(endpoint.disabled.map(|(at, _)| at))
                .int(i64::from(endpoint.secret_version))
                .time(endpoint.updated_at),
        )
        .await
    }

    /// Disables an endpoint, if it is enabled.
    pub async fn disable_webhook_endpoint(
        &mut self,
        tenant: &Tenant,
        id: WebhookEndpointId,
        reason: DisabledReason,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE webhook_endpoints SET state = 'disabled', disabled_reason = $4, disabled_at = $5, \
                           updated_at = $5 WHERE business_id = $1 AND environment = $2 AND id = $3 \
                           AND state = 'enabled'";
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(id).text(reason).time(now);
        self.change_one(stmt).await
    }

    /// Removes an endpoint from sight, and its secrets altogether. Its deliveries stay until their time is over.
    pub async fn delete_webhook_endpoint(
        &mut self,
        tenant: &Tenant,
        id: WebhookEndpointId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const ENDPOINT: &str = "UPDATE webhook_endpoints SET state = 'disabled', disabled_reason = 'manual', \
                                disabled_at = $4, updated_at = $4, deleted_at = $4 WHERE business_id = $1 \
                                AND environment = $2 AND id = $3 AND deleted_at IS NULL";
        let stmt = Stmt::new(ENDPOINT).text(&tenant.business).text(tenant.environment).text(id).time(now);
        if !self.change_one(stmt).await? {
            return Ok(false);
        }
        self.execute(Stmt::new("DELETE FROM webhook_secrets WHERE endpoint_id = $1").text(id)).await?;
        Ok(true)
    }

    /// Adds a version of an endpoint's secrets.
    pub async fn insert_webhook_secret(&mut self, secret: &WebhookSecretRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO webhook_secrets (id, endpoint_id, version, sealed, kek_version, \
                           public_key, created_at, ends_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        self.execute(
            Stmt::new(SQL)
                .text(WebhookSecretRow::id_of(secret.endpoint, secret.version))
                .text(secret.endpoint)
                .int(i64::from(secret.version))
                .bytes(secret.sealed.bytes.as_slice())
                .int(i64::from(secret.sealed.kek_version))
                .text(&secret.public_key)
                .time(secret.created_at)
                .opt_time(secret.ends_at),
        )
        .await?;
        Ok(())
    }

    /// Lets the secrets before `version` end: the one right before it at `ends_at`, older ones now. Those that have
    /// ended are forgotten.
    pub async fn end_webhook_secrets(
        &mut self,
        endpoint: WebhookEndpointId,
        version: u32,
        ends_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const END: &str = "UPDATE webhook_secrets SET ends_at = $3 WHERE endpoint_id = $1 AND version = $2";
        const FORGET: &str = "DELETE FROM webhook_secrets WHERE endpoint_id = $1 AND version < $2 \
                              AND (version < $2 - 1 OR ends_at <= $3)";
        let before = i64::from(version) - 1;
        self.execute(Stmt::new(END).text(endpoint).int(before).time(ends_at)).await?;
        self.execute(Stmt::new(FORGET).text(endpoint).int(i64::from(version)).time(now)).await?;
        Ok(())
    }
}
