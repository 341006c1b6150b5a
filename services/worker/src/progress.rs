//! Progress of an attempt, from the kind that makes it to the session that reports it to the leader.
//!
//! Promises: reporting is cheap and never waits, so that a kind may report at every step; only the latest report counts;
//! reports are bounded. Leaves the interval of messages to the leader to [`attempts`](crate::attempts).

use bytes::Bytes;
use lepton_core::clock::Clock;
use lepton_domain::ids::AttemptId;
use lepton_domain::task::Payload;
use lepton_domain::time::Timestamp;
use lepton_proto::convert::worker_session;
use lepton_proto::worker::v1::OpenSessionRequest;
use tokio::sync::watch;

#[cfg(test)]
mod tests;

/// Figures in one report; more are left out.
const FIGURES_MAX: usize = 16;

/// Receiver of an attempt's progress reports. Clones belong to the same attempt.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    latest: watch::Sender<Option<ProgressReport>>,
    checkpoint: Option<Payload>,
    clock: Clock,
}

/// The latest report of an attempt, made by [`Progress::report`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProgressReport {
    fraction: f64,
    figures: Vec<(&'static str, f64)>,
    at: Timestamp,
    checkpoint: Option<Payload>,
}

impl Progress {
    /// Progress of one attempt, and the place where its reports arrive.
    pub(crate) fn new(clock: Clock) -> (Self, watch::Receiver<Option<ProgressReport>>) {
        let (latest, reports) = watch::channel(None);
        let progress = Self {
            latest,
            checkpoint: None,
            clock,
        };
        (progress, reports)
    }

    /// Reports the finished share of the work, 0 to 1, and figures of the moment, as `("loss", 0.25)`. What is not a
    /// finite number is left out: there is nothing to be read from it.
    pub(crate) fn report(&self, fraction: f64, figures: &[(&'static str, f64)]) {
        if !fraction.is_finite() {
            return;
        }
        let finite = figures.iter().copied().filter(|(_, value)| value.is_finite());
        self.latest.send_replace(Some(ProgressReport {
            fraction: fraction.clamp(0.0, 1.0),
            figures: finite.take(FIGURES_MAX).collect(),
            at: self.clock.now(),
            checkpoint: self.checkpoint.clone(),
        }));
    }

    /// Reports with a checkpoint, JSON of at most [`Payload::INLINE_BYTES_MAX`]: the next attempt gets it if this one is
    /// lost, fails or is handed back.
    pub(crate) fn checkpoint(&mut self, fraction: f64, checkpoint: Bytes) {
        self.checkpoint = Some(Payload::json(checkpoint));
        self.report(fraction, &[]);
    }
}

impl ProgressReport {
    /// The checkpoint in it.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> Option<&Payload> {
        self.checkpoint.as_ref()
    }

    /// The message to the leader, a [`worker_session::progress`].
    pub(crate) fn message(&self, attempt: AttemptId) -> OpenSessionRequest {
        worker_session::progress(
            attempt,
            self.fraction,
            self.figures.iter().copied(),
            self.at,
            self.checkpoint.as_ref(),
        )
    }
}
