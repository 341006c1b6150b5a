//! Commands to the leader, and reasons to reject them.
//!
//! Promises: every rejection maps to one fault. Leaves deciding to `decide`.

use std::sync::Arc;

use crate::ids::{AttemptId, ContentDigest, InstanceId, RequestId, TaskId, Tenant, Version};
use crate::reason::{Fault, Reason};
use crate::task::{Payload, Spec, State, TaskError};

/// A wish that `decide` turns into events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Open the epoch of the segment: the first command of a leader.
    OpenEpoch {
        /// The instance that leads.
        leader: InstanceId,
    },
    /// Take a new task.
    Submit(Box<Submission>),
    /// Note that a worker got an attempt.
    Start {
        /// The attempt; its number is above every number of the task so far.
        attempt: AttemptId,
        /// The worker that runs it.
        worker: InstanceId,
    },
    /// An attempt delivered.
    Succeed {
        /// The attempt, current or not.
        attempt: AttemptId,
        /// The worker that ran it.
        worker: InstanceId,
        /// The result.
        output: Payload,
    },
    /// An attempt failed.
    Fail {
        /// The attempt, which must be the current one.
        attempt: AttemptId,
        /// The worker that ran it.
        worker: InstanceId,
        /// Why.
        error: TaskError,
        /// True if another attempt could help.
        retryable: bool,
    },
    /// The worker of an attempt vanished.
    Lose {
        /// The attempt, which must be the current one.
        attempt: AttemptId,
        /// The worker that ran it.
        worker: InstanceId,
    },
    /// Withdraw a task.
    Cancel {
        /// The task.
        task: TaskId,
        /// The caller that withdrew it, and the reason.
        message: String,
    },
    /// Do what is due: deadlines and retention.
    Tick,
    /// Write this format from now on.
    ActivateFormat {
        /// The format, which every scheduler supports.
        format: u32,
    },
}

/// A task as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Its id, made at the edge.
    pub id: TaskId,
    /// Its owner.
    pub tenant: Tenant,
    /// The submitter's idempotency key.
    pub request_id: RequestId,
    /// Digest over kind, payload and options, without deadline and trace.
    pub content_digest: ContentDigest,
    /// The work: kind, input and conditions.
    pub spec: Spec,
    /// The submitter's W3C trace context.
    pub traceparent: Option<Arc<str>>,
}

impl Submission {
    /// The longest tenant, in bytes.
    pub const TENANT_BYTES_MAX: usize = 64;
    /// The longest request id, in bytes.
    pub const REQUEST_ID_BYTES_MAX: usize = 128;
    /// The longest trace context, in bytes.
    pub const TRACEPARENT_BYTES_MAX: usize = 128;

    /// Checks every limit; the fault names the first field that breaks one.
    pub fn check(&self) -> Result<(), Fault> {
        check_length("tenant", self.tenant.as_str(), Self::TENANT_BYTES_MAX)?;
        check_length("request_id", self.request_id.as_str(), Self::REQUEST_ID_BYTES_MAX)?;
        if let Some(text) = &self.traceparent {
            check_length("traceparent", text, Self::TRACEPARENT_BYTES_MAX)?;
        }
        self.spec.check()
    }
}

fn check_length(field: &str, text: &str, bytes_max: usize) -> Result<(), Fault> {
    if text.is_empty() || text.len() > bytes_max {
        return Err(Fault::field(
            field,
            format!("{} bytes, 1 to {bytes_max} are taken", text.len()),
        ));
    }
    Ok(())
}

/// Why a command was refused. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The same submit came before; answer with the task that it made.
    #[error("submitted before as task {0}")]
    Duplicate(TaskId),
    /// The request id came before with other content.
    #[error("the request id was used before, with other content, for task {0}")]
    RequestIdReused(TaskId),
    /// No such task.
    #[error("there is no task {0}; it may have been purged after its end")]
    TaskNotFound(TaskId),
    /// The task is over.
    #[error("task {task} has ended: {state}")]
    TaskEnded {
        /// The task.
        task: TaskId,
        /// Its result.
        state: State,
    },
    /// A success that came after the end.
    #[error("task {task} had ended before: {state} at {version}")]
    Superseded {
        /// The task.
        task: TaskId,
        /// Its result.
        state: State,
        /// Time of its end.
        version: Version,
    },
    /// Not from the current attempt, or a number that was used before.
    #[error("attempt {attempt} of {worker} does not fit: the task is {state}, {attempts} attempts were started")]
    StaleAttempt {
        /// The attempt in the command.
        attempt: AttemptId,
        /// The worker in the command.
        worker: InstanceId,
        /// State of the task.
        state: State,
        /// The highest number started so far.
        attempts: u32,
    },
    /// The tenant's quota is used up.
    #[error("{0}")]
    QuotaExceeded(Fault),
    /// The command itself is wrong.
    #[error("{0}")]
    Invalid(Fault),
    /// The epoch of the segment is not newer than the one that is open.
    #[error("epoch {epoch} is not newer than {opened}")]
    StaleEpoch {
        /// The epoch of the segment.
        epoch: u64,
        /// The newest epoch opened.
        opened: u64,
    },
}

impl Rejection {
    /// The fault that the caller gets.
    pub fn fault(&self) -> Fault {
        let fault = |reason| Fault::new(reason, self.to_string());
        match self {
            Rejection::Duplicate(task) => fault(Reason::TaskExists).with("task", task.to_string()),
            Rejection::RequestIdReused(task) => fault(Reason::RequestIdReused).with("task", task.to_string()),
            Rejection::TaskNotFound(task) => fault(Reason::TaskNotFound).with("task", task.to_string()),
            Rejection::TaskEnded { task, state } => fault(Reason::TaskEnded)
                .with("task", task.to_string())
                .with("state", state.name()),
            Rejection::Superseded { task, state, version } => fault(Reason::AttemptSuperseded)
                .with("task", task.to_string())
                .with("state", state.name())
                .with("version", version.to_string()),
            Rejection::StaleAttempt { attempt, state, .. } => fault(Reason::AttemptStale)
                .with("task", attempt.task.to_string())
                .with("attempt", attempt.number.to_string())
                .with("state", state.name()),
            Rejection::QuotaExceeded(inner) | Rejection::Invalid(inner) => inner.clone(),
            Rejection::StaleEpoch { .. } => fault(Reason::StaleEpoch),
        }
    }
}
