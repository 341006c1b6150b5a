//! Why a file is refused, in words for whoever made it.

use super::wire::Broken;

/// Names in a message are shortened to this: hostile ones are megabytes long.
const NAME_CHARS_MAX: usize = 80;

/// Why a file is no model that can be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the file cannot be served as an ONNX model: {message}")]
pub struct Refusal {
    message: String,
}

impl Refusal {
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

impl From<Broken> for Refusal {
    fn from(_: Broken) -> Self {
        Self::broken()
    }
}

/// A name in quotes.
pub(super) fn quoted(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => format!("{:?}...", &name[..end]),
        None => format!("{name:?}"),
    }
}
