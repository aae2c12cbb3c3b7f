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
    let mut server = Server::start(&place, &[]);
    let mut idle = server.connect();
    let mut running = server.connect();
    running.write_all(b"POST /livez HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{").expect("sent");
    let mut answer = [0; 12];
    running.read_exact(&mut answer).expect("an answer to the head");
    server.signal(Signal::TERM);
    assert_eq!(server.wait(), Some(0), "{}", server.log());
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).expect("closed");
    assert!(rest.is_empty());
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
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    let mut stream = StreamOwned::new(session, server.connect());
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
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
