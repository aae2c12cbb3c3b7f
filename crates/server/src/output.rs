//! What the commands print: aligned tables for people, JSON for programs.

use std::io::{self, ErrorKind, IsTerminal as _, Read as _, Write as _};

use anyhow::Context as _;
use secrecy::SecretString;
use serde::Serialize;

use crate::exit::Failure;

/// Prints one line or block on standard output. A reader that went away is no failure of ours.
///
/// # Errors
/// Where it cannot be written: what was to be said there is lost.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match write(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written.context("standard output cannot be written")?),
    }
}

/// Prints what is shown this once. A reader that went away has not seen it.
///
/// # Errors
/// As [`print()`], with what was made all the same, and what to do about it.
pub(crate) fn print_once(text: &str, made: impl FnOnce() -> String) -> Result<(), Failure> {
    Ok(write(text).with_context(|| format!("standard output cannot be written, and {}", made()))?)
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush())
}

/// Says something to the person at the machine. Nobody may be there, which is no failure of ours.
pub(crate) fn say(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A value as one JSON document.
///
/// # Errors
/// Where it is none.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string(value).context("the answer cannot be written as JSON")?)
}

/// Prints a value as one JSON document.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print(&json(value)?)
}

/// A table with a head, or nothing but a sentence where it has no rows.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_table(head: &[&str], rows: &[Vec<String>], nothing: &str) -> Result<(), Failure> {
    if rows.is_empty() {
        return print(nothing);
    }
    let mut lines = vec![head.iter().map(ToString::to_string).collect()];
    lines.extend_from_slice(rows);
    print(&aligned(&lines))
}

/// Pairs of name and value, one per line.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_pairs(pairs: &[(&str, String)]) -> Result<(), Failure> {
    print(&paired(pairs))
}

/// The same as one text.
pub(crate) fn paired(pairs: &[(&str, String)]) -> String {
    let lines: Vec<Vec<String>> = pairs.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]).collect();
    aligned(&lines)
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: &Vec<String>| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        text.trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Asks before something is destroyed: on a terminal; elsewhere `--yes` must have been given.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{question} This cannot be asked here: say --yes")));
    }
    say(&format!("{question} Type yes to go on: "));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("the answer cannot be read")?;
    if answer.trim() == "yes" { Ok(()) } else { Err(Failure::refused("nothing was changed")) }
}

/// A key from `TROUSSEAU_KEY` or else from standard input, never from an argument, which other users could see.
pub(crate) fn read_key() -> Result<SecretString, Failure> {
    /// Far above the 255 bytes that a key can have.
    const MOST_BYTES: u64 = 4_096;
    if let Some(key) = std::env::var_os("TROUSSEAU_KEY") {
        return key.into_string().map(SecretString::from).map_err(|_| Failure::usage("TROUSSEAU_KEY is not UTF-8"));
    }
    let mut text = String::new();
    if io::stdin().is_terminal() {
        say("Key: ");
        io::stdin().read_line(&mut text).context("the key cannot be read")?;
    } else {
        let read = io::stdin().lock().take(MOST_BYTES).read_to_string(&mut text);
        read.map_err(|_| Failure::usage("standard input holds no key in UTF-8"))?;
    }
    let key = text.strip_suffix('\n').unwrap_or(&text);
    let key = key.strip_suffix('\r').unwrap_or(key);
    if key.is_empty() {
        return Err(Failure::usage("the key is expected on standard input or in TROUSSEAU_KEY"));
    }
    Ok(SecretString::from(key))
}
