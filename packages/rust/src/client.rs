//! The client: a way, what is kept, and questions in flight.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::response::Parts;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use crate::answer::{Heard, authorized, verified};
use crate::asked::{Asked, digest, question};
use crate::cache::{Cache, Digest};
use crate::clock;
use crate::decision::Decision;
use crate::demand::Demand;
use crate::error::Error;
use crate::flights::{Begin, Flights, Step};
use crate::question::Question;
use crate::verification::Verified;
use crate::wire::{Base, Wire};

/// How long an answer may take unless it is said otherwise.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How many answers are kept unless it is said otherwise.
const CACHE_ENTRIES: usize = 10_000;
/// How many questions are asked at once unless it is said otherwise.
const CONNECTIONS: usize = 64;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Asks a Trousseau installation whether keys are good. A clone shares connections and what is kept.
///
/// Nothing is judged here: what Trousseau says is what holds, and where it cannot be asked nothing is let through.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    base: Base,
    wire: Wire,
    platform_key: Option<HeaderValue>,
    timeout: Duration,
    room: Semaphore,
    kept: Mutex<Cache<Verified>>,
    flights: Flights<Result<Decision, Error>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("url", &self.0.base.as_str())
            .field("timeout", &self.0.timeout)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the Trousseau at this address, such as `https://keys.example`.
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder {
            url: url.into(),
            timeout: TIMEOUT,
            cache_entries: CACHE_ENTRIES,
            connections: CONNECTIONS,
            plain_http: false,
            platform_key: None,
            authorities: None,
        }
    }

    /// Whether the key in a request is good for what is demanded. It is asked for at `/v1/authorize`, as gateways do.
    ///
    /// # Errors
    ///
    /// Where it cannot be told. What a caller sent is never an error.
    pub async fn authorize(&self, asked: Asked, demand: &Demand) -> Result<Decision, Error> {
        let (query, lines) = question(asked, demand);
        // An assertion is for one request.
        let is_signed = demand.audience.is_some();
        let shared = (!is_signed).then(|| digest(&query, &lines));
        let mut request = self.0.request(&format!("/v1/authorize?{query}"), Bytes::new())?;
        *request.headers_mut() = lines;
        let decision = self.0.ask(shared, request, authorized).await?;
        match &decision {
            Decision::Allowed(verified) if is_signed && verified.assertion.is_none() => Err(Error::Unintelligible {
                status: StatusCode::OK,
                what: "the assertion that was asked for is not there",
            }),
            _ => Ok(decision),
        }
    }

    /// Whether the key with this text is good. It is asked for at `POST /v1/keys/verify`, which says the exact reason of a
    /// refusal and needs a platform key for it ([`Builder::platform_key`]).
    ///
    /// The reason is for logs and for the owner of the key; a stranger gets [`Refusal::to_response`].
    ///
    /// [`Refusal::to_response`]: crate::Refusal::to_response
    ///
    /// # Errors
    ///
    /// Where it cannot be told, or the platform key is missing or refused.
    pub async fn verify(&self, question: Question) -> Result<Decision, Error> {
        let platform_key = self.0.platform_key.clone().ok_or(Error::PlatformKeyMissing)?;
        let (body, digest) = question.into_body();
        let mut request = self.0.request("/v1/keys/verify", body.into())?;
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(AUTHORIZATION, platform_key);
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        self.0.ask(Some(digest), request, verified).await
    }
}

type Read = fn(&Parts, &Bytes) -> Result<Heard, Error>;

impl Inner {
    fn request(&self, path_and_query: &str, body: Bytes) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::new(Full::new(body));
        *request.uri_mut() = self.base.target(path_and_query).ok_or_else(too_long)?;
        Ok(request)
    }

    /// Asks within the time that a question may take, waiting for others included.
    async fn ask(&self, shared: Option<Digest>, request: Request<Full<Bytes>>, read: Read) -> Result<Decision, Error> {
        let answered = async {
            let Some(name) = shared else {
                let _room = self.room.acquire().await.map_err(Error::unreachable)?;
                let (parts, body) = self.wire.send(request).await?;
                return Ok(read(&parts, &body)?.decision);
            };
            if let Some(verified) = self.look(&name) {
                return Ok(Decision::Allowed(verified));
            }
            let look = || match self.look(&name) {
                Some(verified) => Step::Answered(Ok(Decision::Allowed(verified))),
                None => Step::Ask,
            };
            self.flights.ask(name, look, |begin| self.ask_and_say_for_whom(begin, name, request, read)).await
        };
        timeout(self.timeout, answered).await.unwrap_or(Err(Error::TimedOut))
    }

    /// Asks; says beside the answer whether it may be shared.
    async fn ask_and_say_for_whom(
        &self,
        begin: Begin,
        name: Digest,
        request: Request<Full<Bytes>>,
        read: Read,
    ) -> (Result<Decision, Error>, bool) {
        match self.ask_and_keep(begin, name, request, read).await {
            Ok(heard) => (Ok(heard.decision), !heard.is_counted),
            Err(error) => (Err(error), true),
        }
    }

    async fn ask_and_keep(
        &self,
        begin: Begin,
        name: Digest,
        request: Request<Full<Bytes>>,
        read: Read,
    ) -> Result<Heard, Error> {
        let _room = self.room.acquire().await.map_err(Error::unreachable)?;
        begin.now();
        // Counted from before the question: the answer was true at some moment after it.
        let sent = clock::now();
        let (parts, body) = self.wire.send(request).await?;
        let heard = read(&parts, &body)?;
        if let Decision::Allowed(verified) = &heard.decision
            && !heard.fresh.is_zero()
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.keep(name, verified.clone(), sent.after(heard.fresh), clock::now());
        }
        Ok(heard)
    }

    fn look(&self, name: &Digest) -> Option<Verified> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(name, clock::now())
    }
}

fn too_long() -> Error {
    Error::QuestionRefused {
        status: http::StatusCode::URI_TOO_LONG,
        reason: crate::Reason::Other("uri_too_long".into()),
    }
}

/// What a [`Client`] is made of.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    url: String,
    timeout: Duration,
    cache_entries: usize,
    connections: usize,
    plain_http: bool,
    platform_key: Option<SecretString>,
    authorities: Option<Vec<u8>>,
}

/// Why there can be no such client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The address is none, or more than scheme, host and port.
    #[error("the address of Trousseau must be http:// or https:// with a host and nothing behind it")]
    Url,
    /// Keys would go over a network in the clear.
    #[error("keys go to another machine by https:// only, unless plain HTTP is allowed explicitly")]
    PlainHttp,
    /// The platform key is no text that a key has.
    #[error("the platform key cannot stand in a header")]
    PlatformKey,
    /// There is no certificate of an authority in the text, or one that cannot be read.
    #[error("the certificates of the authorities cannot be read")]
    Authorities,
}

impl Builder {
    /// How long an answer may take, waiting included; two seconds unless it is said.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The most answers that are kept for as long as Trousseau allows; 10 000 unless it is said, 0 for none.
    pub const fn cache_entries(mut self, most: usize) -> Self {
        self.cache_entries = most;
        self
    }

    /// The most questions, and connections, at once; 64 unless it is said, and at least one. Others wait their turn.
    pub const fn connections(mut self, most: usize) -> Self {
        self.connections = most;
        self
    }

    /// Lets keys go in the clear to another machine, for networks that are encrypted below. To this machine they always
    /// may.
    pub const fn allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// The platform key, with the scope `verify`, for [`Client::verify`]. [`Client::authorize`] and the layer need none.
    pub fn platform_key(mut self, key: SecretString) -> Self {
        self.platform_key = Some(key);
        self
    }

    /// Believes certificates of these authorities (PEM) in place of the public ones.
    pub fn authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities = Some(pem.into());
        self
    }

    /// The client. Nothing is asked yet.
    pub fn build(self) -> Result<Client, BuildError> {
        let uri: Uri = self.url.parse().map_err(|_| BuildError::Url)?;
        let base = Base::new(&uri).ok_or(BuildError::Url)?;
        let authority = uri.authority().ok_or(BuildError::Url)?;
        let nothing_behind = matches!(uri.path_and_query().map(http::uri::PathAndQuery::as_str), None | Some("" | "/"));
        if !nothing_behind || authority.as_str().contains('@') || authority.host().is_empty() || self.url.contains('#')
        {
            return Err(BuildError::Url);
        }
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if self.plain_http || is_this_machine(authority.host()) => {}
            Some("http") => return Err(BuildError::PlainHttp),
            _ => return Err(BuildError::Url),
        }
        let platform_key = match &self.platform_key {
            None => None,
            Some(key) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()))
                    .map_err(|_| BuildError::PlatformKey)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let connections = self.connections.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Client(Arc::new(Inner {
            base,
            wire: Wire::new(roots(self.authorities.as_deref())?, connections),
            platform_key,
            timeout: self.timeout,
            room: Semaphore::new(connections),
            kept: Mutex::new(Cache::new(self.cache_entries)),
            flights: Flights::default(),
        })))
    }
}

fn roots(pem: Option<&[u8]>) -> Result<RootCertStore, BuildError> {
    let Some(pem) = pem else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| BuildError::Authorities)?;
        roots.add(certificate).map_err(|_| BuildError::Authorities)?;
    }
    if roots.is_empty() { Err(BuildError::Authorities) } else { Ok(roots) }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_in_the_clear_to_this_machine_only() {
        for good in [
            "https://keys.example",
            "https://keys.example:8443/",
            "http://localhost:8080",
            "http://LOCALHOST",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://[::1]:8080",
        ] {
            Client::builder(good).build().expect(good);
        }
        for plain in ["http://keys.example", "http://10.0.0.1", "http://localhost.example", "http://[2001:db8::1]"] {
            assert_eq!(Client::builder(plain).build().expect_err(plain), BuildError::PlainHttp);
            Client::builder(plain).allow_plain_http().build().expect(plain);
        }
        for odd in [
            "",
            "keys.example",
            "//keys.example",
            "ftp://keys.example",
            "https://",
            "https://user:canary@keys.example",
            "https://keys.example/api",
            "https://keys.example/?x=1",
            "https://keys.example/#x",
        ] {
            let error = Client::builder(odd).build().expect_err(odd);
            assert_eq!(error, BuildError::Url);
            assert!(!error.to_string().contains("canary"));
        }
    }

    #[test]
    fn a_platform_key_is_not_printed() {
        let builder = Client::builder("http://localhost").platform_key("canary".into());
        assert!(!format!("{builder:?}").contains("canary"));
        let client = builder.build().expect("a client");
        assert!(!format!("{client:?}").contains("canary"));
        let odd = Client::builder("http://localhost").platform_key("canary\n".into()).build();
        assert_eq!(odd.expect_err("no header"), BuildError::PlatformKey);
    }

    #[test]
    fn authorities_are_certificates() {
        for odd in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = Client::builder("https://keys.example").authorities(odd).build().expect_err(odd);
            assert_eq!(error, BuildError::Authorities);
        }
    }
}
