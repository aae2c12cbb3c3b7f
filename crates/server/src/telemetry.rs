//! Logs: where they go, how they look, and what a panic may say.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::settings::{LogFormat, LogLevel};

/// Our own crates, which never log a secret at any level.
const OURS: [&str; 6] =
    ["trousseau", "trousseau_domain", "trousseau_envoy", "trousseau_service", "trousseau_store", "trousseau_web"];

/// Starts logging to standard error.
pub(crate) fn start(format: LogFormat, level: LogLevel) {
    // What a dependency says at debug level may hold bytes of a request.
    let others = LevelFilter::from_level(level.0.min(tracing::Level::WARN));
    let ours = LevelFilter::from_level(level.0);
    let filter = Targets::new().with_default(others).with_targets(OURS.map(|target| (target, ours)));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A second start in one process (there is none) would keep the first.
    let _ = match format {
        LogFormat::Text => registry.with(lines.with_ansi(false)).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_current_span(true)).try_init(),
    };
}

/// Lets a panic say where it happened and nothing of what it held.
pub(crate) fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        if tracing::event_enabled!(tracing::Level::ERROR) {
            tracing::error!(location, "the program met a state that its author held impossible");
        } else {
            crate::output::say(&format!("trousseau: internal error at {location}\n"));
        }
    }));
}
