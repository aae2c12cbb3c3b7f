//! The two questions that are asked most, `GET /v1/whoami` and `GET /v1/authorize`, answered without the router.
//!
//! The answers are those of the router, made by the same functions; only what stands around is leaner: no span, and one
//! line of the log at `debug`. Whatever is out of the ordinary about a request goes to the router.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::response::Response;
use futures_util::FutureExt as _;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request};
use tokio::time::Instant;
use tower::ServiceExt as _;
use trousseau_domain::decision::Demand;
use trousseau_service::requests::{CallAnswer, CallTrace};

use crate::api::{authorize, whoami};
use crate::authority::{Arrived, Sent};
use crate::connection::Peer;
use crate::dialect::{AUTHORIZE, Dialect};
use crate::edge::{self, Edge, Reader};
use crate::language::Language;
use crate::limits;
use crate::problem::{Failure, Kind};
use crate::router::Web;

const WHOAMI: &str = "/v1/whoami";

/// The whole application: the fast questions, and the router for everything else. A clone shares everything.
#[derive(Debug, Clone)]
pub struct Application {
    doors: Arc<Doors>,
    router: Router,
}

#[derive(Debug)]
struct Doors {
    edge: Edge,
    web: Web,
    counts: [Counts; 2],
}

/// A question that is answered here.
#[derive(Debug, Clone, Copy)]
enum Question {
    Whoami,
    Authorize,
}

impl Question {
    const fn route(self) -> &'static str {
        match self {
            Self::Whoami => WHOAMI,
            Self::Authorize => AUTHORIZE,
        }
    }

    /// The question that a request asks, if there is nothing more to it.
    fn of<B>(request: &Request<B>) -> Option<Self> {
        let question = match request.uri().path() {
            WHOAMI => Self::Whoami,
            AUTHORIZE => Self::Authorize,
            _ => return None,
        };
        let headers = request.headers();
        let bodiless = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
        let unusual = [ORIGIN, TRANSFER_ENCODING, CONTENT_ENCODING];
        let plain = bodiless && !unusual.iter().any(|name| headers.contains_key(name));
        (request.method() == Method::GET && plain).then_some(question)
    }
}

/// The metrics of good answers to one question: looked up once.
struct Counts {
    answered: metrics::Counter,
    duration: metrics::Histogram,
}

impl std::fmt::Debug for Counts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Counts")
    }
}

impl Counts {
    fn of(route: &'static str) -> Self {
        Self {
            answered: metrics::counter!("trousseau_http_requests_total", "method" => "GET", "route" => route, "status" => "200"),
            duration: metrics::histogram!("trousseau_http_request_duration_seconds", "method" => "GET", "route" => route),
        }
    }
}

impl Application {
    pub(crate) fn new(edge: Edge, web: Web, router: Router) -> Self {
        let counts = [WHOAMI, AUTHORIZE].map(Counts::of);
        Self { doors: Arc::new(Doors { edge, web, counts }), router }
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
        match Box::pin(self.router.clone().oneshot(request)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
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

impl Doors {
    async fn answer(
        &self,
        question: Question,
        method: &Method,
        uri: &http::Uri,
        headers: &HeaderMap,
        peer: Peer,
    ) -> Response {
        let started = Instant::now();
        let request_id = self.edge.request_id();
        let trace = CallTrace::default();
        let caller = self.edge.caller(peer, headers);
        let address = self.edge.patience((uri, headers), peer, caller).await;
        let route = question.route();
        let arrived = Arrived { route, caller, request_id, trace: trace.clone(), is_question: true };
        let sent = Sent::new(method, uri, headers, arrived);
        let asked = async {
            edge::check(&self.edge, headers, uri)?;
            match question {
                Question::Whoami => {
                    let caller = sent.authenticate(&self.web, &Demand::default()).await?;
                    let body = serde_json::to_vec(&whoami::answer(&caller)).map_err(|_| Kind::Internal)?;
                    let json = HeaderValue::from_static("application/json");
                    let mut response = Response::new(Body::from(body));
                    response.headers_mut().insert(CONTENT_TYPE, json);
                    Ok(response)
                }
                Question::Authorize => {
                    let who = authorize::answer(&sent, &self.web, uri, headers, request_id).await?;
                    let mut response = Response::new(Body::empty());
                    *response.headers_mut() = who;
                    Ok(response)
                }
            }
        };
        let answered =
            AssertUnwindSafe(asked).catch_unwind().await.unwrap_or_else(|_| Err(Failure::new(Kind::Internal)));
        let (mut response, code) = match answered {
            Ok(response) => (response, None),
            Err(failure) => {
                let span = tracing::info_span!("request", "request.id" = %request_id, "http.route" = question.route());
                span.in_scope(|| edge::report(&failure));
                let (dialect, path) = (Dialect::of_uri(uri), uri.path().to_owned());
                let reader = Reader::Program { dialect, path, language: Language::of(headers) };
                let bare = Response::new(Body::empty());
                (edge::rendered(&failure, &bare, &reader, request_id), Some(failure.kind().code()))
            }
        };
        limits::write(response.headers_mut(), &trace.take_allowances());
        edge::adorn(response.headers_mut(), request_id, self.edge.https());
        self.edge.heard_of(address, response.status());
        self.note(question, &response, &trace, code, started.elapsed());
        response
    }

    fn note(
        &self,
        question: Question,
        response: &Response,
        trace: &CallTrace,
        code: Option<&'static str>,
        took: Duration,
    ) {
        let status = response.status();
        tracing::debug!("http.route" = question.route(), "http.status" = status.as_u16(), "request answered");
        let counts = &self.counts[question as usize];
        if status == http::StatusCode::OK {
            counts.answered.increment(1);
        } else {
            metrics::counter!("trousseau_http_requests_total", "method" => "GET", "route" => question.route(), "status" => status.as_str().to_owned())
                .increment(1);
        }
        counts.duration.record(took.as_secs_f64());
        self.web.app.requests().record(trace, CallAnswer { status: status.as_u16(), took, code });
    }
}
