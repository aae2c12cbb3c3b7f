//! Numbers, amounts and days as people write them, by language.

use crate::business::Language;
use crate::money::Money;
use crate::time::Day;

const MONTHS_EN: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MONTHS_FR: [&str; 12] =
    ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."];

impl Language {
    /// The digits of a whole number in groups of three: commas in English, narrow no-break spaces in French.
    pub fn grouped(self, digits: &str) -> String {
        let separator = match self {
            Self::English => ',',
            Self::French => '\u{202f}',
        };
        let (sign, rest) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
        let mut text = sign.to_owned();
        for (index, digit) in rest.chars().enumerate() {
            if index > 0 && (rest.len() - index).is_multiple_of(3) {
                text.push(separator);
            }
            text.push(digit);
        }
        text
    }

    /// An amount without its currency. What is copied is the amount's own text.
    pub fn amount(self, money: Money) -> String {
        let text = money.to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let whole = self.grouped(whole);
        let point = match self {
            Self::English => '.',
            Self::French => ',',
        };
        if fraction.is_empty() { whole } else { format!("{whole}{point}{fraction}") }
    }

    /// An amount with its currency, which stays on the line of the number.
    pub fn price(self, money: Money) -> String {
        format!("{}\u{a0}{}", self.amount(money), money.asset().code())
    }

    /// A calendar day: `12 Mar 2026`, `12 mars 2026`.
    pub fn day(self, day: Day) -> String {
        let months = match self {
            Self::English => MONTHS_EN,
            Self::French => MONTHS_FR,
        };
        let month = months.get(usize::from(day.month()).saturating_sub(1)).copied().unwrap_or_default();
        format!("{} {month} {}", day.day(), day.year())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Asset;

    #[test]
    fn numbers_and_days_are_written_as_the_language_does() {
        let price = Money::parse("48210.5", Asset::USDC).expect("an amount");
        let day = "2026-03-01".parse().expect("a day");
        for (language, amount, with_currency, date) in [
            (Language::English, "48,210.50", "48,210.50\u{a0}USDC", "1 Mar 2026"),
            (Language::French, "48\u{202f}210,50", "48\u{202f}210,50\u{a0}USDC", "1 mars 2026"),
        ] {
            assert_eq!((language.amount(price), language.price(price)), (amount.to_owned(), with_currency.to_owned()));
            assert_eq!(language.day(day), date);
        }
        assert_eq!(Language::English.grouped("-12345"), "-12,345");
    }
}
