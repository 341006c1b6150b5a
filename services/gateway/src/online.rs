//! Calls that are answered at once and leave nothing behind.
//!
//! Promises: no etcd and no leader on the path; bounded in number, size and time.

pub mod analyze;
pub mod answer;
mod budget;
pub mod call;
pub mod config;
mod forward;
pub mod grpc;
pub mod infer;
pub mod message;
pub mod rows;
