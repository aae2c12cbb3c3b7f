//! How much a node is asked at once.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Questions that went well before more is asked at once again.
pub(crate) const WELL_BEFORE_MORE: u32 = 50;

/// How much a node is asked at once: half of what it would not answer, and twice as much again after a while of answers,
/// since what it refused may have been no matter of size.
#[derive(Debug)]
pub(crate) struct Portion {
    size: AtomicU64,
    most: u64,
    well: AtomicU32,
}

impl Portion {
    /// So much at first and at most, at least one.
    pub(crate) fn new(most: u64) -> Self {
        let most = most.max(1);
        Self { size: AtomicU64::new(most), most, well: AtomicU32::new(0) }
    }

    /// How much to ask now; at least one.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// It did not answer to so much: less the next time.
    pub(crate) fn was_too_much(&self, asked: u64) {
        self.well.store(0, Ordering::Relaxed);
        self.size.fetch_min((asked / 2).max(1), Ordering::Relaxed);
    }

    /// It answered; after a while of that more may be tried.
    pub(crate) fn was_answered(&self) {
        if self.well.fetch_add(1, Ordering::Relaxed) >= WELL_BEFORE_MORE {
            self.well.store(0, Ordering::Relaxed);
            self.size.store(self.size().saturating_mul(2).min(self.most), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_is_asked_after_a_refusal_and_more_again_after_a_while() {
        let portion = Portion::new(100);
        for (asked, left) in [(100, 50), (50, 25), (3, 1), (1, 1), (90, 1)] {
            portion.was_too_much(asked);
            assert_eq!(portion.size(), left);
        }
        for expected in [2, 4, 8, 16, 32, 64, 100, 100] {
            for _ in 0..=WELL_BEFORE_MORE {
                portion.was_answered();
            }
            assert_eq!(portion.size(), expected);
        }
        assert_eq!(Portion::new(0).size(), 1);
    }
}
