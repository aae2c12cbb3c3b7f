//! The messages of Envoy's authorization service and of the health service of gRPC, as far as they are used here.
//!
//! They are declared by hand: a dozen of some thousand, and no compiler of protocol buffers at build time. What is not
//! declared is skipped by the decoder. Texts of callers are `bytes` here where the original has `string`, which is the
//! same on the wire: a header that is not UTF-8 is then refused by the decision, with a reason, and not by the decoder.
//!
//! Sources: `envoy/service/auth/v3/{external_auth,attribute_context}.proto`, `envoy/config/core/v3/{base,address}.proto`,
//! `envoy/type/v3/http_status.proto`, `google/rpc/status.proto`, `grpc/health/v1/health.proto`.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

/// What Envoy asks. It holds what the caller sent, keys included, so that its text form is empty.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct CheckRequest {
    /// The request that is asked about.
    #[prost(message, optional, tag = "1")]
    pub attributes: Option<AttributeContext>,
}

/// What Envoy knows of a request.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct AttributeContext {
    /// Who sent it.
    #[prost(message, optional, tag = "1")]
    pub source: Option<Peer>,
    /// The request.
    #[prost(message, optional, tag = "4")]
    pub request: Option<Request>,
    /// What the operator has set on the route.
    #[prost(btree_map = "string, string", tag = "10")]
    pub context_extensions: BTreeMap<String, String>,
}

/// One end of a connection.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Peer {
    /// Its address.
    #[prost(message, optional, tag = "1")]
    pub address: Option<Address>,
}

/// An address; without a socket address it is a pipe or something inside Envoy.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Address {
    /// Of IP.
    #[prost(message, optional, tag = "1")]
    pub socket_address: Option<SocketAddress>,
}

/// An address of IP. Its port is of no use here.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SocketAddress {
    /// As text.
    #[prost(string, tag = "2")]
    pub address: String,
}

/// The request, if it is one of HTTP.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct Request {
    /// It.
    #[prost(message, optional, tag = "2")]
    pub http: Option<HttpRequest>,
}

/// A request of HTTP.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct HttpRequest {
    /// Its method.
    #[prost(string, tag = "2")]
    pub method: String,
    /// Its headers, values of one name joined by commas: the entries of a map, which are messages of this form.
    #[prost(message, repeated, tag = "3")]
    pub headers: Vec<HeaderValue>,
    /// Path and query.
    #[prost(bytes = "bytes", tag = "4")]
    pub path: Bytes,
    /// The scheme that its caller used.
    #[prost(string, tag = "6")]
    pub scheme: String,
    /// A part of `path`, and empty; Envoy says so.
    #[prost(bytes = "bytes", tag = "7")]
    pub query: Bytes,
    /// Its headers one by one, in place of `headers`, where the filter has `encode_raw_headers`.
    #[prost(message, optional, tag = "13")]
    pub header_map: Option<HeaderMap>,
}

/// Headers one by one.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct HeaderMap {
    /// Them.
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<HeaderValue>,
}

/// A header.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
#[prost(skip_debug)]
pub struct HeaderValue {
    /// Its name.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Its value, where that is text.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
    /// Its value as it was sent; then `value` is empty.
    #[prost(bytes = "bytes", tag = "3")]
    pub raw_value: Bytes,
}

/// What Envoy is answered.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct CheckResponse {
    /// 0 lets the request pass, anything else does not.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// What to do with the request.
    #[prost(oneof = "HttpResponse", tags = "2, 3")]
    pub http_response: Option<HttpResponse>,
}

/// What to do with a request.
#[derive(Clone, PartialEq, prost::Oneof)]
#[prost(skip_debug)]
pub enum HttpResponse {
    /// Answer it in place of the upstream.
    #[prost(message, tag = "2")]
    Denied(DeniedHttpResponse),
    /// Hand it on.
    #[prost(message, tag = "3")]
    Ok(OkHttpResponse),
}

/// A code of gRPC.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {
    /// It.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// What the caller is answered.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct DeniedHttpResponse {
    /// The status.
    #[prost(message, optional, tag = "1")]
    pub status: Option<HttpStatus>,
    /// Headers.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    /// The body: text.
    #[prost(bytes = "bytes", tag = "3")]
    pub body: Bytes,
}

/// A status of HTTP.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HttpStatus {
    /// Its number.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// What is changed about the request before the upstream gets it.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct OkHttpResponse {
    /// Headers that it gets.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    /// Headers that it loses.
    #[prost(string, repeated, tag = "5")]
    pub headers_to_remove: Vec<String>,
}

/// A header, and what becomes of one that is there already.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct HeaderValueOption {
    /// The header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<HeaderValue>,
    /// What becomes of those that are there. Older versions of Envoy look at another member only, which is absent here
    /// and so says the same.
    #[prost(enumeration = "HeaderAppendAction", tag = "3")]
    pub append_action: i32,
}

/// What becomes of a header that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum HeaderAppendAction {
    /// It stays, beside the new one.
    AppendIfExistsOrAdd = 0,
    /// The new one takes its place. Of several that a caller is told under one name all arrive.
    OverwriteIfExistsOrAdd = 2,
}

/// What the health service is asked.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HealthCheckRequest {
    /// Whose health: a service by its full name, or everything.
    #[prost(string, tag = "1")]
    pub service: String,
}

/// What it answers.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct HealthCheckResponse {
    /// How it is.
    #[prost(enumeration = "ServingStatus", tag = "1")]
    pub status: i32,
}

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum ServingStatus {
    /// Unsaid.
    Unknown = 0,
    /// It serves.
    Serving = 1,
    /// It does not.
    NotServing = 2,
}

/// What callers sent, and what is told of them, has no text form.
macro_rules! opaque {
    ($($name:ident),+ $(,)?) => { $(
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(stringify!($name))
            }
        }
    )+ };
}
opaque!(
    CheckRequest,
    AttributeContext,
    Request,
    HttpRequest,
    HeaderMap,
    HeaderValue,
    CheckResponse,
    HttpResponse,
    DeniedHttpResponse,
    OkHttpResponse,
    HeaderValueOption,
);
