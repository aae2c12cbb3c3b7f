//! Forms: read with their limits, proven to come from a page of ours, and shown again with what is wrong.

use std::convert::Infallible;

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::session::form_tokens;
use super::text::Texts;
use crate::body::{self, BodyRejection};
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// The most bytes of a form.
pub const MAX_FORM_BYTES: usize = 64 * 1024;
/// The field that proves that a form comes from a page of this session.
pub const CSRF_FIELD: &str = "csrf";
/// The same, as a header of a script's request.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// The fields of a form that came from a page of ours.
///
/// `T` is a struct of texts and lists of texts: what they mean is read afterwards, so that a form with a mistake can
/// be shown again as it was sent.
#[derive(Debug)]
pub struct Form<T>(pub T);

/// Why a form is not read.
#[derive(Debug)]
pub struct FormRejection(BodyRejection);

impl From<Failure> for FormRejection {
    fn from(failure: Failure) -> Self {
        Self(failure.into())
    }
}

impl IntoResponse for FormRejection {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

/// The file of a form that came from a page of ours; empty where none was chosen.
#[derive(Debug)]
pub struct FileForm(pub Bytes);

/// The most bytes of a form with a file. What is taken of a file is less; a larger one is told so at its field.
const MAX_FILE_FORM_BYTES: usize = body::MAX_BODY_BYTES;

impl FromRequest<Web> for FileForm {
    type Rejection = FormRejection;

    async fn from_request(request: Request, web: &Web) -> Result<Self, FormRejection> {
        let headers = request.headers();
        check_origin(headers)?;
        let expected = form_tokens(headers, web.secure_cookies);
        let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(media_type);
        let bytes = body::read(request, MAX_FILE_FORM_BYTES).await.map_err(FormRejection)?;
        let boundary = boundary.map_err(|_| Failure::new(Kind::UnsupportedMediaType))?;
        let invalid = |_| Failure::new(Kind::InvalidBody);
        // The whole body is there already, and bounded.
        let whole = futures_util::stream::iter([Ok::<_, Infallible>(bytes)]);
        let mut parts = multer::Multipart::new(whole, boundary);
        let (mut sent, mut file) = (None, Bytes::new());
        while let Some(part) = parts.next_field().await.map_err(invalid)? {
            if part.name() == Some(CSRF_FIELD) {
                sent = Some(part.text().await.map_err(invalid)?);
            } else if part.file_name().is_some() {
                file = part.bytes().await.map_err(invalid)?;
            }
        }
        check_token(expected, sent)?;
        Ok(Self(file))
    }
}

/// A form of a session carries one of the session's tokens.
fn check_token(expected: Option<Vec<String>>, sent: Option<String>) -> Result<(), Failure> {
    let Some(expected) = expected else { return Ok(()) };
    let is = |sent: &str, token: &String| bool::from(sent.as_bytes().ct_eq(token.as_bytes()));
    let good = sent.is_some_and(|sent| expected.iter().any(|token| is(&sent, token)));
    if good { Ok(()) } else { Err(Failure::new(Kind::CrossSite)) }
}

impl<T: DeserializeOwned> FromRequest<Web> for Form<T> {
    type Rejection = FormRejection;

    async fn from_request(request: Request, web: &Web) -> Result<Self, FormRejection> {
        let headers = request.headers();
        check_origin(headers)?;
        let expected = form_tokens(headers, web.secure_cookies);
        let by_header = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        let plain_form = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
        let bytes = body::read(request, MAX_FORM_BYTES).await.map_err(FormRejection)?;
        if !plain_form && !bytes.is_empty() {
            return Err(Failure::new(Kind::UnsupportedMediaType).into());
        }
        let sent = by_header.or_else(|| {
            let pairs: Vec<(String, String)> = serde_html_form::from_bytes(&bytes).ok()?;
            pairs.into_iter().find(|(name, _)| name == CSRF_FIELD).map(|(_, value)| value)
        });
        check_token(expected, sent)?;
        serde_html_form::from_bytes(&bytes).map(Self).map_err(|_| Failure::new(Kind::InvalidBody).into())
    }
}

/// A request that changes something comes from a page of this site: browsers say so, and cannot be made to lie.
fn check_origin(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let refused = || Failure::new(Kind::CrossSite);
    match text("sec-fetch-site") {
        Some("same-origin") => return Ok(()),
        Some(_) => return Err(refused()),
        // Over plain HTTP, and by older browsers, it is not sent.
        None => {}
    }
    let origin = text(ORIGIN.as_str()).ok_or_else(refused)?;
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")).ok_or_else(refused)?;
    match text(HOST.as_str()) {
        Some(host) if host.eq_ignore_ascii_case(authority) => Ok(()),
        _ => Err(refused()),
    }
}

/// The bytes that a token of forms is made of.
const CSRF_TOKEN_BYTES: usize = 16;

/// The token that the forms of a session carry. It follows from the first secret of the session, which never leaves the
/// cookie.
pub(crate) fn csrf_token(session: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"trousseau csrf\0");
    hasher.update(session.as_bytes());
    hasher.finalize().iter().take(CSRF_TOKEN_BYTES).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Whether a text has the form of such a token.
pub(crate) fn is_csrf_token(text: &str) -> bool {
    text.len() == 2 * CSRF_TOKEN_BYTES && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What is wrong with the fields of a form, in the order of the form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormErrors {
    errors: Vec<FormError>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormError {
    /// The id of the field's control in the page.
    pub field: &'static str,
    /// What to do about it, in the reader's language.
    pub message: String,
}

impl FormErrors {
    /// Nothing is wrong yet.
    pub const fn new() -> Self {
        Self { errors: Vec::new() }
    }

    /// Something is wrong with the control of this id.
    pub fn add(&mut self, field: &'static str, message: impl Into<String>) {
        self.errors.push(FormError { field, message: message.into() });
    }

    /// The value, or a note that it cannot be used.
    pub fn read<T, E>(&mut self, field: &'static str, value: Result<T, E>, message: impl Into<String>) -> Option<T> {
        value.map_err(|_| self.add(field, message)).ok()
    }

    /// The lines of a text, each read on its own. `wrong` is the message about those that cannot be, and names them.
    pub(crate) fn entries<T: std::str::FromStr>(
        &mut self,
        field: &'static str,
        text: &str,
        most: usize,
        wrong: &'static str,
        t: Texts,
    ) -> Vec<T> {
        let mut good = Vec::new();
        let mut bad = Vec::new();
        for line in text.split(['\n', ',', ' ']).map(str::trim).filter(|line| !line.is_empty()).take(most + 1) {
            match line.parse() {
                Ok(entry) => good.push(entry),
                Err(_) => bad.push(line.to_owned()),
            }
        }
        if !bad.is_empty() {
            self.add(field, t.with(wrong, [("list", bad.join(", "))]));
        } else if good.len() > most {
            self.add(field, t.with("wrong-too-many", [("most", most)]));
        }
        good
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// All of them, for the summary.
    pub fn all(&self) -> &[FormError] {
        &self.errors
    }

    /// What is wrong with one control, or nothing.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(pairs: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().expect("a header"));
        }
        check_origin(&headers).is_ok()
    }

    #[test]
    fn only_pages_of_this_site_change_anything() {
        assert!(origin(&[("sec-fetch-site", "same-origin")]));
        assert!(origin(&[("origin", "https://keys.example.com"), ("host", "keys.example.com")]));
        assert!(origin(&[("origin", "http://localhost:8080"), ("host", "localhost:8080")]));
        for forged in [
            &[][..],
            &[("host", "keys.example.com")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site"), ("origin", "https://keys.example.com"), ("host", "keys.example.com")],
            &[("sec-fetch-site", "none")],
            &[("origin", "null"), ("host", "keys.example.com")],
            &[("origin", "https://evil.example"), ("host", "keys.example.com")],
            &[("origin", "https://keys.example.com.evil.example"), ("host", "keys.example.com")],
            &[("origin", "https://keys.example.com:8443"), ("host", "keys.example.com")],
            &[("origin", "ftp://keys.example.com"), ("host", "keys.example.com")],
        ] {
            assert!(!origin(forged), "{forged:?}");
        }
    }

    #[test]
    fn tokens_differ_by_session_and_say_nothing_of_it() {
        let (one, other) = (csrf_token("a"), csrf_token("b"));
        assert!(is_csrf_token(&one));
        assert_ne!(one, other);
    }

    #[test]
    fn errors_are_found_by_their_field() {
        let mut errors = FormErrors::new();
        assert_eq!(errors.read("name", Ok::<_, ()>(1), "no"), Some(1));
        assert_eq!(errors.read("end", Err::<(), _>(()), "too early"), None);
        assert_eq!((errors.of("end"), errors.of("name")), (Some("too early"), None));
        assert!(!errors.is_empty() && errors.all().len() == 1);
    }
}
