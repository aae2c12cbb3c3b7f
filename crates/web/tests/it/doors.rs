//! One table of cases through every door: each gives the same decision.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};
use trousseau_domain::decision::Reason;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::keys::KeyKind;
use trousseau_service::Context;
use trousseau_service::import::{ImportDraft, Imported, ImportedValue};
use trousseau_service::keys::KeyDraft;
use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::TestApp;
use trousseau_testkit::client::{Answer, Client};
use trousseau_web::problem::Kind;

/// The table. The tests of real gateways read it too.
const TABLE: &str = include_str!("../../../../e2e/gateways/cases.json");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[expect(dead_code, reason = "said to readers")]
    about: String,
    keys: BTreeMap<String, KeyOfTable>,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyOfTable {
    profile: String,
    #[serde(default)]
    suspended: bool,
    first: Option<(String, String)>,
    draft: Option<Value>,
    /// The text that another system gave out; whoever makes the key adds something to it, so that it is unique.
    import: Option<String>,
    then: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    key: String,
    text: Option<String>,
    times: Option<usize>,
    replace: Option<(String, String)>,
    form: Option<String>,
    business: Option<String>,
    origin: Option<String>,
    #[serde(default)]
    demand: BTreeMap<String, String>,
    /// Whether it can be asked about by the text of the key.
    question: Option<bool>,
    reason: String,
}

/// A key that was made for the table.
struct Made {
    business: String,
    value: String,
    id: String,
}

async fn make(app: &TestApp, table: &Table) -> BTreeMap<String, Made> {
    let mut businesses: BTreeMap<(String, bool), trousseau_testkit::app::Business> = BTreeMap::new();
    let mut made = BTreeMap::new();
    let text = |value: &Value, member: &str| value[member].as_str().expect("a text").to_owned();
    for (name, wanted) in &table.keys {
        let place = (wanted.profile.clone(), wanted.suspended);
        if !businesses.contains_key(&place) {
            let business = app.business(&wanted.profile).await;
            let path = format!("/v1/businesses/{}", business.id());
            let notes = json!({"metadata": {"customer": "n° 17"}});
            app.platform().patch(&path, &notes).await.expect(200);
            businesses.insert(place.clone(), business);
        }
        let business = &businesses[&place];
        let path = |rest: &str| format!("/v1/businesses/{}/keys{rest}?environment=test", business.id());
        let key = match (&wanted.first, &wanted.draft, &wanted.import) {
            (Some((environment, kind)), None, None) => business.key(environment, kind).clone(),
            (None, Some(draft), None) => app.platform().post(&path(""), draft).await.expect(201),
            (None, None, Some(text)) => import(app, business.id(), &format!("{text} in a test")).await,
            _ => unreachable!("a key of the table is one of the first, drafted, or imported"),
        };
        match wanted.then.as_deref() {
            // A question about it is a use of it.
            Some("verify") => {
                let question = json!({"key": text(&key, "value"), "business_id": business.id()});
                app.platform().post("/v1/keys/verify", &question).await.expect(200);
            }
            Some(act) => {
                app.platform().post_empty(&path(&format!("/{}/{act}", text(&key, "id")))).await.expect(200);
            }
            None => {}
        }
        let (value, id) = (text(&key, "value"), text(&key, "id"));
        made.insert(name.clone(), Made { business: business.id().to_owned(), value, id });
    }
    for ((_, suspended), business) in &businesses {
        if *suspended {
            app.platform().post_empty(&format!("/v1/businesses/{}/suspend", business.id())).await.expect(200);
        }
    }
    made
}

/// Takes a secret key of TEST over, as the command does.
async fn import(app: &TestApp, business: &str, text: &str) -> Value {
    let (secret, claim) = trousseau_domain::key_text::parse(text, app.app.settings().brand()).expect("printable");
    let draft = ImportDraft {
        key: KeyDraft::new(KeyKind::Secret),
        value: ImportedValue::Text { secret, claim },
        external_reference: None,
    };
    let tenant = Tenant { business: business.parse().expect("an id"), environment: Environment::Test };
    let each = app.app.keys().import(&Context::system(), &tenant, &[draft]).await.expect("imported");
    let Some(Ok(Imported::New(view))) = each.into_iter().next() else { unreachable!("it is new") };
    json!({"id": view.key.id.to_string(), "value": text})
}

/// One case as it is presented.
struct Presented<'a> {
    case: &'a Case,
    text: String,
    business: Option<String>,
    demand: Vec<(&'a str, &'a str)>,
}

impl<'a> Presented<'a> {
    fn new(case: &'a Case, key: &Made, other: &str) -> Self {
        let text = match (&case.text, &case.replace) {
            (Some(text), _) => text.repeat(case.times.unwrap_or(1)),
            (None, Some((old, new))) => key.value.replace(old, new),
            (None, None) => key.value.clone(),
        };
        let business = match case.business.as_deref() {
            None => Some(key.business.clone()),
            Some("none") => None,
            Some("empty") => Some(String::new()),
            Some("other") => Some(other.to_owned()),
            Some("capitals") => Some(key.business.to_uppercase()),
            Some(unknown) => unreachable!("{unknown}"),
        };
        let demand = case.demand.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Self { case, text, business, demand }
    }

    /// The request with the credential in the form that the case asks for.
    fn client(&self, app: &TestApp, key: &Made) -> Client {
        let client = app.anonymous();
        let basic = |plain: String| format!("Basic {}", STANDARD.encode(plain));
        let text = &self.text;
        let client = match self.case.form.as_deref() {
            None => client.with("authorization", format!("Bearer {text}")),
            Some("basic") => client.with("authorization", basic(text.clone())),
            Some("basic:") => client.with("authorization", basic(format!("{text}:"))),
            Some("pair") => client.with("authorization", basic(format!("{}:{text}", key.business))),
            Some(name @ ("apikey" | "x-api-key")) => client.with(name, text),
            Some("twice") => client.with("apikey", text).with("apikey", text),
            Some("both") => client.with("apikey", text).bearer(text),
            Some("none") => client,
            Some("digest") => client.with("authorization", format!("Digest {text}")),
            Some("broken") => client.with("authorization", "Basic %%%"),
            Some(unknown) => unreachable!("{unknown}"),
        };
        let client = self.business.iter().fold(client, |client, id| client.with("businessid", id));
        self.case.origin.iter().fold(client, |client, origin| client.with("origin", origin))
    }

    /// What a question about the text of the key says.
    fn question(&self, key: &Made) -> Vec<(&'a str, String)> {
        let mut question = vec![("ip", "127.0.0.1".to_owned())];
        // Whoever asks has read the pair apart.
        let beside =
            if self.case.form.as_deref() == Some("pair") { Some(&key.business) } else { self.business.as_ref() };
        question.extend(beside.map(|id| ("business_id", id.clone())));
        question.extend(self.case.origin.iter().map(|origin| ("origin", origin.clone())));
        question.extend(self.demand.iter().map(|(name, value)| (*name, (*value).to_owned())));
        question
    }

    fn authorize_path(&self, more: &str) -> String {
        let pairs: Vec<String> = self.demand.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("/v1/authorize?{}{more}", pairs.join("&"))
    }
}

fn expected(case: &Case) -> (u16, &'static str) {
    match case.reason.as_str() {
        "ok" => (200, "ok"),
        reason => {
            let kind = Kind::from(reason.parse::<Reason>().expect("a reason"));
            (kind.status().as_u16(), kind.code())
        }
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().expect("ASCII"))
}

#[tokio::test]
async fn every_door_gives_the_same_decision() {
    let table: Table = serde_json::from_str(TABLE).expect("the table");
    for app in TestApp::on_every_engine().await {
        let keys = make(&app, &table).await;
        let other = app.business("mileston").await;
        for case in &table.cases {
            let key = &keys[&case.key];
            let presented = Presented::new(case, key, other.id());
            let (status, code) = expected(case);
            let name = &case.name;
            let client = presented.client(&app, key);

            if case.demand.is_empty() {
                let whoami = client.get("/v1/whoami").await;
                assert_eq!(whoami.status.as_u16(), status, "whoami, {name}: {}", whoami.text());
                let said = whoami.json();
                assert_eq!(said.get("code").and_then(Value::as_str).unwrap_or("ok"), code, "whoami, {name}");
            }

            let all = client.get(&presented.authorize_path("&statuses=all")).await;
            assert_eq!(all.status.as_u16(), status, "authorize, {name}: {}", all.text());
            assert_eq!(header(&all, "x-trousseau-code").unwrap_or("ok"), code, "authorize, {name}");
            let few = client.send(http::Method::PUT, &presented.authorize_path(""), None).await;
            let mapped = match status {
                400 => 401,
                429 => 403,
                status => status,
            };
            assert_eq!(few.status.as_u16(), mapped, "authorize, {name}: {}", few.text());
            assert_eq!(header(&few, "x-trousseau-key"), (status == 200).then_some(key.id.as_str()), "{name}");
            assert!(!few.text().contains(&key.value), "{name}");

            if case.question == Some(false) {
                continue;
            }
            let question = presented.question(key);
            let mut body: Value = question.iter().map(|(name, value)| (*name, value.as_str())).collect();
            body["key"] = presented.text.as_str().into();
            let verdict = app.platform().post("/v1/keys/verify", &body).await.expect(200);
            assert_eq!(verdict["code"], case.reason.as_str(), "verify, {name}");
            assert_eq!(verdict["valid"], status == 200, "verify, {name}");

            let mut form = question;
            form.push(("token", presented.text.clone()));
            let answer = introspect(&app.platform(), &form).await.expect(200);
            assert_eq!(answer["active"], status == 200, "introspect, {name}");
            if status == 200 {
                assert_eq!(answer["sub"], key.id.as_str(), "{name}");
            } else {
                assert_eq!(answer, json!({"active": false}), "{name}: nothing else is said");
            }
        }
    }
}

#[test]
fn the_table_has_a_case_for_every_reason() {
    let table: Table = serde_json::from_str(TABLE).expect("the table");
    let seen: BTreeSet<&str> = table.cases.iter().map(|case| case.reason.as_str()).collect();
    // A key in the URL and a LIVE key over a plain network are about the wire.
    let elsewhere = [Reason::KeyInUrl, Reason::HttpsRequired];
    for reason in Reason::VOCABULARY {
        assert_eq!(seen.contains(reason.as_str()), !elsewhere.contains(reason), "{reason}");
    }
}

#[test]
fn the_documentation_shows_the_table() {
    let table: Table = serde_json::from_str(TABLE).expect("the table");
    let page = include_str!("../../../../docs/gateways/README.md");
    let mut shown = page.lines().filter(|line| line.starts_with("| ") && line.matches('`').count() >= 2);
    for case in &table.cases {
        let (status, code) = expected(case);
        let answer = if status == 200 { "200".to_owned() } else { format!("{status} `{code}`") };
        let row = format!("| {} | `{}` | {answer} |", case.name, case.reason);
        assert!(shown.any(|line| line == row), "docs/gateways/README.md lacks, in this order: {row}");
    }
}

async fn introspect(client: &Client, form: &[(&str, String)]) -> Answer {
    let body = serde_html_form::to_string(form).expect("a form");
    let request = http::Request::post("/v1/introspect")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(axum::body::Body::from(body))
        .expect("a request");
    client.call(request).await
}

#[tokio::test]
async fn a_good_key_is_told_to_the_gateway() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let of_business = format!("/v1/businesses/{}", business.id());
        app.platform().patch(&of_business, &json!({"metadata": {"customer": "Été"}})).await.expect(200);
        let client = app.key(business.id(), business.value("test", "secret"));
        let answer = client.get("/v1/authorize").await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, ""));
        let whoami = client.get("/v1/whoami").await.expect(200);
        for (name, member) in
            [("business", "business_id"), ("environment", "environment"), ("kind", "kind"), ("key", "key_id")]
        {
            assert_eq!(header(&answer, &format!("x-trousseau-{name}")), whoami[member].as_str(), "{name}");
        }
        let scopes: Vec<&str> = header(&answer, "x-trousseau-scopes").expect("scopes").split(' ').collect();
        assert_eq!(json!(scopes), whoami["scopes"]);
        assert_eq!(header(&answer, "x-trousseau-metadata"), Some("{}"));
        assert_eq!(header(&answer, "x-trousseau-business-metadata"), Some("{\"customer\":\"\\u00c9t\\u00e9\"}"));
        for absent in ["x-trousseau-assertion", "x-trousseau-fresh-ms", "x-trousseau-code"] {
            assert_eq!(header(&answer, absent), None);
        }
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn a_good_answer_is_kept_no_longer_than_the_key_or_its_value_is_good() {
    let kept = Some(Duration::from_millis(500));
    let app = TestApp::arranged(TestDatabase::sqlite().await, |settings| settings.with_answers_kept(kept)).await;
    let business = app.business("mileston").await;
    let path = |rest: &str| format!("/v1/businesses/{}/keys{rest}?environment=test", business.id());
    let fresh = async |key: &Value| {
        let value = key["value"].as_str().expect("a value");
        let question = json!({"key": value, "business_id": business.id()});
        let batch = json!({"requests": [question.clone()]});
        let verdict = app.platform().post("/v1/keys/verify", &question).await.expect(200);
        let verdicts = app.platform().post("/v1/keys/verify", &batch).await.expect(200);
        let asked = app.key(business.id(), value).get("/v1/authorize").await;
        assert_eq!((&verdict["valid"], asked.status.as_u16()), (&json!(true), 200));
        let told = header(&asked, "x-trousseau-fresh-ms").map(|ms| ms.parse::<u64>().expect("a number"));
        assert_eq!((verdict["fresh_ms"].as_u64(), verdicts["results"][0]["fresh_ms"].as_u64()), (told, told));
        told
    };
    let draft = json!({"scopes": ["payments:read"], "valid_until": "2026-01-31T12:01:00Z"});
    let ends = app.platform().post(&path(""), &draft).await.expect(201);
    let rotated = app.platform().post(&path(""), &json!({"scopes": ["payments:read"]})).await.expect(201);
    let rotation = path(&format!("/{}/rotate", rotated["id"].as_str().expect("an id")));
    app.platform().post(&rotation, &json!({"overlap_seconds": 60})).await.expect(200);
    for (passes, expected) in [(0, Some(500)), (59_700_000, Some(300)), (299_500, None)] {
        app.advance(Duration::from_micros(passes));
        assert_eq!((fresh(&ends).await, fresh(&rotated).await), (expected, expected), "{passes}");
    }
}

#[tokio::test]
async fn what_is_demanded_adds_up() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let other = app.business("mileston").await;
        let path = format!("/v1/businesses/{}/keys?environment=test", business.id());
        let draft = json!({"scopes": ["payments:read", "payments:write"]});
        let key = app.platform().post(&path, &draft).await.expect(201);
        let client = app.key(business.id(), key["value"].as_str().expect("a value"));
        let good = format!("scope=payments:read&environment=test&kind=secret&business={}", business.id());
        for (query, headers, code) in [
            (good.as_str(), &[][..], "ok"),
            ("scope=payments:read%20payments:write", &[], "ok"),
            ("scope=payments:read&scope=payments:write", &[], "ok"),
            ("", &[("scope", "")], "ok"),
            ("scope=payments:read&scope=invoices:read", &[], "scope_missing"),
            ("scope=payments:read,invoices:read", &[], "scope_missing"),
            ("scope=payments:read", &[("scope", "payments:write")], "ok"),
            ("scope=payments:read", &[("scope", "invoices:read")], "scope_missing"),
            ("scope=invoices:read", &[("scope", "payments:read")], "scope_missing"),
            ("scope=payments:read", &[("scope", "payments:read"), ("scope", "invoices:read")], "scope_missing"),
            ("environment=live", &[("environment", "test")], "unauthorized"),
            ("environment=test", &[("environment", "live")], "unauthorized"),
            ("environment=test&environment=live", &[], "unauthorized"),
            ("kind=checkout", &[("kind", "secret")], "kind_not_allowed"),
            ("kind=secret", &[("kind", "checkout")], "kind_not_allowed"),
            ("", &[("kind", "secret"), ("environment", "test"), ("scope", "payments:read payments:write")], "ok"),
            (&format!("business={}", other.id()), &[("business", business.id())], "unauthorized"),
            (&format!("business={}", business.id()), &[("business", other.id())], "unauthorized"),
            // What cannot be understood is refused, whoever said it.
            ("scope=payments", &[], "invalid_query"),
            ("scope=", &[], "invalid_query"),
            ("business=%20", &[], "invalid_query"),
            ("", &[("scopes", "payments:read")], "invalid_query"),
            ("scopes=payments:read", &[], "invalid_query"),
            ("statuses=some", &[], "invalid_query"),
            ("audience=a&audience=b", &[], "invalid_query"),
            ("", &[("environment", "production")], "invalid_query"),
            ("", &[("scope", "\u{e9}")], "invalid_query"),
        ] {
            let add = |client: Client, (name, value): &(&str, &str)| {
                client.with(&format!("x-trousseau-require-{name}"), value)
            };
            let client = headers.iter().fold(client.clone(), add);
            let answer = client.get(&format!("/v1/authorize?{query}")).await;
            assert_eq!(header(&answer, "x-trousseau-code").unwrap_or("ok"), code, "{query} {headers:?}");
            assert!(matches!(answer.status.as_u16(), 200 | 401 | 403), "{query}: {}", answer.status);
            assert_eq!(answer.status.is_success(), code == "ok", "{query}");
        }
    }
}

#[tokio::test]
async fn a_gateway_hears_three_statuses_unless_it_asks_for_all() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let key = business.value("test", "secret");
        let client = || app.key(business.id(), key);
        let long = "a".repeat(17 * 1024);
        let far = trousseau_web::connection::Peer { address: ([203, 0, 113, 9], 40_000).into(), tls: false };
        let live = app.key(business.id(), business.value("live", "secret")).from(far);
        for (client, path, few, all, code) in [
            (client(), format!("/v1/authorize?key={key}"), 401, 400, "key_in_url"),
            (
                client().with("x-original-uri", format!("/orders?x={key}")),
                "/v1/authorize".into(),
                401,
                400,
                "key_in_url",
            ),
            (client().with("x-forwarded-uri", "/orders?api_key=1"), "/v1/authorize".into(), 401, 400, "key_in_url"),
            (
                client().with("x-forwarded-uri", "/orders").with("x-forwarded-uri", "/?key=1"),
                "/v1/authorize".into(),
                401,
                400,
                "key_in_url",
            ),
            (client().with("x-long", &long), "/v1/authorize".into(), 403, 431, "headers_too_large"),
            (client(), format!("/v1/authorize?scope={}", "a".repeat(9_000)), 403, 414, "uri_too_long"),
            (live, "/v1/authorize".into(), 403, 403, "https_required"),
            // The body is not sent along, and neither are its headers anything to a gateway's question.
            (client().with("content-encoding", "gzip"), "/v1/authorize".into(), 200, 200, "ok"),
        ] {
            let answer = client.get(&path).await;
            assert_eq!(answer.status.as_u16(), few, "{path}: {}", answer.text());
            assert_eq!(header(&answer, "x-trousseau-code").unwrap_or("ok"), code, "{path}");
            let joint = if path.contains('?') { '&' } else { '?' };
            let answer = client.get(&format!("{path}{joint}statuses=all")).await;
            assert_eq!(answer.status.as_u16(), all, "{path}: {}", answer.text());
        }
        for method in ["HEAD", "POST", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
            let answer = client().send(method.parse().expect("a method"), "/v1/authorize", None).await;
            assert_eq!(answer.status.as_u16(), 200, "{method}");
        }
        let refused = app.key(business.id(), "no-key-of-anybody").get("/v1/authorize").await;
        assert_eq!(refused.headers.get_all("www-authenticate").iter().count(), 2);
        assert_eq!(refused.expect(401)["code"], "unauthorized");
    }
}

/// The claims of an assertion that one of the published keys has signed.
async fn claims(app: &TestApp, token: &str) -> Value {
    let set = app.anonymous().get("/.well-known/jwks.json").await.expect(200);
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let (head, claims) = signed.split_once('.').expect("three parts");
    let head: Value = serde_json::from_slice(&bytes(head)).expect("JSON");
    assert_eq!((&head["alg"], &head["typ"]), (&json!("EdDSA"), &json!("JWT")));
    let keys = set["keys"].as_array().expect("keys");
    let key = keys.iter().find(|key| key["kid"] == head["kid"]).expect("the key is published");
    assert_eq!((&key["kty"], &key["crv"], &key["use"]), (&json!("OKP"), &json!("Ed25519"), &json!("sig")));
    let x: [u8; 32] = bytes(key["x"].as_str().expect("a key")).try_into().expect("32 bytes");
    let signature = ed25519_dalek::Signature::from_slice(&bytes(signature)).expect("64 bytes");
    let verifying = ed25519_dalek::VerifyingKey::from_bytes(&x).expect("a key");
    verifying.verify_strict(signed.as_bytes(), &signature).expect("signed by it");
    serde_json::from_slice(&bytes(claims)).expect("JSON")
}

#[tokio::test]
async fn an_assertion_is_signed_by_a_published_key_across_a_rotation() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let client = app.key(business.id(), business.value("test", "secret"));
        let asserted = async || {
            let answer = client.get("/v1/authorize?audience=orders").await;
            assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
            let token = header(&answer, "x-trousseau-assertion").expect("an assertion").to_owned();
            (claims(&app, &token).await, token.split('.').next().expect("a head").to_owned(), answer)
        };
        let published =
            async || app.anonymous().get("/.well-known/jwks.json").await.expect(200)["keys"].as_array().map(Vec::len);
        let (said, first, answer) = asserted().await;
        assert_eq!(said["iss"], "http://localhost:8080");
        assert_eq!((&said["aud"], &said["client_id"]), (&json!("orders"), &json!(business.id())));
        assert_eq!(said["sub"].as_str(), header(&answer, "x-trousseau-key"));
        assert_eq!(said["scope"].as_str(), header(&answer, "x-trousseau-scopes"));
        assert_eq!(said["jti"].as_str(), header(&answer, "x-request-id"));
        assert_eq!(said["exp"].as_i64(), said["iat"].as_i64().map(|iat| iat + 60));

        let kinds = [trousseau_store::SecretKind::Pepper];
        app.advance(std::time::Duration::from_secs(1));
        app.app.secrets().rotate(&kinds, &trousseau_domain::actor::Actor::System, None).await.expect("rotated");
        // Published at once, and not yet used.
        assert_eq!(published().await, Some(2));
        assert_eq!(asserted().await.1, first);
        app.advance(std::time::Duration::from_mins(16));
        assert_ne!(asserted().await.1, first);
        assert_eq!(published().await, Some(2));
        app.advance(std::time::Duration::from_mins(16));
        assert_eq!(published().await, Some(1));
        asserted().await;
    }
}

#[tokio::test]
async fn introspection_says_what_the_rfc_names() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let path = format!("/v1/businesses/{}/keys?environment=test", business.id());
        let draft = json!({
            "scopes": ["payments:read", "invoices:read"], "valid_until": "2026-03-01T00:00:00Z", "metadata": {"job": "nightly"},
        });
        let key = app.platform().post(&path, &draft).await.expect(201);
        let text = |member: &str| key[member].as_str().expect("a text").to_owned();
        let form = [
            ("token", text("value")),
            ("token_type_hint", "access_token".to_owned()),
            ("business_id", business.id().to_owned()),
            ("scope", "payments:read invoices:read".to_owned()),
            ("something_else", "1".to_owned()),
            // Without a value, as if it were not there.
            ("environment", String::new()),
            ("kind", String::new()),
            ("origin", String::new()),
            ("ip", String::new()),
        ];
        let answer = introspect(&app.platform(), &form).await;
        assert_eq!(
            answer.expect(200),
            json!({
                "active": true, "scope": "invoices:read payments:read", "client_id": business.id(), "token_type": "Bearer",
                "exp": 1_772_323_200, "iat": 1_769_860_800, "nbf": 1_769_860_800, "sub": text("id"),
                "iss": "http://localhost:8080", "business_id": business.id(), "environment": "test", "kind": "secret",
                "key_id": text("id"), "metadata": {"job": "nightly"}, "business_metadata": {},
            })
        );
        // An overlap of a rotation is the end of the earlier value.
        let rotate = format!("/v1/businesses/{}/keys/{}/rotate?environment=test", business.id(), text("id"));
        app.platform().post(&rotate, &json!({"overlap_seconds": 3_600})).await.expect(200);
        assert_eq!(introspect(&app.platform(), &form).await.expect(200)["exp"], 1_769_864_400);

        for (form, status) in [
            (vec![], 400),
            (vec![("token", String::new())], 400),
            (vec![("token", "a".to_owned()), ("token", "b".to_owned())], 400),
            (vec![("token", "a".to_owned()), ("scope", "nonsense".to_owned())], 400),
            (vec![("token", "a".to_owned()), ("ip", "nowhere".to_owned())], 400),
        ] {
            let answer = introspect(&app.platform(), &form).await;
            assert_eq!(answer.status.as_u16(), status, "{form:?}: {}", answer.text());
        }
        // What is described holds for the short answer too.
        let unknown = [("token", "a".to_owned())];
        assert_eq!(introspect(&app.platform(), &unknown).await.expect(200), json!({"active": false}));
        let document = app.anonymous().get("/openapi.json").await.expect(200);
        let parts = document["components"]["schemas"]["IntrospectionAnswer"]["allOf"].as_array().expect("two parts");
        let key = &parts[0]["allOf"][0];
        assert_eq!((&key["type"], &key["required"]), (&json!("object"), &Value::Null), "{key}");
        assert_eq!(key["properties"].as_object().expect("members").len(), 14);
        assert_eq!((parts.len(), &parts[1]["required"]), (2, &json!(["active"])));

        let json_body = app.platform().post("/v1/introspect", &json!({"token": "a"})).await;
        assert_eq!(json_body.expect(415)["code"], "unsupported_media_type");
        let own = app.key(business.id(), business.value("test", "secret"));
        assert_eq!(introspect(&own, &form).await.expect(403)["code"], "kind_not_allowed");
        let manage = app.anonymous().bearer(&app.platform_with(&["manage"]).await);
        assert_eq!(introspect(&manage, &form).await.expect(403)["code"], "scope_missing");
        assert_eq!(introspect(&app.anonymous(), &form).await.expect(401)["code"], "credential_missing");
    }
}
