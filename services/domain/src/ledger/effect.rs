//! Effects of an applied event on the world.
//!
//! Promises: effects follow from the event and the state before it alone. Everyone computes them, only the leader
//! performs them, and only once the event's segment has committed.

use crate::ids::{AttemptId, InstanceId, TaskId};

/// Something for the leader to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Put the task into the queue, with its delay if it has one.
    Enqueue(TaskId),
    /// Take the task out of the queue, if it is there.
    Dequeue(TaskId),
    /// Tell the worker to stop this attempt.
    Stop {
        /// The attempt.
        attempt: AttemptId,
        /// The worker that runs it.
        worker: InstanceId,
    },
    /// Tell watchers that the task changed.
    Changed(TaskId),
    /// Tell waiters that the task ended; a `Changed` comes with it.
    Ended(TaskId),
    /// Delete every blob under the task's id, after some grace.
    DeleteBlobs(TaskId),
}
