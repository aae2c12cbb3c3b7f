//! What goes wrong on the way lets nothing through, in bounded time and room, and tells no key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};
use trousseau_client::{Client, Decision, Demand, Environment, Error, Question, Reason, Scope};

use crate::stand_in::{Reply, StandIn, answer, good, refusal, with_key};

const CERT: &str = include_str!("../../../../crates/server/tests/it/localhost.cert.pem");
const KEY: &str = include_str!("../../../../crates/server/tests/it/localhost.key.pem");
const SHORT: Duration = Duration::from_millis(200);

async fn ask(client: &Client) -> Result<Decision, Error> {
    client.authorize(with_key("canary"), &Demand::new()).await
}

/// The failure of an answer, which nothing of the key is in.
async fn failure(server: &StandIn, reply: Reply) -> Error {
    server.reply(reply);
    let client = server.builder().timeout(SHORT).build().expect("a client");
    let asked = Instant::now();
    let error = ask(&client).await.expect_err("no decision");
    assert!(asked.elapsed() < SHORT * 5, "{:?}", asked.elapsed());
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    error
}

#[tokio::test]
async fn nobody_there_lets_nothing_through() {
    let address = StandIn::start(good(None)).await.address;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    assert_ne!(nobody, address);
    let client = Client::builder(format!("http://{nobody}")).build().expect("a client");
    assert!(matches!(ask(&client).await, Err(Error::Unreachable(_))));
}

#[tokio::test]
async fn slow_answers_end_in_time() {
    let server = StandIn::start(good(None)).await;
    for slow in [
        Reply::silence(),
        good(None).after(SHORT * 3),
        Reply::Dribble("HTTP/1.1 200 OK\r\nx-odd: ".to_owned()),
        Reply::Dribble("HTTP/1.1 401 X\r\nx-trousseau-code: unauthorized\r\ncontent-length: 9000\r\n\r\n".to_owned()),
    ] {
        let error = failure(&server, slow.clone()).await;
        assert!(matches!(error, Error::TimedOut), "{slow:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_answer_that_ends_too_early_is_none() {
    let server = StandIn::start(good(None)).await;
    let Reply::Whole(text, _) = good(Some(500)) else { unreachable!() };
    for end in [0, 5, 30, text.len() - 1] {
        let error = failure(&server, Reply::Cut(text[..end].to_owned())).await;
        assert!(matches!(error, Error::Unreachable(_)), "{end}: {error:?}");
    }
    let body = "HTTP/1.1 403 X\r\nx-trousseau-code: scope_missing\r\ncontent-type: application/problem+json\r\n\
                content-length: 90\r\n\r\n{\"code\":";
    let error = failure(&server, Reply::Cut(body.to_owned())).await;
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn what_is_no_answer_of_trousseau_is_none() {
    let server = StandIn::start(good(None)).await;
    for garbage in ["nonsense\r\n\r\n", "HTTP/1.1 999999 X\r\n\r\n", "SSH-2.0-OpenSSH_9.9\r\n", "\0\0\0\r\n\r\n"] {
        let error = failure(&server, Reply::Cut(garbage.to_owned())).await;
        assert!(matches!(error, Error::Unreachable(_)), "{garbage:?}: {error:?}");
    }
    let code = "x-trousseau-code: unauthorized\r\n";
    for (status, headers, body) in [
        (200, "", "fine"),
        (200, "x-trousseau-business: 17\r\nx-trousseau-key: key_1\r\n", ""),
        (204, "", ""),
        (302, "location: /v1/authorize\r\nx-trousseau-code: unauthorized\r\n", ""),
        (401, "content-type: application/problem+json\r\n", "{\"code\":\"unauthorized\"}"),
        (401, &format!("{code}content-type: text/html\r\n"), "<p>"),
        (404, "content-type: text/html\r\n", "<p>"),
        (500, code, ""),
        (502, "", ""),
    ] {
        let before = server.asked();
        let error = failure(&server, answer(status, headers, body)).await;
        assert!(matches!(error, Error::Unintelligible { status: seen, .. } if seen == status), "{status}: {error:?}");
        assert_eq!(server.asked(), before + 1, "{status}: asked once, wherever it leads");
    }
}

#[tokio::test]
async fn answers_are_bounded() {
    let server = StandIn::start(good(None)).await;
    let head = "HTTP/1.1 401 X\r\ncontent-type: application/problem+json\r\nx-trousseau-code: unauthorized\r\n";
    for long in [
        Reply::Flood(format!("{head}content-length: 100000000\r\n\r\n")),
        Reply::Flood(format!("{head}connection: close\r\n\r\n")),
    ] {
        let error = failure(&server, long).await;
        assert!(matches!(error, Error::Unintelligible { what: "it is too long", .. }), "{error:?}");
    }
    let error = failure(&server, Reply::Flood("HTTP/1.1 200 OK\r\nx-odd: ".to_owned())).await;
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    // The longest that there are pass.
    let notes = format!("{{\"a\":\"{}\"}}", "x".repeat(50_000));
    let Reply::Whole(text, _) = good(None) else { unreachable!() };
    let long = text.replace(
        "\r\n\r\n",
        &format!("\r\nx-trousseau-metadata: {notes}\r\nx-trousseau-assertion: {}\r\n\r\n", "y".repeat(30_000)),
    );
    server.reply(Reply::now(long));
    let who = ask(&server.client()).await.expect("an answer").allowed().expect("allowed");
    assert_eq!(who.metadata["a"].len(), 50_000);
}

#[tokio::test]
async fn overload_and_limits_say_when_to_come_again() {
    let server = StandIn::start(good(None)).await;
    let error = failure(&server, answer(503, "retry-after: 7\r\n", "")).await;
    assert!(matches!(error, Error::Overloaded { .. }));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(error.to_response().headers()["retry-after"], "7");
    let error = failure(&server, answer(429, "retry-after: 3\r\n", "")).await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)), "of somebody in between");
    server.reply(refusal(429, "rate_limited", "retry-after: 2\r\n"));
    let refused = ask(&server.client()).await.expect("a decision").allowed().expect_err("limited");
    assert_eq!((refused.reason(), refused.retry_after()), (&Reason::RateLimited, Some(Duration::from_secs(2))));
    assert_eq!(refused.to_response().headers()["retry-after"], "2");
}

#[tokio::test]
async fn connections_are_kept_and_replaced() {
    let server = StandIn::start(good(None)).await;
    let client = server.client();
    for _ in 0..5 {
        ask(&client).await.expect("an answer");
    }
    assert_eq!(server.connections(), 1);
    let Reply::Whole(text, _) = good(None) else { unreachable!() };
    server.reply(Reply::Cut(text));
    for _ in 0..5 {
        ask(&client).await.expect("an answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.connections(), 5, "the first of these went over the connection that was kept");
}

#[tokio::test]
async fn over_tls_only_the_authorities_are_believed() {
    let certificate = CertificateDer::from_pem_slice(CERT.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
    let tls = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they belong together");
    let server = StandIn::start_with(good(None), Some(TlsAcceptor::from(Arc::new(tls)))).await;
    let url = format!("https://localhost:{}", server.address.port());
    let known = Client::builder(&url).authorities(CERT).build().expect("a client");
    assert!(matches!(ask(&known).await, Ok(Decision::Allowed(_))));
    assert!(server.last().contains("\r\napikey: canary\r\n"));
    let stranger = Client::builder(&url).build().expect("a client");
    assert!(matches!(ask(&stranger).await, Err(Error::Unreachable(_))));
    assert_eq!(server.asked(), 1, "no key went there");
}

#[tokio::test]
async fn a_question_about_a_text_goes_with_the_platform_key() {
    let key = r#"{"business_id":"17","environment":"test","kind":"secret","key_id":"key_1","scopes":[],"metadata":{},"business_metadata":{}}"#;
    let json = "content-type: application/json\r\n";
    let body = format!(r#"{{"valid":true,"code":"ok","fresh_ms":60000,"key":{key}}}"#);
    let server = StandIn::start(answer(200, json, &body)).await;
    let question = || Question::new("canary".into()).business_id("17").environment(Environment::Test);
    assert!(matches!(server.client().verify(question()).await, Err(Error::PlatformKeyMissing)));
    assert_eq!(server.asked(), 0);
    let client = server.builder().platform_key("operator".into()).build().expect("a client");
    for _ in 0..3 {
        let who = client.verify(question()).await.expect("an answer").allowed().expect("good");
        assert_eq!(who.key_id, "key_1");
    }
    assert_eq!(server.asked(), 1, "kept as long as it may be");
    let asked = server.last();
    assert!(asked.starts_with("POST /v1/keys/verify HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nauthorization: Bearer operator\r\n"), "{asked}");
    assert!(asked.contains("\r\ncontent-type: application/json\r\n"), "{asked}");
    assert!(asked.ends_with(r#"{"key":"canary","business_id":"17","environment":"test"}"#), "{asked}");
    let other = question().scope(Scope::from_static("payments:read"));
    server.reply(answer(200, json, r#"{"valid":false,"code":"key_revoked","reference":"5f2b"}"#));
    let refused = client.verify(other).await.expect("an answer").allowed().expect_err("refused");
    assert_eq!((refused.reason(), refused.status().as_u16()), (&Reason::KeyRevoked, 401));
    let problem = "content-type: application/problem+json\r\n";
    server.reply(answer(401, problem, r#"{"code":"unauthorized"}"#));
    let error = client.verify(Question::new("canary".into())).await.expect_err("no answer");
    assert!(matches!(&error, Error::PlatformKeyRefused { reason: Reason::Unauthorized }), "{error:?}");
    assert_eq!(error.to_response().status(), 503, "the caller did nothing wrong");
}
