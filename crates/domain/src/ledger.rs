//! What is seen on a ledger: blocks, transfers, and what a second look takes back.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::evm::EvmAddress;
use crate::ids::BusinessId;
use crate::money::Money;
use crate::networks::ChainId;
use crate::text::text_enum;
use crate::time::Timestamp;

/// One ledger that is watched: a network, or the test ledger of a business.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LedgerId {
    /// The test ledger of a business. All networks of TEST are on it, unless TEST is bound to networks.
    Test(BusinessId),
    /// A network, with the environment whose payments are made on it. Whoever has the ledger of one environment has no
    /// way to what is the other one's, even where both were on the same network at different times.
    Network(Environment, ChainId),
}

/// What the ledgers of networks begin with that payments of TEST are made on.
const TEST_NETWORK: &str = "testnet/";

/// A text that names no ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a ledger is test/ and a business id, a network (CAIP-2), or testnet/ and a network")]
pub struct InvalidLedgerId;

impl FromStr for LedgerId {
    type Err = InvalidLedgerId;

    fn from_str(text: &str) -> Result<Self, InvalidLedgerId> {
        if let Some(business) = text.strip_prefix("test/") {
            return business.parse().map(Self::Test).map_err(|_| InvalidLedgerId);
        }
        let (environment, chain) = match text.strip_prefix(TEST_NETWORK) {
            Some(chain) => (Environment::Test, chain),
            None => (Environment::Live, text),
        };
        chain.parse().map(|chain| Self::Network(environment, chain)).map_err(|_| InvalidLedgerId)
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test(business) => write!(formatter, "test/{business}"),
            Self::Network(Environment::Test, chain) => write!(formatter, "{TEST_NETWORK}{chain}"),
            Self::Network(Environment::Live, chain) => chain.fmt(formatter),
        }
    }
}

/// A block of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub number: u64,
    /// What it is called; two blocks of one height differ.
    pub hash: String,
    /// The block before it.
    pub parent: String,
    /// The ledger's own time.
    pub at: Timestamp,
}

/// One movement of an asset, as a block tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The network; the test ledger has several.
    pub network: ChainId,
    /// The height of its block.
    pub block: u64,
    /// The block it is in.
    pub block_hash: String,
    /// Its place in the block. With the block's hash it names the transfer; a transaction may hold several.
    pub log_index: u32,
    /// The transaction.
    pub transaction_hash: String,
    /// Which asset moved.
    pub asset: Moved,
    /// The contract that tells of it; none on the test ledger.
    pub contract: Option<EvmAddress>,
    /// From whom, as the ledger says. Nobody to give money back to unasked.
    pub from: String,
    /// To whom.
    pub to: String,
    /// The base units, as the ledger writes them.
    pub amount: RawAmount,
}

text_enum! {
    /// Which asset moved.
    Moved {
        /// The one that is accepted.
        Accepted = "accepted",
        /// Another one, to an address of ours.
        Other = "other",
    }
}

/// Why a transaction that was handed in is not the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongTransaction {
    /// It failed.
    #[error("it failed, and moved nothing")]
    Failed,
    /// It was there before what it is to give back.
    #[error("it is older than what is given back")]
    TooOld,
    /// It moves something else, or nothing.
    #[error("it moves none of the token")]
    OtherToken,
    /// It goes to somebody else.
    #[error("it goes to another address")]
    OtherAddress,
    /// It moves more or less.
    #[error("it moves another amount")]
    OtherAmount,
    /// It pays another payment, or none.
    #[error("it moves no accepted token to the payment's address")]
    NotThisPayment,
    /// It pays for something else, or for nothing.
    #[error("it moves no accepted token to an address that was given out for this")]
    NotThisPayable,
}

/// Base units as a ledger counts them, which may be more than we do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawAmount(String);

/// A text that is no whole number of at most 78 digits (256 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a whole number of at most 78 digits")]
pub struct InvalidRawAmount;

impl RawAmount {
    /// So many base units.
    pub fn from_units(units: i64) -> Self {
        Self(units.max(0).to_string())
    }

    /// A number of 256 bits, the highest byte first.
    pub fn from_be_bytes(bytes: [u8; 32]) -> Self {
        let mut limbs = bytes;
        let mut digits = Vec::new();
        // Long division by ten, until nothing is left.
        while limbs.iter().any(|byte| *byte != 0) {
            let mut rest = 0u16;
            for byte in &mut limbs {
                let value = rest << 8 | u16::from(*byte);
                *byte = u8::try_from(value / 10).expect("the rest is below ten");
                rest = value % 10;
            }
            digits.push(b'0' + u8::try_from(rest).expect("below ten"));
        }
        if digits.is_empty() {
            digits.push(b'0');
        }
        digits.reverse();
        Self(String::from_utf8(digits).expect("digits"))
    }

    /// The base units, where they fit; what does not is for people to look at.
    pub fn units(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RawAmount {
    type Err = InvalidRawAmount;

    fn from_str(text: &str) -> Result<Self, InvalidRawAmount> {
        let digits = (1..=78).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let plain = text == "0" || !text.starts_with('0');
        if digits && plain { Ok(Self(text.to_owned())) } else { Err(InvalidRawAmount) }
    }
}

impl fmt::Display for RawAmount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a look at a ledger brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The height up to which what was known still holds; blocks above it are gone.
    pub holds_to: u64,
    /// New blocks, in order of height.
    pub blocks: Vec<Block>,
    /// The transfers in them to addresses that are watched.
    pub transfers: Vec<Transfer>,
    /// The ledger's own time now.
    pub ledger_time: Timestamp,
    /// What the ledger itself says of how certain its blocks are.
    pub marks: Marks,
    /// The height of the ledger itself, to which this look may not have come yet.
    pub ledger_height: u64,
    /// Whether it was asked for all addresses, and not only for those that something is expected on.
    pub saw_all: bool,
}

impl Observation {
    /// The height that the ledger has after it.
    pub fn head(&self) -> u64 {
        self.blocks.last().map_or(self.holds_to, |block| block.number)
    }

    /// Whether another look would bring more at once.
    pub fn is_behind(&self) -> bool {
        self.head() < self.ledger_height
    }
}

/// The latest blocks that a ledger itself calls safe and final, where it has such words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// Unlikely to be taken back.
    pub safe: Option<u64>,
    /// Never taken back, short of the ledger breaking its word.
    pub finalized: Option<u64>,
}

impl Marks {
    /// The higher of both, mark by mark: an endpoint that is behind makes nothing uncertain again.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { safe: self.safe.max(other.safe), finalized: self.finalized.max(other.finalized) }
    }

    /// The same with no mark above a height.
    #[must_use]
    pub fn at_most(self, height: u64) -> Self {
        let cap = |mark: Option<u64>| mark.map(|mark| mark.min(height));
        Self { safe: cap(self.safe), finalized: cap(self.finalized) }
    }
}

/// What it takes for a transfer to be final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Confirmations {
    /// So many blocks, the one that holds it being the first; at least 1.
    Blocks(u32),
    /// The ledger calls its block safe.
    Safe,
    /// The ledger calls its block final.
    Finalized,
}

/// The most blocks that may be asked for: reorganisations are followed to twice this depth.
pub const MOST_CONFIRMATIONS: u32 = 256;

/// A text that says nothing about confirmations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("confirmations are a number from 1 to 256, safe or finalized")]
pub struct InvalidConfirmations;

impl FromStr for Confirmations {
    type Err = InvalidConfirmations;

    fn from_str(text: &str) -> Result<Self, InvalidConfirmations> {
        match text {
            "safe" => Ok(Self::Safe),
            "finalized" => Ok(Self::Finalized),
            number => {
                let blocks = number.parse().ok().filter(|blocks| (1..=MOST_CONFIRMATIONS).contains(blocks));
                blocks.map(Self::Blocks).ok_or(InvalidConfirmations)
            }
        }
    }
}

impl fmt::Display for Confirmations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocks(blocks) => blocks.fmt(formatter),
            Self::Safe => formatter.write_str("safe"),
            Self::Finalized => formatter.write_str("finalized"),
        }
    }
}

impl Confirmations {
    /// The lowest block that is not final on a ledger of this height.
    pub fn first_open(self, height: u64, marks: Marks) -> u64 {
        match self {
            Self::Blocks(blocks) => (height + 2).saturating_sub(u64::from(blocks)),
            // A mark beyond what was seen makes nothing final that was not seen.
            Self::Safe => marks.safe.map_or(0, |mark| mark.min(height) + 1),
            Self::Finalized => marks.finalized.map_or(0, |mark| mark.min(height) + 1),
        }
    }
}

/// What it takes for a transfer to be final, by how much is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmationPolicy {
    /// Whole units of the asset from which on it takes this, ascending; the first ones are 0.
    bands: Vec<(i64, Confirmations)>,
}

/// Bands that leave amounts out or say two things of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bands begin with the amount 0, each further one with a larger whole amount")]
pub struct InvalidPolicy;

impl ConfirmationPolicy {
    /// The same for every amount.
    pub fn every(needs: Confirmations) -> Self {
        Self { bands: vec![(0, needs)] }
    }

    /// By amount: whole units of the asset, each with what it takes from there on.
    ///
    /// # Errors
    /// [`InvalidPolicy`] unless the first begins with 0 and each further one with more.
    pub fn new(bands: Vec<(i64, Confirmations)>) -> Result<Self, InvalidPolicy> {
        let ascending = bands.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if ascending && bands.first().is_some_and(|band| band.0 == 0) { Ok(Self { bands }) } else { Err(InvalidPolicy) }
    }

    /// The bands, in rising order.
    pub fn bands(&self) -> &[(i64, Confirmations)] {
        &self.bands
    }

    /// What it takes where so much is asked for.
    pub fn needed(&self, due: Money) -> Confirmations {
        let unit = 10i64.saturating_pow(u32::from(due.asset().decimals()));
        let band = self.bands.iter().rev().find(|(from, _)| from.saturating_mul(unit) <= due.units());
        band.map_or(Confirmations::Finalized, |(_, needs)| *needs)
    }

    /// The lowest block that is not final for some amount.
    pub fn lowest_open(&self, height: u64, marks: Marks) -> u64 {
        self.bands.iter().map(|(_, needs)| needs.first_open(height, marks)).min().unwrap_or(0)
    }

    /// Whether some amount waits for a mark of the ledger itself.
    pub fn needs_marks(&self) -> bool {
        self.bands.iter().any(|(_, needs)| !matches!(needs, Confirmations::Blocks(_)))
    }
}

/// The height up to which `known` (newest first) is still on the ledger, which says what it has at a height.
///
/// Nothing in common means that nothing holds: 0, below which there is no block.
pub fn holds_to(known: &[Block], on_ledger: impl Fn(u64) -> Option<String>) -> u64 {
    known
        .iter()
        .find(|block| on_ledger(block.number).is_some_and(|hash| hash == block.hash))
        .map_or(0, |block| block.number)
}

text_enum! {
    /// How a payment on the test ledger goes, for trying out each end.
    Scenario {
        /// The exact amount, final at once.
        Paid = "paid",
        /// The exact amount, seen and not yet final; each further block brings it nearer.
        Slow = "slow",
        /// Less than the amount.
        Underpaid = "underpaid",
        /// What is still to be paid, final at once.
        ToppedUp = "topped_up",
        /// More than the amount.
        Overpaid = "overpaid",
        /// The exact amount, after the time has run out.
        Late = "late",
        /// The amount of another asset.
        WrongToken = "wrong_token",
        /// A transaction that fails and moves nothing.
        Reverted = "reverted",
        /// The exact amount, seen and then dropped by a reorganisation.
        Dropped = "dropped",
        /// The exact amount, final and then taken back by a deep reorganisation.
        Reversed = "reversed",
        /// The exact amount, seen, and then the ledger halts.
        Halted = "halted",
    }
}

impl Scenario {
    /// All of them, in the order of the pages.
    pub const ALL: [Self; 11] = [
        Self::Paid,
        Self::Slow,
        Self::Underpaid,
        Self::ToppedUp,
        Self::Overpaid,
        Self::Late,
        Self::WrongToken,
        Self::Reverted,
        Self::Dropped,
        Self::Reversed,
        Self::Halted,
    ];

    /// The scenario that a transaction hash stands for in TEST: `test_` and its name.
    pub fn of_hash(hash: &str) -> Option<Self> {
        hash.strip_prefix("test_")?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::money::Asset;

    fn block(number: u64, hash: &str) -> Block {
        Block {
            number,
            hash: hash.to_owned(),
            parent: String::new(),
            at: Timestamp::from_micros(1_767_225_600_000_000).expect("in range"),
        }
    }

    #[test]
    fn what_holds_is_what_both_have() {
        let known = [block(3, "c"), block(2, "b"), block(1, "a")];
        let chain = |hashes: &'static [&'static str]| {
            move |number: u64| hashes.get(usize::try_from(number - 1).ok()?).map(|hash| (*hash).to_owned())
        };
        assert_eq!(holds_to(&known, chain(&["a", "b", "c", "d"])), 3);
        assert_eq!(holds_to(&known, chain(&["a", "b", "x", "y"])), 2);
        // The head went back.
        assert_eq!(holds_to(&known, chain(&["a"])), 1);
        assert_eq!(holds_to(&known, chain(&["x", "y", "z"])), 0);
        assert_eq!(holds_to(&[], chain(&["a"])), 0);
    }

    #[test]
    fn a_block_is_its_own_first_confirmation() {
        // Of five blocks the third has three confirmations.
        assert_eq!(Confirmations::Blocks(3).first_open(5, Marks::default()), 4);
        assert_eq!(Confirmations::Blocks(3).first_open(1, Marks::default()), 0);
        assert_eq!(Confirmations::Blocks(1).first_open(5, Marks::default()), 6);
    }

    #[test]
    fn marks_make_final_what_was_seen_and_nothing_beyond() {
        let marks = Marks { safe: Some(8), finalized: Some(3) };
        assert_eq!(Confirmations::Safe.first_open(10, marks), 9);
        assert_eq!(Confirmations::Safe.first_open(5, marks), 6);
        assert_eq!(Confirmations::Finalized.first_open(10, marks), 4);
        assert_eq!(Confirmations::Finalized.first_open(10, Marks::default()), 0);
        let behind = Marks { safe: None, finalized: Some(2) };
        assert_eq!(marks.max(behind), marks);
        assert_eq!(marks.at_most(5), Marks { safe: Some(5), finalized: Some(3) });
    }

    #[test]
    fn larger_amounts_may_take_more() {
        let usdc = |units| Money::from_units(units, Asset::USDC).expect("positive");
        let bands = vec![(0, Confirmations::Blocks(3)), (100, Confirmations::Safe), (10_000, Confirmations::Finalized)];
        let policy = ConfirmationPolicy::new(bands).expect("in order");
        for (units, needs) in [
            (1, Confirmations::Blocks(3)),
            (99_999_999, Confirmations::Blocks(3)),
            (100_000_000, Confirmations::Safe),
            (10_000_000_000, Confirmations::Finalized),
            (i64::MAX, Confirmations::Finalized),
        ] {
            assert_eq!(policy.needed(usdc(units)), needs, "{units}");
        }
        assert!(policy.needs_marks());
        assert_eq!(policy.lowest_open(10, Marks { safe: Some(8), finalized: Some(3) }), 4);
        for bad in
            [vec![], vec![(1, Confirmations::Safe)], vec![(0, Confirmations::Safe), (0, Confirmations::Finalized)]]
        {
            assert_eq!(ConfirmationPolicy::new(bad), Err(InvalidPolicy));
        }
        for text in ["1", "256", "safe", "finalized"] {
            assert_eq!(text.parse::<Confirmations>().expect(text).to_string(), text);
        }
        for bad in ["", "0", "257", "latest", "-1"] {
            assert_eq!(bad.parse::<Confirmations>(), Err(InvalidConfirmations), "{bad}");
        }
    }

    #[test]
    fn ledgers_have_one_spelling() {
        for text in
            ["eip155:8453", "testnet/eip155:84532", "test/2f6e1a54-0c1e-4f5e-9d0a-1d7f4a1f8c11", "test/12345678901234"]
        {
            assert_eq!(text.parse::<LedgerId>().expect(text).to_string(), text);
        }
        for bad in ["", "test/", "test", "eip155", "testnet/", "testnet/test/12345678901234", "live/eip155:1"] {
            assert_eq!(bad.parse::<LedgerId>(), Err(InvalidLedgerId), "{bad}");
        }
    }

    #[test]
    fn one_network_is_two_ledgers_of_two_environments() {
        let chain: ChainId = "eip155:31337".parse().expect("a network");
        let of = |environment| LedgerId::Network(environment, chain.clone()).to_string();
        assert_eq!(
            (of(Environment::Test), of(Environment::Live)),
            ("testnet/eip155:31337".into(), "eip155:31337".into())
        );
    }

    #[test]
    fn magic_hashes_name_scenarios() {
        for scenario in Scenario::ALL {
            assert_eq!(Scenario::of_hash(&format!("test_{scenario}")), Some(scenario));
        }
        assert_eq!(Scenario::of_hash("paid"), None);
        assert_eq!(Scenario::of_hash("test_nothing"), None);
    }

    proptest! {
        #[test]
        fn raw_amounts_are_whole_numbers(text in "[0-9+-. ]{0,80}") {
            match text.parse::<RawAmount>() {
                Ok(amount) => {
                    prop_assert_eq!(amount.as_str(), text.as_str());
                    prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit()));
                    if let Some(units) = amount.units() {
                        prop_assert_eq!(units.to_string(), text);
                    }
                }
                Err(InvalidRawAmount) => prop_assert!(text.is_empty() || text.len() > 78 || text.starts_with('0') || text.bytes().any(|byte| !byte.is_ascii_digit())),
            }
        }
    }
}
