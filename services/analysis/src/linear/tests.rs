//! Fits against NIST's certified values, planted solutions, and the rules of what is left out.
//!
//! Norris, Longley and Wampler1 are linear least squares sets of NIST's Statistical Reference Datasets
//! (<https://www.itl.nist.gov/div898/strd/lls/lls.shtml>); a computer's own digits limit the agreement.

use proptest::prelude::*;

use super::CleaningAction::{ColumnCollinear, ColumnConstant, ColumnEmpty, ColumnText, RowIncomplete};
use super::*;
use crate::{Packed, PackedColumn};

const NAN: f64 = f64::NAN;

fn table(columns: &[(&str, &[f64])]) -> Table {
    let packed = |&(name, values): &(&str, &[f64])| PackedColumn {
        name: name.into(),
        values: Packed::Numbers(values.to_vec()),
        valid: values.iter().map(|value| !value.is_nan()).collect(),
    };
    Table::from_columns(columns.iter().map(packed)).unwrap()
}

fn fitted(table: &Table, name: &str) -> (Fit, Vec<Cleaned>) {
    fit(table, target(table, name).unwrap(), &|| false).unwrap()
}

fn check(found: f64, certified: f64, relative: f64) {
    assert!(
        (found - certified).abs() <= relative * certified.abs(),
        "{found} instead of {certified}"
    );
}

fn check_fit(fit: &Fit, certified: &[f64], r2: f64, relative: f64) {
    check(fit.intercept.unwrap(), certified[0], relative);
    assert_eq!(fit.coefficients.len(), certified.len() - 1);
    for ((_, found), &certified) in fit.coefficients.iter().zip(&certified[1..]) {
        check(*found, certified, relative);
    }
    check(fit.r2.unwrap(), r2, relative);
}

fn removed(cleaned: &[Cleaned]) -> Vec<(&str, CleaningAction, usize)> {
    cleaned
        .iter()
        .map(|one| (one.column.as_str(), one.action, one.count))
        .collect()
}

#[test]
fn nist_norris() {
    let data = [
        (0.1, 0.2),
        (338.8, 337.4),
        (118.1, 118.2),
        (888.0, 884.6),
        (9.2, 10.1),
        (228.1, 226.5),
        (668.5, 666.3),
        (998.5, 996.3),
        (449.1, 448.6),
        (778.9, 777.0),
        (559.2, 558.2),
        (0.3, 0.4),
        (0.1, 0.6),
        (778.1, 775.5),
        (668.8, 666.9),
        (339.3, 338.0),
        (448.9, 447.5),
        (10.8, 11.6),
        (557.7, 556.0),
        (228.3, 228.1),
        (998.0, 995.8),
        (888.8, 887.6),
        (119.6, 120.2),
        (0.3, 0.3),
        (0.6, 0.3),
        (557.6, 556.8),
        (339.3, 339.1),
        (888.0, 887.2),
        (998.5, 999.0),
        (778.9, 779.0),
        (10.2, 11.1),
        (117.6, 118.3),
        (228.9, 229.2),
        (668.4, 669.1),
        (449.2, 448.9),
        (0.2, 0.5),
    ];
    let (y, x): (Vec<f64>, Vec<f64>) = data.into_iter().unzip();
    let (fit, cleaned) = fitted(&table(&[("y", &y), ("x", &x)]), "y");
    check_fit(&fit, &[-0.262323073774029, 1.00211681802045], 0.999993745883712, 1e-12);
    assert_eq!((fit.row_count, cleaned.len()), (36, 0));
}

#[test]
fn nist_longley() {
    let data: [[f64; 7]; 16] = [
        [60323.0, 83.0, 234289.0, 2356.0, 1590.0, 107608.0, 1947.0],
        [61122.0, 88.5, 259426.0, 2325.0, 1456.0, 108632.0, 1948.0],
        [60171.0, 88.2, 258054.0, 3682.0, 1616.0, 109773.0, 1949.0],
        [61187.0, 89.5, 284599.0, 3351.0, 1650.0, 110929.0, 1950.0],
        [63221.0, 96.2, 328975.0, 2099.0, 3099.0, 112075.0, 1951.0],
        [63639.0, 98.1, 346999.0, 1932.0, 3594.0, 113270.0, 1952.0],
        [64989.0, 99.0, 365385.0, 1870.0, 3547.0, 115094.0, 1953.0],
        [63761.0, 100.0, 363112.0, 3578.0, 3350.0, 116219.0, 1954.0],
        [66019.0, 101.2, 397469.0, 2904.0, 3048.0, 117388.0, 1955.0],
        [67857.0, 104.6, 419180.0, 2822.0, 2857.0, 118734.0, 1956.0],
        [68169.0, 108.4, 442769.0, 2936.0, 2798.0, 120445.0, 1957.0],
        [66513.0, 110.8, 444546.0, 4681.0, 2637.0, 121950.0, 1958.0],
        [68655.0, 112.6, 482704.0, 3813.0, 2552.0, 123366.0, 1959.0],
        [69564.0, 114.2, 502601.0, 3931.0, 2514.0, 125368.0, 1960.0],
        [69331.0, 115.7, 518173.0, 4806.0, 2572.0, 127852.0, 1961.0],
        [70551.0, 116.9, 554894.0, 4007.0, 2827.0, 130081.0, 1962.0],
    ];
    let columns: Vec<Vec<f64>> = (0..7)
        .map(|column| data.iter().map(|row| row[column]).collect())
        .collect();
    let names = ["y", "x1", "x2", "x3", "x4", "x5", "x6"];
    let named: Vec<(&str, &[f64])> = names.into_iter().zip(columns.iter().map(Vec::as_slice)).collect();
    let (fit, _) = fitted(&table(&named), "y");
    let certified = [
        -3482258.63459582,
        15.0618722713733,
        -0.358191792925910E-01,
        -2.02022980381683,
        -1.03322686717359,
        -0.511041056535807E-01,
        1829.15146461355,
    ];
    check_fit(&fit, &certified, 0.995479004577296, 1e-11);
}

#[test]
fn nist_wampler1() {
    let x: Vec<f64> = (0..21).map(f64::from).collect();
    let powers: Vec<Vec<f64>> = (1..=5).map(|power| x.iter().map(|x| x.powi(power)).collect()).collect();
    let y: Vec<f64> = x.iter().map(|x| (0..=5).map(|power| x.powi(power)).sum()).collect();
    let mut columns: Vec<(&str, &[f64])> = ["1", "2", "3", "4", "5"]
        .into_iter()
        .zip(powers.iter().map(Vec::as_slice))
        .collect();
    columns.push(("y", &y));
    let (fit, cleaned) = fitted(&table(&columns), "y");
    check_fit(&fit, &[1.0; 6], 1.0, 1e-8);
    assert_eq!(cleaned, []);
}

#[test]
fn the_later_column_of_a_collinear_set_goes() {
    let (a, b): (Vec<f64>, Vec<f64>) = (0..40)
        .map(|i| (f64::from(i % 7) / 10.0, f64::from(i % 11) / 3.0))
        .unzip();
    let sum: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
    let y: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 4.0 + 2.0 * a - 3.0 * b).collect();
    let (fit, cleaned) = fitted(&table(&[("a", &a), ("b", &b), ("sum", &sum), ("y", &y)]), "y");
    check_fit(&fit, &[4.0, 2.0, -3.0], 1.0, 1e-13);
    assert_eq!(removed(&cleaned), [("sum", ColumnCollinear, 40)]);
    let (fit, cleaned) = fitted(&table(&[("sum", &sum), ("y", &y), ("a", &a), ("b", &b)]), "y");
    check_fit(&fit, &[4.0, -3.0, 5.0], 1.0, 1e-13);
    assert_eq!(removed(&cleaned), [("b", ColumnCollinear, 40)]);
}

#[test]
fn what_is_left_out_is_named_in_column_order() {
    let text = PackedColumn {
        name: "t".into(),
        values: Packed::Text(vec!["x".into(); 6]),
        valid: vec![],
    };
    let empty = PackedColumn {
        name: "e".into(),
        values: Packed::Numbers(vec![0.0; 6]),
        valid: vec![false; 6],
    };
    let number = |name: &str, values: [f64; 6]| PackedColumn {
        name: name.into(),
        values: Packed::Numbers(values.to_vec()),
        valid: values.map(|value| !value.is_nan()).to_vec(),
    };
    let table = Table::from_columns([
        number("a", [1.0, 2.0, NAN, 3.0, 5.0, 4.0]),
        text,
        number("k", [7.0, NAN, 7.0, 7.0, NAN, 7.0]),
        number("b", [9.0, 2.0, 5.0, 2.0, 2.0, NAN]),
        empty,
        number("y", [NAN, 3.0, NAN, 5.0, 9.0, 1.0]),
    ])
    .unwrap();
    let (fit, cleaned) = fitted(&table, "y");
    let expected = [
        ("a", RowIncomplete, 1),
        ("t", ColumnText, 6),
        ("k", ColumnConstant, 4),
        ("b", RowIncomplete, 1),
        ("b", ColumnConstant, 5),
        ("e", ColumnEmpty, 0),
        ("y", RowIncomplete, 1),
    ];
    assert_eq!(removed(&cleaned), expected);
    check_fit(&fit, &[-1.0, 2.0], 1.0, 1e-14);
    assert_eq!(fit.row_count, 3);
}

#[test]
fn a_target_alone_gives_its_mean() {
    let (fit, _) = fitted(&table(&[("y", &[1.0, 2.0, 6.0])]), "y");
    assert_eq!(
        (fit.intercept, fit.coefficients.len(), fit.r2, fit.row_count),
        (Some(3.0), 0, Some(0.0), 3)
    );
}

#[test]
fn a_constant_target_has_no_r2() {
    let (fit, _) = fitted(&table(&[("x", &[1.0, 2.0, 6.0]), ("y", &[0.1, 0.1, 0.1])]), "y");
    assert_eq!((fit.intercept, fit.r2), (Some(0.1), None));
    assert_eq!(fit.coefficients, [("x".to_owned(), 0.0)]);
}

#[test]
fn without_a_complete_row_there_are_no_figures() {
    let (fit, cleaned) = fitted(&table(&[("x", &[1.0, 2.0, NAN]), ("y", &[NAN, NAN, 3.0])]), "y");
    assert_eq!(
        (fit.intercept, fit.r2, fit.row_count, fit.coefficients.len()),
        (None, None, 0, 0)
    );
    assert_eq!(removed(&cleaned), [("x", RowIncomplete, 1), ("y", RowIncomplete, 2)]);
}

#[test]
fn more_columns_than_rows_leave_the_later_ones_out() {
    let columns: Vec<Vec<f64>> = (0..9)
        .map(|c| (0..4).map(|r| f64::from((c * 7 + r * r * 5 + c * r) % 13)).collect())
        .collect();
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "y"];
    let named: Vec<(&str, &[f64])> = names.into_iter().zip(columns.iter().map(Vec::as_slice)).collect();
    let (fit, cleaned) = fitted(&table(&named), "y");
    assert!(fit.coefficients.len() <= 3 && fit.coefficients[0].0 == "a");
    assert_eq!(fit.coefficients.len() + cleaned.len(), 8);
    check(fit.r2.unwrap(), 1.0, 1e-12);
}

/// Many columns shrink what is left of a block until it underflows; the fit must not notice.
#[test]
fn wide_and_long_tables_stay_finite() {
    let width = 400;
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 24)
    };
    let columns: Vec<Vec<f64>> = (0..width).map(|_| (0..900).map(|_| next()).collect()).collect();
    let y: Vec<f64> = (0..900)
        .map(|row| 5.0 + columns.iter().map(|column| column[row]).sum::<f64>())
        .collect();
    let names: Vec<String> = (0..width).map(|column| format!("c{column}")).collect();
    let mut named: Vec<(&str, &[f64])> = names
        .iter()
        .map(String::as_str)
        .zip(columns.iter().map(Vec::as_slice))
        .collect();
    named.push(("y", &y));
    let (fit, _) = fitted(&table(&named), "y");
    let mut certified = vec![1.0; width + 1];
    certified[0] = 5.0;
    check_fit(&fit, &certified, 1.0, 1e-10);
}

#[test]
fn a_target_must_exist_and_be_numeric() {
    let empty = table(&[("x", &[1.0]), ("y", &[NAN])]);
    let absent = target(&empty, "z").expect_err("it is absent");
    assert_eq!(
        absent.to_string(),
        r#"there is no column "z" to use as the target; the columns are "x", "y""#
    );
    let kind = crate::ColumnType::Empty;
    assert_eq!(
        target(&empty, "y"),
        Err(Error::TargetNotNumeric {
            target: "y".into(),
            kind
        })
    );
}

proptest! {
    /// With three features drawn at random, the residuals of a noisy plane are orthogonal to every feature.
    #[test]
    fn residuals_are_orthogonal(
        rows in prop::collection::vec((-100.0..100.0f64, -1.0..1.0f64, 0.0..1e6f64, -50.0..50.0f64), 10..1_500),
    ) {
        let column = |take: fn(&(f64, f64, f64, f64)) -> f64| rows.iter().map(take).collect::<Vec<f64>>();
        let (a, b, c, y) = (column(|r| r.0), column(|r| r.1), column(|r| r.2), column(|r| r.3 + r.0));
        let (fit, _) = fitted(&table(&[("a", &a), ("b", &b), ("c", &c), ("y", &y)]), "y");
        prop_assert_eq!(fit.coefficients.len(), 3);
        let at = |k: usize| fit.coefficients[k].1;
        let residuals: Vec<f64> = (0..y.len())
            .map(|i| y[i] - fit.intercept.unwrap() - at(0) * a[i] - at(1) * b[i] - at(2) * c[i])
            .collect();
        for (feature, size) in [(&a, 100.0), (&b, 1.0), (&c, 1e6), (&vec![1.0; y.len()], 1.0)] {
            let product: f64 = residuals.iter().zip(feature).map(|(r, x)| r * x).sum();
            prop_assert!(product.abs() < 1e-9 * size * y.len() as f64, "{}", product);
        }
    }
}
