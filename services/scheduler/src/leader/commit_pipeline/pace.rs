//! The distance between two appends.
//!
//! Promises: after a small batch the next write starts at once; after a large one, which means load, it waits for
//! the spacing, so that batches grow.

use std::time::Duration;

/// Number of events above which a batch means load.
pub(super) const BUSY_EVENTS: usize = 32;

/// Start and size of the last write, by the monotonic clock.
#[derive(Debug)]
pub(crate) struct Pace {
    spacing: Duration,
    last_sent: Duration,
    busy: bool,
}

impl Pace {
    /// A pace at which nothing has been written yet.
    pub fn new(spacing: Duration) -> Self {
        Self {
            spacing,
            last_sent: Duration::ZERO,
            busy: false,
        }
    }

    /// Records a write of this many events.
    pub fn sent(&mut self, now: Duration, events: usize) {
        self.last_sent = now;
        self.busy = events > BUSY_EVENTS;
    }

    /// Drops the distance for good: a leader that resigns has no load to wait for.
    pub fn stop(&mut self) {
        self.spacing = Duration::ZERO;
    }

    /// Time until the next write may start; `None` when it may start now.
    pub fn remaining(&self, now: Duration) -> Option<Duration> {
        let left = (self.last_sent + self.spacing).saturating_sub(now);
        (self.busy && !left.is_zero()).then_some(left)
    }
}
