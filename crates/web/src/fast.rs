//! The two questions that are asked most, `GET /v1/whoami` and `GET /v1/authorize`, answered without the router.
//!
//! The answers are those of the router, made by the same functions; only what stands around is leaner: no span, and one
//! line of the log at `debug`. Whatever is out of the ordinary about a request goes to the router. A gateway that asks
//! otherwise than by HTTP ([`Application::judge`]) gets the answer of `/v1/authorize` here too.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::response::Response;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::BodyExt as _;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower::ServiceExt as _;
use trousseau_domain::decision::Demand;
use trousseau_domain::ids::RequestId;
use trousseau_domain::time::Timestamp;
use trousseau_service::requests::{CallAnswer, CallTrace};

use crate::api::authorize::{self, Demands};
use crate::api::whoami::{self, MEDIA_TYPE};
use crate::authority::{Arrived, Sent};
use crate::connection::Peer;
use crate::dialect::{AUTHORIZE, Dialect};
use crate::edge::{self, Edge, MAX_URI_BYTES, Reader, method_label};
use crate::fields::{Fields as _, Written, write_field};
use crate::gateway::Asked;
use crate::language::Language;
use crate::limits;
use crate::problem::{Failure, Kind};
use crate::query::NoQuery;
use crate::router::Web;
use crate::traces::{Door, Outcome, Traced, parent_of};

pub(crate) const WHOAMI: &str = "/v1/whoami";
/// The header fields that answers have room for.
const USUAL_HEADERS: usize = 20;

/// The whole application: the fast questions, and the router for everything else. A clone shares everything.
#[derive(Debug, Clone)]
pub struct Application {
    doors: Arc<Doors>,
    router: Router,
    beside: Option<Handle>,
}

#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) edge: Edge,
    pub(crate) web: Web,
    counts: [Counts; 2],
    /// The headers of every good answer, put together once.
    usual: HeaderMap,
    /// The beginnings of good answers as they go over the wire: the status line, those headers, and what is of the kind.
    good_heads: [Vec<u8>; 2],
}

/// A question that is answered here.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Question {
    Whoami,
    Authorize,
}

impl Question {
    pub(crate) const fn route(self) -> &'static str {
        match self {
            Self::Whoami => WHOAMI,
            Self::Authorize => AUTHORIZE,
        }
    }

    /// The question that a request asks, if there is nothing more to it.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        let question = match request.uri().path() {
            WHOAMI if NoQuery::is_in(request.uri()) => Self::Whoami,
            AUTHORIZE => Self::Authorize,
            _ => return None,
        };
        let is_plain = |(name, value): (&HeaderName, &HeaderValue)| match name.as_str() {
            "origin" | "transfer-encoding" | "content-encoding" => false,
            "content-length" => value == "0",
            _ => true,
        };
        (request.method() == Method::GET && request.headers().iter().all(is_plain)).then_some(question)
    }
}

/// The metrics of the usual answers to one question: looked up once.
struct Counts {
    answered: metrics::Counter,
    refused: metrics::Counter,
    duration: metrics::Histogram,
}

impl std::fmt::Debug for Counts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Counts")
    }
}

impl Counts {
    fn of(route: &'static str) -> Self {
        let answers = |status| metrics::counter!("trousseau_http_requests_total", "method" => "GET", "route" => route, "status" => status);
        Self {
            answered: answers("200"),
            refused: answers("401"),
            duration: metrics::histogram!("trousseau_http_request_duration_seconds", "method" => "GET", "route" => route),
        }
    }
}

impl Application {
    pub(crate) fn new(edge: Edge, web: Web, router: Router) -> Self {
        let counts = [WHOAMI, AUTHORIZE].map(Counts::of);
        let mut usual = HeaderMap::with_capacity(USUAL_HEADERS);
        edge::adorn(&mut usual, edge.https());
        let good_heads = [Question::Whoami, Question::Authorize].map(|question| {
            let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
            for (name, value) in &usual {
                write_field(&mut head, name.as_str(), |out| out.extend_from_slice(value.as_bytes()));
            }
            if matches!(question, Question::Whoami) {
                Written(&mut head).put_fixed("content-type", MEDIA_TYPE);
            }
            head
        });
        Self { doors: Arc::new(Doors { edge, web, counts, usual, good_heads }), router, beside: None }
    }

    pub(crate) const fn doors(&self) -> &Arc<Doors> {
        &self.doors
    }

    /// The same, whose router works on this runtime, whichever one a connection is served by.
    #[must_use]
    pub fn beside(self, runtime: Handle) -> Self {
        Self { beside: Some(runtime), ..self }
    }

    /// Whether the database answers, as `/readyz` says it.
    pub async fn is_ready(&self) -> bool {
        self.doors.web.app.check_ready().await.is_ok()
    }

    /// Judges the key in a request that a gateway at `peer` tells of. The answer is that of `/v1/authorize` with
    /// `statuses=all`: 200 and who calls in its headers, or the status, headers and body that the caller is to get.
    pub async fn judge(&self, asked: Asked, peer: Peer) -> http::Response<bytes::Bytes> {
        collected(self.doors.judge(asked, peer).await).await
    }

    /// Answers a request that came in over this connection.
    pub async fn call<B>(&self, request: Request<B>, peer: Option<Peer>) -> Response
    where
        B: HttpBody<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        if let (Some(question), Some(peer)) = (Question::of(&request), peer) {
            return self.doors.answer(question, request.method(), request.uri(), request.headers(), peer).await;
        }
        let mut request = request.map(Body::new);
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        // Large: what a connection carries with each request is to be small.
        let routed = Box::pin(self.router.clone().oneshot(request));
        let routed = match &self.beside {
            None => routed.await,
            Some(runtime) => Task(runtime.spawn(routed)).await,
        };
        match routed {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Work on another runtime, which ends with whoever waits for it.
struct Task<T>(JoinHandle<T>);

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match Pin::new(&mut self.0).poll(context) {
            Poll::Ready(Ok(output)) => Poll::Ready(output),
            Poll::Ready(Err(ended)) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Its runtime has ended, and the process is about to.
                Err(_) => Poll::Pending,
            },
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl From<Application> for Router {
    /// The same as a router, whose requests carry their connection with them.
    fn from(application: Application) -> Self {
        let answer = move |request: Request<Body>| {
            let application = application.clone();
            async move {
                let peer = request.extensions().get().copied();
                Ok::<_, Infallible>(application.call(request, peer).await)
            }
        };
        Self::new().fallback_service(tower::service_fn(answer))
    }
}

/// A question on its way to its answer.
struct Begun {
    started: Instant,
    request_id: RequestId,
    trace: CallTrace,
    /// Kept apart: most requests have none, and what a connection carries is to be small.
    traced: Option<Box<Traced>>,
}

impl Doors {
    fn begin(&self) -> Begun {
        let (request_id, trace) = (self.edge.request_id(), CallTrace::default());
        Begun { started: Instant::now(), request_id, trace, traced: None }
    }

    pub(crate) fn good_head(&self, question: Question) -> &[u8] {
        &self.good_heads[question as usize]
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.web.app.now()
    }

    pub(crate) async fn answer(
        &self,
        question: Question,
        method: &Method,
        uri: &http::Uri,
        headers: &HeaderMap,
        peer: Peer,
    ) -> Response {
        let mut begun = self.begin();
        let request_id = begun.request_id;
        begun.traced = self.edge.traced(request_id, || parent_of(headers), || self.edge.door(Some(peer), headers));
        let caller = self.edge.caller(peer, headers);
        let address = self.edge.patience((uri, headers), peer, caller).await;
        let trace = begun.trace.clone();
        let route = question.route();
        let arrived = Arrived { route, original: None, caller, request_id, trace, is_question: true };
        let sent = Sent::new(method, uri, headers, arrived);
        let asked = async {
            edge::check(&self.edge, headers, uri)?;
            match question {
                Question::Whoami => {
                    let caller = sent.authenticate(&self.web, &Demand::default()).await?;
                    Ok(whoami::answer(&caller, self.usual.clone()))
                }
                Question::Authorize => {
                    let asked = Demands::of_query(uri)?;
                    let told = self.usual.clone();
                    identified(authorize::answer(&sent, &self.web, asked, told).await?)
                }
            }
        };
        let answered = AssertUnwindSafe(asked).catch_unwind().await;
        let reader = || Reader::Program {
            dialect: Dialect::of_uri(uri),
            path: uri.path().to_owned(),
            language: Language::of(headers),
        };
        let response = self.conclude(question, method, begun, reader, answered);
        self.edge.heard_of(address, response.status());
        response
    }

    /// What a gateway asks about otherwise than by HTTP, as if it had come to [`AUTHORIZE`] with every status.
    async fn judge(&self, asked: Asked, peer: Peer) -> Response {
        let mut begun = self.begin();
        let request_id = begun.request_id;
        let trace = begun.trace.clone();
        let uri = http::Uri::from_static(AUTHORIZE);
        let read = asked.read();
        let language = read.as_ref().map(|(_, headers)| Language::of(headers)).unwrap_or_default();
        let method = read.as_ref().map_or(Method::GET, |(method, _)| method.clone());
        let of_caller = || read.as_ref().ok().and_then(|(_, headers)| parent_of(headers));
        let parent = || asked.traceparent.as_ref().and_then(|text| text.parse().ok()).or_else(of_caller);
        begun.traced = self.edge.traced(request_id, parent, || Door::ExtAuthz);
        let judged = async {
            let (method, mut headers) = read?;
            edge::check(&self.edge, &headers, &uri)?;
            if asked.target.len() > MAX_URI_BYTES {
                return Err(Failure::new(Kind::UriTooLong));
            }
            let demands = Demands::of_configuration(asked.demands())?;
            asked.note_way(&mut headers);
            let arrived = Arrived {
                route: AUTHORIZE,
                original: Some(&asked.target),
                caller: self.edge.caller(peer, &headers),
                request_id,
                trace,
                is_question: true,
            };
            let sent = Sent::new(&method, &uri, &headers, arrived);
            let told = self.usual.clone();
            identified(authorize::answer(&sent, &self.web, demands, told).await?)
        };
        let answered = AssertUnwindSafe(Box::pin(judged)).catch_unwind().await;
        let dialect = Dialect::Gateway { every_status: true };
        let reader = || Reader::Program { dialect, path: AUTHORIZE.to_owned(), language };
        self.conclude(Question::Authorize, &method, begun, reader, answered)
    }

    /// Gives an answer the shape and the headers that every answer has, and notes it. A panic is a failure of ours.
    fn conclude(
        &self,
        question: Question,
        method: &Method,
        begun: Begun,
        reader: impl FnOnce() -> Reader,
        answered: std::thread::Result<Result<Response, Failure>>,
    ) -> Response {
        let Begun { started, request_id, trace, traced } = begun;
        let (mut response, code) = match answered.unwrap_or_else(|_| Err(Failure::new(Kind::Internal))) {
            Ok(response) => (response, None),
            Err(failure) => {
                edge::report(
                    &failure,
                    || tracing::info_span!("request", "request.id" = %request_id, "http.route" = question.route()),
                );
                let bare = Response::new(Body::empty());
                let mut told = edge::rendered(&failure, &bare, &reader(), request_id);
                edge::adorn(told.headers_mut(), self.edge.https());
                (told, Some(failure.kind().code()))
            }
        };
        limits::write(response.headers_mut(), &trace.take_allowances());
        edge::name(response.headers_mut(), request_id);
        let (method, took) = (method_label(method), started.elapsed());
        let status = response.status();
        self.measure(question, method, status, took);
        self.web.app.requests().record(&trace, CallAnswer { status: status.as_u16(), took, code });
        if let Some(traced) = traced {
            let (route, status) = (Some(question.route().to_owned()), response.status().as_u16());
            self.edge.tell(&traced, Outcome { took, method, route, status, problem: code });
        }
        response
    }

    /// Tells the metrics of an answer.
    pub(crate) fn measure(&self, question: Question, method: &'static str, status: http::StatusCode, took: Duration) {
        let route = question.route();
        tracing::debug!("http.route" = route, "http.status" = status.as_u16(), "request answered");
        let counts = &self.counts[question as usize];
        match status {
            http::StatusCode::OK if method == "GET" => counts.answered.increment(1),
            http::StatusCode::UNAUTHORIZED if method == "GET" => counts.refused.increment(1),
            _ => metrics::counter!("trousseau_http_requests_total", "method" => method, "route" => route, "status" => status.as_str().to_owned())
                .increment(1),
        }
        if method == "GET" {
            counts.duration.record(took.as_secs_f64());
        } else {
            metrics::histogram!("trousseau_http_request_duration_seconds", "method" => method, "route" => route)
                .record(took.as_secs_f64());
        }
    }
}

/// An answer with its body in one piece.
pub(crate) async fn collected(response: Response) -> http::Response<bytes::Bytes> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    http::Response::from_parts(parts, body)
}

/// The good answer to a gateway.
#[expect(clippy::unnecessary_wraps, reason = "the end of a chain of questions that may fail")]
fn identified(who: HeaderMap) -> Result<Response, Failure> {
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = who;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_elsewhere_ends_with_whoever_waits_for_it() {
        let (held, gone) = oneshot::channel::<()>();
        let work = async move {
            let _held = held;
            std::future::pending::<()>().await;
        };
        drop(Task(tokio::spawn(work)));
        let gone = tokio::time::timeout(Duration::from_secs(10), gone).await;
        assert!(gone.is_ok_and(|gone| gone.is_err()), "what the work held is let go of");
        assert_eq!(Task(tokio::spawn(std::future::ready(7))).await, 7);
    }
}
