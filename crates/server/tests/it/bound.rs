//! TEST on a chain, with nothing but the executable, while LIVE is on another one.

use std::time::Duration;

use serde_json::{Value, json};
use trousseau_domain::evm::EvmAddress;
use trousseau_testkit::node::{CHAIN, Node, Word, fixture, token_arguments};

use crate::kill::post;
use crate::process::{Ended, Place, Server};

/// The chain that LIVE is on.
const LIVE: u64 = 4_242;
const PATIENCE: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// A chain with a token of which somebody has plenty.
async fn chain(id: u64) -> Option<(Node, EvmAddress)> {
    let node = Node::start_as(id).await?;
    let code = fixture("TestToken");
    let token = node.deploy(&code.bytecode, &token_arguments("USD Coin", "USDC", 6)).await;
    let mint = code.data("mint(address,uint256)", &[node.account(1).into(), 1_000_000_000_u128.into()]);
    node.send(node.account(0), Some(token), &mint).await;
    node.mine(1).await;
    Some((node, token))
}

fn section(name: &str, id: u64, (node, token): &(Node, EvmAddress), environment: &str) -> String {
    format!(
        "[networks.{name}]\nchain = \"eip155:{id}\"\nendpoints = [{:?}]\npoll = 1\nconfirmations = 3\n\
         tokens.USDC = {{ contract = \"{token}\", decimals = 6 }}\n{environment}\n",
        node.url()
    )
}

/// Requests with a key of one environment.
struct Caller<'a> {
    server: &'a Server,
    headers: String,
}

impl Caller<'_> {
    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        post(self.server.address, path, &self.headers, &body.to_string()).expect("an answer")
    }

    fn get(&self, path: &str) -> String {
        let answer = self.server.get(path, &self.headers);
        answer.split_once("\r\n\r\n").expect("an answer").1.to_owned()
    }

    fn get_json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path)).expect("JSON")
    }

    /// A new payment. Until the network was looked at for the first time nothing can be paid.
    async fn start(&self, link: &Value) -> Value {
        for _ in 0..PATIENCE {
            match self.post("/v1/checkout/payments", &json!({"payable": link["id"]})) {
                (201, started) => return started,
                (status, answer) => assert_eq!(status, 503, "{answer}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("the network is not seen: {}", self.server.log());
    }

    async fn wait_for(&self, payment: &Value, status: &str) {
        let path = format!("/v1/payments/{}", payment["id"].as_str().expect("an id"));
        for _ in 0..PATIENCE {
            if self.get_json(&path)["status"] == status {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("it is not {status}: {}\n{}", self.get(&path), self.server.log());
    }
}

async fn pay((node, token): &(Node, EvmAddress), payment: &Value) -> String {
    let to: EvmAddress = payment["address"].as_str().expect("text").parse().expect("an address of a network");
    let data = fixture("TestToken").data("transfer(address,uint256)", &[to.into(), Word::from(12_500_000)]);
    let hash = node.send(node.account(1), Some(*token), &data).await;
    node.mine(4).await;
    hash
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_key_is_paid_on_a_chain_and_a_live_key_on_another_one() {
    let (Some(test), Some(live)) = (chain(CHAIN).await, chain(LIVE).await) else { return };
    let place = Place::new();
    let settings =
        format!("{}{}", section("real", LIVE, &live, ""), section("trial", CHAIN, &test, "environment = \"test\""));
    std::fs::write(place.path().join("trousseau.toml"), settings).expect("written");
    let run = |arguments: &[&str]| {
        let ended = place.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.out
    };
    let made: Value = serde_json::from_str(&run(&["business", "create", "Atelier", "--json"])).expect("JSON");
    let business = made["business"]["id"].as_str().expect("an id");
    let payout = test.0.account(9).to_string();
    for (network, told) in
        [("trial", "TEST money on eip155:31337 goes to"), ("real", "LIVE money on eip155:4242 goes to")]
    {
        let set = run(&["payout", "set", network, &payout, "--business", business, "--yes"]);
        assert!(set.contains(told), "{set}");
    }
    let listed: Value =
        serde_json::from_str(&run(&["payout", "list", "--business", business, "--json"])).expect("JSON");
    let environments: Vec<_> = listed["data"].as_array().expect("rows").iter().map(|row| &row["environment"]).collect();
    assert_eq!(environments, ["live", "test"]);
    let server = Server::start(&place, &[]);
    let caller = |environment: &str| {
        let is_it = |key: &&Value| key["kind"] == "secret" && key["environment"] == environment;
        let key = made["keys"].as_array().expect("keys").iter().find(is_it).expect("a key");
        let value = key["value"].as_str().expect("a value");
        Caller { server: &server, headers: format!("apikey: {value}\r\nbusinessid: {business}\r\n") }
    };
    let (in_test, in_live) = (caller("test"), caller("live"));
    let link = |caller: &Caller<'_>| {
        let (status, link) = caller.post("/v1/payment_links", &json!({"amount": "12.50"}));
        assert_eq!(status, 201, "{link}");
        link
    };
    let (test_link, live_link) = (link(&in_test), link(&in_live));
    let (trial, real) = (in_test.start(&test_link).await, in_live.start(&live_link).await);
    assert_eq!((&trial["network"], &real["network"]), (&json!("eip155:31337"), &json!("eip155:4242")));
    // By name, the other one's network is not there.
    let body = json!({"payable": test_link["id"], "network": "real"});
    let (status, refused) = in_test.post("/v1/checkout/payments", &body);
    assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!("/network")), "{refused}");
    // What moves a test ledger is off, with one answer.
    let id = trial["id"].as_str().expect("an id");
    for (path, body) in [
        ("/v1/test/transfers".to_owned(), json!({"address": trial["address"], "amount": "12.50"})),
        ("/v1/test/blocks".to_owned(), json!({"count": 1})),
        ("/v1/test/halt".to_owned(), json!({})),
        ("/v1/test/clock".to_owned(), json!({"to": "2090-01-01T00:00:00Z"})),
        (format!("/v1/test/payments/{id}/scenario"), json!({"scenario": "paid"})),
        (format!("/v1/checkout/payments/{id}/transaction"), json!({"transaction_hash": "test_paid"})),
    ] {
        let (status, problem) = in_test.post(&path, &body);
        assert_eq!((status, &problem["code"]), (409, &json!("test_ledger_off")), "{path}: {problem}");
    }
    assert_eq!(in_test.get_json("/v1/test/ledger")["code"], "test_ledger_off");
    assert_eq!(in_live.get_json("/v1/test/ledger")["code"], "test_only");
    // The page says TEST, and has nothing to simulate with.
    let page = in_test.get(&format!("/pay/payment-link/{}/{id}", test_link["id"].as_str().expect("an id")));
    assert!(page.contains("on a test network") && page.contains("data-env=\"test\""), "{page}");
    assert!(!page.contains("/simulate") && page.contains(&format!("data-chain=\"{CHAIN:#x}\"")), "{page}");
    // The right money on the wrong chain pays nothing.
    pay(&live, &trial).await;
    let hash = pay(&test, &trial).await;
    in_test.wait_for(&trial, "settled").await;
    let paid = in_test.get_json(&format!("/v1/payments/{id}"));
    assert_eq!((&paid["amount_settled"], &paid["transaction_hash"]), (&json!("12.50"), &json!(hash)));
    let untouched = in_live.get_json(&format!("/v1/payments/{}", real["id"].as_str().expect("an id")));
    assert_eq!(untouched["status"], "open");
    pay(&live, &real).await;
    in_live.wait_for(&real, "settled").await;
    let planned = |environment: &str| -> Value {
        let out = run(&["payout", "plan", "--environment", environment, "--json"]);
        serde_json::from_str(&out).expect("JSON")
    };
    assert_eq!(planned("test")["data"][0]["network"], "eip155:31337");
    assert_eq!(planned("live")["data"][0]["network"], "eip155:4242");
    assert_eq!(planned("live")["data"].as_array().map(Vec::len), Some(1));
    let networks = run(&["network", "list"]);
    assert!(networks.contains("TEST") && networks.contains("LIVE"), "{networks}");
}

#[test]
fn a_network_on_the_wrong_side_refuses_to_start_and_says_what_to_do() {
    let place = Place::new();
    let nowhere = "endpoints = [\"http://127.0.0.1:9\"]\n";
    for (settings, told) in [
        (
            format!("[networks.base]\nenvironment = \"test\"\n{nowhere}"),
            ["networks.base.environment", "eip155:8453 holds real money", "networks.base_sepolia"],
        ),
        (
            format!("[networks.base_sepolia]\n{nowhere}"),
            ["networks.base_sepolia.chain", "worth nothing", "networks.base_sepolia.environment = \"test\""],
        ),
    ] {
        std::fs::write(place.path().join("trousseau.toml"), settings).expect("written");
        for arguments in [&["config", "check"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let ended = Ended::of(place.command(arguments).output().expect("runs"));
            assert_eq!(ended.code, Some(2), "{ended:?}");
            for told in told {
                assert!(ended.err.contains(told), "{told}: {}", ended.err);
            }
        }
    }
}
