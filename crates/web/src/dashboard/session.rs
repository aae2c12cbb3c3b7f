//! Who reads, as extractors: a page cannot be made without the proof that its reader may see it.

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use trousseau_domain::ids::RequestId;

use super::format::Formats;
use super::frame::Frame;
use super::look::Look;
use crate::problem::{Failure, Kind};
use crate::router::Web;

use super::look::{cookie, set_cookie};

/// The cookie over HTTPS: `__Host-` keeps it from other hosts of the same domain, and from plain HTTP.
const SECURE_COOKIE: &str = "__Host-trousseau_session";
/// The cookie over plain HTTP, on this machine.
const PLAIN_COOKIE: &str = "trousseau_session";

const fn cookie_name(secure: bool) -> &'static str {
    if secure { SECURE_COOKIE } else { PLAIN_COOKIE }
}

/// The session's secret as the browser sent it.
pub(crate) fn session_cookie(headers: &HeaderMap, secure: bool) -> Option<&str> {
    cookie(headers, cookie_name(secure)).filter(|value| !value.is_empty())
}

/// Gives the browser the session's secret. It ends with the browser, or with the session on our side.
pub fn set_session_cookie(headers: &mut HeaderMap, secret: &str, secure: bool) {
    set_cookie(headers, cookie_name(secure), secret, None, secure);
}

/// Takes the session's secret away.
pub fn clear_session_cookie(headers: &mut HeaderMap, secure: bool) {
    set_cookie(headers, cookie_name(secure), "", Some(0), secure);
}

/// The frame of a page that anybody may read.
impl FromRequestParts<Web> for Frame {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Failure> {
        let id = *parts.extensions.get::<RequestId>().ok_or(Kind::Internal)?;
        let here = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        let language = Look::of(&parts.headers).language;
        let zone = web.app.settings().default_time_zone().clone();
        let formats = Formats::new(language, zone, web.app.now());
        Ok(Self::new(&parts.headers, formats, here, id, web.secure_cookies))
    }
}
