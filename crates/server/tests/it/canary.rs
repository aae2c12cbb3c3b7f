//! What was issued is nowhere but in the answers that show it: not in a log, a database file, an error or a metric.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use trousseau_store::testing::TestDatabase;

use crate::process::{Place, Server};

/// Every shape in which a secret could lie about: itself, in hexadecimal, in base64 at each of the three places
/// that a longer text can put it, and its bare SHA-256.
fn shapes(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let digest = Sha256::digest(secret);
    let mut shapes = vec![
        secret.to_vec(),
        hex(secret).into_bytes(),
        hex(secret).to_uppercase().into_bytes(),
        digest.to_vec(),
        hex(&digest).into_bytes(),
        STANDARD.encode(digest).into_bytes(),
    ];
    for before in 0..3 {
        let text = STANDARD.encode([&vec![0; before], secret].concat());
        // The first and the last characters depend on the neighbours too.
        let first = (before * 8).div_ceil(6);
        let whole = ((before + secret.len()) * 8) / 6;
        shapes.push(text.as_bytes()[first..whole].to_vec());
    }
    shapes
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

/// Places where a secret must not be, each with its content.
struct Search {
    places: Vec<(String, Vec<u8>)>,
}

impl Search {
    fn hits(&self, secret: &[u8]) -> Vec<&str> {
        let shapes = shapes(secret);
        let hit = |content: &[u8]| shapes.iter().any(|shape| contains(content, shape));
        self.places.iter().filter(|(_, content)| hit(content)).map(|(place, _)| place.as_str()).collect()
    }
}

/// A server, what it was asked, and what it answered where no secret belongs.
struct Run {
    server: Server,
    issued: Vec<String>,
    refusals: String,
}

impl Run {
    fn call(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n{headers}\r\n{body}"
        );
        let answer = self.server.exchange(request.as_bytes());
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or(0), answer)
    }

    /// A call whose answer shows values; they are remembered.
    fn issue(&mut self, method: &str, path: &str, headers: &str, body: &Value) -> Value {
        let (status, answer) = self.call(method, path, headers, &body.to_string());
        assert!((200..300).contains(&status), "{method} {path}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let body: Value = serde_json::from_str(body).expect("JSON");
        remember(&body, &mut self.issued);
        body
    }

    /// A call whose answer shows nothing, whatever its status.
    fn refuse(&mut self, method: &str, path: &str, headers: &str, body: &str) {
        let (status, answer) = self.call(method, path, headers, body);
        assert!((400..500).contains(&status), "{method} {path}: {answer}");
        self.refusals.push_str(&answer);
    }
}

fn remember(body: &Value, issued: &mut Vec<String>) {
    match body {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("value" | "apiKey", Value::String(value)) => issued.push(value.clone()),
                    _ => remember(member, issued),
                }
            }
        }
        Value::Array(entries) => entries.iter().for_each(|entry| remember(entry, issued)),
        _ => {}
    }
}

fn string<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

/// Uses the API in every way that a secret can take part in.
fn use_the_api(place: &Place, run: &mut Run) {
    let platform = place.run(&["platform-key", "create", "canary", "--json"]);
    let platform: Value = serde_json::from_str(&platform.out).expect("JSON");
    let platform_key = string(&platform, "/value").to_owned();
    run.issued.push(platform_key.clone());
    let operator = format!("authorization: Bearer {platform_key}\r\n");

    for profile in ["mileston", "payline", "codat"] {
        let headers = format!("{operator}idempotency-key: {profile}\r\n");
        let draft = json!({"name": "Canary", "profile": profile});
        let made = run.issue("POST", "/v1/businesses", &headers, &draft);
        // The same again, from memory.
        run.issue("POST", "/v1/businesses", &headers, &draft);
        let id = string(&made, "/business/id").to_owned();
        for key in made["keys"].as_array().expect("keys") {
            let (value, header) = (string(key, "/value"), string(key, "/authorization"));
            let with_id = format!("businessid: {id}\r\n");
            for headers in [
                format!("authorization: {header}\r\n"),
                format!("authorization: Bearer {value}\r\n{with_id}"),
                format!("x-api-key: {value}\r\n{with_id}"),
                format!("apikey: {value}\r\n{with_id}"),
            ] {
                let (status, answer) = run.call("GET", "/v1/whoami", &headers, "");
                assert_eq!(status, 200, "{answer}");
                run.refusals.push_str(&answer);
            }
            // Every refusal that follows from a good key being used wrongly.
            let bearer = format!("authorization: Bearer {value}\r\n{with_id}");
            run.refuse("GET", &format!("/v1/whoami?apikey={value}"), "", "");
            run.refuse("GET", &format!("/v1/whoami?x=1&access_token={value}"), &bearer, "");
            run.refuse("GET", &format!("/v1/keys/{value}"), &bearer, "");
            run.refuse("GET", &format!("/nowhere/{value}/at-all"), "", "");
            run.refuse("GET", "/v1/whoami", &format!("{bearer}x-api-key: {value}\r\n"), "");
            run.refuse("GET", "/v1/whoami", &format!("authorization: Digest {value}\r\n"), "");
            run.refuse("GET", "/v1/whoami", &format!("authorization: Basic {value}\r\n"), "");
            run.refuse("GET", "/v1/whoami", &format!("authorization: Bearer {value}x\r\n{with_id}"), "");
            run.refuse(
                "GET",
                "/v1/whoami",
                &format!("authorization: Bearer {value}\r\nbusinessid: 12345678901234\r\n"),
                "",
            );
            run.refuse(
                "GET",
                "/v1/events",
                &format!(
                    "{bearer}sec-fetch-site: cross-site\r\norigin: https://{}.example\r\n",
                    &value[value.len() - 20..]
                ),
                "",
            );
            run.refuse(
                "POST",
                "/v1/keys",
                &format!("{bearer}idempotency-key: {value}\r\n"),
                &format!("{{\"name\":\"{value}\",\"oops\":1}}"),
            );
            run.refuse("POST", "/v1/keys", &bearer, &format!("{{\"{value}\""));
            run.refuse("POST", "/v1/keys/verify", &operator, &format!("{{\"key\":\"{value}\",\"{value}\":1}}"));
            let asked = json!({"key": value, "business_id": id});
            let (status, answer) = run.call("POST", "/v1/keys/verify", &operator, &asked.to_string());
            assert_eq!(status, 200, "{answer}");
            run.refusals.push_str(&answer);
        }
        let environments: &[&str] = if profile == "codat" { &["live"] } else { &["test", "live"] };
        for environment in environments {
            let keys = format!("/v1/businesses/{id}/keys");
            let draft = if profile == "payline" { json!({}) } else { json!({"name": "second"}) };
            let made = run.issue("POST", &format!("{keys}?environment={environment}"), &operator, &draft);
            let one = string(&made, "/id").to_owned();
            if profile == "mileston" {
                let headers = format!("{operator}idempotency-key: rotate-{environment}\r\n");
                let path = format!("{keys}/{one}/rotate?environment={environment}");
                run.issue("POST", &path, &headers, &json!({"overlap_seconds": 3600}));
                let (_, again) = run.call("POST", &path, &headers, "{\"overlap_seconds\":3600}");
                if *environment == "live" {
                    run.refusals.push_str(&again);
                }
            }
            let (_, listed) = run.call("GET", &format!("{keys}?environment={environment}"), &operator, "");
            run.refusals.push_str(&listed);
            let (_, revoked) =
                run.call("POST", &format!("{keys}/{one}/revoke?environment={environment}"), &operator, "");
            run.refusals.push_str(&revoked);
        }
    }
    let (status, metrics) = run.call("GET", "/metrics", &operator, "");
    assert_eq!(status, 200);
    run.refusals.push_str(&metrics);
}

/// Every file of the folder but the one that holds the secrets on purpose.
fn files(place: &Place, label: &str) -> Vec<(String, Vec<u8>)> {
    let folder = std::fs::read_dir(place.path().join("trousseau-data")).expect("the data folder");
    folder
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_some_and(|name| name != "keys.toml"))
        .map(|path| {
            let mut content = Vec::new();
            std::fs::File::open(&path).and_then(|mut file| file.read_to_end(&mut content)).expect("readable");
            (format!("{label}: {}", path.display()), content)
        })
        .collect()
}

/// Pepper and key-encryption key, as the key file writes them and as bytes.
fn own_secrets(place: &Place) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(place.path().join("trousseau-data/keys.toml")).expect("the key file");
    let quoted: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
    let secrets: Vec<Vec<u8>> =
        quoted.iter().filter_map(|text| STANDARD.decode(text).ok()).filter(|bytes| bytes.len() == 32).collect();
    assert_eq!(secrets.len(), 2, "a pepper and a key-encryption key");
    secrets
}

const PASSWORD: &str = "canary-in-the-address";

/// The rows of every table, as text; binary columns are in base64.
const DUMP: &str = "SELECT query_to_xml('SELECT * FROM ' || quote_ident(table_name), true, false, '')::text \
                    FROM information_schema.tables WHERE table_schema = current_schema()";

#[tokio::test]
async fn no_secret_is_anywhere_but_in_the_answer_that_shows_it() {
    let mut engines = vec![None];
    if let Some(server) = TestDatabase::postgres_server() {
        engines.push(Some(TestDatabase::postgres(&server).await));
    }
    for database in engines {
        let place = match &database {
            None => Place::new(),
            Some(database) => {
                let (scheme, rest) = database.url().split_once("://").expect("an address");
                let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                // The server of the tests trusts everybody; the password is there to be looked for.
                Place::with_database(&format!("{scheme}://postgres:{PASSWORD}@{host}"))
            }
        };
        let mut command = place.run(&["config", "check"]);
        assert_eq!(command.code, Some(0), "{}", command.err);
        let server = Server::start_with(&place, &[("TROUSSEAU_LOG__LEVEL", "trace")], &[]);
        let mut run = Run { server, issued: Vec::new(), refusals: String::new() };
        use_the_api(&place, &mut run);
        let mut places = files(&place, "while running");
        // Uses and refusals are written when the server ends at the latest.
        run.server.signal(Signal::TERM);
        assert_eq!(run.server.wait(), Some(0));
        places.extend(files(&place, "after the end"));
        if let Some(database) = &database {
            let rows = database.texts(DUMP).await;
            assert!(rows.len() > 5, "the dump holds the tables");
            assert!(rows.iter().any(|rows| rows.contains("key.created")), "the dump holds rows");
            places.extend(rows.into_iter().map(|rows| ("a table".to_owned(), rows.into_bytes())));
        }
        command.out.push_str(&place.run(&["secrets", "status"]).out);
        places.push(("commands".to_owned(), command.out.into_bytes()));
        places.push(("answers".to_owned(), run.refusals.clone().into_bytes()));
        let log = run.server.log();
        assert!(log.contains("request answered"), "the log was captured");
        places.push(("log".to_owned(), log.into_bytes()));

        let search = Search { places };
        assert!(run.issued.len() > 15, "{}", run.issued.len());
        for secret in &run.issued {
            let hits = search.hits(secret.as_bytes());
            assert!(hits.is_empty(), "an issued secret is in {hits:?}");
        }
        for secret in own_secrets(&place) {
            let hits = search.hits(&secret);
            assert!(hits.is_empty(), "pepper or key-encryption key is in {hits:?}");
        }
        assert!(search.hits(PASSWORD.as_bytes()).is_empty(), "the password of the database is told");
    }
}

#[test]
fn the_search_finds_a_secret_in_every_shape() {
    let secret = "Mileston_LIVE_4vTq8ZbR2mWk7NcY5hJd9LpXs3GfE6aU1oKx7K";
    let encode = |text: String| STANDARD.encode(text).into_bytes();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().concat();
    for content in [
        format!("… {secret} …").into_bytes(),
        encode(secret.to_owned()),
        encode(format!("{secret}:")),
        encode(format!("17616983000123:{secret}")),
        encode(format!("6f1d2c8e-3b47-4a95-9c0e-d15b7a64f2e8:{secret}")),
        encode(format!("ab{secret}tail")),
        hex(secret.as_bytes()).into_bytes(),
        Sha256::digest(secret).to_vec(),
        hex(&Sha256::digest(secret)).to_lowercase().into_bytes(),
    ] {
        let search = Search { places: vec![("here".to_owned(), content.clone())] };
        assert_eq!(search.hits(secret.as_bytes()), ["here"], "{}", String::from_utf8_lossy(&content));
        assert!(search.hits(b"Mileston_LIVE_another-secret-of-the-same-length-as-it").is_empty());
    }
}
