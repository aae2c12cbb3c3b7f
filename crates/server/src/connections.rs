//! The HTTP/1.1 server: connections, their limits, TLS, and an orderly end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower::ServiceExt as _;
use trousseau_web::connection::{CloseWithoutAnswer, Peer};
use trousseau_web::fast::Application;

use crate::settings::TlsFiles;

/// From the first byte of waiting to the end of the header section; also how long a kept connection may idle.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may read nothing of its answer.
const STALLED_AFTER: Duration = Duration::from_secs(30);
/// How long running requests may take once the server was asked to stop.
const DRAIN_WITHIN: Duration = Duration::from_secs(25);
/// Above the application's own limit of 64 KiB, so that its answer explains the refusal.
const READ_BUFFER_BYTES: usize = 160 * 1024;
const MOST_HEADERS: usize = 256;

/// What a listener serves.
#[derive(Debug, Clone)]
pub(crate) enum Served {
    /// Everything.
    Application(Application),
    /// The metrics alone.
    Metrics(Router),
}

impl From<Application> for Served {
    fn from(application: Application) -> Self {
        Self::Application(application)
    }
}

impl Served {
    async fn answer(&self, request: http::Request<Incoming>, peer: Peer) -> Response {
        match self {
            Self::Application(application) => application.call(request, Some(peer)).await,
            Self::Metrics(router) => {
                let Ok(response) = router.clone().oneshot(request).await;
                response
            }
        }
    }
}

/// One listener and what it serves.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) listener: TcpListener,
    pub(crate) application: Served,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// The most connections served at a time; more wait to be accepted.
    pub(crate) connections: usize,
}

impl Listening {
    /// Serves until `stop` turns true, then lets running requests end.
    pub(crate) async fn serve(self, mut stop: watch::Receiver<bool>) {
        let permits = Arc::new(Semaphore::new(self.connections));
        let graceful = GracefulShutdown::new();
        let acceptor = self.tls.map(TlsAcceptor::from);
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                accepted = accept(&self.listener, &permits) => accepted,
            };
            let (stream, address, permit) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    // Out of file handles: refusing the next one at once would only burn time.
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let connection =
                Connection { served: self.application.clone(), acceptor: acceptor.clone(), address, permit };
            tokio::spawn(connection.run(stream, graceful.watcher()));
        }
        drop(self.listener);
        if timeout(DRAIN_WITHIN, graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests did not end in time and were cut off");
        }
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, permit))
}

struct Connection {
    served: Served,
    acceptor: Option<TlsAcceptor>,
    address: SocketAddr,
    permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, stream: TcpStream, watcher: Watcher) {
        // An answer is written at once; waiting to fill a packet would only delay it.
        let _ = stream.set_nodelay(true);
        let address = SocketAddr::new(self.address.ip().to_canonical(), self.address.port());
        let ended = match self.acceptor {
            None => exchange(stream, self.served, Peer { address, tls: false }, watcher).await,
            Some(acceptor) => match timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => exchange(stream, self.served, Peer { address, tls: true }, watcher).await,
                Ok(Err(error)) => {
                    tracing::debug!(error = %error, "a TLS handshake failed");
                    Ok(())
                }
                Err(_) => Ok(()),
            },
        };
        if let Err(error) = ended {
            tracing::debug!(error = %error, "a connection ended early");
        }
        drop(self.permit);
    }
}

/// The application asked for the connection to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer")]
struct Closed;

async fn exchange<S>(stream: S, served: Served, peer: Peer, watcher: Watcher) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let served = served.clone();
        async move {
            let response = served.answer(request, peer).await;
            if response.extensions().get::<CloseWithoutAnswer>().is_some() { Err(Closed) } else { Ok(response) }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(READ_BUFFER_BYTES)
        .max_headers(MOST_HEADERS)
        .half_close(false)
        .serve_connection(TokioIo::new(Unstalled::new(stream)), service);
    watcher.watch(connection).await
}

/// A stream that fails once its other end has taken nothing for [`STALLED_AFTER`].
struct Unstalled<S> {
    inner: S,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Unstalled<S> {
    fn new(inner: S) -> Self {
        Self { inner, deadline: None }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(STALLED_AFTER)));
        match deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unstalled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unstalled<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        self.watch(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(context);
        self.watch(context, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, bytes);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// The TLS side of the server, from PEM files.
pub(crate) fn tls(files: &TlsFiles) -> anyhow::Result<Arc<ServerConfig>> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    let chain = CertificateDer::pem_slice_iter(&read(&files.cert)?)
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("{} is no PEM file of certificates", files.cert.display()))?;
    anyhow::ensure!(!chain.is_empty(), "{} holds no certificate", files.cert.display());
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?)
        .with_context(|| format!("{} holds no private key in PEM", files.key.display()))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("certificate and key do not fit")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
