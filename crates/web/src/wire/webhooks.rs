//! Webhook endpoints and deliveries on the wire.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use trousseau_domain::keys::Overlap;
use trousseau_domain::webhooks::target::WebhookUrl;
use trousseau_domain::webhooks::{Dialect, EndpointDescription, EndpointState};
use trousseau_service::webhooks::{
    DEFAULT_OVERLAP, DeliveryView, EndpointChange, EndpointDraft, EndpointView, IssuedEndpoint,
};
use trousseau_service::{AttemptRow, DeliveryRow};
use utoipa::ToSchema;

use super::Change;
use crate::problem::{Failure, Faults};

/// The most entries of a list of event types.
const MOST_TYPES: usize = 100;
/// What stands where a secret is not told again.
const ADVICE: &str = "The secret is not told twice. In TEST it can be revealed; otherwise rotate it to get a new one.";

/// How messages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookDialect)]
pub enum DialectWord {
    /// Every event, as Standard Webhooks proposes.
    Standard,
    /// Mileston's three events of paid things, with a token in a header.
    Mileston,
}

impl From<DialectWord> for Dialect {
    fn from(word: DialectWord) -> Self {
        match word {
            DialectWord::Standard => Self::Standard,
            DialectWord::Mileston => Self::Mileston,
        }
    }
}

/// The switch of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookState)]
pub enum StateWord {
    /// Messages are sent.
    Enabled,
    /// Nothing is sent.
    Disabled,
}

impl From<StateWord> for EndpointState {
    fn from(word: StateWord) -> Self {
        match word {
            StateWord::Enabled => Self::Enabled,
            StateWord::Disabled => Self::Disabled,
        }
    }
}

/// A webhook endpoint. Its secret is not part of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub struct EndpointBody {
    /// Its id.
    #[schema(example = "whe_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub id: String,
    /// `test` or `live`.
    #[schema(example = "test")]
    pub environment: &'static str,
    /// Where messages go.
    #[schema(example = "https://shop.example/webhooks")]
    pub url: String,
    /// What people say of it.
    #[schema(example = "Orders", max_length = 200)]
    pub description: Option<String>,
    /// How messages look.
    #[schema(value_type = DialectWord)]
    pub dialect: &'static str,
    /// The types of events it hears of; empty is all.
    #[schema(example = json!(["payment.succeeded"]))]
    pub event_types: Vec<&'static str>,
    /// The switch.
    #[schema(value_type = StateWord)]
    pub state: &'static str,
    /// Why it is disabled: `manual`, `gone` (it answered 410) or `failing` (it took nothing for three days).
    pub disabled_reason: Option<&'static str>,
    /// Since when it is disabled.
    #[schema(format = DateTime)]
    pub disabled_at: Option<String>,
    /// The key by which anybody can check the `v1a` signatures.
    #[schema(example = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")]
    pub public_key: String,
    /// Until when messages are signed with the secret before the last rotation too.
    #[schema(format = DateTime)]
    pub previous_secret_valid_until: Option<String>,
    /// When it was registered.
    #[schema(example = "2026-01-31T09:30:00Z", format = DateTime)]
    pub created_at: String,
    /// When it last took a message.
    #[schema(format = DateTime)]
    pub last_success_at: Option<String>,
}

impl From<&EndpointView> for EndpointBody {
    fn from(view: &EndpointView) -> Self {
        let endpoint = &view.endpoint;
        Self {
            id: endpoint.id.to_string(),
            environment: endpoint.tenant.environment.as_str(),
            url: endpoint.url.to_string(),
            description: endpoint.description.as_ref().map(ToString::to_string),
            dialect: endpoint.subscription.dialect().as_str(),
            event_types: endpoint.subscription.names(),
            state: endpoint.state().as_str(),
            disabled_reason: endpoint.disabled.map(|(_, reason)| reason.as_str()),
            disabled_at: endpoint.disabled.map(|(at, _)| at.to_string()),
            public_key: view.public_key.clone(),
            previous_secret_valid_until: view.previous_until.map(|until| until.to_string()),
            created_at: endpoint.created_at.to_string(),
            last_success_at: endpoint.last_success_at.map(|at| at.to_string()),
        }
    }
}

/// A webhook endpoint with its secret. Only creation, rotation and, in TEST, reveal answer this.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpointWithSecret)]
pub struct EndpointWithSecretBody {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: EndpointBody,
    /// What `v1` signatures are checked with. `null` only in the repetition of an answer.
    #[schema(example = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")]
    pub secret: Option<String>,
    /// What `X-Webhook-Signature` holds, in the dialect `mileston`.
    pub verification_token: Option<String>,
    /// What to do where `secret` is `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<&'static str>,
}

impl std::fmt::Debug for EndpointWithSecretBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EndpointWithSecretBody").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl From<&IssuedEndpoint> for EndpointWithSecretBody {
    fn from(issued: &IssuedEndpoint) -> Self {
        Self {
            endpoint: EndpointBody::from(&issued.view),
            secret: Some(issued.secrets.secret().as_str().to_owned()),
            verification_token: issued.secrets.token().map(|token| token.expose().to_owned()),
            advice: None,
        }
    }
}

impl EndpointWithSecretBody {
    /// The answer as it is kept for repetitions: without what is secret.
    pub(crate) fn without_secret(issued: &IssuedEndpoint) -> Self {
        let endpoint = EndpointBody::from(&issued.view);
        Self { endpoint, secret: None, verification_token: None, advice: Some(ADVICE) }
    }
}

/// A webhook endpoint to register.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhookEndpoint)]
pub struct NewEndpointBody {
    /// HTTPS; in TEST also `http://localhost`, where the operator allows it.
    #[schema(example = "https://shop.example/webhooks", max_length = 2000)]
    pub url: String,
    /// At most 200 characters; blank means none.
    #[schema(max_length = 200)]
    pub description: Option<String>,
    /// `standard` unless given; it stays as it is.
    pub dialect: Option<DialectWord>,
    /// Empty or absent is all. In the dialect `mileston`: `invoice-paid`, `paymentlink-paid`, `recurring-paid`.
    #[schema(example = json!(["payment.succeeded"]))]
    pub event_types: Option<Vec<String>>,
    /// For the dialect `mileston`: 8 to 255 visible ASCII characters; one is made where none is given.
    #[schema(min_length = 8, max_length = 255)]
    pub verification_token: Option<String>,
}

impl std::fmt::Debug for NewEndpointBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("NewEndpointBody").field("url", &self.url).finish_non_exhaustive()
    }
}

impl TryFrom<NewEndpointBody> for EndpointDraft {
    type Error = Failure;

    fn try_from(body: NewEndpointBody) -> Result<Self, Failure> {
        let mut faults = Faults::new();
        let url = faults.accept("/url", body.url.parse::<WebhookUrl>());
        let description = body.description.and_then(|text| read_description(&text, &mut faults));
        let event_types = body.event_types.unwrap_or_default();
        check_types(&event_types, &mut faults);
        let token = body.verification_token.and_then(|token| faults.accept("/verification_token", token.parse()));
        faults.finish()?;
        let url = url.expect("its absence is a fault");
        let dialect = body.dialect.map_or(Dialect::Standard, Dialect::from);
        Ok(Self { url, description, dialect, event_types, token })
    }
}

/// What changes of a webhook endpoint. Absent members stay as they are.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointChange)]
pub struct EndpointChangeBody {
    /// Where messages go from now on, those that wait included.
    #[serde(default)]
    #[schema(value_type = String, required = false, max_length = 2000)]
    pub url: Change<String>,
    /// `null` removes the description.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 200)]
    pub description: Change<String>,
    /// All types of events from now on; empty is all.
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = false)]
    pub event_types: Change<Vec<String>>,
    /// The switch. What waits while it is off is sent once it is on; what happens meanwhile is not.
    #[serde(default)]
    #[schema(value_type = StateWord, required = false)]
    pub state: Change<StateWord>,
}

impl TryFrom<EndpointChangeBody> for EndpointChange {
    type Error = Failure;

    fn try_from(body: EndpointChangeBody) -> Result<Self, Failure> {
        let mut faults = Faults::new();
        let url = body.url.required("/url", &mut faults);
        let event_types = body.event_types.required("/event_types", &mut faults);
        check_types(event_types.as_deref().unwrap_or_default(), &mut faults);
        let change = Self {
            url: url.and_then(|text| faults.accept("/url", text.parse())),
            description: body.description.read(|text| Some(read_description(&text, &mut faults))).map(Option::flatten),
            event_types,
            state: body.state.required("/state", &mut faults).map(EndpointState::from),
        };
        faults.finish()?;
        Ok(change)
    }
}

/// A rotation of a webhook endpoint's secret.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookSecretRotation)]
pub struct SecretRotationBody {
    /// How long messages are signed with the old secret too: 0 to 2592000 seconds (30 days), a day unless given.
    #[schema(example = 86400, minimum = 0, maximum = 2_592_000)]
    pub overlap_seconds: Option<u64>,
    /// Another token for the dialect `mileston`; it replaces the old one at once, and stays unless given.
    #[schema(min_length = 8, max_length = 255)]
    pub verification_token: Option<String>,
}

impl std::fmt::Debug for SecretRotationBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("SecretRotationBody");
        shown.field("overlap_seconds", &self.overlap_seconds).finish_non_exhaustive()
    }
}

impl SecretRotationBody {
    /// How long the old secret signs.
    pub(crate) fn overlap(&self) -> Overlap {
        Overlap::For(self.overlap_seconds.map_or(DEFAULT_OVERLAP, Duration::from_secs))
    }
}

fn read_description(text: &str, faults: &mut Faults) -> Option<EndpointDescription> {
    faults.accept("/description", EndpointDescription::parse_optional(text)).flatten()
}

fn check_types(types: &[String], faults: &mut Faults) {
    if types.len() > MOST_TYPES {
        faults.senseless("/event_types", format!("has more than {MOST_TYPES} entries"));
    }
}

/// One event on its way to one endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub struct DeliveryBody {
    /// Its id.
    #[schema(example = "whd_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub id: String,
    /// Where it goes.
    #[schema(example = "whe_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub endpoint_id: String,
    /// The event, whose id is the header `webhook-id` of every attempt.
    #[schema(example = "evt_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub event_id: String,
    /// The event's type.
    #[schema(example = "payment.succeeded")]
    pub event_type: String,
    /// `pending` (it will be tried, perhaps again), `delivered` or `failed`.
    #[schema(example = "delivered")]
    pub state: &'static str,
    /// How often it was tried.
    pub attempts: u32,
    /// What the receiver last answered.
    #[schema(example = 200)]
    pub last_status: Option<u16>,
    /// Why there was no answer.
    pub last_error: Option<String>,
    /// When it will be tried, while it is `pending`.
    #[schema(format = DateTime)]
    pub next_attempt_at: Option<String>,
    /// When it was queued.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When the receiver took it, or it was given up.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
}

impl From<&DeliveryRow> for DeliveryBody {
    fn from(row: &DeliveryRow) -> Self {
        Self {
            id: row.id.to_string(),
            endpoint_id: row.endpoint.to_string(),
            event_id: row.event.to_string(),
            event_type: row.event_type.clone(),
            state: row.state.as_str(),
            attempts: row.attempts,
            last_status: row.last_status,
            last_error: row.last_error.clone(),
            next_attempt_at: row.finished_at.is_none().then(|| row.next_at.to_string()),
            created_at: row.created_at.to_string(),
            finished_at: row.finished_at.map(|at| at.to_string()),
        }
    }
}

/// A delivery with what was sent and answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDeliveryWithAttempts)]
pub struct DeliveryWithAttemptsBody {
    /// The delivery.
    #[serde(flatten)]
    pub delivery: DeliveryBody,
    /// Its attempts, the latest first.
    pub log: Vec<AttemptBody>,
}

/// One request to a receiver and what it answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
pub struct AttemptBody {
    /// 1, 2, 3 ... within the delivery.
    pub number: u32,
    /// When it began.
    #[schema(format = DateTime)]
    pub at: String,
    /// How long it took.
    pub duration_ms: u64,
    /// What was sent.
    pub request: SentBody,
    /// What the receiver answered; `null` where it did not.
    pub answer: Option<AnsweredBody>,
    /// Why there was no answer.
    pub error: Option<String>,
}

/// One header.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookHeader)]
pub struct HeaderBody {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What was sent to a receiver.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookRequest)]
pub struct SentBody {
    /// Where it went.
    pub url: String,
    /// Without what is secret.
    pub headers: Vec<HeaderBody>,
    /// The text that was signed.
    pub body: String,
}

/// What a receiver answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookAnswer)]
pub struct AnsweredBody {
    /// Its status.
    #[schema(example = 200)]
    pub status: u16,
    /// Its headers.
    pub headers: Vec<HeaderBody>,
    /// The beginning of its body, at most 16 KiB.
    pub body: String,
    /// Whether there was more.
    pub truncated: bool,
}

fn headers(pairs: &[(String, String)]) -> Vec<HeaderBody> {
    pairs.iter().map(|(name, value)| HeaderBody { name: name.clone(), value: value.clone() }).collect()
}

impl From<&AttemptRow> for AttemptBody {
    fn from(row: &AttemptRow) -> Self {
        Self {
            number: row.number,
            at: row.at.to_string(),
            duration_ms: u64::try_from(row.duration.as_millis()).unwrap_or(u64::MAX),
            request: SentBody {
                url: row.url.clone(),
                headers: headers(&row.request_headers),
                body: row.request_body.clone(),
            },
            answer: row.status.map(|status| AnsweredBody {
                status,
                headers: headers(row.answer_headers.as_deref().unwrap_or_default()),
                body: row.answer_body.clone().unwrap_or_default(),
                truncated: row.answer_cut,
            }),
            error: row.error.clone(),
        }
    }
}

impl From<&DeliveryView> for DeliveryWithAttemptsBody {
    fn from(view: &DeliveryView) -> Self {
        Self {
            delivery: DeliveryBody::from(&view.delivery),
            log: view.attempts.iter().map(AttemptBody::from).collect(),
        }
    }
}
