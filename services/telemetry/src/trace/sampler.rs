//! Sampling of new traces.
//!
//! Promises: a quiet service is traced in full, a busy one by its share. Leaves traces that a caller began to the caller.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::TraceConfig;
use lepton_core::clock::Clock;
use lepton_core::random::Random;

/// The head sampler: decides for each new trace.
#[derive(Debug)]
pub(crate) struct Sampler {
    clock: Clock,
    ratio: f64,
    per_second: u64,
    /// The current second in the upper half, the traces begun in it in the lower.
    window: AtomicU64,
}

impl Sampler {
    pub(crate) fn new(config: &TraceConfig, clock: Clock) -> Self {
        Self {
            clock,
            ratio: config.ratio,
            per_second: config.per_second.into(),
            window: AtomicU64::new(0),
        }
    }

    pub(super) fn decide(&self, random: &Random) -> bool {
        // 53 bits are what a double holds exactly.
        let draw = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        draw < self.ratio || self.take(self.clock.monotonic().as_secs() & 0xffff_ffff)
    }

    /// Takes one of the second's traces. Two threads at a turn of the second may count in either: no harm.
    fn take(&self, second: u64) -> bool {
        let seen = self.window.load(Ordering::Relaxed);
        let fresh = seen >> 32 != second;
        let begun = if fresh { 0 } else { seen & 0xffff_ffff };
        if begun >= self.per_second {
            return false;
        }
        self.window.store((second << 32) | (begun + 1), Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(ratio: f64, per_second: u32) -> usize {
        let (sampler, random) = (
            Sampler::new(&TraceConfig { ratio, per_second }, Clock::system()),
            Random::seeded(1),
        );
        (0..1_000).filter(|_| sampler.decide(&random)).count()
    }

    #[test]
    fn either_rule_samples() {
        assert_eq!(sampled(1.0, 0), 1_000);
        assert_eq!(sampled(0.0, 0), 0);
        // The loop may cross a second or two.
        assert!((5..=15).contains(&sampled(0.0, 5)));
        assert!((50..200).contains(&sampled(0.1, 0)));
    }
}
