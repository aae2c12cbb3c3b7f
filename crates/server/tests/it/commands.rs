//! The commands against a database of their own.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use trousseau_store::testing::TestDatabase;
use trousseau_store::{Store, StoreOptions, latest_schema};

use crate::process::{Ended, Place, Server};

impl Ended {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

/// A command that reads a key from standard input.
fn with_key(place: &Place, arguments: &[&str], key: &str) -> Ended {
    let mut command = place.command(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(format!("{key}\n").as_bytes()).expect("written");
    Ended::of(child.wait_with_output().expect("it ends"))
}

#[test]
fn a_business_comes_with_the_first_keys_of_its_profile() {
    let place = Place::new();
    for (profile, lengths) in [("mileston", &[52, 64, 52, 64][..]), ("payline", &[20, 20]), ("codat", &[40])] {
        let created = place.run(&["business", "create", "Atelier Lumière", "--profile", profile, "--json"]);
        assert_eq!(created.code, Some(0), "{}", created.err);
        let created = created.json();
        assert_eq!(text(&created, "/business/name"), "Atelier Lumière");
        assert_eq!(text(&created, "/business/profile"), profile);
        let keys = created["keys"].as_array().expect("keys");
        let found: Vec<_> = keys.iter().map(|key| text(key, "/value").len()).collect();
        assert_eq!(found, lengths, "{profile}");
        for key in keys {
            assert!(text(key, "/authorization").starts_with("Basic "));
            assert!(matches!(text(key, "/environment"), "test" | "live"));
            assert!(matches!(text(key, "/kind"), "secret" | "checkout"));
            assert!(text(key, "/id").starts_with("key_"));
        }
    }
    let listed = place.run(&["business", "list", "--json"]).json();
    assert_eq!(listed["data"].as_array().expect("a list").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_leaves_an_older_schema_to_the_server() {
    let place = Place::new();
    let folder = place.path().join("trousseau-data");
    fs::create_dir_all(&folder).expect("made");
    let older = StoreOptions { up_to: Some(latest_schema() - 1), ..StoreOptions::default() };
    let store = Store::open_sqlite(&folder.join("trousseau.db"), &older).await.expect("opens");
    store.close().await;
    let listed = place.run(&["business", "list"]);
    assert_eq!(listed.code, Some(3));
    assert!(listed.err.contains("start the server once to migrate it"), "{}", listed.err);
    drop(Server::start(&place, &[]));
    assert_eq!(place.run(&["business", "list"]).code, Some(0));
}

#[test]
fn a_key_lives_its_whole_life_by_commands() {
    let place = Place::new();
    let business = place.run(&["business", "create", "Shop", "--json"]).json();
    let id = text(&business, "/business/id");
    let created =
        place.run(&["key", "create", "--business", id, "--environment", "test", "--name", "Backend", "--json"]);
    assert_eq!(created.code, Some(0), "{}", created.err);
    let created = created.json();
    let (key, value) = (text(&created, "/id"), text(&created, "/value"));
    assert_eq!(text(&created, "/name"), "Backend");

    let verified = with_key(&place, &["key", "verify", "--business", id, "--json"], value);
    assert_eq!((verified.code, verified.json()["valid"].as_bool()), (Some(0), Some(true)), "{}", verified.err);
    assert_eq!(text(&with_key(&place, &["key", "find", "--json"], value).json(), "/id"), key);
    assert_eq!(text(&place.run(&["key", "reveal", key, "--json"]).json(), "/value"), value);
    let wrong = with_key(&place, &["key", "verify", "--business", "someone-else", "--json"], value);
    assert_eq!((wrong.code, text(&wrong.json(), "/code")), (Some(1), "business_mismatch"));

    let updated =
        place.run(&["key", "update", key, "--name", "Billing", "--valid-until", "2040-12-31", "--json"]).json();
    assert_eq!(text(&updated, "/name"), "Billing");
    assert_eq!(text(&updated, "/valid_until"), "2040-12-31T23:00:00Z");

    let rotated = place.run(&["key", "rotate", key, "--overlap", "1h", "--json"]);
    assert_eq!(rotated.code, Some(0), "{}", rotated.err);
    assert_eq!(text(&rotated.json(), "/id"), key);
    assert_eq!(with_key(&place, &["key", "verify", "--business", id], value).code, Some(0));
    assert_eq!(place.run(&["key", "rotate", key, "--overlap", "1h"]).code, Some(1));
    // What destroys must be told so where nobody can be asked.
    assert_eq!(place.run(&["key", "rotate", key]).code, Some(2));
    assert_eq!(place.run(&["key", "revoke", key]).code, Some(2));
    assert_eq!(place.run(&["key", "revoke", key, "--yes", "--environment", "live"]).code, Some(1));
    assert_eq!(place.run(&["key", "revoke", key, "--yes"]).code, Some(0));
    assert_eq!(with_key(&place, &["key", "verify", "--business", id], value).code, Some(1));
    assert_eq!(text(&place.run(&["key", "show", key, "--json"]).json(), "/status"), "revoked");
    let list = |arguments: &[&str]| {
        let all = [&["key", "list", "--business", id, "--environment", "test", "--json"][..], arguments].concat();
        place.run(&all).json()["data"].as_array().expect("a list").len()
    };
    assert_eq!((list(&[]), list(&["--revoked"]), list(&["--kind", "checkout"])), (2, 3, 1));
}

/// A command whose standard output, or standard error, is this.
fn into(place: &Place, arguments: &[&str], out: Stdio, err: Stdio) -> Ended {
    let mut command = place.command(arguments);
    Ended::of(command.stdin(Stdio::null()).stdout(out).stderr(err).output().expect("it starts"))
}

/// A device that takes nothing.
fn full() -> Stdio {
    std::fs::OpenOptions::new().write(true).open("/dev/full").expect("there on Linux").into()
}

/// The end of a pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn what_cannot_be_written_is_a_failure_and_what_was_made_is_named() {
    let place = Place::new();
    let business = place.run(&["business", "create", "Shop", "--json"]).json();
    let id = text(&business, "/business/id");
    let list = ["key", "list", "--business", id, "--environment", "test"];
    for command in [&["openapi"][..], &["completions", "bash"], &["config", "check"], &list] {
        let ended = into(&place, command, full(), Stdio::piped());
        assert_eq!(ended.code, Some(3), "{command:?}");
        assert!(ended.err.contains("standard output cannot be written: No space left"), "{}", ended.err);
        // Whoever stops reading has seen enough.
        assert_eq!(into(&place, command, unread(), Stdio::piped()).code, Some(0), "{command:?}");
    }
    let key = ["key", "create", "--business", id, "--environment", "live"];
    for command in [&key[..], &[&key[..], &["--json"]].concat()] {
        for out in [full(), unread()] {
            let ended = into(&place, command, out, Stdio::piped());
            assert_eq!(ended.code, Some(3), "{command:?}");
            assert!(ended.err.contains("the value of key key_"), "{}", ended.err);
        }
    }
    let ended = into(&place, &["platform-key", "create", "gateway"], full(), Stdio::piped());
    assert_eq!((ended.code, ended.err.contains("the value of pk_")), (Some(3), true), "{}", ended.err);
    let ended = into(&place, &["business", "create", "Unseen", "--dotenv"], full(), Stdio::piped());
    assert_eq!((ended.code, ended.err.contains("rotate them")), (Some(3), true), "{}", ended.err);
}

#[test]
fn a_command_ends_as_it_is_said_whoever_listens() {
    let place = Place::new();
    for err in [full(), unread()] {
        assert_eq!(into(&place, &["key", "show", "nope"], Stdio::piped(), err).code, Some(2));
    }
}

#[test]
fn what_ends_a_key_or_its_value_at_once_is_asked_about() {
    let place = Place::new();
    let business = place.run(&["business", "create", "Shop", "--json"]).json();
    let key = text(&business, "/keys/0/id");
    for unasked in [
        ["key", "update", key, "--valid-until", "2021-01-01T00:00:00Z"],
        ["key", "update", key, "--valid-from", "2040-01-01"],
        ["key", "rotate", key, "--overlap", "0s"],
    ] {
        assert_eq!(place.run(&unasked).code, Some(2), "{unasked:?}");
    }
    assert_eq!(text(&place.run(&["key", "show", key, "--json"]).json(), "/status"), "active");
}

#[test]
fn where_there_is_no_network_nothing_is_compared() {
    let place = Place::new();
    for (command, said) in [
        (&["network", "reconcile"][..], "no network is configured"),
        (&["network", "health", "base"], "network: is not configured, nor is any other"),
    ] {
        let ended = place.run(command);
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains(said), "{}", ended.err);
    }
}

#[test]
fn a_business_is_shown_suspended_and_resumed() {
    let place = Place::new();
    let made = place.run(&["business", "create", "Shop", "--profile", "payline", "--id", "17616983000123", "--json"]);
    let made = made.json();
    let id = "17616983000123";
    assert_eq!(text(&made, "/business/id"), id);
    let value = text(&made, "/keys/0/value");
    let good = || with_key(&place, &["key", "verify", "--business", id, "--json"], value);
    let shown = || place.run(&["business", "show", id, "--json"]).json();
    assert_eq!(text(&shown(), "/status"), "active");
    assert_eq!(good().code, Some(0));
    // What closes a business must be told so where nobody can be asked.
    assert_eq!(place.run(&["business", "suspend", id]).code, Some(2));
    assert_eq!(good().code, Some(0));
    assert_eq!(place.run(&["business", "suspend", id, "--yes"]).code, Some(0));
    assert_eq!(text(&shown(), "/status"), "suspended");
    let refused = good();
    assert_eq!((refused.code, text(&refused.json(), "/code")), (Some(1), "business_suspended"));
    assert_eq!(place.run(&["key", "create", "--business", id, "--environment", "test"]).code, Some(1));
    assert_eq!(place.run(&["business", "resume", id]).code, Some(0));
    assert_eq!(text(&shown(), "/status"), "active");
    assert_eq!(good().code, Some(0));
}

#[test]
fn every_command_speaks_json_and_shows_a_value_where_it_may() {
    let place = Place::new();
    let business = place.run(&["business", "create", "Shop", "--json"]).json();
    let id = text(&business, "/business/id");
    let tenant = ["--business", id, "--environment", "live"];
    let draft = [&["key", "create"][..], &tenant, &["--name", "Backend", "--json"]].concat();
    let created = place.run(&draft).json();
    let (key, value) = (text(&created, "/id").to_owned(), text(&created, "/value").to_owned());
    let platform = place.run(&["platform-key", "create", "gateway", "--json"]).json();
    for (arguments, pointer) in [
        (&["business", "list"][..], "/data/0/id"),
        (&["business", "show", id], "/id"),
        (&["business", "resume", id], "/id"),
        (&[&["key", "list"][..], &tenant].concat(), "/data/0/id"),
        (&["key", "show", &key], "/masked_value"),
        (&["key", "update", &key, "--name", "Till"], "/name"),
        (&["platform-key", "list"], "/data/0/id"),
        (&["secrets", "status"], ""),
        (&["config", "check"], ""),
    ] {
        let ended = place.run(&[arguments, &["--json"]].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.err);
        assert!(ended.json().pointer(pointer).is_some(), "{arguments:?}: {}", ended.out);
        for secret in [&value, text(&platform, "/value")] {
            assert!(!ended.out.contains(secret) && !ended.err.contains(secret), "{arguments:?} shows a value");
        }
        // The same for people has the same content in lines.
        let lines = place.run(arguments);
        assert!(lines.code == Some(0) && !lines.out.is_empty() && !lines.out.starts_with('{'), "{arguments:?}");
    }
    // A LIVE value is shown by creation and rotation, and never again.
    assert_eq!(place.run(&["key", "reveal", &key, "--json"]).code, Some(1));
    let rotated = place.run(&["key", "rotate", &key, "--yes", "--json"]).json();
    assert_ne!(text(&rotated, "/value"), value);
    assert_eq!(text(&rotated, "/id"), key);
    let revoked = place.run(&["key", "revoke", &key, "--yes", "--json"]).json();
    assert_eq!(text(&revoked, "/status"), "revoked");
    // No command takes a key as an argument, where other users of the machine could see it.
    assert_eq!(place.run(&["key", "verify", &value]).code, Some(2));
    assert_eq!(place.run(&["key", "find", &value]).code, Some(2));
}

#[test]
fn exit_codes_tell_refusal_usage_and_failure_apart() {
    let place = Place::new();
    let business = place.run(&["business", "create", "Shop", "--json"]).json();
    let id = text(&business, "/business/id");
    let live =
        business["keys"].as_array().expect("keys").iter().find(|key| key["environment"] == "live").expect("live");
    for (arguments, code) in [
        (&["key", "revoke", text(live, "/id"), "--yes"][..], 1),
        (&["key", "reveal", text(live, "/id")], 1),
        (&["business", "show", "nobody"], 1),
        (&["business", "create", "Shop", "--id", id], 1),
        (&["business", "create", "Shop", "--profile", "none"], 2),
        (&["key", "create", "--business", id, "--environment", "test", "--scope", "nothing:known"], 2),
        (&["key", "create", "--business", id], 2),
        (&["key", "show", "key_1"], 2),
        (&["business", "list", "--database", "sqlite:/dev/null/x"], 3),
        (&["business", "list", "--database", "postgres://localhost:1/none"], 3),
    ] {
        let ended = place.run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.err);
        assert!(ended.err.starts_with("trousseau: ") || ended.err.starts_with("error: "), "{}", ended.err);
    }
}

#[test]
fn the_key_file_is_private_and_the_right_one() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    assert_eq!(place.run(&["business", "create", "Shop"]).code, Some(0));
    let folder = place.path().join("trousseau-data");
    let file = folder.join("keys.toml");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("changed");
    let open = place.run(&["business", "list"]);
    assert_eq!(open.code, Some(3));
    assert!(open.err.contains("keys.toml"), "{}", open.err);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("changed");
    assert_eq!(place.run(&["business", "list"]).code, Some(0));
    // Another installation's pepper would refuse every key; it refuses to start instead.
    let other = Place::new();
    assert_eq!(other.run(&["business", "list"]).code, Some(0));
    std::fs::copy(other.path().join("trousseau-data/keys.toml"), &file).expect("copied");
    assert_eq!(place.run(&["serve"]).code, Some(3));
}

#[test]
fn platform_keys_are_shown_once() {
    let place = Place::new();
    let created = place.run(&["platform-key", "create", "gateway", "--scope", "verify", "--json"]).json();
    let value = text(&created, "/value");
    assert!(value.starts_with("Mileston_PLATFORM_") && value.len() == 18 + 38, "{value}");
    let listed = place.run(&["platform-key", "list", "--json"]);
    assert!(!listed.out.contains(value));
    assert_eq!(text(&listed.json(), "/data/0/id"), text(&created, "/id"));
    assert_eq!(place.run(&["platform-key", "revoke", text(&created, "/id"), "--yes"]).code, Some(0));
    assert_eq!(place.run(&["platform-key", "revoke", text(&created, "/id"), "--yes"]).code, Some(1));
}

#[test]
fn what_a_command_revokes_the_running_server_refuses_within_a_second() {
    revoke_while_serving(&Place::new());
}

#[tokio::test]
async fn the_same_holds_on_a_database_server() {
    if let Some(server) = TestDatabase::postgres_server() {
        let database = TestDatabase::postgres(&server).await;
        revoke_while_serving(&Place::with_database(database.url()));
    }
}

fn revoke_while_serving(place: &Place) {
    let server = Server::start(place, &[]);
    let business = place.run(&["business", "create", "Shop", "--json"]).json();
    let id = text(&business, "/business/id");
    let created = place.run(&["key", "create", "--business", id, "--environment", "test", "--json"]).json();
    let headers = format!("apikey: {}\r\nbusinessid: {id}\r\n", text(&created, "/value"));
    assert!(server.get("/v1/whoami", &headers).starts_with("HTTP/1.1 200"), "{}", server.log());
    assert_eq!(place.run(&["key", "revoke", text(&created, "/id"), "--yes"]).code, Some(0));
    let revoked = Instant::now();
    while server.get("/v1/whoami", &headers).starts_with("HTTP/1.1 200") {
        assert!(revoked.elapsed() < Duration::from_secs(1), "still accepted a second later");
    }
    assert!(server.get("/v1/whoami", &headers).starts_with("HTTP/1.1 401"));
}
