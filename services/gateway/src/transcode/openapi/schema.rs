//! JSON schemas of messages, as proto-JSON writes them.

use std::collections::BTreeSet;

use lepton_proto::descriptors::pool;
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::comment::Comments;
use super::reference;

/// Schemas of these messages and of all that they reach, by full name.
pub fn messages(mut reached: BTreeSet<String>, comments: &mut Comments) -> Map<String, Value> {
    let mut schemas = Map::new();
    while let Some(name) = reached.pop_first() {
        if schemas.contains_key(&name) {
            continue;
        }
        if let Some(message) = pool().get_message_by_name(&name) {
            let schema = message_schema(&message, comments, &mut reached);
            schemas.insert(name, schema);
        }
    }
    schemas
}

fn message_schema(message: &MessageDescriptor, comments: &mut Comments, reached: &mut BTreeSet<String>) -> Value {
    let mut properties = Map::new();
    for item in message.fields() {
        let mut schema = field(&item, reached);
        let comment = comments.of(&message.parent_file(), item.path()).whole();
        if let Some(schema) = schema.as_object_mut().filter(|_| !comment.is_empty()) {
            schema.insert("description".to_owned(), comment.into());
        }
        properties.insert(item.json_name().to_owned(), schema);
    }
    json!({
        "type": "object",
        "description": comments.of(&message.parent_file(), message.path()).whole(),
        "properties": properties,
        "additionalProperties": false,
    })
}

/// The schema of a field's value.
pub fn field(field: &FieldDescriptor, reached: &mut BTreeSet<String>) -> Value {
    if field.is_map() {
        let value = field.kind().as_message().map(MessageDescriptor::map_entry_value_field);
        let schema = value.map_or_else(|| json!({}), |value| single(&value.kind(), reached));
        return json!({ "type": "object", "additionalProperties": schema });
    }
    let schema = single(&field.kind(), reached);
    if field.is_list() {
        json!({ "type": "array", "items": schema })
    } else {
        schema
    }
}

fn single(kind: &Kind, reached: &mut BTreeSet<String>) -> Value {
    match kind {
        Kind::Double | Kind::Float => json!({ "type": "number" }),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
        Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "minimum": 0 }),
        // A double cannot hold every 64-bit integer, so JSON has them as text.
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({ "type": "string", "format": "int64" }),
        Kind::Uint64 | Kind::Fixed64 => json!({ "type": "string", "format": "uint64" }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::String => json!({ "type": "string" }),
        Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Kind::Enum(values) => enumeration(values),
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => json!({ "type": "string", "format": "date-time" }),
            "google.protobuf.Duration" => json!({ "type": "string", "examples": ["1.5s"] }),
            "google.protobuf.Struct" => json!({ "type": "object" }),
            "google.protobuf.Value" => json!({}),
            _ => reference(message, reached),
        },
    }
}

fn enumeration(values: &EnumDescriptor) -> Value {
    let names: Vec<_> = values.values().map(|value| value.name().to_owned()).collect();
    json!({ "type": "string", "enum": names })
}
