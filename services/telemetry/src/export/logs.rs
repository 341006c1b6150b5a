//! Log records to a collector, as well as to stderr.
//!
//! Promises: taking a record never waits; what does not fit is counted. Leaves batches and their thread to the SDK.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use lepton_core::metrics::{Counter, Metrics};
use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, LogProcessor, SdkLogRecord, SdkLoggerProvider,
};
use tokio::runtime::Handle;

use super::collector::Collector;
use super::delivery::Outage;
use super::grouped::failure;
use super::resource;
use crate::trace::Scope;

/// Delay of a record, so that others join its message.
const BATCH_DELAY: Duration = Duration::from_secs(1);
/// Records that may wait, those on their way included; beyond that they are dropped.
const QUEUE_RECORDS_MAX: usize = 8_192;

/// Starts the export to a collector. Needs a runtime.
pub(super) fn provider(collector: &Collector, whole: &Arc<Scope>, metrics: &Metrics) -> Option<SdkLoggerProvider> {
    let mut exporter = match collector.log_exporter() {
        Ok(exporter) => exporter,
        Err(error) => {
            tracing::warn!(%error, "no log records are exported");
            return None;
        }
    };
    exporter.set_resource(&resource::of_scope(whole));
    let waiting = Arc::new(AtomicUsize::new(0));
    let delivery = LogDelivery {
        runtime: Handle::current(),
        exporter: Arc::new(exporter),
        waiting: waiting.clone(),
        dropped: dropped(metrics, "collector"),
        outage: Outage::new("collector", "logs"),
    };
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE_RECORDS_MAX)
        .with_scheduled_delay(BATCH_DELAY)
        .build();
    let queue = LogQueue {
        batches: BatchLogProcessor::builder(delivery).with_batch_config(config).build(),
        waiting,
        dropped: dropped(metrics, "queue"),
    };
    Some(SdkLoggerProvider::builder().with_log_processor(queue).build())
}

/// The counter of records that were lost here.
fn dropped(metrics: &Metrics, place: &str) -> Counter {
    let help = "Log records that were not exported, by where they were lost";
    metrics.counter("lepton_telemetry_log_records_dropped_total", help, &[("place", place)])
}

/// Takes log records.
#[derive(Debug)]
struct LogQueue {
    batches: BatchLogProcessor,
    waiting: Arc<AtomicUsize>,
    dropped: Counter,
}

impl LogProcessor for LogQueue {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.waiting.fetch_add(1, Relaxed) >= QUEUE_RECORDS_MAX {
            self.waiting.fetch_sub(1, Relaxed);
            self.dropped.inc();
            return;
        }
        self.batches.emit(record, scope);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }
}

/// The library's exporter, watched.
#[derive(Debug)]
struct LogDelivery {
    /// The batch processor's thread has no runtime, which the exporter's connection and pauses need.
    runtime: Handle,
    exporter: Arc<opentelemetry_otlp::LogExporter>,
    waiting: Arc<AtomicUsize>,
    dropped: Counter,
    outage: Outage,
}

impl LogExporter for LogDelivery {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let owned: Vec<(SdkLogRecord, InstrumentationScope)> = batch
            .iter()
            .map(|(record, scope)| (record.clone(), scope.clone()))
            .collect();
        let (records, exporter) = (owned.len(), self.exporter.clone());
        let sent = self.runtime.spawn(async move {
            let batch: Vec<_> = owned.iter().map(|(record, scope)| (record, scope)).collect();
            exporter.export(LogBatch::new(&batch)).await
        });
        let delivered = sent.await.unwrap_or_else(|error| Err(failure(&error)));
        self.waiting.fetch_sub(records, Relaxed);
        if delivered.is_err() {
            self.dropped.inc_by(records as u64);
        }
        self.outage.note(delivered.as_ref().err());
        delivered
    }
}
