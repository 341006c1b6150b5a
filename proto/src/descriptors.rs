//! The compiled contract as data, for reflection, transcoding and documentation.
//!
//! Promises: comments and options of every file are in it. Leaves serving it to `lepton-mesh`.

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

/// Encoded `google.protobuf.FileDescriptorSet` of the contract and its imports.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// [`FILE_DESCRIPTOR_SET`], decoded once per process.
pub fn pool() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the build encoded this very set"));
    &POOL
}
