//! Several servers on one database: what changes about a key holds on all of them, in time and under faults.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use trousseau_store::testing::TestDatabase;

use crate::kill::post;
use crate::process::{Place, Server, exchange};

/// How long after a change was acknowledged no node may act on what was before.
pub(crate) const BOUND: Duration = Duration::from_secs(1);
/// Rounds unless `TROUSSEAU_TEST_ROUNDS` says how many.
const ROUNDS: u32 = 20;

fn rounds() -> u32 {
    std::env::var("TROUSSEAU_TEST_ROUNDS").ok().map_or(ROUNDS, |text| text.parse().expect("a number"))
}

/// A business on a fresh installation.
pub(crate) struct Tenant {
    pub(crate) place: Place,
    pub(crate) operator: String,
    pub(crate) business: String,
}

/// A key that was made.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) headers: String,
}

impl Made {
    /// From the answer to its creation; nothing where that does not tell the value.
    pub(crate) fn from_answer(body: &Value, business: &str) -> Option<Self> {
        let value = body["value"].as_str()?;
        let id = body.pointer("/key/id").or_else(|| body.pointer("/id")).and_then(Value::as_str).expect("an id");
        Some(Self { id: id.to_owned(), headers: format!("apikey: {value}\r\nbusinessid: {business}\r\n") })
    }
}

impl Tenant {
    pub(crate) fn on(place: Place) -> Self {
        let key: Value =
            serde_json::from_str(&place.run(&["platform-key", "create", "nodes", "--json"]).out).expect("JSON");
        let made = place.run(&["business", "create", "Nodes", "--json"]);
        let made: Value = serde_json::from_str(&made.out).expect(&made.err);
        let business = made.pointer("/business/id").or_else(|| made.pointer("/id")).and_then(Value::as_str);
        Self {
            operator: format!("authorization: Bearer {}\r\n", key["value"].as_str().expect("a value")),
            business: business.expect("an id").to_owned(),
            place,
        }
    }

    pub(crate) fn make(&self, node: SocketAddr) -> Made {
        let path = format!("/v1/businesses/{}/keys?environment=test", self.business);
        let (status, body) = post(node, &path, &self.operator, r#"{"kind":"secret"}"#).expect("an answer");
        assert_eq!(status, 201, "{body}");
        Made::from_answer(&body, &self.business).expect("a value")
    }

    /// Revokes a key and waits until that is in force on every node; what the answer says of it.
    fn revoke_everywhere(&self, node: SocketAddr, key: &Made) -> Value {
        let path = format!("/v1/businesses/{}/keys/{}/revoke?environment=test&wait=applied", self.business, key.id);
        let (status, body) = post(node, &path, &self.operator, "{}").expect("an answer");
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["status"], "revoked");
        body["applied"].clone()
    }

    pub(crate) fn revoke(&self, node: SocketAddr, key: &Made) {
        let path = format!("/v1/businesses/{}/keys/{}/revoke?environment=test", self.business, key.id);
        let (status, body) = post(node, &path, &self.operator, "{}").expect("an answer");
        assert_eq!(status, 200, "{body}");
    }
}

/// The status of a call with this key.
fn status(node: SocketAddr, key: &Made) -> u16 {
    let request = format!("GET /v1/whoami HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{}\r\n", key.headers);
    let answer = exchange(node, request.as_bytes());
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status: {answer}"))
}

/// How long after `since` the node refuses, within the bound and a little for the asking.
pub(crate) fn refused_within(node: SocketAddr, key: &Made, since: Instant) -> Duration {
    loop {
        let asked = Instant::now();
        match status(node, key) {
            401 => return since.elapsed(),
            200 => assert!(asked - since < BOUND, "accepted {:?} after it was revoked", asked - since),
            status => panic!("status {status}"),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn same_everywhere(tenant: &Tenant, nodes: &[Server]) {
    let address = |at: usize| nodes[at % nodes.len()].address;
    for round in 0..rounds() as usize {
        let key = tenant.make(address(round));
        // Good at once, wherever it is used first.
        for node in nodes {
            assert_eq!(status(node.address, &key), 200, "round {round}");
        }
        tenant.revoke(address(round + 1), &key);
        let since = Instant::now();
        assert_eq!(status(address(round + 1), &key), 401, "the node that revoked it refuses at once");
        for node in nodes {
            refused_within(node.address, &key, since);
        }
    }
}

/// How each node came to refuse, by the answer to a revocation; whatever it says of time is within the bound.
fn ways(applied: &Value) -> Vec<String> {
    let nodes = applied["nodes"].as_array().unwrap_or_else(|| panic!("no nodes: {applied}"));
    let mut ways: Vec<_> = nodes
        .iter()
        .map(|node| {
            // The time of the request itself is in it, and that of a busy machine.
            assert!(
                node["after_ms"].as_u64() <= Some(3_000) && node["after_ms"].as_u64() <= applied["after_ms"].as_u64()
            );
            node["by"].as_str().expect("a word").to_owned()
        })
        .collect();
    ways.sort_unstable();
    ways
}

#[test]
fn one_node_and_the_command_line_agree() {
    let tenant = Tenant::on(Place::new());
    let mut nodes = [Server::start(&tenant.place, &[])];
    same_everywhere(&tenant, &nodes);
    // Another process tells nobody but the database.
    let key = tenant.make(nodes[0].address);
    assert_eq!(status(nodes[0].address, &key), 200);
    let revoked = tenant.place.run(&["key", "revoke", &key.id, "--yes"]);
    assert_eq!(revoked.code, Some(0), "{}", revoked.err);
    refused_within(nodes[0].address, &key, Instant::now());
    // Whoever asks once more is told of the wait as well.
    let key = tenant.make(nodes[0].address);
    let path = format!("/v1/businesses/{}/keys/{}/revoke?environment=test&wait=applied", tenant.business, key.id);
    let named = format!("{}idempotency-key: once\r\n", tenant.operator);
    for _ in 0..2 {
        let (status, body) = post(nodes[0].address, &path, &named, "{}").expect("an answer");
        assert_eq!((status, &body["status"]), (200, &Value::from("revoked")));
        assert_eq!(ways(&body["applied"]), ["change"]);
    }
    // It waits for the server, and says so.
    let key = tenant.make(nodes[0].address);
    let revoked = tenant.place.run(&["key", "revoke", &key.id, "--yes", "--json"]);
    assert_eq!(status(nodes[0].address, &key), 401);
    let told: Value = serde_json::from_str(&revoked.out).expect("JSON");
    assert_eq!(ways(&told["applied"]), ["change"]);
    assert_eq!(ways(&tenant.revoke_everywhere(nodes[0].address, &tenant.make(nodes[0].address))), ["change"]);
    nodes[0].signal(Signal::TERM);
    nodes[0].wait();
    let alone = tenant.place.run(&["business", "create", "Alone", "--json"]);
    let alone: Value = serde_json::from_str(&alone.out).expect("JSON");
    let business = alone["business"]["id"].as_str().expect("an id");
    let made = tenant.place.run(&["key", "create", "--business", business, "--environment", "test", "--json"]);
    let made: Value = serde_json::from_str(&made.out).expect("JSON");
    let revoked = tenant.place.run(&["key", "revoke", made["id"].as_str().expect("an id"), "--yes"]);
    assert!(revoked.out.contains("No server runs on this database."), "{revoked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_agree() {
    let Some(server) = TestDatabase::postgres_server() else { return };
    let database = TestDatabase::postgres(&server).await;
    let tenant = Tenant::on(Place::with_database(database.url()));
    let nodes: Vec<_> = (0..3).map(|_| Server::start(&tenant.place, &[])).collect();
    same_everywhere(&tenant, &nodes);
    for round in 0..rounds() as usize {
        let key = tenant.make(nodes[round % 3].address);
        for node in &nodes {
            assert_eq!(status(node.address, &key), 200);
        }
        let applied = tenant.revoke_everywhere(nodes[(round + 1) % 3].address, &key);
        assert_eq!(ways(&applied), ["change", "change", "change"]);
        // By the answer it is in force, wherever the next request goes.
        for node in &nodes {
            assert_eq!(status(node.address, &key), 401, "round {round}");
        }
    }
    // One that does not answer cannot say so: what it had in memory is too old by then.
    let key = tenant.make(nodes[0].address);
    nodes[2].signal(Signal::STOP);
    let applied = tenant.revoke_everywhere(nodes[0].address, &key);
    nodes[2].signal(Signal::CONT);
    assert_eq!(ways(&applied), ["change", "change", "lease_end"]);
    assert_eq!(status(nodes[2].address, &key), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_slept_through_a_revocation_refuses_when_it_wakes() {
    let Some(server) = TestDatabase::postgres_server() else { return };
    let database = TestDatabase::postgres(&server).await;
    let tenant = Tenant::on(Place::with_database(database.url()));
    let nodes: Vec<_> = (0..2).map(|_| Server::start(&tenant.place, &[])).collect();
    for _ in 0..3 {
        let key = tenant.make(nodes[0].address);
        assert_eq!(status(nodes[1].address, &key), 200);
        nodes[1].signal(Signal::STOP);
        tenant.revoke(nodes[0].address, &key);
        thread::sleep(BOUND);
        // The request waits for it: it is judged in the first moment after waking.
        let (node, asked) = (nodes[1].address, key);
        let asking = thread::spawn(move || status(node, &asked));
        thread::sleep(Duration::from_millis(50));
        nodes[1].signal(Signal::CONT);
        assert_eq!(asking.join().expect("an answer"), 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_leaves_nothing_that_the_others_wait_for() {
    let Some(server) = TestDatabase::postgres_server() else { return };
    let database = TestDatabase::postgres(&server).await;
    let tenant = Tenant::on(Place::with_database(database.url()));
    let mut nodes: Vec<_> = (0..3).map(|_| Server::start(&tenant.place, &[])).collect();
    for _ in 0..3 {
        nodes[2].signal(Signal::KILL);
        nodes[2].wait();
        same_everywhere(&tenant, &nodes[..2]);
        nodes[2] = Server::start(&tenant.place, &[]);
    }
    same_everywhere(&tenant, &nodes);
}
