//! How long to wait before the next try at a session.
//!
//! Promises: grows from 50 ms to 2 s, with jitter, so that a fleet that lost its leader does not come back as one.

use std::time::Duration;

use lepton_core::random::Random;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// Grows with every failure in a row.
#[derive(Debug)]
pub(super) struct Backoff {
    random: Random,
    next: Duration,
}

impl Backoff {
    /// No failure yet.
    pub(super) fn new(random: Random) -> Self {
        Self { random, next: FIRST }
    }

    /// Something worked.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// The next pause: between half of it and all of it.
    pub(super) fn pause(&mut self) -> Duration {
        let longest = self.next;
        self.next = (self.next * 2).min(LONGEST);
        let half = longest / 2;
        let jitter = self.random.below(half.as_micros() as u64 + 1);
        half + Duration::from_micros(jitter)
    }
}
