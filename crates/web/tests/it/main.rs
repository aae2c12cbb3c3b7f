//! The API through its public HTTP interface; the modules mirror the URLs.

mod edge;
mod system;

use trousseau_domain::brand::Brand;
use trousseau_domain::ids::RequestId;
use trousseau_testkit::client::Client;
use trousseau_web::connection::ProxyTrust;
use trousseau_web::edge::Edge;

/// A client of the routes that need no database.
fn bare() -> Client {
    let edge = Edge::new(ProxyTrust::default(), Brand::default(), true, || RequestId::from_random([0xab; 16]));
    Client::new(trousseau_web::router::router(edge))
}
