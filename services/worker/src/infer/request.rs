//! A request of the Open Inference Protocol as the tensors that a model takes.
//!
//! The protocol: https://github.com/kserve/open-inference-protocol (specification/protocol/inference_grpc.md).
//!
//! Promises: a tensor is checked against the signature before its content is looked at; contents are taken over without
//! a copy where they are raw. Leaves what a model takes to `model::check`.

use bytes::{Buf, Bytes};
use lepton_domain::model::{DataType, Signature, Tensor as Typed};
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use lepton_proto::inference::{InferParameter, InferTensorContents, ModelInferRequest};
use prost::Message;

use super::contents;
use crate::model::check;
use crate::model::tensor::{Tensor, count, wrong};

#[cfg(test)]
mod tests;

/// The most tensors, or wanted outputs, that a request names.
const TENSORS_MAX: usize = 1_024;
/// The most elements of a tensor of BYTES: each takes far more memory than its bytes on the way.
const TEXTS_MAX: usize = 1 << 22;
/// Bytes before each element of a raw tensor of BYTES: its length.
const LENGTH_BYTES: usize = 4;
/// Parameters of tensors that change what is asked, and are not there yet.
const NOT_BUILT: [(&str, &str); 2] = [
    ("shared_memory_region", "tensors in shared memory"),
    ("classification", "classification of outputs"),
];

/// What an element of BYTES takes beside its letters while it is read, given to a model and got back.
const TEXT_BYTES: usize = 100;
/// What an entry of a list takes, whatever its type: lists come packed, some in a byte an entry.
const ENTRY_BYTES: usize = 8;

/// What a request asks of a model.
#[derive(Debug)]
pub struct Asked {
    /// The inputs, in the model's order.
    pub inputs: Vec<Tensor>,
    /// The places of the wanted outputs, in the order in which they are wanted.
    pub outputs: Vec<usize>,
    /// Whether the inputs came as raw bytes.
    pub raw: bool,
}

/// What a request takes in memory, in bytes: what came, and what is made of it. Nothing is made for it, and what is only
/// claimed does not count.
pub fn memory_bytes(request: &ModelInferRequest) -> usize {
    let raw = &request.raw_input_contents;
    let made = request.inputs.iter().enumerate().map(|(place, input)| {
        let texts = match raw.get(place) {
            Some(raw) if input.datatype == DataType::Bytes.as_str() => claimed(input).min(raw.len() / LENGTH_BYTES),
            _ => 0,
        };
        let contents = input.contents.as_ref();
        let texts = texts + contents.map_or(0, |contents| contents.bytes_contents.len());
        texts * TEXT_BYTES + contents.map_or(0, contents::entries) * ENTRY_BYTES
    });
    request.encoded_len().saturating_add(made.sum())
}

/// How many elements an input says that it has.
fn claimed(input: &InferInputTensor) -> usize {
    let dimensions = input
        .shape
        .iter()
        .map(|dimension| usize::try_from(*dimension).unwrap_or(0));
    dimensions.fold(1, usize::saturating_mul)
}

/// Reads a request to a model of this signature.
pub fn read(signature: &Signature, request: ModelInferRequest) -> Result<Asked, Fault> {
    let ModelInferRequest {
        inputs,
        outputs,
        raw_input_contents: raw,
        ..
    } = request;
    if inputs.len().max(outputs.len()) > TENSORS_MAX {
        let message = format!("{} tensors; a request names at most {TENSORS_MAX}", inputs.len());
        return Err(Fault::field("inputs", message));
    }
    let is_raw = !raw.is_empty();
    if is_raw && raw.len() != inputs.len() {
        let message = format!(
            "`raw_input_contents` has {} entries for {} inputs; give one for each, or none and fill `contents`",
            raw.len(),
            inputs.len()
        );
        return Err(Fault::new(Reason::TensorData, message));
    }
    let outputs = wanted(signature, &outputs)?;
    let mut raw = raw.into_iter();
    let tensors = inputs.into_iter().map(|input| tensor(signature, input, raw.next()));
    let inputs = check::inputs(signature, tensors.collect::<Result<_, _>>()?)?;
    Ok(Asked {
        inputs,
        outputs,
        raw: is_raw,
    })
}

/// The places of the outputs that are named; all where none is.
fn wanted(signature: &Signature, outputs: &[InferRequestedOutputTensor]) -> Result<Vec<usize>, Fault> {
    if outputs.is_empty() {
        return Ok((0..signature.outputs.len()).collect());
    }
    let mut places = Vec::with_capacity(outputs.len());
    for output in outputs {
        built(&output.name, &output.parameters)?;
        let place = check::output(signature, &output.name)?;
        if places.contains(&place) {
            return Err(Fault::field("outputs", format!("{:?} is named twice", output.name)));
        }
        places.push(place);
    }
    Ok(places)
}

fn tensor(signature: &Signature, input: InferInputTensor, raw: Option<Bytes>) -> Result<Tensor, Fault> {
    let expected = check::input(signature, &input.name)?;
    built(&input.name, &input.parameters)?;
    check::datatype(expected, &input.datatype)?;
    let shape = check::shape(expected, &input.shape)?;
    match (raw, input.contents) {
        (Some(_), Some(contents)) if contents != InferTensorContents::default() => Err(wrong(
            &input.name,
            "has both `contents` and an entry of `raw_input_contents`; give one",
        )),
        (Some(raw), _) => of_raw(expected, shape, raw),
        (None, contents) => contents::read(expected, shape, contents.unwrap_or_default()),
    }
}

fn of_raw(expected: &Typed, shape: Vec<usize>, raw: Bytes) -> Result<Tensor, Fault> {
    if expected.datatype != DataType::Bytes {
        return Tensor::raw(&expected.name, expected.datatype, shape, raw);
    }
    let texts = texts(&expected.name, count(&shape).unwrap_or(usize::MAX), raw)?;
    Tensor::texts(&expected.name, shape, texts)
}

/// Elements of BYTES, each with its length before it.
fn texts(name: &str, count: usize, mut raw: Bytes) -> Result<Vec<Bytes>, Fault> {
    let bytes = raw.len();
    few_enough(name, count.min(bytes / LENGTH_BYTES))?;
    // What is claimed takes memory only as far as the bytes could hold it.
    let mut texts = Vec::with_capacity(count.min(bytes / LENGTH_BYTES));
    while raw.has_remaining() {
        let at = bytes - raw.remaining();
        if texts.len() == count {
            let more = format!("has {} bytes beyond its {count} elements", raw.remaining());
            return Err(wrong(name, more));
        }
        let cut = |needs: usize| {
            wrong(
                name,
                format!("ends inside element {}: byte {at} needs {needs} more", texts.len()),
            )
        };
        if raw.remaining() < LENGTH_BYTES {
            return Err(cut(LENGTH_BYTES));
        }
        let length = usize::try_from(raw.get_u32_le()).unwrap_or(usize::MAX);
        if raw.remaining() < length {
            return Err(cut(length));
        }
        texts.push(raw.split_to(length));
    }
    Ok(texts)
}

/// Fails with TENSOR_DATA for more texts than a tensor has.
pub(super) fn few_enough(name: &str, texts: usize) -> Result<(), Fault> {
    if texts <= TEXTS_MAX {
        return Ok(());
    }
    let why = format!("has {texts} elements of BYTES; {TEXTS_MAX} are taken at once, send them in several calls");
    Err(wrong(name, why))
}

fn built<'a>(
    name: &str,
    parameters: impl IntoIterator<Item = (&'a String, &'a InferParameter)> + Copy,
) -> Result<(), Fault> {
    for (parameter, what) in NOT_BUILT {
        if parameters.into_iter().any(|(given, _)| given == parameter) {
            let message = format!("tensor {name:?} asks for {what}, which is not supported; leave out `{parameter}`");
            return Err(Fault::new(Reason::NotBuilt, message).with("tensor", name));
        }
    }
    Ok(())
}
