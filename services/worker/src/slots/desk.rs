//! Which attempts there are, and where each stands: pure bookkeeping.
//!
//! Promises: an attempt is run once here, however often it is assigned; its report is kept until it is settled. Leaves
//! running and sending to the parent.

use std::collections::BTreeMap;

use lepton_domain::ids::AttemptId;
use lepton_proto::journal::v1::Attempt;
use lepton_proto::worker::v1::OpenSessionRequest;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::attempt::Outcome;
use crate::progress::Said;
use crate::session::message::{progress, report};

/// What a worker holds, as leaders are told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Held {
    /// The attempts that run or whose reports are not settled.
    pub all: Vec<Attempt>,
    /// Those of them that have ended.
    pub ended: Vec<Attempt>,
}

/// The attempts that the leader has not settled.
#[derive(Debug)]
pub(super) struct Desk {
    attempts: BTreeMap<AttemptId, Stage>,
    max: usize,
}

#[derive(Debug)]
enum Stage {
    /// It runs, until it is done or told to stop.
    Running {
        stop: CancellationToken,
        progress: watch::Receiver<Option<Said>>,
    },
    /// It has ended and its report is not settled.
    Ended(Box<OpenSessionRequest>),
}

/// What to do with an assignment.
#[derive(Debug)]
pub(super) enum Assigned {
    /// Run it, until told to stop.
    Run(CancellationToken),
    /// It is held already: nothing to do.
    Known,
    /// Too many are held.
    Full,
}

impl Desk {
    /// Nothing held; room for `max`.
    pub(super) fn new(max: usize) -> Self {
        Self {
            attempts: BTreeMap::new(),
            max,
        }
    }

    /// How many are held.
    pub(super) fn len(&self) -> usize {
        self.attempts.len()
    }

    /// Takes an assignment, whose progress is heard here.
    pub(super) fn assign(&mut self, attempt: AttemptId, progress: watch::Receiver<Option<Said>>) -> Assigned {
        if self.attempts.contains_key(&attempt) {
            return Assigned::Known;
        }
        if self.attempts.len() >= self.max {
            return Assigned::Full;
        }
        let stop = CancellationToken::new();
        let running = Stage::Running {
            stop: stop.clone(),
            progress,
        };
        self.attempts.insert(attempt, running);
        Assigned::Run(stop)
    }

    /// Stops an attempt and forgets it: the leader has, too.
    pub(super) fn stop(&mut self, attempt: AttemptId) {
        if let Some(Stage::Running { stop, .. }) = self.attempts.remove(&attempt) {
            stop.cancel();
        }
    }

    /// An attempt ended. Its report, unless it was stopped.
    pub(super) fn ended(&mut self, attempt: AttemptId, outcome: Outcome) -> Option<OpenSessionRequest> {
        let stage = self.attempts.get_mut(&attempt)?;
        if outcome == Outcome::Stopped {
            self.attempts.remove(&attempt);
            return None;
        }
        let message = report(attempt, outcome);
        *stage = Stage::Ended(Box::new(message.clone()));
        Some(message)
    }

    /// The leader has taken a report.
    pub(super) fn settled(&mut self, attempt: AttemptId) {
        // A settlement of an earlier session must not forget an attempt that runs.
        if let Some(Stage::Ended(_)) = self.attempts.get(&attempt) {
            self.attempts.remove(&attempt);
        }
    }

    /// What a new leader is told.
    pub(super) fn declare(&self) -> Held {
        let ended = self
            .attempts
            .iter()
            .filter(|(_, stage)| matches!(stage, Stage::Ended(_)));
        Held {
            all: self.attempts.keys().map(|attempt| Attempt::from(*attempt)).collect(),
            ended: ended.map(|(attempt, _)| Attempt::from(*attempt)).collect(),
        }
    }

    /// The reports that no leader has taken.
    pub(super) fn unsettled(&self) -> Vec<OpenSessionRequest> {
        let ended = self.attempts.values().filter_map(|stage| match stage {
            Stage::Ended(message) => Some((**message).clone()),
            Stage::Running { .. } => None,
        });
        ended.collect()
    }

    /// Has everything that running attempts said last told again: a new leader knows none of it.
    pub(super) fn repeat_progress(&mut self) {
        for stage in self.attempts.values_mut() {
            if let Stage::Running { progress, .. } = stage {
                progress.mark_changed();
            }
        }
    }

    /// What running attempts have said since the last time, at most `count` of them. Those left out keep it.
    pub(super) fn progress(&mut self, count: usize) -> Vec<OpenSessionRequest> {
        let news = self.attempts.iter_mut().filter_map(|(attempt, stage)| match stage {
            // Fails once the kind has dropped its end: the report follows.
            Stage::Running { progress: heard, .. } if heard.has_changed().is_ok_and(|changed| changed) => {
                let said = heard.borrow_and_update();
                said.as_ref().map(|said| progress(said.of(*attempt)))
            }
            Stage::Running { .. } | Stage::Ended(_) => None,
        });
        news.take(count).collect()
    }
}
