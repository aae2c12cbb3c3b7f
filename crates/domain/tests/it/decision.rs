//! The decision against a naive second implementation, over every combination of what can be wrong.

use std::borrow::Cow;

use trousseau_domain::decision::{Circumstances, Decision, Demand, KeySnapshot, Meter, Reason, Transport, decide};
use trousseau_domain::environment::Environment;
use trousseau_domain::keys::{KeyKind, KeyState, Life, Validity, VersionLife};
use trousseau_domain::scope::{Scope, ScopeSet};
use trousseau_domain::time::Timestamp;

const NOW: i64 = 1_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000).expect("in range")
}

/// One case, told in plain words.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that can be wrong")]
struct Case {
    known: bool,
    id_required: bool,
    id_sent: Sent,
    demanded_business: Option<bool>,
    key_live: bool,
    demanded_live: Option<bool>,
    revoked: bool,
    rotated: bool,
    off: bool,
    window: Window,
    suspended: bool,
    plain_http: bool,
    browser: bool,
    checkout: bool,
    demanded_checkout: Option<bool>,
    ip: List,
    origin: List,
    scope_held: bool,
    meter: Meter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    Right,
    Wrong,
    RightAndWrong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Before,
    Inside,
    After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Empty,
    Hit,
    Miss,
    Unknown,
}

/// The rules as the product's table tells them, one question after the other.
fn naive(case: &Case) -> Option<&'static str> {
    if !case.known {
        return Some("key_unknown");
    }
    // Of the key itself: where the text alone tells that one is needed, nobody gets here.
    if case.id_required && case.id_sent == Sent::Nothing {
        return Some("business_mismatch");
    }
    if matches!(case.id_sent, Sent::Wrong | Sent::RightAndWrong) || case.demanded_business == Some(false) {
        return Some("business_mismatch");
    }
    if case.demanded_live.is_some_and(|live| live != case.key_live) {
        return Some("environment_mismatch");
    }
    if case.revoked {
        return Some("key_revoked");
    }
    if case.rotated {
        return Some("key_rotated");
    }
    if case.off {
        return Some("key_inactive");
    }
    match case.window {
        Window::Before => return Some("key_not_yet_valid"),
        Window::After => return Some("key_expired"),
        Window::Inside => {}
    }
    if case.suspended {
        return Some("business_suspended");
    }
    if case.plain_http && case.key_live {
        return Some("https_required");
    }
    if case.browser && !case.checkout {
        return Some("browser_not_allowed");
    }
    if case.demanded_checkout.is_some_and(|checkout| checkout != case.checkout) {
        return Some("kind_not_allowed");
    }
    if matches!(case.ip, List::Miss | List::Unknown) {
        return Some("ip_not_allowed");
    }
    if case.origin == List::Miss {
        return Some("origin_not_allowed");
    }
    if !case.scope_held {
        return Some("scope_missing");
    }
    match case.meter {
        Meter::Within => None,
        Meter::RateLimited => Some("rate_limited"),
        Meter::QuotaExhausted => Some("quota_exhausted"),
    }
}

fn ours(case: &Case) -> Decision {
    let right = "17616983000123";
    let wrong = "99999999999999";
    let wanted: Scope = "invoices:read".parse().expect("a scope");
    let held: ScopeSet = [if case.scope_held { wanted.clone() } else { "invoices:write".parse().expect("a scope") }]
        .into_iter()
        .collect();
    let (from, until) = match case.window {
        Window::Before => (NOW + 1, None),
        Window::Inside => (NOW, Some(NOW + 1)),
        Window::After => (NOW - 1, Some(NOW)),
    };
    let business = right.parse().expect("digits");
    let origins = match case.origin {
        List::Empty => vec![],
        _ => vec!["https://shop.example".parse().expect("an origin")],
    };
    let ranges = match case.ip {
        List::Empty => vec![],
        _ => vec!["203.0.113.0/24".parse().expect("a range")],
    };
    let snapshot = KeySnapshot {
        business: &business,
        suspended: case.suspended,
        business_id_required: case.id_required,
        environment: if case.key_live { Environment::Live } else { Environment::Test },
        kind: if case.checkout { KeyKind::Checkout } else { KeyKind::Secret },
        life: Life {
            state: if case.off { KeyState::Inactive } else { KeyState::Active },
            validity: Validity::new(at(from), until.map(at)).expect("in order"),
            revoked: case.revoked,
        },
        version: VersionLife { starts_at: at(0), ends_at: case.rotated.then(|| at(NOW)) },
        scopes: &held,
        allowed_origins: &origins,
        allowed_ips: &ranges,
    };
    let ids: Vec<Cow<'_, str>> = match case.id_sent {
        Sent::Nothing => vec![],
        Sent::Right => vec![right.into()],
        Sent::Wrong => vec![wrong.into()],
        Sent::RightAndWrong => vec![right.into(), wrong.into()],
    };
    let demand = Demand {
        business: case
            .demanded_business
            .map(|right_one| (if right_one { right } else { wrong }).parse().expect("digits"))
            .into(),
        environment: case.demanded_live.map(|live| if live { Environment::Live } else { Environment::Test }).into(),
        kind: case.demanded_checkout.map(|checkout| if checkout { KeyKind::Checkout } else { KeyKind::Secret }).into(),
        scopes: vec![wanted],
        no_browser: false,
    };
    let circumstances = Circumstances {
        business_ids: &ids,
        origin: match case.origin {
            List::Empty | List::Hit => Some("https://shop.example"),
            List::Miss => Some("https://shop.example.evil"),
            List::Unknown => None,
        },
        from_browser: case.browser,
        address: match case.ip {
            List::Hit => Some("203.0.113.7".parse().expect("an address")),
            List::Miss | List::Empty => Some("198.51.100.7".parse().expect("an address")),
            List::Unknown => None,
        },
        transport: if case.plain_http { Transport::Plain } else { Transport::Protected },
        meter: case.meter,
        now: at(NOW),
    };
    decide(case.known.then_some(&snapshot), &demand, &circumstances)
}

const BOOLS: [bool; 2] = [false, true];
const CHOICES: [Option<bool>; 3] = [None, Some(false), Some(true)];

/// Takes a mixed-radix number apart: each call gives one digit.
fn pick<T: Copy>(rest: &mut u64, options: &[T]) -> T {
    let count = options.len() as u64;
    let chosen = options[usize::try_from(*rest % count).expect("a short list")];
    *rest /= count;
    chosen
}

fn case_of(mut rest: u64) -> Case {
    let rest = &mut rest;
    Case {
        known: pick(rest, &[true, true, true, true, true, true, true, false]),
        id_required: pick(rest, &BOOLS),
        id_sent: pick(rest, &[Sent::Right, Sent::Nothing, Sent::Wrong, Sent::RightAndWrong]),
        demanded_business: pick(rest, &CHOICES),
        key_live: pick(rest, &BOOLS),
        demanded_live: pick(rest, &CHOICES),
        revoked: pick(rest, &BOOLS),
        rotated: pick(rest, &BOOLS),
        off: pick(rest, &BOOLS),
        window: pick(rest, &[Window::Inside, Window::Before, Window::After]),
        suspended: pick(rest, &BOOLS),
        plain_http: pick(rest, &BOOLS),
        browser: pick(rest, &BOOLS),
        checkout: pick(rest, &BOOLS),
        demanded_checkout: pick(rest, &CHOICES),
        ip: pick(rest, &[List::Empty, List::Hit, List::Miss, List::Unknown]),
        origin: pick(rest, &[List::Empty, List::Hit, List::Miss, List::Unknown]),
        scope_held: pick(rest, &[true, false]),
        meter: pick(rest, &[Meter::Within, Meter::RateLimited, Meter::QuotaExhausted]),
    }
}

/// How many combinations there are.
const CASES: u64 = 8 * 2 * 4 * 3 * 2 * 3 * 2 * 2 * 2 * 3 * 2 * 2 * 2 * 2 * 3 * 4 * 4 * 2 * 3;

fn check(index: u64) {
    let case = case_of(index);
    let decision = ours(&case);
    assert_eq!(decision.reason().map(Reason::as_str), naive(&case), "case {index}: {case:?}");
}

/// Many combinations, spread evenly over all of them by a step that is prime to their number.
#[test]
fn ours_is_the_naive_one() {
    let count: u64 =
        std::env::var("TROUSSEAU_TEST_DECISIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let step = 1_000_003;
    let mut index = 0;
    for _ in 0..count.min(CASES) {
        check(index);
        index = (index + step) % CASES;
    }
}

type Spoil = fn(&mut Case);

/// Each single thing that can be wrong, alone, gives its own reason.
#[test]
fn each_reason_is_reached_alone() {
    let good = case_of(0);
    assert_eq!(naive(&good), None);
    assert_eq!(ours(&good), Decision::Allow);
    let wrong: [(Spoil, Reason); 17] = [
        (|case| case.known = false, Reason::KeyUnknown),
        (
            |case| {
                case.id_required = true;
                case.id_sent = Sent::Nothing;
            },
            Reason::BusinessMismatch,
        ),
        (|case| case.id_sent = Sent::Wrong, Reason::BusinessMismatch),
        (|case| case.demanded_live = Some(true), Reason::EnvironmentMismatch),
        (|case| case.revoked = true, Reason::KeyRevoked),
        (|case| case.rotated = true, Reason::KeyRotated),
        (|case| case.off = true, Reason::KeyInactive),
        (|case| case.window = Window::Before, Reason::KeyNotYetValid),
        (|case| case.window = Window::After, Reason::KeyExpired),
        (|case| case.suspended = true, Reason::BusinessSuspended),
        (
            |case| {
                case.key_live = true;
                case.plain_http = true;
            },
            Reason::HttpsRequired,
        ),
        (|case| case.browser = true, Reason::BrowserNotAllowed),
        (|case| case.demanded_checkout = Some(true), Reason::KindNotAllowed),
        (|case| case.ip = List::Miss, Reason::IpNotAllowed),
        (|case| case.origin = List::Miss, Reason::OriginNotAllowed),
        (|case| case.meter = Meter::RateLimited, Reason::RateLimited),
        (|case| case.meter = Meter::QuotaExhausted, Reason::QuotaExhausted),
    ];
    for (spoil, reason) in wrong {
        let mut case = good;
        case.scope_held = true;
        spoil(&mut case);
        assert_eq!(ours(&case).reason(), Some(reason), "{case:?}");
    }
    let mut case = good;
    case.scope_held = false;
    assert!(matches!(ours(&case), Decision::Deny { reason: Reason::ScopeMissing, missing_scope: Some(_) }));
}
