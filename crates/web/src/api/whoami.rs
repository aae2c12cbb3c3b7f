//! `/v1/whoami`.

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde_json::value::RawValue;
use trousseau_domain::ids::KeyId;
use trousseau_service::KeyCaller;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authority::{AnyKey, Granted};
use crate::query::NoQuery;
use crate::router::Web;

/// What the answer is.
pub(crate) const MEDIA_TYPE: &str = "application/json";

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(whoami))
}

/// Who calls.
#[derive(Debug, ToSchema)]
#[schema(as = Whoami)]
pub(crate) struct WhoamiBody<'a> {
    /// The id of the business.
    #[schema(example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77")]
    business_id: &'a str,
    /// `test` or `live`.
    #[schema(example = "test")]
    environment: &'static str,
    /// `secret` or `checkout`.
    #[schema(example = "secret")]
    kind: &'static str,
    /// The id of the key.
    #[schema(value_type = String, example = "key_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    key_id: KeyId,
    /// What the key may do.
    #[schema(value_type = Vec<String>, example = json!(["payments:read"]))]
    scopes: &'a RawValue,
    /// The notes kept beside the key.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    metadata: &'a RawValue,
    /// The notes kept beside the business.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    business_metadata: &'a RawValue,
}

/// Who am I
///
/// What a key is: good for a first call. Any good key may ask.
#[utoipa::path(
    get,
    path = "/v1/whoami",
    tag = "Access",
    responses((status = 200, description = "The key that calls", body = WhoamiBody<'_>)),
    security(("apikey" = [], "businessid" = []), ("basic" = []), ("bearer" = []), ("x-api-key" = []))
)]
pub(crate) async fn whoami(may: Granted<AnyKey>, _query: NoQuery) -> Response {
    answer(may.caller(), HeaderMap::new())
}

impl<'a> WhoamiBody<'a> {
    /// What there is to say of a caller.
    pub(crate) fn of(caller: &'a KeyCaller) -> Self {
        Self {
            business_id: caller.tenant.business.as_str(),
            environment: caller.tenant.environment.as_str(),
            kind: caller.kind().as_str(),
            key_id: caller.key_id(),
            scopes: caller.scopes_json(),
            metadata: caller.metadata_json(),
            business_metadata: caller.business_metadata_json(),
        }
    }

    /// Gives itself to `write` as JSON, in pieces: this is the answer that is given most. Ids and names of ours hold nothing
    /// that JSON would escape.
    pub(crate) fn in_pieces<T>(&self, write: impl FnOnce(&[&[u8]]) -> T) -> T {
        let Self { business_id, environment, kind, key_id, scopes, metadata, business_metadata } = self;
        write(&[
            b"{\"business_id\":\"",
            business_id.as_bytes(),
            b"\",\"environment\":\"",
            environment.as_bytes(),
            b"\",\"kind\":\"",
            kind.as_bytes(),
            b"\",\"key_id\":\"",
            &key_id.to_text(),
            b"\",\"scopes\":",
            scopes.get().as_bytes(),
            b",\"metadata\":",
            metadata.get().as_bytes(),
            b",\"business_metadata\":",
            business_metadata.get().as_bytes(),
            b"}",
        ])
    }

    fn json(&self) -> Vec<u8> {
        self.in_pieces(|pieces| pieces.concat())
    }
}

/// What there is to say of a caller, with these headers and its own.
pub(crate) fn answer(caller: &KeyCaller, mut headers: HeaderMap) -> Response {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    let mut response = Response::new(Body::from(WhoamiBody::of(caller).json()));
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_pieces_are_json() {
        let raw = |value| serde_json::value::to_raw_value(&value).expect("JSON");
        let (scopes, metadata) = (json!(["payments:read"]), json!({ "a \"quoted\" name": "naïve\n" }));
        let (scopes_json, metadata_json, none) = (raw(scopes.clone()), raw(metadata.clone()), raw(json!({})));
        let body = WhoamiBody {
            business_id: "b-1",
            environment: "test",
            kind: "secret",
            key_id: KeyId::from_bits(7),
            scopes: &scopes_json,
            metadata: &metadata_json,
            business_metadata: &none,
        };
        let read: serde_json::Value = serde_json::from_slice(&body.json()).expect("JSON");
        let expected = json!({
            "business_id": "b-1",
            "environment": "test",
            "kind": "secret",
            "key_id": KeyId::from_bits(7),
            "scopes": scopes,
            "metadata": metadata,
            "business_metadata": {},
        });
        assert_eq!(read, expected);
    }
}
