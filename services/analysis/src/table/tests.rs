//! Rows and packed columns give the same table; limits hold.

use proptest::prelude::*;

use super::*;
use crate::ColumnType;

#[derive(Debug, Clone, PartialEq)]
enum Owned {
    Number(f64),
    Boolean(bool),
    Text(String),
    Missing,
}

impl Owned {
    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Number(value) => Cell::Number(*value),
            Self::Boolean(value) => Cell::Boolean(*value),
            Self::Text(value) => Cell::Text(value),
            Self::Missing => Cell::Missing,
        }
    }

    fn kind(&self) -> ColumnType {
        match self {
            Self::Number(_) => ColumnType::Number,
            Self::Boolean(_) => ColumnType::Boolean,
            Self::Text(_) => ColumnType::Text,
            Self::Missing => ColumnType::Empty,
        }
    }
}

fn build(rows: &[Vec<(usize, Owned)>]) -> Table {
    let mut builder = TableBuilder::new();
    for row in rows {
        for (key, value) in row {
            builder.set(&format!("k{key}"), value.cell()).unwrap();
        }
        builder.end_row().unwrap();
    }
    builder.finish()
}

#[test]
fn columns_stand_in_order_of_first_appearance() {
    let number = |key| (key, Owned::Number(key as f64));
    let table = build(&[
        vec![number(2), number(0)],
        vec![number(0), number(1), number(2)],
        vec![],
    ]);
    let names: Vec<&str> = table.columns().iter().map(Column::name).collect();
    assert_eq!(names, ["k2", "k0", "k1"]);
    assert_eq!(table.rows(), 3);
    let missing: Vec<usize> = table.columns().iter().map(Column::missing).collect();
    assert_eq!(missing, [1, 1, 2]);
    assert!(table.column("k1").is_some() && table.column("k3").is_none());
}

#[test]
fn a_table_of_new_columns_in_every_row_is_refused_early() {
    let mut builder = TableBuilder::new();
    let refused = (0..10_000usize).find_map(|row| {
        let set = builder.set(&format!("k{row}"), Cell::Number(1.0));
        set.and_then(|()| builder.end_row()).err()
    });
    let Some(Error::TooSparse { rows, columns }) = refused else {
        panic!("not refused: {refused:?}")
    };
    assert!(rows.abs_diff(columns) <= 1, "{rows} rows, {columns} columns");
    assert!((2_040..2_060).contains(&rows), "{rows}");
}

#[test]
fn one_wide_row_behind_many_empty_ones_is_refused_before_it_ends() {
    let mut builder = TableBuilder::new();
    for _ in 0..1_000_000 {
        builder.end_row().unwrap();
    }
    let refused = (0..100).find_map(|key| builder.set(&format!("k{key}"), Cell::Number(1.0)).err());
    assert_eq!(
        refused,
        Some(Error::TooSparse {
            rows: 1_000_000,
            columns: 5
        })
    );
}

#[test]
fn too_many_columns_are_refused() {
    let mut builder = TableBuilder::new();
    let refused = (0..70_000usize).find_map(|key| builder.set(&format!("k{key}"), Cell::Missing).err());
    assert_eq!(refused, Some(Error::TooManyColumns { limit: 65_536 }));
}

fn packed(name: &str, values: Packed, valid: &[bool]) -> PackedColumn {
    PackedColumn {
        name: name.into(),
        values,
        valid: valid.to_vec(),
    }
}

#[test]
fn packed_columns_honour_their_validity() {
    let table = Table::from_columns([
        packed("n", Packed::Numbers(vec![1.0, f64::NAN, 3.0]), &[true, false, true]),
        packed("b", Packed::Booleans(vec![true, false, true]), &[]),
        packed(
            "t",
            Packed::Text(vec!["x".into(), "y".into(), "x".into()]),
            &[false, true, true],
        ),
        packed("e", Packed::Text(vec![String::new(); 3]), &[false, false, false]),
    ])
    .unwrap();
    let seen: Vec<_> = table
        .columns()
        .iter()
        .map(|column| (column.kind(), column.count()))
        .collect();
    use ColumnType::{Boolean, Empty, Number, Text};
    assert_eq!(seen, [(Number, 2), (Boolean, 3), (Text, 2), (Empty, 0)]);
    let texts: Vec<_> = table.columns()[2].texts().unwrap().collect();
    assert_eq!(texts, [None, Some("y"), Some("x")]);
}

#[test]
fn packed_columns_that_do_not_fit_are_refused() {
    let numbers = |values: &[f64]| Packed::Numbers(values.to_vec());
    let ragged = Table::from_columns([
        packed("a", numbers(&[1.0]), &[]),
        packed("b", numbers(&[1.0, 2.0]), &[]),
    ]);
    assert_eq!(
        ragged.unwrap_err(),
        Error::ColumnLength {
            column: "b".into(),
            expected: 1,
            found: 2
        }
    );
    let short = Table::from_columns([packed("a", numbers(&[1.0, 2.0]), &[true])]);
    assert_eq!(
        short.unwrap_err(),
        Error::ColumnLength {
            column: "a".into(),
            expected: 2,
            found: 1
        }
    );
    let twice = Table::from_columns([packed("a", numbers(&[1.0]), &[]), packed("a", numbers(&[1.0]), &[])]);
    assert_eq!(twice.unwrap_err(), Error::DuplicateColumn { column: "a".into() });
    let infinite = Table::from_columns([packed("a", numbers(&[1.0, f64::INFINITY]), &[])]);
    assert_eq!(
        infinite.unwrap_err(),
        Error::NotFinite {
            column: "a".into(),
            row: 1
        }
    );
}

fn any_cell() -> impl Strategy<Value = Owned> {
    prop_oneof![
        4 => (-1e6..1e6f64).prop_map(Owned::Number),
        1 => any::<bool>().prop_map(Owned::Boolean),
        1 => "[a-c]{0,2}".prop_map(Owned::Text),
        2 => Just(Owned::Missing),
    ]
}

proptest! {
    /// Whatever the order of keys: each column has the type that its present cells share, and holds them in place.
    #[test]
    fn rows_become_columns(rows in prop::collection::vec(prop::collection::btree_map(0..6usize, any_cell(), 0..6), 1..40)) {
        let rows: Vec<Vec<(usize, Owned)>> = rows.into_iter().map(|row| row.into_iter().collect()).collect();
        let table = build(&rows);
        prop_assert_eq!(table.rows(), rows.len());
        for key in 0..6 {
            let cells: Vec<Owned> = rows
                .iter()
                .map(|row| row.iter().find(|(k, _)| *k == key).map_or(Owned::Missing, |(_, cell)| cell.clone()))
                .collect();
            let Some(column) = table.column(&format!("k{key}")) else {
                prop_assert!(rows.iter().flatten().all(|(k, _)| *k != key));
                continue;
            };
            let present: Vec<&Owned> = cells.iter().filter(|cell| **cell != Owned::Missing).collect();
            let kind = present.first().map_or(ColumnType::Empty, |first| first.kind());
            let kind = if present.iter().all(|cell| cell.kind() == kind) { kind } else { ColumnType::Text };
            prop_assert_eq!((column.kind(), column.count()), (kind, present.len()));
            if let Some(values) = column.numbers() {
                for (value, cell) in values.iter().zip(&cells) {
                    match cell {
                        Owned::Number(expected) => prop_assert_eq!(value, expected),
                        Owned::Boolean(expected) => prop_assert_eq!(*value, number(*expected)),
                        _ => prop_assert!(value.is_nan()),
                    }
                }
            }
            if let Some(texts) = column.texts() {
                for (text, cell) in texts.zip(&cells) {
                    match cell {
                        Owned::Text(expected) => prop_assert_eq!(text, Some(expected.as_str())),
                        Owned::Missing => prop_assert_eq!(text, None),
                        _ => prop_assert!(text.is_some()),
                    }
                }
            }
        }
    }
}
