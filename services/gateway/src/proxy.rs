//! Online calls: passed on to a worker, answered at once, without a record.
//!
//! Promises: no etcd and no leader on the path; bounded in number, size and time.

pub mod analyze;
pub mod answer;
pub mod balancer;
pub mod chunks;
mod client;
pub mod config;
mod error;
pub mod grpc;
pub mod infer;
pub mod request;
mod rows;
