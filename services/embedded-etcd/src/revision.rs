//! Revisions, and one version of a key.
//!
//! Every write transaction takes the next main revision; the changes inside it are numbered by their sub-revision. A deletion
//! is a version too (a tombstone), so that history and watches see it.

use crate::wire::{Event, EventType, KeyValue};
use bytes::{Bytes, BytesMut};

/// Position of a change in history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Revision {
    pub main: i64,
    pub sub: i64,
}

/// One version of a key, shared by the index, the history, the log and answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub key: Bytes,
    pub value: Bytes,
    pub modified: Revision,
    /// Main revision that created this life of the key; 0 in a tombstone.
    pub created: i64,
    /// Puts since the creation; 0 marks a tombstone.
    pub version: i64,
    pub lease: i64,
}

impl Version {
    /// A deletion of `key`.
    pub fn tombstone(key: Bytes, modified: Revision) -> Self {
        Self {
            key,
            value: Bytes::new(),
            modified,
            created: 0,
            version: 0,
            lease: 0,
        }
    }

    pub fn is_tombstone(&self) -> bool {
        self.version == 0
    }

    /// Bytes of key and value.
    pub fn size(&self) -> usize {
        self.key.len() + self.value.len()
    }

    pub fn to_kv(&self, with_value: bool) -> KeyValue {
        KeyValue {
            key: self.key.clone(),
            create_revision: self.created,
            mod_revision: self.modified.main,
            version: self.version,
            value: if with_value { self.value.clone() } else { Bytes::new() },
            lease: self.lease,
        }
    }

    pub fn to_event(&self, prev_kv: Option<KeyValue>) -> Event {
        let kind = if self.is_tombstone() {
            EventType::Delete
        } else {
            EventType::Put
        };
        Event {
            kind: kind.into(),
            kv: Some(self.to_kv(true)),
            prev_kv,
        }
    }
}

/// Copies a key and a value into one allocation of their exact size.
///
/// Bytes from the network are a slice of a larger receive buffer, and would keep all of it alive for as long as the key lives.
pub(crate) fn detach(key: &[u8], value: &[u8]) -> (Bytes, Bytes) {
    let mut buffer = BytesMut::with_capacity(key.len() + value.len());
    buffer.extend_from_slice(key);
    buffer.extend_from_slice(value);
    let mut value = buffer.freeze();
    let key = value.split_to(key.len());
    (key, value)
}
