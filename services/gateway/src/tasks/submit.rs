//! Submits as JSON: the fields through the contract's descriptors, the inputs copied from the text as they are.
//!
//! Promises: an input never becomes a tree of values; every fault says line and column in the body. Leaves the canonical
//! form of an input to `lepton-proto`.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use lepton_domain::reason::Fault;
use lepton_domain::task::Encoding;
use lepton_proto::convert::task::sha256;
use lepton_proto::convert::value::{JsonFault, canonical, compact};
use lepton_proto::descriptors::pool;
use lepton_proto::task::v1::submit_task_request::Payload;
use lepton_proto::task::v1::{BatchSubmitTasksRequest, SubmitTaskRequest};
use lepton_proto::validate;
use prost_reflect::DynamicMessage;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Submit;
use crate::transcode::fault::{Position, json_fault};
use crate::transcode::request::parse;

#[cfg(test)]
mod tests;

/// Reads one submit.
pub fn one(body: &[u8]) -> Result<Submit, Fault> {
    let spans = spans(body, |deserializer, text| {
        deserializer.deserialize_map(One { text }).map(|span| vec![span])
    })?;
    let message = fields("lepton.task.v1.SubmitTaskRequest", body, &spans)?;
    validate::check(&message)?;
    let request = typed::<SubmitTaskRequest>(&message)?;
    finish(request, spans.into_iter().next().flatten(), body)
}

/// Reads a batch. What is wrong with the batch as a whole fails it; what is wrong with one submit fails that one.
pub fn batch(body: &[u8]) -> Result<Vec<Result<Submit, Fault>>, Fault> {
    let spans = spans(body, |deserializer, text| deserializer.deserialize_map(Batch { text }))?;
    let message = fields("lepton.task.v1.BatchSubmitTasksRequest", body, &spans)?;
    let requests = typed::<BatchSubmitTasksRequest>(&message)?.requests;
    check_count(requests.len())?;
    let spans = spans.into_iter().chain(std::iter::repeat(None));
    let submits = requests.into_iter().zip(spans);
    Ok(submits
        .map(|(request, span)| finish(checked(request)?, span, body))
        .collect())
}

/// Reads a submit that came as a message.
pub fn message(mut request: SubmitTaskRequest) -> Result<Submit, Fault> {
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
pub fn check_count(count: usize) -> Result<(), Fault> {
    const REQUESTS_MAX: usize = 10_000;
    match count {
        1..=REQUESTS_MAX => Ok(()),
        _ => Err(Fault::field(
            "requests",
            format!("{count} requests, 1 to {REQUESTS_MAX} are taken"),
        )),
    }
}

/// Checks a request whose payload, which may be large, has been taken out or is a stand-in.
fn checked(request: SubmitTaskRequest) -> Result<SubmitTaskRequest, Fault> {
    validate::check_typed("lepton.task.v1.SubmitTaskRequest", &request)?;
    Ok(request)
}

fn finish(mut request: SubmitTaskRequest, span: Option<Range<usize>>, body: &[u8]) -> Result<Submit, Fault> {
    let payload = request.payload.take();
    let (encoding, input) = match (payload, span) {
        (Some(Payload::InputBytes(bytes)), _) => (Encoding::Binary, bytes),
        (_, Some(span)) => (Encoding::Json, input(body, span)?),
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
fn input(body: &[u8], span: Range<usize>) -> Result<Bytes, Fault> {
    compact(&body[span.clone()]).map_err(|fault| {
        let inner = Position {
            line: fault.line.max(1),
            column: fault.column.max(1),
        };
        let Position { line, column } = Position::START.behind(&body[..span.start]).plus(inner);
        Fault::from(JsonFault { line, column, ..fault })
    })
}

/// Parses the fields beside the inputs: in their place stand zeros and blanks, so that positions stay what they are.
fn fields(name: &str, body: &[u8], spans: &[Option<Range<usize>>]) -> Result<DynamicMessage, Fault> {
    let descriptor = pool()
        .get_message_by_name(name)
        .expect("the contract has the messages of its own RPCs");
    let mut blanked = body.to_vec();
    for span in spans.iter().flatten() {
        let value = &mut blanked[span.clone()];
        value
            .iter_mut()
            .filter(|byte| **byte != b'\n')
            .for_each(|byte| *byte = b' ');
        value[0] = b'0';
    }
    parse(descriptor, &blanked)
}

fn typed<M: prost::Message + Default>(message: &DynamicMessage) -> Result<M, Fault> {
    message
        .transcode_to()
        .map_err(|error| Fault::field("body", error.to_string()))
}

type Json<'a> = serde_json::Deserializer<serde_json::de::SliceRead<'a>>;

/// Where the inputs stand in a body, one entry a submit.
fn spans<'a>(
    body: &'a [u8],
    read: impl FnOnce(&mut Json<'a>, &'a [u8]) -> serde_json::Result<Vec<Option<Range<usize>>>>,
) -> Result<Vec<Option<Range<usize>>>, Fault> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let spans = read(&mut deserializer, body).and_then(|spans| deserializer.end().map(|()| spans));
    spans.map_err(|error| json_fault(&error, body, Position::START))
}

/// Finds the input of one submit.
struct One<'a> {
    text: &'a [u8],
}

impl<'de> Visitor<'de> for One<'de> {
    type Value = Option<Range<usize>>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object with the fields of a submit")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut span = None;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            if key.0 == "input" {
                let input: &'de RawValue = map.next_value()?;
                let start = input.get().as_ptr() as usize - self.text.as_ptr() as usize;
                span = Some(start..start + input.get().len());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(span)
    }
}

impl<'de> serde::de::DeserializeSeed<'de> for One<'de> {
    type Value = Option<Range<usize>>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// Finds the inputs of a batch.
struct Batch<'a> {
    text: &'a [u8],
}

impl<'de> Visitor<'de> for Batch<'de> {
    type Value = Vec<Option<Range<usize>>>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object with `requests`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut spans = None;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            if key.0 != "requests" {
                map.next_value::<IgnoredAny>()?;
            } else if spans.replace(map.next_value_seed(List { text: self.text })?).is_some() {
                return Err(serde::de::Error::duplicate_field("requests"));
            }
        }
        Ok(spans.unwrap_or_default())
    }
}

/// The list of a batch.
struct List<'a> {
    text: &'a [u8],
}

impl<'de> serde::de::DeserializeSeed<'de> for List<'de> {
    type Value = Vec<Option<Range<usize>>>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'de> {
    type Value = Vec<Option<Range<usize>>>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of submits")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut spans = Vec::new();
        while let Some(span) = list.next_element_seed(One { text: self.text })? {
            spans.push(span);
        }
        Ok(spans)
    }
}

/// A key, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
