//! The door for Envoy, asked by gRPC as Envoy does.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::uri::PathAndQuery;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream as Stream};
use tokio::sync::watch;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, IntoRequest, Request, Status};
use tonic_prost::ProstCodec;
use trousseau_domain::decision::Reason;
use trousseau_envoy::proto::{
    Address, AttributeContext, CheckRequest, CheckResponse, HeaderAppendAction, HeaderMap, HeaderValue,
    HealthCheckRequest, HealthCheckResponse, HttpRequest, HttpResponse, Peer, ServingStatus, SocketAddress,
};
use trousseau_envoy::{CHECK, HEALTH, SERVICE};
use trousseau_store::testing::TestDatabase;
use trousseau_web::problem::Kind;

use crate::kill::post;
use crate::process::{Place, Server};
use crate::traces::{Collector, Received, traceparent};

const TABLE: &str = include_str!("../../../../e2e/gateways/cases.json");

/// A server with the door open, and a way in.
struct Door {
    server: Server,
    address: SocketAddr,
    channel: Channel,
    platform: String,
}

impl Door {
    async fn open(place: &Place) -> Self {
        Self::open_with(place, &[("TROUSSEAU_TRUSTED_PROXIES", "127.0.0.1")]).await
    }

    async fn open_with(place: &Place, variables: &[(&str, &str)]) -> Self {
        let created = place.run(&["platform-key", "create", "Tests", "--json"]);
        let created: Value = serde_json::from_str(&created.out).expect(&created.err);
        let platform = created["value"].as_str().expect("a value").to_owned();
        let server = Server::start_with(place, variables, &["--ext-authz-listen", "127.0.0.1:0"]);
        let log = server.log();
        let (_, rest) = log.split_once("serving ext_authz server.address=").expect(&log);
        let address = rest.split_whitespace().next().and_then(|text| text.parse().ok()).expect("an address");
        let channel = Endpoint::from_shared(format!("http://{address}")).expect("a URL").connect().await;
        Self { server, address, channel: channel.expect("it connects"), platform }
    }

    fn api(&self, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = format!("authorization: Bearer {}\r\n", self.platform);
        let (status, answer) = post(self.server.address, path, &headers, &body).expect("an answer");
        assert!(matches!(status, 200 | 201), "{path}: {status} {answer}");
        answer
    }

    async fn check(&self, request: impl IntoRequest<CheckRequest>) -> Result<Told, Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let codec: ProstCodec<CheckRequest, CheckResponse> = ProstCodec::default();
        let answered = grpc.unary(request.into_request(), PathAndQuery::from_static(CHECK), codec).await?;
        Ok(Told::of(answered.into_inner()))
    }

    async fn health(&self, service: &str) -> Result<ServingStatus, Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let codec: ProstCodec<HealthCheckRequest, HealthCheckResponse> = ProstCodec::default();
        let request = Request::new(HealthCheckRequest { service: service.to_owned() });
        Ok(grpc.unary(request, PathAndQuery::from_static(HEALTH), codec).await?.into_inner().status())
    }
}

/// What Envoy is told to do.
#[derive(Debug)]
struct Told {
    status: u16,
    grpc: i32,
    headers: Vec<(String, String)>,
    removed: Vec<String>,
    body: String,
}

impl Told {
    fn of(response: CheckResponse) -> Self {
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).expect("text");
        let grpc = response.status.expect("a status").code;
        let (status, options, removed, body) = match response.http_response.expect("an answer") {
            HttpResponse::Ok(ok) => {
                for option in &ok.headers {
                    assert_eq!(option.append_action(), HeaderAppendAction::OverwriteIfExistsOrAdd);
                }
                (200, ok.headers, ok.headers_to_remove, String::new())
            }
            HttpResponse::Denied(denied) => {
                let status = u16::try_from(denied.status.expect("a status").code).expect("a status");
                (status, denied.headers, Vec::new(), text(&denied.body))
            }
        };
        assert_eq!(grpc == 0, status == 200, "only one of the two lets it pass");
        let headers = options.into_iter().filter_map(|option| option.header);
        let headers = headers.map(|header| (text(&header.key), text(&header.value))).collect();
        Self { status, grpc, headers, removed, body }
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name}: {all:?}");
        all.first().copied()
    }

    fn code(&self) -> &str {
        self.header("x-trousseau-code").unwrap_or("ok")
    }
}

/// How headers are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Raw,
    Joined,
}

/// A request that Envoy asks about.
#[derive(Clone)]
struct Asked {
    way: Way,
    path: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    source: Option<String>,
    scheme: String,
    demands: BTreeMap<String, String>,
}

impl Asked {
    fn new() -> Self {
        Self {
            way: Way::Raw,
            path: b"/orders?page=1".to_vec(),
            headers: vec![(":authority".to_owned(), b"api.example".to_vec())],
            source: Some("127.0.0.1".to_owned()),
            scheme: "https".to_owned(),
            demands: BTreeMap::new(),
        }
    }

    fn key(key: &Made) -> Self {
        Self::new().with("authorization", format!("Bearer {}", key.value)).with("businessid", &key.business)
    }

    fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    fn demanding(mut self, name: &str, value: &str) -> Self {
        self.demands.insert(name.to_owned(), value.to_owned());
        self
    }

    fn message(self) -> CheckRequest {
        let value = |name: &str, text: &[u8], raw: bool| {
            let bytes = Bytes::copy_from_slice(text);
            let (value, raw_value) = if raw { (Bytes::new(), bytes) } else { (bytes, Bytes::new()) };
            HeaderValue { key: Bytes::copy_from_slice(name.as_bytes()), value, raw_value }
        };
        let mut http = HttpRequest {
            method: "POST".to_owned(),
            path: self.path.into(),
            scheme: self.scheme,
            ..HttpRequest::default()
        };
        if self.way == Way::Raw {
            let headers = self.headers.iter().map(|(name, text)| value(name, text, true)).collect();
            http.header_map = Some(HeaderMap { headers });
        } else {
            let mut joined: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
            for (name, text) in self.headers {
                joined.entry(name).or_default().push(text);
            }
            http.headers = joined.iter().map(|(name, texts)| value(name, &texts.join(&b","[..]), false)).collect();
        }
        let address = self.source.map(|address| SocketAddress { address });
        CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(Peer { address: Some(Address { socket_address: address }) }),
                request: Some(trousseau_envoy::proto::Request { http: Some(http) }),
                context_extensions: self.demands,
            }),
        }
    }

    async fn at(self, door: &Door) -> Told {
        door.check(self.message()).await.expect("an answer")
    }
}

/// A key.
#[derive(Debug, Clone)]
struct Made {
    business: String,
    value: String,
    id: String,
}

impl Made {
    fn of(business: &str, key: &Value) -> Self {
        let text = |member: &str| key[member].as_str().expect("a text").to_owned();
        Self { business: business.to_owned(), value: text("value"), id: text("id") }
    }
}

/// A business with its first keys.
fn business(door: &Door, profile: &str) -> (String, Value) {
    let made = door.api("/v1/businesses", &json!({"name": "Envoy", "profile": profile}));
    (made["business"]["id"].as_str().expect("an id").to_owned(), made["keys"].clone())
}

fn first(business: &(String, Value), environment: &str, kind: &str) -> Made {
    let keys = business.1.as_array().expect("keys");
    let key = keys.iter().find(|key| key["environment"] == environment && key["kind"] == kind);
    Made::of(&business.0, key.expect("a first key"))
}

fn import(place: &Place, business: &str, text: &str) -> Value {
    let file = place.path().join("import.jsonl");
    std::fs::write(&file, json!({ "value": text }).to_string()).expect("written");
    let arguments = ["key", "import", "--business", business, "--environment", "test", "--json", "import.jsonl"];
    let ended = place.run(&arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told: Value = serde_json::from_str(ended.out.lines().next().expect("a line")).expect("JSON");
    json!({"id": told["id"], "value": text})
}

/// The keys of the table.
fn make(place: &Place, door: &Door, table: &Value) -> BTreeMap<String, Made> {
    let mut businesses: BTreeMap<(String, bool), (String, Value)> = BTreeMap::new();
    let mut made = BTreeMap::new();
    for (name, wanted) in table["keys"].as_object().expect("keys") {
        let profile = wanted["profile"].as_str().expect("a profile");
        let suspended = wanted["suspended"] == true;
        let owner = businesses.entry((profile.to_owned(), suspended)).or_insert_with(|| business(door, profile));
        let below = |rest: &str| format!("/v1/businesses/{}/keys{rest}?environment=test", owner.0);
        let key = match (&wanted["first"], &wanted["import"]) {
            (Value::Array(first_key), _) => {
                let word = |index: usize| first_key[index].as_str().expect("a word");
                first(owner, word(0), word(1))
            }
            (_, Value::String(text)) => Made::of(&owner.0, &import(place, &owner.0, &format!("{text} for Envoy"))),
            _ => Made::of(&owner.0, &door.api(&below(""), &wanted["draft"])),
        };
        match wanted["then"].as_str() {
            // A question about it is a use of it.
            Some("verify") => {
                drop(door.api("/v1/keys/verify", &json!({"key": key.value, "business_id": key.business})));
            }
            Some(act) => drop(door.api(&below(&format!("/{}/{act}", key.id)), &Value::Null)),
            None => {}
        }
        made.insert(name.clone(), key);
    }
    for ((_, suspended), owner) in &businesses {
        if *suspended {
            door.api(&format!("/v1/businesses/{}/suspend", owner.0), &Value::Null);
        }
    }
    made
}

/// A case as Envoy tells of it.
fn present(case: &Value, key: &Made, other: &str) -> Asked {
    let text = match (case["text"].as_str(), case["replace"].as_array()) {
        (Some(text), _) => text.repeat(case["times"].as_u64().unwrap_or(1).try_into().expect("small")),
        (None, Some(words)) => {
            key.value.replace(words[0].as_str().expect("a word"), words[1].as_str().expect("a word"))
        }
        (None, None) => key.value.clone(),
    };
    let basic = |plain: String| format!("Basic {}", STANDARD.encode(plain));
    let asked = Asked::new();
    let asked = match case["form"].as_str() {
        None => asked.with("authorization", format!("Bearer {text}")),
        Some("basic") => asked.with("authorization", basic(text)),
        Some("basic:") => asked.with("authorization", basic(format!("{text}:"))),
        Some("pair") => asked.with("authorization", basic(format!("{}:{text}", key.business))),
        Some(name @ ("apikey" | "x-api-key")) => asked.with(name, text),
        Some("twice") => asked.with("apikey", &text).with("apikey", text),
        Some("both") => asked.with("apikey", &text).with("authorization", format!("Bearer {text}")),
        Some("none") => asked,
        Some("digest") => asked.with("authorization", format!("Digest {text}")),
        Some("broken") => asked.with("authorization", "Basic %%%"),
        Some(unknown) => unreachable!("{unknown}"),
    };
    let business = match case["business"].as_str() {
        None => Some(key.business.clone()),
        Some("none") => None,
        Some("empty") => Some(String::new()),
        Some("other") => Some(other.to_owned()),
        Some("capitals") => Some(key.business.to_uppercase()),
        Some(unknown) => unreachable!("{unknown}"),
    };
    let asked = business.iter().fold(asked, |asked, id| asked.with("businessid", id));
    let asked = case["origin"].as_str().iter().fold(asked, |asked, origin| asked.with("origin", origin));
    let demands = case["demand"].as_object().into_iter().flatten();
    demands.fold(asked, |asked, (name, value)| asked.demanding(name, value.as_str().expect("a text")))
}

#[tokio::test]
async fn envoy_is_told_the_decision_of_the_table() {
    let table: Value = serde_json::from_str(TABLE).expect("the table");
    let place = Place::new();
    let door = Door::open(&place).await;
    let keys = make(&place, &door, &table);
    let other = business(&door, "mileston").0;
    // Made beside the running server: it is told of them within its bound.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    for case in table["cases"].as_array().expect("cases") {
        let (name, reason) = (&case["name"], case["reason"].as_str().expect("a reason"));
        let key = &keys[case["key"].as_str().expect("a key")];
        let (status, code) = match reason {
            "ok" => (200, "ok"),
            reason => {
                let kind = Kind::from(reason.parse::<Reason>().expect("a reason"));
                (kind.status().as_u16(), kind.code())
            }
        };
        for way in [Way::Raw, Way::Joined] {
            let told = Asked { way, ..present(case, key, &other) }.at(&door).await;
            assert_eq!((told.status, told.code()), (status, code), "{name}, {way:?}: {}", told.body);
            assert_eq!(told.header("x-trousseau-key"), (status == 200).then_some(key.id.as_str()), "{name}");
            assert!(!format!("{told:?}").contains(&key.value), "{name}");
            if status == 200 {
                for header in ["authorization", "apikey", "businessid", "x-api-key", "x-trousseau-assertion"] {
                    assert!(told.removed.iter().any(|removed| removed == header), "{name}: {header}");
                }
                continue;
            }
            assert_eq!(told.header("content-type"), Some("application/problem+json"), "{name}");
            let problem: Value = serde_json::from_str(&told.body).expect("JSON");
            assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)), "{name}");
            assert_eq!(problem["request_id"].as_str(), told.header("x-request-id"), "{name}");
            assert_eq!(told.all("www-authenticate").len(), if status == 401 { 2 } else { 0 }, "{name}");
        }
    }
    let log = door.server.log();
    assert!(!keys.values().any(|key| log.contains(&key.value)), "a key is in the log");
}

/// What becomes of some requests.
async fn expect(door: &Door, key: &Made, rows: Vec<(&str, Asked, u16, &str)>) {
    for (name, asked, status, code) in rows {
        let told = asked.at(door).await;
        assert_eq!((told.status, told.code()), (status, code), "{name}: {told:?}");
        assert!(!format!("{told:?}").contains(&key.value), "{name}");
    }
    assert!(!door.server.log().contains(&key.value), "a key is in the log");
}

fn from(asked: Asked, source: &str) -> Asked {
    Asked { source: Some(source.to_owned()), ..asked }
}

fn over(asked: Asked, scheme: &str) -> Asked {
    Asked { scheme: scheme.to_owned(), ..asked }
}

#[tokio::test]
async fn who_called_is_what_envoy_says() {
    let place = Place::new();
    let door = Door::open(&place).await;
    let owner = business(&door, "mileston");
    let live = first(&owner, "live", "secret");
    let path = format!("/v1/businesses/{}/keys?environment=test", owner.0);
    let bound = Made::of(&owner.0, &door.api(&path, &json!({"allowed_ips": ["203.0.113.0/24"]})));
    let bound = || Asked::key(&bound);
    let claim = || bound().with("x-forwarded-for", "203.0.113.7");
    let far = |scheme: &str| from(over(Asked::key(&live), scheme), "203.0.113.7");
    let rows = vec![
        ("known address", from(bound(), "203.0.113.7"), 200, "ok"),
        ("another address", from(bound(), "198.51.100.7"), 403, "ip_not_allowed"),
        ("a forged address", from(claim(), "198.51.100.7"), 403, "ip_not_allowed"),
        ("what a balancer says", from(claim(), "127.0.0.1"), 200, "ok"),
        ("a pipe", Asked { source: None, ..claim() }, 403, "ip_not_allowed"),
        ("nonsense", from(claim(), "nonsense\n"), 403, "ip_not_allowed"),
        ("LIVE", far("https"), 200, "ok"),
        ("LIVE in the clear", far("http"), 403, "https_required"),
        ("LIVE, protected by a claim", far("http").with("x-forwarded-proto", "https"), 403, "https_required"),
        ("LIVE, in the clear before", far("https").with("x-forwarded-proto", "http"), 403, "https_required"),
        ("LIVE, and no scheme", far(""), 403, "https_required"),
    ];
    expect(&door, &live, rows).await;
}

#[tokio::test]
async fn nothing_that_a_caller_sends_lets_it_in() {
    let place = Place::new();
    let door = Door::open(&place).await;
    let owner = business(&door, "mileston");
    let key = first(&owner, "test", "secret");
    let path = |asked: Asked, path: &str| Asked { path: path.as_bytes().to_vec(), ..asked };
    let joined = |asked: Asked| Asked { way: Way::Joined, ..asked };
    let good = || Asked::key(&key);
    let long = "a".repeat(17 * 1024);
    let fat = (0..70).fold(good(), |asked, number| asked.with(&format!("x-{number}"), "a".repeat(1_000)));
    let many = (0..300).fold(good(), |asked, number| asked.with(&format!("x-{number}"), "a"));
    let pair = Asked::new().with("apikey", format!("{0},{0}", key.value)).with("businessid", &key.business);
    let rows = vec![
        ("good", good(), 200, "ok"),
        ("two keys", good().with("apikey", &key.value), 400, "ambiguous_credentials"),
        ("two keys joined", joined(good().with("apikey", &key.value)), 400, "ambiguous_credentials"),
        ("two keys in one header", joined(pair), 400, "ambiguous_credentials"),
        ("a key in the query", path(good(), &format!("/a?token={}", key.value)), 400, "key_in_url"),
        ("a parameter of that name", path(good(), "/a?api_key=1"), 400, "key_in_url"),
        ("a key in the path", path(good(), &format!("/a/{}/b", key.value)), 400, "key_in_url"),
        ("a key in another URL", good().with("x-original-uri", "/?key=1"), 400, "key_in_url"),
        ("a long path", path(good(), &format!("/{}", "a".repeat(9_000))), 414, "uri_too_long"),
        ("a long header", good().with("x-long", &long), 431, "headers_too_large"),
        ("long headers", fat, 431, "headers_too_large"),
        ("many headers", many, 431, "headers_too_large"),
        ("not UTF-8", Asked::new().with("apikey", b"\xff\xfe"), 401, "credential_malformed"),
        ("not UTF-8, joined", joined(Asked::new().with("apikey", b"\xff\xfe")), 401, "credential_malformed"),
        ("not UTF-8 elsewhere", good().with("x-name", b"\xe9t\xe9"), 200, "ok"),
        ("a line break", good().with("x-name", b"a\r\nb: c"), 400, "invalid_header"),
        ("no name", good().with("x name", b"a"), 400, "invalid_header"),
        ("a body in two lengths", good().with("transfer-encoding", "gzip, chunked"), 400, "ambiguous_length"),
        ("compressed", good().with("content-encoding", "gzip"), 200, "ok"),
        ("a page", good().with("sec-fetch-site", "cross-site"), 403, "browser_not_allowed"),
    ];
    expect(&door, &key, rows).await;

    let forged =
        ["X-Trousseau-Key", "X_Trousseau_Key", "x-trousseau_scopes", "X-TROUSSEAU-ASSERTION", "x-trousseau-any"];
    let forging = forged.iter().fold(good(), |asked, name| asked.with(name, "forged"));
    let told = forging.with("x-trousseau-require-kind", "secret").at(&door).await;
    assert_eq!(told.status, 200, "{told:?}");
    assert!(!told.headers.iter().any(|(_, value)| value == "forged"));
    let kept = told.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
    for name in forged.into_iter().chain(["x-trousseau-require-kind", "x-trousseau-fresh-ms"]) {
        let name = name.to_ascii_lowercase();
        assert!(kept.contains(&name.as_str()) != told.removed.contains(&name), "{name}: {told:?}");
    }
    let french = Asked::new().with("accept-language", "fr").at(&door).await;
    assert!(french.body.contains("Aucune clé n'a été envoyée"), "{french:?}");
}

#[tokio::test]
async fn what_is_demanded_adds_up_and_has_to_be_understood() {
    let place = Place::new();
    let door = Door::open(&place).await;
    let owner = business(&door, "mileston");
    let path = format!("/v1/businesses/{}/keys?environment=test", owner.0);
    let key = Made::of(&owner.0, &door.api(&path, &json!({"scopes": ["payments:read"]})));
    let demand = |name: &str, value: &str| Asked::key(&key).demanding(name, value);
    let (scope, environment) = ("x-trousseau-require-scope", "x-trousseau-require-environment");
    let rows = vec![
        ("its scope", demand("scope", "payments:read"), 200, "ok"),
        ("its business", demand("business", &owner.0).demanding("kind", "secret"), 200, "ok"),
        ("another scope", demand("scope", "payments:read payments:write"), 403, "scope_missing"),
        ("nothing asked for", demand("scope", "payments:write").with(scope, ""), 403, "scope_missing"),
        ("less asked for", demand("scope", "payments:write").with(scope, "payments:read"), 403, "scope_missing"),
        ("narrowed", demand("scope", "payments:read").with(scope, "made:up"), 403, "scope_missing"),
        ("the other environment", demand("environment", "live").with(environment, "test"), 401, "unauthorized"),
        ("a bad header", demand("kind", "secret").with(environment, "golden"), 400, "invalid_query"),
        ("unknown", demand("scopes", "payments:read"), 500, "gateway_misconfigured"),
        ("what a query may say", demand("statuses", "all"), 500, "gateway_misconfigured"),
        ("empty", demand("scope", ""), 500, "gateway_misconfigured"),
        ("only spaces", demand("environment", " , "), 500, "gateway_misconfigured"),
        ("no environment", demand("environment", "production"), 500, "gateway_misconfigured"),
        ("no audience", demand("audience", "é"), 500, "gateway_misconfigured"),
    ];
    expect(&door, &key, rows).await;
    let log = door.server.log();
    assert!(log.contains("nothing can be demanded by the name `scopes`"), "{log}");
    let told = demand("audience", "orders").at(&door).await;
    assert_eq!(told.header("x-trousseau-assertion").map(|token| token.split('.').count()), Some(3), "{told:?}");
}

#[tokio::test]
async fn a_stranger_is_believed_nothing() {
    let place = Place::new();
    let door = Door::open_with(&place, &[("TROUSSEAU_TRUSTED_PROXIES", "192.0.2.1")]).await;
    let owner = business(&door, "mileston");
    let path = format!("/v1/businesses/{}/keys?environment=test", owner.0);
    let far = Made::of(&owner.0, &door.api(&path, &json!({"allowed_ips": ["203.0.113.0/24"]})));
    let near = Made::of(&owner.0, &door.api(&path, &json!({"allowed_ips": ["127.0.0.1"]})));
    let claims = |key: &Made| {
        let asked = Asked::key(key).with("x-forwarded-for", "203.0.113.7");
        Asked { source: Some("203.0.113.7".to_owned()), ..asked }
    };
    assert_eq!(claims(&far).at(&door).await.code(), "ip_not_allowed");
    assert_eq!(claims(&near).at(&door).await.code(), "ok");
}

#[tokio::test]
async fn what_is_refused_can_be_looked_up_and_is_counted() {
    let place = Place::new();
    let door = Door::open(&place).await;
    let owner = business(&door, "mileston");
    let key = first(&owner, "test", "secret");
    let refused = Asked::key(&key).demanding("environment", "live").at(&door).await;
    assert_eq!((refused.status, refused.grpc), (401, i32::from(Code::Unauthenticated)));
    let reference = refused.header("x-request-id").expect("a reference");
    let headers = format!("authorization: Bearer {}\r\nbusinessid: {}\r\n", key.value, key.business);
    let path = format!("/v1/refusals/{reference}");
    let until = Instant::now() + Duration::from_secs(10);
    let told = loop {
        let told = door.server.get(&path, &headers);
        if told.starts_with("HTTP/1.1 200") || Instant::now() > until {
            break told;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(told.contains("environment_mismatch") && told.contains("/v1/authorize"), "{told}");
    let metrics = door.server.get("/metrics", &format!("authorization: Bearer {}\r\n", door.platform));
    let line = "trousseau_http_requests_total{method=\"POST\",route=\"/v1/authorize\",status=\"401\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn what_is_no_question_gets_an_error() {
    let place = Place::new();
    let door = Door::open(&place).await;
    let refused = |answer: Result<Told, Status>| answer.expect_err("no answer").code();
    assert_eq!(refused(door.check(CheckRequest::default()).await), Code::InvalidArgument);
    let huge = Asked::new().with("x-huge", "a".repeat(300 * 1024)).message();
    assert_eq!(refused(door.check(huge).await), Code::OutOfRange);
    assert_eq!(door.health("").await.expect("healthy"), ServingStatus::Serving);
    assert_eq!(door.health(SERVICE).await.expect("healthy"), ServingStatus::Serving);
    assert_eq!(door.health("nothing").await.expect_err("unknown").code(), Code::NotFound);
    let mut grpc = Grpc::new(door.channel.clone());
    grpc.ready().await.expect("a connection");
    let codec: ProstCodec<CheckRequest, CheckResponse> = ProstCodec::default();
    let elsewhere = PathAndQuery::from_static("/envoy.service.auth.v2.Authorization/Check");
    let answer = grpc.unary(Request::new(CheckRequest::default()), elsewhere, codec).await;
    assert_eq!(answer.expect_err("unknown").code(), Code::Unimplemented);
}

/// The head of a call with this patience, and nothing behind it: its message does not come.
fn head_of_a_call(patience: &str) -> Vec<u8> {
    let mut head = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    head.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    // POST and http, from the static table (RFC 7541 appendix A).
    let mut block = vec![0x83, 0x86];
    let type_of_body = ("content-type", "application/grpc");
    for (name, value) in
        [(":path", CHECK), (":authority", "a"), type_of_body, ("te", "trailers"), ("grpc-timeout", patience)]
    {
        // A literal without indexing and without Huffman (RFC 7541 section 6.2.2).
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("short"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    head.extend_from_slice(&[0, 0, u8::try_from(block.len()).expect("short"), 1, 4, 0, 0, 0, 1]);
    head.extend_from_slice(&block);
    head
}

#[tokio::test]
async fn a_call_whose_message_does_not_come_ends_in_time() {
    let place = Place::new();
    let door = Door::open(&place).await;
    let mut stream = TcpStream::connect(door.address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
    stream.write_all(&head_of_a_call("200m")).expect("sent");
    let started = Instant::now();
    let (mut seen, mut buffer) = (Vec::new(), [0; 1_024]);
    while !has_answer(&seen) {
        let read = stream.read(&mut buffer).expect("an answer in time");
        assert!(read > 0, "closed: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..read]);
    }
    let waited = started.elapsed();
    assert!(waited > Duration::from_millis(150) && waited < Duration::from_secs(3), "{waited:?}");
}

/// Whether there is a frame with headers (type 1) on the first stream.
fn has_answer(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let [a, b, c, kind, _, _, _, _, stream, tail @ ..] = rest {
        if (*kind, *stream) == (1, 1) {
            return true;
        }
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        rest = tail.get(length..).unwrap_or_default();
    }
    false
}

#[tokio::test]
async fn a_connection_that_says_nothing_ends() {
    let place = Place::new();
    let door = Door::open(&place).await;
    let (mut silent, mut slow) =
        (TcpStream::connect(door.address).expect("it listens"), TcpStream::connect(door.address).expect("it listens"));
    slow.write_all(b"PRI * HTTP/2.0\r\n").expect("sent");
    let started = Instant::now();
    for stream in [&mut silent, &mut slow] {
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    let waited = started.elapsed();
    assert!(waited > Duration::from_secs(8) && waited < Duration::from_secs(20), "{waited:?}");
    assert_eq!(Asked::new().at(&door).await.code(), "credential_missing");
}

#[tokio::test]
async fn a_server_that_ends_answers_what_was_asked_and_then_nobody() {
    let place = Place::new();
    let mut door = Door::open(&place).await;
    let key = first(&business(&door, "mileston"), "test", "secret");
    assert_eq!(Asked::key(&key).at(&door).await.status, 200);
    // A request on the other listener keeps the server in its end for a while.
    let mut running = door.server.connect();
    running.write_all(b"POST /livez HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{").expect("sent");
    door.server.signal(Signal::TERM);
    let started = Instant::now();
    let mut answered = 0;
    loop {
        match door.check(Asked::key(&key).message()).await {
            Ok(told) => {
                assert_eq!(told.status, 200);
                answered += 1;
            }
            Err(status) => {
                assert!(
                    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled),
                    "{status:?}"
                );
                break;
            }
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{answered} were answered after the signal");
    }
    assert!(TcpStream::connect(door.address).is_err(), "nobody new is let in");
    drop(running);
    assert_eq!(door.server.wait(), Some(0), "{}", door.server.log());
    assert!(started.elapsed() < Duration::from_secs(20), "an idle connection of Envoy's is not waited for");
}

/// What passes bytes on to the database until it is cut.
async fn cuttable(to: String) -> (SocketAddr, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (cut, is_cut) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (to, mut is_cut) = (to.clone(), is_cut.clone());
            tokio::spawn(async move {
                if *is_cut.borrow() {
                    return;
                }
                let Ok(mut far) = Stream::connect(to).await else { return };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = is_cut.wait_for(|cut| *cut) => {}
                }
            });
        }
    });
    (address, cut)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_nobody_passes() {
    let Some(server) = TestDatabase::postgres_server() else { return };
    let database = TestDatabase::postgres(&server).await;
    let (before, host) = database.url().rsplit_once('@').expect("user and host");
    let (host, name) = host.split_once('/').expect("host and name");
    let (proxy, cut) = cuttable(host.to_owned()).await;
    let place = Place::with_database(&format!("{before}@{proxy}/{name}"));
    let door = Door::open(&place).await;
    let key = first(&business(&door, "mileston"), "test", "secret");
    assert_eq!(Asked::key(&key).at(&door).await.status, 200);
    cut.send(true).expect("it listens");
    // Answered from memory for as long as the lease is good, which is under a second.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let told = Asked::key(&key).at(&door).await;
    assert_eq!((told.status, told.code()), (503, "unavailable"), "{told:?}");
    assert!(told.header("retry-after").is_some() || !told.body.is_empty(), "{told:?}");
    assert_eq!(door.health("").await.expect("an answer"), ServingStatus::NotServing);
}

#[tokio::test]
async fn the_trace_of_a_question_is_continued() {
    let collector = Collector::open(&[]);
    let place = Place::new();
    let endpoint = collector.url();
    let variables = [("TROUSSEAU_TRACES__ENDPOINT", endpoint.as_str()), ("TROUSSEAU_TRACES__RATIO", "0")];
    let door = Door::open_with(&place, &variables).await;
    let key = first(&business(&door, "mileston"), "test", "secret");
    let asked = |caller: u8, flags: &str| Asked::key(&key).with("traceparent", traceparent(caller, flags)).message();
    // What the caller says, where Envoy says nothing; what Envoy says, where it does.
    door.check(asked(1, "01")).await.expect("an answer");
    for (envoy, flags) in [(2, "01"), (3, "00")] {
        let mut request = Request::new(asked(4, "01"));
        let parent = traceparent(envoy, flags).parse().expect("a value");
        request.metadata_mut().insert("traceparent", parent);
        door.check(request).await.expect("an answer");
    }
    door.check(asked(5, "00")).await.expect("an answer");
    door.check(Asked::new().with("traceparent", traceparent(6, "01")).message()).await.expect("an answer");
    let (received, spans) = tokio::task::spawn_blocking(move || collector.spans(3)).await.expect("three spans");
    for (span, (number, status)) in spans.iter().zip([(1, "200"), (2, "200"), (6, "401")]) {
        assert_eq!(span.trace, format!("{number:032x}"));
        assert_eq!(span.parent, format!("{:016x}", number << 8));
        assert_eq!(span.name, "envoy.service.auth.v3.Authorization/Check");
        assert_eq!(span.attribute("trousseau.door"), "ext_authz");
        assert_eq!(span.attribute("http.route"), "/v1/authorize");
        assert_eq!(span.attribute("http.response.status_code"), status);
    }
    for Received { body, .. } in &received {
        assert!(memchr::memmem::find(body, key.value.as_bytes()).is_none(), "a key is in a span");
    }
}
