//! The door for Envoy: its external authorization (`envoy.service.auth.v3.Authorization/Check`) over gRPC.
//!
//! It turns what Envoy tells into a question to `trousseau_web`, and the answer into what Envoy does. It decides nothing.

pub mod check;
pub mod proto;

use std::sync::Arc;
use std::time::Duration;

use http_body::Body as HttpBody;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;
use trousseau_web::connection::Peer;
use trousseau_web::fast::Application;
use trousseau_web::gateway::Asked;

use crate::proto::{CheckRequest, HealthCheckRequest, HealthCheckResponse, ServingStatus};

/// Where Envoy asks.
pub const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// Where health is asked for.
pub const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// The service's name to the health service.
pub const SERVICE: &str = "envoy.service.auth.v3.Authorization";

/// The most bytes of a message: above the decision's own limit of 64 KiB of headers, so that its answer explains the
/// refusal, and enough for a request of that size with what Envoy says around it.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// The most questions at a time. More are told at once that there is no room: a place in a queue would be of no use to
/// Envoy, which waits for its own time-out only.
const MOST_AT_ONCE: usize = 2_048;

/// How long an answer may take from the head of the request on, its message included: longer than a statement of the
/// database may, so that what its failure means is said.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// The services of this door. A clone shares everything.
#[derive(Debug, Clone)]
pub struct ExtAuthz {
    application: Application,
    room: Arc<Semaphore>,
}

impl ExtAuthz {
    /// The door before this application.
    pub fn new(application: Application) -> Self {
        Self { application, room: Arc::new(Semaphore::new(MOST_AT_ONCE)) }
    }

    /// Answers a call of gRPC from the other end of a connection.
    pub async fn answer<B>(&self, request: http::Request<B>, peer: Peer) -> http::Response<Body>
    where
        B: HttpBody + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        // Being busy is not being ill.
        let is_question = request.uri().path() != HEALTH;
        let room = is_question.then(|| self.room.try_acquire());
        if matches!(room, Some(Err(_))) {
            return Status::resource_exhausted("too many questions at a time").into_http();
        }
        let within = asked_within(request.headers()).map_or(ANSWERED_WITHIN, |asked| asked.min(ANSWERED_WITHIN));
        let answered = async {
            match request.uri().path() {
                CHECK => self.check(request, peer).await,
                HEALTH => self.health(request).await,
                _ => Status::unimplemented("there is no such method here").into_http(),
            }
        };
        timeout(within, answered).await.unwrap_or_else(|_| Status::deadline_exceeded("too late").into_http())
    }

    async fn check<B>(&self, request: http::Request<B>, peer: Peer) -> http::Response<Body>
    where
        B: HttpBody + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let application = self.application.clone();
        let service = service_fn(move |request: tonic::Request<CheckRequest>| {
            let application = application.clone();
            async move {
                // Envoy's own span, where it traces; the caller's is among the headers that it tells of.
                let traceparent = request.metadata().get("traceparent").and_then(|value| value.to_str().ok());
                let traceparent = traceparent.map(str::to_owned);
                let Some((asked, sent)) = check::asked(request.into_inner()) else {
                    tracing::warn!("Envoy asks about something else than a request of HTTP");
                    return Err(Status::invalid_argument("this is not about a request of HTTP"));
                };
                let asked = Asked { traceparent, ..asked };
                Ok(Response::new(check::answered(application.judge(asked, peer).await, &sent)))
            }
        });
        let mut grpc = Grpc::new(ProstCodec::default()).max_decoding_message_size(MAX_MESSAGE_BYTES);
        grpc.unary(service, request).await
    }

    async fn health<B>(&self, request: http::Request<B>) -> http::Response<Body>
    where
        B: HttpBody + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let application = self.application.clone();
        let service = service_fn(move |request: tonic::Request<HealthCheckRequest>| {
            let application = application.clone();
            async move {
                if !["", SERVICE].contains(&request.get_ref().service.as_str()) {
                    return Err(Status::not_found("there is no such service here"));
                }
                let ready = application.is_ready().await;
                let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
                Ok(Response::new(HealthCheckResponse { status: status.into() }))
            }
        });
        let mut grpc = Grpc::new(ProstCodec::default()).max_decoding_message_size(MAX_MESSAGE_BYTES);
        grpc.unary(service, request).await
    }
}

/// How long the caller waits, by `grpc-timeout`: up to 8 digits and a unit.
fn asked_within(headers: &http::HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number.checked_mul(3_600)?),
        "M" => Duration::from_secs(number.checked_mul(60)?),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_patience_is_read() {
        let read = |text: &str| {
            let mut headers = http::HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().expect("a value"));
            asked_within(&headers)
        };
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("2S"), Some(Duration::from_secs(2)));
        assert_eq!(read("1M"), Some(Duration::from_mins(1)));
        assert_eq!(read("99999999H"), Some(Duration::from_hours(99_999_999)));
        assert_eq!(read("7u"), Some(Duration::from_micros(7)));
        assert_eq!(read("7n"), Some(Duration::from_nanos(7)));
        for bad in ["", "S", "1", "-1S", "1.5S", "123456789S", "1s", "é"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(asked_within(&http::HeaderMap::new()), None);
    }
}
