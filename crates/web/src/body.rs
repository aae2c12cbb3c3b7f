//! Reading a request's body: bounded in size and time, and strictly as JSON.

mod objects;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use tokio::time::{Instant, timeout_at};

use crate::connection::CloseWithoutAnswer;
use crate::problem::{Failure, FieldError, Kind};

use self::objects::Objects;

/// The most bytes of a body.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How long a body may take, from its first byte on, and how long that byte may take.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(15);
/// How deep arrays and objects may be nested.
pub const MAX_DEPTH: usize = 64;

/// A body that must be there, as JSON.
#[derive(Debug)]
pub struct Json<T> {
    /// What it says.
    pub value: T,
    /// Its bytes, for the fingerprint of a repeated request.
    pub bytes: Bytes,
}

/// A body that may be left out, as JSON; empty means the default, whatever its media type.
#[derive(Debug)]
pub struct JsonOrEmpty<T> {
    /// What it says.
    pub value: T,
    /// Its bytes, for the fingerprint of a repeated request.
    pub bytes: Bytes,
}

/// Why there is no body to work with.
#[derive(Debug)]
pub enum BodyRejection {
    /// An answer says why.
    Failure(Failure),
    /// Too slow, or broken off: the connection is closed.
    Closed,
}

impl From<Failure> for BodyRejection {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl IntoResponse for BodyRejection {
    fn into_response(self) -> Response {
        match self {
            Self::Failure(failure) => failure.into_response(),
            Self::Closed => {
                // The status is for the log only; the server closes the connection instead of sending it.
                let mut response = StatusCode::BAD_REQUEST.into_response();
                response.extensions_mut().insert(CloseWithoutAnswer);
                response
            }
        }
    }
}

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = BodyRejection;

    async fn from_request(request: Request, _: &S) -> Result<Self, BodyRejection> {
        let is_json = has_json_type(request.headers());
        let bytes = read(request, MAX_BODY_BYTES).await?;
        if !is_json && !bytes.is_empty() {
            return Err(Failure::new(Kind::UnsupportedMediaType).into());
        }
        let value = parse(&bytes)?;
        Ok(Self { value, bytes })
    }
}

impl<S: Sync, T: DeserializeOwned + Default> FromRequest<S> for JsonOrEmpty<T> {
    type Rejection = BodyRejection;

    async fn from_request(request: Request, _: &S) -> Result<Self, BodyRejection> {
        let is_json = has_json_type(request.headers());
        let bytes = read(request, MAX_BODY_BYTES).await?;
        if bytes.is_empty() {
            return Ok(Self { value: T::default(), bytes });
        }
        if !is_json {
            return Err(Failure::new(Kind::UnsupportedMediaType).into());
        }
        let value = parse(&bytes)?;
        Ok(Self { value, bytes })
    }
}

/// Exactly one `Content-Type`, `application/json` or `application/*+json`, with any parameters.
fn has_json_type(headers: &HeaderMap) -> bool {
    has_type(headers, |essence| {
        essence.strip_prefix("application/").is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
    })
}

/// Exactly one `Content-Type`, of which this is true without its parameters and in small letters.
pub(crate) fn has_type(headers: &HeaderMap, is: impl FnOnce(&str) -> bool) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let Ok(text) = value.to_str() else {
        return false;
    };
    is(&text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// The whole body, if it is not longer than `most` and comes in time.
pub(crate) async fn read(request: Request, most: usize) -> Result<Bytes, BodyRejection> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(Failure::new(Kind::BodyTooLarge).into());
    }
    let mut body = request.into_body();
    let mut bytes = BytesMut::new();
    let mut deadline = Instant::now() + BODY_TIMEOUT;
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return Ok(bytes.freeze()),
            Ok(Some(Err(_))) | Err(_) => return Err(BodyRejection::Closed),
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.is_empty() && !data.is_empty() {
            deadline = Instant::now() + BODY_TIMEOUT;
        }
        if bytes.len() + data.len() > most {
            return Err(Failure::new(Kind::BodyTooLarge).into());
        }
        bytes.extend_from_slice(&data);
    }
}

/// Reads JSON strictly: UTF-8, no duplicate members, at most [`MAX_DEPTH`] deep, and the members that `T` names, each by
/// its name.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Failure::new(Kind::InvalidJson).with_detail("The body is not UTF-8."))?;
    let mut check = serde_json::Deserializer::from_str(text);
    Strict { depth: 0 }.deserialize(&mut check).and_then(|()| check.end()).map_err(|error| not_json(&error))?;
    let mut shaped = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(Objects(&mut shaped)).map_err(|error| {
        let pointer = pointer_to(error.path());
        let detail = what_is_expected(&error.inner().to_string());
        Failure::new(Kind::InvalidBody).with_errors(vec![FieldError::body(pointer, detail)])
    })
}

const DUPLICATE: &str = "duplicate member";
const TOO_DEEP: &str = "nested too deep";

fn not_json(error: &serde_json::Error) -> Failure {
    let text = error.to_string();
    let reason = if text.starts_with(DUPLICATE) {
        "An object names the same member twice"
    } else if text.starts_with(TOO_DEEP) {
        "The body is nested more than 64 deep"
    } else {
        "The JSON text is broken"
    };
    let detail = format!("{reason}, at line {}, column {}.", error.line(), error.column());
    Failure::new(Kind::InvalidJson).with_detail(detail)
}

/// The JSON pointer (RFC 6901) to where reading stopped.
fn pointer_to(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;

    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.extend(["/", &index.to_string()]),
            // A member's name is the caller's text; one that could be a misplaced key is not repeated.
            Segment::Map { key } if is_plain_name(key) => pointer.extend(["/", key]),
            Segment::Map { .. } | Segment::Unknown => return pointer,
            Segment::Enum { .. } => {}
        }
    }
    pointer
}

/// Whether a member's name cannot be a key: too short for one, or without digits and capitals.
fn is_plain_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && (name.len() < 20 || name.bytes().all(word))
}

/// What a message of the deserialiser says without repeating anything that was sent.
fn what_is_expected(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
    if message.starts_with("unknown field") {
        return expected
            .map_or_else(|| "is not known here".to_owned(), |known| format!("is not known here; known: {known}"));
    }
    if let Some(name) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return format!("the member `{name}` is missing");
    }
    expected.map_or_else(|| "cannot be read".to_owned(), |expected| format!("must be {}", in_json(expected)))
}

/// What the deserialiser wanted, in the words of JSON rather than of Rust.
fn in_json(expected: &str) -> Cow<'_, str> {
    let whole = |most: u64| format!("a whole number from 0 to {most}").into();
    match expected {
        "u8" => whole(u8::MAX.into()),
        "u16" => whole(u16::MAX.into()),
        "u32" => whole(u32::MAX.into()),
        "u64" | "usize" => "a whole number of at least 0".into(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a map" => "an object".into(),
        "a sequence" => "a list".into(),
        _ if expected.starts_with("struct ") || expected.contains("tagged enum ") => "an object".into(),
        _ => expected.into(),
    }
}

/// Walks a JSON text and keeps nothing; refuses duplicate members and depth.
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(&self) -> Result<usize, E> {
        if self.depth >= MAX_DEPTH { Err(E::custom(TOO_DEEP)) } else { Ok(self.depth + 1) }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        while items.next_element_seed(Self { depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                return Err(serde::de::Error::custom(DUPLICATE));
            }
            members.next_value_seed(Self { depth })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::wire::Change;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        name: String,
        #[serde(default)]
        until: Change<String>,
        #[serde(default)]
        list: Vec<Inner>,
        inner: Option<Inner>,
        either: Option<Either>,
        #[serde(default)]
        small: u16,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Either {
        Of { flag: bool },
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        flag: bool,
    }

    fn kind_of(text: &[u8]) -> Kind {
        parse::<Sample>(text).expect_err("must be refused").kind()
    }

    #[test]
    fn what_is_no_json_is_refused_as_such() {
        let deep = format!("{{\"name\":{}{}}}", "[".repeat(64), "]".repeat(64));
        for text in [
            &b""[..],
            b"{",
            b"{\"name\":\"a\",\"name\":\"a\"}",
            b"{\"name\":\"a\"} x",
            b"{\"name\":\"\xff\"}",
            b"{\"list\":[{\"flag\":true,\"flag\":true}],\"name\":\"a\"}",
            b"\xef\xbb\xbf{\"name\":\"a\"}",
            deep.as_bytes(),
        ] {
            assert_eq!(kind_of(text), Kind::InvalidJson, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn wrong_members_are_pointed_at_without_their_values() {
        for (text, pointer) in [
            (r#"{"name":"a","nope":1}"#, "/nope"),
            (r#"{"name":17}"#, "/name"),
            ("{}", ""),
            (r#"{"name":"a","list":[{"flag":true},{"flag":"canaryCANARY123canary"}]}"#, "/list/1/flag"),
            (r#"{"name":"a","Mileston_TEST_canaryCANARY123":1}"#, ""),
            ("[]", ""),
        ] {
            let failure = parse::<Sample>(text.as_bytes()).expect_err("must be refused");
            assert_eq!(failure.kind(), Kind::InvalidBody, "{text}");
            let error = &failure.errors()[0];
            assert_eq!(error.place, crate::problem::Place::Body(pointer.to_owned()), "{text}");
            assert!(!error.detail.contains("anary"), "{text}: {}", error.detail);
        }
    }

    #[test]
    fn members_have_names_however_deep() {
        for (text, pointer) in [
            (r#"["a"]"#, ""),
            (r#"["a", "x", []]"#, ""),
            (r#"{"name":"a","list":[[true]]}"#, "/list/0"),
            (r#"{"name":"a","list":[{"flag":true},[true]]}"#, "/list/1"),
            (r#"{"name":"a","inner":[true]}"#, "/inner"),
            (r#"{"name":"a","either":{"of":[true]}}"#, "/either"),
        ] {
            let failure = parse::<Sample>(text.as_bytes()).expect_err("must be refused");
            let error = &failure.errors()[0];
            assert_eq!(error.detail, "must be an object", "{text}");
            assert_eq!(error.place, crate::problem::Place::Body(pointer.to_owned()), "{text}");
        }
        let read: Sample =
            parse(br#"{"name":"a","inner":{"flag":true},"either":{"of":{"flag":false}},"small":3}"#).expect("good");
        assert!(read.small == 3 && read.inner.is_some_and(|inner| inner.flag));
        assert!(matches!(read.either, Some(Either::Of { flag: false })));
    }

    #[test]
    fn what_is_wanted_is_said_in_words_of_json() {
        for (text, detail) in [
            ("7", "must be an object"),
            ("null", "must be an object"),
            (r#"{"name":7}"#, "must be a string"),
            (r#"{"name":"a","list":{}}"#, "must be a list"),
            (r#"{"name":"a","inner":{"flag":1}}"#, "must be true or false"),
            (r#"{"name":"a","small":-1}"#, "must be a whole number from 0 to 65535"),
            (r#"{"name":"a","small":70000}"#, "must be a whole number from 0 to 65535"),
        ] {
            assert_eq!(parse::<Sample>(text.as_bytes()).expect_err("refused").errors()[0].detail, detail, "{text}");
        }
    }

    #[test]
    fn absent_and_null_are_told_apart() {
        let absent: Sample = parse(br#"{"name":"a"}"#).expect("good");
        let null: Sample = parse(br#"{"name":"a","until":null}"#).expect("good");
        let given: Sample = parse(br#"{"name":"a","until":"x"}"#).expect("good");
        assert_eq!((absent.until, null.until, given.until), (Change::Absent, Change::Null, Change::To("x".to_owned())));
        assert!(absent.list.is_empty() && absent.name == "a");
        let listed: Sample = parse(br#"{"name":"a","list":[{"flag":true}]}"#).expect("good");
        assert!(listed.list[0].flag);
    }

    #[tokio::test]
    async fn a_body_has_a_size_and_a_type() {
        let request = |media_type: &'static str, size: usize| {
            Request::builder()
                .header(CONTENT_TYPE, media_type)
                .body(axum::body::Body::from(format!("{{\"name\":\"{}\"}}", "x".repeat(size))))
                .expect("a request")
        };
        assert!(Json::<Sample>::from_request(request("application/json; charset=utf-8", 9), &()).await.is_ok());
        for (media_type, size, kind) in
            [("text/plain", 9, Kind::UnsupportedMediaType), ("application/json", MAX_BODY_BYTES, Kind::BodyTooLarge)]
        {
            match Json::<Sample>::from_request(request(media_type, size), &()).await {
                Err(BodyRejection::Failure(failure)) => assert_eq!(failure.kind(), kind),
                other => panic!("{other:?}"),
            }
        }
    }
}
