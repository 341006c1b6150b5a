//! Conversions between the wire and values: of the domain, of JSON, of tables.
//!
//! Promises: whatever a peer sends, a conversion answers with a value or an error that names the field; it never
//! panics. The same value always gives the same bytes. Leaves limits of size and length to the domain's own checks.

use lepton_domain::ids::{AttemptId, ContentDigest, TaskId};
use lepton_domain::reason::Fault;

pub mod analysis;
#[cfg(test)]
mod arbitrary;
pub mod event;
pub mod incident;
pub mod model;
pub mod refusal;
pub mod snapshot;
pub mod task;
pub mod time;
pub mod trace;
pub mod value;

use crate::journal::v1 as wire;

/// A message without a counterpart in the domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConvertError {
    /// Path of the field within the converted message.
    pub field: &'static str,
    /// Its defect.
    pub problem: Problem,
}

/// Defect of a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It has to be there.
    #[error("is absent")]
    Absent,
    /// It has to be of one length.
    #[error("has {found} bytes instead of {expected}")]
    Length {
        /// The length it has to have.
        expected: usize,
        /// The length it has.
        found: usize,
    },
    /// Its number stands for nothing.
    #[error("is {0}, which stands for nothing known")]
    Unknown(i64),
    /// Its time or duration has no form in microseconds since 1970.
    #[error("is not a time between the years 1970 and 9999, or not a duration from 0 on")]
    Time,
    /// It lies in the blob store and was not fetched from there.
    #[error("lies in the blob store and was not given")]
    Unresolved,
    /// It was stored as JSON and is none.
    #[error("is not JSON: {0}")]
    NotJson(String),
}

impl ConvertError {
    /// A field that has this problem.
    pub(crate) const fn new(field: &'static str, problem: Problem) -> Self {
        Self { field, problem }
    }
}

impl From<ConvertError> for Fault {
    fn from(error: ConvertError) -> Self {
        Fault::field(error.field, error.problem.to_string())
    }
}

/// The field, or the error that it is absent.
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

/// Reads a task's id: 16 bytes, the highest first, so that ids sort as bytes as they do as numbers.
pub fn task_id(field: &'static str, bytes: &[u8]) -> Result<TaskId, ConvertError> {
    exact(field, bytes).map(|bytes| TaskId::from_u128(u128::from_be_bytes(bytes)))
}

/// A task's id as it is written everywhere inside the mesh.
pub fn task_id_bytes(task: TaskId) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(&task.as_u128().to_be_bytes())
}

/// Reads a SHA-256.
pub fn content_digest(field: &'static str, bytes: &[u8]) -> Result<ContentDigest, ConvertError> {
    exact(field, bytes).map(ContentDigest)
}

/// A SHA-256 as it is written everywhere inside the mesh.
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
