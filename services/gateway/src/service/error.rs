//! Errors that keep the gateway from starting, or end it.
//!
//! Promises: one conversion to the [`ApiError`] that the process ends with.

use std::io;

use lepton_domain::reason::{ApiError, Reason};
use tokio::task::JoinError;

use crate::transcode::table::BadRule;

/// An error of the gateway as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A rule of the contract.
    #[error(transparent)]
    BadRule(#[from] BadRule),
    /// A part panicked.
    #[error("a part of the gateway ended: {0}")]
    Ended(#[from] JoinError),
    /// A server gave up its socket.
    #[error("the gateway cannot serve any more: {0}")]
    NotServed(#[from] io::Error),
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        // The contract is compiled in, and a test reads its rules; parts and servers end by shutdown alone.
        Self::new(Reason::Internal, error.to_string())
    }
}
