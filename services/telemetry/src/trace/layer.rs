//! The head decision and the trace context of every span, beside the OpenTelemetry layer.
//!
//! Promises: a span carries its context whether it is exported or not; the decision is that of the request, made before
//! its first span, and everything below inherits it, across awaits and spawned tasks, because it lies in the span that
//! they run in. A span that is not sampled costs a random number and an entry in the registry: [`Sampled`] keeps it
//! from the OpenTelemetry layer, which would build it first and ask the SDK's sampler then. Leaves export to the SDK.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use lepton_core::random::Random;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context as OtelContext, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;
use tracing::dispatcher::WeakDispatch;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Metadata, Span, Subscriber, field};
use tracing_opentelemetry::{OpenTelemetrySpanExt, get_otel_context};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::context::TraceContext;
use super::sampler::Sampler;

/// The attribute that carries a span's [`Scope`] to the exporters, which take it off again.
pub(crate) const SCOPE: &str = "lepton.scope";

thread_local! {
    /// The context of the span that this thread is about to make.
    static NEXT: Cell<Option<TraceContext>> = const { Cell::new(None) };
}

/// Has spans made in this thread get `context`, until it is dropped.
struct Next;

impl Next {
    fn set(context: TraceContext) -> Self {
        NEXT.set(Some(context));
        Self
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        NEXT.set(None);
    }
}

/// Returns the ids of the span that is being started, for the SDK.
pub(super) fn next() -> Option<TraceContext> {
    NEXT.get()
}

/// The service of a process, of which there may be several, that does a piece of work.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) service: String,
    pub(crate) instance: String,
    /// Both, for exporters.
    key: Arc<str>,
}

impl Scope {
    pub(crate) fn new(service: &str, instance: &str) -> Self {
        Self {
            service: service.to_owned(),
            instance: instance.to_owned(),
            key: format!("{service}\n{instance}").into(),
        }
    }

    /// Returns the value of [`SCOPE`].
    pub(crate) fn attribute(&self) -> KeyValue {
        KeyValue::new(SCOPE, Value::String(self.key.clone().into()))
    }
}

/// The context and the service of a span, in its extensions.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpanState {
    /// None in the scope of a service, which is not part of a trace.
    pub(crate) context: Option<TraceContext>,
    pub(crate) scope: Option<Arc<Scope>>,
}

/// The layer that gives spans their [`SpanState`]. It stands outside of the OpenTelemetry layer.
pub(crate) struct Layer {
    random: Random,
    sampler: Sampler,
    /// None where nothing is exported.
    tracer: Option<SdkTracer>,
    dispatch: OnceLock<WeakDispatch>,
}

impl Layer {
    /// Without a tracer spans have contexts, and none of them is sampled unless a caller has decided so.
    pub(crate) fn new(random: Random, sampler: Sampler, tracer: Option<SdkTracer>) -> Self {
        Self {
            random,
            sampler,
            tracer,
            dispatch: OnceLock::new(),
        }
    }

    /// Makes the head decision.
    fn decide(&self, parent: Option<TraceContext>) -> TraceContext {
        match parent {
            Some(parent) => parent.child(&self.random),
            None => TraceContext::root(&self.random, self.tracer.is_some() && self.sampler.decide(&self.random)),
        }
    }

    pub(super) fn tracer(&self) -> Option<&SdkTracer> {
        self.tracer.as_ref()
    }
}

/// Makes the first span of a request, at its place in a trace: below `parent`, or as a root that is sampled or not.
pub(super) fn begin(
    parent: Option<TraceContext>,
    id: Option<u64>,
    links: &[TraceContext],
    make: impl FnOnce() -> Span,
) -> Span {
    let decided = tracing::dispatcher::get_default(|dispatch| {
        let layer = dispatch.downcast_ref::<Layer>()?;
        Some((layer.decide(parent), layer.tracer.is_some()))
    });
    let Some((decided, exported)) = decided else {
        return make();
    };
    let context = id.and_then(|id| decided.with_span(id)).unwrap_or(decided);
    let _next = Next::set(context);
    let span = make();
    if exported && context.is_sampled() {
        let above = parent.map_or_else(OtelContext::new, |parent| {
            OtelContext::new().with_remote_span_context(parent.remote())
        });
        // It has not started before `start`.
        let _ = span.set_parent(above);
        links.iter().for_each(|link| span.add_link(link.remote()));
        span.with_subscriber(|(id, dispatch)| start(id, dispatch));
    }
    span
}

/// Starts the OpenTelemetry span of a span, with the ids of [`NEXT`].
fn start(id: &Id, dispatch: &Dispatch) {
    let Some(started) = get_otel_context(id, dispatch) else {
        return;
    };
    let scope = super::with_state(dispatch, id, |state| state.scope.clone()).flatten();
    if let Some(scope) = scope {
        started.span().set_attribute(scope.attribute());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Layer {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if is_scope(attributes.metadata()) {
            span.extensions_mut().insert(SpanState {
                context: None,
                scope: Some(Arc::new(scope_of(attributes))),
            });
            return;
        }
        let SpanState { context: above, scope } = span
            .parent()
            .and_then(|parent| parent.extensions().get::<SpanState>().cloned())
            .unwrap_or_default();
        let next = NEXT.get();
        // What belongs to no request is not traced: a span is never a root of its own accord.
        let context = next.or_else(|| above.map(|above| above.child(&self.random)));
        span.extensions_mut().insert(SpanState { context, scope });
        if let (None, Some(context), Some(_)) = (next, context, &self.tracer)
            && context.is_sampled()
            && let Some(dispatch) = self.dispatch.get().and_then(WeakDispatch::upgrade)
        {
            let _next = Next::set(context);
            start(id, &dispatch);
        }
    }
}

/// The filter of the OpenTelemetry layer: spans of sampled requests, and nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampled;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for Sampled {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        if !is_traced(metadata) {
            return false;
        }
        match NEXT.get() {
            Some(next) => next.is_sampled(),
            // The context shows spans only if they have passed this filter.
            None => context.current_span().id().is_some_and(|id| context.span(id).is_some()),
        }
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_traced(metadata) {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }
}

/// Returns true for spans of work: events are not exported with them, and the scope of a service is no work.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && !is_scope(metadata)
}

/// Returns true for the span of [`crate::scope`].
fn is_scope(metadata: &Metadata<'_>) -> bool {
    metadata.name() == "scope" && metadata.target() == "lepton_telemetry"
}

fn scope_of(attributes: &Attributes<'_>) -> Scope {
    let mut names = ScopeFields::default();
    attributes.record(&mut names);
    Scope::new(&names.service, &names.instance)
}

/// The fields of a scope.
#[derive(Default)]
struct ScopeFields {
    service: String,
    instance: String,
}

impl field::Visit for ScopeFields {
    fn record_str(&mut self, field: &field::Field, value: &str) {
        match field.name() {
            "service" => value.clone_into(&mut self.service),
            "instance" => value.clone_into(&mut self.instance),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &field::Field, _: &dyn std::fmt::Debug) {}
}
