//! Progress of running attempts, as their workers report it.
//!
//! Promises: only the latest progress of a task's present attempt is kept, and it goes with the attempt. Soft state:
//! never in the journal, and a new leader begins without. Leaves limits to `session`, and which worker may report to
//! [`Sessions`](super::sessions::Sessions).

use std::collections::HashMap;
use std::sync::Arc;

use lepton_domain::ids::TaskId;
use lepton_domain::task::Task;
use lepton_proto::task::v1::Progress;

#[cfg(test)]
mod tests;

/// The latest progress of every running attempt that has reported any.
#[derive(Debug, Default)]
pub(crate) struct AttemptProgress {
    by_task: HashMap<TaskId, Arc<Progress>>,
}

impl AttemptProgress {
    /// Keeps the progress of the running attempt, and returns it as callers see it.
    pub fn record(&mut self, task: TaskId, progress: Progress) -> Arc<Progress> {
        let progress = Arc::new(progress);
        self.by_task.insert(task, progress.clone());
        progress
    }

    /// Progress of the attempt that runs in this state of the task.
    pub fn of(&self, task: &Task) -> Option<Arc<Progress>> {
        let running = task.running_attempt()?;
        let latest = self.by_task.get(&task.id)?;
        (latest.attempt == running.number).then(|| latest.clone())
    }

    /// Drops the progress of a changed task, unless its attempt still runs.
    pub fn changed(&mut self, id: &TaskId, task: Option<&Task>) {
        let stays = task.is_some_and(|task| self.of(task).is_some());
        if !stays {
            self.by_task.remove(id);
        }
    }
}
