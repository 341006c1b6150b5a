//! The worker service: runs attempts of tasks for the leader and answers online calls.
//!
//! Promises: no more at once than there is room for; a cancellation reaches the running code; an attempt that ended is
//! reported until a leader has committed it. Leaves the choice of attempts to the scheduler and figures to
//! `lepton-analysis`.

mod active_time;
mod admission;
mod analysis;
mod attempts;
mod config;
mod cpu_pool;
mod error;
mod infer;
mod kind;
mod kinds;
mod model;
mod online;
mod panics;
mod parent_watchdog;
mod progress;
mod service;
mod session;
mod stats;
mod task_runtime;
mod validation;

pub use config::Config;
pub use service::Worker;

/// The `main` of the worker, by whichever name the program is called. `arguments` are those of the process, its name
/// first. The same program is also the process that validates a file which may become a model.
pub fn main(version: &'static str, arguments: Vec<std::ffi::OsString>) -> std::process::ExitCode {
    let validated = model::sandbox::child::run_if_requested(&arguments);
    validated.unwrap_or_else(|| lepton_mesh::entry::main::<Worker>(version, arguments))
}
