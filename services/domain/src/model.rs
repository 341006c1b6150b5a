//! Models: immutable numbered versions, and the deployed one.
//!
//! Promises: everything about a model has a limit; a number is used once, also after its version is deleted. Leaves
//! storing the record to `lepton-models`, and loading files to the workers.

use std::collections::BTreeMap;

use crate::ids::ContentDigest;
use crate::reason::{ApiError, Reason};
use crate::text::excerpt;
use crate::time::Timestamp;

pub use datatype::{DataType, NotDataType};
pub use decide::{Change, Decision, decide};
pub use serving::serving;

mod datatype;
mod decide;
mod limits;
mod serving;
#[cfg(test)]
mod tests;

/// Longest name of a model, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Most versions of a model.
pub const VERSIONS_MAX: usize = 1_000;
/// Most entries of a version's lineage.
pub const LINEAGE_PAIRS_MAX: usize = 16;
/// Most bytes of a version's lineage, keys and values together.
pub const LINEAGE_BYTES_MAX: usize = 4 * 1024;
/// Most inputs and outputs of a model, together.
pub const TENSORS_MAX: usize = 256;
/// Longest name of a tensor, in bytes.
pub const TENSOR_NAME_BYTES_MAX: usize = 256;
/// Most dimensions of a tensor.
pub const DIMENSIONS_MAX: usize = 16;

/// Input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Name of the tensor.
    pub name: String,
    /// Type of its elements.
    pub datatype: DataType,
    /// Dimensions; -1 for any length.
    pub shape: Vec<i64>,
}

/// Inputs and outputs of a model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signature {
    /// Inputs.
    pub inputs: Vec<Tensor>,
    /// Outputs.
    pub outputs: Vec<Tensor>,
}

/// Immutable version of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Number, from 1.
    pub number: u32,
    /// Digest of the file.
    pub digest: ContentDigest,
    /// Name of the file in the blob store's area for models; no other version has it.
    pub blob: String,
    /// Size of the file, bytes.
    pub bytes: u64,
    /// Time of the push.
    pub created: Timestamp,
    /// Inputs and outputs.
    pub signature: Signature,
    /// Origin: task, data, parameters and metrics.
    pub lineage: BTreeMap<String, String>,
}

/// File to be added as a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// Required number; absent for the next one.
    pub number: Option<u32>,
    /// Digest of the file.
    pub digest: ContentDigest,
    /// Name of the file in the blob store's area for models.
    pub blob: String,
    /// Size of the file, bytes.
    pub bytes: u64,
    /// Time of the push.
    pub created: Timestamp,
    /// Inputs and outputs.
    pub signature: Signature,
    /// Origin: task, data, parameters and metrics.
    pub lineage: BTreeMap<String, String>,
}

/// Model with its versions. One without versions has been deleted; its record only remembers which numbers were used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Name of the model.
    pub name: String,
    /// Versions, by ascending number.
    pub versions: Vec<Version>,
    /// Deployed version.
    pub deployed: Option<u32>,
    /// Version deployed before.
    pub previous: Option<u32>,
    /// Number of the next version.
    pub next: u32,
}

impl Model {
    /// Model without versions.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            versions: Vec::new(),
            deployed: None,
            previous: None,
            next: 1,
        }
    }

    /// Reports whether it has no versions.
    pub fn is_deleted(&self) -> bool {
        self.versions.is_empty()
    }

    /// Version with this number.
    pub fn version(&self, number: u32) -> Option<&Version> {
        let found = self.versions.binary_search_by_key(&number, |version| version.number);
        found.ok().map(|index| &self.versions[index])
    }

    /// Version whose file has this digest.
    pub fn with_digest(&self, digest: ContentDigest) -> Option<&Version> {
        self.versions.iter().find(|version| version.digest == digest)
    }

    /// Version with the highest number.
    pub fn newest(&self) -> Option<&Version> {
        self.versions.last()
    }
}

/// Checks that a name matches `[a-z0-9][a-z0-9_.-]{0,63}`. Fails with FIELD_INVALID.
pub fn check_name(name: &str) -> Result<(), ApiError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut bytes = name.bytes();
    let starts = bytes.next().is_some_and(plain);
    if starts && name.len() <= NAME_BYTES_MAX && bytes.all(|byte| plain(byte) || b"_.-".contains(&byte)) {
        return Ok(());
    }
    let message = format!(
        "{:?} is no name for a model; names match [a-z0-9][a-z0-9_.-]{{0,63}}",
        excerpt(name)
    );
    Err(ApiError::field("name", message))
}

/// Error of a model that does not exist.
pub fn not_found(name: &str) -> ApiError {
    ApiError::new(Reason::ModelNotFound, format!("there is no model {name:?}")).with("model", name)
}

/// Error of a version that does not exist.
pub fn version_not_found(name: &str, number: u32) -> ApiError {
    let message = format!("model {name:?} has no version {number}");
    ApiError::new(Reason::ModelNotFound, message)
        .with("model", name)
        .with("version", number.to_string())
}
