//! Events, the entries of the journal.
//!
//! Promises: events alone rebuild the ledger; they carry decisions, never rules, so that old events keep their meaning
//! when rules change. Leaves their encoding to the wire.

use super::command::Submission;
use crate::ids::{AttemptId, InstanceId, Kind, TaskId, Tenant};
use crate::task::{Payload, TaskError};
use crate::time::Timestamp;

/// Event: a fact with one place in the order of the journal, made by [`decide`](super::decide()) and applied by
/// [`apply`](super::apply()).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Begins a leadership; the first event of every epoch.
    EpochStarted {
        /// Leader.
        leader: InstanceId,
    },
    /// Activates a format for the segments from here on.
    FormatActivated {
        /// Format.
        format: u32,
    },
    /// Records an accepted task.
    Submitted(Box<Submission>),
    /// Records the start of an attempt.
    Started {
        /// Attempt.
        attempt: AttemptId,
        /// Worker that runs it.
        worker: InstanceId,
    },
    /// Ends a task with success.
    Succeeded {
        /// Attempt that won.
        attempt: AttemptId,
        /// Worker that ran it.
        worker: InstanceId,
        /// Result.
        output: Payload,
    },
    /// Records a failure of the current attempt that another one follows.
    AttemptFailed {
        /// Attempt.
        attempt: AttemptId,
        /// Worker that ran it.
        worker: InstanceId,
        /// Error.
        error: TaskError,
        /// Earliest start of the next attempt.
        retry_at: Timestamp,
        /// Last checkpoint of the attempt, for the next one.
        checkpoint: Option<Payload>,
    },
    /// Records that the worker of the current attempt is lost; another attempt follows.
    AttemptLost {
        /// Attempt.
        attempt: AttemptId,
        /// Worker that ran it.
        worker: InstanceId,
        /// Set if the worker ran nothing else, so that only this task can have ended it.
        alone: bool,
        /// Last checkpoint of the attempt, for the next one.
        checkpoint: Option<Payload>,
    },
    /// Records that a draining worker handed the current attempt back, which is no loss; another attempt follows.
    AttemptReturned {
        /// Attempt.
        attempt: AttemptId,
        /// Worker that ran it.
        worker: InstanceId,
        /// Last checkpoint of the attempt, for the next one.
        checkpoint: Option<Payload>,
    },
    /// Ends a task with failure.
    Failed {
        /// Task.
        task: TaskId,
        /// Attempt that caused the end, if one did.
        attempt: Option<AttemptId>,
        /// Error.
        error: TaskError,
    },
    /// Ends a task by cancellation.
    Cancelled {
        /// Task.
        task: TaskId,
        /// Reason, for the record.
        message: String,
    },
    /// Ends a task by its deadline.
    Expired {
        /// Task.
        task: TaskId,
    },
    /// Deletes the record of an ended task.
    Purged {
        /// Task.
        task: TaskId,
    },
    /// Stops starting attempts of a tenant's tasks of one kind.
    KindPaused {
        /// Owner.
        tenant: Tenant,
        /// Kind.
        kind: Kind,
    },
    /// Starts attempts of a paused kind again.
    KindResumed {
        /// Owner.
        tenant: Tenant,
        /// Kind.
        kind: Kind,
    },
}
