//! Serialisation of messages with maps in the order of their keys.
//!
//! Promises: equal messages print as equal bytes; everything else is as `prost-reflect` prints it, whose maps have an
//! order that differs from process to process. Leaves the messages of `google.protobuf` to it, and numbers to the
//! formatter.

use std::collections::HashMap;

use base64::display::Base64Display;
use base64::prelude::BASE64_STANDARD;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, ReflectMessage, SerializeOptions, Value,
};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Options for the messages of `google.protobuf`; [`Ordered`] and [`Typed`] print all others alike.
const OPTIONS: SerializeOptions = SerializeOptions::new()
    .skip_default_fields(false)
    .stringify_64_bit_integers(true)
    .use_enum_numbers(false)
    .use_proto_field_name(false);

/// A message, to be printed with ordered maps.
pub(super) struct Ordered<'a>(pub &'a DynamicMessage);

/// A value of a field, an element of a list or a value of a map.
struct Typed<'a> {
    value: &'a Value,
    kind: &'a Kind,
}

/// The key of a map; JSON knows but texts.
struct Key<'a>(&'a MapKey);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = self.0;
        let descriptor = message.descriptor();
        // Most of these have forms of their own. Of their maps only those of `Struct` are printed, and they are ordered.
        if descriptor.package_name() == "google.protobuf" {
            return message.serialize_with_options(serializer, &OPTIONS);
        }
        let mut fields = serializer.serialize_map(None)?;
        for field in descriptor.fields() {
            serialize_field(&mut fields, message, &field)?;
        }
        fields.end()
    }
}

/// A message in which a value stands for one field, whatever the message has there.
pub(super) struct Substituted<'a, V> {
    pub message: &'a DynamicMessage,
    /// The field, as the proto names it.
    pub field: &'a str,
    pub value: &'a V,
}

impl<V: Serialize> Serialize for Substituted<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        for field in self.message.descriptor().fields() {
            match field.name() == self.field {
                true => fields.serialize_entry(field.json_name(), self.value)?,
                false => serialize_field(&mut fields, self.message, &field)?,
            }
        }
        fields.end()
    }
}

fn serialize_field<M: SerializeMap>(
    fields: &mut M,
    message: &DynamicMessage,
    field: &FieldDescriptor,
) -> Result<(), M::Error> {
    if field.supports_presence() && !message.has_field(field) {
        return Ok(());
    }
    let (value, kind) = (message.get_field(field), field.kind());
    let typed = Typed {
        value: &value,
        kind: &kind,
    };
    fields.serialize_entry(field.json_name(), &typed)
}

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.kind;
        match self.value {
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::I32(value) => serializer.serialize_i32(*value),
            Value::U32(value) => serializer.serialize_u32(*value),
            // JSON numbers are doubles to many readers, which would round these.
            Value::I64(value) => serializer.collect_str(value),
            Value::U64(value) => serializer.collect_str(value),
            Value::F32(value) if value.is_finite() => serializer.serialize_f32(*value),
            Value::F32(value) => serializer.serialize_str(not_finite((*value).into())),
            Value::F64(value) if value.is_finite() => serializer.serialize_f64(*value),
            Value::F64(value) => serializer.serialize_str(not_finite(*value)),
            Value::String(value) => serializer.serialize_str(value),
            Value::Bytes(value) => serializer.collect_str(&Base64Display::new(value, &BASE64_STANDARD)),
            Value::EnumNumber(number) => enumerated(*number, kind.as_enum(), serializer),
            Value::Message(message) => Ordered(message).serialize(serializer),
            Value::List(values) => serializer.collect_seq(values.iter().map(|value| Typed { value, kind })),
            Value::Map(entries) => map(entries, kind, serializer),
        }
    }
}

impl Serialize for Key<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            MapKey::Bool(key) => serializer.collect_str(key),
            MapKey::I32(key) => serializer.collect_str(key),
            MapKey::I64(key) => serializer.collect_str(key),
            MapKey::U32(key) => serializer.collect_str(key),
            MapKey::U64(key) => serializer.collect_str(key),
            MapKey::String(key) => serializer.serialize_str(key),
        }
    }
}

/// A map; `kind` is that of its field, a message of key and value.
fn map<S: Serializer>(entries: &HashMap<MapKey, Value>, kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    let kind = match kind {
        Kind::Message(entry) => &entry.map_entry_value_field().kind(),
        other => other,
    };
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    serializer.collect_map(
        entries
            .into_iter()
            .map(|(key, value)| (Key(key), Typed { value, kind })),
    )
}

/// The name of an enum's value, or its number when a later contract named it.
fn enumerated<S: Serializer>(number: i32, kind: Option<&EnumDescriptor>, serializer: S) -> Result<S::Ok, S::Error> {
    match kind {
        Some(kind) if kind.full_name() == "google.protobuf.NullValue" => serializer.serialize_none(),
        Some(kind) => match kind.get_value(number) {
            Some(value) => serializer.serialize_str(value.name()),
            None => serializer.serialize_i32(number),
        },
        None => serializer.serialize_i32(number),
    }
}

/// The text of a number that JSON has no number for.
fn not_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}
