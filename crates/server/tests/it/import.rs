//! Keys of another system, taken over by a command and accepted by the running server.

use std::io::Write as _;
use std::process::Stdio;

use hmac::{Hmac, KeyInit as _, Mac as _};
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

/// Writes the text to a file of CSV in this place and imports it; what was told line by line, and how it ended.
fn import_csv(place: &Place, business: &str, text: &[u8]) -> (Vec<Value>, Ended) {
    let file = place.path().join("rows.csv");
    std::fs::write(&file, text).expect("written");
    let ended = import(place, business, &[file.to_str().expect("a path")], b"");
    (lines(&ended), ended)
}

#[tokio::test]
async fn a_row_of_csv_is_told_by_the_line_it_begins_on() {
    let place = Place::new();
    let id = business(&place, "mileston");
    let cases: [(&str, &[(u64, &str)]); 8] = [
        (
            "value,name\r\nkey-of-crlf-line-2,a\r\nshort,b\r\nkey-of-crlf-line-4,c\r\nshort,d\r\n",
            &[(2, "imported"), (3, "refused"), (4, "imported"), (5, "refused")],
        ),
        (
            "value,name\n\nkey-after-a-blank-line,a\nshort,b\n\nshort,c\n\n\nkey-after-two-of-them,d",
            &[(3, "imported"), (4, "refused"), (6, "refused"), (9, "imported")],
        ),
        ("\r\n\r\nvalue,name\r\n\r\n\r\nshort,a\r\nshort,b", &[(6, "refused"), (7, "refused")]),
        // A row that is refused for its form, and the last one without an end.
        (
            "value,name\r\nshort\r\nshort,b,c\r\nkey-of-crlf-last-line,",
            &[(2, "refused"), (3, "refused"), (4, "imported")],
        ),
        (
            "value,name\r\nshort,\"a\r\n\r\n\"\"b\"\"\"\r\nshort,c\r\nkey-after-open-lines,\"it \"\"was\"\"\"\r\n",
            &[(2, "refused"), (5, "refused"), (6, "imported")],
        ),
        ("value,\"name\"\nshort,\"one\ntwo\"\n\nshort,\"b\"\n", &[(2, "refused"), (5, "refused")]),
        // A quote amid a cell opens nothing.
        ("value,name\nshort,5\" disk\nkey-after-a-stray-quote,b\n", &[(2, "refused"), (3, "imported")]),
        ("value,name\rshort,a\r\rshort,b\r", &[(2, "refused"), (4, "refused")]),
    ];
    for (text, expected) in cases {
        let (told, ended) = import_csv(&place, &id, text.as_bytes());
        assert_eq!(ended.code, Some(1), "{text:?}: {ended:?}");
        let each: Vec<_> = told[..told.len() - 1]
            .iter()
            .map(|told| (told["line"].as_u64().expect("a number"), told["result"].as_str().expect("a word")))
            .collect();
        assert_eq!(each, expected, "{text:?}");
        // People are told the same numbers.
        let file = place.path().join("rows.csv");
        let file = file.to_str().expect("a path");
        let shown = place.run(&["key", "import", "--business", &id, "--environment", "live", file]);
        let refused = expected.iter().filter(|(_, result)| *result == "refused");
        for ((number, _), shown) in refused.zip(shown.out.lines()) {
            assert!(shown.starts_with(&format!("line {number}: refused: ")), "{text:?}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_quote_that_is_never_closed_ends_the_import_and_what_was_before_it_is_taken() {
    let place = Place::new();
    let id = business(&place, "mileston");
    // Once the end of the input comes first, once the bound of a row.
    for (prefix, count) in [("few-rows", 20_u32), ("many-rows", 3_000)] {
        let row = |n: u32| format!("{prefix}-imported-{n:05},name {n}\n");
        let whole: String = (2..count + 2).map(row).collect();
        let broken = format!("value,name\n{}", whole.replacen(",name 5\n", ",\"oops\n", 1));
        let (told, ended) = import_csv(&place, &id, broken.as_bytes());
        assert_eq!(ended.code, Some(3), "{prefix}: {}", ended.err);
        assert_eq!(told.len(), 5, "{prefix}: {told:?}");
        assert_eq!((&told[3]["line"], &told[3]["result"]), (&json!(5), &json!("refused")));
        assert_eq!(told[4], json!({"imported": 3, "known": 0, "refused": 1}));
        assert!(ended.err.contains("the quote opened on line 5 is never closed"), "{}", ended.err);
        assert!(ended.err.contains("what was before it is imported"), "{}", ended.err);
        assert!(!ended.err.contains("imported-0") && !ended.out.contains("imported-0"), "a value was repeated");
        // Mended, the same file goes in.
        let (told, ended) = import_csv(&place, &id, format!("value,name\n{whole}").as_bytes());
        assert_eq!(ended.code, Some(0), "{prefix}: {}", ended.err);
        assert_eq!(told.last(), Some(&json!({"imported": count - 3, "known": 3, "refused": 0})));
    }
    // The row begins on one line, and the quote is on another.
    let (told, ended) = import_csv(&place, &id, b"value,name,state\nshort,\"a\nb\",\"active\nshort,c,active\n");
    assert_eq!((ended.code, told.len(), &told[0]["line"]), (Some(3), 2, &json!(2)), "{ended:?}");
    assert!(ended.err.contains("the quote opened on line 3 is never closed"), "{}", ended.err);
    // In the line of names nothing is before it.
    let (told, ended) = import_csv(&place, &id, b"value,\"name\nkey-under-a-bad-first-line,a\n");
    assert_eq!((ended.code, told.len()), (Some(3), 0), "{ended:?}");
    assert!(ended.err.contains("the quote opened on line 1 is never closed"), "{}", ended.err);
    // A long row without quotes is refused by itself, and a cell that closes its quote within the bound is none.
    let (long, fits) = ("x".repeat(70_000), "y".repeat(60_000));
    let text = format!("value,name\n{long},a\nshort,\"{fits}\"\nshort,{long}\nkey-after-long-rows,b\n");
    let (told, ended) = import_csv(&place, &id, text.as_bytes());
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    for (told, (line, long)) in told.iter().zip([(2, true), (3, false), (4, true)]) {
        assert_eq!((&told["line"], &told["result"]), (&json!(line), &json!("refused")));
        assert_eq!(told["message"] == "is longer than 64 KiB", long, "{told}");
    }
    assert_eq!((&told[3]["line"], &told[3]["result"]), (&json!(5), &json!("imported")));
}

#[tokio::test]
async fn a_quote_that_is_never_closed_is_given_up_before_much_of_the_input_is_read() {
    const MOST: usize = 64 << 20;
    let place = Place::new();
    let id = business(&place, "mileston");
    let arguments = ["key", "import", "--business", &id, "--environment", "live", "--json", "--format", "csv"];
    let mut command = place.command(&arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(b"value,name\nkey-before-the-open-quote,a\nshort,\"oops\n").expect("written");
    let rows = "key-behind-the-open-quote,b\n".repeat(1_000);
    let mut written = 0;
    // It goes away in the middle.
    while written < MOST && input.write_all(rows.as_bytes()).is_ok() {
        written += rows.len();
    }
    drop(input);
    let ended = Ended::of(child.wait_with_output().expect("it ends"));
    assert_eq!(ended.code, Some(3), "{}", ended.err);
    assert_eq!(lines(&ended).last(), Some(&json!({"imported": 1, "known": 0, "refused": 1})));
    assert!(written < MOST, "all of the input was read");
}

#[tokio::test]
async fn a_first_line_that_names_no_columns_is_told_by_the_place_alone() {
    let place = Place::new();
    let id = business(&place, "mileston");
    let secret = "legacy-secretsecret-5";
    for (text, told) in [
        (format!("{secret},Foo\n"), "column 1 of the first line is none of: value, sha256, "),
        (format!("value,{secret}\n"), "column 2 of the first line is none of: value, sha256, "),
        (format!("value,name,value\n{secret},a,b\n"), "column 3 of the first line has the name of column 1 again"),
        (format!("value,value\n{secret},{secret}\n"), "column 2 of the first line has the name of column 1 again"),
    ] {
        let (_, ended) = import_csv(&place, &id, text.as_bytes());
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.err.contains(told), "{}", ended.err);
        assert!(!ended.err.contains("secretsecret"), "a value was repeated");
    }
}

#[tokio::test]
async fn a_byte_order_mark_costs_no_key() {
    let place = Place::new();
    let id = business(&place, "mileston");
    let all = |count: u64| json!({"imported": count, "known": 0, "refused": 0});
    let input = b"\xef\xbb\xbf{\"value\":\"first-key-after-a-mark\"}\r\n{\"value\":\"second-key-after-a-mark\"}\r\n";
    let ended = import(&place, &id, &[], input);
    assert_eq!((ended.code, lines(&ended).last()), (Some(0), Some(&all(2))), "{ended:?}");
    assert_eq!(lines(&ended)[0]["line"], 1);
    let (told, ended) = import_csv(&place, &id, b"\xef\xbb\xbf\"value\",name\r\nthird-key-after-a-mark,a\r\n");
    assert_eq!((ended.code, told.last()), (Some(0), Some(&all(1))), "{ended:?}");
    // An input may be shorter than the mark, and another mark is no JSON.
    let empty = import(&place, &id, &[], b"");
    assert_eq!((empty.code, lines(&empty).last()), (Some(0), Some(&all(0))), "{empty:?}");
    for input in [&b"{}"[..], b"\xef\xbb\xbf\xef\xbb\xbf{\"value\":\"third-key-after-two-marks\"}"] {
        let ended = import(&place, &id, &[], input);
        assert_eq!(lines(&ended).last(), Some(&json!({"imported": 0, "known": 0, "refused": 1})), "{ended:?}");
    }
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
            (format!("{{\"value\":\" {secret} and a space in front\"}}").into(), "value"),
            (format!("{{\"value\":\"{secret}\\u00e9\"}}").into(), "value"),
            (format!("{{\"value\":\"{secret}\\n\"}}").into(), "value"),
            (format!("{{\"hmac_sha256\":\"{}\"}}", "0".repeat(64)).into(), "pepper_version"),
            (format!("{{\"hmac_sha256\":\"{}\",\"pepper_version\":2}}", "0".repeat(64)).into(), "pepper_version"),
            (
                format!("{{\"sha256\":\"{0}\",\"hmac_sha256\":\"{0}\",\"pepper_version\":1}}", "0".repeat(64)).into(),
                "value",
            ),
            (b"{\"value\":\"Mileston_LIVE_: a disguise\"}".to_vec(), "value"),
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
async fn limits_of_number_do_not_hold_and_the_rules_of_the_profile_do() {
    let place = Place::new();
    let id = business(&place, "codat");
    let lines_of: Vec<_> = (0..11).map(|n| format!("{{\"value\":\"imported-key-number-{n:02}\"}}\n")).collect();
    let input = lines_of.concat();
    let ended = import(&place, &id, &[], input.as_bytes());
    // One key came with the business, and this profile makes ten.
    assert_eq!(lines(&ended).last(), Some(&json!({"imported": 11, "known": 0, "refused": 0})), "{ended:?}");
    let more = place.run(&["key", "create", "--business", &id, "--environment", "live"]);
    assert_eq!(more.code, Some(1), "{more:?}");
    // Twenty letters and digits look like a key that is sent with a business id, which this profile's callers do not.
    let ended = import(&place, &id, &[], b"{\"value\":\"abcdefghij0123456789\"}\n");
    assert_eq!(lines(&ended)[0]["field"], "value", "{ended:?}");
    let unknown = import(&place, "5f0c8a52-5b8e-4a3e-9d0f-2f8f6f1c3b7a", &[], b"{}");
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    let column = import(&place, &id, &["--format", "csv"], b"value,colour\n");
    assert_eq!(column.code, Some(2), "{column:?}");
}

#[tokio::test]
async fn any_printable_text_is_accepted_wherever_a_key_is_presented() {
    for (place, _database) in places().await {
        let id = business(&place, "mileston");
        let created = place.run(&["platform-key", "create", "gateway", "--scope", "verify", "--json"]);
        let platform: Value = serde_json::from_str(&created.out).expect("JSON");
        let server = Server::start(&place, &[]);
        let all: String = (b'!'..=b'~').map(char::from).collect();
        let texts = ["123456:AAF-with_a.colon~", "several words, and commas", "mileston_live_in-small-letters", &all];
        let input: String = texts.iter().map(|text| json!({ "value": text }).to_string() + "\n").collect();
        let ended = import(&place, &id, &[], input.as_bytes());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let encoded = |text: String| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
        for text in texts {
            for headers in [
                format!("apikey: {text}\r\nbusinessid: {id}\r\n"),
                format!("authorization: Bearer {text}\r\nbusinessid: {id}\r\n"),
                format!("x-api-key: {text}\r\nbusinessid: {id}\r\n"),
                format!("authorization: Basic {}\r\n", encoded(format!("{id}:{text}"))),
            ] {
                for path in ["/v1/whoami", "/v1/authorize"] {
                    let answer = server.get(path, &headers);
                    assert!(answer.starts_with("HTTP/1.1 200"), "{path} {text}: {answer}");
                }
                // One character less is another text, and so is one more.
                for wrong in [headers.replacen(text, &text[1..], 1), headers.replacen(text, &format!("{text}x"), 1)] {
                    if wrong != headers {
                        let answer = server.get("/v1/whoami", &wrong);
                        assert!(answer.starts_with("HTTP/1.1 401"), "{text}: {answer}");
                    }
                }
            }
            let body = json!({ "key": text, "business_id": id }).to_string();
            let answer = server.exchange(
                format!(
                    "POST /v1/keys/verify HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                     authorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    platform["value"].as_str().expect("a value"),
                    body.len()
                )
                .as_bytes(),
            );
            assert!(answer.contains("\"valid\":true"), "{text}: {answer}");
        }
    }
}

/// The first pepper of a place, out of its key file.
fn pepper(place: &Place) -> Vec<u8> {
    let text = std::fs::read_to_string(place.path().join("trousseau-data/keys.toml")).expect("the key file");
    let (_, rest) = text.split_once("[[pepper]]").expect("a pepper");
    let (_, rest) = rest.split_once("secret = \"").expect("a secret");
    let (secret, _) = rest.split_once('"').expect("an end");
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, secret).expect("base64")
}

#[tokio::test]
async fn a_digest_under_the_pepper_is_taken_over_and_no_other() {
    for (place, _database) in places().await {
        let id = business(&place, "mileston");
        let server = Server::start(&place, &[]);
        let text = "legacy token: 0123456789";
        let mut mac = Hmac::<Sha256>::new_from_slice(&pepper(&place)).expect("a key");
        mac.update(&Sha256::digest(text));
        let line = json!({"hmac_sha256": hex(&mac.finalize().into_bytes()), "pepper_version": 1, "last_three": "789"});
        let ended = import(&place, &id, &[], format!("{line}\n").as_bytes());
        assert_eq!(lines(&ended)[0]["result"], "imported", "{ended:?}");
        assert_eq!(lines(&ended)[0]["masked_value"], "*****789");
        let answer = server.get("/v1/whoami", &format!("x-api-key: {text}\r\nbusinessid: {id}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // The same key by its digest again, and by its text.
        let both = format!("{line}\n{}\n", json!({ "value": text }));
        let again = import(&place, &id, &[], both.as_bytes());
        assert_eq!(lines(&again)[2], json!({"imported": 0, "known": 2, "refused": 0}), "{again:?}");
        // Once the pepper is another, the digest says nothing any more: the key may have moved to the new one.
        let rotated = place.run(&["secrets", "rotate", "--only", "pepper"]);
        assert_eq!(rotated.code, Some(0), "{rotated:?}");
        let late = import(&place, &id, &[], format!("{line}\n").as_bytes());
        assert_eq!(lines(&late)[0]["field"], "pepper_version", "{late:?}");
        let text = import(&place, &id, &[], format!("{}\n", json!({ "value": text })).as_bytes());
        assert_eq!(lines(&text)[0]["result"], "known", "{text:?}");
    }
}

#[tokio::test]
async fn thousands_of_lines_go_in_batches_and_each_keeps_its_number() {
    for (place, _database) in places().await {
        let id = business(&place, "mileston");
        let file = place.path().join("many.jsonl");
        let line = |n: u32| match n % 500 {
            7 => "{\"value\":\"short\"}".to_owned(),
            // The value of the line before it, and the reference of the one before that.
            8 => json!({ "value": format!("one-of-many-imported-{:05}", n - 2) }).to_string(),
            9 => json!({"value": format!("another-value-{n:05}"), "external_reference": format!("ref-{}", n - 4)})
                .to_string(),
            _ => json!({"value": format!("one-of-many-imported-{n:05}"), "external_reference": format!("ref-{n}")})
                .to_string(),
        };
        let text: String = (1..=2_500).map(|n| line(n) + "\n").collect();
        std::fs::write(&file, &text).expect("written");
        let path = file.to_str().expect("a path");
        let whole = ["key", "import", "--business", &id, "--environment", "live", path];
        let ended = place.run(&whole);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let refused: Vec<_> = (0..5).flat_map(|n| [n * 500 + 7, n * 500 + 9]).collect();
        let told: Vec<_> = ended.out.lines().collect();
        assert_eq!(told.len(), refused.len() + 1, "{}", ended.out);
        for (number, told) in refused.iter().zip(&told) {
            assert!(told.starts_with(&format!("line {number}: refused: ")), "{told}");
        }
        assert_eq!(told[refused.len()], "2485 imported, 5 known already, 10 refused");
        // Nobody looks at a terminal here.
        assert_eq!(ended.err, "trousseau: not every line is a key here now\n");
        // Again in smaller steps: nothing is new, and nothing is there twice.
        let again = place.run(&[&whole[..], &["--batch", "64"]].concat());
        assert_eq!(again.out.lines().last(), Some("0 imported, 2490 known already, 10 refused"));
        let report = place.run(&["key", "import-report", "--business", &id, "--environment", "live", "--json"]);
        assert_eq!(lines(&report).last(), Some(&json!({"imported": 2485, "seen": 0, "not_seen": 2485})));
        // Each of them was told to the audit, the events and the other nodes.
        let numbers: std::collections::BTreeSet<_> =
            lines(&report).iter().filter_map(|line| line["number"].as_u64()).collect();
        assert_eq!(numbers.len(), 2_485);
        assert_eq!(numbers.last().zip(numbers.first()).map(|(last, first)| last - first), Some(2_484));
    }
}

#[tokio::test]
async fn the_report_tells_which_imported_keys_have_been_seen() {
    for (place, _database) in places().await {
        let id = business(&place, "mileston");
        let input: String = (1..=3)
            .map(|n| json!({"value": format!("an-imported-key-{n}"), "external_reference": format!("old-{n}")}))
            .map(|line| line.to_string() + "\n")
            .collect();
        assert_eq!(import(&place, &id, &[], input.as_bytes()).code, Some(0));
        let report = |arguments: &[&str]| {
            place.run(&[&["key", "import-report", "--business", &id, "--environment", "live"], arguments].concat())
        };
        assert_eq!(lines(&report(&["--json"])).last(), Some(&json!({"imported": 3, "seen": 0, "not_seen": 3})));
        let mut server = Server::start(&place, &[]);
        let answer = server.get("/v1/whoami", &format!("x-api-key: an-imported-key-2\r\nbusinessid: {id}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // The server writes down what it holds before it ends.
        server.signal(rustix::process::Signal::TERM);
        assert_eq!(server.wait(), Some(0));
        let told = report(&[]);
        assert_eq!(told.code, Some(0), "{told:?}");
        let told: Vec<_> = told.out.lines().collect();
        assert_eq!((told.len(), told[2]), (3, "3 imported, 1 seen, 2 not seen yet"), "{told:?}");
        for (line, reference) in told.iter().zip(["old-1", "old-3"]) {
            assert!(line.starts_with("not seen: key_") && line.contains(reference), "{line}");
        }
        assert_eq!(lines(&report(&["--json"])).last(), Some(&json!({"imported": 3, "seen": 1, "not_seen": 2})));
    }
}
