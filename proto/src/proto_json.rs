//! Canonical proto-JSON of messages, as every response of the mesh prints them.
//!
//! Promises: lowerCamelCase; defaults are printed, absent optional fields are not; 64-bit integers are texts; integral
//! doubles have no fraction; maps are in the order of their keys, so equal messages print alike. Leaves reading JSON to
//! `prost-reflect`.

use std::io;

use prost::Message;
use prost_reflect::DynamicMessage;
use serde::Serialize as _;
use serde_json::ser::Formatter;

use crate::convert::value::write::write_number;
use crate::descriptors::pool;
use ordered::{Ordered, Substituted};

#[cfg(test)]
mod arbitrary;
mod ordered;
#[cfg(test)]
mod tests;

/// Message that cannot be printed.
#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    /// Name without a message in the contract.
    #[error("the contract has no message {0}")]
    UnknownMessage(String),
    /// Message of another type than the name given, or nested too deeply.
    #[error("the message cannot be read again: {0}")]
    Reread(#[from] prost::DecodeError),
    /// Value that proto-JSON does not have, as a time after the year 9999.
    #[error("the message cannot be said in JSON: {0}")]
    Unsayable(#[from] serde_json::Error),
}

/// [`DynamicMessage`] of a message whose full name is given, for access to its fields by name.
pub fn dynamic(name: &str, message: &impl Message) -> Result<DynamicMessage, PrintError> {
    let descriptor = pool()
        .get_message_by_name(name)
        .ok_or_else(|| PrintError::UnknownMessage(name.to_owned()))?;
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic.transcode_from(message)?;
    Ok(dynamic)
}

/// JSON of a message whose full name is given, such as `lepton.task.v1.Task`.
pub fn encode(name: &str, message: &impl Message) -> Result<Vec<u8>, PrintError> {
    to_vec(&dynamic(name, message)?)
}

/// JSON of a message.
pub fn to_vec(message: &DynamicMessage) -> Result<Vec<u8>, PrintError> {
    let mut out = Vec::with_capacity(256);
    write(message, &mut out)?;
    Ok(out)
}

/// Writes the JSON of a message.
pub fn write(message: &DynamicMessage, out: impl io::Write) -> Result<(), PrintError> {
    let mut serializer = serde_json::Serializer::with_formatter(out, ProtoJson);
    Ok(Ordered(message).serialize(&mut serializer)?)
}

/// Writes the JSON of a message in which `value` stands for the field that the proto names `field`: for lists that are too
/// long to lie in a message.
pub fn write_with(
    message: &DynamicMessage,
    field: &str,
    value: &impl serde::Serialize,
    out: impl io::Write,
) -> Result<(), PrintError> {
    let mut serializer = serde_json::Serializer::with_formatter(out, ProtoJson);
    Ok(Substituted { message, field, value }.serialize(&mut serializer)?)
}

/// JSON formatter that prints integral doubles without a fraction. Works with every [`serde_json::Serializer`].
#[derive(Debug, Clone, Copy, Default)]
pub struct ProtoJson;

impl Formatter for ProtoJson {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let mut text = Vec::with_capacity(24);
        write_number(value, &mut text);
        writer.write_all(&text)
    }

    fn write_f32<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        // The shortest text of the single; as a double it would show digits that nobody wrote.
        let text = format!("{value:?}");
        writer.write_all(text.strip_suffix(".0").unwrap_or(&text).as_bytes())
    }
}
