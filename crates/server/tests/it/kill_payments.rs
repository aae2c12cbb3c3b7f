//! kill -9 in the middle of paying, delivering and making periods: nothing is lost, and nothing is there twice.

#![expect(clippy::print_stdout, reason = "the long run reports its figures")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use trousseau_domain::time::Timestamp;
use trousseau_store::testing::TestDatabase;
use trousseau_testkit::receiver::{Heard, Receiver};

use crate::kill::{kill_often, kills, post};
use crate::process::{Place, Server};

/// Shops that are paid at the same time.
const SHOPS: u64 = 3;
/// Days between two periods of the recurring payment.
const DAYS: i64 = 2;

/// A backend that calls a server which is killed now and then.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) address: Arc<Mutex<SocketAddr>>,
    pub(crate) headers: String,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) progress: Arc<AtomicU64>,
}

impl Backend {
    /// Sends a request until it is acknowledged, always under the same name; nothing once it is to stop.
    pub(crate) fn call(&self, path: &str, name: &str, body: &Value) -> Option<Value> {
        let headers = format!("{}idempotency-key: {name}\r\n", self.headers);
        while !self.stop.load(Ordering::Relaxed) {
            let to = *self.address.lock().expect("not poisoned");
            match post(to, path, &headers, &body.to_string()) {
                Some((200 | 201, answer)) => {
                    self.progress.fetch_add(1, Ordering::Relaxed);
                    return Some(answer);
                }
                // Killed, starting, or still busy with the first try: the same request again.
                Some((409 | 503, _)) | None => thread::sleep(Duration::from_millis(5)),
                Some((status, answer)) => panic!("{path} {name}: {status}: {answer}"),
            }
        }
        None
    }

    fn get(&self, path: &str) -> Value {
        let to = *self.address.lock().expect("not poisoned");
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{}\r\n", self.headers);
        let answer = crate::process::exchange(to, request.as_bytes());
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{path}: {answer}"))
    }

    /// Everything on the pages of a list.
    pub(crate) fn list(&self, path: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().map(|last| format!("&starting_after={}", text(last, "id"))).unwrap_or_default();
            let page = self.get(&format!("{path}?limit=100{after}"));
            all.extend(page["data"].as_array().unwrap_or_else(|| panic!("{path}: {page}")).iter().cloned());
            if page["has_more"] != json!(true) {
                return all;
            }
        }
    }
}

pub(crate) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// Starts payments and pays them one after the other, each in another way; gives those that were acknowledged as paid.
fn pay_until_stopped(shop: u64, backend: &Backend) -> Vec<String> {
    let mut paid = Vec::new();
    for number in 0_u64.. {
        let name = format!("{shop}-{number}");
        // Not a link: its payments expire by the clock that is set forward meanwhile.
        let draft = json!({"title": name, "amount": "12.50", "due_at": "2090-01-01T00:00:00Z"});
        let Some(invoice) = backend.call("/v1/invoices", &format!("{name}-made"), &draft) else { break };
        let payable = json!({"payable": invoice["id"]});
        let Some(payment) = backend.call("/v1/checkout/payments", &format!("{name}-started"), &payable) else { break };
        let id = text(&payment, "id").to_owned();
        let done = if number % 2 == 0 {
            let path = format!("/v1/checkout/payments/{id}/transaction");
            backend.call(&path, &name, &json!({"transaction_hash": format!("0x{shop}_{number}")}))
        } else {
            let sent = json!({"address": payment["address"], "amount": payment["amount"]});
            backend
                .call("/v1/test/transfers", &format!("{name}-sent"), &sent)
                .and_then(|_| backend.call("/v1/test/blocks", &format!("{name}-mined"), &json!({"count": 3})))
        };
        if done.is_none() {
            break;
        }
        paid.push(id);
    }
    paid
}

/// Sets the clock forward, a day at a time, so that periods fall due; gives how often that was acknowledged.
fn advance_until_stopped(backend: &Backend, from: i64) -> i64 {
    for day in 1.. {
        let micros = from + day * 86_400_000_000;
        let to = Timestamp::from_micros(micros).expect("a time").to_string();
        if backend.call("/v1/test/clock", &format!("day-{day}"), &json!({"to": to})).is_none() {
            return day - 1;
        }
        thread::sleep(Duration::from_millis(20));
    }
    0
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_survive_kills_exactly_once() {
    survive("SQLite", Place::new().that_hears()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_survive_kills_exactly_once_on_postgres() {
    if let Some(server) = TestDatabase::postgres_server() {
        let database = TestDatabase::postgres(&server).await;
        survive("PostgreSQL", Place::with_database(database.url()).that_hears()).await;
    }
}

async fn survive(engine: &'static str, place: Place) {
    let receiver = Receiver::start().await;
    let url = receiver.url();
    let seen = tokio::task::spawn_blocking(move || run(engine, &place, &url)).await.expect("it ends");
    // The last server is still there and delivers what is left.
    let (events, server) = seen;
    let wanted: BTreeSet<&str> = events.iter().map(|event| text(event, "id")).collect();
    // What was under way when the server was killed is sent again a minute later.
    for _ in 0..1_800 {
        let heard: BTreeSet<String> =
            receiver.heard().iter().map(|heard| heard.header("webhook-id").to_owned()).collect();
        if wanted.iter().all(|id| heard.contains(*id)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(server);
    let mut bodies: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let heard: Vec<Heard> = receiver.heard();
    for message in &heard {
        bodies.entry(message.header("webhook-id").to_owned()).or_default().insert(message.body.clone());
    }
    for id in &wanted {
        assert_eq!(bodies.get(*id).map(BTreeSet::len), Some(1), "{id} did not arrive, or not as the same message");
    }
    println!("{engine}: {} events, heard {} times", wanted.len(), heard.len());
}

/// Has payments made while the server is killed, and looks at what became of them. Gives the events that a webhook
/// endpoint is to hear of, and the server that sends them.
fn run(engine: &str, place: &Place, receiver: &str) -> (Vec<Value>, Server) {
    let made = place.run(&["business", "create", "Atelier Lumière", "--json"]);
    let made: Value = serde_json::from_str(&made.out).expect(&made.err);
    let keys = made["keys"].as_array().expect("keys");
    let key = keys.iter().find(|key| key["environment"] == "test" && key["kind"] == "secret").expect("a key");
    let (value, id) = (text(key, "value"), text(&made["business"], "id"));
    let hooks = ["key", "create", "--business", id, "--environment", "test", "--scope", "webhooks:write"];
    let hooks = place.run(&[&hooks[..], &["--scope", "events:read", "--json"]].concat());
    let hooks: Value = serde_json::from_str(&hooks.out).expect(&hooks.err);
    let hooks = format!("apikey: {}\r\nbusinessid: {id}\r\n", text(&hooks, "value"));
    let mut server = Server::start(place, &[]);
    let backend = Backend {
        address: Arc::new(Mutex::new(server.address)),
        headers: format!("apikey: {value}\r\nbusinessid: {id}\r\n"),
        stop: Arc::default(),
        progress: Arc::default(),
    };
    let events = ["payment.created", "payment.succeeded", "invoice.created"];
    let endpoint = json!({"url": receiver, "event_types": events});
    let hooks = Backend { headers: hooks, ..backend.clone() };
    hooks.call("/v1/webhook_endpoints", "endpoint", &endpoint).expect("an endpoint");
    let now = text(&backend.get("/v1/test/ledger"), "now").parse::<Timestamp>();
    let now = now.expect("a time").as_micros();
    let anchor = Timestamp::from_micros(now).expect("a time").to_string();
    let recurring = json!({"amount": "9.00", "anchor": anchor, "interval": {"unit": "days", "count": DAYS}});
    backend.call("/v1/recurring_payments", "recurring", &recurring).expect("a recurring payment");

    let shops: Vec<_> = (0..SHOPS)
        .map(|shop| {
            let backend = backend.clone();
            thread::spawn(move || pay_until_stopped(shop, &backend))
        })
        .collect();
    let clock = {
        let backend = backend.clone();
        thread::spawn(move || advance_until_stopped(&backend, now))
    };
    let kills = kills();
    kill_often(place, &mut server, kills, &backend.address, &backend.progress);
    thread::sleep(Duration::from_millis(200));
    backend.stop.store(true, Ordering::Relaxed);
    let told = |what: &str| format!("{what} was answered with what no kill explains:\n{}", server.log());
    let paid: Vec<String> =
        shops.into_iter().flat_map(|shop| shop.join().unwrap_or_else(|_| panic!("{}", told("a shop")))).collect();
    let days = clock.join().unwrap_or_else(|_| panic!("{}", told("the clock")));
    // What was under way when everybody stopped comes to its end.
    thread::sleep(Duration::from_secs(2));

    let payments: BTreeMap<String, Value> =
        backend.list("/v1/payments").into_iter().map(|payment| (text(&payment, "id").to_owned(), payment)).collect();
    for id in &paid {
        let payment = payments.get(id).unwrap_or_else(|| panic!("{id} was acknowledged and is not there"));
        assert_eq!((text(payment, "status"), text(payment, "amount_settled")), ("settled", "12.50"), "{payment}");
        assert_eq!(text(payment, "exception"), "none", "{payment}");
    }
    assert!(payments.len() as u64 <= paid.len() as u64 + SHOPS, "a payment was started twice");
    let events = backend.list("/v1/events");
    let mut told: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for event in &events {
        if let Some(payment) = event.pointer("/data/payment/id").and_then(Value::as_str) {
            *told.entry((payment, text(event, "type"))).or_default() += 1;
        }
    }
    for ((payment, kind), count) in &told {
        assert_eq!(*count, 1, "{payment}: {kind}");
    }
    for id in &paid {
        assert!(told.contains_key(&(id.as_str(), "payment.succeeded")), "{id} was paid and nobody was told");
    }

    let invoices = backend.list("/v1/invoices");
    let mut periods: Vec<i64> = invoices.iter().filter_map(|invoice| invoice["period"].as_i64()).collect();
    periods.sort_unstable();
    let expected: Vec<i64> = (0..i64::try_from(periods.len()).expect("few")).collect();
    assert_eq!(periods, expected, "periods are made one after the other, each once");
    // The clock may have been set once more than was acknowledged.
    let due = [days / DAYS + 1, (days + 1) / DAYS + 1];
    assert!(due.contains(&i64::try_from(periods.len()).expect("few")), "{} periods in {days} days", periods.len());
    assert!(!paid.is_empty(), "nothing was paid");
    println!("{engine}: {kills} kills, {} payments, {} periods, none lost, none doubled", paid.len(), periods.len());
    let wanted = ["payment.created", "payment.succeeded", "invoice.created"];
    (events.into_iter().filter(|event| wanted.contains(&text(event, "type"))).collect(), server)
}
