//! Taking over keys that another system issued, so that their bearers need not change anything.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::json;
use trousseau_domain::digest::{KeyDigest, KeyFingerprint};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::events::EventType;
use trousseau_domain::ids::KeyId;
use trousseau_domain::key_text::{ApiKeySecret, SHOWN_LEN, TextClaim, branded_prefix};
use trousseau_domain::keys::ExternalReference;
use trousseau_domain::limits::Limits;
use trousseau_domain::members::Operation;
use trousseau_domain::profile::{Profile, Reading};
use trousseau_store::{KeyRow, KnownDigest, NewKey, StoreError, UniqueRule, VersionOrigin};

use crate::app::{Core, Happened, Unit};
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::key_ring::KeyRing;
use crate::keys::{KeyDraft, KeyView, Keys, check_values, version_row};

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
    /// The digest itself, made under the pepper of this installation by whoever holds the same key file.
    Hmac {
        /// HMAC-SHA-256, under the pepper, of the SHA-256 of the text.
        digest: KeyDigest,
        /// The version of that pepper.
        pepper_version: u32,
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
    New(Box<KeyView>),
    /// It was this one already; nothing was changed.
    Known(KeyId),
}

/// What became of each draft, in their order.
pub type ImportedEach = Vec<Result<Imported, ServiceError>>;

/// The digests that a value would be found by, the one to store first.
struct Digests(Vec<(u32, KeyDigest)>);

impl Digests {
    fn of(value: &ImportedValue, ring: &KeyRing) -> Self {
        Self(match value {
            ImportedValue::Text { secret, .. } => ring.versioned_digests(&KeyFingerprint::of(secret)).collect(),
            ImportedValue::Sha256 { fingerprint, .. } => ring.versioned_digests(fingerprint).collect(),
            ImportedValue::Hmac { digest, pepper_version, .. } => vec![(*pepper_version, *digest)],
        })
    }

    fn stored(&self) -> (KeyDigest, u32) {
        let (version, digest) = self.0.first().expect("a ring has a pepper, and a digest brings its own");
        (*digest, *version)
    }

    fn all(&self) -> impl Iterator<Item = &KeyDigest> {
        self.0.iter().map(|(_, digest)| digest)
    }
}

/// Whether one of many was taken by somebody else meanwhile, which ends the whole transaction on PostgreSQL.
const fn is_taken(error: &ServiceError) -> bool {
    matches!(
        error,
        ServiceError::Store(StoreError::Unique { constraint: UniqueRule::Digest | UniqueRule::ExternalReference, .. })
    )
}

impl Keys<'_> {
    /// Makes keys of values that another system issued, in one transaction. The same values again change nothing, and
    /// the limits of number do not hold: what another system gave out is there already.
    ///
    /// Each draft is judged by itself: [`ServiceError::Invalid`] for a value that belongs to another tenant, or that
    /// could not be told from a key of another profile, and as for making a key.
    ///
    /// # Errors
    /// What concerns all of them: the business, the environment, the caller, the database.
    pub async fn import(
        self,
        context: &Context,
        tenant: &Tenant,
        drafts: &[ImportDraft],
    ) -> Result<ImportedEach, ServiceError> {
        match self.import_together(context, tenant, drafts).await {
            Err(error) if is_taken(&error) => {}
            other => return other,
        }
        let mut each = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let taken = |field, message: &str| vec![Err(ServiceError::invalid(field, message))];
            let one = match self.import_together(context, tenant, std::slice::from_ref(draft)).await {
                Err(ServiceError::Store(StoreError::Unique { constraint: UniqueRule::Digest, .. })) => {
                    taken("value", "there is a key with this value already")
                }
                Err(ServiceError::Store(StoreError::Unique { constraint: UniqueRule::ExternalReference, .. })) => {
                    taken("external_reference", REFERENCE_TAKEN)
                }
                other => other?,
            };
            each.extend(one);
        }
        Ok(each)
    }

    /// The tenant's imported keys with a number above `after`, by number; at most `limit`. The last use of each says
    /// whether it was seen.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn imported(self, tenant: &Tenant, after: u32, limit: u32) -> Result<Vec<KeyView>, ServiceError> {
        let core = self.core();
        let now = core.clock.now();
        let rows = core.store.read().list_imported_keys(tenant, after, limit).await?;
        Ok(rows.into_iter().map(|row| KeyView::new(row, now)).collect())
    }

    async fn import_together(
        self,
        context: &Context,
        tenant: &Tenant,
        drafts: &[ImportDraft],
    ) -> Result<ImportedEach, ServiceError> {
        let core = self.core();
        let ring = core.secrets.ring().get();
        let mut unit = match drafts {
            [] | [_] => Unit::begin(core, context).await?,
            _ => Unit::begin_alone(core, context).await?,
        };
        let (business, profile) = self.open_for_change(&mut unit, &tenant.business).await?;
        unit.check_member(&tenant.business, Operation::KeysWrite, tenant.environment == Environment::Live).await?;
        if !profile.environments.offers(tenant.environment) {
            return Err(ServiceError::invalid("environment", "the profile of this business has no such environment"));
        }
        let digests: Vec<Digests> = drafts.iter().map(|draft| Digests::of(&draft.value, &ring)).collect();
        let all: Vec<KeyDigest> = digests.iter().flat_map(Digests::all).copied().collect();
        let known = unit.tx.read().find_known_digests(&all).await?;
        let mut known: HashMap<[u8; 32], KnownDigest> =
            known.into_iter().map(|known| (*known.digest.as_bytes(), known)).collect();
        let wanted: Vec<String> =
            drafts.iter().filter_map(|draft| draft.external_reference.as_ref()).map(ToString::to_string).collect();
        let mut batch = Batch {
            core,
            context,
            profile,
            tenant,
            ring,
            number: unit.tx.read().max_number(tenant).await?,
            references: unit.tx.read().find_taken_references(&business.id, &wanted).await?,
        };
        let mut added = Vec::new();
        let mut each = Vec::with_capacity(drafts.len());
        for (draft, digests) in drafts.iter().zip(&digests) {
            // Said of the text alone, before anything is said of who has it.
            let judged = batch.check_value(draft).and_then(|()| {
                match digests.all().find_map(|digest| known.get(digest.as_bytes())) {
                    Some(known) if known.tenant == *tenant => Ok(Some(known.key)),
                    // Whose it is stays unsaid where it is somebody else's.
                    Some(_) => Err(ServiceError::invalid("value", "is a key of somebody else already")),
                    None => Ok(None),
                }
            });
            each.push(match judged {
                Err(error) => Err(error),
                Ok(Some(key)) => Ok(Imported::Known(key)),
                Ok(None) => match batch.add(&unit, draft, digests.stored()) {
                    Err(error) => Err(error),
                    Ok(new) => {
                        let (digest, key) = (new.version.digest, new.key.id);
                        known.insert(*digest.as_bytes(), KnownDigest { digest, key, tenant: tenant.clone() });
                        let view = KeyView::new(new.key.clone(), unit.now);
                        added.push(new);
                        Ok(Imported::New(Box::new(view)))
                    }
                },
            });
        }
        if added.is_empty() {
            unit.settle().await?;
        } else {
            unit.tx.insert_new_keys(&added).await?;
            let ids: Vec<KeyId> = added.iter().map(|new| new.key.id).collect();
            unit.commit_new_keys(&business.id, &ids).await?;
        }
        Ok(each)
    }
}

const REFERENCE_TAKEN: &str = "names another key of this business";

/// Keys that are made together.
struct Batch<'a> {
    core: &'a Core,
    context: &'a Context,
    profile: Arc<Profile>,
    tenant: &'a Tenant,
    ring: Arc<KeyRing>,
    /// The highest number given out.
    number: u32,
    /// The external references that are taken.
    references: HashSet<String>,
}

impl Batch<'_> {
    /// Whether the authenticator would take the text for what it is.
    fn check_value(&self, draft: &ImportDraft) -> Result<(), ServiceError> {
        let (secret, claim) = match &draft.value {
            ImportedValue::Text { secret, claim } => (secret, claim),
            ImportedValue::Sha256 { .. } => return self.check_unread("sha256"),
            ImportedValue::Hmac { pepper_version, .. } => {
                let current = self.ring.current_pepper();
                // Under an older one the same value may be here already, moved to the current one by its use.
                if *pepper_version != current {
                    return Err(ServiceError::invalid(
                        "pepper_version",
                        format!("is not {current}, the version of the pepper in use"),
                    ));
                }
                return self.check_unread("hmac_sha256");
            }
        };
        let length = secret.expose().len();
        match claim {
            TextClaim::Platform => Err(ServiceError::invalid("value", "is a platform key")),
            TextClaim::Branded { environment, kind }
                if *environment != self.tenant.environment || *kind != draft.key.kind =>
            {
                Err(ServiceError::invalid("value", format!("says of itself that it is a {environment} {kind} key")))
            }
            _ if length < SHORTEST => Err(ServiceError::invalid(
                "value",
                format!("is shorter than {SHORTEST} characters and could be guessed"),
            )),
            _ if !self.profile.business_id_required && self.core.settings.text_needs_business_id(*claim, length) => {
                Err(ServiceError::invalid(
                    "value",
                    "looks like a key of a profile whose callers send the business id, which callers of this one do not",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Lists of keys that can be read show their values, and of a digest there would be none.
    fn check_unread(&self, field: &'static str) -> Result<(), ServiceError> {
        if self.profile.reading == Reading::Always {
            Err(ServiceError::invalid(field, "is not enough here: keys of this profile can be read, so send the value"))
        } else {
            Ok(())
        }
    }

    /// The rows of one more key; its number and its external reference are taken from now on.
    fn add(&mut self, unit: &Unit<'_>, draft: &ImportDraft, digest: (KeyDigest, u32)) -> Result<NewKey, ServiceError> {
        let reference = draft.external_reference.as_ref().map(|reference| reference.as_str().to_owned());
        if reference.as_ref().is_some_and(|reference| self.references.contains(reference)) {
            return Err(ServiceError::invalid("external_reference", REFERENCE_TAKEN));
        }
        let key = self.row(unit, draft, reference.clone())?;
        check_values(self.core, &self.profile, &key)?;
        let secret = match &draft.value {
            ImportedValue::Text { secret, .. } => Some(secret),
            ImportedValue::Sha256 { .. } | ImportedValue::Hmac { .. } => None,
        };
        let maker = (unit.now, &self.context.actor);
        let version = version_row(self.core, maker, &self.profile, &key, digest, secret, VersionOrigin::Imported);
        let happened = Happened {
            event: EventType::KeyImported,
            business: &self.tenant.business,
            environment: Some(self.tenant.environment),
            key: Some(key.id),
            data: json!({
                "kind": key.kind, "number": key.number, "scopes": key.scopes,
                "valid_from": key.valid_from, "valid_until": key.valid_until, "state": key.state,
            }),
        };
        let (audit, event) = unit.rows_of(happened, None);
        self.number = key.number;
        self.references.extend(reference);
        Ok(NewKey { key, version, audit, event })
    }

    fn row(
        &self,
        unit: &Unit<'_>,
        draft: &ImportDraft,
        external_reference: Option<String>,
    ) -> Result<KeyRow, ServiceError> {
        let (core, wanted) = (self.core, &draft.key);
        if self.profile.form(wanted.kind).is_none() {
            return Err(ServiceError::invalid("kind", "the profile of this business has no such keys"));
        }
        let (mask_prefix, last_three) = match &draft.value {
            ImportedValue::Text { secret, claim } => {
                let prefix = match claim {
                    TextClaim::Branded { environment, kind } => {
                        branded_prefix(core.settings.brand(), *environment, *kind)
                    }
                    TextClaim::Plain | TextClaim::Platform => String::new(),
                };
                (prefix, secret.last_three().as_str().to_owned())
            }
            ImportedValue::Sha256 { last_three, .. } | ImportedValue::Hmac { last_three, .. } => {
                (String::new(), last_three.clone().unwrap_or_default())
            }
        };
        if last_three.len() > SHOWN_LEN || !last_three.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(ServiceError::invalid("last_three", "is at most three printable ASCII characters"));
        }
        let defaults = || self.profile.default_scopes(core.settings.catalogue(), wanted.kind);
        Ok(KeyRow {
            id: KeyId::new(unit.now, core.entropy.bytes()),
            tenant: self.tenant.clone(),
            kind: wanted.kind,
            number: self.number + 1,
            name: wanted.name.clone(),
            external_reference,
            state: wanted.state,
            valid_from: wanted.valid_from.unwrap_or(unit.now),
            valid_until: wanted.valid_until,
            scopes: wanted.scopes.clone().unwrap_or_else(defaults),
            allowed_origins: wanted.allowed_origins.clone(),
            allowed_ips: wanted.allowed_ips.clone(),
            limits: Limits::default(),
            metadata: wanted.metadata.clone(),
            current_version: 1,
            mask_prefix,
            last_three,
            previous_ends_at: None,
            created_at: unit.now,
            created_by: self.context.actor.clone(),
            revoked_at: None,
            revoked_by: None,
            updated_at: unit.now,
            last_used_at: None,
        })
    }
}
