//! What a server knew of the keys when it was stopped, taken over by the next one.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::requests::UtcDay;
use trousseau_store::{Store, StoreOptions};

use crate::process::{Place, Server};

const KEYS: u32 = 1_200;

fn text(number: u32) -> String {
    format!("an-imported-key-{number}")
}

struct Installation {
    place: Place,
    business: String,
    /// The keys' ids, the first key's first.
    ids: Vec<String>,
}

impl Installation {
    fn new() -> Self {
        let place = Place::new();
        let created = place.run(&["business", "create", "Shop", "--profile", "mileston", "--json"]);
        let created: Value = serde_json::from_str(&created.out).expect("JSON");
        let business = created["business"]["id"].as_str().expect("an id").to_owned();
        let mut command = place.command(&["key", "import", "--business", &business, "--environment", "live", "--json"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let lines: String = (1..=KEYS).map(|number| json!({"value": text(number)}).to_string() + "\n").collect();
        child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("written");
        let told = String::from_utf8(child.wait_with_output().expect("it ends").stdout).expect("text");
        let ids =
            told.lines().filter_map(|line| Some(serde_json::from_str::<Value>(line).ok()?["id"].as_str()?.to_owned()));
        Self { ids: ids.collect(), place, business }
    }

    fn folder(&self) -> PathBuf {
        self.place.path().join("trousseau-data")
    }

    fn kept(&self) -> PathBuf {
        self.folder().join("trousseau.db-index")
    }

    /// A server that took over what was kept, or that read the database.
    fn start(&self, kept: bool) -> Server {
        let server = Server::start(&self.place, &[]);
        let log = server.log();
        assert!(log.contains(&format!("kept={kept}")), "{log}");
        assert!(!log.contains("WARN the keys"), "{log}");
        assert!(!self.kept().exists(), "it is good for one start");
        server
    }

    /// Stops a server that keeps what it knows for the next one, or does not.
    fn stop(&self, mut server: Server, keeps: bool) {
        server.signal(Signal::TERM);
        assert_eq!(server.wait(), Some(0), "{}", server.log());
        assert_eq!(self.kept().exists(), keeps, "{}", server.log());
    }

    /// Whether these keys are accepted.
    fn accepted<const N: usize>(&self, server: &Server, numbers: [u32; N]) -> [bool; N] {
        numbers.map(|number| {
            let headers = format!("x-api-key: {}\r\nbusinessid: {}\r\n", text(number), self.business);
            let answer = server.get("/v1/whoami", &headers);
            assert!(answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 401"), "{answer}");
            answer.starts_with("HTTP/1.1 200")
        })
    }

    fn revoke(&self, number: usize) {
        let revoked = self.place.run(&["key", "revoke", &self.ids[number - 1], "--yes"]);
        assert_eq!(revoked.code, Some(0), "{revoked:?}");
    }
}

/// A statement by hand, that no change tells of.
async fn change_by_hand(database: &Path, sql: &'static str) {
    let store = Store::open_sqlite(database, &StoreOptions::default()).await.expect("opens");
    store.run(sql).await.expect("runs");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_is_written_though_somebody_has_the_database_at_the_stop() {
    let shop = Installation::new();
    let mut server = shop.start(false);
    let store = Store::open_sqlite(&shop.folder().join("trousseau.db"), &StoreOptions::default()).await.expect("opens");
    let mut held = store.begin().await.expect("the one writer of the file");
    held.run("UPDATE change_counter SET seq = seq").await.expect("written");
    assert_eq!(shop.accepted(&server, [1, 2, 3]), [true; 3]);
    // By now what was counted is being written, which waits for the lock.
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.signal(Signal::TERM);
    // Longer than that wait, and than jobs may take that have nothing to write.
    tokio::time::sleep(Duration::from_secs(8)).await;
    drop(held);
    assert_eq!(server.wait(), Some(0), "{}", server.log());
    let tenant = Tenant::new(shop.business.parse().expect("an id"), Environment::Live);
    let usage = store.read().list_usage(&tenant, UtcDay::from_number(0).expect("1970")).await.expect("read");
    assert_eq!(usage.iter().map(|day| day.requests).sum::<u64>(), 3, "{}", server.log());
    store.close().await;
}

#[tokio::test]
async fn a_start_knows_what_the_server_before_knew_and_what_happened_since() {
    let shop = Installation::new();
    assert_eq!(shop.ids.len(), 1_200);
    let server = shop.start(false);
    assert_eq!(shop.accepted(&server, [1, 2, 1_200, 1_201]), [true, true, true, false]);
    shop.stop(server, true);
    let file = fs::read(shop.kept()).expect("there");
    assert!(!file.windows(15).any(|part| part == b"an-imported-key"), "the texts of keys are nowhere");

    let server = shop.start(true);
    assert_eq!(shop.accepted(&server, [1, 2, 1_200, 1_201]), [true, true, true, false]);
    // Told to a server that never read this key from the database.
    shop.revoke(2);
    assert_eq!(shop.accepted(&server, [1, 2]), [true, false]);
    // Another process has written meanwhile, and not all that it may write is told of.
    shop.stop(server, false);
    let server = shop.start(false);
    shop.stop(server, true);

    // Commands change the database while no server runs.
    shop.revoke(3);
    let server = shop.start(false);
    assert_eq!(shop.accepted(&server, [1, 2, 3, 4]), [true, false, false, true]);
    shop.stop(server, true);
    // A start that fails leaves it for the next one.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let failed = shop.place.run(&["serve", "--listen", &address]);
    assert!(failed.code == Some(3) && failed.err.contains("cannot listen"), "{failed:?}");
    let server = shop.start(true);
    assert_eq!(shop.accepted(&server, [1, 2, 3, 4]), [true, false, false, true]);
    shop.stop(server, true);

    // So do people, then and while a server runs.
    let database = shop.folder().join("trousseau.db");
    change_by_hand(&database, "UPDATE keys SET state = 'inactive' WHERE number % 5 = 0").await;
    let server = shop.start(false);
    let off = |server: &Server| (11..=20).filter(|number| !shop.accepted(server, [*number])[0]).count();
    assert_eq!(off(&server), 2, "every fifth one was switched off");
    change_by_hand(&database, "UPDATE keys SET state = 'inactive' WHERE number % 2 = 0").await;
    shop.stop(server, false);
    let mut server = shop.start(false);
    assert_eq!(off(&server), 6, "and every second one");
    // Killed: nothing was kept, and everything is read.
    server.signal(Signal::KILL);
    server.wait();
    assert!(!shop.kept().exists());
    let server = shop.start(false);
    shop.stop(server, true);
    // A file that was copied is another one.
    fs::copy(&database, shop.folder().join("copy")).expect("copied");
    fs::rename(shop.folder().join("copy"), &database).expect("in its place");
    drop(shop.start(false));
}

#[tokio::test]
async fn what_was_kept_and_is_damaged_is_told_of_and_not_used() {
    let shop = Installation::new();
    let server = shop.start(false);
    shop.stop(server, true);
    let mut bytes = fs::read(shop.kept()).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(shop.kept(), bytes).expect("written");
    let server = Server::start(&shop.place, &[]);
    let log = server.log();
    assert!(log.contains("kept=false") && log.contains("what was kept of the keys cannot be read"), "{log}");
    assert_eq!(shop.accepted(&server, [1, 1_200, 1_201]), [true, true, false]);
    assert!(!shop.kept().exists());
}
