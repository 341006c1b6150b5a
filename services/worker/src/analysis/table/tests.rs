//! Packed tables keep their values, and lies about lengths are refused.

use lepton_analysis::ColumnType;
use lepton_domain::reason::Reason;

use super::*;

fn column(name: &str, fill: impl FnOnce(&mut wire::TableColumn)) -> wire::TableColumn {
    let mut column = wire::TableColumn {
        name: name.to_owned(),
        ..Default::default()
    };
    fill(&mut column);
    column
}

fn table(row_count: u32, columns: Vec<wire::TableColumn>) -> wire::Table {
    wire::Table { columns, row_count }
}

#[test]
fn every_type_of_column_arrives() {
    let taken = take(table(
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
    assert_eq!(take(table(2, vec![])).unwrap().rows(), 2);
    assert_eq!(take(table(0, vec![])).unwrap().rows(), 0);
}

#[test]
fn what_cannot_be_is_refused() {
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
        assert_eq!(take(given.clone()).unwrap_err().reason, reason, "{given:?}");
    }
    let twice = of_request(vec![prost_types::Struct::default()], Some(table(0, vec![])));
    assert_eq!(twice.unwrap_err().reason, Reason::FieldInvalid);
    assert_eq!(of_request(vec![], None).unwrap_err().reason, Reason::NoRows);
}
