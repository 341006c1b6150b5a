//! Traces: the request that a piece of work belongs to, across processes.
//!
//! Promises: every request has a trace id, its caller's or a fresh one; only sampled requests cost more than that. Spans
//! are `tracing`'s; `tracing-opentelemetry` makes OpenTelemetry spans of the sampled ones, and the SDK batches and
//! exports them. Leaves export to `crate::export`.
//!
//! The first span of a request is made by [`Head::span`], all others by `tracing`'s macros. The fields `otel.name`,
//! `otel.kind` (`server`, `client`, ...), `otel.status_code` (`error`) and `otel.status_description` have their documented
//! meaning; all other fields become attributes. Numbers are recorded as `i64`: the bridge takes unsigned ones for text.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use opentelemetry::trace::{Span as _, TraceContextExt, Tracer as _};
use tracing::{Dispatch, Span, span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

pub use context::TraceContext;
pub(crate) use ids::Ids;
pub(crate) use layer::{Layer, SCOPE, Sampled, Scope, SpanState};
pub use opentelemetry::KeyValue;
pub(crate) use sampler::Sampler;

mod context;
mod ids;
mod layer;
mod sampler;
#[cfg(test)]
mod tests;

/// The W3C header.
pub const TRACEPARENT: &str = "traceparent";

/// The place of a request in a trace, from which its first span is made. With a parent the caller has decided whether the
/// request is sampled; without one it is decided here, once.
#[derive(Clone, Debug, Default)]
pub struct Head {
    parent: Option<TraceContext>,
    id: Option<u64>,
    links: Vec<TraceContext>,
}

impl Head {
    /// Continues the trace of a request's headers. Of several `traceparent` headers none is continued, as the standard
    /// has it.
    pub fn of_headers(headers: &HeaderMap) -> Self {
        Self {
            parent: extract(headers),
            ..Self::default()
        }
    }

    /// Continues the trace of this `traceparent`; begins one where it cannot be parsed.
    pub fn below(traceparent: &str) -> Self {
        Self {
            parent: TraceContext::parse(traceparent),
            ..Self::default()
        }
    }

    /// Gives the span an id that others can derive. Zero is no id and changes nothing.
    pub fn with_id(self, id: u64) -> Self {
        Self {
            id: (id != 0).then_some(id),
            ..self
        }
    }

    /// Has the span continue what another began, without being its child: a retry.
    pub fn linked(mut self, to: TraceContext) -> Self {
        self.links.push(to);
        self
    }

    /// Makes the first span of the request.
    pub fn span(&self, make: impl FnOnce() -> Span) -> Span {
        layer::begin(self.parent, self.id, &self.links, make)
    }
}

/// Returns the context of the current span; none outside of requests, or without [`crate::init`].
pub fn current() -> Option<TraceContext> {
    tracing::dispatcher::get_default(|dispatch| {
        let current = dispatch.current_span();
        with_state(dispatch, current.id()?, |state| state.context).flatten()
    })
}

/// Returns the current span as a W3C `traceparent`, to be sent or stored.
pub fn traceparent() -> Option<String> {
    current().map(|context| context.to_string())
}

/// Returns the trace id of the current span, 32 hexadecimal digits.
pub fn trace_id() -> Option<String> {
    current().map(|context| context.trace_id())
}

/// Renames a span that may have started already, after which the field `otel.name` has no effect any more.
pub fn rename(span: &Span, name: impl Display) {
    if is_exported(span) {
        span.context().span().update_name(name.to_string());
    }
}

/// Exports a span for work of which only the beginning was noted until it was over: it ends now, after so long. Nothing
/// happens unless its parent is sampled.
pub fn record(name: &'static str, parent: &TraceContext, took: Duration, attributes: Vec<KeyValue>) {
    if !parent.is_sampled() {
        return;
    }
    tracing::dispatcher::get_default(|dispatch| {
        let Some(tracer) = dispatch.downcast_ref::<Layer>().and_then(Layer::tracer) else {
            return;
        };
        let scope = dispatch.current_span().id().and_then(|id| {
            let scope = with_state(dispatch, id, |state| state.scope.clone());
            scope.flatten()
        });
        let above = Context::new().with_remote_span_context(parent.remote());
        let attributes = attributes.iter().cloned().chain(scope.map(|scope| scope.attribute()));
        let now = now();
        let builder = tracer
            .span_builder(name)
            .with_start_time(now.checked_sub(took).unwrap_or(now))
            .with_attributes(attributes);
        builder.start_with_context(tracer, &above).end_with_timestamp(now);
    });
}

/// Reads the wall clock as the SDK's own spans do. There is no tracer under a simulator.
#[expect(clippy::disallowed_methods, reason = "exported spans have the SDK's time")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Puts a context into the headers of a request; without one they stay as they are.
pub(crate) fn inject(context: Option<TraceContext>, headers: &mut HeaderMap) {
    if let Some(value) = context.and_then(|context| HeaderValue::try_from(context.to_string()).ok()) {
        headers.insert(TRACEPARENT, value);
    }
}

/// Returns the caller's context, if the headers have exactly one and it is valid.
pub fn extract(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let (first, second) = (values.next()?, values.next());
    match second {
        None => TraceContext::parse(first.to_str().ok()?),
        Some(_) => None,
    }
}

/// Returns true when an OpenTelemetry span is made of this one.
fn is_exported(span: &Span) -> bool {
    let sampled = span.with_subscriber(|(id, dispatch)| {
        let exported = dispatch
            .downcast_ref::<Layer>()
            .is_some_and(|layer| layer.tracer().is_some());
        exported
            && with_state(dispatch, id, |state| state.context)
                .flatten()
                .is_some_and(|it| it.is_sampled())
    });
    sampled.unwrap_or(false)
}

/// Reads the state of a span.
fn with_state<T>(dispatch: &Dispatch, id: &span::Id, then: impl FnOnce(&SpanState) -> T) -> Option<T> {
    let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
    let extensions = span.extensions();
    extensions.get::<SpanState>().map(then)
}
