//! The gateway: the one address that clients know. gRPC, gRPC-Web, REST and `/v2` on one port.
//!
//! Promises: analyses need only a worker; a task is acknowledged only when it is durable; every refusal has a reason and
//! the form that its caller reads. Leaves deciding about tasks to the scheduler and figures to the workers.

pub mod body;
pub mod bulk;
pub mod cluster;
pub mod config;
pub mod data;
pub mod fleet;
pub mod frames;
pub mod incidents;
pub mod models;
pub mod online;
pub mod origin;
pub mod packing;
pub mod readiness;
pub mod room;
pub mod route;
pub mod service;
pub mod stack;
pub mod tasks;
pub mod traces;
pub mod transcode;
pub mod v2;

pub use config::Config;
pub use service::Gateway;
