//! Outliers by Tukey's fences.

use crate::Error;
use crate::chunk::{CHUNK, Cancelled, check};
use crate::quantile::Quantiles;

/// Distance beyond the quartiles, in interquartile ranges, from which a value is an outlier.
const FENCE: f64 = 1.5;

/// Number of present values strictly outside the fences. A fence that overflows lies beyond every double.
pub(crate) fn count(values: &[f64], quantiles: &Quantiles, cancelled: Cancelled<'_>) -> Result<usize, Error> {
    let range = quantiles.p75 - quantiles.p25;
    let (low, high) = (quantiles.p25 - FENCE * range, quantiles.p75 + FENCE * range);
    let mut outside = 0;
    for chunk in values.chunks(CHUNK) {
        check(cancelled)?;
        outside += chunk.iter().filter(|&&value| value < low || value > high).count();
    }
    Ok(outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_the_fence_is_inside() {
        let quantiles = Quantiles {
            p05: 0.0,
            p25: 2.0,
            p50: 3.0,
            p75: 4.0,
            p95: 9.0,
        };
        let values = [-1.0, -1.5, 7.0, 7.5, 3.0];
        assert_eq!(count(&values, &quantiles, &|| false), Ok(2));
        assert_eq!(count(&values, &quantiles, &|| true), Err(Error::Cancelled));
    }
}
