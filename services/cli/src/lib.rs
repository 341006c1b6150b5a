//! The user's command: `lepton up` runs the whole mesh, everything else is a client of one.
//!
//! The same program is also the worker that `up` starts: called by the name `lepton-worker` it is nothing else.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

mod address;
mod advice;
mod args;
mod client;
mod command;
mod output;
mod up;

pub use advice::exit_code;

/// The program: `arguments` are those of the process, its name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let called = arguments.first().map(Path::new).and_then(Path::file_name);
    if called.is_some_and(|name| name == up::WORKER) {
        return worker(arguments);
    }
    match args::parse(arguments) {
        Ok(args::Parsed {
            command: args::Command::Up(options),
            ..
        }) => up::run(*options),
        Ok(parsed) => command::run(parsed),
        Err(code) => code,
    }
}

/// The worker, under its own name also where processes are listed.
fn worker(arguments: Vec<OsString>) -> ExitCode {
    // A system without /proc shows the program's name instead, which harms nobody.
    let _no_proc = std::fs::write("/proc/self/comm", up::WORKER);
    lepton_mesh::entry::main::<lepton_worker::Worker>(arguments)
}
