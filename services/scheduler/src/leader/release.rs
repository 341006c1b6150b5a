//! Actions that become visible outside, and therefore wait for the write that they depend on.

use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::{AttemptId, Kind};
use lepton_domain::ledger::Effect;
use lepton_domain::reason::Reason;
use lepton_domain::task::Task;
use lepton_journal::snapshot::Frozen;
use tokio::sync::oneshot;

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
        page: TaskPage,
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
