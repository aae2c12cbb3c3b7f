//! Every route, and what stands around all of them.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::edge::{Edge, method_not_allowed, not_found, outermost, panicked};
use crate::system::{self, Document};
use crate::{openapi, pages};

/// The routes that need nothing but themselves.
fn system_routes() -> OpenApiRouter<Document> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(system::livez))
        .routes(routes!(system::openapi_json))
        .routes(routes!(pages::problem))
}

/// The document as text: pretty, in a stable order, with a line break at its end.
#[expect(clippy::missing_panics_doc, reason = "a document of our own types has a JSON form")]
pub fn document_text(document: &OpenApi) -> String {
    let mut text = document.to_pretty_json().expect("a document of our own types has a JSON form");
    text.push('\n');
    text
}

/// The description of every route. It depends on nothing but the code.
pub fn openapi() -> OpenApi {
    openapi::with_errors(system_routes().into_openapi())
}

/// The whole application behind its outermost layer.
pub fn router(edge: Edge) -> Router {
    let document = Document(Arc::from(document_text(&openapi())));
    let (routes, _) = system_routes().split_for_parts();
    enclose(routes.with_state(document), edge)
}

/// Puts what stands around all routes around these.
fn enclose(routes: Router, edge: Edge) -> Router {
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(edge, outermost))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Request, StatusCode};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;
    use trousseau_domain::brand::Brand;
    use trousseau_domain::ids::RequestId;

    use super::*;
    use crate::connection::ProxyTrust;

    async fn get(path: &str) -> (StatusCode, String) {
        let edge = Edge::new(ProxyTrust::default(), Brand::default(), false, || RequestId::from_random([1; 16]));
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = router(edge).oneshot(request).await.expect("infallible");
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8(bytes.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn the_document_is_served_as_it_is_printed() {
        let (status, text) = get("/openapi.json").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(text, document_text(&openapi()));
        assert!(text.contains("\"openapi\": \"3.1.0\""), "{}", &text[..80]);
        assert_eq!(document_text(&openapi()), document_text(&openapi()));
    }

    #[tokio::test]
    async fn a_problem_type_leads_to_its_page() {
        let (status, text) = get("/problems/scope-missing").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("scope_missing"), "{text}");
        assert_eq!(get("/problems/none").await.0, StatusCode::NOT_FOUND);
        assert_eq!(get("/livez").await, (StatusCode::OK, "ok".to_owned()));
    }
}
