//! What is said about columns of each type.

use super::*;
use crate::{Cell, TableBuilder};

fn described(cells: &[Cell<'_>]) -> ColumnReport {
    let mut builder = TableBuilder::new();
    for &cell in cells {
        builder.set("c", cell).unwrap();
        builder.end_row().unwrap();
    }
    let table = builder.finish();
    describe(&table.columns()[0], &mut Vec::new(), &|| false).unwrap().0
}

fn numbers(report: &ColumnReport) -> &NumberFigures {
    match &report.figures {
        ColumnFigures::Number(figures) => figures,
        other => panic!("{other:?}"),
    }
}

/// Checked with numpy 2 and scipy 1: `np.std(a, ddof=1)`, `np.quantile`, `stats.t.interval(0.95, 7, mean, sem)`.
#[test]
fn a_small_column_of_numbers() {
    let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 19.0];
    let mut cells: Vec<Cell<'_>> = values.iter().map(|&value| Cell::Number(value)).collect();
    cells.insert(3, Cell::Missing);
    let report = described(&cells);
    assert_eq!((report.kind, report.count, report.missing), (ColumnType::Number, 8, 1));
    let found = numbers(&report);
    assert_eq!((found.mean, found.min, found.max, found.outliers), (6.25, 2.0, 19.0, 1));
    assert!((found.stddev.unwrap() - 5.338539126015656).abs() < 1e-14);
    let ci95 = found.ci95.unwrap();
    assert!(
        (ci95.low - 1.7868695997121).abs() < 1e-11 && (ci95.high - 10.7131304002879).abs() < 1e-11,
        "{ci95:?}"
    );
    assert_eq!(
        found.quantiles,
        Quantiles {
            p05: 2.7,
            p25: 4.0,
            p50: 4.5,
            p75: 5.5,
            p95: 14.799999999999994
        }
    );
}

#[test]
fn one_value_leaves_deviation_and_interval_out() {
    let report = described(&[Cell::Number(4.0)]);
    let found = numbers(&report);
    assert_eq!(
        (found.mean, found.stddev, found.ci95, found.outliers),
        (4.0, None, None, 0)
    );
}

#[test]
fn booleans_count_as_zero_and_one() {
    let report = described(&[
        Cell::Boolean(true),
        Cell::Boolean(false),
        Cell::Missing,
        Cell::Boolean(true),
    ]);
    assert_eq!((report.kind, report.count, report.missing), (ColumnType::Boolean, 3, 1));
    let found = numbers(&report);
    assert_eq!((found.mean, found.min, found.max), (2.0 / 3.0, 0.0, 1.0));
}

#[test]
fn an_empty_column_says_nothing() {
    let report = described(&[Cell::Missing, Cell::Missing]);
    assert_eq!(
        (report.kind, report.missing, report.figures),
        (ColumnType::Empty, 2, ColumnFigures::Empty)
    );
}

#[test]
fn texts_are_ranked_by_count_then_by_first_appearance() {
    let names: Vec<String> = (0..14).map(|index| format!("t{index}")).collect();
    let mut cells: Vec<Cell<'_>> = names.iter().map(|name| Cell::Text(name)).collect();
    cells.extend([Cell::Text("t12"), Cell::Text("t3"), Cell::Text("t12"), Cell::Missing]);
    let report = described(&cells);
    assert_eq!((report.kind, report.count, report.missing), (ColumnType::Text, 17, 1));
    let ColumnFigures::Text(found) = report.figures else {
        panic!("{report:?}")
    };
    assert_eq!(found.distinct, 14);
    let top: Vec<(&str, usize)> = found
        .top
        .iter()
        .map(|entry| (entry.value.as_str(), entry.count))
        .collect();
    let ones = ["t0", "t1", "t2", "t4", "t5", "t6", "t7", "t8"].map(|name| (name, 1));
    assert_eq!(top[..2], [("t12", 3), ("t3", 2)]);
    assert_eq!(top[2..], ones);
}

#[test]
fn a_text_that_a_repeated_key_replaced_does_not_count() {
    let mut builder = TableBuilder::new();
    builder.set("c", Cell::Text("first")).unwrap();
    builder.set("c", Cell::Text("last")).unwrap();
    builder.end_row().unwrap();
    let table = builder.finish();
    let (report, _) = describe(&table.columns()[0], &mut Vec::new(), &|| false).unwrap();
    let top = vec![ValueCount {
        value: "last".into(),
        count: 1,
    }];
    assert_eq!(report.figures, ColumnFigures::Text(TextFigures { distinct: 1, top }));
}
