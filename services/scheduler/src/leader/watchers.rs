//! Watchers: the callers that follow a task.
//!
//! Promises: a watcher sees its task's committed states in order, the state at its request first; quick changes merge.
//! Bounded: one slot a watcher, and a cap on their number.

use std::collections::HashMap;
use std::sync::Arc;

use lepton_domain::ids::{AttemptId, TaskId};
use lepton_proto::task::v1::Progress;
use tokio::sync::watch;

use crate::message::{TaskUpdates, TaskView};

#[cfg(test)]
mod tests;

/// Name of a watcher.
pub(crate) type WatcherNumber = u64;

/// Number of watchers above which more are refused: each costs a stream.
pub(crate) const WATCHERS_MAX: usize = 50_000;

struct Watcher {
    number: WatcherNumber,
    /// Nothing until the state at the request has committed.
    sender: Option<watch::Sender<TaskView>>,
}

/// All watchers.
#[derive(Default)]
pub(crate) struct Watchers {
    by_task: HashMap<TaskId, Vec<Watcher>>,
    count: usize,
    next: WatcherNumber,
}

impl Watchers {
    /// Registers a watcher that is not yet served; none above [`WATCHERS_MAX`].
    pub fn add(&mut self, task: TaskId) -> Option<WatcherNumber> {
        if self.count >= WATCHERS_MAX {
            self.sweep();
        }
        if self.count >= WATCHERS_MAX {
            return None;
        }
        self.next += 1;
        self.count += 1;
        self.by_task.entry(task).or_default().push(Watcher {
            number: self.next,
            sender: None,
        });
        Some(self.next)
    }

    /// Serves a watcher from this state on.
    pub fn serve(&mut self, number: WatcherNumber, view: TaskView) -> TaskUpdates {
        let id = view.task.id;
        let ended = view.task.state.is_final();
        let (sender, receiver) = watch::channel(view);
        let waiting = self
            .by_task
            .get_mut(&id)
            .and_then(|list| list.iter_mut().find(|one| one.number == number));
        if let Some(watcher) = waiting {
            watcher.sender = Some(sender);
        }
        if ended {
            self.forget(id, |one| one.number != number);
        }
        receiver
    }

    /// Forgets a watcher that [`serve`](Self::serve) will not be called for.
    pub fn abandon(&mut self, task: TaskId, number: WatcherNumber) {
        self.forget(task, |one| one.number != number);
    }

    /// Returns true if the task has a watcher.
    pub fn follow(&self, task: &TaskId) -> bool {
        self.by_task.contains_key(task)
    }

    /// Sends a committed state, and lets go of watchers that have left or seen the end. A state that a watcher began
    /// beyond, which commits with the write that proved its start, is not sent to it.
    pub fn publish(&mut self, view: &TaskView) {
        let ended = view.task.state.is_final();
        let version = view.task.version;
        self.forget(view.task.id, |watcher| match &watcher.sender {
            None => true,
            Some(sender) if sender.borrow().task.version >= version => true,
            Some(sender) => sender.send(view.clone()).is_ok() && !ended,
        });
    }

    /// Sends the [`Progress`] of an attempt to those who have seen it start: the state that they see does not change.
    pub fn advance(&self, attempt: AttemptId, progress: &Arc<Progress>) {
        let followed = self.by_task.get(&attempt.task).into_iter().flatten();
        for sender in followed.filter_map(|watcher| watcher.sender.as_ref()) {
            sender.send_if_modified(|view| {
                let runs = view.task.running_attempt() == Some(attempt);
                if runs {
                    view.progress = Some(progress.clone());
                }
                runs
            });
        }
    }

    fn forget(&mut self, task: TaskId, keep: impl FnMut(&Watcher) -> bool) {
        if let Some(list) = self.by_task.get_mut(&task) {
            let before = list.len();
            list.retain(keep);
            self.count -= before - list.len();
            if list.is_empty() {
                self.by_task.remove(&task);
            }
        }
    }

    /// Lets go of every watcher whose receiver has left.
    fn sweep(&mut self) {
        self.by_task.retain(|_, list| {
            list.retain(|one| one.sender.as_ref().is_none_or(|sender| !sender.is_closed()));
            !list.is_empty()
        });
        self.count = self.by_task.values().map(Vec::len).sum();
    }
}
