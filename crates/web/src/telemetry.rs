//! Metrics in the text form of Prometheus. Labels name routes and statuses, never a business or a key.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::durations::{Apart, Durations};

/// How often what was measured is taken over.
const UPKEEP_EVERY: Duration = Duration::from_secs(2);

/// The metrics of this process.
struct Kept {
    exporter: PrometheusHandle,
    durations: Durations,
}

/// Begins to keep metrics. A process does so once, however often it is asked to.
pub fn record() {
    kept();
}

fn kept() -> &'static Kept {
    static KEPT: OnceLock<Kept> = OnceLock::new();
    KEPT.get_or_init(|| {
        let (others, durations) = (PrometheusBuilder::new().build_recorder(), Durations::default());
        let exporter = others.handle();
        if metrics::set_global_recorder(Apart { durations: durations.clone(), others }).is_err() {
            tracing::warn!("another recorder is installed: /metrics stays empty");
        }
        describe();
        Kept { exporter, durations }
    })
}

/// What a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It grows, and begins anew with the process.
    Counter,
    /// It is what it is.
    Gauge,
    /// Buckets of durations.
    Histogram,
}

/// A metric of this program.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it counts.
    pub kind: MetricKind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

macro_rules! metric {
    ($kind:ident $name:literal [$($label:literal),*] $help:literal) => {
        Metric { name: $name, kind: MetricKind::$kind, labels: &[$($label),*], help: $help }
    };
}

/// Every metric that this program has. Dashboards and alerts are held against it.
pub const METRICS: &[Metric] = &[
    metric!(Counter "trousseau_http_requests_total" ["method", "route", "status"]
        "Requests answered, by method, route and status."),
    metric!(Histogram "trousseau_http_request_duration_seconds" ["method", "route"]
        "Time from a request's headers to its answer."),
    metric!(Counter "trousseau_recorder_dropped_total" []
        "Notes of uses and calls that were dropped because the database did not take them in time."),
    metric!(Counter "trousseau_strangers_not_noted_total" []
        "Refused calls without a known key of which nothing was kept, because too many came in one second."),
    metric!(Counter "trousseau_slowed_requests_total" []
        "Requests that had to wait because their address sends mostly bad keys."),
    metric!(Counter "trousseau_trace_spans_total" ["outcome"] "Spans of recorded requests, by what became of them."),
    metric!(Gauge "trousseau_keys_in_memory" [] "Values of keys that are answered from memory."),
    metric!(Gauge "trousseau_keys_in_memory_complete" [] "0 where some values found no room in memory."),
    metric!(Gauge "trousseau_keys_proven_age_seconds" [] "How long ago memory was seen to be up to date."),
    metric!(Gauge "trousseau_changes_applied" [] "The number of the latest change that memory has."),
    metric!(Gauge "trousseau_clock_offset_seconds" [] "How far the clock is ahead of the database's."),
    metric!(Counter "trousseau_store_commits_total" [] "Commits of the embedded database, each a wait for the disk."),
    metric!(Counter "trousseau_store_committed_total" []
        "What those commits kept: divided by them, how much shares one."),
    metric!(Counter "trousseau_webhook_attempts_total" ["outcome"] "Attempts to deliver an event, by outcome."),
    metric!(Counter "trousseau_network_calls_total" ["network", "endpoint", "outcome"]
        "Questions to the nodes of a network, by endpoint and outcome."),
    metric!(Gauge "trousseau_network_watched" ["network"]
        "1 on the server that watches a network, 0 on the others; what else is told of it there is no number then."),
    metric!(Gauge "trousseau_network_seen_height" ["network"] "How far a network was seen."),
    metric!(Gauge "trousseau_network_height" ["network"] "The height of a network."),
    metric!(Gauge "trousseau_network_block_age_seconds" ["network"] "The age of a network's latest block."),
    metric!(Gauge "trousseau_network_finalized_height" ["network"] "Up to where a network calls its blocks final."),
    metric!(Counter "trousseau_network_reorganisations_total" ["network"] "Looks that took blocks back."),
    metric!(Gauge "trousseau_network_deepest_reorganisation_blocks" ["network"]
        "The most blocks that one look took back."),
    metric!(Gauge "trousseau_network_failing" ["network"] "1 while no endpoint answers in a way that can be believed."),
    metric!(Gauge "trousseau_network_turn_milliseconds" ["network"] "What the latest look took."),
    metric!(Gauge "trousseau_network_turn_calls" ["network"] "How many questions the latest look took."),
    metric!(Gauge "trousseau_network_watched_addresses" ["network", "set"] "Addresses that are asked for, by set."),
    metric!(Gauge "trousseau_network_endpoint_failures" ["network", "endpoint"]
        "Failures since an endpoint last answered."),
    metric!(Gauge "trousseau_network_endpoint_lag_blocks" ["network", "endpoint"]
        "How far an endpoint is behind the furthest one."),
    metric!(Gauge "trousseau_network_endpoint_span_blocks" ["network", "endpoint"]
        "The blocks that an endpoint is asked for at once."),
    metric!(Counter "trousseau_reconciliations_total" ["network", "outcome"] "Comparisons of sums, by outcome."),
    metric!(Gauge "trousseau_reconciliation_differences" ["network"]
        "Sums that differed when they were last compared to the end."),
    metric!(Gauge "trousseau_reconciliation_finished_timestamp_seconds" ["network"]
        "When sums were last compared to the end."),
];

fn describe() {
    for Metric { name, kind, labels, help } in METRICS {
        match kind {
            MetricKind::Counter => {
                metrics::describe_counter!(*name, *help);
                // Of a counter that is not there before its first increment, Prometheus sees no rise by that.
                if labels.is_empty() {
                    metrics::counter!(*name).increment(0);
                }
            }
            MetricKind::Gauge => metrics::describe_gauge!(*name, *help),
            MetricKind::Histogram => metrics::describe_histogram!(*name, *help),
        }
    }
}

/// Takes over what was measured, again and again, so that it does not pile up where nobody asks for it.
pub async fn upkeep() {
    loop {
        kept().exporter.run_upkeep();
        tokio::time::sleep(UPKEEP_EVERY).await;
    }
}

/// The metrics as text (Prometheus exposition format 0.0.4).
pub fn render() -> String {
    let Kept { exporter, durations } = kept();
    exporter.run_upkeep();
    let mut text = exporter.render();
    for Metric { name, help, .. } in METRICS.iter().filter(|metric| metric.kind == MetricKind::Histogram) {
        text.push_str(&durations.render(name, help));
    }
    text
}
