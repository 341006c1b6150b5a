//! What the mesh says about itself: metrics, traces and logs.
//!
//! Promises: telling never blocks or fails a request; every request has a trace id, exported or not; in a process with
//! several services each line and span names its own. Leaves serving the metrics to `admin`.

use std::time::Duration;

use lepton_domain::ids::InstanceId;
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing_subscriber::layer::SubscriberExt;

use lepton_core::context::Context;

pub use export::Guard;
pub use log::{LogConfig, LogFormat};

mod export;
mod log;
pub mod propagate;
pub mod trace;
mod variables;

/// How long a panic waits until it is written.
const PANIC_WAIT: Duration = Duration::from_millis(200);

/// What is logged and traced, and where traces go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TelemetryConfig {
    /// A collector that gets the traces as well (OTLP over gRPC or HTTP); absent: `OTEL_EXPORTER_OTLP_ENDPOINT`, else none.
    pub otlp_endpoint: Option<String>,
    /// What is logged.
    pub log: LogConfig,
    /// Which requests are traced.
    pub trace: TraceConfig,
}

/// Which requests are traced, where the caller has not decided it. A request is traced if either rule says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceConfig {
    /// The share of requests, 0 to 1.
    pub ratio: f64,
    /// So many requests in each second: a quiet mesh is traced in full.
    pub per_second: u32,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            ratio: 0.01,
            per_second: 20,
        }
    }
}

/// Sends the logs and traces of this process on their way. Call it once, inside the runtime; a subscriber that is
/// already there stays. Nothing here fails: without a receiver the traces are not exported. The mesh's own receiver
/// is found by [`Guard::follow`].
pub fn init(service: &str, instance: &InstanceId, config: &TelemetryConfig, context: &Context) -> Guard {
    let endpoint = config.otlp_endpoint.as_deref();
    let lines = log::Lines::start(std::io::stderr(), &context.metrics, |lines| {
        tracing::warn!(lines, "log lines were dropped: what reads stderr was too slow");
    });
    tell_panics(lines.clone());
    // There is no subscriber yet to say what is wrong with the variables.
    let logging = tracing_subscriber::registry()
        .with(log::interest(&config.log))
        .with(log::Layer::new(config.log.format, lines.clone()));
    let collector = tracing::subscriber::with_default(logging, || {
        variables::collector(endpoint, |name| std::env::var(name).ok())
    });
    let guard = export::start(service, instance, collector, context, lines.clone());
    let subscriber = tracing_subscriber::registry()
        .with(log::interest(&config.log))
        .with(trace::Layer::new(&config.trace, Some(guard.exporter())))
        .with(log::Layer::new(config.log.format, lines));
    // An error says that the process has a subscriber, such as a test's.
    let _ = tracing::subscriber::set_global_default(subscriber);
    if log::targets(&config.log).is_none() {
        tracing::warn!(
            filter = config.log.filter,
            "the log filter is not understood; info is logged"
        );
    }
    guard
}

/// Has the message of a panic come after the lines that explain it, and waits for it a little: it may be the last thing
/// that the process does.
fn tell_panics(lines: log::Lines) {
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let trace = std::backtrace::Backtrace::capture();
        let name = thread.name().unwrap_or("without a name");
        // The trace says of itself when it was not asked for by RUST_BACKTRACE.
        lines.push(format!("thread {name:?}: {panic}\nstack backtrace: {trace}\n"));
        lines.flush(PANIC_WAIT);
    }));
}

/// A span for everything that one service does in this process. What runs inside it, and what is spawned with
/// `in_current_span`, names the service in its logs and traces. It is no trace itself.
pub fn scope(service: &str, instance: &InstanceId) -> Span {
    tracing::info_span!(parent: None, "scope", service, instance = instance.as_str())
}
