//! kill -9 while many clients make keys and payment links at once, which share their commits: what was acknowledged is
//! there exactly once, and nothing else but what was under way.

#![expect(clippy::print_stdout, reason = "the long run reports its figures")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kill::{kill_often, kills};
use crate::kill_payments::{Backend, text};
use crate::nodes::Tenant;
use crate::process::{Place, Server, exchange};

/// Clients at the same time, half of them for keys.
const CLIENTS: usize = 32;
/// How long a server may take to tell its metrics.
const UNTIL_TOLD: Duration = Duration::from_secs(20);

/// Makes one after the other until it is to stop; gives name and id of those that were acknowledged.
fn make_until_stopped(client: usize, backend: &Backend, keys: Option<&str>) -> Vec<(String, String)> {
    let mut made = Vec::new();
    for number in 0_u64.. {
        let name = format!("many {client}-{number}");
        let (path, body) = match keys {
            // Those in force are limited in number.
            Some(path) => (path, json!({"name": name, "state": "inactive"})),
            None => ("/v1/payment_links", json!({"title": name, "amount": "12.50", "currency": "USDC"})),
        };
        let Some(answer) = backend.call(path, &name, &body) else { break };
        made.push((name, text(&answer, "id").to_owned()));
    }
    made
}

#[test]
fn what_many_make_at_once_survives_kills_exactly_once() {
    let tenant = Tenant::on(Place::new());
    let place = &tenant.place;
    let mut server = Server::start(place, &[]);
    let shop = Backend {
        address: Arc::new(Mutex::new(server.address)),
        headers: tenant.make(server.address).headers,
        stop: Arc::default(),
        progress: Arc::default(),
    };
    let operator = Backend { headers: tenant.operator.clone(), ..shop.clone() };
    let keys = format!("/v1/businesses/{}/keys?environment=test", tenant.business);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (shop, operator, keys) = (shop.clone(), operator.clone(), keys.clone());
            thread::spawn(move || {
                if client % 2 == 0 {
                    (make_until_stopped(client, &operator, Some(&keys)), Vec::new())
                } else {
                    (Vec::new(), make_until_stopped(client, &shop, None))
                }
            })
        })
        .collect();
    kill_often(place, &mut server, kills(), &shop.address, &shop.progress);
    // The last one tells how often it committed.
    drop(server);
    let server = Server::start_with(place, &[("TROUSSEAU_METRICS__LISTEN", "127.0.0.1:0")], &[]);
    *shop.address.lock().expect("not poisoned") = server.address;
    let since = Instant::now();
    let (commits, kept) = loop {
        let (commits, kept) = commits(metrics_of(&server));
        if kept > 200 {
            break (commits, kept);
        }
        assert!(since.elapsed() < UNTIL_TOLD, "{kept} kept by {commits} commits");
        thread::sleep(Duration::from_millis(100));
    };
    shop.stop.store(true, Ordering::Relaxed);
    let (mut made_keys, mut made_links) = (Vec::new(), Vec::new());
    for client in clients {
        let (keys, links) = client.join().expect("a client met what no kill explains");
        made_keys.extend(keys);
        made_links.extend(links);
    }
    let of_keys = Backend { headers: tenant.make(server.address).headers, ..shop.clone() };
    exactly_once(&made_keys, &of_keys.list("/v1/keys"), "name");
    exactly_once(&made_links, &shop.list("/v1/payment_links"), "title");
    assert!(commits < kept, "each of {kept} was a commit of its own");
    println!(
        "{} kills, {} keys and {} payment links acknowledged, none lost, none doubled; {kept} kept by {commits} commits",
        kills(),
        made_keys.len(),
        made_links.len()
    );
}

fn exactly_once(acknowledged: &[(String, String)], listed: &[Value], name: &str) {
    let there: Vec<(&str, &str)> = listed
        .iter()
        .filter_map(|row| row[name].as_str().map(|title| (title, text(row, "id"))))
        .filter(|(title, _)| title.starts_with("many "))
        .collect();
    let names: BTreeSet<_> = there.iter().map(|(title, _)| title).collect();
    assert_eq!(names.len(), there.len(), "something is there twice");
    let there: BTreeSet<_> = there.into_iter().collect();
    for (title, id) in acknowledged {
        assert!(there.contains(&(title.as_str(), id.as_str())), "{title} was acknowledged and is not there");
    }
    // At most one of each client was under way at the end.
    assert!(there.len() <= acknowledged.len() + CLIENTS, "{} are there, {} were made", there.len(), acknowledged.len());
    assert!(acknowledged.len() >= CLIENTS, "hardly anything was made");
}

fn metrics_of(server: &Server) -> SocketAddr {
    let log = server.log();
    let (_, rest) = log.split_once("serving metrics server.address=").expect("an address");
    rest.split_whitespace().next().expect("an address").parse().expect("an address")
}

/// How often was committed, and how much.
fn commits(metrics: SocketAddr) -> (u64, u64) {
    let answer = exchange(metrics, b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let value = |name: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    (value("trousseau_store_commits_total"), value("trousseau_store_committed_total"))
}
