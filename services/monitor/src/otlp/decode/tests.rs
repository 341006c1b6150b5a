//! What is read of a message, and what is refused.

use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Status};

use super::*;

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

fn span() -> Span {
    Span {
        trace_id: 7_u128.to_be_bytes().to_vec(),
        span_id: 8_u64.to_be_bytes().to_vec(),
        start_time_unix_nano: 1_500,
        end_time_unix_nano: 9_999,
        ..Span::default()
    }
}

fn message(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![pair("service.name", text("shop")), pair(INSTANCE, text("shop-1"))],
        ..Resource::default()
    };
    let scope = ScopeSpans {
        spans,
        ..ScopeSpans::default()
    };
    let sent = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![sent],
    }
}

#[test]
fn a_span_is_read_with_its_sender() {
    let nested = Value::ArrayValue(ArrayValue {
        values: vec![
            AnyValue {
                value: Some(Value::IntValue(1)),
            },
            AnyValue {
                value: Some(Value::KvlistValue(KeyValueList {
                    values: vec![pair("k", Value::BoolValue(true))],
                })),
            },
        ],
    });
    let sent = Span {
        parent_span_id: 9_u64.to_be_bytes().to_vec(),
        name: "pays".to_owned(),
        kind: 3,
        attributes: vec![
            pair("a", text("b")),
            pair("list", nested),
            pair("x", Value::DoubleValue(0.5)),
        ],
        status: Some(Status {
            code: 2,
            message: "declined".to_owned(),
        }),
        ..span()
    };
    let read = decode(message(vec![sent]), 10);
    let ReceivedSpan { trace, span } = &read.spans[0];
    assert_eq!((*trace, span.id, span.parent, span.kind), (7, 8, 9, SpanKind::Client));
    assert_eq!(
        (&*span.service, &*span.instance, &*span.message),
        ("shop", "shop-1", "declined")
    );
    assert_eq!((span.start_us, span.end_us, span.failed), (1, 9, true));
    let shown: Vec<_> = span
        .attributes
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(shown, ["a=b", "list=[1, {k: true}]", "x=0.5"]);
}

#[test]
fn a_span_may_name_another_sender_than_its_resource() {
    let sent = Span {
        attributes: vec![pair("lepton.service", text("worker"))],
        ..span()
    };
    let read = decode(message(vec![sent]), 10);
    assert_eq!(read.spans[0].span.service, "worker");
    assert!(read.spans[0].span.attributes.is_empty());
}

#[test]
fn what_cannot_be_used_is_refused_alone() {
    let bad = [
        Span {
            trace_id: vec![1],
            ..span()
        },
        Span {
            trace_id: vec![0; 16],
            ..span()
        },
        Span {
            span_id: Vec::new(),
            ..span()
        },
        Span {
            parent_span_id: vec![1; 3],
            ..span()
        },
    ];
    let mut spans = vec![span()];
    spans.extend(bad);
    spans.push(Span {
        parent_span_id: vec![0; 8],
        span_id: vec![1; 8],
        ..span()
    });
    let read = decode(message(spans), 10);
    assert_eq!((read.spans.len(), read.rejected), (2, 4));
    assert_eq!(read.first_error, Some(SpanError::TraceId { bytes: 1 }));
    assert_eq!(read.spans[1].span.parent, 0, "zeros are no parent");
}

#[test]
fn a_message_has_a_limit_of_spans() {
    let spans = (1..=7_u64)
        .map(|id| Span {
            span_id: id.to_be_bytes().to_vec(),
            ..span()
        })
        .collect();
    let read = decode(message(spans), 5);
    assert_eq!((read.spans.len(), read.rejected), (5, 2));
    assert_eq!(read.first_error, Some(SpanError::TooMany { spans_max: 5 }));
}

#[test]
fn large_lists_become_short_texts() {
    let values = (0..100_000)
        .map(|number| AnyValue {
            value: Some(Value::IntValue(number)),
        })
        .collect();
    let sent = Span {
        attributes: vec![pair("list", Value::ArrayValue(ArrayValue { values }))],
        ..span()
    };
    let read = decode(message(vec![sent]), 10);
    let (key, value) = &read.spans[0].span.attributes[0];
    assert!(key == "list" && value.len() <= NESTED_BYTES_MAX);
}

#[test]
fn a_long_name_of_the_sender_is_copied_short() {
    let mut sent = message(vec![span(); 2_000]);
    let long = pair("service.name", text(&"x".repeat(1 << 20)));
    sent.resource_spans[0].resource.as_mut().unwrap().attributes = vec![long];
    let read = decode(sent, 10_000);
    assert_eq!(read.spans.len(), 2_000);
    assert!(read.spans.iter().all(|arrival| arrival.span.service.len() <= 256));
}

#[test]
fn a_span_without_a_beginning_begins_at_its_end() {
    let sent = Span {
        start_time_unix_nano: 0,
        ..span()
    };
    let read = decode(message(vec![sent]), 10);
    assert_eq!((read.spans[0].span.start_us, read.spans[0].span.end_us), (9, 9));
}
