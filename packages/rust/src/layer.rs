//! The layer: only requests with a good key come through.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::{Either, Full};
use tower_layer::Layer;
use tower_service::Service;

use crate::asked::{Asked, Protocol};
use crate::client::Client;
use crate::decision::Decision;
use crate::demand::Demand;

/// The body of an answer: the service's own, or a problem.
pub type GuardedBody<B> = Either<B, Full<Bytes>>;

type IpOf = dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync;
type ProtocolOf = dyn Fn(&Parts) -> Protocol + Send + Sync;

/// Lets requests through whose key is good for what is demanded, with [`Verified`] in their extensions. Others are answered
/// as Trousseau answers them, and with 503 where it cannot be asked; the [`Refusal`] or [`Error`] is in the extensions of
/// that response.
///
/// `X-Trousseau-*` headers of callers are taken away: behind gateways such headers say who calls.
///
/// Until it is said otherwise, the caller's address is unknown, which refuses keys that are bound to addresses, and callers
/// came by plain HTTP, which refuses LIVE keys. What is said of callers is believed once this service is one of Trousseau's
/// `trusted_proxies`; before that a key is judged by the address of this service itself, and the scheme can only narrow.
///
/// [`Verified`]: crate::Verified
/// [`Refusal`]: crate::Refusal
/// [`Error`]: crate::Error
#[derive(Clone)]
pub struct VerifyLayer {
    client: Client,
    demand: Arc<Demand>,
    ip: Arc<IpOf>,
    protocol: Arc<ProtocolOf>,
}

impl VerifyLayer {
    /// A layer that demands this of every key.
    pub fn new(client: Client, demand: Demand) -> Self {
        // The scheme in a request of HTTP/2 is the caller's own claim.
        Self { client, demand: Arc::new(demand), ip: Arc::new(|_| None), protocol: Arc::new(|_| Protocol::Http) }
    }

    /// How the address of a caller is told of a request: from what the server noted about the connection or, behind a
    /// proxy, from what that proxy says.
    #[must_use]
    pub fn ip(mut self, of: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        self.ip = Arc::new(of);
        self
    }

    /// How a caller came, told of a request.
    #[must_use]
    pub fn protocol(mut self, of: impl Fn(&Parts) -> Protocol + Send + Sync + 'static) -> Self {
        self.protocol = Arc::new(of);
        self
    }

    /// All callers come by HTTPS: to this service, or to a proxy before it that takes nothing else.
    #[must_use]
    pub fn https(self) -> Self {
        self.protocol(|_| Protocol::Https)
    }
}

impl fmt::Debug for VerifyLayer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VerifyLayer")
            .field("client", &self.client)
            .field("demand", &self.demand)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for VerifyLayer {
    type Service = Verify<S>;

    fn layer(&self, inner: S) -> Verify<S> {
        Verify { layer: self.clone(), inner }
    }
}

/// A service behind a [`VerifyLayer`].
#[derive(Debug, Clone)]
pub struct Verify<S> {
    layer: VerifyLayer,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Verify<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<GuardedBody<R>>;
    type Error = S::Error;
    type Future = GuardedFuture<Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that said it is ready takes the request; its clone has promised nothing.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        GuardedFuture(Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let asked = Asked::of(&parts).ip((layer.ip)(&parts)).protocol((layer.protocol)(&parts));
            let answer = match layer.client.authorize(asked, &layer.demand).await {
                Ok(Decision::Allowed(verified)) => {
                    strip(&mut parts.headers);
                    parts.extensions.insert(verified);
                    return Ok(inner.call(Request::from_parts(parts, body)).await?.map(Either::Left));
                }
                Ok(Decision::Refused(refusal)) => refusal.to_response(),
                Err(error) => error.to_response(),
            };
            Ok(answer.map(|body| Either::Right(Full::new(body))))
        }))
    }
}

/// Takes away what only Trousseau may say, with underscores too: some servers behind hand both on as the same name.
fn strip(headers: &mut HeaderMap) {
    let ours = |name: &&HeaderName| name.as_str().replace('_', "-").starts_with("x-trousseau-");
    let found: Vec<HeaderName> = headers.keys().filter(ours).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// The answer to come of a [`Verify`].
pub struct GuardedFuture<T>(Pin<Box<dyn Future<Output = T> + Send>>);

impl<T> Future for GuardedFuture<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.0.as_mut().poll(context)
    }
}

impl<T> fmt::Debug for GuardedFuture<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("GuardedFuture")
    }
}
