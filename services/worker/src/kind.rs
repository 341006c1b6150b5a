//! A kind of task: the contract between an attempt and the code that runs it.
//!
//! Promises: a kind gets an input and a cancellation, and gives an output or a failure; storage of payloads and the fate
//! of failures are none of its business. Leaves timeouts, panics and reports to
//! [`attempts`](crate::attempts), and the kinds themselves to [`kinds`](crate::kinds).

use bytes::Bytes;
use futures::future::BoxFuture;
use lepton_core::error::is_retryable;
use lepton_domain::ids::AttemptId;
use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::task::{Encoding, Payload, TaskError};
use tokio_util::sync::CancellationToken;

use crate::active_time::ActiveTimer;
use crate::error::Error;
use crate::progress::Progress;

/// Input of one attempt at a task of a [`Kind`].
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// The attempt: its task's id is the idempotency key, its number the fencing token.
    pub(crate) attempt: AttemptId,
    /// Encoding of the content.
    pub(crate) encoding: Encoding,
    /// The content, fetched already.
    pub(crate) content: Bytes,
    /// The submitter's trace id, 32 hexadecimal digits; empty when there is none.
    pub(crate) trace_id: String,
    /// Receiver of progress reports.
    pub(crate) progress: Progress,
    /// Last checkpoint of the attempts before.
    pub(crate) checkpoint: Option<Payload>,
    /// Measures the attempt's active time; to be paused while the attempt waits for others.
    pub(crate) timer: ActiveTimer,
}

/// Output of a [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// Encoding of the content.
    pub(crate) encoding: Encoding,
    /// The content, of any size; JSON in canonical form.
    pub(crate) content: Bytes,
}

/// Failure of a [`Kind`], or of the attempt around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Error that the submitter gets.
    pub(crate) error: TaskError,
    /// True when another attempt may fare better.
    pub(crate) retryable: bool,
}

impl Failure {
    /// A failure after which another attempt may fare better.
    pub(crate) fn retryable(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            error: TaskError::new(reason, message).shortened(),
            retryable: true,
        }
    }

    /// A failure that every other attempt would share.
    pub(crate) fn permanent(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            error: TaskError::new(reason, message).shortened(),
            retryable: false,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let api_error = ApiError::from(error);
        let retryable = is_retryable(&api_error);
        Self {
            error: TaskError::new(api_error.reason, api_error.message).shortened(),
            retryable,
        }
    }
}

/// A kind of task.
pub(crate) trait Kind: Send + Sync {
    /// Name of the kind in tasks.
    fn name(&self) -> &'static str;

    /// Runs one attempt. Must end soon after `cancel`, at which the future may also be dropped at any time.
    fn run(&self, input: Input, cancel: CancellationToken) -> BoxFuture<'static, Result<Output, Failure>>;
}
