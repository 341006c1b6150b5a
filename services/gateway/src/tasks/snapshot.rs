//! Snapshot of a task: a committed state with the progress of its running attempt.
//!
//! Promises: progress is shown with the attempt that it belongs to, or not at all. Leaves large payloads to
//! [`super::payloads`].

use lepton_domain::ids::Version;
use lepton_domain::reason::ApiError;
use lepton_domain::task::Task;
use lepton_proto::journal::v1::TaskRecord;
use lepton_proto::task::v1::Progress;

#[cfg(test)]
mod tests;

/// A committed state, and the progress of its running attempt.
#[derive(Debug, Clone)]
pub struct TaskSnapshot {
    /// The state.
    pub task: Task,
    /// Progress as last reported to the leader.
    pub progress: Option<Progress>,
    /// Reason for which it waits; empty unless it is pending.
    pub pending_reason: String,
}

impl TaskSnapshot {
    /// Decodes the leader's record. Progress of another attempt is dropped.
    pub fn from_wire(record: TaskRecord, progress: Option<Progress>, pending_reason: String) -> Result<Self, ApiError> {
        let task = Task::try_from(record)?;
        let running = task.running_attempt();
        let progress = progress.filter(|reported| running.is_some_and(|attempt| attempt.number == reported.attempt));
        Ok(Self {
            task,
            progress,
            pending_reason,
        })
    }
}

/// The latest snapshot that a watcher has received.
#[derive(Debug, Default)]
pub struct WatchCursor {
    version: Option<Version>,
    progress: Option<Progress>,
}

impl WatchCursor {
    /// Moves on to a snapshot. False where it is not newer: a newer one has a later state, or the same state with other
    /// progress. An older state comes from a leader that has yet to catch up.
    pub fn advance(&mut self, snapshot: &TaskSnapshot) -> bool {
        let later = self.version.is_none_or(|seen| snapshot.task.version > seen);
        let same = self.version == Some(snapshot.task.version);
        let advanced = same && snapshot.progress.is_some() && snapshot.progress != self.progress;
        if later || advanced {
            self.version = Some(snapshot.task.version);
            self.progress.clone_from(&snapshot.progress);
        }
        later || advanced
    }
}
