//! Encoding of a model's outputs as a response of the Open Inference Protocol.
//!
//! Promises: a request with raw contents gets raw contents, and any other gets lists, unless an output is of a type
//! that has none; then all of them come raw. Leaves the choice of outputs to [`request`](super::request).

use bytes::Bytes;
use lepton_proto::convert::inference::contents::pack;
use lepton_proto::inference::model_infer_response::InferOutputTensor;
use lepton_proto::inference::{InferTensorContents, ModelInferResponse};

use super::contents;
use crate::model::tensor::{Data, Tensor, TensorError};

#[cfg(test)]
mod tests;

/// Encodes these outputs; names and ids are left to the caller.
pub(super) fn encode(outputs: &[Tensor], raw: bool) -> Result<ModelInferResponse, TensorError> {
    let lists: Option<Vec<InferTensorContents>> = match raw {
        true => None,
        false => outputs.iter().map(contents::encode).collect(),
    };
    let mut response = ModelInferResponse::default();
    match lists {
        Some(lists) => {
            let filled = outputs.iter().zip(lists);
            response.outputs = filled.map(|(tensor, list)| head(tensor, Some(list))).collect();
        }
        None => {
            response.outputs = outputs.iter().map(|tensor| head(tensor, None)).collect();
            response.raw_output_contents = outputs.iter().map(raw_content).collect::<Result<_, _>>()?;
        }
    }
    Ok(response)
}

fn head(tensor: &Tensor, contents: Option<InferTensorContents>) -> InferOutputTensor {
    InferOutputTensor {
        name: tensor.name().to_owned(),
        datatype: tensor.datatype().as_str().to_owned(),
        shape: tensor
            .shape()
            .iter()
            .map(|it| i64::try_from(*it).unwrap_or(i64::MAX))
            .collect(),
        contents,
        ..InferOutputTensor::default()
    }
}

fn raw_content(tensor: &Tensor) -> Result<Bytes, TensorError> {
    match tensor.data() {
        Data::Raw(content) => Ok(content.clone()),
        Data::Texts(texts) => pack(texts).map_err(contents::refused(tensor.name())),
    }
}
