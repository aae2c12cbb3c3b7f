//! `/v1/keys`, `/apiKeys` and `/v1/merchants`: the life of keys in the three profiles.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::TestApp;

#[tokio::test]
async fn a_key_is_made_changed_rotated_and_revoked() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let id = business.id();
        let platform = app.platform();
        let path = |rest: &str| format!("/v1/businesses/{id}/keys{rest}?environment=test");
        let made = platform.post(&path(""), &json!({"name": "Shop"})).await.expect(201);
        let key = made["id"].as_str().expect("an id").to_owned();
        let first = made["value"].as_str().expect("a value").to_owned();
        app.key(id, &first).get("/v1/whoami").await.expect(200);
        let changed = platform.patch(&path(&format!("/{key}")), &json!({"name": null})).await.expect(200);
        assert!(changed["name"].is_null() && changed.get("value").is_none());
        let rotated =
            platform.post(&path(&format!("/{key}/rotate")), &json!({"overlap_seconds": 60})).await.expect(200);
        let second = rotated["value"].as_str().expect("a value").to_owned();
        assert_eq!(rotated["id"], key.as_str());
        app.key(id, &first).get("/v1/whoami").await.expect(200);
        app.key(id, &second).get("/v1/whoami").await.expect(200);
        app.advance(std::time::Duration::from_mins(1));
        app.key(id, &first).get("/v1/whoami").await.expect(401);
        let revealed = platform.post_empty(&path(&format!("/{key}/reveal"))).await.expect(200);
        assert_eq!(revealed["value"], second.as_str());
        let revoked = platform.post_empty(&path(&format!("/{key}/revoke"))).await.expect(200);
        assert_eq!(revoked["status"], "revoked");
        app.key(id, &second).get("/v1/whoami").await.expect(401);
        let listed = platform.get(&path("")).await.expect(200);
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(2));
    }
}

#[tokio::test]
async fn a_list_is_taken_for_no_object() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (business, shop) = (app.business("mileston").await, app.business("payline").await);
    let (id, merchant) = (business.id(), shop.id());
    let platform = app.platform();
    let keys = format!("/v1/businesses/{id}/keys?environment=test");
    let key = platform.post(&keys, &json!({"name": "Shop"})).await.expect(201);
    let key = key["id"].as_str().expect("an id");
    let refused = [
        platform.post(&keys, &json!(["secret", "Shop"])).await,
        platform.post(&keys, &json!({"rate_limits": [[5, 1]]})).await,
        platform.post(&keys, &json!({"quota": [1, 2]})).await,
        platform.patch(&format!("/v1/businesses/{id}/keys/{key}?environment=test"), &json!(["renamed"])).await,
        platform.patch(&format!("/v1/businesses/{id}"), &json!(["renamed"])).await,
        platform.post("/v1/keys/verify", &json!(["key"])).await,
        platform.post("/v1/keys/verify", &json!({"requests": [["key"]]})).await,
    ];
    for answer in refused {
        let body = answer.expect(400);
        assert_eq!(
            (&body["code"], &body["errors"][0]["detail"]),
            (&json!("invalid_body"), &json!("must be an object"))
        );
    }
    for list in [json!(["INACTIVE"]), json!([])] {
        platform.patch(&format!("/v1/merchants/{merchant}/keys/1"), &list).await.expect(400);
    }
    let listed = platform.get(&keys).await.expect(200);
    let names: Vec<_> = listed["data"].as_array().expect("keys").iter().map(|key| key["name"].as_str()).collect();
    assert_eq!(names.iter().filter(|name| **name == Some("Shop")).count(), 1, "{names:?}");
}

#[tokio::test]
async fn a_repeated_request_gives_the_first_answer() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let platform = app.platform().with("idempotency-key", "once");
        for (environment, readable) in [("test", true), ("live", false)] {
            let path = format!("/v1/businesses/{}/keys?environment={environment}", business.id());
            let platform = if readable { platform.clone() } else { app.platform().with("idempotency-key", "twice") };
            let first = platform.post(&path, &json!({"name": "A"})).await.expect(201);
            let again = platform.post(&path, &json!({"name": "A"})).await.expect(201);
            assert_eq!(first["id"], again["id"]);
            assert!(first["value"].is_string());
            if readable {
                assert_eq!(first, again);
            } else {
                assert!(again["value"].is_null() && again["advice"].is_string());
            }
            let other = platform.post(&path, &json!({"name": "B"})).await.expect(422);
            assert_eq!(other["code"], "idempotency_key_reused");
        }
    }
}

#[tokio::test]
async fn a_hundred_parallel_creations_end_at_the_limit_exactly() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let path = format!("/v1/businesses/{}/keys?environment=test", business.id());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (client, path) = (app.platform(), path.clone());
            tasks.spawn(async move { client.post(&path, &json!({})).await.status.as_u16() });
        }
        let statuses = tasks.join_all().await;
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 9);
        assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 91);
    }
}

#[tokio::test]
async fn fifty_parallel_deletions_of_the_last_two_keys_leave_one() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("codat").await;
        let auth = format!("Basic {}", STANDARD.encode(business.value("live", "secret")));
        let client = app.anonymous().with("authorization", auth);
        client.post_empty("/apiKeys").await.expect(201);
        let keys = client.get("/apiKeys").await.expect(200);
        let ids: Vec<String> = keys["results"]
            .as_array()
            .expect("keys")
            .iter()
            .map(|key| key["id"].as_str().expect("an id").to_owned())
            .collect();
        assert_eq!(ids.len(), 2);
        let mut tasks = tokio::task::JoinSet::new();
        for turn in 0..50 {
            let (client, path) = (client.clone(), format!("/apiKeys/{}", ids[turn % 2]));
            tasks.spawn(async move { client.delete(&path).await.status.as_u16() });
        }
        let deleted = tasks.join_all().await.into_iter().filter(|status| *status == 204).count();
        assert_eq!(deleted, 1);
    }
}

#[tokio::test]
async fn codats_contract_holds() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("codat").await;
        let value = business.value("live", "secret");
        let client = app.anonymous().with("authorization", format!("Basic {}", STANDARD.encode(value)));
        let listed = client.get("/apiKeys").await.expect(200);
        assert_eq!(listed["results"][0]["apiKey"], value);
        assert!(listed["results"][0].get("name").is_none());
        let last = client.delete(&format!("/apiKeys/{}", listed["results"][0]["id"].as_str().expect("an id"))).await;
        assert_eq!(last.expect(409)["statusCode"], 409);
        for turn in 1..10 {
            client.post("/apiKeys", &json!({"name": format!("job {turn}"), "unknown": 1})).await.expect(201);
        }
        client.post_empty("/apiKeys").await.expect(409);
        client.delete("/apiKeys/nonsense").await.expect(404);
        let long = client.post("/apiKeys", &json!({"name": "x".repeat(51)})).await.expect(400);
        let error = long["error"].as_str().expect("a text");
        assert!(!error.contains("`errors`") && !long["validation"]["errors"].is_null(), "{long}");
        app.anonymous().bearer(value).get("/apiKeys").await.expect(401);
    }
}

#[tokio::test]
async fn paylines_contract_holds() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("payline").await;
        let id = business.id();
        let platform = app.platform();
        let path = format!("/v1/merchants/{id}/keys");
        let made = platform.post(&path, &json!({"startDate": "2026-02-01", "endDate": "2026-02-01"})).await.expect(201);
        assert_eq!((&made["id"], &made["inForce"]), (&json!(2), &json!(false)));
        let auth = made["authorization"].as_str().expect("a header").to_owned();
        let merchant = app.anonymous().with("authorization", auth);
        merchant.get("/v1/checkout/alive").await.expect(401);
        // Midnight in Paris is 23:00 UTC in winter.
        app.advance(std::time::Duration::from_hours(11));
        assert_eq!(merchant.get("/v1/checkout/alive").await.expect(200)["result"]["title"], "ACCEPTED");
        merchant.clone().with("origin", "https://a.example").get("/v1/checkout/alive").await.expect(403);
        merchant.get(&path).await.expect(403);
        app.advance(std::time::Duration::from_hours(24));
        merchant.get("/v1/checkout/alive").await.expect(401);
        let listed = platform.get(&path).await.expect(200);
        assert_eq!((&listed["total"], &listed["page"], &listed["pageSize"]), (&json!(2), &json!(1), &json!(10)));
        let open = platform.patch(&format!("{path}/2"), &json!({"endDate": null})).await.expect(200);
        assert!(open["endDate"].is_null());
        merchant.get("/v1/checkout/alive").await.expect(200);
        let early = platform.patch(&format!("{path}/2"), &json!({"endDate": "2020-01-01"})).await.expect(400);
        // All of it in one text, which has no other members to look at.
        let detail = early["result"]["detail"].as_str().expect("a text");
        assert!(detail.starts_with("A value makes no sense. ") && !detail.contains("errors"), "{detail}");
        assert!(detail.contains("endDate: must not be before startDate.") && !detail.contains("valid_"), "{detail}");
        platform.post(&path, &json!({"name": "x"})).await.expect(400);
        platform.delete(&format!("{path}/2")).await.expect(405);
        platform.get(&format!("{path}/99")).await.expect(404);
    }
}
