//! How far running attempts are, as their workers say.
//!
//! Promises: only what the present attempt of a task says is kept, the latest of it, and within limits; it goes with the
//! attempt. Soft state: never in the journal, and a new leader begins without. Leaves who may say it to `roster`.

use std::collections::HashMap;
use std::sync::Arc;

use lepton_domain::ids::TaskId;
use lepton_domain::task::Task;
use lepton_proto::task::v1::Progress;

#[cfg(test)]
mod tests;

/// Figures kept of one attempt.
const FIGURES_MAX: usize = 16;
/// The longest name of a figure.
const NAME_BYTES_MAX: usize = 64;

/// The latest progress of every running attempt that has told any.
#[derive(Debug, Default)]
pub(crate) struct Headway {
    by_task: HashMap<TaskId, Arc<Progress>>,
}

/// What is kept of what a worker says: numbers that mean something, in a bounded space. None where nothing is left.
pub(crate) fn bounded(mut progress: Progress) -> Option<Progress> {
    if !progress.fraction.is_finite() {
        return None;
    }
    progress.fraction = progress.fraction.clamp(0.0, 1.0);
    let figures = std::mem::take(&mut progress.figures).into_iter();
    let fit = figures.filter(|(name, value)| value.is_finite() && !name.is_empty() && name.len() <= NAME_BYTES_MAX);
    progress.figures = fit.take(FIGURES_MAX).collect();
    Some(progress)
}

impl Headway {
    /// Keeps the progress of the attempt that runs, and gives it back as it is shown.
    pub fn note(&mut self, task: TaskId, progress: Progress) -> Arc<Progress> {
        let progress = Arc::new(progress);
        self.by_task.insert(task, progress.clone());
        progress
    }

    /// How far the attempt is that runs in this state of the task.
    pub fn of(&self, task: &Task) -> Option<Arc<Progress>> {
        let running = task.running_attempt()?;
        let latest = self.by_task.get(&task.id)?;
        (latest.attempt == running.number).then(|| latest.clone())
    }

    /// A task has changed: what its attempt said goes with the attempt.
    pub fn changed(&mut self, id: &TaskId, task: Option<&Task>) {
        let stays = task.is_some_and(|task| self.of(task).is_some());
        if !stays {
            self.by_task.remove(id);
        }
    }
}
