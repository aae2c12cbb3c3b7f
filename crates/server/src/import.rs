//! Keys of another system, read line by line from JSON lines or CSV. Nothing here ever repeats a value.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};

use secrecy::SecretString;
use serde::Deserialize;

/// One line may be so long, so that a wrong file cannot fill the memory.
const LONGEST_LINE: u64 = 64 * 1024;

/// One key as the file tells it; texts are checked by whoever takes it.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) value: Option<SecretString>,
    /// SHA-256 of the key's text.
    pub(crate) sha256: Option<[u8; 32]>,
    pub(crate) kind: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) external_reference: Option<String>,
    pub(crate) valid_from: Option<String>,
    pub(crate) valid_until: Option<String>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Why a line is no record; says nothing of what stood there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadLine {
    #[error("{0}")]
    Form(String),
    #[error("is longer than {LONGEST_LINE} bytes")]
    TooLong,
    #[error("is not UTF-8")]
    NotText,
    #[error("a quoted field does not end")]
    OpenQuote,
    #[error("has {found} fields where the first line names {expected}")]
    Fields { expected: usize, found: usize },
    #[error("needs exactly one of value and sha256")]
    NoKey,
    #[error("sha256 is not 64 hexadecimal digits")]
    Sha256,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLine {
    value: Option<String>,
    sha256: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    external_reference: Option<String>,
    valid_from: Option<String>,
    valid_until: Option<String>,
    scopes: Option<Vec<String>>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl TryFrom<JsonLine> for Record {
    type Error = BadLine;

    fn try_from(line: JsonLine) -> Result<Self, BadLine> {
        if line.value.is_some() == line.sha256.is_some() {
            return Err(BadLine::NoKey);
        }
        Ok(Self {
            value: line.value.map(SecretString::from),
            sha256: line.sha256.map(|text| digest(&text).ok_or(BadLine::Sha256)).transpose()?,
            kind: line.kind,
            name: line.name,
            external_reference: line.external_reference,
            valid_from: line.valid_from,
            valid_until: line.valid_until,
            scopes: line.scopes,
            metadata: line.metadata,
        })
    }
}

/// 64 hexadecimal digits as bytes.
fn digest(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

/// What a JSON error may say: a name, never a value.
fn json_problem(error: &serde_json::Error) -> BadLine {
    let message = error.to_string();
    let named = message.starts_with("unknown field")
        || message.starts_with("missing field")
        || message.starts_with("duplicate field");
    if named {
        BadLine::Form(message)
    } else {
        BadLine::Form(format!("is not in the right form (column {})", error.column()))
    }
}

/// The records of a file with the number of the line on which each begins.
pub(crate) struct Records<R> {
    lines: Lines<R>,
    /// The names of the columns, for CSV.
    columns: Option<Vec<String>>,
}

impl<R: BufRead> Records<R> {
    pub(crate) fn jsonl(reader: R) -> Self {
        Self { lines: Lines { reader, number: 0 }, columns: None }
    }

    /// CSV (RFC 4180) whose first line names the columns.
    pub(crate) fn csv(reader: R) -> io::Result<Result<Self, BadLine>> {
        const KNOWN: [&str; 9] = [
            "value",
            "sha256",
            "kind",
            "name",
            "external_reference",
            "valid_from",
            "valid_until",
            "scopes",
            "metadata",
        ];
        let mut lines = Lines { reader, number: 0 };
        let columns = match lines.fields()? {
            None => return Ok(Err(BadLine::Form("names no columns".to_owned()))),
            Some((_, Err(bad))) => return Ok(Err(bad)),
            Some((_, Ok(columns))) => columns,
        };
        for (index, column) in columns.iter().enumerate() {
            if !KNOWN.contains(&column.as_str()) || columns[..index].contains(column) {
                return Ok(Err(BadLine::Form(format!("column {} has no name of ours, or one twice", index + 1))));
            }
        }
        Ok(Ok(Self { lines, columns: Some(columns) }))
    }

    /// The next record; `None` at the end of the file.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, Result<Record, BadLine>)>> {
        let Some(columns) = &self.columns else {
            loop {
                let Some((number, line)) = self.lines.line()? else { return Ok(None) };
                match line {
                    Ok(line) if line.trim().is_empty() => {}
                    Ok(line) => {
                        let read = serde_json::from_str::<JsonLine>(&line).map_err(|error| json_problem(&error));
                        return Ok(Some((number, read.and_then(Record::try_from))));
                    }
                    Err(bad) => return Ok(Some((number, Err(bad)))),
                }
            }
        };
        loop {
            let Some((number, fields)) = self.lines.fields()? else { return Ok(None) };
            match fields {
                Ok(fields) if fields.len() == 1 && fields[0].is_empty() => {}
                Ok(fields) => return Ok(Some((number, from_fields(columns, fields)))),
                Err(bad) => return Ok(Some((number, Err(bad)))),
            }
        }
    }
}

fn from_fields(columns: &[String], fields: Vec<String>) -> Result<Record, BadLine> {
    if fields.len() != columns.len() {
        return Err(BadLine::Fields { expected: columns.len(), found: fields.len() });
    }
    let mut by_name: BTreeMap<&str, String> =
        columns.iter().map(String::as_str).zip(fields).filter(|(_, field)| !field.is_empty()).collect();
    let metadata =
        by_name.remove("metadata").map(|text| serde_json::from_str(&text).map_err(|error| json_problem(&error)));
    JsonLine {
        value: by_name.remove("value"),
        sha256: by_name.remove("sha256"),
        kind: by_name.remove("kind"),
        name: by_name.remove("name"),
        external_reference: by_name.remove("external_reference"),
        valid_from: by_name.remove("valid_from"),
        valid_until: by_name.remove("valid_until"),
        scopes: by_name.remove("scopes").map(|text| text.split_whitespace().map(str::to_owned).collect()),
        metadata: metadata.transpose()?.unwrap_or_default(),
    }
    .try_into()
}

/// A text line with its number.
type Numbered<T> = (u64, Result<T, BadLine>);

struct Lines<R> {
    reader: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its end. A line that is too long is skipped whole.
    fn line(&mut self) -> io::Result<Option<Numbered<String>>> {
        let mut bytes = Vec::new();
        if self.reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        } else if bytes.len() as u64 == LONGEST_LINE {
            self.skip_line()?;
            return Ok(Some((self.number, Err(BadLine::TooLong))));
        }
        if self.number == 1 && bytes.starts_with("\u{feff}".as_bytes()) {
            bytes.drain(..3);
        }
        Ok(Some((self.number, String::from_utf8(bytes).map_err(|_| BadLine::NotText))))
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let (used, done) = match self.reader.fill_buf()? {
                [] => return Ok(()),
                buffer => match buffer.iter().position(|byte| *byte == b'\n') {
                    Some(end) => (end + 1, true),
                    None => (buffer.len(), false),
                },
            };
            self.reader.consume(used);
            if done {
                return Ok(());
            }
        }
    }

    /// The fields of the next CSV row, which may span lines inside quotes.
    fn fields(&mut self) -> io::Result<Option<Numbered<Vec<String>>>> {
        let Some((first, line)) = self.line()? else { return Ok(None) };
        let mut text = match line {
            Ok(text) => text,
            Err(bad) => return Ok(Some((first, Err(bad)))),
        };
        loop {
            if let Some(fields) = split_row(&text) {
                return Ok(Some((first, Ok(fields))));
            }
            match self.line()? {
                Some((_, Ok(more))) if text.len() as u64 <= LONGEST_LINE => {
                    text.push('\n');
                    text.push_str(&more);
                }
                Some((_, Err(bad))) => return Ok(Some((first, Err(bad)))),
                Some(_) | None => return Ok(Some((first, Err(BadLine::OpenQuote)))),
            }
        }
    }
}

/// The fields of a row; `None` while a quote is open.
fn split_row(text: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let field = fields.last_mut().expect("begun with one");
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    (!quoted).then_some(fields)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read<R: BufRead>(mut records: Records<R>) -> Vec<(u64, Result<Record, BadLine>)> {
        let mut all = Vec::new();
        while let Some(record) = records.next().expect("in memory") {
            all.push(record);
        }
        all
    }

    #[test]
    fn json_lines_are_read_one_by_one_and_bad_ones_are_told_without_their_values() {
        let sha256 = "ab".repeat(32);
        let text = format!(
            "{{\"value\":\"one\",\"name\":\"A\",\"scopes\":[\"payments:read\"]}}\n\n{{\"sha256\":\"{sha256}\"}}\r\n\
             {{\"value\":\"hunter2\",\"kindd\":1}}\n{{\"value\":[\"hunter2\"]}}\nhunter2\n\
             {{\"value\":\"hunter2\",\"sha256\":\"{sha256}\"}}\n{{}}\n{{\"sha256\":\"hunter2\"}}"
        );
        let all = read(Records::jsonl(text.as_bytes()));
        let numbers: Vec<_> = all.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 3, 4, 5, 6, 7, 8, 9]);
        let first = all[0].1.as_ref().expect("good");
        assert_eq!(first.value.as_ref().expect("there").expose_secret(), "one");
        assert_eq!(all[1].1.as_ref().expect("good").sha256, Some([0xab; 32]));
        for (_, result) in &all[2..] {
            let message = result.as_ref().expect_err("bad").to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn csv_has_quotes_line_breaks_and_a_head() {
        let text = "\u{feff}value,name,scopes,metadata\none,\"A, \"\"B\"\"\nC\",a:b c:d,\"{\"\"k\"\":\"\"v\"\"}\"\ntwo\n\nthree,,,\n\"four";
        let all = read(Records::csv(text.as_bytes()).expect("in memory").expect("a head"));
        let numbers: Vec<_> = all.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [2, 4, 6, 7]);
        let first = all[0].1.as_ref().expect("good");
        assert_eq!(first.name.as_deref(), Some("A, \"B\"\nC"));
        assert_eq!(first.scopes.as_deref(), Some(&["a:b".to_owned(), "c:d".to_owned()][..]));
        assert_eq!(first.metadata["k"], "v");
        assert_eq!(all[1].1.as_ref().expect_err("short"), &BadLine::Fields { expected: 4, found: 1 });
        assert!(all[2].1.as_ref().expect("good").name.is_none());
        assert_eq!(all[3].1.as_ref().expect_err("open"), &BadLine::OpenQuote);
        for head in ["", "value,colour\n", "value,value\n"] {
            assert!(Records::csv(head.as_bytes()).expect("in memory").is_err(), "{head}");
        }
    }

    #[test]
    fn a_line_without_end_is_skipped_whole() {
        let text = format!("{}\n{{\"value\":\"x\"}}\n", "a".repeat(200_000));
        let all = read(Records::jsonl(text.as_bytes()));
        assert_eq!(all[0].1.as_ref().expect_err("long"), &BadLine::TooLong);
        assert!(all[1].1.is_ok() && all[1].0 == 2);
    }
}
