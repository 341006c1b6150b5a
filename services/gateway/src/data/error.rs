//! Errors of uploads.
//!
//! Promises: one conversion to the [`ApiError`] that callers read. Leaves errors of the store to the store.

use lepton_domain::ids::Tenant;
use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::text::excerpt;

use super::PREFIX;

/// An error of an upload, or of its deletion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// A body without a byte.
    #[error("the body is empty; send CSV with a header line, or JSON rows")]
    Empty,
    /// A limit of uploads is reached.
    #[error("there is no room for {more} more bytes ({used}); delete uploads that no task needs")]
    NoRoom {
        /// The caller's tenant.
        tenant: Tenant,
        /// The uploads that there are, and the limits.
        used: String,
        /// The size of the refused one.
        more: u64,
    },
    /// A name that no upload has.
    #[error("{:?} is no upload; their names are {PREFIX} and a UUID", excerpt(.0))]
    NotUpload(String),
}

impl From<DataError> for ApiError {
    fn from(error: DataError) -> Self {
        let message = error.to_string();
        match error {
            DataError::Empty => Self::field("content", message),
            DataError::NoRoom { tenant, used, .. } => {
                Self::new(Reason::QuotaExceeded, message).quota(format!("tenant:{tenant}"), used)
            }
            DataError::NotUpload(_) => Self::field("blob", message),
        }
    }
}
