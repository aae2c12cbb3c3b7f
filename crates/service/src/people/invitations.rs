//! Invitations: to a business in a role, or to the platform.

use serde_json::json;
use trousseau_domain::actor::Actor;
use trousseau_domain::business::Language;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::events::{AuditAction, EventType};
use trousseau_domain::ids::{AccountId, BusinessId, InvitationId, SessionId};
use trousseau_domain::members::{EmailAddress, Operation, PersonName, Role};
use trousseau_store::{BusinessRow, ChangeKind, InvitationRow, InvitedTo, Reader};

use super::first_run::{NewAccount, add_member_in, check_password, create_account_in};
use super::sessions::{NewSession, start_in};
use super::{INVITATION_FOR, OneTimeToken, Password, People, PeopleError, SessionToken, SignedIn, Visit};
use crate::app::{Core, Happened, Unit};
use crate::businesses::first_keys_in;
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::keys::{IssuedKey, profile_of};
use crate::mail::{self, Letter, Recipient};

/// An invitation that has just been made, with its link: it is in a mail too.
#[derive(Debug)]
pub struct Invited {
    /// The invitation.
    pub invitation: InvitationRow,
    /// The secret of its link.
    pub token: OneTimeToken,
    /// The path of its page.
    pub path: String,
}

/// What the page of an invitation shows.
#[derive(Debug)]
pub struct InvitationView {
    /// The invitation.
    pub invitation: InvitationRow,
    /// The business; none for the platform.
    pub business: Option<BusinessRow>,
    /// Whether the address has an account, so that its owner signs in instead of making one. Only who holds the link
    /// learns that, and the link went to the address itself.
    pub has_account: bool,
}

/// Who accepts.
#[derive(Debug)]
pub enum Acceptance<'a> {
    /// Somebody new.
    New {
        /// What they are called.
        name: PersonName,
        /// With what they will sign in.
        password: Password,
        /// The language of the account.
        language: Language,
    },
    /// The owner of the account, signed in.
    Known(&'a SignedIn),
}

/// What came of accepting.
#[derive(Debug)]
pub struct Accepted {
    /// The session of somebody new; who was signed in stays so.
    pub session: Option<NewSession>,
    /// The new secret of the session of somebody who was signed in and may do more from now on.
    pub renewed: Option<SessionToken>,
    /// The business; none for the platform.
    pub business: Option<BusinessRow>,
    /// The first LIVE keys, where they came into being now: shown to this person, once.
    pub keys: Vec<IssuedKey>,
}

/// Invites somebody inside a unit of work.
pub(crate) async fn invite_in(
    core: &Core,
    unit: &mut Unit<'_>,
    context: &Context,
    to: &InvitedTo,
    email: &EmailAddress,
    language: Language,
) -> Result<Invited, ServiceError> {
    let token = OneTimeToken::generate(core.entropy.as_ref());
    let invitation = InvitationRow {
        id: InvitationId::new(unit.now, core.entropy.bytes()),
        digest: token.digest(),
        to: to.clone(),
        email: email.clone(),
        created_at: unit.now,
        created_by: context.actor().clone(),
        expires_at: unit.now.saturating_add(INVITATION_FOR),
    };
    let account = unit.tx.read().find_account_by_email(email).await?;
    let business = match to {
        InvitedTo::Business { id, .. } => {
            let business = unit.tx.read().find_business(id).await?.ok_or(ServiceError::NotFound)?;
            if let Some(account) = &account
                && unit.tx.read().find_role(id, account.id).await?.is_some()
            {
                return Err(PeopleError::AlreadyMember.into());
            }
            Some(business)
        }
        InvitedTo::Platform => {
            if account.as_ref().is_some_and(|account| account.platform_admin) {
                return Err(PeopleError::AlreadyMember.into());
            }
            None
        }
    };
    unit.tx.insert_invitation(&invitation).await?;
    let path = format!("/invitations/{}", token.expose());
    let link = core.people.address().link(&path);
    let letter = match (to, &business) {
        (InvitedTo::Business { role, .. }, Some(business)) => {
            Letter::Invitation { business: &business.name, role: *role, link: &link }
        }
        _ => Letter::PlatformInvitation { link: &link },
    };
    let recipient = Recipient {
        email: Some(email),
        account: account.as_ref().map(|account| account.id),
        language: account.as_ref().map_or(language, |account| account.language),
    };
    let now = unit.now;
    mail::queue(core, &mut unit.tx, now, recipient, &letter).await?;
    match to {
        InvitedTo::Business { id, role } => {
            unit.record(Happened {
                event: EventType::MemberInvited,
                business: id,
                environment: None,
                key: None,
                data: json!({ "invitation_id": invitation.id, "role": role }),
            })
            .await?;
        }
        InvitedTo::Platform => {
            unit.audit(AuditAction::PlatformInvited, &invitation.id.to_string(), json!({})).await?;
        }
    }
    Ok(Invited { invitation, token, path })
}

impl People<'_> {
    /// Invites somebody to a business. An earlier invitation of the same address to it ends.
    pub async fn invite(
        self,
        context: &Context,
        business: &BusinessId,
        email: &EmailAddress,
        role: Role,
    ) -> Result<Invited, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        let row = unit.lock_business(business).await?;
        unit.check_member(business, Operation::MembersWrite, true).await?;
        if row.suspended_at.is_some() {
            return Err(ServiceError::BusinessSuspended);
        }
        let to = InvitedTo::Business { id: business.clone(), role };
        let language = row.language.parse().unwrap_or(Language::English);
        let invited = invite_in(self.core, &mut unit, context, &to, email, language).await?;
        unit.tx.commit().await?;
        Ok(invited)
    }

    /// Invites somebody to administer the platform.
    pub async fn invite_to_platform(
        self,
        context: &Context,
        email: &EmailAddress,
        language: Language,
    ) -> Result<Invited, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        unit.check_platform(true).await?;
        let invited = invite_in(self.core, &mut unit, context, &InvitedTo::Platform, email, language).await?;
        unit.tx.commit().await?;
        Ok(invited)
    }

    /// The invitations to a business that nobody has answered, the newest first; those that have ended too.
    pub async fn invitations(self, business: &BusinessId) -> Result<Vec<InvitationRow>, ServiceError> {
        Ok(self.core.store.read().list_invitations(business).await?)
    }

    /// Takes back an invitation.
    ///
    /// # Errors
    /// [`ServiceError::BusinessSuspended`].
    pub async fn revoke_invitation(
        self,
        context: &Context,
        business: &BusinessId,
        id: InvitationId,
    ) -> Result<(), ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        let row = unit.lock_business(business).await?;
        unit.check_member(business, Operation::MembersWrite, true).await?;
        unit.check_open(&row)?;
        let now = unit.now;
        if !unit.tx.revoke_invitation(business, id, now).await? {
            return Err(ServiceError::NotFound);
        }
        record_revoked(&mut unit, business, id).await?;
        unit.tx.commit().await?;
        Ok(())
    }

    /// What the page of an invitation shows.
    ///
    /// # Errors
    /// [`PeopleError::LinkEnded`] if it is answered, taken back, ended or unknown, or its maker may not invite any more.
    pub async fn invitation(self, link: &OneTimeToken) -> Result<InvitationView, ServiceError> {
        let mut reader = self.core.store.read();
        let invitation = reader.find_invitation(&link.digest(), self.core.clock.now()).await?;
        let invitation = invitation.ok_or(PeopleError::LinkEnded)?;
        check_inviter(&mut reader, &invitation).await?;
        let business = match &invitation.to {
            InvitedTo::Business { id, .. } => Some(reader.find_business(id).await?.ok_or(PeopleError::LinkEnded)?),
            InvitedTo::Platform => None,
        };
        let has_account = reader.find_account_by_email(&invitation.email).await?.is_some();
        Ok(InvitationView { invitation, business, has_account })
    }

    /// Accepts an invitation. Where the business has had no LIVE key yet and the role may see keys, its first ones come
    /// into being now.
    ///
    /// # Errors
    /// [`PeopleError::LinkEnded`] as for the page, [`PeopleError::SignInFirst`] if somebody new has the address of an
    /// account, [`PeopleError::OtherAccount`] if somebody else is signed in, [`ServiceError::BusinessSuspended`].
    pub async fn accept(
        self,
        link: &OneTimeToken,
        acceptance: Acceptance<'_>,
        visit: &Visit<'_>,
    ) -> Result<Accepted, ServiceError> {
        let view = self.invitation(link).await?;
        let known = match acceptance {
            Acceptance::Known(person) => Some(person.session.id),
            Acceptance::New { .. } => None,
        };
        let (id, new) = match acceptance {
            Acceptance::Known(person) if person.account.email == view.invitation.email => (person.account.id, None),
            Acceptance::Known(_) => return Err(PeopleError::OtherAccount.into()),
            Acceptance::New { .. } if view.has_account => return Err(PeopleError::SignInFirst.into()),
            Acceptance::New { name, password, language } => {
                check_password(&password, &view.invitation.email, &name)?;
                let kept = self.core.people.hasher.keep(&password, self.core.entropy.as_ref()).await?;
                let id = AccountId::new(self.core.clock.now(), self.core.entropy.bytes());
                (id, Some((name, language, kept)))
            }
        };
        let context = Context::newcomer(id, visit.request_id);
        let mut unit = Unit::begin(self.core, &context).await?;
        let business = match &view.invitation.to {
            InvitedTo::Business { id, .. } => Some(unit.lock_business(id).await?),
            InvitedTo::Platform => None,
        };
        check_inviter(&mut unit.tx.read(), &view.invitation).await?;
        // The link stays good: the first LIVE keys come into being with whoever accepts once the business is open.
        if business.as_ref().is_some_and(|business| business.suspended_at.is_some()) {
            return Err(ServiceError::BusinessSuspended);
        }
        let is_new = new.is_some();
        let now = unit.now;
        if let Some((name, language, kept)) = new {
            let account = NewAccount {
                id,
                email: &view.invitation.email,
                name: &name,
                language,
                password_hash: Some(kept),
                platform_admin: false,
            };
            create_account_in(&mut unit, account).await?;
        }
        if !unit.tx.accept_invitation(view.invitation.id, id, now).await? {
            return Err(PeopleError::LinkEnded.into());
        }
        let (mut keys, mut renewed) = (Vec::new(), None);
        match (&view.invitation.to, &business) {
            (InvitedTo::Business { role, .. }, Some(business)) => {
                add_member_in(self.core, &mut unit, business, id, *role, &context).await?;
                keys = self.first_live_keys_in(&mut unit, &context, business, *role).await?;
            }
            _ => renewed = self.grant_platform_in(&mut unit, id, known).await?,
        }
        let session = if is_new { Some(start_in(self.core, &mut unit, id, visit).await?) } else { None };
        match &business {
            // Its keys, for those that were made with the first person.
            Some(business) => unit.commit(ChangeKind::Key, Some(&business.id), None).await?,
            None => unit.tx.commit().await?,
        }
        Ok(Accepted { session, renewed, business, keys })
    }

    /// Whoever was signed in with less signs in anew, but in the browser that accepts, whose session gets another
    /// secret: the old one may be known to somebody who was worth less until now.
    async fn grant_platform_in(
        self,
        unit: &mut Unit<'_>,
        id: AccountId,
        accepting: Option<SessionId>,
    ) -> Result<Option<SessionToken>, ServiceError> {
        let mut account = unit.tx.lock_account(id).await?.ok_or(ServiceError::CallerRefused)?;
        account.platform_admin = true;
        account.updated_at = unit.now;
        if !unit.tx.update_account(&account).await? {
            return Err(ServiceError::Conflict);
        }
        unit.tx.delete_sessions(id, accepting).await?;
        let token = SessionToken::generate(self.core.entropy.as_ref());
        let now = unit.now;
        if let Some(session) = accepting
            && !unit.tx.renew_session(id, session, &token.digest(), now).await?
        {
            return Err(ServiceError::CallerRefused);
        }
        unit.audit(AuditAction::PlatformAdminAdded, &id.to_string(), json!({})).await?;
        Ok(accepting.map(|_| token))
    }

    async fn first_live_keys_in(
        self,
        unit: &mut Unit<'_>,
        context: &Context,
        business: &BusinessRow,
        role: Role,
    ) -> Result<Vec<IssuedKey>, ServiceError> {
        let live = Environment::Live;
        let profile = profile_of(self.core, business)?;
        let tenant = Tenant::new(business.id.clone(), live);
        let wanted = role == Role::Administrator
            && profile.environments.offers(live)
            && unit.tx.read().max_number(&tenant).await? == 0;
        if !wanted {
            return Ok(Vec::new());
        }
        first_keys_in(self.core, unit, context, business, profile, live).await
    }
}

pub(super) async fn record_revoked(
    unit: &mut Unit<'_>,
    business: &BusinessId,
    id: InvitationId,
) -> Result<(), ServiceError> {
    unit.record(Happened {
        event: EventType::InvitationRevoked,
        business,
        environment: None,
        key: None,
        data: json!({ "invitation_id": id }),
    })
    .await
}

/// An invitation to the platform is good as long as whoever made it administers the platform. Those to a business are
/// taken back with the role of whoever made them.
async fn check_inviter(reader: &mut Reader<'_>, invitation: &InvitationRow) -> Result<(), ServiceError> {
    let (InvitedTo::Platform, Actor::Member { id }) = (&invitation.to, &invitation.created_by) else { return Ok(()) };
    let inviter = reader.find_account(*id).await?;
    if inviter.is_some_and(|inviter| inviter.platform_admin) { Ok(()) } else { Err(PeopleError::LinkEnded.into()) }
}
