//! *Try it in TEST*: a call of the reference, sent by a form of ours and run here with a TEST key of the reader.
//!
//! The key's value goes from the service into the request and nowhere else: the browser never sees it. The request goes
//! through the same routes as one from outside, from the reader's own address, and stands in the request log like any
//! other. Values of keys in the answer are masked.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::FromRequestParts;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, FORWARDED, HOST, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Collected, Limited};
use serde_json::Value;
use tokio::time::Instant;
use tower::ServiceExt as _;
use trousseau_domain::brand::Brand;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::{BusinessId, KeyId, RequestId};
use trousseau_domain::key_text::contains_key;
use trousseau_domain::keys::{KeyKind, KeyStatus};
use trousseau_domain::members::Operation as Deed;
use trousseau_service::idempotency::Answered;
use trousseau_service::keys::KeyQuery;
use trousseau_service::people::SignedIn;
use trousseau_service::{Context, KeyFilter, KeyOrder, ServiceError};

use super::prose::Prose;
use super::reference::{Callers, Operation, Place};
use super::samples::pretty;
use crate::connection::Peer;
use crate::dashboard::look::Look;
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// The most bytes of an answer that are shown.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// The most keys of one business that can be chosen from.
const MOST_KEYS: u32 = 100;
/// What stands for a value that is not shown.
const MASK: &str = "*****";

/// The form, and what came of it.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) keys: Vec<KeyChoice>,
    pub(super) fields: Vec<Field>,
    /// The body as it stands in the form, for operations that take one.
    pub(super) body: Option<String>,
    pub(super) outcome: Option<Outcome>,
}

/// A key that the call can be made with.
#[derive(Debug)]
pub(super) struct KeyChoice {
    /// The business's id and the key's, with a slash between them.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) masked_value: String,
    pub(super) business: String,
    pub(super) chosen: bool,
}

/// A parameter of the call.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) place_word: String,
    pub(super) about: Option<Prose>,
    pub(super) required: bool,
    pub(super) value: String,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) request: String,
    pub(super) status: u16,
    pub(super) reason: &'static str,
    pub(super) good: bool,
    pub(super) milliseconds: u32,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// What the form sent, by the ids of its controls.
pub(super) type Sent = BTreeMap<String, String>;

/// Whether this person can try the call at all: those of the operator need a key that no page holds, and keys are
/// nothing for those who see none of them.
pub(super) fn offered(operation: &Operation, person: &SignedIn) -> bool {
    operation.callers == Callers::Keys
        && person.memberships.iter().any(|membership| membership.role.may(Deed::KeysWrite))
}

fn field_id(place: Place, name: &str) -> String {
    let place = match place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    format!("{place}-{name}")
}

impl Trial {
    /// The form for this person, with what was `sent` in it.
    pub(super) async fn prepare(
        web: &Web,
        person: &SignedIn,
        operation: &Operation,
        sent: Option<&Sent>,
    ) -> Result<Self, ServiceError> {
        let chosen = sent.and_then(|sent| sent.get("key")).map(String::as_str);
        let fields = operation.parameters.iter().map(|parameter| {
            let id = field_id(parameter.place, &parameter.member.name);
            Field {
                value: sent.and_then(|sent| sent.get(&id)).cloned().unwrap_or_default(),
                name: parameter.member.name.clone(),
                place_word: parameter.place_word.clone(),
                about: parameter.member.about.clone(),
                required: parameter.member.required,
                id,
            }
        });
        let body = operation
            .body
            .as_ref()
            .map(|body| sent.and_then(|sent| sent.get("body")).cloned().unwrap_or_else(|| pretty(&body.example)));
        Ok(Self { keys: keys(web, person, chosen).await?, fields: fields.collect(), body, outcome: None })
    }
}

/// The TEST keys of the person's businesses whose value may be read, and which the person may read.
async fn keys(web: &Web, person: &SignedIn, chosen: Option<&str>) -> Result<Vec<KeyChoice>, ServiceError> {
    let mut found = Vec::new();
    for membership in &person.memberships {
        let readable = web.app.settings().profile(&membership.business.profile).is_some_and(|profile| {
            profile.environments.offers(Environment::Test) && profile.value_readable(Environment::Test, KeyKind::Secret)
        });
        if !readable || !membership.role.may(Deed::KeysWrite) {
            continue;
        }
        let tenant = Tenant::new(membership.business.id.clone(), Environment::Test);
        let filter = KeyFilter { kind: Some(KeyKind::Secret), status: Some(KeyStatus::Active), ..KeyFilter::default() };
        let query = KeyQuery { filter, order: KeyOrder::NumberDesc, after: None, limit: MOST_KEYS };
        for view in web.app.keys().list(&tenant, &query).await?.data {
            let id = format!("{}/{}", membership.business.id, view.key.id);
            found.push(KeyChoice {
                name: view.key.name.as_ref().map_or_else(|| view.key.number.to_string(), ToString::to_string),
                masked_value: view.masked_value(),
                business: membership.business.name.as_str().to_owned(),
                chosen: chosen == Some(id.as_str()),
                id,
            });
        }
    }
    Ok(found)
}

/// From where the reader calls, as far as the routes look at it.
#[derive(Debug)]
pub(super) struct TryCaller {
    peer: Option<Peer>,
    request_id: RequestId,
    headers: HeaderMap,
}

impl FromRequestParts<Web> for TryCaller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Web) -> Result<Self, Failure> {
        let request_id = *parts.extensions.get::<RequestId>().ok_or(Kind::Internal)?;
        Ok(Self { peer: parts.extensions.get().copied(), request_id, headers: parts.headers.clone() })
    }
}

/// Runs the call of the form with the chosen key.
pub(super) async fn run(
    web: &Web,
    routes: &Router,
    person: &SignedIn,
    operation: &Operation,
    sent: &Sent,
    caller: &TryCaller,
) -> Result<Outcome, Failure> {
    // Only what the form offers: a TEST key of a business in which this person may read it.
    let offered = keys(web, person, sent.get("key").map(String::as_str)).await?;
    let not_found = || Failure::new(Kind::NotFound);
    let choice = offered.iter().find(|key| key.chosen).ok_or_else(not_found)?;
    let (business, key) = choice.id.split_once('/').ok_or_else(not_found)?;
    let business: BusinessId = business.parse().map_err(|_| not_found())?;
    let key: KeyId = key.parse().map_err(|_| not_found())?;
    let membership = person.membership(&business).ok_or_else(not_found)?;
    let context = Context::member(person, &business, membership.role, caller.request_id);
    let tenant = Tenant::new(business.clone(), Environment::Test);
    let Answered::Done(issued) = web.app.keys().reveal(&context, &tenant, key, None).await? else {
        // Only a request that names itself is answered with what was stored of it.
        return Err(Kind::Internal.into());
    };

    let path = path_of(operation, sent);
    let method = Method::from_str(&operation.method).map_err(|_| Kind::Internal)?;
    let mut request = Request::builder().method(&method).uri(&path).body(body_of(operation, sent)).map_err(|_| {
        // A value that cannot stand in an address.
        Failure::new(Kind::InvalidQuery)
    })?;
    let headers = request.headers_mut();
    let mut value = HeaderValue::from_str(issued.value.expose()).map_err(|_| Kind::Internal)?;
    value.set_sensitive(true);
    headers.insert("apikey", value);
    let id = HeaderValue::from_str(business.as_str()).map_err(|_| Kind::Internal)?;
    headers.insert("businessid", id);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(Look::of(&caller.headers).language.tag()));
    headers.insert(USER_AGENT, HeaderValue::from_static("trousseau-dashboard"));
    if operation.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for parameter in operation.parameters_in(Place::Header) {
        let name = &parameter.member.name;
        let given = sent.get(&field_id(Place::Header, name)).filter(|given| !given.is_empty());
        if let (Ok(name), Some(given)) = (HeaderName::from_str(name), given) {
            headers.insert(name, HeaderValue::from_str(given).map_err(|_| Kind::InvalidIdempotencyKey)?);
        }
    }
    // The call comes from where its person is, as every proxy on the way says.
    for name in
        [HOST, FORWARDED, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-forwarded-proto")]
    {
        for value in caller.headers.get_all(&name) {
            headers.append(name.clone(), value.clone());
        }
    }
    if let Some(peer) = caller.peer {
        request.extensions_mut().insert(peer);
    }

    let started = Instant::now();
    let Ok(response) = routes.clone().oneshot(request).await;
    let (parts, body) = response.into_parts();
    let bytes = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map(Collected::to_bytes).unwrap_or_default();
    let elapsed = started.elapsed();
    let brand = web.app.settings().brand();
    let shown = |value: &HeaderValue| masked_text(&String::from_utf8_lossy(value.as_bytes()), brand);
    Ok(Outcome {
        request: format!("{method} {}", masked_text(&path, brand)),
        status: parts.status.as_u16(),
        reason: parts.status.canonical_reason().unwrap_or_default(),
        good: parts.status.is_success(),
        milliseconds: u32::try_from(elapsed.as_millis()).unwrap_or(u32::MAX),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), shown(value))).collect(),
        body: masked_body(&bytes, brand),
    })
}

/// The path with the form's values, and those parameters of the query that have one.
fn path_of(operation: &Operation, sent: &Sent) -> String {
    let given = |place, name: &str| sent.get(&field_id(place, name)).map(|given| given.trim().to_owned());
    operation.path_with(|place, member| given(place, &member.name), true)
}

fn body_of(operation: &Operation, sent: &Sent) -> HttpBody {
    match (&operation.body, sent.get("body")) {
        (Some(_), Some(body)) => HttpBody::from(body.clone()),
        _ => HttpBody::empty(),
    }
}

/// An answer without the values of keys: JSON over several lines, anything else as it is.
fn masked_body(bytes: &[u8], brand: &Brand) -> String {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(mut value) => {
            mask(&mut value, brand);
            pretty(&value)
        }
        Err(_) => masked_text(&String::from_utf8_lossy(bytes), brand),
    }
}

fn masked_text(text: &str, brand: &Brand) -> String {
    if contains_key(text, brand) { MASK.to_owned() } else { text.to_owned() }
}

/// Masks what an answer gives of secrets: by the names of the members that hold them, and whatever looks like a key.
fn mask(value: &mut Value, brand: &Brand) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if matches!(name.as_str(), "value" | "authorization" | "apiKey" | "secret") => {
                        MASK.clone_into(text);
                    }
                    member => mask(member, brand),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| mask(value, brand)),
        Value::String(text) if contains_key(text, brand) => MASK.clone_into(text),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use trousseau_domain::key_text::{KeyForm, generate};

    use super::*;

    #[test]
    fn no_value_of_a_key_is_shown() {
        let brand = Brand::default();
        let key = generate(KeyForm::Branded, &brand, Environment::Test, KeyKind::Secret, &[7; 256]);
        let answer = json!({
            "value": "q7YbT2mXc9LrV4kPz8Wd",
            "authorization": "Basic abc",
            "keys": [{"value": key.expose(), "name": "value"}],
            "note": format!("it was {}", key.expose()),
            "masked_value": "Mileston_TEST_*****x7Q",
        });
        let shown = masked_body(answer.to_string().as_bytes(), &brand);
        assert!(!shown.contains(key.expose()) && !shown.contains("q7Yb") && !shown.contains("Basic abc"), "{shown}");
        assert!(shown.contains("Mileston_TEST_*****x7Q") && shown.contains("\"name\": \"value\""), "{shown}");
        assert_eq!(masked_body(key.expose().as_bytes(), &brand), MASK);
        assert_eq!(masked_body(b"ok", &brand), "ok");
    }
}
