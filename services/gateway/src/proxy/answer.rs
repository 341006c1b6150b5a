//! The answer to an Analyze call over REST.
//!
//! Promises: the JSON is that of `lepton.analysis.v1.AnalyzeResponse`, byte for byte, and predictions, of which there is
//! one a row, are decoded and printed one by one and never lie in a tree. Leaves figures to the workers.

use std::fmt::Display;

use bytes::{Buf as _, Bytes};
use lepton_domain::reason::{ApiError, Reason};
use lepton_proto::analysis::v1::AnalyzeResponse;
use lepton_proto::proto_json::{self, PrintError};
use prost::encoding::{WireType, decode_key, decode_varint, skip_field};
use prost::{DecodeError, Message as _};
use prost_types::Value;
use prost_types::value::Kind;
use serde::ser::{Error as _, Serialize, SerializeSeq as _, Serializer};

use super::request::peek;

#[cfg(test)]
mod tests;

/// The message's name.
const NAME: &str = "lepton.analysis.v1.AnalyzeResponse";
/// The field that is printed from the encoding.
const PREDICTIONS: &str = "predictions";
/// The number of that field.
const PREDICTIONS_FIELD: u32 = 6;
/// The numbers of the other fields.
const OTHER_FIELDS: [u32; 6] = [1, 2, 3, 4, 5, 7];

/// A worker's answer that breaks the contract.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It is no message, or ends too early.
    #[error("a worker's answer cannot be read: {0}")]
    Undecodable(#[from] DecodeError),
    /// It holds a value without a JSON form.
    #[error("a worker's answer cannot be printed: {0}")]
    Unprintable(#[from] PrintError),
}

impl From<AnswerError> for ApiError {
    fn from(error: AnswerError) -> Self {
        // Workers are of the mesh: what they send keeps the contract.
        Self::new(Reason::Internal, error.to_string())
    }
}

/// An encoded `AnalyzeResponse` as JSON.
pub fn json(encoded: Bytes) -> Result<Vec<u8>, AnswerError> {
    let others: AnalyzeResponse = peek(&encoded, &OTHER_FIELDS)?;
    let others = proto_json::dynamic(NAME, &others)?;
    let mut json = Vec::with_capacity(encoded.len());
    proto_json::write_with(&others, PREDICTIONS, &Predictions(encoded), &mut json)?;
    Ok(json)
}

/// The predictions of an encoded answer, as a list of JSON.
struct Predictions(Bytes);

impl Serialize for Predictions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut encoded = self.0.clone();
        let mut list = serializer.serialize_seq(None)?;
        while let Some(value) = next(&mut encoded).map_err(S::Error::custom)? {
            list.serialize_element(&Prediction(value))?;
        }
        list.end()
    }
}

/// Takes the next prediction off an encoded answer.
fn next(encoded: &mut Bytes) -> Result<Option<Value>, DecodeError> {
    while !encoded.is_empty() {
        let (field, wire_type) = decode_key(encoded)?;
        if field != PREDICTIONS_FIELD || wire_type != WireType::LengthDelimited {
            skip_field(wire_type, field, encoded, Default::default())?;
            continue;
        }
        let length = usize::try_from(decode_varint(encoded)?).unwrap_or(usize::MAX);
        // One that is longer than the rest fails to decode.
        let value = encoded.split_to(length.min(encoded.remaining()));
        return Value::decode(value).map(Some);
    }
    Ok(None)
}

struct Prediction(Value);

impl Serialize for Prediction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.kind {
            Some(Kind::NullValue(_)) => serializer.serialize_unit(),
            Some(Kind::NumberValue(number)) if number.is_finite() => serializer.serialize_f64(number),
            // No worker sends another.
            _ => {
                let value = proto_json::dynamic("google.protobuf.Value", &self.0).map_err(custom::<S>)?;
                value.serialize(serializer)
            }
        }
    }
}

fn custom<S: Serializer>(error: impl Display) -> S::Error {
    S::Error::custom(error)
}
