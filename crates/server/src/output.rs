//! What the commands print: aligned tables for people, JSON for programs.

use std::io::{IsTerminal as _, Read as _, Write as _};

use anyhow::Context as _;
use secrecy::SecretString;
use serde::Serialize;

use crate::exit::Failure;

/// Prints one line or block on standard output. A reader that went away is no failure of ours.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

/// Prints a value as one JSON document.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print(&serde_json::to_string(value).context("the answer cannot be written as JSON")?);
    Ok(())
}

/// A table with a head, or nothing but a sentence where it has no rows.
pub(crate) fn print_table(head: &[&str], rows: &[Vec<String>], nothing: &str) {
    if rows.is_empty() {
        print(nothing);
        return;
    }
    let mut lines = vec![head.iter().map(ToString::to_string).collect()];
    lines.extend_from_slice(rows);
    print(&aligned(&lines));
}

/// Pairs of name and value, one per line.
pub(crate) fn print_pairs(pairs: &[(&str, String)]) {
    let lines: Vec<Vec<String>> = pairs.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]).collect();
    print(&aligned(&lines));
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
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{question} This cannot be asked here: say --yes")));
    }
    eprint!("{question} Type yes to go on: ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("the answer cannot be read")?;
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
    if std::io::stdin().is_terminal() {
        eprint!("Key: ");
        std::io::stdin().read_line(&mut text).context("the key cannot be read")?;
    } else {
        let read = std::io::stdin().lock().take(MOST_BYTES).read_to_string(&mut text);
        read.map_err(|_| Failure::usage("standard input holds no key in UTF-8"))?;
    }
    let key = text.strip_suffix('\n').unwrap_or(&text);
    let key = key.strip_suffix('\r').unwrap_or(key);
    if key.is_empty() {
        return Err(Failure::usage("the key is expected on standard input or in TROUSSEAU_KEY"));
    }
    Ok(SecretString::from(key))
}
