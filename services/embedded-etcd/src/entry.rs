//! Log entries: the changes of a request, not the request, so that replaying them decides nothing again.
//!
//! The same messages make up snapshots. Field numbers are the storage format: never reuse one.

use crate::revision::{Revision, Version, detach};
use bytes::Bytes;

/// All changes of one request. Replay order: base, grant, changes, revoke, compaction.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Entry {
    #[prost(message, repeated, tag = "1")]
    pub changes: Vec<Change>,
    #[prost(message, optional, tag = "2")]
    pub granted: Option<Granted>,
    /// Id of the lease that ended; its keys' deletions are in `changes`.
    #[prost(int64, optional, tag = "3")]
    pub revoked: Option<i64>,
    /// New compaction point.
    #[prost(int64, optional, tag = "4")]
    pub compacted: Option<i64>,
    /// Opens a snapshot.
    #[prost(message, optional, tag = "5")]
    pub base: Option<Base>,
    /// Closes a snapshot: the number of its versions.
    #[prost(uint64, optional, tag = "6")]
    pub end: Option<u64>,
}

/// A new [`Version`] of a key.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Change {
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
    #[prost(int64, tag = "3")]
    pub main: i64,
    #[prost(int64, tag = "4")]
    pub sub: i64,
    #[prost(int64, tag = "5")]
    pub created: i64,
    #[prost(int64, tag = "6")]
    pub version: i64,
    #[prost(int64, tag = "7")]
    pub lease: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct Granted {
    #[prost(int64, tag = "1")]
    pub id: i64,
    #[prost(int64, tag = "2")]
    pub ttl_seconds: i64,
}

/// Position of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct Base {
    /// Entries that the snapshot covers.
    #[prost(uint64, tag = "1")]
    pub index: u64,
    #[prost(int64, tag = "2")]
    pub revision: i64,
    #[prost(int64, tag = "3")]
    pub compacted: i64,
}

impl From<&Version> for Change {
    fn from(version: &Version) -> Self {
        Self {
            key: version.key.clone(),
            value: version.value.clone(),
            main: version.modified.main,
            sub: version.modified.sub,
            created: version.created,
            version: version.version,
            lease: version.lease,
        }
    }
}

impl From<Change> for Version {
    fn from(change: Change) -> Self {
        let (key, value) = detach(&change.key, &change.value);
        Self {
            key,
            value,
            modified: Revision {
                main: change.main,
                sub: change.sub,
            },
            created: change.created,
            version: change.version,
            lease: change.lease,
        }
    }
}
