//! The messages of OTLP, the OpenTelemetry protocol, as far as they are sent here.
//!
//! They are declared by hand: a few of some hundred, and no compiler of protocol buffers (decision 27).
//!
//! Sources: `opentelemetry/proto/collector/trace/v1/trace_service.proto`, `opentelemetry/proto/trace/v1/trace.proto`,
//! `opentelemetry/proto/{common,resource}/v1/*.proto`, all at version 1. What attributes are called stands in the
//! semantic conventions of OpenTelemetry for spans of HTTP servers.

use std::time::Duration;

use prost::{Message, Oneof};
use trousseau_web::traces::{Door, Span as Recorded};

/// A batch of spans.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Export {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

/// The answer to a batch.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Exported {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
}

/// Spans of one process.
#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

/// Spans of one part of a process.
#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
#[expect(clippy::struct_field_names, reason = "the names are those of the protocol")]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 3")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(int64, tag = "3")]
    Number(i64),
}

/// `SPAN_KIND_SERVER`.
const SERVER: i32 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: i32 = 2;
/// Whether the parent is in another process is known; and it is.
const KNOWS_PARENTS_PLACE: u32 = 0x100;
const PARENT_IS_ELSEWHERE: u32 = 0x200;

/// Who sends spans.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    /// What operators call this service.
    pub(super) service: String,
    /// This process among those of the service.
    pub(super) instance: String,
}

fn text(key: &str, text: impl Into<String>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(Value::Text(text.into())) }) }
}

fn number(key: &str, number: impl Into<i64>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(Value::Number(number.into())) }) }
}

impl Export {
    /// A batch as it is sent.
    pub(super) fn of(sender: &Sender, spans: &[Recorded]) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let resource = Resource {
            attributes: vec![
                text("service.name", &sender.service),
                text("service.version", version),
                text("service.instance.id", &sender.instance),
            ],
        };
        let scope = Scope { name: "trousseau".to_owned(), version: version.to_owned() };
        let spans = spans.iter().map(Span::of).collect();
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
        Self { resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans }] }
    }
}

impl Exported {
    /// How many spans the collector did not take though it took the batch.
    pub(super) fn rejected(&self) -> u64 {
        self.partial_success.as_ref().map_or(0, |partly| u64::try_from(partly.rejected_spans).unwrap_or(0))
    }
}

impl Span {
    fn of(recorded: &Recorded) -> Self {
        let method = match recorded.method {
            "other" => "_OTHER",
            known => known,
        };
        // A name is what many requests share. `HTTP` stands for a method that nobody knows.
        let verb = if method == "_OTHER" { "HTTP" } else { method };
        let name = match (recorded.door, &recorded.route) {
            (Door::ExtAuthz, _) => "envoy.service.auth.v3.Authorization/Check".to_owned(),
            (Door::Http { .. }, Some(route)) => format!("{verb} {route}"),
            (Door::Http { .. }, None) => verb.to_owned(),
        };
        let mut attributes = vec![
            text("http.request.method", method),
            number("http.response.status_code", recorded.status),
            text("trousseau.request.id", recorded.request.to_string()),
        ];
        match recorded.door {
            Door::Http { https } => attributes.push(text("url.scheme", if https { "https" } else { "http" })),
            Door::ExtAuthz => attributes.push(text("trousseau.door", "ext_authz")),
        }
        attributes.extend(recorded.route.as_ref().map(|route| text("http.route", route)));
        attributes.extend(recorded.problem.map(|code| text("trousseau.problem.code", code)));
        let failed = recorded.status >= 500;
        if failed {
            let status = recorded.status.to_string();
            attributes.push(text("error.type", recorded.problem.map_or(status, str::to_owned)));
        }
        let begun = nanos(Duration::from_micros(u64::try_from(recorded.begun.as_micros()).unwrap_or(0)));
        let elsewhere = if recorded.parent.is_some() { PARENT_IS_ELSEWHERE } else { 0 };
        Self {
            trace_id: recorded.trace.to_bytes().to_vec(),
            span_id: recorded.id.to_bytes().to_vec(),
            parent_span_id: recorded.parent.map(|parent| parent.to_bytes().to_vec()).unwrap_or_default(),
            name,
            kind: SERVER,
            start_time_unix_nano: begun,
            end_time_unix_nano: begun.saturating_add(nanos(recorded.took)),
            attributes,
            status: failed.then_some(Status { code: ERROR }),
            flags: u32::from(recorded.flags.bits()) | KNOWS_PARENTS_PLACE | elsewhere,
        }
    }
}

/// Up to the year 2554.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
