//! The answer to an Analyze call over REST.
//!
//! Promises: the JSON is that of `lepton.analysis.v1.AnalyzeResponse`, byte for byte, and predictions, of which there is
//! one a row, are printed one by one and never lie in a tree. Leaves figures to the workers.

use bytes::{Buf as _, Bytes};
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::analysis::v1::AnalyzeResponse;
use lepton_proto::proto_json::{self, ProtoJson};
use prost::Message as _;
use prost::encoding::{WireType, decode_key, decode_varint, skip_field};
use prost_types::Value;
use prost_types::value::Kind;
use serde_json::ser::Formatter as _;

use super::message::peek;

#[cfg(test)]
mod tests;

/// The message's name.
const NAME: &str = "lepton.analysis.v1.AnalyzeResponse";
/// The number of the field `predictions`.
const PREDICTIONS_FIELD: u32 = 6;
/// The numbers of the other fields.
const OTHER_FIELDS: [u32; 6] = [1, 2, 3, 4, 5, 7];
/// How predictions are printed when there are none. Quotes inside of texts are escaped, so nothing else looks like it.
const NO_PREDICTIONS: &[u8] = b"\"predictions\":[]";

/// An encoded `AnalyzeResponse` as JSON.
pub fn json(encoded: Bytes) -> Result<Vec<u8>, Fault> {
    let others: AnalyzeResponse = peek(&encoded, &OTHER_FIELDS).map_err(|error| broken(&error))?;
    let others = proto_json::encode(NAME, &others).map_err(|error| broken(&error))?;
    let place = others
        .windows(NO_PREDICTIONS.len())
        .position(|text| text == NO_PREDICTIONS)
        .ok_or_else(|| broken(&"it has no predictions"))?;
    // Behind the bracket that opens the list.
    let (before, behind) = others.split_at(place + NO_PREDICTIONS.len() - 1);
    let mut json = Vec::with_capacity(others.len() + encoded.len());
    json.extend_from_slice(before);
    write_predictions(encoded, &mut json)?;
    json.extend_from_slice(behind);
    Ok(json)
}

fn write_predictions(mut encoded: Bytes, json: &mut Vec<u8>) -> Result<(), Fault> {
    let start = json.len();
    while !encoded.is_empty() {
        let (field, wire_type) = decode_key(&mut encoded).map_err(|error| broken(&error))?;
        if field != PREDICTIONS_FIELD || wire_type != WireType::LengthDelimited {
            skip_field(wire_type, field, &mut encoded, Default::default()).map_err(|error| broken(&error))?;
            continue;
        }
        let length = decode_varint(&mut encoded).map_err(|error| broken(&error))?;
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= encoded.remaining());
        let value = encoded.split_to(length.ok_or_else(|| broken(&"it ends too early"))?);
        if json.len() > start {
            json.push(b',');
        }
        write(&Value::decode(value).map_err(|error| broken(&error))?, json)?;
    }
    Ok(())
}

fn write(value: &Value, json: &mut Vec<u8>) -> Result<(), Fault> {
    match value.kind {
        Some(Kind::NullValue(_)) => json.extend_from_slice(b"null"),
        Some(Kind::NumberValue(number)) if number.is_finite() => {
            ProtoJson.write_f64(json, number).map_err(|error| broken(&error))?
        }
        // No worker sends another.
        _ => {
            let printed = proto_json::encode("google.protobuf.Value", value).map_err(|error| broken(&error))?;
            json.extend_from_slice(&printed);
        }
    }
    Ok(())
}

fn broken(why: &dyn std::fmt::Display) -> Fault {
    Fault::new(Reason::Internal, format!("a worker's answer cannot be printed: {why}"))
}
