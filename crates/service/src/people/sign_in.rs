//! Signing in, proving again who one is, and what happens after too many wrong proofs.
//!
//! A proof is counted before it is looked at and forgiven once it was right, so that many at a time are as many as one
//! after the other. What is counted is bound to the source together with the account: a stranger cannot lock the owner
//! out. A device that was here before is counted by itself, and a link by mail opens in any case.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use trousseau_domain::digest::KeyFingerprint;
use trousseau_domain::events::AuditAction;
use trousseau_domain::ids::AccountId;
use trousseau_domain::members::EmailAddress;
use trousseau_domain::time::Timestamp;
use trousseau_store::{AccountRow, SealedPlace, TokenPurpose, TokenRow, Tx};
use zeroize::Zeroizing;

use super::sessions::{NewSession, start_in};
use super::{OneTimeToken, Password, People, PeopleError, SessionToken, SignedIn, Visit, has_totp, totp};
use crate::app::{Core, Unit};
use crate::context::Context;
use crate::error::ServiceError;
use crate::key_ring::Cell;

/// How long the second step of signing in is waited for.
const SECOND_STEP_FOR: Duration = Duration::from_mins(10);
/// The most wrong codes in one second step.
const MOST_CODES: u32 = 5;
/// Failures that lie further back count no more.
const REMEMBER: Duration = Duration::from_hours(1);
/// Failures without a delay.
const FREE: u32 = 3;
/// Failures of one source with one account after which it waits long.
const MOST_OF_PAIR: u32 = 10;
/// Failures of one source with whatever account.
const MOST_OF_SOURCE: u32 = 100;
/// Failures of one account from devices that are not known.
const MOST_OF_ACCOUNT: u32 = 50;
/// How long it then waits (PCI DSS 8.3.4 asks for half an hour at least).
const LOCKED_FOR: Duration = Duration::from_mins(30);

/// What came of a first step.
#[derive(Debug)]
pub enum SignInStep {
    /// Signed in.
    Done(NewSession),
    /// The password was right; a code of the authenticator app, or a recovery code, is asked for with this.
    SecondFactor(OneTimeToken),
}

/// What failed proofs are counted about, with how many there may be.
pub(super) struct Subject {
    digest: [u8; 32],
    most: u32,
    delays: bool,
    /// Until when the proof that is being looked at blocks the next ones, unless it turns out right.
    blocks_until: Option<Timestamp>,
}

impl Subject {
    const fn new(digest: [u8; 32], most: u32, delays: bool) -> Self {
        Self { digest, most, delays, blocks_until: None }
    }
}

/// What is asked for without a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A link by mail.
    Reset,
    /// What a passkey is to answer.
    Passkey,
}

impl Asked {
    /// About whom it is counted.
    pub(super) fn subject(self, core: &Core, visit: &Visit<'_>) -> Subject {
        let kind = match self {
            Self::Reset => "reset",
            Self::Passkey => "passkey",
        };
        Subject::new(subject(core, kind, &[&source(visit.address)]), MOST_OF_SOURCE, false)
    }
}

/// A keyed digest, so that the table tells nobody who tried to sign in from where.
fn subject(core: &Core, kind: &str, parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in std::iter::once(&kind).chain(parts) {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let fingerprint = KeyFingerprint::from_sha256(hash.finalize().into());
    *core.secrets.ring().get().digest(&fingerprint).0.as_bytes()
}

/// One caller by address: of an IPv6 network everybody has 2^64 of them.
fn source(address: Option<IpAddr>) -> String {
    match address {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => address.to_string(),
            None => format!("{:x?}", &address.segments()[..4]),
        },
    }
}

/// What a proof for `email` from `visit` is counted about.
async fn subjects(
    core: &Core,
    email: &EmailAddress,
    account: Option<AccountId>,
    visit: &Visit<'_>,
) -> Result<Vec<Subject>, ServiceError> {
    if let (Some(device), Some(account)) = (visit.device, account)
        && core.store.read().knows_device(account, &device.digest()).await?
    {
        let digest = subject(core, "device", &[email.as_str(), device.expose()]);
        return Ok(vec![Subject::new(digest, MOST_OF_PAIR, true)]);
    }
    let source = source(visit.address);
    Ok(vec![
        Subject::new(subject(core, "pair", &[email.as_str(), &source]), MOST_OF_PAIR, true),
        Subject::new(subject(core, "source", &[&source]), MOST_OF_SOURCE, false),
        Subject::new(subject(core, "account", &[email.as_str()]), MOST_OF_ACCOUNT, false),
    ])
}

/// How long the next proof waits after so many failures.
fn delay(subject: &Subject, failures: u32) -> Option<Duration> {
    if failures >= subject.most {
        Some(LOCKED_FOR)
    } else if subject.delays && failures > FREE {
        Some(Duration::from_secs(5 << (failures - FREE - 1).min(8)))
    } else {
        None
    }
}

/// Counts a proof as failed until it turns out right; refuses it, and counts nothing, where too many have failed.
async fn admit(core: &Core, subjects: &mut [Subject]) -> Result<(), ServiceError> {
    let mut tx = core.store.begin().await?;
    let now = core.clock.now();
    for subject in subjects {
        // The count takes the row, so that of many at a time each sees what the one before has left.
        let row = tx.count_failure(&subject.digest, now, now.saturating_sub(REMEMBER)).await?;
        if let Some(until) = row.blocked_until.filter(|until| *until > now) {
            return Err(PeopleError::TooManyAttempts { until }.into());
        }
        if let Some(delay) = delay(subject, row.failures) {
            let until = now.saturating_add(delay);
            tx.block_attempts(&subject.digest, until).await?;
            subject.blocks_until = Some(until);
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Forgives what was counted against a person who turned out to be the owner. Of what a source did, this one proof is
/// taken back: what it did with other accounts stays counted.
async fn forgive(tx: &mut Tx, subjects: &[Subject]) -> Result<(), ServiceError> {
    for subject in subjects.iter().filter(|subject| subject.most != MOST_OF_SOURCE) {
        tx.clear_attempts(&subject.digest).await?;
    }
    take_back_of_source(tx, subjects).await
}

async fn take_back_of_source(tx: &mut Tx, subjects: &[Subject]) -> Result<(), ServiceError> {
    for subject in subjects.iter().filter(|subject| subject.most == MOST_OF_SOURCE) {
        tx.take_back_failure(&subject.digest, subject.blocks_until).await?;
    }
    Ok(())
}

impl People<'_> {
    /// The first step of signing in, by address and password.
    ///
    /// # Errors
    /// [`PeopleError::SignInRefused`] whether the address has no account or the password is wrong,
    /// [`PeopleError::TooManyAttempts`] after too many of these.
    pub async fn sign_in(
        self,
        email: &EmailAddress,
        password: &Password,
        visit: &Visit<'_>,
    ) -> Result<SignInStep, ServiceError> {
        let account = self.core.store.read().find_account_by_email(email).await?;
        let subjects = self.admit(email, account.as_ref(), visit).await?;
        let kept = account.as_ref().and_then(|account| account.password_hash.as_deref());
        let right = self.core.people.hasher.verify(password, kept).await?;
        let Some(account) = account.filter(|_| right) else {
            return Err(PeopleError::SignInRefused.into());
        };
        if has_totp(&account) {
            let token = OneTimeToken::generate(self.core.entropy.as_ref());
            let mut tx = self.core.store.begin().await?;
            let now = self.core.clock.now();
            let row = TokenRow {
                digest: token.digest(),
                account: Some(account.id),
                created_at: now,
                expires_at: now.saturating_add(SECOND_STEP_FOR),
                failures: 0,
            };
            tx.insert_token(TokenPurpose::SecondFactor, &row).await?;
            // The password was right; about the account it stays counted until the code is right too.
            take_back_of_source(&mut tx, &subjects).await?;
            tx.commit().await?;
            return Ok(SignInStep::SecondFactor(token));
        }
        self.open_session(&account, &subjects, visit).await.map(SignInStep::Done)
    }

    /// The second step, by a code of the authenticator app or by a recovery code.
    ///
    /// # Errors
    /// [`PeopleError::LinkEnded`] if the first step is too long ago or had too many wrong codes,
    /// [`PeopleError::SignInRefused`] for a wrong code.
    pub async fn second_factor(
        self,
        step: &OneTimeToken,
        code: &str,
        visit: &Visit<'_>,
    ) -> Result<NewSession, ServiceError> {
        let now = self.core.clock.now();
        let digest = step.digest();
        let mut reader = self.core.store.read();
        let token = reader.find_token(TokenPurpose::SecondFactor, &digest, now).await?;
        let account = token.and_then(|token| token.account).ok_or(PeopleError::LinkEnded)?;
        let account = reader.find_account(account).await?.ok_or(PeopleError::LinkEnded)?;
        let subjects = self.admit(&account.email, Some(&account), visit).await?;
        let context = Context::newcomer(account.id, visit.request_id);
        let Some(proof) = self.find_proof(&account, code, now).await? else {
            let mut tx = self.core.store.begin().await?;
            tx.fail_token(TokenPurpose::SecondFactor, &digest, MOST_CODES, now).await?;
            tx.commit().await?;
            return Err(PeopleError::SignInRefused.into());
        };
        let mut unit = Unit::begin(self.core, &context).await?;
        if !unit.tx.use_token(TokenPurpose::SecondFactor, &digest, now).await? {
            return Err(PeopleError::LinkEnded.into());
        }
        use_proof(&mut unit, account.id, proof).await?;
        forgive(&mut unit.tx, &subjects).await?;
        let session = start_in(self.core, &mut unit, account.id, visit).await?;
        unit.tx.commit().await?;
        Ok(session)
    }

    /// Proves again who sits there, by the password or a code; the session gets a new secret.
    ///
    /// # Errors
    /// [`PeopleError::SignInRefused`] if neither fits, [`PeopleError::TooManyAttempts`] after too many of these.
    pub async fn step_up(
        self,
        context: &Context,
        person: &SignedIn,
        proof: &StepUpProof<'_>,
    ) -> Result<SessionToken, ServiceError> {
        self.prove(context, person, proof).await?;
        let mut unit = Unit::begin(self.core, context).await?;
        unit.check_session(false).await?;
        let token = renew_in(self.core, &mut unit, person).await?;
        unit.tx.commit().await?;
        Ok(token)
    }

    /// Looks at a proof of somebody who is signed in. Wrong ones are counted about the session, so that an open one is
    /// no place to guess at.
    pub(super) async fn prove(
        self,
        context: &Context,
        person: &SignedIn,
        proof: &StepUpProof<'_>,
    ) -> Result<(), ServiceError> {
        let account = self.core.store.read().find_account(person.account.id).await?;
        let account = account.ok_or(ServiceError::CallerRefused)?;
        let digest = subject(self.core, "session", &[&person.session.id.to_string()]);
        let mut own = Subject::new(digest, MOST_OF_PAIR, true);
        admit(self.core, std::slice::from_mut(&mut own)).await?;
        let now = self.core.clock.now();
        let found = match proof {
            StepUpProof::Password(password) => {
                let kept = account.password_hash.as_deref();
                self.core.people.hasher.verify(password, kept).await?.then_some(Proof::Known)
            }
            StepUpProof::Code(code) if has_totp(&account) => self.find_proof(&account, code, now).await?,
            StepUpProof::Code(_) => None,
        };
        let Some(found) = found else { return Err(PeopleError::SignInRefused.into()) };
        let mut unit = Unit::begin(self.core, context).await?;
        unit.check_session(false).await?;
        use_proof(&mut unit, account.id, found).await?;
        unit.tx.clear_attempts(&own.digest).await?;
        unit.tx.commit().await?;
        Ok(())
    }

    /// Refuses a proof where too many have failed, and counts it as failed until it turns out right.
    pub(super) async fn admit(
        self,
        email: &EmailAddress,
        account: Option<&AccountRow>,
        visit: &Visit<'_>,
    ) -> Result<Vec<Subject>, ServiceError> {
        let mut subjects = subjects(self.core, email, account.map(|account| account.id), visit).await?;
        admit(self.core, &mut subjects).await?;
        Ok(subjects)
    }

    /// Refuses where too much was asked for from one source, whatever the address: a link by mail, or what a passkey is
    /// to answer. Nobody proves anything by asking, so it is counted beside the proofs.
    pub(super) async fn admit_asking(self, what: Asked, visit: &Visit<'_>) -> Result<(), ServiceError> {
        admit(self.core, &mut [what.subject(self.core, visit)]).await
    }

    /// Begins the session of a person who has proved to be the owner.
    pub(super) async fn open_session(
        self,
        account: &AccountRow,
        subjects: &[Subject],
        visit: &Visit<'_>,
    ) -> Result<NewSession, ServiceError> {
        let context = Context::newcomer(account.id, visit.request_id);
        let mut unit = Unit::begin(self.core, &context).await?;
        forgive(&mut unit.tx, subjects).await?;
        let session = start_in(self.core, &mut unit, account.id, visit).await?;
        unit.tx.commit().await?;
        Ok(session)
    }

    /// Which step or which recovery code a text is, if it is one that is still good.
    async fn find_proof(self, account: &AccountRow, text: &str, now: Timestamp) -> Result<Option<Proof>, ServiceError> {
        if totp::looks_like_code(text) {
            let Some(app) = &account.totp else { return Ok(None) };
            let secret = open_totp(self.core, account.id, &app.secret)?;
            return Ok(totp::matching_step(&secret, text, now, app.last_step).map(Proof::Step));
        }
        let codes = self.core.store.read().list_recovery_codes(account.id).await?;
        let Some(first) = codes.first() else { return Ok(None) };
        let typed: String = text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        if typed.is_empty() || typed.len() > 64 {
            return Ok(None);
        }
        let digests = self.core.people.hasher.digest_codes(vec![Zeroizing::new(typed)], first.salt.clone()).await?;
        let mut found = None;
        for code in &codes {
            // All are looked at, whichever fits.
            if digests.iter().any(|digest| digest.ct_eq(&code.digest).into()) {
                found = Some(Proof::Recovery(code.number));
            }
        }
        Ok(found)
    }
}

/// How somebody who is signed in proves it again.
#[derive(Debug)]
pub enum StepUpProof<'a> {
    /// By the password.
    Password(&'a Password),
    /// By a code of the authenticator app, or a recovery code.
    Code(&'a str),
}

enum Proof {
    /// Nothing to note.
    Known,
    /// A step of the authenticator app.
    Step(i64),
    /// A recovery code.
    Recovery(u32),
}

/// Notes that a proof was used: none is good twice.
async fn use_proof(unit: &mut Unit<'_>, account: AccountId, proof: Proof) -> Result<(), ServiceError> {
    let now = unit.now;
    let good = match proof {
        Proof::Known => true,
        Proof::Step(step) => unit.tx.use_totp_step(account, step).await?,
        Proof::Recovery(number) => {
            let used = unit.tx.use_recovery_code(account, number, now).await?;
            unit.audit(AuditAction::RecoveryCodeUsed, &account.to_string(), json!({ "number": number })).await?;
            used
        }
    };
    if good { Ok(()) } else { Err(PeopleError::SignInRefused.into()) }
}

/// Notes a fresh proof and gives the session another secret.
pub(super) async fn renew_in(
    core: &Core,
    unit: &mut Unit<'_>,
    person: &SignedIn,
) -> Result<SessionToken, ServiceError> {
    let token = SessionToken::generate(core.entropy.as_ref());
    let now = unit.now;
    if !unit.tx.verify_session(person.account.id, person.session.id, &token.digest(), now).await? {
        return Err(ServiceError::CallerRefused);
    }
    Ok(token)
}

pub(super) fn open_totp(
    core: &Core,
    account: AccountId,
    sealed: &trousseau_store::Sealed,
) -> Result<Zeroizing<Vec<u8>>, ServiceError> {
    let row = account.to_string();
    Ok(core.secrets.ring().get().open(sealed, &totp_cell(&row))?)
}

pub(super) fn totp_cell(row: &str) -> Cell<'_> {
    Cell::of(SealedPlace::TotpSecret, row)
}

/// Forgives everything that was counted against an account and this source: its owner came in by a link.
pub(super) async fn forgive_owner(
    core: &Core,
    tx: &mut Tx,
    email: &EmailAddress,
    visit: &Visit<'_>,
) -> Result<(), ServiceError> {
    let source = source(visit.address);
    tx.clear_attempts(&subject(core, "pair", &[email.as_str(), &source])).await?;
    tx.clear_attempts(&subject(core, "account", &[email.as_str()])).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_end_in_a_lock_of_half_an_hour() {
        let pair = Subject::new([0; 32], MOST_OF_PAIR, true);
        let delays: Vec<_> =
            (1..=11).map(|failures| delay(&pair, failures).map_or(0, |delay| delay.as_secs())).collect();
        assert_eq!(delays, [0, 0, 0, 5, 10, 20, 40, 80, 160, 1800, 1800]);
        let source = Subject::new([0; 32], MOST_OF_SOURCE, false);
        assert_eq!(delay(&source, 99), None);
        assert_eq!(delay(&source, 100), Some(LOCKED_FOR));
    }

    #[test]
    fn a_source_is_an_address_or_a_network_of_version_6() {
        let source = |text: &str| source(Some(text.parse().expect("an address")));
        assert_eq!(source("192.0.2.1"), source("::ffff:192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        assert_eq!(source("2001:db8:1:2:3::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
    }
}
