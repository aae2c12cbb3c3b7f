//! Deposit addresses: contracts that exist once money is moved, at addresses that are known long before.
//!
//! A forwarder can pay one address and nothing else, and that address is part of the code that its own address follows
//! from (EIP-1014). There is no key to it, so there is none to lose.

use std::sync::LazyLock;

use serde::Deserialize;

use super::{EvmAddress, address_topic, keccak256, parse_bytes};

/// The keyless deployer of CREATE2, which is at the same address on every network.
pub const DEPLOYER: EvmAddress = EvmAddress::from_bytes([
    0x4e, 0x59, 0xb4, 0x48, 0x47, 0xb3, 0x79, 0x57, 0x85, 0x88, 0x92, 0x0c, 0xa7, 0x8f, 0xbf, 0x26, 0xc0, 0xb4, 0x95,
    0x6c,
]);

/// The compiled contracts, as they are in the repository beside their source.
#[derive(Deserialize)]
struct Artefact {
    contracts: Contracts,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contracts {
    forwarder: Compiled,
    forwarder_factory: Compiled,
}

#[derive(Deserialize)]
struct Compiled {
    bytecode: String,
}

/// What deploys the forwarder and the factory.
struct Code {
    forwarder: Vec<u8>,
    factory: Vec<u8>,
}

static CODE: LazyLock<Code> = LazyLock::new(|| {
    let artefact: Artefact = serde_json::from_str(include_str!("../../../../contracts/forwarder.json"))
        .expect("the artefact is in the repository, and a test reads it");
    let bytes = |compiled: &Compiled| parse_bytes(&compiled.bytecode).expect("the compiler writes hexadecimal digits");
    Code { forwarder: bytes(&artefact.contracts.forwarder), factory: bytes(&artefact.contracts.forwarder_factory) }
});

/// Where the factory of forwarders is on every network, once somebody has deployed it there.
pub static FACTORY: LazyLock<EvmAddress> =
    LazyLock::new(|| create2(DEPLOYER, &Salt::from_bytes([0; 32]), &keccak256(&CODE.factory)));

/// What makes the address of one payment differ from that of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Salt([u8; 32]);

impl Salt {
    /// These bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The address of the contract that `creator` makes with this salt of code with this Keccak-256 (EIP-1014).
pub fn create2(creator: EvmAddress, salt: &Salt, code_hash: &[u8; 32]) -> EvmAddress {
    let mut input = Vec::with_capacity(85);
    input.push(0xff);
    input.extend_from_slice(creator.as_bytes());
    input.extend_from_slice(salt.as_bytes());
    input.extend_from_slice(code_hash);
    let hash = keccak256(&input);
    EvmAddress::from_bytes(hash[12..].try_into().expect("the last 20 of 32 bytes"))
}

/// The deposit address that can only ever pay `payout`.
pub fn forwarder_address(payout: EvmAddress, salt: &Salt) -> EvmAddress {
    let mut code = CODE.forwarder.clone();
    code.extend_from_slice(&[0; 12]);
    code.extend_from_slice(payout.as_bytes());
    create2(*FACTORY, salt, &keccak256(&code))
}

/// The transaction by which anybody deploys the factory, once per network: to whom, and with which data.
pub fn factory_deployment() -> (EvmAddress, Vec<u8>) {
    let mut data = vec![0; 32];
    data.extend_from_slice(&CODE.factory);
    (DEPLOYER, data)
}

/// The data by which the factory collects: it makes the forwarders of these salts that are not there yet, and moves all
/// that they hold of a token to the payout address that they were made for. Anybody may send it.
pub fn collect_call(token: EvmAddress, payout: EvmAddress, salts: &[Salt]) -> Vec<u8> {
    /// Where the list of salts begins: after the three words of the head.
    const LIST_AT: u128 = 96;
    let mut data = selector("collect(address,address,bytes32[])").to_vec();
    let count = u128::try_from(salts.len()).expect("lengths fit 128 bits");
    for word in [word_of(token), word_of(payout), number(LIST_AT), number(count)] {
        data.extend_from_slice(&word);
    }
    data.extend(salts.iter().flat_map(|salt| salt.0));
    data
}

/// The data that asks a token how much an address holds of it.
pub fn balance_call(holder: EvmAddress) -> Vec<u8> {
    let mut data = selector("balanceOf(address)").to_vec();
    data.extend_from_slice(&word_of(holder));
    data
}

/// How the ABI calls a function: the first four bytes of its signature's hash.
fn selector(signature: &str) -> [u8; 4] {
    keccak256(signature.as_bytes())[..4].try_into().expect("the first 4 of 32 bytes")
}

/// An address as one word of the ABI.
fn word_of(address: EvmAddress) -> [u8; 32] {
    *address_topic(address).as_bytes()
}

/// A number as one word of the ABI.
fn number(number: u128) -> [u8; 32] {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&number.to_be_bytes());
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evm::print_bytes;

    #[test]
    fn calls_are_coded_as_the_abi_says() {
        let token = EvmAddress::from_bytes([1; 20]);
        let payout = EvmAddress::from_bytes([2; 20]);
        // The well-known selector of ERC-20.
        let asked = format!("0x70a08231{}{}", "0".repeat(24), "01".repeat(20));
        assert_eq!(print_bytes(&balance_call(token)), asked);
        let data = collect_call(token, payout, &[Salt::from_bytes([3; 32]), Salt::from_bytes([4; 32])]);
        let told = print_bytes(&data[4..]);
        let (zeros, length) = ("0".repeat(24), "0".repeat(62));
        assert_eq!(
            told,
            format!(
                "0x{zeros}{}{zeros}{}{length}60{length}02{}{}",
                "01".repeat(20),
                "02".repeat(20),
                "03".repeat(32),
                "04".repeat(32)
            )
        );
        let artefact: serde_json::Value =
            serde_json::from_str(include_str!("../../../../contracts/forwarder.json")).expect("JSON");
        let methods = &artefact["contracts"]["ForwarderFactory"]["methods"];
        assert_eq!(methods["collect(address,address,bytes32[])"], print_bytes(&data[..4])[2..]);
    }

    #[test]
    fn the_examples_of_eip_1014_come_out() {
        for (creator, salt, code, address) in [
            (
                "0x0000000000000000000000000000000000000000",
                [0; 32],
                "0x00",
                "0x4D1A2e2bB4F88F0250f26Ffff098B0b30B26BF38",
            ),
            (
                "0xdeadbeef00000000000000000000000000000000",
                [0; 32],
                "0x00",
                "0xB928f69Bb1D91Cd65274e3c79d8986362984fDA3",
            ),
            ("0x0000000000000000000000000000000000000000", [0; 32], "0x", "0xE33C0C7F7df4809055C3ebA6c09CFe4BaF1BD9e0"),
        ] {
            let code = keccak256(&parse_bytes(code).expect("bytes"));
            let made = create2(creator.parse().expect("an address"), &Salt::from_bytes(salt), &code);
            assert_eq!(made.to_string(), address);
        }
    }

    #[test]
    fn a_forwarder_is_where_it_was_when_its_address_was_given_out() {
        // These change with the contracts only. Money may lie at the old ones: keep both artefacts then.
        let payout = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".parse().expect("an address");
        let place = forwarder_address(payout, &Salt::from_bytes([7; 32]));
        assert_eq!(
            (FACTORY.to_string(), place.to_string()),
            (
                "0x4Ef7B5137024619D0f66c1444Cba7c457F159D19".to_owned(),
                "0x5f548F306A71fDc55a0372b51b6a68a9Af6E96E8".to_owned()
            )
        );
        assert_ne!(place, forwarder_address(payout, &Salt::from_bytes([8; 32])));
        assert_ne!(place, forwarder_address(*FACTORY, &Salt::from_bytes([7; 32])));
        let (to, data) = factory_deployment();
        assert_eq!((to, &data[..32]), (DEPLOYER, &[0; 32][..]));
        assert!(print_bytes(&data[32..]).len() > 1_000);
    }
}
