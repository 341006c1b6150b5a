//! Fate of a batch: counted when it is lost, and a collector's failures reported once.
//!
//! Promises: none of this waits. Leaves sending to the exporter inside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use lepton_core::metrics::Counter;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// The exporter to one receiver, watched.
#[derive(Debug)]
pub(super) struct Delivery<E> {
    exporter: E,
    /// Spans that were queued and are not delivered or lost yet.
    waiting: Arc<AtomicUsize>,
    dropped: Counter,
    outage: Outage,
}

impl<E> Delivery<E> {
    pub fn new(place: &'static str, exporter: E, dropped: Counter) -> Self {
        Self {
            exporter,
            waiting: Arc::default(),
            dropped,
            outage: Outage::new(place, "traces"),
        }
    }

    /// Counts the spans that wait, for the queue before.
    pub fn waiting(&self) -> Arc<AtomicUsize> {
        self.waiting.clone()
    }
}

impl<E: SpanExporter> SpanExporter for Delivery<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let delivered = self.exporter.export(batch).await;
        self.waiting.fetch_sub(spans, Relaxed);
        if delivered.is_err() {
            self.dropped.inc_by(spans as u64);
        }
        self.outage.note(delivered.as_ref().err());
        delivered
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }
}

/// Reports once that a receiver gets nothing, and once that it does again. The mesh's own monitors come and go, which is
/// seen elsewhere.
#[derive(Debug)]
pub(super) struct Outage {
    place: &'static str,
    signal: &'static str,
    failing: AtomicBool,
}

impl Outage {
    pub fn new(place: &'static str, signal: &'static str) -> Self {
        Self {
            place,
            signal,
            failing: AtomicBool::new(false),
        }
    }

    /// Notes the outcome of one message.
    pub fn note(&self, failure: Option<&OTelSdkError>) {
        let (place, signal) = (self.place, self.signal);
        if let Some(error) = failure {
            tracing::debug!(receiver = place, signal, %error, "telemetry was not exported");
        }
        let changed = self.failing.swap(failure.is_some(), Relaxed) != failure.is_some();
        if place == "mesh" || !changed {
            return;
        }
        match failure {
            Some(error) => tracing::warn!(
                %error,
                "the collector gets no {signal}; they are dropped until it does"
            ),
            None => tracing::info!("the collector gets {signal} again"),
        }
    }
}
