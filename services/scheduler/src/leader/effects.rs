//! Performing what has been released, now that its segment has committed.
//!
//! Promises: nothing here decides anything, except that a task which became ready meets the workers. Leaves the ledger
//! alone. Answers whose callers have left are dropped.

use lepton_domain::ledger::{Effect, StateDigest};
use lepton_domain::queue::Ticket;
use lepton_domain::task::{State, Task};
use lepton_proto::journal::v1::Mark;

use super::Leader;
use super::batch::Release;

/// What the queue has to know of a pending task.
pub(super) fn ticket(task: &Task) -> Ticket {
    Ticket {
        task: task.id,
        tenant: task.tenant.clone(),
        kind: task.spec.kind.clone(),
        priority: task.spec.priority,
        not_before: task.not_before(),
        requirements: task.spec.requirements.clone(),
        order: task.created_seq,
    }
}

impl Leader {
    /// What an effect has to carry from the state at which it arose; none when nobody waits for it.
    pub(super) fn release_of(&self, effect: Effect) -> Option<Release> {
        match effect {
            Effect::Changed(id) if self.watchers.follow(&id) => self.ledger.task(&id).cloned().map(Release::Publish),
            // An end comes with a change, and watchers are the only ones who wait for either.
            Effect::Changed(_) | Effect::Ended(_) => None,
            other => Some(Release::Effect(other)),
        }
    }

    /// Performs one release.
    pub(super) fn perform(&mut self, release: Release) {
        match release {
            Release::Answer { answer, outcome } => answer(outcome),
            Release::Listing { answer, page } => drop(answer.send(Ok(page))),
            Release::Refusal { answer, fault } => drop(answer.send(Err(fault))),
            Release::Watching { answer, task, number } => drop(answer.send(Ok(self.watchers.serve(number, task)))),
            Release::Publish(task) => self.watchers.publish(&task),
            Release::Settle {
                number,
                attempt,
                refused,
            } => self.roster.settled(number, attempt, refused),
            Release::Dispatch { number, attempt } => self.hand_out(number, attempt),
            Release::Effect(effect) => self.perform_effect(effect),
            Release::Snapshot(frozen) => self.write_snapshot(frozen),
        }
    }

    fn perform_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Enqueue(id) => {
                // By now the task may have been cancelled or started: only a pending one waits in the queue.
                if let Some(task) = self.ledger.task(&id)
                    && task.state == State::Pending
                {
                    self.queue.push(ticket(task));
                }
            }
            Effect::Dequeue(id) => {
                self.queue.remove(&id);
            }
            Effect::Stop { attempt, worker } => self.roster.stop(&worker, attempt),
            Effect::DeleteBlobs(task) => self.world.sweeper.delete(task),
            Effect::Changed(_) | Effect::Ended(_) => {}
        }
    }

    /// Publishes the committed position.
    pub(super) fn publish(&mut self, mark: Mark, digest: &StateDigest) {
        let queued = u32::try_from(self.queue.len()).unwrap_or(u32::MAX);
        let running = self
            .roster
            .sessions
            .values()
            .map(|session| session.running.len())
            .sum::<usize>();
        self.world.progress.send_modify(|progress| {
            progress.committed(mark, self.epoch, digest);
            progress.queued = queued;
            progress.running = u32::try_from(running).unwrap_or(u32::MAX);
        });
    }
}
