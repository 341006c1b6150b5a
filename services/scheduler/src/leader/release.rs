//! Actions that become visible outside, and therefore wait for the write that they depend on; and their performance.

use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::{AttemptId, Kind};
use lepton_domain::ledger::Effect;
use lepton_domain::reason::Reason;
use lepton_domain::task::Task;
use lepton_journal::snapshot::Frozen;
use tokio::sync::oneshot;

use super::Leader;
use super::clock::Now;
use super::pending_reason::PendingReasons;
use super::spans;
use super::watchers::WatcherNumber;
use crate::error::CallError;
use crate::message::{Responder, SessionNumber, TaskCounts, TaskPage, TaskUpdates};

/// An answer to a caller.
pub(crate) enum Reply {
    /// A command or the read of one task.
    Task {
        responder: Responder,
        outcome: Result<Arc<Task>, CallError>,
    },
    /// A listing.
    Page {
        reply: oneshot::Sender<Result<TaskPage, CallError>>,
        tasks: Vec<Arc<Task>>,
        more: bool,
    },
    /// Numbers of tasks.
    Counts {
        reply: oneshot::Sender<Result<TaskCounts, CallError>>,
        counts: TaskCounts,
    },
    /// The paused kinds of a tenant.
    Kinds {
        reply: oneshot::Sender<Result<Vec<Kind>, CallError>>,
        outcome: Result<Vec<Kind>, CallError>,
    },
    /// The start of a watch, or its refusal.
    Watch {
        reply: oneshot::Sender<Result<TaskUpdates, CallError>>,
        outcome: Result<(Arc<Task>, WatcherNumber), CallError>,
    },
}

/// A worker's report that has been decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SettledReport {
    /// The session in which it arrived.
    pub number: SessionNumber,
    /// The attempt.
    pub attempt: AttemptId,
    /// Cause of its refusal; `None` when it was accepted.
    pub refused: Option<Reason>,
    /// Its arrival, by the monotonic clock.
    pub reported: Duration,
}

/// An action that waits for a write.
pub(crate) enum Release {
    /// Answer a caller.
    Reply(Reply),
    /// Show a changed task to its watchers.
    Publish(Arc<Task>),
    /// Acknowledge a worker's report.
    Settle(SettledReport),
    /// Send an attempt that may run only once to its worker.
    Dispatch { number: SessionNumber, attempt: AttemptId },
    /// Perform an effect of the ledger.
    Effect(Effect),
    /// Write a snapshot of the ledger as it was when the batch was sealed.
    Snapshot(Frozen),
}

impl Leader {
    /// Performs an action whose write has succeeded.
    pub(super) fn perform(&mut self, release: Release, now: Now) {
        let reasons = PendingReasons {
            sessions: &self.sessions,
            ready: &self.ready,
            now,
        };
        match release {
            Release::Reply(reply) => self.decider.reply(reply, reasons),
            Release::Publish(task) => self.decider.publish(task, reasons),
            Release::Settle(report) => {
                spans::report_committed(self.decider.ledger(), &report, now);
                self.finished += u64::from(report.refused.is_none());
                self.sessions.settle(report);
            }
            Release::Dispatch { number, attempt } => {
                self.sessions.dispatch(number, attempt, self.decider.ledger(), now);
            }
            Release::Effect(Effect::Enqueue(id)) => {
                self.ready.enqueue_if_startable(self.decider.ledger(), &id, now);
            }
            Release::Effect(Effect::Dequeue(id)) => self.ready.remove(&id),
            Release::Effect(Effect::Stop { attempt, worker }) => self.sessions.stop(&worker, attempt),
            Release::Effect(Effect::DeleteBlobs(task)) => self.sweeper.delete(task),
            Release::Effect(Effect::Changed(_) | Effect::Ended(_)) => {}
            Release::Snapshot(frozen) => self.maintenance.write_snapshot(frozen),
        }
    }
}
