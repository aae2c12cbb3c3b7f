//! Limits on the wire.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};
use trousseau_domain::limits::{Allowance, Quota, RateLimit, RateLimits};
use utoipa::ToSchema;

use crate::problem::Faults;

/// At most so many requests in so many seconds, all of which may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RateLimit)]
pub struct RateLimitBody {
    /// How many requests.
    #[schema(example = 100, minimum = 1, maximum = 1_000_000)]
    pub requests: u64,
    /// In how many seconds.
    #[schema(example = 60, minimum = 1, maximum = 86_400)]
    pub seconds: u64,
}

impl From<RateLimit> for RateLimitBody {
    fn from(rate: RateLimit) -> Self {
        Self { requests: rate.requests().into(), seconds: rate.seconds().into() }
    }
}

/// At most so many requests in a day and in a month of UTC; `null` is no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Quota)]
pub struct QuotaBody {
    /// How many requests a day.
    #[schema(example = 10_000, minimum = 1, maximum = 1_000_000_000_000_u64)]
    pub day: Option<u64>,
    /// How many requests a month.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_u64)]
    pub month: Option<u64>,
}

impl From<Quota> for QuotaBody {
    fn from(quota: Quota) -> Self {
        Self { day: quota.day.map(NonZeroU64::get), month: quota.month.map(NonZeroU64::get) }
    }
}

/// Where a limit stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Allowance)]
pub struct AllowanceBody {
    /// Whose it is and over which time: `key-60s`, `business-month`.
    #[schema(example = "key-60s")]
    pub name: String,
    /// How many requests it allows in that time.
    #[schema(example = 100)]
    pub limit: u64,
    /// How many are left.
    #[schema(example = 99)]
    pub remaining: u64,
    /// In how many seconds all of them are there again.
    #[schema(example = 1)]
    pub reset_seconds: u64,
}

impl From<&Allowance> for AllowanceBody {
    fn from(allowance: &Allowance) -> Self {
        Self {
            name: allowance.to_string(),
            limit: allowance.limit,
            remaining: allowance.remaining,
            reset_seconds: seconds(allowance.resets_in),
        }
    }
}

/// Whole seconds, never too few.
pub(crate) fn seconds(time: std::time::Duration) -> u64 {
    time.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
}

pub(super) fn read_rates(bodies: &[RateLimitBody], faults: &mut Faults) -> RateLimits {
    if bodies.len() > RateLimits::MOST {
        faults.senseless("/rate_limits", format!("has more than {} entries", RateLimits::MOST));
        return RateLimits::default();
    }
    let mut rates = Vec::with_capacity(bodies.len());
    for (index, body) in bodies.iter().enumerate() {
        let rate = match (u32::try_from(body.requests), u32::try_from(body.seconds)) {
            (Ok(requests), Ok(seconds)) => RateLimit::new(requests, seconds).ok(),
            _ => None,
        };
        match rate {
            Some(rate) => rates.push(rate),
            None => faults.senseless(
                &format!("/rate_limits/{index}"),
                format!(
                    "is not 1 to {} requests in 1 to {} seconds",
                    RateLimit::MOST_REQUESTS,
                    RateLimit::MOST_SECONDS
                ),
            ),
        }
    }
    faults.accept("/rate_limits", RateLimits::try_from(rates)).unwrap_or_default()
}

pub(super) fn read_quota(body: QuotaBody, faults: &mut Faults) -> Quota {
    let mut read = |pointer: &str, calls: Option<u64>| {
        let calls = calls?;
        let good = NonZeroU64::new(calls).filter(|calls| calls.get() <= Quota::MOST);
        if good.is_none() {
            faults.senseless(pointer, format!("is not 1 to {}; null is no bound", Quota::MOST));
        }
        good
    };
    Quota { day: read("/quota/day", body.day), month: read("/quota/month", body.month) }
}
