//! The time between a broken stream and the eviction of a leader.
//!
//! Promises: pure. Each wrong suspicion doubles the wait, up to the lease's time, from where the lease is faster
//! anyway; a right one brings it back. An adaptive election timeout and no backoff between retries: nothing is tried again after
//! it, and it lasts from one suspicion to the next.

use std::time::Duration;

use super::LEASE_TTL;

/// The wait of a standby that has not been wrong.
const FIRST: Duration = Duration::from_millis(150);

/// The wait between a broken stream and the deposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ElectionTimeout(Duration);

impl Default for ElectionTimeout {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl ElectionTimeout {
    /// Time during which the leader is dialled again before it is evicted.
    pub(super) fn wait(self) -> Duration {
        self.0
    }

    /// The deposed leader was alive.
    pub(super) fn on_false_suspicion(&mut self) {
        self.0 = (self.0 * 2).min(LEASE_TTL);
    }

    /// The deposed leader was dead.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_suspicion_doubles_the_wait() {
        let mut timeout = ElectionTimeout::default();
        assert_eq!(timeout.wait(), Duration::from_millis(150));
        timeout.on_false_suspicion();
        timeout.on_false_suspicion();
        assert_eq!(timeout.wait(), Duration::from_millis(600));
        for _ in 0..9 {
            timeout.on_false_suspicion();
        }
        assert_eq!(timeout.wait(), LEASE_TTL);
        timeout.reset();
        assert_eq!(timeout, ElectionTimeout::default());
    }
}
