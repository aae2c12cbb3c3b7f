//! How often keys may be used: rates and quotas, of keys and of businesses, at every door.

use std::time::Duration;

use serde_json::{Value, json};
use trousseau_testkit::app::{Business, TestApp};
use trousseau_testkit::client::{Answer, Client};

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

fn keys(business: &Business, environment: &str, rest: &str) -> String {
    format!("/v1/businesses/{}/keys{rest}?environment={environment}", business.id())
}

/// A key of the business in TEST, made by the operator.
async fn made(app: &TestApp, business: &Business, draft: Value) -> Value {
    app.platform().post(&keys(business, "test", ""), &draft).await.expect(201)
}

fn client(app: &TestApp, business: &Business, key: &Value) -> Client {
    app.key(business.id(), text(key, "value"))
}

/// What `RateLimit` says is left, by limit.
fn left(answer: &Answer) -> Vec<(String, u64)> {
    let of = |item: &str| {
        let (name, rest) = item.split_once(";r=").expect("what is left");
        (name.trim_matches('"').to_owned(), rest.split(';').next().expect("a number").parse().expect("a number"))
    };
    answer.header("ratelimit").split(", ").map(of).collect()
}

#[tokio::test]
async fn a_key_does_not_free_itself_of_its_limit_by_tightening_it() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let over = |seconds: u32| json!({"rate_limits": [{"requests": 4, "seconds": seconds}]});
        let mut draft = over(3600);
        draft["scopes"] = json!(["keys:read", "keys:write"]);
        let key = made(&app, &business, draft).await;
        let by_key = client(&app, &business, &key);
        for _ in 0..3 {
            by_key.get("/v1/whoami").await.expect(200);
        }
        let itself = format!("/v1/keys/{}", text(&key, "id"));
        by_key.patch(&itself, &over(3601)).await.expect(200);
        assert_eq!(by_key.get("/v1/whoami").await.expect(429)["code"], "rate_limited");
    }
}

#[tokio::test]
async fn a_key_is_used_as_often_as_its_rates_allow_at_every_door() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let rates = json!([{"requests": 9, "seconds": 86400}, {"requests": 4, "seconds": 3600}]);
        let key = made(&app, &business, json!({"rate_limits": rates, "scopes": ["keys:read"]})).await;
        assert_eq!(
            (&key["rate_limits"], &key["quota"]),
            (
                &json!([{"requests": 4, "seconds": 3600}, {"requests": 9, "seconds": 86400}]),
                &json!({"day": null, "month": null})
            )
        );
        let by_key = client(&app, &business, &key);
        let one =
            |rest: &[(&str, u64)]| rest.iter().map(|(name, left)| ((*name).to_owned(), *left)).collect::<Vec<_>>();

        let answer = by_key.get("/v1/whoami").await;
        answer.expect(200);
        assert_eq!(left(&answer), one(&[("key-3600s", 3), ("key-86400s", 8)]));
        assert_eq!(answer.header("ratelimit-policy"), r#""key-3600s";q=4;w=3600, "key-86400s";q=9;w=86400"#);
        // What is refused for another reason counts nowhere.
        let answer = by_key.get("/v1/payments").await;
        assert_eq!(answer.expect(403)["code"], "scope_missing");
        let answer = by_key.get("/v1/authorize").await;
        assert_eq!((answer.status.as_u16(), left(&answer)), (200, one(&[("key-3600s", 2), ("key-86400s", 7)])));
        let answer = by_key.get("/v1/keys").await;
        answer.expect(200);
        assert_eq!(left(&answer)[0].1, 1);
        let question = json!({"key": text(&key, "value"), "business_id": business.id()});
        let verdict = app.platform().post("/v1/keys/verify", &question).await.expect(200);
        assert_eq!((&verdict["valid"], &verdict["fresh_ms"]), (&json!(true), &Value::Null));
        assert_eq!(verdict["rate_limits"][0]["name"], "key-3600s");
        assert_eq!(
            (&verdict["rate_limits"][0]["limit"], &verdict["rate_limits"][0]["remaining"]),
            (&json!(4), &json!(0))
        );

        let answer = by_key.get("/v1/whoami").await;
        assert_eq!(answer.expect(429)["code"], "rate_limited");
        let wait: u64 = answer.header("retry-after").parse().expect("seconds");
        assert!((1..=900).contains(&wait), "{wait}");
        assert_eq!(left(&answer), one(&[("key-3600s", 0), ("key-86400s", 5)]));
        let answer = by_key.get("/v1/authorize").await;
        assert_eq!((answer.status.as_u16(), answer.header("x-trousseau-code")), (403, "rate_limited"));
        by_key.get("/v1/authorize?statuses=all").await.expect(429);
        let verdict = app.platform().post("/v1/keys/verify", &question).await.expect(200);
        assert_eq!((&verdict["valid"], text(&verdict, "code")), (&json!(false), "rate_limited"));
        assert!(verdict["retry_after_seconds"].as_u64().is_some_and(|wait| (1..=900).contains(&wait)), "{verdict}");
        let answer = app.key(business.id(), business.value("test", "secret")).get("/v1/whoami").await;
        assert!(!answer.headers.contains_key("ratelimit"), "a key without limits says nothing of them");

        // The reason is kept like that of any other refusal.
        app.app.jobs().run_pending().await.expect("done");
        let refused = by_key.get("/v1/whoami").await;
        app.app.jobs().run_pending().await.expect("done");
        let path = format!("/v1/businesses/{}/refusals/{}", business.id(), refused.header("x-request-id"));
        assert_eq!(app.platform().get(&path).await.expect(200)["code"], "rate_limited");
    }
}

#[tokio::test]
async fn all_keys_of_a_business_share_its_limits_in_each_environment() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let path = format!("/v1/businesses/{}", business.id());
        let limits = json!({"rate_limits": [{"requests": 3, "seconds": 86400}]});
        let changed = app.platform().patch(&path, &limits).await.expect(200);
        assert_eq!(changed["rate_limits"], limits["rate_limits"]);
        let whoami = async |environment, kind| {
            let answer = app.key(business.id(), business.value(environment, kind)).get("/v1/whoami").await;
            answer.status.as_u16()
        };
        let mut seen = Vec::new();
        for kind in ["secret", "checkout", "secret", "checkout", "secret"] {
            seen.push(whoami("test", kind).await);
        }
        assert_eq!(seen, [200, 200, 200, 429, 429]);
        assert_eq!(whoami("live", "secret").await, 200);
        // Without the limit everything goes on at once.
        app.platform().patch(&path, &json!({"rate_limits": []})).await.expect(200);
        assert_eq!(whoami("test", "secret").await, 200);
    }
}

#[tokio::test]
async fn a_quota_is_for_a_day_and_the_next_day_has_its_own() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let key = made(&app, &business, json!({"quota": {"day": 2}})).await;
        assert_eq!(key["quota"], json!({"day": 2, "month": null}));
        let by_key = client(&app, &business, &key);
        for _ in 0..2 {
            by_key.get("/v1/whoami").await.expect(200);
        }
        let answer = by_key.get("/v1/whoami").await;
        assert_eq!(answer.expect(429)["code"], "quota_exhausted");
        // It is noon.
        let wait: u64 = answer.header("retry-after").parse().expect("seconds");
        assert!((43_100..=43_200).contains(&wait), "{wait}");
        app.app.jobs().run_pending().await.expect("done");
        by_key.get("/v1/whoami").await.expect(429);
        let path = keys(&business, "test", &format!("/{}", text(&key, "id")));
        app.platform().patch(&path, &json!({"quota": {"day": 3}})).await.expect(200);
        by_key.get("/v1/whoami").await.expect(200);
        by_key.get("/v1/whoami").await.expect(429);
        app.advance(Duration::from_hours(15));
        by_key.get("/v1/whoami").await.expect(200);
        app.platform().patch(&path, &json!({"quota": null})).await.expect(200);
        for _ in 0..5 {
            by_key.get("/v1/whoami").await.expect(200);
        }
    }
}

#[tokio::test]
async fn where_a_batch_finds_room_for_some_it_is_for_the_first_of_them() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let key = made(&app, &business, json!({"quota": {"day": 7}})).await;
        let other = made(&app, &business, json!({"quota": {"day": 7, "month": 9}})).await;
        let question = |key: &Value| json!({"key": text(key, "value"), "business_id": business.id()});
        let requests: Vec<Value> = (0..20).map(|turn| question(if turn % 2 == 0 { &key } else { &other })).collect();
        // Nothing is known here yet of what either has used.
        let answer = app.platform().post("/v1/keys/verify", &json!({"requests": requests})).await.expect(200);
        let results = answer["results"].as_array().expect("a list");
        let valid: Vec<bool> = results.iter().map(|result| result["valid"] == json!(true)).collect();
        assert_eq!(valid, (0..20).map(|turn| turn < 14).collect::<Vec<_>>(), "{answer}");
    }
}

#[tokio::test]
async fn a_limited_key_gives_no_more_than_it_has() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let draft = json!({
            "scopes": ["keys:read", "keys:write"],
            "rate_limits": [{"requests": 100, "seconds": 60}], "quota": {"day": 1000},
        });
        let key = made(&app, &business, draft).await;
        let by_key = client(&app, &business, &key);
        let inherited = by_key.post("/v1/keys", &json!({})).await.expect(201);
        assert_eq!(
            (&inherited["rate_limits"], &inherited["quota"]),
            (&json!([{"requests": 100, "seconds": 60}]), &json!({"day": 1000, "month": null}))
        );
        let narrower = json!({"rate_limits": [{"requests": 1, "seconds": 60}, {"requests": 9, "seconds": 86400}]});
        by_key.post("/v1/keys", &narrower).await.expect(201);
        for wider in [
            json!({"rate_limits": []}),
            json!({"rate_limits": [{"requests": 101, "seconds": 60}]}),
            json!({"rate_limits": [{"requests": 100, "seconds": 59}]}),
            json!({"quota": {"day": 1001}}),
            json!({"quota": {"month": 5}}),
        ] {
            assert_eq!(by_key.post("/v1/keys", &wider).await.expect(403)["code"], "beyond_own_rights", "{wider}");
            let own = by_key.patch(&format!("/v1/keys/{}", text(&key, "id")), &wider).await;
            assert_eq!(own.expect(403)["code"], "beyond_own_rights", "{wider} of its own");
        }
        // Another one's value, which may be used more often, is not for it either.
        let free = made(&app, &business, json!({"scopes": ["keys:read", "keys:write"]})).await;
        let rotated = by_key.post_empty(&format!("/v1/keys/{}/rotate", text(&free, "id"))).await;
        assert_eq!(rotated.expect(403)["code"], "beyond_own_rights");
        let by_free = client(&app, &business, &free);
        let lifted = json!({"rate_limits": [], "quota": null});
        by_free.patch(&format!("/v1/keys/{}", text(&key, "id")), &lifted).await.expect(200);
    }
}

#[tokio::test]
async fn limits_that_make_no_sense_are_named() {
    let app = TestApp::on_every_engine().await.remove(0);
    let business = app.business("mileston").await;
    let rate = |requests: u64, seconds: u64| json!({"requests": requests, "seconds": seconds});
    for (draft, pointer) in [
        (json!({"rate_limits": [rate(0, 1)]}), "/rate_limits/0"),
        (json!({"rate_limits": [rate(5, 1), rate(1, 86_401)]}), "/rate_limits/1"),
        (json!({"rate_limits": [rate(1_000_001, 1)]}), "/rate_limits/0"),
        (json!({"rate_limits": [rate(1, 60), rate(2, 60)]}), "/rate_limits"),
        (json!({"rate_limits": [rate(1, 1), rate(1, 2), rate(1, 3), rate(1, 4), rate(1, 5)]}), "/rate_limits"),
        (json!({"quota": {"day": 0}}), "/quota/day"),
        (json!({"quota": {"month": 1_000_000_000_001_u64}}), "/quota/month"),
    ] {
        let refused = app.platform().post(&keys(&business, "test", ""), &draft).await.expect(422);
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{draft}");
    }
    for unreadable in
        [json!({"rate_limits": "100/1m"}), json!({"rate_limits": [{"requests": 1}]}), json!({"quota": {"week": 1}})]
    {
        app.platform().post(&keys(&business, "test", ""), &unreadable).await.expect(400);
    }
}
