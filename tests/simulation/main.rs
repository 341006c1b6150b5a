//! The whole mesh in one thread, on the simulator's network and time: what holds here holds for every socket and every
//! clock that comes through [`lepton_core::net`] and [`lepton_core::clock`].
//!
//! Two scripted scenarios, and [`seeds`]: a workload under faults that are drawn from a seed, checked afterwards.

mod chaos;
mod client;
mod cluster;
mod determinism;
mod happy_path;
mod partition;
mod seeds;
