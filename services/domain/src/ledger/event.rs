//! Events: the entries of the journal.
//!
//! Promises: events alone rebuild the ledger; they carry decisions, never rules, so that old events keep their
//! meaning when rules change. Leaves their encoding to the wire.

use super::command::Submission;
use crate::ids::{AttemptId, InstanceId, TaskId};
use crate::task::{Payload, TaskError};
use crate::time::Timestamp;

/// Something that happened, once, at one place in the order of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A leader began; the first event of every epoch.
    EpochStarted {
        /// The instance that leads.
        leader: InstanceId,
    },
    /// Segments may use this format from here on.
    FormatActivated {
        /// The format.
        format: u32,
    },
    /// A task was taken.
    Submitted(Box<Submission>),
    /// An attempt began.
    Started {
        /// The attempt.
        attempt: AttemptId,
        /// The worker that runs it.
        worker: InstanceId,
    },
    /// The task delivered.
    Succeeded {
        /// The attempt that won.
        attempt: AttemptId,
        /// The worker that ran it.
        worker: InstanceId,
        /// The result.
        output: Payload,
    },
    /// The current attempt failed and another will follow.
    AttemptFailed {
        /// The attempt.
        attempt: AttemptId,
        /// The worker that ran it.
        worker: InstanceId,
        /// Why.
        error: TaskError,
        /// Earliest time of the next attempt.
        retry_at: Timestamp,
    },
    /// The worker of the current attempt vanished and another attempt will follow.
    AttemptLost {
        /// The attempt.
        attempt: AttemptId,
        /// The worker that ran it.
        worker: InstanceId,
    },
    /// The task failed for good.
    Failed {
        /// The task.
        task: TaskId,
        /// The attempt that was the last straw, if one was.
        attempt: Option<AttemptId>,
        /// Why.
        error: TaskError,
    },
    /// The task was withdrawn.
    Cancelled {
        /// The task.
        task: TaskId,
        /// The caller that withdrew it, and the reason.
        message: String,
    },
    /// The task's deadline passed.
    Expired {
        /// The task.
        task: TaskId,
    },
    /// The record of an ended task was deleted.
    Purged {
        /// The task.
        task: TaskId,
    },
}
