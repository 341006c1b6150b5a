//! Errors of calls about tasks that arise in the gateway.
//!
//! Promises: one conversion to the [`ApiError`] that callers read; [`Reason::Internal`] only for what the leader never sends.

use std::time::Duration;

use lepton_domain::ids::TaskId;
use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::task::State;
use lepton_domain::text::excerpt;

/// Delay before another try.
const RETRY: Duration = Duration::from_secs(1);
/// Delay before another try through another gateway.
const RETRY_ELSEWHERE: Duration = Duration::from_millis(100);

/// An error of a call about tasks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No task has such an id, as it is no UUID.
    #[error("there is no task {:?}; ids are UUIDs, as SubmitTask gives them", excerpt(.0))]
    NoTaskId(String),
    /// No worker runs the kind.
    #[error("no worker runs the kind {:?}; known are {known}", excerpt(.kind))]
    KindUnknown {
        /// The kind.
        kind: String,
        /// Kinds that there are.
        known: String,
    },
    /// A task that must have ended to be run again.
    #[error("task {task} is {state}; only an ended task can be run again")]
    NotEnded {
        /// The task.
        task: TaskId,
        /// Its state.
        state: State,
    },
    /// The limit of waits and watches is reached.
    #[error("{limit} waits and watches are under way here, the limit; try again shortly, or read the task instead")]
    WatchesExhausted {
        /// The limit.
        limit: usize,
    },
    /// etcd does not answer.
    #[error("etcd does not answer, so nothing can be acknowledged; repeat the call with the same request id")]
    JournalAway,
    /// etcd has not answered since the start, so that the blob store has no name.
    #[error("the blob store is not open yet, as etcd has not answered since this gateway started")]
    StoreNotOpen,
    /// No leader answered a call that has not happened, or is a read.
    #[error("no scheduler answered as the leader in time; repeat the call")]
    NoLeader,
    /// No leader answered a watch.
    #[error("no scheduler leads at the moment; watch again shortly, the task goes on")]
    NoLeaderToWatch,
    /// The request was dispatched, and no answer came.
    #[error("the leader did not answer in time; it may have happened: repeat the call with the same request id")]
    OutcomeUnknown,
    /// The gateway has ended its conversation with the leader.
    #[error("this gateway stops; call another")]
    Stopped,
    /// The gateway drains.
    #[error("this gateway is about to stop; watch again through another one, the task goes on")]
    Draining,
    /// A message of the leader that breaks the contract.
    #[error("the leader's answer cannot be read: {0}")]
    Unreadable(String),
    /// A payload of JSON that is none.
    #[error("a payload was kept as JSON and is none: {0}")]
    PayloadCorrupt(String),
    /// A task that cannot be printed.
    #[error("the task cannot be printed: {0}")]
    Unprintable(String),
}

impl CallError {
    fn reason(&self) -> Reason {
        match self {
            Self::NoTaskId(_) => Reason::TaskNotFound,
            Self::KindUnknown { .. } => Reason::KindUnknown,
            Self::NotEnded { .. } => Reason::TaskNotEnded,
            Self::WatchesExhausted { .. } => Reason::Overloaded,
            Self::JournalAway | Self::StoreNotOpen => Reason::JournalUnavailable,
            Self::NoLeader | Self::NoLeaderToWatch => Reason::LeaderUnavailable,
            Self::OutcomeUnknown => Reason::OutcomeUnknown,
            Self::Stopped | Self::Draining => Reason::InstanceDraining,
            Self::PayloadCorrupt(_) => Reason::DataCorrupt,
            // The leader is of the mesh: what it sends keeps the contract.
            Self::Unreadable(_) | Self::Unprintable(_) => Reason::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Draining => Some(RETRY_ELSEWHERE),
            Self::WatchesExhausted { .. }
            | Self::JournalAway
            | Self::StoreNotOpen
            | Self::NoLeader
            | Self::NoLeaderToWatch
            | Self::OutcomeUnknown
            | Self::Stopped => Some(RETRY),
            _ => None,
        }
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        let mut api_error = Self::new(error.reason(), error.to_string());
        api_error.retry_after = error.retry_after();
        match error {
            CallError::NoTaskId(id) => api_error.with("task", excerpt(&id)),
            CallError::KindUnknown { kind, .. } => api_error.with("kind", excerpt(&kind)),
            _ => api_error,
        }
    }
}
