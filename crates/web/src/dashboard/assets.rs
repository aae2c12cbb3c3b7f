//! Style, script and fonts, embedded in the executable and named by their content.

use std::future::{Ready, ready};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sha2::{Digest as _, Sha256};

use crate::problem::{Failure, Kind};

/// Name, media type, content. Licences stand beside what they are for.
const FILES: &[(&str, &str, &[u8])] = &[
    ("ui.css", "text/css; charset=utf-8", include_bytes!("../../assets/ui.css")),
    ("ui.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/ui.js")),
    ("wallet.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/wallet.js")),
    ("htmx.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/htmx-4.0.1.min.js")),
    ("htmx-LICENSE.txt", "text/plain; charset=utf-8", include_bytes!("../../assets/htmx-LICENSE.txt")),
    ("inter-latin.woff2", "font/woff2", include_bytes!("../../assets/inter-latin.woff2")),
    ("inter-LICENSE.txt", "text/plain; charset=utf-8", include_bytes!("../../assets/inter-LICENSE.txt")),
    ("icon.svg", "image/svg+xml", include_bytes!("../../assets/icon.svg")),
];

/// One digest over all of them: the style names its font beside itself.
static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = Sha256::new();
    for (name, _, content) in FILES {
        hasher.update(name.as_bytes());
        hasher.update(content);
    }
    hasher.finalize().iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
});

/// Where a page finds an asset.
pub(crate) fn url(name: &str) -> String {
    debug_assert!(FILES.iter().any(|(known, ..)| *known == name), "there is no asset {name}");
    format!("/assets/{}/{name}", *DIGEST)
}

/// An asset. Under the digest of another release it is given too, and not kept: a page of that release may ask.
pub(crate) fn serve(Path((digest, name)): Path<(String, String)>) -> Ready<Result<Response, Failure>> {
    ready(FILES.iter().find(|(known, ..)| *known == name).map_or(Err(Failure::new(Kind::NotFound)), |file| {
        let (_, media_type, content) = *file;
        let caching = if digest == *DIGEST { "public, max-age=31536000, immutable" } else { "no-store" };
        Ok(([(CONTENT_TYPE, media_type), (CACHE_CONTROL, caching)], content).into_response())
    }))
}
