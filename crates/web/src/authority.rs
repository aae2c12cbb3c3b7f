//! Who calls and what for, as extractors: a handler cannot be called without the proof.

use std::borrow::Cow;
use std::marker::PhantomData;

use axum::extract::{FromRequestParts, MatchedPath};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;
use trousseau_domain::credential::{AcceptedForms, CredentialHeaders, url_holds_key};
use trousseau_domain::decision::{Demand, Transport, Wanted};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::RequestId;
use trousseau_domain::keys::KeyKind;
use trousseau_domain::platform_keys::PlatformScope;
use trousseau_domain::profile::ManagedByKeys;
use trousseau_domain::scope::{BuiltIn, Scope};
use trousseau_service::access::{Accepted, AccessError, RequestFacts};
use trousseau_service::requests::CallTrace;
use trousseau_service::{Context, KeyCaller, PlatformCaller};

use crate::connection::CallerAddress;
use crate::edge::method_label;
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// What a route demands of a business's key.
pub trait Permission: Send + Sync + 'static {
    /// The forms in which the key may come.
    const FORMS: AcceptedForms = AcceptedForms::All;
    /// Whether it starts something that takes room, and may be done only so fast.
    const COUNTED: bool = false;

    /// What the decision has to demand.
    fn demand() -> Demand;

    /// What else has to hold, once the key is known.
    fn check(_: &KeyCaller) -> Result<(), Failure> {
        Ok(())
    }
}

/// Any good key.
#[derive(Debug)]
pub struct AnyKey;
/// Any good key, from no browser.
#[derive(Debug)]
pub struct AnyBackend;
/// Any good secret key.
#[derive(Debug)]
pub struct AnySecret;
/// List and read keys.
#[derive(Debug)]
pub struct KeysRead;
/// Make and change keys.
#[derive(Debug)]
pub struct KeysWrite;
/// Read what happened.
#[derive(Debug)]
pub struct EventsRead;
/// Read webhook endpoints and their deliveries.
#[derive(Debug)]
pub struct WebhooksRead;
/// Register, change and remove webhook endpoints, and send again.
#[derive(Debug)]
pub struct WebhooksWrite;
/// Read payment links.
#[derive(Debug)]
pub struct PaymentLinksRead;
/// Make and change payment links.
#[derive(Debug)]
pub struct PaymentLinksWrite;
/// Read invoices.
#[derive(Debug)]
pub struct InvoicesRead;
/// Make and change invoices.
#[derive(Debug)]
pub struct InvoicesWrite;
/// Read recurring payments.
#[derive(Debug)]
pub struct RecurringPaymentsRead;
/// Make and change recurring payments.
#[derive(Debug)]
pub struct RecurringPaymentsWrite;
/// Read payments.
#[derive(Debug)]
pub struct PaymentsRead;
/// Change payments.
#[derive(Debug)]
pub struct PaymentsWrite;
/// Read refunds.
#[derive(Debug)]
pub struct RefundsRead;
/// Ask for refunds and hand in their transactions.
#[derive(Debug)]
pub struct RefundsWrite;
/// Start a payment: checkout keys and secret ones.
#[derive(Debug)]
pub struct CheckoutStart;
/// Ask again and again whether a started payment was paid: as to start one, and never too often.
#[derive(Debug)]
pub struct CheckoutAsk;
/// Read how a payment stands: checkout keys and secret ones.
#[derive(Debug)]
pub struct CheckoutStatus;
/// List keys with their values as Codat's clients do.
#[derive(Debug)]
pub struct CodatKeysRead;
/// Make and delete keys as Codat's clients do.
#[derive(Debug)]
pub struct CodatKeysWrite;

fn secret_with(scope: BuiltIn) -> Demand {
    Demand { kind: Wanted::Only(KeyKind::Secret), scopes: vec![Scope::built_in(scope)], ..Demand::default() }
}

/// Some profiles leave their keys to people and the operator.
fn not_ruled_out(caller: &KeyCaller) -> Result<(), Failure> {
    match caller.profile().managed_by_keys {
        ManagedByKeys::Never => Err(Failure::new(Kind::NotAllowedByProfile)),
        ManagedByKeys::WithScope | ManagedByKeys::ByDefault => Ok(()),
    }
}

impl Permission for AnyKey {
    fn demand() -> Demand {
        Demand::default()
    }
}

impl Permission for AnyBackend {
    fn demand() -> Demand {
        Demand { no_browser: true, ..Demand::default() }
    }
}

impl Permission for AnySecret {
    fn demand() -> Demand {
        Demand { kind: Wanted::Only(KeyKind::Secret), ..Demand::default() }
    }
}

impl Permission for KeysRead {
    fn demand() -> Demand {
        secret_with(BuiltIn::KeysRead)
    }

    fn check(caller: &KeyCaller) -> Result<(), Failure> {
        not_ruled_out(caller)
    }
}

impl Permission for KeysWrite {
    fn demand() -> Demand {
        secret_with(BuiltIn::KeysWrite)
    }

    fn check(caller: &KeyCaller) -> Result<(), Failure> {
        not_ruled_out(caller)
    }
}

/// Permissions of secret keys that are one scope and nothing more.
macro_rules! one_scope {
    ($($name:ident),+ $(,)?) => { $(
        impl Permission for $name {
            fn demand() -> Demand {
                secret_with(BuiltIn::$name)
            }
        }
    )+ };
}
one_scope!(
    EventsRead,
    PaymentLinksRead,
    PaymentLinksWrite,
    InvoicesRead,
    InvoicesWrite,
    RecurringPaymentsRead,
    RecurringPaymentsWrite,
    PaymentsRead,
    PaymentsWrite,
    RefundsRead,
    RefundsWrite,
    WebhooksRead,
    WebhooksWrite,
);

impl Permission for CheckoutStatus {
    fn demand() -> Demand {
        Demand { scopes: vec![Scope::built_in(BuiltIn::CheckoutStatus)], ..Demand::default() }
    }
}

impl Permission for CheckoutAsk {
    fn demand() -> Demand {
        CheckoutStart::demand()
    }
}

impl Permission for CheckoutStart {
    const COUNTED: bool = true;

    fn demand() -> Demand {
        Demand { scopes: vec![Scope::built_in(BuiltIn::CheckoutStart)], ..Demand::default() }
    }
}

/// What Codat's routes demand of the key itself; the rest is judged once it is known whose it is.
fn of_codat() -> Demand {
    Demand { environment: Wanted::Only(Environment::Live), ..Demand::default() }
}

/// These routes know no other keys than those of such a business, which have these scopes unless they were made with fewer.
fn is_codat_with(caller: &KeyCaller, scopes: &[BuiltIn]) -> Result<(), Failure> {
    match caller.profile().managed_by_keys {
        ManagedByKeys::ByDefault => {}
        ManagedByKeys::WithScope | ManagedByKeys::Never => return Err(Failure::new(Kind::Unauthorized)),
    }
    let mut scopes = scopes.iter().map(|scope| Scope::built_in(*scope));
    match scopes.find(|scope| !caller.scopes().contains(scope)) {
        Some(missing) => Err(Failure::new(Kind::ScopeMissing).with_scope(missing.as_str())),
        None => Ok(()),
    }
}

impl Permission for CodatKeysRead {
    const FORMS: AcceptedForms = AcceptedForms::BasicKey;

    fn demand() -> Demand {
        of_codat()
    }

    fn check(caller: &KeyCaller) -> Result<(), Failure> {
        // What is listed are values of keys that may write.
        is_codat_with(caller, &[BuiltIn::KeysRead, BuiltIn::KeysWrite])
    }
}

impl Permission for CodatKeysWrite {
    const FORMS: AcceptedForms = AcceptedForms::BasicKey;

    fn demand() -> Demand {
        of_codat()
    }

    fn check(caller: &KeyCaller) -> Result<(), Failure> {
        is_codat_with(caller, &[BuiltIn::KeysWrite])
    }
}

/// The proof that a business's key may do `P`.
#[derive(Debug)]
pub struct Granted<P> {
    caller: KeyCaller,
    context: Context,
    permission: PhantomData<P>,
}

impl<P> Granted<P> {
    /// Whose rows may be seen.
    pub fn tenant(&self) -> &Tenant {
        &self.caller.tenant
    }

    /// The key that calls.
    pub fn caller(&self) -> &KeyCaller {
        &self.caller
    }

    /// On whose behalf the service acts.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Whose `Idempotency-Key`s these are.
    pub fn whose(&self) -> String {
        // Another key of the same business may have fewer rights, and its backend counts its own requests.
        format!("{}/{}/{}", self.caller.tenant.business, self.caller.tenant.environment, self.caller.key_id())
    }
}

/// What a route demands of the operator's key.
pub trait PlatformPermission: Send + Sync + 'static {
    /// The scope; any good key where there is none.
    const SCOPE: Option<PlatformScope>;
}

/// Manage businesses and their keys.
#[derive(Debug)]
pub struct Manage;
/// Ask whether keys are good.
#[derive(Debug)]
pub struct Verify;
/// Any good platform key.
#[derive(Debug)]
pub struct AnyPlatform;

impl PlatformPermission for Manage {
    const SCOPE: Option<PlatformScope> = Some(PlatformScope::Manage);
}

impl PlatformPermission for Verify {
    const SCOPE: Option<PlatformScope> = Some(PlatformScope::Verify);
}

impl PlatformPermission for AnyPlatform {
    const SCOPE: Option<PlatformScope> = None;
}

/// The proof that the operator's key may do `P`.
#[derive(Debug)]
pub struct PlatformGranted<P> {
    caller: PlatformCaller,
    context: Context,
    permission: PhantomData<P>,
}

impl<P> PlatformGranted<P> {
    /// Looks once more whether the key is still good: between the head of a request and the end of its body there may be
    /// many seconds.
    pub(crate) async fn check_again(&self, web: &Web) -> Result<(), Failure> {
        Ok(web.app.access().check_again(&self.caller).await?)
    }

    /// On whose behalf the service acts.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Whose `Idempotency-Key`s these are.
    pub fn whose(&self) -> String {
        format!("platform/{}", self.caller.id)
    }
}

/// How a request came in, beside what it says.
pub(crate) struct Arrived<'a> {
    /// The route that its path belongs to.
    pub(crate) route: &'a str,
    /// What the caller of a gateway asked for, where it is known otherwise than by a header.
    pub(crate) original: Option<&'a str>,
    pub(crate) caller: CallerAddress,
    pub(crate) request_id: RequestId,
    pub(crate) trace: CallTrace,
    /// Whether it asks about its key and for nothing else.
    pub(crate) is_question: bool,
}

/// The parts of a request that the authenticator looks at, as they were sent.
pub(crate) struct Sent<'a> {
    method: &'a http::Method,
    uri: &'a http::Uri,
    headers: &'a HeaderMap,
    route: &'a str,
    original: Option<&'a str>,
    authorization: Values<'a>,
    apikey: Values<'a>,
    x_api_key: Values<'a>,
    business_id: Values<'a>,
    origin: Option<String>,
    from_browser: bool,
    caller: CallerAddress,
    user_agent: Option<&'a str>,
    request_id: RequestId,
    trace: CallTrace,
    is_question: bool,
}

/// The values of a header field: one at most, nearly always.
type Values<'a> = SmallVec<[&'a [u8]; 1]>;

impl<'a> Sent<'a> {
    pub(crate) fn read(parts: &'a Parts) -> Result<Self, Failure> {
        let arrived = Arrived {
            route: parts.extensions.get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str),
            original: None,
            caller: parts.extensions.get().copied().unwrap_or(CallerAddress::UNKNOWN),
            request_id: *parts.extensions.get::<RequestId>().ok_or(Kind::Internal)?,
            trace: parts.extensions.get().cloned().unwrap_or_default(),
            is_question: false,
        };
        Ok(Self::new(&parts.method, &parts.uri, &parts.headers, arrived))
    }

    pub(crate) fn new(
        method: &'a http::Method,
        uri: &'a http::Uri,
        headers: &'a HeaderMap,
        arrived: Arrived<'a>,
    ) -> Self {
        let [mut authorization, mut apikey, mut x_api_key, mut business_id] = [(); 4].map(|()| Values::new());
        let (mut origin, mut user_agent, mut from_browser) = (None, None, false);
        // Once through what is there, which is little, rather than a look for each that might be.
        for (name, value) in headers {
            match name.as_str() {
                "authorization" => authorization.push(value.as_bytes()),
                "apikey" => apikey.push(value.as_bytes()),
                "x-api-key" => x_api_key.push(value.as_bytes()),
                "businessid" => business_id.push(value.as_bytes()),
                "user-agent" => user_agent = user_agent.or(Some(value)),
                "origin" => origin = origin.or(Some(value)),
                // What a browser says of where a request comes from (Fetch Metadata).
                "sec-fetch-site" => from_browser = true,
                _ => {}
            }
        }
        Self {
            method,
            uri,
            headers,
            route: arrived.route,
            original: arrived.original,
            authorization,
            apikey,
            x_api_key,
            business_id,
            from_browser: from_browser || origin.is_some(),
            origin: origin.map(|origin| String::from_utf8_lossy(origin.as_bytes()).into_owned()),
            caller: arrived.caller,
            user_agent: user_agent.and_then(|agent: &HeaderValue| agent.to_str().ok()),
            request_id: arrived.request_id,
            trace: arrived.trace,
            is_question: arrived.is_question,
        }
    }

    /// The headers of the request.
    pub(crate) const fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The id of the request.
    pub(crate) const fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// The caller, if its key is good for `demand`.
    pub(crate) async fn authenticate(&self, web: &Web, demand: &Demand) -> Result<KeyCaller, Failure> {
        Ok(web.app.access().authenticate(&self.facts(AcceptedForms::All), demand).await?)
    }

    fn facts(&self, accepted: AcceptedForms) -> RequestFacts<'_> {
        RequestFacts {
            headers: CredentialHeaders {
                authorization: &self.authorization,
                apikey: &self.apikey,
                x_api_key: &self.x_api_key,
                business_id: &self.business_id,
            },
            accepted,
            method: method_label(self.method),
            path: self.uri.path(),
            route: self.route,
            query: self.uri.query(),
            origin: self.origin.as_deref(),
            from_browser: self.from_browser,
            user_agent: self.user_agent,
            address: self.caller.ip,
            transport: if self.caller.protected { Transport::Protected } else { Transport::Plain },
            request_id: self.request_id,
            trace: &self.trace,
            is_question: self.is_question,
        }
    }
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Refused(refusal) => {
                let mut failure = Self::new(Kind::from(refusal.reason));
                if let Some(scope) = refusal.missing_scope {
                    failure = failure.with_scope(scope.as_str());
                }
                if let Some(after) = refusal.retry_after {
                    failure = failure.with_retry_after(after);
                }
                failure
            }
            AccessError::Failed(error) => error.into(),
        }
    }
}

/// The headers in which gateways hand on what their caller asked for.
static ORIGINAL_URIS: [HeaderName; 2] =
    [HeaderName::from_static("x-original-uri"), HeaderName::from_static("x-forwarded-uri")];

/// What the caller of a gateway asked for, as far as it is told.
fn originals<'a>(sent: &Sent<'a>) -> SmallVec<[Cow<'a, str>; 1]> {
    let told = ORIGINAL_URIS.iter().flat_map(|name| sent.headers.get_all(name));
    told.map(|uri| String::from_utf8_lossy(uri.as_bytes())).chain(sent.original.map(Into::into)).collect()
}

/// The facts of a request that a gateway asks about. A key in what its caller asked for counts as one in its own URL.
fn facts_for_gateway<'b>(sent: &'b Sent<'_>, originals: &'b [Cow<'_, str>], web: &Web) -> RequestFacts<'b> {
    let mut facts = sent.facts(AcceptedForms::All);
    let brand = web.app.settings().brand();
    let mut asked = originals.iter().map(|uri| uri.split_once('?').map_or((&**uri, None), |(p, q)| (p, Some(q))));
    if let Some((path, query)) = asked.find(|(path, query)| url_holds_key(path, *query, brand)) {
        (facts.path, facts.query) = (path, query);
    }
    facts
}

/// Judges the key in a request that a gateway asks about, with what the gateway demands of it.
pub(crate) async fn judge_for_gateway(sent: &Sent<'_>, web: &Web, demand: &Demand) -> Result<KeyCaller, Failure> {
    let originals = originals(sent);
    let facts = facts_for_gateway(sent, &originals, web);
    let caller = web.app.access().authenticate(&facts, demand).await?;
    note_caller(&caller);
    Ok(caller)
}

/// The same where memory alone says yes; see [`Access::accept_at_once`](trousseau_service::access::Access::accept_at_once).
pub(crate) fn accept_for_gateway_at_once(sent: &Sent<'_>, web: &Web, demand: &Demand) -> Option<Accepted> {
    let originals = originals(sent);
    web.app.access().accept_at_once(&facts_for_gateway(sent, &originals, web), demand)
}

/// Names the caller in the span of the request.
fn note_caller(caller: &KeyCaller) {
    let span = tracing::Span::current();
    span.record("business.id", tracing::field::display(&caller.tenant.business));
    span.record("key.id", tracing::field::display(caller.key_id()));
}

impl<P: Permission> FromRequestParts<Web> for Granted<P> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Failure> {
        let sent = Sent::read(parts)?;
        let caller = web.app.access().authenticate(&sent.facts(P::FORMS), &P::demand()).await?;
        note_caller(&caller);
        P::check(&caller)?;
        if P::COUNTED {
            web.velocity.check_key(&caller, sent.caller.ip)?;
        }
        let context = Context::key(&caller, sent.request_id);
        Ok(Self { caller, context, permission: PhantomData })
    }
}

impl<P: PlatformPermission> FromRequestParts<Web> for PlatformGranted<P> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Failure> {
        let sent = Sent::read(parts)?;
        let caller = web.app.access().authenticate_platform(&sent.facts(AcceptedForms::All), P::SCOPE).await?;
        tracing::Span::current().record("key.id", tracing::field::display(caller.id));
        let context = Context::platform(&caller, sent.request_id);
        Ok(Self { caller, context, permission: PhantomData })
    }
}
