//! The worker service: runs attempts of tasks for the leader and answers online calls.
//!
//! Promises: no more at once than there is room for; a wish to stop reaches the running code; an attempt that ended is
//! reported until a leader has taken it. Leaves deciding what runs to the scheduler and figures to `lepton-analysis`.

pub mod analysis;
pub mod attempt;
pub mod compute;
pub mod config;
pub mod infer;
pub mod kind;
pub mod kinds;
pub mod labor;
pub mod memory;
pub mod model;
pub mod online;
pub mod parent;
pub mod progress;
pub mod service;
pub mod session;
pub mod slots;
pub mod stats;
pub mod stopwatch;

pub use config::Config;
pub use service::Worker;

/// The `main` of the worker, by whichever name the program is called. `arguments` are those of the process, its name
/// first. The same program is also the process that looks at a file which may become a model.
pub fn main(version: &'static str, arguments: Vec<std::ffi::OsString>) -> std::process::ExitCode {
    let looked = model::inspect::child::asked(&arguments);
    looked.unwrap_or_else(|| lepton_mesh::entry::main::<Worker>(version, arguments))
}
