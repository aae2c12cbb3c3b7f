//! Every route of the document, walked by callers who may not.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::{Business, TestApp};
use trousseau_testkit::client::{Answer, Client};

/// Routes that ask for no credential.
const OPEN: [&str; 7] = [
    "/.well-known/jwks.json",
    "/livez",
    "/readyz",
    "/openapi.json",
    "/problems/{slug}",
    "/v1/checkout/payments/{id}/status",
    "/v1/checkout/payments/{id}/events",
];
/// Routes that every good key may use.
const FOR_EVERY_KEY: [&str; 3] = ["/v1/whoami", "/v1/authorize", "/v1/checkout/alive"];

/// Who may use a route, as its description says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Keys,
    Codat,
    Platform,
}

/// One operation of the document.
#[derive(Debug)]
struct Operation {
    template: String,
    method: Method,
    whose: For,
    /// The scope that its description asks for.
    scope: Option<String>,
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.template)
    }

    fn path(&self, ids: &Ids) -> String {
        let places = [
            ("/v1/events/", &ids.event),
            ("/v1/payment_links/", &ids.payment_link),
            ("/v1/checkout/payables/", &ids.payment_link),
            ("/v1/invoices/", &ids.invoice),
            ("/v1/recurring_payments/", &ids.recurring_payment),
            ("/v1/payments/", &ids.payment),
            ("/v1/checkout/payments/", &ids.payment),
            ("/v1/test/payments/", &ids.payment),
            ("/v1/deposits/", &ids.deposit),
            ("/v1/refunds/", &ids.refund),
            ("/v1/test/refunds/", &ids.refund),
            ("/v1/webhook_endpoints/", &ids.endpoint),
        ];
        let id = places.iter().find(|(start, _)| self.template.starts_with(start)).map_or(&ids.key, |(_, id)| id);
        let path = self
            .template
            .replace("{business_id}", &ids.business)
            .replace("{merchantId}", &ids.business)
            .replace("{apiKeyId}", "0190f7a2-8c4e-7b1d-9e3f-5a6b7c8d9e0f")
            .replace("{key}", "1")
            .replace("{reference}", &ids.reference)
            .replace("{delivery_id}", &ids.delivery);
        let of_business = self.template == "/v1/businesses/{id}"
            || self.template.ends_with("/{id}/suspend")
            || self.template.ends_with("/{id}/resume");
        let path = path.replace("{id}", if of_business { &ids.business } else { id });
        assert!(!path.contains('{'), "{}: the walk does not know a part of this path", self.name());
        let names_environment = self.template.starts_with("/v1/businesses/{business_id}/keys");
        if names_environment { format!("{path}?environment=test") } else { path }
    }

    async fn by(&self, client: Client, ids: &Ids) -> Answer {
        let last = self.template.rsplit('/').next().unwrap_or_default();
        let body = match last {
            "resolve" => json!({"verdict": "accept", "reason": "a test"}),
            "dismiss" => json!({"reason": "a test"}),
            "transaction" => json!({"transaction_hash": "0xabc"}),
            "scenario" => json!({"scenario": "paid"}),
            _ => json!({}),
        };
        let has_body = self.method != Method::GET && self.method != Method::DELETE;
        client.send(self.method.clone(), &self.path(ids), has_body.then_some(&body)).await
    }
}

/// What the paths name.
struct Ids {
    business: String,
    key: String,
    event: String,
    reference: String,
    endpoint: String,
    delivery: String,
    payment_link: String,
    invoice: String,
    recurring_payment: String,
    payment: String,
    deposit: String,
    refund: String,
}

impl Ids {
    /// Of things that are not there, in the same business.
    fn unknown(&self) -> Self {
        let nothing = |prefix: &str| format!("{prefix}_{}", "0".repeat(26));
        Self {
            business: self.business.clone(),
            key: nothing("key"),
            event: nothing("evt"),
            reference: "0".repeat(32),
            payment_link: nothing("plink"),
            invoice: nothing("inv"),
            recurring_payment: nothing("rec"),
            payment: nothing("pay"),
            deposit: nothing("dep"),
            refund: nothing("rfd"),
            endpoint: nothing("whe"),
            delivery: nothing("whd"),
        }
    }
}

/// Makes one of each thing that has an id, and names them.
async fn make_ids(app: &TestApp, business: &Business, key: &str, reference: String) -> Ids {
    let client = app.key(business.id(), key);
    let id = |made: &Value| made["id"].as_str().expect("an id").to_owned();
    let events = client.get("/v1/events").await.expect(200);
    let link = client.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
    let draft = json!({"title": "A test", "amount": "1", "due_at": "2026-02-28T00:00:00Z"});
    let invoice = client.post("/v1/invoices", &draft).await.expect(201);
    let interval = json!({"unit": "days", "count": 30});
    let draft = json!({"amount": "1", "anchor": "2026-01-31T12:00:00Z", "interval": interval});
    let recurring = client.post("/v1/recurring_payments", &draft).await.expect(201);
    let payment = client.post("/v1/checkout/payments", &json!({"payable": link["id"]})).await.expect(201);
    let path = format!("/v1/test/payments/{}/scenario", id(&payment));
    client.post(&path, &json!({"scenario": "wrong_token"})).await.expect(200);
    let deposits = client.get("/v1/deposits").await.expect(200);
    let paid = client.post("/v1/checkout/payments", &json!({"payable": link["id"]})).await.expect(201);
    let path = format!("/v1/test/payments/{}/scenario", id(&paid));
    client.post(&path, &json!({"scenario": "paid"})).await.expect(200);
    let draft = json!({"payment": paid["id"], "destination": "test_customer"});
    let refund = client.post("/v1/refunds", &draft).await.expect(201);
    let (endpoint, delivery) = a_delivery(&client).await;
    Ids {
        endpoint,
        delivery,
        business: business.id().to_owned(),
        key: id(business.key("test", "secret")),
        event: id(&events["data"][0]),
        reference,
        payment_link: id(&link),
        invoice: id(&invoice),
        recurring_payment: id(&recurring),
        payment: id(&payment),
        deposit: id(&deposits["data"][0]),
        refund: id(&refund),
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (template, item) in document["paths"].as_object().expect("paths") {
        if OPEN.contains(&template.as_str()) {
            continue;
        }
        for (method, operation) in item.as_object().expect("operations") {
            let schemes: BTreeSet<&str> = operation["security"]
                .as_array()
                .unwrap_or_else(|| panic!("{method} {template} does not say whom it is for"))
                .iter()
                .flat_map(|alternative| alternative.as_object().expect("schemes").keys().map(String::as_str))
                .collect();
            let whose = match (schemes.contains("platform"), template.starts_with("/apiKeys")) {
                (true, _) => For::Platform,
                (false, true) => For::Codat,
                (false, false) => For::Keys,
            };
            let method = method.to_uppercase().parse().expect("a method");
            let scope = scope(&operation["security"]);
            found.push(Operation { template: template.clone(), method, whose, scope });
        }
    }
    found
}

/// The one scope that every way to present a key names, or none of them. A business id beside a key has no scopes.
fn scope(security: &Value) -> Option<String> {
    let schemes = security.as_array().expect("alternatives").iter().flat_map(|way| way.as_object().expect("schemes"));
    let scopes: BTreeSet<Option<&str>> = schemes
        .filter(|(name, _)| *name != "businessid")
        .map(|(_, scopes)| scopes.as_array().expect("scopes").first().and_then(Value::as_str))
        .collect();
    assert_eq!(scopes.len(), 1, "{security}");
    scopes.into_iter().next().flatten().map(str::to_owned)
}

/// A key of the business with these scopes; the operator can give any.
async fn key_with(app: &TestApp, business: &Business, environment: &str, scopes: &[&str]) -> String {
    let path = format!("/v1/businesses/{}/keys?environment={environment}", business.id());
    let made = app.platform().post(&path, &json!({"scopes": scopes})).await.expect(201);
    made["value"].as_str().expect("a value").to_owned()
}

/// A webhook endpoint of the client, and a delivery of it: their ids.
async fn a_delivery(client: &Client) -> (String, String) {
    let receiver = json!({"url": "http://127.0.0.1:9/webhooks"});
    let made = client.post("/v1/webhook_endpoints", &receiver).await.expect(201);
    let endpoint = made["id"].as_str().expect("an id").to_owned();
    let sent = client.post_empty(&format!("/v1/webhook_endpoints/{endpoint}/test")).await.expect(202);
    (endpoint, sent["id"].as_str().expect("an id").to_owned())
}

const EVERY_SCOPE: [&str; 17] = [
    "payment_links:read",
    "payment_links:write",
    "invoices:read",
    "invoices:write",
    "recurring_payments:read",
    "recurring_payments:write",
    "payments:read",
    "payments:write",
    "refunds:read",
    "refunds:write",
    "checkout:start",
    "checkout:status",
    "keys:read",
    "keys:write",
    "webhooks:read",
    "webhooks:write",
    "events:read",
];

fn code(answer: &Answer) -> String {
    let body = answer.json();
    let code = body.get("code").or_else(|| body.pointer("/result/code")).and_then(Value::as_str);
    code.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn no_route_lets_in_who_may_not() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let other = app.business("mileston").await;
        let document = app.anonymous().get("/openapi.json").await.expect(200);
        let every = key_with(&app, &business, "test", &EVERY_SCOPE).await;
        let every_live = key_with(&app, &business, "live", &EVERY_SCOPE).await;
        let every_other = key_with(&app, &other, "test", &EVERY_SCOPE).await;
        let none = key_with(&app, &business, "test", &[]).await;
        let verify_only = app.platform_with(&["verify"]).await;
        let manage_only = app.platform_with(&["manage"]).await;
        let refused = app.key(business.id(), &none).get("/v1/keys").await;
        app.app.jobs().run_pending().await.expect("written");
        let ids = make_ids(&app, &business, &every, refused.header("x-request-id").to_owned()).await;
        let before = app.key(business.id(), &every).get("/v1/keys").await.expect(200);
        for operation in operations(&document) {
            let at = operation.name();
            let status = async |client: Client| operation.by(client, &ids).await.status.as_u16();

            assert_eq!(status(app.anonymous()).await, 401, "{at} without a credential");
            assert_eq!(status(app.anonymous().bearer("Mileston_TEST_broken")).await, 401, "{at} broken");
            assert_eq!(status(app.anonymous().bearer("unknown-but-well-formed")).await, 401, "{at} unknown");
            let mismatch = app.key(business.id(), other.value("test", "secret"));
            assert_eq!(status(mismatch).await, 401, "{at} with another business's key");

            match operation.whose {
                For::Platform => {
                    for key in [&every, &every_live, &every_other] {
                        let id = if *key == every_other { other.id() } else { business.id() };
                        let answer = operation.by(app.key(id, key), &ids).await;
                        assert_eq!(answer.status.as_u16(), 403, "{at} with a business's key: {}", answer.text());
                        assert_eq!(code(&answer), "kind_not_allowed", "{at}");
                    }
                    let verifies = matches!(operation.template.as_str(), "/v1/keys/verify" | "/v1/introspect");
                    let wrong = if verifies { &manage_only } else { &verify_only };
                    assert_eq!(operation.scope.is_none(), operation.template == "/metrics", "{at}");
                    if operation.template != "/metrics" {
                        let answer = operation.by(app.anonymous().bearer(wrong), &ids).await;
                        assert_eq!(answer.status.as_u16(), 403, "{at} without the scope: {}", answer.text());
                        assert_eq!(code(&answer), "scope_missing", "{at}");
                        if let Some(scope) = answer.json()["scope"].as_str() {
                            let documented = operation.scope.as_ref().map(|scope| format!("platform:{scope}"));
                            assert_eq!(Some(scope), documented.as_deref(), "{at}");
                        }
                    }
                }
                For::Codat => {
                    // These routes take the two Basic forms of a `codat` key and nothing else.
                    for client in [
                        app.key(business.id(), &every),
                        app.key(business.id(), &every).with("x-nothing", "1"),
                        app.anonymous().basic(&every),
                        app.platform(),
                    ] {
                        let answered = status(client).await;
                        assert!(matches!(answered, 401 | 403), "{at} with a foreign key: {answered}");
                    }
                }
                For::Keys => {
                    let answer = operation.by(app.platform(), &ids).await;
                    assert_eq!(answer.status.as_u16(), 403, "{at} with a platform key: {}", answer.text());
                    assert_eq!(code(&answer), "kind_not_allowed", "{at}");
                    if FOR_EVERY_KEY.contains(&operation.template.as_str()) {
                        assert_eq!(operation.scope, None, "{at}");
                        continue;
                    }
                    let checkout = app.key(business.id(), business.value("test", "checkout"));
                    let answer = operation.by(checkout, &ids).await;
                    if operation.template.starts_with("/v1/checkout/") {
                        // What a checkout key is for; a start without anything to pay is turned away as such.
                        assert!(matches!(answer.status.as_u16(), 200 | 400 | 409), "{at}: {}", answer.text());
                    } else {
                        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (403, "kind_not_allowed"), "{at}");
                    }
                    let answer = operation.by(app.key(business.id(), &none), &ids).await;
                    assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (403, "scope_missing"), "{at}");
                    assert_eq!(answer.json()["scope"].as_str(), operation.scope.as_deref(), "{at}");
                    if operation.template.contains("{id}") || operation.template.contains("{reference}") {
                        // The thing is there, for another tenant: for this one it is not, and the answers are alike.
                        let unknown = ids.unknown();
                        for (whose, key) in [(business.id(), &every_live), (other.id(), &every_other)] {
                            let foreign = operation.by(app.key(whose, key), &ids).await;
                            let nothing = operation.by(app.key(whose, key), &unknown).await;
                            assert_eq!(foreign.status.as_u16(), 404, "{at} of another tenant: {}", foreign.text());
                            assert_eq!(nothing.status.as_u16(), 404, "{at}");
                            assert_eq!(without_id(&foreign), without_id(&nothing), "{at}");
                        }
                    }
                }
            }
        }
        let after = app.key(business.id(), &every).get("/v1/keys").await.expect(200);
        assert_eq!(unused(before), unused(after), "a refused call changed something");
    }
}

#[tokio::test]
async fn no_route_of_ours_passes_over_a_parameter() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let document = app.anonymous().get("/openapi.json").await.expect(200);
    let every = key_with(&app, &business, "test", &EVERY_SCOPE).await;
    let refused = app.key(business.id(), "nonsense").get("/v1/keys").await;
    let ids = make_ids(&app, &business, &every, refused.header("x-request-id").to_owned()).await;
    let mut walked = 0;
    for operation in operations(&document) {
        let alive = operation.template == "/v1/checkout/alive";
        // The clients of other systems may send more than those know.
        if !operation.template.starts_with("/v1/") || operation.template.starts_with("/v1/merchants/") || alive {
            continue;
        }
        let client = match operation.whose {
            For::Platform => app.platform(),
            For::Keys | For::Codat => app.key(business.id(), &every),
        };
        let path = operation.path(&ids);
        let more = format!("{path}{}overlap_seconds=3600", if path.contains('?') { "&" } else { "?" });
        let body = json!({});
        let has_body = operation.method != Method::GET && operation.method != Method::DELETE;
        let answer = client.send(operation.method.clone(), &more, has_body.then_some(&body)).await;
        // A gateway passes on a 401 or a 403 and nothing else.
        let status = if operation.template == "/v1/authorize" { 401 } else { 400 };
        let at = operation.name();
        assert_eq!(
            (answer.status.as_u16(), code(&answer).as_str()),
            (status, "invalid_query"),
            "{at}: {}",
            answer.text()
        );
        walked += 1;
    }
    assert!(walked > 80, "{walked}");
}

/// An answer without what differs from request to request.
fn without_id(answer: &Answer) -> Value {
    let mut body = answer.json();
    body.as_object_mut().expect("an object").remove("request_id");
    body
}

/// A list of keys without the times of their last use.
fn unused(mut list: Value) -> Value {
    for key in list["data"].as_array_mut().expect("a list") {
        key.as_object_mut().expect("a key").remove("last_used_at");
    }
    list
}

#[tokio::test]
async fn codats_keys_reach_their_own_business_only() {
    for app in TestApp::on_every_engine().await {
        let (one, other) = (app.business("codat").await, app.business("codat").await);
        let client = |business: &Business| app.anonymous().basic(business.value("live", "secret"));
        let second = client(&other).post("/apiKeys", &json!({"name": "second"})).await;
        let second = second.json();
        let id = second["id"].as_str().expect("an id");
        let foreign = client(&one).delete(&format!("/apiKeys/{id}")).await;
        let unknown = client(&one).delete("/apiKeys/0190f7a2-8c4e-7b1d-9e3f-5a6b7c8d9e0f").await;
        assert_eq!((foreign.status.as_u16(), unknown.status.as_u16()), (404, 404), "{}", foreign.text());
        let left = client(&other).get("/apiKeys").await.expect(200);
        assert_eq!(left["results"].as_array().map(Vec::len), Some(2), "{left}");
        // A key of the same business that came with Bearer, or an Origin of a page, stays outside.
        let bearer = app.anonymous().bearer(one.value("live", "secret")).get("/apiKeys").await;
        assert_eq!(bearer.status.as_u16(), 401, "{}", bearer.text());
        let page = client(&one).with("origin", "https://shop.example").get("/apiKeys").await;
        assert_eq!(page.status.as_u16(), 403, "{}", page.text());
    }
}

#[tokio::test]
async fn a_narrow_key_gets_nothing_more_at_codats_routes() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("codat").await;
        let narrow = app.anonymous().basic(&key_with(&app, &business, "live", &["payments:read"]).await);
        let reader = app.anonymous().basic(&key_with(&app, &business, "live", &["keys:read"]).await);
        let writer = app.anonymous().basic(&key_with(&app, &business, "live", &["keys:write"]).await);
        let id = "/apiKeys/0190f7a2-8c4e-7b1d-9e3f-5a6b7c8d9e0f";
        for (client, statuses) in [(&narrow, [403, 403, 403]), (&reader, [403, 403, 403]), (&writer, [403, 201, 404])] {
            let called = [client.get("/apiKeys").await, client.post_empty("/apiKeys").await, client.delete(id).await];
            assert_eq!(called.map(|answer| answer.status.as_u16()), statuses);
        }
        // The list shows the values of keys that may write, so it is for such.
        let answer = reader.get("/apiKeys").await;
        assert!(!answer.text().contains(business.value("live", "secret")), "{}", answer.text());
        assert!(answer.text().contains("keys:write"), "{}", answer.text());
        let of_all = app.anonymous().basic(business.value("live", "secret"));
        assert_eq!(of_all.get("/apiKeys").await.expect(200)["results"].as_array().map(Vec::len), Some(5));
        // Keys of an earlier release lack what keys are made with since, and manage all the same.
        let managing = key_with(&app, &business, "live", &["keys:read", "keys:write"]).await;
        app.anonymous().basic(&managing).get("/apiKeys").await.expect(200);
        // One that is bound gets no value of those that are not, and its own.
        let path = format!("/v1/businesses/{}/keys?environment=live", business.id());
        let draft = json!({"valid_until": "2027-01-01T00:00:00Z", "allowed_ips": ["127.0.0.1"]});
        let bound = app.platform().post(&path, &draft).await.expect(201);
        let by_bound = app.anonymous().basic(bound["value"].as_str().expect("a value"));
        let listed = by_bound.get("/apiKeys").await.expect(200);
        let values: Vec<_> = listed["results"].as_array().expect("keys").iter().map(|key| &key["apiKey"]).collect();
        assert_eq!(values.len(), 7);
        assert_eq!(values.iter().filter(|value| !value.is_null()).copied().collect::<Vec<_>>(), [&bound["value"]]);
        // A key of another profile is none here, whatever it may do.
        let mileston = app.business("mileston").await;
        let stranger = app.anonymous().basic(mileston.value("live", "secret")).with("businessid", mileston.id());
        for called in [stranger.get("/apiKeys").await, stranger.post_empty("/apiKeys").await, stranger.delete(id).await]
        {
            assert_eq!(called.status.as_u16(), 401, "{}", called.text());
        }
        // Each reading of the list is written down.
        let events = of_all.get("/v1/events?type=key.revealed").await.expect(200);
        let counts: Vec<_> =
            events["data"].as_array().expect("events").iter().map(|event| &event["data"]["count"]).collect();
        assert_eq!(counts, [1, 6, 5], "{events}");
    }
}
