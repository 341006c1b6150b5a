//! Random messages of the contract, made from its descriptors.
//!
//! Promises: every kind of field occurs, set, unset and with values at the edges; the messages of `google.protobuf`
//! hold only what JSON can say. Leaves the rules of validation alone: what is printed need not be legal.

use std::vec::IntoIter;

use proptest::collection::vec;
use proptest::prelude::*;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

use crate::descriptors::pool;

/// Deeper messages stay empty.
const DEPTH_MAX: usize = 5;

/// Messages whose maps have at most so many entries.
pub(super) fn message(map_entries_max: u8) -> impl Strategy<Value = DynamicMessage> {
    let ours = |message: &MessageDescriptor| {
        let package = message.package_name();
        (package.starts_with("lepton.") || package == "inference") && !message.is_map_entry()
    };
    let all: Vec<_> = pool().all_messages().filter(ours).collect();
    (proptest::sample::select(all), vec(any::<u8>(), 0..512)).prop_map(move |(descriptor, choices)| {
        let mut maker = Maker {
            choices: choices.into_iter(),
            map_entries_max,
        };
        maker.message(descriptor, 0)
    })
}

/// Turns random bytes into a message; when they are used up, what is left stays unset.
struct Maker {
    choices: IntoIter<u8>,
    map_entries_max: u8,
}

impl Maker {
    fn choice(&mut self) -> u8 {
        self.choices.next().unwrap_or_default()
    }

    fn message(&mut self, descriptor: MessageDescriptor, depth: usize) -> DynamicMessage {
        let sayable = descriptor.package_name() == "google.protobuf";
        let mut message = DynamicMessage::new(descriptor.clone());
        if depth > DEPTH_MAX {
            return message;
        }
        for field in descriptor.fields() {
            if self.choice() % 2 == 1 {
                let value = self.field(&field, sayable, depth);
                message.set_field(&field, value);
            }
        }
        message
    }

    fn field(&mut self, field: &FieldDescriptor, sayable: bool, depth: usize) -> Value {
        let kind = field.kind();
        if field.is_map() {
            let entry = kind.as_message().expect("maps are lists of entries");
            let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
            assert_eq!(key, Kind::String, "no map of the contract has other keys");
            let entries = 0..self.choice() % (self.map_entries_max + 1);
            let entries = entries.map(|_| (MapKey::String(self.text()), self.single(&value, sayable, depth)));
            return Value::Map(entries.collect());
        }
        if field.is_list() {
            let elements = 0..self.choice() % 4;
            return Value::List(elements.map(|_| self.single(&kind, sayable, depth)).collect());
        }
        self.single(&kind, sayable, depth)
    }

    fn single(&mut self, kind: &Kind, sayable: bool, depth: usize) -> Value {
        match kind {
            Kind::Message(descriptor) => Value::Message(self.message(descriptor.clone(), depth + 1)),
            Kind::Enum(_) => Value::EnumNumber((self.choice() % 8).into()),
            Kind::Bool => Value::Bool(self.choice() % 2 == 1),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => Value::Bytes((0..self.choice() % 5).map(|_| self.choice()).collect()),
            Kind::Float => Value::F32(self.number(sayable) as f32),
            Kind::Double => Value::F64(self.number(sayable)),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 if sayable => Value::I32(self.choice().into()),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 if sayable => Value::I64(self.choice().into()),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(self.integer() as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(self.integer()),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(self.integer() as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(self.integer() as u64),
        }
    }

    fn integer(&mut self) -> i64 {
        let edges = [0, -1, i64::MIN, i64::MAX, i32::MIN.into(), (1 << 53) + 1];
        let choice = self.choice();
        edges.get(usize::from(choice)).copied().unwrap_or(choice.into())
    }

    fn number(&mut self, finite: bool) -> f64 {
        let edges = [0.0, -0.0, 0.1, 1e22, 5e-324, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        let edges = if finite { &edges[..5] } else { &edges[..] };
        let choice = self.choice();
        edges
            .get(usize::from(choice % 16))
            .copied()
            .unwrap_or(f64::from(choice) - 100.0)
    }

    /// Field masks hold lower case only.
    fn text(&mut self) -> String {
        (0..self.choice() % 4)
            .map(|_| char::from(b'a' + self.choice() % 26))
            .collect()
    }
}
