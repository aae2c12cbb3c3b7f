//! The way out to receivers, which anybody may name: nothing that they answer, or fail to, may hurt us or others.
//!
//! A name is looked up once, the address is judged, and that very address is connected to. There are no redirects, no
//! proxies, no cookies and no decompression; one deadline covers everything, and little is read.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use trousseau_domain::environment::Environment;
use trousseau_domain::ip_range::IpRange;
use trousseau_domain::webhooks::address::may_reach;
use trousseau_domain::webhooks::target::{WebhookHost, WebhookUrl};

use super::authorities::Authorities;

/// How long one request may take, from looking up the name to the last byte that is read.
const DEADLINE: Duration = Duration::from_secs(15);
/// Read of an answer's body at most.
const MOST_READ: usize = 64 * 1024;
/// Read of an answer's head at most.
const MOST_HEAD: usize = 32 * 1024;
/// Headers of an answer at most.
const MOST_HEADERS: usize = 64;
/// Addresses of one name that are tried at most: a name may have hundreds.
const MOST_ADDRESSES: usize = 3;

/// A future in a box.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Looks up names.
pub(crate) trait Resolver: Send + Sync + fmt::Debug {
    /// The addresses of a name.
    fn resolve<'a>(&'a self, name: &'a str) -> Boxed<'a, io::Result<Vec<IpAddr>>>;
}

/// The system's way to look up names.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Boxed<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect()) })
    }
}

/// A message to send.
#[derive(Debug, Clone)]
pub(crate) struct Message<'a> {
    pub(crate) url: &'a WebhookUrl,
    pub(crate) environment: Environment,
    pub(crate) headers: &'a [(&'static str, String)],
    pub(crate) body: &'a str,
}

/// What a receiver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether there was, or could have been, more of the body.
    pub(crate) cut: bool,
}

/// Defines why there may be no answer, with the list of all of it.
macro_rules! no_answers {
    ($($name:ident = $text:literal,)+) => {
        /// Why there is no answer. Nothing of what the other side sent is repeated.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        pub(crate) enum NoAnswer {
            $(#[error($text)] $name,)+
        }

        /// What is kept of a delivery without an answer, in English: pages tell each in the language of their reader.
        pub const NO_ANSWERS: &[&str] = &[$($text,)+ NOTHING_TO_SEND];
    };
}

/// What is kept where the endpoint was removed meanwhile.
pub(crate) const NOTHING_TO_SEND: &str = "there is nothing to send any more";

no_answers! {
    Url = "the URL is not allowed (any more)",
    Name = "the name cannot be looked up",
    Private = "the name leads into a private network, which the operator does not allow",
    Connection = "the receiver cannot be reached",
    Tls = "TLS failed: the certificate is not trusted, or the receiver speaks something else",
    Deadline = "no answer within 15 seconds",
    Broken = "the connection broke off, or the answer is not HTTP",
}

/// Sends messages to receivers.
#[derive(Clone)]
pub(crate) struct Outgoing {
    resolver: Arc<dyn Resolver>,
    tls: TlsConnector,
    allowed: Arc<[IpRange]>,
    deadline: Duration,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Outgoing").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl Outgoing {
    /// A way out to the public internet and to the networks that the operator lists.
    pub(crate) fn new(allowed: &[IpRange], authorities: &Authorities) -> Self {
        Self::with(Arc::new(SystemResolver), authorities.roots(), allowed, DEADLINE)
    }

    fn with(resolver: Arc<dyn Resolver>, roots: RootCertStore, allowed: &[IpRange], deadline: Duration) -> Self {
        let provider = Arc::new(crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { resolver, tls: TlsConnector::from(Arc::new(tls)), allowed: allowed.into(), deadline }
    }

    /// The networks that the operator lists.
    pub(crate) fn allowed(&self) -> &[IpRange] {
        &self.allowed
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When there is no answer to be had. An answer that does not end in time is one all the same, cut off.
    pub(crate) async fn post(&self, message: &Message<'_>) -> Result<Answer, NoAnswer> {
        let until = Instant::now() + self.deadline;
        // The rules may have changed since the URL was written down.
        message.url.check(message.environment, &self.allowed).map_err(|_| NoAnswer::Url)?;
        let stream = in_time(until, self.connect(message)).await?;
        if !message.url.is_https() {
            return exchange(stream, message, until).await;
        }
        let name = match message.url.host() {
            WebhookHost::Name(name) => ServerName::try_from(name.clone()).map_err(|_| NoAnswer::Url)?,
            WebhookHost::Address(address) => ServerName::from(*address),
        };
        let handshake = async { self.tls.connect(name, stream).await.map_err(|_| NoAnswer::Tls) };
        exchange(in_time(until, handshake).await?, message, until).await
    }

    /// A connection to an address that was judged before.
    async fn connect(&self, message: &Message<'_>) -> Result<TcpStream, NoAnswer> {
        let mut addresses = match message.url.host() {
            WebhookHost::Address(address) => vec![*address],
            WebhookHost::Name(name) => self.resolver.resolve(name).await.map_err(|_| NoAnswer::Name)?,
        };
        if addresses.is_empty() {
            return Err(NoAnswer::Name);
        }
        addresses.retain(|address| may_reach(*address, message.environment, &self.allowed));
        if addresses.is_empty() {
            return Err(NoAnswer::Private);
        }
        addresses.truncate(MOST_ADDRESSES);
        // One that does not answer at all leaves time for the others, and for the exchange.
        let each = self.deadline / u32::try_from(addresses.len() + 1).unwrap_or(u32::MAX);
        let last = addresses.len() - 1;
        for (place, address) in addresses.into_iter().enumerate() {
            let within = if place == last { self.deadline } else { each };
            let connected = timeout(within, TcpStream::connect(SocketAddr::new(address, message.url.port())));
            if let Ok(Ok(stream)) = connected.await {
                return Ok(stream);
            }
        }
        Err(NoAnswer::Connection)
    }
}

async fn in_time<T>(until: Instant, work: impl Future<Output = Result<T, NoAnswer>>) -> Result<T, NoAnswer> {
    timeout_at(until, work).await.unwrap_or(Err(NoAnswer::Deadline))
}

/// One request and its answer over a fresh connection.
async fn exchange<S>(stream: S, message: &Message<'_>, until: Instant) -> Result<Answer, NoAnswer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let request = request(message)?;
    let mut client = http1::Builder::new();
    client.max_buf_size(MOST_HEAD).max_headers(MOST_HEADERS);
    let (mut sender, connection) =
        in_time(until, async { client.handshake(TokioIo::new(stream)).await.map_err(|_| NoAnswer::Broken) }).await?;
    let mut connection = pin!(connection);
    let mut exchange = pin!(async {
        let sent = async { sender.send_request(request).await.map_err(|_| NoAnswer::Broken) };
        let (head, body) = in_time(until, sent).await?.into_parts();
        let (body, cut) = read(body, until).await;
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        Ok(Answer { status: head.status.as_u16(), headers: headers.collect(), body, cut })
    });
    // The connection has to be driven for the exchange to go on; dropping it here closes it.
    let mut open = true;
    loop {
        tokio::select! {
            answer = &mut exchange => return answer,
            _ = &mut connection, if open => open = false,
        }
    }
}

fn request(message: &Message<'_>) -> Result<Request<Full<Bytes>>, NoAnswer> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(message.url.path_and_query())
        .header(http::header::HOST, message.url.authority());
    for (name, value) in message.headers {
        let value = HeaderValue::from_str(value).map_err(|_| NoAnswer::Url)?;
        request = request.header(HeaderName::from_static(name), value);
    }
    request.body(Full::new(Bytes::copy_from_slice(message.body.as_bytes()))).map_err(|_| NoAnswer::Url)
}

/// The beginning of a body, and whether there is more.
async fn read(mut body: Incoming, until: Instant) -> (Vec<u8>, bool) {
    let mut read = Vec::new();
    loop {
        match timeout_at(until, body.frame()).await {
            Ok(None) => return (read, false),
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { continue };
                let room = MOST_READ - read.len();
                read.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    return (read, true);
                }
            }
            // Broken off, or out of time: what the status said stays said.
            Ok(Some(Err(_))) | Err(_) => return (read, true),
        }
    }
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
