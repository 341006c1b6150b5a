//! Conversion of OTLP's message to stored spans.
//!
//! Promises: a span that cannot be used is rejected and counted while the others are stored, as OTLP specifies. Leaves
//! decoding the wire format to [`super::receiver`].

use std::collections::BTreeMap;

use lepton_proto::monitor::v1::SpanKind;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind as Kind};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};

use super::span::{ReceivedSpan, StoredSpan, truncate_name};

#[cfg(test)]
mod tests;

/// Attributes of the sender's service, of a resource or of a span: several services may share a process.
const SERVICE: [&str; 2] = ["lepton.service", "service.name"];
const INSTANCE: &str = "service.instance.id";
/// Most bytes of the text of a list or map inside an attribute.
const NESTED_BYTES_MAX: usize = 4_096;

/// Usable spans of a message, and what [`decode`] rejected.
#[derive(Debug, Default, PartialEq)]
pub(super) struct DecodedSpans {
    /// Usable spans.
    pub spans: Vec<ReceivedSpan>,
    /// Number of rejected spans.
    pub rejected: u64,
    /// Error of the first one.
    pub first_error: Option<SpanError>,
}

/// Rejection of a span by [`decode`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SpanError {
    /// Not 16 bytes, or zero.
    #[error("traceId has {bytes} bytes or is zero")]
    TraceId {
        /// Bytes of the id.
        bytes: usize,
    },
    /// Not 8 bytes, or zero.
    #[error("spanId has {bytes} bytes or is zero")]
    SpanId {
        /// Bytes of the id.
        bytes: usize,
    },
    /// Neither empty nor 8 bytes.
    #[error("parentSpanId has {bytes} bytes")]
    ParentSpanId {
        /// Bytes of the id.
        bytes: usize,
    },
    /// Beyond the limit of a message.
    #[error("more than {spans_max} spans in one message")]
    TooMany {
        /// Limit of the configuration.
        spans_max: usize,
    },
}

/// Converts a message; spans beyond `spans_max` are rejected.
pub(super) fn decode(request: ExportTraceServiceRequest, spans_max: usize) -> DecodedSpans {
    let mut message = DecodedSpans::default();
    for sent in request.resource_spans {
        let mut resource = texts(sent.resource.map(|resource| resource.attributes).unwrap_or_default());
        // Each span gets a copy of what names its sender.
        resource.values_mut().for_each(truncate_name);
        for span in sent.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let decoded = if message.spans.len() < spans_max {
                received_span(span, &resource)
            } else {
                Err(SpanError::TooMany { spans_max })
            };
            match decoded {
                Ok(span) => message.spans.push(span),
                Err(error) => {
                    message.rejected += 1;
                    message.first_error.get_or_insert(error);
                }
            }
        }
    }
    message
}

fn received_span(span: Span, resource: &BTreeMap<String, String>) -> Result<ReceivedSpan, SpanError> {
    let bytes = span.trace_id.len();
    let trace = trace_id(&span.trace_id).ok_or(SpanError::TraceId { bytes })?;
    let bytes = span.span_id.len();
    let id = span_id(&span.span_id).ok_or(SpanError::SpanId { bytes })?;
    let parent = match span.parent_span_id.as_slice() {
        [] => 0,
        // Some senders write zeros for no parent.
        [0, 0, 0, 0, 0, 0, 0, 0] => 0,
        id => {
            let bytes = id.len();
            span_id(id).ok_or(SpanError::ParentSpanId { bytes })?
        }
    };
    let mut attributes = texts(span.attributes);
    let mut own = |keys: &[&str]| {
        let found = keys.iter().find_map(|key| attributes.remove(*key));
        found.or_else(|| keys.iter().find_map(|key| resource.get(*key).cloned()))
    };
    let (service, instance) = (own(&SERVICE).unwrap_or_default(), own(&[INSTANCE]).unwrap_or_default());
    let kind = Kind::try_from(span.kind).unwrap_or(Kind::Unspecified);
    let status = span.status.unwrap_or_default();
    let stored = StoredSpan {
        id,
        parent,
        name: span.name,
        kind: span_kind(kind),
        service,
        instance,
        start_us: span.start_time_unix_nano / 1_000,
        end_us: span.end_time_unix_nano / 1_000,
        failed: status.code == i32::from(StatusCode::Error),
        message: status.message,
        attributes: attributes.into_iter().collect(),
        links: span.links.iter().filter_map(link).collect(),
    };
    Ok(ReceivedSpan {
        trace,
        span: stored.truncated(),
    })
}

fn link(link: &Link) -> Option<(u128, u64)> {
    Some((trace_id(&link.trace_id)?, span_id(&link.span_id)?))
}

fn span_kind(kind: Kind) -> SpanKind {
    match kind {
        Kind::Unspecified => SpanKind::Unspecified,
        Kind::Internal => SpanKind::Internal,
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
        Kind::Producer => SpanKind::Producer,
        Kind::Consumer => SpanKind::Consumer,
    }
}

fn trace_id(bytes: &[u8]) -> Option<u128> {
    let id = u128::from_be_bytes(bytes.try_into().ok()?);
    (id != 0).then_some(id)
}

fn span_id(bytes: &[u8]) -> Option<u64> {
    let id = u64::from_be_bytes(bytes.try_into().ok()?);
    (id != 0).then_some(id)
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |pair: KeyValue| {
        let value = match pair.value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            Some(other) => {
                let mut text = String::new();
                write(&mut text, &other);
                text
            }
            None => String::new(),
        };
        (pair.key, value)
    };
    attributes.into_iter().map(text).collect()
}

/// Appends a value as text; lists and maps resemble JSON.
fn write(text: &mut String, value: &Value) {
    let nested = |text: &mut String, value: Option<&AnyValue>| match value.and_then(|it| it.value.as_ref()) {
        Some(value) if text.len() < NESTED_BYTES_MAX => write(text, value),
        _ => text.push('…'),
    };
    match value {
        Value::StringValue(value) => text.push_str(value),
        Value::BoolValue(value) => text.push_str(&value.to_string()),
        Value::IntValue(value) => text.push_str(&value.to_string()),
        Value::DoubleValue(value) => text.push_str(&value.to_string()),
        Value::BytesValue(bytes) => text.push_str(&format!("{} bytes", bytes.len())),
        Value::ArrayValue(list) => {
            text.push('[');
            for (at, value) in list.values.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ", " });
                if text.len() >= NESTED_BYTES_MAX {
                    break;
                }
                nested(text, Some(value));
            }
            text.push(']');
        }
        Value::KvlistValue(map) => {
            text.push('{');
            for (at, pair) in map.values.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ", " });
                if text.len() >= NESTED_BYTES_MAX {
                    break;
                }
                text.push_str(&pair.key);
                text.push_str(": ");
                nested(text, pair.value.as_ref());
            }
            text.push('}');
        }
        // A reference into a table of the profiles' messages, which traces have not.
        _ => {}
    }
}
