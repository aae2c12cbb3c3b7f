//! Traces on their way to a collector, which reads them as OpenTelemetry declares them.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value as Json;

use crate::process::{Place, Server, exchange};

/// How long a span may take until it is there.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a collector was sent.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// Takes what is sent to it.
pub(crate) struct Collector {
    address: SocketAddr,
    received: Receiver<Received>,
}

impl Collector {
    /// A collector that answers with these statuses one after the other, and with 200 from then on.
    pub(crate) fn open(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let statuses = Arc::new(Mutex::new(VecDeque::from(statuses.to_vec())));
        let (sender, received) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (statuses, sender) = (Arc::clone(&statuses), sender.clone());
                std::thread::spawn(move || collect(stream, &statuses, &sender));
            }
        });
        Self { address, received }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What comes next.
    pub(crate) fn next(&self) -> Received {
        self.received.recv_timeout(PATIENCE).expect("something is sent")
    }

    /// What comes until there are so many spans, and the spans.
    pub(crate) fn spans(&self, count: usize) -> (Vec<Received>, Vec<Seen>) {
        let (mut all, mut spans) = (Vec::new(), Vec::new());
        while spans.len() < count {
            let received = self.next();
            spans.extend(Seen::all(&received.body));
            all.push(received);
        }
        assert_eq!(spans.len(), count, "{spans:?}");
        (all, spans)
    }
}

fn collect(stream: TcpStream, statuses: &Mutex<VecDeque<u16>>, sender: &Sender<Received>) {
    let mut answers = stream.try_clone().expect("a handle");
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let status = statuses.lock().expect("not poisoned").pop_front().unwrap_or(200);
        if sender.send(Received { head, body }).is_err() {
            return;
        }
        let answer = format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\n\r\n");
        if answers.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// A value on the wire of protocol buffers.
#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn bytes(self) -> &'a [u8] {
        let Self::Bytes(bytes) = self else { panic!("no bytes: {self:?}") };
        bytes
    }

    fn number(self) -> u64 {
        let Self::Number(number) = self else { panic!("no number: {self:?}") };
        number
    }

    fn text(self) -> String {
        String::from_utf8(self.bytes().to_vec()).expect("text")
    }

    fn hex(self) -> String {
        self.bytes().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
    }
}

/// The fields of a message, by number.
fn fields(mut message: &[u8]) -> Vec<(u64, Value<'_>)> {
    fn take<'a>(message: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (taken, rest) = message.split_at(count);
        *message = rest;
        taken
    }
    fn varint(message: &mut &[u8]) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = take(message, 1)[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }
    let little = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut message)),
            1 => Value::Number(little(take(&mut message, 8))),
            2 => {
                let length = usize::try_from(varint(&mut message)).expect("a length");
                Value::Bytes(take(&mut message, length))
            }
            5 => Value::Number(little(take(&mut message, 4))),
            other => unreachable!("wire type {other}"),
        };
        found.push((tag >> 3, value));
    }
    found
}

fn all(message: &[u8], number: u64) -> Vec<Value<'_>> {
    fields(message).into_iter().filter(|(found, _)| *found == number).map(|(_, value)| value).collect()
}

fn one(message: &[u8], number: u64) -> Option<Value<'_>> {
    let found = all(message, number);
    assert!(found.len() < 2, "field {number}: {found:?}");
    found.first().copied()
}

/// The pairs of a message that has them in this field (`KeyValue`: key 1, value 2; `AnyValue`: string 1, int 3).
fn attributes(message: &[u8], number: u64) -> BTreeMap<String, String> {
    let pairs = all(message, number);
    let read = pairs.iter().map(|pair| {
        let key = one(pair.bytes(), 1).expect("a key").text();
        let value = one(pair.bytes(), 2).expect("a value").bytes();
        let value = match (one(value, 1), one(value, 3)) {
            (Some(text), None) => text.text(),
            (None, Some(number)) => number.number().to_string(),
            other => unreachable!("{key}: {other:?}"),
        };
        (key, value)
    });
    let read: BTreeMap<_, _> = read.collect();
    assert_eq!(read.len(), pairs.len(), "a key is there twice");
    read
}

/// A span as a collector sees it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) resource: BTreeMap<String, String>,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) kind: u64,
    pub(crate) nanos: (u64, u64),
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) failed: bool,
    pub(crate) flags: u64,
}

impl Seen {
    /// The spans of a batch (`ExportTraceServiceRequest`).
    fn all(body: &[u8]) -> Vec<Self> {
        let mut spans = Vec::new();
        for of_resource in all(body, 1).iter().map(|value| value.bytes()) {
            let resource = attributes(one(of_resource, 1).expect("a resource").bytes(), 1);
            for of_scope in all(of_resource, 2).iter().map(|value| value.bytes()) {
                let scope = one(of_scope, 1).expect("a scope").bytes();
                assert_eq!(one(scope, 1).expect("a name").text(), "trousseau");
                spans.extend(all(of_scope, 2).iter().map(|span| Self::of(&resource, span.bytes())));
            }
        }
        spans
    }

    fn of(resource: &BTreeMap<String, String>, span: &[u8]) -> Self {
        let known = [1, 2, 4, 5, 6, 7, 8, 9, 15, 16];
        assert!(fields(span).iter().all(|(number, _)| known.contains(number)), "more than is read here");
        let number = |field| one(span, field).expect("a number").number();
        Self {
            resource: resource.clone(),
            trace: one(span, 1).expect("a trace").hex(),
            id: one(span, 2).expect("an id").hex(),
            parent: one(span, 4).map(Value::hex).unwrap_or_default(),
            name: one(span, 5).expect("a name").text(),
            kind: number(6),
            nanos: (number(7), number(8)),
            attributes: attributes(span, 9),
            failed: one(span, 15).is_some_and(|status| one(status.bytes(), 3).map(Value::number) == Some(2)),
            flags: number(16),
        }
    }

    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// What a caller says of its trace of this number.
pub(crate) fn traceparent(number: u8, flags: &str) -> String {
    format!("00-{number:032x}-{:016x}-{flags}", u64::from(number) << 8)
}

fn status_and_id(answer: &str) -> (String, String) {
    let status = answer.split(' ').nth(1).expect(answer).to_owned();
    let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).expect(answer);
    (status, id.to_owned())
}

#[test]
fn the_traces_of_callers_are_continued_and_nothing_secret_goes_along() {
    let collector = Collector::open(&[]);
    let place = Place::new();
    fs::write(place.path().join("headers"), "# who sends\nx-token: c0llector-t0ken\n").expect("written");
    let created = place.run(&["platform-key", "create", "Tests", "--json"]);
    let created: Json = serde_json::from_str(&created.out).expect(&created.err);
    let key = created["value"].as_str().expect("a value");
    let variables = [
        ("TROUSSEAU_TRACES__HEADERS_FILE", "headers"),
        ("TROUSSEAU_TRACES__RATIO", "0"),
        ("TROUSSEAU_TRACES__SERVICE", "keys of tests"),
        ("TROUSSEAU_LOG__LEVEL", "trace"),
    ];
    let server = Server::start_with(&place, &variables, &["--traces-endpoint", &collector.url()]);
    let ask = |method: &str, path: &str, parent: &str| {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: canary-host\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
             user-agent: canary-agent\r\ntracestate: canary=state\r\n{parent}\r\n"
        );
        status_and_id(&server.exchange(request.as_bytes()))
    };
    let recorded = [
        ("GET", "/v1/whoami?canary=query", "GET /v1/whoami"),
        ("GET", "/v1/authorize", "GET /v1/authorize"),
        ("GET", "/v1/businesses?canary=query", "GET /v1/businesses"),
        ("GET", "/v1/businesses/canary-business", "GET /v1/businesses/{business_id}"),
        ("GET", "/nowhere/canary-path", "GET"),
        ("CANARY", "/livez", "HTTP /livez"),
    ];
    let mut told = BTreeMap::new();
    for (number, (method, path, name)) in (1_u8..).zip(recorded) {
        let answer = ask(method, path, &format!("traceparent: {}\r\n", traceparent(number, "01")));
        told.insert(format!("{number:032x}"), (answer, method, name));
    }
    // The caller does not record it, or there is no caller that traces.
    for parent in [traceparent(200, "00"), "nonsense".to_owned(), traceparent(201, "0")] {
        ask("GET", "/v1/whoami", &format!("traceparent: {parent}\r\n"));
        ask("GET", "/livez", &format!("traceparent: {parent}\r\n"));
    }
    let twice = format!("traceparent: {0}\r\ntraceparent: {0}\r\n", traceparent(202, "01"));
    ask("GET", "/v1/whoami", &twice);
    ask("GET", "/livez", "");

    let (mut received, spans) = collector.spans(recorded.len());
    for span in &spans {
        let ((status, request), method, name) = &told[&span.trace];
        assert_eq!(span.name, *name);
        assert_eq!(u64::from_str_radix(&span.parent, 16), u64::from_str_radix(&span.trace, 16).map(|id| id << 8));
        assert_eq!((span.id.len(), span.kind, span.failed, span.flags), (16, 2, false, 0x301), "{span:?}");
        assert!(span.nanos.0 > 1_700_000_000_000_000_000 && span.nanos.1 > span.nanos.0, "{span:?}");
        assert_eq!(span.attribute("http.response.status_code"), status, "{span:?}");
        assert_eq!(span.attribute("trousseau.request.id"), request, "{span:?}");
        assert_eq!(span.attribute("http.request.method"), if *method == "GET" { "GET" } else { "_OTHER" });
        assert_eq!(span.attribute("http.route"), name.split_once(' ').map_or("", |(_, route)| route));
        assert_eq!(span.attribute("url.scheme"), "http");
        assert_eq!(span.attribute("trousseau.problem.code").is_empty(), status == "200", "{span:?}");
        assert_eq!(span.resource["service.name"], "keys of tests");
        assert_eq!(span.resource["service.version"], env!("CARGO_PKG_VERSION"));
    }
    assert_ne!(spans[0].id, spans[1].id);

    // Nothing more was recorded: the next one is the next.
    ask("GET", "/livez", &format!("traceparent: {}\r\n", traceparent(203, "01")));
    let (more, last) = collector.spans(1);
    assert_eq!(last[0].trace, format!("{:032x}", 203));
    received.extend(more);
    for Received { head, body } in &received {
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("\r\ncontent-type: application/x-protobuf\r\n"), "{head}");
        assert!(head.contains("\r\nx-token: c0llector-t0ken\r\n"), "{head}");
        for secret in [key, "canary", "CANARY", "c0llector", "Bearer"] {
            assert!(memchr::memmem::find(body, secret.as_bytes()).is_none(), "{secret} is in a span");
        }
    }
    let log = server.log();
    assert!(!log.contains("c0llector"), "the collector's token is in the log");
    assert!(log.contains(&format!("trace.id={:032x}", 203)), "the log does not name the trace");
}

#[test]
fn a_trace_that_begins_here_has_the_id_of_its_request_and_is_sent_before_the_end() {
    let collector = Collector::open(&[]);
    let place = Place::new();
    let endpoint = format!("{}/otlp/of/ours", collector.url());
    let variables = [("TROUSSEAU_TRACES__ENDPOINT", endpoint.as_str()), ("TROUSSEAU_TRACES__RATIO", "1")];
    let mut server = Server::start_with(&place, &variables, &[]);
    let asked = [("/livez", "GET /livez"), ("/v1/whoami", "GET /v1/whoami")];
    let told = asked.map(|(path, name)| (status_and_id(&server.get(path, "")).1, name));
    server.signal(Signal::TERM);
    assert_eq!(server.wait(), Some(0));
    let (received, spans) = collector.spans(2);
    assert!(received[0].head.starts_with("POST /otlp/of/ours HTTP/1.1\r\n"), "{}", received[0].head);
    for ((id, name), span) in told.iter().zip(&spans) {
        assert_eq!((&span.trace, span.parent.as_str(), span.name.as_str()), (id, "", *name));
        assert_eq!(span.flags, 0x103);
        assert_eq!(span.resource["service.name"], "trousseau");
    }
}

#[test]
fn a_collector_that_is_busy_is_asked_again() {
    let collector = Collector::open(&[503]);
    let place = Place::new();
    let variables = [("TROUSSEAU_TRACES__ENDPOINT", collector.url()), ("TROUSSEAU_TRACES__RATIO", "1".to_owned())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let server = Server::start_with(&place, &variables, &[]);
    server.get("/livez", "");
    let refused = collector.next();
    assert_eq!(refused.body, collector.next().body);
}

/// The value of a metric, if there is any.
fn metric(text: &str, series: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[test]
fn a_collector_that_does_not_answer_does_no_harm() {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
    let place = Place::new();
    let variables = [
        ("TROUSSEAU_TRACES__ENDPOINT", endpoint.as_str()),
        ("TROUSSEAU_TRACES__RATIO", "1"),
        ("TROUSSEAU_METRICS__LISTEN", "127.0.0.1:0"),
    ];
    let mut server = Server::start_with(&place, &variables, &[]);
    let log = server.log();
    let (_, rest) = log.split_once("serving metrics server.address=").expect(&log);
    let metrics: SocketAddr = rest.split_whitespace().next().and_then(|text| text.parse().ok()).expect("an address");
    // More than a batch and all that may wait.
    let many = 512 + 4_096 + 400;
    let mut stream = server.connect();
    let mut answers = BufReader::new(stream.try_clone().expect("a handle"));
    let request = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut slowest = Duration::ZERO;
    for _ in 0..many {
        let asked = Instant::now();
        stream.write_all(request.as_bytes()).expect("sent");
        let mut length = 0;
        let mut line = String::new();
        while answers.read_line(&mut line).expect("an answer") > 2 {
            length = line.strip_prefix("content-length: ").and_then(|text| text.trim().parse().ok()).unwrap_or(length);
            line.clear();
        }
        answers.read_exact(&mut vec![0; length]).expect("a body");
        slowest = slowest.max(asked.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "a request waited for {slowest:?}");
    let text = exchange(metrics, b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let dropped = metric(&text, "trousseau_trace_spans_total{outcome=\"dropped\"}");
    assert!(dropped.is_some_and(|dropped| (1..=400).contains(&dropped)), "{text}");
    let asked = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(15), "the end waited for {:?}", asked.elapsed());
    drop(silent);
}

#[test]
fn traces_are_off_unless_a_collector_is_named_and_its_headers_are_never_shown() {
    let place = Place::new();
    let check = |variables: &[(&str, &str)]| {
        let ended = place.command(&["config", "check", "--json"]).envs(variables.iter().copied()).output();
        crate::process::Ended::of(ended.expect("the executable runs"))
    };
    let shown = |name: &str, told: &crate::process::Ended| {
        let told: Json = serde_json::from_str(&told.out).expect(&told.err);
        ["value", "source"].map(|part| told[name][part].as_str().expect("a text").to_owned())
    };
    assert_eq!(shown("traces.endpoint", &check(&[])), ["-", "default"]);
    let endpoint = ("TROUSSEAU_TRACES__ENDPOINT", "https://otlp.example");
    let headers = ("TROUSSEAU_TRACES__HEADERS", "authorization: Bearer c0llector, x-tenant: c0llector");
    let told = check(&[endpoint, headers, ("TROUSSEAU_TRACES__RATIO", "0.250")]);
    assert_eq!(shown("traces.endpoint", &told)[0], "https://otlp.example/v1/traces");
    assert_eq!(shown("traces.headers", &told), ["2, not shown", headers.0]);
    assert_eq!(shown("traces.ratio", &told)[0], "0.25");
    assert!(!format!("{told:?}").contains("c0llector"), "{told:?}");
    for (variables, name) in [
        (vec![headers], "TROUSSEAU_TRACES__HEADERS"),
        (vec![("TROUSSEAU_TRACES__ENDPOINT", "http://c0llector@otlp.example")], "traces.endpoint"),
        (vec![endpoint, ("TROUSSEAU_TRACES__HEADERS", "c0llector")], "traces.headers"),
        (vec![endpoint, headers, ("TROUSSEAU_TRACES__HEADERS_FILE", "headers")], "traces.headers_file"),
        (vec![endpoint, ("TROUSSEAU_TRACES__RATIO", "2")], "traces.ratio"),
        (vec![endpoint, ("TROUSSEAU_TRACES__SERVICE", "")], "traces.service"),
    ] {
        let told = check(&variables);
        assert!(told.code != Some(0) && told.err.contains(name) && !told.err.contains("c0llector"), "{name}: {told:?}");
    }
    let file = "[traces]\nendpoint = \"http://localhost:4318\"\nratio = 0.5\nheaders = [\"a: b\"]\n";
    fs::write(place.path().join("trousseau.toml"), file).expect("written");
    assert_eq!(shown("traces.ratio", &check(&[]))[0], "0.5");
    fs::write(place.path().join("trousseau.toml"), "[traces]\nheaders = { c0llector = 1 }\n").expect("written");
    let told = check(&[]);
    assert!(told.code != Some(0) && !told.err.contains("c0llector"), "{told:?}");
}
