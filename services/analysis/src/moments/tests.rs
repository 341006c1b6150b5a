//! Means and deviations against NIST's certified values and exact integer arithmetic.

use proptest::prelude::*;

use super::*;

fn of(values: &[f64]) -> Moments {
    Moments::of(values, Rows::All, &|| false).unwrap().unwrap()
}

fn close(found: f64, expected: f64, relative: f64) {
    assert!(
        (found - expected).abs() <= relative * expected.abs(),
        "{found} instead of {expected}"
    );
}

/// The NumAcc sets of NIST's Statistical Reference Datasets, univariate summary statistics
/// (<https://www.itl.nist.gov/div898/strd/univ/homepage.html>).
#[test]
fn nist_numerical_accuracy() {
    let alternating = |first: f64, low: f64, high: f64| {
        let pairs = std::iter::repeat_n([low, high], 500).flatten();
        std::iter::once(first).chain(pairs).collect::<Vec<f64>>()
    };
    let one = of(&[10_000_001.0, 10_000_003.0, 10_000_002.0]);
    assert_eq!((one.mean(), one.stddev()), (10_000_002.0, Some(1.0)));
    // The decimal data are not doubles: the further from zero, the fewer digits of the deviation they carry.
    for (values, mean, relative) in [
        (alternating(1.2, 1.1, 1.3), 1.2, 1e-14),
        (alternating(1_000_000.2, 1_000_000.1, 1_000_000.3), 1_000_000.2, 1e-9),
        (
            alternating(10_000_000.2, 10_000_000.1, 10_000_000.3),
            10_000_000.2,
            1e-8,
        ),
    ] {
        let found = of(&values);
        close(found.mean(), mean, 1e-15);
        close(found.stddev().unwrap(), 0.1, relative);
    }
}

#[test]
fn a_constant_column_has_no_deviation() {
    let found = of(&[0.1; 1_000]);
    assert_eq!((found.mean(), found.stddev()), (0.1, Some(0.0)));
    assert!(found.constant());
}

#[test]
fn one_value_has_a_mean_only() {
    let found = of(&[-7.5]);
    assert_eq!((found.mean(), found.stddev()), (-7.5, None));
}

#[test]
fn the_ends_of_the_range_neither_overflow_nor_vanish() {
    for unit in [1e300, 1e-300, 1e150, 1e-160] {
        let found = of(&[unit, 2.0 * unit, 3.0 * unit, 6.0 * unit]);
        close(found.mean(), 3.0 * unit, 1e-15);
        close(found.stddev().unwrap(), (14.0f64 / 3.0).sqrt() * unit, 1e-14);
    }
    let subnormal = of(&[5e-324, 10e-324]);
    assert!(subnormal.stddev().unwrap() > 0.0);
    // The deviation itself is beyond a double.
    assert_eq!(of(&[-1.7e308, 1.7e308]).stddev(), None);
}

#[test]
fn a_mean_survives_cancellation() {
    close(of(&[1e16, 1.0, -1e16]).mean(), 1.0 / 3.0, 1e-15);
}

#[test]
fn missing_cells_are_passed_over() {
    let values = [f64::NAN, 1.0, f64::NAN, 3.0];
    let found = Moments::of(&values, Rows::Present, &|| false).unwrap().unwrap();
    assert_eq!((found.count, found.min, found.max, found.mean()), (2, 1.0, 3.0, 2.0));
    assert!(Moments::of(&[f64::NAN], Rows::Present, &|| false).unwrap().is_none());
}

#[test]
fn a_stop_is_noticed() {
    let asked = std::cell::Cell::new(0);
    let cancelled = || asked.replace(asked.get() + 1) == 3;
    let stopped = Moments::of(&vec![1.0; 100_000], Rows::All, &cancelled);
    assert_eq!(stopped.unwrap_err(), Error::Cancelled);
    assert_eq!(asked.get(), 4);
}

proptest! {
    /// Whole numbers times a power of two, anywhere in the range, against exact sums.
    #[test]
    fn agrees_with_exact_arithmetic(
        numbers in prop::collection::vec(-1_000_000_000i64..1_000_000_000, 2..3_000),
        offset in prop_oneof![Just(0i64), Just(1i64 << 50)],
        exponent in -900i32..900,
    ) {
        let unit = 2f64.powi(exponent);
        let values: Vec<f64> = numbers.iter().map(|&number| (number + offset) as f64 * unit).collect();
        let n = numbers.len() as i128;
        let sum: i128 = numbers.iter().map(|&number| i128::from(number)).sum();
        let squares: i128 = numbers.iter().map(|&number| i128::from(number).pow(2)).sum();
        let mean = (sum + n * i128::from(offset)) as f64 / n as f64 * unit;
        let deviation = ((n * squares - sum * sum) as f64 / (n * (n - 1)) as f64).sqrt() * unit;
        let found = of(&values);
        // A mean near zero is as exact as the sum of magnitudes allows.
        prop_assert!((found.mean() - mean).abs() <= 1e-15 * mean.abs().max(unit));
        prop_assert!((found.stddev().unwrap() - deviation).abs() <= 1e-13 * deviation);
    }
}
