//! One delivery with what was sent and answered, sending it again, and test messages.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use trousseau_domain::ids::DeliveryId;
use trousseau_domain::members::Operation;
use trousseau_domain::webhooks::DeliveryState;
use trousseau_service::idempotency::Answered;
use trousseau_service::{AttemptRow, DeliveryRow, ServiceError};

use super::endpoints::Nothing;
use super::{Parts, at_home, endpoint_id, path_of};
use crate::dashboard::form::Form;
use crate::dashboard::format::{Formats, Shown};
use crate::dashboard::frame::Frame;
use crate::dashboard::session::{Entered, ReadWebhooks, Stop, WriteWebhooks};
use crate::dashboard::text::{Texts, message};
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// A word with its colour and its picture.
#[derive(Debug)]
pub(super) struct Badge {
    pub(super) tint: &'static str,
    pub(super) icon: &'static str,
    pub(super) text: String,
}

/// How a state is shown.
pub(super) fn badge(state: DeliveryState, t: Texts) -> Badge {
    let (tint, icon, text) = match state {
        DeliveryState::Pending => ("info", "clock", t.get("delivery-pending")),
        DeliveryState::Delivered => ("ok", "check", t.get("delivery-delivered")),
        DeliveryState::Failed => ("bad", "stop", t.get("delivery-failed")),
    };
    Badge { tint, icon, text }
}

/// A delivery as a list shows it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) path: String,
    pub(super) event_type: String,
    pub(super) event: String,
    pub(super) badge: Badge,
    /// What the receiver last answered, or why it did not.
    pub(super) answer: String,
    pub(super) attempts: String,
    pub(super) next: Option<Shown>,
    pub(super) at: Shown,
}

/// What the receiver answered, in a word.
fn answer_of(status: Option<u16>, error: Option<&str>, t: Texts) -> String {
    match (status, error) {
        (Some(status), _) => status.to_string(),
        (None, Some(_)) => t.get("delivery-no-answer"),
        (None, None) => String::new(),
    }
}

impl Row {
    pub(super) fn of(frame: &Frame, endpoint: &str, delivery: &DeliveryRow) -> Self {
        let (t, f) = (frame.t, &frame.f);
        Self {
            path: format!("{endpoint}/deliveries/{}", delivery.id),
            event_type: delivery.event_type.clone(),
            event: delivery.event.to_string(),
            badge: badge(delivery.state, t),
            answer: answer_of(delivery.last_status, delivery.last_error.as_deref(), t),
            attempts: f.number(delivery.attempts.into()),
            next: (delivery.state == DeliveryState::Pending).then(|| f.relative(delivery.next_at)),
            at: f.relative(delivery.created_at),
        }
    }
}

/// One attempt as the page shows it.
#[derive(Debug)]
struct Attempt {
    number: u32,
    at: Shown,
    took: String,
    badge: Badge,
    url: String,
    sent_headers: String,
    sent_body: String,
    answered: Option<Reply>,
    error: Option<Reason>,
}

/// Why there was no answer.
#[derive(Debug)]
struct Reason {
    text: String,
    /// Whether it stands there in English, whatever the page is in.
    english: bool,
}

impl Reason {
    /// What is kept of it, in the words of the reader where it is a reason of ours.
    fn of(kept: &str, t: Texts) -> Self {
        let ours = match kept {
            "the URL is not allowed (any more)" => message!("no-answer-url"),
            "the name cannot be looked up" => message!("no-answer-name"),
            "the name leads into a private network, which the operator does not allow" => message!("no-answer-private"),
            "the receiver cannot be reached" => message!("no-answer-connection"),
            "TLS failed: the certificate is not trusted, or the receiver speaks something else" => {
                message!("no-answer-tls")
            }
            "no answer within 15 seconds" => message!("no-answer-deadline"),
            "the connection broke off, or the answer is not HTTP" => message!("no-answer-broken"),
            "there is nothing to send any more" => message!("no-answer-nothing"),
            _ => return Self { text: kept.to_owned(), english: true },
        };
        Self { text: t.get(ours), english: false }
    }
}

/// What was answered.
#[derive(Debug)]
struct Reply {
    headers: String,
    body: String,
    cut: bool,
}

fn lines(headers: &[(String, String)]) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
}

impl Attempt {
    fn of(row: &AttemptRow, f: &Formats, t: Texts) -> Self {
        let (tint, icon) = match row.status {
            Some(200..=299) => ("ok", "check"),
            _ => ("bad", "stop"),
        };
        let text = answer_of(row.status, row.error.as_deref(), t);
        Self {
            number: row.number,
            at: f.moment(row.at),
            took: f.number(u64::try_from(row.duration.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)),
            badge: Badge { tint, icon, text },
            url: row.url.clone(),
            sent_headers: lines(&row.request_headers),
            sent_body: row.request_body.clone(),
            answered: row.status.map(|_| Reply {
                headers: lines(row.answer_headers.as_deref().unwrap_or_default()),
                body: row.answer_body.clone().unwrap_or_default(),
                cut: row.answer_cut,
            }),
            error: row.error.as_deref().map(|error| Reason::of(error, t)),
        }
    }
}

#[derive(Debug, Template)]
#[template(path = "dashboard/webhooks/delivery.html")]
struct DeliveryPage<'a> {
    frame: &'a Frame,
    endpoint: String,
    url: String,
    row: Row,
    finished: Option<Shown>,
    attempts: Vec<Attempt>,
    may_write: bool,
    enabled: bool,
}

fn delivery_id(parts: &Parts) -> Result<DeliveryId, Stop> {
    let text = parts.get("delivery").map(String::as_str).unwrap_or_default();
    Ok(text.parse().map_err(|_| Failure::new(Kind::NotFound))?)
}

/// One delivery, attempt by attempt.
pub(super) async fn show(
    entered: Entered<ReadWebhooks>,
    State(web): State<Web>,
    parts: Parts,
) -> Result<Response, Stop> {
    let endpoint = super::endpoint_of(&web, &entered, &parts).await?;
    let frame = at_home(entered.frame.clone());
    let page = path_of(&frame, endpoint.endpoint.id);
    let found = web.app.webhooks().delivery(&entered.tenant, endpoint.endpoint.id, delivery_id(&parts)?).await;
    let view = found.map_err(|error| entered.refused(error, &page))?;
    Ok(frame.page(&DeliveryPage {
        row: Row::of(&frame, &page, &view.delivery),
        endpoint: page,
        url: endpoint.endpoint.url.to_string(),
        finished: view.delivery.finished_at.map(|at| frame.f.moment(at)),
        attempts: view.attempts.iter().map(|row| Attempt::of(row, &frame.f, frame.t)).collect(),
        may_write: entered.role.may(Operation::WebhooksWrite),
        enabled: endpoint.endpoint.disabled.is_none(),
        frame: &frame,
    }))
}

/// A failure of sending, as its own page or, for an endpoint that is off, told on the page of the endpoint.
fn not_sent(entered: &Entered<WriteWebhooks>, error: ServiceError, page: &str) -> Result<Response, Stop> {
    match error {
        ServiceError::EndpointDisabled => Ok(entered.frame.done(page, message!("flash-webhook-is-off"), "")),
        error => Err(entered.refused(error, page)),
    }
}

/// Sends an event again.
pub(super) async fn resend(
    State(web): State<Web>,
    entered: Entered<WriteWebhooks>,
    parts: Parts,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let (id, delivery) = (endpoint_id(&parts)?, delivery_id(&parts)?);
    let page = path_of(&entered.frame, id);
    match web.app.webhooks().resend(&entered.context, &entered.tenant, id, delivery, None).await {
        Ok(_) => {
            let to = format!("{page}/deliveries/{delivery}");
            Ok(entered.frame.done(&to, message!("flash-webhook-resent"), ""))
        }
        Err(error) => not_sent(&entered, error, &page),
    }
}

/// Sends a test message.
pub(super) async fn test(
    State(web): State<Web>,
    entered: Entered<WriteWebhooks>,
    parts: Parts,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let id = endpoint_id(&parts)?;
    let page = path_of(&entered.frame, id);
    match web.app.webhooks().send_test(&entered.context, &entered.tenant, id, None).await {
        Ok(Answered::Done(delivery)) => {
            let to = format!("{page}/deliveries/{}", delivery.id);
            Ok(entered.frame.done(&to, message!("flash-webhook-test"), ""))
        }
        Ok(Answered::Replayed(_)) => Err(Stop::go(&page)),
        Err(error) => not_sent(&entered, error, &page),
    }
}

#[cfg(test)]
mod tests {
    use trousseau_service::webhooks::NO_ANSWERS;

    use super::*;
    use crate::language::Language;

    #[test]
    fn every_reason_of_ours_is_told_in_the_language_of_its_reader() {
        let mut told: Vec<String> = Vec::new();
        for kept in NO_ANSWERS {
            let Reason { text, english } = Reason::of(kept, Texts::new(Language::French));
            assert!(!english && text != *kept, "{kept}: {text}");
            told.push(text);
        }
        told.sort_unstable();
        told.dedup();
        assert_eq!(told.len(), NO_ANSWERS.len(), "each has a text of its own: {told:?}");
        assert!(Reason::of("something of a later release", Texts::new(Language::French)).english);
    }
}
