//! The message of a REST request, from its path, query and body.
//!
//! Promises: names are taken in lowerCamelCase and as in the proto; an unknown one, and a single value that is given twice,
//! are refused by name. Leaves the rules that a value must keep to [`lepton_proto::validate`].

use bytes::Bytes;
use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::text::excerpt;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value};

use super::json_error::{JsonBodyError, Position};
use super::table::{Binding, Body};
use super::url;

#[cfg(test)]
mod tests;

/// A parameter in a path or a query that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// A query with a broken escape.
    #[error("a percent escape is broken or does not give UTF-8; write %XX for each byte")]
    Escape,
    /// A parameter of a call whose fields are all in its body.
    #[error("there is no parameter {name:?}; this call takes its fields in the body")]
    InBody {
        /// The name, shortened.
        name: String,
    },
    /// A name that is no field.
    #[error("there is no parameter {name:?}; known are {known}")]
    Unknown {
        /// The name, shortened.
        name: String,
        /// The names of all fields.
        known: String,
    },
    /// A field that holds one value and is given several.
    #[error("it is given more than once and takes one value")]
    Repeated {
        /// The JSON name of the field.
        name: String,
    },
    /// A text that is no value of its field.
    #[error("{text:?} is not a value for it: {why}")]
    Unfit {
        /// The JSON name of the field.
        name: String,
        /// The text, shortened.
        text: String,
        /// The parser's explanation.
        why: String,
    },
}

impl From<ParameterError> for ApiError {
    fn from(error: ParameterError) -> Self {
        use ParameterError::{Escape, InBody, Repeated, Unfit, Unknown};
        let message = error.to_string();
        match error {
            InBody { name } | Unknown { name, .. } => ApiError::new(Reason::UnknownField, message).with("field", name),
            Escape => ApiError::field("query", message),
            Repeated { name } | Unfit { name, .. } => ApiError::field(name, message),
        }
    }
}

/// The message of a request.
pub fn message(
    binding: &Binding,
    path: &[(&str, String)],
    query: Option<&str>,
    body: &Bytes,
) -> Result<DynamicMessage, ApiError> {
    let input = binding.rpc.input();
    let mut message = match &binding.body {
        Body::Whole if !body.trim_ascii().is_empty() => parse(input, body)?,
        _ => DynamicMessage::new(input),
    };
    if let Body::Field(field) = &binding.body {
        let value = body_field(field, body)?;
        message.set_field(field, value);
    }
    let mut given = Given::default();
    for (name, text) in path {
        let fields = fields(&message.descriptor(), name)?;
        given.note(&fields)?;
        // The path wins over a body that names the field again.
        set(&mut message, &fields, text)?;
    }
    for (name, text) in &parameters(query)? {
        let fields = fields(&message.descriptor(), name)?;
        given.note(&fields)?;
        set(&mut message, &fields, text)?;
    }
    Ok(message)
}

/// Refuses the parameters of a call whose fields are all in its body.
pub fn no_parameters(query: Option<&str>) -> Result<(), ParameterError> {
    match parameters(query)?.first() {
        None => Ok(()),
        Some((name, _)) => Err(ParameterError::InBody {
            name: excerpt(name).into_owned(),
        }),
    }
}

fn parameters(query: Option<&str>) -> Result<Vec<(String, String)>, ParameterError> {
    url::query_pairs(query.unwrap_or_default()).ok_or(ParameterError::Escape)
}

/// Parses canonical proto-JSON.
pub fn parse(descriptor: MessageDescriptor, json: &[u8]) -> Result<DynamicMessage, ApiError> {
    parse_at(descriptor, json, Position::START)
}

/// Parses canonical proto-JSON that begins at `base` in a larger text.
pub fn parse_at(descriptor: MessageDescriptor, json: &[u8], base: Position) -> Result<DynamicMessage, ApiError> {
    let api_error = |error: serde_json::Error| JsonBodyError::from_serde(&error, json, base);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let message = DynamicMessage::deserialize(descriptor, &mut deserializer).map_err(api_error)?;
    deserializer.end().map_err(api_error)?;
    Ok(message)
}

/// A body that fills one field: raw bytes where the field is bytes, JSON otherwise.
fn body_field(field: &FieldDescriptor, body: &Bytes) -> Result<Value, ApiError> {
    if field.kind() == Kind::Bytes && !field.is_list() {
        return Ok(Value::Bytes(body.clone()));
    }
    let wrapped = [format!("{{{:?}:", field.json_name()).as_bytes(), body, b"}"].concat();
    let mut message = parse(field.parent_message().clone(), &wrapped)?;
    Ok(message
        .take_field(field)
        .unwrap_or_else(|| Value::default_value_for_field(field)))
}

/// The fields that were given a single value.
#[derive(Debug, Default)]
struct Given(Vec<Vec<u32>>);

impl Given {
    /// Notes the field at the end of a path. Refuses one that is given already, in either spelling or in parts.
    fn note(&mut self, fields: &[FieldDescriptor]) -> Result<(), ParameterError> {
        if fields.last().is_some_and(FieldDescriptor::is_list) {
            return Ok(());
        }
        let numbers: Vec<u32> = fields.iter().map(FieldDescriptor::number).collect();
        let overlaps = |other: &Vec<u32>| other.starts_with(&numbers) || numbers.starts_with(other);
        if self.0.iter().any(overlaps) {
            return Err(ParameterError::Repeated {
                name: json_path(fields),
            });
        }
        self.0.push(numbers);
        Ok(())
    }
}

/// The fields along a dotted path of names, the innermost last.
fn fields(message: &MessageDescriptor, path: &str) -> Result<Vec<FieldDescriptor>, ParameterError> {
    let mut fields: Vec<FieldDescriptor> = Vec::new();
    for name in path.split('.') {
        let within = match fields.last() {
            None => Some(message.clone()),
            // A list of messages or a map cannot be stepped into.
            Some(field) if field.is_list() || field.is_map() => None,
            Some(field) => field.kind().as_message().cloned(),
        };
        let by_name = |within: &MessageDescriptor| {
            let by_json_name = within.get_field_by_json_name(name);
            by_json_name.or_else(|| within.get_field_by_name(name))
        };
        match within.as_ref().and_then(by_name) {
            Some(field) => fields.push(field),
            None => return Err(unknown(within.as_ref().unwrap_or(message), path)),
        }
    }
    Ok(fields)
}

fn unknown(message: &MessageDescriptor, name: &str) -> ParameterError {
    let known: Vec<_> = message.fields().map(|field| field.json_name().to_owned()).collect();
    ParameterError::Unknown {
        name: excerpt(name).into_owned(),
        known: known.join(", "),
    }
}

fn json_path(fields: &[FieldDescriptor]) -> String {
    let names: Vec<&str> = fields.iter().map(FieldDescriptor::json_name).collect();
    names.join(".")
}

/// Sets the last of these fields, each within the one before, from the text of a path segment or a parameter.
fn set(message: &mut DynamicMessage, fields: &[FieldDescriptor], text: &str) -> Result<(), ParameterError> {
    let Some((field, inner)) = fields.split_first() else {
        return Ok(());
    };
    if inner.is_empty() {
        let value = scalar(field, text)?;
        match (message.get_field_mut(field), value) {
            // A repeated parameter of a list appends.
            (Value::List(list), Value::List(more)) => list.extend(more),
            (slot, value) => *slot = value,
        }
        return Ok(());
    }
    match message.get_field_mut(field) {
        Value::Message(message) => set(message, inner, text),
        // `fields` has found the inner field in a message.
        _ => Ok(()),
    }
}

/// A field's value from text, by way of its JSON: a string, except where JSON wants a literal.
fn scalar(field: &FieldDescriptor, text: &str) -> Result<Value, ParameterError> {
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
        ParameterError::Unfit {
            name: field.json_name().to_owned(),
            text: excerpt(text).into_owned(),
            why: excerpt(why.split(" at line ").next().unwrap_or_default()).into_owned(),
        }
    };
    let mut message = parsed.map_err(refused)?;
    Ok(message
        .take_field(field)
        .unwrap_or_else(|| Value::default_value_for_field(field)))
}
