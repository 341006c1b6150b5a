//! Attempts of this worker: one task owns them all, whoever leads.
//!
//! Promises: an assigned attempt is run to its end and reported until a leader has settled it, across sessions; a stopped
//! attempt is never reported. Leaves the stream to [`session`](crate::session).

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use lepton_domain::ids::AttemptId;
use lepton_domain::reason::Reason;
use lepton_proto::convert::worker_session::{Assignment, HeldAttempts};
use lepton_proto::worker::v1::OpenSessionRequest;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use self::runner::{AttemptOutcome, AttemptRunner, panicked};
use self::table::{AssignResult, AttemptTable};
use crate::kind::Failure;
use crate::progress::Progress;

pub(crate) mod runner;
mod table;
#[cfg(test)]
mod tests;

/// Commands that may wait. The session, which is the only sender, waits for room.
const COMMANDS_MAX: usize = 256;
/// Attempts held at once beyond two for each slot: those whose reports are not settled yet.
const HELD_SPARE: usize = 1_024;
/// Interval of progress messages to the leader.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// Messages that may wait in a [`ReportSink`] when progress is added to them. A sink has room for so many besides the
/// reports.
pub(crate) const PROGRESS_WAITING_MAX: usize = 1_024;

/// A command of the [`AttemptsHandle`].
#[derive(Debug)]
enum Command {
    Declare { reply: oneshot::Sender<HeldAttempts> },
    Connect { sink: ReportSink },
    Assign { assignment: Box<Assignment> },
    Stop { attempt: AttemptId },
    Settle { attempt: AttemptId },
    HandBack,
}

/// Destination of reports while a session lasts.
#[derive(Debug, Clone)]
pub(crate) struct ReportSink {
    /// Sender to the leader.
    pub(crate) sender: mpsc::Sender<OpenSessionRequest>,
    /// Ends the session: a report did not fit, and only a new session would send it again.
    pub(crate) broken: CancellationToken,
}

/// A handle on the [`Attempts`]. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct AttemptsHandle {
    commands: mpsc::Sender<Command>,
    held: watch::Receiver<usize>,
    held_max: usize,
}

/// The end of [`Attempts::run`]: the worker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the worker ends")]
pub(crate) struct AttemptsGone;

impl AttemptsHandle {
    /// The most attempts that are held at once.
    pub(crate) fn held_max(&self) -> usize {
        self.held_max
    }

    /// Returns the attempts that run or whose reports are not settled.
    pub(crate) async fn declare(&self) -> Result<HeldAttempts, AttemptsGone> {
        let (reply, held) = oneshot::channel();
        self.send(Command::Declare { reply }).await?;
        held.await.map_err(|_| AttemptsGone)
    }

    /// Connects a leader: reports that wait are sent at once, and later ones as they come.
    pub(crate) async fn connect(&self, sink: ReportSink) -> Result<(), AttemptsGone> {
        self.send(Command::Connect { sink }).await
    }

    /// Runs an attempt.
    pub(crate) async fn assign(&self, assignment: Box<Assignment>) -> Result<(), AttemptsGone> {
        self.send(Command::Assign { assignment }).await
    }

    /// Stops an attempt, without a report.
    pub(crate) async fn stop(&self, attempt: AttemptId) -> Result<(), AttemptsGone> {
        self.send(Command::Stop { attempt }).await
    }

    /// Forgets an attempt whose report was committed.
    pub(crate) async fn settle(&self, attempt: AttemptId) -> Result<(), AttemptsGone> {
        self.send(Command::Settle { attempt }).await
    }

    /// Hands every running attempt back to the leader, which has another worker run it.
    pub(crate) async fn hand_back(&self) -> Result<(), AttemptsGone> {
        self.send(Command::HandBack).await
    }

    /// Waits until no attempt runs and every report is settled.
    pub(crate) async fn idle(&self) {
        let mut held = self.held.clone();
        // Attempts that are gone hold nothing.
        let _ = held.wait_for(|count| *count == 0).await;
    }

    async fn send(&self, command: Command) -> Result<(), AttemptsGone> {
        self.commands.send(command).await.map_err(|_| AttemptsGone)
    }
}

/// Owner of the attempts, which serves the [`AttemptsHandle`]s.
pub(crate) struct Attempts {
    runner: AttemptRunner,
    table: AttemptTable,
    running: JoinSet<(AttemptId, AttemptOutcome)>,
    sink: Option<ReportSink>,
    commands: mpsc::Receiver<Command>,
    held: watch::Sender<usize>,
}

impl Attempts {
    /// No attempts yet, and the handle on them. The owner ends when the handles are gone.
    pub(crate) fn new(runner: AttemptRunner, slots: u32) -> (Self, AttemptsHandle) {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (held, held_seen) = watch::channel(0);
        let held_max = usize::try_from(slots).unwrap_or(0) * 2 + HELD_SPARE;
        let handle = AttemptsHandle {
            commands: sender,
            held: held_seen,
            held_max,
        };
        let attempts = Self {
            runner,
            table: AttemptTable::new(held_max),
            running: JoinSet::new(),
            sink: None,
            commands,
            held,
        };
        (attempts, handle)
    }

    /// Works until the handles are gone; what still runs is stopped then.
    pub(crate) async fn run(mut self) {
        let mut progress = interval(PROGRESS_EVERY);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.handle(command),
                    None => return,
                },
                Some(ended) = self.running.join_next() => match ended {
                    Ok((attempt, outcome)) => self.finish(attempt, &outcome),
                    Err(error) => tracing::error!(%error, "an attempt was lost"),
                },
                _ = progress.tick(), if !self.running.is_empty() => self.send_progress(),
            }
            self.held
                .send_if_modified(|held| std::mem::replace(held, self.table.len()) != self.table.len());
        }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Declare { reply } => {
                // A session that gave up waiting opens again.
                let _ = reply.send(self.table.declare());
            }
            Command::Connect { sink } => {
                self.sink = Some(sink);
                for message in self.table.unsettled() {
                    self.send(message);
                }
                self.table.repeat_progress();
            }
            Command::Assign { assignment } => self.assign(*assignment),
            Command::Stop { attempt } => self.table.stop(attempt),
            Command::Settle { attempt } => self.table.settle(attempt),
            Command::HandBack => {
                // The latest checkpoints go first.
                self.send_progress();
                for message in self.table.hand_back() {
                    self.send(message);
                }
            }
        }
    }

    fn assign(&mut self, assignment: Assignment) {
        let attempt = assignment.attempt;
        let (progress, reports) = Progress::new(self.runner.clock);
        let stop = match self.table.assign(attempt, reports) {
            AssignResult::Run(stop) => stop,
            AssignResult::Held => return,
            AssignResult::Full => {
                let failure = Failure::retryable(Reason::Overloaded, "the worker holds too many attempts");
                self.send(AttemptOutcome::Failure(failure).report(attempt));
                return;
            }
        };
        // Kinds' panics are caught where they happen. One of ours must not leave the attempt in the table for ever.
        let run = AssertUnwindSafe(self.runner.clone().run(assignment, progress, stop)).catch_unwind();
        let lost = |panic: Box<dyn Any + Send>| AttemptOutcome::Failure(panicked(&*panic));
        let named = async move { (attempt, run.await.unwrap_or_else(lost)) };
        self.running.spawn(named.in_current_span());
    }

    fn finish(&mut self, attempt: AttemptId, outcome: &AttemptOutcome) {
        if let Some(message) = self.table.finish(attempt, outcome) {
            self.send(message);
        }
    }

    /// Sends the leader the progress of attempts, as far as there is room: a report must never wait for it.
    fn send_progress(&mut self) {
        let Some(sink) = &self.sink else { return };
        let waiting = sink.sender.max_capacity() - sink.sender.capacity();
        for message in self.table.take_progress(PROGRESS_WAITING_MAX.saturating_sub(waiting)) {
            self.send(message);
        }
    }

    /// Sends to the leader, if there is one. What does not get through is sent again in the next session.
    fn send(&mut self, message: OpenSessionRequest) {
        let Some(sink) = &self.sink else { return };
        if sink.sender.try_send(message).is_err() {
            sink.broken.cancel();
            self.sink = None;
        }
    }
}
