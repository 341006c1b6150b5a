//! A worker's session as the leader sees it, and what a new leader makes of what workers declare.
//!
//! Promises: no more attempts than slots; a running task that nobody declares is given up after a takeover, and not
//! before. Leaves the stream, its heartbeats and the clock to the scheduler.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{AttemptId, InstanceId, Kind};
use crate::ledger::{Command, Ledger};
use crate::task::{State, Task};
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// Silence of a session after which its attempts count as lost: with the pauses between looks, within five seconds.
pub const SILENCE_MAX: Duration = Duration::from_secs(4);
/// Time for which a new leader waits for workers to declare their attempts.
pub const TAKEOVER_WAIT: Duration = Duration::from_secs(5);

/// State of one connected worker, as the leader knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The worker.
    pub worker: InstanceId,
    /// Number of attempts that it runs at once.
    pub slots: u32,
    /// Kinds that it can run.
    pub kinds: BTreeSet<Kind>,
    /// Labels that requirements are compared with.
    pub labels: BTreeMap<String, String>,
    /// Attempts given to it or declared by it, and not yet finished.
    pub running: BTreeSet<AttemptId>,
    /// Time of its latest message.
    pub last_heard: Timestamp,
    /// True if it wants no more attempts.
    pub draining: bool,
}

impl Session {
    /// A session that has just opened.
    pub fn new(worker: InstanceId, slots: u32, now: Timestamp) -> Self {
        Self {
            worker,
            slots,
            kinds: BTreeSet::new(),
            labels: BTreeMap::new(),
            running: BTreeSet::new(),
            last_heard: now,
            draining: false,
        }
    }

    /// Returns the number of attempts that it may still get now.
    pub fn credits(&self) -> u32 {
        let busy = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        if self.draining {
            0
        } else {
            self.slots.saturating_sub(busy)
        }
    }

    /// Gives it an attempt; false, and nothing changes, if it has no credit.
    #[must_use]
    pub fn assign(&mut self, attempt: AttemptId) -> bool {
        self.credits() > 0 && self.running.insert(attempt)
    }

    /// Takes an attempt back; whether it had it.
    pub fn finish(&mut self, attempt: &AttemptId) -> bool {
        self.running.remove(attempt)
    }

    /// Something arrived from it.
    pub fn heard(&mut self, now: Timestamp) {
        self.last_heard = self.last_heard.max(now);
    }

    /// Returns whether nothing arrived for longer than `limit`.
    pub fn is_silent(&self, now: Timestamp, limit: Duration) -> bool {
        now.since(self.last_heard) > limit
    }

    /// Replaces its attempts by those that it declares; the caller reconciles the difference.
    pub fn declare(&mut self, attempts: impl IntoIterator<Item = AttemptId>) {
        self.running = attempts.into_iter().collect();
    }
}

/// Decision about an attempt that a worker declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconciled {
    /// The ledger knows that it runs there: go on.
    Adopt(AttemptId),
    /// Its start never reached the journal: record it with this command. If that is refused, stop it.
    Start(Command),
    /// It is of no use any more: the task has ended or is gone, or another attempt took its place.
    Stop(AttemptId),
}

/// Compares what a worker declares with the ledger, in the order declared.
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

/// Selects, of the attempts that a worker reports as ended, those whose reports may still settle their tasks, though
/// the ledger has given the attempts up: such a task should not be started again before the report is there.
pub fn awaited(ledger: &Ledger, ended: &[AttemptId]) -> BTreeSet<AttemptId> {
    let pending = |attempt: &&AttemptId| {
        let task = ledger.task(&attempt.task);
        task.is_some_and(|task| task.state == State::Pending && attempt.number <= task.attempts)
    };
    ended.iter().filter(pending).copied().collect()
}

/// Returns the losses to decide: tasks that run according to the ledger, but in no session that sent anything lately.
/// Nothing, until workers have had time to find a new leader.
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
        (!held(&attempt, &worker)).then_some(Command::Lose { attempt, worker })
    };
    ledger.running().filter_map(|task| lost(task)).collect()
}
