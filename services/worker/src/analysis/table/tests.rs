//! Packed tables keep their values, and lies about lengths are refused.

use lepton_analysis::ColumnType;
use lepton_domain::reason::{ApiError, Reason};

use super::*;

fn column(name: &str, fill: impl FnOnce(&mut wire::TableColumn)) -> wire::TableColumn {
    let mut column = wire::TableColumn {
        name: name.to_owned(),
        ..Default::default()
    };
    fill(&mut column);
    column
}

fn reason(taken: Result<Table, Error>) -> Reason {
    ApiError::from(taken.unwrap_err()).reason
}

fn table(row_count: u32, columns: Vec<wire::TableColumn>) -> wire::Table {
    wire::Table { columns, row_count }
}

#[test]
fn every_type_of_column_arrives() {
    let taken = from_packed(table(
        3,
        vec![
            column("n", |it| {
                (it.numbers, it.valid) = (vec![1.0, 0.0, 3.0], vec![true, false, true])
            }),
            column("t", |it| it.strings = vec!["a".into(), "b".into(), "a".into()]),
            column("b", |it| it.booleans = vec![true, false, true]),
            column("e", |_| {}),
        ],
    ))
    .unwrap();
    let kinds: Vec<_> = taken
        .columns()
        .iter()
        .map(|column| (column.kind(), column.count()))
        .collect();
    let expected = [
        (ColumnType::Number, 2),
        (ColumnType::Text, 3),
        (ColumnType::Boolean, 3),
        (ColumnType::Empty, 0),
    ];
    assert_eq!(kinds, expected);
    assert_eq!((taken.rows(), taken.columns()[3].missing()), (3, 3));
}

#[test]
fn rows_without_columns_are_rows() {
    assert_eq!(from_packed(table(2, vec![])).unwrap().rows(), 2);
    assert_eq!(from_packed(table(0, vec![])).unwrap().rows(), 0);
}

#[test]
fn impossible_tables_are_refused() {
    let both = column("x", |it| (it.numbers, it.booleans) = (vec![1.0], vec![true]));
    let short = column("x", |it| it.numbers = vec![1.0]);
    let invalid = column("x", |it| (it.numbers, it.valid) = (vec![1.0], vec![true, true]));
    let infinite = column("x", |it| it.numbers = vec![f64::INFINITY]);
    let cases = [
        (table(1, vec![both]), Reason::FieldInvalid),
        (table(2, vec![short.clone()]), Reason::FieldInvalid),
        (table(1, vec![invalid]), Reason::FieldInvalid),
        (table(1, vec![short.clone(), short]), Reason::FieldInvalid),
        (table(1, vec![infinite]), Reason::InvalidRow),
        (table(u32::MAX, vec![]), Reason::InvalidRow),
        (table(u32::MAX, vec![column("x", |_| {})]), Reason::InvalidRow),
    ];
    for (given, reason) in cases {
        assert_eq!(self::reason(from_packed(given.clone())), reason, "{given:?}");
    }
    let twice = from_request(vec![prost_types::Struct::default()], Some(table(0, vec![])));
    assert_eq!(reason(twice), Reason::FieldInvalid);
    assert_eq!(reason(from_request(vec![], None)), Reason::NoRows);
}
