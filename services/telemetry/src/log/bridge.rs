//! Log records for a collector.
//!
//! Promises: a record carries the trace and span ids of its request, exported or not, and the service that it is of where
//! several share the process. Only the mesh's own events go: those of the libraries that export would come back here.

use opentelemetry::Context as OtelContext;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Hands events to the SDK.
pub(crate) struct Bridge(OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger>);

impl Bridge {
    pub(crate) fn new(provider: &SdkLoggerProvider) -> Self {
        Self(OpenTelemetryTracingBridge::new(provider))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Bridge {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !event.metadata().target().starts_with("lepton") {
            return;
        }
        let state = super::state(event, &context);
        let _attached = state.context.map(|traced| {
            let span = OtelContext::new().with_remote_span_context(traced.remote());
            span.attach()
        });
        self.0.on_event(event, context);
    }
}
