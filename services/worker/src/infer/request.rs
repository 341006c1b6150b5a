//! Decoding of an inference request into the tensors that a model takes.
//!
//! The protocol: <https://github.com/kserve/open-inference-protocol> (specification/protocol/inference_grpc.md).
//!
//! Promises: a tensor is checked against the signature before its content is decoded; raw contents are taken over without
//! a copy. Leaves the checks against the signature to [`model::signature`](crate::model::signature).

use bytes::Bytes;
use lepton_domain::model::{DataType, Signature, Tensor as TensorSpec};
use lepton_proto::convert::inference::contents::{LENGTH_BYTES, entries, unpack};
use lepton_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use lepton_proto::inference::{InferParameter, InferTensorContents, ModelInferRequest};
use prost::Message;

use super::contents;
use crate::error::{Error, InferError};
use crate::model::signature::{check_datatype, check_shape, find_input, find_output, order_inputs};
use crate::model::tensor::{Tensor, TensorError, element_count};

#[cfg(test)]
mod tests;

/// The most tensors, or wanted outputs, that a request names.
const TENSORS_MAX: usize = 1_024;
/// Parameters of tensors that change the request and are not built, with their features for people.
const NOT_BUILT: [(&str, &str); 2] = [
    ("shared_memory_region", "tensors in shared memory"),
    ("classification", "classification of outputs"),
];

/// Memory of an element of BYTES beside its letters, while it is decoded, given to a model and encoded.
const TEXT_BYTES: usize = 100;
/// Memory of an entry of a list, whatever its type: lists come packed, some in a byte an entry.
const ENTRY_BYTES: usize = 8;

/// A [`ModelInferRequest`] with its tensors decoded.
#[derive(Debug)]
pub struct DecodedRequest {
    /// Inputs, in the model's order.
    pub inputs: Vec<Tensor>,
    /// Positions of the requested outputs, in the order of the request.
    pub outputs: Vec<usize>,
    /// True when the inputs came as raw bytes.
    pub raw: bool,
}

/// Estimates the memory of a request in bytes: the message and the tensors made of it. Nothing is allocated for the
/// estimate, and mere claims do not count.
pub fn memory_bytes(request: &ModelInferRequest) -> usize {
    let raw = &request.raw_input_contents;
    let made = request.inputs.iter().enumerate().map(|(index, input)| {
        let texts = match raw.get(index) {
            Some(raw) if input.datatype == DataType::Bytes.as_str() => claimed(input).min(raw.len() / LENGTH_BYTES),
            _ => 0,
        };
        let contents = input.contents.as_ref();
        let texts = texts + contents.map_or(0, |contents| contents.bytes_contents.len());
        texts * TEXT_BYTES + contents.map_or(0, entries) * ENTRY_BYTES
    });
    request.encoded_len().saturating_add(made.sum())
}

/// Number of elements that an input claims to have.
fn claimed(input: &InferInputTensor) -> usize {
    let dimensions = input
        .shape
        .iter()
        .map(|dimension| usize::try_from(*dimension).unwrap_or(0));
    dimensions.fold(1, usize::saturating_mul)
}

/// Decodes a request to a model of this signature.
pub(super) fn decode(signature: &Signature, request: ModelInferRequest) -> Result<DecodedRequest, Error> {
    let ModelInferRequest {
        inputs,
        outputs,
        raw_input_contents: raw,
        ..
    } = request;
    if inputs.len().max(outputs.len()) > TENSORS_MAX {
        let (found, max) = (inputs.len(), TENSORS_MAX);
        return Err(InferError::TooManyTensors { found, max }.into());
    }
    let is_raw = !raw.is_empty();
    if is_raw && raw.len() != inputs.len() {
        let (found, inputs) = (raw.len(), inputs.len());
        return Err(InferError::RawEntries { found, inputs }.into());
    }
    let outputs = requested_outputs(signature, &outputs)?;
    let mut raw = raw.into_iter();
    let tensors = inputs.into_iter().map(|input| tensor(signature, input, raw.next()));
    let inputs = order_inputs(signature, tensors.collect::<Result<_, _>>()?)?;
    Ok(DecodedRequest {
        inputs,
        outputs,
        raw: is_raw,
    })
}

/// Positions of the outputs that are named; all where none is.
fn requested_outputs(signature: &Signature, outputs: &[InferRequestedOutputTensor]) -> Result<Vec<usize>, Error> {
    if outputs.is_empty() {
        return Ok((0..signature.outputs.len()).collect());
    }
    let mut positions = Vec::with_capacity(outputs.len());
    for output in outputs {
        check_parameters(&output.name, &output.parameters)?;
        let position = find_output(signature, &output.name)?;
        if positions.contains(&position) {
            let name = output.name.clone();
            return Err(InferError::OutputTwice { name }.into());
        }
        positions.push(position);
    }
    Ok(positions)
}

fn tensor(signature: &Signature, input: InferInputTensor, raw: Option<Bytes>) -> Result<Tensor, Error> {
    let expected = find_input(signature, &input.name)?;
    check_parameters(&input.name, &input.parameters)?;
    check_datatype(expected, &input.datatype)?;
    let shape = check_shape(expected, &input.shape)?;
    let tensor = match (raw, input.contents) {
        (Some(_), Some(contents)) if contents != InferTensorContents::default() => Err(TensorError::data(
            &input.name,
            "has both `contents` and an entry of `raw_input_contents`; give one",
        )),
        (Some(raw), _) => decode_raw(expected, shape, raw),
        (None, contents) => contents::decode(expected, shape, contents.unwrap_or_default()),
    };
    Ok(tensor?)
}

fn decode_raw(expected: &TensorSpec, shape: Vec<usize>, raw: Bytes) -> Result<Tensor, TensorError> {
    if expected.datatype != DataType::Bytes {
        return Tensor::raw(&expected.name, expected.datatype, shape, raw);
    }
    let (name, count) = (&expected.name, element_count(&shape).unwrap_or(usize::MAX));
    contents::check_text_count(name, count.min(raw.len() / LENGTH_BYTES))?;
    let texts = unpack(count, raw).map_err(contents::refused(name))?;
    Tensor::texts(name, shape, texts)
}

fn check_parameters<'a>(
    name: &str,
    parameters: impl IntoIterator<Item = (&'a String, &'a InferParameter)> + Copy,
) -> Result<(), InferError> {
    for (parameter, feature) in NOT_BUILT {
        if parameters.into_iter().any(|(given, _)| given == parameter) {
            return Err(InferError::Unsupported {
                tensor: name.to_owned(),
                parameter,
                feature,
            });
        }
    }
    Ok(())
}
