//! A model as etcd holds it: JSON with a format number.
//!
//! Promises: what is written is read back unchanged; a record of a newer format, or of another program, is refused and
//! never overwritten; a record above the limit is not written. Leaves what a model may be to the domain.

use std::collections::BTreeMap;

use lepton_domain::ids::ContentDigest;
use lepton_domain::model::{DataType, Model, Signature, Tensor, Version};
use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The format that is written.
const FORMAT: u32 = 1;
/// The largest record, well below the 1.5 MiB that etcd takes.
const RECORD_BYTES_MAX: usize = 1 << 20;
/// Number of the last changes that a record remembers.
pub(super) const CHANGES_MAX: usize = 16;

/// A model with the marks of its last changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) model: Model,
    /// A nonce a change, the oldest first: whoever does not know whether a change of his was made finds it here.
    pub(super) changes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    format: u32,
    next: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deployed: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<u32>,
    changes: Vec<String>,
    versions: Vec<StoredVersion>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredVersion {
    number: u32,
    digest: String,
    blob: String,
    bytes: u64,
    create_time_us: u64,
    inputs: Vec<StoredTensor>,
    outputs: Vec<StoredTensor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    lineage: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct StoredTensor {
    name: String,
    datatype: String,
    shape: Vec<i64>,
}

/// The format alone: the rest may have changed with it.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// The value to store.
pub(super) fn encode(record: &Record) -> Result<Vec<u8>, ApiError> {
    let Record { model, changes } = record;
    let stored = Stored {
        format: FORMAT,
        next: model.next,
        deployed: model.deployed,
        previous: model.previous,
        changes: changes.clone(),
        versions: model.versions.iter().map(stored_version).collect(),
    };
    let value = serde_json::to_vec(&stored).expect("texts and numbers always have a JSON form");
    if value.len() > RECORD_BYTES_MAX {
        let (name, length) = (&model.name, value.len());
        let message = format!(
            "what is kept about model {name:?} would take {length} of {RECORD_BYTES_MAX} bytes; delete some versions"
        );
        let quota = format!("{length} of {RECORD_BYTES_MAX} bytes");
        return Err(ApiError::new(Reason::QuotaExceeded, message).quota(format!("model:{name}"), quota));
    }
    Ok(value)
}

/// Reads the record of the model called `name`.
pub(super) fn decode(name: &str, value: &[u8]) -> Result<Record, ApiError> {
    let corrupt = |why: String| {
        let message = format!("what is kept about model {name:?} is not readable: {why}");
        ApiError::new(Reason::DataCorrupt, message).with("model", name)
    };
    let Format { format } = serde_json::from_slice(value).map_err(|error| corrupt(error.to_string()))?;
    if format != FORMAT {
        let message = format!(
            "what is kept about model {name:?} has format {format}; this program knows {FORMAT}: use the newer one"
        );
        return Err(ApiError::new(Reason::FormatUnsupported, message).with("model", name));
    }
    let stored: Stored = serde_json::from_slice(value).map_err(|error| corrupt(error.to_string()))?;
    let versions: Result<Vec<Version>, String> = stored.versions.into_iter().map(version).collect();
    let model = Model {
        name: name.to_owned(),
        versions: versions.map_err(corrupt)?,
        deployed: stored.deployed,
        previous: stored.previous,
        next: stored.next,
    };
    if !model.versions.is_sorted_by(|one, two| one.number < two.number) {
        return Err(corrupt("its versions are not in order".to_owned()));
    }
    Ok(Record {
        model,
        changes: stored.changes,
    })
}

fn stored_version(version: &Version) -> StoredVersion {
    StoredVersion {
        number: version.number,
        digest: version.digest.to_string(),
        blob: version.blob.clone(),
        bytes: version.bytes,
        create_time_us: version.created.as_micros(),
        inputs: version.signature.inputs.iter().map(stored_tensor).collect(),
        outputs: version.signature.outputs.iter().map(stored_tensor).collect(),
        lineage: version.lineage.clone(),
    }
}

fn stored_tensor(tensor: &Tensor) -> StoredTensor {
    StoredTensor {
        name: tensor.name.clone(),
        datatype: tensor.datatype.to_string(),
        shape: tensor.shape.clone(),
    }
}

fn version(stored: StoredVersion) -> Result<Version, String> {
    let digest: ContentDigest = stored.digest.parse().map_err(|_| "a digest is none".to_owned())?;
    let tensors = |tensors: Vec<StoredTensor>| tensors.into_iter().map(tensor).collect::<Result<Vec<_>, _>>();
    Ok(Version {
        number: stored.number,
        digest,
        blob: stored.blob,
        bytes: stored.bytes,
        created: Timestamp::from_micros(stored.create_time_us),
        signature: Signature {
            inputs: tensors(stored.inputs)?,
            outputs: tensors(stored.outputs)?,
        },
        lineage: stored.lineage,
    })
}

fn tensor(stored: StoredTensor) -> Result<Tensor, String> {
    let datatype: DataType = stored.datatype.parse().map_err(|error| format!("{error}"))?;
    Ok(Tensor {
        name: stored.name,
        datatype,
        shape: stored.shape,
    })
}
