//! The request log that calls leave behind.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::KeyId;
use trousseau_domain::requests::{Door, Outcome};
use trousseau_service::requests::Calls;
use trousseau_service::{RequestFilter, RequestRow};
use trousseau_testkit::app::{Business, TestApp};
use trousseau_web::connection::Peer;

fn tenant(business: &Business, environment: Environment) -> Tenant {
    Tenant::new(business.id().parse().expect("an id"), environment)
}

async fn log(app: &TestApp, tenant: &Tenant) -> Vec<RequestRow> {
    app.app.jobs().run_pending().await.expect("written");
    app.app.requests().list(tenant, &RequestFilter::default(), None, 100).await.expect("listed").data
}

/// Method, route, status, outcome, code.
fn brief(row: &RequestRow) -> (&str, &str, u16, Outcome, Option<&str>) {
    (&row.method, &row.path, row.status, row.outcome, row.code.as_deref())
}

#[tokio::test]
async fn every_call_of_a_business_is_in_its_log() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let other = app.business("mileston").await;
        let (id, value) = (business.key("test", "secret")["id"].clone(), business.value("test", "secret"));
        let id = id.as_str().expect("an id");
        let client = app.key(business.id(), value).with("user-agent", "node");
        client.get(&format!("/v1/keys/{id}")).await.expect(200);
        app.advance(Duration::from_secs(1));
        client.get("/v1/keys?limit=0").await.expect(400);
        app.advance(Duration::from_secs(1));
        client.post("/v1/keys", &json!({})).await.expect(403);
        app.advance(Duration::from_secs(1));
        app.key(business.id(), "unknown-but-well-formed").get("/v1/keys").await.expect(401);
        app.advance(Duration::from_secs(1));
        let question = json!({"key": value, "business_id": business.id(), "ip": "198.51.100.9"});
        app.platform().post("/v1/keys/verify", &question).await.expect(200);
        app.key(other.id(), other.value("test", "secret")).get("/v1/keys").await.expect(200);

        let here = tenant(&business, Environment::Test);
        let rows = log(&app, &here).await;
        assert_eq!(
            rows.iter().map(brief).collect::<Vec<_>>(),
            [
                ("POST", "/v1/keys/verify", 200, Outcome::Succeeded, None),
                ("GET", "/v1/keys", 401, Outcome::Refused, Some("key_unknown")),
                ("POST", "/v1/keys", 403, Outcome::Refused, Some("scope_missing")),
                ("GET", "/v1/keys", 400, Outcome::Failed, Some("invalid_query")),
                ("GET", "/v1/keys/{id}", 200, Outcome::Succeeded, None),
            ]
        );
        assert_eq!((rows[0].door, rows[0].address.as_deref()), (Door::Verify, Some("198.51.100.9")));
        assert_eq!((rows[1].key_id, rows[1].environment, rows[1].last_three.as_deref()), (None, None, Some("med")));
        let last = &rows[4];
        assert_eq!((last.key_id.map(|key| key.to_string()).as_deref(), last.key_version), (Some(id), Some(1)));
        assert_eq!((last.client.as_deref(), last.address.as_deref()), (Some("node"), Some("127.0.0.1")));
        assert_eq!(last.last_three, None, "a key that is known has an id instead");
        // The unknown key's environment is nobody's: both see it, and neither counts it.
        let live = log(&app, &tenant(&business, Environment::Live)).await;
        assert_eq!(live, rows[1..2]);
        let week = app.app.requests().calls_of_week(&here).await.expect("counted");
        assert_eq!(week, Calls { accepted: 3, refused: 1 });
        let key: KeyId = id.parse().expect("an id");
        let of_key = app.app.requests().week_of_key(&here, key).await.expect("counted");
        assert_eq!(of_key, week);
        let failures = app.app.requests().recent_failures(&here, 2).await.expect("listed");
        assert_eq!(failures, rows[1..3]);
        let last_verified = app.app.requests().last_verified(&here).await.expect("read");
        assert_eq!(last_verified.map(|at| at.to_string()).as_deref(), Some("2026-01-31T12:00:04Z"));
    }
}

#[tokio::test]
async fn nothing_that_was_sent_is_in_the_log_but_what_names_it() {
    let app = TestApp::on(trousseau_store::testing::TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let value = business.value("test", "secret");
    // The key in every place that a careless caller might put it.
    let client = app.key(business.id(), value).with("user-agent", format!("app/{value}")).with("referer", value);
    client.get("/v1/keys").await.expect(200);
    client.get(&format!("/v1/keys/{value}")).await.expect(400);
    client.get(&format!("/v1/keys?q={value}")).await.expect(400);
    let method = http::Method::from_bytes(value.as_bytes()).expect("a token");
    client.send(method, "/v1/keys", None).await.expect(405);
    client.with("origin", format!("https://{value}.example")).get("/v1/keys").await.expect(403);
    app.app.jobs().run_pending().await.expect("written");
    for table in [
        "SELECT json_array(method, path, code, address, client, last_three) FROM requests",
        "SELECT json_array(method, path, code, address, client, origin) FROM refusals",
        "SELECT json_array(address, client, origin) FROM key_sightings",
    ] {
        for row in app.database.texts(table).await {
            assert!(!row.contains(value), "{row}");
        }
    }
    let here = tenant(&business, Environment::Test);
    assert_eq!(log(&app, &here).await.len(), 2, "what never reached a key is no call of the business");
}

#[tokio::test]
async fn who_uses_which_value_is_seen() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let path = format!("/v1/businesses/{}/keys", business.id());
        let made = app.platform().post(&format!("{path}?environment=test"), &json!({})).await.expect(201);
        let (id, old) = (made["id"].as_str().expect("an id"), made["value"].as_str().expect("a value"));
        let rotated = app.platform().post_empty(&format!("{path}/{id}/rotate?environment=test")).await.expect(200);
        let new = rotated["value"].as_str().expect("a value");
        let at = |address: [u8; 4]| Peer { address: SocketAddr::from((address, 40_000)), tls: true };
        for _ in 0..2 {
            app.advance(Duration::from_secs(1));
            let straggler = app.key(business.id(), old).with("user-agent", "curl/8.14.1").from(at([203, 0, 113, 7]));
            straggler.get("/v1/keys").await.expect(401);
        }
        app.advance(Duration::from_secs(1));
        app.key(business.id(), new).from(at([198, 51, 100, 9])).get("/v1/keys").await.expect(200);
        app.app.jobs().run_pending().await.expect("written");
        let key = id.parse().expect("an id");
        let here = tenant(&business, Environment::Test);
        let seen = app.app.requests().sightings(&here, key).await.expect("read");
        let brief: Vec<_> =
            seen.iter().map(|row| (row.version, row.address.as_deref(), row.client.as_deref(), row.requests)).collect();
        assert_eq!(brief, [(2, Some("198.51.100.9"), None, 1), (1, Some("203.0.113.7"), Some("curl/8.14.1"), 2)]);
        let checkout = business.key("test", "checkout");
        let question = json!({
            "key": business.value("test", "checkout"), "business_id": business.id(), "origin": "https://shop.example",
            "ip": "203.0.113.99",
        });
        assert_eq!(app.platform().post("/v1/keys/verify", &question).await.expect(200)["valid"], true);
        app.app.jobs().run_pending().await.expect("written");
        let key = checkout["id"].as_str().expect("an id").parse().expect("an id");
        let seen = app.app.requests().sightings(&here, key).await.expect("read");
        let brief: Vec<_> = seen.iter().map(|row| (row.address.as_deref(), row.origin.as_deref())).collect();
        assert_eq!(brief, [(None, Some("https://shop.example"))], "payers are nobody's business");
    }
}
