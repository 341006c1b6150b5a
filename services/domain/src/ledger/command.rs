//! Commands of the leader, and their rejections.
//!
//! Promises: every [`Rejection`] maps to one error. Leaves deciding to [`super::decide()`].

use std::sync::Arc;
use std::time::Duration;

use crate::ids::{AttemptId, ContentDigest, InstanceId, Kind, RequestId, TaskId, Tenant, Version};
use crate::reason::{ApiError, Reason};
use crate::task::{Payload, Spec, State, TaskError};

/// Retry delay of a command whose format is not active: with schedulers that support it, it soon is.
const FORMAT_RETRY: Duration = Duration::from_secs(1);

/// Command, which [`decide`](super::decide()) turns into events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Opens the epoch of the segment: the first command of a leader.
    OpenEpoch {
        /// Leader.
        leader: InstanceId,
    },
    /// Accepts a task.
    Submit(Box<Submission>),
    /// Records that an attempt was dispatched.
    Start {
        /// Attempt, numbered above all earlier ones of the task.
        attempt: AttemptId,
        /// Worker that runs it.
        worker: InstanceId,
    },
    /// Records the success of an attempt.
    Succeed {
        /// Attempt, current or not.
        attempt: AttemptId,
        /// Worker that ran it.
        worker: InstanceId,
        /// Result.
        output: Payload,
    },
    /// Records the failure of an attempt.
    Fail {
        /// Attempt, which must be the current one.
        attempt: AttemptId,
        /// Worker that ran it.
        worker: InstanceId,
        /// Error.
        error: TaskError,
        /// Set if another attempt could succeed.
        retryable: bool,
        /// Last checkpoint of the attempt.
        checkpoint: Option<Payload>,
    },
    /// Records that the worker of an attempt is lost.
    Lose {
        /// Attempt, which must be the current one.
        attempt: AttemptId,
        /// Worker that ran it.
        worker: InstanceId,
        /// Set if the worker certainly ran nothing else.
        alone: bool,
        /// Last checkpoint that the attempt sent.
        checkpoint: Option<Payload>,
    },
    /// Records that a draining worker hands an attempt back.
    Return {
        /// Attempt, which must be the current one.
        attempt: AttemptId,
        /// Worker that ran it.
        worker: InstanceId,
        /// Last checkpoint of the attempt.
        checkpoint: Option<Payload>,
    },
    /// Cancels a task.
    Cancel {
        /// Task.
        task: TaskId,
        /// Reason, for the record.
        message: String,
    },
    /// Deletes the record of an ended task before its retention ends.
    Purge {
        /// Task.
        task: TaskId,
    },
    /// Pauses or resumes a tenant's tasks of one kind: paused, they wait.
    SetPaused {
        /// Owner.
        tenant: Tenant,
        /// Kind.
        kind: Kind,
        /// True to pause.
        paused: bool,
    },
    /// Applies what is due: deadlines and retention.
    Tick,
    /// Activates a format.
    ActivateFormat {
        /// Format, which every scheduler supports.
        format: u32,
    },
}

/// Submitted task, which becomes a [`Task`](crate::task::Task).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Task id, made at the edge.
    pub id: TaskId,
    /// Owner.
    pub tenant: Tenant,
    /// Submitter's idempotency key.
    pub request_id: RequestId,
    /// Digest over kind, payload and options, without deadline and trace context.
    pub content_digest: ContentDigest,
    /// Kind, input and options.
    pub spec: Spec,
    /// Submitter's W3C trace context.
    pub traceparent: Option<Arc<str>>,
    /// Ended task that this one runs again.
    pub retry_of: Option<TaskId>,
}

impl Submission {
    /// Longest tenant, in bytes.
    pub const TENANT_BYTES_MAX: usize = 64;
    /// Longest request id, in bytes.
    pub const REQUEST_ID_BYTES_MAX: usize = 128;
    /// Longest trace context, in bytes.
    pub const TRACEPARENT_BYTES_MAX: usize = 128;

    /// Checks every limit. Fails with FIELD_INVALID, which names the first field beyond its limit.
    pub fn check(&self) -> Result<(), ApiError> {
        check_length("tenant", self.tenant.as_str(), Self::TENANT_BYTES_MAX)?;
        check_length("request_id", self.request_id.as_str(), Self::REQUEST_ID_BYTES_MAX)?;
        if let Some(text) = &self.traceparent {
            check_length("traceparent", text, Self::TRACEPARENT_BYTES_MAX)?;
        }
        self.spec.check()
    }
}

fn check_length(field: &str, text: &str, bytes_max: usize) -> Result<(), ApiError> {
    if text.is_empty() || text.len() > bytes_max {
        return Err(ApiError::field(
            field,
            format!("{} bytes, 1 to {bytes_max} are taken", text.len()),
        ));
    }
    Ok(())
}

/// Rejection of a command. The ledger is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Repetition of a submit; the response is the task that it made.
    #[error("submitted before as task {0}")]
    Duplicate(TaskId),
    /// Request id used before with other content.
    #[error("the request id was used before, with other content, for task {0}")]
    RequestIdReused(TaskId),
    /// Task that does not exist.
    #[error("there is no task {0}; it may have been purged after its end")]
    TaskNotFound(TaskId),
    /// Task that has ended.
    #[error("task {task} has ended: {state}")]
    TaskEnded {
        /// Task.
        task: TaskId,
        /// Final state.
        state: State,
    },
    /// Success after the end.
    #[error("task {task} had ended before: {state} at {version}")]
    Superseded {
        /// Task.
        task: TaskId,
        /// Final state.
        state: State,
        /// Version of the end.
        version: Version,
    },
    /// Attempt that is not the current one, or whose number was used before.
    #[error("attempt {attempt} of {worker} does not fit: the task is {state}, {attempts} attempts were started")]
    StaleAttempt {
        /// Attempt of the command.
        attempt: AttemptId,
        /// Worker of the command.
        worker: InstanceId,
        /// State of the task.
        state: State,
        /// Highest number started so far.
        attempts: u32,
    },
    /// Purge of a task that has not ended.
    #[error("task {task} is {state}; only an ended task can be deleted: cancel it first")]
    TaskNotEnded {
        /// Task.
        task: TaskId,
        /// State.
        state: State,
    },
    /// Purge of a record whose request id must be kept.
    #[error("task {task} ended less than 10 minutes ago; its record stays that long, so that its request id is known")]
    Retained {
        /// Task.
        task: TaskId,
        /// Time until it can be deleted.
        left: Duration,
    },
    /// Feature of a format that is not active yet.
    #[error("the journal has format {active}, this needs {needed}; it is activated once every scheduler supports it")]
    FormatInactive {
        /// Active format.
        active: u32,
        /// Format that brings the feature.
        needed: u32,
    },
    /// Quota of the tenant.
    #[error("{0}")]
    QuotaExceeded(ApiError),
    /// Malformed command.
    #[error("{0}")]
    Invalid(ApiError),
    /// Epoch that is not newer than the open one.
    #[error("epoch {epoch} is not newer than {opened}")]
    StaleEpoch {
        /// Epoch of the segment.
        epoch: u64,
        /// Newest epoch opened.
        opened: u64,
    },
}

impl Rejection {
    /// Returns the [`ApiError`] for the caller.
    pub fn api_error(&self) -> ApiError {
        let error = |reason| ApiError::new(reason, self.to_string());
        match self {
            Rejection::Duplicate(task) => error(Reason::TaskExists).with("task", task.to_string()),
            Rejection::RequestIdReused(task) => error(Reason::RequestIdReused).with("task", task.to_string()),
            Rejection::TaskNotFound(task) => error(Reason::TaskNotFound).with("task", task.to_string()),
            Rejection::TaskEnded { task, state } => error(Reason::TaskEnded)
                .with("task", task.to_string())
                .with("state", state.name()),
            Rejection::Superseded { task, state, version } => error(Reason::AttemptSuperseded)
                .with("task", task.to_string())
                .with("state", state.name())
                .with("version", version.to_string()),
            Rejection::StaleAttempt { attempt, state, .. } => error(Reason::AttemptStale)
                .with("task", attempt.task.to_string())
                .with("attempt", attempt.number.to_string())
                .with("state", state.name()),
            Rejection::QuotaExceeded(inner) | Rejection::Invalid(inner) => inner.clone(),
            Rejection::StaleEpoch { .. } => error(Reason::StaleEpoch),
            Rejection::TaskNotEnded { task, state } => error(Reason::TaskNotEnded)
                .with("task", task.to_string())
                .with("state", state.name()),
            Rejection::Retained { task, left } => error(Reason::TaskRetained)
                .with("task", task.to_string())
                .retry_after(*left),
            Rejection::FormatInactive { .. } => error(Reason::FormatUnsupported).retry_after(FORMAT_RETRY),
        }
    }
}
