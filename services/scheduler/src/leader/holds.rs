//! Tasks that are not started for a moment, because a worker has come back with the report of an attempt that was
//! given up.
//!
//! Promises: an attempt holds its task up once, and for a bounded time, whatever its worker does. Leaves the queue to
//! the leader: a task that is held is not in it.

use std::collections::HashMap;
use std::time::Duration;

use lepton_domain::ids::{AttemptId, TaskId};

#[cfg(test)]
mod tests;

/// How long a report that was announced is waited for. It follows the welcome, so a busy worker has time enough.
const HOLD_MAX: Duration = Duration::from_secs(2);

struct Hold {
    attempt: u32,
    /// None once it is over; kept, so that a worker that announces it again holds up nothing.
    until: Option<Duration>,
}

/// The tasks that are held, by the monotonic clock.
#[derive(Default)]
pub(crate) struct Holds {
    by_task: HashMap<TaskId, Hold>,
}

impl Holds {
    /// Holds a task until the report of this attempt is here; false if that was waited for before.
    pub fn hold(&mut self, attempt: AttemptId, now: Duration) -> bool {
        let known = self.by_task.get(&attempt.task);
        if known.is_some_and(|hold| hold.attempt >= attempt.number) {
            return false;
        }
        let hold = Hold {
            attempt: attempt.number,
            until: Some(now + HOLD_MAX),
        };
        self.by_task.insert(attempt.task, hold);
        true
    }

    /// Whether the task must not be started now.
    pub fn covers(&self, task: &TaskId) -> bool {
        self.by_task.get(task).is_some_and(|hold| hold.until.is_some())
    }

    /// Ends the hold on a task; whether it was held.
    pub fn end(&mut self, task: &TaskId) -> bool {
        let hold = self.by_task.get_mut(task);
        hold.is_some_and(|hold| hold.until.take().is_some())
    }

    /// The task has started or ended: nothing of it needs to be known.
    pub fn forget(&mut self, task: &TaskId) {
        self.by_task.remove(task);
    }

    /// Ends the holds whose time is up, and names their tasks.
    pub fn expire(&mut self, now: Duration) -> Vec<TaskId> {
        let due = self
            .by_task
            .iter_mut()
            .filter_map(|(task, hold)| hold.until.take_if(|until| *until <= now).map(|_| *task));
        due.collect()
    }
}
