//! `trousseau key import`: keys of another system, line by line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, IsTerminal as _, Read, stderr, stdin, stdout};
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::json;
use trousseau_domain::digest::{KeyDigest, KeyFingerprint};
use trousseau_domain::environment::Tenant;
use trousseau_domain::key_text;
use trousseau_domain::keys::KeyKind;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::time::TimeZone;
use trousseau_service::ServiceError;
use trousseau_service::import::{ImportDraft, Imported, ImportedValue};
use trousseau_service::keys::KeyDraft;
use zeroize::Zeroizing;

use crate::app::Opened;
use crate::cli::ImportFormat;
use crate::exit::Failure;
use crate::output::{print, print_json};
use crate::when;

/// The most bytes of one line or row: far above what a key with full lists takes.
const MOST_LINE: u64 = 64 * 1024;

/// What the columns of CSV may be called.
const NAMES: [&str; 15] = [
    "value",
    "sha256",
    "hmac_sha256",
    "pepper_version",
    "last_three",
    "kind",
    "name",
    "external_reference",
    "state",
    "valid_from",
    "valid_until",
    "scopes",
    "allowed_origins",
    "allowed_ips",
    "metadata",
];

/// One key as another system wrote it down.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Line {
    value: Option<Zeroizing<String>>,
    sha256: Option<String>,
    hmac_sha256: Option<String>,
    pepper_version: Option<u32>,
    last_three: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    external_reference: Option<String>,
    state: Option<String>,
    valid_from: Option<String>,
    valid_until: Option<String>,
    scopes: Option<Vec<String>>,
    allowed_origins: Option<Vec<String>>,
    allowed_ips: Option<Vec<String>>,
    metadata: Option<BTreeMap<String, String>>,
}

/// A line that is not taken over: which member, and what is wrong with it. No part of a value is in it.
struct Refused {
    field: &'static str,
    message: String,
}

impl Refused {
    fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// What became of the lines.
#[derive(Default)]
struct Tally {
    imported: u64,
    known: u64,
    refused: u64,
}

/// Where the lines come from, and how many of them go into one transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) file: Option<&'a Path>,
    pub(crate) format: Option<ImportFormat>,
    pub(crate) batch: usize,
}

pub(crate) async fn run(
    opened: &Opened,
    tenant: &Tenant,
    kind: KeyKind,
    input: Input<'_>,
    json: bool,
) -> Result<(), Failure> {
    let file = input.file.filter(|path| *path != Path::new("-"));
    let csv = file.and_then(Path::extension).is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    let format = input.format.unwrap_or(if csv { ImportFormat::Csv } else { ImportFormat::Jsonl });
    let (source, size): (Box<dyn Read>, _) = match file {
        Some(path) => {
            let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
            let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
            (Box::new(file), size)
        }
        None if stdin().is_terminal() => {
            return Err(Failure::usage("name a file, or send the keys to standard input"));
        }
        None => (Box::new(stdin().lock()), None),
    };
    // So that a business that does not exist is told once and not line by line.
    let zone = opened.app.businesses().get(&tenant.business).await?.time_zone;
    let progress = progress(size, json)?;
    let mut reader = Lines::new(Box::new(progress.wrap_read(source)), format)?;
    let mut teller = Teller { tally: Tally::default(), progress, json };
    let mut failed: Option<Failure> = None;
    loop {
        let mut outcomes = Vec::with_capacity(input.batch);
        let mut drafts = Vec::with_capacity(input.batch);
        while outcomes.len() < input.batch && failed.is_none() {
            match reader.next() {
                Ok(Some((number, line))) => {
                    let judged = line.and_then(|line| draft(line, kind, opened, &zone));
                    outcomes.push((number, judged.map(|draft| drafts.push(draft))));
                }
                Ok(None) => break,
                // What was before it is taken over all the same.
                Err(failure) => failed = Some(failure),
            }
        }
        if outcomes.is_empty() {
            break;
        }
        let mut imported = opened.app.keys().import(&opened.context, tenant, &drafts).await?.into_iter();
        for (number, judged) in outcomes {
            let outcome = match judged {
                Err(refused) => Err(refused),
                Ok(()) => outcome_of(imported.next().expect("an outcome for each draft"))?,
            };
            teller.tell(number, &outcome)?;
        }
    }
    teller.progress.finish_and_clear();
    let Tally { imported, known, refused } = teller.tally;
    if json {
        print_json(&json!({ "imported": imported, "known": known, "refused": refused }))?;
    } else {
        print(&format!("{imported} imported, {known} known already, {refused} refused"))?;
    }
    match failed {
        Some(failure) => Err(failure),
        None if refused == 0 => Ok(()),
        None => Err(Failure::refused("not every line is a key here now")),
    }
}

/// What became of one draft; what concerns more than its line ends the command.
fn outcome_of(outcome: Result<Imported, ServiceError>) -> Result<Result<Imported, Refused>, Failure> {
    match outcome {
        Ok(imported) => Ok(Ok(imported)),
        Err(ServiceError::Invalid(problems)) => {
            let first = problems.into_iter().next();
            Ok(Err(first.map_or_else(|| Refused::new("", ""), |first| Refused::new(first.field, first.message))))
        }
        Err(error) => match Failure::from(error) {
            Failure::Refused(error) => Ok(Err(Refused::new("", error.to_string()))),
            failed => Err(failed),
        },
    }
}

/// A bar for a file whose size is known, else a count of bytes; nothing unless somebody looks at a terminal. Lines of
/// JSON on the same terminal would tear it apart.
fn progress(size: Option<u64>, json: bool) -> Result<ProgressBar, Failure> {
    if !stderr().is_terminal() || (json && stdout().is_terminal()) {
        return Ok(ProgressBar::hidden());
    }
    let (bar, template) = match size {
        Some(size) => (ProgressBar::new(size), "{wide_bar} {percent}% {bytes} of {total_bytes}, {msg}, {eta} to go"),
        None => (ProgressBar::no_length(), "{spinner} {bytes}, {msg}"),
    };
    let style = ProgressStyle::with_template(template).context("the progress bar cannot be drawn")?;
    Ok(bar.with_style(style).with_message("0 lines"))
}

/// Tells what becomes of each line: to programs all of it, to people what was refused.
struct Teller {
    tally: Tally,
    progress: ProgressBar,
    json: bool,
}

impl Teller {
    fn tell(&mut self, number: u64, outcome: &Result<Imported, Refused>) -> Result<(), Failure> {
        let (word, body) = match outcome {
            Ok(Imported::New(view)) => {
                self.tally.imported += 1;
                ("imported", json!({ "id": view.key.id, "masked_value": view.masked_value() }))
            }
            Ok(Imported::Known(key)) => {
                self.tally.known += 1;
                ("known", json!({ "id": key }))
            }
            Err(Refused { field, message }) => {
                self.tally.refused += 1;
                if !self.json {
                    let space = if field.is_empty() { "" } else { " " };
                    let line = format!("line {number}: refused: {field}{space}{message}");
                    self.progress.suspend(|| print(&line))?;
                }
                ("refused", json!({ "field": field, "message": message }))
            }
        };
        let Tally { imported, known, refused } = self.tally;
        self.progress.set_message(format!("{} lines, {refused} refused", imported + known + refused));
        if !self.json {
            return Ok(());
        }
        let mut line = json!({ "line": number, "result": word });
        if let (Some(line), serde_json::Value::Object(body)) = (line.as_object_mut(), body) {
            line.extend(body);
        }
        print_json(&line)
    }
}

/// `trousseau key import-report`: which imported keys were used since, and which were not.
pub(crate) async fn report(opened: &Opened, tenant: &Tenant, json: bool) -> Result<(), Failure> {
    const PAGE: u32 = 1_000;
    opened.app.businesses().get(&tenant.business).await?;
    let (mut seen, mut unseen, mut after) = (0_u64, 0_u64, 0);
    loop {
        let page = opened.app.keys().imported(tenant, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.key.number;
        for view in page {
            let key = &view.key;
            if key.last_used_at.is_some() {
                seen += 1;
                continue;
            }
            unseen += 1;
            if json {
                print_json(&json!({
                    "id": key.id, "number": key.number, "kind": key.kind, "name": key.name,
                    "external_reference": key.external_reference, "masked_value": view.masked_value(),
                    "status": view.status, "created_at": key.created_at,
                }))?;
            } else {
                let reference = key.external_reference.as_deref().unwrap_or("-");
                let name = key.name.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
                let (id, value, status) = (key.id, view.masked_value(), view.status);
                print(&format!("not seen: {id}  {value}  {reference}  {status}  {name}"))?;
            }
        }
    }
    let total = seen + unseen;
    if json {
        return print_json(&json!({ "imported": total, "seen": seen, "not_seen": unseen }));
    }
    print(&format!("{total} imported, {seen} seen, {unseen} not seen yet"))
}

/// The lines of the input with their numbers, one at a time.
enum Lines {
    Jsonl {
        source: BufReader<Box<dyn Read>>,
        number: u64,
    },
    Csv {
        rows: Rows,
        /// Is handed one row at a time.
        cells: Box<csv::Reader<Cursor<Zeroizing<Vec<u8>>>>>,
        names: csv::StringRecord,
        /// Why nothing can be read after the row that was told last.
        failed: Option<Failure>,
    },
}

/// The number of a line, and what it says.
type Numbered = (u64, Result<Line, Refused>);

impl Lines {
    fn new(source: Box<dyn Read>, format: ImportFormat) -> Result<Self, Failure> {
        let source = without_mark(source)?;
        match format {
            ImportFormat::Jsonl => Ok(Self::Jsonl { source, number: 0 }),
            ImportFormat::Csv => {
                let mut rows = Rows { source, line: 1, after_return: false };
                let head = match rows.next()? {
                    None => Zeroizing::new(Vec::new()),
                    Some((_, Row::Whole(bytes))) => bytes,
                    Some((_, Row::Long)) => return Err(Failure::usage("the first line is longer than 64 KiB")),
                    Some((_, Row::Unclosed { quote })) => return Err(never_closed(quote)),
                };
                let mut cells = Box::new(csv::Reader::from_reader(Cursor::new(head)));
                let names =
                    cells.headers().map_err(|_| Failure::usage("the first line holds no names in UTF-8"))?.clone();
                check_names(&names)?;
                Ok(Self::Csv { rows, cells, names, failed: None })
            }
        }
    }

    fn next(&mut self) -> Result<Option<Numbered>, Failure> {
        match self {
            Self::Jsonl { source, number } => loop {
                let mut bytes = Zeroizing::new(Vec::new());
                let read = source.by_ref().take(MOST_LINE + 1).read_until(b'\n', &mut bytes);
                let read = read.context("the keys cannot be read")?;
                if read == 0 {
                    return Ok(None);
                }
                *number += 1;
                if bytes.len() as u64 > MOST_LINE {
                    skip_line(source)?;
                    return Ok(Some((*number, Err(Refused::new("", "is longer than 64 KiB")))));
                }
                if bytes.trim_ascii().is_empty() {
                    continue;
                }
                // The members of a list would be taken in order.
                if !bytes.trim_ascii().starts_with(b"{") {
                    return Ok(Some((*number, Err(Refused::new("", "is not a JSON object")))));
                }
                // What the parser says may repeat the value: the place alone is told.
                let line = serde_json::from_slice::<Line>(&bytes).map_err(|error| match error.classify() {
                    serde_json::error::Category::Data => Refused::new(
                        "",
                        format!("has an unknown member or one of another type at column {}", error.column()),
                    ),
                    _ => Refused::new("", format!("is not JSON from column {} on", error.column())),
                });
                return Ok(Some((*number, line)));
            },
            Self::Csv { rows, cells, names, failed } => {
                if let Some(failure) = failed.take() {
                    return Err(failure);
                }
                let Some((number, row)) = rows.next()? else { return Ok(None) };
                let line = match row {
                    Row::Whole(bytes) => {
                        *cells.get_mut() = Cursor::new(bytes);
                        let mut record = csv::StringRecord::new();
                        match cells.read_record(&mut record) {
                            Ok(true) => from_record(names, &record),
                            Ok(false) | Err(_) => {
                                Err(Refused::new("", "is not UTF-8, or has another number of columns"))
                            }
                        }
                    }
                    Row::Long => Err(Refused::new("", "is longer than 64 KiB")),
                    Row::Unclosed { quote } => {
                        *failed = Some(never_closed(quote));
                        Err(Refused::new("", "has a quote that is never closed, or not within 64 KiB"))
                    }
                };
                Ok(Some((number, line)))
            }
        }
    }
}

/// The input without the byte order mark that some programs write before UTF-8.
fn without_mark(mut source: Box<dyn Read>) -> Result<BufReader<Box<dyn Read>>, Failure> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let mut first = Vec::new();
    source.by_ref().take(MARK.len() as u64).read_to_end(&mut first).context("the keys cannot be read")?;
    if first == MARK {
        first.clear();
    }
    let whole: Box<dyn Read> = Box::new(Cursor::new(first).chain(source));
    Ok(BufReader::new(whole))
}

/// The first line must name the columns, each another one.
fn check_names(names: &csv::StringRecord) -> Result<(), Failure> {
    for (at, name) in names.iter().enumerate() {
        let column = at + 1;
        // Where the names were left out a key stands there: the place alone is told.
        if !NAMES.contains(&name) {
            let known = NAMES.join(", ");
            return Err(Failure::usage(format!(
                "column {column} of the first line is none of: {known}; the first line names the columns"
            )));
        }
        if let Some(before) = names.iter().take(at).position(|other| other == name) {
            return Err(Failure::usage(format!(
                "column {column} of the first line has the name of column {} again; each column has one of its own",
                before + 1
            )));
        }
    }
    Ok(())
}

fn never_closed(quote: u64) -> Failure {
    Failure::Failed(anyhow::Error::msg(format!(
        "the quote opened on line {quote} is never closed, or not within the 64 KiB of a row; \
         what was before it is imported, and the file can be imported again without harm"
    )))
}

/// Parts CSV into rows before the CSV reader sees them, since that one knows no bound and does not tell on which line a
/// row begins.
struct Rows {
    source: BufReader<Box<dyn Read>>,
    /// The line of the next byte.
    line: u64,
    /// Whether the byte before it was `\r`, with which a `\n` ends one line.
    after_return: bool,
}

/// A row as it stands in the input, without the ends of lines around it.
enum Row {
    /// With one `\n` at its end.
    Whole(Zeroizing<Vec<u8>>),
    Long,
    /// Nobody can tell where it ends: the quote opened on this line stays open.
    Unclosed {
        quote: u64,
    },
}

/// What is before the next byte of a row, told apart as the CSV reader does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing, or a comma.
    Start,
    /// A cell without quotes, where a quote is a character like others.
    Plain,
    /// An open quote.
    Quoted,
    /// A second quote, which ends the cell unless a third follows.
    Quote,
}

impl Rows {
    /// The next row and the line it begins on. Blank lines are none.
    fn next(&mut self) -> Result<Option<(u64, Row)>, Failure> {
        let mut bytes: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::new());
        let (mut begun, mut quote, mut long) = (None, 0, false);
        let mut before = Before::Start;
        loop {
            let Some((line, byte)) = self.byte()? else {
                match begun {
                    None => return Ok(None),
                    Some(number) if before == Before::Quoted => return Ok(Some((number, Row::Unclosed { quote }))),
                    Some(_) => break,
                }
            };
            let ends = matches!(byte, b'\r' | b'\n');
            if ends && begun.is_none() {
                continue;
            }
            let number = *begun.get_or_insert(line);
            if ends && before != Before::Quoted {
                break;
            }
            before = match (before, byte) {
                (Before::Quoted, b'"') => Before::Quote,
                (Before::Quoted, _) | (Before::Quote, b'"') => Before::Quoted,
                (Before::Start, b'"') => {
                    quote = line;
                    Before::Quoted
                }
                (_, b',') => Before::Start,
                _ => Before::Plain,
            };
            if (bytes.len() as u64) < MOST_LINE {
                bytes.push(byte);
            } else if before == Before::Quoted {
                return Ok(Some((number, Row::Unclosed { quote })));
            } else {
                // The rest of it is passed over.
                long = true;
            }
        }
        bytes.push(b'\n');
        Ok(begun.map(|number| (number, if long { Row::Long } else { Row::Whole(bytes) })))
    }

    /// The next byte, and the line it is on.
    fn byte(&mut self) -> Result<Option<(u64, u8)>, Failure> {
        let rest = self.source.fill_buf().context("the keys cannot be read")?;
        let Some(byte) = rest.first().copied() else { return Ok(None) };
        self.source.consume(1);
        let line = self.line;
        if byte == b'\r' || (byte == b'\n' && !self.after_return) {
            self.line += 1;
        }
        self.after_return = byte == b'\r';
        Ok(Some((line, byte)))
    }
}

fn skip_line(source: &mut impl BufRead) -> Result<(), Failure> {
    loop {
        let rest = source.fill_buf().context("the keys cannot be read")?;
        if rest.is_empty() {
            return Ok(());
        }
        let end = rest.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(rest.len(), |end| end + 1);
        source.consume(length);
        if end.is_some() {
            return Ok(());
        }
    }
}

/// A line of CSV: an empty cell is an absent member, lists are parted by spaces, metadata is a JSON object.
fn from_record(names: &csv::StringRecord, record: &csv::StringRecord) -> Result<Line, Refused> {
    let mut line = Line::default();
    for (name, cell) in names.iter().zip(record).filter(|(_, cell)| !cell.is_empty()) {
        let text = Some(cell.to_owned());
        let list = || Some(cell.split_whitespace().map(ToOwned::to_owned).collect());
        match name {
            "value" => line.value = Some(Zeroizing::new(cell.to_owned())),
            "sha256" => line.sha256 = text,
            "hmac_sha256" => line.hmac_sha256 = text,
            "pepper_version" => {
                let version = cell.parse();
                line.pepper_version = Some(version.map_err(|_| Refused::new("pepper_version", "is not a number"))?);
            }
            "last_three" => line.last_three = text,
            "kind" => line.kind = text,
            "name" => line.name = text,
            "external_reference" => line.external_reference = text,
            "state" => line.state = text,
            "valid_from" => line.valid_from = text,
            "valid_until" => line.valid_until = text,
            "scopes" => line.scopes = list(),
            "allowed_origins" => line.allowed_origins = list(),
            "allowed_ips" => line.allowed_ips = list(),
            _ => {
                let pairs = serde_json::from_str(cell);
                line.metadata = Some(pairs.map_err(|_| Refused::new("metadata", "is not a JSON object of texts"))?);
            }
        }
    }
    Ok(line)
}

fn draft(line: Line, kind: KeyKind, opened: &Opened, zone: &TimeZone) -> Result<ImportDraft, Refused> {
    let kind = line.kind.as_deref().map(|text| read("kind", text)).transpose()?.unwrap_or(kind);
    if line.value.is_some() && line.last_three.is_some() {
        return Err(Refused::new("last_three", "goes with a digest; a value says it itself"));
    }
    if line.hmac_sha256.is_some() != line.pepper_version.is_some() {
        return Err(Refused::new("pepper_version", "goes with hmac_sha256, and hmac_sha256 needs it"));
    }
    let last_three = line.last_three.clone();
    let value = match (&line.value, &line.sha256, &line.hmac_sha256) {
        (Some(text), None, None) => {
            let parsed = key_text::parse(text, opened.app.settings().brand());
            let (secret, claim) = parsed.map_err(|error| Refused::new("value", format!("cannot be a key: {error}")))?;
            ImportedValue::Text { secret, claim }
        }
        (None, Some(sha256), None) => {
            let fingerprint = KeyFingerprint::from_sha256(digest("sha256", sha256)?);
            ImportedValue::Sha256 { fingerprint, last_three }
        }
        (None, None, Some(hmac)) => {
            let digest = digest("hmac_sha256", hmac)?;
            let digest = KeyDigest::from_stored(&digest).expect("32 bytes are a digest");
            ImportedValue::Hmac { digest, pepper_version: line.pepper_version.unwrap_or_default(), last_three }
        }
        _ => return Err(Refused::new("value", "or sha256 or hmac_sha256 must be there, one of the three")),
    };
    let when = |field, text: &Option<String>, read: fn(&str, &TimeZone) -> Result<_, Failure>| {
        text.as_deref()
            .map(|text| read(text, zone).map_err(|error| Refused::new(field, error.error().to_string())))
            .transpose()
    };
    let key = KeyDraft {
        name: line.name.as_deref().map(|text| read("name", text)).transpose()?,
        state: line.state.as_deref().map(|text| read("state", text)).transpose()?.unwrap_or(KeyDraft::new(kind).state),
        valid_from: when("valid_from", &line.valid_from, when::start)?,
        valid_until: when("valid_until", &line.valid_until, when::end)?,
        scopes: line.scopes.as_deref().map(|texts| read_all("scopes", texts)).transpose()?,
        allowed_origins: read_all("allowed_origins", line.allowed_origins.as_deref().unwrap_or_default())?,
        allowed_ips: read_all("allowed_ips", line.allowed_ips.as_deref().unwrap_or_default())?,
        metadata: Metadata::try_from(line.metadata.unwrap_or_default())
            .map_err(|error| Refused::new("metadata", error.to_string()))?,
        ..KeyDraft::new(kind)
    };
    let external_reference =
        line.external_reference.as_deref().map(|text| read("external_reference", text)).transpose()?;
    Ok(ImportDraft { key, value, external_reference })
}

/// 64 hexadecimal digits, or base64 of 32 bytes.
fn digest(field: &'static str, text: &str) -> Result<[u8; 32], Refused> {
    let bad = || Refused::new(field, "is neither 64 hexadecimal digits nor 32 bytes in base64");
    if text.len() == 64 {
        return KeyDigest::from_hex(&text.to_ascii_lowercase()).map(|digest| *digest.as_bytes()).ok_or_else(bad);
    }
    let bytes = STANDARD.decode(text).map_err(|_| bad())?;
    bytes.try_into().map_err(|_| bad())
}

fn read<T: std::str::FromStr<Err: std::fmt::Display>>(field: &'static str, text: &str) -> Result<T, Refused> {
    text.parse().map_err(|error: T::Err| Refused::new(field, error.to_string()))
}

fn read_all<T: std::str::FromStr<Err: std::fmt::Display>, C: FromIterator<T>>(
    field: &'static str,
    texts: &[String],
) -> Result<C, Refused> {
    texts.iter().map(|text| read(field, text)).collect()
}
