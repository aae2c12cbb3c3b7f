//! Money: whole base units of an asset. There is no other way to hold an amount, and no floating point near it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most letters and digits of an asset's code.
const MAX_CODE: usize = 8;
/// The most decimals of an asset; more base units than this to one would not fit 64 bits.
const MAX_DECIMALS: u8 = 18;
/// The decimals that a written amount has at least, where the asset has as many.
const MIN_WRITTEN_DECIMALS: usize = 2;

/// The code of an asset, such as `USDC`: 2 to 8 upper-case letters and digits, the first one a letter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetCode([u8; MAX_CODE]);

/// A text that is no asset's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an asset's code is 2 to 8 upper-case letters and digits, the first one a letter")]
pub struct InvalidAssetCode;

impl AssetCode {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(MAX_CODE);
        std::str::from_utf8(&self.0[..length]).expect("letters and digits")
    }
}

impl FromStr for AssetCode {
    type Err = InvalidAssetCode;

    fn from_str(text: &str) -> Result<Self, InvalidAssetCode> {
        let bytes = text.as_bytes();
        let good = (2..=MAX_CODE).contains(&bytes.len())
            && bytes[0].is_ascii_uppercase()
            && bytes.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if !good {
            return Err(InvalidAssetCode);
        }
        let mut code = [0; MAX_CODE];
        code[..bytes.len()].copy_from_slice(bytes);
        Ok(Self(code))
    }
}

impl fmt::Display for AssetCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for AssetCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for AssetCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AssetCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a price is in: a code, and how many decimals one unit of it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Asset {
    code: AssetCode,
    decimals: u8,
}

/// More decimals than an asset can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an asset has 0 to 18 decimals")]
pub struct InvalidDecimals;

impl Asset {
    /// USD Coin: one unit is charged per dollar, and has 6 decimals on every EVM network.
    pub const USDC: Self = Self { code: AssetCode(*b"USDC\0\0\0\0"), decimals: 6 };

    /// Euro Coin: one unit is charged per euro, and has 6 decimals on every EVM network.
    pub const EURC: Self = Self { code: AssetCode(*b"EURC\0\0\0\0"), decimals: 6 };

    /// What everybody means by a code, where it is well known.
    pub fn known(code: AssetCode) -> Option<Self> {
        [Self::USDC, Self::EURC].into_iter().find(|asset| asset.code == code)
    }

    /// An asset with 0 to 18 decimals.
    ///
    /// # Errors
    /// [`InvalidDecimals`] for more.
    pub const fn new(code: AssetCode, decimals: u8) -> Result<Self, InvalidDecimals> {
        if decimals > MAX_DECIMALS { Err(InvalidDecimals) } else { Ok(Self { code, decimals }) }
    }

    /// Its code.
    pub const fn code(self) -> AssetCode {
        self.code
    }

    /// How many decimals one unit has.
    pub const fn decimals(self) -> u8 {
        self.decimals
    }
}

impl FromStr for Asset {
    type Err = InvalidAsset;

    fn from_str(text: &str) -> Result<Self, InvalidAsset> {
        let (code, decimals) = text.split_once(':').ok_or(InvalidAsset)?;
        let code = code.parse().map_err(|_| InvalidAsset)?;
        let asset = decimals.parse().ok().and_then(|decimals| Self::new(code, decimals).ok());
        asset.filter(|asset| asset.to_string() == text).ok_or(InvalidAsset)
    }
}

impl fmt::Display for Asset {
    /// The code and the decimals, so that what was written once stays the same amount: `USDC:6`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.code, self.decimals)
    }
}

/// A text that is no asset in the form that [`Asset`] has in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an asset is its code, a colon and its decimals, such as USDC:6")]
pub struct InvalidAsset;

/// Why a text is no amount of an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    /// Not digits with at most one point between them, or leading zeros.
    #[error("is not a decimal number such as 12.50, with ASCII digits, one point at most and no sign")]
    Malformed,
    /// Finer than one base unit.
    #[error("has more than {0} decimals")]
    TooFine(u8),
    /// More than 64 bits of base units.
    #[error("is too large")]
    TooLarge,
    /// A price of nothing.
    #[error("must be above zero")]
    Zero,
}

/// Two amounts that cannot be brought together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSum {
    /// Of two assets.
    #[error("amounts of {0} and {1} have no sum")]
    Assets(AssetCode, AssetCode),
    /// The result is below zero or above 64 bits.
    #[error("the result is out of range")]
    Range,
}

/// An amount of an asset: 0 to 2^63 - 1 base units.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    units: i64,
    asset: Asset,
}

impl Money {
    /// Nothing.
    pub const fn zero(asset: Asset) -> Self {
        Self { units: 0, asset }
    }

    /// So many base units.
    ///
    /// # Errors
    /// [`InvalidSum::Range`] below zero.
    pub const fn from_units(units: i64, asset: Asset) -> Result<Self, InvalidSum> {
        if units < 0 { Err(InvalidSum::Range) } else { Ok(Self { units, asset }) }
    }

    /// Reads a decimal number of whole units: ASCII digits, at most one point with digits on both sides, no sign, no
    /// exponent, no space, no separator, no leading zero, and no more decimals than the asset has.
    pub fn parse(text: &str, asset: Asset) -> Result<Self, InvalidAmount> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(InvalidAmount::Malformed),
            Some((whole, fraction)) => (whole, fraction),
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || leading_zero || !digits(whole) || !digits(fraction) {
            return Err(InvalidAmount::Malformed);
        }
        let decimals = usize::from(asset.decimals);
        if fraction.len() > decimals {
            return Err(InvalidAmount::TooFine(asset.decimals));
        }
        let padding = std::iter::repeat_n(b'0', decimals - fraction.len());
        let units = whole
            .bytes()
            .chain(fraction.bytes())
            .chain(padding)
            .try_fold(0i64, |units, digit| units.checked_mul(10)?.checked_add(i64::from(digit - b'0')));
        Ok(Self { units: units.ok_or(InvalidAmount::TooLarge)?, asset })
    }

    /// Reads a price, which is above zero.
    ///
    /// # Errors
    /// As [`Money::parse`], and [`InvalidAmount::Zero`].
    pub fn parse_price(text: &str, asset: Asset) -> Result<Self, InvalidAmount> {
        let money = Self::parse(text, asset)?;
        if money.is_zero() { Err(InvalidAmount::Zero) } else { Ok(money) }
    }

    /// The base units.
    pub const fn units(self) -> i64 {
        self.units
    }

    /// Of which asset.
    pub const fn asset(self) -> Asset {
        self.asset
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.units == 0
    }

    /// The sum.
    ///
    /// # Errors
    /// [`InvalidSum`] where the assets differ or the sum exceeds 64 bits.
    pub fn checked_add(self, other: Self) -> Result<Self, InvalidSum> {
        self.same_asset(other)?;
        let units = self.units.checked_add(other.units).ok_or(InvalidSum::Range)?;
        Ok(Self { units, asset: self.asset })
    }

    /// What is left.
    ///
    /// # Errors
    /// [`InvalidSum`] where the assets differ or `other` is more.
    pub fn checked_sub(self, other: Self) -> Result<Self, InvalidSum> {
        self.same_asset(other)?;
        Self::from_units(self.units - other.units, self.asset)
    }

    fn same_asset(self, other: Self) -> Result<(), InvalidSum> {
        if self.asset == other.asset { Ok(()) } else { Err(InvalidSum::Assets(self.asset.code, other.asset.code)) }
    }
}

impl fmt::Display for Money {
    /// The decimal number alone: at least 2 decimals where the asset has them, no more than it takes.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = usize::from(self.asset.decimals);
        let digits = format!("{:0>width$}", self.units, width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let least = decimals.min(MIN_WRITTEN_DECIMALS);
        let written = fraction.trim_end_matches('0').len().max(least);
        formatter.write_str(whole)?;
        if written > 0 {
            formatter.write_str(".")?;
            formatter.write_str(&fraction[..written])?;
        }
        Ok(())
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self} {}", self.asset.code)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asset(decimals: u8) -> Asset {
        Asset::new("ABC".parse().expect("a code"), decimals).expect("few decimals")
    }

    #[test]
    fn amounts_are_read_to_the_base_unit() {
        for (text, units) in [
            ("0", 0),
            ("0.000001", 1),
            ("1", 1_000_000),
            ("1.5", 1_500_000),
            ("100.00", 100_000_000),
            ("9223372036854.775807", i64::MAX),
        ] {
            assert_eq!(Money::parse(text, Asset::USDC).map(Money::units), Ok(units), "{text}");
        }
        assert_eq!(Money::parse("9223372036854.775808", Asset::USDC), Err(InvalidAmount::TooLarge));
        assert_eq!(Money::parse(&"9".repeat(5_000), Asset::USDC), Err(InvalidAmount::TooLarge));
        assert_eq!(Money::parse("1.0000000", Asset::USDC), Err(InvalidAmount::TooFine(6)));
        assert_eq!(Money::parse("1.5", asset(0)), Err(InvalidAmount::TooFine(0)));
        assert_eq!(Money::parse_price("0.00", Asset::USDC), Err(InvalidAmount::Zero));
    }

    #[test]
    fn nothing_but_plain_digits_is_an_amount() {
        for bad in [
            "",
            " ",
            ".",
            "1.",
            ".5",
            "00",
            "00.5",
            "01",
            "+1",
            "-1",
            "-0",
            "1e3",
            "1E3",
            "1,5",
            "1_000",
            "1 000",
            " 1",
            "1 ",
            "1.2.3",
            "0x10",
            "NaN",
            "inf",
            "١٢",
            "１２",
            "1\u{a0}000",
            "1\0",
            "1.5\n",
            "²",
        ] {
            assert_eq!(Money::parse(bad, Asset::USDC), Err(InvalidAmount::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn amounts_are_written_with_the_decimals_they_need() {
        for (units, decimals, text) in [
            (0, 6, "0.00"),
            (1, 6, "0.000001"),
            (12_500_000, 6, "12.50"),
            (12_345_600, 6, "12.3456"),
            (7, 0, "7"),
            (7, 1, "0.7"),
            (10, 1, "1.0"),
            (i64::MAX, 18, "9.223372036854775807"),
        ] {
            assert_eq!(Money::from_units(units, asset(decimals)).expect("positive").to_string(), text);
        }
    }

    #[test]
    fn sums_refuse_to_mix_assets_or_to_leave_the_range() {
        let usdc = |units| Money::from_units(units, Asset::USDC).expect("positive");
        let other = Money::from_units(1, asset(6)).expect("positive");
        assert_eq!(usdc(1).checked_add(usdc(2)), Ok(usdc(3)));
        assert_eq!(usdc(i64::MAX).checked_add(usdc(1)), Err(InvalidSum::Range));
        assert_eq!(usdc(1).checked_sub(usdc(2)), Err(InvalidSum::Range));
        assert_eq!(usdc(2).checked_sub(usdc(2)), Ok(Money::zero(Asset::USDC)));
        assert!(matches!(usdc(1).checked_add(other), Err(InvalidSum::Assets(..))));
        assert_eq!(Money::from_units(-1, Asset::USDC), Err(InvalidSum::Range));
    }

    #[test]
    fn codes_have_one_spelling() {
        assert_eq!(Asset::USDC.code(), "USDC".parse().expect("a code"));
        assert_eq!("ABCDEFGH".parse::<AssetCode>().expect("a code").as_str(), "ABCDEFGH");
        for bad in ["", "A", "usdc", "1INCH", "USD C", "ABCDEFGHI", "USDÇ"] {
            assert_eq!(bad.parse::<AssetCode>(), Err(InvalidAssetCode), "{bad}");
        }
        assert_eq!(Asset::new("ABC".parse().expect("a code"), 19), Err(InvalidDecimals));
        assert_eq!("USDC:6".parse(), Ok(Asset::USDC));
        for known in [Asset::USDC, Asset::EURC] {
            assert_eq!((known.to_string().parse(), Asset::known(known.code())), (Ok(known), Some(known)));
        }
        assert_eq!(Asset::known("ABC".parse().expect("a code")), None);
        for bad in ["USDC", "USDC:", "USDC:06", "USDC:+6", "USDC:19", "usdc:6"] {
            assert_eq!(bad.parse::<Asset>(), Err(InvalidAsset), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn amounts_round_trip(units in 0i64.., decimals in 0u8..=18) {
            let money = Money::from_units(units, asset(decimals)).expect("positive");
            prop_assert_eq!(Money::parse(&money.to_string(), asset(decimals)), Ok(money));
        }

        #[test]
        fn any_text_is_answered_and_what_is_read_was_plain(text in "[0-9+.eE,_ -]{0,24}") {
            if let Ok(money) = Money::parse(&text, Asset::USDC) {
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
                let canonical = money.to_string();
                let trim = |text: &str| match text.split_once('.') {
                    Some((whole, fraction)) => format!("{whole}.{}", fraction.trim_end_matches('0')),
                    None => format!("{text}."),
                };
                prop_assert_eq!(trim(&canonical), trim(&text));
            }
        }

        #[test]
        fn what_was_added_can_be_taken_away(a in 0i64..i64::MAX / 2, b in 0i64..i64::MAX / 2) {
            let usdc = |units| Money::from_units(units, Asset::USDC).expect("positive");
            let sum = usdc(a).checked_add(usdc(b)).expect("fits");
            prop_assert_eq!(sum.checked_sub(usdc(b)), Ok(usdc(a)));
        }
    }
}
