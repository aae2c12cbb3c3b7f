//! Lists to take along.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;
use trousseau_domain::time::{Civil, TimeZone, Timestamp};
use trousseau_service::ServiceError;
use trousseau_service::keys::Page;

use super::filters::MOST_IN_FILE;
use super::frame::Frame;
use crate::language::Language;

/// By which spreadsheets know UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";
/// The words of the query that ask for a list as a file: as it is, and for Excel.
const FORMATS: [&str; 2] = ["csv", EXCEL];
const EXCEL: &str = "excel";

/// Whether this word of the query asks for a list as a file.
pub(crate) fn is_file(format: &str) -> bool {
    FORMATS.contains(&format)
}

/// What of an address says as what a list is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    format: String,
}

/// For whom a file is.
#[derive(Debug, Clone)]
pub(crate) enum Sheet {
    /// A program that calls the API.
    Program,
    /// Whatever opens it: commas, points, instants in UTC to the microsecond.
    Any,
    /// Excel, which takes files to be written as the language of its reader writes, and has no instants.
    Excel(Language, TimeZone),
}

impl Sheet {
    /// What the address of a page asks for.
    pub(crate) fn of(frame: &Frame) -> Self {
        let query = frame.here.split_once('?').map_or("", |(_, query)| query);
        // As the handlers read it, which take no parameter twice.
        let Wanted { format } = serde_html_form::from_str(query).unwrap_or_default();
        if format == EXCEL { Self::Excel(frame.t.language(), frame.f.zone().clone()) } else { Self::Any }
    }

    const fn separator(&self) -> u8 {
        match self {
            Self::Excel(Language::French, _) => b';',
            Self::Program | Self::Any | Self::Excel(Language::English, _) => b',',
        }
    }

    const fn begins_with(&self) -> &'static str {
        match self {
            Self::Program => "",
            Self::Any | Self::Excel(..) => BYTE_ORDER_MARK,
        }
    }

    /// A cell as it is written.
    fn written(&self, kind: Kind, cell: &str) -> String {
        match (self, kind) {
            (Self::Excel(_, zone), Kind::Instant) => match cell.parse::<Timestamp>() {
                Ok(instant) => {
                    let Civil { day, hour, minute, second, .. } = zone.civil(instant);
                    format!("{day} {hour:02}:{minute:02}:{second:02}")
                }
                Err(_) => guarded(cell),
            },
            (Self::Excel(_, zone), Kind::End) => match cell.parse::<Timestamp>() {
                Ok(instant) => zone.last_day_before(instant).to_string(),
                Err(_) => guarded(cell),
            },
            (Self::Excel(Language::French, _), Kind::Amount) => guarded(&cell.replace('.', ",")),
            // A reference keeps its zeros, and no name becomes a date.
            (Self::Excel(..), Kind::Label) if looks_like_a_value(cell) => format!("=\"{}\"", cell.replace('"', "\"\"")),
            _ => guarded(cell),
        }
    }
}

/// What stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// Words of somebody's choice, which may look like a number or a date.
    Label,
    Instant,
    /// The first instant after the last day that something is good for.
    End,
    Amount,
}

impl Kind {
    /// Of the column with this head.
    fn of(column: &str) -> Self {
        match column {
            "at" | "date" | "valid_from" | "anchor" => Self::Instant,
            "due_at" | "valid_until" => Self::End,
            "name" | "title" | "customer_name" | "customer_reference" | "external_reference" | "reference"
            | "reason" | "business_id" | "masked_value" | "base_units" => Self::Label,
            _ if column.ends_with("_at") => Self::Instant,
            "amount" | "amount_settled" => Self::Amount,
            _ => Self::Text,
        }
    }
}

/// A list as comma-separated values (RFC 4180) in UTF-8.
#[derive(Debug)]
pub struct Csv {
    writer: csv::Writer<Vec<u8>>,
    sheet: Sheet,
    kinds: Vec<Kind>,
    /// Whether there are more rows than a file takes.
    cut: bool,
}

impl Csv {
    /// A list with these columns, as the address of a page asks for it.
    pub(crate) fn of(frame: &Frame, columns: &[&str]) -> Self {
        Self::new(Sheet::of(frame), columns)
    }

    fn new(sheet: Sheet, columns: &[&str]) -> Self {
        let mut csv = Self::empty(sheet, columns);
        csv.row(columns);
        csv
    }

    fn empty(sheet: Sheet, columns: &[&str]) -> Self {
        let mut builder = csv::WriterBuilder::new();
        builder.terminator(csv::Terminator::CRLF).delimiter(sheet.separator());
        let kinds = columns.iter().map(|column| Kind::of(column)).collect();
        Self { writer: builder.from_writer(Vec::new()), sheet, kinds, cut: false }
    }

    /// One more row.
    pub fn row(&mut self, cells: &[impl AsRef<str>]) {
        debug_assert_eq!(cells.len(), self.kinds.len(), "a cell for each column");
        let cells = cells.iter().zip(&self.kinds).map(|(cell, kind)| self.sheet.written(*kind, cell.as_ref()));
        self.writer.write_record(cells).expect("rows of one list have equally many cells, and memory takes them");
    }

    /// The rows of a list that is read page by page, as far as a file goes.
    ///
    /// # Errors
    /// What reading a page ends in; nothing is sent then.
    pub async fn rows<T, I, F, const COLUMNS: usize>(
        &mut self,
        read: impl Fn(Option<I>) -> F,
        id: impl Fn(&T) -> I,
        row: impl Fn(&T) -> [String; COLUMNS],
    ) -> Result<(), ServiceError>
    where
        F: Future<Output = Result<Page<T>, ServiceError>>,
    {
        let (mut lines, mut after) = (0, None);
        while lines < MOST_IN_FILE {
            let page = read(after).await?;
            for one in &page.data {
                self.row(&row(one));
            }
            lines += page.data.len();
            after = page.data.last().map(&id);
            self.cut = page.has_more;
            if !page.has_more {
                break;
            }
        }
        Ok(())
    }

    /// The list as a file of this name, which says so where only the newest rows are in it.
    pub fn finish(self, file: &str) -> Response {
        let cut =
            file.strip_suffix(".csv").filter(|_| self.cut).map(|name| format!("{name}-newest-{MOST_IN_FILE}.csv"));
        let mut bytes = self.sheet.begins_with().as_bytes().to_vec();
        bytes.extend(self.into_bytes());
        as_file(Body::from(bytes), cut.as_deref().unwrap_or(file))
    }

    fn into_bytes(self) -> Vec<u8> {
        self.writer.into_inner().expect("memory takes what is left")
    }
}

/// A list of any length as a file of this name, which is written while its rows are read. An error breaks it off.
pub(crate) fn streamed<S, const COLUMNS: usize>(
    sheet: Sheet,
    columns: &'static [&'static str; COLUMNS],
    file: &str,
    first: &[[String; COLUMNS]],
    rest: S,
) -> Response
where
    S: Stream<Item = Result<Vec<[String; COLUMNS]>, ServiceError>> + Send + 'static,
{
    let begins_with = sheet.begins_with();
    let mut head = Csv::new(sheet.clone(), columns);
    for cells in first {
        head.row(cells);
    }
    let part = move |rows: Vec<[String; COLUMNS]>| {
        let mut csv = Csv::empty(sheet.clone(), columns);
        for cells in &rows {
            csv.row(cells);
        }
        Bytes::from(csv.into_bytes())
    };
    let head = stream::once(async move { Ok(Bytes::from([begins_with.as_bytes(), &head.into_bytes()].concat())) });
    as_file(Body::from_stream(head.chain(rest.map_ok(part))), file)
}

fn as_file(body: Body, file: &str) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{file}\""));
    headers.insert(CONTENT_DISPOSITION, disposition.expect("names of files are ours: ids and words"));
    response
}

/// The longest text that Excel takes in a formula.
const MOST_IN_FORMULA: usize = 255;

/// Whether a spreadsheet might take this for a number, a date or a time, and write it in its own way: it knows the names
/// of months in its reader's language, so whatever has a digit may be one.
fn looks_like_a_value(cell: &str) -> bool {
    cell.contains(char::is_numeric) && cell.chars().count() <= MOST_IN_FORMULA
}

/// What a spreadsheet would take for a formula becomes a text: an apostrophe goes before it.
fn guarded(cell: &str) -> String {
    let plain = cell.trim_start_matches(|first: char| first.is_whitespace());
    let tempting = plain.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '|', '%']);
    // A tab or a line break in front does not make it harmless.
    if tempting || cell.starts_with(['\t', '\r', '\n']) { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::filters::ROWS_PER_READ;

    #[tokio::test]
    async fn names_are_no_formulas() {
        for (cell, written) in [
            ("Orders", "Orders"),
            ("=HYPERLINK(\"https://evil.example\")", "'=HYPERLINK(\"https://evil.example\")"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("  =1", "'  =1"),
            ("\t=1", "'\t=1"),
            ("\r1", "'\r1"),
            ("＝1", "'＝1"),
            ("a=1", "a=1"),
        ] {
            assert_eq!(guarded(cell), written);
        }
        let mut csv = Csv::new(Sheet::Program, &["name", "note"]);
        csv.row(&["a,b", "say \"x\""]);
        csv.row(&["=1", "line\nbreak"]);
        let response = csv.finish("keys.csv");
        assert_eq!(response.headers()[CONTENT_DISPOSITION], "attachment; filename=\"keys.csv\"");
        let body = http_body_util::BodyExt::collect(response.into_body()).await.expect("a body").to_bytes();
        assert_eq!(&body[..], b"name,note\r\n\"a,b\",\"say \"\"x\"\"\"\r\n'=1,\"line\nbreak\"\r\n");
    }

    #[tokio::test]
    async fn excel_gets_what_it_reads_as_its_reader_writes() {
        let paris: TimeZone = "Europe/Paris".parse().expect("a zone");
        for (sheet, written) in [
            (
                Sheet::Any,
                "\u{feff}number,name,created_at,due_at,amount\r\n\
                 7,0012-05,2026-11-28T01:02:44.5Z,2026-06-30T22:00:00Z,1234.50\r\n,,,,\r\n",
            ),
            (
                Sheet::Excel(Language::English, paris.clone()),
                "\u{feff}number,name,created_at,due_at,amount\r\n\
                 7,\"=\"\"0012-05\"\"\",2026-11-28 02:02:44,2026-06-30,1234.50\r\n,,,,\r\n",
            ),
            (
                Sheet::Excel(Language::French, paris),
                "\u{feff}number;name;created_at;due_at;amount\r\n\
                 7;\"=\"\"0012-05\"\"\";2026-11-28 02:02:44;2026-06-30;1234,50\r\n;;;;\r\n",
            ),
        ] {
            let mut csv = Csv::new(sheet, &["number", "name", "created_at", "due_at", "amount"]);
            csv.row(&["7", "0012-05", "2026-11-28T01:02:44.5Z", "2026-06-30T22:00:00Z", "1234.50"]);
            csv.row(&["", "", "", "", ""]);
            let body = http_body_util::BodyExt::collect(csv.finish("x.csv").into_body()).await.expect("a body");
            assert_eq!(String::from_utf8_lossy(&body.to_bytes()), written);
        }
    }

    #[test]
    fn no_name_becomes_a_date_or_a_number_in_excel() {
        let sheet = Sheet::Excel(Language::English, "Europe/Paris".parse().expect("a zone"));
        for (cell, written) in [
            ("March 2026", "=\"March 2026\""),
            ("12 mars 2026", "=\"12 mars 2026\""),
            ("janv. 2026", "=\"janv. 2026\""),
            ("5%", "=\"5%\""),
            ("(12)", "=\"(12)\""),
            ("0012-05", "=\"0012-05\""),
            ("=1+1", "=\"=1+1\""),
            ("19\" rack", "=\"19\"\" rack\""),
            ("=A\"", "'=A\""),
            ("Orders", "Orders"),
            ("", ""),
        ] {
            assert_eq!(sheet.written(Kind::Label, cell), written);
        }
        // Excel takes no longer text in a formula, and takes none as long for a number.
        let long = "7 ".repeat(200);
        assert_eq!(sheet.written(Kind::Label, &long), long);
    }

    #[test]
    fn ends_are_told_apart_from_beginnings() {
        for (column, kind) in [("created_at", Kind::Instant), ("anchor", Kind::Instant), ("valid_until", Kind::End)] {
            assert_eq!(Kind::of(column), kind, "{column}");
        }
    }

    #[tokio::test]
    async fn a_file_that_does_not_hold_all_says_so_in_its_name() {
        let most = ROWS_PER_READ as usize;
        for (all, name) in [(MOST_IN_FILE, "events.csv"), (MOST_IN_FILE + 1, "events-newest-10000.csv")] {
            let mut csv = Csv::new(Sheet::Any, &["name"]);
            let read = |after: Option<usize>| {
                let start = after.map_or(0, |last| last + 1);
                let data: Vec<usize> = (start..all.min(start + most)).collect();
                std::future::ready(Ok(Page { has_more: start + data.len() < all, data }))
            };
            csv.rows(read, |row| *row, |row| [row.to_string()]).await.expect("read");
            let response = csv.finish("events.csv");
            assert_eq!(response.headers()[CONTENT_DISPOSITION], format!("attachment; filename=\"{name}\""));
            let body = http_body_util::BodyExt::collect(response.into_body()).await.expect("a body").to_bytes();
            let lines = String::from_utf8_lossy(&body).lines().count();
            assert_eq!(lines, MOST_IN_FILE + 1, "the head and the rows");
        }
    }
}
