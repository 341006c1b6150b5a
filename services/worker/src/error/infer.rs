//! Failures of reading an inference request, but for those of single tensors.

/// An inference request that no model could take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InferError {
    /// Too many tensors.
    #[error("{found} tensors; a request names at most {max}")]
    TooManyTensors { found: usize, max: usize },
    /// Another number of raw contents than of inputs.
    #[error(
        "`raw_input_contents` has {found} entries for {inputs} inputs; give one for each, or none and fill `contents`"
    )]
    RawEntries { found: usize, inputs: usize },
    /// An output that is requested twice.
    #[error("{name:?} is named twice")]
    OutputTwice { name: String },
    /// A parameter that changes what is requested, and is not built.
    #[error("tensor {tensor:?} asks for {feature}, which is not supported; leave out `{parameter}`")]
    Unsupported {
        tensor: String,
        parameter: &'static str,
        feature: &'static str,
    },
}
