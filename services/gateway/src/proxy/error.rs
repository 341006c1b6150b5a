//! Errors of online calls that arise in the gateway.
//!
//! Promises: one conversion to the [`ApiError`] that callers read. Leaves the choice of a worker to [`crate::models`], and
//! what a worker refuses to the worker.

use std::time::Duration;

use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::text::excerpt;

/// Delay before another try.
const RETRY: Duration = Duration::from_secs(1);

/// An error of an online call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The request was not read within its deadline.
    #[error("the request was not all there when its time was over")]
    RequestLate,
    /// The worker did not answer within the deadline.
    #[error("the worker's answer was not there within the caller's deadline")]
    AnswerLate,
    /// The workers that were tried broke off. They leave nothing behind, so the call may be repeated.
    #[error("no worker finished it, and it may be repeated: {why}")]
    Unanswered {
        /// The error of the last one.
        why: String,
        /// Its time for another try.
        retry_after: Option<Duration>,
    },
    /// Execution by several workers.
    #[error("CONSISTENCY_QUORUM is not built yet; leave consistency out or send CONSISTENCY_ONE")]
    QuorumUnsupported,
    /// A body without rows.
    #[error("there are no rows: give at least one object in `data`")]
    NoRows,
    /// A request that is no protobuf message.
    #[error("{0}")]
    Undecodable(#[from] prost::DecodeError),
    /// A message that the contract does not have.
    #[error("the contract lost {0}")]
    ContractIncomplete(&'static str),
    /// A request that was read by its descriptor and does not fit its type.
    #[error("the request cannot be read again: {0}")]
    Untyped(prost::DecodeError),
    /// A request without a model.
    #[error("is missing")]
    ModelMissing,
    /// A version that is no number.
    #[error("{:?} is no version; versions are 1, 2, 3, ...", excerpt(.0))]
    VersionInvalid(String),
    /// An RPC that peers have and this service does not.
    #[error("{service} has no {} here; it has {known}", excerpt(.method))]
    NoMethod {
        /// The service.
        service: &'static str,
        /// The RPC.
        method: String,
        /// The RPCs that it has.
        known: String,
    },
}

impl From<ProxyError> for ApiError {
    fn from(error: ProxyError) -> Self {
        let message = error.to_string();
        match error {
            ProxyError::RequestLate | ProxyError::AnswerLate => Self::new(Reason::DeadlineExceeded, message),
            ProxyError::Unanswered { retry_after, .. } => {
                Self::new(Reason::NoWorker, message).retry_after(retry_after.unwrap_or(RETRY))
            }
            ProxyError::QuorumUnsupported => Self::new(Reason::ConsistencyUnsupported, message),
            ProxyError::NoRows => Self::new(Reason::NoRows, message),
            // Descriptors and types are compiled from the same contract.
            ProxyError::ContractIncomplete(_) | ProxyError::Untyped(_) => Self::new(Reason::Internal, message),
            ProxyError::Undecodable(_) => Self::field("request", message),
            ProxyError::ModelMissing => Self::field("model_name", message),
            ProxyError::VersionInvalid(_) => Self::field("model_version", message),
            ProxyError::NoMethod { method, .. } => {
                Self::new(Reason::MethodNotAllowed, message).with("method", excerpt(&method))
            }
        }
    }
}
