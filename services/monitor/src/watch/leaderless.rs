//! Services without a leader, as the condition [`NO_LEADER`] of this monitor.
//!
//! Promises: the condition stands once no instance of a service has reported that it leads for the configured time, and
//! ends with the first that does. Reports decide, not etcd: a leader that froze or died leads no more, whatever etcd
//! holds, and while etcd is away a leader that answers is one. Leaves opening the incident to the rule for reported
//! conditions.

use std::collections::BTreeMap;
use std::time::Duration;

use lepton_core::conditions::Conditions;
use lepton_domain::condition::NO_LEADER;

/// Times since when services are without a leader.
#[derive(Debug)]
pub(super) struct LeaderlessTimers {
    after: Duration,
    conditions: Conditions,
    since: BTreeMap<&'static str, Duration>,
}

impl LeaderlessTimers {
    /// Timers that raise the condition after this time.
    pub fn new(after: Duration, conditions: Conditions) -> Self {
        Self {
            after,
            conditions,
            since: BTreeMap::new(),
        }
    }

    /// Records whether a service has a leader at monotonic time `now`.
    pub fn observe(&mut self, service: &'static str, led: bool, now: Duration) {
        if led {
            if self.since.remove(service).is_some() {
                self.conditions.clear(NO_LEADER, service);
            }
            return;
        }
        let since = *self.since.entry(service).or_insert(now);
        if now.saturating_sub(since) >= self.after {
            let after = self.after;
            let text = format!("no {service} has led for {after:?}: start one, or see in its log why it cannot lead");
            self.conditions.raise(NO_LEADER, service, service, &text);
        }
    }

    /// Begins anew, after a time in which this process was suspended and saw nothing. What stands is kept until there is
    /// a leader.
    pub fn reset(&mut self) {
        let standing = self.conditions.standing();
        let stands = |service: &str| {
            standing
                .iter()
                .any(|it| it.kind == NO_LEADER.name() && it.key == service)
        };
        self.since.retain(|service, _| stands(service));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn keys(conditions: &Conditions) -> Vec<String> {
        conditions.standing().into_iter().map(|it| it.key).collect()
    }

    #[test]
    fn the_condition_stands_after_the_time_and_until_there_is_a_leader() {
        let conditions = Conditions::default();
        let mut timers = LeaderlessTimers::new(seconds(10), conditions.clone());
        timers.observe("scheduler", false, seconds(100));
        timers.observe("monitor", true, seconds(100));
        timers.observe("scheduler", false, seconds(109));
        assert!(keys(&conditions).is_empty(), "an election takes a while");
        timers.observe("scheduler", false, seconds(110));
        assert_eq!(keys(&conditions), ["scheduler"]);
        timers.observe("scheduler", true, seconds(111));
        assert!(keys(&conditions).is_empty());
        timers.observe("scheduler", false, seconds(112));
        timers.observe("scheduler", false, seconds(121));
        assert!(keys(&conditions).is_empty(), "the time begins anew");
    }

    #[test]
    fn time_in_which_the_monitor_was_suspended_does_not_count() {
        let conditions = Conditions::default();
        let mut timers = LeaderlessTimers::new(seconds(10), conditions.clone());
        timers.observe("scheduler", false, seconds(100));
        timers.reset();
        timers.observe("scheduler", false, seconds(150));
        assert!(keys(&conditions).is_empty());
        timers.observe("scheduler", false, seconds(160));
        timers.reset();
        timers.observe("scheduler", true, seconds(170));
        assert!(keys(&conditions).is_empty(), "what stood is cleared by a leader");
    }
}
