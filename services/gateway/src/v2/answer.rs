//! The answer of an inference as HTTP: JSON, and binary tensors behind it where they were asked for.
//!
//! Promises: large binary contents are passed on as the slices that came; the JSON's length is in the header whenever binary
//! tensors follow. Leaves single elements to `print`.

use std::collections::BTreeMap;
use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, header};
use lepton_domain::model::{DataType, NotDataType};
use lepton_domain::reason::ApiError;
use lepton_proto::convert::inference::contents::to_raw;
use lepton_proto::inference::infer_parameter::ParameterChoice;
use lepton_proto::inference::model_infer_response::InferOutputTensor;
use lepton_proto::inference::{InferParameter, ModelInferResponse};
use serde_json::{Map, Value, json};

use super::error::AnswerError;
use super::print::{self, quote};
use super::request::{Form, JSON_LENGTH};
use crate::proxy::chunks::Chunks;
use crate::transcode::response;

#[cfg(test)]
mod tests;

/// An answer, written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The JSON.
    pub json: Vec<u8>,
    /// Binary tensors behind the JSON.
    pub binary: Vec<Bytes>,
    /// True where any output is binary, an empty one too.
    pub has_binary: bool,
}

/// Writes an answer in the form that was asked for.
pub fn write(answer: &ModelInferResponse, form: &Form) -> Result<Written, ApiError> {
    let mut written = Written::default();
    let out = &mut written.json;
    out.push(b'{');
    if !answer.id.is_empty() {
        member("id", &answer.id, out);
    }
    member("model_name", &answer.model_name, out);
    member("model_version", &answer.model_version, out);
    if !answer.parameters.is_empty() {
        out.extend_from_slice(b"\"parameters\":");
        out.extend_from_slice(parameters(&answer.parameters).to_string().as_bytes());
        out.push(b',');
    }
    written.json.extend_from_slice(b"\"outputs\":[");
    for (index, output) in answer.outputs.iter().enumerate() {
        if index > 0 {
            written.json.push(b',');
        }
        let content = content(answer, index)?;
        tensor(output, &content, form.is_binary(&output.name), &mut written)?;
    }
    written.json.extend_from_slice(b"]}");
    Ok(written)
}

/// The answer over HTTP.
pub fn respond(written: Written) -> Response<Body> {
    let Written {
        json,
        binary,
        has_binary,
    } = written;
    if !has_binary {
        return response::json(json);
    }
    let length = json.len();
    let whole = length + binary.iter().map(Bytes::len).sum::<usize>();
    let chunks = Chunks::of(std::iter::once(Bytes::from(json)).chain(binary));
    let body = Body::from_stream(futures::stream::iter(chunks.map(Ok::<_, Infallible>)));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(HeaderName::from_static(JSON_LENGTH), length.into());
    // The extension wants it beside the other length, and a body in pieces would go without.
    headers.insert(header::CONTENT_LENGTH, whole.into());
    response
}

fn member(name: &str, text: &str, out: &mut Vec<u8>) {
    quote(name, out);
    out.push(b':');
    quote(text, out);
    out.push(b',');
}

fn tensor(output: &InferOutputTensor, content: &Bytes, binary: bool, written: &mut Written) -> Result<(), AnswerError> {
    let out = &mut written.json;
    out.push(b'{');
    member("name", &output.name, out);
    member("datatype", &output.datatype, out);
    out.extend_from_slice(format!("\"shape\":{}", json!(output.shape)).as_bytes());
    let mut shown = parameters(&output.parameters);
    if binary {
        shown["binary_data_size"] = content.len().into();
    }
    if shown.as_object().is_some_and(|shown| !shown.is_empty()) {
        out.extend_from_slice(format!(",\"parameters\":{shown}").as_bytes());
    }
    if binary {
        // A handle on what the worker sent, not a copy.
        written.binary.push(content.clone());
        written.has_binary = true;
    } else {
        let datatype: DataType = output
            .datatype
            .parse()
            .map_err(|error: NotDataType| unreadable(output, &error))?;
        out.extend_from_slice(b",\"data\":");
        print::elements(&output.name, datatype, count(&output.shape), content, out)?;
    }
    written.json.push(b'}');
    Ok(())
}

/// An output's content, as bytes.
fn content(answer: &ModelInferResponse, index: usize) -> Result<Bytes, AnswerError> {
    let output = &answer.outputs[index];
    // Raw contents come for all outputs or for none.
    if let Some(raw) = answer.raw_output_contents.get(index) {
        return Ok(raw.clone());
    }
    let datatype: DataType = output
        .datatype
        .parse()
        .map_err(|error: NotDataType| unreadable(output, &error))?;
    let raw = output.contents.as_ref().and_then(|lists| to_raw(datatype, lists).ok());
    raw.ok_or_else(|| unreadable(output, &"it has no content"))
}

fn count(shape: &[i64]) -> usize {
    let dimensions = shape.iter().map(|dimension| usize::try_from(*dimension).unwrap_or(0));
    dimensions.fold(1, usize::saturating_mul)
}

fn parameters(parameters: &BTreeMap<String, InferParameter>) -> Value {
    let members = parameters.iter().filter_map(|(name, parameter)| {
        let value = match parameter.parameter_choice.as_ref()? {
            ParameterChoice::BoolParam(flag) => json!(flag),
            ParameterChoice::Int64Param(number) => json!(number),
            ParameterChoice::Uint64Param(number) => json!(number),
            ParameterChoice::DoubleParam(number) => json!(number),
            ParameterChoice::StringParam(text) => json!(text),
        };
        Some((name.clone(), value))
    });
    Value::Object(members.collect::<Map<_, _>>())
}

fn unreadable(output: &InferOutputTensor, problem: &impl ToString) -> AnswerError {
    AnswerError::Unreadable {
        tensor: output.name.clone(),
        problem: problem.to_string(),
    }
}
