//! How far an attempt is, from the kind that knows to the session that tells the leader.
//!
//! Promises: saying it is cheap and never waits, so that a kind may say it at every step; only the latest counts; what
//! is said is bounded. Leaves how often it is told to `slots`.

use lepton_core::clock::Clock;
use lepton_domain::ids::AttemptId;
use lepton_domain::time::Timestamp;
use lepton_proto::convert::time::timestamp;
use lepton_proto::journal::v1::Attempt;
use lepton_proto::task::v1 as task;
use lepton_proto::worker::v1::AttemptProgress;
use tokio::sync::watch;

#[cfg(test)]
mod tests;

/// Figures that are told at once; more are left out.
pub const FIGURES_MAX: usize = 16;

/// Where a kind says how far it is. Clones say it of the same attempt.
#[derive(Debug, Clone)]
pub struct Progress {
    latest: watch::Sender<Option<Said>>,
    clock: Clock,
}

/// What was said last.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    fraction: f64,
    figures: Vec<(&'static str, f64)>,
    at: Timestamp,
}

impl Progress {
    /// Of one attempt, and where it is heard.
    pub fn new(clock: Clock) -> (Self, watch::Receiver<Option<Said>>) {
        let (latest, heard) = watch::channel(None);
        (Self { latest, clock }, heard)
    }

    /// Of an attempt that nobody follows.
    pub fn unheard() -> Self {
        Self::new(Clock::system()).0
    }

    /// Says which share of the work is done, 0 to 1, and figures of the moment, as `("loss", 0.25)`. What is not a
    /// finite number is left out: there is nothing to be read from it.
    pub fn say(&self, fraction: f64, figures: &[(&'static str, f64)]) {
        if !fraction.is_finite() {
            return;
        }
        let finite = figures.iter().copied().filter(|(_, value)| value.is_finite());
        self.latest.send_replace(Some(Said {
            fraction: fraction.clamp(0.0, 1.0),
            figures: finite.take(FIGURES_MAX).collect(),
            at: self.clock.now(),
        }));
    }
}

impl Said {
    /// As the leader is told.
    pub fn of(&self, attempt: AttemptId) -> AttemptProgress {
        let figures = self.figures.iter().map(|(name, value)| ((*name).to_owned(), *value));
        AttemptProgress {
            attempt: Some(Attempt::from(attempt)),
            progress: Some(task::Progress {
                attempt: attempt.number,
                fraction: self.fraction,
                figures: figures.collect(),
                update_time: Some(timestamp(self.at)),
            }),
        }
    }
}
