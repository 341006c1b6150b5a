//! `lepton bench`: measures this mesh as a client sees it.

use std::time::Duration;

pub(super) mod analyze;
pub(super) mod infer;
pub(super) mod tasks;

/// The median and the 99th percentile, milliseconds; nothing was measured: zeros.
fn percentiles(mut measured: Vec<Duration>) -> (f64, f64) {
    measured.sort_unstable();
    let at = |share: f64| {
        // A share of a length below 2^53 rounds to an index within it.
        let index = ((measured.len() as f64 - 1.0).max(0.0) * share).round() as usize;
        measured
            .get(index)
            .map_or(0.0, |duration| (duration.as_secs_f64() * 1e6).round() / 1e3)
    };
    (at(0.5), at(0.99))
}

/// A figure with three decimals.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured() {
        assert_eq!(
            percentiles((1..=100).map(Duration::from_millis).collect()),
            (51.0, 99.0)
        );
        assert_eq!(percentiles(vec![]), (0.0, 0.0));
    }
}
