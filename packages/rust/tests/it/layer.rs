//! The layer, around services that look at what reaches them.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use trousseau_client::{Demand, Environment, Error, KeyKind, Protocol, Reason, Refusal, Scope, Verified, VerifyLayer};

use crate::stand_in::{Reply, StandIn, good, refusal};

struct Answered {
    status: StatusCode,
    response: http::response::Parts,
    text: String,
}

/// A request to a service behind the layer that says who calls and which headers came, and counts its calls.
async fn call(layer: &VerifyLayer, request: Request<String>, calls: &Arc<AtomicUsize>) -> Answered {
    let service = layer.layer(service_fn({
        let calls = Arc::clone(calls);
        move |request: Request<String>| {
            calls.fetch_add(1, Ordering::SeqCst);
            let verified = request.extensions().get::<Verified>().map(|who| who.key_id.to_string());
            let names: Vec<&str> = request.headers().keys().map(http::HeaderName::as_str).collect();
            let said = format!("{verified:?} {names:?} {}", request.body());
            ready(Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(said)))))
        }
    }));
    let (response, body) = service.oneshot(request).await.expect("infallible").into_parts();
    let text = String::from_utf8_lossy(&body.collect().await.expect("a body").to_bytes()).into_owned();
    Answered { status: response.status, response, text }
}

fn request() -> http::request::Builder {
    Request::post("/orders?x=1").header("apikey", "canary").header("accept", "*/*")
}

#[tokio::test]
async fn a_good_key_comes_through_and_forged_headers_do_not() {
    let server = StandIn::start(good(None)).await;
    let calls = Arc::default();
    let layer = VerifyLayer::new(server.client(), Demand::new());
    let forged = request()
        .header("x-trousseau-business", "other")
        .header("X-Trousseau-Key", "key_2")
        .header("x-trousseau-of-tomorrow", "a")
        .header("x_trousseau_key", "key_3")
        .header("X-Trousseau_Scopes", "payments:write")
        .body("the body".to_owned())
        .expect("a request");
    let answered = call(&layer, forged, &calls).await;
    assert_eq!(answered.status, 200);
    assert_eq!(answered.text, r#"Some("key_1") ["apikey", "accept"] the body"#);
    let asked = server.last();
    assert!(!asked.contains("x-trousseau-"), "{asked}");
    assert!(!asked.contains("accept"), "{asked}");
}

#[tokio::test]
async fn a_refusal_is_answered_as_trousseau_answers() {
    let more = "www-authenticate: Basic realm=\"trousseau\"\r\nwww-authenticate: Bearer\r\nx-request-id: 5f2b\r\nset-cookie: a=b\r\n";
    let server = StandIn::start(refusal(401, "unauthorized", more)).await;
    let calls = Arc::default();
    let layer = VerifyLayer::new(server.client(), Demand::new());
    for (status, code, retry) in [
        (400, "key_in_url", ""),
        (401, "unauthorized", ""),
        (403, "scope_missing", ""),
        (429, "rate_limited", "retry-after: 9\r\n"),
    ] {
        server.reply(refusal(status, code, &format!("{more}{retry}")));
        let answered = call(&layer, request().body(String::new()).expect("a request"), &calls).await;
        assert_eq!(answered.status, status);
        assert_eq!(answered.text, format!("{{\"code\":\"{code}\"}}"));
        let headers = &answered.response.headers;
        assert_eq!(headers["content-type"], "application/problem+json");
        assert_eq!(headers["x-request-id"], "5f2b");
        assert_eq!(headers["x-trousseau-code"], code);
        assert_eq!(headers.get_all("www-authenticate").iter().count(), 2);
        assert_eq!(
            headers.get("retry-after").map(http::HeaderValue::as_bytes),
            (status == 429).then_some(b"9".as_slice())
        );
        assert!(headers.get("set-cookie").is_none());
        let refusal = answered.response.extensions.get::<Refusal>().expect("told to layers around");
        assert_eq!(refusal.reason().as_str(), code);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn where_it_cannot_be_told_nothing_comes_through() {
    let server = StandIn::start(Reply::Cut(String::new())).await;
    let calls = Arc::default();
    let client = server.builder().timeout(Duration::from_millis(100)).build().expect("a client");
    let layer = VerifyLayer::new(client, Demand::new());
    for reply in
        [Reply::Cut(String::new()), Reply::silence(), Reply::now("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")]
    {
        server.reply(reply);
        let answered = call(&layer, request().body(String::new()).expect("a request"), &calls).await;
        assert_eq!(answered.status, 503);
        assert_eq!(answered.response.headers["content-type"], "application/problem+json");
        assert_eq!(answered.response.headers["retry-after"], "1");
        assert!(answered.text.contains("\"code\":\"unavailable\""), "{}", answered.text);
        assert!(answered.response.extensions.get::<Error>().is_some());
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_the_layer_knows_of_a_caller_is_what_it_was_told() {
    let server = StandIn::start(good(None)).await;
    let calls = Arc::default();
    let demand =
        Demand::new().scope(Scope::from_static("payments:read")).environment(Environment::Test).kind(KeyKind::Secret);
    let layer = VerifyLayer::new(server.client(), demand);
    let claims = || {
        Request::get("https://api.example/orders")
            .header("x-forwarded-for", "127.0.0.1")
            .header("x-forwarded-proto", "https")
            .body(String::new())
            .expect("a request")
    };
    call(&layer, claims(), &calls).await;
    let asked = server.last();
    let target = "/v1/authorize?statuses=all&scope=payments%3Aread&environment=test&kind=secret";
    assert!(asked.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{asked}");
    assert!(asked.contains("\r\nx-forwarded-for: unknown\r\n"), "{asked}");
    assert!(asked.contains("\r\nx-forwarded-proto: http\r\n"), "a caller writes the scheme of HTTP/2: {asked}");
    assert!(asked.contains("\r\nx-forwarded-uri: /orders\r\n"), "{asked}");
    let told = layer.clone().ip(|_| "203.0.113.7".parse().ok()).https();
    call(&told, claims(), &calls).await;
    assert!(server.last().contains("\r\nx-forwarded-for: 203.0.113.7\r\n"));
    assert!(server.last().contains("\r\nx-forwarded-proto: https\r\n"));
    let plain = told.protocol(|parts| if parts.uri.path() == "/orders" { Protocol::Http } else { Protocol::Https });
    call(&plain, claims(), &calls).await;
    assert!(server.last().contains("\r\nx-forwarded-proto: http\r\n"));
}

/// A service that may be called only after it said that it is ready. A clone has said nothing yet.
#[derive(Debug, Default)]
struct Strict {
    ready: bool,
    open: Arc<AtomicBool>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false, open: Arc::clone(&self.open) }
    }
}

impl Service<Request<String>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = &'static str;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.ready = self.open.load(Ordering::SeqCst);
        if self.ready { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without having been ready");
        ready(Err("its own failure"))
    }
}

#[tokio::test]
async fn the_service_that_was_ready_is_the_one_that_is_called() {
    let server = StandIn::start(good(None)).await;
    let strict = Strict::default();
    let mut service = VerifyLayer::new(server.client(), Demand::new()).layer(strict.clone());
    let waker = std::task::Waker::noop();
    let mut context = Context::from_waker(waker);
    assert!(service.poll_ready(&mut context).is_pending(), "it pushes back as the service does");
    assert_eq!(server.asked(), 0);
    strict.open.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let answered = service.ready().await.expect("ready").call(request().body(String::new()).expect("a request"));
        assert_eq!(answered.await.expect_err("passed on"), "its own failure");
    }
}

#[tokio::test]
async fn a_router_of_axum_takes_it() {
    let server = StandIn::start(good(None)).await;
    let layer = VerifyLayer::new(server.client(), Demand::new());
    let handler = |axum::Extension(who): axum::Extension<Verified>| async move { who.business_id.to_string() };
    let router: axum::Router = axum::Router::new().route("/orders", axum::routing::get(handler)).layer(layer);
    let ask = || Request::get("/orders").body(axum::body::Body::empty()).expect("a request");
    let response = router.clone().oneshot(ask()).await.expect("infallible");
    assert_eq!(response.status(), 200);
    assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), "17");
    server.reply(refusal(401, "credential_missing", ""));
    let response = router.oneshot(ask()).await.expect("infallible");
    assert_eq!(response.status(), 401);
    assert_eq!(response.extensions().get::<Refusal>().map(Refusal::reason), Some(&Reason::CredentialMissing));
}
