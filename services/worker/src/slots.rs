//! The attempts of this worker: one task owns them all, whoever leads.
//!
//! Promises: an attempt that was assigned is run to its end and reported until a leader has settled it, across
//! sessions; an attempt that was stopped is not heard of again. Leaves the stream to `session` and running to
//! `attempt`.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use lepton_domain::ids::AttemptId;
use lepton_domain::reason::Reason;
use lepton_proto::worker::v1::OpenSessionRequest;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use self::desk::{Assigned, Desk};
use crate::attempt::{Assignment, Outcome, Runner, panicked};
use crate::kind::Failure;
use crate::progress::Progress;
use crate::session::message::report;

pub use self::desk::Held;

mod desk;
#[cfg(test)]
mod tests;

/// Orders that may wait. The session, which is the only sender, waits for room.
const ORDERS_MAX: usize = 256;
/// Attempts held at once beyond two for each slot: those whose reports are not settled yet.
const HELD_SPARE: usize = 1_024;
/// How often the leader is told how far attempts are.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// Messages that may wait on the line when progress is added to them. A line has room for so many besides the reports.
pub const PROGRESS_WAITING_MAX: usize = 1_024;

/// What the session has to say.
#[derive(Debug)]
enum Order {
    Declare { answer: oneshot::Sender<Held> },
    Connect { line: Line },
    Assign { assignment: Box<Assignment> },
    Stop { attempt: AttemptId },
    Settled { attempt: AttemptId },
}

/// Where reports go while a session lasts.
#[derive(Debug, Clone)]
pub struct Line {
    /// To the leader.
    pub sender: mpsc::Sender<OpenSessionRequest>,
    /// Ends the session: a report did not fit, and only a new session would send it again.
    pub broken: CancellationToken,
}

/// Talks to the slots.
#[derive(Debug, Clone)]
pub struct SlotsHandle {
    orders: mpsc::Sender<Order>,
    held: watch::Receiver<usize>,
    held_max: usize,
}

/// The slots are gone: the worker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the worker ends")]
pub struct Gone;

impl SlotsHandle {
    /// The most attempts that are held at once.
    pub fn held_max(&self) -> usize {
        self.held_max
    }

    /// The attempts that run or whose reports are not settled.
    pub async fn declare(&self) -> Result<Held, Gone> {
        let (answer, declared) = oneshot::channel();
        self.order(Order::Declare { answer }).await?;
        declared.await.map_err(|_| Gone)
    }

    /// A leader listens: reports that wait are sent, and later ones as they come.
    pub async fn connect(&self, line: Line) -> Result<(), Gone> {
        self.order(Order::Connect { line }).await
    }

    /// Run this.
    pub async fn assign(&self, assignment: Assignment) -> Result<(), Gone> {
        self.order(Order::Assign {
            assignment: Box::new(assignment),
        })
        .await
    }

    /// Stop this, without a report.
    pub async fn stop(&self, attempt: AttemptId) -> Result<(), Gone> {
        self.order(Order::Stop { attempt }).await
    }

    /// A report was taken.
    pub async fn settled(&self, attempt: AttemptId) -> Result<(), Gone> {
        self.order(Order::Settled { attempt }).await
    }

    /// Waits until no attempt runs and every report is settled.
    pub async fn idle(&self) {
        let mut held = self.held.clone();
        // Slots that are gone hold nothing.
        let _ = held.wait_for(|count| *count == 0).await;
    }

    async fn order(&self, order: Order) -> Result<(), Gone> {
        self.orders.send(order).await.map_err(|_| Gone)
    }
}

/// The owner of the attempts.
pub struct Slots {
    runner: Runner,
    desk: Desk,
    attempts: JoinSet<(AttemptId, Outcome)>,
    line: Option<Line>,
    orders: mpsc::Receiver<Order>,
    held: watch::Sender<usize>,
}

impl Slots {
    /// Idle slots, and the handle on them. They end when the handles are gone.
    pub fn new(runner: Runner, slots: u32) -> (Self, SlotsHandle) {
        let (sender, orders) = mpsc::channel(ORDERS_MAX);
        let (held, held_seen) = watch::channel(0);
        let held_max = usize::try_from(slots).unwrap_or(0) * 2 + HELD_SPARE;
        let handle = SlotsHandle {
            orders: sender,
            held: held_seen,
            held_max,
        };
        let desk = Desk::new(held_max);
        (
            Self {
                runner,
                desk,
                attempts: JoinSet::new(),
                line: None,
                orders,
                held,
            },
            handle,
        )
    }

    /// Works until the handles are gone; what still runs is stopped then.
    pub async fn run(mut self) {
        let mut progress = interval(PROGRESS_EVERY);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                Some(ended) = self.attempts.join_next() => match ended {
                    Ok((attempt, outcome)) => self.ended(attempt, outcome),
                    Err(error) => tracing::error!(%error, "an attempt was lost"),
                },
                _ = progress.tick(), if !self.attempts.is_empty() => self.tell_progress(),
            }
            self.held
                .send_if_modified(|held| std::mem::replace(held, self.desk.len()) != self.desk.len());
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Declare { answer } => {
                // A session that gave up asking opens again.
                let _ = answer.send(self.desk.declare());
            }
            Order::Connect { line } => {
                self.line = Some(line);
                for message in self.desk.unsettled() {
                    self.say(message);
                }
                self.desk.repeat_progress();
            }
            Order::Assign { assignment } => self.assign(*assignment),
            Order::Stop { attempt } => self.desk.stop(attempt),
            Order::Settled { attempt } => self.desk.settled(attempt),
        }
    }

    fn assign(&mut self, assignment: Assignment) {
        let attempt = assignment.attempt;
        let (progress, heard) = Progress::new(self.runner.clock);
        let stop = match self.desk.assign(attempt, heard) {
            Assigned::Run(stop) => stop,
            Assigned::Known => return,
            Assigned::Full => {
                let failure = Failure::passing(Reason::Overloaded, "the worker holds too many attempts");
                self.say(report(attempt, Outcome::Failure(failure)));
                return;
            }
        };
        // Kinds' panics are caught where they happen. One of ours must not leave the attempt on the desk for ever.
        let run = AssertUnwindSafe(self.runner.clone().run(assignment, progress, stop)).catch_unwind();
        let lost = |panic: Box<dyn Any + Send>| Outcome::Failure(panicked(&*panic));
        let named = async move { (attempt, run.await.unwrap_or_else(lost)) };
        self.attempts.spawn(named.in_current_span());
    }

    fn ended(&mut self, attempt: AttemptId, outcome: Outcome) {
        if let Some(message) = self.desk.ended(attempt, outcome) {
            self.say(message);
        }
    }

    /// Tells the leader how far attempts are, as far as there is room: a report must never wait for it.
    fn tell_progress(&mut self) {
        let Some(line) = &self.line else { return };
        let waiting = line.sender.max_capacity() - line.sender.capacity();
        for message in self.desk.progress(PROGRESS_WAITING_MAX.saturating_sub(waiting)) {
            self.say(message);
        }
    }

    /// Sends to the leader, if there is one. What does not get through is sent again in the next session.
    fn say(&mut self, message: OpenSessionRequest) {
        let Some(line) = &self.line else { return };
        if line.sender.try_send(message).is_err() {
            line.broken.cancel();
            self.line = None;
        }
    }
}
