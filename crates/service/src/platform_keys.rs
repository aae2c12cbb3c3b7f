//! The operator's own keys. Only the command line and platform administrators make them.

use serde_json::json;
use trousseau_domain::digest::KeyFingerprint;
use trousseau_domain::events::AuditAction;
use trousseau_domain::ids::{AuditId, PlatformKeyId};
use trousseau_domain::key_text::{self, ApiKeySecret};
use trousseau_domain::platform_keys::{PlatformScope, PlatformScopes};
use trousseau_domain::text::PlatformKeyName;
use trousseau_store::{AuditRow, ChangeKind, PlatformKeyRow};
use zeroize::Zeroizing;

use crate::app::{Core, Unit};
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::idempotency::{self, Answered, Idempotent};

/// A platform key with its value, which is shown now and never again.
#[derive(Debug)]
pub struct IssuedPlatformKey {
    /// The key.
    pub key: PlatformKeyRow,
    /// The value.
    pub value: ApiKeySecret,
}

/// What a row's scopes mean. An unknown word, from a newer release, gives nothing.
pub fn scopes_of(key: &PlatformKeyRow) -> PlatformScopes {
    key.scopes.iter().filter_map(|scope| scope.parse().ok()).collect()
}

/// Use cases of platform keys.
#[derive(Debug, Clone, Copy)]
pub struct PlatformKeys<'a> {
    core: &'a Core,
}

impl<'a> PlatformKeys<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// Makes a platform key.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] without any scope.
    pub async fn create(
        self,
        context: &Context,
        name: PlatformKeyName,
        scopes: &PlatformScopes,
        idempotent: Option<&Idempotent<'_, IssuedPlatformKey>>,
    ) -> Result<Answered<IssuedPlatformKey>, ServiceError> {
        if scopes.iter().next().is_none() {
            return Err(ServiceError::invalid("scopes", "a platform key needs at least one scope"));
        }
        let random = Zeroizing::new(self.core.entropy.bytes::<256>());
        let value = key_text::generate_platform(self.core.settings.brand(), &random);
        let (digest, pepper_version) = self.core.secrets.ring().get().digest(&KeyFingerprint::of(&value));
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        unit.check_platform(true).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        let key = PlatformKeyRow {
            id: PlatformKeyId::new(unit.now, self.core.entropy.bytes()),
            name,
            digest,
            pepper_version,
            last_three: value.last_three().as_str().to_owned(),
            scopes: scopes.iter().map(|scope: PlatformScope| scope.as_str().to_owned()).collect(),
            created_at: unit.now,
            created_by: context.actor.clone(),
            revoked_at: None,
            revoked_by: None,
            last_used_at: None,
        };
        unit.tx.insert_platform_key(&key).await?;
        self.audit(&mut unit, context, AuditAction::PlatformKeyCreated, key.id, json!({ "scopes": key.scopes }))
            .await?;
        let issued = IssuedPlatformKey { key, value };
        idempotency::keep(&mut unit.tx, idempotent, &issued, unit.now).await?;
        unit.commit(ChangeKind::PlatformKey, None, Some(&issued.key.id.to_string())).await?;
        Ok(Answered::Done(issued))
    }

    /// Every platform key, revoked ones too.
    pub async fn list(self) -> Result<Vec<PlatformKeyRow>, ServiceError> {
        Ok(self.core.store.read().list_platform_keys().await?)
    }

    /// Ends a platform key for good, at once.
    pub async fn revoke(self, context: &Context, id: PlatformKeyId) -> Result<PlatformKeyRow, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        unit.check_platform(true).await?;
        let mut key = unit.tx.read().find_platform_key(id).await?.ok_or(ServiceError::NotFound)?;
        let now = unit.now;
        if !unit.tx.mark_platform_key_revoked(id, &context.actor, now).await? {
            return Err(ServiceError::KeyRevoked);
        }
        key.revoked_at = Some(now);
        key.revoked_by = Some(context.actor.clone());
        self.audit(&mut unit, context, AuditAction::PlatformKeyRevoked, id, json!({})).await?;
        unit.commit(ChangeKind::PlatformKey, None, Some(&id.to_string())).await?;
        Ok(key)
    }

    async fn audit(
        self,
        unit: &mut Unit<'_>,
        context: &Context,
        action: AuditAction,
        id: PlatformKeyId,
        details: serde_json::Value,
    ) -> Result<(), ServiceError> {
        let entry = AuditRow {
            id: AuditId::new(unit.now, self.core.entropy.bytes()),
            at: unit.now,
            actor: context.actor.clone(),
            action: action.as_str().to_owned(),
            business: None,
            environment: None,
            target: Some(id.to_string()),
            details,
            request_id: context.request_id,
        };
        Ok(unit.tx.append_audit(&entry).await?)
    }
}
