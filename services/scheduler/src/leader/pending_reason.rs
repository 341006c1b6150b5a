//! Reasons for which pending tasks wait, for those who read them.
//!
//! Promises: computed when a record is shown, from what the leader sees then; nothing of it is journalled, and the next
//! look may find another one. Leaves incidents to [`unplaceable`](super::unplaceable).

use lepton_domain::ledger::Ledger;
use lepton_domain::placement::unplaceable::unplaceable;
use lepton_domain::task::{State, Task};
use lepton_proto::convert::time::timestamp;

use super::clock::Now;
use super::ready_queue::ReadyQueue;
use super::sessions::Sessions;

#[cfg(test)]
mod tests;

/// Everything that a reason follows from, at one moment.
#[derive(Clone, Copy)]
pub(crate) struct PendingReasons<'a> {
    /// The connected workers.
    pub sessions: &'a Sessions,
    /// The queue.
    pub ready: &'a ReadyQueue,
    /// The moment.
    pub now: Now,
}

impl PendingReasons<'_> {
    /// Reason for which a task waits, as one sentence; empty unless it is pending.
    pub fn of(&self, ledger: &Ledger, task: &Task) -> String {
        if task.state != State::Pending {
            return String::new();
        }
        let kind = &task.spec.kind;
        if ledger.is_paused(&task.tenant, kind) {
            return "its kind is paused".to_owned();
        }
        if let Some(at) = task.not_before().filter(|at| *at > self.now.journal) {
            return format!("not before {}", timestamp(at));
        }
        if self.ready.holds(&task.id) {
            return "waits for the report of its last attempt".to_owned();
        }
        if let Some(reason) = unplaceable(kind, &task.spec.requirements, self.sessions.abilities()) {
            return reason.to_string();
        }
        if self.ready.waits_to_run_alone(&task.id) {
            return "waits to run alone".to_owned();
        }
        "waits for a slot".to_owned()
    }
}
