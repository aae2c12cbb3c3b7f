//! Keys of a business: create, read, change, rotate, reveal, revoke.

use serde_json::json;
use trousseau_domain::actor::Actor;
use trousseau_domain::credential::ready_header;
use trousseau_domain::digest::{KeyDigest, KeyFingerprint};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::events::EventType;
use trousseau_domain::ids::{BusinessId, KeyId};
use trousseau_domain::ip_range::IpRange;
use trousseau_domain::key_text::{self, ApiKeySecret};
use trousseau_domain::keys::{ExternalReference, KeyKind, KeyState, KeyStatus, Life, Overlap, Validity};
use trousseau_domain::limits::{Limits, Quota, RateLimits};
use trousseau_domain::members::{Notice, Operation};
use trousseau_domain::metadata::Metadata;
use trousseau_domain::origin::Origin;
use trousseau_domain::profile::{Changing, LimitPer, Profile, Revoking};
use trousseau_domain::scope::{BuiltIn, Scope, ScopeSet};
use trousseau_domain::text::KeyName;
use trousseau_domain::time::Timestamp;
use trousseau_store::{
    BusinessRow, ChangeKind, KeyFilter, KeyNameRow, KeyOrder, KeyRow, Reader, SightingRow, StoreError, UniqueRule,
    VersionOrigin, VersionRow,
};
use zeroize::Zeroizing;

use crate::app::{Core, Happened, Unit};
use crate::context::{Authority, Context};
use crate::entropy::EntropyExt as _;
use crate::error::{BeyondOwnRights, FieldProblem, ServiceError};
use crate::idempotency::{self, Answered, Idempotent, Refill};
use crate::key_ring::Binding;
use crate::notices;
use crate::requests::{Calls, Requests};

/// The most entries in a list of origins or of address ranges.
const MAX_LIST: usize = 100;
/// How many keys are read at once where all of them are gone through: imported ones may be more than a profile allows.
const KEYS_AT_ONCE: u32 = 1_000;

/// What is asked for when a key is made. What is absent gets its default.
#[derive(Debug, Clone)]
pub struct KeyDraft {
    /// For what.
    pub kind: KeyKind,
    /// Its name.
    pub name: Option<KeyName>,
    /// On or off.
    pub state: KeyState,
    /// Its first instant; now unless given.
    pub valid_from: Option<Timestamp>,
    /// The first instant after it; none unless given (or the end of the key that makes it).
    pub valid_until: Option<Timestamp>,
    /// What it may do.
    pub scopes: Option<ScopeSet>,
    /// Where its calls may come from (checkout keys).
    pub allowed_origins: Vec<Origin>,
    /// Addresses it may be used from (secret keys).
    pub allowed_ips: Vec<IpRange>,
    /// How fast it may be used; as the key that makes it, unless given.
    pub rates: Option<RateLimits>,
    /// How much it may be used, likewise.
    pub quota: Option<Quota>,
    /// The operator's own data.
    pub metadata: Metadata,
}

impl KeyDraft {
    /// A key of this kind with nothing chosen.
    pub fn new(kind: KeyKind) -> Self {
        Self {
            kind,
            name: None,
            state: KeyState::Active,
            valid_from: None,
            valid_until: None,
            scopes: None,
            allowed_origins: Vec::new(),
            allowed_ips: Vec::new(),
            rates: None,
            quota: None,
            metadata: Metadata::default(),
        }
    }
}

/// What is to be different; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct KeyChange {
    /// The name; `Some(None)` takes it away.
    pub name: Option<Option<KeyName>>,
    /// On or off.
    pub state: Option<KeyState>,
    /// The first instant.
    pub valid_from: Option<Timestamp>,
    /// The first instant after it; `Some(None)` takes the end away.
    pub valid_until: Option<Option<Timestamp>>,
    /// What it may do.
    pub scopes: Option<ScopeSet>,
    /// Where its calls may come from.
    pub allowed_origins: Option<Vec<Origin>>,
    /// Addresses it may be used from.
    pub allowed_ips: Option<Vec<IpRange>>,
    /// How fast it may be used.
    pub rates: Option<RateLimits>,
    /// How much it may be used.
    pub quota: Option<Quota>,
    /// The operator's own data.
    pub metadata: Option<Metadata>,
}

/// A key as it is shown: without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyView {
    /// The row.
    pub key: KeyRow,
    /// Its status at the time of the answer.
    pub status: KeyStatus,
}

impl KeyView {
    pub(crate) fn new(key: KeyRow, now: Timestamp) -> Self {
        let status = life_of(&key).status_at(now);
        Self { key, status }
    }

    /// The prefix, five asterisks, the last three characters.
    pub fn masked_value(&self) -> String {
        Profile::mask(&self.key.mask_prefix, &self.key.last_three)
    }
}

/// A key of a list that shows values.
#[derive(Debug)]
pub struct ListedKey {
    /// The key.
    pub key: KeyRow,
    /// Its value; none where whoever lists may not have it.
    pub value: Option<ApiKeySecret>,
}

/// A key together with its value: the answer of creation, rotation and reveal.
#[derive(Debug)]
pub struct IssuedKey {
    /// The key.
    pub view: KeyView,
    /// Which secret version the value is.
    pub version: u32,
    /// The value.
    pub value: ApiKeySecret,
    /// The ready-made `Authorization` value.
    pub authorization: Zeroizing<String>,
}

impl IssuedKey {
    /// Where this value stood in an answer.
    pub fn refill(&self) -> Refill {
        Refill {
            business: self.view.key.tenant.business.clone(),
            environment: self.view.key.tenant.environment,
            key: self.view.key.id,
            version: self.version,
        }
    }
}

/// A value that could be filled in again.
#[derive(Debug)]
pub struct ReopenedValue {
    /// The value.
    pub value: ApiKeySecret,
    /// The ready-made `Authorization` value.
    pub authorization: Zeroizing<String>,
}

/// Which page of keys, in which order.
#[derive(Debug, Clone)]
pub struct KeyQuery {
    /// Which keys.
    pub filter: KeyFilter,
    /// In which order.
    pub order: KeyOrder,
    /// Those after this one; it must be the tenant's own.
    pub after: Option<KeyId>,
    /// How many at most, 1 to 100.
    pub limit: u32,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries.
    pub data: Vec<T>,
    /// Whether there are more behind them.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// A page of at most `limit` entries, of which one more was asked for to see whether there is one.
    pub(crate) fn of(mut data: Vec<T>, limit: u32) -> Self {
        let has_more = data.len() > limit as usize;
        data.truncate(limit as usize);
        Self { data, has_more }
    }
}

/// One page of a list that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedPage<T> {
    /// The entries.
    pub data: Vec<T>,
    /// How many there are in all.
    pub total: u64,
}

/// How many keys there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Of which kind; of both together where the profile counts so.
    pub kind: Option<KeyKind>,
    /// How many count against the limit.
    pub used: u32,
    /// The limit.
    pub most: u32,
}

/// What a key's value is worth to whoever finds it, and to its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The key.
    pub key: KeyView,
    /// What it may change or start.
    pub may_change: Vec<Scope>,
    /// What it may read.
    pub may_read: Vec<Scope>,
    /// Whether it may make and change keys.
    pub makes_keys: bool,
    /// Whether it is bound to addresses (secret keys) or origins (checkout keys).
    pub bound: bool,
    /// Whether its value can be read again.
    pub value_readable: bool,
    /// Until when the value before the present one is accepted, if it still is.
    pub old_value_until: Option<Timestamp>,
    /// What is left in force of its kind without it.
    pub remaining: Remaining,
    /// Its calls in 7 days.
    pub week: Calls,
    /// How many different callers were seen in 7 days.
    pub callers_of_week: usize,
    /// Who was seen with a value that is not the present one.
    pub old_value_callers: Vec<SightingRow>,
    /// The keys that it left behind.
    pub left_behind: Vec<KeyView>,
}

/// What is left in force of a kind of key without one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remaining {
    /// So many others, or the key is not in force itself.
    Others(u32),
    /// None, and the profile allows that.
    NoneAllowed,
    /// None, so this one stays until another is made.
    NoneProtected,
}

/// What counts as seen lately.
const WEEK: std::time::Duration = std::time::Duration::from_hours(7 * 24);
/// The most keys that a key's offspring is followed to.
const MOST_LEFT_BEHIND: usize = 1_000;

/// The keys in a tenant that a key made, and those that they made, without the revoked ones; the oldest first.
async fn left_behind(reader: &mut Reader<'_>, tenant: &Tenant, id: KeyId) -> Result<Vec<KeyRow>, ServiceError> {
    let mut found: Vec<KeyRow> = Vec::new();
    let mut makers = vec![id];
    while let Some(maker) = makers.pop() {
        for row in reader.list_keys_made_by(tenant, maker).await? {
            // A revoked key may have made others before it was.
            if found.len() < MOST_LEFT_BEHIND && found.iter().all(|known| known.id != row.id) {
                makers.push(row.id);
                found.push(row);
            }
        }
    }
    found.retain(|row| row.revoked_at.is_none());
    found.sort_by_key(|row| row.number);
    Ok(found)
}

/// How a key is named by its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHandle {
    /// By id.
    Id(KeyId),
    /// By number (Payline's dialect).
    Number(u32),
}

pub(crate) fn life_of(key: &KeyRow) -> Life {
    let validity = Validity::new(key.valid_from, key.valid_until)
        .expect("the store refuses a row without this order, and new values are checked before they are judged");
    Life { state: key.state, validity, revoked: key.revoked_at.is_some() }
}

/// The rules of a business.
pub(crate) fn profile_of<'a>(
    core: &'a Core,
    business: &BusinessRow,
) -> Result<&'a std::sync::Arc<Profile>, ServiceError> {
    core.settings
        .profile(&business.profile)
        .ok_or_else(|| ServiceError::NotAllowedByProfile(format!("{} (not configured any more)", business.profile)))
}

/// Use cases of keys.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    core: &'a Core,
}

impl<'a> Keys<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    pub(crate) const fn core(self) -> &'a Core {
        self.core
    }

    /// One page of a tenant's keys.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if `after` is no key of the tenant.
    pub async fn list(self, tenant: &Tenant, query: &KeyQuery) -> Result<Page<KeyView>, ServiceError> {
        let now = self.core.clock.now();
        let mut reader = self.core.store.read();
        if let Some(after) = query.after
            && reader.find_key(tenant, after).await?.is_none()
        {
            return Err(ServiceError::invalid("starting_after", "there is no key with this id"));
        }
        let mut rows = reader.list_keys(tenant, &query.filter, query.order, now, query.after, query.limit + 1).await?;
        let has_more = rows.len() > query.limit as usize;
        rows.truncate(query.limit as usize);
        Ok(Page { data: rows.into_iter().map(|row| KeyView::new(row, now)).collect(), has_more })
    }

    /// One numbered page of a tenant's keys, with the total.
    pub async fn list_counted(
        self,
        tenant: &Tenant,
        filter: &KeyFilter,
        order: KeyOrder,
        offset: u64,
        limit: u32,
    ) -> Result<CountedPage<KeyView>, ServiceError> {
        let now = self.core.clock.now();
        let (rows, total) = self.core.store.read().list_keys_page(tenant, filter, order, now, offset, limit).await?;
        Ok(CountedPage { data: rows.into_iter().map(|row| KeyView::new(row, now)).collect(), total })
    }

    /// Every key of a tenant that is not revoked, oldest first, each with its value (Codat's list, where keys are equal to
    /// each other whatever their scopes), and records that they were read. A key gets no value of one with a longer life,
    /// wider limits or other addresses.
    ///
    /// # Errors
    /// [`ServiceError::ValueNotReadable`] if the profile does not let values be read again.
    pub async fn list_with_values(self, context: &Context, tenant: &Tenant) -> Result<Vec<ListedKey>, ServiceError> {
        let now = self.core.clock.now();
        let (filter, order) = (KeyFilter::default(), KeyOrder::NumberAsc);
        let mut listed: Vec<ListedKey> = Vec::new();
        // Before the transaction, which others would wait for.
        let mut reader = self.core.store.read();
        loop {
            let after = listed.last().map(|last| last.key.id);
            let rows = reader.list_keys(tenant, &filter, order, now, after, KEYS_AT_ONCE).await?;
            let is_last = rows.len() < KEYS_AT_ONCE as usize;
            for key in rows {
                let version = reader.find_version(tenant, key.id, key.current_version).await?;
                let version = version.ok_or(ServiceError::ValueNotReadable)?;
                let value = match check_bounds(context, &key) {
                    Ok(()) => Some(self.open_version(&version)?),
                    Err(_) => None,
                };
                listed.push(ListedKey { key, value });
            }
            if is_last {
                break;
            }
        }
        let mut unit = Unit::begin(self.core, context).await?;
        unit.check_caller().await?;
        unit.check_member(&tenant.business, Operation::KeysWrite, is_live(tenant)).await?;
        unit.record(Happened {
            event: EventType::KeyRevealed,
            business: &tenant.business,
            environment: Some(tenant.environment),
            key: None,
            data: json!({ "count": listed.iter().filter(|listed| listed.value.is_some()).count() }),
        })
        .await?;
        // Nothing about a key changed, so no node needs to hear of it.
        unit.tx.commit().await?;
        Ok(listed)
    }

    /// Whether a checkout key in force lists this origin: a page there is the business's own.
    pub async fn lists_origin(self, tenant: &Tenant, origin: &Origin) -> Result<bool, ServiceError> {
        let filter =
            KeyFilter { kind: Some(KeyKind::Checkout), status: Some(KeyStatus::Active), ..KeyFilter::default() };
        let now = self.core.clock.now();
        let mut after = None;
        loop {
            let mut reader = self.core.store.read();
            let keys = reader.list_keys(tenant, &filter, KeyOrder::NumberAsc, now, after, KEYS_AT_ONCE).await?;
            if keys.iter().any(|key| key.allowed_origins.contains(origin)) {
                return Ok(true);
            }
            // Imported keys may be more than any profile allows.
            match keys.last() {
                Some(last) if keys.len() == KEYS_AT_ONCE as usize => after = Some(last.id),
                _ => return Ok(false),
            }
        }
    }

    /// One key of a tenant.
    pub async fn get(self, tenant: &Tenant, name: KeyHandle) -> Result<KeyView, ServiceError> {
        let row = match name {
            KeyHandle::Id(id) => self.core.store.read().find_key(tenant, id).await?,
            KeyHandle::Number(number) => self.core.store.read().find_key_by_number(tenant, number).await?,
        };
        row.map(|row| KeyView::new(row, self.core.clock.now())).ok_or(ServiceError::NotFound)
    }

    /// What every key of a tenant is called, revoked ones too, by number.
    pub async fn names(self, tenant: &Tenant) -> Result<Vec<KeyNameRow>, ServiceError> {
        Ok(self.core.store.read().list_key_names(tenant).await?)
    }

    /// One key, whoever owns it: for the operator at the machine.
    pub async fn find_anywhere(self, id: KeyId) -> Result<KeyView, ServiceError> {
        let row = self.core.store.read().find_key_any_tenant(id).await?;
        row.map(|row| KeyView::new(row, self.core.clock.now())).ok_or(ServiceError::NotFound)
    }

    /// The value of a key without any record of it, where the profile lets it be read: for pages that show it
    /// beside the key, and for answers that are given again.
    pub async fn readable_value(
        self,
        context: &Context,
        tenant: &Tenant,
        id: KeyId,
    ) -> Result<Option<ReopenedValue>, ServiceError> {
        let Some(row) = self.core.store.read().find_key(tenant, id).await? else {
            return Err(ServiceError::NotFound);
        };
        // Nobody can do anything with it but mistake it for a good one.
        if row.revoked_at.is_some() {
            return Ok(None);
        }
        let refill = Refill {
            business: tenant.business.clone(),
            environment: tenant.environment,
            key: id,
            version: row.current_version,
        };
        self.reopen(context, &refill).await
    }

    /// Fills a value into a stored answer again; none where it cannot be read.
    ///
    /// # Errors
    /// [`ServiceError::BeyondOwnRights`] if the caller has less than the key by now.
    pub async fn reopen(self, context: &Context, refill: &Refill) -> Result<Option<ReopenedValue>, ServiceError> {
        let tenant = refill.tenant();
        if context.is_member() {
            let mut unit = Unit::begin(self.core, context).await?;
            unit.check_member(&tenant.business, Operation::KeysWrite, is_live(&tenant)).await?;
            unit.settle().await?;
        }
        if let Some(key) = self.core.store.read().find_key(&tenant, refill.key).await? {
            check_not_beyond(context, &key)?;
        }
        let business = self.business(&tenant.business).await?;
        let profile = profile_of(self.core, &business)?;
        let Some(version) = self.core.store.read().find_version(&tenant, refill.key, refill.version).await? else {
            return Ok(None);
        };
        if !profile.value_readable(tenant.environment, version.kind) || version.sealed.is_none() {
            return Ok(None);
        }
        let value = self.open_version(&version)?;
        let authorization = ready_header(profile.business_id_in_header.then_some(&tenant.business), &value);
        Ok(Some(ReopenedValue { value, authorization }))
    }

    /// Makes a key.
    pub async fn create(
        self,
        context: &Context,
        tenant: &Tenant,
        draft: &KeyDraft,
        idempotent: Option<&Idempotent<'_, IssuedKey>>,
    ) -> Result<Answered<IssuedKey>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        let (business, profile) = self.open_for_change(&mut unit, &tenant.business).await?;
        unit.check_member(&tenant.business, Operation::KeysWrite, is_live(tenant)).await?;
        let issued = create_in(self.core, &mut unit, context, &business, &profile, tenant, draft).await?;
        let made = Notice::LiveKeyCreated;
        notices::of_live_key(self.core, &mut unit, &business, made, &issued.view.key).await?;
        idempotency::keep(&mut unit.tx, idempotent, &issued, unit.now).await?;
        unit.commit_new_key(&issued.view.key).await?;
        Ok(Answered::Done(issued))
    }

    /// Changes a key.
    pub async fn update(
        self,
        context: &Context,
        tenant: &Tenant,
        name: KeyHandle,
        change: &KeyChange,
    ) -> Result<KeyView, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        let (business, profile) = self.open_for_change(&mut unit, &tenant.business).await?;
        unit.check_member(&tenant.business, Operation::KeysWrite, false).await?;
        let old = self.key_in(&mut unit, tenant, name).await?;
        if old.revoked_at.is_some() {
            return Err(ServiceError::KeyRevoked);
        }
        check_change_allowed(&profile, &tenant.business, change)?;
        let new = self.changed(context, &profile, &old, change, unit.now)?;
        if new == old {
            let view = KeyView::new(old, unit.now);
            unit.settle().await?;
            return Ok(view);
        }
        if is_live(tenant) && widens(&old, &new) {
            unit.check_session(true).await?;
        }
        let (was, is) = (life_of(&old), life_of(&new));
        if was.status_at(unit.now) == KeyStatus::Active && is.status_at(unit.now) != KeyStatus::Active {
            check_not_last(&mut unit, &profile, tenant, &old).await?;
        }
        if !was.counts_at(unit.now) && is.counts_at(unit.now) {
            check_limit(&mut unit, &profile, tenant, old.kind, Some(old.id)).await?;
        }
        if !unit.tx.update_key(tenant, &new).await? {
            return Err(ServiceError::Conflict);
        }
        unit.record(Happened {
            event: EventType::KeyUpdated,
            business: &tenant.business,
            environment: Some(tenant.environment),
            key: Some(new.id),
            data: difference(&old, &new),
        })
        .await?;
        if widens(&old, &new) {
            notices::of_live_key(self.core, &mut unit, &business, Notice::LiveKeyWidened, &new).await?;
        }
        let now = unit.now;
        unit.commit(ChangeKind::Key, Some(&tenant.business), Some(&new.id.to_string())).await?;
        Ok(KeyView::new(new, now))
    }

    /// Gives a key a new value. The old one stays good for as long as the overlap says.
    pub async fn rotate(
        self,
        context: &Context,
        tenant: &Tenant,
        id: KeyId,
        overlap: Overlap,
        idempotent: Option<&Idempotent<'_, IssuedKey>>,
    ) -> Result<Answered<IssuedKey>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        let (business, profile) = self.open_for_change(&mut unit, &tenant.business).await?;
        unit.check_member(&tenant.business, Operation::KeysWrite, is_live(tenant)).await?;
        let mut key = self.key_in(&mut unit, tenant, KeyHandle::Id(id)).await?;
        if profile.changing != Changing::Everything {
            return Err(ServiceError::NotAllowedByProfile(business.profile));
        }
        if key.revoked_at.is_some() {
            return Err(ServiceError::KeyRevoked);
        }
        check_not_beyond(context, &key)?;
        let ends_at = overlap
            .ends_at(unit.now, &life_of(&key).validity)
            .map_err(|error| ServiceError::invalid(overlap.member(), error.to_string()))?
            // An overlap that a key's own end cuts to nothing is none.
            .filter(|end| *end > unit.now);
        if ends_at.is_some() && key.previous_ends_at.is_some_and(|end| end > unit.now) {
            return Err(ServiceError::OverlapInProgress);
        }
        let expected = key.current_version;
        unit.tx.end_versions(tenant, id, None, ends_at.unwrap_or(unit.now), &context.actor).await?;
        let form = profile.form(key.kind).ok_or_else(|| ServiceError::NotAllowedByProfile(business.profile.clone()))?;
        let random = Zeroizing::new(self.core.entropy.bytes::<256>());
        let value = key_text::generate(form, self.core.settings.brand(), tenant.environment, key.kind, &random);
        key.current_version = expected + 1;
        key.mask_prefix = profile.mask_prefix(self.core.settings.brand(), tenant.environment, key.kind);
        value.last_three().as_str().clone_into(&mut key.last_three);
        key.previous_ends_at = Some(ends_at.unwrap_or(unit.now));
        key.updated_at = unit.now;
        let fingerprint = KeyFingerprint::of(&value);
        let generated = VersionOrigin::Generated;
        insert_version(self.core, &mut unit, context, &profile, &key, &fingerprint, Some(&value), generated).await?;
        if !unit.tx.set_current_version(tenant, &key, expected).await? {
            return Err(ServiceError::Conflict);
        }
        unit.record(Happened {
            event: EventType::KeyRotated,
            business: &tenant.business,
            environment: Some(tenant.environment),
            key: Some(id),
            data: json!({ "version": key.current_version, "previous_ends_at": key.previous_ends_at }),
        })
        .await?;
        notices::of_live_key(self.core, &mut unit, &business, Notice::LiveKeyRotated, &key).await?;
        let issued = issue(&profile, key, expected + 1, value, unit.now);
        idempotency::keep(&mut unit.tx, idempotent, &issued, unit.now).await?;
        unit.commit(ChangeKind::Key, Some(&tenant.business), Some(&id.to_string())).await?;
        Ok(Answered::Done(issued))
    }

    /// Shows a key's value again, where the profile allows it, and records that it did.
    pub async fn reveal(
        self,
        context: &Context,
        tenant: &Tenant,
        id: KeyId,
        idempotent: Option<&Idempotent<'_, IssuedKey>>,
    ) -> Result<Answered<IssuedKey>, ServiceError> {
        let business = self.business(&tenant.business).await?;
        let profile = profile_of(self.core, &business)?;
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        unit.check_caller().await?;
        unit.check_member(&tenant.business, Operation::KeysWrite, is_live(tenant)).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        let key = self.key_in(&mut unit, tenant, KeyHandle::Id(id)).await?;
        if !profile.value_readable(tenant.environment, key.kind) {
            return Err(ServiceError::ValueNotReadable);
        }
        if key.revoked_at.is_some() {
            return Err(ServiceError::KeyRevoked);
        }
        check_not_beyond(context, &key)?;
        let version = unit
            .tx
            .read()
            .find_version(tenant, id, key.current_version)
            .await?
            .filter(|version| version.sealed.is_some())
            .ok_or(ServiceError::ValueNotReadable)?;
        let value = self.open_version(&version)?;
        unit.record(Happened {
            event: EventType::KeyRevealed,
            business: &tenant.business,
            environment: Some(tenant.environment),
            key: Some(id),
            data: json!({ "version": key.current_version }),
        })
        .await?;
        notices::of_live_key(self.core, &mut unit, &business, Notice::LiveKeyRevealed, &key).await?;
        let issued = issue(profile, key, version.version, value, unit.now);
        idempotency::keep(&mut unit.tx, idempotent, &issued, unit.now).await?;
        // Nothing about the key changed, so no node needs to hear of it.
        unit.tx.commit().await?;
        Ok(Answered::Done(issued))
    }

    /// Ends a key for good, at once.
    pub async fn revoke(
        self,
        context: &Context,
        tenant: &Tenant,
        id: KeyId,
        idempotent: Option<&Idempotent<'_, KeyView>>,
    ) -> Result<Answered<KeyView>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        let business = unit.lock_business(&tenant.business).await?;
        unit.check_caller().await?;
        unit.check_member(&tenant.business, Operation::KeysWrite, is_live(tenant)).await?;
        let profile = std::sync::Arc::clone(profile_of(self.core, &business)?);
        let mut key = self.key_in(&mut unit, tenant, KeyHandle::Id(id)).await?;
        if profile.revoking == Revoking::OperatorOnly && !context.is_operator() {
            return Err(ServiceError::NotAllowedByProfile(business.profile));
        }
        self.end_for_good(&mut unit, context, &business, &profile, &mut key).await?;
        let view = KeyView::new(key, unit.now);
        idempotency::keep(&mut unit.tx, idempotent, &view, unit.now).await?;
        unit.commit(ChangeKind::Key, Some(&tenant.business), Some(&id.to_string())).await?;
        Ok(Answered::Done(view))
    }

    /// Ends a key for good, together with keys that it left behind: one transaction, all or none.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if one of `with` was not made by this key or by one that it made.
    pub async fn revoke_with(
        self,
        context: &Context,
        tenant: &Tenant,
        id: KeyId,
        with: &[KeyId],
    ) -> Result<Vec<KeyView>, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        let business = unit.lock_business(&tenant.business).await?;
        unit.check_caller().await?;
        unit.check_member(&tenant.business, Operation::KeysWrite, is_live(tenant)).await?;
        let profile = std::sync::Arc::clone(profile_of(self.core, &business)?);
        if profile.revoking == Revoking::OperatorOnly && !context.is_operator() {
            return Err(ServiceError::NotAllowedByProfile(business.profile));
        }
        let left = left_behind(&mut unit.tx.read(), tenant, id).await?;
        if let Some(stranger) = with.iter().find(|wanted| !left.iter().any(|key| key.id == **wanted)) {
            return Err(ServiceError::invalid("with", format!("{stranger} was not made by this key")));
        }
        let mut chosen: Vec<KeyId> = with.to_vec();
        chosen.push(id);
        chosen.sort_unstable();
        chosen.dedup();
        let mut revoked = Vec::with_capacity(chosen.len());
        for id in chosen {
            let mut key = self.key_in(&mut unit, tenant, KeyHandle::Id(id)).await?;
            self.end_for_good(&mut unit, context, &business, &profile, &mut key).await?;
            revoked.push(KeyView::new(key, unit.now));
        }
        unit.commit(ChangeKind::Key, Some(&tenant.business), None).await?;
        Ok(revoked)
    }

    /// The keys that a key made, and those that they made, which are not revoked: what it left behind.
    pub async fn left_behind(self, tenant: &Tenant, id: KeyId) -> Result<Vec<KeyView>, ServiceError> {
        let now = self.core.clock.now();
        let left = left_behind(&mut self.core.store.read(), tenant, id).await?;
        Ok(left.into_iter().map(|row| KeyView::new(row, now)).collect())
    }

    /// How many keys count against each limit of the profile, for *n of limit*.
    pub async fn allowances(self, tenant: &Tenant) -> Result<Vec<Allowance>, ServiceError> {
        let business = self.business(&tenant.business).await?;
        let profile = profile_of(self.core, &business)?;
        let kinds: &[Option<KeyKind>] = match profile.limit.per {
            LimitPer::Environment => &[None],
            LimitPer::KindAndEnvironment => &[Some(KeyKind::Secret), Some(KeyKind::Checkout)],
        };
        let now = self.core.clock.now();
        let mut allowances = Vec::with_capacity(kinds.len());
        for kind in kinds {
            if kind.is_some_and(|kind| profile.form(kind).is_none()) {
                continue;
            }
            let used = self.core.store.read().count_keys_counted_at(tenant, *kind, now, None).await?;
            allowances.push(Allowance { kind: *kind, used, most: profile.limit.most });
        }
        Ok(allowances)
    }

    /// What whoever finds this key's value could do, and what breaks if it ends now: facts, for pages to word.
    pub async fn exposure(self, tenant: &Tenant, id: KeyId) -> Result<Exposure, ServiceError> {
        let key = self.get(tenant, KeyHandle::Id(id)).await?;
        let business = self.business(&tenant.business).await?;
        let profile = profile_of(self.core, &business)?;
        let requests = Requests::new(self.core);
        let week = requests.week_of_key(tenant, id).await?;
        let callers = requests.sightings(tenant, id).await?;
        let mut reader = self.core.store.read();
        let now = self.core.clock.now();
        let others = reader.count_in_force(tenant, Some(key.key.kind), now, Some(id)).await?;
        let (writes, reads) = key.key.scopes.iter().cloned().partition(|scope| !scope.as_str().ends_with(":read"));
        Ok(Exposure {
            may_change: writes,
            may_read: reads,
            makes_keys: key.key.scopes.contains(&Scope::built_in(BuiltIn::KeysWrite)),
            bound: match key.key.kind {
                KeyKind::Secret => !key.key.allowed_ips.is_empty(),
                KeyKind::Checkout => !key.key.allowed_origins.is_empty(),
            },
            value_readable: profile.value_readable(tenant.environment, key.key.kind),
            old_value_until: key.key.previous_ends_at.filter(|end| *end > now),
            remaining: match others {
                0 if key.status == KeyStatus::Active && profile.last_key_protected => Remaining::NoneProtected,
                0 if key.status == KeyStatus::Active => Remaining::NoneAllowed,
                others => Remaining::Others(others),
            },
            week,
            callers_of_week: callers.iter().filter(|seen| now.since(seen.last_seen_at) < WEEK).count(),
            old_value_callers: callers.into_iter().filter(|seen| seen.version < key.key.current_version).collect(),
            left_behind: self.left_behind(tenant, id).await?,
            key,
        })
    }

    /// Revokes one key inside a unit of work.
    async fn end_for_good(
        self,
        unit: &mut Unit<'_>,
        context: &Context,
        business: &BusinessRow,
        profile: &Profile,
        key: &mut KeyRow,
    ) -> Result<(), ServiceError> {
        if key.revoked_at.is_some() {
            return Err(ServiceError::KeyRevoked);
        }
        let tenant = key.tenant.clone();
        if life_of(key).status_at(unit.now) == KeyStatus::Active {
            check_not_last(unit, profile, &tenant, key).await?;
        }
        if !unit.tx.mark_key_revoked(&tenant, key.id, &context.actor, unit.now).await? {
            return Err(ServiceError::KeyRevoked);
        }
        key.revoked_at = Some(unit.now);
        key.revoked_by = Some(context.actor.clone());
        key.updated_at = unit.now;
        unit.record(Happened {
            event: EventType::KeyRevoked,
            business: &tenant.business,
            environment: Some(tenant.environment),
            key: Some(key.id),
            data: json!({}),
        })
        .await?;
        notices::of_live_key(self.core, unit, business, Notice::LiveKeyRevoked, key).await
    }

    async fn business(self, id: &BusinessId) -> Result<BusinessRow, ServiceError> {
        self.core.store.read().find_business(id).await?.ok_or(ServiceError::NotFound)
    }

    /// Locks the business, which serialises every check of a rule, and refuses if it is suspended.
    pub(crate) async fn open_for_change(
        self,
        unit: &mut Unit<'_>,
        id: &BusinessId,
    ) -> Result<(BusinessRow, std::sync::Arc<Profile>), ServiceError> {
        let business = unit.lock_business(id).await?;
        unit.check_caller().await?;
        if business.suspended_at.is_some() {
            return Err(ServiceError::BusinessSuspended);
        }
        let profile = std::sync::Arc::clone(profile_of(self.core, &business)?);
        Ok((business, profile))
    }

    async fn key_in(self, unit: &mut Unit<'_>, tenant: &Tenant, name: KeyHandle) -> Result<KeyRow, ServiceError> {
        let found = match name {
            KeyHandle::Id(id) => unit.tx.read().find_key(tenant, id).await?,
            KeyHandle::Number(number) => unit.tx.read().find_key_by_number(tenant, number).await?,
        };
        found.ok_or(ServiceError::NotFound)
    }

    fn open_version(self, version: &VersionRow) -> Result<ApiKeySecret, ServiceError> {
        let sealed = version.sealed.as_ref().ok_or(ServiceError::ValueNotReadable)?;
        let binding = Binding {
            key: version.key_id,
            version: version.version,
            business: &version.tenant.business,
            environment: version.tenant.environment,
            kind: version.kind,
        };
        let plain = self.core.secrets.ring().get().open(sealed, &binding)?;
        std::str::from_utf8(&plain).ok().and_then(ApiKeySecret::from_presented).ok_or(ServiceError::ValueNotReadable)
    }

    fn changed(
        self,
        context: &Context,
        profile: &Profile,
        old: &KeyRow,
        change: &KeyChange,
        now: Timestamp,
    ) -> Result<KeyRow, ServiceError> {
        let mut new = old.clone();
        if let Some(name) = &change.name {
            new.name.clone_from(name);
        }
        if let Some(state) = change.state {
            new.state = state;
        }
        if let Some(from) = change.valid_from {
            new.valid_from = from;
        }
        if let Some(until) = change.valid_until {
            new.valid_until = until;
        }
        if let Some(scopes) = &change.scopes {
            check_has_use(old.kind, scopes)?;
            new.scopes = scopes.clone();
        }
        if let Some(origins) = &change.allowed_origins {
            new.allowed_origins.clone_from(origins);
        }
        if let Some(ips) = &change.allowed_ips {
            new.allowed_ips.clone_from(ips);
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
        check_values(self.core, profile, &new)?;
        // Whoever gives a key more than it had must have all that it has then.
        if widens(old, &new) {
            check_not_beyond(context, &new)?;
        }
        if new != *old {
            new.updated_at = now;
        }
        Ok(new)
    }
}

const fn is_live(tenant: &Tenant) -> bool {
    matches!(tenant.environment, Environment::Live)
}

/// Makes a key inside a unit of work; also for the first keys of a business.
pub(crate) async fn create_in(
    core: &Core,
    unit: &mut Unit<'_>,
    context: &Context,
    business: &BusinessRow,
    profile: &Profile,
    tenant: &Tenant,
    draft: &KeyDraft,
) -> Result<IssuedKey, ServiceError> {
    if !profile.environments.offers(tenant.environment) {
        return Err(ServiceError::invalid("environment", "the profile of this business has no such environment"));
    }
    let form = profile
        .form(draft.kind)
        .ok_or_else(|| ServiceError::invalid("kind", "the profile of this business has no such keys"))?;
    if draft.name.is_some() && !profile.named {
        return Err(ServiceError::invalid("name", "keys of this profile have no names"));
    }
    let defaults = profile.default_scopes(core.settings.catalogue(), draft.kind);
    let mut allowed_ips = draft.allowed_ips.clone();
    let (scopes, valid_until, own_limits) = match &context.authority {
        Authority::Operator | Authority::Member { .. } => {
            (draft.scopes.clone().unwrap_or(defaults), draft.valid_until, Limits::default())
        }
        Authority::Key { scopes: own, valid_until, limits, allowed_ips: own_ips, .. } => {
            if allowed_ips.is_empty() && draft.kind == KeyKind::Secret {
                allowed_ips.clone_from(own_ips);
            }
            let scopes = draft.scopes.clone().unwrap_or_else(|| match draft.kind {
                KeyKind::Secret => defaults.intersection(own),
                // With less than it is for, a checkout key would be of no use: its maker needs all of it.
                KeyKind::Checkout => defaults,
            });
            (scopes, draft.valid_until.or(*valid_until), limits.clone())
        }
    };
    let limits = Limits {
        rates: draft.rates.clone().unwrap_or(own_limits.rates),
        quota: draft.quota.unwrap_or(own_limits.quota),
    };
    check_has_use(draft.kind, &scopes)?;
    let random = Zeroizing::new(core.entropy.bytes::<256>());
    let value = key_text::generate(form, core.settings.brand(), tenant.environment, draft.kind, &random);
    let key = KeyRow {
        id: KeyId::new(unit.now, core.entropy.bytes()),
        tenant: tenant.clone(),
        kind: draft.kind,
        number: unit.tx.read().max_number(tenant).await? + 1,
        name: draft.name.clone(),
        external_reference: Some(ExternalReference::generate(&core.entropy.bytes()).as_str().to_owned()),
        state: draft.state,
        valid_from: draft.valid_from.unwrap_or(unit.now),
        valid_until,
        scopes,
        allowed_origins: draft.allowed_origins.clone(),
        allowed_ips,
        limits,
        metadata: draft.metadata.clone(),
        current_version: 1,
        mask_prefix: profile.mask_prefix(core.settings.brand(), tenant.environment, draft.kind),
        last_three: value.last_three().as_str().to_owned(),
        previous_ends_at: None,
        created_at: unit.now,
        created_by: context.actor.clone(),
        revoked_at: None,
        revoked_by: None,
        updated_at: unit.now,
        last_used_at: None,
    };
    check_not_beyond(context, &key)?;
    check_values(core, profile, &key)?;
    if life_of(&key).counts_at(unit.now) {
        check_limit(unit, profile, tenant, key.kind, None).await?;
    }
    let digest = core.secrets.ring().get().digest(&KeyFingerprint::of(&value));
    let maker = (unit.now, &context.actor);
    let version = version_row(core, maker, profile, &key, digest, Some(&value), VersionOrigin::Generated);
    of_new_value(unit.tx.insert_key_and_version(&key, &version).await)?;
    unit.record(Happened {
        event: EventType::KeyCreated,
        business: &business.id,
        environment: Some(tenant.environment),
        key: Some(key.id),
        data: json!({
            "kind": key.kind, "number": key.number, "scopes": key.scopes,
            "valid_from": key.valid_from, "valid_until": key.valid_until, "state": key.state,
        }),
    })
    .await?;
    Ok(issue(profile, key, 1, value, unit.now))
}

/// Writes the newest secret version of a key: found by its fingerprint, and sealed where the text is known and the
/// profile lets it be read again.
#[expect(clippy::too_many_arguments, reason = "each is a part of the one row that is written")]
pub(crate) async fn insert_version(
    core: &Core,
    unit: &mut Unit<'_>,
    context: &Context,
    profile: &Profile,
    key: &KeyRow,
    fingerprint: &KeyFingerprint,
    value: Option<&ApiKeySecret>,
    origin: VersionOrigin,
) -> Result<(), ServiceError> {
    let ring = core.secrets.ring().get();
    let (digest, pepper_version) = ring.digest(fingerprint);
    let maker = (unit.now, &context.actor);
    let row = version_row(core, maker, profile, key, (digest, pepper_version), value, origin);
    of_new_value(unit.tx.insert_version(&row).await)
}

fn of_new_value(inserted: Result<(), StoreError>) -> Result<(), ServiceError> {
    match inserted {
        Err(StoreError::Unique { constraint: UniqueRule::Digest, .. }) => {
            Err(ServiceError::invalid("value", "there is a key with this value already"))
        }
        other => Ok(other?),
    }
}

/// The newest secret version of a key as it is written, with its digest and the pepper of that.
pub(crate) fn version_row(
    core: &Core,
    (now, actor): (Timestamp, &Actor),
    profile: &Profile,
    key: &KeyRow,
    (digest, pepper_version): (KeyDigest, u32),
    value: Option<&ApiKeySecret>,
    origin: VersionOrigin,
) -> VersionRow {
    let ring = core.secrets.ring().get();
    let binding = Binding {
        key: key.id,
        version: key.current_version,
        business: &key.tenant.business,
        environment: key.tenant.environment,
        kind: key.kind,
    };
    let sealed = value
        .filter(|_| profile.value_readable(key.tenant.environment, key.kind))
        .map(|value| ring.seal(value.expose().as_bytes(), &binding, core.entropy.as_ref()));
    VersionRow {
        key_id: key.id,
        version: key.current_version,
        tenant: key.tenant.clone(),
        kind: key.kind,
        digest,
        pepper_version,
        last_three: key.last_three.clone(),
        starts_at: now,
        ends_at: None,
        ended_by: None,
        created_at: now,
        created_by: actor.clone(),
        origin,
        sealed,
        live_readable: profile.value_readable(Environment::Live, KeyKind::Secret),
    }
}

fn issue(profile: &Profile, key: KeyRow, version: u32, value: ApiKeySecret, now: Timestamp) -> IssuedKey {
    let authorization = ready_header(profile.business_id_in_header.then_some(&key.tenant.business), &value);
    IssuedKey { view: KeyView::new(key, now), version, value, authorization }
}

pub(crate) fn check_values(core: &Core, profile: &Profile, key: &KeyRow) -> Result<(), ServiceError> {
    let mut problems = Vec::new();
    if Validity::new(key.valid_from, key.valid_until).is_err() {
        problems.push(FieldProblem::new("valid_until", "must be after valid_from"));
    }
    if let Err(error) = core.settings.catalogue().check(&key.scopes, key.kind) {
        problems.push(FieldProblem::new("scopes", error.to_string()));
    }
    if key.name.is_some() && !profile.named {
        problems.push(FieldProblem::new("name", "keys of this profile have no names"));
    }
    if key.kind == KeyKind::Secret && !key.allowed_origins.is_empty() {
        problems
            .push(FieldProblem::new("allowed_origins", "are for checkout keys: a secret key has no place in a page"));
    }
    if key.kind == KeyKind::Checkout && !key.allowed_ips.is_empty() {
        problems.push(FieldProblem::new("allowed_ips", "are for secret keys: a checkout key is used by everybody"));
    }
    if key.allowed_origins.len() > MAX_LIST {
        problems.push(FieldProblem::new("allowed_origins", format!("has more than {MAX_LIST} entries")));
    }
    if key.allowed_ips.len() > MAX_LIST {
        problems.push(FieldProblem::new("allowed_ips", format!("has more than {MAX_LIST} entries")));
    }
    if problems.is_empty() { Ok(()) } else { Err(ServiceError::Invalid(problems)) }
}

fn check_change_allowed(profile: &Profile, business: &BusinessId, change: &KeyChange) -> Result<(), ServiceError> {
    let beyond_dates = change.name.is_some()
        || change.scopes.is_some()
        || change.allowed_origins.is_some()
        || change.allowed_ips.is_some()
        || change.rates.is_some()
        || change.quota.is_some()
        || change.metadata.is_some();
    match profile.changing {
        Changing::Everything => Ok(()),
        Changing::StateAndDates if !beyond_dates => Ok(()),
        Changing::StateAndDates | Changing::Nothing => Err(ServiceError::NotAllowedByProfile(business.to_string())),
    }
}

/// Whether a list that allows everything when it is empty lets in more than before.
fn opened<T: PartialEq>(old: &[T], new: &[T]) -> bool {
    !old.is_empty() && (new.is_empty() || new.iter().any(|entry| !old.contains(entry)))
}

/// Whether the key can do anything that it could not do before.
fn widens(old: &KeyRow, new: &KeyRow) -> bool {
    let later = match (old.valid_until, new.valid_until) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(old), Some(new)) => new > old,
    };
    later
        || new.valid_from < old.valid_from
        || (old.state == KeyState::Inactive && new.state == KeyState::Active)
        || new.scopes.first_beyond(&old.scopes).is_some()
        || opened(&old.allowed_origins, &new.allowed_origins)
        || opened(&old.allowed_ips, &new.allowed_ips)
        || !new.limits.are_within(&old.limits)
}

/// A key never gives, nor obtains the value of, a key with more than its own scopes, a longer life, wider limits or more
/// addresses. Checkout keys are used by everybody, wherever they are.
fn check_not_beyond(context: &Context, key: &KeyRow) -> Result<(), ServiceError> {
    let Authority::Key { scopes, .. } = &context.authority else { return Ok(()) };
    if let Some(scope) = key.scopes.first_beyond(scopes) {
        return Err(ServiceError::BeyondOwnRights(BeyondOwnRights::Scope(scope.clone())));
    }
    check_bounds(context, key)
}

/// The same but for the scopes.
fn check_bounds(context: &Context, key: &KeyRow) -> Result<(), ServiceError> {
    let Authority::Key { valid_until, limits, allowed_ips, .. } = &context.authority else { return Ok(()) };
    if !key.limits.are_within(limits) {
        return Err(ServiceError::BeyondOwnRights(BeyondOwnRights::Limits));
    }
    let is_own = |range: &IpRange| allowed_ips.iter().any(|own| range.is_within(own));
    let reaches_out = key.allowed_ips.is_empty() || !key.allowed_ips.iter().all(is_own);
    if key.kind == KeyKind::Secret && !allowed_ips.is_empty() && reaches_out {
        return Err(ServiceError::BeyondOwnRights(BeyondOwnRights::Addresses));
    }
    match (valid_until, key.valid_until) {
        (Some(own), Some(wanted)) if wanted <= *own => Ok(()),
        (Some(_), _) => Err(ServiceError::BeyondOwnRights(BeyondOwnRights::Life)),
        (None, _) => Ok(()),
    }
}

/// A checkout key that may do nothing would take money nowhere, and nobody would know why.
fn check_has_use(kind: KeyKind, scopes: &ScopeSet) -> Result<(), ServiceError> {
    if kind == KeyKind::Checkout && scopes.is_empty() {
        return Err(ServiceError::invalid("scopes", "a checkout key needs one at least"));
    }
    Ok(())
}

/// The business is locked, so the count cannot change under us.
pub(crate) async fn check_limit(
    unit: &mut Unit<'_>,
    profile: &Profile,
    tenant: &Tenant,
    kind: KeyKind,
    excluding: Option<KeyId>,
) -> Result<(), ServiceError> {
    let counted_kind = match profile.limit.per {
        LimitPer::KindAndEnvironment => Some(kind),
        LimitPer::Environment => None,
    };
    let now = unit.now;
    let count = unit.tx.read().count_keys_counted_at(tenant, counted_kind, now, excluding).await?;
    if count >= profile.limit.most { Err(ServiceError::KeyLimitReached(profile.limit.most)) } else { Ok(()) }
}

/// Refuses to end the last key in force of its kind and environment, where the profile protects it.
async fn check_not_last(
    unit: &mut Unit<'_>,
    profile: &Profile,
    tenant: &Tenant,
    key: &KeyRow,
) -> Result<(), ServiceError> {
    if !profile.last_key_protected {
        return Ok(());
    }
    let now = unit.now;
    let others = unit.tx.read().count_in_force(tenant, Some(key.kind), now, Some(key.id)).await?;
    if others == 0 { Err(ServiceError::LastKey) } else { Ok(()) }
}

/// What changed, old and new, for the event; no value of a key is among it.
fn difference(old: &KeyRow, new: &KeyRow) -> serde_json::Value {
    let mut changed = serde_json::Map::new();
    let mut note = |name: &str, old: serde_json::Value, new: serde_json::Value| {
        if old != new {
            changed.insert(name.to_owned(), json!({ "old": old, "new": new }));
        }
    };
    note("name", json!(old.name), json!(new.name));
    note("state", json!(old.state), json!(new.state));
    note("valid_from", json!(old.valid_from), json!(new.valid_from));
    note("valid_until", json!(old.valid_until), json!(new.valid_until));
    note("scopes", json!(old.scopes), json!(new.scopes));
    note("allowed_origins", json!(old.allowed_origins), json!(new.allowed_origins));
    note("allowed_ips", json!(old.allowed_ips), json!(new.allowed_ips));
    note("rate_limits", json!(old.limits.rates.texts()), json!(new.limits.rates.texts()));
    note("quota_day", json!(old.limits.quota.day), json!(new.limits.quota.day));
    note("quota_month", json!(old.limits.quota.month), json!(new.limits.quota.month));
    // Metadata is the operator's own and may be personal: the trail says only that it changed.
    if old.metadata != new.metadata {
        changed.insert("metadata".to_owned(), json!({ "changed": true }));
    }
    json!({ "changes": changed })
}
