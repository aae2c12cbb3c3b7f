//! Lists to take along.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use trousseau_service::ServiceError;
use trousseau_service::keys::Page;

use super::filters::MOST_IN_FILE;

/// A list as comma-separated values (RFC 4180) in UTF-8.
#[derive(Debug)]
pub struct Csv {
    writer: csv::Writer<Vec<u8>>,
}

impl Csv {
    /// A list with these columns.
    pub fn new(columns: &[&str]) -> Self {
        let mut csv = Self::empty();
        csv.row(columns);
        csv
    }

    fn empty() -> Self {
        Self { writer: csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new()) }
    }

    /// One more row.
    pub fn row(&mut self, cells: &[impl AsRef<str>]) {
        let cells = cells.iter().map(|cell| guarded(cell.as_ref()));
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
            if !page.has_more {
                break;
            }
        }
        Ok(())
    }

    /// The list as a file of this name.
    pub fn finish(self, file: &str) -> Response {
        as_file(Body::from(self.into_bytes()), file)
    }

    fn into_bytes(self) -> Vec<u8> {
        self.writer.into_inner().expect("memory takes what is left")
    }
}

/// A list of any length as a file of this name, which is written while its rows are read. An error breaks it off.
pub(crate) fn streamed<S, const COLUMNS: usize>(
    columns: &[&str; COLUMNS],
    file: &str,
    first: &[[String; COLUMNS]],
    rest: S,
) -> Response
where
    S: Stream<Item = Result<Vec<[String; COLUMNS]>, ServiceError>> + Send + 'static,
{
    let mut head = Csv::new(columns);
    for cells in first {
        head.row(cells);
    }
    let part = |rows: Vec<[String; COLUMNS]>| {
        let mut csv = Csv::empty();
        for cells in &rows {
            csv.row(cells);
        }
        Bytes::from(csv.into_bytes())
    };
    let head = stream::once(async move { Ok(Bytes::from(head.into_bytes())) });
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
        let mut csv = Csv::new(&["name", "note"]);
        csv.row(&["a,b", "say \"x\""]);
        csv.row(&["=1", "line\nbreak"]);
        let response = csv.finish("keys.csv");
        assert_eq!(response.headers()[CONTENT_DISPOSITION], "attachment; filename=\"keys.csv\"");
        let body = http_body_util::BodyExt::collect(response.into_body()).await.expect("a body").to_bytes();
        assert_eq!(&body[..], b"name,note\r\n\"a,b\",\"say \"\"x\"\"\"\r\n'=1,\"line\nbreak\"\r\n");
    }
}
