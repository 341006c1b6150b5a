//! The environment of every service: network, clock, randomness, shutdown, errors, backoff, metrics,
//! conditions and blobs.
//!
//! Promises: sockets, time and randomness are reached only through [`net`], [`clock`] and [`random`], so that every
//! service built on this crate also runs under a simulator. Leaves decisions to `lepton-domain`, etcd to
//! `lepton-coordination` and serving to `lepton-mesh`.

pub mod backoff;
pub mod blob;
pub mod clock;
pub mod conditions;
pub mod context;
pub mod error;
pub mod metrics;
pub mod net;
pub mod process;
pub mod random;
pub mod secret;
pub mod shutdown;
