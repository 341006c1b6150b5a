//! The mesh's plumbing against a real etcd, while things break.

mod discovery;
mod fence;
mod models;
