//! Traces: received by OTLP from every instance, stored within a memory limit, listed and fetched.
//!
//! Promises: receiving waits for a reader no longer than one trace takes to copy; failed and slow traces are retained
//! longest. Leaves rendering to [`crate::console`], and signals other than traces to other receivers.

mod decode;
mod json;
pub(crate) mod receiver;
mod size_guard;
mod span;
mod store;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lepton_core::clock::Clock;
use lepton_core::context::Context;
use lepton_core::metrics::{Counter, Gauge};
use lepton_domain::reason::ApiError;
use lepton_proto::convert::trace::{self, assemble};
use lepton_proto::monitor::v1::{ListTracesRequest, Trace};
use lepton_proto::page::{Page, PageRequest};

use crate::config;
use span::{ReceivedSpan, trace_id};
use store::TraceStore;

/// Interval at which quiet traces are looked for.
const JUDGE_INTERVAL: Duration = Duration::from_millis(500);
/// Traces of a page whose request leaves its size open.
const PAGE_SIZE: usize = 100;

/// Handle of the [`TraceStore`]. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Traces {
    clock: Clock,
    store: Arc<Mutex<TraceStore>>,
    metrics: TraceMetrics,
}

/// Metrics of the trace store.
#[derive(Debug, Clone)]
struct TraceMetrics {
    accepted: Counter,
    rejected: Counter,
    dropped: Counter,
    evicted: Counter,
    traces: Gauge,
    bytes: Gauge,
}

impl Traces {
    /// Empty store with the limits of `config`.
    pub fn new(config: config::Traces, context: &Context) -> Self {
        Self {
            clock: context.clock,
            store: Arc::new(Mutex::new(TraceStore::new(config))),
            metrics: TraceMetrics::new(context),
        }
    }

    /// Returns a trace with its spans, by its id of 32 hexadecimal digits.
    pub fn get(&self, id: &str) -> Option<Trace> {
        let (spans, dropped) = self.lock().spans(trace_id(id)?)?;
        Some(assemble(id.to_owned(), spans, dropped))
    }

    /// Returns a page of traces without their spans, the newest first. Fails with PAGE_TOKEN_INVALID.
    pub fn list(&self, request: &ListTracesRequest) -> Result<Page<Trace>, ApiError> {
        let page = PageRequest::new(trace::listing(request), request.page_size, &request.page_token)?;
        Ok(self.lock().list(request, &page.or_size(PAGE_SIZE)))
    }

    /// Judges quiet traces until it is dropped ([`TraceStore::judge_quiet`]).
    pub async fn judge_quiet(self) {
        let mut ticks = tokio::time::interval(JUDGE_INTERVAL);
        loop {
            ticks.tick().await;
            self.update(|store, now| store.judge_quiet(now));
        }
    }

    /// Stores spans.
    fn add(&self, spans: Vec<ReceivedSpan>) {
        self.metrics.accepted.inc_by(u64::try_from(spans.len()).unwrap_or(0));
        self.update(|store, now| store.add(spans, now));
    }

    /// Counts rejected spans.
    fn count_rejected(&self, count: u64) {
        self.metrics.rejected.inc_by(count);
    }

    fn update(&self, change: impl FnOnce(&mut TraceStore, Duration)) {
        let now = self.clock.monotonic();
        let mut store = self.lock();
        let before = store.counts();
        change(&mut store, now);
        let (after, (traces, bytes)) = (store.counts(), store.size());
        drop(store);
        let metrics = &self.metrics;
        metrics.dropped.inc_by(after.dropped_spans - before.dropped_spans);
        metrics.evicted.inc_by(after.evicted_traces - before.evicted_traces);
        metrics.traces.set(traces as f64);
        metrics.bytes.set(bytes as f64);
    }

    fn lock(&self) -> MutexGuard<'_, TraceStore> {
        // No code panics while it holds the lock; after a panic the store would still consist of whole traces.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TraceMetrics {
    fn new(context: &Context) -> Self {
        let metrics = &context.metrics;
        let spans = |outcome| {
            let help = "Spans received, by outcome";
            metrics.counter("lepton_monitor_spans_total", help, &[("outcome", outcome)])
        };
        let evicted = "Traces evicted for newer ones";
        Self {
            accepted: spans("taken"),
            rejected: spans("refused"),
            dropped: spans("dropped"),
            evicted: metrics.counter("lepton_monitor_traces_evicted_total", evicted, &[]),
            traces: metrics.gauge("lepton_monitor_traces", "Traces stored", &[]),
            bytes: metrics.gauge(
                "lepton_monitor_traces_bytes",
                "Estimated memory of the stored traces",
                &[],
            ),
        }
    }
}
