//! The way to a collector: HTTP/1.1 on a connection that is kept, with TLS where its address says so.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::wire::Exported;

/// Where OTLP over HTTP is spoken unless another path is given.
const USUAL_PATH: &str = "/v1/traces";
/// How long a collector may take, from the connection to the end of its answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// Read of an answer at most: head, and body.
const MOST_HEAD: usize = 16 * 1024;
const MOST_READ: usize = 64 * 1024;

/// The address of a collector, and the headers that prove who sends.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Collector {
    is_https: bool,
    /// A name or an address, the latter without brackets.
    host: String,
    port: u16,
    /// The same as a header.
    authority: HeaderValue,
    path: PathAndQuery,
    /// Marked as sensitive.
    headers: HeaderMap,
}

/// Its headers may be secret.
impl fmt::Debug for Collector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Collector").field(&self.to_string()).finish()
    }
}

/// The address as it is asked.
impl fmt::Display for Collector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(formatter, "{scheme}://{}{}", self.authority.to_str().unwrap_or_default(), self.path)
    }
}

impl FromStr for Collector {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "a collector is http://host:4318 or https://host, perhaps with a path; what proves who sends \
                             stands in traces.headers";
        let uri: Uri = text.parse().map_err(|_| SHAPE)?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(SHAPE),
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(SHAPE)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        ServerName::try_from(host).map_err(|_| SHAPE)?;
        // A port that is none would be passed over otherwise.
        let port = match authority.as_str().rsplit_once(':') {
            Some((_, digits)) if !digits.ends_with(']') => digits.parse().map_err(|_| SHAPE)?,
            _ if is_https => 443,
            _ => 80,
        };
        let path = match uri.path_and_query() {
            Some(path) if path.query().is_some() => return Err(SHAPE),
            Some(path) if path.path() != "/" => path.clone(),
            _ => PathAndQuery::from_static(USUAL_PATH),
        };
        let (host, authority) = (host.to_owned(), HeaderValue::from_str(authority.as_str()).map_err(|_| SHAPE)?);
        Ok(Self { is_https, host, port, authority, path, headers: HeaderMap::new() })
    }
}

/// A line that is no header. It may hold a secret, so that it is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a header is \"name: value\"")]
pub(crate) struct InvalidHeader;

impl Collector {
    /// Adds a header, `name: value`.
    pub(crate) fn add_header(&mut self, line: &str) -> Result<(), InvalidHeader> {
        let (name, value) = line.split_once(':').ok_or(InvalidHeader)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| InvalidHeader)?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| InvalidHeader)?;
        value.set_sensitive(true);
        self.headers.append(name, value);
        Ok(())
    }

    /// How many headers go along.
    pub(crate) fn headers(&self) -> usize {
        self.headers.len()
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from(self.path.clone());
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        let agent = HeaderValue::from_static(concat!("trousseau/", env!("CARGO_PKG_VERSION")));
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.authority.clone());
        headers.insert(header::CONTENT_TYPE, protobuf);
        headers.insert(header::USER_AGENT, agent);
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        request
    }
}

/// Why a collector did not take a batch. Nothing that it answered is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExportError {
    /// There is nobody.
    #[error("the collector cannot be reached")]
    Connection,
    /// Not the certificate of this name, or not TLS.
    #[error("TLS failed: the certificate is not trusted, or the collector speaks something else")]
    Tls,
    /// It takes too long.
    #[error("no answer in time")]
    Deadline,
    /// It hung up, or does not speak HTTP.
    #[error("the connection broke off, or the answer is not HTTP")]
    Broken,
    /// It said no; and perhaps when to come again.
    #[error("the collector answered with status {0}")]
    Status(StatusCode, Option<Duration>),
}

impl ExportError {
    /// Whether the same batch may be taken later (OTLP, "Retryable Response Codes").
    pub(super) fn may_pass(self) -> bool {
        match self {
            Self::Status(status, _) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Connection | Self::Tls | Self::Deadline | Self::Broken => true,
        }
    }

    /// When the collector wants to be asked again, if it says so.
    pub(super) fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Status(_, after) => after,
            Self::Connection | Self::Tls | Self::Deadline | Self::Broken => None,
        }
    }
}

/// The connection to a collector, made when it is needed.
pub(super) struct Connection {
    collector: Collector,
    tls: TlsConnector,
    idle: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    pub(super) fn to(collector: Collector) -> Self {
        let provider = Arc::new(crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks the default versions")
            .with_root_certificates(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { collector, tls: TlsConnector::from(Arc::new(tls)), idle: None }
    }

    /// Sends a batch. Gives the number of spans that the collector refused though it took the batch.
    pub(super) async fn post(&mut self, body: Bytes) -> Result<u64, ExportError> {
        timeout(ANSWERED_WITHIN, self.post_in_time(body)).await.unwrap_or(Err(ExportError::Deadline))
    }

    async fn post_in_time(&mut self, body: Bytes) -> Result<u64, ExportError> {
        if let Some(sender) = self.idle.take().filter(SendRequest::is_ready) {
            match self.exchange(sender, body.clone()).await {
                // It was closed meanwhile, as every idle connection is some day.
                Err(ExportError::Broken) => {}
                other => return other,
            }
        }
        let sender = self.connect().await?;
        self.exchange(sender, body).await
    }

    async fn exchange(&mut self, mut sender: SendRequest<Full<Bytes>>, body: Bytes) -> Result<u64, ExportError> {
        let answer = sender.send_request(self.collector.request(body)).await.map_err(|_| ExportError::Broken)?;
        let (head, body) = answer.into_parts();
        let read = Limited::new(body, MOST_READ).collect().await;
        if !head.status.is_success() {
            let after = head.headers.get(header::RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
            return Err(ExportError::Status(head.status, after.map(Duration::from_secs)));
        }
        // It took the batch, whatever it says of it.
        let Ok(body) = read else { return Ok(0) };
        self.idle = Some(sender);
        Ok(Exported::decode(body.to_bytes()).map_or(0, |exported| exported.rejected()))
    }

    async fn connect(&mut self) -> Result<SendRequest<Full<Bytes>>, ExportError> {
        let Collector { host, port, .. } = &self.collector;
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|_| ExportError::Connection)?;
        let _ = stream.set_nodelay(true);
        if !self.collector.is_https {
            return handshake(stream).await;
        }
        let name = ServerName::try_from(host.clone()).map_err(|_| ExportError::Tls)?;
        handshake(self.tls.connect(name, stream).await.map_err(|_| ExportError::Tls)?).await
    }
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, ExportError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut client = http1::Builder::new();
    client.max_buf_size(MOST_HEAD);
    let (sender, connection) = client.handshake(TokioIo::new(stream)).await.map_err(|_| ExportError::Broken)?;
    // It ends with the sender, or when the other side hangs up.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_path_is_asked_unless_another_is_given() {
        for (text, shown, port) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces", 4318),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces", 4318),
            ("https://otlp.example/otlp/v1/traces", "https://otlp.example/otlp/v1/traces", 443),
            ("http://[::1]:4318", "http://[::1]:4318/v1/traces", 4318),
            ("http://[::1]", "http://[::1]/v1/traces", 80),
        ] {
            let collector: Collector = text.parse().expect(text);
            assert_eq!((collector.to_string().as_str(), collector.port), (shown, port));
        }
        for bad in [
            "",
            "localhost:4318",
            "grpc://localhost:4317",
            "http://",
            "http://user:secret@localhost",
            "http://localhost?token=secret",
            "http://localhost:port",
            "http://localhost:99999",
            "http://a b",
        ] {
            assert!(bad.parse::<Collector>().is_err(), "{bad}");
        }
    }

    #[test]
    fn headers_are_never_shown() {
        let mut collector: Collector = "https://otlp.example".parse().expect("an address");
        collector.add_header("Authorization: Bearer hunter2").expect("a header");
        assert_eq!(collector.headers(), 1);
        assert!(!format!("{collector:?} {collector}").contains("hunter2"));
        let request = collector.request(Bytes::new());
        assert_eq!(request.headers()["authorization"], "Bearer hunter2");
        assert!(!format!("{request:?}").contains("hunter2"));
        for bad in ["", "hunter2", ": hunter2", "a b: hunter2", "a: hunter2\u{7f}"] {
            let refused = collector.add_header(bad).expect_err(bad);
            assert!(!refused.to_string().contains("hunter2"));
        }
    }
}
