//! The commands: text in, one use case, text or JSON out.

pub(crate) mod backup;
pub(crate) mod business;
pub(crate) mod import;
pub(crate) mod key;
mod limits;
pub(crate) mod member;
pub(crate) mod network;
pub(crate) mod payout;
pub(crate) mod platform_key;
pub(crate) mod reconcile;
pub(crate) mod secrets;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use trousseau_domain::metadata::Metadata;
use trousseau_service::idempotency::Answered;

use crate::exit::Failure;

/// Reads one argument; a text that is none of the kind is a mistake of usage.
fn read<T: FromStr<Err: fmt::Display>>(what: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error| Failure::usage(format!("{what} {text}: {error}")))
}

fn read_all<T: FromStr<Err: fmt::Display>, C: FromIterator<T>>(what: &str, texts: &[String]) -> Result<C, Failure> {
    texts.iter().map(|text| read(what, text)).collect()
}

fn metadata(pairs: &[(String, String)]) -> Result<Metadata, Failure> {
    let entries: BTreeMap<String, String> = pairs.iter().cloned().collect();
    Metadata::try_from(entries).map_err(|error| Failure::usage(format!("--metadata: {error}")))
}

/// What was done. The command line names no request, so nothing is ever answered from memory.
pub(crate) fn done<T>(answered: Answered<T>) -> T {
    match answered {
        Answered::Done(done) => done,
        Answered::Replayed(_) => unreachable!("an answer is repeated only under an idempotency key"),
    }
}
