//! `trousseau member ...`, and the invitation of a business's first administrator.

use serde_json::Value;
use trousseau_store::testing::TestDatabase;

use crate::process::{Place, Server};

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

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

/// The path of an invitation's link.
fn path(link: &str) -> &str {
    let at = link.find("/invitations/").unwrap_or_else(|| panic!("no link of an invitation: {link}"));
    &link[at..]
}

/// Accepts an invitation for somebody new.
fn accept(server: &Server, link: &str) -> String {
    let form = "name=Ada&password=correct+horse+battery+staple&language=en";
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        path(link),
        form.len()
    );
    server.exchange(request.as_bytes())
}

#[tokio::test]
async fn members_are_invited_listed_and_removed() {
    for (place, _database) in places().await {
        let business = json(&place, &["business", "create", "Shop", "--json"]);
        let id = text(&business, "/business/id");
        let invite = ["member", "invite", "ada@example.com", "--business", id, "--role", "developer", "--json"];
        let invited = json(&place, &invite);
        assert_eq!((text(&invited, "/email"), text(&invited, "/role")), ("ada@example.com", "developer"));
        let link = text(&invited, "/link").to_owned();
        let list = || json(&place, &["member", "list", "--business", id, "--json"]);
        assert_eq!(list()["data"].as_array().map(Vec::len), Some(0), "an invitation makes no member");
        assert_eq!(text(&list(), "/invitations/0/email"), "ada@example.com");
        let table = place.run(&["member", "list", "--business", id]);
        assert!(table.out.contains("ada@example.com") && table.out.contains("(invited)"), "{table:?}");
        assert!(!table.out.contains(path(&link)), "a link is shown when it is made, and never again");

        // A second invitation takes the place of the first one.
        let second = json(&place, &invite);
        assert_ne!(text(&second, "/link"), link);
        assert_eq!(list()["invitations"].as_array().map(Vec::len), Some(1));
        let server = Server::start(&place, &[]);
        assert!(server.get(path(&link), "").starts_with("HTTP/1.1 410"));
        assert!(server.get(path(text(&second, "/link")), "").starts_with("HTTP/1.1 200"));

        for (arguments, code) in [
            (&["member", "invite", "no address", "--business", id, "--role", "developer"][..], 2),
            (&["member", "invite", "ada@example.com", "--business", id], 2),
            (&["member", "invite", "ada@example.com", "--business", id, "--role", "owner"], 2),
            (&["member", "invite", "ada@example.com", "--platform", "--business", id, "--role", "analyst"], 2),
            (
                &[
                    "member",
                    "invite",
                    "a@example.com",
                    "--business",
                    "6f1d2c8e-3b47-4a95-9c0e-d15b7a64f2e8",
                    "--role",
                    "analyst",
                ],
                1,
            ),
            (&["member", "list", "--business", "6f1d2c8e-3b47-4a95-9c0e-d15b7a64f2e8"], 1),
            // Nobody by that address is a member.
            (&["member", "remove", "ada@example.com", "--business", id, "--yes"], 1),
        ] {
            let ended = place.run(arguments);
            assert!(ended.code == Some(code) && !ended.err.is_empty(), "{arguments:?}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn the_first_live_keys_of_a_business_wait_for_who_is_invited() {
    for (place, _database) in places().await {
        let created = json(&place, &["business", "create", "Shop", "--invite", "owner@example.com", "--json"]);
        assert_eq!(text(&created, "/invitation/role"), "administrator");
        let environments: Vec<&str> =
            created["keys"].as_array().expect("keys").iter().map(|key| text(key, "/environment")).collect();
        assert_eq!(environments, ["test", "test"], "no LIVE value passes the operator's terminal");
        let link = text(&created, "/invitation/link").to_owned();
        let id = text(&created, "/business/id");
        let listed = json(&place, &["key", "list", "--business", id, "--environment", "live", "--json"]);
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(0));

        let server = Server::start(&place, &[]);
        let shown = accept(&server, &link);
        assert!(shown.starts_with("HTTP/1.1 200") && shown.contains("Mileston_LIVE_"), "{shown}");
        assert!(accept(&server, &link).starts_with("HTTP/1.1 410"), "once");
        let listed = json(&place, &["key", "list", "--business", id, "--environment", "live", "--json"]);
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(2));

        // The last administrator stays; a second one may go.
        let remove = |email| place.run(&["member", "remove", email, "--business", id, "--yes", "--json"]);
        let last = remove("owner@example.com");
        assert!(last.code == Some(1) && last.err.contains("last administrator"), "{last:?}");
        let invite = ["member", "invite", "second@example.com", "--business", id, "--role", "administrator", "--json"];
        let second = json(&place, &invite);
        assert!(accept(&server, text(&second, "/link")).starts_with("HTTP/1.1 303"), "there are no keys to show");
        let members = || json(&place, &["member", "list", "--business", id, "--json"])["data"].clone();
        assert_eq!(members().as_array().map(Vec::len), Some(2));
        // What takes something away must be told so where nobody can be asked.
        assert_eq!(place.run(&["member", "remove", "owner@example.com", "--business", id]).code, Some(2));
        assert_eq!(remove("owner@example.com").code, Some(0));
        assert_eq!(members().as_array().map(Vec::len), Some(1));
        assert_eq!(text(&members(), "/0/email"), "second@example.com");
    }
}

#[tokio::test]
async fn platform_administrators_are_invited_and_listed() {
    for (place, _database) in places().await {
        let invited = json(&place, &["member", "invite", "operator@example.com", "--platform", "--json"]);
        assert_eq!(text(&invited, "/role"), "platform");
        let server = Server::start(&place, &[]);
        assert!(server.get(path(text(&invited, "/link")), "").starts_with("HTTP/1.1 200"));
        let listed = json(&place, &["member", "list", "--platform", "--json"]);
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(0));
    }
}
