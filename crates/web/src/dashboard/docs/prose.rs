//! Short texts with code in backticks, as markup.

use std::fmt;

use askama::filters::HtmlSafe;

/// A text whose parts in backticks are code. It prints as markup; everything else in it is escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prose(String);

impl Prose {
    /// From a text in which backticks mark code.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl HtmlSafe for Prose {}

impl fmt::Display for Prose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_str();
        loop {
            let code = rest.split_once('`').and_then(|(before, tail)| {
                let (code, after) = tail.split_once('`')?;
                Some((before, code, after))
            });
            let Some((before, code, after)) = code else { return escape(rest, formatter) };
            escape(before, formatter)?;
            formatter.write_str("<code translate=\"no\">")?;
            escape(code, formatter)?;
            formatter.write_str("</code>")?;
            rest = after;
        }
    }
}

fn escape(text: &str, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    for character in text.chars() {
        match character {
            '&' => formatter.write_str("&amp;")?,
            '<' => formatter.write_str("&lt;")?,
            '>' => formatter.write_str("&gt;")?,
            '"' => formatter.write_str("&quot;")?,
            '\'' => formatter.write_str("&#39;")?,
            other => fmt::Write::write_char(formatter, other)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_become_code_and_everything_is_escaped() {
        for (text, markup) in [
            ("plain", "plain"),
            ("`a` or `b<`", "<code translate=\"no\">a</code> or <code translate=\"no\">b&lt;</code>"),
            ("a ` alone & <b>", "a ` alone &amp; &lt;b&gt;"),
            ("``", "<code translate=\"no\"></code>"),
        ] {
            assert_eq!(Prose::new(text).to_string(), markup);
        }
    }
}
