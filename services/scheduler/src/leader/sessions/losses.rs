//! Losses: attempts whose worker is gone.
//!
//! Promises: the attempts of a session that has ended are lost once its worker has had a short grace to come back; an
//! attempt that turns out to go on is not lost. Leaves deciding each loss to the ledger.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use lepton_domain::ids::{AttemptId, InstanceId};
use lepton_domain::ledger::Command;
use lepton_domain::task::Payload;

/// Grace of a worker whose stream broke: one that lives dials again within 50 ms, and a dead one's attempts should run
/// elsewhere within a second.
pub(super) const RECONNECT_GRACE: Duration = Duration::from_millis(300);

/// Losses that are due, and those that are still in their grace.
#[derive(Debug, Default)]
pub(super) struct Losses {
    due: VecDeque<Command>,
    /// Attempts of sessions that have just ended: their grace begins with the next [`expire`](Self::expire).
    disconnected: Vec<Command>,
    grace: VecDeque<(Duration, Command)>,
}

impl Losses {
    /// Adds a loss that is due at once.
    pub fn add(&mut self, attempt: AttemptId, worker: InstanceId, alone: bool) {
        self.due.push_back(loss(attempt, worker, alone));
    }

    /// Returns true for an attempt in its grace that had its worker for itself.
    pub fn was_alone(&self, attempt: AttemptId) -> bool {
        let graces = self.grace.iter().map(|(_, loss)| loss);
        self.disconnected
            .iter()
            .chain(graces)
            .any(|loss| matches!(loss, Command::Lose { attempt: lost, alone: true, .. } if *lost == attempt))
    }

    /// Adds losses that are due at once.
    pub fn extend(&mut self, losses: impl IntoIterator<Item = Command>) {
        self.due.extend(losses);
    }

    /// Adds the attempts of a session that has ended, of which one may have had the worker for itself.
    pub fn disconnected(
        &mut self,
        attempts: impl IntoIterator<Item = AttemptId>,
        worker: &InstanceId,
        exclusive: Option<AttemptId>,
    ) {
        let lost = attempts
            .into_iter()
            .map(|attempt| loss(attempt, worker.clone(), exclusive == Some(attempt)));
        self.disconnected.extend(lost);
    }

    /// Takes back the loss of an attempt that goes on.
    pub fn retract(&mut self, kept: AttemptId) {
        let other = |loss: &Command| !matches!(loss, Command::Lose { attempt, .. } if *attempt == kept);
        self.due.retain(other);
        self.disconnected.retain(other);
        self.grace.retain(|(_, loss)| other(loss));
    }

    /// Begins the grace of sessions that have just ended, and makes those losses due whose grace is over.
    pub fn expire(&mut self, now: Duration) {
        for loss in self.disconnected.drain(..) {
            self.grace.push_back((now + RECONNECT_GRACE, loss));
        }
        while let Some((_, loss)) = self.grace.pop_front_if(|(due, _)| *due <= now) {
            self.due.push_back(loss);
        }
    }

    /// Takes the next loss that is due, with the attempt's checkpoint if it left one.
    pub fn pop(&mut self, checkpoints: &mut HashMap<AttemptId, Payload>) -> Option<Command> {
        let mut loss = self.due.pop_front()?;
        if let Command::Lose {
            attempt, checkpoint, ..
        } = &mut loss
        {
            *checkpoint = checkpoints.remove(attempt);
        }
        Some(loss)
    }
}

fn loss(attempt: AttemptId, worker: InstanceId, alone: bool) -> Command {
    Command::Lose {
        attempt,
        worker,
        alone,
        checkpoint: None,
    }
}
