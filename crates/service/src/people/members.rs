//! Members of a business, and the platform's administrators.

use serde_json::json;
use trousseau_domain::actor::Actor;
use trousseau_domain::events::{AuditAction, EventType};
use trousseau_domain::ids::{AccountId, BusinessId};
use trousseau_domain::members::{EmailAddress, Notice, Operation, Role};
use trousseau_domain::time::Timestamp;

use super::invitations::record_revoked;
use super::{AccountView, People, PeopleError, SignedIn};
use crate::app::{Happened, Unit};
use crate::context::Context;
use crate::error::ServiceError;

/// A member, as the list of members shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// The account.
    pub account: AccountView,
    /// The role.
    pub role: Role,
    /// Since when.
    pub since: Timestamp,
    /// When one of the sessions was last seen.
    pub seen_at: Option<Timestamp>,
}

/// A notice and whether the member gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticeSetting {
    /// Which one.
    pub notice: Notice,
    /// Whether it comes.
    pub wanted: bool,
}

impl People<'_> {
    /// The members of a business, by address.
    pub async fn members(self, business: &BusinessId) -> Result<Vec<MemberView>, ServiceError> {
        let rows = self.core.store.read().list_members(business).await?;
        let view = |row: trousseau_store::MemberRow| MemberView {
            account: AccountView::new(&row.account),
            role: row.membership.role,
            since: row.membership.created_at,
            seen_at: row.seen_at,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// Everybody who administers the platform, by address.
    pub async fn platform_administrators(self) -> Result<Vec<AccountView>, ServiceError> {
        let rows = self.core.store.read().list_platform_administrators().await?;
        Ok(rows.iter().map(AccountView::new).collect())
    }

    /// The account of an address, for the operator at the machine.
    pub async fn find_account(self, email: &EmailAddress) -> Result<AccountId, ServiceError> {
        let found = self.core.store.read().find_account_by_email(email).await?;
        found.map(|account| account.id).ok_or(ServiceError::NotFound)
    }

    /// Gives a member another role; their sessions end, because what they may do has changed, and so do their
    /// invitations where they may not invite any more.
    ///
    /// # Errors
    /// [`PeopleError::LastAdministrator`] if nobody would be left to manage members,
    /// [`ServiceError::BusinessSuspended`].
    pub async fn change_role(
        self,
        context: &Context,
        business: &BusinessId,
        account: AccountId,
        role: Role,
    ) -> Result<(), ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        // Under this lock nobody else can take away the other last administrator.
        let row = unit.lock_business(business).await?;
        unit.check_member(business, Operation::MembersWrite, true).await?;
        unit.check_open(&row)?;
        let old = unit.tx.read().find_role(business, account).await?.ok_or(ServiceError::NotFound)?;
        if old == role {
            return unit.settle().await;
        }
        check_not_last(&mut unit, business, old).await?;
        if !unit.tx.set_role(business, account, old, role).await? {
            return Err(ServiceError::Conflict);
        }
        unit.tx.delete_sessions(account, None).await?;
        unit.record(Happened {
            event: EventType::MemberRoleChanged,
            business,
            environment: None,
            key: None,
            data: json!({ "account_id": account, "old": old, "new": role }),
        })
        .await?;
        if !role.may(Operation::MembersWrite) {
            revoke_invitations_of(&mut unit, business, account).await?;
        }
        unit.tx.commit().await?;
        Ok(())
    }

    /// Takes a member out of a business; their sessions and invitations end. Out of a suspended one too: whoever is to see
    /// nothing any more is not kept by that.
    ///
    /// # Errors
    /// [`PeopleError::LastAdministrator`] as for another role.
    pub async fn remove_member(
        self,
        context: &Context,
        business: &BusinessId,
        account: AccountId,
    ) -> Result<(), ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        unit.lock_business(business).await?;
        unit.check_member(business, Operation::MembersWrite, true).await?;
        let old = unit.tx.read().find_role(business, account).await?.ok_or(ServiceError::NotFound)?;
        check_not_last(&mut unit, business, old).await?;
        if !unit.tx.delete_membership(business, account).await? {
            return Err(ServiceError::Conflict);
        }
        unit.tx.delete_sessions(account, None).await?;
        unit.record(Happened {
            event: EventType::MemberRemoved,
            business,
            environment: None,
            key: None,
            data: json!({ "account_id": account, "role": old }),
        })
        .await?;
        revoke_invitations_of(&mut unit, business, account).await?;
        unit.tx.commit().await?;
        Ok(())
    }

    /// Takes the platform's pages from somebody; their sessions end, and their invitations to the platform are good no
    /// more.
    pub async fn remove_platform_administrator(self, context: &Context, id: AccountId) -> Result<(), ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        unit.check_platform(true).await?;
        let mut account = unit.tx.lock_account(id).await?.ok_or(ServiceError::NotFound)?;
        if !account.platform_admin {
            return Err(ServiceError::NotFound);
        }
        account.platform_admin = false;
        account.updated_at = unit.now;
        if !unit.tx.update_account(&account).await? {
            return Err(ServiceError::Conflict);
        }
        unit.tx.delete_sessions(id, None).await?;
        unit.audit(AuditAction::PlatformAdminRemoved, &id.to_string(), json!({})).await?;
        unit.tx.commit().await?;
        Ok(())
    }

    /// The notices that a member can get, and which of them come. All do unless they are switched off.
    pub async fn notices(self, person: &SignedIn, business: &BusinessId) -> Result<Vec<NoticeSetting>, ServiceError> {
        let role = person.membership(business).ok_or(ServiceError::NotFound)?.role;
        let chosen = self.core.store.read().list_notice_settings(business, person.account.id).await?;
        let settings = Notice::ALL.into_iter().filter(|notice| role.may(notice.operation())).map(|notice| {
            let wanted = chosen.iter().find(|(known, _)| *known == notice).is_none_or(|(_, wanted)| *wanted);
            NoticeSetting { notice, wanted }
        });
        Ok(settings.collect())
    }

    /// Chooses which notices come.
    ///
    /// # Errors
    /// [`ServiceError::BusinessSuspended`].
    pub async fn set_notices(
        self,
        context: &Context,
        person: &SignedIn,
        business: &BusinessId,
        settings: &[NoticeSetting],
    ) -> Result<(), ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        let row = unit.lock_business(business).await?;
        unit.check_session(false).await?;
        unit.check_open(&row)?;
        let role = unit.tx.read().find_role(business, person.account.id).await?.ok_or(ServiceError::NotFound)?;
        for setting in settings.iter().filter(|setting| role.may(setting.notice.operation())) {
            unit.tx.set_notice(business, person.account.id, setting.notice, setting.wanted).await?;
        }
        unit.tx.commit().await?;
        Ok(())
    }
}

/// Takes back what somebody invited to who may not invite any more: a link of theirs would be a way back in.
async fn revoke_invitations_of(
    unit: &mut Unit<'_>,
    business: &BusinessId,
    account: AccountId,
) -> Result<(), ServiceError> {
    let now = unit.now;
    for invitation in unit.tx.read().list_invitations(business).await? {
        let open = invitation.expires_at > now && invitation.created_by == Actor::Member { id: account };
        if open && unit.tx.revoke_invitation(business, invitation.id, now).await? {
            record_revoked(unit, business, invitation.id).await?;
        }
    }
    Ok(())
}

/// The business is locked, so the count cannot change under us.
async fn check_not_last(unit: &mut Unit<'_>, business: &BusinessId, old: Role) -> Result<(), ServiceError> {
    if old == Role::Administrator && unit.tx.read().count_members(business, Some(Role::Administrator)).await? <= 1 {
        return Err(PeopleError::LastAdministrator.into());
    }
    Ok(())
}
