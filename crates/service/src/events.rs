//! What happened to a tenant's keys.

use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::EventId;
use trousseau_store::{EventFilter, EventRow};

use crate::app::Core;
use crate::error::ServiceError;
use crate::keys::Page;

/// Use cases of events.
#[derive(Debug, Clone, Copy)]
pub struct Events<'a> {
    core: &'a Core,
}

impl<'a> Events<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// One page of events, newest first.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if `after` is no event of the tenant.
    pub async fn list(
        self,
        tenant: &Tenant,
        filter: &EventFilter,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Page<EventRow>, ServiceError> {
        let mut reader = self.core.store.read();
        if let Some(after) = after
            && reader.find_event(tenant, after).await?.is_none()
        {
            return Err(ServiceError::invalid("starting_after", "there is no event with this id"));
        }
        let data = reader.list_events(tenant, filter, after, limit + 1).await?;
        Ok(Page::of(data, limit))
    }

    /// One event.
    pub async fn get(self, tenant: &Tenant, id: EventId) -> Result<EventRow, ServiceError> {
        self.core.store.read().find_event(tenant, id).await?.ok_or(ServiceError::NotFound)
    }
}
