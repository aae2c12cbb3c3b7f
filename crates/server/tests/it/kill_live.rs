//! kill -9 at odd moments while real blocks are watched, with blocks taken back in between: each payment is credited
//! once, and nobody is told twice.

#![expect(clippy::print_stdout, reason = "the long run reports its figures")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use trousseau_domain::evm::EvmAddress;
use trousseau_store::testing::TestDatabase;
use trousseau_testkit::node::{CHAIN, Node, fixture, token_arguments};

use crate::kill::kills;
use crate::kill_payments::{Backend, text};
use crate::process::{Place, Server};

/// Customers that pay at the same time, each from an account of its own.
const PAYERS: usize = 3;
/// The price of everything, in base units and as text.
const PRICE: u128 = 12_500_000;
const PRICE_TEXT: &str = "12.50";
/// How long a server that was started anew may take until it holds the watch and has seen something.
const UNTIL_SEEN: Duration = Duration::from_secs(20);
/// How long everything may take to be settled once nobody is killed any more.
const UNTIL_SETTLED: Duration = Duration::from_mins(1);

/// A chain that is called from threads.
#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) node: Arc<Node>,
    token: EvmAddress,
    runtime: Handle,
}

impl Chain {
    pub(crate) async fn start() -> Option<Self> {
        let node = Node::start().await?;
        let token = node.deploy(&fixture("TestToken").bytecode, &token_arguments("USD Coin", "USDC", 6)).await;
        for payer in 0..PAYERS {
            let plenty = fixture("TestToken")
                .data("mint(address,uint256)", &[account(&node, payer).into(), (u128::MAX / 8).into()]);
            node.send(node.account(0), Some(token), &plenty).await;
        }
        node.mine(1).await;
        Some(Self { node: Arc::new(node), token, runtime: Handle::current() })
    }

    /// Sends the price; it waits for a block.
    pub(crate) fn pay(&self, payer: usize, to: EvmAddress) -> String {
        let data = fixture("TestToken").data("transfer(address,uint256)", &[to.into(), PRICE.into()]);
        self.runtime.block_on(self.node.send(account(&self.node, payer), Some(self.token), &data))
    }

    pub(crate) fn mine(&self, blocks: u64) {
        self.runtime.block_on(self.node.mine(blocks));
    }

    /// Takes the latest blocks back, with what is in them.
    fn take_back(&self, blocks: u64) {
        self.runtime.block_on(self.node.call("anvil_reorg", json!([blocks, []])));
    }

    fn is_in_a_block(&self, transaction: &str) -> bool {
        !self.runtime.block_on(self.node.receipt(transaction)).is_null()
    }

    fn balance(&self, of: EvmAddress) -> u128 {
        let data = fixture("TestToken").data("balanceOf(address)", &[of.into()]);
        let word = self.runtime.block_on(self.node.ask(self.token, &data));
        u128::from_be_bytes(word[16..32].try_into().expect("32 bytes"))
    }

    pub(crate) fn settings(&self) -> String {
        format!(
            "[networks.local]\nchain = \"eip155:{CHAIN}\"\nendpoints = [\"{}\"]\ntokens.USDC = {{ contract = \"{}\", \
             decimals = 6 }}\nconfirmations = 3\npoll = 1\n",
            self.node.url(),
            self.token,
        )
    }
}

/// The first account deploys things.
fn account(node: &Node, payer: usize) -> EvmAddress {
    node.account(payer + 1)
}

/// A payment that somebody paid: its id, its address, and the transaction.
struct Paid {
    id: String,
    address: EvmAddress,
    transaction: String,
}

fn pay_until_stopped(payer: usize, backend: &Backend, chain: &Chain) -> Vec<Paid> {
    let mut paid = Vec::new();
    for number in 0_u64.. {
        let name = format!("{payer}-{number}");
        let draft = json!({"title": name, "amount": PRICE_TEXT, "due_at": "2090-01-01T00:00:00Z"});
        let Some(invoice) = backend.call("/v1/invoices", &format!("{name}-made"), &draft) else { break };
        let payable = json!({"payable": invoice["id"]});
        let Some(payment) = backend.call("/v1/checkout/payments", &format!("{name}-started"), &payable) else { break };
        let address: EvmAddress = text(&payment, "address").parse().expect("an address");
        let transaction = chain.pay(payer, address);
        paid.push(Paid { id: text(&payment, "id").to_owned(), address, transaction });
        thread::sleep(Duration::from_millis(100));
    }
    paid
}

/// Lets blocks come, and takes some back that are not final yet.
fn mine_until_stopped(chain: &Chain, stop: &AtomicBool) -> u32 {
    let mut taken_back = 0;
    for turn in 1_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        chain.mine(1);
        if turn % 13 == 0 {
            chain.take_back(1 + turn % 2);
            taken_back += 1;
        }
        thread::sleep(Duration::from_millis(80));
    }
    taken_back
}

#[tokio::test(flavor = "multi_thread")]
async fn live_payments_survive_kills_exactly_once() {
    if let Some(chain) = Chain::start().await {
        survive("SQLite", Place::new(), chain).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn live_payments_survive_kills_exactly_once_on_postgres() {
    let (Some(server), Some(chain)) = (TestDatabase::postgres_server(), Chain::start().await) else { return };
    let database = TestDatabase::postgres(&server).await;
    survive("PostgreSQL", Place::with_database(database.url()), chain).await;
}

async fn survive(engine: &'static str, place: Place, chain: Chain) {
    tokio::task::spawn_blocking(move || run(engine, &place, &chain)).await.expect("it ends");
}

fn run(engine: &str, place: &Place, chain: &Chain) {
    std::fs::write(place.path().join("trousseau.toml"), chain.settings()).expect("written");
    let made = place.run(&["business", "create", "Atelier Lumière", "--json"]);
    let made: Value = serde_json::from_str(&made.out).expect(&made.err);
    let keys = made["keys"].as_array().expect("keys");
    let key = keys.iter().find(|key| key["environment"] == "live" && key["kind"] == "secret").expect("a key");
    let (value, id) = (text(key, "value"), text(&made["business"], "id"));
    let payout = chain.node.account(9).to_string();
    let set = place.run(&["payout", "set", "local", &payout, "--business", id, "--yes"]);
    assert_eq!(set.code, Some(0), "{set:?}");
    let mut server = Server::start(place, &[]);
    let backend = Backend {
        address: Arc::new(Mutex::new(server.address)),
        headers: format!("apikey: {value}\r\nbusinessid: {id}\r\n"),
        stop: Arc::default(),
        progress: Arc::default(),
    };
    let payers: Vec<_> = (0..PAYERS)
        .map(|payer| {
            let (backend, chain) = (backend.clone(), chain.clone());
            thread::spawn(move || pay_until_stopped(payer, &backend, &chain))
        })
        .collect();
    let over = Arc::new(AtomicBool::new(false));
    let miner = {
        let (chain, over) = (chain.clone(), Arc::clone(&over));
        thread::spawn(move || mine_until_stopped(&chain, &over))
    };
    kill_often(place, &mut server, &backend);
    backend.stop.store(true, Ordering::Relaxed);
    let told = |what: &str| format!("{what} met what no kill explains:\n{}", server.log());
    let mut paid: Vec<Vec<Paid>> =
        payers.into_iter().map(|payer| payer.join().unwrap_or_else(|_| panic!("{}", told("a payer")))).collect();
    over.store(true, Ordering::Relaxed);
    let taken_back = miner.join().expect("the miner ends");
    pay_again_what_vanished(chain, &mut paid);
    chain.mine(5);

    let paid: Vec<Paid> = paid.into_iter().flatten().collect();
    let since = Instant::now();
    while settled(&backend) < paid.len() && since.elapsed() < UNTIL_SETTLED {
        thread::sleep(Duration::from_millis(200));
    }
    let payments: BTreeMap<String, Value> =
        backend.list("/v1/payments").into_iter().map(|payment| (text(&payment, "id").to_owned(), payment)).collect();
    let events = backend.list("/v1/events");
    for Paid { id, address, .. } in &paid {
        let payment = payments.get(id).unwrap_or_else(|| panic!("{id} was started and is not there"));
        let standing = (text(payment, "status"), text(payment, "exception"), text(payment, "amount_settled"));
        assert_eq!(standing, ("settled", "none", PRICE_TEXT), "{payment}\n{}", server.log());
        assert_eq!(chain.balance(*address), PRICE, "{id}");
        for kind in ["payment.created", "payment.succeeded"] {
            let told = |event: &&Value| event["type"] == kind && event.pointer("/data/payment/id") == Some(&json!(id));
            assert_eq!(events.iter().filter(told).count(), 1, "{id}: {kind}");
        }
    }
    assert!(events.iter().all(|event| event["type"] != "payment.reversed"), "nothing final was taken back");
    assert!(payments.len() <= paid.len() + PAYERS, "a payment was started twice");
    println!(
        "{engine}: {} kills, {taken_back} reorganisations, {} payments, none lost, none doubled",
        kills(),
        paid.len()
    );
}

fn settled(backend: &Backend) -> usize {
    backend.list("/v1/payments").iter().filter(|payment| payment["status"] == "settled").count()
}

/// Kills the server again and again, each time once it has credited something since it was started.
fn kill_often(place: &Place, server: &mut Server, backend: &Backend) {
    let mut pause = 11_u64;
    for _ in 0..kills() {
        let (before, since) = (settled(backend), Instant::now());
        while settled(backend) == before && since.elapsed() < UNTIL_SEEN {
            thread::sleep(Duration::from_millis(20));
        }
        // A fixed sequence of odd pauses, up to a whole turn of the watch.
        pause = pause * 31 % 1_009;
        thread::sleep(Duration::from_millis(pause));
        server.signal(Signal::KILL);
        server.wait();
        *server = Server::start(place, &[]);
        *backend.address.lock().expect("not poisoned") = server.address;
    }
}

/// Whoever sees that a transaction is gone sends it again. One at a time: what comes after it in the same account
/// waits for it, and is not gone.
fn pay_again_what_vanished(chain: &Chain, paid: &mut [Vec<Paid>]) {
    for (payer, paid) in paid.iter_mut().enumerate() {
        loop {
            chain.mine(1);
            let Some(gone) = paid.iter_mut().find(|paid| !chain.is_in_a_block(&paid.transaction)) else { break };
            gone.transaction = chain.pay(payer, gone.address);
        }
    }
}
