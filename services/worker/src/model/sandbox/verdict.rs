//! Result of a validation, as the child process prints it on stdout, in JSON.

use lepton_domain::model::{NotDataType, Signature, Tensor as TensorSpec};
use serde::{Deserialize, Serialize};

/// Result of a validation: a [`Signature`] or a reason.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// A usable model.
    Model {
        inputs: Vec<PrintedTensor>,
        outputs: Vec<PrintedTensor>,
    },
    /// An unusable file, with the reason.
    Refused(String),
}

/// A tensor of the [`Signature`].
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PrintedTensor {
    name: String,
    datatype: String,
    shape: Vec<i64>,
}

impl From<&Signature> for Verdict {
    fn from(signature: &Signature) -> Self {
        let printed = |tensors: &[TensorSpec]| tensors.iter().map(PrintedTensor::from).collect();
        Self::Model {
            inputs: printed(&signature.inputs),
            outputs: printed(&signature.outputs),
        }
    }
}

impl Verdict {
    /// Parses the output of a process; `None` when it printed something else.
    pub(super) fn parse(printed: &[u8]) -> Option<Self> {
        serde_json::from_slice(printed).ok()
    }

    /// The signature, or the reason why there is none.
    pub(super) fn signature(self) -> Result<Signature, String> {
        match self {
            Self::Refused(reason) => Err(reason),
            Self::Model { inputs, outputs } => {
                let tensors = |printed: Vec<PrintedTensor>| -> Result<Vec<TensorSpec>, String> {
                    let tensors = printed.into_iter().map(TensorSpec::try_from);
                    tensors
                        .collect::<Result<_, _>>()
                        .map_err(|error: NotDataType| error.to_string())
                };
                Ok(Signature {
                    inputs: tensors(inputs)?,
                    outputs: tensors(outputs)?,
                })
            }
        }
    }
}

impl From<&TensorSpec> for PrintedTensor {
    fn from(tensor: &TensorSpec) -> Self {
        Self {
            name: tensor.name.clone(),
            datatype: tensor.datatype.as_str().to_owned(),
            shape: tensor.shape.clone(),
        }
    }
}

impl TryFrom<PrintedTensor> for TensorSpec {
    type Error = NotDataType;

    fn try_from(printed: PrintedTensor) -> Result<Self, NotDataType> {
        Ok(Self {
            name: printed.name,
            datatype: printed.datatype.parse()?,
            shape: printed.shape,
        })
    }
}
