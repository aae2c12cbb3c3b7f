//! What stands around every page: who reads it, where, and how it is to look.

use std::fmt::Write as _;

use askama::Template;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::{BusinessId, RequestId};
use trousseau_domain::members::{Operation, Role};
use trousseau_domain::profile::Environments;
use trousseau_domain::time::{TimeZone, Timestamp};

use super::assets;
use super::form::csrf_token;
use super::format::Formats;
use super::look::{Look, Theme, cookie, set_cookie};
use super::session::form_token;
use super::text::{Texts, message};
use crate::language::Language;
use crate::problem::{Failure, Kind};

/// What a page may load: only what this site serves, and nothing that stands in the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Where windows that opened each other are kept apart.
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// The cookie that carries one message to the next page.
const FLASH: &str = "trousseau_flash";

/// What the layout needs to know.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The words.
    pub t: Texts,
    /// Dates, times and numbers.
    pub f: Formats,
    /// Light, dark, or the system's.
    pub theme: Option<Theme>,
    /// Path and query of the page, to come back to.
    pub here: String,
    /// The token of the forms.
    pub csrf: String,
    /// The id of the request.
    pub request_id: RequestId,
    /// Who reads; nobody before signing in.
    pub person: Option<Person>,
    /// The businesses of the reader.
    pub businesses: Vec<Choice>,
    /// The business and environment of the page; none outside.
    pub place: Option<Place>,
    /// The tab of the page.
    pub tab: Option<Tab>,
    /// The page below the tab.
    pub sub: Option<Sub>,
    /// What the last action did.
    pub flash: Option<Flash>,
    /// Whether cookies are for HTTPS only.
    pub secure: bool,
}

/// Who reads.
#[derive(Debug, Clone)]
pub struct Person {
    /// What they are called.
    pub name: String,
    /// What they sign in with.
    pub email: String,
    /// Whether they see the platform's pages.
    pub platform_admin: bool,
}

/// A business that the reader may go to.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Its id.
    pub id: BusinessId,
    /// Its name.
    pub name: String,
    /// Where its logo is.
    pub logo: Option<String>,
    /// Which environments it has.
    pub environments: Environments,
}

/// Where the page is.
#[derive(Debug, Clone)]
pub struct Place {
    /// The business's id.
    pub business: BusinessId,
    /// Its name.
    pub name: String,
    /// Where its logo is.
    pub logo: Option<String>,
    /// Which environments it has.
    pub environments: Environments,
    /// The environment of the page.
    pub environment: Environment,
    /// What the reader is here.
    pub role: Role,
    /// Whether the business is suspended: everything can be read and nothing changed.
    pub suspended: bool,
}

/// The tabs of a business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// The next step.
    Home,
    /// Payments.
    Payments,
    /// Payment links.
    PaymentLinks,
    /// Invoices.
    Invoices,
    /// Recurring payments.
    RecurringPayments,
    /// Keys and finding out.
    Developers,
    /// The business and its people.
    Settings,
}

/// The pages below a tab that have a menu of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sub {
    /// Developers > API keys.
    ApiKeys,
    /// Developers > Webhooks.
    Webhooks,
    /// Developers > Events.
    Events,
    /// Developers > Request logs.
    Requests,
    /// Developers > Usage.
    Usage,
    /// Developers > API reference, outside the business.
    Reference,
    /// Settings > Business.
    Business,
    /// Settings > Checkout.
    Checkout,
    /// Settings > Members.
    Members,
    /// Settings > Notices.
    Notices,
}

/// A link of a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuLink {
    /// Where to.
    pub href: String,
    /// What it says.
    pub label: String,
    /// Whether it is the page's own.
    pub current: bool,
}

/// What the last action did: one of the messages that begin with `flash-`, and the name it speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flash {
    /// The message.
    pub text: String,
}

/// The two letters that stand for a name.
pub(crate) fn initials(name: &str) -> String {
    let mut words =
        name.split_whitespace().filter_map(|word| word.chars().next()).filter(|first| first.is_alphanumeric());
    let first = words.next().unwrap_or('?');
    let last = words.next_back();
    [Some(first), last].into_iter().flatten().flat_map(char::to_uppercase).collect()
}

/// An id in three parts: only the middle one is hidden by the style, so that copying gets it whole.
pub(crate) fn id_parts(id: &str) -> (&str, &str, &str) {
    if id.len() < 24 || !id.is_ascii() {
        return (id, "", "");
    }
    let (head, rest) = id.split_at(8);
    let (middle, tail) = rest.split_at(rest.len() - 6);
    (head, middle, tail)
}

impl Tab {
    const ALL: [Self; 7] = [
        Self::Home,
        Self::Payments,
        Self::PaymentLinks,
        Self::Invoices,
        Self::RecurringPayments,
        Self::Developers,
        Self::Settings,
    ];

    /// The path below the business and environment.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Home => "",
            Self::Payments => "/payments",
            Self::PaymentLinks => "/payment-links",
            Self::Invoices => "/invoices",
            Self::RecurringPayments => "/recurring-payments",
            Self::Developers => "/developers/api-keys",
            Self::Settings => "/settings",
        }
    }

    /// What a role has to be allowed, for the tab to be there.
    const fn operation(self) -> Operation {
        match self {
            Self::Home | Self::Settings => Operation::BusinessRead,
            Self::Payments | Self::PaymentLinks | Self::Invoices | Self::RecurringPayments => Operation::PaymentsRead,
            Self::Developers => Operation::KeysRead,
        }
    }

    /// What it is called.
    pub fn label(self, t: Texts) -> String {
        t.get(match self {
            Self::Home => message!("tab-home"),
            Self::Payments => message!("tab-payments"),
            Self::PaymentLinks => message!("tab-payment-links"),
            Self::Invoices => message!("tab-invoices"),
            Self::RecurringPayments => message!("tab-recurring-payments"),
            Self::Developers => message!("tab-developers"),
            Self::Settings => message!("tab-settings"),
        })
    }
}

impl Sub {
    const DEVELOPERS: [Self; 6] =
        [Self::ApiKeys, Self::Webhooks, Self::Events, Self::Requests, Self::Usage, Self::Reference];
    const SETTINGS: [Self; 4] = [Self::Business, Self::Checkout, Self::Members, Self::Notices];

    /// The path below the business and environment.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ApiKeys => "/developers/api-keys",
            Self::Webhooks => "/developers/webhooks",
            Self::Events => "/developers/events",
            Self::Requests => "/developers/requests",
            Self::Usage => "/developers/usage",
            Self::Reference => "/docs",
            Self::Business => "/settings",
            Self::Checkout => "/settings/checkout",
            Self::Members => "/settings/members",
            Self::Notices => "/settings/notices",
        }
    }

    const fn operation(self) -> Operation {
        match self {
            Self::ApiKeys => Operation::KeysRead,
            Self::Webhooks => Operation::WebhooksRead,
            Self::Events | Self::Requests | Self::Usage => Operation::LogsRead,
            Self::Reference | Self::Business | Self::Checkout | Self::Notices => Operation::BusinessRead,
            Self::Members => Operation::MembersRead,
        }
    }

    /// What it is called.
    pub fn label(self, t: Texts) -> String {
        t.get(match self {
            Self::ApiKeys => message!("sub-api-keys"),
            Self::Webhooks => message!("sub-webhooks"),
            Self::Events => message!("sub-events"),
            Self::Requests => message!("sub-requests"),
            Self::Usage => message!("sub-usage"),
            Self::Reference => message!("sub-reference"),
            Self::Business => message!("sub-business"),
            Self::Checkout => message!("sub-checkout"),
            Self::Members => message!("sub-members"),
            Self::Notices => message!("sub-notices"),
        })
    }
}

/// What a role is called.
pub(crate) fn role_name(role: Role, t: Texts) -> String {
    t.get(match role {
        Role::Administrator => message!("role-administrator"),
        Role::Developer => message!("role-developer"),
        Role::Analyst => message!("role-analyst"),
    })
}

impl Place {
    /// The path that everything of this business and environment lies below.
    pub fn base(&self) -> String {
        format!("/b/{}/{}", self.business, self.environment)
    }

    /// Whether the reader's role may do it here.
    pub const fn may(&self, operation: Operation) -> bool {
        self.role.may(operation)
    }

    /// The word for the environment, which is not translated.
    pub const fn environment_word(&self) -> &'static str {
        self.environment.in_key_text()
    }

    /// Whether there is another environment to switch to.
    pub fn has_both(&self) -> bool {
        self.environments == Environments::Both
    }

    /// Whether this is TEST.
    pub fn is_test(&self) -> bool {
        self.environment == Environment::Test
    }

    /// The first letters of the business's name.
    pub fn mark(&self) -> String {
        initials(&self.name)
    }

    /// The business's id in three parts.
    pub fn id_parts(&self) -> (&str, &str, &str) {
        id_parts(self.business.as_str())
    }
}

impl Person {
    /// The first letters of the name.
    pub fn initials(&self) -> String {
        initials(&self.name)
    }
}

impl Choice {
    /// Where the business opens: LIVE where that is all it has, else TEST.
    pub fn href(&self, current: Option<&Place>) -> String {
        let wanted = current.map_or(Environment::Test, |place| place.environment);
        let environment = if self.environments.offers(wanted) { wanted } else { Environment::Live };
        format!("/b/{}/{environment}", self.id)
    }

    /// The first letters of its name.
    pub fn mark(&self) -> String {
        initials(&self.name)
    }
}

impl Frame {
    /// A frame before anybody is known.
    pub fn new(headers: &HeaderMap, f: Formats, here: String, request_id: RequestId, secure: bool) -> Self {
        let look = Look::of(headers);
        Self {
            t: Texts::new(look.language),
            f,
            theme: look.theme,
            here,
            csrf: form_token(headers, secure).unwrap_or_default(),
            request_id,
            person: None,
            businesses: Vec::new(),
            place: None,
            tab: None,
            sub: None,
            flash: Flash::read(headers, Texts::new(look.language)),
            secure,
        }
    }

    /// The same frame in another language.
    pub(crate) fn speak(&mut self, t: Texts, headers: &HeaderMap) {
        self.t = t;
        self.flash = Flash::read(headers, t);
    }

    /// The same frame for the page that begins a session: its forms are of the cookie that goes along with it, and the page
    /// after it is `next`.
    pub(crate) fn begin_session(&mut self, secret: &str, next: String) {
        self.csrf = csrf_token(secret);
        self.here = next;
    }

    /// The same frame inside a business.
    pub(crate) fn enter(&mut self, place: Place, zone: TimeZone) {
        self.f = Formats::new(self.t.language(), zone, self.f.now());
        self.place = Some(place);
    }

    /// A frame where nothing is known but the request: for pages about failures, which show no times.
    pub(crate) fn bare(headers: &HeaderMap, here: String, request_id: RequestId, secure: bool) -> Self {
        let zone = "UTC".parse().expect("a zone of the database");
        let never = Timestamp::from_micros(0).expect("the epoch is in range");
        Self::new(headers, Formats::new(Look::of(headers).language, zone, never), here, request_id, secure)
    }

    /// Whether whoever reads it came to pay: they are no member, and have no way into the pages of members.
    pub fn is_for_payers(&self) -> bool {
        self.here == "/pay" || self.here.starts_with("/pay/")
    }

    /// The same frame with this tab marked.
    #[must_use]
    pub fn at(mut self, tab: Tab, sub: Option<Sub>) -> Self {
        self.tab = Some(tab);
        self.sub = sub;
        self
    }

    /// The language's tag.
    pub fn lang(&self) -> &'static str {
        self.t.language().tag()
    }

    /// The other language.
    pub fn other_language(&self) -> Language {
        match self.t.language() {
            Language::English => Language::French,
            Language::French => Language::English,
        }
    }

    /// Whether this word is the chosen theme.
    pub fn theme_is(&self, word: &str) -> bool {
        self.theme.map_or("system", Theme::as_str) == word
    }

    /// Where an asset is.
    pub fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    /// The list at `base` with what this page was asked for, from its beginning.
    pub fn newest(&self, base: &str) -> String {
        let query = self.here.split_once('?').map_or("", |(_, query)| query);
        let rest: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("after=")).collect();
        if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) }
    }

    /// The title of the page: page, section, business, environment.
    pub fn title(&self, page: &str) -> String {
        let mut title = page.to_owned();
        if let Some(tab) = self.tab.filter(|_| self.sub.is_some()) {
            let _ = write!(title, " · {}", tab.label(self.t));
        }
        match &self.place {
            Some(place) => {
                let _ = write!(title, " · {} ({})", place.name, place.environment_word());
            }
            None => title.push_str(" · Trousseau"),
        }
        title
    }

    /// The tabs that the reader may use here.
    pub fn tabs(&self) -> Vec<MenuLink> {
        let Some(place) = &self.place else { return Vec::new() };
        Tab::ALL
            .into_iter()
            .filter(|tab| place.may(tab.operation()))
            .map(|tab| MenuLink {
                href: format!("{}{}", place.base(), tab.path()),
                label: tab.label(self.t),
                current: self.tab == Some(tab),
            })
            .collect()
    }

    /// The pages of the tab that the reader may use here.
    pub fn subtabs(&self) -> Vec<MenuLink> {
        let Some(place) = &self.place else { return Vec::new() };
        let subs = match self.tab {
            Some(Tab::Developers) => &Sub::DEVELOPERS[..],
            Some(Tab::Settings) => &Sub::SETTINGS[..],
            _ => &[],
        };
        subs.iter()
            .filter(|sub| place.may(sub.operation()))
            .map(|sub| MenuLink {
                href: match sub {
                    Sub::Reference => sub.path().to_owned(),
                    _ => format!("{}{}", place.base(), sub.path()),
                },
                label: sub.label(self.t),
                current: self.sub == Some(*sub),
            })
            .collect()
    }

    /// What the menu of the tab is called.
    pub fn tab_label(&self) -> String {
        self.tab.map(|tab| tab.label(self.t)).unwrap_or_default()
    }

    /// The same section in another environment.
    pub fn in_environment(&self, environment: &str) -> String {
        let Some(place) = &self.place else { return String::new() };
        let section = match (self.sub, self.tab) {
            (Some(Sub::Reference), _) | (None, None) => "",
            (Some(sub), _) => sub.path(),
            (None, Some(tab)) => tab.path(),
        };
        format!("/b/{}/{environment}{section}", place.business)
    }

    /// A page with status 200.
    pub fn page(&self, template: &impl Template) -> Response {
        self.page_with(StatusCode::OK, template)
    }

    /// A page. What it says is for its reader alone: nothing keeps it.
    pub fn page_with(&self, status: StatusCode, template: &impl Template) -> Response {
        let mut response = html(status, self.t.language(), template);
        if self.flash.is_some() {
            set_cookie(response.headers_mut(), FLASH, "", Some(0), self.secure);
        }
        response
    }

    /// To another page of this site, which says what was done.
    pub fn done(&self, to: &str, flash: &'static str, name: &str) -> Response {
        let mut response = redirect(to);
        let mut value = flash.to_owned();
        if !name.is_empty() {
            value.push('.');
            for byte in name.bytes() {
                let _ = write!(value, "{byte:02x}");
            }
        }
        // The next page takes it away; a minute is for the one that never comes.
        set_cookie(response.headers_mut(), FLASH, &value, Some(60), self.secure);
        response
    }
}

impl Flash {
    /// Reads the cookie. Whatever else stands in it is nothing of ours.
    fn read(headers: &HeaderMap, t: Texts) -> Option<Self> {
        let value = cookie(headers, FLASH)?;
        let (id, name) = match value.split_once('.') {
            Some((id, name)) => (id, unhex(name)?),
            None => (value, String::new()),
        };
        t.flash(id, &name).map(|text| Self { text })
    }
}

fn unhex(text: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> =
        text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    String::from_utf8(bytes?).ok()
}

/// A template as an answer with the headers of a page; one that cannot be written is a failure of ours.
pub(crate) fn html(status: StatusCode, language: Language, template: &impl Template) -> Response {
    let text = match template.render() {
        Ok(text) => text,
        Err(error) => return Failure::new(Kind::Internal).with_cause(error).into_response(),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_LANGUAGE, language.tag()),
        (CONTENT_SECURITY_POLICY, POLICY),
        // Not `no-referrer`, under which browsers hide the origin of a form.
        (REFERRER_POLICY, "same-origin"),
        (OPENER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// To another page of this site, by GET.
pub(crate) fn redirect(to: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    // Every path is made of ids and literals, or was checked to be one.
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, location);
    response
}

/// A path on this site that a form may ask to come back to; the start page where it is anything else.
pub(crate) fn local_path(text: &str) -> &str {
    let inside = text.starts_with('/')
        && !text.starts_with("//")
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && text.len() <= 2_000;
    if inside { text } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What no template can write.
    struct Unwritable;

    impl std::fmt::Display for Unwritable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            Err(std::fmt::Error)
        }
    }

    #[derive(Template)]
    #[template(source = "<p>{{ text }}</p>", ext = "html")]
    struct Broken {
        text: Unwritable,
    }

    #[test]
    fn a_page_that_cannot_be_written_is_a_failure_and_not_an_empty_page() {
        let response = html(StatusCode::OK, Language::English, &Broken { text: Unwritable });
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        // The outermost layer makes the page about it, and writes down its cause.
        let failure = response.extensions().get::<Failure>().expect("a failure");
        assert!(failure.kind() == Kind::Internal && failure.cause_chain().is_some());
    }

    #[test]
    fn names_have_initials() {
        for (name, letters) in
            [("Atelier Lumière", "AL"), ("acme", "A"), ("Érable et fils", "ÉF"), ("<script>", "?"), ("  ", "?")]
        {
            assert_eq!(initials(name), letters, "{name}");
        }
    }

    #[test]
    fn ids_are_hidden_in_the_middle_only() {
        let id = "6f1d2c8e-3b47-4a95-9c0e-d15b7a64f2e8";
        let (head, middle, tail) = id_parts(id);
        assert_eq!((head, tail), ("6f1d2c8e", "64f2e8"));
        assert_eq!(format!("{head}{middle}{tail}"), id);
        assert_eq!(id_parts("12345678901234"), ("12345678901234", "", ""));
    }

    #[test]
    fn no_form_leads_away_from_this_site() {
        for (text, path) in [
            ("/b/x/test?page=2", "/b/x/test?page=2"),
            ("", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/a\r\nSet-Cookie: x=1", "/"),
            ("javascript:alert(1)", "/"),
        ] {
            assert_eq!(local_path(text), path, "{text}");
        }
    }

    #[test]
    fn a_flash_says_only_what_we_say() {
        let t = Texts::new(Language::English);
        let flash = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("cookie", format!("{FLASH}={value}").parse().expect("a header"));
            Flash::read(&headers, t)
        };
        for forged in ["", "tab-home", "<b>", "flash-none.zz", "flash-none"] {
            assert_eq!(flash(forged), None, "{forged}");
        }
        assert_eq!(unhex("c3a9"), Some("é".to_owned()));
        assert_eq!(unhex("c3"), None);
    }
}
