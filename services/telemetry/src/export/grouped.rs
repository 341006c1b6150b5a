//! The exporter of spans to a collector: the library's, one for each service of the process.
//!
//! Promises: the exporters share one connection. Leaves retries, headers and deadlines to `opentelemetry-otlp`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Handle;

use super::collector::Collector;
use super::resource;
use crate::trace::Scope;

/// Sends spans to a collector, as a resource for each service.
#[derive(Debug)]
pub(super) struct Grouped {
    /// The batch processor's thread has no runtime, which the exporters' connections and pauses need.
    runtime: Handle,
    collector: Collector,
    whole: Arc<Scope>,
    exporters: Mutex<BTreeMap<(String, String), Arc<OtlpExporter>>>,
}

impl Grouped {
    pub fn new(collector: Collector, whole: Arc<Scope>) -> Self {
        Self {
            runtime: Handle::current(),
            collector,
            whole,
            exporters: Mutex::default(),
        }
    }

    /// The exporter of a service, built when it is needed for the first time.
    fn exporter(&self, group: (String, String)) -> Result<Arc<OtlpExporter>, OTelSdkError> {
        let mut exporters = self.exporters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = exporters.get(&group) {
            return Ok(known.clone());
        }
        let mut built = self.collector.span_exporter().map_err(|error| failure(&error))?;
        built.set_resource(&resource::of(&group.0, &group.1));
        let built = Arc::new(built);
        exporters.insert(group, built.clone());
        Ok(built)
    }
}

impl SpanExporter for Grouped {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut outcome = Ok(());
        for (group, spans) in resource::by_service(batch, &self.whole) {
            let exporter = {
                let _entered = self.runtime.enter();
                self.exporter(group)?
            };
            let sent = self.runtime.spawn(async move { exporter.export(spans).await });
            let sent = sent.await.unwrap_or_else(|error| Err(failure(&error)));
            outcome = outcome.and(sent);
        }
        outcome
    }
}

/// An error of another kind as one of the SDK's.
pub(super) fn failure(error: &dyn Display) -> OTelSdkError {
    OTelSdkError::InternalFailure(error.to_string())
}
