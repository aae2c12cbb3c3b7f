//! `POST /v1/keys/{id}/rotate`: a new value for the same key.

use std::time::Duration;

use serde_json::{Value, json};
use trousseau_testkit::app::{Business, TestApp};
use trousseau_testkit::client::{Answer, Client};

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// The operator's view of one key in TEST.
struct Rotating<'a> {
    app: &'a TestApp,
    business: &'a Business,
    id: String,
}

impl<'a> Rotating<'a> {
    async fn new(app: &'a TestApp, business: &'a Business, draft: Value) -> (Self, String) {
        let path = format!("/v1/businesses/{}/keys?environment=test", business.id());
        let made = app.platform().post(&path, &draft).await.expect(201);
        (Self { app, business, id: text(&made, "id").to_owned() }, text(&made, "value").to_owned())
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/businesses/{}/keys/{}{rest}?environment=test", self.business.id(), self.id)
    }

    async fn rotate(&self, body: Value) -> Answer {
        self.app.platform().post(&self.path("/rotate"), &body).await
    }

    async fn rotated(&self, body: Value) -> String {
        text(&self.rotate(body).await.expect(200), "value").to_owned()
    }

    /// Whether a value is accepted now.
    async fn takes(&self, value: &str) -> bool {
        let answer = self.app.key(self.business.id(), value).get("/v1/whoami").await;
        assert!(matches!(answer.status.as_u16(), 200 | 401), "{}", answer.text());
        answer.status.as_u16() == 200
    }
}

#[tokio::test]
async fn the_old_value_is_accepted_for_the_overlap_and_not_a_moment_longer() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let day = Duration::from_hours(24);
        for (body, length) in [
            (json!({}), Duration::ZERO),
            (json!({"overlap_seconds": 0}), Duration::ZERO),
            (json!({"overlap_seconds": 3_600}), Duration::from_hours(1)),
            (json!({"overlap_seconds": 86_400}), day),
            (json!({"overlap_seconds": 2_592_000}), 30 * day),
        ] {
            let (key, old) = Rotating::new(&app, &business, json!({})).await;
            let new = key.rotated(body.clone()).await;
            assert_ne!(old, new);
            assert!(key.takes(&new).await);
            if length > Duration::ZERO {
                assert!(key.takes(&old).await, "{body}");
                app.advance(length.saturating_sub(Duration::from_micros(1)));
                assert!(key.takes(&old).await, "{body}");
                app.advance(Duration::from_micros(1));
            }
            assert!(!key.takes(&old).await, "{body}");
            assert!(key.takes(&new).await, "{body}");
            app.platform().post_empty(&key.path("/revoke")).await.expect(200);
        }
    }
}

#[tokio::test]
async fn an_overlap_ends_at_an_instant_within_thirty_days() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let (key, old) = Rotating::new(&app, &business, json!({})).await;
        for (body, pointer) in [
            (json!({"overlap_seconds": 2_592_001}), "/overlap_seconds"),
            (json!({"overlap_until": "2026-03-02T12:00:00.000001Z"}), "/overlap_until"),
            (json!({"overlap_until": "2026-01-31T12:00:00Z"}), "/overlap_until"),
            (json!({"overlap_until": "2020-01-01T00:00:00Z"}), "/overlap_until"),
            (json!({"overlap_until": "2026-02-01T00:00:00Z", "overlap_seconds": 1}), "/overlap_until"),
        ] {
            let problem = key.rotate(body).await.expect(422);
            assert_eq!(text(&problem["errors"][0], "pointer"), pointer, "{problem}");
        }
        for body in [
            json!({"overlap_until": "tomorrow"}),
            json!({"overlap_seconds": -1}),
            json!({"overlap_seconds": 1.5}),
            json!({"overlap": 1}),
        ] {
            key.rotate(body).await.expect(400);
        }
        assert!(key.takes(&old).await, "a refused rotation ends nothing");
        // Exactly thirty days are allowed.
        let body = json!({"overlap_until": "2026-03-02T12:00:00Z"});
        let answer = key.rotate(body).await.expect(200);
        assert_eq!(text(&answer, "previous_valid_until"), "2026-03-02T12:00:00Z");
        assert!(key.takes(&old).await);
    }
}

#[tokio::test]
async fn at_most_two_values_are_accepted_at_a_time() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let (key, first) = Rotating::new(&app, &business, json!({})).await;
        let second = key.rotated(json!({"overlap_seconds": 3_600})).await;
        let refused = key.rotate(json!({"overlap_seconds": 3_600})).await;
        assert_eq!(refused.expect(409)["code"], "overlap_in_progress");
        assert!(key.takes(&first).await && key.takes(&second).await);
        // Without an overlap it always works, and ends both.
        let third = key.rotated(json!({})).await;
        assert!(!key.takes(&first).await && !key.takes(&second).await && key.takes(&third).await);
        // Once the overlap is over there may be another.
        let fourth = key.rotated(json!({"overlap_seconds": 60})).await;
        app.advance(Duration::from_mins(1));
        let fifth = key.rotated(json!({"overlap_seconds": 60})).await;
        assert!(!key.takes(&third).await && key.takes(&fourth).await && key.takes(&fifth).await);
        // Revoking ends whatever is left.
        app.platform().post_empty(&key.path("/revoke")).await.expect(200);
        assert!(!key.takes(&fourth).await && !key.takes(&fifth).await);
        assert_eq!(key.rotate(json!({})).await.expect(409)["code"], "key_revoked");
    }
}

#[tokio::test]
async fn a_rotation_moves_neither_rights_nor_life() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let draft = json!({
            "name": "Till", "scopes": ["payments:read"], "allowed_ips": ["127.0.0.0/8"], "metadata": {"a": "b"},
            "valid_until": "2026-02-01T00:00:00Z",
        });
        let (key, old) = Rotating::new(&app, &business, draft).await;
        let before = app.platform().get(&key.path("")).await.expect(200);
        let answer = key.rotate(json!({"overlap_seconds": 2_592_000})).await.expect(200);
        // An overlap never outlives the key.
        assert_eq!(text(&answer, "previous_valid_until"), "2026-02-01T00:00:00Z");
        let mut after = app.platform().get(&key.path("")).await.expect(200);
        for moved in ["masked_value", "previous_valid_until"] {
            assert_ne!(after[moved], before[moved]);
            after[moved] = before[moved].clone();
        }
        assert_eq!(after, before);
        app.advance(Duration::from_hours(12));
        assert!(!key.takes(&old).await && !key.takes(text(&answer, "value")).await);
    }
}

#[tokio::test]
async fn a_key_rotates_itself_only_within_its_own_rights() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let (itself, value) = Rotating::new(&app, &business, json!({"scopes": ["keys:write"]})).await;
        let (wider, _) = Rotating::new(&app, &business, json!({"scopes": ["keys:write", "payments:write"]})).await;
        let client: Client = app.key(business.id(), &value);
        let path = |key: &Rotating<'_>| format!("/v1/keys/{}/rotate", key.id);
        let refused = client.post_empty(&path(&wider)).await;
        let problem = refused.expect(403);
        assert_eq!((text(&problem, "code"), text(&problem, "scope")), ("beyond_own_rights", "payments:write"));
        let renewed = client.post_empty(&path(&itself)).await.expect(200);
        // Its own old value has ended with this answer.
        assert!(!itself.takes(&value).await && itself.takes(text(&renewed, "value")).await);
    }
}

#[tokio::test]
async fn some_profiles_do_not_rotate() {
    for app in TestApp::on_every_engine().await {
        for (profile, environment) in [("payline", "test"), ("codat", "live")] {
            let business = app.business(profile).await;
            let id = text(business.key(environment, "secret"), "id");
            let path = format!("/v1/businesses/{}/keys/{id}/rotate?environment={environment}", business.id());
            let problem = app.platform().post_empty(&path).await.expect(403);
            assert_eq!(problem["code"], "not_allowed_by_profile");
        }
    }
}
