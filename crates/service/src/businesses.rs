//! Businesses: create, read, change, suspend, resume.

use serde_json::json;
use trousseau_domain::business::{BusinessStatus, Language};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::events::EventType;
use trousseau_domain::ids::BusinessId;
use trousseau_domain::limits::{Limits, Quota, RateLimits};
use trousseau_domain::members::{EmailAddress, Operation, Role};
use trousseau_domain::metadata::Metadata;
use trousseau_domain::profile::{Profile, ProfileName};
use trousseau_domain::text::BusinessName;
use trousseau_domain::time::TimeZone;
use trousseau_store::{BusinessRow, ChangeKind, InvitedTo, StoreError, UniqueRule};

use crate::app::{Core, Happened, Unit};
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::idempotency::{self, Answered, Idempotent};
use crate::keys::{IssuedKey, KeyDraft, Page, create_in, profile_of};
use crate::payments::recurring_payments::skip_while_suspended;
use crate::people::invitations::{Invited, invite_in};

/// What is asked for when a business is made. What is absent gets its default.
#[derive(Debug, Clone)]
pub struct BusinessDraft {
    /// Its name.
    pub name: BusinessName,
    /// Its id, in the form of the profile; a new one unless given.
    pub id: Option<String>,
    /// Its rules.
    pub profile: Option<ProfileName>,
    /// Where its days begin and end.
    pub time_zone: Option<TimeZone>,
    /// The language of its people.
    pub language: Language,
    /// The operator's own data.
    pub metadata: Metadata,
    /// Its first administrator. The first LIVE keys then come into being in the last step of accepting, and are shown
    /// to that person only.
    pub invite: Option<EmailAddress>,
}

/// What is to be different; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct BusinessChange {
    /// The name.
    pub name: Option<BusinessName>,
    /// The rules, as long as there are no keys.
    pub profile: Option<ProfileName>,
    /// Where its days begin and end.
    pub time_zone: Option<TimeZone>,
    /// The language of its people.
    pub language: Option<Language>,
    /// How fast all its keys of one environment may be used; for the operator.
    pub rates: Option<RateLimits>,
    /// How much, likewise.
    pub quota: Option<Quota>,
    /// The operator's own data.
    pub metadata: Option<Metadata>,
}

/// A business and its first keys, whose values are shown now.
#[derive(Debug)]
pub struct CreatedBusiness {
    /// The business.
    pub business: BusinessRow,
    /// Its first keys.
    pub keys: Vec<IssuedKey>,
    /// The invitation of its first administrator, whose link is in the mail too.
    pub invitation: Option<Invited>,
}

/// Whether a business is open.
pub const fn status_of(business: &BusinessRow) -> BusinessStatus {
    if business.suspended_at.is_some() { BusinessStatus::Suspended } else { BusinessStatus::Active }
}

/// Use cases of businesses.
#[derive(Debug, Clone, Copy)]
pub struct Businesses<'a> {
    core: &'a Core,
}

impl<'a> Businesses<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// Makes a business with the first keys of its profile.
    pub async fn create(
        self,
        context: &Context,
        draft: &BusinessDraft,
        idempotent: Option<&Idempotent<'_, CreatedBusiness>>,
    ) -> Result<Answered<CreatedBusiness>, ServiceError> {
        let name = draft.profile.as_ref().unwrap_or_else(|| self.core.settings.default_profile());
        let Some(profile) = self.core.settings.profile(name.as_str()) else {
            return Err(ServiceError::invalid("profile", format!("there is no profile {name}")));
        };
        let id = match &draft.id {
            Some(wanted) => profile.business_id.parse(wanted).map_err(|_| {
                ServiceError::invalid("id", "does not have the form of the profile (a UUID, or so many digits)")
            })?,
            None => profile.business_id.generate(self.core.entropy.bytes()),
        };
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        unit.check_platform(true).await?;
        let mut created = create_business_in(self.core, &mut unit, context, draft, name, profile, id.clone()).await?;
        if let Some(email) = &draft.invite {
            let to = InvitedTo::Business { id: id.clone(), role: Role::Administrator };
            created.invitation = Some(invite_in(self.core, &mut unit, context, &to, email, draft.language).await?);
        }
        idempotency::keep(&mut unit.tx, idempotent, &created, unit.now).await?;
        unit.commit(ChangeKind::Business, Some(&id), None).await?;
        Ok(Answered::Done(created))
    }

    /// One business.
    pub async fn get(self, id: &BusinessId) -> Result<BusinessRow, ServiceError> {
        self.core.store.read().find_business(id).await?.ok_or(ServiceError::NotFound)
    }

    /// One page of businesses, newest first.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if `after` is no business.
    pub async fn list(self, after: Option<&BusinessId>, limit: u32) -> Result<Page<BusinessRow>, ServiceError> {
        let mut reader = self.core.store.read();
        if let Some(after) = after
            && reader.find_business(after).await?.is_none()
        {
            return Err(ServiceError::invalid("starting_after", "there is no business with this id"));
        }
        let data = reader.list_businesses(after, limit + 1).await?;
        Ok(Page::of(data, limit))
    }

    /// How many businesses there are.
    pub async fn count(self) -> Result<u64, ServiceError> {
        Ok(self.core.store.read().count_businesses().await?)
    }

    /// Changes a business.
    ///
    /// # Errors
    /// [`ServiceError::BusinessSuspended`] for its members while it is.
    pub async fn update(
        self,
        context: &Context,
        id: &BusinessId,
        change: &BusinessChange,
    ) -> Result<BusinessRow, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        let old = unit.lock_business(id).await?;
        unit.check_member(id, Operation::BusinessWrite, false).await?;
        unit.check_open(&old)?;
        // Whoever is limited does not say by how much.
        if (change.rates.is_some() || change.quota.is_some()) && !context.is_operator() {
            return Err(ServiceError::Forbidden);
        }
        let mut new = old.clone();
        if let Some(profile) = &change.profile
            && profile.as_str() != old.profile
        {
            if self.core.settings.profile(profile.as_str()).is_none() {
                return Err(ServiceError::invalid("profile", format!("there is no profile {profile}")));
            }
            if unit.tx.read().count_keys_ever(id).await? > 0 {
                return Err(ServiceError::ProfileFixed);
            }
            profile.as_str().clone_into(&mut new.profile);
            let form = profile_of(self.core, &new)?.business_id;
            if form.parse(id.as_str()).is_err() {
                return Err(ServiceError::invalid("profile", "asks for business ids of another form"));
            }
        }
        if let Some(name) = &change.name {
            new.name = name.clone();
        }
        if let Some(time_zone) = &change.time_zone {
            new.time_zone = time_zone.clone();
        }
        if let Some(language) = change.language {
            language.as_str().clone_into(&mut new.language);
        }
        if let Some(rates) = &change.rates {
            new.limits.rates = rates.clone();
        }
        if let Some(quota) = change.quota {
            new.limits.quota = quota;
        }
        if let Some(metadata) = &change.metadata {
            new.metadata = metadata.clone();
        }
        if new == old {
            unit.settle().await?;
            return Ok(old);
        }
        if !unit.tx.update_business(&new).await? {
            return Err(ServiceError::Conflict);
        }
        let mut changes = serde_json::Map::new();
        for (name, was, is) in [
            ("name", json!(old.name), json!(new.name)),
            ("profile", json!(old.profile), json!(new.profile)),
            ("time_zone", json!(old.time_zone.name()), json!(new.time_zone.name())),
            ("language", json!(old.language), json!(new.language)),
            ("rate_limits", json!(old.limits.rates.texts()), json!(new.limits.rates.texts())),
            ("quota_day", json!(old.limits.quota.day), json!(new.limits.quota.day)),
            ("quota_month", json!(old.limits.quota.month), json!(new.limits.quota.month)),
        ] {
            if was != is {
                changes.insert(name.to_owned(), json!({ "old": was, "new": is }));
            }
        }
        if old.metadata != new.metadata {
            changes.insert("metadata".to_owned(), json!({ "changed": true }));
        }
        unit.record(Happened {
            event: EventType::BusinessUpdated,
            business: id,
            environment: None,
            key: None,
            data: json!({ "changes": changes }),
        })
        .await?;
        unit.commit(ChangeKind::Business, Some(id), None).await?;
        self.get(id).await
    }

    /// Refuses all keys of a business from now on. Suspending a suspended business changes nothing.
    pub async fn suspend(
        self,
        context: &Context,
        id: &BusinessId,
        idempotent: Option<&Idempotent<'_, BusinessRow>>,
    ) -> Result<Answered<BusinessRow>, ServiceError> {
        self.switch(context, id, true, idempotent).await
    }

    /// Accepts the keys of a suspended business again. Resuming an open business changes nothing.
    pub async fn resume(
        self,
        context: &Context,
        id: &BusinessId,
        idempotent: Option<&Idempotent<'_, BusinessRow>>,
    ) -> Result<Answered<BusinessRow>, ServiceError> {
        self.switch(context, id, false, idempotent).await
    }

    async fn switch(
        self,
        context: &Context,
        id: &BusinessId,
        suspend: bool,
        idempotent: Option<&Idempotent<'_, BusinessRow>>,
    ) -> Result<Answered<BusinessRow>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        let mut business = unit.lock_business(id).await?;
        unit.check_platform(true).await?;
        let now = unit.now;
        let done = if suspend { unit.tx.suspend_business(id, now).await? } else { unit.tx.resume_business(id).await? };
        if done {
            business.suspended_at = suspend.then_some(now);
            if !suspend {
                skip_while_suspended(&mut unit, self.core, id).await?;
            }
            unit.record(Happened {
                event: if suspend { EventType::BusinessSuspended } else { EventType::BusinessResumed },
                business: id,
                environment: None,
                key: None,
                data: json!({}),
            })
            .await?;
        }
        idempotency::keep(&mut unit.tx, idempotent, &business, now).await?;
        unit.commit(ChangeKind::Business, Some(id), None).await?;
        Ok(Answered::Done(business))
    }
}

/// Makes a business with its first keys inside a unit of work: in LIVE only where nobody else is invited to see them.
pub(crate) async fn create_business_in(
    core: &Core,
    unit: &mut Unit<'_>,
    context: &Context,
    draft: &BusinessDraft,
    profile_name: &ProfileName,
    profile: &Profile,
    id: BusinessId,
) -> Result<CreatedBusiness, ServiceError> {
    let business = BusinessRow {
        id,
        name: draft.name.clone(),
        profile: profile_name.as_str().to_owned(),
        time_zone: draft.time_zone.clone().unwrap_or_else(|| core.settings.default_time_zone().clone()),
        language: draft.language.as_str().to_owned(),
        limits: Limits::default(),
        metadata: draft.metadata.clone(),
        created_at: unit.now,
        suspended_at: None,
        revision: 0,
    };
    match unit.tx.insert_business(&business).await {
        Err(StoreError::Unique { constraint: UniqueRule::Business, .. }) => return Err(ServiceError::BusinessExists),
        other => other?,
    }
    unit.record(Happened {
        event: EventType::BusinessCreated,
        business: &business.id,
        environment: None,
        key: None,
        data: json!({ "profile": business.profile }),
    })
    .await?;
    let mut keys = Vec::new();
    for environment in profile.environments.iter() {
        if environment == Environment::Test || draft.invite.is_none() {
            keys.extend(first_keys_in(core, unit, context, &business, profile, environment).await?);
        }
    }
    Ok(CreatedBusiness { business, keys, invitation: None })
}

/// The keys that a business begins with in one environment.
pub(crate) async fn first_keys_in(
    core: &Core,
    unit: &mut Unit<'_>,
    context: &Context,
    business: &BusinessRow,
    profile: &Profile,
    environment: Environment,
) -> Result<Vec<IssuedKey>, ServiceError> {
    let tenant = Tenant::new(business.id.clone(), environment);
    let mut keys = Vec::new();
    for kind in profile.first_kinds() {
        keys.push(create_in(core, unit, context, business, profile, &tenant, &KeyDraft::new(kind)).await?);
    }
    Ok(keys)
}
