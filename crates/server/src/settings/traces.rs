//! The settings of traces.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use trousseau_domain::trace::SamplingRatio;

use super::networks::{OneOrMany, lines};
use super::{Layers, SettingsError, check, parse};
use crate::traces::Collector;

/// Longer names are cut off by some who show them.
const LONGEST_NAME: usize = 255;

/// Traces as they are written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenTraces {
    endpoint: Option<String>,
    headers: OneOrMany,
    headers_file: Option<PathBuf>,
    ratio: Option<WrittenRatio>,
    service: Option<String>,
}

/// Its headers may be secret.
impl fmt::Debug for WrittenTraces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WrittenTraces")
    }
}

/// A number, as a file has it, or its text.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a ratio is a number from 0 to 1")]
enum WrittenRatio {
    Whole(i64),
    Fraction(f64),
    Text(String),
}

impl fmt::Display for WrittenRatio {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => number.fmt(formatter),
            Self::Fraction(number) => number.fmt(formatter),
            Self::Text(text) => formatter.write_str(text),
        }
    }
}

/// Where traces are sent, and which.
#[derive(Debug)]
pub(crate) struct TraceSettings {
    pub(crate) collector: Collector,
    pub(crate) ratio: SamplingRatio,
    /// What this service is called there.
    pub(crate) service: String,
}

/// The settings of traces; none without a collector.
pub(super) fn traces(layers: &Layers, written: WrittenTraces) -> Result<Option<TraceSettings>, SettingsError> {
    // Looked at in any case, so that a mistake is not found on the day on which traces are needed.
    let ratio = written.ratio.map(|ratio| parse(layers, "traces.ratio", &ratio.to_string())).transpose()?;
    let service = written.service.unwrap_or_else(|| "trousseau".to_owned());
    let good = (1..=LONGEST_NAME).contains(&service.len()) && !service.chars().any(char::is_control);
    check(layers, "traces.service", good.then_some(()).ok_or("a name has 1 to 255 characters"))?;
    let (name, headers) = lines(layers, "traces.headers", written.headers, written.headers_file.as_deref())?;
    let Some(endpoint) = written.endpoint else {
        check(layers, &name, headers.is_empty().then_some(()).ok_or("traces.endpoint is needed too"))?;
        return Ok(None);
    };
    let mut collector: Collector = parse(layers, "traces.endpoint", &endpoint)?;
    for (index, line) in headers.iter().enumerate() {
        // Which one, not what: it may hold a password.
        collector.add_header(line).map_err(|error| layers.invalid(&name, format!("header {}: {error}", index + 1)))?;
    }
    Ok(Some(TraceSettings { collector, ratio: ratio.unwrap_or(SamplingRatio::ONE_PERCENT), service }))
}

/// The settings as they are in force, headers left out.
pub(super) fn explain(traces: Option<&TraceSettings>) -> [(&'static str, String); 4] {
    let of = |show: &dyn Fn(&TraceSettings) -> String| traces.map_or_else(|| "-".to_owned(), show);
    [
        ("traces.endpoint", of(&|traces| traces.collector.to_string())),
        (
            "traces.headers",
            of(&|traces| match traces.collector.headers() {
                0 => "-".to_owned(),
                count => format!("{count}, not shown"),
            }),
        ),
        ("traces.ratio", of(&|traces| traces.ratio.to_string())),
        ("traces.service", of(&|traces| traces.service.clone())),
    ]
}
