//! Tasks that are not started for a moment, because a worker has come back with the report of an attempt that was
//! given up.
//!
//! Promises: an attempt holds its task once, and for a bounded time, whatever its worker does. Leaves the queue to the
//! [`ReadyQueue`](super::ready_queue::ReadyQueue): a task that is held is not in it.

use std::collections::HashMap;
use std::time::Duration;

use lepton_domain::ids::{AttemptId, TaskId};

#[cfg(test)]
mod tests;

/// Grace for a report that was announced. It follows the welcome, so a busy worker has time enough.
const REPORT_GRACE: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Hold {
    attempt: u32,
    /// None once it is over; kept, so that a worker that announces it again holds up nothing.
    until: Option<Duration>,
}

/// The tasks that are held, by the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct HeldTasks {
    by_task: HashMap<TaskId, Hold>,
}

impl HeldTasks {
    /// Holds a task until the report of this attempt is here; false if the report has had its grace before.
    pub fn hold(&mut self, attempt: AttemptId, now: Duration) -> bool {
        let earlier = self.by_task.get(&attempt.task);
        if earlier.is_some_and(|hold| hold.attempt >= attempt.number) {
            return false;
        }
        let hold = Hold {
            attempt: attempt.number,
            until: Some(now + REPORT_GRACE),
        };
        self.by_task.insert(attempt.task, hold);
        true
    }

    /// Returns true while the task must not be started.
    pub fn covers(&self, task: &TaskId) -> bool {
        self.by_task.get(task).is_some_and(|hold| hold.until.is_some())
    }

    /// Ends the hold on a task; true if it was held.
    pub fn end(&mut self, task: &TaskId) -> bool {
        let hold = self.by_task.get_mut(task);
        hold.is_some_and(|hold| hold.until.take().is_some())
    }

    /// Forgets a task that has started or ended.
    pub fn forget(&mut self, task: &TaskId) {
        self.by_task.remove(task);
    }

    /// Ends the holds whose grace is over, and returns their tasks.
    pub fn expire(&mut self, now: Duration) -> Vec<TaskId> {
        let due = self
            .by_task
            .iter_mut()
            .filter_map(|(task, hold)| hold.until.take_if(|until| *until <= now).map(|_| *task));
        due.collect()
    }
}
