//! Failures of kinds of tasks that have nothing to do with the text of their input.

use lepton_proto::convert::value::JsonError;
use lepton_proto::proto_json;

/// A failure of a kind of task.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KindError {
    /// No model of this name.
    #[error("there is no model {name:?}")]
    ModelNotFound { name: String },
    /// A model without this version.
    #[error("model {name:?} has no version {version}")]
    VersionNotFound { name: String, version: u32 },
    /// A blob store that is not open.
    #[error("the blob store is not open")]
    BlobStoreClosed,
    /// An evaluation without a row to judge by.
    #[error("no row has both the target and everything that the model needs")]
    NoCompleteRow,
    /// A report that cannot be written as JSON.
    #[error("the answer: {0}")]
    Output(#[from] OutputError),
    /// An exported model that does not predict what the trained one does.
    #[error(
        "the exported model predicts {exported:?} for row {row} where the trained one predicts {trained}; it is not \
         kept"
    )]
    ExportDiffers {
        row: usize,
        exported: Option<f64>,
        trained: f64,
    },
}

/// A report that cannot be written as JSON.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// A report of our own form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A message of the contract.
    #[error(transparent)]
    Message(#[from] proto_json::PrintError),
    /// JSON that cannot be brought into its canonical form.
    #[error(transparent)]
    Canonical(#[from] JsonError),
}
