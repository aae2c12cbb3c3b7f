//! `/v1/events`: what happened to keys, told to their business.

use serde_json::{Value, json};
use trousseau_testkit::app::TestApp;

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

fn types(list: &Value) -> Vec<&str> {
    list["data"].as_array().expect("a list").iter().map(|event| text(event, "type")).collect()
}

#[tokio::test]
async fn each_change_of_a_key_is_told_once_to_its_own_environment() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let id = business.id();
        let operator = app.platform();
        let keys = format!("/v1/businesses/{id}/keys");
        let draft = json!({"scopes": ["keys:write", "events:read"]});
        let manager = operator.post(&format!("{keys}?environment=test"), &draft).await.expect(201);
        let client = app.key(id, text(&manager, "value"));

        let draft = json!({"scopes": ["events:read"]});
        let made = client.post("/v1/keys", &draft).await;
        let created_by = made.header("x-request-id").to_owned();
        let key = made.expect(201);
        let path = format!("/v1/keys/{}", text(&key, "id"));
        client.patch(&path, &json!({"name": "Till", "metadata": {"person": "x"}})).await.expect(200);
        // Nothing different, nothing told.
        client.patch(&path, &json!({"name": "Till"})).await.expect(200);
        client.post(&format!("{path}/rotate"), &json!({"overlap_seconds": 60})).await.expect(200);
        client.post_empty(&format!("{path}/reveal")).await.expect(200);
        client.post_empty(&format!("{path}/revoke")).await.expect(200);
        // What was refused did not happen.
        client.post_empty(&format!("{path}/revoke")).await.expect(409);

        let about = client.get(&format!("/v1/events?key_id={}", text(&key, "id"))).await.expect(200);
        let newest_first = ["key.revoked", "key.revealed", "key.rotated", "key.updated", "key.created"];
        assert_eq!(types(&about), newest_first);
        for event in about["data"].as_array().expect("a list") {
            assert_eq!((&event["environment"], &event["key_id"]), (&json!("test"), &key["id"]), "{event}");
            assert_eq!(event["actor"], json!({"type": "key", "id": manager["id"], "version": 1}), "{event}");
            assert_eq!(text(event, "created_at"), "2026-01-31T12:00:00Z");
        }
        let (updated, created) = (&about["data"][3], &about["data"][4]);
        assert_eq!(text(created, "request_id"), created_by);
        assert_eq!(updated["data"]["changes"]["name"], json!({"old": null, "new": "Till"}));
        assert_eq!(updated["data"]["changes"]["metadata"], json!({"changed": true}), "metadata may be personal");
        assert_eq!(client.get(&format!("/v1/events/{}", text(created, "id"))).await.expect(200), *created);

        // The operator's acts are told as the platform's, without saying which person or key it was.
        let all = client.get("/v1/events?limit=100").await.expect(200);
        let first = all["data"].as_array().and_then(|events| events.last()).expect("events");
        assert_eq!(first["actor"], json!({"type": "platform"}));
        for value in [text(&manager, "value"), text(&key, "value")] {
            assert!(!all.to_string().contains(value), "an event shows a value");
        }

        // The other environment hears nothing of it.
        let live =
            operator.post(&format!("{keys}?environment=live"), &json!({"scopes": ["events:read"]})).await.expect(201);
        let live = app.key(id, text(&live, "value"));
        let there = live.get("/v1/events?limit=100").await.expect(200);
        assert!(
            there["data"].as_array().expect("a list").iter().all(|event| event["environment"] != "test"),
            "{there}"
        );
        live.get(&format!("/v1/events/{}", text(created, "id"))).await.expect(404);
        let nothing = live.get(&format!("/v1/events?key_id={}", text(&key, "id"))).await.expect(200);
        assert_eq!(types(&nothing), Vec::<&str>::new());
    }
}

#[tokio::test]
async fn events_are_filtered_and_paged_without_gap_or_repetition() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let client = app.key(business.id(), business.value("test", "secret"));
        let key = business.key("test", "checkout");
        let path = format!("/v1/businesses/{}/keys/{}?environment=test", business.id(), text(key, "id"));
        for turn in 0..7 {
            // Two at the same instant, then a later one: the order must not depend on the clock alone.
            app.advance(std::time::Duration::from_secs(turn % 2));
            app.platform().patch(&path, &json!({"name": format!("turn {turn}")})).await.expect(200);
        }
        let whole = client.get("/v1/events?limit=100").await.expect(200);
        assert_eq!(whole["has_more"], false);
        let ids = |list: &Value| -> Vec<String> {
            list["data"].as_array().expect("a list").iter().map(|event| text(event, "id").to_owned()).collect()
        };
        let mut walked = Vec::new();
        let mut next = "/v1/events?limit=2".to_owned();
        loop {
            let page = client.get(&next).await.expect(200);
            walked.extend(ids(&page));
            assert!(ids(&page).len() <= 2);
            if page["has_more"] == false {
                break;
            }
            next = format!("/v1/events?limit=2&starting_after={}", walked.last().expect("a page is not empty"));
        }
        assert_eq!(walked, ids(&whole));

        let updated = client.get("/v1/events?type=key.updated&limit=100").await.expect(200);
        assert_eq!(types(&updated), ["key.updated"; 7]);
        for (query, status) in [
            ("type=key.exploded", 400),
            ("key_id=key_1", 400),
            ("limit=0", 400),
            ("limit=101", 400),
            ("limit=x", 400),
            ("starting_after=evt_1", 400),
            ("starting_after=evt_00000000000000000000000000", 422),
            ("after=1", 400),
            ("limit=1&limit=1", 400),
        ] {
            let answer = client.get(&format!("/v1/events?{query}")).await;
            assert_eq!(answer.status.as_u16(), status, "{query}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_cursor_of_another_tenant_is_as_unknown_as_any() {
    for app in TestApp::on_every_engine().await {
        let (one, other) = (app.business("mileston").await, app.business("mileston").await);
        let foreign = app.key(other.id(), other.value("test", "secret")).get("/v1/events").await.expect(200);
        let cursor = text(&foreign["data"][0], "id");
        let client = app.key(one.id(), one.value("test", "secret"));
        let theirs = client.get(&format!("/v1/events?starting_after={cursor}")).await;
        let nobodys = client.get("/v1/events?starting_after=evt_00000000000000000000000000").await;
        for answer in [&theirs, &nobodys] {
            let problem = answer.expect(422);
            assert_eq!(problem["errors"][0]["parameter"], "starting_after", "{problem}");
        }
        assert_eq!(theirs.json()["errors"], nobodys.json()["errors"]);
    }
}
