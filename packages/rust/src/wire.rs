//! The way to Trousseau: kept connections, and answers of bounded size.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::error::Error;

/// No answer is longer: the longest notes there are make some 100 KiB.
const MOST_BYTES: usize = 256 * 1024;
/// Notes and assertions are long headers: the longest there are make some 80 KiB.
const MOST_HEADERS: usize = 128 * 1024;
/// Shorter than the server waits, so that a connection is seldom closed in the moment in which it is used.
const IDLE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub(crate) struct Wire {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Wire {
    /// Over HTTPS only servers with a certificate of these authorities are believed.
    pub(crate) fn new(authorities: RootCertStore, connections: usize) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let tls = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks the default versions")
            .with_root_certificates(authorities)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(connections)
            .http1_max_buf_size(MOST_HEADERS)
            .build(connector);
        Self { client }
    }

    /// Asks, and reads the whole answer. Redirects are answers like others: a key goes where it was said to go.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<(response::Parts, Bytes), Error> {
        let (parts, body) = self.client.request(request).await.map_err(Error::unreachable)?.into_parts();
        match Limited::new(body, MOST_BYTES).collect().await {
            Ok(body) => Ok((parts, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(Error::Unintelligible { status: parts.status, what: "it is too long" })
            }
            Err(error) => Err(Error::Unreachable(error.into())),
        }
    }
}

/// Where Trousseau is: scheme, host and port.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    text: String,
}

impl Base {
    pub(crate) fn new(uri: &Uri) -> Option<Self> {
        Some(Self { text: format!("{}://{}", uri.scheme_str()?, uri.authority()?) })
    }

    pub(crate) fn target(&self, path_and_query: &str) -> Option<Uri> {
        format!("{}{path_and_query}", self.text).parse().ok()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}
