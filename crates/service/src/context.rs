//! On whose behalf a use case runs.

use serde_json::value::RawValue;
use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::{AccountId, BusinessId, KeyId, PlatformKeyId, RequestId, SessionId};
use trousseau_domain::ip_range::IpRange;
use trousseau_domain::keys::KeyKind;
use trousseau_domain::limits::Limits;
use trousseau_domain::members::Role;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::platform_keys::PlatformScopes;
use trousseau_domain::profile::Profile;
use trousseau_domain::scope::{Scope, ScopeSet};
use trousseau_domain::time::Timestamp;

use crate::error::ServiceError;
use crate::index::KnownKey;
use crate::people::SignedIn;

/// A key that was accepted, and all that a request may want to know of it.
#[derive(Debug, Clone)]
pub struct KeyCaller {
    /// Whose rows it may see.
    pub tenant: Tenant,
    known: KnownKey,
}

impl KeyCaller {
    /// # Errors
    /// Where the configuration has no profile of its business any more.
    pub(crate) fn new(known: KnownKey) -> Result<Self, ServiceError> {
        known.business.profile()?;
        Ok(Self { tenant: known.tenant(), known })
    }

    /// The rules of the business.
    ///
    /// # Panics
    /// Never: there is no caller without them.
    pub fn profile(&self) -> &Profile {
        self.known.business.profile().expect("looked for when it was accepted")
    }

    /// The key's id.
    pub const fn key_id(&self) -> KeyId {
        self.known.id
    }

    /// The key's kind.
    pub const fn kind(&self) -> KeyKind {
        self.known.kind
    }

    /// What it may do.
    pub fn scopes(&self) -> &ScopeSet {
        &self.known.access.scopes
    }

    /// The same as a list in JSON.
    pub fn scopes_json(&self) -> &RawValue {
        &self.known.access.scopes_json
    }

    /// The same as one text, with spaces between (RFC 6749 section 3.3).
    pub fn scope_words(&self) -> String {
        let words: Vec<&str> = self.scopes().iter().map(Scope::as_str).collect();
        words.join(" ")
    }

    /// When its value stops being accepted, by its own end or by a rotation, if that is known.
    pub fn ends_at(&self) -> Option<Timestamp> {
        [self.known.life.validity.until(), self.known.version_life.ends_at].into_iter().flatten().min()
    }

    /// What the operator keeps beside it.
    pub fn metadata(&self) -> &Metadata {
        &self.known.access.metadata
    }

    /// The same as JSON.
    pub fn metadata_json(&self) -> &RawValue {
        &self.known.access.metadata_json
    }

    /// What the operator keeps beside the business.
    pub fn business_metadata(&self) -> &Metadata {
        self.known.business.metadata()
    }

    /// The same as JSON.
    pub fn business_metadata_json(&self) -> &RawValue {
        self.known.business.metadata_json()
    }

    /// Whether it, or its business, may be used so often only.
    pub fn is_limited(&self) -> bool {
        self.known.is_limited()
    }

    /// When the value was made that was presented.
    pub const fn value_made_at(&self) -> Timestamp {
        self.known.version_life.starts_at
    }

    /// From when the key is good.
    pub const fn valid_from(&self) -> Timestamp {
        self.known.life.validity.from()
    }
}

/// One of the operator's keys that was accepted.
#[derive(Debug, Clone)]
pub struct PlatformCaller {
    /// Its id.
    pub id: PlatformKeyId,
    /// What it may do.
    pub scopes: PlatformScopes,
}

/// How much the caller may give away.
#[derive(Debug, Clone)]
pub(crate) enum Authority {
    /// Everything: the operator.
    Operator,
    /// What the key itself has.
    Key {
        /// Whose it is.
        tenant: Tenant,
        /// Its scopes.
        scopes: ScopeSet,
        /// Its end.
        valid_until: Option<Timestamp>,
        /// How often it may be used.
        limits: Limits,
        /// Addresses it may be used from; empty means any.
        allowed_ips: Vec<IpRange>,
    },
    /// What a person's role allows, as it is when the request takes effect.
    Member {
        /// Whose account.
        account: AccountId,
        /// Which of its sessions.
        session: SessionId,
        /// The business that was entered and the role there; none on pages of the account itself.
        place: Option<(BusinessId, Role)>,
    },
}

/// Who asks, with what authority, in which request.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) actor: Actor,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) authority: Authority,
}

impl Context {
    /// A request of a business's key.
    pub fn key(caller: &KeyCaller, request_id: RequestId) -> Self {
        Self {
            actor: Actor::Key { id: caller.key_id(), version: caller.known.version },
            request_id: Some(request_id),
            authority: Authority::Key {
                tenant: caller.tenant.clone(),
                scopes: caller.scopes().clone(),
                valid_until: caller.known.life.validity.until(),
                limits: caller.known.access.limits.clone(),
                allowed_ips: caller.known.access.allowed_ips.clone(),
            },
        }
    }

    /// A request of the operator's key.
    pub const fn platform(caller: &PlatformCaller, request_id: RequestId) -> Self {
        Self {
            actor: Actor::PlatformKey { id: caller.id },
            request_id: Some(request_id),
            authority: Authority::Operator,
        }
    }

    /// A command of a person at the machine.
    pub const fn operator(user: String, actor: Option<String>) -> Self {
        Self { actor: Actor::Operator { user, actor }, request_id: None, authority: Authority::Operator }
    }

    /// A request of a person in one of their businesses.
    pub fn member(person: &SignedIn, business: &BusinessId, role: Role, request_id: RequestId) -> Self {
        Self::person(person, Some((business.clone(), role)), request_id)
    }

    /// A request of a person about their own account, or about the platform.
    pub fn account(person: &SignedIn, request_id: RequestId) -> Self {
        Self::person(person, None, request_id)
    }

    fn person(person: &SignedIn, place: Option<(BusinessId, Role)>, request_id: RequestId) -> Self {
        let (account, session) = (person.account.id, person.session.id);
        Self {
            actor: Actor::Member { id: account },
            request_id: Some(request_id),
            authority: Authority::Member { account, session, place },
        }
    }

    /// Somebody who has just shown a one-time link, and what comes of that in the same transaction.
    pub(crate) const fn newcomer(account: AccountId, request_id: Option<RequestId>) -> Self {
        Self { actor: Actor::Member { id: account }, request_id, authority: Authority::Operator }
    }

    /// Somebody who pays, on the page whose unguessable address they have.
    pub const fn payer(request_id: RequestId) -> Self {
        Self { actor: Actor::Payer, request_id: Some(request_id), authority: Authority::Operator }
    }

    /// The program itself.
    pub const fn system() -> Self {
        Self { actor: Actor::System, request_id: None, authority: Authority::Operator }
    }

    /// Who asks.
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    pub(crate) const fn is_member(&self) -> bool {
        matches!(self.authority, Authority::Member { .. })
    }

    pub(crate) const fn is_operator(&self) -> bool {
        matches!(self.authority, Authority::Operator)
    }
}
