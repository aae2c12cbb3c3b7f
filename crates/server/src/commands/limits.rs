//! Limits on the command line.

use std::num::NonZeroU64;

use serde_json::{Value, json};
use trousseau_domain::limits::{Limits, Quota, RateLimits};

use super::read_all;
use crate::cli::LimitChange;
use crate::exit::Failure;

/// The rates that these texts say; an empty text says nothing.
pub(crate) fn rates(texts: &[String]) -> Result<RateLimits, Failure> {
    let texts: Vec<String> = texts.iter().filter(|text| !text.is_empty()).cloned().collect();
    let rates: Vec<_> = read_all("--rate-limit", &texts)?;
    RateLimits::try_from(rates).map_err(|error| Failure::usage(format!("--rate-limit: {error}")))
}

/// What was named, of limits that are these now.
pub(crate) fn changed(named: &LimitChange, now: &Limits) -> Result<(Option<RateLimits>, Option<Quota>), Failure> {
    let rates = named.rate_limits.as_deref().map(rates).transpose()?;
    let quota = match (named.quota_day, named.quota_month) {
        (None, None) => None,
        (day, month) => Some(quota(now.quota, day, month)?),
    };
    Ok((rates, quota))
}

/// The quota with what was named; 0 is any number.
pub(crate) fn quota(old: Quota, day: Option<u64>, month: Option<u64>) -> Result<Quota, Failure> {
    let calls = |name: &str, old, named: Option<u64>| match named {
        None => Ok(old),
        Some(calls) if calls > Quota::MOST => Err(Failure::usage(format!("{name} is at most {}", Quota::MOST))),
        Some(calls) => Ok(NonZeroU64::new(calls)),
    };
    Ok(Quota { day: calls("--quota-day", old.day, day)?, month: calls("--quota-month", old.month, month)? })
}

pub(crate) fn rates_json(rates: &RateLimits) -> Value {
    let rate =
        |rate: &trousseau_domain::limits::RateLimit| json!({ "requests": rate.requests(), "seconds": rate.seconds() });
    rates.as_slice().iter().map(rate).collect()
}

pub(crate) fn quota_json(quota: Quota) -> Value {
    json!({ "day": quota.day, "month": quota.month })
}

/// All limits in one line.
pub(crate) fn words(limits: &Limits) -> String {
    let mut words = limits.rates.texts();
    words.extend(limits.quota.day.map(|calls| format!("{calls} a day")));
    words.extend(limits.quota.month.map(|calls| format!("{calls} a month")));
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
