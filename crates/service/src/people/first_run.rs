//! The first start: one link, one winner, then closed for good.

use serde_json::json;
use trousseau_domain::business::Language;
use trousseau_domain::events::{AuditAction, EventType};
use trousseau_domain::ids::AccountId;
use trousseau_domain::members::{EmailAddress, Notice, PersonName, Role};
use trousseau_domain::metadata::Metadata;
use trousseau_domain::text::BusinessName;
use trousseau_domain::time::TimeZone;
use trousseau_store::{
    AccountRow, BusinessRow, ChangeKind, MembershipRow, StoreError, TokenPurpose, TokenRow, UniqueRule,
};

use super::sessions::{NewSession, start_in};
use super::{FIRST_RUN_FOR, OneTimeToken, Password, People, PeopleError, Visit, passwords};
use crate::app::{Core, Happened, Unit};
use crate::businesses::{BusinessDraft, create_business_in};
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::keys::IssuedKey;
use crate::mail;

/// What the form of the first start begins with.
#[derive(Debug)]
pub struct FirstRun {
    /// The business that waits without members; the form asks for the name of a new one if there is none.
    pub business: Option<BusinessRow>,
}

/// What the form of the first start asks for.
#[derive(Debug)]
pub struct FirstRunDraft {
    /// What the person is called.
    pub name: PersonName,
    /// What they sign in with.
    pub email: EmailAddress,
    /// And this.
    pub password: Password,
    /// The language of the account.
    pub language: Language,
    /// The name of the business, where none waits.
    pub business: Option<BusinessName>,
    /// Its time zone; the configured one unless given.
    pub time_zone: Option<TimeZone>,
}

/// What came of the first start.
#[derive(Debug)]
pub struct FirstRunDone {
    /// The session of the first person.
    pub session: NewSession,
    /// The first business.
    pub business: BusinessRow,
    /// Its first keys, where it was made now: shown once.
    pub keys: Vec<IssuedKey>,
}

impl People<'_> {
    /// The link of the first start, in place of any earlier one; none once there is an account.
    pub async fn first_run_link(self, context: &Context) -> Result<Option<OneTimeToken>, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        if unit.tx.read().count_accounts().await? > 0 {
            unit.settle().await?;
            return Ok(None);
        }
        let token = OneTimeToken::generate(self.core.entropy.as_ref());
        let row = TokenRow {
            digest: token.digest(),
            account: None,
            created_at: unit.now,
            expires_at: unit.now.saturating_add(FIRST_RUN_FOR),
            failures: 0,
        };
        unit.tx.delete_tokens(TokenPurpose::FirstRun, None).await?;
        unit.tx.insert_token(TokenPurpose::FirstRun, &row).await?;
        unit.tx.commit().await?;
        Ok(Some(token))
    }

    /// What the form begins with.
    ///
    /// # Errors
    /// [`PeopleError::LinkEnded`] if the link is used, replaced, ended or unknown, or there is an account.
    pub async fn first_run(self, link: &OneTimeToken) -> Result<FirstRun, ServiceError> {
        let now = self.core.clock.now();
        let mut reader = self.core.store.read();
        if reader.find_token(TokenPurpose::FirstRun, &link.digest(), now).await?.is_none()
            || reader.count_accounts().await? > 0
        {
            return Err(PeopleError::LinkEnded.into());
        }
        Ok(FirstRun { business: reader.find_business_without_members(now).await? })
    }

    /// Makes the first account: platform administrator, and administrator of the first business.
    ///
    /// # Errors
    /// [`PeopleError::LinkEnded`] as for the form, [`ServiceError::Invalid`] for a weak password or a missing name.
    pub async fn complete_first_run(
        self,
        link: &OneTimeToken,
        draft: &FirstRunDraft,
        visit: &Visit<'_>,
    ) -> Result<FirstRunDone, ServiceError> {
        let form = self.first_run(link).await?;
        check_password(&draft.password, &draft.email, &draft.name)?;
        if form.business.is_none() && draft.business.is_none() {
            return Err(ServiceError::invalid("business", "is empty"));
        }
        let kept = self.core.people.hasher.keep(&draft.password, self.core.entropy.as_ref()).await?;
        let id = AccountId::new(self.core.clock.now(), self.core.entropy.bytes());
        let context = Context::newcomer(id, visit.request_id);
        let mut unit = Unit::begin(self.core, &context).await?;
        let now = unit.now;
        // The row decides who wins.
        if !unit.tx.use_token(TokenPurpose::FirstRun, &link.digest(), now).await?
            || unit.tx.read().count_accounts().await? > 0
        {
            return Err(PeopleError::LinkEnded.into());
        }
        let account = NewAccount {
            id,
            email: &draft.email,
            name: &draft.name,
            language: draft.language,
            password_hash: Some(kept),
            platform_admin: true,
        };
        create_account_in(&mut unit, account).await?;
        unit.audit(AuditAction::PlatformAdminAdded, &id.to_string(), json!({})).await?;
        let waiting = unit.tx.read().find_business_without_members(now).await?;
        let (business, keys) = match (waiting, &draft.business) {
            // It speaks as its first member does, unless another language was chosen for it.
            (Some(mut business), _) => {
                let (old, new) = (business.language.clone(), draft.language.as_str());
                if old == Language::English.as_str() && old != new {
                    new.clone_into(&mut business.language);
                    if !unit.tx.update_business(&business).await? {
                        return Err(ServiceError::Conflict);
                    }
                    unit.record(Happened {
                        event: EventType::BusinessUpdated,
                        business: &business.id,
                        environment: None,
                        key: None,
                        data: json!({ "changes": { "language": { "old": old, "new": new } } }),
                    })
                    .await?;
                }
                (business, Vec::new())
            }
            (None, Some(name)) => {
                let (profile_name, profile) = default_profile(self.core)?;
                let new = BusinessDraft {
                    name: name.clone(),
                    id: None,
                    profile: None,
                    time_zone: draft.time_zone.clone(),
                    language: draft.language,
                    metadata: Metadata::default(),
                    invite: None,
                };
                let business_id = profile.business_id.generate(self.core.entropy.bytes());
                let created =
                    create_business_in(self.core, &mut unit, &context, &new, profile_name, profile, business_id)
                        .await?;
                (created.business, created.keys)
            }
            (None, None) => return Err(ServiceError::invalid("business", "is empty")),
        };
        add_member_in(self.core, &mut unit, &business, id, Role::Administrator, &context).await?;
        let session = start_in(self.core, &mut unit, id, visit).await?;
        unit.commit(ChangeKind::Business, Some(&business.id), None).await?;
        Ok(FirstRunDone { session, business, keys })
    }
}

fn default_profile(
    core: &Core,
) -> Result<(&trousseau_domain::profile::ProfileName, &trousseau_domain::profile::Profile), ServiceError> {
    let name = core.settings.default_profile();
    let profile = core.settings.profile(name.as_str());
    let profile = profile.ok_or_else(|| ServiceError::NotAllowedByProfile(name.to_string()))?;
    Ok((name, profile))
}

/// Refuses a password that is too weak, in the words of the form.
pub(super) fn check_password(password: &Password, email: &EmailAddress, name: &PersonName) -> Result<(), ServiceError> {
    passwords::check(password, email, name).map_err(|error| ServiceError::invalid("password", error.to_string()))
}

/// An account that is to be made.
pub(super) struct NewAccount<'a> {
    pub(super) id: AccountId,
    pub(super) email: &'a EmailAddress,
    pub(super) name: &'a PersonName,
    pub(super) language: Language,
    pub(super) password_hash: Option<String>,
    pub(super) platform_admin: bool,
}

pub(super) async fn create_account_in(unit: &mut Unit<'_>, new: NewAccount<'_>) -> Result<(), ServiceError> {
    let account = AccountRow {
        id: new.id,
        email: new.email.clone(),
        name: new.name.clone(),
        language: new.language,
        platform_admin: new.platform_admin,
        password_hash: new.password_hash,
        totp: None,
        created_at: unit.now,
        updated_at: unit.now,
        revision: 0,
    };
    match unit.tx.insert_account(&account).await {
        Err(StoreError::Unique { constraint: UniqueRule::AccountEmail, .. }) => {
            return Err(PeopleError::SignInFirst.into());
        }
        other => other?,
    }
    unit.audit(AuditAction::AccountCreated, &account.id.to_string(), json!({})).await
}

/// Makes an account a member of a business.
///
/// # Errors
/// [`PeopleError::AlreadyMember`] if it is one.
pub(super) async fn add_member_in(
    core: &Core,
    unit: &mut Unit<'_>,
    business: &BusinessRow,
    account: AccountId,
    role: Role,
    context: &Context,
) -> Result<(), ServiceError> {
    // Before there is one member more: nobody is told of themselves.
    let newcomer = unit.tx.read().find_account(account).await?.ok_or(ServiceError::CallerRefused)?;
    let path = format!("/b/{}/test/settings/members", business.id);
    let now = unit.now;
    mail::notify(core, &mut unit.tx, now, business, Notice::MemberAdded, newcomer.name.as_str(), &path).await?;
    let membership = MembershipRow {
        business: business.id.clone(),
        account,
        role,
        created_at: unit.now,
        created_by: context.actor().clone(),
    };
    if !unit.tx.insert_membership(&membership).await? {
        return Err(PeopleError::AlreadyMember.into());
    }
    unit.record(Happened {
        event: EventType::MemberAdded,
        business: &business.id,
        environment: None,
        key: None,
        data: json!({ "account_id": account, "role": role }),
    })
    .await
}
