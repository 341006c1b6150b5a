//! An index of encoded file descriptors.
//!
//! Promises: files are given out as the bytes that came, comments and custom options included, which decoding would lose.
//! Leaves the protocol to [`super`].

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use prost::{DecodeError, Message};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto};

/// Files by name, by the symbols that they define, and by the extensions of each message.
#[derive(Debug, Default)]
pub(super) struct Index {
    files: HashMap<String, Bytes>,
    symbols: HashMap<String, Bytes>,
    extensions: HashMap<String, BTreeMap<i32, Bytes>>,
}

/// Failed look-ups.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Missing {
    #[error("no file {0:?} is known here")]
    File(String),
    #[error("no symbol {0:?} is known here; full names have no dot in front")]
    Symbol(String),
    #[error("{0} has no extension {1} here")]
    Extension(String, i32),
}

/// A `google.protobuf.FileDescriptorSet` whose files stay encoded.
#[derive(Clone, PartialEq, Message)]
struct EncodedSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

impl Index {
    /// Reads encoded sets. Of files of one name the first counts.
    pub(super) fn new(sets: &[&'static [u8]]) -> Result<Self, DecodeError> {
        let mut index = Self::default();
        for set in sets {
            for encoded in EncodedSet::decode(Bytes::from_static(set))?.file {
                let file = FileDescriptorProto::decode(encoded.clone())?;
                if !index.files.contains_key(file.name()) {
                    index.add(&file, &encoded);
                }
            }
        }
        Ok(index)
    }

    pub(super) fn file(&self, name: &str) -> Result<&Bytes, Missing> {
        self.files.get(name).ok_or_else(|| Missing::File(name.to_owned()))
    }

    pub(super) fn file_of_symbol(&self, name: &str) -> Result<&Bytes, Missing> {
        self.symbols.get(name).ok_or_else(|| Missing::Symbol(name.to_owned()))
    }

    pub(super) fn file_of_extension(&self, message: &str, number: i32) -> Result<&Bytes, Missing> {
        let found = self.extensions.get(message).and_then(|files| files.get(&number));
        found.ok_or_else(|| Missing::Extension(message.to_owned(), number))
    }

    /// The numbers of a message's extensions, in order; none of a message that has none.
    pub(super) fn extension_numbers(&self, message: &str) -> Result<Vec<i32>, Missing> {
        self.file_of_symbol(message)?;
        let numbers = self
            .extensions
            .get(message)
            .map(|files| files.keys().copied().collect());
        Ok(numbers.unwrap_or_default())
    }

    fn add(&mut self, file: &FileDescriptorProto, encoded: &Bytes) {
        self.files.insert(file.name().to_owned(), encoded.clone());
        let mut adding = Adding { index: self, encoded };
        let package = file.package();
        file.message_type
            .iter()
            .for_each(|message| adding.message(package, message));
        file.enum_type.iter().for_each(|values| adding.values(package, values));
        file.extension
            .iter()
            .for_each(|extension| adding.extension(package, extension));
        for service in &file.service {
            let name = adding.symbol(package, service.name());
            for method in &service.method {
                adding.symbol(&name, method.name());
            }
        }
    }
}

/// One file on its way into the index.
struct Adding<'a> {
    index: &'a mut Index,
    encoded: &'a Bytes,
}

impl Adding<'_> {
    fn symbol(&mut self, scope: &str, name: &str) -> String {
        let full = match scope {
            "" => name.to_owned(),
            scope => format!("{scope}.{name}"),
        };
        self.index.symbols.insert(full.clone(), self.encoded.clone());
        full
    }

    fn message(&mut self, scope: &str, message: &DescriptorProto) {
        let name = self.symbol(scope, message.name());
        message
            .nested_type
            .iter()
            .for_each(|nested| self.message(&name, nested));
        message.enum_type.iter().for_each(|values| self.values(&name, values));
        message
            .extension
            .iter()
            .for_each(|extension| self.extension(&name, extension));
        for field in &message.field {
            self.symbol(&name, field.name());
        }
        for oneof in &message.oneof_decl {
            self.symbol(&name, oneof.name());
        }
    }

    fn values(&mut self, scope: &str, values: &EnumDescriptorProto) {
        let name = self.symbol(scope, values.name());
        for value in &values.value {
            self.symbol(&name, value.name());
        }
    }

    fn extension(&mut self, scope: &str, extension: &FieldDescriptorProto) {
        self.symbol(scope, extension.name());
        let extended = extension.extendee().trim_start_matches('.').to_owned();
        let files = self.index.extensions.entry(extended).or_default();
        files.insert(extension.number(), self.encoded.clone());
    }
}
