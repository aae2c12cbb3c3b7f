//! What a reader chose: language and theme, kept in cookies.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use crate::language::Language;

/// The cookie of the language.
const LANGUAGE: &str = "trousseau_language";
/// The cookie of the theme.
const THEME: &str = "trousseau_theme";
/// How long a choice is kept: a year, in seconds.
const A_YEAR: u32 = 31_536_000;

/// Light or dark, whatever the system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// The word in the cookie and in the page.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "light" => Some(Self::Light),
            "dark" => Some(Self::Dark),
            _ => None,
        }
    }
}

/// How a page is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The language: what was chosen here, else what the browser asks for.
    pub language: Language,
    /// Whether the language was chosen here.
    pub language_chosen: bool,
    /// The theme; the system's where none was chosen.
    pub theme: Option<Theme>,
}

impl Look {
    /// From the cookies and `Accept-Language`.
    pub fn of(headers: &HeaderMap) -> Self {
        let chosen = cookie(headers, LANGUAGE).and_then(parse_language);
        Self {
            language: chosen.unwrap_or_else(|| Language::of(headers)),
            language_chosen: chosen.is_some(),
            theme: cookie(headers, THEME).and_then(Theme::parse),
        }
    }
}

/// The language of this tag.
pub(crate) fn parse_language(tag: &str) -> Option<Language> {
    [Language::English, Language::French].into_iter().find(|language| language.tag() == tag)
}

/// The value of a cookie. One that was sent twice is none: nobody can say which of them is ours.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(seen, _)| *seen == name)
        .map(|(_, value)| value);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// Sets a cookie for the whole site that no script reads. `max_age` in seconds; zero takes it away, none ends with
/// the browser.
pub(crate) fn set_cookie(headers: &mut HeaderMap, name: &str, value: &str, max_age: Option<u32>, secure: bool) {
    let mut text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax");
    if let Some(seconds) = max_age {
        text.push_str("; Max-Age=");
        text.push_str(&seconds.to_string());
    }
    if secure {
        text.push_str("; Secure");
    }
    let mut value = HeaderValue::from_str(&text).expect("names and values of our cookies are plain ASCII");
    value.set_sensitive(true);
    headers.append(SET_COOKIE, value);
}

/// Keeps a choice of language.
pub(crate) fn choose_language(headers: &mut HeaderMap, language: Language, secure: bool) {
    set_cookie(headers, LANGUAGE, language.tag(), Some(A_YEAR), secure);
}

/// Keeps a choice of theme; none means the system's.
pub(crate) fn choose_theme(headers: &mut HeaderMap, theme: Option<Theme>, secure: bool) {
    match theme {
        Some(theme) => set_cookie(headers, THEME, theme.as_str(), Some(A_YEAR), secure),
        None => set_cookie(headers, THEME, "", Some(0), secure),
    }
}

/// The theme of this word; the system's for any other.
pub(crate) fn parse_theme(word: &str) -> Option<Theme> {
    Theme::parse(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookies: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, cookie.parse().expect("a header"));
        }
        headers
    }

    #[test]
    fn choices_come_before_what_the_browser_asks_for() {
        let mut asked = headers(&["a=b; trousseau_language=fr; trousseau_theme=dark"]);
        asked.insert("accept-language", "en".parse().expect("a header"));
        let look = Look::of(&asked);
        assert_eq!((look.language, look.language_chosen, look.theme), (Language::French, true, Some(Theme::Dark)));
        let unknown = Look::of(&headers(&["trousseau_language=de; trousseau_theme=pink"]));
        assert_eq!((unknown.language, unknown.language_chosen, unknown.theme), (Language::English, false, None));
    }

    #[test]
    fn a_cookie_that_comes_twice_is_none() {
        assert_eq!(cookie(&headers(&["x=1; y=2"]), "x"), Some("1"));
        assert_eq!(cookie(&headers(&["x=1; x=2"]), "x"), None);
        assert_eq!(cookie(&headers(&["x=1", "x=1"]), "x"), None);
        assert_eq!(cookie(&headers(&["xx=1;x=a=b"]), "x"), Some("a=b"));
    }

    #[test]
    fn cookies_are_kept_from_scripts_and_from_plain_http() {
        let mut set = HeaderMap::new();
        set_cookie(&mut set, "x", "1", Some(5), true);
        assert_eq!(set[SET_COOKIE], "x=1; Path=/; HttpOnly; SameSite=Lax; Max-Age=5; Secure");
        set.clear();
        set_cookie(&mut set, "x", "1", None, false);
        assert_eq!(set[SET_COOKIE], "x=1; Path=/; HttpOnly; SameSite=Lax");
    }
}
