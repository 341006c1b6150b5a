//! Failures of tensors: against a model's signature, against their own shape, and in a run.

use lepton_domain::model::DataType;

/// A tensor that a model does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TensorError {
    /// An input that the model does not have.
    #[error("the model has no input {name:?}; it takes {known}")]
    UnknownInput { name: String, known: String },
    /// An output that the model does not have.
    #[error("the model has no output {name:?}; it gives {known}")]
    UnknownOutput { name: String, known: String },
    /// An input that was not given.
    #[error("input {described} is missing")]
    Missing {
        name: String,
        /// The input with its type and shape.
        described: String,
    },
    /// An input that was given twice.
    #[error("inputs: {name:?} is given twice")]
    Twice { name: String },
    /// An input of another data type.
    #[error("input {name:?} takes {expected}; {given:?} came")]
    Type {
        name: String,
        expected: DataType,
        /// The type as the caller named it, shortened.
        given: String,
    },
    /// Numbers for an input that takes none.
    #[error("tensor {name:?} takes {datatype}, not numbers")]
    NotNumeric { name: String, datatype: DataType },
    /// An input of another shape.
    #[error("input {name:?} takes shape {expected:?}{}; {given} {problem}", any(expected))]
    Shape {
        name: String,
        expected: Vec<i64>,
        /// The shape that came, shortened.
        given: String,
        problem: &'static str,
    },
    /// Two lengths of a dimension that inputs share.
    #[error(transparent)]
    SharedDimension(Box<SharedDimension>),
    /// Elements that do not fit the tensor's own shape or type.
    #[error("tensor {name:?} {problem}")]
    Data { name: String, problem: String },
    /// Inputs that would make a run hold too much memory.
    #[error("the model takes too much memory for {shapes}: {halt}; send smaller tensors")]
    Memory {
        shapes: String,
        /// The node that is one too many.
        halt: String,
        limit: u64,
    },
    /// Inputs on which the model does not run.
    #[error("the model does not run on these inputs: {0}")]
    Unusable(String),
}

/// The failure of [`TensorError::SharedDimension`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "inputs {first:?} and {name:?} share the dimension {dimension:?}: {expected} of it came in {first_shape:?}, \
     {given} in {shape:?}"
)]
pub(crate) struct SharedDimension {
    pub(crate) first: String,
    pub(crate) first_shape: Vec<usize>,
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// Name of the dimension, shortened.
    pub(crate) dimension: String,
    pub(crate) expected: usize,
    pub(crate) given: usize,
}

impl TensorError {
    /// Elements that do not fit the tensor.
    pub(crate) fn data(name: &str, problem: impl std::fmt::Display) -> Self {
        Self::Data {
            name: name.to_owned(),
            problem: problem.to_string(),
        }
    }
}

/// An explanation of -1, where a shape has it.
fn any(shape: &[i64]) -> &'static str {
    if shape.contains(&-1) { " (-1 for any)" } else { "" }
}
