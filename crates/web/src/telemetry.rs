//! Metrics in the text form of Prometheus. Labels name routes and statuses, never a business or a key.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the duration buckets, in seconds.
const BUCKETS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// How often what was measured is taken over.
const UPKEEP_EVERY: Duration = Duration::from_secs(2);

/// Where the process's metrics are kept. A process has one recorder, so that repeated calls share it.
#[expect(clippy::missing_panics_doc, reason = "the list of buckets is not empty")]
pub fn recorder() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
            .expect("there are buckets")
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another recorder is installed: /metrics stays empty");
        }
        describe();
        handle
    })
}

fn describe() {
    metrics::describe_counter!("trousseau_http_requests_total", "Requests answered, by method, route and status.");
    metrics::describe_histogram!(
        "trousseau_http_request_duration_seconds",
        "Time from a request's headers to its answer."
    );
}

/// Takes over what was measured, again and again, so that it does not pile up where nobody asks for it.
pub async fn upkeep() {
    loop {
        recorder().run_upkeep();
        tokio::time::sleep(UPKEEP_EVERY).await;
    }
}

/// The metrics as text (Prometheus exposition format 0.0.4).
pub fn render() -> String {
    let handle = recorder();
    handle.run_upkeep();
    handle.render()
}
