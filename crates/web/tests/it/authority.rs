//! Every route of the document, walked by callers who may not.

use http::Method;
use serde_json::json;
use trousseau_testkit::app::TestApp;

/// Routes that ask for no credential.
const OPEN: [&str; 4] = ["/livez", "/readyz", "/openapi.json", "/problems/{slug}"];

#[tokio::test]
async fn no_route_lets_in_who_may_not() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let other = app.business("mileston").await;
        let document = app.anonymous().get("/openapi.json").await.expect(200);
        let key_id = business.key("test", "secret")["id"].as_str().expect("an id");
        let narrow = app
            .platform()
            .post(&format!("/v1/businesses/{}/keys?environment=test", business.id()), &json!({"scopes": []}))
            .await
            .expect(201);
        let narrow = narrow["value"].as_str().expect("a value");
        for (template, item) in document["paths"].as_object().expect("paths") {
            for method in item.as_object().expect("operations").keys() {
                if OPEN.contains(&template.as_str()) {
                    continue;
                }
                let path = template
                    .replace("{business_id}", business.id())
                    .replace("{merchantId}", business.id())
                    .replace("{id}", key_id)
                    .replace("{apiKeyId}", "0190f7a2-8c4e-7b1d-9e3f-5a6b7c8d9e0f")
                    .replace("{key}", "1");
                let method: Method = method.to_uppercase().parse().expect("a method");
                let call = async |client: trousseau_testkit::client::Client| {
                    client.send(method.clone(), &path, None).await.status.as_u16()
                };
                let at = format!("{method} {template}");
                assert_eq!(call(app.anonymous()).await, 401, "{at} without a credential");
                assert_eq!(call(app.anonymous().bearer("Mileston_TEST_broken")).await, 401, "{at} broken");
                let foreign = app.key(business.id(), other.value("test", "secret"));
                assert_eq!(call(foreign).await, 401, "{at} with another business's key");
                if matches!(template.as_str(), "/v1/whoami" | "/v1/checkout/alive") {
                    continue;
                }
                let expected =
                    |status: u16| matches!(status, 403) || (template.starts_with("/apiKeys") && status == 401);
                let checkout = app.key(business.id(), business.value("test", "checkout"));
                assert!(expected(call(checkout).await), "{at} with a checkout key");
                assert!(expected(call(app.key(business.id(), narrow)).await), "{at} without the scope");
                if template.contains("{id}") && !template.contains("{business_id}") {
                    let live = app.key(business.id(), business.value("live", "secret"));
                    assert!(matches!(call(live).await, 403 | 404), "{at} from the other environment");
                }
            }
        }
    }
}
