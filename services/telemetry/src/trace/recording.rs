//! A sampled span while it runs.
//!
//! Promises: bounded, as fields of a span are. Leaves its context to `layer`.

use std::fmt;
use std::time::Duration;

use lepton_domain::time::Timestamp;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, SpanFlags, Status};
use tracing::field::{Field, Visit};
use tracing::span::Attributes;

use super::TRACEPARENT;
use super::context::TraceContext;
use lepton_core::clock::Clock;

/// A span can have so many links; further ones are counted only.
const LINKS_MAX: usize = 16;

/// What will be exported when the span closes.
#[derive(Clone, Debug)]
pub(super) struct Recording {
    span: Span,
    /// When it was made, by the wall clock and by the one that nobody sets: the end is told from both, as a wall clock
    /// may be set meanwhile.
    made: (u64, Duration),
}

impl Recording {
    pub(super) fn new(attributes: &Attributes<'_>, clock: &Clock) -> Self {
        let made = (nanos(clock.now()), clock.monotonic());
        let span = Span {
            name: attributes.metadata().name().to_owned(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: made.0,
            ..Span::default()
        };
        let mut recording = Self { span, made };
        attributes.record(&mut recording);
        recording
    }

    pub(super) fn set_parent(&mut self, parent: TraceContext, remote: bool) {
        self.span.parent_span_id = parent.span_bytes();
        self.span.flags = flags(remote);
    }

    pub(super) fn backdate(&mut self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.span.start_time_unix_nano = self.span.start_time_unix_nano.saturating_sub(by);
    }

    pub(super) fn link(&mut self, linked: TraceContext) {
        if self.span.links.len() >= LINKS_MAX {
            self.span.dropped_links_count += 1;
            return;
        }
        self.span.links.push(Link {
            trace_id: linked.trace_bytes(),
            span_id: linked.span_bytes(),
            flags: flags(true) | u32::from(linked.is_sampled()),
            ..Link::default()
        });
    }

    /// The span as it is sent.
    pub(super) fn finish(self, context: TraceContext, clock: &Clock) -> Span {
        let (wall, monotonic) = self.made;
        let took = clock.monotonic().saturating_sub(monotonic).as_nanos();
        Span {
            trace_id: context.trace_bytes(),
            span_id: context.span_bytes(),
            flags: self.span.flags | u32::from(context.is_sampled()),
            end_time_unix_nano: wall.saturating_add(u64::try_from(took).unwrap_or(u64::MAX)),
            ..self.span
        }
    }

    fn put(&mut self, name: &'static str, value: Value) {
        self.span.attributes.push(pair(name, value));
    }

    fn fail(&mut self, message: String) {
        self.span.status = Some(Status {
            code: StatusCode::Error.into(),
            message,
        });
    }
}

impl Visit for Recording {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            TRACEPARENT => {}
            "otel.name" => value.clone_into(&mut self.span.name),
            "otel.kind" => self.span.kind = kind(value).into(),
            "otel.status_code" if value.eq_ignore_ascii_case("error") => self.fail(String::new()),
            "otel.status_description" => self.fail(value.to_owned()),
            name => self.put(name, Value::StringValue(value.to_owned())),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), Value::IntValue(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), Value::DoubleValue(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), Value::BoolValue(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// An attribute that is a text.
pub(crate) fn attribute(name: &str, value: String) -> KeyValue {
    pair(name, Value::StringValue(value))
}

fn pair(name: &str, value: Value) -> KeyValue {
    KeyValue {
        // A word of the language keeps its mark in the name of a field.
        key: name.replace("r#", ""),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// Says that it is known whether the parent is in another process, and whether it is.
fn flags(remote: bool) -> u32 {
    let known = SpanFlags::ContextHasIsRemoteMask as u32;
    if remote {
        known | SpanFlags::ContextIsRemoteMask as u32
    } else {
        known
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

fn nanos(time: Timestamp) -> u64 {
    time.as_micros().saturating_mul(1_000)
}
