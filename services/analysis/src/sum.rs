//! Sums that keep their digits.
//!
//! [`Sum`] carries the rounding error of every addition along (Knuth's two-sum) in independent lanes, so that it
//! vectorises; its result is as good as a sum in twice the precision. [`dot`] is the fast kernel for short slices: plain
//! lanes, whose error is some tens of units in the last place of the sum of absolute terms.

const LANES: usize = 8;

/// A running compensated sum.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sum {
    high: [f64; LANES],
    low: [f64; LANES],
}

impl Sum {
    /// Adds `map(value)` for each value.
    pub(crate) fn extend(&mut self, values: &[f64], map: impl Fn(f64) -> f64) {
        let mut groups = values.chunks_exact(LANES);
        for group in &mut groups {
            for (lane, &value) in group.iter().enumerate() {
                self.add(lane, map(value));
            }
        }
        for (lane, &value) in groups.remainder().iter().enumerate() {
            self.add(lane, map(value));
        }
    }

    /// Adds one value.
    pub(crate) fn push(&mut self, value: f64) {
        self.add(0, value);
    }

    #[inline(always)]
    fn add(&mut self, lane: usize, value: f64) {
        let before = self.high[lane];
        let after = before + value;
        let taken = after - before;
        self.low[lane] += (before - (after - taken)) + (value - taken);
        self.high[lane] = after;
    }

    /// The sum, rounded once.
    pub(crate) fn total(&self) -> f64 {
        let mut whole = Self::default();
        for value in self.high {
            whole.push(value);
        }
        whole.high[0] + (whole.low[0] + self.low.iter().sum::<f64>())
    }
}

/// The sum of `map(x, y)` over two slices of one length.
#[inline]
pub(crate) fn dot(xs: &[f64], ys: &[f64], map: impl Fn(f64, f64) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let (mut left, mut right) = (xs.chunks_exact(LANES), ys.chunks_exact(LANES));
    for (x, y) in (&mut left).zip(&mut right) {
        for lane in 0..LANES {
            lanes[lane] += map(x[lane], y[lane]);
        }
    }
    let tail: f64 = left
        .remainder()
        .iter()
        .zip(right.remainder())
        .map(|(&x, &y)| map(x, y))
        .sum();
    lanes.iter().sum::<f64>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_where_terms_cancel() {
        let mut sum = Sum::default();
        sum.extend(&[1e16, 1.0, -1e16, 1e-3, 3e300, -3e300], |value| value);
        assert_eq!(sum.total(), 1.001);
    }

    #[test]
    fn a_million_tenths() {
        let mut sum = Sum::default();
        sum.extend(&vec![0.1; 1_000_000], |value| value);
        assert_eq!(sum.total(), 100_000.0);
    }

    #[test]
    fn dot_takes_every_element() {
        let xs: Vec<f64> = (0..29).map(f64::from).collect();
        assert_eq!(dot(&xs, &xs, |x, y| x * y), (28 * 29 * 57 / 6) as f64);
    }
}
