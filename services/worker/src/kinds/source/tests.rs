//! The same rows give the same table, however they are uploaded; what cannot be read is named.

use lepton_analysis::ColumnType;
use lepton_domain::reason::{ApiError, Reason};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn table(text: &str) -> Result<Table, ApiError> {
    Ok(read(text.as_bytes(), &|| false)?)
}

fn shape(table: &Table) -> Vec<(&str, ColumnType, usize)> {
    let columns = table.columns().iter();
    columns
        .map(|column| (column.name(), column.kind(), column.count()))
        .collect()
}

#[test]
fn three_forms_of_the_same_rows() {
    let csv = "\u{feff}a,b,t,f\r\n1.5,,x,true\r\n-2e3,7,\"y, z\",false\r\n";
    let rows = r#"[{"a":1.5,"t":"x","f":true,"b":null},{"a":-2e3,"b":7,"t":"y, z","f":false}]"#;
    for text in [csv.to_owned(), rows.to_owned(), format!("\n {{\"data\":{rows}}}")] {
        let table = table(&text).unwrap();
        assert_eq!(table.rows(), 2, "{text}");
        let mut shape = shape(&table);
        shape.sort_by_key(|(name, ..)| *name);
        let expected = [
            ("a", ColumnType::Number, 2),
            ("b", ColumnType::Number, 1),
            ("f", ColumnType::Boolean, 2),
            ("t", ColumnType::Text, 2),
        ];
        assert_eq!(shape, expected, "{text}");
        assert_eq!(table.column("a").and_then(|it| it.numbers()), Some(&[1.5, -2000.0][..]));
    }
}

#[test]
fn words_that_some_readers_take_for_numbers_are_words() {
    let table = table("a,b,c,d\nnan,inf,1_000,1.2.3\n").unwrap();
    assert!(table.columns().iter().all(|column| column.kind() == ColumnType::Text));
}

#[test]
fn what_cannot_be_read_is_named() {
    let cases = [
        ("", Reason::NoRows, "empty"),
        (" \n", Reason::NoRows, "empty"),
        ("a,b\n", Reason::NoRows, "no rows"),
        ("[]", Reason::NoRows, "no rows"),
        ("{}", Reason::NoRows, "no rows"),
        ("a,b\n1,2\n3\n", Reason::InvalidRow, "data[1]"),
        ("a,a\n1,2\n", Reason::FieldInvalid, "\"a\" twice"),
        ("a,\n1,2\n", Reason::FieldInvalid, "column 2"),
        (
            "a\n1\n9007199254740993\n",
            Reason::NumberNotExact,
            "row 1, column \"a\"",
        ),
        ("a\n1e999\n", Reason::NumberNotExact, "row 0, column \"a\""),
        ("[{\"a\":1}", Reason::InvalidJson, "ends too early"),
        ("[{\"a\":[1]}]", Reason::InvalidRow, "data[0]"),
        ("{\"rows\":[]}", Reason::UnknownField, "rows"),
        (
            "{\"data\":[{\"a\":1}],\"data\":[{\"a\":1}]}",
            Reason::FieldInvalid,
            "twice",
        ),
    ];
    for (text, reason, words) in cases {
        let error = table(text).expect_err(text);
        assert_eq!(error.reason, reason, "{text:?}: {error}");
        assert!(error.message.contains(words), "{text:?}: {}", error.message);
    }
    let error = ApiError::from(read(b"a\n\xff\xfe\n", &|| false).unwrap_err());
    assert_eq!(error.reason, Reason::InvalidRow);
}

#[test]
fn reading_stops_when_it_is_told_to() {
    let text = format!("a\n{}", "1\n".repeat(1_000));
    let error = ApiError::from(read(text.as_bytes(), &|| true).unwrap_err());
    assert_eq!(error.reason, Reason::Cancelled);
}

#[test]
fn a_digest_is_that_of_the_rows_alone() {
    let one = digest(br#"{"data":[{"a":1}],"seed":1}"#, None).unwrap();
    assert_eq!(digest(br#"{"seed":2,"data":[{"a":1}]}"#, None).unwrap(), one);
    assert_ne!(digest(br#"{"data":[{"a":2}]}"#, None).unwrap(), one);
    let upload = Bytes::from_static(b"[{\"a\":1}]");
    assert_eq!(digest(b"{}", Some(&upload)).unwrap(), one);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-c0-9,\"\n\r .{}\\[\\]:-]{0,80}") {
        let _ = table(&text);
    }

    /// Numbers come back as they were written.
    #[test]
    fn numbers_keep_their_bits(values in prop::collection::vec(prop::option::of(-1e12..1e12f64), 1..50)) {
        let cells: Vec<String> = values.iter().map(|value| value.map_or(String::new(), |it| it.to_string())).collect();
        let csv = format!("k,v\n{}", cells.iter().map(|cell| format!("1,{cell}\n")).collect::<String>());
        let rows: Vec<serde_json::Value> = values.iter().map(|value| json!({"k": 1, "v": value})).collect();
        let (csv, rows) = (table(&csv).unwrap(), table(&json!(rows).to_string()).unwrap());
        let of = |table: &Table| {
            let numbers = table.column("v").and_then(|it| it.numbers()).map(<[f64]>::to_vec);
            numbers.map(|it| it.into_iter().map(f64::to_bits).collect::<Vec<_>>())
        };
        prop_assert_eq!(of(&csv), of(&rows));
    }
}
