//! Pearson's coefficient against exact arithmetic, and the cases in which there is none.

use proptest::prelude::*;

use super::*;

fn pairs(columns: &[(&str, &[f64])]) -> Vec<Correlation> {
    let variables: Vec<Variable<'_>> = columns
        .iter()
        .map(|&(name, values)| {
            let rows = if values.iter().any(|value| value.is_nan()) {
                Rows::Present
            } else {
                Rows::All
            };
            let moments = Moments::of(values, rows, &|| false).unwrap().expect("a value");
            Variable {
                name,
                values,
                rows,
                moments,
            }
        })
        .collect();
    correlations(&variables, &|| false).unwrap()
}

fn pair(a: &[f64], b: &[f64]) -> (Option<f64>, usize) {
    let found = pairs(&[("a", a), ("b", b)]);
    (found[0].r, found[0].count)
}

#[test]
fn pairs_come_in_column_order() {
    let found = pairs(&[
        ("z", &[1.0, 2.0, 4.0]),
        ("a", &[1.0, 2.0, 4.0]),
        ("m", &[3.0, 2.0, 0.0]),
    ]);
    let names: Vec<_> = found
        .iter()
        .map(|pair| (pair.a.as_str(), pair.b.as_str(), pair.r))
        .collect();
    assert_eq!(
        names,
        [("z", "a", Some(1.0)), ("z", "m", Some(-1.0)), ("a", "m", Some(-1.0))]
    );
}

#[test]
fn the_first_hundred_columns_are_correlated() {
    let columns = vec![("c", &[1.0, 2.0, 4.0][..]); 103];
    assert_eq!(pairs(&columns).len(), 100 * 99 / 2);
}

#[test]
fn without_variance_there_is_no_coefficient() {
    assert_eq!(pair(&[0.1; 3], &[1.0, 2.0, 3.0]), (None, 3));
    assert_eq!(pair(&[1.0], &[2.0]), (None, 1));
    let nan = f64::NAN;
    // Constant, or absent, over the rows that the two share.
    assert_eq!(pair(&[1.0, 5.0, 5.0], &[nan, 2.0, 3.0]), (None, 2));
    assert_eq!(pair(&[1.0, nan], &[nan, 2.0]), (None, 0));
}

#[test]
fn a_row_outside_the_pair_does_not_matter() {
    let xs = [1.0, 2.0, 3.0, 5.0, 8.0];
    let ys = [2.0, 1.0, 4.0, 3.0, 9.0];
    let (expected, _) = pair(&xs, &ys);
    for outside in [1e12, 1e300] {
        let (found, count) = pair(&[&[outside][..], &xs].concat(), &[&[f64::NAN][..], &ys].concat());
        assert_eq!((found, count), (expected, 5));
    }
}

#[test]
fn extreme_ranges_and_distant_means_keep_their_digits() {
    let ys: Vec<f64> = (0..50).map(|i| f64::from(i * i % 17)).collect();
    let plain: Vec<f64> = (0..50).map(|i| f64::from(i % 9)).collect();
    let expected = pair(&plain, &ys).0.unwrap();
    for (factor, offset) in [
        (2f64.powi(1_000), 0.0),
        (2f64.powi(-1_040), 0.0),
        (1.0, 2f64.powi(52)),
        (0.125, 1e14),
    ] {
        let moved: Vec<f64> = plain.iter().map(|&value| value * factor + offset).collect();
        let found = pair(&moved, &ys).0.unwrap();
        assert!(
            (found - expected).abs() < 1e-14,
            "{factor} {offset}: {found} instead of {expected}"
        );
    }
}

proptest! {
    #[test]
    fn agrees_with_exact_arithmetic(rows in prop::collection::vec((-10_000i64..10_000, -10_000i64..10_000, 0..5u8), 2..2_500)) {
        let column = |take: fn(&(i64, i64, u8)) -> Option<i64>| -> Vec<f64> {
            rows.iter().map(|row| take(row).map_or(f64::NAN, |value| value as f64)).collect()
        };
        let (xs, ys) = (column(|row| (row.2 != 1).then_some(row.0)), column(|row| (row.2 != 2).then_some(row.1)));
        prop_assume!(xs.iter().any(|x| !x.is_nan()) && ys.iter().any(|y| !y.is_nan()));
        let both = rows.iter().filter(|row| row.2 != 1 && row.2 != 2);
        let (mut n, mut x, mut y, mut xx, mut yy, mut xy) = (0i128, 0, 0, 0, 0, 0);
        for row in both {
            let (a, b) = (i128::from(row.0), i128::from(row.1));
            (n, x, y, xx, yy, xy) = (n + 1, x + a, y + b, xx + a * a, yy + b * b, xy + a * b);
        }
        let (r, count) = pair(&xs, &ys);
        prop_assert_eq!(count as i128, n);
        let variances = (n * xx - x * x, n * yy - y * y);
        if variances.0 == 0 || variances.1 == 0 {
            prop_assert_eq!(r, None);
        } else {
            let expected = (n * xy - x * y) as f64 / ((variances.0 as f64).sqrt() * (variances.1 as f64).sqrt());
            prop_assert!((r.unwrap() - expected).abs() < 1e-13);
        }
    }
}
