//! The error of a file that is no valid model, in words for its author.

use super::wire::Broken;

/// The error of a file that cannot be served as a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the file cannot be served as an ONNX model: {message}")]
pub struct InvalidModel {
    message: String,
}

impl InvalidModel {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }

    /// The bytes are not what protobuf makes of a model.
    pub(super) fn broken() -> Self {
        Self::new("its bytes are not those of a model: it is damaged, cut off, or another kind of file")
    }
}

impl From<Broken> for InvalidModel {
    fn from(_: Broken) -> Self {
        Self::broken()
    }
}
