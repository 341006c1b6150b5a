//! The streaming decoder against a reference that builds a tree.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use lepton_domain::reason::Reason;

use super::*;

fn decode(body: &[u8], cut: usize) -> Result<Decoded, ApiError> {
    let mut decoder = Decoder::new()?;
    for piece in body.chunks(cut) {
        decoder.feed(piece)?;
    }
    decoder.finish()
}

fn error(body: &str) -> ApiError {
    let whole = decode(body.as_bytes(), usize::MAX).map(drop).expect_err("refused");
    let bytewise = decode(body.as_bytes(), 1).map(drop).expect_err("refused");
    assert_eq!(whole, bytewise, "the same answer however the body is cut");
    whole
}

fn place(error: &ApiError) -> (&str, &str) {
    (&error.metadata["line"], &error.metadata["column"])
}

#[test]
fn rows_become_columns_in_order_of_appearance() {
    let body =
        br#" {"target":"b", "data" : [ {"b":1,"a":"x"} , {"a":null,"c":true},{} ] ,"consistency":"CONSISTENCY_ONE"} "#;
    let decoded = decode(body, 7).expect("good");
    assert_eq!(decoded.request.target.as_deref(), Some("b"));
    assert_eq!(decoded.request.consistency, 1);
    let table = decoded.table.expect("rows");
    let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!((names.as_slice(), table.row_count), (&["b", "a", "c"][..], 3));
    assert_eq!(table.columns[0].valid, [true, false, false]);
    assert_eq!(table.columns[1].strings[0], "x");
}

#[test]
fn bare_nan_is_placed_and_explained() {
    let error = error("{\"data\":[{\"a\":1},\n  {\"a\": NaN}]}");
    assert_eq!((error.reason, place(&error)), (Reason::InvalidJson, ("2", "9")));
    assert!(error.message.contains("write null"), "{}", error.message);
}

#[test]
fn wrong_shapes_name_row_and_column() {
    for (body, row, column) in [
        (r#"{"data":[{"a":1},{"b":[1]}]}"#, "1", Some("b")),
        (r#"{"data":[{"b":{}}]}"#, "0", Some("b")),
        (r#"{"data":[{},[1]]}"#, "1", None),
        (r#"{"data":[7]}"#, "0", None),
        (r#"{"data":[null]}"#, "0", None),
    ] {
        let error = error(body);
        assert_eq!(error.reason, Reason::InvalidRow, "{body}");
        assert_eq!(error.metadata["row"], row, "{body}");
        assert_eq!(error.metadata.get("column").map(String::as_str), column, "{body}");
    }
}

#[test]
fn every_refusal_has_its_reason() {
    for (body, reason) in [
        ("", Reason::InvalidJson),
        ("[]", Reason::InvalidJson),
        ("{", Reason::InvalidJson),
        ("{}", Reason::NoRows),
        (r#"{"data":[]}"#, Reason::NoRows),
        (r#"{"data":null}"#, Reason::NoRows),
        (r#"{"data":[{}],"dta":1}"#, Reason::UnknownField),
        (r#"{"data":[{}],}"#, Reason::InvalidJson),
        (r#"{"data":[{},]}"#, Reason::InvalidJson),
        (r#"{"data":[,{}]}"#, Reason::InvalidJson),
        (r#"{"data":[{}{}]}"#, Reason::InvalidJson),
        (r#"{"data":[{}}"#, Reason::InvalidJson),
        (r#"{"data":[{}]"#, Reason::InvalidJson),
        (r#"{"data":[{"a":1"#, Reason::InvalidJson),
        (r#"{"data":[{}]} x"#, Reason::InvalidJson),
        (r#"{"data" [{}]}"#, Reason::InvalidJson),
        (r#"{"data":[{}],"data":[{}]}"#, Reason::InvalidJson),
        (r#"{"data":{}}"#, Reason::FieldInvalid),
        (r#"{"data":[{}],"target":7}"#, Reason::FieldInvalid),
        (r#"{"data":[{"a":9007199254740993}]}"#, Reason::NumberNotExact),
        (r#"{"data":[{"a":-100000000000000000000}]}"#, Reason::NumberNotExact),
        (r#"{"data":[{"a":1}],"table":{}}"#, Reason::FieldInvalid),
        (r#"{"table":null}"#, Reason::NoRows),
        (r#"{"table":[]}"#, Reason::FieldInvalid),
        (r#"{"table":{},"table":{}}"#, Reason::InvalidJson),
        (r#"{"table":{"colums":[]}}"#, Reason::UnknownField),
        (r#"{"table":{"columns":[{"numbers":[NaN]}]}}"#, Reason::InvalidJson),
        (r#"{"table":{"columns":[{"numbers":7}]}}"#, Reason::FieldInvalid),
        (
            r#"{"table":{"columns":[{"numbers":[9007199254740993]}]}}"#,
            Reason::NumberNotExact,
        ),
        (r#"{"table":{"rowCount":1.5}}"#, Reason::FieldInvalid),
        (r#"{"table":{"columns":[{}"#, Reason::InvalidJson),
    ] {
        assert_eq!(error(body).reason, reason, "{body}");
    }
}

#[test]
fn a_packed_table_is_what_its_message_says() {
    let body = r#"{"target":"x", "table" : {"columns":[{"name":"x","numbers":[1.5, -2],"valid":[true,false]},
        {"name":"s","strings":["a","\u00e9"]},{"name":"b","booleans":[true,false],"numbers":null}],"row_count":2} }"#;
    let decoded = decode(body.as_bytes(), 7).expect("good");
    let descriptor = pool()
        .get_message_by_name("lepton.analysis.v1.AnalyzeRequest")
        .expect("declared");
    let expected: AnalyzeRequest = request::parse(descriptor, body.as_bytes())
        .expect("good")
        .transcode_to()
        .expect("same message");
    assert_eq!(
        (decoded.table, decoded.request.target),
        (expected.table, expected.target)
    );
    assert_eq!(decoded.request.table, None, "never in a tree");
}

#[test]
fn a_packed_table_is_bounded_and_its_faults_are_placed() {
    let wide = format!("{{\"table\":{{\"columns\":[{}{{}}]}}}}", "{},".repeat(70_000));
    assert_eq!(whole_error(&wide).reason, Reason::InvalidRow);
    let error = error("{\"table\":\n {\"columns\":[\n{\"numbers\":[x]}]}}");
    assert_eq!(place(&error), ("3", "13"));
}

#[test]
fn an_unknown_field_is_placed_in_the_body() {
    let error = error("{\"data\":[{}],\n \"target\":\"a\", \"tarmac\":1}");
    assert_eq!((error.metadata["field"].as_str(), place(&error).0), ("tarmac", "2"));
}

#[test]
fn large_floats_are_numbers() {
    let table = decode(br#"{"data":[{"a":1e300},{"a":9007199254740992}]}"#, 5)
        .expect("good")
        .table
        .expect("rows");
    assert_eq!(table.columns[0].numbers, [1e300, 9_007_199_254_740_992.0]);
}

#[test]
fn a_body_cannot_grow_with_the_square_of_its_size() {
    let rows: Vec<String> = (0..5_000).map(|row| format!("{{\"c{row}\":1}}")).collect();
    let body = format!("{{\"data\":[{}]}}", rows.join(","));
    let error = whole_error(&body);
    assert_eq!(error.reason, Reason::InvalidRow);
    assert!(error.metadata.contains_key("row"), "{error}");
    assert!(error.message.contains("the row begins at"), "{error}");
    let body = format!("{{\"data\":[{}{{\"a\":1,\"b\":1,\"c\":1}}]}}", "{},".repeat(3_000_000));
    assert_eq!(whole_error(&body).metadata["column"], "b");
}

fn whole_error(body: &str) -> ApiError {
    decode(body.as_bytes(), 4096).map(drop).expect_err("refused")
}

fn cell() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f64>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(|value| json!(value)),
        (-1_000_i64..1_000).prop_map(|value| json!(value)),
        any::<bool>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(Value::Null),
    ]
}

fn rows() -> impl Strategy<Value = Vec<Vec<(String, Value)>>> {
    let row = proptest::collection::vec(("[a-d\"\\\\é]", cell()), 0..5);
    proptest::collection::vec(row, 1..12)
}

proptest! {
    #[test]
    fn any_bytes_are_taken_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200), cut in 1_usize..9) {
        let _ = decode(&body, cut);
    }

    #[test]
    fn almost_json_is_taken_without_panic(text in r#"[{}\[\]",:0-9eN\\ a\n-]{0,80}"#, cut in 1_usize..9) {
        let body = format!("{{\"data\":[{text}");
        let _ = decode(body.as_bytes(), cut);
    }

    #[test]
    fn rows_decode_as_a_tree_would(rows in rows(), cut in 1_usize..40, pretty in any::<bool>()) {
        let mut reference = TableBuilder::new();
        let mut objects = Vec::new();
        for row in &rows {
            let object: Map<String, Value> = row.iter().cloned().collect();
            for (name, value) in &object {
                use lepton_proto::convert::analysis::Cell;
                let cell = match value {
                    Value::Null => Cell::Missing,
                    Value::Bool(value) => Cell::Boolean(*value),
                    Value::String(text) => Cell::Text(text.clone()),
                    other => Cell::Number(other.as_f64().expect("a number")),
                };
                reference.set(name, cell).expect("small");
            }
            reference.end_row().expect("small");
            objects.push(Value::Object(object));
        }
        let body = json!({ "data": objects });
        let text = if pretty { serde_json::to_vec_pretty(&body) } else { serde_json::to_vec(&body) };
        let decoded = decode(&text.expect("serializes"), cut);
        prop_assert_eq!(decoded.expect("good").table.expect("rows"), reference.finish().expect("rows"));
    }
}
