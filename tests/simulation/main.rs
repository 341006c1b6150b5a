//! The whole mesh in one thread, on the simulator's network and time: what holds here holds for every socket and every
//! clock that comes through `lepton_core::net` and `lepton_core::clock`.

mod calm;
mod chance;
mod client;
mod storm;
mod town;
