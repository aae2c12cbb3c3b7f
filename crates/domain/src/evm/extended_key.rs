//! Extended public keys (BIP-32): the addresses of a wallet's account, without any key that could spend from them.
//!
//! What is taken is the key of an account, `m/44'/60'/n'` (BIP-44); payments get its children `/0/i`. Everything that
//! can spend is refused by its form, before anything else is asked of it.

use std::fmt;
use std::str::FromStr;

use bip32::{ChildNumber, ExtendedKey, Prefix, XPub};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{EvmAddress, InvalidEvm, keccak256};
use crate::text::text_enum;

/// How deep the key of an account lies: purpose, coin, account (BIP-44).
const ACCOUNT_DEPTH: u8 = 3;
/// How many words of letters make a text that is meant to be remembered rather than an address.
const PHRASE_WORDS: usize = 6;

/// Which child of an extended key: 0 to 2^31 - 1, the ones that a public key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildIndex(u32);

/// An index that no public key has a child of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an index is a number from 0 to 2147483647")]
pub struct ChildIndexRange;

impl ChildIndex {
    /// The first one that a payment gets. Those before it are shown to confirm a key, and wallets use them themselves.
    pub const FIRST: Self = Self(3);

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The next one.
    pub fn next(self) -> Option<Self> {
        Self::try_from(i64::from(self.0) + 1).ok()
    }
}

impl TryFrom<i64> for ChildIndex {
    type Error = ChildIndexRange;

    fn try_from(number: i64) -> Result<Self, ChildIndexRange> {
        let number = u32::try_from(number).map_err(|_| ChildIndexRange)?;
        if number < ChildNumber::HARDENED_FLAG { Ok(Self(number)) } else { Err(ChildIndexRange) }
    }
}

/// What the children of a key follow from, and nothing else: two spellings of it that differ in where the key comes
/// from have the same children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtendedKeyId([u8; 32]);

impl ExtendedKeyId {
    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// An extended public key of an account.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtendedPublicKey {
    text: String,
    account: u32,
    id: ExtendedKeyId,
    /// The parent of all addresses, `/0`.
    receiving: XPub,
}

/// Why a text is no extended public key of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExtendedKey {
    /// Not the form, or a character is wrong: the checksum is not that of the rest.
    #[error("an extended public key is xpub and 107 more letters and digits; one of them is wrong, or it was cut")]
    Form,
    /// Another kind, for other coins or other addresses.
    #[error("it is an extended key of another kind: wallets of EVM networks give one that begins with xpub")]
    Version,
    /// Not that of an account.
    #[error("it is at depth {0} of the wallet, and that of an account, m/44'/60'/0', is at depth 3")]
    Depth(u8),
    /// At the right depth, and still not that of an account.
    #[error("it is not that of an account, m/44'/60'/0', whose last step is hardened")]
    NotAnAccount,
}

/// What a text that can spend looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretForm {
    /// `xprv...` and its like.
    ExtendedPrivateKey,
    /// A key of one address, or the seed of a wallet.
    PrivateKey,
    /// The words of a wallet (BIP-39).
    Phrase,
}

impl SecretForm {
    /// The form of a text that can spend, whether or not it is written without mistakes.
    pub fn of(text: &str) -> Option<Self> {
        // Words may be numbered, or followed by commas.
        let words = text
            .split(|character: char| character.is_whitespace() || character == ',')
            .map(|word| word.trim_matches(|character: char| !character.is_alphabetic()))
            .filter(|word| !word.is_empty() && word.chars().all(char::is_alphabetic));
        if words.count() >= PHRASE_WORDS {
            return Some(Self::Phrase);
        }
        let compact: String = text.chars().filter(|character| !character.is_whitespace()).collect();
        let digits = compact.strip_prefix("0x").or_else(|| compact.strip_prefix("0X")).unwrap_or(&compact);
        // A digit more or less is a mistake of whoever typed it.
        if matches!(digits.len(), 60..=68 | 124..=132) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Some(Self::PrivateKey);
        }
        if compact.get(1..4).is_some_and(|kind| kind.eq_ignore_ascii_case("prv")) {
            return Some(Self::ExtendedPrivateKey);
        }
        // A private key stands behind a zero, whatever the version in front says (BIP-32, serialization format).
        if compact.parse::<ExtendedKey>().is_ok_and(|key| key.key_bytes[0] == 0) {
            return Some(Self::ExtendedPrivateKey);
        }
        let exported = matches!(compact.len(), 51 | 52)
            && compact.starts_with(['5', 'K', 'L', '9', 'c'])
            && compact.bytes().all(|byte| byte.is_ascii_alphanumeric());
        exported.then_some(Self::PrivateKey)
    }
}

impl fmt::Display for SecretForm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ExtendedPrivateKey => "an extended private key",
            Self::PrivateKey => "a private key",
            Self::Phrase => "the words of a wallet",
        })
    }
}

impl ExtendedPublicKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What its children follow from.
    pub const fn id(&self) -> ExtendedKeyId {
        self.id
    }

    /// The beginning and the end: enough to tell keys apart, and not enough to follow their addresses.
    pub fn masked(&self) -> String {
        format!("{}…{}", &self.text[..12], &self.text[self.text.len() - 6..])
    }

    /// Where a child is in the wallet.
    pub fn path(&self, index: ChildIndex) -> String {
        format!("m/44'/60'/{}'/0/{}", self.account, index.number())
    }

    /// The address of a child; none for one of 2^127, which has no key (BIP-32, child key derivation).
    pub fn address(&self, index: ChildIndex) -> Option<EvmAddress> {
        let child = self.receiving.derive_child(ChildNumber(index.number())).ok()?;
        let point = child.public_key().to_sec1_point(false);
        // One byte says that both coordinates follow.
        let hash = keccak256(point.as_bytes().get(1..)?);
        Some(EvmAddress::from_bytes(hash[12..].try_into().expect("the last 20 of 32 bytes")))
    }

    /// The addresses that whoever gives the key finds in their own wallet, before any payment gets one.
    pub fn first_addresses(&self) -> Vec<EvmAddress> {
        (0..ChildIndex::FIRST.number()).filter_map(|number| self.address(ChildIndex(number))).collect()
    }
}

impl FromStr for ExtendedPublicKey {
    type Err = InvalidExtendedKey;

    fn from_str(text: &str) -> Result<Self, InvalidExtendedKey> {
        let key: ExtendedKey = text.parse().map_err(|_| InvalidExtendedKey::Form)?;
        if key.prefix != Prefix::XPUB {
            return Err(InvalidExtendedKey::Version);
        }
        // The crate would turn a private key into its public one; here it is none at all.
        if !matches!(key.key_bytes[0], 2 | 3) || key.to_string() != text {
            return Err(InvalidExtendedKey::Form);
        }
        if key.attrs.depth != ACCOUNT_DEPTH {
            return Err(InvalidExtendedKey::Depth(key.attrs.depth));
        }
        if !key.attrs.child_number.is_hardened() {
            return Err(InvalidExtendedKey::NotAnAccount);
        }
        let account = key.attrs.child_number.index();
        let id = Sha256::new().chain_update(key.attrs.chain_code).chain_update(key.key_bytes).finalize();
        let key = XPub::try_from(key).map_err(|_| InvalidExtendedKey::Form)?;
        let receiving = key.derive_child(ChildNumber(0)).map_err(|_| InvalidExtendedKey::Form)?;
        Ok(Self { text: text.to_owned(), account, id: ExtendedKeyId(id.into()), receiving })
    }
}

impl fmt::Display for ExtendedPublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Whoever has it can follow every payment, so it stays out of logs.
impl fmt::Debug for ExtendedPublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.masked())
    }
}

text_enum! {
    /// Whether an extended key that somebody gave has an effect.
    PayoutKeyState {
        /// Nobody has found its first addresses in their wallet yet.
        Proposed = "proposed",
        /// Payments get its children.
        InForce = "in_force",
    }
}

/// Where the money of a network goes, as a person writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayoutTarget {
    /// To one address, by forwarders.
    Address(EvmAddress),
    /// To a new address of a wallet for every payment.
    ExtendedKey(ExtendedPublicKey),
}

/// Why a text says of no place where money could go. What was written is in none of these: it may be able to spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPayoutTarget {
    /// It can spend.
    #[error(
        "this is {0}: whoever has it can take your money. It was not kept. Give an address or an extended public key \
         (xpub...), and move your money if anybody may have seen what you gave"
    )]
    Secret(SecretForm),
    /// Meant as an address.
    #[error(transparent)]
    Address(InvalidEvm),
    /// Meant as an extended public key.
    #[error(transparent)]
    ExtendedKey(InvalidExtendedKey),
}

impl FromStr for PayoutTarget {
    type Err = InvalidPayoutTarget;

    fn from_str(text: &str) -> Result<Self, InvalidPayoutTarget> {
        if let Some(form) = SecretForm::of(text) {
            return Err(InvalidPayoutTarget::Secret(form));
        }
        let is_key = text.get(1..4).is_some_and(|kind| kind.eq_ignore_ascii_case("pub"));
        if is_key {
            text.parse().map(Self::ExtendedKey).map_err(InvalidPayoutTarget::ExtendedKey)
        } else {
            text.parse().map(Self::Address).map_err(InvalidPayoutTarget::Address)
        }
    }
}

#[cfg(test)]
mod tests {
    use bip32::{DerivationPath, XPrv};
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use proptest::prelude::*;
    use sha2::Sha512;

    use super::*;
    use crate::evm::parse_bytes;

    /// The phrase that development nodes make their accounts of.
    const PHRASE: &str = "test test test test test test test test test test test junk";

    /// The seed of a phrase without a passphrase (BIP-39): PBKDF2 with 2048 rounds, one block of it.
    fn seed(phrase: &str) -> [u8; 64] {
        let mac = |data: &[u8]| -> [u8; 64] {
            let mut mac = Hmac::<Sha512>::new_from_slice(phrase.as_bytes()).expect("any length");
            mac.update(data);
            mac.finalize().into_bytes().into()
        };
        let mut round = mac(b"mnemonic\0\0\0\x01");
        let mut sum = round;
        for _ in 1..2048 {
            round = mac(&round);
            sum.iter_mut().zip(round).for_each(|(sum, round)| *sum ^= round);
        }
        sum
    }

    fn private(seed: &[u8], path: &str) -> XPrv {
        let path: DerivationPath = path.parse().expect("a path");
        XPrv::derive_from_path(seed, &path).expect("derived")
    }

    fn public(seed: &[u8], path: &str) -> String {
        private(seed, path).public_key().to_extended_key(Prefix::XPUB).to_string()
    }

    fn account(path: &str) -> String {
        public(&seed(PHRASE), path)
    }

    #[test]
    fn the_accounts_of_development_nodes_come_out() {
        // As another implementation writes it.
        let text = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";
        assert_eq!(account("m/44'/60'/0'"), text);
        let key: ExtendedPublicKey = text.parse().expect("of an account");
        let first: Vec<_> = key.first_addresses().iter().map(ToString::to_string).collect();
        assert_eq!(
            first,
            [
                "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
                "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
                "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
            ]
        );
        let tenth = ChildIndex::try_from(9).expect("in range");
        assert_eq!(key.address(tenth).expect("a key").to_string(), "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720");
        assert_eq!(key.path(tenth), "m/44'/60'/0'/0/9");
        assert_eq!(key.as_str().parse::<ExtendedPublicKey>(), Ok(key.clone()));
        assert_eq!(key.masked().chars().count(), 19);
        assert_eq!(format!("{key:?}"), key.masked());
    }

    /// The chains of BIP-32's first two vectors: the keys of the standard are read and written, and refused for where
    /// they are in their wallets.
    #[test]
    fn the_vectors_of_bip_32_come_out() {
        let seed_of = |digits: &str| parse_bytes(&format!("0x{digits}")).expect("bytes");
        let one = seed_of("000102030405060708090a0b0c0d0e0f");
        let two = seed_of(
            "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a2\
             9f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542",
        );
        for (seed, path, text, refused) in [
            (
                &one,
                "m",
                "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8",
                Some(InvalidExtendedKey::Depth(0)),
            ),
            // At the depth of an account, by a hardened step: it is one.
            (
                &one,
                "m/0'/1/2'",
                "xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5uJh7n7epu4trkrX7x7DogT5Uv6fcLW5",
                None,
            ),
            (
                &two,
                "m/0/2147483647'/1",
                "xpub6DF8uhdarytz3FWdA8TvFSvvAh8dP3283MY7p2V4SeE2wyWmG5mg5EwVvmdMVCQcoNJxGoWaU9DCWh89LojfZ537wTfunKau47EL2dhHKon",
                Some(InvalidExtendedKey::NotAnAccount),
            ),
            (
                &two,
                "m/0/2147483647'/1/2147483646'/2",
                "xpub6FnCn6nSzZAw5Tw7cgR9bi15UV96gLZhjDstkXXxvCLsUXBGXPdSnLFbdpq8p9HmGsApME5hQTZ3emM2rnY5agb9rXpVGyy3bdW6EEgAtqt",
                Some(InvalidExtendedKey::Depth(5)),
            ),
        ] {
            assert_eq!(public(seed, path), text, "{path}");
            assert_eq!(text.parse::<ExtendedPublicKey>().err(), refused, "{path}");
        }
        // Its fifth vector: keys that are none. A key of the wrong version, of no point, of a public version with a
        // private key, a wrong checksum.
        for bad in [
            "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6LBpB85b3D2yc8sfvZU521AAwdZafEz7mnzBBsz4wKY5fTtTQBm",
            "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6Txnt3siSujt9RCVYsx4qHZGc62TG4McvMGcAUjeuwZdduYEvFn",
            "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6N8ZMMXctdiCjxTNq964yKkwrkBJJwpzZS4HS2fxvyYUA4q2Xe4",
            "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6Q5JXayek4PRsn35jii4veMimro1xefsM58PgBMrvdYre8QyULY",
            "DMwo58pR1QLEFihHiXPVykYB6fJmsTeHvyTp7hRThAtCX8CvYzgPcn8XnmdfHGMQzT7ayAmfo4z3gY5KfbrZWZ6St24UVf2Qgo6oujFktLHdHY4",
        ] {
            assert!(bad.parse::<ExtendedPublicKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_public_key_of_an_account_is_taken() {
        let key = account("m/44'/60'/0'");
        let other_kind = |prefix: Prefix| private(&seed(PHRASE), "m/44'/60'/0'").public_key().to_extended_key(prefix);
        for prefix in [Prefix::TPUB, Prefix::YPUB, Prefix::ZPUB] {
            let text = other_kind(prefix).to_string();
            assert_eq!(text.parse::<ExtendedPublicKey>(), Err(InvalidExtendedKey::Version), "{text}");
        }
        assert_eq!(account("m/44'/60'").parse::<ExtendedPublicKey>(), Err(InvalidExtendedKey::Depth(2)));
        assert_eq!(account("m/44'/60'/0'/0").parse::<ExtendedPublicKey>(), Err(InvalidExtendedKey::Depth(4)));
        assert_eq!(account("m/44'/60'/0").parse::<ExtendedPublicKey>(), Err(InvalidExtendedKey::NotAnAccount));
        let cut = &key[..key.len() - 1];
        for bad in ["", "xpub", cut, &format!("{key} "), &format!("1{key}"), &key.replacen("xpub", "Xpub", 1)] {
            assert_eq!(bad.parse::<ExtendedPublicKey>(), Err(InvalidExtendedKey::Form), "{bad}");
        }
        // The same key from elsewhere has the same children, and is the same one.
        let mut elsewhere: ExtendedKey = key.parse().expect("a key");
        elsewhere.attrs.parent_fingerprint = [9; 4];
        let elsewhere: ExtendedPublicKey = elsewhere.to_string().parse().expect("a key");
        let key: ExtendedPublicKey = key.parse().expect("a key");
        assert_eq!((elsewhere.id(), elsewhere.first_addresses()), (key.id(), key.first_addresses()));
        assert_ne!(elsewhere, key);
        let other: ExtendedPublicKey = account("m/44'/60'/1'").parse().expect("a key");
        assert_ne!(other.id(), key.id());
    }

    #[test]
    fn what_can_spend_is_known_by_its_form() {
        let extended = |prefix: Prefix| {
            let key = private(&seed(PHRASE), "m/44'/60'/0'");
            key.to_extended_key(prefix).to_string()
        };
        let digits = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let mistyped = extended(Prefix::XPRV).replacen('A', "B", 3);
        for (text, form) in [
            (extended(Prefix::XPRV), SecretForm::ExtendedPrivateKey),
            (extended(Prefix::TPRV), SecretForm::ExtendedPrivateKey),
            (extended(Prefix::YPRV), SecretForm::ExtendedPrivateKey),
            (extended(Prefix::ZPRV), SecretForm::ExtendedPrivateKey),
            (extended(Prefix::XPRV)[..40].to_owned(), SecretForm::ExtendedPrivateKey),
            (mistyped, SecretForm::ExtendedPrivateKey),
            // The version of a public key before a private one.
            (extended(Prefix::XPUB), SecretForm::ExtendedPrivateKey),
            (digits.to_owned(), SecretForm::PrivateKey),
            (format!("0x{digits}"), SecretForm::PrivateKey),
            (format!(" 0X{} ", digits.to_ascii_uppercase()), SecretForm::PrivateKey),
            (digits[1..].to_owned(), SecretForm::PrivateKey),
            (digits.repeat(2), SecretForm::PrivateKey),
            ("5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ".to_owned(), SecretForm::PrivateKey),
            (PHRASE.to_owned(), SecretForm::Phrase),
            (PHRASE.replace(' ', "\n"), SecretForm::Phrase),
            (PHRASE.replace(' ', ","), SecretForm::Phrase),
            ("1. test 2. test 3. test 4. test 5. test 6. junk".to_owned(), SecretForm::Phrase),
            ("tâche tâche tâche tâche tâche tâche tâche tâche tâche tâche tâche tâche".to_owned(), SecretForm::Phrase),
        ] {
            assert_eq!(SecretForm::of(&text), Some(form), "{text}");
            let refused = text.parse::<PayoutTarget>().expect_err("it can spend");
            assert_eq!(refused, InvalidPayoutTarget::Secret(form));
            assert!(!refused.to_string().contains(&text[1..12]), "it is not repeated");
        }
    }

    #[test]
    fn addresses_and_public_keys_cannot_spend() {
        let address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let key = account("m/44'/60'/0'");
        assert_eq!(address.parse(), Ok(PayoutTarget::Address(address.parse().expect("an address"))));
        assert_eq!(key.parse(), Ok(PayoutTarget::ExtendedKey(key.parse().expect("a key"))));
        for (bad, error) in [
            ("", InvalidPayoutTarget::Address(InvalidEvm::Address)),
            ("0x12", InvalidPayoutTarget::Address(InvalidEvm::Address)),
            ("xpub12", InvalidPayoutTarget::ExtendedKey(InvalidExtendedKey::Form)),
            ("zpub12", InvalidPayoutTarget::ExtendedKey(InvalidExtendedKey::Form)),
            ("é", InvalidPayoutTarget::Address(InvalidEvm::Address)),
        ] {
            assert_eq!(bad.parse::<PayoutTarget>(), Err(error), "{bad}");
        }
    }

    #[test]
    fn indexes_end_where_public_keys_have_no_children() {
        let last = i64::from(ChildNumber::HARDENED_FLAG) - 1;
        assert_eq!(ChildIndex::try_from(last).expect("in range").next(), None);
        assert_eq!(ChildIndex::FIRST.next(), ChildIndex::try_from(4).ok());
        for bad in [-1, last + 1, i64::MAX] {
            assert_eq!(ChildIndex::try_from(bad), Err(ChildIndexRange));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// What the public key says of a child is what the private key says.
        #[test]
        fn public_and_private_children_are_the_same(seed: [u8; 32], index in 0..ChildNumber::HARDENED_FLAG) {
            let key: ExtendedPublicKey = public(&seed, "m/44'/60'/7'").parse().expect("of an account");
            let child = private(&seed, &format!("m/44'/60'/7'/0/{index}"));
            let point = child.public_key().public_key().to_sec1_point(false);
            let hash = keccak256(&point.as_bytes()[1..]);
            let address = key.address(ChildIndex(index)).expect("a key");
            prop_assert_eq!(&address.as_bytes()[..], &hash[12..]);
            prop_assert_eq!(key.path(ChildIndex(index)), format!("m/44'/60'/7'/0/{index}"));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,120}") {
            if let Ok(PayoutTarget::Address(address)) = text.parse() {
                prop_assert!(address.to_string().eq_ignore_ascii_case(&text));
            }
        }

        #[test]
        fn a_character_that_was_changed_is_noticed(at in 4usize..111, with in "[1-9A-HJ-NP-Za-km-z]") {
            let key = account("m/44'/60'/0'");
            let mut text = key.clone();
            text.replace_range(at..=at, &with);
            prop_assert_eq!(text.parse::<ExtendedPublicKey>().is_ok(), text == key);
        }
    }
}
