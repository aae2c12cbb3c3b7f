//! The API reference: the operations of the OpenAPI document, as their pages show them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use http::StatusCode;
use serde_json::Value;

use super::french::in_language;
use super::prose::Prose;
use super::samples::{Call, Credential, Samples, Target, pretty};
use super::schema::{Fill, Member, Schemas, shown};
use crate::dashboard::text::{Texts, message, typeset};
use crate::language::Language;
use crate::problem::Kind;

/// The groups in the order of the contents; others follow by name.
const GROUPS: [&str; 17] = [
    "Access",
    "Payment links",
    "Invoices",
    "Recurring payments",
    "Payments",
    "Refunds",
    "Checkout",
    "Test ledger",
    "Keys",
    "Events",
    "Webhooks",
    "Codat",
    "Payline",
    "Businesses",
    "Keys of a business",
    "System",
    "Problems",
];

/// Every operation, in one language.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) groups: Vec<Group>,
}

/// Operations that belong together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) operations: Vec<Operation>,
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callers {
    /// Anybody.
    Everybody,
    /// A business's key, in any of the documented headers.
    Keys,
    /// A business's key, in the `Authorization` header of Basic only.
    BasicKeys,
    /// The operator's key.
    Platform,
}

/// One operation.
#[derive(Debug)]
pub(super) struct Operation {
    /// The name of its page, and its id in the document with dashes.
    pub(super) slug: String,
    /// Its id in the document.
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) title: String,
    pub(super) about: Option<Prose>,
    pub(super) callers: Callers,
    pub(super) scope: Option<String>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    pub(super) call: Call,
}

/// A parameter of the path, the query or a header.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) place: Place,
    /// Where it stands, in words.
    pub(super) place_word: String,
    pub(super) member: Member,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

/// What a request carries.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) required: bool,
    pub(super) members: Vec<Member>,
    pub(super) example: Value,
}

/// What may come back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: String,
    pub(super) reason: &'static str,
    pub(super) about: Prose,
    pub(super) media_type: Option<String>,
    pub(super) members: Vec<Member>,
    pub(super) example: Option<String>,
    /// The problems that have this status, for answers that refuse.
    pub(super) problems: Vec<Problem>,
}

/// A kind of problem, as a link.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) href: String,
    pub(super) title: String,
    pub(super) code: &'static str,
}

static ENGLISH: LazyLock<Reference> = LazyLock::new(|| Reference::read(Texts::new(Language::English)));
static FRENCH: LazyLock<Reference> = LazyLock::new(|| Reference::read(Texts::new(Language::French)));

impl Reference {
    /// The reference in this language.
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::French => &FRENCH,
        }
    }

    fn read(t: Texts) -> Self {
        let document =
            serde_json::to_value(crate::router::openapi()).expect("a document of our own types has a JSON form");
        let mut groups: Vec<Group> = Vec::new();
        let paths = document.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let tag = operation.pointer("/tags/0").and_then(Value::as_str).unwrap_or("System");
                let operation = Operation::read(&document, t, path, method, operation);
                match groups.iter_mut().find(|group| group.id == tag) {
                    Some(group) => group.operations.push(operation),
                    None => groups.push(Group {
                        id: tag.to_owned(),
                        name: in_language(tag, t.language()),
                        operations: vec![operation],
                    }),
                }
            }
        }
        let place = |id: &str| GROUPS.iter().position(|known| *known == id).unwrap_or(GROUPS.len());
        groups.sort_by(|one, other| (place(&one.id), &one.id).cmp(&(place(&other.id), &other.id)));
        Self { groups }
    }

    /// The operation whose page has this name, and its group.
    pub(super) fn find(&self, slug: &str) -> Option<(&Group, &Operation)> {
        let mut all =
            self.groups.iter().flat_map(|group| group.operations.iter().map(move |operation| (group, operation)));
        all.find(|(_, operation)| operation.slug == slug)
    }

    /// The groups with the operations in which every word of `query` stands.
    pub(super) fn search(&self, query: &str) -> Vec<(&Group, Vec<&Operation>)> {
        let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
        let found = |group: &Group, operation: &Operation| {
            let text = operation.searchable(&group.name);
            words.iter().all(|word| text.contains(word))
        };
        self.groups
            .iter()
            .map(|group| (group, group.operations.iter().filter(|operation| found(group, operation)).collect()))
            .filter(|(_, operations): &(_, Vec<_>)| !operations.is_empty())
            .collect()
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

impl Operation {
    fn read(document: &Value, t: Texts, path: &str, method: &str, operation: &Value) -> Self {
        let schemas = Schemas::new(document, t);
        let language = t.language();
        let id = text(operation, "operationId").unwrap_or_else(|| format!("{method}{path}"));
        let (callers, scope) = callers(operation);
        let parameters: Vec<Parameter> = operation
            .get("parameters")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|parameter| Parameter::read(schemas, t, parameter))
            .collect();
        let body = operation.get("requestBody").and_then(|body| Body::read(schemas, body));
        let mut read = Self {
            slug: id.replace('_', "-"),
            method: method.to_uppercase(),
            path: path.to_owned(),
            title: in_language(&text(operation, "summary").unwrap_or_else(|| id.clone()), language),
            about: text(operation, "description").map(|about| Prose::new(in_language(&about, language))),
            callers,
            scope,
            parameters,
            body,
            answers: Vec::new(),
            call: Call {
                method: method.to_uppercase(),
                path: String::new(),
                credential: Credential::None,
                body: None,
                answers_json: None,
            },
            id,
        };
        let responses = operation.get("responses").and_then(Value::as_object);
        read.answers = responses
            .into_iter()
            .flatten()
            .map(|(status, answer)| Answer::read(schemas, t, status, answer, &read))
            .collect();
        read.call = read.sample_call(operation);
        read
    }

    fn sample_call(&self, operation: &Value) -> Call {
        let good = self.answers.iter().find(|answer| answer.status.starts_with('2'));
        let tag = operation.pointer("/tags/0").and_then(Value::as_str);
        Call {
            method: self.method.clone(),
            path: self.path_with(|_, member| member.example.clone(), false),
            credential: match self.callers {
                Callers::Everybody => Credential::None,
                // What Payline's and Codat's own clients send.
                Callers::BasicKeys => Credential::Header,
                Callers::Keys if tag == Some("Payline") => Credential::Header,
                Callers::Keys => Credential::Key,
                Callers::Platform => Credential::Platform,
            },
            body: self.body.as_ref().map(|body| body.example.clone()),
            answers_json: good.and_then(|answer| answer.media_type.as_ref()).map(|media| media.contains("json")),
        }
    }

    /// The path with a value for each of its parts, and the query with those parameters that have to be there; with
    /// `all` those too that only may be there, where they have a value.
    pub(super) fn path_with(&self, value: impl Fn(Place, &Member) -> Option<String>, all: bool) -> String {
        let mut path = self.path.clone();
        let mut query = Vec::new();
        for parameter in &self.parameters {
            let name = &parameter.member.name;
            let given = value(parameter.place, &parameter.member).filter(|given| !given.is_empty());
            match parameter.place {
                Place::Path => path = path.replace(&format!("{{{name}}}"), &escaped(&given.unwrap_or_default())),
                Place::Query if parameter.member.required || (all && given.is_some()) => {
                    query.push(format!("{name}={}", escaped(&given.unwrap_or_default())));
                }
                Place::Query | Place::Header => {}
            }
        }
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }

    /// Whether a call may fail in a way that the page tells.
    pub(super) fn has_errors(&self) -> bool {
        self.answers.iter().any(|answer| !answer.is_good() && answer.told())
    }

    /// The call in three languages.
    pub(super) fn samples(&self, target: &Target) -> Samples {
        self.call.samples(target)
    }

    /// The parameters of one place.
    pub(super) fn parameters_in(&self, place: Place) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(move |parameter| parameter.place == place)
    }

    fn takes(&self, header: &str) -> bool {
        self.parameters_in(Place::Header).any(|parameter| parameter.member.name == header)
    }

    fn searchable(&self, group: &str) -> String {
        let mut words = vec![group, &self.title, &self.method, &self.path, &self.id, &self.slug];
        words.extend(self.about.as_ref().map(Prose::as_str));
        words.extend(self.scope.as_deref());
        let members = self.body.iter().flat_map(|body| &body.members);
        let members = members.chain(self.parameters.iter().map(|parameter| &parameter.member));
        words.extend(members.map(|member| member.name.as_str()));
        words.join("\n").to_lowercase()
    }

    /// Whether a call may end in this problem.
    fn may_end_in(&self, kind: Kind) -> bool {
        let (body, query) = (self.body.is_some(), self.parameters_in(Place::Query).next().is_some());
        let secured = self.callers != Callers::Everybody;
        let by_key = matches!(self.callers, Callers::Keys | Callers::BasicKeys);
        let about_keys = self.path.contains("/keys") || self.path.starts_with("/apiKeys");
        let about_webhooks = self.path.starts_with("/v1/webhook_endpoints");
        let makes_key = about_keys && self.method == "POST" && self.id.contains("create");
        let makes_payable = ["/v1/payment_links", "/v1/invoices", "/v1/recurring_payments"]
            .iter()
            .any(|path| self.path.starts_with(path));
        let does = |words: &[&str]| words.iter().any(|word| self.id.contains(word));
        match kind {
            Kind::InvalidJson | Kind::InvalidBody | Kind::BodyTooLarge | Kind::UnsupportedMediaType => body,
            Kind::InvalidValue => body || query,
            Kind::InvalidQuery => query,
            Kind::InvalidIdempotencyKey | Kind::IdempotencyInProgress | Kind::IdempotencyKeyReused => {
                self.takes("Idempotency-Key")
            }
            Kind::AmbiguousCredentials
            | Kind::KeyInUrl
            | Kind::CredentialMissing
            | Kind::CredentialMalformed
            | Kind::KeyMalformed
            | Kind::SchemeUnsupported
            | Kind::Unauthorized
            | Kind::Unavailable => secured,
            Kind::BusinessIdMissing
            | Kind::HttpsRequired
            | Kind::BrowserNotAllowed
            | Kind::IpNotAllowed
            | Kind::OriginNotAllowed
            | Kind::RateLimited
            | Kind::QuotaExhausted => by_key,
            Kind::KindNotAllowed => secured && self.scope.is_some(),
            Kind::ScopeMissing => self.scope.is_some(),
            Kind::BeyondOwnRights => by_key && (about_keys || about_webhooks) && does(&["create", "update"]),
            Kind::NotAllowedByProfile => about_keys && self.method != "GET",
            Kind::EndpointLimitReached => self.id == "create_webhook_endpoint",
            Kind::EndpointDisabled => about_webhooks && does(&["test", "resend"]),
            Kind::ValueNotReadable => does(&["reveal"]),
            Kind::NotFound => self.parameters_in(Place::Path).next().is_some(),
            Kind::KeyLimitReached => makes_key || (about_keys && does(&["update"])),
            Kind::LastKey => about_keys && does(&["update", "revoke", "delete"]),
            Kind::KeyRevoked => about_keys && does(&["update", "rotate", "reveal", "revoke"]),
            Kind::OverlapInProgress => (about_keys || about_webhooks) && does(&["rotate"]),
            Kind::BusinessSuspended => {
                (about_keys || about_webhooks || makes_payable)
                    && self.method != "GET"
                    && !does(&["verify", "cancel_payment", "resolve"])
            }
            Kind::NotPayable | Kind::NetworkNotConfigured | Kind::PayoutAddressMissing => does(&["start_payment"]),
            Kind::NetworkUnavailable => {
                does(&["start_payment", "hand_in_transaction", "list_payout_plans", "create_refund", "hand_in_refund"])
            }
            Kind::PaymentClosed => does(&["cancel_payment", "resolve_payment", "dismiss_deposit", "play_scenario"]),
            Kind::InvoiceClosed => does(&["update_invoice", "void_invoice", "send_invoice"]),
            Kind::NoCustomerEmail | Kind::MailLimitReached => does(&["send_invoice"]),
            Kind::RecurringPaymentEnded => {
                self.path.contains("/recurring_payments/") && does(&["update", "pause", "resume"])
            }
            Kind::TransactionTaken | Kind::TransactionRefused => does(&["hand_in_transaction", "hand_in_refund"]),
            Kind::NotRefundable => does(&["create_refund", "resolve_payment"]),
            Kind::RefundTooLarge => does(&["create_refund"]),
            Kind::RefundClosed => does(&["cancel_refund", "hand_in_refund", "send_test_refund"]),
            Kind::TestOnly | Kind::TestLedgerOff => self.path.starts_with("/v1/test/"),
            Kind::BusinessExists => self.id == "create_business",
            Kind::ProfileFixed => self.id == "update_business",
            // These are for pages, or stand for every call and are told once.
            Kind::AmbiguousLength
            | Kind::InvalidHeader
            | Kind::GatewayMisconfigured
            | Kind::AlreadyMember
            | Kind::NotOffered
            | Kind::CrossSite
            | Kind::Gone
            | Kind::LastAdministrator
            | Kind::LastWayIn
            | Kind::OtherAccount
            | Kind::PasskeysNotOffered
            | Kind::RoleMissing
            | Kind::SignInFirst
            | Kind::SignInRefused
            | Kind::StepUpRequired
            | Kind::TooManyAttempts
            | Kind::MethodNotAllowed
            | Kind::UriTooLong
            | Kind::HeadersTooLarge
            | Kind::Internal => false,
        }
    }
}

/// Who may call, and the scope that a key needs.
fn callers(operation: &Value) -> (Callers, Option<String>) {
    let ways: Vec<(&String, &Value)> = operation
        .get("security")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .flatten()
        .collect();
    let names: BTreeSet<&str> = ways.iter().map(|(name, _)| name.as_str()).collect();
    let callers = if names.contains("platform") {
        Callers::Platform
    } else if names.contains("apikey") {
        Callers::Keys
    } else if names.is_empty() {
        Callers::Everybody
    } else {
        Callers::BasicKeys
    };
    let scope = ways.iter().find_map(|(_, scopes)| scopes.get(0)?.as_str());
    (callers, scope.map(str::to_owned))
}

impl Parameter {
    fn read(schemas: Schemas<'_>, t: Texts, parameter: &Value) -> Self {
        let schema = parameter.get("schema").cloned().unwrap_or_default();
        let (place, place_word) = match parameter.get("in").and_then(Value::as_str) {
            Some("path") => (Place::Path, t.get(message!("docs-in-path"))),
            Some("header") => (Place::Header, t.get(message!("docs-in-header"))),
            _ => (Place::Query, t.get(message!("docs-in-query"))),
        };
        let about = text(parameter, "description");
        let member = Member {
            name: text(parameter, "name").unwrap_or_default(),
            // A parameter that is not sent is absent, not null.
            kind: schemas.kind(&without_null(&schema), false),
            required: parameter.get("required").and_then(Value::as_bool).unwrap_or(false),
            limits: schemas.limits(&schema, about.as_deref().unwrap_or_default()),
            about: about.map(|about| Prose::new(in_language(&about, t.language()))),
            example: parameter.get("example").map(shown),
        };
        Self { place, place_word, member }
    }
}

fn without_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind.as_str() != Some("null"));
    }
    schema
}

impl Body {
    fn read(schemas: Schemas<'_>, body: &Value) -> Option<Self> {
        let schema = body.pointer("/content/application~1json/schema")?;
        Some(Self {
            required: body.get("required").and_then(Value::as_bool).unwrap_or(false),
            members: schemas.members(schema),
            example: schemas.example(schema, Fill::Telling),
        })
    }
}

impl Answer {
    fn read(schemas: Schemas<'_>, t: Texts, status: &str, answer: &Value, operation: &Operation) -> Self {
        let content = answer.get("content").and_then(Value::as_object).and_then(|content| content.iter().next());
        let schema = content.and_then(|(_, content)| content.get("schema"));
        let good = status.starts_with('2');
        let code = status.parse::<u16>().ok().and_then(|code| StatusCode::from_u16(code).ok());
        let problems = Kind::ALL
            .iter()
            .filter(|kind| !good && Some(kind.status()) == code && operation.may_end_in(**kind))
            .map(|kind| Problem {
                href: kind.type_reference(),
                title: match t.language() {
                    Language::English => kind.title(Language::English).to_owned(),
                    Language::French => typeset(kind.title(Language::French)),
                },
                code: kind.code(),
            })
            .collect();
        let example = content.filter(|_| good).and_then(|(media, content)| {
            let example = content.get("example").map(shown);
            let made_up = || schema.filter(|_| media.contains("json")).map(|schema| schemas.example(schema, Fill::All));
            example.or_else(|| {
                made_up().filter(|value| value.as_object().is_none_or(|o| !o.is_empty())).map(|v| pretty(&v))
            })
        });
        Self {
            status: status.to_owned(),
            reason: code.and_then(|code| code.canonical_reason()).unwrap_or_default(),
            about: Prose::new(in_language(&text(answer, "description").unwrap_or_default(), t.language())),
            media_type: content.map(|(media, _)| media.clone()),
            members: schema.filter(|_| good).map(|schema| schemas.members(schema)).unwrap_or_default(),
            example,
            problems,
        }
    }

    /// Whether it is worth a line: one that says which problems it may be, or one that the operation itself describes.
    pub(super) fn told(&self) -> bool {
        !self.problems.is_empty() || self.media_type.is_none()
    }

    /// Whether it is what a caller hopes for.
    pub(super) fn is_good(&self) -> bool {
        self.status.starts_with('2')
    }
}

/// A value as part of a path or a query.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations(language: Language) -> impl Iterator<Item = &'static Operation> {
        Reference::of(language).groups.iter().flat_map(|group| &group.operations)
    }

    fn find(slug: &str) -> &'static Operation {
        Reference::of(Language::English).find(slug).map(|(_, operation)| operation).expect("an operation")
    }

    #[test]
    fn every_operation_has_one_page_with_a_name_that_fits_an_address() {
        let slugs: Vec<&str> = operations(Language::English).map(|operation| operation.slug.as_str()).collect();
        let different: BTreeSet<&str> = slugs.iter().copied().collect();
        assert_eq!(different.len(), slugs.len());
        for slug in slugs {
            assert!(slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{slug}");
        }
        let document = serde_json::to_value(crate::router::openapi()).expect("a JSON form");
        let count: usize = document["paths"]
            .as_object()
            .expect("paths")
            .values()
            .map(|item| item.as_object().map_or(0, serde_json::Map::len))
            .sum();
        assert_eq!(operations(Language::English).count(), count);
    }

    #[test]
    fn every_group_has_its_place() {
        for group in &Reference::of(Language::English).groups {
            assert!(GROUPS.contains(&group.id.as_str()), "{}", group.id);
        }
    }

    #[test]
    fn an_operation_tells_who_may_call_it_and_with_what() {
        let create = find("create-key");
        assert_eq!((create.callers, create.scope.as_deref()), (Callers::Keys, Some("keys:write")));
        let names: Vec<&str> =
            create.body.iter().flat_map(|body| &body.members).map(|member| member.name.as_str()).collect();
        assert!(names.contains(&"valid_until"), "{names:?}");
        assert_eq!(
            create.body.as_ref().map(|body| body.example.to_string()).as_deref(),
            Some(r#"{"name":"Web shop"}"#)
        );
        let whoami = find("whoami");
        assert_eq!((whoami.callers, whoami.scope.as_deref()), (Callers::Keys, None));
        let codat = find("list-api-keys");
        assert_eq!((codat.callers, codat.call.credential), (Callers::BasicKeys, Credential::Header));
        let list = find("list-business-keys");
        assert!(list.call.path.ends_with("/keys?environment=test"), "{}", list.call.path);
    }

    #[test]
    fn members_are_listed_with_their_way_and_end_where_they_would_repeat() {
        let verify = find("verify-keys");
        let names: Vec<&str> =
            verify.body.iter().flat_map(|body| &body.members).map(|member| member.name.as_str()).collect();
        assert!(names.contains(&"requests") && !names.contains(&"requests[].requests"), "{names:?}");
        let good = find("create-business").answers.iter().find(|answer| answer.is_good());
        let names: Vec<&str> = good.expect("an answer").members.iter().map(|member| member.name.as_str()).collect();
        for name in ["business.id", "keys[].id", "keys[].value", "keys[].authorization"] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
    }

    #[test]
    fn problems_are_listed_where_they_can_happen() {
        let codes = |slug: &str| -> BTreeSet<&str> {
            let operation = find(slug);
            operation.answers.iter().flat_map(|answer| &answer.problems).map(|problem| problem.code).collect()
        };
        assert!(codes("revoke-key").contains("last_key") && !codes("get-key").contains("last_key"));
        assert!(codes("rotate-key").contains("overlap_in_progress"));
        assert!(!codes("livez").contains("unauthorized"));
        assert!(codes("whoami").contains("unauthorized") && !codes("whoami").contains("scope_missing"));
    }

    #[test]
    fn the_search_finds_by_title_path_and_member_in_both_languages() {
        let slugs = |language, query: &str| -> Vec<&str> {
            let found = Reference::of(language).search(query);
            found.into_iter().flat_map(|(_, operations)| operations).map(|o| o.slug.as_str()).collect()
        };
        assert!(slugs(Language::English, "rotate").contains(&"rotate-key"));
        assert!(slugs(Language::French, "renouveler").contains(&"rotate-key"));
        assert!(slugs(Language::English, "overlap_seconds").contains(&"rotate-key"));
        assert!(slugs(Language::English, "POST /v1/keys verify").contains(&"verify-keys"));
        assert!(slugs(Language::English, "no such thing").is_empty());
        assert_eq!(slugs(Language::English, "").len(), operations(Language::English).count());
    }
}
