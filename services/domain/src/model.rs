//! Models: immutable numbered versions, and which of them is served.
//!
//! Promises: everything about a model has a limit; a number is given once, also after its version is deleted. Leaves
//! keeping the record to `lepton-models`, and loading files to the workers.

use std::collections::BTreeMap;

use crate::ids::ContentDigest;
use crate::reason::{Fault, Reason};
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

/// The longest name.
pub const NAME_BYTES_MAX: usize = 64;
/// The most versions that a model keeps.
pub const VERSIONS_MAX: usize = 1_000;
/// The most pairs in a version's lineage.
pub const LINEAGE_PAIRS_MAX: usize = 16;
/// The most bytes of a version's lineage, keys and values together.
pub const LINEAGE_BYTES_MAX: usize = 4 * 1024;
/// The most inputs and outputs of a model, together.
pub const TENSORS_MAX: usize = 256;
/// The longest name of a tensor.
pub const TENSOR_NAME_BYTES_MAX: usize = 256;
/// The most dimensions of a tensor.
pub const DIMENSIONS_MAX: usize = 16;

/// A tensor that a model takes or gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Type of its elements.
    pub datatype: DataType,
    /// Its dimensions; -1 for any.
    pub shape: Vec<i64>,
}

/// Inputs and outputs of a [`Model`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signature {
    /// Its inputs.
    pub inputs: Vec<Tensor>,
    /// Its outputs.
    pub outputs: Vec<Tensor>,
}

/// One immutable version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number, from 1.
    pub number: u32,
    /// Of the file.
    pub digest: ContentDigest,
    /// The file's name in the blob store's area for models; no other version has it.
    pub blob: String,
    /// Size of the file.
    pub bytes: u64,
    /// Time of its push.
    pub created: Timestamp,
    /// Its inputs and outputs.
    pub signature: Signature,
    /// Its lineage.
    pub lineage: BTreeMap<String, String>,
}

/// A file that may become a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// The number that it has to get; absent for the next one.
    pub number: Option<u32>,
    /// Of the file.
    pub digest: ContentDigest,
    /// The file's name in the blob store's area for models.
    pub blob: String,
    /// Size of the file.
    pub bytes: u64,
    /// Time of its push.
    pub created: Timestamp,
    /// Its inputs and outputs.
    pub signature: Signature,
    /// Its lineage.
    pub lineage: BTreeMap<String, String>,
}

/// A model. One without versions has been deleted; its record only remembers which numbers were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Its versions, by ascending number.
    pub versions: Vec<Version>,
    /// The served version.
    pub deployed: Option<u32>,
    /// The version that was served before.
    pub previous: Option<u32>,
    /// The number that the next version gets.
    pub next: u32,
}

impl Model {
    /// A model without versions.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            versions: Vec::new(),
            deployed: None,
            previous: None,
            next: 1,
        }
    }

    /// Returns whether it has no versions.
    pub fn is_deleted(&self) -> bool {
        self.versions.is_empty()
    }

    /// The version with this number.
    pub fn version(&self, number: u32) -> Option<&Version> {
        let found = self.versions.binary_search_by_key(&number, |version| version.number);
        found.ok().map(|index| &self.versions[index])
    }

    /// The version whose file has this digest.
    pub fn with_digest(&self, digest: ContentDigest) -> Option<&Version> {
        self.versions.iter().find(|version| version.digest == digest)
    }

    /// The version with the highest number.
    pub fn newest(&self) -> Option<&Version> {
        self.versions.last()
    }
}

/// Refuses a name that is not `[a-z0-9][a-z0-9_.-]{0,63}`.
pub fn check_name(name: &str) -> Result<(), Fault> {
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
    Err(Fault::field("name", message))
}

/// Returns the error about a model that does not exist.
pub fn not_found(name: &str) -> Fault {
    Fault::new(Reason::ModelNotFound, format!("there is no model {name:?}")).with("model", name)
}

/// Returns the error about a version that does not exist.
pub fn version_not_found(name: &str, number: u32) -> Fault {
    let message = format!("model {name:?} has no version {number}");
    Fault::new(Reason::ModelNotFound, message)
        .with("model", name)
        .with("version", number.to_string())
}
