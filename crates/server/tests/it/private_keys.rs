//! No private key is anywhere: not in the database, the key file, the configuration, the log, or the server's memory.
//!
//! What could be one is tried: whatever looks like 32 bytes is taken for a private key, and the address that it would
//! have must be none that money was sent to.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bip32::secp256k1::SecretKey;
use bip32::secp256k1::elliptic_curve::sec1::ToSec1Point as _;
use bip32::{ChildNumber, XPrv};
use serde_json::{Value, json};
use trousseau_domain::evm::{EvmAddress, keccak256, print_bytes};
use trousseau_testkit::node::Node;

use crate::kill_live::Chain;
use crate::kill_payments::text;
use crate::process::{Place, Server};

/// The account that the node's own accounts are of, as its owner has it, and as it may be told to others.
const PRIVATE: &str =
    "xprv9yeny6n2dNUokQFykGoZU6BDLeKbEBUoBeCFe2VF6MXdrHrprMYRc4tddncDRxrJCy7GtPDk68zRcgWtGFveqdCV5NyhZwVgMoZVbTm78vx";
const PUBLIC: &str =
    "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";
const PHRASE: &str = "test test test test test test test test test test test junk";

/// The address of a private key; none where the bytes are no private key.
fn address_of(key: &[u8]) -> Option<EvmAddress> {
    let point = SecretKey::from_slice(key).ok()?.public_key().to_sec1_point(false);
    let hash = keccak256(&point.as_bytes()[1..]);
    Some(EvmAddress::from_bytes(hash[12..].try_into().expect("20 bytes")))
}

/// The private key of one of the node's accounts.
fn key_of_account(index: u32) -> [u8; 32] {
    let account: XPrv = PRIVATE.parse().expect("an extended private key");
    let child = |parent: &XPrv, number| parent.derive_child(ChildNumber::new(number, false).expect("an index"));
    child(&child(&account, 0).expect("a child"), index).expect("a child").private_key().to_bytes().into()
}

/// Whatever in these bytes could be a private key: 64 hexadecimal digits, 44 characters of base64, and, where
/// `raw` says so, 32 bytes as random as a key is.
fn candidates(content: &[u8], raw: bool, found: &mut BTreeSet<[u8; 32]>) {
    for run in content.split(|byte| !byte.is_ascii_hexdigit()).filter(|run| run.len() >= 64) {
        for window in run.windows(64) {
            let byte =
                |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("digits");
            let bytes: Vec<u8> = window.chunks(2).map(byte).collect();
            found.insert(bytes.try_into().expect("32 bytes"));
        }
    }
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    for run in content.split(|byte| !is_base64(byte)).filter(|run| run.len() == 43) {
        if let Ok(bytes) = STANDARD.decode([run, b"="].concat()) {
            found.insert(bytes.try_into().expect("43 characters are 32 bytes"));
        }
    }
    if raw {
        for window in content.windows(32) {
            // 32 random bytes have some 16 beyond ASCII and hardly ever a byte three times.
            let beyond = window.iter().filter(|byte| !byte.is_ascii()).count();
            let distinct = window.iter().collect::<BTreeSet<_>>().len();
            if (6..=28).contains(&beyond) && distinct >= 23 {
                found.insert(window.try_into().expect("32 bytes"));
            }
        }
    }
}

/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            files(&entry, found);
        } else {
            found.push((entry.display().to_string(), std::fs::read(&entry).expect("readable")));
        }
    }
}

/// What a process has written into its memory; none where the system does not let us look.
fn memory(process: u32) -> Option<Vec<u8>> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    let memory = File::open(format!("/proc/{process}/mem")).ok()?;
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (from, to) = line.split(' ').next()?.split_once('-')?;
        let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
        let mut part = vec![0; usize::try_from(to - from).ok()?];
        // Parts that go away meanwhile, or that the system keeps for itself, hold nothing of ours.
        if memory.read_exact_at(&mut part, from).is_ok() {
            all.extend(part);
        }
    }
    Some(all)
}

/// Pays the price of a payment for this invoice, and waits until it is settled. Gives the address.
fn pay(chain: &Chain, server: &Server, headers: &str, name: &str) -> EvmAddress {
    let call = |path: &str, body: &Value| {
        let (status, answer) = crate::kill::post(server.address, path, headers, &body.to_string()).expect("an answer");
        (status, answer)
    };
    let (status, invoice) =
        call("/v1/invoices", &json!({"title": name, "amount": "12.50", "due_at": "2090-01-01T00:00:00Z"}));
    assert_eq!(status, 201, "{invoice}");
    let payment = (0..100).find_map(|_| {
        let (status, answer) = call("/v1/checkout/payments", &json!({"payable": invoice["id"]}));
        std::thread::sleep(Duration::from_millis(100));
        (status == 201).then_some(answer)
    });
    let payment = payment.expect("the network is seen sooner or later");
    let address: EvmAddress = text(&payment, "address").parse().expect("an address");
    chain.pay(0, address);
    chain.mine(4);
    let path = format!("/v1/payments/{}", text(&payment, "id"));
    for _ in 0..200 {
        if server.get(&path, headers).contains("\"status\":\"settled\"") {
            return address;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{} is not settled:\n{}", server.get(&path, headers), server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_private_key_is_anywhere() {
    let Some(chain) = Chain::start().await else { return };
    tokio::task::spawn_blocking(move || look_everywhere(&chain)).await.expect("it ends");
}

fn look_everywhere(chain: &Chain) {
    let node: &Node = &chain.node;
    assert_eq!(address_of(&key_of_account(4)), Some(node.account(4)), "addresses are derived as the node does");
    let place = Place::new();
    std::fs::write(place.path().join("trousseau.toml"), chain.settings()).expect("written");
    let mut said = String::new();
    let mut run = |arguments: &[&str]| {
        let ended = place.run(arguments);
        said.push_str(&ended.out);
        said.push_str(&ended.err);
        ended
    };
    let made = run(&["business", "create", "Atelier Lumière", "--json"]);
    let made: Value = serde_json::from_str(&made.out).expect(&made.err);
    let keys = made["keys"].as_array().expect("keys");
    let key = keys.iter().find(|key| key["environment"] == "live" && key["kind"] == "secret").expect("a key");
    let id = text(&made["business"], "id").to_owned();
    let headers = format!("apikey: {}\r\nbusinessid: {id}\r\n", text(key, "value"));
    let payout = node.account(9);
    let set = |target: &str, run: &mut dyn FnMut(&[&str]) -> crate::process::Ended, more: &[&str]| {
        run(&[&["payout", "set", "local", target, "--business", &id], more].concat())
    };
    assert_eq!(set(&payout.to_string(), &mut run, &["--yes"]).code, Some(0));
    let server = Server::start_with(&place, &[("TROUSSEAU_LOG__LEVEL", "trace")], &[]);
    let mut addresses = BTreeSet::from([payout, pay(chain, &server, &headers, "by a forwarder")]);

    // What can spend is offered in every form, and is taken in none.
    let hex = print_bytes(&key_of_account(3))[2..].to_owned();
    for secret in [PRIVATE, PHRASE, &hex, &format!("0x{hex}")] {
        assert_eq!(set(secret, &mut run, &["--yes"]).code, Some(2), "it is refused");
    }
    let first: Vec<String> = (0..3).map(|index| node.account(index).to_string()).collect();
    let confirm: Vec<&str> = first.iter().flat_map(|address| ["--confirm", address]).collect();
    assert_eq!(set(PUBLIC, &mut run, &[]).code, Some(0));
    assert_eq!(set(PUBLIC, &mut run, &confirm).code, Some(0));
    let of_wallet = pay(chain, &server, &headers, "by a wallet");
    assert_eq!(of_wallet, node.account(3), "the address is one that a private key exists of");
    addresses.insert(of_wallet);
    addresses.extend((0..10).map(|index| node.account(index)));

    let mut places =
        vec![("the log".to_owned(), server.log().into_bytes()), ("what was said".to_owned(), said.into_bytes())];
    files(place.path(), &mut places);
    assert!(places.iter().any(|(name, _)| name.ends_with("trousseau.db")), "the database is looked at");
    let (mut found, mut in_memory) = (BTreeSet::new(), BTreeSet::new());
    for (_, content) in &places {
        candidates(content, true, &mut found);
    }
    if let Some(memory) = memory(server.id()) {
        candidates(&memory, false, &mut in_memory);
        places.push(("memory".to_owned(), memory));
    } else {
        let text = "\nSKIPPED: the memory of a process may only be read by root here, so it was not searched for private keys.\n";
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    assert!(found.len() > 100, "digests, salts and hashes look like keys, and were tried");
    for candidate in found.iter().chain(&in_memory) {
        if let Some(address) = address_of(candidate) {
            assert!(!addresses.contains(&address), "the private key of {address} lies about");
        }
    }
    let known: Vec<Vec<u8>> = (0..10)
        .map(|index| key_of_account(index).to_vec())
        .chain([PRIVATE.as_bytes()[..40].to_vec(), PHRASE.as_bytes().to_vec(), hex.into_bytes()])
        .collect();
    for (name, content) in &places {
        for key in &known {
            assert!(memchr::memmem::find(content, key).is_none(), "a private key is in {name}");
        }
    }
}

#[test]
fn a_private_key_would_be_found_in_every_shape() {
    let key = key_of_account(5);
    let hex = print_bytes(&key)[2..].to_uppercase();
    let shapes: [(&str, Vec<u8>); 4] = [
        ("digits", format!("key: {hex}").into_bytes()),
        ("digits among others", format!("0xab{hex}cd").into_bytes()),
        ("base64", format!("\"{}\"", STANDARD.encode(key)).into_bytes()),
        ("bytes", [b"a row".as_slice(), &key, b"of a table"].concat()),
    ];
    for (name, content) in shapes {
        let mut found = BTreeSet::new();
        candidates(&content, true, &mut found);
        assert!(found.contains(&key), "{name}");
    }
}
