//! Payline's keys on the wire: whole days in the merchant's time zone.

use serde::{Deserialize, Serialize};
use trousseau_domain::keys::KeyState;
use trousseau_domain::time::Day;
use utoipa::{IntoParams, ToSchema};

use super::Change;
use crate::problem::{Failure, Faults};
use crate::query::refused;

/// The switch of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = PaylineState)]
pub enum State {
    /// Switched on.
    Active,
    /// Switched off.
    Inactive,
}

impl From<State> for KeyState {
    fn from(state: State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Inactive => Self::Inactive,
        }
    }
}

impl From<KeyState> for State {
    fn from(state: KeyState) -> Self {
        match state {
            KeyState::Active => Self::Active,
            KeyState::Inactive => Self::Inactive,
        }
    }
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PaylineKey)]
pub struct ItemBody {
    /// The key's number.
    #[schema(example = 1, minimum = 1)]
    pub id: u32,
    /// Twenty letters and digits; empty on imported keys only.
    #[schema(example = "q7YbT2mXc9LrV4kPz8Wd")]
    pub external_reference: Option<String>,
    /// Five asterisks and the last three characters.
    #[schema(example = "*****x7Q")]
    pub masked_value: String,
    /// The first day.
    #[schema(example = "2026-01-31")]
    pub start_date: String,
    /// The last day, included.
    #[schema(example = "2026-12-31")]
    pub end_date: Option<String>,
    /// The switch.
    pub state: State,
    /// Whether switch and dates let it be used now.
    pub in_force: bool,
}

/// A key with its value where that may be read.
#[derive(Serialize, ToSchema)]
#[schema(as = PaylineKeyWithValue)]
pub struct ItemWithValueBody {
    /// The key.
    #[serde(flatten)]
    pub item: ItemBody,
    /// The value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "q7YbT2mXc9LrV4kPz8Wd")]
    pub value: Option<String>,
    /// The ready-made `Authorization` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
}

impl std::fmt::Debug for ItemWithValueBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ItemWithValueBody").field("item", &self.item).finish_non_exhaustive()
    }
}

/// One page of the keys.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PaylineKeys)]
pub struct PageBody {
    /// The keys of this page.
    pub items: Vec<ItemBody>,
    /// How many there are on all pages.
    pub total: u64,
    /// Which page this is, from 1.
    pub page: u32,
    /// How many a page has at most.
    pub page_size: u32,
}

/// A key to make.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = PaylineNewKey)]
pub struct NewBody {
    /// `ACTIVE` unless given.
    pub state: Option<State>,
    /// Today unless given.
    #[schema(example = "2026-01-31")]
    pub start_date: Option<String>,
    /// None unless given.
    #[schema(example = "2026-12-31")]
    pub end_date: Option<String>,
}

/// What [`NewBody`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewParts {
    /// The switch.
    pub state: State,
    /// The first day; absent is today.
    pub start: Option<Day>,
    /// The last day, included.
    pub end: Option<Day>,
}

impl TryFrom<NewBody> for NewParts {
    type Error = Failure;

    fn try_from(body: NewBody) -> Result<Self, Failure> {
        let mut faults = Faults::new();
        let parts = Self {
            state: body.state.unwrap_or(State::Active),
            start: body.start_date.and_then(|text| faults.read("/startDate", text.parse())),
            end: body.end_date.and_then(|text| faults.read("/endDate", text.parse())),
        };
        faults.finish()?;
        Ok(parts)
    }
}

/// What changes of a key.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = PaylineKeyChange)]
pub struct ChangeBody {
    /// The switch.
    #[serde(default)]
    #[schema(value_type = State, required = false)]
    pub state: Change<State>,
    /// The first day.
    #[serde(default)]
    #[schema(value_type = String, example = "2026-01-31", required = false)]
    pub start_date: Change<String>,
    /// The last day, included; `null` is none.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "2026-12-31")]
    pub end_date: Change<String>,
}

/// What [`ChangeBody`] says. `None` leaves a member as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeParts {
    /// The switch.
    pub state: Option<State>,
    /// The first day.
    pub start: Option<Day>,
    /// The last day, or none.
    pub end: Option<Option<Day>>,
}

impl TryFrom<ChangeBody> for ChangeParts {
    type Error = Failure;

    fn try_from(body: ChangeBody) -> Result<Self, Failure> {
        let mut faults = Faults::new();
        let start = body.start_date.required("/startDate", &mut faults);
        let parts = Self {
            state: body.state.required("/state", &mut faults),
            start: start.and_then(|text| faults.read("/startDate", text.parse())),
            end: body.end_date.read(|text| faults.read("/endDate", text.parse())),
        };
        faults.finish()?;
        Ok(parts)
    }
}

/// The parameters of the list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct ListParameters {
    /// Which page, from 1.
    #[param(value_type = Option<u32>, minimum = 1)]
    pub page: Option<String>,
    /// How many a page has at most; 10 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    pub page_size: Option<String>,
    /// `-startDate` (unless given), `startDate`, `id` or `-id`.
    pub sort: Option<String>,
    /// `test` (unless given) or `live`.
    pub environment: Option<String>,
}

/// What the keys are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// By first day.
    StartDate,
    /// By first day, the latest first.
    StartDateDescending,
    /// By number.
    Id,
    /// By number, the latest first.
    IdDescending,
}

/// Which page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageParts {
    /// From 1.
    pub page: u32,
    /// 1 to 100.
    pub page_size: u32,
    /// The order.
    pub sort: Sort,
}

impl TryFrom<&ListParameters> for PageParts {
    type Error = Failure;

    fn try_from(parameters: &ListParameters) -> Result<Self, Failure> {
        let number = |name: &str, text: Option<&String>, default: u32, most: u32| match text.map(|text| text.parse()) {
            None => Ok(default),
            Some(Ok(number)) if (1..=most).contains(&number) => Ok(number),
            Some(_) => Err(refused(name, format!("must be a number from 1 to {most}"))),
        };
        Ok(Self {
            page: number("page", parameters.page.as_ref(), 1, 1_000_000)?,
            page_size: number("pageSize", parameters.page_size.as_ref(), 10, 100)?,
            sort: match parameters.sort.as_deref() {
                None | Some("-startDate") => Sort::StartDateDescending,
                Some("startDate") => Sort::StartDate,
                Some("id") => Sort::Id,
                Some("-id") => Sort::IdDescending,
                Some(_) => {
                    return Err(refused("sort", "must be one of startDate, -startDate, id, -id"));
                }
            },
        })
    }
}

/// What `GET /v1/checkout/alive` answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaylineAlive)]
pub struct AliveBody {
    result: AliveResult,
}

/// The result of a call that worked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaylineAccepted)]
struct AliveResult {
    /// Always `ACCEPTED`.
    #[schema(example = "ACCEPTED")]
    title: &'static str,
    /// Always `00000`.
    #[schema(example = "00000")]
    code: &'static str,
    /// Always the same.
    #[schema(example = "Transaction approved")]
    detail: &'static str,
}

impl Default for AliveBody {
    fn default() -> Self {
        Self { result: AliveResult { title: "ACCEPTED", code: "00000", detail: "Alive" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    #[test]
    fn days_and_states_are_strict() {
        let new = |text: &str| parse::<NewBody>(text.as_bytes()).and_then(NewParts::try_from);
        let good = new(r#"{"state":"INACTIVE","startDate":"2026-01-31","endDate":null}"#).expect("good");
        assert_eq!((good.state, good.end), (State::Inactive, None));
        for bad in [
            r#"{"state":"active"}"#,
            r#"{"startDate":"31/01/2026"}"#,
            r#"{"endDate":"2026-02-30"}"#,
            r#"{"endDate":20260101}"#,
            r#"{"name":"x"}"#,
        ] {
            assert!(new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn null_clears_the_end_and_nothing_else() {
        let change = |text: &str| parse::<ChangeBody>(text.as_bytes()).and_then(ChangeParts::try_from);
        assert_eq!(change(r#"{"endDate":null}"#).expect("good").end, Some(None));
        assert_eq!(change("{}").expect("good"), ChangeParts { state: None, start: None, end: None });
        assert!(change(r#"{"startDate":null}"#).is_err());
        assert!(change(r#"{"state":null}"#).is_err());
    }

    #[test]
    fn pages_have_bounds() {
        let page = |page: Option<&str>, size: Option<&str>| {
            PageParts::try_from(&ListParameters {
                page: page.map(str::to_owned),
                page_size: size.map(str::to_owned),
                ..ListParameters::default()
            })
        };
        assert_eq!(page(None, None).expect("good").page_size, 10);
        assert_eq!(page(Some("2"), Some("100")).expect("good").page, 2);
        for (number, size) in [(Some("0"), None), (None, Some("101")), (Some("x"), None), (None, Some("-1"))] {
            assert!(page(number, size).is_err(), "{number:?} {size:?}");
        }
    }
}
