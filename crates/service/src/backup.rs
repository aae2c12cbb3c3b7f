//! Backups: the whole database in one file that either engine restores, without the key file.
//!
//! A file is gzip of lines. The first is a head, then each table has a line with its columns, one per row, and the last
//! line holds the number of all rows and the SHA-256 of all lines before it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use trousseau_domain::ids::AuditId;
use trousseau_domain::time::Timestamp;
use trousseau_store::{
    Adjusted, AuditRow, Children, Engine, RestoreError, SchemaError, Store, StoreError, StoreOptions, TableShape,
    Upgrade, latest_schema,
};

use crate::context::Context;
use crate::entropy::{Entropy, EntropyExt as _};

/// What the head of a file says it is.
const NAME: &str = "trousseau-backup";
/// The form of the file.
const FORMAT: u32 = 1;
/// No line is longer: a row holds a logo at most.
const MOST_LINE: u64 = 64 * 1024 * 1024;
/// Rows that go into the database in one statement.
const ROWS_AT_ONCE: usize = 200;

/// Why a backup cannot be taken or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file cannot be read or written.
    #[error("the file cannot be read or written")]
    File(#[from] io::Error),
    /// It is no backup, or not all of one.
    #[error("this is no whole backup: {0}")]
    Damaged(&'static str),
    /// Whoever took it did not see all of the database.
    #[error("the backup is not complete: it has no table {0}, which its schema has")]
    Lacks(&'static str),
    /// It was taken by a newer release.
    #[error("the backup has schema {found}, this program knows {known} at most: use the newer release")]
    Newer {
        /// The backup's.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The rows cannot go where they should.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
}

/// The first line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Always the same word.
    name: String,
    /// The form of the file.
    format: u32,
    /// The latest migration of the database.
    pub schema: i64,
    /// The release that took it.
    pub release: String,
    /// When.
    #[serde(deserialize_with = "instant")]
    pub taken_at: Timestamp,
    /// The engine of the database that was read; the file does not depend on it.
    pub engine: String,
}

fn instant<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableLine {
    table: String,
    columns: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LastLine {
    rows: u64,
    sha256: String,
}

/// A backup that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its head.
    pub head: Head,
    /// How many tables are in it.
    pub tables: u64,
    /// How many rows.
    pub rows: u64,
    /// Tables of the database that are not in it, since they are not ours.
    pub left_out: Vec<String>,
}

/// A backup that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Its head.
    pub head: Head,
    /// How many rows went in.
    pub rows: u64,
    /// What was changed afterwards, and what is about to be sent.
    pub adjusted: Adjusted,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes what is written to it");
        text
    })
}

/// Lines on their way into a file, and what they sum up to.
struct Lines<W: Write> {
    out: W,
    sum: Sha256,
}

impl<W: Write> Lines<W> {
    fn put(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.sum.update(&text);
        self.out.write_all(&text)
    }
}

/// Opens a database as it is: a backup before an upgrade must not upgrade.
///
/// # Errors
/// When there is none, or it is newer than this program.
pub async fn open(url: &str) -> Result<Store, StoreError> {
    let options = |up_to| StoreOptions { upgrade: Upgrade::Nothing, up_to, ..StoreOptions::default() };
    match Store::open(url, &options(None)).await {
        Err(StoreError::Schema(SchemaError::Older { found, .. })) if found > 0 => {
            Store::open(url, &options(Some(found))).await
        }
        other => other,
    }
}

/// Writes everything that the database holds at one moment; whoever writes meanwhile is not held up.
///
/// # Errors
/// When the database or the file fails, or a table of ours is not there or may not be read.
pub async fn take(store: &Store, now: Timestamp, out: impl Write) -> Result<Taken, BackupError> {
    let mut snapshot = store.snapshot().await?;
    let head = Head {
        name: NAME.to_owned(),
        format: FORMAT,
        schema: snapshot.schema(),
        release: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at: now,
        engine: match store.engine() {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        }
        .to_owned(),
    };
    let mut lines = Lines { out: GzEncoder::new(BufWriter::new(out), Compression::fast()), sum: Sha256::new() };
    lines.put(&head)?;
    let (tables, left_out) = (snapshot.tables(), snapshot.left_out().to_vec());
    let mut rows = 0;
    for table in &tables {
        let columns = table.columns().map(ToOwned::to_owned).collect();
        lines.put(&TableLine { table: table.name().to_owned(), columns })?;
        rows += snapshot.copy(table, |row| lines.put(&row).map_err(BackupError::from)).await?;
    }
    let Lines { mut out, sum } = lines;
    let mut last = serde_json::to_vec(&LastLine { rows, sha256: hex(&sum.finalize()) }).map_err(io::Error::from)?;
    last.push(b'\n');
    out.write_all(&last)?;
    out.finish()?.flush()?;
    Ok(Taken { head, tables: tables.len() as u64, rows, left_out })
}

/// One line of a file behind its head.
enum Line {
    Table(TableLine),
    Row(Vec<Value>),
    Last,
}

/// A file that is read line by line and summed up.
struct Source<R: Read> {
    lines: BufReader<MultiGzDecoder<R>>,
    sum: Sha256,
    rows: u64,
}

impl<R: Read> Source<R> {
    /// Reads the head of a file, and says whether this program can restore it.
    fn open(file: R) -> Result<(Head, Self), BackupError> {
        let lines = BufReader::new(MultiGzDecoder::new(file));
        let mut source = Self { lines, sum: Sha256::new(), rows: 0 };
        let line = source.line()?.ok_or(BackupError::Damaged("it is empty"))?;
        let head = serde_json::from_slice::<Head>(&line);
        let head = head.map_err(|_| BackupError::Damaged("it begins with something else"))?;
        if head.name != NAME || head.format != FORMAT {
            return Err(BackupError::Damaged("it is of a form that this program does not know"));
        }
        if head.schema > latest_schema() {
            return Err(BackupError::Newer { found: head.schema, known: latest_schema() });
        }
        source.sum.update(&line);
        Ok((head, source))
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, BackupError> {
        let mut line = Vec::new();
        match self.lines.by_ref().take(MOST_LINE).read_until(b'\n', &mut line) {
            Ok(0) => Ok(None),
            Ok(_) if line.last() == Some(&b'\n') => Ok(Some(line)),
            Ok(_) => Err(BackupError::Damaged("a line is cut")),
            Err(error) => match error.kind() {
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                    Err(BackupError::Damaged("it cannot be unpacked"))
                }
                io::ErrorKind::UnexpectedEof => Err(BackupError::Damaged("it ends too early")),
                _ => Err(error.into()),
            },
        }
    }

    /// The next line; the last one is given once it is right and nothing follows it.
    fn next(&mut self) -> Result<Line, BackupError> {
        let line = self.line()?.ok_or(BackupError::Damaged("it ends too early"))?;
        // A row first: a list could be taken for the members of any struct, in their order.
        if line.first() == Some(&b'[') {
            self.sum.update(&line);
            self.rows += 1;
            let row = serde_json::from_slice(&line).map_err(|_| BackupError::Damaged("a row cannot be read"))?;
            return Ok(Line::Row(row));
        }
        if let Ok(last) = serde_json::from_slice::<LastLine>(&line) {
            if last.rows != self.rows || last.sha256 != hex(&std::mem::take(&mut self.sum).finalize()) {
                return Err(BackupError::Damaged("its checksum is another one"));
            }
            return match self.line()? {
                None => Ok(Line::Last),
                Some(_) => Err(BackupError::Damaged("something follows its end")),
            };
        }
        self.sum.update(&line);
        serde_json::from_slice(&line).map(Line::Table).map_err(|_| BackupError::Damaged("a line cannot be read"))
    }
}

/// Reads a file to its end, and says what it is. A table without rows has its line too.
fn check(file: impl Read) -> Result<Head, BackupError> {
    let (head, mut source) = Source::open(file)?;
    let mut tables = BTreeSet::new();
    loop {
        match source.next()? {
            Line::Table(line) => _ = tables.insert(line.table),
            Line::Row(_) => {}
            Line::Last => break,
        }
    }
    match TableShape::names_at(head.schema).find(|name| !tables.contains(*name)) {
        Some(name) => Err(BackupError::Lacks(name)),
        None => Ok(head),
    }
}

/// Fills the empty database at `url` with what a file holds, in one transaction, and brings its schema up to date.
///
/// # Errors
/// When the file is not whole or lacks a table, which is found out before the database is opened; when the database is
/// not empty, or fails. Nothing is in it then.
pub async fn restore(
    url: &str,
    mut file: impl Read + Seek,
    children: Children,
    context: &Context,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Restored, BackupError> {
    let head = check(&mut file)?;
    file.rewind()?;
    // The tables as they were; the rest of the migrations finds the rows in them.
    let then = StoreOptions { up_to: Some(head.schema), ..StoreOptions::default() };
    let store = match Store::open(url, &then).await {
        Err(StoreError::Schema(SchemaError::Newer { .. })) => {
            return Err(RestoreError::NotEmpty("tables of a newer schema".to_owned()).into());
        }
        other => other?,
    };
    let filled = fill(&store, file, children, context, now, entropy).await;
    store.close().await;
    let restored = filled?;
    Store::open(url, &StoreOptions::default()).await?.close().await;
    Ok(restored)
}

async fn fill(
    store: &Store,
    file: impl Read,
    children: Children,
    context: &Context,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Restored, BackupError> {
    let (head, mut source) = Source::open(file)?;
    let mut restoring = store.restoring().await?;
    let mut table: Option<TableLine> = None;
    let mut waiting: Vec<Vec<Value>> = Vec::new();
    loop {
        let line = source.next()?;
        let row = matches!(line, Line::Row(_));
        if (!row || waiting.len() >= ROWS_AT_ONCE) && !waiting.is_empty() {
            let table = table.as_ref().ok_or(BackupError::Damaged("it has a row of no table"))?;
            restoring.load(&table.table, &table.columns, std::mem::take(&mut waiting)).await?;
        }
        match line {
            Line::Row(row) => waiting.push(row),
            Line::Table(next) => table = Some(next),
            Line::Last => break,
        }
    }
    let adjusted = restoring.adjust(children, now).await?;
    let entry = AuditRow {
        id: AuditId::new(now, entropy.bytes()),
        at: now,
        actor: context.actor.clone(),
        action: "database.restored".to_owned(),
        business: None,
        environment: None,
        target: None,
        details: json!({ "taken_at": head.taken_at, "schema": head.schema, "rows": source.rows }),
        request_id: None,
    };
    restoring.tx().append_audit(&entry).await?;
    restoring.commit().await?;
    Ok(Restored { head, rows: source.rows, adjusted })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use trousseau_store::testing::TestDatabase;

    use super::*;
    use crate::entropy::SeededEntropy;

    fn now() -> Timestamp {
        "2026-01-31T09:30:00Z".parse().expect("good")
    }

    /// The same file without a table, as one was that was taken by a role that did not see it.
    fn without(file: &[u8], table: &str) -> Vec<u8> {
        let mut lines = Lines { out: GzEncoder::new(Vec::new(), Compression::fast()), sum: Sha256::new() };
        let (mut rows, mut kept) = (0, true);
        for line in BufReader::new(MultiGzDecoder::new(file)).lines() {
            let line: Value = serde_json::from_str(&line.expect("text")).expect("JSON");
            if line.get("sha256").is_some() {
                break;
            }
            if let Some(name) = line.get("table") {
                kept = name != table;
            }
            if kept {
                rows += u64::from(line.is_array());
                lines.put(&line).expect("packed");
            }
        }
        let Lines { mut out, sum } = lines;
        let last = serde_json::to_string(&LastLine { rows, sha256: hex(&sum.finalize()) }).expect("JSON");
        out.write_all(format!("{last}\n").as_bytes()).expect("packed");
        out.finish().expect("packed")
    }

    #[tokio::test]
    async fn a_file_without_a_table_is_refused_before_anything_is_made() {
        let place = TestDatabase::sqlite().await;
        let fresh = place.folder().expect("a folder").join("fresh.db");
        let url = format!("sqlite:{}", fresh.display());
        let mut file = Vec::new();
        let taken = take(place.store(), now(), &mut file).await.expect("taken");
        assert_eq!(taken.left_out, Vec::<String>::new());
        let context = Context::operator("test".to_owned(), None);
        for table in ["businesses", "quota_counts"] {
            let source = Cursor::new(without(&file, table));
            let refused = restore(&url, source, Children::Close, &context, now(), &SeededEntropy::new(1)).await;
            assert!(matches!(refused, Err(BackupError::Lacks(name)) if name == table), "{table}: {refused:?}");
            assert!(!fresh.exists());
        }
        // It is the table that was missed, and nothing else of the file.
        let source = Cursor::new(without(&file, "a table that nobody has"));
        let restored = restore(&url, source, Children::Close, &context, now(), &SeededEntropy::new(1)).await;
        assert_eq!(restored.expect("restored").rows, taken.rows);
    }

    #[tokio::test]
    async fn an_older_schema_is_read_as_it_is_and_restored_by_its_migrations() {
        let place = TestDatabase::sqlite().await;
        let old = format!("sqlite:{}", place.folder().expect("a folder").join("old.db").display());
        let fresh = format!("sqlite:{}", place.folder().expect("a folder").join("fresh.db").display());
        let then = StoreOptions { up_to: Some(11), ..StoreOptions::default() };
        let store = Store::open(&old, &then).await.expect("an older release");
        store
            .run(
                "INSERT INTO businesses (id, name, profile, time_zone, language, metadata, created_at, revision) \
                 VALUES ('a-1', 'Shop', 'mileston', 'Europe/Paris', 'en', '{}', 1769851800000000, 1)",
            )
            .await
            .expect("inserted");
        store.close().await;

        let store = open(&old).await.expect("an older schema may be backed up");
        let mut file = Vec::new();
        let taken = take(&store, now(), &mut file).await.expect("taken");
        assert_eq!((taken.head.schema, taken.head.engine.as_str()), (11, "sqlite"));
        store.close().await;
        // It is as old as before.
        let still = StoreOptions { upgrade: Upgrade::Nothing, ..then };
        Store::open(&old, &still).await.expect("not migrated").close().await;

        let context = Context::operator("test".to_owned(), None);
        let restored =
            restore(&fresh, Cursor::new(&file), Children::Close, &context, now(), &SeededEntropy::new(1)).await;
        assert_eq!(restored.expect("restored").rows, taken.rows);
        let current = StoreOptions { upgrade: Upgrade::Nothing, ..StoreOptions::default() };
        let store = Store::open(&fresh, &current).await.expect("it is up to date");
        let id = "a-1".parse().expect("an id");
        let found = store.read().find_business(&id).await.expect("an answer");
        assert_eq!(found.expect("it is there").name.to_string(), "Shop");
        store.close().await;
        let again = restore(&fresh, Cursor::new(&file), Children::Close, &context, now(), &SeededEntropy::new(1)).await;
        assert!(matches!(again, Err(BackupError::Restore(RestoreError::NotEmpty(_)))), "{again:?}");
    }
}
