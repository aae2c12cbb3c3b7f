//! The fields of the form that makes or changes a key: what was typed, and what it means.

use std::collections::HashSet;
use std::num::NonZeroU64;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use trousseau_domain::environment::Environment;
use trousseau_domain::ip_range::IpRange;
use trousseau_domain::keys::{KeyKind, KeyState};
use trousseau_domain::limits::{InvalidRateLimits, Limits, Quota, RateLimit, RateLimits};
use trousseau_domain::origin::Origin;
use trousseau_domain::scope::{BuiltIn, ScopeCatalogue, ScopeSet};
use trousseau_domain::text::{InvalidText, KeyName};
use trousseau_domain::time::Day;
use trousseau_service::keys::KeyView;

use super::view::{Console, abilities, in_sentence, noun, reach, texts};
use crate::dashboard::form::FormErrors;
use crate::dashboard::format::Formats;
use crate::dashboard::kept::Keepable;
use crate::dashboard::text::{Arg, Texts, message};
use crate::language::Language;

/// The most entries of a list of origins or address ranges.
const MOST_ENTRIES: usize = 100;

/// What was typed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) state: String,
    pub(super) start: String,
    pub(super) end: String,
    pub(super) end_date: String,
    pub(super) ips: String,
    pub(super) origins: String,
    pub(super) rates: String,
    pub(super) quota_day: String,
    pub(super) quota_month: String,
    /// One entry per control; an entry may name several scopes, parted by spaces.
    pub(super) scope: Vec<String>,
    /// Makes one form one key, however often it is sent.
    pub(super) once: String,
    /// What the form of a key that is there began with, as it was then: what differs from it was changed by the person.
    pub(super) drawn: String,
    /// Whether a change that leaves no key in force was asked about.
    pub(super) sure: String,
}

impl Keepable for Fields {}

/// The form of a key that is there, as it was sent, and which fields it has at all: what it does not have is left as it
/// is, what it has and is empty is cleared.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) fields: Fields,
    has: HashSet<String>,
}

impl<'de> Deserialize<'de> for Sent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = Vec::<(String, String)>::deserialize(deserializer)?;
        let text = serde_html_form::to_string(&pairs).map_err(D::Error::custom)?;
        let fields = serde_html_form::from_str(&text).map_err(D::Error::custom)?;
        Ok(Self { fields, has: pairs.into_iter().map(|(name, _)| name).collect() })
    }
}

impl Sent {
    /// The whole form: with what the key was when the form began, where it has no such field.
    pub(super) fn completed(self, before: &Wanted) -> Fields {
        let Self { fields, has } = self;
        let were = Fields::meaning(before);
        let given = |name: &str, text: String, or: String| if has.contains(name) { text } else { or };
        // These two are never empty.
        let filled = |text: String, or: String| if text.trim().is_empty() { or } else { text };
        let (end, end_date) =
            if has.contains("end") { (fields.end, fields.end_date) } else { (were.end, were.end_date) };
        Fields {
            name: given("name", fields.name, were.name),
            kind: were.kind,
            state: filled(fields.state, were.state),
            start: filled(fields.start, were.start),
            end,
            end_date,
            ips: given("ips", fields.ips, were.ips),
            origins: given("origins", fields.origins, were.origins),
            rates: given("rates", fields.rates, were.rates),
            quota_day: given("quota_day", fields.quota_day, were.quota_day),
            quota_month: given("quota_month", fields.quota_month, were.quota_month),
            scope: if has.contains("scope") { fields.scope } else { were.scope },
            once: fields.once,
            drawn: fields.drawn,
            sure: fields.sure,
        }
    }
}

/// What it means.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) name: Option<KeyName>,
    pub(super) kind: KeyKind,
    pub(super) state: KeyState,
    pub(super) start: Day,
    /// The last day.
    pub(super) end: Option<Day>,
    pub(super) scopes: ScopeSet,
    pub(super) origins: Vec<Origin>,
    pub(super) ips: Vec<IpRange>,
    pub(super) limits: Limits,
}

impl Fields {
    /// The form of a new key.
    pub(super) fn fresh(once: String, f: &Formats, catalogue: &ScopeCatalogue) -> Self {
        Self {
            kind: KeyKind::Secret.to_string(),
            state: KeyState::Active.to_string(),
            start: f.zone().day_of(f.now()).to_string(),
            end: "none".to_owned(),
            scope: catalogue.default_for(KeyKind::Secret).iter().map(ToString::to_string).collect(),
            once,
            ..Self::default()
        }
    }

    /// The form of a key that is there.
    pub(super) fn of(view: &KeyView, f: &Formats) -> Self {
        Self::meaning(&Wanted::of(view, f))
    }

    /// The form that means this.
    fn meaning(wanted: &Wanted) -> Self {
        let end = wanted.end.map(|day| day.to_string());
        let quota = wanted.limits.quota;
        Self {
            name: wanted.name.as_ref().map(ToString::to_string).unwrap_or_default(),
            kind: wanted.kind.to_string(),
            state: wanted.state.to_string(),
            start: wanted.start.to_string(),
            end: if end.is_some() { "date".to_owned() } else { "none".to_owned() },
            end_date: end.unwrap_or_default(),
            ips: texts(&wanted.ips).join("\n"),
            origins: texts(&wanted.origins).join("\n"),
            rates: wanted.limits.rates.texts().join("\n"),
            quota_day: quota.day.map(|calls| calls.to_string()).unwrap_or_default(),
            quota_month: quota.month.map(|calls| calls.to_string()).unwrap_or_default(),
            scope: wanted.scopes.iter().map(ToString::to_string).collect(),
            ..Self::default()
        }
    }

    /// What a form about this key begins with, to be sent back with it.
    pub(super) fn drawn_of(view: &KeyView, f: &Formats) -> String {
        serde_json::to_string(&Self::of(view, f)).expect("texts and lists of texts only")
    }

    /// What the form began with; the key as it is now where that cannot be read.
    pub(super) fn before(
        &self,
        view: &KeyView,
        console: &Console,
        catalogue: &ScopeCatalogue,
        f: &Formats,
        t: Texts,
    ) -> Wanted {
        let read = || {
            let drawn: Self = serde_json::from_str(&self.drawn).ok()?;
            let name = drawn.name.parse().ok();
            // A key without a name has a form all the same.
            let named = Self { name: "-".to_owned(), ..drawn };
            let wanted = named.read(console, catalogue, f, t, &mut FormErrors::new())?;
            Some(Wanted { name, ..wanted })
        };
        read().unwrap_or_else(|| Wanted::of(view, f))
    }

    /// The kind that was chosen.
    pub(super) fn kind(&self) -> KeyKind {
        self.kind.parse().unwrap_or(KeyKind::Secret)
    }

    /// The scopes that were chosen; what is no scope is left out.
    pub(super) fn scopes(&self) -> ScopeSet {
        self.scope.iter().flat_map(|entry| entry.split_whitespace()).filter_map(|word| word.parse().ok()).collect()
    }

    /// Reads the fields. What is wrong goes into `errors`; then there is nothing to work with.
    pub(super) fn read(
        &self,
        console: &Console,
        catalogue: &ScopeCatalogue,
        f: &Formats,
        t: Texts,
        errors: &mut FormErrors,
    ) -> Option<Wanted> {
        let before = errors.all().len();
        let kind = if console.checkout { self.kind() } else { KeyKind::Secret };
        let name = self.read_name(console, t, errors);
        let today = f.zone().day_of(f.now());
        let start = match self.start.trim() {
            "" => today,
            text => errors.read("start", text.parse::<Day>(), t.get("wrong-day")).unwrap_or(today),
        };
        let end = self.read_end(start, t, errors);
        if end.is_some_and(|end| end < start) {
            errors.add("end_date", t.get("wrong-order"));
        }
        let scopes = match (kind, console.rights) {
            (KeyKind::Checkout, _) | (_, false) => ScopeSet::default(),
            (KeyKind::Secret, true) => self.scopes(),
        };
        if catalogue.check(&scopes, kind).is_err() {
            errors.add("permissions", t.get("wrong-scope"));
        }
        let (mut origins, mut ips) = (Vec::new(), Vec::new());
        match kind {
            KeyKind::Secret => ips = errors.entries("ips", &self.ips, MOST_ENTRIES, message!("wrong-ip"), t),
            KeyKind::Checkout => {
                origins = errors.entries("origins", &self.origins, MOST_ENTRIES, message!("wrong-origin"), t);
            }
        }
        let limits = self.read_limits(t, errors);
        let state = self.state.parse().unwrap_or(KeyState::Active);
        let wanted = Wanted { name, kind, state, start, end, scopes, origins, ips, limits };
        (errors.all().len() == before).then_some(wanted)
    }

    fn read_limits(&self, t: Texts, errors: &mut FormErrors) -> Limits {
        let rates: Vec<RateLimit> = errors.entries("rates", &self.rates, RateLimits::MOST, message!("wrong-rate"), t);
        let rates = match RateLimits::try_from(rates) {
            Ok(rates) => rates,
            // Too many are noted with the entries.
            Err(InvalidRateLimits::TooMany) => RateLimits::default(),
            Err(InvalidRateLimits::SameTime) => {
                errors.add("rates", t.get("wrong-rates-same"));
                RateLimits::default()
            }
        };
        let mut calls = |field, text: &str| {
            let digits: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
            if digits.is_empty() {
                return None;
            }
            let calls = digits.parse::<NonZeroU64>().ok().filter(|calls| calls.get() <= Quota::MOST);
            if calls.is_none() {
                errors.add(field, t.get("wrong-quota"));
            }
            calls
        };
        let quota = Quota { day: calls("quota_day", &self.quota_day), month: calls("quota_month", &self.quota_month) };
        Limits { rates, quota }
    }

    fn read_name(&self, console: &Console, t: Texts, errors: &mut FormErrors) -> Option<KeyName> {
        if !console.named {
            return None;
        }
        match self.name.parse::<KeyName>() {
            Ok(name) => Some(name),
            Err(error) => {
                errors.add(
                    "name",
                    match error {
                        InvalidText::Empty => t.get("wrong-name-empty"),
                        InvalidText::TooLong { max } => t.with("wrong-name-long", [("most", max)]),
                        InvalidText::Control => t.get("wrong-name-control"),
                    },
                );
                None
            }
        }
    }

    fn read_end(&self, start: Day, t: Texts, errors: &mut FormErrors) -> Option<Day> {
        let days = match self.end.as_str() {
            "30" => 30,
            "90" => 90,
            "365" => 365,
            "date" => return errors.read("end_date", self.end_date.trim().parse::<Day>(), t.get("wrong-day")),
            _ => return None,
        };
        errors.read("end_date", start.plus_days(days), t.get("wrong-day"))
    }
}

impl Wanted {
    /// The key as it is.
    pub(super) fn of(view: &KeyView, f: &Formats) -> Self {
        let key = &view.key;
        Self {
            name: key.name.clone(),
            kind: key.kind,
            state: key.state,
            start: f.zone().day_of(key.valid_from),
            end: key.valid_until.map(|end| f.zone().last_day_before(end)),
            scopes: key.scopes.clone(),
            origins: key.allowed_origins.clone(),
            ips: key.allowed_ips.clone(),
            limits: key.limits.clone(),
        }
    }

    /// What the key will be able to do, from where and when, in sentences.
    pub(super) fn summary(
        &self,
        environment: Environment,
        catalogue: &ScopeCatalogue,
        f: &Formats,
        t: Texts,
    ) -> String {
        let environment = environment.in_key_text();
        let able = match self.kind {
            KeyKind::Checkout => t.with("sum-checkout", [("environment", environment)]),
            KeyKind::Secret if self.scopes.is_empty() => t.get("sum-nothing"),
            KeyKind::Secret => {
                let able = in_sentence(&abilities(&self.scopes, catalogue, t), t);
                t.with("sum-secret", [("environment", Arg::from(environment)), ("able", Arg::from(able))])
            }
        };
        let reach = t.with("sum-reach", [("reach", reach(self.kind, &texts(&self.origins), &texts(&self.ips), t))]);
        format!("{able} {reach} {}", self.dates(f, t))
    }

    /// When the key will be in force, in a sentence.
    pub(super) fn dates(&self, f: &Formats, t: Texts) -> String {
        let start = Arg::from(f.day(self.start));
        let dates = match self.end {
            None => t.with("sum-no-end", [("start", start)]),
            Some(end) => t.with("sum-end", [("start", start), ("end", Arg::from(f.day(end)))]),
        };
        if self.state == KeyState::Inactive { format!("{dates} {}", t.get("sum-off")) } else { dates }
    }
}

/// What a key may do with one kind of thing.
#[derive(Debug, Clone)]
pub(super) struct Permission {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) levels: Vec<Level>,
}

/// One choice of it.
#[derive(Debug, Clone)]
pub(super) struct Level {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) chosen: bool,
}

/// A scope of the operator.
#[derive(Debug, Clone)]
pub(super) struct Extra {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) chosen: bool,
}

/// The permissions by what they concern, with what is chosen.
pub(super) fn permissions(chosen: &ScopeSet, t: Texts) -> Vec<Permission> {
    use BuiltIn::{
        CheckoutStart, CheckoutStatus, EventsRead, InvoicesRead, InvoicesWrite, KeysRead, KeysWrite, PaymentLinksRead,
        PaymentLinksWrite, PaymentsRead, PaymentsWrite, RecurringPaymentsRead, RecurringPaymentsWrite, RefundsRead,
        RefundsWrite, WebhooksRead, WebhooksWrite,
    };
    [
        (message!("resource-payment-links"), PaymentLinksRead, Some(PaymentLinksWrite)),
        (message!("resource-invoices"), InvoicesRead, Some(InvoicesWrite)),
        (message!("resource-recurring-payments"), RecurringPaymentsRead, Some(RecurringPaymentsWrite)),
        (message!("resource-payments"), PaymentsRead, Some(PaymentsWrite)),
        (message!("resource-refunds"), RefundsRead, Some(RefundsWrite)),
        (message!("resource-checkout"), CheckoutStatus, Some(CheckoutStart)),
        (message!("resource-keys"), KeysRead, Some(KeysWrite)),
        (message!("resource-webhooks"), WebhooksRead, Some(WebhooksWrite)),
        (message!("resource-events"), EventsRead, None),
    ]
    .into_iter()
    .map(|(resource, first, second)| permission(resource, first, second, chosen, t))
    .collect()
}

fn permission(
    resource: &'static str,
    first: BuiltIn,
    second: Option<BuiltIn>,
    chosen: &ScopeSet,
    t: Texts,
) -> Permission {
    let has_first = chosen.allows(first);
    let has_second = second.is_some_and(|second| chosen.allows(second));
    let both = second.map(|second| format!("{} {}", first.as_str(), second.as_str()));
    let mut levels = vec![
        Level { value: String::new(), label: t.get("level-none"), chosen: !has_first && !has_second },
        Level { value: first.as_str().to_owned(), label: t.get("level-read"), chosen: has_first && !has_second },
    ];
    if first == BuiltIn::CheckoutStatus {
        levels[1].label = t.get("level-status");
    }
    if let (Some(second), Some(both)) = (second, both) {
        let label = if second == BuiltIn::CheckoutStart { t.get("level-start") } else { t.get("level-write") };
        levels.push(Level { value: both, label, chosen: has_first && has_second });
        // Only the API makes such a key; the form keeps it as it is.
        if has_second && !has_first {
            let label = t.with("level-only", [("what", t.with("may-change", [("what", noun(second, t))]))]);
            levels.push(Level { value: second.as_str().to_owned(), label, chosen: true });
        }
    }
    Permission { id: resource.to_owned(), label: t.get(resource), levels }
}

/// The scopes of the operator, with what is chosen.
pub(super) fn extras(chosen: &ScopeSet, catalogue: &ScopeCatalogue, t: Texts) -> Vec<Extra> {
    catalogue
        .operator_scopes()
        .map(|scope| Extra {
            value: scope.name.to_string(),
            label: match t.language() {
                Language::English => scope.description_en.clone(),
                Language::French => scope.description_fr.clone(),
            },
            chosen: chosen.contains(&scope.name),
        })
        .collect()
}
