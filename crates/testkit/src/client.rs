//! An HTTP client that calls a router in the same process.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;
use trousseau_web::connection::Peer;

/// Calls a router with the same headers each time.
#[derive(Debug, Clone)]
pub struct Client {
    router: Router,
    headers: HeaderMap,
    peer: Peer,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the server is to close the connection instead of answering.
    pub closed: bool,
}

impl Client {
    /// A client without a credential, from the loopback address over plain HTTP.
    pub fn new(router: Router) -> Self {
        let peer = Peer { address: SocketAddr::from(([127, 0, 0, 1], 40_000)), tls: false };
        Self { router, headers: HeaderMap::new(), peer }
    }

    /// The same client with one more header in each request.
    ///
    /// # Panics
    /// If it is no header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name: HeaderName = name.parse().expect("a header's name");
        let value = HeaderValue::from_bytes(value.as_ref()).expect("a header's value");
        self.headers.append(name, value);
        self
    }

    /// The same client with this key as Bearer.
    #[must_use]
    pub fn bearer(self, key: &str) -> Self {
        self.with(AUTHORIZATION.as_str(), format!("Bearer {key}"))
    }

    /// The same client with this key as Basic, without a colon.
    #[must_use]
    pub fn basic(self, key: &str) -> Self {
        self.with(AUTHORIZATION.as_str(), format!("Basic {}", STANDARD.encode(key)))
    }

    /// The same client at another address.
    #[must_use]
    pub fn from(mut self, peer: Peer) -> Self {
        self.peer = peer;
        self
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    /// `POST` without a body.
    pub async fn post_empty(&self, path: &str) -> Answer {
        self.send(Method::POST, path, None).await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// Any method, with a JSON body or none.
    ///
    /// # Panics
    /// If the path is none.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |value| Body::from(value.to_string()));
        self.call(request.body(body).expect("a request")).await
    }

    /// Any request; the client's headers are added to its own.
    ///
    /// # Panics
    /// If the answer's body breaks off.
    pub async fn call(&self, mut request: Request<Body>) -> Answer {
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        request.extensions_mut().insert(self.peer);
        let answered = self.router.clone().oneshot(request).await;
        let Ok(response) = answered;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let closed = parts.extensions.get::<trousseau_web::connection::CloseWithoutAnswer>().is_some();
        Answer { status: parts.status, headers: parts.headers, body: body.to_vec(), closed }
    }
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, after a look at the status.
    ///
    /// # Panics
    /// If the status is another.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// One header as text; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
