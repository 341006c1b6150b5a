//! Connections between services and the way from a command line to a running one: configuration, servers, channels,
//! entry.
//!
//! Promises: every service starts, serves, is observed and drains in the same way. Leaves the environment to
//! `lepton-core`, etcd to `lepton-coordination` and decisions to `lepton-domain`.

pub mod admin;
pub mod channel;
pub mod collector;
pub mod config;
pub mod entry;
pub mod memory;
pub mod memory_budget;
pub mod server;
pub mod stats_service;
