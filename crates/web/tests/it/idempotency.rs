//! `Idempotency-Key`: the same request, the same answer.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use trousseau_testkit::app::{Business, TestApp};

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

fn keys(business: &Business, rest: &str) -> String {
    format!("/v1/businesses/{}/keys{rest}?environment=test", business.id())
}

#[tokio::test]
async fn every_post_repeats_its_answer() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let made = app.platform().post(&keys(&business, ""), &json!({})).await.expect(201);
        let key = text(&made, "id").to_owned();
        let of_business = format!("/v1/businesses/{}", business.id());
        let calls = [
            (keys(&business, ""), json!({"name": "x"})),
            (keys(&business, &format!("/{key}/rotate")), json!({"overlap_seconds": 60})),
            (keys(&business, &format!("/{key}/reveal")), json!({})),
            (keys(&business, &format!("/{key}/revoke")), json!({})),
            (format!("{of_business}/suspend"), json!({})),
            (format!("{of_business}/resume"), json!({})),
        ];
        for (turn, (path, body)) in calls.iter().enumerate() {
            let client = app.platform().with("idempotency-key", format!("call {turn}"));
            let first = client.post(path, body).await;
            assert!(first.status.is_success(), "{path}: {}", first.text());
            let again = client.post(path, body).await;
            assert_eq!((first.status, first.json()), (again.status, again.json()), "{path}");
            // The same name for something else, by body or by path.
            let other = client.post(path, &json!({"name": "y"})).await;
            assert_eq!(
                other.expect(if path.ends_with("/keys?environment=test") { 422 } else { 400 })["request_id"]
                    .as_str()
                    .map(str::len),
                Some(32)
            );
            let elsewhere = client.post(&keys(&business, &format!("/{key}/reveal?x")), &json!({})).await;
            assert!(elsewhere.status.is_client_error());
        }
        let listed = app.platform().get(&format!("{}&include_revoked=true", keys(&business, ""))).await.expect(200);
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(4), "each was done once");
    }
}

#[tokio::test]
async fn payline_and_codat_repeat_in_their_own_shapes() {
    for app in TestApp::on_every_engine().await {
        let merchant = app.business("payline").await;
        for (environment, shown) in [("test", true), ("live", false)] {
            let path = format!("/v1/merchants/{}/keys?environment={environment}", merchant.id());
            let client = app.platform().with("idempotency-key", environment);
            let first = client.post(&path, &json!({"endDate": "2027-01-01"})).await.expect(201);
            let again = client.post(&path, &json!({"endDate": "2027-01-01"})).await.expect(201);
            assert_eq!(first["id"], again["id"]);
            assert_eq!((again["value"] == first["value"], again["value"].is_null()), (shown, !shown), "{again}");
            assert_eq!(again.get("advice"), None, "{again}");
            let other = client.post(&path, &json!({"endDate": "2028-01-01"})).await.expect(422);
            assert_eq!(other["result"]["code"], "idempotency_key_reused");
        }
        // At our own routes there is advice, and none that the profile does not know.
        let path = format!("/v1/businesses/{}/keys?environment=live", merchant.id());
        let client = app.platform().with("idempotency-key", "ours");
        client.post(&path, &json!({})).await.expect(201);
        let again = client.post(&path, &json!({})).await.expect(201);
        let advice = text(&again, "advice");
        assert!(advice.contains("Make another key") && !advice.contains("Rotate"), "{again}");
        let codat = app.business("codat").await;
        let client = app.anonymous().basic(codat.value("live", "secret")).with("idempotency-key", "guid");
        let first = client.post("/apiKeys", &json!({"name": "job"})).await.expect(201);
        assert_eq!(client.post("/apiKeys", &json!({"name": "job"})).await.expect(201), first);
        let other = client.post("/apiKeys", &json!({"name": "other"})).await.expect(422);
        assert_eq!((&other["statusCode"], &other["canBeRetried"]), (&json!(422), &json!("Unknown")));
        let listed = app.anonymous().basic(codat.value("live", "secret")).get("/apiKeys").await.expect(200);
        assert_eq!(listed["results"].as_array().map(Vec::len), Some(2));
    }
}

#[tokio::test]
async fn while_the_first_request_runs_the_second_is_told_so() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let client = app.platform().with("idempotency-key", "slow");
        // Whoever holds the lock of the business keeps every request about its keys waiting.
        let mut lock = app.database.store().begin().await.expect("a transaction");
        lock.lock_business(&business.id().parse().expect("an id")).await.expect("the lock");
        let path = keys(&business, "");
        let call = || {
            let (client, path) = (client.clone(), path.clone());
            tokio::spawn(async move { client.post(&path, &json!({})).await })
        };
        // Whichever of the two comes second is told so; the other one waits for the lock.
        let (mut one, mut other) = (call(), call());
        let (refused, running) = tokio::select! {
            answer = &mut one => (answer, other),
            answer = &mut other => (answer, one),
        };
        assert_eq!(refused.expect("an answer").expect(409)["code"], "idempotency_in_progress");
        assert!(!running.is_finished());
        drop(lock);
        let first = running.await.expect("an answer").expect(201);
        assert_eq!(client.post(&path, &json!({})).await.expect(201)["id"], first["id"]);
    }
}

#[tokio::test]
async fn parallel_repetitions_make_one_key() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (client, path) = (app.platform().with("idempotency-key", "storm"), keys(&business, ""));
            tasks.spawn(async move {
                loop {
                    let answer = client.post(&path, &json!({})).await;
                    match answer.status.as_u16() {
                        409 => tokio::time::sleep(Duration::from_millis(2)).await,
                        _ => return answer.expect(201),
                    }
                }
            });
        }
        let answers = tasks.join_all().await;
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
        let listed = app.platform().get(&keys(&business, "")).await.expect(200);
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(3));
    }
}

#[tokio::test]
async fn a_name_is_the_callers_own_and_kept_for_a_day() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let path = keys(&business, "");
        let client = app.platform().with("idempotency-key", "day");
        let first = client.post(&path, &json!({})).await.expect(201);
        let other = app.anonymous().bearer(&app.platform_with(&["manage"]).await).with("idempotency-key", "day");
        assert_ne!(other.post(&path, &json!({})).await.expect(201)["id"], first["id"]);
        app.advance(Duration::from_secs(24 * 3_600 - 1));
        assert_eq!(client.post(&path, &json!({})).await.expect(201)["id"], first["id"]);
        app.advance(Duration::from_secs(1));
        assert_ne!(client.post(&path, &json!({})).await.expect(201)["id"], first["id"], "forgotten after a day");
        for bad in [&b""[..], b"\xff", &[b'x'; 256]] {
            let client = app.platform().with("idempotency-key", bad);
            assert_eq!(client.post(&path, &json!({})).await.expect(400)["code"], "invalid_idempotency_key");
        }
        let twice = client.clone().with("idempotency-key", "day");
        assert_eq!(twice.post(&path, &json!({})).await.expect(400)["code"], "invalid_idempotency_key");
        // A refused request is not kept: it may be tried again when the reason is gone.
        let late = app.platform().with("idempotency-key", "late");
        late.post(&format!("/v1/businesses/{}/suspend", business.id()), &json!({"x": 1})).await.expect(400);
        late.send(Method::POST, &format!("/v1/businesses/{}/suspend", business.id()), None).await.expect(200);
    }
}

#[tokio::test]
async fn every_post_of_the_document_takes_a_name() {
    let document: Value = serde_json::from_str(include_str!("../../../../docs/openapi.json")).expect("JSON");
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let Some(post) = operations.get("post") else { continue };
        let parameters = post["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key"), "{path}");
    }
}

#[tokio::test]
async fn what_takes_several_steps_is_done_once_under_a_name() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let backend = app.key(business.id(), business.value("test", "secret"));
        let once = |key: &'static str| backend.clone().with("idempotency-key", key);
        let link = backend.post("/v1/payment_links", &json!({"amount": "10"})).await.expect(201);
        let start = async || {
            let body = json!({"payable": link["id"]});
            text(&backend.post("/v1/checkout/payments", &body).await.expect(201), "id").to_owned()
        };
        let read = async |id: &str| backend.get(&format!("/v1/payments/{id}")).await.expect(200);

        let id = start().await;
        let scenario = format!("/v1/test/payments/{id}/scenario");
        let first = once("s").post(&scenario, &json!({"scenario": "underpaid"})).await.expect(200);
        assert_eq!(once("s").post(&scenario, &json!({"scenario": "underpaid"})).await.expect(200), first);
        assert_eq!(read(&id).await["amount_seen"], first["amount_seen"], "one transfer");
        once("s").post(&scenario, &json!({"scenario": "paid"})).await.expect(422);
        once("none").post(&format!("{scenario}s"), &json!({"scenario": "paid"})).await.expect(404);

        let id = start().await;
        let transaction = format!("/v1/checkout/payments/{id}/transaction");
        let slow = once("h").post(&transaction, &json!({"transaction_hash": "test_slow"})).await.expect(200);
        assert_eq!(text(&slow, "status"), "processing");
        backend.post("/v1/test/blocks", &json!({"count": 2})).await.expect(200);
        assert_eq!(once("h").post(&transaction, &json!({"transaction_hash": "test_slow"})).await.expect(200), slow);
        once("h").post(&transaction, &json!({"transaction_hash": "0xabc"})).await.expect(422);
        assert_eq!(text(&read(&id).await, "status"), "settled");

        let change = json!({"scopes": ["refunds:write", "refunds:read", "webhooks:write", "events:read"]});
        let strong = app.platform().post(&keys(&business, ""), &change).await.expect(201);
        let strong = app.key(business.id(), text(&strong, "value"));
        let once = |key: &'static str| strong.clone().with("idempotency-key", key);
        let draft = json!({"payment": id, "destination": "test_customer"});
        let refund = text(&strong.post("/v1/refunds", &draft).await.expect(201), "id").to_owned();
        let path = format!("/v1/test/refunds/{refund}/send");
        let carried_out = once("r").post_empty(&path).await.expect(200);
        assert_eq!(once("r").post_empty(&path).await.expect(200), carried_out);
        once("r").post(&path, &json!({})).await.expect(422);

        let endpoint = json!({"url": "https://shop.example/hooks"});
        let endpoint = strong.post("/v1/webhook_endpoints", &endpoint).await.expect(201);
        let reveal = format!("/v1/webhook_endpoints/{}/reveal_secret", text(&endpoint, "id"));
        let shown = once("v").post_empty(&reveal).await.expect(200);
        assert_eq!(once("v").post_empty(&reveal).await.expect(200), shown);
        once("v").post(&reveal, &json!({})).await.expect(422);
    }
}
