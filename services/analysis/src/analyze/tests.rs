//! A whole report, its refusals, and stopping in the middle.

use std::cell::Cell as Shared;

use super::*;
use crate::column::ColumnType;
use crate::{Cell, TableBuilder};

fn table(rows: usize) -> Table {
    let mut builder = TableBuilder::new();
    for row in 0..rows {
        builder.set("x", Cell::Number((row % 17) as f64)).unwrap();
        if row % 5 < 4 {
            builder.set("z", Cell::Number((row % 23) as f64)).unwrap();
        }
        builder
            .set("name", Cell::Text(if row % 2 == 0 { "even" } else { "odd" }))
            .unwrap();
        builder
            .set(
                "y",
                Cell::Number(1.0 + 2.0 * (row % 17) as f64 - 0.5 * (row % 23) as f64),
            )
            .unwrap();
        builder.end_row().unwrap();
    }
    builder.finish()
}

#[test]
fn a_report_has_every_part() {
    let report = analyze(&table(500), &Options { target: Some("y") }, &|| false).unwrap();
    assert_eq!(report.row_count, 500);
    let columns: Vec<_> = report
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.missing))
        .collect();
    assert_eq!(columns, [("x", 0), ("z", 100), ("name", 0), ("y", 0)]);
    let pairs: Vec<_> = report
        .correlations
        .iter()
        .map(|pair| (pair.a.as_str(), pair.b.as_str(), pair.count))
        .collect();
    assert_eq!(pairs, [("x", "z", 400), ("x", "y", 500), ("z", "y", 400)]);
    let fit = report.fit.unwrap();
    assert_eq!((fit.row_count, fit.coefficients.len()), (400, 2));
    assert!((fit.coefficients[0].1 - 2.0).abs() < 1e-13 && (fit.coefficients[1].1 + 0.5).abs() < 1e-13);
    assert_eq!(report.cleaned.len(), 2);
}

#[test]
fn without_a_target_nothing_is_fitted() {
    let report = analyze(&table(10), &Options::default(), &|| false).unwrap();
    assert_eq!((report.fit, report.cleaned), (None, vec![]));
}

#[test]
fn refusals() {
    let never = &|| false;
    assert_eq!(
        analyze(&TableBuilder::new().finish(), &Options::default(), never),
        Err(Error::NoRows)
    );
    let found = analyze(&table(3), &Options { target: Some("w") }, never);
    let target = "w".into();
    let present = table(3).names();
    assert_eq!(found, Err(Error::TargetNotFound { target, present }));
    let found = analyze(&table(3), &Options { target: Some("name") }, never);
    assert_eq!(
        found,
        Err(Error::TargetNotNumeric {
            target: "name".into(),
            kind: ColumnType::Text
        })
    );
}

/// Wherever the stop falls, it is obeyed at the next question.
#[test]
fn a_stop_takes_effect_anywhere() {
    let table = table(5_000);
    let options = Options { target: Some("y") };
    let asked = Shared::new(0u32);
    let count = || {
        asked.set(asked.get() + 1);
        false
    };
    analyze(&table, &options, &count).unwrap();
    let questions = asked.get();
    assert!(questions > 100, "{questions}");
    for stop in 1..=questions {
        asked.set(0);
        let cancelled = || {
            asked.set(asked.get() + 1);
            asked.get() == stop
        };
        assert_eq!(analyze(&table, &options, &cancelled), Err(Error::Cancelled));
        assert_eq!(asked.get(), stop);
    }
}
