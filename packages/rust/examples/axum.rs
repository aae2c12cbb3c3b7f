//! A service whose callers need a key that may read payments: `cargo run --example axum -- [address of Trousseau] [port]`

#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::error::Error;
use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::routing::get;
use axum::{Extension, Json, Router};
use http::request::Parts;
use serde_json::{Value, json};
use trousseau_client::{Client, Demand, Scope, Verified, VerifyLayer};

const PAYMENTS_READ: Scope = Scope::from_static("payments:read");

pub(crate) fn app(trousseau: Client) -> Router {
    let guard = VerifyLayer::new(trousseau, Demand::new().scope(PAYMENTS_READ)).ip(peer);
    Router::new().route("/reports", get(reports)).layer(guard)
}

async fn reports(Extension(caller): Extension<Verified>) -> Json<Value> {
    Json(json!({ "hello": caller.business_id, "key": caller.key_id }))
}

/// The other end of the connection; behind a proxy, what that proxy says.
fn peer(request: &Parts) -> Option<IpAddr> {
    request.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let port = arguments.next().map_or(Ok(9000), |port| port.parse())?;
    let app = app(Client::builder(url).build()?);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}/reports", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
