//! A server that answers what it is told to, and counts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use trousseau_client::{Asked, Builder, Client};

/// What is answered to a question.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// This, after a while.
    Whole(String, Duration),
    /// This, and then the connection ends.
    Cut(String),
    /// This, and then a byte every 20 ms for ever.
    Dribble(String),
    /// This, and then as much as anybody takes.
    Flood(String),
}

impl Reply {
    pub(crate) fn now(text: impl Into<String>) -> Self {
        Self::Whole(text.into(), Duration::ZERO)
    }

    /// Nothing at all.
    pub(crate) fn silence() -> Self {
        Self::Whole(String::new(), Duration::from_mins(10))
    }

    pub(crate) fn after(self, wait: Duration) -> Self {
        match self {
            Self::Whole(text, _) => Self::Whole(text, wait),
            other => other,
        }
    }
}

/// A good answer of `/v1/authorize` that may be kept for so many milliseconds.
pub(crate) fn good(fresh_ms: Option<u64>) -> Reply {
    good_with(&fresh_ms.map(|ms| format!("x-trousseau-fresh-ms: {ms}\r\n")).unwrap_or_default())
}

/// A good answer with more headers.
pub(crate) fn good_with(more: &str) -> Reply {
    Reply::now(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-trousseau-business: 17\r\nx-trousseau-environment: test\r\n\
         x-trousseau-kind: secret\r\nx-trousseau-key: key_1\r\nx-trousseau-scopes: payments:read\r\n{more}\r\n"
    ))
}

/// Any answer.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Reply {
    Reply::now(format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()))
}

/// A refusal with this code.
pub(crate) fn refusal(status: u16, code: &str, more: &str) -> Reply {
    let headers = format!("content-type: application/problem+json\r\nx-trousseau-code: {code}\r\n{more}");
    answer(status, &headers, &format!("{{\"code\":\"{code}\"}}"))
}

#[derive(Debug, Default)]
struct Seen {
    asked: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    connections: AtomicUsize,
    questions: Mutex<Vec<String>>,
}

/// The server; ends with the runtime of its test.
#[derive(Debug)]
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    reply: Arc<Mutex<Reply>>,
    seen: Arc<Seen>,
}

impl StandIn {
    pub(crate) async fn start(reply: Reply) -> Self {
        Self::start_with(reply, None).await
    }

    pub(crate) async fn start_with(reply: Reply, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (reply, seen) = (Arc::new(Mutex::new(reply)), Arc::new(Seen::default()));
        let server = Self { address, reply: Arc::clone(&reply), seen: Arc::clone(&seen) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let (reply, seen, tls) = (Arc::clone(&reply), Arc::clone(&seen), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => Box::pin(serve(stream, &reply, &seen)).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                Box::pin(serve(stream, &reply, &seen)).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    pub(crate) fn reply(&self, reply: Reply) {
        *self.reply.lock().expect("not poisoned") = reply;
    }

    pub(crate) fn builder(&self) -> Builder {
        Client::builder(format!("http://{}", self.address))
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().expect("a client")
    }

    /// How many questions were asked.
    pub(crate) fn asked(&self) -> usize {
        self.seen.asked.load(Ordering::SeqCst)
    }

    /// How many were asked at the same time, at the most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.seen.most_at_once.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// The last question, head and body.
    pub(crate) fn last(&self) -> String {
        self.seen.questions.lock().expect("not poisoned").last().expect("asked").clone()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, reply: &Mutex<Reply>, seen: &Seen) {
    while let Some(question) = Box::pin(read(&mut stream)).await {
        seen.questions.lock().expect("not poisoned").push(question);
        seen.asked.fetch_add(1, Ordering::SeqCst);
        let now = seen.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most_at_once.fetch_max(now, Ordering::SeqCst);
        let reply = reply.lock().expect("not poisoned").clone();
        let goes_on = write(&mut stream, reply).await;
        seen.at_once.fetch_sub(1, Ordering::SeqCst);
        if !goes_on {
            return;
        }
    }
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, reply: Reply) -> bool {
    match reply {
        Reply::Whole(text, wait) => {
            sleep(wait).await;
            stream.write_all(text.as_bytes()).await.is_ok() && stream.flush().await.is_ok()
        }
        Reply::Cut(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
            false
        }
        Reply::Dribble(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            while stream.write_all(b" ").await.is_ok() {
                sleep(Duration::from_millis(20)).await;
            }
            false
        }
        Reply::Flood(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            while stream.write_all(&[b'x'; 16 * 1024]).await.is_ok() {}
            false
        }
    }
}

/// One question, head and body; nothing once the other end is gone.
async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.parse().expect("a length"));
            if body.len() >= length {
                return Some(text);
            }
        }
    }
}

/// A request with this key.
pub(crate) fn with_key(key: &str) -> Asked {
    let mut headers = HeaderMap::new();
    headers.insert("apikey", HeaderValue::from_str(key).expect("a value"));
    Asked::new(&headers)
}
