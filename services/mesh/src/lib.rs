//! Plumbing of the mesh: etcd, journal, discovery, channels, servers, telemetry.
//!
//! Promises: sockets, time and randomness are reached only through `net`, `clock` and `random`, so that every service
//! built on this crate also runs under a simulator. Leaves decisions to `lepton-domain` and the wire format to
//! `lepton-proto`.

pub mod blob;
pub mod clock;
pub mod context;
pub mod election;
pub mod etcd;
pub mod net;
pub mod random;
pub mod registry;
pub mod shutdown;
pub mod telemetry;
