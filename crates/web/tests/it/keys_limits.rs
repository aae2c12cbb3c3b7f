//! Limits of number and the rule of the last key, on every door.

use std::time::Duration;

use serde_json::{Value, json};
use trousseau_testkit::app::{Business, TestApp};

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

fn keys(business: &Business, environment: &str, rest: &str) -> String {
    format!("/v1/businesses/{}/keys{rest}?environment={environment}", business.id())
}

async fn made(app: &TestApp, business: &Business, environment: &str, draft: Value) -> String {
    let made = app.platform().post(&keys(business, environment, ""), &draft).await.expect(201);
    text(&made, "id").to_owned()
}

#[tokio::test]
async fn each_profile_has_its_own_limit() {
    for app in TestApp::on_every_engine().await {
        let mileston = app.business("mileston").await;
        // Ten of each kind in each environment, the first one among them.
        for environment in ["test", "live"] {
            for kind in ["secret", "checkout"] {
                for _ in 1..10 {
                    made(&app, &mileston, environment, json!({"kind": kind})).await;
                }
                let full = app.platform().post(&keys(&mileston, environment, ""), &json!({"kind": kind})).await;
                assert_eq!(full.expect(409)["code"], "key_limit_reached", "{environment} {kind}");
            }
        }
        let payline = app.business("payline").await;
        for _ in 1..50 {
            made(&app, &payline, "test", json!({})).await;
        }
        let merchant = format!("/v1/merchants/{}/keys", payline.id());
        assert_eq!(app.platform().post(&merchant, &json!({})).await.expect(409)["result"]["code"], "key_limit_reached");
        app.platform().post(&format!("{merchant}?environment=live"), &json!({})).await.expect(201);
    }
}

#[tokio::test]
async fn what_is_or_will_be_in_force_counts_and_nothing_else() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let operator = app.platform();
        // None of these counts.
        let inactive = made(&app, &business, "test", json!({"state": "inactive"})).await;
        let expired = json!({"valid_from": "2020-01-01T00:00:00Z", "valid_until": "2021-01-01T00:00:00Z"});
        let expired = made(&app, &business, "test", expired).await;
        // All of these do, with the first key: ten.
        let scheduled = made(&app, &business, "test", json!({"valid_from": "2026-02-01T00:00:00Z"})).await;
        for _ in 0..7 {
            made(&app, &business, "test", json!({})).await;
        }
        let last = made(&app, &business, "test", json!({})).await;
        let full =
            |answer: &trousseau_testkit::client::Answer| assert_eq!(answer.expect(409)["code"], "key_limit_reached");
        full(&operator.post(&keys(&business, "test", ""), &json!({})).await);
        // One that counts for nothing can still be made.
        made(&app, &business, "test", json!({"state": "inactive"})).await;
        // Switching on and moving dates are checked as creation is.
        let inactive = keys(&business, "test", &format!("/{inactive}"));
        let expired = keys(&business, "test", &format!("/{expired}"));
        full(&operator.patch(&inactive, &json!({"state": "active"})).await);
        full(&operator.patch(&expired, &json!({"valid_until": null})).await);
        full(&operator.patch(&expired, &json!({"valid_until": "2027-01-01T00:00:00Z"})).await);
        // A key that counts already may be changed at will.
        let scheduled = keys(&business, "test", &format!("/{scheduled}"));
        operator.patch(&scheduled, &json!({"valid_from": "2026-01-31T12:00:00Z"})).await.expect(200);
        // Whatever ends makes room: by revoking, and by the clock alone.
        operator.post_empty(&keys(&business, "test", &format!("/{last}/revoke"))).await.expect(200);
        operator.patch(&inactive, &json!({"state": "active"})).await.expect(200);
        full(&operator.post(&keys(&business, "test", ""), &json!({})).await);
        operator.patch(&scheduled, &json!({"valid_until": "2026-02-01T00:00:00Z"})).await.expect(200);
        app.advance(Duration::from_hours(12));
        made(&app, &business, "test", json!({})).await;
        // A number is never used again.
        let listed =
            operator.get(&format!("{}&include_revoked=true&limit=100", keys(&business, "test", ""))).await.expect(200);
        let mut numbers: Vec<_> =
            listed["data"].as_array().expect("a list").iter().map(|key| key["number"].as_u64()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), listed["data"].as_array().map_or(0, Vec::len));
    }
}

#[tokio::test]
async fn parallel_switches_end_at_the_limit_exactly() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mut ids = Vec::new();
        for _ in 0..30 {
            ids.push(made(&app, &business, "test", json!({"state": "inactive"})).await);
        }
        let mut tasks = tokio::task::JoinSet::new();
        for id in ids {
            let (client, path) = (app.platform(), keys(&business, "test", &format!("/{id}")));
            tasks.spawn(async move { client.patch(&path, &json!({"state": "active"})).await.status.as_u16() });
        }
        let statuses = tasks.join_all().await;
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 9, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 21, "{statuses:?}");
    }
}

#[tokio::test]
async fn the_last_key_in_force_stays_whatever_the_door() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let operator = app.platform();
        for (environment, kind) in [("test", "secret"), ("test", "checkout"), ("live", "secret"), ("live", "checkout")]
        {
            let id = text(business.key(environment, kind), "id").to_owned();
            let path = |rest: &str| keys(&business, environment, &format!("/{id}{rest}"));
            // What does not count as in force does not stand in for it.
            made(&app, &business, environment, json!({"kind": kind, "state": "inactive"})).await;
            made(&app, &business, environment, json!({"kind": kind, "valid_from": "2027-01-01T00:00:00Z"})).await;
            // An end that is still to come is allowed.
            let soon = json!({"valid_until": "2026-01-31T12:00:00.000001Z"});
            operator.patch(&path(""), &soon).await.expect(200);
            operator.patch(&path(""), &json!({"valid_until": null})).await.expect(200);
            for answer in [
                operator.post_empty(&path("/revoke")).await,
                operator.patch(&path(""), &json!({"state": "inactive"})).await,
                operator.patch(&path(""), &json!({"valid_from": "2027-01-01T00:00:00Z"})).await,
            ] {
                assert_eq!(answer.expect(409)["code"], "last_key", "{environment} {kind}");
            }
            // A leaked last key is rotated without overlap.
            operator.post_empty(&path("/rotate")).await.expect(200);
            let next = made(&app, &business, environment, json!({"kind": kind})).await;
            operator.post_empty(&path("/revoke")).await.expect(200);
            let next = keys(&business, environment, &format!("/{next}/revoke"));
            assert_eq!(operator.post_empty(&next).await.expect(409)["code"], "last_key");
        }
    }
}

#[tokio::test]
async fn an_end_that_has_passed_is_an_end_now() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let id = text(business.key("test", "secret"), "id").to_owned();
        app.advance(Duration::from_hours(24));
        let path = keys(&business, "test", &format!("/{id}"));
        for until in ["2026-01-31T13:00:00Z", "2026-02-01T12:00:00Z"] {
            let answer = app.platform().patch(&path, &json!({"valid_until": until})).await;
            assert_eq!(answer.expect(409)["code"], "last_key", "{until}");
        }
    }
}

#[tokio::test]
async fn a_payline_business_may_lock_itself_out() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("payline").await;
        let path = format!("/v1/merchants/{}/keys/1", business.id());
        let off = app.platform().patch(&path, &json!({"state": "INACTIVE"})).await.expect(200);
        assert_eq!((text(&off, "state"), &off["inForce"]), ("INACTIVE", &json!(false)));
        app.platform()
            .patch(&path, &json!({"state": "ACTIVE", "startDate": "2020-01-01", "endDate": "2020-01-02"}))
            .await
            .expect(200);
        // The operator may revoke there; nothing is deleted.
        let id = text(business.key("test", "secret"), "id");
        let one = format!("{path}?environment=test");
        assert!(app.platform().get(&one).await.expect(200)["value"].is_string());
        app.platform().post_empty(&keys(&business, "test", &format!("/{id}/revoke"))).await.expect(200);
        let revoked = app.platform().get(&one).await.expect(200);
        assert!(revoked.get("value").is_none() && revoked.get("authorization").is_none(), "{revoked}");
        let listed = app.platform().get(&format!("/v1/merchants/{}/keys", business.id())).await.expect(200);
        assert_eq!(listed["total"], 0);
    }
}
