//! Passkeys (Web Authentication): each is both factors at once. What is asked of a browser is kept here, never there.

use std::fmt;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use trousseau_domain::events::AuditAction;
use trousseau_domain::ids::PasskeyId;
use trousseau_domain::members::{EmailAddress, PasskeyName};
use trousseau_store::{AccountRow, CeremonyKind, CeremonyRow, PasskeyRow, StoreError, UniqueRule};
use webauthn_rs::prelude::{
    AuthenticationResult, Passkey, PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, RequestChallengeResponse, Url,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

use super::sessions::NewSession;
use super::sign_in::renew_in;
use super::{OneTimeToken, People, PeopleError, SessionToken, SignedIn, Visit};
use crate::address::PublicAddress;
use crate::app::Unit;
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::mail::Letter;

/// How long a browser's answer is waited for.
const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_mins(5);
/// The most passkeys of one account.
const MOST: usize = 20;

/// The relying party of this installation.
pub(crate) struct Passkeys(Webauthn);

impl fmt::Debug for Passkeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Passkeys")
    }
}

impl Passkeys {
    /// The relying party at an address; none where browsers offer no passkeys.
    pub(crate) fn at(address: &PublicAddress) -> Option<Self> {
        if !address.offers_passkeys() {
            return None;
        }
        let origin: &Url = address.url();
        let builder = WebauthnBuilder::new(address.host(), origin).ok()?;
        builder.rp_name(address.host()).build().ok().map(Self)
    }
}

/// A passkey, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyView {
    /// Its id.
    pub id: PasskeyId,
    /// What its owner calls it.
    pub name: PasskeyName,
    /// When it was made.
    pub created_at: trousseau_domain::time::Timestamp,
    /// When it was last used.
    pub last_used_at: Option<trousseau_domain::time::Timestamp>,
}

/// What a browser is asked: a handle to bring back, and the options for `navigator.credentials`.
#[derive(Debug)]
pub struct Ceremony {
    /// Brings the answer to what was asked.
    pub handle: OneTimeToken,
    /// As JSON.
    pub options: Value,
}

fn read<T: serde::de::DeserializeOwned>(answer: &Value) -> Result<T, ServiceError> {
    T::deserialize(answer).map_err(|_| PeopleError::SignInRefused.into())
}

/// What the library keeps between two steps is plain data.
fn keep(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("the library's own states are JSON")
}

fn reopen<T: serde::de::DeserializeOwned>(kept: &str) -> Result<T, ServiceError> {
    serde_json::from_str(kept).map_err(|_| PeopleError::LinkEnded.into())
}

impl People<'_> {
    /// Whether passkeys are offered where this installation is reached.
    pub fn offers_passkeys(self) -> bool {
        self.core.people.passkeys().is_ok()
    }

    /// The caller's passkeys, the oldest first.
    pub async fn passkeys(self, person: &SignedIn) -> Result<Vec<PasskeyView>, ServiceError> {
        let rows = self.core.store.read().list_passkeys(person.account.id).await?;
        let view = |row: PasskeyRow| PasskeyView {
            id: row.id,
            name: row.name,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// Begins to add a passkey.
    pub async fn start_passkey(self, context: &Context, person: &SignedIn) -> Result<Ceremony, ServiceError> {
        let party = &self.core.people.passkeys()?.0;
        let (unit, account) = self.own_account(context, person, true).await?;
        // Nothing of the account changes yet.
        unit.settle().await?;
        let known = self.load(&account).await?;
        if known.len() >= MOST {
            return Err(ServiceError::invalid("name", format!("there are {MOST} passkeys already")));
        }
        let exclude = known.iter().map(|(_, passkey)| passkey.cred_id().clone()).collect();
        let owner = uuid::Uuid::from_u128(account.id.bits());
        let (challenge, state) = party
            .start_passkey_registration(owner, account.email.as_str(), account.name.as_str(), Some(exclude))
            .map_err(|_| PeopleError::PasskeysNotOffered)?;
        let options = serde_json::to_value(&challenge).expect("the library's own options are JSON");
        self.ask(CeremonyKind::Registration, Some(&account), keep(&state), options).await
    }

    /// Ends the adding of a passkey by the browser's answer.
    ///
    /// # Errors
    /// [`PeopleError::LinkEnded`] if the answer came too late or twice, [`PeopleError::SignInRefused`] if it is wrong.
    pub async fn finish_passkey(
        self,
        context: &Context,
        person: &SignedIn,
        handle: &OneTimeToken,
        name: &PasskeyName,
        answer: &Value,
    ) -> Result<(), ServiceError> {
        let party = &self.core.people.passkeys()?.0;
        let ceremony = self.take(CeremonyKind::Registration, handle).await?;
        if ceremony.account != Some(person.account.id) {
            return Err(PeopleError::LinkEnded.into());
        }
        let state: PasskeyRegistration = reopen(&ceremony.state)?;
        let answer: RegisterPublicKeyCredential = read(answer)?;
        let passkey = party.finish_passkey_registration(&answer, &state).map_err(|_| PeopleError::SignInRefused)?;
        let (mut unit, account) = self.own_account(context, person, true).await?;
        let row = PasskeyRow {
            id: PasskeyId::new(unit.now, self.core.entropy.bytes()),
            account: account.id,
            credential_id: passkey.cred_id().clone(),
            name: name.clone(),
            credential: keep(&passkey),
            created_at: unit.now,
            last_used_at: None,
        };
        match unit.tx.insert_passkey(&row).await {
            Err(StoreError::Unique { constraint: UniqueRule::Passkey, .. }) => {
                return Err(PeopleError::SignInRefused.into());
            }
            other => other?,
        }
        self.tell(&mut unit, account.id, &account.email, account.language, &Letter::SecondFactorChanged).await?;
        let target = account.id.to_string();
        unit.audit(AuditAction::PasskeyAdded, &target, json!({ "passkey_id": row.id })).await?;
        unit.tx.commit().await?;
        Ok(())
    }

    /// Removes a passkey.
    ///
    /// # Errors
    /// [`PeopleError::LastWayIn`] if there is neither a password nor another passkey.
    pub async fn remove_passkey(self, context: &Context, person: &SignedIn, id: PasskeyId) -> Result<(), ServiceError> {
        let (mut unit, account) = self.own_account(context, person, true).await?;
        let known = unit.tx.read().list_passkeys(account.id).await?;
        if account.password_hash.is_none() && known.len() <= 1 {
            return Err(PeopleError::LastWayIn.into());
        }
        if !unit.tx.delete_passkey(account.id, id).await? {
            return Err(ServiceError::NotFound);
        }
        self.tell(&mut unit, account.id, &account.email, account.language, &Letter::SecondFactorChanged).await?;
        let target = account.id.to_string();
        unit.audit(AuditAction::PasskeyRemoved, &target, json!({ "passkey_id": id })).await?;
        unit.tx.commit().await?;
        Ok(())
    }

    /// Begins to sign in by a passkey. An address without an account, or without passkeys, is asked in the same way for
    /// one that does not exist.
    pub async fn start_passkey_sign_in(self, email: &EmailAddress) -> Result<Ceremony, ServiceError> {
        let account = self.core.store.read().find_account_by_email(email).await?;
        let known = match &account {
            Some(account) => self.load(account).await?,
            None => Vec::new(),
        };
        let account = account.filter(|_| !known.is_empty());
        self.ask_for_passkey(account.as_ref(), &known, email).await
    }

    /// Signs in by a passkey.
    ///
    /// # Errors
    /// [`PeopleError::LinkEnded`] if the answer came too late or twice, [`PeopleError::SignInRefused`] if it is wrong.
    pub async fn finish_passkey_sign_in(
        self,
        handle: &OneTimeToken,
        answer: &Value,
        visit: &Visit<'_>,
    ) -> Result<NewSession, ServiceError> {
        let ceremony = self.take(CeremonyKind::Authentication, handle).await?;
        let id = ceremony.account.ok_or(PeopleError::SignInRefused)?;
        let account = self.core.store.read().find_account(id).await?.ok_or(PeopleError::SignInRefused)?;
        let subjects = self.admit(&account.email, Some(&account), visit).await?;
        self.check_answer(&account, &ceremony, answer).await?;
        self.open_session(&account, &subjects, visit).await
    }

    /// Begins to prove by a passkey who sits there.
    pub async fn start_passkey_step_up(self, person: &SignedIn) -> Result<Ceremony, ServiceError> {
        let account = self.core.store.read().find_account(person.account.id).await?;
        let account = account.ok_or(ServiceError::CallerRefused)?;
        let known = self.load(&account).await?;
        if known.is_empty() {
            return Err(ServiceError::NotFound);
        }
        self.ask_for_passkey(Some(&account), &known, &account.email).await
    }

    /// Proves by a passkey who sits there; the session gets a new secret.
    pub async fn finish_passkey_step_up(
        self,
        context: &Context,
        person: &SignedIn,
        handle: &OneTimeToken,
        answer: &Value,
    ) -> Result<SessionToken, ServiceError> {
        let ceremony = self.take(CeremonyKind::Authentication, handle).await?;
        if ceremony.account != Some(person.account.id) {
            return Err(PeopleError::LinkEnded.into());
        }
        let account = self.core.store.read().find_account(person.account.id).await?;
        let account = account.ok_or(ServiceError::CallerRefused)?;
        self.check_answer(&account, &ceremony, answer).await?;
        let mut unit = Unit::begin(self.core, context).await?;
        unit.check_session(false).await?;
        let token = renew_in(self.core, &mut unit, person).await?;
        unit.tx.commit().await?;
        Ok(token)
    }

    async fn load(self, account: &AccountRow) -> Result<Vec<(PasskeyRow, Passkey)>, ServiceError> {
        let rows = self.core.store.read().list_passkeys(account.id).await?;
        rows.into_iter().map(|row| reopen(&row.credential).map(|passkey| (row, passkey))).collect()
    }

    async fn ask_for_passkey(
        self,
        account: Option<&AccountRow>,
        known: &[(PasskeyRow, Passkey)],
        email: &EmailAddress,
    ) -> Result<Ceremony, ServiceError> {
        let party = &self.core.people.passkeys()?.0;
        let passkeys: Vec<Passkey> = known.iter().map(|(_, passkey)| passkey.clone()).collect();
        let (challenge, state) =
            party.start_passkey_authentication(&passkeys).map_err(|_| PeopleError::PasskeysNotOffered)?;
        let options = self.options(&challenge, known, email);
        self.ask(CeremonyKind::Authentication, account, keep(&state), options).await
    }

    /// The options with the passkeys that may answer: for an address without any, one that nobody has, the same each
    /// time.
    fn options(
        self,
        challenge: &RequestChallengeResponse,
        known: &[(PasskeyRow, Passkey)],
        email: &EmailAddress,
    ) -> Value {
        let mut options = serde_json::to_value(challenge).expect("the library's own options are JSON");
        let ids: Vec<Vec<u8>> = if known.is_empty() {
            let fingerprint = Sha256::new().chain_update(b"no passkey\0").chain_update(email.as_str()).finalize();
            let fingerprint = trousseau_domain::digest::KeyFingerprint::from_sha256(fingerprint.into());
            vec![self.core.secrets.ring().get().digest(&fingerprint).0.as_bytes().to_vec()]
        } else {
            known.iter().map(|(row, _)| row.credential_id.clone()).collect()
        };
        let allowed: Vec<Value> = ids
            .iter()
            .map(|id| {
                use base64::Engine as _;
                let id = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id);
                json!({ "type": "public-key", "id": id })
            })
            .collect();
        options["publicKey"]["allowCredentials"] = json!(allowed);
        options
    }

    async fn ask(
        self,
        kind: CeremonyKind,
        account: Option<&AccountRow>,
        state: String,
        options: Value,
    ) -> Result<Ceremony, ServiceError> {
        let handle = OneTimeToken::generate(self.core.entropy.as_ref());
        let mut tx = self.core.store.begin().await?;
        let now = self.core.clock.now();
        let row = CeremonyRow {
            digest: handle.digest(),
            kind,
            account: account.map(|account| account.id),
            state,
            created_at: now,
            expires_at: now.saturating_add(ANSWER_WITHIN),
        };
        tx.insert_ceremony(&row).await?;
        tx.commit().await?;
        Ok(Ceremony { handle, options })
    }

    async fn take(self, kind: CeremonyKind, handle: &OneTimeToken) -> Result<CeremonyRow, ServiceError> {
        let mut tx = self.core.store.begin().await?;
        let row = tx.take_ceremony(kind, &handle.digest(), self.core.clock.now()).await?;
        tx.commit().await?;
        Ok(row.ok_or(PeopleError::LinkEnded)?)
    }

    async fn check_answer(
        self,
        account: &AccountRow,
        ceremony: &CeremonyRow,
        answer: &Value,
    ) -> Result<(), ServiceError> {
        let party = &self.core.people.passkeys()?.0;
        let state: PasskeyAuthentication = reopen(&ceremony.state)?;
        let answer: PublicKeyCredential = read(answer)?;
        let result: AuthenticationResult =
            party.finish_passkey_authentication(&answer, &state).map_err(|_| PeopleError::SignInRefused)?;
        let known = self.load(account).await?;
        let used = known.into_iter().find(|(row, _)| row.credential_id.as_slice() == result.cred_id().as_slice());
        // It may have been removed in the meantime.
        let (row, mut passkey) = used.ok_or(PeopleError::SignInRefused)?;
        passkey.update_credential(&result);
        let mut tx = self.core.store.begin().await?;
        let now = self.core.clock.now();
        if !tx.use_passkey(account.id, row.id, &keep(&passkey), now).await? {
            return Err(PeopleError::SignInRefused.into());
        }
        tx.commit().await?;
        Ok(())
    }
}
