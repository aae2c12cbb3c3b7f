//! People: accounts, members, sessions, and the ways in.

pub mod account;
pub mod first_run;
pub mod invitations;
mod kept_forms;
pub mod members;
pub mod passkeys;
pub mod passwords;
pub mod sessions;
pub mod sign_in;
pub mod tokens;
mod totp;

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use trousseau_domain::business::Language;
use trousseau_domain::ids::{AccountId, BusinessId, SessionId};
use trousseau_domain::logo::LogoDigest;
use trousseau_domain::members::{EmailAddress, PersonName, Role};
use trousseau_domain::time::Timestamp;
use trousseau_store::{AccountRow, BusinessRow, JoinedRow, SessionRow};

use crate::address::PublicAddress;
use crate::app::Core;
use crate::settings::Settings;

pub use passwords::{Password, WeakPassword};
pub use tokens::{DeviceToken, OneTimeToken, SessionToken};
pub use trousseau_store::{InvitationRow, InvitedTo};

use passkeys::Passkeys;
use passwords::Hasher;

/// A session that nobody uses ends.
pub const SESSION_IDLE: Duration = Duration::from_hours(2);
/// A session ends in any case.
pub const SESSION_MOST: Duration = Duration::from_hours(14 * 24);
/// How long a proof of who sits there counts as recent.
pub const STEP_UP_WITHIN: Duration = Duration::from_mins(10);
/// How long the link of the first start is good.
pub const FIRST_RUN_FOR: Duration = Duration::from_mins(30);
/// How long an invitation is good.
pub const INVITATION_FOR: Duration = Duration::from_hours(7 * 24);
/// How long a link for another password is good.
pub const RESET_FOR: Duration = Duration::from_mins(15);

/// What use cases of people can answer instead of doing it. None says whether an address has an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeopleError {
    /// Address, password, code or passkey are wrong; which of them stays unsaid.
    #[error("this is not right")]
    SignInRefused,
    /// Too many wrong proofs: no further one is looked at before then.
    #[error("too many attempts; the next one is possible at {until}")]
    TooManyAttempts {
        /// When to try again.
        until: Timestamp,
    },
    /// The link or step is used, ended, or was never there.
    #[error("this link is not good any more")]
    LinkEnded,
    /// The link was made for another person than the one who is signed in.
    #[error("this invitation is for another account")]
    OtherAccount,
    /// The address has an account: its owner signs in first.
    #[error("the address has an account: sign in first")]
    SignInFirst,
    /// The last administrator of a business can be neither removed nor demoted.
    #[error("this is the last administrator of the business")]
    LastAdministrator,
    /// The person is a member already.
    #[error("this person is a member already")]
    AlreadyMember,
    /// Passkeys need a name, and HTTPS or this machine.
    #[error("passkeys are not offered at this address")]
    PasskeysNotOffered,
    /// The only way in cannot be taken away.
    #[error("this is the only way to sign in")]
    LastWayIn,
    /// Too many proofs at a time.
    #[error("too many sign-ins are being looked at")]
    Busy,
}

/// A person's account, as pages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// Its id.
    pub id: AccountId,
    /// What it is signed in to with.
    pub email: EmailAddress,
    /// What the person is called.
    pub name: PersonName,
    /// The language of its pages.
    pub language: Language,
    /// Whether it sees the platform's pages.
    pub platform_admin: bool,
    /// Whether it has a password.
    pub has_password: bool,
    /// Whether an authenticator app is asked after the password. Nothing else is a second factor: a passkey opens the
    /// account without the password, and the password without the passkey.
    pub has_totp: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl AccountView {
    pub(crate) fn new(row: &AccountRow) -> Self {
        Self {
            id: row.id,
            email: row.email.clone(),
            name: row.name.clone(),
            language: row.language,
            platform_admin: row.platform_admin,
            has_password: row.password_hash.is_some(),
            has_totp: has_totp(row),
            created_at: row.created_at,
        }
    }
}

pub(crate) fn has_totp(row: &AccountRow) -> bool {
    row.totp.as_ref().is_some_and(|totp| totp.confirmed_at.is_some())
}

/// A session, as the list of sessions shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Its handle.
    pub id: SessionId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last seen, to the minute.
    pub seen_at: Timestamp,
    /// When it ends in any case.
    pub ends_at: Timestamp,
    /// When whoever sits there last proved to be the owner.
    pub verified_at: Timestamp,
    /// From which address it began.
    pub address: Option<String>,
    /// What the browser called itself.
    pub agent: Option<String>,
}

impl SessionView {
    /// Whether the last proof is recent enough for what asks for one.
    pub fn is_proven_at(&self, now: Timestamp) -> bool {
        now.since(self.verified_at) < STEP_UP_WITHIN
    }
}

impl From<SessionRow> for SessionView {
    fn from(row: SessionRow) -> Self {
        Self {
            id: row.id,
            created_at: row.created_at,
            seen_at: row.seen_at,
            ends_at: row.ends_at,
            verified_at: row.verified_at,
            address: row.address,
            agent: row.agent,
        }
    }
}

/// What a person is in one business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The business.
    pub business: BusinessRow,
    /// The role.
    pub role: Role,
    /// The business's logo.
    pub logo: Option<LogoDigest>,
}

impl From<JoinedRow> for Membership {
    fn from(row: JoinedRow) -> Self {
        Self { business: row.business, role: row.role, logo: row.logo }
    }
}

/// A person who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The account.
    pub account: AccountView,
    /// The session.
    pub session: SessionView,
    /// The businesses, by name.
    pub memberships: Vec<Membership>,
}

impl SignedIn {
    /// What the person is in a business.
    pub fn membership(&self, business: &BusinessId) -> Option<&Membership> {
        self.memberships.iter().find(|membership| membership.business.id == *business)
    }
}

/// From where somebody comes, as far as the request tells.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visit<'a> {
    /// The address.
    pub address: Option<IpAddr>,
    /// What the browser calls itself.
    pub agent: Option<&'a str>,
    /// The device's own cookie, if it was here before.
    pub device: Option<&'a DeviceToken>,
    /// The request.
    pub request_id: Option<trousseau_domain::ids::RequestId>,
}

/// What the use cases of people share.
#[derive(Debug)]
pub(crate) struct PeopleState {
    pub(crate) hasher: Hasher,
    configured: PublicAddress,
    address: OnceLock<PublicAddress>,
    passkeys: OnceLock<Option<Passkeys>>,
}

impl PeopleState {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            hasher: Hasher::new(settings.hash_cost()),
            configured: settings.address().clone(),
            address: OnceLock::new(),
            passkeys: OnceLock::new(),
        }
    }

    pub(crate) fn set_address(&self, address: PublicAddress) {
        // A second call changes nothing, as the first one says.
        let _ = self.address.set(address);
    }

    pub(crate) fn address(&self) -> &PublicAddress {
        self.address.get().unwrap_or(&self.configured)
    }

    pub(crate) fn passkeys(&self) -> Result<&Passkeys, PeopleError> {
        self.passkeys.get_or_init(|| Passkeys::at(self.address())).as_ref().ok_or(PeopleError::PasskeysNotOffered)
    }
}

/// Use cases of people.
#[derive(Debug, Clone, Copy)]
pub struct People<'a> {
    core: &'a Core,
}

impl<'a> People<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }
}
