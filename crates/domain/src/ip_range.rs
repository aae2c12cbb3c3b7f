//! Address ranges that a secret key may be used from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// An address or a range in CIDR notation (RFC 4632, RFC 4291 section 2.3), written without host bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpRange(IpNet);

/// A text that is no range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address range is written 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32, without host bits")]
pub struct InvalidIpRange;

impl IpRange {
    /// Whether `address` is in the range. An IPv4 address mapped into IPv6 counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether every address of this range is in `other` too.
    pub fn is_within(&self, other: &Self) -> bool {
        other.0.contains(&self.0)
    }
}

impl FromStr for IpRange {
    type Err = InvalidIpRange;

    fn from_str(text: &str) -> Result<Self, InvalidIpRange> {
        let net = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse::<IpNet>().map_err(|_| InvalidIpRange)?,
        };
        // Mapped ranges would never match: addresses are compared in their own family.
        let mapped = matches!(net, IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some());
        if net.trunc() != net || mapped {
            return Err(InvalidIpRange);
        }
        Ok(Self(net))
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            fmt::Display::fmt(&self.0.addr(), formatter)
        } else {
            fmt::Display::fmt(&self.0, formatter)
        }
    }
}

impl fmt::Debug for IpRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for IpRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IpRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_strictly_and_match_mapped_addresses() {
        let range: IpRange = "203.0.113.0/24".parse().expect("good");
        assert!(range.contains("203.0.113.9".parse().expect("address")));
        assert!(range.contains("::ffff:203.0.113.9".parse().expect("address")));
        assert!(!range.contains("203.0.114.9".parse().expect("address")));
        assert_eq!("203.0.113.7".parse::<IpRange>().expect("good").to_string(), "203.0.113.7");
        let within =
            |inner: &str, outer: &str| inner.parse::<IpRange>().expect("good").is_within(&outer.parse().expect("good"));
        assert!(within("203.0.113.7", "203.0.113.0/24") && within("203.0.113.0/24", "203.0.113.0/24"));
        assert!(!within("203.0.113.0/24", "203.0.113.0/25") && !within("::/0", "0.0.0.0/0"));
        for bad in ["", "203.0.113.1/24", "203.0.113.0/33", "example.com", "203.0.113", "::ffff:203.0.113.0/120"] {
            assert!(bad.parse::<IpRange>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,50}") {
            if let Ok(range) = text.parse::<IpRange>() {
                prop_assert_eq!(range.to_string().parse::<IpRange>(), Ok(range));
            }
        }
    }
}
