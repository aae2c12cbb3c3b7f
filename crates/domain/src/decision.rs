//! The one decision: whether a presented key is good for a request.
//!
//! Every door asks [`decide`] and gives its answer with the same reason.

use serde::{Deserialize, Serialize};

use std::borrow::Cow;
use std::net::IpAddr;

use crate::environment::Environment;
use crate::ids::BusinessId;
use crate::ip_range::IpRange;
use crate::keys::{KeyKind, KeyStatus, Life, VersionLife};
use crate::origin::Origin;
use crate::scope::{Scope, ScopeSet};
use crate::text::text_enum;
use crate::time::Timestamp;

text_enum! {
    /// Why a key is refused, in the order in which reasons count.
    Reason {
        /// More than one credential, even the same twice.
        AmbiguousCredentials = "ambiguous_credentials",
        /// A key in the path or in the query.
        KeyInUrl = "key_in_url",
        /// No credential at all.
        CredentialMissing = "credential_missing",
        /// An authorization scheme that is not taken here.
        SchemeUnsupported = "scheme_unsupported",
        /// Broken base64, not UTF-8, or a text that no key has.
        CredentialMalformed = "credential_malformed",
        /// The text begins with our brand, and its form or checksum is wrong.
        KeyMalformed = "key_malformed",
        /// The business id must stand beside every key with such a text, and does not.
        BusinessIdMissing = "business_id_missing",
        /// No key has this text.
        KeyUnknown = "key_unknown",
        /// The business id that was sent is not the key's, or was not sent and this key needs it.
        BusinessMismatch = "business_mismatch",
        /// The key belongs to the other environment.
        EnvironmentMismatch = "environment_mismatch",
        /// The key is revoked.
        KeyRevoked = "key_revoked",
        /// An earlier value of a living key.
        KeyRotated = "key_rotated",
        /// The key is switched off.
        KeyInactive = "key_inactive",
        /// The key's first instant is still to come.
        KeyNotYetValid = "key_not_yet_valid",
        /// The key's end has passed.
        KeyExpired = "key_expired",
        /// The business is suspended.
        BusinessSuspended = "business_suspended",
        /// A LIVE key over plain HTTP.
        HttpsRequired = "https_required",
        /// A secret key from a browser.
        BrowserNotAllowed = "browser_not_allowed",
        /// The kind of key is not made for this.
        KindNotAllowed = "kind_not_allowed",
        /// The caller's address is in none of the key's ranges.
        IpNotAllowed = "ip_not_allowed",
        /// The page's origin is not one of the key's.
        OriginNotAllowed = "origin_not_allowed",
        /// The key lacks a scope.
        ScopeMissing = "scope_missing",
        /// Too many requests for now.
        RateLimited = "rate_limited",
        /// Too many requests for the day or the month.
        QuotaExhausted = "quota_exhausted",
    }
}

/// What a refusal may tell the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disclosure {
    /// 400: the request is ambiguous or leaked a key; says so.
    BadRequest,
    /// 401 that says why: it follows from the request alone.
    Spoken,
    /// 401 that says nothing but its reference.
    Generic,
    /// 403 with the reason: the caller is proven.
    Forbidden,
    /// 429 with `Retry-After`.
    Limited,
}

impl Reason {
    /// What the caller may be told.
    pub const fn disclosure(self) -> Disclosure {
        match self {
            Self::AmbiguousCredentials | Self::KeyInUrl => Disclosure::BadRequest,
            Self::CredentialMissing
            | Self::SchemeUnsupported
            | Self::CredentialMalformed
            | Self::KeyMalformed
            | Self::BusinessIdMissing => Disclosure::Spoken,
            Self::KeyUnknown
            | Self::BusinessMismatch
            | Self::EnvironmentMismatch
            | Self::KeyRevoked
            | Self::KeyRotated
            | Self::KeyInactive
            | Self::KeyNotYetValid
            | Self::KeyExpired
            | Self::BusinessSuspended => Disclosure::Generic,
            Self::HttpsRequired
            | Self::BrowserNotAllowed
            | Self::KindNotAllowed
            | Self::IpNotAllowed
            | Self::OriginNotAllowed
            | Self::ScopeMissing => Disclosure::Forbidden,
            Self::RateLimited | Self::QuotaExhausted => Disclosure::Limited,
        }
    }
}

/// What is known of the key that a text belongs to, at the moment of the request.
#[derive(Debug, Clone, Copy)]
pub struct KeySnapshot<'a> {
    /// Whose key it is.
    pub business: &'a BusinessId,
    /// Whether the business is suspended.
    pub suspended: bool,
    /// Whether the business id must be presented beside the key.
    pub business_id_required: bool,
    /// Its environment.
    pub environment: Environment,
    /// Its kind.
    pub kind: KeyKind,
    /// Switch, dates, revocation.
    pub life: Life,
    /// The secret version whose text was presented.
    pub version: VersionLife,
    /// What it may do.
    pub scopes: &'a ScopeSet,
    /// Where its calls may come from, if a browser says so; empty allows all.
    pub allowed_origins: &'a [Origin],
    /// From which addresses it may be used; empty allows all.
    pub allowed_ips: &'a [IpRange],
}

/// What a demand says of one property of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wanted<T> {
    /// Nothing.
    #[default]
    Any,
    /// It must be this.
    Only(T),
    /// It must be two things at once: no key is let in.
    Nothing,
}

impl<T: PartialEq> Wanted<T> {
    /// Both demands together. The second one can only narrow the first.
    #[must_use]
    pub fn and(self, wanted: T) -> Self {
        match self {
            Self::Any => Self::Only(wanted),
            Self::Only(already) if already == wanted => Self::Only(already),
            Self::Only(_) | Self::Nothing => Self::Nothing,
        }
    }

    /// Whether a key of which this is true is turned away.
    pub fn refuses(&self, found: &T) -> bool {
        match self {
            Self::Any => false,
            Self::Only(wanted) => wanted != found,
            Self::Nothing => true,
        }
    }
}

impl<T> From<Option<T>> for Wanted<T> {
    fn from(wanted: Option<T>) -> Self {
        wanted.map_or(Self::Any, Self::Only)
    }
}

/// What the door demands of a key.
#[derive(Debug, Clone, Default)]
pub struct Demand {
    /// The business it must belong to.
    pub business: Wanted<BusinessId>,
    /// The environment it must belong to.
    pub environment: Wanted<Environment>,
    /// The only kind that is let in; both unless said.
    pub kind: Wanted<KeyKind>,
    /// The scopes it must have, all of them.
    pub scopes: Vec<Scope>,
    /// Whether no browser may call, whatever the kind of key.
    pub no_browser: bool,
}

/// How the request travelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Protected on the whole way, or never on a wire (loopback).
    Protected,
    /// Plain HTTP over a network.
    Plain,
    /// Somebody else received the request and answers for it (the verify call).
    Elsewhere,
}

/// Whether the caller is within its rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Meter {
    /// It is.
    #[default]
    Within,
    /// Too many requests for now.
    RateLimited,
    /// Too many for the day or the month.
    QuotaExhausted,
}

/// What is known of the request beside the key.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Every business id that was sent, as it was sent.
    pub business_ids: &'a [Cow<'a, str>],
    /// The `Origin` header, as it was sent.
    pub origin: Option<&'a str>,
    /// Whether a browser sent the request.
    pub from_browser: bool,
    /// The caller's address, if it is known.
    pub address: Option<IpAddr>,
    /// How the request travelled.
    pub transport: Transport,
    /// Whether the caller is within its rates.
    pub meter: Meter,
    /// The instant of the request.
    pub now: Timestamp,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The key is good for this.
    Allow,
    /// It is not.
    Deny {
        /// The first reason in the order that counts.
        reason: Reason,
        /// The scope that is missing, where that is the reason.
        missing_scope: Option<Scope>,
    },
}

impl Decision {
    /// The reason of a refusal.
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Allow => None,
            Self::Deny { reason, .. } => Some(*reason),
        }
    }
}

/// Decides whether the key behind `snapshot` is good for a request; no snapshot means that the key is unknown.
///
/// All reasons are looked at, whichever holds first, so that the time says nothing about which it was.
pub fn decide(snapshot: Option<&KeySnapshot<'_>>, demand: &Demand, at: &Circumstances<'_>) -> Decision {
    let Some(key) = snapshot else {
        return Decision::Deny { reason: Reason::KeyUnknown, missing_scope: None };
    };
    // That one is missing is said where the text alone tells it. Where only the row does, to say it would betray that
    // there is one.
    let business_id_missing = key.business_id_required && at.business_ids.is_empty();
    // Folded without a short cut.
    let business_mismatch = business_id_missing
        | at.business_ids.iter().fold(false, |wrong, id| wrong | (id != key.business.as_str()))
        | demand.business.refuses(key.business);
    let environment_mismatch = demand.environment.refuses(&key.environment);
    let status = key.life.status_at(at.now);
    let rotated = !key.version.accepts(at.now);

    let https_required = at.transport == Transport::Plain && key.environment == Environment::Live;
    let browser = at.from_browser && (key.kind == KeyKind::Secret || demand.no_browser);
    let kind_not_allowed = demand.kind.refuses(&key.kind);
    let ip_not_allowed = !key.allowed_ips.is_empty()
        && !at.address.is_some_and(|address| key.allowed_ips.iter().any(|range| range.contains(address)));
    let origin_not_allowed = !key.allowed_origins.is_empty()
        && at.origin.is_some_and(|origin| !key.allowed_origins.iter().any(|allowed| allowed.as_str() == origin));
    let missing_scope = demand.scopes.iter().find(|scope| !key.scopes.contains(scope));

    let first = [
        (business_mismatch, Reason::BusinessMismatch),
        (environment_mismatch, Reason::EnvironmentMismatch),
        (status == KeyStatus::Revoked, Reason::KeyRevoked),
        (rotated, Reason::KeyRotated),
        (status == KeyStatus::Inactive, Reason::KeyInactive),
        (status == KeyStatus::Scheduled, Reason::KeyNotYetValid),
        (status == KeyStatus::Expired, Reason::KeyExpired),
        (key.suspended, Reason::BusinessSuspended),
        (https_required, Reason::HttpsRequired),
        (browser, Reason::BrowserNotAllowed),
        (kind_not_allowed, Reason::KindNotAllowed),
        (ip_not_allowed, Reason::IpNotAllowed),
        (origin_not_allowed, Reason::OriginNotAllowed),
        (missing_scope.is_some(), Reason::ScopeMissing),
        (at.meter == Meter::RateLimited, Reason::RateLimited),
        (at.meter == Meter::QuotaExhausted, Reason::QuotaExhausted),
    ]
    .into_iter()
    .find_map(|(holds, reason)| holds.then_some(reason));
    match first {
        None => Decision::Allow,
        Some(Reason::ScopeMissing) => {
            Decision::Deny { reason: Reason::ScopeMissing, missing_scope: missing_scope.cloned() }
        }
        Some(reason) => Decision::Deny { reason, missing_scope: None },
    }
}
