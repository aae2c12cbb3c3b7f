//! Nodes as bad as they come, on the level of bytes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::super::portion::WELL_BEFORE_MORE;
use super::*;

const SECRET: &str = "s3cr3t-path";

fn endpoint(address: SocketAddr) -> Endpoint {
    let url: EndpointUrl = format!("http://user:s3cr3t-password@{address}/{SECRET}").parse().expect("a URL");
    let url = url.with_header("x-api-key: s3cr3t-header").expect("a header");
    Endpoint::new(url, public_tls(), Duration::from_millis(400))
}

fn call(method: &'static str) -> Call {
    Call { method, params: json!([]) }
}

/// A node that answers each request, on however many connections, with the next of these bytes, and never hangs up.
/// What it was asked, with the number of the connection.
async fn saying(answers: &'static [&'static str]) -> (SocketAddr, UnboundedReceiver<(usize, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let (heard, hear) = unbounded_channel();
    tokio::spawn(async move {
        let next = Arc::new(AtomicUsize::new(0));
        let mut connections = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            connections += 1;
            let (heard, next, connection) = (heard.clone(), Arc::clone(&next), connections);
            tokio::spawn(async move {
                loop {
                    let mut request = String::new();
                    let mut some = [0; 4096];
                    while !(request.contains("\r\n\r\n") && (request.ends_with('}') || request.ends_with(']'))) {
                        match stream.read(&mut some).await {
                            Ok(read) if read > 0 => request.push_str(&String::from_utf8_lossy(&some[..read])),
                            _ => return,
                        }
                    }
                    let _ = heard.send((connection, request));
                    let Some(answer) = answers.get(next.fetch_add(1, Ordering::SeqCst)) else {
                        return std::future::pending().await;
                    };
                    let _ = stream.write_all(answer.as_bytes()).await;
                    if !answer.contains("content-length") {
                        return;
                    }
                }
            });
        }
    });
    (address, hear)
}

macro_rules! ok {
    ($body:literal, $length:literal) => {
        concat!("HTTP/1.1 200 OK\r\ncontent-length: ", $length, "\r\n\r\n", $body)
    };
}

#[tokio::test]
async fn questions_go_over_one_connection_with_who_asks() {
    let (address, mut hear) = saying(&[
        ok!(r#"{"jsonrpc":"2.0","id":0,"result":"0x1"}"#, "39"),
        ok!(r#"[{"id":1,"result":2},{"id":0,"result":1}]"#, "41"),
    ])
    .await;
    let endpoint = endpoint(address);
    assert_eq!(endpoint.ask(&call("eth_chainId")).await, Ok(json!("0x1")));
    assert_eq!(endpoint.ask_all(&[call("a"), call("b")]).await, Ok(vec![Ok(json!(1)), Ok(json!(2))]));
    let (first, request) = hear.recv().await.expect("asked");
    let lower = request.to_ascii_lowercase();
    assert!(lower.starts_with(&format!("post /{SECRET} http/1.1\r\n")), "{request}");
    assert!(lower.contains("authorization: basic ") && lower.contains("x-api-key: s3cr3t-header"), "{request}");
    assert!(lower.contains(&format!("host: {address}")) && !lower.contains("accept-encoding"), "{request}");
    let (second, _) = hear.recv().await.expect("asked");
    assert_eq!(first, second, "one connection");
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_opened_again() {
    let (address, mut hear) = saying(&[
        // No length: the end of the connection is the end of the answer.
        "HTTP/1.1 200 OK\r\n\r\n{\"id\":0,\"result\":1}",
        ok!(r#"{"id":0,"result":2}"#, "19"),
    ])
    .await;
    let endpoint = endpoint(address);
    assert_eq!(endpoint.ask(&call("a")).await, Ok(json!(1)));
    assert_eq!(endpoint.ask(&call("b")).await, Ok(json!(2)));
    assert_eq!((hear.recv().await.expect("asked").0, hear.recv().await.expect("asked").0), (1, 2));
}

#[tokio::test]
async fn no_error_repeats_the_way_there_or_what_was_said() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("binds").local_addr().expect("bound");
    let silent = saying(&[]).await.0;
    let html = saying(&[ok!("<html>s3cr3t</html>", "19")]).await.0;
    let refusal = saying(&[ok!(r#"{"id":0,"error":{"code":-32000,"message":"s3cr3t"}}"#, "51")]).await.0;
    let limited = saying(&["HTTP/1.1 429 s3cr3t\r\ncontent-length: 0\r\n\r\n"]).await.0;
    let other = saying(&[ok!(r#"[{"id":9,"result":1}]"#, "21")]).await.0;
    let garbage = saying(&["SSH-2.0-s3cr3t\r\n"]).await.0;
    for (address, expected) in [
        (closed, RpcError::Connection),
        (silent, RpcError::Deadline),
        (html, RpcError::Malformed("it is not JSON")),
        (refusal, RpcError::Refused { method: "a", code: -32_000 }),
        (limited, RpcError::Status(429)),
        (other, RpcError::Malformed("it answers what was not asked")),
        (garbage, RpcError::Broken),
    ] {
        let endpoint = endpoint(address);
        let error = endpoint.ask(&call("a")).await.expect_err("an error");
        assert_eq!(error, expected);
        let told = format!("{error} {error:?} {endpoint:?}");
        assert!(!told.contains("s3cr3t") && !told.contains(&address.to_string()), "{told}");
    }
}

#[tokio::test]
async fn one_error_for_a_batch_asks_for_smaller_ones() {
    let (address, mut hear) = saying(&[
        ok!(r#"{"id":null,"error":{"code":-32600,"message":"no batches"}}"#, "58"),
        ok!(r#"{"id":0,"result":1}"#, "19"),
        ok!(r#"{"id":0,"result":2}"#, "19"),
        ok!(r#"{"id":0,"error":{"code":3,"message":"no"}}"#, "42"),
    ])
    .await;
    let endpoint = endpoint(address);
    let answers = endpoint.ask_all(&[call("a"), call("b"), call("c")]).await.expect("answers");
    assert_eq!(answers, [Ok(json!(1)), Ok(json!(2)), Err(RpcError::Refused { method: "c", code: 3 })]);
    // It was learned.
    for _ in 0..4 {
        hear.recv().await.expect("asked");
    }
    assert!(hear.try_recv().is_err());
}

#[tokio::test]
async fn larger_batches_are_tried_again_after_a_while() {
    let one = ok!(r#"{"id":0,"result":1}"#, "19");
    let mut answers = vec![ok!(r#"{"id":null,"error":{"code":-32005,"message":"too many"}}"#, "56")];
    // One more than it takes, so that they come in pairs.
    answers.extend(vec![one; usize::try_from(WELL_BEFORE_MORE).expect("a few") + 2]);
    answers.push(ok!(r#"[{"id":1,"result":2},{"id":0,"result":1}]"#, "41"));
    let requests = answers.len();
    let (address, mut hear) = saying(answers.leak()).await;
    let endpoint = endpoint(address);
    let pairs = usize::try_from(WELL_BEFORE_MORE).expect("a few") / 2 + 1;
    for _ in 0..pairs {
        let answers = endpoint.ask_all(&[call("a"), call("b")]).await.expect("answers");
        assert_eq!(answers, [Ok(json!(1)), Ok(json!(1))]);
    }
    let together = endpoint.ask_all(&[call("a"), call("b")]).await.expect("answers");
    assert_eq!(together, [Ok(json!(1)), Ok(json!(2))]);
    for _ in 0..requests {
        hear.recv().await.expect("asked");
    }
    assert!(hear.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_to_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                while stream.write_all(&vec![b' '; 65_536]).await.is_ok() {}
            });
        }
    });
    let url: EndpointUrl = format!("http://{address}/").parse().expect("a URL");
    let endpoint = Endpoint::new(url, public_tls(), Duration::from_secs(20));
    assert_eq!(endpoint.ask(&call("a")).await, Err(RpcError::TooLarge));
}
