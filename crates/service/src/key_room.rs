//! How many keys there are of those that there may be, and which of them must stay.

use trousseau_domain::environment::Tenant;
use trousseau_domain::keys::{KeyKind, KeyStatus};
use trousseau_domain::profile::LimitPer;
use trousseau_store::{KeyFilter, KeyOrder};

use crate::error::ServiceError;
use crate::keys::{KeyView, Keys, profile_of};

/// How many keys of those that there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Of which kind; all of the environment where the limit is one for all kinds.
    pub kind: Option<KeyKind>,
    /// How many are in force, or will be by the clock alone.
    pub used: u32,
    /// How many there may be.
    pub most: u32,
}

impl Room {
    /// Whether there is room for no more.
    pub const fn is_full(&self) -> bool {
        self.used >= self.most
    }
}

impl Keys<'_> {
    /// How much room a tenant has for keys: one entry per kind that the profile limits on its own.
    pub async fn room(self, tenant: &Tenant) -> Result<Vec<Room>, ServiceError> {
        let core = self.core();
        let mut reader = core.store.read();
        let business = reader.find_business(&tenant.business).await?.ok_or(ServiceError::NotFound)?;
        let profile = profile_of(core, &business)?;
        let kinds: Vec<Option<KeyKind>> = match profile.limit.per {
            LimitPer::KindAndEnvironment => profile.first_kinds().map(Some).collect(),
            LimitPer::Environment => vec![None],
        };
        let now = core.clock.now();
        let mut room = Vec::new();
        for kind in kinds {
            let used = reader.count_keys_counted_at(tenant, kind, now, None).await?;
            room.push(Room { kind, used, most: profile.limit.most });
        }
        Ok(room)
    }

    /// Whether this key is the last one in force of its kind, and the profile keeps such a key from being ended.
    /// What decides is asked again when it is to be ended.
    pub async fn must_stay(self, key: &KeyView) -> Result<bool, ServiceError> {
        let core = self.core();
        let tenant = &key.key.tenant;
        let mut reader = core.store.read();
        let business = reader.find_business(&tenant.business).await?.ok_or(ServiceError::NotFound)?;
        if !profile_of(core, &business)?.last_key_protected || key.status != KeyStatus::Active {
            return Ok(false);
        }
        let others = reader.count_in_force(tenant, Some(key.key.kind), core.clock.now(), Some(key.key.id)).await?;
        Ok(others == 0)
    }

    /// The keys in force that could be ended first when there is no room: those never used, then those not used for
    /// the longest time.
    pub async fn least_used(
        self,
        tenant: &Tenant,
        kind: Option<KeyKind>,
        limit: u32,
    ) -> Result<Vec<KeyView>, ServiceError> {
        let filter = KeyFilter { kind, status: Some(KeyStatus::Active), ..KeyFilter::default() };
        Ok(self.list_counted(tenant, &filter, KeyOrder::LastUsedAsc, 0, limit).await?.data)
    }
}
