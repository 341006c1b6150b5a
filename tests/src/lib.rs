//! Harness and end-to-end proofs of the mesh.

pub mod child_guard;
pub mod etcd;
pub mod mesh;
pub mod otlp;
pub mod process;
pub mod proxy;
pub mod rest;
pub mod venv;
pub mod wait;
