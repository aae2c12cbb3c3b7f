//! Server-sent events: how one payment stands, told anew whenever that changes.
//!
//! Every event holds the whole state, so that whoever comes back has missed nothing: its id names the state, and a
//! reader who has seen the latest one hears nothing until there is another.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use trousseau_domain::ids::PaymentId;
use trousseau_domain::payments::PaymentStatus;
use trousseau_service::App;
use trousseau_service::payments::Watched;

use crate::problem::{Failure, Kind};
use crate::router::Web;
use crate::wire::payments::{StatusBody, reason_of};

/// How long a stream is silent at most before it looks by itself.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a stream lasts; its reader comes back by itself.
const LASTS: Duration = Duration::from_mins(15);
/// How often a silent connection is kept alive.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Keeps nginx from gathering events until there are enough of them.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What a stream remembers.
struct Reader {
    app: App,
    id: PaymentId,
    /// The id of the event that was seen last.
    seen: String,
    /// What is to be told first.
    first: Option<Watched>,
    ends_at: tokio::time::Instant,
    _place: tokio::sync::OwnedSemaphorePermit,
}

/// The name of a state: what it was made of.
pub(crate) fn id_of(watched: &Watched) -> String {
    let (count, _) = watched.confirmations.unwrap_or_default();
    let (wrong_token, delayed) = (u8::from(watched.wrong_token), u8::from(watched.delayed));
    let closed = watched.closed.map(reason_of).unwrap_or_default();
    format!("{}-{count}-{wrong_token}-{delayed}-{closed}", watched.payment.revision)
}

/// Whether nothing more is to be expected.
pub(crate) fn is_over(watched: &Watched) -> bool {
    match watched.payment.state.status {
        PaymentStatus::Settled | PaymentStatus::Cancelled | PaymentStatus::Refunded => watched.confirmations.is_none(),
        PaymentStatus::Open
        | PaymentStatus::Processing
        | PaymentStatus::Expired
        | PaymentStatus::NeedsReview
        | PaymentStatus::Reversed
        | PaymentStatus::PartiallyRefunded => false,
    }
}

/// The stream of a payment that may be read.
///
/// # Errors
/// [`Kind::Unavailable`] where as many are read as this node can serve.
pub(crate) fn of_payment(web: &Web, watched: Watched, headers: &HeaderMap) -> Result<Response, Failure> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    if is_over(&watched) && last == id_of(&watched) {
        // Tells the browser not to come back (HTML, section 9.2).
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let place = web.streams.clone().try_acquire_owned().map_err(|_| Failure::new(Kind::Unavailable))?;
    let reader = Reader {
        app: web.app.clone(),
        id: watched.payment.id,
        seen: last.to_owned(),
        first: Some(watched),
        ends_at: tokio::time::Instant::now() + LASTS,
        _place: place,
    };
    let events = stream::unfold(reader, |mut reader| async move {
        let watched = reader.next().await?;
        let id = id_of(&watched);
        let event = Event::default().event("state").id(&id).json_data(StatusBody::from(&watched)).ok()?;
        reader.seen = id;
        Some((Ok::<_, Infallible>(event), reader))
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    response.headers_mut().insert(NO_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

impl Reader {
    /// The next state that is news; nothing once the stream is over.
    async fn next(&mut self) -> Option<Watched> {
        let mut changes = self.app.jobs().payment_changes();
        loop {
            let watched = match self.first.take() {
                Some(first) => first,
                None => self.app.payments().get_shown(self.id).await.ok()?,
            };
            if id_of(&watched) != self.seen {
                return Some(watched);
            }
            if is_over(&watched) || tokio::time::Instant::now() >= self.ends_at {
                return None;
            }
            // No more news of changes: the node is going down.
            if let Ok(Err(_)) = tokio::time::timeout(LOOK_EVERY, changes.changed()).await {
                return None;
            }
        }
    }
}
