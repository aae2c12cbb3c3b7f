//! `/v1/refusals`: the reason behind a reference.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use trousseau_testkit::app::{Business, TestApp};
use trousseau_testkit::client::Answer;
use trousseau_web::connection::Peer;

fn reference(answer: &Answer) -> String {
    answer.header("x-request-id").to_owned()
}

/// What the business is told about a refused call, in this language.
async fn told(app: &TestApp, business: &Business, reference: &str, language: &str) -> Value {
    app.app.jobs().run_pending().await.expect("written");
    let client = app.key(business.id(), business.value("test", "secret")).with("accept-language", language);
    client.get(&format!("/v1/refusals/{reference}")).await.expect(200)
}

#[tokio::test]
async fn an_old_value_is_found_by_its_reference_in_both_languages() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let path = format!("/v1/businesses/{}/keys", business.id());
        let made = app.platform().post(&format!("{path}?environment=test"), &json!({})).await.expect(201);
        let (id, old) = (made["id"].as_str().expect("an id"), made["value"].as_str().expect("a value"));
        app.advance(Duration::from_mins(1));
        app.platform().post_empty(&format!("{path}/{id}/rotate?environment=test")).await.expect(200);
        app.advance(Duration::from_mins(1));
        let refused = app.key(business.id(), old).with("user-agent", "curl/8.14.1 extra").get("/v1/whoami").await;
        assert_eq!(refused.status.as_u16(), 401);
        let english = told(&app, &business, &reference(&refused), "en").await;
        assert_eq!(english["code"], "key_rotated");
        assert_eq!(english["rule"], "The value is one that the key had before it was rotated.");
        assert_eq!(english["fix"], "Install the key’s new value where the old one is still used.");
        let hint = "The key was rotated at 2026-01-31T12:01:00Z; the caller still uses the old value.";
        assert_eq!(english["hint"], hint);
        assert_eq!((&english["key_id"], &english["key_version"]), (&json!(id), &json!(1)));
        assert_eq!((&english["client"], &english["address"]), (&json!("curl/8.14.1"), &json!("127.0.0.1")));
        assert_eq!(english["last_three"], old[old.len() - 3..]);
        assert!(!english.to_string().contains(old));
        let french = told(&app, &business, &reference(&refused), "fr").await;
        assert_eq!(french["rule"], "La valeur est l’une de celles que la clé avait avant son renouvellement.");
        let hint =
            "La clé a été renouvelée le 2026-01-31T12:01:00Z\u{a0}; l’appelant utilise encore l’ancienne valeur.";
        assert_eq!(french["hint"], hint);
    }
}

#[tokio::test]
async fn every_reason_names_what_probably_happened() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let other = app.business("mileston").await;
        let path = format!("/v1/businesses/{}/keys?environment=test", business.id());
        let narrow = app.platform().post(&path, &json!({"scopes": ["keys:read"]})).await.expect(201);
        let narrow = narrow["value"].as_str().expect("a value");
        let bound = app.platform().post(&path, &json!({"allowed_ips": ["203.0.113.0/24"]})).await.expect(201);
        let bound = bound["value"].as_str().expect("a value");
        let later = json!({"valid_from": "2026-02-01T00:00:00Z"});
        let later = app.platform().post(&path, &later).await.expect(201);
        let later = later["value"].as_str().expect("a value");
        // Well formed, unknown, and like a key at its end.
        let known = business.value("test", "secret");
        let typo = format!("unknown-but-well-formed-{}", &known[known.len() - 3..]);
        let client = |value: &str| app.key(business.id(), value);
        for (client, code, hint) in [
            (client(narrow), "scope_missing", json!("The permission events:read is missing.")),
            (client(bound), "ip_not_allowed", json!("The call came from 127.0.0.1.")),
            (client(later), "key_not_yet_valid", json!("It begins at 2026-02-01T00:00:00Z.")),
            (
                client(&typo),
                "key_unknown",
                json!("The value ends like that of key number 1: perhaps it was copied wrongly."),
            ),
            (
                app.key(other.id(), known),
                "business_mismatch",
                json!("The key is yours, but the id that was sent is that of another business, or none was."),
            ),
            (client("Mileston_TEST_broken"), "key_malformed", Value::Null),
            (
                client(known).with("origin", "https://shop.example"),
                "browser_not_allowed",
                json!("The call came from a page of https://shop.example."),
            ),
        ] {
            let refused = client.get("/v1/events").await;
            let reason = told(&app, &business, &reference(&refused), "en").await;
            assert_eq!((&reason["code"], &reason["hint"]), (&json!(code), &hint), "{reason}");
            assert_eq!((&reason["path"], &reason["door"]), (&json!("/v1/events"), &json!("api")));
        }
        let early = client(later).get("/v1/events").await;
        app.advance(Duration::from_hours(24));
        let reason = told(&app, &business, &reference(&early), "en").await;
        assert_eq!(reason["hint"], "What stood in the way is gone: the key is in force now.");
    }
}

#[tokio::test]
async fn a_live_key_travels_encrypted_and_stays_in_its_environment() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let outside = Peer { address: SocketAddr::from(([203, 0, 113, 7], 40_000)), tls: false };
        let refused = app.key(business.id(), business.value("live", "secret")).from(outside).get("/v1/keys").await;
        app.app.jobs().run_pending().await.expect("written");
        let path = format!("/v1/refusals/{}", reference(&refused));
        let by_live = app.key(business.id(), business.value("live", "secret")).get(&path).await.expect(200);
        assert_eq!((&by_live["code"], &by_live["address"]), (&json!("https_required"), &json!("203.0.113.7")));
        app.key(business.id(), business.value("test", "secret")).get(&path).await.expect(404);
        let operator = format!("/v1/businesses/{}/refusals/{}", business.id(), reference(&refused));
        assert_eq!(app.platform().get(&operator).await.expect(200), by_live);
    }
}

#[tokio::test]
async fn a_reference_of_another_business_is_as_good_as_none() {
    for app in TestApp::on_every_engine().await {
        let (business, other) = (app.business("mileston").await, app.business("mileston").await);
        let refused = app.key(business.id(), business.value("test", "checkout")).get("/v1/keys").await;
        app.app.jobs().run_pending().await.expect("written");
        let stranger = app.key(other.id(), other.value("test", "secret"));
        let foreign = stranger.get(&format!("/v1/refusals/{}", reference(&refused))).await.expect(404);
        let nothing = stranger.get(&format!("/v1/refusals/{}", "0".repeat(32))).await.expect(404);
        assert_eq!(foreign["code"], nothing["code"]);
        stranger.get("/v1/refusals/REFERENCE").await.expect(404);
        let operator = format!("/v1/businesses/{}/refusals/{}", other.id(), reference(&refused));
        app.platform().get(&operator).await.expect(404);
    }
}

/// One of many addresses: one that sends very many bad keys is made to wait.
fn peer(number: u16) -> Peer {
    let [high, low] = number.to_be_bytes();
    Peer { address: SocketAddr::from(([203, 0, high, low], 40_000)), tls: false }
}

#[tokio::test]
async fn of_a_flood_of_made_up_keys_so_many_a_second_are_kept_and_the_others_counted() {
    const KEPT: u16 = 500;
    const BEYOND: u16 = 7;
    let app = TestApp::on(trousseau_store::testing::TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let made_up = app.key(business.id(), "well-formed-and-nobody-has-it");
    let from = |number: u16| made_up.clone().from(peer(number));
    for number in 0..KEPT + BEYOND {
        assert_eq!(from(number).get("/v1/whoami").await.status.as_u16(), 401);
    }
    // So are those that cannot be read, and those that others ask about.
    assert_eq!(from(u16::MAX).with("x-api-key", "two of them").get("/v1/whoami").await.status.as_u16(), 400);
    let question = json!({"key": "well-formed-and-nobody-has-it", "business_id": business.id()});
    app.platform().post("/v1/keys/verify", &question).await.expect(200);
    let known = app.key(business.id(), business.value("test", "checkout")).get("/v1/events").await;
    app.app.jobs().flush_now().await.expect("written");
    for table in ["refusals", "requests"] {
        let count = format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table} WHERE key_id IS NULL");
        assert_eq!(app.database.texts(count.leak()).await, [KEPT.to_string()], "{table}");
    }
    assert_eq!(app.app.requests().dropped().notes, u64::from(BEYOND) + 2);
    // Others have their place beside them, and so has the next second.
    assert_eq!(told(&app, &business, &reference(&known), "en").await["code"], "kind_not_allowed");
    app.advance(Duration::from_secs(1));
    let refused = from(0).get("/v1/whoami").await;
    assert_eq!(told(&app, &business, &reference(&refused), "en").await["code"], "key_unknown");
}

#[tokio::test]
async fn of_what_goes_wrong_with_one_key_so_much_a_second_is_kept_and_all_of_it_is_counted() {
    const KEPT: u16 = 50;
    const BEYOND: u16 = 7;
    let app = TestApp::on(trousseau_store::testing::TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let from = |number: u16, kind: &str| app.key(business.id(), business.value("test", kind)).from(peer(number));
    for number in 0..KEPT + BEYOND {
        assert_eq!(from(number, "checkout").get("/v1/keys").await.status.as_u16(), 403);
        assert_eq!(from(number, "secret").get("/v1/payments/none").await.status.as_u16(), 404);
    }
    // So is what others ask about.
    let question = json!({"key": business.value("test", "checkout"), "business_id": business.id(), "kind": "secret"});
    app.platform().post("/v1/keys/verify", &question).await.expect(200);
    // Other keys have their place beside it, and so has the next second.
    let other = from(0, "secret").with("origin", "https://shop.example").get("/v1/keys").await;
    app.app.jobs().flush_now().await.expect("written");
    let texts = async |query: &'static str| app.database.texts(query).await;
    let requests =
        "SELECT CAST(COUNT(*) AS TEXT) FROM requests WHERE key_id IS NOT NULL GROUP BY outcome ORDER BY outcome";
    assert_eq!(texts(requests).await, [KEPT.to_string(), (KEPT + 1).to_string()]);
    assert_eq!(texts("SELECT CAST(COUNT(*) AS TEXT) FROM refusals").await, [(KEPT + 1).to_string()]);
    let usage = "SELECT CAST(SUM(requests) AS TEXT) FROM usage_days GROUP BY outcome ORDER BY outcome";
    assert_eq!(texts(usage).await, [(KEPT + BEYOND).to_string(), (KEPT + BEYOND + 2).to_string()]);
    assert_eq!(told(&app, &business, &reference(&other), "en").await["code"], "browser_not_allowed");
    app.advance(Duration::from_secs(1));
    let refused = from(0, "checkout").get("/v1/keys").await;
    assert_eq!(told(&app, &business, &reference(&refused), "en").await["code"], "kind_not_allowed");
}

#[tokio::test]
async fn of_good_answers_to_others_so_many_a_second_are_kept_and_all_are_counted() {
    const KEPT: usize = 500;
    const BEYOND: usize = 7;
    let app = TestApp::on(trousseau_store::testing::TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let question = json!({"key": business.value("test", "secret"), "business_id": business.id()});
    let batch = json!({"requests": vec![question; KEPT + BEYOND]});
    app.platform().post("/v1/keys/verify", &batch).await.expect(200);
    app.app.jobs().flush_now().await.expect("written");
    let requests = "SELECT CAST(COUNT(*) AS TEXT) FROM requests WHERE door = 'verify'";
    assert_eq!(app.database.texts(requests).await, [KEPT.to_string()]);
    let usage = "SELECT CAST(SUM(requests) AS TEXT) FROM usage_days WHERE outcome = 'succeeded'";
    assert_eq!(app.database.texts(usage).await, [(KEPT + BEYOND).to_string()]);
    let used = "SELECT CAST(COUNT(*) AS TEXT) FROM key_uses";
    assert_eq!(app.database.texts(used).await, ["1"]);
}

#[tokio::test]
async fn each_refused_question_of_the_verify_call_has_its_own_reference() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let value = business.value("test", "secret");
        let question = |scope: Option<&str>| json!({"key": value, "business_id": business.id(), "scope": scope});
        let batch =
            json!({"requests": [question(Some("webhooks:write")), question(None), question(Some("keys:write"))]});
        let answer = app.platform().post("/v1/keys/verify", &batch).await.expect(200);
        let results = answer["results"].as_array().expect("answers");
        assert!(results[1].get("reference").is_none(), "{answer}");
        for (index, scope) in [(0, "webhooks:write"), (2, "keys:write")] {
            let reference = results[index]["reference"].as_str().expect("a reference");
            let reason = told(&app, &business, reference, "en").await;
            assert_eq!((&reason["door"], &reason["missing_scope"]), (&json!("verify"), &json!(scope)), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_refused_question_has_a_reference_only_where_the_reason_is_kept() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let value = business.value("test", "secret");
        let platform = app.platform_with(&["verify"]).await;
        for (question, code, is_kept) in [
            (json!({"key": "Mileston_TEST_broken", "business_id": business.id()}), "key_malformed", true),
            (json!({"key": "clé", "business_id": business.id()}), "credential_malformed", true),
            (json!({"key": platform, "business_id": business.id()}), "kind_not_allowed", true),
            (json!({"key": value}), "business_id_missing", false),
            (json!({"key": platform}), "kind_not_allowed", false),
            (json!({"key": "nobody-has-it", "business_id": "none-such"}), "key_unknown", true),
            (json!({"key": value, "business_id": business.id()}), "ok", false),
        ] {
            let answer = app.platform().post("/v1/keys/verify", &question).await.expect(200);
            assert_eq!(answer["code"], code, "{answer}");
            assert_eq!(answer["reference"].is_string(), is_kept, "{answer}");
            if is_kept && question["business_id"] == business.id() {
                let reason = told(&app, &business, answer["reference"].as_str().expect("a reference"), "en").await;
                assert_eq!((&reason["code"], &reason["door"]), (&json!(code), &json!("verify")), "{reason}");
            }
        }
    }
}
