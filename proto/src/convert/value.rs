//! JSON text in canonical form, and as `google.protobuf.Value`.
//!
//! Canonical: no space, keys sorted by their UTF-8 bytes (of equal keys the last stands), numbers as the shortest
//! text that reads back as the same double, integral ones without a fraction.
//!
//! Promises: canonical text is its own canonical form; hostile text costs time and memory in proportion to its length.
//! Leaves limits of length to the servers.

use std::collections::BTreeMap;

use bytes::Bytes;
use lepton_domain::reason::{ApiError, Reason};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use self::read::Reader;
use self::write::{write_number, write_text};

mod object;
pub mod read;
#[cfg(test)]
mod tests;
pub(crate) mod write;

/// Deepest nesting of arrays and objects.
///
/// A level of JSON takes three levels of protobuf, whose decoders stop at 100: a deeper value could be accepted over
/// REST but never be returned over gRPC.
pub const DEPTH_MAX: usize = 32;

/// Largest integer up to which all integers are doubles: 2^53.
pub const INTEGER_MAX: u64 = 1 << 53;

/// Text that is not JSON, or that cannot be kept exactly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line}, column {column})")]
pub struct JsonError {
    /// `INVALID_JSON` or `NUMBER_NOT_EXACT`.
    pub reason: Reason,
    /// Problem and remedy.
    pub message: String,
    /// Line, from 1; 0 when there was no text.
    pub line: usize,
    /// Column in bytes, from 1; 0 when there was no text.
    pub column: usize,
}

impl From<JsonError> for ApiError {
    fn from(error: JsonError) -> Self {
        ApiError::new(error.reason, error.to_string())
            .with("line", error.line.to_string())
            .with("column", error.column.to_string())
    }
}

/// Order of an object's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// By their UTF-8 bytes.
    Sorted,
    /// As in the input.
    Given,
}

/// Canonical form of a JSON text.
pub fn canonical(text: &[u8]) -> Result<Bytes, JsonError> {
    rewrite(text, Order::Sorted)
}

/// Canonical form, but with the keys in the order of the input: the form that is stored and returned.
pub fn compact(text: &[u8]) -> Result<Bytes, JsonError> {
    rewrite(text, Order::Given)
}

fn rewrite(text: &[u8], order: Order) -> Result<Bytes, JsonError> {
    let mut reader = Reader::new(text)?;
    let mut out = Vec::with_capacity(text.len());
    write(&mut reader, order, 0, &mut out)?;
    reader.end()?;
    Ok(out.into())
}

/// Copies one value, whatever it is.
fn write(reader: &mut Reader<'_>, order: Order, depth: usize, out: &mut Vec<u8>) -> Result<(), JsonError> {
    match reader.peek()? {
        b'{' => object::write(reader, order, depth, out),
        b'[' => {
            reader.open(depth)?;
            out.push(b'[');
            let start = out.len();
            while reader.element(b']')? {
                if out.len() > start {
                    out.push(b',');
                }
                write(reader, order, depth + 1, out)?;
            }
            out.push(b']');
            Ok(())
        }
        b'"' => {
            write_text(&reader.text()?, out);
            Ok(())
        }
        b't' => copy_word(reader, "true", out),
        b'f' => copy_word(reader, "false", out),
        b'n' => copy_word(reader, "null", out),
        _ => {
            write_number(reader.number()?, out);
            Ok(())
        }
    }
}

fn copy_word(reader: &mut Reader<'_>, word: &'static str, out: &mut Vec<u8>) -> Result<(), JsonError> {
    reader.word(word)?;
    out.extend_from_slice(word.as_bytes());
    Ok(())
}

/// Parses a JSON text into [`Value`].
pub fn to_value(text: &[u8]) -> Result<Value, JsonError> {
    let mut reader = Reader::new(text)?;
    let value = read_value(&mut reader, 0)?;
    reader.end()?;
    Ok(value)
}

fn read_value(reader: &mut Reader<'_>, depth: usize) -> Result<Value, JsonError> {
    let kind = match reader.peek()? {
        b'{' => {
            reader.open(depth)?;
            let mut fields = BTreeMap::new();
            while reader.element(b'}')? {
                let key = reader.key()?.into_owned();
                fields.insert(key, read_value(reader, depth + 1)?);
            }
            Kind::StructValue(Struct { fields })
        }
        b'[' => {
            reader.open(depth)?;
            let mut values = Vec::new();
            while reader.element(b']')? {
                values.push(read_value(reader, depth + 1)?);
            }
            Kind::ListValue(ListValue { values })
        }
        b'"' => Kind::StringValue(reader.text()?.into_owned()),
        b't' => reader.word("true").map(|()| Kind::BoolValue(true))?,
        b'f' => reader.word("false").map(|()| Kind::BoolValue(false))?,
        b'n' => reader.word("null").map(|()| Kind::NullValue(0))?,
        _ => Kind::NumberValue(reader.number()?),
    };
    Ok(Value { kind: Some(kind) })
}

/// Canonical text of a [`Value`]. A value without a kind is null. Fails on NaN and the infinities, which JSON does not
/// have.
pub fn from_value(value: &Value) -> Result<Bytes, JsonError> {
    let mut out = Vec::new();
    write_value(value, 0, &mut out)?;
    Ok(out.into())
}

fn write_value(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), JsonError> {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => out.extend_from_slice(b"null"),
        Some(Kind::BoolValue(true)) => out.extend_from_slice(b"true"),
        Some(Kind::BoolValue(false)) => out.extend_from_slice(b"false"),
        Some(Kind::NumberValue(number)) if !number.is_finite() => {
            return Err(unplaced(format!(
                "{number} is not a JSON number: send null for a missing value"
            )));
        }
        Some(Kind::NumberValue(number)) => write_number(*number, out),
        Some(Kind::StringValue(text)) => write_text(text, out),
        Some(Kind::ListValue(_) | Kind::StructValue(_)) if depth == DEPTH_MAX => return Err(unplaced(too_deep())),
        Some(Kind::ListValue(list)) => {
            out.push(b'[');
            for (index, value) in list.values.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(value, depth + 1, out)?;
            }
            out.push(b']');
        }
        Some(Kind::StructValue(object)) => {
            out.push(b'{');
            for (index, (key, value)) in object.fields.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_text(key, out);
                out.push(b':');
                write_value(value, depth + 1, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn too_deep() -> String {
    format!("arrays and objects lie more than {DEPTH_MAX} deep within each other")
}

/// Error of a value that was never text.
fn unplaced(message: String) -> JsonError {
    JsonError {
        reason: Reason::InvalidJson,
        message,
        line: 0,
        column: 0,
    }
}
