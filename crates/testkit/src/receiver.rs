//! A receiver of webhooks on this machine that writes down what it hears.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One message that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: String,
}

impl Heard {
    /// One header; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a message is JSON")
    }
}

#[derive(Debug, Default)]
struct State {
    heard: Vec<Heard>,
    /// What is answered; nothing means never.
    answer: Option<String>,
    /// How many connections are still broken off before the first byte.
    broken: usize,
}

/// A receiver; it ends with this value.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// A receiver that takes every message.
    ///
    /// # Panics
    /// If this machine lends no port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(Mutex::new(State::default()));
        let serving = tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&state)));
                }
            }
        });
        let receiver = Self { address, state, serving };
        receiver.answer("204 No Content", "");
        receiver
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    /// What it answers from now on: a status with its reason, and header lines that each end with `\r\n`.
    pub fn answer(&self, status: &str, headers: &str) {
        self.lock().answer = Some(format!("HTTP/1.1 {status}\r\n{headers}content-length: 0\r\n\r\n"));
    }

    /// It hears, and never answers from now on.
    pub fn never_answer(&self) {
        self.lock().answer = None;
    }

    /// The next connections are broken off before anything is heard.
    pub fn break_off(&self, connections: usize) {
        self.lock().broken = connections;
    }

    /// All that was heard so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.lock().heard.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.broken > 0 {
            state.broken -= 1;
            return;
        }
    }
    let mut bytes = Vec::new();
    let heard = loop {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&chunk[..read]),
            _ => return,
        }
        if let Some(heard) = whole(&bytes) {
            break heard;
        }
    };
    let answer = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.heard.push(heard);
        state.answer.clone()
    };
    match answer {
        Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
        None => std::future::pending().await,
    }
}

/// The message, once all of it is there.
fn whole(bytes: &[u8]) -> Option<Heard> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let headers: BTreeMap<String, String> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    (body.len() == length).then(|| Heard { headers, body: body.to_owned() })
}
