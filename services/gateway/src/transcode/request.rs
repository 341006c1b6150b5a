//! From a REST request to the message of its RPC: path, query and body.
//!
//! Promises: names are taken in lowerCamelCase and as in the proto; an unknown one is refused by name. Leaves the
//! rules that a value must keep to `checks`.

use bytes::Bytes;
use lepton_domain::reason::{Fault, Reason};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value};

use super::fault::{Position, json_fault};
use super::percent;
use super::table::{Binding, Body};

#[cfg(test)]
mod tests;

/// The message of a request.
pub fn message(
    binding: &Binding,
    path: &[(&str, String)],
    query: Option<&str>,
    body: &Bytes,
) -> Result<DynamicMessage, Fault> {
    let input = binding.rpc.input();
    let mut message = match &binding.body {
        Body::Whole if !body.trim_ascii().is_empty() => parse(input, body)?,
        _ => DynamicMessage::new(input),
    };
    if let Body::Field(field) = &binding.body {
        let value = body_field(field, body)?;
        message.set_field(field, value);
    }
    for (name, text) in &parameters(query)? {
        set(&mut message, name, text)?;
    }
    // Last, so that the path wins over a body that names the field again.
    for (name, text) in path {
        set(&mut message, name, text)?;
    }
    Ok(message)
}

/// Refuses the parameters of a call whose fields are all in its body.
pub fn no_parameters(query: Option<&str>) -> Result<(), Fault> {
    match parameters(query)?.first() {
        None => Ok(()),
        Some((name, _)) => {
            let message = format!("there is no parameter {name:?}; this call takes its fields in the body");
            Err(Fault::new(Reason::UnknownField, message).with("field", name))
        }
    }
}

fn parameters(query: Option<&str>) -> Result<Vec<(String, String)>, Fault> {
    percent::query(query.unwrap_or_default()).ok_or_else(|| {
        Fault::field(
            "query",
            "a percent escape is broken or does not give UTF-8; write %XX for each byte",
        )
    })
}

/// Parses canonical proto-JSON.
pub fn parse(descriptor: MessageDescriptor, json: &[u8]) -> Result<DynamicMessage, Fault> {
    parse_at(descriptor, json, Position::START)
}

/// Parses canonical proto-JSON that begins at `base` in a larger text.
pub fn parse_at(descriptor: MessageDescriptor, json: &[u8], base: Position) -> Result<DynamicMessage, Fault> {
    let fault = |error: serde_json::Error| json_fault(&error, json, base);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let message = DynamicMessage::deserialize(descriptor, &mut deserializer).map_err(fault)?;
    deserializer.end().map_err(fault)?;
    Ok(message)
}

/// A body that fills one field: raw bytes where the field is bytes, JSON otherwise.
fn body_field(field: &FieldDescriptor, body: &Bytes) -> Result<Value, Fault> {
    if field.kind() == Kind::Bytes && !field.is_list() {
        return Ok(Value::Bytes(body.clone()));
    }
    let wrapped = [format!("{{{:?}:", field.json_name()).as_bytes(), body, b"}"].concat();
    let mut message = parse(field.parent_message().clone(), &wrapped)?;
    Ok(message
        .take_field(field)
        .unwrap_or_else(|| Value::default_value_for_field(field)))
}

/// Sets the field of a dotted path from the text of a path segment or query parameter.
fn set(message: &mut DynamicMessage, path: &str, text: &str) -> Result<(), Fault> {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let descriptor = message.descriptor();
    let Some(field) = descriptor
        .get_field_by_json_name(name)
        .or_else(|| descriptor.get_field_by_name(name))
    else {
        return Err(unknown(&descriptor, name));
    };
    match (rest, message.get_field_mut(&field)) {
        (Some(rest), Value::Message(inner)) => set(inner, rest, text),
        (Some(_), _) => Err(unknown(&descriptor, path)),
        (None, slot) => {
            let value = scalar(&field, text)?;
            match (slot, value) {
                // A repeated parameter appends.
                (Value::List(list), Value::List(more)) => list.extend(more),
                (slot, value) => *slot = value,
            }
            Ok(())
        }
    }
}

fn unknown(descriptor: &MessageDescriptor, name: &str) -> Fault {
    let known: Vec<_> = descriptor.fields().map(|field| field.json_name().to_owned()).collect();
    let message = format!("there is no parameter {name:?}; known are {}", known.join(", "));
    Fault::new(Reason::UnknownField, message).with("field", name)
}

/// A field's value from text, by way of its JSON: a string, except where JSON wants a literal.
fn scalar(field: &FieldDescriptor, text: &str) -> Result<Value, Fault> {
    let is_literal = match field.kind() {
        Kind::Bool => matches!(text, "true" | "false"),
        Kind::Enum(_) => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    };
    let json = if is_literal {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    };
    let (open, close) = if field.is_list() { ("[", "]") } else { ("", "") };
    let wrapped = format!("{{{:?}:{open}{json}{close}}}", field.json_name());
    let mut deserializer = serde_json::Deserializer::from_str(&wrapped);
    let parsed = DynamicMessage::deserialize(field.parent_message().clone(), &mut deserializer);
    let refused = |error: serde_json::Error| {
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or_default().to_owned();
        Fault::field(field.json_name(), format!("{text:?} is not a value for it: {why}"))
    };
    let mut message = parsed.map_err(refused)?;
    Ok(message
        .take_field(field)
        .unwrap_or_else(|| Value::default_value_for_field(field)))
}
