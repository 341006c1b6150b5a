//! The compiled contract as data, for reflection, transcoding and documentation.
//!
//! Promises: comments and options of every file are in it. Leaves serving it to `mesh::server`.

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

/// An encoded `google.protobuf.FileDescriptorSet` of the contract and all that it imports.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The contract, decoded once per process.
pub fn pool() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the build encoded this very set"));
    &POOL
}
