//! Tasks: the transition table and the record.
//!
//! Promises: a state changes only along [`TABLE`]; an ended task never changes again. Leaves the choice of steps to
//! [`crate::ledger::decide()`].

use std::fmt;
use std::sync::Arc;

pub use retry::{RetryPolicy, backoff};
pub use spec::{Content, Encoding, Payload, Priority, Spec};

use crate::ids::{AttemptId, ContentDigest, InstanceId, RequestId, Seq, TaskId, Tenant, Version};
use crate::reason::{Code, Reason};
use crate::text::head;
use crate::time::Timestamp;

pub mod retry;
pub mod spec;
#[cfg(test)]
mod tests;

/// Transition table: from this state, this step leads to that state.
pub const TABLE: &[(State, Step, State)] = &[
    (State::Blocked, Step::Unblock, State::Pending),
    (State::Blocked, Step::Fail, State::Failed),
    (State::Blocked, Step::Cancel, State::Cancelled),
    (State::Blocked, Step::Expire, State::Expired),
    (State::Pending, Step::Start, State::Running),
    // An attempt counted as lost may still deliver: its work is as good as any.
    (State::Pending, Step::Succeed, State::Succeeded),
    (State::Pending, Step::Fail, State::Failed),
    (State::Pending, Step::Cancel, State::Cancelled),
    (State::Pending, Step::Expire, State::Expired),
    (State::Running, Step::Succeed, State::Succeeded),
    (State::Running, Step::Retry, State::Pending),
    (State::Running, Step::Lose, State::Pending),
    (State::Running, Step::Return, State::Pending),
    (State::Running, Step::Fail, State::Failed),
    (State::Running, Step::Cancel, State::Cancelled),
    (State::Running, Step::Expire, State::Expired),
];

/// State of a [`Task`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Waits for other tasks.
    Blocked,
    /// Ready, or delayed.
    Pending,
    /// An attempt runs.
    Running,
    /// An attempt succeeded.
    Succeeded,
    /// Failed for good.
    Failed,
    /// Cancelled by the user.
    Cancelled,
    /// Its deadline passed.
    Expired,
}

/// Step between two [`State`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Its dependencies are done.
    Unblock,
    /// An attempt starts.
    Start,
    /// An attempt succeeds.
    Succeed,
    /// An attempt failed and another follows.
    Retry,
    /// No attempt follows.
    Fail,
    /// The worker of the attempt is lost.
    Lose,
    /// The worker of the attempt drains and hands it back.
    Return,
    /// The user cancels it.
    Cancel,
    /// The deadline passed.
    Expire,
}

/// Step that [`TABLE`] does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {from} cannot {step:?}")]
pub struct IllegalMove {
    /// Present state.
    pub from: State,
    /// Step that does not exist from there.
    pub step: Step,
}

impl State {
    /// All states.
    pub const ALL: &[State] = &[
        State::Blocked,
        State::Pending,
        State::Running,
        State::Succeeded,
        State::Failed,
        State::Cancelled,
        State::Expired,
    ];

    /// Reports whether no step leads out of it.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            State::Succeeded | State::Failed | State::Cancelled | State::Expired
        )
    }

    /// State after a step, by [`TABLE`].
    pub fn after(self, step: Step) -> Result<State, IllegalMove> {
        let row = TABLE.iter().find(|(from, by, _)| *from == self && *by == step);
        row.map(|(_, _, to)| *to).ok_or(IllegalMove { from: self, step })
    }

    /// Upper-case name without prefix, such as `SUCCEEDED`.
    pub const fn name(self) -> &'static str {
        match self {
            State::Blocked => "BLOCKED",
            State::Pending => "PENDING",
            State::Running => "RUNNING",
            State::Succeeded => "SUCCEEDED",
            State::Failed => "FAILED",
            State::Cancelled => "CANCELLED",
            State::Expired => "EXPIRED",
        }
    }
}

/// Set of [`State`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateSet(u8);

impl StateSet {
    /// Every state.
    pub const ALL: Self = Self(u8::MAX);
    /// States that a step leads out of.
    pub const LIVE: Self = Self::EMPTY
        .with(State::Blocked)
        .with(State::Pending)
        .with(State::Running);
    /// No state.
    pub const EMPTY: Self = Self(0);

    /// These states and another one.
    #[must_use]
    pub const fn with(self, state: State) -> Self {
        Self(self.0 | 1 << state as u8)
    }

    /// Reports whether it has this state.
    pub const fn contains(self, state: State) -> bool {
        self.0 & 1 << state as u8 != 0
    }
}

impl FromIterator<State> for StateSet {
    fn from_iter<I: IntoIterator<Item = State>>(states: I) -> Self {
        states.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Record of a task in the [`Ledger`](crate::ledger::Ledger).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Task id, also the idempotency key that user code gets.
    pub id: TaskId,
    /// Owner.
    pub tenant: Tenant,
    /// Submitter's idempotency key, unique within the tenant.
    pub request_id: RequestId,
    /// Digest of what the submitter set; distinguishes a repetition from a reuse of the request id.
    pub content_digest: ContentDigest,
    /// Kind, input and options.
    pub spec: Spec,
    /// State.
    pub state: State,
    /// Highest attempt number started so far; the next attempt takes a higher one.
    pub attempts: u32,
    /// Failed attempts; these count against the retry limit.
    pub failures: u32,
    /// Attempts whose worker was lost; these count towards poison.
    pub losses: u32,
    /// Current attempt while running; afterwards the last one, for a success the winner.
    pub attempt: Option<Attempt>,
    /// Earliest start after a failure.
    pub retry_at: Option<Timestamp>,
    /// Result, after success.
    pub output: Option<Payload>,
    /// Last error, also while another attempt is to follow.
    pub error: Option<TaskError>,
    /// Time of the submit.
    pub created: Timestamp,
    /// Time of the first start.
    pub started: Option<Timestamp>,
    /// Time of the end.
    pub ended: Option<Timestamp>,
    /// Event that created it; the order of listings and of the queue.
    pub created_seq: Seq,
    /// Last event that changed it.
    pub version: Version,
    /// Submitter's W3C trace context.
    pub traceparent: Option<Arc<str>>,
    /// Ended task that this one runs again.
    pub retry_of: Option<TaskId>,
    /// Earlier attempts; absent while there are none, as for most tasks.
    pub history: Option<Box<History>>,
}

impl Task {
    /// Attempts whose worker was lost while it ran nothing else.
    pub fn lone_losses(&self) -> u32 {
        self.history.as_ref().map_or(0, |history| history.lone_losses)
    }

    /// Checkpoint for the next attempt.
    pub fn checkpoint(&self) -> Option<&Payload> {
        self.history.as_ref()?.checkpoint.as_ref()
    }

    /// Reports whether it must run alone on its worker: it was lost before, so it may be what ends workers. Losses from
    /// before histories were kept do not count.
    pub fn is_suspect(&self) -> bool {
        self.losses > 0 && self.history.is_some()
    }

    /// Id of the current attempt, while one is running.
    pub fn running_attempt(&self) -> Option<AttemptId> {
        let attempt = self.attempt.as_ref().filter(|_| self.state == State::Running)?;
        Some(AttemptId {
            task: self.id,
            number: attempt.number,
        })
    }

    /// Earliest start: the submitter's delay or the [backoff](retry::backoff), whichever is later.
    pub fn not_before(&self) -> Option<Timestamp> {
        self.spec.not_before.max(self.retry_at)
    }
}

/// Started attempt of a [`Task`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Number, the fencing token.
    pub number: u32,
    /// Worker that runs it.
    pub worker: InstanceId,
    /// Start, in journal time.
    pub started: Timestamp,
}

/// Attempts of a [`Task`] before the current one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// Earlier attempts, oldest first; at most [`History::ATTEMPTS_MAX`], of which the newest stay.
    pub attempts: Vec<PastAttempt>,
    /// Losses of a worker that ran nothing else; see [`Task::is_suspect`].
    pub lone_losses: u32,
    /// Last checkpoint, for the next attempt.
    pub checkpoint: Option<Payload>,
}

impl History {
    /// Most attempts that are kept.
    pub const ATTEMPTS_MAX: usize = 16;
    /// Longest kept error message of an attempt, in bytes.
    pub const MESSAGE_BYTES_MAX: usize = 256;

    /// Adds an attempt that has ended, and its checkpoint if it left one.
    pub fn record(&mut self, attempt: PastAttempt, checkpoint: Option<&Payload>) {
        if self.attempts.len() == Self::ATTEMPTS_MAX {
            self.attempts.remove(0);
        }
        self.attempts.push(attempt);
        if let Some(checkpoint) = checkpoint {
            self.checkpoint = Some(checkpoint.clone());
        }
    }
}

/// Ended attempt of a [`Task`] that another one followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastAttempt {
    /// Attempt.
    pub attempt: Attempt,
    /// End, in journal time.
    pub ended: Timestamp,
    /// Cause of its end.
    pub end: AttemptEnd,
}

/// End of an attempt that another one followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptEnd {
    /// Its handler failed with this error.
    Failed(TaskError),
    /// Its worker was lost.
    Lost,
    /// Its worker drained and handed it back.
    Returned,
}

/// Error of an attempt or a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskError {
    /// gRPC code.
    pub code: Code,
    /// UPPER_SNAKE; one of [`Reason`] or the handler's own.
    pub reason: String,
    /// Explanation for people.
    pub message: String,
}

impl TaskError {
    /// Longest stored reason, in bytes.
    pub const REASON_BYTES_MAX: usize = 64;
    /// Longest stored message, in bytes; the rest is truncated.
    pub const MESSAGE_BYTES_MAX: usize = 4 * 1024;

    /// Error with one of Lepton's own reasons.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code: reason.code(),
            reason: reason.as_str().to_owned(),
            message: message.into(),
        }
    }

    /// Reports whether the task ended because its workers were lost, and not by an error of its handler.
    pub fn is_loss(&self) -> bool {
        self.reason == Reason::Poison.as_str() || self.reason == Reason::WorkerLost.as_str()
    }

    /// Copy whose message is cut to this many bytes.
    #[must_use]
    pub fn excerpt(&self, message_bytes_max: usize) -> Self {
        Self {
            message: head(&self.message, message_bytes_max).to_owned(),
            reason: self.reason.clone(),
            code: self.code,
        }
    }

    /// Cuts reason and message to what an event may carry.
    #[must_use]
    pub fn shortened(self) -> Self {
        Self {
            reason: head(&self.reason, Self::REASON_BYTES_MAX).to_owned(),
            message: head(&self.message, Self::MESSAGE_BYTES_MAX).to_owned(),
            ..self
        }
    }
}
