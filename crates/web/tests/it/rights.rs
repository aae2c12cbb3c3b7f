//! A key never gives, widens or obtains more than it has, and an ended one finishes nothing.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::Request;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use trousseau_testkit::app::{Business, TestApp};
use trousseau_testkit::client::Client;

/// A key of the business in TEST, made by the operator.
async fn made(app: &TestApp, business: &Business, draft: Value) -> Value {
    app.platform().post(&format!("/v1/businesses/{}/keys?environment=test", business.id()), &draft).await.expect(201)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

fn client(app: &TestApp, business: &Business, key: &Value) -> Client {
    app.key(business.id(), text(key, "value"))
}

#[tokio::test]
async fn a_key_cannot_widen_another_one_beyond_itself_by_any_member() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let narrow = made(&app, &business, json!({"scopes": ["keys:read", "keys:write"]})).await;
        let short = made(
            &app,
            &business,
            json!({"scopes": ["keys:write", "payments:read"], "valid_until": "2026-06-01T00:00:00Z"}),
        )
        .await;
        let wide = json!({
            "scopes": ["payments:read"], "valid_from": "2026-01-31T12:00:00Z", "valid_until": "2026-12-31T00:00:00Z",
            "allowed_ips": ["203.0.113.0/24"],
        });
        let key = made(&app, &business, wide).await;
        let path = format!("/v1/keys/{}", text(&key, "id"));
        let operator = format!("/v1/businesses/{}/keys/{}?environment=test", business.id(), text(&key, "id"));

        // What takes something away is allowed, whoever the caller is.
        let by_narrow = client(&app, &business, &narrow);
        for change in [
            json!({"name": "renamed"}),
            json!({"allowed_ips": ["203.0.113.0/24"]}),
            json!({"valid_until": "2026-11-30T00:00:00Z"}),
            json!({"valid_from": "2026-02-01T00:00:00Z"}),
            json!({"state": "inactive"}),
        ] {
            by_narrow.patch(&path, &change).await.expect(200);
        }
        // What gives something back is not, unless the caller has all of it.
        for change in [
            json!({"state": "active"}),
            json!({"valid_until": "2026-12-31T00:00:00Z"}),
            json!({"valid_until": null}),
            json!({"valid_from": "2026-01-31T12:00:00Z"}),
            json!({"allowed_ips": []}),
            json!({"allowed_ips": ["203.0.113.0/24", "198.51.100.0/24"]}),
            json!({"scopes": ["payments:read", "payments:write"]}),
        ] {
            let answer = by_narrow.patch(&path, &change).await;
            assert_eq!(answer.expect(403)["code"], "beyond_own_rights", "{change}");
            let by_short = client(&app, &business, &short).patch(&path, &change).await;
            assert_eq!(by_short.expect(403)["code"], "beyond_own_rights", "{change} by a key that ends earlier");
        }
        let now = app.platform().get(&operator).await.expect(200);
        assert_eq!((text(&now, "state"), text(&now, "valid_until")), ("inactive", "2026-11-30T00:00:00Z"));
        app.platform().patch(&operator, &json!({"state": "active"})).await.expect(200);
    }
}

#[tokio::test]
async fn a_key_that_is_bound_to_addresses_frees_neither_itself_nor_others() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let scopes = json!(["keys:read", "keys:write", "payments:read", "checkout:start", "checkout:status"]);
        let draft = json!({"scopes": scopes, "allowed_ips": ["127.0.0.0/8", "203.0.113.0/24"]});
        let bound = made(&app, &business, draft.clone()).await;
        let by_bound = client(&app, &business, &bound);
        let mine = format!("/v1/keys/{}", text(&bound, "id"));
        let free = made(&app, &business, json!({"scopes": ["payments:read"]})).await;
        let beyond = |answer: &trousseau_testkit::client::Answer, what: &str| {
            assert_eq!(answer.expect(403)["code"], "beyond_own_rights", "{what}");
        };
        for wider in [json!([]), json!(["0.0.0.0/0"]), json!(["127.0.0.0/8", "203.0.113.0/24", "198.51.100.7"])] {
            beyond(&by_bound.patch(&mine, &json!({ "allowed_ips": wider })).await, "itself");
        }
        beyond(&by_bound.post("/v1/keys", &json!({"scopes": [], "allowed_ips": ["198.51.100.7"]})).await, "another");
        let freed = format!("/v1/keys/{}", text(&free, "id"));
        beyond(&by_bound.patch(&freed, &json!({"scopes": ["payments:read", "keys:read"]})).await, "a free one");
        for act in ["rotate", "reveal"] {
            beyond(&by_bound.post_empty(&format!("{freed}/{act}")).await, act);
        }
        // What lies within is fine, and what names nothing is bound as its maker.
        let within = json!({"scopes": [], "allowed_ips": ["203.0.113.128/25"]});
        assert_eq!(by_bound.post("/v1/keys", &within).await.expect(201)["allowed_ips"], within["allowed_ips"]);
        let heir = by_bound.post("/v1/keys", &json!({"scopes": []})).await.expect(201);
        assert_eq!(heir["allowed_ips"], draft["allowed_ips"]);
        by_bound.patch(&mine, &json!({"allowed_ips": ["127.0.0.1"]})).await.expect(200);
        // A checkout key is used by everybody.
        by_bound.post("/v1/keys", &json!({"kind": "checkout"})).await.expect(201);
    }
}

#[tokio::test]
async fn a_checkout_key_can_do_what_it_is_for() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let path = format!("/v1/businesses/{}/keys?environment=test", business.id());
        let useless = app.platform().post(&path, &json!({"kind": "checkout", "scopes": []})).await;
        assert_eq!(useless.expect(422)["errors"][0]["pointer"], "/scopes");
        let one = format!("/v1/businesses/{}/keys/{}", business.id(), text(business.key("test", "checkout"), "id"));
        app.platform().patch(&format!("{one}?environment=test"), &json!({"scopes": []})).await.expect(422);
        let maker = client(&app, &business, &made(&app, &business, json!({"scopes": ["keys:write"]})).await);
        let refused = maker.post("/v1/keys", &json!({"kind": "checkout"})).await;
        assert_eq!(refused.expect(403)["code"], "beyond_own_rights");
    }
}

#[tokio::test]
async fn a_repeated_request_shows_a_value_to_the_key_that_made_it_only() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let broad = made(&app, &business, json!({"scopes": ["keys:write", "payments:write"]})).await;
        let narrow = made(&app, &business, json!({"scopes": ["keys:write"]})).await;
        let draft = json!({"scopes": ["payments:write"]});
        let with = |key: &Value| client(&app, &business, key).with("idempotency-key", "1");
        let first = with(&broad).post("/v1/keys", &draft).await.expect(201);
        let again = with(&broad).post("/v1/keys", &draft).await.expect(201);
        assert_eq!(first["value"], again["value"]);
        let other = with(&narrow).post("/v1/keys", &draft).await;
        assert_eq!(other.expect(403)["code"], "beyond_own_rights");
        assert!(!other.text().contains(text(&first, "value")));
    }
}

#[tokio::test]
async fn a_key_that_ends_while_its_request_is_under_way_finishes_nothing() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        for end in ["revoke", "narrow", "expire", "rotate", "switch off"] {
            let key =
                made(&app, &business, json!({"scopes": ["keys:write"], "valid_until": "2026-03-01T00:00:00Z"})).await;
            let path = format!("/v1/businesses/{}/keys/{}", business.id(), text(&key, "id"));
            let (seen, being_read) = oneshot::channel();
            let (release, released) = oneshot::channel::<()>();
            // The body is asked for once the caller is known; it arrives after the key has ended.
            let body = stream::once(async move {
                let _ = seen.send(());
                let _ = released.await;
                Ok::<_, std::convert::Infallible>(Bytes::from_static(b"{\"scopes\":[]}"))
            });
            let request = Request::post("/v1/keys")
                .header(CONTENT_TYPE, "application/json")
                .body(Body::from_stream(body))
                .expect("a request");
            let caller = client(&app, &business, &key);
            let call = tokio::spawn(async move { caller.call(request).await });
            being_read.await.expect("the body is asked for");
            let operator = app.platform();
            let in_test = |path: &str| format!("{path}?environment=test");
            let expected = match end {
                "revoke" => {
                    operator.post_empty(&in_test(&format!("{path}/revoke"))).await.expect(200);
                    401
                }
                "narrow" => {
                    operator.patch(&in_test(&path), &json!({"scopes": ["keys:read"]})).await.expect(200);
                    // The next try meets the scopes as they are.
                    503
                }
                "expire" => {
                    operator.patch(&in_test(&path), &json!({"valid_until": "2026-02-01T00:00:00Z"})).await.expect(200);
                    app.advance(Duration::from_hours(24));
                    401
                }
                "rotate" => {
                    operator.post_empty(&in_test(&format!("{path}/rotate"))).await.expect(200);
                    401
                }
                _ => {
                    operator.patch(&in_test(&path), &json!({"state": "inactive"})).await.expect(200);
                    401
                }
            };
            let before = count(&app, &business).await;
            release.send(()).expect("still waiting");
            let answer = call.await.expect("an answer");
            assert_eq!(answer.status.as_u16(), expected, "{end}: {}", answer.text());
            assert_eq!(count(&app, &business).await, before, "{end}: a key was made all the same");
        }
    }
}

#[tokio::test]
async fn an_operator_s_key_that_ends_while_its_request_is_under_way_learns_nothing() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let value = business.value("test", "secret");
        for (path, kind, body) in [
            ("/v1/keys/verify", "application/json", json!({"key": value, "business_id": business.id()}).to_string()),
            (
                "/v1/introspect",
                "application/x-www-form-urlencoded",
                format!("token={value}&business_id={}", business.id()),
            ),
        ] {
            let own = app.platform_with(&["verify"]).await;
            let (seen, being_read) = oneshot::channel();
            let (release, released) = oneshot::channel::<()>();
            let body = stream::once(async move {
                let _ = seen.send(());
                let _ = released.await;
                Ok::<_, std::convert::Infallible>(Bytes::from(body))
            });
            let request =
                Request::post(path).header(CONTENT_TYPE, kind).body(Body::from_stream(body)).expect("a request");
            let caller = app.anonymous().bearer(&own);
            let call = tokio::spawn(async move { caller.call(request).await });
            being_read.await.expect("the body is asked for");
            let system = trousseau_service::Context::system();
            let keys = app.app.platform_keys().list().await.expect("a list");
            let calls = keys.iter().find(|key| own.ends_with(&key.last_three)).expect("the one that calls");
            app.app.platform_keys().revoke(&system, calls.id).await.expect("revoked");
            release.send(()).expect("still waiting");
            let answer = call.await.expect("an answer");
            assert_eq!(answer.status.as_u16(), 401, "{path}: {}", answer.text());
            assert!(!answer.text().contains(business.id()), "{path}: {}", answer.text());
        }
    }
}

async fn count(app: &TestApp, business: &Business) -> usize {
    let path = format!("/v1/businesses/{}/keys?environment=test&include_revoked=true&limit=100", business.id());
    app.platform().get(&path).await.expect(200)["data"].as_array().expect("a list").len()
}
