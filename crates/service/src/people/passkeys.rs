//! Passkeys (Web Authentication): each is both factors at once. What is asked of a browser is kept here, never there.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use trousseau_domain::digest::KeyFingerprint;
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
use super::sign_in::{Asked, renew_in};
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

/// What was asked of whoever wants to sign in as this address, whether or not anybody has it.
#[derive(Serialize, Deserialize)]
struct AskedToSignIn {
    email: String,
    state: PasskeyAuthentication,
}

/// The lengths of credential ids that authenticators give, the frequent ones more than once: phones and their clouds 16
/// and 20 bytes, computers 32, security keys 48 and 64.
const ID_LENGTHS: [usize; 8] = [16, 20, 20, 20, 32, 32, 48, 64];

/// The ids of passkeys that nobody has, for an address without any: as many and as long as people have them. `digest`
/// gives 32 bytes of the address for each number.
fn decoys(digest: impl Fn([u8; 1]) -> [u8; 32]) -> Vec<Vec<u8>> {
    let [many, first, second, ..] = digest([0]);
    let lengths = if many % 4 == 0 { vec![first, second] } else { vec![first] };
    let one = |(number, length): (u8, u8)| {
        let id = [digest([2 * number + 1]), digest([2 * number + 2])].concat();
        id[..ID_LENGTHS[usize::from(length) % ID_LENGTHS.len()]].to_vec()
    };
    (0..).zip(lengths).map(one).collect()
}

fn read<T: DeserializeOwned>(answer: &Value) -> Result<T, ServiceError> {
    T::deserialize(answer).map_err(|_| PeopleError::SignInRefused.into())
}

/// What the library keeps between two steps is plain data.
fn keep(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the library's own states are JSON")
}

fn reopen<T: DeserializeOwned>(kept: &str) -> Result<T, ServiceError> {
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
    /// some that do not exist.
    ///
    /// # Errors
    /// [`PeopleError::TooManyAttempts`] after too many of these from one source.
    pub async fn start_passkey_sign_in(
        self,
        email: &EmailAddress,
        visit: &Visit<'_>,
    ) -> Result<Ceremony, ServiceError> {
        self.admit_asking(Asked::Passkey, visit).await?;
        let account = self.core.store.read().find_account_by_email(email).await?;
        let known = match &account {
            Some(account) => self.load(account).await?,
            None => Vec::new(),
        };
        let account = account.filter(|_| !known.is_empty());
        let (state, options) = self.ask_for_passkey(&known, email)?;
        let asked = keep(&AskedToSignIn { email: email.as_str().to_owned(), state });
        self.ask(CeremonyKind::Authentication, account.as_ref(), asked, options).await
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
        let asked: AskedToSignIn = reopen(&ceremony.state)?;
        let email: EmailAddress = asked.email.parse().map_err(|_| PeopleError::LinkEnded)?;
        let account = match ceremony.account {
            Some(id) => self.core.store.read().find_account(id).await?,
            None => None,
        };
        // Counted whoever it is: a limit that only accounts have would tell which addresses have one.
        let mut subjects = self.admit(&email, account.as_ref(), visit).await?;
        let account = account.ok_or(PeopleError::SignInRefused)?;
        self.check_answer(&account, &asked.state, answer).await?;
        // It was counted when it began.
        subjects.push(Asked::Passkey.subject(self.core, visit));
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
        let (state, options) = self.ask_for_passkey(&known, &account.email)?;
        self.ask(CeremonyKind::Authentication, Some(&account), keep(&state), options).await
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
        self.check_answer(&account, &reopen(&ceremony.state)?, answer).await?;
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

    fn ask_for_passkey(
        self,
        known: &[(PasskeyRow, Passkey)],
        email: &EmailAddress,
    ) -> Result<(PasskeyAuthentication, Value), ServiceError> {
        let party = &self.core.people.passkeys()?.0;
        let passkeys: Vec<Passkey> = known.iter().map(|(_, passkey)| passkey.clone()).collect();
        let (challenge, state) =
            party.start_passkey_authentication(&passkeys).map_err(|_| PeopleError::PasskeysNotOffered)?;
        Ok((state, self.options(&challenge, known, email)))
    }

    /// The options with the passkeys that may answer: for an address without any, some that nobody has, the same each
    /// time.
    fn options(
        self,
        challenge: &RequestChallengeResponse,
        known: &[(PasskeyRow, Passkey)],
        email: &EmailAddress,
    ) -> Value {
        let mut options = serde_json::to_value(challenge).expect("the library's own options are JSON");
        let ids: Vec<Vec<u8>> = if known.is_empty() {
            let ring = self.core.secrets.ring().get();
            decoys(|part| {
                let hash = Sha256::new().chain_update(b"no passkey\0").chain_update(part).chain_update(email.as_str());
                *ring.digest(&KeyFingerprint::from_sha256(hash.finalize().into())).0.as_bytes()
            })
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
        state: &PasskeyAuthentication,
        answer: &Value,
    ) -> Result<(), ServiceError> {
        let party = &self.core.people.passkeys()?.0;
        let answer: PublicKeyCredential = read(answer)?;
        let result: AuthenticationResult =
            party.finish_passkey_authentication(&answer, state).map_err(|_| PeopleError::SignInRefused)?;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn passkeys_that_nobody_has_look_like_those_that_people_have() {
        let of = |address: u32| {
            decoys(|part| Sha256::new().chain_update(part).chain_update(address.to_be_bytes()).finalize().into())
        };
        let all: Vec<_> = (0..200).map(of).collect();
        assert_eq!(all[7], of(7), "the same each time");
        let counts: BTreeSet<_> = all.iter().map(Vec::len).collect();
        let lengths: BTreeSet<_> = all.iter().flatten().map(Vec::len).collect();
        assert_eq!(Vec::from_iter(counts), [1, 2]);
        assert_eq!(Vec::from_iter(lengths), [16, 20, 32, 48, 64]);
        let different: BTreeSet<_> = all.iter().flatten().collect();
        assert_eq!(different.len(), all.iter().flatten().count());
    }
}
