//! Plumbing of the mesh: etcd, journal, discovery, channels, servers, telemetry.
//!
//! Promises: sockets, time and randomness are reached only through `net`, `clock` and `random`, so that every service
//! built on this crate also runs under a simulator. Leaves decisions to `lepton-domain` and the wire format to
//! `lepton-proto`.

pub mod admin;
pub mod blob;
pub mod channel;
pub mod clock;
pub mod config;
pub mod context;
pub mod election;
pub mod entry;
pub mod error;
pub mod etcd;
pub mod fleet;
pub mod journal;
pub mod memory;
pub mod memory_budget;
pub mod models;
pub mod net;
pub mod random;
pub mod registry;
pub mod server;
pub mod shutdown;
pub mod telemetry;
