//! The few questions that a node is asked. None of them changes anything, and none needs a key.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use trousseau_domain::evm::{
    EvmAddress, Hash32, Quantity, TRANSFER_TOPIC, address_topic, balance_call, parse_bytes, print_bytes,
};
use trousseau_domain::ledger::Block;
use trousseau_domain::time::Timestamp;

use super::endpoint::{Call, RpcError};

/// Which block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Latest,
    Safe,
    Finalized,
    Number(u64),
}

impl At {
    fn text(self) -> String {
        match self {
            Self::Latest => "latest".to_owned(),
            Self::Safe => "safe".to_owned(),
            Self::Finalized => "finalized".to_owned(),
            Self::Number(number) => Quantity(number).to_string(),
        }
    }
}

/// Where logs are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    /// In exactly this block, or not at all: no other fork can answer.
    Block(Hash32),
    /// From one height to another, both included.
    Range(u64, u64),
}

/// The head of a block.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    pub(crate) number: Quantity,
    pub(crate) hash: Hash32,
    parent_hash: Hash32,
    timestamp: Quantity,
}

impl Header {
    /// The block as a ledger's block; none if its time is beyond all calendars.
    pub(crate) fn block(&self) -> Option<Block> {
        let micros = i64::try_from(self.timestamp.0).ok()?.checked_mul(1_000_000)?;
        Some(Block {
            number: self.number.0,
            hash: self.hash.to_string(),
            parent: self.parent_hash.to_string(),
            at: Timestamp::from_micros(micros).ok()?,
        })
    }
}

/// An event of a contract.
#[expect(clippy::struct_field_names, reason = "the names are those of the protocol")]
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Log {
    pub(crate) address: EvmAddress,
    pub(crate) topics: Vec<Hash32>,
    data: String,
    pub(crate) block_number: Quantity,
    pub(crate) block_hash: Hash32,
    pub(crate) transaction_hash: Hash32,
    pub(crate) log_index: Quantity,
    /// Set where a reorganisation took it away while it was asked for.
    #[serde(default)]
    pub(crate) removed: bool,
}

impl Log {
    /// Its data; none where that is no bytes.
    pub(crate) fn data(&self) -> Option<Vec<u8>> {
        parse_bytes(&self.data).ok()
    }
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub(crate) block_number: Quantity,
    pub(crate) block_hash: Hash32,
    /// 1 where it did what it says, 0 where it was reverted.
    pub(crate) status: Quantity,
    pub(crate) logs: Vec<Log>,
}

/// The number of the chain.
pub(crate) fn chain_id() -> Call {
    Call { method: "eth_chainId", params: json!([]) }
}

/// The head of a block.
pub(crate) fn header(at: At) -> Call {
    Call { method: "eth_getBlockByNumber", params: json!([at.text(), false]) }
}

/// Transfers told by these contracts; to these addresses, where there are any.
pub(crate) fn transfers(within: Within, contracts: &[EvmAddress], to: Option<&[EvmAddress]>) -> Call {
    let mut topics = vec![json!(TRANSFER_TOPIC)];
    if let Some(to) = to {
        topics.push(Value::Null);
        topics.push(to.iter().map(|address| json!(address_topic(*address))).collect());
    }
    let mut filter = json!({ "address": contracts, "topics": topics });
    match within {
        Within::Block(hash) => filter["blockHash"] = json!(hash),
        Within::Range(from, to) => {
            filter["fromBlock"] = json!(Quantity(from));
            filter["toBlock"] = json!(Quantity(to));
        }
    }
    Call { method: "eth_getLogs", params: json!([filter]) }
}

/// What became of a transaction.
pub(crate) fn receipt(transaction: Hash32) -> Call {
    Call { method: "eth_getTransactionReceipt", params: json!([transaction]) }
}

/// The code of a contract.
pub(crate) fn code(contract: EvmAddress) -> Call {
    Call { method: "eth_getCode", params: json!([contract, "latest"]) }
}

/// The code of a contract at a block.
pub(crate) fn code_at(contract: EvmAddress, at: At) -> Call {
    Call { method: "eth_getCode", params: json!([contract, at.text()]) }
}

/// What a contract answers to a call at a block. Nothing is changed by it.
pub(crate) fn call(to: EvmAddress, data: &[u8], at: At) -> Call {
    Call { method: "eth_call", params: json!([{ "to": to, "data": print_bytes(data) }, at.text()]) }
}

/// How much of a token an address holds at a block.
pub(crate) fn balance(token: EvmAddress, holder: EvmAddress, at: At) -> Call {
    call(token, &balance_call(holder), at)
}

/// Transfers told by these contracts, out of these addresses.
pub(crate) fn transfers_from((from, to): (u64, u64), contracts: &[EvmAddress], holders: &[EvmAddress]) -> Call {
    let holders: Vec<_> = holders.iter().map(|holder| address_topic(*holder)).collect();
    let filter = json!({
        "address": contracts,
        "topics": [TRANSFER_TOPIC, holders],
        "fromBlock": Quantity(from),
        "toBlock": Quantity(to),
    });
    Call { method: "eth_getLogs", params: json!([filter]) }
}

/// How many decimals a token says it has: the call of `decimals()`.
pub(crate) fn decimals(contract: EvmAddress) -> Call {
    let data = print_bytes(&[0x31, 0x3c, 0xe5, 0x67]);
    Call { method: "eth_call", params: json!([{ "to": contract, "data": data }, "latest"]) }
}

/// Reads an answer.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, RpcError> {
    serde_json::from_value(value).map_err(|_| RpcError::Malformed("a value is not of the kind that it should be"))
}

/// Reads the answer to a call that gives one number of 256 bits, where it is a small one.
pub(crate) fn read_small(value: Value) -> Result<Option<u8>, RpcError> {
    let text: String = read(value)?;
    let bytes = parse_bytes(&text).map_err(|_| RpcError::Malformed("a value is no bytes"))?;
    let small = bytes.len() == 32 && bytes[..31].iter().all(|byte| *byte == 0);
    Ok(small.then(|| bytes[31]))
}

/// Reads the answer to a call that gives one number of 256 bits. One beyond 128 bits, which no honest token has, becomes
/// the largest of these.
pub(crate) fn read_amount(value: Value) -> Result<u128, RpcError> {
    let text: String = read(value)?;
    let bytes = parse_bytes(&text).map_err(|_| RpcError::Malformed("a value is no bytes"))?;
    let word: [u8; 32] = bytes.try_into().map_err(|_| RpcError::Malformed("a value is not one word"))?;
    let (high, low) = word.split_at(16);
    let low = u128::from_be_bytes(low.try_into().expect("the other 16 of 32 bytes"));
    Ok(if high.iter().all(|byte| *byte == 0) { low } else { u128::MAX })
}

/// Reads the answer to a question for a balance. Nobody has checked a contract that is only noticed: it may tell none.
pub(crate) fn read_balance(answer: Result<Value, RpcError>, checked: bool) -> Result<Option<u128>, RpcError> {
    match answer.and_then(read_amount) {
        Err(error) if !checked && (error.is_revert() || matches!(error, RpcError::Malformed(_))) => Ok(None),
        amount => amount.map(Some),
    }
}

/// Whether there is code in the answer to the question for it.
pub(crate) fn is_contract(value: Value) -> Result<bool, RpcError> {
    Ok(read::<String>(value)?.len() > 2)
}
