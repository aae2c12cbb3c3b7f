//! The header fields that say how often a key may still be used (draft-ietf-httpapi-ratelimit-headers).

use trousseau_domain::limits::{Allowance, LimitOver, Period};

use crate::fields::Fields;
use crate::wire::limits::seconds;

/// Where each limit stands.
pub(crate) const RATE_LIMIT: &str = "ratelimit";
/// Which limits there are.
pub(crate) const RATE_LIMIT_POLICY: &str = "ratelimit-policy";

/// A list on its way into a header field: every answer to a key with limits has two, so that they are put together
/// without a formatter.
struct List<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> List<'a> {
    const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, is_empty: true }
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.text(itoa::Buffer::new().format(number))
    }

    /// Begins an item by the name that [`Allowance`] has as a text.
    fn item(&mut self, allowance: &Allowance) -> &mut Self {
        let begins = if std::mem::take(&mut self.is_empty) { "\"" } else { ", \"" };
        self.text(begins).text(allowance.of.as_str()).text("-");
        match allowance.over {
            LimitOver::Seconds(seconds) => self.number(seconds.into()).text("s"),
            LimitOver::Period(period) => self.text(period.as_str()),
        }
        .text("\"")
    }
}

/// Writes where the limits of the caller's key stand, if it has any.
pub(crate) fn write(fields: &mut impl Fields, allowances: &[Allowance]) {
    if allowances.is_empty() {
        return;
    }
    fields.put_made(RATE_LIMIT_POLICY, |out| {
        let mut policies = List::new(out);
        for allowance in allowances {
            let policy = policies.item(allowance).text(";q=").number(allowance.limit);
            match allowance.over {
                LimitOver::Seconds(seconds) => policy.text(";w=").number(seconds.into()),
                LimitOver::Period(Period::Day) => policy.text(";w=86400"),
                // No month is as long as the other.
                LimitOver::Period(Period::Month) => policy,
            };
        }
    });
    fields.put_made(RATE_LIMIT, |out| {
        let mut left = List::new(out);
        for allowance in allowances {
            left.item(allowance).text(";r=").number(allowance.remaining);
            left.text(";t=").number(seconds(allowance.resets_in));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;
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
            let mut item = Vec::new();
            List::new(&mut item).item(allowance);
            assert_eq!(item, format!("\"{allowance}\"").into_bytes());
        }
        let mut headers = HeaderMap::new();
        write(&mut headers, &[]);
        assert!(headers.is_empty());
        write(&mut headers, &[second, day, month]);
        assert_eq!(headers[RATE_LIMIT_POLICY], r#""key-1s";q=10;w=1, "business-day";q=10;w=86400, "key-month";q=10"#);
        assert_eq!(headers[RATE_LIMIT], r#""key-1s";r=9;t=1, "business-day";r=9;t=1, "key-month";r=9;t=0"#);
    }
}
