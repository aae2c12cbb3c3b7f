//! A server that checks nothing: the ceiling.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::serve::ListenerExt as _;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

/// What the requests ask for.
const ROUTES: [&str; 2] = ["/v1/whoami", "/v1/authorize"];

/// Answers every request with `size` bytes, by hyper alone or by a route of axum.
pub(crate) async fn serve(address: SocketAddr, size: usize, by_axum: bool) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let body = Bytes::from(vec![b'x'; size]);
    if by_axum {
        let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
        let answer = axum::routing::get(move || std::future::ready(body.clone()));
        let routes = ROUTES.iter().fold(axum::Router::new(), |router, route| router.route(route, answer.clone()));
        axum::serve(listener, routes).await?;
        return Ok(());
    }
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |_: Request<Incoming>| {
                let body = body.clone();
                async move { Ok::<_, Infallible>(Response::new(Full::new(body))) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .pipeline_flush(true)
                .serve_connection(TokioIo::new(stream), answer);
            // A client that goes away is none of our business here.
            let _ = connection.await;
        });
    }
}
