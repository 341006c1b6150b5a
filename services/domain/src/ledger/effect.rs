//! Side effects of applied events.
//!
//! Promises: effects follow from the event and the state before it alone. Every replica computes them, only the leader
//! performs them, and only once the event's segment has committed.

use crate::ids::{AttemptId, InstanceId, TaskId};

/// Side effect of an [`Event`](super::Event), for the leader to perform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Enqueues the task, with its delay if it has one.
    Enqueue(TaskId),
    /// Removes the task from the queue, if it is there.
    Dequeue(TaskId),
    /// Stops an attempt on its worker.
    Stop {
        /// Attempt.
        attempt: AttemptId,
        /// Worker that runs it.
        worker: InstanceId,
    },
    /// Notifies watchers that the task changed.
    Changed(TaskId),
    /// Notifies waiters that the task ended; an [`Effect::Changed`] accompanies it.
    Ended(TaskId),
    /// Deletes every blob under the task's id, after some grace.
    DeleteBlobs(TaskId),
}
