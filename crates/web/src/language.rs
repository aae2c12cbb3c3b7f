//! Which of the two languages an answer speaks.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// A language that titles and explanations exist in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English, unless the caller asks for French.
    #[default]
    English,
    /// French.
    French,
}

impl Language {
    /// The tag of RFC 5646.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }

    /// What it calls itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::French => "Français",
        }
    }

    /// The better of the two by `Accept-Language` (RFC 9110 section 12.5.4); English where both are equal.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut english = Wish::default();
        let mut french = Wish::default();
        for value in headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok()) {
            // No browser lists more; the bound keeps a hostile header cheap.
            for range in value.split(',').take(64) {
                let (tag, weight) = parse_range(range);
                match tag.split('-').next() {
                    Some(primary) if primary.eq_ignore_ascii_case("en") => english.named(weight),
                    Some(primary) if primary.eq_ignore_ascii_case("fr") => french.named(weight),
                    Some("*") => {
                        english.any(weight);
                        french.any(weight);
                    }
                    _ => {}
                }
            }
        }
        if french.weight() > english.weight() { Self::French } else { Self::English }
    }
}

/// How much one language is wanted, in thousandths.
#[derive(Default)]
struct Wish {
    named: Option<u16>,
    any: u16,
}

impl Wish {
    fn named(&mut self, weight: u16) {
        self.named = Some(self.named.unwrap_or(0).max(weight));
    }

    fn any(&mut self, weight: u16) {
        self.any = self.any.max(weight);
    }

    fn weight(&self) -> u16 {
        self.named.unwrap_or(self.any)
    }
}

/// The tag of one language range and its weight in thousandths; an unreadable weight counts as none.
fn parse_range(range: &str) -> (&str, u16) {
    let mut parts = range.split(';');
    let tag = parts.next().unwrap_or_default().trim();
    let weight =
        parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(1_000, |text| parse_weight(text).unwrap_or(0));
    (tag, weight)
}

/// `0`, `1`, `0.5`, `0.123`, `1.000` (RFC 9110 section 12.4.2) in thousandths.
fn parse_weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_picks_the_language() {
        for (header, language) in [
            ("", Language::English),
            ("fr", Language::French),
            ("fr-FR,fr;q=0.9,en;q=0.8", Language::French),
            ("en-GB,fr;q=0.9", Language::English),
            ("de, fr;q=0.2", Language::French),
            ("de", Language::English),
            ("*", Language::English),
            ("en;q=0, *", Language::French),
            ("fr;q=0.5, en;q=0.50", Language::English),
            ("fr;q=2", Language::English),
            ("FR", Language::French),
            (";;;,,,q=", Language::English),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, header.parse().expect("a header value"));
            assert_eq!(Language::of(&headers), language, "{header}");
        }
    }
}
