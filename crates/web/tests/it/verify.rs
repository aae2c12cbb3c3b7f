//! `POST /v1/keys/verify`: every code, one question or many.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trousseau_domain::decision::Reason;
use trousseau_testkit::app::{Business, TestApp};

/// A key of the business in TEST, made by the operator.
async fn made(app: &TestApp, business: &Business, draft: Value) -> Value {
    app.platform().post(&format!("/v1/businesses/{}/keys?environment=test", business.id()), &draft).await.expect(201)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// A question about a key, with its business's id beside it.
fn about(business: &Business, key: &Value, more: &Value) -> Value {
    let mut question = json!({"key": text(key, "value"), "business_id": business.id()});
    for (name, value) in more.as_object().expect("an object") {
        question[name] = value.clone();
    }
    question
}

/// Reasons that no question can have: they are about how a request came to a door of ours.
const ABOUT_THE_REQUEST: [Reason; 7] = [
    Reason::AmbiguousCredentials,
    Reason::KeyInUrl,
    Reason::CredentialMissing,
    Reason::SchemeUnsupported,
    Reason::HttpsRequired,
    // Rates are not there yet.
    Reason::RateLimited,
    Reason::QuotaExhausted,
];

#[tokio::test]
async fn each_reason_has_its_code_alone_and_in_a_batch() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let other = app.business("mileston").await;
        let closed = app.business("mileston").await;
        let key = |environment, kind| business.key(environment, kind).clone();
        let path = |id: &str, rest: &str| format!("/v1/businesses/{}/keys/{id}{rest}?environment=test", business.id());
        let inactive = made(&app, &business, json!({"state": "inactive"})).await;
        let scheduled = made(&app, &business, json!({"valid_from": "2026-02-01T00:00:00Z"})).await;
        let expired =
            made(&app, &business, json!({"valid_from": "2020-01-01T00:00:00Z", "valid_until": "2026-01-31T12:00:00Z"}))
                .await;
        let bound =
            made(&app, &business, json!({"allowed_ips": ["203.0.113.0/24"], "scopes": ["payments:read"]})).await;
        let page =
            made(&app, &business, json!({"kind": "checkout", "allowed_origins": ["https://shop.example"]})).await;
        let revoked = made(&app, &business, json!({})).await;
        app.platform().post_empty(&path(text(&revoked, "id"), "/revoke")).await.expect(200);
        let rotated = made(&app, &business, json!({})).await;
        app.platform().post_empty(&path(text(&rotated, "id"), "/rotate")).await.expect(200);
        app.platform().post_empty(&format!("/v1/businesses/{}/suspend", closed.id())).await.expect(200);
        let mut mistyped = key("test", "secret");
        mistyped["value"] = text(&mistyped, "value").replace("Mileston_TEST_", "Mileston_LIVE_").into();
        let strange = |value: &str| json!({"key": value, "business_id": business.id()});
        let no_id = json!({"key": text(&key("test", "secret"), "value")});
        let good = json!({"origin": "https://shop.example", "ip": "203.0.113.7"});

        let cases = [
            ("ok", about(&business, &key("test", "secret"), &json!({"scope": "payments:read", "environment": "test"}))),
            ("ok", about(&business, &key("live", "checkout"), &json!({"origin": "https://any.example"}))),
            ("ok", about(&business, &bound, &json!({"ip": "203.0.113.7"}))),
            ("ok", about(&business, &page, &good)),
            ("ok", about(&business, &page, &json!({}))),
            ("credential_malformed", strange("clé")),
            ("credential_malformed", strange("")),
            ("credential_malformed", strange(&"x".repeat(256))),
            ("key_malformed", about(&business, &mistyped, &json!({}))),
            ("key_malformed", strange("Mileston_TEST_")),
            ("business_id_missing", no_id),
            ("business_id_missing", about(&business, &key("test", "secret"), &json!({"business_id": ""}))),
            ("key_unknown", strange("no-key-of-anybody")),
            ("business_mismatch", about(&other, &key("test", "secret"), &json!({}))),
            ("environment_mismatch", about(&business, &key("test", "secret"), &json!({"environment": "live"}))),
            ("environment_mismatch", about(&business, &key("live", "secret"), &json!({"environment": "test"}))),
            ("key_revoked", about(&business, &revoked, &json!({}))),
            ("key_rotated", about(&business, &rotated, &json!({}))),
            ("key_inactive", about(&business, &inactive, &json!({}))),
            ("key_not_yet_valid", about(&business, &scheduled, &json!({}))),
            ("key_expired", about(&business, &expired, &json!({}))),
            ("business_suspended", about(&closed, closed.key("test", "secret"), &json!({}))),
            ("browser_not_allowed", about(&business, &key("test", "secret"), &good)),
            ("ok", about(&business, &page, &json!({"kind": "checkout"}))),
            ("kind_not_allowed", about(&business, &page, &json!({"kind": "secret"}))),
            ("ip_not_allowed", about(&business, &bound, &json!({"ip": "203.0.114.7"}))),
            ("ip_not_allowed", about(&business, &bound, &json!({}))),
            ("origin_not_allowed", about(&business, &page, &json!({"origin": "https://shop.example.evil"}))),
            ("origin_not_allowed", about(&business, &page, &json!({"origin": "null"}))),
            ("scope_missing", about(&business, &bound, &json!({"scope": "payments:write", "ip": "203.0.113.7"}))),
            ("scope_missing", about(&business, &key("test", "secret"), &json!({"scope": "made:up"}))),
        ];
        let verify = async |body: &Value| app.platform().post("/v1/keys/verify", body).await.expect(200);
        for (code, question) in &cases {
            let verdict = verify(question).await;
            assert_eq!(verdict["code"], *code, "{question}");
            assert_eq!(verdict["valid"], *code == "ok", "{question}");
            assert_eq!(verdict["key"].is_object(), *code == "ok", "{question}");
            assert_eq!(verdict["missing_scope"].is_string(), *code == "scope_missing", "{question}");
        }
        let questions: Vec<&Value> = cases.iter().map(|(_, question)| question).collect();
        let batch = verify(&json!({"requests": questions})).await;
        let codes: Vec<&str> =
            batch["results"].as_array().expect("results").iter().map(|verdict| text(verdict, "code")).collect();
        assert_eq!(codes, cases.iter().map(|(code, _)| *code).collect::<Vec<_>>());

        let all = "every word there is".parse::<Reason>().expect_err("no reason").known;
        let every: BTreeSet<&str> = all.split_whitespace().collect();
        let outside: BTreeSet<&str> = ABOUT_THE_REQUEST.iter().map(|reason| reason.as_str()).collect();
        let seen: BTreeSet<&str> = codes.into_iter().filter(|code| *code != "ok").collect();
        assert_eq!(seen, every.difference(&outside).copied().collect(), "a reason without a case");
    }
}

#[tokio::test]
async fn a_good_key_is_described_as_whoami_does() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let of_business = format!("/v1/businesses/{}", business.id());
        app.platform().patch(&of_business, &json!({"metadata": {"customer": "17"}})).await.expect(200);
        let key = made(&app, &business, json!({"metadata": {"job": "nightly"}})).await;
        let verdict = app.platform().post("/v1/keys/verify", &about(&business, &key, &json!({}))).await.expect(200);
        let whoami = app.key(business.id(), text(&key, "value")).get("/v1/whoami").await.expect(200);
        assert_eq!(verdict["key"], whoami);
        assert_eq!(
            (&whoami["metadata"]["job"], &whoami["business_metadata"]["customer"]),
            (&json!("nightly"), &json!("17"))
        );
    }
}

#[tokio::test]
async fn a_platform_key_is_no_key_of_a_business() {
    for app in TestApp::on_every_engine().await {
        // As at every other door.
        let own = app.platform_with(&["verify"]).await;
        let mut unknown = own.clone().into_bytes();
        unknown.reverse();
        let unknown = String::from_utf8(unknown).expect("ASCII");
        for (question, code) in [
            (json!({"key": own}), "kind_not_allowed"),
            (json!({"key": own, "origin": "https://shop.example"}), "browser_not_allowed"),
            (json!({"key": unknown}), "key_unknown"),
        ] {
            let answer = app.platform().post("/v1/keys/verify", &question).await;
            assert_eq!(answer.expect(200)["code"], code, "{question}");
        }
    }
}

#[tokio::test]
async fn what_is_no_question_is_refused_by_its_place() {
    for app in TestApp::on_every_engine().await {
        for (body, status, pointer) in [
            (json!({}), 400, "/key"),
            (json!({"key": "x", "ip": "nowhere"}), 400, "/ip"),
            (json!({"key": "x", "scope": "payments"}), 400, "/scope"),
            (json!({"key": "x", "environment": "LIVE"}), 400, "/environment"),
            (json!({"key": "x", "oops": 1}), 400, "/oops"),
            (json!({"requests": [{"key": "x"}, {}]}), 400, "/requests/1/key"),
            (json!({"requests": [{"key": "x", "requests": []}]}), 400, "/requests/0/requests"),
            (json!({"key": "x", "requests": []}), 400, "/key"),
            (json!({"business_id": "b", "requests": []}), 400, "/business_id"),
            (json!({"environment": "live", "requests": []}), 400, "/environment"),
            (json!({"kind": "secret", "requests": []}), 400, "/kind"),
            (json!({"scope": "payments:read", "requests": []}), 400, "/scope"),
            (json!({"origin": "https://shop.example", "requests": []}), 400, "/origin"),
            (json!({"ip": "203.0.113.7", "requests": []}), 400, "/ip"),
            (json!({"requests": vec![json!({"key": "x"}); 1_001]}), 422, "/requests"),
        ] {
            let answer = app.platform().post("/v1/keys/verify", &body).await;
            let problem = answer.expect(status);
            let places: Vec<&str> =
                problem["errors"].as_array().expect("errors").iter().map(|error| text(error, "pointer")).collect();
            assert!(places.contains(&pointer), "{problem}");
        }
        let empty = app.platform().post("/v1/keys/verify", &json!({"requests": []})).await.expect(200);
        assert_eq!(empty, json!({"results": []}));
    }
}

#[tokio::test]
async fn a_repeated_question_is_answered_anew() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let key = made(&app, &business, json!({})).await;
        let client = app.platform().with("idempotency-key", "ask");
        // A question that makes no sense leaves its name to the next one.
        let senseless = client.post("/v1/keys/verify", &json!({"key": "x", "ip": "here"})).await.expect(400);
        assert_eq!(senseless["errors"][0]["detail"], "must be an IP address", "{senseless}");
        let question = about(&business, &key, &json!({}));
        assert_eq!(client.post("/v1/keys/verify", &question).await.expect(200)["valid"], true);
        let revoke = format!("/v1/businesses/{}/keys/{}/revoke?environment=test", business.id(), text(&key, "id"));
        app.platform().post_empty(&revoke).await.expect(200);
        // A yes from before is none.
        assert_eq!(client.post("/v1/keys/verify", &question).await.expect(200)["code"], "key_revoked");
        let other = client.post("/v1/keys/verify", &json!({"key": "x"})).await;
        assert_eq!(other.expect(422)["code"], "idempotency_key_reused");
    }
}
