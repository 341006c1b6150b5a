//! Latency thresholds by trace name.
//!
//! Promises: memory for a bounded number of names. Leaves the retention of slow traces to [`super::TraceStore`].

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Names with a history; the least recently seen one is evicted.
const NAMES_MAX: usize = 500;
/// Durations compared with, per name.
const RECENT_MAX: usize = 100;
/// Fraction of slow traces, as a divisor: above the 95th percentile of the recent ones.
const SLOWEST_ONE_IN: usize = 20;

/// Durations of recent traces, by name.
#[derive(Debug, Default)]
pub(super) struct LatencyThreshold {
    names: BTreeMap<String, Recent>,
    clock: u64,
}

#[derive(Debug, Default)]
struct Recent {
    durations: VecDeque<Duration>,
    last_used: u64,
}

impl LatencyThreshold {
    /// Reports whether a trace took longer than nearly all recent ones of its name, and at least `slow_min`; records it
    /// for the next ones.
    pub fn is_slow(&mut self, name: &str, duration: Duration, slow_min: Duration) -> bool {
        self.clock += 1;
        if !self.names.contains_key(name) {
            self.evict_one();
            self.names.insert(name.to_owned(), Recent::default());
        }
        let Some(recent) = self.names.get_mut(name) else {
            return false;
        };
        recent.last_used = self.clock;
        let longer = recent.durations.iter().filter(|other| **other >= duration).count();
        // With few to compare with, only the slowest of all is slow.
        let slow = duration >= slow_min && longer <= recent.durations.len() / SLOWEST_ONE_IN;
        if recent.durations.len() >= RECENT_MAX {
            recent.durations.pop_front();
        }
        recent.durations.push_back(duration);
        slow
    }

    fn evict_one(&mut self) {
        if self.names.len() < NAMES_MAX {
            return;
        }
        let oldest = self.names.iter().min_by_key(|(_, recent)| recent.last_used);
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            self.names.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(100);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn slow_is_relative_to_the_same_name_and_never_fast() {
        let mut thresholds = LatencyThreshold::default();
        for _ in 0..50 {
            assert!(
                !thresholds.is_slow("fast", ms(2), MIN),
                "below the least time nothing is slow"
            );
            thresholds.is_slow("heavy", ms(900), MIN);
        }
        assert!(thresholds.is_slow("fast", ms(150), MIN));
        assert!(!thresholds.is_slow("heavy", ms(850), MIN), "usual for its name");
        assert!(thresholds.is_slow("heavy", ms(1_500), MIN));
        assert!(
            thresholds.is_slow("new", ms(200), MIN),
            "with nothing to compare, the least time decides"
        );
        assert!(!thresholds.is_slow("new", ms(200), MIN), "as slow as all before");
    }

    #[test]
    fn what_becomes_usual_is_not_slow_any_more() {
        let mut thresholds = LatencyThreshold::default();
        assert!((0..100).all(|_| !thresholds.is_slow("a", ms(10), MIN)));
        let found = (0..100).filter(|_| thresholds.is_slow("a", ms(300), MIN)).count();
        assert!((1..=10).contains(&found), "{found}");
    }

    #[test]
    fn names_are_bounded() {
        let mut thresholds = LatencyThreshold::default();
        for name in 0..NAMES_MAX * 2 {
            thresholds.is_slow(&name.to_string(), ms(1), MIN);
            thresholds.is_slow("always", ms(1), MIN);
        }
        assert_eq!(thresholds.names.len(), NAMES_MAX);
        assert_eq!(thresholds.names["always"].durations.len(), RECENT_MAX);
    }
}
