//! The header fields that say how often a key may still be used (draft-ietf-httpapi-ratelimit-headers).

use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;
use trousseau_domain::limits::{Allowance, LimitOver, Period};

use crate::wire::limits::seconds;

/// Where each limit stands.
pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// Which limits there are.
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// A list on its way into a header field: every answer to a key with limits has two, so that they are put together
/// without a formatter.
#[derive(Default)]
struct List(SmallVec<[u8; 128]>);

impl List {
    fn text(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.text(itoa::Buffer::new().format(number))
    }

    /// Begins an item by the name that [`Allowance`] has as a text.
    fn item(&mut self, allowance: &Allowance) -> &mut Self {
        self.text(if self.0.is_empty() { "\"" } else { ", \"" }).text(allowance.of.as_str()).text("-");
        match allowance.over {
            LimitOver::Seconds(seconds) => self.number(seconds.into()).text("s"),
            LimitOver::Period(period) => self.text(period.as_str()),
        }
        .text("\"")
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("names and numbers are visible ASCII")
    }
}

/// Writes where the limits of the caller's key stand, if it has any.
pub(crate) fn write(headers: &mut HeaderMap, allowances: &[Allowance]) {
    if allowances.is_empty() {
        return;
    }
    let (mut policies, mut left) = (List::default(), List::default());
    for allowance in allowances {
        let policy = policies.item(allowance).text(";q=").number(allowance.limit);
        match allowance.over {
            LimitOver::Seconds(seconds) => policy.text(";w=").number(seconds.into()),
            LimitOver::Period(Period::Day) => policy.text(";w=86400"),
            // No month is as long as the other.
            LimitOver::Period(Period::Month) => policy,
        };
        left.item(allowance).text(";r=").number(allowance.remaining);
        left.text(";t=").number(seconds(allowance.resets_in));
    }
    headers.insert(RATE_LIMIT_POLICY, policies.value());
    headers.insert(RATE_LIMIT, left.value());
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
        for allowance in [&second, &day, &month] {
            assert_eq!(List::default().item(allowance).0.as_slice(), format!("\"{allowance}\"").as_bytes());
        }
        let mut headers = HeaderMap::new();
        write(&mut headers, &[]);
        assert!(headers.is_empty());
        write(&mut headers, &[second, day, month]);
        assert_eq!(headers[RATE_LIMIT_POLICY], r#""key-1s";q=10;w=1, "business-day";q=10;w=86400, "key-month";q=10"#);
        assert_eq!(headers[RATE_LIMIT], r#""key-1s";r=9;t=1, "business-day";r=9;t=1, "key-month";r=9;t=0"#);
    }
}
