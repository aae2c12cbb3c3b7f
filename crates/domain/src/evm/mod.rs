//! The words of EVM networks: addresses, hashes, numbers, the event of a transfer, addresses known before they exist.
//!
//! Only what it takes to look: nothing here signs.

mod extended_key;
mod forwarder;
mod transfer;

use std::fmt;
use std::str::FromStr;

use sha3::{Digest as _, Keccak256};

use crate::text::as_text;

pub use extended_key::{
    ChildIndex, ChildIndexRange, ExtendedKeyId, ExtendedPublicKey, InvalidExtendedKey, InvalidPayoutTarget,
    PayoutKeyState, PayoutTarget, SecretForm,
};
pub use forwarder::{
    DEPLOYER, FACTORY, Salt, balance_call, collect_call, create2, factory_deployment, forwarder_address,
};
pub use transfer::{
    NotATransfer, TRANSFER_TOPIC, TransferLog, address_topic, decode_transfer, transfer_call, transfer_uri,
};

/// The Keccak-256 of some bytes, which is not SHA3-256: the padding differs.
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// Why a text is none of the values of an EVM network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvm {
    /// Not `0x` and 40 hexadecimal digits.
    #[error("an address is 0x and 40 hexadecimal digits")]
    Address,
    /// Letters of both cases that are not the checksum: most likely a digit is wrong.
    #[error("the checksum of the address is wrong (EIP-55): a digit was changed")]
    Checksum,
    /// Not `0x` and 64 hexadecimal digits.
    #[error("a hash is 0x and 64 hexadecimal digits")]
    Hash,
    /// Not `0x` and 1 to 16 hexadecimal digits without leading zeros.
    #[error("a number is 0x and 1 to 16 hexadecimal digits, without leading zeros")]
    Quantity,
    /// Not `0x` and an even count of hexadecimal digits.
    #[error("bytes are 0x and an even count of hexadecimal digits")]
    Bytes,
}

/// An address: 20 bytes, written with the checksum of EIP-55.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EvmAddress([u8; 20]);

impl EvmAddress {
    /// These bytes.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Whether it is the address of nobody, from which tokens are minted and to which they are burnt.
    pub const fn is_zero(&self) -> bool {
        let mut index = 0;
        while index < 20 {
            if self.0[index] != 0 {
                return false;
            }
            index += 1;
        }
        true
    }
}

impl FromStr for EvmAddress {
    type Err = InvalidEvm;

    /// Letters of one case carry no checksum and are taken as they are; where both occur, every one has to be right.
    fn from_str(text: &str) -> Result<Self, InvalidEvm> {
        let digits = text.strip_prefix("0x").ok_or(InvalidEvm::Address)?;
        let address = Self(fixed(digits).ok_or(InvalidEvm::Address)?);
        let (upper, lower) = (|byte: u8| byte.is_ascii_uppercase(), |byte: u8| byte.is_ascii_lowercase());
        let is_mixed = digits.bytes().any(upper) && digits.bytes().any(lower);
        if is_mixed && address.to_string() != text { Err(InvalidEvm::Checksum) } else { Ok(address) }
    }
}

impl fmt::Display for EvmAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex(&self.0);
        let sum = keccak256(digits.as_bytes());
        formatter.write_str("0x")?;
        for (index, digit) in digits.chars().enumerate() {
            let nibble = if index % 2 == 0 { sum[index / 2] >> 4 } else { sum[index / 2] & 0xf };
            let digit = if nibble >= 8 { digit.to_ascii_uppercase() } else { digit };
            fmt::Write::write_char(formatter, digit)?;
        }
        Ok(())
    }
}

/// 32 bytes: the hash of a block or a transaction, a topic of an event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash32([u8; 32]);

impl Hash32 {
    /// These bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Hash32 {
    type Err = InvalidEvm;

    fn from_str(text: &str) -> Result<Self, InvalidEvm> {
        text.strip_prefix("0x").and_then(fixed).map(Self).ok_or(InvalidEvm::Hash)
    }
}

impl fmt::Display for Hash32 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "0x{}", hex(&self.0))
    }
}

/// A number of a block, an index, a time: at most 64 bits, written in hexadecimal without leading zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(pub u64);

impl FromStr for Quantity {
    type Err = InvalidEvm;

    fn from_str(text: &str) -> Result<Self, InvalidEvm> {
        let digits = text.strip_prefix("0x").ok_or(InvalidEvm::Quantity)?;
        let plain = (1..=16).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
            && (digits == "0" || !digits.starts_with('0'));
        if !plain {
            return Err(InvalidEvm::Quantity);
        }
        u64::from_str_radix(digits, 16).map(Self).map_err(|_| InvalidEvm::Quantity)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#x}", self.0)
    }
}

as_text!(EvmAddress, Hash32, Quantity);

/// Reads `0x` and hexadecimal digits, two for each byte.
///
/// # Errors
/// [`InvalidEvm::Bytes`] for anything else.
pub fn parse_bytes(text: &str) -> Result<Vec<u8>, InvalidEvm> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() % 2 == 0).ok_or(InvalidEvm::Bytes)?;
    digits.as_bytes().chunks_exact(2).map(|pair| byte(pair[0], pair[1])).collect::<Option<_>>().ok_or(InvalidEvm::Bytes)
}

/// Writes bytes as `0x` and lower-case hexadecimal digits.
pub fn print_bytes(bytes: &[u8]) -> String {
    format!("0x{}", hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

/// Exactly so many bytes of hexadecimal digits.
fn fixed<const N: usize>(digits: &str) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (place, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *place = byte(pair[0], pair[1])?;
    }
    Some(bytes)
}

fn byte(high: u8, low: u8) -> Option<u8> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(nibble(high)? << 4 | nibble(low)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keccak_is_the_one_of_ethereum() {
        let empty = "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
        assert_eq!(print_bytes(&keccak256(b"")), empty);
    }

    #[test]
    fn the_checksums_of_eip_55_are_read_and_written() {
        // The examples of the standard: all upper, all lower, mixed.
        for text in [
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
            "0xde709f2102306220921060314715629080e2fb77",
            "0x27b1fdb04752bbc536007a920d24acb045561c26",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ] {
            assert_eq!(text.parse::<EvmAddress>().expect(text).to_string(), text);
        }
        let swapped = "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        assert_eq!(swapped.parse::<EvmAddress>(), Err(InvalidEvm::Checksum));
        for bad in [
            "",
            "0x",
            "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0X5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
            "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae",
            "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaedd",
            "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae\u{ff10}",
            "0x+aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
        ] {
            assert_eq!(bad.parse::<EvmAddress>(), Err(InvalidEvm::Address), "{bad}");
        }
        assert!("0x0000000000000000000000000000000000000000".parse::<EvmAddress>().expect("an address").is_zero());
    }

    #[test]
    fn numbers_have_one_spelling() {
        for (text, number) in [("0x0", 0), ("0x1", 1), ("0xff", 255), ("0xffffffffffffffff", u64::MAX)] {
            assert_eq!(text.parse(), Ok(Quantity(number)));
            assert_eq!(Quantity(number).to_string(), text);
        }
        for bad in ["", "0x", "0", "0x00", "0x01", "ff", "0xg", "0x+1", "0x10000000000000000"] {
            assert_eq!(bad.parse::<Quantity>(), Err(InvalidEvm::Quantity), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn addresses_round_trip_with_and_without_checksum(bytes: [u8; 20]) {
            let address = EvmAddress::from_bytes(bytes);
            let text = address.to_string();
            prop_assert_eq!(text.parse(), Ok(address));
            prop_assert_eq!(text.to_ascii_lowercase().parse(), Ok(address));
        }

        #[test]
        fn one_letter_of_the_wrong_case_is_noticed(bytes: [u8; 20], at in 2usize..42) {
            let mut text = EvmAddress::from_bytes(bytes).to_string().into_bytes();
            prop_assume!(text[at].is_ascii_alphabetic());
            text[at] ^= 0x20;
            let text = String::from_utf8(text).expect("ASCII");
            let digits = &text[2..];
            let mixed = digits.bytes().any(|b| b.is_ascii_uppercase()) && digits.bytes().any(|b| b.is_ascii_lowercase());
            prop_assert_eq!(text.parse::<EvmAddress>().is_err(), mixed);
        }

        #[test]
        fn hashes_numbers_and_bytes_round_trip(hash: [u8; 32], number: u64, bytes: Vec<u8>) {
            let hash = Hash32::from_bytes(hash);
            prop_assert_eq!(hash.to_string().parse(), Ok(hash));
            prop_assert_eq!(Quantity(number).to_string().parse(), Ok(Quantity(number)));
            prop_assert_eq!(parse_bytes(&print_bytes(&bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_answered(text in "(0x)?[0-9a-fA-FxX+ é]{0,70}") {
            if let Ok(address) = text.parse::<EvmAddress>() {
                prop_assert!(address.to_string().eq_ignore_ascii_case(&text));
            }
            if let Ok(hash) = text.parse::<Hash32>() {
                prop_assert_eq!(hash.to_string(), text.to_ascii_lowercase());
            }
            if let Ok(number) = text.parse::<Quantity>() {
                prop_assert_eq!(number.to_string(), text.to_ascii_lowercase());
            }
            if let Ok(bytes) = parse_bytes(&text) {
                prop_assert_eq!(print_bytes(&bytes), text.to_ascii_lowercase());
            }
        }
    }
}
