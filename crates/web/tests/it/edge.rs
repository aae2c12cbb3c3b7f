//! What holds for every request, whatever its route.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequest as _;
use bytes::Bytes;
use http::{Method, Request};
use tokio::task::JoinSet;
use trousseau_web::body::{BODY_TIMEOUT, BodyRejection, Json};
use trousseau_web::connection::Peer;

use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::TestApp;
use trousseau_testkit::client::Client;

async fn bare() -> Client {
    TestApp::on(TestDatabase::sqlite().await).await.anonymous()
}

#[tokio::test]
async fn failures_speak_the_dialect_of_their_path() {
    let problem = bare().await.get("/v1/none").await.expect(404);
    assert_eq!(problem["type"], "/problems/not-found");
    assert_eq!(problem["code"], "not_found");
    assert_eq!(problem["request_id"].as_str().map(str::len), Some(32));
    let codat = bare().await.get("/apiKeys/none/none").await.expect(404);
    assert_eq!(codat["statusCode"], 404);
    assert_eq!(codat["service"], "PublicApi");
    assert_eq!(codat["correlationId"].as_str().map(str::len), Some(32));
    assert_eq!(codat["canBeRetried"], "Unknown");
    let payline = bare().await.get("/v1/merchants/1/none").await.expect(404);
    assert_eq!(payline["result"]["title"], "ERROR");
}

#[tokio::test]
async fn titles_are_in_the_language_that_is_asked_for() {
    let french = bare().await.with("accept-language", "fr-FR, en;q=0.5");
    let answer = french.get("/v1/none").await;
    assert_eq!(answer.header("content-language"), "fr");
    assert_eq!(answer.expect(404)["title"], "Il n'y a rien ici");
}

#[tokio::test]
async fn security_headers_are_on_every_answer() {
    for path in ["/livez", "/v1/none", "/apiKeys?key=x"] {
        let answer = bare().await.get(path).await;
        assert_eq!(answer.header("x-request-id").len(), 32, "{path}");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(answer.header("strict-transport-security").contains("max-age"));
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    }
}

#[tokio::test]
async fn a_key_in_the_url_is_refused_with_advice() {
    for path in ["/livez?apikey=1", "/livez?a=b&ACCESS_TOKEN=1", "/v1/x?api%5Fkey=1"] {
        let problem = bare().await.get(path).await.expect(400);
        assert_eq!(problem["code"], "key_in_url", "{path}");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains("rotate")));
    }
}

#[tokio::test]
async fn oversized_headers_are_refused() {
    let one = bare().await.with("x-long", "a".repeat(16 * 1024));
    assert_eq!(one.get("/livez").await.expect(431)["code"], "headers_too_large");
    let mut many = bare().await;
    for _ in 0..5 {
        many = many.with("x-part", "a".repeat(15 * 1024));
    }
    assert_eq!(many.get("/livez").await.expect(431)["code"], "headers_too_large");
}

#[tokio::test]
async fn a_long_address_is_refused_before_anything_looks_at_it() {
    let path = format!("/livez?{}", "Mileston".repeat(1_100));
    assert_eq!(bare().await.get(&path).await.expect(414)["code"], "uri_too_long");
    assert_eq!(bare().await.get(&format!("/livez?{}", "Mileston".repeat(900))).await.status, 200);
}

#[tokio::test]
async fn other_methods_are_refused_with_those_that_are_offered() {
    let answer = bare().await.send(Method::PUT, "/livez", None).await;
    assert_eq!(answer.expect(405)["code"], "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET,HEAD");
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_ends_the_connection_without_an_answer() {
    let drip = futures_util::stream::unfold(0, |count| async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), count + 1))
    });
    let request =
        Request::post("/").header("content-type", "application/json").body(Body::from_stream(drip)).expect("a request");
    let started = tokio::time::Instant::now();
    let refused = Json::<serde_json::Value>::from_request(request, &()).await;
    assert!(matches!(refused, Err(BodyRejection::Closed)));
    // Two seconds until the first byte, then the whole allowance.
    assert_eq!(started.elapsed(), BODY_TIMEOUT + Duration::from_secs(2));
}

#[tokio::test]
async fn an_address_that_sends_mostly_bad_keys_waits_and_the_others_do_not() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let from = |last: u8| Peer { address: ([203, 0, 113, last], 4711).into(), tls: true };
    let good = app.key(business.id(), business.value("test", "secret"));
    let bad = app.anonymous().bearer("no-key-of-anybody").with("businessid", business.id()).from(from(1));
    for _ in 0..50 {
        bad.get("/v1/whoami").await.expect(401);
    }
    // From here on its requests are 20 ms apart: these are 4 seconds of them.
    let mut waiting = JoinSet::new();
    for _ in 0..200 {
        let bad = bad.clone();
        waiting.spawn(async move { bad.get("/v1/whoami").await.status.as_u16() });
    }
    assert_eq!(waiting.join_next().await.expect("some").expect("answered"), 401);
    // A good key of the same address waits as well.
    let same = good.clone().from(from(1));
    assert!(tokio::time::timeout(Duration::from_millis(100), same.get("/v1/whoami")).await.is_err());
    good.clone().from(from(2)).get("/v1/whoami").await.expect(200);
    // A proxy that nobody trusts stands for callers that nobody knows.
    good.clone().from(from(1)).with("x-forwarded-for", "198.51.100.7").get("/v1/whoami").await.expect(200);
    assert!(waiting.len() > 50, "they were answered before the others");
    while let Some(answered) = waiting.join_next().await {
        assert_eq!(answered.expect("answered"), 401, "who waits is judged all the same");
    }
}
