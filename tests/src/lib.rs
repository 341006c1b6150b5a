//! Harness and end-to-end proofs of the mesh.

pub mod etcd;
pub mod proxy;
pub mod wait;
