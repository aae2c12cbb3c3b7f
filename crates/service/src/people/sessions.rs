//! Sessions: begin, know, list, end.

use std::time::Duration;

use serde_json::json;
use trousseau_domain::events::AuditAction;
use trousseau_domain::ids::{AccountId, SessionId};
use trousseau_domain::time::Timestamp;
use trousseau_store::{SessionRow, StoreError};

use super::{
    AccountView, DeviceToken, Membership, People, SESSION_IDLE, SESSION_MOST, SessionToken, SessionView, SignedIn,
    Visit,
};
use crate::app::{Core, Unit};
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;

/// A session is written down as seen this often at most.
const TOUCH_EVERY: Duration = Duration::from_mins(1);
/// How long a page waits for that at most.
const TOUCH_WITHIN: Duration = Duration::from_millis(250);
/// The most characters that are kept of what a browser calls itself.
const MAX_AGENT: usize = 200;

/// A session that has just begun: what the browser is to keep of it.
#[derive(Debug)]
pub struct NewSession {
    /// Whose.
    pub account: AccountId,
    /// The cookie of the session.
    pub token: SessionToken,
    /// The cookie of the device, where it was not known before.
    pub device: Option<DeviceToken>,
}

/// Begins a session inside a unit of work: always with an id of its own, whatever the browser had before.
pub(super) async fn start_in(
    core: &Core,
    unit: &mut Unit<'_>,
    account: AccountId,
    visit: &Visit<'_>,
) -> Result<NewSession, ServiceError> {
    let token = SessionToken::generate(core.entropy.as_ref());
    let now = unit.now;
    let session = SessionRow {
        id: SessionId::new(now, core.entropy.bytes()),
        account,
        digest: token.digest(),
        created_at: now,
        seen_at: now,
        idle_ends_at: now.saturating_add(SESSION_IDLE),
        ends_at: now.saturating_add(SESSION_MOST),
        verified_at: now,
        address: visit.address.map(|address| address.to_string()),
        agent: visit.agent.map(|agent| agent.chars().filter(|c| !c.is_control()).take(MAX_AGENT).collect()),
    };
    unit.tx.insert_session(&session).await?;
    let device = match visit.device {
        Some(device) if unit.tx.read().knows_device(account, &device.digest()).await? => {
            unit.tx.remember_device(account, &device.digest(), now).await?;
            None
        }
        // Another person's device, or none: a device token is bound to one account.
        _ => {
            let device = DeviceToken::generate(core.entropy.as_ref());
            unit.tx.remember_device(account, &device.digest(), now).await?;
            Some(device)
        }
    };
    let target = account.to_string();
    unit.audit(AuditAction::SessionStarted, &target, json!({ "session_id": session.id })).await?;
    Ok(NewSession { account, token, device })
}

impl People<'_> {
    /// The person behind a session's cookie, if the session has not ended.
    pub async fn session(self, token: &SessionToken) -> Result<Option<SignedIn>, ServiceError> {
        let now = self.core.clock.now();
        // By a clock that is wrong a session would be over, or would not.
        self.core.clock_is_sure()?;
        let mut reader = self.core.store.read();
        let Some((session, account)) = reader.find_session(&token.digest(), now).await? else {
            return Ok(None);
        };
        let memberships = reader.list_memberships(account.id).await?;
        if now.since(session.seen_at) >= TOUCH_EVERY {
            // Pages can be read while nothing can be written; the next one notes it, at best.
            match tokio::time::timeout(TOUCH_WITHIN, self.touch(account.id, session.id, now)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(session.id = %session.id, %error, "a session was not noted as seen"),
                Err(_) => tracing::debug!(session.id = %session.id, "a session was not noted as seen in time"),
            }
        }
        Ok(Some(SignedIn {
            account: AccountView::new(&account),
            session: SessionView::from(session),
            memberships: memberships.into_iter().map(Membership::from).collect(),
        }))
    }

    async fn touch(self, account: AccountId, id: SessionId, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.core.store.begin().await?;
        tx.touch_session(account, id, now, now.saturating_add(SESSION_IDLE)).await?;
        tx.commit().await
    }

    /// Ends the caller's own session.
    pub async fn sign_out(self, person: &SignedIn) -> Result<(), ServiceError> {
        let mut tx = self.core.store.begin().await?;
        tx.delete_session(person.account.id, person.session.id).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The sessions of a person, the last seen first.
    pub async fn sessions(self, person: &SignedIn) -> Result<Vec<SessionView>, ServiceError> {
        let rows = self.core.store.read().list_sessions(person.account.id, self.core.clock.now()).await?;
        Ok(rows.into_iter().map(SessionView::from).collect())
    }

    /// Ends one session of the caller.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] if there is none of this handle.
    pub async fn end_session(self, context: &Context, person: &SignedIn, id: SessionId) -> Result<(), ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        unit.check_session(false).await?;
        if !unit.tx.delete_session(person.account.id, id).await? {
            return Err(ServiceError::NotFound);
        }
        let target = person.account.id.to_string();
        unit.audit(AuditAction::SessionEnded, &target, json!({ "session_id": id })).await?;
        unit.tx.commit().await?;
        Ok(())
    }

    /// Ends all sessions of the caller but the one that asks; returns how many.
    pub async fn end_other_sessions(self, context: &Context, person: &SignedIn) -> Result<u64, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        unit.check_session(false).await?;
        let ended = unit.tx.delete_sessions(person.account.id, Some(person.session.id)).await?;
        let target = person.account.id.to_string();
        unit.audit(AuditAction::SessionEnded, &target, json!({ "ended": ended })).await?;
        unit.tx.commit().await?;
        Ok(ended)
    }
}
