//! Tasks as callers see them: committed records, each with the progress of its running attempt, or
//! the reason for which it waits.
//!
//! Promises: a watcher sees its task's committed states in order. Leaves holding back what has not committed to the
//! [`ReadGate`](super::read_gate::ReadGate) and the batch.

use std::sync::Arc;

use lepton_domain::ids::{AttemptId, TaskId};
use lepton_domain::ledger::{Effect, Ledger};
use lepton_domain::task::Task;
use lepton_proto::task::v1::Progress;

use super::pending_reason::PendingReasons;
use super::progress::AttemptProgress;
use super::release::{Release, Reply};
use super::watchers::{WatcherNumber, Watchers};
use crate::error::CallError;
use crate::message::{TaskPage, TaskView};

/// The watchers, and the progress that they and readers are shown.
#[derive(Default)]
pub(crate) struct TaskViews {
    watchers: Watchers,
    progress: AttemptProgress,
}

impl TaskViews {
    /// Registers a watcher, which is served once its [`Reply::Watch`] is released.
    pub fn watch(&mut self, task: TaskId) -> Result<WatcherNumber, CallError> {
        self.watchers.add(task).ok_or(CallError::TooManyWatchers)
    }

    /// Turns an [`Effect`] of an applied event into a [`Release`] with the state at that event; `None` when nobody
    /// waits for it.
    pub fn release_of(&mut self, effect: Effect, ledger: &Ledger) -> Option<Release> {
        match effect {
            Effect::Changed(id) => {
                let task = ledger.task(&id);
                self.progress.changed(&id, task.map(AsRef::as_ref));
                let watched = task.filter(|_| self.watchers.follow(&id));
                watched.cloned().map(Release::Publish)
            }
            // An end comes with a change, and watchers are the only ones who wait for either.
            Effect::Ended(_) => None,
            other => Some(Release::Effect(other)),
        }
    }

    /// Keeps the progress of a running attempt and shows it to those who have seen the attempt start.
    pub fn advance(&mut self, attempt: AttemptId, progress: Progress) {
        let progress = self.progress.record(attempt.task, progress);
        self.watchers.advance(attempt, &progress);
    }

    /// Shows a committed state to the task's watchers.
    pub fn publish(&mut self, task: Arc<Task>, ledger: &Ledger, reasons: PendingReasons<'_>) {
        let view = self.view(task, ledger, reasons);
        self.watchers.publish(&view);
    }

    /// Answers a caller. One that has left is passed over.
    pub fn reply(&mut self, reply: Reply, ledger: &Ledger, reasons: PendingReasons<'_>) {
        match reply {
            Reply::Task { responder, outcome } => responder(outcome.map(|task| self.view(task, ledger, reasons))),
            Reply::Page { reply, tasks, more } => {
                let tasks = tasks.into_iter().map(|task| self.view(task, ledger, reasons));
                let page = TaskPage {
                    tasks: tasks.collect(),
                    more,
                };
                drop(reply.send(Ok(page)));
            }
            Reply::Counts { reply, counts } => drop(reply.send(Ok(counts))),
            Reply::Kinds { reply, outcome } => drop(reply.send(outcome)),
            Reply::Watch { reply, outcome } => {
                let updates = outcome.map(|(task, number)| {
                    let view = self.view(task, ledger, reasons);
                    self.watchers.serve(number, view)
                });
                drop(reply.send(updates));
            }
        }
    }

    /// Refuses a caller whose [`Reply`] cannot be proved.
    pub fn refuse(&mut self, reply: Reply, error: CallError) {
        match reply {
            Reply::Task { responder, .. } => responder(Err(error)),
            Reply::Page { reply, .. } => drop(reply.send(Err(error))),
            Reply::Counts { reply, .. } => drop(reply.send(Err(error))),
            Reply::Kinds { reply, .. } => drop(reply.send(Err(error))),
            Reply::Watch { reply, outcome } => {
                if let Ok((task, number)) = outcome {
                    self.watchers.abandon(task.id, number);
                }
                drop(reply.send(Err(error)));
            }
        }
    }

    fn view(&self, task: Arc<Task>, ledger: &Ledger, reasons: PendingReasons<'_>) -> TaskView {
        TaskView {
            progress: self.progress.of(&task),
            pending_reason: reasons.of(ledger, &task),
            task,
        }
    }
}
