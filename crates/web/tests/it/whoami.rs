//! Every form of presenting a key, and every broken one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use trousseau_testkit::app::{Business, TestApp};
use trousseau_testkit::client::Client;

fn basic(text: impl AsRef<[u8]>) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

fn authorization(key: &Value) -> &str {
    key["authorization"].as_str().expect("a ready-made header")
}

/// Each of the documented forms.
fn forms(app: &TestApp, id: &str, key: &Value) -> Vec<(&'static str, Client)> {
    let value = key["value"].as_str().expect("a value");
    let client = || app.anonymous();
    let beside = |client: Client| client.with("businessid", id);
    vec![
        ("apikey", beside(client().with("apikey", value))),
        ("x-api-key", beside(client().with("x-api-key", value))),
        ("basic, the key alone", beside(client().with("authorization", basic(value)))),
        ("basic, the key and a colon", beside(client().with("authorization", basic(format!("{value}:"))))),
        ("basic, id and key", client().with("authorization", basic(format!("{id}:{value}")))),
        ("basic, id and key, and the id again", beside(client().with("authorization", basic(format!("{id}:{value}"))))),
        ("the ready-made header", beside(client().with("authorization", authorization(key)))),
        ("bearer", beside(client().with("authorization", format!("Bearer {value}")))),
        ("bearer in other letters", beside(client().with("authorization", format!("bEARER {value}")))),
        ("basic in other letters", beside(client().with("authorization", basic(value).replace("Basic", "BASIC")))),
        // Neither a cookie nor what Node's own `fetch` sends is looked at.
        ("with a cookie", beside(client().with("apikey", value).with("cookie", ""))),
        ("from Node", beside(client().with("apikey", value).with("sec-fetch-mode", "cors"))),
    ]
}

#[tokio::test]
async fn each_form_says_the_same_of_a_key_of_each_profile() {
    for app in TestApp::on_every_engine().await {
        for profile in ["mileston", "payline", "codat"] {
            let business = app.business(profile).await;
            for key in business.0["keys"].as_array().expect("keys") {
                for (form, client) in forms(&app, business.id(), key) {
                    let whoami = client.get("/v1/whoami").await.expect(200);
                    assert_eq!(whoami["business_id"], business.id(), "{profile}, {form}");
                    assert_eq!(whoami["environment"], key["environment"], "{profile}, {form}");
                    assert_eq!(whoami["kind"], key["kind"], "{profile}, {form}");
                    assert_eq!(whoami["key_id"], key["id"], "{profile}, {form}");
                    assert_eq!(whoami["scopes"], key["scopes"], "{profile}, {form}");
                }
            }
        }
        // Codat's keys need no id beside them; one that is sent is checked all the same.
        let codat = app.business("codat").await;
        let value = codat.value("live", "secret");
        app.anonymous().bearer(value).get("/v1/whoami").await.expect(200);
        app.anonymous().basic(value).get("/v1/whoami").await.expect(200);
        app.key(app.business("codat").await.id(), value).get("/v1/whoami").await.expect(401);
    }
}

#[tokio::test]
async fn the_scopes_are_those_of_the_kind_and_profile() {
    for app in TestApp::on_every_engine().await {
        let mileston = app.business("mileston").await;
        let codat = app.business("codat").await;
        let has = |business: &Business, environment: &str, kind: &str, scope: &str| {
            business.key(environment, kind)["scopes"].as_array().expect("scopes").iter().any(|held| held == scope)
        };
        assert!(!has(&mileston, "live", "secret", "keys:write"), "a found key must not breed");
        assert!(!has(&mileston, "live", "secret", "webhooks:write"));
        assert!(has(&mileston, "live", "secret", "payments:write"));
        assert!(has(&mileston, "live", "secret", "refunds:read"));
        assert!(!has(&mileston, "live", "secret", "refunds:write"), "nor say to whom money is to be sent");
        assert!(has(&codat, "live", "secret", "keys:write"));
        let checkout = &mileston.key("live", "checkout")["scopes"];
        assert_eq!(*checkout, serde_json::json!(["checkout:start", "checkout:status"]));
    }
}

#[tokio::test]
async fn each_broken_form_gets_its_answer() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let other = app.business("mileston").await;
        let (id, key) = (business.id(), business.value("test", "secret"));
        let anonymous = || app.anonymous();
        let with = |value: Vec<u8>| anonymous().with("authorization", value).with("businessid", id);
        let mut short = key.to_owned();
        short.pop();
        let relabelled = key.replace("_TEST_", "_LIVE_");
        let lower = key.replace("Mileston_TEST_", "Mileston_test_");
        for (turn, (client, status, code)) in [
            // Nothing, or nothing that can be read.
            (anonymous(), 401, "credential_missing"),
            (anonymous().with("businessid", id), 401, "credential_missing"),
            (anonymous().with("cookie", format!("apikey={key}")), 401, "credential_missing"),
            (with(b"Digest x".to_vec()), 401, "scheme_unsupported"),
            (with(key.as_bytes().to_vec()), 401, "scheme_unsupported"),
            (with(b"Basic %%%".to_vec()), 401, "credential_malformed"),
            (with(format!("Basic {key}").into_bytes()), 401, "credential_malformed"),
            (with(b"Basic".to_vec()), 401, "credential_malformed"),
            (with(b"Basic ".to_vec()), 401, "credential_malformed"),
            (with(basic("").into_bytes()), 401, "credential_malformed"),
            (with(basic([0xff, 0xfe]).into_bytes()), 401, "credential_malformed"),
            (with(b"Bearer".to_vec()), 401, "credential_malformed"),
            (with(b"Bearer \xff\xfe".to_vec()), 401, "credential_malformed"),
            (with(format!("Bearer {}", "x".repeat(256)).into_bytes()), 401, "credential_malformed"),
            (anonymous().with("apikey", "").with("businessid", id), 401, "credential_malformed"),
            (anonymous().with("apikey", "clé").with("businessid", id), 401, "credential_malformed"),
            // Our brand, and not written as it was given out.
            (app.key(id, &short), 401, "key_malformed"),
            (app.key(id, &format!("{key}x")), 401, "key_malformed"),
            (app.key(id, &relabelled), 401, "key_malformed"),
            (app.key(id, &lower), 401, "key_malformed"),
            (app.key(id, "Mileston_"), 401, "key_malformed"),
            (with(basic(format!("{id}:{key}:x")).into_bytes()), 401, "key_malformed"),
            (with(format!("Bearer {key} {key}").into_bytes()), 401, "key_malformed"),
            // The id beside it.
            (anonymous().bearer(key), 401, "business_id_missing"),
            (app.key("", key), 401, "business_id_missing"),
            // What only its owner may learn.
            (app.key(other.id(), key), 401, "unauthorized"),
            (app.key(&id.to_uppercase(), key), 401, "unauthorized"),
            (with(basic(format!("{}:{key}", other.id())).into_bytes()), 401, "unauthorized"),
            (app.key(id, "unknownunknownunknown"), 401, "unauthorized"),
            // More than one, even the same twice.
            (app.key(id, key).with("apikey", key), 400, "ambiguous_credentials"),
            (app.key(id, key).with("x-api-key", key), 400, "ambiguous_credentials"),
            (app.key(id, key).bearer(key), 400, "ambiguous_credentials"),
            (anonymous().with("apikey", key).with("apikey", key).with("businessid", id), 400, "ambiguous_credentials"),
            (
                anonymous().with("apikey", key).with("x-api-key", "").with("businessid", id),
                400,
                "ambiguous_credentials",
            ),
            (app.key(id, key).with("businessid", id), 400, "ambiguous_credentials"),
            // A good key in the wrong hands or place.
            (app.key(id, key).with("origin", "https://shop.example"), 403, "browser_not_allowed"),
            (app.key(id, key).with("origin", "null"), 403, "browser_not_allowed"),
            (app.key(id, key).with("sec-fetch-site", "same-origin"), 403, "browser_not_allowed"),
            (app.platform(), 403, "kind_not_allowed"),
        ]
        .into_iter()
        .enumerate()
        {
            let answer = client.get("/v1/whoami").await;
            assert_eq!(answer.status.as_u16(), status, "case {turn}, {code}: {}", answer.text());
            let body = answer.json();
            assert_eq!(body["code"], code, "case {turn}");
            assert_eq!(body["request_id"], answer.header("x-request-id"), "case {turn}: the reference");
            let challenges: Vec<&str> =
                answer.headers.get_all("www-authenticate").iter().filter_map(|value| value.to_str().ok()).collect();
            if status == 401 {
                assert!(challenges[0].starts_with("Basic realm=\"trousseau\", charset=\"UTF-8\""), "{challenges:?}");
                assert!(challenges.join(", ").contains("Bearer"), "{challenges:?}");
            } else {
                assert!(challenges.is_empty(), "case {turn}: {challenges:?}");
            }
            assert!(!answer.text().contains(key), "case {turn}");
        }
        for path in [format!("/v1/whoami/{key}"), format!("/v1/whoami?x={key}"), "/v1/whoami?api_key=x".to_owned()] {
            // Even where a good key stands in a header too.
            let answer = app.key(id, key).get(&path).await;
            assert_eq!(answer.expect(400)["code"], "key_in_url", "{path}");
            assert!(!answer.text().contains(key), "{path}");
        }
    }
}

#[tokio::test]
async fn every_generic_refusal_looks_the_same() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let other = app.business("mileston").await;
        let path = |rest: &str| format!("/v1/businesses/{}/keys{rest}?environment=test", business.id());
        let make = async |draft: Value| app.platform().post(&path(""), &draft).await.expect(201);
        let off = make(serde_json::json!({"state": "inactive"})).await;
        let later = make(serde_json::json!({"valid_from": "2027-01-01T00:00:00Z"})).await;
        let revoked = make(serde_json::json!({})).await;
        let revoke = path(&format!("/{}/revoke", revoked["id"].as_str().expect("an id")));
        app.platform().post_empty(&revoke).await.expect(200);
        let value = |key: &Value| key["value"].as_str().expect("a value").to_owned();
        let mut bodies = Vec::new();
        for (id, key) in [
            (business.id(), value(&off)),
            (business.id(), value(&later)),
            (business.id(), value(&revoked)),
            (other.id(), value(&off)),
            (other.id(), business.value("test", "secret").to_owned()),
            (business.id(), "no-key-of-anybody".to_owned()),
        ] {
            let answer = app.key(id, &key).get("/v1/whoami").await;
            let mut body = answer.expect(401);
            body["request_id"] = Value::Null;
            let mut headers = answer.headers.clone();
            headers.remove("x-request-id");
            bodies.push((body, format!("{headers:?}")));
        }
        assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
    }
}

#[tokio::test]
async fn a_bound_key_is_good_in_its_place_only() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let path = format!("/v1/businesses/{}/keys?environment=test", business.id());
        let make = async |draft: Value| {
            let made = app.platform().post(&path, &draft).await.expect(201);
            app.key(business.id(), made["value"].as_str().expect("a value"))
        };
        let secret = make(serde_json::json!({"allowed_ips": ["203.0.113.0/24"]})).await;
        let near = trousseau_web::connection::Peer { address: ([203, 0, 113, 9], 40_000).into(), tls: false };
        secret.clone().from(near).get("/v1/whoami").await.expect(200);
        assert_eq!(secret.get("/v1/whoami").await.expect(403)["code"], "ip_not_allowed");
        // Nobody trusts this header here.
        let claims = secret.with("x-forwarded-for", "203.0.113.9");
        assert_eq!(claims.get("/v1/whoami").await.expect(403)["code"], "ip_not_allowed");

        let draft = serde_json::json!({"kind": "checkout", "allowed_origins": ["https://shop.example"]});
        let page = make(draft).await;
        page.get("/v1/whoami").await.expect(200);
        page.clone().with("origin", "https://shop.example").get("/v1/whoami").await.expect(200);
        for origin in ["https://shop.example:444", "http://shop.example", "https://shop.example.evil", "null"] {
            let answer = page.clone().with("origin", origin).get("/v1/whoami").await;
            assert_eq!(answer.expect(403)["code"], "origin_not_allowed", "{origin}");
        }
    }
}

#[tokio::test]
async fn a_live_key_over_a_plain_network_is_refused() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let client = app.key(business.id(), business.value("live", "secret"));
        client.get("/v1/whoami").await.expect(200);
        let away = trousseau_web::connection::Peer {
            address: std::net::SocketAddr::from(([203, 0, 113, 9], 40_000)),
            tls: false,
        };
        assert_eq!(client.from(away).get("/v1/whoami").await.expect(403)["code"], "https_required");
    }
}
