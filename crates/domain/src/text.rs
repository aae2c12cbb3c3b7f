//! Texts that people choose, and the macro for closed vocabularies.

use std::str::FromStr;

use unicode_normalization::UnicodeNormalization as _;

/// A closed vocabulary: an enum whose members have one text each.
macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// Every member, in the order of their definition.
            pub const VOCABULARY: &'static [Self] = &[$(Self::$variant),+];

            /// The text on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::text::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::text::UnknownWord { known: concat!($($text, " "),+) }),
                }
            }
        }
    };
}
pub(crate) use text_enum;

/// What is shown, debugged and (de)serialised as the one text that it is parsed from.
macro_rules! as_text {
    ($($name:ident),+) => { $(
        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, formatter)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+ };
}

pub(crate) use as_text;

/// A word outside a closed vocabulary; says which ones there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of: {}", known.trim_end())]
pub struct UnknownWord {
    /// The words of the vocabulary, parted by spaces.
    pub known: &'static str,
}

/// Why a text that a person chose cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing but spaces.
    #[error("is empty")]
    Empty,
    /// More code points than allowed, counted after normalising and trimming.
    #[error("is longer than {max} characters")]
    TooLong {
        /// The most code points allowed.
        max: usize,
    },
    /// A control character, a line break or a character that turns the writing direction.
    #[error("contains a control character or one that changes the writing direction")]
    Control,
}

/// What a list is searched for: 1 to 100 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchText(String);

/// The most characters of a search.
const MAX_SEARCH: usize = 100;

impl SearchText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SearchText {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        if text.is_empty() {
            Err(InvalidText::Empty)
        } else if text.chars().count() > MAX_SEARCH {
            Err(InvalidText::TooLong { max: MAX_SEARCH })
        } else if text.chars().any(char::is_control) {
            Err(InvalidText::Control)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

/// Invisible characters that reorder or hide what stands around them.
const fn is_deceptive(character: char) -> bool {
    matches!(
        character,
        '\u{061C}'
            | '\u{200B}'
            | '\u{200E}'
            | '\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{2069}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
    )
}

/// The text in Unicode NFC without the spaces around it.
pub(crate) fn clean(text: &str, max: usize) -> Result<String, InvalidText> {
    if text.chars().any(|character| character.is_control() || is_deceptive(character)) {
        return Err(InvalidText::Control);
    }
    // Normalising makes a text at most three times longer, so this bounds the work.
    if text.len() > max.saturating_mul(64) {
        return Err(InvalidText::TooLong { max });
    }
    let normal: String = text.trim().nfc().collect();
    if normal.is_empty() {
        return Err(InvalidText::Empty);
    }
    if normal.chars().count() > max {
        return Err(InvalidText::TooLong { max });
    }
    Ok(normal)
}

macro_rules! text_type {
    ($(#[$meta:meta])* $name:ident, $max:literal) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The most Unicode code points, counted after normalising to NFC and trimming.
            pub const MAX_CHARACTERS: usize = $max;

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::text::InvalidText;

            fn from_str(text: &str) -> Result<Self, $crate::text::InvalidText> {
                $crate::text::clean(text, $max).map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.0, formatter)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use text_type;

text_type!(
    /// What people call a key.
    KeyName,
    50
);
text_type!(
    /// What people call a business.
    BusinessName,
    200
);
text_type!(
    /// What the operator calls a platform key.
    PlatformKeyName,
    100
);

impl KeyName {
    /// A name that may be left out: blank means none.
    pub fn parse_optional(text: &str) -> Result<Option<Self>, InvalidText> {
        match text.parse() {
            Ok(name) => Ok(Some(name)),
            Err(InvalidText::Empty) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_normalised_trimmed_and_counted_in_code_points() {
        let composed: KeyName = "  Atelier Lumie\u{300}re ".parse().expect("good");
        assert_eq!(composed.as_str(), "Atelier Lumi\u{e8}re");
        assert!("é".repeat(50).parse::<KeyName>().is_ok());
        assert_eq!("é".repeat(51).parse::<KeyName>(), Err(InvalidText::TooLong { max: 50 }));
        assert_eq!("  ".parse::<KeyName>(), Err(InvalidText::Empty));
        assert_eq!(KeyName::parse_optional("  "), Ok(None));
        for bad in ["a\nb", "a\0", "\u{202e}gpj.exe", "a\u{200b}b", "\u{7f}"] {
            assert_eq!(bad.parse::<KeyName>(), Err(InvalidText::Control), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_kept_name_is_kept_again_unchanged(text in ".{0,60}") {
            if let Ok(name) = text.parse::<KeyName>() {
                prop_assert_eq!(name.as_str().parse::<KeyName>(), Ok(name.clone()));
            }
        }
    }
}
