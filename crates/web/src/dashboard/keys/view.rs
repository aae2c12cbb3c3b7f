//! A key as the pages show it, by the rules of its business.

use std::sync::Arc;
use std::time::Duration;

use trousseau_domain::environment::Environment;
use trousseau_domain::keys::{KeyKind, KeyState, KeyStatus};
use trousseau_domain::limits::{Limits, Period, RateLimit};
use trousseau_domain::profile::{Changing, Profile, Revoking};
use trousseau_domain::scope::{BuiltIn, ScopeCatalogue, ScopeSet};
use trousseau_service::keys::{Exposure, KeyView};

use super::usage::Week;

use crate::dashboard::format::{Formats, Shown};
use crate::dashboard::frame::Frame;
use crate::dashboard::text::{Arg, Texts, message};
use crate::language::Language;

/// A key is *expiring* this long before its end.
const EXPIRING_WITHIN: Duration = Duration::from_hours(14 * 24);

/// What the pages of a business offer, which follows from its profile.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is something a template asks by itself")]
pub(super) struct Console {
    /// Whether keys have names; else they are known by their numbers.
    pub(super) named: bool,
    /// Whether there are checkout keys.
    pub(super) checkout: bool,
    /// Whether permissions, origins and address ranges can be chosen.
    pub(super) rights: bool,
    /// Whether state and dates can be chosen.
    pub(super) dates: bool,
    /// Whether a key can be given a new value.
    pub(super) rotates: bool,
    /// Whether members may revoke.
    pub(super) revokes: bool,
    /// Whether the business id is sent beside the key.
    pub(super) needs_id: bool,
    /// How many rows a page of the list has unless chosen otherwise.
    pub(super) rows: u32,
}

impl Console {
    pub(super) fn of(profile: &Profile) -> Self {
        Self {
            named: profile.named,
            checkout: profile.checkout,
            rights: profile.changing == Changing::Everything,
            dates: profile.changing != Changing::Nothing,
            rotates: profile.changing == Changing::Everything,
            revokes: profile.revoking == Revoking::Everyone,
            needs_id: profile.business_id_required,
            // A console of numbers and dates begins with ten rows.
            rows: if profile.named { 25 } else { 10 },
        }
    }

    /// Whether state, dates or more of a key can be changed.
    pub(super) const fn edits(&self) -> bool {
        self.dates || self.rights
    }
}

/// The state of a key: an icon, words and a tint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Badge {
    pub(super) tint: &'static str,
    pub(super) icon: &'static str,
    pub(super) text: String,
}

/// A key on a page.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is something a template asks by itself")]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) number: u32,
    /// Its name, or what stands for it.
    pub(super) label: String,
    /// The same in the list, where a number stands under its head.
    pub(super) listed: String,
    /// Whether the label is a name that a person chose.
    pub(super) is_named: bool,
    pub(super) path: String,
    pub(super) kind: String,
    pub(super) is_checkout: bool,
    pub(super) restricted: bool,
    pub(super) reference: Option<String>,
    pub(super) mask_prefix: String,
    pub(super) last_three: String,
    pub(super) from: Shown,
    pub(super) until: Option<Shown>,
    pub(super) badge: Badge,
    /// The manual switch in words.
    pub(super) switch: String,
    pub(super) is_on: bool,
    pub(super) is_revoked: bool,
    /// Whether its value can be copied.
    pub(super) readable: bool,
    pub(super) used: Option<Shown>,
    /// Its calls in seven days, on pages that show them.
    pub(super) week: Option<Week>,
    pub(super) created: Shown,
}

impl Row {
    pub(super) fn of(frame: &Frame, profile: &Profile, catalogue: &ScopeCatalogue, view: &KeyView) -> Self {
        let (key, f, t) = (&view.key, &frame.f, frame.t);
        let defaults = profile.default_scopes(catalogue, key.kind);
        Self {
            id: key.id.to_string(),
            number: key.number,
            label: label(view, t),
            listed: if profile.named { label(view, t) } else { key.number.to_string() },
            is_named: key.name.is_some(),
            path: super::path_of(frame, key.number),
            kind: kind_name(key.kind, t),
            is_checkout: key.kind == KeyKind::Checkout,
            restricted: key.kind == KeyKind::Secret && defaults.first_beyond(&key.scopes).is_some(),
            reference: key.external_reference.clone(),
            mask_prefix: key.mask_prefix.clone(),
            last_three: key.last_three.clone(),
            from: f.date(key.valid_from),
            until: key.valid_until.map(|end| f.last_date(end)),
            badge: badge(view, profile.named, f, t),
            switch: state_name(key.state, t),
            is_on: key.state == KeyState::Active,
            is_revoked: key.revoked_at.is_some(),
            readable: key.revoked_at.is_none() && profile.value_readable(key.tenant.environment, key.kind),
            used: key.last_used_at.map(|at| f.relative(at)),
            week: None,
            created: f.date(key.created_at),
        }
    }
}

/// The name of a key, or its number where it has none.
pub(super) fn label(view: &KeyView, t: Texts) -> String {
    match &view.key.name {
        Some(name) => name.as_str().to_owned(),
        None => t.with("key-number", [("number", view.key.number.to_string())]),
    }
}

/// What a kind of key is called in a sentence.
pub(super) fn kind_phrase(kind: KeyKind, t: Texts) -> String {
    match kind {
        KeyKind::Secret => t.get("phrase-secret"),
        KeyKind::Checkout => t.get("phrase-checkout"),
    }
}

pub(super) fn kind_name(kind: KeyKind, t: Texts) -> String {
    match kind {
        KeyKind::Secret => t.get("kind-secret"),
        KeyKind::Checkout => t.get("kind-checkout"),
    }
}

pub(super) fn state_name(state: KeyState, t: Texts) -> String {
    match state {
        KeyState::Active => t.get("switch-on"),
        KeyState::Inactive => t.get("switch-off"),
    }
}

pub(super) fn status_name(status: KeyStatus, t: Texts) -> String {
    t.get(match status {
        KeyStatus::Active => message!("status-active"),
        KeyStatus::Scheduled => message!("status-scheduled"),
        KeyStatus::Expired => message!("status-expired"),
        KeyStatus::Inactive => message!("status-inactive"),
        KeyStatus::Revoked => message!("status-revoked"),
    })
}

/// Where keys have no names, state is the manual switch, and this is what it amounts to with the dates.
fn badge(view: &KeyView, named: bool, f: &Formats, t: Texts) -> Badge {
    let now = f.now();
    let (tint, icon) = match view.status {
        KeyStatus::Revoked => ("bad", "stop"),
        KeyStatus::Expired => ("", "stop"),
        KeyStatus::Inactive => ("", "pause"),
        KeyStatus::Scheduled => ("", "clock"),
        KeyStatus::Active => {
            if let Some(end) = view.key.valid_until.filter(|end| end.since(now) <= EXPIRING_WITHIN) {
                let days = end.since(now).as_secs() / 86_400;
                return Badge { tint: "warn", icon: "clock", text: t.with("status-expiring", [("days", days)]) };
            }
            if let Some(end) = view.key.previous_ends_at.filter(|end| *end > now) {
                let text = t.with("status-rotating", [("until", f.relative(end).text)]);
                return Badge { tint: "warn", icon: "turn", text };
            }
            ("ok", "check")
        }
    };
    let text = match (named, view.status) {
        (false, KeyStatus::Active) => t.get("status-in-force"),
        (false, KeyStatus::Scheduled) => t.get("status-upcoming"),
        (_, status) => status_name(status, t),
    };
    Badge { tint, icon, text }
}

/// What can be read and changed, and what it is called in a sentence.
pub(super) fn noun(read: BuiltIn, t: Texts) -> String {
    t.get(match read {
        BuiltIn::PaymentLinksRead | BuiltIn::PaymentLinksWrite => message!("noun-payment-links"),
        BuiltIn::InvoicesRead | BuiltIn::InvoicesWrite => message!("noun-invoices"),
        BuiltIn::RecurringPaymentsRead | BuiltIn::RecurringPaymentsWrite => message!("noun-recurring-payments"),
        BuiltIn::PaymentsRead | BuiltIn::PaymentsWrite => message!("noun-payments"),
        BuiltIn::RefundsRead | BuiltIn::RefundsWrite => message!("noun-refunds"),
        BuiltIn::WebhooksRead | BuiltIn::WebhooksWrite => message!("noun-webhooks"),
        BuiltIn::KeysRead | BuiltIn::KeysWrite => message!("noun-keys"),
        BuiltIn::EventsRead => message!("noun-events"),
        BuiltIn::CheckoutStart | BuiltIn::CheckoutStatus => message!("noun-checkout"),
    })
}

/// Words of a list, the last two parted by *and*.
pub(super) fn joined(words: &[String], t: Texts) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{}{}{last}", first.join(", "), t.get("list-and")),
    }
}

/// What a set of scopes allows, in phrases that begin with a verb.
pub(super) fn abilities(scopes: &ScopeSet, catalogue: &ScopeCatalogue, t: Texts) -> Vec<String> {
    let (mut both, mut read, mut change) = (Vec::new(), Vec::new(), Vec::new());
    for (reading, writing) in [
        (BuiltIn::PaymentLinksRead, Some(BuiltIn::PaymentLinksWrite)),
        (BuiltIn::InvoicesRead, Some(BuiltIn::InvoicesWrite)),
        (BuiltIn::RecurringPaymentsRead, Some(BuiltIn::RecurringPaymentsWrite)),
        (BuiltIn::PaymentsRead, Some(BuiltIn::PaymentsWrite)),
        (BuiltIn::RefundsRead, Some(BuiltIn::RefundsWrite)),
        (BuiltIn::WebhooksRead, Some(BuiltIn::WebhooksWrite)),
        (BuiltIn::KeysRead, Some(BuiltIn::KeysWrite)),
        (BuiltIn::EventsRead, None),
    ] {
        let writes = writing.is_some_and(|writing| scopes.allows(writing));
        match (scopes.allows(reading), writes) {
            (true, true) => both.push(noun(reading, t)),
            (true, false) => read.push(noun(reading, t)),
            (false, true) => change.push(noun(reading, t)),
            (false, false) => {}
        }
    }
    let mut phrases = Vec::new();
    for (nouns, id) in [(both, message!("may-both")), (read, message!("may-read")), (change, message!("may-change"))] {
        if !nouns.is_empty() {
            phrases.push(t.with(id, [("what", joined(&nouns, t))]));
        }
    }
    match (scopes.allows(BuiltIn::CheckoutStart), scopes.allows(BuiltIn::CheckoutStatus)) {
        (true, true) => phrases.push(t.get("may-checkout-both")),
        (true, false) => phrases.push(t.get("may-checkout-start")),
        (false, true) => phrases.push(t.get("may-checkout-status")),
        (false, false) => {}
    }
    for scope in catalogue.operator_scopes().filter(|scope| scopes.contains(&scope.name)) {
        phrases.push(match t.language() {
            Language::English => scope.description_en.clone(),
            Language::French => scope.description_fr.clone(),
        });
    }
    phrases
}

/// Phrases one after the other, in one sentence.
pub(super) fn in_sentence(phrases: &[String], t: Texts) -> String {
    phrases.join(&t.get("list-phrases"))
}

/// How often a key may be used, one limit a line.
pub(super) fn in_words(limits: &Limits, f: &Formats, t: Texts) -> Vec<String> {
    let rate = |rate: &RateLimit| {
        let seconds = rate.seconds();
        let (count, unit) = match seconds {
            86_400 => (1, "day"),
            _ if seconds.is_multiple_of(3_600) => (seconds / 3_600, "hour"),
            _ if seconds.is_multiple_of(60) => (seconds / 60, "minute"),
            _ => (seconds, "second"),
        };
        let calls = f.number(rate.requests().into());
        t.with("limit-rate", [("calls", Arg::from(calls)), ("count", Arg::from(count)), ("unit", Arg::from(unit))])
    };
    let quota = |period: Period| {
        let calls = f.number(limits.quota.of(period)?);
        Some(t.with("limit-quota", [("calls", Arg::from(calls)), ("period", Arg::from(period.as_str()))]))
    };
    let quotas = [Period::Day, Period::Month].into_iter().filter_map(quota);
    limits.rates.as_slice().iter().map(rate).chain(quotas).collect()
}

/// From where a key works, in a sentence.
pub(super) fn reach(kind: KeyKind, origins: &[String], ips: &[String], t: Texts) -> String {
    match kind {
        KeyKind::Checkout if origins.is_empty() => t.get("reach-any-origin"),
        KeyKind::Checkout => t.with("reach-origins", [("list", joined(origins, t))]),
        KeyKind::Secret if ips.is_empty() => t.get("reach-any-address"),
        KeyKind::Secret => t.with("reach-addresses", [("list", joined(ips, t))]),
    }
}

/// The two lines that stand on every key.
#[derive(Debug, Clone)]
pub(super) struct Stakes {
    pub(super) if_stolen: String,
    pub(super) if_ended: String,
}

impl Stakes {
    pub(super) fn of(exposure: &Exposure, catalogue: &ScopeCatalogue, f: &Formats, t: Texts) -> Self {
        let view = &exposure.key;
        let key = &view.key;
        let able = in_sentence(&abilities(&key.scopes, catalogue, t), t);
        let reach = reach(key.kind, &texts(&key.allowed_origins), &texts(&key.allowed_ips), t);
        let if_stolen = if able.is_empty() {
            t.get("stolen-nothing")
        } else {
            let id = match (key.kind, key.tenant.environment) {
                (KeyKind::Checkout, _) => message!("stolen-checkout"),
                (KeyKind::Secret, Environment::Test) => message!("stolen-test"),
                (KeyKind::Secret, Environment::Live) => message!("stolen-live"),
            };
            t.with(id, [("able", Arg::from(able)), ("reach", Arg::from(reach))])
        };
        let week = exposure.week.accepted;
        let if_ended = match (view.status, key.last_used_at) {
            (KeyStatus::Active, Some(at)) if week > 0 => {
                t.with("ended-used", [("count", Arg::from(&week)), ("used", Arg::from(f.relative(at).text))])
            }
            (KeyStatus::Active, Some(at)) => t.with("ended-quiet", [("used", f.relative(at).text)]),
            (KeyStatus::Active, None) => t.get("ended-unused"),
            _ => t.get("ended-not-in-force"),
        };
        Self { if_stolen, if_ended }
    }
}

/// The entries of a list as texts.
pub(super) fn texts<T: ToString>(entries: &[T]) -> Vec<String> {
    entries.iter().map(ToString::to_string).collect()
}

/// What a page of one key holds.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) console: Console,
    pub(super) profile: Arc<Profile>,
}

impl Rules {
    pub(super) fn of(profile: &Arc<Profile>) -> Self {
        Self { console: Console::of(profile), profile: Arc::clone(profile) }
    }
}
