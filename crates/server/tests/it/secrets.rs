//! The secrets outside the database: their rotation under a running server, and starts that they rule out.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use trousseau_store::testing::TestDatabase;

use crate::process::{Place, Server};

/// How often it is looked whether rows have moved, and how long is waited in between.
const PATIENCE: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// One place per engine at hand.
async fn places() -> Vec<(Place, Option<TestDatabase>)> {
    let mut places = vec![(Place::new(), None)];
    if let Some(server) = TestDatabase::postgres_server() {
        let database = TestDatabase::postgres(&server).await;
        places.push((Place::with_database(database.url()), Some(database)));
    }
    places
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    let ended = place.run(arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.err);
    serde_json::from_str(&ended.out).expect("JSON")
}

fn string<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

/// How many rows are on each version of a secret, the oldest first.
fn rows(place: &Place, secret: &str) -> Vec<u64> {
    let status = json(place, &["secrets", "status", "--json"]);
    let found = status["data"].as_array().expect("secrets").iter().find(|entry| entry["secret"] == secret);
    let versions = found.expect("the secret")["versions"].as_array().expect("versions");
    versions.iter().map(|version| version["rows"].as_u64().expect("a number")).collect()
}

fn key_file(place: &Place) -> PathBuf {
    place.path().join("trousseau-data/keys.toml")
}

#[tokio::test]
async fn keys_outlive_every_rotation_and_rows_move_to_the_newest_version() {
    for (place, _database) in places().await {
        let business = json(&place, &["business", "create", "Shop", "--json"]);
        let id = string(&business, "/business/id").to_owned();
        let platform = json(&place, &["platform-key", "create", "gateway", "--json"]);
        let server = Server::start(&place, &[]);
        let keys: Vec<&str> =
            business["keys"].as_array().expect("keys").iter().map(|key| string(key, "/value")).collect();
        let accepted = || {
            for key in &keys {
                let answer = server.get("/v1/whoami", &format!("apikey: {key}\r\nbusinessid: {id}\r\n"));
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            }
            let bearer = format!("authorization: Bearer {}\r\n", string(&platform, "/value"));
            assert!(server.get("/v1/businesses", &bearer).starts_with("HTTP/1.1 200"));
        };
        accepted();
        // Four keys and a platform key; three values are sealed, the LIVE secret's is not.
        assert_eq!((rows(&place, "pepper"), rows(&place, "key_encryption_key")), (vec![5], vec![3]));

        let rotated = json(&place, &["secrets", "rotate", "--json"]);
        assert_eq!((rotated["rewrapped"].as_u64(), rotated["redigested"].as_u64()), (Some(3), Some(3)), "{rotated}");
        assert_eq!((rows(&place, "pepper"), rows(&place, "key_encryption_key")), (vec![2, 3], vec![0, 3]));
        accepted();
        // The LIVE secret and the platform key move when they are used, beside the call; the old version is left by all.
        let mut left = rows(&place, "pepper");
        for _ in 0..PATIENCE {
            if left == [0, 5] {
                break;
            }
            std::thread::sleep(PAUSE);
            accepted();
            left = rows(&place, "pepper");
        }
        assert_eq!(left, [0, 5]);

        let only = json(&place, &["secrets", "rotate", "--only", "key-encryption-key", "--json"]);
        assert_eq!(only["versions"].as_object().map(serde_json::Map::len), Some(1), "{only}");
        assert_eq!((rows(&place, "pepper"), rows(&place, "key_encryption_key")), (vec![0, 5], vec![0, 0, 3]));
        accepted();
        let test = business["keys"].as_array().expect("keys").iter().find(|key| key["environment"] == "test");
        let test = test.expect("a TEST key");
        let revealed = json(&place, &["key", "reveal", string(test, "/id"), "--json"]);
        assert_eq!(revealed["value"], test["value"]);
    }
}

#[tokio::test]
async fn a_start_without_the_right_key_file_is_refused_and_changes_nothing() {
    for (place, _database) in places().await {
        let business = json(&place, &["business", "create", "Shop", "--json"]);
        let value = string(&business, "/keys/0/value").to_owned();
        let good = fs::read(key_file(&place)).expect("the key file");
        let refused = |why: &str| {
            let ended = place.run(&["business", "list"]);
            assert_eq!(ended.code, Some(3), "{why}: {ended:?}");
            assert!(ended.err.contains(why), "{why}: {}", ended.err);
            let serve = place.run(&["serve", "--listen", "127.0.0.1:0"]);
            assert_eq!(serve.code, Some(3), "{why}: {serve:?}");
        };

        fs::remove_file(key_file(&place)).expect("removed");
        refused("bring it back from its copy");
        assert!(!key_file(&place).exists(), "a new file would hide that the old one is gone");

        let elsewhere = Place::new();
        json(&elsewhere, &["business", "create", "Other", "--json"]);
        fs::copy(key_file(&elsewhere), key_file(&place)).expect("copied");
        refused("not the one");

        for broken in [&b""[..], b"pepper = 1", b"\xff\xfe", &good[..good.len() / 2]] {
            fs::write(key_file(&place), broken).expect("written");
            let ended = place.run(&["business", "list"]);
            assert_eq!(ended.code, Some(3), "{ended:?}");
        }

        fs::write(key_file(&place), &good).expect("written");
        fs::set_permissions(key_file(&place), fs::Permissions::from_mode(0o640)).expect("ours");
        refused("chmod 600");
        fs::set_permissions(key_file(&place), fs::Permissions::from_mode(0o600)).expect("ours");

        let server = Server::start(&place, &[]);
        let id = string(&business, "/business/id");
        let answer = server.get("/v1/whoami", &format!("apikey: {value}\r\nbusinessid: {id}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn a_sealed_value_opens_in_its_own_place_only() {
    for (place, database) in places().await {
        let Some(database) = database else { continue };
        let one = json(&place, &["business", "create", "One", "--json"]);
        let other = json(&place, &["business", "create", "Other", "--profile", "codat", "--json"]);
        let victim = string(&other, "/keys/0/id");
        // Somebody who can write to the database puts another business's value into the row of a key of his own.
        database
            .run(
                "UPDATE key_versions SET sealed = (SELECT s.sealed FROM key_versions s JOIN businesses b \
                 ON b.id = s.business_id WHERE b.profile = 'codat' LIMIT 1) \
                 WHERE environment = 'test' AND kind = 'secret'",
            )
            .await
            .expect("changed");
        let mine = one["keys"].as_array().expect("keys").iter();
        let mine = mine.clone().find(|key| key["environment"] == "test" && key["kind"] == "secret").expect("a key");
        let ended = place.run(&["key", "reveal", string(mine, "/id"), "--json"]);
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(!ended.out.contains(string(&other, "/keys/0/value")), "another business's value was shown");
        let own = json(&place, &["key", "reveal", victim, "--json"]);
        assert_eq!(own["value"], other["keys"][0]["value"]);
    }
}

#[tokio::test]
async fn versions_are_prepared_in_the_file_before_any_node_uses_them() {
    for (place, _database) in places().await {
        let business = json(&place, &["business", "create", "Shop", "--json"]);
        let id = string(&business, "/business/id").to_owned();
        let server = Server::start(&place, &[]);
        let nothing = place.run(&["secrets", "rotate", "--prepared"]);
        assert_eq!(nothing.code, Some(1), "{nothing:?}");
        let prepared = json(&place, &["secrets", "prepare", "--json"]);
        assert_eq!(prepared["versions"], serde_json::json!({"pepper": 2, "key_encryption_key": 2}));
        // The file has them, and nobody uses them.
        assert_eq!(rows(&place, "pepper").len(), 1);
        let text = fs::read_to_string(key_file(&place)).expect("the key file");
        assert_eq!(text.matches("version = 2").count(), 2);
        // The file may be one that cannot be written any more, as a mounted secret is.
        fs::set_permissions(key_file(&place), fs::Permissions::from_mode(0o400)).expect("ours");
        let rotated = json(&place, &["secrets", "rotate", "--prepared", "--json"]);
        assert_eq!(rotated["versions"], prepared["versions"]);
        assert_eq!(fs::read_to_string(key_file(&place)).expect("the key file"), text);
        assert_eq!(rows(&place, "pepper").len(), 2);
        let made = ["key", "create", "--business", &id, "--environment", "test", "--json"];
        let made = json(&place, &made);
        let headers = format!("apikey: {}\r\nbusinessid: {id}\r\n", string(&made, "/value"));
        let begun = std::time::Instant::now();
        // The running server hears of it within its bound.
        while !server.get("/v1/whoami", &headers).starts_with("HTTP/1.1 200") {
            assert!(begun.elapsed() < std::time::Duration::from_secs(5), "the server never took it up");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(place.run(&["secrets", "rotate", "--prepared"]).code, Some(1));
    }
}

#[tokio::test]
async fn a_node_without_the_newest_version_calls_no_good_key_unknown() {
    for (place, _database) in places().await {
        let business = json(&place, &["business", "create", "Shop", "--json"]);
        let id = string(&business, "/business/id").to_owned();
        let own = place.path().join("own-keys.toml");
        fs::copy(key_file(&place), &own).expect("copied");
        let variables = [("TROUSSEAU_KEY_FILE", own.to_str().expect("UTF-8"))];
        let server = Server::start_with(&place, &variables, &[]);
        let keys = business["keys"].as_array().expect("keys").iter();
        let test = keys.clone().find(|key| key["environment"] == "test" && key["kind"] == "secret").expect("a key");
        let headers = |value: &str| format!("apikey: {value}\r\nbusinessid: {id}\r\n");
        let ask = |value: &str| server.get("/v1/whoami", &headers(value));
        assert!(ask(string(test, "/value")).starts_with("HTTP/1.1 200"));
        assert!(ask("nobody-has-this").starts_with("HTTP/1.1 401"));

        // The values of TEST are known, so that they move to the new pepper at once.
        json(&place, &["secrets", "rotate", "--only", "pepper", "--json"]);
        let begun = std::time::Instant::now();
        loop {
            let answer = ask(string(test, "/value"));
            assert!(!answer.starts_with("HTTP/1.1 401"), "a good key is unknown: {answer}");
            if answer.starts_with("HTTP/1.1 503") {
                assert!(answer.contains("key file"), "{answer}");
                break;
            }
            assert!(begun.elapsed() < std::time::Duration::from_secs(5), "it never became unsure: {answer}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(ask("nobody-has-this").starts_with("HTTP/1.1 503"));
        let ready = server.get("/readyz", "");
        assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("key file"), "{ready}");

        fs::copy(key_file(&place), &own).expect("copied");
        let begun = std::time::Instant::now();
        while !ask(string(test, "/value")).starts_with("HTTP/1.1 200") {
            assert!(begun.elapsed() < std::time::Duration::from_secs(5), "it never took the file up");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert!(ask("nobody-has-this").starts_with("HTTP/1.1 401"));
        assert!(server.get("/readyz", "").starts_with("HTTP/1.1 200"));
    }
}
