//! The event by which every ERC-20 token tells of a transfer.

use super::{EvmAddress, Hash32};
use crate::ledger::RawAmount;

/// The Keccak-256 of `Transfer(address,address,uint256)`: the first topic of every transfer (EIP-20).
pub const TRANSFER_TOPIC: Hash32 = Hash32::from_bytes([
    0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2, 0xc8, 0x9b, 0x69, 0xc2, 0xb0, 0x68, 0xfc, 0x37, 0x8d, 0xaa, 0x95, 0x2b, 0xa7,
    0xf1, 0x63, 0xc4, 0xa1, 0x16, 0x28, 0xf5, 0x5a, 0x4d, 0xf5, 0x23, 0xb3, 0xef,
]);

/// What a transfer's event says. Which contract says it is for the caller to check: anybody can emit the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferLog {
    /// From whom; the zero address where tokens were minted.
    pub from: EvmAddress,
    /// To whom.
    pub to: EvmAddress,
    /// Base units, up to 256 bits.
    pub amount: RawAmount,
}

/// Why an event is not the transfer of an ERC-20 token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotATransfer {
    /// Another event, or that of an NFT, which has a fourth topic.
    #[error("it has not the three topics of a transfer")]
    Topics,
    /// A topic that should be an address is none.
    #[error("a topic is no address")]
    Address,
    /// The value is not exactly 32 bytes.
    #[error("its data is not one number of 256 bits")]
    Data,
}

/// Reads the event of a transfer: three topics, two of them addresses, and exactly 32 bytes of data.
///
/// # Errors
/// [`NotATransfer`] with what is wrong.
pub fn decode_transfer(topics: &[Hash32], data: &[u8]) -> Result<TransferLog, NotATransfer> {
    let [TRANSFER_TOPIC, from, to] = topics else { return Err(NotATransfer::Topics) };
    let value: [u8; 32] = data.try_into().map_err(|_| NotATransfer::Data)?;
    let address = |topic| address_of(topic).ok_or(NotATransfer::Address);
    Ok(TransferLog { from: address(from)?, to: address(to)?, amount: RawAmount::from_be_bytes(value) })
}

/// An address as the topic of an event: twelve zero bytes before it.
pub fn address_topic(address: EvmAddress) -> Hash32 {
    let mut topic = [0; 32];
    topic[12..].copy_from_slice(address.as_bytes());
    Hash32::from_bytes(topic)
}

/// The call `transfer(address,uint256)` of an ERC-20 token (EIP-20), for a wallet to sign.
pub fn transfer_call(to: EvmAddress, units: u64) -> Vec<u8> {
    let mut call = vec![0xa9, 0x05, 0x9c, 0xbb];
    call.extend(address_topic(to).as_bytes());
    call.extend([0; 24]);
    call.extend(units.to_be_bytes());
    call
}

/// The same as a link that wallets read (EIP-681). Not all of them read more than its first address, the contract's.
pub fn transfer_uri(contract: EvmAddress, chain_id: u64, to: EvmAddress, units: u64) -> String {
    format!("ethereum:{contract}@{chain_id}/transfer?address={to}&uint256={units}")
}

fn address_of(topic: &Hash32) -> Option<EvmAddress> {
    let (padding, address) = topic.as_bytes().split_at(12);
    if padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    address.try_into().map(EvmAddress::from_bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::evm::keccak256;

    #[test]
    fn the_topic_is_the_hash_of_the_signature() {
        assert_eq!(TRANSFER_TOPIC.as_bytes(), &keccak256(b"Transfer(address,address,uint256)"));
    }

    #[test]
    fn a_transfer_is_asked_for_in_the_words_of_the_standard() {
        assert_eq!(
            &keccak256(b"transfer(address,uint256)")[..4],
            &transfer_call(EvmAddress::from_bytes([0; 20]), 0)[..4]
        );
        let (token, to) = (EvmAddress::from_bytes([0x11; 20]), EvmAddress::from_bytes([0x22; 20]));
        assert_eq!(
            crate::evm::print_bytes(&transfer_call(to, 12_500_000)),
            "0xa9059cbb0000000000000000000000002222222222222222222222222222222222222222\
             0000000000000000000000000000000000000000000000000000000000bebc20"
        );
        assert_eq!(
            transfer_uri(token, 8453, to, 12_500_000),
            "ethereum:0x1111111111111111111111111111111111111111@8453/transfer\
             ?address=0x2222222222222222222222222222222222222222&uint256=12500000"
        );
    }

    #[test]
    fn only_the_exact_shape_is_a_transfer() {
        let (from, to) = (EvmAddress::from_bytes([1; 20]), EvmAddress::from_bytes([2; 20]));
        let (a, b) = (address_topic(from), address_topic(to));
        let mut value = [0; 32];
        value[31] = 7;
        let read = decode_transfer(&[TRANSFER_TOPIC, a, b], &value).expect("a transfer");
        assert_eq!((read.from, read.to, read.amount.units()), (from, to, Some(7)));
        let other = Hash32::from_bytes([9; 32]);
        for topics in [&[][..], &[TRANSFER_TOPIC], &[TRANSFER_TOPIC, a], &[TRANSFER_TOPIC, a, b, b], &[other, a, b]] {
            assert_eq!(decode_transfer(topics, &value), Err(NotATransfer::Topics));
        }
        for data in [&value[..31], &[], &[0; 33], &[0; 64]] {
            assert_eq!(decode_transfer(&[TRANSFER_TOPIC, a, b], data), Err(NotATransfer::Data));
        }
        assert_eq!(decode_transfer(&[TRANSFER_TOPIC, a, other], &value), Err(NotATransfer::Address));
    }

    #[test]
    fn what_exceeds_64_bits_is_kept_as_text() {
        let somebody = address_topic(EvmAddress::from_bytes([1; 20]));
        let topics = [TRANSFER_TOPIC, somebody, somebody];
        let read = decode_transfer(&topics, &[0xff; 32]).expect("a transfer");
        assert_eq!(
            read.amount.as_str(),
            "115792089237316195423570985008687907853269984665640564039457584007913129639935"
        );
        assert_eq!(read.amount.units(), None);
    }

    proptest! {
        #[test]
        fn transfers_round_trip(from: [u8; 20], to: [u8; 20], value: u128) {
            let (from, to) = (EvmAddress::from_bytes(from), EvmAddress::from_bytes(to));
            let mut data = [0; 32];
            data[16..].copy_from_slice(&value.to_be_bytes());
            let read = decode_transfer(&[TRANSFER_TOPIC, address_topic(from), address_topic(to)], &data);
            let read = read.expect("a transfer");
            prop_assert_eq!((read.from, read.to), (from, to));
            prop_assert_eq!(read.amount.as_str(), value.to_string());
        }
    }
}
