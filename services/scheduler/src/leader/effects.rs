//! Performing what has been released, now that its segment has committed.
//!
//! Promises: nothing here decides anything, except that a task which became ready meets the workers. Leaves the ledger
//! alone. Answers whose callers have left are dropped.

use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ledger::{Effect, StateDigest};
use lepton_domain::queue::Ticket;
use lepton_domain::task::{State, Task};
use lepton_proto::journal::v1::Mark;

use super::batch::Release;
use super::message::Seen;
use super::{Leader, spans};

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
            Release::Answer { answer, outcome } => answer(outcome.map(|task| self.seen(task))),
            Release::Listing { answer, page } => drop(answer.send(Ok(page))),
            Release::Refusal { answer, fault } => drop(answer.send(Err(fault))),
            Release::Watching { answer, task, number } => {
                let seen = self.seen(task);
                drop(answer.send(Ok(self.watchers.serve(number, seen))));
            }
            Release::Publish(task) => {
                let seen = self.seen(task);
                self.watchers.publish(&seen);
            }
            Release::Settle {
                number,
                attempt,
                refused,
                reported,
            } => {
                if let Some(task) = self.ledger.task(&attempt.task) {
                    let took = self.clock.monotonic().saturating_sub(reported);
                    let refused = refused.as_ref().map(|fault| fault.reason.as_str());
                    spans::result_commit(task, attempt, refused, took);
                }
                self.finished += u64::from(refused.is_none());
                self.roster.settled(number, attempt, refused);
            }
            Release::Dispatch { number, attempt } => self.hand_out(number, attempt),
            Release::Effect(effect) => self.perform_effect(effect),
            Release::Snapshot(frozen) => self.write_snapshot(frozen),
        }
    }

    /// A committed state with what is known of its running attempt.
    fn seen(&self, task: Arc<Task>) -> Seen {
        let progress = self.headway.of(&task);
        Seen { task, progress }
    }

    fn perform_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Enqueue(id) => {
                // By now the task may have been cancelled or started: only a pending one waits in the queue.
                if let Some(task) = self.ledger.task(&id).cloned()
                    && task.state == State::Pending
                    && !self.holds.covers(&id)
                {
                    self.enqueue(&task);
                }
            }
            Effect::Dequeue(id) => {
                self.queue.remove(&id);
                self.holds.forget(&id);
                self.waits.forget(&id);
            }
            Effect::Stop { attempt, worker } => self.roster.stop(&worker, attempt),
            Effect::DeleteBlobs(task) => self.world.sweeper.delete(task),
            Effect::Changed(_) | Effect::Ended(_) => {}
        }
    }

    /// Puts a pending task into the queue.
    pub(super) fn enqueue(&mut self, task: &Task) {
        let ticket = ticket(task);
        let due = ticket
            .not_before
            .map_or(Duration::ZERO, |at| at.since(self.clock.now()));
        self.waits.begin(task, self.clock.monotonic() + due);
        self.queue.push(ticket);
    }

    /// Publishes the committed position.
    pub(super) fn publish(&self, mark: Mark, digest: &StateDigest) {
        self.world
            .progress
            .send_modify(|progress| progress.committed(mark, self.epoch, digest));
    }

    /// Publishes what waits, runs and has ended. Whoever wants it looks now and then, so nobody is woken.
    pub(super) fn publish_load(&mut self) {
        let queued = u32::try_from(self.queue.len()).unwrap_or(u32::MAX);
        let running = self
            .roster
            .sessions
            .values()
            .map(|session| session.running.len())
            .sum::<usize>();
        let finished = std::mem::take(&mut self.finished);
        self.world.progress.send_if_modified(|progress| {
            progress.queued = queued;
            progress.running = u32::try_from(running).unwrap_or(u32::MAX);
            progress.finished_total += finished;
            false
        });
    }
}
