//! Connections: limits, deadlines, TLS, the orderly end.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustix::process::Signal;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::process::{Place, Server};

#[test]
fn a_header_section_that_takes_too_long_ends_without_an_answer() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let mut stream = server.connect();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: local").expect("sent");
    let mut answer = Vec::new();
    // The read itself gives up only after 30 s, the server after 10 s.
    stream.read_to_end(&mut answer).expect("closed, not stalled");
    assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    assert!(server.get("/livez", "").starts_with("HTTP/1.1 200"));
}

#[test]
fn headers_above_the_limits_are_refused_with_a_reason() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let one = server.get("/livez", &format!("x-a: {}\r\n", "a".repeat(16 * 1024)));
    assert!(one.starts_with("HTTP/1.1 431"), "{one}");
    assert!(one.contains("application/problem+json") && one.contains("headers_too_large"), "{one}");
    let many: Vec<_> = (0..70).map(|number| format!("x-{number}: {}\r\n", "a".repeat(1_000))).collect();
    let all = server.get("/livez", &many.concat());
    assert!(all.starts_with("HTTP/1.1 431") && all.contains("request_id"), "{all}");
    // Past what the server is willing to hold the answer has no body.
    let huge = server.get("/livez", &format!("x-a: {}\r\n", "a".repeat(400 * 1024)));
    assert!(huge.is_empty() || huge.starts_with("HTTP/1.1 431"), "{huge}");
}

#[test]
fn a_request_has_at_most_a_hundred_header_fields() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let fields = |count: usize| (0..count).map(|number| format!("x-{number}: a\r\n")).collect::<Vec<_>>().concat();
    assert!(server.get("/livez", &fields(90)).starts_with("HTTP/1.1 200"));
    assert!(server.get("/livez", &fields(120)).starts_with("HTTP/1.1 431"));
}

#[test]
fn requests_that_come_together_are_all_answered_in_their_order() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let one = |path: &str, connection: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{connection}\r\n");
    // More than are answered in one turn, some by the lane and some by the main runtime.
    let paths = ["/v1/whoami", "/livez", "/v1/authorize", "/v1/nothing"];
    let requests: String = (0..40).map(|number| one(paths[number % 4], "")).collect();
    let last = one("/livez", "connection: close\r\n");
    let answer = server.exchange(format!("{requests}{last}").as_bytes());
    let statuses: Vec<_> = answer.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    let expected: Vec<_> = ["401", "200", "401", "404"].repeat(10).into_iter().chain(["200"]).collect();
    assert_eq!(statuses, expected);
    // One that cannot be read is told so, after the answers to those before it.
    let broken = server.exchange(format!("{}{}\x01 \r\n\r\n", one("/livez", ""), one("/v1/whoami", "")).as_bytes());
    let statuses: Vec<_> = broken.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "401", "400"]);
}

/// What is told by an answer, but for its time and its id.
fn without_chance(answer: &str) -> String {
    let id = answer.split("\r\n").find_map(|line| line.strip_prefix("x-request-id: ")).unwrap_or("none");
    let lines = answer.split("\r\n").map(|line| if line.starts_with("date: ") { "date" } else { line });
    lines.collect::<Vec<_>>().join("\r\n").replace(id, "ID")
}

/// The id of a business that is made, and a key of it.
fn shop(place: &Place) -> [String; 2] {
    let made = place.run(&["business", "create", "Shop", "--json"]).json();
    [&made["business"]["id"], &made["keys"][0]["value"]].map(|text| text.as_str().expect("a text").to_owned())
}

#[test]
fn a_question_is_answered_alike_whatever_was_asked_before_on_its_connection() {
    let place = Place::new();
    let [id, value] = shop(&place);
    let server = Server::start(&place, &[]);
    let close = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let key = format!("apikey: {value}\r\nbusinessid: {id}\r\n");
    let livez = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for fields in [
        format!("apikey: {value}\r\nbusinessid: {id}\r\n"),
        format!("APIKEY:{value}\r\nBusinessId:   {id}  \r\nconnection: Keep-Alive\r\nUser-Agent: x/1\r\n"),
        format!("authorization: Bearer {value}\r\nbusinessid: {id}\r\nx-forwarded-for: 203.0.113.9\r\n"),
        format!("apikey: {value}\r\n"),
        format!("apikey: {value}\r\napikey: {value}\r\nbusinessid: {id}\r\n"),
        "apikey: é\r\n".to_owned(),
        String::new(),
        // As gateways ask, with all that their callers sent.
        format!("{key}x-forwarded-proto: https\r\nx-original-uri: /orders?page=2\r\nx-own: 1\r\n"),
        format!("{key}x-forwarded-uri: /orders?key={value}\r\n"),
        format!("{key}x-trousseau-require-scope: keys:read\r\nx-trousseau-require-kind: secret\r\n"),
        format!("{key}x-trousseau-require-kind: checkout\r\n"),
        format!("{key}x-trousseau-require-scopes: keys:read\r\n"),
        format!("{key}sec-fetch-site: none\r\n"),
        format!("{key}x-long: {}\r\n", "x".repeat(7_000)),
    ] {
        for path in [
            "/v1/whoami",
            "/v1/authorize",
            "/v1/authorize?",
            "/v1/authorize?environment=live&statuses=all",
            "/v1/authorize?environment=test&scope=keys:read",
        ] {
            let question = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n");
            let first = server.exchange(format!("{question}{close}").as_bytes());
            // Once something else was asked, all comes from a server of HTTP.
            let later = server.exchange(format!("{livez}{question}{close}").as_bytes());
            let answers = |exchanged: &str| exchanged.split("HTTP/1.1 ").map(without_chance).collect::<Vec<_>>();
            assert_eq!(answers(&first)[1], answers(&later)[2], "{question}");
            assert_eq!((answers(&first).len(), answers(&later).len()), (3, 4), "{question}");
        }
    }
}

#[test]
fn a_question_may_come_in_pieces_and_many_at_once() {
    let place = Place::new();
    let [id, value] = shop(&place);
    let server = Server::start(&place, &[]);
    let question = format!("GET /v1/whoami HTTP/1.1\r\nhost: localhost\r\napikey: {value}\r\nbusinessid: {id}\r\n\r\n");
    let mut stream = server.connect();
    let mut answered = |pieces: &[&[u8]], count: usize| {
        for piece in pieces {
            stream.write_all(piece).expect("sent");
            stream.flush().expect("sent");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let (mut read, mut buffer) = (String::new(), [0; 8_192]);
        while read.matches("\"business_metadata\":{}}").count() < count {
            let bytes = stream.read(&mut buffer).expect("an answer");
            assert!(bytes > 0, "closed after {read}");
            read.push_str(std::str::from_utf8(&buffer[..bytes]).expect("ASCII"));
        }
        assert_eq!(read.matches("HTTP/1.1 200 OK").count(), count, "{read}");
    };
    for at in (1..question.len()).step_by(7) {
        let (head, tail) = question.as_bytes().split_at(at);
        answered(&[head, tail], 1);
    }
    // More than there is room to read, and more answers than are gathered.
    answered(&[question.repeat(500).as_bytes()], 500);
    // Half of one behind a whole one.
    let (head, tail) = question.as_bytes().split_at(40);
    answered(&[&[question.as_bytes(), head].concat(), tail], 2);
}

#[test]
fn a_connection_that_asks_nothing_more_is_closed() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let ends: Vec<_> =
        ["", "GET /v1/whoami HTTP/1.1\r\nhost: local", "GET /v1/whoami HTTP/1.1\r\nhost: localhost\r\n\r\n"]
            .map(|sent| {
                let mut stream = server.connect();
                std::thread::spawn(move || {
                    stream.write_all(sent.as_bytes()).expect("sent");
                    let (begun, mut answer) = (std::time::Instant::now(), String::new());
                    // The read itself gives up only after 30 s, the server after 10 s.
                    stream.read_to_string(&mut answer).expect("closed, not stalled");
                    (answer.matches("HTTP/1.1 401").count(), begun.elapsed().as_secs() < 25)
                })
            })
            .into_iter()
            .map(|waits| waits.join().expect("no panic"))
            .collect();
    assert_eq!(ends, [(0, true), (0, true), (1, true)]);
}

#[test]
fn what_is_no_plain_question_is_read_by_the_server_behind() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let old = server.exchange(b"GET /v1/whoami HTTP/1.0\r\n\r\n");
    assert!(old.starts_with("HTTP/1.0 401") || old.starts_with("HTTP/1.1 401"), "{old}");
    for head in [
        "HEAD /v1/whoami HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "GET /v1/whoami HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "GET /v1/authorize HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    ] {
        let answer = server.exchange(head.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close"), "{head}: {answer}");
    }
    // What stands behind the head is never answered as a request of its own.
    let behind = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    for fields in ["transfer-encoding: gzip, chunked\r\n", "content-length: +5\r\n", "folded: a\r\n b\r\n"] {
        let answer = server.exchange(
            format!("GET /v1/whoami HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n0\r\n\r\n{behind}").as_bytes(),
        );
        assert!(answer.starts_with("HTTP/1.1 400"), "{fields}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{fields}: {answer}");
    }
    let long = server.get("/v1/whoami", &format!("x-a: {}\r\n", "a".repeat(12 * 1024)));
    assert!(long.starts_with("HTTP/1.1 401"), "{long}");
    let fields = |count: usize| (0..count).map(|number| format!("x-{number}: a\r\n")).collect::<Vec<_>>().concat();
    assert!(server.get("/v1/whoami", &fields(90)).starts_with("HTTP/1.1 401"));
    assert!(server.get("/v1/whoami", &fields(120)).starts_with("HTTP/1.1 431"));
}

#[test]
fn a_request_that_two_servers_could_read_differently_is_refused_and_the_connection_closed() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    // What stands behind the body must never be answered as a request of its own.
    let behind = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    for headers in [
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: identity\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: +5\r\n",
        "folded: a\r\n b\r\n",
        "spaced : a\r\n",
    ] {
        let request = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n0\r\n\r\n{behind}");
        let answer = server.exchange(request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400"), "{headers}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{headers}: {answer}");
    }
    assert!(server.get("/livez", "").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_signal_ends_the_server_in_order() {
    let place = Place::new();
    let [id, value] = shop(&place);
    let mut server = Server::start(&place, &[]);
    let mut idle = server.connect();
    let mut asked = server.connect();
    asked.write_all(b"GET /v1/whoami HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("sent");
    let mut begins = [0; 12];
    asked.read_exact(&mut begins).expect("an answer");
    let begun = [
        ("401", String::new()),
        ("200", format!("apikey: {value}\r\nbusinessid: {id}\r\n")),
        ("200", format!("apikey: {value}\r\nbusinessid: {id}\r\nx-original-uri: /\r\n")),
    ]
    .map(|(status, fields)| {
        let mut begun = server.connect();
        begun.write_all(b"GET /v1/authorize HTTP/1.1\r\nho").expect("sent");
        (begun, status, fields)
    });
    let mut running = server.connect();
    running.write_all(b"POST /livez HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{").expect("sent");
    let mut answer = [0; 12];
    running.read_exact(&mut answer).expect("an answer to the head");
    server.signal(Signal::TERM);
    std::thread::sleep(std::time::Duration::from_millis(300));
    // What has begun is answered all the same.
    for (mut begun, status, fields) in begun {
        begun.write_all(format!("st: localhost\r\n{fields}\r\n").as_bytes()).expect("sent");
        let mut answered = String::new();
        begun.read_to_string(&mut answered).expect("closed");
        assert!(answered.starts_with(&format!("HTTP/1.1 {status}")), "{answered}");
        assert!(answered.contains("\r\nconnection: close\r\n"), "{answered}");
    }
    assert_eq!(server.wait(), Some(0), "{}", server.log());
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).expect("closed");
    assert!(rest.is_empty());
    asked.read_to_end(&mut rest).expect("closed");
    assert!(server.log().contains("stopped"), "{}", server.log());
}

#[test]
fn a_port_in_use_is_a_failure_of_the_network() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let other = Place::new().run(&["serve", "--listen", &server.address.to_string()]);
    assert_eq!(other.code, Some(3), "{}", other.err);
    assert!(other.err.contains("cannot listen"), "{}", other.err);
}

#[test]
fn tls_ends_in_the_server() {
    let place = Place::new();
    let (cert, key) = (include_bytes!("localhost.cert.pem"), include_bytes!("localhost.key.pem"));
    std::fs::write(place.path().join("cert.pem"), cert).expect("written");
    std::fs::write(place.path().join("key.pem"), key).expect("written");
    let server = Server::start(&place, &["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cert).expect("a certificate")).expect("a root");
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let config = Arc::new(config);
    // Whoever reads to the end is told that it is one (RFC 8446 section 6.1), by a silence too.
    let exchange = |sent: &str| {
        let session = ClientConnection::new(Arc::clone(&config), name.clone()).expect("a session");
        let mut stream = StreamOwned::new(session, server.connect());
        stream.write_all(sent.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer).expect("an end that is told")
    };
    let answer = exchange("GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = exchange("GET /v1/whoami HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    // Plain HTTP on that port gets nothing that could be taken for an answer.
    assert!(!server.get("/livez", "").contains("200"));
    let half = place.run(&["serve", "--tls-cert", "cert.pem"]);
    assert_eq!(half.code, Some(2), "{}", half.err);
}

#[test]
fn metrics_have_a_listener_of_their_own() {
    let place = Place::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    std::fs::write(place.path().join("trousseau.toml"), format!("[metrics]\nlisten = \"{port}\"\n")).expect("written");
    let mut server = Server::start(&place, &[]);
    assert!(server.get("/livez", "").starts_with("HTTP/1.1 200"));
    for _ in 0..2 {
        assert!(server.get("/v1/whoami", "apikey: nobody\r\n").starts_with("HTTP/1.1 401"));
    }
    let api = server.address;
    server.address = port;
    let metrics = server.get("/metrics", "");
    assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("trousseau_http_requests_total"), "{metrics}");
    let refused = "trousseau_http_requests_total{method=\"GET\",route=\"/v1/whoami\",status=\"401\"} 2";
    assert!(metrics.contains(refused), "{metrics}");
    server.address = api;
    assert!(!server.get("/metrics", "").contains("trousseau_http_requests_total"));
}
