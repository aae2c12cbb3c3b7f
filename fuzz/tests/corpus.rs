//! Every target over its stored corpus, and over many mutations of it from a printed seed.

#![expect(clippy::print_stdout, reason = "the seed belongs in the log of a failed run")]

use std::path::Path;

use trousseau_fuzz::{TARGETS, Target};

/// A small generator of our own: the run is the same for the same seed, on every machine.
struct Random(u64);

impl Random {
    /// `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).expect("below a usize")
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("each target has a corpus")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a readable file")).collect()
}

/// Bytes that parsers trip over.
const SPICE: [&[u8]; 14] = [
    b"_",
    b":",
    b" ",
    b"%",
    b"=",
    b"\0",
    b"\xff",
    b"\n",
    "é".as_bytes(),
    b"TEST_",
    b"CHECKOUTKEY_",
    b"Basic ",
    b"-",
    b"Z",
];

fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(5) {
            0 if at < bytes.len() => bytes[at] = (random.next() & 0xff) as u8,
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => drop(bytes.splice(at..at, SPICE[random.below(SPICE.len())].iter().copied())),
            3 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let end = (at + random.below(8)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes.truncate(4096);
    bytes
}

fn run((name, target): Target) {
    let seeds = corpus(name);
    assert!(!seeds.is_empty(), "the corpus of {name} is empty");
    for seed in &seeds {
        target(seed);
    }
    let setting = |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let seed: u64 = setting("TROUSSEAU_TEST_SEED", 20_261_124);
    let runs: u64 = setting("TROUSSEAU_TEST_FUZZ_RUNS", 100_000);
    println!("{name}: {runs} mutations from seed {seed}");
    let mut random = Random(seed);
    for _ in 0..runs {
        let input = mutate(&mut random, &seeds);
        let outcome = std::panic::catch_unwind(|| target(&input));
        assert!(
            outcome.is_ok(),
            "{name} broke a promise on {:?}; keep it as a file of the corpus",
            String::from_utf8_lossy(&input)
        );
    }
}

#[test]
fn every_parser_survives_its_corpus_and_its_mutations() {
    for target in TARGETS {
        run(target);
    }
}
