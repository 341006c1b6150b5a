//! The queue of finished spans before an exporter.
//!
//! Promises: taking a span never waits; what does not fit is counted. Leaves batches and their thread to the SDK's batch
//! processor, which counts for nobody to see what it drops: so its queue is never full.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use lepton_core::metrics::Counter;
use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};

use super::delivery::Delivery;

/// Delay of a finished span, so that others join its message.
const BATCH_DELAY: Duration = Duration::from_millis(250);
/// Spans of one message.
const BATCH_SPANS_MAX: usize = 512;
/// Finished spans that may wait, those on their way included; beyond that they are dropped.
pub(super) const QUEUE_SPANS_MAX: usize = 8_192;

/// Takes finished spans. Clones share the queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    batches: Arc<BatchSpanProcessor>,
    waiting: Arc<AtomicUsize>,
    dropped: Counter,
}

impl Queue {
    pub fn new<E: SpanExporter + 'static>(delivery: Delivery<E>, dropped: Counter) -> Self {
        let waiting = delivery.waiting();
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_SPANS_MAX)
            .with_max_export_batch_size(BATCH_SPANS_MAX)
            .with_scheduled_delay(BATCH_DELAY)
            .build();
        Self {
            batches: Arc::new(BatchSpanProcessor::new(delivery, config)),
            waiting,
            dropped,
        }
    }

    /// Exports what waits, and ends. Blocks.
    pub fn shutdown(&self, timeout: Duration) {
        // What is lost is counted where it is lost.
        let _ = self.batches.shutdown_with_timeout(timeout);
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        if self.waiting.fetch_add(1, Relaxed) >= QUEUE_SPANS_MAX {
            self.waiting.fetch_sub(1, Relaxed);
            self.dropped.inc();
            return;
        }
        // The wall clock may have been set back meanwhile.
        span.end_time = span.end_time.max(span.start_time);
        self.batches.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }
}
