//! `/v1/authorize`: what a gateway asks before it lets a request through, and the keys of signed assertions.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::future::{Ready, ready};

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};
use serde::Serialize;
use serde_json::value::RawValue;
use trousseau_domain::assertion::Audience;
use trousseau_domain::decision::Demand;
use trousseau_service::KeyCaller;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::verify::fresh_ms;
use crate::authority::{Sent, judge_for_gateway};
use crate::fields::Fields;
use crate::problem::Failure;
use crate::query::{parameter, refused};
use crate::router::Web;

const BUSINESS: &str = "x-trousseau-business";
const ENVIRONMENT: &str = "x-trousseau-environment";
const KIND: &str = "x-trousseau-kind";
const KEY: &str = "x-trousseau-key";
const SCOPES: &str = "x-trousseau-scopes";
const METADATA: &str = "x-trousseau-metadata";
const BUSINESS_METADATA: &str = "x-trousseau-business-metadata";
const ASSERTION: &str = "x-trousseau-assertion";
const FRESH_MS: &str = "x-trousseau-fresh-ms";

const NO_METADATA: &str = "{}";

/// What the names of headers begin with in which a gateway demands something.
const REQUIRED: &str = "x-trousseau-require-";

/// How long a set of public keys may be kept; a key is published far longer before it signs.
const KEYS_KEPT: HeaderValue = HeaderValue::from_static("public, max-age=300");

pub(crate) fn routes() -> OpenApiRouter<Web> {
    // Some gateways ask with the method of the request that they ask about.
    let (schemas, paths, methods) = routes!(authorize);
    OpenApiRouter::new().routes((schemas, paths, methods.fallback(authorize))).routes(routes!(assertion_keys))
}

/// What a gateway demands. All of it adds up.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the description of parameters that may be given more than once")]
pub(crate) struct AuthorizeParameters {
    /// Scopes that the key needs, with spaces between; may be given more than once.
    #[param(example = "payments:read")]
    scope: Option<String>,
    /// The environment that the key needs.
    #[param(example = "live")]
    environment: Option<String>,
    /// The business that the key must belong to.
    business: Option<String>,
    /// The kind of key that is let in.
    #[param(value_type = Option<crate::wire::keys::Kind>)]
    kind: Option<String>,
    /// For whom the answer carries a signed assertion, in `X-Trousseau-Assertion`: 1 to 255 visible ASCII characters.
    #[param(example = "orders")]
    audience: Option<String>,
    /// `all` for a gateway that passes 400, 429 and 431 on; the others are told 401 or 403.
    #[param(example = "all")]
    statuses: Option<String>,
}

/// Ask for a gateway
///
/// Judges the key in the request's own headers, for any method: 200 with who calls in `X-Trousseau-*`, 401 or 403 with the
/// code in `X-Trousseau-Code`. What is demanded in `X-Trousseau-Require-Scope`, `-Environment`, `-Business` and `-Kind`
/// counts beside the query; where one of these is empty it demands nothing.
#[utoipa::path(
    get,
    path = "/v1/authorize",
    operation_id = "authorize",
    tag = "Access",
    params(AuthorizeParameters),
    responses((status = 200, description = "The key is good for what is demanded; the body is empty", headers(
        ("X-Trousseau-Business" = String, description = "The id of the business"),
        ("X-Trousseau-Environment" = String, description = "`test` or `live`"),
        ("X-Trousseau-Kind" = String, description = "`secret` or `checkout`"),
        ("X-Trousseau-Key" = String, description = "The id of the key"),
        ("X-Trousseau-Scopes" = String, description = "What the key may do, with spaces between"),
        ("X-Trousseau-Metadata" = String, description = "The notes kept beside the key, as JSON in ASCII"),
        ("X-Trousseau-Business-Metadata" = String, description = "The notes kept beside the business, likewise"),
        ("X-Trousseau-Assertion" = String, description = "All of this as a JSON Web Token for the `audience`, signed with EdDSA"),
        ("X-Trousseau-Fresh-Ms" = i64, description = "How many milliseconds the answer may be kept; not at all where it is absent"),
    ))),
    security(("apikey" = [], "businessid" = []), ("basic" = []), ("bearer" = []), ("x-api-key" = []))
)]
pub(crate) async fn authorize(State(web): State<Web>, parts: Parts) -> Result<Response, Failure> {
    let asked = Demands::of_query(&parts.uri)?;
    let headers = answer(&Sent::read(&parts)?, &web, asked, HeaderMap::new()).await?;
    Ok(headers.into_response())
}

/// These headers and those that say who calls, if the key is good for what the gateway demands, and for what the headers
/// of its request demand beside it.
pub(crate) async fn answer(sent: &Sent<'_>, web: &Web, asked: Demands, told: HeaderMap) -> Result<HeaderMap, Failure> {
    let (demand, audience) = asked.and_of_headers(sent.headers())?.into_parts();
    let caller = judge_for_gateway(sent, web, &demand).await?;
    let (mut headers, assertion) =
        (told, audience.map(|audience| web.app.assertions().sign(&caller, &audience, sent.request_id())));
    tell(&caller, assertion.as_deref(), web, &mut headers);
    Ok(headers)
}

/// Says who calls, with the assertion of it where one was asked for.
pub(crate) fn tell(caller: &KeyCaller, assertion: Option<&str>, web: &Web, fields: &mut impl Fields) {
    identity(caller, fields);
    if let Some(assertion) = assertion {
        fields.put(ASSERTION, assertion.as_bytes());
    }
    if let Some(fresh) = fresh_ms(web, caller) {
        fields.put(FRESH_MS, itoa::Buffer::new().format(fresh).as_bytes());
    }
}

/// What is demanded of a key, and for whom it is vouched. All of it adds up.
#[derive(Debug, Default)]
pub(crate) struct Demands {
    demand: Demand,
    audience: Option<Audience>,
}

/// What a gateway's own configuration demands cannot be understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Misconfigured {
    #[error("nothing can be demanded by the name `{0}`; known: scope, environment, business, kind, audience")]
    Unknown(String),
    #[error("`{0}` is there and says nothing")]
    Empty(String),
    #[error("`{name}` {message}")]
    Unusable { name: String, message: String },
    #[error("{0} is no method of HTTP")]
    Method(String),
}

impl From<Misconfigured> for Failure {
    fn from(wrong: Misconfigured) -> Self {
        Self::new(crate::problem::Kind::GatewayMisconfigured).with_cause(wrong)
    }
}

impl Demands {
    /// What a query demands.
    pub(crate) fn of_query(uri: &Uri) -> Result<Self, Failure> {
        if uri.query().is_none_or(str::is_empty) {
            return Ok(Self::default());
        }
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        let axum::extract::Query(pairs) = pairs.map_err(|_| Failure::new(crate::problem::Kind::InvalidQuery))?;
        let mut demands = Self::default();
        for (name, value) in &pairs {
            match name.as_str() {
                // What was forgotten there would let in more than was meant.
                "scope" | "environment" | "business" | "kind" if words(value).next().is_none() => {
                    return Err(refused(name, "is there and says nothing"));
                }
                "scope" | "environment" | "business" | "kind" | "audience" => demands.add(name, value)?,
                "statuses" if value == "all" => {}
                "statuses" => return Err(refused(name, "can only be all")),
                _ => {
                    let known = "scope, environment, business, kind, audience, statuses";
                    let detail = format!("A parameter is not known here; known: {known}.");
                    return Err(Failure::new(crate::problem::Kind::InvalidQuery).with_detail(detail));
                }
            }
        }
        Ok(demands)
    }

    /// What a gateway's configuration demands, which no caller has a part in. Nothing of it may be void: a name that is
    /// misspelt or a value that was forgotten would let in more than the operator meant to.
    pub(crate) fn of_configuration<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Misconfigured> {
        let mut demands = Self::default();
        for (name, value) in pairs {
            if !matches!(name, "scope" | "environment" | "business" | "kind" | "audience") {
                return Err(Misconfigured::Unknown(name.to_owned()));
            }
            if words(value).next().is_none() {
                return Err(Misconfigured::Empty(name.to_owned()));
            }
            demands.add(name, value).map_err(|failure| {
                let message = failure.errors().first().map_or("cannot be used", |error| error.detail.as_str());
                Misconfigured::Unusable { name: name.to_owned(), message: message.to_owned() }
            })?;
        }
        Ok(demands)
    }

    /// The same and what headers demand. A caller's own header can only add to it.
    pub(crate) fn and_of_headers(mut self, headers: &HeaderMap) -> Result<Self, Failure> {
        for (name, value) in headers {
            let name = name.as_str();
            match name.strip_prefix(REQUIRED) {
                Some(what @ ("scope" | "environment" | "business" | "kind")) => {
                    let value = value.to_str().map_err(|_| refused(name, "is not ASCII"))?;
                    self.demand = narrowed(self.demand, what, name, value)?;
                }
                // One that is misspelt would demand nothing.
                Some(_) => {
                    let detail = "An X-Trousseau-Require- header is not known here; known: -Scope, -Environment, -Business, -Kind.";
                    return Err(Failure::new(crate::problem::Kind::InvalidQuery).with_detail(detail));
                }
                None => {}
            }
        }
        Ok(self)
    }

    /// What is demanded, and for whom the answer carries an assertion.
    pub(crate) fn into_parts(self) -> (Demand, Option<Audience>) {
        (self.demand, self.audience)
    }

    /// One more, by one of its five names.
    fn add(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        match name {
            "audience" if self.audience.is_none() => self.audience = parameter(name, Some(value))?,
            "audience" => return Err(refused(name, "is given twice")),
            _ => self.demand = narrowed(std::mem::take(&mut self.demand), name, name, value)?,
        }
        Ok(())
    }
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split([' ', ',']).filter(|word| !word.is_empty())
}

/// The demand and one more. An empty value demands nothing, as a variable of a gateway that was not set.
fn narrowed(mut demand: Demand, what: &str, named: &str, value: &str) -> Result<Demand, Failure> {
    for word in words(value) {
        match what {
            "scope" => demand.scopes.extend(parameter(named, Some(word))?),
            "environment" => demand.environment = add(demand.environment, parameter(named, Some(word))?),
            "business" => demand.business = add(demand.business, parameter(named, Some(word))?),
            _ => demand.kind = add(demand.kind, parameter(named, Some(word))?),
        }
    }
    Ok(demand)
}

fn add<T: PartialEq>(
    wanted: trousseau_domain::decision::Wanted<T>,
    more: Option<T>,
) -> trousseau_domain::decision::Wanted<T> {
    match more {
        Some(more) => wanted.and(more),
        None => wanted,
    }
}

/// Who calls.
fn identity(caller: &KeyCaller, fields: &mut impl Fields) {
    fields.put(BUSINESS, caller.tenant.business.as_str().as_bytes());
    fields.put_fixed(ENVIRONMENT, caller.tenant.environment.as_str());
    fields.put_fixed(KIND, caller.kind().as_str());
    fields.put(KEY, &caller.key_id().to_text());
    fields.put_made(SCOPES, |out| {
        for (at, scope) in caller.scopes().iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"" } else { b" " });
            out.extend_from_slice(scope.as_str().as_bytes());
        }
    });
    for (name, json) in [(METADATA, caller.metadata_json()), (BUSINESS_METADATA, caller.business_metadata_json())] {
        if json.get() == NO_METADATA {
            fields.put_fixed(name, NO_METADATA);
        } else {
            fields.put(name, ascii_json(json).as_bytes());
        }
    }
}

/// The same JSON in visible ASCII and spaces: what else there is, is escaped (RFC 8259 section 7).
fn ascii_json(json: &RawValue) -> Cow<'_, str> {
    let json = json.get();
    if json.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return json.into();
    }
    let mut ascii = String::with_capacity(json.len());
    for character in json.chars() {
        if matches!(character, ' '..='~') {
            ascii.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(ascii, "\\u{unit:04x}").expect("writing to a string cannot fail");
            }
        }
    }
    ascii.into()
}

/// A set of public keys (RFC 7517 section 5).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeySet)]
pub(crate) struct KeySetBody {
    /// The keys, the newest first.
    keys: Vec<PublicKeyBody>,
}

/// A public key (RFC 8037 section 2).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PublicKey)]
pub(crate) struct PublicKeyBody {
    /// The type of the key.
    #[schema(example = "OKP")]
    kty: &'static str,
    /// The curve.
    #[schema(example = "Ed25519")]
    crv: &'static str,
    /// The algorithm of its signatures.
    #[schema(example = "EdDSA")]
    alg: &'static str,
    /// What it is for.
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    usage: &'static str,
    /// Its name in the header of assertions.
    kid: String,
    /// The key, in base64url.
    x: String,
}

/// The keys of assertions
///
/// By which an upstream verifies `X-Trousseau-Assertion`. A new key is here for 15 minutes before it signs.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "assertion_keys",
    tag = "Access",
    responses((status = 200, description = "The public keys", body = KeySetBody))
)]
pub(crate) fn assertion_keys(State(web): State<Web>) -> Ready<Response> {
    let keys = web.app.assertions().keys().into_iter().map(|key| PublicKeyBody {
        kty: key.kty,
        crv: key.crv,
        alg: key.alg,
        usage: key.usage,
        kid: key.kid,
        x: key.x,
    });
    ready(([(CACHE_CONTROL, KEYS_KEPT)], Answer(KeySetBody { keys: keys.collect() })).into_response())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn metadata_is_ascii_and_the_same_json() {
        let entries = BTreeMap::from([("naïve".to_owned(), "a\nb \u{7f} \u{1f511} \"q\"".to_owned())]);
        let json = serde_json::value::to_raw_value(&entries).expect("texts");
        let text = ascii_json(&json);
        assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text}");
        assert_eq!(serde_json::from_str::<BTreeMap<String, String>>(&text).expect("JSON"), entries);
    }
}
