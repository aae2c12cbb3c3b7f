//! A person's own account: name, password, authenticator app, recovery codes, and the way back in by mail.

use serde_json::json;
use trousseau_domain::business::Language;
use trousseau_domain::events::AuditAction;
use trousseau_domain::ids::AccountId;
use trousseau_domain::members::{EmailAddress, PersonName};
use trousseau_store::{AccountRow, RecoveryCodeRow, TokenPurpose, TokenRow, TotpRow};
use zeroize::Zeroizing;

use super::first_run::check_password;
use super::sessions::{NewSession, start_in};
use super::sign_in::{Asked, StepUpProof, forgive_owner, open_totp, renew_in, totp_cell};
use super::{OneTimeToken, Password, People, PeopleError, RESET_FOR, SessionToken, SignedIn, Visit, has_totp, totp};
use crate::app::Unit;
use crate::context::Context;
use crate::entropy::{Entropy, EntropyExt as _};
use crate::error::ServiceError;
use crate::idempotency::{self, Answered, Idempotent};
use crate::mail::{self, Letter, Recipient};

/// How many recovery codes there are.
const CODES: u32 = 10;
/// The most resets that are mailed to one account in one link's life: more would only fill somebody's mailbox.
const MOST_RESETS: u64 = 3;

/// What a person types or scans into an authenticator app.
#[derive(Debug)]
pub struct TotpEnrolment {
    /// The secret in base 32.
    pub secret: Zeroizing<String>,
    /// The same as an address for a QR code.
    pub uri: Zeroizing<String>,
}

/// Recovery codes, shown once.
#[derive(Debug)]
pub struct RecoveryCodes(pub Vec<Zeroizing<String>>);

/// What came of a link for another password.
#[derive(Debug)]
pub enum ResetDone {
    /// Signed in.
    SignedIn(NewSession),
    /// The authenticator app is asked for at the sign-in page: a mailbox alone is no second factor.
    SignIn,
}

impl People<'_> {
    /// Changes name and language.
    pub async fn change_profile(
        self,
        context: &Context,
        person: &SignedIn,
        name: &PersonName,
        language: Language,
    ) -> Result<(), ServiceError> {
        let (mut unit, mut account) = self.own_account(context, person, false).await?;
        name.clone_into(&mut account.name);
        account.language = language;
        save(&mut unit, account).await?;
        unit.audit(AuditAction::AccountUpdated, &person.account.id.to_string(), json!({})).await?;
        unit.tx.commit().await?;
        Ok(())
    }

    /// Chooses another password, or a first one. All other sessions end, and this one gets a new secret.
    ///
    /// # Errors
    /// [`PeopleError::SignInRefused`] if the old one is wrong, [`ServiceError::Invalid`] if the new one is weak.
    pub async fn change_password(
        self,
        context: &Context,
        person: &SignedIn,
        old: Option<&Password>,
        new: &Password,
    ) -> Result<SessionToken, ServiceError> {
        check_password(new, &person.account.email, &person.account.name)?;
        if person.account.has_password {
            let old = old.ok_or(PeopleError::SignInRefused)?;
            // Counted like any other proof, so that an open session is no place to guess at.
            self.prove(context, person, &StepUpProof::Password(old)).await?;
        }
        let kept = self.core.people.hasher.keep(new, self.core.entropy.as_ref()).await?;
        let (mut unit, mut account) = self.own_account(context, person, !person.account.has_password).await?;
        account.password_hash = Some(kept);
        let language = account.language;
        save(&mut unit, account).await?;
        unit.tx.delete_sessions(person.account.id, Some(person.session.id)).await?;
        unit.tx.delete_tokens(TokenPurpose::Reset, Some(person.account.id)).await?;
        unit.tx.delete_tokens(TokenPurpose::SecondFactor, Some(person.account.id)).await?;
        let token = renew_in(self.core, &mut unit, person).await?;
        self.tell(&mut unit, person.account.id, &person.account.email, language, &Letter::PasswordChanged).await?;
        unit.audit(AuditAction::PasswordChanged, &person.account.id.to_string(), json!({})).await?;
        unit.tx.commit().await?;
        Ok(token)
    }

    /// Asks for a link to choose another password. The answer, and the time it takes, are the same whether or not the
    /// address has an account.
    ///
    /// # Errors
    /// [`PeopleError::TooManyAttempts`] after too many of these from one source.
    pub async fn request_reset(
        self,
        email: &EmailAddress,
        language: Language,
        visit: &Visit<'_>,
    ) -> Result<(), ServiceError> {
        self.admit_asking(Asked::Reset, visit).await?;
        let account = self.core.store.read().find_account_by_email(email).await?;
        let context = Context::system();
        let mut unit = Unit::begin(self.core, &context).await?;
        let now = unit.now;
        // Nobody has this id: it is looked for where nobody has the address.
        let asked = account.as_ref().map_or(AccountId::from_bits(0), |account| account.id);
        let since = now.saturating_sub(RESET_FOR);
        let recent = unit.tx.read().count_tokens_since(asked, TokenPurpose::Reset, since).await?;
        // One more than there may be goes to nobody, with all the work of one that does.
        let account = account.filter(|_| recent < MOST_RESETS);
        let token = OneTimeToken::generate(self.core.entropy.as_ref());
        let row = TokenRow {
            digest: token.digest(),
            account: account.as_ref().map(|account| account.id),
            created_at: now,
            expires_at: now.saturating_add(RESET_FOR),
            failures: 0,
        };
        unit.tx.insert_token(TokenPurpose::Reset, &row).await?;
        let link = self.core.people.address().link(&format!("/reset/{}", token.expose()));
        let recipient = Recipient {
            email: account.as_ref().map(|account| &account.email),
            account: account.as_ref().map(|account| account.id),
            language: account.as_ref().map_or(language, |account| account.language),
        };
        mail::queue(self.core, &mut unit.tx, now, recipient, &Letter::Reset { link: &link }).await?;
        unit.tx.commit().await?;
        tracing::info!(request.id = visit.request_id.map(tracing::field::display), "a new password was asked for");
        Ok(())
    }

    /// For whom a link for another password is, if it is still good: what the new one may not consist of.
    ///
    /// # Errors
    /// [`PeopleError::LinkEnded`] if it is used, ended or unknown.
    pub async fn reset(self, link: &OneTimeToken) -> Result<(EmailAddress, PersonName), ServiceError> {
        let account = self.reset_account(link).await?;
        Ok((account.email, account.name))
    }

    async fn reset_account(self, link: &OneTimeToken) -> Result<AccountRow, ServiceError> {
        let mut reader = self.core.store.read();
        let token = reader.find_token(TokenPurpose::Reset, &link.digest(), self.core.clock.now()).await?;
        let id = token.and_then(|token| token.account).ok_or(PeopleError::LinkEnded)?;
        Ok(reader.find_account(id).await?.ok_or(PeopleError::LinkEnded)?)
    }

    /// Chooses another password by a link that was mailed: all sessions end, earlier failures are forgotten.
    ///
    /// # Errors
    /// [`PeopleError::LinkEnded`] as for the page, [`ServiceError::Invalid`] if the password is weak.
    pub async fn complete_reset(
        self,
        link: &OneTimeToken,
        new: &Password,
        visit: &Visit<'_>,
    ) -> Result<ResetDone, ServiceError> {
        let found = self.reset_account(link).await?;
        check_password(new, &found.email, &found.name)?;
        let kept = self.core.people.hasher.keep(new, self.core.entropy.as_ref()).await?;
        let context = Context::newcomer(found.id, visit.request_id);
        let mut unit = Unit::begin(self.core, &context).await?;
        let now = unit.now;
        if !unit.tx.use_token(TokenPurpose::Reset, &link.digest(), now).await? {
            return Err(PeopleError::LinkEnded.into());
        }
        let mut account = unit.tx.lock_account(found.id).await?.ok_or(PeopleError::LinkEnded)?;
        account.password_hash = Some(kept);
        let (id, email, language) = (account.id, account.email.clone(), account.language);
        let second = has_totp(&account);
        save(&mut unit, account).await?;
        unit.tx.delete_sessions(id, None).await?;
        unit.tx.forget_devices(id).await?;
        unit.tx.delete_tokens(TokenPurpose::Reset, Some(id)).await?;
        unit.tx.delete_tokens(TokenPurpose::SecondFactor, Some(id)).await?;
        forgive_owner(self.core, &mut unit.tx, &email, visit).await?;
        self.tell(&mut unit, id, &email, language, &Letter::PasswordChanged).await?;
        unit.audit(AuditAction::PasswordReset, &id.to_string(), json!({})).await?;
        let done = if second {
            ResetDone::SignIn
        } else {
            ResetDone::SignedIn(start_in(self.core, &mut unit, id, visit).await?)
        };
        unit.tx.commit().await?;
        Ok(done)
    }

    /// Begins to add an authenticator app: it counts once a first code has shown that it has the secret.
    pub async fn start_totp(self, context: &Context, person: &SignedIn) -> Result<TotpEnrolment, ServiceError> {
        let (mut unit, mut account) = self.own_account(context, person, true).await?;
        if has_totp(&account) {
            return Err(ServiceError::Conflict);
        }
        let secret = Zeroizing::new(self.core.entropy.bytes::<{ totp::SECRET_LEN }>());
        let row = account.id.to_string();
        let ring = self.core.secrets.ring().get();
        let sealed = ring.seal(secret.as_slice(), &totp_cell(&row), self.core.entropy.as_ref());
        account.totp = Some(TotpRow { secret: sealed, confirmed_at: None, last_step: None });
        save(&mut unit, account).await?;
        unit.tx.commit().await?;
        Ok(self.enrolment(secret.as_slice(), person))
    }

    /// The app that is being added, to show it again after a wrong code.
    pub async fn pending_totp(self, context: &Context, person: &SignedIn) -> Result<TotpEnrolment, ServiceError> {
        let (unit, account) = self.own_account(context, person, true).await?;
        unit.settle().await?;
        let pending = account.totp.filter(|totp| totp.confirmed_at.is_none()).ok_or(ServiceError::NotFound)?;
        let secret = open_totp(self.core, person.account.id, &pending.secret)?;
        Ok(self.enrolment(&secret, person))
    }

    fn enrolment(self, secret: &[u8], person: &SignedIn) -> TotpEnrolment {
        let uri = totp::uri(secret, self.core.settings.brand().as_str(), person.account.email.as_str());
        TotpEnrolment { secret: totp::base32(secret), uri }
    }

    /// Ends the adding of an authenticator app by its first code. The recovery codes are shown now.
    ///
    /// # Errors
    /// [`PeopleError::SignInRefused`] if the code is wrong, [`ServiceError::NotFound`] if none is being added.
    pub async fn confirm_totp(
        self,
        context: &Context,
        person: &SignedIn,
        code: &str,
    ) -> Result<RecoveryCodes, ServiceError> {
        let (codes, rows) = self.fresh_codes().await?;
        let (mut unit, mut account) = self.own_account(context, person, true).await?;
        let now = unit.now;
        let Some(app) = account.totp.as_mut().filter(|totp| totp.confirmed_at.is_none()) else {
            return Err(ServiceError::NotFound);
        };
        let secret = open_totp(self.core, person.account.id, &app.secret)?;
        let step = totp::matching_step(&secret, code, now, app.last_step).ok_or(PeopleError::SignInRefused)?;
        app.confirmed_at = Some(now);
        app.last_step = Some(step);
        let language = account.language;
        save(&mut unit, account).await?;
        unit.tx.replace_recovery_codes(person.account.id, &rows).await?;
        let (id, email) = (person.account.id, &person.account.email);
        self.tell(&mut unit, id, email, language, &Letter::SecondFactorChanged).await?;
        unit.audit(AuditAction::TotpEnabled, &id.to_string(), json!({})).await?;
        unit.tx.commit().await?;
        Ok(codes)
    }

    /// Removes the authenticator app and its recovery codes, for who has one of its codes or of them.
    ///
    /// # Errors
    /// [`PeopleError::SignInRefused`] if the code is wrong, [`ServiceError::NotFound`] without an authenticator app.
    pub async fn disable_totp(self, context: &Context, person: &SignedIn, code: &str) -> Result<(), ServiceError> {
        // A session that has to prove itself again is told so before its code is used up.
        let (unit, account) = self.own_account(context, person, true).await?;
        unit.settle().await?;
        if !has_totp(&account) {
            return Err(ServiceError::NotFound);
        }
        self.prove(context, person, &StepUpProof::Code(code)).await?;
        let (mut unit, mut account) = self.own_account(context, person, true).await?;
        account.totp.take().ok_or(ServiceError::NotFound)?;
        let language = account.language;
        save(&mut unit, account).await?;
        let (id, email) = (person.account.id, &person.account.email);
        unit.tx.replace_recovery_codes(id, &[]).await?;
        self.tell(&mut unit, id, email, language, &Letter::SecondFactorChanged).await?;
        unit.audit(AuditAction::TotpDisabled, &id.to_string(), json!({})).await?;
        unit.tx.commit().await?;
        Ok(())
    }

    /// Replaces the recovery codes, for who has a code of the authenticator app or one of them; the new ones are shown now.
    ///
    /// # Errors
    /// [`PeopleError::SignInRefused`] if the code is wrong, [`ServiceError::NotFound`] without an authenticator app.
    pub async fn replace_recovery_codes(
        self,
        context: &Context,
        person: &SignedIn,
        code: &str,
        idempotent: Option<&Idempotent<'_, RecoveryCodes>>,
    ) -> Result<Answered<RecoveryCodes>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let (unit, account) = self.own_account(context, person, true).await?;
        unit.settle().await?;
        // Sent again, the code of the first time is used up.
        if let Some(answer) = idempotency::answered(self.core, idempotent).await? {
            return Ok(Answered::Replayed(answer));
        }
        if !has_totp(&account) {
            return Err(ServiceError::NotFound);
        }
        // Whoever could make codes with a password alone could remove the app with one of them.
        self.prove(context, person, &StepUpProof::Code(code)).await?;
        let (codes, rows) = self.fresh_codes().await?;
        let (mut unit, account) = self.own_account(context, person, true).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        if !has_totp(&account) {
            return Err(ServiceError::NotFound);
        }
        let (id, email) = (person.account.id, &person.account.email);
        unit.tx.replace_recovery_codes(id, &rows).await?;
        self.tell(&mut unit, id, email, account.language, &Letter::SecondFactorChanged).await?;
        unit.audit(AuditAction::RecoveryCodesReplaced, &id.to_string(), json!({})).await?;
        idempotency::keep(&mut unit.tx, idempotent, &codes, unit.now).await?;
        unit.tx.commit().await?;
        Ok(Answered::Done(codes))
    }

    /// How many recovery codes are left.
    pub async fn recovery_codes_left(self, person: &SignedIn) -> Result<usize, ServiceError> {
        Ok(self.core.store.read().list_recovery_codes(person.account.id).await?.len())
    }

    async fn fresh_codes(self) -> Result<(RecoveryCodes, Vec<RecoveryCodeRow>), ServiceError> {
        let codes: Vec<_> = (0..CODES).map(|_| recovery_code(self.core.entropy.as_ref())).collect();
        let bare = codes.iter().map(|code| Zeroizing::new(code.replace('-', ""))).collect();
        let salt = self.core.entropy.bytes::<16>().to_vec();
        let digests = self.core.people.hasher.digest_codes(bare, salt.clone()).await?;
        let rows = digests
            .into_iter()
            .zip(1..)
            .map(|(digest, number)| RecoveryCodeRow { number, salt: salt.clone(), digest })
            .collect();
        Ok((RecoveryCodes(codes), rows))
    }

    /// The caller's account, locked, with the session looked at once more.
    pub(super) async fn own_account<'u>(
        self,
        context: &'u Context,
        person: &SignedIn,
        proven: bool,
    ) -> Result<(Unit<'u>, AccountRow), ServiceError>
    where
        Self: 'u,
    {
        let mut unit = Unit::begin(self.core, context).await?;
        unit.check_session(proven).await?;
        let account = unit.tx.lock_account(person.account.id).await?.ok_or(ServiceError::CallerRefused)?;
        Ok((unit, account))
    }

    /// A mail about a person's own account.
    pub(super) async fn tell(
        self,
        unit: &mut Unit<'_>,
        id: AccountId,
        email: &EmailAddress,
        language: Language,
        letter: &Letter<'_>,
    ) -> Result<(), ServiceError> {
        let recipient = Recipient { email: Some(email), account: Some(id), language };
        let now = unit.now;
        mail::queue(self.core, &mut unit.tx, now, recipient, letter).await.map(drop)
    }
}

pub(super) async fn save(unit: &mut Unit<'_>, mut account: AccountRow) -> Result<(), ServiceError> {
    account.updated_at = unit.now;
    if unit.tx.update_account(&account).await? { Ok(()) } else { Err(ServiceError::Conflict) }
}

/// 80 random bits in base 32, in four groups.
fn recovery_code(entropy: &dyn Entropy) -> Zeroizing<String> {
    let bytes = Zeroizing::new(entropy.bytes::<10>());
    let text = totp::base32(bytes.as_slice());
    let lower = Zeroizing::new(text.to_ascii_lowercase());
    let mut code = Zeroizing::new(String::with_capacity(19));
    for (index, character) in lower.chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            code.push('-');
        }
        code.push(character);
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn recovery_codes_are_sixteen_letters_and_digits_in_groups() {
        let entropy = SeededEntropy::new(1);
        let codes: Vec<_> = (0..50).map(|_| recovery_code(&entropy)).collect();
        for code in &codes {
            assert_eq!(code.len(), 19);
            assert!(code.split('-').all(|group| group.len() == 4), "{}", code.as_str());
            assert!(!totp::looks_like_code(code));
        }
        let different: std::collections::HashSet<_> = codes.iter().map(|code| code.as_str()).collect();
        assert_eq!(different.len(), codes.len());
    }
}
