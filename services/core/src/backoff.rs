//! Exponential backoff between attempts.
//!
//! Promises: delays start at the minimum, double with each attempt and stay at the maximum; jitter comes from
//! [`Random`], so that a seeded run repeats. Leaves the decision to try again to the caller, and sleeping to the
//! runtime.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use crate::random::Random;

/// Delays before attempts that follow a failure.
#[derive(Debug)]
pub struct Backoff {
    builder: ExponentialBuilder,
    delays: ExponentialBackoff,
    max: Duration,
}

impl Backoff {
    /// Starts at `min` and doubles up to `max`.
    pub fn new(min: Duration, max: Duration) -> Self {
        let builder = ExponentialBuilder::default()
            .with_min_delay(min)
            .with_max_delay(max)
            .without_max_times();
        Self {
            builder,
            delays: builder.build(),
            max,
        }
    }

    /// Returns the delay before the next attempt and doubles the one after.
    pub fn delay(&mut self) -> Duration {
        self.delays.next().unwrap_or(self.max)
    }

    /// Returns a random delay between half of [`Backoff::delay`] and all of it, so that clients that failed together
    /// do not return together.
    pub fn jittered_delay(&mut self, random: &Random) -> Duration {
        let half = self.delay() / 2;
        half + Duration::from_micros(random.below(half.as_micros() as u64 + 1))
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.delays = self.builder.build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(50);
    const MAX: Duration = Duration::from_secs(1);

    #[test]
    fn delays_double_up_to_the_maximum_and_start_over() {
        let mut backoff = Backoff::new(MIN, MAX);
        let delays: Vec<u128> = (0..7).map(|_| backoff.delay().as_millis()).collect();
        assert_eq!(delays, [50, 100, 200, 400, 800, 1_000, 1_000]);
        assert!(
            (0..10_000).all(|_| backoff.delay() == MAX),
            "it neither ends nor overflows"
        );
        backoff.reset();
        assert_eq!(backoff.delay(), MIN);
    }

    #[test]
    fn jitter_halves_a_delay_at_most_and_repeats_with_its_seed() {
        let delays = |seed| {
            let (random, mut backoff) = (Random::seeded(seed), Backoff::new(MIN, MAX));
            (0..20)
                .map(|_| backoff.jittered_delay(&random))
                .collect::<Vec<Duration>>()
        };
        let first = delays(1);
        assert!(first[0] >= MIN / 2 && first[0] <= MIN);
        assert!(first[10..].iter().all(|delay| (MAX / 2..=MAX).contains(delay)));
        assert_eq!(first, delays(1));
        assert_ne!(first, delays(2));
    }
}
