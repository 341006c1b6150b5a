//! Gives every span its trace context and hands the sampled ones to the exporter.
//!
//! Promises: a span that is not sampled costs two random numbers and no allocation of its own. tracing-opentelemetry
//! would build each span first and drop it then, and could not tell an id before. Leaves attributes to `recording`.

use std::sync::Arc;
use std::time::Duration;

use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber, field};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::TRACEPARENT;
use super::context::TraceContext;
use super::recording::Recording;
use super::sampler::Sampler;
use crate::TraceConfig;
use crate::export::{Exporter, Finished};
use lepton_core::clock::Clock;
use lepton_core::random::Random;

/// Which service of the process does the work.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) service: String,
    pub(crate) instance: String,
}

/// What a span carries for us.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpanState {
    /// None in the scope of a service, which is not part of a trace.
    pub(crate) context: Option<TraceContext>,
    pub(crate) scope: Option<Arc<Scope>>,
    /// The span as it will be exported; none when it will not.
    recording: Option<Box<Recording>>,
}

impl SpanState {
    /// Moves the span below `parent`.
    pub(super) fn adopt(&mut self, parent: TraceContext) {
        self.context = self.context.map(|context| context.below(parent));
        if let Some(recording) = &mut self.recording {
            recording.set_parent(parent, true);
        }
    }

    /// Moves the span's beginning into the past.
    pub(super) fn backdate(&mut self, by: Duration) {
        if let Some(recording) = &mut self.recording {
            recording.backdate(by);
        }
    }

    /// Notes a link.
    pub(super) fn link(&mut self, linked: TraceContext) {
        if let Some(recording) = &mut self.recording {
            recording.link(linked);
        }
    }
}

/// The layer of the subscriber that keeps trace contexts.
pub(crate) struct Layer {
    random: Random,
    clock: Clock,
    sampler: Sampler,
    exporter: Option<Exporter>,
}

impl Layer {
    /// Without an exporter spans have ids and nothing is recorded.
    pub(crate) fn new(config: &TraceConfig, exporter: Option<Exporter>) -> Self {
        let clock = Clock::system();
        Self {
            random: Random::from_os(),
            clock,
            sampler: Sampler::new(config, clock),
            exporter,
        }
    }

    /// The context of a new span, and the recording that its sampling asks for.
    fn begin(&self, attributes: &Attributes<'_>, parent: Option<TraceContext>, scope: Option<Arc<Scope>>) -> SpanState {
        let mut told = Told::default();
        if attributes.metadata().fields().field(TRACEPARENT).is_some() {
            attributes.record(&mut told);
        }
        // Who was told a parent, or told that there is none, does not look around for one.
        let above = if told.anything { told.parent } else { parent };
        let context = match above {
            Some(above) => above.child(&self.random),
            None => TraceContext::root(
                &self.random,
                self.exporter.is_some() && self.sampler.decide(&self.random),
            ),
        };
        // A root that was told nothing may be given a parent later, which decides: keep notes until then.
        let undecided = above.is_none() && !told.anything;
        let recorded = self.exporter.is_some() && (context.is_sampled() || undecided);
        let recording = recorded.then(|| {
            let mut recording = Box::new(Recording::new(attributes, &self.clock));
            if let Some(above) = above {
                recording.set_parent(above, told.anything);
            }
            recording
        });
        SpanState {
            context: Some(context),
            scope,
            recording,
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Layer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let parent = span.parent();
        let (above, scope) = parent.map_or((None, None), |parent| {
            let extensions = parent.extensions();
            extensions
                .get::<SpanState>()
                .map_or((None, None), |state| (state.context, state.scope.clone()))
        });
        let state = match scope_of(attributes) {
            Some(scope) => SpanState {
                scope: Some(Arc::new(scope)),
                ..SpanState::default()
            },
            None => self.begin(attributes, above, scope),
        };
        span.extensions_mut().insert(state);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        if let Some(recording) = extensions
            .get_mut::<SpanState>()
            .and_then(|state| state.recording.as_mut())
        {
            values.record(&mut **recording);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(exporter) = &self.exporter else { return };
        let state = context
            .span(&id)
            .and_then(|span| span.extensions_mut().remove::<SpanState>());
        let Some(SpanState {
            context: Some(context),
            scope,
            recording: Some(recording),
        }) = state
        else {
            return;
        };
        if context.is_sampled() {
            let span = recording.finish(context, &self.clock);
            exporter.send(Finished { span, scope });
        }
    }
}

/// The scope that a span opens, if it is that of a service (see `telemetry::scope`).
fn scope_of(attributes: &Attributes<'_>) -> Option<Scope> {
    let is_scope = |metadata: &Metadata<'_>| metadata.name() == "scope" && metadata.target() == "lepton_telemetry";
    if !is_scope(attributes.metadata()) {
        return None;
    }
    let mut named = Named::default();
    attributes.record(&mut named);
    Some(Scope {
        service: named.service,
        instance: named.instance,
    })
}

/// Reads the parent among the fields.
#[derive(Default)]
struct Told {
    anything: bool,
    parent: Option<TraceContext>,
}

impl field::Visit for Told {
    fn record_str(&mut self, field: &field::Field, value: &str) {
        if field.name() == TRACEPARENT {
            self.anything = true;
            self.parent = TraceContext::parse(value);
        }
    }

    fn record_debug(&mut self, _: &field::Field, _: &dyn std::fmt::Debug) {}
}

/// Reads the names of a scope.
#[derive(Default)]
struct Named {
    service: String,
    instance: String,
}

impl field::Visit for Named {
    fn record_str(&mut self, field: &field::Field, value: &str) {
        match field.name() {
            "service" => value.clone_into(&mut self.service),
            "instance" => value.clone_into(&mut self.instance),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &field::Field, _: &dyn std::fmt::Debug) {}
}
