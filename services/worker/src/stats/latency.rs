//! Recent latencies, in a ring without a lock.
//!
//! Promises: adding one never waits; of more than fit between two looks the newest count. A reader that races a writer
//! may see an older value of one place, which a median does not mind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many are kept: more than a worker ends in an interval of pickers, 100 ms.
const KEPT: usize = 1_024;

/// The newest latencies.
#[derive(Debug)]
pub(super) struct Latencies {
    micros: Box<[AtomicU64]>,
    added: AtomicU64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            micros: (0..KEPT).map(|_| AtomicU64::new(0)).collect(),
            added: AtomicU64::new(0),
        }
    }
}

impl Latencies {
    /// Adds one.
    pub(super) fn add(&self, latency: Duration) {
        let place = self.added.fetch_add(1, Ordering::Relaxed) as usize % KEPT;
        self.micros[place].store(
            u64::try_from(latency.as_micros()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }

    /// The median, in microseconds, of those added since `seen`, and how many have been added by now. Zero when none.
    pub(super) fn median_since(&self, seen: u64) -> (u64, u64) {
        let added = self.added.load(Ordering::Relaxed);
        let count = (added.saturating_sub(seen) as usize).min(KEPT);
        let place = |back: usize| (added as usize - 1 - back) % KEPT;
        let mut recent: Vec<u64> = (0..count)
            .map(|back| self.micros[place(back)].load(Ordering::Relaxed))
            .collect();
        if recent.is_empty() {
            return (0, added);
        }
        let middle = recent.len() / 2;
        (*recent.select_nth_unstable(middle).1, added)
    }
}
