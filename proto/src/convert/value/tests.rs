//! Canonical JSON: what it looks like, what is refused and where, and that hostile text does no harm.

use super::*;
use proptest::prelude::*;

fn text(json: &str) -> String {
    String::from_utf8(
        canonical(json.as_bytes())
            .unwrap_or_else(|error| panic!("{json}: {error}"))
            .to_vec(),
    )
    .unwrap()
}

fn refused(json: &[u8]) -> JsonError {
    canonical(json).expect_err("it is taken")
}

#[test]
fn one_text_a_value() {
    let cases = [
        (" null ", "null"),
        ("{}", "{}"),
        ("[ ]", "[]"),
        (
            r#"{ "b" : 1 , "a" : { "d" : [ ] , "c" : { } } }"#,
            r#"{"a":{"c":{},"d":[]},"b":1}"#,
        ),
        (r#"{"a":1,"b":2,"a":[3]}"#, r#"{"a":[3],"b":2}"#),
        (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        (r#"{"é":1,"z":2,"":3}"#, r#"{"":3,"z":2,"é":1}"#),
        (
            r#"["\u0041\/\"\\\b\f\n\r\t\u0001\ud83d\ude00"]"#,
            "[\"A/\\\"\\\\\\b\\f\\n\\r\\t\\u0001\u{1f600}\"]",
        ),
        ("[[[1],[2]],[]]", "[[[1],[2]],[]]"),
        (r#"[true,false,null,"x"]"#, r#"[true,false,null,"x"]"#),
        (
            "[{\"b\":[1,{\"y\":2,\"x\":3}],\"a\":4}]",
            "[{\"a\":4,\"b\":[1,{\"x\":3,\"y\":2}]}]",
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(text(json), expected);
    }
}

#[test]
fn numbers_are_the_shortest_text_of_their_double() {
    let cases = [
        ("0", "0"),
        ("-0", "-0"),
        ("1.0", "1"),
        ("1.50", "1.5"),
        ("100e-2", "1"),
        ("1E3", "1000"),
        ("9007199254740992", "9007199254740992"),
        ("-9007199254740992", "-9007199254740992"),
        ("9007199254740994.0", "9.007199254740994e15"),
        ("1e16", "1e16"),
        ("1e300", "1e300"),
        ("1e-300", "1e-300"),
        ("1e-400", "0"),
        ("0.1", "0.1"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("2.2250738585072011e-308", "2.225073858507201e-308"),
        ("1.7976931348623157e308", "1.7976931348623157e308"),
    ];
    for (json, expected) in cases {
        assert_eq!(text(json), expected);
        assert_eq!(text(expected), expected);
    }
}

#[test]
fn what_cannot_be_kept_exactly_is_refused() {
    for json in [
        "9007199254740993",
        "-9007199254740993",
        "18446744073709551616",
        "1e309",
        "-1e999",
    ] {
        let error = refused(format!("{{\"a\":\n  {json}}}").as_bytes());
        assert_eq!(
            (error.reason, error.line, error.column),
            (Reason::NumberNotExact, 2, 3),
            "{json}"
        );
    }
    let long = refused("9".repeat(1_000_000).as_bytes());
    assert!(long.message.len() < 200);
}

#[test]
fn what_is_not_json_is_refused_where_it_begins() {
    let cases: &[(&[u8], usize, usize)] = &[
        (b"", 1, 1),
        (b" \n ", 2, 2),
        (b"{\"a\":NaN}", 1, 6),
        (b"[1,\n-Infinity]", 2, 1),
        (b"[1,]", 1, 4),
        (b"[,1]", 1, 2),
        (b"[1 2]", 1, 4),
        (b"[[1]2]", 1, 5),
        (b"{\"a\":1,}", 1, 8),
        (b"{\"a\" 1}", 1, 6),
        (b"{a:1}", 1, 2),
        (b"{\"a\":1", 1, 7),
        (b"1 2", 1, 3),
        (b"01", 1, 1),
        (b"-", 1, 1),
        (b"1.", 1, 3),
        (b"1.e3", 1, 3),
        (b"1e+", 1, 4),
        (b"+1", 1, 1),
        (b".5", 1, 1),
        (b"0x10", 1, 2),
        (b"tru", 1, 1),
        (b"truex", 1, 5),
        (b"\"ab", 1, 4),
        (b"\"a\nb\"", 1, 3),
        (b"\"\\x\"", 1, 3),
        (b"\"\\u12g4\"", 1, 3),
        (b"\"\\ud800\"", 1, 8),
        (b"\"\\ud800\\u0041\"", 1, 14),
        (b"\"\\", 1, 3),
        (b"[\"a\xff\"]", 1, 4),
        (b"\xef\xbb\xbf1", 1, 1),
        (b"'a'", 1, 1),
    ];
    for (json, line, column) in cases {
        let error = refused(json);
        let place = (error.reason, error.line, error.column);
        assert_eq!(
            place,
            (Reason::InvalidJson, *line, *column),
            "{}: {error}",
            String::from_utf8_lossy(json)
        );
    }
    assert!(refused(b"[NaN]").message.contains("write null"));
}

#[test]
fn depth_is_limited_to_what_protobuf_carries() {
    use crate::task::v1 as wire;
    use prost::Message as _;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let deepest = nested(DEPTH_MAX);
        assert_eq!(text(&deepest), deepest);
        // The deepest answer that carries a value.
        let task = wire::Task {
            payload: Some(wire::task::Payload::Input(to_value(deepest.as_bytes()).unwrap())),
            ..Default::default()
        };
        let outcome = Some(wire::batch_submit_result::Outcome::Task(Box::new(task)));
        let answer = wire::BatchSubmitTasksResponse {
            results: vec![wire::BatchSubmitResult { outcome }],
        };
        let bytes = answer.encode_to_vec();
        assert_eq!(
            wire::BatchSubmitTasksResponse::decode(bytes.as_slice()).unwrap(),
            answer
        );
        let printed = crate::proto_json::encode("lepton.task.v1.BatchSubmitTasksResponse", &answer).unwrap();
        assert!(String::from_utf8(printed).unwrap().contains(&deepest));
        let too_deep = nested(DEPTH_MAX + 1);
        assert_eq!(refused(too_deep.as_bytes()).reason, Reason::InvalidJson);
        assert!(to_value(too_deep.as_bytes()).is_err());
        assert!(refused(open.repeat(1_000_000).as_bytes()).message.contains("deep"));
    }
}

#[test]
fn trees_say_only_what_json_can() {
    let number = |number| Value {
        kind: Some(Kind::NumberValue(number)),
    };
    assert_eq!(from_value(&number(f64::NAN)).unwrap_err().reason, Reason::InvalidJson);
    assert_eq!(
        from_value(&number(f64::NEG_INFINITY)).unwrap_err().reason,
        Reason::InvalidJson
    );
    assert_eq!(from_value(&Value { kind: None }).unwrap(), "null");
    let mut deep = number(1.0);
    for _ in 0..=DEPTH_MAX {
        deep = Value {
            kind: Some(Kind::ListValue(ListValue { values: vec![deep] })),
        };
    }
    assert!(from_value(&deep).is_err());
}

/// Any JSON value, as serde_json holds it.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(Into::into),
        (-(1_i64 << 53)..=1 << 53).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Text made of the pieces that JSON is made of.
fn scraps() -> impl Strategy<Value = String> {
    let pieces = [
        "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\\u", "\\", "1", "-", ".", "e", "0", "null", "\u{e9}", " ",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn values_are_kept_and_settled(json in json(), pretty in any::<bool>()) {
        let source = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) }.unwrap();
        let once = canonical(source.as_bytes()).unwrap();
        prop_assert_eq!(canonical(&once).unwrap(), once.clone());
        let tree = to_value(source.as_bytes()).unwrap();
        prop_assert_eq!(from_value(&tree).unwrap(), once.clone());
        prop_assert_eq!(to_value(&once).unwrap(), tree);
    }

    #[test]
    fn taken_and_refused_as_by_another_reader(source in scraps()) {
        let ours = canonical(source.as_bytes());
        let theirs = serde_json::from_str::<serde_json::Value>(&source);
        match ours {
            Ok(ref bytes) => {
                prop_assert!(theirs.is_ok(), "{source}");
                prop_assert_eq!(canonical(bytes).unwrap(), bytes.clone());
            }
            Err(error) => prop_assert!(theirs.is_err() || error.reason == Reason::NumberNotExact, "{source}: {error}"),
        }
    }

    #[test]
    fn numbers_come_back_bit_by_bit(bits in any::<u64>()) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let tree = Value { kind: Some(Kind::NumberValue(number)) };
        let again = to_value(&from_value(&tree).unwrap()).unwrap();
        let Some(Kind::NumberValue(again)) = again.kind else { panic!("not a number") };
        prop_assert_eq!(again.to_bits(), bits);
    }

    #[test]
    fn bytes_never_panic(bytes in any::<Vec<u8>>()) {
        let _ = canonical(&bytes);
        let _ = to_value(&bytes);
    }
}

#[test]
fn compact_text_keeps_the_order_of_keys() {
    let compacted = compact(br#"{ "b": 1.0, "a": {"y": [1, 2.50], "x": null}, "c": "t" }"#).unwrap();
    assert_eq!(compacted, r#"{"b":1,"a":{"y":[1,2.5],"x":null},"c":"t"}"#);
    assert_eq!(compact(br#"{"b":1,"a":2,"b":3}"#).unwrap(), r#"{"a":2,"b":3}"#);
    assert_eq!(canonical(br#"{"b":1,"a":2,"b":3}"#).unwrap(), r#"{"a":2,"b":3}"#);
}

proptest! {
    #[test]
    fn what_is_skipped_is_what_is_read(json in arbitrary_text()) {
        let mut reader = Reader::new(json.as_bytes()).expect("UTF-8");
        let skipped = reader.skip(0).and_then(|()| reader.end());
        // Numbers that cannot be kept exactly are no matter to those who keep nothing.
        match canonical(json.as_bytes()) {
            Ok(_) => prop_assert_eq!(skipped, Ok(())),
            Err(error) if error.reason == Reason::InvalidJson => prop_assert!(skipped.is_err()),
            Err(_) => {}
        }
    }
}

fn arbitrary_text() -> impl Strategy<Value = String> {
    r#"[\[\]{}":,0-9.eE ntrue\\-]{0,24}"#
}

#[test]
fn numbers_can_be_taken_as_they_are_written() {
    for literal in ["18446744073709551615", "-0", "1.50", "1e400"] {
        let mut reader = Reader::new(literal.as_bytes()).expect("UTF-8");
        assert_eq!(reader.literal().expect("a number"), literal);
    }
    for broken in ["01", "1.", "-", "1e", "NaN"] {
        let mut reader = Reader::new(broken.as_bytes()).expect("UTF-8");
        assert!(reader.literal().is_err(), "{broken}");
    }
}
