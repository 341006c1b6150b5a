//! A sampled span while it runs.
//!
//! Promises: bounded, as fields of a span are. Leaves its context to `layer`.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lepton_domain::time::Timestamp;
use opentelemetry::trace::{Link, SpanId, SpanKind, Status};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tracing::field::{Field, Visit};
use tracing::span::Attributes;

use super::TRACEPARENT;
use super::context::TraceContext;
use super::layer::Scope;

/// A span can have so many links; further ones are counted only.
const LINKS_MAX: usize = 16;

/// What will be exported when the span closes.
#[derive(Clone, Debug)]
pub(super) struct Recording {
    name: Cow<'static, str>,
    kind: SpanKind,
    status: Status,
    attributes: Vec<KeyValue>,
    links: SpanLinks,
    parent: Option<(TraceContext, bool)>,
    started: Timestamp,
}

impl Recording {
    pub(super) fn new(attributes: &Attributes<'_>, started: Timestamp) -> Self {
        let mut recording = Self {
            name: Cow::Borrowed(attributes.metadata().name()),
            kind: SpanKind::Internal,
            status: Status::Unset,
            attributes: Vec::new(),
            links: SpanLinks::default(),
            parent: None,
            started,
        };
        attributes.record(&mut recording);
        recording
    }

    pub(super) fn set_parent(&mut self, parent: TraceContext, remote: bool) {
        self.parent = Some((parent, remote));
    }

    pub(super) fn link(&mut self, linked: TraceContext) {
        if self.links.len() < LINKS_MAX {
            self.links.links.push(Link::with_context(linked.to_otel(true)));
        } else {
            self.links.dropped_count += 1;
        }
    }

    /// The span as OpenTelemetry wants it.
    pub(super) fn finish(mut self, context: TraceContext, scope: Option<&Scope>, ended: Timestamp) -> SpanData {
        if let Some(scope) = scope {
            // Several services may share the process, and with it the resource.
            self.put("lepton.service", scope.service.clone().into());
            self.put("service.instance.id", scope.instance.clone().into());
        }
        let parent = self
            .parent
            .map_or(SpanId::INVALID, |(parent, _)| SpanId::from(parent.span()));
        SpanData {
            span_context: context.to_otel(false),
            parent_span_id: parent,
            parent_span_is_remote: self.parent.is_some_and(|(_, remote)| remote),
            span_kind: self.kind,
            name: self.name,
            start_time: system_time(self.started),
            end_time: system_time(ended),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: self.links,
            status: self.status,
            instrumentation_scope: InstrumentationScope::builder("lepton").build(),
        }
    }

    fn put(&mut self, name: &'static str, value: Value) {
        self.attributes.push(KeyValue::new(name, value));
    }
}

impl Visit for Recording {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            TRACEPARENT => {}
            "otel.name" => self.name = Cow::Owned(value.to_owned()),
            "otel.kind" => self.kind = kind(value),
            "otel.status_code" if value.eq_ignore_ascii_case("error") => self.status = Status::error(""),
            "otel.status_description" => self.status = Status::error(value.to_owned()),
            name => self.put(name, value.to_owned().into()),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), i64::try_from(value).unwrap_or(i64::MAX).into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

fn kind(name: &str) -> SpanKind {
    match name {
        "server" => SpanKind::Server,
        "client" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

fn system_time(time: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(time.as_micros())
}
