//! Table of attempts and their states: pure bookkeeping.
//!
//! Promises: an attempt is run once here, however often it is assigned; its report is kept until it is settled. Leaves
//! running and sending to the parent.
//!
//! | state | `assign` | `finish` | `settle` | `stop` |
//! | --- | --- | --- | --- | --- |
//! | absent | running, or refused where the table is full | ignored | ignored | ignored |
//! | running | ignored | reported, or absent where it was stopped | ignored | cancelled, absent |
//! | reported | ignored | ignored | absent | absent |
//!
//! A worker that drains hands back what runs: it is cancelled and reported.

use std::collections::BTreeMap;

use lepton_domain::ids::AttemptId;
use lepton_proto::convert::worker_session::{self, HeldAttempts};
use lepton_proto::journal::v1::Attempt;
use lepton_proto::worker::v1::OpenSessionRequest;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::runner::AttemptOutcome;
use crate::progress::ProgressReport;

#[cfg(test)]
mod tests;

/// The attempts that the leader has not settled.
#[derive(Debug)]
pub(super) struct AttemptTable {
    attempts: BTreeMap<AttemptId, AttemptState>,
    max: usize,
}

#[derive(Debug)]
enum AttemptState {
    /// It runs, until it ends or is stopped.
    Running {
        stop: CancellationToken,
        progress: watch::Receiver<Option<ProgressReport>>,
    },
    /// It has ended and its report is not settled.
    Reported(Box<OpenSessionRequest>),
}

/// Result of [`AttemptTable::assign`].
#[derive(Debug)]
pub(super) enum AssignResult {
    /// A new attempt, to be run until the token is cancelled.
    Run(CancellationToken),
    /// An attempt that is held already: nothing to do.
    Held,
    /// A full table.
    Full,
}

impl AttemptTable {
    /// An empty table for at most `max` attempts.
    pub(super) fn new(max: usize) -> Self {
        Self {
            attempts: BTreeMap::new(),
            max,
        }
    }

    /// Number of attempts held.
    pub(super) fn len(&self) -> usize {
        self.attempts.len()
    }

    /// Takes an assignment, whose progress reports arrive at `progress`.
    pub(super) fn assign(
        &mut self,
        attempt: AttemptId,
        progress: watch::Receiver<Option<ProgressReport>>,
    ) -> AssignResult {
        if self.attempts.contains_key(&attempt) {
            return AssignResult::Held;
        }
        if self.attempts.len() >= self.max {
            return AssignResult::Full;
        }
        let stop = CancellationToken::new();
        let running = AttemptState::Running {
            stop: stop.clone(),
            progress,
        };
        self.attempts.insert(attempt, running);
        AssignResult::Run(stop)
    }

    /// Stops an attempt and forgets it: the leader has, too.
    pub(super) fn stop(&mut self, attempt: AttemptId) {
        if let Some(AttemptState::Running { stop, .. }) = self.attempts.remove(&attempt) {
            stop.cancel();
        }
    }

    /// Cancels every running attempt and returns the reports that hand them back.
    pub(super) fn hand_back(&mut self) -> Vec<OpenSessionRequest> {
        let mut reports = Vec::new();
        for (attempt, state) in &mut self.attempts {
            if let AttemptState::Running { stop, .. } = state {
                stop.cancel();
                let message = worker_session::returned(*attempt);
                *state = AttemptState::Reported(Box::new(message.clone()));
                reports.push(message);
            }
        }
        reports
    }

    /// Records the end of an attempt and returns its report, unless it was stopped.
    pub(super) fn finish(&mut self, attempt: AttemptId, outcome: &AttemptOutcome) -> Option<OpenSessionRequest> {
        let state = self.attempts.get_mut(&attempt)?;
        if let AttemptState::Reported(_) = state {
            return None;
        }
        if *outcome == AttemptOutcome::Stopped {
            self.attempts.remove(&attempt);
            return None;
        }
        let message = outcome.report(attempt);
        *state = AttemptState::Reported(Box::new(message.clone()));
        Some(message)
    }

    /// Forgets an attempt whose report the leader has committed.
    pub(super) fn settle(&mut self, attempt: AttemptId) {
        // A settlement of an earlier session must not forget an attempt that runs.
        if let Some(AttemptState::Reported(_)) = self.attempts.get(&attempt) {
            self.attempts.remove(&attempt);
        }
    }

    /// Declares the attempts held to a new leader; see [`HeldAttempts`].
    pub(super) fn declare(&self) -> HeldAttempts {
        let reported = self
            .attempts
            .iter()
            .filter(|(_, state)| matches!(state, AttemptState::Reported(_)));
        HeldAttempts {
            all: self.attempts.keys().map(|attempt| Attempt::from(*attempt)).collect(),
            ended: reported.map(|(attempt, _)| Attempt::from(*attempt)).collect(),
        }
    }

    /// Reports that no leader has settled.
    pub(super) fn unsettled(&self) -> Vec<OpenSessionRequest> {
        let reported = self.attempts.values().filter_map(|state| match state {
            AttemptState::Reported(message) => Some((**message).clone()),
            AttemptState::Running { .. } => None,
        });
        reported.collect()
    }

    /// Makes the latest progress of running attempts due again: a new leader has none of it.
    pub(super) fn repeat_progress(&mut self) {
        for state in self.attempts.values_mut() {
            if let AttemptState::Running { progress, .. } = state {
                progress.mark_changed();
            }
        }
    }

    /// Takes the progress of running attempts since the last time, of at most `count` of them. Those left out keep it.
    pub(super) fn take_progress(&mut self, count: usize) -> Vec<OpenSessionRequest> {
        let due = self.attempts.iter_mut().filter_map(|(attempt, state)| match state {
            // Fails once the kind has dropped its end: the report follows.
            AttemptState::Running { progress, .. } if progress.has_changed().is_ok_and(|changed| changed) => {
                let latest = progress.borrow_and_update();
                latest.as_ref().map(|latest| latest.message(*attempt))
            }
            AttemptState::Running { .. } | AttemptState::Reported(_) => None,
        });
        due.take(count).collect()
    }
}
