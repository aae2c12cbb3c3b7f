//! What happens to every request before and after its handler: its id, its limits, its trace, its headers.

use std::any::Any;
use std::fmt;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use tokio::time::Instant;
use tracing::Instrument as _;
use trousseau_domain::brand::Brand;
use trousseau_domain::credential::url_holds_key;
use trousseau_domain::ids::RequestId;
use trousseau_domain::trace::TraceParent;
use trousseau_service::App;
use trousseau_service::requests::{CallAnswer, CallTrace};

use crate::connection::{CallerAddress, Peer, ProxyTrust};
use crate::dashboard;
use crate::dialect::{AUTHORIZE, Dialect};
use crate::fields::Fields;
use crate::language::Language;
use crate::limits;
use crate::patience::Patience;
use crate::problem::{Failure, Kind};
use crate::traces::{Door, Outcome, Traced, Traces, parent_of};

/// The header with our id of the request.
pub const X_REQUEST_ID: &str = "x-request-id";
/// The most bytes of one header, name and value.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;
/// The most bytes of all headers.
pub const MAX_HEADERS_BYTES: usize = 64 * 1024;

/// The most bytes of path and query together.
pub const MAX_URI_BYTES: usize = 8 * 1024;

/// The route of a request whose path no route has.
const UNMATCHED: &str = "unmatched";

/// What the outermost layer has to know.
#[derive(Clone)]
pub struct Edge {
    proxies: Arc<ProxyTrust>,
    brand: Brand,
    https: bool,
    request_ids: Arc<dyn Fn() -> RequestId + Send + Sync>,
    patience: Arc<Patience>,
    traces: Option<Traces>,
}

impl fmt::Debug for Edge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Edge")
            .field("proxies", &self.proxies)
            .field("https", &self.https)
            .finish_non_exhaustive()
    }
}

impl Edge {
    /// `https` says whether the public URL is HTTPS; `request_ids` draws a fresh id for each request.
    pub fn new(
        proxies: ProxyTrust,
        brand: Brand,
        https: bool,
        request_ids: impl Fn() -> RequestId + Send + Sync + 'static,
    ) -> Self {
        let (proxies, request_ids) = (Arc::new(proxies), Arc::new(request_ids));
        Self { proxies, brand, https, request_ids, patience: Arc::default(), traces: None }
    }

    /// The same, where requests are recorded in these traces, or in none.
    #[must_use]
    pub fn with_traces(self, traces: Option<Traces>) -> Self {
        Self { traces, ..self }
    }

    /// Whether a request is recorded in a trace. What is asked of its head is asked only where traces are on.
    pub(crate) fn traced(
        &self,
        request: RequestId,
        parent: impl FnOnce() -> Option<TraceParent>,
        door: impl FnOnce() -> Door,
    ) -> Option<Box<Traced>> {
        self.traces.as_ref()?.begin(request, parent(), door, || self.request_id())
    }

    /// Tells what became of a request that is recorded.
    pub(crate) fn tell(&self, traced: &Traced, outcome: Outcome) {
        if let Some(traces) = &self.traces {
            traces.end(traced, outcome);
        }
    }

    /// Where a request by HTTP came in.
    pub(crate) fn door(&self, peer: Option<Peer>, headers: &HeaderMap) -> Door {
        Door::Http { https: peer.is_some_and(|peer| self.proxies.is_https(peer, headers)) }
    }

    /// A fresh id for a request.
    pub(crate) fn request_id(&self) -> RequestId {
        (self.request_ids)()
    }

    /// Lets a caller wait whose address sends mostly bad keys. Gives the address, for [`Edge::heard_of`].
    ///
    /// What a proxy sends is its callers' doing: where it is none that is trusted to name them, nobody waits. Nor does a
    /// gateway that asks: the connections on which it does are those of all its callers.
    pub(crate) async fn patience(
        &self,
        request: (&Uri, &HeaderMap),
        peer: Peer,
        caller: CallerAddress,
    ) -> Option<IpAddr> {
        let (uri, headers) = request;
        // The headers by which a proxy is known.
        let is_forwarded = |name: &HeaderName| matches!(name.as_str(), "x-forwarded-for" | "forwarded" | "via");
        if uri.path() == AUTHORIZE {
            return None;
        }
        let stands_for_others = headers.keys().any(is_forwarded);
        let address =
            caller.ip.filter(|_| !stands_for_others || self.proxies.trusts(peer.address.ip().to_canonical()))?;
        if self.proxies.trusts(address) {
            // A proxy that named nobody.
            return None;
        }
        if let Some(wait) = self.patience.wait(address, Instant::now) {
            metrics::counter!("trousseau_slowed_requests_total").increment(1);
            tokio::time::sleep(wait).await;
        }
        Some(address)
    }

    /// The address of a caller who says nothing of others that it stands for; as [`Edge::patience`] takes it.
    pub(crate) fn own_address(&self, caller: CallerAddress) -> Option<IpAddr> {
        caller.ip.filter(|address| !self.proxies.trusts(*address))
    }

    /// Whether the next request of an address may have to wait.
    pub(crate) fn slows(&self, address: IpAddr) -> bool {
        self.patience.slows(address, Instant::now)
    }

    /// Whether requests are recorded in traces.
    pub(crate) const fn has_traces(&self) -> bool {
        self.traces.is_some()
    }

    /// Notes whether the key of a request was good.
    pub(crate) fn heard_of(&self, address: Option<IpAddr>, status: StatusCode) {
        if let Some(address) = address {
            self.patience.note(address, status == StatusCode::UNAUTHORIZED, Instant::now);
        }
    }

    /// Who calls, as far as that can be believed.
    pub(crate) fn caller(&self, peer: Peer, headers: &HeaderMap) -> CallerAddress {
        self.proxies.caller(peer, headers)
    }

    /// Whether the public URL is HTTPS.
    pub(crate) const fn https(&self) -> bool {
        self.https
    }
}

/// The code of the problem that an answer is.
#[derive(Debug, Clone, Copy)]
struct ProblemCode(&'static str);

/// Around everything else: notes the answers to calls of businesses in the request log. Nothing waits for it.
pub async fn recorded(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let trace = CallTrace::default();
    request.extensions_mut().insert(trace.clone());
    let response = next.run(request).await;
    let code = response.extensions().get::<ProblemCode>().map(|problem| problem.0);
    let answer = CallAnswer { status: response.status().as_u16(), took: started.elapsed(), code };
    app.requests().record(&trace, answer);
    response
}

/// Inside of that: a refusal to change something may rest on what others did in the same transaction of the database,
/// and is told once that is there for good.
pub async fn settled(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let moment = app.store().moment();
    let response = next.run(request).await;
    if !response.status().is_client_error() {
        return response;
    }
    // These are of the request itself, or of its key: they tell nothing of what was changed.
    let told = match response.status().as_u16() {
        400 | 401 | 405 | 413 | 415 | 429 => app.settled(moment).await,
        _ => app.settled_and_seen(moment).await,
    };
    match told {
        Ok(()) => response,
        Err(error) => Failure::from(error).into_response(),
    }
}

/// The layer with an id, limits and a trace for every request.
pub async fn outermost(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = (edge.request_ids)();
    let peer = request.extensions().get::<Peer>().copied();
    let caller = peer.map_or(CallerAddress::UNKNOWN, |peer| edge.proxies.caller(peer, request.headers()));
    let address = match peer {
        Some(peer) => edge.patience((request.uri(), request.headers()), peer, caller).await,
        None => None,
    };
    request.extensions_mut().insert(id);
    request.extensions_mut().insert(caller);
    let reader = Reader::of(&request, edge.https);
    let headers = request.headers();
    let traced = edge.traced(id, || parent_of(headers), || edge.door(peer, headers));
    let trace = request.extensions().get::<CallTrace>().cloned();
    let method = method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| UNMATCHED.to_owned(), |matched| matched.as_str().to_owned());
    let span = tracing::info_span!(
        "request",
        "request.id" = %id,
        "http.method" = method,
        "http.route" = route,
        "http.status" = tracing::field::Empty,
        "duration_ms" = tracing::field::Empty,
        "business.id" = tracing::field::Empty,
        "key.id" = tracing::field::Empty,
        "trace.id" = tracing::field::Empty,
    );
    if let Some(traced) = &traced {
        span.record("trace.id", tracing::field::display(traced.trace()));
    }
    let answered = async {
        let mut response = match check(&edge, request.headers(), request.uri()) {
            Ok(()) => next.run(request).await,
            Err(failure) => failure.into_response(),
        };
        if let Some(failure) = response.extensions_mut().remove::<Failure>() {
            report(&failure, tracing::Span::current);
            response = rendered(&failure, &response, &reader, id);
            if failure.kind() == Kind::AmbiguousLength {
                // What follows on this connection may be the rest of that body.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response.extensions_mut().insert(ProblemCode(failure.kind().code()));
        }
        if let Some(trace) = trace {
            limits::write(response.headers_mut(), &trace.take_allowances());
        }
        adorn(response.headers_mut(), edge.https);
        name(response.headers_mut(), id);
        edge.heard_of(address, response.status());
        response
    };
    let response = answered.instrument(span.clone()).await;
    let elapsed = started.elapsed();
    let status = response.status().as_u16();
    span.record("http.status", status);
    span.record("duration_ms", u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
    span.in_scope(|| tracing::info!("request answered"));
    if let Some(traced) = traced {
        let route = (route != UNMATCHED).then(|| route.clone());
        let problem = response.extensions().get::<ProblemCode>().map(|problem| problem.0);
        edge.tell(&traced, Outcome { took: elapsed, method, route, status, problem });
    }
    metrics::counter!("trousseau_http_requests_total", "method" => method, "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    metrics::histogram!("trousseau_http_request_duration_seconds", "method" => method, "route" => route)
        .record(elapsed.as_secs_f64());
    response
}

/// Tells the operator of a failure that is ours, in the span of its request.
pub(crate) fn report(failure: &Failure, span: impl FnOnce() -> tracing::Span) {
    if failure.kind().status().is_server_error() {
        let cause = failure.cause_chain().unwrap_or_default();
        span().in_scope(|| tracing::error!(code = failure.kind().code(), cause, "request failed"));
    }
}

/// Whom a failure is told, should there be one.
pub(crate) enum Reader {
    /// A program, in the dialect of its request.
    Program { dialect: Dialect, path: String, language: Language },
    /// A person, by a page.
    Person { headers: Box<HeaderMap>, here: String, secure: bool },
}

impl Reader {
    fn of(request: &Request, secure: bool) -> Self {
        let (headers, path) = (request.headers(), request.uri().path());
        if dashboard::is_page(path, headers) {
            let here = request.uri().path_and_query().map_or(path, http::uri::PathAndQuery::as_str).to_owned();
            Self::Person { headers: Box::new(dashboard::what_pages_need(headers)), here, secure }
        } else {
            let dialect = Dialect::of_uri(request.uri());
            Self::Program { dialect, path: path.to_owned(), language: Language::of(headers) }
        }
    }
}

/// The failure in the dialect of its reader, with what the router knew of the answer.
pub(crate) fn rendered(failure: &Failure, bare: &Response, reader: &Reader, id: RequestId) -> Response {
    let mut response = match reader {
        Reader::Program { dialect, path, language } => dialect.render(failure, path, *language, id),
        Reader::Person { headers, here, secure } => {
            dashboard::errors::bare(failure, headers, here.clone(), id, *secure)
        }
    };
    if let Some(allow) = bare.headers().get(ALLOW) {
        response.headers_mut().insert(ALLOW, allow.clone());
    }
    *response.extensions_mut() = bare.extensions().clone();
    response
}

/// A method as a label; whatever else a client makes up is one label, so that their number stays bounded.
pub(crate) fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// What is refused whatever the route.
pub(crate) fn check(edge: &Edge, headers: &HeaderMap, uri: &Uri) -> Result<(), Failure> {
    let mut total = 0;
    for (name, value) in headers {
        let size = name.as_str().len() + value.len();
        total += size;
        if size > MAX_HEADER_BYTES || total > MAX_HEADERS_BYTES {
            return Err(Failure::new(Kind::HeadersTooLarge));
        }
    }
    if !length_is_plain(headers) {
        return Err(Failure::new(Kind::AmbiguousLength));
    }
    // Before anything looks at it: what stands in it is the caller's choice.
    if uri.path().len() + uri.query().map_or(0, str::len) > MAX_URI_BYTES {
        return Err(Failure::new(Kind::UriTooLong));
    }
    if url_holds_key(uri.path(), uri.query(), &edge.brand) {
        return Err(Failure::new(Kind::KeyInUrl));
    }
    // A gateway asks without the body that its caller's headers tell of.
    if uri.path() == AUTHORIZE {
        return Ok(());
    }
    let compressed = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().any(compressed) {
        return Err(Failure::new(Kind::UnsupportedMediaType).with_detail("Compressed bodies are not accepted."));
    }
    Ok(())
}

/// Whether the end of the body is told in one way: a server in front that reads the other one would take the rest for
/// a request of its own (RFC 9112, section 6.1).
fn length_is_plain(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, _) => true,
        (Some(only), None) => only.as_bytes().eq_ignore_ascii_case(b"chunked") && !headers.contains_key(CONTENT_LENGTH),
        (Some(_), Some(_)) => false,
    }
}

/// Tells an answer by the id of its request.
pub(crate) fn name(fields: &mut impl Fields, id: RequestId) {
    fields.put(X_REQUEST_ID, &id.to_hex());
}

/// The headers of every answer. A route that chose its own keeps it.
pub(crate) fn adorn(headers: &mut HeaderMap, https: bool) {
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if https {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

/// No route has this path.
pub fn not_found() -> Ready<Failure> {
    ready(Failure::new(Kind::NotFound))
}

/// A route has this path, with other methods.
pub fn method_not_allowed() -> Ready<Failure> {
    ready(Failure::new(Kind::MethodNotAllowed))
}

/// A handler panicked. What it said stays out of the answer and of this log line.
pub fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    Failure::new(Kind::Internal).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::StatusCode;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;
    use trousseau_domain::environment::Environment;
    use trousseau_domain::key_text::{KeyForm, generate};
    use trousseau_domain::keys::KeyKind;

    use super::*;

    #[expect(clippy::panic, reason = "the handler under test panics")]
    async fn explode() {
        panic!("canary")
    }

    async fn answer(request: http::request::Builder) -> (StatusCode, HeaderMap, String) {
        let edge = Edge::new(ProxyTrust::default(), Brand::default(), true, || RequestId::from_random([0xab; 16]));
        let router: Router = Router::new()
            .route("/v1/fine", get(|| async { "fine" }))
            .route("/v1/explode", get(explode))
            .route("/apiKeys", get(|| async { "fine" }))
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(CatchPanicLayer::custom(panicked))
            .layer(axum::middleware::from_fn_with_state(edge, outermost));
        let response = router.oneshot(request.body(Body::empty()).expect("a request")).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = http_body_util::BodyExt::collect(body).await.expect("a body").to_bytes();
        (parts.status, parts.headers, String::from_utf8_lossy(&bytes).into_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_asks_waits_for_none_of_its_callers() {
        let proxies = ProxyTrust::new(vec!["10.0.0.1".parse().expect("an address")]);
        let edge = Edge::new(proxies, Brand::default(), true, || RequestId::from_random([0; 16]));
        let peer = Peer { address: ([10, 0, 0, 1], 4711).into(), tls: false };
        let headers = HeaderMap::from_iter(
            [("x-forwarded-for", "203.0.113.7")]
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))),
        );
        let caller = edge.caller(peer, &headers);
        let waits = async |uri: &'static str| {
            let started = tokio::time::Instant::now();
            for _ in 0..100 {
                let address = edge.patience((&Uri::from_static(uri), &headers), peer, caller).await;
                edge.heard_of(address, StatusCode::UNAUTHORIZED);
            }
            !started.elapsed().is_zero()
        };
        assert!(!waits("/v1/authorize").await);
        assert!(waits("/v1/whoami").await);
        assert!(!waits("/v1/authorize?scope=payments:read").await);
    }

    #[tokio::test]
    async fn every_answer_has_its_id_and_its_headers() {
        for path in ["/v1/fine", "/v1/nothing", "/v1/explode"] {
            let (_, headers, body) = answer(http::Request::get(path)).await;
            assert_eq!(headers[X_REQUEST_ID], "ab".repeat(16));
            assert_eq!(headers[CACHE_CONTROL], "no-store");
            assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert!(headers.contains_key(STRICT_TRANSPORT_SECURITY));
            assert!(!body.contains("canary"));
        }
    }

    #[tokio::test]
    async fn failures_speak_the_dialect_and_the_language() {
        let (status, headers, body) = answer(http::Request::delete("/apiKeys")).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(headers[ALLOW], "GET,HEAD");
        assert!(body.contains("\"statusCode\":405") && body.contains(&"ab".repeat(16)), "{body}");
        let (status, _, body) = answer(http::Request::get("/v1/merchants/1/none")).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(body.starts_with("{\"result\":{\"title\":\"ERROR\",\"code\":\"not_found\""), "{body}");
        let (_, headers, body) = answer(http::Request::get("/v1/none").header("accept-language", "fr")).await;
        assert_eq!(headers["content-type"], "application/problem+json");
        assert!(body.contains("Il n'y a rien ici"), "{body}");
        let (status, _, body) = answer(http::Request::get("/v1/explode")).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(body.contains("\"code\":\"internal_error\""), "{body}");
    }

    #[tokio::test]
    async fn oversized_compressed_and_leaky_requests_are_refused() {
        let key = generate(KeyForm::Branded, &Brand::default(), Environment::Test, KeyKind::Secret, &[61; 256]);
        let text = key.expose();
        let encoded = text.replace('_', "%5F");
        for (request, status) in [
            (http::Request::get("/v1/fine").header("x-a", "a".repeat(MAX_HEADER_BYTES)), 431),
            (http::Request::get("/v1/fine").header("content-encoding", "gzip"), 415),
            (http::Request::get("/v1/fine").header("content-encoding", "identity"), 200),
            (http::Request::get("/v1/fine").header("transfer-encoding", "Chunked"), 200),
            (http::Request::get("/v1/fine").header("transfer-encoding", "gzip, chunked"), 400),
            (http::Request::get("/v1/fine").header("transfer-encoding", "chunked").header("content-length", 3), 400),
            (
                http::Request::get("/v1/fine")
                    .header("transfer-encoding", "chunked")
                    .header("transfer-encoding", "chunked"),
                400,
            ),
            (http::Request::get(format!("/v1/fine/{text}")), 400),
            (http::Request::get(format!("/v1/fine?x={encoded}")), 400),
            (http::Request::get("/v1/fine?API_KEY=1"), 400),
            (http::Request::get("/v1/fine?a=1&x%2Dapi-key=1"), 400),
            (http::Request::get("/v1/fine?keys=1"), 200),
        ] {
            let (seen, _, body) = answer(request).await;
            assert_eq!(seen.as_u16(), status, "{body}");
            assert!(!body.contains(text));
        }
    }
}
