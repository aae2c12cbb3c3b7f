//! `/v1/events`: what happened to keys.

use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trousseau_domain::actor::Actor;
use trousseau_domain::ids::EventId;
use trousseau_domain::text::SearchText;
use trousseau_service::{EventFilter, EventRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::keys::limit;
use crate::authority::{EventsRead, Granted};
use crate::path::Path;
use crate::problem::Failure;
use crate::query::{NoQuery, Query, about_query, parameter};
use crate::router::Web;
use crate::wire::List;

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventBody {
    /// Its id.
    #[schema(example = "evt_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    id: String,
    /// What happened.
    #[schema(example = "key.created")]
    r#type: String,
    /// When.
    #[schema(format = DateTime)]
    created_at: String,
    /// `test` or `live`; `null` where the whole business is meant.
    environment: Option<&'static str>,
    /// The key it is about.
    key_id: Option<String>,
    /// What else it is about: the id of a payment, a refund, a deposit, a payment link, an invoice or a recurring
    /// payment.
    subject: Option<String>,
    /// Who caused it.
    actor: ActorBody,
    /// The particulars.
    data: Value,
    /// The request that caused it.
    request_id: Option<String>,
}

/// Who caused something, as far as a business may know.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Actor)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ActorBody {
    /// A key of the business.
    Key {
        /// Its id.
        #[schema(example = "key_01k3v5m8c2q7x9r4t6w8y0a1b3")]
        id: String,
        /// Which of its values was presented.
        version: u32,
    },
    /// A person of the business or of the platform, signed in to the dashboard.
    Member {
        /// The id of the account.
        #[schema(example = "acc_01k3v5m8c2q7x9r4t6w8y0a1b3")]
        id: String,
    },
    /// The platform: by one of its keys or at its machines. Who that was stays in its own audit.
    Platform,
    /// Somebody who pays, on the hosted page.
    Payer,
    /// The program itself.
    System,
}

impl From<&Actor> for ActorBody {
    fn from(actor: &Actor) -> Self {
        match actor {
            Actor::Key { id, version } => Self::Key { id: id.to_string(), version: *version },
            Actor::Member { id } => Self::Member { id: id.to_string() },
            Actor::PlatformKey { .. } | Actor::Operator { .. } => Self::Platform,
            Actor::Payer => Self::Payer,
            Actor::System => Self::System,
        }
    }
}

impl From<&EventRow> for EventBody {
    fn from(event: &EventRow) -> Self {
        Self {
            id: event.id.to_string(),
            r#type: event.kind.clone(),
            created_at: event.at.to_string(),
            environment: event.environment.map(trousseau_domain::environment::Environment::as_str),
            key_id: event.key_id.map(|id| id.to_string()),
            subject: event.subject.clone(),
            actor: ActorBody::from(&event.actor),
            data: event.data.clone(),
            request_id: event.request_id.map(|id| id.to_string()),
        }
    }
}

/// The parameters of a list of events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Only events of this type.
    #[param(example = "key.revoked")]
    r#type: Option<String>,
    /// Only events about this key.
    key_id: Option<String>,
    /// Only events about the payment, refund, deposit, payment link, invoice or recurring payment of this id.
    #[param(example = "pay_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    subject: Option<String>,
    /// How many at most; 25 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// Those after the event of this id.
    starting_after: Option<String>,
}

/// List events
///
/// What happened to the keys of the caller's business and environment, newest first.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "list_events",
    tag = "Events",
    params(ListParameters),
    responses((status = 200, description = "One page of the events", body = List<EventBody>)),
    security(
        ("apikey" = ["events:read"], "businessid" = []),
        ("basic" = ["events:read"]),
        ("bearer" = ["events:read"]),
        ("x-api-key" = ["events:read"]),
    )
)]
pub(crate) async fn list(
    may: Granted<EventsRead>,
    State(web): State<Web>,
    Query(given): Query<ListParameters>,
) -> Result<Answer<List<EventBody>>, Failure> {
    let filter = EventFilter {
        kind: parameter("type", given.r#type.as_deref())?,
        key_id: parameter("key_id", given.key_id.as_deref())?,
        subject: parameter::<SearchText>("subject", given.subject.as_deref())?.map(|text| text.as_str().to_owned()),
        ..EventFilter::default()
    };
    let after = parameter("starting_after", given.starting_after.as_deref())?;
    let limit = limit(given.limit.as_deref())?;
    let page = web.app.events().list(may.tenant(), &filter, after, limit).await.map_err(about_query)?;
    Ok(Answer(List { data: page.data.iter().map(EventBody::from).collect(), has_more: page.has_more }))
}

/// Read an event
#[utoipa::path(
    get,
    path = "/v1/events/{id}",
    operation_id = "get_event",
    tag = "Events",
    params(("id" = String, Path, description = "The id of the event", example = "evt_01k3v5m8c2q7x9r4t6w8y0a1b3")),
    responses((status = 200, description = "The event", body = EventBody)),
    security(
        ("apikey" = ["events:read"], "businessid" = []),
        ("basic" = ["events:read"]),
        ("bearer" = ["events:read"]),
        ("x-api-key" = ["events:read"]),
    )
)]
pub(crate) async fn get(
    may: Granted<EventsRead>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<EventId>,
) -> Result<Answer<EventBody>, Failure> {
    Ok(Answer(EventBody::from(&web.app.events().get(may.tenant(), id).await?)))
}
