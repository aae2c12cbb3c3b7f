//! Codat's keys on the wire. Its published clients reject a `null` date and never look at unknown members.

use serde::{Deserialize, Serialize};
use trousseau_domain::ids::KeyId;
use trousseau_domain::text::KeyName;
use trousseau_domain::time::Timestamp;
use utoipa::ToSchema;

use crate::problem::{Failure, Faults};

/// A key with its value.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CodatApiKey)]
pub struct ApiKeyBody {
    /// A GUID.
    #[schema(example = "0190f7a2-8c4e-7b1d-9e3f-5a6b7c8d9e0f")]
    id: String,
    /// Left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "invoice-job")]
    name: Option<String>,
    /// The value. A list leaves out that of a key with a longer life, wider limits or other addresses than its reader's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "q7YbT2mXc9LrV4kPz8Wd0aB1cD2eF3gH4iJ5kL6m")]
    api_key: Option<String>,
    /// UTC, in whole seconds.
    #[schema(example = "2022-04-23T09:43:48Z")]
    created_date: String,
}

impl ApiKeyBody {
    /// The key of this id, with its value where that is shown.
    pub fn new(id: KeyId, name: Option<&KeyName>, value: Option<&str>, created_at: Timestamp) -> Self {
        Self {
            id: id.to_guid().hyphenated().to_string(),
            name: name.map(|name| name.as_str().to_owned()),
            api_key: value.map(ToOwned::to_owned),
            created_date: created_at.truncated_to_second().to_string(),
        }
    }
}

impl std::fmt::Debug for ApiKeyBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ApiKeyBody").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Every key of the client.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CodatApiKeys)]
pub struct ApiKeysBody {
    /// Oldest first.
    pub results: Vec<ApiKeyBody>,
}

/// A key to make.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = CodatCreateApiKey)]
pub struct CreateBody {
    /// At most 50 characters.
    #[schema(example = "invoice-job", max_length = 50)]
    name: Option<String>,
}

impl CreateBody {
    /// The name; blank means none.
    pub fn into_name(self) -> Result<Option<KeyName>, Failure> {
        let mut faults = Faults::new();
        let name = self.name.and_then(|text| faults.accept("/name", KeyName::parse_optional(&text))).flatten();
        faults.finish()?;
        Ok(name)
    }
}

/// The key that a path names; `None` where it is no GUID, which is a key that is not there.
pub fn key_id(path: &str) -> Option<KeyId> {
    path.parse().ok().map(KeyId::from_guid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_members_that_the_clients_parse() {
        let created: Timestamp = "2022-04-23T09:43:48.123456Z".parse().expect("an instant");
        let id = KeyId::from_bits(7);
        let bare = serde_json::to_string(&ApiKeyBody::new(id, None, Some("v"), created)).expect("serialises");
        assert_eq!(
            bare,
            r#"{"id":"00000000-0000-0000-0000-000000000007","apiKey":"v","createdDate":"2022-04-23T09:43:48Z"}"#
        );
        assert_eq!(key_id("00000000-0000-0000-0000-000000000007"), Some(id));
        assert_eq!(key_id("nonsense"), None);
    }

    #[test]
    fn a_name_is_optional_and_bounded_in_code_points() {
        let name = |text: &str| crate::body::parse::<CreateBody>(text.as_bytes()).and_then(CreateBody::into_name);
        assert!(name(r#"{"name":null,"other":1}"#).expect("good").is_none());
        assert!(name(r#"{"name":"   "}"#).expect("good").is_none());
        assert!(name(&format!(r#"{{"name":"{}"}}"#, "é".repeat(50))).expect("good").is_some());
        for bad in [format!(r#"{{"name":"{}"}}"#, "é".repeat(51)), r#"{"name":"a\n"}"#.to_owned(), "[]".to_owned()] {
            assert!(name(&bad).is_err(), "{bad}");
        }
    }
}
