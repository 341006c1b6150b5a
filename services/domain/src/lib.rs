//! Decisions of the mesh: pure functions over values.
//!
//! Promises: the same input gives the same result on every machine. There is no clock, randomness, network, disk or
//! float here; times, ids and random numbers are arguments. Leaves the wire format to `lepton-proto`, and input and
//! output to the services.

pub mod admission;
pub mod condition;
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
