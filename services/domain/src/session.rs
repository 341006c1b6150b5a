//! Sessions of workers on the leader's side, and their reconciliation after a takeover.
//!
//! Promises: no more attempts than slots; a running task that no worker declares is given up after a takeover, and not
//! before. Leaves the stream, its heartbeats and the clock to the scheduler.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{AttemptId, InstanceId, Kind};
use crate::ledger::{Command, Ledger};
use crate::task::{State, Task};
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// Longest silence of a session before its attempts count as lost: within five seconds, with the interval of the
/// checks.
pub const SILENCE_MAX: Duration = Duration::from_secs(4);
/// Time that a new leader waits for workers to declare their attempts.
pub const TAKEOVER_WAIT: Duration = Duration::from_secs(5);

/// State of a connected worker, kept by the leader for [`reconcile`] and [`overdue`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Worker.
    pub worker: InstanceId,
    /// Concurrent attempts.
    pub slots: u32,
    /// Kinds that it runs.
    pub kinds: BTreeSet<Kind>,
    /// Labels that requirements are matched with.
    pub labels: BTreeMap<String, String>,
    /// Attempts dispatched to it or declared by it, and not yet finished.
    pub running: BTreeSet<AttemptId>,
    /// Time of its last message.
    pub last_heard: Timestamp,
    /// Set once it accepts no more attempts.
    pub draining: bool,
    /// Attempt of a [suspect](Task::is_suspect), beside which it runs nothing else.
    pub exclusive: Option<AttemptId>,
    /// Set while it accepts nothing, so that it becomes idle for a suspect.
    pub reserved: bool,
}

impl Session {
    /// Newly opened session.
    pub fn new(worker: InstanceId, slots: u32, now: Timestamp) -> Self {
        Self {
            worker,
            slots,
            kinds: BTreeSet::new(),
            labels: BTreeMap::new(),
            running: BTreeSet::new(),
            last_heard: now,
            draining: false,
            exclusive: None,
            reserved: false,
        }
    }

    /// Number of attempts that it can accept now.
    pub fn credits(&self) -> u32 {
        let busy = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        if self.draining || self.reserved || self.exclusive.is_some() {
            0
        } else {
            self.slots.saturating_sub(busy)
        }
    }

    /// Adds an attempt; returns false, without a change, if it has no credit.
    #[must_use]
    pub fn assign(&mut self, attempt: AttemptId) -> bool {
        self.credits() > 0 && self.running.insert(attempt)
    }

    /// Reports whether it runs nothing and accepts an attempt.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && !self.draining
    }

    /// Adds the attempt of a suspect, if the worker is idle; until its end nothing else is assigned.
    #[must_use]
    pub fn assign_alone(&mut self, attempt: AttemptId) -> bool {
        let idle = self.is_idle();
        if idle {
            self.running.insert(attempt);
            self.exclusive = Some(attempt);
            self.reserved = false;
        }
        idle
    }

    /// Removes an attempt; returns whether it was there.
    pub fn finish(&mut self, attempt: &AttemptId) -> bool {
        self.exclusive.take_if(|alone| alone == attempt);
        self.running.remove(attempt)
    }

    /// Records a message.
    pub fn heard(&mut self, now: Timestamp) {
        self.last_heard = self.last_heard.max(now);
    }

    /// Reports whether no message arrived for longer than `limit`.
    pub fn is_silent(&self, now: Timestamp, limit: Duration) -> bool {
        now.since(self.last_heard) > limit
    }

    /// Replaces the running attempts by those that the worker declares; the caller reconciles the difference.
    pub fn declare(&mut self, attempts: impl IntoIterator<Item = AttemptId>) {
        self.running = attempts.into_iter().collect();
        self.exclusive = None;
    }
}

/// Decision of [`reconcile`] about a declared attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconciled {
    /// The ledger has it running there: it goes on.
    Adopt(AttemptId),
    /// Its start never reached the journal: this command records it. If that is rejected, the attempt is stopped.
    Start(Command),
    /// Its task has ended or is gone, or another attempt replaced it.
    Stop(AttemptId),
}

/// Compares the declared attempts with the ledger, in the order declared.
pub fn reconcile(ledger: &Ledger, declared: &[AttemptId], worker: &InstanceId) -> Vec<Reconciled> {
    declared
        .iter()
        .map(|attempt| reconcile_one(ledger, *attempt, worker))
        .collect()
}

fn reconcile_one(ledger: &Ledger, attempt: AttemptId, worker: &InstanceId) -> Reconciled {
    let Some(task) = ledger.task(&attempt.task) else {
        return Reconciled::Stop(attempt);
    };
    let own = task
        .attempt
        .as_ref()
        .is_some_and(|it| it.number == attempt.number && it.worker == *worker);
    match task.state {
        State::Running if own => Reconciled::Adopt(attempt),
        State::Pending if attempt.number > task.attempts => Reconciled::Start(Command::Start {
            attempt,
            worker: worker.clone(),
        }),
        _ => Reconciled::Stop(attempt),
    }
}

/// Selects, of the attempts that a worker reports as ended, those whose reports may still settle their tasks though the
/// ledger has given the attempts up: such a task should not start again before the report arrives.
pub fn awaited(ledger: &Ledger, ended: &[AttemptId]) -> BTreeSet<AttemptId> {
    let pending = |attempt: &&AttemptId| {
        let task = ledger.task(&attempt.task);
        task.is_some_and(|task| task.state == State::Pending && attempt.number <= task.attempts)
    };
    ended.iter().filter(pending).copied().collect()
}

/// Losses to decide: tasks that run by the ledger, but in no session with a recent message. None until workers have had
/// [`TAKEOVER_WAIT`] to find a new leader.
pub fn overdue(
    ledger: &Ledger,
    sessions: &BTreeMap<InstanceId, Session>,
    now: Timestamp,
    since_takeover: Duration,
) -> Vec<Command> {
    if since_takeover < TAKEOVER_WAIT {
        return Vec::new();
    }
    let held = |attempt: &AttemptId, worker: &InstanceId| {
        let session = sessions
            .get(worker)
            .filter(|session| !session.is_silent(now, SILENCE_MAX));
        session.is_some_and(|session| session.running.contains(attempt))
    };
    let lost = |task: &Task| {
        let worker = task.attempt.as_ref()?.worker.clone();
        let attempt = task.running_attempt()?;
        (!held(&attempt, &worker)).then_some(Command::Lose {
            attempt,
            worker,
            // What ran beside it before the takeover is not known.
            alone: false,
            checkpoint: None,
        })
    };
    ledger.running().filter_map(|task| lost(task)).collect()
}
