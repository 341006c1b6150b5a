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
