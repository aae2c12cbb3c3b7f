//! From a LIVE payment to the payout address, with nothing but the executable and a chain.

use std::time::Duration;

use serde_json::{Value, json};
use trousseau_domain::evm::EvmAddress;
use trousseau_testkit::node::{CHAIN, Fixture, Node, Word, fixture, token_arguments};

use crate::kill::post;
use crate::process::{Place, Server};

/// How often something is looked at that takes a while.
const PATIENCE: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// A business that takes LIVE payments on a chain of its own.
struct Live {
    node: Node,
    token: EvmAddress,
    code: Fixture,
    place: Place,
    server: Server,
    business: String,
    headers: String,
}

impl Live {
    /// None where there is no node.
    async fn open() -> Option<Self> {
        let node = Node::start().await?;
        let code = fixture("TestToken");
        let token = node.deploy(&code.bytecode, &token_arguments("USD Coin", "USDC", 6)).await;
        let mint = code.data("mint(address,uint256)", &[node.account(1).into(), 1_000_000_000_u128.into()]);
        node.send(node.account(0), Some(token), &mint).await;
        node.mine(1).await;
        let place = Place::new();
        let settings = format!(
            "[networks.local]\nchain = \"eip155:{CHAIN}\"\nendpoints = [{:?}]\npoll = 1\nconfirmations = 3\n\
             tokens.USDC = {{ contract = \"{token}\", decimals = 6 }}\n",
            node.url()
        );
        std::fs::write(place.path().join("trousseau.toml"), settings).expect("written");
        let made = run_json(&place, &["business", "create", "Atelier", "--json"]);
        let business = made["business"]["id"].as_str().expect("an id").to_owned();
        let is_live_secret = |key: &&Value| key["kind"] == "secret" && key["environment"] == "live";
        let key = made["keys"].as_array().expect("keys").iter().find(is_live_secret).expect("a LIVE key");
        let headers = format!("apikey: {}\r\nbusinessid: {business}\r\n", key["value"].as_str().expect("a value"));
        run(&place, &["payout", "set", "local", &node.account(9).to_string(), "--business", &business, "--yes"]);
        let server = Server::start(&place, &[]);
        Some(Self { node, token, code, place, server, business, headers })
    }

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

    /// The address of a new payment. Until the network was looked at for the first time nothing can be paid.
    async fn start(&self, link: &Value) -> EvmAddress {
        for _ in 0..PATIENCE {
            let body = json!({"payable": link["id"], "network": "local"});
            match self.post("/v1/checkout/payments", &body) {
                (201, started) => return started["address"].as_str().expect("text").parse().expect("an address"),
                (status, answer) => assert_eq!(status, 503, "{answer}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("the network is not seen: {}", self.server.log());
    }

    /// Sends tokens there; they wait for the next block.
    async fn pay(&self, to: EvmAddress, units: u128) {
        let data = self.code.data("transfer(address,uint256)", &[to.into(), Word::from(units)]);
        self.node.send(self.node.account(1), Some(self.token), &data).await;
    }

    async fn wait_for_settled(&self, payments: usize) {
        for _ in 0..PATIENCE {
            let settled = self.get_json("/v1/payments?status=settled");
            if settled["data"].as_array().is_some_and(|settled| settled.len() == payments) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("it is not settled: {}", self.server.log());
    }

    fn plan(&self) -> Value {
        let arguments = ["payout", "plan", "--business", &self.business, "--network", "local", "--json"];
        run_json(&self.place, &arguments)["data"][0].take()
    }

    /// Sends exactly what a plan says, from an account that has nothing to do with it.
    async fn carry_out(&self, plan: &Value) {
        for step in plan["transactions"].as_array().expect("transactions") {
            assert_eq!(step["chain_id"], CHAIN);
            let mut request = json!({"from": self.node.account(7)});
            for member in ["to", "data", "gas", "value"] {
                request[member] = step[member].clone();
            }
            let hash = self.node.call("eth_sendTransaction", json!([request])).await;
            self.node.mine(1).await;
            let receipt = self.node.receipt(hash.as_str().expect("a hash")).await;
            assert_eq!(receipt["status"], "0x1", "{step}: {receipt}");
        }
    }

    /// What lies at the payout address.
    async fn paid_out(&self) -> u128 {
        let data = self.code.data("balanceOf(address)", &[self.node.account(9).into()]);
        let answer = self.node.ask(self.token, &data).await;
        u128::from_be_bytes(answer[16..].try_into().expect("16 bytes"))
    }
}

fn run(place: &Place, arguments: &[&str]) -> String {
    let ended = place.run(arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    ended.out
}

fn run_json(place: &Place, arguments: &[&str]) -> Value {
    serde_json::from_str(&run(place, arguments)).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_is_collected_by_sending_what_the_plan_prints() {
    let Some(live) = Live::open().await else { return };
    let (status, link) = live.post("/v1/payment_links", &json!({"amount": "12.50"}));
    assert_eq!(status, 201, "{link}");
    let addresses = [live.start(&link).await, live.start(&link).await, live.start(&link).await];
    for address in addresses {
        live.pay(address, 12_500_000).await;
    }
    live.node.mine(4).await;
    live.wait_for_settled(3).await;
    let first = live.plan();
    let steps = first["transactions"].as_array().expect("transactions");
    let purposes: Vec<_> = steps.iter().map(|step| &step["purpose"]).collect();
    assert_eq!(purposes, ["deploy_factory", "collect"]);
    let collects = &steps[1]["collects"];
    assert_eq!((&collects["amount"], &collects["currency"]), (&json!("37.50"), &json!("USDC")));
    assert_eq!(collects["forwarders"].as_array().expect("forwarders").len(), 3);
    let told = run(&live.place, &["payout", "plan", "--business", &live.business]);
    assert!(told.contains("37.50 USDC from 3 deposit addresses (3 to be deployed)"), "{told}");
    assert!(told.contains(steps[1]["data"].as_str().expect("data")), "{told}");
    let served = live.get_json("/v1/payout_plans?network=local");
    assert_eq!(served["data"][0]["transactions"], first["transactions"]);
    let test = run_json(&live.place, &["payout", "plan", "--environment", "test", "--json"]);
    assert_eq!(test["data"], json!([]), "no network is watched for TEST");
    live.carry_out(&first).await;
    assert_eq!(live.paid_out().await, 37_500_000);
    assert_eq!(live.plan()["transactions"], json!([]));
    assert!(run(&live.place, &["payout", "plan"]).contains("nothing to collect"));
    // Late money at an address whose contract is there by now.
    live.pay(addresses[1], 1).await;
    live.node.mine(4).await;
    let late = live.plan();
    let collects = &late["transactions"][0]["collects"];
    assert_eq!((&collects["base_units"], &collects["forwarders"][0]["deployed"]), (&json!("1"), &json!(true)));
    live.carry_out(&late).await;
    assert_eq!(live.paid_out().await, 37_500_001);
    let lines = |live: &Live| {
        let file = live.get("/v1/movements");
        file.lines().filter(|line| line.contains("deposit,in,")).map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    for _ in 0..PATIENCE {
        if lines(&live).len() == 4 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let asset = format!("eip155:{CHAIN}/erc20:{}", live.token);
    let booked = lines(&live);
    assert_eq!(booked.len(), 4, "{booked:?}");
    assert!(booked.iter().all(|line| line.contains(&asset) && line.contains(&live.business)), "{booked:?}");
    let compared = run_json(&live.place, &["network", "reconcile", "local", "--json"]);
    assert_eq!((&compared["data"][0]["outcome"], &compared["data"][0]["addresses"]), (&json!("agrees"), &json!(3)));
    let Live { node, place, server, .. } = live;
    drop((node, server));
    let down = place.run(&["network", "reconcile", "local"]);
    assert_eq!(down.code, Some(3), "{down:?}");
    assert!(down.out.contains("not compared to the end"), "{down:?}");
    assert_eq!(place.run(&["payout", "plan"]).code, Some(3));
}
