//! Decisions: commands become events, which are applied at once and wait for their commit in the pipeline.
//!
//! Promises: deciding and applying happen together, in the order of arrival; a command is decided against everything
//! decided before it, committed or not, and its answer, a refusal included, waits for the commit of whatever it depends
//! on. Leaves writing to the [`CommitPipeline`] and opening the gate to the leader.

use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::{Epoch, TaskId};
use lepton_domain::ledger::{Command, FORMAT_MAX, Ledger, Policy, Rejection, apply, decide};
use lepton_domain::task::Task;
use lepton_domain::time::Timestamp;
use lepton_journal::snapshot::Frozen;

use self::searches::Searches;
use super::clock::Now;
use super::commit_pipeline::{CommitPipeline, Completed};
use super::maintenance::Maintenance;
use super::pending_reason::PendingReasons;
use super::read_gate::ReadGate;
use super::release::Reply;
use super::views::TaskViews;
use crate::error::{CallError, LeadershipLost};

mod calls;
mod searches;
#[cfg(test)]
pub(super) mod tests;

/// Tasks that are hashed again with each append.
const SCRUB_TASKS: usize = 16;

/// The speculative ledger and everything that waits for its commit.
pub(crate) struct Decider {
    epoch: Epoch,
    ledger: Ledger,
    policy: Policy,
    /// Events on their way into the journal; see [`CommitPipeline`].
    pub pipeline: CommitPipeline,
    /// Answers on their way out; see [`ReadGate`].
    pub reads: ReadGate,
    /// Tasks as callers see them; see [`TaskViews`].
    pub views: TaskViews,
    searches: Searches,
    /// Task with which the next scrub begins.
    scrub_from: TaskId,
    /// Cause for which the ledger must be thrown away, once there is one.
    lost: Option<LeadershipLost>,
}

impl Decider {
    /// A decider on a ledger whose epoch has just been opened.
    pub fn new(ledger: Ledger, policy: Policy, pipeline: CommitPipeline) -> Self {
        Self {
            epoch: ledger.epoch(),
            ledger,
            policy,
            pipeline,
            reads: ReadGate::default(),
            views: TaskViews::default(),
            searches: Searches::default(),
            scrub_from: TaskId::MIN,
            lost: None,
        }
    }

    /// The ledger with everything decided so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The epoch that it decides for.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Decides and applies a command; its effects wait in the batch. A refusal changes nothing.
    pub fn execute(&mut self, command: Command, now: Now) -> Result<(), Rejection> {
        let time = self.pipeline.batch_time();
        let time = time.unwrap_or_else(|| now.journal.max(self.ledger.now()));
        for event in decide(&self.ledger, &self.policy, command, time)? {
            self.pipeline.open_batch(&mut self.ledger, self.epoch, time);
            match apply(&mut self.ledger, &event) {
                Ok(effects) => {
                    let (views, ledger) = (&mut self.views, &self.ledger);
                    let releases = effects
                        .into_iter()
                        .filter_map(|effect| views.release_of(effect, ledger));
                    self.pipeline.record(event, releases);
                }
                // The ledger has just decided this event itself, so nothing more may be written.
                Err(illegal) => {
                    self.lost = Some(illegal.into());
                    break;
                }
            }
        }
        Ok(())
    }

    /// Returns true while the leader may decide by itself: the batch has room, and etcd answers.
    pub fn may_decide(&self, now: Now) -> bool {
        self.pipeline.has_room() && !self.pipeline.is_stalled(now.monotonic)
    }

    /// Returns true while messages are taken: not while a full batch waits, unless they must be refused anyway.
    pub fn accepts(&self, now: Now) -> bool {
        self.pipeline.has_room() || self.pipeline.is_stalled(now.monotonic)
    }

    /// Does what is due: deadlines and retention, by [`Command::Tick`], a newer format, by [`Command::ActivateFormat`], where
    /// every scheduler is known to support one, and a part of a search.
    pub fn tick(&mut self, supported: Option<u32>, now: Now) {
        self.continue_searches();
        self.activate_format(supported.unwrap_or_default().min(FORMAT_MAX), now);
        if self.may_decide(now) && self.next_timer().is_some_and(|due| due <= now.journal) {
            // A tick is never refused: with nothing due it decides nothing.
            let _nothing_due = self.execute(Command::Tick, now);
        }
    }

    fn activate_format(&mut self, format: u32, now: Now) {
        let active = self.ledger.format();
        if format > active && self.may_decide(now) && self.execute(Command::ActivateFormat { format }, now).is_ok() {
            tracing::info!(
                from = active,
                to = format,
                "every scheduler supports a newer format of the journal"
            );
        }
    }

    /// Time at which the next tick has something to do.
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.ledger.next_timer(&self.policy)
    }

    /// Refuses those who wait for a stalled append, or for the batch behind it, with [`CallError::JournalUnavailable`]:
    /// their outcomes are unknown.
    pub fn refuse_stalled(&mut self, now: Now) {
        if self.pipeline.is_stalled(now.monotonic) {
            for reply in self.reads.take_replies() {
                self.views.refuse(reply, CallError::JournalUnavailable);
            }
        }
    }

    /// Returns true when a write is wanted, with events or without.
    pub fn wants_write(&self) -> bool {
        self.pipeline.has_batch() || self.reads.wants_write()
    }

    /// Returns true when the wanted write may start now.
    pub fn write_is_due(&self, now: Now) -> bool {
        self.wants_write() && !self.pipeline.is_writing() && self.pipeline.pause(now.monotonic).is_none()
    }

    /// Time that a wanted write should still wait for the pace; none while a search has to go on.
    pub fn pause(&self, now: Now) -> Option<Duration> {
        if !self.searches.is_empty() {
            return Some(Duration::ZERO);
        }
        self.pipeline.pause(now.monotonic).filter(|_| self.wants_write())
    }

    /// Starts the next write if none is in flight: a batch first, the [`Maintenance`] of the journal in the gaps.
    pub fn start_write(&mut self, maintenance: &mut Maintenance, now: Now) -> Result<(), LeadershipLost> {
        if self.pipeline.is_writing() {
            return Ok(());
        }
        let due = self.write_is_due(now);
        if (!due || maintenance.has_waited())
            && let Some(request) = maintenance.next_write()
        {
            // Nothing depends on it.
            self.pipeline
                .send_maintenance(request, now.monotonic, self.ledger.digest());
        } else if due {
            self.send(now, |ledger| maintenance.freeze(ledger))?;
        }
        Ok(())
    }

    /// Sends the open batch, or a proof where there is none; what waits at the gate depends on it. With events, some
    /// tasks are hashed again, and `freeze` may copy the ledger for a snapshot. A task with another hash than the
    /// digest's means that nothing more may be built on this ledger.
    pub fn send(&mut self, now: Now, freeze: impl FnOnce(&Ledger) -> Option<Frozen>) -> Result<(), LeadershipLost> {
        let mut snapshot = None;
        if self.pipeline.has_batch() {
            self.scrub_from = self.ledger.scrub(self.scrub_from, SCRUB_TASKS)?;
            snapshot = freeze(&self.ledger);
        }
        self.reads.write_sent();
        self.pipeline.send(now.monotonic, self.ledger.digest(), snapshot);
        Ok(())
    }

    /// Ends the write in flight, which has succeeded. Answers are released before the effects of its events.
    pub fn complete(&mut self) -> Option<Completed> {
        let mut completed = self.pipeline.complete()?;
        let mut releases = self.reads.write_confirmed();
        releases.append(&mut completed.releases);
        Some(Completed { releases, ..completed })
    }

    /// Answers a caller.
    pub fn reply(&mut self, reply: Reply, reasons: PendingReasons<'_>) {
        self.views.reply(reply, &self.ledger, reasons);
    }

    /// Shows a committed state to the task's watchers.
    pub fn publish(&mut self, task: Arc<Task>, reasons: PendingReasons<'_>) {
        self.views.publish(task, &self.ledger, reasons);
    }

    /// Takes the cause for which the ledger must be thrown away.
    pub fn check(&mut self) -> Result<(), LeadershipLost> {
        self.lost.take().map_or(Ok(()), Err)
    }
}
