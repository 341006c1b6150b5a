//! JSON as the specification has it, and as senders write it.

use super::*;

/// After the example of the specification's repository (opentelemetry-proto, `examples/trace.json`).
const EXAMPLE: &str = r#"{
  "resourceSpans": [{
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]},
    "scopeSpans": [{
      "scope": {"name": "my.library", "version": "1.0.0", "attributes": []},
      "spans": [{
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "EEE19B7EC3C1B174",
        "parentSpanId": "EEE19B7EC3C1B173",
        "name": "I'm a server span",
        "startTimeUnixNano": "1544712660000000000",
        "endTimeUnixNano": 1544712661000000000,
        "kind": 2,
        "status": {},
        "links": null,
        "attributes": [
          {"key": "my.span.attr", "value": {"stringValue": "some value"}},
          {"key": "count", "value": {"intValue": "-3"}},
          {"key": "ratio", "value": {"doubleValue": "NaN"}},
          {"key": "tags", "value": {"arrayValue": {"values": [{"boolValue": true}, {"intValue": 5}]}}},
          {"key": "nothing", "value": {}}
        ]
      }]
    }]
  }],
  "somethingNew": 1
}"#;

#[test]
fn the_example_is_read() {
    let request = parse(EXAMPLE.as_bytes()).unwrap();
    let sent = &request.resource_spans[0];
    let span = &sent.scope_spans[0].spans[0];
    assert_eq!(
        span.trace_id,
        0x5b8e_fff7_9803_8103_d269_b633_813f_c60c_u128.to_be_bytes()
    );
    assert_eq!(span.span_id, 0xeee1_9b7e_c3c1_b174_u64.to_be_bytes());
    assert_eq!((span.start_time_unix_nano, span.kind), (1_544_712_660_000_000_000, 2));
    assert_eq!(span.end_time_unix_nano, 1_544_712_661_000_000_000);
    let values: Vec<_> = span
        .attributes
        .iter()
        .map(|it| it.value.clone().unwrap().value)
        .collect();
    assert_eq!(values[1], Some(Value::IntValue(-3)));
    assert!(matches!(values[2], Some(Value::DoubleValue(ratio)) if ratio.is_nan()));
    assert!(matches!(&values[3], Some(Value::ArrayValue(list)) if list.values.len() == 2));
    assert_eq!(values[4], None);
    assert_eq!(sent.resource.as_ref().unwrap().attributes[0].key, "service.name");
}

/// As `@opentelemetry/exporter-trace-otlp-http` sends it: integers as numbers, counts of what was dropped, flags.
const JAVASCRIPT: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":
"shop"}},{"key":"process.pid","value":{"intValue":4242}}],"droppedAttributesCount":0,"entityRefs":[]},"scopeSpans":[{
"scope":{"name":"http","version":"1.0"},"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":
"eee19b7ec3c1b174","parentSpanId":"eee19b7ec3c1b173","name":"GET","kind":3,"startTimeUnixNano":"1544712660000000000",
"endTimeUnixNano":"1544712660250000000","attributes":[{"key":"ratio","value":{"doubleValue":0.5}}],
"droppedAttributesCount":0,"events":[{"attributes":[],"name":"sent","timeUnixNano":"1544712660100000000",
"droppedAttributesCount":0}],"droppedEventsCount":0,"status":{"code":2,"message":"refused"},"links":[],
"droppedLinksCount":0,"flags":257}]}]}]}"#;

/// As the collector's `otlphttp` exporter sends it: empty objects and ids where there is nothing, bytes as base64.
const COLLECTOR: &str = r#"{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{"traceId":
"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","parentSpanId":"","flags":1,"name":"poll","kind":1,
"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712660250000000","attributes":[{"key":"raw","value":{
"bytesValue":"AQID"}},{"key":"map","value":{"kvlistValue":{"values":[{"key":"a","value":{"intValue":"1"}}]}}}],
"status":{}}],"schemaUrl":"https://opentelemetry.io/schemas/1.26.0"}],"schemaUrl":""}]}"#;

/// As protobuf's own JSON printers send it, after the ids have been made hexadecimal: enums by name.
const PROTO_JSON: &str = r#"{"resourceSpans":[{"resource":{"attributes":null},"scopeSpans":[{"spans":[{"traceId":
"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"work","kind":"SPAN_KIND_CONSUMER",
"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712660250000000","attributes":[{"key":"limit",
"value":{"doubleValue":"Infinity"}},{"key":"new","value":{"someNewValue":{"a":[1]}}}],
"status":{"code":"STATUS_CODE_ERROR"}}]}]}]}"#;

#[test]
fn payloads_of_exporters_are_read() {
    let span = |body: &str| {
        let request = parse(body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {body}"));
        request.resource_spans[0].scope_spans[0].spans[0].clone()
    };
    let read = |span: &trace::Span| {
        let values = span.attributes.iter().map(|it| it.value.clone().unwrap().value);
        (span.kind, span.status.clone().unwrap().code, values.collect::<Vec<_>>())
    };
    let sent = span(JAVASCRIPT);
    assert_eq!(read(&sent), (3, 2, vec![Some(Value::DoubleValue(0.5))]));
    assert_eq!(
        (sent.parent_span_id.len(), sent.end_time_unix_nano % 1_000_000_000),
        (8, 250_000_000)
    );
    let sent = span(COLLECTOR);
    let (kind, code, values) = read(&sent);
    assert_eq!(
        (kind, code, &values[0]),
        (1, 0, &Some(Value::StringValue("AQID".to_owned())))
    );
    assert!(matches!(&values[1], Some(Value::KvlistValue(map)) if map.values.len() == 1));
    assert_eq!(sent.parent_span_id, Vec::<u8>::new());
    let (kind, code, values) = read(&span(PROTO_JSON));
    assert_eq!((kind, code), (5, 2));
    assert_eq!(values, [Some(Value::DoubleValue(f64::INFINITY)), None]);
}

#[test]
fn what_is_wrong_is_said() {
    for (body, why) in [
        ("", "EOF"),
        ("[]", "a list"),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xy"}]}]}]}"#,
            "hexadecimal",
        ),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"abc"}]}]}]}"#,
            "even number",
        ),
        (r#"{"resourceSpans":{}}"#, "expected a sequence"),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"ab","spanId":"ab","kind":"SERVER"}]}]}]}"#,
            "no value of its enum",
        ),
    ] {
        let error = parse(body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why), "{body}: {error}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let open = r#"{"arrayValue":{"values":["#;
    let value = format!("{}{{}}{}", open.repeat(10_000), "]}}".repeat(10_000));
    let body = format!(r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"a","value":{value}}}]}}}}]}}"#);
    let error = parse(body.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("recursion limit"), "{error}");
}
