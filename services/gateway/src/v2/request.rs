//! The JSON of an inference request, and the binary tensors behind it.
//!
//! The extension with binary tensors is Triton's:
//! https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
//!
//! Promises: one pass without a tree; every tensor's content becomes the bytes that models take; an error names the
//! tensor, what was expected and what came. Leaves knowing the model's tensors to the workers.

use std::collections::BTreeMap;

use bytes::Bytes;
use lepton_domain::model::TENSORS_MAX;
use lepton_domain::reason::ApiError;
use lepton_domain::text::excerpt;
use lepton_proto::convert::value::read::Reader;
use lepton_proto::inference::InferParameter;
use lepton_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};

use super::error::RequestError;
use super::tensor::{Content, Draft};

pub mod parameter;
pub mod raw;
#[cfg(test)]
mod tests;

/// Header of the length of the JSON, behind which binary tensors follow.
pub const JSON_LENGTH: &str = "inference-header-content-length";

/// A decoded body.
#[derive(Debug, Default, PartialEq)]
pub struct Asked {
    /// The caller's name for the request.
    pub id: String,
    /// Parameters that mean nothing to the gateway.
    pub parameters: BTreeMap<String, InferParameter>,
    /// The inputs, without content.
    pub inputs: Vec<InferInputTensor>,
    /// Their contents, in order.
    pub contents: Vec<Bytes>,
    /// The wanted outputs; none for all.
    pub outputs: Vec<InferRequestedOutputTensor>,
    /// In which form outputs are wanted.
    pub form: Form,
}

/// In which form outputs are wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// True where outputs without a parameter of their own are requested as binary data.
    pub binary: bool,
    /// Those that say it.
    pub by_output: BTreeMap<String, bool>,
}

impl Form {
    /// True where an output is requested as binary data.
    pub fn is_binary(&self, output: &str) -> bool {
        self.by_output.get(output).copied().unwrap_or(self.binary)
    }
}

/// Reads a body whose first `json_length` bytes are JSON; `None`: all of it is. Contents may take `bytes_max` bytes.
pub fn read(body: &Bytes, json_length: Option<usize>, bytes_max: usize) -> Result<Asked, ApiError> {
    let length = json_length.unwrap_or(body.len());
    if length > body.len() {
        let why = format!("is {length}, and the body has {} bytes", body.len());
        return Err(RequestError::field(JSON_LENGTH, why).into());
    }
    let mut reader = Reader::new(&body[..length]).map_err(|mut error| {
        if json_length.is_none() {
            error.message += &format!("; binary data behind the JSON need the header {JSON_LENGTH}");
        }
        error
    })?;
    let mut body_reader = Body {
        asked: Asked::default(),
        drafts: Vec::new(),
        room: bytes_max,
    };
    body_reader.fields(&mut reader)?;
    let Body { mut asked, drafts, .. } = body_reader;
    let has_binary = drafts.iter().any(|draft| matches!(draft.content, Content::Binary(_)));
    if json_length.is_none() && has_binary {
        let why = "is missing, though an input has `binary_data_size`: it says where the JSON ends";
        return Err(RequestError::field(JSON_LENGTH, why).into());
    }
    reader.end()?;
    let mut rest = body.slice(length..);
    for draft in drafts {
        let (tensor, content) = draft.finish(&mut rest)?;
        asked.inputs.push(tensor);
        asked.contents.push(content);
    }
    if !rest.is_empty() {
        return Err(RequestError::Leftover(rest.len()).into());
    }
    Ok(asked)
}

/// A body that is being read.
struct Body<'a> {
    asked: Asked,
    drafts: Vec<Draft<'a>>,
    room: usize,
}

impl<'a> Body<'a> {
    fn fields(&mut self, reader: &mut Reader<'a>) -> Result<(), RequestError> {
        let mut has_inputs = false;
        object(reader, 0, "the body", |reader, key| {
            match key {
                "id" => self.asked.id = reader.text()?.into_owned(),
                "parameters" => {
                    let mut parameters = parameter::read(reader, 1, "parameters")?;
                    self.asked.form.binary = parameter::flag(&mut parameters, "binary_data_output")?.unwrap_or(false);
                    self.asked.parameters = parameters;
                }
                "inputs" => {
                    has_inputs = true;
                    self.inputs(reader)?;
                }
                "outputs" => self.outputs(reader)?,
                // Some clients repeat what the path says, which counts.
                "model_name" | "model_version" => reader.skip(1)?,
                _ => return Err(unknown("the body", key, "id, parameters, inputs and outputs")),
            }
            Ok(())
        })?;
        match has_inputs {
            true => Ok(()),
            false => Err(RequestError::field(
                "inputs",
                "is missing: give a list of tensors, as {\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1],\"data\":[1]}]}",
            )),
        }
    }

    fn inputs(&mut self, reader: &mut Reader<'a>) -> Result<(), RequestError> {
        self.drafts.clear();
        list(reader, 1, "inputs", TENSORS_MAX, |reader, index| {
            let draft = Draft::read(reader, index, &mut self.room)?;
            self.drafts.push(draft);
            Ok(())
        })
    }

    fn outputs(&mut self, reader: &mut Reader<'a>) -> Result<(), RequestError> {
        self.asked.outputs.clear();
        let asked = &mut self.asked;
        list(reader, 1, "outputs", TENSORS_MAX, |reader, index| {
            let (tensor, binary) = output(reader, index)?;
            if let Some(binary) = binary {
                asked.form.by_output.insert(tensor.name.clone(), binary);
            }
            asked.outputs.push(tensor);
            Ok(())
        })
    }
}

/// A requested output, and its form if it has one of its own.
fn output(reader: &mut Reader<'_>, index: usize) -> Result<(InferRequestedOutputTensor, Option<bool>), RequestError> {
    let what = format!("outputs[{index}]");
    let mut tensor = InferRequestedOutputTensor::default();
    object(reader, 2, &what, |reader, key| {
        match key {
            "name" => tensor.name = reader.text()?.into_owned(),
            "parameters" => tensor.parameters = parameter::read(reader, 3, &what)?,
            _ => return Err(unknown(&what, key, "name and parameters")),
        }
        Ok(())
    })?;
    if tensor.name.is_empty() {
        return Err(RequestError::field(format!("{what}.name"), "is missing"));
    }
    parameter::refuse_unbuilt(&tensor.parameters, &tensor.name)?;
    let binary = parameter::flag(&mut tensor.parameters, "binary_data")?;
    Ok((tensor, binary))
}

/// Reads the object that begins here and lies within `depth` others. A field that is null is not there.
pub(super) fn object<'a>(
    reader: &mut Reader<'a>,
    depth: usize,
    what: &str,
    mut field: impl FnMut(&mut Reader<'a>, &str) -> Result<(), RequestError>,
) -> Result<(), RequestError> {
    if reader.peek()? != b'{' {
        return Err(reader.refuse(&format!("{what} must be an object")).into());
    }
    reader.open(depth)?;
    while reader.element(b'}')? {
        let key = reader.key()?;
        match reader.peek()? {
            b'n' => reader.word("null")?,
            _ => field(reader, &key)?,
        }
    }
    Ok(())
}

/// Reads the list that begins here and lies within `depth` arrays and objects.
pub(super) fn list<'a>(
    reader: &mut Reader<'a>,
    depth: usize,
    what: &str,
    entries_max: usize,
    mut entry: impl FnMut(&mut Reader<'a>, usize) -> Result<(), RequestError>,
) -> Result<(), RequestError> {
    if reader.peek()? != b'[' {
        return Err(reader.refuse(&format!("{what} must be a list")).into());
    }
    reader.open(depth)?;
    let mut count = 0;
    while reader.element(b']')? {
        if count == entries_max {
            return Err(RequestError::field(
                what,
                format!("has more than {entries_max} entries"),
            ));
        }
        entry(reader, count)?;
        count += 1;
    }
    Ok(())
}

/// The error of a field that is not there.
pub(super) fn unknown(what: &str, key: &str, known: &'static str) -> RequestError {
    RequestError::UnknownField {
        what: what.to_owned(),
        field: excerpt(key).into_owned(),
        known,
    }
}
