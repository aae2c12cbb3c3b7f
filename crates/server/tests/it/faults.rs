//! Several servers on one PostgreSQL while the network, the database or a clock fails: no node accepts what was revoked
//! later than the bound, none refuses a good key as unknown, nothing acknowledged is lost or doubled, and all are well
//! again by themselves.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "figures are reported, what is left out is said loudly")]

mod cluster;
mod proxy;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use trousseau_store::testing::TestDatabase;

use crate::kill::post;
use crate::nodes::{BOUND, Made, Tenant, refused_within};
use crate::process::{Ended, Place, Server};

use self::cluster::Cluster;
use self::proxy::{Mode, Proxy, server_of};

/// How long a node may take to be well again once a fault is over: a few seconds, and some for a busy machine.
const RECOVERED_WITHIN: Duration = Duration::from_secs(15);
/// How long a fault lasts: several leases, and longer than any wait for the database at a door.
const FAULT: Duration = Duration::from_secs(3);
/// No caller waits longer, however the database behaves: beyond it the connection is given up.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// An answer to a request with a key.
struct Answer {
    /// 0 where there was none in time.
    status: u16,
    retry_after: bool,
    body: String,
}

fn get(node: SocketAddr, path: &str, headers: &str) -> Answer {
    let mut text = String::new();
    let mut asked = || {
        let mut stream = TcpStream::connect(node).ok()?;
        stream.set_read_timeout(Some(ANSWERED_WITHIN)).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        stream.read_to_string(&mut text).ok()
    };
    let _ = asked();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    Answer {
        status: head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0),
        retry_after: head.to_ascii_lowercase().contains("\r\nretry-after:"),
        body: body.to_owned(),
    }
}

fn ask(node: SocketAddr, key: &Made) -> Answer {
    get(node, "/v1/whoami", &key.headers)
}

/// Waits until a node says yes to a good key.
fn accepts_again(node: SocketAddr, key: &Made, what: &str) -> Duration {
    let since = Instant::now();
    loop {
        let status = ask(node, key).status;
        if status == 200 {
            return since.elapsed();
        }
        assert!(status == 503 || status == 0, "{what}: {status} for a good key");
        assert!(since.elapsed() < RECOVERED_WITHIN, "{what}: not well again, {status}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What is so, as far as it was acknowledged.
#[derive(Default)]
struct Truth {
    good: Mutex<Vec<Arc<Made>>>,
    /// With the instant after which the revocation was known to be acknowledged.
    revoked: Mutex<Vec<(Arc<Made>, Instant)>>,
    businesses: Mutex<Vec<(String, String)>>,
    begun: AtomicU64,
}

/// What a node answered.
#[derive(Default)]
struct Said {
    yes: AtomicU32,
    no: AtomicU32,
    unsure: AtomicU32,
}

/// Clients that write, and clients that check every node, until told to stop.
struct Load {
    truth: Arc<Truth>,
    said: Vec<Arc<Said>>,
    stop: Arc<AtomicBool>,
    clients: Vec<thread::JoinHandle<()>>,
}

impl Load {
    /// Writers at these nodes, a checker at each.
    fn on(tenant: &Tenant, nodes: &[SocketAddr], writers: &[usize]) -> Self {
        let (truth, stop) = (Arc::new(Truth::default()), Arc::new(AtomicBool::new(false)));
        truth.good.lock().expect("not poisoned").push(Arc::new(tenant.make(nodes[writers[0]])));
        let said: Vec<Arc<Said>> = nodes.iter().map(|_| Arc::default()).collect();
        let mut clients = Vec::new();
        for (number, at) in writers.iter().enumerate() {
            let (truth, stop, operator, node) =
                (Arc::clone(&truth), Arc::clone(&stop), tenant.operator.clone(), nodes[*at]);
            clients.push(thread::spawn(move || write_until_stopped(number, node, &operator, &truth, &stop)));
        }
        for (node, said) in nodes.iter().zip(&said) {
            let (truth, stop, said, node) = (Arc::clone(&truth), Arc::clone(&stop), Arc::clone(said), *node);
            clients.push(thread::spawn(move || check_until_stopped(node, &truth, &said, &stop)));
        }
        Self { truth, said, stop, clients }
    }

    /// Waits until something more was acknowledged: a fault has to fall into work.
    fn progress(&self) {
        let acknowledged = || self.truth.businesses.lock().expect("not poisoned").len();
        let (before, since) = (acknowledged(), Instant::now());
        while acknowledged() < before + 3 {
            assert!(since.elapsed() < RECOVERED_WITHIN, "nothing is written any more");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends the load, and compares what is there with what was acknowledged.
    fn settle(self, place: &Place, nodes: &[SocketAddr], what: &str) {
        self.progress();
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap_or_else(|_| panic!("{what}: a client met what no fault explains"));
        }
        let good = self.truth.good.lock().expect("not poisoned");
        let revoked = self.truth.revoked.lock().expect("not poisoned");
        let businesses = self.truth.businesses.lock().expect("not poisoned");
        for node in nodes {
            accepts_again(*node, &good[0], what);
            for key in good.iter() {
                assert_eq!(ask(*node, key).status, 200, "{what}: {} was acknowledged", key.id);
            }
            for (key, since) in revoked.iter() {
                refused_within(*node, key, *since);
            }
        }
        let listed = place.run(&["business", "list", "--json"]);
        let listed: Value = serde_json::from_str(&listed.out).expect(&listed.err);
        let text = |row: &Value, member: &str| row[member].as_str().expect("text").to_owned();
        let there: Vec<_> =
            listed["data"].as_array().expect("a list").iter().map(|row| (text(row, "name"), text(row, "id"))).collect();
        let names: BTreeSet<_> = there.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), there.len(), "{what}: a business is there twice");
        for pair in businesses.iter() {
            assert!(there.contains(pair), "{what}: {pair:?} was acknowledged and is not there");
        }
        println!(
            "{what}: {} writes acknowledged, {} revocations, none lost, none doubled",
            self.truth.begun.load(Ordering::Relaxed),
            revoked.len()
        );
    }
}

/// Repeats a write, under its idempotency key, until it is acknowledged; `None` where the test ended first.
fn until_acknowledged(
    node: SocketAddr,
    path: &str,
    operator: &str,
    name: &str,
    body: &str,
    stop: &AtomicBool,
) -> Option<Value> {
    let headers = format!("{operator}idempotency-key: {name}\r\n");
    loop {
        match post(node, path, &headers, body) {
            Some((200 | 201, body)) => return Some(body),
            // No answer, none in time, or still busy with the first try.
            Some((409 | 503, _)) | None if stop.load(Ordering::Relaxed) => return None,
            Some((409 | 503, _)) | None => thread::sleep(Duration::from_millis(20)),
            Some((status, body)) => panic!("{path}: {status}: {body}"),
        }
    }
}

fn write_until_stopped(client: usize, node: SocketAddr, operator: &str, truth: &Truth, stop: &AtomicBool) {
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("fault {client}-{number}");
        let write = |path: &str, step: &str, body: &str| {
            until_acknowledged(node, path, operator, &format!("{name} {step}"), body, stop)
        };
        let Some(made) = write("/v1/businesses", "business", &format!("{{\"name\":\"{name}\"}}")) else { return };
        let business = made.pointer("/business/id").and_then(Value::as_str).expect("an id").to_owned();
        truth.businesses.lock().expect("not poisoned").push((name.clone(), business.clone()));
        let keys = format!("/v1/businesses/{business}/keys");
        let Some(made) = write(&format!("{keys}?environment=test"), "key", r#"{"kind":"secret"}"#) else { return };
        truth.begun.fetch_add(2, Ordering::Relaxed);
        // The answer to a repeated request may lack the value, which is told once.
        let Some(key) = Made::from_answer(&made, &business) else { continue };
        let key = Arc::new(key);
        if number % 3 == 0 {
            truth.good.lock().expect("not poisoned").push(key);
            continue;
        }
        if write(&format!("{keys}/{}/revoke?environment=test", key.id), "revoke", "{}").is_none() {
            return;
        }
        truth.begun.fetch_add(1, Ordering::Relaxed);
        truth.revoked.lock().expect("not poisoned").push((key, Instant::now()));
    }
}

fn check_until_stopped(node: SocketAddr, truth: &Truth, said: &Said, stop: &AtomicBool) {
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let good = {
            let good = truth.good.lock().expect("not poisoned");
            Arc::clone(&good[turn % good.len()])
        };
        let answer = ask(node, &good);
        match answer.status {
            200 => said.yes.fetch_add(1, Ordering::Relaxed),
            503 => {
                assert!(answer.retry_after, "a 503 says when to come again");
                said.unsure.fetch_add(1, Ordering::Relaxed)
            }
            status => panic!("{status} for a good key: {}", answer.body),
        };
        let revoked = truth.revoked.lock().expect("not poisoned").last().cloned();
        if let Some((key, since)) = revoked {
            let asked = Instant::now();
            match ask(node, &key).status {
                401 => _ = said.no.fetch_add(1, Ordering::Relaxed),
                503 => _ = said.unsure.fetch_add(1, Ordering::Relaxed),
                200 => assert!(asked - since < BOUND, "accepted {:?} after it was revoked", asked - since),
                status => panic!("{status} for a revoked key"),
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Servers on one database, the last of them by way of a proxy.
struct Nodes {
    tenant: Tenant,
    servers: Vec<Server>,
    proxy: Proxy,
}

impl Nodes {
    fn start(url: &str, direct: usize) -> Self {
        let tenant = Tenant::on(Place::with_database(url));
        let proxy = Proxy::to(server_of(url));
        let mut servers: Vec<_> = (0..direct).map(|_| Server::start(&tenant.place, &[])).collect();
        let way = proxy.way(url);
        servers.push(Server::start_with(
            &tenant.place,
            &[("TROUSSEAU_DATABASE", &way), ("TROUSSEAU_METRICS__LISTEN", "127.0.0.1:0")],
            &[],
        ));
        Self { tenant, servers, proxy }
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.address).collect()
    }

    fn behind_proxy(&self) -> SocketAddr {
        self.servers.last().expect("there is one").address
    }
}

async fn database() -> Option<TestDatabase> {
    let Some(server) = TestDatabase::postgres_server() else {
        eprintln!("\nLEFT OUT: faults of many nodes need a PostgreSQL (script/postgres)\n");
        return None;
    };
    Some(TestDatabase::postgres(&server).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_loses_its_database_refuses_and_comes_back() {
    let Some(database) = database().await else { return };
    let nodes = Nodes::start(database.url(), 2);
    let alone = nodes.behind_proxy();
    for mode in [
        Mode::Cut,
        Mode::Hold { there: true, back: true },
        Mode::Hold { there: true, back: false },
        Mode::Hold { there: false, back: true },
    ] {
        let what = format!("{mode:?}");
        // As many writers as there are connections: each of them is lost in the middle of something.
        let writers: &[usize] = if mode == (Mode::Hold { there: true, back: true }) {
            &[0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]
        } else {
            &[0, 1, 2]
        };
        let load = Load::on(&nodes.tenant, &nodes.addresses(), writers);
        load.progress();
        nodes.proxy.set(mode);
        let since = Instant::now();
        thread::sleep(BOUND);
        let good = Arc::clone(&load.truth.good.lock().expect("not poisoned")[0]);
        while since.elapsed() < FAULT {
            let answer = ask(alone, &good);
            assert_eq!((answer.status, answer.retry_after), (503, true), "{what}: memory is too old for a yes");
            assert_eq!(get(alone, "/readyz", "").status, 503, "{what}");
        }
        nodes.proxy.set(Mode::Pass);
        let took = accepts_again(alone, &good, &what);
        println!("{what}: well again after {took:?}");
        load.settle(&nodes.tenant.place, &nodes.addresses(), &what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_notifications_keep_the_bound_and_are_noticed() {
    let Some(database) = database().await else { return };
    let nodes = Nodes::start(database.url(), 1);
    let (here, there) = (nodes.servers[0].address, nodes.behind_proxy());
    let round = || {
        let key = nodes.tenant.make(here);
        assert_eq!(ask(there, &key).status, 200);
        nodes.tenant.revoke(here, &key);
        refused_within(there, &key, Instant::now())
    };
    round();
    nodes.proxy.set(Mode::HoldListeners);
    for _ in 0..5 {
        round();
    }
    nodes.proxy.set(Mode::Pass);
    // Nobody says that the old connection is dead: it is found out, and others hear again.
    let listening = || {
        let found = "SELECT CAST(COUNT(*) AS TEXT) FROM pg_stat_activity WHERE datname = current_database() \
                     AND query LIKE 'LISTEN %' AND state = 'idle' AND backend_start > now() - interval '3 seconds'";
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| runtime.block_on(database.texts(found)))
    };
    let since = Instant::now();
    while listening() != ["1"] {
        assert!(since.elapsed() < RECOVERED_WITHIN, "the node does not listen anew");
        round();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_database_makes_answers_rare_and_none_wrong() {
    let Some(database) = database().await else { return };
    let nodes = Nodes::start(database.url(), 1);
    let slow = nodes.behind_proxy();
    let log = nodes.servers.last().expect("there is one").log();
    let metrics: SocketAddr = log
        .lines()
        .find_map(|line| line.split_once("serving metrics server.address=")?.1.split_whitespace().next()?.parse().ok())
        .expect("the address of the metrics");
    for (pause, answers) in [(50, true), (300, true), (1_500, false)] {
        let what = format!("each round trip {pause} ms longer");
        nodes.proxy.set(Mode::Delay(Duration::from_millis(pause)));
        let load = Load::on(&nodes.tenant, &nodes.addresses(), &[0]);
        thread::sleep(FAULT);
        let (yes, unsure) = (load.said[1].yes.load(Ordering::Relaxed), load.said[1].unsure.load(Ordering::Relaxed));
        println!("{what}: {yes} times yes, {unsure} times unsure");
        assert!(yes > 0 || !answers, "{what}: no answer");
        if !answers {
            let told = get(metrics, "/metrics", "").body;
            let age = told.lines().find_map(|line| line.strip_prefix("trousseau_keys_proven_age_seconds "));
            let seconds = age.and_then(|age| age.split('.').next()?.parse::<u64>().ok()).expect("a number");
            assert!(seconds >= 1, "{what}: memory is said to be {age:?} old");
        }
        nodes.proxy.set(Mode::Pass);
        let good = Arc::clone(&load.truth.good.lock().expect("not poisoned")[0]);
        accepts_again(slow, &good, &what);
        load.settle(&nodes.tenant.place, &nodes.addresses(), &what);
    }
}

#[test]
fn a_database_that_is_restarted_or_crashes_loses_nothing() {
    let Some(cluster) = Cluster::start() else { return };
    let tenant = Tenant::on(Place::with_database(&cluster.url()));
    let nodes: Vec<_> = (0..3).map(|_| Server::start(&tenant.place, &[])).collect();
    let addresses: Vec<_> = nodes.iter().map(|node| node.address).collect();
    let faults: [(&str, &dyn Fn()); 3] = [
        ("a restart", &|| {
            cluster.stop_fast();
            thread::sleep(BOUND);
            cluster.begin();
        }),
        ("a killed backend", &|| cluster.kill_backend()),
        ("a killed server", &|| {
            cluster.kill();
            cluster.begin();
        }),
    ];
    for (what, fault) in faults {
        let load = Load::on(&tenant, &addresses, &[0, 1, 2]);
        for _ in 0..2 {
            load.progress();
            fault();
        }
        load.settle(&tenant.place, &addresses, what);
    }
}

#[test]
fn a_failover_to_a_synchronous_standby_loses_nothing() {
    let Some(primary) = Cluster::start() else { return };
    let standby = Cluster::standby_of(&primary);
    primary.wait_for_standby();
    let url = primary.url();
    // The place of commands too: after the failover the old address leads nowhere.
    let proxy = Proxy::to(server_of(&url));
    let tenant = Tenant::on(Place::with_database(&proxy.way(&url)));
    let nodes: Vec<_> = (0..3).map(|_| Server::start(&tenant.place, &[])).collect();
    let addresses: Vec<_> = nodes.iter().map(|node| node.address).collect();
    let load = Load::on(&tenant, &addresses, &[0, 1, 2]);
    load.progress();
    primary.kill();
    // Too early: what is still a standby may be behind, and must not be believed.
    proxy.lead_to(standby.address());
    thread::sleep(BOUND + BOUND);
    let good = Arc::clone(&load.truth.good.lock().expect("not poisoned")[0]);
    for node in &addresses {
        assert_eq!(ask(*node, &good).status, 503, "a standby proves nothing");
        assert_eq!(get(*node, "/readyz", "").status, 503, "a standby takes no writes");
    }
    standby.promote();
    for node in &addresses {
        let took = accepts_again(*node, &good, "a failover");
        println!("a failover: well again after {took:?}");
    }
    load.settle(&tenant.place, &addresses, "a failover");
}

#[test]
fn a_failover_that_lost_changes_gives_their_numbers_to_others_and_no_node_mixes_them_up() {
    let Some(primary) = Cluster::start() else { return };
    let standby = Cluster::standby_of(&primary);
    let url = primary.url();
    let proxy = Proxy::to(server_of(&url));
    let tenant = Tenant::on(Place::with_database(&proxy.way(&url)));
    let nodes: Vec<_> = (0..2).map(|_| Server::start(&tenant.place, &[])).collect();
    let kept = tenant.make(nodes[0].address);
    let seq = || primary.sql("SELECT seq FROM change_counter");
    let since = Instant::now();
    while standby.sql("SELECT seq FROM change_counter") != seq() {
        assert!(since.elapsed() < RECOVERED_WITHIN, "the standby does not follow");
    }
    // What comes now never reaches the standby.
    standby.sql("ALTER SYSTEM SET primary_conninfo = ''");
    standby.sql("SELECT pg_reload_conf()");
    while standby.sql("SELECT COUNT(*) FROM pg_stat_wal_receiver").trim() != "0" {
        assert!(since.elapsed() < RECOVERED_WITHIN, "the standby goes on following");
    }
    let lost: Vec<_> = (0..3).map(|_| tenant.make(nodes[0].address)).collect();
    for node in &nodes {
        assert_eq!(ask(node.address, &lost[0]).status, 200);
    }
    // One node sleeps while the new primary takes as many changes as were lost, a revocation first.
    nodes[1].signal(Signal::STOP);
    primary.kill();
    standby.promote();
    proxy.set(Mode::Cut);
    proxy.lead_to(standby.address());
    proxy.set(Mode::Pass);
    accepts_again(nodes[0].address, &kept, "a failover");
    tenant.revoke(nodes[0].address, &kept);
    let since = Instant::now();
    let others: Vec<_> = (0..4).map(|_| tenant.make(nodes[0].address)).collect();
    nodes[1].signal(Signal::CONT);
    accepts_again(nodes[1].address, &others[0], "the node that slept");
    for node in &nodes {
        refused_within(node.address, &kept, since);
        for key in &others {
            assert_eq!(ask(node.address, key).status, 200);
        }
        for key in &lost {
            assert_eq!(ask(node.address, key).status, 401, "it is not there any more");
        }
    }
}

/// The library that moves a process's clock; none, loudly, where it is not installed.
fn faketime() -> Option<PathBuf> {
    let libraries = fs::read_dir("/usr/lib").into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let found = libraries.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|library| library.is_file());
    if found.is_none() {
        eprintln!("\nLEFT OUT: the Debian package faketime is not installed: no clock is moved\n");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_wrong_judges_nothing() {
    let (Some(database), Some(library)) = (database().await, faketime()) else { return };
    let tenant = Tenant::on(Place::with_database(database.url()));
    let library = library.to_str().expect("text");
    let right = Server::start(&tenant.place, &[]);
    let moved = tenant.place.path().join("clock");
    let file = moved.to_str().expect("text").to_owned();
    let set = |by: &str| fs::write(&moved, by).expect("written");
    set("+0");
    let with_clock = |how: (&'static str, &str)| {
        // What is measured by the time that goes by is left as it is.
        let same = [("FAKETIME_DONT_FAKE_MONOTONIC", "1"), ("DONT_FAKE_MONOTONIC", "1"), ("FAKETIME_NO_CACHE", "1")];
        let mut variables = vec![("LD_PRELOAD", library), how];
        variables.extend(same);
        Server::start_with(&tenant.place, &variables, &[])
    };
    let key = tenant.make(right.address);
    for by in ["+1h", "-1h", "+1d"] {
        let wrong = with_clock(("FAKETIME", by));
        let answer = ask(wrong.address, &key);
        assert_eq!((answer.status, answer.retry_after), (503, true), "{by}: {}", answer.body);
        assert!(answer.body.contains("clock"), "{by}: {}", answer.body);
        let ready = get(wrong.address, "/readyz", "");
        assert!(ready.status == 503 && ready.body.contains("clock"), "{by}: {}", ready.body);
        let path = format!("/v1/businesses/{}/keys?environment=test", tenant.business);
        let made = post(wrong.address, &path, &tenant.operator, r#"{"kind":"secret"}"#).expect("an answer");
        assert_eq!(made.0, 503, "{by}: {}", made.1);
        assert_eq!(ask(right.address, &key).status, 200, "{by}: the others go on");
        // A command would end the value by then, or in an hour, and new secrets would be from then.
        let key_file = tenant.place.path().join("trousseau-data/keys.toml");
        let secrets = fs::read(&key_file).expect("a key file");
        for arguments in [&["key", "rotate", "--overlap", "none", "--yes", &key.id][..], &["secrets", "rotate"]] {
            let mut command = tenant.place.command(arguments);
            command.envs([("LD_PRELOAD", library), ("FAKETIME", by), ("DONT_FAKE_MONOTONIC", "1")]);
            let rotated = Ended::of(command.output().expect("it runs"));
            assert_eq!(rotated.code, Some(3), "{by}: {rotated:?}");
            assert!(rotated.err.contains("clocks"), "{by}: {rotated:?}");
        }
        assert_eq!(ask(right.address, &key).status, 200, "{by}: nothing has changed");
        assert_eq!(fs::read(&key_file).expect("a key file"), secrets, "{by}");
    }
    let welcomed = "SELECT CAST(created_at AS TEXT) FROM one_time_tokens WHERE purpose = 'first_run'";
    let before = database.texts(welcomed).await;
    set("+3600");
    let jumping = with_clock(("FAKETIME_TIMESTAMP_FILE", &file));
    let since = Instant::now();
    while !jumping.log().contains("nothing is made for a first start yet") {
        assert!(since.elapsed() < RECOVERED_WITHIN, "{}", jumping.log());
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(database.texts(welcomed).await, before);
    set("+0");
    // It welcomes as soon as it can.
    while database.texts(welcomed).await == before {
        assert!(since.elapsed() < RECOVERED_WITHIN, "{}", jumping.log());
        thread::sleep(Duration::from_millis(20));
    }
    for by in ["+3600", "-3600", "+86400"] {
        assert_eq!(ask(jumping.address, &key).status, 200, "before {by}");
        set(by);
        // From the first request on, not from the next look at the database.
        assert_eq!(ask(jumping.address, &key).status, 503, "{by}");
        thread::sleep(BOUND);
        assert_eq!(ask(jumping.address, &key).status, 503, "{by}");
        // What happens meanwhile is known once the clock is right.
        let other = tenant.make(right.address);
        tenant.revoke(right.address, &other);
        let since = Instant::now();
        assert_eq!(ask(right.address, &other).status, 401);
        set("+0");
        accepts_again(jumping.address, &key, by);
        refused_within(jumping.address, &other, since);
    }
    // A little is no fault.
    set("+0.4");
    for _ in 0..5 {
        assert_eq!(ask(jumping.address, &key).status, 200, "by less than the bound");
        thread::sleep(Duration::from_millis(200));
    }
    let far = "SELECT CAST(COUNT(*) AS TEXT) FROM outbox WHERE locked_until > \
               CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) + 120000000";
    assert_eq!(database.texts(far).await, ["0"], "nothing is leased until another day");
}

/// A pooler that gives out connections by the transaction. Ended when dropped.
struct Pooler {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Pooler {
    fn start(server: SocketAddr) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].iter().find(|path| PathBuf::from(path).is_file());
        let Some(program) = program else {
            eprintln!("\nLEFT OUT: the Debian package pgbouncer is not installed\n");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let users = folder.path().join("users");
        fs::write(&users, "\"postgres\" \"\"\n").expect("written");
        let settings = folder.path().join("settings.ini");
        let text = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 6\n",
            server.ip(),
            server.port(),
            users.display()
        );
        fs::write(&settings, text).expect("written");
        let mut command = Command::new(program);
        if rustix::process::geteuid().is_root() {
            // It refuses to run as root.
            let given = Command::new("chown").args(["-R", "postgres"]).arg(folder.path()).status().expect("chown runs");
            assert!(given.success());
            command.args(["-u", "postgres"]);
        }
        let child = command.arg(&settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let pooler = Self { child: child.expect("it starts"), address, _folder: folder };
        let since = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(since.elapsed() < RECOVERED_WITHIN, "the pooler does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Some(pooler)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_behind_a_pooler_by_the_transaction_keep_the_bound() {
    let Some(server) = TestDatabase::postgres_server() else { return };
    let Some(pooler) = Pooler::start(server_of(&server)) else { return };
    let database = TestDatabase::postgres(&server).await;
    let name = database.url().rsplit('/').next().expect("a name").to_owned();
    let url = format!("postgres://postgres@{}/{name}?pooling=transaction", pooler.address);
    let tenant = Tenant::on(Place::with_database(&url));
    let nodes: Vec<_> = (0..3).map(|_| Server::start(&tenant.place, &[])).collect();
    let addresses: Vec<_> = nodes.iter().map(|node| node.address).collect();
    let load = Load::on(&tenant, &addresses, &[0, 1, 2]);
    thread::sleep(FAULT);
    for said in &load.said {
        assert_eq!(said.unsure.load(Ordering::Relaxed), 0, "nothing is wrong, so nothing is refused");
    }
    load.settle(&tenant.place, &addresses, "a pooler by the transaction");
    for node in &nodes {
        assert!(!node.log().contains("prepared statement"), "{}", node.log());
    }
}

/// How many of these, unless a variable says how many.
fn count(variable: &str, unless: usize) -> usize {
    std::env::var(variable).ok().map_or(unless, |text| text.parse().expect("a number"))
}

/// Prints a line of the long run: how long it took until all nodes refused.
fn report(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let Some(last) = took.len().checked_sub(1) else { return };
    let at = |percent: usize| took[(took.len() * percent / 100).min(last)];
    println!("{what}: {} rounds, p50 {:?}, p99 {:?}, max {:?}", took.len(), at(50), at(99), took[last]);
}

/// What `script/faults` repeats many times.
#[tokio::test(flavor = "multi_thread")]
async fn every_revocation_is_in_force_everywhere_within_the_bound() {
    let Some(database) = database().await else { return };
    let mut nodes = Nodes::start(database.url(), 2);
    let everywhere = |nodes: &Nodes, among: &[usize], round: usize| {
        let key = nodes.tenant.make(nodes.servers[among[0]].address);
        for at in among {
            assert_eq!(ask(nodes.servers[*at].address, &key).status, 200, "round {round}");
        }
        key
    };
    let revoked = |nodes: &Nodes, at: usize, asked: &[usize], key: &Made| {
        let since = Instant::now();
        nodes.tenant.revoke(nodes.servers[at].address, key);
        let acknowledged = Instant::now();
        let waits: Vec<_> = asked
            .iter()
            .map(|at| {
                let (node, key) = (nodes.servers[*at].address, key.clone());
                thread::spawn(move || refused_or_unsure(node, &key, acknowledged))
            })
            .collect();
        let slowest = waits.into_iter().map(|wait| wait.join().expect("within the bound")).max();
        (acknowledged - since, slowest.unwrap_or_default())
    };
    let mut quiet = Vec::new();
    for round in 0..count("TROUSSEAU_TEST_ROUNDS", 10) {
        let key = everywhere(&nodes, &[0, 1, 2], round);
        quiet.push(revoked(&nodes, round % 3, &[0, 1, 2], &key).1);
    }
    report("without faults", quiet);
    let mut faulty = Vec::new();
    for round in 0..count("TROUSSEAU_TEST_FAULTS", 5) {
        let key = everywhere(&nodes, &[0, 1, 2], round);
        let (proxied, wait) = (2, BOUND + Duration::from_millis(100));
        let took = match round % 5 {
            0 => {
                nodes.servers[1].signal(Signal::STOP);
                let took = revoked(&nodes, 0, &[0, 2], &key).1;
                let since = Instant::now();
                thread::sleep(wait);
                nodes.servers[1].signal(Signal::CONT);
                refused_or_unsure(nodes.servers[1].address, &key, since);
                took
            }
            1 => {
                nodes.servers[1].signal(Signal::KILL);
                let took = revoked(&nodes, 0, &[0, 2], &key).1;
                nodes.servers[1].wait();
                nodes.servers[1] = Server::start(&nodes.tenant.place, &[]);
                refused_or_unsure(nodes.servers[1].address, &key, Instant::now());
                took
            }
            other => {
                nodes.proxy.set(match other {
                    2 => Mode::Cut,
                    3 => Mode::Hold { there: true, back: true },
                    _ => Mode::HoldListeners,
                });
                let took = revoked(&nodes, round % 2, &[0, 1, 2], &key).1;
                thread::sleep(wait);
                nodes.proxy.set(Mode::Pass);
                took
            }
        };
        faulty.push(took);
        let good = nodes.tenant.make(nodes.servers[0].address);
        accepts_again(nodes.servers[proxied].address, &good, "after a fault");
        assert_eq!(ask(nodes.servers[proxied].address, &key).status, 401, "round {round}");
        // A business may have a few keys only.
        nodes.tenant.revoke(nodes.servers[0].address, &good);
    }
    report("with faults", faulty);
}

/// How long after `since` a node said no, or was asked what it could not say; within the bound. A 503 takes its time
/// by itself.
fn refused_or_unsure(node: SocketAddr, key: &Made, since: Instant) -> Duration {
    loop {
        let asked = Instant::now();
        match ask(node, key).status {
            401 => return since.elapsed(),
            503 => return asked - since,
            200 => assert!(asked - since < BOUND, "accepted {:?} after it was revoked", asked - since),
            status => panic!("status {status}"),
        }
        thread::sleep(Duration::from_millis(1));
    }
}
