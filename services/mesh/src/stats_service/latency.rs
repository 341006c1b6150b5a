//! Recent latencies, in a ring without a lock.
//!
//! Promises: adding one never waits; of more than fit between two looks the newest count. A reader that races a writer
//! may see an older value of one place, which a percentile does not mind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Samples that are kept: more than an instance ends in an interval of pickers, 100 ms.
const KEPT: usize = 1_024;

/// The newest latencies.
#[derive(Debug)]
pub struct Latencies {
    micros: Box<[AtomicU64]>,
    added: AtomicU64,
}

/// Position of a watcher; the beginning by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen(Option<u64>);

/// Latencies of an interval, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// The median.
    pub p50_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
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
    pub fn add(&self, latency: Duration) {
        let place = self.added.fetch_add(1, Ordering::Relaxed) as usize % KEPT;
        self.micros[place].store(
            u64::try_from(latency.as_micros()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }

    /// The latencies added since this watcher's last look; zero when there were none. What ended before its first look
    /// belongs to no interval of its own.
    pub fn look(&self, seen: &mut Seen) -> Look {
        let added = self.added.load(Ordering::Relaxed);
        let before = seen.0.replace(added).unwrap_or(added);
        let count = (added.saturating_sub(before) as usize).min(KEPT);
        let place = |back: usize| (added as usize - 1 - back) % KEPT;
        let mut recent: Vec<u64> = (0..count)
            .map(|back| self.micros[place(back)].load(Ordering::Relaxed))
            .collect();
        recent.sort_unstable();
        // The least value that so many percent do not exceed: of few, the 99th percentile is the largest.
        let rank = |percent: usize| (recent.len() * percent).div_ceil(100).saturating_sub(1);
        let value = |percent| recent.get(rank(percent)).copied().unwrap_or(0);
        Look {
            p50_us: value(50),
            p99_us: value(99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(p50_us: u64, p99_us: u64) -> Look {
        Look { p50_us, p99_us }
    }

    #[test]
    fn a_look_is_of_what_is_new() {
        let (latencies, mut seen) = (Latencies::default(), Seen::default());
        latencies.add(Duration::from_secs(1));
        assert_eq!(latencies.look(&mut seen), look(0, 0), "before the first look");
        for micros in [5, 1, 9] {
            latencies.add(Duration::from_micros(micros));
        }
        let mut second = seen;
        assert_eq!(latencies.look(&mut seen), look(5, 9));
        latencies.add(Duration::from_micros(100));
        assert_eq!(latencies.look(&mut seen), look(100, 100));
        assert_eq!(latencies.look(&mut seen), look(0, 0));
        for _ in 0..5_000 {
            latencies.add(Duration::from_micros(7));
        }
        assert_eq!(latencies.look(&mut second), look(7, 7), "the newest count");
    }

    #[test]
    fn one_of_a_hundred_is_beyond_the_99th_percentile() {
        let (latencies, mut seen) = (Latencies::default(), Seen::default());
        latencies.look(&mut seen);
        for micros in (1..=200).rev() {
            latencies.add(Duration::from_micros(micros));
        }
        assert_eq!(latencies.look(&mut seen), look(100, 198));
    }
}
