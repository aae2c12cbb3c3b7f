//! Texts that were looked at once: a value of one of these types is well formed.

/// A text that is none of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {what} is 1 to {most} visible ASCII characters{but}")]
pub struct InvalidText {
    pub(crate) what: &'static str,
    pub(crate) most: usize,
    pub(crate) but: &'static str,
}

/// Whether a text can stand in a list whose entries are parted by spaces or commas, as demands are on the wire. An
/// empty entry would demand nothing there.
pub(crate) const fn is_word(text: &str, most: usize) -> bool {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if bytes[index] == b',' {
            return false;
        }
        index += 1;
    }
    is_visible(text, most)
}

/// Whether a text is visible ASCII of a length.
pub(crate) const fn is_visible(text: &str, most: usize) -> bool {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if !bytes[index].is_ascii_graphic() {
            return false;
        }
        index += 1;
    }
    !bytes.is_empty() && bytes.len() <= most
}

/// A text of a kind of its own.
macro_rules! texts {
    ($($(#[$meta:meta])* $name:ident: $what:literal, $check:path, $most:literal, $but:literal;)+) => { $(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::borrow::Cow<'static, str>);

        impl $name {
            /// The same of a text in the source.
            ///
            /// # Panics
            ///
            /// Where it is not well formed; in a constant, at compile time.
            pub const fn from_static(text: &'static str) -> Self {
                assert!($check(text, $most), "not well formed");
                Self(std::borrow::Cow::Borrowed(text))
            }

            /// Its text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::text::InvalidText;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if $check(text, $most) {
                    Ok(Self(std::borrow::Cow::Owned(text.to_owned())))
                } else {
                    Err($crate::text::InvalidText { what: $what, most: $most, but: $but })
                }
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )+ };
}
pub(crate) use texts;

/// A closed vocabulary: one text for each member.
macro_rules! words {
    ($($(#[$meta:meta])* $name:ident: $what:literal { $($(#[$of_word:meta])* $word:ident = $text:literal,)+ })+) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$of_word])* $word),+ }

        impl $name {
            /// Its text on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text),+ }
            }

            pub(crate) fn of(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$word),)+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )+ };
}
pub(crate) use words;
