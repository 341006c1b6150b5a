//! Sends finished spans to an OTLP receiver.
//!
//! Promises: a full queue or a dead receiver drops spans and disturbs nobody. Leaves which spans to `trace`.

use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::InstanceId;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanProcessor};

use crate::net::Net;

#[cfg(test)]
mod tests;

/// How long a finished span waits for company.
const BATCH_DELAY: Duration = Duration::from_millis(500);
/// How many finished spans may wait; beyond that they are dropped.
const QUEUE_SPANS_MAX: usize = 8_192;
/// How long the last spans may take when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Takes finished spans. Never blocks.
#[derive(Clone, Debug)]
pub(super) struct Exporter {
    processor: Arc<BatchSpanProcessor>,
}

impl Exporter {
    pub(super) fn send(&self, span: SpanData) {
        self.processor.on_end(span);
    }
}

/// Keeps the export of traces going; [`Guard::finish`] sends the last ones.
#[derive(Debug)]
#[must_use = "the last spans are sent by finish"]
pub struct Guard {
    exporter: Option<Exporter>,
}

impl Guard {
    /// Of a process that exports nothing.
    pub(super) fn none() -> Self {
        Self { exporter: None }
    }

    pub(super) fn exporter(&self) -> Option<Exporter> {
        self.exporter.clone()
    }

    /// Sends what is still queued and ends the export; takes 2 s at most.
    pub async fn finish(self) {
        let Some(exporter) = self.exporter else { return };
        // The batching thread sends over a channel of this runtime, so the runtime must go on meanwhile.
        let flush = tokio::task::spawn_blocking(move || exporter.processor.shutdown_with_timeout(FLUSH_TIMEOUT));
        // Telemetry that is lost at the end is no failure of the service.
        let _ = flush.await;
    }
}

/// Starts the export. Needs a runtime, on which the channel to the receiver lives.
pub(super) fn start(net: Net, endpoint: &str, service: &str, instance: &InstanceId) -> Guard {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_channel(net.channel(endpoint))
        .build();
    let Ok(exporter) = exporter else {
        tracing::warn!(
            endpoint,
            "traces are not exported: the exporter's environment variables are wrong"
        );
        return Guard::none();
    };
    let config = BatchConfigBuilder::default()
        .with_scheduled_delay(BATCH_DELAY)
        .with_max_queue_size(QUEUE_SPANS_MAX);
    let mut processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(config.build())
        .build();
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .with_attributes([
            KeyValue::new("service.instance.id", instance.as_str().to_owned()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ]);
    processor.set_resource(&resource.build());
    Guard {
        exporter: Some(Exporter {
            processor: Arc::new(processor),
        }),
    }
}
