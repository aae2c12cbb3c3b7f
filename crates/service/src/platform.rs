//! What the administrators of the platform look at: businesses, the operator's keys, and how this node is doing.
//!
//! Each use case reads for itself whether the caller is one, when the request takes effect.

use std::path::PathBuf;

use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::BusinessId;
use trousseau_domain::text::SearchText;
use trousseau_domain::time::Timestamp;
use trousseau_store::{BusinessRow, Engine, PlatformKeyRow};

use crate::app::Core;
use crate::context::{Authority, Context};
use crate::error::ServiceError;
use crate::jobs::JobState;
use crate::mail::GivenUp;
use crate::requests::{Calls, Dropped, Requests};

/// One numbered page of businesses, and how many there are in all.
#[derive(Debug)]
pub struct FoundBusinesses {
    /// The page.
    pub data: Vec<BusinessRow>,
    /// All that match.
    pub total: u64,
}

/// A business as the operator sees it: nothing of its keys.
#[derive(Debug)]
pub struct BusinessOverview {
    /// The business.
    pub business: BusinessRow,
    /// How many members it has.
    pub members: usize,
    /// How many invitations wait to be accepted.
    pub invited: usize,
    /// Its calls of 7 days, in both environments.
    pub week: Calls,
}

/// How this node is doing.
#[derive(Debug)]
pub struct NodeHealth {
    /// When it started.
    pub started_at: Timestamp,
    /// Which database it works on.
    pub engine: Engine,
    /// Whether the clock may be believed and the database answers: what `/readyz` tells.
    pub ready: bool,
    /// Events that wait to be handed out.
    pub events_waiting: u64,
    /// Mails that wait to be sent.
    pub mails_waiting: u64,
    /// Mails that this node gave up.
    pub mails_given_up: GivenUp,
    /// Where mails are written, without a mail server.
    pub mail_folder: Option<PathBuf>,
    /// Notes of requests that wait to be written down.
    pub notes_waiting: usize,
    /// Notes that were dropped.
    pub dropped: Dropped,
    /// The jobs, by name.
    pub jobs: Vec<JobState>,
}

/// Use cases of the platform.
#[derive(Debug, Clone, Copy)]
pub struct Platform<'a> {
    core: &'a Core,
}

impl<'a> Platform<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// Whether the caller administers the platform, by a session that has not ended.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`] if not, [`ServiceError::CallerRefused`] if the session has ended.
    pub async fn admit(self, context: &Context) -> Result<(), ServiceError> {
        let (account, session) = match &context.authority {
            Authority::Operator => return Ok(()),
            Authority::Key { .. } => return Err(ServiceError::Forbidden),
            Authority::Member { account, session, .. } => (account, session),
        };
        let mut reader = self.core.store.read();
        let found = reader.find_account(*account).await?;
        if !found.is_some_and(|account| account.platform_admin) {
            return Err(ServiceError::Forbidden);
        }
        let alive = reader.find_session_of(*account, *session, self.core.clock.now()).await?;
        alive.map(drop).ok_or(ServiceError::CallerRefused)
    }

    /// One numbered page of businesses, newest first: those with this text in their name or id.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`] for anybody but an administrator of the platform, as of every use case here.
    pub async fn businesses(
        self,
        context: &Context,
        search: Option<&SearchText>,
        offset: u64,
        limit: u32,
    ) -> Result<FoundBusinesses, ServiceError> {
        self.admit(context).await?;
        let (data, total) = self.core.store.read().list_businesses_page(search, offset, limit).await?;
        Ok(FoundBusinesses { data, total })
    }

    /// One business.
    pub async fn business(self, context: &Context, id: &BusinessId) -> Result<BusinessOverview, ServiceError> {
        self.admit(context).await?;
        let mut reader = self.core.store.read();
        let business = reader.find_business(id).await?.ok_or(ServiceError::NotFound)?;
        let members = reader.list_members(id).await?.len();
        let now = self.core.clock.now();
        let invitations = reader.list_invitations(id).await?;
        let invited = invitations.iter().filter(|invitation| invitation.expires_at > now).count();
        let mut week = Calls::default();
        for environment in Environment::ALL {
            let tenant = Tenant::new(id.clone(), environment);
            let calls = Requests::new(self.core).calls_of_week(&tenant).await?;
            week.accepted = week.accepted.saturating_add(calls.accepted);
            week.refused = week.refused.saturating_add(calls.refused);
        }
        Ok(BusinessOverview { business, members, invited, week })
    }

    /// Every key of the operator, revoked ones too, the newest first.
    pub async fn keys(self, context: &Context) -> Result<Vec<PlatformKeyRow>, ServiceError> {
        self.admit(context).await?;
        Ok(self.core.store.read().list_platform_keys().await?)
    }

    /// How this node is doing.
    pub async fn health(self, context: &Context) -> Result<NodeHealth, ServiceError> {
        self.admit(context).await?;
        let core = self.core;
        let mut reader = core.store.read();
        let ready = core.check_ready().await.is_ok();
        let mut jobs = core.jobs.states();
        jobs.extend(core.mailer.states());
        jobs.sort_by_key(|job| job.job);
        Ok(NodeHealth {
            started_at: core.started_at,
            engine: core.store.engine(),
            ready,
            events_waiting: reader.count_outbox().await?,
            mails_waiting: reader.count_mails().await?,
            mails_given_up: core.mailer.given_up(),
            mail_folder: core.mailer.folder().map(ToOwned::to_owned),
            notes_waiting: core.recorder.waiting(),
            dropped: core.recorder.dropped(),
            jobs,
        })
    }
}
