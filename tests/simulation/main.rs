//! The whole mesh in one thread, on the simulator's network and time: what holds here holds for every socket and every
//! clock that comes through `mesh::net` and `mesh::clock`.

mod calm;
mod chance;
mod client;
mod storm;
mod town;
