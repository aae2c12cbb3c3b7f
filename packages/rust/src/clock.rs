//! The time that answers are kept by: it goes on while the machine sleeps, and nobody can set it back.

#[cfg(any(test, not(target_os = "linux")))]
use std::time::{Instant, SystemTime};

/// Nanoseconds since some moment before this process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    /// The moment that is this much later.
    pub(crate) fn after(self, duration: std::time::Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    #[cfg(test)]
    pub(crate) const fn at_ms(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }
}

/// Now, by a clock of Linux that counts sleep itself.
#[cfg(target_os = "linux")]
pub(crate) fn now() -> Moment {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    Moment(seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or(0)))
}

/// Now. The clock on the wall tells of sleep.
#[cfg(not(target_os = "linux"))]
pub(crate) fn now() -> Moment {
    static COUNTED: std::sync::LazyLock<std::sync::Mutex<Counted>> =
        std::sync::LazyLock::new(std::sync::Mutex::default);
    let mut counted = COUNTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    counted.count(Instant::now(), SystemTime::now())
}

/// Time made of two clocks: one that stands still while the machine sleeps, and one that people set. From one look to
/// the next the longer of the two counts, so that an answer is dropped too early rather than kept too long.
#[cfg(any(test, not(target_os = "linux")))]
#[derive(Debug)]
struct Counted {
    steady: Instant,
    wall: SystemTime,
    total: Moment,
}

#[cfg(any(test, not(target_os = "linux")))]
impl Default for Counted {
    fn default() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now(), total: Moment(0) }
    }
}

#[cfg(any(test, not(target_os = "linux")))]
impl Counted {
    fn count(&mut self, steady: Instant, wall: SystemTime) -> Moment {
        let by_steady = steady.saturating_duration_since(self.steady);
        // Set back: the other one counts.
        let by_wall = wall.duration_since(self.wall).unwrap_or_default();
        (self.steady, self.wall) = (steady, wall);
        self.total = self.total.after(by_steady.max(by_wall));
        self.total
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn time_goes_on() {
        let before = now();
        std::thread::sleep(Duration::from_millis(20));
        assert!(now() >= before.after(Duration::from_millis(20)));
    }

    #[test]
    fn sleep_counts_and_a_clock_that_is_set_back_does_not() {
        let mut counted = Counted::default();
        let (mut steady, mut wall) = (counted.steady, counted.wall);
        let second = Duration::from_secs(1);
        let mut expected = Moment(0);
        for (by_steady, by_wall, back, counts) in [
            (1, 1, 0, 1),
            // Asleep.
            (0, 60, 0, 60),
            (1, 0, 3_600, 1),
            (1, 3_600, 0, 3_600),
            (1, 0, 3_600, 1),
            (2, 2, 0, 2),
        ] {
            steady += second * by_steady;
            wall = wall + second * by_wall - second * back;
            expected = expected.after(second * counts);
            assert_eq!(counted.count(steady, wall), expected);
        }
    }
}
