//! Metrics of predictions against the true values.

use crate::moments::scale_for;
use crate::sum::Sum;

/// Metrics of predictions; absent where they are not defined, or where a double cannot hold them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metrics {
    /// The share of the target's variance that is explained; absent where the target does not vary. It is negative where
    /// the mean would have predicted better.
    pub r2: Option<f64>,
    /// The mean of the squared errors.
    pub mse: Option<f64>,
    /// The mean of the errors' magnitudes.
    pub mae: Option<f64>,
    /// Number of rows.
    pub row_count: usize,
}

impl Metrics {
    /// Compares pairs of a true value and its prediction.
    pub fn of(pairs: &[(f64, f64)]) -> Self {
        let count = pairs.len() as f64;
        let largest = pairs
            .iter()
            .fold(0.0, |largest: f64, (y, p)| largest.max(y.abs()).max(p.abs()));
        // By a power of two, which is exact, where squares would leave the range of a double.
        let scale = scale_for(largest);
        let error = |(y, p): (f64, f64)| y * scale - p * scale;
        let mean = total(pairs, |(y, _)| y * scale / count);
        let squares = total(pairs, |pair| error(pair).powi(2));
        let spread = total(pairs, |(y, _)| (y * scale - mean).powi(2));
        let varies = pairs.iter().any(|(y, _)| *y != pairs[0].0);
        Self {
            r2: Some(1.0 - squares / spread).filter(|r2| varies && r2.is_finite()),
            mse: Some(squares / count / scale / scale).filter(|it| it.is_finite()),
            mae: Some(total(pairs, |pair| error(pair).abs()) / count / scale).filter(|it| it.is_finite()),
            row_count: pairs.len(),
        }
    }
}

fn total(pairs: &[(f64, f64)], of: impl Fn((f64, f64)) -> f64) -> f64 {
    let mut sum = Sum::default();
    for &pair in pairs {
        sum.push(of(pair));
    }
    sum.total()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_known_pairs() {
        let metrics = Metrics::of(&[(3.0, 2.5), (-0.5, 0.0), (2.0, 2.0), (7.0, 8.0)]);
        assert_eq!(
            (metrics.mse, metrics.mae, metrics.row_count),
            (Some(0.375), Some(0.5), 4)
        );
        assert!((metrics.r2.unwrap() - 0.948_608_137_044_967_9).abs() < 1e-15);
    }

    #[test]
    fn figures_do_not_depend_on_the_unit() {
        let pairs = [(3.0, 2.5), (-0.5, 0.0), (2.0, 2.0), (7.0, 8.0)];
        let of = Metrics::of(&pairs);
        // About 1e-160, whose squares are no normal numbers, 1e154 and 1e300, whose squares are none at all.
        for exponent in [-532, 511, 997] {
            let unit = 2.0_f64.powi(exponent);
            let found = Metrics::of(&pairs.map(|(y, p)| (y * unit, p * unit)));
            assert!(
                (found.r2.unwrap() - of.r2.unwrap()).abs() < 1e-15,
                "{exponent}: {found:?}"
            );
            assert_eq!(found.mae, of.mae.map(|mae| mae * unit));
            assert_eq!(
                found.mse,
                of.mse.map(|mse| mse * unit * unit).filter(|mse| mse.is_finite())
            );
        }
    }

    #[test]
    fn what_is_not_defined_is_absent() {
        let none = Metrics::of(&[]);
        assert_eq!((none.r2, none.mse, none.mae), (None, None, None));
        let constant = Metrics::of(&[(1.0, 1.5), (1.0, 0.5)]);
        assert_eq!((constant.r2, constant.mse), (None, Some(0.25)));
    }
}
