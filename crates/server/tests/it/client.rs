//! `trousseau-client` against the executable: the golden table through both of its doors, and what it does when a key is
//! taken away or the server is.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use rustix::process::Signal;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _, service_fn};
use trousseau_client::{
    Asked, Audience, BusinessId, Client, Decision, Demand, Environment, Error, KeyKind, Protocol, Question, Reason,
    Refusal, Scope, Verified, VerifyLayer,
};

use crate::process::{Place, Server};

#[path = "../../../../packages/rust/examples/axum.rs"]
#[expect(dead_code, reason = "its `main` is for people")]
mod example;

const TABLE: &str = include_str!("../../../../e2e/gateways/cases.json");
/// What the services of these tests say of their callers is believed.
const TRUST: (&str, &str) = ("TROUSSEAU_TRUSTED_PROXIES", "127.0.0.1");
/// For how long answers may be kept, where they may.
const FRESH: Duration = Duration::from_millis(500);
const FRESH_MS: (&str, &str) = ("TROUSSEAU_DOORS__FRESH_MS", "500");

#[derive(Deserialize)]
struct Table {
    keys: BTreeMap<String, KeyOfTable>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct KeyOfTable {
    profile: String,
    #[serde(default)]
    suspended: bool,
    first: Option<(String, String)>,
    draft: Option<Value>,
    import: Option<String>,
    then: Option<String>,
}

#[derive(Deserialize)]
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
    question: Option<bool>,
    reason: String,
}

/// A key that was made.
#[derive(Clone)]
struct Made {
    id: String,
    value: String,
    business: String,
    environment: String,
}

impl Made {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        append(&mut headers, "authorization", &format!("Bearer {}", self.value));
        append(&mut headers, "businessid", &self.business);
        headers
    }
}

/// A server on a fresh installation, and its operator.
struct Installation {
    server: Server,
    platform_key: String,
    place: Place,
}

impl Installation {
    fn start(variables: &[(&str, &str)]) -> Self {
        let place = Place::new();
        let made: Value =
            serde_json::from_str(&place.run(&["platform-key", "create", "client", "--json"]).out).expect("JSON");
        let platform_key = text(&made, "/value");
        Self { server: Server::start_with(&place, variables, &[]), platform_key, place }
    }

    fn client(&self) -> Client {
        let builder = Client::builder(format!("http://{}", self.server.address)).timeout(Duration::from_secs(10));
        builder.platform_key(self.platform_key.clone().into()).build().expect("a client")
    }

    /// A call of the operator.
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        let answer = self.server.exchange(
            format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{kind}content-length: {}\r\n\
                 authorization: Bearer {}\r\n\r\n{body}",
                body.len(),
                self.platform_key,
            )
            .as_bytes(),
        );
        assert!(answer.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
    }

    fn business(&self, profile: &str, metadata: &Value) -> Value {
        let made = self.call("POST", "/v1/businesses", Some(&json!({"name": "Client", "profile": profile})));
        let path = format!("/v1/businesses/{}", text(&made, "/business/id"));
        self.call("PATCH", &path, Some(&json!({ "metadata": metadata })));
        made
    }

    fn key(&self, business: &Value, draft: &Value) -> Made {
        let business = text(business, "/business/id");
        let made = self.call("POST", &format!("/v1/businesses/{business}/keys?environment=test"), Some(draft));
        made_of(&made, business)
    }

    /// Takes a key of another system over, by the command.
    fn import(&self, business: &Value, text_of_key: &str) -> Made {
        let (business, value) = (text(business, "/business/id"), format!("{text_of_key} for clients"));
        std::fs::write(self.place.path().join("import.jsonl"), json!({ "value": value }).to_string()).expect("written");
        let arguments = ["key", "import", "--business", &business, "--environment", "test", "--json", "import.jsonl"];
        let ended = self.place.run(&arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let told: Value = serde_json::from_str(ended.out.lines().next().expect("a line")).expect("JSON");
        Made { id: text(&told, "/id"), value, business, environment: "test".to_owned() }
    }

    fn act(&self, key: &Made, act: &str) {
        let path = format!("/v1/businesses/{}/keys/{}/{act}?environment=test", key.business, key.id);
        self.call("POST", &path, None);
    }

    /// A key that may do everything.
    fn good(&self) -> Made {
        self.key(&self.business("mileston", &json!({})), &json!({}))
    }

    fn keys_of_table(&self, table: &Table) -> BTreeMap<String, Made> {
        let mut businesses: BTreeMap<(&str, bool), Value> = BTreeMap::new();
        let mut keys = BTreeMap::new();
        for (name, wanted) in &table.keys {
            let business = businesses
                .entry((&wanted.profile, wanted.suspended))
                .or_insert_with(|| self.business(&wanted.profile, &json!({"customer": "Été 17"})));
            let key = match &wanted.first {
                Some((environment, kind)) => {
                    let first = business["keys"]
                        .as_array()
                        .expect("keys")
                        .iter()
                        .find(|key| key["environment"] == environment.as_str() && key["kind"] == kind.as_str());
                    made_of(first.expect("one of each"), text(business, "/business/id"))
                }
                None => match (&wanted.import, &wanted.draft) {
                    (Some(text), _) => self.import(business, text),
                    (None, draft) => self.key(business, draft.as_ref().expect("first, imported or drafted")),
                },
            };
            match wanted.then.as_deref() {
                // A question about it is a use of it.
                Some("verify") => {
                    let question = json!({"key": key.value, "business_id": key.business});
                    self.call("POST", "/v1/keys/verify", Some(&question));
                }
                Some(act) => self.act(&key, act),
                None => {}
            }
            keys.insert(name.clone(), key);
        }
        let suspended = text(&businesses[&("mileston", true)], "/business/id");
        self.call("POST", &format!("/v1/businesses/{suspended}/suspend"), None);
        keys
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}: {value}")).to_owned()
}

fn made_of(key: &Value, business: String) -> Made {
    let environment = key["environment"].as_str().unwrap_or("test").to_owned();
    Made { id: text(key, "/id"), value: text(key, "/value"), business, environment }
}

fn append(headers: &mut HeaderMap, name: &'static str, value: &str) {
    headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
}

impl Case {
    fn text(&self, key: &Made) -> String {
        match (&self.text, &self.replace) {
            (Some(text), _) => text.repeat(self.times.unwrap_or(1)),
            (None, Some((old, new))) => key.value.replace(old, new),
            (None, None) => key.value.clone(),
        }
    }

    fn business(&self, key: &Made, other: &str) -> Option<String> {
        match self.business.as_deref() {
            None => Some(key.business.clone()),
            Some("none") => None,
            Some("empty") => Some(String::new()),
            Some("other") => Some(other.to_owned()),
            Some("capitals") => Some(key.business.to_uppercase()),
            Some(unknown) => unreachable!("{unknown}"),
        }
    }

    fn headers(&self, key: &Made, other: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let text = self.text(key);
        let basic = |plain: &str| format!("Basic {}", STANDARD.encode(plain));
        let lines: &[(&'static str, String)] = &match self.form.as_deref() {
            None => vec![("authorization", format!("Bearer {text}"))],
            Some("basic") => vec![("authorization", basic(&text))],
            Some("basic:") => vec![("authorization", basic(&format!("{text}:")))],
            Some("pair") => vec![("authorization", basic(&format!("{}:{text}", key.business)))],
            Some("apikey") => vec![("apikey", text)],
            Some("x-api-key") => vec![("x-api-key", text)],
            Some("twice") => vec![("apikey", text.clone()), ("apikey", text)],
            Some("both") => vec![("apikey", text.clone()), ("authorization", format!("Bearer {text}"))],
            Some("none") => Vec::new(),
            Some("digest") => vec![("authorization", format!("Digest {text}"))],
            Some("broken") => vec![("authorization", "Basic %%%".to_owned())],
            Some(unknown) => unreachable!("{unknown}"),
        };
        for (name, value) in lines {
            append(&mut headers, name, value);
        }
        if let Some(id) = self.business(key, other) {
            append(&mut headers, "businessid", &id);
        }
        if let Some(origin) = &self.origin {
            append(&mut headers, "origin", origin);
        }
        headers
    }

    fn demand(&self) -> Demand {
        let mut demand = Demand::new();
        for (name, value) in &self.demand {
            demand = match name.as_str() {
                "scope" => demand.scope(value.parse().expect("a scope")),
                "business" => demand.business(value.parse().expect("an id")),
                "environment" => demand.environment(environment(value)),
                "kind" => demand.kind(kind(value)),
                unknown => unreachable!("{unknown}"),
            };
        }
        demand
    }

    fn question(&self, key: &Made, other: &str) -> Question {
        let mut question = Question::new(self.text(key).into()).ip([127, 0, 0, 1].into());
        // Whoever asks has read the pair apart.
        let pair = (self.form.as_deref() == Some("pair")).then(|| key.business.clone());
        if let Some(id) = pair.or_else(|| self.business(key, other)) {
            question = question.business_id(id);
        }
        if let Some(origin) = &self.origin {
            question = question.origin(origin);
        }
        for (name, value) in &self.demand {
            question = match name.as_str() {
                "scope" => question.scope(value.parse().expect("a scope")),
                "environment" => question.environment(environment(value)),
                "kind" => question.kind(kind(value)),
                unknown => unreachable!("{unknown}"),
            };
        }
        question
    }
}

fn environment(text: &str) -> Environment {
    if text == "live" { Environment::Live } else { Environment::Test }
}

fn kind(text: &str) -> KeyKind {
    if text == "checkout" { KeyKind::Checkout } else { KeyKind::Secret }
}

/// Status and code on the wire.
fn expected(reason: &str) -> (u16, &str) {
    match reason {
        "ok" => (200, "ok"),
        "ambiguous_credentials" => (400, reason),
        "rate_limited" | "quota_exhausted" => (429, reason),
        "https_required"
        | "browser_not_allowed"
        | "kind_not_allowed"
        | "ip_not_allowed"
        | "origin_not_allowed"
        | "scope_missing" => (403, reason),
        "credential_missing"
        | "scheme_unsupported"
        | "credential_malformed"
        | "key_malformed"
        | "business_id_missing" => (401, reason),
        _ => (401, "unauthorized"),
    }
}

struct Answered {
    status: u16,
    headers: HeaderMap,
    text: String,
    refusal: Option<Refusal>,
}

/// What comes of a request to a service behind the layer, which says whose key it was.
async fn through(layer: &VerifyLayer, headers: HeaderMap, path: &str) -> Answered {
    let mut request = Request::get(path).body(()).expect("a request");
    *request.headers_mut() = headers;
    let service = service_fn(|request: Request<()>| {
        assert!(request.headers().keys().all(|name| !name.as_str().starts_with("x-trousseau-")));
        let who = request.extensions().get::<Verified>().expect("proven");
        let said = format!("{} {}", who.key_id, who.business_metadata["customer"]);
        ready(Ok::<_, Infallible>(Response::new(Full::new(bytes::Bytes::from(said)))))
    });
    let response = layer.layer(service).oneshot(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    let text = String::from_utf8_lossy(&body.collect().await.expect("a body").to_bytes()).into_owned();
    let refusal = parts.extensions.get::<Refusal>().cloned();
    Answered { status: parts.status.as_u16(), headers: parts.headers, text, refusal }
}

#[tokio::test]
async fn the_client_gives_the_decisions_of_the_table() {
    let table: Table = serde_json::from_str(TABLE).expect("the table");
    let installation = Installation::start(&[TRUST]);
    let keys = installation.keys_of_table(&table);
    let other = keys["suspended"].business.clone();
    let client = installation.client();
    for case in &table.cases {
        let key = &keys[&case.key];
        let (status, code) = expected(&case.reason);
        let layer = VerifyLayer::new(client.clone(), case.demand()).ip(|_| "127.0.0.1".parse().ok());
        let mut headers = case.headers(key, &other);
        append(&mut headers, "x-trousseau-business", "forged");
        let answered = through(&layer.clone().https(), headers.clone(), "/orders").await;
        assert_eq!(answered.status, status, "{}: {}", case.name, answered.text);
        assert!(!answered.text.contains(&key.value), "{}", case.name);
        let refusal = answered.refusal;
        assert_eq!(refusal.as_ref().map_or("ok", |refusal| refusal.reason().as_str()), code, "{}", case.name);
        if let Some(refusal) = &refusal {
            assert_eq!(answered.headers["x-trousseau-code"], code, "{}", case.name);
            assert_eq!(answered.headers["content-type"], "application/problem+json");
            assert_eq!(answered.headers["x-request-id"], refusal.request_id().expect("an id").as_str());
            let ways = answered.headers.get_all("www-authenticate").iter().count();
            assert_eq!(ways, if status == 401 { 2 } else { 0 }, "{}", case.name);
        } else {
            assert_eq!(answered.text, format!("{} Été 17", key.id), "{}", case.name);
        }

        // By plain HTTP, as long as nothing else is said, no LIVE key passes.
        let plain = through(&layer, headers, "/orders").await;
        let unprotected = status == 200 && key.environment == "live";
        assert_eq!(plain.status, if unprotected { 403 } else { status }, "{}: {}", case.name, plain.text);
        if unprotected {
            assert_eq!(plain.refusal.map(|refusal| refusal.reason().clone()), Some(Reason::HttpsRequired));
        }

        if case.question == Some(false) {
            continue;
        }
        match client.verify(case.question(key, &other)).await.expect("an answer") {
            Decision::Allowed(who) => {
                assert_eq!(case.reason, "ok", "verify, {}", case.name);
                assert_eq!(who.key_id, key.id.as_str(), "{}", case.name);
            }
            Decision::Refused(exact) => {
                assert_eq!(exact.reason().as_str(), case.reason, "verify, {}", case.name);
                // What it answers by itself is what Trousseau answers.
                let made = exact.to_response();
                assert_eq!(
                    (made.status().as_u16(), &made.headers()["x-trousseau-code"]),
                    (status, &answered.headers["x-trousseau-code"])
                );
                let ways = |headers: &HeaderMap| -> Vec<HeaderValue> {
                    headers.get_all("www-authenticate").iter().cloned().collect()
                };
                assert_eq!(ways(made.headers()), ways(&answered.headers), "{}", case.name);
                assert_eq!(
                    exact.missing_scope(),
                    refusal.and_then(|refusal| refusal.missing_scope().cloned()).as_ref()
                );
            }
        }
    }
}

#[tokio::test]
async fn what_is_demanded_adds_up_and_the_caller_cannot_demand_less() {
    let installation = Installation::start(&[TRUST]);
    let key = installation.good();
    let client = installation.client();
    let ask = async |asked: Asked, demand: Demand| client.authorize(asked, &demand).await.expect("an answer").allowed();
    let demand = Demand::new().scope(Scope::from_static("payments:read")).scope(Scope::from_static("invoices:read"));
    let audience = demand.clone().audience(Audience::from_static("orders"));
    let who = ask(Asked::new(&key.headers()), audience).await.expect("good");
    let assertion = who.assertion.as_ref().expect("asked for").expose_secret();
    assert_eq!(assertion.split('.').count(), 3);

    let refused = ask(Asked::new(&key.headers()), demand.scope(Scope::from_static("made:up"))).await.expect_err("more");
    assert_eq!((refused.reason(), refused.status()), (&Reason::ScopeMissing, StatusCode::FORBIDDEN));
    assert_eq!(refused.missing_scope(), Some(&Scope::from_static("made:up")));

    let other: BusinessId = "02db0f6a-5032-42cf-a9f3-6f906536eea5".parse().expect("an id");
    let mut slipped = key.headers();
    append(&mut slipped, "x-trousseau-require-business", &key.business);
    let refused = ask(Asked::new(&slipped), Demand::new().business(other)).await.expect_err("another's");
    assert_eq!(refused.reason(), &Reason::Unauthorized);

    let uri = http::Uri::from_static("/orders?api_key=1");
    let refused = ask(Asked::new(&key.headers()).url(&uri), Demand::new()).await.expect_err("in the URL");
    assert_eq!((refused.reason(), refused.status()), (&Reason::KeyInUrl, StatusCode::BAD_REQUEST));
}

#[tokio::test]
async fn an_address_that_is_not_told_is_unknown() {
    let installation = Installation::start(&[TRUST]);
    let business = installation.business("mileston", &json!({}));
    let near = installation.key(&business, &json!({"allowed_ips": ["127.0.0.0/8"]}));
    let client = installation.client();
    let ask = async |asked: Asked| client.authorize(asked, &Demand::new()).await.expect("an answer").allowed();
    let asked = || Asked::new(&near.headers()).protocol(Protocol::Https);
    assert!(ask(asked().ip("127.0.0.1".parse().ok())).await.is_ok());
    assert_eq!(ask(asked().ip("203.0.113.7".parse().ok())).await.expect_err("far").reason(), &Reason::IpNotAllowed);
    assert_eq!(ask(asked()).await.expect_err("not this service's own").reason(), &Reason::IpNotAllowed);
}

#[tokio::test]
async fn the_longest_notes_arrive() {
    let installation = Installation::start(&[TRUST]);
    let notes: BTreeMap<String, String> = (10..26).map(|at| (format!("note{at}"), "é".repeat(253))).collect();
    let business = installation.business("mileston", &json!(notes));
    let key = installation.key(&business, &json!({"scopes": ["payments:read"], "metadata": notes}));
    let client = installation.client();
    let demand = Demand::new().audience(Audience::from_static("orders"));
    let who = client.authorize(Asked::new(&key.headers()), &demand).await.expect("an answer").allowed().expect("good");
    assert_eq!((&who.metadata, &who.business_metadata), (&notes, &notes));
    let question = Question::new(key.value.clone().into()).business_id(&key.business);
    let who = client.verify(question).await.expect("an answer").allowed().expect("good");
    assert_eq!((&who.metadata, &who.business_metadata), (&notes, &notes));
}

/// Whether a key is good, by each door of the client, and when it was asked.
async fn both(client: &Client, key: &Made) -> (Instant, [bool; 2]) {
    let asked = Instant::now();
    let authorized = client.authorize(Asked::new(&key.headers()), &Demand::new()).await.expect("an answer");
    let question = Question::new(key.value.clone().into()).business_id(&key.business);
    let verified = client.verify(question).await.expect("an answer");
    (asked, [authorized, verified].map(|decision| matches!(decision, Decision::Allowed(_))))
}

#[tokio::test]
async fn a_revocation_holds_at_once_where_nothing_may_be_kept() {
    let installation = Installation::start(&[TRUST]);
    let client = installation.client();
    for _ in 0..5 {
        let key = installation.good();
        assert_eq!(both(&client, &key).await.1, [true, true]);
        installation.act(&key, "revoke");
        assert_eq!(both(&client, &key).await.1, [false, false]);
    }
}

#[tokio::test]
async fn a_revocation_holds_within_the_time_that_answers_may_be_kept() {
    let installation = Installation::start(&[TRUST, FRESH_MS]);
    let client = installation.client();
    let key = installation.good();
    assert_eq!(both(&client, &key).await.1, [true, true]);
    installation.act(&key, "revoke");
    let revoked = Instant::now();
    let mut kept = 0;
    loop {
        let (asked, good) = both(&client, &key).await;
        if good == [false, false] {
            break;
        }
        assert!(asked - revoked < FRESH, "let in {:?} after it was revoked", asked - revoked);
        kept += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(kept > 0, "nothing was kept");
    for _ in 0..20 {
        assert_eq!(both(&client, &key).await.1, [false, false], "and for good");
    }
}

#[tokio::test]
async fn while_trousseau_is_away_nothing_passes() {
    let mut installation = Installation::start(&[TRUST, FRESH_MS]);
    let business = installation.business("mileston", &json!({"customer": "17"}));
    let key = installation.key(&business, &json!({}));
    let url = format!("http://{}", installation.server.address);
    let client = Client::builder(&url).timeout(Duration::from_secs(1)).build().expect("a client");
    let layer = VerifyLayer::new(client.clone(), Demand::new());
    assert_eq!(through(&layer, key.headers(), "/orders").await.status, 200);

    installation.server.signal(Signal::STOP);
    tokio::time::sleep(FRESH).await;
    let asked = Instant::now();
    let answered = through(&layer, key.headers(), "/orders").await;
    assert_eq!(answered.status, 503, "{}", answered.text);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let failure = client.authorize(Asked::new(&key.headers()), &Demand::new()).await;
    assert!(matches!(failure, Err(Error::TimedOut)), "{failure:?}");

    installation.server.signal(Signal::CONT);
    let woken = Instant::now();
    // It proves first that it has missed nothing.
    while through(&layer, key.headers(), "/orders").await.status != 200 {
        assert!(woken.elapsed() < Duration::from_secs(20), "it does not come back");
    }

    installation.server.signal(Signal::KILL);
    installation.server.wait();
    tokio::time::sleep(FRESH).await;
    for _ in 0..5 {
        let answered = through(&layer, key.headers(), "/orders").await;
        assert_eq!((answered.status, &answered.headers["retry-after"]), (503, &HeaderValue::from_static("1")));
        let failure = client.authorize(Asked::new(&key.headers()), &Demand::new()).await;
        assert!(matches!(failure, Err(Error::Unreachable(_) | Error::TimedOut)), "{failure:?}");
    }
}

#[tokio::test]
async fn a_platform_key_that_is_taken_away_verifies_nothing() {
    let installation = Installation::start(&[TRUST]);
    let key = installation.good();
    let strange = Client::builder(format!("http://{}", installation.server.address))
        .platform_key(key.value.clone().into())
        .build()
        .expect("a client");
    let question = Question::new(key.value.clone().into()).business_id(&key.business);
    let error = strange.verify(question).await.expect_err("a key of a business");
    assert!(matches!(error, Error::PlatformKeyRefused { .. }), "{error:?}");
}

#[tokio::test]
async fn the_example_runs() {
    let installation = Installation::start(&[TRUST]);
    let business = installation.business("mileston", &json!({}));
    let key = installation.key(&business, &json!({"scopes": ["payments:read"], "allowed_ips": ["127.0.0.1/32"]}));
    let narrow = installation.key(&business, &json!({"scopes": ["invoices:read"]}));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let app = example::app(installation.client()).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let get = async |headers: String| {
        let request = format!("GET /reports HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
        tokio::task::spawn_blocking(move || crate::process::exchange(address, request.as_bytes())).await.expect("done")
    };
    let lines = |key: &Made| format!("apikey: {}\r\nbusinessid: {}\r\n", key.value, key.business);
    let answer = get(lines(&key)).await;
    let expected = json!({"hello": key.business, "key": key.id}).to_string();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&expected), "{answer}");
    let answer = get(lines(&narrow)).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("\"scope\":\"payments:read\""), "{answer}");
    let answer = get(String::new()).await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("credential_missing"), "{answer}");
}
