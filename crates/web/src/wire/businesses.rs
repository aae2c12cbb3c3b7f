//! Businesses on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trousseau_domain::business;
use trousseau_domain::ids::BusinessId;
use trousseau_domain::limits::{Quota, RateLimits};
use trousseau_domain::metadata::Metadata;
use trousseau_domain::profile::ProfileName;
use trousseau_domain::text::BusinessName;
use trousseau_domain::time::TimeZone;
use utoipa::ToSchema;

use super::Change;
use super::keys::{KeyWithValueBody, read_metadata};
use super::limits::{QuotaBody, RateLimitBody, read_quota, read_rates};
use crate::problem::{Failure, Faults};

/// The language of a business's e-mails and pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    En,
    /// French.
    Fr,
}

impl From<Language> for business::Language {
    fn from(language: Language) -> Self {
        match language {
            Language::En => Self::English,
            Language::Fr => Self::French,
        }
    }
}

/// A business: a tenant of the platform.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Business)]
pub struct BusinessBody {
    /// Its only id, in the form that its profile gives.
    #[schema(example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77")]
    pub id: String,
    /// What people call it.
    #[schema(example = "Atelier Lumière")]
    pub name: String,
    /// The rules that its keys follow.
    #[schema(example = "mileston")]
    pub profile: String,
    /// Where its days begin, by the name in the IANA database.
    #[schema(example = "Europe/Paris")]
    pub time_zone: String,
    /// `en` or `fr`.
    #[schema(value_type = Language)]
    pub language: &'static str,
    /// How fast all its keys of one environment together may be used; empty is any. The operator sets it.
    pub rate_limits: Vec<RateLimitBody>,
    /// How much, likewise.
    pub quota: QuotaBody,
    /// The operator's own notes.
    pub metadata: BTreeMap<String, String>,
    /// `active` or `suspended`.
    #[schema(example = "active")]
    pub status: &'static str,
    /// Since when it is suspended.
    #[schema(format = DateTime)]
    pub suspended_at: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// A new business with its first keys. LIVE values are shown here and never again, where the profile says so.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BusinessWithKeys)]
pub struct BusinessWithKeysBody {
    /// The business.
    pub business: BusinessBody,
    /// Its first keys.
    pub keys: Vec<KeyWithValueBody>,
}

/// A business to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBusiness)]
pub struct NewBusinessBody {
    /// At most 200 characters.
    #[schema(example = "Atelier Lumière", max_length = 200)]
    pub name: String,
    /// The platform's default profile unless given.
    pub profile: Option<String>,
    /// An id in the profile's form; one is made up unless given.
    pub id: Option<String>,
    /// `Europe/Paris` unless given.
    pub time_zone: Option<String>,
    /// `en` unless given.
    pub language: Option<Language>,
    /// At most 50 entries and 8 KiB.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// What [`NewBusinessBody`] says, in the domain's words.
#[derive(Debug)]
pub struct NewBusinessParts {
    /// The name.
    pub name: BusinessName,
    /// The profile's name.
    pub profile: Option<ProfileName>,
    /// The id asked for, in whichever form the profile gives.
    pub id: Option<String>,
    /// The zone.
    pub time_zone: Option<TimeZone>,
    /// The language.
    pub language: Option<business::Language>,
    /// The notes.
    pub metadata: Metadata,
}

impl TryFrom<NewBusinessBody> for NewBusinessParts {
    type Error = Failure;

    fn try_from(body: NewBusinessBody) -> Result<Self, Failure> {
        let mut faults = Faults::new();
        let name = faults.accept("/name", body.name.parse::<BusinessName>());
        if let Some(id) = &body.id {
            faults.accept("/id", id.parse::<BusinessId>());
        }
        let profile = body.profile.and_then(|text| faults.accept("/profile", text.parse::<ProfileName>()));
        let time_zone = body.time_zone.and_then(|text| faults.accept("/time_zone", text.parse::<TimeZone>()));
        let metadata = body.metadata.and_then(|entries| read_metadata(entries, &mut faults));
        faults.finish()?;
        Ok(Self {
            name: name.expect("a refused name is a fault above"),
            profile,
            id: body.id,
            time_zone,
            language: body.language.map(business::Language::from),
            metadata: metadata.unwrap_or_default(),
        })
    }
}

/// What changes of a business. Absent members stay as they are.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BusinessChange)]
pub struct BusinessChangeBody {
    /// The name.
    #[serde(default)]
    #[schema(value_type = String, required = false, max_length = 200, example = "Atelier Lumière")]
    pub name: Change<String>,
    /// The profile; only while the business has no keys.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    pub profile: Change<String>,
    /// Where its days begin. No instant moves with it.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    pub time_zone: Change<String>,
    /// The language.
    #[serde(default)]
    #[schema(value_type = Language, required = false)]
    pub language: Change<Language>,
    /// All its rates from now on: at most 4, of different times.
    #[serde(default)]
    #[schema(value_type = Vec<RateLimitBody>, required = false)]
    pub rate_limits: Change<Vec<RateLimitBody>>,
    /// Its quota from now on; what is left out of it, or `null`, is no bound.
    #[serde(default)]
    #[schema(value_type = Option<QuotaBody>, required = false)]
    pub quota: Change<QuotaBody>,
    /// All its notes from now on.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, required = false)]
    pub metadata: Change<BTreeMap<String, String>>,
}

/// What [`BusinessChangeBody`] says, in the domain's words. `None` leaves a member as it is.
#[derive(Debug, Default)]
pub struct BusinessChangeParts {
    /// The name.
    pub name: Option<BusinessName>,
    /// The profile's name.
    pub profile: Option<ProfileName>,
    /// The zone.
    pub time_zone: Option<TimeZone>,
    /// The language.
    pub language: Option<business::Language>,
    /// All rates.
    pub rates: Option<RateLimits>,
    /// The quota.
    pub quota: Option<Quota>,
    /// All notes.
    pub metadata: Option<Metadata>,
}

impl TryFrom<BusinessChangeBody> for BusinessChangeParts {
    type Error = Failure;

    fn try_from(body: BusinessChangeBody) -> Result<Self, Failure> {
        let mut faults = Faults::new();
        let name = body.name.required("/name", &mut faults);
        let time_zone = body.time_zone.required("/time_zone", &mut faults);
        let profile = body.profile.required("/profile", &mut faults);
        let rates = body.rate_limits.required("/rate_limits", &mut faults);
        let quota = body.quota.read(|quota| Some(read_quota(quota, &mut faults)));
        let metadata = body.metadata.required("/metadata", &mut faults);
        let parts = Self {
            name: name.and_then(|text| faults.accept("/name", text.parse::<BusinessName>())),
            profile: profile.and_then(|text| faults.accept("/profile", text.parse::<ProfileName>())),
            time_zone: time_zone.and_then(|text| faults.accept("/time_zone", text.parse::<TimeZone>())),
            language: body.language.required("/language", &mut faults).map(business::Language::from),
            rates: rates.map(|rates| read_rates(&rates, &mut faults)),
            quota: quota.map(Option::unwrap_or_default),
            metadata: metadata.and_then(|entries| read_metadata(entries, &mut faults)),
        };
        faults.finish()?;
        Ok(parts)
    }
}
