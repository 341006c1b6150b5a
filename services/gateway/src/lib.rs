//! The gateway service.

pub mod body;
pub mod cluster;
pub mod fleet;
pub mod frames;
pub mod incidents;
pub mod models;
pub mod online;
pub mod tasks;
pub mod transcode;
pub mod v2;
