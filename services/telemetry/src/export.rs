//! The way of finished spans, metrics and log records out of the process: spans to the mesh's monitor, and all three to a
//! collector where `OTEL_*` variables name one.
//!
//! Promises: a full queue, a slow receiver or a dead one drops records, counts them and disturbs nobody; what is slow for
//! one receiver does not keep the other waiting; the export makes no spans. Under a simulator nothing is exported, as the
//! SDK's batch processors have threads and a clock of their own. Leaves where the monitor is to whoever is
//! run by [`Guard::follow`].

use std::sync::Arc;
use std::time::Duration;

use lepton_core::context::Context;
use lepton_core::metrics::{Counter, Metrics};
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanExporter};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::log::Lines;
use crate::trace::{Ids, Scope};
use collector::{Collector, Signal};
use queue::Queue;

pub(crate) mod collector;
mod delivery;
mod grouped;
mod logs;
mod metrics;
mod monitor;
mod queue;
mod resource;
#[cfg(test)]
mod tests;

/// Time for the last records when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for the last lines of the log then.
const LINES_TIMEOUT: Duration = Duration::from_secs(1);

/// The collectors that the configuration and the environment name.
#[derive(Debug, Default)]
pub(crate) struct Collectors {
    pub traces: Option<Collector>,
    pub metrics: Option<Collector>,
    pub logs: Option<Collector>,
}

impl Collectors {
    /// Reads the environment by `variable`; `configured` is a collector of traces.
    pub(crate) fn find(configured: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            traces: Collector::find(Signal::Traces, configured, &variable),
            metrics: Collector::find(Signal::Metrics, None, &variable),
            logs: Collector::find(Signal::Logs, None, &variable),
        }
    }
}

/// Keeps the export going; [`Guard::finish`] sends the last records. The last lines of the log are written when it is
/// dropped, however that comes about.
#[derive(Debug)]
#[must_use = "the last spans are sent by finish"]
pub struct Guard {
    queues: Vec<Queue>,
    tracer: Option<SdkTracer>,
    logger: Option<SdkLoggerProvider>,
    /// The mesh's own receivers, the best first.
    monitors: Arc<watch::Sender<Vec<String>>>,
    closing: CancellationToken,
    pushing: JoinSet<()>,
    following: JoinSet<()>,
    lines: Lines,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.lines.flush(LINES_TIMEOUT);
    }
}

impl Guard {
    /// Makes the spans of sampled requests; none under a simulator.
    pub(crate) fn tracer(&self) -> Option<SdkTracer> {
        self.tracer.clone()
    }

    /// Takes log records, where a collector wants them.
    pub(crate) fn logger(&self) -> Option<SdkLoggerProvider> {
        self.logger.clone()
    }

    /// Runs `find` as long as the export goes on: it keeps the addresses of the mesh's own receivers current, the best
    /// first. Until there are some, spans wait or are dropped.
    pub fn follow<F>(&mut self, find: impl FnOnce(Arc<watch::Sender<Vec<String>>>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.following.spawn(find(self.monitors.clone()));
    }

    /// Sends what is still queued and ends the export; takes 3 s at most.
    pub async fn finish(mut self) {
        self.closing.cancel();
        let mut flushing = JoinSet::new();
        // The SDK waits in the thread that asks: not in one that the exporters may need.
        for queue in std::mem::take(&mut self.queues) {
            flushing.spawn_blocking(move || queue.shutdown(FLUSH_TIMEOUT));
        }
        if let Some(logger) = self.logger.take() {
            flushing.spawn_blocking(move || drop(logger.shutdown_with_timeout(FLUSH_TIMEOUT)));
        }
        let flushed = async {
            while flushing.join_next().await.is_some() {}
            while self.pushing.join_next().await.is_some() {}
        };
        // Telemetry that is lost at the end is no failure of the service.
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, flushed).await;
    }
}

/// Starts the export to the mesh, and to collectors. Needs a runtime.
pub(crate) fn start(service: &str, instance: &str, collectors: Collectors, context: &Context, lines: Lines) -> Guard {
    let mut guard = Guard {
        queues: Vec::new(),
        tracer: None,
        logger: None,
        monitors: Arc::new(watch::Sender::new(Vec::new())),
        closing: CancellationToken::new(),
        pushing: JoinSet::new(),
        following: JoinSet::new(),
        lines,
    };
    if context.net.is_simulated() {
        return guard;
    }
    let whole = Arc::new(Scope::new(service, instance));
    let mesh = monitor::MonitorExporter::new(
        guard.monitors.subscribe(),
        whole.clone(),
        context.net,
        guard.closing.clone(),
    );
    guard.queues.push(queue("mesh", mesh, &context.metrics));
    if let Some(collector) = collectors.traces {
        let exporter = grouped::Grouped::new(collector, whole.clone());
        guard.queues.push(queue("collector", exporter, &context.metrics));
    }
    guard.tracer = Some(tracer(&guard.queues, context));
    if let Some(collector) = collectors.logs {
        guard.logger = logs::provider(&collector, &whole, &context.metrics);
    }
    if let Some(collector) = collectors.metrics {
        let push = metrics::push(collector, whole, context.clone(), guard.closing.clone());
        guard.pushing.spawn(push);
    }
    guard
}

/// A queue before an exporter, with losses counted under the receiver's name.
fn queue(place: &'static str, exporter: impl SpanExporter + 'static, metrics: &Metrics) -> Queue {
    Queue::new(
        delivery::Delivery::new(place, exporter, dropped(metrics, place)),
        dropped(metrics, "queue"),
    )
}

/// The counter of spans that were lost here.
fn dropped(metrics: &Metrics, place: &str) -> Counter {
    let help = "Spans that were not exported, by where they were lost";
    metrics.counter("lepton_telemetry_spans_dropped_total", help, &[("place", place)])
}

/// The source of spans. The SDK samples whatever it gets: the decision was made before.
fn tracer(queues: &[Queue], context: &Context) -> SdkTracer {
    let builder = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOn)
        .with_id_generator(Ids(context.random.clone()))
        .with_max_links_per_span(LINKS_MAX)
        .with_resource(resource::none());
    let builder = queues
        .iter()
        .fold(builder, |builder, queue| builder.with_span_processor(queue.clone()));
    let scope = InstrumentationScope::builder("lepton")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build();
    builder.build().tracer_with_scope(scope)
}

/// A span can have so many links; further ones are counted only.
const LINKS_MAX: u32 = 16;
