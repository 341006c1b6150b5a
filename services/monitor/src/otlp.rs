//! Traces: received by OTLP from every instance, kept within a bound, and shown.
//!
//! Promises: receiving never waits for a reader for longer than one trace takes to copy; memory has a limit, and what is
//! failed or slow stays longest. Leaves drawing to the console, and other signals than traces to other receivers.

mod arrival;
mod json;
mod keep;
mod measure;
mod read;
pub(crate) mod receive;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lepton_core::clock::Clock;
use lepton_core::context::Context;
use lepton_core::metrics::{Counter, Gauge};
use lepton_proto::convert::trace::assemble;
use lepton_proto::monitor::v1::Trace;

use crate::config;
use arrival::{Arrival, trace_id};
use keep::Keep;

/// How often traces that have gone quiet are looked for.
const SETTLE_EVERY: Duration = Duration::from_millis(500);

/// The traces that this monitor keeps. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Traces {
    clock: Clock,
    keep: Arc<Mutex<Keep>>,
    figures: Figures,
}

/// What is counted of them.
#[derive(Debug, Clone)]
struct Figures {
    taken: Counter,
    refused: Counter,
    dropped: Counter,
    evicted: Counter,
    traces: Gauge,
    bytes: Gauge,
}

/// Which traces are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter {
    /// At most so many.
    pub limit: usize,
    /// Only those that failed.
    pub failed: bool,
    /// Only those that took at least so long, microseconds.
    pub duration_us_min: u64,
}

impl Traces {
    /// None yet, for as many as the configuration allows.
    pub fn new(config: config::Traces, context: &Context) -> Self {
        Self {
            clock: context.clock,
            keep: Arc::new(Mutex::new(Keep::new(config))),
            figures: Figures::new(context),
        }
    }

    /// A trace with its spans, by its id of 32 hexadecimal digits.
    pub fn get(&self, id: &str) -> Option<Trace> {
        let (spans, dropped) = self.lock().spans(trace_id(id)?)?;
        Some(assemble(id.to_owned(), spans, dropped))
    }

    /// Traces without their spans, the newest first.
    pub fn list(&self, filter: Filter) -> Vec<Trace> {
        self.lock().list(filter)
    }

    /// Judges what has gone quiet, until it is dropped.
    pub async fn settle(self) {
        let mut ticks = tokio::time::interval(SETTLE_EVERY);
        loop {
            ticks.tick().await;
            self.change(|keep, now| keep.settle(now));
        }
    }

    /// Takes spans in.
    fn add(&self, arrivals: Vec<Arrival>) {
        self.figures.taken.inc_by(u64::try_from(arrivals.len()).unwrap_or(0));
        self.change(|keep, now| keep.add(arrivals, now));
    }

    /// Counts spans that could not be used.
    fn refused(&self, count: u64) {
        self.figures.refused.inc_by(count);
    }

    fn change(&self, change: impl FnOnce(&mut Keep, Duration)) {
        let now = self.clock.monotonic();
        let mut keep = self.lock();
        let before = keep.counts();
        change(&mut keep, now);
        let (after, (traces, bytes)) = (keep.counts(), keep.size());
        drop(keep);
        let figures = &self.figures;
        figures.dropped.inc_by(after.dropped_spans - before.dropped_spans);
        figures.evicted.inc_by(after.evicted_traces - before.evicted_traces);
        figures.traces.set(traces as f64);
        figures.bytes.set(bytes as f64);
    }

    fn lock(&self) -> MutexGuard<'_, Keep> {
        // Nobody panics with it: if somebody did, what is kept would still be whole traces.
        self.keep.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Figures {
    fn new(context: &Context) -> Self {
        let metrics = &context.metrics;
        let spans = |outcome| {
            let help = "Spans that came, by what became of them";
            metrics.counter("lepton_monitor_spans_total", help, &[("outcome", outcome)])
        };
        let evicted = "Traces that made room for others";
        Self {
            taken: spans("taken"),
            refused: spans("refused"),
            dropped: spans("dropped"),
            evicted: metrics.counter("lepton_monitor_traces_evicted_total", evicted, &[]),
            traces: metrics.gauge("lepton_monitor_traces", "Traces that are kept", &[]),
            bytes: metrics.gauge("lepton_monitor_traces_bytes", "Memory for them, by an estimate", &[]),
        }
    }
}
