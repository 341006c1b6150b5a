//! Journal time.
//!
//! Promises: it starts at the time of the takeover and advances with the monotonic clock, so that it never goes back.

use std::time::Duration;

use lepton_core::clock::Clock;
use lepton_domain::time::Timestamp;

/// One moment by both of the leader's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// Journal time, by which the ledger decides.
    pub journal: Timestamp,
    /// The monotonic clock, by which the leader waits.
    pub monotonic: Duration,
}

/// Source of [`Now`] in one epoch.
#[derive(Debug, Clone)]
pub(crate) struct JournalClock {
    clock: Clock,
    base: Timestamp,
    started: Duration,
}

impl JournalClock {
    /// Starts at the journal time of the takeover.
    pub fn start(clock: Clock, base: Timestamp) -> Self {
        let started = clock.monotonic();
        Self { clock, base, started }
    }

    /// Reads both clocks.
    pub fn now(&self) -> Now {
        let monotonic = self.clock.monotonic();
        Now {
            journal: self.base.plus(monotonic.saturating_sub(self.started)),
            monotonic,
        }
    }
}
