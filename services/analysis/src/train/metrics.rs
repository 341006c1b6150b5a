//! How well predictions meet what was to be predicted.

use crate::sum::Sum;

/// Figures of predictions; absent where they are not defined, or where a double cannot hold them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metrics {
    /// The share of the target's variance that is explained; absent where the target does not vary. It is negative where
    /// the mean would have predicted better.
    pub r2: Option<f64>,
    /// The mean of the squared errors.
    pub mse: Option<f64>,
    /// The mean of the errors' magnitudes.
    pub mae: Option<f64>,
    /// How many rows.
    pub row_count: usize,
}

impl Metrics {
    /// Judges pairs of what was to be predicted and what was.
    pub fn of(pairs: &[(f64, f64)]) -> Self {
        let count = pairs.len() as f64;
        let mean = total(pairs, |(y, _)| y / count);
        let squares = total(pairs, |(y, p)| (y - p).powi(2));
        let spread = total(pairs, |(y, _)| (y - mean).powi(2));
        let varies = pairs.iter().any(|(y, _)| *y != pairs[0].0);
        Self {
            r2: Some(1.0 - squares / spread).filter(|r2| varies && r2.is_finite()),
            mse: Some(squares / count).filter(|it| it.is_finite()),
            mae: Some(total(pairs, |(y, p)| (y - p).abs()) / count).filter(|it| it.is_finite()),
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
    fn what_is_not_defined_is_absent() {
        let none = Metrics::of(&[]);
        assert_eq!((none.r2, none.mse, none.mae), (None, None, None));
        let constant = Metrics::of(&[(1.0, 1.5), (1.0, 0.5)]);
        assert_eq!((constant.r2, constant.mse), (None, Some(0.25)));
    }
}
