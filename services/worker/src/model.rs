//! Models in a worker: what runs them, which of them are in memory, and what is told of files that may become models.
//!
//! Promises: whoever runs a model meets the traits here and never a backend; what reaches a backend fits the model's
//! signature. Leaves records and files to `lepton-models`, and the protocol that callers speak to `infer`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use lepton_domain::model::Signature;
use lepton_domain::reason::{Fault, Reason};

pub use tensor::{Data, Tensor};
pub use tract::Tract;

pub mod check;
pub(crate) mod contain;
pub mod host;
pub mod inspect;
pub mod library;
pub mod tensor;
pub mod tract;

/// The longest explanation of a backend that callers get. Some print whole graphs.
const EXPLANATION_CHARS_MAX: usize = 600;

/// What runs models.
pub trait Backend: fmt::Debug + Send + Sync {
    /// Its name, for people.
    fn name(&self) -> &'static str;

    /// Reads a file, prepares it, and runs it once on made-up inputs. Takes as long as that takes; `stop` is asked
    /// between its steps. Fails with MODEL_INVALID, and with CANCELLED when it was stopped.
    fn load(&self, file: &[u8], stop: &dyn Fn() -> bool) -> Result<Arc<dyn Loaded>, Fault>;
}

/// A model that is ready to run.
pub trait Loaded: fmt::Debug + Send + Sync {
    /// What it takes and gives.
    fn signature(&self) -> &Signature;

    /// The named properties of its file.
    fn metadata(&self) -> &BTreeMap<String, String>;

    /// Runs it on inputs that [`check::inputs`] has put in order, and gives its outputs in the order of the signature.
    /// Keeps a processor busy until it is done; `stop` is asked before each node of the model. Fails with TENSOR_SHAPE
    /// where inputs of these shapes take more memory than a run may, and with CANCELLED when it was stopped.
    fn run(&self, inputs: Vec<Tensor>, stop: &dyn Fn() -> bool) -> Result<Vec<Tensor>, Fault>;
}

/// A file is no model that can be served.
fn invalid(why: impl fmt::Display) -> Fault {
    Fault::new(Reason::ModelInvalid, format!("the file cannot be served: {why}"))
}

/// Nobody wants it any more.
fn stopped() -> Fault {
    Fault::new(Reason::Cancelled, "the model was stopped")
}

/// A text that somebody else made, at a length that can be shown.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(EXPLANATION_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
