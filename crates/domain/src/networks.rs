//! Networks and the assets on them, named by CAIP-2 and CAIP-19.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::evm::EvmAddress;
use crate::text::{as_text, text_enum};

/// A network, `namespace:reference` (CAIP-2): `eip155:8453` is Base.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId {
    text: String,
    colon: usize,
}

/// An asset on a network, `chain/namespace:reference` (CAIP-19): `eip155:8453/erc20:0x8335...2913`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetId {
    chain: ChainId,
    asset: String,
}

/// Why a text names no network or asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChainId {
    /// Not the form of CAIP-2.
    #[error("a network is namespace:reference (CAIP-2), such as eip155:8453")]
    Chain,
    /// Not the form of CAIP-19.
    #[error("an asset is network/namespace:reference (CAIP-19), such as eip155:8453/erc20:0x...")]
    Asset,
}

/// What money on a network is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// It is money.
    Real,
    /// Nothing: everybody gets it for nothing.
    None,
    /// Nobody here knows: a network of one's own, or one that is not well known.
    Unknown,
}

/// Networks with real money, as <https://chainlist.org> numbers them: those that USDC or much else of worth is on.
const REAL: [u64; 45] = [
    1, 10, 14, 25, 30, 50, 56, 100, 130, 137, 143, 146, 169, 204, 232, 250, 252, 288, 324, 480, 999, 1088, 1101, 1284,
    1329, 1868, 2020, 2741, 4326, 5000, 8217, 8453, 34443, 42161, 42170, 42220, 43114, 57073, 59144, 80094, 81224,
    81457, 98866, 534_352, 7_777_777,
];

/// Public test networks, as <https://chainlist.org> numbers them, those that are shut down by now included.
const PUBLIC_TESTS: [u64; 31] = [
    3, 4, 5, 51, 97, 300, 338, 919, 1301, 1328, 4801, 5003, 5611, 10143, 10200, 14601, 17000, 43113, 44787, 59141,
    80001, 80002, 84531, 84532, 421_613, 421_614, 534_351, 560_048, 763_373, 11_155_111, 11_155_420,
];

fn is_namespace(text: &str) -> bool {
    (3..=8).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

impl ChainId {
    /// What stands before the colon: which kind of network it is.
    pub fn namespace(&self) -> &str {
        &self.text[..self.colon]
    }

    /// What stands after the colon: which network of its kind.
    pub fn reference(&self) -> &str {
        &self.text[self.colon + 1..]
    }

    /// The chain id of EIP-155, where the network is an EVM one.
    pub fn eip155(&self) -> Option<u64> {
        (self.namespace() == "eip155").then(|| self.reference().parse().ok()).flatten()
    }

    /// The network of this chain id of EIP-155.
    pub fn of_eip155(chain_id: u64) -> Option<Self> {
        format!("eip155:{chain_id}").parse().ok()
    }

    /// The network as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What money on the network is worth, as far as that is known by its number.
    pub fn worth(&self) -> Worth {
        match self.eip155() {
            Some(chain) if REAL.contains(&chain) => Worth::Real,
            Some(chain) if PUBLIC_TESTS.contains(&chain) => Worth::None,
            _ => Worth::Unknown,
        }
    }

    /// The contract of USDC where its issuer has made one on the network (not that of a bridge), as
    /// <https://developers.circle.com/stablecoins/usdc-contract-addresses> lists them, public test networks included.
    pub fn usdc(&self) -> Option<EvmAddress> {
        let contract = match self.eip155()? {
            1 => "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
            137 => "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359",
            8453 => "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
            42161 => "0xaf88d065e77c8cC2239327C5EDb3A432268e5831",
            43114 => "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E",
            43113 => "0x5425890298aed601595a70AB815c96711a31Bc65",
            80002 => "0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582",
            84532 => "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            421_614 => "0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d",
            11_155_111 => "0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238",
            _ => return None,
        };
        Some(contract.parse().expect("a test reads every one of them"))
    }
}

impl FromStr for ChainId {
    type Err = InvalidChainId;

    fn from_str(text: &str) -> Result<Self, InvalidChainId> {
        let (namespace, reference) = text.split_once(':').ok_or(InvalidChainId::Chain)?;
        let good = is_namespace(namespace)
            && (1..=32).contains(&reference.len())
            && reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        // A number that is written in two ways would be two networks.
        let plain_number = namespace != "eip155"
            || (reference.bytes().all(|byte| byte.is_ascii_digit())
                && !reference.starts_with('0')
                && reference.parse::<u64>().is_ok());
        if good && plain_number {
            Ok(Self { text: text.to_owned(), colon: namespace.len() })
        } else {
            Err(InvalidChainId::Chain)
        }
    }
}

impl AssetId {
    /// The network it is on.
    pub const fn chain(&self) -> &ChainId {
        &self.chain
    }

    /// The token of this contract, written with its checksum.
    pub fn of_erc20(chain: ChainId, contract: EvmAddress) -> Self {
        Self { chain, asset: format!("erc20:{contract}") }
    }

    /// The contract's address, where the asset is an ERC-20 token.
    pub fn erc20(&self) -> Option<&str> {
        self.asset.strip_prefix("erc20:")
    }
}

impl FromStr for AssetId {
    type Err = InvalidChainId;

    fn from_str(text: &str) -> Result<Self, InvalidChainId> {
        let (chain, asset) = text.split_once('/').ok_or(InvalidChainId::Asset)?;
        let (namespace, reference) = asset.split_once(':').ok_or(InvalidChainId::Asset)?;
        let good = is_namespace(namespace)
            && (1..=128).contains(&reference.len())
            && reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'%'));
        if good {
            Ok(Self { chain: chain.parse().map_err(|_| InvalidChainId::Asset)?, asset: asset.to_owned() })
        } else {
            Err(InvalidChainId::Asset)
        }
    }
}

impl fmt::Display for AssetId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.chain, self.asset)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

as_text!(ChainId, AssetId);

text_enum! {
    /// The short names by which Mileston's clients call networks.
    ShortName {
        /// Ethereum.
        Eth = "eth",
        /// Avalanche C-Chain.
        Avax = "avax",
        /// Polygon.
        Pol = "pol",
        /// Base.
        Base = "base",
        /// Arbitrum One.
        Arb = "arb",
        /// Sui.
        Sui = "sui",
        /// Solana.
        Solana = "solana",
    }
}

impl ShortName {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Eth, Self::Avax, Self::Pol, Self::Base, Self::Arb, Self::Sui, Self::Solana];

    /// The network that holds real money.
    pub fn live_chain(self) -> ChainId {
        self.live_text().parse().expect("one of ours")
    }

    /// The part of the test ledger that stands for the network: its addresses are none of a real one.
    pub fn test_chain(self) -> ChainId {
        format!("test:{self}").parse().expect("one of ours")
    }

    /// The public test network that stands for the network, where there is one whose money is USDC as well.
    pub fn public_test_chain(self) -> Option<ChainId> {
        let chain = match self {
            Self::Eth => 11_155_111,
            Self::Avax => 43113,
            Self::Pol => 80002,
            Self::Base => 84532,
            Self::Arb => 421_614,
            Self::Sui | Self::Solana => return None,
        };
        ChainId::of_eip155(chain)
    }

    /// What the public test network is called in settings.
    pub const fn public_test_name(self) -> Option<&'static str> {
        match self {
            Self::Eth => Some("sepolia"),
            Self::Avax => Some("fuji"),
            Self::Pol => Some("amoy"),
            Self::Base => Some("base_sepolia"),
            Self::Arb => Some("arb_sepolia"),
            Self::Sui | Self::Solana => None,
        }
    }

    /// The short name of the network that a public test network stands for.
    pub fn of_public_test(chain: &ChainId) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.public_test_chain().as_ref() == Some(chain))
    }

    const fn live_text(self) -> &'static str {
        match self {
            Self::Eth => "eip155:1",
            Self::Avax => "eip155:43114",
            Self::Pol => "eip155:137",
            Self::Base => "eip155:8453",
            Self::Arb => "eip155:42161",
            Self::Sui => "sui:mainnet",
            // The first 32 characters of the genesis block's hash, as CAIP-2's Solana profile says.
            Self::Solana => "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
        }
    }

    /// The short name of a network, live or of the test ledger.
    pub fn of(chain: &ChainId) -> Option<Self> {
        Self::ALL.into_iter().find(|name| chain.as_str() == name.live_text() || *chain == name.test_chain())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_assets_have_one_spelling() {
        let base: ChainId = "eip155:8453".parse().expect("a network");
        assert_eq!((base.namespace(), base.reference(), base.eip155()), ("eip155", "8453", Some(8453)));
        for bad in [
            "",
            "eip155",
            "eip155:",
            ":1",
            "EIP155:1",
            "eip155:01",
            "eip155:0x1",
            "eip155:1:2",
            "ei:1",
            "eip155:1/2",
            "namespaces:1",
            "eip155:18446744073709551616",
        ] {
            assert_eq!(bad.parse::<ChainId>(), Err(InvalidChainId::Chain), "{bad}");
        }
        let text = "eip155:8453/erc20:0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
        let usdc: AssetId = text.parse().expect("an asset");
        assert_eq!(usdc.chain(), &base);
        assert_eq!(usdc.erc20(), Some("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"));
        assert_eq!(usdc.to_string(), text);
        for bad in ["", "eip155:8453", "eip155:8453/", "eip155:8453/erc20", "/erc20:1", "eip155:8453/erc20:", "a/b/c:d"]
        {
            assert_eq!(bad.parse::<AssetId>(), Err(InvalidChainId::Asset), "{bad}");
        }
    }

    #[test]
    fn usdc_is_known_where_its_issuer_made_it() {
        for name in ShortName::ALL {
            let chain = name.live_chain();
            let is_evm = chain.eip155().is_some();
            assert_eq!(chain.usdc().is_some(), is_evm, "{chain}");
            if let Some(contract) = chain.usdc() {
                let asset = AssetId::of_erc20(chain.clone(), contract);
                assert_eq!(asset.to_string().parse(), Ok(asset.clone()));
                assert_eq!(asset.erc20(), Some(contract.to_string().as_str()));
            }
        }
        assert_eq!(ChainId::of_eip155(31337).and_then(|chain| chain.usdc()), None);
        assert_eq!(ChainId::of_eip155(0), None);
    }

    #[test]
    fn no_network_is_real_and_worthless() {
        assert!(REAL.iter().all(|chain| !PUBLIC_TESTS.contains(chain)));
        assert!(REAL.is_sorted() && PUBLIC_TESTS.is_sorted());
        for name in ShortName::ALL {
            let live = name.live_chain();
            assert_eq!(live.worth() == Worth::Real, live.eip155().is_some(), "{live}");
            let Some(test) = name.public_test_chain() else { continue };
            assert_eq!(test.worth(), Worth::None, "{test}");
            assert!(test.usdc().is_some_and(|contract| Some(contract) != live.usdc()), "{test}");
            assert_eq!((ShortName::of_public_test(&test), ShortName::of(&test)), (Some(name), None));
            assert_eq!(ShortName::of_public_test(&live), None);
            assert!(name.public_test_name().is_some());
        }
        // What local nodes call themselves.
        for local in [1337, 31337] {
            assert_eq!(ChainId::of_eip155(local).map(|chain| chain.worth()), Some(Worth::Unknown));
        }
    }

    #[test]
    fn short_names_lead_to_their_networks_and_back() {
        for name in ShortName::ALL {
            assert_eq!(ShortName::of(&name.live_chain()), Some(name));
            assert_eq!(ShortName::of(&name.test_chain()), Some(name));
            assert_ne!(name.live_chain(), name.test_chain());
        }
        assert_eq!(ShortName::of(&"eip155:5".parse().expect("a network")), None);
    }
}
