//! The French of the API reference: a translation for every text of the OpenAPI document.
//!
//! The catalogue is keyed by the English text, not by the place where it stands: a sentence that many members share is
//! translated once, and one that changes in the code has no translation until somebody has looked at it again.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::dashboard::text::typeset;
use crate::language::Language;

static CATALOGUE: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let written: BTreeMap<String, String> =
        toml::from_str(include_str!("../../../locales/reference/fr.toml")).expect("a test reads the catalogue");
    written.into_iter().map(|(english, french)| (english, typeset(&french))).collect()
});

/// One line, as the catalogue writes its keys.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text of the document in this language; English where there is no translation, which a test rules out.
pub(super) fn in_language(text: &str, language: Language) -> String {
    let english = one_line(text);
    match language {
        Language::English => english,
        Language::French => CATALOGUE.get(&english).cloned().unwrap_or(english),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// Every text of the document that the pages show.
    fn texts(document: &Value) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let operations = document["paths"].as_object().expect("paths").values();
        for operation in operations.flat_map(|item| item.as_object().expect("operations").values()) {
            for tag in operation["tags"].as_array().expect("tags") {
                found.extend(tag.as_str().map(one_line));
            }
            found.extend(operation["summary"].as_str().map(one_line));
            descriptions(operation, &mut found);
        }
        descriptions(&document["components"], &mut found);
        found
    }

    fn descriptions(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                // A member may itself be called `description`; then it is a schema and no text.
                found.extend(members.get("description").and_then(Value::as_str).map(one_line));
                members.iter().filter(|(name, _)| *name != "example").for_each(|(_, value)| descriptions(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| descriptions(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_text_of_the_document_has_its_french_and_nothing_else_has() {
        let document = serde_json::to_value(crate::router::openapi()).expect("a document has a JSON form");
        let texts = texts(&document);
        let there: BTreeSet<String> = CATALOGUE.keys().cloned().collect();
        let line = |text: &String| format!("{} = \"\"", Value::from(text.as_str()));
        let missing: Vec<String> = texts.difference(&there).map(line).collect();
        let unused: Vec<&String> = there.difference(&texts).collect();
        assert!(missing.is_empty(), "add these to locales/reference/fr.toml:\n{}", missing.join("\n"));
        assert!(unused.is_empty(), "no text of the document any more: {unused:#?}");
    }

    #[test]
    fn code_is_the_same_in_both_languages() {
        let code = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
        for (english, french) in &*CATALOGUE {
            assert!(!french.is_empty(), "{english}");
            // What stands for a key is a word, and words are translated.
            let french = french.replace("CLÉ", "KEY");
            assert_eq!(code(english), code(&french), "{english}");
        }
    }
}
