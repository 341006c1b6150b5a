//! Metrics, traces and logs of a process, on their way out.
//!
//! Promises: telemetry never blocks or fails a request; every request has a trace id, exported or not; in a process with
//! several services each line and span names its own. Leaves serving the metrics to the admin listener, and where the
//! mesh's monitor is to the registry.

use std::time::Duration;

use lepton_core::context::Context;
use lepton_domain::ids::InstanceId;
use serde::{Deserialize, Serialize};
use tracing::{Span, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;

pub use export::Guard;
pub use log::{LogConfig, LogFormat};

mod export;
mod log;
pub mod propagate;
pub mod trace;

/// Time that a panic waits until it is written.
const PANIC_TIMEOUT: Duration = Duration::from_millis(200);

/// Settings of logs, traces and their export.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TelemetryConfig {
    /// A collector that gets the traces as well (OTLP over gRPC or HTTP); absent: `OTEL_EXPORTER_OTLP_ENDPOINT`, else none.
    pub otlp_endpoint: Option<String>,
    /// Settings of the log.
    pub log: LogConfig,
    /// The head decision.
    pub trace: TraceConfig,
}

/// The head decision about requests whose caller has made none. A request is traced if either rule applies.
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

/// Sends the logs, traces and metrics of this process on their way. Call it once, inside the runtime; a subscriber that is
/// already there stays. Nothing here fails: without a receiver nothing is exported.
pub fn init(service: &str, instance: &InstanceId, config: &TelemetryConfig, context: &Context) -> Guard {
    let endpoint = config.otlp_endpoint.as_deref();
    let lines = log::Lines::start(std::io::stderr(), &context.metrics, |lines| {
        tracing::warn!(lines, "log lines were dropped: what reads stderr was too slow");
    });
    install_panic_hook(lines.clone());
    // There is no subscriber yet to report what is wrong with the variables.
    let logging = tracing_subscriber::registry()
        .with(log::Layer::new(config.log.format, lines.clone()))
        .with(log::env_filter(&config.log));
    let collectors = tracing::subscriber::with_default(logging, || {
        export::Collectors::find(endpoint, |name| std::env::var(name).ok())
    });
    let guard = export::start(service, instance.as_str(), collectors, context, lines.clone());
    // An error means that the process has a subscriber, such as a test's.
    let _ = tracing::subscriber::set_global_default(subscriber(config, context, &guard, lines));
    if log::targets(&config.log).is_none() {
        tracing::warn!(
            filter = config.log.filter,
            "the log filter is not understood; info is logged"
        );
    }
    guard
}

/// The layers, from the inside out: OpenTelemetry's for the spans of sampled requests alone; our own, which gives every
/// span its context; the log; and the filter of everything, which must be the outermost, or each disabled event of a
/// library would be looked at again and again.
fn subscriber(
    config: &TelemetryConfig,
    context: &Context,
    guard: &Guard,
    lines: log::Lines,
) -> impl Subscriber + Send + Sync + use<> {
    let exported = guard.tracer().map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            // The registry knows the current span; a second stack of contexts would be kept for nobody.
            .with_context_activation(false)
            .with_filter(trace::Sampled)
    });
    let sampler = trace::Sampler::new(&config.trace, context.clock);
    tracing_subscriber::registry()
        .with(exported)
        .with(trace::Layer::new(context.random.clone(), sampler, guard.tracer()))
        .with(log::Layer::new(config.log.format, lines))
        .with(guard.logger().as_ref().map(log::Bridge::new))
        .with(log::env_filter(&config.log))
}

/// Has the message of a panic come after the lines that explain it, and waits for it a little: it may be the last thing
/// that the process does.
fn install_panic_hook(lines: log::Lines) {
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let trace = std::backtrace::Backtrace::capture();
        let name = thread.name().unwrap_or("without a name");
        // Without RUST_BACKTRACE it is a line that names the variable.
        lines.push(&format!("thread {name:?}: {panic}\nstack backtrace: {trace}\n"));
        lines.flush(PANIC_TIMEOUT);
    }));
}

/// Makes the span of everything that one service does in this process. What runs inside it, and what is spawned with
/// `in_current_span`, names the service in its logs and traces. It is no trace itself.
pub fn scope(service: &str, instance: &InstanceId) -> Span {
    tracing::info_span!(parent: None, "scope", service, instance = instance.as_str())
}
