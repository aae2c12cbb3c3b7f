//! The servers, HTTP/1.1 and for gRPC HTTP/2: connections, their limits, TLS, and an orderly end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::response::Response;
use bytes::{Buf as _, BytesMut};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower::ServiceExt as _;
use trousseau_envoy::ExtAuthz;
use trousseau_web::connection::{CloseWithoutAnswer, Peer};
use trousseau_web::fast::Application;

use crate::lanes::Lanes;
use crate::questions::{self, Left};
use crate::settings::TlsFiles;

/// From the first byte of waiting to the end of the header section, and once more where that began like a question and is
/// none; also how long a kept connection may idle.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may read nothing of its answer.
const STALLED_AFTER: Duration = Duration::from_secs(30);
/// How long running requests may take once the server was asked to stop.
const DRAIN_WITHIN: Duration = Duration::from_secs(25);
/// Above the application's own limit of 64 KiB, so that its answer explains the refusal.
const READ_BUFFER_BYTES: usize = 160 * 1024;
/// The most of answers that is gathered before it is written.
pub(crate) const MOST_GATHERED: usize = 64 * 1024;
/// What a connection of HTTP/2 begins with (RFC 9113 section 3.4).
const PREFACE_BYTES: usize = 24;
/// How often the other end of a connection of HTTP/2 is asked whether it is there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// Nothing was read for so long, answers to pings included: nobody is there, or what is there reads no pings.
const SILENT_AFTER: Duration = Duration::from_secs(45);
/// Questions on one connection at a time; a gateway opens another one for more.
const MOST_STREAMS: u32 = 256;
/// The head of a call of gRPC; what its caller sent is in the message.
const CALL_HEAD_BYTES: u32 = 16 * 1024;
/// What may lie unread of one call, and of all calls of a connection.
const CALL_WINDOW_BYTES: u32 = 256 * 1024;
const CALLS_WINDOW_BYTES: u32 = 1024 * 1024;

/// What a listener serves.
#[derive(Debug, Clone)]
pub(crate) enum Served {
    /// Everything.
    Application(Application),
    /// The metrics alone.
    Metrics(Router),
    /// The door for Envoy, by gRPC.
    ExtAuthz(ExtAuthz),
}

impl From<Application> for Served {
    fn from(application: Application) -> Self {
        Self::Application(application)
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
    /// Where they are served; none for the main runtime.
    pub(crate) lanes: Option<Lanes>,
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
            let connection = Connection {
                served: self.application.clone(),
                acceptor: acceptor.clone(),
                address,
                stop: stop.clone(),
                permit,
            };
            let watcher = graceful.watcher();
            match &self.lanes {
                None => drop(tokio::spawn(connection.run(stream, watcher))),
                Some(lanes) => match stream.into_std() {
                    Ok(stream) => lanes.spawn(connection.move_and_run(stream, watcher)),
                    Err(error) => tracing::warn!(error = %error, "a connection could not be handed over"),
                },
            }
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
    stop: watch::Receiver<bool>,
    permit: OwnedSemaphorePermit,
}

impl Connection {
    /// The same on another runtime than the one that accepted it.
    async fn move_and_run(self, stream: std::net::TcpStream, watcher: Watcher) {
        match TcpStream::from_std(stream) {
            Ok(stream) => self.run(stream, watcher).await,
            Err(error) => tracing::warn!(error = %error, "a connection could not be taken over"),
        }
    }

    async fn run(self, stream: TcpStream, watcher: Watcher) {
        // An answer is written at once; waiting to fill a packet would only delay it.
        let _ = stream.set_nodelay(true);
        let address = SocketAddr::new(self.address.ip().to_canonical(), self.address.port());
        let ended = match self.acceptor {
            None => exchange(stream, self.served, Peer { address, tls: false }, self.stop, watcher).await,
            Some(acceptor) => match timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => exchange(stream, self.served, Peer { address, tls: true }, self.stop, watcher).await,
                Ok(Err(error)) => {
                    tracing::debug!(error = %error, "a TLS handshake failed");
                    Ok(())
                }
                Err(_) => Ok(()),
            },
        };
        if let Err(error) = ended {
            tracing::debug!(error = &*error as &dyn std::error::Error, "a connection ended early");
        }
        drop(self.permit);
    }
}

/// The application asked for the connection to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer")]
struct Closed;

async fn exchange<S>(
    stream: S,
    served: Served,
    peer: Peer,
    stop: watch::Receiver<bool>,
    watcher: Watcher,
) -> anyhow::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match served {
        Served::Application(application) => {
            let mut stream = Unstalled::new(stream);
            let questions = application.questions(peer);
            let read = match questions::answer(&mut stream, questions, HEADERS_WITHIN, stop).await? {
                Left::Nothing => {
                    // Inside TLS, the other end is told.
                    let _ = stream.shutdown().await;
                    return Ok(());
                }
                Left::Read(read) => read,
            };
            // One count to keep for each request, rather than one for each of its parts.
            let application = Arc::new(application);
            let answer = move |request| {
                let application = Arc::clone(&application);
                async move { application.call(request, Some(peer)).await }
            };
            exchange_http1(Gathered::new(stream).behind(read), answer, watcher).await
        }
        Served::Metrics(router) => {
            let answer = move |request| {
                let router = router.clone();
                async move {
                    let Ok(response) = router.oneshot(request).await;
                    response
                }
            };
            exchange_http1(Gathered::new(Unstalled::new(stream)), answer, watcher).await
        }
        Served::ExtAuthz(door) => exchange_grpc(stream, door, peer, watcher).await,
    }
}

/// Serves HTTP/1.1, with at most the 100 header fields that hyper has room for by itself; for any other number it takes
/// room anew with each request.
async fn exchange_http1<S, A, F>(gathered: Gathered<S>, answer: A, watcher: Watcher) -> anyhow::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(http::Request<Incoming>) -> F,
    F: Future<Output = Response>,
{
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let answered = answer(request);
        async move {
            let response = answered.await;
            if response.extensions().get::<CloseWithoutAnswer>().is_some() { Err(Closed) } else { Ok(response) }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(READ_BUFFER_BYTES)
        .half_close(false)
        .serve_connection(TokioIo::new(gathered.clone()), service);
    let mut served = pin!(watcher.watch(connection));
    poll_fn(|context| {
        let ended = served.as_mut().poll(context);
        let sent = gathered.send(context);
        match (ended, sent) {
            (Poll::Ready(ended), _) => Poll::Ready(ended.map_err(anyhow::Error::from)),
            (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Err(error.into())),
            (Poll::Pending, Poll::Ready(Ok(())) | Poll::Pending) => Poll::Pending,
        }
    })
    .await
}

async fn exchange_grpc<S>(stream: S, door: ExtAuthz, peer: Peer, watcher: Watcher) -> anyhow::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let door = door.clone();
        async move { Ok::<_, Infallible>(door.answer(request, peer).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(CALL_HEAD_BYTES)
        .initial_stream_window_size(CALL_WINDOW_BYTES)
        .initial_connection_window_size(CALLS_WINDOW_BYTES)
        .serve_connection(TokioIo::new(Unstalled::new(stream).unless_silent()), service);
    Ok(watcher.watch(connection).await?)
}

/// What a connection writes in one turn of its task leaves together at the end of it: answers to requests that came
/// together. hyper can do that by itself (`pipeline_flush`), but forgets its answer to what it cannot read then.
struct Gathered<S>(Arc<Mutex<Exchanged<S>>>);

/// A stream, what is still to be written to it, and what was read of it and not taken yet.
struct Exchanged<S> {
    stream: Unstalled<S>,
    waiting: BytesMut,
    /// What was read before.
    read: BytesMut,
    /// Whether the stream may still hold some of what was written to it, as TLS does.
    is_unflushed: bool,
}

impl<S> Clone for Gathered<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Gathered<S> {
    fn new(stream: Unstalled<S>) -> Self {
        let (waiting, read) = (BytesMut::new(), BytesMut::new());
        Self(Arc::new(Mutex::new(Exchanged { stream, waiting, read, is_unflushed: false })))
    }

    /// The same, of which so much was read before.
    fn behind(self, read: BytesMut) -> Self {
        self.exchanged().read = read;
        self
    }

    /// One task alone has it: nobody waits for the lock.
    fn exchanged(&self) -> MutexGuard<'_, Exchanged<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    /// Writes what waits.
    fn send(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.exchanged().send(context)
    }
}

impl<S: AsyncWrite + Unpin> Exchanged<S> {
    fn send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            self.is_unflushed = true;
            match ready!(Pin::new(&mut self.stream).poll_write(context, &self.waiting))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.waiting.advance(written),
            }
        }
        if self.is_unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut exchanged = self.exchanged();
        if !exchanged.read.is_empty() {
            let most = exchanged.read.len().min(buffer.remaining());
            buffer.put_slice(&exchanged.read.split_to(most));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut exchanged.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut exchanged = self.exchanged();
        if exchanged.waiting.len() + bytes.len() > MOST_GATHERED {
            ready!(exchanged.send(context))?;
        }
        if bytes.len() > MOST_GATHERED {
            exchanged.is_unflushed = true;
            return Pin::new(&mut exchanged.stream).poll_write(context, bytes);
        }
        exchanged.waiting.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Nothing is held back for longer than this turn of the task.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut exchanged = self.exchanged();
        ready!(exchanged.send(context))?;
        Pin::new(&mut exchanged.stream).poll_shutdown(context)
    }
}

/// A stream that fails once its other end has taken nothing for [`STALLED_AFTER`].
struct Unstalled<S> {
    inner: S,
    deadline: Option<Pin<Box<Sleep>>>,
    silence: Option<Silence>,
}

/// How long nothing may be read.
struct Silence {
    deadline: Pin<Box<Sleep>>,
    /// How many bytes of the preface are still to come, for all of which there is [`HEADERS_WITHIN`].
    preface: usize,
}

impl Silence {
    fn broken_by(&mut self, bytes: usize) {
        self.preface = self.preface.saturating_sub(bytes);
        if bytes > 0 && self.preface == 0 {
            self.deadline.as_mut().reset(Instant::now() + SILENT_AFTER);
        }
    }
}

impl<S> Unstalled<S> {
    fn new(inner: S) -> Self {
        Self { inner, deadline: None, silence: None }
    }

    /// The same, which fails too once the other end has been silent for too long. For HTTP/2, where pings are answered.
    fn unless_silent(self) -> Self {
        let silence = Silence { deadline: Box::pin(sleep(HEADERS_WITHIN)), preface: PREFACE_BYTES };
        Self { silence: Some(silence), ..self }
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
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        let Some(silence) = &mut self.silence else { return read };
        if read.is_ready() {
            silence.broken_by(buffer.filled().len() - before);
            return read;
        }
        match silence.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
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

/// What is spoken inside TLS, by the name that both ends agree on it by.
pub(crate) const HTTP1: &[u8] = b"http/1.1";
/// The same of gRPC.
pub(crate) const HTTP2: &[u8] = b"h2";

/// The TLS side of a listener that speaks `protocol`, from PEM files.
pub(crate) fn tls(files: &TlsFiles, protocol: &[u8]) -> anyhow::Result<Arc<ServerConfig>> {
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
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}
