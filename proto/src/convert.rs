//! Conversions between the wire and values: of the domain, of JSON, of tables.
//!
//! Promises: whatever a peer sends, a conversion answers with a value or an error that names the field; it never
//! panics. The same value always gives the same bytes. Leaves limits of size and length to the domain's own checks.

use lepton_domain::ids::{AttemptId, ContentDigest, TaskId};
use lepton_domain::reason::ApiError;

pub mod analysis;
#[cfg(test)]
mod arbitrary;
pub mod condition;
pub mod event;
pub mod incident;
pub mod inference;
pub mod model;
pub mod refusal;
pub mod snapshot;
pub mod task;
pub mod time;
pub mod trace;
pub mod value;
pub mod worker_session;

use crate::journal::v1 as wire;

/// Message without a meaning in the domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConvertError {
    /// Path of the field within the converted message.
    pub field: &'static str,
    /// Problem of the field.
    pub problem: Problem,
}

/// Problem of a field in a [`ConvertError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Required field that is absent.
    #[error("is absent")]
    Absent,
    /// Field of another length than its only one.
    #[error("has {found} bytes instead of {expected}")]
    Length {
        /// Length required.
        expected: usize,
        /// Length found.
        found: usize,
    },
    /// Number without a meaning.
    #[error("is {0}, which stands for nothing known")]
    Unknown(i64),
    /// Time or duration outside the range of microseconds since 1970.
    #[error("is not a time between the years 1970 and 9999, or not a duration from 0 on")]
    Time,
    /// Payload in the blob store that was not fetched ([`task::Resolved`]).
    #[error("lies in the blob store and was not given")]
    Unresolved,
    /// Payload stored as JSON that is none.
    #[error("is not JSON: {0}")]
    NotJson(String),
}

impl ConvertError {
    /// Error about this field.
    pub(crate) const fn new(field: &'static str, problem: Problem) -> Self {
        Self { field, problem }
    }
}

impl From<ConvertError> for ApiError {
    fn from(error: ConvertError) -> Self {
        ApiError::field(error.field, error.problem.to_string())
    }
}

/// Field; [`Problem::Absent`] if there is none.
fn required<T>(field: &'static str, value: Option<T>) -> Result<T, ConvertError> {
    value.ok_or(ConvertError::new(field, Problem::Absent))
}

/// Exactly `N` bytes.
fn exact<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], ConvertError> {
    let length = Problem::Length {
        expected: N,
        found: bytes.len(),
    };
    bytes.try_into().map_err(|_| ConvertError::new(field, length))
}

/// Parses a task's id: 16 bytes in big-endian order, so that ids sort as bytes as they do as numbers.
pub fn task_id(field: &'static str, bytes: &[u8]) -> Result<TaskId, ConvertError> {
    exact(field, bytes).map(|bytes| TaskId::from_u128(u128::from_be_bytes(bytes)))
}

/// Task id in its form inside the mesh, the inverse of [`task_id`].
pub fn task_id_bytes(task: TaskId) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(&task.as_u128().to_be_bytes())
}

/// Parses a SHA-256.
pub fn content_digest(field: &'static str, bytes: &[u8]) -> Result<ContentDigest, ConvertError> {
    exact(field, bytes).map(ContentDigest)
}

/// SHA-256 in its form inside the mesh, the inverse of [`content_digest`].
fn digest_bytes(digest: &ContentDigest) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(&digest.0)
}

impl From<AttemptId> for wire::Attempt {
    fn from(attempt: AttemptId) -> Self {
        Self {
            task: task_id_bytes(attempt.task),
            number: attempt.number,
        }
    }
}

impl TryFrom<&wire::Attempt> for AttemptId {
    type Error = ConvertError;

    fn try_from(attempt: &wire::Attempt) -> Result<Self, ConvertError> {
        Ok(Self {
            task: task_id("attempt.task", &attempt.task)?,
            number: attempt.number,
        })
    }
}
