//! The descent is the one that its definition describes, and ends where the closed form does.

use proptest::prelude::*;

use super::*;
use crate::linear::closed;
use crate::{Packed, PackedColumn, Table};

fn table(columns: &[Vec<f64>]) -> Table {
    let packed = columns.iter().enumerate().map(|(index, values)| PackedColumn {
        name: format!("c{index}"),
        values: Packed::Numbers(values.clone()),
        valid: vec![],
    });
    Table::from_columns(packed).unwrap()
}

/// The last column is the target.
fn with_design<T>(columns: &[Vec<f64>], work: impl FnOnce(&Design<'_>) -> T) -> T {
    let table = table(columns);
    let target = columns.len() - 1;
    let features: Vec<usize> = (0..target).collect();
    let design = Design::over(table.columns(), target, &features, None, &mut Vec::new(), &|| false);
    work(&design.unwrap().unwrap())
}

fn how(learning_rate: Option<f64>, epochs: u32, tolerance: f64) -> Descent {
    Descent {
        learning_rate,
        epochs,
        tolerance,
    }
}

fn descended(columns: &[Vec<f64>], how: Descent) -> Result<Descended, Error> {
    with_design(columns, |design| descend(design, &how, &mut |_| {}, &|| false))
}

fn wavy(rows: usize, width: usize) -> Vec<Vec<f64>> {
    let wave = |column: usize, row: usize| ((row * (column + 2)) as f64 * 0.37).sin() * 10_f64.powi(column as i32 % 5);
    let mut columns: Vec<Vec<f64>> = (0..width)
        .map(|column| (0..rows).map(|row| wave(column, row) + column as f64).collect())
        .collect();
    let sum = |row: usize| columns.iter().map(|column| column[row]).sum::<f64>();
    columns.push((0..rows).map(|row| 7.0 + sum(row) + wave(width, row)).collect());
    columns
}

/// By hand: from zero, the gradient is (-2, -1), so that a step of 0.1 leads to 0.2 + 0.1 x and errors of -0.9 and -2.7.
#[test]
fn the_first_step_is_that_of_the_definition() {
    let columns = [vec![-1.0, 1.0], vec![1.0, 3.0]];
    let end = descended(&columns, how(Some(0.1), 1, 0.0)).unwrap();
    assert!((end.losses.points[0] - 2.025).abs() < 1e-15, "{:?}", end.losses);
    assert!((end.weights[0] - 0.1).abs() < 1e-15);
    assert!((end.bias - (0.2 - 2.0)).abs() < 1e-15);
    assert!(!end.losses.converged);
}

#[test]
fn it_ends_at_the_solution_in_closed_form() {
    let columns = wavy(2_500, 4);
    let end = descended(&columns, how(None, 100_000, 1e-13)).unwrap();
    assert!(end.losses.converged);
    with_design(&columns, |design| {
        let weights: Vec<Option<f64>> = end.weights.iter().copied().map(Some).collect();
        let (intercept, coefficients) = design.in_units(end.bias, &weights);
        let exact = closed::solve(design, &|| false).unwrap();
        for (found, exact) in coefficients.iter().zip(&exact.coefficients) {
            let (found, exact) = (found.unwrap(), exact.unwrap());
            assert!((found - exact).abs() <= 1e-11 * exact.abs().max(1.0), "{found} {exact}");
        }
        assert!((intercept.unwrap() - exact.intercept.unwrap()).abs() < 1e-9);
    });
}

#[test]
fn a_target_far_from_zero_loses_nothing() {
    let mut columns = wavy(300, 2);
    for value in &mut columns[2] {
        *value += 1e9;
    }
    let end = descended(&columns, how(None, 10_000, 1e-12)).unwrap();
    assert!(end.losses.converged && end.bias.abs() < 1e-11, "{}", end.bias);
}

#[test]
fn a_rate_that_is_too_large_diverges_and_a_smaller_one_is_named() {
    let columns = wavy(200, 3);
    for rate in [2.1, 10.0, 1e9, 1e300] {
        let Err(Error::Diverged {
            learning_rate, advice, ..
        }) = descended(&columns, how(Some(rate), 10_000, 1e-9))
        else {
            panic!("{rate} converges");
        };
        assert_eq!(learning_rate, rate);
        assert!(
            descended(&columns, how(Some(advice), 10_000, 1e-9))
                .unwrap()
                .losses
                .converged
        );
    }
}

/// The greatest eigenvalue is then as large as it can be.
#[test]
fn the_default_rate_converges_for_many_equal_features() {
    let one = wavy(100, 1);
    let mut columns = vec![one[0].clone(); 30];
    columns.push(one[1].clone());
    let end = descended(&columns, how(None, 10_000, 1e-12)).unwrap();
    assert!(end.losses.converged);
    for weight in &end.weights {
        assert!(
            (weight - end.weights[0]).abs() < 1e-12,
            "the least norm shares equally: {:?}",
            end.weights
        );
    }
}

#[test]
fn losses_are_thinned_evenly() {
    for (epochs, points, every) in [
        (1, 1, 1),
        (999, 999, 1),
        (1_000, 1_000, 1),
        (1_001, 501, 2),
        (2_000, 501, 4),
        (5_000, 626, 8),
    ] {
        let mut history = History::default();
        for epoch in 1..=epochs {
            history.push(epoch, f64::from(epoch));
        }
        let losses = history.finish();
        assert_eq!(
            (losses.points.len(), losses.every, losses.epochs),
            (points, every, epochs),
            "{epochs}"
        );
        assert_eq!(
            (losses.points[0], losses.points.last()),
            (1.0, Some(&f64::from(epochs)))
        );
        let body = &losses.points[..losses.points.len() - 1];
        assert!(
            body.windows(2).all(|pair| pair[1] - pair[0] == f64::from(every)),
            "{epochs}"
        );
    }
}

#[test]
fn every_epoch_is_told_and_a_stop_is_noticed() {
    let columns = wavy(5_000, 3);
    let mut on_epoch = Vec::new();
    with_design(&columns, |design| {
        descend(design, &how(None, 25, 0.0), &mut |epoch| on_epoch.push(epoch), &|| {
            false
        })
        .unwrap();
        let asked = std::cell::Cell::new(0);
        let soon = || asked.replace(asked.get() + 1) >= 20;
        let stopped = descend(design, &how(None, 1_000_000, 0.0), &mut |_| {}, &soon);
        assert!(matches!(stopped, Err(Error::Table(crate::Error::Cancelled))));
    });
    let numbers: Vec<u32> = on_epoch.iter().map(|epoch| epoch.number).collect();
    assert_eq!(numbers, (1..=25).collect::<Vec<_>>());
    assert!(on_epoch.windows(2).all(|pair| pair[1].loss < pair[0].loss));
}

proptest! {
    /// With a rate of at most 1/k the cost falls, whatever the data.
    #[test]
    fn the_cost_never_grows_with_a_safe_rate(
        rows in prop::collection::vec((-1e3..1e3f64, -1.0..1.0f64, 0.0..1e6f64), 3..80),
        rate in 0.001..0.5f64,
    ) {
        let column = |take: fn(&(f64, f64, f64)) -> f64| rows.iter().map(take).collect::<Vec<f64>>();
        let columns = [column(|r| r.0), column(|r| r.1), column(|r| r.2)];
        let end = descended(&columns, how(Some(rate), 200, 1e-14)).unwrap();
        for pair in end.losses.points.windows(2) {
            prop_assert!(pair[1] <= pair[0] * (1.0 + 1e-9) + 1e-3, "{:?}", pair);
        }
    }
}
