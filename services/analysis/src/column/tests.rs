//! How cells become a column: types, filling, mixing, interning.

use super::*;

fn column(cells: &[(usize, Cell<'_>)], rows: usize) -> Column {
    let mut column = Column::new("c".into());
    for &(row, cell) in cells {
        column.set(row, cell).unwrap();
    }
    column.close(rows);
    column
}

fn texts(column: &Column) -> Vec<Option<&str>> {
    column.texts().expect("a text column").collect()
}

#[test]
fn gaps_are_missing() {
    let column = column(&[(2, Cell::Number(1.5)), (4, Cell::Number(2.5))], 6);
    assert_eq!(
        (column.kind(), column.count(), column.missing()),
        (ColumnType::Number, 2, 4)
    );
    let values = column.numbers().unwrap();
    assert_eq!(values.len(), 6);
    assert!(values[0].is_nan() && values[3].is_nan() && values[5].is_nan());
    assert_eq!((values[2], values[4]), (1.5, 2.5));
}

#[test]
fn nothing_but_null_is_empty() {
    let column = column(&[(0, Cell::Missing), (3, Cell::Missing)], 5);
    assert_eq!((column.kind(), column.missing()), (ColumnType::Empty, 5));
}

#[test]
fn booleans_alone_are_boolean_and_mixed_with_numbers_text() {
    let alone = column(&[(0, Cell::Boolean(true)), (1, Cell::Boolean(false))], 2);
    assert_eq!(
        (alone.kind(), alone.numbers().unwrap()),
        (ColumnType::Boolean, &[1.0, 0.0][..])
    );
    let mixed = column(&[(0, Cell::Boolean(true)), (2, Cell::Number(0.0))], 3);
    assert_eq!(mixed.kind(), ColumnType::Text);
    assert_eq!(texts(&mixed), [Some("true"), None, Some("0")]);
}

#[test]
fn numbers_in_a_mixed_column_keep_their_digits() {
    let cells = [1.5, -0.0, 1e15, 1e16, 0.0001, 0.00001, -2.5e300, 0.1 + 0.2];
    let mut column = Column::new("c".into());
    for (row, &value) in cells.iter().enumerate() {
        column.set(row, Cell::Number(value)).unwrap();
    }
    column.set(8, Cell::Text("x")).unwrap();
    column.close(9);
    let expected = [
        "1.5",
        "-0",
        "1000000000000000",
        "1e16",
        "0.0001",
        "1e-5",
        "-2.5e300",
        "0.30000000000000004",
        "x",
    ];
    assert_eq!(texts(&column), expected.map(Some));
}

#[test]
fn the_last_value_of_a_repeated_key_stays() {
    let twice = column(&[(0, Cell::Number(1.0)), (0, Cell::Number(2.0))], 1);
    assert_eq!(twice.numbers().unwrap(), [2.0]);
    let withdrawn = column(&[(0, Cell::Number(1.0)), (0, Cell::Missing)], 1);
    assert_eq!(withdrawn.kind(), ColumnType::Empty);
}

#[test]
fn a_number_that_is_not_finite_is_refused() {
    let mut column = Column::new("c".into());
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let expected = Error::NotFinite {
            column: "c".into(),
            row: 7,
        };
        assert_eq!(column.set(7, Cell::Number(value)), Err(expected));
    }
}

#[test]
fn a_dictionary_gives_dense_codes_in_order() {
    let mut dictionary = Dictionary::default();
    for round in 0..2 {
        for index in 0..5_000u32 {
            assert_eq!(
                dictionary.intern(&format!("word {}", index % 2_500)),
                index % 2_500,
                "round {round}"
            );
        }
    }
    assert_eq!(dictionary.len(), 2_500);
    assert_eq!(dictionary.get(17), Some("word 17"));
    assert_eq!(dictionary.get(2_500), None);
    assert_eq!(dictionary.intern(""), 2_500);
    assert_eq!(dictionary.get(2_500), Some(""));
}
