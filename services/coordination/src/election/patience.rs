//! How long to doubt before a leader is deposed.
//!
//! Promises: pure. Each wrong suspicion doubles the wait, up to the lease's time, from where the lease is faster
//! anyway; a right one brings it back.

use std::time::Duration;

use super::LEASE_TTL;

/// The wait of a standby that has not been wrong.
const FIRST: Duration = Duration::from_millis(150);

/// The wait between a broken stream and the deposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience(Duration);

impl Default for Patience {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Patience {
    /// How long to try to reach the leader again.
    pub(super) fn wait(self) -> Duration {
        self.0
    }

    /// The deposed leader was alive.
    pub(super) fn was_wrong(&mut self) {
        self.0 = (self.0 * 2).min(LEASE_TTL);
    }

    /// The deposed leader was dead.
    pub(super) fn was_right(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_suspicion_doubles_the_wait() {
        let mut patience = Patience::default();
        assert_eq!(patience.wait(), Duration::from_millis(150));
        patience.was_wrong();
        patience.was_wrong();
        assert_eq!(patience.wait(), Duration::from_millis(600));
        for _ in 0..9 {
            patience.was_wrong();
        }
        assert_eq!(patience.wait(), LEASE_TTL);
        patience.was_right();
        assert_eq!(patience, Patience::default());
    }
}
