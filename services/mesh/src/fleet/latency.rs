//! Recent latencies, in a ring without a lock.
//!
//! Promises: adding one never waits; of more than fit between two looks the newest count. A reader that races a writer
//! may see an older value of one place, which a median does not mind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many are kept: more than an instance ends in an interval of pickers, 100 ms.
const KEPT: usize = 1_024;

/// The newest latencies.
#[derive(Debug)]
pub struct Latencies {
    micros: Box<[AtomicU64]>,
    added: AtomicU64,
}

/// How far a watcher has looked; nowhere yet by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen(Option<u64>);

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
    pub fn add(&self, latency: Duration) {
        let place = self.added.fetch_add(1, Ordering::Relaxed) as usize % KEPT;
        self.micros[place].store(
            u64::try_from(latency.as_micros()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }

    /// The median, in microseconds, of those added since this watcher's last look; zero when there were none. What ended
    /// before its first look belongs to no interval of its own.
    pub fn median(&self, seen: &mut Seen) -> u64 {
        let added = self.added.load(Ordering::Relaxed);
        let before = seen.0.replace(added).unwrap_or(added);
        let count = (added.saturating_sub(before) as usize).min(KEPT);
        let place = |back: usize| (added as usize - 1 - back) % KEPT;
        let mut recent: Vec<u64> = (0..count)
            .map(|back| self.micros[place(back)].load(Ordering::Relaxed))
            .collect();
        if recent.is_empty() {
            return 0;
        }
        let middle = recent.len() / 2;
        *recent.select_nth_unstable(middle).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_what_is_new() {
        let (latencies, mut seen) = (Latencies::default(), Seen::default());
        latencies.add(Duration::from_secs(1));
        assert_eq!(latencies.median(&mut seen), 0, "before the first look");
        for micros in [5, 1, 9] {
            latencies.add(Duration::from_micros(micros));
        }
        let mut second = seen;
        assert_eq!(latencies.median(&mut seen), 5);
        latencies.add(Duration::from_micros(100));
        assert_eq!(latencies.median(&mut seen), 100);
        assert_eq!(latencies.median(&mut seen), 0);
        for _ in 0..5_000 {
            latencies.add(Duration::from_micros(7));
        }
        assert_eq!(latencies.median(&mut second), 7, "the newest count");
    }
}
