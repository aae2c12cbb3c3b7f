//! The short ways to an answer and the router's way give the same one.

use http::Method;
use trousseau_testkit::app::TestApp;
use trousseau_testkit::client::{Answer, Client};
use trousseau_web::connection::Peer;

/// What has to be the same of two answers to the same question: all but the id of the request.
fn told(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let id = answer.headers["x-request-id"].to_str().expect("hexadecimal digits");
    let blind = |text: String| text.replace(id, "ID");
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        // What a server of HTTP adds to each.
        .filter(|(name, _)| !matches!(name.as_str(), "content-length" | "date"))
        .map(|(name, value)| (name.as_str(), blind(String::from_utf8_lossy(value.as_bytes()).into_owned())))
        // Of an instant and a request: that it is there, and how long it is.
        .map(
            |(name, value)| {
                if name == "x-trousseau-assertion" { (name, value.len().to_string()) } else { (name, value) }
            },
        )
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    headers.sort();
    (answer.status.as_u16(), headers, blind(String::from_utf8_lossy(&answer.body).into_owned()))
}

#[tokio::test]
async fn all_ways_give_the_same_answer() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let other = app.business("mileston").await;
        let good = app.key(business.id(), business.value("test", "secret"));
        let live = app.key(business.id(), business.value("live", "secret"));
        let far = Peer { address: "203.0.113.9:4000".parse().expect("an address"), tls: false };
        let french = |client: Client| client.with("accept-language", "fr");
        let clients = [
            good.clone(),
            app.key(business.id(), business.value("test", "checkout")),
            live.clone(),
            live.from(far),
            french(app.key(other.id(), business.value("test", "secret"))),
            app.anonymous(),
            french(app.anonymous()),
            app.anonymous().bearer("trs_test_sk_nonsense"),
            good.clone().with("authorization", "Bearer x"),
            app.anonymous().with("authorization", [0xff, 0xfe]),
            app.platform(),
            good.clone().with("sec-fetch-site", "cross-site"),
            good.clone().with("x-long", "a".repeat(20_000)),
            good.clone().with("x-trousseau-require-environment", "live"),
            good.clone().with("x-trousseau-require-scope", "keys:write"),
            good.clone().with("x-forwarded-uri", format!("/?key={}", business.value("test", "secret"))),
            good.clone().with("user-agent", "curl/8.1"),
            good.clone().with("x-forwarded-for", "198.51.100.7").with("x-forwarded-proto", "http"),
            good.with("x-original-uri", "/orders?page=2").with("x-own", [0xff]).with("x-trousseau-require-kind", ""),
        ];
        let with_key = format!("/v1/whoami?key={}", business.value("test", "secret"));
        let paths = [
            "/v1/whoami",
            "/v1/whoami?x=1",
            &with_key,
            "/v1/authorize",
            "/v1/authorize?environment=live",
            "/v1/authorize?scope=payments:read%20invoices:write&kind=secret",
            "/v1/authorize?statuses=all&environment=live",
            "/v1/authorize?audience=orders&environment=test",
            "/v1/authorize?scope=&audience=orders&audience=more",
            "/v1/authorize?nonsense=1",
            "/v1/authorize?scope=%ff",
        ];
        for (at, client) in clients.iter().enumerate() {
            for path in paths {
                let bytes = client.get(path).await;
                // What has a query that it should not have is for the router to refuse.
                let is_question = !path.starts_with("/v1/whoami?");
                assert_eq!(bytes.header("date").is_empty(), !is_question, "client {at}, {path}");
                let short = client.clone().by_requests().get(path).await;
                assert_eq!(told(&bytes), told(&short), "client {at}, {path}");
                // A gateway waits for no task whose caller is known.
                let is_good_authorize = path.starts_with("/v1/authorize") && bytes.status == 200;
                assert!(bytes.at_once || !is_good_authorize, "client {at}, {path}");
                assert!(!bytes.at_once || bytes.status == 200, "client {at}, {path}");
                // A header that says nothing, and is not of the usual ones.
                let long = client.clone().with("content-encoding", "identity").get(path).await;
                assert_eq!(told(&short), told(&long), "client {at}, {path}");
            }
        }
        // Other methods have one way only, and still the right one.
        let head = clients[0].send(Method::HEAD, "/v1/whoami", None).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    }
}

#[tokio::test]
async fn calls_of_the_short_way_are_kept_and_counted() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let key = app.key(business.id(), business.value("test", "secret"));
        for _ in 0..3 {
            key.get("/v1/whoami").await.expect(200);
        }
        let from_gateway = key.with("x-original-uri", "/orders").get("/v1/authorize?kind=secret").await;
        assert!(from_gateway.at_once);
        from_gateway.expect(200);
        app.key(business.id(), business.value("test", "checkout")).get("/v1/authorize?kind=secret").await.expect(403);
        app.app.jobs().flush_now().await.expect("written");
        let texts = |sql: &'static str| app.database.texts(sql);
        assert_eq!(
            texts("SELECT status || ' ' || path FROM requests ORDER BY status, path, reference").await,
            ["200 /v1/authorize", "200 /v1/whoami", "200 /v1/whoami", "200 /v1/whoami", "403 /v1/authorize"]
        );
        assert_eq!(
            texts("SELECT outcome || ' ' || requests FROM usage_days ORDER BY outcome").await,
            ["refused 1", "succeeded 4"]
        );
        assert_eq!(texts("SELECT CAST(requests AS TEXT) FROM key_sightings").await, ["4"]);
        assert_eq!(texts("SELECT code FROM refusals").await, ["kind_not_allowed"]);
    }
}
