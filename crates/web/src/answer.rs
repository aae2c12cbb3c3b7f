//! Answers that may be given again, with or without the values they held.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::Value;
use trousseau_domain::profile::Changing;
use trousseau_service::Context;
use trousseau_service::idempotency::{Refill, StoredAnswer};
use trousseau_service::payments::invoices::InvoiceFile;

use crate::problem::{Failure, Kind};
use crate::router::Web;

/// What stands where a value may not be read again.
const ADVICE: &str = "The value was shown once and is not kept. Rotate the key to get a new one.";
/// The same where the profile knows no rotation.
const ADVICE_WITHOUT_ROTATION: &str = "The value was shown once and is not kept. Make another key to get a new one.";

/// A body as JSON; our own types always have one.
pub(crate) fn json(body: &impl Serialize) -> Value {
    serde_json::to_value(body).expect("wire types hold texts, numbers and lists only")
}

/// A body with a status.
pub(crate) fn respond(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// An invoice as a file to take along.
pub(crate) fn file(invoice: InvoiceFile) -> Response {
    let disposition = format!("attachment; filename=\"{}\"", invoice.name);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/pdf")),
        (CONTENT_DISPOSITION, HeaderValue::from_str(&disposition).expect("names of files are ours: words and numbers")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, invoice.content).into_response()
}

/// The answer to keep: the same body with every value emptied.
pub(crate) fn stored(status: u16, mut body: Value, refills: Vec<Refill>) -> StoredAnswer {
    for slot in slots(&mut body) {
        for name in ["value", "apiKey", "authorization"] {
            if let Some(member) = slot.get_mut(name) {
                *member = Value::Null;
            }
        }
    }
    StoredAnswer { status, body: body.to_string(), refills }
}

/// The objects of an answer that hold a key's value: itself, or those in its `keys`.
fn slots(body: &mut Value) -> Vec<&mut serde_json::Map<String, Value>> {
    let holds = body.get("value").is_some() || body.get("apiKey").is_some();
    let Value::Object(object) = body else { return Vec::new() };
    if holds {
        return vec![object];
    }
    match object.get_mut("keys") {
        Some(Value::Array(keys)) => keys.iter_mut().filter_map(Value::as_object_mut).collect(),
        _ => Vec::new(),
    }
}

/// An earlier answer, with the values that may still be read.
pub(crate) async fn replay(web: &Web, context: &Context, earlier: StoredAnswer) -> Result<Response, Failure> {
    replay_with(web, context, earlier, None).await
}

/// The same in the shape of another system, which knows no advice.
pub(crate) async fn replay_plainly(web: &Web, context: &Context, earlier: StoredAnswer) -> Result<Response, Failure> {
    let status = earlier.status;
    Ok(respond(status, &filled(web, context, &earlier, false).await?))
}

/// The same, with a member that is of the repeated request itself.
pub(crate) async fn replay_with(
    web: &Web,
    context: &Context,
    earlier: StoredAnswer,
    member: Option<(&str, Value)>,
) -> Result<Response, Failure> {
    let mut body = filled(web, context, &earlier, true).await?;
    if let (Some(members), Some((name, value))) = (body.as_object_mut(), member) {
        members.insert(name.to_owned(), value);
    }
    Ok(respond(earlier.status, &body))
}

/// The body of an earlier answer with the values that may still be read, and advice where one may not.
async fn filled(web: &Web, context: &Context, earlier: &StoredAnswer, advises: bool) -> Result<Value, Failure> {
    let mut body: Value =
        serde_json::from_str(&earlier.body).map_err(|error| Failure::new(Kind::Internal).with_cause(error))?;
    for (slot, refill) in slots(&mut body).into_iter().zip(&earlier.refills) {
        match web.app.keys().reopen(context, refill).await? {
            Some(opened) => {
                let value = Value::from(opened.value.expose());
                if slot.contains_key("apiKey") {
                    slot.insert("apiKey".to_owned(), value);
                } else {
                    slot.insert("value".to_owned(), value);
                    slot.insert("authorization".to_owned(), Value::from(opened.authorization.as_str()));
                }
            }
            None if advises => {
                let business = web.app.businesses().get(&refill.business).await?;
                let profile = web.app.settings().profile(&business.profile);
                let rotates = profile.is_some_and(|profile| profile.changing == Changing::Everything);
                let advice = if rotates { ADVICE } else { ADVICE_WITHOUT_ROTATION };
                slot.insert("advice".to_owned(), Value::from(advice));
            }
            None => {}
        }
    }
    Ok(body)
}
