//! Traces: which request a piece of work belongs to, across processes.
//!
//! Promises: every span of the mesh has a trace id, its parent's or a fresh one; only sampled spans cost more than
//! that. Leaves batching and sending to `telemetry::export`.
//!
//! A span field named `traceparent` sets the parent when the span is made, which decides sampling at once; `otel.name`,
//! `otel.kind` (`server`, `client`, ...), `otel.status_code` (`error`) and `otel.status_description` set what their
//! names say. All other fields become attributes.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tracing::{Dispatch, Span, span};
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

pub use context::TraceContext;
pub(super) use layer::{Layer, Scope, SpanState};
pub(super) use recording::attribute;

mod context;
mod layer;
mod recording;
mod sampler;
#[cfg(test)]
mod tests;

/// The W3C header.
pub const TRACEPARENT: &str = "traceparent";

/// The context of the current span; none outside of spans, or without [`crate::init`].
pub fn current() -> Option<TraceContext> {
    tracing::dispatcher::get_default(|dispatch| {
        let current = dispatch.current_span();
        with_state(dispatch, current.id()?, |state| state.context).flatten()
    })
}

/// The current span as a W3C `traceparent`, to be sent or stored.
pub fn traceparent() -> Option<String> {
    current().map(|context| context.to_string())
}

/// The trace id of the current span, 32 hexadecimal digits.
pub fn trace_id() -> Option<String> {
    current().map(|context| context.trace_id())
}

/// Makes the remote span of `traceparent` the parent of `span`, which must not have children yet. What cannot be
/// parsed changes nothing. Prefer the field `traceparent` where the parent is known when the span is made.
pub fn with_parent(span: &Span, traceparent: &str) {
    let Some(parent) = TraceContext::parse(traceparent) else {
        return;
    };
    span.with_subscriber(|(id, dispatch)| with_state(dispatch, id, |state| state.adopt(parent)));
}

/// Notes that `span` continues what the span of `traceparent` began, without being its child: a retry.
pub fn link(span: &Span, traceparent: &str) {
    let Some(linked) = TraceContext::parse(traceparent) else {
        return;
    };
    span.with_subscriber(|(id, dispatch)| with_state(dispatch, id, |state| state.link(linked)));
}

/// Has `span` begin so long before it was made: for work of which only the beginning was noted, until it was over.
pub fn backdate(span: &Span, by: Duration) {
    span.with_subscriber(|(id, dispatch)| with_state(dispatch, id, |state| state.backdate(by)));
}

/// Gives `span`, which must not have children yet, an id that others can work out. Zero is none and changes nothing.
pub fn identify(span: &Span, id: u64) {
    let renamed = |state: &mut SpanState| state.context = state.context.and_then(|context| context.with_span(id));
    if id != 0 {
        span.with_subscriber(|(span, dispatch)| with_state(dispatch, span, renamed));
    }
}

/// Puts the current context into the headers of a request; without one they stay as they are.
pub fn inject(headers: &mut HeaderMap) {
    if let Some(value) = traceparent().and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(TRACEPARENT, value);
    }
}

/// The caller's `traceparent` as it came; empty without one. Of two none counts: the trace begins anew, as W3C Trace Context
/// has it.
pub fn remote_parent(headers: &HeaderMap) -> &str {
    let mut values = headers.get_all(TRACEPARENT).iter();
    match (values.next(), values.next()) {
        (Some(only), None) => only.to_str().unwrap_or_default(),
        _ => "",
    }
}

/// The caller's `traceparent`, if it is a valid one.
pub fn extract(headers: &HeaderMap) -> Option<String> {
    TraceContext::parse(remote_parent(headers)).map(|context| context.to_string())
}

/// Reads or changes what a span carries.
fn with_state<T>(dispatch: &Dispatch, id: &span::Id, then: impl FnOnce(&mut SpanState) -> T) -> Option<T> {
    let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
    let mut extensions = span.extensions_mut();
    extensions.get_mut::<SpanState>().map(then)
}
