//! Errors of the scheduler, and their one conversion to the wire.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use lepton_coordination::election::Leader;
use lepton_core::error::status;
use lepton_domain::ledger::{IllegalEvent, Mismatch, Rejection};
use lepton_domain::reason::{ApiError, Reason};
use lepton_journal::append::AppendError;
use lepton_proto::convert::ConvertError;
use tokio::task::JoinError;
use tonic::Status;

#[cfg(test)]
mod tests;

/// Pause that a caller is asked to make while etcd does not answer.
const JOURNAL_RETRY: Duration = Duration::from_secs(1);

/// Refusal of a call: of a command, a read or a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// No append can finish. The outcome of a command that was under way is unknown.
    #[error("the journal cannot be written at the moment: etcd does not answer; try again")]
    JournalUnavailable,
    /// The leader that took the call has resigned. The outcome of a command is unknown.
    #[error("this scheduler leads no more; ask its successor")]
    Resigned,
    /// The leader is another instance, which is named where it is known.
    #[error("another scheduler leads, or none does yet; ask the leader")]
    NotLeader(Option<Leader>),
    /// A watch above the limit of one leader.
    #[error("too many tasks are being watched; close some watches first")]
    TooManyWatchers,
    /// The ledger refuses the command, or has no such task.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// A field of the message cannot be read.
    #[error(transparent)]
    Malformed(#[from] ConvertError),
    /// A field of the message breaks a rule.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The rule, and the value that breaks it.
        problem: String,
    },
    /// A session that begins with another message, or with none in time.
    #[error("a session begins with `hello`")]
    HelloMissing,
    /// A session that repeats its first message.
    #[error("`hello` is said once, first")]
    HelloRepeated,
}

impl CallError {
    /// A field without which the message means nothing.
    pub fn missing(field: &'static str) -> Self {
        Self::Invalid {
            field,
            problem: "missing".to_owned(),
        }
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        match error {
            CallError::JournalUnavailable => {
                ApiError::new(Reason::JournalUnavailable, message).retry_after(JOURNAL_RETRY)
            }
            CallError::Resigned | CallError::NotLeader(None) => ApiError::new(Reason::NotLeader, message),
            CallError::NotLeader(Some(leader)) => ApiError::new(Reason::NotLeader, message)
                .with("leader", leader.instance.as_str())
                .with("epoch", leader.epoch.0.to_string()),
            CallError::TooManyWatchers => ApiError::new(Reason::Overloaded, message),
            CallError::Rejected(rejection) => rejection.api_error(),
            CallError::Malformed(error) => error.into(),
            CallError::Invalid { field, problem } => ApiError::field(field, problem),
            CallError::HelloMissing | CallError::HelloRepeated => ApiError::new(Reason::FieldInvalid, message),
        }
    }
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        status(&error.into())
    }
}

/// End of a leadership that was not wished for: the ledger that went ahead of the journal must be thrown away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LeadershipLost {
    /// A write was fenced, or found another journal than this leader's.
    #[error(transparent)]
    Write(#[from] AppendError),
    /// A peer has a mark beyond this leader's journal.
    #[error("a peer has seen segment {seen}, this leader only {last}")]
    Behind {
        /// The segment of the peer's mark.
        seen: u64,
        /// This leader's last segment.
        last: u64,
    },
    /// A peer has a mark of another history.
    #[error("a peer has seen another segment {0}")]
    Diverged(u64),
    /// `decide` and `apply` disagree.
    #[error("the ledger refused its own decision: {0}")]
    IllegalDecision(#[from] IllegalEvent),
    /// Damaged memory, or a defect.
    #[error(transparent)]
    Damaged(#[from] Mismatch),
    /// The service stops, and etcd does not answer.
    #[error("the last append did not settle in time")]
    ShutdownTimeout,
}

/// End of the service that was not wished for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The high-water mark cannot be kept in this directory.
    #[error("{}: {error}; choose another with --data-dir", directory.display())]
    DataDir {
        /// The directory.
        directory: PathBuf,
        /// The refusal of the system.
        error: io::Error,
    },
    /// The blob store belongs to another etcd.
    #[error(transparent)]
    ForeignBlobStore(ApiError),
    /// A server gave up its socket. It serves until this service closes it, so that this is a defect.
    #[error("the server ended badly: {0}")]
    Server(#[from] io::Error),
    /// A server's task panicked.
    #[error("the server ended badly: {0}")]
    Panicked(#[from] JoinError),
}

impl From<RunError> for ApiError {
    fn from(error: RunError) -> Self {
        let message = error.to_string();
        match error {
            RunError::DataDir { .. } => ApiError::new(Reason::DataDirNotWritable, message),
            RunError::ForeignBlobStore(api_error) => api_error,
            // Servers end by shutdown alone.
            RunError::Server(_) | RunError::Panicked(_) => ApiError::new(Reason::Internal, message),
        }
    }
}
