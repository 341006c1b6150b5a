//! What the process that looked at a file says on its stdout, as JSON.

use lepton_domain::model::{Signature, Tensor};
use serde::{Deserialize, Serialize};

/// What it found.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// A model.
    Model { inputs: Vec<Port>, outputs: Vec<Port> },
    /// None, for this reason.
    Refused(String),
}

/// A tensor of the signature.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Port {
    name: String,
    datatype: String,
    shape: Vec<i64>,
}

impl Verdict {
    pub(super) fn of(signature: &Signature) -> Self {
        let ports = |tensors: &[Tensor]| tensors.iter().map(Port::of).collect();
        Self::Model {
            inputs: ports(&signature.inputs),
            outputs: ports(&signature.outputs),
        }
    }

    /// The verdict in what a process printed; `None` when it printed something else.
    pub(super) fn parse(printed: &[u8]) -> Option<Self> {
        serde_json::from_slice(printed).ok()
    }

    /// The signature, or why there is none.
    pub(super) fn signature(self) -> Result<Signature, String> {
        match self {
            Self::Refused(why) => Err(why),
            Self::Model { inputs, outputs } => {
                let tensors =
                    |ports: Vec<Port>| -> Result<Vec<Tensor>, String> { ports.into_iter().map(Port::tensor).collect() };
                Ok(Signature {
                    inputs: tensors(inputs)?,
                    outputs: tensors(outputs)?,
                })
            }
        }
    }
}

impl Port {
    fn of(tensor: &Tensor) -> Self {
        Self {
            name: tensor.name.clone(),
            datatype: tensor.datatype.as_str().to_owned(),
            shape: tensor.shape.clone(),
        }
    }

    fn tensor(self) -> Result<Tensor, String> {
        let datatype = self.datatype.parse();
        Ok(Tensor {
            name: self.name,
            datatype: datatype.map_err(|error: lepton_domain::model::NotDataType| error.to_string())?,
            shape: self.shape,
        })
    }
}
