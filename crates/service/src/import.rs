//! Taking over keys that another system issued, so that their bearers need not change anything.

use serde_json::json;
use trousseau_domain::digest::KeyFingerprint;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::events::EventType;
use trousseau_domain::ids::KeyId;
use trousseau_domain::key_text::{ApiKeySecret, SHOWN_LEN, TextClaim, branded_prefix};
use trousseau_domain::keys::ExternalReference;
use trousseau_domain::members::Operation;
use trousseau_domain::profile::{Profile, Reading};
use trousseau_store::{KeyRow, StoreError, UniqueRule, VersionOrigin};

use crate::app::{Core, Happened, Unit};
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::keys::{KeyDraft, KeyView, Keys, check_limit, check_values, insert_version, life_of};

/// The shortest text that is taken over: anything less could be guessed.
const SHORTEST: usize = 16;

/// What another system kept of a key.
#[derive(Debug)]
pub enum ImportedValue {
    /// The text itself.
    Text {
        /// The text.
        secret: ApiKeySecret,
        /// What it says of itself.
        claim: TextClaim,
    },
    /// The SHA-256 of the text: the key is found by it and never shown.
    Sha256 {
        /// The digest.
        fingerprint: KeyFingerprint,
        /// The last three characters of the text, where they are known.
        last_three: Option<String>,
    },
}

/// A key of another system.
#[derive(Debug)]
pub struct ImportDraft {
    /// What it is from now on.
    pub key: KeyDraft,
    /// What is known of its value.
    pub value: ImportedValue,
    /// The name that others know it by; none unless given.
    pub external_reference: Option<ExternalReference>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// It is a key of the tenant from now on.
    New(KeyView),
    /// It was one already; nothing was changed.
    Known(KeyView),
}

impl Keys<'_> {
    /// Makes a key of a value that another system issued. The same value again changes nothing.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a value that belongs to another tenant, or that could not be told from a key of
    /// another profile; otherwise as for making a key.
    pub async fn import(
        self,
        context: &Context,
        tenant: &Tenant,
        draft: &ImportDraft,
    ) -> Result<Imported, ServiceError> {
        let core = self.core();
        let fingerprint = match &draft.value {
            ImportedValue::Text { secret, .. } => &KeyFingerprint::of(secret),
            ImportedValue::Sha256 { fingerprint, .. } => fingerprint,
        };
        let mut unit = Unit::begin(core, context).await?;
        let (business, profile) = self.open_for_change(&mut unit, &tenant.business).await?;
        unit.check_member(&tenant.business, Operation::KeysWrite, tenant.environment == Environment::Live).await?;
        if !profile.environments.offers(tenant.environment) {
            return Err(ServiceError::invalid("environment", "the profile of this business has no such environment"));
        }
        check_text(core, &profile, tenant, draft)?;
        let digests: Vec<_> =
            core.secrets.ring().get().digests(fingerprint).into_iter().map(|(_, digest)| digest).collect();
        if let Some(found) = unit.tx.read().find_by_digests(&digests).await?.into_iter().next() {
            // Whose it is stays unsaid where it is somebody else's.
            if found.key.tenant == *tenant {
                return Ok(Imported::Known(KeyView::new(found.key, unit.now)));
            }
            return Err(ServiceError::invalid("value", "is a key of somebody else already"));
        }
        let key = row(core, &mut unit, context, &profile, tenant, draft).await?;
        check_values(core, &profile, &key)?;
        if life_of(&key).counts_at(unit.now) {
            check_limit(&mut unit, &profile, tenant, key.kind, None).await?;
        }
        match unit.tx.insert_key(&key).await {
            Err(StoreError::Unique { constraint: UniqueRule::ExternalReference, .. }) => {
                return Err(ServiceError::invalid("external_reference", "names another key of this business"));
            }
            other => other?,
        }
        let secret = match &draft.value {
            ImportedValue::Text { secret, .. } => Some(secret),
            ImportedValue::Sha256 { .. } => None,
        };
        insert_version(core, &mut unit, context, &profile, &key, fingerprint, secret, VersionOrigin::Imported).await?;
        unit.record(Happened {
            event: EventType::KeyImported,
            business: &business.id,
            environment: Some(tenant.environment),
            key: Some(key.id),
            data: json!({
                "kind": key.kind, "number": key.number, "scopes": key.scopes,
                "valid_from": key.valid_from, "valid_until": key.valid_until, "state": key.state,
            }),
        })
        .await?;
        let view = KeyView::new(key, unit.now);
        unit.commit_new_key(&view.key).await?;
        Ok(Imported::New(view))
    }
}

/// Whether the authenticator would take the text for what it is.
fn check_text(core: &Core, profile: &Profile, tenant: &Tenant, draft: &ImportDraft) -> Result<(), ServiceError> {
    let ImportedValue::Text { secret, claim } = &draft.value else {
        // Lists of such keys show their values, and of this one there would be none.
        return if profile.reading == Reading::Always {
            Err(ServiceError::invalid(
                "sha256",
                "is not enough here: keys of this profile can be read, so send the value",
            ))
        } else {
            Ok(())
        };
    };
    let length = secret.expose().len();
    match claim {
        TextClaim::Platform => Err(ServiceError::invalid("value", "is a platform key")),
        TextClaim::Branded { environment, kind } if *environment != tenant.environment || *kind != draft.key.kind => {
            Err(ServiceError::invalid("value", format!("says of itself that it is a {environment} {kind} key")))
        }
        _ if length < SHORTEST => {
            Err(ServiceError::invalid("value", format!("is shorter than {SHORTEST} characters and could be guessed")))
        }
        _ if !profile.business_id_required && core.settings.text_needs_business_id(*claim, length) => {
            Err(ServiceError::invalid(
                "value",
                "looks like a key of a profile whose callers send the business id, which callers of this one do not",
            ))
        }
        _ => Ok(()),
    }
}

async fn row(
    core: &Core,
    unit: &mut Unit<'_>,
    context: &Context,
    profile: &Profile,
    tenant: &Tenant,
    draft: &ImportDraft,
) -> Result<KeyRow, ServiceError> {
    let wanted = &draft.key;
    if profile.form(wanted.kind).is_none() {
        return Err(ServiceError::invalid("kind", "the profile of this business has no such keys"));
    }
    let (mask_prefix, last_three) = match &draft.value {
        ImportedValue::Text { secret, claim } => {
            let prefix = match claim {
                TextClaim::Branded { environment, kind } => branded_prefix(core.settings.brand(), *environment, *kind),
                TextClaim::Plain | TextClaim::Platform => String::new(),
            };
            (prefix, secret.last_three().as_str().to_owned())
        }
        ImportedValue::Sha256 { last_three, .. } => (String::new(), last_three.clone().unwrap_or_default()),
    };
    if last_three.len() > SHOWN_LEN || !last_three.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ServiceError::invalid("last_three", "is at most three printable ASCII characters"));
    }
    let scopes =
        wanted.scopes.clone().unwrap_or_else(|| profile.default_scopes(core.settings.catalogue(), wanted.kind));
    Ok(KeyRow {
        id: KeyId::new(unit.now, core.entropy.bytes()),
        tenant: tenant.clone(),
        kind: wanted.kind,
        number: unit.tx.read().max_number(tenant).await? + 1,
        name: wanted.name.clone(),
        external_reference: draft.external_reference.as_ref().map(|reference| reference.as_str().to_owned()),
        state: wanted.state,
        valid_from: wanted.valid_from.unwrap_or(unit.now),
        valid_until: wanted.valid_until,
        scopes,
        allowed_origins: wanted.allowed_origins.clone(),
        allowed_ips: wanted.allowed_ips.clone(),
        metadata: wanted.metadata.clone(),
        current_version: 1,
        mask_prefix,
        last_three,
        previous_ends_at: None,
        created_at: unit.now,
        created_by: context.actor.clone(),
        revoked_at: None,
        revoked_by: None,
        updated_at: unit.now,
        last_used_at: None,
    })
}
