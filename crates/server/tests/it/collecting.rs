//! From a LIVE payment to the payout address, with nothing but the executable and a chain.

use std::time::Duration;

use serde_json::{Value, json};
use trousseau_testkit::node::{CHAIN, Node, Word, fixture, token_arguments};

use crate::kill::post;
use crate::process::{Place, Server};

/// How long something may take to be seen.
const PATIENCE: u32 = 200;

fn body_of(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("an answer").1
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_is_collected_by_sending_what_the_plan_prints() {
    let Some(node) = Node::start().await else { return };
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
    let run = |arguments: &[&str]| {
        let ended = place.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.out
    };
    let json_of = |arguments: &[&str]| serde_json::from_str::<Value>(&run(arguments)).expect("JSON");
    let made = json_of(&["business", "create", "Atelier", "--json"]);
    let business = made["business"]["id"].as_str().expect("an id").to_owned();
    let is_live_secret = |key: &&Value| key["kind"] == "secret" && key["environment"] == "live";
    let key = made["keys"].as_array().expect("keys").iter().find(is_live_secret).expect("a LIVE key");
    let headers = format!("apikey: {}\r\nbusinessid: {business}\r\n", key["value"].as_str().expect("a value"));
    let payout = node.account(9);
    run(&["payout", "set", "local", &payout.to_string(), "--business", &business, "--yes"]);
    let server = Server::start(&place, &[]);
    let call = |path: &str, body: &Value| post(server.address, path, &headers, &body.to_string()).expect("an answer");
    let (status, link) = call("/v1/payment_links", &json!({"amount": "12.50"}));
    assert_eq!(status, 201, "{link}");
    let mut addresses = Vec::new();
    for _ in 0..3 {
        let mut tries = 0;
        // Until the network was looked at for the first time nothing can be paid.
        let started = loop {
            let (status, answer) = call("/v1/checkout/payments", &json!({"payable": link["id"], "network": "local"}));
            if status == 201 {
                break answer;
            }
            tries += 1;
            assert!(status == 503 && tries < PATIENCE, "{status}: {answer}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        addresses.push(started["address"].as_str().expect("an address").parse().expect("an address"));
    }
    let pay = async |to: trousseau_domain::evm::EvmAddress, units: u128| {
        let data = code.data("transfer(address,uint256)", &[to.into(), Word::from(units)]);
        node.send(node.account(1), Some(token), &data).await;
    };
    for address in &addresses {
        pay(*address, 12_500_000).await;
    }
    node.mine(4).await;
    let mut tries = 0;
    loop {
        let settled = server.get("/v1/payments?status=settled", &headers);
        let settled: Value = serde_json::from_str(body_of(&settled)).expect("JSON");
        if settled["data"].as_array().expect("a list").len() == 3 {
            break;
        }
        tries += 1;
        assert!(tries < PATIENCE, "{settled}: {}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let holds = async || {
        let answer = node.ask(token, &code.data("balanceOf(address)", &[payout.into()])).await;
        u128::from_be_bytes(answer[16..].try_into().expect("16 bytes"))
    };
    let plan = || json_of(&["payout", "plan", "--business", &business, "--network", "local", "--json"]);
    let carry_out = async |plan: &Value| {
        for step in plan["data"][0]["transactions"].as_array().expect("transactions") {
            assert_eq!(step["chain_id"], CHAIN);
            let request = json!({
                "from": node.account(7), "to": step["to"], "data": step["data"], "gas": step["gas"], "value": step["value"],
            });
            let hash = node.call("eth_sendTransaction", json!([request])).await;
            node.mine(1).await;
            let receipt = node.receipt(hash.as_str().expect("a hash")).await;
            assert_eq!(receipt["status"], "0x1", "{step}: {receipt}");
        }
    };
    let first = plan();
    let steps = first["data"][0]["transactions"].as_array().expect("transactions");
    assert_eq!(
        (&steps[0]["purpose"], &steps[1]["purpose"], steps.len()),
        (&json!("deploy_factory"), &json!("collect"), 2)
    );
    let collects = &steps[1]["collects"];
    assert_eq!((&collects["amount"], &collects["currency"]), (&json!("37.50"), &json!("USDC")));
    assert_eq!(collects["forwarders"].as_array().expect("forwarders").len(), 3);
    let told = run(&["payout", "plan", "--business", &business]);
    assert!(told.contains("37.50 USDC from 3 deposit addresses (3 to be deployed)"), "{told}");
    assert!(told.contains(steps[1]["data"].as_str().expect("data")), "{told}");
    let served = server.get("/v1/payout_plans?network=local", &headers);
    let served: Value = serde_json::from_str(body_of(&served)).expect("JSON");
    assert_eq!(served["data"][0]["transactions"], first["data"][0]["transactions"]);
    assert_eq!(json_of(&["payout", "plan", "--environment", "test", "--json"])["data"][0]["transactions"], json!([]));
    carry_out(&first).await;
    assert_eq!(holds().await, 37_500_000);
    assert_eq!(plan()["data"][0]["transactions"], json!([]));
    assert!(run(&["payout", "plan", "--business", &business]).contains("nothing to collect"));
    // Late money at an address whose contract is there by now.
    pay(addresses[1], 1).await;
    node.mine(4).await;
    let late = plan();
    let collects = &late["data"][0]["transactions"][0]["collects"];
    assert_eq!((&collects["base_units"], &collects["forwarders"][0]["deployed"]), (&json!("1"), &json!(true)));
    carry_out(&late).await;
    assert_eq!(holds().await, 37_500_001);
    node.mine(4).await;
    // The server sees the last blocks within its poll; until then they are not compared.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let compared = json_of(&["network", "reconcile", "local", "--json"]);
    assert_eq!((&compared["data"][0]["outcome"], &compared["data"][0]["addresses"]), (&json!("agrees"), &json!(3)));
    let file = server.get("/v1/movements", &headers);
    let lines: Vec<_> = body_of(&file).lines().filter(|line| line.starts_with("deposit,in,")).collect();
    assert_eq!(lines.len(), 4, "{file}");
    let asset = format!("eip155:{CHAIN}/erc20:{token}");
    assert!(lines.iter().all(|line| line.contains(&asset) && line.contains(&business)), "{file}");
    drop(node);
    let down = place.run(&["network", "reconcile", "local"]);
    assert_eq!(down.code, Some(3), "{down:?}");
    assert!(down.out.contains("not compared to the end"), "{down:?}");
    assert_eq!(place.run(&["payout", "plan"]).code, Some(3));
}
