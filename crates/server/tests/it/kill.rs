//! kill -9 at any moment: what was acknowledged is there, exactly once.

#![expect(clippy::print_stdout, reason = "the long run reports its figures")]

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use trousseau_store::testing::TestDatabase;

use crate::process::{Place, Server};

/// Kills unless `TROUSSEAU_TEST_KILLS` says how many.
const KILLS: u32 = 10;
/// Clients that create at the same time.
const CLIENTS: u64 = 4;

/// One request on a connection of its own; `None` if no whole answer came.
pub(crate) fn post(address: SocketAddr, path: &str, headers: &str, body: &str) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, serde_json::from_str(body).ok()?))
}

/// Creates businesses one after the other, each under a key of its own; repeats one until it is acknowledged.
fn create_until_stopped(
    client: u64,
    address: &Mutex<SocketAddr>,
    headers: &str,
    stop: &AtomicBool,
    progress: &AtomicU64,
) -> Vec<(String, String)> {
    let mut acknowledged = Vec::new();
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let name = format!("kill {client}-{number}");
        let headers = format!("{headers}idempotency-key: {name}\r\n");
        let to = *address.lock().expect("not poisoned");
        match post(to, "/v1/businesses", &headers, &format!("{{\"name\":\"{name}\"}}")) {
            Some((201, body)) => {
                let id = body.pointer("/business/id").and_then(Value::as_str).expect("an id").to_owned();
                acknowledged.push((name, id));
                progress.fetch_add(1, Ordering::Relaxed);
                number += 1;
            }
            // Killed, starting, or still busy with the first try: the same request again.
            Some((409 | 503, _)) | None => thread::sleep(Duration::from_millis(5)),
            Some((status, body)) => panic!("{status}: {body}"),
        }
    }
    acknowledged
}

#[test]
fn acknowledged_writes_survive_kills_exactly_once() {
    survive("SQLite", &Place::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_kills_exactly_once_on_postgres() {
    if let Some(server) = TestDatabase::postgres_server() {
        let database = TestDatabase::postgres(&server).await;
        survive("PostgreSQL", &Place::with_database(database.url()));
    }
}

/// How often the server is killed.
pub(crate) fn kills() -> u32 {
    std::env::var("TROUSSEAU_TEST_KILLS").ok().map_or(KILLS, |text| text.parse().expect("a number"))
}

/// Kills the server again and again, each time into the middle of the work, and starts it anew.
pub(crate) fn kill_often(
    place: &Place,
    server: &mut Server,
    kills: u32,
    address: &Mutex<SocketAddr>,
    progress: &AtomicU64,
) {
    // A fixed sequence of odd pauses, so that the kills fall on different moments of the work.
    let mut pause = 7_u64;
    for _ in 0..kills {
        pause = pause * 31 % 211;
        // Into the middle of the work, not into the start before it.
        let (before, since) = (progress.load(Ordering::Relaxed), Instant::now());
        while progress.load(Ordering::Relaxed) == before && since.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(pause));
        server.signal(Signal::KILL);
        server.wait();
        *server = Server::start(place, &[]);
        *address.lock().expect("not poisoned") = server.address;
    }
}

fn survive(engine: &str, place: &Place) {
    let kills = kills();
    let key = place.run(&["platform-key", "create", "killer", "--json"]);
    let key: Value = serde_json::from_str(&key.out).expect(&key.err);
    let headers = format!("authorization: Bearer {}\r\n", key["value"].as_str().expect("a value"));
    let mut server = Server::start(place, &[]);
    let address = Arc::new(Mutex::new(server.address));
    let stop = Arc::new(AtomicBool::new(false));
    let progress = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (address, headers) = (Arc::clone(&address), headers.clone());
            let (stop, progress) = (Arc::clone(&stop), Arc::clone(&progress));
            thread::spawn(move || create_until_stopped(client, &address, &headers, &stop, &progress))
        })
        .collect();
    kill_often(place, &mut server, kills, &address, &progress);
    thread::sleep(Duration::from_millis(200));
    stop.store(true, Ordering::Relaxed);
    let acknowledged: Vec<_> = clients.into_iter().flat_map(|client| client.join().expect("a client")).collect();
    drop(server);

    let listed = place.run(&["business", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed.out).expect(&listed.err);
    let there: Vec<(String, String)> = listed["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| (row["name"].as_str().expect("a name").to_owned(), row["id"].as_str().expect("an id").to_owned()))
        .collect();
    let names: BTreeSet<_> = there.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), there.len(), "a business is there twice");
    for pair in &acknowledged {
        assert!(there.contains(pair), "{pair:?} was acknowledged and is not there");
    }
    assert!(acknowledged.len() as u64 >= u64::from(kills), "hardly anything was created: {}", acknowledged.len());
    // At most one business of each client was under way at the end, done and not acknowledged.
    assert!(there.len() as u64 <= acknowledged.len() as u64 + CLIENTS);
    println!("{engine}: {kills} kills, {} acknowledged writes, none lost, none doubled", acknowledged.len());
}
