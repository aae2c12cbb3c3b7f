//! A node that misbehaves in ways of our choosing: a real one stands behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use trousseau_testkit::node;

/// How it misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Behaviour {
    /// Not at all.
    Honest,
    /// It accepts and never answers.
    Hung,
    /// It hangs up.
    Gone,
    /// It refuses to look for logs in more than a few blocks, by the number that is set.
    ShortRanges,
    /// It takes no batches, and says so by one error.
    NoBatches,
    /// It knows of blocks up to the number that is set, and of no others.
    Behind,
    /// What it says of logs is of another fork than what it says of blocks.
    Mixed,
    /// Whoever it asks for the logs of a range has no blocks above the number that is set, and says nothing of that.
    LogsBehind,
    /// It says that it is another chain.
    OtherChain,
    /// It answers with something that is no JSON.
    Nonsense,
    /// It answers with status 429.
    Limited,
    /// It has no block that it calls safe or final.
    NoMarks,
}

const ALL: [Behaviour; 12] = [
    Behaviour::Honest,
    Behaviour::Hung,
    Behaviour::Gone,
    Behaviour::ShortRanges,
    Behaviour::NoBatches,
    Behaviour::Behind,
    Behaviour::Mixed,
    Behaviour::LogsBehind,
    Behaviour::OtherChain,
    Behaviour::Nonsense,
    Behaviour::Limited,
    Behaviour::NoMarks,
];

#[derive(Debug)]
struct State {
    behaviour: AtomicUsize,
    number: AtomicU64,
    requests: AtomicU64,
    calls: AtomicU64,
}

/// The proxy. It ends with the test.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

impl Proxy {
    pub(crate) async fn before(node: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let port = listener.local_addr().expect("bound").port();
        let state = Arc::new(State {
            behaviour: AtomicUsize::new(0),
            number: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let _ = Box::pin(serve(stream, node, &state)).await;
                });
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn behave(&self, behaviour: Behaviour, number: u64) {
        self.state.number.store(number, Ordering::SeqCst);
        self.state.behaviour.store(behaviour as usize, Ordering::SeqCst);
    }

    /// Requests and calls in them since the last time that this was asked.
    pub(crate) fn counted(&self) -> (u64, u64) {
        (self.state.requests.swap(0, Ordering::SeqCst), self.state.calls.swap(0, Ordering::SeqCst))
    }
}

async fn serve(mut stream: TcpStream, node: u16, state: &State) -> std::io::Result<()> {
    let mut request = Vec::new();
    let body = loop {
        let mut some = [0; 16 * 1024];
        let read = stream.read(&mut some).await?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&some[..read]);
        let Some(at) = request.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&request[..at]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if request.len() >= at + 4 + length.unwrap_or(0) {
            break request.split_off(at + 4);
        }
    };
    let asked: Value = serde_json::from_slice(&body).expect("JSON");
    state.requests.fetch_add(1, Ordering::SeqCst);
    state.calls.fetch_add(asked.as_array().map_or(1, |calls| calls.len() as u64), Ordering::SeqCst);
    let behaviour = ALL[state.behaviour.load(Ordering::SeqCst)];
    let number = state.number.load(Ordering::SeqCst);
    let (status, answer) = match behaviour {
        Behaviour::Hung => {
            tokio::time::sleep(Duration::from_mins(5)).await;
            return Ok(());
        }
        Behaviour::Gone => return Ok(()),
        Behaviour::Nonsense => ("200 OK", "<html>".to_owned()),
        Behaviour::Limited => ("429 Too Many Requests", "{}".to_owned()),
        Behaviour::NoBatches if asked.is_array() => {
            let error = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "no batches"}});
            ("200 OK", error.to_string())
        }
        _ => {
            let answer = match asked {
                Value::Array(calls) => {
                    let mut answers = Vec::new();
                    for call in calls {
                        answers.push(one(node, behaviour, number, call).await);
                    }
                    // In another order, which is allowed.
                    answers.reverse();
                    Value::Array(answers)
                }
                call => one(node, behaviour, number, call).await,
            };
            ("200 OK", answer.to_string())
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

async fn one(node: u16, behaviour: Behaviour, number: u64, mut call: Value) -> Value {
    let id = call["id"].clone();
    let answer = |result: Value| json!({"jsonrpc": "2.0", "id": id, "result": result});
    let quantity = |value: &Value| u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok();
    let method = call["method"].as_str().expect("a method").to_owned();
    match (behaviour, method.as_str()) {
        (Behaviour::OtherChain, "eth_chainId") => return answer(json!("0x1")),
        (Behaviour::NoMarks, "eth_getBlockByNumber")
            if matches!(call["params"][0].as_str(), Some("safe" | "finalized")) =>
        {
            return json!({"jsonrpc": "2.0", "id": id, "error": {"code": -39001, "message": "Unknown block"}});
        }
        (Behaviour::ShortRanges, "eth_getLogs") => {
            let filter = &call["params"][0];
            if let (Some(from), Some(to)) = (quantity(&filter["fromBlock"]), quantity(&filter["toBlock"]))
                && to - from >= number
            {
                return json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32005, "message": "too many blocks"}});
            }
        }
        (Behaviour::LogsBehind, "eth_getLogs") => {
            let filter = &mut call["params"][0];
            if quantity(&filter["fromBlock"]).is_some_and(|from| from > number) {
                return answer(json!([]));
            }
            if quantity(&filter["toBlock"]).is_some_and(|to| to > number) {
                filter["toBlock"] = json!(format!("{number:#x}"));
            }
        }
        (Behaviour::Behind, "eth_getBlockByNumber") => {
            if call["params"][0] == "latest" {
                call["params"][0] = json!(format!("{number:#x}"));
            } else if quantity(&call["params"][0]).is_some_and(|asked| asked > number) {
                return answer(Value::Null);
            }
        }
        _ => {}
    }
    let mut got = node::post(node, &call).await.expect("the node answers");
    if behaviour == Behaviour::Mixed && method == "eth_getLogs" {
        for log in got["result"].as_array_mut().into_iter().flatten() {
            log["blockHash"] = json!(format!("0x{}", "ab".repeat(32)));
        }
    }
    got
}
