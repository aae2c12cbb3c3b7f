//! `/v1/webhook_endpoints`, and what arrives at receivers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::watch;
use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::EventId;
use trousseau_service::EventRow;
use trousseau_testkit::app::{Business, TestApp};
use trousseau_testkit::client::Client;
use trousseau_testkit::receiver::{Heard, Receiver};

/// A key of the business with these scopes.
async fn key(app: &TestApp, business: &Business, environment: &str, scopes: &[&str]) -> Client {
    let path = format!("/v1/businesses/{}/keys?environment={environment}", business.id());
    let made = app.platform().post(&path, &json!({"scopes": scopes})).await.expect(201);
    app.key(business.id(), made["value"].as_str().expect("a value"))
}

/// A key that may do everything with webhooks.
async fn caller(app: &TestApp, business: &Business, environment: &str) -> Client {
    key(app, business, environment, &["webhooks:read", "webhooks:write", "events:read"]).await
}

async fn register(client: &Client, receiver: &Receiver, more: Value) -> Value {
    let mut body = json!({"url": receiver.url()});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    client.post("/v1/webhook_endpoints", &body).await.expect(201)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

fn path(endpoint: &Value) -> String {
    format!("/v1/webhook_endpoints/{}", text(endpoint, "id"))
}

/// The `v1` signature of a message as its receiver computes it.
fn signature(secret: &str, heard: &Heard) -> String {
    let secret = STANDARD.decode(secret.strip_prefix("whsec_").expect("a prefix")).expect("base 64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).expect("any length");
    mac.update(
        format!("{}.{}.{}", heard.header("webhook-id"), heard.header("webhook-timestamp"), heard.body).as_bytes(),
    );
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Something happens to the business that nobody else has a part in.
async fn happen(app: &TestApp, business: &Business, environment: Environment, kind: &str, bits: u128, data: Value) {
    let mut tx = app.app.store().begin().await.expect("begins");
    let event = EventRow {
        id: EventId::from_bits(bits),
        at: app.app.now(),
        business: business.id().parse().expect("an id"),
        environment: Some(environment),
        kind: kind.to_owned(),
        key_id: None,
        subject: None,
        actor: Actor::System,
        data,
        request_id: None,
    };
    tx.append_event(&event).await.expect("appends");
    tx.commit().await.expect("commits");
}

async fn run(app: &TestApp) {
    app.app.jobs().run_pending().await.expect("the database answers");
}

#[tokio::test]
async fn an_endpoint_is_registered_changed_and_removed() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mine = caller(&app, &business, "test").await;
        let body = json!({"url": "http://127.0.0.1:9/", "description": " Orders ", "event_types": ["key.created"]});
        let named = mine.clone().with("idempotency-key", "one");
        let made = named.post("/v1/webhook_endpoints", &body).await.expect(201);
        assert!(text(&made, "secret").starts_with("whsec_") && text(&made, "public_key").starts_with("whpk_"));
        assert_eq!(made["verification_token"], Value::Null);
        let again = named.post("/v1/webhook_endpoints", &body).await.expect(201);
        assert_eq!((&again["id"], &again["secret"]), (&made["id"], &Value::Null));
        assert!(text(&again, "advice").contains("rotate"));

        let shown = mine.get(&path(&made)).await.expect(200);
        assert_eq!(shown.get("secret"), None);
        assert_eq!((text(&shown, "description"), text(&shown, "state")), ("Orders", "enabled"));
        let list = mine.get("/v1/webhook_endpoints").await.expect(200);
        assert_eq!(list, json!({"data": [shown], "has_more": false}));
        let revealed = mine.post_empty(&format!("{}/reveal_secret", path(&made))).await.expect(200);
        assert_eq!(revealed["secret"], made["secret"]);

        let change = json!({"state": "disabled", "description": null, "event_types": []});
        let changed = mine.patch(&path(&made), &change).await.expect(200);
        assert_eq!((text(&changed, "state"), text(&changed, "disabled_reason")), ("disabled", "manual"));
        assert_eq!((&changed["description"], &changed["event_types"]), (&Value::Null, &json!([])));
        let test = mine.post_empty(&format!("{}/test", path(&made))).await.expect(409);
        assert_eq!(text(&test, "code"), "endpoint_disabled");
        // Whoever goes through the list page by page and removes what is there goes on from what is gone.
        app.advance(Duration::from_secs(1));
        let newer = mine.post("/v1/webhook_endpoints", &json!({"url": "http://127.0.0.1:9/"})).await.expect(201);
        mine.delete(&path(&newer)).await.expect(204);
        let from = |id: &str| format!("/v1/webhook_endpoints?starting_after={id}");
        let rest = mine.get(&from(text(&newer, "id"))).await.expect(200);
        assert_eq!((rest["data"].as_array().map(Vec::len), &rest["data"][0]["id"]), (Some(1), &made["id"]));
        let elsewhere = caller(&app, &business, "live").await;
        elsewhere.get(&from(text(&newer, "id"))).await.expect(422);

        mine.delete(&path(&made)).await.expect(204);
        mine.get(&path(&made)).await.expect(404);
        mine.delete(&path(&made)).await.expect(404);

        let events = mine.get("/v1/events").await.expect(200);
        let kinds: Vec<&str> =
            events["data"].as_array().expect("a list").iter().map(|event| text(event, "type")).collect();
        let webhooks: Vec<&str> = kinds.into_iter().filter(|kind| kind.starts_with("webhook")).collect();
        assert_eq!(
            webhooks,
            [
                "webhook_endpoint.deleted",
                "webhook_endpoint.deleted",
                "webhook_endpoint.created",
                "webhook_endpoint.updated",
                "webhook_endpoint.secret_revealed",
                "webhook_endpoint.created"
            ]
        );
        assert!(!events.to_string().contains(text(&made, "secret")));

        let live = caller(&app, &business, "live").await;
        let body = json!({"url": "https://shop.example/webhooks"});
        let made = live.post("/v1/webhook_endpoints", &body).await.expect(201);
        assert!(text(&made, "secret").starts_with("whsec_"));
        let refused = live.post_empty(&format!("{}/reveal_secret", path(&made))).await.expect(403);
        assert_eq!(text(&refused, "code"), "value_not_readable");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mine = caller(&app, &business, "test").await;
        let good = "https://shop.example/";
        for (body, pointer) in [
            (json!({"url": "http://shop.example/"}), "/url"),
            (json!({"url": "https://169.254.169.254/"}), "/url"),
            (json!({"url": "https://[::ffff:10.0.0.1]/"}), "/url"),
            (json!({"url": "shop.example"}), "/url"),
            (json!({"url": good, "event_types": ["key.created", "nonsense"]}), "/event_types"),
            (json!({"url": good, "dialect": "mileston", "event_types": ["key.created"]}), "/event_types"),
            (json!({"url": good, "verification_token": "0123456789"}), "/verification_token"),
            (json!({"url": good, "dialect": "mileston", "verification_token": "short"}), "/verification_token"),
            (json!({"url": good, "description": "x".repeat(201)}), "/description"),
        ] {
            let refused = mine.post("/v1/webhook_endpoints", &body).await.expect(422);
            assert_eq!(refused["errors"][0]["pointer"], pointer, "{body}: {refused}");
        }
        mine.post("/v1/webhook_endpoints", &json!({"url": good, "other": 1})).await.expect(400);
        // LIVE never reaches this machine, listed or not.
        let live = caller(&app, &business, "live").await;
        live.post("/v1/webhook_endpoints", &json!({"url": "https://127.0.0.1/"})).await.expect(422);
        // Whoever is told of everything must be one who may read it.
        let deaf = key(&app, &business, "test", &["webhooks:read", "webhooks:write"]).await;
        let refused = deaf.post("/v1/webhook_endpoints", &json!({"url": good})).await.expect(403);
        assert_eq!((text(&refused, "code"), text(&refused, "scope")), ("beyond_own_rights", "events:read"));
        for _ in 0..20 {
            mine.post("/v1/webhook_endpoints", &json!({"url": good})).await.expect(201);
        }
        let full = mine.post("/v1/webhook_endpoints", &json!({"url": good})).await.expect(409);
        assert_eq!(text(&full, "code"), "endpoint_limit_reached");
        app.platform().post_empty(&format!("/v1/businesses/{}/suspend", business.id())).await.expect(200);
        mine.post("/v1/webhook_endpoints", &json!({"url": good})).await.expect(401);
    }
}

#[tokio::test]
async fn an_event_arrives_signed_and_leaves_a_record() {
    for app in TestApp::on_every_engine().await {
        let (business, other) = (app.business("mileston").await, app.business("mileston").await);
        let mine = caller(&app, &business, "test").await;
        run(&app).await;
        let receiver = Receiver::start().await;
        let endpoint = register(&mine, &receiver, json!({"event_types": ["key.updated"]})).await;
        let strangers = Receiver::start().await;
        register(&caller(&app, &other, "test").await, &strangers, json!({"event_types": ["key.updated"]})).await;
        happen(&app, &business, Environment::Test, "key.updated", 1, json!({"n": 1})).await;
        happen(&app, &business, Environment::Test, "key.created", 2, json!({"n": 2})).await;
        happen(&app, &business, Environment::Live, "key.updated", 3, json!({"n": 3})).await;
        run(&app).await;
        let heard = receiver.heard();
        assert_eq!(heard.len(), 1, "{heard:?}");
        let id = EventId::from_bits(1).to_string();
        assert_eq!(heard[0].header("webhook-id"), id);
        assert_eq!(heard[0].header("webhook-timestamp"), app.app.now().as_seconds().to_string());
        let expected = json!({
            "id": id, "type": "key.updated", "timestamp": "2026-01-31T12:00:00Z", "business_id": business.id(),
            "environment": "test", "data": {"n": 1},
        });
        assert_eq!(heard[0].json(), expected);
        let signatures: Vec<&str> = heard[0].header("webhook-signature").split(' ').collect();
        assert_eq!(signatures[0], signature(text(&endpoint, "secret"), &heard[0]));
        assert!(signatures[1].starts_with("v1a,") && signatures.len() == 2, "{signatures:?}");
        assert!(strangers.heard().is_empty());

        let list = mine.get(&format!("{}/deliveries", path(&endpoint))).await.expect(200);
        assert_eq!(list["data"].as_array().map(Vec::len), Some(1), "{list}");
        let delivery = &list["data"][0];
        assert_eq!((text(delivery, "state"), &delivery["last_status"]), ("delivered", &json!(204)));
        let at = format!("{}/deliveries/{}", path(&endpoint), text(delivery, "id"));
        let shown = mine.get(&at).await.expect(200);
        let log = &shown["log"][0];
        assert_eq!((&log["answer"]["status"], text(&log["request"], "body")), (&json!(204), heard[0].body.as_str()));
        assert_eq!(mine.get(&path(&endpoint)).await.expect(200)["last_success_at"], "2026-01-31T12:00:00Z");

        // Once more, with the same id.
        mine.post_empty(&format!("{at}/resend")).await.expect(202);
        run(&app).await;
        let heard = receiver.heard();
        assert_eq!((heard.len(), heard[1].header("webhook-id")), (2, id.as_str()));
        assert_eq!(mine.get(&at).await.expect(200)["attempts"], 2);
        let audited = app.database.texts("SELECT action FROM audit_entries ORDER BY seq DESC").await;
        assert_eq!(audited[0], "webhook_delivery.resent");
        let failed = mine.get(&format!("{}/deliveries?state=failed", path(&endpoint))).await.expect(200);
        assert_eq!(failed["data"], json!([]));
    }
}

#[tokio::test]
async fn a_failing_receiver_is_tried_for_three_days_and_then_disabled() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let _member = app.member(business.id(), "developer").await;
        let mine = caller(&app, &business, "test").await;
        let receiver = Receiver::start().await;
        receiver.answer("500 Oops", "");
        let endpoint = register(&mine, &receiver, json!({"event_types": ["key.updated"]})).await;
        happen(&app, &business, Environment::Test, "key.updated", 1, json!({})).await;
        run(&app).await;
        assert_eq!(receiver.heard().len(), 1);
        run(&app).await;
        assert_eq!(receiver.heard().len(), 1, "it was not left alone");
        app.advance(Duration::from_secs(6));
        run(&app).await;
        assert_eq!(receiver.heard().len(), 2);
        let deliveries = format!("{}/deliveries", path(&endpoint));
        for _ in 3..=10 {
            let list = mine.get(&deliveries).await.expect(200);
            assert_eq!(text(&list["data"][0], "state"), "pending");
            app.advance(Duration::from_hours(27));
            run(&app).await;
        }
        let heard = receiver.heard();
        assert_eq!(heard.len(), 10);
        let ids: BTreeSet<&str> = heard.iter().map(|heard| heard.header("webhook-id")).collect();
        assert_eq!(ids.len(), 1);
        let times: BTreeSet<&str> = heard.iter().map(|heard| heard.header("webhook-timestamp")).collect();
        assert_eq!(times.len(), 10);
        let list = mine.get(&deliveries).await.expect(200);
        assert_eq!((text(&list["data"][0], "state"), &list["data"][0]["last_status"]), ("failed", &json!(500)));
        let shown = mine.get(&path(&endpoint)).await.expect(200);
        assert_eq!((text(&shown, "state"), text(&shown, "disabled_reason")), ("disabled", "failing"));
        let told = mine.get("/v1/events?type=webhook_endpoint.disabled").await.expect(200);
        assert_eq!(told["data"][0]["data"]["reason"], "failing");
        let mails = app.mails().await;
        assert!(mails.iter().any(|mail| mail.contains("A webhook endpoint was disabled")), "{mails:?}");

        // What happens while it is off is not sent, what failed is sent again once somebody asks for it.
        happen(&app, &business, Environment::Test, "key.updated", 2, json!({})).await;
        run(&app).await;
        receiver.answer("200 OK", "");
        mine.patch(&path(&endpoint), &json!({"state": "enabled"})).await.expect(200);
        run(&app).await;
        assert_eq!(receiver.heard().len(), 10);
        mine.post_empty(&format!("{deliveries}/{}/resend", text(&list["data"][0], "id"))).await.expect(202);
        run(&app).await;
        assert_eq!(receiver.heard().len(), 11);
    }
}

#[tokio::test]
async fn who_is_gone_is_disabled_and_who_asks_for_time_gets_it() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mine = caller(&app, &business, "test").await;
        let (gone, busy) = (Receiver::start().await, Receiver::start().await);
        gone.answer("410 Gone", "");
        busy.answer("429 Too Many Requests", "retry-after: 3600\r\n");
        let only = json!({"event_types": ["key.updated"]});
        let (one, other) = (register(&mine, &gone, only.clone()).await, register(&mine, &busy, only).await);
        happen(&app, &business, Environment::Test, "key.updated", 1, json!({})).await;
        run(&app).await;
        let shown = mine.get(&path(&one)).await.expect(200);
        assert_eq!((text(&shown, "state"), text(&shown, "disabled_reason")), ("disabled", "gone"));
        // Everything for the busy one waits, what comes later too.
        happen(&app, &business, Environment::Test, "key.updated", 2, json!({})).await;
        app.advance(Duration::from_mins(59));
        run(&app).await;
        assert_eq!((gone.heard().len(), busy.heard().len()), (1, 1));
        busy.answer("200 OK", "");
        app.advance(Duration::from_mins(2));
        run(&app).await;
        assert_eq!((gone.heard().len(), busy.heard().len()), (1, 3));
        assert_eq!(text(&mine.get(&path(&other)).await.expect(200), "state"), "enabled");
    }
}

#[tokio::test]
async fn a_rotation_signs_with_both_secrets_for_a_while() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mine = caller(&app, &business, "test").await;
        let receiver = Receiver::start().await;
        let old = register(&mine, &receiver, json!({"event_types": ["key.updated"]})).await;
        let rotated = mine.post(&format!("{}/rotate_secret", path(&old)), &json!({"overlap_seconds": 3600})).await;
        let new = rotated.expect(200);
        assert_ne!(new["secret"], old["secret"]);
        assert_eq!(text(&new, "previous_secret_valid_until"), "2026-01-31T13:00:00Z");
        // A second overlap would end the secret that the receiver still checks with.
        let again = mine.post(&format!("{}/rotate_secret", path(&old)), &json!({"overlap_seconds": 60})).await;
        assert_eq!(text(&again.expect(409), "code"), "overlap_in_progress");
        let test = format!("{}/test", path(&old));
        mine.post_empty(&test).await.expect(202);
        run(&app).await;
        app.advance(Duration::from_hours(1));
        mine.post_empty(&test).await.expect(202);
        run(&app).await;
        let heard = receiver.heard();
        let signed = |heard: &Heard, by: &Value| {
            heard.header("webhook-signature").split(' ').any(|one| one == signature(text(by, "secret"), heard))
        };
        assert!(signed(&heard[0], &old) && signed(&heard[0], &new));
        assert!(!signed(&heard[1], &old) && signed(&heard[1], &new));
        // Without an overlap it always works, and ends both old ones.
        let last =
            mine.post(&format!("{}/rotate_secret", path(&old)), &json!({"overlap_seconds": 60})).await.expect(200);
        let only =
            mine.post(&format!("{}/rotate_secret", path(&old)), &json!({"overlap_seconds": 0})).await.expect(200);
        mine.post_empty(&test).await.expect(202);
        run(&app).await;
        let heard = receiver.heard();
        assert!(!signed(&heard[2], &new) && !signed(&heard[2], &last) && signed(&heard[2], &only));
        let longest = json!({"overlap_seconds": 2_592_001});
        mine.post(&format!("{}/rotate_secret", path(&old)), &longest).await.expect(422);
    }
}

#[tokio::test]
async fn who_may_not_read_events_reads_none_in_deliveries() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mine = caller(&app, &business, "test").await;
        let receiver = Receiver::start().await;
        let endpoint = register(&mine, &receiver, json!({"event_types": ["key.updated"]})).await;
        happen(&app, &business, Environment::Test, "key.updated", 1, json!({"secret": "of others"})).await;
        run(&app).await;
        let deaf = key(&app, &business, "test", &["webhooks:read"]).await;
        let list = format!("{}/deliveries", path(&endpoint));
        let found = deaf.get(&list).await.expect(200);
        let delivery = format!("{list}/{}", text(&found["data"][0], "id"));
        let refused = deaf.get(&delivery).await.expect(403);
        assert_eq!((text(&refused, "code"), text(&refused, "scope")), ("scope_missing", "events:read"));
        assert!(mine.get(&delivery).await.expect(200).to_string().contains("of others"));
    }
}

#[tokio::test]
async fn milestons_receivers_hear_what_they_know() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mine = caller(&app, &business, "test").await;
        let receiver = Receiver::start().await;
        let wanted = json!({
            "dialect": "mileston", "event_types": ["paymentlink-paid"], "verification_token": "their-own-token",
        });
        let endpoint = register(&mine, &receiver, wanted).await;
        assert_eq!(text(&endpoint, "verification_token"), "their-own-token");
        let paid = |kind: &str| {
            json!({"payment": {
                "payable": {"type": kind, "id": "plink_1"}, "amount": "12.50", "network": "test:sui",
                "address": "test_a", "payer": null, "transaction_hash": "0xabc",
            }})
        };
        happen(&app, &business, Environment::Test, "payment.succeeded", 1, paid("payment_link")).await;
        happen(&app, &business, Environment::Test, "payment.succeeded", 2, paid("invoice")).await;
        happen(&app, &business, Environment::Test, "payment.processing", 3, paid("payment_link")).await;
        run(&app).await;
        let heard = receiver.heard();
        assert_eq!(heard.len(), 1, "{heard:?}");
        // What somebody accepts is paid, and told of in the same words.
        let mut accepted = paid("payment_link");
        accepted["decision"] = json!({"verdict": "accept", "reason": "Good enough."});
        happen(&app, &business, Environment::Test, "payment.resolved", 4, accepted).await;
        run(&app).await;
        assert_eq!(receiver.heard().last().expect("one more").json()["event"], "paymentlink-paid");
        assert_eq!(heard[0].header("x-webhook-signature"), "their-own-token");
        assert!(heard[0].header("webhook-signature").starts_with(&signature(text(&endpoint, "secret"), &heard[0])));
        let body = heard[0].json();
        assert_eq!(body["event"], "paymentlink-paid");
        assert_eq!((&body["payload"]["chain"], &body["payload"]["status"]), (&json!("sui"), &json!("paid")));
        // The token is in no record.
        let list = mine.get(&format!("{}/deliveries", path(&endpoint))).await.expect(200);
        let at = format!("{}/deliveries/{}", path(&endpoint), text(&list["data"][0], "id"));
        assert!(!mine.get(&at).await.text().contains("their-own-token"));
    }
}

#[tokio::test]
async fn a_silent_receiver_keeps_no_other_from_hearing() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mine = caller(&app, &business, "test").await;
        let (silent, good) = (Receiver::start().await, Receiver::start().await);
        silent.never_answer();
        for receiver in [&silent, &good] {
            register(&mine, receiver, json!({"event_types": ["key.updated"]})).await;
        }
        for bits in 1..=40 {
            happen(&app, &business, Environment::Test, "key.updated", bits, json!({})).await;
        }
        let (_stop, stopped) = watch::channel(false);
        let jobs = app.app.jobs().clone();
        let running = tokio::spawn(async move { jobs.run(stopped).await });
        let all = async {
            while good.heard().len() < 40 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), all).await.expect("well before the deadline of the silent one");
        assert_eq!(silent.heard().len(), 4, "at most four at once to one endpoint");
        running.abort();
    }
}

/// Every event arrives at least once, always with the same id and body, though connections break, answers are lost
/// and whoever sends is killed over and over.
#[tokio::test]
async fn a_ledger_of_what_arrived_is_complete_over_kills() {
    const EVENTS: u128 = 60;
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mine = caller(&app, &business, "test").await;
        let receiver = Arc::new(Receiver::start().await);
        register(&mine, &receiver, json!({"event_types": ["key.updated"]})).await;
        for bits in 1..=EVENTS {
            happen(&app, &business, Environment::Test, "key.updated", bits, json!({"n": bits.to_string()})).await;
        }
        for round in 0..6 {
            receiver.break_off(round);
            let (_stop, stopped) = watch::channel(false);
            let jobs = app.app.jobs().clone();
            let running = tokio::spawn(async move { jobs.run(stopped).await });
            let before = receiver.heard().len();
            let some = async {
                while receiver.heard().len() < before + 5 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            let _ = tokio::time::timeout(Duration::from_secs(5), some).await;
            // As a killed process does, it leaves its leases behind.
            running.abort();
            let _ = running.await;
            app.advance(Duration::from_secs(61));
        }
        for _ in 0..12 {
            run(&app).await;
            app.advance(Duration::from_mins(6));
        }
        let mut ledger: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for heard in receiver.heard() {
            ledger.entry(heard.header("webhook-id").to_owned()).or_default().insert(heard.body);
        }
        let expected: BTreeSet<String> = (1..=EVENTS).map(|bits| EventId::from_bits(bits).to_string()).collect();
        assert_eq!(ledger.keys().cloned().collect::<BTreeSet<_>>(), expected);
        assert!(ledger.values().all(|bodies| bodies.len() == 1), "{ledger:?}");
        let left = app.database.texts("SELECT id FROM webhook_deliveries WHERE state <> 'delivered'").await;
        assert!(left.is_empty(), "{left:?}");
    }
}
