//! Receivers as bad as they come.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

const CERT: &[u8] = include_bytes!("../../../server/tests/it/localhost.cert.pem");
const KEY: &[u8] = include_bytes!("../../../server/tests/it/localhost.key.pem");

/// Answers every name with the same addresses.
#[derive(Debug)]
struct Fixed(Vec<IpAddr>);

impl Resolver for Fixed {
    fn resolve<'a>(&'a self, _: &'a str) -> Boxed<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(self.0.clone()) })
    }
}

/// Never answers.
#[derive(Debug)]
struct Silent;

impl Resolver for Silent {
    fn resolve<'a>(&'a self, _: &'a str) -> Boxed<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::pending())
    }
}

fn loopback() -> Vec<IpRange> {
    vec!["127.0.0.0/8".parse().expect("a range"), "::1".parse().expect("a range")]
}

fn to_this_machine() -> Outgoing {
    let deadline = Duration::from_millis(400);
    Outgoing::with(Arc::new(SystemResolver), RootCertStore::empty(), &loopback(), deadline)
}

fn resolving(addresses: &[&str], allowed: &[IpRange]) -> Outgoing {
    let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
    Outgoing::with(Arc::new(Fixed(addresses)), RootCertStore::empty(), allowed, Duration::from_millis(400))
}

async fn post_to(outgoing: &Outgoing, url: &str, environment: Environment) -> Result<Answer, NoAnswer> {
    let url: WebhookUrl = url.parse().expect("a URL");
    let headers = [("content-type", "application/json".to_owned()), ("webhook-id", "evt_1".to_owned())];
    outgoing.post(&Message { url: &url, environment, headers: &headers, body: "{\"a\":1}" }).await
}

async fn post(url: &str) -> Result<Answer, NoAnswer> {
    post_to(&to_this_machine(), url, Environment::Test).await
}

/// A receiver that reads a request's head, then does this with each connection. Its address, and what it read.
async fn receiver<F, R>(behave: F) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>)
where
    F: Fn(TcpStream) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let (heard, hear) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 16 * 1024];
            let mut length = 0;
            while !request[..length].ends_with(b"{\"a\":1}") {
                match stream.read(&mut request[length..]).await {
                    Ok(read) if read > 0 => length += read,
                    _ => break,
                }
            }
            let _ = heard.send(String::from_utf8_lossy(&request[..length]).into_owned());
            tokio::spawn(behave(stream));
        }
    });
    (address, hear)
}

/// A receiver that answers each request with these bytes and closes.
async fn saying(answer: &'static [u8]) -> SocketAddr {
    let (address, _) = receiver(move |mut stream| async move {
        let _ = stream.write_all(answer).await;
    })
    .await;
    address
}

#[tokio::test]
async fn a_message_arrives_as_it_was_written_and_the_answer_comes_back() {
    let (address, mut hear) = receiver(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 202 Accepted\r\nx-one: 1\r\ncontent-length: 4\r\n\r\nfine").await;
    })
    .await;
    let answer = post(&format!("http://{address}/hooks?x=1")).await.expect("an answer");
    assert_eq!((answer.status, answer.body.as_slice(), answer.cut), (202, &b"fine"[..], false));
    assert!(answer.headers.contains(&("x-one".to_owned(), "1".to_owned())));
    let request = hear.recv().await.expect("a request").to_ascii_lowercase();
    assert!(request.starts_with("post /hooks?x=1 http/1.1\r\n"), "{request}");
    for header in
        [&format!("host: {address}"), "content-type: application/json", "webhook-id: evt_1", "content-length: 7"]
    {
        assert!(request.contains(header), "{header} in {request}");
    }
    assert!(!request.contains("accept-encoding") && !request.contains("cookie"), "{request}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (secret, mut visited) = receiver(|_| async {}).await;
    let (address, _) = receiver(move |mut stream| async move {
        let answer = format!("HTTP/1.1 307 Temporary\r\nlocation: http://{secret}/\r\ncontent-length: 0\r\n\r\n");
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    assert_eq!(post(&format!("http://{address}/")).await.expect("an answer").status, 307);
    assert!(visited.try_recv().is_err(), "the redirect was followed");
}

#[tokio::test]
async fn an_endless_body_is_cut_and_its_status_counts() {
    let (address, _) = receiver(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
    })
    .await;
    let answer = post(&format!("http://{address}/")).await.expect("an answer");
    assert_eq!((answer.status, answer.body.len(), answer.cut), (200, MOST_READ, true));
    let huge = saying(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nfew").await;
    let answer = post(&format!("http://{huge}/")).await.expect("an answer");
    assert_eq!((answer.body.as_slice(), answer.cut), (&b"few"[..], true));
}

#[tokio::test]
async fn a_compressed_body_is_not_opened() {
    let bomb = saying(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08").await;
    assert_eq!(post(&format!("http://{bomb}/")).await.expect("an answer").body, b"\x1f\x8b\x08");
}

#[tokio::test]
async fn who_is_slow_is_not_waited_for() {
    let (silent, _) = receiver(|stream| async move {
        tokio::time::sleep(Duration::from_mins(1)).await;
        drop(stream);
    })
    .await;
    assert_eq!(post(&format!("http://{silent}/")).await, Err(NoAnswer::Deadline));
    let (dripping, _) = receiver(|mut stream| async move {
        for byte in b"HTTP/1.1 200 OK\r\nx: ".iter().chain(std::iter::repeat(&b'x')) {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    })
    .await;
    assert_eq!(post(&format!("http://{dripping}/")).await, Err(NoAnswer::Deadline));
    let (unending, _) = receiver(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    })
    .await;
    let started = Instant::now();
    let answer = post(&format!("http://{unending}/")).await.expect("an answer");
    assert_eq!((answer.status, answer.cut), (200, true));
    assert!(started.elapsed() < Duration::from_secs(5));
    let no_names = Outgoing::with(Arc::new(Silent), RootCertStore::empty(), &[], Duration::from_millis(50));
    let answer = post_to(&no_names, "https://shop.example/", Environment::Live).await;
    assert_eq!(answer, Err(NoAnswer::Deadline));
}

#[tokio::test]
async fn garbage_and_resets_are_no_answer() {
    for garbage in [
        &b""[..],
        b"\0\0\0\0",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 99999 No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
    ] {
        let address = saying(garbage).await;
        assert_eq!(post(&format!("http://{address}/")).await, Err(NoAnswer::Broken), "{garbage:?}");
    }
    let (headers, _) = receiver(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(b"x-endless: 0123456789abcdef\r\n").await.is_ok() {}
    })
    .await;
    assert_eq!(post(&format!("http://{headers}/")).await, Err(NoAnswer::Broken));
    // Nobody listens there any more.
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("binds").local_addr().expect("bound");
    assert_eq!(post(&format!("http://{closed}/")).await, Err(NoAnswer::Connection));
}

#[tokio::test]
async fn names_that_lead_inside_are_not_followed() {
    let (inside, mut visited) = receiver(|_| async {}).await;
    for addresses in [
        &["127.0.0.1"][..],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["2002:7f00:1::"],
        &["10.0.0.1", "169.254.169.254", "fd00::1"],
    ] {
        let outgoing = resolving(addresses, &[]);
        let url = format!("https://shop.example:{}/", inside.port());
        for environment in Environment::ALL {
            assert_eq!(post_to(&outgoing, &url, environment).await, Err(NoAnswer::Private), "{addresses:?}");
        }
    }
    // What the operator lists for tests is not there for LIVE.
    let outgoing = resolving(&["127.0.0.1"], &loopback());
    let url = format!("https://shop.example:{}/", inside.port());
    assert_eq!(post_to(&outgoing, &url, Environment::Live).await, Err(NoAnswer::Private));
    assert!(visited.try_recv().is_err(), "a private address was connected to");
    assert_eq!(post_to(&resolving(&[], &[]), &url, Environment::Live).await, Err(NoAnswer::Name));
    let local = format!("http://{inside}/");
    assert_eq!(post_to(&resolving(&[], &[]), &local, Environment::Test).await, Err(NoAnswer::Url));
}

#[tokio::test]
async fn an_allowed_address_is_used_even_beside_a_forbidden_one() {
    let (address, mut visited) = receiver(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    let outgoing = resolving(&["169.254.169.254", "127.0.0.1"], &loopback());
    let url = format!("http://a.localhost:{}/", address.port());
    assert_eq!(post_to(&outgoing, &url, Environment::Test).await.expect("an answer").status, 200);
    assert!(visited.recv().await.expect("a request").contains("a.localhost"));
}

#[tokio::test]
async fn an_address_that_does_not_answer_leaves_time_for_the_next() {
    let (address, mut visited) = receiver(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    // Where the queue of a listener is full, the system drops whoever else would connect.
    let silent = SocketAddr::from(([127, 0, 0, 2], address.port()));
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(silent).expect("binds");
    let _listener = socket.listen(1).expect("listens");
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = timeout(Duration::from_millis(50), TcpStream::connect(silent)).await {
        waiting.push(stream);
    }
    let outgoing = resolving(&["127.0.0.2", "127.0.0.1"], &loopback());
    let url = format!("http://a.localhost:{}/", address.port());
    assert_eq!(post_to(&outgoing, &url, Environment::Test).await.expect("an answer").status, 200);
    assert!(visited.recv().await.is_some());
}

#[tokio::test]
async fn only_a_trusted_certificate_of_this_name_will_do() {
    let cert = CertificateDer::from_pem_slice(CERT).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks them")
        .with_no_client_auth()
        .with_single_cert(vec![cert.clone()], key)
        .expect("they belong together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                let _ = stream.shutdown().await;
            });
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(cert).expect("a root");
    let at_home = Arc::new(Fixed(vec!["127.0.0.1".parse().expect("an address")]));
    let trusting = Outgoing::with(at_home, roots, &loopback(), Duration::from_secs(5));
    let url = format!("https://localhost:{port}/");
    assert_eq!(post_to(&trusting, &url, Environment::Test).await.expect("an answer").status, 204);
    let elsewhere = format!("https://shop.example:{port}/");
    assert_eq!(post_to(&trusting, &elsewhere, Environment::Test).await, Err(NoAnswer::Tls));
    assert_eq!(post(&url).await, Err(NoAnswer::Tls));
    let plain = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = plain.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    assert_eq!(post(&format!("https://127.0.0.1:{port}/")).await, Err(NoAnswer::Tls));
}
