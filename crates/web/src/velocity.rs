//! How fast payments may be started: by one checkout key, and from one address. Whoever found a key in a shop's page can
//! fill nobody's lists with payments that will never be paid.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use trousseau_domain::ids::KeyId;
use trousseau_domain::keys::KeyKind;
use trousseau_service::{App, KeyCaller};

use crate::problem::{Failure, Kind};

/// Payments that one checkout key may start in a minute, and at once.
const BY_KEY: u32 = 600;
/// The same from one address; many payers may be behind one.
const BY_ADDRESS: u32 = 60;
/// How many keys or addresses are remembered before those that did nothing lately are forgotten.
const REMEMBERED: usize = 50_000;
/// How often that is done at most: it looks at all of them, however many somebody made up.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// The time of the application, as the limiter counts it.
#[derive(Clone)]
struct Ticks(App);

impl Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let micros = u64::try_from(self.0.now().as_micros()).unwrap_or_default();
        Nanos::from(Duration::from_micros(micros))
    }
}

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, Ticks, NoOpMiddleware<Nanos>>;

/// Who started how much lately, on this node.
pub(crate) struct Velocity {
    clock: Ticks,
    by_key: Limiter<KeyId>,
    by_address: Limiter<IpAddr>,
    /// When something was last forgotten, in microseconds.
    forgot_at: AtomicI64,
}

impl fmt::Debug for Velocity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Velocity")
    }
}

impl Velocity {
    /// Nobody did anything yet.
    pub(crate) fn new(app: App) -> Self {
        let per_minute = |most: u32| Quota::per_minute(NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN));
        let clock = Ticks(app);
        Self {
            by_key: Limiter::hashmap_with_clock(per_minute(BY_KEY), clock.clone()),
            by_address: Limiter::hashmap_with_clock(per_minute(BY_ADDRESS), clock.clone()),
            clock,
            forgot_at: AtomicI64::new(i64::MIN),
        }
    }

    /// Counts that a key is used to start a payment. A backend's own key is not counted: its shop counts.
    ///
    /// # Errors
    /// [`Kind::RateLimited`], with when to come back.
    pub(crate) fn check_key(&self, caller: &KeyCaller, address: Option<IpAddr>) -> Result<(), Failure> {
        match caller.kind() {
            KeyKind::Secret => Ok(()),
            KeyKind::Checkout => {
                // The address first: one payer that is turned away takes nothing from the others.
                self.check_address(address)?;
                self.check(&self.by_key, &caller.key_id())
            }
        }
    }

    /// Counts that a payment is started from an address; nothing is said about one that is not known.
    ///
    /// # Errors
    /// As [`Velocity::check_key`].
    pub(crate) fn check_address(&self, address: Option<IpAddr>) -> Result<(), Failure> {
        address.map_or(Ok(()), |address| self.check(&self.by_address, &household(address)))
    }

    /// Whether it is time to forget; to one of those who ask at the same time.
    fn may_forget(&self) -> bool {
        let now = self.clock.0.now().as_micros();
        let pause = i64::try_from(FORGET_EVERY.as_micros()).unwrap_or(i64::MAX);
        let last = self.forgot_at.load(Ordering::Relaxed);
        now.saturating_sub(last) >= pause
            && self.forgot_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn check<K: std::hash::Hash + Eq + Clone>(&self, limiter: &Limiter<K>, key: &K) -> Result<(), Failure> {
        if limiter.len() > REMEMBERED && self.may_forget() {
            limiter.retain_recent();
        }
        limiter.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            Failure::new(Kind::RateLimited).with_retry_after(wait.max(Duration::from_secs(1)))
        })
    }
}

/// The addresses that one subscriber has: of IPv6 the network of 64 bits.
fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_household_is_one_address_or_one_network_of_64_bits() {
        for (address, same) in [
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ] {
            let parsed = |text: &str| text.parse::<IpAddr>().expect("an address");
            assert_eq!(household(parsed(address)), parsed(same), "{address}");
        }
    }
}
