//! Amounts as people type them into forms. The API takes the plain form alone.

use trousseau_domain::money::Money;

use crate::language::Language;

/// The most digits behind a comma that stands for the point.
const MOST_DECIMALS: usize = 6;

/// What was typed, in the plain form that amounts are read from: without spaces, and with a point where a comma stands
/// for it. What could mean two things is no amount then.
pub(super) fn plain(typed: &str, language: Language) -> String {
    let text: String = typed.chars().filter(|character| !character.is_whitespace()).collect();
    let marks = text.matches([',', '.']).count();
    match text.split_once([',', '.']) {
        // Whoever types a number and no decimals means the number.
        Some((whole, "")) if marks == 1 => whole.to_owned(),
        Some((whole, decimals)) if marks == 1 && text.contains(',') && is_decimal(whole, decimals, language) => {
            format!("{whole}.{decimals}")
        }
        // Some write thousands with a point in French.
        Some((whole, decimals)) if marks == 1 && language == Language::French && may_group(whole, decimals) => {
            format!("{whole},{decimals}")
        }
        _ => text,
    }
}

/// Whether a comma between these stands for the point. English groups thousands by it: 1,249 is not taken for a price
/// of little more than one.
fn is_decimal(whole: &str, decimals: &str, language: Language) -> bool {
    let may_group = language == Language::English && may_group(whole, decimals);
    let digits = decimals.bytes().all(|byte| byte.is_ascii_digit());
    digits && decimals.len() <= MOST_DECIMALS && !may_group
}

/// Whether a mark between these could group thousands.
fn may_group(whole: &str, decimals: &str) -> bool {
    decimals.len() == 3 && whole != "0"
}

/// An amount as a form shows it to be typed over.
pub(super) fn written(money: Money, language: Language) -> String {
    match language {
        Language::English => money.to_string(),
        Language::French => money.to_string().replace('.', ","),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trousseau_domain::money::Asset;

    use super::*;

    fn read(typed: &str, language: Language) -> Option<i64> {
        Money::parse(&plain(typed, language), Asset::USDC).ok().map(Money::units)
    }

    #[test]
    fn a_comma_is_a_point_where_it_can_be_nothing_else() {
        for language in [Language::English, Language::French] {
            for (typed, units) in [
                ("12.50", Some(12_500_000)),
                ("12,50", Some(12_500_000)),
                (" 0,5 ", Some(500_000)),
                ("1 249,50", Some(1_249_500_000)),
                ("1\u{a0}249,50", Some(1_249_500_000)),
                ("1\u{202f}249,50", Some(1_249_500_000)),
                ("12.", Some(12_000_000)),
                ("12,", Some(12_000_000)),
                ("0,000001", Some(1)),
                ("0,125", Some(125_000)),
                ("0.125", Some(125_000)),
                ("1.2490", Some(1_249_000)),
                ("0,0000001", None),
                ("1,249.50", None),
                ("1.249,50", None),
                ("1,2,3", None),
                ("1,249,", None),
                (",5", None),
                (",", None),
                ("", None),
                ("-1,5", None),
                ("12,5x", None),
                ("1,٥", None),
            ] {
                assert_eq!(read(typed, language), units, "{typed} in {language:?}");
            }
        }
    }

    #[test]
    fn what_may_mean_thousands_is_no_amount() {
        assert_eq!(read("1,249", Language::English), None);
        assert_eq!(read("1,249", Language::French), Some(1_249_000));
        assert_eq!(read("1.249", Language::English), Some(1_249_000));
        assert_eq!(read("1.249", Language::French), None);
    }

    proptest! {
        #[test]
        fn what_a_form_shows_is_read_as_it_was(units in 0..=i64::MAX) {
            let money = Money::from_units(units, Asset::USDC).expect("not below zero");
            prop_assert_eq!(read(&written(money, Language::French), Language::French), Some(units));
            prop_assert_eq!(read(&written(money, Language::English), Language::English), Some(units));
        }

        #[test]
        fn nothing_is_read_otherwise_than_without_its_spaces_and_with_a_point(typed in "[0-9., \u{a0}\u{202f}]{0,12}") {
            let bare: String = typed.chars().filter(|character| !character.is_whitespace()).collect();
            for language in [Language::English, Language::French] {
                if let Some(units) = read(&typed, language) {
                    let point = bare.trim_end_matches(['.', ',']).replace(',', ".");
                    prop_assert_eq!(Money::parse(&point, Asset::USDC).ok().map(Money::units), Some(units));
                }
            }
        }
    }
}
