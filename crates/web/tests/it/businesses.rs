//! `/v1/businesses`, for platform keys.

use serde_json::{Value, json};
use trousseau_testkit::app::TestApp;

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

#[tokio::test]
async fn a_business_has_what_was_asked_for_and_defaults_for_the_rest() {
    for app in TestApp::on_every_engine().await {
        let operator = app.platform();
        let plain = operator.post("/v1/businesses", &json!({"name": "  Café \u{65}\u{301} "})).await.expect(201);
        // Trimmed, and composed.
        assert_eq!(text(&plain, "/business/name"), "Café é");
        assert_eq!(text(&plain, "/business/profile"), "mileston");
        assert_eq!(text(&plain, "/business/time_zone"), "Europe/Paris");
        assert_eq!(text(&plain, "/business/language"), "en");
        assert_eq!(text(&plain, "/business/status"), "active");
        assert_eq!(plain["keys"].as_array().map(Vec::len), Some(4));
        let full = json!({
            "name": "Shop", "profile": "payline", "id": "17616983000123", "time_zone": "America/Montreal",
            "language": "fr", "metadata": {"customer": "17"},
        });
        let made = operator.post("/v1/businesses", &full).await.expect(201);
        let read = operator.get("/v1/businesses/17616983000123").await.expect(200);
        assert_eq!(made["business"], read);
        assert_eq!(text(&read, "/language"), "fr");
        assert_eq!(read["metadata"], json!({"customer": "17"}));
        assert_eq!(made["keys"].as_array().map(Vec::len), Some(2));
        assert_eq!(operator.post("/v1/businesses", &full).await.expect(409)["code"], "business_exists");
        for (body, status, pointer) in [
            (json!({"name": ""}), 422, "/name"),
            (json!({"name": "x".repeat(201)}), 422, "/name"),
            (json!({"name": "a\u{0}b"}), 422, "/name"),
            (json!({"name": 1}), 400, "/name"),
            (json!({"name": "x", "profile": "none"}), 422, "/profile"),
            (json!({"name": "x", "profile": "payline", "id": "1"}), 422, "/id"),
            (json!({"name": "x", "time_zone": "Mars/Olympus"}), 422, "/time_zone"),
            (json!({"name": "x", "language": "de"}), 400, "/language"),
            (json!({"name": "x", "metadata": {"k": "v".repeat(9_000)}}), 422, "/metadata"),
            (json!({"name": "x", "role": "administrator"}), 400, "/role"),
        ] {
            let problem = operator.post("/v1/businesses", &body).await.expect(status);
            assert_eq!(text(&problem, "/errors/0/pointer"), pointer, "{problem}");
        }
    }
}

#[tokio::test]
async fn businesses_are_listed_newest_first_page_by_page() {
    for app in TestApp::on_every_engine().await {
        let operator = app.platform();
        let mut made = Vec::new();
        for _ in 0..5 {
            made.push(app.business("codat").await.id().to_owned());
            app.advance(std::time::Duration::from_secs(1));
        }
        made.reverse();
        let mut walked: Vec<String> = Vec::new();
        loop {
            let after = walked.last().map(|id| format!("&starting_after={id}")).unwrap_or_default();
            let page = operator.get(&format!("/v1/businesses?limit=2{after}")).await.expect(200);
            walked.extend(page["data"].as_array().expect("a list").iter().map(|row| text(row, "/id").to_owned()));
            if page["has_more"] == false {
                break;
            }
        }
        assert_eq!(walked, made);
        let unknown = operator.get("/v1/businesses?starting_after=00000000-0000-4000-8000-000000000000").await;
        assert_eq!(unknown.expect(422)["errors"][0]["parameter"], "starting_after");
        operator.get("/v1/businesses/00000000-0000-4000-8000-000000000000").await.expect(404);
        operator.get("/v1/businesses/nonsense%20here").await.expect(404);
    }
}

#[tokio::test]
async fn a_change_leaves_the_rest_and_the_profile_is_fixed() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let path = format!("/v1/businesses/{}", business.id());
        let operator = app.platform();
        let changed = operator.patch(&path, &json!({"name": "New", "time_zone": "UTC"})).await.expect(200);
        assert_eq!((text(&changed, "/name"), text(&changed, "/time_zone")), ("New", "UTC"));
        assert_eq!(text(&changed, "/language"), "en");
        assert_eq!(operator.get(&path).await.expect(200), changed);
        assert_eq!(operator.patch(&path, &json!({"profile": "codat"})).await.expect(409)["code"], "profile_fixed");
        operator.patch(&path, &json!({"profile": "mileston"})).await.expect(200);
        operator.patch(&path, &json!({"name": null})).await.expect(400);
        operator.patch(&path, &json!({"id": "x"})).await.expect(400);
    }
}

#[tokio::test]
async fn a_suspended_business_is_refused_everywhere_and_can_be_read() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let id = business.id();
        let operator = app.platform();
        let path = format!("/v1/businesses/{id}");
        let keys = |rest: &str| format!("{path}/keys{rest}?environment=test");
        let client = app.key(id, business.value("test", "secret"));
        let key = text(business.key("test", "secret"), "/id").to_owned();
        client.get("/v1/whoami").await.expect(200);

        let suspended = operator.post_empty(&format!("{path}/suspend")).await.expect(200);
        assert_eq!(text(&suspended, "/status"), "suspended");
        assert_eq!(text(&suspended, "/suspended_at"), "2026-01-31T12:00:00Z");
        app.advance(std::time::Duration::from_hours(1));
        // Once more changes nothing, not even the time.
        let again = operator.post_empty(&format!("{path}/suspend")).await.expect(200);
        assert_eq!(again, suspended);
        for environment in ["test", "live"] {
            for kind in ["secret", "checkout"] {
                let answer = app.key(id, business.value(environment, kind)).get("/v1/whoami").await;
                // Outside it is a refusal like any other.
                assert_eq!(answer.expect(401)["code"], "unauthorized");
            }
        }
        operator.get(&keys("")).await.expect(200);
        operator.get(&keys(&format!("/{key}"))).await.expect(200);
        for answer in [
            operator.post(&keys(""), &json!({})).await,
            operator.patch(&keys(&format!("/{key}")), &json!({"name": "x"})).await,
            operator.post_empty(&keys(&format!("/{key}/rotate"))).await,
        ] {
            assert_eq!(answer.expect(409)["code"], "business_suspended");
        }

        let resumed = operator.post_empty(&format!("{path}/resume")).await.expect(200);
        assert_eq!((text(&resumed, "/status"), &resumed["suspended_at"]), ("active", &Value::Null));
        operator.post_empty(&format!("{path}/resume")).await.expect(200);
        client.get("/v1/whoami").await.expect(200);
        let events = client.get("/v1/events?limit=100").await.expect(200);
        let count = |kind: &str| {
            events["data"].as_array().expect("a list").iter().filter(|event| event["type"] == kind).count()
        };
        assert_eq!((count("business.suspended"), count("business.resumed")), (1, 1), "each happened once: {events}");
    }
}

#[tokio::test]
async fn a_repeated_creation_makes_one_business() {
    for app in TestApp::on_every_engine().await {
        let client = app.platform().with("idempotency-key", "first");
        let first = client.post("/v1/businesses", &json!({"name": "Once"})).await.expect(201);
        let again = client.post("/v1/businesses", &json!({"name": "Once"})).await.expect(201);
        assert_eq!(first["business"], again["business"]);
        for (one, other) in first["keys"].as_array().expect("keys").iter().zip(again["keys"].as_array().expect("keys"))
        {
            let readable = one["environment"] == "test" || one["kind"] == "checkout";
            assert_eq!(one["value"] == other["value"], readable, "{other}");
            assert_eq!(other["value"].is_null(), !readable, "a LIVE secret value is shown once");
        }
        let list = app.platform().get("/v1/businesses").await.expect(200);
        assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
    }
}
