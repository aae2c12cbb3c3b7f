//! Which addresses a webhook may be sent to.
//!
//! A receiver is named by the business, so its address is whatever somebody outside chose. Nothing but the public
//! internet is reached, unless the operator lists a network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::environment::Environment;
use crate::ip_range::IpRange;

/// Where an address leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To the public internet.
    Public,
    /// To this very machine.
    Loopback,
    /// Into a network that is not public, or nowhere.
    Private,
}

/// The address that a packet ends up at, where an IPv6 address is only the wrapping of an IPv4 one: mapped (RFC 4291),
/// translated by the well-known NAT64 prefix (RFC 6052), 6to4 (RFC 3056) and Teredo (RFC 4380).
pub fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    match v6.segments() {
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => IpAddr::V4(v4_of(high, low)),
        // The client's address is there with all bits turned over.
        [0x2001, 0, .., high, low] => IpAddr::V4(v4_of(!high, !low)),
        _ => address,
    }
}

const fn v4_of(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

/// Where an address leads, after unwrapping.
pub fn reach(address: IpAddr) -> Reach {
    let tunnelled = matches!(address, IpAddr::V6(v6) if is_tunnel(v6));
    match unwrapped(address) {
        IpAddr::V4(v4) if v4.is_loopback() => Reach::Loopback,
        IpAddr::V4(v4) if is_public_v4(v4) && !tunnelled => Reach::Public,
        IpAddr::V6(v6) if v6.is_loopback() => Reach::Loopback,
        IpAddr::V6(v6) if is_public_v6(v6) => Reach::Public,
        IpAddr::V4(_) | IpAddr::V6(_) => Reach::Private,
    }
}

/// 6to4 and Teredo: relays of strangers stand between, so not even a public address inside is taken.
const fn is_tunnel(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    a == 0x2002 || (a == 0x2001 && b == 0)
}

/// Everything but IANA's registry of special-purpose IPv4 addresses (RFC 6890), multicast and what is reserved.
const fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

/// Global unicast (`2000::/3`) without IETF's protocol assignments, documentation and 6to4.
const fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let global = a & 0xe000 == 0x2000;
    let special = (a == 0x2001 && (b < 0x0200 || b == 0x0db8)) || a == 0x2002 || (a == 0x3fff && b < 0x1000);
    global && !special
}

/// Whether a webhook of this environment may be sent to this address: to the public internet always, elsewhere where
/// the operator lists the network. This machine is reached from TEST only, listed or not.
pub fn may_reach(address: IpAddr, environment: Environment, allowed: &[IpRange]) -> bool {
    let listed = || {
        let address = unwrapped(address);
        allowed.iter().any(|range| range.contains(address))
    };
    match (reach(address), environment) {
        (Reach::Public, _) => true,
        (Reach::Private, _) | (Reach::Loopback, Environment::Test) => listed(),
        (Reach::Loopback, Environment::Live) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|_| panic!("{text} is an address"))
    }

    #[test]
    fn the_table_of_addresses() {
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.255.255",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:200::1",
            "64:ff9b::101:101",
            "::ffff:1.1.1.1",
        ] {
            assert_eq!(reach(address(public)), Reach::Public, "{public}");
        }
        for loopback in ["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"] {
            assert_eq!(reach(address(loopback)), Reach::Loopback, "{loopback}");
        }
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a00:1",
            "100::1",
            "2001::1",
            "2001:0:5ef5:79fd:0:0:fefe:fefe",
            "2001:db8::1",
            "2002:a00:1::",
            "2002:101:101::",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert_eq!(reach(address(private)), Reach::Private, "{private}");
        }
    }

    #[test]
    fn teredo_hides_the_loopback_address_too() {
        let hidden = Ipv6Addr::new(0x2001, 0, 1, 2, 3, 4, !0x7f00, !0x0001);
        assert_eq!(reach(IpAddr::V6(hidden)), Reach::Loopback);
    }

    #[test]
    fn the_operators_list_opens_networks_and_loopback_for_test_only() {
        let listed: Vec<IpRange> =
            ["127.0.0.0/8", "::1", "10.1.0.0/16"].iter().map(|text| text.parse().expect("a range")).collect();
        for (text, test, live) in [
            ("127.0.0.1", true, false),
            ("::ffff:127.0.0.1", true, false),
            ("::1", true, false),
            ("10.1.2.3", true, true),
            ("64:ff9b::a01:203", true, true),
            ("10.2.0.1", false, false),
            ("169.254.169.254", false, false),
            ("9.9.9.9", true, true),
        ] {
            assert_eq!(may_reach(address(text), Environment::Test, &listed), test, "{text}");
            assert_eq!(may_reach(address(text), Environment::Live, &listed), live, "{text}");
        }
        assert!(!may_reach(address("127.0.0.1"), Environment::Test, &[]));
    }

    proptest! {
        #[test]
        fn no_wrapping_makes_a_private_address_public(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            let plain = reach(IpAddr::V4(v4));
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = ((a << 8) | b, (c << 8) | d);
            for wrapped in [
                v4.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 9, 9, 0, 0, !high, !low),
            ] {
                if plain != Reach::Public {
                    prop_assert_ne!(reach(IpAddr::V6(wrapped)), Reach::Public);
                }
            }
        }
    }
}
