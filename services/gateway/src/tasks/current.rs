//! A task as the leader tells of it.
//!
//! Promises: progress is shown with the attempt that it belongs to, or not at all. Leaves large payloads to `payloads`.

use lepton_domain::ids::Version;
use lepton_domain::reason::Fault;
use lepton_domain::task::Task;
use lepton_proto::journal::v1::TaskRecord;
use lepton_proto::task::v1::Progress;

#[cfg(test)]
mod tests;

/// A committed state, and how far its running attempt is.
#[derive(Debug, Clone)]
pub struct Current {
    /// The state.
    pub task: Task,
    /// As far as the leader has heard.
    pub progress: Option<Progress>,
}

impl Current {
    /// Reads what the leader sent.
    pub fn read(record: TaskRecord, progress: Option<Progress>) -> Result<Self, Fault> {
        let task = Task::try_from(record)?;
        let running = task.running_attempt();
        let progress = progress.filter(|said| running.is_some_and(|attempt| attempt.number == said.attempt));
        Ok(Self { task, progress })
    }

    /// A state of which no more is known.
    pub fn of(task: Task) -> Self {
        Self { task, progress: None }
    }
}

/// What a watcher has seen of its task.
#[derive(Debug, Default)]
pub struct Seen {
    version: Option<Version>,
    progress: Option<Progress>,
}

impl Seen {
    /// Takes what came, and says whether it is news: a later state, or the same with other progress. An older state
    /// comes from a leader that has yet to catch up.
    pub fn is_news(&mut self, current: &Current) -> bool {
        let later = self.version.is_none_or(|seen| current.task.version > seen);
        let same = self.version == Some(current.task.version);
        let advanced = same && current.progress.is_some() && current.progress != self.progress;
        if later || advanced {
            self.version = Some(current.task.version);
            self.progress.clone_from(&current.progress);
        }
        later || advanced
    }
}
