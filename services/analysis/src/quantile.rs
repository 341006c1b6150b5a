//! Quantiles by linear interpolation between order statistics, as numpy's default method defines them.
//!
//! Only the ten order statistics that the five quantiles need are put in place: repeated selection on ever smaller
//! parts costs a third of a sort. Interpolation repeats numpy's operations in numpy's order, so results are equal to
//! the last bit; the outlier count depends on that.

use crate::Error;
use crate::chunk::{Cancelled, check};

const SHARES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// Five quantiles of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiles {
    /// 5 % of the values lie below.
    pub p05: f64,
    /// The first quartile.
    pub p25: f64,
    /// The median.
    pub p50: f64,
    /// The third quartile.
    pub p75: f64,
    /// 95 % of the values lie below.
    pub p95: f64,
}

/// The quantiles of present values, at least one, which are reordered.
pub(crate) fn quantiles(values: &mut [f64], cancelled: Cancelled<'_>) -> Result<Quantiles, Error> {
    let last = values.len() - 1;
    let place = |share: f64| {
        let position = last as f64 * share;
        let below = (position.floor() as usize).min(last);
        (below, (below + 1).min(last), position - below as f64)
    };
    let mut ranks: Vec<usize> = SHARES
        .iter()
        .flat_map(|&share| [place(share).0, place(share).1])
        .collect();
    ranks.dedup();
    select(values, 0, &ranks, cancelled)?;
    let at = |share: f64| {
        let (below, above, t) = place(share);
        interpolate(values[below], values[above], t)
    };
    let [p05, p25, p50, p75, p95] = SHARES.map(at);
    Ok(Quantiles {
        p05,
        p25,
        p50,
        p75,
        p95,
    })
}

/// Puts the values of the given ranks (ascending, counted from `offset`) where a sort would put them.
fn select(values: &mut [f64], offset: usize, ranks: &[usize], cancelled: Cancelled<'_>) -> Result<(), Error> {
    if ranks.is_empty() || values.len() < 2 {
        return Ok(());
    }
    check(cancelled)?;
    let middle = ranks.len() / 2;
    let rank = ranks[middle];
    let (left, _, right) = values.select_nth_unstable_by(rank - offset, f64::total_cmp);
    select(left, offset, &ranks[..middle], cancelled)?;
    select(right, rank + 1, &ranks[middle + 1..], cancelled)
}

/// The value at share `t` of the way from `a` to `b`.
fn interpolate(a: f64, b: f64, t: f64) -> f64 {
    let difference = b - a;
    if difference.is_infinite() {
        // Halving is exact for numbers whose difference overflows.
        return 2.0 * interpolate(a / 2.0, b / 2.0, t);
    }
    if t >= 0.5 {
        b - difference * (1.0 - t)
    } else {
        a + difference * t
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Quantiles {
        quantiles(&mut values.to_vec(), &|| false).unwrap()
    }

    #[test]
    fn one_value_is_every_quantile() {
        assert_eq!(
            of(&[3.5]),
            Quantiles {
                p05: 3.5,
                p25: 3.5,
                p50: 3.5,
                p75: 3.5,
                p95: 3.5
            }
        );
    }

    /// numpy 2: `np.quantile([7, 1, 3, 10], [.05, .25, .5, .75, .95])`.
    #[test]
    fn four_values_as_numpy_has_them() {
        assert_eq!(
            of(&[7.0, 1.0, 3.0, 10.0]),
            Quantiles {
                p05: 1.3,
                p25: 2.5,
                p50: 5.0,
                p75: 7.75,
                p95: 9.549999999999999
            }
        );
    }

    #[test]
    fn the_widest_range_does_not_overflow() {
        let found = of(&[-1.7e308, 1.7e308]);
        assert_eq!(found.p50, 0.0);
        assert!((found.p25 + 0.85e308).abs() < 1e293, "{}", found.p25);
    }

    proptest! {
        #[test]
        fn selection_agrees_with_sorting(values in prop::collection::vec(prop_oneof![-5.0..5.0f64, (-3..3i32).prop_map(f64::from)], 1..400)) {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let expected = SHARES.map(|share| {
                let position = (sorted.len() - 1) as f64 * share;
                let below = position.floor() as usize;
                interpolate(sorted[below], sorted[(below + 1).min(sorted.len() - 1)], position - position.floor())
            });
            let found = of(&values);
            prop_assert_eq!([found.p05, found.p25, found.p50, found.p75, found.p95], expected);
        }
    }
}
