//! Rows become columns.

use super::*;
use crate::analysis::v1::TableColumn;
use crate::convert::value::to_value;
use proptest::prelude::*;

fn rows(json: &[&str]) -> Vec<Struct> {
    let row = |text: &&str| match to_value(text.as_bytes()).unwrap().kind {
        Some(Kind::StructValue(row)) => row,
        other => panic!("{other:?} is no row"),
    };
    json.iter().map(row).collect()
}

#[test]
fn columns_keep_their_type() {
    let table = rows_to_table(rows(&[
        r#"{"a":1.5,"b":"x","c":true,"d":null}"#,
        r#"{"a":2,"b":"y","c":false}"#,
        r#"{"a":-3,"b":"","c":true,"e":7}"#,
    ]))
    .unwrap();
    assert_eq!(table.row_count, 3);
    let expected = [
        TableColumn {
            name: "a".into(),
            numbers: vec![1.5, 2.0, -3.0],
            ..Default::default()
        },
        TableColumn {
            name: "b".into(),
            strings: vec!["x".into(), "y".into(), "".into()],
            ..Default::default()
        },
        TableColumn {
            name: "c".into(),
            booleans: vec![true, false, true],
            ..Default::default()
        },
        TableColumn {
            name: "d".into(),
            valid: vec![false; 3],
            ..Default::default()
        },
        TableColumn {
            name: "e".into(),
            numbers: vec![0.0, 0.0, 7.0],
            valid: vec![false, false, true],
            ..Default::default()
        },
    ];
    assert_eq!(table.columns, expected);
}

#[test]
fn mixed_columns_become_text() {
    let table = rows_to_table(rows(&[
        r#"{"a":1}"#,
        "{}",
        r#"{"a":"x"}"#,
        r#"{"a":true}"#,
        r#"{"a":0.5}"#,
    ]))
    .unwrap();
    assert_eq!(table.columns[0].strings, ["1", "", "x", "true", "0.5"]);
    assert_eq!(table.columns[0].valid, [true, false, true, true, true]);
}

#[test]
fn the_last_of_two_values_stands() {
    let mut table = TableBuilder::new();
    for cells in [
        vec![Cell::Number(1.0), Cell::Number(2.0)],
        vec![Cell::Number(3.0), Cell::Missing],
    ] {
        cells.into_iter().for_each(|cell| table.set("a", cell).unwrap());
        table.end_row().unwrap();
    }
    let column = table.finish().unwrap().columns.remove(0);
    assert_eq!((column.numbers, column.valid), (vec![2.0, 0.0], vec![true, false]));
}

#[test]
fn faults_name_row_and_column() {
    assert_eq!(rows_to_table(Vec::new()).unwrap_err().reason, Reason::NoRows);
    for json in [r#"{"b":[1]}"#, r#"{"b":{}}"#] {
        let error = rows_to_table(rows(&[r#"{"b":1}"#, json])).unwrap_err();
        assert_eq!(
            (error.reason, &*error.metadata["row"], &*error.metadata["column"]),
            (Reason::InvalidRow, "1", "b")
        );
        assert!(error.message.starts_with("data[1].b is an "), "{error}");
    }
    let nan = prost_types::Value {
        kind: Some(Kind::NumberValue(f64::NAN)),
    };
    let row = Struct {
        fields: [("x".to_owned(), nan)].into(),
    };
    assert_eq!(rows_to_table(vec![row]).unwrap_err().reason, Reason::InvalidRow);
}

#[test]
fn rows_without_columns_count() {
    let table = rows_to_table(vec![Struct::default(); 4]).unwrap();
    assert_eq!((table.row_count, table.columns.len()), (4, 0));
}

#[test]
fn a_new_column_in_every_row_is_refused_early() {
    let number = |value| prost_types::Value {
        kind: Some(Kind::NumberValue(value)),
    };
    let row = |index: usize| Struct {
        fields: [(format!("c{index}"), number(1.0))].into(),
    };
    assert!(
        rows_to_table((0..2_000).map(row).collect()).is_ok(),
        "small tables may be sparse"
    );
    let error = rows_to_table((0..10_000).map(row).collect()).unwrap_err();
    let refused: usize = error.metadata["row"].parse().unwrap();
    assert_eq!(error.reason, Reason::InvalidRow);
    assert!((2_040..2_060).contains(&refused), "{error}");
}

#[test]
fn one_wide_row_behind_many_empty_ones_is_refused() {
    let mut table = TableBuilder::new();
    for _ in 0..1_000_000 {
        table.end_row().unwrap();
    }
    let refused = (0..100).find_map(|column| table.set(&format!("c{column}"), Cell::Missing).err());
    let error = refused.expect("before the row ends");
    assert_eq!((error.reason, &*error.metadata["column"]), (Reason::InvalidRow, "c4"));
}

#[test]
fn tables_have_a_widest_row() {
    let mut table = TableBuilder::new();
    for column in 0..bounds::COLUMNS_MAX {
        table.set(&column.to_string(), Cell::Missing).unwrap();
    }
    let error = table.set("one more", Cell::Missing).unwrap_err();
    assert_eq!((error.reason, &*error.metadata["row"]), (Reason::InvalidRow, "0"));
}

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        Just(Cell::Missing),
        (-9..9_i32).prop_map(|number| Cell::Number(number.into())),
        any::<bool>().prop_map(Cell::Boolean),
        "[a-c]?".prop_map(Cell::Text),
    ]
}

proptest! {
    #[test]
    fn columns_are_as_long_as_the_table(
        rows in proptest::collection::vec(proptest::collection::vec(("[a-d]", cell()), 0..6), 1..12)
    ) {
        let mut table = TableBuilder::new();
        let mut last = std::collections::BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            for (name, cell) in row {
                table.set(name, cell.clone()).unwrap();
                last.insert((name.clone(), index), cell.clone());
            }
            table.end_row().unwrap();
        }
        for column in table.finish().unwrap().columns {
            let filled = [column.numbers.len(), column.strings.len(), column.booleans.len()];
            prop_assert_eq!(filled.iter().filter(|length| **length == rows.len()).count() <= 1, true);
            prop_assert_eq!(filled.iter().sum::<usize>() % rows.len(), 0);
            for row in 0..rows.len() {
                let valid = column.valid.get(row).copied().unwrap_or(true);
                let given = last.get(&(column.name.clone(), row)).cloned().unwrap_or(Cell::Missing);
                prop_assert_eq!(valid, given != Cell::Missing);
                match given {
                    Cell::Number(value) if !column.numbers.is_empty() => prop_assert_eq!(column.numbers[row], value),
                    Cell::Boolean(value) if !column.booleans.is_empty() => prop_assert_eq!(column.booleans[row], value),
                    Cell::Text(value) => prop_assert_eq!(&column.strings[row], &value),
                    _ => {}
                }
            }
        }
    }
}
