//! What is measured covers what decoding takes, above all of messages that are made to take much.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::ArrayValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;

use super::*;

/// A message with these spans.
pub(in crate::otlp) fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope = ScopeSpans {
        spans,
        ..ScopeSpans::default()
    };
    let sent = ResourceSpans {
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![sent],
    }
}

/// What a list has reserved.
fn reserved<T>(list: &Vec<T>) -> usize {
    list.capacity() * size_of::<T>()
}

/// What the lists below a message have reserved.
fn taken(request: &ExportTraceServiceRequest) -> usize {
    let values = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::ArrayValue(list)) => reserved(&list.values),
        _ => 0,
    };
    let span = |span: &Span| {
        let pairs: usize = span.attributes.iter().map(values).sum();
        pairs + reserved(&span.attributes) + reserved(&span.events) + reserved(&span.links)
    };
    let scope = |scope: &ScopeSpans| reserved(&scope.spans) + scope.spans.iter().map(span).sum::<usize>();
    let resource =
        |sent: &ResourceSpans| reserved(&sent.scope_spans) + sent.scope_spans.iter().map(scope).sum::<usize>();
    reserved(&request.resource_spans) + request.resource_spans.iter().map(resource).sum::<usize>()
}

#[test]
fn what_is_small_on_the_wire_and_large_in_memory_is_measured() {
    let list = |values| Value::ArrayValue(ArrayValue { values });
    let crafted = [
        request(vec![Span::default(); 10_000]),
        request(vec![
            Span {
                attributes: vec![KeyValue::default(); 9],
                links: vec![Link::default(); 5],
                ..Span::default()
            };
            1_000
        ]),
        request(vec![Span {
            events: vec![Event::default(); 5_001],
            attributes: vec![KeyValue {
                value: Some(AnyValue {
                    value: Some(list(vec![AnyValue::default(); 9_000])),
                }),
                ..KeyValue::default()
            }],
            ..Span::default()
        }]),
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans::default(); 3_000],
        },
    ];
    for request in crafted {
        let bytes = request.encode_to_vec();
        let decoded = ExportTraceServiceRequest::decode(&*bytes).unwrap();
        let (taken, measured) = (taken(&decoded), protobuf(&bytes));
        assert!(
            taken > 10 * bytes.len(),
            "{taken} of {} bytes: it was made to be",
            bytes.len()
        );
        assert!((taken..taken * 5).contains(&measured), "{measured} for {taken}");
    }
}

#[test]
fn json_is_measured_too() {
    let spans = |span: &str, count: usize| {
        let spans = vec![span; count].join(",");
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#)
    };
    for empty in ["{}", "[]", " { } "] {
        let measured = json(spans(empty, 1_000).as_bytes());
        assert!(measured > 1_000 * (size_of::<Span>() + json::SPAN_BYTES), "{measured}");
    }
    let named = |name: &str| json(spans(&format!(r#"{{"name":"{name}"}}"#), 10).as_bytes());
    let text = r#"a { b [ \" [ {"#;
    let (flat, same) = (named(text), named(&text.replace(['{', '['], " ")));
    assert_eq!(flat, same, "brackets in texts are none");
}

#[test]
fn usual_messages_are_far_from_any_limit() {
    let pair = |number: usize| KeyValue {
        key: format!("some.attribute.{number}"),
        value: Some(AnyValue {
            value: Some(Value::StringValue("of the usual length".to_owned())),
        }),
        ..KeyValue::default()
    };
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        name: "package.Service/Method".to_owned(),
        attributes: (0..10).map(pair).collect(),
        ..Span::default()
    };
    let bytes = request(vec![span; 512]).encode_to_vec();
    assert!(
        protobuf(&bytes) < 12 * bytes.len(),
        "{} of {}",
        protobuf(&bytes),
        bytes.len()
    );
}

#[test]
fn nonsense_ends_the_measuring() {
    let mut nested = Vec::new();
    for _ in 0..50_000 {
        let mut outer = vec![0x0a];
        prost::encoding::encode_varint(nested.len() as u64, &mut outer);
        // Only the outermost levels matter: the decoder refuses the rest.
        outer.extend_from_slice(&nested[..nested.len().min(400)]);
        nested = outer;
    }
    for bad in [&[0xff; 30][..], &[0x0a], &[0x0a, 0x7f, 1], &nested] {
        assert!(protobuf(bad) < 1_000_000);
    }
}
