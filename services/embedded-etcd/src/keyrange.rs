//! The three ways in which etcd names keys: one key, an interval, or everything from a key on.

use bytes::Bytes;
use std::ops::Bound;

/// A range of an ordered map.
pub(crate) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// A set of keys in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyRange {
    One(Bytes),
    /// From the first key, without the second. Empty if the second is not above the first.
    Between(Bytes, Bytes),
    From(Bytes),
}

impl KeyRange {
    /// Reads the pair `key`, `range_end` of a request: no end means one key, an end of one zero byte means "and all above".
    pub fn new(key: &Bytes, range_end: &Bytes) -> Self {
        match range_end.as_ref() {
            [] => Self::One(key.clone()),
            [0] => Self::From(key.clone()),
            _ => Self::Between(key.clone(), range_end.clone()),
        }
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        match self {
            Self::One(only) => only == key,
            Self::Between(from, end) => from.as_ref() <= key && key < end.as_ref(),
            Self::From(from) => from.as_ref() <= key,
        }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Between(from, end) if from >= end)
    }

    /// Bounds for an ordered map; `None` for an empty interval, which such a map would not accept.
    pub fn bounds(&self) -> Option<Bounds<'_>> {
        if self.is_empty() {
            return None;
        }
        Some(match self {
            Self::One(key) => (Bound::Included(key.as_ref()), Bound::Included(key.as_ref())),
            Self::Between(from, end) => (Bound::Included(from.as_ref()), Bound::Excluded(end.as_ref())),
            Self::From(from) => (Bound::Included(from.as_ref()), Bound::Unbounded),
        })
    }
}
