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
use trousseau_web::fast::Application;
use trousseau_web::questions::Next;

/// Calls a router with the same headers each time.
#[derive(Debug, Clone)]
pub struct Client {
    router: Router,
    /// What is asked by bytes first, as on a connection.
    questions: Option<Application>,
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
    /// Whether it was there as soon as the question was read.
    pub at_once: bool,
}

impl Client {
    /// A client without a credential, from the loopback address over plain HTTP.
    pub fn new(router: Router) -> Self {
        let peer = Peer { address: SocketAddr::from(([127, 0, 0, 1], 40_000)), tls: false };
        Self { router, questions: None, headers: HeaderMap::new(), peer }
    }

    /// The same of an application, by the way that a connection has: a question goes there as bytes.
    pub fn of(application: Application) -> Self {
        Self { questions: Some(application.clone()), ..Self::new(application.into()) }
    }

    /// The same client, whose requests all go to the application as a server of HTTP hands them over.
    #[must_use]
    pub fn by_requests(self) -> Self {
        Self { questions: None, ..self }
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
        if let Some(answer) = self.ask(head_of(&request)).await {
            return answer;
        }
        request.extensions_mut().insert(self.peer);
        let answered = self.router.clone().oneshot(request).await;
        let Ok(response) = answered;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let closed = parts.extensions.get::<trousseau_web::connection::CloseWithoutAnswer>().is_some();
        Answer { status: parts.status, headers: parts.headers, body: body.to_vec(), closed, at_once: false }
    }
}

/// The head of a request as it goes over the wire.
fn head_of(request: &Request<Body>) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri()).into_bytes();
    for (name, value) in request.headers() {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    head.extend(b"\r\n");
    head
}

impl Client {
    /// The answer to a request with this head, if it is a question for those who read bytes.
    async fn ask(&self, sent: Vec<u8>) -> Option<Answer> {
        let mut questions = self.questions.as_ref()?.questions(self.peer);
        let (mut answer, mut at_once) = (Vec::new(), false);
        match questions.next(&sent, false, &mut answer) {
            Next::Answered(bytes) => {
                assert_eq!(bytes, sent.len(), "all of it was the question");
                at_once = true;
            }
            Next::Asked(bytes, pending) => {
                assert_eq!(bytes, sent.len(), "all of it was the question");
                questions.write(&pending.await, false, &mut answer);
            }
            Next::Other => return None,
            Next::Incomplete => unreachable!("the request is whole"),
        }
        Some(Answer { at_once, ..Answer::read(&answer) })
    }
}

impl Answer {
    /// An answer as it goes over the wire.
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head that ends");
        let (head, body) = (std::str::from_utf8(&bytes[..end]).expect("a head in ASCII"), &bytes[end + 4..]);
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).expect("a status line");
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").expect("a name and a value");
            headers.append(
                name.parse::<HeaderName>().expect("a name"),
                HeaderValue::from_str(value).expect("a value in ASCII"),
            );
        }
        assert_eq!(headers["content-length"], body.len().to_string(), "the length that was told");
        let status = StatusCode::from_bytes(&status.as_bytes()[..3]).expect("a status");
        Self { status, headers, body: body.to_vec(), closed: false, at_once: false }
    }

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
