//! The way to one node: JSON-RPC over HTTP/1.1, on a connection that is kept.
//!
//! The operator names the nodes, so their addresses are not judged. What they answer is bounded in time and size, and
//! nothing of it, nor of the way there, ever stands in an error.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::portion::Portion;
use super::settings::EndpointUrl;

/// Read of an answer's body at most.
const MOST_READ: usize = 32 * 1024 * 1024;
/// Read of an answer's head at most.
const MOST_HEAD: usize = 32 * 1024;
/// Calls in one request at most; fewer for a node that takes fewer.
const MOST_CALLS: u64 = 100;

/// Why a node did not say what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// There is nobody.
    #[error("the node cannot be reached")]
    Connection,
    /// Not the certificate of this name, or not TLS.
    #[error("TLS failed: the certificate is not trusted, or the node speaks something else")]
    Tls,
    /// It takes too long.
    #[error("no answer in time")]
    Deadline,
    /// It hung up, or does not speak HTTP.
    #[error("the connection broke off, or the answer is not HTTP")]
    Broken,
    /// The answer is larger than what is read.
    #[error("the answer is too large")]
    TooLarge,
    /// An answer of HTTP that is none of JSON-RPC.
    #[error("the node answered with status {0}")]
    Status(u16),
    /// Not an answer to what was asked.
    #[error("the answer is not what JSON-RPC says it should be: {0}")]
    Malformed(&'static str),
    /// The node said no.
    #[error("the node refused {method} with the code {code}")]
    Refused {
        /// What it was asked.
        method: &'static str,
        /// Its code.
        code: i64,
    },
}

impl RpcError {
    /// Whether a contract refused, as far as a code tells: 3 where it gave a reason, otherwise what nodes say instead.
    pub(crate) const fn is_revert(&self) -> bool {
        matches!(self, Self::Refused { code: 3 | -32_000 | -32_015, .. })
    }

    /// Whether the contract itself refused, beyond doubt. By -32000 nodes also say that they lack a block.
    pub(crate) const fn is_surely_revert(&self) -> bool {
        matches!(self, Self::Refused { code: 3 | -32_015, .. })
    }

    /// Whether less may be answered where this was not.
    pub(crate) const fn may_be_too_much(&self) -> bool {
        match self {
            Self::TooLarge | Self::Refused { .. } => true,
            Self::Status(status) => matches!(*status, 400 | 413 | 422 | 500),
            Self::Connection | Self::Tls | Self::Deadline | Self::Broken | Self::Malformed(_) => false,
        }
    }
}

/// One question.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) params: Value,
}

/// The way to one node.
pub(crate) struct Endpoint {
    url: EndpointUrl,
    tls: TlsConnector,
    timeout: Duration,
    calls: Portion,
    idle: std::sync::Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Endpoint").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// TLS to nodes: the public certificate authorities.
pub(crate) fn public_tls() -> TlsConnector {
    tls(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

fn tls(roots: RootCertStore) -> TlsConnector {
    let provider = Arc::new(crypto::ring::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(tls))
}

impl Endpoint {
    pub(crate) fn new(url: EndpointUrl, tls: TlsConnector, timeout: Duration) -> Self {
        Self { url, tls, timeout, calls: Portion::new(MOST_CALLS), idle: std::sync::Mutex::default() }
    }

    /// Asks several things in as few requests as the node takes, and gives the answers in their order.
    ///
    /// # Errors
    /// [`RpcError`] where the node as a whole did not answer; what it says to each question may be a refusal too.
    pub(crate) async fn ask_all(&self, calls: &[Call]) -> Result<Vec<Result<Value, RpcError>>, RpcError> {
        let mut answers = Vec::with_capacity(calls.len());
        while answers.len() < calls.len() {
            let rest = &calls[answers.len()..];
            let portion = self.calls.size();
            let now = rest.len().min(usize::try_from(portion).unwrap_or(usize::MAX));
            let asked = u64::try_from(now).unwrap_or(u64::MAX);
            match self.ask_together(&rest[..now]).await {
                Ok(mut some) => {
                    answers.append(&mut some);
                    if asked == portion {
                        self.calls.was_answered();
                    }
                }
                // Some nodes take no batches, or only small ones, and say so in ways of their own.
                Err(error) if now > 1 && error.may_be_too_much() => self.calls.was_too_much(asked),
                Err(error) => return Err(error),
            }
        }
        Ok(answers)
    }

    /// Asks one thing.
    pub(crate) async fn ask(&self, call: &Call) -> Result<Value, RpcError> {
        let answers = self.ask_all(std::slice::from_ref(call)).await?;
        answers.into_iter().next().ok_or(RpcError::Malformed("there is no answer"))?
    }

    async fn ask_together(&self, calls: &[Call]) -> Result<Vec<Result<Value, RpcError>>, RpcError> {
        let request = |(id, call): (usize, &Call)| json!({"jsonrpc": "2.0", "id": id, "method": call.method, "params": call.params});
        let mut requests: Vec<_> = calls.iter().enumerate().map(request).collect();
        let body = match requests.as_mut_slice() {
            [one] => one.take(),
            _ => Value::Array(requests),
        };
        let body = self.post(body.to_string().into_bytes()).await?;
        match (serde_json::from_slice(&body).map_err(|_| RpcError::Malformed("it is not JSON"))?, calls) {
            (Value::Array(answers), _) => in_order(answers, calls),
            (answer @ Value::Object(_), [call]) => Ok(vec![read(answer, call.method)]),
            // One error in answer to a whole batch.
            (answer @ Value::Object(_), _) => match read(answer, "a batch") {
                Err(error) => Err(error),
                Ok(_) => Err(RpcError::Malformed("it is one answer to many questions")),
            },
            _ => Err(RpcError::Malformed("it is neither an object nor a list")),
        }
    }

    /// Sends a body, over the connection that is open if there is one.
    async fn post(&self, body: Vec<u8>) -> Result<Vec<u8>, RpcError> {
        let until = Instant::now() + self.timeout;
        let body = Bytes::from(body);
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = kept.filter(SendRequest::is_ready) {
            match self.exchange(sender, body.clone(), until).await {
                // It was closed meanwhile, as every idle connection is some day. Questions may be asked twice.
                Err(RpcError::Broken) => {}
                other => return other,
            }
        }
        let sender = in_time(until, self.connect()).await?;
        self.exchange(sender, body, until).await
    }

    async fn exchange(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        body: Bytes,
        until: Instant,
    ) -> Result<Vec<u8>, RpcError> {
        let request = self.request(body)?;
        let sent = async { sender.send_request(request).await.map_err(|_| RpcError::Broken) };
        let (head, body) = in_time(until, sent).await?.into_parts();
        let body = in_time(until, collect(body)).await?;
        // Only a connection whose answer was read to its end can be used again.
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        if !head.status.is_success() {
            // Some nodes put the error of JSON-RPC into one of HTTP.
            let is_rpc = serde_json::from_slice::<Value>(&body).is_ok_and(|value| value.get("error").is_some());
            let limited = matches!(head.status.as_u16(), 429 | 401 | 403);
            if !is_rpc || limited {
                return Err(RpcError::Status(head.status.as_u16()));
            }
        }
        Ok(body)
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, RpcError> {
        let usual = if self.url.is_https { 443 } else { 80 };
        let host = match self.url.port {
            port if port == usual => self.url.host.to_string(),
            port => format!("{}:{port}", self.url.host),
        };
        let host = HeaderValue::from_str(&host);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.url.target())
            .header(http::header::HOST, host.map_err(|_| RpcError::Connection)?)
            .header(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(http::header::ACCEPT, HeaderValue::from_static("application/json"));
        for (name, value) in &self.url.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(body)).map_err(|_| RpcError::Connection)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, RpcError> {
        let stream = match &self.url.host {
            url::Host::Domain(name) => TcpStream::connect((name.as_str(), self.url.port)).await,
            url::Host::Ipv4(address) => TcpStream::connect((*address, self.url.port)).await,
            url::Host::Ipv6(address) => TcpStream::connect((*address, self.url.port)).await,
        };
        let stream = stream.map_err(|_| RpcError::Connection)?;
        let _ = stream.set_nodelay(true);
        if !self.url.is_https {
            return handshake(stream).await;
        }
        let name = match &self.url.host {
            url::Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|_| RpcError::Tls)?,
            url::Host::Ipv4(address) => ServerName::from(std::net::IpAddr::V4(*address)),
            url::Host::Ipv6(address) => ServerName::from(std::net::IpAddr::V6(*address)),
        };
        handshake(self.tls.connect(name, stream).await.map_err(|_| RpcError::Tls)?).await
    }
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, RpcError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut client = http1::Builder::new();
    client.max_buf_size(MOST_HEAD);
    let (sender, connection) = client.handshake(TokioIo::new(stream)).await.map_err(|_| RpcError::Broken)?;
    // It ends with the sender, or when the other side hangs up.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

async fn in_time<T>(until: Instant, work: impl Future<Output = Result<T, RpcError>>) -> Result<T, RpcError> {
    timeout_at(until, work).await.unwrap_or(Err(RpcError::Deadline))
}

async fn collect(body: Incoming) -> Result<Vec<u8>, RpcError> {
    let mut body = pin!(body);
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| RpcError::Broken)?.into_data() else { continue };
        if read.len() + data.len() > MOST_READ {
            return Err(RpcError::TooLarge);
        }
        read.extend_from_slice(&data);
    }
    Ok(read)
}

/// The answers in the order of the questions: nodes may give them in any.
fn in_order(answers: Vec<Value>, calls: &[Call]) -> Result<Vec<Result<Value, RpcError>>, RpcError> {
    let mut ordered: Vec<Option<Result<Value, RpcError>>> = vec![None; calls.len()];
    for answer in answers {
        let id = answer.get("id").and_then(Value::as_u64).and_then(|id| usize::try_from(id).ok());
        let Some((place, call)) = id.and_then(|id| Some((ordered.get_mut(id)?, calls.get(id)?))) else {
            return Err(RpcError::Malformed("it answers what was not asked"));
        };
        *place = Some(read(answer, call.method));
    }
    ordered.into_iter().collect::<Option<_>>().ok_or(RpcError::Malformed("it leaves a question unanswered"))
}

fn read(mut answer: Value, method: &'static str) -> Result<Value, RpcError> {
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
        return Err(RpcError::Refused { method, code });
    }
    answer.get_mut("result").map(Value::take).ok_or(RpcError::Malformed("it has neither result nor error"))
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
