//! Submits as JSON: the fields through the contract's descriptors, the inputs copied from the text as they are.
//!
//! Promises: an input never becomes a tree of values; what is too much is counted before it takes memory; every error has its
//! line and column in the body. Leaves the canonical form of an input to `lepton-proto`.

use std::ops::Range;

use bytes::Bytes;
use lepton_domain::reason::ApiError;
use lepton_domain::task::Encoding;
use lepton_proto::convert::task::sha256;
use lepton_proto::convert::value::{JsonError, canonical, compact};
use lepton_proto::descriptors::pool;
use lepton_proto::task::v1::SubmitTaskRequest;
use lepton_proto::task::v1::submit_task_request::Payload;
use lepton_proto::validate;
use prost_reflect::DynamicMessage;
use serde::de::Deserializer as _;
use serde_json::de::SliceRead;

use self::spans::{Batch, One, span};
use super::Submit;
use crate::transcode::json_error::{JsonBodyError, Position};
use crate::transcode::request::parse_at;

mod spans;
#[cfg(test)]
mod tests;

/// The most submits of a batch.
const REQUESTS_MAX: usize = 10_000;

/// Reads one submit.
pub fn one(body: &[u8]) -> Result<Submit, ApiError> {
    one_at(body, Position::START)
}

/// Reads a batch. What is wrong with the batch as a whole, or is not JSON, fails it; what is wrong with one submit fails
/// that one.
pub fn batch(body: &[u8]) -> Result<Vec<Result<Submit, ApiError>>, ApiError> {
    let (submits, count) = parsed(body, Position::START, |deserializer| {
        deserializer.deserialize_map(Batch)
    })?;
    check_count(count)?;
    let (mut position, mut behind) = (Position::START, 0);
    let submits = submits.into_iter().map(|submit| {
        let span = span(body, submit);
        // From one to the next: counting from the start each time would cost the square of the body.
        position = position.behind(&body[behind..span.start]);
        behind = span.start;
        one_at(&body[span], position)
    });
    Ok(submits.collect())
}

/// Reads the submit that is the whole of `text`, which begins at `base` in its body.
fn one_at(text: &[u8], base: Position) -> Result<Submit, ApiError> {
    let span = parsed(text, base, |deserializer| deserializer.deserialize_map(One { text }))?;
    let message = fields(text, base, span.as_ref())?;
    validate::check(&message)?;
    let request: SubmitTaskRequest = message
        .transcode_to()
        .map_err(|error| ApiError::field("body", error.to_string()))?;
    finish(request, span, text, base)
}

/// Reads a submit that came as a message.
pub fn message(mut request: SubmitTaskRequest) -> Result<Submit, ApiError> {
    let (encoding, input) = lepton_proto::convert::task::input(&request)?;
    request.payload = None;
    // What came as a message is canonical already.
    let digest = sha256(&input);
    Ok(Submit {
        request: checked(request)?,
        encoding,
        input,
        digest,
    })
}

/// Refuses an empty or too large batch, as the contract's rule does for typed messages.
pub fn check_count(count: usize) -> Result<(), ApiError> {
    match count {
        1..=REQUESTS_MAX => Ok(()),
        _ => Err(ApiError::field(
            "requests",
            format!("{count} requests, 1 to {REQUESTS_MAX} are taken"),
        )),
    }
}

/// Checks a request whose payload, which may be large, has been taken out or is a stand-in.
fn checked(request: SubmitTaskRequest) -> Result<SubmitTaskRequest, ApiError> {
    validate::check_typed("lepton.task.v1.SubmitTaskRequest", &request)?;
    Ok(request)
}

fn finish(
    mut request: SubmitTaskRequest,
    span: Option<Range<usize>>,
    text: &[u8],
    base: Position,
) -> Result<Submit, ApiError> {
    let payload = request.payload.take();
    let (encoding, input) = match (payload, span) {
        (Some(Payload::InputBytes(bytes)), _) => (Encoding::Binary, bytes),
        (_, Some(span)) => (Encoding::Json, input(text, base, span)?),
        (_, None) => (Encoding::Json, Bytes::from_static(b"null")),
    };
    let digest = match encoding {
        Encoding::Json => sha256(&canonical(&input)?),
        Encoding::Binary => sha256(&input),
    };
    Ok(Submit {
        request,
        encoding,
        input,
        digest,
    })
}

/// The input at `span`, its keys in the order in which they came.
fn input(text: &[u8], base: Position, span: Range<usize>) -> Result<Bytes, ApiError> {
    compact(&text[span.clone()]).map_err(|error| {
        let inner = Position {
            line: error.line.max(1),
            column: error.column.max(1),
        };
        let Position { line, column } = base.behind(&text[..span.start]).plus(inner);
        ApiError::from(JsonError { line, column, ..error })
    })
}

/// Parses the fields beside the input: in its place stand a zero and blanks, so that positions stay what they are.
fn fields(text: &[u8], base: Position, input: Option<&Range<usize>>) -> Result<DynamicMessage, ApiError> {
    let descriptor = pool()
        .get_message_by_name("lepton.task.v1.SubmitTaskRequest")
        .expect("the contract has the messages of its own RPCs");
    let mut blanked = text.to_vec();
    if let Some(input) = input {
        let value = &mut blanked[input.clone()];
        value
            .iter_mut()
            .filter(|byte| **byte != b'\n')
            .for_each(|byte| *byte = b' ');
        value[0] = b'0';
    }
    parse_at(descriptor, &blanked, base)
}

/// Reads all of `text`, which begins at `base` in its body.
fn parsed<'a, T>(
    text: &'a [u8],
    base: Position,
    read: impl FnOnce(&mut serde_json::Deserializer<SliceRead<'a>>) -> serde_json::Result<T>,
) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = read(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| JsonBodyError::from_serde(&error, text, base).into())
}
