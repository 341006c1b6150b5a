//! Range, mean and sum of squared deviations of a set of values, without overflow or cancellation.
//!
//! Values are scaled by a power of two, which is exact, where their squares would leave the range of a double. The mean
//! is a compensated sum; deviations are taken from it in a further pass, and the rounding error of their sum is kept, so
//! that columns far from zero lose nothing.

use crate::Error;
use crate::chunk::{Cancelled, Rows, each};
use crate::sum::{Sum, dot};

/// Binary exponents up to this need no scaling: squares and sums of 2^32 of them stay well inside the range.
const EXPONENT_PLAIN_MAX: i32 = 400;
/// The largest exponent of a scale: its reciprocal is still a normal number.
const EXPONENT_SCALE_MAX: i32 = 1_000;

/// The moments from which other figures are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments {
    /// Number of values.
    pub(crate) count: usize,
    /// The least value.
    pub(crate) min: f64,
    /// The greatest value.
    pub(crate) max: f64,
    /// Factor of the values before anything else: a power of two.
    pub(crate) scale: f64,
    /// The mean of the scaled values, as well as a double can hold it.
    pub(crate) mean: f64,
    /// The mean of (scaled value - mean): what `mean` could not hold.
    pub(crate) residual: f64,
    /// The sum of squared deviations of the scaled values from their exact mean.
    pub(crate) squares: f64,
}

impl Moments {
    /// The moments of a column's chosen rows; `None` where there are none.
    pub(crate) fn of(values: &[f64], rows: Rows<'_>, cancelled: Cancelled<'_>) -> Result<Option<Self>, Error> {
        let (mut count, mut min, mut max) = (0, f64::INFINITY, f64::NEG_INFINITY);
        each([values], rows, cancelled, |[chunk]| {
            count += chunk.len();
            (min, max) = range(chunk, min, max);
        })?;
        if count == 0 {
            return Ok(None);
        }
        let scale = scale_for(min.abs().max(max.abs()));
        let mut moments = Self {
            count,
            min,
            max,
            scale,
            mean: min * scale,
            residual: 0.0,
            squares: 0.0,
        };
        if min < max {
            moments.deviate(values, rows, cancelled)?;
        }
        Ok(Some(moments))
    }

    fn deviate(&mut self, values: &[f64], rows: Rows<'_>, cancelled: Cancelled<'_>) -> Result<(), Error> {
        let (n, scale) = (self.count as f64, self.scale);
        let mut sum = Sum::default();
        each([values], rows, cancelled, |[chunk]| {
            sum.extend(chunk, |value| value * scale)
        })?;
        let mean = (sum.total() / n).clamp(self.min * scale, self.max * scale);
        let (mut first, mut second) = (Sum::default(), Sum::default());
        each([values], rows, cancelled, |[chunk]| {
            first.push(dot(chunk, chunk, |value, _| value * scale - mean));
            second.push(dot(chunk, chunk, |value, _| {
                (value * scale - mean) * (value * scale - mean)
            }));
        })?;
        let residual = first.total() / n;
        self.squares = (second.total() - n * residual * residual).max(0.0);
        (self.mean, self.residual) = (mean, residual);
        Ok(())
    }

    /// Returns true if all values are the same.
    pub(crate) fn constant(&self) -> bool {
        self.min == self.max
    }

    /// The mean of the values as given.
    pub(crate) fn mean(&self) -> f64 {
        // Without the residual: where values cancel, that is mostly the rounding of the deviations.
        (self.mean / self.scale).clamp(self.min, self.max)
    }

    /// The sample standard deviation (n - 1) of the values as given.
    pub(crate) fn stddev(&self) -> Option<f64> {
        let deviation = (self.squares / (self.count as f64 - 1.0)).sqrt() / self.scale;
        (self.count >= 2 && deviation.is_finite()).then_some(deviation)
    }

    /// The deviation of a value as given from the mean, scaled.
    #[inline(always)]
    pub(crate) fn deviation(&self, value: f64) -> f64 {
        (value * self.scale - self.mean) - self.residual
    }
}

/// Widens a range by the values of a chunk; in lanes, so that comparisons do not wait for each other.
fn range(chunk: &[f64], min: f64, max: f64) -> (f64, f64) {
    let (mut least, mut greatest) = ([min; 8], [max; 8]);
    let mut groups = chunk.chunks_exact(8);
    let widen = |least: &mut f64, greatest: &mut f64, value: f64| {
        *least = if value < *least { value } else { *least };
        *greatest = if value > *greatest { value } else { *greatest };
    };
    for group in &mut groups {
        for lane in 0..8 {
            widen(&mut least[lane], &mut greatest[lane], group[lane]);
        }
    }
    for &value in groups.remainder() {
        widen(&mut least[0], &mut greatest[0], value);
    }
    (
        least.into_iter().fold(min, f64::min),
        greatest.into_iter().fold(max, f64::max),
    )
}

/// The power of two that brings the largest magnitude near 1, or 1 where that is not needed.
pub(crate) fn scale_for(magnitude: f64) -> f64 {
    let exponent = ((magnitude.to_bits() >> 52) & 0x7ff) as i32 - 1_023;
    if magnitude == 0.0 || exponent.abs() <= EXPONENT_PLAIN_MAX {
        return 1.0;
    }
    let exponent = (-exponent).clamp(-EXPONENT_SCALE_MAX, EXPONENT_SCALE_MAX);
    f64::from_bits(((1_023 + exponent) as u64) << 52)
}

#[cfg(test)]
mod tests;
