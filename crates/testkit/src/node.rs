//! A real EVM node on a free port of this machine: anvil, as npm ships it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use trousseau_domain::evm::{EvmAddress, address_topic, factory_deployment, parse_bytes, print_bytes};

/// When its chain begins: the clocks of the tests stand there too.
pub const GENESIS: u64 = 1_769_860_800;
/// Its chain id.
pub const CHAIN: u64 = 31_337;
/// The variable that names the node's program.
const PROGRAM: &str = "TROUSSEAU_TEST_ANVIL";

/// A node, ended with this value.
#[derive(Debug)]
pub struct Node {
    process: Child,
    port: u16,
    accounts: Vec<EvmAddress>,
}

/// The node's program: named by the variable, installed in `e2e/evm`, or on the path.
fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(PROGRAM).filter(|name| !name.is_empty()) {
        return Some(named.into());
    }
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/evm/node_modules/@foundry-rs");
    let packages = std::fs::read_dir(installed).into_iter().flatten().flatten();
    let in_package = packages.map(|package| package.path().join("bin/anvil")).find(|program| program.is_file());
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("anvil")).find(|program| program.is_file())
    };
    in_package.or_else(on_path)
}

impl Node {
    /// A fresh node; none where the program is absent, which is said where no test harness hides it.
    pub async fn start() -> Option<Self> {
        Self::start_as(CHAIN).await
    }

    /// The same with a chain id of one's own.
    pub async fn start_as(chain: u64) -> Option<Self> {
        static TOLD: LazyLock<()> = LazyLock::new(|| {
            let text = format!(
                "\nSKIPPED: there is no EVM node, so nothing was tried on one. Run `npm ci` in e2e/evm, or name a program \
                 in {PROGRAM}.\n"
            );
            let _ = std::io::stderr().write_all(text.as_bytes());
        });
        let Some(program) = program() else {
            LazyLock::force(&TOLD);
            return None;
        };
        for _ in 0..5 {
            let port = free_port();
            let process = Command::new(&program)
                .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--chain-id", &chain.to_string()])
                .args(["--timestamp", &GENESIS.to_string(), "--no-mining", "--silent", "--slots-in-an-epoch", "1"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the program of the node runs");
            let mut node = Self { process, port, accounts: Vec::new() };
            if node.is_up().await {
                let accounts = node.call("eth_accounts", json!([])).await;
                node.accounts = serde_json::from_value(accounts).expect("addresses");
                return Some(node);
            }
            // Somebody else took the port in between.
        }
        panic!("the node {} does not start", program.display());
    }

    async fn is_up(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if self.process.try_wait().expect("it is ours").is_some() {
                return false;
            }
            if post(self.port, &json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}))
                .await
                .is_some()
            {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// One of the node's own accounts.
    pub fn account(&self, index: usize) -> EvmAddress {
        self.accounts[index]
    }

    /// Asks the node.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let mut answer = self.try_call(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    pub async fn try_call(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        post(self.port, &body).await.unwrap_or_else(|| panic!("the node does not answer to {method}"))
    }

    pub async fn mine(&self, blocks: u64) {
        self.call("anvil_mine", json!([format!("{blocks:#x}"), "0x1"])).await;
    }

    pub async fn height(&self) -> u64 {
        let number = self.call("eth_blockNumber", json!([])).await;
        u64::from_str_radix(number.as_str().expect("text").trim_start_matches("0x"), 16).expect("a number")
    }

    /// Lets an account send data somewhere, with gas enough for what would fail; it waits for the next block.
    pub async fn send(&self, from: EvmAddress, to: Option<EvmAddress>, data: &[u8]) -> String {
        let mut transaction = json!({"from": from, "data": print_bytes(data), "gas": "0x3d0900"});
        if let Some(to) = to {
            transaction["to"] = json!(to);
        }
        self.call("eth_sendTransaction", json!([transaction])).await.as_str().expect("a hash").to_owned()
    }

    /// The receipt of a transaction that is in a block.
    pub async fn receipt(&self, transaction: &str) -> Value {
        self.call("eth_getTransactionReceipt", json!([transaction])).await
    }

    /// Deploys code with these arguments, in a block of its own.
    pub async fn deploy(&self, code: &str, arguments: &[u8]) -> EvmAddress {
        let mut data = parse_bytes(code).expect("code");
        data.extend_from_slice(arguments);
        let transaction = self.send(self.account(0), None, &data).await;
        self.mine(1).await;
        let receipt = self.receipt(&transaction).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt["contractAddress"].as_str().expect("an address").parse().expect("an address")
    }

    /// Deploys the factory of forwarders as anybody would.
    pub async fn deploy_factory(&self) {
        let (to, data) = factory_deployment();
        let transaction = self.send(self.account(0), Some(to), &data).await;
        self.mine(1).await;
        assert_eq!(self.receipt(&transaction).await["status"], "0x1");
    }

    /// What a contract answers to a question.
    pub async fn ask(&self, to: EvmAddress, data: &[u8]) -> Vec<u8> {
        let answer = self.call("eth_call", json!([{"to": to, "data": print_bytes(data)}, "latest"])).await;
        parse_bytes(answer.as_str().expect("text")).expect("bytes")
    }

    /// Stops the process without ending it: connections are accepted and nothing is answered.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

/// One request of JSON-RPC on a connection of its own.
pub async fn post(port: u16, body: &Value) -> Option<Value> {
    let body = body.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    serde_json::from_slice(&answer[at..]).ok()
}

/// A contract of the test fixtures.
#[derive(Debug)]
pub struct Fixture {
    pub bytecode: String,
    methods: Value,
}

pub fn fixture(name: &str) -> Fixture {
    contract(include_str!("../../../e2e/evm/fixtures/test_token.json"), name)
}

pub fn contract(artefact: &str, name: &str) -> Fixture {
    let mut artefact: Value = serde_json::from_str(artefact).expect("JSON");
    let mut found = artefact["contracts"][name].take();
    Fixture { bytecode: found["bytecode"].as_str().expect("code").to_owned(), methods: found["methods"].take() }
}

impl Fixture {
    /// The data of a call.
    pub fn data(&self, method: &str, arguments: &[Word]) -> Vec<u8> {
        let selector = self.methods[method].as_str().unwrap_or_else(|| panic!("no method {method}"));
        let mut data = parse_bytes(&format!("0x{selector}")).expect("a selector");
        data.extend(arguments.iter().flat_map(|word| word.0));
        data
    }
}

/// 32 bytes of an argument.
#[derive(Debug, Clone, Copy)]
pub struct Word(pub [u8; 32]);

impl From<EvmAddress> for Word {
    fn from(address: EvmAddress) -> Self {
        Self(*address_topic(address).as_bytes())
    }
}

impl From<u128> for Word {
    fn from(number: u128) -> Self {
        let mut word = [0; 32];
        word[16..].copy_from_slice(&number.to_be_bytes());
        Self(word)
    }
}

impl From<bool> for Word {
    fn from(value: bool) -> Self {
        u128::from(value).into()
    }
}

/// The arguments of a constructor `(string, string, uint8)`.
pub fn token_arguments(name: &str, symbol: &str, decimals: u8) -> Vec<u8> {
    let text = |text: &str| {
        let mut word = [0; 32];
        word[..text.len()].copy_from_slice(text.as_bytes());
        [Word::from(text.len() as u128).0, word]
    };
    let head = [Word::from(96), Word::from(160), Word::from(u128::from(decimals))];
    head.iter().map(|word| word.0).chain(text(name)).chain(text(symbol)).flatten().collect()
}
