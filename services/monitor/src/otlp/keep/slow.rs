//! What slow means for traces of one name.
//!
//! Promises: memory for a bounded number of names. Leaves what becomes of a slow trace to `keep`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Names whose past is known; the one not seen for longest goes.
const NAMES_MAX: usize = 500;
/// Traces of a name that it is compared with.
const RECENT_MAX: usize = 100;
/// One in so many is slow: above the 95th percentile of the recent ones.
const SLOWEST_ONE_IN: usize = 20;

/// How long recent traces took, by name.
#[derive(Debug, Default)]
pub(super) struct Slow {
    names: BTreeMap<String, Recent>,
    turn: u64,
}

#[derive(Debug, Default)]
struct Recent {
    durations: VecDeque<Duration>,
    seen: u64,
}

impl Slow {
    /// Whether a trace took longer than nearly all recent ones of its name, and at least `slow_min`. It counts for the
    /// next ones.
    pub fn judge(&mut self, name: &str, duration: Duration, slow_min: Duration) -> bool {
        self.turn += 1;
        if !self.names.contains_key(name) {
            self.forget_one();
            self.names.insert(name.to_owned(), Recent::default());
        }
        let Some(recent) = self.names.get_mut(name) else {
            return false;
        };
        recent.seen = self.turn;
        let longer = recent.durations.iter().filter(|other| **other >= duration).count();
        // With few to compare with, only the slowest of all is slow.
        let slow = duration >= slow_min && longer <= recent.durations.len() / SLOWEST_ONE_IN;
        if recent.durations.len() >= RECENT_MAX {
            recent.durations.pop_front();
        }
        recent.durations.push_back(duration);
        slow
    }

    fn forget_one(&mut self) {
        if self.names.len() < NAMES_MAX {
            return;
        }
        let oldest = self.names.iter().min_by_key(|(_, recent)| recent.seen);
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
        let mut slow = Slow::default();
        for _ in 0..50 {
            assert!(!slow.judge("fast", ms(2), MIN), "below the least time nothing is slow");
            slow.judge("heavy", ms(900), MIN);
        }
        assert!(slow.judge("fast", ms(150), MIN));
        assert!(!slow.judge("heavy", ms(850), MIN), "usual for its name");
        assert!(slow.judge("heavy", ms(1_500), MIN));
        assert!(
            slow.judge("new", ms(200), MIN),
            "with nothing to compare, the least time decides"
        );
        assert!(!slow.judge("new", ms(200), MIN), "as slow as all before");
    }

    #[test]
    fn what_becomes_usual_is_not_slow_any_more() {
        let mut slow = Slow::default();
        assert!((0..100).all(|_| !slow.judge("a", ms(10), MIN)));
        let found = (0..100).filter(|_| slow.judge("a", ms(300), MIN)).count();
        assert!((1..=10).contains(&found), "{found}");
    }

    #[test]
    fn names_are_bounded() {
        let mut slow = Slow::default();
        for name in 0..NAMES_MAX * 2 {
            slow.judge(&name.to_string(), ms(1), MIN);
            slow.judge("always", ms(1), MIN);
        }
        assert_eq!(slow.names.len(), NAMES_MAX);
        assert_eq!(slow.names["always"].durations.len(), RECENT_MAX);
    }
}
