//! Losses: attempts whose worker is gone.
//!
//! Promises: the attempts of a session that has ended are lost once its worker has had a short grace to come back; an
//! attempt that turns out to go on is not lost. Leaves deciding each loss to the ledger.

use std::collections::VecDeque;
use std::time::Duration;

use lepton_domain::ids::{AttemptId, InstanceId};
use lepton_domain::ledger::Command;

/// Grace of a worker whose stream broke: one that lives dials again within 50 ms, and a dead one's attempts should run
/// elsewhere within a second.
pub(super) const RECONNECT_GRACE: Duration = Duration::from_millis(300);

/// Losses that are due, and those that are still in their grace.
#[derive(Debug, Default)]
pub(super) struct Losses {
    due: VecDeque<Command>,
    /// Attempts of sessions that have just ended: their grace begins with the next [`expire`](Self::expire).
    disconnected: Vec<(AttemptId, InstanceId)>,
    grace: VecDeque<(Duration, Command)>,
}

impl Losses {
    /// Adds a loss that is due at once.
    pub fn add(&mut self, attempt: AttemptId, worker: InstanceId) {
        self.due.push_back(Command::Lose { attempt, worker });
    }

    /// Adds losses that are due at once.
    pub fn extend(&mut self, losses: impl IntoIterator<Item = Command>) {
        self.due.extend(losses);
    }

    /// Adds the attempts of a session that has ended.
    pub fn disconnected(&mut self, attempts: impl IntoIterator<Item = AttemptId>, worker: &InstanceId) {
        let lost = attempts.into_iter().map(|attempt| (attempt, worker.clone()));
        self.disconnected.extend(lost);
    }

    /// Takes back the loss of an attempt that goes on.
    pub fn retract(&mut self, kept: AttemptId) {
        let other = |loss: &Command| !matches!(loss, Command::Lose { attempt, .. } if *attempt == kept);
        self.due.retain(other);
        self.disconnected.retain(|(attempt, _)| *attempt != kept);
        self.grace.retain(|(_, loss)| other(loss));
    }

    /// Begins the grace of sessions that have just ended, and makes those losses due whose grace is over.
    pub fn expire(&mut self, now: Duration) {
        for (attempt, worker) in self.disconnected.drain(..) {
            let loss = Command::Lose { attempt, worker };
            self.grace.push_back((now + RECONNECT_GRACE, loss));
        }
        while let Some((_, loss)) = self.grace.pop_front_if(|(due, _)| *due <= now) {
            self.due.push_back(loss);
        }
    }

    /// Takes the next loss that is due.
    pub fn pop(&mut self) -> Option<Command> {
        self.due.pop_front()
    }
}
