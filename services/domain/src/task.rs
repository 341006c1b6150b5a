//! A task: its transition table, and its record.
//!
//! Promises: a state changes only along [`TABLE`]; an ended task never changes again. Leaves which step to take
//! and when to `ledger::decide`.

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

/// Every legal move: from this state, this step leads to that state.
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
    (State::Running, Step::Fail, State::Failed),
    (State::Running, Step::Cancel, State::Cancelled),
    (State::Running, Step::Expire, State::Expired),
];

/// State of a [`Task`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Waits for other tasks.
    Blocked,
    /// Ready, or waiting for its delay.
    Pending,
    /// An attempt is under way.
    Running,
    /// An attempt delivered.
    Succeeded,
    /// Given up.
    Failed,
    /// Withdrawn by the user.
    Cancelled,
    /// Its deadline passed.
    Expired,
}

/// A step of a task's state machine; see [`TABLE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The wait is over.
    Unblock,
    /// An attempt begins.
    Start,
    /// An attempt delivers.
    Succeed,
    /// An attempt failed and another will follow.
    Retry,
    /// No attempt will follow.
    Fail,
    /// The worker of the attempt vanished.
    Lose,
    /// The user withdraws it.
    Cancel,
    /// The deadline passed.
    Expire,
}

/// A move that [`TABLE`] does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {from} cannot {step:?}")]
pub struct IllegalMove {
    /// The state it is in.
    pub from: State,
    /// The step that does not exist from there.
    pub step: Step,
}

impl State {
    /// Every state.
    pub const ALL: &[State] = &[
        State::Blocked,
        State::Pending,
        State::Running,
        State::Succeeded,
        State::Failed,
        State::Cancelled,
        State::Expired,
    ];

    /// Returns whether no step can follow.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            State::Succeeded | State::Failed | State::Cancelled | State::Expired
        )
    }

    /// Returns the state after the step, by [`TABLE`].
    pub fn after(self, step: Step) -> Result<State, IllegalMove> {
        let row = TABLE.iter().find(|(from, by, _)| *from == self && *by == step);
        row.map(|(_, _, to)| *to).ok_or(IllegalMove { from: self, step })
    }

    /// The upper-case name without prefix, such as `SUCCEEDED`.
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

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// The record of a task, as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id, also the idempotency key that user code gets.
    pub id: TaskId,
    /// Its owner.
    pub tenant: Tenant,
    /// The key that the submitter chose, unique within the tenant.
    pub request_id: RequestId,
    /// Digest of the fields that the submitter set; distinguishes a repeat from a reuse of the request id.
    pub content_digest: ContentDigest,
    /// The work: kind, input and conditions.
    pub spec: Spec,
    /// Its state.
    pub state: State,
    /// The highest attempt number started so far; the next attempt takes a higher one.
    pub attempts: u32,
    /// Attempts that failed; these count against the retry limit.
    pub failures: u32,
    /// Attempts whose worker vanished; these count towards poison.
    pub losses: u32,
    /// While running: the current attempt. After the end: the last one, for a success the winner. Else none.
    pub attempt: Option<Attempt>,
    /// Earliest next start, while pending after a failure.
    pub retry_at: Option<Timestamp>,
    /// The result, once succeeded.
    pub output: Option<Payload>,
    /// The last error, also while another attempt is to come.
    pub error: Option<TaskError>,
    /// Time of the submit.
    pub created: Timestamp,
    /// Start of the first attempt.
    pub started: Option<Timestamp>,
    /// Time of its end.
    pub ended: Option<Timestamp>,
    /// The event that created it; the order of listings and of the queue.
    pub created_seq: Seq,
    /// The last event that changed it.
    pub version: Version,
    /// The submitter's W3C trace context.
    pub traceparent: Option<Arc<str>>,
}

impl Task {
    /// The id of the current attempt, while one is running.
    pub fn running_attempt(&self) -> Option<AttemptId> {
        let attempt = self.attempt.as_ref().filter(|_| self.state == State::Running)?;
        Some(AttemptId {
            task: self.id,
            number: attempt.number,
        })
    }

    /// Earliest start, if not at once: the submitter's delay or the backoff, whichever is later.
    pub fn not_before(&self) -> Option<Timestamp> {
        self.spec.not_before.max(self.retry_at)
    }
}

/// One try that has been started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its number, the fencing token.
    pub number: u32,
    /// The worker that runs it.
    pub worker: InstanceId,
    /// Its start, in journal time.
    pub started: Timestamp,
}

/// Why an attempt or a task failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskError {
    /// The gRPC code.
    pub code: Code,
    /// UPPER_SNAKE; one of [`Reason`] or the handler's own.
    pub reason: String,
    /// Explanation for people.
    pub message: String,
}

impl TaskError {
    /// The longest reason that is kept, in bytes.
    pub const REASON_BYTES_MAX: usize = 64;
    /// The longest message that is kept, in bytes; the rest is cut off.
    pub const MESSAGE_BYTES_MAX: usize = 4 * 1024;

    /// An error for one of Lepton's own reasons.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code: reason.code(),
            reason: reason.as_str().to_owned(),
            message: message.into(),
        }
    }

    /// Returns whether the task ended because workers vanished under it, not by its handler's result.
    pub fn is_loss(&self) -> bool {
        self.reason == Reason::Poison.as_str() || self.reason == Reason::WorkerLost.as_str()
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
