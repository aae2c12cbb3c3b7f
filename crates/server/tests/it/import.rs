//! Keys of another system, taken over by a command and accepted by the running server.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use trousseau_store::testing::TestDatabase;

use crate::process::{Ended, Place, Server};

/// One place per engine at hand.
async fn places() -> Vec<(Place, Option<TestDatabase>)> {
    let mut places = vec![(Place::new(), None)];
    if let Some(server) = TestDatabase::postgres_server() {
        let database = TestDatabase::postgres(&server).await;
        places.push((Place::with_database(database.url()), Some(database)));
    }
    places
}

fn import(place: &Place, business: &str, arguments: &[&str], input: &[u8]) -> Ended {
    let mut command = place.command(&["key", "import", "--business", business, "--environment", "live", "--json"]);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(input).expect("written");
    Ended::of(child.wait_with_output().expect("it ends"))
}

fn lines(ended: &Ended) -> Vec<Value> {
    ended.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn business(place: &Place, profile: &str) -> String {
    let created = place.run(&["business", "create", "Shop", "--profile", profile, "--json"]);
    let created: Value = serde_json::from_str(&created.out).expect("JSON");
    created["business"]["id"].as_str().expect("an id").to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[tokio::test]
async fn imported_keys_are_accepted_by_text_and_by_digest_in_every_form() {
    for (place, _database) in places().await {
        let id = business(&place, "mileston");
        let server = Server::start(&place, &[]);
        let (first, second) = ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "tok-9f8e7d6c5b4a39281706");
        let input = format!(
            "{}\n\n{}\n",
            json!({"value": first, "name": "Old backend", "scopes": ["payments:read"], "valid_until": "2099-12-31"}),
            json!({"sha256": hex(&Sha256::digest(second)), "last_three": "706", "external_reference": "legacy-17"}),
        );
        let ended = import(&place, &id, &[], input.as_bytes());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let told = lines(&ended);
        assert_eq!((&told[0]["line"], &told[0]["result"]), (&json!(1), &json!("imported")));
        assert_eq!((&told[1]["line"], &told[1]["result"]), (&json!(3), &json!("imported")));
        assert_eq!(told[2], json!({"imported": 2, "known": 0, "refused": 0}));
        assert!(!ended.out.contains(first) && !ended.err.contains(first));

        let basic = |user: &str, key: &str| {
            let text = format!("{user}:{key}");
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text)
        };
        for (key, told) in [(first, &told[0]), (second, &told[1])] {
            for headers in [
                format!("apikey: {key}\r\nbusinessid: {id}\r\n"),
                format!("authorization: Bearer {key}\r\nbusinessid: {id}\r\n"),
                format!("x-api-key: {key}\r\nbusinessid: {id}\r\n"),
                format!("authorization: Basic {}\r\n", basic(&id, key)),
            ] {
                let answer = server.get("/v1/whoami", &headers);
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                assert!(answer.contains(told["id"].as_str().expect("an id")), "{answer}");
            }
        }
        let shown: Value =
            serde_json::from_str(&place.run(&["key", "show", told[1]["id"].as_str().expect("an id"), "--json"]).out)
                .expect("JSON");
        assert_eq!((&shown["masked_value"], &shown["external_reference"]), (&json!("*****706"), &json!("legacy-17")));

        // The same file again changes nothing.
        let again = lines(&import(&place, &id, &[], input.as_bytes()));
        assert_eq!(again[2], json!({"imported": 0, "known": 2, "refused": 0}));
        assert_eq!(again[0]["id"], told[0]["id"]);
    }
}

#[tokio::test]
async fn csv_is_read_by_its_names() {
    let place = Place::new();
    let id = business(&place, "mileston");
    let file = place.path().join("keys.csv");
    let rows = "value,name,kind,scopes,allowed_origins,metadata\n\
                pk_live_TYooMQauvdEDq54NiTphI7jx,Shop window,checkout,,https://shop.example https://www.shop.example,\"{\"\"team\"\":\"\"web\"\"}\"\n\
                sk_live_26PHem9AhJZvU623DfE1x4sd,,,payments:read events:read,,\n";
    std::fs::write(&file, rows).expect("written");
    let ended = import(&place, &id, &[file.to_str().expect("a path")], b"");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = lines(&ended);
    assert_eq!(told[2], json!({"imported": 2, "known": 0, "refused": 0}));
    let show = |at: usize| -> Value {
        let shown = place.run(&["key", "show", told[at]["id"].as_str().expect("an id"), "--json"]);
        serde_json::from_str(&shown.out).expect("JSON")
    };
    let first = show(0);
    assert_eq!(first["kind"], "checkout");
    assert_eq!(first["allowed_origins"], json!(["https://shop.example", "https://www.shop.example"]));
    assert_eq!(first["metadata"], json!({"team": "web"}));
    assert_eq!(show(1)["scopes"], json!(["events:read", "payments:read"]));
}

#[tokio::test]
async fn each_line_is_refused_for_its_own_reason_and_the_others_are_taken() {
    for (place, _database) in places().await {
        let id = business(&place, "mileston");
        let other = business(&place, "mileston");
        let taken = "sk_live_BQokikJOvBiI2HlWgH4olfQ2";
        let ended = import(&place, &other, &[], format!("{{\"value\":\"{taken}\"}}\n").as_bytes());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let secret = "do-not-repeat-me-0123456789";
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (format!("{{\"value\":\"{taken}\"}}").into(), "value"),
            (b"{\"value\":\"short\"}".to_vec(), "value"),
            (format!("{{\"value\":\"{secret} with spaces\"}}").into(), "value"),
            (b"{\"value\":\"Mileston_LIVE_abc\"}".to_vec(), "value"),
            (b"{}".to_vec(), "value"),
            (format!("{{\"value\":\"{secret}\",\"sha256\":\"00\"}}").into(), "value"),
            (b"{\"sha256\":\"zz\"}".to_vec(), "sha256"),
            (format!("{{\"value\":\"{secret}\",\"scopes\":[\"nothing\"]}}").into(), "scopes"),
            (format!("{{\"value\":\"{secret}\",\"scopes\":[\"ledger:read\"]}}").into(), "scopes"),
            (format!("{{\"value\":\"{secret}\",\"kind\":\"gold\"}}").into(), "kind"),
            (format!("{{\"value\":\"{secret}\",\"valid_until\":\"soon\"}}").into(), "valid_until"),
            (
                format!("{{\"value\":\"{secret}\",\"allowed_origins\":[\"https://a.example\"]}}").into(),
                "allowed_origins",
            ),
            (format!("{{\"value\":\"{secret}\",\"color\":\"red\"}}").into(), ""),
            (format!("[\"{secret}\"]").into(), ""),
            (b"{\"value\":\"\xff\xfe\"}".to_vec(), ""),
            (format!("{{\"value\":\"{}\"}}", "x".repeat(70_000)).into(), ""),
        ];
        let mut input: Vec<u8> = Vec::new();
        for (line, _) in &cases {
            input.extend_from_slice(line);
            input.push(b'\n');
        }
        input.extend_from_slice(b"{\"value\":\"the-last-line-is-good-1\"}");
        let ended = import(&place, &id, &[], &input);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let told = lines(&ended);
        for ((line, field), told) in cases.iter().zip(&told) {
            let line = String::from_utf8_lossy(line);
            assert_eq!((&told["result"], &told["field"]), (&json!("refused"), &json!(field)), "{line}: {told}");
        }
        assert_eq!(told[cases.len()]["result"], "imported");
        assert_eq!(told[cases.len() + 1], json!({"imported": 1, "known": 0, "refused": cases.len()}));
        assert!(!ended.out.contains(secret) && !ended.err.contains(secret), "a value was repeated");
    }
}

#[tokio::test]
async fn the_limit_of_number_and_the_rules_of_the_profile_hold() {
    let place = Place::new();
    let id = business(&place, "codat");
    let lines_of: Vec<_> = (0..11).map(|n| format!("{{\"value\":\"imported-key-number-{n:02}\"}}\n")).collect();
    let input = lines_of.concat();
    let ended = import(&place, &id, &[], input.as_bytes());
    // One key came with the business, so nine are taken.
    assert_eq!(lines(&ended).last(), Some(&json!({"imported": 9, "known": 0, "refused": 2})), "{ended:?}");
    // Twenty letters and digits look like a key that is sent with a business id, which this profile's callers do not.
    let ended = import(&place, &id, &[], b"{\"value\":\"abcdefghij0123456789\"}\n");
    assert_eq!(lines(&ended)[0]["field"], "value", "{ended:?}");
    let unknown = import(&place, "5f0c8a52-5b8e-4a3e-9d0f-2f8f6f1c3b7a", &[], b"{}");
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    let column = import(&place, &id, &["--format", "csv"], b"value,colour\n");
    assert_eq!(column.code, Some(2), "{column:?}");
}
