//! Chance: the one door through which randomness comes in.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

/// Gives random bytes.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills all of `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// What every source of randomness can do, `dyn Entropy` too.
pub trait EntropyExt: Entropy {
    /// `N` random bytes.
    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

impl<E: Entropy + ?Sized> EntropyExt for E {}

/// The operating system's generator, asked anew each time: nothing is kept that a fork could copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("a supported operating system always has a working generator once it has booted");
    }
}

/// Random bytes for names that are no secrets: the operating system is asked for many at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct NameEntropy;

/// Bytes that are asked for at once.
const NAME_BYTES: usize = 4_096;

thread_local! {
    static NAMES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Entropy for NameEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        NAMES.with_borrow_mut(|names| {
            for chunk in bytes.chunks_mut(NAME_BYTES) {
                if names.len() < chunk.len() {
                    names.resize(NAME_BYTES, 0);
                    SystemEntropy.fill(names);
                }
                // None is given out twice.
                let rest = names.len() - chunk.len();
                chunk.copy_from_slice(&names[rest..]);
                names.truncate(rest);
            }
        });
    }
}

/// The same bytes for the same seed, for tests: SHA-256 of the seed and a counter.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    counter: Mutex<u64>,
}

impl SeededEntropy {
    /// A source that begins at the start of the seed's stream.
    pub const fn new(seed: u64) -> Self {
        Self { seed, counter: Mutex::new(0) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut counter = self.counter.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(32) {
            let mut hash = Sha256::new();
            hash.update(self.seed.to_be_bytes());
            hash.update(counter.to_be_bytes());
            *counter += 1;
            chunk.copy_from_slice(&hash.finalize()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_name_is_given_once() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..2_000 {
            assert!(seen.insert(NameEntropy.bytes::<16>()));
        }
        assert_ne!(NameEntropy.bytes::<5_000>(), NameEntropy.bytes::<5_000>());
    }

    #[test]
    fn a_seed_repeats_itself_and_no_other() {
        let draw = |seed| {
            let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(seed));
            (entropy.bytes::<40>(), entropy.bytes::<40>())
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1).0, draw(1).1);
    }

    #[test]
    fn the_system_does_not_repeat_itself() {
        assert_ne!(SystemEntropy.bytes::<32>(), SystemEntropy.bytes::<32>());
    }
}
