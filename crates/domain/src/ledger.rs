//! What is seen on a ledger: blocks, transfers, and what a second look takes back.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::BusinessId;
use crate::networks::ChainId;
use crate::text::text_enum;
use crate::time::Timestamp;

/// One ledger that is watched: a network, or the test ledger of a business.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LedgerId {
    /// The test ledger of a business. All networks of TEST are on it.
    Test(BusinessId),
    /// A network with real assets.
    Network(ChainId),
}

/// A text that names no ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a ledger is test/ and a business id, or a network (CAIP-2)")]
pub struct InvalidLedgerId;

impl FromStr for LedgerId {
    type Err = InvalidLedgerId;

    fn from_str(text: &str) -> Result<Self, InvalidLedgerId> {
        match text.strip_prefix("test/") {
            Some(business) => business.parse().map(Self::Test).map_err(|_| InvalidLedgerId),
            None => text.parse().map(Self::Network).map_err(|_| InvalidLedgerId),
        }
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test(business) => write!(formatter, "test/{business}"),
            Self::Network(chain) => chain.fmt(formatter),
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
    /// From how many confirmations on a transfer is final, the block that holds it being the first.
    pub confirmations: u32,
}

impl Observation {
    /// The height that the ledger has after it.
    pub fn head(&self) -> u64 {
        self.blocks.last().map_or(self.holds_to, |block| block.number)
    }

    /// The lowest block that is not final.
    pub fn first_open(&self) -> u64 {
        (self.head() + 2).saturating_sub(u64::from(self.confirmations))
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
        let seen = |holds_to, blocks: Vec<Block>| Observation {
            holds_to,
            blocks,
            transfers: Vec::new(),
            ledger_time: block(1, "a").at,
            confirmations: 3,
        };
        // Of five blocks the third has three confirmations.
        assert_eq!(seen(3, vec![block(4, "d"), block(5, "e")]).first_open(), 4);
        assert_eq!(seen(1, Vec::new()).first_open(), 0);
    }

    #[test]
    fn ledgers_have_one_spelling() {
        for text in ["eip155:8453", "test/2f6e1a54-0c1e-4f5e-9d0a-1d7f4a1f8c11", "test/12345678901234"] {
            assert_eq!(text.parse::<LedgerId>().expect(text).to_string(), text);
        }
        for bad in ["", "test/", "test", "eip155"] {
            assert_eq!(bad.parse::<LedgerId>(), Err(InvalidLedgerId), "{bad}");
        }
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
