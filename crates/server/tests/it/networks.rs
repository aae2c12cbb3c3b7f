//! Networks in the configuration, from outside: what is checked before anything runs.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::process::{Ended, Place, Server};

const USDC: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
const PAYOUT: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

/// A node that says that it is this chain, and that every token has so many decimals. The address to ask it at.
fn node(chain: u64, decimals: u8) -> String {
    node_that_says(chain, Ok(decimals))
}

/// The same, or one that refuses to call a contract, with this code.
fn node_that_says(chain: u64, decimals: Result<u8, i64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = String::new();
            let mut some = [0; 8192];
            while !(request.contains("\r\n\r\n") && (request.ends_with(']') || request.ends_with('}'))) {
                match stream.read(&mut some) {
                    Ok(read) if read > 0 => request.push_str(&String::from_utf8_lossy(&some[..read])),
                    _ => break,
                }
            }
            let Some((_, body)) = request.split_once("\r\n\r\n") else { continue };
            let Ok(asked) = serde_json::from_str::<Value>(body) else { continue };
            let answer = |call: &Value| {
                let result = match (call["method"].as_str(), decimals) {
                    (Some("eth_chainId"), _) => json!(format!("{chain:#x}")),
                    (Some("eth_getCode"), _) => json!("0x6000"),
                    (Some("eth_call"), Ok(decimals)) => json!(format!("0x{decimals:064x}")),
                    (Some("eth_call"), Err(code)) => {
                        let error = json!({"code": code, "message": "no"});
                        return json!({"jsonrpc": "2.0", "id": call["id"], "error": error});
                    }
                    _ => Value::Null,
                };
                json!({"jsonrpc": "2.0", "id": call["id"], "result": result})
            };
            let answer = match &asked {
                Value::Array(calls) => calls.iter().map(answer).collect(),
                call => answer(call),
            };
            let answer = answer.to_string();
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", answer.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(answer.as_bytes()));
        }
    });
    format!("http://user:hunter2@{address}/s3cr3t")
}

fn check(place: &Place, endpoints: &str) -> Ended {
    let mut command = place.command(&["config", "check"]);
    Ended::of(command.env("TROUSSEAU_NETWORKS__BASE__ENDPOINTS", endpoints).output().expect("runs"))
}

#[test]
fn what_is_not_as_the_settings_say_refuses_to_run() {
    let place = Place::new();
    for (endpoint, told) in [
        (node(1, 6), "networks.base.endpoints: endpoint 1 is a node of eip155:1, the setting says eip155:8453"),
        (node(8453, 18), "networks.base.tokens.USDC.decimals"),
        (node_that_says(8453, Err(3)), "says no number of decimals"),
    ] {
        let mut serve = place.command(&["serve", "--listen", "127.0.0.1:0"]);
        let serve = serve.env("TROUSSEAU_NETWORKS__BASE__ENDPOINTS", &endpoint).output();
        for ended in [check(&place, &endpoint), Ended::of(serve.expect("runs"))] {
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(ended.err.contains(told), "{ended:?}");
            assert!(!format!("{ended:?}").contains("hunter2") && !format!("{ended:?}").contains("s3cr3t"));
        }
    }
}

#[test]
fn a_node_that_cannot_say_keeps_nobody_from_starting() {
    let place = Place::new();
    // Too many calls, a block that a reorganisation has just taken back, and one that is not there yet.
    for code in [-32_005, -32_602, -32_000] {
        let node = node_that_says(8453, Err(code));
        std::fs::write(place.path().join("trousseau.toml"), format!("[networks.base]\nendpoints = {node:?}\n"))
            .expect("written");
        let ended = place.run(&["config", "check"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.err.contains(&format!("refused eth_call with the code {code}")), "{}", ended.err);
        let server = Server::start(&place, &[]);
        assert!(server.log().contains("endpoint 1"), "{}", server.log());
    }
}

#[test]
fn what_is_as_the_settings_say_is_explained_without_its_secrets() {
    let place = Place::new();
    let nowhere = "http://127.0.0.1:9/s3cr3t";
    std::fs::write(place.path().join("nodes"), format!("# ours\n{}\n{nowhere} | x-key: hunter2\n", node(8453, 6)))
        .expect("written");
    std::fs::write(place.path().join("trousseau.toml"), "[networks.base]\nendpoints_file = \"nodes\"\n")
        .expect("written");
    let ended = place.run(&["config", "check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains(USDC) && ended.out.contains("2, not shown"), "{}", ended.out);
    assert!(ended.err.contains("networks.base.endpoints: endpoint 2: does not answer"), "{}", ended.err);
    assert!(!format!("{ended:?}").contains("hunter2") && !format!("{ended:?}").contains("s3cr3t"));
    let server = Server::start(&place, &[]);
    assert!(server.log().contains("endpoint 2"), "{}", server.log());
    drop(server);
    std::fs::write(place.path().join("trousseau.toml"), "[networks.base]\nendpoints = { a = \"hunter2\" }\n")
        .expect("written");
    let wrong = place.run(&["config", "check"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("line 2") && !format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
}

#[test]
fn people_say_where_money_goes() {
    let place = Place::new();
    std::fs::write(place.path().join("trousseau.toml"), format!("[networks.base]\nendpoints = {:?}\n", node(8453, 6)))
        .expect("written");
    let made = place.run(&["business", "create", "Atelier", "--json"]);
    let made: Value = serde_json::from_str(&made.out).expect("JSON");
    let business = made["business"]["id"].as_str().expect("an id");
    let set =
        |network: &str, address: &str| place.run(&["payout", "set", network, address, "--business", business, "--yes"]);
    for (network, address) in [("base", "0x12"), ("eth", PAYOUT), ("base", USDC), ("base", &PAYOUT.replace('A', "a"))] {
        assert_eq!(set(network, address).code, Some(2), "{network} {address}");
    }
    assert_eq!(place.run(&["payout", "set", "base", PAYOUT, "--business", business]).code, Some(2), "nobody said yes");
    assert_eq!(set("base", PAYOUT).code, Some(0));
    let listed = place.run(&["payout", "list", "--business", business, "--json"]);
    let listed: Value = serde_json::from_str(&listed.out).expect("JSON");
    assert_eq!((&listed["data"][0]["network"], &listed["data"][0]["address"]), (&json!("eip155:8453"), &json!(PAYOUT)));
}

#[test]
fn people_give_a_key_of_their_wallet_and_confirm_it() {
    const KEY: &str = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";
    const PRIVATE: &str = "xprv9yeny6n2dNUokQFykGoZU6BDLeKbEBUoBeCFe2VF6MXdrHrprMYRc4tddncDRxrJCy7GtPDk68zRcgWtGFveqdCV5NyhZwVgMoZVbTm78vx";
    const FIRST: [&str; 3] = [
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
    ];
    let place = Place::new();
    std::fs::write(place.path().join("trousseau.toml"), format!("[networks.base]\nendpoints = {:?}\n", node(8453, 6)))
        .expect("written");
    let made = place.run(&["business", "create", "Atelier", "--json"]);
    let made: Value = serde_json::from_str(&made.out).expect("JSON");
    let business = made["business"]["id"].as_str().expect("an id");
    let set = |target: &str, more: &[&str]| {
        place.run(&[&["payout", "set", "base", target, "--business", business], more].concat())
    };
    let phrase = "test test test test test test test test test test test junk";
    for secret in [PRIVATE, phrase, &format!("0x{}", "a1".repeat(32))] {
        let refused = set(secret, &["--yes"]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains("whoever has it can take your money"), "{}", refused.err);
        assert!(!format!("{}{}", refused.out, refused.err).contains(&secret[..20]), "it is not repeated");
    }
    assert_eq!(set(&KEY[..100], &[]).code, Some(2));
    let proposed = set(KEY, &[]);
    assert_eq!(proposed.code, Some(0), "{proposed:?}");
    assert!(FIRST.iter().all(|address| proposed.out.contains(address)), "{}", proposed.out);
    let listed = || -> Value {
        let listed = place.run(&["payout", "list", "--business", business, "--json"]);
        serde_json::from_str(&listed.out).expect("JSON")
    };
    assert_eq!(listed()["data"][0]["state"], "proposed");
    let confirmed = |addresses: [&str; 3]| {
        set(KEY, &["--confirm", addresses[0], "--confirm", addresses[1], "--confirm", addresses[2]])
    };
    assert_eq!(confirmed([FIRST[1], FIRST[0], FIRST[2]]).code, Some(2));
    assert_eq!(listed()["data"][0]["state"], "proposed");
    assert_eq!(confirmed(FIRST).code, Some(0));
    let data = listed();
    assert_eq!((&data["data"][0]["state"], &data["data"][0]["extended_key"]), (&json!("in_force"), &json!(KEY)));
    assert_eq!(data["data"][0]["first_addresses"], json!(FIRST));
    assert_eq!(set(PAYOUT, &["--yes"]).code, Some(0));
    let data = listed();
    assert_eq!(data["data"].as_array().map(Vec::len), Some(1), "one place per network: {data}");
    assert_eq!(set(PAYOUT, &["--yes", "--confirm", PAYOUT]).code, Some(2));
}
