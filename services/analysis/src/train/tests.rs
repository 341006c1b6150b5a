//! Splits, figures and refusals of a whole training.

use proptest::prelude::*;

use super::*;
use crate::{Packed, PackedColumn, analyze};

const NAN: f64 = f64::NAN;

fn numbers(name: &str, values: &[f64]) -> PackedColumn {
    PackedColumn {
        name: name.into(),
        values: Packed::Numbers(values.to_vec()),
        valid: values.iter().map(|value| !value.is_nan()).collect(),
    }
}

fn table(columns: &[(&str, &[f64])]) -> Table {
    Table::from_columns(columns.iter().map(|(name, values)| numbers(name, values))).unwrap()
}

fn options(target: &str) -> TrainOptions {
    TrainOptions {
        target: target.into(),
        features: None,
        method: Method::ClosedForm,
        test_share: 0.0,
        seed: 42,
    }
}

fn trained(table: &Table, options: &TrainOptions) -> Result<Trained, Error> {
    train(table, options, &mut |_| {}, &|| false)
}

fn named(options: TrainOptions, features: &[&str]) -> TrainOptions {
    let features = features.iter().map(|&name| name.to_owned()).collect();
    TrainOptions {
        features: Some(features),
        ..options
    }
}

/// y = 3 + 2a - b, with a collinear c = a + b and a constant k.
fn plane() -> Table {
    let a: Vec<f64> = (0..50).map(|i| f64::from(i * 7 % 23)).collect();
    let b: Vec<f64> = (0..50).map(|i| f64::from(i * 5 % 17) / 2.0).collect();
    let c: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
    let y: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 3.0 + 2.0 * a - b).collect();
    table(&[("a", &a), ("b", &b), ("c", &c), ("k", &[5.0; 50]), ("y", &y)])
}

fn near(found: &Trained, intercept: f64, coefficients: &[(&str, f64)], within: f64) {
    assert!(
        (found.model.intercept - intercept).abs() <= within,
        "{}",
        found.model.intercept
    );
    assert_eq!(found.model.coefficients.len(), coefficients.len());
    for ((name, found), (expected_name, expected)) in found.model.coefficients.iter().zip(coefficients) {
        assert_eq!(name, expected_name);
        assert!((found - expected).abs() <= within, "{name}: {found}");
    }
}

#[test]
fn a_plane_is_found_by_both_methods() {
    let table = plane();
    let features = named(options("y"), &["b", "a"]);
    let by_steps = TrainOptions {
        method: Method::GradientDescent(Descent {
            learning_rate: None,
            epochs: 20_000,
            tolerance: 1e-13,
        }),
        ..features.clone()
    };
    for options in [features, by_steps] {
        let found = trained(&table, &options).unwrap();
        near(&found, 3.0, &[("b", -1.0), ("a", 2.0)], 1e-10);
        assert!((found.train.r2.unwrap() - 1.0).abs() < 1e-12 && found.train.mae.unwrap() < 1e-10);
        assert_eq!((found.train.row_count, found.test), (50, None));
    }
}

#[test]
fn what_cannot_help_has_the_coefficient_zero() {
    let found = trained(&plane(), &options("y")).unwrap();
    near(&found, 3.0, &[("a", 2.0), ("b", -1.0), ("c", 0.0), ("k", 0.0)], 1e-10);
    let why: Vec<(&str, CleaningAction)> = found.cleaned.iter().map(|it| (&*it.column, it.action)).collect();
    assert_eq!(
        why,
        [
            ("c", CleaningAction::ColumnCollinear),
            ("k", CleaningAction::ColumnConstant)
        ]
    );
}

#[test]
fn incomplete_rows_are_left_out_and_counted() {
    let table = table(&[
        ("a", &[1.0, 2.0, NAN, 4.0, 5.0, 6.0]),
        ("unused", &[NAN; 6]),
        ("y", &[3.0, 5.0, 7.0, NAN, 11.0, 13.0]),
    ]);
    let found = trained(&table, &options("y")).unwrap();
    near(&found, 1.0, &[("a", 2.0)], 1e-12);
    assert_eq!(found.train.row_count, 4);
    let left_out: Vec<(&str, usize)> = found.cleaned.iter().map(|it| (&*it.column, it.count)).collect();
    assert_eq!(left_out, [("a", 1), ("y", 1)]);
}

#[test]
fn a_share_is_held_back_and_judged() {
    let x: Vec<f64> = (0..100).map(f64::from).collect();
    let y: Vec<f64> = (0..100).map(|i| f64::from(i) * 2.0 + f64::from(i * 37 % 11)).collect();
    let table = table(&[("x", &x), ("y", &y)]);
    let half = TrainOptions {
        test_share: 0.3,
        ..options("y")
    };
    let found = trained(&table, &half).unwrap();
    let test = found.test.unwrap();
    assert_eq!((found.train.row_count, test.row_count), (70, 30));
    assert!(test.r2.unwrap() > 0.99 && test.mse.unwrap() > 0.0);
    assert_eq!(trained(&table, &half), Ok(found.clone()));
    let other = trained(&table, &TrainOptions { seed: 43, ..half }).unwrap();
    assert_ne!(other.model, found.model);
}

#[test]
fn every_refusal_says_why() {
    let text = PackedColumn {
        name: "t".into(),
        values: Packed::Text(vec!["x".into(); 4]),
        valid: vec![],
    };
    let table = Table::from_columns([
        numbers("a", &[1.0, 2.0, 3.0, 4.0]),
        numbers("b", &[1.0, 0.0, NAN, 9.0]),
        text,
        numbers("k", &[7.0; 4]),
        numbers("y", &[1.0, 2.0, 2.0, 5.0]),
    ])
    .unwrap();
    let cases = [
        (options("z"), "no column \"z\""),
        (options("t"), "\"t\" is a column of type text"),
        (named(options("y"), &["z"]), "no column \"z\" to use as a feature"),
        (
            named(options("y"), &["t"]),
            "the feature \"t\" is a column of type text",
        ),
        (named(options("y"), &["a", "y"]), "cannot be a feature too"),
        (named(options("y"), &["a", "a"]), "named twice"),
        (named(options("y"), &[]), "no feature"),
        (named(options("k"), &["a"]), "same value in every row"),
        (
            TrainOptions {
                test_share: 0.5,
                ..options("y")
            },
            "1 complete rows are left to train on, but at least",
        ),
    ];
    for (options, words) in cases {
        let message = trained(&table, &options).expect_err("refused").to_string();
        assert!(message.contains(words), "{message:?} does not say {words:?}");
    }
    let alone = trained(&self::table(&[("y", &[1.0, 2.0])]), &options("y"));
    assert_eq!(alone, Err(Error::NoFeature));
    let empty = trained(&self::table(&[]), &options("y"));
    assert_eq!(empty, Err(crate::Error::NoRows.into()));
    let huge = self::table(&[("x", &[0.0, 1e-200, 2e-200]), ("y", &[0.0, 1e200, 2e200])]);
    assert!(matches!(trained(&huge, &options("y")), Err(Error::OutOfRange { .. })));
}

#[test]
fn predictions_are_missing_where_a_feature_is() {
    let model = Linear {
        intercept: 1.0,
        coefficients: vec![("a".into(), 2.0), ("b".into(), -1.0)],
    };
    let predictions = predict(&model, &[&[1.0, 2.0, NAN], &[3.0, NAN, 0.0]], 3, &|| false).unwrap();
    assert_eq!(predictions[0], 0.0);
    assert!(predictions[1].is_nan() && predictions[2].is_nan());
}

proptest! {
    /// Without rows held back, training is the fit of an analysis.
    #[test]
    fn closed_form_is_the_fit_of_analyze(
        rows in prop::collection::vec((-100.0..100.0f64, -1.0..1.0f64, prop::option::weighted(0.9, -50.0..50.0f64)), 8..200),
    ) {
        let column = |take: fn(&(f64, f64, Option<f64>)) -> f64| rows.iter().map(take).collect::<Vec<f64>>();
        let columns = [column(|r| r.0), column(|r| r.1), column(|r| r.2.map_or(NAN, |y| y + r.0))];
        let table = table(&[("a", &columns[0]), ("b", &columns[1]), ("y", &columns[2])]);
        prop_assume!(table.columns()[2].count() > 4);
        let found = trained(&table, &options("y")).unwrap();
        let report = analyze(&table, &crate::Options { target: Some("y") }, &|| false).unwrap();
        let fit = report.fit.unwrap();
        prop_assert_eq!(found.model.intercept, fit.intercept.unwrap());
        prop_assert_eq!(&found.model.coefficients, &fit.coefficients);
        prop_assert_eq!((found.train.row_count, &found.cleaned), (fit.row_count, &report.cleaned));
        prop_assert!((found.train.r2.unwrap() - fit.r2.unwrap()).abs() < 1e-9);
    }
}
