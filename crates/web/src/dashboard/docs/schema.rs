//! JSON schemas of the OpenAPI document as flat lists of members, and values that fit them.

use serde_json::{Map, Value, json};

use super::french::in_language;
use super::prose::Prose;
use crate::dashboard::text::{Texts, message};

/// A member of a body, by its way from the root: `data[].id`.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) required: bool,
    pub(super) about: Option<Prose>,
    pub(super) limits: Vec<Prose>,
    pub(super) example: Option<String>,
}

/// Reads schemas of one document in one language.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schemas<'a> {
    document: &'a Value,
    t: Texts,
}

/// Whether a text has this sentence in it, at the end of another one too.
fn says(text: &str, sentence: &str) -> bool {
    let plain = |text: &str| text.replace('\u{a0}', " ").to_lowercase();
    let (text, sentence) = (plain(text), plain(sentence.trim_end_matches('.')));
    text.match_indices(&sentence).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + sentence.len()..]);
        !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
    })
}

/// Which members a made-up value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// Every one but those that mostly are not there: an answer.
    All,
    /// Those that are required, and those of which the document gives an example: a request.
    Telling,
}

impl<'a> Schemas<'a> {
    pub(super) const fn new(document: &'a Value, t: Texts) -> Self {
        Self { document, t }
    }

    /// The schema behind a reference, and its name. What stands beside a reference (a description) goes before.
    fn resolve(self, schema: &Value) -> (Value, Option<String>) {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return (schema.clone(), None) };
        let pointer = reference.trim_start_matches('#');
        let mut target = self.document.pointer(pointer).cloned().unwrap_or_default();
        if let (Some(target), Some(beside)) = (target.as_object_mut(), schema.as_object()) {
            target.extend(beside.iter().filter(|(name, _)| *name != "$ref").map(|(k, v)| (k.clone(), v.clone())));
        }
        (target, pointer.rsplit('/').next().map(str::to_owned))
    }

    /// One schema without `$ref`, `allOf`, and `oneOf` with `null`; whether `null` fits too; the names it came by.
    fn plain(self, schema: &Value) -> (Value, bool, Vec<String>) {
        let (schema, name) = self.resolve(schema);
        let mut names: Vec<String> = name.into_iter().collect();
        if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
            let mut merged = Map::new();
            for part in parts {
                let (part, _, more) = self.plain(part);
                names.extend(more);
                merge(&mut merged, &part);
            }
            return (Value::Object(merged), false, names);
        }
        if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
            let is_null = |choice: &Value| choice.get("type").and_then(Value::as_str) == Some("null");
            let nullable = choices.iter().any(is_null);
            let mut real = choices.iter().filter(|choice| !is_null(choice));
            if let (Some(only), None) = (real.next(), real.next()) {
                let (mut only, _, more) = self.plain(only);
                names.extend(more);
                if let (Some(only), Some(about)) = (only.as_object_mut(), schema.get("description")) {
                    only.insert("description".to_owned(), about.clone());
                }
                return (only, nullable, names);
            }
        }
        let nullable = schema
            .get("type")
            .and_then(Value::as_array)
            .is_some_and(|types| types.iter().any(|name| name.as_str() == Some("null")));
        (schema, nullable, names)
    }

    /// The members of a body, those of members included.
    pub(super) fn members(self, schema: &Value) -> Vec<Member> {
        let mut found = Vec::new();
        self.collect(schema, "", &mut Vec::new(), &mut found);
        found
    }

    fn collect(self, schema: &Value, prefix: &str, open: &mut Vec<String>, found: &mut Vec<Member>) {
        let (schema, _, names) = self.plain(schema);
        // A question may hold questions: what is being described already is not described again inside itself.
        if names.iter().any(|name| open.contains(name)) {
            return;
        }
        let depth = open.len();
        open.extend(names);
        if let Some(items) = schema.get("items") {
            self.collect(items, &format!("{prefix}[]"), open, found);
        }
        if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
            for choice in choices {
                self.collect(choice, prefix, open, found);
            }
        }
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let required: Vec<&str> = schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let mut members: Vec<(&String, &Value)> = properties.iter().collect();
            members.sort_by_key(|(name, _)| (*name != "id", !required.contains(&name.as_str())));
            for (name, member) in members {
                let way = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                if found.iter().all(|known| known.name != way) {
                    found.push(self.member(way.clone(), member, required.contains(&name.as_str())));
                }
                self.collect(member, &way, open, found);
            }
        }
        open.truncate(depth);
    }

    fn member(self, name: String, schema: &Value, required: bool) -> Member {
        let (plain, nullable, _) = self.plain(schema);
        let about = plain.get("description").and_then(Value::as_str);
        Member {
            name,
            kind: self.kind(&plain, nullable),
            required,
            about: about.map(|text| Prose::new(in_language(text, self.t.language()))),
            limits: self.limits(&plain, about.unwrap_or_default()),
            example: plain.get("example").map(shown),
        }
    }

    /// What kind of value it is, in words.
    pub(super) fn kind(self, schema: &Value, nullable: bool) -> String {
        let (schema, or_null, _) = self.plain(schema);
        let name = match schema.get("type") {
            Some(Value::String(name)) => name.as_str(),
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or("")
            }
            _ => "",
        };
        let t = self.t;
        let kind = match name {
            "string" if schema.get("format").and_then(Value::as_str) == Some("date-time") => {
                t.get(message!("docs-type-instant"))
            }
            "string" => t.get(message!("docs-type-string")),
            "integer" => t.get(message!("docs-type-integer")),
            "boolean" => t.get(message!("docs-type-boolean")),
            "array" => {
                let items = schema.get("items").map(|items| self.kind(items, false)).unwrap_or_default();
                t.with(message!("docs-type-array"), [("items", items)])
            }
            "object" => t.get(message!("docs-type-object")),
            _ => t.get(message!("docs-type-any")),
        };
        if nullable || or_null { t.with(message!("docs-type-or-null"), [("kind", kind)]) } else { kind }
    }

    /// What a value has to fit beside its kind, without what `about` says of it already.
    pub(super) fn limits(self, schema: &Value, about: &str) -> Vec<Prose> {
        let about = in_language(about, self.t.language());
        let (schema, _, _) = self.plain(schema);
        let number = |name: &str| schema.get(name).and_then(Value::as_i64);
        let t = self.t;
        let mut limits = Vec::new();
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            let words: Vec<String> = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
            limits.push(t.with(message!("docs-limit-one-of"), [("words", words.join(", "))]));
        }
        match (number("minLength").filter(|least| *least > 0), number("maxLength")) {
            (Some(least), Some(most)) if least == most => {
                limits.push(t.with(message!("docs-limit-length"), [("count", most.to_string())]));
            }
            (_, Some(most)) => {
                limits.push(t.with(message!("docs-limit-most-characters"), [("count", most.to_string())]));
            }
            (_, None) => {}
        }
        match (number("minimum"), number("maximum")) {
            (Some(least), Some(most)) => {
                let bounds = [("least", least.to_string()), ("most", most.to_string())];
                limits.push(t.with(message!("docs-limit-between"), bounds));
            }
            // Whole numbers of the code's own: nothing that a reader could get wrong.
            (Some(0) | None, None) => {}
            (Some(least), None) => limits.push(t.with(message!("docs-limit-least"), [("least", least.to_string())])),
            (None, Some(most)) => limits.push(t.with(message!("docs-limit-most"), [("most", most.to_string())])),
        }
        limits.into_iter().filter(|limit| !says(&about, limit)).map(Prose::new).collect()
    }

    /// A value that fits.
    pub(super) fn example(self, schema: &Value, fill: Fill) -> Value {
        self.example_in(schema, fill, &mut Vec::new())
    }

    fn example_in(self, schema: &Value, fill: Fill, open: &mut Vec<String>) -> Value {
        let (schema, _, names) = self.plain(schema);
        if let Some(example) = schema.get("example") {
            return example.clone();
        }
        if names.iter().any(|name| open.contains(name)) {
            return json!({});
        }
        let depth = open.len();
        open.extend(names);
        let value = self.made_up(&schema, fill, open);
        open.truncate(depth);
        value
    }

    fn made_up(self, schema: &Value, fill: Fill, open: &mut Vec<String>) -> Value {
        if let Some(first) = schema.get("enum").and_then(|words| words.get(0)) {
            return first.clone();
        }
        if let Some(first) = schema.get("oneOf").and_then(|choices| choices.get(0)) {
            return self.example_in(first, fill, open);
        }
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let required: Vec<&str> = schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let mut object = Map::new();
            for (name, member) in properties {
                let (plain, nullable, _) = self.plain(member);
                let telling = required.contains(&name.as_str()) || plain.get("example").is_some();
                if telling || (fill == Fill::All && !nullable) {
                    object.insert(name.clone(), self.example_in(member, fill, open));
                }
            }
            return Value::Object(object);
        }
        let kind = match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
            other => other.and_then(Value::as_str),
        };
        match kind {
            Some("string") if schema.get("format").and_then(Value::as_str) == Some("date-time") => {
                json!("2026-01-31T09:30:00Z")
            }
            Some("string") => json!("..."),
            Some("integer") => json!(schema.get("minimum").and_then(Value::as_i64).unwrap_or(1)),
            Some("boolean") => json!(false),
            Some("array") => {
                schema.get("items").map_or_else(|| json!([]), |items| json!([self.example_in(items, fill, open)]))
            }
            _ => json!({}),
        }
    }
}

/// Puts the members of one part beside those of the parts before it.
fn merge(merged: &mut Map<String, Value>, part: &Value) {
    let Some(part) = part.as_object() else { return };
    for (name, value) in part {
        match (merged.get_mut(name), value) {
            (Some(Value::Object(there)), Value::Object(more)) => there.extend(more.clone()),
            (Some(Value::Array(there)), Value::Array(more)) => there.extend(more.iter().cloned()),
            // The first part's own words stay: they are the whole's.
            (Some(_), _) if name == "description" => {}
            _ => {
                merged.insert(name.clone(), value.clone());
            }
        }
    }
}

/// A value as it stands in a text: strings without their quotes.
pub(super) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
