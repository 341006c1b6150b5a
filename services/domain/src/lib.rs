//! Decisions of the mesh: pure functions over values.
//!
//! Promises: the same input gives the same answer on every machine. No clock, randomness, network, disk or
//! float lives here; times, ids and random numbers come in as arguments. Speaking the wire format is left to
//! `lepton-proto`, and touching the world to the services.

pub mod admission;
pub(crate) mod hex;
pub mod ids;
pub mod incident;
pub mod ledger;
pub mod model;
pub mod picker;
pub mod placement;
pub mod queue;
pub mod reason;
pub mod session;
pub mod task;
pub mod text;
pub mod time;
