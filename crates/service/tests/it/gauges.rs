//! What one node tells its metrics, apart from what another one in the same test tells.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, LocalRecorderGuard, Metadata, Recorder, SharedString, Unit,
    set_default_local_recorder,
};

/// Gauges by name, whatever their labels.
#[derive(Debug, Default)]
pub(crate) struct Gauges(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Gauges {
    /// Until the end of this, what is told on this thread is told here.
    pub(crate) fn here(&self) -> LocalRecorderGuard<'_> {
        set_default_local_recorder(self)
    }

    /// What comes of something, with what it tells told here.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let _here = self.here();
        work.await
    }

    /// What each says, as text.
    pub(crate) fn all(&self) -> BTreeMap<String, String> {
        let gauges = self.0.lock().expect("not poisoned");
        let text = |value: &AtomicU64| f64::from_bits(value.load(Ordering::Relaxed)).to_string();
        gauges.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }

    /// What one of them says; nothing before it was told.
    pub(crate) fn said(&self, name: &str) -> String {
        self.all().remove(name).unwrap_or_default()
    }
}

impl Recorder for Gauges {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut gauges = self.0.lock().expect("not poisoned");
        Gauge::from_arc(Arc::clone(gauges.entry(key.name().to_owned()).or_default()))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
