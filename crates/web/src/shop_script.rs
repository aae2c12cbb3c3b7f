//! `/trousseau.js`, which the page of a shop loads to take payments, the same as a module, and its types.
//!
//! Their addresses stay the same from release to release, so they are asked for anew soon, by their digest. Any page may
//! load them, and read them for a check of integrity.

use std::sync::LazyLock;

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::router::Web;

/// Lets pages load it that demand consent from everything that they load.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// Ten minutes: as long as browsers keep what preflights answer.
const CACHING: &str = "public, max-age=600";

struct File {
    media_type: &'static str,
    content: &'static str,
    /// Its digest as an entity tag, in quotation marks.
    tag: HeaderValue,
}

impl File {
    fn new(media_type: &'static str, content: &'static str) -> Self {
        let digest = Sha256::digest(content);
        let digits = digest.iter().take(16).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let tag = HeaderValue::from_str(&format!("\"{digits}\"")).expect("hexadecimal digits in quotation marks");
        Self { media_type, content, tag }
    }

    /// The file, or that it is still the one that the caller has.
    fn answer(&self, headers: &HeaderMap) -> Response {
        let common = [
            (ETAG, self.tag.clone()),
            (CACHE_CONTROL, HeaderValue::from_static(CACHING)),
            (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
            (RESOURCE_POLICY, HeaderValue::from_static("cross-origin")),
        ];
        if self.is_known(headers) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        (common, [(CONTENT_TYPE, self.media_type)], self.content).into_response()
    }

    /// Whether the caller names this very content (RFC 9110, section 13.1.2). A proxy that compresses it on the way may
    /// have made the tag weak.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let given = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        given.flat_map(|list| list.split(',')).map(str::trim).any(|tag| {
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag == "*" || tag.as_bytes() == self.tag.as_bytes()
        })
    }
}

static SCRIPT: LazyLock<File> =
    LazyLock::new(|| File::new("text/javascript; charset=utf-8", include_str!("../assets/trousseau.js")));
static MODULE: LazyLock<File> = LazyLock::new(|| {
    const TEXT: &str = concat!(include_str!("../assets/trousseau.js"), include_str!("../assets/trousseau.module.js"));
    File::new("text/javascript; charset=utf-8", TEXT)
});
static TYPES: LazyLock<File> =
    LazyLock::new(|| File::new("application/typescript; charset=utf-8", include_str!("../assets/trousseau.d.ts")));

/// The routes of the three files.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/trousseau.js", get(|headers: HeaderMap| async move { SCRIPT.answer(&headers) }))
        .route("/trousseau.mjs", get(|headers: HeaderMap| async move { MODULE.answer(&headers) }))
        .route("/trousseau.d.ts", get(|headers: HeaderMap| async move { TYPES.answer(&headers) }))
}
