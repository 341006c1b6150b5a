//! Models in a worker: the backend that runs them, the cache that holds them, and the sandbox that validates new files.
//!
//! Promises: callers meet the traits here and never a backend; what reaches a backend fits the model's signature. Leaves
//! records and files to [`lepton_models`], and the protocol that callers speak to [`infer`](crate::infer).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use lepton_domain::model::Signature;
use lepton_domain::text::cut;

pub(crate) use tensor::{Tensor, TensorError};
pub(crate) use tract::Tract;

pub(crate) mod access;
pub(crate) mod cache;
pub(crate) mod sandbox;
pub(crate) mod signature;
pub(crate) mod tensor;
mod tract;

/// Longest explanation of a backend that callers get, in bytes. Some print whole graphs.
const EXPLANATION_BYTES_MAX: usize = 600;

/// A library that runs models.
pub(crate) trait Backend: fmt::Debug + Send + Sync {
    /// Reads a file, prepares it, and runs it once on made-up inputs. Takes as long as that takes; `stop` is polled
    /// between its steps.
    fn load(&self, file: &[u8], stop: &dyn Fn() -> bool) -> Result<Arc<dyn LoadedModel>, LoadError>;
}

/// A model that is ready to run.
pub(crate) trait LoadedModel: fmt::Debug + Send + Sync {
    /// Inputs and outputs of the model.
    fn signature(&self) -> &Signature;

    /// Named properties of the model's file.
    fn metadata(&self) -> &BTreeMap<String, String>;

    /// Runs the model on inputs that [`signature::order_inputs`] has put in order, and returns its outputs in the order
    /// of the signature. Keeps a processor busy until it is done; `stop` is polled before each node of the model. Fails
    /// with [`TensorError::Memory`] where inputs of these shapes take more memory than a run may.
    fn run(&self, inputs: Vec<Tensor>, stop: &dyn Fn() -> bool) -> Result<Vec<Tensor>, RunError>;
}

/// A file that [`Backend::load`] refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoadError {
    /// No ONNX file, or a broken one.
    #[error("{0}")]
    Unreadable(String),
    /// A file that the backend cannot serve.
    #[error("the file cannot be served: {0}")]
    Unsupported(String),
    /// A file with operators that the backend does not have.
    #[error("the file cannot be served: it uses operators that are not supported: {0}")]
    Operators(String),
    /// A load that was stopped by its caller.
    #[error("the model was stopped")]
    Stopped,
}

impl LoadError {
    /// A file that the backend cannot serve, for this reason.
    fn unsupported(problem: impl fmt::Display) -> Self {
        Self::Unsupported(problem.to_string())
    }
}

/// A run of [`LoadedModel::run`] without outputs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RunError {
    /// An input that the model does not take.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A run that was stopped by its caller.
    #[error("the model was stopped")]
    Stopped,
    /// A panic of the backend.
    #[error("the model broke down on these inputs: {0}")]
    Panicked(String),
}

/// Shortens a backend's explanation.
fn shortened(text: &str) -> String {
    cut(text, EXPLANATION_BYTES_MAX).into_owned()
}
