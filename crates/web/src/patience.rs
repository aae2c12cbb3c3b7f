//! Addresses that send mostly bad keys are made to wait, so that what they cost stays small and others get their share.
//!
//! Nobody is refused for it: a request that has to wait is judged as any other one afterwards. A connection has one
//! request at a time, so whoever waits sends nothing more on it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Calls of the last one or two of these count.
const WINDOW: Duration = Duration::from_secs(5);
/// Bad keys that an address may send in that time before it has to wait.
const BAD_ALLOWED: u32 = 50;
/// And only if this many times as many of its calls were bad as were good: a proxy of many callers is none of these.
const BAD_FOR_A_GOOD: u32 = 9;
/// How far apart the requests of such an address are then.
const APART: Duration = Duration::from_millis(20);
/// The longest that one request waits.
const LONGEST: Duration = Duration::from_secs(5);
/// Addresses that are remembered; further ones are not.
const MOST: usize = 20_000;

/// What an address sent.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    bad: u32,
    good: u32,
    /// When its next request is due.
    due: Option<Instant>,
}

impl Sent {
    const fn is_mostly_bad(self) -> bool {
        self.bad >= BAD_ALLOWED && self.bad / BAD_FOR_A_GOOD >= self.good
    }
}

#[derive(Debug)]
struct Windows {
    began: Instant,
    now: HashMap<IpAddr, Sent>,
    before: HashMap<IpAddr, Sent>,
}

/// Who has to wait.
#[derive(Debug)]
pub(crate) struct Patience {
    windows: Mutex<Windows>,
    /// Whether any address has sent a bad key lately: nobody else pays for this.
    is_needed: AtomicBool,
}

impl Default for Patience {
    fn default() -> Self {
        let windows = Windows { began: Instant::now(), now: HashMap::new(), before: HashMap::new() };
        Self { windows: Mutex::new(windows), is_needed: AtomicBool::new(false) }
    }
}

/// An address as its network hands it out: one of IPv4, 64 bits of IPv6.
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Windows {
    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.began);
        if age >= WINDOW {
            let ended = std::mem::take(&mut self.now);
            self.before = if age < WINDOW * 2 { ended } else { HashMap::new() };
            self.began = now;
        }
    }

    fn sent(&self, place: &IpAddr) -> Sent {
        let [now, before] = [&self.now, &self.before].map(|window| window.get(place).copied().unwrap_or_default());
        Sent {
            bad: now.bad.saturating_add(before.bad),
            good: now.good.saturating_add(before.good),
            due: now.due.max(before.due),
        }
    }
}

impl Patience {
    /// How long the next request of an address has to wait, if at all.
    pub(crate) fn wait(&self, address: IpAddr, now: impl FnOnce() -> Instant) -> Option<Duration> {
        let (mut windows, now) = self.needed(now)?;
        let place = place(address);
        let sent = windows.sent(&place);
        if !sent.is_mostly_bad() {
            return None;
        }
        let due = sent.due.map_or(now, |due| due.max(now)).min(now + LONGEST);
        windows.now.entry(place).or_default().due = Some(due + APART);
        Some(due - now).filter(|wait| !wait.is_zero())
    }

    /// Whether the next request of an address may have to wait.
    pub(crate) fn slows(&self, address: IpAddr, now: impl FnOnce() -> Instant) -> bool {
        self.needed(now).is_some_and(|(windows, _)| windows.sent(&place(address)).is_mostly_bad())
    }

    /// What was sent lately, unless nobody has sent a bad key.
    fn needed(&self, now: impl FnOnce() -> Instant) -> Option<(MutexGuard<'_, Windows>, Instant)> {
        if !self.is_needed.load(Ordering::Relaxed) {
            return None;
        }
        let now = now();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.turn(now);
        if windows.now.is_empty() && windows.before.is_empty() {
            self.is_needed.store(false, Ordering::Relaxed);
            return None;
        }
        Some((windows, now))
    }

    /// Notes whether an address sent a key that is good.
    pub(crate) fn note(&self, address: IpAddr, is_bad: bool, now: impl FnOnce() -> Instant) {
        if !is_bad && !self.is_needed.load(Ordering::Relaxed) {
            return;
        }
        let now = now();
        let place = place(address);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.turn(now);
        let is_known = windows.now.contains_key(&place) || windows.before.contains_key(&place);
        if !is_known && (!is_bad || windows.now.len() >= MOST) {
            return;
        }
        let sent = windows.now.entry(place).or_default();
        let counter = if is_bad { &mut sent.bad } else { &mut sent.good };
        *counter = counter.saturating_add(1);
        self.is_needed.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    fn send(patience: &Patience, address: IpAddr, bad: u32, good: u32, now: Instant) {
        (0..bad).for_each(|_| patience.note(address, true, || now));
        (0..good).for_each(|_| patience.note(address, false, || now));
    }

    #[tokio::test]
    async fn whoever_sends_mostly_bad_keys_waits_and_nobody_else() {
        let (patience, now) = (Patience::default(), Instant::now());
        assert!(!patience.is_needed.load(Ordering::Relaxed));
        send(&patience, address(1), 0, 1_000, now);
        assert!(!patience.is_needed.load(Ordering::Relaxed), "good calls alone cost nothing");
        send(&patience, address(1), BAD_ALLOWED - 1, 0, now);
        assert_eq!(patience.wait(address(1), || now), None);
        let slowed = |now| [1, 2].map(|last| patience.slows(address(last), || now));
        assert_eq!(slowed(now), [false, false]);
        send(&patience, address(1), 1, 0, now);
        assert_eq!(slowed(now), [true, false]);
        // The first is due at once, the others one after the other.
        let waits: Vec<_> = (0..4).map(|_| patience.wait(address(1), || now)).collect();
        assert_eq!(waits, [None, Some(APART), Some(APART * 2), Some(APART * 3)]);
        assert_eq!(patience.wait(address(2), || now), None);
        // A proxy of many callers, some of which have bad keys.
        send(&patience, address(3), 90, 0, now);
        send(&patience, address(3), 0, 11, now);
        assert_eq!(patience.wait(address(3), || now), None);
        // One that has stopped is forgotten, and costs nothing any more.
        assert_eq!(slowed(now + WINDOW), [true, false]);
        assert_eq!(slowed(now + WINDOW * 3), [false, false]);
        assert!(!patience.is_needed.load(Ordering::Relaxed));
        assert_eq!(patience.wait(address(1), || now + WINDOW * 3), None);
    }

    #[tokio::test]
    async fn nobody_waits_for_ever_and_no_number_of_addresses_fills_the_memory() {
        let (patience, now) = (Patience::default(), Instant::now());
        send(&patience, address(1), BAD_ALLOWED, 0, now);
        let waits: Vec<_> = (0..1_000).filter_map(|_| patience.wait(address(1), || now)).collect();
        assert_eq!(waits.last(), Some(&LONGEST));
        for number in 0..30_000_u32 {
            patience.note(IpAddr::from(number.to_be_bytes()), true, || now);
        }
        assert!(patience.windows.lock().expect("not poisoned").now.len() <= MOST);
        // All addresses of one customer are one.
        let [one, other]: [IpAddr; 2] = ["2001:db8::1", "2001:db8::ffff:2"].map(|text| text.parse().expect("good"));
        assert_eq!(place(one), place(other));
    }
}
