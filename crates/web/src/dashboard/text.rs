//! Words of the pages: Fluent messages in both languages.
//!
//! A test looks for every message that the sources ask for, so a message is always named by a literal:
//! `t.get("…")`, `t.with("…", […])`, or, where Rust code chooses one, `message!("…")`.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, bundle};
use intl_memoizer::concurrent::IntlLangMemoizer;
use unic_langid::LanguageIdentifier;

use super::people::domain_language;
use crate::language::Language;

type Bundle = bundle::FluentBundle<FluentResource, IntlLangMemoizer>;

/// Names a message, so that the test of the catalogues finds it.
macro_rules! message {
    ($id:literal) => {
        $id
    };
}
pub(crate) use message;

/// The catalogues: one file per area, the same areas in both languages.
macro_rules! catalogues {
    ($($area:literal),+ $(,)?) => {
        /// Area, English, French.
        const CATALOGUES: &[(&str, &str, &str)] = &[$((
            $area,
            include_str!(concat!("../../locales/en/", $area, ".ftl")),
            include_str!(concat!("../../locales/fr/", $area, ".ftl")),
        )),+];
    };
}

catalogues!["frame", "errors", "docs", "people", "keys", "home", "activity", "platform", "webhooks", "pay", "payments"];

static ENGLISH: LazyLock<Bundle> = LazyLock::new(|| load(Language::English));
static FRENCH: LazyLock<Bundle> = LazyLock::new(|| load(Language::French));

fn load(language: Language) -> Bundle {
    let id: LanguageIdentifier = language.tag().parse().expect("a tag of ours");
    let mut bundle = Bundle::new_concurrent(vec![id]);
    // Names that people chose hold no characters that turn the writing direction, so none are needed against them.
    bundle.set_use_isolating(false);
    bundle.set_formatter(Some(match language {
        Language::English => |value, _| formatted(value, Language::English),
        Language::French => |value, _| formatted(value, Language::French),
    }));
    for (area, english, french) in CATALOGUES {
        let source = match language {
            Language::English => (*english).to_owned(),
            Language::French => typeset(french),
        };
        let resource = FluentResource::try_new(source);
        let resource = resource.unwrap_or_else(|(_, errors)| panic!("{area}.ftl cannot be read: {errors:?}"));
        bundle.add_resource(resource).unwrap_or_else(|errors| panic!("{area}.ftl: {errors:?}"));
    }
    bundle
}

/// French typography, so that the files can be written with the characters of a keyboard: no break before
/// `: ; ! ? %` and inside guillemets, and the right apostrophe.
pub(crate) fn typeset(source: &str) -> String {
    let mut text = source.replace('\'', "’");
    for mark in [":", ";", "!", "?", "%", "»"] {
        text = text.replace(&format!(" {mark}"), &format!("\u{a0}{mark}"));
    }
    text.replace("« ", "«\u{a0}")
}

/// Numbers inside messages are grouped as the language groups them.
fn formatted(value: &FluentValue<'_>, language: Language) -> Option<String> {
    match value {
        FluentValue::Number(number) => Some(domain_language(language).grouped(&number.as_string())),
        _ => None,
    }
}

/// The messages in one language.
#[derive(Clone, Copy)]
pub struct Texts {
    language: Language,
}

/// What a message is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg<'a> {
    /// A word or a name.
    Text(Cow<'a, str>),
    /// A count, which chooses the plural form.
    Count(u32),
}

impl fmt::Debug for Texts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Texts({})", self.language.tag())
    }
}

impl Texts {
    /// The messages in this language.
    pub const fn new(language: Language) -> Self {
        Self { language }
    }

    /// The language.
    pub const fn language(self) -> Language {
        self.language
    }

    /// A message without variables.
    pub fn get(self, id: &'static str) -> String {
        self.text(id, None)
    }

    /// A message with variables: `[("count", n)]`, or `[("count", Arg::from(n)), ("name", Arg::from(name))]`.
    pub fn with<V: Told>(self, id: &'static str, values: impl AsRef<[(&'static str, V)]>) -> String {
        let mut args = FluentArgs::new();
        for (name, value) in values.as_ref() {
            match value.told() {
                Arg::Text(text) => args.set(*name, text.into_owned()),
                Arg::Count(count) => args.set(*name, count),
            }
        }
        self.text(id, Some(&args))
    }

    /// What an action did, as its page hands it to the next one: a message that begins with `flash-`, and the name it
    /// may speak of. Nothing for any other text.
    pub(crate) fn flash(self, id: &str, name: &str) -> Option<String> {
        if !id.starts_with("flash-") {
            return None;
        }
        let bundle = self.bundle();
        let pattern = bundle.get_message(id)?.value()?;
        let mut args = FluentArgs::with_capacity(1);
        args.set("name", name);
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, Some(&args), &mut errors).into_owned();
        errors.is_empty().then_some(text)
    }

    fn bundle(self) -> &'static Bundle {
        match self.language {
            Language::English => &ENGLISH,
            Language::French => &FRENCH,
        }
    }

    fn text(self, id: &'static str, args: Option<&FluentArgs<'_>>) -> String {
        let bundle = self.bundle();
        let Some(pattern) = bundle.get_message(id).and_then(|message| message.value()) else {
            debug_assert!(false, "there is no message {id}");
            return id.to_owned();
        };
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, args, &mut errors).into_owned();
        debug_assert!(errors.is_empty(), "the message {id} is told too little: {errors:?}");
        text
    }
}

/// What can be told to a message.
pub trait Told {
    /// As the message is told it.
    fn told(&self) -> Arg<'_>;
}

impl Told for Arg<'_> {
    fn told(&self) -> Arg<'_> {
        match self {
            Self::Text(text) => Arg::Text(Cow::Borrowed(text)),
            Self::Count(count) => Arg::Count(*count),
        }
    }
}

impl Told for str {
    fn told(&self) -> Arg<'_> {
        Arg::Text(Cow::Borrowed(self))
    }
}

impl Told for String {
    fn told(&self) -> Arg<'_> {
        self.as_str().told()
    }
}

impl Told for u32 {
    fn told(&self) -> Arg<'_> {
        Arg::Count(*self)
    }
}

/// A count beyond four thousand million has the same plural form as that many.
impl Told for u64 {
    fn told(&self) -> Arg<'_> {
        Arg::Count(u32::try_from(*self).unwrap_or(u32::MAX))
    }
}

impl Told for usize {
    fn told(&self) -> Arg<'_> {
        Arg::Count(u32::try_from(*self).unwrap_or(u32::MAX))
    }
}

impl<T: Told + ?Sized> Told for &T {
    fn told(&self) -> Arg<'_> {
        (*self).told()
    }
}

impl From<String> for Arg<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u32> for Arg<'_> {
    fn from(count: u32) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Arg<'_> {
    fn from(count: usize) -> Self {
        Self::Count(u32::try_from(count).unwrap_or(u32::MAX))
    }
}

impl<'a, T: Told + ?Sized> From<&'a T> for Arg<'a> {
    fn from(value: &'a T) -> Self {
        value.told()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn folder(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
    }

    fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of the crate") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                files(&path, extension, found);
            } else if path.extension().is_some_and(|seen| seen == extension) {
                found.push(path);
            }
        }
    }

    /// The messages of a catalogue, each with the names of its variables.
    fn messages(source: &str) -> BTreeMap<String, BTreeSet<String>> {
        let mut messages = BTreeMap::new();
        let mut current = String::new();
        for line in source.lines() {
            let starts = line.starts_with(|first: char| first.is_ascii_lowercase());
            if let (true, Some((id, _))) = (starts, line.split_once(" =")) {
                id.clone_into(&mut current);
                assert!(messages.insert(current.clone(), BTreeSet::new()).is_none(), "{current} stands there twice");
            }
            if line.starts_with('#') {
                continue;
            }
            for part in line.split('$').skip(1) {
                let name: String =
                    part.chars().take_while(|next| next.is_ascii_alphanumeric() || *next == '_').collect();
                messages.get_mut(&current).expect("variables stand in messages").insert(name);
            }
        }
        messages
    }

    fn all(language: Language) -> BTreeMap<String, BTreeSet<String>> {
        let mut all = BTreeMap::new();
        for (area, english, french) in CATALOGUES {
            let source = if language == Language::English { english } else { french };
            for (id, variables) in messages(source) {
                assert!(all.insert(id.clone(), variables).is_none(), "{area}: {id} stands in two areas");
            }
        }
        all
    }

    /// The literals behind every `t.get(`, `t.with(` and `message!(`.
    fn used(source: &str) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        for call in ["t.get(", "t.with(", "texts.get(", "texts.with(", "message!("] {
            for (at, _) in source.match_indices(call) {
                let continues = source[..at].ends_with(|before: char| before.is_ascii_alphanumeric() || before == '_');
                let rest = source[at + call.len()..].trim_start();
                if let (false, Some(rest)) = (continues, rest.strip_prefix('"')) {
                    used.extend(rest.split_once('"').map(|(id, _)| id.to_owned()));
                }
            }
        }
        used
    }

    #[test]
    fn every_area_has_its_file_in_both_languages() {
        let areas: BTreeSet<String> = CATALOGUES.iter().map(|(area, ..)| format!("{area}.ftl")).collect();
        for language in ["en", "fr"] {
            let mut found = Vec::new();
            files(&folder("locales").join(language), "ftl", &mut found);
            let names = found.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
            assert_eq!(names.collect::<BTreeSet<_>>(), areas, "{language}");
        }
    }

    #[test]
    fn both_languages_have_the_same_messages_with_the_same_variables() {
        let (english, french) = (all(Language::English), all(Language::French));
        assert_eq!(english.keys().collect::<Vec<_>>(), french.keys().collect::<Vec<_>>());
        for (id, variables) in &english {
            assert_eq!(Some(variables), french.get(id), "{id}");
        }
    }

    #[test]
    fn every_message_is_used_and_every_used_one_is_there() {
        let mut sources = Vec::new();
        files(&folder("src"), "rs", &mut sources);
        files(&folder("templates"), "html", &mut sources);
        let mut asked = BTreeSet::new();
        for path in sources {
            // This file shows the forms of the calls.
            if !path.ends_with("dashboard/text.rs") {
                asked.extend(used(&fs::read_to_string(path).expect("a source of the crate")));
            }
        }
        let there: BTreeSet<String> = all(Language::English).into_keys().collect();
        let missing: Vec<_> = asked.difference(&there).collect();
        let unused: Vec<_> = there.difference(&asked).collect();
        assert!(missing.is_empty() && unused.is_empty(), "missing: {missing:?}\nunused: {unused:?}");
    }

    #[test]
    fn the_catalogues_can_be_read() {
        for (id, _) in all(Language::English) {
            for bundle in [&*ENGLISH, &*FRENCH] {
                assert!(bundle.get_message(&id).is_some_and(|message| message.value().is_some()), "{id}");
            }
        }
    }

    #[test]
    fn calls_are_found_across_lines_and_not_in_other_words() {
        let source = "t.get(\"a-b\") self.t.with(\n   \"c\", x) request.get(\"no\") part.with(\"no\") message!(\"d\")";
        assert_eq!(used(source).into_iter().collect::<Vec<_>>(), ["a-b", "c", "d"]);
    }

    #[test]
    fn french_is_typeset() {
        assert_eq!(typeset("l'état : « bon » !"), "l’état\u{a0}: «\u{a0}bon\u{a0}»\u{a0}!");
        // What Fluent itself needs stays as it is.
        assert_eq!(
            typeset("{ $n ->\n    [one] une\n   *[other] d'autres\n}"),
            "{ $n ->\n    [one] une\n   *[other] d’autres\n}"
        );
    }
}
