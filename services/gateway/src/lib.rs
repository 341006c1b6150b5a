//! The gateway: the one address that clients know. gRPC, gRPC-Web, REST and `/v2` on one port.
//!
//! Promises: analyses need only a worker; a task is acknowledged only when it is durable; every refusal has a reason and
//! the form that its caller reads. Leaves deciding about tasks to the scheduler and figures to the workers.

mod cluster;
mod config;
mod data;
mod edge;
mod incidents;
mod models;
mod offload;
mod proxy;
mod readiness;
mod request;
mod request_stats;
mod service;
mod tasks;
mod traces;
mod transcode;
mod v2;

pub use config::Config;
pub use service::Gateway;
