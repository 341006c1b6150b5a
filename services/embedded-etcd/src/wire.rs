//! The etcd v3 messages that this server speaks, written by hand.
//!
//! Field numbers and names follow `api/etcdserverpb/rpc.proto` and `api/mvccpb/kv.proto` of etcd (Apache-2.0, API of release 3.4).
//! They are not generated, for two reasons: generated stubs copy every key and value into a `Vec`, while `Bytes` lets a 64 KiB
//! value be shared between the store, the log and all answers; and a server whose messages come from another place than its
//! clients' makes the contract suite a check of the wire format as well. Fields that this server never reads are left out:
//! protobuf skips them.

mod cluster;
mod kv;
mod lease;
mod watch;

pub(crate) use cluster::*;
pub(crate) use kv::*;
pub(crate) use lease::*;
pub(crate) use watch::*;

/// Opens every answer: the member that answered, and the revision of its store.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct ResponseHeader {
    #[prost(uint64, tag = "1")]
    pub cluster_id: u64,
    #[prost(uint64, tag = "2")]
    pub member_id: u64,
    #[prost(int64, tag = "3")]
    pub revision: i64,
    #[prost(uint64, tag = "4")]
    pub raft_term: u64,
}
