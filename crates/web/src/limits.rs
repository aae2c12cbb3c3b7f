//! The header fields that say how often a key may still be used (draft-ietf-httpapi-ratelimit-headers).

use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt::Write as _;
use trousseau_domain::limits::{Allowance, LimitOver, Period};

use crate::wire::limits::seconds;

/// Where each limit stands.
pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// Which limits there are.
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Writes where the limits of the caller's key stand, if it has any.
pub(crate) fn write(headers: &mut HeaderMap, allowances: &[Allowance]) {
    if allowances.is_empty() {
        return;
    }
    let (mut policies, mut left) = (String::new(), String::new());
    for allowance in allowances {
        let comma = if policies.is_empty() { "" } else { ", " };
        let Allowance { limit, remaining, .. } = allowance;
        // Writing into a text does not fail.
        let _ = write!(policies, "{comma}\"{allowance}\";q={limit}");
        match allowance.over {
            LimitOver::Seconds(seconds) => drop(write!(policies, ";w={seconds}")),
            LimitOver::Period(Period::Day) => policies.push_str(";w=86400"),
            // No month is as long as the other.
            LimitOver::Period(Period::Month) => {}
        }
        let _ = write!(left, "{comma}\"{allowance}\";r={remaining};t={}", seconds(allowance.resets_in));
    }
    for (name, value) in [(RATE_LIMIT_POLICY, policies), (RATE_LIMIT, left)] {
        headers.insert(name, HeaderValue::try_from(value).expect("names and numbers are visible ASCII"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use trousseau_domain::limits::LimitOf;

    use super::*;

    #[test]
    fn each_limit_is_an_item_of_both_lists() {
        let second = Allowance {
            of: LimitOf::Key,
            over: LimitOver::Seconds(1),
            limit: 10,
            remaining: 9,
            resets_in: Duration::from_millis(100),
        };
        let day = Allowance { of: LimitOf::Business, over: LimitOver::Period(Period::Day), ..second };
        let month = Allowance { over: LimitOver::Period(Period::Month), resets_in: Duration::ZERO, ..second };
        let mut headers = HeaderMap::new();
        write(&mut headers, &[]);
        assert!(headers.is_empty());
        write(&mut headers, &[second, day, month]);
        assert_eq!(headers[RATE_LIMIT_POLICY], r#""key-1s";q=10;w=1, "business-day";q=10;w=86400, "key-month";q=10"#);
        assert_eq!(headers[RATE_LIMIT], r#""key-1s";r=9;t=1, "business-day";r=9;t=1, "key-month";r=9;t=0"#);
    }
}
