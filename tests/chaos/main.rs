//! What the mesh promises while its processes are killed, frozen and cut off: real processes, real sockets, real etcd.
//!
//! Every history ends with the journal itself: `lepton journal verify` and a count over `lepton journal dump`. Recovery
//! times are printed; only generous bounds are asserted. One mesh at a time, so that they do not disturb each other.

mod audit;
mod blobs;
mod cancel;
mod console;
mod deaths;
mod drain;
mod exchange;
mod fake_worker;
mod fence;
mod formats;
mod frozen;
mod incidents;
mod keep_alive;
mod load;
mod marks;
mod ready;
mod serial;
mod session;
mod store;
mod suspects;
mod trace;
mod train;
mod up;
mod upkeep;
