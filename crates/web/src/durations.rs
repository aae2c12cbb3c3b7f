//! Durations in buckets, counted where they are measured.
//!
//! The exporter keeps every single value until it is asked for them; at a hundred thousand a second that costs more than
//! what is measured. Whatever else is counted is the exporter's.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Upper bounds of the buckets, in seconds; above the last one there is one more.
const BOUNDS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// How often something took how long.
#[derive(Debug, Default)]
struct Buckets {
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl HistogramFn for Buckets {
    fn record(&self, seconds: f64) {
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_nanos();
        self.nanos.fetch_add(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// All of them, by name and labels.
#[derive(Debug, Clone, Default)]
pub(crate) struct Durations(Arc<RwLock<HashMap<Key, Arc<Buckets>>>>);

impl Durations {
    fn of(&self, key: &Key) -> Arc<Buckets> {
        if let Some(buckets) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Arc::clone(buckets);
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(key.clone()).or_default())
    }

    /// What is measured under a name, in the text form of Prometheus; nothing where nothing is.
    pub(crate) fn render(&self, name: &str, help: &str) -> String {
        let mut text = String::new();
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut named: Vec<_> = all.iter().filter(|(key, _)| key.name() == name).collect();
        named.sort_by_key(|(key, _)| *key);
        if named.is_empty() {
            return text;
        }
        let wrote = writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram").and_then(|()| {
            named.into_iter().try_for_each(|(key, buckets)| write_one(&mut text, name, &labels_of(key), buckets))
        });
        wrote.expect("writing to a string cannot fail");
        text.push('\n');
        text
    }
}

fn write_one(text: &mut String, name: &str, labels: &str, buckets: &Buckets) -> fmt::Result {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut count = 0;
    for (index, bucket) in buckets.counts.iter().enumerate() {
        count += bucket.load(Ordering::Relaxed);
        let bound = BOUNDS.get(index).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
        writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}")?;
    }
    let sum = Duration::from_nanos(buckets.nanos.load(Ordering::Relaxed)).as_secs_f64();
    writeln!(text, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}")
}

/// The labels of a key as they stand between braces.
fn labels_of(key: &Key) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<_> = key.labels().map(|label| format!("{}=\"{}\"", label.key(), escaped(label.value()))).collect();
    labels.join(",")
}

/// A recorder that leaves all but durations to another one.
pub(crate) struct Apart<R> {
    pub(crate) durations: Durations,
    pub(crate) others: R,
}

impl<R: Recorder> Recorder for Apart<R> {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.others.describe_counter(name, unit, description);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.others.describe_gauge(name, unit, description);
    }

    /// They are described where they are rendered.
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.others.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.others.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.durations.of(key))
    }
}

#[cfg(test)]
mod tests {
    use metrics::Label;

    use super::*;

    #[test]
    fn buckets_add_up_and_labels_are_escaped() {
        let durations = Durations::default();
        let key = |route: &'static str| Key::from_parts("took_seconds", vec![Label::new("route", route)]);
        for seconds in [0.000_5, 0.000_6, 0.2, 7.5] {
            durations.of(&key("/a\"b")).record(seconds);
        }
        durations.of(&key("/c")).record(0.0);
        assert_eq!(durations.render("other_seconds", "Other."), "");
        let text = durations.render("took_seconds", "How long it took.");
        let expected = [
            "# HELP took_seconds How long it took.\n# TYPE took_seconds histogram\n",
            "took_seconds_bucket{route=\"/a\\\"b\",le=\"0.0005\"} 1\n",
            "took_seconds_bucket{route=\"/a\\\"b\",le=\"0.001\"} 2\n",
            "took_seconds_bucket{route=\"/a\\\"b\",le=\"0.1\"} 2\n",
            "took_seconds_bucket{route=\"/a\\\"b\",le=\"0.25\"} 3\n",
            "took_seconds_bucket{route=\"/a\\\"b\",le=\"5\"} 3\n",
            "took_seconds_bucket{route=\"/a\\\"b\",le=\"+Inf\"} 4\n",
            "took_seconds_sum{route=\"/a\\\"b\"} 7.7011\ntook_seconds_count{route=\"/a\\\"b\"} 4\n",
            "took_seconds_count{route=\"/c\"} 1\n",
        ];
        for part in expected {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
