//! The Open Inference Protocol as gateways and workers share it: its constants, versions of models, and signatures.
//!
//! The protocol: <https://github.com/kserve/open-inference-protocol> (specification/protocol/inference_grpc.md).
//! Promises: gateway and worker read a version in the same way. Leaves elements of tensors to [`contents`],
//! and checks against a model to the worker.

use lepton_domain::model::{Signature, Tensor};
use lepton_domain::reason::ApiError;
use lepton_domain::text::cut;
use tonic::metadata::MetadataMap;

use crate::inference::ModelMetadataResponse;
use crate::inference::model_metadata_response::TensorMetadata;

pub mod contents;

/// Name of the server in `ServerMetadata`.
pub const SERVER_NAME: &str = "lepton";
/// Platform of every model in `ModelMetadata`.
pub const PLATFORM: &str = "onnx_onnxv1";
/// Metadata key with which a gateway passes on the version that it chose.
pub const MODEL_VERSION_KEY: &str = "lepton-model-version";

/// The most bytes of a version that an error repeats.
const SHOWN_BYTES_MAX: usize = 40;

/// A text that is no version of a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version; versions are 1, 2, 3, ...")]
pub struct VersionError(String);

impl From<VersionError> for ApiError {
    fn from(error: VersionError) -> Self {
        ApiError::field("model_version", error.to_string())
    }
}

/// Parses the version of a request; an empty one leaves the choice to the mesh.
pub fn parse_version(text: &str) -> Result<Option<u32>, VersionError> {
    if text.is_empty() {
        return Ok(None);
    }
    let shown = |_| VersionError(cut(text, SHOWN_BYTES_MAX).into_owned());
    text.parse().map(Some).map_err(shown)
}

/// The version that the gateway chose, else the one that the request names, else none.
pub fn requested_version(metadata: &MetadataMap, named: &str) -> Result<Option<u32>, VersionError> {
    let chosen = metadata.get(MODEL_VERSION_KEY).and_then(|value| value.to_str().ok());
    parse_version(chosen.unwrap_or(named))
}

/// Describes a model by its signature and the versions that may be requested.
pub fn model_metadata(
    name: &str,
    signature: &Signature,
    versions: impl IntoIterator<Item = u32>,
) -> ModelMetadataResponse {
    let tensors = |tensors: &[Tensor]| tensors.iter().map(TensorMetadata::from).collect();
    ModelMetadataResponse {
        name: name.to_owned(),
        versions: versions.into_iter().map(|version| version.to_string()).collect(),
        platform: PLATFORM.to_owned(),
        inputs: tensors(&signature.inputs),
        outputs: tensors(&signature.outputs),
    }
}

impl From<&Tensor> for TensorMetadata {
    fn from(tensor: &Tensor) -> Self {
        Self {
            name: tensor.name.clone(),
            datatype: tensor.datatype.as_str().to_owned(),
            shape: tensor.shape.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_and_an_empty_one_leaves_the_choice() {
        assert_eq!((parse_version(""), parse_version("7")), (Ok(None), Ok(Some(7))));
        for bad in ["x", "-1", "1.0", "4294967296", " 1"] {
            let error = ApiError::from(parse_version(bad).expect_err(bad));
            assert!(error.message.contains(bad), "{error}");
            assert_eq!(error.violations[0].field, "model_version");
        }
        let mut metadata = MetadataMap::new();
        assert_eq!(requested_version(&metadata, "7"), Ok(Some(7)));
        metadata.insert(MODEL_VERSION_KEY, "2".parse().expect("a value"));
        assert_eq!(requested_version(&metadata, "7"), Ok(Some(2)), "the gateway's choice");
        let long = parse_version(&"x".repeat(1_000)).expect_err("no number");
        assert!(long.to_string().len() < 100, "{long}");
    }
}
