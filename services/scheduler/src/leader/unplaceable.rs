//! Tasks that no connected worker could run, as the condition [`UNPLACEABLE_TASKS`] of the leader.
//!
//! Promises: one condition for each tenant, kind and set of required labels, however many tasks wait, once nothing could
//! run them for the configured time; it ends with the first worker that could, or with the tasks. A new leader waits for
//! the workers to connect before it judges, and then counts from the time since when the tasks wait. Bounded work each
//! second. Leaves opening incidents to the monitor.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lepton_core::conditions::Conditions;
use lepton_domain::condition::UNPLACEABLE_TASKS;
use lepton_domain::placement::unplaceable::{Unplaceable, listed, unplaceable};
use lepton_domain::queue::Ticket;
use lepton_domain::session::TAKEOVER_WAIT;
use lepton_domain::text::excerpt;
use lepton_domain::time::Timestamp;

use super::clock::Now;
use super::ready_queue::ReadyQueue;
use super::sessions::Sessions;

#[cfg(test)]
mod tests;

/// Interval of the checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Flows that one check looks at: it must not hold up the leader.
const FLOWS_MAX: usize = 1_024;

/// The check, and since when each flow is unplaceable.
pub(crate) struct UnplaceableTasks {
    after: Duration,
    conditions: Conditions,
    next_check: Duration,
    /// Journal time of the last check; `None` before the first.
    checked: Option<Timestamp>,
    since: BTreeMap<String, Timestamp>,
}

/// Tasks of one tenant and kind, with the same requirements, that nothing can run.
struct Found<'a> {
    first: &'a Ticket,
    count: usize,
    reason: Unplaceable,
}

impl UnplaceableTasks {
    /// A check at the moment of the takeover, which raises conditions after this time.
    pub fn new(after: Duration, conditions: Conditions, now: Now) -> Self {
        Self {
            after,
            conditions,
            next_check: now.monotonic + TAKEOVER_WAIT,
            checked: None,
            since: BTreeMap::new(),
        }
    }

    /// Raises and clears conditions, if the next check is due.
    pub fn check(&mut self, ready: &ReadyQueue, sessions: &Sessions, now: Now) {
        if now.monotonic < self.next_check {
            return;
        }
        self.next_check = now.monotonic + CHECK_INTERVAL;
        let found = find(ready, sessions, now);
        self.since.retain(|key, _| found.contains_key(key));
        // What was placeable at the last check has become unplaceable after it.
        let placeable_until = self.checked.replace(now.journal).unwrap_or_default();
        let mut raised = BTreeSet::new();
        for (key, found) in found {
            let waiting = found.first.since.max(placeable_until);
            let since = *self.since.entry(key.clone()).or_insert(waiting);
            if now.journal.since(since) >= self.after {
                let tenant = found.first.tenant.as_str();
                self.conditions.raise(UNPLACEABLE_TASKS, tenant, &key, &found.text());
                raised.insert(key);
            }
        }
        self.conditions.retain(UNPLACEABLE_TASKS, &raised);
    }
}

impl Drop for UnplaceableTasks {
    /// Tasks are the next leader's concern.
    fn drop(&mut self) {
        self.conditions.clear_all(UNPLACEABLE_TASKS);
    }
}

impl Found<'_> {
    fn text(&self) -> String {
        let (tenant, kind) = (excerpt(self.first.tenant.as_str()), excerpt(self.first.kind.as_str()));
        let tasks = match self.count {
            1 => "1 task".to_owned(),
            count => format!("{count} tasks"),
        };
        let reason = &self.reason;
        format!(
            "{tasks} of tenant {tenant:?} and kind {kind:?} cannot run: {reason}; start one that does, or cancel them"
        )
    }
}

/// Flows that no connected worker could run, by the key of their condition.
fn find<'a>(ready: &'a ReadyQueue, sessions: &Sessions, now: Now) -> BTreeMap<String, Found<'a>> {
    let mut found: BTreeMap<String, Found<'a>> = BTreeMap::new();
    for flow in ready.flows(now.journal).take(FLOWS_MAX) {
        let first = flow.first;
        let Some(reason) = unplaceable(&first.kind, &first.requirements, sessions.abilities()) else {
            continue;
        };
        let key = format!("{}/{}/{}", first.tenant, first.kind, listed(&first.requirements));
        let counted = found.entry(key).or_insert(Found {
            first,
            count: 0,
            reason,
        });
        counted.count += flow.count;
    }
    found
}
